//! Ctrl-C in interactive use: it ends the program, unless messages are streaming in, when it ends just the stream.
//!
//! SIGINT is blocked in every thread and taken by one that waits for nothing else. That thread runs ordinary code, not
//! code in a signal handler: it may lock, and it wakes the reader of a stream by hanging up its connection.

use std::process;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use nix::sys::signal::{SigSet, Signal};

use super::connection::Hangup;

/// What the signal thread and the session share.
#[derive(Default)]
struct State {
    /// The connection to hang up, while one streams.
    stream: Option<Hangup>,
    /// Whether the stream was ended, and nobody has asked yet.
    ended: bool,
}

/// The session's side of Ctrl-C. Without [`Interrupts::watch`], SIGINT does what it does in any program.
#[derive(Clone, Default)]
pub struct Interrupts {
    state: Arc<Mutex<State>>,
}

impl Interrupts {
    /// Begins to handle SIGINT. Call it before other threads start, and once.
    ///
    /// # Errors
    ///
    /// When the signal cannot be blocked or no thread be started.
    pub fn watch(&self) -> std::io::Result<()> {
        let mut signals = SigSet::empty();
        signals.add(Signal::SIGINT);
        signals.thread_block()?;
        let interrupts = self.clone();
        thread::Builder::new().name("signals".to_string()).spawn(move || {
            while signals.wait().is_ok() {
                if !interrupts.end_stream() {
                    process::exit(1);
                }
            }
        })?;
        Ok(())
    }

    /// From now on an interrupt hangs up `stream`, or ends the program if it is `None`.
    pub fn set_stream(&self, stream: Option<Hangup>) {
        self.lock().stream = stream;
    }

    /// Whether an interrupt ended the stream since this was last asked.
    pub fn take_ended(&self) -> bool {
        std::mem::take(&mut self.lock().ended)
    }

    /// Ends the stream. Returns whether there was one.
    fn end_stream(&self) -> bool {
        let mut state = self.lock();
        let Some(stream) = state.stream.take() else { return false };
        state.ended = true;
        stream.hang_up();
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Whoever panicked cannot have left the two fields half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
