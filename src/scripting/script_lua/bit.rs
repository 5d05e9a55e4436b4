//! The Lua library `bit`: operations on the bits of 32-bit integers.
//!
//! Upstream bundles Lua BitOp 1.0.2 by Mike Pall (<https://bitop.luajit.org>). A number stands for the lower 32 bits of the whole
//! number nearest to it, and a result is such an integer with its sign. Adding 2^52 + 2^51 to a double moves its whole part to
//! the last bits of the mantissa, rounded, from where it is taken; this also says what numbers beyond 2^51 give.

use std::ffi::c_int;

use mlua_sys::*;

use super::boundary::{Raise, Returns, push_bytes, set_function};

crate::lua_callback! { enter_plain:
    /// `bit.tobit(x)`
    fn tobit = to_bit;
    /// `bit.bnot(x)`
    fn bnot = complement;
    /// `bit.band(x, …)`
    fn band = and;
    /// `bit.bor(x, …)`
    fn bor = or;
    /// `bit.bxor(x, …)`
    fn bxor = exclusive_or;
    /// `bit.lshift(x, n)`
    fn lshift = shift_left;
    /// `bit.rshift(x, n)`
    fn rshift = shift_right;
    /// `bit.arshift(x, n)`
    fn arshift = shift_right_signed;
    /// `bit.rol(x, n)`
    fn rol = rotate_left;
    /// `bit.ror(x, n)`
    fn ror = rotate_right;
    /// `bit.bswap(x)`
    fn bswap = swap_bytes;
}

crate::lua_callback! {
    /// `bit.tohex(x[, n])`
    fn tohex = to_hexadecimal;
}

/// Leaves a new library table on the stack.
///
/// # Safety
/// `l` is a live state of an engine with five free slots, and memory is not refused.
pub unsafe fn open(l: *mut lua_State) {
    const FUNCTIONS: [(&str, lua_CFunction); 12] = [
        ("tobit", tobit),
        ("bnot", bnot),
        ("band", band),
        ("bor", bor),
        ("bxor", bxor),
        ("lshift", lshift),
        ("rshift", rshift),
        ("arshift", arshift),
        ("rol", rol),
        ("ror", ror),
        ("bswap", bswap),
        ("tohex", tohex),
    ];
    // SAFETY: fields of a new table are set raw, in upstream's order, so that `pairs` finds them in the same.
    unsafe {
        lua_createtable(l, 0, FUNCTIONS.len() as c_int);
        for (name, function) in FUNCTIONS {
            set_function(l, name, function);
        }
    }
}

/// The bits of a number.
fn bits(number: f64) -> u32 {
    const SHIFT: f64 = (1u64 << 52) as f64 + (1u64 << 51) as f64;
    (number + SHIFT).to_bits() as u32
}

/// The bits of an argument.
#[inline]
unsafe fn argument(l: *mut lua_State, index: c_int) -> Result<u32, Raise> {
    // SAFETY: reads an argument, and a string as the number that it spells.
    unsafe {
        match bits(lua_tonumber(l, index)) {
            0 if lua_isnumber(l, index) == 0 => Err(Raise::wrong_type(l, index, "number")),
            bits => Ok(bits),
        }
    }
}

unsafe fn answer(l: *mut lua_State, bits: u32) -> Returns {
    // SAFETY: a callback has free slots.
    unsafe { lua_pushnumber(l, f64::from(bits as i32)) };
    Ok(1)
}

unsafe fn to_bit(l: *mut lua_State) -> Returns {
    // SAFETY: a callback's inner function, as are all below.
    unsafe { answer(l, argument(l, 1)?) }
}

unsafe fn complement(l: *mut lua_State) -> Returns {
    // SAFETY: as above.
    unsafe { answer(l, !argument(l, 1)?) }
}

unsafe fn swap_bytes(l: *mut lua_State) -> Returns {
    // SAFETY: as above.
    unsafe { answer(l, argument(l, 1)?.swap_bytes()) }
}

/// Combines all arguments. The first is looked at first, the others from the last on, which shows if several are wrong.
unsafe fn combine(l: *mut lua_State, operation: impl Fn(u32, u32) -> u32) -> Returns {
    // SAFETY: as above.
    unsafe {
        let mut result = argument(l, 1)?;
        for index in (2..=lua_gettop(l)).rev() {
            result = operation(result, argument(l, index)?);
        }
        answer(l, result)
    }
}

unsafe fn and(l: *mut lua_State) -> Returns {
    // SAFETY: as above.
    unsafe { combine(l, |a, b| a & b) }
}

unsafe fn or(l: *mut lua_State) -> Returns {
    // SAFETY: as above.
    unsafe { combine(l, |a, b| a | b) }
}

unsafe fn exclusive_or(l: *mut lua_State) -> Returns {
    // SAFETY: as above.
    unsafe { combine(l, |a, b| a ^ b) }
}

/// Moves the first argument's bits by the second, modulo 32.
unsafe fn shift(l: *mut lua_State, operation: impl Fn(u32, u32) -> u32) -> Returns {
    // SAFETY: as above.
    unsafe {
        let value = argument(l, 1)?;
        answer(l, operation(value, argument(l, 2)? & 31))
    }
}

unsafe fn shift_left(l: *mut lua_State) -> Returns {
    // SAFETY: as above.
    unsafe { shift(l, |value, n| value << n) }
}

unsafe fn shift_right(l: *mut lua_State) -> Returns {
    // SAFETY: as above.
    unsafe { shift(l, |value, n| value >> n) }
}

unsafe fn shift_right_signed(l: *mut lua_State) -> Returns {
    // SAFETY: as above.
    unsafe { shift(l, |value, n| (value as i32 >> n) as u32) }
}

unsafe fn rotate_left(l: *mut lua_State) -> Returns {
    // SAFETY: as above.
    unsafe { shift(l, u32::rotate_left) }
}

unsafe fn rotate_right(l: *mut lua_State) -> Returns {
    // SAFETY: as above.
    unsafe { shift(l, u32::rotate_right) }
}

/// The last `n` of eight hexadecimal digits, in capitals if `n` is negative.
unsafe fn to_hexadecimal(l: *mut lua_State) -> Returns {
    // SAFETY: as above.
    unsafe {
        let value = argument(l, 1)?;
        let count = if lua_type(l, 2) == LUA_TNONE { 8 } else { argument(l, 2)? as i32 };
        let text = if count < 0 { format!("{value:08X}") } else { format!("{value:08x}") };
        push_bytes(l, &text.as_bytes()[8 - count.unsigned_abs().min(8) as usize..]);
    }
    Ok(1)
}

#[cfg(test)]
mod tests {
    use super::super::testing;

    #[test]
    fn cases_give_what_upstream_gives() {
        testing::check(include_str!("testdata/bit.txt"));
    }
}
