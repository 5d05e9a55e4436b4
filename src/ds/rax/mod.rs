//! A radix tree: values by byte strings, in the order of the strings.
//!
//! The nodes of a stream are found by it, the consumer groups of a stream, and the consumers of a group. What is asked of it is
//! order (the neighbours of a key, walks from any key on, both ways), few bytes a key, and a lookup that does not compare keys
//! all the way down.
//!
//! # Shape
//!
//! A *leaf* holds a whole key and its value. A *branch* stands where keys part: it knows the index of the first byte in which
//! the keys below it differ, its *depth*, and has a child for each byte that occurs there. What the keys have in common is not
//! stored in between; it is in every leaf.
//!
//! ```text
//!   keys                                  branch, depth 2
//!   "foo"                                  │
//!   "foobar"                     "o" ┌─────┴─────┐ "t"
//!   "footer"                         │           │
//!   "fotos"               branch, depth 3      "fotos"
//!                  end ┌───────┼───────┐
//!                      │   "b" │       │ "t"
//!                    "foo"  "foobar" "footer"
//! ```
//!
//! The edges of a branch are numbers: 0 for the key that ends at its depth, 1 + b for the byte b. Its children are sorted by
//! them. So a key that is the beginning of others is no special case, and every branch has at least two children.
//!
//! A lookup looks at one byte a branch and compares one key, that of the leaf. A search for neighbours does that to learn up to
//! which byte the tree agrees with the key, and then once more, to the place where they part.
//!
//! # Costs
//!
//! With ids of 16 bytes and a pointer as value, a child is 24 bytes, whether it is a leaf or a branch, and a branch allocates
//! its children, nothing else: less than upstream's `rax` takes for its nodes of single bytes, with an allocation for a branch
//! and none for a key. Branches are few (under a branch lie up to 257 children), so the depth in branches of a large index of
//! ids is three to five, where a comparing tree has more, and a tree of one key has no allocation at all.
//!
//! Nothing recurses: keys that are beginnings of each other make a tree as deep as there are keys.
//!
//! # Upstream's count of nodes
//!
//! XINFO shows how many nodes upstream's `rax` has. There, a run of bytes that leads to a single place is a node, as is each
//! place that has several bytes or a key; a place with a key and one byte is a node together with the run behind it. That
//! number follows from this tree's shape, and changes only next to where a key comes or goes: [`Rax::node_count`] is kept up to
//! date and costs nothing to read.

mod branch;

use std::ops::Bound;

use self::branch::Branch;

#[cfg(test)]
mod tests;

/// An edge of a branch: 0 for "the key ends here", else the byte plus one.
type Edge = u16;

/// The edge to the key that ends at its branch's depth.
const END: Edge = 0;

/// Values by byte strings, in order. See the [module](self).
pub struct Rax<K, V> {
    root: Option<Node<K, V>>,
    len: usize,
    /// Nodes that upstream would have.
    upstream_nodes: usize,
    /// Bytes allocated for branches.
    branch_bytes: usize,
}

enum Node<K, V> {
    Leaf(K, V),
    Branch(Branch<K, V>),
}

// A branch takes the place of a leaf's key, and is told by the value that is none.
const _: () = assert!(size_of::<Node<[u8; 16], std::ptr::NonNull<u8>>>() == 24);

/// What upstream's nodes next to a place depend on, as far as it lies above.
#[derive(Clone, Copy)]
struct Above {
    /// Index of the first byte that the branch above does not decide.
    start: usize,
    /// Whether bytes from there on are a node of their own.
    run_is_node: bool,
}

impl Above {
    /// Above the root.
    const NOTHING: Above = Above { start: 0, run_is_node: true };

    /// Nodes that upstream has for a place at `depth` and the run of bytes that leads to it.
    fn nodes_to(self, depth: usize) -> usize {
        1 + usize::from(self.run_is_node && depth > self.start)
    }
}

/// The edge that `key` takes at `depth`.
#[inline]
fn edge(key: &[u8], depth: usize) -> Edge {
    key.get(depth).map_or(END, |&byte| Edge::from(byte) + 1)
}

/// How many bytes both begin with.
#[inline]
fn common_len(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// A direction of search.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Before,
    After,
}

impl<K: AsRef<[u8]>, V> Node<K, V> {
    /// Where the node stands: a branch at its depth, a leaf behind its key's last byte.
    fn depth(&self) -> usize {
        match self {
            Node::Leaf(key, _) => key.as_ref().len(),
            Node::Branch(branch) => branch.depth(),
        }
    }

