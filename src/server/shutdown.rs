//! Ending the process in order: the SHUTDOWN command, and what signals and DEBUG RESTART share with it.
//!
//! [`prepare`] decides whether the server may end and has the loop stop; [`finish`], called behind the loop, removes
//! what must not stay behind and says goodbye in the log.
//!
//! Nothing is written to disk yet, so there is nothing to save, and nothing to wait for. An explicit SAVE is
//! therefore refused as one that failed: whoever asks for it must not believe that the dataset is safe. FORCE
//! leaves nonetheless.

use crate::persistence::aof;
use crate::scripting::script;
use crate::server::config::{ShutdownFlags, Supervised};
use crate::server::{Client, CmdError, CmdResult, Server, crash, networking, process, signals};

/// Has the server end after this turn of the loop; `false` if it must not.
pub fn prepare(srv: &mut Server, flags: ShutdownFlags) -> bool {
    log::info!("User requested shutdown...");
    if flags.save && !flags.nosave {
        if !flags.force {
            log::warn!("Error trying to save the DB, can't exit.");
            log::warn!("Errors trying to shut down the server. Check the logs for more information.");
            return false;
        }
        log::warn!("Error trying to save the DB. Exit anyway.");
    }
    if !aof::prepare_shutdown(srv, flags.force) {
        log::warn!("Errors trying to shut down the server. Check the logs for more information.");
        return false;
    }
    srv.process.exit_requested = true;
    true
}

/// The last acts, when the loop has ended.
pub fn finish(srv: &mut Server) {
    if srv.process.supervised == Supervised::Systemd {
        process::notify_systemd("STOPPING=1\n");
    }
    process::remove_pidfile(srv);
    if let Some(path) = &srv.config.unixsocket {
        log::info!("Removing the unix socket file.");
        if let Err(e) = std::fs::remove_file(path) {
            log::warn!("Error removing the unix socket file: {e}");
        }
    }
    log::warn!("Redis is now ready to exit, bye bye...");
    crash::uninstall();
}

/// What SHUTDOWN was asked to do.
enum Request {
    Abort,
    Shutdown(ShutdownFlags),
}

fn request(c: &Client) -> Result<Request, CmdError> {
    let mut flags = ShutdownFlags::default();
    let mut abort = false;
    for word in c.argv.iter_from(1) {
        match word.to_ascii_lowercase().as_slice() {
            b"nosave" => flags.nosave = true,
            b"save" => flags.save = true,
            b"now" => flags.now = true,
            b"force" => flags.force = true,
            b"abort" => abort = true,
            _ => return Err(CmdError::Syntax),
        }
    }
    if (abort && flags != ShutdownFlags::default()) || (flags.save && flags.nosave) {
        return Err(CmdError::Syntax);
    }
    Ok(if abort { Request::Abort } else { Request::Shutdown(flags) })
}

/// `SHUTDOWN [NOSAVE | SAVE] [NOW] [FORCE] [ABORT]`
///
/// Answers only when the server goes on. A shutdown is over before another command could abort it.
pub fn shutdown(srv: &mut Server, c: &mut Client) -> CmdResult {
    let request = request(c)?;
    if let Request::Shutdown(flags) = &request
        && !flags.nosave
        && let Some(error) = script::busy_error(srv)
    {
        return Err(error); // What the script has done so far must not be saved.
    }
    match request {
        Request::Abort if signals::forget() => {
            log::info!("Shutdown manually aborted.");
            c.out.ok();
            Ok(())
        }
        Request::Abort => Err(CmdError::text("ERR No shutdown in progress.")),
        Request::Shutdown(flags) if prepare(srv, flags) => {
            networking::schedule_close(srv, c);
            Ok(())
        }
        Request::Shutdown(_) => Err(CmdError::text("ERR Errors trying to SHUTDOWN. Check logs.")),
    }
}
