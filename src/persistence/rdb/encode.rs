//! Lengths, strings and values as bytes.
//!
//! Values go out of where they are: a listpack or a set of integers is one string, a table's members are written as the table
//! is walked.

use super::format::{ENTRIES_READ_UNKNOWN, kind, length, node};
use crate::db::object::stream::{Group, StreamId};
use crate::db::object::{Collection, EntryRef, Hash, List, Set, StrRef, Stream, Type, ZSet, hash};
use crate::ds::listpack::{Listpack, Value};
use crate::ds::quicklist::{Node, QuickList};
use crate::ds::{lzf, numbers};
use crate::persistence::rio::Writer;

/// Longest text that is tried as an integer: that of the least of 32 bits.
const INT_TEXT_MAX: usize = 11;
/// Strings of this many bytes and less are not compressed.
const COMPRESS_ABOVE: usize = 20;
/// What compression has to save at least, for the two lengths in front.
const COMPRESS_GAIN: usize = 4;

/// Writes in the format.
pub(super) struct Encoder<'w> {
    /// Where to.
    pub out: Writer<'w>,
    /// What readers are expected to know.
    pub version: u16,
    /// Whether long strings are compressed.
    compress: bool,
    compressor: lzf::Compressor,
}

/// Writes a length.
#[inline]
fn put_length(out: &mut Writer<'_>, n: u64) {
    match n {
        0..0x40 => out.byte(length::BITS_6 << 6 | n as u8),
        0x40..0x4000 => out.put(&[length::BITS_14 << 6 | (n >> 8) as u8, n as u8]),
        0x4000..0x1_0000_0000 => {
            let [a, b, c, d] = (n as u32).to_be_bytes();
            out.put(&[length::BITS_32, a, b, c, d]);
        }
        _ => {
            out.byte(length::BITS_64);
            out.put(&n.to_be_bytes());
        }
    }
}

/// Writes a string of `unpacked` bytes that is compressed.
fn put_lzf(out: &mut Writer<'_>, packed: &[u8], unpacked: usize) {
    out.byte(length::ENCODED << 6 | length::LZF);
    put_length(out, packed.len() as u64);
    put_length(out, unpacked as u64);
    out.put(packed);
}

