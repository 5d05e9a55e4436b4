//! Operations on the keyspace's table of entries, beside a map of the standard library.
#![no_main]

use std::collections::{HashMap, HashSet};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use ochre::db::kvstore::{KvStore, Place};
use ochre::db::object::{Entry, Expiry, NewStr};
use ochre::ds::siphash;
use ochre::server::Key;

#[derive(Arbitrary, Debug)]
enum Op {
    /// Sets a key to a value of so many bytes, with or without an expiry.
    Set(u16, u16, bool),
    Append(u16, u8),
    Expire(u16, bool),
    Remove(u16),
    /// Sets this key and the so many behind it.
    SetMany(u16, u8),
    RemoveMany(u16, u8),
    /// Looks at a key and at a random one.
    Find(u16),
    /// Walks the whole table, by one of the two cursors; other operations happen in between.
    Scan(bool),
    /// Takes one step of the walk that goes on.
    Step,
}

/// What is known of a key: its value and whether it expires.
type Model = HashMap<Vec<u8>, (Vec<u8>, bool)>;

const AT_MS: i64 = 1 << 40;

fn name(n: u16) -> Vec<u8> {
    format!("key:{n}").into_bytes()
}

fn key(bytes: &[u8]) -> Key<'_> {
    Key { bytes, hash: siphash::hash(siphash::process_seed(), bytes) }
}

fn set(keys: &mut KvStore, model: &mut Model, n: u16, len: usize, expires: bool) {
    let (name, value) = (name(n), vec![n as u8; len]);
    let expiry = if expires { Expiry::At(AT_MS) } else { Expiry::Clear };
    match keys.place(key(&name)) {
        Place::Taken(mut entry) => entry.set_string(NewStr::Copy(&value), expiry),
        Place::Free(place) => {
            place.insert(Entry::new(&name, NewStr::Copy(&value), expires.then_some(AT_MS), 0));
        }
    }
    model.insert(name, (value, expires));
}

fn remove(keys: &mut KvStore, model: &mut Model, walk: &mut Option<Walk>, n: u16) {
    let name = name(n);
    assert_eq!(keys.remove(key(&name)).is_some(), model.remove(&name).is_some());
    if let Some(walk) = walk {
        walk.wanted.remove(&name);
    }
}

/// A scan on its way: keys that were there at its begin, less those removed since, must all be shown.
struct Walk {
    cursor: u64,
    wanted: HashSet<Vec<u8>>,
    seen: HashSet<Vec<u8>>,
}

fuzz_target!(|ops: Vec<Op>| {
    let (mut keys, mut model, mut walk) = (KvStore::default(), Model::new(), None);
    for op in ops {
        match op {
            Op::Set(n, len, expires) => set(&mut keys, &mut model, n, usize::from(len), expires),
            Op::Append(n, len) => {
                let name = name(n);
                if let Some(mut entry) = keys.find_mut(key(&name)) {
                    let (value, _) = model.get_mut(&name).expect("both have the key");
                    entry.write_at(value.len(), &vec![b'+'; usize::from(len)]);
                    value.resize(value.len() + usize::from(len), b'+');
                }
            }
            Op::Expire(n, on) => {
                let name = name(n);
                if let Some(mut entry) = keys.find_mut(key(&name)) {
                    if on {
                        entry.set_expiry(AT_MS);
                    } else {
                        entry.clear_expiry();
                    }
                    model.get_mut(&name).expect("both have the key").1 = on;
                }
            }
            Op::Remove(n) => remove(&mut keys, &mut model, &mut walk, n),
            Op::SetMany(n, count) => {
                (0..u16::from(count))
                    .for_each(|i| set(&mut keys, &mut model, n.wrapping_add(i), 3, i % 3 == 0));
            }
            Op::RemoveMany(n, count) => {
                (0..u16::from(count))
                    .for_each(|i| remove(&mut keys, &mut model, &mut walk, n.wrapping_add(i)));
            }
            Op::Find(n) => {
                let name = name(n);
                let found = keys.find(key(&name));
                assert_eq!(found.is_some(), model.contains_key(&name));
                if let (Some(entry), Some((value, expires))) = (found, model.get(&name)) {
                    assert_eq!(entry.string().bytes(&mut itoa::Buffer::new()), value);
                    assert_eq!(entry.expiry().is_some(), *expires);
                }
                match keys.random() {
                    Some(entry) => assert!(model.contains_key(entry.key())),
                    None => assert!(model.is_empty()),
                }
            }
            Op::Scan(expiring) => {
                if expiring {
                    let (mut cursor, mut seen) = (0, HashSet::new());
                    loop {
                        cursor =
                            keys.scan_expires(cursor, 7, |entry| drop(seen.insert(entry.key().to_vec())));
                        if cursor == 0 {
                            break;
                        }
                    }
                    let wanted = model.iter().filter(|(_, v)| v.1).map(|(k, _)| k.clone()).collect();
                    assert_eq!(seen, wanted);
                } else {
                    walk = Some(Walk {
                        cursor: 0,
                        wanted: model.keys().cloned().collect(),
                        seen: HashSet::new(),
                    });
                }
            }
            Op::Step => {
                if let Some(mut at) = walk.take() {
                    at.cursor = keys.scan(at.cursor, |entry| drop(at.seen.insert(entry.key().to_vec())));
                    if at.cursor == 0 {
                        assert!(
                            at.wanted.is_subset(&at.seen),
                            "a key that was there throughout was not shown"
                        );
                    } else {
                        walk = Some(at);
                    }
                }
            }
        }
        assert_eq!(keys.len(), model.len());
        assert_eq!(keys.expires_len(), model.values().filter(|v| v.1).count());
    }
    keys.table().debug_validate();
});
