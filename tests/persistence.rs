//! The dataset on disk: files that are written and loaded, by whom and when, and what is left when something goes wrong.

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use common::disk::SmallDisk;
use common::{RawClient, TestServer, wait_for};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::Rng;

/// Starts a server that works in `dir`, with whatever file is there.
fn start_in(dir: &Path, args: &[&str]) -> TestServer {
    let dir = dir.to_str().unwrap();
    TestServer::start(
        &[&["--dir", dir, "--enable-debug-command", "yes", "--enable-protected-configs", "yes"], args]
            .concat(),
    )
}

fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid as i32), signal).unwrap();
}

/// The child of a server that saves; there must be one.
fn child_of(server: &TestServer) -> u32 {
    let path = format!("/proc/{0}/task/{0}/children", server.pid());
    wait_for("a child", || !fs::read_to_string(&path).unwrap().trim().is_empty());
    fs::read_to_string(&path).unwrap().split_whitespace().next().unwrap().parse().unwrap()
}

fn info_text(c: &mut RawClient, field: &str) -> String {
    let text = c.ask(&["INFO", "persistence"]);
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':').map(str::to_owned));
    line.unwrap_or_else(|| panic!("no {field} in INFO")).trim().to_owned()
}

fn wait_for_child_to_end(c: &mut RawClient) {
    wait_for("the end of the child", || info_text(c, "rdb_bgsave_in_progress") == "0");
}

fn temp_files(dir: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("temp-")).collect()
}

#[test]
fn what_was_saved_is_there_after_a_restart() {
    for (save, expected) in [(&["SAVE"][..], "OK"), (&["BGSAVE"], "Background saving started")] {
        let dir = tempfile::tempdir().unwrap();
        let server = start_in(dir.path(), &["--save", ""]);
        let mut c = server.raw();
        c.ask(&["FLUSHALL"]);
        for line in
            ["SET s v", "RPUSH l a b c", "SADD set x y", "HSET h f v", "ZADD z 1.5 m", "XADD x 1-1 f v"]
        {
            c.ask(&line.split(' ').collect::<Vec<_>>());
        }
        c.ask(&["SET", "volatile", "v", "PX", "10000000"]);
        let digest = c.ask(&["DEBUG", "DIGEST"]);
        assert_eq!(info_text(&mut c, "rdb_changes_since_last_save"), "10");
        let before: u64 = c.ask(&["LASTSAVE"])[1..].parse().unwrap();
        assert!(c.ask(save).ends_with(expected));
        wait_for_child_to_end(&mut c);
        assert_eq!(info_text(&mut c, "rdb_changes_since_last_save"), "0");
        assert_eq!(info_text(&mut c, "rdb_last_bgsave_status"), "ok");
        assert!(c.ask(&["LASTSAVE"])[1..].parse::<u64>().unwrap() >= before);
        drop(server);

        let server = start_in(dir.path(), &["--save", ""]);
        assert_eq!(server.raw().ask(&["DEBUG", "DIGEST"]), digest);
        assert!(server.log().contains("DB loaded from disk: "), "{}", server.log());
        assert_eq!(server.info("rdb_last_load_keys_loaded"), 7.0);
        assert_eq!(temp_files(dir.path()), Vec::<PathBuf>::new());
    }
}

#[test]
fn a_save_point_that_is_reached_saves() {
    let server = TestServer::start(&["--save", "1 2"]);
    let mut c = server.raw();
    let file = server.dir.path().join("dump.rdb");
    c.ask(&["SET", "a", "1"]);
    std::thread::sleep(Duration::from_millis(2500));
    assert!(!file.exists(), "one change is not two");
    c.ask(&["SET", "a", "2"]);
    wait_for("the file", || file.exists());
    wait_for_child_to_end(&mut c);
    assert_eq!(info_text(&mut c, "rdb_changes_since_last_save"), "0");
    assert!(server.log().contains("2 changes in 1 seconds. Saving..."), "{}", server.log());
}

