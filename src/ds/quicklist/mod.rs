//! A long list: the encoding `quicklist`.
//!
//! Its elements lie in *nodes* of a few kilobytes, each a [`Listpack`], so that an element costs two bytes beyond its text
//! and an insertion in the middle moves one node's bytes. An element that is too large for that has a node of its own.
//!
//! ```text
//!   nodes: a VecDeque   ┌──────────────┬──────────────┬──────────────┬──────────────┬──────────────┐
//!                       │ Packed   128 │ Packed   130 │ Compressed   │ Plain      1 │ Packed    17 │
//!                       │ ■            │ ■            │ ■        125 │ ■            │ ■            │
//!                       └─┼────────────┴─┼────────────┴─┼────────────┴─┼────────────┴─┼────────────┘
//!                         ▼              ▼              ▼              ▼              ▼
//!                      Listpack       Listpack      LZF bytes        Bytes         Listpack
//! ```
//!
//! The nodes are small and lie side by side. An index is found by adding up their counts from the nearer end, which for
//! ten million elements is a few hundred kilobytes read in order, and follows one pointer. What that costs is that a node
//! which comes or goes in the middle moves up to half of the others; no command does so more than a few times.
//!
//! # Limits
//!
//! [`Limits`] say when a node is full, when an element is large, and what is compressed. Which node an element is put
//! into, which nodes are split, and which are merged thereafter, follows upstream, because it shows: a list is converted
//! when it has become one small node. Only removal of elements by their text goes beyond and merges what it has
//! thinned out, in long lists.
//!
//! # Compression
//!
//! Of a list with a depth of d, the first d and the last d nodes are never compressed, and all others are, if it saves
//! anything. Reading a compressed node decompresses it to the side; changing it decompresses it in place, and
//! [`QuickList::settle`] restores the order of things.
//!
//! # Invariants
//!
//! - No node is empty, and `len` is the sum of their counts.
//! - A node's count is that of its listpack.
//! - The nodes at the ends are uncompressed.

mod edit;
mod limits;
mod node;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::ops::{ControlFlow, Range};

use bytes::Bytes;

pub use self::edit::remove_from_listpack;
pub use self::limits::Limits;
pub use self::node::{Compressed, Element, Needle, Node};

use self::node::Content;
use crate::ds::listpack::Listpack;

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Where the first element is: `LEFT`.
    Head,
    /// Where the last element is: `RIGHT`.
    Tail,
}

/// A side of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Towards the head.
    Before,
    /// Towards the tail.
    After,
}

/// A long list. See the [module](self).
#[derive(Clone, Debug)]
pub struct QuickList {
    nodes: VecDeque<Node>,
    len: usize,
    limits: Limits,
}

impl QuickList {
    /// The empty list.
    pub fn new(limits: Limits) -> QuickList {
        QuickList { nodes: VecDeque::new(), len: 0, limits }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The limits that it was created with.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The nodes, from head to tail.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = &Node> + '_ {
        self.nodes.iter()
    }

    /// Bytes allocated for it.
    pub fn mem_bytes(&self) -> usize {
        self.mem_estimate(usize::MAX)
    }

    /// Bytes allocated for it, as the first `samples` nodes let expect.
    pub fn mem_estimate(&self, samples: usize) -> usize {
        let (mut bytes, mut elements) = (0, 0);
        for node in self.nodes.iter().take(samples.max(1)) {
            bytes += node.mem_bytes();
            elements += node.count();
        }
        let unused = (self.nodes.capacity() - self.nodes.len()) * size_of::<Node>();
        let sampled =
            if elements == 0 { 0 } else { (bytes as u128 * self.len as u128 / elements as u128) as usize };
        size_of::<QuickList>() + unused + sampled
    }

    /// The elements, if they are one node that is no large element.
    pub fn as_listpack(&self) -> Option<&Listpack> {
        match self.nodes.front() {
            Some(Node::Packed { list, .. }) if self.nodes.len() == 1 => Some(list),
            _ => None,
        }
    }

