//! The table `redis`: what scripts call the server by.

use std::borrow::Cow;
use std::ffi::c_int;

use mlua_sys::*;
use sha1::{Digest, Sha1};

use super::alloc::Host;
use super::boundary::{Raise, Returns, push_bytes, set_function, set_number, set_string, to_bytes};
use super::{Link, convert, ldb};
use crate::ds::numbers;
use crate::lua_callback;
use crate::scripting::script::{self, Kind};
use crate::server::propagate::Targets;
use crate::server::version::{REDIS_VERSION, REDIS_VERSION_NUM};
use crate::server::{Argv, Client, Server};

/// Bytes of arguments for which the script client's buffer is kept for the next call.
const ARGS_KEPT: usize = 1024 * 1024;

/// Levels of `redis.log`, by their number.
const LEVELS: [(&str, log::Level); 4] = [
    ("LOG_DEBUG", log::Level::Trace),
    ("LOG_VERBOSE", log::Level::Debug),
    ("LOG_NOTICE", log::Level::Info),
    ("LOG_WARNING", log::Level::Warn),
];

/// Leaves the table `redis` for scripts of this kind on the stack.
///
/// # Safety
/// `l` is a new state with five free slots.
pub unsafe fn open(l: *mut lua_State, kind: Kind) {
    // SAFETY: as the caller promises; memory is not refused to a state that runs nothing.
    unsafe {
        // In this order the fields come to lie where `pairs` finds them upstream.
        lua_createtable(l, 0, 0);
        set_function(l, "call", call);
        set_function(l, "pcall", pcall);
        set_log_and_version(l);
        for (name, function) in [
            ("setresp", setresp as lua_CFunction),
            ("sha1hex", sha1hex),
            ("error_reply", error_reply),
            ("status_reply", status_reply),
            ("set_repl", set_repl),
        ] {
            set_function(l, name, function);
        }
        for (name, targets) in [
            ("REPL_NONE", Targets::NONE),
            ("REPL_AOF", Targets::AOF),
            ("REPL_SLAVE", Targets::REPLICAS),
            ("REPL_REPLICA", Targets::REPLICAS),
            ("REPL_ALL", Targets::ALL),
        ] {
            set_number(l, name, f64::from(targets.bits()));
        }
        set_function(l, "acl_check_cmd", acl_check_cmd);
        if kind == Kind::Eval {
            set_function(l, "breakpoint", breakpoint);
            set_function(l, "debug", debug);
            set_function(l, "replicate_commands", replicate_commands);
        }
    }
}

/// Sets those fields of `redis`, which is on top, that libraries see while they are loaded.
///
/// # Safety
/// `l` is a live state with free slots and a table on top, and memory is not refused.
pub unsafe fn set_log_and_version(l: *mut lua_State) {
    // SAFETY: as the caller promises.
    unsafe {
        set_function(l, "log", log);
        for (number, (name, _)) in LEVELS.iter().enumerate() {
            set_number(l, name, number as f64);
        }
        set_number(l, "REDIS_VERSION_NUM", f64::from(REDIS_VERSION_NUM));
        set_string(l, "REDIS_VERSION", REDIS_VERSION.as_bytes());
    }
}

lua_callback! {
    /// `redis.call(...)`: a command, whose error is raised.
    pub fn call = call_inner;
    /// `redis.pcall(...)`: a command, whose error is returned.
    pub fn pcall = pcall_inner;
    /// `redis.log(level, ...)`
    pub fn log = log_inner;
    /// `redis.setresp(version)`
    fn setresp = setresp_inner;
    /// `redis.error_reply(text)`
    pub fn error_reply = error_reply_inner;
    /// `redis.status_reply(text)`
    pub fn status_reply = status_reply_inner;
    /// `redis.sha1hex(text)`
    pub fn sha1hex = sha1hex_inner;
    /// `redis.set_repl(targets)`
    fn set_repl = set_repl_inner;
    /// `redis.replicate_commands()`: effects are always what is replicated.
    fn replicate_commands = replicate_commands_inner;
    /// `redis.breakpoint()`: tells whether the script is debugged, and stops then.
    fn breakpoint = breakpoint_inner;
    /// `redis.debug(...)`: shows values to the user of the debugger.
    fn debug = debug_inner;
    /// `redis.acl_check_cmd(...)`
    fn acl_check_cmd = acl_check_cmd_inner;
    /// Makes every error a table that tells where it was raised: the handler of errors that end a script.
    pub fn on_error = on_error_inner;
}

