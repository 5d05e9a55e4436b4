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

use crate::scripting::script::Run;

/// What belongs to a Lua state and must be found from within it.
#[derive(Debug)]
pub struct Host {
    /// Bytes that the state holds.
    used: Cell<usize>,
    /// Bytes that it may hold while Lua code runs.
    limit: usize,
    /// Whether the limit is in force.
    bounded: Cell<bool>,
    /// The script that runs; null if none does.
    run: Cell<*mut Run>,
}

impl Default for Host {
    fn default() -> Host {
        Host {
            used: Cell::new(0),
            limit: memory_limit(),
            bounded: Cell::new(false),
            run: Cell::new(ptr::null_mut()),
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

    /// The script that runs; null if none does.
    #[inline]
    pub fn run(&self) -> *mut Run {
        self.run.get()
    }

    /// Says which script runs, and which did before.
    pub fn set_run(&self, run: *mut Run) -> *mut Run {
        self.run.replace(run)
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
