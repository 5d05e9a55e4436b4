//! Values across the boundary: replies of commands become Lua values, and what a script returns becomes a reply.
//!
//! | reply                     | Lua value                                | and back                                    |
//! |---------------------------|------------------------------------------|---------------------------------------------|
//! | integer                   | number                                   | integer, the fraction cut off               |
//! | bulk string               | string                                   | bulk string                                 |
//! | array                     | table from 1                             | array, up to the first nil                  |
//! | status                    | table with `ok`                          | status                                      |
//! | error                     | table with `err`                         | error                                       |
//! | null bulk, null array     | false                                    | null                                        |
//! | null of RESP3             | nil                                      | null                                        |
//! | boolean                   | boolean                                  | boolean in RESP3, else 1 and null           |
//! | double                    | table with `double`                      | double                                      |
//! | map, set                  | table with `map` or `set`                | map, set                                    |
//! | big number                | table with `big_number`                  | big number                                  |
//! | verbatim string           | table with `verbatim_string`             | verbatim string                             |
//!
//! Replies are read where the command has written them, in the output of the script's client: nothing is copied but the
//! strings that Lua keeps.

use std::ffi::c_int;

use mlua_sys::*;

use super::boundary::{MOST_FIELDS, push_bytes, to_bytes};
use crate::server::reply::Out;
use crate::server::stats::Stats;

/// Slots of Lua's stack that one level of a reply takes at most.
const SLOTS: c_int = 6;

/// A reply, as far as it is read.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// The line up to the next line break, which is passed.
    fn line(&mut self) -> &'a [u8] {
        let rest = &self.bytes[self.at..];
        let len = memchr::memchr(b'\r', rest).expect("a reply's line ends");
        self.at += len + 2;
        &rest[..len]
    }

    /// The next `len` bytes; the line break behind them is passed.
    fn block(&mut self, len: usize) -> &'a [u8] {
        let block = &self.bytes[self.at..self.at + len];
        self.at += len + 2;
        block
    }
}

/// The number in a header, which the server itself has written; -1 stands for null.
fn header(line: &[u8]) -> Option<usize> {
    match line {
        [b'-', ..] => None,
        digits => Some(digits.iter().fold(0, |n, digit| n * 10 + usize::from(digit - b'0'))),
    }
}

