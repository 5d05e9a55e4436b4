//! From the bytes of a file to commands, one at a time.
//!
//! A file holds commands as clients send them, and lines that begin with `#`, which are *annotations*:
//!
//! ```text
//! #TS:1628217470\r\n
//! *3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n
//! ```
//!
//! Any bytes can be read: they are commands, or end early, or are no commands. A length is never believed: memory is
//! provided as bytes arrive, at most as much again as have. [`Reader::offset`] is where the last command ended that is
//! complete, whatever follows it; that is where a file that ends early is cut off.

use std::io::{self, Read};

use crate::server::Argv;

/// Bytes read at once.
const CHUNK: usize = 256 * 1024;

/// A buffer that has grown past this for one command is given back.
const BUFFER_KEPT: usize = 4 * CHUNK;

/// Longest annotation, its line break included: upstream's `AOF_ANNOTATION_LINE_MAX_LEN`.
pub const ANNOTATION_MAX: usize = 1024;

/// Longest line that holds a number, its line break included.
const NUMBER_LINE_MAX: usize = 32;

/// What comes next in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// An annotation.
    Annotation,
    /// A command, which [`Reader::lend`] gives.
    Command,
    /// Nothing.
    End,
}

/// Why nothing more can be read.
#[derive(Debug)]
pub enum ReadError {
    /// The file ends within a command or an annotation.
    Truncated,
    /// What follows is neither.
    Format,
    /// Of the system.
    Io(io::Error),
}

impl From<io::Error> for ReadError {
    fn from(e: io::Error) -> ReadError {
        ReadError::Io(e)
    }
}

/// Reads commands.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    buf: Vec<u8>,
    /// Where in the buffer the item at hand begins, and where the next one does.
    start: usize,
    next: usize,
    /// Bytes of the file in front of the buffer.
    before: u64,
    /// Offsets and lengths of the command's arguments, from the item's beginning.
    args: Vec<(usize, usize)>,
}

impl<R: Read> Reader<R> {
    /// Reads what is left of `input`, of which so many bytes were read already.
    pub fn new(input: R, before: u64) -> Reader<R> {
        Reader { input, buf: Vec::with_capacity(CHUNK), start: 0, next: 0, before, args: Vec::new() }
    }

    /// Where in the file the last item that was complete ended.
    pub fn offset(&self) -> u64 {
        self.before + self.next as u64
    }

    /// The next item.
    ///
    /// # Errors
    /// There is none that is complete. [`Reader::offset`] stays where it was.
    pub fn read(&mut self) -> Result<Item, ReadError> {
        self.start = self.next;
        self.args.clear();
        if !self.provide(1)? {
            return Ok(Item::End);
        }
        let (item, len) = match self.buf[self.start] {
            b'#' => (Item::Annotation, self.line(0, ANNOTATION_MAX)?),
            b'*' => (Item::Command, self.command()?),
            _ => return Err(ReadError::Format),
        };
        self.next = self.start + len;
        Ok(item)
    }

    /// Where the command that begins at `start` ends.
    fn command(&mut self) -> Result<usize, ReadError> {
        let (count, mut at) = self.number(0)?;
        if count == 0 {
            return Err(ReadError::Format);
        }
        for _ in 0..count {
            self.need(at + 1)?;
            if self.buf[self.start + at] != b'$' {
                return Err(ReadError::Format);
            }
            let (len, from) = self.number(at)?;
            let end = from.checked_add(len).and_then(|end| end.checked_add(2)).ok_or(ReadError::Format)?;
            self.need(end)?;
            if &self.buf[self.start + end - 2..self.start + end] != b"\r\n" {
                return Err(ReadError::Format);
            }
            self.args.push((from, len));
            at = end;
        }
        Ok(at)
    }

