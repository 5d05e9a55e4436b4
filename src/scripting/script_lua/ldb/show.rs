//! Lua values and replies of commands, as the debugger shows them.
//!
//! A table may hold itself many times, and what is shown of it would be endless. So a [`Text`] has a length at which it is
//! full; whoever writes to it stops then. It also counts how many values were looked at.

use std::ffi::c_int;

use mlua_sys::*;

use super::super::boundary::to_bytes;
use crate::ds::sds;

/// Levels of tables that are shown: half of upstream's `LUA_MINSTACK`.
const MOST_LEVELS: usize = 10;

/// Bytes that are shown of what is not to be trimmed.
const MOST_BYTES: usize = 64 << 20;

/// Values that are looked at for one text.
const MOST_VALUES: usize = 1 << 24;

/// Slots of Lua's stack that a level takes: a key and its value.
const SLOTS: c_int = 2;

/// A text that grows up to a length.
#[derive(Debug)]
pub struct Text {
    bytes: Vec<u8>,
    /// When it is full: the bytes that are shown and one more, which tells that there are more.
    most: usize,
    values: usize,
}

impl Text {
    /// A text of which `maxlen` bytes are shown, or as many as there are if that is 0.
    pub fn new(prefix: &[u8], maxlen: usize) -> Text {
        let most = if maxlen == 0 { MOST_BYTES } else { maxlen };
        Text { bytes: prefix.to_vec(), most: most + 1, values: 0 }
    }

    /// Whether nothing more is to be written.
    fn is_full(&self) -> bool {
        self.bytes.len() >= self.most || self.values > MOST_VALUES
    }

    /// Appends bytes as they are.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Appends in quotes what of `bytes` may find room.
    fn quote(&mut self, bytes: &[u8]) {
        let room = self.most.saturating_sub(self.bytes.len());
        sds::repr(&mut self.bytes, &bytes[..bytes.len().min(room)]);
    }

    /// The text, trimmed if it is too long, and whether it was.
    pub fn finish(mut self) -> (Vec<u8>, bool) {
        let trimmed = self.is_full();
        if trimmed {
            self.bytes.truncate(self.most - 1);
            self.bytes.extend_from_slice(b" ...");
        }
        (self.bytes, trimmed)
    }

    /// Appends the Lua value at `index`, which stays where and as it is.
    ///
    /// # Safety
    /// `l` is a live state, and memory is not refused.
    pub unsafe fn value(&mut self, l: *mut lua_State, index: c_int) {
        // SAFETY: as the caller promises; the index is made one that pushing does not change.
        unsafe {
            let top = lua_gettop(l);
            self.value_at(l, if index < 0 { top + 1 + index } else { index }, 0);
            lua_settop(l, top);
        }
    }

    unsafe fn value_at(&mut self, l: *mut lua_State, index: c_int, level: usize) {
        self.values += 1;
        if level == MOST_LEVELS {
            return self.push(b"<max recursion level reached! Nested table?>");
        }
        // SAFETY: see `value`. Only strings are read as strings, so that no key of a table is changed.
        unsafe {
            match lua_type(l, index) {
                LUA_TSTRING => self.quote(to_bytes(l, index).unwrap_or_default()),
                LUA_TBOOLEAN => self.push(if lua_toboolean(l, index) != 0 { b"true" } else { b"false" }),
                LUA_TNUMBER => self.number(lua_tonumber(l, index)),
                LUA_TNIL => self.push(b"nil"),
                LUA_TTABLE => self.table(l, index, level + 1),
                other => {
                    let name = match other {
                        LUA_TFUNCTION => "function",
                        LUA_TUSERDATA => "userdata",
                        LUA_TTHREAD => "thread",
                        _ => "light-userdata",
                    };
                    let text = format!("\"{name}@{:p}\"", lua_topointer(l, index));
                    self.push(text.as_bytes());
                }
            }
        }
    }

