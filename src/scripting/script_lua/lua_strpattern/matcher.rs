//! The matcher: Lua 5.1's patterns over bytes, without recursion and with its steps counted.
//!
//! A pattern is read as it stands, item by item; only of the set read last it is remembered which bytes are in it. Where the
//! matcher has a choice (how often an item is repeated) it notes the alternative on a stack of [`Choice`]s and goes on with
//! the first; where it fails it takes up the last alternative noted. What Lua's matcher keeps in nested C calls is thus a
//! vector, and a pattern of any length is no danger to the C stack. Opening and closing a capture is noted on the same
//! stack, to be undone when what follows fails.
//!
//! Such matching may take exponential time. Therefore each step is counted, by what it costs, and whenever [`STEPS_PER_LOOK`]
//! of them are used up the caller is asked whether to go on.
//!
//! A pattern ends at its first NUL, as the C string that it is in Lua 5.1.

use std::mem::MaybeUninit;

/// Captures that a pattern may have: `LUA_MAXCAPTURES`.
pub const MAX_CAPTURES: usize = 32;

/// Steps between two looks at the clock: a fraction of a millisecond.
pub(in crate::scripting::script_lua) const STEPS_PER_LOOK: i64 = 100_000;

/// Choices that may be open at once. There is at most one for each item of the pattern, so that no pattern of use comes near;
/// Lua's own matcher would have left the C stack by then.
const MAX_CHOICES: usize = 50_000;

/// The length of a capture that is not closed yet.
const UNFINISHED: isize = -1;

/// The length of a capture that is a position.
const POSITION: isize = -2;

/// Why matching ended without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The pattern is wrong in this way.
    Malformed(&'static std::ffi::CStr),
    /// The caller wanted it to end.
    Stopped,
}

/// What a capture holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Captured {
    /// The bytes from one position to another.
    Text(usize, usize),
    /// A position, counted from 0.
    Position(usize),
}

#[derive(Debug, Clone, Copy)]
struct Capture {
    start: usize,
    len: isize,
}

/// What is to be done when what follows fails. Positions are in the source (`s`) and in the pattern (`p`).
#[derive(Debug, Clone, Copy)]
pub(in crate::scripting::script_lua) enum Choice {
    /// Go on from here: an optional item is left out.
    Skip { s: usize, p: usize },
    /// Take one repetition less than before: they begin at `least`, and the last try was at `s`.
    Fewer { least: usize, s: usize, p: usize },
    /// Take one repetition more than before: of the item from `p` to `end`.
    More { s: usize, p: usize, end: usize },
    /// The capture opened last is none.
    Reopen,
    /// This capture is open again.
    Unclose { capture: usize },
}

/// A pattern and the source it is matched with.
#[derive(Debug)]
pub(super) struct Matcher<'a> {
    source: &'a [u8],
    pattern: &'a [u8],
    /// Whether the pattern stands for itself.
    plain: bool,
    level: usize,
    /// As many as `level` are in use.
    captures: [MaybeUninit<Capture>; MAX_CAPTURES],
    /// The set that was read last, and where in the pattern it begins.
    set: (usize, Item),
    /// Steps that are left until the next look at the clock.
    pub steps: i64,
}

