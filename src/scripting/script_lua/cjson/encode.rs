//! `cjson.encode`: a value becomes a text.

use std::ffi::c_int;

use mlua_sys::*;

use super::super::alloc::Host;
use super::super::boundary::{Raise, Returns, push_bytes, to_bytes, type_name};
use super::super::output::{OutOfMemory, Output};
use super::config::{Buffers, Config, EncodeOptions, InvalidNumbers};
use super::{number, text};

crate::lua_callback! {
    /// `cjson.encode(value)`
    pub fn encode = encode_argument;
}

/// A table whose elements are being written.
#[derive(Clone, Copy, Debug)]
pub enum Frame {
    /// An array: the next index, and the last.
    Array(c_int, c_int),
    /// An object, and whether something of it was written.
    Object(bool),
}

unsafe fn encode_argument(l: *mut lua_State) -> Returns {
    // SAFETY: no Lua code runs until this returns, so the configuration is ours alone; every state has a host.
    unsafe {
        if lua_gettop(l) != 1 {
            return Err(Raise::argument(1, "expected 1 argument"));
        }
        let (config, host) = (Config::of(l), &*Host::of(l));
        let Buffers { output, encode_frames: frames, .. } = &mut *host.json_buffers();
        output.restart(host.room());
        frames.clear();
        let done = Encoder { l, options: config.encode, output, frames }.value();
        if done.is_ok() {
            push_bytes(l, output.bytes());
        }
        if !config.keep_buffer {
            *output = Output::default();
        }
        done.map(|()| 1)
    }
}

/// Writes the value on top of the stack. Below it are the tables that it is within, each with the key of what is above.
struct Encoder<'c> {
    l: *mut lua_State,
    options: EncodeOptions,
    output: &'c mut Output,
    frames: &'c mut Vec<Frame>,
}

impl From<OutOfMemory> for Raise {
    fn from(_: OutOfMemory) -> Raise {
        Raise::text("not enough memory")
    }
}