    /// Takes the elements out, if they are one node that is no large element.
    pub fn take_listpack(&mut self) -> Option<Listpack> {
        self.as_listpack()?;
        self.len = 0;
        match self.nodes.pop_front() {
            Some(Node::Packed { list, .. }) => Some(list),
            _ => None,
        }
    }

    // ---- building ----

    /// Adds a whole node behind the last one, whatever its size. An empty one is dropped.
    pub fn append_listpack(&mut self, list: Listpack) {
        if !list.is_empty() {
            self.append_node(Node::packed(list));
        }
    }

    /// Adds one element behind the last one, in a node of its own.
    pub fn append_plain(&mut self, element: impl Into<Bytes>) {
        self.append_node(Node::Plain(Box::new(element.into())));
    }

    fn append_node(&mut self, node: Node) {
        self.len += node.count();
        self.nodes.push_back(node);
        self.balance();
    }

    // ---- the ends ----

    /// Adds an element at that end.
    #[inline]
    pub fn push(&mut self, end: End, element: Element<'_>) {
        self.len += 1;
        let node = match end {
            End::Head => self.nodes.front_mut(),
            End::Tail => self.nodes.back_mut(),
        };
        let length = element.len();
        if let Some(Node::Packed { count, list }) = node
            && !self.limits.is_large(length)
            && self.limits.admit(list.as_bytes().len(), *count as usize, length)
        {
            *count += 1;
            return match end {
                End::Head => list.prepend(element.value()),
                End::Tail => list.append(element.value()),
            };
        }
        self.push_node(end, Node::with(element, &self.limits));
    }

    #[inline(never)]
    fn push_node(&mut self, end: End, node: Node) {
        match end {
            End::Head => self.nodes.push_front(node),
            End::Tail => self.nodes.push_back(node),
        }
        self.balance();
    }

