//! Reports of a server that lives: where its threads are, when SIGALRM asks or the loop does not turn.
//!
//! A thread of its own waits for either, because the loop's may be anywhere: within the allocator, where nothing may be
//! looked up, or in an endless loop that does not look at anything. SIGALRM's handler only wakes it.
//!
//! The software watchdog, `watchdog-period`, is fed by the cron. When it was not for that many milliseconds, the stacks
//! are written, once until it is fed again.

use std::ffi::c_int;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use super::stacks;
use crate::io::monotonic;
use crate::server::{Server, logging};

/// Milliseconds that the loop may take for a turn of the cron; 0 is as long as it likes.
static PERIOD_MS: AtomicU64 = AtomicU64::new(0);

/// When the cron ran last, by the monotonic clock; 0 when what followed was reported already.
static FED_NS: AtomicU64 = AtomicU64::new(0);

/// Whether SIGALRM has come.
static ASKED: AtomicBool = AtomicBool::new(false);

/// What wakes the thread; -1 while there is none.
static BELL: AtomicI32 = AtomicI32::new(-1);

/// Wakes the thread. It may be called by a signal handler.
fn ring() {
    let one = 1_u64.to_ne_bytes();
    let bell = BELL.load(Ordering::Relaxed);
    // SAFETY: `write` is async-signal-safe, and the bytes are ours. A bell that is not there refuses.
    unsafe { libc::write(bell, one.as_ptr().cast(), one.len()) };
}

extern "C" fn on_alarm(_signal: c_int) {
    let errno = Errno::last_raw();
    ASKED.store(true, Ordering::Relaxed);
    ring();
    // Whoever was interrupted may be about to look.
    Errno::set_raw(errno);
}

/// Starts the thread.
pub(super) fn install() {
    let bell = match EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK) {
        Ok(bell) => bell,
        Err(e) => return log::warn!("There is no watchdog: {e}"),
    };
    BELL.store(bell.as_fd().as_raw_fd(), Ordering::Relaxed);
    if let Err(e) = std::thread::Builder::new().name("watchdog".into()).spawn(move || watch(&bell)) {
        BELL.store(-1, Ordering::Relaxed);
        return log::warn!("There is no watchdog: {e}");
    }
    let action = SigAction::new(SigHandler::Handler(on_alarm), SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handler touches atomics and writes to a descriptor.
    if let Err(e) = unsafe { sigaction(Signal::SIGALRM, &action) } {
        log::warn!("Cannot handle SIGALRM: {e}");
    }
}

/// Has a child ignore what concerns its parent, whose bell it holds as well.
pub fn become_child() {
    PERIOD_MS.store(0, Ordering::Relaxed);
    BELL.store(-1, Ordering::Relaxed);
}

/// Takes over `watchdog-period`. One that is shorter than two turns of the cron would expire without a reason.
pub fn configure(srv: &Server) {
    let wanted_ms = u64::from(srv.config.watchdog_period);
    let shortest_ms = 2 * 1000 / u64::from(srv.config.hz.max(1));
    let period_ms = if wanted_ms == 0 { 0 } else { wanted_ms.max(shortest_ms) };
    feed();
    PERIOD_MS.store(period_ms, Ordering::Relaxed);
    ring();
}

/// Tells that the cron runs.
#[inline]
pub fn feed() {
    FED_NS.store(monotonic::now_ns(), Ordering::Relaxed);
}

/// What the thread does: it sleeps until it is woken, or until the watchdog can have expired.
fn watch(bell: &EventFd) {
    // Signals are for other threads, and nobody wants to know where this one is.
    let _ = SigSet::all().thread_block();
    loop {
        // Whatever ends the sleep, both causes are looked at.
        let _ = poll(&mut [PollFd::new(bell.as_fd(), PollFlags::POLLIN)], timeout(monotonic::now_ns()));
        // A bell that did not ring has nothing to be read.
        let _ = bell.read();
        if ASKED.swap(false, Ordering::Relaxed) {
            report("Received SIGALRM");
        }
        if is_hungry(monotonic::now_ns()) {
            FED_NS.store(0, Ordering::Relaxed);
            report("--- WATCHDOG TIMER EXPIRED ---");
        }
    }
}

/// When the watchdog expires, in nanoseconds of the monotonic clock, unless it is off or has expired already.
fn expires_ns() -> Option<u64> {
    let (period_ms, fed_ns) = (PERIOD_MS.load(Ordering::Relaxed), FED_NS.load(Ordering::Relaxed));
    (period_ms > 0 && fed_ns > 0).then(|| fed_ns.saturating_add(period_ms * 1_000_000))
}

fn is_hungry(now_ns: u64) -> bool {
    expires_ns().is_some_and(|at_ns| now_ns >= at_ns)
}

fn timeout(now_ns: u64) -> PollTimeout {
    let period_ms = PERIOD_MS.load(Ordering::Relaxed);
    if period_ms == 0 {
        return PollTimeout::NONE;
    }
    // One that has expired is fed again by somebody who does not ring.
    let wait_ms = expires_ns().map_or(period_ms, |at_ns| at_ns.saturating_sub(now_ns) / 1_000_000 + 1);
    PollTimeout::try_from(wait_ms).unwrap_or(PollTimeout::MAX)
}

fn report(why: &str) {
    log::warn!("\n{why}");
    stacks::write(None);
    logging::write_raw("--------\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_expires_once_a_period_without_food() {
        const MS: u64 = 1_000_000;
        assert!(!is_hungry(u64::MAX), "it is off");
        assert_eq!(timeout(0), PollTimeout::NONE);
        PERIOD_MS.store(200, Ordering::Relaxed);
        FED_NS.store(1000 * MS, Ordering::Relaxed);
        assert!(!is_hungry(1199 * MS) && is_hungry(1200 * MS));
        assert_eq!(timeout(1100 * MS), PollTimeout::from(101_u8));
        FED_NS.store(0, Ordering::Relaxed);
        assert!(!is_hungry(u64::MAX), "once is enough");
        become_child();
        assert_eq!(timeout(0), PollTimeout::NONE);
    }
}
