//! DEBUG DIGEST and DEBUG DIGEST-VALUE: hashes of the data, equal to upstream's for equal data.
//!
//! A digest of 20 bytes begins as zeroes and takes in data in one of two ways, both by SHA-1:
//!
//! - [`Digest::xor`] combines it with the hash of the data: the order of several data does not matter;
//! - [`Digest::mix`] hashes the outcome of that once more: the order does matter.
//!
//! A value's digest mixes in its type's number (four bytes, most significant first) and its contents, and is xored with
//! a mark when the key has an expiry (whose time is left out, so that it may differ). A key's digest mixes in its name in front of
//! that. The dataset's digest mixes in the number of each database that is not empty, and is xored with all its keys'
//! digests, whose order is the table's and hence arbitrary.

use std::ops::ControlFlow;

use sha1::{Digest as _, Sha1};

use crate::db::LookupFlags;
use crate::db::object::stream::StreamId;
use crate::db::object::{Collection, EntryRef, Hash, List, Set, Stream, Type, ZSet, zset};
use crate::ds::numbers::dtoa::format_shortest;
use crate::server::{Client, CmdResult, Server};

/// What a key with an expiry is marked by.
const EXPIRE_MARK: &[u8] = b"!!expire!!";

/// What a field with an expiry is marked by.
const FIELD_EXPIRE_MARK: &[u8] = b"!!hexpire!!";

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Digest([u8; 20]);

impl Digest {
    fn xor(&mut self, data: &[u8]) {
        for (byte, hashed) in self.0.iter_mut().zip(Sha1::digest(data)) {
            *byte ^= hashed;
        }
    }

    fn mix(&mut self, data: &[u8]) {
        self.xor(data);
        self.0 = Sha1::digest(self.0).into();
    }

    fn value(&mut self, entry: EntryRef<'_>) {
        let value_type = entry.value_type();
        self.mix(&(value_type as u32).to_be_bytes());
        match value_type {
            Type::String => self.mix(entry.string().bytes(&mut itoa::Buffer::new())),
            Type::List => self.list(&entry.object::<List>()),
            Type::Set => {
                let mut digits = itoa::Buffer::new();
                entry.object::<Set>().iter().for_each(|member| self.xor(member.text(&mut digits)));
            }
            Type::ZSet => self.sorted_set(&entry.object::<ZSet>()),
            Type::Stream => self.stream(&entry.object::<Stream>()),
            Type::Hash => self.hash(&entry.object::<Hash>()),
        }
        if entry.expiry().is_some() {
            self.xor(EXPIRE_MARK);
        }
    }

    fn list(&mut self, list: &List) {
        list.visit(0..list.len(), |element| {
            self.mix(element.text(&mut itoa::Buffer::new()));
            ControlFlow::Continue(())
        });
    }

    fn stream(&mut self, stream: &Stream) {
        for entry in stream.log.range(StreamId::MIN, StreamId::MAX) {
            self.mix(format!("{}.{}", entry.id.ms, entry.id.seq).as_bytes());
            for (name, value) in entry.fields {
                self.mix(&name.to_vec());
                self.mix(&value.to_vec());
            }
        }
    }

    fn sorted_set(&mut self, set: &ZSet) {
        for (member, score) in set.iter() {
            let mut element = Digest::default();
            element.mix(zset::text(member, &mut itoa::Buffer::new()));
            element.mix(&format_shortest(score));
            self.xor(&element.0);
        }
    }

    fn hash(&mut self, hash: &Hash) {
        let mut digits = itoa::Buffer::new();
        for field in hash.iter() {
            let mut digest = Digest::default();
            digest.mix(field.name.bytes(&mut digits));
            digest.mix(field.value.bytes(&mut digits));
            if field.expiry.is_some() {
                digest.xor(FIELD_EXPIRE_MARK);
            }
            self.xor(&digest.0);
        }
    }

    fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The digest of all databases.
fn dataset(srv: &Server) -> Digest {
    let mut total = Digest::default();
    for db in srv.dbs.iter().filter(|db| !db.is_empty()) {
        total.mix(&(db.id as u32).to_be_bytes());
        for entry in db.keys.iter() {
            let mut digest = Digest::default();
            digest.mix(entry.key());
            digest.value(entry);
            total.xor(&digest.0);
        }
    }
    total
}

/// `DEBUG DIGEST`
pub(super) fn digest(srv: &mut Server, c: &mut Client) -> CmdResult {
    c.out.simple(&dataset(srv).hex());
    Ok(())
}

/// `DEBUG DIGEST-VALUE key [key ...]`
pub(super) fn digest_value(srv: &mut Server, c: &mut Client) -> CmdResult {
    c.out.array(c.argv.len() - 2);
    for i in 2..c.argv.len() {
        let mut digest = Digest::default();
        let flags = LookupFlags::NO_TOUCH | LookupFlags::NO_NOTIFY | LookupFlags::NO_STATS;
        if let Some(entry) = srv.lookup(c.db, c.argv.key(i), flags) {
            digest.value(entry);
        }
        c.out.simple(&digest.hex());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::object::{Entry, NewStr};
    use crate::ds::quicklist::{Element, End, Limits};

    fn value(bytes: &[u8], expiry: Option<i64>) -> String {
        let mut digest = Digest::default();
        digest.value(Entry::new(b"key", NewStr::encode(bytes), expiry, 0).view());
        digest.hex()
    }

    #[test]
    fn sorted_sets_hash_as_upstream() {
        let limits = zset::Limits { entries: 128, value: 64 };
        let mut set = ZSet::new(0, 0, limits);
        for (member, score) in [(&b"a"[..], 0.1), (b"bb", 3.0), (b"c", 1.7e13)] {
            set.add(member, score, zset::AddFlags::default(), limits);
        }
        let mut digest = Digest::default();
        digest.value(Entry::with_object(b"key", set, None, 0).view());
        assert_eq!(digest.hex(), "1ebde2795d35adf793b2b2e82715211208ecd6b4");
    }

    #[test]
    fn values_hash_as_upstream() {
        assert_eq!(value(b"bar", None), "68467c70ae30376e7ce005bcc8827f5ba7fd67dc");
        assert_eq!(value(b"12", None), "655ac46b180ad2f61a3cee25f0b1780fa2ec879a");
        assert_ne!(value(b"12", Some(5)), value(b"12", None));
        assert_eq!(value(b"12", Some(5)), value(b"12", Some(6)));
    }

    #[test]
    fn lists_hash_as_upstream_in_either_form() {
        for fill in [-2, 2] {
            let mut list = List::new();
            list.grow(&Limits::new(fill, 0), 3, 5);
            for text in [&b"a"[..], b"b", b"300"] {
                list.push(End::Tail, Element::String(text));
            }
            let mut digest = Digest::default();
            digest.value(Entry::with_object(b"key", list, None, 0).view());
            assert_eq!(digest.hex(), "53d13d2d13c8503ff8edfb2ecc17e0ad346665d6");
        }
    }
    #[test]
    fn hashes_hash_as_upstream_in_every_form() {
        use crate::db::object::{Expiry, hash};
        for (entries, expiry, expected) in [
            (512, None, "9bbd1c4025a54d367e3605c5341aaaa4518465fd"),
            (0, None, "9bbd1c4025a54d367e3605c5341aaaa4518465fd"),
            (512, Some(2_000_000_000_000), "1f3858190d1d0a58c7e125c0bbc4dcc1b9b49dd6"),
            (0, Some(2_000_000_000_000), "1f3858190d1d0a58c7e125c0bbc4dcc1b9b49dd6"),
        ] {
            let limits = hash::Limits { entries, value: 64 };
            let mut hash = Hash::new();
            for (name, value) in [("a", "1"), ("b", "300"), ("c", "xyz")] {
                hash.set(name.as_bytes(), NewStr::Copy(value.as_bytes()), Expiry::Clear, limits);
            }
            expiry.into_iter().for_each(|at_ms| _ = hash.set_expiry(b"b", at_ms));
            let mut digest = Digest::default();
            digest.value(Entry::with_object(b"key", hash, None, 0).view());
            assert_eq!(digest.hex(), expected);
        }
    }
}
