//! HyperLogLog: how many different elements there were, to within a percent, in at most twelve kilobytes.
//!
//! Each element is hashed to 64 bits. The lowest 14 choose one of 16,384 registers, which keeps the greatest *rank* it has
//! seen: one more than the number of zeroes that the rest of the hash ends in. Many different elements make high ranks
//! likely; how many, [`estimate`] tells from how often each rank occurs, as Otmar Ertl has shown ("New cardinality
//! estimation algorithms for HyperLogLog sketches", arXiv:1702.01284). Seeing an element again changes nothing, and the
//! sketch of a union has the greater of the two ranks in each register.
//!
//! # The bytes
//!
//! A sketch is an ordinary string, which a client may read, keep and send back:
//!
//! ```text
//! byte 0            4          5          8                                16
//!      ┌────────────┬──────────┬──────────┬────────────────────────────────┬─ ─ ─
//!      │ "HYLL"     │ encoding │ not used │ estimate, u64, LE              │ registers
//!      └────────────┴──────────┴──────────┴────────────────────────────────┴─ ─ ─
//!                     0 dense              top bit set: out of date
//!                     1 sparse
//! ```
//!
//! Dense registers have six bits each, the first one in the lowest bits of the first byte. Sparse registers are runs, so
//! that a sketch that has seen little is small:
//!
//! | bytes               | run                                              |
//! |---------------------|--------------------------------------------------|
//! | `00nnnnnn`          | n + 1 registers of 0                             |
//! | `01nnnnnn nnnnnnnn` | n + 1 registers of 0, most significant bits first |
//! | `1vvvvvnn`          | n + 1 registers of v + 1                         |
//!
//! A sparse sketch becomes dense when a rank is too high for a run, or when it would take more bytes than
//! `hll-sparse-max-bytes`. It never becomes sparse again.

use std::fmt;

/// Bits of the hash that choose the register.
const INDEX_BITS: u32 = 14;
/// Bits of the hash that the rank is taken from.
const RANK_BITS: u32 = u64::BITS - INDEX_BITS;
/// The registers of a sketch.
pub const REGISTERS: usize = 1 << INDEX_BITS;
/// Bits of a dense register.
const REGISTER_BITS: usize = 6;
/// The greatest rank that a dense register has room for; no element has one above 51.
pub const RANK_MAX: u8 = (1 << REGISTER_BITS) - 1;

/// Bytes in front of the registers.
pub const HEADER: usize = 16;
/// Bytes of a dense sketch.
pub const DENSE_SIZE: usize = HEADER + REGISTERS * REGISTER_BITS / 8;

const MAGIC: &[u8; 4] = b"HYLL";
/// Where the encoding is.
const ENCODING: usize = 4;
/// Where the estimate is.
const ESTIMATE: std::ops::Range<usize> = 8..16;
/// In the estimate's last byte: it is out of date.
const OUT_OF_DATE: u8 = 0x80;

/// The greatest rank of a run of registers.
const RUN_RANK_MAX: u8 = 32;
/// The most registers of a run of a rank.
const RUN_MAX: usize = 4;
/// The most registers of a run of zeroes in one byte.
const ZERO_RUN_MAX: usize = 64;
/// Runs that are looked at after a change, from the one before it on, for neighbours to be joined.
const RUNS_JOINED: usize = 5;

/// 1 / (2 ln 2), the factor of the estimate.
const ALPHA: f64 = 0.721_347_520_444_481_7;

/// The seed of the elements' hash.
const HASH_SEED: u64 = 0xadc8_3b19;

/// How the registers of a sketch are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Six bits each.
    Dense,
    /// As runs.
    Sparse,
}

/// The registers of a sketch are not what their encoding says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupted;

impl fmt::Display for Corrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the registers of a HyperLogLog are corrupted")
    }
}

impl std::error::Error for Corrupted {}

/// What an element does to a sketch: a register, and the rank that it has at least from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The register's number.
    pub register: usize,
    /// The rank, at least 1.
    pub rank: u8,
}

impl Mark {
    /// That of an element.
    pub fn of(element: &[u8]) -> Mark {
        let hash = murmur_hash_64a(element, HASH_SEED);
        let rest = (hash >> INDEX_BITS) | 1 << RANK_BITS;
        Mark { register: hash as usize % REGISTERS, rank: rest.trailing_zeros() as u8 + 1 }
    }
}

