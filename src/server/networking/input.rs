//! What a client has sent and the server has not yet understood.
//!
//! A client with nothing half-sent owns no buffer: reads go into a shared one. Only a remainder is kept here,
//! together with what the parser has learned of it. A bulk argument of [`BIG_ARG`](crate::server::argv::BIG_ARG)
//! bytes or more is read straight into an allocation of its own, which becomes the argument.

use bytes::Bytes;

use crate::server::argv::{ArgRange, BIG_ARG};
use crate::server::resp::Progress;

/// Capacity of a private buffer when it is made: upstream's `PROTO_IOBUF_LEN`.
const PRIVATE_MIN: usize = 16 * 1024;

/// A big argument is allocated at once up to this size; a larger one grows with what really arrives.
const BIG_AT_ONCE: usize = 64 * 1024 * 1024;

/// A big argument in the making.
#[derive(Debug)]
pub struct BigArg {
    /// What has arrived.
    pub bytes: Vec<u8>,
    /// Bytes in all.
    pub len: usize,
}

impl BigArg {
    /// Room to read into now: what is missing, within what is allocated.
    pub fn room(&mut self) -> usize {
        if self.bytes.capacity() == self.bytes.len() {
            let more = (self.len - self.bytes.len()).min(self.bytes.len().max(BIG_AT_ONCE));
            self.bytes.reserve_exact(more);
        }
        self.bytes.capacity().min(self.len) - self.bytes.len()
    }
}

/// Bytes received and not yet understood, and the parser's state in them.
#[derive(Debug, Default)]
pub struct Input {
    /// The remainder, from the first byte of the incomplete command on.
    pub(super) rest: Vec<u8>,
    /// How much of `rest` the parser has understood.
    pub(super) pos: usize,
    /// What it knows of the incomplete command.
    pub(super) progress: Progress,
    /// The command's arguments so far.
    pub(super) partial: Option<Box<(Vec<ArgRange>, Vec<Bytes>)>>,
    /// The argument that is being received, if it is a big one.
    pub(super) big: Option<Box<BigArg>>,
    /// Bytes of the line break behind a big argument that are still to come.
    pub(super) skip: u8,
    /// Room for the next big argument: whoever sends one often sends another of its size.
    pub(super) spare: Vec<u8>,
    /// Bytes of the buffer that is being processed, and its room behind them.
    pub(super) in_hand: (usize, usize),
    /// Most bytes that were in use since the last look of the cron.
    pub(super) peak: usize,
}

impl Input {
    /// Bytes received and not yet understood.
    pub fn len(&self) -> usize {
        self.rest.len() + self.in_hand.0 + self.big.as_ref().map_or(0, |b| b.bytes.len())
    }

    /// Whether nothing is half-received.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty() && self.big.is_none() && self.partial.is_none() && self.skip == 0
    }

    /// Capacity held beyond [`Input::len`].
    pub fn free(&self) -> usize {
        let big = self.big.as_ref().map_or(0, |b| b.bytes.capacity());
        let arrived = self.len() - self.in_hand.0;
        self.rest.capacity() + big + self.spare.capacity() + self.in_hand.1 - arrived
    }

    /// Bytes received of commands that are not complete, arguments with allocations of their own included.
    pub(super) fn mem_in_use(&self) -> usize {
        self.len() + self.partial.as_ref().map_or(0, |p| p.1.iter().map(Bytes::len).sum::<usize>())
    }

    /// Bytes held in all.
    pub fn mem_bytes(&self) -> usize {
        let partial = self.partial.as_ref().map_or(0, |p| {
            p.0.capacity() * size_of::<ArgRange>()
                + p.1.iter().map(|b| b.len() + size_of::<Bytes>()).sum::<usize>()
        });
        self.len() + self.free() + partial
    }

    /// The memory of what was received.
    pub fn blocks(&self) -> impl Iterator<Item = &[u8]> {
        let big = self.big.as_ref().map(|big| big.bytes.as_slice());
        [self.rest.as_slice()].into_iter().chain(big)
    }

    /// Keeps `bytes` as the remainder.
    pub(super) fn keep(&mut self, bytes: &[u8]) {
        debug_assert!(self.rest.is_empty());
        self.rest.reserve_exact(bytes.len().max(PRIVATE_MIN));
        self.rest.extend_from_slice(bytes);
    }

    /// Begins a big argument of `len` bytes, of which `arrived` are there.
    pub(super) fn begin_big(&mut self, len: usize, arrived: &[u8]) {
        let mut bytes = std::mem::take(&mut self.spare);
        if bytes.capacity() < len || bytes.capacity() / 2 > len {
            bytes = Vec::with_capacity(len.min(BIG_AT_ONCE));
        }
        bytes.extend_from_slice(arrived);
        self.big = Some(Box::new(BigArg { bytes, len }));
    }

    /// Gives back what an idle client, or one that has used less of late, does not need.
    pub(super) fn shrink(&mut self, idle: bool) {
        let peak = std::mem::take(&mut self.peak).max(self.len());
        if idle || self.spare.capacity() > peak {
            self.spare = Vec::new();
        }
        // As upstream: what is more than twice what was needed of late is given back.
        if self.rest.capacity() > BIG_ARG && self.rest.capacity() / (peak + 1) > 2 {
            self.rest.shrink_to(peak);
        }
        if idle {
            if let Some(big) = &mut self.big {
                big.bytes.shrink_to_fit();
            }
            self.rest.shrink_to_fit();
        }
    }
}
