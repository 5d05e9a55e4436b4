//! Glob-style patterns, as `KEYS`, `SCAN … MATCH`, `PSUBSCRIBE`, `CONFIG GET` and ACL rules read them.
//!
//! A pattern is a sequence of elements. Each element but the star consumes exactly one byte of the text:
//!
//! | element   | matches                                                                        |
//! |-----------|--------------------------------------------------------------------------------|
//! | `*`       | any run of bytes, possibly empty; neighbouring stars count as one              |
//! | `?`       | any one byte                                                                   |
//! | `[abc]`   | one byte of the set; `a-z` is a range, `^` first inverts, `\` takes the next byte literally |
//! | `\x`      | the byte `x`                                                                   |
//! | other     | itself                                                                         |
//!
//! Several corners are part of the contract, because clients have been able to observe them for years:
//!
//! - an empty text is matched by the empty pattern alone, not even by `*` (commands treat a lone `*` as "everything"
//!   before they come here);
//! - a set may lack its closing bracket: it then extends to the pattern's end. `[]` is the empty set, `[^]` any byte,
//!   and `[a-]` an open set with a range from `]` to `a`;
//! - range bounds may come in either order and compare as *signed* bytes, so that `[\x80-a]` includes ASCII controls;
//! - without regard to case, both bounds of a range are lowered after they were put in order, and an escaped byte
//!   inside a set is still compared exactly;
//! - a backslash that ends the pattern stands for itself;
//! - more than [`MAX_STARS`] stars with something behind them match nothing.
//!
//! # Cost
//!
//! Only the last star met is ever reconsidered. That is enough: suppose the elements between two stars matched at the
//! leftmost place possible, and the rest of the pattern, from the second star on, fits nowhere in what remains of the
//! text. Moving the first part further right only leaves a shorter remainder, a suffix of the one just searched, and
//! in it there is nothing to find either. So no combination of earlier stars is tried twice, and a pattern of *m*
//! bytes on a text of *n* costs at most *n · m* steps, whatever the number of stars.

/// The number of stars, each followed by other elements, beyond which a pattern matches nothing. Upstream bounds its
/// recursion here; we have none, but keep the limit so that the same patterns match.
pub const MAX_STARS: usize = 1000;

/// Tells whether `text` as a whole is described by `pattern`. With `nocase`, ASCII letters match in either case.
///
/// ```
/// use ochre::ds::glob::matches;
/// assert!(matches(b"user:*:[0-9]", b"user:ann:7", false));
/// assert!(!matches(b"user:*:[0-9]", b"user:ann:", false));
/// assert!(matches(b"MAXMEMORY*", b"maxmemory-policy", true));
/// ```
pub fn matches(pattern: &[u8], text: &[u8], nocase: bool) -> bool {
    let prefix = literal_prefix(pattern, text);
    match_rest(pattern, text, prefix, nocase)
}

/// The length of the longest common prefix in which the pattern has no special byte. Most patterns in use are
/// `some:prefix:*`, and most texts part from them within this loop.
fn literal_prefix(pattern: &[u8], text: &[u8]) -> usize {
    pattern.iter().zip(text).take_while(|(p, t)| p == t && !is_special(**p)).count()
}

fn is_special(byte: u8) -> bool {
    matches!(byte, b'*' | b'?' | b'[' | b'\\')
}

/// Where to resume when the elements behind a star turn out not to fit.
struct Star {
    /// Index of the first element behind the star.
    pattern: usize,
    /// Index of the first byte of text that those elements were tried on.
    text: usize,
}

/// Matches `pattern` to `text` where their first `prefix` bytes are already known to agree literally.
fn match_rest(pattern: &[u8], text: &[u8], prefix: usize, nocase: bool) -> bool {
    let (mut p, mut t) = (prefix, prefix);
    let mut star: Option<Star> = None;
    let mut stars = 0;
    if t == text.len() {
        return pattern[p..].is_empty() || (!text.is_empty() && all_stars(&pattern[p..]));
    }
    loop {
        debug_assert!(t < text.len());
        let fits = match pattern.get(p) {
            None => false,
            Some(b'*') => {
                p += pattern[p..].iter().take_while(|&&byte| byte == b'*').count();
                stars += 1;
                if p == pattern.len() {
                    return true;
                }
                if stars > MAX_STARS {
                    return false;
                }
                star = Some(Star { pattern: p, text: t });
                continue;
            }
            Some(_) => {
                let (fits, length) = match_element(&pattern[p..], text[t], nocase);
                p += length;
                fits
            }
        };
        if fits {
            t += 1;
            if t == text.len() {
                // Starting later would use up the text even earlier in the pattern, so this verdict is final.
                return all_stars(&pattern[p..]);
            }
        } else {
            let Some(star) = star.as_mut() else { return false };
            let Some(next) = next_start(&pattern[star.pattern..], text, star.text + 1, nocase) else {
                return false;
            };
            star.text = next;
            (p, t) = (star.pattern, next);
        }
    }
}

