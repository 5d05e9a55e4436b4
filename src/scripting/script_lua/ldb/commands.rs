//! What the user of the debugger may ask for while the script stands still.
//!
//! Texts are upstream's: tools show them, and people have learned them.

use std::ffi::{CStr, c_int};

use mlua_sys::*;

use super::super::boundary::push_bytes;
use super::super::convert::push_error;
use super::super::{redis_api, registry, sandbox};
use super::session::{Evaluation, Session};
use super::show::Text;
use super::wire::leading_int;
use crate::ds::numbers;

/// What the source of an evaluation is called.
const EVALUATED: &str = "@ldb_eval";

/// Replies cannot be trimmed to less than this, unless they are not trimmed at all.
const LEAST_MAXLEN: i64 = 60;

/// Lines around the current one that `list` shows.
const CONTEXT: i64 = 5;

const UNKNOWN: &str = "<error> Unknown Redis Lua debugger command or wrong number of arguments.";

const HELP: [&str; 30] = [
    "Redis Lua debugger help:",
    "[h]elp               Show this help.",
    "[s]tep               Run current line and stop again.",
    "[n]ext               Alias for step.",
    "[c]ontinue           Run till next breakpoint.",
    "[l]ist               List source code around current line.",
    "[l]ist [line]        List source code around [line].",
    "                     line = 0 means: current position.",
    "[l]ist [line] [ctx]  In this form [ctx] specifies how many lines",
    "                     to show before/after [line].",
    "[w]hole              List all source code. Alias for 'list 1 1000000'.",
    "[p]rint              Show all the local variables.",
    "[p]rint <var>        Show the value of the specified variable.",
    "                     Can also show global vars KEYS and ARGV.",
    "[b]reak              Show all breakpoints.",
    "[b]reak <line>       Add a breakpoint to the specified line.",
    "[b]reak -<line>      Remove breakpoint from the specified line.",
    "[b]reak 0            Remove all breakpoints.",
    "[t]race              Show a backtrace.",
    "[e]val <code>        Execute some Lua code (in a different callframe).",
    "[r]edis <cmd>        Execute a Redis command.",
    "[m]axlen [len]       Trim logged Redis replies and Lua var dumps to len.",
    "                     Specifying zero as <len> means unlimited.",
    "[a]bort              Stop the execution of the script. In sync",
    "                     mode dataset changes will be retained.",
    "",
    "Debugger functions you can call from Lua scripts:",
    "redis.debug()        Produce logs in the debugger console.",
    "redis.breakpoint()   Stop execution like if there was a breakpoint in the",
    "                     next line of code.",
];

/// What is to be done once a command was carried out.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Send what there is to say, and wait for another.
    Ask,
    /// Let the script go on.
    Resume,
    /// Call the function on the stack of the thread on top: see [`Evaluation`].
    Call,
    /// End the script with the error on top.
    Abort,
}

/// Carries out a command.
///
/// # Safety
/// `l` is a live state in a hook of the script that `session` is about, and memory is not refused.
pub unsafe fn run(session: &mut Session, l: *mut lua_State, words: &[Vec<u8>]) -> Next {
    let is = |name: &str| {
        let word = &words[0];
        word.eq_ignore_ascii_case(name.as_bytes()) || word.eq_ignore_ascii_case(&name.as_bytes()[..1])
    };
    // SAFETY: as the caller promises.
    unsafe {
        if is("step") || is("next") {
            session.settings.step = true;
            return Next::Resume;
        } else if is("continue") {
            return Next::Resume;
        } else if is("abort") {
            push_error(l, b"script aborted for user request");
            return Next::Abort;
        } else if is("eval") {
            return evaluate(session, l, &words[1..].join(&b' '));
        } else if is("redis") && words.len() > 1 {
            return call_command(session, l, &words[1..]);
        } else if is("help") {
            HELP.iter().for_each(|line| session.log(*line));
        } else if is("list") {
            list(session, &words[1..]);
        } else if is("whole") {
            list_around(session, 1, 1_000_000);
        } else if is("break") {
            breakpoints(session, &words[1..]);
        } else if is("maxlen") {
            maxlen(session, &words[1..]);
        } else if is("trace") {
            trace(session, l);
        } else if is("print") {
            match words {
                [_, name] => print(session, l, name),
                _ => print_all(session, l),
            }
        } else {
            session.log(UNKNOWN);
        }
    }
    Next::Ask
}

