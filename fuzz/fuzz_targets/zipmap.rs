//! Zipmaps: what is accepted can be walked.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ochre::ds::zipmap::Zipmap;

fuzz_target!(|bytes: &[u8]| {
    if let Some(map) = Zipmap::from_bytes(bytes) {
        assert_eq!(map.iter().count(), map.len());
    }
});
