//! Bytes as values, in every encoding there ever was.
//!
//! A compact value of today is checked and copied as it is; one of former days becomes one of today. In either case it is
//! converted if it exceeds the configured limits, as upstream does: some types look at the number of elements alone. Members
//! of tables are put straight into the table, from where the bytes were read.

use std::borrow::Cow;

use super::decode::Decoder;
use super::error::Error;
use super::format::{kind, node};
use super::stream::stream;
use crate::db::object::hash::{EXPIRY_MAX_MS, ListpackEx, Table};
use crate::db::object::set::Item;
use crate::db::object::{Collection, Entry, Expiry, Hash, List, NewStr, Set, StrRef, ZSet};
use crate::db::object::{hash, set, zset};
use crate::ds::intset::IntSet;
use crate::ds::listpack::{Listpack, Value, validate_with};
use crate::ds::numbers::{parse_f64, parse_i64};
use crate::ds::quicklist::{self, Element, End, QuickList};
use crate::ds::sorted_index;
use crate::ds::ziplist::Ziplist;
use crate::ds::zipmap::Zipmap;
use crate::persistence::rio::Source;
use crate::server::Server;
use crate::server::config::Config;
use crate::types::{t_hash, t_list, t_set, t_zset};

/// Up to which size values are compact.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    hash: hash::Limits,
    set: set::Limits,
    zset: zset::Limits,
    list: quicklist::Limits,
}

impl Limits {
    /// Those of a server.
    pub fn of(srv: &Server) -> Limits {
        Limits {
            hash: t_hash::limits(srv),
            set: t_set::limits(srv),
            zset: t_zset::limits(srv),
            list: t_list::limits(srv),
        }
    }

    /// Those that a configuration asks for.
    pub fn configured(config: &Config) -> Limits {
        let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        Limits {
            hash: hash::Limits {
                entries: size(config.hash_max_listpack_entries),
                value: size(config.hash_max_listpack_value),
            },
            set: set::Limits {
                intset_entries: size(config.set_max_intset_entries),
                listpack_entries: size(config.set_max_listpack_entries),
                listpack_value: size(config.set_max_listpack_value),
            },
            zset: zset::Limits {
                entries: size(config.zset_max_listpack_entries),
                value: size(config.zset_max_listpack_value),
            },
            list: quicklist::Limits::new(config.list_max_listpack_size, config.list_compress_depth),
        }
    }
}

/// Why a value that could be read is no key's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skipped {
    /// It has no element, which former versions could leave behind.
    Empty,
}

/// What an entry has besides its value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Around<'k> {
    pub key: &'k [u8],
    pub expiry: Option<i64>,
    pub clock: u32,
}

impl Around<'_> {
    fn entry<T: crate::db::object::Object>(self, value: T) -> Entry {
        Entry::with_object(self.key, value, self.expiry, self.clock)
    }

    /// An entry of what must not be empty.
    fn unless_empty<T: crate::db::object::Object>(self, value: T) -> Result<Entry, Skipped> {
        if value.is_empty() { Err(Skipped::Empty) } else { Ok(self.entry(value)) }
    }
}

/// Reads a value of this type. The inner result tells of a value that is not to be kept.
#[inline]
pub(super) fn entry<S: Source>(
    from: &mut Decoder<'_, S>,
    kind: u8,
    around: Around<'_>,
    limits: &Limits,
) -> Result<Result<Entry, Skipped>, Error> {
    if kind == kind::STRING {
        let value = from.string_value()?;
        return Ok(Ok(Entry::new(around.key, value, around.expiry, around.clock)));
    }
    collection(from, kind, around, limits)
}

