//! WAITAOF: clients that wait until what they wrote is on disk.
//!
//! A client remembers the replication offset behind its last write ([`Client::write_offset`]). The disk has it once the
//! offset that is synced is no less; the loop looks at the end of each turn, and the thread that syncs wakes it.

use crate::cmd_err;
use crate::db::blocked::{self, TimeoutUnit};
use crate::server::{Client, CmdError, CmdResult, Server};

use super::AofState;

const NOT_ENABLED: CmdError =
    CmdError::text("ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.");

/// What a client waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AofWait {
    /// Whether this server's disk must have it.
    pub local: bool,
    /// How many replicas' disks must have it.
    pub replicas: u64,
    /// The replication offset up to which they must.
    pub offset: i64,
}

impl AofWait {
    /// How many disks have it: this server's and replicas'.
    fn reached(self, srv: &Server) -> (u64, u64) {
        let local = srv.persistence.aof.synced_offset.is_some_and(|synced| synced >= self.offset);
        // A server without replicas has none that could have acknowledged anything.
        (u64::from(local), 0)
    }

    fn is_over(self, srv: &Server) -> bool {
        let (local, replicas) = self.reached(srv);
        local >= u64::from(self.local) && replicas >= self.replicas
    }

    /// Answers how far it is.
    pub fn reply(self, srv: &Server, c: &mut Client) {
        let (local, replicas) = self.reached(srv);
        c.out.array(2);
        c.out.int(local as i64);
        c.out.int(replicas as i64);
    }
}

/// `WAITAOF numlocal numreplicas timeout`
pub fn waitaof(srv: &mut Server, c: &mut Client) -> CmdResult {
    let local = ranged(c, 1, 1)?;
    let replicas = ranged(c, 2, i64::MAX)?;
    let deadline_ms = blocked::timeout_arg(srv, &c.argv, 3, TimeoutUnit::Milliseconds)?;
    if local > 0 && !srv.config.appendonly {
        return Err(NOT_ENABLED);
    }
    let wait = AofWait { local: local > 0, replicas: replicas as u64, offset: c.write_offset };
    if wait.is_over(srv) || !c.may_block() {
        wait.reply(srv, c);
    } else {
        blocked::block_for_aof(srv, c, wait, deadline_ms);
    }
    Ok(())
}

/// Argument `i`, which is a number from 0 to `most`.
fn ranged(c: &Client, i: usize, most: i64) -> Result<i64, CmdError> {
    let n = c.argv.int(i)?;
    match n {
        _ if (0..=most).contains(&n) => Ok(n),
        _ if most == i64::MAX => Err(CmdError::text("ERR value is out of range, must be positive")),
        _ => Err(cmd_err!("ERR value is out of range, value must between 0 and {most}")),
    }
}

/// Takes over how far the disk is, and lets those go on who waited for that.
pub(super) fn note_progress(srv: &mut Server) {
    let aof = &mut srv.persistence.aof;
    // Before the first rewrite is done, the files that are synced are not what would be loaded.
    if aof.state == AofState::On {
        aof.synced_offset = Some(aof.out.sync.synced_offset());
    }
    if !blocked::any_waits_for_aof(srv) {
        return;
    }
    for (id, wait) in blocked::waiting_for_aof(srv) {
        if wait.local && !srv.config.appendonly {
            blocked::unblock_with(srv, id, |srv, c| {
                crate::server::dispatch::reply_error(srv, c, &NOT_ENABLED);
            });
        } else if wait.is_over(srv) {
            blocked::unblock_with(srv, id, |srv, c| wait.reply(srv, c));
        }
    }
}
