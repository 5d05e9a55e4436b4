//! LZF, the compression of strings in RDB files and of list nodes in memory: little effort, some gain.
//!
//! The format is that of Marc Lehmann's liblzf. A compressed text is a sequence of items:
//!
//! ```text
//! 000nnnnn  b…                    n + 1 literal bytes (1 to 32)
//! nnnooooo  oooooooo              copy n + 2 bytes (3 to 8) from o + 1 bytes back; n is neither 0 nor 7
//! 111ooooo  nnnnnnnn  oooooooo    copy n + 9 bytes (9 to 264) from o + 1 bytes back
//! ```
//!
//! An offset counts from where the copy goes to and has 13 bits, most significant first. A copy may overlap its own
//! output: an offset of one repeats a byte. There is no length and no terminator; both lengths are stored elsewhere.
//!
//! The compressor looks at each three bytes, remembers in a table by their hash where it has seen them last, and
//! takes the match if it is one. The hash function and every choice are liblzf's in the configuration that upstream
//! uses, so that inputs of 16 KiB and more compress to the same bytes, save where upstream, which does not clear its
//! table, finds a match through what an earlier input has left there. Shorter inputs get a smaller table, which costs less
//! to clear than they cost to compress.

/// The longest run of literal bytes in one item.
const LITERALS_MAX: usize = 1 << 5;
/// The farthest match.
const OFFSET_MAX: usize = 1 << 13;
/// The longest match in one item.
const MATCH_MAX: usize = (1 << 8) + (1 << 3);
/// The shortest match: what is hashed.
const MATCH_MIN: usize = 3;
/// The most output bytes that one byte of input can stand for, rounded up: 264 from three.
const EXPANSION_MAX: usize = MATCH_MAX / 3;

/// Bits of the hash for a table of full size.
const HASH_BITS_MAX: u32 = 16;
const HASH_BITS_MIN: u32 = 8;

/// Compresses `input`, or returns `None` if the result would have more than `limit` bytes.
///
/// Pass less than `input.len()` to have it pay; upstream passes `input.len() - 4`.
pub fn compress(input: &[u8], limit: usize) -> Option<Vec<u8>> {
    let mut out = Output { bytes: Vec::with_capacity(limit.min(input.len())), limit };
    let mut seen = Table::new(input.len());
    let mut literals = 0;
    let mut here = 0;
    while here + MATCH_MIN <= input.len() {
        let candidate = seen.replace(input, here);
        let Some(length) = match_length(input, candidate, here) else {
            here += 1;
            // Give up at once, and not at the end of an incompressible megabyte.
            if out.bytes.len() + (here - literals) > limit {
                return None;
            }
            continue;
        };
        out.literals(&input[literals..here])?;
        out.copy(here - candidate, length)?;
        here += length;
        literals = here;
        // Within a match, only its last two places are remembered.
        for place in here - 2..here {
            if place + MATCH_MIN <= input.len() {
                seen.replace(input, place);
            }
        }
    }
    out.literals(&input[literals..])?;
    Some(out.bytes)
}

/// Where three bytes with a given hash began last. Zero is none, and so is a match at the start of the input; liblzf
/// does not find those either.
struct Table {
    places: Vec<u32>,
    bits: u32,
}

impl Table {
    fn new(input: usize) -> Table {
        let bits = usize::BITS - input.leading_zeros() + 1;
        let bits = bits.clamp(HASH_BITS_MIN, HASH_BITS_MAX);
        Table { places: vec![0; 1 << bits], bits }
    }

    /// Remembers `place` and returns what was remembered for the same hash.
    fn replace(&mut self, input: &[u8], place: usize) -> usize {
        let three = u32::from_be_bytes([0, input[place], input[place + 1], input[place + 2]]);
        let hash = (three >> (24 - self.bits)).wrapping_sub(three.wrapping_mul(5));
        let slot = &mut self.places[hash as usize & ((1 << self.bits) - 1)];
        // A place beyond 32 bits comes back as another one, where nothing may match but nothing breaks.
        std::mem::replace(slot, place as u32) as usize
    }
}

/// The length of the match of `here` at `candidate`, if it is one that can be written.
fn match_length(input: &[u8], candidate: usize, here: usize) -> Option<usize> {
    if candidate == 0 || candidate >= here || here - candidate > OFFSET_MAX {
        return None;
    }
    // Matches stop two bytes before the end; only the shortest may reach it.
    let limit = MATCH_MAX.min(input.len() - here - 2).max(MATCH_MIN);
    let ahead = &input[here..here + limit];
    let behind = &input[candidate..candidate + limit];
    let length = ahead.iter().zip(behind).take_while(|(a, b)| a == b).count();
    (length >= MATCH_MIN).then_some(length)
}

/// Compressed bytes, up to a limit.
struct Output {
    bytes: Vec<u8>,
    limit: usize,
}

impl Output {
    fn literals(&mut self, run: &[u8]) -> Option<()> {
        for run in run.chunks(LITERALS_MAX) {
            self.push(&[run.len() as u8 - 1])?;
            self.push(run)?;
        }
        Some(())
    }

    fn copy(&mut self, offset: usize, length: usize) -> Option<()> {
        let (offset, length) = (offset - 1, length - 2);
        let (high, low) = ((offset >> 8) as u8, offset as u8);
        if length < 7 {
            self.push(&[(length as u8) << 5 | high, low])
        } else {
            self.push(&[7 << 5 | high, (length - 7) as u8, low])
        }
    }

    fn push(&mut self, bytes: &[u8]) -> Option<()> {
        let fits = self.bytes.len() + bytes.len() <= self.limit;
        fits.then(|| self.bytes.extend_from_slice(bytes))
    }
}

