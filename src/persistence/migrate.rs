//! MIGRATE: moves keys to another server, as one that DUMPs here, RESTOREs there and deletes here what has arrived.
//!
//! The server waits meanwhile, as upstream's does: a key must not change between its dump and its deletion. Every wait for the
//! other end is bounded by the command's timeout. All keys go out in one go, and their replies are read thereafter; each key
//! is deleted when, and only if, its own RESTORE was answered well.
//!
//! Connections are kept for a while ([`KEPT_S`]), because keys are rarely moved alone. One that was kept may have been closed
//! by the other end: as long as nothing was answered, the transfer is tried once more on a new one.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use crate::cmd_err;
use crate::db::LookupFlags;
use crate::db::notify::{NotifyFlags, notify_keyspace_event};
use crate::persistence::dump;
use crate::server::{Argv, Client, CmdError, CmdResult, Key, Server};

/// Connections kept at most.
const KEPT_MAX: usize = 64;
/// Seconds for which one is kept.
const KEPT_S: u64 = 10;
/// The timeout if none is given.
const DEFAULT_TIMEOUT_MS: i64 = 1000;
/// Longest line that is read as a reply.
const LINE_MAX: usize = 1024;

/// Connections to other servers, by host and port.
#[derive(Debug, Default)]
pub struct Connections {
    kept: HashMap<(Vec<u8>, Vec<u8>), Link>,
}

impl Connections {
    /// How many are kept.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Closes those that were not used for a while.
    pub fn close_idle(&mut self, now_s: u64) {
        self.kept.retain(|_, link| now_s.saturating_sub(link.used_s) <= KEPT_S);
    }

    /// Keeps one, in the place of any other if there are too many.
    fn keep(&mut self, target: &Target, link: Link) {
        if self.kept.len() >= KEPT_MAX
            && let Some(other) = self.kept.keys().next().cloned()
        {
            self.kept.remove(&other);
        }
        self.kept.insert(target.name(), link);
    }
}

/// A connection to another server.
#[derive(Debug)]
struct Link {
    stream: TcpStream,
    /// What was received and not read yet.
    received: Vec<u8>,
    /// The database selected there, if that is known.
    db: Option<i64>,
    /// When it was last used, as Unix time in seconds.
    used_s: u64,
}