fn list(session: &mut Session, arguments: &[Vec<u8>]) {
    let around = arguments.first().map(|line| leading_int(line)).filter(|line| *line > 0);
    let context = arguments.get(1).map_or(CONTEXT, |context| leading_int(context));
    list_around(session, around.unwrap_or(session.source.current), context);
}

fn list_around(session: &mut Session, around: i64, context: i64) {
    let lines = session.source.list(around, context, &session.settings.breakpoints);
    lines.into_iter().for_each(|line| session.log(line));
}

fn breakpoints(session: &mut Session, arguments: &[Vec<u8>]) {
    if arguments.is_empty() {
        return list_breakpoints(session);
    }
    for argument in arguments {
        let breakpoints = &mut session.settings.breakpoints;
        match numbers::parse_i64(argument) {
            None => session.log([b"Invalid argument:'", &argument[..], b"'"].concat()),
            Some(0) => {
                breakpoints.clear();
                session.log("All breakpoints removed.");
            }
            Some(line) if line < 0 => {
                let removed = line.checked_neg().is_some_and(|line| breakpoints.remove(line));
                session.log(match removed {
                    true => "Breakpoint removed.",
                    false => "No breakpoint in the specified line.",
                });
            }
            Some(_) if breakpoints.is_full() => session.log("Too many breakpoints set."),
            Some(line) if session.source.has(line) && breakpoints.add(line) => list_around(session, line, 1),
            Some(_) => session.log("Wrong line number."),
        }
    }
}

fn list_breakpoints(session: &mut Session) {
    let lines = session.settings.breakpoints.lines().to_vec();
    if lines.is_empty() {
        return session.log("No breakpoints set. Use 'b <line>' to add one.");
    }
    session.log(format!("{} breakpoints set:", lines.len()));
    for line in lines {
        session.log(session.source.shown(line, &session.settings.breakpoints));
    }
}

fn maxlen(session: &mut Session, arguments: &[Vec<u8>]) {
    if let [len] = arguments {
        session.settings.maxlen = match leading_int(len) {
            0 => 0,
            len => len.max(LEAST_MAXLEN) as usize,
        };
        session.settings.hinted = true; // Who sets it has understood.
    }
    session.log(match session.settings.maxlen {
        0 => "<value> replies are unlimited.".to_string(),
        len => format!("<value> replies are truncated at {len} bytes."),
    });
}

/// Whether a frame is of the script, and not of what the server or the debugger runs.
pub fn is_of_script(ar: &lua_Debug) -> bool {
    // SAFETY: Lua has filled it with a text that ends within it.
    let source = unsafe { CStr::from_ptr(ar.short_src.as_ptr()) };
    memchr::memmem::find(source.to_bytes(), b"user_script").is_some()
}

/// What Lua tells of the frame at `level`, if there is one: its source and its line, its name too if `what` asks.
///
/// # Safety
/// `l` is a live state.
pub unsafe fn frame(l: *mut lua_State, level: c_int, what: &CStr) -> Option<lua_Debug> {
    // SAFETY: `lua_Debug` is plain data that `lua_getinfo` fills for a level that `lua_getstack` found.
    unsafe {
        let mut ar: lua_Debug = std::mem::zeroed();
        if lua_getstack(l, level, &mut ar) == 0 {
            return None;
        }
        lua_getinfo(l, what.as_ptr(), &mut ar);
        Some(ar)
    }
}

unsafe fn trace(session: &mut Session, l: *mut lua_State) {
    let mut level = 0;
    // SAFETY: see `run`. Names are texts of Lua's that end, or null.
    unsafe {
        while let Some(ar) = frame(l, level, c"Snl") {
            if is_of_script(&ar) {
                let word = if level == 0 { "In" } else { "From" };
                let name = match ar.name.is_null() {
                    true => b"top level",
                    false => CStr::from_ptr(ar.name).to_bytes(),
                };
                session.log([word.as_bytes(), b" ", name, b":"].concat());
                let line = session.source.shown(i64::from(ar.currentline), &session.settings.breakpoints);
                session.log(line);
            }
            level += 1;
        }
    }
    if level == 0 {
        session.log("<error> Can't retrieve Lua stack.");
    }
}

