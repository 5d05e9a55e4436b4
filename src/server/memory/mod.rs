//! The MEMORY command: where memory goes, in numbers and in words.
//!
//! `overview.rs` puts the numbers together that INFO shows as well; `allocator.rs` asks the allocator.

pub mod allocator;
mod doctor;
mod overview;

use crate::db::LookupFlags;
use crate::server::{Client, CmdError, CmdResult, Out, Server};

pub use doctor::memory_doctor;
pub use overview::{DbOverhead, Overhead, Overview, process_rss, system_memory};

const HELP: &[&str] = &[
    "DOCTOR",
    "    Explain in words what is odd about the memory in use.",
    "MALLOC-STATS",
    "    Show what the allocator tells of itself.",
    "PURGE",
    "    Have the allocator give unused pages back to the system.",
    "STATS",
    "    Show where memory goes.",
    "USAGE <key> [SAMPLES <count>]",
    "    Tell how many bytes <key> and its value take. Of a collection, <count> elements",
    "    are looked at and taken for typical (default: 5, 0 means all).",
];

/// `MEMORY HELP`
pub fn memory_help(_srv: &mut Server, c: &mut Client) -> CmdResult {
    c.out.help("MEMORY", HELP);
    Ok(())
}

/// `MEMORY MALLOC-STATS`
pub fn memory_malloc_stats(_srv: &mut Server, c: &mut Client) -> CmdResult {
    c.out.verbatim("txt", allocator::report().as_bytes());
    Ok(())
}

/// `MEMORY PURGE`
pub fn memory_purge(_srv: &mut Server, c: &mut Client) -> CmdResult {
    if allocator::IS_JEMALLOC && allocator::purge().is_err() {
        return Err(CmdError::text("ERR Error purging dirty pages"));
    }
    c.out.ok();
    Ok(())
}

/// Elements of a collection that are measured when SAMPLES does not say how many.
const DEFAULT_SAMPLES: usize = 5;

/// `MEMORY USAGE key [SAMPLES count]`
///
/// Counts the entry with what it points at, but not its slot in the table.
pub fn memory_usage(srv: &mut Server, c: &mut Client) -> CmdResult {
    let (mut samples, mut i) = (DEFAULT_SAMPLES, 3);
    while i < c.argv.len() {
        if !c.argv.is(i, b"samples") || i + 1 == c.argv.len() {
            return Err(CmdError::Syntax);
        }
        samples = usize::try_from(c.argv.int(i + 1)?).map_err(|_| CmdError::Syntax)?;
        i += 2;
    }
    let flags = LookupFlags::NO_TOUCH | LookupFlags::NO_NOTIFY | LookupFlags::NO_STATS;
    match srv.lookup(c.db, c.argv.key(2), flags) {
        Some(entry) => c.out.count(entry.mem_bytes(samples)),
        None => c.out.null(),
    }
    Ok(())
}

/// A value in the reply of MEMORY STATS.
enum Stat {
    Bytes(usize),
    Difference(i64),
    Ratio(f64),
    Db(DbOverhead),
}

impl Stat {
    fn reply(self, out: &mut Out) {
        match self {
            Stat::Bytes(n) => out.count(n),
            Stat::Difference(n) => out.int(n),
            Stat::Ratio(ratio) => out.double(ratio),
            Stat::Db(db) => {
                out.map(2);
                out.bulk(b"overhead.hashtable.main");
                out.count(db.table);
                out.bulk(b"overhead.hashtable.expires");
                out.count(0);
            }
        }
    }
}

/// What MEMORY STATS answers. Parts that this server does not have take no memory.
fn stats(overview: &Overview) -> Vec<(String, Stat)> {
    use Stat::{Bytes, Difference, Ratio};
    let mut stats = vec![
        ("peak.allocated".into(), Bytes(overview.peak)),
        ("total.allocated".into(), Bytes(overview.used)),
        ("startup.allocated".into(), Bytes(overview.startup)),
        ("replication.backlog".into(), Bytes(0)),
        ("replica.fullsync.buffer".into(), Bytes(0)),
        ("clients.slaves".into(), Bytes(0)),
        ("clients.normal".into(), Bytes(overview.clients)),
        ("cluster.links".into(), Bytes(0)),
        ("aof.buffer".into(), Bytes(0)),
        ("lua.caches".into(), Bytes(overview.script_cache)),
        ("functions.caches".into(), Bytes(overview.functions)),
        ("script.VMs".into(), Bytes(overview.script_engines)),
    ];
    stats.extend(overview.dbs.iter().map(|db| (format!("db.{}", db.id), Stat::Db(*db))));
    let (fragmentation, rss) = (overview.allocator_fragmentation(), overview.allocator_rss());
    let (beyond, total) = (overview.rss_overhead(), overview.fragmentation());
    stats.extend([
        ("overhead.db.hashtable.lut".into(), Bytes(overview.tables())),
        ("overhead.db.hashtable.rehashing".into(), Bytes(0)),
        ("overhead.total".into(), Bytes(overview.overhead())),
        ("db.dict.rehashing.count".into(), Bytes(0)),
        ("keys.count".into(), Bytes(overview.keys)),
        ("keys.bytes-per-key".into(), Bytes(overview.bytes_per_key())),
        ("dataset.bytes".into(), Bytes(overview.dataset())),
        ("dataset.percentage".into(), Ratio(overview.dataset_percent())),
        ("peak.percentage".into(), Ratio(overview.peak_percent())),
        ("allocator.allocated".into(), Bytes(overview.allocator.allocated)),
        ("allocator.active".into(), Bytes(overview.allocator.active)),
        ("allocator.resident".into(), Bytes(overview.allocator.resident)),
        ("allocator.muzzy".into(), Bytes(overview.allocator.muzzy)),
        ("allocator-fragmentation.ratio".into(), Ratio(fragmentation.ratio)),
        ("allocator-fragmentation.bytes".into(), Difference(fragmentation.bytes)),
        ("allocator-rss.ratio".into(), Ratio(rss.ratio)),
        ("allocator-rss.bytes".into(), Difference(rss.bytes)),
        ("rss-overhead.ratio".into(), Ratio(beyond.ratio)),
        ("rss-overhead.bytes".into(), Difference(beyond.bytes)),
        ("fragmentation".into(), Ratio(total.ratio)),
        ("fragmentation.bytes".into(), Difference(total.bytes)),
    ]);
    stats
}

/// `MEMORY STATS`
pub fn memory_stats(srv: &mut Server, c: &mut Client) -> CmdResult {
    let stats = stats(&Overview::of(srv, Some(c)));
    c.out.map(stats.len());
    for (name, stat) in stats {
        c.out.bulk(name.as_bytes());
        stat.reply(&mut c.out);
    }
    Ok(())
}
