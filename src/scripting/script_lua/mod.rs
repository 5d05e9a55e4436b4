//! Lua as the scripts' language: states, the sandbox, the API, the conversion of values.
//!
//! - `boundary.rs` says how Lua functions are written in Rust without a Lua error ever jumping over a destructor. Whoever adds
//!   one reads it first.
//! - `alloc.rs` counts and bounds the memory of a state.
//! - `cjson/`, `cmsgpack/`, `lua_struct/` and `bit.rs` are the libraries that scripts find beside Lua's own, in two layers each: the
//!   format, which knows no Lua, and the functions. `output.rs` bounds what they write; `library_sandbox.rs` tries them alone.
//! - `lua_strpattern/` has Lua's functions of patterns, rewritten so that a script cannot be stuck in them.
//! - `sandbox.rs` makes the world that scripts see, read-only and without Lua 5.1's holes.
//! - `redis_api.rs` is the table `redis`.
//! - `function_lua.rs` loads libraries of functions.
//! - `ldb/` is the debugger, which walks through a script of EVAL line by line.
//! - `convert.rs` makes Lua values of replies, and replies of Lua values.
//!
//! This file has the [`Engine`], one for EVAL and one for functions, and [`invoke`], which runs a script in it.
//!
//! # How callbacks find the server
//!
//! A callback gets a Lua state and nothing else. From the state it comes to the [`Host`], and there, while a script runs, to
//! the [`Link`]: the server and the script's client. That is the one place where `&mut Server` is recovered from a pointer.
//! It is sound because [`invoke`] holds the only reference and does not use it from the moment it sets the link until Lua has
//! returned, and because callbacks do not nest: a command that a script runs is never a script itself, and clients that are
//! served while a script runs for too long are kept from running one. The debugger has Lua run code of its user's from within a
//! hook; it holds no reference meanwhile.

pub mod alloc;
pub mod bit;
pub mod boundary;
#[cfg(test)]
mod bounds_tests;
pub mod cjson;
pub mod cmsgpack;
pub mod convert;
pub mod function_lua;
pub mod ldb;
pub mod library_sandbox;
pub mod lua_strpattern;
pub mod lua_struct;
mod output;
pub mod redis_api;
#[cfg(test)]
mod reply_tests;
pub mod sandbox;
#[cfg(test)]
mod testing;

use std::ffi::c_int;
use std::ops::Range;

use mlua_sys::*;

use alloc::Host;
use boundary::{Raise, Returns, push_bytes, to_bytes};
use convert::Writer;

use super::script::{self, Callable, Kind};
use crate::io::monotonic;
use crate::lua_hook;
use crate::server::{Argv, Client, Server};

/// What the registry of a state holds, by number. References to scripts have larger numbers.
pub mod registry {
    use std::ffi::c_int;

    /// The globals.
    pub const GLOBALS: c_int = 1;
    /// What scripts see as the globals: those of EVAL the globals, functions a table in front of them.
    pub const ENVIRONMENT: c_int = 2;
    /// The handler of errors that end a script.
    pub const ERROR_HANDLER: c_int = 3;
    /// What takes the place of the globals while a library is loaded.
    pub const LOADING_GLOBALS: c_int = 4;
    /// The address of what is known of the library that is loaded.
    pub const LOADING: c_int = 5;
}

/// Instructions of a script until the clock is first looked at. From then on their number follows what they take.
const FIRST_LOOK: c_int = 200;

/// The most instructions between two looks at the clock: plain ones take some microseconds together.
const MOST_INSTRUCTIONS: c_int = 2_000;

/// The fewest.
const FEWEST_INSTRUCTIONS: c_int = 10;

/// If as many nanoseconds pass between two looks, the next one comes after fewer instructions. An instruction may call a
/// function that takes long, as joining long strings does.
const LOOKS_APART_NS: u64 = 5_000_000;

