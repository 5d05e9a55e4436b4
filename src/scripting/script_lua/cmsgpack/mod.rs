//! The Lua library `cmsgpack`: MessagePack.
//!
//! Upstream bundles lua-cmsgpack 0.4.0 by Salvatore Sanfilippo. Its choices, kept here:
//!
//! - a table is an array if its keys are 1 to its number of elements, without a hole; the empty table is one;
//! - tables nested more than sixteen deep become nil, which also ends circles; functions, userdata and threads become nil
//!   too;
//! - a whole number is packed as an integer, another as a float of four bytes if that loses nothing;
//! - `unpack` returns all objects of a message, `unpack_one` and `unpack_limit` some of them, behind the offset at which to
//!   go on, -1 at the end.
//!
//! `format` knows the bytes. Packing recurses, at most sixteen deep. Unpacking does not recurse: nested arrays and maps are on
//! Lua's stack, and its limit bounds the depth. Lengths in a message are never believed: a table grows with the elements that
//! are really there.

pub mod format;

use std::ffi::c_int;

use mlua_sys::*;

use super::alloc::Host;
use super::boundary::{MOST_FIELDS, Raise, Returns, push_bytes, set_function, set_string, to_bytes};
use super::output::Output;
use format::{Error, Object, Reader};

/// Deeper tables are packed as nil.
const MAX_NESTING: usize = 16;

crate::lua_callback! {
    /// `cmsgpack.pack(value, …)`
    fn pack = pack_arguments;
    /// `cmsgpack.unpack(message)`
    fn unpack = unpack_all;
    /// `cmsgpack.unpack_one(message[, offset])`
    fn unpack_one = unpack_next;
    /// `cmsgpack.unpack_limit(message, limit[, offset])`
    fn unpack_limit = unpack_some;
}

/// Leaves a new library table on the stack.
///
/// # Safety
/// `l` is a live state of an engine with five free slots, and memory is not refused.
pub unsafe fn open(l: *mut lua_State) {
    // SAFETY: fields of a new table are set raw.
    unsafe {
        // In this order the fields come to lie where `pairs` finds them upstream.
        lua_createtable(l, 0, 0);
        set_function(l, "pack", pack);
        set_function(l, "unpack", unpack);
        set_function(l, "unpack_one", unpack_one);
        set_function(l, "unpack_limit", unpack_limit);
        set_string(l, "_NAME", b"cmsgpack");
        set_string(l, "_VERSION", b"lua-cmsgpack 0.4.0");
        set_string(l, "_COPYRIGHT", b"Copyright (C) 2012, Salvatore Sanfilippo");
        set_string(l, "_DESCRIPTION", b"MessagePack C implementation for Lua");
    }
}

unsafe fn pack_arguments(l: *mut lua_State) -> Returns {
    // SAFETY: room is made before each push.
    unsafe {
        let count = lua_gettop(l);
        if count == 0 {
            return Err(Raise::argument(0, "MessagePack pack needs input."));
        }
        if lua_checkstack(l, count) == 0 {
            return Err(Raise::argument(0, "Too many arguments for MessagePack pack."));
        }
        let mut packer = Packer { l, output: Output::default() };
        packer.output.restart((*Host::of(l)).room());
        for index in 1..=count {
            lua_pushvalue(l, index);
            packer.value(0)?;
            lua_pop(l, 1);
        }
        push_bytes(l, packer.output.bytes());
    }
    Ok(1)
}

/// Packs values from the top of Lua's stack, where they stay.
struct Packer {
    l: *mut lua_State,
    output: Output,
}

impl Packer {
    unsafe fn value(&mut self, level: usize) -> Result<(), Raise> {
        let l = self.l;
        self.output.count_value(0)?;
        // SAFETY: reads the value on top.
        unsafe {
            match lua_type(l, -1) {
                LUA_TSTRING => {
                    let text = to_bytes(l, -1).unwrap_or_default();
                    self.output.count_value(text.len())?;
                    format::write_string(self.output.buffer(), text);
                }
                LUA_TBOOLEAN => format::write_boolean(self.output.buffer(), lua_toboolean(l, -1) != 0),
                LUA_TNUMBER => format::write_number(self.output.buffer(), lua_tonumber(l, -1)),
                LUA_TTABLE if level < MAX_NESTING => self.table(level)?,
                _ => format::write_nil(self.output.buffer()),
            }
        }
        Ok(())
    }

