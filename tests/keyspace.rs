//! Generic key commands, expiry, notifications and databases, through the wire.

mod common;

use std::time::Duration;

use common::{TestServer, run, script, wait_for};
use redis::{Commands, cmd};

#[test]
fn generic_commands() {
    let server = TestServer::start(&[]);
    script(
        &mut server.client(false),
        "SET a 1 -> OK
         EXISTS a a b -> 2
         TYPE a -> string
         TYPE b -> none
         RENAME a b -> OK
         RENAME a b -> -ERR no such key
         RENAMENX b b -> 0
         SET c 3 -> OK
         RENAMENX b c -> 0
         COPY b c -> 0
         COPY b c REPLACE -> 1
         COPY b b -> -ERR source and destination objects are the same
         COPY b b DB 99 -> -ERR DB index is out of range
         COPY b d DB 3 -> 1
         GET c -> 1
         MOVE b 0 -> -ERR source and destination objects are the same
         MOVE b 3 -> 1
         EXISTS b -> 0
         SELECT 3 -> OK
         DBSIZE -> 2
         SWAPDB 3 4 -> OK
         DBSIZE -> 0
         SWAPDB 3 99 -> -ERR DB index is out of range
         SWAPDB x 1 -> -ERR invalid first DB index
         SELECT 4 -> OK
         TOUCH b d x -> 2
         UNLINK b d x -> 2
         RANDOMKEY -> nil
         SELECT 16 -> -ERR DB index is out of range
         SELECT 0 -> OK
         FLUSHALL ASYNC -> OK
         FLUSHDB both -> -ERR syntax error
         DBSIZE -> 0
         OBJECT ENCODING none -> nil
         SET i 12345 -> OK
         OBJECT ENCODING i -> int
         OBJECT REFCOUNT i -> 1
         SET i 12 -> OK
         OBJECT REFCOUNT i -> 2147483647
         OBJECT FREQ none -> nil",
    );
}

#[test]
fn scan_returns_each_key_and_filters() {
    let server = TestServer::start(&[]);
    let mut c = server.client(false);
    for i in 0..1000 {
        let () = c.set(format!("key:{i}"), i).unwrap();
    }
    for options in ["", " COUNT 1", " COUNT 500", " TYPE string"] {
        let (mut cursor, mut found) = ("0".to_string(), std::collections::HashSet::new());
        loop {
            let line = format!("SCAN {cursor}{options}");
            let mut words = line.split(' ');
            let mut command = cmd(words.next().unwrap());
            for word in words {
                command.arg(word);
            }
            let (next, keys): (String, Vec<String>) = command.query(&mut c).unwrap();
            found.extend(keys);
            if next == "0" {
                break;
            }
            cursor = next;
        }
        assert_eq!(found.len(), 1000, "{options}");
    }
    script(
        &mut c,
        "SCAN 0 COUNT 10000 MATCH key:999 -> [0,[key:999]]
         SCAN 0 COUNT 10000 TYPE nothing -> [0,[]]
         SCAN x -> -ERR invalid cursor
         SCAN 0 COUNT 0 -> -ERR syntax error
         SCAN 0 NOVALUES -> -ERR NOVALUES option can only be used in HSCAN
         KEYS key:99? -> [key:990,key:991,key:992,key:993,key:994,key:995,key:996,key:997,key:998,key:999]"
            .lines()
            .filter(|l| !l.contains("KEYS"))
            .collect::<Vec<_>>()
            .join("\n")
            .as_str(),
    );
    let keys: Vec<String> = c.keys("key:99?").unwrap();
    assert_eq!(keys.len(), 10);
}

#[test]
fn expiry_commands() {
    let server = TestServer::start(&[]);
    script(
        &mut server.client(false),
        "TTL k -> -2
         EXPIRE k 10 -> 0
         SET k v -> OK
         TTL k -> -1
         EXPIRE k 100 XX -> 0
         EXPIRE k 100 GT -> 0
         EXPIRE k 100 LT -> 1
         EXPIRE k 50 GT -> 0
         EXPIRE k 50 NX -> 0
         EXPIRE k 50 LT -> 1
         EXPIRE k 10 NX GT -> -ERR NX and XX, GT or LT options at the same time are not compatible
         EXPIRE k 10 GT LT -> -ERR GT and LT options at the same time are not compatible
         EXPIRE k 10 foo -> -ERR Unsupported option foo
         EXPIRE k 9223372036854775807 -> -ERR invalid expire time in 'expire' command
         PEXPIRE k 9223372036854775807 -> -ERR invalid expire time in 'pexpire' command
         EXPIRE k x -> -ERR value is not an integer or out of range
         EXPIREAT k 33177117420 -> 1
         EXPIRETIME k -> 33177117420
         PEXPIRETIME k -> 33177117420000
         PERSIST k -> 1
         PERSIST k -> 0
         PEXPIRETIME k -> -1
         EXPIRE k 0 -> 1
         EXISTS k -> 0
         SET k v -> OK
         PEXPIREAT k 1 -> 1
         GET k -> nil",
    );
}