/// An error of this API: a table, as the errors of commands are.
unsafe fn raise(l: *mut lua_State, text: &[u8]) -> Raise {
    // SAFETY: called by inner functions with free slots.
    unsafe {
        log_error(l, text);
        convert::push_error(l, text);
    }
    Raise::VALUE
}

/// Shows an error to the user of the debugger, if the line that made it is walked through.
unsafe fn log_error(l: *mut lua_State, text: &[u8]) {
    // SAFETY: called by inner functions, which use no session meanwhile.
    if let Some(session) = unsafe { ldb::hook::session(l) }
        && session.logs_calls()
    {
        session.log_error(convert::error_text(text));
    }
}

/// Who is to be found from within the script that runs.
unsafe fn link(l: *mut lua_State) -> Result<Link, Raise> {
    // SAFETY: every state has a host.
    match unsafe { (*Host::of(l)).link() } {
        Some(link) => Ok(link),
        // While a library is loaded, say.
        // SAFETY: see `raise`.
        None => Err(unsafe { raise(l, b"redis.call/pcall can only be called inside a script invocation") }),
    }
}

unsafe fn call_inner(l: *mut lua_State) -> Returns {
    // SAFETY: as called by Lua.
    match unsafe { command(l)? } {
        true => Err(Raise::VALUE),
        false => Ok(1),
    }
}

unsafe fn pcall_inner(l: *mut lua_State) -> Returns {
    // SAFETY: as called by Lua. What `call` would raise is on top.
    match unsafe { command(l) } {
        Err(raise) if raise != Raise::VALUE => Err(raise),
        _ => Ok(1),
    }
}

/// Runs the command that the arguments are, and leaves its reply on the stack. Answers whether it is an error.
unsafe fn command(l: *mut lua_State) -> Result<bool, Raise> {
    // SAFETY: the link is valid while a script runs, and nobody else uses what it points to meanwhile: `invoke` in `mod.rs`
    // has given it up until the script ends, and no other callback is active.
    unsafe {
        let link = link(l)?;
        let (srv, c): (&mut Server, &mut Client) = (&mut *link.srv, &mut *link.client);
        read_arguments(l, &mut c.argv)?;
        lua_settop(l, 0);
        let mark = c.out.mark();
        let logged = srv.scripting.debugger.session.as_ref().is_some_and(|session| session.logs_calls());
        if logged && let Some(session) = &mut srv.scripting.debugger.session {
            session.log_command(c.argv.iter());
        }
        let result = script::call_command(srv, c);
        if logged && let Some(session) = &mut srv.scripting.debugger.session {
            log_outcome(session, &result, || c.out.since(mark));
        }
        let is_error = match result {
            Ok(()) => match c.out.single() {
                Some(reply) => convert::push_reply(l, reply),
                None => convert::push_reply(l, &c.out.since(mark)),
            },
            Err(text) => {
                convert::push_command_error(l, &text);
                Some(true)
            }
        };
        c.out.rewind(mark);
        c.argv.forget_if_larger(ARGS_KEPT);
        is_error.ok_or_else(|| Raise::at("reached lua stack limit"))
    }
}

/// Shows the outcome of a command to the user of the debugger: why it was refused, or its reply.
#[cold]
fn log_outcome(
    session: &mut ldb::Session,
    result: &Result<(), Cow<'static, [u8]>>,
    reply: impl FnOnce() -> Vec<u8>,
) {
    match result {
        Ok(()) => {
            let reply = reply();
            if reply.starts_with(b"-") {
                session.log_error(reply.strip_suffix(b"\r\n").unwrap_or(&reply));
            }
            session.log_reply(&reply);
        }
        // Upstream makes the codes of most refusals later, and has texts with another code end in a line break.
        Err(text) => match text.strip_prefix(b"ERR ") {
            Some(text) => session.log_error(text),
            None => session.log_error(&[b"-", &text[..], b"\r\n"].concat()),
        },
    }
}

/// Makes the arguments on the stack those of a command.
unsafe fn read_arguments(l: *mut lua_State, argv: &mut Argv) -> Result<(), Raise> {
    // SAFETY: as called by Lua; a string stays where it is while it is copied.
    unsafe {
        let count = lua_gettop(l);
        if count == 0 {
            return Err(raise(l, b"Please specify at least one argument for this redis lib call"));
        }
        argv.begin();
        for i in 1..=count {
            match lua_type(l, i) {
                LUA_TNUMBER => append_number(argv, lua_tonumber(l, i)),
                LUA_TSTRING => argv.append(to_bytes(l, i).unwrap_or_default()),
                _ => {
                    lua_settop(l, 0);
                    return Err(raise(l, b"Lua redis lib command arguments must be strings or integers"));
                }
            }
        }
        argv.end();
    }
    Ok(())
}