impl<'w> Encoder<'w> {
    /// Writes to `out`, in a version of the format.
    pub fn new(out: Writer<'w>, version: u16, compress: bool) -> Encoder<'w> {
        Encoder { out, version, compress, compressor: lzf::Compressor::new() }
    }

    /// Writes a length.
    #[inline]
    pub fn length(&mut self, n: u64) {
        put_length(&mut self.out, n);
    }

    /// Writes a string in its shortest form.
    #[inline]
    pub fn string(&mut self, text: &[u8]) {
        if text.len() <= INT_TEXT_MAX
            && let Some(n) = numbers::parse_i64(text)
            && let Ok(n) = i32::try_from(n)
        {
            return self.short_integer(n);
        }
        if self.compress && text.len() > COMPRESS_ABOVE && self.compressed(text) {
            return;
        }
        self.plain(text);
    }

    /// Writes the text of an integer.
    #[inline]
    pub fn integer(&mut self, n: i64) {
        match i32::try_from(n) {
            Ok(n) => self.short_integer(n),
            Err(_) => self.plain(itoa::Buffer::new().format(n).as_bytes()),
        }
    }

    fn short_integer(&mut self, n: i32) {
        const TAG: u8 = length::ENCODED << 6;
        let [a, b, c, d] = n.to_le_bytes();
        if i8::try_from(n).is_ok() {
            self.out.put(&[TAG | length::INT_8, a]);
        } else if i16::try_from(n).is_ok() {
            self.out.put(&[TAG | length::INT_16, a, b]);
        } else {
            self.out.put(&[TAG | length::INT_32, a, b, c, d]);
        }
    }

    fn plain(&mut self, text: &[u8]) {
        self.length(text.len() as u64);
        self.out.put(text);
    }

    /// Writes a string compressed, if that pays.
    fn compressed(&mut self, text: &[u8]) -> bool {
        let Some(packed) = self.compressor.compress(text, text.len() - COMPRESS_GAIN) else { return false };
        put_lzf(&mut self.out, packed, text.len());
        true
    }

    fn text(&mut self, text: StrRef<'_>) {
        match text {
            StrRef::Int(n) => self.integer(n),
            StrRef::Inline(text) => self.string(text),
            StrRef::Shared(text) => self.string(text),
        }
    }

    fn listpack_value(&mut self, value: Value<'_>) {
        match value {
            Value::Integer(n) => self.integer(n),
            Value::String(text) => self.string(text),
        }
    }

    /// Writes eight bytes, the lowest first.
    pub fn word(&mut self, n: u64) {
        self.out.put(&n.to_le_bytes());
    }

    /// The type byte for the value of an entry.
    pub fn kind(&self, entry: EntryRef<'_>) -> u8 {
        match entry.value_type() {
            Type::String => kind::STRING,
            Type::List => kind::LIST_QUICKLIST_2,
            Type::Set => match &*entry.object::<Set>() {
                Set::IntSet(_) => kind::SET_INTSET,
                Set::Listpack(_) if self.version >= 11 => kind::SET_LISTPACK,
                Set::Listpack(_) | Set::Table(_) => kind::SET,
            },
            Type::ZSet => match &*entry.object::<ZSet>() {
                ZSet::Listpack(_) => kind::ZSET_LISTPACK,
                ZSet::Skiplist(_) => kind::ZSET_2,
            },
            Type::Hash => {
                let hash = entry.object::<Hash>();
                match (&*hash, hash.next_expiry()) {
                    (Hash::Table(_), None) => kind::HASH,
                    (Hash::Table(_), Some(_)) => kind::HASH_METADATA,
                    (_, None) => kind::HASH_LISTPACK,
                    (_, Some(_)) => kind::HASH_LISTPACK_EX,
                }
            }
            Type::Stream if self.version >= 11 => kind::STREAM_LISTPACKS_3,
            Type::Stream => kind::STREAM_LISTPACKS_2,
        }
    }

    /// Writes the value of an entry, behind its type byte.
    pub fn value(&mut self, entry: EntryRef<'_>) {
        match entry.value_type() {
            Type::String => self.text(entry.string()),
            Type::List => self.list(&entry.object()),
            Type::Set => self.set(&entry.object()),
            Type::ZSet => self.sorted_set(&entry.object()),
            Type::Hash => self.hash(&entry.object()),
            Type::Stream => self.stream(&entry.object()),
        }
    }

    fn list(&mut self, list: &List) {
        match list {
            List::Listpack(list) => {
                self.length(1);
                self.length(node::PACKED);
                self.string(list.as_bytes());
            }
            List::Quicklist(list) => self.quicklist(list),
        }
    }

    fn quicklist(&mut self, list: &QuickList) {
        self.length(list.nodes().len() as u64);
        for own in list.nodes() {
            self.length(if own.is_plain() { node::PLAIN } else { node::PACKED });
            match own {
                Node::Packed { list, .. } => self.string(list.as_bytes()),
                Node::Plain(block) => self.string(block),
                // It is in the form of the file already.
                Node::Compressed { block, .. } => put_lzf(&mut self.out, &block.bytes, block.size),
            }
        }
    }

    fn set(&mut self, set: &Set) {
        match set {
            Set::IntSet(set) => self.string(set.as_bytes()),
            Set::Listpack(list) if self.version >= 11 => self.string(list.as_bytes()),
            Set::Listpack(list) => {
                self.length(list.len() as u64);
                list.iter().for_each(|member| self.listpack_value(member));
            }
            Set::Table(table) => {
                self.length(table.len() as u64);
                table.iter().for_each(|member| self.string(member.get()));
            }
        }
    }

    /// A table's elements come from the highest rank down: upstream adds each at the beginning of its skip list.
    fn sorted_set(&mut self, set: &ZSet) {
        match set {
            ZSet::Listpack(list) => self.string(list.as_bytes()),
            ZSet::Skiplist(index) => {
                self.length(index.len() as u64);
                for (member, score) in index.iter().rev() {
                    self.string(member);
                    self.word(score.to_bits());
                }
            }
        }
    }

    fn hash(&mut self, hash: &Hash) {
        match (hash, hash.next_expiry()) {
            (Hash::Listpack(list), _) => self.string(list.as_bytes()),
            (Hash::ListpackEx(list), Some(first_ms)) => {
                self.word(first_ms as u64);
                self.string(list.list().as_bytes());
            }
            (Hash::ListpackEx(list), None) => {
                let mut pairs = Listpack::new();
                let mut values = list.iter();
                while let (Some(name), Some(value), Some(_)) = (values.next(), values.next(), values.next()) {
                    pairs.append_all(&[name, value]);
                }
                self.string(pairs.as_bytes());
            }
            (Hash::Table(table), first_ms) => {
                first_ms.inspect(|&first_ms| self.word(first_ms as u64));
                self.length(table.len() as u64);
                hash.iter().for_each(|field| self.field(field, first_ms));
            }
        }
    }

    /// An expiry is counted from the first of all, and by one more, so that 0 stands for none.
    fn field(&mut self, field: hash::Field<'_>, first_ms: Option<i64>) {
        if let Some(first_ms) = first_ms {
            self.length(field.expiry.map_or(0, |at_ms| (at_ms - first_ms) as u64 + 1));
        }
        self.text(field.name);
        self.text(field.value);
    }

    fn id(&mut self, id: StreamId) {
        self.length(id.ms);
        self.length(id.seq);
    }

    fn stream(&mut self, stream: &Stream) {
        self.length(stream.log.node_count() as u64);
        for (base, node) in stream.log.nodes() {
            self.plain(&base.to_bytes());
            self.string(node);
        }
        let counters = stream.log.counters();
        self.length(counters.len);
        self.id(counters.last_id);
        self.id(counters.first_id);
        self.id(counters.max_deleted_id);
        self.length(counters.added);
        self.length(stream.groups.len() as u64);
        for (name, group) in stream.groups.iter() {
            self.string(name);
            self.group(group);
        }
    }

    fn group(&mut self, group: &Group) {
        self.id(group.last_id);
        self.length(group.entries_read.unwrap_or(ENTRIES_READ_UNKNOWN));
        self.length(group.pending().len() as u64);
        for (id, nack) in group.pending().iter() {
            self.out.put(&id.to_bytes());
            self.word(nack.delivered_ms as u64);
            self.length(nack.deliveries);
        }
        self.length(group.consumers_len() as u64);
        for consumer in group.consumers() {
            self.string(consumer.name());
            self.word(consumer.seen_ms as u64);
            if self.version >= 11 {
                self.word(consumer.active_ms as u64);
            }
            self.length(consumer.pending().len() as u64);
            consumer.pending().iter().for_each(|(id, ())| self.out.put(&id.to_bytes()));
        }
    }
}