impl<'a> Matcher<'a> {
    /// The pattern counts up to its first NUL. An anchor at its beginning is the caller's affair.
    #[inline]
    pub fn new(source: &'a [u8], pattern: &'a [u8], steps: i64) -> Matcher<'a> {
        let mut plain = true;
        let end = pattern.iter().position(|b| {
            plain &= !SPECIAL[usize::from(*b)];
            *b == 0
        });
        Matcher {
            source,
            pattern: &pattern[..end.unwrap_or(pattern.len())],
            plain,
            level: 0,
            captures: [MaybeUninit::uninit(); MAX_CAPTURES],
            set: (usize::MAX, Item { one: One::Any, end: 0 }),
            steps,
        }
    }

    /// Searches from `at` on, or at that place only, and answers where a match begins and ends. `choices` is memory for the work;
    /// `look` is asked every so often whether to stop.
    ///
    /// # Errors
    /// If the pattern is malformed, as far as it was read, or `look` wanted to stop.
    pub fn search(
        &mut self,
        mut at: usize,
        anywhere: bool,
        choices: &mut Vec<Choice>,
        look: &mut impl FnMut() -> bool,
    ) -> Result<Option<(usize, usize)>, Fault> {
        loop {
            if anywhere {
                let Some(next) = self.earliest(at) else { return Ok(None) };
                self.spend((next - at) / 16, look)?;
                at = next;
            }
            let end =
                if self.plain { self.match_plain(at, look)? } else { self.match_at(at, choices, look)? };
            match end {
                Some(end) => return Ok(Some((at, end))),
                None if !anywhere || at == self.source.len() => return Ok(None),
                None => at += 1,
            }
        }
    }

    /// [`Matcher::match_at`] for a pattern that stands for itself.
    fn match_plain(&mut self, start: usize, look: &mut impl FnMut() -> bool) -> Result<Option<usize>, Fault> {
        self.level = 0;
        self.spend(1 + self.pattern.len() / 16, look)?;
        let found = self.source[start..].starts_with(self.pattern);
        Ok(found.then_some(start + self.pattern.len()))
    }

    /// Number of captures of the last match.
    pub fn level(&self) -> usize {
        self.level
    }

    /// A capture of the last match, which went from `start` to `end`: that is the first one if the pattern has none.
    ///
    /// # Errors
    /// If there is no such capture, or it was not closed.
    pub fn capture(&self, index: usize, start: usize, end: usize) -> Result<Captured, Fault> {
        if index >= self.level {
            return match index {
                0 => Ok(Captured::Text(start, end)),
                _ => Err(Fault::Malformed(c"invalid capture index")),
            };
        }
        let Capture { start, len } = self.captures()[index];
        match len {
            POSITION => Ok(Captured::Position(start)),
            UNFINISHED => Err(Fault::Malformed(c"unfinished capture")),
            len => Ok(Captured::Text(start, start + len as usize)),
        }
    }

    /// Matches at `start`, and answers where the match ends, if there is one.
    fn match_at(
        &mut self,
        start: usize,
        choices: &mut Vec<Choice>,
        look: &mut impl FnMut() -> bool,
    ) -> Result<Option<usize>, Fault> {
        self.level = 0;
        choices.clear();
        let (mut s, mut p) = (start, 0);
        loop {
            if let Some(end) = self.advance(s, p, choices, look)? {
                return Ok(Some(end));
            }
            match self.take_up(choices, look)? {
                Some(next) => (s, p) = next,
                None => return Ok(None),
            }
        }
    }

    /// The captures in use.
    fn captures(&self) -> &[Capture] {
        debug_assert!(self.level <= MAX_CAPTURES);
        // SAFETY: `open` writes a capture before it counts it, and counts no more than there is room for.
        unsafe { std::slice::from_raw_parts(self.captures.as_ptr().cast(), self.level) }
    }

    /// The same, to be changed.
    fn captures_mut(&mut self) -> &mut [Capture] {
        debug_assert!(self.level <= MAX_CAPTURES);
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.captures.as_mut_ptr().cast(), self.level) }
    }

    /// Where the next match at `from` or behind it can begin at the earliest: one that begins with an item which is not to be
    /// left out has to find that item.
    fn earliest(&mut self, from: usize) -> Option<usize> {
        let opened = self.pattern.iter().take_while(|b| **b == b'(').count();
        let starts_plainly = match self.at(opened) {
            0 | b')' | b'$' => false,
            b'%' => !matches!(self.at(opened + 1), b'b' | b'f' | b'0'..=b'9'),
            _ => true,
        };
        // What is wrong with a pattern shows when it is matched.
        let Ok(Item { one, end }) = self.item_at(opened) else { return Some(from) };
        if !starts_plainly || opened > MAX_CAPTURES || matches!(self.at(end), b'*' | b'?' | b'-') {
            return Some(from);
        }
        let rest = &self.source[from..];
        let skipped = match one {
            One::Any => Some(0).filter(|_| !rest.is_empty()),
            One::Byte(own) => memchr::memchr(own, rest),
            One::Except(other) => rest.iter().position(|b| *b != other),
            One::Of(bytes) => rest.iter().position(|b| bytes.has(*b)),
        };
        skipped.map(|skipped| from + skipped)
    }

    /// Counts steps.
    #[inline]
    fn spend(&mut self, steps: usize, look: &mut impl FnMut() -> bool) -> Result<(), Fault> {
        self.steps -= steps as i64;
        if self.steps > 0 {
            return Ok(());
        }
        self.steps = STEPS_PER_LOOK;
        if look() { Err(Fault::Stopped) } else { Ok(()) }
    }

    /// The pattern's byte at `p`, 0 at its end.
    #[inline]
    fn at(&self, p: usize) -> u8 {
        self.pattern.get(p).copied().unwrap_or(0)
    }

    /// Goes on from `s` and `p` until the pattern ends, and answers where in the source that is, or fails. Alternatives on the
    /// way are noted.
    fn advance(
        &mut self,
        mut s: usize,
        mut p: usize,
        choices: &mut Vec<Choice>,
        look: &mut impl FnMut() -> bool,
    ) -> Result<Option<usize>, Fault> {
        loop {
            match self.at(p) {
                b'(' if self.at(p + 1) == b')' => {
                    self.open(s, POSITION, choices)?;
                    p += 2;
                }
                b'(' => {
                    self.open(s, UNFINISHED, choices)?;
                    p += 1;
                }
                b')' => {
                    self.close(s, choices)?;
                    p += 1;
                }
                0 => return Ok(Some(s)),
                b'$' if self.at(p + 1) == 0 => return Ok((s == self.source.len()).then_some(s)),
                b'%' if self.at(p + 1) == b'b' => {
                    let Some(next) = self.balanced(s, p + 2, look)? else { return Ok(None) };
                    s = next;
                    p += 4;
                }
                b'%' if self.at(p + 1) == b'f' => {
                    let Some(next) = self.frontier(s, p + 2, look)? else { return Ok(None) };
                    p = next;
                }
                b'%' if self.at(p + 1).is_ascii_digit() => {
                    let Some(next) = self.again(s, self.at(p + 1), look)? else { return Ok(None) };
                    s = next;
                    p += 2;
                }
                own if !SPECIAL[usize::from(own)] && !SPECIAL[usize::from(self.at(p + 1))] => {
                    self.spend(1, look)?;
                    if self.source.get(s) != Some(&own) {
                        return Ok(None);
                    }
                    s += 1;
                    p += 1;
                    continue;
                }
                _ => {
                    let Some(next) = self.item(s, p, choices, look)? else { return Ok(None) };
                    (s, p) = next;
                }
            }
            if choices.len() > MAX_CHOICES {
                return Err(Fault::Malformed(c"pattern too complex"));
            }
        }
    }

    /// Matches an item that stands for one byte, as often as what follows it says.
    #[inline]
    fn item(
        &mut self,
        s: usize,
        p: usize,
        choices: &mut Vec<Choice>,
        look: &mut impl FnMut() -> bool,
    ) -> Result<Option<(usize, usize)>, Fault> {
        let Item { one, end } = self.item_at(p)?;
        self.spend(end - p, look)?;
        let matches = self.source.get(s).is_some_and(|b| one.is(*b));
        Ok(match self.at(end) {
            b'?' => {
                if matches {
                    choices.push(Choice::Skip { s, p: end + 1 });
                }
                Some((s + usize::from(matches), end + 1))
            }
            b'*' => Some((self.repeat(s, one, p, end, choices, look)?, end + 1)),
            b'+' if matches => Some((self.repeat(s + 1, one, p, end, choices, look)?, end + 1)),
            b'+' => None,
            b'-' => {
                choices.push(Choice::More { s, p, end });
                Some((s, end + 1))
            }
            _ => matches.then_some((s + 1, end)),
        })
    }

    /// Repeats an item from `s` on as often as it matches, and notes that fewer repetitions may do. Answers where they end.
    fn repeat(
        &mut self,
        s: usize,
        one: One,
        p: usize,
        end: usize,
        choices: &mut Vec<Choice>,
        look: &mut impl FnMut() -> bool,
    ) -> Result<usize, Fault> {
        let rest = &self.source[s..];
        let differs = match one {
            One::Any => None,
            One::Byte(own) => rest.iter().position(|b| *b != own),
            One::Except(other) => memchr::memchr(other, rest),
            One::Of(bytes) => rest.iter().position(|b| !bytes.has(*b)),
        };
        let count = differs.unwrap_or(rest.len());
        let cost = if let One::Any = one { 1 } else { end - p };
        self.spend(count.saturating_mul(cost), look)?;
        if count > 0 {
            choices.push(Choice::Fewer { least: s, s: s + count, p: end + 1 });
        }
        Ok(s + count)
    }

    /// Takes up the alternative noted last. `None` if there is none left.
    #[inline]
    fn take_up(
        &mut self,
        choices: &mut Vec<Choice>,
        look: &mut impl FnMut() -> bool,
    ) -> Result<Option<(usize, usize)>, Fault> {
        self.spend(1, look)?;
        while let Some(last) = choices.last_mut() {
            match last {
                Choice::Fewer { least, s, p } => {
                    *s -= 1;
                    let next = (*s, *p);
                    if *s == *least {
                        choices.pop();
                    }
                    return Ok(Some(next));
                }
                Choice::More { s, p, end } => {
                    let (at, p, end) = (*s, *p, *end);
                    *s += 1;
                    self.spend(end - p, look)?;
                    let one = self.item_at(p)?.one;
                    if self.source.get(at).is_some_and(|b| one.is(*b)) {
                        return Ok(Some((at + 1, end + 1)));
                    }
                    choices.pop();
                }
                Choice::Skip { s, p } => {
                    let next = (*s, *p);
                    choices.pop();
                    return Ok(Some(next));
                }
                Choice::Reopen => {
                    self.level -= 1;
                    choices.pop();
                }
                Choice::Unclose { capture } => {
                    let capture = *capture;
                    self.captures_mut()[capture].len = UNFINISHED;
                    choices.pop();
                }
            }
        }
        Ok(None)
    }

    fn open(&mut self, s: usize, len: isize, choices: &mut Vec<Choice>) -> Result<(), Fault> {
        if self.level == MAX_CAPTURES {
            return Err(Fault::Malformed(c"too many captures"));
        }
        self.captures[self.level].write(Capture { start: s, len });
        self.level += 1;
        choices.push(Choice::Reopen);
        Ok(())
    }

    fn close(&mut self, s: usize, choices: &mut Vec<Choice>) -> Result<(), Fault> {
        let open = self.captures().iter().rposition(|capture| capture.len == UNFINISHED);
        let capture = open.ok_or(Fault::Malformed(c"invalid pattern capture"))?;
        let closed = &mut self.captures_mut()[capture];
        closed.len = (s - closed.start) as isize;
        choices.push(Choice::Unclose { capture });
        Ok(())
    }

    /// `%bxy`, whose two bytes are at `p`.
    fn balanced(
        &mut self,
        s: usize,
        p: usize,
        look: &mut impl FnMut() -> bool,
    ) -> Result<Option<usize>, Fault> {
        let (open, close) = (self.at(p), self.at(p + 1));
        if open == 0 || close == 0 {
            return Err(Fault::Malformed(c"unbalanced pattern"));
        }
        if self.source.get(s) != Some(&open) {
            return Ok(None);
        }
        let mut depth = 1usize;
        for (i, b) in self.source[s + 1..].iter().enumerate() {
            if *b == close {
                depth -= 1;
                if depth == 0 {
                    self.spend(i, look)?;
                    return Ok(Some(s + i + 2));
                }
            } else if *b == open {
                depth += 1;
            }
        }
        self.spend(self.source.len() - s, look)?;
        Ok(None)
    }

    /// `%f[set]`, whose set is at `p`: answers where in the pattern it ends, if the source enters the set at `s`.
    fn frontier(
        &mut self,
        s: usize,
        p: usize,
        look: &mut impl FnMut() -> bool,
    ) -> Result<Option<usize>, Fault> {
        if self.at(p) != b'[' {
            return Err(Fault::Malformed(c"missing '[' after '%f' in pattern"));
        }
        let Item { one, end } = self.item_at(p)?;
        self.spend(end - p, look)?;
        let before = if s == 0 { 0 } else { self.source[s - 1] };
        let here = self.source.get(s).copied().unwrap_or(0);
        Ok((!one.is(before) && one.is(here)).then_some(end))
    }

    /// `%1`: the bytes that the capture with this digit has, once more.
    fn again(
        &mut self,
        s: usize,
        digit: u8,
        look: &mut impl FnMut() -> bool,
    ) -> Result<Option<usize>, Fault> {
        let index = usize::from(digit).wrapping_sub(usize::from(b'1'));
        let capture = self.captures().get(index).filter(|capture| capture.len != UNFINISHED);
        let Capture { start, len } = *capture.ok_or(Fault::Malformed(c"invalid capture index"))?;
        // A position has no bytes.
        let Ok(len) = usize::try_from(len) else { return Ok(None) };
        self.spend(1 + len / 16, look)?;
        let same = self.source.len() - s >= len && self.source[start..start + len] == self.source[s..s + len];
        Ok(same.then_some(s + len))
    }

    /// The item that begins at `p`.
    #[inline]
    fn item_at(&mut self, p: usize) -> Result<Item, Fault> {
        Ok(match self.at(p) {
            b'.' => Item { one: One::Any, end: p + 1 },
            b'%' => match self.at(p + 1) {
                0 => return Err(Fault::Malformed(c"malformed pattern (ends with '%')")),
                letter => Item { one: One::of_letter(letter), end: p + 2 },
            },
            b'[' if self.set.0 == p => self.set.1,
            b'[' if self.is_set_of_one(p + 1) => Item { one: One::Byte(self.at(p + 1)), end: p + 3 },
            b'[' if self.at(p + 1) == b'^' && self.is_set_of_one(p + 2) => {
                Item { one: One::Except(self.at(p + 2)), end: p + 4 }
            }
            b'[' => {
                let end = self.set_end(p + 1)?;
                let item = Item { one: One::Of(self.read_set(p, end - 1)), end };
                self.set = (p, item);
                item
            }
            own => Item { one: One::Byte(own), end: p + 1 },
        })
    }

    /// Whether all of a set, but for its brackets, is the byte at `p`, which stands for itself.
    #[inline]
    fn is_set_of_one(&self, p: usize) -> bool {
        !matches!(self.at(p), 0 | b'^' | b'%' | b']') && self.at(p + 1) == b']'
    }

    /// Where the set ends whose bracket is in front of `p`. Its first byte may be a closing bracket.
    fn set_end(&self, mut p: usize) -> Result<usize, Fault> {
        if self.at(p) == b'^' {
            p += 1;
        }
        loop {
            let byte = self.at(p);
            if byte == 0 {
                return Err(Fault::Malformed(c"malformed pattern (missing ']')"));
            }
            p += 1;
            if byte == b'%' && self.at(p) != 0 {
                p += 1;
            }
            if self.at(p) == b']' {
                return Ok(p + 1);
            }
        }
    }

    /// The bytes of the set that begins at `p`; its closing bracket is at `close`.
    fn read_set(&self, p: usize, close: usize) -> Bytes {
        let negated = self.at(p + 1) == b'^';
        let mut p = p + 1 + usize::from(negated);
        let mut bytes = Bytes([0; 4]);
        while p < close {
            if self.pattern[p] == b'%' {
                p += 1;
                match One::of_letter(self.pattern[p]) {
                    One::Of(class) => bytes.add_all(class),
                    _ => bytes.add(self.pattern[p]),
                }
            } else if self.at(p + 1) == b'-' && p + 2 < close {
                (self.pattern[p]..=self.pattern[p + 2]).for_each(|b| bytes.add(b));
                p += 2;
            } else {
                bytes.add(self.pattern[p]);
            }
            p += 1;
        }
        if negated { bytes.others() } else { bytes }
    }
}

