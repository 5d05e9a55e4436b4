//! A session: the connection to a server, what is known about the server's view of it, and the running of commands.
//!
//! Some commands change how the replies to later ones are to be read or shown: SELECT, MULTI, SUBSCRIBE, HELLO, RESET,
//! MONITOR. The session watches them go by. It connects when there is no connection, follows a cluster's redirections,
//! and prints what comes back.
//!
//! # Messages nobody asked for
//!
//! With RESP3 a server may send pushes at any time. [`PushPolicy`] says what becomes of them: they are printed or
//! dropped by [`Session::receive`], so that whoever waits for a reply gets a reply; or they are handed out like
//! replies, because the confirmation of SUBSCRIBE is a push too.
//!
//! # Failure
//!
//! A lost connection is an ordinary outcome in interactive use: the prompt says so and the next command connects anew.
//! In one-shot use, and after nonsense from the server, the program ends: [`Exit`] travels up to `main`.

use std::fmt;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::thread;

use super::connection::{Connection, Endpoint, LinkError};
use super::format::{Printer, Style};
use super::interrupt::Interrupts;
use super::ldb::{self, Debugging, Mode};
use super::lenient::integer_or_zero;
use super::options::{Options, Resp3};
use super::resp::Reply;

/// The program is to end with this status; everything there was to say has been printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit(pub u8);

impl Exit {
    /// Nothing went wrong.
    pub const SUCCESS: Exit = Exit(0);
    /// Something did.
    pub const FAILURE: Exit = Exit(1);
    /// Nobody reads the output any more: the status a shell shows for a program that SIGPIPE ended.
    const BROKEN_PIPE: Exit = Exit(128 + 13);
}

/// Whether to say why a connection could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// Say it.
    Errors,
    /// The caller will connect again, and say it then.
    Nothing,
}

/// What becomes of pushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PushPolicy {
    /// Print them.
    Print,
    /// Drop them.
    Discard,
    /// Treat them as replies.
    HandOut,
}

/// What reading a reply came to.
enum Received {
    /// A reply, printed unless it is a redirection.
    Reply(Reply),
    /// None will come, and that is fine: the server was told to shut down, or the user ended the stream.
    Nothing,
    /// The connection is lost.
    Lost,
}

/// What the replies to a command mean for the session.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Monitor,
    Subscribe,
    Unsubscribe,
    Shutdown,
    Other,
}

/// A command that is being run.
struct Command<'a> {
    args: &'a [Vec<u8>],
    role: Role,
    /// Whether the reply is a text that is printed as it is.
    verbatim: bool,
}

/// A session with a server.
pub struct Session {
    options: Options,
    endpoint: Endpoint,
    link: Option<Connection>,
    /// Why `link` cannot be used any more, if it cannot.
    failure: Option<String>,
    interrupts: Interrupts,
    /// The database the user wants, also after connecting anew.
    wanted_db: i64,
    /// The database that the connection has selected.
    db: i64,
    /// The database that was selected when the transaction began.
    db_before_multi: i64,
    in_multi: bool,
    resp3: bool,
    subscribed: bool,
    push_policy: PushPolicy,
    interactive: bool,
    debugging: Debugging,
    /// A redirection was received; the command is to be sent again to the new endpoint.
    redirected: bool,
    /// The redirection was an ASK.
    ask: bool,
}

impl Session {
    /// A session that has not connected yet.
    pub fn new(options: Options) -> Session {
        Session {
            endpoint: options.endpoint.clone(),
            link: None,
            failure: None,
            interrupts: Interrupts::default(),
            wanted_db: options.db,
            db: 0,
            db_before_multi: 0,
            in_multi: false,
            resp3: false,
            subscribed: false,
            push_policy: PushPolicy::Discard,
            interactive: false,
            debugging: Debugging::Off,
            redirected: false,
            ask: false,
            options,
        }
    }

    /// The options the session was started with.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Whether there is a connection.
    pub fn is_connected(&self) -> bool {
        self.link.is_some()
    }

    /// Whether the connection receives the messages of channels.
    pub fn is_subscribed(&self) -> bool {
        self.subscribed
    }

