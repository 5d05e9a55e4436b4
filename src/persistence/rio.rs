//! Where RDB bytes go to and come from: files, sockets and memory alike, buffered and summed up in large strides.
//!
//! A [`Writer`] collects in a chunk and hands full chunks to a [`Write`]; without one, everything stays in memory. Its methods
//! do not fail: the first error is kept, what follows is dropped, and whoever writes asks after each key
//! ([`Writer::check`]). So the code that encodes values has no error paths.
//!
//! A [`Source`] lends bytes from where they lie: of a payload that is in memory ([`Memory`]), or of a chunk that was read from
//! a file ([`Stream`]). What is asked for may be a length from a hostile file, so memory is provided as bytes arrive, never
//! for a promise.

use std::io::{self, Read, Write};

use crate::ds::crc64::crc64;

/// Bytes collected before they are handed on, and read at once.
const CHUNK: usize = 256 * 1024;

/// A chunk that has grown past this for one string is given back.
const CHUNK_KEPT: usize = 4 * CHUNK;

/// Collects bytes on their way out. See the [module](self).
pub struct Writer<'w> {
    sink: Option<&'w mut dyn Write>,
    chunk: Vec<u8>,
    /// The checksum of what was handed on, if it is wanted.
    sum: Option<u64>,
    /// Bytes handed on.
    handed_on: u64,
    error: Option<io::Error>,
}

impl Writer<'static> {
    /// A writer that keeps everything: [`Writer::into_bytes`].
    pub fn to_memory() -> Writer<'static> {
        Writer { sink: None, chunk: Vec::new(), sum: None, handed_on: 0, error: None }
    }

    /// What was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.chunk
    }
}

impl<'w> Writer<'w> {
    /// A writer that hands on to `sink`, and sums up if that is wanted.
    pub fn new(sink: &'w mut dyn Write, checksum: bool) -> Writer<'w> {
        let chunk = Vec::with_capacity(CHUNK);
        Writer { sink: Some(sink), chunk, sum: checksum.then_some(0), handed_on: 0, error: None }
    }

    /// Writes `bytes`.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) {
        if self.chunk.len() + bytes.len() > CHUNK && self.sink.is_some() {
            return self.put_and_hand_on(bytes);
        }
        self.chunk.extend_from_slice(bytes);
    }

    /// Writes one byte.
    #[inline]
    pub fn byte(&mut self, byte: u8) {
        self.put(&[byte]);
    }

    #[cold]
    fn put_and_hand_on(&mut self, bytes: &[u8]) {
        self.hand_on();
        if bytes.len() < CHUNK {
            return self.chunk.extend_from_slice(bytes);
        }
        self.send(bytes);
    }

    /// Hands on what was collected.
    fn hand_on(&mut self) {
        let mut chunk = std::mem::take(&mut self.chunk);
        self.send(&chunk);
        chunk.clear();
        self.chunk = chunk;
    }

    fn send(&mut self, bytes: &[u8]) {
        let Some(sink) = self.sink.as_mut().filter(|_| self.error.is_none()) else { return };
        if let Some(sum) = &mut self.sum {
            *sum = crc64(*sum, bytes);
        }
        self.handed_on += bytes.len() as u64;
        self.error = sink.write_all(bytes).err();
    }

    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        self.handed_on + self.chunk.len() as u64
    }

    /// The checksum of all bytes so far; 0 if none is wanted.
    pub fn checksum(&mut self) -> u64 {
        if self.sink.is_some() {
            self.hand_on();
        }
        self.sum.unwrap_or(0)
    }

    /// Tells of the first error.
    ///
    /// # Errors
    /// What the sink said.
    #[inline]
    pub fn check(&mut self) -> io::Result<()> {
        self.error.take().map_or(Ok(()), Err)
    }

    /// Hands everything on.
    ///
    /// # Errors
    /// What the sink said.
    pub fn finish(mut self) -> io::Result<u64> {
        self.hand_on();
        self.check()?;
        Ok(self.handed_on)
    }
}

/// Why there are no more bytes.
#[derive(Debug)]
pub enum ReadError {
    /// They end here.
    End,
    /// Reading failed.
    Io(io::Error),
}

/// Lends bytes in order. See the [module](self).
pub trait Source {
    /// The next `length` bytes.
    ///
    /// # Errors
    /// If there are not as many.
    fn take(&mut self, length: usize) -> Result<&[u8], ReadError>;

    /// The next `length` bytes in an allocation of their own.
    ///
    /// # Errors
    /// If there are not as many.
    fn take_vec(&mut self, length: usize) -> Result<Vec<u8>, ReadError>;

