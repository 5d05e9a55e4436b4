//! A client's output: replies are encoded here and wait here until the socket takes them.
//!
//! Bytes go to the *tail*, a chunk of up to [`CHUNK`] bytes; a full tail moves to the *queue*. A value of
//! [`SHARE`] bytes or more that is refcounted is queued as it is, so that it is never copied. The chain leaves with
//! one `writev`. A client with nothing to send owns no chunk: the dispatcher lends one ([`Out::lend`]) while
//! commands run and takes it back once it is written.
//!
//! Each reply kind of RESP3 degrades to its RESP2 form when the client has not asked for RESP3.
//! <https://redis.io/docs/latest/develop/reference/protocol-spec/> describes both.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;

use crate::ds::numbers;
use crate::server::error::CmdError;

/// Bytes a chunk holds before the next one is begun: upstream's `PROTO_REPLY_CHUNK_BYTES`.
pub const CHUNK: usize = 16 * 1024;

/// Refcounted values of this many bytes or more are sent from where they are.
const SHARE: usize = 16 * 1024;

/// Most slices handed to one `writev`.
pub const MAX_SLICES: usize = 128;

#[derive(Debug)]
enum Chunk {
    Owned(Vec<u8>),
    Shared(Bytes),
}

impl Chunk {
    fn bytes(&self) -> &[u8] {
        match self {
            Chunk::Owned(v) => v,
            Chunk::Shared(b) => b,
        }
    }
}

/// A place in the output, to come back to: see [`Out::mark`].
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    chunks: usize,
    at: usize,
    overrun: bool,
}

/// Replies that wait to be sent.
#[derive(Debug, Default)]
pub struct Out {
    tail: Vec<u8>,
    queue: VecDeque<Chunk>,
    /// Bytes in `queue`, sent ones included.
    queued: usize,
    /// Bytes of the first chunk (of the tail, when the queue is empty) that the socket took already.
    sent: usize,
    resp3: bool,
    /// How many bytes may wait in the queue; 0 for any number.
    limit: usize,
    /// Whether there were more, of which none is kept.
    overrun: bool,
}

impl Out {
    /// Whether RESP3 is spoken.
    #[inline]
    pub fn resp3(&self) -> bool {
        self.resp3
    }

    /// The protocol version, 2 or 3.
    pub fn resp(&self) -> u8 {
        if self.resp3 { 3 } else { 2 }
    }

    /// Switches the protocol.
    pub fn set_resp3(&mut self, on: bool) {
        self.resp3 = on;
    }

    /// Has no more than about so many bytes wait, or any number (0). What is written beyond is dropped: the client will be
    /// closed, since it cannot make sense of the rest.
    #[inline]
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Whether more was written than may wait. Who writes without end looks at it now and then.
    #[inline]
    pub fn overrun(&self) -> bool {
        self.overrun
    }

    /// The memory of what waits to be sent, as far as it is this client's alone.
    pub fn blocks(&self) -> impl Iterator<Item = &[u8]> {
        let own = self.queue.iter().filter_map(|chunk| match chunk {
            Chunk::Owned(bytes) => Some(bytes.as_slice()),
            Chunk::Shared(_) => None,
        });
        own.chain([self.tail.as_slice()])
    }

    // ---- replies ----

    /// `+OK`.
    #[inline]
    pub fn ok(&mut self) {
        self.raw(b"+OK\r\n");
    }

    /// A simple string; `text` has no line break.
    #[inline]
    pub fn simple(&mut self, text: &str) {
        let tail = self.room(text.len() + 3);
        tail.push(b'+');
        tail.extend_from_slice(text.as_bytes());
        tail.extend_from_slice(b"\r\n");
    }

    /// An error; line breaks in its text become spaces.
    pub fn error(&mut self, error: &CmdError) {
        let mut line = vec![b'-'];
        error.write(&mut line);
        for b in line.iter_mut().filter(|b| matches!(b, b'\r' | b'\n')) {
            *b = b' ';
        }
        line.extend_from_slice(b"\r\n");
        self.raw(&line);
    }

    /// An integer.
    #[inline]
    pub fn int(&mut self, n: i64) {
        if (0..10).contains(&n) {
            return self.raw(&[b':', b'0' + n as u8, b'\r', b'\n']);
        }
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(n).as_bytes();
        let tail = self.room(digits.len() + 3);
        tail.push(b':');
        tail.extend_from_slice(digits);
        tail.extend_from_slice(b"\r\n");
    }

    /// A length or count as an integer.
    #[inline]
    pub fn count(&mut self, n: usize) {
        self.int(n as i64);
    }