/// Scripts after which garbage is collected for a moment, so that what a large one has left does not wait for many small ones.
const COLLECT_AFTER: u32 = 50;

/// A state of no more bytes is left to Lua's own pace, which lets it double: the libraries alone take a tenth of this.
const SMALL_STATE: usize = 512 * 1024;

/// Kilobytes that such a moment is to deal with.
const COLLECT_KB: c_int = 50;

/// Lua's habits of collecting garbage, in percent: `LUAI_GCPAUSE` and `LUAI_GCMUL`.
const COLLECTOR_HABITS: c_int = 200;

/// Who is to be found from within the script that runs.
#[derive(Debug, Clone, Copy)]
pub struct Link {
    /// The server.
    pub srv: *mut Server,
    /// The client whose commands the script's are.
    pub client: *mut Client,
    /// The client that has called the script.
    caller: *const Client,
    /// The main thread of Lua, for which that of a coroutine stands in while it runs.
    main: *mut lua_State,
}

/// A Lua state and what belongs to it.
#[derive(Debug)]
pub struct Engine {
    l: *mut lua_State,
    /// From [`Host::leak`]: the state refers to it, so that no `Box` may own it meanwhile.
    host: *const Host,
}

// SAFETY: a state is bound to no thread, only to one at a time, which ownership ensures.
unsafe impl Send for Engine {}

impl Engine {
    /// A state with the libraries and the API, read-only, for scripts of this kind.
    pub fn new(kind: Kind) -> Engine {
        let host = Host::leak();
        // SAFETY: `allocate` is an allocator as Lua wants it, and the host outlives the state. The new state runs nothing.
        unsafe {
            let l = lua_newstate(alloc::allocate, host.cast_mut().cast());
            assert!(!l.is_null(), "memory is refused to running scripts only");
            sandbox::open(l, kind);
            lua_pushcclosure(l, redis_api::on_error, 0);
            lua_rawseti_(l, LUA_REGISTRYINDEX, registry::ERROR_HANDLER);
            Engine { l, host }
        }
    }

    /// The state, which lives as long as the engine.
    pub fn state(&self) -> *mut lua_State {
        self.l
    }

    /// What belongs to the state.
    fn host(&self) -> &Host {
        // SAFETY: it is freed after the state, when the engine is dropped, and is only ever shared.
        unsafe { &*self.host }
    }

    /// Bytes that the state holds.
    pub fn used_memory(&self) -> usize {
        self.host().used()
    }

    /// Has scripts end in an error when the state holds more than this, in place of half of the machine's memory.
    pub fn limit_memory(&self, bytes: usize) {
        self.host().set_limit(bytes);
    }

    /// Compiles a source under a name as `luaL_loadbuffer` takes it, and answers the number by which the registry knows the
    /// function; or what is wrong with the source.
    pub fn compile(&mut self, source: &[u8], name: &str) -> Result<c_int, Vec<u8>> {
        let l = self.l;
        // SAFETY: the state runs nothing, so memory is not refused and its stack is free.
        unsafe {
            lua_settop(l, 0);
            if sandbox::compile(l, source, name) {
                let function = luaL_ref(l, LUA_REGISTRYINDEX);
                self.collect_garbage();
                return Ok(function);
            }
            let error = to_bytes(l, -1).unwrap_or_default().to_vec();
            lua_settop(l, 0);
            Err(error)
        }
    }

    /// Collects garbage now and then: to be called when a script has run, or was compiled.
    pub fn collect_garbage(&self) {
        // SAFETY: the state is live, and runs nothing.
        unsafe { collect_garbage(self.l, self.host()) }
    }

    /// Forgets a function that [`Engine::compile`] gave.
    pub fn forget(&mut self, function: c_int) {
        // SAFETY: as above.
        unsafe { luaL_unref(self.l, LUA_REGISTRYINDEX, function) }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // SAFETY: the state is this engine's own, and no Lua code runs while its engine is dropped. Nobody else knows the host.
        unsafe {
            lua_close(self.l);
            Host::free(self.host);
        }
    }
}