fn integer(line: &[u8]) -> i64 {
    let (negative, digits) = match line {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let n = digits.iter().fold(0i64, |n, digit| n.wrapping_mul(10).wrapping_add(i64::from(digit - b'0')));
    if negative { n.wrapping_neg() } else { n }
}

/// Pushes the value of the reply `bytes`, and tells whether it is an error. `None`, and nothing is pushed, if it is nested
/// deeper than Lua's stack, or has more fields than Lua's tables hold.
///
/// # Safety
/// `l` is a live state, memory is not refused, and `bytes` is a whole reply of this server.
pub unsafe fn push_reply(l: *mut lua_State, bytes: &[u8]) -> Option<bool> {
    let mut reader = Reader { bytes, at: 0 };
    // SAFETY: as the caller promises.
    unsafe {
        let top = lua_gettop(l);
        let pushed = push(l, &mut reader);
        if pushed.is_none() {
            lua_settop(l, top);
        }
        pushed
    }
}

/// Pushes the value that is read next.
unsafe fn push(l: *mut lua_State, reader: &mut Reader<'_>) -> Option<bool> {
    // SAFETY: there is room for what a level pushes; tables are set raw, with keys that are no nil.
    unsafe {
        if lua_checkstack(l, SLOTS) == 0 {
            return None;
        }
        let kind = reader.bytes[reader.at];
        reader.at += 1;
        let line = reader.line();
        match kind {
            b'$' => match header(line) {
                Some(len) => push_bytes(l, reader.block(len)),
                None => lua_pushboolean(l, 0),
            },
            b':' => lua_pushnumber(l, integer(line) as f64),
            b'*' | b'>' => match header(line) {
                Some(n) => push_array(l, reader, n)?,
                None => lua_pushboolean(l, 0),
            },
            b'+' => push_field(l, b"ok", |l| push_bytes(l, line)),
            b'-' => {
                push_command_error(l, line);
                return Some(true);
            }
            b'_' => lua_pushnil(l),
            b'#' => lua_pushboolean(l, c_int::from(line == b"t")),
            b',' => {
                let number = crate::ds::numbers::parse_f64(line).unwrap_or(f64::NAN);
                push_field(l, b"double", |l| lua_pushnumber(l, number));
            }
            b'(' => push_field(l, b"big_number", |l| push_bytes(l, line)),
            b'=' => push_verbatim(l, reader.block(header(line)?)),
            b'%' => push_map(l, reader, header(line).filter(|n| *n <= MOST_FIELDS)?)?,
            b'~' => push_set(l, reader, header(line).filter(|n| *n <= MOST_FIELDS)?)?,
            b'|' => return skip_attributes(l, reader, header(line)?),
            _ => unreachable!("the server writes no such reply"),
        }
    }
    Some(false)
}

/// Pushes a table with one field.
unsafe fn push_field(l: *mut lua_State, name: &[u8], value: impl FnOnce(*mut lua_State)) {
    // SAFETY: see `push`.
    unsafe {
        lua_createtable(l, 0, 1);
        push_bytes(l, name);
        value(l);
        lua_rawset(l, -3);
    }
}

unsafe fn push_array(l: *mut lua_State, reader: &mut Reader<'_>, n: usize) -> Option<()> {
    // SAFETY: see `push`.
    unsafe {
        lua_createtable(l, n as c_int, 0);
        for i in 1..=n {
            push(l, reader)?;
            lua_rawseti_(l, -2, i as c_int);
        }
    }
    Some(())
}

unsafe fn push_map(l: *mut lua_State, reader: &mut Reader<'_>, n: usize) -> Option<()> {
    // SAFETY: see `push`.
    unsafe {
        lua_createtable(l, 0, 1);
        push_bytes(l, b"map");
        lua_createtable(l, 0, n as c_int);
        for _ in 0..n {
            push(l, reader)?;
            push(l, reader)?;
            set_pair(l);
        }
        lua_rawset(l, -3);
    }
    Some(())
}

unsafe fn push_set(l: *mut lua_State, reader: &mut Reader<'_>, n: usize) -> Option<()> {
    // SAFETY: see `push`.
    unsafe {
        lua_createtable(l, 0, 1);
        push_bytes(l, b"set");
        lua_createtable(l, 0, n as c_int);
        for _ in 0..n {
            push(l, reader)?;
            lua_pushboolean(l, 1);
            set_pair(l);
        }
        lua_rawset(l, -3);
    }
    Some(())
}

/// Sets the key and the value on top in the table below them. Null cannot be a key: such a pair is dropped.
unsafe fn set_pair(l: *mut lua_State) {
    // SAFETY: see `push`.
    unsafe {
        if lua_type(l, -2) == LUA_TNIL {
            lua_settop(l, -3);
        } else {
            lua_rawset(l, -3);
        }
    }
}

unsafe fn push_verbatim(l: *mut lua_State, block: &[u8]) {
    let (format, text) = block.split_at(3);
    // SAFETY: see `push`.
    unsafe {
        push_field(l, b"verbatim_string", |l| {
            lua_createtable(l, 0, 2);
            push_bytes(l, b"string");
            push_bytes(l, &text[1..]);
            lua_rawset(l, -3);
            push_bytes(l, b"format");
            push_bytes(l, format);
            lua_rawset(l, -3);
        });
    }
}

/// Passes over attributes; scripts see what they are attributes of.
unsafe fn skip_attributes(l: *mut lua_State, reader: &mut Reader<'_>, n: usize) -> Option<bool> {
    // SAFETY: see `push`.
    unsafe {
        for _ in 0..2 * n {
            push(l, reader)?;
            lua_settop(l, -2);
        }
        push(l, reader)
    }
}

/// Pushes the error of a command: it was counted when it happened, and is not counted again if the script returns it.
///
/// # Safety
/// `l` is a live state with five free slots, and memory is not refused.
pub unsafe fn push_command_error(l: *mut lua_State, text: &[u8]) {
    // SAFETY: as the caller promises.
    unsafe {
        push_error(l, &[b"-", text].concat());
        push_bytes(l, b"ignore_error_stats_update");
        lua_pushboolean(l, 1);
        lua_rawset(l, -3);
    }
}

/// Pushes an error as scripts know them: a table with a field `err`. A text that begins with a dash and has more than one
/// word brings its code along; any other gets the code ERR.
///
/// # Safety
/// `l` is a live state with five free slots, and memory is not refused.
pub unsafe fn push_error(l: *mut lua_State, text: &[u8]) {
    let breaks = |b: &u8| matches!(b, b'\r' | b'\n');
    let trim = |text: &[u8]| -> Vec<u8> {
        let from = text.iter().position(|b| !breaks(b)).unwrap_or(text.len());
        let to = text.iter().rposition(|b| !breaks(b)).map_or(from, |last| last + 1);
        text[from..to].to_vec()
    };
    let whole = match text.strip_prefix(b"-") {
        Some(text) => match memchr::memchr(b' ', text) {
            Some(space) => [&text[..=space], &trim(&text[space + 1..])].concat(),
            None => [b"ERR ", text].concat(),
        },
        None => [&b"ERR "[..], &trim(text)].concat(),
    };
    // SAFETY: as the caller promises.
    unsafe { push_field(l, b"err", |l| push_bytes(l, &whole)) }
}

// ---- from Lua ----

/// What the reply of a script is written to.
pub struct Writer<'a> {
    /// Where it goes.
    pub out: &'a mut Out,
    /// Where its errors are counted.
    pub stats: &'a mut Stats,
    /// Whether the script has asked for RESP3.
    pub script_resp3: bool,
    /// Whether an error was written, counted or not.
    pub failed: bool,
}