    /// Bytes taken.
    fn offset(&self) -> u64;

    /// No more bytes than this are left, the greatest number if that is not known; what to believe of a number of elements.
    fn left(&self) -> u64;

    /// Is called by whoever reads many elements, before each: a source whose bytes are many may have something else to do.
    #[inline]
    fn breathe(&mut self) {}

    /// The next byte.
    ///
    /// # Errors
    /// If there is none.
    #[inline]
    fn byte(&mut self) -> Result<u8, ReadError> {
        self.take(1).map(|bytes| bytes[0])
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// If there are not as many.
    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], ReadError> {
        self.take(N).map(|bytes| *bytes.first_chunk().expect("as many were asked for"))
    }
}

/// Bytes in memory.
#[derive(Debug)]
pub struct Memory<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Memory<'a> {
    /// Lends these.
    pub fn new(bytes: &'a [u8]) -> Memory<'a> {
        Memory { bytes, at: 0 }
    }
}

impl Source for Memory<'_> {
    #[inline]
    fn take(&mut self, length: usize) -> Result<&[u8], ReadError> {
        let bytes = self.bytes[self.at..].get(..length).ok_or(ReadError::End)?;
        self.at += length;
        Ok(bytes)
    }

    fn take_vec(&mut self, length: usize) -> Result<Vec<u8>, ReadError> {
        self.take(length).map(<[u8]>::to_vec)
    }

    fn offset(&self) -> u64 {
        self.at as u64
    }

    fn left(&self) -> u64 {
        (self.bytes.len() - self.at) as u64
    }
}

/// Bytes that are read in chunks.
pub struct Stream<'r> {
    input: &'r mut dyn Read,
    /// Room for what is read. It is never cleared, so that it need be initialised only once.
    chunk: Vec<u8>,
    /// What of the chunk was taken, what was read, and what was summed up.
    at: usize,
    end: usize,
    summed: usize,
    sum: Option<u64>,
    /// Bytes in front of the chunk.
    before: u64,
    /// Bytes in all, if that is known.
    size: u64,
}

impl<'r> Stream<'r> {
    /// Reads from `input`, which has `size` bytes if that is known.
    pub fn new(input: &'r mut dyn Read, size: Option<u64>) -> Stream<'r> {
        let size = size.unwrap_or(u64::MAX);
        Stream { input, chunk: vec![0; CHUNK], at: 0, end: 0, summed: 0, sum: Some(0), before: 0, size }
    }

    /// The checksum of all bytes taken.
    pub fn checksum(&mut self) -> u64 {
        self.sum_up();
        self.sum.unwrap_or(0)
    }

    /// Sums up no more.
    pub fn ignore_checksum(&mut self) {
        self.sum = None;
    }

    /// [`Source::take_vec`]; as the bytes arrive, `step` is told the offset.
    ///
    /// # Errors
    /// If there are not as many.
    pub fn take_vec_in_steps(
        &mut self,
        length: usize,
        mut step: impl FnMut(u64),
    ) -> Result<Vec<u8>, ReadError> {
        let ready = (self.end - self.at).min(length);
        let mut bytes = Vec::with_capacity(length.min(CHUNK_KEPT));
        bytes.extend_from_slice(self.take(ready)?);
        while bytes.len() < length {
            step(self.offset());
            let more = (length - bytes.len()).min(CHUNK);
            // In the end the allocation is as large as what it holds, so that it can become a value.
            let wanted = length.min(2 * bytes.len().max(CHUNK));
            bytes.reserve_exact(wanted.saturating_sub(bytes.len()).max(more));
            bytes.extend_from_slice(self.take(more)?);
        }
        Ok(bytes)
    }

    /// What was read and not taken.
    pub fn into_rest(self) -> Vec<u8> {
        self.chunk[self.at..self.end].to_vec()
    }

    fn sum_up(&mut self) {
        if let Some(sum) = &mut self.sum {
            *sum = crc64(*sum, &self.chunk[self.summed..self.at]);
        }
        self.summed = self.at;
    }

    /// Has `length` bytes in the chunk, from `at` on.
    #[cold]
    fn provide(&mut self, length: usize) -> Result<(), ReadError> {
        if length as u64 > self.left() {
            return Err(ReadError::End);
        }
        self.drop_taken();
        while self.end < length {
            if self.end == self.chunk.len() {
                // It grows with what has arrived, and not to what was promised.
                let mut larger = vec![0; length.min(2 * self.end)];
                larger[..self.end].copy_from_slice(&self.chunk);
                self.chunk = larger;
            }
            self.read()?;
        }
        Ok(())
    }

    /// Forgets what was taken of the chunk.
    fn drop_taken(&mut self) {
        self.sum_up();
        self.before += self.at as u64;
        self.chunk.copy_within(self.at..self.end, 0);
        self.end -= self.at;
        (self.at, self.summed) = (0, 0);
        if self.chunk.len() > CHUNK_KEPT && self.end < CHUNK {
            self.chunk.truncate(CHUNK);
            self.chunk.shrink_to_fit();
        }
    }

    /// Reads at least one byte into what room there is.
    fn read(&mut self) -> Result<(), ReadError> {
        let got = loop {
            match self.input.read(&mut self.chunk[self.end..]) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        match got {
            Ok(0) => Err(ReadError::End),
            Ok(n) => {
                self.end += n;
                Ok(())
            }
            Err(e) => Err(ReadError::Io(e)),
        }
    }
}

impl Source for Stream<'_> {
    #[inline]
    fn take(&mut self, length: usize) -> Result<&[u8], ReadError> {
        if self.end - self.at < length {
            self.provide(length)?;
        }
        let from = self.at;
        self.at += length;
        Ok(&self.chunk[from..self.at])
    }

    fn take_vec(&mut self, length: usize) -> Result<Vec<u8>, ReadError> {
        self.take_vec_in_steps(length, |_| ())
    }

    #[inline]
    fn offset(&self) -> u64 {
        self.before + self.at as u64
    }

    fn left(&self) -> u64 {
        if self.size == u64::MAX { u64::MAX } else { self.size.saturating_sub(self.offset()) }
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
            let length = self.1.min(out.len());
            (&mut self.0).take(length as u64).read(out)
        }
    }