/// An integer if it is one, so that commands which want integers take it; otherwise the shortest text.
fn append_number(argv: &mut Argv, number: f64) {
    // Half the range of integers: beyond it, a double is no exact integer anyway.
    const MOST: f64 = (i64::MAX / 2) as f64;
    if (-MOST..=MOST).contains(&number) && number.trunc() == number {
        let mut digits = itoa::Buffer::new();
        argv.append(digits.format(number as i64).as_bytes());
    } else if number.is_nan() {
        argv.append(if number.is_sign_negative() { b"-nan" } else { b"nan" });
    } else {
        argv.append(&numbers::format_shortest(number));
    }
}

unsafe fn log_inner(l: *mut lua_State) -> Returns {
    // SAFETY: as called by Lua.
    unsafe {
        let count = lua_gettop(l);
        if count < 2 {
            return Err(raise(l, b"redis.log() requires two arguments or more."));
        }
        if lua_isnumber(l, 1) == 0 {
            return Err(raise(l, b"First argument must be a number (log level)."));
        }
        let level = usize::try_from(convert::truncated(lua_tonumber(l, 1))).ok().and_then(|n| LEVELS.get(n));
        let Some((_, level)) = level else {
            return Err(raise(l, b"Invalid log level."));
        };
        let words: Vec<&[u8]> = (2..=count).filter_map(|i| to_bytes(l, i)).collect();
        log::log!(*level, "{}", String::from_utf8_lossy(&words.join(&b' ')));
        Ok(0)
    }
}

unsafe fn setresp_inner(l: *mut lua_State) -> Returns {
    // SAFETY: as called by Lua; see `command`.
    unsafe {
        if lua_gettop(l) != 1 {
            return Err(raise(l, b"redis.setresp() requires one argument."));
        }
        let version = lua_tonumber(l, 1) as i64;
        if version != 2 && version != 3 {
            return Err(raise(l, b"RESP version must be 2 or 3."));
        }
        let link = link(l)?;
        (*link.client).out.set_resp3(version == 3);
        Ok(0)
    }
}

/// The only argument, if there is one and it is a string; otherwise an error is pushed.
unsafe fn only_string<'a>(l: *mut lua_State) -> Option<&'a [u8]> {
    // SAFETY: as called by Lua; the string stays on the stack.
    unsafe {
        if lua_gettop(l) != 1 || lua_type(l, 1) != LUA_TSTRING {
            raise(l, b"wrong number or type of arguments");
            return None;
        }
        to_bytes(l, 1)
    }
}

unsafe fn error_reply_inner(l: *mut lua_State) -> Returns {
    // SAFETY: as called by Lua.
    unsafe {
        if let Some(text) = only_string(l) {
            let text = convert::error_text(text);
            let dash: &[u8] = if text.starts_with(b"-") { b"" } else { b"-" };
            raise(l, &[dash, text].concat());
        }
        Ok(1)
    }
}

unsafe fn status_reply_inner(l: *mut lua_State) -> Returns {
    // SAFETY: as called by Lua.
    unsafe {
        if only_string(l).is_some() {
            lua_createtable(l, 0, 1);
            push_bytes(l, b"ok");
            lua_pushvalue(l, 1);
            lua_rawset(l, -3);
        }
        Ok(1)
    }
}

unsafe fn sha1hex_inner(l: *mut lua_State) -> Returns {
    // SAFETY: as called by Lua; the string stays on the stack.
    unsafe {
        if lua_gettop(l) != 1 {
            return Err(raise(l, b"wrong number of arguments"));
        }
        let digest = hex_digest(to_bytes(l, 1).unwrap_or_default());
        push_bytes(l, &digest);
        Ok(1)
    }
}

/// The SHA-1 of `bytes` in hexadecimal digits: the name of a script, too.
pub fn hex_digest(bytes: &[u8]) -> [u8; 40] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut hex = [0; 40];
    for (pair, byte) in hex.chunks_exact_mut(2).zip(Sha1::digest(bytes)) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    hex
}

