//! The boundary between Lua and Rust: how a Lua function is written in Rust, and why that is sound.
//!
//! # The danger
//!
//! Lua 5.1 raises errors with `longjmp`. A jump over a Rust frame that owns something (a `Vec`, a guard, a borrow with a
//! destructor) leaks at best and is undefined at worst. Almost every function of Lua's API may raise: those that allocate,
//! when memory is refused; those that call metamethods; the `luaL_check*` family by design.
//!
//! # The rule
//!
//! **No frame that owns a destructor is on the stack when an error is raised.** It is kept by giving each callback two
//! layers:
//!
//! - The *shell* is what Lua calls, an `extern "C-unwind" fn` that [`lua_callback!`](crate::lua_callback) writes, or
//!   [`lua_hook!`](crate::lua_hook). It holds plain numbers and pointers only. It is the one place that raises.
//! - The *inner* function does the work. It is a plain `unsafe fn(*mut lua_State) -> Result<c_int, Raise>`; it may own whatever
//!   it likes, because it never raises: it pushes an error value, or hands out a text, and **returns** [`Raise`]. When the
//!   shell raises, everything the inner function owned is gone.
//!
//! An inner function keeps that promise by these rules:
//!
//! - It calls `lua_checkstack` before it pushes more than the 20 slots that Lua gives (`LUA_MINSTACK`), and heeds the answer.
//! - It reads and writes tables raw (`lua_rawget`, `lua_rawset`, `lua_rawgeti`, `lua_rawseti`, `lua_next`), never with functions
//!   that honour metamethods (`lua_gettable`, `lua_getfield`, `lua_equal`, `lua_concat`, …). Keys it sets are neither nil nor
//!   NaN, a table is not changed while `lua_next` walks it, and never if it may be read-only. No table gets more than
//!   [`MOST_FIELDS`] of what a client or a script says.
//! - It calls no function of Lua's (`lua_call`, `lua_pcall`) while it owns anything. A callback whose very work is to call
//!   back (`pcall`, `load`) is written as a bare `extern "C-unwind" fn` of plain data.
//! - It does not use `luaL_check*`, `luaL_error` or `lua_error`. [`Raise`] says the same.
//!
//! What remains is memory. Lua raises when the allocator refuses, so the allocator (`Host`, in `alloc.rs`) does so only
//! **while Lua code itself runs**: [`enter`] has it refuse nothing until the inner function has returned. A callback may thus
//! pass the bound by what it pushes; the next allocation of the script's own is then refused. Finalizers would run in the middle
//! of any allocation, and raise an error there when calls are nested too deep; there are none (see `vendor/lua-src`).
//!
//! A panic must not cross Lua either. The server is built to abort on panic.

use std::ffi::c_int;

use mlua_sys::*;

use super::alloc::Host;

/// Fields that a table may have: Lua raises [`Raise::table_overflow`] when the part of a table that is hashed has to hold more.
pub const MOST_FIELDS: usize = 1 << 26;

/// What an inner function returns instead of a number of results, to have its shell raise an error.
///
/// One pointer, so that [`Returns`] comes back in two registers; the text of an error may well be made on the heap.
#[derive(Debug, PartialEq, Eq)]
pub struct Raise(Option<Box<Message>>);

/// An error that has no value yet.
#[derive(Debug, PartialEq, Eq)]
struct Message {
    text: Vec<u8>,
    place: Place,
}

/// What stands before the text of an error.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// Nothing.
    Nowhere,
    /// The position of the Lua code that called.
    Caller,
    /// That, and which argument is bad.
    Argument(c_int),
}

impl Raise {
    /// Raises the value on top of the stack.
    pub const VALUE: Raise = Raise(None);

    /// Raises a text, as it is.
    pub fn text(text: impl Into<Vec<u8>>) -> Raise {
        Raise::message(text.into(), Place::Nowhere)
    }

    /// Raises a text behind the position of the Lua code that called, as `luaL_error` makes it: `user_script:1: text`.
    pub fn at(text: impl Into<Vec<u8>>) -> Raise {
        Raise::message(text.into(), Place::Caller)
    }

    /// Raises what is wrong with an argument of this number, from 1, as `luaL_argerror` words it.
    pub fn argument(number: c_int, text: impl Into<Vec<u8>>) -> Raise {
        Raise::message(text.into(), Place::Argument(number))
    }

    /// Raises what Lua does of a table that has to have more than [`MOST_FIELDS`].
    pub fn table_overflow() -> Raise {
        Raise::text("table overflow")
    }

    #[cold]
    fn message(text: Vec<u8>, place: Place) -> Raise {
        Raise(Some(Box::new(Message { text, place })))
    }

    /// The argument with this number is of another type than the one named: `string expected, got nil`.
    ///
    /// # Safety
    /// `l` is a live state within a callback.
    #[cold]
    pub unsafe fn wrong_type(l: *mut lua_State, number: c_int, expected: &str) -> Raise {
        // SAFETY: as the caller promises.
        let got = unsafe { type_name(l, number) };
        Raise::argument(number, format!("{expected} expected, got {got}"))
    }
}

