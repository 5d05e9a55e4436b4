//! The configuration of a `cjson` library, and the functions that change it.
//!
//! It lives in a userdata. The buffers that are used from call to call do not: nothing would drop them, since Lua calls no
//! finalizers here (`boundary.rs` says why). All libraries of a state share one set of [`Buffers`], which its host has.

use std::ffi::c_int;

use mlua_sys::*;

use super::super::boundary::{Raise, Returns, push_bytes, to_bytes};
use super::super::output::Output;
use super::encode::Frame;

/// What to do with a number that JSON has no form for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidNumbers {
    /// It is an error.
    Refuse = 0,
    /// It is written as C writes it.
    Write = 1,
    /// It is written as `null`.
    Null = 2,
}

/// What to encode, and how.
#[derive(Clone, Copy, Debug)]
pub struct EncodeOptions {
    /// Whether arrays with too many holes become objects; they are errors otherwise.
    pub convert_sparse: bool,
    /// An array has too many holes if its largest index is more than so many times the number of elements. Zero: never.
    pub sparse_ratio: c_int,
    /// Up to this largest index an array may have any number of holes.
    pub sparse_safe: c_int,
    /// Tables may be nested so deep.
    pub max_depth: c_int,
    /// NaN and infinities.
    pub invalid_numbers: InvalidNumbers,
    /// Significant digits, 1 to 14.
    pub precision: c_int,
}

/// A library's configuration.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// How to encode.
    pub encode: EncodeOptions,
    /// Whether the output buffer is kept from call to call.
    pub keep_buffer: bool,
    /// Arrays and objects may be nested so deep in a text.
    pub decode_max_depth: c_int,
    /// Whether numbers may be what C reads and JSON does not have.
    pub lenient_numbers: bool,
}

/// Memory that is used from call to call.
#[derive(Debug, Default)]
pub struct Buffers {
    /// Where encoding writes.
    pub output: Output,
    /// The tables that encoding is within.
    pub encode_frames: Vec<Frame>,
    /// The arrays and objects that decoding is within.
    pub decode_frames: Vec<c_int>,
}

impl Config {
    fn new() -> Config {
        Config {
            encode: EncodeOptions {
                convert_sparse: false,
                sparse_ratio: 2,
                sparse_safe: 10,
                max_depth: 1000,
                invalid_numbers: InvalidNumbers::Refuse,
                precision: 14,
            },
            keep_buffer: true,
            decode_max_depth: 1000,
            lenient_numbers: true,
        }
    }

    /// The configuration of the library whose function runs.
    ///
    /// # Safety
    /// `l` runs a function that `open` has made, and the caller has no other reference to the configuration.
    pub unsafe fn of<'a>(l: *mut lua_State) -> &'a mut Config {
        // SAFETY: the first upvalue of these functions is a userdata that holds a `Config`, and stays alive while one
        // of them runs. No Lua code runs meanwhile, so no second function asks for it.
        unsafe { &mut *lua_touserdata(l, lua_upvalueindex(1)).cast::<Config>() }
    }
}

/// Pushes a userdata with a new configuration.
///
/// # Safety
/// `l` is a live state with a free slot, and memory is not refused.
pub unsafe fn push_new(l: *mut lua_State) {
    /// Userdata are aligned like C's largest basic type, and nobody drops them.
    const _: () = assert!(align_of::<Config>() <= 8 && !std::mem::needs_drop::<Config>());
    // SAFETY: the new block has the size and alignment of a `Config`, and is initialised before anybody sees it.
    unsafe { lua_newuserdata(l, size_of::<Config>()).cast::<Config>().write(Config::new()) };
}

crate::lua_callback! {
    /// `cjson.encode_sparse_array([convert[, ratio[, safe]]])`
    pub fn encode_sparse_array = set_sparse_array;
    /// `cjson.encode_max_depth([depth])`
    pub fn encode_max_depth = set_encode_max_depth;
    /// `cjson.decode_max_depth([depth])`
    pub fn decode_max_depth = set_decode_max_depth;
    /// `cjson.encode_number_precision([digits])`
    pub fn encode_number_precision = set_precision;
    /// `cjson.encode_keep_buffer([on])`
    pub fn encode_keep_buffer = set_keep_buffer;
    /// `cjson.encode_invalid_numbers([on or "null"])`
    pub fn encode_invalid_numbers = set_encode_invalid_numbers;
    /// `cjson.decode_invalid_numbers([on])`
    pub fn decode_invalid_numbers = set_decode_invalid_numbers;
}

unsafe fn set_sparse_array(l: *mut lua_State) -> Returns {
    // SAFETY: as in all inner functions, `l` is a live state, and this runs as a function of the library.
    unsafe {
        expect_arguments(l, 3)?;
        let options = &mut Config::of(l).encode;
        switch_option(l, 1, &mut options.convert_sparse)?;
        integer_option(l, 2, &mut options.sparse_ratio, 0..=c_int::MAX)?;
        integer_option(l, 3, &mut options.sparse_safe, 0..=c_int::MAX)?;
    }
    Ok(3)
}

