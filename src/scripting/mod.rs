//! Scripts: Lua programs that clients send, and that run commands as clients do.
//!
//! - `eval.rs` has EVAL and its kin, and the cache of their scripts.
//! - `functions/` has FUNCTION and FCALL, and the libraries.
//! - `script.rs` is what all scripts have in common: the checks before one runs, its commands, its end, and what happens when
//!   it takes too long.
//! - `script_lua/` is Lua: the states, the sandbox, the API that scripts see, the conversion of replies. All unsafe code of
//!   this folder is there, behind the boundary that `script_lua/boundary.rs` describes.

pub mod eval;
pub mod functions;
pub mod script;
pub mod script_lua;

use crate::server::Client;

/// What the server keeps about scripts.
#[derive(Debug)]
pub struct State {
    /// The scripts of EVAL.
    pub eval: eval::State,
    /// The libraries of functions.
    pub functions: functions::Functions,
    /// The script that runs, if one does.
    pub running: Option<script::Run>,
    /// Whether it has been running for so long that clients are served meanwhile.
    pub busy: bool,
    /// The debugger.
    pub debugger: script_lua::ldb::Debugger,
    /// The client whose commands scripts' are, while no script runs.
    client: Option<Box<Client>>,
}

impl State {
    /// No scripts.
    #[allow(clippy::new_without_default)] // it holds a Lua state, which is no default value
    pub fn new() -> State {
        State {
            eval: eval::State::new(),
            functions: functions::Functions::default(),
            running: None,
            busy: false,
            debugger: script_lua::ldb::Debugger::default(),
            client: None,
        }
    }

    /// Bytes that the Lua states hold, which the server's own account does not have.
    pub fn engines_bytes(&self) -> usize {
        self.eval.engine().used_memory() + self.functions.vm_bytes()
    }

    /// Bytes that scripts and libraries take beside that.
    pub fn cache_bytes(&self) -> usize {
        self.eval.cache_bytes() + self.functions.libraries.mem_bytes()
    }
}
