//! What the server says before it dies of a bug: the crash report in the log.
//!
//! A panic reports from the panic hook; SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT report from a signal handler.
//! `report.rs` writes the sections, `registers.rs` reads the processor's state, and `stacks.rs` walks the stacks of all
//! threads. Those are also written of a server that goes on, which is what `watchdog.rs` is about.
//!
//! # What the handler may do
//!
//! By the book a signal handler may call next to nothing: not allocate, not lock. A report without symbols, INFO and
//! clients would be worth little, so this one does what the book forbids, as upstream's does, and limits the damage:
//!
//! - it runs on a stack of its own, so that it can report a stack overflow;
//! - the most important facts are written first, and each section reaches the file before the next is made;
//! - a second crash while reporting ends the report at once ([`REPORTING`]);
//! - a report that hangs, say on a lock that the crashed code held, is ended by an alarm after [`MOST_SECONDS`].
//!
//! Then the signal's default action is restored and the signal raised again, so that the process ends as it would
//! have, with a core dump where those are wanted.
//!
//! # The pointers
//!
//! There is no way to hand a value to a signal handler, so [`install`] leaves the server's address in [`SERVER`], and
//! the dispatcher that of the client whose command runs in [`CLIENT`] ([`enter`]). They are read in a report only, on
//! the thread that owns both values, whose code will not go on. What is seen may be half-changed; following it may
//! crash again, which the second point above is for.

mod registers;
mod report;
mod stacks;
pub mod watchdog;

use std::ffi::{c_int, c_void};
use std::panic::PanicHookInfo;
use std::ptr;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use crate::server::{Client, Server};

use report::Cause;

/// The server, while its loop runs.
static SERVER: AtomicPtr<Server> = AtomicPtr::new(ptr::null_mut());

/// The client whose command runs.
static CLIENT: AtomicPtr<Client> = AtomicPtr::new(ptr::null_mut());

/// Whether a report has begun; there is only one.
static REPORTING: AtomicBool = AtomicBool::new(false);

/// Seconds that a report may take.
const MOST_SECONDS: u32 = 30;

/// Bytes of the handler's stack.
const STACK_SIZE: usize = 1024 * 1024;

/// The signals that tell of a crash.
const SIGNALS: [Signal; 5] =
    [Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGFPE, Signal::SIGILL, Signal::SIGABRT];

/// Has crashes reported from now on, or not, as `crash-log-enabled` says. The server must stay where it is until
/// [`uninstall`].
pub fn install(srv: &mut Server) {
    static ONCE: Once = Once::new();
    SERVER.store(srv, Ordering::Release);
    ONCE.call_once(|| {
        prepare_thread();
        stacks::install();
        watchdog::install();
        let default_hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !report_panic(info) {
                default_hook(info);
            }
        }));
    });
    let handler =
        if srv.config.crash_log_enabled { SigHandler::SigAction(on_signal) } else { SigHandler::SigDfl };
    set_handler(handler);
}

/// Forgets the server, which is about to go.
pub fn uninstall() {
    set_handler(SigHandler::SigDfl);
    SERVER.store(ptr::null_mut(), Ordering::Release);
}

fn set_handler(handler: SigHandler) {
    // Without SA_NODEFER a crash in the handler would end the process without a word.
    let flags = SaFlags::SA_SIGINFO | SaFlags::SA_ONSTACK | SaFlags::SA_NODEFER;
    let action = SigAction::new(handler, flags, SigSet::empty());
    for signal in SIGNALS {
        // SAFETY: the handler's use of what signal handlers must not use is this module's subject.
        if let Err(e) = unsafe { sigaction(signal, &action) } {
            log::warn!("Cannot handle {signal}: {e}");
        }
    }
}

/// Gives this thread's crashes a stack of their own to be reported on.
pub fn prepare_thread() {
    let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: new memory is asked for, at an address of the system's choice.
    let memory = unsafe { libc::mmap(ptr::null_mut(), STACK_SIZE, protection, flags, -1, 0) };
    if memory == libc::MAP_FAILED {
        return;
    }
    let stack = libc::stack_t { ss_sp: memory, ss_flags: 0, ss_size: STACK_SIZE };
    // SAFETY: the memory is this thread's alone, has that size, and is never given back.
    unsafe { libc::sigaltstack(&raw const stack, ptr::null_mut()) };
}

