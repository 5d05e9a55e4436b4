//! Libraries in Lua: what their sources may do while they are loaded, and how they register functions.
//!
//! All libraries share a state, and in it an *environment*: an empty table that they take for the globals. What it shows depends
//! on what goes on:
//!
//! ```text
//!                            ┌─ while a source is loaded ──▶ redis.register_function, redis.log, redis.LOG_*, redis.REDIS_VERSION*
//!   environment ── __index ──┤
//!                            └─ while functions run ───────▶ the globals of scripts: redis.call, string, table, cjson, …
//! ```
//!
//! So a source can register functions, and compute nothing worth mentioning, and a function cannot register. One that has
//! kept the `redis` of its loading is told so when it tries to use it.
//!
//! A source has a time limit when a client has sent it; a hook looks at the clock every so many instructions.

use std::collections::HashSet;
use std::ffi::c_int;
use std::ptr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mlua_sys::*;

use crate::scripting::functions::{Function, LoadError, is_name};
use crate::scripting::script::{Kind, ScriptFlags};
use crate::{lua_callback, lua_hook};

use super::alloc::Host;
use super::boundary::{Raise, Returns, push_bytes, set_function, to_bytes};
use super::sandbox::{self, lua_setreadonly};
use super::{Engine, convert, redis_api, registry};

/// What error messages call a library's source.
const CHUNK_NAME: &str = "@user_function";

/// Instructions between two looks at the clock.
const HOOK_INTERVAL: c_int = 100_000;

/// What is known while a source is loaded.
struct Loading {
    /// Functions that it has registered.
    functions: Vec<Function>,
    /// Their names in lower case.
    names: HashSet<String>,
    /// When it has to be done.
    deadline: Option<Instant>,
}

/// An engine for functions.
pub fn new_engine() -> Engine {
    let engine = Engine::new(Kind::Function);
    let l = engine.state();
    // SAFETY: a new state that runs nothing, in which no memory is refused; the registry's fields are set by `open`.
    unsafe {
        make_loading_globals(l);
        make_environment(l);
    }
    engine
}

/// Makes what is global while a source is loaded: a table with `redis` in it.
unsafe fn make_loading_globals(l: *mut lua_State) {
    // SAFETY: see `new_engine`.
    unsafe {
        lua_createtable(l, 0, 1);
        push_bytes(l, b"redis");
        lua_createtable(l, 0, 8);
        set_function(l, "register_function", register_function);
        redis_api::set_log_and_version(l);
        sandbox::make_strict(l);
        lua_setreadonly(l, -1, 1);
        lua_rawset(l, -3);
        sandbox::make_strict(l);
        lua_setreadonly(l, -1, 1);
        lua_rawseti_(l, LUA_REGISTRYINDEX, registry::LOADING_GLOBALS);
    }
}

/// Makes the table that libraries take for the globals. Unlike upstream's, its metatable is read-only: a function could show
/// others what it likes.
unsafe fn make_environment(l: *mut lua_State) {
    // SAFETY: see `new_engine`.
    unsafe {
        lua_createtable(l, 0, 0);
        lua_createtable(l, 0, 1);
        lua_setreadonly(l, -1, 1);
        lua_setmetatable(l, -2);
        lua_setreadonly(l, -1, 1);
        lua_rawseti_(l, LUA_REGISTRYINDEX, registry::ENVIRONMENT);
        show(l, registry::GLOBALS);
    }
}

