//! Where interactive commands come from: an editor on a terminal, or plain lines from a pipe or file.
//!
//! The editor completes command names with the tabulator key and shows the arguments that may follow in grey. Behind
//! both stands the same [`LineReader`], so that the loop that runs the commands does not care.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Read};
use std::rc::Rc;

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::{Hint, Hinter};
use rustyline::history::MemHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Editor, Helper};

use super::docs::CommandDocs;
use super::history::MAX_LINES;
use super::session::{Exit, print};
use super::{help, hints};

/// Reads the user's commands line by line.
pub enum LineReader {
    /// From a terminal.
    Terminal(Box<Editor<Assistant, MemHistory>>),
    /// From anything else.
    Stream(StreamReader),
}

impl LineReader {
    /// A reader of standard input.
    ///
    /// # Errors
    ///
    /// When the terminal cannot be used.
    pub fn new() -> Result<LineReader, ReadlineError> {
        if !io::stdin().is_terminal() {
            return Ok(LineReader::Stream(StreamReader::default()));
        }
        let config = Config::builder()
            .max_history_size(MAX_LINES)?
            .completion_type(CompletionType::Circular)
            .auto_add_history(false)
            .build();
        let history = MemHistory::with_config(&config);
        let mut editor = Editor::with_history(config, history)?;
        editor.set_helper(Some(Assistant::default()));
        Ok(LineReader::Terminal(Box::new(editor)))
    }

    /// Whether lines are typed on a terminal.
    pub fn is_terminal(&self) -> bool {
        matches!(self, LineReader::Terminal(_))
    }

    /// The next line without its end, or `None` when there are no more, or the user wants to leave.
    pub fn read_line(&mut self, prompt: &str) -> Result<Option<Vec<u8>>, Exit> {
        match self {
            LineReader::Terminal(editor) => match editor.readline(prompt) {
                Ok(line) => Ok(Some(line.into_bytes())),
                Err(_) => Ok(None),
            },
            LineReader::Stream(stream) => {
                // Upstream's tests pretend that a pipe is a terminal, and want to see on it what an editor would show:
                // the prompt, and then the line drawn anew with what has been typed.
                let echo = std::env::var_os("FAKETTY_WITH_PROMPT").is_some();
                if echo {
                    print(prompt.as_bytes())?;
                }
                let line = stream.read_line(&mut io::stdin().lock());
                if echo && let Some(line) = &line {
                    print(&[b"\r", prompt.as_bytes(), line, b"\n"].concat())?;
                }
                Ok(line)
            }
        }
    }

    /// Whether a line can be had without waiting for standard input.
    pub fn has_line(&self) -> bool {
        matches!(self, LineReader::Stream(stream) if stream.has_line())
    }

    /// Lets a line be recalled. Only a terminal has keys for that.
    pub fn remember(&mut self, line: &str) {
        if let LineReader::Terminal(editor) = self {
            // The history in memory takes every line.
            let _ = editor.add_history_entry(line);
        }
    }

    /// Sets what completion and hints are made from, and whether hints are shown.
    pub fn assist(&mut self, docs: Rc<CommandDocs>, hints: bool) {
        if let LineReader::Terminal(editor) = self {
            editor.set_helper(Some(Assistant { docs, hints }));
        }
    }
}

/// Splits a stream into lines. What has been read but not asked for is kept here, where it can be seen: a buffer inside
/// the standard library could not be asked whether a line is waiting.
#[derive(Default)]
pub struct StreamReader {
    buffer: Vec<u8>,
    start: usize,
}

impl StreamReader {
    fn has_line(&self) -> bool {
        memchr::memchr(b'\n', &self.buffer[self.start..]).is_some()
    }

    /// The next line; at the end of the stream, what is left. A stream that cannot be read has ended.
    fn read_line(&mut self, stream: &mut impl Read) -> Option<Vec<u8>> {
        let mut scanned = self.start;
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.buffer[scanned..]) {
                let line = self.buffer[self.start..scanned + end].to_vec();
                self.start = scanned + end + 1;
                return Some(line);
            }
            self.buffer.drain(..self.start);
            self.start = 0;
            scanned = self.buffer.len();
            let mut chunk = [0; 16 * 1024];
            match stream.read(&mut chunk) {
                Ok(0) => break,
                Ok(n) => self.buffer.extend_from_slice(&chunk[..n]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        let rest = std::mem::take(&mut self.buffer);
        (!rest.is_empty()).then_some(rest)
    }
}

/// Completes and hints while the user types.
#[derive(Default)]
pub struct Assistant {
    docs: Rc<CommandDocs>,
    hints: bool,
}

/// A hint is only shown: it names arguments, and is nothing that could be taken over into the line.
pub struct ArgumentHint(String);

impl Hint for ArgumentHint {
    fn display(&self) -> &str {
        &self.0
    }

    fn completion(&self) -> Option<&str> {
        None
    }
}

impl Hinter for Assistant {
    type Hint = ArgumentHint;

    fn hint(&self, line: &str, pos: usize, _: &Context<'_>) -> Option<ArgumentHint> {
        if !self.hints || pos < line.len() {
            return None;
        }
        let hint = hints::hint_for_line(&self.docs, line.as_bytes())?;
        let gap = if line.ends_with(|c: char| c.is_ascii_whitespace()) { "" } else { " " };
        Some(ArgumentHint(format!("{gap}{hint}")))
    }
}

impl Completer for Assistant {
    type Candidate = String;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(help::completions(&self.docs, &line[..pos]))
    }
}

impl Highlighter for Assistant {
    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        Cow::Owned(format!("\x1b[0;90;49m{hint}\x1b[0m"))
    }
}

impl Validator for Assistant {}

impl Helper for Assistant {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_split_into_lines() {
        let mut reader = StreamReader::default();
        let mut stream: &[u8] = b"one\n\ntwo\r\nrest";
        assert_eq!(reader.read_line(&mut stream).as_deref(), Some(b"one".as_slice()));
        assert!(reader.has_line());
        assert_eq!(reader.read_line(&mut stream).as_deref(), Some(b"".as_slice()));
        assert_eq!(reader.read_line(&mut stream).as_deref(), Some(b"two\r".as_slice()));
        assert!(!reader.has_line());
        assert_eq!(reader.read_line(&mut stream).as_deref(), Some(b"rest".as_slice()));
        assert_eq!(reader.read_line(&mut stream), None);
    }

    #[test]
    fn a_line_may_arrive_in_pieces() {
        let long = "x".repeat(100_000) + "\ny\n";
        let mut reader = StreamReader::default();
        let mut stream = long.as_bytes();
        assert_eq!(reader.read_line(&mut stream).unwrap().len(), 100_000);
        assert_eq!(reader.read_line(&mut stream).as_deref(), Some(b"y".as_slice()));
    }
}
