//! Ziplists: what is accepted can be walked, and is the same list as a listpack.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ochre::ds::ziplist::Ziplist;

fuzz_target!(|bytes: &[u8]| {
    if let Some(list) = Ziplist::from_bytes(bytes) {
        assert_eq!(list.iter().count(), list.len());
        assert!(list.to_listpack().iter().eq(list.iter()));
    }
});
