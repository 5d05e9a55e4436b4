//! A blocking connection to a server: TCP over IPv4 or IPv6, or a Unix socket.
//!
//! Commands are collected with [`Connection::queue`] and leave with the next [`Connection::receive`], so that a caller
//! may send several at once. Errors of the operating system are reported in its own words (`Connection refused`),
//! without the decoration that Rust's `io::Error` adds, because users match on them.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};

use super::resp::{self, Decoder, ProtocolError, Reply};

/// How long a connection may be silent before the system probes whether the peer still exists, in seconds. It finds
/// dead servers, and keeps middleboxes from forgetting a connection on which a long command runs.
const KEEPALIVE_INTERVAL_S: u32 = 15;

/// How many bytes one read asks for.
const READ_SIZE: usize = 64 * 1024;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A host name or an address, and a port.
    Tcp {
        /// Host name, IPv4 address, or IPv6 address without brackets.
        host: String,
        /// 0 to 65535.
        port: u16,
    },
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Endpoint {
    /// The form that connection errors carry: `host:port`, or the path.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Tcp { host, port } => write!(f, "{host}:{port}"),
            Endpoint::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Which family of addresses to try first when a name has both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressPreference {
    /// IPv4 first, which is the default.
    #[default]
    V4,
    /// IPv6 first.
    V6,
}

/// Why a connection could not be made, or cannot be used any more.
#[derive(Debug)]
pub enum LinkError {
    /// The server closed it in an orderly way.
    Closed,
    /// The operating system reported an error.
    Io(io::Error),
    /// The server sent something that is not the protocol.
    Protocol(ProtocolError),
}

impl LinkError {
    /// Whether the peer went away, as opposed to having misbehaved: connecting anew may help.
    pub fn is_disconnection(&self) -> bool {
        match self {
            LinkError::Closed => true,
            LinkError::Io(error) => {
                matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
            }
            LinkError::Protocol(_) => false,
        }
    }
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkError::Closed => f.write_str("Server closed the connection"),
            LinkError::Io(error) => f.write_str(&describe_io_error(error)),
            LinkError::Protocol(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for LinkError {}

impl From<io::Error> for LinkError {
    fn from(error: io::Error) -> LinkError {
        LinkError::Io(error)
    }
}

/// The system's plain text for an error.
pub fn describe_io_error(error: &io::Error) -> String {
    if let Some(code) = error.raw_os_error() {
        return Errno::from_raw(code).desc().to_string();
    }
    if error.kind() == io::ErrorKind::TimedOut {
        return Errno::ETIMEDOUT.desc().to_string();
    }
    let text = error.to_string();
    match text.strip_prefix("failed to lookup address information: ") {
        Some(resolver) => resolver.to_string(),
        None => text,
    }
}

/// The socket under a connection.
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.read(buffer),
            Socket::Unix(stream) => stream.read(buffer),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Socket::Tcp(stream) => stream.write_all(bytes),
            Socket::Unix(stream) => stream.write_all(bytes),
        }
    }

    fn try_clone(&self) -> io::Result<Socket> {
        Ok(match self {
            Socket::Tcp(stream) => Socket::Tcp(stream.try_clone()?),
            Socket::Unix(stream) => Socket::Unix(stream.try_clone()?),
        })
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Socket::Tcp(stream) => stream.as_fd(),
            Socket::Unix(stream) => stream.as_fd(),
        }
    }
}

/// A handle with which another thread can end a connection that someone is reading from.
pub struct Hangup(Socket);

impl Hangup {
    /// Ends the connection; a blocked read returns as if the server had closed it.
    pub fn hang_up(&self) {
        // The connection may be gone already, which is what was wanted.
        let _ = match &self.0 {
            Socket::Tcp(stream) => stream.shutdown(Shutdown::Both),
            Socket::Unix(stream) => stream.shutdown(Shutdown::Both),
        };
    }
}

/// A connection to one server.
pub struct Connection {
    socket: Socket,
    decoder: Decoder,
    outgoing: Vec<u8>,
    incoming: Box<[u8]>,
}

impl Connection {
    /// Connects to `endpoint`. A name's addresses are tried in turn, `preference` first; each may take `timeout`.
    ///
    /// # Errors
    ///
    /// That of the last address tried.
    pub fn open(
        endpoint: &Endpoint,
        timeout: Option<Duration>,
        preference: AddressPreference,
    ) -> Result<Connection, LinkError> {
        let socket = match endpoint {
            Endpoint::Tcp { host, port } => Socket::Tcp(open_tcp(host, *port, timeout, preference)?),
            Endpoint::Unix(path) => Socket::Unix(UnixStream::connect(path)?),
        };
        Ok(Connection {
            socket,
            decoder: Decoder::new(),
            outgoing: Vec::new(),
            incoming: vec![0; READ_SIZE].into_boxed_slice(),
        })
    }