    /// Switches to interactive use: a lost connection no longer ends the program, and neither does Ctrl-C while
    /// messages stream in.
    pub fn become_interactive(&mut self) -> io::Result<()> {
        self.interactive = true;
        self.interrupts.watch()
    }

    /// Whether an interrupt ended the stream of messages since this was last asked.
    pub fn take_interrupted(&self) -> bool {
        self.interrupts.take_ended()
    }

    /// Makes further sessions connect to another server.
    pub fn set_endpoint(&mut self, endpoint: Endpoint) {
        self.endpoint = endpoint;
    }

    /// What the user types behind: the server, the database, and the modes that make a difference.
    pub fn prompt(&self) -> String {
        if self.link.is_none() {
            return "not connected> ".to_string();
        }
        if self.is_debugging() && self.options.ldb.is_some() {
            return ldb::PROMPT.to_string();
        }
        let mut prompt = match &self.endpoint {
            Endpoint::Tcp { host, port } if host.contains(':') => format!("[{host}]:{port}"),
            Endpoint::Tcp { host, port } => format!("{host}:{port}"),
            Endpoint::Unix(path) => format!("redis {}", path.display()),
        };
        if self.db != 0 {
            prompt.push_str(&format!("[{}]", self.db));
        }
        if self.in_multi {
            prompt.push_str("(TX)");
        }
        if self.subscribed {
            prompt.push_str("(subscribed mode)");
        }
        prompt.push_str("> ");
        prompt
    }
}

/// Connecting.
impl Session {
    /// Connects if there is no connection. Returns whether the session is ready; when the server is there but refuses
    /// the password, the database or RESP3, it is not, and the connection is kept nevertheless.
    pub fn connect(&mut self, report: Report) -> bool {
        self.link.is_some() || self.reconnect(report)
    }

    /// Connects anew, whether or not there is a connection; see [`Session::connect`].
    pub fn reconnect(&mut self, report: Report) -> bool {
        self.forget_connection();
        let opened =
            Connection::open(&self.endpoint, self.options.connect_timeout, self.options.address_preference);
        match opened {
            Ok(link) => self.link = Some(link),
            Err(error) => {
                if report == Report::Errors {
                    complain(format_args!("Could not connect to Redis at {}: {error}", self.endpoint));
                }
                return false;
            }
        }
        let ready = self.authenticate() && self.select_wanted_db() && self.switch_protocol();
        self.push_policy = self.usual_push_policy();
        ready
    }

    fn forget_connection(&mut self) {
        self.link = None;
        self.debugging = Debugging::Off;
        self.failure = None;
        self.db = 0;
        self.in_multi = false;
        self.resp3 = false;
        self.set_subscribed(false);
        // Until the session is set up, nobody expects a push.
        self.push_policy = PushPolicy::Discard;
    }

    fn usual_push_policy(&self) -> PushPolicy {
        if self.options.show_pushes { PushPolicy::Print } else { PushPolicy::Discard }
    }

    fn authenticate(&mut self) -> bool {
        let Some(password) = self.options.password.clone() else { return true };
        let mut args = vec![b"AUTH".to_vec()];
        args.extend(self.options.user.clone());
        args.push(password);
        self.set_up(&args, "AUTH").is_some()
    }

    /// Selects the database that the user wants, unless it is selected already.
    fn select_wanted_db(&mut self) -> bool {
        if self.wanted_db == self.db {
            return true;
        }
        let db = self.wanted_db.to_string();
        let selected =
            self.set_up(&[b"SELECT".to_vec(), db.clone().into_bytes()], &format!("SELECT {db}")).is_some();
        if selected {
            self.db = self.wanted_db;
        }
        selected
    }

    fn switch_protocol(&mut self) -> bool {
        if self.options.resp3 == Resp3::No {
            return true;
        }
        match self.set_up(&[b"HELLO".to_vec(), b"3".to_vec()], "HELLO 3") {
            Some(_) => {
                self.resp3 = true;
                true
            }
            None => self.options.resp3 == Resp3::Preferred,
        }
    }

    /// Sends a command that prepares the connection, and complains if that does not work.
    fn set_up(&mut self, args: &[Vec<u8>], name: &str) -> Option<Reply> {
        match self.query(args) {
            Err(_) => {
                complain(format_args!("\nI/O error"));
                None
            }
            Ok(Reply::Error(text)) => {
                complain(format_args!("{name} failed: {}", String::from_utf8_lossy(&text)));
                None
            }
            Ok(reply) => Some(reply),
        }
    }

