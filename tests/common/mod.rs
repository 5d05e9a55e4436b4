//! A server for one test: started on a free port, killed when dropped.
#![allow(dead_code)] // each test binary uses its own part of this module

pub mod dataset;
pub mod disk;
pub mod node;
pub mod programs;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, setsockopt, socket, sockopt};
use redis::{Connection, RedisResult, cmd};

/// Time that anything on this machine may take before a test calls it hung.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running server.
pub struct TestServer {
    child: Child,
    /// Its TCP port.
    pub port: u16,
    /// Its working directory, removed at the end.
    pub dir: tempfile::TempDir,
}

/// A port that nobody listens on, and that this test program has not given out before.
///
/// It lies below those the kernel hands out to clients (from 32,768 on; sandboxes that bring a network of their own begin
/// at 16,000), so that none of them takes it while a server restarts, and below those of upstream's suite, which may run
/// beside.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let offset =
            (std::process::id() as u16).wrapping_mul(211).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = 8_000 + offset % 4_000;
        if can_bind(port) {
            return port;
        }
    }
}

/// Whether a server could listen on this port.
///
/// The socket that tries it never listens. A child that another test starts meanwhile has a copy of it until it runs its
/// own program, and nothing must be able to connect to that copy: whoever waits for the server would take it for one.
fn can_bind(port: u16) -> bool {
    let probe = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    // As servers do, so that neither connections that have ended nor such a copy keep the port from them.
    setsockopt(&probe, sockopt::ReuseAddr, &true).unwrap();
    bind(probe.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))).is_ok()
}

impl TestServer {
    /// Starts the server with these arguments besides port and directory.
    pub fn start(args: &[&str]) -> TestServer {
        TestServer::start_with(None, args)
    }

    /// Starts the server as [`TestServer::start`] does, with `redis.conf` in its directory, which holds `config`.
    pub fn start_with_file(config: &str, args: &[&str]) -> TestServer {
        TestServer::start_with(Some(config), args)
    }

    fn start_with(config: Option<&str>, args: &[&str]) -> TestServer {
        for _ in 0..5 {
            let port = free_port();
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("redis.conf");
            if let Some(config) = config {
                std::fs::write(&file, config).unwrap();
            }
            let mut child = Command::new(env!("CARGO_BIN_EXE_redis-server"))
                .args(config.map(|_| &file))
                .args(["--port", &port.to_string(), "--dir", dir.path().to_str().unwrap()])
                .args(["--logfile", dir.path().join("log").to_str().unwrap()])
                .args(args)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let begun = Instant::now();
            while begun.elapsed() < PATIENCE {
                if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                    return TestServer { child, port, dir };
                }
                if child.try_wait().unwrap().is_some() {
                    break; // somebody else took the port
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        panic!("the server does not start");
    }

    /// A connection that speaks raw bytes.
    pub fn raw(&self) -> RawClient {
        raw_client(self.port)
    }

    /// A connection of the client library; `resp3` chooses the protocol.
    pub fn client(&self, resp3: bool) -> redis::Connection {
        let url = format!("redis://127.0.0.1:{}/{}", self.port, if resp3 { "?protocol=resp3" } else { "" });
        redis::Client::open(url).unwrap().get_connection().unwrap()
    }

    /// A number that INFO shows.
    pub fn info(&self, field: &str) -> f64 {
        let text = self.raw().ask(&["INFO", "everything"]);
        let line = text.lines().find_map(|l| l.strip_prefix(field)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("no {field} in INFO")).trim().parse().unwrap()
    }

    /// Processor time that the server has taken: unlike the clock's, it does not depend on what else the machine does.
    pub fn cpu_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // Behind the program's name, which ends with the last parenthesis, fields 12 and 13 are ticks in user mode and
        // in the kernel.
        let fields = stat.rsplit(')').next().unwrap().split_whitespace();
        let ticks: u64 = fields.skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
        Duration::from_millis(10 * ticks)
    }

    /// Resident memory in bytes.
    pub fn resident(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What was logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    /// Waits for the process to end, and returns its exit code (`None` for a signal).
    pub fn wait(&mut self) -> Option<i32> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the server does not end");
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection to a server on this machine that speaks raw bytes.
pub fn raw_client(port: u16) -> RawClient {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    RawClient { reader: BufReader::new(stream.try_clone().unwrap()), stream }
}

/// A connection that sends and receives bytes as they are.
pub struct RawClient {
    /// To write to.
    pub stream: TcpStream,
    /// To read from.
    pub reader: BufReader<TcpStream>,
}

impl RawClient {
    /// Sends bytes.
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends bytes to a server that may have closed the connection already.
    pub fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Sends a command as a multibulk.
    pub fn command(&mut self, args: &[&str]) {
        let mut bytes = format!("*{}\r\n", args.len());
        for arg in args {
            bytes.push_str(&format!("${}\r\n{arg}\r\n", arg.len()));
        }
        self.send(bytes.as_bytes());
    }

    /// One line, without its end; empty when the connection is closed.
    pub fn line(&mut self) -> String {
        let mut line = Vec::new();
        // A reset instead of an orderly end is an end as well.
        let _ = self.reader.read_until(b'\n', &mut line);
        String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_string()
    }

    /// A reply that is one line or one bulk string.
    pub fn reply(&mut self) -> String {
        let line = self.line();
        let Some(len) = line.strip_prefix('$').or(line.strip_prefix('=')) else { return line };
        let Ok(len) = len.parse::<usize>() else { return line };
        let mut body = vec![0; len + 2];
        self.reader.read_exact(&mut body).unwrap();
        String::from_utf8_lossy(&body[..len]).into_owned()
    }

    /// Sends a command and returns its reply.
    pub fn ask(&mut self, args: &[&str]) -> String {
        self.command(args);
        self.reply()
    }

    /// Whether the server closes the connection; what it sent before is skipped.
    pub fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        match self.reader.read_to_end(&mut rest) {
            Ok(_) => true,
            Err(e) => e.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

/// Waits until `done`, for as long as [`PATIENCE`].
pub fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Runs a command of words without blanks, and returns its reply as text: `nil`, `-` and an error, `[a,b]`.
pub fn run(c: &mut Connection, line: &str) -> String {
    run_words(c, &line.split(' ').collect::<Vec<_>>())
}

/// As [`run`], for words that may have blanks.
pub fn run_words(c: &mut Connection, words: &[&str]) -> String {
    let mut command = cmd(words[0]);
    command.arg(&words[1..]);
    let reply: RedisResult<redis::Value> = command.query(c);
    match reply {
        Ok(value) => show(&value),
        Err(e) => format!("-{} {}", e.code().unwrap_or("ERR"), e.detail().unwrap_or_default()),
    }
}

fn show(value: &redis::Value) -> String {
    match value {
        redis::Value::Nil => "nil".into(),
        redis::Value::Int(n) => n.to_string(),
        redis::Value::BulkString(b) => String::from_utf8_lossy(b).into_owned(),
        redis::Value::SimpleString(s) => s.clone(),
        redis::Value::Okay => "OK".into(),
        redis::Value::Array(items) => {
            let items: Vec<String> = items.iter().map(show).collect();
            format!("[{}]", items.join(","))
        }
        other => format!("{other:?}"),
    }
}

/// Runs `command -> reply` lines.
pub fn script(c: &mut Connection, text: &str) {
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty()) {
        let (command, expected) = line.split_once(" -> ").unwrap();
        assert_eq!(run(c, command), expected, "{command}");
    }
}
