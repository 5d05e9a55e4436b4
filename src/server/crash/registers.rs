//! The state of the processor at a fault.

use std::ffi::{c_int, c_void};
use std::fs::File;
use std::os::unix::fs::FileExt;

/// What the kernel tells of a fault.
#[derive(Debug)]
pub(super) struct Fault {
    pub signal: c_int,
    pub code: c_int,
    /// The address that could not be accessed, of a fault that has one.
    pub address: Option<usize>,
    /// Process and user that sent the signal, if somebody did.
    pub sender: Option<(libc::pid_t, libc::uid_t)>,
    /// Program counter, where it is known.
    pub pc: Option<usize>,
    /// Stack pointer, where it is known.
    pub sp: Option<usize>,
    /// Names and values.
    pub registers: Vec<(String, u64)>,
}

impl Fault {
    /// # Safety
    /// The pointers are those that a handler installed with `SA_SIGINFO` was called with, and it has not returned.
    pub unsafe fn read(signal: c_int, info: *const libc::siginfo_t, context: *const c_void) -> Fault {
        // SAFETY: the caller's promise; `siginfo_t` and `ucontext_t` are what the kernel passes.
        let (info, context) = unsafe { (&*info, &*context.cast::<libc::ucontext_t>()) };
        let at_address = [libc::SIGSEGV, libc::SIGBUS].contains(&signal);
        // SAFETY: which members of the struct's union are set follows from signal and code.
        let (address, sender) = unsafe {
            (
                at_address.then(|| info.si_addr().addr()),
                (info.si_code == libc::SI_USER).then(|| (info.si_pid(), info.si_uid())),
            )
        };
        let [pc, sp] = counters(context).map_or([None; 2], |counters| counters.map(Some));
        Fault { signal, code: info.si_code, address, sender, pc, sp, registers: registers(context) }
    }
}

/// Where the code was interrupted that a signal handler was called in, if that is known. It may be called by the handler.
///
/// # Safety
/// The pointer is the one that a handler installed with `SA_SIGINFO` was called with, and it has not returned.
pub(super) unsafe fn program_counter(context: *const c_void) -> Option<usize> {
    // SAFETY: the caller's promise; `ucontext_t` is what the kernel passes.
    counters(unsafe { &*context.cast::<libc::ucontext_t>() }).map(|[pc, _]| pc)
}

/// Program counter and stack pointer.
#[cfg(target_arch = "x86_64")]
fn counters(context: &libc::ucontext_t) -> Option<[usize; 2]> {
    Some([libc::REG_RIP, libc::REG_RSP].map(|register| context.uc_mcontext.gregs[register as usize] as usize))
}

/// Program counter and stack pointer.
#[cfg(target_arch = "aarch64")]
fn counters(context: &libc::ucontext_t) -> Option<[usize; 2]> {
    Some([context.uc_mcontext.pc as usize, context.uc_mcontext.sp as usize])
}

/// Program counter and stack pointer, which nobody has told this code how to find.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn counters(_context: &libc::ucontext_t) -> Option<[usize; 2]> {
    None
}

type Registers = Vec<(String, u64)>;

#[cfg(target_arch = "x86_64")]
fn registers(context: &libc::ucontext_t) -> Registers {
    const NAMES: [(&str, c_int); 19] = [
        ("RAX", libc::REG_RAX),
        ("RBX", libc::REG_RBX),
        ("RCX", libc::REG_RCX),
        ("RDX", libc::REG_RDX),
        ("RDI", libc::REG_RDI),
        ("RSI", libc::REG_RSI),
        ("RBP", libc::REG_RBP),
        ("RSP", libc::REG_RSP),
        ("R8 ", libc::REG_R8),
        ("R9 ", libc::REG_R9),
        ("R10", libc::REG_R10),
        ("R11", libc::REG_R11),
        ("R12", libc::REG_R12),
        ("R13", libc::REG_R13),
        ("R14", libc::REG_R14),
        ("R15", libc::REG_R15),
        ("RIP", libc::REG_RIP),
        ("EFL", libc::REG_EFL),
        ("CSGSFS", libc::REG_CSGSFS),
    ];
    let value = |register: c_int| context.uc_mcontext.gregs[register as usize] as u64;
    NAMES.iter().map(|(name, register)| ((*name).into(), value(*register))).collect()
}

#[cfg(target_arch = "aarch64")]
fn registers(context: &libc::ucontext_t) -> Registers {
    let machine = &context.uc_mcontext;
    let mut registers: Registers =
        machine.regs.iter().enumerate().map(|(n, value)| (format!("X{n:<2}"), *value)).collect();
    registers.extend([
        ("pc".into(), machine.pc),
        ("sp".into(), machine.sp),
        ("pstate".into(), machine.pstate),
        ("fault_address".into(), machine.fault_address),
    ]);
    registers
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn registers(_context: &libc::ucontext_t) -> Registers {
    Vec::new()
}

/// Up to `most` words from the stack pointer on, with their addresses. Memory that cannot be read ends the list: it
/// is read by way of the system, which refuses rather than faults.
pub(super) fn stack_words(sp: usize, most: usize) -> Vec<(usize, usize)> {
    let Ok(memory) = File::open("/proc/self/mem") else { return Vec::new() };
    let mut words = Vec::new();
    for address in (sp..).step_by(size_of::<usize>()).take(most) {
        let mut word = [0; size_of::<usize>()];
        if memory.read_exact_at(&mut word, address as u64).is_err() {
            break;
        }
        words.push((address, usize::from_ne_bytes(word)));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stack_is_read_as_far_as_it_goes() {
        let values = [11_usize, 22, 33];
        let words = stack_words((&raw const values).addr(), 3);
        assert_eq!(words.iter().map(|(_, word)| *word).collect::<Vec<_>>(), values);
        assert_eq!(stack_words(8, 3), []);
    }
}
