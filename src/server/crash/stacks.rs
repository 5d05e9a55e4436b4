//! The stacks of all threads, as they are at one moment.
//!
//! Only a thread itself can walk its stack, so each is sent [`SIGNAL`], whose handler notes the return addresses in a
//! [`Slot`] that was set aside for that thread. The handler interrupts anything, the allocator included, so it must not
//! allocate or lock: a slot is made of atomics and is there from the start. What the addresses mean is looked up later,
//! by the thread that asked.
//!
//! A slot goes from [`FREE`] to [`ASKED`] by the collector, to [`WRITING`] and [`DONE`] by the handler, and back. Whoever
//! is asked and does not answer in time (a thread that waits for a disk takes no signal) loses its turn: the step from
//! [`ASKED`] is made by one of the two only. A slot in which a late handler still writes is nobody's until it is done.
//!
//! A thread that takes no signals at all, such as the allocator's own, is not asked.

use std::ffi::{CStr, c_int, c_void};
use std::fmt::Write;
use std::fs;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use super::registers;
use crate::server::logging;

/// Asks a thread for its stack: upstream's `THREADS_SIGNAL`.
const SIGNAL: Signal = Signal::SIGUSR2;

/// Threads that can be asked at a time, and frames of each that are kept.
const MAX_THREADS: usize = 50;
const MAX_FRAMES: usize = 100;

/// How long the answers may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// States of a slot.
const FREE: usize = 0;
const ASKED: usize = 1;
const WRITING: usize = 2;
const DONE: usize = 3;

/// The place of one thread's answer.
struct Slot {
    state: AtomicUsize,
    tid: AtomicI32,
    /// Where the thread was interrupted: what it did, and not what the handler does, begins there.
    pc: AtomicUsize,
    len: AtomicUsize,
    frames: [AtomicUsize; MAX_FRAMES],
}

static SLOTS: [Slot; MAX_THREADS] = [const { Slot::new() }; MAX_THREADS];

/// Whether somebody uses the slots.
static COLLECTING: AtomicBool = AtomicBool::new(false);

impl Slot {
    const fn new() -> Slot {
        Slot {
            state: AtomicUsize::new(FREE),
            tid: AtomicI32::new(0),
            pc: AtomicUsize::new(0),
            len: AtomicUsize::new(0),
            frames: [const { AtomicUsize::new(0) }; MAX_FRAMES],
        }
    }

    fn step(&self, from: usize, to: usize) -> bool {
        self.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Sets it aside for a thread, unless a late handler still writes in it.
    fn reserve(&self, tid: libc::pid_t) -> bool {
        if self.state.load(Ordering::Acquire) == WRITING {
            return false;
        }
        self.state.store(FREE, Ordering::Relaxed);
        self.tid.store(tid, Ordering::Relaxed);
        self.state.store(ASKED, Ordering::Release);
        true
    }

    /// The answer, if it came.
    fn take(&self) -> Option<Stack> {
        if self.step(ASKED, FREE) || !self.step(DONE, FREE) {
            return None;
        }
        let len = self.len.load(Ordering::Relaxed);
        let frames = self.frames[..len].iter().map(|frame| frame.load(Ordering::Relaxed)).collect();
        let pc = self.pc.load(Ordering::Relaxed);
        Some(Stack::new(self.tid.load(Ordering::Relaxed), frames, Some(pc).filter(|pc| *pc != 0)))
    }
}

/// Calls `visit` with the return addresses of this thread's stack, until it says `false`. It may be called by a signal
/// handler.
fn walk(mut visit: impl FnMut(usize) -> bool) {
    // SAFETY: two walks at once are a matter of looking up symbols on some systems, which is not done here, and not of the
    // unwinder of this one, which keeps its state on the stack.
    unsafe {
        // What calls the first function of a thread has no address.
        backtrace::trace_unsynchronized(|frame| frame.ip().is_null() || visit(frame.ip().addr()));
    }
}

extern "C" fn on_signal(_signal: c_int, _info: *mut libc::siginfo_t, context: *mut c_void) {
    let errno = Errno::last_raw();
    let tid = nix::unistd::gettid().as_raw();
    let is_mine = |slot: &&Slot| slot.tid.load(Ordering::Relaxed) == tid && slot.step(ASKED, WRITING);
    let Some(slot) = SLOTS.iter().find(is_mine) else { return };
    // SAFETY: the kernel calls this handler with a context of this type.
    let pc = unsafe { registers::program_counter(context) };
    let mut len = 0;
    walk(|frame| {
        slot.frames[len].store(frame, Ordering::Relaxed);
        len += 1;
        len < MAX_FRAMES
    });
    slot.pc.store(pc.unwrap_or(0), Ordering::Relaxed);
    slot.len.store(len, Ordering::Relaxed);
    slot.state.store(DONE, Ordering::Release);
    // Whoever was interrupted may be about to look.
    Errno::set_raw(errno);
}

/// Prepares for [`write`].
pub(super) fn install() {
    // The unwinder sets itself up when it is used first, and that is better not done by a handler.
    walk(|_| false);
    // No stack of its own: that of most threads is too small for the unwinder, and none of those that are asked has
    // overflown.
    let flags = SaFlags::SA_SIGINFO | SaFlags::SA_RESTART;
    let action = SigAction::new(SigHandler::SigAction(on_signal), flags, SigSet::empty());
    // SAFETY: the handler touches atomics and its own stack only.
    if let Err(e) = unsafe { sigaction(SIGNAL, &action) } {
        log::warn!("Cannot handle {SIGNAL}: {e}");
    }
}

/// A thread's stack.
struct Stack {
    tid: libc::pid_t,
    /// Addresses of instructions, the innermost first.
    frames: Vec<usize>,
    /// Whether the first of them was interrupted, and is no return address.
    interrupted: bool,
}

impl Stack {
    /// With what stands above `pc` left away: the handler at work.
    fn new(tid: libc::pid_t, mut frames: Vec<usize>, pc: Option<usize>) -> Stack {
        let at = frames.iter().position(|frame| Some(*frame) == pc);
        frames.drain(..at.unwrap_or(0));
        Stack { tid, frames, interrupted: at.is_some() }
    }

