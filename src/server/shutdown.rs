//! Ending the process in order: the SHUTDOWN command, and what signals and DEBUG RESTART share with it.
//!
//! [`prepare`] brings the dataset to disk as configured or asked for and has the loop stop, unless that fails; then the
//! server goes on, because it alone has the data, if it is not told to leave by FORCE. No command runs between the last
//! save and the end. [`finish`], called behind the loop, removes what must not stay behind and says goodbye in the log.
//!
//! There are no replicas to wait for, so a shutdown is over before another command could abort it. SHUTDOWN ABORT can
//! only take back a signal that nobody has looked at yet.

use crate::persistence::child::{self, Purpose};
use crate::persistence::{aof, save};
use crate::scripting::script;
use crate::scripting::script_lua::ldb::forked;
use crate::server::config::{ShutdownFlags, Supervised};
use crate::server::{Client, CmdError, CmdResult, Server, crash, networking, process, signals};

/// Has the server end after this turn of the loop; `false` if it must not.
pub fn prepare(srv: &mut Server, flags: ShutdownFlags) -> bool {
    log::info!("User requested shutdown...");
    forked::kill_all(srv);
    end_saving_child(srv);
    // The append-only file first: that is soon done, and holds what the next start will load, whatever becomes of the rest.
    if !aof::prepare_shutdown(srv, flags.force) || !save_last(srv, flags) {
        log::warn!("Errors trying to shut down the server. Check the logs for more information.");
        return false;
    }
    networking::stop_listening(srv);
    aof::finish_shutdown(srv);
    srv.process.exit_requested = true;
    true
}

fn end_saving_child(srv: &mut Server) {
    if srv.persistence.children.active() == Some(Purpose::Rdb) {
        // It could put its older file in the place of the one that is written here.
        log::warn!("There is a child saving an .rdb. Killing it!");
        save::kill_child(srv);
        if let Some(pid) = child::kill_and_wait(srv, Purpose::Rdb) {
            save::remove_temp_file(srv, pid);
        }
    }
}

/// Saves what was to be saved; `false` if the server must not end.
fn save_last(srv: &mut Server, flags: ShutdownFlags) -> bool {
    // A dataset that is loaded by half must not take the place of the whole one.
    let nosave = flags.nosave || srv.persistence.loading.is_on();
    let wanted = flags.save || !srv.config.save.points.is_empty();
    if nosave || !wanted {
        return true;
    }
    log::info!("Saving the final RDB snapshot before exiting.");
    notify(srv, "STATUS=Saving the final RDB snapshot\n");
    if save::save_last(srv).is_ok() {
        return true;
    }
    if flags.force {
        log::warn!("Error trying to save the DB. Exit anyway.");
        return true;
    }
    log::warn!("Error trying to save the DB, can't exit.");
    notify(srv, "STATUS=Error trying to save the DB, can't exit.\n");
    false
}

fn notify(srv: &Server, message: &str) {
    if srv.process.supervised == Supervised::Systemd {
        process::notify_systemd(message);
    }
}

/// The last acts, when the loop has ended.
pub fn finish(srv: &mut Server) {
    notify(srv, "STOPPING=1\n");
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
/// Answers only when the server goes on.
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
