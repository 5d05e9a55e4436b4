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
//! table, finds a match through what an earlier input has left there. Shorter inputs use the beginning of the table,
//! which stays in the processor's nearest cache.
//!
//! A [`Compressor`] keeps table and output for the next input, and clears neither. Places are counted on from one input
//! to the next, so what the table holds of former ones is too far back to be a match.

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

/// Places in the table, of which shorter inputs use but the first.
const TABLE: usize = 1 << 16;
const MIDDLE_TABLE: usize = 1 << 13;
const SMALL_TABLE: usize = 1 << 10;
/// From how many bytes on inputs use more of it.
const MIDDLE_INPUT: usize = 8 * 1024;
const SMALL_INPUT: usize = 512;

/// Room for output that is made at least, and that is kept for the next input at most.
const ROOM_MIN: usize = 4 * 1024;
const ROOM_KEPT: usize = 1024 * 1024;

/// Compresses one input after another.
#[derive(Debug)]
pub struct Compressor {
    /// Where three bytes with a given hash began last, counted from [`OFFSET_MAX`] in front of the first input of all.
    /// The count wraps around after 4 GiB, when a place may be taken for another: nothing may match there, but nothing
    /// breaks.
    places: Vec<u32>,
    /// Where the input at hand begins, counted like that.
    begins: u32,
    output: Vec<u8>,
}

impl Default for Compressor {
    fn default() -> Compressor {
        Compressor::new()
    }
}

impl Compressor {
    /// A compressor, which has allocated nothing.
    pub const fn new() -> Compressor {
        Compressor { places: Vec::new(), begins: OFFSET_MAX as u32, output: Vec::new() }
    }

    /// Compresses `input`, or returns `None` if the result would have more than `limit` bytes.
    ///
    /// Pass less than `input.len()` to have it pay; upstream passes `input.len() - 4`.
    pub fn compress(&mut self, input: &[u8], limit: usize) -> Option<&[u8]> {
        match input.len() {
            ..SMALL_INPUT => self.compress_with::<SMALL_TABLE>(input, limit),
            SMALL_INPUT..MIDDLE_INPUT => self.compress_with::<MIDDLE_TABLE>(input, limit),
            MIDDLE_INPUT.. => self.compress_with::<TABLE>(input, limit),
        }
    }

    fn compress_with<const PLACES: usize>(&mut self, input: &[u8], limit: usize) -> Option<&[u8]> {
        if self.places.len() < PLACES {
            self.places.resize(PLACES, 0);
        }
        let limit = limit.min(input.len() + input.len() / LITERALS_MAX + 1);
        let room = (limit + SLACK).max(ROOM_MIN);
        if self.output.len() < room || self.output.len() > ROOM_KEPT {
            self.output = vec![0; room];
        }
        let places = self.places.first_chunk_mut().expect("it was made that large");
        let seen = Seen::<PLACES> { places, begins: self.begins };
        self.begins = self.begins.wrapping_add(input.len() as u32);
        let len = compress_into(Output { bytes: &mut self.output, len: 0, limit }, input, seen)?;
        Some(&self.output[..len])
    }
}

/// Compresses `input`, or returns `None` if the result would have more than `limit` bytes: see [`Compressor::compress`].
pub fn compress(input: &[u8], limit: usize) -> Option<Vec<u8>> {
    Compressor::new().compress(input, limit).map(<[u8]>::to_vec)
}

/// Compresses `input` and returns the number of bytes in `out` then.
fn compress_into<const PLACES: usize>(
    mut out: Output<'_>,
    input: &[u8],
    mut seen: Seen<'_, PLACES>,
) -> Option<usize> {
    // Where three bytes begin for the last time, and no match any more: `before` says that of the byte in front of them.
    let end = input.len().saturating_sub(MATCH_MIN);
    let (mut before, mut literals) = (0, 0);
    loop {
        // Where so many literals have come together that they are too many: an incompressible megabyte need not be seen
        // through.
        let too_many = literals + (out.limit - out.len);
        let Some((found, back)) = seen.find(input, before, end.min(too_many)) else {
            if too_many < end {
                return None;
            }
            out.literals(input, literals, input.len())?;
            return Some(out.len);
        };
        let here = found + 1;
        out.literals(input, literals, here)?;
        let length = match_length(input, here, back);
        out.copy(back, length)?;
        literals = here + length;
        // Within a match, only its last two places are remembered.
        before = literals - 1;
        for before in before - 2..before {
            if before < end {
                seen.replace(three_behind(input, before), before);
            }
        }
    }
}

