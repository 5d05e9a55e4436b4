//! LZF: any bytes as compressed ones, and any bytes compressed and brought back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ochre::ds::lzf::{compress, decompress};

fuzz_target!(|input: (&[u8], u16)| {
    let (bytes, length) = input;
    if let Some(out) = decompress(bytes, length.into()) {
        assert_eq!(out.len(), usize::from(length));
    }
    assert_eq!(decompress(bytes, usize::MAX), None);
    // Repeat it, so that there is something to find.
    let text = bytes.repeat(1 + usize::from(length) % 5);
    let packed = compress(&text, 2 * text.len()).expect("the limit is far away");
    assert_eq!(decompress(&packed, text.len()), Some(text.clone()));
    assert_eq!(compress(&text, packed.len()), Some(packed.clone()));
    assert!(packed.is_empty() || compress(&text, packed.len() - 1).is_none());
});
