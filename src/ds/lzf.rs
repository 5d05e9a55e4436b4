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
//! takes the match if it is one. What it chooses is its own affair; the hash function is liblzf's in the configuration that
//! upstream uses, which is made for text: three digits, or three letters, have places of their own. Two things differ from
//! liblzf. Where one match ends, another often goes on as far back as the first, a byte or two later: entries of a stream, and
//! other records, differ in a counter. That is tried before anything is looked up. And the longer nothing has matched, the
//! fewer places are looked at, so that what is compressed already costs next to nothing. Shorter inputs use the beginning of
//! the table, which stays in the processor's nearest cache.
//!
//! A [`Compressor`] keeps table and output for the next input, and clears neither. Places are counted on from one input
//! to the next, with a gap, so that what the table holds of former ones is too far back to be a match.

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
const SMALL_TABLE: usize = 1 << 12;
/// From how many bytes on inputs use more of it.
const MIDDLE_INPUT: usize = 8 * 1024;
const SMALL_INPUT: usize = 512;

/// Room for output that is made at least, and that is kept for the next input at most.
const ROOM_MIN: usize = 4 * 1024;
const ROOM_KEPT: usize = 1024 * 1024;

/// Where the first input begins: a place that the table has never held, 0, is not within reach of it.
const FIRST: u32 = OFFSET_MAX as u32 + 1;

/// After so many places without a match, every second one is looked at; after as many of those every third, and so on up to a
/// limit, so that what repeats in the midst of noise is found.
const PATIENCE: usize = 64;
const STEP_MAX: usize = 8;
/// How many bytes have to agree, from a match's end on and as far back, to go on with it: but for the first or the first two.
const AGAIN: usize = 16;

/// Compresses one input after another.
#[derive(Debug)]
pub struct Compressor {
    /// Where three bytes with a given hash began last.
    places: Vec<u32>,
    /// Where the next input begins, counted from more than [`OFFSET_MAX`] in front of the first one, and with as much in
    /// front of each.
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
        Compressor { places: Vec::new(), begins: FIRST, output: Vec::new() }
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
        let begins = self.begin(input.len());
        let places = self.places.first_chunk_mut().expect("it was made that large");
        let seen = Seen::<PLACES> { places, begins };
        let len = compress_into(Output { bytes: &mut self.output, len: 0, limit }, input, seen)?;
        Some(&self.output[..len])
    }

    /// Where an input of so many bytes begins.
    ///
    /// When the count comes to its end, it starts anew with an empty table. Within an input of more than 4 GiB it wraps
    /// around, and a place may be taken for another: what does not match there is not taken.
    fn begin(&mut self, length: usize) -> u32 {
        let taken = u32::try_from(length + OFFSET_MAX).unwrap_or(u32::MAX);
        if self.begins.checked_add(taken).is_none() {
            self.places.fill(0);
            self.begins = FIRST;
        }
        let begins = self.begins;
        self.begins = begins.saturating_add(taken);
        begins
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
    // Where the first byte is that `out` does not stand for yet.
    let mut literals = 0;
    while let Some((here, back)) = seen.find(input, literals) {
        let here = first_of_match(input, literals, here, back);
        out.literals(input, literals, here)?;
        let mut length = MATCH_MIN + agreement(input, here + MATCH_MIN, back, MATCH_MAX - MATCH_MIN);
        out.copy(back, length)?;
        literals = here + length;
        while length < MATCH_MAX
            && let Some(apart) = again(input, literals, back)
        {
            length = AGAIN - apart + agreement(input, literals + AGAIN, back, MATCH_MAX - AGAIN);
            out.few_literals_and_copy(input, literals, apart, back, length)?;
            literals += apart + length;
        }
        // Within a match, only its last two places are remembered.
        seen.remember(input, literals - 2);
        seen.remember(input, literals - 1);
    }
    out.literals(input, literals, input.len())?;
    Some(out.len)
}

