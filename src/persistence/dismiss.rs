//! What a child has written, it can forget.
//!
//! After a fork both processes see the same pages. A page that the parent writes to is copied for it, and the child keeps the
//! old one. Once the child has written a value to the file it has no use for its pages, and says so
//! (`MADV_DONTNEED`): then they are the parent's alone, and nothing is copied when it changes them. So a save under many
//! writes costs the less memory the further it is.
//!
//! A page is given back only if it lies within the contents of one value: what else is on it, the child still needs. So
//! this is about large strings, listpacks, and tables. A block that is counted because others may read it (the same value
//! under another key, a reply that waits to be sent) is left alone.
//!
//! # Safety
//! What lay on such a page reads as zeros from then on. A [`Dismissal`] can therefore only be made with the promise that
//! its process is a child that leaves by `_exit`, writes each value once, and touches it never again.

use std::ptr::NonNull;
use std::sync::OnceLock;

use bytes::Bytes;

use crate::db::object::{Collection, EntryRef, Hash, List, Set, StrRef, Stream, Type, ZSet};
use crate::ds::hashtable::{Element, HashTable};
use crate::ds::quicklist::Node;
use crate::server::Server;

/// Elements of a table that are taken for typical.
const SAMPLES: usize = 5;

/// The right to give back pages.
#[derive(Debug, Clone, Copy)]
pub struct Dismissal {
    page: usize,
}

fn page_size() -> usize {
    static SIZE: OnceLock<usize> = OnceLock::new();
    *SIZE.get_or_init(|| {
        // SAFETY: `sysconf` may be called with any name.
        usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
    })
}

impl Dismissal {
    /// The right of a child.
    ///
    /// # Safety
    /// - This process shares no memory with others but by copies on write, and ends without dropping anything.
    /// - What is handed to a method is not read again.
    pub unsafe fn new() -> Dismissal {
        Dismissal { page: page_size() }
    }

    /// Gives back what the value of an entry takes, which is written.
    pub fn entry(self, entry: EntryRef<'_>) {
        match entry.value_type() {
            Type::String => self.string(entry.string()),
            Type::List => self.list(&entry.object::<List>()),
            Type::Set => self.set(&entry.object::<Set>()),
            Type::ZSet => self.zset(&entry.object::<ZSet>()),
            Type::Hash => self.hash(&entry.object::<Hash>()),
            Type::Stream => entry.object::<Stream>().log.nodes().for_each(|(_, node)| self.bytes(node)),
        }
    }

    /// Gives back the buffers of all clients, which the child has no use for at all.
    pub fn clients(self, srv: &Server) {
        for c in srv.clients.iter() {
            c.input.blocks().for_each(|block| self.bytes(block));
            c.out.blocks().for_each(|block| self.bytes(block));
        }
    }

    fn string(self, string: StrRef<'_>) {
        match string {
            StrRef::Int(_) => {}
            StrRef::Inline(bytes) => self.bytes(bytes),
            StrRef::Shared(block) => self.block(block),
        }
    }

    fn list(self, list: &List) {
        match list {
            List::Listpack(list) => self.bytes(list.as_bytes()),
            List::Quicklist(list) => list.nodes().for_each(|node| match node {
                Node::Packed { list, .. } => self.bytes(list.as_bytes()),
                Node::Plain(element) => self.block(element),
                Node::Compressed { block, .. } => self.bytes(&block.bytes),
            }),
        }
    }

    fn set(self, set: &Set) {
        match set {
            Set::IntSet(set) => self.bytes(set.as_bytes()),
            Set::Listpack(list) => self.bytes(list.as_bytes()),
            Set::Table(table) => {
                if self.has_large_elements(set) {
                    table.iter().for_each(|member| self.bytes(member.get()));
                }
                self.table(table);
            }
        }
    }

    fn zset(self, set: &ZSet) {
        match set {
            ZSet::Listpack(list) => self.bytes(list.as_bytes()),
            ZSet::Skiplist(index) => {
                let members = index.members();
                if self.has_large_elements(set) {
                    members.iter().for_each(|element| self.bytes(element.get().member));
                }
                self.table(members);
            }
        }
    }

    fn hash(self, hash: &Hash) {
        match hash {
            Hash::Listpack(list) => self.bytes(list.as_bytes()),
            Hash::ListpackEx(list) => self.bytes(list.list().as_bytes()),
            Hash::Table(table) => {
                if self.has_large_elements(hash) {
                    for field in hash.iter() {
                        self.string(field.name);
                        self.string(field.value);
                    }
                }
                self.table(table.fields());
            }
        }
    }

    /// Whether it pays to look at each element of a table: it does if some have pages of their own, by a few of them.
    fn has_large_elements(self, value: &impl Collection) -> bool {
        value.mem_bytes(SAMPLES) / value.len().max(1) >= self.page / 2
    }

    /// Gives back the buckets of a table, whose elements were looked at.
    fn table<E: Element>(self, table: &HashTable<E>) {
        table.blocks().for_each(|block| self.pages(block));
    }

    fn block(self, block: &Bytes) {
        if block.is_unique() {
            self.bytes(block);
        }
    }

    fn bytes(self, bytes: &[u8]) {
        self.pages(NonNull::from(bytes));
    }

    /// Gives back the pages that lie within this block.
    fn pages(self, block: NonNull<[u8]>) {
        let start = block.cast::<u8>();
        let skipped = start.as_ptr().align_offset(self.page);
        let len = block.len().saturating_sub(skipped) / self.page * self.page;
        if len > 0 {
            // SAFETY: the pages lie within one block, and nobody reads them again: that is what the promise of `new` is. A
            // refusal changes nothing.
            unsafe { libc::madvise(start.add(skipped).as_ptr().cast(), len, libc::MADV_DONTNEED) };
        }
    }
}