/// Compiles and runs the source of a library, and returns the functions that it has registered.
///
/// # Errors
/// Why it is refused. Nothing is left of it then.
pub fn load(engine: &mut Engine, code: &[u8], limit_ms: Option<u64>) -> Result<Vec<Function>, LoadError> {
    let l = engine.state();
    let deadline = limit_ms.map(|ms| Instant::now() + Duration::from_millis(ms));
    let mut loading = Loading { functions: Vec::new(), names: HashSet::new(), deadline };
    // SAFETY: nothing runs in the state, so that nothing but what is called here uses it. `loading` is reached through
    // the registry alone until that has forgotten it.
    let outcome = unsafe {
        begin_loading(l, &raw mut loading);
        let outcome = compile_and_run(engine, code);
        end_loading(l);
        outcome
    };
    engine.collect_garbage();
    if outcome.is_err() {
        loading.functions.iter().for_each(|function| engine.forget(function.callback));
    }
    outcome.map(|()| loading.functions)
}

/// Shows the source what it may see, and has it watched.
unsafe fn begin_loading(l: *mut lua_State, loading: *mut Loading) {
    // SAFETY: as the caller's.
    unsafe {
        lua_pushlightuserdata(l, loading.cast());
        lua_rawseti_(l, LUA_REGISTRYINDEX, registry::LOADING);
        sandbox::restore_environment(l);
        show(l, registry::LOADING_GLOBALS);
        if (*loading).deadline.is_some() {
            lua_sethook(l, Some(look_at_the_clock), LUA_MASKCOUNT, HOOK_INTERVAL);
        }
    }
}

/// Ends what [`begin_loading`] began.
unsafe fn end_loading(l: *mut lua_State) {
    // SAFETY: as the caller's.
    unsafe {
        lua_sethook(l, None, 0, 0);
        show(l, registry::GLOBALS);
        lua_pushlightuserdata(l, ptr::null_mut());
        lua_rawseti_(l, LUA_REGISTRYINDEX, registry::LOADING);
    }
}

/// Has the environment show what the registry holds.
unsafe fn show(l: *mut lua_State, what: c_int) {
    // SAFETY: four slots of a state that runs nothing; the environment has a metatable.
    unsafe {
        lua_rawgeti_(l, LUA_REGISTRYINDEX, registry::ENVIRONMENT);
        lua_getmetatable(l, -1);
        lua_setreadonly(l, -1, 0);
        push_bytes(l, b"__index");
        lua_rawgeti_(l, LUA_REGISTRYINDEX, what);
        lua_rawset(l, -3);
        lua_setreadonly(l, -1, 1);
        lua_settop(l, -3);
    }
}

/// Compiles the source and runs it once.
unsafe fn compile_and_run(engine: &mut Engine, code: &[u8]) -> Result<(), LoadError> {
    let l = engine.state();
    // SAFETY: nothing runs in the state. What raises does so within `compile` and `lua_pcall`, which answer that; the error
    // is then on top.
    unsafe {
        lua_rawgeti_(l, LUA_REGISTRYINDEX, registry::ERROR_HANDLER);
        let outcome = if !sandbox::compile(l, code, CHUNK_NAME) {
            Err(LoadError::Compile(to_bytes(l, -1).unwrap_or_default().into()))
        } else if run(l) != LUA_OK {
            Err(LoadError::Register(error_text(l)))
        } else {
            Ok(())
        };
        lua_settop(l, 0);
        outcome
    }
}

/// Calls the function on top, with its memory bounded. The handler of errors is at the bottom.
unsafe fn run(l: *mut lua_State) -> c_int {
    // SAFETY: every state has a host, and nothing else runs in this one.
    unsafe {
        let host = Host::of(l);
        (*host).set_bounded(true);
        let status = lua_pcall(l, 0, 0, 1);
        (*host).set_bounded(false);
        status
    }
}

/// The text of the error on top of the stack.
unsafe fn error_text(l: *mut lua_State) -> Box<[u8]> {
    // SAFETY: as the caller's.
    unsafe {
        if lua_type(l, -1) != LUA_TTABLE {
            // Of errors for which no handler is called: memory is refused.
            return [b"ERR ", to_bytes(l, -1).unwrap_or_default()].concat().into();
        }
        push_bytes(l, b"err");
        lua_rawget_(l, -2);
        to_bytes(l, -1).unwrap_or_default().into()
    }
}

