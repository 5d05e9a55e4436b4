//! The value of a stream: a log of entries, and groups of consumers who read it.
//!
//! [`Log`] keeps the entries, a hundred or so to a [node](node), the nodes in a radix tree by the id of their first entry.
//! Entries come at the end and, for the most part, go at the beginning, so the tree is small beside the nodes, and a node
//! is changed in place. [`Group`] keeps where a group of consumers is, and which entries were delivered to whom and not
//! acknowledged yet.
//!
//! ```text
//!   Stream ─▶ Body ─┬─ log ──────┬─ counters: length, last id, entries ever added, …
//!                   │            └─ Rax: id ─▶ node (listpack)
//!                   └─ groups ──── Rax: name ─▶ Group ─┬─ last id, entries read
//!                                                      ├─ consumers, and a Rax: name ─▶ consumer
//!                                                      └─ pending, by id: when, how often, to whom
//! ```
//!
//! # Why pending entries are not in a radix tree
//!
//! Upstream keeps them in two `rax`, the group's and the consumer's, that share a struct for each entry. Here both are
//! [maps of runs](idmap): the group's with what is known of each entry beside its id, a consumer's of ids alone. They are
//! searched, walked from an id on and cut at their beginning just as well, and an entry costs some 60 bytes in both together, with
//! neither an allocation of its own nor nodes of a tree, where upstream takes 90 and more.
//!
//! Nothing here knows the server. Times are given, and what is to be told (to clients, replicas, whoever listens to events) is
//! returned.

mod group;
mod id;
mod idmap;
mod log;
mod node;
#[cfg(test)]
mod tests;
mod walk;

use std::ops::{Deref, DerefMut};

use super::collection::object_type;
use super::{Collection, Encoding, Type};
use crate::ds::rax::Rax;

pub use group::{Consumer, ConsumerId, Deliveries, Group, Nack};
pub use id::{IdBytes, IdSpec, IdText, StreamId};
pub use idmap::IdMap;
pub use log::{BadNode, Counters, Log, Trim, TrimTo};
pub use node::{Fields, NewEntry, NodeCounts, NodeLimits, validate};
pub use walk::{Entries, EntriesBackward, Entry};

/// A stream, as an entry holds it.
#[derive(Debug, Clone)]
pub enum Stream {
    /// The only encoding.
    Boxed(Box<Body>),
}

object_type! { Stream: Type::Stream { Boxed(Box<Body>) = Encoding::Stream } }

/// What a stream consists of.
#[derive(Debug, Clone, Default)]
pub struct Body {
    /// The entries.
    pub log: Log,
    /// The groups, by name.
    pub groups: Groups,
}

/// Groups of consumers, by name.
pub type Groups = Rax<Box<[u8]>, Box<Group>>;

impl Stream {
    /// An empty stream.
    pub fn new() -> Stream {
        Stream::Boxed(Box::default())
    }
}

impl Default for Stream {
    fn default() -> Stream {
        Stream::new()
    }
}

impl Deref for Stream {
    type Target = Body;

    fn deref(&self) -> &Body {
        let Stream::Boxed(body) = self;
        body
    }
}

impl DerefMut for Stream {
    fn deref_mut(&mut self) -> &mut Body {
        let Stream::Boxed(body) = self;
        body
    }
}

impl Body {
    /// How many entries the group has not read yet, if that can be told.
    pub fn lag(&self, group: &Group) -> Option<i64> {
        let counters = self.log.counters();
        if counters.len == 0 {
            return Some(0);
        }
        // Nothing read of what is there, and nothing missing: all of it.
        if group.last_id < counters.first_id && counters.max_deleted_id < counters.first_id {
            return Some(counters.len as i64);
        }
        let counted = group.entries_read.filter(|_| !self.log.may_lack_entries_after(group.last_id));
        let read = counted.or_else(|| self.log.reads_up_to(group.last_id))?;
        Some(counters.added.wrapping_sub(read) as i64)
    }

    /// Adds a group, unless there is one of this name.
    pub fn create_group(&mut self, name: &[u8], last_id: StreamId, entries_read: Option<u64>) -> bool {
        if self.groups.contains(name) {
            return false;
        }
        self.groups.insert(name.into(), Box::new(Group::new(last_id, entries_read)));
        true
    }
}

impl Collection for Stream {
    fn mem_bytes(&self, samples: usize) -> usize {
        let groups: usize =
            self.groups.iter().map(|(name, group)| name.len() + group.mem_bytes(samples)).sum();
        size_of::<Body>() + self.log.mem_bytes(samples) + self.groups.mem_bytes() + groups
    }

    fn free_effort(&self) -> usize {
        let groups: usize = self.groups.iter().map(|(_, group)| group.free_effort()).sum();
        1 + self.log.node_count() + groups
    }

    fn len(&self) -> usize {
        self.log.len() as usize
    }
}
