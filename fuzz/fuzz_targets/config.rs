//! Configuration files: an error or a configuration, and what is shown of a directive can be read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ochre::server::config::{Config, set};

fuzz_target!(|text: &[u8]| {
    let Ok(config) = Config::parse_str(text) else { return };
    for (name, value) in set::get(&config, &[b"*"]) {
        assert!(!name.is_empty());
        assert_eq!(set::get(&config, &[&name]).first().map(|(_, v)| v.clone()), Some(value));
    }
});
