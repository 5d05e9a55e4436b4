//! OBJECT: what is known of a value besides its content.

use crate::db::LookupFlags;
use crate::db::evict::{Lfu, idle_seconds, lru_clock};
use crate::db::object::{Encoding, EntryRef};
use crate::server::{Client, CmdError, CmdResult, Server};

/// Small integers are one shared object upstream; clients see that in the reference count.
const SHARED_INTEGERS: i64 = 10_000;

/// The reference count of a shared object.
const SHARED_REFCOUNT: i64 = i32::MAX as i64;

/// Replies what `show` makes of the entry of argument 2, or null.
fn show_entry(
    srv: &mut Server,
    c: &mut Client,
    show: impl FnOnce(EntryRef<'_>, &mut crate::server::Out),
) -> CmdResult {
    match srv.lookup(c.db, c.argv.key(2), LookupFlags::WRITE | LookupFlags::NO_TOUCH) {
        Some(entry) => show(entry, &mut c.out),
        None => c.out.null(),
    }
    Ok(())
}

/// `OBJECT ENCODING key`
pub fn object_encoding(srv: &mut Server, c: &mut Client) -> CmdResult {
    show_entry(srv, c, |entry, out| out.bulk(entry.encoding().name().as_bytes()))
}

/// The reference count that upstream would show.
pub fn refcount(entry: EntryRef<'_>) -> i64 {
    let shared = entry.encoding() == Encoding::Int
        && entry.string().as_int().is_some_and(|n| (0..SHARED_INTEGERS).contains(&n));
    if shared { SHARED_REFCOUNT } else { 1 }
}

/// `OBJECT REFCOUNT key`
pub fn object_refcount(srv: &mut Server, c: &mut Client) -> CmdResult {
    show_entry(srv, c, |entry, out| out.int(refcount(entry)))
}

/// `OBJECT IDLETIME key`
pub fn object_idletime(srv: &mut Server, c: &mut Client) -> CmdResult {
    if srv.config.maxmemory_policy.is_lfu() {
        if !srv.exists(c.db, c.argv.key(2)) {
            c.out.null();
            return Ok(());
        }
        return Err(CmdError::text(
            "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.",
        ));
    }
    let now = lru_clock(&srv.clock);
    show_entry(srv, c, |entry, out| out.int(i64::from(idle_seconds(entry.clock(), now))))
}

/// `OBJECT FREQ key`
pub fn object_freq(srv: &mut Server, c: &mut Client) -> CmdResult {
    if !srv.config.maxmemory_policy.is_lfu() {
        if !srv.exists(c.db, c.argv.key(2)) {
            c.out.null();
            return Ok(());
        }
        return Err(CmdError::text(
            "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.",
        ));
    }
    let lfu = Lfu::new(&srv.config, &srv.clock);
    show_entry(srv, c, |entry, out| out.int(i64::from(lfu.counter(entry.clock()))))
}

/// `OBJECT HELP`
pub fn object_help(_srv: &mut Server, c: &mut Client) -> CmdResult {
    c.out.help(
        "OBJECT",
        &[
            "ENCODING <key>",
            "    Name the representation of the value of <key>.",
            "FREQ <key>",
            "    Return the access counter of <key>, from which its frequency of use is estimated.",
            "IDLETIME <key>",
            "    Return the seconds since <key> was last read or written.",
            "REFCOUNT <key>",
            "    Return how many references there are to the value of <key>.",
        ],
    );
    Ok(())
}