    /// Sends a command and returns its reply without printing it.
    ///
    /// # Errors
    ///
    /// When there is no connection, or no reply.
    pub fn query(&mut self, args: &[Vec<u8>]) -> Result<Reply, LinkError> {
        let link = self.link.as_mut().ok_or(LinkError::Closed)?;
        link.queue(args);
        loop {
            match link.receive() {
                Ok(Reply::Push(_)) => {}
                Ok(reply) => return Ok(reply),
                Err(error) => {
                    self.failure = Some(error.to_string());
                    return Err(error);
                }
            }
        }
    }

    /// The socket, for waiting until something arrives.
    pub fn socket(&self) -> Option<BorrowedFd<'_>> {
        self.link.as_ref().map(AsFd::as_fd)
    }

    fn complain_about_link(&self) {
        if self.link.is_some() {
            complain(format_args!("Error: {}", self.failure.as_deref().unwrap_or_default()));
        }
    }

    /// Enters or leaves the subscribed mode. In interactive use, an interrupt then ends the stream of messages.
    fn set_subscribed(&mut self, subscribed: bool) {
        self.subscribed = subscribed;
        self.set_streaming(subscribed);
    }

    fn set_streaming(&self, streaming: bool) {
        let stream = self.link.as_ref().filter(|_| streaming).and_then(|link| link.hangup_handle().ok());
        self.interrupts.set_stream(stream);
    }
}

/// Debugging a script.
impl Session {
    /// Where the debugger stands.
    pub fn debugging(&self) -> Debugging {
        self.debugging
    }

    /// Whether the server answers as a debugger.
    pub fn is_debugging(&self) -> bool {
        matches!(self.debugging, Debugging::Running(_))
    }

    /// Has the next EVAL debugged. Returns whether the server will do so.
    pub fn arm_debugger(&mut self, mode: Mode) -> bool {
        let word = if mode == Mode::Sync { "sync" } else { "yes" };
        let command = ["SCRIPT", "DEBUG", word].map(|word| word.as_bytes().to_vec());
        let armed = self.set_up(&command, "SCRIPT DEBUG").is_some();
        if armed {
            self.debugging = Debugging::Armed(mode);
        }
        armed
    }

    /// Prints the reply of the EVAL that was debugged, for people: they are the ones who debug.
    pub fn read_last_reply(&mut self) -> Result<(), Exit> {
        self.debugging = Debugging::Off;
        self.options.printer.style = Style::Standard;
        self.read_message()?;
        Ok(())
    }
}

/// Running commands.
impl Session {
    /// Runs a command `repeat` times (forever when negative), prints the replies, and follows redirections. Returns
    /// whether it could be run; that the server replied with an error does not matter.
    ///
    /// # Errors
    ///
    /// An [`Exit`] when the program is to end.
    pub fn run(&mut self, args: &[Vec<u8>], repeat: i64) -> Result<bool, Exit> {
        let mut remaining = repeat;
        loop {
            let usable = self.link.is_some() && self.failure.is_none();
            if (self.redirected || !usable) && !self.reconnect(Report::Errors) {
                self.complain_about_link();
                self.redirected = false;
                return Ok(false);
            }
            self.redirected = false;
            self.debugging = self.debugging.after(args);
            if std::mem::take(&mut self.ask) && self.set_up(&[b"ASKING".to_vec()], "ASKING").is_none() {
                self.complain_about_link();
                return Ok(false);
            }
            if !self.run_here(args, &mut remaining)? {
                self.complain_about_link();
                self.link = None;
                self.debugging = Debugging::Off;
                return Ok(false);
            }
            if !self.redirected {
                return Ok(true);
            }
        }
    }