/// Where a match begins that was found `here` in a search from `from` on. If the search has left out places, that may be
/// before.
#[inline(always)]
fn first_of_match(input: &[u8], from: usize, mut here: usize, back: usize) -> usize {
    if here - from > PATIENCE {
        while here > from && here > back && input[here - 1] == input[here - back - 1] {
            here -= 1;
        }
    }
    here
}

/// The places that were seen.
struct Seen<'t, const PLACES: usize> {
    places: &'t mut [u32; PLACES],
    begins: u32,
}

impl<const PLACES: usize> Seen<'_, PLACES> {
    /// Looks for a match from `from` on, and says where it is and how far back.
    ///
    /// (Nearly all of the time is spent here. Alone, it has all of the processor's registers.)
    #[inline(never)]
    fn find(&mut self, input: &[u8], from: usize) -> Option<(usize, usize)> {
        let end = input.len().checked_sub(THREE)?;
        let (mut here, mut step) = (from, 1);
        while here < end {
            let pause = end.min(here + step * PATIENCE);
            while here < pause {
                let three = three_at(input, here);
                let back = self.replace(three, here);
                // It is cheaper to compare with what cannot match than to branch on whether it can.
                let before = three_at(input, here - back.min(here));
                if before == three && back.wrapping_sub(1) < OFFSET_MAX.min(here) {
                    return Some((here, back));
                }
                here += step;
            }
            step = STEP_MAX.min(step + 1);
        }
        None
    }

    /// Remembers a place, unless it is at the very end.
    #[inline(always)]
    fn remember(&mut self, input: &[u8], here: usize) {
        if here + THREE <= input.len() {
            self.replace(three_at(input, here), here);
        }
    }

    /// Remembers a place, which begins with `three`, and returns how far back that is which was remembered for the same hash:
    /// farther than [`OFFSET_MAX`] if it is of another input.
    #[inline(always)]
    fn replace(&mut self, three: u32, here: usize) -> usize {
        // As a number that has the first byte highest.
        let three = three.swap_bytes();
        let hash = (three >> (24 - PLACES.trailing_zeros())).wrapping_sub(three.wrapping_mul(5));
        let now = self.begins.wrapping_add(here as u32);
        now.wrapping_sub(std::mem::replace(&mut self.places[hash as usize % PLACES], now)) as usize
    }
}

/// How many bytes are read to see three.
const THREE: usize = 4;

/// The three bytes at `here`, as a number, where they follow upon a byte of zero.
#[inline(always)]
fn three_at(input: &[u8], here: usize) -> u32 {
    let four = input[here..here + THREE].try_into().expect("so many were asked for");
    u32::from_le_bytes(four) << 8
}

/// Where a match that was `back` bytes behind has ended `here`: how many bytes later another one begins that is as far back, and
/// is long enough to be better than what would be found.
#[inline(always)]
fn again(input: &[u8], here: usize, back: usize) -> Option<usize> {
    let ahead: &[u8; AGAIN] = input.get(here..)?.first_chunk()?;
    let behind: &[u8; AGAIN] = input.get(here - back..)?.first_chunk()?;
    if eight_at(ahead, 8) != eight_at(behind, 8) {
        return None;
    }
    match eight_at(ahead, 0) ^ eight_at(behind, 0) {
        difference if difference >> 8 == 0 => Some(1),
        difference if difference >> 16 == 0 => Some(2),
        _ => None,
    }
}

