//! SIGTERM and SIGINT: asked once, the server shuts down in order; a second SIGINT ends it at once.
//!
//! The handler only notes the signal. The loop looks before it sleeps and in the cron.

use std::sync::atomic::{AtomicI32, Ordering};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use crate::server::Server;
use crate::server::shutdown;

/// The signal that asked for the end, or 0.
static ASKED: AtomicI32 = AtomicI32::new(0);

extern "C" fn on_signal(signal: libc::c_int) {
    if ASKED.swap(signal, Ordering::SeqCst) != 0 && signal == libc::SIGINT {
        const TEXT: &[u8] = b"You insist... exiting now.\n";
        // SAFETY: `write` and `_exit` are async-signal-safe, and the text is static.
        unsafe {
            libc::write(libc::STDOUT_FILENO, TEXT.as_ptr().cast(), TEXT.len());
            libc::_exit(1);
        }
    }
}

/// Installs the handlers, and ignores SIGHUP and SIGPIPE.
pub fn install() {
    let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    let handle = SigAction::new(SigHandler::Handler(on_signal), SaFlags::empty(), SigSet::empty());
    for (signal, action) in [
        (Signal::SIGHUP, &ignore),
        (Signal::SIGPIPE, &ignore),
        (Signal::SIGTERM, &handle),
        (Signal::SIGINT, &handle),
    ] {
        // SAFETY: the handler only touches an atomic and calls async-signal-safe functions.
        if let Err(e) = unsafe { sigaction(signal, action) } {
            log::warn!("Cannot handle {signal}: {e}");
        }
    }
}

/// Shuts down if a signal has asked for it.
pub fn check(srv: &mut Server) {
    let signal = ASKED.load(Ordering::SeqCst);
    if signal == 0 {
        return;
    }
    let (name, flags) = if signal == libc::SIGINT {
        ("SIGINT", srv.config.shutdown_on_sigint)
    } else {
        ("SIGTERM", srv.config.shutdown_on_sigterm)
    };
    log::warn!("Received {name} scheduling shutdown...");
    if !shutdown::prepare(srv, flags) {
        log::warn!(
            "{name} received but errors trying to shut down the server, check the logs for more information"
        );
    }
    ASKED.store(0, Ordering::SeqCst);
}