/// The places that were seen.
struct Seen<'t, const PLACES: usize> {
    places: &'t mut [u32; PLACES],
    begins: u32,
}

impl<const PLACES: usize> Seen<'_, PLACES> {
    /// Looks at places for one with a match, and says what is before it and how far back the match is. What is before the
    /// first place looked at is `before`, and before the last one is in front of `end`.
    ///
    /// As nothing can match at the start of the input, each place has a byte before it, and with that one its three bytes
    /// are read as four.
    ///
    /// (Nearly all of the time is spent here. Alone, it has all of the processor's registers.)
    #[inline(never)]
    fn find(&mut self, input: &[u8], mut before: usize, end: usize) -> Option<(usize, usize)> {
        let input = input.get(..end + MATCH_MIN)?;
        while before < end {
            let three = three_behind(input, before);
            let back = self.replace(three, before);
            // The start of the input is no match; liblzf does not find that either.
            if back <= before
                && back.wrapping_sub(1) < OFFSET_MAX
                && three_behind(input, before - back) == three
            {
                return Some((before, back));
            }
            before += 1;
        }
        None
    }

    /// Remembers the place behind `before`, which begins with `three`, and returns how far back that is which was remembered
    /// for the same hash: farther than the input reaches if it is of another.
    #[inline(always)]
    fn replace(&mut self, three: u32, before: usize) -> usize {
        let hash = (three >> (24 - PLACES.trailing_zeros())).wrapping_sub(three.wrapping_mul(5));
        let now = self.begins.wrapping_add(before as u32);
        now.wrapping_sub(std::mem::replace(&mut self.places[hash as usize % PLACES], now)) as usize
    }
}

/// The three bytes behind the one at `before`, as a number.
#[inline(always)]
fn three_behind(input: &[u8], before: usize) -> u32 {
    let four = input[before..before + 4].try_into().expect("so many were asked for");
    u32::from_be_bytes(four) & 0xff_ffff
}

/// The length of the match of `here` with what is `back` bytes before, of which the first three bytes are known to match.
#[inline(always)]
fn match_length(input: &[u8], here: usize, back: usize) -> usize {
    // Matches stop two bytes before the end; only the shortest may reach it.
    let limit = MATCH_MAX.min(input.len() - here - 2);
    let (ahead, behind) = (&input[here..], &input[here - back..]);
    let mut length = MATCH_MIN;
    while length + 8 <= limit {
        let difference = eight_at(ahead, length) ^ eight_at(behind, length);
        if difference != 0 {
            return length + difference.trailing_zeros() as usize / 8;
        }
        length += 8;
    }
    while length < limit && ahead[length] == behind[length] {
        length += 1;
    }
    length
}

#[inline(always)]
fn eight_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("so many were asked for"))
}

/// What a run of literals may be written too much, and its header.
const SLACK: usize = LITERALS_MAX + 1;

/// Compressed bytes, up to a limit.
struct Output<'o> {
    /// At least [`SLACK`] bytes more than the limit.
    bytes: &'o mut [u8],
    len: usize,
    limit: usize,
}