fn all_stars(pattern: &[u8]) -> bool {
    pattern.iter().all(|&byte| byte == b'*')
}

/// The first index of `text`, not before `from`, where `pattern` may begin to match. Leaps over bytes that cannot be
/// its first when that is a plain byte.
fn next_start(pattern: &[u8], text: &[u8], from: usize, nocase: bool) -> Option<usize> {
    let first = pattern[0];
    if nocase || is_special(first) {
        return (from < text.len()).then_some(from);
    }
    memchr::memchr(first, &text[from..]).map(|offset| from + offset)
}

/// Matches the first element of `pattern`, which is not empty and not a star, to one byte. Returns the verdict and
/// the element's length in the pattern.
fn match_element(pattern: &[u8], byte: u8, nocase: bool) -> (bool, usize) {
    match *pattern {
        [b'?', ..] => (true, 1),
        [b'[', ref set @ ..] => {
            let (fits, length) = match_set(set, byte, nocase);
            (fits, length + 1)
        }
        [b'\\', literal, ..] => (same(literal, byte, nocase), 2),
        _ => (same(pattern[0], byte, nocase), 1),
    }
}

/// Matches the set whose text begins behind the opening bracket. Returns the verdict and the length of that text,
/// closing bracket included.
fn match_set(set: &[u8], byte: u8, nocase: bool) -> (bool, usize) {
    let inverted = set.first() == Some(&b'^');
    let mut i = usize::from(inverted);
    let mut found = false;
    loop {
        match set[i..] {
            [] => break,
            [b'\\', literal, ..] => {
                found |= literal == byte;
                i += 2;
            }
            [b']', ..] => {
                i += 1;
                break;
            }
            [low, b'-', high, ..] => {
                found |= in_range(low, high, byte, nocase);
                i += 3;
            }
            [literal, ..] => {
                found |= same(literal, byte, nocase);
                i += 1;
            }
        }
    }
    (found != inverted, i)
}

/// Range bounds are C `char`s on a machine where these are signed: order them first, lower them second.
fn in_range(first: u8, second: u8, byte: u8, nocase: bool) -> bool {
    let (low, high) = if first as i8 > second as i8 { (second, first) } else { (first, second) };
    let fold = |byte: u8| (if nocase { byte.to_ascii_lowercase() } else { byte }) as i8;
    (fold(low)..=fold(high)).contains(&fold(byte))
}

