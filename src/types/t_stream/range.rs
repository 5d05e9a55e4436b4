//! Entries of a range of ids: XRANGE and XREVRANGE.

use super::{interval_end, interval_start, reply_entries};
use crate::db::object::Stream;
use crate::server::{Client, CmdError, CmdResult, Server};

/// `XRANGE key start end [COUNT count]`
pub fn xrange(srv: &mut Server, c: &mut Client) -> CmdResult {
    range(srv, c, false)
}

/// `XREVRANGE key end start [COUNT count]`
pub fn xrevrange(srv: &mut Server, c: &mut Client) -> CmdResult {
    range(srv, c, true)
}

fn range(srv: &mut Server, c: &mut Client, backward: bool) -> CmdResult {
    let (start_arg, end_arg) = if backward { (3, 2) } else { (2, 3) };
    let start = interval_start(&c.argv, start_arg)?;
    let end = interval_end(&c.argv, end_arg)?;
    let mut count = usize::MAX;
    let mut i = 4;
    while i < c.argv.len() {
        if i + 1 == c.argv.len() || !c.argv.is(i, b"count") {
            return Err(CmdError::Syntax);
        }
        count = c.argv.int(i + 1)?.max(0) as usize;
        i += 2;
    }
    let Some(stream) = srv.lookup_read::<Stream>(c.db, c.argv.key(1))? else {
        c.out.array(0);
        return Ok(());
    };
    if count == 0 {
        c.out.null_array();
    } else if backward {
        reply_entries(&mut c.out, stream.log.range_backward(start, end).take(count));
    } else {
        reply_entries(&mut c.out, stream.log.range(start, end).take(count));
    }
    Ok(())
}