/// An item of a pattern that stands for one byte: what it stands for, and where in the pattern it ends.
#[derive(Debug, Clone, Copy)]
struct Item {
    one: One,
    end: usize,
}

/// Bytes that may stand for more than themselves in a pattern, or have what stands in front of them do so.
static SPECIAL: [bool; 256] = {
    let mut special = [false; 256];
    let bytes = b"^$*+?.([%-)";
    let mut i = 0;
    while i < bytes.len() {
        special[bytes[i] as usize] = true;
        i += 1;
    }
    special
};

/// What one byte may be.
#[derive(Debug, Clone, Copy)]
enum One {
    /// Any.
    Any,
    /// This one.
    Byte(u8),
    /// Any but this one, as in patterns that split a text.
    Except(u8),
    /// One of these.
    Of(Bytes),
}

impl One {
    /// What a letter behind a percent sign stands for: its class, the complement of that if it is a capital. Other bytes stand for
    /// themselves.
    #[inline]
    fn of_letter(letter: u8) -> One {
        match CLASSES.iter().find(|(name, _)| *name == letter.to_ascii_lowercase()) {
            None => One::Byte(letter),
            Some((_, class)) if letter.is_ascii_lowercase() => One::Of(*class),
            Some((_, class)) => One::Of(class.others()),
        }
    }