/// How a server is asked to end.
#[derive(Debug, Clone, Copy)]
enum Ask {
    Command(&'static [&'static str]),
    Signal(Signal),
}

#[test]
fn a_server_that_ends_saves_as_it_is_told() {
    let cases: &[(&str, &[&str], Ask, bool)] = &[
        ("900 1", &[], Ask::Command(&["SHUTDOWN"]), true),
        ("900 1", &[], Ask::Command(&["SHUTDOWN", "NOSAVE"]), false),
        ("900 1", &[], Ask::Command(&["SHUTDOWN", "NOW", "FORCE"]), true),
        ("", &[], Ask::Command(&["SHUTDOWN"]), false),
        ("", &[], Ask::Command(&["SHUTDOWN", "SAVE"]), true),
        ("900 1", &[], Ask::Signal(Signal::SIGTERM), true),
        ("", &[], Ask::Signal(Signal::SIGINT), false),
        ("900 1", &["--shutdown-on-sigterm", "nosave"], Ask::Signal(Signal::SIGTERM), false),
        ("", &["--shutdown-on-sigint", "save"], Ask::Signal(Signal::SIGINT), true),
    ];
    for (save, args, ask, saved) in cases {
        let mut server = TestServer::start(&[&["--save", save], *args].concat());
        let mut c = server.raw();
        c.ask(&["SET", "k", "v"]);
        match ask {
            Ask::Command(words) => c.command(words),
            Ask::Signal(which) => signal(server.pid(), *which),
        }
        assert_eq!(server.wait(), Some(0), "{save:?} {args:?} {ask:?}");
        let log = server.log();
        assert!(log.contains("Redis is now ready to exit, bye bye..."), "{log}");
        assert_eq!(server.dir.path().join("dump.rdb").exists(), *saved, "{save:?} {args:?} {ask:?}");
    }
}

#[test]
fn a_server_that_cannot_save_does_not_end() {
    let mut server = TestServer::start(&["--save", "900 1"]);
    let mut c = server.raw();
    c.ask(&["SET", "k", "v"]);
    fs::create_dir(server.dir.path().join("dump.rdb")).unwrap();
    assert_eq!(c.ask(&["SHUTDOWN"]), "-ERR Errors trying to SHUTDOWN. Check logs.");
    assert_eq!(c.ask(&["SHUTDOWN", "ABORT"]), "-ERR No shutdown in progress.");
    signal(server.pid(), Signal::SIGTERM);
    wait_for("the log", || server.log().matches("Error trying to save the DB, can't exit.").count() == 2);
    assert_eq!(c.ask(&["GET", "k"]), "v");
    assert_eq!(c.ask(&["SAVE"]), "-ERR");
    assert_eq!(temp_files(server.dir.path()), Vec::<PathBuf>::new());
    c.command(&["SHUTDOWN", "FORCE"]);
    assert_eq!(server.wait(), Some(0));
    assert!(server.log().contains("Error trying to save the DB. Exit anyway."));
}

#[test]
fn no_command_is_answered_after_the_last_save() {
    let mut server = TestServer::start(&["--save", "900 1"]);
    let mut c = server.raw();
    let mut other = server.raw();
    other.ask(&["PING"]);
    c.send(b"SHUTDOWN\r\nSET late 1\r\n");
    let answer = if other.try_send(b"SET late 1\r\n") { other.line() } else { String::new() };
    assert_eq!(server.wait(), Some(0));
    assert_eq!(c.line(), "");
    let again = start_in(server.dir.path(), &[]);
    assert_eq!(again.raw().ask(&["EXISTS", "late"]), if answer == "+OK" { ":1" } else { ":0" });
}

