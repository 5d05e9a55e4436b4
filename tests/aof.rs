//! The append-only file: what was answered is there after a crash, whatever the server was doing; the files are those of Redis.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use common::dataset::Knows;
use common::disk::FailingSync;
use common::node::Node;
use common::{RawClient, wait_for};

/// Fills the file until a write is refused or the server is gone: how many were answered.
fn fill(c: &mut RawClient) -> (u64, String) {
    let filling = "x".repeat(400);
    for n in 1.. {
        let key = format!("f:{n}");
        c.try_send(format!("*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n$400\r\n{filling}\r\n", key.len()).as_bytes());
        let reply = c.line();
        if reply != "+OK" {
            return (n - 1, reply);
        }
    }
    unreachable!("the file has a limit");
}

#[test]
fn a_full_disk_has_writes_refused_until_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start_limited(dir.path(), &["--appendfsync", "everysec"], 64 * 1024);
    let mut c = node.client();
    let (answered, refused) = fill(&mut c);
    assert!(answered > 100 && refused.starts_with("-MISCONF Errors writing to the AOF file: "), "{refused}");
    assert!(c.ask(&["PING"]).starts_with("-MISCONF"), "PING tells of it");
    assert_eq!(c.ask(&["GET", "f:1"]).len(), 400, "reads go on");
    assert!(c.ask(&["INFO", "persistence"]).contains("aof_last_write_status:err"));
    let size = |dir: &Path| {
        let files = fs::read_dir(dir.join("appendonlydir")).unwrap();
        files.map(|file| file.unwrap().metadata().unwrap().len()).max().unwrap()
    };
    assert!(size(dir.path()) <= 64 * 1024);
    let pid = node.child.id().to_string();
    assert!(Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited"]).status().unwrap().success());
    wait_for("the disk to have room", || c.ask(&["SET", "after", "1"]) == "+OK");
    assert!(node.log().contains("AOF write error looks solved, Redis can write again."), "{}", node.log());
    assert!(c.ask(&["INFO", "persistence"]).contains("aof_last_write_status:ok"));
    let digest = c.ask(&["DBSIZE"]);
    node.kill();
    let node = Node::start(dir.path(), &[]);
    let mut c = node.client();
    assert_eq!(c.ask(&["DBSIZE"]), digest);
    assert_eq!(c.ask(&["GET", "after"]), "1");
}

#[test]
fn a_full_disk_ends_a_server_that_promises_always() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = Node::start_limited(dir.path(), &["--appendfsync", "always"], 64 * 1024);
    let (answered, reply) = fill(&mut node.client());
    assert!(answered > 100 && reply.is_empty(), "{reply}");
    assert_eq!(node.child.wait().unwrap().code(), Some(1));
    assert!(
        node.log()
            .contains("Can't recover from AOF write error when the AOF fsync policy is 'always'. Exiting...")
    );
    let node = Node::start(dir.path(), &[]);
    let mut c = node.client();
    for n in 1..=answered {
        assert_eq!(c.ask(&["STRLEN", &format!("f:{n}")]), ":400");
    }
}