impl Output<'_> {
    #[inline(always)]
    fn literals(&mut self, input: &[u8], mut from: usize, to: usize) -> Option<()> {
        while from < to {
            let run = (to - from).min(LITERALS_MAX);
            let at = self.advance(1 + run)?;
            self.bytes[at] = run as u8 - 1;
            // What is copied too much will be written over.
            match input[from..].first_chunk::<LITERALS_MAX>() {
                Some(whole) => self.bytes[at + 1..at + 1 + LITERALS_MAX].copy_from_slice(whole),
                None => self.bytes[at + 1..at + 1 + run].copy_from_slice(&input[from..from + run]),
            }
            from += run;
        }
        Some(())
    }

    #[inline(always)]
    fn copy(&mut self, back: usize, length: usize) -> Option<()> {
        let (offset, length) = (back - 1, length - 2);
        let (high, low) = ((offset >> 8) as u8, offset as u8);
        if length < 7 {
            let at = self.advance(2)?;
            self.bytes[at..at + 2].copy_from_slice(&[(length as u8) << 5 | high, low]);
        } else {
            let at = self.advance(3)?;
            self.bytes[at..at + 3].copy_from_slice(&[7 << 5 | high, (length - 7) as u8, low]);
        }
        Some(())
    }

    /// Where the next so many bytes go, if they are within the limit.
    #[inline(always)]
    fn advance(&mut self, bytes: usize) -> Option<usize> {
        let at = self.len;
        self.len += bytes;
        (self.len <= self.limit).then_some(at)
    }
}

/// Decompresses `input` to exactly `length` bytes. `None` if it is malformed or gives another length.
///
/// Nothing about the arguments is trusted. A length that `input` cannot possibly give is refused before memory is
/// allocated for it.
pub fn decompress(input: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    decompress_into(&mut out, input, length)?;
    Some(out)
}

/// The same, in the place of what `out` holds; that is anything if `None` is returned.
pub fn decompress_into(out: &mut Vec<u8>, input: &[u8], length: usize) -> Option<()> {
    if length > input.len().saturating_mul(EXPANSION_MAX) {
        return None;
    }
    // What is there from before will be written over, and need not be cleared.
    out.reserve_exact(length.saturating_sub(out.len()));
    out.resize(length, 0);
    let out = &mut out[..];
    let mut filled = 0;
    let mut rest = input;
    while let [control, tail @ ..] = rest {
        let control = usize::from(*control);
        if control < LITERALS_MAX {
            let run = control + 1;
            let room = out[filled..].first_chunk_mut::<LITERALS_MAX>();
            if let (Some(room), Some(whole)) = (room, tail.first_chunk()) {
                // What is copied too much will be written over.
                *room = *whole;
                rest = &tail[run..];
            } else {
                let (run, tail) = tail.split_at_checked(run)?;
                out.get_mut(filled..filled + run.len())?.copy_from_slice(run);
                rest = tail;
            }
            filled += run;
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
            copy_from_behind(out, filled, offset, count);
            filled += count;
            rest = tail;
        }
    }
    (filled == length).then_some(())
}

/// What a number of so many bytes, 1 to 7, is multiplied by to repeat itself in eight.
const REPEAT: [u64; 8] = {
    let mut repeat = [0; 8];
    let mut bits = 8;
    while bits < 64 {
        let mut shift = 0;
        while shift < 64 {
            repeat[bits / 8] |= 1 << shift;
            shift += bits;
        }
        bits += 8;
    }
    repeat
};

/// Fills `count` bytes of `out` from `at` on with what is `offset` bytes before, which may be what was just written.
#[inline(always)]
fn copy_from_behind(out: &mut [u8], at: usize, offset: usize, count: usize) {
    let end = at + count;
    if end + 8 > out.len() {
        for to in at..end {
            out[to] = out[to - offset];
        }
        return;
    }
    // Eight bytes at a time, where what is copied too much will be written over.
    let mut to = at;
    if offset >= 8 {
        while to < end {
            let eight: [u8; 8] =
                *out[to - offset..].first_chunk().expect("they are behind the end of what is filled");
            out[to..to + 8].copy_from_slice(&eight);
            to += 8;
        }
        return;
    }
    // Those that overlap their own output repeat a few bytes.
    let first: [u8; 8] = *out[at - offset..].first_chunk().expect("there are eight bytes behind the end");
    let few = u64::from_le_bytes(first) & ((1 << (8 * offset)) - 1);
    let eight = few.wrapping_mul(REPEAT[offset]).to_le_bytes();
    while to < end {
        out[to..to + 8].copy_from_slice(&eight);
        to += 8 / offset * offset;
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
