//! DEBUG LISTPACK, QUICKLIST and QUICKLIST-PACKED-THRESHOLD: how lists are stored.

use std::io::Write;

use crate::db::LookupFlags;
use crate::db::object::{EntryRef, Hash, List, Set, Type, ZSet};
use crate::ds::listpack::{Listpack, Value};
use crate::ds::numbers;
use crate::ds::quicklist::{Node, QuickList};
use crate::server::{Client, CmdError, CmdResult, Server};

/// The packed threshold stays below what the length of a listpack can say.
const THRESHOLD_MAX: u64 = (1 << 32) - (1 << 20);

/// The entry of the key that is argument 2, looked up without a trace.
fn entry<'a>(srv: &'a mut Server, c: &Client) -> Result<EntryRef<'a>, CmdError> {
    let flags = LookupFlags::NO_TOUCH | LookupFlags::NO_NOTIFY | LookupFlags::NO_STATS;
    srv.lookup(c.db, c.argv.key(2), flags).ok_or(CmdError::NoSuchKey)
}

/// Standard output is where upstream prints; whether anybody reads it is not our concern.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// A listpack with its elements, one a line.
fn listpack_text(list: &Listpack) -> String {
    let mut text = format!("listpack of {} bytes, {} elements\n", list.as_bytes().len(), list.len());
    for (index, value) in list.iter().enumerate() {
        let shown = match value {
            Value::Integer(value) => format!("integer {value}"),
            Value::String(string) => format!("string \"{}\"", string.escape_ascii()),
        };
        text.push_str(&format!("  {index}: {} bytes, {shown}\n", value.element_size()));
    }
    text
}

/// The nodes of a long list, and in `full` their elements.
fn quicklist_text(list: &QuickList, full: bool) -> String {
    let limits = list.limits();
    let nodes = list.nodes().len();
    let mut text = format!(
        "quicklist of {} elements in {nodes} nodes, fill {}, depth {}\n",
        list.len(),
        limits.fill(),
        limits.depth()
    );
    for (index, node) in list.nodes().enumerate() {
        let container = if node.is_plain() { "plain" } else { "packed" };
        let stored = match node {
            Node::Compressed { block, .. } => format!(", compressed to {}", block.bytes.len()),
            _ => String::new(),
        };
        text.push_str(&format!(
            " node {index}: {container}, {} elements, {} bytes{stored}\n",
            node.count(),
            node.size()
        ));
        if full {
            text.push_str(&node.with_listpack(listpack_text).unwrap_or_default());
        }
    }
    text
}

/// `DEBUG LISTPACK key`
pub(super) fn listpack(srv: &mut Server, c: &mut Client) -> CmdResult {
    let entry = entry(srv, c)?;
    let text = match entry.value_type() {
        Type::List => match &*entry.object::<List>() {
            List::Listpack(list) => Some(listpack_text(list)),
            List::Quicklist(_) => None,
        },
        Type::Set => match &*entry.object::<Set>() {
            Set::Listpack(list) => Some(listpack_text(list)),
            Set::IntSet(_) | Set::Table(_) => None,
        },
        Type::ZSet => match &*entry.object::<ZSet>() {
            ZSet::Listpack(list) => Some(listpack_text(list)),
            ZSet::Skiplist(_) => None,
        },
        Type::Hash => entry.object::<Hash>().list().map(listpack_text),
        Type::String | Type::Stream => None,
    };
    print(&text.ok_or(CmdError::text("ERR Not a listpack encoded object."))?);
    c.out.simple("Listpack structure printed on stdout");
    Ok(())
}

/// `DEBUG QUICKLIST key [0 | 1]`
pub(super) fn quicklist(srv: &mut Server, c: &mut Client) -> CmdResult {
    const OTHER: CmdError = CmdError::text("ERR Not a quicklist encoded object.");
    let full = c.argv.len() > 3 && c.argv.int(3).is_ok_and(|n| n != 0);
    let entry = entry(srv, c)?;
    if entry.value_type() != Type::List {
        return Err(OTHER);
    }
    match &*entry.object::<List>() {
        List::Quicklist(list) => print(&quicklist_text(list, full)),
        List::Listpack(_) => return Err(OTHER),
    }
    c.out.simple("Quicklist structure printed on stdout");
    Ok(())
}

/// `DEBUG QUICKLIST-PACKED-THRESHOLD size`
pub(super) fn quicklist_packed_threshold(srv: &mut Server, c: &mut Client) -> CmdResult {
    let bytes = numbers::parse_memory(c.argv.get(2)).filter(|bytes| *bytes <= THRESHOLD_MAX);
    let bytes = bytes
        .ok_or(CmdError::text("ERR argument must be a memory value bigger than 1 and smaller than 4gb"))?;
    srv.debug.packed_threshold = bytes as usize;
    c.out.ok();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ds::quicklist::{Element, End, Limits};

    #[test]
    fn nodes_and_elements_are_shown() {
        let mut list = QuickList::new(Limits::new(2, 0));
        for text in [&b"a"[..], b"300", b"\xff"] {
            list.push(End::Tail, Element::String(text));
        }
        assert_eq!(
            quicklist_text(&list, true),
            "quicklist of 3 elements in 2 nodes, fill 2, depth 0\n \
             node 0: packed, 2 elements, 13 bytes\n\
             listpack of 13 bytes, 2 elements\n  0: 3 bytes, string \"a\"\n  1: 3 bytes, integer 300\n \
             node 1: packed, 1 elements, 10 bytes\n\
             listpack of 10 bytes, 1 elements\n  0: 3 bytes, string \"\\xff\"\n"
        );
    }
}
