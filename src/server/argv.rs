//! The arguments of the command at hand.
//!
//! Arguments are ranges into the buffer that the request was read into: a GET owns nothing. A bulk argument of
//! [`BIG_ARG`] bytes or more was read straight into an allocation of its own and is held as [`Bytes`], so that it
//! can become a value without a copy.
//!
//! One `Argv` can hold a whole batch of parsed commands. [`Argv::select`] opens the window on one of them; all
//! accessors see that window only.

use bytes::Bytes;

use crate::ds::numbers;
use crate::ds::siphash::{self, HashSeed};
use crate::server::error::CmdError;

/// Bulk arguments of this many bytes or more get an allocation of their own while they are read.
pub const BIG_ARG: usize = 32 * 1024;

/// Room for this many arguments is kept for the next commands; a command of more gives the rest back.
const RANGES_KEPT: usize = 4 * 1024;

/// Marks a range that points into [`Argv::big`] rather than into the buffer.
const BIG: usize = usize::MAX;

/// Where one argument lies.
#[derive(Debug, Clone, Copy)]
pub struct ArgRange {
    /// Offset in the buffer, or [`BIG`].
    at: usize,
    /// Length in bytes, or the index of a big argument.
    len: usize,
}

impl ArgRange {
    /// The argument with allocation number `index`.
    pub(crate) fn big(index: usize) -> ArgRange {
        ArgRange { at: BIG, len: index }
    }
}

/// A key with its hash under the server's seed, ready for the table.
#[derive(Debug, Clone, Copy)]
pub struct Key<'a> {
    /// The key's name.
    pub bytes: &'a [u8],
    /// Its hash in every keyspace table.
    pub hash: u64,
}

/// Arguments of one command, or of a batch of which one is selected.
#[derive(Debug)]
pub struct Argv {
    buf: Vec<u8>,
    ranges: Vec<ArgRange>,
    big: Vec<Bytes>,
    base: usize,
    len: usize,
    seed: HashSeed,
    /// Position and hash of the key that was hashed ahead, when `hashed` is not 0.
    hashed: usize,
    hash: u64,
}

impl Default for Argv {
    fn default() -> Argv {
        Argv {
            buf: Vec::new(),
            ranges: Vec::new(),
            big: Vec::new(),
            base: 0,
            len: 0,
            seed: siphash::process_seed(),
            hashed: 0,
            hash: 0,
        }
    }
}

impl Argv {
    /// One command out of owned arguments: for scripts, queues, tests.
    pub fn from_args<A: AsRef<[u8]>>(args: &[A]) -> Argv {
        let mut argv = Argv::default();
        for arg in args {
            let at = argv.buf.len();
            argv.buf.extend_from_slice(arg.as_ref());
            argv.ranges.push(ArgRange { at, len: arg.as_ref().len() });
        }
        argv.len = args.len();
        argv
    }

    /// Number of arguments, the command's name included.
    #[inline]
    #[allow(clippy::len_without_is_empty)] // a command always has its name
    pub fn len(&self) -> usize {
        self.len
    }

    /// Argument `i`; the command's name is number 0.
    ///
    /// # Panics
    /// If there is no such argument.
    #[inline]
    pub fn get(&self, i: usize) -> &[u8] {
        if i >= self.len {
            no_argument(i, self.len);
        }
        let range = self.ranges[self.base + i];
        if range.at == BIG { &self.big[range.len] } else { &self.buf[range.at..range.at + range.len] }
    }