    #[inline]
    fn is(&self, byte: u8) -> bool {
        match self {
            One::Any => true,
            One::Byte(own) => *own == byte,
            One::Except(other) => *other != byte,
            One::Of(bytes) => bytes.has(byte),
        }
    }
}

/// A set of bytes, a bit each.
#[derive(Debug, Clone, Copy)]
struct Bytes([u64; 4]);

impl Bytes {
    #[inline]
    fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] >> (byte & 63) & 1 != 0
    }

    const fn add(&mut self, byte: u8) {
        self.0[(byte >> 6) as usize] |= 1 << (byte & 63);
    }

    fn add_all(&mut self, others: Bytes) {
        self.0.iter_mut().zip(others.0).for_each(|(own, other)| *own |= other);
    }

    /// All bytes that are not in it.
    fn others(&self) -> Bytes {
        Bytes(self.0.map(|bits| !bits))
    }
}

/// The classes that letters stand for.
static CLASSES: [(u8, Bytes); 10] = {
    const LETTERS: &[u8; 10] = b"adwslupcxz";
    let mut classes = [(0, Bytes([0; 4])); 10];
    let mut i = 0;
    while i < LETTERS.len() {
        classes[i].0 = LETTERS[i];
        let mut byte = 0;
        while byte <= 0xff {
            if is_in_class(byte as u8, LETTERS[i]) {
                classes[i].1.add(byte as u8);
            }
            byte += 1;
        }
        i += 1;
    }
    classes
};