    proptest! {
        #[test]
        fn a_stream_lends_what_it_reads(lengths in proptest::collection::vec(0usize..3000, 1..40), step in 1usize..5000) {
            let bytes: Vec<u8> = (0..lengths.iter().sum()).map(|i: usize| (i * 7 % 251) as u8).collect();
            let mut input = Trickle(&bytes, step);
            let mut stream = Stream::new(&mut input, None);
            let mut at = 0;
            for (i, length) in lengths.into_iter().enumerate() {
                let expected = &bytes[at..at + length];
                if i % 3 == 0 {
                    prop_assert_eq!(stream.take_vec(length).unwrap(), expected);
                } else {
                    prop_assert_eq!(stream.take(length).unwrap(), expected);
                }
                at += length;
                prop_assert_eq!(stream.offset(), at as u64);
                prop_assert_eq!(stream.checksum(), crc64(0, &bytes[..at]));
            }
            prop_assert!(matches!(stream.byte(), Err(ReadError::End)));
        }
    }

    #[test]
    fn a_promise_costs_no_memory() {
        let bytes = vec![7; 1000];
        let mut input = &bytes[..];
        let mut stream = Stream::new(&mut input, None);
        assert!(matches!(stream.take(usize::MAX / 4), Err(ReadError::End)));
        assert!(stream.chunk.len() <= CHUNK_KEPT);
        let mut input = &bytes[..];
        let mut stream = Stream::new(&mut input, None);
        assert!(matches!(stream.take_vec(usize::MAX / 4), Err(ReadError::End)));
    }

    #[test]
    fn large_strings_have_allocations_of_their_size() {
        let bytes = vec![7; 3_000_000];
        let mut input = &bytes[..];
        let mut stream = Stream::new(&mut input, None);
        let taken = stream.take_vec(2_900_000).unwrap();
        assert_eq!((taken.len(), taken.capacity()), (2_900_000, 2_900_000));
        assert_eq!(stream.take(100_000).unwrap().len(), 100_000);
    }

    #[test]
    fn a_writer_hands_on_in_order_and_sums_up() {
        let mut file = Vec::new();
        let mut writer = Writer::new(&mut file, true);
        let mut expected = Vec::new();
        for length in [1, 70_000, 3, 1_000_000, 200_000, 100_000, 0] {
            let bytes: Vec<u8> = (0..length).map(|i| (i % 253) as u8).collect();
            writer.put(&bytes);
            expected.extend(bytes);
            assert_eq!(writer.written(), expected.len() as u64);
        }
        assert_eq!(writer.checksum(), crc64(0, &expected));
        assert_eq!(writer.finish().unwrap(), expected.len() as u64);
        assert_eq!(file, expected);
    }

    #[test]
    fn the_first_error_is_kept() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut full = Full;
        let mut writer = Writer::new(&mut full, false);
        writer.put(b"collected");
        assert!(writer.check().is_ok());
        writer.put(&vec![0; 2 * CHUNK]);
        assert_eq!(writer.check().unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