#[test]
fn a_sync_that_fails_has_writes_refused_until_one_succeeds() {
    let (dir, sync) = (tempfile::tempdir().unwrap(), FailingSync::build());
    let node = Node::start_failing(dir.path(), &["--appendfsync", "everysec"], &sync);
    let mut c = node.client();
    assert_eq!(c.ask(&["SET", "before", "1"]), "+OK");
    sync.fail(true);
    let mut answered = 0;
    let refused = loop {
        match c.ask(&["INCR", "count"]) {
            refused if refused.starts_with('-') => break refused,
            _ => answered += 1,
        }
        thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(refused, "-MISCONF Errors writing to the AOF file: Input/output error");
    assert_eq!(c.ask(&["GET", "before"]), "1", "reads go on");
    assert!(c.ask(&["INFO", "persistence"]).contains("aof_last_write_status:err"));
    assert!(node.log().contains("Fail to fsync the AOF file: Input/output error"), "{}", node.log());
    sync.fail(false);
    wait_for("a sync to succeed", || c.ask(&["SET", "after", "1"]) == "+OK");
    assert!(c.ask(&["INFO", "persistence"]).contains("aof_last_write_status:ok"));
    node.kill();
    let node = Node::start(dir.path(), &[]);
    let mut c = node.client();
    assert_eq!(c.ask(&["GET", "count"]), answered.to_string());
    assert_eq!(c.ask(&["GET", "after"]), "1");
}

#[test]
fn a_sync_that_fails_ends_a_server_that_promises_always() {
    let (dir, sync) = (tempfile::tempdir().unwrap(), FailingSync::build());
    let mut node = Node::start_failing(dir.path(), &["--appendfsync", "always"], &sync);
    let mut c = node.client();
    assert_eq!(c.ask(&["SET", "before", "1"]), "+OK");
    sync.fail(true);
    assert!(c.try_send(b"*3\r\n$3\r\nSET\r\n$8\r\npromised\r\n$1\r\n1\r\n"));
    assert_eq!(c.line(), "", "it answers with nothing");
    assert_eq!(node.child.wait().unwrap().code(), Some(1));
    let log = node.log();
    let last = "Can't persist AOF for fsync error when the AOF fsync policy is 'always': Input/output error. Exiting...";
    assert!(log.trim_end().ends_with(last), "{log}");
    assert_eq!(Node::start(dir.path(), &[]).client().ask(&["GET", "before"]), "1");
}

#[test]
fn a_sync_that_fails_leaves_the_files_that_are_there() {
    let (dir, sync) = (tempfile::tempdir().unwrap(), FailingSync::build());
    let node = Node::start_failing(dir.path(), &["--appendfsync", "no"], &sync);
    let mut c = node.client();
    assert_eq!(c.ask(&["SET", "saved", "1"]), "+OK");
    assert_eq!(c.ask(&["SAVE"]), "+OK");
    let saved = fs::read(dir.path().join("dump.rdb")).unwrap();
    let manifest = dir.path().join("appendonlydir/appendonly.aof.manifest");
    let listed = fs::read(&manifest).unwrap();
    sync.fail(true);
    assert_eq!(c.ask(&["SET", "not saved", "1"]), "+OK");
    assert_eq!(c.ask(&["SAVE"]), "-ERR");
    assert!(node.log().contains("Write error while saving DB to the disk(fsync): Input/output error"));
    assert_eq!(c.ask(&["BGSAVE"]), "+Background saving started");
    wait_for("BGSAVE to fail", || c.ask(&["INFO", "persistence"]).contains("rdb_last_bgsave_status:err"));
    assert_eq!(fs::read(dir.path().join("dump.rdb")).unwrap(), saved);
    assert!(c.ask(&["BGREWRITEAOF"]).starts_with("-ERR Can't execute an AOF background rewriting."));
    assert!(c.ask(&["INFO", "persistence"]).contains("aof_last_bgrewrite_status:err"));
    assert_eq!(fs::read(&manifest).unwrap(), listed);
    sync.fail(false);
    assert_eq!(c.ask(&["SAVE"]), "+OK");
    node.rewrite();
    assert_eq!(c.ask(&["SET", "after", "1"]), "+OK");
    node.kill();
    let node = Node::start(dir.path(), &[]);
    assert_eq!(node.client().ask(&["EXISTS", "saved", "not saved", "after"]), ":3");
}

#[test]
fn a_full_disk_does_not_harm_the_files_of_a_rewrite_that_fails() {
    let dir = tempfile::tempdir().unwrap();
    let filler = "y".repeat(200);
    {
        let node = Node::start(dir.path(), &[]);
        let mut c = node.client();
        (0..500).for_each(|n| assert_eq!(c.ask(&["SET", &format!("r:{n}"), &filler]), "+OK"));
        node.kill();
    }
    let node = Node::start_limited(dir.path(), &["--rdbcompression", "no"], 32 * 1024);
    let mut c = node.client();
    assert!(c.ask(&["BGREWRITEAOF"]).starts_with("+Background"));
    wait_for("the rewrite to fail", || {
        c.ask(&["INFO", "persistence"]).contains("aof_last_bgrewrite_status:err")
    });
    assert_eq!(c.ask(&["SET", "behind", "1"]), "+OK");
    let leftover = fs::read_dir(dir.path())
        .unwrap()
        .filter(|file| file.as_ref().unwrap().file_name().to_string_lossy().starts_with("temp-rewriteaof"));
    assert_eq!(leftover.count(), 0);
    node.kill();
    let node = Node::start(dir.path(), &[]);
    assert_eq!(node.client().ask(&["DBSIZE"]), ":501");
}

#[test]
fn rewritten_files_hold_the_same_dataset_in_either_form() {
    for preamble in ["yes", "no"] {
        let dir = tempfile::tempdir().unwrap();
        let node = Node::start(dir.path(), &["--aof-use-rdb-preamble", preamble]);
        node.furnish(Knows::Redis74);
        let digest = node.digest();
        node.rewrite();
        node.kill();
        let node = Node::start(dir.path(), &[]);
        assert_eq!(node.digest(), digest, "preamble {preamble}");
        let mut c = node.client();
        assert_eq!(c.ask(&["HPEXPIRETIME", "fields", "FIELDS", "1", "a"]), "*1");
        assert_eq!(c.line(), ":70368744177000");
        // And once more in the other form, all in one process.
        assert_eq!(
            c.ask(&["CONFIG", "SET", "aof-use-rdb-preamble", if preamble == "yes" { "no" } else { "yes" }]),
            "+OK"
        );
        node.rewrite();
        assert_eq!(node.client().ask(&["DEBUG", "LOADAOF"]), "+OK");
        assert_eq!(node.digest(), digest);
    }
}

#[test]
fn switched_on_while_it_runs_a_server_keeps_everything_from_then_on() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &["--appendonly", "no"]);
    let mut c = node.client();
    assert_eq!(c.ask(&["SET", "before", "1"]), "+OK");
    assert!(c.ask(&["WAITAOF", "1", "0", "0"]).starts_with("-ERR WAITAOF cannot be used"));
    assert_eq!(c.ask(&["CONFIG", "SET", "appendonly", "yes"]), "+OK");
    assert_eq!(c.ask(&["SET", "after", "1"]), "+OK");
    // This waits until the base is there, and what was written meanwhile on disk.
    assert_eq!(c.ask(&["WAITAOF", "1", "0", "0"]), "*2");
    assert_eq!((c.line(), c.line()), (":1".into(), ":0".into()));
    // Nothing will bring this to disk, and then there is nothing to wait for.
    assert_eq!(c.ask(&["CONFIG", "SET", "appendfsync", "no"]), "+OK");
    assert_eq!(c.ask(&["SET", "after", "2"]), "+OK");
    assert_eq!(c.ask(&["WAITAOF", "1", "0", "50"]), "*2");
    assert_eq!((c.line(), c.line()), (":0".into(), ":0".into()));
    c.command(&["WAITAOF", "1", "0", "0"]);
    let mut other = node.client();
    wait_for("the wait", || other.ask(&["INFO", "clients"]).contains("blocked_clients:1"));
    assert_eq!(other.ask(&["CONFIG", "SET", "appendonly", "no"]), "+OK");
    assert!(c.line().starts_with("-ERR WAITAOF cannot be used when numlocal is set"));
    node.kill();
    let node = Node::start(dir.path(), &[]);
    assert_eq!(node.client().ask(&["DBSIZE"]), ":2");
    let mut c = node.client();
    assert_eq!(c.ask(&["CONFIG", "SET", "appendonly", "no"]), "+OK");
    assert_eq!(c.ask(&["SET", "late", "1"]), "+OK");
    drop(c);
    node.kill();
    assert_eq!(Node::start(dir.path(), &[]).client().ask(&["DBSIZE"]), ":2");
}

