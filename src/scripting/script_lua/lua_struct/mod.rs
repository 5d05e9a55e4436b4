//! The Lua library `struct`: C structures as strings.
//!
//! Upstream bundles the library of Roberto Ierusalimschy. `format` knows the format texts and the integers; here are the three
//! functions. All positions are computed modulo 2^64, as upstream does, and compared with the data's length before anything is read:
//! an absurd offset may come back to the front, and never leaves the data.

pub mod format;

use std::ffi::c_int;

use mlua_sys::*;

use super::boundary::{Raise, Returns, push_bytes, set_function, to_bytes};
use format::{Format, FormatError, Item, to_unsigned};

/// Bytes that are enough for most structures.
const USUAL_SIZE: usize = 64;

crate::lua_callback! {
    /// `struct.pack(format, value, …)`
    fn pack = pack_values;
    /// `struct.unpack(format, data[, position])`
    fn unpack = unpack_data;
    /// `struct.size(format)`
    fn size = format_size;
}

/// Leaves a new library table on the stack.
///
/// # Safety
/// `l` is a live state of an engine with five free slots, and memory is not refused.
pub unsafe fn open(l: *mut lua_State) {
    // SAFETY: fields of a new table are set raw.
    unsafe {
        // In this order the fields come to lie where `pairs` finds them upstream.
        lua_createtable(l, 0, 3);
        set_function(l, "pack", pack);
        set_function(l, "unpack", unpack);
        set_function(l, "size", size);
    }
}

impl From<FormatError> for Raise {
    fn from(error: FormatError) -> Raise {
        match error {
            FormatError::NumberOverflow => Raise::at("integral size overflow"),
            FormatError::IntegerTooLarge(size) => {
                Raise::at(format!("integral size {size} is larger than limit of 32"))
            }
            FormatError::BadAlignment(align) => Raise::at(format!("alignment {align} is not a power of 2")),
            FormatError::BadOption(option) => {
                Raise::argument(1, [b"invalid format option '", &[option][..], b"'"].concat())
            }
        }
    }
}

/// A string argument.
unsafe fn string<'a>(l: *mut lua_State, index: c_int) -> Result<&'a [u8], Raise> {
    // SAFETY: an argument stays on the stack until the callback returns.
    unsafe { to_bytes(l, index).ok_or_else(|| Raise::wrong_type(l, index, "string")) }
}

/// A number argument.
unsafe fn number(l: *mut lua_State, index: c_int) -> Result<f64, Raise> {
    // SAFETY: reads an argument.
    unsafe {
        if lua_isnumber(l, index) == 0 {
            return Err(Raise::wrong_type(l, index, "number"));
        }
        Ok(lua_tonumber(l, index))
    }
}

unsafe fn pack_values(l: *mut lua_State) -> Returns {
    // SAFETY: reads arguments, and pushes two values.
    unsafe {
        let mut format = Format::new(string(l, 1)?);
        // Behind the arguments upstream has a nil, which shows in the message about the first that is missing.
        lua_pushnil(l);
        let mut out = Vec::with_capacity(USUAL_SIZE);
        let mut argument = 2;
        while let Some(item) = format.next_item()? {
            let padding = format.padding(out.len(), item);
            out.resize(out.len() + padding, 0);
            match item.option {
                b'x' => out.push(0),
                b'f' => out.extend_from_slice(&format.order((number(l, argument)? as f32).to_le_bytes())),
                b'd' => out.extend_from_slice(&format.order(number(l, argument)?.to_le_bytes())),
                b'c' | b's' => {
                    let text = string(l, argument)?;
                    let length = if item.size == 0 { text.len() } else { item.size };
                    // By now upstream counts the next argument already.
                    let short = || Raise::argument(argument + 1, "string too short");
                    out.extend_from_slice(text.get(..length).ok_or_else(short)?);
                    if item.option == b's' {
                        out.push(0);
                    }
                }
                _ if item.is_signed_integer().is_some() => {
                    format.write_integer(&mut out, to_unsigned(number(l, argument)?), item.size);
                }
                other => format.control(other)?,
            }
            argument += c_int::from(takes_value(item));
        }
        push_bytes(l, &out);
    }
    Ok(1)
}

/// Whether a value belongs to this option.
fn takes_value(item: Item) -> bool {
    item.is_signed_integer().is_some() || matches!(item.option, b'f' | b'd' | b'c' | b's')
}

