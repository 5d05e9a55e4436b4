//! SORT and SORT_RO: the elements of a list, a set or a sorted set in another order.
//!
//! The elements are copied first, all texts into one buffer, because what they are sorted by may have to be looked up
//! elsewhere (`BY weight_*`), and a lookup may delete what has expired. Then each gets its [`SortKey`], those are compared,
//! and what `LIMIT` leaves is written to the reply, or to the list that `STORE` names, with what `GET` looks up.
//!
//! A pattern without a `*` names nothing that depends on the element; `BY` one such (`BY nosort`) asks for the order
//! that there is. A set has none, so where the outcome is to be stored, and must be the same wherever the command is
//! repeated, its members are sorted as texts after all.
//!
//! Texts are compared as the locale has it (`locale-collate`), and by their bytes where the outcome is stored.

use std::cmp::Ordering;
use std::ffi::CStr;
use std::ops::{ControlFlow, Range};

use crate::db::LookupFlags;
use crate::db::hexpire;
use crate::db::notify::{NotifyFlags, notify_keyspace_event};
use crate::db::object::{Collection, EntryRef, Hash, List, Set, StrRef, Type, ZSet, set};
use crate::ds::numbers;
use crate::ds::quicklist::{Element, End, QuickList};
use crate::server::client::ClientFlags;
use crate::server::{Argv, Client, CmdError, CmdResult, Key, Server};
use crate::types::t_list;

/// Where in a key's name, or that of a field, the element's text goes; and what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pattern<'a> {
    /// `#`: the element itself.
    Element,
    /// `prefix*suffix` or `prefix*suffix->field`: a string, or the field of a hash.
    Key { prefix: &'a [u8], suffix: &'a [u8], field: Option<&'a [u8]> },
    /// A pattern that does not depend on the element. It names nothing.
    Nothing,
}