fn collection<S: Source>(
    from: &mut Decoder<'_, S>,
    kind: u8,
    around: Around<'_>,
    limits: &Limits,
) -> Result<Result<Entry, Skipped>, Error> {
    Ok(match kind {
        kind::LIST => around.unless_empty(list(from, limits.list)?),
        kind::LIST_ZIPLIST => around.unless_empty(list_of_ziplist(from, limits.list)?),
        kind::LIST_QUICKLIST | kind::LIST_QUICKLIST_2 => {
            around.unless_empty(list_of_nodes(from, kind, limits.list)?)
        }
        kind::SET => around.unless_empty(set(from, limits.set)?),
        kind::SET_INTSET => around.unless_empty(set_of_integers(from, limits.set)?),
        kind::SET_LISTPACK => around.unless_empty(set_of_listpack(from, limits.set)?),
        kind::ZSET | kind::ZSET_2 => around.unless_empty(sorted_set(from, kind, limits.zset)?),
        kind::ZSET_ZIPLIST | kind::ZSET_LISTPACK => {
            around.unless_empty(sorted_set_of_pairs(from, kind, limits.zset)?)
        }
        kind::HASH => around.unless_empty(hash(from, limits.hash)?),
        kind::HASH_ZIPMAP => around.unless_empty(hash_of_zipmap(from, limits.hash)?),
        kind::HASH_ZIPLIST | kind::HASH_LISTPACK => {
            around.unless_empty(hash_of_pairs(from, kind, limits.hash)?)
        }
        kind::HASH_METADATA | kind::HASH_METADATA_PRE_GA => {
            around.unless_empty(hash_with_expiries(from, kind, limits.hash)?)
        }
        kind::HASH_LISTPACK_EX | kind::HASH_LISTPACK_EX_PRE_GA => {
            around.unless_empty(hash_of_triples(from, kind, limits.hash)?)
        }
        kind::STREAM_LISTPACKS | kind::STREAM_LISTPACKS_2 | kind::STREAM_LISTPACKS_3 => {
            Ok(around.entry(stream(from, kind)?))
        }
        kind::MODULE_2 => return Err(module(from)),
        kind::MODULE_PRE_GA => return Err(from.corrupt("Pre-release module format not supported")),
        _ => return Err(from.corrupt(format!("Unknown RDB encoding type {kind}"))),
    })
}

/// What is said of the value of a module, of which there are none.
fn module<S: Source>(from: &mut Decoder<'_, S>) -> Error {
    match from.length() {
        Ok(id) => from.corrupt(format!(
            "The RDB file contains module data I can't load: no matching module type '{}'",
            module_name(id)
        )),
        Err(error) => error,
    }
}

/// The name in a module's number: nine characters of six bits each, the version in the lowest ten bits left out.
pub(super) fn module_name(id: u64) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let letter = |shift: u32| char::from(LETTERS[(id >> shift & 0x3f) as usize]);
    (0..9).rev().map(|i| letter(10 + 6 * i)).collect()
}

// ---- lists ----

fn list<S: Source>(from: &mut Decoder<'_, S>, limits: quicklist::Limits) -> Result<List, Error> {
    let count = from.count(1)?;
    let mut list = Box::new(QuickList::new(limits));
    for _ in 0..count {
        from.source.breathe();
        match from.text()? {
            StrRef::Int(n) => list.push(End::Tail, Element::Integer(n)),
            StrRef::Inline(text) => list.push(End::Tail, Element::String(text)),
            StrRef::Shared(block) => list.push(End::Tail, Element::Block(block)),
        }
    }
    Ok(settled(list, limits))
}

fn list_of_ziplist<S: Source>(from: &mut Decoder<'_, S>, limits: quicklist::Limits) -> Result<List, Error> {
    let list = ziplist(from, "List ziplist integrity check failed.")?;
    let mut quicklist = Box::new(QuickList::new(limits));
    list.iter().for_each(|value| quicklist.push(End::Tail, value.into()));
    Ok(settled(quicklist, limits))
}

fn list_of_nodes<S: Source>(
    from: &mut Decoder<'_, S>,
    kind: u8,
    limits: quicklist::Limits,
) -> Result<List, Error> {
    let count = from.count(1)?;
    let mut list = Box::new(QuickList::new(limits));
    for _ in 0..count {
        from.source.breathe();
        let form = if kind == kind::LIST_QUICKLIST_2 { from.length()? } else { node::PACKED };
        match form {
            node::PLAIN => {
                let block = from.block()?;
                if !block.is_empty() {
                    list.append_plain(block);
                }
            }
            node::PACKED if kind == kind::LIST_QUICKLIST_2 => {
                list.append_listpack(listpack(from, "Listpack integrity check failed.")?);
            }
            node::PACKED => list.append_listpack(ziplist(from, "Ziplist integrity check failed.")?),
            _ => return Err(from.corrupt("Quicklist integrity check failed.")),
        }
    }
    Ok(settled(list, limits))
}

fn settled(list: Box<QuickList>, limits: quicklist::Limits) -> List {
    let mut list = List::Quicklist(list);
    list.settle(&limits);
    list
}

// ---- compact bytes ----

fn listpack<S: Source>(from: &mut Decoder<'_, S>, reason: &'static str) -> Result<Listpack, Error> {
    let list = Listpack::from_bytes(from.bytes()?);
    list.ok_or_else(|| from.corrupt(reason))
}