/// Whether a byte is in the class of this letter.
const fn is_in_class(byte: u8, class: u8) -> bool {
    match class {
        b'a' => byte.is_ascii_alphabetic(),
        b'c' => byte.is_ascii_control(),
        b'd' => byte.is_ascii_digit(),
        b'l' => byte.is_ascii_lowercase(),
        b'p' => byte.is_ascii_punctuation(),
        b's' => matches!(byte, b' ' | b'\t'..=b'\r'),
        b'u' => byte.is_ascii_uppercase(),
        b'w' => byte.is_ascii_alphanumeric(),
        b'x' => byte.is_ascii_hexdigit(),
        _ => byte == 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(source: &[u8], pattern: &[u8]) -> Result<Option<(usize, usize)>, Fault> {
        let mut matcher = Matcher::new(source, pattern, STEPS_PER_LOOK);
        let mut choices = Vec::new();
        for start in 0..=source.len() {
            if let Some(end) = matcher.match_at(start, &mut choices, &mut || false)? {
                return Ok(Some((start, end)));
            }
        }
        Ok(None)
    }

    #[test]
    fn exponential_matching_is_stopped() {
        let source = vec![b'a'; 40];
        let pattern = ["a?".repeat(40), "a".repeat(40), "b".to_owned()].concat();
        let mut looks = 0;
        let mut matcher = Matcher::new(&source, pattern.as_bytes(), STEPS_PER_LOOK);
        let mut look = || {
            looks += 1;
            looks == 10
        };
        assert_eq!(matcher.match_at(0, &mut Vec::new(), &mut look), Err(Fault::Stopped));
        assert_eq!(looks, 10);
    }

    #[test]
    fn a_pattern_of_any_length_needs_no_stack() {
        let source = vec![b'a'; MAX_CHOICES + 10];
        let long = |n: usize| "a?".repeat(n);
        assert_eq!(find(&source, long(MAX_CHOICES).as_bytes()), Ok(Some((0, MAX_CHOICES))));
        let fault = find(&source, long(MAX_CHOICES + 1).as_bytes());
        assert_eq!(fault, Err(Fault::Malformed(c"pattern too complex")));
    }

    #[test]
    fn a_set_as_long_as_it_likes_counts_as_its_length() {
        let pattern = [&b"["[..], &vec![b'x'; 1000], b"]*y"].concat();
        let mut matcher = Matcher::new(&[b'x'; 1000], &pattern, STEPS_PER_LOOK);
        let mut looks = 0;
        let mut look = || {
            looks += 1;
            false
        };
        assert_eq!(matcher.match_at(0, &mut Vec::new(), &mut look), Ok(None));
        assert!(looks > 0, "a million comparisons are more than {STEPS_PER_LOOK} steps");
    }
}