/// Austin Appleby's MurmurHash2 in its version of 64 bits.
fn murmur_hash_64a(bytes: &[u8], seed: u64) -> u64 {
    const FACTOR: u64 = 0xc6a4_a793_5bd1_e995;
    const SHIFT: u32 = 47;
    let (words, rest) = bytes.as_chunks::<8>();
    let mut hash = seed ^ (bytes.len() as u64).wrapping_mul(FACTOR);
    for word in words {
        let word = u64::from_le_bytes(*word).wrapping_mul(FACTOR);
        hash = (hash ^ (word ^ word >> SHIFT).wrapping_mul(FACTOR)).wrapping_mul(FACTOR);
    }
    if !rest.is_empty() {
        let last = rest.iter().rev().fold(0, |last, byte| last << 8 | u64::from(*byte));
        hash = (hash ^ last).wrapping_mul(FACTOR);
    }
    hash = (hash ^ hash >> SHIFT).wrapping_mul(FACTOR);
    hash ^ hash >> SHIFT
}

/// The encoding of a string that is a sketch, as far as its header and its length tell; `None` if it is none.
pub fn encoding(bytes: &[u8]) -> Option<Encoding> {
    if bytes.len() < HEADER || !bytes.starts_with(MAGIC) {
        return None;
    }
    match bytes[ENCODING] {
        0 => (bytes.len() == DENSE_SIZE).then_some(Encoding::Dense),
        1 => Some(Encoding::Sparse),
        _ => None,
    }
}

/// A sketch that has seen nothing: sparse, its estimate up to date.
pub fn new_sparse() -> Vec<u8> {
    let mut bytes = vec![0; HEADER];
    bytes[..ENCODING].copy_from_slice(MAGIC);
    bytes[ENCODING] = 1;
    push_zeros(&mut bytes, REGISTERS);
    bytes
}

/// The estimate that a sketch has noted, if it is up to date.
pub fn noted_estimate(sketch: &[u8]) -> Option<u64> {
    let bytes: [u8; 8] = *sketch[ESTIMATE].first_chunk()?;
    (bytes[7] & OUT_OF_DATE == 0).then_some(u64::from_le_bytes(bytes))
}

/// What is to be written into a sketch to note an estimate, and where.
pub fn estimate_to_note(estimate: u64) -> (usize, [u8; 8]) {
    (ESTIMATE.start, estimate.to_le_bytes())
}

/// What is to be written into a sketch to say that its estimate is out of date, and where.
pub fn mark_to_note(sketch: &[u8]) -> (usize, [u8; 1]) {
    (ESTIMATE.end - 1, [sketch[ESTIMATE.end - 1] | OUT_OF_DATE])
}

fn set_out_of_date(sketch: &mut [u8]) {
    let (at, bytes) = mark_to_note(sketch);
    sketch[at] = bytes[0];
}

// ---- dense ----

/// The byte that a register begins in, counted from the first of the registers, and the bits of others in front of it.
fn dense_place(register: usize) -> (usize, usize) {
    (register * REGISTER_BITS / 8, register * REGISTER_BITS % 8)
}

/// Two bytes as one number, of which the second may be beyond the end.
fn dense_pair(registers: &[u8], byte: usize) -> u16 {
    u16::from_le_bytes([registers[byte], registers.get(byte + 1).copied().unwrap_or(0)])
}

/// The rank in a register of a dense sketch.
pub fn dense_rank(sketch: &[u8], register: usize) -> u8 {
    let (byte, bits) = dense_place(register);
    (dense_pair(&sketch[HEADER..], byte) >> bits) as u8 & RANK_MAX
}

/// What is to be written into a dense sketch, and where, for a register to have a rank.
pub fn dense_rank_to_write(sketch: &[u8], register: usize, rank: u8) -> (usize, [u8; 2], usize) {
    let (byte, bits) = dense_place(register);
    let pair = dense_pair(&sketch[HEADER..], byte);
    let pair = pair & !(u16::from(RANK_MAX) << bits) | u16::from(rank) << bits;
    (HEADER + byte, pair.to_le_bytes(), 2.min(sketch.len() - HEADER - byte))
}

