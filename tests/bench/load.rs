//! The load client: one thread that keeps many connections busy.
//!
//! [`ClosedLoop`] is for throughput. Each connection sends a batch (as many requests as the pipeline is deep), waits for all
//! of its replies, and sends the next, until the number of requests asked for has been sent. Nothing is formatted and no reply
//! is kept, so that one core of client saturates one core of server at any pipeline worth measuring.
//!
//! [`OpenLoop`] is for latency. Requests are due at fixed times whether or not earlier ones have been answered, and a
//! request's latency counts from the time it was due, so that a stall is felt by every request that it held up and not by
//! the one that met it (what is called coordinated omission). It polls without sleeping: it has a core of its own.

use crate::Result;
use crate::replies::{ReplyScanner, Tally};
use crate::requests::{Batch, Numbers, Template};
use hdrhistogram::Histogram;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const READ_BUFFER_BYTES: usize = 256 * 1024;
const EVENTS_MAX: usize = 1024;
/// A server that is silent for so long while replies are due has failed.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);

/// A set of connections, registered for reading and writing, edge-triggered.
struct Connections {
    poll: Poll,
    all: Vec<Connection>,
    buffer: Vec<u8>,
    tally: Tally,
}

struct Connection {
    stream: TcpStream,
    scanner: ReplyScanner,
    batch: Batch,
    /// How much of the batch has been written.
    written: usize,
}

impl Connection {
    /// Fills the batch anew and writes what the socket takes. The batch before it must have been written out.
    fn send(&mut self, numbers: &mut Numbers) -> Result<()> {
        assert!(self.is_written());
        self.batch.fill(numbers);
        self.written = 0;
        self.flush()
    }

    fn is_written(&self) -> bool {
        self.written == self.batch.bytes().len()
    }

