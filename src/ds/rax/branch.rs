//! Where keys part: a depth, and a child for each byte that occurs there.
//!
//! Many branches of a stream's index are small: ids of one millisecond part in their last two bytes, a few of them below
//! each. So a branch is part of the child that it is, in the room where a leaf has its key, and owns one allocation, of its
//! children alone, that is as long as they are. Keys come once in a hundred entries, so that this may grow by one each time.
//!
//! ```text
//!   a child that is a leaf     │ key, 16 bytes                          │ value │
//!   a child that is a branch   │ children ──▶ │ depth │ number │ edge   │ none  │
//! ```
//!
//! The edges, by which children are found, are what children know themselves: a leaf has its key, and a branch keeps the edge
//! that leads to it.
//!
//! # Unsafe code
//!
//! The children are a boxed slice, taken apart so that its length takes two bytes. What is kept true:
//!
//! - `children` and `len` are those of a `Box<[Node<K, V>]>` that this branch alone owns.

use std::ptr::NonNull;

use super::{Above, END, Edge, Node, edge};

/// Where keys part. See the [module](self).
pub(super) struct Branch<K, V> {
    children: NonNull<Node<K, V>>,
    depth: u32,
    len: u16,
    /// The edge that leads here.
    pub edge: Edge,
}

// SAFETY: a branch owns its children, as a box would.
unsafe impl<K: Send, V: Send> Send for Branch<K, V> {}
// SAFETY: a shared branch gives out nothing but shared children.
unsafe impl<K: Sync, V: Sync> Sync for Branch<K, V> {}

impl<K, V> Branch<K, V> {
    /// One without children yet, that an edge leads to.
    pub fn new(depth: usize, edge: Edge) -> Branch<K, V> {
        let depth = u32::try_from(depth).expect("a key is shorter than 4 GiB");
        Branch { children: NonNull::dangling(), depth, len: 0, edge }
    }

    /// Index of the byte in which the keys below differ.
    #[inline]
    pub fn depth(&self) -> usize {
        self.depth as usize
    }

    /// The children, by ascending edges.
    #[inline]
    pub fn children(&self) -> &[Node<K, V>] {
        // SAFETY: so many are there, and borrowed with the branch.
        unsafe { NonNull::slice_from_raw_parts(self.children, self.len.into()).as_ref() }
    }

    /// The children, to change.
    #[inline]
    pub fn children_mut(&mut self) -> &mut [Node<K, V>] {
        // SAFETY: so many are there, and borrowed with the branch.
        unsafe { NonNull::slice_from_raw_parts(self.children, self.len.into()).as_mut() }
    }

    /// Takes all children out.
    pub fn take_children(&mut self) -> Vec<Node<K, V>> {
        let children = NonNull::slice_from_raw_parts(self.children, self.len.into());
        (self.children, self.len) = (NonNull::dangling(), 0);
        // SAFETY: both are of a box, which from here on is not this branch's any more.
        unsafe { Box::from_raw(children.as_ptr()) }.into_vec()
    }

    /// Puts children in, where there are none.
    fn put_children(&mut self, children: Vec<Node<K, V>>) {
        debug_assert!(self.len == 0);
        self.len = children.len().try_into().expect("there are not more edges than bytes, and the end");
        self.children = NonNull::from(Box::leak(children.into_boxed_slice())).cast();
    }

    /// Whether the arrival or departure of a child may change what [`Branch::as_above`] says.
    pub fn is_small(&self) -> bool {
        self.len <= 3
    }

    /// Bytes allocated.
    pub fn mem_bytes(&self) -> usize {
        size_of_val(self.children())
    }
}

impl<K, V> Drop for Branch<K, V> {
    fn drop(&mut self) {
        self.take_children();
    }
}

impl<K: AsRef<[u8]>, V> Branch<K, V> {
    /// The index of the child that an edge leads to, or where it would be.
    #[inline]
    pub fn index_of(&self, edge: Edge) -> Result<usize, usize> {
        let depth = self.depth();
        self.children().binary_search_by_key(&edge, |child| child.edge(depth))
    }

    /// The child that an edge leads to.
    #[inline]
    pub fn child(&self, edge: Edge) -> Option<&Node<K, V>> {
        self.index_of(edge).ok().map(|index| &self.children()[index])
    }

    /// Adds a child that an edge leads to.
    pub fn insert(&mut self, edge: Edge, mut child: Node<K, V>) {
        child.set_edge(edge);
        debug_assert!(child.edge(self.depth()) == edge);
        let index = self.index_of(edge).expect_err("each edge leads to one child");
        let mut children = self.take_children();
        children.reserve_exact(1);
        children.insert(index, child);
        self.put_children(children);
    }

    /// Takes out the child that an edge leads to.
    pub fn remove(&mut self, edge: Edge) -> Node<K, V> {
        let index = self.index_of(edge).expect("the edge was found before");
        let mut children = self.take_children();
        let child = children.remove(index);
        self.put_children(children);
        child
    }

    /// Adds a key. Returns how many nodes upstream would add for it, and how many bytes were allocated.
    pub fn add_leaf(&mut self, own: Edge, key: K, value: V) -> (usize, usize) {
        let bytes = self.mem_bytes();
        let end = key.as_ref().len();
        let nodes = if self.is_small() {
            let before = self.nodes_to_children();
            self.insert(own, Node::Leaf(key, value));
            self.nodes_to_children() - before
        } else {
            self.insert(own, Node::Leaf(key, value));
            if own == END { 0 } else { self.as_above().nodes_to(end) }
        };
        (nodes, self.mem_bytes() - bytes)
    }

    /// What the children have above them. A branch with a key and one byte is one node of upstream's with what follows.
    pub fn as_above(&self) -> Above {
        let one_byte = self.len == 2 && self.children()[0].edge(self.depth()) == END;
        Above { start: self.depth() + 1, run_is_node: !one_byte }
    }

    /// Nodes that upstream has for the children and the runs that lead to them.
    pub fn nodes_to_children(&self) -> usize {
        let above = self.as_above();
        let bytes = self.children().iter().filter(|child| child.edge(self.depth()) != END);
        bytes.map(|child| above.nodes_to(child.depth())).sum()
    }
}

impl<K: AsRef<[u8]>, V> Node<K, V> {
    /// The edge that leads here from a branch of that depth.
    #[inline]
    fn edge(&self, depth: usize) -> Edge {
        match self {
            Node::Leaf(key, _) => edge(key.as_ref(), depth),
            Node::Branch(branch) => branch.edge,
        }
    }

    /// Says which edge leads here now.
    pub(super) fn set_edge(&mut self, edge: Edge) {
        if let Node::Branch(branch) = self {
            branch.edge = edge;
        }
    }
}