impl<'a> Pattern<'a> {
    /// Reads a pattern. As upstream has it, asterisk and arrow are looked for up to the first NUL.
    fn parse(pattern: &'a [u8]) -> Pattern<'a> {
        let end = memchr::memchr(0, pattern).unwrap_or(pattern.len());
        if &pattern[..end] == b"#" {
            return Pattern::Element;
        }
        let Some(star) = memchr::memchr(b'*', &pattern[..end]) else { return Pattern::Nothing };
        let (prefix, rest) = (&pattern[..star], &pattern[star + 1..]);
        let arrow = memchr::memmem::find(&pattern[star + 1..end], b"->");
        match arrow.filter(|arrow| star + 1 + arrow + 2 < end) {
            Some(arrow) => Pattern::Key { prefix, suffix: &rest[..arrow], field: Some(&rest[arrow + 2..]) },
            None => Pattern::Key { prefix, suffix: rest, field: None },
        }
    }

    /// Looks up what the pattern names for an element with that text.
    fn with<R>(
        self,
        srv: &mut Server,
        db: usize,
        text: &[u8],
        work: impl FnOnce(Option<StrRef<'_>>) -> R,
    ) -> R {
        let (prefix, suffix, field) = match self {
            Pattern::Element => return work(Some(StrRef::Inline(text))),
            Pattern::Nothing => return work(None),
            Pattern::Key { prefix, suffix, field } => (prefix, suffix, field),
        };
        let name = [prefix, text, suffix].concat();
        let key = srv.key_of(&name);
        let entry = srv.lookup(db, key, LookupFlags::NONE);
        match (entry, field) {
            (Some(entry), None) if entry.value_type() == Type::String => work(Some(entry.string())),
            (Some(entry), Some(_)) if entry.value_type() != Type::Hash => work(None),
            (Some(_), Some(field)) => with_field(srv, db, key, field, work),
            _ => work(None),
        }
    }
}

/// Looks up a field of the hash that the key holds. One that has expired is removed, as other commands do that read it.
fn with_field<R>(
    srv: &mut Server,
    db: usize,
    key: Key<'_>,
    name: &[u8],
    work: impl FnOnce(Option<StrRef<'_>>) -> R,
) -> R {
    let now_ms = srv.clock.expiry_ms as i64;
    let Some(entry) = srv.dbs[db].keys.find(key) else { return work(None) };
    match entry.object::<Hash>().get(name) {
        None => return work(None),
        Some(field) if !field.expired(now_ms) => return work(Some(field.value)),
        Some(_) => {}
    }
    let expired = hexpire::remove_field(srv, db, key, name);
    hexpire::announce(srv, db, key.bytes, expired);
    work(None)
}

/// What the command was told.
#[derive(Debug, PartialEq, Eq)]
struct Options<'a> {
    descending: bool,
    /// Compare texts, not numbers.
    alpha: bool,
    /// Elements to leave out in front, and how many to take; a negative number takes all.
    limit: (i64, i64),
    /// What to sort by, if not by the elements.
    by: Option<Pattern<'a>>,
    /// Whether the present order is to be kept.
    nosort: bool,
    get: Vec<Pattern<'a>>,
    /// The number of the argument that is the key to store to.
    store: Option<usize>,
}

impl<'a> Options<'a> {
    fn parse(argv: &'a Argv, writing: bool) -> Result<Options<'a>, CmdError> {
        let mut options = Options {
            descending: false,
            alpha: false,
            limit: (0, -1),
            by: None,
            nosort: false,
            get: Vec::new(),
            store: None,
        };
        let mut i = 2;
        while i < argv.len() {
            let left = argv.len() - i - 1;
            match argv.get(i).to_ascii_uppercase().as_slice() {
                b"ASC" => options.descending = false,
                b"DESC" => options.descending = true,
                b"ALPHA" => options.alpha = true,
                b"LIMIT" if left >= 2 => {
                    options.limit = (argv.int(i + 1)?, argv.int(i + 2)?);
                    i += 2;
                }
                b"STORE" if left >= 1 && writing => {
                    options.store = Some(i + 1);
                    i += 1;
                }
                b"BY" if left >= 1 => {
                    let pattern = Pattern::parse(argv.get(i + 1));
                    options.by = Some(pattern);
                    options.nosort |= !matches!(pattern, Pattern::Key { .. });
                    i += 1;
                }
                b"GET" if left >= 1 => {
                    options.get.push(Pattern::parse(argv.get(i + 1)));
                    i += 1;
                }
                _ => return Err(CmdError::Syntax),
            }
            i += 1;
        }
        Ok(options)
    }

    /// What LIMIT leaves of so many elements.
    fn range(&self, len: usize) -> Range<usize> {
        let (offset, count) = self.limit;
        let start = usize::try_from(offset).unwrap_or(0).min(len);
        let count = usize::try_from(count).unwrap_or(len);
        start..len.min(start.saturating_add(count))
    }
}

/// A text in a [`Texts`].
#[derive(Clone, Copy, Debug)]
struct Span {
    start: usize,
    len: usize,
}

/// Many texts, each followed by a NUL.
#[derive(Debug, Default)]
struct Texts(Vec<u8>);

impl Texts {
    fn add(&mut self, text: &[u8]) -> Span {
        let start = self.0.len();
        self.0.extend_from_slice(text);
        self.0.push(0);
        Span { start, len: text.len() }
    }

    fn get(&self, span: Span) -> &[u8] {
        &self.0[span.start..span.start + span.len]
    }

    /// The text up to its first NUL, as the locale's comparison takes it.
    fn c_str(&self, span: Span) -> &CStr {
        CStr::from_bytes_until_nul(&self.0[span.start..]).expect("a NUL follows every text")
    }
}

/// What an element is sorted by.
#[derive(Clone, Copy, Debug)]
enum SortKey {
    /// A number.
    Score(f64),
    /// A text.
    Text(Span),
    /// What the pattern names is not there.
    Missing,
}

#[derive(Clone, Copy, Debug)]
struct Item {
    text: Span,
    key: SortKey,
}

/// The elements, and what the comparison has to look at.
#[derive(Debug, Default)]
struct Vector {
    texts: Texts,
    items: Vec<Item>,
    /// Whether the elements are sorted as the numbers that they are.
    numbers: bool,
    /// Whether a text that stands for a number is none.
    not_a_number: bool,
}

impl Vector {
    /// Adds an element. Its key is its number or its text, until it gets another.
    fn add(&mut self, element: Element<'_>) {
        let mut digits = itoa::Buffer::new();
        let text = element.text(&mut digits);
        let span = self.texts.add(text);
        let key = match element {
            _ if !self.numbers => SortKey::Text(span),
            Element::Integer(value) => SortKey::Score(value as f64),
            _ => SortKey::Score(self.score(text)),
        };
        self.items.push(Item { text: span, key });
    }

    /// Adds those elements of a value that `range` names, in its own order or backwards. A set's order is arbitrary, and
    /// not turned round.
    fn load(&mut self, entry: EntryRef<'_>, range: Range<usize>, backwards: bool) {
        self.items.reserve(range.len());
        match entry.value_type() {
            Type::List => self.load_list(&entry.object::<List>(), range, backwards),
            Type::Set => entry.object::<Set>().iter().for_each(|member| match member {
                set::Item::Integer(value) => self.add(Element::Integer(value)),
                set::Item::Bytes(text) => self.add(Element::String(text)),
            }),
            Type::ZSet => self.load_sorted_set(&entry.object::<ZSet>(), range, backwards),
            other => unreachable!("{other:?} is not sorted"),
        }
    }

    fn load_list(&mut self, list: &List, range: Range<usize>, backwards: bool) {
        let add = |element: Element<'_>| {
            self.add(element);
            ControlFlow::Continue(())
        };
        if backwards { list.visit_back(turned(range, list.len()), add) } else { list.visit(range, add) }
    }

    fn load_sorted_set(&mut self, set: &ZSet, range: Range<usize>, backwards: bool) {
        let add = |(member, _)| self.add(Element::from(member));
        if backwards {
            set.range(turned(range, set.len())).rev().for_each(add);
        } else {
            set.range(range).for_each(add);
        }
    }

    /// Looks up what the elements are sorted by.
    fn look_up_keys(&mut self, srv: &mut Server, db: usize, pattern: Pattern<'_>, alpha: bool) {
        for i in 0..self.items.len() {
            let element = self.texts.get(self.items[i].text).to_vec();
            self.items[i].key = pattern.with(srv, db, &element, |found| match found {
                None if alpha => SortKey::Missing,
                None => SortKey::Score(0.0),
                Some(value) if alpha => SortKey::Text(self.texts.add(value.bytes(&mut itoa::Buffer::new()))),
                Some(value) => SortKey::Score(self.score(value.bytes(&mut itoa::Buffer::new()))),
            });
        }
    }

    /// The number that a text stands for.
    fn score(&mut self, text: &[u8]) -> f64 {
        let score = numbers::parse_score_bound(text);
        self.not_a_number |= score.is_none();
        score.unwrap_or(0.0)
    }

    /// Sorts as far as is needed for the items in `range` to be the right ones.
    fn sort(&mut self, range: &Range<usize>, descending: bool, collate: bool) {
        let Vector { texts, items, .. } = self;
        let turn = |ordering: Ordering| if descending { ordering.reverse() } else { ordering };
        if matches!(items.first(), Some(Item { key: SortKey::Score(_), .. })) {
            sort_part(items, range, |a, b| turn(compare_scores(texts, a, b)));
        } else if collate {
            // What the locale takes for equal keeps its order.
            items.sort_by(|a, b| turn(compare_texts(a, b, |a, b| strcoll(texts.c_str(a), texts.c_str(b)))));
        } else {
            items.sort_by(|a, b| turn(compare_texts(a, b, |a, b| texts.get(a).cmp(texts.get(b)))));
        }
    }
}

/// The same range, counted from the other end.
fn turned(range: Range<usize>, len: usize) -> Range<usize> {
    len - range.end..len - range.start
}

/// Elements of the same score are in the order of their texts, so that the outcome is the same every time.
fn compare_scores(texts: &Texts, a: &Item, b: &Item) -> Ordering {
    let (SortKey::Score(x), SortKey::Score(y)) = (a.key, b.key) else {
        unreachable!("all keys are of one kind")
    };
    // No score is a NaN.
    x.partial_cmp(&y).unwrap_or(Ordering::Equal).then_with(|| texts.get(a.text).cmp(texts.get(b.text)))
}

/// What has no text comes first.
fn compare_texts(a: &Item, b: &Item, compare: impl Fn(Span, Span) -> Ordering) -> Ordering {
    match (a.key, b.key) {
        (SortKey::Text(a), SortKey::Text(b)) => compare(a, b),
        (a, b) => matches!(a, SortKey::Text(_)).cmp(&matches!(b, SortKey::Text(_))),
    }
}

/// Compares by the rules of the locale.
fn strcoll(a: &CStr, b: &CStr) -> Ordering {
    // SAFETY: both are C strings. The locale is set by this, the main thread only.
    unsafe { libc::strcoll(a.as_ptr(), b.as_ptr()) }.cmp(&0)
}

/// Puts those items into place that belong into `range`, by an order in which none are equal unless they are the same.
fn sort_part(items: &mut [Item], range: &Range<usize>, compare: impl Fn(&Item, &Item) -> Ordering) {
    let mut part = &mut items[..];
    if range.is_empty() {
        return;
    }
    if range.end < part.len() {
        part = part.select_nth_unstable_by(range.end, &compare).0;
    }
    if range.start > 0 {
        part.select_nth_unstable_by(range.start, &compare);
        part = &mut part[range.start..];
    }
    part.sort_unstable_by(&compare);
}

/// `SORT key [BY pattern] [LIMIT offset count] [GET pattern ...] [ASC | DESC] [ALPHA] [STORE destination]`
pub fn sort(srv: &mut Server, c: &mut Client) -> CmdResult {
    run(srv, c, true)
}

/// `SORT_RO key [BY pattern] [LIMIT offset count] [GET pattern ...] [ASC | DESC] [ALPHA]`
pub fn sort_ro(srv: &mut Server, c: &mut Client) -> CmdResult {
    run(srv, c, false)
}

fn run(srv: &mut Server, c: &mut Client, writing: bool) -> CmdResult {
    let mut options = Options::parse(&c.argv, writing)?;
    let (vector, range) = sorted(srv, c, &mut options)?;
    if vector.not_a_number {
        return Err(CmdError::text("ERR One or more scores can't be converted into double"));
    }
    let items = &vector.items[range];
    match options.store {
        Some(argument) => {
            let destination = c.argv.key(argument);
            let stored = store(srv, c.db, destination, &vector.texts, items, &options.get);
            c.out.count(stored);
        }
        None => {
            c.out.array(items.len() * options.get.len().max(1));
            for item in items {
                let text = vector.texts.get(item.text);
                if options.get.is_empty() {
                    c.out.bulk(text);
                }
                for pattern in &options.get {
                    pattern.with(srv, c.db, text, |found| match found {
                        Some(value) => value.write_to(&mut c.out),
                        None => c.out.null(),
                    });
                }
            }
        }
    }
    Ok(())
}

/// The elements in the order that is asked for, and which of them.
fn sorted(
    srv: &mut Server,
    c: &Client,
    options: &mut Options<'_>,
) -> Result<(Vector, Range<usize>), CmdError> {
    let mut vector = Vector::default();
    let key = c.argv.key(1);
    let Some(entry) = srv.lookup(c.db, key, LookupFlags::NONE) else { return Ok((vector, 0..0)) };
    let len = match entry.value_type() {
        Type::List => entry.object::<List>().len(),
        Type::Set => entry.object::<Set>().len(),
        Type::ZSet => entry.object::<ZSet>().len(),
        Type::String | Type::Hash | Type::Stream => return Err(CmdError::WrongType),
    };
    let mut range = options.range(len);
    let is_set = entry.value_type() == Type::Set;
    // What is stored, or seen by a script, must not depend on the order in which a table happens to hold it.
    if options.nosort && is_set && (options.store.is_some() || c.flags.contains(ClientFlags::SCRIPT)) {
        (options.nosort, options.alpha, options.by) = (false, true, None);
    }
    vector.numbers = !options.nosort && !options.alpha && options.by.is_none();
    if options.nosort && !is_set {
        vector.load(entry, range.clone(), options.descending);
        range = 0..range.len();
    } else {
        vector.load(entry, 0..len, false);
    }
    make_skiplist(srv, c.db, key);
    if !options.nosort {
        if let Some(pattern) = options.by {
            vector.look_up_keys(srv, c.db, pattern, options.alpha);
        }
        vector.sort(&range, options.descending, options.store.is_none());
    }
    Ok((vector, range))
}

/// Gives a sorted set the encoding that upstream gives it for sorting, and leaves it with.
fn make_skiplist(srv: &mut Server, db: usize, key: Key<'_>) {
    if let Some(mut entry) = srv.dbs[db].keys.find_mut(key)
        && entry.view().value_type() == Type::ZSet
    {
        entry.object_mut::<ZSet>().make_index();
    }
}

/// Stores the outcome as a list, or deletes the key if there is none. Returns the length of the list.
fn store(
    srv: &mut Server,
    db: usize,
    destination: Key<'_>,
    texts: &Texts,
    items: &[Item],
    get: &[Pattern<'_>],
) -> usize {
    let limits = t_list::limits(srv);
    let mut list = List::Quicklist(Box::new(QuickList::new(limits)));
    for item in items {
        let text = texts.get(item.text);
        if get.is_empty() {
            list.push(End::Tail, Element::String(text));
        }
        for pattern in get {
            pattern.with(srv, db, text, |found| match found {
                Some(StrRef::Shared(block)) => list.push(End::Tail, Element::Block(block)),
                Some(value) => {
                    list.push(End::Tail, Element::String(value.bytes(&mut itoa::Buffer::new())));
                }
                None => list.push(End::Tail, Element::String(b"")),
            });
        }
    }
    let len = list.len();
    if len > 0 {
        list.settle(&limits);
        srv.set_object(db, destination, list);
        notify_keyspace_event(srv, NotifyFlags::LIST, "sortstore", destination.bytes, db);
        srv.dirty(len);
    } else if srv.delete(db, destination) {
        srv.signal_modified(db, destination.bytes, 1);
        notify_keyspace_event(srv, NotifyFlags::GENERIC, "del", destination.bytes, db);
    }
    len
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_name_keys_and_fields() {
        let key = |prefix: &'static str, suffix: &'static str, field: Option<&'static str>| Pattern::Key {
            prefix: prefix.as_bytes(),
            suffix: suffix.as_bytes(),
            field: field.map(str::as_bytes),
        };
        for (pattern, expected) in [
            ("#", Pattern::Element),
            ("##", Pattern::Nothing),
            ("nosort", Pattern::Nothing),
            ("", Pattern::Nothing),
            ("a\0*", Pattern::Nothing),
            ("*", key("", "", None)),
            ("w_*", key("w_", "", None)),
            ("w_*_x*", key("w_", "_x*", None)),
            ("h*->f", key("h", "", Some("f"))),
            ("h*x->f->g", key("h", "x", Some("f->g"))),
            ("h*->", key("h", "->", None)),
            ("h->f*", key("h->f", "", None)),
        ] {
            assert_eq!(Pattern::parse(pattern.as_bytes()), expected, "{pattern}");
        }
    }

    #[test]
    fn limits_are_cut_to_what_there_is() {
        for (limit, expected) in [
            ((0, -1), 0..5),
            ((1, 2), 1..3),
            ((-3, 2), 0..2),
            ((3, 100), 3..5),
            ((3, 0), 3..3),
            ((9, 1), 5..5),
            ((2, i64::MAX), 2..5),
            ((i64::MAX, i64::MIN), 5..5),
        ] {
            let argv = Argv::from_args(&["sort", "key", "limit", &limit.0.to_string(), &limit.1.to_string()]);
            assert_eq!(Options::parse(&argv, true).unwrap().range(5), expected, "{limit:?}");
        }
    }

    #[test]
    fn a_part_is_what_it_is_in_the_whole() {
        let mut vector = Vector { numbers: true, ..Vector::default() };
        (0..200i64).for_each(|n| vector.add(Element::Integer(n * 7919 % 101)));
        let texts = |vector: &Vector| -> Vec<Vec<u8>> {
            vector.items.iter().map(|item| vector.texts.get(item.text).to_vec()).collect()
        };
        for descending in [false, true] {
            vector.sort(&(0..200), descending, false);
            let whole = texts(&vector);
            for range in [0..10, 50..60, 190..200, 0..0, 7..8] {
                vector.items.rotate_left(37);
                vector.sort(&range, descending, false);
                assert_eq!(texts(&vector)[range.clone()], whole[range]);
            }
        }
        assert!(!vector.not_a_number);
    }
}