unsafe fn unpack_data(l: *mut lua_State) -> Returns {
    // SAFETY: reads arguments, and makes room before each push.
    unsafe {
        let format = Format::new(string(l, 1)?);
        let data = string(l, 2)?;
        let position = match lua_type(l, 3) {
            LUA_TNONE | LUA_TNIL => 1,
            _ => {
                number(l, 3)?;
                lua_tointeger_(l, 3)
            }
        };
        if position == 0 {
            return Err(Raise::argument(3, "offset must be 1 or greater"));
        }
        // A negative one becomes far too large, and is refused by the first option.
        let mut unpacker =
            Unpacker { l, format, data, position: (position as usize).wrapping_sub(1), results: 0 };
        while let Some(item) = unpacker.format.next_item()? {
            unpacker.item(item)?;
        }
        lua_pushnumber(l, unpacker.position.wrapping_add(1) as lua_Integer as f64);
        Ok(unpacker.results + 1)
    }
}

/// Reads data as a format says, and pushes the values.
struct Unpacker<'d> {
    l: *mut lua_State,
    format: Format<'d>,
    data: &'d [u8],
    position: usize,
    results: c_int,
}

impl<'d> Unpacker<'d> {
    /// So many bytes from the position on.
    fn bytes(&self, size: usize) -> Result<&'d [u8], Raise> {
        let end = self.position.checked_add(size);
        end.and_then(|end| self.data.get(self.position..end))
            .ok_or_else(|| Raise::argument(2, "data string too short"))
    }

    unsafe fn item(&mut self, item: Item) -> Result<(), Raise> {
        let l = self.l;
        self.position = self.position.wrapping_add(self.format.padding(self.position, item));
        let bytes = self.bytes(item.size)?;
        // SAFETY: beyond the room that a callback has, it is made for one value, and for the position that comes last.
        unsafe {
            if self.results >= LUA_MINSTACK - 2 && lua_checkstack(l, 2) == 0 {
                return Err(Raise::at("stack overflow (too many results)"));
            }
            match (item.option, item.is_signed_integer()) {
                (_, Some(signed)) => lua_pushnumber(l, self.format.read_integer(bytes, signed)),
                (b'f', _) => {
                    lua_pushnumber(l, f64::from(f32::from_le_bytes(self.format.order(fixed(bytes)))));
                }
                (b'd', _) => lua_pushnumber(l, f64::from_le_bytes(self.format.order(fixed(bytes)))),
                (b'c', _) => return self.characters(item.size),
                (b's', _) => return self.terminated(),
                (b'x', _) => {
                    self.position += item.size;
                    return Ok(());
                }
                (other, _) => return Ok(self.format.control(other)?),
            }
        }
        self.position += item.size;
        self.results += 1;
        Ok(())
    }

    /// A string of this length; zero means that the number on top is the length.
    unsafe fn characters(&mut self, mut size: usize) -> Result<(), Raise> {
        let l = self.l;
        // SAFETY: results are on top; the place of the length is taken by the string.
        unsafe {
            if size == 0 {
                if self.results == 0 || lua_isnumber(l, -1) == 0 {
                    return Err(Raise::at("format 'c0' needs a previous size"));
                }
                size = to_unsigned(lua_tonumber(l, -1)) as usize;
                lua_pop(l, 1);
                self.results -= 1;
            }
            push_bytes(l, self.bytes(size)?);
        }
        self.position += size;
        self.results += 1;
        Ok(())
    }

    /// A string up to a NUL.
    unsafe fn terminated(&mut self) -> Result<(), Raise> {
        let rest = &self.data[self.position..];
        let Some(length) = memchr::memchr(0, rest) else {
            return Err(Raise::at("unfinished string in data"));
        };
        // SAFETY: room was made.
        unsafe { push_bytes(self.l, &rest[..length]) };
        self.position += length + 1;
        self.results += 1;
        Ok(())
    }
}

/// Bytes of a length that is known.
fn fixed<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("the option's size")
}

unsafe fn format_size(l: *mut lua_State) -> Returns {
    // SAFETY: reads the argument, and pushes a number.
    unsafe {
        let mut format = Format::new(string(l, 1)?);
        let mut position = 0usize;
        while let Some(item) = format.next_item()? {
            position = position.wrapping_add(format.padding(position, item));
            match item {
                Item { option: b's', .. } => return Err(Raise::argument(1, "option 's' has no fixed size")),
                Item { option: b'c', size: 0 } => {
                    return Err(Raise::argument(1, "option 'c0' has no fixed size"));
                }
                // Letters and digits without meaning pass here, upstream as well.
                Item { option, .. } if !option.is_ascii_alphanumeric() => format.control(option)?,
                _ => {}
            }
            position = position.wrapping_add(item.size);
        }
        lua_pushnumber(l, position as lua_Integer as f64);
    }
    Ok(1)
}

#[cfg(test)]
mod tests {
    use super::super::testing;

    #[test]
    fn cases_give_what_upstream_gives() {
        testing::check(include_str!("../testdata/struct.txt"));
    }
}
