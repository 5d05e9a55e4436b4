//! Servers that are killed at any moment, again and again: what was promised is there after each restart, and no file is refused.
//!
//! Each test kills a server a few times, or as often as `OCHRE_TORTURE` says.

mod common;

use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use common::disk::SmallDisk;
use common::node::Node;
use common::{RawClient, wait_for};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// How long a write may wait for a slow disk with `appendfsync everysec` before it is made regardless.
const EVERYSEC_MAY_LOSE: Duration = Duration::from_secs(2);

/// Clients that write at once.
const WRITERS: usize = 4;

/// Of the numbers that a client writes, one in so many is written in a transaction.
const TRANSACTION: u64 = 7;

/// Keys besides those, so that a rewrite or a save takes a while.
const FILLER: &str = "1000";

/// How often a server is killed in each test.
fn rounds() -> u64 {
    std::env::var("OCHRE_TORTURE").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(10)
}

/// What became of a client's writes, the ever greater numbers that it gave its keys.
#[derive(Default)]
struct Told {
    /// Those that were answered, and when.
    answered: Vec<(u64, Instant)>,
    /// Those that were refused.
    refused: HashSet<u64>,
    /// When the first of those was.
    refused_at: Option<Instant>,
    /// The last one that was sent.
    last: u64,
}

impl Told {
    /// The greatest one that was answered before `killed`, by as much at least, and the greatest one of a transaction.
    fn promised(&self, killed: Instant, may_lose: Duration) -> [u64; 2] {
        // What waits to be written when the disk turns out to be full goes on waiting.
        let end = self.refused_at.filter(|_| !may_lose.is_zero()).map_or(killed, |at| at.min(killed));
        let due = self.answered.iter().filter(|(_, at)| *at + may_lose <= end);
        let due = due.map(|(n, _)| *n);
        [due.clone().max(), due.filter(|n| n.is_multiple_of(TRANSACTION)).max()]
            .map(Option::unwrap_or_default)
    }
}

fn put_command(request: &mut String, words: &[&str]) {
    request.push_str(&format!("*{}\r\n", words.len()));
    words.iter().for_each(|word| request.push_str(&format!("${}\r\n{word}\r\n", word.len())));
}

/// Writes ever greater numbers to a key of its own, and now and then to two more in one transaction, until it is told to stop
/// or the server is gone.
fn write_load(mut c: RawClient, writer: usize, first: u64, stop: Arc<AtomicBool>) -> JoinHandle<Told> {
    thread::spawn(move || {
        let mut told = Told { last: first, ..Told::default() };
        let [key, left, right] = ["k", "l", "r"].map(|prefix| format!("{prefix}:{writer}"));
        for n in first.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let value = n.to_string();
            let mut request = String::new();
            let lines = if n.is_multiple_of(TRANSACTION) {
                put_command(&mut request, &["MULTI"]);
                [&key, &left, &right].iter().for_each(|key| put_command(&mut request, &["SET", key, &value]));
                put_command(&mut request, &["EXEC"]);
                8
            } else {
                put_command(&mut request, &["SET", &key, &value]);
                1
            };
            told.last = n;
            if !c.try_send(request.as_bytes()) {
                break;
            }
            match replies_to(&mut c, lines).as_str() {
                "+OK" => told.answered.push((n, Instant::now())),
                refusal if refusal.starts_with('-') => {
                    told.refused.insert(n);
                    told.refused_at.get_or_insert_with(Instant::now);
                    thread::sleep(Duration::from_millis(2));
                }
                _ => break,
            }
        }
        told
    })
}

/// The last line of so many, or the error that is instead of the rest.
fn replies_to(c: &mut RawClient, lines: usize) -> String {
    let mut last = String::new();
    for _ in 0..lines {
        last = c.line();
        // A transaction whose commands were refused still answers each of them, and EXEC.
        if last.is_empty() || last.starts_with("-EXECABORT") || (lines == 1 && last.starts_with('-')) {
            break;
        }
    }
    last
}

/// What was there after the last restart, which no later one may take back.
#[derive(Default)]
struct Ledger {
    held: [u64; WRITERS],
    next: [u64; WRITERS],
}

impl Ledger {
    fn start_writers(&self, node: &Node, stop: &Arc<AtomicBool>) -> Vec<JoinHandle<Told>> {
        (0..WRITERS).map(|i| write_load(node.client(), i, self.next[i] + 1, stop.clone())).collect()
    }