/// Decompresses `input` to exactly `length` bytes. `None` if it is malformed or gives another length.
///
/// Nothing about the arguments is trusted. A length that `input` cannot possibly give is refused before memory is
/// allocated for it.
pub fn decompress(input: &[u8], length: usize) -> Option<Vec<u8>> {
    if length > input.len().saturating_mul(EXPANSION_MAX) {
        return None;
    }
    let mut out = vec![0; length];
    let mut filled = 0;
    let mut rest = input;
    while let [control, tail @ ..] = rest {
        let control = usize::from(*control);
        if control < LITERALS_MAX {
            let (run, tail) = tail.split_at_checked(control + 1)?;
            out.get_mut(filled..filled + run.len())?.copy_from_slice(run);
            filled += run.len();
            rest = tail;
        } else {
            let (count, low, tail) = match (control >> 5, tail) {
                (7, [more, low, tail @ ..]) => (usize::from(*more) + 9, low, tail),
                (7, _) => return None,
                (count, [low, tail @ ..]) => (count + 2, low, tail),
                _ => return None,
            };
            let offset = (((control & 0x1f) << 8) | usize::from(*low)) + 1;
            if offset > filled || filled + count > length {
                return None;
            }
            copy_from_behind(&mut out[filled - offset..filled + count], offset);
            filled += count;
            rest = tail;
        }
    }
    (filled == length).then_some(out)
}

/// Fills `bytes` from index `offset` on with what is `offset` bytes before, which may be what was just written.
fn copy_from_behind(bytes: &mut [u8], offset: usize) {
    let mut filled = offset;
    while filled < bytes.len() {
        // What is there repeats with the period of the offset, so each round can copy twice as much.
        let step = filled.min(bytes.len() - filled);
        bytes.copy_within(..step, filled);
        filled += step;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(input: &[u8]) -> usize {
        // No limit can be exceeded by a byte for each 32, and one.
        let packed = compress(input, input.len() + input.len() / LITERALS_MAX + 1).unwrap();
        assert_eq!(decompress(&packed, input.len()).as_deref(), Some(input));
        assert_eq!(decompress(&packed, input.len() + 1), None);
        if !input.is_empty() {
            assert_eq!(decompress(&packed, input.len() - 1), None);
            assert_eq!(decompress(&packed[..packed.len() - 1], input.len()), None);
            assert_eq!(compress(input, packed.len()).as_ref(), Some(&packed));
            assert_eq!(compress(input, packed.len() - 1), None);
        }
        packed.len()
    }

    #[test]
    fn short_and_long() {
        assert_eq!(round_trip(b""), 0);
        assert_eq!(round_trip(b"a"), 2);
        assert_eq!(round_trip(b"abc"), 4);
        assert!(round_trip(&[b'a'; 100]) < 10);
        assert!(round_trip(&[b'x'; 100_000]) < 1200);
        let text = b"all work and no play makes jack a dull boy. ".repeat(100);
        assert!(round_trip(&text) < 200);
    }

    /// What upstream's `DUMP` holds for this text.
    #[test]
    fn same_bytes_as_upstream() {
        let text = b"all work and no play makes jack a dull boy. ".repeat(3);
        let packed = b"\x1dall work and no play makes jac \x16\x02 du \"\x05boy. a \x08\xe0I+\x01. ";
        assert_eq!(decompress(packed, text.len()).as_deref(), Some(&text[..]));
        assert_eq!(compress(&text, text.len()).as_deref(), Some(&packed[..]));
    }

    #[test]
    fn hostile_input() {
        let cases: &[(&[u8], usize)] = &[
            (b"\x05ab", 6),            // literals that are not there
            (b"\x00a\x20", 4),         // a copy without an offset
            (b"\x00a\xe0\x00", 10),    // a long copy without an offset
            (b"\x00a\xe0", 10),        // a long copy without a length
            (b"\x20\x00", 3),          // a copy from before the start
            (b"\x00a\x20\x01", 4),     // the same, by one
            (b"\x00a\xe0\xff\x00", 4), // a copy that is too long
            (b"\x01ab", 1),            // literals that are too many
            (b"", 1),
            (b"\x00a", usize::MAX),
        ];
        for (input, length) in cases {
            assert_eq!(decompress(input, *length), None, "{}", input.escape_ascii());
        }
        assert_eq!(decompress(b"\x00a\x20\x00", 4).as_deref(), Some(&b"aaaa"[..]));
        assert_eq!(decompress(b"\x00a\xe0\xff\x00", 265), Some(vec![b'a'; 265]));
    }

    /// Input of given redundancy: the fewer letters, the more and the longer the matches.
    fn redundant() -> impl Strategy<Value = Vec<u8>> {
        (1u8..=8, 0usize..20_000)
            .prop_flat_map(|(letters, length)| proptest::collection::vec(0..letters, length..=length))
    }

    proptest! {
            #![proptest_config(ProptestConfig::with_cases(64))]
            #[test]
            fn round_trips(input in redundant()) {
                round_trip(&input);
            }

            #[test]
            fn round_trips_repeats(unit in proptest::collection::vec(any::<u8>(), 1..400), times in 1usize..200) {
                let input = unit.repeat(times);
                let packed = round_trip(&input);
    // What a match passes over is forgotten but for its end, and learned again some 8 KiB later.
                prop_assert!(packed <= unit.len() + unit.len() / 16 + input.len() / 12 + 16);
            }

            #[test]
            fn any_bytes_are_safe(input: Vec<u8>, length in 0usize..2000) {
                if let Some(out) = decompress(&input, length) {
                    prop_assert_eq!(out.len(), length);
                }
            }
        }
}