    /// The index of the child that `key` leads to, if this is a branch, `enter` says yes to it, and there is one.
    fn index_below(&self, key: &[u8], enter: impl Fn(&Branch<K, V>) -> bool) -> Option<usize> {
        match self {
            Node::Branch(branch) if enter(branch) => branch.index_of(edge(key, branch.depth())).ok(),
            _ => None,
        }
    }

    fn child_is_leaf(&self, index: usize) -> bool {
        matches!(self, Node::Branch(branch) if matches!(branch.children()[index], Node::Leaf(..)))
    }

    /// A child of this branch, to change, and what is above it.
    fn descend(&mut self, index: usize) -> (Above, &mut Node<K, V>) {
        match self {
            Node::Branch(branch) => (branch.as_above(), &mut branch.children_mut()[index]),
            Node::Leaf(..) => unreachable!("leaves have no children"),
        }
    }

    /// The first or last leaf at or below the node.
    fn outermost(&self, side: Side) -> (&K, &V) {
        let mut node = self;
        loop {
            match node {
                Node::Leaf(key, value) => return (key, value),
                Node::Branch(branch) => {
                    let children = branch.children();
                    let child = if side == Side::Before { children.first() } else { children.last() };
                    node = child.expect("a branch has children");
                }
            }
        }
    }
}

impl<K: AsRef<[u8]>, V> Rax<K, V> {
    /// An empty tree.
    pub const fn new() -> Rax<K, V> {
        Rax { root: None, len: 0, upstream_nodes: 1, branch_bytes: 0 }
    }

    /// The number of keys.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The number of nodes that upstream's tree has for these keys.
    pub fn node_count(&self) -> usize {
        self.upstream_nodes
    }

    /// Bytes allocated for the tree itself: neither what keys and values own, nor this struct.
    pub fn mem_bytes(&self) -> usize {
        self.branch_bytes
    }

    /// The value of `key`.
    #[inline]
    pub fn get(&self, key: &[u8]) -> Option<&V> {
        let mut node = self.root.as_ref()?;
        loop {
            match node {
                Node::Leaf(own, value) => return (own.as_ref() == key).then_some(value),
                Node::Branch(branch) => node = branch.child(edge(key, branch.depth()))?,
            }
        }
    }

    /// The value of `key`, to change.
    #[inline]
    pub fn get_mut(&mut self, key: &[u8]) -> Option<&mut V> {
        let mut node = self.root.as_mut()?;
        loop {
            match node {
                Node::Leaf(own, value) => return ((*own).as_ref() == key).then_some(value),
                Node::Branch(branch) => {
                    let index = branch.index_of(edge(key, branch.depth())).ok()?;
                    node = &mut branch.children_mut()[index];
                }
            }
        }
    }

