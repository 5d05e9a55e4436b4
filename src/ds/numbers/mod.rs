//! Numbers as text: reading arguments, writing replies.
//!
//! The accepted spellings and the printed digits are part of the protocol, so every function here says which inputs it
//! takes and agrees with upstream on all of them. Two kinds of reading exist. *Strict* functions ([`parse_i64`],
//! [`parse_f64`]) accept a text only if all of it is a number; the integer one moreover only if printing the number
//! gives the text back, which is what allows a string to be stored as an integer. *Lenient* functions ([`parse_u64`],
//! [`parse_score_bound`], [`parse_memory`]) inherit the habits of the C library in the few commands that show them.
//!
//! - [`integer`]: 64-bit integers and sizes with units;
//! - [`double`]: reading doubles;
//! - [`hexfloat`]: the hexadecimal floats among them;
//! - [`dtoa`]: the shortest text of a double.
//!
//! The decimal arithmetic of `INCRBYFLOAT` is in [`longdouble`](super::longdouble).

pub mod double;
pub mod dtoa;
pub mod hexfloat;
pub mod integer;

pub use double::{format_17_digits, parse_f64, parse_score_bound};
pub use dtoa::{DoubleText, format_f64, format_fixed, format_shortest, write_f64};
pub use integer::{decimal_len, parse_i64, parse_memory, parse_u64, write_i64, write_u64};

/// The bytes before the first NUL: what a C string function sees of `text`.
fn until_nul(text: &[u8]) -> &[u8] {
    &text[..memchr::memchr(0, text).unwrap_or(text.len())]
}

/// Whether C's `isspace` holds, in the "C" locale.
pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}
