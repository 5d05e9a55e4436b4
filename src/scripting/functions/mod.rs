//! Functions: Lua that is kept on the server by name, in libraries.
//!
//! A library is a source whose first line names it (`header`). When it is loaded its source runs once, and registers its
//! functions; FCALL then calls them by name. Libraries are part of the dataset: they are saved with it, replicated, and
//! dumped and restored as a payload. `library` keeps them and their names; compiling, and what a source may do while it
//! is loaded, is [`function_lua`]'s. A function runs as a script does: [`script::run`](crate::scripting::script::run).
//!
//! Functions have a Lua state of their own, apart from that of EVAL. It is made when the first library is loaded. FUNCTION
//! FLUSH drops it as a whole, which for many libraries is done by another thread.

mod commands;
mod error;
mod header;
mod library;
mod payload;

use std::sync::Arc;

use bytes::Bytes;

use crate::db::lazyfree;
use crate::scripting::script_lua::{Engine, function_lua};
use crate::server::{Client, ClientFlags, Server};

pub use commands::{
    fcall, fcall_ro, flags_of, function_delete, function_flush, function_help, function_kill, function_list,
    function_load, function_stats,
};
pub use error::LoadError;
pub use header::is_name;
pub use library::{Function, Libraries, Library};
pub use payload::{function_dump, function_restore};

/// How long the source of a library may take to register its functions, when a client has sent it.
const LOAD_TIMEOUT_MS: u64 = 500;

/// What FUNCTION RESTORE does with the libraries there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Policy {
    /// Removes them all.
    Flush,
    /// Keeps them, and adds nothing if one has the name of a new one.
    Append,
    /// Keeps those that have not the name of a new one.
    Replace,
}

/// The libraries, and the engine that has compiled them.
#[derive(Debug, Default)]
pub struct Functions {
    /// The libraries.
    pub libraries: Libraries,
    /// The Lua state, once there has been a library.
    engine: Option<Engine>,
}

impl Functions {
    /// Bytes that the engine has allocated.
    pub fn vm_bytes(&self) -> usize {
        self.engine.as_ref().map_or(0, Engine::used_memory)
    }

    /// The engine, which is there when a function is.
    ///
    /// # Panics
    /// If there has been no library.
    pub fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("functions have been compiled by an engine")
    }

    /// The sources of all libraries, as files and payloads hold them.
    pub fn sources(&self) -> impl Iterator<Item = &Bytes> + '_ {
        self.libraries.iter().map(|library| &library.source)
    }

    /// Adds a library, in place of its namesake if it may `replace` that. Its name is returned.
    fn load(&mut self, source: Bytes, replace: bool, limit_ms: Option<u64>) -> Result<Box<[u8]>, LoadError> {
        let library = compile(&mut self.engine, &self.libraries, source, replace, limit_ms)?;
        let name = library.name.clone();
        let (outcome, leaves) = match self.libraries.insert(library) {
            Ok(replaced) => (Ok(name), replaced),
            Err((error, library)) => (Err(error), Some(library)),
        };
        self.release(leaves.as_slice());
        outcome
    }

    /// Adds the libraries of a payload: all or none.
    ///
    /// Upstream lets a source from a payload run for as long as it likes. A client could stop the server so; here it is
    /// held to the limit of FUNCTION LOAD.
    fn restore(
        &mut self,
        sources: Vec<Vec<u8>>,
        policy: Policy,
        limit_ms: Option<u64>,
    ) -> Result<(), LoadError> {
        let mut brought = Functions { engine: self.engine.take(), ..Functions::default() };
        let read =
            sources.into_iter().try_for_each(|source| brought.load(source.into(), false, limit_ms).map(drop));
        self.engine = brought.engine;
        let (outcome, leave) = match read.map(|()| policy) {
            Err(error) => (Err(error), brought.libraries.into_libraries().collect()),
            Ok(Policy::Flush) => {
                let before = std::mem::replace(&mut self.libraries, brought.libraries);
                (Ok(()), before.into_libraries().collect())
            }
            Ok(policy) => match self.libraries.join(brought.libraries, policy == Policy::Replace) {
                Ok(replaced) => (Ok(()), replaced),
                Err((error, refused)) => (Err(error), refused.into_libraries().collect()),
            },
        };
        self.release(&leave);
        outcome
    }

    /// Removes a library, if there is one of this name.
    fn delete(&mut self, name: &[u8]) -> bool {
        let library = self.libraries.remove(name);
        self.release(library.as_slice());
        library.is_some()
    }

    /// Gives back what the engine holds of libraries that are no longer there.
    fn release<'a>(&mut self, libraries: impl IntoIterator<Item = &'a Library>) {
        let Some(engine) = &mut self.engine else { return };
        for library in libraries {
            library.functions.iter().for_each(|function| engine.forget(function.callback));
        }
    }
}

/// Compiles a library that is to stand `among` others, in place of its namesake if it may `replace` that.
fn compile(
    engine: &mut Option<Engine>,
    among: &Libraries,
    source: Bytes,
    replace: bool,
    limit_ms: Option<u64>,
) -> Result<Library, LoadError> {
    let header::Header { name, code } = header::parse(&source)?;
    if !replace && among.get(&name).is_some() {
        return Err(LoadError::LibraryExists(name));
    }
    let functions = function_lua::load(engine.get_or_insert_with(function_lua::new_engine), code, limit_ms)?;
    if functions.is_empty() {
        return Err(LoadError::NoFunctions);
    }
    let functions = functions.into_iter().map(Arc::new).collect();
    Ok(Library { name, source: source.clone(), functions })
}