/// Gives a register of a dense sketch a rank.
pub fn set_dense_rank(sketch: &mut [u8], register: usize, rank: u8) {
    let (at, bytes, len) = dense_rank_to_write(sketch, register, rank);
    sketch[at..at + len].copy_from_slice(&bytes[..len]);
}

// ---- sparse ----

/// A run of registers that have the same rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// 0 if nothing has been seen.
    pub rank: u8,
    /// The number of registers.
    pub len: usize,
    /// Bytes that it takes.
    size: usize,
}

impl Run {
    /// Whether it takes two bytes.
    pub fn is_long(self) -> bool {
        self.size == 2
    }

    /// The run at the start of `bytes`.
    fn read(bytes: &[u8]) -> Option<Run> {
        match *bytes {
            [run @ 0x80..=0xff, ..] => {
                Some(Run { rank: (run >> 2 & 0x1f) + 1, len: usize::from(run & 3) + 1, size: 1 })
            }
            [high @ 0x40..=0x7f, low, ..] => {
                Some(Run { rank: 0, len: usize::from(u16::from_be_bytes([high & 0x3f, low])) + 1, size: 2 })
            }
            [len @ 0x00..=0x3f, ..] => Some(Run { rank: 0, len: usize::from(len) + 1, size: 1 }),
            _ => None,
        }
    }
}

/// The byte of a run of a rank.
fn run_byte(rank: u8, len: usize) -> u8 {
    0x80 | (rank - 1) << 2 | (len as u8 - 1)
}

/// Appends a run of zeroes, if it is not empty.
fn push_zeros(out: &mut Vec<u8>, len: usize) {
    match len {
        0 => {}
        1..=ZERO_RUN_MAX => out.push(len as u8 - 1),
        _ => {
            let [high, low] = (len as u16 - 1).to_be_bytes();
            out.extend_from_slice(&[0x40 | high, low]);
        }
    }
}

/// Appends what is left of a run when another register is taken out of it.
fn push_rest(out: &mut Vec<u8>, rank: u8, len: usize) {
    match (rank, len) {
        (0, _) => push_zeros(out, len),
        (_, 0) => {}
        _ => out.push(run_byte(rank, len)),
    }
}

/// The runs of a sparse sketch, up to one that is cut off.
pub fn runs(sketch: &[u8]) -> impl Iterator<Item = Run> + '_ {
    let mut at = HEADER;
    std::iter::from_fn(move || {
        let run = Run::read(sketch.get(at..)?)?;
        at += run.size;
        Some(run)
    })
}

/// Shows the runs of a sparse sketch, with the first register of each, and checks that they are all registers.
fn each_run(sketch: &[u8], mut show: impl FnMut(usize, Run)) -> Result<(), Corrupted> {
    let (mut first, mut size) = (0, HEADER);
    for run in runs(sketch) {
        if first + run.len > REGISTERS {
            return Err(Corrupted);
        }
        show(first, run);
        first += run.len;
        size += run.size;
    }
    if first == REGISTERS && size == sketch.len() { Ok(()) } else { Err(Corrupted) }
}

/// A sparse sketch as a dense one, its estimate included.
pub fn to_dense(sketch: &[u8]) -> Result<Vec<u8>, Corrupted> {
    let mut ranks = [0; REGISTERS];
    each_run(sketch, |first, run| ranks[first..first + run.len].fill(run.rank))?;
    Ok(from_ranks(&sketch[..HEADER], &ranks))
}

/// A dense sketch of these ranks, with all but the encoding of a header.
pub fn from_ranks(header: &[u8], ranks: &[u8; REGISTERS]) -> Vec<u8> {
    let mut dense = Vec::with_capacity(DENSE_SIZE);
    dense.extend_from_slice(header);
    dense[ENCODING] = 0;
    let (fours, _) = ranks.as_chunks::<4>();
    for [a, b, c, d] in fours {
        let bits = u32::from(*a) | u32::from(*b) << 6 | u32::from(*c) << 12 | u32::from(*d) << 18;
        dense.extend_from_slice(&bits.to_le_bytes()[..3]);
    }
    dense
}

