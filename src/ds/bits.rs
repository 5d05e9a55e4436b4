//! Strings as rows of bits: bit 0 is the most significant of the first byte.
//!
//! # Unsafe code
//!
//! Two calls: [`count_ones`] has versions for processors with AVX-512 and with AVX2, each of which may be called where
//! they have it.

use std::ops::RangeInclusive;

/// Most bits of a field.
pub const FIELD_MAX: u32 = 64;
/// Bytes that a field may lie in, if it does not begin with one.
const FIELD_BYTES: usize = 9;

/// Bytes looked at together: as many as the compiler makes a few wide instructions of.
const BLOCK: usize = 64;

/// The number of bits set.
#[inline]
pub fn count_ones(bytes: &[u8]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx512f")
        && std::arch::is_x86_feature_detected!("avx512vpopcntdq")
    {
        // SAFETY: the processor has what the function is compiled for.
        return unsafe { count_ones_avx512(bytes) };
    }
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("popcnt") {
        // SAFETY: the processor has what the function is compiled for.
        return unsafe { count_ones_avx2(bytes) };
    }
    count_ones_portable(bytes)
}

/// [`count_ones_portable`] in the instructions of processors that count the bits of eight words at once.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vpopcntdq")]
fn count_ones_avx512(bytes: &[u8]) -> u64 {
    count_ones_portable(bytes)
}

/// [`count_ones_portable`] in the instructions of newer processors.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,popcnt")]
fn count_ones_avx2(bytes: &[u8]) -> u64 {
    count_ones_portable(bytes)
}

#[inline(always)]
fn count_ones_portable(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let words: u64 = words.iter().map(|word| u64::from(u64::from_ne_bytes(*word).count_ones())).sum();
    words + rest.iter().map(|byte| u64::from(byte.count_ones())).sum::<u64>()
}

/// The number of bits set from one to another bit, both included, which are in `bytes`.
pub fn count_ones_between(bytes: &[u8], bits: RangeInclusive<usize>) -> u64 {
    let (first, last) = (*bits.start() / 8, *bits.end() / 8);
    let before = bytes[first] & !(0xff >> (bits.start() % 8));
    let behind = bytes[last] & (0x7f >> (bits.end() % 8));
    count_ones(&bytes[first..=last]) - u64::from(before.count_ones()) - u64::from(behind.count_ones())
}

/// The first bit that is as `bit`, from one to another bit, both included, which are in `bytes`.
pub fn find(bytes: &[u8], bits: RangeInclusive<usize>, bit: bool) -> Option<usize> {
    let (first, last) = (*bits.start() / 8, *bits.end() / 8);
    // What is not looked for, throughout a byte.
    let skip = if bit { 0x00 } else { 0xff };
    let within = |index: usize, mask: u8| {
        let matches = (bytes[index] ^ skip) & mask;
        (matches != 0).then(|| index * 8 + matches.leading_zeros() as usize)
    };
    let (head, tail) = (0xff >> (bits.start() % 8), !(0x7f >> (bits.end() % 8)));
    if first == last {
        return within(first, head & tail);
    }
    within(first, head)
        .or_else(|| {
            let index = first + 1 + find_other(&bytes[first + 1..last], skip)?;
            within(index, 0xff)
        })
        .or_else(|| within(last, tail))
}

/// The index of the first byte that is not `skip`.
fn find_other(bytes: &[u8], skip: u8) -> Option<usize> {
    let differs = |block: &[u8]| block.iter().fold(0, |any, byte| any | (byte ^ skip)) != 0;
    let block = bytes.chunks(BLOCK).position(differs)? * BLOCK;
    Some(block + bytes[block..].iter().position(|byte| *byte != skip)?)
}

/// Where a field lies: its bytes, of which the last may be beyond a string's end, and the bits behind it in them.
#[inline]
fn field_place(offset: usize, bits: u32) -> (RangeInclusive<usize>, u32) {
    let last = offset + bits as usize - 1;
    (offset / 8..=last / 8, 7 - (last % 8) as u32)
}

