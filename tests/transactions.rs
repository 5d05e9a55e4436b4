//! Transactions and watched keys, through the wire.

mod common;

use std::time::Duration;

use common::{RawClient, TestServer};

/// Runs `command -> reply` lines; the reply is what stands in its lines, parted by blanks.
fn talk(c: &mut RawClient, text: &str) {
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty()) {
        let (command, expected) = line.split_once(" -> ").unwrap();
        c.command(&command.split(' ').collect::<Vec<_>>());
        let lines = expected.matches(" | ").count() + 1;
        let got: Vec<String> = (0..lines).map(|_| c.line()).collect();
        assert_eq!(got.join(" | "), expected, "{command}");
    }
}

#[test]
fn commands_are_queued_and_run_together() {
    let server = TestServer::start(&[]);
    let mut c = server.raw();
    talk(
        &mut c,
        "EXEC -> -ERR EXEC without MULTI
         DISCARD -> -ERR DISCARD without MULTI
         MULTI -> +OK
         MULTI -> -ERR MULTI calls can not be nested
         WATCH a -> -ERR WATCH inside MULTI is not allowed
         SET a 1 -> +QUEUED
         INCR a -> +QUEUED
         PING -> +QUEUED
         EXEC -> *3 | +OK | :2 | +PONG
         GET a -> $1 | 2
         MULTI -> +OK
         EXEC -> *0
         MULTI -> +OK
         SET a 9 -> +QUEUED
         DISCARD -> +OK
         GET a -> $1 | 2
         MULTI -> +OK
         SELECT 5 -> +QUEUED
         SET a five -> +QUEUED
         EXEC -> *2 | +OK | +OK
         GET a -> $4 | five
         SELECT 0 -> +OK
         MULTI -> +OK
         RESET -> +RESET
         EXEC -> -ERR EXEC without MULTI",
    );
}

#[test]
fn errors_when_queued_spoil_a_transaction_and_errors_when_run_do_not() {
    let server = TestServer::start(&[]);
    let mut c = server.raw();
    talk(
        &mut c,
        "MULTI -> +OK
         SET a 1 -> +QUEUED
         GET -> -ERR wrong number of arguments for 'get' command
         SET a 2 -> +QUEUED
         EXEC -> -EXECABORT Transaction discarded because of previous errors.
         EXISTS a -> :0
         MULTI -> +OK
         SET a 1 -> +QUEUED
         EXEC now -> -EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command
         EXEC -> -ERR EXEC without MULTI
         MULTI -> +OK
         SET a word -> +QUEUED
         INCR a -> +QUEUED
         SET b 1 -> +QUEUED
         EXEC -> *3 | +OK | -ERR value is not an integer or out of range | +OK
         GET b -> $1 | 1",
    );
}

#[test]
fn watched_keys_that_change_stop_a_transaction() {
    let server = TestServer::start(&["--enable-debug-command", "yes"]);
    let (mut c, mut other) = (server.raw(), server.raw());
    // Each of these changes the watched key `k`, which holds 1.
    for change in [
        "SET k 1",
        "DEL k",
        "EXPIRE k 100",
        "APPEND k 2",
        "RENAME k l",
        "FLUSHDB",
        "FLUSHALL",
        "SWAPDB 0 1",
        "MOVE k 7",
    ] {
        talk(&mut c, "FLUSHALL -> +OK\nSET k 1 -> +OK\nWATCH k nothing -> +OK");
        other.ask(&change.split(' ').collect::<Vec<_>>());
        talk(
            &mut c,
            "MULTI -> +OK\nPING -> +QUEUED\nEXEC -> *-1\nMULTI -> +OK\nPING -> +QUEUED\nEXEC -> *1 | +PONG",
        );
    }
    // And these do not.
    for change in ["GET k", "SET other 1", "DEL other", "UNLINK other", "EXPIRE other 1", "SWAPDB 4 5"] {
        talk(&mut c, "FLUSHALL -> +OK\nSET k 1 -> +OK\nWATCH k nothing -> +OK");
        other.ask(&change.split(' ').collect::<Vec<_>>());
        talk(&mut c, "MULTI -> +OK\nPING -> +QUEUED\nEXEC -> *1 | +PONG");
    }
    // One's own changes count, and UNWATCH, DISCARD and EXEC forget.
    talk(
        &mut c,
        "WATCH k -> +OK
         SET k 2 -> +OK
         MULTI -> +OK
         EXEC -> *-1
         WATCH k -> +OK
         SET k 3 -> +OK
         UNWATCH -> +OK
         MULTI -> +OK
         EXEC -> *0
         WATCH k -> +OK
         MULTI -> +OK
         DISCARD -> +OK
         SET k 4 -> +OK
         MULTI -> +OK
         EXEC -> *0",
    );
}

#[test]
fn watched_keys_that_expire_stop_a_transaction() {
    let server = TestServer::start(&["--enable-debug-command", "yes"]);
    let mut c = server.raw();
    talk(&mut c, "DEBUG SET-ACTIVE-EXPIRE 0 -> +OK\nSET k 1 PX 500 -> +OK\nWATCH k -> +OK");
    std::thread::sleep(Duration::from_millis(520));
    talk(&mut c, "MULTI -> +OK\nPING -> +QUEUED\nEXEC -> *-1");
    // What had expired when it was watched is gone already.
    talk(&mut c, "SET k 1 PX 20 -> +OK");
    std::thread::sleep(Duration::from_millis(40));
    talk(&mut c, "WATCH k -> +OK\nGET k -> $-1\nMULTI -> +OK\nPING -> +QUEUED\nEXEC -> *1 | +PONG");
}

#[test]
fn replies_of_a_transaction_are_dropped_as_one() {
    let server = TestServer::start(&[]);
    let mut c = server.raw();
    talk(&mut c, "MULTI -> +OK\nSET a 1 -> +QUEUED\nSET b 2 -> +QUEUED");
    c.command(&["CLIENT", "REPLY", "OFF"]);
    assert_eq!(c.line(), "+QUEUED");
    c.command(&["EXEC"]);
    c.command(&["CLIENT", "REPLY", "ON"]);
    assert_eq!(c.line(), "+OK");
    assert_eq!(c.ask(&["GET", "b"]), "2");
}

#[test]
fn clients_show_their_transactions() {
    let server = TestServer::start(&[]);
    let mut c = server.raw();
    talk(&mut c, "WATCH a b c -> +OK\nMULTI -> +OK\nPING -> +QUEUED\nPING -> +QUEUED");
    let list = server.raw().ask(&["CLIENT", "LIST"]);
    assert!(list.contains(" flags=x ") && list.contains(" multi=2 watch=3 "), "{list}");
    assert_eq!((server.info("watching_clients"), server.info("total_watched_keys")), (1.0, 3.0));
    drop(c);
    common::wait_for("the client to be forgotten", || server.info("watching_clients") == 0.0);
    assert_eq!(server.info("total_watched_keys"), 0.0);
}
