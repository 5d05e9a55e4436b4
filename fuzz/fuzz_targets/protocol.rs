//! Requests: the parser must find the same commands and the same error however the bytes are cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ochre::server::resp::{INLINE_MAX, Limits, parse_pieces};

fuzz_target!(|input: (&[u8], Vec<u16>, bool)| {
    let (bytes, cuts, unauthenticated) = input;
    // Longer lines are refused as soon as they are seen to be too long, which depends on the cuts.
    let bytes = &bytes[..bytes.len().min(INLINE_MAX)];
    let limits = Limits { max_bulk: 1 << 20, unauthenticated };
    let mut cuts: Vec<usize> = cuts.into_iter().map(usize::from).collect();
    cuts.sort_unstable();
    let whole = parse_pieces(bytes, &[], limits);
    assert_eq!(parse_pieces(bytes, &cuts, limits), whole);
    let received: usize = whole.0.iter().flatten().map(Vec::len).sum();
    assert!(received <= bytes.len());
});