    /// Runs a command on the present connection, until it was repeated often enough or is redirected. Returns whether
    /// the connection survived.
    fn run_here(&mut self, args: &[Vec<u8>], remaining: &mut i64) -> Result<bool, Exit> {
        let command = Command::new(args);
        let mut run = true;
        while run && *remaining != 0 {
            let Some(link) = self.link.as_mut() else { return Ok(true) };
            link.queue(args);
            if command.role == Role::Monitor {
                self.monitor(&command)?;
                return Ok(true);
            }
            if !self.converse(&command)? {
                return Ok(false);
            }
            run = !self.redirected;
            if run {
                *remaining -= i64::from(*remaining > 0);
                thread::sleep(self.options.interval);
            }
        }
        Ok(true)
    }

    /// Prints what a MONITOR shows, until the user interrupts it or the server refuses.
    fn monitor(&mut self, command: &Command<'_>) -> Result<(), Exit> {
        self.set_streaming(true);
        loop {
            match self.read_reply(command)? {
                Received::Reply(reply) if !reply.is_error() => {}
                Received::Reply(_) | Received::Nothing => break,
                Received::Lost => {
                    self.complain_about_link();
                    return Err(Exit::FAILURE);
                }
            }
        }
        self.set_streaming(false);
        Ok(())
    }

    /// Reads the reply to a command that was sent, or the several that confirm a subscription, and keeps track of what
    /// they change.
    fn converse(&mut self, command: &Command<'_>) -> Result<bool, Exit> {
        let mut confirmations = 0;
        if matches!(command.role, Role::Subscribe | Role::Unsubscribe) {
            // A confirmation for each channel, or a single one when none is named.
            confirmations = command.args.len().saturating_sub(1).max(1);
            self.push_policy = PushPolicy::HandOut;
        }
        loop {
            let reply = match self.read_reply(command)? {
                Received::Reply(reply) => reply,
                Received::Nothing => return Ok(true),
                Received::Lost => return Ok(false),
            };
            if self.subscribed || confirmations > 0 {
                if self.is_channel_message(&reply) {
                    let confirms = confirmations > 0
                        && reply.elements().is_some_and(|items| command.is_called(&items[0]));
                    if !confirms {
                        continue;
                    }
                    if command.role == Role::Subscribe && !self.subscribed {
                        self.set_subscribed(true);
                    }
                    confirmations -= 1;
                    if confirmations > 0 {
                        continue;
                    }
                } else if matches!(reply, Reply::Push(_)) {
                    continue;
                }
            }
            self.follow(command, &reply);
            return Ok(true);
        }
    }

    /// Whether a reply is a confirmation of a subscription or a message of a channel.
    fn is_channel_message(&self, reply: &Reply) -> bool {
        let items = match reply {
            Reply::Push(items) if self.resp3 => items,
            Reply::Array(items) if !self.resp3 => items,
            _ => return false,
        };
        matches!(&items[..], [Reply::Bulk(kind), _, _, ..]
            if kind.ends_with(b"message") || kind.ends_with(b"subscribe"))
    }

    /// Keeps track of what a command changed, now that it has been answered.
    fn follow(&mut self, command: &Command<'_>, reply: &Reply) {
        let args = command.args;
        let accepted = !reply.is_error();
        match (command.name().as_str(), args.len()) {
            ("select", 2) if accepted => self.use_db(integer_or_zero(&args[1])),
            ("auth", 2 | 3) => {
                self.select_wanted_db();
            }
            ("multi", 1) if accepted => {
                self.in_multi = true;
                self.db_before_multi = self.db;
            }
            ("exec", 1) if self.in_multi => {
                self.in_multi = false;
                if matches!(reply, Reply::Error(_) | Reply::Nil) {
                    self.use_db(self.db_before_multi);
                }
            }
            ("discard", 1) if accepted => {
                self.in_multi = false;
                self.use_db(self.db_before_multi);
            }
            ("reset", 1) if accepted => {
                self.in_multi = false;
                self.use_db(0);
                self.resp3 = false;
                self.set_subscribed(false);
                self.push_policy = self.usual_push_policy();
            }
            ("hello", _) => match reply {
                Reply::Map(_) => self.resp3 = true,
                Reply::Array(_) => self.resp3 = false,
                _ => {}
            },
            _ if !self.subscribed && self.push_policy == PushPolicy::HandOut => {
                self.push_policy = self.usual_push_policy();
            }
            _ => {}
        }
    }

    fn use_db(&mut self, db: i64) {
        self.db = db;
        self.wanted_db = db;
    }
}

