//! The memory of scripts: what Lua asks for is counted, and bounded.
//!
//! Each engine has a [`Host`], which its allocator and its callbacks find through the state. Lua tells the old size of a
//! block whenever it grows, shrinks or frees it, so that the count is exact and costs two additions.
//!
//! # The bound
//!
//! A script that builds an endless string must end in an error (`not enough memory`) and not in the death of the server.
//! Upstream leaves that to the kernel. Here an engine may hold half of the machine's memory: no script that works
//! upstream needs more than that, since what it builds is to fit beside the dataset, and a script that passes it would
//! have the kernel end some process soon. A smaller fixed bound would break scripts with strings of gigabytes.
//!
//! Memory is refused only while Lua code itself runs, never while a callback of ours does: `boundary.rs` says why.
//!
//! Blocks come from the C library's allocator and not from the server's: `used_memory`, and with it eviction, does not count
//! what scripts hold, as upstream (which reports it as `used_memory_vm_eval`).

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;

use mlua_sys::{lua_State, lua_getallocf};

use super::Link;

/// What belongs to a Lua state and must be found from within it.
#[derive(Debug)]
pub struct Host {
    /// Bytes that the state holds.
    used: Cell<usize>,
    /// Bytes that it may hold while Lua code runs.
    limit: usize,
    /// Whether the limit is in force.
    bounded: Cell<bool>,
    /// Who is to be found from within the script that runs.
    link: Cell<Option<Link>>,
    /// Whether a script has changed how garbage is collected.
    collector_touched: Cell<bool>,
    /// Scripts that have run since garbage was last collected on purpose.
    runs: Cell<u32>,
    /// The state of `math.random`: 48 bits of a linear congruential generator.
    random: Cell<u64>,
}

/// The generator's state before anybody has seeded it: that of the C library's `lrand48`, as the other constants.
const RANDOM_START: u64 = 0x1234_abcd_330e;
const RANDOM_FACTOR: u64 = 0x5_deec_e66d;
const RANDOM_ADDEND: u64 = 0xb;
const RANDOM_MASK: u64 = (1 << 48) - 1;

impl Default for Host {
    fn default() -> Host {
        Host {
            used: Cell::new(0),
            limit: memory_limit(),
            bounded: Cell::new(false),
            link: Cell::new(None),
            collector_touched: Cell::new(false),
            runs: Cell::new(0),
            random: Cell::new(RANDOM_START),
        }
    }
}

impl Host {
    /// The host of a state.
    ///
    /// # Safety
    /// `l` is a live state that was made with [`allocate`] and a host.
    #[inline]
    pub unsafe fn of(l: *mut lua_State) -> *const Host {
        let mut host = ptr::null_mut();
        // SAFETY: the caller's promise; the call only reads.
        unsafe { lua_getallocf(l, &mut host) };
        host.cast_const().cast()
    }

    /// Bytes that the state holds.
    pub fn used(&self) -> usize {
        self.used.get()
    }

    /// Puts the limit in force or out of it, and tells what it was.
    #[inline]
    pub fn set_bounded(&self, on: bool) -> bool {
        self.bounded.replace(on)
    }

    /// Whether `more` bytes may be had.
    pub fn has_room(&self, more: usize) -> bool {
        self.used.get().saturating_add(more) <= self.limit
    }

    /// Who is to be found from within the script that runs; `None` if none does.
    #[inline]
    pub fn link(&self) -> Option<Link> {
        self.link.get()
    }

    /// Says who is to be found.
    pub fn set_link(&self, link: Option<Link>) {
        self.link.set(link);
    }

    /// Notes that a script has changed how garbage is collected.
    pub fn note_collector_touched(&self) {
        self.collector_touched.set(true);
    }

    /// Whether that was noted since the last call.
    pub fn take_collector_touched(&self) -> bool {
        self.collector_touched.replace(false)
    }

    /// Counts a script that has run, and tells how many did since [`Host::reset_runs`].
    pub fn count_run(&self) -> u32 {
        self.runs.set(self.runs.get() + 1);
        self.runs.get()
    }

    /// Begins to count scripts anew.
    pub fn reset_runs(&self) {
        self.runs.set(0);
    }

    /// The next random number, of 31 bits.
    pub fn next_random(&self) -> i64 {
        let next = self.random.get().wrapping_mul(RANDOM_FACTOR).wrapping_add(RANDOM_ADDEND) & RANDOM_MASK;
        self.random.set(next);
        (next >> 17) as i64
    }

    /// Begins the sequence of random numbers that belongs to `seed`.
    pub fn seed_random(&self, seed: u32) {
        self.random.set(u64::from(seed) << 16 | 0x330e);
    }
}

/// Half of the machine's memory.
fn memory_limit() -> usize {
    let sysconf = |name| nix::unistd::sysconf(name).ok().flatten().unwrap_or(0).max(0) as usize;
    let bytes = sysconf(nix::unistd::SysconfVar::_PHYS_PAGES)
        .saturating_mul(sysconf(nix::unistd::SysconfVar::PAGE_SIZE));
    // A machine that does not tell has a gigabyte at least.
    if bytes == 0 { 512 << 20 } else { bytes / 2 }
}

/// The allocator of every state.
///
/// # Safety
/// For Lua alone: `ud` is the state's [`Host`], and `block` null or a block of `old` bytes that this function gave.
pub unsafe extern "C" fn allocate(
    ud: *mut c_void,
    block: *mut c_void,
    old: usize,
    new: usize,
) -> *mut c_void {
    // SAFETY: the host outlives its state, and is only shared.
    let host = unsafe { &*ud.cast::<Host>() };
    let rest = host.used.get() - old;
    if new == 0 {
        host.used.set(rest);
        // SAFETY: `block` came from `realloc` or is null.
        unsafe { libc::free(block) };
        return ptr::null_mut();
    }
    if new > old && host.bounded.get() && rest.saturating_add(new) > host.limit {
        return ptr::null_mut();
    }
    // SAFETY: as above.
    let moved = unsafe { libc::realloc(block, new) };
    if moved.is_null() {
        if !host.bounded.get() {
            // Lua would raise an error across frames of ours.
            crate::server::crash::out_of_memory(new);
        }
        return moved;
    }
    host.used.set(rest + new);
    moved
}
