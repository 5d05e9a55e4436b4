//! The event loop's engine: readiness of descriptors through mio, and timers.
//!
//! A descriptor is registered once, for both directions, under a [`Token`](mio::Token); epoll reports it edge-triggered. Whoever
//! gets an event must therefore go on until the descriptor is drained, or put the work on a list of its own that is
//! served on the next turn without sleeping. No descriptor is ever registered again to change its interest, so a
//! request costs no `epoll_ctl`.
//!
//! Who acts on an event is for the layer above: this file knows tokens, not clients. The loop itself is
//! [`crate::server::events::run`].

use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token};

/// Events taken from the kernel in one call.
const EVENTS_PER_POLL: usize = 1024;

/// The engine.
#[derive(Debug)]
pub struct EventLoop {
    poll: Poll,
    events: Option<Events>,
}

impl EventLoop {
    /// # Errors
    /// When the kernel has no epoll instance to give.
    pub fn new() -> io::Result<EventLoop> {
        Ok(EventLoop { poll: Poll::new()?, events: Some(Events::with_capacity(EVENTS_PER_POLL)) })
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

    /// Waits up to `timeout` for events, and checks them out; give them back with [`EventLoop::finish`]. A poll
    /// within a poll (events served during a long command) gets a buffer of its own.
    pub fn poll(&mut self, timeout: Option<Duration>) -> Events {
        let mut events = self.events.take().unwrap_or_else(|| Events::with_capacity(EVENTS_PER_POLL));
        if let Err(e) = self.poll.poll(&mut events, timeout)
            && e.kind() != io::ErrorKind::Interrupted
        {
            panic!("epoll_wait: {e}");
        }
        events
    }

    /// Takes the events' buffer back.
    pub fn finish(&mut self, mut events: Events) {
        events.clear();
        self.events = Some(events);
    }
}
