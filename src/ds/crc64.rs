//! The checksum of RDB files and `DUMP` payloads: CRC-64 with the coefficients of Jones, known as CRC-64/REDIS.
//!
//! Polynomial `0xad93d23594c935a9`, bits reflected, initial value and final mask zero; the check value of `123456789` is
//! `0xe9c6d914c4b8d9ca`. Long inputs go to the `crc-fast` crate, which folds with carry-less multiplication at many
//! gigabytes a second. For the few bytes of a length or a small string its setting up costs more than they do, so those
//! are looked up in a table here.

use crc_fast::{CrcAlgorithm, Digest};

/// The polynomial, reflected.
const POLYNOMIAL: u64 = 0x95ac_9329_ac4b_c9b5;

/// Inputs shorter than this are summed up by table.
const SHORT: usize = 24;

/// The checksum of each single byte.
static TABLE: [u64; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < table.len() {
        let mut crc = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ (POLYNOMIAL * (crc & 1));
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

/// Continues the checksum `crc` with `data`. The first call passes zero.
///
/// ```
/// use ochre::ds::crc64::crc64;
/// assert_eq!(crc64(crc64(0, b"1234"), b"56789"), 0xe9c6_d914_c4b8_d9ca);
/// ```
pub fn crc64(crc: u64, data: &[u8]) -> u64 {
    if data.len() < SHORT {
        return data.iter().fold(crc, |crc, &byte| TABLE[usize::from(crc as u8 ^ byte)] ^ (crc >> 8));
    }
    let mut digest = Digest::new_with_init_state(CrcAlgorithm::Crc64Redis, crc);
    digest.update(data);
    digest.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, bit by bit.
    fn model(crc: u64, data: &[u8]) -> u64 {
        data.iter().fold(crc, |crc, &byte| {
            (0..8)
                .fold(crc ^ u64::from(byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { POLYNOMIAL } else { 0 })
        })
    }

    #[test]
    fn check_values() {
        assert_eq!(crc64(0, b""), 0);
        assert_eq!(crc64(0, b"123456789"), 0xe9c6_d914_c4b8_d9ca);
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(crc: u64, data in proptest::collection::vec(any::<u8>(), 0..1000)) {
            prop_assert_eq!(crc64(crc, &data), model(crc, &data));
        }

        #[test]
        fn continues(data in proptest::collection::vec(any::<u8>(), 0..1000), cut in 0usize..1000) {
            let (head, tail) = data.split_at(cut.min(data.len()));
            prop_assert_eq!(crc64(crc64(0, head), tail), crc64(0, &data));
        }
    }
}