#[test]
fn a_child_that_is_wanted_no_longer_leaves_nothing_behind() {
    let mut server = TestServer::start(&["--save", "", "--rdb-key-save-delay", "1000000"]);
    let mut c = server.raw();
    for i in 0..100 {
        c.ask(&["SET", &format!("k{i}"), "v"]);
    }
    for command in ["FLUSHALL", "SHUTDOWN"] {
        assert_eq!(c.ask(&["BGSAVE"]), "+Background saving started");
        assert_eq!(c.ask(&["BGSAVE"]), "-ERR Background save already in progress");
        assert_eq!(c.ask(&["SAVE"]), "-ERR Background save already in progress");
        child_of(&server);
        wait_for("the file", || temp_files(server.dir.path()).len() == 1);
        c.command(&[command]);
        if command == "SHUTDOWN" {
            assert_eq!(server.wait(), Some(0));
            assert!(server.log().contains("There is a child saving an .rdb. Killing it!"));
        } else {
            assert_eq!(c.reply(), "+OK");
            wait_for_child_to_end(&mut c);
            assert_eq!(info_text(&mut c, "rdb_last_bgsave_status"), "ok");
            assert_eq!(c.ask(&["SET", "k", "v"]), "+OK");
        }
        assert_eq!(temp_files(server.dir.path()), Vec::<PathBuf>::new(), "{command}");
        assert!(!server.dir.path().join("dump.rdb").exists());
    }
}

#[test]
fn a_child_that_was_killed_makes_the_server_refuse_writes() {
    let server = TestServer::start(&["--save", "900 1", "--rdb-key-save-delay", "1000000"]);
    let mut c = server.raw();
    c.ask(&["SET", "k", "v"]);
    c.ask(&["SET", "k2", "v"]);
    c.ask(&["BGSAVE"]);
    signal(child_of(&server), Signal::SIGKILL);
    wait_for_child_to_end(&mut c);
    assert_eq!(info_text(&mut c, "rdb_last_bgsave_status"), "err");
    assert_eq!(info_text(&mut c, "rdb_changes_since_last_save"), "2");
    assert_eq!(temp_files(server.dir.path()), Vec::<PathBuf>::new());
    assert!(server.log().contains("Background saving terminated by signal 9"));
    for refused in [&["SET", "k", "w"][..], &["PING"]] {
        assert!(c.ask(refused).starts_with("-MISCONF Redis is configured to save RDB snapshots"));
    }
    assert_eq!(c.ask(&["GET", "k"]), "v");
    c.ask(&["MULTI"]);
    assert!(c.ask(&["SET", "k", "w"]).starts_with("-MISCONF"));
    assert!(c.ask(&["EXEC"]).starts_with("-EXECABORT"));
    c.ask(&["CONFIG", "SET", "stop-writes-on-bgsave-error", "no"]);
    assert_eq!(c.ask(&["SET", "k", "w"]), "+OK");
    c.ask(&["CONFIG", "SET", "stop-writes-on-bgsave-error", "yes", "rdb-key-save-delay", "0"]);
    assert_eq!(c.ask(&["SAVE"]), "+OK");
    assert_eq!(c.ask(&["SET", "k", "w"]), "+OK");
}

#[test]
fn a_second_sigint_does_not_wait_for_the_save() {
    let mut server = TestServer::start(&["--save", "900 1", "--rdb-key-save-delay", "1000000"]);
    let mut c = server.raw();
    for i in 0..100 {
        c.ask(&["SET", &format!("k{i}"), "v"]);
    }
    signal(server.pid(), Signal::SIGINT);
    wait_for("the file", || temp_files(server.dir.path()).len() == 1);
    signal(server.pid(), Signal::SIGINT);
    assert_eq!(server.wait(), Some(1));
    assert_eq!(temp_files(server.dir.path()), Vec::<PathBuf>::new());
}

