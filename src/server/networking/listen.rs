//! Listening sockets and new connections.

use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

use mio::Token;
use nix::errno::Errno;

use crate::io::anet::{Accepted, Listener};
use crate::io::connection::{Connection, Kind};
use crate::server::Server;
use crate::server::client::ClientId;

use super::{TOKEN_INTERNAL, create_client, free_client};

/// Opens every listening socket that the configuration asks for.
///
/// # Errors
/// What to log: the address and the reason.
pub fn listen_all(srv: &mut Server) -> Result<(), String> {
    let listeners = open_tcp(srv)?;
    let mut all = listeners;
    if let Some(path) = srv.config.unixsocket.clone() {
        all.push(open_unix(srv, &path)?);
    }
    install(srv, all).map_err(|e| e.to_string())
}

/// Closes every listening socket: whoever connects from now on is refused, not met by a server that leaves.
pub fn stop_listening(srv: &mut Server) {
    for listener in std::mem::take(&mut srv.net.listeners) {
        srv.el.remove(listener.as_raw_fd());
    }
}

/// Opens the TCP sockets anew after `port` or `bind` changed; the old ones stay if that fails.
pub fn relisten(srv: &mut Server) -> Result<(), String> {
    let old: Vec<Listener> = std::mem::take(&mut srv.net.listeners);
    let (keep, tcp): (Vec<_>, Vec<_>) = old.into_iter().partition(|l| l.kind() == Kind::Unix);
    for listener in keep.iter().chain(&tcp) {
        srv.el.remove(listener.as_raw_fd());
    }
    // An address that stays can be bound again only once it is free.
    let before: Vec<Listener> = tcp;
    drop(before);
    let opened = open_tcp(srv);
    let (result, tcp) = match opened {
        Ok(tcp) => (Ok(()), tcp),
        Err(e) => (Err(e), Vec::new()),
    };
    let all = tcp.into_iter().chain(keep).collect();
    install(srv, all).map_err(|e| e.to_string())?;
    result
}

fn install(srv: &mut Server, listeners: Vec<Listener>) -> io::Result<()> {
    for (i, listener) in listeners.iter().enumerate() {
        srv.el.add_readable(listener.as_raw_fd(), Token(TOKEN_INTERNAL | i))?;
    }
    srv.net.listeners = listeners;
    Ok(())
}

fn open_tcp(srv: &Server) -> Result<Vec<Listener>, String> {
    let port = srv.config.port;
    if port == 0 {
        return Ok(Vec::new());
    }
    let mut listeners = Vec::new();
    for entry in &srv.config.bind {
        let (optional, host) = match entry.strip_prefix('-') {
            Some(host) => (true, host),
            None => (false, entry.as_str()),
        };
        let mark = srv.config.socket_mark_id;
        match Listener::tcp(host, port, srv.config.tcp_backlog as i32, mark) {
            Ok(listener) => listeners.push(listener),
            Err(e) if optional && is_missing_address(&e) => {}
            Err(e) if is_missing_protocol(&e) => {
                log::warn!("Could not create server TCP listening socket {host}:{port}: {}", reason(&e));
            }
            Err(e) => {
                log::warn!(
                    "Warning: Could not create server TCP listening socket {host}:{port}: bind: {}",
                    reason(&e)
                );
                return Err(reason(&e));
            }
        }
    }
    if listeners.is_empty() && !srv.config.bind.is_empty() {
        return Err("no address to listen on".to_string());
    }
    Ok(listeners)
}

fn open_unix(srv: &Server, path: &Path) -> Result<Listener, String> {
    // A stale file of an earlier run would be in the way.
    let _ = std::fs::remove_file(path);
    Listener::unix(path, srv.config.unixsocketperm, srv.config.tcp_backlog as i32).map_err(|e| {
        log::warn!("Failed opening Unix socket: bind: {}", reason(&e));
        reason(&e)
    })
}

