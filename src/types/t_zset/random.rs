//! ZRANDMEMBER.

use super::{begin_elements, reply_element, reply_elements, reply_member};
use crate::cmd_err;
use crate::db::object::zset::ZSet;
use crate::server::{Client, CmdError, CmdResult, Server};

/// `ZRANDMEMBER key [count [WITHSCORES]]`
pub fn zrandmember(srv: &mut Server, c: &mut Client) -> CmdResult {
    if c.argv.len() > 2 {
        return many(srv, c);
    }
    let set = srv.lookup_read::<ZSet>(c.db, c.argv.key(1))?;
    match set.as_ref().and_then(|set| set.random(&mut rand::rng())) {
        Some((member, _)) => reply_member(&mut c.out, member),
        None => c.out.null(),
    }
    Ok(())
}

fn many(srv: &mut Server, c: &mut Client) -> CmdResult {
    let count = c.argv.int(2)?;
    if count == i64::MIN {
        return Err(cmd_err!("ERR value is out of range, value must between {} and {}", -i64::MAX, i64::MAX));
    }
    let with_scores = match c.argv.len() {
        3 => false,
        4 if c.argv.is(3, b"withscores") => true,
        _ => return Err(CmdError::Syntax),
    };
    // The reply of RESP2 has twice as many items.
    if with_scores && count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(CmdError::text("ERR value is out of range"));
    }
    let Some(set) = srv.lookup_read::<ZSet>(c.db, c.argv.key(1))? else {
        c.out.array(0);
        return Ok(());
    };
    let rng = &mut rand::rng();
    match usize::try_from(count) {
        Ok(count) if count >= set.len() => reply_elements(&mut c.out, set.iter(), with_scores),
        Ok(count) => {
            reply_elements(&mut c.out, set.random_unique(rng, count).into_iter(), with_scores);
        }
        Err(_) => {
            let count = count.unsigned_abs() as usize;
            begin_elements(&mut c.out, count, with_scores);
            // A client that may not have that much is closed; there is no need to go on then.
            let out = &mut c.out;
            set.random_each(rng, count, |member, score| {
                reply_element(out, member, score, with_scores);
                !out.overrun()
            });
        }
    }
    Ok(())
}