#[test]
fn a_connection_that_is_closed_while_a_child_saves_is_closed_for_its_peer() {
    let server = TestServer::start(&["--save", "", "--rdb-key-save-delay", "1000000"]);
    let mut c = server.raw();
    c.ask(&["SET", "k", "v"]);
    let mut other = server.raw();
    let id = other.ask(&["CLIENT", "ID"]);
    c.ask(&["BGSAVE"]);
    child_of(&server);
    assert_eq!(c.ask(&["CLIENT", "KILL", "ID", &id[1..]]), ":1");
    assert!(other.is_closed());
    assert_eq!(info_text(&mut c, "rdb_bgsave_in_progress"), "1");
}

/// The number of buckets of database 0's table.
fn table_size(c: &mut RawClient) -> usize {
    let text = c.ask(&["DEBUG", "HTSTATS", "0"]);
    let line = text.lines().find_map(|line| line.trim().strip_prefix("table size: "));
    line.unwrap_or_else(|| panic!("no size in {text}")).parse().unwrap()
}

#[test]
fn tables_keep_still_while_a_child_saves_and_catch_up_when_it_is_gone() {
    let server = TestServer::start(&["--save", "", "--enable-debug-command", "yes"]);
    let mut c = server.raw();
    c.ask(&["DEBUG", "POPULATE", "4096"]);
    let size = table_size(&mut c);
    c.ask(&["CONFIG", "SET", "rdb-key-save-delay", "1000000"]);
    c.ask(&["BGSAVE"]);
    let child = child_of(&server);
    c.ask(&["DEBUG", "POPULATE", "8192", "other"]);
    assert_eq!(table_size(&mut c), size);
    signal(child, Signal::SIGUSR1);
    wait_for_child_to_end(&mut c);
    // Nobody writes: the table grows by itself.
    wait_for("a larger table", || table_size(&mut c) > 2 * size);
}

#[test]
fn a_server_that_loads_says_so_and_serves_what_needs_no_data() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = start_in(dir.path(), &["--save", "", "--rdbcompression", "no"]);
    server.raw().ask(&["DEBUG", "POPULATE", "2000", "key", "1000"]);
    server.raw().command(&["SHUTDOWN", "SAVE"]);
    assert_eq!(server.wait(), Some(0));

    let slow = ["--save", "", "--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024"];
    let mut server = start_in(dir.path(), &slow);
    let mut c = server.raw();
    for refused in [&["GET", "key:1"][..], &["PING"], &["SAVE"], &["CONFIG", "SET", "dir", "/"]] {
        assert_eq!(c.ask(refused), "-LOADING Redis is loading the dataset in memory");
    }
    assert_eq!(info_text(&mut c, "loading"), "1");
    assert_eq!(c.ask(&["DEBUG", "LOG", "hello"]), "+OK");
    let loaded = |c: &mut RawClient| info_text(c, "loading_loaded_bytes").parse::<u64>().unwrap();
    let before = loaded(&mut c);
    wait_for("progress", || loaded(&mut c) > before);
    let total: u64 = info_text(&mut c, "loading_total_bytes").parse().unwrap();
    assert_eq!(total, fs::metadata(dir.path().join("dump.rdb")).unwrap().len());
    assert!(info_text(&mut c, "loading_loaded_perc").parse::<f64>().unwrap() < 100.0);
    // A client that goes while the server loads is forgotten.
    drop(server.raw());
    wait_for("the end of the load", || info_text(&mut c, "loading") == "0");
    assert_eq!(c.ask(&["DBSIZE"]), ":2000");
    assert_eq!(server.info("connected_clients"), 2.0);
    c.command(&["SHUTDOWN"]);
    assert_eq!(server.wait(), Some(0));

    // An end while loading must not put what is there by half in the place of the whole.
    for ask in [Ask::Command(&["SHUTDOWN", "SAVE"]), Ask::Signal(Signal::SIGTERM)] {
        let mut server = start_in(dir.path(), &[&slow[..], &["--save", "1 1"]].concat());
        match ask {
            Ask::Command(words) => server.raw().command(words),
            Ask::Signal(which) => signal(server.pid(), which),
        }
        assert_eq!(server.wait(), Some(0), "{}", server.log());
        assert_eq!(total, fs::metadata(dir.path().join("dump.rdb")).unwrap().len());
    }
}

