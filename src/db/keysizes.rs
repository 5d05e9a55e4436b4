//! How large keys are: for each type of a database, a histogram of the lengths of its values (INFO keysizes).
//!
//! The length of a string is its bytes, of anything else its elements; bin 0 counts empty strings, bin `i` lengths from
//! `2^(i-1)` up to the next power of two. Streams have no histogram, as upstream.
//!
//! Nobody has to keep this up to date by hand: [`KvStore`](super::kvstore::KvStore) adds a key's length when an entry
//! comes, takes it off when one goes, and moves it when a change ends through [`EntryMut`](super::kvstore::EntryMut).
//! That costs two lengths a change, which all types have at hand, and touches the histogram only when they fall into
//! different bins.

use crate::db::object::Type;

/// Lengths go up to 2^59: upstream's `MAX_KEYSIZES_BINS`.
const BINS: usize = 60;

/// The types with a histogram, and what INFO calls it.
const KINDS: [(Type, &str); 5] = [
    (Type::String, "strings_sizes"),
    (Type::List, "lists_items"),
    (Type::Set, "sets_items"),
    (Type::ZSet, "zsets_items"),
    (Type::Hash, "hashes_items"),
];

/// Histograms of the lengths of keys. See the [module](self).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keysizes {
    bins: Box<[[u64; BINS]; KINDS.len()]>,
}

impl Default for Keysizes {
    fn default() -> Keysizes {
        Keysizes { bins: Box::new([[0; BINS]; KINDS.len()]) }
    }
}

impl Keysizes {
    /// A key of this type came (`None` before), went (`None` after) or changed its length.
    #[inline]
    pub fn update(&mut self, value_type: Type, before: Option<usize>, after: Option<usize>) {
        let (before, after) = (before.map(bin), after.map(bin));
        if before == after {
            return;
        }
        let Some(bins) = self.bins.get_mut(value_type as usize) else { return };
        if let Some(bin) = before {
            debug_assert!(bins[bin] > 0, "a {value_type:?} of bin {bin} goes that never came");
            bins[bin] = bins[bin].saturating_sub(1);
        }
        if let Some(bin) = after {
            bins[bin] += 1;
        }
    }

    /// Writes the lines of INFO for database `db`.
    pub fn write_info(&self, db: usize, out: &mut String) {
        for ((_, name), bins) in KINDS.iter().zip(self.bins.iter()) {
            let mut separator = format!("db{db}_distrib_{name}:");
            for (bin, count) in bins.iter().enumerate().filter(|(_, count)| **count > 0) {
                out.push_str(&format!("{separator}{}={count}", label(bin)));
                separator.replace_range(.., ",");
            }
            if separator == "," {
                out.push_str("\r\n");
            }
        }
    }
}

/// The bin of a length.
#[inline]
fn bin(len: usize) -> usize {
    ((usize::BITS - len.leading_zeros()) as usize).min(BINS - 1)
}

/// The first length of a bin, with the letter of its thousands (of 1,024).
fn label(bin: usize) -> String {
    const LETTERS: [&str; 6] = ["", "K", "M", "G", "T", "P"];
    match bin.checked_sub(1) {
        None => "0".into(),
        Some(power) => format!("{}{}", 1 << (power % 10), LETTERS[power / 10]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(sizes: &Keysizes) -> String {
        let mut out = String::new();
        sizes.write_info(3, &mut out);
        out
    }

    #[test]
    fn types_are_in_the_order_of_their_numbers() {
        for (index, (value_type, _)) in KINDS.iter().enumerate() {
            assert_eq!(*value_type as usize, index);
        }
    }

    #[test]
    fn lengths_fall_into_powers_of_two() {
        let mut sizes = Keysizes::default();
        assert_eq!(info(&sizes), "");
        for len in [0, 0, 1, 2, 3, 4, 1023, 1024, 3 << 20, usize::MAX] {
            sizes.update(Type::String, None, Some(len));
        }
        assert_eq!(info(&sizes), "db3_distrib_strings_sizes:0=2,1=1,2=2,4=1,512=1,1K=1,2M=1,256P=1\r\n");
        sizes.update(Type::String, Some(3), Some(2));
        sizes.update(Type::String, Some(0), None);
        sizes.update(Type::String, Some(1024), Some(0));
        sizes.update(Type::Hash, None, Some(5));
        sizes.update(Type::Stream, None, Some(5));
        assert_eq!(
            info(&sizes),
            "db3_distrib_strings_sizes:0=2,1=1,2=2,4=1,512=1,2M=1,256P=1\r\ndb3_distrib_hashes_items:4=1\r\n"
        );
    }
}
