//! Freeing values off the loop.
//!
//! Dropping a string takes one call of the allocator; dropping a set of ten million members takes seconds of them. So a
//! value that consists of many allocations is handed to a background thread, which drops it there. Whether that is done
//! depends on the value ([`EntryRef::free_effort`](crate::db::object::EntryRef::free_effort)) and on who asks:
//!
//! - `UNLINK`, and whatever a `lazyfree-lazy-*` directive says is to be lazy, hands over from [`LAZY_MIN`] allocations on;
//! - all others drop in the loop up to [`EAGER_MAX`], which takes about a millisecond, and hand over beyond. Upstream keeps
//!   to the loop there at any size; nobody waits for memory to be given back, so nobody misses that.

use crate::db::object::Entry;
use crate::io::bio::JobKind;
use crate::server::Server;

/// A lazy deletion hands over values of more allocations than this: upstream's `LAZYFREE_THRESHOLD`.
const LAZY_MIN: usize = 64;

/// A deletion that is not lazy hands over values of more allocations than this.
const EAGER_MAX: usize = 20_000;

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
    srv.stats.lazyfreed_objects += 1;
    srv.bio.submit(JobKind::LazyFree, move || drop(entry));
}
