//! Walks over the entries of a stream.

use super::id::{IdBytes, StreamId};
use super::log::Log;
use super::node::{Fields, NodeRef};
use crate::ds::listpack::{Listpack, Position};
use crate::ds::rax::Rax;

/// An entry.
#[derive(Clone)]
pub struct Entry<'a> {
    /// Its id.
    pub id: StreamId,
    /// Its fields.
    pub fields: Fields<'a>,
}

/// The entries of a range in order.
pub struct Entries<'a> {
    nodes: &'a Rax<IdBytes, Listpack>,
    /// The node at hand, if the walk is not over.
    node: Option<NodeRef<'a>>,
    /// What comes next in it.
    at: Option<Position>,
    from: StreamId,
    to: StreamId,
}

impl<'a> Entries<'a> {
    pub(super) fn new(log: &'a Log, from: StreamId, to: StreamId) -> Entries<'a> {
        let nodes = &log.nodes;
        let first = nodes.at_or_before(&from.to_bytes()).or_else(|| nodes.first());
        let node =
            first.filter(|_| from <= to).map(|(base, node)| NodeRef::new(node, StreamId::from_bytes(base)));
        Entries { nodes, node, at: node.and_then(|node| node.first), from, to }
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            let node = self.node?;
            let Some(at) = self.at else {
                let next = self.nodes.after(&node.base.to_bytes());
                self.node = next.map(|(base, node)| NodeRef::new(node, StreamId::from_bytes(base)));
                self.at = self.node.and_then(|node| node.first);
                continue;
            };
            let (found, behind) = node.read(at);
            self.at = behind;
            if found.deleted || found.id < self.from {
                continue;
            }
            if found.id > self.to {
                self.node = None;
                return None;
            }
            return Some(Entry { id: found.id, fields: found.fields });
        }
    }
}

/// The entries of a range, the last one first.
pub struct EntriesBackward<'a> {
    nodes: &'a Rax<IdBytes, Listpack>,
    /// The node at hand, if the walk is not over.
    node: Option<NodeRef<'a>>,
    /// What comes next in it.
    at: Option<Position>,
    from: StreamId,
    to: StreamId,
}

impl<'a> EntriesBackward<'a> {
    pub(super) fn new(log: &'a Log, from: StreamId, to: StreamId) -> EntriesBackward<'a> {
        let nodes = &log.nodes;
        let last = nodes.at_or_before(&to.to_bytes()).filter(|_| from <= to);
        let node = last.map(|(base, node)| NodeRef::new(node, StreamId::from_bytes(base)));
        EntriesBackward { nodes, node, at: node.and_then(|node| node.last()), from, to }
    }
}

impl<'a> Iterator for EntriesBackward<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            let node = self.node?;
            let Some(at) = self.at else {
                let before = self.nodes.before(&node.base.to_bytes());
                self.node = before.map(|(base, node)| NodeRef::new(node, StreamId::from_bytes(base)));
                self.at = self.node.and_then(|node| node.last());
                continue;
            };
            let (found, _) = node.read(at);
            self.at = node.previous(at);
            if found.deleted || found.id > self.to {
                continue;
            }
            if found.id < self.from {
                self.node = None;
                return None;
            }
            return Some(Entry { id: found.id, fields: found.fields });
        }
    }
}