/// Shows each local variable of the frame at `level` until `show`, which finds its value on top, answers that it has seen
/// enough; answers whether it has.
unsafe fn each_local(l: *mut lua_State, level: c_int, mut show: impl FnMut(&[u8]) -> bool) -> Option<bool> {
    // SAFETY: see `run`. The value is taken off again.
    unsafe {
        let ar = frame(l, level, c"")?;
        for number in 1.. {
            let name = lua_getlocal(l, &ar, number);
            if name.is_null() {
                break;
            }
            let enough = show(CStr::from_ptr(name).to_bytes());
            lua_settop(l, -2);
            if enough {
                return Some(true);
            }
        }
    }
    Some(false)
}

/// Shows a variable: a local one of the frame where the script stands, or of one of those that have called it.
unsafe fn print(session: &mut Session, l: *mut lua_State, wanted: &[u8]) {
    let mut level = 0;
    // SAFETY: see `run`.
    unsafe {
        let mut show = |name: &[u8]| {
            if name == wanted {
                session.log_value(l, b"<value> ");
            }
            name == wanted
        };
        while let Some(found) = each_local(l, level, &mut show) {
            if found {
                return;
            }
            level += 1;
        }
        if wanted != b"KEYS" && wanted != b"ARGV" {
            return session.log("No such variable.");
        }
        lua_rawgeti_(l, LUA_REGISTRYINDEX, registry::GLOBALS);
        push_bytes(l, wanted);
        lua_rawget(l, -2);
        session.log_value(l, b"<value> ");
        lua_settop(l, -3);
    }
}

unsafe fn print_all(session: &mut Session, l: *mut lua_State) {
    let mut any = false;
    // SAFETY: see `run`.
    unsafe {
        each_local(l, 0, |name| {
            if memchr::memmem::find(name, b"(*temporary)").is_none() {
                session.log_value(l, &[b"<value> ", name, b" = "].concat());
                any = true;
            }
            false
        });
    }
    if !any {
        session.log("No local variables in the current context.");
    }
}

/// Has a piece of Lua run: the value of an expression, or else statements. It does not see the script's local variables.
unsafe fn evaluate(session: &mut Session, l: *mut lua_State, code: &[u8]) -> Next {
    // SAFETY: see `run`. The new thread is anchored on the stack, and runs nothing yet.
    unsafe {
        let thread = lua_newthread(l);
        if !sandbox::compile(thread, &[b"return ", code].concat(), EVALUATED) {
            lua_settop(thread, 0);
            if !sandbox::compile(thread, code, EVALUATED) {
                session.log_error_value(thread);
                lua_settop(l, -2);
                return Next::Ask;
            }
        }
    }
    session.evaluation = Some(Evaluation::Code);
    Next::Call
}

/// Has a command run as a script's is, which logs it and its reply.
unsafe fn call_command(session: &mut Session, l: *mut lua_State, words: &[Vec<u8>]) -> Next {
    // SAFETY: see `run`. The new thread is anchored on the stack, and runs nothing yet.
    unsafe {
        let thread = lua_newthread(l);
        if lua_checkstack(thread, words.len() as c_int + 1) == 0 {
            lua_settop(l, -2);
            session.log_reply(b"");
            return Next::Ask;
        }
        lua_pushcclosure(thread, redis_api::call, 0);
        words.iter().for_each(|word| push_bytes(thread, word));
    }
    session.settings.step = true;
    session.evaluation = Some(Evaluation::Command);
    Next::Call
}

impl Session {
    /// Logs the value on top of the stack.
    ///
    /// # Safety
    /// `l` is a live state, and memory is not refused.
    pub unsafe fn log_value(&mut self, l: *mut lua_State, prefix: &[u8]) {
        let mut text = Text::new(prefix, self.settings.maxlen);
        // SAFETY: as the caller promises.
        unsafe { text.value(l, -1) };
        self.log_trimmed(text);
    }

    /// Logs all values on the stack: what `redis.debug` was called with. They are not trimmed.
    ///
    /// # Safety
    /// As [`Session::log_value`].
    pub unsafe fn log_values(&mut self, l: *mut lua_State) {
        if self.wire.is_full() {
            return;
        }
        let mut text = Text::new(format!("<debug> line {}: ", self.source.current).as_bytes(), 0);
        // SAFETY: as the caller promises.
        unsafe {
            for index in 1..=lua_gettop(l) {
                if index > 1 {
                    text.push(b", ");
                }
                text.value(l, index);
            }
        }
        self.log(text.finish().0);
    }

    /// Logs the reply of a command.
    pub fn log_reply(&mut self, reply: &[u8]) {
        let mut text = Text::new(b"<reply> ", self.settings.maxlen);
        text.reply(reply);
        self.log_trimmed(text);
    }
}
