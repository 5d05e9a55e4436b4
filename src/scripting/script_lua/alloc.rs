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
//! what scripts hold, as upstream (which reports it as `used_memory_vm_eval`). Short-lived garbage of scripts does not come to
//! lie between keys that stay, either.
//!
//! # Spare blocks
//!
//! A script of one command makes ten objects, and the collector frees those of hundreds of scripts at a time. What it frees is
//! kept, up to [`SPARE_BYTES`], in lists by size, and handed out again: a few instructions instead of the allocator's
//! hundred. Since Lua tells the size of what it frees, a list needs nothing but the blocks themselves.

use std::cell::{Cell, RefCell, RefMut};
use std::ffi::{c_int, c_void};
use std::ptr;

use mlua_sys::{lua_State, lua_getallocf};

use super::Link;
use super::cjson::config::Buffers;
use super::lua_strpattern::{Choice, STEPS_PER_LOOK};

/// What belongs to a Lua state and must be found from within it.
#[derive(Debug)]
pub struct Host {
    /// Bytes that the state holds.
    used: Cell<usize>,
    /// Bytes that it may hold while Lua code runs.
    limit: Cell<usize>,
    /// Whether the limit is in force.
    bounded: Cell<bool>,
    /// Who is to be found from within the script that runs.
    link: Cell<Option<Link>>,
    /// Whether a script has changed how garbage is collected.
    collector_touched: Cell<bool>,
    /// Scripts that have run since garbage was last collected on purpose.
    runs: Cell<u32>,
    /// Steps of functions in C that are left until the clock is looked at.
    steps: Cell<i64>,
    /// Memory for the choices of pattern matching.
    choices: RefCell<Vec<Choice>>,
    /// Memory for the work of `cjson`.
    json_buffers: RefCell<Buffers>,
    /// Instructions from one look at the clock to the next, and when the last was, in monotonic nanoseconds.
    looks: Cell<(c_int, u64)>,
    /// The state of `math.random`: 48 bits of a linear congruential generator.
    random: Cell<u64>,
    spare: Spare,
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
            limit: Cell::new(memory_limit()),
            bounded: Cell::new(false),
            link: Cell::new(None),
            collector_touched: Cell::new(false),
            runs: Cell::new(0),
            steps: Cell::new(STEPS_PER_LOOK),
            choices: RefCell::default(),
            json_buffers: RefCell::default(),
            looks: Cell::new((0, 0)),
            random: Cell::new(RANDOM_START),
            spare: Spare::default(),
        }
    }
}

impl Host {
    /// A new host, for [`lua_newstate`](mlua_sys::lua_newstate); to be freed when the state is closed.
    pub fn leak() -> *const Host {
        Box::into_raw(Box::default())
    }

    /// Frees a host.
    ///
    /// # Safety
    /// `host` came from [`Host::leak`], its state is closed, and nobody uses it any more.
    pub unsafe fn free(host: *const Host) {
        // SAFETY: as the caller promises.
        drop(unsafe { Box::from_raw(host.cast_mut()) });
    }

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

    /// Sets how many bytes the state may hold while Lua code runs.
    pub fn set_limit(&self, bytes: usize) {
        self.limit.set(bytes);
    }

    /// Bytes that the state may still get.
    pub fn room(&self) -> usize {
        self.limit.get().saturating_sub(self.used.get())
    }

    /// Whether `more` bytes may be had.
    pub fn has_room(&self, more: usize) -> bool {
        self.used.get().saturating_add(more) <= self.limit.get()
    }

    /// Whether more than half is used of what the state may hold.
    pub fn is_half_full(&self) -> bool {
        self.used.get() > self.limit.get() / 2
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

    /// Steps of functions in C that are left until the clock is looked at.
    pub fn steps_left(&self) -> i64 {
        self.steps.get()
    }

    /// Notes how many are left.
    pub fn set_steps_left(&self, steps: i64) {
        self.steps.set(steps);
    }

    /// Lends memory for the choices of pattern matching.
    pub(super) fn lend_choices(&self) -> Vec<Choice> {
        self.choices.take()
    }

    /// Takes that memory back.
    pub(super) fn take_choices(&self, choices: Vec<Choice>) {
        self.choices.replace(choices);
    }

    /// Memory for the work of `cjson`, for as long as one of its functions runs.
    pub(super) fn json_buffers(&self) -> RefMut<'_, Buffers> {
        self.json_buffers.borrow_mut()
    }

    /// After how many instructions the clock is looked at next, and when it was last, in monotonic nanoseconds.
    pub fn looks(&self) -> (c_int, u64) {
        self.looks.get()
    }