/// Where the run of a register is in a sparse sketch.
struct Place {
    at: usize,
    /// Its first register.
    first: usize,
    /// Where the run before it is, if there is one.
    before: Option<usize>,
    run: Run,
}

/// Runs passed over at a time, if they have one byte each.
const STRIDE: usize = 16;

/// Finds the run of a register.
///
/// Nearly all runs have one byte, and the number of their registers in its lowest bits; so as long as no byte of the next
/// [`STRIDE`] begins a long run, their registers are added up at once, in vector instructions.
fn find_run(sketch: &[u8], register: usize) -> Result<Place, Corrupted> {
    let (mut at, mut first, mut before) = (HEADER, 0, None);
    while let Some(block) = sketch.get(at..).and_then(|rest| rest.first_chunk::<STRIDE>()) {
        let len = match short_runs_len(block) {
            Some(len) if first + len <= register => len,
            _ => {
                // One of these is the register's, or long.
                let behind = at + STRIDE;
                while at < behind {
                    let run = Run::read(&sketch[at..]).ok_or(Corrupted)?;
                    if register < first + run.len {
                        return Ok(Place { at, first, before, run });
                    }
                    before = Some(at);
                    at += run.size;
                    first += run.len;
                }
                continue;
            }
        };
        at += STRIDE;
        first += len;
        before = Some(at - 1);
    }
    loop {
        let run = Run::read(sketch.get(at..).unwrap_or_default()).ok_or(Corrupted)?;
        if register < first + run.len {
            return Ok(Place { at, first, before, run });
        }
        before = Some(at);
        at += run.size;
        first += run.len;
    }
}

/// The registers of the runs that begin with each of these bytes, if all have one byte.
#[inline]
fn short_runs_len(block: &[u8; STRIDE]) -> Option<usize> {
    let is_long = |byte: &u8| byte & 0xc0 == 0x40;
    let len = |byte: &u8| if byte & 0x80 == 0 { byte + 1 } else { (byte & 3) + 1 };
    let any_long = block.iter().fold(false, |any, byte| any | is_long(byte));
    let registers: u16 = block.iter().map(|byte| u16::from(len(byte))).sum();
    (!any_long).then_some(registers.into())
}

/// Whether a mark would raise the rank of its register in a sparse sketch.
pub fn raises_sparse(sketch: &[u8], mark: Mark) -> Result<bool, Corrupted> {
    Ok(find_run(sketch, mark.register)?.run.rank < mark.rank)
}

/// What [`mark_sparse`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marked {
    /// Nothing: the rank was not lower.
    Unchanged,
    /// It raised the rank.
    Changed,
    /// Nothing: the sketch has to become dense first.
    NeedsDense,
}

/// Raises the rank of a register of a sparse sketch, which may not become larger than `max_size` bytes by that.
pub fn mark_sparse(sketch: &mut Vec<u8>, mark: Mark, max_size: usize) -> Result<Marked, Corrupted> {
    if mark.rank > RUN_RANK_MAX {
        return Ok(Marked::NeedsDense);
    }
    let Place { at, first, before, run } = find_run(sketch, mark.register)?;
    if run.rank >= mark.rank {
        return Ok(Marked::Unchanged);
    }
    let mut new = Vec::with_capacity(5);
    push_rest(&mut new, run.rank, mark.register - first);
    new.push(run_byte(mark.rank, 1));
    push_rest(&mut new, run.rank, first + run.len - 1 - mark.register);
    if new.len() > run.size && sketch.len() + new.len() - run.size > max_size {
        return Ok(Marked::NeedsDense);
    }
    sketch.splice(at..at + run.size, new);
    join_runs(sketch, before.unwrap_or(HEADER));
    set_out_of_date(sketch);
    Ok(Marked::Changed)
}

/// Joins neighbouring runs of the same rank from the run at `at` on, where there is room in one byte.
fn join_runs(sketch: &mut Vec<u8>, mut at: usize) {
    let read = |sketch: &[u8], at: usize| Run::read(sketch.get(at..).unwrap_or_default());
    for _ in 0..RUNS_JOINED {
        let Some(run) = read(sketch, at) else { return };
        match read(sketch, at + run.size) {
            Some(next) if run.rank > 0 && next.rank == run.rank && run.len + next.len <= RUN_MAX => {
                sketch[at] = run_byte(run.rank, run.len + next.len);
                sketch.remove(at + 1);
            }
            _ => at += run.size,
        }
    }
}

