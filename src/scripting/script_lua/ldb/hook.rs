//! Where Lua and the debugger meet: the hook that Lua calls before each line.
//!
//! ```text
//!   Lua ──▶ on_event ──▶ at_line ──────── not a line to stop at ──▶ the script goes on
//!                           │ stops, tells why, reads commands
//!                           ├──────────── step, continue ─────────▶ the script goes on
//!                           ├──────────── abort ──────────────────▶ an error is raised
//!                           ▼ eval, redis
//!           on_event ──▶ call ──▶ after_call: tells the result, reads commands …
//! ```
//!
//! The inner functions own what they like and never run Lua code, as `boundary.rs` wants it: what the user asks to have run,
//! [`call`] runs, which owns nothing, between two of them.
//!
//! Lua keeps hooks quiet while a hook runs, so that such code could loop for ever. Hence it runs in a thread of its own, whose
//! hook [`on_evaluation`] looks now and then whether the client is still there. As long as it is, it may wait for its answer,
//! as the server waits for its commands; once it has gone, every line raises an error.

use mlua_sys::*;

use super::super::alloc::Host;
use super::super::boundary::{self, RAISE, Raise, Returns};
use super::super::convert;
use super::commands::{self, Next};
use super::session::{Evaluation, Session};
use super::wire::Heard;
use crate::lua_hook;

/// Instructions between two looks at the clock.
const INSTRUCTIONS: i32 = 100_000;

/// Instructions of an evaluation between two looks whether the client is still there.
const EVALUATED_INSTRUCTIONS: i32 = 10_000;

/// How long a script may run without a stop, in milliseconds, where `busy-reply-threshold` is off.
const TIME_LIMIT_MS: u64 = 5_000;

/// The answer of an inner function that has [`call`] follow.
const CALL: i32 = 1;

/// Has Lua call the debugger in a state that is about to run a script.
///
/// # Safety
/// `l` is a live state that runs nothing, and the server has a session.
pub unsafe fn install(l: *mut lua_State) {
    // SAFETY: as the caller promises.
    unsafe { lua_sethook(l, Some(on_event), LUA_MASKLINE | LUA_MASKCOUNT, INSTRUCTIONS) };
}

/// The session at hand, if the script that runs in this state is debugged.
///
/// # Safety
/// `l` is a live state of an engine, and nobody else uses the session while the result is used: no Lua code runs meanwhile.
pub unsafe fn session<'a>(l: *mut lua_State) -> Option<&'a mut Session> {
    // SAFETY: the link is valid while a script runs, and only callbacks, which do not nest, use what it points to.
    unsafe {
        let link = (*Host::of(l)).link()?;
        (*link.srv).scripting.debugger.session.as_deref_mut()
    }
}

/// What Lua calls before each line and every so many instructions.
///
/// # Safety
/// For Lua alone.
unsafe extern "C-unwind" fn on_event(l: *mut lua_State, ar: *mut lua_Debug) {
    // SAFETY: a hook is called with a live state, free slots and what has happened; this frame owns nothing.
    unsafe {
        let mut inner: boundary::Inner = if (*ar).event == LUA_HOOKCOUNT { at_count } else { at_line };
        loop {
            match boundary::enter(l, inner) {
                RAISE => lua_error(l),
                CALL => call(l),
                _ => return,
            }
            inner = after_call;
        }
    }
}

/// Calls the function at the bottom of the stack of the thread on top with all that is above it, and puts the outcome on top.
unsafe fn call(l: *mut lua_State) {
    // SAFETY: an inner function has put a fresh thread there, and left a slot free. Nothing is raised: the call is a
    // protected one.
    unsafe {
        let thread = lua_tothread(l, -1);
        lua_sethook(thread, Some(on_evaluation), LUA_MASKCOUNT, EVALUATED_INSTRUCTIONS);
        let status = lua_pcall(thread, lua_gettop(thread) - 1, 1, 0);
        lua_pushinteger(l, status as lua_Integer);
    }
}

lua_hook! {
    /// What Lua calls while the user's own code runs.
    fn on_evaluation = watch;
}

/// Ends an evaluation that nobody waits for any more.
unsafe fn watch(l: *mut lua_State) -> Returns {
    // SAFETY: as a hook is called.
    unsafe {
        if let Some(session) = session(l)
            && session.wire.find_gone()
        {
            lua_sethook(l, Some(on_evaluation), LUA_MASKLINE, 0);
            convert::push_error(l, b"evaluation ended with client closing connection");
            return Err(Raise::VALUE);
        }
    }
    Ok(0)
}

/// Looks from within a function that takes long, in place of a look at the clock: a script whose client has gone is ended
/// when its time is up, and so is an evaluation at once.
///
/// # Safety
/// `l` is a live state within a callback of the script that is debugged.
pub unsafe fn look(l: *mut lua_State) -> Returns {
    // SAFETY: as the caller promises.
    unsafe {
        let Some(found) = session(l) else { return Ok(0) };
        if found.evaluation.is_some() {
            return watch(l);
        }
        found.doomed |= is_overdue(l, found) && found.wire.find_gone();
        if found.doomed { Err(time_is_up(l)) } else { Ok(0) }
    }
}

