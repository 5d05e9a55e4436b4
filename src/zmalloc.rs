//! The allocator: jemalloc, asked for exactly what a type needs, and the count of what it gave.
//!
//! jemalloc is built with 8-byte size-class steps (see `.cargo/config.toml`), so `malloc(24)` may return memory
//! that is aligned to 8 bytes only. The ready-made allocator crates assume 16; [`Jemalloc`] therefore states every
//! alignment above 8 in the call.
//!
//! `used_memory` is the sum of *usable* sizes (the size class, not the request), as upstream reports it. jemalloc
//! keeps two counters a thread, bytes ever allocated and bytes ever freed, and hands out their addresses; reading
//! them costs two loads and nothing on the way of an allocation. The event loop's thread reads its own pair;
//! background threads publish theirs in [`publish_thread`] after each job.
//!
//! With the `system-malloc` feature (sanitizers), the system's allocator is used and memory is not counted.

use std::sync::atomic::{AtomicI64, Ordering};

/// Net bytes that background threads have allocated (negative once they free what the loop allocated).
static OTHER_THREADS: AtomicI64 = AtomicI64::new(0);

/// The name and version of the allocator, as INFO shows it in `mem_allocator`.
pub fn allocator_name() -> &'static str {
    if cfg!(feature = "system-malloc") { "libc" } else { "jemalloc-5.3.1" }
}

#[cfg(not(feature = "system-malloc"))]
mod jemalloc {
    use std::alloc::{GlobalAlloc, Layout};
    use std::ffi::c_int;

    use tikv_jemalloc_sys as ffi;

    /// Largest alignment that every size class of this build keeps without being asked.
    const QUANTUM: usize = 8;

    /// jemalloc as the global allocator.
    pub struct Jemalloc;

    /// The `flags` argument of the `*allocx` calls for `layout`.
    fn flags(layout: Layout) -> c_int {
        if layout.align() <= QUANTUM { 0 } else { ffi::MALLOCX_ALIGN(layout.align()) }
    }

    // SAFETY: the four methods forward to jemalloc's sized interface with the layout's own size and alignment;
    // `dealloc` and `realloc` pass the same flags the block was allocated with, because flags depend on the
    // alignment alone, which a reallocation keeps.
    unsafe impl GlobalAlloc for Jemalloc {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            // SAFETY: the caller promises a non-zero size.
            unsafe {
                match flags(layout) {
                    0 => ffi::malloc(layout.size()).cast(),
                    flags => ffi::mallocx(layout.size(), flags).cast(),
                }
            }
        }

        unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
            // SAFETY: as above.
            unsafe {
                match flags(layout) {
                    0 => ffi::calloc(1, layout.size()).cast(),
                    flags => ffi::mallocx(layout.size(), flags | ffi::MALLOCX_ZERO).cast(),
                }
            }
        }

        unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
            // SAFETY: `ptr` came from `alloc` with the same layout.
            unsafe { ffi::sdallocx(ptr.cast(), layout.size(), flags(layout)) }
        }

        unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
            // SAFETY: as above, and `new_size` is not zero.
            unsafe { ffi::rallocx(ptr.cast(), new_size, flags(layout)).cast() }
        }
    }

    /// Sizes up to this one are a matter of arithmetic; of greater ones jemalloc's options have a say.
    const COMPUTED_MAX: usize = 32 * 1024;

    /// The size class a request of `size` bytes with alignment of at most 8 falls into: a multiple of 8 up to 64, then
    /// one of four steps to each doubling.
    #[inline]
    pub fn good_size(size: usize) -> usize {
        match size {
            0 => 0,
            1..=64 => size.next_multiple_of(QUANTUM),
            65..=COMPUTED_MAX => size.next_multiple_of(1 << (size - 1).ilog2() >> 2),
            _ => asked_size(size),
        }
    }

    /// The size class as jemalloc names it.
    #[cold]
    pub(super) fn asked_size(size: usize) -> usize {
        // SAFETY: `nallocx` is a pure function of a non-zero size.
        unsafe { ffi::nallocx(size, 0) }
    }
}

#[cfg(not(feature = "system-malloc"))]
pub use jemalloc::{Jemalloc, good_size};

#[cfg(not(feature = "system-malloc"))]
#[global_allocator]
static GLOBAL: Jemalloc = Jemalloc;

/// The size class of a request; the system's allocator rounds to 16 and keeps a word for itself.
#[cfg(feature = "system-malloc")]
pub fn good_size(size: usize) -> usize {
    if size == 0 { 0 } else { (size + 8).next_multiple_of(16) }
}

/// Net usable bytes that this thread holds.
#[cfg(not(feature = "system-malloc"))]
fn thread_net() -> i64 {
    use tikv_jemalloc_ctl::thread::{ThreadLocal, allocatedp, deallocatedp};
    thread_local! {
        static COUNTERS: Option<(ThreadLocal<u64>, ThreadLocal<u64>)> =
            allocatedp::read().ok().zip(deallocatedp::read().ok());
    }
    COUNTERS.with(|c| c.as_ref().map_or(0, |(got, freed)| got.get().wrapping_sub(freed.get()) as i64))
}

#[cfg(feature = "system-malloc")]
fn thread_net() -> i64 {
    0
}

/// Usable bytes that the process has allocated and not freed, as seen from the event loop's thread.
pub fn used_memory() -> usize {
    thread_net().saturating_add(OTHER_THREADS.load(Ordering::Relaxed)).max(0) as usize
}

/// What a background thread has published so far; starts at the thread's own net at its creation.
#[derive(Debug, Default)]
pub struct ThreadAccount(i64);

/// Publishes the calling background thread's share since the last call, so that [`used_memory`] includes it.
pub fn publish_thread(account: &mut ThreadAccount) {
    let net = thread_net();
    OTHER_THREADS.fetch_add(net - account.0, Ordering::Relaxed);
    account.0 = net;
}

#[cfg(all(test, not(feature = "system-malloc")))]
mod tests {
    use super::*;

    #[test]
    fn counts_usable_bytes_of_this_thread() {
        let before = thread_net();
        let block = vec![1u8; 100_000];
        let grown = thread_net() - before;
        assert!((100_000..140_000).contains(&grown), "{grown}");
        drop(block);
        assert!(thread_net() - before < 100_000);
    }

    #[test]
    fn size_classes_are_those_of_the_allocator() {
        assert_eq!((good_size(0), good_size(1), good_size(33)), (0, 8, 40));
        for size in 1..=64 * 1024 {
            assert_eq!(good_size(size), jemalloc::asked_size(size), "{size}");
        }
    }

    #[test]
    fn wide_alignments_are_kept() {
        #[repr(align(64))]
        struct Line([u8; 24]);
        for _ in 0..100 {
            let line = Box::new(Line([0; 24]));
            assert_eq!((&raw const *line).addr() % 64, 0);
            assert_eq!(line.0[0], 0);
            let wide = Box::new([0u128; 3]);
            assert_eq!((&raw const *wide).addr() % 16, 0);
        }
    }
}
