//! `cjson.decode`: a text becomes a value.

use std::ffi::c_int;

use mlua_sys::*;

use super::super::alloc::Host;
use super::super::boundary::{MOST_FIELDS, Raise, Returns, push_bytes, to_bytes};
use super::config::Config;
use super::scanner::{Scanner, Token};

crate::lua_callback! {
    /// `cjson.decode(text)`
    pub fn decode = decode_argument;
}

unsafe fn decode_argument(l: *mut lua_State) -> Returns {
    // SAFETY: the text is the argument, which stays on the stack until this returns; every state has a host.
    unsafe {
        if lua_gettop(l) != 1 {
            return Err(Raise::argument(1, "expected 1 argument"));
        }
        let Some(text) = to_bytes(l, 1) else { return Err(Raise::wrong_type(l, 1, "string")) };
        if text.len() >= 2 && (text[0] == 0 || text[1] == 0) {
            return Err(Raise::at("JSON parser does not support UTF-16 or UTF-32"));
        }
        let Config { lenient_numbers, decode_max_depth: max_depth, .. } = *Config::of(l);
        let frames = &mut (*Host::of(l)).json_buffers().decode_frames;
        frames.clear();
        let mut decoder = Decoder { l, scanner: Scanner::new(text, lenient_numbers), frames, max_depth };
        decoder.value()?;
        decoder.expect(Token::End, "the end")?;
    }
    Ok(1)
}

/// The frame of an object of which nothing is stored.
const OBJECT: c_int = -1;

/// Builds a value on Lua's stack. Tables begin with room for one element and grow as they are filled: in which order `pairs`
/// shows their fields, and where `#` finds the end of an array that a script makes holes in, depends on how they grew. Of every array that is not yet complete, its table is there; of every object, its table and the key
/// whose value comes next.
struct Decoder<'t> {
    l: *mut lua_State,
    scanner: Scanner<'t>,
    /// What the next value belongs to, outermost first: of an array the index of that value, of an object the same with a minus.
    frames: &'t mut Vec<c_int>,
    max_depth: c_int,
}

impl Decoder<'_> {
    /// Reads one value, however deep, and leaves it on the stack.
    unsafe fn value(&mut self) -> Result<(), Raise> {
        // SAFETY: `descend` makes room for what a table needs: itself, a key and a value.
        unsafe {
            loop {
                let begun = self.scalar_or_begin()?;
                if !begun && self.store_and_leave()? {
                    return Ok(());
                }
            }
        }
    }

    /// Reads a value that is complete at once, and tells `false`; or the begin of an array or object, up to where its first
    /// value stands, and tells `true`.
    unsafe fn scalar_or_begin(&mut self) -> Result<bool, Raise> {
        let l = self.l;
        // SAFETY: there is room for one value, and for more after `descend`.
        unsafe {
            match self.scanner.next_token() {
                Token::String(text) => push_bytes(l, text),
                Token::Number(value) => lua_pushnumber(l, value),
                Token::Boolean(value) => lua_pushboolean(l, c_int::from(value)),
                Token::Null => lua_pushlightuserdata(l, std::ptr::null_mut()),
                Token::ArrayBegin => {
                    self.descend(2)?;
                    let is_empty = self.scanner.skip(b']');
                    lua_createtable(l, c_int::from(!is_empty), 0);
                    if !is_empty {
                        self.frames.push(1);
                        return Ok(true);
                    }
                }
                Token::ObjectBegin => {
                    self.descend(3)?;
                    let is_empty = self.scanner.skip(b'}');
                    lua_createtable(l, 0, c_int::from(!is_empty));
                    if !is_empty {
                        self.frames.push(OBJECT);
                        self.key()?;
                        return Ok(true);
                    }
                }
                other => {
                    let found = other.name();
                    return Err(self.unexpected("value", found));
                }
            }
        }
        Ok(false)
    }

    /// Stores the value on top in what it belongs to, and leaves whatever is complete with that. Tells whether all is.
    unsafe fn store_and_leave(&mut self) -> Result<bool, Raise> {
        let l = self.l;
        // SAFETY: the stack holds what the frames say. Keys are strings or positive, so that setting them raises nothing.
        unsafe {
            while let Some(frame) = self.frames.last_mut() {
                let is_object = *frame < 0;
                if frame.unsigned_abs() as usize > MOST_FIELDS {
                    return Err(Raise::table_overflow());
                }
                let (end, expected) = if is_object {
                    lua_rawset(l, -3);
                    *frame -= 1;
                    (b'}', "comma or object end")
                } else {
                    lua_rawseti_(l, -2, *frame);
                    *frame += 1;
                    (b']', "comma or array end")
                };
                if self.scanner.skip(b',') {
                    if is_object {
                        self.key()?;
                    }
                    return Ok(false);
                }
                if !self.scanner.skip(end) {
                    let found = self.scanner.next_token().name();
                    return Err(self.unexpected(expected, found));
                }
                self.frames.pop();
            }
        }
        Ok(true)
    }

    /// Reads a key and its colon, and pushes the key.
    unsafe fn key(&mut self) -> Result<(), Raise> {
        match self.scanner.next_token() {
            // SAFETY: `descend` made room.
            Token::String(text) => unsafe { push_bytes(self.l, text) },
            other => {
                let found = other.name();
                return Err(self.unexpected("object key string", found));
            }
        }
        if self.scanner.skip(b':') {
            return Ok(());
        }
        self.expect(Token::Colon, "colon")
    }

    fn expect(&mut self, token: Token<'static>, name: &str) -> Result<(), Raise> {
        let found = self.scanner.next_token();
        if found == token {
            return Ok(());
        }
        let found = found.name();
        Err(self.unexpected(name, found))
    }

    /// Goes one level deeper, where a table and what is pushed for it take this many slots.
    unsafe fn descend(&mut self, slots: c_int) -> Result<(), Raise> {
        let depth = self.frames.len() + 1;
        // SAFETY: asking for room is always allowed.
        if depth <= self.max_depth as usize && unsafe { lua_checkstack(self.l, slots) } != 0 {
            return Ok(());
        }
        let at = self.scanner.position();
        let text = format!("Found too many nested data structures ({depth}) at character {at}");
        Err(Raise::at(text))
    }

    #[cold]
    fn unexpected(&self, expected: &str, found: &str) -> Raise {
        let at = self.scanner.token_position() + 1;
        Raise::at(format!("Expected {expected} but found {found} at character {at}"))
    }
}
