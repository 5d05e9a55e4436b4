//! LCS: the longest common subsequence of two strings.
//!
//! The textbook's table says in `L[p][q]` how long the longest common subsequence of the first `p` bytes of one string
//! and the first `q` of the other is. In a row, neighbours differ by 0 or 1, so that a row is a row of bits; and
//! a row follows from the one before with a few operations a word (Crochemore, Iliopoulos, Pinzon and Reid 2001, Hyyrö
//! 2004): with `V` the bits that are 0 where `L` grows, and `M` those of the positions that hold the next byte,
//!
//! ```text
//!   V' = (V + (V & M)) | (V & !M)
//! ```
//!
//! So the table takes a bit where it used to take four bytes, and an addition where it took 64 comparisons. If only
//! the length is asked for, one row is enough.
//!
//! The subsequence is not unique. Which one is found, and so which ranges IDX shows, is decided on the way back from
//! the table's far corner: on a match go back in both strings; else go back in the first if that leaves more in common
//! than going back in the second, and in the second otherwise. The `L` of two neighbouring rows that this compares are
//! counted out of their bits. Limits and errors are upstream's, although the memory that they speak of is not needed.

use crate::db::object::StrRef;
use crate::server::{Client, CmdError, CmdResult, Key, Out, Server};
use crate::types::StringValue;

/// Bytes of a cell of the table that upstream's limit is about.
const CELL_BYTES: u64 = 4;

/// What is asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    len_only: bool,
    ranges: bool,
    with_len: bool,
    min_len: usize,
}

impl Options {
    fn parse(c: &Client) -> Result<Options, CmdError> {
        let mut options = Options::default();
        let mut i = 3;
        while i < c.argv.len() {
            match c.argv.get(i).to_ascii_uppercase().as_slice() {
                b"LEN" => options.len_only = true,
                b"IDX" => options.ranges = true,
                b"WITHMATCHLEN" => options.with_len = true,
                b"MINMATCHLEN" if i + 1 < c.argv.len() => {
                    i += 1;
                    options.min_len = c.argv.int(i)?.max(0) as usize;
                }
                _ => return Err(CmdError::Syntax),
            }
            i += 1;
        }
        if options.len_only && options.ranges {
            return Err(CmdError::text("ERR If you want both the length and indexes, please just use IDX."));
        }
        Ok(options)
    }
}

/// `LCS key1 key2 [LEN] [IDX] [MINMATCHLEN n] [WITHMATCHLEN]`
pub fn lcs(srv: &mut Server, c: &mut Client) -> CmdResult {
    let (a, b) = (fetch(srv, c.db, c.argv.key(1)), fetch(srv, c.db, c.argv.key(2)));
    let (Ok(a), Ok(b)) = (a, b) else {
        return Err(CmdError::text("ERR The specified keys must contain string values"));
    };
    let options = Options::parse(c)?;
    check_size(a.len(), b.len(), srv.config.proto_max_bulk_len)?;
    if options.len_only {
        c.out.count(length(&a, &b));
        return Ok(());
    }
    let runs = runs(&a, &b);
    if options.ranges {
        reply_ranges(&mut c.out, &options, &runs);
    } else {
        let bytes: Vec<u8> = runs.iter().rev().flat_map(|run| &a[run.a..run.a + run.len]).copied().collect();
        c.out.bulk(&bytes);
    }
    Ok(())
}

/// A copy (a reference, if it is a block) of the string; it is empty if there is none.
fn fetch(srv: &mut Server, db: usize, key: Key<'_>) -> Result<bytes::Bytes, CmdError> {
    Ok(srv.lookup_read::<StringValue>(db, key)?.map(StrRef::to_bytes).unwrap_or_default())
}

/// An error if the strings are too long to compare.
fn check_size(a: usize, b: usize, max: u64) -> CmdResult {
    if a.max(b) >= u32::MAX as usize - 1 {
        return Err(CmdError::text("ERR String too long for LCS"));
    }
    // Both factors have 32 bits; only the last multiplication can overflow.
    match ((a as u64 + 1) * (b as u64 + 1)).checked_mul(CELL_BYTES) {
        Some(bytes) if bytes <= max => Ok(()),
        _ => Err(CmdError::text(
            "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
        )),
    }
}

fn reply_ranges(out: &mut Out, options: &Options, runs: &[Run]) {
    let shown = || runs.iter().filter(|run| run.len >= options.min_len);
    out.map(2);
    out.bulk(b"matches");
    out.array(shown().count());
    for run in shown() {
        out.array(if options.with_len { 3 } else { 2 });
        for start in [run.a, run.b] {
            out.array(2);
            out.count(start);
            out.count(start + run.len - 1);
        }
        if options.with_len {
            out.count(run.len);
        }
    }
    out.bulk(b"len");
    out.count(runs.iter().map(|run| run.len).sum());
}

/// Bytes that both strings have in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    a: usize,
    b: usize,
    len: usize,
}

/// The positions of each byte in a string, as bits.
struct Positions {
    words: usize,
    bits: Vec<u64>,
}

impl Positions {
    fn of(text: &[u8]) -> Positions {
        let words = text.len().div_ceil(64);
        let mut bits = vec![0; 256 * words];
        for (i, byte) in text.iter().enumerate() {
            bits[*byte as usize * words + i / 64] |= 1 << (i % 64);
        }
        Positions { words, bits }
    }