/// What an inner function returns: its number of results, which are on top of the stack, or an error to raise.
pub type Returns = Result<c_int, Raise>;

/// What a callback does.
pub type Inner = unsafe fn(*mut lua_State) -> Returns;

/// The answer of [`enter`] that tells the shell to raise the value on top of the stack.
pub const RAISE: c_int = -1;

/// Runs an inner function with memory granted without bound, and leaves the value to be raised on top of the stack if it
/// answered an error. All it owned is dropped when this returns.
///
/// # Safety
/// `l` is the live state that a callback of an [`Engine`](super::Engine) was given, and `inner` keeps the rules at the top of
/// this file.
#[inline]
pub unsafe fn enter(l: *mut lua_State, inner: Inner) -> c_int {
    // SAFETY: every state of ours has a `Host` for as long as it lives, and only this thread uses it.
    unsafe {
        let host = Host::of(l);
        let outside = (*host).set_bounded(false);
        let n = match inner(l) {
            Ok(n) => n,
            Err(raise) => push_error(l, raise),
        };
        (*host).set_bounded(outside);
        n
    }
}

/// Runs an inner function that needs no memory of Lua's, as [`enter`] does, which takes longer.
///
/// # Safety
/// As [`enter`]; besides, `inner` calls nothing that allocates: it reads arguments, and pushes numbers and booleans onto the slots
/// that a callback has.
#[inline]
pub unsafe fn enter_plain(l: *mut lua_State, inner: Inner) -> c_int {
    #[cold]
    unsafe fn fail(l: *mut lua_State, raise: Raise) -> c_int {
        // SAFETY: as in `enter`.
        unsafe {
            let host = Host::of(l);
            let outside = (*host).set_bounded(false);
            let n = push_error(l, raise);
            (*host).set_bounded(outside);
            n
        }
    }
    // SAFETY: as the caller promises.
    unsafe {
        match inner(l) {
            Ok(n) => n,
            Err(raise) => fail(l, raise),
        }
    }
}

/// Pushes the value that `raise` describes.
#[cold]
unsafe fn push_error(l: *mut lua_State, raise: Raise) -> c_int {
    // SAFETY: memory is not refused here, and once the stack is empty it has room for a few values, so nothing raises.
    unsafe {
        let Some(message) = raise.0 else { return RAISE };
        // What failed may have been the want of room. What is on the stack is lost anyway.
        lua_settop(l, 0);
        lua_checkstack(l, 4);
        match message.place {
            Place::Nowhere => push_bytes(l, &message.text),
            Place::Caller => push_at(l, &message.text),
            Place::Argument(number) => push_argument_error(l, number, &message.text),
        }
    }
    RAISE
}

/// Pushes a text behind the position of the caller.
unsafe fn push_at(l: *mut lua_State, text: &[u8]) {
    // SAFETY: `luaL_where` pushes one string that it puts together from debug information, and reads nothing else.
    unsafe {
        luaL_where(l, 1);
        let mut whole = to_bytes(l, -1).unwrap_or_default().to_vec();
        lua_pop(l, 1);
        whole.extend_from_slice(text);
        push_bytes(l, &whole);
    }
}

/// Words it as Lua does: `bad argument #1 to 'name' (text)`, where `self` does not count.
unsafe fn push_argument_error(l: *mut lua_State, mut number: c_int, text: &[u8]) {
    // SAFETY: `lua_Debug` is plain data that `lua_getinfo` fills for a level that `lua_getstack` found.
    let (name, method) = unsafe {
        let mut ar: lua_Debug = std::mem::zeroed();
        if lua_getstack(l, 0, &mut ar) == 0 {
            return push_at(l, &[b"bad argument (", text, b")"].concat());
        }
        lua_getinfo(l, c"n".as_ptr(), &mut ar);
        let c_bytes = |s: *const std::ffi::c_char| match s.is_null() {
            true => &b"?"[..],
            false => std::ffi::CStr::from_ptr(s).to_bytes(),
        };
        (c_bytes(ar.name).to_vec(), c_bytes(ar.namewhat) == b"method")
    };
    if method {
        number -= 1;
    }
    let digits = number.to_string();
    let whole = match (method, number) {
        (true, 0) => [b"calling '", &name[..], b"' on bad self (", text, b")"].concat(),
        _ => [b"bad argument #", digits.as_bytes(), b" to '", &name, b"' (", text, b")"].concat(),
    };
    // SAFETY: as in `push_at`.
    unsafe { push_at(l, &whole) }
}