#[test]
fn debug_reload_keeps_and_merges() {
    let server = TestServer::start(&["--enable-debug-command", "yes", "--save", ""]);
    let mut c = server.raw();
    c.ask(&["SET", "k", "old"]);
    assert_eq!(c.ask(&["DEBUG", "RELOAD"]), "+OK");
    assert_eq!(c.ask(&["GET", "k"]), "old");
    c.ask(&["SET", "k", "new"]);
    c.ask(&["SET", "only", "here"]);
    assert_eq!(c.ask(&["DEBUG", "RELOAD", "NOSAVE", "NOFLUSH", "MERGE"]), "+OK");
    assert_eq!((c.ask(&["GET", "k"]), c.ask(&["DBSIZE"])), ("old".into(), ":2".into()));
    assert_eq!(c.ask(&["DEBUG", "RELOAD", "NOSAVE"]), "+OK");
    assert_eq!(c.ask(&["DBSIZE"]), ":1");
    // What comes in the same packet runs after the load, in order.
    c.send(b"DEBUG RELOAD\r\nGET k\r\nPING\r\n");
    assert_eq!([c.reply(), c.reply(), c.reply()], ["+OK", "old", "+PONG"]);
}

/// Runs redis-check-rdb, which is the server under another name.
fn check_rdb(dir: &Path, file: &Path) -> Output {
    let program = dir.join("redis-check-rdb");
    if !program.exists() {
        symlink(env!("CARGO_BIN_EXE_redis-server"), &program).unwrap();
    }
    Command::new(program).arg(file).output().unwrap()
}

fn sample_file(dir: &Path) -> Vec<u8> {
    let mut server = start_in(dir, &["--save", ""]);
    let mut c = server.raw();
    for line in ["SET s v PX 100000000", "RPUSH l a b c 1 2 3", "SADD set x y", "HSET h f v", "ZADD z 1.5 m"]
    {
        c.ask(&line.split(' ').collect::<Vec<_>>());
    }
    c.ask(&["HPEXPIRE", "h", "100000000", "FIELDS", "1", "f"]);
    c.command(&["SHUTDOWN", "SAVE"]);
    assert_eq!(server.wait(), Some(0));
    fs::read(dir.join("dump.rdb")).unwrap()
}

#[test]
fn the_checker_finds_what_is_wrong_with_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let whole = sample_file(dir.path());
    let file = dir.path().join("dump.rdb");
    let output = check_rdb(dir.path(), &file);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    for line in [
        "Checksum OK",
        "\\o/ RDB looks OK! \\o/",
        "[info] 5 keys read",
        "[info] 1 expires",
        "[info] 1 subexpires",
    ] {
        assert!(text.contains(line), "no {line} in {text}");
    }
    for len in (0..whole.len()).step_by(5) {
        fs::write(&file, &whole[..len]).unwrap();
        let output = check_rdb(dir.path(), &file);
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(1), "{len}: {text}");
        assert!(text.contains("--- RDB ERROR DETECTED ---"), "{len}: {text}");
    }
    let output = check_rdb(dir.path(), &dir.path().join("nosuch"));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_server_does_not_start_without_its_data() {
    let dir = tempfile::tempdir().unwrap();
    let whole = sample_file(dir.path());
    let mut wrong_sum = whole.clone();
    *wrong_sum.last_mut().unwrap() ^= 1;
    let cases: [(&[u8], &str); 4] = [
        (&wrong_sum, "RDB CRC error"),
        (&whole[..whole.len() / 2], "Unexpected EOF reading RDB file"),
        (&whole[..5], "Fatal error loading the DB, check server logs. Exiting."),
        (b"REDIS0099 and so on", "Can't handle RDB format version 99"),
    ];
    for (bytes, expected) in cases {
        fs::write(dir.path().join("dump.rdb"), bytes).unwrap();
        let port = common::free_port().to_string();
        let output = Command::new(env!("CARGO_BIN_EXE_redis-server"))
            .args(["--port", &port, "--dir", dir.path().to_str().unwrap()])
            .output()
            .unwrap();
        let log = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(1), "{log}");
        assert!(log.contains(expected), "no {expected} in {log}");
        assert_eq!(
            fs::read(dir.path().join("dump.rdb")).unwrap(),
            bytes,
            "the file is for others to look at"
        );
    }
}