// ---- both ----

/// Raises ranks to those of a sketch, where they are lower.
pub fn merge(ranks: &mut [u8; REGISTERS], sketch: &[u8], encoding: Encoding) -> Result<(), Corrupted> {
    let raise = |rank: &mut u8, other: u8| *rank = (*rank).max(other);
    match encoding {
        Encoding::Dense => {
            let (threes, _) = sketch[HEADER..].as_chunks::<3>();
            let (fours, _) = ranks.as_chunks_mut::<4>();
            for (four, [a, b, c]) in fours.iter_mut().zip(threes) {
                let bits = u32::from_le_bytes([*a, *b, *c, 0]);
                for (index, rank) in four.iter_mut().enumerate() {
                    raise(rank, (bits >> (6 * index)) as u8 & RANK_MAX);
                }
            }
            Ok(())
        }
        Encoding::Sparse => each_run(sketch, |first, run| {
            ranks[first..first + run.len].iter_mut().for_each(|rank| raise(rank, run.rank));
        }),
    }
}

/// The estimate of a sketch, computed.
pub fn count(sketch: &[u8], encoding: Encoding) -> Result<u64, Corrupted> {
    if encoding == Encoding::Sparse {
        let mut histogram = [0; RANK_MAX as usize + 1];
        each_run(sketch, |_, run| histogram[usize::from(run.rank)] += run.len)?;
        return Ok(estimate(&histogram));
    }
    let mut ranks = [0; REGISTERS];
    merge(&mut ranks, sketch, encoding)?;
    Ok(count_ranks(&ranks))
}

/// The estimate for the ranks of all registers.
pub fn count_ranks(ranks: &[u8; REGISTERS]) -> u64 {
    let mut histogram = [0; RANK_MAX as usize + 1];
    ranks.iter().for_each(|rank| histogram[usize::from(*rank & RANK_MAX)] += 1);
    estimate(&histogram)
}

/// The estimate for the number of registers of each rank.
fn estimate(histogram: &[usize; RANK_MAX as usize + 1]) -> u64 {
    const M: f64 = REGISTERS as f64;
    const TOP: usize = RANK_BITS as usize;
    let top = histogram[TOP + 1] as f64;
    let mut z = M * tau((M - top) / M);
    for registers in histogram[1..=TOP].iter().rev() {
        z = (z + *registers as f64) * 0.5;
    }
    z += M * sigma(histogram[0] as f64 / M);
    (ALPHA * M * M / z).round() as u64
}

/// The paper's σ: what the registers that have seen nothing contribute.
fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