/// How many bytes from `here` on are the same as those `back` bytes before, up to a limit.
#[inline(always)]
fn agreement(input: &[u8], here: usize, back: usize, limit: usize) -> usize {
    let ahead = &input[here..];
    let ahead = &ahead[..ahead.len().min(limit)];
    let behind = &input[here - back..][..ahead.len()];
    let ((eights, rest), (eights_behind, rest_behind)) = (ahead.as_chunks::<8>(), behind.as_chunks());
    for (index, (eight, behind)) in eights.iter().zip(eights_behind).enumerate() {
        let difference = u64::from_le_bytes(*eight) ^ u64::from_le_bytes(*behind);
        if difference != 0 {
            return index * 8 + difference.trailing_zeros() as usize / 8;
        }
    }
    let few = rest.iter().zip(rest_behind).take_while(|(byte, behind)| byte == behind);
    eights.len() * 8 + few.count()
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
        let (item, size) = copy_item(back, length);
        let at = self.advance(size)?;
        self.bytes[at..][..8].copy_from_slice(&item.to_le_bytes());
        Some(())
    }

    /// One or two literal bytes, of which `input` holds two in any case, and a copy: written at once.
    #[inline(always)]
    fn few_literals_and_copy(
        &mut self,
        input: &[u8],
        from: usize,
        few: usize,
        back: usize,
        length: usize,
    ) -> Option<()> {
        let literals = u64::from(input[from]) << 8 | u64::from(input[from + 1]) << 16;
        let literals = literals & ((1 << (8 * (1 + few))) - 1) | (few as u64 - 1);
        let (item, size) = copy_item(back, length);
        let at = self.advance(1 + few + size)?;
        let items = literals | item << (8 * (1 + few));
        self.bytes[at..][..8].copy_from_slice(&items.to_le_bytes());
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

/// The item that is a copy, first byte lowest, and how many bytes it has.
#[inline(always)]
fn copy_item(back: usize, length: usize) -> (u64, usize) {
    let (offset, length) = (back as u64 - 1, length as u64 - 2);
    let (high, low) = (offset >> 8, offset & 0xff);
    if length < 7 {
        (length << 5 | high | low << 8, 2)
    } else {
        (7 << 5 | high | (length - 7) << 8 | low << 16, 3)
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
    use rand::rngs::SmallRng;
    use rand::{RngCore, SeedableRng};

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

    #[test]
    fn records_that_differ_in_a_counter() {
        let records = |fields: &[u8]| -> Vec<u8> {
            (0..100u8)
                .flat_map(|count| [&[count, count / 7][..fields.len() % 2 + 1], fields].concat())
                .collect()
        };
        // A byte and its header, or two of them, and a copy of three.
        assert!(round_trip(&records(b"name\x05value\x06twice\x06")) < 100 * 5 + 30);
        assert!(round_trip(&records(b"name\x05values\x07twice\x06")) < 100 * 6 + 30);
    }

    #[test]
    fn what_does_not_match_costs_little() {
        let mut noise = vec![0; 24_000];
        SmallRng::seed_from_u64(1).fill_bytes(&mut noise);
        assert_eq!(compress(&noise, noise.len() - 4), None);
        // The second half is seen, though most of the first one was not looked at: its match begins at its first byte, or
        // some before what was found.
        let half = &noise[..6000];
        assert!(round_trip(&[half, half].concat()) < 6000 + 6000 / 32 + 100);
    }

    /// What one input leaves in the table is not taken for what another holds, not even when places are counted anew.
    #[test]
    fn one_after_another() {
        let mut compressor = Compressor::new();
        for begins in [FIRST, u32::MAX - 20_000, u32::MAX - 9_000, u32::MAX] {
            compressor.begins = begins;
            for length in [3, 40, 400, 4_000, 9_000, 40, 20_000] {
                let text = b"all work and no play makes jack a dull boy. ".repeat(length / 44 + 1);
                let input = &text[..length];
                let packed = compressor.compress(input, length + length / LITERALS_MAX + 1).unwrap().to_vec();
                assert_eq!(decompress(&packed, length).as_deref(), Some(input));
            }
        }
    }

    /// What upstream's `DUMP` holds for this text, and no more is needed here.
    #[test]
    fn reads_upstream() {
        let text = b"all work and no play makes jack a dull boy. ".repeat(3);
        let packed = b"\x1dall work and no play makes jac \x16\x02 du \"\x05boy. a \x08\xe0I+\x01. ";
        assert_eq!(decompress(packed, text.len()).as_deref(), Some(&text[..]));
        assert!(round_trip(&text) <= packed.len());
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