/// Saves that fail on the way leave the old file as it was, whoever makes them.
fn check_failing_saves(server: &TestServer, dir: &Path, reason: &str) {
    let mut c = server.raw();
    c.ask(&["CONFIG", "SET", "dir", dir.to_str().unwrap()]);
    c.ask(&["SET", "small", "v"]);
    assert_eq!(c.ask(&["SAVE"]), "+OK");
    let before = fs::read(dir.join("dump.rdb")).unwrap();
    c.ask(&["CONFIG", "SET", "rdbcompression", "no"]);
    c.ask(&["DEBUG", "POPULATE", "300", "key", "10000"]);
    assert_eq!(c.ask(&["SAVE"]), "-ERR");
    assert_eq!(c.ask(&["BGSAVE"]), "+Background saving started");
    wait_for_child_to_end(&mut c);
    assert_eq!(info_text(&mut c, "rdb_last_bgsave_status"), "err");
    assert_eq!(fs::read(dir.join("dump.rdb")).unwrap(), before);
    assert_eq!(temp_files(dir), Vec::<PathBuf>::new());
    let log = server.log();
    assert!(log.contains("Write error while saving DB to the disk"), "{log}");
    assert!(log.contains(reason), "{log}");
    assert_eq!(c.ask(&["SHUTDOWN", "SAVE"]), "-ERR Errors trying to SHUTDOWN. Check logs.");
    c.ask(&["FLUSHALL"]);
    assert_eq!(c.ask(&["SAVE"]), "+OK");
}

#[test]
fn a_full_disk_costs_nothing_but_the_save() {
    let args = ["--save", "", "--enable-debug-command", "yes", "--enable-protected-configs", "yes"];
    // Where no disk can be mounted, a limit of file sizes does the same.
    let limited = TestServer::start(&args);
    let limit = Command::new("prlimit")
        .args(["--pid", &limited.pid().to_string(), "--fsize=1000000:unlimited"])
        .output();
    if limit.is_ok_and(|output| output.status.success()) {
        check_failing_saves(&limited, limited.dir.path(), "File too large");
    }
    if let Some(disk) = SmallDisk::mount(1024) {
        check_failing_saves(&TestServer::start(&args), disk.path(), "No space left on device");
    }
}

#[test]
fn a_directory_that_takes_no_file_is_no_end() {
    let args = ["--save", "", "--enable-protected-configs", "yes"];
    let server = TestServer::start(&args);
    let mut c = server.raw();
    assert_eq!(c.ask(&["CONFIG", "SET", "dir", "/proc"]), "+OK");
    assert_eq!(c.ask(&["SAVE"]), "-ERR");
    assert_eq!(c.ask(&["BGSAVE"]), "+Background saving started");
    wait_for_child_to_end(&mut c);
    assert_eq!(info_text(&mut c, "rdb_last_bgsave_status"), "err");
    assert!(server.log().contains("Failed opening the temp RDB file temp-"), "{}", server.log());
}

