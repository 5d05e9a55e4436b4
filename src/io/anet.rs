//! Listening sockets: TCP over IPv4 and IPv6, and unix, with the options that upstream sets.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::socket::{
    self, AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, UnixAddr, sockopt,
};

use crate::io::connection::{Connection, Kind};

const STREAM_FLAGS: SockFlag = SockFlag::SOCK_NONBLOCK.union(SockFlag::SOCK_CLOEXEC);

/// A listening socket.
#[derive(Debug)]
pub struct Listener {
    fd: OwnedFd,
    kind: Kind,
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// What one accept gave.
#[derive(Debug)]
pub enum Accepted {
    /// A connection.
    Connection(Connection),
    /// No connection waits.
    None,
    /// The call failed; after [`Errno::EMFILE`] and the like connections still wait.
    Failed(Errno),
}

/// The address to listen on for a `bind` entry; `*` is every IPv4 address and `::*` every IPv6 address.
fn resolve(host: &str, port: u16) -> io::Result<SocketAddr> {
    let host = match host {
        "*" => "0.0.0.0",
        "::*" => "::",
        other => other,
    };
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, port));
    }
    (host, port)
        .to_socket_addrs()?
        .next()
        .ok_or_else(|| io::Error::new(io::ErrorKind::AddrNotAvailable, "Name or service not known"))
}

impl Listener {
    /// Listens on `host` (an address, a name, `*` or `::*`) and `port`.
    ///
    /// # Errors
    /// The system's error; `EADDRNOTAVAIL`, `EAFNOSUPPORT` and the like are what an optional (`-`) address forgives.
    pub fn tcp(host: &str, port: u16, backlog: i32, mark: u32) -> io::Result<Listener> {
        let address = resolve(host, port)?;
        let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let fd = socket::socket(family, SockType::Stream, STREAM_FLAGS, None)?;
        if mark > 0 {
            socket::setsockopt(&fd, sockopt::Mark, &mark)?;
        }
        if address.is_ipv6() {
            socket::setsockopt(&fd, sockopt::Ipv6V6Only, &true)?;
        }
        socket::setsockopt(&fd, sockopt::ReuseAddr, &true)?;
        socket::bind(fd.as_raw_fd(), &SockaddrStorage::from(address))?;
        socket::listen(&fd, clamp_backlog(backlog))?;
        Ok(Listener { fd, kind: Kind::Tcp })
    }

    /// Listens on a unix socket at `path`, which is given the permissions `mode` unless 0.
    pub fn unix(path: &Path, mode: u32, backlog: i32) -> io::Result<Listener> {
        let fd = socket::socket(AddressFamily::Unix, SockType::Stream, STREAM_FLAGS, None)?;
        socket::bind(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
        socket::listen(&fd, clamp_backlog(backlog))?;
        if mode != 0 {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
        }
        Ok(Listener { fd, kind: Kind::Unix })
    }

    /// TCP or unix.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Takes the next waiting connection.
    pub fn accept(&self) -> Accepted {
        loop {
            return match socket::accept4(self.fd.as_raw_fd(), STREAM_FLAGS) {
                Ok(fd) => {
                    // SAFETY: `accept4` has just made this descriptor, and nobody else owns it.
                    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
                    Accepted::Connection(Connection::new(fd, self.kind))
                }
                Err(Errno::EINTR | Errno::ECONNABORTED) => continue,
                Err(Errno::EAGAIN) => Accepted::None,
                Err(e) => Accepted::Failed(e),
            };
        }
    }
}

fn clamp_backlog(backlog: i32) -> Backlog {
    Backlog::new(backlog.max(0)).unwrap_or(Backlog::MAXCONN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn accepts_and_reads() {
        let listener = Listener::tcp("127.0.0.1", 0, 16, 0).unwrap();
        assert!(matches!(listener.accept(), Accepted::None));
        let address: SockaddrStorage = socket::getsockname(listener.as_raw_fd()).unwrap();
        let port = address.as_sockaddr_in().unwrap().port();
        let mut client = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        client.write_all(b"hello").unwrap();
        let connection = loop {
            if let Accepted::Connection(c) = listener.accept() {
                break c;
            }
        };
        assert_eq!(connection.peer_name(), client.local_addr().unwrap().to_string());
        let mut buf = Vec::new();
        while buf.len() < 5 {
            connection.read_append(&mut buf, 16);
        }
        assert_eq!(buf, b"hello");
    }

    #[test]
    fn unix_socket_gets_its_permissions() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let _listener = Listener::unix(&path, 0o700, 16).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
