//! A stream socket, TCP or unix, that does not block, unless it is told to for a while.
//!
//! Calls are `recv` and `sendmsg` on the descriptor itself. TLS will be a third kind behind the same methods.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{self, MsgFlags, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};

/// What the other end is reached by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// TCP over IPv4 or IPv6.
    Tcp,
    /// A unix socket.
    Unix,
}

/// What one read gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    /// So many bytes; less than was asked for means that the socket is drained.
    Bytes(usize),
    /// Nothing is there now.
    WouldBlock,
    /// The other end has closed.
    Eof,
    /// The connection is broken.
    Broken(Errno),
}

/// A connected, non-blocking stream socket.
#[derive(Debug)]
pub struct Connection {
    fd: OwnedFd,
    kind: Kind,
}

impl Connection {
    /// Takes over a connected socket that is non-blocking already.
    pub fn new(fd: OwnedFd, kind: Kind) -> Connection {
        Connection { fd, kind }
    }

    /// TCP or unix.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Reads into `buf`.
    #[inline]
    pub fn read(&self, buf: &mut [u8]) -> Read {
        match socket::recv(self.fd.as_raw_fd(), buf, MsgFlags::empty()) {
            Ok(0) => Read::Eof,
            Ok(n) => Read::Bytes(n),
            Err(Errno::EAGAIN | Errno::EINTR) => Read::WouldBlock,
            Err(e) => Read::Broken(e),
        }
    }

    /// Reads up to `max` bytes behind the end of `buf`, into capacity it has or is given.
    pub fn read_append(&self, buf: &mut Vec<u8>, max: usize) -> Read {
        buf.reserve(max);
        let spare = &mut buf.spare_capacity_mut()[..max];
        // SAFETY: the kernel writes at most `spare.len()` bytes to `spare`, memory this vector owns; nothing reads
        // it before `set_len` below takes in just what was written.
        let got = unsafe { libc::recv(self.fd.as_raw_fd(), spare.as_mut_ptr().cast(), spare.len(), 0) };
        match Errno::result(got) {
            Ok(0) => Read::Eof,
            Ok(n) => {
                // SAFETY: `recv` has initialised `n` bytes behind the old length, within the capacity.
                unsafe { buf.set_len(buf.len() + n as usize) };
                Read::Bytes(n as usize)
            }
            Err(Errno::EAGAIN | Errno::EINTR) => Read::WouldBlock,
            Err(e) => Read::Broken(e),
        }
    }

    /// Writes what the socket takes of `bytes`; `Ok(0)` when it takes nothing now.
    #[inline]
    pub fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        would_block_is_zero(socket::send(self.fd.as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL))
    }

    /// Writes what the socket takes of `slices`; `Ok(0)` when it takes nothing now.
    pub fn write_vectored(&self, slices: &[IoSlice<'_>]) -> Result<usize, Errno> {
        would_block_is_zero(socket::sendmsg::<()>(
            self.fd.as_raw_fd(),
            slices,
            &[],
            MsgFlags::MSG_NOSIGNAL,
            None,
        ))
    }

    /// Tells the peer that the connection is over, whoever else has a copy of the descriptor.
    pub fn shut_down(&self) {
        // It fails if the peer is gone already, which is as well.
        let _ = socket::shutdown(self.fd.as_raw_fd(), socket::Shutdown::Both);
    }

    /// Whether the peer will send nothing more than what is there, as far as the system knows.
    pub fn peer_has_closed(&self) -> bool {
        let closed = PollFlags::from_bits_retain(libc::POLLRDHUP);
        let mut fds = [PollFd::new(self.fd.as_fd(), closed)];
        // If it fails there is nothing to be known; an error or a hang-up is reported unasked.
        poll(&mut fds, PollTimeout::ZERO).is_ok_and(|n| n > 0)
    }

    /// Another descriptor of the same connection.
    ///
    /// # Errors
    /// When the system has no descriptor to give.
    pub fn try_clone(&self) -> io::Result<Connection> {
        Ok(Connection { fd: self.fd.try_clone()?, kind: self.kind })
    }

    /// Has reads and writes wait, or not. It is true of all descriptors of the connection.
    pub fn set_blocking(&self, on: bool) -> io::Result<()> {
        let mut flags = OFlag::from_bits_retain(fcntl(&self.fd, FcntlArg::F_GETFL)?);
        flags.set(OFlag::O_NONBLOCK, !on);
        fcntl(&self.fd, FcntlArg::F_SETFL(flags))?;
        Ok(())
    }

    /// Has writes wait no longer than this; 0 is without end.
    pub fn set_send_timeout(&self, most: Duration) -> io::Result<()> {
        let most = TimeVal::milliseconds(most.as_millis() as i64);
        Ok(socket::setsockopt(&self.fd, sockopt::SendTimeout, &most)?)
    }

    /// Turns Nagle's algorithm off.
    pub fn set_nodelay(&self) -> io::Result<()> {
        Ok(socket::setsockopt(&self.fd, sockopt::TcpNoDelay, &true)?)
    }

    /// Probes a silent peer after `seconds`, then thrice at a third of that interval; 0 turns probing off.
    pub fn set_keepalive(&self, seconds: u32) -> io::Result<()> {
        socket::setsockopt(&self.fd, sockopt::KeepAlive, &(seconds > 0))?;
        if seconds > 0 {
            socket::setsockopt(&self.fd, sockopt::TcpKeepIdle, &seconds)?;
            socket::setsockopt(&self.fd, sockopt::TcpKeepInterval, &(seconds / 3).max(1))?;
            socket::setsockopt(&self.fd, sockopt::TcpKeepCount, &3)?;
        }
        Ok(())
    }

    /// The peer's address as CLIENT LIST shows it: `ip:port`, `[ip6]:port`, or the socket's path and `:0`.
    pub fn peer_name(&self) -> String {
        self.name(socket::getpeername::<socket::SockaddrStorage>(self.fd.as_raw_fd()))
    }

    /// Our own address, in the same form.
    pub fn local_name(&self) -> String {
        self.name(socket::getsockname::<socket::SockaddrStorage>(self.fd.as_raw_fd()))
    }

    fn name(&self, address: nix::Result<socket::SockaddrStorage>) -> String {
        let Ok(address) = address else { return "?:0".to_string() };
        if let Some(v4) = address.as_sockaddr_in() {
            format!("{}:{}", v4.ip(), v4.port())
        } else if let Some(v6) = address.as_sockaddr_in6() {
            format!("[{}]:{}", v6.ip(), v6.port())
        } else {
            let path = address.as_unix_addr().and_then(|u| u.path().map(|p| p.display().to_string()));
            format!("{}:0", path.unwrap_or_default())
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Connection {
    fn as_raw_fd(&self) -> i32 {
        self.fd.as_raw_fd()
    }
}

fn would_block_is_zero(result: nix::Result<usize>) -> Result<usize, Errno> {
    match result {
        Err(Errno::EAGAIN | Errno::EINTR) => Ok(0),
        other => other,
    }
}