/// Makes values with pages of their own: of each type, and of each way to hold them.
fn make_large_values(c: &mut RawClient) {
    let text = |len: usize| -> String {
        let mut rng = rand::rng();
        (0..len).map(|_| char::from(rng.random_range(b'a'..=b'z'))).collect()
    };
    for limit in ["set-max-intset-entries", "hash-max-listpack-entries", "zset-max-listpack-entries"] {
        c.ask(&["CONFIG", "SET", limit, "5000"]);
    }
    for n in 0..20 {
        for (kind, len) in [("inline", 10_000), ("block", 40_000), ("large", 300_000)] {
            c.ask(&["SET", &format!("{kind}{n}"), &text(len + n)]);
        }
        c.ask(&["RPUSH", "packed", &text(3000)]);
        c.ask(&["RPUSH", "plain", &text(50_000)]);
        c.ask(&["RPUSH", "compressed", &"x".repeat(20_000), &text(9_000)]);
        c.ask(&["SADD", "members", &text(20_000)]);
        c.ask(&["ZADD", "scored", &n.to_string(), &text(20_000)]);
        c.ask(&["HSET", "fields", &text(10_000), &text(40_000)]);
        c.ask(&["HSET", "fields", &text(10), &text(10_000)]);
        c.ask(&["XADD", "stream", "*", &text(5_000), &text(5_000)]);
    }
    for n in 0..3000 {
        let number = n.to_string();
        c.ask(&["SADD", "numbers", &format!("{n}000000")]);
        c.ask(&["SADD", "names", &format!("name {n}")]);
        c.ask(&["HSET", "listpack", &number, "v"]);
        c.ask(&["ZADD", "zlistpack", &number, &number]);
    }
    // Two keys may share one block.
    c.ask(&["COPY", "large0", "copied"]);
    c.ask(&["COPY", "plain", "copied list"]);
    c.ask(&["COPY", "fields", "copied hash"]);
}

#[test]
fn what_a_child_forgets_is_written() {
    let args = ["--save", "", "--appendonly", "yes", "--list-compress-depth", "1", "--rdbcompression", "no"];
    let server = TestServer::start(&[&args[..], &["--enable-debug-command", "yes"]].concat());
    let mut c = server.raw();
    make_large_values(&mut c);
    let digest = c.ask(&["DEBUG", "DIGEST"]);
    // Replies and requests that wait are in no child's way.
    let mut reader = server.raw();
    (0..50).for_each(|_| reader.command(&["GET", "large1"]));
    let mut writer = server.raw();
    writer.send(format!("*2\r\n$200000\r\n{}", "x".repeat(100_000)).as_bytes());
    assert_eq!(c.ask(&["BGSAVE"]), "+Background saving started");
    wait_for_child_to_end(&mut c);
    assert_eq!(info_text(&mut c, "rdb_last_bgsave_status"), "ok");
    assert_eq!(c.ask(&["DEBUG", "DIGEST"]), digest, "the parent has all of it");
    assert_eq!(c.ask(&["DEBUG", "RELOAD", "NOSAVE"]), "+OK");
    assert_eq!(c.ask(&["DEBUG", "DIGEST"]), digest);
    for preamble in ["yes", "no"] {
        c.ask(&["CONFIG", "SET", "aof-use-rdb-preamble", preamble]);
        assert_eq!(c.ask(&["BGREWRITEAOF"]), "+Background append only file rewriting started");
        wait_for("the rewrite", || info_text(&mut c, "aof_rewrite_in_progress") == "0");
        assert_eq!(info_text(&mut c, "aof_last_bgrewrite_status"), "ok");
        assert_eq!(c.ask(&["DEBUG", "LOADAOF"]), "+OK");
        assert_eq!(c.ask(&["DEBUG", "DIGEST"]), digest, "with a preamble: {preamble}");
    }
    assert_eq!((0..50).filter(|_| reader.reply().len() == 300_001).count(), 50);
}

