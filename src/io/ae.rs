//! The event loop's engine: readiness of descriptors through mio.
//!
//! A descriptor is registered once, for both directions, under a [`Token`](mio::Token); epoll reports it edge-triggered. Whoever
//! gets an event must therefore go on until the descriptor is drained, or put the work on a list of its own that is
//! served on the next turn without sleeping. No descriptor is ever registered again to change its interest, so a
//! request costs no `epoll_ctl`.
//!
//! What the kernel reports waits in a queue until it is served. A command that takes long polls and serves events itself, in
//! the middle of a turn, and it must find those as well that the turn has taken from the kernel and not come to yet: an edge
//! is not reported twice.
//!
//! Who acts on an event is for the layer above: this file knows tokens, not clients. The loop itself is
//! [`crate::server::events::run`].

use std::collections::VecDeque;
use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token};

/// Events taken from the kernel in one call.
const EVENTS_PER_POLL: usize = 1024;

/// What a descriptor is ready for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// As what it was registered.
    pub token: Token,
    /// Whether there is something to read.
    pub readable: bool,
    /// Whether there is room to write.
    pub writable: bool,
    /// Whether the peer is gone.
    pub closed: bool,
}

/// The engine.
#[derive(Debug)]
pub struct EventLoop {
    poll: Poll,
    /// Where the kernel puts events: empty between two polls.
    events: Events,
    /// Events that nobody has served yet, oldest first.
    ready: VecDeque<Ready>,
}

impl EventLoop {
    /// # Errors
    /// When the kernel has no epoll instance to give.
    pub fn new() -> io::Result<EventLoop> {
        Ok(EventLoop {
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS_PER_POLL),
            ready: VecDeque::new(),
        })
    }

    /// The registry, for wakers.
    pub fn registry(&self) -> &Registry {
        self.poll.registry()
    }

    /// Reports `fd` under `token` whenever it becomes readable or writable.
    pub fn add(&self, fd: RawFd, token: Token) -> io::Result<()> {
        self.poll.registry().register(&mut SourceFd(&fd), token, Interest::READABLE | Interest::WRITABLE)
    }

    /// Reports `fd` under `token` whenever it becomes readable.
    pub fn add_readable(&self, fd: RawFd, token: Token) -> io::Result<()> {
        self.poll.registry().register(&mut SourceFd(&fd), token, Interest::READABLE)
    }

    /// Reports `fd` no more; must come before the descriptor is closed.
    pub fn remove(&self, fd: RawFd) {
        // The only failure is a descriptor that is not registered, and then all is as wanted.
        let _ = self.poll.registry().deregister(&mut SourceFd(&fd));
    }

    /// Waits up to `timeout` for events, and queues them.
    pub fn poll(&mut self, timeout: Option<Duration>) {
        if let Err(e) = self.poll.poll(&mut self.events, timeout)
            && e.kind() != io::ErrorKind::Interrupted
        {
            panic!("epoll_wait: {e}");
        }
        self.ready.extend(self.events.iter().map(|event| Ready {
            token: event.token(),
            readable: event.is_readable(),
            writable: event.is_writable(),
            closed: event.is_read_closed() || event.is_error(),
        }));
        self.events.clear();
    }

    /// The next event to be served.
    pub fn next_ready(&mut self) -> Option<Ready> {
        self.ready.pop_front()
    }

    /// Whether no event waits to be served.
    pub fn is_idle(&self) -> bool {
        self.ready.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn an_event_waits_until_it_is_served_and_is_not_reported_twice() {
        let mut el = EventLoop::new().unwrap();
        let pairs = [UnixStream::pair().unwrap(), UnixStream::pair().unwrap()];
        for (i, (ours, theirs)) in pairs.iter().enumerate() {
            el.add_readable(ours.as_raw_fd(), Token(i)).unwrap();
            let mut theirs = theirs;
            theirs.write_all(b"x").unwrap();
        }
        el.poll(Some(Duration::ZERO));
        assert_eq!(el.next_ready().map(|ready| ready.token), Some(Token(0)));
        // A poll in the middle of the turn finds the other event still there, once.
        el.poll(Some(Duration::ZERO));
        let next = el.next_ready().expect("the event of the first poll");
        assert_eq!((next.token, next.readable, next.closed), (Token(1), true, false));
        assert!(el.is_idle() && el.next_ready().is_none());
    }
}