/// Runs a script and writes its reply to the client that asked for it. `client` is whose commands the script's are.
/// Answers whether the reply is, or has in it, an error.
pub fn invoke(srv: &mut Server, c: &mut Client, client: &mut Client, call: &Callable) -> bool {
    let l = call.engine(srv).state();
    let threshold = srv.config.busy_reply_threshold;
    let debugged = srv.scripting.debugger.session.is_some();
    // SAFETY: the engine outlives the run, since no command that drops one may run meanwhile. The state runs nothing yet, so
    // its stack is free and memory is not refused. `srv`, `client` and `c` are not used between setting the link
    // and clearing it.
    unsafe {
        let host = &*Host::of(l);
        lua_settop(l, 0);
        lua_rawgeti_(l, LUA_REGISTRYINDEX, registry::ERROR_HANDLER);
        lua_rawgeti_(l, LUA_REGISTRYINDEX, call.function);
        let arguments = push_arguments(l, &c.argv, call);
        host.set_link(Some(Link {
            srv: &raw mut *srv,
            client: &raw mut *client,
            caller: &raw const *c,
            main: l,
        }));
        if debugged {
            ldb::hook::install(l);
        } else if threshold > 0 {
            host.set_looks(FIRST_LOOK, srv.clock.mono_ns);
            lua_sethook(l, Some(on_count), LUA_MASKCOUNT, FIRST_LOOK);
        }
        host.set_bounded(true);
        let status = lua_pcall(l, arguments, 1, 1);
        host.set_bounded(false);
        lua_sethook(l, None, 0, 0);
        host.set_link(None);
        let mut writer = Writer {
            out: &mut c.out,
            stats: &mut srv.stats,
            script_resp3: client.out.resp3(),
            failed: false,
        };
        if status == LUA_OK {
            writer.write(l);
        } else {
            write_error(l, &mut writer, &call.name);
        }
        lua_settop(l, 0);
        collect_garbage(l, host);
        writer.failed
    }
}

/// Pushes what the script is called with, or sets it in the globals, and answers how many values it is. The function is on
/// top; what an earlier script has done to its environment is undone.
unsafe fn push_arguments(l: *mut lua_State, argv: &Argv, call: &Callable) -> c_int {
    // SAFETY: see `invoke`.
    unsafe {
        sandbox::restore_environment(l);
        if call.kind == Kind::Function {
            push_list(l, argv, call.keys.clone());
            push_list(l, argv, call.args.clone());
            return 2;
        }
        lua_pushvalue(l, LUA_GLOBALSINDEX);
        lua_pushvalue(l, -1);
        lua_setfenv(l, -3);
        sandbox::lua_setreadonly(l, -1, 0);
        for (name, range) in [(b"KEYS", &call.keys), (b"ARGV", &call.args)] {
            push_bytes(l, name);
            push_list(l, argv, range.clone());
            lua_rawset(l, -3);
        }
        sandbox::lua_setreadonly(l, -1, 1);
        lua_settop(l, -2);
        0
    }
}

/// Pushes a table of some of the arguments.
unsafe fn push_list(l: *mut lua_State, argv: &Argv, range: Range<usize>) {
    // SAFETY: see `invoke`.
    unsafe {
        lua_createtable(l, range.len() as c_int, 0);
        for (i, arg) in range.enumerate() {
            push_bytes(l, argv.get(arg));
            lua_rawseti_(l, -2, i as c_int + 1);
        }
    }
}

