//! DEBUG RESTART and DEBUG CRASH-AND-RECOVER: the same program again, in the same process.
//!
//! All descriptors are opened close-on-exec, so `exec` closes them, and clients see their connections end.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use nix::unistd::{AccessFlags, access};

use crate::persistence::child;
use crate::server::config::ShutdownFlags;
use crate::server::{Client, CmdError, CmdResult, Server, networking, process, shutdown};

/// `DEBUG RESTART [milliseconds]`
pub(super) fn restart(srv: &mut Server, c: &mut Client) -> CmdResult {
    let delay = delay(c)?;
    if !shutdown::prepare(srv, ShutdownFlags::default()) {
        log::warn!("Can't restart: error preparing for shutdown");
        return Err(FAILED);
    }
    srv.process.exit_requested = false;
    let failure = start_over(srv, delay);
    // Still here: the server goes on.
    if let Err(error) = networking::listen_all(srv) {
        log::warn!("{error}");
    }
    failure
}

/// `DEBUG CRASH-AND-RECOVER [milliseconds]`
pub(super) fn crash_and_recover(srv: &mut Server, c: &mut Client) -> CmdResult {
    let delay = delay(c)?;
    start_over(srv, delay)
}

const FAILED: CmdError = CmdError::text("ERR failed to restart the server. Check server logs.");

fn delay(c: &Client) -> Result<Duration, CmdError> {
    let ms = if c.argv.len() == 3 { c.argv.int(2)? } else { 0 };
    Ok(Duration::from_millis(ms.max(0) as u64))
}

/// The arguments to start again with: the configuration file by its absolute path, because the working directory has
/// changed since.
fn arguments(srv: &Server) -> Vec<OsString> {
    let mut args: Vec<OsString> = srv.process.args.iter().skip(1).cloned().collect();
    if let (Some(first), Some(file)) = (args.first_mut(), &srv.process.config_file)
        && !first.as_encoded_bytes().starts_with(b"-")
    {
        *first = file.clone().into();
    }
    args
}

fn start_over(srv: &mut Server, delay: Duration) -> CmdResult {
    let program = srv.process.executable.clone();
    if access(&program, AccessFlags::X_OK).is_err() {
        log::warn!("Can't restart: this process has no permissions to execute {}", program.display());
        return Err(FAILED);
    }
    std::thread::sleep(delay);
    process::remove_pidfile(srv);
    child::abandon(srv);
    let error = Command::new(program).args(arguments(srv)).exec();
    log::warn!("Can't restart: {error}");
    Err(FAILED)
}