    unsafe fn table(&mut self, level: usize) -> Result<(), Raise> {
        let l = self.l;
        // SAFETY: a key, a value and a copy of the key are pushed at most. Tables are read raw, and not changed.
        unsafe {
            if lua_checkstack(l, 3) == 0 {
                return Err(Raise::at("stack overflow (in function table_is_an_array)"));
            }
            let (count, is_array) = self.shape();
            if is_array {
                format::write_array_head(self.output.buffer(), count);
                for index in 1..=count {
                    lua_rawgeti_(l, -1, index as c_int);
                    self.value(level + 1)?;
                    lua_pop(l, 1);
                }
                return Ok(());
            }
            format::write_map_head(self.output.buffer(), count);
            lua_pushnil(l);
            while lua_next(l, -2) != 0 {
                lua_pushvalue(l, -2);
                self.value(level + 1)?;
                lua_pop(l, 1);
                self.value(level + 1)?;
                lua_pop(l, 1);
            }
        }
        Ok(())
    }

    /// The number of elements of the table on top, and whether their keys are just the numbers from 1 up.
    unsafe fn shape(&self) -> (usize, bool) {
        let l = self.l;
        let (mut count, mut max, mut is_array) = (0, 0, true);
        // SAFETY: the table is walked raw and not changed.
        unsafe {
            lua_pushnil(l);
            while lua_next(l, -2) != 0 {
                lua_pop(l, 1);
                count += 1;
                if is_array {
                    let key = if lua_type(l, -1) == LUA_TNUMBER { lua_tonumber(l, -1) } else { 0.0 };
                    let index = key as c_int;
                    is_array = index > 0 && f64::from(index) == key;
                    max = index.max(max);
                }
            }
        }
        (count, is_array && max as usize == count)
    }
}

unsafe fn unpack_all(l: *mut lua_State) -> Returns {
    // SAFETY: this is the callback's inner function.
    unsafe { unpack_objects(l, 0, 0) }
}

unsafe fn unpack_next(l: *mut lua_State) -> Returns {
    // SAFETY: as above.
    unsafe {
        let offset = optional_integer(l, 2)?;
        unpack_objects(l, 1, offset)
    }
}

unsafe fn unpack_some(l: *mut lua_State) -> Returns {
    // SAFETY: as above.
    unsafe {
        if lua_isnumber(l, 2) == 0 {
            return Err(Raise::wrong_type(l, 2, "number"));
        }
        let limit = lua_tointeger_(l, 2);
        let offset = optional_integer(l, 3)?;
        unpack_objects(l, limit, offset)
    }
}

/// An integer argument, zero if there is none.
unsafe fn optional_integer(l: *mut lua_State, index: c_int) -> Result<lua_Integer, Raise> {
    // SAFETY: reads an argument.
    unsafe {
        if lua_type(l, index) <= LUA_TNIL {
            return Ok(0);
        }
        if lua_isnumber(l, index) == 0 {
            return Err(Raise::wrong_type(l, index, "number"));
        }
        Ok(lua_tointeger_(l, index))
    }
}

/// Unpacks so many objects from `offset` on, and returns the offset behind them and the objects; or, if both numbers are zero,
/// returns all objects.
unsafe fn unpack_objects(l: *mut lua_State, limit: lua_Integer, offset: lua_Integer) -> Returns {
    // SAFETY: the message stays at the bottom of the stack until this returns, as a string, into which a number was made.
    unsafe {
        let Some(message) = to_bytes(l, 1) else { return Err(Raise::wrong_type(l, 1, "string")) };
        lua_settop(l, 1);
        // Messages show the lower 32 bits, as they do upstream; and the length where they speak of the limit.
        let (shown_offset, shown_length) = (offset as i32, message.len() as i32);
        let start = match usize::try_from(offset) {
            Ok(start) if limit >= 0 => start,
            _ => {
                let text = format!(
                    "Invalid request to unpack with offset of {shown_offset} and limit of {shown_length}."
                );
                return Err(Raise::at(text));
            }
        };
        if start > message.len() {
            let text = format!("Start offset {shown_offset} greater than input length {shown_length}.");
            return Err(Raise::at(text));
        }
        let all = limit == 0 && offset == 0;
        let limit = if all { lua_Integer::from(c_int::MAX) } else { limit };
        let mut unpacker = Unpacker { l, reader: Reader::new(&message[start..]), frames: Vec::new() };
        let mut count = 0;
        while unpacker.reader.remaining() > 0 && lua_Integer::from(count) < limit {
            unpacker.object()?;
            count += 1;
        }
        if all {
            return Ok(count);
        }
        if lua_checkstack(l, 1) == 0 {
            return Err(Raise::at("stack overflow (in function mp_unpack_full)"));
        }
        let left = unpacker.reader.remaining();
        lua_pushnumber(l, if left == 0 { -1.0 } else { (message.len() - left) as f64 });
        lua_insert(l, 2);
        Ok(count + 1)
    }
}