#[test]
fn an_answer_waits_for_the_write_even_of_another_client() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &["--appendfsync", "always"]);
    let (mut writer, mut reader) = (node.client(), node.client());
    assert_eq!(writer.ask(&["DEBUG", "AOF-FLUSH-SLEEP", "300000"]), "+OK");
    writer.command(&["SET", "k", "new"]);
    thread::sleep(Duration::from_millis(100));
    let begun = Instant::now();
    assert_eq!(reader.ask(&["GET", "k"]), "new");
    assert!(begun.elapsed() > Duration::from_millis(100), "a reader must not see what may still be lost");
    assert_eq!(writer.line(), "+OK");
}

#[test]
fn a_file_that_ends_early_is_cut_off_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    (0..5).for_each(|_| drop(node.client().ask(&["INCR", "n"])));
    node.kill();
    let file = dir.path().join("appendonlydir/appendonly.aof.1.incr.aof");
    let whole = fs::metadata(&file).unwrap().len();
    fs::File::options().write(true).open(&file).unwrap().set_len(whole - 3).unwrap();
    let refused = Command::new(env!("CARGO_BIN_EXE_redis-server"))
        .args(["--port", "0", "--unixsocket", "s", "--appendonly", "yes", "--aof-load-truncated", "no"])
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&refused.stdout)
            .contains("Unexpected end of file reading the append only file")
    );
    let node = Node::start(dir.path(), &[]);
    assert_eq!(node.client().ask(&["INCR", "n"]), ":5");
    node.kill();
    assert_eq!(Node::start(dir.path(), &[]).client().ask(&["GET", "n"]), "5");
}

/// What must not be played back.
const STALE: &str = "*1\r\n$8\r\nFLUSHALL\r\n";

/// Leaves files in a folder.
type LeaveBehind = fn(&Path);

