use super::*;
use proptest::prelude::*;

fn read(text: &str) -> LongDouble {
    LongDouble::parse(text.as_bytes()).unwrap_or_else(|| panic!("{text}"))
}

fn text(number: LongDouble) -> String {
    String::from_utf8(number.format()).unwrap()
}

fn sum(a: &str, b: &str) -> Option<String> {
    read(a).checked_add(read(b)).map(text)
}

/// The sums that upstream's `INCRBYFLOAT` gives.
#[test]
fn sums() {
    for (a, b, expected) in [
        ("5", "0", "5"),
        ("0.1", "0.2", "0.3"),
        ("3.0", "1.1", "4.1"),
        ("1e5", "-1e5", "0"),
        ("-0", "-0", "0"),
        ("0", "-1e-30", "0"),
        ("-1e-18", "0", "0"),
        ("-5e-18", "0", "0"),
        ("-6e-18", "0", "-0.00000000000000001"),
        ("1e-17", "2e-17", "0.00000000000000003"),
        ("0.99999999999999999", "0", "0.99999999999999999"),
        ("0.999999999999999999", "0", "1"),
        ("1e17", "0.00000000000000001", "100000000000000000"),
        ("9007199254740993", "0", "9007199254740993"),
        ("9223372036854775807", "1", "9223372036854775808"),
        ("18446744073709551615", "0", "18446744073709551615"),
        ("18446744073709551615", "1", "18446744073709551616"),
        ("18446744073709551615", "0.5", "18446744073709551616"),
        ("18446744073709551615", "0.49", "18446744073709551615"),
        ("36893488147419103233", "0", "36893488147419103232"),
        ("36893488147419103235", "0", "36893488147419103236"),
        ("1e25", "0", "10000000000000000000000000"),
        ("1e28", "0", "9999999999999999999731564544"),
        ("123456789012345678901234567890", "0", "123456789012345678899921813504"),
        ("0x10", "0x.8", "16.5"),
        ("1e-400", "0", "0"),
        ("0x1p-16445", "0", "0"),
    ] {
        assert_eq!(sum(a, b).as_deref(), Some(expected), "{a} + {b}");
        assert_eq!(sum(b, a).as_deref(), Some(expected), "{b} + {a}");
    }
}

#[test]
fn no_nan_and_no_infinity() {
    for (a, b) in [
        ("inf", "-inf"),
        ("inf", "inf"),
        ("Infinity", "1"),
        ("1", "-INF"),
        ("1.18973149535723176502e4932", "1.18973149535723176502e4932"),
        ("0x1.fffffffffffffffep16383", "0x1p16319"),
    ] {
        assert_eq!(sum(a, b), None, "{a} + {b}");
    }
    assert!(read("-inf").is_infinite() && !read("1").is_infinite());
    assert_eq!((text(read("inf")), text(read("-inf"))), ("inf".into(), "-inf".into()));
}

/// What upstream refuses to call a float.
#[test]
fn rejects() {
    for text in [
        "",
        " 1",
        "1 ",
        "+",
        "-",
        ".",
        "e5",
        "1e",
        "1e+",
        "--1",
        "+-1",
        "1_0",
        "1,5",
        "1.2.3",
        "infin",
        "nan",
        "-nan",
        "nan(1)",
        "0x",
        "0x1p",
        "1\0",
        "\x001",
        "1e5000",
        "-1e5000",
        "1e-5000",
        "1e-4951",
        "0x1p-16446",
        "0x1p16384",
        "0x1.ffffffffffffffffp16383",
        "1.18973149535723176509e4932",
        "1e99999999999999999999",
        "1e-99999999999999999999",
    ] {
        assert_eq!(LongDouble::parse(text.as_bytes()), None, "{text:?}");
    }
}

#[test]
fn the_ends_of_the_range() {
    let largest = read("1.18973149535723176502e4932");
    assert_eq!(largest.magnitude, Magnitude::Finite { mantissa: u64::MAX, exponent: MAX_EXPONENT });
    assert_eq!(text(largest).len(), 4933);
    let smallest = read("3.7e-4951");
    assert_eq!(smallest.magnitude, Magnitude::Finite { mantissa: 1, exponent: MIN_EXPONENT });
    assert_eq!(smallest, read("0x1p-16445"));
    assert_eq!(read("0e9999"), read("0"));
    assert_eq!(read("0.000e-9999"), read("0"));
    assert_eq!(smallest.checked_add(read("-0x1p-16445")), Some(read("0")));
}

#[test]
fn length_is_limited() {
    let zeros = "0".repeat(TEXT_LIMIT - 2);
    assert_eq!(LongDouble::parse(format!("{zeros}1").as_bytes()), Some(read("1")));
    assert_eq!(LongDouble::parse(format!("{zeros}01").as_bytes()), None);
    // The longest texts need the widest integers.
    let nines = "9".repeat(TEXT_LIMIT - 200);
    assert_eq!(LongDouble::parse(format!("{nines}e-4800").as_bytes()), Some(read("1e120")));
    assert_eq!(LongDouble::parse(format!(".{nines}e-4932").as_bytes()), Some(read("1e-4932")));
}