/// The system's words for an error, without the number Rust adds.
fn reason(e: &io::Error) -> String {
    e.raw_os_error().map_or_else(|| e.to_string(), |code| Errno::from_raw(code).desc().to_string())
}

fn is_missing_protocol(e: &io::Error) -> bool {
    const CODES: [Errno; 5] = [
        Errno::ENOPROTOOPT,
        Errno::EPROTONOSUPPORT,
        Errno::ESOCKTNOSUPPORT,
        Errno::EPFNOSUPPORT,
        Errno::EAFNOSUPPORT,
    ];
    e.raw_os_error().is_some_and(|code| CODES.contains(&Errno::from_raw(code)))
}

fn is_missing_address(e: &io::Error) -> bool {
    e.raw_os_error() == Some(Errno::EADDRNOTAVAIL as i32)
        || e.kind() == io::ErrorKind::AddrNotAvailable
        || is_missing_protocol(e)
}

/// Accepts the connections that wait on listener `index`, a bounded number of them; `true` when more may wait.
pub fn accept(srv: &mut Server, index: usize) -> bool {
    let max = srv.config.max_new_connections_per_cycle.max(1) as usize;
    for _ in 0..max {
        let Some(listener) = srv.net.listeners.get(index) else { return false };
        match listener.accept() {
            Accepted::Connection(conn) => welcome(srv, conn),
            Accepted::None => return false,
            Accepted::Failed(e) => {
                log::warn!("Accepting client connection: {}", e.desc());
                return false;
            }
        }
    }
    true
}

fn welcome(srv: &mut Server, conn: Connection) {
    if srv.clients.len() >= srv.config.maxclients as usize {
        // No error matters here: the connection is dropped either way.
        let _ = conn.write(b"-ERR max number of clients reached\r\n");
        srv.stats.rejected_connections += 1;
        return;
    }
    match create_client(srv, conn) {
        Ok(id) => {
            srv.stats.connections_received += 1;
            refuse_strangers(srv, id);
            if let Some(c) = srv.clients.get_mut(id) {
                log::debug!("Accepted {}", c.info.addr);
            }
        }
        Err(e) => log::warn!("Error registering fd event for the new client connection: {e}"),
    }
}

/// In protected mode, without a password, only this machine may connect.
fn refuse_strangers(srv: &mut Server, id: ClientId) {
    if !srv.config.protected_mode || srv.config.requirepass.is_some() {
        return;
    }
    let Some(c) = srv.clients.get(id) else { return };
    let Some(conn) = c.conn.as_ref() else { return };
    let addr = &c.info.addr;
    let local = conn.kind() == Kind::Unix || addr.starts_with("127.") || addr.starts_with("[::1]");
    if local {
        return;
    }
    let _ = conn.write(PROTECTED_MODE_ERROR.as_bytes());
    srv.stats.rejected_connections += 1;
    free_client(srv, id);
}

/// What a client from elsewhere is told in protected mode.
const PROTECTED_MODE_ERROR: &str = concat!(
    "-DENIED Redis is running in protected mode because protected mode is enabled and no password is set ",
    "for the default user. In this mode connections are only accepted from the loopback interface. If ",
    "you want to connect from external computers to Redis you may adopt one of the following solutions: ",
    "1) Just disable protected mode sending the command 'CONFIG SET protected-mode no' from the loopback ",
    "interface by connecting to Redis from the same host the server is running, however MAKE SURE Redis ",
    "is not publicly accessible from internet if you do so. Use CONFIG REWRITE to make this change ",
    "permanent. 2) Alternatively you can just disable the protected mode by editing the Redis ",
    "configuration file, and setting the protected mode option to 'no', and then restarting the server. ",
    "3) If you started the server manually just for testing, restart it with the '--protected-mode no' ",
    "option. 4) Setup a an authentication password for the default user. NOTE: You only need to do one ",
    "of the above things in order for the server to start accepting connections from the outside.\r\n",
);