/// Adds a library from a file or from whom this server follows, in place of its namesake if it may `replace` that. What these
/// send is trusted to end.
///
/// # Errors
/// Why it is refused; nothing has changed then.
pub fn load_library(srv: &mut Server, source: Bytes, replace: bool) -> Result<(), LoadError> {
    srv.scripting.functions.load(source, replace, None).map(drop)
}

/// Removes all libraries. Those of many functions are freed in the background if that is to be done `lazily`.
pub fn flush(srv: &mut Server, lazily: bool) {
    let functions = std::mem::take(&mut srv.scripting.functions);
    let count = functions.libraries.functions_len();
    if lazily && count > lazyfree::LAZY_MIN {
        // The Lua state counts as one more.
        lazyfree::dispose_of(srv, functions, count as u64 + 1);
    }
}

/// How long a source that this client has sent may take to be loaded. What a log tells was accepted once, in time.
fn load_limit(c: &Client) -> Option<u64> {
    (!c.flags.contains(ClientFlags::OBEYED)).then_some(LOAD_TIMEOUT_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::testing::Bench;
    use crate::server::{Argv, dispatch};

    const LIBRARY: &str = "#!lua name=lib\nredis.register_function('f', function(keys, args)\n\
        redis.call('SET', keys[1], redis.call('TIME')[1] * 0) return redis.call('INCR', keys[1]) end)";

    /// Runs a command, and tells what it replies and what it leaves for replicas and the append-only file.
    fn run(bench: &mut Bench, words: &[&[u8]]) -> (Vec<u8>, Vec<Vec<Bytes>>) {
        bench.srv.propagation.sent.clear();
        bench.client.argv = Argv::from_args(words);
        let spec = bench.srv.commands.lookup(words[0]);
        dispatch::process_command(&mut bench.srv, &mut bench.client, spec);
        let left = bench.srv.propagation.sent.iter().map(|op| op.args.clone()).collect();
        (bench.client.out.take_bytes(), left)
    }

    /// Checks that a command succeeds and leaves itself.
    fn leaves_itself(bench: &mut Bench, words: &[&[u8]]) {
        let (reply, left) = run(bench, words);
        assert!(!reply.starts_with(b"-"), "{}", reply.escape_ascii());
        assert_eq!(left, [words], "{}", reply.escape_ascii());
    }

    /// Checks that a command leaves nothing, whether it succeeds or not, and returns its reply.
    fn leaves_nothing(bench: &mut Bench, words: &[&[u8]]) -> Vec<u8> {
        let (reply, left) = run(bench, words);
        assert!(left.is_empty(), "{left:?}");
        reply
    }

    #[test]
    fn what_changes_the_libraries_is_passed_on_as_sent_and_nothing_else_is() {
        let bench = &mut Bench::new();
        let library = LIBRARY.as_bytes();
        leaves_itself(bench, &[b"FUNCTION", b"LOAD", library]);
        assert!(leaves_nothing(bench, &[b"FUNCTION", b"LOAD", library]).starts_with(b"-ERR"));
        leaves_itself(bench, &[b"FUNCTION", b"LOAD", b"REPLACE", library]);
        let dump = leaves_nothing(bench, &[b"FUNCTION", b"DUMP"]);
        let from = dump.iter().position(|b| *b == b'\n').expect("a header ends") + 1;
        let payload = &dump[from..dump.len() - 2];
        assert!(leaves_nothing(bench, &[b"FUNCTION", b"RESTORE", payload]).starts_with(b"-ERR"));
        assert!(leaves_nothing(bench, &[b"FUNCTION", b"RESTORE", b"damaged", b"FLUSH"]).starts_with(b"-ERR"));
        leaves_itself(bench, &[b"FUNCTION", b"RESTORE", payload, b"REPLACE"]);
        leaves_itself(bench, &[b"FUNCTION", b"RESTORE", payload, b"FLUSH"]);
        for reads in [&b"LIST"[..], b"STATS", b"HELP"] {
            leaves_nothing(bench, &[b"FUNCTION", reads]);
        }
        assert!(leaves_nothing(bench, &[b"FUNCTION", b"DELETE", b"nosuch"]).starts_with(b"-ERR"));
        leaves_itself(bench, &[b"FUNCTION", b"DELETE", b"lib"]);
        leaves_itself(bench, &[b"FUNCTION", b"RESTORE", payload]);
        leaves_itself(bench, &[b"FUNCTION", b"FLUSH", b"ASYNC"]);
        leaves_itself(bench, &[b"FUNCTION", b"FLUSH"]);
    }

    #[test]
    fn of_a_function_its_effects_are_passed_on() {
        let bench = &mut Bench::new();
        run(bench, &[b"FUNCTION", b"LOAD", LIBRARY.as_bytes()]);
        bench.check_propagation("FCALL f 1 key -> MULTI; SET key 0; INCR key; EXEC");
        assert!(leaves_nothing(bench, &[b"FCALL_RO", b"f", b"1", b"key"]).starts_with(b"-ERR"));
        assert!(leaves_nothing(bench, &[b"FCALL", b"nosuch", b"0"]).starts_with(b"-ERR"));
    }

    #[test]
    fn a_log_is_given_the_time_it_needs() {
        let bench = &mut Bench::new();
        let slow = b"#!lua name=slow\nfor i = 1, 2^40 do end redis.register_function('f', function() end)";
        let (reply, _) = run(bench, &[b"FUNCTION", b"LOAD", slow]);
        assert!(reply.ends_with(b"FUNCTION LOAD timeout\r\n"), "{}", reply.escape_ascii());
        assert_eq!(load_limit(&bench.client), Some(LOAD_TIMEOUT_MS));
        bench.client.flags.insert(ClientFlags::OBEYED);
        assert_eq!(load_limit(&bench.client), None);
        leaves_itself(bench, &[b"FUNCTION", b"LOAD", LIBRARY.as_bytes()]);
    }
}