    /// The arguments from `from` on.
    pub fn iter_from(&self, from: usize) -> impl ExactSizeIterator<Item = &[u8]> + Clone + '_ {
        (from..self.len).map(|i| self.get(i))
    }

    /// All arguments.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> + Clone + '_ {
        self.iter_from(0)
    }

    /// Whether argument `i` is `word`, in any case.
    #[inline]
    pub fn is(&self, i: usize, word: &[u8]) -> bool {
        self.get(i).eq_ignore_ascii_case(word)
    }

    /// Argument `i` as a 64-bit signed integer.
    pub fn int(&self, i: usize) -> Result<i64, CmdError> {
        numbers::parse_i64(self.get(i)).ok_or(CmdError::NotAnInteger)
    }

    /// Argument `i` as a float.
    pub fn float(&self, i: usize) -> Result<f64, CmdError> {
        numbers::parse_f64(self.get(i)).filter(|f| !f.is_nan()).ok_or(CmdError::NotAFloat)
    }

    /// Argument `i` as a key, hashed.
    #[inline]
    pub fn key(&self, i: usize) -> Key<'_> {
        let bytes = self.get(i);
        let hash = if i == self.hashed && i != 0 { self.hash } else { siphash::hash(self.seed, bytes) };
        Key { bytes, hash }
    }

    /// Argument `i` to keep: a big one is shared, any other copied.
    pub fn bytes(&self, i: usize) -> Bytes {
        self.big_arg(i).cloned().unwrap_or_else(|| Bytes::copy_from_slice(self.get(i)))
    }

    /// Argument `i` if it is big, and hence in an allocation of its own.
    pub fn big_arg(&self, i: usize) -> Option<&Bytes> {
        assert!(i < self.len);
        let range = self.ranges[self.base + i];
        (range.at == BIG).then(|| &self.big[range.len])
    }

    /// A copy of the selected command's arguments that does not depend on the buffer.
    pub fn to_owned_args(&self) -> Vec<Bytes> {
        (0..self.len).map(|i| self.bytes(i)).collect()
    }

    /// The selected command's arguments in an `Argv` of their own.
    pub fn detach(&self) -> Argv {
        let args: Vec<&[u8]> = self.iter().collect();
        Argv::from_args(&args)
    }

    // ---- what scripts need: to fill the same Argv for each of their commands ----

    /// Begins a command of owned arguments: [`Argv::append`] adds them, [`Argv::end`] ends it.
    #[inline]
    pub(crate) fn begin(&mut self) {
        self.clear();
        self.buf.clear();
    }

    /// Adds an argument.
    #[inline]
    pub(crate) fn append(&mut self, arg: &[u8]) {
        self.ranges.push(ArgRange { at: self.buf.len(), len: arg.len() });
        self.buf.extend_from_slice(arg);
    }

    /// Opens the window on the command.
    #[inline]
    pub(crate) fn end(&mut self) {
        self.len = self.ranges.len();
    }

    /// Gives back what the last command took, if that was more than `most` bytes.
    pub(crate) fn forget_if_larger(&mut self, most: usize) {
        if self.buf.capacity() > most {
            *self = Argv::default();
        }
    }

    // ---- what the parser and the dispatcher need ----

    /// Gives the buffer that ranges refer to, and takes back the former.
    pub(crate) fn swap_buffer(&mut self, buf: &mut Vec<u8>) {
        std::mem::swap(&mut self.buf, buf);
    }

    /// The buffer.
    pub(crate) fn buffer(&self) -> &[u8] {
        &self.buf
    }

    /// Bytes that the buffer can hold.
    pub(crate) fn buffer_capacity(&self) -> usize {
        self.buf.capacity()
    }

    /// Forgets all commands; the buffer and the capacity stay.
    pub(crate) fn clear(&mut self) {
        self.ranges.clear();
        self.ranges.shrink_to(RANGES_KEPT);
        self.big.clear();
        (self.base, self.len, self.hashed) = (0, 0, 0);
    }

    /// Number of arguments of all commands held.
    pub(crate) fn total(&self) -> usize {
        self.ranges.len()
    }

    /// Adds an argument of `len` bytes at `at` of the buffer.
    #[inline]
    pub(crate) fn push(&mut self, at: usize, len: usize) {
        self.ranges.push(ArgRange { at, len });
    }

    /// Adds arguments that lie whole in the first `end` bytes of the buffer from `*pos` on, with headers as nearly all
    /// have: a length of one or two digits. Stops at the first that is different, or after `most`; moves `*pos` past
    /// them, and returns how many there were.
    #[inline]
    pub(crate) fn push_short_bulks(&mut self, pos: &mut usize, end: usize, most: usize) -> usize {
        let buf = &self.buf[..end];
        let (mut next, mut count) = (*pos, 0);
        while count < most {
            let (header, len) = match buf[next..] {
                [b'$', d @ b'0'..=b'9', b'\r', _, ..] => (4, usize::from(d - b'0')),
                [b'$', d @ b'1'..=b'9', e @ b'0'..=b'9', b'\r', _, ..] => {
                    (5, usize::from(d - b'0') * 10 + usize::from(e - b'0'))
                }
                _ => break,
            };
            let (at, behind) = (next + header, next + header + len + 2);
            if behind > end {
                break;
            }
            self.ranges.push(ArgRange { at, len });
            (next, count) = (behind, count + 1);
        }
        *pos = next;
        count
    }

    /// Adds an argument that has an allocation of its own.
    pub(crate) fn push_big(&mut self, bytes: Bytes) {
        self.ranges.push(ArgRange { at: BIG, len: self.big.len() });
        self.big.push(bytes);
    }

    /// Opens the window on the command whose `len` arguments start at `base`; `hashed` is the position of the key
    /// that was hashed ahead to `hash`, or 0.
    #[inline]
    pub(crate) fn select(&mut self, base: usize, len: usize, hashed: usize, hash: u64) {
        debug_assert!(base + len <= self.ranges.len());
        (self.base, self.len, self.hashed, self.hash) = (base, len, hashed, hash);
    }

    /// Bytes held beyond the struct itself.
    pub(crate) fn mem_bytes(&self) -> usize {
        self.buf.capacity()
            + self.ranges.capacity() * size_of::<ArgRange>()
            + self.big.iter().map(|b| b.len() + size_of::<Bytes>()).sum::<usize>()
    }

    /// Bytes of the selected command's arguments.
    pub(crate) fn len_sum(&self) -> usize {
        self.iter().map(<[u8]>::len).sum()
    }

    /// Takes `count` arguments from number `from` of all on, for a buffer from which the first `by` bytes were
    /// removed; all behind them are dropped.
    pub(crate) fn take_partial(
        &mut self,
        from: usize,
        count: usize,
        by: usize,
    ) -> (Vec<ArgRange>, Vec<Bytes>) {
        self.ranges.truncate(from + count);
        let mut ranges = self.ranges.split_off(from);
        let mut big = Vec::new();
        for range in &mut ranges {
            if range.at == BIG {
                big.push(self.big[range.len].clone());
                range.len = big.len() - 1;
            } else {
                range.at -= by;
            }
        }
        (ranges, big)
    }

    /// Puts back what [`Argv::take_partial`] took.
    pub(crate) fn put_partial(&mut self, ranges: Vec<ArgRange>, big: Vec<Bytes>) {
        debug_assert!(self.ranges.is_empty() && self.big.is_empty());
        self.ranges.extend(ranges);
        self.big = big;
    }
}

