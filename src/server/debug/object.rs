//! DEBUG OBJECT and DEBUG HTSTATS: how keys are stored.

use std::fmt::Write;

use crate::db::evict;
use crate::db::object::{Encoding, EntryRef, List, Type};
use crate::db::object_cmd;
use crate::ds::hashtable::Stats;
use crate::ds::lzf;
use crate::ds::numbers;
use crate::ds::quicklist::Node;
use crate::server::{Client, CmdError, CmdResult, Server};

/// Shorter strings are not worth compressing.
const COMPRESS_MIN: usize = 21;

/// Bytes of a length in an RDB file.
fn length_len(length: usize) -> usize {
    match length {
        0..0x40 => 1,
        0x40..0x4000 => 2,
        0x4000..=0xffff_ffff => 5,
        _ => 9,
    }
}

/// Bytes that a string takes in an RDB file: an integer of 8, 16 or 32 bits behind a byte that says so; or, if that
/// saves something, a byte that says so, two lengths and the compressed string; or a length and the string.
fn serialized_len(string: &[u8]) -> usize {
    // Only integers of up to 11 characters are tried.
    match numbers::parse_i64(string).filter(|_| string.len() <= 11) {
        Some(n) if i8::try_from(n).is_ok() => return 2,
        Some(n) if i16::try_from(n).is_ok() => return 3,
        Some(n) if i32::try_from(n).is_ok() => return 5,
        _ => {}
    }
    if string.len() >= COMPRESS_MIN
        && let Some(compressed) = lzf::compress(string, string.len() - 4)
    {
        return 1 + length_len(compressed.len()) + length_len(string.len()) + compressed.len();
    }
    length_len(string.len()) + string.len()
}

/// What DEBUG OBJECT shows as the serialized length: exact for strings, and for collections the memory they take, which
/// is what they come to before they are packed.
fn shown_len(entry: EntryRef<'_>) -> usize {
    match entry.value_type() {
        Type::String => serialized_len(entry.string().bytes(&mut itoa::Buffer::new())),
        _ => entry.mem_bytes(0),
    }
}

/// `DEBUG OBJECT key`
pub(super) fn object(srv: &mut Server, c: &mut Client) -> CmdResult {
    let now = evict::lru_clock(&srv.clock);
    // A key that has expired is shown as long as it is there.
    let entry = srv.dbs[c.db].keys.find(c.argv.key(2)).ok_or(CmdError::NoSuchKey)?;
    c.out.simple(&format!(
        "Value at:{:#x} refcount:{} encoding:{} serializedlength:{} lru:{} lru_seconds_idle:{}{}",
        entry.addr(),
        object_cmd::refcount(entry),
        entry.encoding().name(),
        shown_len(entry),
        entry.clock(),
        evict::idle_seconds(entry.clock(), now),
        list_details(entry)
    ));
    Ok(())
}

/// What DEBUG OBJECT says of a long list besides.
fn list_details(entry: EntryRef<'_>) -> String {
    if entry.encoding() != Encoding::Quicklist {
        return String::new();
    }
    match &*entry.object::<List>() {
        List::Listpack(_) => String::new(),
        List::Quicklist(list) => format!(
            " ql_nodes:{} ql_avg_node:{:.2} ql_listpack_max:{} ql_compressed:{} ql_uncompressed_size:{}",
            list.nodes().len(),
            list.len() as f64 / list.nodes().len() as f64,
            list.limits().fill(),
            u8::from(list.limits().depth() > 0),
            list.nodes().map(Node::size).sum::<usize>()
        ),
    }
}

/// Elements that one bucket holds without a chain.
const SLOTS_PER_BUCKET: usize = 7;

/// What the statistics of a table look like; `full` adds the distribution of its chains.
fn table_report(stats: &Stats, full: bool) -> String {
    // The table says how many elements its buckets are meant for, as upstream's size does.
    let mut text = format!(
        "Hash table 0 stats (main hash table):\n table size: {}\n number of elements: {}\n",
        stats.buckets * SLOTS_PER_BUCKET,
        stats.elements
    );
    if !full {
        return text;
    }
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        " buckets: {}\n overflow buckets: {}\n longest chain of buckets: {}\n elements by bucket: {:.2}\n \
         Elements by chain:\n",
        stats.buckets,
        stats.full_overflow + stats.short_overflow,
        stats.longest_chain,
        stats.load()
    );
    for (elements, chains) in stats.chains_by_elements.iter().enumerate().filter(|(_, chains)| **chains > 0) {
        let percent = *chains as f64 * 100.0 / stats.buckets.max(1) as f64;
        let _ = writeln!(text, "   {elements}: {chains} ({percent:.2}%)");
    }
    text
}

/// `DEBUG HTSTATS dbid [full]`
///
/// The expiries have no table of their own: the part about them tells how many of the elements have one.
pub(super) fn htstats(srv: &mut Server, c: &mut Client) -> CmdResult {
    let db = usize::try_from(c.argv.int(2)?).ok().and_then(|id| srv.dbs.get(id));
    let db = db.ok_or(CmdError::text("ERR Out of range database"))?;
    let full = c.argv.len() == 4 && c.argv.is(3, b"full");
    let stats = db.keys.table().stats();
    let expires = format!("[Expires HT]\nNo table of its own\n number of elements: {}\n", stats.marked);
    c.out.verbatim("txt", format!("[Dictionary HT]\n{}{expires}", table_report(&stats, full)).as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_in_files() {
        let cases: [(&[u8], usize); 8] = [
            (b"bar", 4),
            (b"12", 2),
            (b"-129", 3),
            (b"10000", 3),
            (b"100000", 5),
            (b"12345678901", 12),
            (b"012", 4),
            (&[b'a'; 20], 21),
        ];
        for (string, expected) in cases {
            assert_eq!(serialized_len(string), expected, "{string:?}");
        }
        for repetitive in [vec![b'a'; 21], b"abcdefghij".repeat(5), vec![b'a'; 1000]] {
            assert!((5..repetitive.len().min(32)).contains(&serialized_len(&repetitive)), "{repetitive:?}");
        }
    }
}
