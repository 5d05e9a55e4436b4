//! The value of a list.
//!
//! A list begins as one bare listpack and becomes a [`QuickList`] when that exceeds what a node may hold. It becomes a
//! listpack again when, having shrunk, it consists of one node of at most half that: see [`Limits::fits_listpack`]. Upstream
//! decides both at set moments of each command, not whenever the size changes; so these are methods that commands call.

use std::ops::{ControlFlow, Range};

use super::collection::object_type;
use super::{Collection, Encoding, Type};
use crate::ds::listpack::Listpack;
use crate::ds::quicklist::{
    Element, End, Limits, Needle, QuickList, Side, remove_from_listpack, visit_listpack, visit_listpack_back,
};

/// A list.
#[derive(Debug, Clone)]
pub enum List {
    /// All in one listpack.
    Listpack(Listpack),
    /// Many listpacks.
    Quicklist(Box<QuickList>),
}

object_type! { List: Type::List {
    Listpack(Listpack) = Encoding::Listpack,
    Quicklist(Box<QuickList>) = Encoding::Quicklist,
} }

impl Collection for List {
    fn mem_bytes(&self, samples: usize) -> usize {
        match self {
            List::Listpack(list) => list.capacity(),
            List::Quicklist(list) => list.mem_estimate(if samples == 0 { usize::MAX } else { samples }),
        }
    }

    fn free_effort(&self) -> usize {
        match self {
            List::Listpack(_) => 1,
            List::Quicklist(list) => list.nodes().len(),
        }
    }

    fn len(&self) -> usize {
        match self {
            List::Listpack(list) => list.len(),
            List::Quicklist(list) => list.len(),
        }
    }
}

impl Default for List {
    fn default() -> List {
        List::new()
    }
}

impl List {
    /// The empty list.
    pub fn new() -> List {
        List::Listpack(Listpack::new())
    }

    // ---- conversion ----

    /// To be called before `count` elements are added whose texts have so many `bytes` together.
    pub fn grow(&mut self, limits: &Limits, count: usize, bytes: usize) {
        if let List::Listpack(list) = self
            && limits.exceeded(list.as_bytes().len() + bytes, list.len() + count)
        {
            let mut quicklist = Box::new(QuickList::new(*limits));
            quicklist.append_listpack(std::mem::take(list));
            *self = List::Quicklist(quicklist);
        }
    }

    /// To be called after elements were removed from the list, if any are left.
    pub fn shrink(&mut self, limits: &Limits) {
        self.unwrap_if_small(limits, true);
    }

    /// To be called after a list was built: it takes the form that is right for its size.
    pub fn settle(&mut self, limits: &Limits) {
        self.grow(limits, 0, 0);
        self.unwrap_if_small(limits, false);
    }

    fn unwrap_if_small(&mut self, limits: &Limits, shrinking: bool) {
        if let List::Quicklist(list) = self
            && let Some(node) = list.as_listpack()
            && limits.fits_listpack(node.as_bytes().len(), list.len(), shrinking)
            && let Some(node) = list.take_listpack()
        {
            *self = List::Listpack(node);
        }
    }

    // ---- the ends ----

    /// Adds an element at that end; [`List::grow`] comes first.
    #[inline]
    pub fn push(&mut self, end: End, element: Element<'_>) {
        match (self, end) {
            (List::Quicklist(list), end) => list.push(end, element),
            (List::Listpack(list), End::Head) => list.prepend(element.value()),
            (List::Listpack(list), End::Tail) => list.append(element.value()),
        }
    }