#[cold]
#[inline(never)]
fn no_argument(i: usize, len: usize) -> ! {
    panic!("argument {i} of {len}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn window_shows_one_command_of_a_batch() {
        let mut argv = Argv::default();
        argv.swap_buffer(&mut b"GETkSETkv".to_vec());
        for (at, len) in [(0, 3), (3, 1), (4, 3), (7, 1), (8, 1)] {
            argv.push(at, len);
        }
        argv.select(2, 3, 0, 0);
        assert_eq!(argv.iter().collect::<Vec<_>>(), [&b"SET"[..], b"k", b"v"]);
        argv.select(0, 2, 1, 77);
        assert_eq!((argv.len(), argv.key(1).hash), (2, 77));
        assert!(argv.is(0, b"get"));
    }

    #[test]
    fn partial_command_keeps_its_big_arguments() {
        let mut argv = Argv::default();
        argv.swap_buffer(&mut b"xxxxSETk".to_vec());
        argv.push(0, 4);
        argv.push(4, 3);
        argv.push_big(Bytes::from_static(b"big"));
        let (ranges, big) = argv.take_partial(1, 2, 4);
        argv.clear();
        argv.swap_buffer(&mut b"SETk".to_vec());
        argv.put_partial(ranges, big);
        argv.select(0, 2, 0, 0);
        assert_eq!((argv.get(0), argv.get(1)), (&b"SET"[..], &b"big"[..]));
        assert_eq!(argv.bytes(1), &b"big"[..]);
    }
}
