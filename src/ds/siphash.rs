//! SipHash-1-3: the keyed hash behind every table that holds keys chosen by a user.
//!
//! Whoever can guess where a key lands in a hash table can choose keys that all land in one place and turn
//! each lookup into a walk over all of them. SipHash (Aumasson and Bernstein, 2012) is a short-input
//! pseudorandom function: without its 128-bit key the output cannot be told from chance, and the key here is
//! drawn from the operating system when the process starts. The variant with one compression round a word and
//! three finalization rounds is what the Rust standard library uses for its own tables; the margin it gives
//! up against the original 2-4 matters to message authentication and not to bucket placement.
//!
//! ```text
//!   message    | word 0 | word 1 | …      | last word: 0–7 bytes that are left, zeros, length in the top byte |
//!   state      v0 v1 v2 v3 = key ^ "somepseudorandomlygeneratedbytes"
//!   per word   v3 ^= word;  SipRound × 1;  v0 ^= word
//!   at the end v2 ^= 0xff;  SipRound × 3;  v0 ^ v1 ^ v2 ^ v3
//! ```
//!
//! The message is always there as a whole, so there is no streaming state: words are read straight from the
//! slice, and the ragged end is taken with one overlapping load instead of a loop over bytes. A key of 16
//! bytes costs three rounds and the finalization.
//!
//! [`hash_nocase`] hashes what [`hash`] would for the same bytes with `A`–`Z` replaced by `a`–`z`; the letters
//! are folded eight at a time within the word. It serves tables whose keys are command or option names.

use std::sync::OnceLock;

/// The 128-bit key of the hash.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HashSeed {
    k0: u64,
    k1: u64,
}

impl HashSeed {
    /// The seed whose sixteen bytes are given, as two little-endian words in the order of the SipHash paper.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        let both = u128::from_le_bytes(bytes);
        Self { k0: both as u64, k1: (both >> 64) as u64 }
    }

    /// A fresh seed from the generator the `rand` crate seeds from the operating system.
    pub fn random() -> Self {
        Self::from_bytes(rand::random())
    }
}

/// Hides the words: a log line must not hand them to whoever reads it.
impl std::fmt::Debug for HashSeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashSeed(..)")
    }
}

static PROCESS_SEED: OnceLock<HashSeed> = OnceLock::new();

/// The seed of this process: what [`set_process_seed`] set, or else one drawn at random on first use.
#[inline]
pub fn process_seed() -> HashSeed {
    match PROCESS_SEED.get() {
        Some(seed) => *seed,
        None => draw_process_seed(),
    }
}

#[cold]
fn draw_process_seed() -> HashSeed {
    *PROCESS_SEED.get_or_init(HashSeed::random)
}

/// Fixes the seed of this process, for tests and benchmarks that must repeat.
///
/// # Errors
///
/// The seed in force, if there was one already: tables may have been built with it.
pub fn set_process_seed(seed: HashSeed) -> Result<(), HashSeed> {
    PROCESS_SEED.set(seed).map_err(|_| process_seed())
}

/// SipHash-1-3 of `data` under `seed`.
#[inline]
pub fn hash(seed: HashSeed, data: &[u8]) -> u64 {
    sip::<1, 3>(seed, data, |word| word)
}

/// SipHash-1-3 of `data` with its ASCII capitals made small: equal for names that differ in case alone.
#[inline]
pub fn hash_nocase(seed: HashSeed, data: &[u8]) -> u64 {
    sip::<1, 3>(seed, data, fold_case)
}

/// SipHash with `C` compression and `D` finalization rounds, each message word passed through `fold` first.
#[inline(always)]
fn sip<const C: usize, const D: usize>(seed: HashSeed, data: &[u8], fold: impl Fn(u64) -> u64) -> u64 {
    let mut v = [
        seed.k0 ^ 0x736f_6d65_7073_6575,
        seed.k1 ^ 0x646f_7261_6e64_6f6d,
        seed.k0 ^ 0x6c79_6765_6e65_7261,
        seed.k1 ^ 0x7465_6462_7974_6573,
    ];
    let (words, rest) = data.as_chunks::<8>();
    for word in words {
        absorb::<C>(&mut v, fold(u64::from_le_bytes(*word)));
    }
    absorb::<C>(&mut v, fold(ragged_end(data, rest)) | (data.len() as u64) << 56);
    v[2] ^= 0xff;
    for _ in 0..D {
        round(&mut v);
    }
    v[0] ^ v[1] ^ v[2] ^ v[3]
}

#[inline(always)]
fn absorb<const C: usize>(v: &mut [u64; 4], word: u64) {
    v[3] ^= word;
    for _ in 0..C {
        round(v);
    }
    v[0] ^= word;
}