    /// Compares what is there with what the writers were told until the server was killed.
    fn check(&mut self, node: &Node, told: &[Told], killed: Instant, may_lose: Duration) {
        let mut c = node.client();
        for (i, told) in told.iter().enumerate() {
            let [there, left, right] =
                ["k", "l", "r"].map(|prefix| c.ask(&["GET", &format!("{prefix}:{i}")]).parse().unwrap_or(0));
            let [promised, of_transaction] = told.promised(killed, may_lose);
            let promised = promised.max(self.held[i]);
            assert!(
                there >= promised,
                "writer {i}: {promised} was promised, {there} is there\n{}",
                node.log()
            );
            assert!(there <= told.last, "writer {i}: {} was sent at most, {there} is there", told.last);
            assert!(!told.refused.contains(&there), "writer {i}: {there} was refused, and is there");
            assert!(left == right, "writer {i}: half a transaction: {left} and {right}");
            assert!(
                (of_transaction..=there).contains(&left),
                "writer {i}: {of_transaction} <= {left} <= {there}"
            );
            self.held[i] = there;
            self.next[i] = told.last.max(there);
        }
    }
}

/// Kills and restarts a server under load, whose children write now and then; what was answered longer than `may_lose` ago
/// must be there.
fn torture(policy: &str, may_lose: Duration) {
    let dir = tempfile::tempdir().unwrap();
    let mut rng = StdRng::seed_from_u64(policy.len() as u64 * 31 + rounds());
    let mut ledger = Ledger::default();
    // A slow disk may leave a short round without an answer, though not all of them.
    let mut answered = 0;
    for round in 0..rounds() {
        let preamble = if rng.random() { "yes" } else { "no" };
        let args =
            ["--appendfsync", policy, "--aof-use-rdb-preamble", preamble, "--rdb-key-save-delay", "20"];
        let node = Node::start(dir.path(), &args);
        let mut c = node.client();
        assert_eq!(c.ask(&["DEBUG", "POPULATE", FILLER]), "+OK");
        let stop = Arc::default();
        let writers = ledger.start_writers(&node, &stop);
        // Some live long enough for what is older than what may be lost.
        let alive_ms = if round % 8 == 7 { rng.random_range(2000..3500) } else { rng.random_range(20..150) };
        thread::sleep(Duration::from_millis(alive_ms));
        // The end comes at any moment of what a child does, or without one.
        match round % 4 {
            0 => {}
            1 => drop(c.ask(&["BGSAVE"])),
            _ => drop(c.ask(&["BGREWRITEAOF"])),
        }
        thread::sleep(Duration::from_millis(rng.random_range(0..120)));
        let killed = Instant::now();
        node.kill();
        let told: Vec<Told> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
        answered += told.iter().map(|told| told.answered.len()).sum::<usize>();

        let node = Node::start(dir.path(), &args);
        ledger.check(&node, &told, killed, may_lose);
        if round % 5 == 4 {
            // Killed as they are, most rewrites do not get to their end; the file must not become too long for that.
            node.rewrite();
        }
        node.kill();
    }
    assert!(answered > rounds() as usize, "hardly anything was written");
}

#[test]
fn nothing_that_was_answered_is_lost_with_always() {
    torture("always", Duration::ZERO);
}

#[test]
fn little_that_was_answered_is_lost_with_everysec() {
    torture("everysec", EVERYSEC_MAY_LOSE);
}

#[test]
fn nothing_is_lost_by_the_end_of_the_process_alone() {
    // What was written is the system's, whether it has reached the disk or not.
    torture("no", Duration::ZERO);
}

/// The disk of the test below, and what of it is left when a round begins.
const DISK_KIB: usize = 2048;
const ROOM_KIB: u64 = 256;

/// What a server logs when it is full: all at once, or in the middle of a write.
const FULL: [&str; 2] = ["No space left on device", "Short write while writing to the AOF file"];

/// Takes all room on the disk but a little.
fn put_ballast(path: &Path) {
    let mut file = fs::File::create(path).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    let taken = file.metadata().unwrap().len();
    file.set_len(taken.saturating_sub(ROOM_KIB * 1024)).unwrap();
}

/// Whatever is left by children that were killed, as somebody who needs room would.
fn remove_temp_files(dir: &Path) {
    let files = |dir: &Path| -> Vec<PathBuf> {
        fs::read_dir(dir).map(|dir| dir.map(|file| file.unwrap().path()).collect()).unwrap_or_default()
    };
    for file in files(dir).into_iter().chain(files(&dir.join("appendonlydir"))) {
        if file.file_name().unwrap().to_string_lossy().starts_with("temp-") {
            fs::remove_file(file).unwrap();
        }
    }
}