/// Writes the error on top, with which a script has ended.
unsafe fn write_error(l: *mut lua_State, writer: &mut Writer<'_>, name: &str) {
    // SAFETY: see `invoke`.
    unsafe {
        if lua_type(l, -1) != LUA_TTABLE {
            // Not even the handler could run: memory, or an error within it.
            let reason = to_bytes(l, -1).unwrap_or(b"execution failure");
            let text =
                [b"ERR Error running script ", name.as_bytes(), b", ", &reason[..reason.len().min(100)]];
            return writer.error(&text.concat(), true);
        }
        let field = |field: &[u8]| {
            push_bytes(l, field);
            lua_rawget_(l, -2);
            let text = to_bytes(l, -1).map(|text| convert::error_text(text).to_vec());
            lua_settop(l, -2);
            text
        };
        let mut text = field(b"err").unwrap_or_else(|| b"ERR unknown error".to_vec());
        if let (Some(source), Some(line)) = (field(b"source"), field(b"line")) {
            let position = [b" script: ", name.as_bytes(), b", on ", &source, b":", &line, b"."];
            text.extend_from_slice(&position.concat());
        }
        let counted_already = convert::has_true(l, b"ignore_error_stats_update");
        writer.error(&text, !counted_already);
    }
}

/// Collects garbage now and then, and has Lua collect it as ever if the script has meddled with that.
unsafe fn collect_garbage(l: *mut lua_State, host: &Host) {
    // SAFETY: see `invoke`. There are no finalizers.
    unsafe {
        if host.is_half_full() {
            // Lua collects nothing when memory is refused. The next script is not to suffer from what this one has left.
            lua_gc(l, LUA_GCCOLLECT, 0);
        }
        if host.take_collector_touched() {
            lua_gc(l, LUA_GCRESTART, 0);
            lua_gc(l, LUA_GCSETPAUSE, COLLECTOR_HABITS);
            lua_gc(l, LUA_GCSETSTEPMUL, COLLECTOR_HABITS);
        }
        if host.count_run() >= COLLECT_AFTER {
            host.reset_runs();
            if host.used() > SMALL_STATE {
                lua_gc(l, LUA_GCSTEP, COLLECT_KB);
            }
        }
    }
}

lua_hook! {
    /// What Lua calls every so many instructions; and at every line, once the script is to end.
    fn on_count = counted;
}

/// Looks at the clock, and says when to do so next.
unsafe fn counted(l: *mut lua_State) -> Returns {
    // SAFETY: as a hook is called; every state has a host.
    unsafe {
        interrupt(l)?;
        let host = &*Host::of(l);
        let (instructions, last_ns) = host.looks();
        let now_ns = monotonic::now_ns();
        let next = match now_ns.saturating_sub(last_ns) > LOOKS_APART_NS {
            true => (instructions / 4).max(FEWEST_INSTRUCTIONS),
            false => (instructions * 2).min(MOST_INSTRUCTIONS),
        };
        host.set_looks(next, now_ns);
        if next != instructions {
            lua_sethook(l, Some(on_count), LUA_MASKCOUNT, next);
        }
        Ok(0)
    }
}

/// Looks at the clock from within a function that takes long: it is to be called as the hook is.
unsafe fn look(l: *mut lua_State) -> Returns {
    // SAFETY: called by shells through `boundary::enter`; every state has a host.
    unsafe { if (*Host::of(l)).link().is_some() { interrupt(l) } else { function_lua::time_is_up(l) } }
}

/// Serves events if the script has run for too long, and raises an error if it was killed. From then on every line raises it
/// again, in whichever coroutine, so that `pcall` cannot hold it back.
unsafe fn interrupt(l: *mut lua_State) -> Returns {
    // SAFETY: hooks are set while a script runs only, when the link is valid: see the top of this file.
    unsafe {
        let Some(link) = (*Host::of(l)).link() else { return Ok(0) };
        if (*link.srv).scripting.debugger.session.is_some() {
            return ldb::hook::look(l);
        }
        if !script::interrupt(&mut *link.srv, &*link.caller) {
            return Ok(0);
        }
        for thread in [l, link.main] {
            lua_sethook(thread, Some(on_count), LUA_MASKLINE, 0);
        }
        convert::push_error(l, b"Script killed by user with SCRIPT KILL...");
        Err(Raise::VALUE)
    }
}