/// Keeps the client noted whose command ran before, to note it again: commands call commands.
#[derive(Debug)]
pub struct Running(*mut Client);

/// Notes that `c`'s command runs, until the result is dropped.
#[inline]
pub fn enter(c: &mut Client) -> Running {
    // Only this thread writes, so no exchange is needed.
    let outer = Running(CLIENT.load(Ordering::Relaxed));
    CLIENT.store(c, Ordering::Relaxed);
    outer
}

impl Drop for Running {
    #[inline]
    fn drop(&mut self) {
        CLIENT.store(self.0, Ordering::Relaxed);
    }
}

/// Whether this is the thread that runs the loop, and so owns the server.
fn on_main_thread() -> bool {
    nix::unistd::gettid() == nix::unistd::getpid()
}

/// The server and the client whose command runs, as far as they are known and this thread's.
///
/// # Safety
/// The calling thread must not return to the code that uses them.
unsafe fn state<'a>() -> (Option<&'a Server>, Option<&'a Client>) {
    if !on_main_thread() {
        return (None, None);
    }
    let (srv, c) = (SERVER.load(Ordering::Acquire), CLIENT.load(Ordering::Acquire));
    // SAFETY: a pointer that is not null is that of a live value of this thread: `install` and `enter` store it, and
    // `uninstall` and `Running` take it back before the value goes. Whoever holds it mutably does not go on.
    unsafe { (srv.as_ref(), c.as_ref()) }
}

extern "C" fn on_signal(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    restore_default(signal);
    if REPORTING.swap(true, Ordering::SeqCst) {
        report::recursive(signal);
    } else {
        limit_time();
        // SAFETY: the kernel calls this handler with pointers to structs of these types.
        let cause = Cause::Signal(unsafe { registers::Fault::read(signal, info, context) });
        // SAFETY: the signal is raised again below, with the action that ends the process.
        let (srv, c) = unsafe { state() };
        report::write(&cause, srv, c);
    }
    // SAFETY: `raise` has no precondition.
    unsafe { libc::raise(signal) };
}

/// Reports a panic; `false` if that is not wanted.
fn report_panic(info: &PanicHookInfo<'_>) -> bool {
    // SAFETY: a panic aborts the process: that is what its profile says.
    let (srv, c) = unsafe { state() };
    if srv.is_some_and(|srv| !srv.config.crash_log_enabled) {
        return false;
    }
    // What follows raises SIGABRT, which has nothing to add.
    restore_default(libc::SIGABRT);
    if REPORTING.swap(true, Ordering::SeqCst) {
        report::recursive(libc::SIGABRT);
    } else {
        limit_time();
        report::write(&Cause::panic(info, srv), srv, c);
    }
    if srv.is_some_and(|srv| srv.config.use_exit_on_panic) {
        std::process::exit(1);
    }
    true
}

fn restore_default(signal: c_int) {
    // SAFETY: the default action runs no code of ours.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}

/// Ends the process if the report takes too long.
fn limit_time() {
    restore_default(libc::SIGALRM);
    nix::unistd::alarm::set(MOST_SECONDS);
}

/// Ends the process for want of memory.
pub fn out_of_memory(bytes: usize) -> ! {
    log::warn!("Out Of Memory allocating {bytes} bytes!");
    panic!("Redis aborting for OUT OF MEMORY. Allocating {bytes} bytes!");
}

/// Crashes, for DEBUG SEGFAULT: writes to a page that may be read only.
pub fn write_to_protected_memory() {
    const PAGE: usize = 4096;
    // SAFETY: new memory is asked for, at an address of the system's choice.
    let page = unsafe {
        libc::mmap(ptr::null_mut(), PAGE, libc::PROT_READ, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)
    };
    if page != libc::MAP_FAILED {
        // SAFETY: none; that this write faults is what is wanted. No other code knows of the page.
        unsafe { page.cast::<u8>().write_volatile(1) };
    }
}