impl Link {
    fn connect(target: &Target, now_s: u64) -> io::Result<Link> {
        let port = std::str::from_utf8(&target.port).ok().and_then(|port| port.parse::<u16>().ok());
        let (Some(port), Ok(host)) = (port, std::str::from_utf8(&target.host)) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in (host, port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, target.timeout) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(Link { stream, received: Vec::new(), db: None, used_s: now_s });
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Sends all, each piece of it within the timeout.
    fn send(&mut self, bytes: &[u8], timeout: Duration) -> io::Result<()> {
        self.stream.set_write_timeout(Some(timeout))?;
        self.stream.write_all(bytes)
    }

    /// Receives a line within the timeout; the line break is left out.
    fn line(&mut self, timeout: Duration) -> io::Result<Vec<u8>> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.received) {
                let mut line: Vec<u8> = self.received.drain(..=end).collect();
                line.truncate(end - usize::from(line[..end].ends_with(b"\r")));
                return Ok(line);
            }
            if self.received.len() > LINE_MAX {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.stream.set_read_timeout(Some(left))?;
            let mut piece = [0; LINE_MAX];
            match self.stream.read(&mut piece) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => self.received.extend_from_slice(&piece[..n]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Where keys go to.
struct Target {
    host: Vec<u8>,
    port: Vec<u8>,
    db: i64,
    timeout: Duration,
}

impl Target {
    fn name(&self) -> (Vec<u8>, Vec<u8>) {
        (self.host.clone(), self.port.clone())
    }
}

/// What a MIGRATE asks for.
struct Request {
    target: Target,
    copy: bool,
    replace: bool,
    /// User, if one is named, and password.
    login: Option<(Option<Vec<u8>>, Vec<u8>)>,
    /// Positions of the keys.
    keys: Vec<usize>,
}

impl Request {
    fn parse(argv: &Argv) -> Result<Request, CmdError> {
        let (mut copy, mut replace, mut login) = (false, false, None);
        let mut keys = vec![3];
        let mut i = 6;
        while i < argv.len() {
            let more = argv.len() - 1 - i;
            if argv.is(i, b"copy") {
                copy = true;
            } else if argv.is(i, b"replace") {
                replace = true;
            } else if argv.is(i, b"auth") && more >= 1 {
                login = Some((None, argv.get(i + 1).to_vec()));
                i += 1;
            } else if argv.is(i, b"auth2") && more >= 2 {
                login = Some((Some(argv.get(i + 1).to_vec()), argv.get(i + 2).to_vec()));
                i += 2;
            } else if argv.is(i, b"keys") {
                if !argv.get(3).is_empty() {
                    return Err(CmdError::text(
                        "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string",
                    ));
                }
                keys = (i + 1..argv.len()).collect();
                break;
            } else {
                return Err(CmdError::Syntax);
            }
            i += 1;
        }
        let (timeout_ms, db) = (argv.int(5)?, argv.int(4)?);
        let timeout_ms = if timeout_ms <= 0 { DEFAULT_TIMEOUT_MS } else { timeout_ms };
        let timeout = Duration::from_millis(timeout_ms as u64);
        let target = Target { host: argv.get(1).to_vec(), port: argv.get(2).to_vec(), db, timeout };
        Ok(Request { target, copy, replace, login, keys })
    }
}

/// Why a transfer came to nothing, or to an end too early.
enum Failure {
    /// No connection.
    Connect,
    /// The connection broke, or was too slow.
    Broken { writing: bool, again: bool },
    /// The value cannot be expressed, or the other end does not want it.
    Refused(CmdError),
}

/// `MIGRATE host port key|"" db timeout [COPY] [REPLACE] [AUTH password | AUTH2 user password] [KEYS key [key ...]]`
pub fn migrate(srv: &mut Server, c: &mut Client) -> CmdResult {
    let mut request = Request::parse(&c.argv)?;
    request.keys.retain(|&i| srv.lookup(c.db, c.argv.key(i), LookupFlags::NONE).is_some());
    if request.keys.is_empty() {
        c.out.simple("NOKEY");
        return Ok(());
    }
    let mut moved = Vec::new();
    let mut result = transfer(srv, c, &request, &mut moved);
    if let Err(Failure::Broken { again: true, .. }) = result {
        result = transfer(srv, c, &request, &mut moved);
    }
    if !moved.is_empty() {
        let mut args: Vec<&[u8]> = vec![b"DEL"];
        args.extend(moved.iter().map(|&i| c.argv.get(i)));
        srv.propagate_as(&args);
    }
    match result {
        Ok(()) => c.out.ok(),
        Err(Failure::Connect) => {
            return Err(CmdError::text("IOERR error or timeout connecting to the client"));
        }
        Err(Failure::Broken { writing, .. }) => {
            let doing = if writing { "writing" } else { "reading" };
            return Err(cmd_err!("IOERR error or timeout {doing} to target instance"));
        }
        Err(Failure::Refused(error)) => return Err(error),
    }
    Ok(())
}

/// Sends the keys, and deletes those that have arrived; their positions are added to `moved`.
fn transfer(srv: &mut Server, c: &Client, request: &Request, moved: &mut Vec<usize>) -> Result<(), Failure> {
    let now_s = srv.clock.unix_s();
    let kept = srv.persistence.migrate.kept.remove(&request.target.name());
    let mut link = match kept {
        Some(link) => Link { used_s: now_s, ..link },
        None => Link::connect(&request.target, now_s).map_err(|_| Failure::Connect)?,
    };
    let select = link.db != Some(request.target.db);
    let mut commands = preamble(request, select);
    let mut sent = Vec::new();
    for &i in &request.keys {
        if add_restore(srv, c.db, c.argv.key(i), request.replace, &mut commands)? {
            sent.push(i);
        }
    }
    let timeout = request.target.timeout;
    link.send(&commands, timeout).map_err(|error| broken(&error, true, true))?;
    let login = answer(&mut link, request.login.is_some(), timeout)?;
    let selected = answer(&mut link, select, timeout)?;
    let mut refusal = None;
    for (number, &i) in sent.iter().enumerate() {
        let own = match link.line(timeout) {
            Ok(line) => line,
            // What the other end has refused is told rather than that it then went away.
            Err(error) => return Err(refusal.unwrap_or_else(|| broken(&error, false, number == 0))),
        };
        let refused = [&login, &selected, &own].into_iter().find(|reply| reply.first() == Some(&b'-'));
        match refused {
            Some(reply) => refusal = refusal.or_else(|| Some(refused_by_target(reply))),
            None if request.copy => {}
            None => {
                delete_moved(srv, c.db, c.argv.key(i));
                moved.push(i);
            }
        }
    }
    link.db = refusal.is_none().then_some(request.target.db);
    srv.persistence.migrate.keep(&request.target, link);
    refusal.map_or(Ok(()), Err)
}

fn broken(error: &io::Error, writing: bool, nothing_answered: bool) -> Failure {
    let timed_out = matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock);
    Failure::Broken { writing, again: nothing_answered && !timed_out }
}

fn refused_by_target(reply: &[u8]) -> Failure {
    let text = [b"ERR Target instance replied with error: ", &reply[1..]].concat();
    Failure::Refused(CmdError::Bytes(text.into()))
}

/// The answer to a command of the preamble, if that was sent.
fn answer(link: &mut Link, sent: bool, timeout: Duration) -> Result<Vec<u8>, Failure> {
    if !sent {
        return Ok(Vec::new());
    }
    link.line(timeout).map_err(|error| broken(&error, false, true))
}

/// Adds a command to what will be sent.
fn add_command(out: &mut Vec<u8>, args: &[&[u8]]) {
    out.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
    for arg in args {
        out.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
}

/// The commands that log in and choose the database.
fn preamble(request: &Request, select: bool) -> Vec<u8> {
    let mut commands = Vec::new();
    match &request.login {
        None => {}
        Some((None, password)) => add_command(&mut commands, &[b"AUTH", password]),
        Some((Some(user), password)) => add_command(&mut commands, &[b"AUTH", user, password]),
    }
    if select {
        add_command(&mut commands, &[b"SELECT", request.target.db.to_string().as_bytes()]);
    }
    commands
}

/// Adds the command that restores a key; returns whether the key is still there.
fn add_restore(
    srv: &mut Server,
    db: usize,
    key: Key<'_>,
    replace: bool,
    commands: &mut Vec<u8>,
) -> Result<bool, Failure> {
    let flags = LookupFlags::NO_TOUCH | LookupFlags::NO_STATS | LookupFlags::NO_NOTIFY;
    let now_ms = srv.clock.unix_ms as i64;
    let Some(expiry) = srv.lookup(db, key, flags).map(|entry| entry.expiry()) else { return Ok(false) };
    let ttl_ms = expiry.map_or(0, |at_ms| (at_ms - now_ms).max(1)).to_string();
    let Some(payload) = dump::payload_of(srv, db, key, flags) else { return Ok(false) };
    let payload = payload.map_err(|forced| Failure::Refused(dump::cannot_hold(forced)))?;
    let mut args: Vec<&[u8]> = vec![b"RESTORE", key.bytes, ttl_ms.as_bytes(), &payload];
    if replace {
        args.push(b"REPLACE");
    }
    add_command(commands, &args);
    Ok(true)
}

fn delete_moved(srv: &mut Server, db: usize, key: Key<'_>) {
    srv.delete(db, key);
    srv.signal_modified(db, key.bytes, 1);
    notify_keyspace_event(srv, NotifyFlags::GENERIC, "del", key.bytes, db);
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;
    use crate::server::testing::Bench;

    /// A server that answers each connection's commands by these lines, and then closes it.
    fn target(conversations: Vec<&'static str>) -> (u16, thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = thread::spawn(move || {
            let mut heard = Vec::new();
            for lines in conversations {
                let (mut stream, _) = listener.accept().unwrap();
                let mut bytes = [0; 4096];
                let n = stream.read(&mut bytes).unwrap();
                heard.push(String::from_utf8_lossy(&bytes[..n]).into_owned());
                stream.write_all(lines.replace('|', "\r\n").as_bytes()).unwrap();
            }
            heard
        });
        (port, heard)
    }

    #[test]
    fn keys_that_arrived_are_deleted_and_passed_on_as_such() {
        let (port, heard) = target(vec!["+OK|+OK|-BUSYKEY taken|+OK|"]);
        let mut bench = Bench::new();
        bench.run("MSET a 1 b 2 c 3");
        bench.srv.propagation.sent.clear();
        let reply = bench.run(&format!("MIGRATE 127.0.0.1 {port}  9 5000 REPLACE KEYS a b nosuch c"));
        assert_eq!(reply, "-ERR Target instance replied with error: BUSYKEY taken\r\n");
        assert_eq!(bench.run("EXISTS a b c"), ":1\r\n");
        assert_eq!(bench.run("EXISTS b"), ":1\r\n");
        let sent: Vec<_> = bench.srv.propagation.sent.iter().map(|op| op.args.clone()).collect();
        assert_eq!(sent, [vec!["DEL", "a", "c"]]);
        let heard = heard.join().unwrap();
        assert!(
            heard[0].starts_with(
                "*2\r\n$6\r\nSELECT\r\n$1\r\n9\r\n*5\r\n$7\r\nRESTORE\r\n$1\r\na\r\n$1\r\n0\r\n"
            )
        );
        assert_eq!(bench.srv.persistence.migrate.len(), 1);
        bench.srv.persistence.migrate.close_idle(bench.srv.clock.unix_s() + KEPT_S + 1);
        assert!(bench.srv.persistence.migrate.is_empty());
    }

    #[test]
    fn a_kept_connection_that_was_closed_is_replaced() {
        let (port, heard) = target(vec!["+OK|+OK|", "+OK|+OK|+OK|"]);
        let mut bench = Bench::new();
        bench.run("MSET a 1 b 2");
        assert_eq!(bench.run(&format!("MIGRATE 127.0.0.1 {port} a 3 5000 COPY")), "+OK\r\n");
        assert_eq!(bench.run(&format!("MIGRATE 127.0.0.1 {port} b 3 5000 AUTH2 me secret")), "+OK\r\n");
        assert_eq!(bench.run("KEYS *"), "*1\r\n$1\r\na\r\n");
        let heard = heard.join().unwrap();
        assert!(
            heard[1].starts_with("*3\r\n$4\r\nAUTH\r\n$2\r\nme\r\n$6\r\nsecret\r\n*2\r\n$6\r\nSELECT\r\n")
        );
    }

    #[test]
    fn what_cannot_be_asked_for_is_refused() {
        let mut bench = Bench::new();
        bench.run("SET a 1");
        for (line, expected) in [
            ("MIGRATE h 1 nosuch 0 10", "+NOKEY"),
            ("MIGRATE h 1 a 0 x", "-ERR value is not an integer or out of range"),
            ("MIGRATE h 1 a 0 10 AUTH", "-ERR syntax error"),
            ("MIGRATE h 1 a 0 10 AUTH2 x", "-ERR syntax error"),
            (
                "MIGRATE h 1 a 0 10 KEYS a",
                "-ERR When using MIGRATE KEYS option, the key argument must be set to the empty string",
            ),
            ("MIGRATE 127.0.0.1 1 a 0 100", "-IOERR error or timeout connecting to the client"),
        ] {
            assert_eq!(bench.run(line).trim_end(), expected);
        }
    }
}