impl Encoder<'_> {
    /// Writes the whole value, which stays on the stack.
    unsafe fn value(mut self) -> Result<(), Raise> {
        // SAFETY: the value on top is the one to write: the argument, then what `next_element` pushes. `enter_table` makes room.
        unsafe {
            loop {
                let entered = self.scalar_or_table()?;
                if !entered && self.frames.is_empty() {
                    return Ok(());
                }
                if !entered {
                    lua_pop(self.l, 1);
                }
                while !self.next_element()? {
                    self.frames.pop();
                    if self.frames.is_empty() {
                        return Ok(());
                    }
                    lua_pop(self.l, 1);
                }
            }
        }
    }

    /// Writes the value on top, or the begin of a table, of which it tells `true`.
    unsafe fn scalar_or_table(&mut self) -> Result<bool, Raise> {
        let l = self.l;
        // SAFETY: reads the value on top.
        unsafe {
            self.output.count_value(0)?;
            match lua_type(l, -1) {
                LUA_TSTRING => self.string(-1)?,
                LUA_TNUMBER => self.number(-1)?,
                LUA_TBOOLEAN => {
                    let word: &[u8] = if lua_toboolean(l, -1) != 0 { b"true" } else { b"false" };
                    self.write(word);
                }
                LUA_TTABLE => {
                    self.enter_table()?;
                    return Ok(true);
                }
                LUA_TNIL => self.write(b"null"),
                LUA_TLIGHTUSERDATA if lua_touserdata(l, -1).is_null() => self.write(b"null"),
                _ => return Err(self.cannot(-1, "type not supported")),
            }
        }
        Ok(false)
    }

    /// Writes a table's bracket, and notes that its elements come next.
    unsafe fn enter_table(&mut self) -> Result<(), Raise> {
        let l = self.l;
        let depth = self.frames.len() + 1;
        // SAFETY: room is made for a key, a value and one more, as upstream does.
        unsafe {
            if depth > self.options.max_depth as usize || lua_checkstack(l, 3) == 0 {
                let text = format!("Cannot serialise, excessive nesting ({depth})");
                return Err(Raise::at(text));
            }
            match self.array_length()? {
                Some(length) => {
                    self.write(b"[");
                    self.frames.push(Frame::Array(1, length));
                }
                None => {
                    self.write(b"{");
                    self.frames.push(Frame::Object(false));
                    lua_pushnil(l);
                }
            }
        }
        Ok(())
    }

    /// The largest index of a table that is to be an array; `None` if it is to be an object.
    unsafe fn array_length(&mut self) -> Result<Option<c_int>, Raise> {
        let l = self.l;
        let (mut max, mut items) = (0, 0);
        // SAFETY: the table on top is walked raw and not changed.
        unsafe {
            lua_pushnil(l);
            while lua_next(l, -2) != 0 {
                let key = if lua_type(l, -2) == LUA_TNUMBER { lua_tonumber(l, -2) } else { 0.0 };
                if key < 1.0 || key.floor() != key {
                    lua_pop(l, 2);
                    return Ok(None);
                }
                if key > f64::from(max) {
                    max = to_int(key);
                }
                items += 1;
                lua_pop(l, 1);
            }
        }
        let EncodeOptions { sparse_ratio: ratio, sparse_safe: safe, .. } = self.options;
        if ratio > 0 && max > c_int::wrapping_mul(items, ratio) && max > safe {
            if !self.options.convert_sparse {
                // SAFETY: the table is on top again.
                return Err(unsafe { self.cannot(-1, "excessively sparse array") });
            }
            return Ok(None);
        }
        Ok((max > 0).then_some(max))
    }

    /// Pushes the next element of the innermost table, with all that stands in front of it; or writes that table's closing
    /// bracket, and tells `false`.
    unsafe fn next_element(&mut self) -> Result<bool, Raise> {
        let l = self.l;
        let frame = self.frames.last_mut().expect("within a table");
        // SAFETY: the innermost table is on top, an object's under the last key. `enter_table` made room.
        unsafe {
            match frame {
                Frame::Array(next, last) if *next > *last => {
                    self.write(b"]");
                    Ok(false)
                }
                Frame::Array(next, _) => {
                    let index = *next;
                    // The last index may be the largest there is.
                    let Some(following) = index.checked_add(1) else { return Err(OutOfMemory.into()) };
                    *next = following;
                    if index > 1 {
                        self.write(b",");
                    }
                    lua_rawgeti_(l, -1, index);
                    Ok(true)
                }
                Frame::Object(begun) => {
                    let begun = std::mem::replace(begun, true);
                    if lua_next(l, -2) == 0 {
                        self.write(b"}");
                        return Ok(false);
                    }
                    if begun {
                        self.write(b",");
                    }
                    self.key()?;
                    Ok(true)
                }
            }
        }
    }

    /// Writes the key under the top.
    unsafe fn key(&mut self) -> Result<(), Raise> {
        // SAFETY: only strings are read as strings: a number would be changed in its place, and the walk lose its way.
        unsafe {
            match lua_type(self.l, -2) {
                LUA_TSTRING => {
                    self.string(-2)?;
                    self.write(b":");
                }
                LUA_TNUMBER => {
                    self.write(b"\"");
                    self.number(-2)?;
                    self.write(b"\":");
                }
                _ => return Err(self.cannot(-2, "table key must be a number or string")),
            }
        }
        Ok(())
    }

    unsafe fn string(&mut self, index: c_int) -> Result<(), Raise> {
        // SAFETY: the string stays on the stack meanwhile.
        let string = unsafe { to_bytes(self.l, index) }.unwrap_or_default();
        self.output.count_value(string.len())?;
        text::write_string(self.output.buffer(), string);
        Ok(())
    }

    unsafe fn number(&mut self, index: c_int) -> Result<(), Raise> {
        // SAFETY: reads a number.
        let value = unsafe { lua_tonumber(self.l, index) };
        if value.is_finite() {
            number::write_number(self.output.buffer(), value, self.options.precision as usize);
            return Ok(());
        }
        match self.options.invalid_numbers {
            InvalidNumbers::Refuse => {
                // SAFETY: the number is there still.
                return Err(unsafe { self.cannot(index, "must not be NaN or Inf") });
            }
            InvalidNumbers::Null => self.write(b"null"),
            // Without its sign, which says nothing.
            InvalidNumbers::Write if value.is_nan() => self.write(b"nan"),
            InvalidNumbers::Write => number::write_number(self.output.buffer(), value, 1),
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) {
        self.output.buffer().extend_from_slice(bytes);
    }

    #[cold]
    unsafe fn cannot(&self, index: c_int, reason: &str) -> Raise {
        // SAFETY: reads a type.
        let name = unsafe { type_name(self.l, index) };
        Raise::at(format!("Cannot serialise {name}: {reason}"))
    }
}

/// A whole number as an `int`, as x86-64 converts it: what does not fit becomes the smallest.
fn to_int(value: f64) -> c_int {
    if value <= f64::from(c_int::MAX) { value as c_int } else { c_int::MIN }
}
