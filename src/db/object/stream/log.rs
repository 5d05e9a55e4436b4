//! The entries of a stream, and what is counted of them.

use super::id::{IdBytes, IdSpec, StreamId};
use super::node::{self, NewEntry, NodeLimits, NodeRef};
use super::walk::{Entries, EntriesBackward, Entry};
use crate::ds::listpack::{Listpack, Position};
use crate::ds::rax::Rax;

/// The entries of a stream, ordered by their ids.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// Nodes, by the id of their first entry.
    pub(super) nodes: Rax<IdBytes, Listpack>,
    counters: Counters,
}

/// What a stream remembers besides its entries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Entries that are there.
    pub len: u64,
    /// The greatest id an entry ever had, or that was set; new ones are greater.
    pub last_id: StreamId,
    /// The id of the first entry; `0-0` if there is none.
    pub first_id: StreamId,
    /// The greatest id of those that were deleted one by one.
    pub max_deleted_id: StreamId,
    /// Entries that were ever added.
    pub added: u64,
}

/// What is to be cut off the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trim {
    /// Up to where.
    pub to: TrimTo,
    /// Whether only whole nodes go.
    pub whole_nodes: bool,
    /// No more entries than this go; 0 for any number.
    pub limit: u64,
}

/// Where a trimmed stream begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrimTo {
    /// So many entries from its end.
    Len(u64),
    /// At this id.
    Id(StreamId),
}

/// Bytes that are no node of this stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadNode {
    /// They are not in the format.
    Format,
    /// The id is that of another node, or less.
    Order,
}

impl Log {
    /// What is counted.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Number of entries.
    pub fn len(&self) -> u64 {
        self.counters.len
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.counters.len == 0
    }

    /// The greatest id so far.
    pub fn last_id(&self) -> StreamId {
        self.counters.last_id
    }

    /// Number of nodes.
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// Number of nodes that upstream's radix tree would have over them.
    pub fn tree_node_count(&self) -> usize {
        self.nodes.node_count()
    }

    /// The id of the next entry, if it may be what is asked for.
    pub fn next_id(&self, spec: IdSpec, now_ms: u64) -> Option<StreamId> {
        let last = self.counters.last_id;
        let id = match spec {
            IdSpec::Auto if now_ms > last.ms => StreamId::new(now_ms, 0),
            IdSpec::Auto => last.next()?,
            IdSpec::AutoSeq(ms) if ms == last.ms => StreamId::new(ms, last.seq.checked_add(1)?),
            IdSpec::AutoSeq(ms) => StreamId::new(ms, 0),
            IdSpec::Given(id) => id,
        };
        (id > last).then_some(id)
    }