    /// Six digits, as C's `%g`.
    fn number(&mut self, number: f64) {
        let mut digits = [0u8; 32];
        // SAFETY: the buffer is longer than any number in this format, and its length is told.
        let len = unsafe { libc::snprintf(digits.as_mut_ptr().cast(), digits.len(), c"%g".as_ptr(), number) };
        self.push(&digits[..usize::try_from(len).unwrap_or(0).min(digits.len() - 1)]);
    }

    /// Appends a table: its values if its keys are 1, 2, 3 and so on, else its keys as well.
    unsafe fn table(&mut self, l: *mut lua_State, index: c_int, level: usize) {
        // SAFETY: see `value`; there is room for what a level pushes.
        unsafe {
            if lua_checkstack(l, SLOTS) == 0 {
                return self.push(b"{}");
            }
            let top = lua_gettop(l);
            let is_array = self.is_array(l, index);
            self.push(b"{");
            let mut first = true;
            lua_pushnil(l);
            while !self.is_full() && lua_next(l, index) != 0 {
                if !std::mem::take(&mut first) {
                    self.push(b"; ");
                }
                if !is_array {
                    self.push(b"[");
                    self.value_at(l, top + 1, level);
                    self.push(b"]=");
                }
                self.value_at(l, top + 2, level);
                lua_settop(l, top + 1);
            }
            self.push(b"}");
            lua_settop(l, top);
        }
    }

    /// Whether the keys of the table at `index` are 1, 2, 3 and so on, in the order in which it is walked.
    unsafe fn is_array(&mut self, l: *mut lua_State, index: c_int) -> bool {
        let mut expected = 0.0;
        // SAFETY: see `table`.
        unsafe {
            lua_pushnil(l);
            while !self.is_full() && lua_next(l, index) != 0 {
                self.values += 1;
                expected += 1.0;
                if lua_type(l, -2) != LUA_TNUMBER || lua_tonumber(l, -2) != expected {
                    lua_settop(l, -3);
                    return false;
                }
                lua_settop(l, -2);
            }
        }
        true
    }

    /// Appends a reply of this server, which is whole.
    pub fn reply(&mut self, reply: &[u8]) {
        self.next_reply(&mut &*reply);
    }

    /// Appends the reply that `rest` begins with, and takes it off.
    fn next_reply(&mut self, rest: &mut &[u8]) {
        let Some(end) = memchr::memmem::find(rest, b"\r\n") else {
            return *rest = &[]; // There is none.
        };
        let (line, behind) = (&rest[..end], &rest[end + 2..]);
        *rest = behind;
        let (Some(kind), text) = (line.first(), line.get(1..).unwrap_or_default()) else { return };
        let count = std::str::from_utf8(text).ok().and_then(|n| n.parse::<i64>().ok()).unwrap_or(0);
        match kind {
            b':' => self.push(text),
            b'$' | b'*' if count < 0 => self.push(b"NULL"),
            b'$' => {
                let block = self.block(rest, count);
                self.quote(block);
            }
            b'=' => {
                self.block(rest, count); // Such a text is not shown.
            }
            b'+' | b'-' => self.quote(line),
            b'*' | b'>' => self.replies(rest, count, [b"[", b",", b"]"]),
            b'~' => self.replies(rest, count, [b"~(", b",", b")"]),
            b'%' => self.pairs(rest, count),
            b'_' => self.push(b"(null)"),
            b'#' => self.push(if text == b"t" { b"#true" } else { b"#false" }),
            b',' => {
                self.push(b"(double) ");
                self.push(text);
            }
            _ => {}
        }
    }