    /// Notes both.
    pub fn set_looks(&self, instructions: c_int, now_ns: u64) {
        self.looks.set((instructions, now_ns));
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

/// Sizes of blocks are rounded up to a multiple of this, the C library's own step.
const STEP: usize = 16;

/// There are lists of spare blocks up to this size; that of a table's slots for eight pairs is the largest that is common.
const SPARE_MAX: usize = 512;

/// Bytes of spare blocks that are kept. None when the sanitizer is to see every block that is freed.
const SPARE_BYTES: usize = if cfg!(feature = "system-malloc") { 0 } else { 256 * 1024 };

/// A free block: where the next one of its size is.
struct Free(*mut Free);

/// Blocks that Lua has freed, for its next ones: by size, each the head of a list.
#[derive(Debug)]
struct Spare {
    heads: [Cell<*mut Free>; SPARE_MAX / STEP],
    bytes: Cell<usize>,
}

impl Default for Spare {
    fn default() -> Spare {
        Spare { heads: [const { Cell::new(ptr::null_mut()) }; SPARE_MAX / STEP], bytes: Cell::new(0) }
    }
}

impl Spare {
    /// The list for blocks of `size` bytes, which are at least one, if there is one.
    #[inline]
    fn list(&self, size: usize) -> Option<&Cell<*mut Free>> {
        self.heads.get((size - 1) / STEP)
    }

    /// A block of `size` bytes; null if there is no memory.
    #[inline]
    fn take(&self, size: usize) -> *mut c_void {
        let Some(list) = self.list(size) else {
            // SAFETY: any size may be asked for.
            return unsafe { libc::malloc(size) };
        };
        let head = list.get();
        if head.is_null() {
            // SAFETY: as above.
            return unsafe { libc::malloc(rounded(size)) };
        }
        // SAFETY: `give` has written to the block what comes after it, and nobody else has it.
        list.set(unsafe { (*head).0 });
        self.bytes.set(self.bytes.get() - rounded(size));
        head.cast()
    }

    /// Takes back a block of `size` bytes.
    ///
    /// # Safety
    /// `block` came from [`Spare::take`] or [`Spare::resize`] for that size, and its owner does not use it any more.
    #[inline]
    unsafe fn give(&self, block: *mut c_void, size: usize) {
        let bytes = self.bytes.get() + rounded(size);
        match self.list(size) {
            Some(list) if bytes <= SPARE_BYTES => {
                self.bytes.set(bytes);
                let block: *mut Free = block.cast();
                // SAFETY: a block has room for a pointer, is aligned for it, and is ours now.
                unsafe { block.write(Free(list.replace(block))) };
            }
            // SAFETY: all blocks are of the C library.
            _ => unsafe { libc::free(block) },
        }
    }

    /// Makes a block of `old` bytes one of `new`, both at least one, and keeps what it holds; null, and the old one stays, if
    /// there is no memory.
    ///
    /// # Safety
    /// As [`Spare::give`].
    #[inline]
    unsafe fn resize(&self, block: *mut c_void, old: usize, new: usize) -> *mut c_void {
        if rounded(old) == rounded(new) && old.max(new) <= SPARE_MAX {
            return block;
        }
        if old.max(new) > SPARE_MAX {
            let new = if new <= SPARE_MAX { rounded(new) } else { new };
            // SAFETY: all blocks are of the C library.
            return unsafe { libc::realloc(block, new) };
        }
        let moved = self.take(new);
        if !moved.is_null() {
            // SAFETY: both blocks have as many bytes, and are two different ones; `block` is given up.
            unsafe {
                ptr::copy_nonoverlapping(block.cast::<u8>(), moved.cast(), old.min(new));
                self.give(block, old);
            }
        }
        moved
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        for list in &self.heads {
            while !list.get().is_null() {
                let block = list.get();
                // SAFETY: as in `take`; all blocks are of the C library.
                unsafe {
                    list.set((*block).0);
                    libc::free(block.cast());
                }
            }
        }
    }
}

/// What a block of `size` bytes takes.
#[inline]
fn rounded(size: usize) -> usize {
    size.next_multiple_of(STEP)
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
        if old > 0 {
            // SAFETY: Lua gives the block up.
            unsafe { host.spare.give(block, old) };
        }
        return ptr::null_mut();
    }
    if new > old && host.bounded.get() && rest.saturating_add(new) > host.limit.get() {
        return ptr::null_mut();
    }
    let moved = match old {
        0 => host.spare.take(new),
        // SAFETY: Lua uses the answer instead of the block from now on.
        _ => unsafe { host.spare.resize(block, old, new) },
    };
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Fills a block with a byte, or checks that it is filled so.
    fn bytes<'a>(block: *mut c_void, len: usize) -> &'a mut [u8] {
        // SAFETY: the tests hold blocks of at least this length, and one slice of each at a time.
        unsafe { std::slice::from_raw_parts_mut(block.cast(), len) }
    }

    #[test]
    fn blocks_keep_what_they_hold_in_any_size() {
        let spare = Spare::default();
        let sizes = [1, 7, 16, 17, 48, 64, 200, 496, 511, 512, 513, 600, 5000];
        for (old, new) in sizes.iter().flat_map(|old| sizes.map(|new| (*old, new))) {
            let block = spare.take(old);
            bytes(block, old).fill(old as u8);
            // SAFETY: each block is given up once, with its size.
            unsafe {
                let block = spare.resize(block, old, new);
                assert!(bytes(block, old.min(new)).iter().all(|b| *b == old as u8), "{old} {new}");
                bytes(block, new).fill(0);
                spare.give(block, new);
            }
        }
    }

    #[test]
    #[cfg(not(feature = "system-malloc"))]
    fn a_block_is_handed_out_again_and_few_are_kept() {
        let spare = Spare::default();
        let first = spare.take(40);
        // SAFETY: each block is given up once, with its size.
        unsafe { spare.give(first, 40) };
        assert_eq!(spare.bytes.get(), 48);
        assert_eq!((spare.take(33), spare.bytes.get()), (first, 0));
        let blocks: Vec<_> = (0..2 * SPARE_BYTES / 64).map(|_| spare.take(64)).collect();
        for block in blocks {
            // SAFETY: as above.
            unsafe { spare.give(block, 64) };
        }
        assert_eq!(spare.bytes.get(), SPARE_BYTES);
        // SAFETY: as above.
        unsafe { spare.give(first, 40) };
        assert_eq!(spare.bytes.get(), SPARE_BYTES);
    }
}