    /// The number on the line at `at`, behind its first byte, and where the line ends.
    fn number(&mut self, at: usize) -> Result<(usize, usize), ReadError> {
        let end = self.line(at, NUMBER_LINE_MAX)?;
        let line = &self.buf[self.start + at + 1..self.start + end];
        let digits = line.strip_suffix(b"\r\n").or_else(|| line.strip_suffix(b"\n")).unwrap_or(line);
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return Err(ReadError::Format);
        }
        let number = digits
            .iter()
            .try_fold(0usize, |n, digit| n.checked_mul(10)?.checked_add(usize::from(digit - b'0')));
        number.map(|number| (number, end)).ok_or(ReadError::Format)
    }

    /// Where the line at `at` ends, which has at most so many bytes.
    fn line(&mut self, at: usize, most: usize) -> Result<usize, ReadError> {
        loop {
            let there = &self.buf[(self.start + at).min(self.buf.len())..];
            let there = &there[..there.len().min(most)];
            if let Some(len) = memchr::memchr(b'\n', there) {
                return Ok(at + len + 1);
            }
            if there.len() == most {
                return Err(ReadError::Format);
            }
            let have = there.len();
            self.need(at + have + 1)?;
        }
    }

    /// Has `len` bytes of the item in the buffer.
    #[inline]
    fn need(&mut self, len: usize) -> Result<(), ReadError> {
        if self.provide(len)? { Ok(()) } else { Err(ReadError::Truncated) }
    }

    /// Has `len` bytes of the item in the buffer, unless the file ends before.
    #[inline]
    fn provide(&mut self, len: usize) -> Result<bool, ReadError> {
        if self.buf.len() - self.start >= len { Ok(true) } else { self.read_more(len) }
    }

    #[cold]
    fn read_more(&mut self, len: usize) -> Result<bool, ReadError> {
        self.buf.drain(..self.start);
        self.before += self.start as u64;
        self.next -= self.start;
        self.start = 0;
        if self.buf.capacity() > BUFFER_KEPT && self.buf.len() < CHUNK && len < CHUNK {
            self.buf.shrink_to(CHUNK);
        }
        while self.buf.len() < len {
            // No more than what has arrived, whatever was promised.
            let from = self.buf.len();
            let step = from.clamp(CHUNK, (len - from).max(CHUNK));
            self.buf.resize(from + step, 0);
            let got = self.input.read(&mut self.buf[from..]);
            self.buf.truncate(from + got.as_ref().copied().unwrap_or(0));
            match got {
                Ok(0) => return Ok(false),
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(true)
    }

    /// The arguments of the command that was read.
    pub fn args(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.args.iter().map(|&(from, len)| &self.buf[self.start + from..self.start + from + len])
    }

    /// Lends the command that was read, where it lies; [`Reader::take_back`] must follow.
    pub fn lend(&mut self, argv: &mut Argv) {
        argv.clear();
        for &(from, len) in &self.args {
            argv.push(self.start + from, len);
        }
        argv.select(0, self.args.len(), 0, 0);
        argv.swap_buffer(&mut self.buf);
    }

    /// Takes back what was lent.
    pub fn take_back(&mut self, argv: &mut Argv) {
        argv.swap_buffer(&mut self.buf);
        argv.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Gives a few bytes at a time.
    struct Trickle<'a>(&'a [u8], usize);

    impl Read for Trickle<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let length = self.1.min(out.len()) as u64;
            (&mut self.0).take(length).read(out)
        }
    }

    fn encode(commands: &[Vec<Vec<u8>>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for command in commands {
            super::super::write::put_command(&mut bytes, command.iter().map(Vec::as_slice));
        }
        bytes
    }

    /// All commands, the error that ends them, and the offset.
    fn read_all(bytes: &[u8], step: usize) -> (Vec<Vec<Vec<u8>>>, Option<ReadError>, u64) {
        let mut reader = Reader::new(Trickle(bytes, step), 0);
        let mut commands = Vec::new();
        let mut argv = Argv::default();
        loop {
            match reader.read() {
                Ok(Item::End) => return (commands, None, reader.offset()),
                Ok(Item::Annotation) => {}
                Ok(Item::Command) => {
                    let args: Vec<Vec<u8>> = reader.args().map(<[u8]>::to_vec).collect();
                    reader.lend(&mut argv);
                    assert!(argv.iter().eq(args.iter().map(Vec::as_slice)));
                    reader.take_back(&mut argv);
                    commands.push(args);
                }
                Err(error) => return (commands, Some(error), reader.offset()),
            }
        }
    }

    fn commands() -> impl Strategy<Value = Vec<Vec<Vec<u8>>>> {
        let arg = proptest::collection::vec(any::<u8>(), 0..40);
        proptest::collection::vec(proptest::collection::vec(arg, 1..5), 0..12)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(commands in commands(), step in 1usize..200) {
            let bytes = encode(&commands);
            let (read, error, offset) = read_all(&bytes, step);
            prop_assert!(error.is_none());
            prop_assert_eq!(read, commands);
            prop_assert_eq!(offset, bytes.len() as u64);
        }

        #[test]
        fn a_file_that_ends_early_is_understood_up_to_its_last_command(
            commands in commands(), cut in any::<prop::sample::Index>(), step in 1usize..200,
        ) {
            let bytes = encode(&commands);
            let cut = cut.index(bytes.len() + 1);
            let (read, error, offset) = read_all(&bytes[..cut], step);
            prop_assert_eq!(encode(&read).len() as u64, offset);
            prop_assert_eq!(&encode(&read), &bytes[..offset as usize]);
            prop_assert_eq!(error.is_some(), offset < cut as u64);
            prop_assert!(error.is_none_or(|error| matches!(error, ReadError::Truncated)));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let (_, _, offset) = read_all(&bytes, 7);
            prop_assert!(offset <= bytes.len() as u64);
        }
    }

    #[test]
    fn a_promise_costs_no_memory() {
        for promise in
            ["*1\r\n$9999999999999\r\nabc", "*99999999999\r\n$1\r\na\r\n", "*2\r\n$1\r\na\r\n$800000000\r\n"]
        {
            let mut reader = Reader::new(promise.as_bytes(), 0);
            assert!(matches!(reader.read(), Err(ReadError::Truncated)), "{promise}");
            assert!(reader.buf.capacity() <= BUFFER_KEPT && reader.args.capacity() < 64);
        }
    }

    #[test]
    fn what_is_no_command_is_refused() {
        for bytes in [
            "!",
            "*0\r\n",
            "*-1\r\n",
            "*x\r\n",
            "*1\r\n!1\r\na\r\n",
            "*1\r\n$1\r\naxx",
            "*1\r\n$-1\r\n",
            "*1\r\n$18446744073709551615\r\n",
            "*1111111111111111111111111111111111111111\r\n",
        ] {
            let (read, error, offset) = read_all(bytes.as_bytes(), 100);
            assert!(matches!(error, Some(ReadError::Format)), "{bytes}");
            assert_eq!((read.len(), offset), (0, 0));
        }
    }

    #[test]
    fn annotations_are_lines_of_their_own() {
        let (read, error, offset) = read_all(b"#TS:1\r\n*1\r\n$1\r\na\r\n#TS:2\r\n#", 3);
        assert_eq!(read, [vec![b"a".to_vec()]]);
        assert!(matches!(error, Some(ReadError::Truncated)));
        assert_eq!(offset, 25);
        let long = [b"#".as_slice(), &[b'x'; ANNOTATION_MAX], b"\n"].concat();
        assert!(matches!(read_all(&long, 100).1, Some(ReadError::Format)));
    }

    #[test]
    fn large_arguments_are_read_whole() {
        let command = vec![vec![b"SET".to_vec(), b"k".to_vec(), vec![7; 3_000_000]], vec![b"PING".to_vec()]];
        let (read, error, _) = read_all(&encode(&command), 100_000);
        assert!(error.is_none());
        assert_eq!(read, command);
    }
}
