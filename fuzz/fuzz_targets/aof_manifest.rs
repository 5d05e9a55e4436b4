//! Manifests: what is read is written so that it is read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ochre::persistence::aof::manifest::Manifest;

fuzz_target!(|bytes: &[u8]| {
    let Ok(manifest) = Manifest::parse(bytes) else { return };
    let text = manifest.to_text();
    // A name that needs more room when it is quoted can make a line too long.
    if text.split(|byte| *byte == b'\n').all(|line| line.len() < 1024) && !text.is_empty() {
        assert_eq!(Manifest::parse(&text).as_ref(), Ok(&manifest));
    }
});
