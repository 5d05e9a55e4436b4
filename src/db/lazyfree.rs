//! Freeing values off the loop.
//!
//! Dropping a string takes one call of the allocator; dropping a set of ten million members takes seconds of them. So a
//! value that consists of many allocations is handed to a background thread, which drops it there. Whether that is done
//! depends on the value ([`EntryRef::free_effort`](crate::db::object::EntryRef::free_effort)) and on who asks:
//!
//! - `UNLINK`, and whatever a `lazyfree-lazy-*` directive says is to be lazy, hands over from [`LAZY_MIN`] allocations on;
//! - all others drop in the loop up to [`EAGER_MAX`], which takes about a millisecond, and hand over beyond. Upstream keeps
//!   to the loop there at any size; nobody waits for memory to be given back, so nobody misses that.
//!
//! Whole databases are always handed over, unless a transaction or script empties them. A client that asked for that to be
//! done at once (`FLUSHALL SYNC`) waits for the thread, and all others go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::db::kvstore::KvStore;
use crate::db::object::Entry;
use crate::io::bio::JobKind;
use crate::server::client::ClientId;
use crate::server::{Server, networking};

/// A lazy deletion hands over values of more allocations than this: upstream's `LAZYFREE_THRESHOLD`.
pub const LAZY_MIN: usize = 64;

/// A deletion that is not lazy hands over values of more allocations than this.
const EAGER_MAX: usize = 20_000;

/// What has been handed over: shared with the thread that frees.
#[derive(Debug, Default)]
struct Counters {
    pending: AtomicU64,
    freed: AtomicU64,
}

/// Freeing in the background.
#[derive(Debug, Default)]
pub struct LazyFree {
    counters: Arc<Counters>,
}

impl LazyFree {
    /// Keys, and values of keys, that are yet to be freed.
    pub fn pending(&self) -> u64 {
        self.counters.pending.load(Ordering::Acquire)
    }

    /// Those that were freed since the server started, or statistics were reset.
    pub fn freed(&self) -> u64 {
        self.counters.freed.load(Ordering::Acquire)
    }

    /// Forgets how many were freed.
    pub fn reset(&self) {
        self.counters.freed.store(0, Ordering::Release);
    }

    /// What drops `value`, which counts as so many objects.
    fn job<T: Send + 'static>(&self, value: T, objects: u64) -> impl FnOnce() + Send + use<T> {
        let counters = self.counters.clone();
        counters.pending.fetch_add(objects, Ordering::AcqRel);
        move || {
            drop(value);
            counters.freed.fetch_add(objects, Ordering::AcqRel);
            counters.pending.fetch_sub(objects, Ordering::AcqRel);
        }
    }
}

/// Drops an entry that is no longer in any table, `lazily` or not.
#[inline]
pub fn dispose(srv: &mut Server, entry: Entry, lazily: bool) {
    let effort = entry.view().free_effort();
    if effort > if lazily { LAZY_MIN } else { EAGER_MAX } {
        hand_over(srv, entry);
    }
}

#[cold]
fn hand_over(srv: &mut Server, entry: Entry) {
    let job = srv.lazyfree.job(entry, 1);
    srv.bio.submit(JobKind::LazyFree, job);
}

/// Drops the keys of databases in the background. The client that is named is told when that is done:
/// [`blocked::finish_flushes`](crate::db::blocked::finish_flushes).
pub fn dispose_databases(srv: &mut Server, databases: Vec<KvStore>, waits: Option<ClientId>) {
    let keys: usize = databases.iter().map(KvStore::len).sum();
    let job = srv.lazyfree.job(databases, keys as u64);
    match waits {
        Some(client) => srv.bio.submit_for(JobKind::LazyFree, networking::token_of(client).0, job),
        None => srv.bio.submit(JobKind::LazyFree, job),
    }
}

/// Drops anything else in the background, which counts as so many objects.
pub fn dispose_of<T: Send + 'static>(srv: &mut Server, value: T, objects: u64) {
    let job = srv.lazyfree.job(value, objects);
    srv.bio.submit(JobKind::LazyFree, job);
}

#[cfg(test)]
mod tests {
    use crate::server::testing::Bench;

    fn wait_until_freed(bench: &Bench) {
        while bench.srv.lazyfree.pending() > 0 {
            std::thread::yield_now();
        }
    }

    #[test]
    fn large_values_are_freed_elsewhere_and_small_ones_at_once() {
        let mut bench = Bench::new();
        let members: Vec<String> = (0..1000).map(|i| format!("member{i}")).collect();
        bench.run(&format!("SADD large {}", members.join(" ")));
        bench.run(&format!("SADD small {}", members[..50].join(" ")));
        bench.run("UNLINK small");
        assert_eq!((bench.srv.lazyfree.pending(), bench.srv.lazyfree.freed()), (0, 0));
        bench.run("UNLINK large");
        wait_until_freed(&bench);
        assert_eq!(bench.srv.lazyfree.freed(), 1);
        bench.run(&format!("SADD large {}", members.join(" ")));
        bench.run("DEL large");
        assert_eq!((bench.srv.lazyfree.pending(), bench.srv.lazyfree.freed()), (0, 1), "DEL is not lazy");
    }

    #[test]
    fn databases_count_by_their_keys() {
        let mut bench = Bench::new();
        bench.run("MSET a 1 b 2 c 3");
        assert_eq!(bench.run("FLUSHALL ASYNC"), "+OK\r\n");
        wait_until_freed(&bench);
        assert_eq!(bench.srv.lazyfree.freed(), 3);
        bench.run("MSET a 1 b 2 c 3");
        bench.run("FLUSHALL SYNC");
        assert_eq!(bench.srv.lazyfree.freed(), 3, "a client that cannot wait has it done at once");
    }
}
