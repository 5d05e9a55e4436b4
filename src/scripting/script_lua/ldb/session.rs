//! A session: the state of one debugged script.

use std::ffi::c_int;

use mlua_sys::*;

use super::super::boundary::{push_bytes, to_bytes, type_name};
use super::show::Text;
use super::source::{Breakpoints, Source};
use super::wire::Wire;
use crate::io::monotonic;

/// Bytes to which values and replies are trimmed, until the user says otherwise.
const MAXLEN: usize = 256;

/// Words of a command that are shown.
const MOST_WORDS: usize = 10;

/// Told once, when something was trimmed.
const HINT: &str = "<hint> The above reply was trimmed. Use 'maxlen 0' to disable trimming.";

/// What SCRIPT DEBUG has set, and the user of the debugger has changed since.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whether the server itself runs the script, and serves nobody else meanwhile.
    pub sync: bool,
    /// Whether the script stops at the next line, and what it calls until then is logged.
    pub step: bool,
    /// Whether `redis.breakpoint()` was called: the script stops at the next line.
    pub stop_next: bool,
    /// Where it stops.
    pub breakpoints: Breakpoints,
    /// Bytes that are shown of a value or a reply; 0 for all.
    pub maxlen: usize,
    /// Whether the user knows that there is such a limit.
    pub hinted: bool,
}

impl Settings {
    /// A script is to stop at its first line.
    pub fn new(sync: bool) -> Settings {
        Settings {
            sync,
            step: true,
            stop_next: false,
            breakpoints: Breakpoints::default(),
            maxlen: MAXLEN,
            hinted: false,
        }
    }
}

/// What the debugger has Lua run while the script stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evaluation {
    /// Code of the user's, whose value is shown.
    Code,
    /// A command, which is logged as the script's are.
    Command,
}

/// The state of one debugged script.
#[derive(Debug)]
pub struct Session {
    /// The conversation with the client.
    pub wire: Wire,
    /// What the script is, and where it stands.
    pub source: Source,
    /// When it stops, and what is shown.
    pub settings: Settings,
    /// What Lua runs for the debugger, if it does.
    pub evaluation: Option<Evaluation>,
    /// Whether the script stands because it seemed to run forever.
    pub timed_out: bool,
    /// Whether the script is to end: nobody is there to stop it, and it would run forever.
    pub doomed: bool,
    /// Monotonic nanoseconds at which it has begun or gone on.
    resumed_ns: u64,
}

impl Session {
    /// A session about a script that is about to begin.
    pub fn new(wire: Wire, settings: Settings, script: &[u8]) -> Session {
        Session {
            wire,
            source: Source::new(script),
            settings,
            evaluation: None,
            timed_out: false,
            doomed: false,
            resumed_ns: monotonic::now_ns(),
        }
    }

    /// Whether what the script calls is logged: in the line at which it stood last.
    pub fn logs_calls(&self) -> bool {
        self.settings.step
    }

    /// Notes that the script goes on.
    pub fn resume(&mut self) {
        self.timed_out = false;
        self.resumed_ns = monotonic::now_ns();
    }

    /// Has the script run to its end: there is nobody to stop for any more.
    pub fn detach(&mut self) {
        self.settings.step = false;
        self.settings.stop_next = false;
        self.settings.breakpoints.clear();
    }

    /// Milliseconds since the script has begun or gone on.
    pub fn elapsed_ms(&self) -> u64 {
        monotonic::now_ns().saturating_sub(self.resumed_ns) / 1_000_000
    }

    /// Adds a line to what is sent when the script stops.
    pub fn log(&mut self, line: impl Into<Vec<u8>>) {
        self.wire.log(line.into());
    }

    /// Adds a line that may be trimmed.
    pub fn log_trimmed(&mut self, text: Text) {
        let (line, trimmed) = text.finish();
        self.log(line);
        if trimmed && !self.settings.hinted {
            self.settings.hinted = true;
            self.log(HINT);
        }
    }

    /// Logs a command that is about to be called.
    pub fn log_command<'a>(&mut self, words: impl ExactSizeIterator<Item = &'a [u8]>) {
        let mut line = b"<redis>".to_vec();
        let count = words.len();
        for (i, word) in words.enumerate() {
            line.push(b' ');
            if i == MOST_WORDS {
                line.extend_from_slice(format!("... ({} more)", count - i - 1).as_bytes());
                break;
            }
            line.extend_from_slice(word);
        }
        self.log(line);
    }

    /// Logs an error that a function of the API makes.
    pub fn log_error(&mut self, text: &[u8]) {
        self.log([b"<error> ", text].concat());
    }

    /// Logs the error on top of the stack, with which an evaluation has ended.
    ///
    /// # Safety
    /// `l` is a live state with free slots, and memory is not refused.
    pub unsafe fn log_error_value(&mut self, l: *mut lua_State) {
        // SAFETY: as the caller promises.
        unsafe {
            let top = lua_gettop(l);
            if lua_type(l, top) == LUA_TTABLE {
                push_bytes(l, b"err"); // An error of a command, most likely.
                lua_rawget(l, top);
            }
            let text = match to_bytes(l, -1) {
                Some(text) => text.to_vec(),
                None => format!("(a {} value)", type_name(l, top as c_int)).into_bytes(),
            };
            self.log_error(&text);
            lua_settop(l, top);
        }
    }
}