impl From<Error> for Raise {
    fn from(error: Error) -> Raise {
        Raise::at(match error {
            Error::MissingBytes => "Missing bytes in input.",
            Error::BadFormat => "Bad data format in input.",
        })
    }
}

/// An array or map that is being unpacked.
enum Frame {
    /// Elements that are missing, and the index of the next. Table and index are on the stack.
    Array(usize, usize),
    /// Pairs that are missing, and whether the next one's key is there already. Table and key are on the stack.
    Map(usize, bool),
}

/// Builds values on Lua's stack.
struct Unpacker<'m> {
    l: *mut lua_State,
    reader: Reader<'m>,
    frames: Vec<Frame>,
}

impl Unpacker<'_> {
    /// Unpacks one object, however deep, and leaves it on the stack.
    unsafe fn object(&mut self) -> Result<(), Raise> {
        // SAFETY: `scalar_or_head` makes room for what it pushes.
        unsafe {
            loop {
                let begun = self.scalar_or_head()?;
                if !begun && self.store_and_leave()? {
                    return Ok(());
                }
            }
        }
    }

    /// Reads an object that is complete at once, and tells `false`; or the head of one that has elements, and tells `true`.
    unsafe fn scalar_or_head(&mut self) -> Result<bool, Raise> {
        let l = self.l;
        if self.reader.remaining() == 0 {
            return Err(Error::MissingBytes.into());
        }
        // SAFETY: room for the object, and for the index behind an array, is made first.
        unsafe {
            if lua_checkstack(l, 1) == 0 {
                return Err(Raise::at(
                    "stack overflow (too many return values at once; use unpack_one or unpack_limit instead.)",
                ));
            }
            match self.reader.next_object()? {
                Object::Nil => lua_pushnil(l),
                Object::Boolean(value) => lua_pushboolean(l, c_int::from(value)),
                Object::Number(value) => lua_pushnumber(l, value),
                Object::String(text) => push_bytes(l, text),
                Object::Array(length) => {
                    self.check_fields(length, 1)?;
                    lua_createtable(l, 0, 0);
                    if lua_checkstack(l, 1) == 0 {
                        return Err(Raise::at("stack overflow (in function mp_decode_to_lua_array)"));
                    }
                    if length > 0 {
                        self.frames.push(Frame::Array(length, 1));
                        lua_pushnumber(l, 1.0);
                    }
                    return Ok(length > 0);
                }
                Object::Map(pairs) => {
                    self.check_fields(pairs, 2)?;
                    lua_createtable(l, 0, 0);
                    if pairs > 0 {
                        self.frames.push(Frame::Map(pairs, false));
                    }
                    return Ok(pairs > 0);
                }
            }
        }
        Ok(false)
    }

    /// Refuses more fields than a table can have, if there are bytes for so many. Each takes at least as many as said.
    fn check_fields(&self, fields: usize, bytes: usize) -> Result<(), Raise> {
        let possible = fields.min(self.reader.remaining() / bytes);
        if possible > MOST_FIELDS { Err(Raise::table_overflow()) } else { Ok(()) }
    }

    /// Stores the object on top in what it belongs to, and leaves whatever is complete with that. Tells whether all is.
    unsafe fn store_and_leave(&mut self) -> Result<bool, Raise> {
        let l = self.l;
        // SAFETY: the stack holds what the frames say, and no key is nil or NaN.
        unsafe {
            while let Some(frame) = self.frames.last_mut() {
                let missing = match frame {
                    Frame::Array(missing, index) => {
                        lua_rawset(l, -3);
                        *missing -= 1;
                        if *missing > 0 {
                            *index += 1;
                            lua_pushnumber(l, *index as f64);
                        }
                        *missing
                    }
                    Frame::Map(_, has_key @ false) => {
                        *has_key = true;
                        return Ok(false);
                    }
                    Frame::Map(missing, has_key) => {
                        check_key(l, -2)?;
                        lua_rawset(l, -3);
                        *has_key = false;
                        *missing -= 1;
                        *missing
                    }
                };
                if missing > 0 {
                    return Ok(false);
                }
                self.frames.pop();
            }
        }
        Ok(true)
    }
}

/// Refuses a key that no table can have, in the words of Lua itself.
unsafe fn check_key(l: *mut lua_State, index: c_int) -> Result<(), Raise> {
    // SAFETY: reads the value.
    unsafe {
        match lua_type(l, index) {
            LUA_TNIL => Err(Raise::text("table index is nil")),
            LUA_TNUMBER if lua_tonumber(l, index).is_nan() => Err(Raise::text("table index is NaN")),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;

    #[test]
    fn cases_give_what_upstream_gives() {
        testing::check(include_str!("../testdata/cmsgpack.txt"));
    }
}
