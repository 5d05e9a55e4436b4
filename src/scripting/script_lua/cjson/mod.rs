//! The Lua library `cjson`: JSON texts to Lua values and back.
//!
//! Upstream bundles Lua CJSON 2.1.0 by Mark Pulford, and scripts depend on its choices, which are all kept:
//!
//! - a table is an array if its keys are whole numbers from 1; one with too many holes is an error (or an object, if so
//!   configured), and the empty table is an object;
//! - `null` is a light userdata, `cjson.null`, because tables cannot hold nil;
//! - numbers are written with fourteen digits;
//! - what is not valid UTF-8 passes as it is.
//!
//! # How it works
//!
//! `scanner` cuts a text into tokens, `decode` builds values from them on Lua's stack, `encode` walks values and writes
//! them with `text` and `number`. Neither direction recurses: where it is within nested tables is kept in a vector, and
//! the tables themselves are on Lua's stack, whose limit therefore bounds the depth even where the configured limit does
//! not. The slots that each level takes are upstream's, so that deep texts fail at the same level.
//!
//! Each library table that `new` makes has its own configuration, the upvalue of its functions.

pub(super) mod config;
mod decode;
mod encode;
pub mod number;
pub mod scanner;
pub mod text;

use mlua_sys::*;

use super::boundary::{Returns, push_bytes, set_string};

const FUNCTIONS: [(&str, lua_CFunction); 10] = [
    ("encode", encode::encode),
    ("decode", decode::decode),
    ("encode_sparse_array", config::encode_sparse_array),
    ("encode_max_depth", config::encode_max_depth),
    ("decode_max_depth", config::decode_max_depth),
    ("encode_number_precision", config::encode_number_precision),
    ("encode_keep_buffer", config::encode_keep_buffer),
    ("encode_invalid_numbers", config::encode_invalid_numbers),
    ("decode_invalid_numbers", config::decode_invalid_numbers),
    ("new", new),
];

crate::lua_callback! {
    /// `cjson.new()`: a second library with a configuration of its own.
    fn new = new_library;
}

unsafe fn new_library(l: *mut lua_State) -> Returns {
    // SAFETY: a callback has more free slots than `open` needs.
    unsafe { open(l) };
    Ok(1)
}

/// Leaves a new library table on the stack.
///
/// # Safety
/// `l` is a live state of an engine with ten free slots, and memory is not refused.
pub unsafe fn open(l: *mut lua_State) {
    // SAFETY: everything here pushes onto the stack (five slots at most) and sets fields of new tables raw.
    unsafe {
        // In this order the fields come to lie where `pairs` finds them upstream.
        lua_createtable(l, 0, 0);
        config::push_new(l);
        for (name, function) in FUNCTIONS {
            push_bytes(l, name.as_bytes());
            lua_pushvalue(l, -2);
            lua_pushcclosure(l, function, 1);
            lua_rawset(l, -4);
        }
        lua_pop(l, 1);
        push_bytes(l, b"null");
        lua_pushlightuserdata(l, std::ptr::null_mut());
        lua_rawset(l, -3);
        set_string(l, "_NAME", b"cjson");
        set_string(l, "_VERSION", b"2.1.0");
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;

    #[test]
    fn cases_give_what_upstream_gives() {
        testing::check(include_str!("../testdata/cjson.txt"));
    }
}
