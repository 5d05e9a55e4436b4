//! Sorting a part of a list: as much as is needed to show the nearest few of many.
//!
//! This is Bentley and McIlroy's quicksort ("Engineering a Sort Function", 1993), which keeps off the parts that lie wholly outside
//! of the range asked for. The standard library has faster ways to the same end. But elements that compare as equal come out
//! in an order that depends on the pivots and the swaps, clients see it, and it decides which of several at the same distance
//! are shown. So pivots and swaps here are those of the paper, as in the C libraries of the BSDs and in upstream.

use std::cmp::Ordering;
use std::ops::Range;

/// Lists shorter than this are sorted by insertion.
const INSERTION_MAX: usize = 7;

/// In lists longer than this the pivot is the median of nine, else of three.
const NINTHER_MIN: usize = 40;

/// Brings the elements that belong into `range` of the sorted list there, in order. The others are on the proper side of it,
/// in some order.
pub fn sort_range<T>(items: &mut [T], range: Range<usize>, compare: &mut impl FnMut(&T, &T) -> Ordering) {
    let (mut items, mut range) = (items, range);
    while items.len() >= INSERTION_MAX {
        let len = items.len();
        let (less, greater) = partition(items, compare);
        let is_wanted = |part: &Range<usize>| {
            part.len() > 1 && part.start < range.end && range.start < part.end && !range.is_empty()
        };
        let shifted = |by: usize| range.start.saturating_sub(by)..range.end.saturating_sub(by);
        let left = Some(0..less).filter(is_wanted);
        let right = Some(len - greater..len).filter(is_wanted);
        // The larger part is gone on with, so that the stack grows with the logarithm only.
        match (left, right) {
            (None, None) => return,
            (Some(left), None) => items = &mut items[left],
            (None, Some(right)) => {
                range = shifted(right.start);
                items = &mut items[right];
            }
            (Some(left), Some(right)) => {
                let (in_left, in_right) = (range.clone(), shifted(right.start));
                let left_is_larger = left.len() > right.len();
                let (left_items, rest) = items.split_at_mut(left.end);
                let right_items = &mut rest[right.start - left.end..];
                if left_is_larger {
                    sort_range(right_items, in_right, compare);
                    (items, range) = (left_items, in_left);
                } else {
                    sort_range(left_items, in_left, compare);
                    (items, range) = (right_items, in_right);
                }
            }
        }
    }
    sort_by_insertion(items, compare);
}

fn sort_by_insertion<T>(items: &mut [T], compare: &mut impl FnMut(&T, &T) -> Ordering) {
    for end in 1..items.len() {
        let mut at = end;
        while at > 0 && compare(&items[at - 1], &items[at]).is_gt() {
            items.swap(at, at - 1);
            at -= 1;
        }
    }
}

/// Which of three elements is the median.
fn median<T>(items: &[T], [a, b, c]: [usize; 3], compare: &mut impl FnMut(&T, &T) -> Ordering) -> usize {
    let mut order = |x: usize, y: usize| compare(&items[x], &items[y]);
    if order(a, b).is_lt() {
        if order(b, c).is_lt() {
            b
        } else if order(a, c).is_lt() {
            c
        } else {
            a
        }
    } else if order(b, c).is_gt() {
        b
    } else if order(a, c).is_lt() {
        a
    } else {
        c
    }
}

/// The element by which a list is divided.
fn pivot<T>(items: &[T], compare: &mut impl FnMut(&T, &T) -> Ordering) -> usize {
    let len = items.len();
    let (mut first, mut middle, mut last) = (0, len / 2, len - 1);
    if len > NINTHER_MIN {
        let eighth = len / 8;
        first = median(items, [first, first + eighth, first + 2 * eighth], compare);
        middle = median(items, [middle - eighth, middle, middle + eighth], compare);
        last = median(items, [last - 2 * eighth, last - eighth, last], compare);
    }
    if len > INSERTION_MAX { median(items, [first, middle, last], compare) } else { middle }
}

/// Divides a list by a pivot: what is less comes first, what is greater last, and what is equal lies in between. Returns
/// the number of those that are less and of those that are greater.
///
/// On the way those that are equal are gathered at both ends:
///
/// ```text
///     0        a         b          c         d       len
///     │ equal  │ less    │ unknown  │ greater │ equal │        (c and d are the last of theirs)
/// ```
fn partition<T>(items: &mut [T], compare: &mut impl FnMut(&T, &T) -> Ordering) -> (usize, usize) {
    let len = items.len();
    items.swap(0, pivot(items, compare));
    let (mut a, mut b, mut c, mut d) = (1, 1, len - 1, len - 1);
    loop {
        while b <= c {
            match compare(&items[b], &items[0]) {
                Ordering::Greater => break,
                Ordering::Equal => {
                    items.swap(a, b);
                    a += 1;
                }
                Ordering::Less => {}
            }
            b += 1;
        }
        while b <= c {
            match compare(&items[c], &items[0]) {
                Ordering::Less => break,
                Ordering::Equal => {
                    items.swap(c, d);
                    d -= 1;
                }
                Ordering::Greater => {}
            }
            c -= 1;
        }
        if b > c {
            break;
        }
        items.swap(b, c);
        b += 1;
        c -= 1;
    }
    let (less, greater) = (b - a, d - c);
    swap_blocks(items, 0, b, a.min(less));
    swap_blocks(items, b, len, greater.min(len - 1 - d));
    (less, greater)
}

/// Exchanges `count` elements from `start` on with the last `count` before `end`.
fn swap_blocks<T>(items: &mut [T], start: usize, end: usize, count: usize) {
    for i in 0..count {
        items.swap(start + i, end - count + i);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_range_is_that_of_the_sorted_list(
            items in proptest::collection::vec(0u8..50, 0..300),
            ends in (0usize..310, 0usize..310),
        ) {
            let range = ends.0.min(ends.1).min(items.len())..ends.0.max(ends.1).min(items.len());
            let mut sorted = items.clone();
            sorted.sort_unstable();
            let mut partly = items;
            sort_range(&mut partly, range.clone(), &mut u8::cmp);
            prop_assert_eq!(&partly[range.clone()], &sorted[range.clone()]);
            partly.sort_unstable();
            prop_assert_eq!(partly, sorted);
        }
    }

    #[test]
    fn sorted_and_equal_lists_need_no_deep_stack() {
        let mut items: Vec<u32> = (0..200_000).collect();
        sort_range(&mut items, 0..200_000, &mut u32::cmp);
        items.reverse();
        sort_range(&mut items, 0..200_000, &mut u32::cmp);
        assert!(items.is_sorted());
        sort_range(&mut vec![1; 200_000], 0..10, &mut u32::cmp);
    }
}
