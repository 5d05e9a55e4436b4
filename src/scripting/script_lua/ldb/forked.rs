//! Processes in which scripts are debugged without consequences.
//!
//! A child is a copy of the server that runs one script for one client and ends. It has nothing else to do with the
//! world: it closes the sockets of all other clients, so that these see their connections end when the server ends them; it
//! has threads of its own in the place of those that a fork does not copy; it lets no signal end it but the one that cannot be
//! ignored, by which the server ends it with itself. It leaves before what its script has changed is written
//! anywhere. The server has forgotten the client by then: its socket is the child's alone.

use std::io;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

use crate::ds::hashtable::{ResizePolicy, set_resize_policy};
use crate::io::bio::Bio;
use crate::persistence::child;
use crate::server::{Server, signals};

/// Who one is after [`fork`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forked {
    /// The server.
    Parent,
    /// The child, which must leave by [`child::exit`].
    Child,
}

/// Starts a child for a session.
///
/// # Errors
/// When the system has no process to give.
pub fn fork(srv: &mut Server) -> io::Result<Forked> {
    if let Some(pid) = child::fork_copy(srv)? {
        srv.scripting.debugger.children.push(pid);
        return Ok(Forked::Parent);
    }
    if let Err(e) = become_independent(srv) {
        log::warn!("A child cannot run without threads: {e}");
        child::exit(false);
    }
    Ok(Forked::Child)
}

/// Cuts a child off from what is the server's.
fn become_independent(srv: &mut Server) -> io::Result<()> {
    signals::ignore();
    for client in srv.clients.iter_mut() {
        client.conn = None;
    }
    srv.persistence.migrate.close_idle(u64::MAX);
    // The old threads are not in this process, and may have held what dropping their queues would wait for.
    std::mem::forget(std::mem::replace(&mut srv.bio, Bio::start()?));
    // Tables may grow: what the script writes to is copied in any case.
    set_resize_policy(ResizePolicy::Allow);
    Ok(())
}

/// Forgets children that have ended.
pub fn cron(srv: &mut Server) {
    let children = &mut srv.scripting.debugger.children;
    children.retain(|pid| waitpid(*pid, Some(WaitPidFlag::WNOHANG)) == Ok(WaitStatus::StillAlive));
}

/// Ends all sessions that run in children, because the server ends.
pub fn kill_all(srv: &mut Server) {
    for pid in srv.scripting.debugger.children.drain(..) {
        log::info!("Killing debugging session {pid}");
        // It can only fail if the child has ended by itself.
        let _ = kill(pid, Signal::SIGKILL);
        let _ = waitpid(pid, None);
    }
}
