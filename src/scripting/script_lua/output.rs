//! The buffer that the encoding libraries write to, and how far it may grow.
//!
//! A table may hold another one a thousand times, which holds a third a thousand times: what is small in memory becomes
//! endless when it is written out. No hook is called meanwhile, so that nobody could stop it. Hence two limits, far
//! beyond anything that a script can have in memory without such sharing: the values that are written, and the bytes, of
//! which there may be no more than the script has memory left. At either, encoding fails as if memory had run out, which it
//! would have.

/// Values that one call may write. Without sharing they would take gigabytes of tables.
const MAX_VALUES: usize = 1 << 26;

/// Bytes that one call may write.
const MAX_BYTES: usize = 4 << 30;

/// A buffer larger than this is not kept for the next call.
const KEPT_BYTES: usize = 1 << 20;

/// Memory has run out, or would have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

/// A growing text or message.
#[derive(Debug, Default)]
pub struct Output {
    bytes: Vec<u8>,
    values: usize,
    most_bytes: usize,
}

impl Output {
    /// Begins anew, with the memory of before unless that is much, and room for so many bytes.
    pub fn restart(&mut self, room: usize) {
        self.values = 0;
        self.most_bytes = room.min(MAX_BYTES);
        if self.bytes.capacity() > KEPT_BYTES {
            self.bytes = Vec::new();
        }
        self.bytes.clear();
    }

    /// Counts a value that is about to be written and takes at least `length` bytes.
    pub fn count_value(&mut self, length: usize) -> Result<(), OutOfMemory> {
        self.values += 1;
        if self.values > MAX_VALUES || self.bytes.len().saturating_add(length) > self.most_bytes {
            return Err(OutOfMemory);
        }
        Ok(())
    }

    /// What was written so far.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The buffer, to append to.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_bytes_are_limited() {
        let mut output = Output::default();
        output.restart(10);
        assert_eq!(output.count_value(10), Ok(()));
        assert_eq!(output.count_value(11), Err(OutOfMemory));
        output.restart(usize::MAX);
        assert_eq!(output.count_value(MAX_BYTES), Ok(()));
        assert_eq!(output.count_value(MAX_BYTES + 1), Err(OutOfMemory));
        output.buffer().push(0);
        assert_eq!(output.count_value(MAX_BYTES), Err(OutOfMemory));
        assert_eq!(output.count_value(usize::MAX), Err(OutOfMemory));
        output.restart(usize::MAX);
        assert!((0..MAX_VALUES).all(|_| output.count_value(0).is_ok()));
        assert_eq!(output.count_value(0), Err(OutOfMemory));
    }

    #[test]
    fn a_large_buffer_is_given_back() {
        let mut output = Output::default();
        output.buffer().extend_from_slice(&[0; 100]);
        output.restart(usize::MAX);
        assert!(output.bytes().is_empty() && output.buffer().capacity() >= 100);
        output.buffer().resize(KEPT_BYTES + 1, 0);
        output.restart(usize::MAX);
        assert_eq!(output.buffer().capacity(), 0);
    }
}
