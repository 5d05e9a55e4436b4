//! The debugger of scripts: SCRIPT DEBUG, and the session in which a user walks through a script line by line.
//!
//! - `session.rs` has the state of a session, `source.rs` the script's lines and where it is to stop.
//! - `wire.rs` is the conversation with the client, `show.rs` how values and replies are written for it.
//! - `hook.rs` is what Lua calls at each line, `commands.rs` what the user may ask for then.
//! - `forked.rs` has the processes in which sessions run that must not touch the server.
//!
//! # A session
//!
//! A connection that has said SCRIPT DEBUG has its next EVAL run here: [`eval`] takes its socket, makes it blocking, and has
//! the script run as ever, but with a hook. The hook stops where it is to, says so on the socket and waits there for
//! commands, each of which is answered with an array of status lines:
//!
//! ```text
//!   user:   EVAL "local x = 1 …" 0
//!   server: * Stopped at 1, stop reason = step over
//!           -> 1   local x = 1
//!   user:   step
//!   …
//!   server: <endsession>
//!           the reply of EVAL
//! ```
//!
//! Then the connection is closed: after a session nobody knows what its user has left unread.
//!
//! With SCRIPT DEBUG YES the session runs in a child process (see [`forked`]). What the script changes, it changes there, and
//! it is gone with the child. With SCRIPT DEBUG SYNC the server itself runs the script, and serves nobody until its end: no
//! clock limits it, since it mostly waits for a human being. Who runs on without a stop for longer than
//! `busy-reply-threshold` is stopped, in case the loop has no end, and ended if the user has left.

mod commands;
pub mod forked;
pub mod hook;
mod session;
mod show;
mod source;
mod wire;

use nix::unistd::Pid;

pub use session::{Session, Settings};

use crate::cmd_err;
use crate::persistence::child;
use crate::server::client::ClientFlags;
use crate::server::config::file::os_error_text;
use crate::server::{Client, CmdError, CmdResult, Server, networking};
use forked::Forked;
use wire::Wire;

/// What the server keeps about debugging.
#[derive(Debug, Default)]
pub struct Debugger {
    /// The session at hand: of this process, which is a child if the session is not a synchronous one.
    pub session: Option<Box<Session>>,
    /// The children in which sessions run.
    children: Vec<Pid>,
}

/// `SCRIPT DEBUG YES | SYNC | NO`
///
/// Takes effect with the next EVAL of the connection. It has to come alone, so that no reply is in the way of the session.
pub fn script_debug(_srv: &mut Server, c: &mut Client) -> CmdResult {
    if !c.out.is_empty() {
        return Err(CmdError::text("ERR SCRIPT DEBUG must be called outside a pipeline"));
    }
    c.info.debugging = match c.argv.get(2).to_ascii_lowercase().as_slice() {
        b"no" => None,
        b"yes" => Some(Box::new(Settings::new(false))),
        b"sync" => Some(Box::new(Settings::new(true))),
        _ => return Err(CmdError::text("ERR Use SCRIPT DEBUG YES/SYNC/NO")),
    };
    c.out.ok();
    Ok(())
}

/// Has `run`, which is EVAL itself, debugged if the client has asked for that.
pub fn eval(
    srv: &mut Server,
    c: &mut Client,
    run: impl FnOnce(&mut Server, &mut Client) -> CmdResult,
) -> CmdResult {
    let (Some(settings), Some(conn)) = (c.info.debugging.take(), &c.conn) else { return run(srv, c) };
    let conn = conn.try_clone().map_err(|e| fork_failed(&e))?;
    if settings.sync {
        log::info!("Redis synchronous debugging eval session started");
    } else {
        match forked::fork(srv).map_err(|e| fork_failed(&e))? {
            Forked::Parent => {
                networking::hand_over(srv, c);
                return Ok(());
            }
            Forked::Child => log::info!("Redis forked for debugging eval"),
        }
    }
    let sync = settings.sync;
    let result = match Wire::open(conn) {
        Ok(wire) => {
            let session = Session::new(wire, *settings, c.argv.get(1));
            srv.scripting.debugger.session = Some(Box::new(session));
            run(srv, c)
        }
        Err(e) => Err(fork_failed(&e)),
    };
    let session = srv.scripting.debugger.session.take();
    if sync {
        end_sync(srv, c, session);
        return result;
    }
    end_child(c, session, &result)
}

fn fork_failed(error: &std::io::Error) -> CmdError {
    cmd_err!("ERR Fork() failed: can't run EVAL in debugging mode: {}", os_error_text(error))
}

/// Says goodbye to the user. The reply of EVAL follows as ever.
fn take_leave(session: &mut Session) {
    session.log("<endsession>");
    session.wire.send_log();
}

/// Gives the client back to the loop, which closes it once it has its reply.
fn end_sync(srv: &mut Server, c: &mut Client, session: Option<Box<Session>>) {
    log::info!("Redis synchronous debugging eval session ended");
    c.flags.insert(ClientFlags::CLOSE_AFTER_COMMAND);
    let Some(mut session) = session else { return };
    take_leave(&mut session);
    c.info.debugging = Some(Box::new(session.settings));
    if let Err(e) = session.wire.close() {
        // A socket that blocks would stop the loop.
        log::warn!("Cannot give a socket back to the loop: {}", os_error_text(&e));
        networking::schedule_close(srv, c);
    }
}

/// Sends the reply of EVAL, with what was there before it, and ends the process.
fn end_child(c: &mut Client, session: Option<Box<Session>>, result: &CmdResult) -> ! {
    let Some(mut session) = session else { child::exit(false) };
    take_leave(&mut session);
    if let Err(error) = result {
        c.out.error(error);
    }
    if !c.flags.intersects(ClientFlags::REPLY_OFF | ClientFlags::REPLY_SKIP) {
        session.wire.send(&c.out.take_bytes());
    }
    log::info!("Lua debugging session child exiting");
    child::exit(true)
}