/// Defines Lua functions that are written in Rust: for each, the shell that Lua calls, under a name of its own, around the
/// inner function that does the work. One that needs no memory of Lua's may be run by [`enter_plain`].
///
/// ```ignore
/// lua_callback! {
///     /// `struct.size(format)`
///     pub fn size = format_size;
/// }
/// lua_callback! { enter_plain:
///     /// `bit.bnot(x)`
///     pub fn bnot = complement;
/// }
/// ```
#[macro_export]
macro_rules! lua_callback {
    ($(#[$doc:meta])* $vis:vis fn $($rest:tt)*) => {
        $crate::lua_callback! { enter: $(#[$doc])* $vis fn $($rest)* }
    };
    ($enter:ident: $($(#[$doc:meta])* $vis:vis fn $shell:ident = $inner:path;)*) => {$(
        $(#[$doc])*
        ///
        /// # Safety
        /// To be called by Lua alone, in a state of an engine.
        $vis unsafe extern "C-unwind" fn $shell(l: *mut mlua_sys::lua_State) -> std::ffi::c_int {
            // SAFETY: Lua passes a live state; `$inner` keeps the rules of inner functions; this frame owns nothing.
            unsafe {
                let n = $crate::scripting::script_lua::boundary::$enter(l, $inner);
                if n == $crate::scripting::script_lua::boundary::RAISE {
                    mlua_sys::lua_error(l);
                }
                n
            }
        }
    )*};
}

/// Declares a hook, the shell around an inner function that Lua is to call between instructions:
///
/// ```ignore
/// lua_hook! {
///     /// What Lua calls every so many instructions.
///     fn on_count = counted;
/// }
/// ```
#[macro_export]
macro_rules! lua_hook {
    ($(#[$doc:meta])* fn $shell:ident = $inner:path;) => {
        $(#[$doc])*
        ///
        /// # Safety
        /// To be called by Lua alone, in a state of an engine.
        unsafe extern "C-unwind" fn $shell(l: *mut mlua_sys::lua_State, _ar: *mut mlua_sys::lua_Debug) {
            // SAFETY: a hook is called with a live state and free slots, as a callback is; this frame owns nothing.
            unsafe {
                if $crate::scripting::script_lua::boundary::enter(l, $inner)
                    == $crate::scripting::script_lua::boundary::RAISE
                {
                    mlua_sys::lua_error(l);
                }
            }
        }
    };
}

/// Pushes a string. Needs a free slot.
///
/// # Safety
/// `l` is a live state, and memory is not refused.
#[inline]
pub unsafe fn push_bytes(l: *mut lua_State, bytes: &[u8]) {
    // SAFETY: Lua copies the bytes, which may be none.
    unsafe { lua_pushlstring_(l, bytes.as_ptr().cast(), bytes.len()) }
}

/// The bytes of the string (or of the number, which is thereby made a string in its place) at `index`; `None` for any other
/// value. They are valid while the value stays on the stack or in a table.
///
/// # Safety
/// `l` is a live state, memory is not refused, and the caller does not use the bytes for longer than that.
#[inline]
pub unsafe fn to_bytes<'a>(l: *mut lua_State, index: c_int) -> Option<&'a [u8]> {
    // SAFETY: Lua answers null or the address of as many bytes as it writes to `len`.
    unsafe {
        let mut len = 0;
        let start = lua_tolstring(l, index, &mut len);
        if start.is_null() { None } else { Some(std::slice::from_raw_parts(start.cast(), len)) }
    }
}

/// The name of the type of the value at `index`, `no value` if there is none.
///
/// # Safety
/// `l` is a live state.
pub unsafe fn type_name(l: *mut lua_State, index: c_int) -> &'static str {
    // SAFETY: reading the type of any index is allowed.
    match unsafe { lua_type(l, index) } {
        LUA_TNIL => "nil",
        LUA_TBOOLEAN => "boolean",
        LUA_TLIGHTUSERDATA | LUA_TUSERDATA => "userdata",
        LUA_TNUMBER => "number",
        LUA_TSTRING => "string",
        LUA_TTABLE => "table",
        LUA_TFUNCTION => "function",
        LUA_TTHREAD => "thread",
        _ => "no value",
    }
}

/// Sets `name` of the table at the top of the stack to a function, raw.
///
/// # Safety
/// `l` is a live state with two free slots and a table on top, and memory is not refused.
pub unsafe fn set_function(l: *mut lua_State, name: &str, function: lua_CFunction) {
    // SAFETY: as the caller promises.
    unsafe {
        push_bytes(l, name.as_bytes());
        lua_pushcclosure(l, function, 0);
        lua_rawset(l, -3);
    }
}

/// Sets `name` of the table at the top of the stack to a string, raw.
///
/// # Safety
/// As [`set_function`].
pub unsafe fn set_string(l: *mut lua_State, name: &str, value: &[u8]) {
    // SAFETY: as the caller promises.
    unsafe {
        push_bytes(l, name.as_bytes());
        push_bytes(l, value);
        lua_rawset(l, -3);
    }
}

/// Sets `name` of the table at the top of the stack to a number, raw.
///
/// # Safety
/// As [`set_function`].
pub unsafe fn set_number(l: *mut lua_State, name: &str, value: f64) {
    // SAFETY: as the caller promises.
    unsafe {
        push_bytes(l, name.as_bytes());
        lua_pushnumber(l, value);
        lua_rawset(l, -3);
    }
}
