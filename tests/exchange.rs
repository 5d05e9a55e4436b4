//! Payloads between Ochre and a redis-server: what one writes the other reads, and holds the same data thereafter.
//!
//! The redis-server is the one that `OCHRE_REFERENCE` names, or the distribution's. Without one there is nothing to exchange
//! with, and the tests say so and pass. What is written for it has the version that 7.0 reads (`rdb-version 10`).

mod common;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{RawClient, TestServer, raw_client};
use tempfile::TempDir;

/// A redis-server.
struct Reference {
    child: Child,
    port: u16,
}

impl Reference {
    /// Starts one in this folder, whose `dump.rdb` it loads if there is one.
    fn start(dir: &Path) -> Option<Reference> {
        let path = std::env::var_os("OCHRE_REFERENCE").unwrap_or_else(|| "/usr/bin/redis-server".into());
        if !Path::new(&path).exists() {
            eprintln!("there is no redis-server to exchange with");
            return None;
        }
        let port = common::free_port();
        let child = Command::new(path)
            .args(["--port", &port.to_string(), "--save", "", "--enable-debug-command", "yes", "--dir"])
            .arg(dir)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let reference = Reference { child, port };
        let deadline = Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "the reference does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(reference)
    }

    fn client(&self) -> RawClient {
        raw_client(self.port)
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ask(c: &mut RawClient, line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let reply = c.ask(&words);
    assert!(!reply.starts_with('-'), "{line}: {reply}");
    reply
}

/// Values of all types in all encodings.
fn furnish(c: &mut RawClient) {
    let long = "x".repeat(100);
    let huge = "all_work_and_no_play_".repeat(4000);
    for line in [
        "SET int 12345",
        "SET negative -7",
        "SET short 300",
        "SET wide 12345678901",
        "SET text hello",
        "SET due later PXAT 99999999999999",
        "RPUSH list a b 3 -4 5000000000 -100000 40000",
        "SADD ints16 1 2 3",
        "SADD ints32 1 2 100000",
        "SADD ints64 1 2 5000000000",
        "SADD words a b c 1",
        "ZADD zset 1 a 2.5 b inf c -inf d 3 e",
        "HSET hash a 1 b two",
        "XADD stream 1-1 a 1 b 2",
        "XADD stream 1-2 a 3 b 4",
        "XADD stream 5-0 c x",
        "XGROUP CREATE stream g 0",
        "XREADGROUP GROUP g alice COUNT 2 STREAMS stream >",
        "XREADGROUP GROUP g bob STREAMS stream >",
        "XGROUP CREATECONSUMER stream g idle",
        "XDEL stream 1-2",
        "XGROUP CREATE stream h 1-1",
        "XADD gone 1-1 a b",
        "XDEL gone 1-1",
        "SELECT 3",
        "SET elsewhere 1",
        "SELECT 0",
    ] {
        ask(c, line);
    }
    ask(c, &format!("SET long {long}"));
    ask(c, &format!("SET huge {huge}"));
    for i in 0..600 {
        ask(c, &format!("RPUSH biglist {i} {long}{i}"));
        ask(c, &format!("SADD bigset m{i}"));
        ask(c, &format!("ZADD bigzset {}.25 m{i} {i} {i}", i % 7));
        ask(c, &format!("HSET bighash f{i} {i} {i} {long}"));
        ask(c, &format!("XADD bigstream {}-1 f {i} g {long}", i + 1));
    }
    ask(c, &format!("RPUSH biglist {huge} {long}{long}{long}"));
}

const KEYS: [&str; 24] = [
    "int",
    "negative",
    "short",
    "wide",
    "text",
    "due",
    "list",
    "ints16",
    "ints32",
    "ints64",
    "words",
    "zset",
    "hash",
    "stream",
    "gone",
    "long",
    "huge",
    "biglist",
    "bigset",
    "bigzset",
    "bighash",
    "bigstream",
    "nosuch",
    "elsewhere",
];

fn ochre(dir: &TempDir) -> TestServer {
    let dir = dir.path().to_str().unwrap();
    TestServer::start(&["--enable-debug-command", "yes", "--rdb-version", "10", "--dir", dir])
}

/// The payload of a key, as bytes; nothing if there is no such key.
fn dump(server: &mut redis::Connection, key: &str) -> Option<Vec<u8>> {
    redis::cmd("DUMP").arg(key).query(server).unwrap()
}

#[test]
fn payloads_go_both_ways() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let Some(reference) = Reference::start(dirs[0].path()) else { return };
    let server = ochre(&dirs[1]);
    furnish(&mut reference.client());
    let client = redis::Client::open(("127.0.0.1", reference.port)).unwrap();
    let mut theirs = client.get_connection().unwrap();
    let mut ours = server.client(false);
    for key in KEYS {
        let Some(payload) = dump(&mut theirs, key) else { continue };
        let () = redis::cmd("RESTORE").arg(key).arg(0).arg(payload).query(&mut ours).unwrap();
        let back = dump(&mut ours, key).unwrap();
        let copy = format!("{key}-copy");
        let () = redis::cmd("RESTORE").arg(&copy).arg(0).arg(back).query(&mut theirs).unwrap();
        let digest = |c: &mut redis::Connection, key: &str| -> Vec<String> {
            redis::cmd("DEBUG").arg("DIGEST-VALUE").arg(key).query(c).unwrap()
        };
        // What the digest covers besides the value is whether there is an expiry; none was restored.
        let () = redis::cmd("PERSIST").arg(key).query(&mut theirs).unwrap();
        assert_eq!(digest(&mut ours, key), digest(&mut theirs, key), "{key}");
        assert_eq!(digest(&mut theirs, &copy), digest(&mut theirs, key), "{key} and back");
    }
}