    fn flush(&mut self) -> Result<()> {
        while !self.is_written() {
            match self.stream.write(&self.batch.bytes()[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Reads once. The flag says that the socket may have more: the read filled the buffer.
    fn receive(&mut self, buffer: &mut [u8], tally: &mut Tally) -> Result<bool> {
        match self.stream.read(buffer) {
            Ok(0) => Err("the server closed a connection".into()),
            Ok(count) => {
                self.scanner.feed(&buffer[..count], tally)?;
                Ok(count == buffer.len())
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl Connections {
    fn open(address: SocketAddr, count: usize, template: &Template, pipeline: usize) -> Result<Self> {
        let poll = Poll::new()?;
        let mut all = Vec::with_capacity(count);
        for index in 0..count {
            let stream = std::net::TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(index), Interest::READABLE | Interest::WRITABLE)?;
            let batch = Batch::new(template, pipeline);
            let written = batch.bytes().len();
            all.push(Connection { stream, scanner: ReplyScanner::default(), batch, written });
        }
        Ok(Connections { poll, all, buffer: vec![0; READ_BUFFER_BYTES], tally: Tally::default() })
    }

    /// Fails if a reply was not what a benchmark wants: an error, or a null where a key should have been found.
    fn check_replies(&self) -> Result<()> {
        match &self.tally {
            Tally { first_error: Some(error), errors, .. } => {
                Err(format!("{errors} error replies: {error}").into())
            }
            Tally { nulls, .. } if *nulls > 0 => Err(format!("{nulls} null replies").into()),
            _ => Ok(()),
        }
    }
}

/// Connections that send a batch as soon as the one before it has been answered.
pub struct ClosedLoop {
    connections: Connections,
    /// Replies that each connection still waits for.
    awaited: Vec<u64>,
    pipeline: u64,
}

impl ClosedLoop {
    /// Opens `count` connections.
    pub fn open(address: SocketAddr, count: usize, template: &Template, pipeline: usize) -> Result<Self> {
        let connections = Connections::open(address, count, template, pipeline)?;
        Ok(ClosedLoop { connections, awaited: vec![0; count], pipeline: pipeline as u64 })
    }

    /// Sends `requests` requests, rounded up to whole batches, and returns when the last of them has been answered: how many
    /// there were, and the time it took.
    pub fn run(&mut self, requests: u64, numbers: &mut Numbers) -> Result<(u64, Duration)> {
        let mut events = Events::with_capacity(EVENTS_MAX);
        let batches = requests.div_ceil(self.pipeline);
        let started = Instant::now();
        let mut to_send = batches;
        let mut open = 0u64;
        for index in 0..self.awaited.len() {
            if to_send > 0 {
                self.awaited[index] = self.pipeline;
                self.connections.all[index].send(numbers)?;
                to_send -= 1;
                open += 1;
            }
        }
        while open > 0 {
            self.connections.poll.poll(&mut events, Some(SILENCE_LIMIT))?;
            if events.is_empty() {
                return Err("the server has stopped answering".into());
            }
            for event in &events {
                self.serve(event.token().0, &mut to_send, &mut open, numbers)?;
            }
        }
        let elapsed = started.elapsed();
        self.connections.check_replies()?;
        Ok((batches * self.pipeline, elapsed))
    }

    fn serve(
        &mut self,
        index: usize,
        to_send: &mut u64,
        open: &mut u64,
        numbers: &mut Numbers,
    ) -> Result<()> {
        let Connections { all, buffer, tally, .. } = &mut self.connections;
        let connection = &mut all[index];
        connection.flush()?;
        loop {
            let counted = tally.replies;
            let more = connection.receive(buffer, tally)?;
            let arrived = tally.replies - counted;
            if arrived > 0 {
                let awaited = &mut self.awaited[index];
                *awaited = awaited.checked_sub(arrived).ok_or("more replies than requests")?;
                if *awaited == 0 && *to_send > 0 {
                    *awaited = self.pipeline;
                    *to_send -= 1;
                    connection.send(numbers)?;
                } else if *awaited == 0 {
                    *open -= 1;
                }
            }
            if !more {
                return Ok(());
            }
        }
    }
}

/// Connections that send at fixed times.
pub struct OpenLoop {
    connections: Connections,
    /// When the requests that a connection has not got answered were due, counted from the start.
    due: Vec<VecDeque<Duration>>,
}

impl OpenLoop {
    /// Opens `count` connections.
    pub fn open(address: SocketAddr, count: usize, template: &Template) -> Result<Self> {
        let connections = Connections::open(address, count, template, 1)?;
        Ok(OpenLoop { connections, due: vec![VecDeque::new(); count] })
    }

    /// Sends `rate` requests a second for `duration`, the connections taking turns, and returns the latencies in nanoseconds.
    pub fn run(&mut self, rate: u64, duration: Duration, numbers: &mut Numbers) -> Result<Histogram<u64>> {
        let mut events = Events::with_capacity(EVENTS_MAX);
        let mut latencies = Histogram::new(3)?;
        let total = (rate as f64 * duration.as_secs_f64()) as u64;
        let due_at =
            |nth: u64| Duration::from_nanos((u128::from(nth) * 1_000_000_000 / u128::from(rate)) as u64);
        let started = Instant::now();
        let mut sent = 0;
        let mut answered = 0;
        while answered < total {
            let now = started.elapsed();
            while sent < total && due_at(sent) <= now {
                let index = (sent % self.due.len() as u64) as usize;
                let connection = &mut self.connections.all[index];
                // A request does not fit into the socket only if the server has not read for thousands of them.
                connection.send(numbers)?;
                if !connection.is_written() {
                    return Err(format!("the server is saturated at {rate} requests a second").into());
                }
                self.due[index].push_back(due_at(sent));
                sent += 1;
            }
            self.connections.poll.poll(&mut events, Some(Duration::ZERO))?;
            for event in &events {
                answered += self.receive(event.token().0, started, &mut latencies)?;
            }
            if now > duration + SILENCE_LIMIT {
                return Err("the server has stopped answering".into());
            }
        }
        self.connections.check_replies()?;
        Ok(latencies)
    }

    fn receive(&mut self, index: usize, started: Instant, latencies: &mut Histogram<u64>) -> Result<u64> {
        let Connections { all, buffer, tally, .. } = &mut self.connections;
        let counted = tally.replies;
        while all[index].receive(buffer, tally)? {}
        let now = started.elapsed();
        for _ in counted..tally.replies {
            let due = self.due[index].pop_front().ok_or("more replies than requests")?;
            latencies.record((now - due).as_nanos() as u64)?;
        }
        Ok(tally.replies - counted)
    }
}
