//! Interactive use: read a line, run it, show what came back.
//!
//! The same loop serves a terminal and lines piped in; only a terminal gets a history, completion and the preferences of
//! `~/.redisclirc`. Once a channel is subscribed to, the loop waits for messages and for the user at the same time.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::ds::sds::split_args;

use super::connection::Endpoint;
use super::format::Style;
use super::help::Help;
use super::history::{History, is_secret};
use super::ldb::{self, Mode};
use super::lenient::integer_or_zero;
use super::line_editor::LineReader;
use super::options::repeat_prefix;
use super::preferences::{Preferences, dot_file};
use super::session::{Exit, Report, Session, complain, print};
use super::terminal::{self, KeyMode};

/// A command that takes at least so long has its time printed.
const SLOW_COMMAND: Duration = Duration::from_millis(500);

/// How long to wait for messages before the note that says so is printed again.
const NOTE_INTERVAL_MS: u16 = 5000;

/// What the line was, for the loop.
enum Verdict {
    Continue,
    Leave,
}

/// The script of `--eval` that is debugged.
struct Debugged {
    /// Its keys and arguments.
    args: Vec<Vec<u8>>,
    mode: Mode,
}

/// The state of the loop.
struct Repl<'a> {
    session: &'a mut Session,
    help: &'a mut Help,
    reader: LineReader,
    history: History,
    preferences: Preferences,
    debugged: Option<Debugged>,
}

/// Runs commands from standard input until it ends or the user leaves.
pub fn run(session: &mut Session, help: &mut Help) -> Result<Exit, Exit> {
    serve(session, help, None)
}

/// Debugs the script of `--eval`, whose keys and arguments are `args`.
pub fn debug(session: &mut Session, help: &mut Help, args: Vec<Vec<u8>>, mode: Mode) -> Result<Exit, Exit> {
    if !session.connect(Report::Errors) {
        return Err(Exit::FAILURE);
    }
    if !ldb::start(session, &args, mode)? {
        return Ok(Exit::SUCCESS);
    }
    serve(session, help, Some(Debugged { args, mode }))
}

fn serve(session: &mut Session, help: &mut Help, debugged: Option<Debugged>) -> Result<Exit, Exit> {
    session.become_interactive().map_err(|error| cannot_start(&error))?;
    // Even when it fails there is a prompt; each command tries again.
    session.connect(Report::Errors);
    let reader = LineReader::new().map_err(|error| cannot_start(&error))?;
    let mut repl = Repl {
        session,
        help,
        reader,
        history: History::load(None),
        preferences: Preferences::default(),
        debugged,
    };
    if repl.reader.is_terminal() {
        repl.prepare_terminal()?;
    }
    repl.run()
}

fn cannot_start(error: &dyn std::error::Error) -> Exit {
    complain(format_args!("Error: {error}"));
    Exit::FAILURE
}