    /// Whether `key` is there.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.get(key).is_some()
    }

    /// Gives `key` a value, and returns the one it had.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let bytes = key.as_ref();
        let Some((near, _)) = self.nearest(bytes) else {
            self.upstream_nodes = Above::NOTHING.nodes_to(bytes.len());
            self.len = 1;
            self.root = Some(Node::Leaf(key, value));
            return None;
        };
        let near = near.as_ref();
        let parting = common_len(near, bytes);
        if parting == bytes.len() && parting == near.len() {
            return self.get_mut(bytes).map(|old| std::mem::replace(old, value));
        }
        self.insert_at(parting, edge(near, parting), key, value);
        self.len += 1;
        None
    }

    /// Adds a key that parts from the tree's at `depth`, where those that are nearest take the edge `other`.
    fn insert_at(&mut self, depth: usize, other: Edge, key: K, value: V) {
        let mut above = Above::NOTHING;
        let mut node = self.root.as_mut().expect("the tree is not empty");
        while let Some(index) = node.index_below(key.as_ref(), |branch| branch.depth() < depth) {
            (above, node) = node.descend(index);
        }
        let own = edge(key.as_ref(), depth);
        if let Node::Branch(branch) = node
            && branch.depth() == depth
        {
            let (nodes, bytes) = branch.add_leaf(own, key, value);
            self.upstream_nodes += nodes;
            self.branch_bytes += bytes;
            return;
        }
        self.upstream_nodes -= above.nodes_to(node.depth());
        // The key takes the same way to this place as those that were here before.
        let to_here = above.start.checked_sub(1).map_or(END, |depth| edge(key.as_ref(), depth));
        let former = std::mem::replace(node, Node::Branch(Branch::new(depth, to_here)));
        let Node::Branch(branch) = node else { unreachable!("it was just made") };
        branch.insert(other, former);
        branch.insert(own, Node::Leaf(key, value));
        self.upstream_nodes += above.nodes_to(depth) + branch.nodes_to_children();
        self.branch_bytes += branch.mem_bytes();
    }

    /// Removes `key`, and returns its value.
    pub fn remove(&mut self, key: &[u8]) -> Option<V> {
        self.remove_entry(key).map(|(_, value)| value)
    }

    /// Removes `key`, and returns it and its value.
    pub fn remove_entry(&mut self, key: &[u8]) -> Option<(K, V)> {
        self.get(key)?;
        let mut above = Above::NOTHING;
        let mut node = self.root.as_mut()?;
        while let Some(index) = node.index_below(key, |_| true) {
            if node.child_is_leaf(index) {
                break;
            }
            (above, node) = node.descend(index);
        }
        self.len -= 1;
        let Node::Branch(branch) = node else {
            // The root is the only leaf.
            self.upstream_nodes = 1;
            return self.root.take().and_then(Node::into_leaf);
        };
        self.branch_bytes -= branch.mem_bytes();
        let own = edge(key, branch.depth());
        if !branch.is_small() {
            if own != END {
                self.upstream_nodes -= branch.as_above().nodes_to(key.len());
            }
            let leaf = branch.remove(own);
            self.branch_bytes += branch.mem_bytes();
            return leaf.into_leaf();
        }
        self.upstream_nodes -= above.nodes_to(branch.depth()) + branch.nodes_to_children();
        let leaf = branch.remove(own);
        if let [_] = branch.children() {
            let mut only = branch.take_children().pop().expect("there is one");
            only.set_edge(branch.edge);
            self.upstream_nodes += above.nodes_to(only.depth());
            *node = only;
        } else {
            self.upstream_nodes += above.nodes_to(branch.depth()) + branch.nodes_to_children();
            self.branch_bytes += branch.mem_bytes();
        }
        leaf.into_leaf()
    }

    /// Removes the first key, and returns it and its value.
    pub fn pop_first(&mut self) -> Option<(K, V)>
    where
        K: Clone,
    {
        let key = self.first()?.0.clone();
        self.remove_entry(key.as_ref())
    }

    /// The first key.
    pub fn first(&self) -> Option<(&K, &V)> {
        self.root.as_ref().map(|root| root.outermost(Side::Before))
    }

    /// The last key.
    pub fn last(&self) -> Option<(&K, &V)> {
        self.root.as_ref().map(|root| root.outermost(Side::After))
    }

    /// The last key, and its value to change.
    #[inline]
    pub fn last_mut(&mut self) -> Option<(&K, &mut V)> {
        let mut node = self.root.as_mut()?;
        loop {
            match node {
                Node::Leaf(key, value) => return Some((key, value)),
                Node::Branch(branch) => {
                    node = branch.children_mut().last_mut().expect("a branch has children");
                }
            }
        }
    }

    /// The first key that is not less than `key`.
    pub fn at_or_after(&self, key: &[u8]) -> Option<(&K, &V)> {
        self.seek(key, Side::After, true)
    }

    /// The first key that is greater than `key`.
    pub fn after(&self, key: &[u8]) -> Option<(&K, &V)> {
        self.seek(key, Side::After, false)
    }

    /// The last key that is not greater than `key`.
    pub fn at_or_before(&self, key: &[u8]) -> Option<(&K, &V)> {
        self.seek(key, Side::Before, true)
    }

    /// The last key that is less than `key`.
    pub fn before(&self, key: &[u8]) -> Option<(&K, &V)> {
        self.seek(key, Side::Before, false)
    }

    /// The keys and values, in order, from both ends if need be.
    pub fn iter(&self) -> Iter<'_, K, V> {
        self.range(Bound::Unbounded, Bound::Unbounded)
    }

    /// Those from one bound to the other.
    ///
    /// A step is a search for what is next to the key at hand. So a walk may also be taken step by step with
    /// [`Rax::after`] and [`Rax::before`], and the tree be changed in between.
    pub fn range(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Iter<'_, K, V> {
        let front = match from {
            Bound::Unbounded => self.first(),
            Bound::Included(key) => self.at_or_after(key),
            Bound::Excluded(key) => self.after(key),
        };
        let back = match to {
            Bound::Unbounded => self.last(),
            Bound::Included(key) => self.at_or_before(key),
            Bound::Excluded(key) => self.before(key),
        };
        let in_order = |(front, back): &(Pair<'_, K, V>, Pair<'_, K, V>)| front.0.as_ref() <= back.0.as_ref();
        let ends = front.zip(back).filter(in_order).map(|(front, back)| [front, back]);
        Iter { rax: self, ends }
    }

    /// A leaf that agrees with `key` as far as any does.
    #[inline]
    fn nearest(&self, key: &[u8]) -> Option<(&K, &V)> {
        let mut node = self.root.as_ref()?;
        loop {
            match node {
                Node::Leaf(own, value) => return Some((own, value)),
                Node::Branch(branch) => {
                    node = branch.child(edge(key, branch.depth())).unwrap_or(&branch.children()[0]);
                }
            }
        }
    }

    /// The neighbour of `key` on one side, or the key itself if it is there and `or_equal`.
    fn seek(&self, key: &[u8], side: Side, or_equal: bool) -> Option<(&K, &V)> {
        let near = self.nearest(key)?;
        let near_key = near.0.as_ref();
        let parting = common_len(near_key, key);
        if or_equal && parting == key.len() && parting == near_key.len() {
            return Some(near);
        }
        let mut node = self.root.as_ref()?;
        // The subtree next to the path, on the side that is looked for.
        let mut beside = None;
        while let Node::Branch(branch) = node {
            if branch.depth() > parting {
                break;
            }
            let found = branch.index_of(edge(key, branch.depth()));
            let sibling = match (side, found) {
                (Side::Before, Ok(index) | Err(index)) => index.checked_sub(1),
                (Side::After, Ok(index)) => Some(index + 1),
                (Side::After, Err(index)) => Some(index),
            };
            beside = sibling.and_then(|index| branch.children().get(index)).or(beside);
            let Ok(index) = found else { return beside.map(|node| node.outermost(side.opposite())) };
            node = &branch.children()[index];
        }
        // All keys from here on down agree with `key` up to where it parts from them.
        let (own, theirs) = (edge(key, parting), edge(near_key, parting));
        let inside = if side == Side::After { own < theirs } else { own > theirs };
        if inside { Some(node) } else { beside }.map(|node| node.outermost(side.opposite()))
    }
}