/// What is known of the source that is loaded; null if none is.
unsafe fn loading(l: *mut lua_State) -> *mut Loading {
    // SAFETY: a field of the registry, which holds an address or nothing.
    unsafe {
        lua_rawgeti_(l, LUA_REGISTRYINDEX, registry::LOADING);
        let loading = lua_touserdata(l, -1);
        lua_settop(l, -2);
        loading.cast()
    }
}

lua_hook! {
    /// Raises an error once time is up, and from then on at every line.
    fn look_at_the_clock = time_is_up;
}

/// Raises an error if a source is loaded and its time is up.
pub(super) unsafe fn time_is_up(l: *mut lua_State) -> Returns {
    // SAFETY: called as a callback is. What the registry tells lives while the source is loaded.
    unsafe {
        let deadline = loading(l).as_ref().and_then(|loading| loading.deadline);
        if deadline.is_none_or(|deadline| Instant::now() <= deadline) {
            return Ok(0);
        }
        lua_sethook(l, Some(look_at_the_clock), LUA_MASKLINE, 0);
        Err(raise(l, b"FUNCTION LOAD timeout"))
    }
}

/// An error without a position.
unsafe fn raise(l: *mut lua_State, text: &[u8]) -> Raise {
    // SAFETY: called by inner functions, with free slots.
    unsafe { convert::push_error(l, text) };
    Raise::VALUE
}

lua_callback! {
    /// `redis.register_function(name, callback)` and `redis.register_function{function_name=…, callback=…, …}`
    fn register_function = register;
}

unsafe fn register(l: *mut lua_State) -> Returns {
    // SAFETY: a callback's state, whose twenty slots suffice. While a source is loaded, what is known of it is reached
    // through this address alone.
    unsafe {
        let context = loading(l);
        if context.is_null() {
            let text = "redis.register_function can only be called on FUNCTION LOAD command";
            return Err(raise(l, text.as_bytes()));
        }
        let registered = read_arguments(l).and_then(|(name, rest)| add(l, &mut *context, name, rest));
        registered.map(|()| 0).map_err(|text| raise(l, text.as_bytes()))
    }
}

/// The slot that the callback is in when the arguments have been read.
const CALLBACK: c_int = 2;

/// What an author may say of a function besides its name.
#[derive(Default)]
struct Particulars {
    description: Option<Box<[u8]>>,
    flags: ScriptFlags,
}

/// Adds a function whose callback is in its slot.
unsafe fn add(
    l: *mut lua_State,
    loading: &mut Loading,
    name: Box<[u8]>,
    particulars: Particulars,
) -> Result<(), String> {
    let name = str::from_utf8(&name).ok().filter(|name| is_name(name.as_bytes()));
    let name: Arc<str> = name.ok_or_else(|| LoadError::BadName.to_string())?.into();
    if !loading.names.insert(name.to_ascii_lowercase()) {
        return Err(LoadError::FunctionTwice.to_string());
    }
    // SAFETY: there is a function in the slot; the reference is given back with the function.
    let callback = unsafe {
        lua_pushvalue(l, CALLBACK);
        luaL_ref(l, LUA_REGISTRYINDEX)
    };
    let Particulars { description, flags } = particulars;
    loading.functions.push(Function { name, description, flags, callback });
    Ok(())
}

/// Reads the arguments of `redis.register_function` and leaves the callback in its slot.
unsafe fn read_arguments(l: *mut lua_State) -> Result<(Box<[u8]>, Particulars), String> {
    // SAFETY: as the caller's.
    unsafe {
        match lua_gettop(l) {
            1 => read_named(l),
            2 => read_positional(l).map(|name| (name, Particulars::default())),
            _ => Err("wrong number of arguments to redis.register_function".into()),
        }
    }
}

