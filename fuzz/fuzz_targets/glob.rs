//! Patterns: any two byte strings, with or without regard to case.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ochre::ds::glob::{MAX_STARS, matches};

fuzz_target!(|input: (&[u8], &[u8], bool)| {
    let (pattern, text, nocase) = input;
    let found = matches(pattern, text, nocase);

    // A star in front takes nothing away.
    let stars = pattern.iter().filter(|&&byte| byte == b'*').count();
    if found && !text.is_empty() && stars < MAX_STARS {
        assert!(matches(&[b"*", pattern].concat(), text, nocase));
    }

    // A pattern without special bytes means itself.
    let plain = pattern.iter().all(|byte| !b"*?[\\".contains(byte));
    if plain {
        assert_eq!(found, if nocase { pattern.eq_ignore_ascii_case(text) } else { pattern == text });
    }

    let escaped: Vec<u8> = text.iter().flat_map(|&byte| [b'\\', byte]).collect();
    assert!(matches(&escaped, text, nocase));
});