fn ziplist<S: Source>(from: &mut Decoder<'_, S>, reason: &'static str) -> Result<Listpack, Error> {
    let list = Ziplist::from_bytes(from.bytes()?).map(|list| list.to_listpack());
    list.ok_or_else(|| from.corrupt(reason))
}

/// A listpack of tuples of `width` elements whose first ones are all different, and are followed by what `accept` accepts.
fn tuples<S: Source>(
    from: &mut Decoder<'_, S>,
    width: usize,
    accept: impl FnMut(Value<'_>) -> bool,
    reason: &'static str,
) -> Result<Listpack, Error> {
    let bytes = from.bytes()?;
    match check_tuples(bytes, width, accept) {
        Ok(()) => Listpack::from_checked(bytes).ok_or_else(|| from.corrupt(reason)),
        Err(fault) => Err(from.corrupt(fault.explain(reason))),
    }
}

/// The same of what was a ziplist.
fn ziplist_tuples<S: Source>(
    from: &mut Decoder<'_, S>,
    width: usize,
    accept: impl FnMut(Value<'_>) -> bool,
    reason: &'static str,
) -> Result<Listpack, Error> {
    let list = ziplist(from, reason)?;
    match check_tuples(list.as_bytes(), width, accept) {
        Ok(()) => Ok(list),
        Err(fault) => Err(from.corrupt(fault.explain(reason))),
    }
}

/// What can be wrong with tuples.
enum Fault {
    Format,
    Duplicates,
}

impl Fault {
    fn explain(self, reason: &'static str) -> Cow<'static, str> {
        match self {
            Fault::Format => reason.into(),
            Fault::Duplicates => format!("{reason} It is a listpack with dup elements").into(),
        }
    }
}

fn check_tuples(bytes: &[u8], width: usize, mut accept: impl FnMut(Value<'_>) -> bool) -> Result<(), Fault> {
    let mut heads = Distinct::default();
    let (mut index, mut distinct) = (0, true);
    let whole = validate_with(bytes, |value| {
        let is_head = index == 0;
        index = (index + 1) % width;
        if is_head {
            distinct = heads.add(value);
            return distinct;
        }
        accept(value)
    });
    match whole && index == 0 {
        _ if !distinct => Err(Fault::Duplicates),
        true if heads.are_distinct() => Ok(()),
        true => Err(Fault::Duplicates),
        false => Err(Fault::Format),
    }
}

/// Looks for duplicates among values: by their texts, since that is what they are found by.
struct Distinct<'a> {
    /// All values, while they are few; then they are compared each with each.
    few: [Value<'a>; FEW],
    len: usize,
    /// All values, when they are more.
    many: Vec<Value<'a>>,
}

const FEW: usize = 12;
/// Of so many values, and each time that there are twice as many, it is known whether they are distinct. A listpack that
/// repeats itself compresses to next to nothing; what is collected of it would take many times its bytes again.
const MANY: usize = 1 << 12;

impl Default for Distinct<'_> {
    fn default() -> Self {
        Distinct { few: [Value::Integer(0); FEW], len: 0, many: Vec::new() }
    }
}

impl<'a> Distinct<'a> {
    /// Adds a value; `false` if it is known that there are duplicates.
    #[inline]
    fn add(&mut self, value: Value<'a>) -> bool {
        // A string may come from a writer who did not recognise an integer.
        let value = match value {
            Value::String(text) => Value::from(text),
            integer => integer,
        };
        match self.few.get_mut(self.len) {
            Some(place) => *place = value,
            None => {
                if self.many.is_empty() {
                    self.many.extend(self.few);
                }
                self.many.push(value);
            }
        }
        self.len += 1;
        self.len < MANY || !self.len.is_power_of_two() || self.are_distinct()
    }

    fn are_distinct(&mut self) -> bool {
        if self.len <= FEW {
            let mut rest = &self.few[..self.len];
            while let [first, behind @ ..] = rest {
                if behind.contains(first) {
                    return false;
                }
                rest = behind;
            }
            return true;
        }
        self.many.sort_unstable_by_key(|value| match *value {
            Value::Integer(n) => (Some(n), &b""[..]),
            Value::String(text) => (None, text),
        });
        self.many.windows(2).all(|pair| pair[0] != pair[1])
    }
}

// ---- sets ----

fn set<S: Source>(from: &mut Decoder<'_, S>, limits: set::Limits) -> Result<Set, Error> {
    let count = from.count(1)?;
    let mut set: Option<Set> = None;
    for _ in 0..count {
        from.source.breathe();
        let believed = from.believed(count as u64, 1);
        let item = match from.text()? {
            StrRef::Int(n) => Item::Integer(n),
            StrRef::Inline(text) => Item::Bytes(text),
            StrRef::Shared(text) => Item::Bytes(text),
        };
        let set = set.get_or_insert_with(|| Set::with_hint(item, believed, limits));
        if !set.add(item, limits) {
            return Err(from.corrupt("Duplicate set members detected"));
        }
    }
    Ok(set.unwrap_or_else(|| Set::Listpack(Listpack::new())))
}

fn set_of_integers<S: Source>(from: &mut Decoder<'_, S>, limits: set::Limits) -> Result<Set, Error> {
    let set = IntSet::from_bytes(from.bytes()?);
    let mut set = Set::IntSet(set.ok_or_else(|| from.corrupt("Intset integrity check failed."))?);
    set.prepare_for(set.len(), limits);
    Ok(set)
}

fn set_of_listpack<S: Source>(from: &mut Decoder<'_, S>, limits: set::Limits) -> Result<Set, Error> {
    let list = tuples(from, 1, |_| true, "Set listpack integrity check failed.")?;
    let mut set = Set::Listpack(list);
    set.prepare_for(set.len(), limits);
    Ok(set)
}

// ---- sorted sets ----

fn sorted_set<S: Source>(from: &mut Decoder<'_, S>, kind: u8, limits: zset::Limits) -> Result<ZSet, Error> {
    const DUPLICATE: &str = "Duplicate zset fields detected";
    let count = from.count(2)?;
    let mut index = sorted_index::Builder::with_room(from.believed(count as u64, 2));
    let mut member = Vec::new();
    for _ in 0..count {
        from.source.breathe();
        from.bytes_into(&mut member)?;
        let score = if kind == kind::ZSET_2 { f64::from_bits(from.word()?) } else { old_score(from)? };
        if score.is_nan() {
            return Err(from.corrupt("Zset with NAN score detected"));
        }
        if !index.add(&member, score) {
            return Err(from.corrupt(DUPLICATE));
        }
    }
    let index = index.finish().ok_or_else(|| from.corrupt(DUPLICATE))?;
    Ok(ZSet::from_index(index, limits))
}

/// A score as text: a byte of length, of which the greatest three stand for what is no number or has no end.
fn old_score<S: Source>(from: &mut Decoder<'_, S>) -> Result<f64, Error> {
    Ok(match from.byte()? {
        253 => f64::NAN,
        254 => f64::INFINITY,
        255 => f64::NEG_INFINITY,
        length => parse_f64(from.take(length.into())?).unwrap_or(0.0),
    })
}

fn sorted_set_of_pairs<S: Source>(
    from: &mut Decoder<'_, S>,
    kind: u8,
    limits: zset::Limits,
) -> Result<ZSet, Error> {
    let is_score = |value: Value<'_>| match value {
        Value::Integer(_) => true,
        Value::String(text) => parse_f64(text).is_some_and(|score| !score.is_nan()),
    };
    let list = if kind == kind::ZSET_ZIPLIST {
        ziplist_tuples(from, 2, is_score, "Zset ziplist integrity check failed.")?
    } else {
        tuples(from, 2, is_score, "Zset listpack integrity check failed.")?
    };
    let mut set = ZSet::Listpack(list);
    if set.len() > limits.entries {
        set.make_index();
    }
    Ok(set)
}

// ---- hashes ----

const DUPLICATE_FIELDS: &str = "Duplicate hash fields detected";

fn new_str(text: StrRef<'_>) -> NewStr<'_> {
    match text {
        StrRef::Int(n) => NewStr::Int(n),
        StrRef::Inline(text) => NewStr::Copy(text),
        StrRef::Shared(text) => NewStr::Share(text.clone()),
    }
}

/// An empty hash for so many fields.
fn new_hash<S: Source>(from: &Decoder<'_, S>, count: usize, limits: hash::Limits) -> Hash {
    if count <= limits.entries {
        return Hash::new();
    }
    Hash::Table(Box::new(Table::with_room(from.believed(count as u64, 2))))
}

fn hash<S: Source>(from: &mut Decoder<'_, S>, limits: hash::Limits) -> Result<Hash, Error> {
    let count = from.count(2)?;
    let mut hash = new_hash(from, count, limits);
    let mut name = Vec::new();
    for _ in 0..count {
        from.source.breathe();
        from.bytes_into(&mut name)?;
        if hash.set(&name, new_str(from.text()?), Expiry::Clear, limits) {
            return Err(from.corrupt(DUPLICATE_FIELDS));
        }
    }
    Ok(hash)
}

fn hash_with_expiries<S: Source>(
    from: &mut Decoder<'_, S>,
    kind: u8,
    limits: hash::Limits,
) -> Result<Hash, Error> {
    let first_ms = if kind == kind::HASH_METADATA { Some(from.word()?) } else { None };
    let count = from.count(3)?;
    let mut hash = new_hash(from, count, limits);
    hash.convert_to_triples();
    let mut name = Vec::new();
    for _ in 0..count {
        from.source.breathe();
        let expiry = field_expiry(from, first_ms)?;
        from.bytes_into(&mut name)?;
        if hash.set(&name, new_str(from.text()?), expiry, limits) {
            return Err(from.corrupt(DUPLICATE_FIELDS));
        }
    }
    Ok(hash)
}

/// An expiry, counted from the first of all and by one more, or as it is in files from before.
fn field_expiry<S: Source>(from: &mut Decoder<'_, S>, first_ms: Option<u64>) -> Result<Expiry, Error> {
    let stored = from.length()?;
    if stored == 0 {
        return Ok(Expiry::Clear);
    }
    let at_ms = match first_ms {
        Some(first_ms) => first_ms.checked_add(stored - 1),
        None => Some(stored),
    };
    match at_ms.filter(|at_ms| *at_ms <= EXPIRY_MAX_MS as u64) {
        Some(at_ms) => Ok(Expiry::At(at_ms as i64)),
        None => Err(from.corrupt("invalid expireAt time")),
    }
}

fn hash_of_zipmap<S: Source>(from: &mut Decoder<'_, S>, limits: hash::Limits) -> Result<Hash, Error> {
    let Some(map) = Zipmap::from_bytes(from.bytes()?).filter(|map| !map.is_empty()) else {
        return Err(from.corrupt("Zipmap integrity check failed."));
    };
    let mut list = Listpack::new();
    let mut longest = 0;
    for (name, value) in map.iter() {
        longest = longest.max(name.len()).max(value.len());
        list.append_all(&[name.into(), value.into()]);
    }
    if check_tuples(list.as_bytes(), 2, |_| true).is_err() {
        return Err(from.corrupt("Hash zipmap with dup elements, or big length"));
    }
    Ok(converted(Hash::Listpack(list), longest, limits))
}

fn hash_of_pairs<S: Source>(
    from: &mut Decoder<'_, S>,
    kind: u8,
    limits: hash::Limits,
) -> Result<Hash, Error> {
    let list = if kind == kind::HASH_ZIPLIST {
        ziplist_tuples(from, 2, |_| true, "Hash ziplist integrity check failed.")?
    } else {
        tuples(from, 2, |_| true, "Hash listpack integrity check failed.")?
    };
    Ok(converted(Hash::Listpack(list), 0, limits))
}

fn hash_of_triples<S: Source>(
    from: &mut Decoder<'_, S>,
    kind: u8,
    limits: hash::Limits,
) -> Result<Hash, Error> {
    const REASON: &str = "Hash listpack integrity check failed.";
    if kind == kind::HASH_LISTPACK_EX {
        // The first expiry, which the listpack begins with.
        from.word()?;
    }
    let mut index = 0;
    let is_expiry = |value: Value<'_>| {
        index = (index + 1) % 2;
        let at_ms = match value {
            Value::Integer(at_ms) => Some(at_ms),
            Value::String(text) => parse_i64(text),
        };
        index == 1 || at_ms.is_some_and(|at_ms| (0..=EXPIRY_MAX_MS).contains(&at_ms))
    };
    let list = tuples(from, 3, is_expiry, REASON)?;
    let list = ListpackEx::from_list(list).ok_or_else(|| from.corrupt(REASON))?;
    Ok(converted(Hash::ListpackEx(list), 0, limits))
}

/// Makes a table of a hash of too many fields, or with too long ones.
fn converted(mut hash: Hash, longest: usize, limits: hash::Limits) -> Hash {
    hash.prepare(hash.len(), [longest].into_iter(), limits);
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_repeats_itself_is_not_collected() {
        let mut values = Distinct::default();
        assert!((0..MANY as i64 * 5).all(|n| values.add(Value::Integer(n))));
        assert!(values.are_distinct());
        assert!(values.add(Value::Integer(3)));
        assert!(!values.are_distinct(), "a single duplicate is found in the end");
        let mut values = Distinct::default();
        let added = (0..).take_while(|_| values.add(Value::String(b"0"))).count();
        assert!(added <= MANY);
    }
}