/// Halfway between two values, a single digit far behind decides.
#[test]
fn ties_are_broken_by_any_digit() {
    let (below, above) = ("184467440737095516160", "184467440737095516176");
    assert_eq!(text(read("184467440737095516168")), below);
    let zeros = "0".repeat(3000);
    assert_eq!(text(read(&format!("184467440737095516168.{zeros}1"))), above);
    assert_eq!(text(read(&format!("184467440737095516168.{zeros}"))), below);
}

#[test]
fn ceilings() {
    for (text, milliseconds) in [
        ("0", 0),
        ("-0", 0),
        ("0.001", 1),
        ("0.1", 100),
        ("1.5", 1500),
        ("0.0001", 1),
        ("-0.0005", 0),
        ("-0.0015", -1),
        ("1e-4940", 1),
        ("-1e-4940", 0),
        ("9223372036854775.807", i64::MAX),
        ("1e30", i64::MAX),
        ("-1e30", i64::MIN),
        ("inf", i64::MAX),
        ("-inf", i64::MIN),
    ] {
        assert_eq!(read(text).times(1000).ceil(), milliseconds, "{text}");
    }
}

#[test]
fn doubles_convert() {
    assert_eq!(text(LongDouble::try_from(0.1).unwrap()), "0.10000000000000001");
    assert_eq!(text(LongDouble::try_from(-2.5).unwrap()), "-2.5");
    assert_eq!(text(LongDouble::try_from(f64::NEG_INFINITY).unwrap()), "-inf");
    assert_eq!(LongDouble::try_from(f64::NAN), Err(NotANumber));
    assert_eq!(LongDouble::try_from(5e-324), Ok(read("0x1p-1074")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]
    #[test]
    fn integers_add_exactly(a in -(1i64 << 62)..1 << 62, b in -(1i64 << 62)..1 << 62) {
        prop_assert_eq!(sum(&a.to_string(), &b.to_string()), Some((a + b).to_string()));
        prop_assert_eq!(LongDouble::from(a), read(&a.to_string()));
    }

    /// Every decimal with up to 17 decimals and 18 digits survives, as upstream's choice of 17 decimals intends.
    #[test]
    fn short_decimals_print_as_written(integer in 0u32..10, decimals in "[0-9]{0,16}[1-9]") {
        let decimal = format!("{integer}.{decimals}");
        prop_assert_eq!(text(read(&decimal)), decimal);
    }

    /// The paths for short and for long texts meet: the same number, padded to be long.
    #[test]
    fn short_and_long_texts_agree(digits in "[1-9][0-9]{0,18}", exponent in -27i32..=27) {
        let short = read(&format!("{digits}e{exponent}"));
        prop_assert_eq!(read(&format!("{digits}.{}e{exponent}", "0".repeat(30))), short);
        prop_assert_eq!(read(&format!("{digits}{}e{}", "0".repeat(40), exponent - 40)), short);
        prop_assert_eq!(read(&format!("0.{}{digits}e{}", "0".repeat(40), exponent + 40 + digits.len() as i32)), short);
    }

    /// Twenty-one digits of a double, read with eleven bits more than it has, come back when these are rounded off.
    #[test]
    fn doubles_survive(value in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL) {
        prop_assert_eq!(read(&format!("{value:.20e}")).magnitude_as_f64(), value.abs());
        prop_assert_eq!(LongDouble::try_from(value).unwrap().magnitude_as_f64(), value.abs());
    }

    #[test]
    fn sums_commute_and_negate(a in number(), b in number()) {
        let (x, y) = (read(&a), read(&b));
        prop_assert_eq!(x.checked_add(y), y.checked_add(x));
        let negated = |number: LongDouble| LongDouble { negative: !number.negative, ..number };
        prop_assert_eq!(negated(x).checked_add(negated(y)).map(|sum| sum.magnitude), x.checked_add(y).map(|sum| sum.magnitude));
        prop_assert_eq!(x.checked_add(negated(x)).map(text), Some("0".to_owned()));
    }

    /// The sum of two hexadecimal floats with few bits, against integers.
    #[test]
    fn sums_round_once(a: u64, b: u64, shift in 0u32..60, subtract: bool) {
        let (wide, narrow) = (u128::from(a) << shift, u128::from(b));
        let expected = if subtract { wide.abs_diff(narrow) } else { wide + narrow };
        let minus = if subtract { "-" } else { "" };
        let sum = read(&format!("0x{a:x}p{shift}")).checked_add(read(&format!("{minus}0x{b:x}"))).unwrap();
        prop_assert_eq!(sum.magnitude, Magnitude::round(expected, 0, false));
    }

    #[test]
    fn any_bytes_are_safe(text: Vec<u8>) {
        LongDouble::parse(&text);
    }
}

impl LongDouble {
    fn magnitude_as_f64(self) -> f64 {
        match self.magnitude {
            Magnitude::Infinite => f64::INFINITY,
            Magnitude::Finite { mantissa, exponent } => {
                HexFloat { mantissa: mantissa.into(), exponent: exponent.into(), inexact: false }.to_f64()
            }
        }
    }
}

fn number() -> impl Strategy<Value = String> {
    "-?[0-9]{1,25}(\\.[0-9]{0,25})?(e-?[0-9]{1,2})?"
}