/// The paper's τ: what the registers whose rank is as high as it can be contribute.
fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z == before {
            return z / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As Redis 8.0.2 places these elements.
    #[test]
    fn elements_fall_where_upstream_puts_them() {
        for (element, register, rank) in [
            ("", 5938, 2),
            ("a", 12_711, 2),
            ("ab", 719, 1),
            ("abc", 9474, 1),
            ("abcd", 11_070, 8),
            ("abcdefg", 5634, 2),
            ("abcdefgh", 1383, 1),
            ("abcdefghi", 6903, 1),
            ("a longer element of bytes", 11_903, 1),
        ] {
            assert_eq!(Mark::of(element.as_bytes()), Mark { register, rank }, "{element}");
        }
    }

    #[test]
    fn a_new_sketch() {
        let sketch = new_sparse();
        assert_eq!(sketch, b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\0\x7f\xff");
        assert_eq!((encoding(&sketch), noted_estimate(&sketch)), (Some(Encoding::Sparse), Some(0)));
        assert_eq!(count(&sketch, Encoding::Sparse), Ok(0));
        let dense = to_dense(&sketch).unwrap();
        assert_eq!((encoding(&dense), dense.len()), (Some(Encoding::Dense), DENSE_SIZE));
        assert_eq!(count(&dense, Encoding::Dense), Ok(0));
    }

    #[test]
    fn runs_split_and_join() {
        let mut sketch = new_sparse();
        let mut mark = |register, rank| mark_sparse(&mut sketch, Mark { register, rank }, 3000).unwrap();
        assert_eq!(mark(100, 3), Marked::Changed);
        assert_eq!(mark(100, 3), Marked::Unchanged);
        assert_eq!(mark(101, 3), Marked::Changed);
        assert_eq!(mark(99, 3), Marked::Changed);
        assert_eq!(mark(0, 1), Marked::Changed);
        assert_eq!(mark(5, 33), Marked::NeedsDense);
        let shown: Vec<(u8, usize)> = runs(&sketch).map(|run| (run.rank, run.len)).collect();
        assert_eq!(shown, [(1, 1), (0, 98), (3, 3), (0, 16282)]);
        assert_eq!(noted_estimate(&sketch), None);
        let size = sketch.len();
        assert_eq!(mark_sparse(&mut sketch, Mark { register: 50, rank: 1 }, size), Ok(Marked::NeedsDense));
    }

    #[test]
    fn damage_is_noticed() {
        let mut sketch = new_sparse();
        for element in 0..50u32 {
            mark_sparse(&mut sketch, Mark::of(&element.to_le_bytes()), 3000).unwrap();
        }
        assert!(count(&sketch, Encoding::Sparse).is_ok());
        for damaged in [&sketch[..sketch.len() - 1], &[&sketch[..], b"x"].concat(), &sketch[..HEADER]] {
            assert_eq!(count(damaged, Encoding::Sparse), Err(Corrupted));
            assert_eq!(to_dense(damaged), Err(Corrupted));
        }
        assert_eq!(encoding(b"HYLL\x02\0\0\0\0\0\0\0\0\0\0\0"), None);
        assert_eq!(encoding(b"HYLL\x00\0\0\0\0\0\0\0\0\0\0\0"), None);
        assert_eq!(encoding(b"HYLL\x01"), None);
        assert_eq!(encoding(b"HALL\x01\0\0\0\0\0\0\0\0\0\0\0"), None);
    }

    #[test]
    fn estimates_are_close() {
        let mut ranks = [0; REGISTERS];
        let mut seen = 0u64;
        for target in [10u64, 1000, 100_000, 1_000_000] {
            while seen < target {
                let mark = Mark::of(&seen.to_le_bytes());
                ranks[mark.register] = ranks[mark.register].max(mark.rank);
                seen += 1;
            }
            let error = count_ranks(&ranks).abs_diff(target);
            assert!(error as f64 <= (target as f64 * 0.05).max(1.0), "{target}: {error}");
        }
    }

    proptest! {
        #[test]
        fn encodings_agree(
            marks in proptest::collection::vec(
                (prop_oneof![0..40usize, REGISTERS - 40..REGISTERS, 0..REGISTERS], 1u8..36), 0..200),
            max_size in 20usize..400,
        ) {
            let (mut sketch, mut kind) = (new_sparse(), Encoding::Sparse);
            let mut ranks = [0; REGISTERS];
            for (register, rank) in marks {
                let mark = Mark { register, rank };
                let raises = ranks[register] < rank;
                ranks[register] = ranks[register].max(rank);
                if kind == Encoding::Sparse {
                    prop_assert_eq!(raises_sparse(&sketch, mark), Ok(raises));
                    match mark_sparse(&mut sketch, mark, max_size).unwrap() {
                        Marked::NeedsDense => {
                            sketch = to_dense(&sketch).unwrap();
                            kind = Encoding::Dense;
                        }
                        marked => {
                            prop_assert_eq!(marked == Marked::Changed, raises);
                            prop_assert!(sketch.len() <= max_size);
                        }
                    }
                }
                if kind == Encoding::Dense && raises {
                    set_dense_rank(&mut sketch, register, rank);
                }
                prop_assert_eq!(encoding(&sketch), Some(kind));
            }
            let mut merged = [0; REGISTERS];
            merge(&mut merged, &sketch, kind).unwrap();
            prop_assert!(merged == ranks);
            let dense = from_ranks(&sketch[..HEADER], &ranks);
            prop_assert!((0..REGISTERS).all(|register| dense_rank(&dense, register) == ranks[register]));
            prop_assert_eq!(count(&sketch, kind), Ok(count_ranks(&ranks)));
            prop_assert_eq!(count(&dense, Encoding::Dense), Ok(count_ranks(&ranks)));
        }
    }
}