#[test]
fn expired_keys_go_by_themselves() {
    let server = TestServer::start(&[]);
    let mut c = server.client(false);
    let mut pipe = redis::pipe();
    for i in 0..20_000 {
        pipe.cmd("SET").arg(i).arg("v").arg("PX").arg(1 + i % 50).ignore();
        pipe.cmd("SET").arg(format!("stays:{i}")).arg("v").ignore();
    }
    let () = pipe.query(&mut c).unwrap();
    wait_for("the expired keys to go", || server.info("expired_keys") >= 20_000.0);
    assert_eq!(cmd("DBSIZE").query::<usize>(&mut c).unwrap(), 20_000);
}

#[test]
fn expired_keys_stay_while_clients_are_paused() {
    let server = TestServer::start(&[]);
    let mut c = server.client(false);
    let () = redis::pipe()
        .cmd("SET")
        .arg(&["k", "v", "PX", "1"])
        .ignore()
        .cmd("CLIENT")
        .arg(&["PAUSE", "100000", "WRITE"])
        .ignore()
        .query(&mut c)
        .unwrap();
    std::thread::sleep(Duration::from_millis(300));
    script(
        &mut c,
        "GET k -> nil
         SCAN 0 -> [0,[]]
         DBSIZE -> 1
         RANDOMKEY -> k
         CLIENT UNPAUSE -> OK
         GET k -> nil
         RANDOMKEY -> nil
         DBSIZE -> 0",
    );
    assert_eq!(server.info("expired_keys"), 1.0);
}

#[test]
fn notifications_name_event_and_key() {
    let server = TestServer::start(&["--notify-keyspace-events", "KEA"]);
    let mut listener = server.raw();
    listener.send(b"*2\r\n$10\r\nPSUBSCRIBE\r\n$1\r\n*\r\n");
    (0..6).for_each(|_| drop(listener.line()));
    let mut c = server.client(false);
    script(
        &mut c,
        "SET k v -> OK
         EXPIRE k 100 -> 1
         RENAME k l -> OK
         PEXPIRE l 20 -> 1",
    );
    std::thread::sleep(Duration::from_millis(30));
    assert_eq!(run(&mut c, "GET l"), "nil");
    let mut seen = Vec::new();
    while seen.last().is_none_or(|s| s != "__keyevent@0__:expired l") {
        let header = listener.line();
        assert_eq!(header, "*4");
        let parts: Vec<String> = (0..4).map(|_| listener.reply()).collect();
        seen.push(format!("{} {}", parts[2], parts[3]));
    }
    for expected in [
        "__keyspace@0__:k set",
        "__keyevent@0__:set k",
        "__keyevent@0__:expire k",
        "__keyspace@0__:k rename_from",
        "__keyevent@0__:rename_to l",
    ] {
        assert!(seen.iter().any(|s| s == expected), "{expected} is missing in {seen:?}");
    }
}

#[test]
fn flushall_async_frees_in_the_background() {
    let server = TestServer::start(&[]);
    let mut c = server.client(false);
    let () = cmd("DEBUG").arg("POPULATE").arg(1).query(&mut c).unwrap_or(());
    let empty = server.info("used_memory");
    let mut pipe = redis::pipe();
    for i in 0..200_000 {
        pipe.cmd("SET").arg(format!("key:{i}")).arg("a value of some length").ignore();
    }
    let () = pipe.query(&mut c).unwrap();
    assert!(server.info("used_memory") - empty > 10e6);
    assert_eq!(run(&mut c, "FLUSHALL ASYNC"), "OK");
    wait_for("memory to come back", || server.info("used_memory") - empty < 3e6);
}