    fn text(&self, asking: libc::pid_t) -> String {
        let tid = self.tid;
        let name = fs::read_to_string(format!("/proc/self/task/{tid}/comm")).unwrap_or_default();
        let mark = if tid == asking { " *" } else { "" };
        let mut text = format!("\n{tid} {}{mark}\n", name.trim_end());
        for (i, frame) in self.frames.iter().enumerate() {
            // A return address is behind the call that it is about, and may be another function's.
            let call = if i == 0 && self.interrupted { *frame } else { frame.saturating_sub(1) };
            text.push_str(&describe(*frame, call));
        }
        text
    }
}

/// A line for each function that the compiler has put at this place: `program(function)[address] file:line`.
fn describe(address: usize, call: usize) -> String {
    let module = Module::of(address);
    let mut text = String::new();
    // It looks one byte in front of what it is given.
    backtrace::resolve(ptr::without_provenance_mut(call + 1), |symbol| {
        let Some(function) = symbol.name() else { return };
        let place = symbol.filename().zip(symbol.lineno());
        let place = place.map(|(file, line)| format!(" {}:{line}", file.display())).unwrap_or_default();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}({function:#})[{address:#x}]{place}", module.name);
    });
    if text.is_empty() {
        text = format!("{}(+{:#x})[{address:#x}]\n", module.name, address.wrapping_sub(module.base));
    }
    text
}

/// The program or library that an address is in.
struct Module {
    name: String,
    base: usize,
}

impl Module {
    fn of(address: usize) -> Module {
        // SAFETY: an all-zero `Dl_info` is a valid value of that C struct.
        let mut info: libc::Dl_info = unsafe { std::mem::zeroed() };
        // SAFETY: any address may be asked for, and the struct is ours.
        let known = unsafe { libc::dladdr(ptr::without_provenance(address), &raw mut info) } != 0;
        if !known || info.dli_fname.is_null() {
            return Module { name: String::new(), base: 0 };
        }
        // SAFETY: the name is a text of the dynamic linker, which ends with a zero and stays while the module does.
        let name = unsafe { CStr::from_ptr(info.dli_fname) };
        Module { name: name.to_string_lossy().into_owned(), base: info.dli_fbase.addr() }
    }
}

/// The threads that take [`SIGNAL`].
fn threads() -> Vec<libc::pid_t> {
    let Ok(entries) = fs::read_dir("/proc/self/task") else { return Vec::new() };
    let tids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let mut tids: Vec<libc::pid_t> = tids.filter(|tid| takes_signal(*tid)).collect();
    tids.sort_unstable();
    tids
}

fn takes_signal(tid: libc::pid_t) -> bool {
    // A thread that has just ended has no status.
    let Ok(status) = fs::read_to_string(format!("/proc/self/task/{tid}/status")) else { return false };
    !is_blocked(&status, SIGNAL)
}

/// Whether a thread of this status blocks or ignores the signal.
fn is_blocked(status: &str, signal: Signal) -> bool {
    let bit = 1_u64 << (signal as u32 - 1);
    ["SigBlk:", "SigIgn:"].iter().any(|name| {
        let mask = status.lines().find_map(|line| line.strip_prefix(name));
        mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_none_or(|mask| mask & bit != 0)
    })
}

/// Asks the threads, and waits for what they answer.
fn ask(tids: &[libc::pid_t]) -> Vec<Stack> {
    let mut asked = Vec::new();
    for (slot, tid) in SLOTS.iter().zip(tids) {
        if slot.reserve(*tid) {
            // SAFETY: the call takes numbers alone. A thread that is gone takes no signal, and does not answer.
            unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), *tid, SIGNAL as c_int) };
            asked.push(slot);
        }
    }
    let until = Instant::now() + PATIENCE;
    let is_open = |slot: &&Slot| slot.state.load(Ordering::Acquire) != DONE;
    while asked.iter().any(is_open) {
        if Instant::now() >= until {
            log::warn!("wait_threads(): waiting threads timed out");
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    asked.into_iter().filter_map(Slot::take).collect()
}

/// Writes the stacks of all threads to the log. `pc` is where this thread was interrupted, if a signal did that.
pub(super) fn write(pc: Option<usize>) {
    logging::write_raw("\n------ STACK TRACE ------\n");
    if let Some(pc) = pc {
        logging::write_raw(&format!("EIP:\n{}", describe(pc, pc)));
    }
    let own = nix::unistd::gettid().as_raw();
    let tids = threads();
    // This thread goes first: it is the one that the report is about, or one that only writes it.
    if tids.contains(&own) {
        let mut frames = Vec::new();
        walk(|frame| {
            frames.push(frame);
            frames.len() < MAX_FRAMES
        });
        logging::write_raw(&Stack::new(own, frames, pc).text(own));
    }
    let others: Vec<libc::pid_t> = tids.iter().copied().filter(|tid| *tid != own).collect();
    // A crash may come while another thread writes of something else; that is done soon, or never.
    let busy = COLLECTING.swap(true, Ordering::AcqRel);
    let stacks = if busy { Vec::new() } else { ask(&others) };
    stacks.iter().for_each(|stack| logging::write_raw(&stack.text(own)));
    if !busy {
        COLLECTING.store(false, Ordering::Release);
    }
    let collected = stacks.len() + usize::from(tids.contains(&own));
    logging::write_raw(&format!("\n{collected}/{} expected stacktraces.\n", tids.len()));
    logging::write_raw("\n------ STACK TRACE DONE ------\n");
    backtrace::clear_symbol_cache();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[inline(never)]
    fn a_place_of_a_known_name(
        answers: &std::sync::mpsc::Sender<libc::pid_t>,
        end: &std::sync::mpsc::Receiver<()>,
    ) {
        answers.send(nix::unistd::gettid().as_raw()).unwrap();
        let _ = end.recv();
    }

    #[test]
    fn another_thread_tells_where_it_is() {
        install();
        let (answers, ids) = channel();
        let (end, ended) = channel();
        let thread = std::thread::spawn(move || a_place_of_a_known_name(&answers, &ended));
        let tid = ids.recv().unwrap();
        assert!(takes_signal(tid));
        let stacks = ask(&[tid]);
        drop(end);
        thread.join().unwrap();
        let text = stacks.first().expect("it answers").text(0);
        assert!(stacks[0].interrupted && text.contains("a_place_of_a_known_name"), "{text}");
        assert!(!text.contains("on_signal"), "the handler is not what the thread does: {text}");
        assert!(ask(&[tid]).is_empty(), "a thread that is gone does not answer");
    }

    #[test]
    fn masks_of_a_status_are_read() {
        let status =
            |blocked, ignored| format!("Name:\tx\nSigBlk:\t{blocked}\nSigIgn:\t{ignored}\nSigCgt:\t0\n");
        assert!(!is_blocked(&status("0000000000000000", "0000000000001000"), SIGNAL));
        assert!(is_blocked(&status("0000000000000800", "0000000000000000"), SIGNAL));
        assert!(is_blocked(&status("0000000000000000", "0000000000000800"), SIGNAL));
        assert!(is_blocked("Name:\tx\n", SIGNAL), "what is not known is left alone");
    }
}