/// Bytes that a process has for itself.
fn private_dirty(pid: u32) -> usize {
    let maps = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = maps.lines().find_map(|line| line.strip_prefix("Private_Dirty:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1024
}

#[test]
fn what_a_child_has_written_is_not_copied_any_more() {
    const VALUES: usize = 400;
    const BYTES: usize = 100_000;
    let args = ["--save", "", "--enable-debug-command", "yes", "--rdbcompression", "no"];
    let server = TestServer::start(&args);
    let mut c = server.raw();
    let filler = "x".repeat(BYTES);
    (0..VALUES).for_each(|n| drop(c.ask(&["SET", &n.to_string(), &filler])));
    let script = format!("for n = 0, {} do redis.call('SETRANGE', n, 0, ARGV[1]) end", VALUES - 1);
    let overwrite = |c: &mut RawClient| drop(c.ask(&["EVAL", &script, "0", &filler]));
    // From now on it happens in place.
    overwrite(&mut c);
    // The child has two seconds' work; most of it is done when all values change, or nearly none.
    let mut copied = [0; 2];
    for (quarters, copied) in [0, 3].into_iter().zip(&mut copied) {
        c.ask(&["CONFIG", "SET", "rdb-key-save-delay", "5000"]);
        assert_eq!(c.ask(&["BGSAVE"]), "+Background saving started");
        let child = child_of(&server);
        let file = server.dir.path().join(format!("temp-{child}.rdb"));
        let written = || fs::metadata(&file).map_or(0, |meta| meta.len() as usize);
        wait_for("the child's work", || written() >= VALUES * BYTES * quarters / 4);
        overwrite(&mut c);
        *copied = private_dirty(child);
        wait_for_child_to_end(&mut c);
    }
    let [early, late] = copied;
    assert!(early > VALUES * BYTES / 2, "the test shows nothing: {early}");
    assert!(late < early / 2, "{late} of {early}");
}

#[test]
fn a_shutdown_syncs_the_append_only_file_before_it_saves() {
    let mut server = TestServer::start(&["--appendonly", "yes", "--save", "3600 1"]);
    let mut c = server.raw();
    c.ask(&["SET", "k", "v"]);
    c.command(&["SHUTDOWN"]);
    assert_eq!(server.wait(), Some(0));
    let log = server.log();
    let lines = [
        "User requested shutdown...",
        "Calling fsync() on the AOF file.",
        "Saving the final RDB snapshot before exiting.",
        "DB saved on disk",
        "Redis is now ready to exit, bye bye...",
    ];
    let places: Vec<usize> =
        lines.iter().map(|line| log.find(line).unwrap_or_else(|| panic!("no {line} in {log}"))).collect();
    assert!(places.is_sorted(), "{log}");
    let manifest =
        fs::read_to_string(server.dir.path().join("appendonlydir/appendonly.aof.manifest")).unwrap();
    assert!(manifest.contains("endoffset"), "{manifest}");
}

#[test]
fn a_shutdown_that_fails_leaves_the_append_only_file_open() {
    let args = ["--appendonly", "yes", "--save", "3600 1", "--enable-protected-configs", "yes"];
    let mut server = TestServer::start(&args);
    let mut c = server.raw();
    let dir = server.dir.path().to_owned();
    c.ask(&["SET", "k", "v"]);
    // A directory is in the way of the file.
    fs::create_dir(dir.join("dump.rdb")).unwrap();
    assert_eq!(c.ask(&["SHUTDOWN"]), "-ERR Errors trying to SHUTDOWN. Check logs.");
    let manifest = dir.join("appendonlydir/appendonly.aof.manifest");
    assert!(!fs::read_to_string(&manifest).unwrap().contains("endoffset"), "it has not ended");
    c.ask(&["SET", "k", "w"]);
    fs::remove_dir(dir.join("dump.rdb")).unwrap();
    c.command(&["SHUTDOWN"]);
    assert_eq!(server.wait(), Some(0), "{}", server.log());
    let server = TestServer::start(&["--dir", dir.to_str().unwrap(), "--appendonly", "yes"]);
    wait_for("the load", || server.raw().ask(&["GET", "k"]) == "w");
}