    /// Removes the element at that end, after it was read.
    #[inline]
    pub fn pop<R>(&mut self, end: End, read: impl FnOnce(Element<'_>) -> R) -> Option<R> {
        match self {
            List::Quicklist(list) => list.pop(end, read),
            List::Listpack(list) => {
                let position = match end {
                    End::Head => list.first(),
                    End::Tail => list.last(),
                }?;
                let result = read(list.get(position).into());
                list.delete(position);
                Some(result)
            }
        }
    }

    // ---- reading ----

    /// Reads the element with that index.
    pub fn get<R>(&self, index: usize, read: impl FnOnce(Element<'_>) -> R) -> Option<R> {
        match self {
            List::Quicklist(list) => list.get(index, read),
            List::Listpack(list) => list.seek(index as i64).map(|position| read(list.get(position).into())),
        }
    }

    /// Visits the elements of these indexes, from head to tail, until told to break.
    #[inline]
    pub fn visit(&self, range: Range<usize>, mut visit: impl FnMut(Element<'_>) -> ControlFlow<()>) {
        match self {
            List::Quicklist(list) => list.visit(range, visit),
            List::Listpack(list) => drop(visit_listpack(list, range.start, range.len(), &mut visit)),
        }
    }

    /// Visits the elements of these indexes, all of which there are, from tail to head, until told to break.
    pub fn visit_back(&self, range: Range<usize>, mut visit: impl FnMut(Element<'_>) -> ControlFlow<()>) {
        match self {
            List::Quicklist(list) => list.visit_back(range, visit),
            List::Listpack(_) if range.is_empty() => {}
            List::Listpack(list) => drop(visit_listpack_back(list, range.end - 1, range.len(), &mut visit)),
        }
    }

    /// The index of the first element with this text.
    pub fn position(&self, needle: &Needle<'_>) -> Option<usize> {
        let mut index = 0;
        let mut found = None;
        self.visit(0..self.len(), |element| {
            if needle.is(element) {
                found = Some(index);
                return ControlFlow::Break(());
            }
            index += 1;
            ControlFlow::Continue(())
        });
        found
    }

    // ---- changes ----

    /// Adds an element beside the one with that index, which there is; [`List::grow`] comes first.
    pub fn insert(&mut self, index: usize, side: Side, element: Element<'_>) {
        match self {
            List::Quicklist(list) => list.insert(index, side, element),
            List::Listpack(list) => {
                let position = list.seek(index as i64).expect("there is an element to insert beside of");
                match side {
                    Side::Before => list.insert_before(position, element.value()),
                    Side::After => list.insert_after(position, element.value()),
                };
            }
        }
    }

    /// Gives the element with that index another value; [`List::grow`] comes first. Returns whether there is one.
    pub fn replace(&mut self, index: usize, element: Element<'_>) -> bool {
        match self {
            List::Quicklist(list) => list.replace(index, element),
            List::Listpack(list) => {
                let position = list.seek(index as i64);
                position.inspect(|&position| list.replace(position, element.value())).is_some()
            }
        }
    }

    /// Removes up to `count` elements from that index on.
    pub fn delete_range(&mut self, index: usize, count: usize) {
        match self {
            List::Quicklist(list) => list.delete_range(index, count),
            List::Listpack(list) => list.delete_range(index as i64, count),
        }
    }

    /// Removes elements with this text, up to `most` of them, beginning at that end. Returns how many.
    pub fn remove(&mut self, needle: &Needle<'_>, most: usize, end: End) -> usize {
        match self {
            List::Quicklist(list) => list.remove(needle, most, end),
            List::Listpack(list) => remove_from_listpack(list, needle, most, end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::object::Object;

    fn pushed(list: &mut List, limits: &Limits, texts: &[&[u8]]) {
        list.grow(limits, texts.len(), texts.iter().map(|text| text.len()).sum());
        texts.iter().for_each(|text| list.push(End::Tail, Element::String(text)));
    }

    fn texts(list: &List) -> Vec<Vec<u8>> {
        let mut texts = Vec::new();
        list.visit(0..list.len(), |element| {
            texts.push(element.to_bytes().to_vec());
            ControlFlow::Continue(())
        });
        texts
    }

    #[test]
    fn grows_by_number() {
        let limits = Limits::new(3, 0);
        let mut list = List::new();
        pushed(&mut list, &limits, &[b"a", b"b", b"c"]);
        assert_eq!(list.encoding(), Encoding::Listpack);
        pushed(&mut list, &limits, &[b"d"]);
        assert_eq!(list.encoding(), Encoding::Quicklist);
        assert_eq!(texts(&list), [b"a", b"b", b"c", b"d"]);
    }

    #[test]
    fn grows_by_size_before_the_elements_come() {
        let limits = Limits::new(-1, 0);
        let text = vec![b'x'; 2000];
        let mut list = List::new();
        pushed(&mut list, &limits, &[&text, &text]);
        assert_eq!(list.encoding(), Encoding::Listpack);
        // A header of seven bytes, and two elements with four about their text: with 82 more, 4097.
        list.grow(&limits, 1, 81);
        assert_eq!(list.encoding(), Encoding::Listpack);
        list.grow(&limits, 1, 82);
        assert_eq!(list.encoding(), Encoding::Quicklist);
        assert_eq!(list.len(), 2);
    }

    #[test]
    fn shrinks_at_half_the_limit() {
        let limits = Limits::new(4, 0);
        let mut list = List::new();
        pushed(&mut list, &limits, &[b"a", b"b", b"c", b"d", b"e"]);
        for expected in [Encoding::Quicklist, Encoding::Quicklist, Encoding::Listpack, Encoding::Listpack] {
            list.pop(End::Tail, |_| ()).unwrap();
            list.shrink(&limits);
            assert_eq!(list.encoding(), expected);
        }
        assert_eq!(texts(&list), [b"a"]);
    }

    #[test]
    fn several_nodes_stay_a_quicklist() {
        let limits = Limits::new(2, 0);
        let mut list = List::new();
        pushed(&mut list, &limits, &[b"a", b"b", b"c"]);
        list.delete_range(0, 1);
        list.shrink(&limits);
        // Two nodes of one element each.
        assert_eq!((list.encoding(), list.len()), (Encoding::Quicklist, 2));
        list.delete_range(0, 1);
        list.shrink(&limits);
        assert_eq!((list.encoding(), list.len()), (Encoding::Listpack, 1));
    }

    #[test]
    fn a_built_list_settles_at_the_whole_limit() {
        let limits = Limits::new(4, 0);
        let mut list = List::Quicklist(Box::new(QuickList::new(limits)));
        (0..4).for_each(|value| list.push(End::Tail, Element::Integer(value)));
        list.settle(&limits);
        assert_eq!(list.encoding(), Encoding::Listpack);
        list.push(End::Tail, Element::Integer(4));
        list.settle(&limits);
        assert_eq!(list.encoding(), Encoding::Quicklist);
    }

    #[test]
    fn forms_answer_alike() {
        for limits in [Limits::new(100, 0), Limits::new(3, 0), Limits::new(1, 1)] {
            let mut list = List::new();
            pushed(&mut list, &limits, &[b"a", b"1", b"a", b"-7", b"b", b"a"]);
            assert_eq!(list.position(&Needle::new(b"-7")), Some(3));
            assert_eq!(list.position(&Needle::new(b"c")), None);
            list.insert(3, Side::Before, Element::String(b"p"));
            list.insert(6, Side::After, Element::String(b"q"));
            assert!(list.replace(1, Element::Integer(2)) && !list.replace(8, Element::Integer(2)));
            assert_eq!(texts(&list), [&b"a"[..], b"2", b"a", b"p", b"-7", b"b", b"a", b"q"]);
            assert_eq!(list.remove(&Needle::new(b"a"), 2, End::Tail), 2);
            assert_eq!(list.remove(&Needle::new(b"q"), 1, End::Head), 1);
            assert_eq!(texts(&list), [&b"a"[..], b"2", b"p", b"-7", b"b"]);
            let mut back = Vec::new();
            list.visit_back(1..4, |element| {
                back.push(element.to_bytes().to_vec());
                ControlFlow::Continue(())
            });
            assert_eq!(back, [&b"-7"[..], b"p", b"2"]);
            assert_eq!(list.get(4, |element| element.len()), Some(1));
            assert_eq!(list.get(5, |element| element.len()), None);
            assert_eq!(list.pop(End::Head, |element| element.to_bytes()), Some("a".into()));
            list.delete_range(0, 10);
            assert!(list.is_empty() && list.pop(End::Tail, |_| ()).is_none());
        }
    }
}
