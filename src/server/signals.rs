//! SIGTERM and SIGINT: asked once, the server shuts down in order; a second SIGINT ends it at once.
//!
//! The handler only notes the signal. The cron looks, and so does a load, which has no cron. Until then SHUTDOWN ABORT can
//! take it back ([`forget`]).
//!
//! A second SIGINT may come while the dataset is being saved, here or in a child. The handler then removes the file that
//! would stay behind unfinished. It knows its name by the process's id.

use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use crate::persistence::{child, save};
use crate::server::Server;
use crate::server::config::ShutdownFlags;
use crate::server::shutdown;

/// The signal that asked for the end, or 0.
static ASKED: AtomicI32 = AtomicI32::new(0);

/// Whether this process is a child that saves: its files are the parent's to remove.
static IN_CHILD: AtomicBool = AtomicBool::new(false);

extern "C" fn on_signal(signal: libc::c_int) {
    if ASKED.swap(signal, Ordering::SeqCst) != 0 && signal == libc::SIGINT {
        const TEXT: &[u8] = b"You insist... exiting now.\n";
        // SAFETY: `write` is async-signal-safe, and the text is static.
        unsafe { libc::write(libc::STDOUT_FILENO, TEXT.as_ptr().cast(), TEXT.len()) };
        if !IN_CHILD.load(Ordering::Relaxed) {
            // SAFETY: `getpid` is async-signal-safe.
            let own = unsafe { libc::getpid() };
            for pid in [own, child::pid_for_signal_handlers()] {
                remove_temp_file(pid);
            }
        }
        // SAFETY: `_exit` is async-signal-safe.
        unsafe { libc::_exit(1) }
    }
}

/// Removes the files that the process `pid` is writing, if it is; 0 is none. Async-signal-safe.
fn remove_temp_file(pid: i32) {
    for around in save::TEMP_NAMES {
        let mut name = [0; save::TEMP_NAME_MAX + 1];
        if pid > 0 && save::temp_name(around, pid, &mut name) <= save::TEMP_NAME_MAX {
            // SAFETY: `unlink` is async-signal-safe, and the name ends with the zero that was there before it.
            unsafe { libc::unlink(name.as_ptr().cast()) };
        }
    }
}

/// Installs the handlers, and ignores SIGHUP, SIGPIPE, and SIGXFSZ: a write beyond a limit of file sizes is to fail, not to
/// end the server.
pub fn install() {
    let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    let handle = SigAction::new(SigHandler::Handler(on_signal), SaFlags::empty(), SigSet::empty());
    for (signal, action) in [
        (Signal::SIGHUP, &ignore),
        (Signal::SIGPIPE, &ignore),
        (Signal::SIGXFSZ, &ignore),
        (Signal::SIGTERM, &handle),
        (Signal::SIGINT, &handle),
    ] {
        // SAFETY: the handler only touches atomics and its own stack, and calls async-signal-safe functions.
        if let Err(e) = unsafe { sigaction(signal, action) } {
            log::warn!("Cannot handle {signal}: {e}");
        }
    }
}

/// Tells the handlers that this process is a child.
pub fn become_child() {
    IN_CHILD.store(true, Ordering::Relaxed);
}

/// Has requests to end ignored from now on.
pub fn ignore() {
    let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        // SAFETY: no handler is installed.
        if let Err(e) = unsafe { sigaction(signal, &ignore) } {
            log::warn!("Cannot ignore {signal}: {e}");
        }
    }
}

/// Whether a signal has asked for the end, and nothing was done about it yet.
pub fn asked() -> bool {
    ASKED.load(Ordering::SeqCst) != 0
}

/// Takes back what a signal has asked for, if nothing was done about it yet.
pub fn forget() -> bool {
    ASKED.swap(0, Ordering::SeqCst) != 0
}

/// Shuts down if a signal has asked for it.
pub fn check(srv: &mut Server) {
    let signal = ASKED.load(Ordering::SeqCst);
    if signal == 0 {
        return;
    }
    let (name, mut flags) = if signal == libc::SIGINT {
        ("SIGINT", srv.config.shutdown_on_sigint)
    } else {
        ("SIGTERM", srv.config.shutdown_on_sigterm)
    };
    if srv.persistence.loading.is_on() {
        log::warn!("Received shutdown signal during loading, scheduling shutdown.");
        flags = ShutdownFlags { nosave: true, ..ShutdownFlags::default() };
    } else {
        log::warn!("Received {name} scheduling shutdown...");
    }
    if !shutdown::prepare(srv, flags) {
        log::warn!(
            "{name} received but errors trying to shut down the server, check the logs for more information"
        );
    }
    ASKED.store(0, Ordering::SeqCst);
}