    fn of_byte(&self, byte: u8) -> &[u64] {
        &self.bits[byte as usize * self.words..][..self.words]
    }
}

/// Makes of a row the next, for a byte at these positions.
fn advance(row: &mut [u64], positions: &[u64]) {
    let mut carry = false;
    for (v, m) in row.iter_mut().zip(positions) {
        let (sum, over) = v.overflowing_add(*v & m);
        let (sum, over_again) = sum.overflowing_add(u64::from(carry));
        carry = over || over_again;
        *v = sum | (*v & !m);
    }
}

/// `L` at column `p` of a row: the zeroes in front of it.
fn count(row: &[u64], p: usize) -> usize {
    let whole = row[..p / 64].iter().map(|word| word.count_zeros() as usize).sum::<usize>();
    match p % 64 {
        0 => whole,
        rest => whole + (row[p / 64] | u64::MAX << rest).count_zeros() as usize,
    }
}

/// The length of the longest common subsequence.
fn length(a: &[u8], b: &[u8]) -> usize {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    let positions = Positions::of(short);
    let mut row = vec![u64::MAX; positions.words];
    for byte in long {
        advance(&mut row, positions.of_byte(*byte));
    }
    count(&row, short.len())
}

/// The longest common subsequence as runs, the last one first.
fn runs(a: &[u8], b: &[u8]) -> Vec<Run> {
    // The bits are those of the shorter string, so that the positions take little.
    let swapped = a.len() > b.len();
    let (short, long) = if swapped { (b, a) } else { (a, b) };
    let positions = Positions::of(short);
    let words = positions.words;
    let mut rows = vec![u64::MAX; words * (long.len() + 1)];
    for (q, byte) in long.iter().enumerate() {
        rows.copy_within(q * words..(q + 1) * words, (q + 1) * words);
        advance(&mut rows[(q + 1) * words..][..words], positions.of_byte(*byte));
    }
    let at = |p: usize, q: usize| count(&rows[q * words..][..words], p);

    let mut runs: Vec<Run> = Vec::new();
    let (mut p, mut q) = (short.len(), long.len());
    // Whether the step before was a match, so that the next one goes on with its run.
    let mut running = false;
    while p > 0 && q > 0 {
        let matches = short[p - 1] == long[q - 1];
        if matches {
            (p, q) = (p - 1, q - 1);
            let (i, j) = if swapped { (q, p) } else { (p, q) };
            match runs.last_mut() {
                Some(run) if running => *run = Run { a: i, b: j, len: run.len + 1 },
                _ => runs.push(Run { a: i, b: j, len: 1 }),
            }
        } else {
            let (back_short, back_long) = (at(p - 1, q), at(p, q - 1));
            let go_short = if swapped { back_long <= back_short } else { back_short > back_long };
            if go_short { p -= 1 } else { q -= 1 }
        }
        running = matches;
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The textbook's table and the way back through it.
    fn by_the_book(a: &[u8], b: &[u8]) -> (usize, Vec<(usize, usize)>) {
        let mut table = vec![vec![0usize; b.len() + 1]; a.len() + 1];
        for i in 1..=a.len() {
            for j in 1..=b.len() {
                table[i][j] = if a[i - 1] == b[j - 1] {
                    table[i - 1][j - 1] + 1
                } else {
                    table[i - 1][j].max(table[i][j - 1])
                };
            }
        }
        let (mut i, mut j, mut pairs) = (a.len(), b.len(), Vec::new());
        while i > 0 && j > 0 {
            if a[i - 1] == b[j - 1] {
                (i, j) = (i - 1, j - 1);
                pairs.push((i, j));
            } else if table[i - 1][j] > table[i][j - 1] {
                i -= 1;
            } else {
                j -= 1;
            }
        }
        (table[a.len()][b.len()], pairs)
    }

    proptest! {
        #[test]
        fn finds_what_the_table_finds(
            a in prop::collection::vec(0..4u8, 0..200), b in prop::collection::vec(0..5u8, 0..200),
        ) {
            let (len, pairs) = by_the_book(&a, &b);
            prop_assert_eq!(length(&a, &b), len);
            let found: Vec<_> = runs(&a, &b)
                .iter()
                .flat_map(|run| (0..run.len).rev().map(|k| (run.a + k, run.b + k)))
                .collect();
            prop_assert_eq!(found, pairs);
        }
    }

    #[test]
    fn runs_are_as_long_as_they_can_be() {
        let found = runs(b"ohmytext", b"mynewtext");
        assert_eq!(found, [Run { a: 4, b: 5, len: 4 }, Run { a: 2, b: 0, len: 2 }]);
    }

    #[test]
    fn limits_are_those_of_a_table_of_cells() {
        assert_eq!(check_size(11584, 11584, 512 << 20), Ok(()));
        assert!(check_size(11585, 11584, 512 << 20).is_err());
        assert_eq!(check_size(511, 511, 1 << 20), Ok(()));
        assert!(check_size(512, 511, 1 << 20).is_err());
        assert_eq!(
            check_size(u32::MAX as usize, 0, u64::MAX),
            Err(CmdError::text("ERR String too long for LCS"))
        );
    }
}