    /// Adds an entry. Its id is from [`Log::next_id`], and it is not too large.
    pub fn append<'a>(
        &mut self,
        id: StreamId,
        entry: &NewEntry<impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])> + Clone>,
        limits: NodeLimits,
    ) {
        debug_assert!(id > self.counters.last_id && !entry.is_too_large());
        match self.nodes.last_mut() {
            Some((base, last)) if limits.fits(last, entry.bytes()) => {
                node::append(last, StreamId::from_bytes(base), id, entry);
            }
            _ => {
                self.nodes.insert(id.to_bytes(), node::create(entry));
            }
        }
        let counters = &mut self.counters;
        counters.len += 1;
        // A file may have said anything.
        counters.added = counters.added.wrapping_add(1);
        counters.last_id = id;
        if counters.len == 1 {
            counters.first_id = id;
        }
    }

    /// The entries from one id to another, both included.
    pub fn range(&self, from: StreamId, to: StreamId) -> Entries<'_> {
        Entries::new(self, from, to)
    }

    /// The same entries, the last one first.
    pub fn range_backward(&self, from: StreamId, to: StreamId) -> EntriesBackward<'_> {
        EntriesBackward::new(self, from, to)
    }

    /// The entry with that id.
    pub fn get(&self, id: StreamId) -> Option<Entry<'_>> {
        let (_, node) = self.node_of(id)?;
        let found = node.find(id)?;
        (!found.deleted).then_some(Entry { id, fields: found.fields })
    }

    /// The id of the last entry that is there.
    pub fn last_entry_id(&self) -> Option<StreamId> {
        self.range_backward(StreamId::MIN, StreamId::MAX).next().map(|entry| entry.id)
    }

    /// The first id of all that are in nodes, deleted ones included; the greatest of all ids if there is none.
    pub fn first_stored_id(&self) -> StreamId {
        let stored = self.nodes.first().and_then(|(base, node)| {
            let node = NodeRef::new(node, StreamId::from_bytes(base));
            node.first.map(|at| node.read(at).0.id)
        });
        stored.unwrap_or(StreamId::MAX)
    }

    /// The node that holds the id, if any does.
    fn node_of(&self, id: StreamId) -> Option<(IdBytes, NodeRef<'_>)> {
        let (base, node) = self.nodes.at_or_before(&id.to_bytes())?;
        Some((*base, NodeRef::new(node, StreamId::from_bytes(base))))
    }

    /// Deletes the entries with these ids; returns how many there were.
    pub fn delete(&mut self, ids: &[StreamId]) -> usize {
        let deleted = ids.iter().filter(|&&id| self.delete_one(id)).count();
        if deleted > 0 {
            self.refresh_first();
        }
        deleted
    }

    fn delete_one(&mut self, id: StreamId) -> bool {
        let Some((base, node)) = self.node_of(id) else { return false };
        let Some(found) = node.find(id).filter(|found| !found.deleted) else { return false };
        let at = found.at;
        let node = self.nodes.get_mut(&base).expect("the node was just found");
        if node::counts(node).0 == 1 {
            self.nodes.remove(&base);
        } else {
            node::mark_deleted(node, &[at]);
        }
        self.counters.len -= 1;
        self.counters.max_deleted_id = self.counters.max_deleted_id.max(id);
        true
    }

    /// Cuts off what is asked for; returns how many entries went.
    pub fn trim(&mut self, trim: Trim) -> u64 {
        let mut deleted = 0;
        while let Some((&base, node)) = self.nodes.first() {
            let len = self.counters.len;
            if matches!(trim.to, TrimTo::Len(to) if len <= to) {
                break;
            }
            let live = node::counts(node).0 as u64;
            if trim.limit > 0 && deleted + live > trim.limit {
                break;
            }
            let node = NodeRef::new(node, StreamId::from_bytes(&base));
            let whole = match trim.to {
                TrimTo::Len(to) => len.saturating_sub(live) >= to,
                TrimTo::Id(to) => node.last_id().is_none_or(|last| last < to),
            };
            if whole {
                self.nodes.remove(&base);
                self.counters.len = len.saturating_sub(live);
                deleted += live;
                continue;
            }
            if !trim.whole_nodes {
                let cut = self.entries_to_cut(&node, trim.to);
                let node = self.nodes.get_mut(&base).expect("it is the first");
                node::mark_deleted(node, &cut);
                self.counters.len = len.saturating_sub(cut.len() as u64);
                deleted += cut.len() as u64;
            }
            break;
        }
        if deleted > 0 {
            self.refresh_first();
        }
        deleted
    }

    /// The entries of the first node that are there and to be deleted.
    fn entries_to_cut(&self, node: &NodeRef<'_>, to: TrimTo) -> Vec<Position> {
        let mut cut = Vec::new();
        let mut next = node.first;
        while let Some(at) = next {
            let (found, behind) = node.read(at);
            let done = match to {
                TrimTo::Len(to) => self.counters.len - cut.len() as u64 <= to,
                TrimTo::Id(to) => found.id >= to,
            };
            if done {
                break;
            }
            if !found.deleted {
                cut.push(at);
            }
            next = behind;
        }
        cut
    }

    fn refresh_first(&mut self) {
        let first = self.range(StreamId::MIN, StreamId::MAX).next().map(|entry| entry.id);
        self.counters.first_id = first.unwrap_or(StreamId::MIN);
    }

    /// Sets the counters that XSETID sets; the others stay.
    pub fn set_counters(&mut self, last_id: StreamId, added: Option<u64>, max_deleted_id: Option<StreamId>) {
        self.counters.last_id = last_id;
        self.counters.added = added.unwrap_or(self.counters.added);
        self.counters.max_deleted_id = max_deleted_id.unwrap_or(self.counters.max_deleted_id);
    }

    /// Whether an entry behind `id` may have been deleted, so that what comes after it cannot be counted.
    pub fn may_lack_entries_after(&self, id: StreamId) -> bool {
        let counters = &self.counters;
        counters.len > 0 && counters.max_deleted_id != StreamId::MIN && id <= counters.max_deleted_id
    }

    /// How many of the entries ever added have an id up to this one, if that can be told without counting.
    pub fn reads_up_to(&self, id: StreamId) -> Option<u64> {
        let counters = &self.counters;
        if counters.added == 0 {
            return Some(0);
        }
        if counters.len == 0 && id <= counters.last_id {
            return Some(counters.added);
        }
        if id != StreamId::MIN && id < counters.max_deleted_id {
            return None;
        }
        if id >= counters.last_id {
            return (id == counters.last_id).then_some(counters.added);
        }
        // What was cut off the beginning was read by everyone; what was deleted behind it is not known.
        let before_first = counters.added.wrapping_sub(counters.len);
        let unbroken =
            counters.max_deleted_id == StreamId::MIN || counters.max_deleted_id < counters.first_id;
        match id.cmp(&counters.first_id) {
            _ if !unbroken => None,
            std::cmp::Ordering::Less => Some(before_first),
            std::cmp::Ordering::Equal => Some(before_first.wrapping_add(1)),
            std::cmp::Ordering::Greater => None,
        }
    }

    /// Adds a node from a file or a `RESTORE` behind the others; its first entry is counted from `base`. The counters follow
    /// with [`Log::restore_counters`].
    ///
    /// # Errors
    /// [`BadNode`], and nothing is added.
    pub fn restore_node(&mut self, base: StreamId, bytes: &[u8]) -> Result<(), BadNode> {
        let counts = node::validate(bytes).ok_or(BadNode::Format)?;
        let node = Listpack::from_checked(bytes).ok_or(BadNode::Format)?;
        if self.nodes.last().is_some_and(|(last, _)| StreamId::from_bytes(last) >= base) {
            return Err(BadNode::Order);
        }
        self.nodes.insert(base.to_bytes(), node);
        self.counters.len += counts.live;
        Ok(())
    }

    /// Takes the counters that came with restored nodes; `false` if they cannot be theirs.
    pub fn restore_counters(&mut self, counters: Counters) -> bool {
        let own = counters.len == self.counters.len;
        if own {
            self.counters = counters;
        }
        own
    }

    /// The nodes with their ids, as they go to files.
    pub fn nodes(&self) -> impl Iterator<Item = (StreamId, &[u8])> {
        self.nodes.iter().map(|(base, node)| (StreamId::from_bytes(base), node.as_bytes()))
    }

    /// Bytes of memory, from the size of `samples` nodes, or of all with 0.
    pub fn mem_bytes(&self, samples: usize) -> usize {
        let count = self.nodes.len();
        let looked_at = if samples == 0 { count } else { samples.min(count) };
        let sample: usize = self.nodes.iter().take(looked_at).map(|(_, node)| node.capacity()).sum();
        // The last node is still growing, and not like the others.
        let last = self.nodes.last().filter(|_| looked_at < count).map_or(0, |(_, node)| node.capacity());
        let others = if looked_at < count { sample / looked_at * (count - 1) } else { sample };
        self.nodes.mem_bytes() + others + last
    }
}