/// A server whose disk gets full is killed at any moment, before that or after; it comes back on a disk that is still full.
fn torture_on_a_full_disk(policy: &str, may_lose: Duration) {
    let Some(disk) = SmallDisk::mount(DISK_KIB) else {
        return eprintln!("no disk can be mounted here");
    };
    let mut rng = StdRng::seed_from_u64(policy.len() as u64 * 37 + rounds());
    let mut ledger = Ledger::default();
    let (ballast, args) = (disk.path().join("ballast"), ["--appendfsync", policy, "--rdbcompression", "no"]);
    let mut full = 0;
    for round in 0..rounds() {
        let node = Node::start(disk.path(), &args);
        let mut c = node.client();
        assert_eq!(c.ask(&["DEBUG", "POPULATE", FILLER, "key", "100"]), "+OK");
        node.rewrite();
        let files = disk.path().join("appendonlydir");
        wait_for("the old files to be gone", || fs::read_dir(&files).unwrap().count() == 3);
        put_ballast(&ballast);
        let stop = Arc::default();
        let writers = ledger.start_writers(&node, &stop);
        // So much that the disk is full before, or soon, or not at all.
        let filling = "x".repeat(rng.random_range(100..8000));
        let mut filler = node.client();
        for _ in 0..rng.random_range(20..400) {
            // Answered or refused; a server that promises always is gone when it cannot keep that.
            if !filler.try_send(format!("SET filling {filling}\r\n").as_bytes()) || filler.line().is_empty() {
                break;
            }
        }
        match round % 4 {
            0 => {}
            1 => _ = filler.try_send(b"BGSAVE\r\n"),
            _ => _ = filler.try_send(b"BGREWRITEAOF\r\n"),
        }
        thread::sleep(Duration::from_millis(rng.random_range(0..80)));
        let killed = Instant::now();
        let log = node.log();
        full += u64::from(FULL.iter().any(|text| log.contains(text)));
        node.kill();
        let told: Vec<Told> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();

        if round % 2 == 0 {
            fs::remove_file(&ballast).unwrap();
        }
        ledger.check(&Node::start(disk.path(), &args), &told, killed, may_lose);
        let _ = fs::remove_file(&ballast);
        remove_temp_files(disk.path());
    }
    assert!(full >= rounds() / 4, "the disk was full {full} times: the test shows nothing");
}

#[test]
fn a_full_disk_costs_nothing_that_was_answered_with_always() {
    torture_on_a_full_disk("always", Duration::ZERO);
}

#[test]
fn a_full_disk_costs_little_that_was_answered_with_everysec() {
    torture_on_a_full_disk("everysec", EVERYSEC_MAY_LOSE);
}

/// Transactions write one number to all of these keys, so that a file which holds different ones is no snapshot.
const KEYS: usize = 10;

/// Answers whether it was done.
fn write_generation(c: &mut RawClient, generation: u64) -> bool {
    let number = generation.to_string();
    let mut bytes = String::from("MULTI\r\n");
    for key in 0..KEYS {
        bytes.push_str(&format!("SET k{key} {number}\r\n"));
    }
    bytes.push_str("EXEC\r\n");
    if !c.try_send(bytes.as_bytes()) {
        return false;
    }
    // The replies of MULTI, the queued commands and the head of EXEC's, then its own.
    let replies: Vec<String> = (0..KEYS + 2 + KEYS).map(|_| c.line()).collect();
    replies.last().is_some_and(|line| line == "+OK")
}

/// The server is killed at any moment of a save. What comes back is a whole snapshot, no older than the last save that was
/// answered.
#[test]
fn a_server_that_is_killed_comes_back_with_what_it_promised() {
    let dir = tempfile::tempdir().unwrap();
    let mut rng = StdRng::seed_from_u64(rounds());
    let (mut generation, mut promised) = (0, 0);
    for round in 0..rounds() as usize {
        let delay = ["0", "50", "-3"][round % 3];
        let node = Node::start(dir.path(), &["--appendonly", "no", "--rdb-key-save-delay", delay]);
        let mut c = node.client();
        let held: Vec<u64> =
            (0..KEYS).map(|key| c.ask(&["GET", &format!("k{key}")]).parse().unwrap_or(0)).collect();
        assert!(held.iter().all(|each| *each == held[0]), "round {round}: no snapshot: {held:?}");
        assert!(held[0] >= promised, "round {round}: {} was promised, {} is there", promised, held[0]);
        c.ask(&["DEBUG", "POPULATE", "500", "filler", "100"]);
        generation += 1;
        assert!(write_generation(&mut c, generation));
        assert_eq!(c.ask(&["SAVE"]), "+OK");
        promised = generation;
        let after = Duration::from_micros(rng.random_range(0..200_000));
        let killer = thread::spawn(move || {
            thread::sleep(after);
            node.kill();
        });
        loop {
            generation += 1;
            if !write_generation(&mut c, generation) {
                break;
            }
            match generation % 3 {
                0 if c.try_send(b"SAVE\r\n") && c.line() == "+OK" => promised = generation,
                1 if c.try_send(b"BGSAVE\r\n") => drop(c.line()),
                _ => {}
            }
        }
        killer.join().unwrap();
    }
}