fn same(a: u8, b: u8, nocase: bool) -> bool {
    a == b || (nocase && a.eq_ignore_ascii_case(&b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition itself: the first element fits and the rest matches the rest, a star tries every length.
    /// Exponential, for short inputs only; it shares nothing with the matcher but the reading of sets.
    fn model(pattern: &[u8], text: &[u8], nocase: bool) -> bool {
        fn rest(pattern: &[u8], text: &[u8], nocase: bool) -> bool {
            match (pattern, text) {
                ([], _) => text.is_empty(),
                ([b'*', tail @ ..], _) => (0..=text.len()).any(|skip| rest(tail, &text[skip..], nocase)),
                (_, []) => false,
                (_, [byte, after @ ..]) => {
                    let (fits, length) = match_element(pattern, *byte, nocase);
                    fits && rest(&pattern[length..], after, nocase)
                }
            }
        }
        if text.is_empty() { pattern.is_empty() } else { rest(pattern, text, nocase) }
    }

    fn yes(pattern: &[u8], text: &[u8]) {
        assert!(matches(pattern, text, false), "{} {}", pattern.escape_ascii(), text.escape_ascii());
    }

    fn no(pattern: &[u8], text: &[u8]) {
        assert!(!matches(pattern, text, false), "{} {}", pattern.escape_ascii(), text.escape_ascii());
    }

    #[test]
    fn literals_and_wildcards() {
        yes(b"hello", b"hello");
        no(b"hello", b"hell");
        no(b"hello", b"helloo");
        yes(b"h?llo", b"hallo");
        no(b"h?llo", b"hllo");
        yes(b"h*llo", b"hllo");
        yes(b"h*llo", b"heeeello");
        yes(b"*", b"x");
        yes(b"a*", b"a");
        yes(b"a**", b"a");
        yes(b"*a*b*c*", b"xxaxxbxxcxx");
        no(b"*a*b*c*", b"xxaxxcxxbxx");
        yes(b"*ab", b"aab");
        yes(b"*aab", b"aaaab");
    }

    #[test]
    fn empty_text_needs_an_empty_pattern() {
        yes(b"", b"");
        no(b"*", b"");
        no(b"**", b"");
        no(b"?", b"");
        no(b"", b"a");
    }

    #[test]
    fn sets() {
        yes(b"h[ae]llo", b"hallo");
        no(b"h[ae]llo", b"hillo");
        yes(b"h[^e]llo", b"hallo");
        no(b"h[^e]llo", b"hello");
        yes(b"h[a-c]llo", b"hbllo");
        yes(b"h[c-a]llo", b"hbllo");
        no(b"h[a-c]llo", b"hdllo");
        yes(b"[\\]]", b"]");
        yes(b"[a\\-z]", b"-");
        no(b"[a\\-z]", b"b");
        no(b"[]", b"a");
        no(b"[]a]", b"a");
        yes(b"[^]", b"a");
        // The bracket is the range's bound here, and the set is left open.
        yes(b"[a-]", b"_");
        no(b"[a-]", b"-");
        yes(b"[a\\-]", b"-");
        yes(b"[\x80-a]", b"\x01");
        no(b"[\x80-a]", b"b");
        yes(b"[\x7f-\x80]", b"M");
        yes(b"[^", b"a");
        no(b"[", b"[");
        yes(b"[abc", b"b");
        yes(b"[a-z", b"m");
        yes(b"[\\", b"\\");
    }

    #[test]
    fn escapes() {
        yes(b"\\*", b"*");
        no(b"\\*", b"a");
        yes(b"a\\", b"a\\");
        yes(b"\\\\", b"\\");
        yes(b"\\a", b"a");
    }

    #[test]
    fn case_folding() {
        assert!(matches(b"HeLLo*", b"hEllO!", true));
        assert!(matches(b"[A-C]", b"b", true));
        assert!(matches(b"[a-c]", b"B", true));
        // The bounds are ordered before they are lowered: this range is empty afterwards.
        assert!(!matches(b"[Z-a]", b"z", true));
        assert!(!matches(b"[\\A]", b"a", true));
        assert!(matches(b"\\A", b"a", true));
        assert!(!matches(b"\xc0", b"\xe0", true));
    }

    #[test]
    fn stars_are_limited() {
        let text = vec![b'a'; 1500];
        for (count, follows, trails) in [(1000, true, true), (1001, false, true), (1002, false, false)] {
            assert_eq!(matches(&b"*a".repeat(count), &text, false), follows, "{count}");
            assert_eq!(matches(&b"a*".repeat(count), &text, false), trails, "{count}");
        }
        assert!(matches(&b"*".repeat(5000), &text, false));
    }

    /// What takes 2^n steps in a matcher that reconsiders every star.
    #[test]
    fn abusive_patterns_are_cheap() {
        let text = vec![b'a'; 4096];
        let mut pattern = b"*a".repeat(500);
        pattern.push(b'b');
        let start = std::time::Instant::now();
        assert!(!matches(&pattern, &text, false));
        assert!(start.elapsed() < std::time::Duration::from_secs(1));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        #[test]
        fn agrees_with_the_definition(
            pattern in "[abAB*?\\[\\]\\\\^-]{0,10}",
            text in "[abAB\\]^\\\\-]{0,10}",
            nocase: bool,
        ) {
            let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
            prop_assert_eq!(matches(pattern, text, nocase), model(pattern, text, nocase));
        }

        #[test]
        fn any_bytes_are_safe(pattern: Vec<u8>, text: Vec<u8>, nocase: bool) {
            matches(&pattern, &text, nocase);
        }

        #[test]
        fn an_escaped_text_matches_itself(text: Vec<u8>) {
            let pattern: Vec<u8> = text.iter().flat_map(|&byte| [b'\\', byte]).collect();
            prop_assert!(matches(&pattern, &text, false));
        }
    }
}