unsafe fn set_repl_inner(l: *mut lua_State) -> Returns {
    // SAFETY: as called by Lua; see `command`.
    unsafe {
        if lua_gettop(l) != 1 {
            return Err(raise(l, b"redis.set_repl() requires one argument."));
        }
        let Some(targets) = Targets::from_bits(convert::truncated(lua_tonumber(l, 1))) else {
            let text = b"Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.";
            return Err(raise(l, text));
        };
        let link = link(l)?;
        (*link.srv).propagation.targets = targets;
        Ok(0)
    }
}

unsafe fn replicate_commands_inner(l: *mut lua_State) -> Returns {
    // SAFETY: as called by Lua.
    unsafe { lua_pushboolean(l, 1) };
    Ok(1)
}

unsafe fn breakpoint_inner(l: *mut lua_State) -> Returns {
    // SAFETY: as called by Lua.
    unsafe {
        let session = ldb::hook::session(l);
        lua_pushboolean(l, c_int::from(session.is_some()));
        if let Some(session) = session {
            session.settings.stop_next = true;
        }
    }
    Ok(1)
}

unsafe fn debug_inner(l: *mut lua_State) -> Returns {
    // SAFETY: as called by Lua.
    unsafe {
        if let Some(session) = ldb::hook::session(l) {
            session.log_values(l);
        }
    }
    Ok(0)
}

unsafe fn acl_check_cmd_inner(l: *mut lua_State) -> Returns {
    // SAFETY: as called by Lua; see `command`.
    unsafe {
        let link = link(l)?;
        let (srv, c): (&mut Server, &mut Client) = (&mut *link.srv, &mut *link.client);
        read_arguments(l, &mut c.argv)?;
        if script::find_command(srv, c).is_none() {
            return Err(raise(l, b"Invalid command passed to redis.acl_check_cmd()"));
        }
        // The default user, which is the only one, may call everything.
        lua_pushboolean(l, 1);
        Ok(1)
    }
}

unsafe fn on_error_inner(l: *mut lua_State) -> Returns {
    // SAFETY: called by Lua with the error; `lua_Debug` is plain data.
    unsafe {
        lua_settop(l, 1);
        if lua_type(l, 1) != LUA_TTABLE {
            let text = described(l);
            convert::push_error(l, b"");
            lua_replace(l, 1);
            push_bytes(l, b"err");
            push_bytes(l, &[b"ERR ", &text[..]].concat());
            lua_rawset(l, 1);
        } else if super::sandbox::lua_isreadonly(l, 1) != 0 {
            // `error(redis)`: a table that nothing may be written to. Upstream's handler, which is written in Lua, fails at it.
            lua_settop(l, 0);
            convert::push_error(l, b"err_handler_def:10: Attempt to modify a readonly table");
            push_bytes(l, b"source");
            push_bytes(l, b"@err_handler_def");
            lua_rawset(l, 1);
            set_line(l, 10);
            return Ok(1);
        }
        let mut ar: lua_Debug = std::mem::zeroed();
        for level in [1, 2] {
            if lua_getstack(l, level, &mut ar) == 0 {
                return Ok(1);
            }
            lua_getinfo(l, c"nSl".as_ptr(), &mut ar);
            if std::ffi::CStr::from_ptr(ar.what) != c"C" {
                break;
            }
        }
        push_bytes(l, b"source");
        lua_pushstring_(l, ar.source);
        lua_rawset(l, 1);
        set_line(l, ar.currentline);
        Ok(1)
    }
}

unsafe fn set_line(l: *mut lua_State, line: c_int) {
    // SAFETY: see `on_error_inner`.
    unsafe {
        push_bytes(l, b"line");
        lua_pushnumber(l, f64::from(line));
        lua_rawset(l, 1);
    }
}

/// The error object at the bottom as `tostring` shows it.
unsafe fn described(l: *mut lua_State) -> Vec<u8> {
    // SAFETY: see `on_error_inner`.
    unsafe {
        match lua_type(l, 1) {
            LUA_TNIL | LUA_TNONE => b"nil".to_vec(),
            LUA_TBOOLEAN => {
                if lua_toboolean(l, 1) != 0 {
                    b"true".to_vec()
                } else {
                    b"false".to_vec()
                }
            }
            LUA_TSTRING | LUA_TNUMBER => to_bytes(l, 1).unwrap_or_default().to_vec(),
            _ => {
                let kind = super::boundary::type_name(l, 1);
                match lua_topointer(l, 1) {
                    null if null.is_null() => format!("{kind}: (nil)").into_bytes(),
                    address => format!("{kind}: {address:p}").into_bytes(),
                }
            }
        }
    }
}
