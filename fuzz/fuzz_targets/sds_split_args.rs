//! Lines of arguments: quoting what was read gives a line that reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ochre::ds::sds::{repr, split_args};

fuzz_target!(|line: &[u8]| {
    let Some(args) = split_args(line) else { return };
    let mut quoted = Vec::new();
    for arg in &args {
        repr(&mut quoted, arg);
        quoted.push(b' ');
    }
    assert_eq!(split_args(&quoted), Some(args));
});