unsafe fn set_encode_max_depth(l: *mut lua_State) -> Returns {
    // SAFETY: as above.
    unsafe {
        expect_arguments(l, 1)?;
        integer_option(l, 1, &mut Config::of(l).encode.max_depth, 1..=c_int::MAX)
    }
}

unsafe fn set_decode_max_depth(l: *mut lua_State) -> Returns {
    // SAFETY: as above.
    unsafe {
        expect_arguments(l, 1)?;
        integer_option(l, 1, &mut Config::of(l).decode_max_depth, 1..=c_int::MAX)
    }
}

unsafe fn set_precision(l: *mut lua_State) -> Returns {
    // SAFETY: as above.
    unsafe {
        expect_arguments(l, 1)?;
        integer_option(l, 1, &mut Config::of(l).encode.precision, 1..=14)
    }
}

unsafe fn set_keep_buffer(l: *mut lua_State) -> Returns {
    // SAFETY: as above.
    unsafe {
        expect_arguments(l, 1)?;
        switch_option(l, 1, &mut Config::of(l).keep_buffer)
    }
}

unsafe fn set_encode_invalid_numbers(l: *mut lua_State) -> Returns {
    // SAFETY: as above.
    unsafe {
        expect_arguments(l, 1)?;
        let setting = &mut Config::of(l).encode.invalid_numbers;
        match choice(l, 1, &["off", "on", "null"])? {
            Some(0) => *setting = InvalidNumbers::Refuse,
            Some(1) => *setting = InvalidNumbers::Write,
            Some(_) => *setting = InvalidNumbers::Null,
            None => {}
        }
        match *setting {
            InvalidNumbers::Null => push_bytes(l, b"null"),
            other => lua_pushboolean(l, other as c_int),
        }
    }
    Ok(1)
}

unsafe fn set_decode_invalid_numbers(l: *mut lua_State) -> Returns {
    // SAFETY: as above.
    unsafe {
        expect_arguments(l, 1)?;
        switch_option(l, 1, &mut Config::of(l).lenient_numbers)
    }
}

/// Refuses more arguments than `count`, and fills missing ones with nil.
unsafe fn expect_arguments(l: *mut lua_State, count: c_int) -> Result<(), Raise> {
    // SAFETY: `count` slots are within those that every callback has.
    unsafe {
        if lua_gettop(l) > count {
            return Err(Raise::argument(count + 1, "found too many arguments"));
        }
        lua_settop(l, count);
    }
    Ok(())
}

/// Sets an integer if an argument was given, and pushes it.
unsafe fn integer_option(
    l: *mut lua_State,
    index: c_int,
    setting: &mut c_int,
    range: std::ops::RangeInclusive<c_int>,
) -> Returns {
    // SAFETY: reads one argument and pushes one number.
    unsafe {
        if lua_type(l, index) != LUA_TNIL {
            if lua_isnumber(l, index) == 0 {
                return Err(Raise::wrong_type(l, index, "number"));
            }
            // Upstream drops the upper half as well.
            let value = lua_tointeger_(l, index) as c_int;
            if !range.contains(&value) {
                let text = format!("expected integer between {} and {}", range.start(), range.end());
                // Whichever argument it was, upstream calls it the first.
                return Err(Raise::argument(1, text));
            }
            *setting = value;
        }
        lua_pushnumber(l, f64::from(*setting));
    }
    Ok(1)
}

/// Sets a switch if an argument was given (a boolean, `on` or `off`), and pushes it.
unsafe fn switch_option(l: *mut lua_State, index: c_int, setting: &mut bool) -> Returns {
    // SAFETY: reads one argument and pushes one boolean.
    unsafe {
        if let Some(choice) = choice(l, index, &["off", "on"])? {
            *setting = choice == 1;
        }
        lua_pushboolean(l, c_int::from(*setting));
    }
    Ok(1)
}

/// The number of the word that an argument is; booleans count as the first two words. `None` if it is nil.
unsafe fn choice(l: *mut lua_State, index: c_int, words: &[&str]) -> Result<Option<usize>, Raise> {
    // SAFETY: reads one argument.
    unsafe {
        match lua_type(l, index) {
            LUA_TNIL => return Ok(None),
            LUA_TBOOLEAN => return Ok(Some(lua_toboolean(l, index) as usize)),
            _ => {}
        }
        let Some(word) = to_bytes(l, index) else { return Err(Raise::wrong_type(l, index, "string")) };
        let word = &word[..memchr::memchr(0, word).unwrap_or(word.len())];
        match words.iter().position(|known| known.as_bytes() == word) {
            Some(choice) => Ok(Some(choice)),
            None => Err(Raise::argument(index, [b"invalid option '", word, b"'"].concat())),
        }
    }
}