impl Side {
    /// Looking after a key, the first leaf of a subtree is wanted, and vice versa.
    fn opposite(self) -> Side {
        if self == Side::Before { Side::After } else { Side::Before }
    }
}

impl<K, V> Node<K, V> {
    fn into_leaf(self) -> Option<(K, V)> {
        match self {
            Node::Leaf(key, value) => Some((key, value)),
            Node::Branch(_) => None,
        }
    }
}

impl<K: AsRef<[u8]>, V> Default for Rax<K, V> {
    fn default() -> Rax<K, V> {
        Rax::new()
    }
}

impl<K: AsRef<[u8]> + Clone, V: Clone> Clone for Rax<K, V> {
    fn clone(&self) -> Rax<K, V> {
        let mut copy = Rax::new();
        for (key, value) in self.iter() {
            copy.insert(key.clone(), value.clone());
        }
        copy
    }
}

impl<K: AsRef<[u8]> + std::fmt::Debug, V: std::fmt::Debug> std::fmt::Debug for Rax<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K, V> Drop for Rax<K, V> {
    /// Takes the tree apart without descending into it.
    fn drop(&mut self) {
        let mut rest: Vec<Node<K, V>> = Vec::new();
        rest.extend(self.root.take());
        while let Some(node) = rest.pop() {
            if let Node::Branch(mut branch) = node {
                rest.append(&mut branch.take_children());
            }
        }
    }
}

/// A key and its value.
type Pair<'a, K, V> = (&'a K, &'a V);

/// Walks over keys and values in order.
pub struct Iter<'a, K, V> {
    rax: &'a Rax<K, V>,
    /// What comes next at the front and at the back.
    ends: Option<[Pair<'a, K, V>; 2]>,
}

impl<'a, K: AsRef<[u8]>, V> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<(&'a K, &'a V)> {
        let [front, back] = self.ends.take()?;
        if !std::ptr::eq(front.0, back.0) {
            self.ends = self.rax.after(front.0.as_ref()).map(|next| [next, back]);
        }
        Some(front)
    }
}

impl<'a, K: AsRef<[u8]>, V> DoubleEndedIterator for Iter<'a, K, V> {
    fn next_back(&mut self) -> Option<(&'a K, &'a V)> {
        let [front, back] = self.ends.take()?;
        if !std::ptr::eq(front.0, back.0) {
            self.ends = self.rax.before(back.0.as_ref()).map(|next| [front, next]);
        }
        Some(back)
    }
}

impl<'a, K: AsRef<[u8]>, V> IntoIterator for &'a Rax<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Iter<'a, K, V>;

    fn into_iter(self) -> Iter<'a, K, V> {
        self.iter()
    }
}