/// The `bits` bits from bit `offset` on, 1 to [`FIELD_MAX`], as a number. What lies beyond the end is 0.
pub fn get_field(bytes: &[u8], offset: usize, bits: u32) -> u64 {
    let (place, behind) = field_place(offset, bits);
    let number = place.fold(0u128, |number, index| number << 8 | u128::from(*bytes.get(index).unwrap_or(&0)));
    (number >> behind) as u64 & field_mask(bits)
}

/// Writes a number over the `bits` bits from bit `offset` on: the bytes to be written at the place returned. The field
/// must lie in `bytes`.
pub fn set_field(bytes: &[u8], offset: usize, bits: u32, value: u64) -> (usize, FieldBytes) {
    let (place, behind) = field_place(offset, bits);
    let mask = u128::from(field_mask(bits)) << behind;
    let (at, len) = (*place.start(), place.end() - place.start() + 1);
    let old = bytes[place].iter().fold(0u128, |number, byte| number << 8 | u128::from(*byte));
    let new = old & !mask | (u128::from(value) << behind) & mask;
    let mut field = FieldBytes { bytes: [0; FIELD_BYTES], len };
    field.bytes[..len].copy_from_slice(&new.to_be_bytes()[size_of::<u128>() - len..]);
    (at, field)
}

/// All ones in as many bits.
#[inline]
pub fn field_mask(bits: u32) -> u64 {
    u64::MAX >> (FIELD_MAX - bits)
}

/// The bytes that a field lies in.
#[derive(Clone, Copy, Debug)]
pub struct FieldBytes {
    bytes: [u8; FIELD_BYTES],
    len: usize,
}

impl FieldBytes {
    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bit(bytes: &[u8], index: usize) -> bool {
        bytes[index / 8] >> (7 - index % 8) & 1 == 1
    }

    /// Strings with long stretches of one kind.
    fn strings() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![Just(0x00), Just(0xff), any::<u8>()];
        let stretch = (byte, 1usize..200).prop_map(|(byte, len)| vec![byte; len]);
        proptest::collection::vec(prop_oneof![stretch, proptest::collection::vec(any::<u8>(), 1..20)], 1..6)
            .prop_map(|stretches| stretches.concat())
    }

    proptest! {
        #[test]
        fn ranges_are_what_their_bits_are(bytes in strings(), a: prop::sample::Index, b: prop::sample::Index, wanted: bool) {
            let (a, b) = (a.index(bytes.len() * 8), b.index(bytes.len() * 8));
            let range = a.min(b)..=a.max(b);
            let ones = range.clone().filter(|index| bit(&bytes, *index)).count();
            prop_assert_eq!(count_ones_between(&bytes, range.clone()), ones as u64);
            prop_assert_eq!(find(&bytes, range.clone(), wanted), range.clone().find(|index| bit(&bytes, *index) == wanted));
        }

        #[test]
        fn counts_are_the_same_however_they_are_taken(bytes in strings(), skip in 0usize..9) {
            let bytes = &bytes[skip.min(bytes.len())..];
            prop_assert_eq!(count_ones(bytes), count_ones_portable(bytes));
            prop_assert_eq!(count_ones(bytes), bytes.iter().map(|byte| u64::from(byte.count_ones())).sum::<u64>());
        }

        #[test]
        fn fields_keep_their_neighbours(bytes in proptest::collection::vec(any::<u8>(), 20), offset in 0usize..90, bits in 1u32..=64, value: u64) {
            let number = (0..bits as usize).fold(0, |number, index| number << 1 | u64::from(bit(&bytes, offset + index)));
            prop_assert_eq!(get_field(&bytes, offset, bits), number);
            let (at, field) = set_field(&bytes, offset, bits, value);
            let mut changed = bytes.clone();
            changed[at..at + field.as_slice().len()].copy_from_slice(field.as_slice());
            prop_assert_eq!(get_field(&changed, offset, bits), value & field_mask(bits));
            for index in (0..160).filter(|index| !(offset..offset + bits as usize).contains(index)) {
                prop_assert_eq!(bit(&changed, index), bit(&bytes, index));
            }
        }
    }

    #[test]
    fn fields_may_reach_beyond_the_end() {
        assert_eq!(get_field(&[0xff], 4, 8), 0xf0);
        assert_eq!(get_field(&[0xff], 100, 64), 0);
        assert_eq!(get_field(&[0xff; 9], 7, 64), u64::MAX);
    }
}