/// The text of an error for a reply: up to a NUL, since upstream's are C strings.
pub fn error_text(text: &[u8]) -> &[u8] {
    &text[..memchr::memchr(0, text).unwrap_or(text.len())]
}

impl Writer<'_> {
    /// Writes the value on top of the stack, and takes it off.
    ///
    /// # Safety
    /// `l` is a live state that runs nothing, and memory is not refused.
    pub unsafe fn write(&mut self, l: *mut lua_State) {
        // SAFETY: tables are read raw, and not changed while they are walked; room is asked for.
        unsafe {
            if lua_checkstack(l, 4) == 0 {
                self.error(b"ERR reached lua stack limit", true);
                lua_settop(l, -2);
                return;
            }
            match lua_type(l, -1) {
                LUA_TSTRING => self.out.bulk(to_bytes(l, -1).unwrap_or_default()),
                LUA_TBOOLEAN => self.boolean(lua_toboolean(l, -1) != 0),
                LUA_TNUMBER => self.out.int(truncated(lua_tonumber(l, -1))),
                LUA_TTABLE => self.table(l),
                _ => self.out.null(),
            }
            lua_settop(l, -2);
        }
    }

    fn boolean(&mut self, value: bool) {
        match (self.script_resp3, value) {
            (true, _) => self.out.bool(value),
            (false, true) => self.out.int(1),
            (false, false) => self.out.null(),
        }
    }

    /// Writes an error. Line breaks become blanks.
    pub fn error(&mut self, text: &[u8], counts: bool) {
        self.failed = true;
        if counts {
            self.stats.count_error_text(text);
        }
        self.line(b'-', text);
    }

    /// Writes the table on top, which stays: as what its fields say it is, else as an array.
    unsafe fn table(&mut self, l: *mut lua_State) {
        // SAFETY: see `write`.
        unsafe {
            if push_if(l, b"err", LUA_TSTRING) {
                let text = error_text(to_bytes(l, -1).unwrap_or_default()).to_vec();
                lua_settop(l, -2);
                let counts = !has_true(l, b"ignore_error_stats_update");
                self.error(&text, counts);
            } else if push_if(l, b"ok", LUA_TSTRING) {
                let text = error_text(to_bytes(l, -1).unwrap_or_default());
                self.line(b'+', text);
                lua_settop(l, -2);
            } else if push_if(l, b"double", LUA_TNUMBER) {
                self.out.double(lua_tonumber(l, -1));
                lua_settop(l, -2);
            } else if push_if(l, b"big_number", LUA_TSTRING) {
                let digits: Vec<u8> = flat(to_bytes(l, -1).unwrap_or_default());
                self.out.big_number(&digits);
                lua_settop(l, -2);
            } else if !self.verbatim(l) {
                self.collection(l);
            }
        }
    }

    fn line(&mut self, kind: u8, text: &[u8]) {
        self.out.raw(&[kind]);
        self.out.raw(&flat(text));
        self.out.raw(b"\r\n");
    }

    /// Writes a verbatim string, if the table on top describes one.
    unsafe fn verbatim(&mut self, l: *mut lua_State) -> bool {
        // SAFETY: see `write`.
        unsafe {
            let top = lua_gettop(l);
            let described =
                push_if(l, b"verbatim_string", LUA_TTABLE) && push_if(l, b"format", LUA_TSTRING) && {
                    lua_insert(l, -2);
                    push_if(l, b"string", LUA_TSTRING)
                };
            if described {
                let mut format = [b' '; 3];
                let given = to_bytes(l, -3).unwrap_or_default();
                let len = given.len().min(3);
                format[..len].copy_from_slice(&given[..len]);
                self.out.verbatim(format, to_bytes(l, -1).unwrap_or_default());
            }
            lua_settop(l, top);
            described
        }
    }

    unsafe fn collection(&mut self, l: *mut lua_State) {
        // SAFETY: see `write`. Keys are written from a copy, because a number's bytes are made in its place.
        unsafe {
            if push_if(l, b"map", LUA_TTABLE) {
                self.out.map(pairs(l));
                lua_pushnil(l);
                while lua_next(l, -2) != 0 {
                    lua_pushvalue(l, -2);
                    self.write(l);
                    self.write(l);
                }
                lua_settop(l, -2);
            } else if push_if(l, b"set", LUA_TTABLE) {
                self.out.set(pairs(l));
                lua_pushnil(l);
                while lua_next(l, -2) != 0 {
                    lua_settop(l, -2);
                    lua_pushvalue(l, -1);
                    self.write(l);
                }
                lua_settop(l, -2);
            } else {
                self.array(l);
            }
        }
    }

    /// Writes the elements from 1 to the first nil. Their number is counted first, as that of pairs is: shifting what is written
    /// to make room for the header in front of it would take quadratic time when they are nested.
    unsafe fn array(&mut self, l: *mut lua_State) {
        // SAFETY: see `write`.
        unsafe {
            let mut n = 0;
            while {
                lua_rawgeti_(l, -1, n + 1);
                let found = lua_type(l, -1) != LUA_TNIL;
                lua_settop(l, -2);
                found
            } {
                n += 1;
            }
            self.out.array(n as usize);
            for i in 1..=n {
                lua_rawgeti_(l, -1, i);
                self.write(l);
            }
        }
    }
}