    /// Takes `len` bytes off, and the line break behind them.
    fn block<'a>(&self, rest: &mut &'a [u8], len: i64) -> &'a [u8] {
        let (block, behind) = rest.split_at(rest.len().min(len as usize));
        *rest = behind.get(2..).unwrap_or_default();
        block
    }

    fn replies(&mut self, rest: &mut &[u8], count: i64, [begin, between, end]: [&[u8]; 3]) {
        self.push(begin);
        for i in 0..count {
            if self.is_full() {
                return;
            }
            if i > 0 {
                self.push(between);
            }
            self.next_reply(rest);
        }
        self.push(end);
    }

    fn pairs(&mut self, rest: &mut &[u8], count: i64) {
        self.push(b"{");
        for i in 0..count {
            if self.is_full() {
                return;
            }
            if i > 0 {
                self.push(b",");
            }
            self.next_reply(rest);
            self.push(b" => ");
            self.next_reply(rest);
        }
        self.push(b"}");
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Engine;
    use super::*;
    use crate::scripting::script::Kind;

    fn shown(script: &str, maxlen: usize) -> String {
        let mut engine = Engine::new(Kind::Eval);
        let function = engine.compile(script.as_bytes(), "@test").expect("a script of this test");
        let l = engine.state();
        // SAFETY: the state runs nothing else.
        unsafe {
            lua_rawgeti_(l, LUA_REGISTRYINDEX, function);
            assert_eq!(lua_pcall(l, 0, 1, 0), LUA_OK, "{script}");
            let mut text = Text::new(b"", maxlen);
            text.value(l, -1);
            assert_eq!(lua_gettop(l), 1);
            String::from_utf8(text.finish().0).expect("strings are quoted")
        }
    }

    #[test]
    fn values_are_shown_with_their_types() {
        for (script, text) in [
            ("return nil", "nil"),
            ("return 1/3", "0.333333"),
            ("return 2^53", "9.0072e+15"),
            ("return -1/0", "-inf"),
            ("return 'a\\0\"\\r'", r#""a\x00\"\r""#),
            ("return {}", "{}"),
            ("return {1, 'x', {true}}", r#"{1; "x"; {true}}"#),
            ("return {1, nil, 3}", "{[1]=1; [3]=3}"),
            ("return {a = {b = 1}}", r#"{["a"]={["b"]=1}}"#),
        ] {
            assert_eq!(shown(script, 0), text, "{script}");
        }
        assert!(shown("return type", 0).starts_with("\"function@0x"));
        assert!(shown("return redis", 0).contains(r#"["sha1hex"]="function@0x"#));
    }

    #[test]
    fn what_is_endless_is_cut_off() {
        let nested = shown("local t = {} t[1] = t return t", 0);
        assert_eq!(
            nested,
            format!("{}<max recursion level reached! Nested table?>{}", "{".repeat(10), "}".repeat(10))
        );
        let bomb = shown("local t = {} for i = 1, 100 do t[i] = t end return t", 256);
        assert_eq!((bomb.len(), &bomb[256..]), (260, " ..."));
        let sparse = shown("local t = {} for i = 1, 20 do t[i] = t end t.x = t return t", 0);
        assert!(sparse.len() <= MOST_BYTES + 4 && sparse.ends_with(" ..."));
        assert_eq!(shown("return ('x'):rep(1e6)", 60).len(), 64);
        assert_eq!(shown("return ('x'):rep(58)", 60).len(), 60);
    }

    #[test]
    fn replies_are_shown_by_their_kind() {
        for (reply, text) in [
            (":-1\r\n", "-1"),
            ("$-1\r\n", "NULL"),
            ("*-1\r\n", "NULL"),
            ("$3\r\na\r\n\r\n", r#""a\r\n""#),
            ("+OK\r\n", r#""+OK""#),
            ("-ERR no\r\n", r#""-ERR no""#),
            ("*3\r\n:1\r\n*1\r\n_\r\n#t\r\n", "[1,[(null)],#true]"),
            ("~2\r\n,1.5\r\n#f\r\n", "~((double) 1.5,#false)"),
            ("%1\r\n+a\r\n*0\r\n", r#"{"+a" => []}"#),
            ("=7\r\ntxt:a\r\n\r\n", ""),
        ] {
            let mut shown = Text::new(b"", 0);
            shown.reply(reply.as_bytes());
            assert_eq!(String::from_utf8(shown.finish().0).unwrap(), text, "{reply:?}");
        }
    }
}
