//! Requests as bytes with holes, so that sending one costs a few stores and no formatting.
//!
//! A [`Template`] is a command whose words may contain `{key}`. It is encoded once; every `{key}` becomes a hole of twelve
//! digits, and a [`Batch`] repeats the encoded request as often as the pipeline is deep. Before a batch is sent its holes are
//! filled from [`Numbers`]. `key:{key}` is thus a key of 16 bytes.

/// Digits in a hole. Only the last eight are ever written, the rest stay zero.
const HOLE_DIGITS: usize = 12;
const WRITTEN_DIGITS: usize = 8;

/// Keyspaces are smaller than this, as the written digits of a hole tell their keys apart.
pub const KEYS_MAX: u64 = 10u64.pow(WRITTEN_DIGITS as u32);

/// One encoded request and the places of its holes.
#[derive(Clone)]
pub struct Template {
    bytes: Vec<u8>,
    holes: Vec<usize>,
}

impl Template {
    /// Encodes a command as an array of bulk strings.
    pub fn new(words: &[&str]) -> Self {
        let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
        let mut holes = Vec::new();
        for word in words {
            let filled = word.replace("{key}", &"0".repeat(HOLE_DIGITS));
            bytes.extend_from_slice(format!("${}\r\n", filled.len()).as_bytes());
            let start = bytes.len();
            let growth = HOLE_DIGITS - "{key}".len();
            holes.extend(
                word.match_indices("{key}").enumerate().map(|(nth, (at, _))| start + at + nth * growth),
            );
            bytes.extend_from_slice(filled.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        Template { bytes, holes }
    }
}

/// What a connection sends at once: as many requests as the pipeline is deep.
pub struct Batch {
    bytes: Vec<u8>,
    holes: Vec<usize>,
    holes_per_request: usize,
}

impl Batch {
    /// Repeats `template` `pipeline` times.
    pub fn new(template: &Template, pipeline: usize) -> Self {
        let length = template.bytes.len();
        let holes = (0..pipeline)
            .flat_map(|nth| template.holes.iter().map(move |hole| nth * length + hole))
            .collect();
        Batch { bytes: template.bytes.repeat(pipeline), holes, holes_per_request: template.holes.len() }
    }

    /// Fills every request's holes with the next number; the holes of one request get the same.
    pub fn fill(&mut self, numbers: &mut Numbers) {
        if self.holes_per_request == 0 {
            return;
        }
        for holes in self.holes.chunks_exact(self.holes_per_request) {
            let number = numbers.next();
            for &hole in holes {
                let end = hole + HOLE_DIGITS;
                write_digits(&mut self.bytes[end - WRITTEN_DIGITS..end], number);
            }
        }
    }

    /// The batch as it goes over the wire.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// The numbers below 10,000 in four digits: a hole is filled by two look-ups instead of eight divisions in a row.
static FOUR_DIGITS: [[u8; 4]; 10_000] = {
    let mut table = [[0; 4]; 10_000];
    let mut number = 0;
    while number < table.len() {
        table[number] = [
            b'0' + (number / 1000) as u8,
            b'0' + (number / 100 % 10) as u8,
            b'0' + (number / 10 % 10) as u8,
            b'0' + (number % 10) as u8,
        ];
        number += 1;
    }
    table
};

fn write_digits(digits: &mut [u8], number: u64) {
    let number = number as usize;
    digits[..4].copy_from_slice(&FOUR_DIGITS[number / 10_000]);
    digits[4..].copy_from_slice(&FOUR_DIGITS[number % 10_000]);
}

/// Where the numbers in the holes come from.
pub enum Numbers {
    /// 0, 1, 2, …: to create every key once.
    Sequence(u64),
    /// Uniformly distributed below `keys`, the same ones for the same seed.
    Random {
        /// The generator's state; any seed will do.
        state: u64,
        /// The size of the keyspace.
        keys: u64,
    },
}

impl Numbers {
    fn next(&mut self) -> u64 {
        match self {
            Numbers::Sequence(next) => {
                *next += 1;
                *next - 1
            }
            // SplitMix64 (Steele, Lea, Flood 2014), its upper half scaled to the range by a multiplication (Lemire 2019).
            Numbers::Random { state, keys } => {
                *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut mixed = *state;
                mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                mixed ^= mixed >> 31;
                ((mixed >> 32) * *keys) >> 32
            }
        }
    }
}
