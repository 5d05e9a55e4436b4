//! Numbers as text: what one function prints, another reads back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ochre::ds::longdouble::LongDouble;
use ochre::ds::numbers::{
    decimal_len, format_f64, parse_f64, parse_i64, parse_memory, parse_score_bound, parse_u64, write_i64,
};

fuzz_target!(|input: (&[u8], &[u8], u64)| {
    let (text, other, bits) = input;

    if let Some(value) = parse_i64(text) {
        let mut printed = Vec::new();
        write_i64(&mut printed, value);
        assert_eq!(printed, text);
        assert_eq!(printed.len(), decimal_len(value));
        assert_eq!(parse_u64(text), u64::try_from(value).ok());
        assert_eq!(parse_f64(text), Some(value as f64));
    }
    parse_memory(text);
    parse_score_bound(text);

    for value in parse_f64(text).into_iter().chain([f64::from_bits(bits)]) {
        let printed = format_f64(value);
        match parse_f64(&printed) {
            Some(again) => assert_eq!(again.to_bits(), value.to_bits()),
            None => assert!(value.is_nan()),
        }
    }

    if let (Some(a), Some(b)) = (LongDouble::parse(text), LongDouble::parse(other)) {
        let sum = a.checked_add(b);
        assert_eq!(sum, b.checked_add(a));
        if let Some(sum) = sum {
            // Printing drops what is behind 17 decimals, once.
            let printed = sum.format();
            let again = LongDouble::parse(&printed).expect("what is printed can be read");
            assert_eq!(again.format(), printed);
        }
        a.times(1000).ceil();
    }
});