/// Steps of a rewrite behind which the process may end, and what it leaves in the folder of a server whose files have number 2.
const LEFT_BEHIND: [(&str, LeaveBehind); 6] = [
    ("a new file is opened, and not listed", |folder| {
        fs::write(folder.join("appendonly.aof.3.incr.aof"), STALE).unwrap();
    }),
    ("a new base has its name, and is not listed", |folder| {
        fs::write(folder.join("appendonly.aof.3.base.rdb"), "REDIS").unwrap();
    }),
    ("half a list is written", |folder| {
        fs::write(folder.join("temp-appendonly.aof.manifest"), "file appendonly.aof.3.ba").unwrap();
    }),
    ("a first file waits for its base", |folder| {
        fs::write(folder.join("temp-appendonly.aof.incr"), STALE).unwrap();
    }),
    ("the past is listed as such, and there", |folder| {
        fs::write(folder.join("appendonly.aof.1.incr.aof"), STALE).unwrap();
        list(folder, "file appendonly.aof.1.incr.aof seq 1 type h\n");
    }),
    ("the past is listed as such, and gone", |folder| {
        list(folder, "file appendonly.aof.1.base.rdb seq 1 type h\n");
    }),
];

fn list(folder: &Path, line: &str) {
    let path = folder.join("appendonly.aof.manifest");
    fs::write(&path, fs::read_to_string(&path).unwrap() + line).unwrap();
}

#[test]
fn a_crash_between_two_steps_of_a_rewrite_loses_nothing() {
    for (step, leave_behind) in LEFT_BEHIND {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("appendonlydir");
        let node = Node::start(dir.path(), &[]);
        let mut c = node.client();
        (0..50).for_each(|n| assert_eq!(c.ask(&["SET", &format!("before:{n}"), "v"]), "+OK"));
        node.rewrite();
        (0..50).for_each(|n| assert_eq!(c.ask(&["SET", &format!("behind:{n}"), "v"]), "+OK"));
        let digest = node.digest();
        node.kill();
        leave_behind(&folder);

        let node = Node::start(dir.path(), &[]);
        assert_eq!(node.digest(), digest, "{step}");
        assert_eq!(node.client().ask(&["SET", "later", "v"]), "+OK");
        // The names that were taken are taken over.
        node.rewrite();
        let digest = node.digest();
        node.kill();
        let node = Node::start(dir.path(), &[]);
        assert_eq!(node.digest(), digest, "{step}");
        assert!(!folder.join("appendonly.aof.1.incr.aof").exists(), "{step}: what is past goes");
    }
}

#[test]
fn what_is_pending_of_deleted_entries_survives_a_rewrite_into_commands() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &["--aof-use-rdb-preamble", "no"]);
    let mut c = node.client();
    for command in [
        "XADD s 1-1 f a",
        "XADD s 2-1 f b",
        "XADD s 3-1 f c",
        "XADD s 4-1 f d",
        "XGROUP CREATE s g 0",
        "XGROUP CREATE s late 2-1",
        "XREADGROUP GROUP g one COUNT 2 STREAMS s >",
        "XREADGROUP GROUP g two COUNT 1 STREAMS s >",
        "XREADGROUP GROUP late one COUNT 1 STREAMS s >",
        "XDEL s 2-1",
        "XTRIM s MINID 2",
        "XADD all 5-1 f v",
        "XGROUP CREATE all g 0",
        "XREADGROUP GROUP g one STREAMS all >",
        "XTRIM all MAXLEN 0",
    ] {
        c.command(&command.split(' ').collect::<Vec<_>>());
    }
    // None of the replies is of interest, but that all are there.
    c.command(&["ECHO", "done"]);
    while c.line() != "done" {}
    let seen = |node: &Node| {
        let mut c = node.client();
        let mut lines = Vec::new();
        for key in ["s", "all"] {
            c.command(&["XINFO", "STREAM", key, "FULL"]);
            c.command(&["ECHO", "done"]);
            let reply: Vec<String> =
                std::iter::from_fn(|| Some(c.line()).filter(|line| line != "done")).collect();
            // When a consumer was heard of is not of the dataset, and how nodes lie is nobody's business.
            let names = ["seen-time", "active-time", "radix-tree-keys", "radix-tree-nodes"];
            let fleeting: Vec<usize> =
                (0..reply.len()).filter(|i| names.contains(&reply[*i].as_str())).collect();
            let kept = (0..reply.len()).filter(|i| !fleeting.iter().any(|at| *i == at + 1));
            lines.extend(kept.map(|i| reply[i].clone()));
        }
        lines
    };
    let before = seen(&node);
    assert!(before.iter().filter(|line| *line == "1-1").count() >= 2, "it is pending: {before:?}");
    node.rewrite();
    node.kill();
    let node = Node::start(dir.path(), &[]);
    assert_eq!(seen(&node), before);
}