unsafe fn read_positional(l: *mut lua_State) -> Result<Box<[u8]>, String> {
    // SAFETY: there are two arguments.
    unsafe {
        let name = to_bytes(l, 1).ok_or("first argument to redis.register_function must be a string")?;
        if lua_type(l, CALLBACK) != LUA_TFUNCTION {
            return Err("second argument to redis.register_function must be a function".into());
        }
        Ok(name.into())
    }
}

unsafe fn read_named(l: *mut lua_State) -> Result<(Box<[u8]>, Particulars), String> {
    let (mut name, mut particulars) = (None, Particulars::default());
    // SAFETY: there is one argument. The table is not changed, and no key is converted, while it is walked.
    unsafe {
        if lua_type(l, 1) != LUA_TTABLE {
            return Err(
                "calling redis.register_function with a single argument is only applicable to Lua table \
                        (representing named arguments)."
                    .into(),
            );
        }
        lua_pushnil(l); // the slot of the callback
        lua_pushnil(l);
        while lua_next(l, 1) != 0 {
            read_named_argument(l, &mut name, &mut particulars)?;
            lua_settop(l, -2);
        }
        let name = name.ok_or("redis.register_function must get a function name argument")?;
        if lua_type(l, CALLBACK) == LUA_TNIL {
            return Err("redis.register_function must get a callback argument".into());
        }
        Ok((name, particulars))
    }
}

/// Reads the argument whose name and value are on top of the stack.
unsafe fn read_named_argument(
    l: *mut lua_State,
    name: &mut Option<Box<[u8]>>,
    particulars: &mut Particulars,
) -> Result<(), String> {
    // SAFETY: as the caller's; a key that is a number is not looked at as a string.
    unsafe {
        let what = match lua_type(l, -2) {
            LUA_TSTRING => to_bytes(l, -2).unwrap_or_default().to_ascii_lowercase(),
            LUA_TNUMBER => Vec::new(), // which no argument is called
            _ => return Err("named argument key given to redis.register_function is not a string".into()),
        };
        let must_be = |argument: &str, kind: &str| {
            format!("{argument} argument given to redis.register_function must be a {kind}")
        };
        match what.as_slice() {
            b"function_name" => {
                *name = Some(to_bytes(l, -1).ok_or_else(|| must_be("function_name", "string"))?.into());
            }
            b"description" => {
                let text = to_bytes(l, -1).ok_or_else(|| must_be("description", "string"))?;
                particulars.description = Some(text.into());
            }
            b"callback" => {
                if lua_type(l, -1) != LUA_TFUNCTION {
                    return Err(must_be("callback", "function"));
                }
                lua_pushvalue(l, -1);
                lua_replace(l, CALLBACK);
            }
            b"flags" => particulars.flags = read_flags(l)?,
            _ => return Err("unknown argument given to redis.register_function".into()),
        }
        Ok(())
    }
}

/// The flag of this name, in any case.
fn flag_by_name(name: &[u8]) -> Option<ScriptFlags> {
    let known = ScriptFlags::NAMES.iter().find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name));
    known.map(|(_, flag)| *flag)
}

/// Reads the list of flags on top of the stack.
unsafe fn read_flags(l: *mut lua_State) -> Result<ScriptFlags, String> {
    let mut flags = ScriptFlags::default();
    // SAFETY: reads the list raw; what is converted is a copy on the stack.
    unsafe {
        if lua_type(l, -1) != LUA_TTABLE {
            let text =
                "flags argument to redis.register_function must be a table representing function flags";
            return Err(text.into());
        }
        for i in 1.. {
            lua_rawgeti_(l, -1, i);
            if lua_type(l, -1) == LUA_TNIL {
                lua_settop(l, -2);
                break;
            }
            let flag = to_bytes(l, -1).and_then(flag_by_name);
            lua_settop(l, -2);
            flags.insert(flag.ok_or("unknown flag given")?);
        }
    }
    Ok(flags)
}