    /// Removes the element at that end, after it was read.
    #[inline]
    pub fn pop<R>(&mut self, end: End, read: impl FnOnce(Element<'_>) -> R) -> Option<R> {
        let node = match end {
            End::Head => self.nodes.front_mut(),
            End::Tail => self.nodes.back_mut(),
        }?;
        self.len -= 1;
        let result = match node {
            Node::Packed { count, list } => {
                let position = match end {
                    End::Head => list.first(),
                    End::Tail => list.last(),
                };
                let position = position.expect("no node is empty");
                let result = read(list.get(position).into());
                if *count > 1 {
                    *count -= 1;
                    list.delete(position);
                    return Some(result);
                }
                result
            }
            Node::Plain(block) => read(Element::Block(block)),
            Node::Compressed { .. } => unreachable!("the nodes at the ends are uncompressed"),
        };
        self.pop_node(end);
        Some(result)
    }

    #[inline(never)]
    fn pop_node(&mut self, end: End) {
        match end {
            End::Head => self.nodes.pop_front(),
            End::Tail => self.nodes.pop_back(),
        };
        self.settle(0..0);
    }

    // ---- reading ----

    /// Reads the element with that index.
    pub fn get<R>(&self, index: usize, read: impl FnOnce(Element<'_>) -> R) -> Option<R> {
        let (at, offset) = self.locate(index)?;
        self.nodes[at].read(|content| match content {
            Content::Plain(block) => Some(read(Element::Block(block))),
            Content::Packed(list) => list.seek(offset as i64).map(|position| read(list.get(position).into())),
        })
    }

    /// Visits the elements of these indexes, from head to tail, until told to break.
    pub fn visit(&self, range: Range<usize>, mut visit: impl FnMut(Element<'_>) -> ControlFlow<()>) {
        let Some((first, mut offset)) = self.locate(range.start) else { return };
        let mut left = range.len();
        for node in self.nodes.range(first..) {
            if left == 0 {
                return;
            }
            let count = left.min(node.count() - offset);
            if node.read(|content| content.visit(offset, count, &mut visit)).is_break() {
                return;
            }
            left -= count;
            offset = 0;
        }
    }

    /// Visits the elements of these indexes, from tail to head, until told to break.
    pub fn visit_back(&self, range: Range<usize>, mut visit: impl FnMut(Element<'_>) -> ControlFlow<()>) {
        let mut left = range.len().min(self.len.saturating_sub(range.start));
        let Some((last, offset)) = self.locate((range.start + left).wrapping_sub(1)) else { return };
        let mut available = offset + 1;
        for at in (0..=last).rev() {
            if left == 0 {
                return;
            }
            let count = left.min(available);
            if self.nodes[at].read(|content| content.visit_back(available - 1, count, &mut visit)).is_break()
            {
                return;
            }
            left -= count;
            available = if at > 0 { self.nodes[at - 1].count() } else { 0 };
        }
    }

    /// The node that holds the element with that index, and how many of its elements are before it.
    fn locate(&self, index: usize) -> Option<(usize, usize)> {
        if index >= self.len {
            return None;
        }
        if index <= self.len / 2 {
            let mut offset = index;
            for (at, node) in self.nodes.iter().enumerate() {
                match offset.checked_sub(node.count()) {
                    Some(rest) => offset = rest,
                    None => return Some((at, offset)),
                }
            }
        } else {
            let mut behind = self.len - index;
            for (at, node) in self.nodes.iter().enumerate().rev() {
                match node.count().checked_sub(behind) {
                    Some(offset) => return Some((at, offset)),
                    None => behind -= node.count(),
                }
            }
        }
        unreachable!("the counts of the nodes add up to the length")
    }

    // ---- order among the nodes ----

    /// Whether the node is one of those to be compressed.
    fn is_interior(&self, at: usize) -> bool {
        let depth = self.limits.depth();
        depth > 0 && at >= depth && at + depth < self.nodes.len()
    }

    /// To be called when nodes were changed, or came or went: `changed` are where they are now, as far as they are
    /// more than a step inside of the ends.
    fn settle(&mut self, changed: Range<usize>) {
        if self.nodes.len() < self.nodes.capacity() / 4 {
            self.nodes.shrink_to(self.nodes.len() * 2);
        }
        for at in changed {
            if self.is_interior(at) {
                self.nodes[at].compress();
            }
        }
        self.balance();
    }

    /// Decompresses what has come near the ends and compresses what has moved away from them.
    #[inline]
    fn balance(&mut self) {
        let depth = self.limits.depth();
        if depth > 0 {
            self.balance_at(depth);
        }
    }

    fn balance_at(&mut self, depth: usize) {
        let len = self.nodes.len();
        for at in 0..depth.min(len) {
            self.nodes[at].decompress();
            self.nodes[len - 1 - at].decompress();
        }
        // An edit adds up to two nodes, and so moves as many out of either region.
        for at in (depth..len.saturating_sub(depth)).take(2) {
            self.nodes[at].compress();
            self.nodes[len - 1 - at].compress();
        }
    }
}

impl Content<'_> {
    fn visit(
        &self,
        offset: usize,
        count: usize,
        visit: &mut impl FnMut(Element<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        match self {
            Content::Plain(block) => visit(Element::Block(block)),
            Content::Packed(list) => visit_listpack(list, offset, count, visit),
        }
    }

    fn visit_back(
        &self,
        offset: usize,
        count: usize,
        visit: &mut impl FnMut(Element<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        match self {
            Content::Plain(block) => visit(Element::Block(block)),
            Content::Packed(list) => visit_listpack_back(list, offset, count, visit),
        }
    }
}

/// Visits `count` elements of a listpack, from that index on.
#[inline]
pub fn visit_listpack(
    list: &Listpack,
    index: usize,
    count: usize,
    visit: &mut impl FnMut(Element<'_>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let Some(position) = list.seek(index as i64) else { return ControlFlow::Continue(()) };
    list.iter_from(position).take(count).try_for_each(|value| visit(value.into()))
}

/// Visits `count` elements of a listpack, from that index back.
pub fn visit_listpack_back(
    list: &Listpack,
    index: usize,
    count: usize,
    visit: &mut impl FnMut(Element<'_>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let mut next = list.seek(index as i64);
    for _ in 0..count {
        let Some(position) = next else { break };
        visit(list.get(position).into())?;
        next = list.prev(position);
    }
    ControlFlow::Continue(())
}