/// Reading and printing replies.
impl Session {
    /// Prints a reply that arrives without a command having been sent, in subscribed mode. Returns whether there is
    /// still a connection.
    pub fn read_message(&mut self) -> Result<bool, Exit> {
        match self.read_reply(&Command::new(&[]))? {
            Received::Lost => {
                self.complain_about_link();
                Err(Exit::FAILURE)
            }
            Received::Reply(_) => Ok(true),
            Received::Nothing => Ok(self.link.is_some()),
        }
    }

    /// Prints the messages that have already been received.
    pub fn print_buffered_messages(&mut self) -> Result<(), Exit> {
        loop {
            let Some(link) = self.link.as_mut() else { return Ok(()) };
            match link.receive_buffered() {
                Ok(Some(reply)) => print(&self.options.printer.format(&reply, false))?,
                Ok(None) => return Ok(()),
                Err(error) => return Err(fail(&error)),
            }
        }
    }

    fn read_reply(&mut self, command: &Command<'_>) -> Result<Received, Exit> {
        let reply = match self.receive()? {
            Ok(reply) => reply,
            Err(error) => return self.lose(command, error),
        };
        if let Reply::Error(text) = &reply {
            if self.options.cluster
                && let Some(redirection) = Redirection::parse(text)
            {
                self.redirect(redirection)?;
                return Ok(Received::Reply(reply));
            }
            if self.options.fail_on_error && !self.interactive {
                complain(format_args!("{}", String::from_utf8_lossy(text)));
                return Err(Exit::FAILURE);
            }
        }
        self.print_reply(&reply, command.verbatim)?;
        Ok(Received::Reply(reply))
    }

    /// Prints a reply, of the debugger or of a command.
    fn print_reply(&mut self, reply: &Reply, verbatim: bool) -> Result<(), Exit> {
        let before = self.debugging;
        self.debugging = before.after_reply(reply);
        if let (Debugging::Running(_), Debugging::Running(_) | Debugging::Ended(_)) = (before, self.debugging)
        {
            let raw = Printer { style: Style::Raw, ..self.options.printer.clone() };
            return print(&raw.format(&ldb::shown(reply), false));
        }
        print(&self.options.printer.format(reply, verbatim))
    }

    /// The next reply, pushes having been dealt with.
    fn receive(&mut self) -> Result<Result<Reply, LinkError>, Exit> {
        loop {
            let Some(link) = self.link.as_mut() else { return Ok(Err(LinkError::Closed)) };
            match (link.receive(), self.push_policy) {
                (Ok(push @ Reply::Push(_)), PushPolicy::Print) => {
                    print(&self.options.printer.format_push(&push))?
                }
                (Ok(Reply::Push(_)), PushPolicy::Discard) => {}
                (received, _) => return Ok(received),
            }
        }
    }

    /// Decides what the loss of the connection means.
    fn lose(&mut self, command: &Command<'_>, error: LinkError) -> Result<Received, Exit> {
        if self.interrupts.take_ended() {
            let connected = self.reconnect(Report::Errors);
            return Ok(if connected { Received::Nothing } else { Received::Lost });
        }
        if command.role == Role::Shutdown {
            self.link = None;
            return Ok(Received::Nothing);
        }
        if self.interactive && error.is_disconnection() {
            self.failure = Some(error.to_string());
            return Ok(Received::Lost);
        }
        Err(fail(&error))
    }

    fn redirect(&mut self, redirection: Redirection) -> Result<(), Exit> {
        if let Endpoint::Tcp { host, port } = &mut self.endpoint {
            // A server that does not know its own name leaves it out; it is the one that is connected.
            if !redirection.host.is_empty() {
                *host = redirection.host;
            }
            *port = redirection.port;
        }
        self.redirected = true;
        self.ask = redirection.ask;
        if self.interactive {
            print(
                format!("-> Redirected to slot [{}] located at {}\n", redirection.slot, self.endpoint)
                    .as_bytes(),
            )?;
        }
        Ok(())
    }
}

