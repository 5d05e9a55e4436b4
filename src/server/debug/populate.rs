//! DEBUG POPULATE: keys in bulk.

use crate::db::object::{Expiry, NewStr};
use crate::server::{Client, CmdError, CmdResult, Server};

/// Argument `i` as a number of things.
fn count(c: &Client, i: usize) -> Result<usize, CmdError> {
    let n = c.argv.int(i).ok().and_then(|n| usize::try_from(n).ok());
    n.ok_or(CmdError::text("ERR value is out of range, must be positive"))
}

/// `value:<num>`, cut or filled up with zero bytes to `size` if that is not 0.
fn value(number: usize, size: usize) -> Vec<u8> {
    let mut value = format!("value:{number}").into_bytes();
    if size > 0 {
        value.resize(size, 0);
    }
    value
}

/// `DEBUG POPULATE count [prefix] [size]`
pub(super) fn populate(srv: &mut Server, c: &mut Client) -> CmdResult {
    let keys = count(c, 2)?;
    let prefix = if c.argv.len() > 3 { c.argv.get(3) } else { b"key" };
    let size = if c.argv.len() > 4 { count(c, 4)? } else { 0 };
    let mut name = prefix.to_vec();
    name.push(b':');
    let fixed = name.len();
    for number in 0..keys {
        name.truncate(fixed);
        name.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        let key = srv.key_of(&name);
        if !srv.exists(c.db, key) {
            srv.set_key(c.db, key, NewStr::Copy(&value(number, size)), Expiry::Clear);
        }
    }
    c.out.ok();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_the_size_asked_for() {
        assert_eq!(value(7, 0), b"value:7");
        assert_eq!(value(7, 5), b"value");
        assert_eq!(value(7, 9), b"value:7\0\0");
    }
}