    /// A handle that ends this connection from another thread.
    pub fn hangup_handle(&self) -> io::Result<Hangup> {
        self.socket.try_clone().map(Hangup)
    }

    /// Adds a command to those that leave with the next [`Connection::receive`].
    pub fn queue<A: AsRef<[u8]>>(&mut self, args: &[A]) {
        resp::encode_command(&mut self.outgoing, args);
    }

    /// A reply that has already been received in full, if there is one; never blocks.
    pub fn receive_buffered(&mut self) -> Result<Option<Reply>, LinkError> {
        self.decoder.next_reply().map_err(LinkError::Protocol)
    }

    /// Sends what is queued and waits for the next reply.
    pub fn receive(&mut self) -> Result<Reply, LinkError> {
        if !self.outgoing.is_empty() {
            let sent = self.socket.write_all(&self.outgoing);
            self.outgoing.clear();
            sent?;
        }
        loop {
            if let Some(reply) = self.receive_buffered()? {
                return Ok(reply);
            }
            match self.socket.read(&mut self.incoming) {
                Ok(0) => return Err(LinkError::Closed),
                Ok(n) => self.decoder.feed(&self.incoming[..n]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn open_tcp(
    host: &str,
    port: u16,
    timeout: Option<Duration>,
    preference: AddressPreference,
) -> Result<TcpStream, LinkError> {
    let mut addresses: Vec<SocketAddr> = (host, port).to_socket_addrs()?.collect();
    addresses.sort_by_key(|address| address.is_ipv6() != (preference == AddressPreference::V6));
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        let attempt = match timeout {
            Some(timeout) => TcpStream::connect_timeout(&address, timeout),
            None => TcpStream::connect(address),
        };
        match attempt {
            Ok(stream) => {
                tune(&stream)?;
                return Ok(stream);
            }
            Err(error) => failure = error,
        }
    }
    Err(failure.into())
}

/// Sends small commands at once, and notices a peer that vanished.
fn tune(stream: &TcpStream) -> Result<(), LinkError> {
    stream.set_nodelay(true)?;
    let probes = || {
        setsockopt(stream, sockopt::KeepAlive, &true)?;
        setsockopt(stream, sockopt::TcpKeepIdle, &KEEPALIVE_INTERVAL_S)?;
        setsockopt(stream, sockopt::TcpKeepInterval, &(KEEPALIVE_INTERVAL_S / 3))?;
        setsockopt(stream, sockopt::TcpKeepCount, &3)
    };
    probes().map_err(|errno: Errno| LinkError::Io(errno.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn errors_read_as_the_system_words_them() {
        let refused = io::Error::from_raw_os_error(Errno::ECONNREFUSED as i32);
        assert_eq!(describe_io_error(&refused), "Connection refused");
        assert_eq!(describe_io_error(&io::ErrorKind::TimedOut.into()), "Connection timed out");
        assert_eq!(LinkError::Closed.to_string(), "Server closed the connection");
    }

    #[test]
    fn replies_arrive_after_the_queue_has_left() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            let mut request = [0; 14];
            peer.read_exact(&mut request).unwrap();
            peer.write_all(b"+PONG\r\n:1\r\n+half").unwrap();
            request
        });
        let endpoint = Endpoint::Tcp { host: "127.0.0.1".to_string(), port };
        let mut link =
            Connection::open(&endpoint, Some(Duration::from_secs(5)), AddressPreference::V4).unwrap();
        link.queue(&["PING"]);
        assert_eq!(link.receive().unwrap(), Reply::Status(b"PONG".to_vec()));
        assert_eq!(link.receive().unwrap(), Reply::Integer(1));
        assert!(matches!(link.receive(), Err(LinkError::Closed)));
        assert_eq!(&server.join().unwrap(), b"*1\r\n$4\r\nPING\r\n");
    }

    #[test]
    fn hanging_up_wakes_a_reader() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint =
            Endpoint::Tcp { host: "127.0.0.1".to_string(), port: listener.local_addr().unwrap().port() };
        let mut link = Connection::open(&endpoint, None, AddressPreference::V4).unwrap();
        let handle = link.hangup_handle().unwrap();
        let waker = std::thread::spawn(move || handle.hang_up());
        assert!(matches!(link.receive(), Err(LinkError::Closed)));
        waker.join().unwrap();
    }
}