/// Number of pairs in the table on top.
unsafe fn pairs(l: *mut lua_State) -> usize {
    // SAFETY: see `Writer::write`.
    unsafe {
        let mut n = 0;
        lua_pushnil(l);
        while lua_next(l, -2) != 0 {
            lua_settop(l, -2);
            n += 1;
        }
        n
    }
}

/// `text` without line breaks.
fn flat(text: &[u8]) -> Vec<u8> {
    text.iter().map(|b| if matches!(b, b'\r' | b'\n') { b' ' } else { *b }).collect()
}

/// Pushes the field `name` of the table on top if it is of the type `wanted`.
///
/// # Safety
/// `l` is a live state with a table on top and two free slots, and memory is not refused.
pub unsafe fn push_if(l: *mut lua_State, name: &[u8], wanted: c_int) -> bool {
    // SAFETY: as the caller promises.
    unsafe {
        push_bytes(l, name);
        lua_rawget_(l, -2);
        let is = lua_type(l, -1) == wanted;
        if !is {
            lua_settop(l, -2);
        }
        is
    }
}

/// Whether the field `name` of the table on top is `true`.
///
/// # Safety
/// As [`push_if`].
pub unsafe fn has_true(l: *mut lua_State, name: &[u8]) -> bool {
    // SAFETY: as the caller promises.
    unsafe {
        push_if(l, name, LUA_TBOOLEAN) && {
            let is = lua_toboolean(l, -1) != 0;
            lua_settop(l, -2);
            is
        }
    }
}

/// A number as a C cast makes it an integer: what does not fit is the least integer.
pub fn truncated(number: f64) -> i64 {
    const END: f64 = 9_223_372_036_854_775_808.0;
    if (-END..END).contains(&number) { number as i64 } else { i64::MIN }
}