impl<'a> Command<'a> {
    fn new(args: &'a [Vec<u8>]) -> Command<'a> {
        let mut command = Command { args, role: Role::Other, verbatim: false };
        command.role = match command.name().as_str() {
            "monitor" => Role::Monitor,
            "subscribe" | "psubscribe" | "ssubscribe" => Role::Subscribe,
            "unsubscribe" | "punsubscribe" | "sunsubscribe" => Role::Unsubscribe,
            "shutdown" => Role::Shutdown,
            _ => Role::Other,
        };
        command.verbatim = command.replies_with_text();
        command
    }

    fn word(&self, at: usize) -> String {
        self.args.get(at).map(|arg| String::from_utf8_lossy(arg).to_lowercase()).unwrap_or_default()
    }

    fn name(&self) -> String {
        self.word(0)
    }

    fn is_called(&self, name: &Reply) -> bool {
        name.text().is_some_and(|name| name.eq_ignore_ascii_case(&self.args[0]))
    }

    /// Whether the reply is a text laid out for reading, which quoting would only spoil. The commands have always been
    /// told by their names; RESP3 would tell by a type of its own. The QUEUED of a transaction therefore lacks its line
    /// end after them, as it does upstream.
    fn replies_with_text(&self) -> bool {
        let (first, second) = (self.name(), self.word(1));
        matches!(
            (first.as_str(), second.as_str(), self.args.len()),
            ("info" | "lolwut", _, _)
                | ("debug", "htstats" | "htstats-key" | "client-eviction", _)
                | ("memory", "malloc-stats" | "doctor", _)
                | ("cluster", "nodes" | "info", 2)
                | ("client", "list" | "info", _)
                | ("latency", "graph", 3)
                | ("latency", "doctor", 2)
                | ("proxy", "info", _)
        )
    }
}

/// An error reply that names the node to ask instead: `MOVED 3999 127.0.0.1:6381`, or ASK.
#[derive(Debug, PartialEq, Eq)]
struct Redirection {
    ask: bool,
    slot: i64,
    host: String,
    port: u16,
}

impl Redirection {
    fn parse(error: &[u8]) -> Option<Redirection> {
        let text = std::str::from_utf8(error).ok()?;
        let mut words = text.split(' ');
        let ask = match words.next()? {
            "MOVED" => false,
            "ASK" => true,
            _ => return None,
        };
        let slot = words.next()?.parse().ok()?;
        let (host, port) = words.next()?.rsplit_once(':')?;
        Some(Redirection { ask, slot, host: host.to_string(), port: port.parse().ok()? })
    }
}

/// Prints to standard output, at once.
///
/// # Errors
///
/// An [`Exit`] when nobody reads it any more.
pub fn print(bytes: &[u8]) -> Result<(), Exit> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|_| Exit::BROKEN_PIPE)
}

/// Prints a line to standard error.
pub fn complain(message: fmt::Arguments<'_>) {
    // When even standard error is gone there is nobody to tell.
    let _ = writeln!(io::stderr(), "{message}");
}

fn fail(error: &LinkError) -> Exit {
    complain(format_args!("Error: {error}"));
    Exit::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(line: &str) -> Vec<Vec<u8>> {
        line.split(' ').map(|word| word.as_bytes().to_vec()).collect()
    }

    #[test]
    fn redirections() {
        assert_eq!(
            Redirection::parse(b"MOVED 3999 127.0.0.1:6381"),
            Some(Redirection { ask: false, slot: 3999, host: "127.0.0.1".into(), port: 6381 })
        );
        let ask = Redirection::parse(b"ASK 1 ::1:7000").unwrap();
        assert_eq!((ask.ask, ask.host.as_str(), ask.port), (true, "::1", 7000));
        assert_eq!(Redirection::parse(b"MOVED 1 :7000").unwrap().host, "");
        for text in
            ["MOVED", "MOVED x h:1", "MOVED 1", "MOVED 1 h", "MOVED 1 h:x", "MOVED 1 h:65536", "ERR x"]
        {
            assert_eq!(Redirection::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn texts_are_told_by_the_command() {
        for line in
            ["INFO", "info server x", "client LIST", "cluster nodes", "latency doctor", "memory doctor"]
        {
            assert!(Command::new(&args(line)).verbatim, "{line}");
        }
        for line in ["get info", "client id", "cluster nodes x", "latency graph", "debug object x"] {
            assert!(!Command::new(&args(line)).verbatim, "{line}");
        }
    }
}