#[inline(always)]
fn round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[2] = v[2].wrapping_add(v[3]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[1]);
    v[0] = v[0].wrapping_add(v[3]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].rotate_left(32);
}

/// The zero to seven bytes of `rest`, the end of `data`, as the low bytes of a word whose others are zero.
#[inline(always)]
fn ragged_end(data: &[u8], rest: &[u8]) -> u64 {
    let n = rest.len();
    if n == 0 {
        return 0;
    }
    if let Some(last) = data.last_chunk::<8>() {
        return u64::from_le_bytes(*last) >> (64 - 8 * n);
    }
    match (rest.first_chunk::<4>(), rest.last_chunk::<4>()) {
        (Some(low), Some(high)) => {
            u64::from(u32::from_le_bytes(*low)) | u64::from(u32::from_le_bytes(*high)) << (8 * (n - 4))
        }
        _ => {
            u64::from(rest[0])
                | u64::from(rest[n / 2]) << (8 * (n / 2))
                | u64::from(rest[n - 1]) << (8 * (n - 1))
        }
    }
}

/// Each byte of `word` in `A..=Z` with bit 5 set, the others as they are.
#[inline(always)]
fn fold_case(word: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let low7 = word & (0x7f * EACH);
    // The additions carry into a byte's top bit exactly from `A` and from the one after `Z` on.
    let from_a = low7 + (0x80 - u64::from(b'A')) * EACH;
    let past_z = low7 + (0x7f - u64::from(b'Z')) * EACH;
    let capitals = (from_a ^ past_z) & !word & (0x80 * EACH);
    word | capitals >> 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::hash::Hasher;

    /// Key 00 01 … 0f, as in the paper and in every implementation's vectors.
    fn paper_seed() -> HashSeed {
        HashSeed::from_bytes(std::array::from_fn(|i| i as u8))
    }

    /// The messages 00 01 … of each length from 0, then the worked example of the paper's appendix A (length 15).
    #[test]
    fn two_four_gives_the_papers_vectors() {
        let message: Vec<u8> = (0..15).collect();
        let two_four = |len: usize| sip::<2, 4>(paper_seed(), &message[..len], |w| w);
        let expected = [
            0x726f_db47_dd0e_0e31,
            0x74f8_39c5_93dc_67fd,
            0x0d6c_8009_d9a9_4f5a,
            0x8567_6696_d7fb_7e2d,
            0xcf27_94e0_2771_87b7,
            0x1876_5564_cd99_a68d,
            0xcbc9_466e_58fe_e3ce,
            0xab02_00f5_8b01_d137,
            0x93f5_f579_9a93_2462,
        ];
        for (len, expected) in expected.into_iter().enumerate() {
            assert_eq!(two_four(len), expected, "length {len}");
        }
        assert_eq!(two_four(15), 0xa129_ca61_49be_45e5);
    }

    /// The key's use in the 1-3 variant; its message schedule is checked against the standard library below.
    #[test]
    fn one_three_gives_the_reference_vector() {
        assert_eq!(hash(paper_seed(), b""), 0xabac_0158_050f_c4dc);
    }

    proptest! {
        /// With the zero key the standard library's default hasher is SipHash-1-3, written independently.
        #[test]
        fn agrees_with_the_standard_library(data in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut std_hasher = std::hash::DefaultHasher::new();
            std_hasher.write(&data);
            prop_assert_eq!(hash(HashSeed::from_bytes([0; 16]), &data), std_hasher.finish());
        }

        #[test]
        fn nocase_is_the_hash_of_the_lower_case(data in prop::collection::vec(any::<u8>(), 0..64), key: [u8; 16]) {
            let seed = HashSeed::from_bytes(key);
            prop_assert_eq!(hash_nocase(seed, &data), hash(seed, &data.to_ascii_lowercase()));
        }
    }

    #[test]
    fn every_byte_folds_as_ascii_does() {
        for byte in 0..=255u8 {
            let word = u64::from_le_bytes([byte, b'A', byte, b'Z', byte, b'[', byte, b'@']);
            let folded: [u8; 8] = std::array::from_fn(|i| word.to_le_bytes()[i].to_ascii_lowercase());
            assert_eq!(fold_case(word).to_le_bytes(), folded);
        }
    }

    #[test]
    fn the_seed_matters_and_the_process_keeps_one() {
        assert_ne!(hash(HashSeed::random(), b"key"), hash(HashSeed::random(), b"key"));
        let seed = process_seed();
        assert_eq!(set_process_seed(paper_seed()), Err(seed));
        assert_eq!(process_seed(), seed);
    }
}