impl Repl<'_> {
    fn prepare_terminal(&mut self) -> Result<(), Exit> {
        self.history = History::load(dot_file("REDISCLI_HISTFILE", ".rediscli_history"));
        for line in self.history.lines() {
            self.reader.remember(line);
        }
        if let Some(file) = dot_file("REDISCLI_RCFILE", ".redisclirc") {
            for complaint in self.preferences.load(&file) {
                print(format!("{complaint}\n").as_bytes())?;
            }
        }
        Ok(())
    }

    fn run(&mut self) -> Result<Exit, Exit> {
        loop {
            if self.reader.is_terminal() && self.session.is_connected() && !self.session.is_debugging() {
                let docs = self.help.load(self.session);
                self.reader.assist(docs, self.preferences.hints);
            }
            let Some(line) = self.reader.read_line(&self.session.prompt())? else {
                // Whoever is tired of messages wants the prompt back before leaving altogether.
                if self.session.is_subscribed() && self.session.reconnect(Report::Errors) {
                    continue;
                }
                return Ok(Exit::SUCCESS);
            };
            if let Verdict::Leave = self.obey(&line)? {
                return Ok(Exit::SUCCESS);
            }
            if self.session.is_subscribed() {
                self.watch_channels()?;
            }
        }
    }

    /// Runs one line.
    fn obey(&mut self, line: &[u8]) -> Result<Verdict, Exit> {
        let code = if self.session.is_debugging() { ldb::split_evaluation(line) } else { None };
        let Some(words) = code.or_else(|| split_args(line)) else {
            self.remember(line, false);
            print(b"Invalid argument(s)\n")?;
            return Ok(Verdict::Continue);
        };
        if words.is_empty() {
            return Ok(Verdict::Continue);
        }
        let (repeat, command) = match repeat_prefix(&words[0]) {
            Some(Ok(count)) if words.len() > 1 => (count, &words[1..]),
            Some(Err(())) if words.len() > 1 => {
                print(b"Invalid redis-cli repeat command option value.\n")?;
                return Ok(Verdict::Continue);
            }
            _ => (1, &words[..]),
        };
        self.remember(line, is_secret(command));
        self.obey_words(&words, command, repeat)
    }

    fn remember(&mut self, line: &[u8], secret: bool) {
        if self.reader.is_terminal() {
            let line = String::from_utf8_lossy(line);
            self.reader.remember(&line);
            // A history that cannot be saved is no reason to bother the user after each command.
            let _ = self.history.add(&line, secret);
        }
    }

    /// Runs a line that has been split: the commands of the program itself, or else a command of the server.
    fn obey_words(&mut self, words: &[Vec<u8>], command: &[Vec<u8>], repeat: i64) -> Result<Verdict, Exit> {
        let name = words[0].to_ascii_lowercase();
        match (name.as_slice(), words.len()) {
            (b"quit" | b"exit", _) => return Ok(Verdict::Leave),
            ([b':', ..], _) => {
                if let Err(complaint) = self.preferences.apply(words) {
                    print(format!("{complaint}\n").as_bytes())?;
                }
            }
            (b"restart", _) => return self.restart(),
            (b"connect", 3) => self.connect(&words[1], &words[2]),
            (b"clear", 1) => print(b"\x1b[H\x1b[2J")?,
            _ => {
                let start = Instant::now();
                if self.session.is_debugging() {
                    self.session.run(command, repeat)?;
                } else {
                    self.help.run_or_help(self.session, command, repeat)?;
                }
                ldb::finish(self.session)?;
                let elapsed = start.elapsed();
                if elapsed >= SLOW_COMMAND && self.session.options().printer.style == Style::Standard {
                    print(format!("({:.2}s)\n", elapsed.as_secs_f64()).as_bytes())?;
                }
            }
        }
        Ok(Verdict::Continue)
    }

    /// Begins again with the script of `--eval`.
    fn restart(&mut self) -> Result<Verdict, Exit> {
        let Some(Debugged { args, mode }) = &self.debugged else {
            print(b"Use 'restart' only in Lua debugging mode.\n")?;
            return Ok(Verdict::Continue);
        };
        let begun = ldb::restart(self.session, args, *mode)?;
        Ok(if begun { Verdict::Continue } else { Verdict::Leave })
    }

    fn connect(&mut self, host: &[u8], port: &[u8]) {
        let host = String::from_utf8_lossy(host).into_owned();
        let Ok(port) = u16::try_from(integer_or_zero(port)) else {
            complain(format_args!("Invalid server port."));
            return;
        };
        self.session.set_endpoint(Endpoint::Tcp { host, port });
        self.session.reconnect(Report::Errors);
    }

    /// Prints messages as they arrive, until the user begins to type, ends the stream with Ctrl-C, or the mode is left.
    fn watch_channels(&mut self) -> Result<(), Exit> {
        let style = self.session.options().printer.style;
        let note = (style != Style::Raw && terminal::output_is_terminal()).then(waiting_note);
        let _keys = KeyMode::enter();
        while self.session.is_subscribed() {
            self.session.print_buffered_messages()?;
            if let Some(note) = &note {
                print(note.as_bytes())?;
            }
            let (message, key) = self.wait()?;
            if note.is_some() {
                print(b"\x1b[K")?;
            }
            if self.session.take_interrupted() {
                print(b"Closing current connection. Ready to reconnect to Redis server... \n")?;
                if !self.session.reconnect(Report::Errors) {
                    return Err(Exit::FAILURE);
                }
                break;
            }
            if message {
                self.session.read_message()?;
            } else if key {
                break;
            }
        }
        Ok(())
    }

    /// Waits a while for a message and for input. Returns which of them there is.
    fn wait(&self) -> Result<(bool, bool), Exit> {
        let stdin = io::stdin();
        let Some(socket) = self.session.socket() else { return Ok((true, false)) };
        let ready = |timeout: PollTimeout| {
            let mut files =
                [PollFd::new(socket, PollFlags::POLLIN), PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
            match poll(&mut files, timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(cannot_start(&errno)),
            }
            let is_ready = |file: &PollFd<'_>| file.any().unwrap_or(false);
            Ok((is_ready(&files[0]), is_ready(&files[1])))
        };
        if self.reader.has_line() {
            // Do not wait, but let a message that is there come first.
            let (message, _) = ready(PollTimeout::ZERO)?;
            return Ok((message, true));
        }
        ready(PollTimeout::from(NOTE_INTERVAL_MS))
    }
}

/// What stands on the line while there is nothing to show.
fn waiting_note() -> String {
    let text = "Reading messages... (press Ctrl-C to quit or any key to type command)\r";
    if terminal::output_has_colours() { format!("\x1b[1;90m{text}\x1b[0m") } else { text.to_string() }
}