    /// A bulk string.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        self.header(b'$', bytes.len(), bytes.len() + 2);
        if bytes.len() <= CHUNK {
            self.tail.extend_from_slice(bytes);
        } else {
            self.raw(bytes);
        }
        self.tail.extend_from_slice(b"\r\n");
    }

    /// A bulk string of a value that may be shared instead of copied.
    pub fn bulk_shared(&mut self, bytes: &Bytes) {
        if bytes.len() < SHARE {
            return self.bulk(bytes);
        }
        self.header(b'$', bytes.len(), 0);
        self.shared(bytes.clone());
        self.raw(b"\r\n");
    }

    /// A bulk string with the decimal digits of `n`.
    pub fn bulk_int(&mut self, n: i64) {
        let mut digits = itoa::Buffer::new();
        self.bulk(digits.format(n).as_bytes());
    }

    /// The null reply: `_`, in RESP2 the null bulk string.
    #[inline]
    pub fn null(&mut self) {
        self.raw(if self.resp3 { b"_\r\n" } else { b"$-1\r\n" });
    }

    /// The null reply where an array was expected: `_`, in RESP2 the null array.
    pub fn null_array(&mut self) {
        self.raw(if self.resp3 { b"_\r\n" } else { b"*-1\r\n" });
    }

    /// A boolean; in RESP2 the integer 1 or 0.
    pub fn bool(&mut self, b: bool) {
        self.raw(match (self.resp3, b) {
            (true, true) => b"#t\r\n",
            (true, false) => b"#f\r\n",
            (false, true) => b":1\r\n",
            (false, false) => b":0\r\n",
        });
    }

    /// A double; in RESP2 a bulk string.
    pub fn double(&mut self, d: f64) {
        let text = numbers::format_f64(d);
        if !self.resp3 {
            return self.bulk(&text);
        }
        self.raw(b",");
        self.raw(&text);
        self.raw(b"\r\n");
    }

    /// A big number; in RESP2 a bulk string.
    pub fn big_number(&mut self, digits: &[u8]) {
        if !self.resp3 {
            return self.bulk(digits);
        }
        self.raw(b"(");
        self.raw(digits);
        self.raw(b"\r\n");
    }

    /// A text with a three-letter format (`txt`, `mkd`); in RESP2 a bulk string.
    pub fn verbatim(&mut self, format: impl AsRef<[u8]>, text: &[u8]) {
        let format = format.as_ref();
        debug_assert_eq!(format.len(), 3);
        if !self.resp3 {
            return self.bulk(text);
        }
        self.header(b'=', text.len() + 4, 0);
        self.raw(format);
        self.raw(b":");
        self.raw(text);
        self.raw(b"\r\n");
    }

    /// Begins an array of `n` elements.
    #[inline]
    pub fn array(&mut self, n: usize) {
        self.header(b'*', n, 0);
    }

    /// Begins a map of `n` pairs; in RESP2 an array of twice as many.
    pub fn map(&mut self, n: usize) {
        if self.resp3 { self.header(b'%', n, 0) } else { self.header(b'*', n * 2, 0) }
    }

    /// Begins a set of `n` elements; in RESP2 an array.
    pub fn set(&mut self, n: usize) {
        self.header(if self.resp3 { b'~' } else { b'*' }, n, 0);
    }

    /// Begins a push of `n` elements; in RESP2 an array.
    pub fn push(&mut self, n: usize) {
        self.header(if self.resp3 { b'>' } else { b'*' }, n, 0);
    }

    /// Begins an attribute of `n` pairs, which only RESP3 has.
    pub fn attribute(&mut self, n: usize) {
        debug_assert!(self.resp3);
        self.header(b'|', n, 0);
    }

    /// An array of simple-string lines: what HELP subcommands answer.
    pub fn help(&mut self, command: &str, lines: &[&str]) {
        self.array(lines.len() + 3);
        self.simple(&format!("{command} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
        for line in lines {
            self.simple(line);
        }
        self.simple("HELP");
        self.simple("    Print this help.");
    }

    /// Bytes that are encoded already.
    #[inline]
    pub fn raw(&mut self, mut bytes: &[u8]) {
        if self.tail.len() + bytes.len() <= CHUNK.max(self.tail.capacity()) {
            self.tail.extend_from_slice(bytes);
            return;
        }
        while !bytes.is_empty() {
            let free = CHUNK - self.tail.len().min(CHUNK);
            if free == 0 {
                self.turn_over();
                continue;
            }
            let (now, later) = bytes.split_at(free.min(bytes.len()));
            self.tail.extend_from_slice(now);
            bytes = later;
        }
    }

    /// Queues a refcounted block as it is.
    pub fn shared(&mut self, bytes: Bytes) {
        self.turn_over();
        if self.admits(bytes.len()) {
            self.queued += bytes.len();
            self.queue.push_back(Chunk::Shared(bytes));
        }
    }

    /// A type byte, a length and a line break, with room for `more` bytes behind it when that is little.
    #[inline]
    fn header(&mut self, kind: u8, n: usize, more: usize) {
        let tail = self.room(24 + if more <= CHUNK { more } else { 0 });
        if n < 10 {
            tail.extend_from_slice(&[kind, b'0' + n as u8, b'\r', b'\n']);
        } else if n < 100 {
            tail.extend_from_slice(&[kind, b'0' + (n / 10) as u8, b'0' + (n % 10) as u8, b'\r', b'\n']);
        } else {
            let mut digits = itoa::Buffer::new();
            tail.push(kind);
            tail.extend_from_slice(digits.format(n).as_bytes());
            tail.extend_from_slice(b"\r\n");
        }
    }

    /// The tail, with room for `n` bytes (at most a chunk and a header).
    #[inline]
    fn room(&mut self, n: usize) -> &mut Vec<u8> {
        if self.tail.capacity() - self.tail.len() < n {
            self.grow(n);
        }
        &mut self.tail
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, n: usize) {
        if self.tail.len() + n > CHUNK && !self.tail.is_empty() {
            self.turn_over();
        }
        if self.tail.capacity() - self.tail.len() < n {
            let wanted = (self.tail.capacity() * 2).clamp(64, CHUNK).max(self.tail.len() + n);
            self.tail.reserve_exact(wanted - self.tail.len());
        }
    }

    /// Moves the tail to the queue.
    fn turn_over(&mut self) {
        if self.tail.is_empty() {
            return;
        }
        if !self.admits(self.tail.len()) {
            return self.tail.clear();
        }
        let full = std::mem::take(&mut self.tail);
        self.queued += full.len();
        self.queue.push_back(Chunk::Owned(full));
    }

    /// Whether so many bytes more may wait in the queue.
    fn admits(&mut self, bytes: usize) -> bool {
        self.overrun |= self.limit > 0 && self.queued - self.sent.min(self.queued) + bytes > self.limit;
        !self.overrun
    }

    // ---- replies that nobody wants ----

    /// Begins a reply that will be dropped ([`Out::rewind`]): hardly any of it is kept meanwhile, however long it is.
    /// What this returns is for [`Out::end_unwanted`].
    pub fn begin_unwanted(&mut self) -> usize {
        // What waits already is kept apart: the tail may be dropped.
        if !self.tail.is_empty() && self.admits(self.tail.len()) {
            self.queued += self.tail.len();
            self.queue.push_back(Chunk::Owned(self.tail.as_slice().into()));
        }
        self.tail.clear();
        let waiting = self.queued - self.sent.min(self.queued);
        std::mem::replace(&mut self.limit, waiting + CHUNK)
    }

    /// Ends it, with the limit that there was.
    pub fn end_unwanted(&mut self, limit: usize) {
        self.limit = limit;
    }

    // ---- places ----

    /// The present end, as a place to rewind to or to put a header at.
    #[inline]
    pub fn mark(&self) -> Mark {
        Mark { chunks: self.queue.len(), at: self.tail.len(), overrun: self.overrun }
    }

    /// Whether nothing was written since `mark`.
    pub fn is_at(&self, mark: Mark) -> bool {
        self.queue.len() == mark.chunks && self.tail.len() == mark.at
    }

    /// Drops everything written since `mark`, which was taken after the last write to the socket.
    pub fn rewind(&mut self, mark: Mark) {
        if self.queue.len() > mark.chunks {
            let mut dropped = self.queue.drain(mark.chunks..);
            // The tail of then is the first chunk queued since, unless it was empty.
            let first = dropped.next();
            drop(dropped);
            self.tail.clear();
            if let (Some(Chunk::Owned(chunk)), true) = (first, mark.at > 0) {
                self.tail = chunk;
            }
            self.queued = self.queue.iter().map(|c| c.bytes().len()).sum();
        }
        self.tail.truncate(mark.at);
        if mark.at == 0 {
            self.overrun = mark.overrun; // Nothing from before was lost with it.
        }
    }

    /// Encodes with `header` (which calls [`Out::array`], [`Out::map`], …) at `mark`, in front of what was written
    /// since: for a length that is known at the end only.
    pub fn insert_at(&mut self, mark: Mark, header: impl FnOnce(&mut Out)) {
        if self.overrun {
            return; // The place may be gone.
        }
        let mut scratch = Out { resp3: self.resp3, ..Out::default() };
        header(&mut scratch);
        let head = scratch.tail;
        if self.queue.len() == mark.chunks {
            self.tail.splice(mark.at..mark.at, head);
            return;
        }
        self.queued += head.len();
        match &mut self.queue[mark.chunks] {
            Chunk::Owned(chunk) if mark.at > 0 => drop(chunk.splice(mark.at..mark.at, head)),
            _ => self.queue.insert(mark.chunks, Chunk::Owned(head)),
        }
    }

    /// Everything written since `mark`, in one piece.
    pub fn since(&self, mark: Mark) -> Vec<u8> {
        if self.queue.len() == mark.chunks {
            return self.tail.get(mark.at..).unwrap_or_default().to_vec();
        }
        let mut bytes = Vec::new();
        let mut skip = mark.at;
        for chunk in self.queue.iter().skip(mark.chunks).map(Chunk::bytes) {
            bytes.extend_from_slice(&chunk[skip..]);
            skip = 0;
        }
        bytes.extend_from_slice(&self.tail);
        bytes
    }

    // ---- sending ----

    /// Gives an empty chunk to write to, if the client has none.
    #[inline]
    pub fn lend(&mut self, chunk: &mut Vec<u8>) {
        if self.tail.capacity() == 0 {
            std::mem::swap(&mut self.tail, chunk);
        }
    }

    /// Takes the tail's allocation back when nothing waits to be sent.
    #[inline]
    pub fn reclaim(&mut self) -> Option<Vec<u8>> {
        (self.is_empty() && self.tail.capacity() > 0).then(|| std::mem::take(&mut self.tail))
    }

    /// Whether nothing waits to be sent.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.tail.is_empty() && self.queue.is_empty()
    }

    /// Bytes that wait to be sent.
    #[inline]
    pub fn len(&self) -> usize {
        self.queued + self.tail.len() - self.sent
    }

    /// The bytes to send, when they lie in one piece.
    #[inline]
    pub fn single(&self) -> Option<&[u8]> {
        self.queue.is_empty().then(|| &self.tail[self.sent..])
    }

    /// Collects the next slices to send, up to `limit` bytes (the slice that passes it included).
    pub fn slices<'a>(&'a self, into: &mut Vec<IoSlice<'a>>, limit: usize) {
        let mut skip = self.sent;
        let mut total = 0;
        let tail = std::iter::once(self.tail.as_slice());
        for bytes in self.queue.iter().map(Chunk::bytes).chain(tail) {
            if !bytes[skip..].is_empty() {
                into.push(IoSlice::new(&bytes[skip..]));
            }
            total += bytes.len() - skip;
            skip = 0;
            if total >= limit || into.len() == MAX_SLICES {
                break;
            }
        }
    }

    /// Forgets the first `n` bytes: the socket took them.
    pub fn advance(&mut self, n: usize) {
        self.sent += n;
        while let Some(first) = self.queue.front() {
            let len = first.bytes().len();
            if self.sent < len {
                return;
            }
            self.sent -= len;
            self.queued -= len;
            self.queue.pop_front();
        }
        if self.sent >= self.tail.len() {
            debug_assert_eq!(self.sent, self.tail.len());
            self.tail.clear();
            self.sent = 0;
        }
    }

    /// Drops all that waits to be sent.
    pub fn discard(&mut self) {
        *self = Out { resp3: self.resp3, ..Out::default() };
    }

    /// Takes everything that waits, as one block.
    pub fn take_bytes(&mut self) -> Vec<u8> {
        let mut bytes = self.since(Mark { chunks: 0, at: 0, overrun: false });
        bytes.drain(..self.sent);
        self.discard();
        bytes
    }

    /// Capacity of the tail: the `rbs` of CLIENT LIST.
    pub fn tail_capacity(&self) -> usize {
        self.tail.capacity()
    }

    /// Bytes in the tail: the `obl` of CLIENT LIST.
    pub fn tail_len(&self) -> usize {
        self.tail.len() - if self.queue.is_empty() { self.sent } else { 0 }
    }

    /// Chunks in the queue: the `oll` of CLIENT LIST.
    pub fn queue_len(&self) -> usize {
        self.queue.len()
    }

    /// Bytes of the queue, with what its chunks hold unused: the `omem` of CLIENT LIST.
    pub fn queue_bytes(&self) -> usize {
        self.queued + self.queue.len() * size_of::<Chunk>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(resp3: bool, f: impl FnOnce(&mut Out)) -> String {
        let mut out = Out::default();
        out.set_resp3(resp3);
        f(&mut out);
        String::from_utf8(out.take_bytes()).unwrap()
    }

    #[test]
    fn kinds_degrade_in_resp2() {
        let all = |o: &mut Out| {
            o.null();
            o.null_array();
            o.bool(true);
            o.double(1.5);
            o.map(2);
            o.set(12);
            o.push(123);
            o.verbatim("txt", b"hi");
            o.big_number(b"99");
        };
        assert_eq!(
            encoded(false, all),
            "$-1\r\n*-1\r\n:1\r\n$3\r\n1.5\r\n*4\r\n*12\r\n*123\r\n$2\r\nhi\r\n$2\r\n99\r\n"
        );
        assert_eq!(
            encoded(true, all),
            "_\r\n_\r\n#t\r\n,1.5\r\n%2\r\n~12\r\n>123\r\n=6\r\ntxt:hi\r\n(99\r\n"
        );
    }

    #[test]
    fn errors_stay_on_one_line() {
        assert_eq!(encoded(false, |o| o.error(&CmdError::text("ERR a\r\nb"))), "-ERR a  b\r\n");
    }

    #[test]
    fn chunks_come_out_in_order_however_they_are_sent() {
        let mut out = Out::default();
        let mut model = Vec::new();
        for i in 0..200usize {
            let block = vec![b'a' + (i % 26) as u8; i * 37];
            if i % 5 == 0 {
                out.shared(Bytes::from(block.clone()));
            } else {
                out.raw(&block);
            }
            model.extend_from_slice(&block);
        }
        assert_eq!(out.len(), model.len());
        let mut sent = Vec::new();
        for step in (1..).map(|n| n * 101) {
            let mut slices = Vec::new();
            out.slices(&mut slices, usize::MAX);
            let bytes: Vec<u8> = slices.iter().flat_map(|s| s.iter().copied()).take(step).collect();
            if bytes.is_empty() {
                break;
            }
            sent.extend_from_slice(&bytes);
            out.advance(bytes.len());
            assert_eq!(out.len(), model.len() - sent.len());
        }
        assert!(sent == model && out.is_empty());
    }

    #[test]
    fn header_can_follow_its_elements() {
        for elements in [3usize, 5000] {
            let text = encoded(false, |o| {
                o.simple("before");
                let mark = o.mark();
                (0..elements).for_each(|_| o.bulk(b"element"));
                o.insert_at(mark, |o| o.array(elements));
            });
            let expected = format!("+before\r\n*{elements}\r\n{}", "$7\r\nelement\r\n".repeat(elements));
            assert!(text == expected);
        }
    }

    #[test]
    fn rewind_drops_what_came_after() {
        for size in [1usize, CHUNK, 5 * CHUNK] {
            for before in ["", "+kept\r\n"] {
                let mut out = Out::default();
                out.raw(before.as_bytes());
                let mark = out.mark();
                out.raw(&vec![b'x'; size]);
                out.shared(Bytes::from(vec![b'y'; size]));
                assert!(!out.is_at(mark));
                assert_eq!(out.since(mark).len(), 2 * size);
                out.rewind(mark);
                assert_eq!(out.len(), before.len());
                assert_eq!(out.take_bytes(), before.as_bytes());
            }
        }
    }

    #[test]
    fn an_unwanted_reply_is_bounded_and_costs_the_others_nothing() {
        for limit in [0, 3 * CHUNK] {
            for before in ["", "+kept\r\n"] {
                let mut out = Out::default();
                out.set_limit(limit);
                out.raw(before.as_bytes());
                let limit = out.begin_unwanted();
                let mark = out.mark();
                for _ in 0..1000 {
                    out.raw(&[b'x'; 1000]);
                    out.shared(Bytes::from(vec![b'y'; SHARE]));
                }
                assert!(out.overrun());
                assert!(out.len() <= before.len() + 2 * CHUNK, "{} bytes wait", out.len());
                out.rewind(mark);
                out.end_unwanted(limit);
                assert!(!out.overrun());
                out.raw(&[b'z'; 2 * CHUNK]);
                assert!(!out.overrun());
                assert_eq!(out.take_bytes(), [before.as_bytes(), &[b'z'; 2 * CHUNK]].concat());
            }
        }
    }
}