/// Whether the script has run for too long without a stop.
unsafe fn is_overdue(l: *mut lua_State, session: &Session) -> bool {
    // SAFETY: see `session`.
    let threshold_ms =
        unsafe { (*Host::of(l)).link().map_or(0, |link| (*link.srv).config.busy_reply_threshold) };
    session.elapsed_ms() >= if threshold_ms == 0 { TIME_LIMIT_MS } else { threshold_ms }
}

/// The error of a script that runs too long and has nobody to stop for.
unsafe fn time_is_up(l: *mut lua_State) -> Raise {
    // SAFETY: called by inner functions with free slots.
    unsafe { convert::push_error(l, b"timeout during Lua debugging with client closing connection") };
    Raise::VALUE
}

/// The session, if the hook is called for a line of the script, which becomes the current one.
unsafe fn locate<'a>(l: *mut lua_State) -> Option<&'a mut Session> {
    // SAFETY: as a hook is called.
    unsafe {
        let session = session(l)?;
        let ar = commands::frame(l, 0, c"Sl")?;
        session.source.current = i64::from(ar.currentline);
        commands::is_of_script(&ar).then_some(session)
    }
}

/// The script is about to run a line.
unsafe fn at_line(l: *mut lua_State) -> Returns {
    // SAFETY: as a hook is called.
    unsafe {
        let Some(session) = locate(l) else { return Ok(0) };
        if session.evaluation.is_some() {
            return watch(l); // A coroutine of the script's, which the user has resumed.
        }
        if session.doomed {
            return Err(time_is_up(l)); // Again, in case that `pcall` has held it back.
        }
        let settings = &session.settings;
        let reason = match (settings.breakpoints.contains(session.source.current), settings.stop_next) {
            (_, true) => "redis.breakpoint() called",
            (true, false) => "break point",
            (false, false) if settings.step => "step over",
            (false, false) => return Ok(0),
        };
        stop(l, session, reason)
    }
}

/// The script has run for so many instructions.
unsafe fn at_count(l: *mut lua_State) -> Returns {
    // SAFETY: as a hook is called.
    unsafe {
        let Some(session) = locate(l) else { return Ok(0) };
        if session.evaluation.is_some() {
            return watch(l);
        }
        if session.doomed {
            return Err(time_is_up(l));
        }
        if !is_overdue(l, session) {
            return Ok(0);
        }
        session.timed_out = true;
        stop(l, session, "timeout reached, infinite loop?")
    }
}

/// Has the script stand still.
unsafe fn stop(l: *mut lua_State, session: &mut Session, reason: &str) -> Returns {
    session.settings.step = false;
    session.settings.stop_next = false;
    let line = session.source.current;
    session.log(format!("* Stopped at {line}, stop reason = {reason}"));
    session.log(session.source.shown(line, &session.settings.breakpoints));
    session.wire.send_log();
    // SAFETY: as a hook is called.
    unsafe { converse(l, session) }
}

/// Carries out commands of the user's until the script goes on, or Lua is to run something for one of them.
unsafe fn converse(l: *mut lua_State, session: &mut Session) -> Returns {
    loop {
        let words = match session.wire.hear() {
            Heard::Command(words) => words,
            Heard::Gone => {
                session.detach();
                session.doomed = session.timed_out;
                // SAFETY: as a hook is called.
                return if session.doomed { Err(unsafe { time_is_up(l) }) } else { Ok(0) };
            }
            Heard::Broken(reason) => {
                // SAFETY: as above.
                unsafe { convert::push_error(l, reason) };
                return Err(Raise::VALUE);
            }
        };
        // SAFETY: as above.
        match unsafe { commands::run(session, l, &words) } {
            Next::Ask => session.wire.send_log(),
            Next::Call => return Ok(CALL),
            Next::Abort => return Err(Raise::VALUE),
            Next::Resume => {
                session.resume();
                return Ok(0);
            }
        }
    }
}

/// Tells the result of what [`call`] has run, and goes on with the conversation.
unsafe fn after_call(l: *mut lua_State) -> Returns {
    // SAFETY: as a hook is called. `call` has left a thread with a result, and an outcome, on top.
    unsafe {
        let Some(session) = session(l) else { return Ok(0) };
        let (status, thread) = (lua_tointeger(l, -1), lua_tothread(l, -2));
        match session.evaluation.take() {
            // It was logged when it was called.
            Some(Evaluation::Command) | None => session.settings.step = false,
            Some(Evaluation::Code) if status == LUA_OK as lua_Integer => {
                session.log_value(thread, b"<retval> ")
            }
            Some(Evaluation::Code) => session.log_error_value(thread),
        }
        lua_settop(l, -3);
        session.wire.send_log();
        converse(l, session)
    }
}
