//! The append-only file: what was answered is there after a crash, whatever the server was doing; the files are those of Redis.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use common::{PATIENCE, RawClient, free_port, raw_client, wait_for};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// What a write may wait for a slow disk with `appendfsync everysec`, and a second for the sync itself.
const EVERYSEC_MAY_LOSE: Duration = Duration::from_millis(3500);

/// A server that can be killed and started again in the same directory.
struct Node {
    program: PathBuf,
    child: Child,
    port: u16,
    dir: PathBuf,
}

impl Node {
    /// Starts Ochre.
    fn start(dir: &Path, args: &[&str]) -> Node {
        Node::start_program(env!("CARGO_BIN_EXE_redis-server").as_ref(), dir, args)
    }

    /// Starts a program that is a redis-server, and waits until it has loaded its files.
    fn start_program(program: &Path, dir: &Path, args: &[&str]) -> Node {
        let port = free_port();
        let mut all = vec!["--port".to_owned(), port.to_string(), "--dir".into(), dir.display().to_string()];
        for pair in ["--save ", "--appendonly yes", "--enable-debug-command yes"] {
            let (name, value) = pair.split_once(' ').unwrap();
            all.extend([name.to_owned(), value.to_owned()]);
        }
        all.extend(args.iter().map(|arg| (*arg).to_owned()));
        Node::spawn(program, dir, port, &all, None)
    }

    /// Starts Ochre with no file longer than so many bytes; what is written beyond fails as on a full disk.
    fn start_limited(dir: &Path, args: &[&str], file_bytes: u64) -> Node {
        let port = free_port();
        let mut all = vec!["--port".to_owned(), port.to_string(), "--dir".into(), dir.display().to_string()];
        all.extend(["--save", "", "--appendonly", "yes"].map(str::to_owned));
        all.extend(args.iter().map(|arg| (*arg).to_owned()));
        Node::spawn(env!("CARGO_BIN_EXE_redis-server").as_ref(), dir, port, &all, Some(file_bytes))
    }

    fn spawn(program: &Path, dir: &Path, port: u16, args: &[String], file_bytes: Option<u64>) -> Node {
        let log = fs::OpenOptions::new().create(true).append(true).open(dir.join("log")).unwrap();
        let mut command = match file_bytes {
            None => Command::new(program),
            Some(bytes) => {
                // The shell has the signal ignored that would end the process, so that the write fails.
                let script = format!("trap '' XFSZ; ulimit -S -f {}; exec \"$0\" \"$@\"", bytes / 512);
                let mut command = Command::new("sh");
                command.args(["-c", &script]).arg(program);
                command
            }
        };
        let child = command.args(args).stdout(log).stderr(Stdio::null()).spawn().unwrap();
        let mut node = Node { program: program.to_owned(), child, port, dir: dir.to_owned() };
        node.wait_until_loaded();
        node
    }

    fn wait_until_loaded(&mut self) {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("{} does not start: {status}\n{}", self.program.display(), self.log());
            }
            if std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok()
                && self.client().ask(&["PING"]) == "+PONG"
            {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("{} does not load: {}", self.program.display(), self.log());
    }

    fn client(&self) -> RawClient {
        raw_client(self.port)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// Ends it at once, as a crash does.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn digest(&self) -> String {
        self.client().ask(&["DEBUG", "DIGEST"])
    }

    /// Rewrites the file and waits until that is done.
    fn rewrite(&self) {
        let mut c = self.client();
        assert!(c.ask(&["BGREWRITEAOF"]).starts_with("+Background"));
        wait_for("the rewrite", || {
            let info = c.ask(&["INFO", "persistence"]);
            info.contains("aof_rewrite_in_progress:0") && info.contains("aof_rewrite_scheduled:0")
        });
        assert!(c.ask(&["INFO", "persistence"]).contains("aof_last_bgrewrite_status:ok"), "{}", self.log());
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a writer was told: the number of each of its writes that was answered, and when.
type Answered = Vec<(u64, Instant)>;

/// Writes ever greater numbers to a key of its own, in transactions now and then, until the server is gone.
fn write_load(port: u16, key: String, first: u64, stop: Arc<AtomicBool>) -> JoinHandle<Answered> {
    thread::spawn(move || {
        let mut c = raw_client(port);
        let mut answered = Vec::new();
        for n in first.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let value = n.to_string();
            let set =
                format!("*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n${}\r\n{value}\r\n", key.len(), value.len());
            let (request, lines) = if n % 7 == 0 {
                (format!("*1\r\n$5\r\nMULTI\r\n{set}{set}*1\r\n$4\r\nEXEC\r\n"), 6)
            } else {
                (set, 1)
            };
            if !c.try_send(request.as_bytes()) {
                break;
            }
            let last = (0..lines).map(|_| c.line()).last().unwrap_or_default();
            if last != "+OK" {
                break;
            }
            answered.push((n, Instant::now()));
        }
        answered
    })
}

/// Kills and restarts a server under load; with `policy`, what was answered longer than `may_lose` ago must be there.
fn torture(policy: &str, may_lose: Duration, rounds: u64) {
    const WRITERS: usize = 4;
    let dir = tempfile::tempdir().unwrap();
    let mut rng = StdRng::seed_from_u64(policy.len() as u64 * 31 + rounds);
    let mut first = [1; WRITERS];
    for round in 0..rounds {
        let preamble = if rng.random() { "yes" } else { "no" };
        let args = ["--appendfsync", policy, "--aof-use-rdb-preamble", preamble];
        let node = Node::start(dir.path(), &args);
        let stop = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> =
            (0..WRITERS).map(|i| write_load(node.port, format!("k:{i}"), first[i], stop.clone())).collect();
        // The end comes at any moment of a rewrite, or without one.
        thread::sleep(Duration::from_millis(rng.random_range(20..150)));
        if round % 3 != 0 {
            node.client().ask(&["BGREWRITEAOF"]);
            thread::sleep(Duration::from_millis(rng.random_range(0..120)));
        }
        let killed = Instant::now();
        node.kill();
        let answered: Vec<Answered> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();

        let node = Node::start(dir.path(), &args);
        let mut c = node.client();
        for (i, answered) in answered.iter().enumerate() {
            let there: u64 = c.ask(&["GET", &format!("k:{i}")]).parse().unwrap_or(0);
            let due = answered.iter().filter(|(_, at)| killed.duration_since(*at) >= may_lose);
            let promised = due.map(|(n, _)| *n).max().unwrap_or(0);
            let sent = answered.last().map_or(first[i], |(n, _)| n + 1);
            assert!(there >= promised, "{policy}: writer {i}: {promised} was answered, {there} is there");
            assert!(there <= sent, "{policy}: writer {i}: {sent} was sent at most, {there} is there");
            first[i] = sent.max(there) + 1;
        }
        node.kill();
    }
}

/// How often a server is killed in each of the tests below: `OCHRE_TORTURE`, or a few times.
fn rounds() -> u64 {
    std::env::var("OCHRE_TORTURE").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(8)
}

#[test]
fn nothing_that_was_answered_is_lost_with_always() {
    torture("always", Duration::ZERO, rounds());
}

#[test]
fn little_that_was_answered_is_lost_with_everysec() {
    torture("everysec", EVERYSEC_MAY_LOSE, rounds());
}

#[test]
fn nothing_is_lost_by_the_end_of_the_process_alone() {
    // What was written is the system's, whether it has reached the disk or not.
    torture("no", Duration::ZERO, rounds());
}

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

/// Makes keys of every type, of every encoding that commands lead to.
fn populate(c: &mut RawClient, with_field_expiry: bool) {
    let mut run = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        c.command(&words);
        let reply = c.line();
        assert!(!reply.starts_with('-'), "{line}: {reply}");
        if let Some(len) = reply.strip_prefix('$').and_then(|len| len.parse::<usize>().ok()) {
            let mut body = vec![0; len + 2];
            std::io::Read::read_exact(&mut c.reader, &mut body).unwrap();
        }
    };
    run("SET int 12");
    run("SET short abc PX 100000000");
    run(&format!("SET long {}", "l".repeat(20_000)));
    for n in 0..300 {
        run(&format!("RPUSH list:{} {n} {}", n % 2, "e".repeat(if n % 2 == 0 { 4 } else { 90 })));
        run(&format!("SADD set:ints {n}"));
        run(&format!("SADD set:{} m{n} {}", n % 2, n * 7));
        run(&format!("ZADD zset:{} {}.5 m{n}", n % 2, n * 3 % 17));
        run(&format!("HSET hash:{} f{n} {}", n % 2, "v".repeat(if n % 2 == 0 { 3 } else { 100 })));
        run(&format!("XADD stream {n}-1 f {n} g x"));
    }
    run("XDEL stream 5-1 299-1");
    run("XGROUP CREATE stream g1 100-1");
    run("XGROUP CREATE stream g2 0 ENTRIESREAD 3");
    run("XGROUP CREATECONSUMER stream g2 idle");
    run("XCLAIM stream g1 alice 0 7-1 TIME 1700000000000 RETRYCOUNT 4 FORCE JUSTID");
    run("XADD empty 1-1 a b");
    run("XDEL empty 1-1");
    run("ZADD zset:0 inf top -inf bottom 4294967296.5 large");
    run("SELECT 9");
    run("SET other db");
    run("EXPIREAT other 99999999999");
    if with_field_expiry {
        run("HSET fields a 1 b 2 c 3");
        run("HPEXPIREAT fields 9999999999999 FIELDS 2 a b");
    }
}

#[test]
fn rewritten_files_hold_the_same_dataset_in_either_form() {
    for preamble in ["yes", "no"] {
        let dir = tempfile::tempdir().unwrap();
        let node = Node::start(dir.path(), &["--aof-use-rdb-preamble", preamble]);
        populate(&mut node.client(), true);
        let digest = node.digest();
        node.rewrite();
        node.kill();
        let node = Node::start(dir.path(), &[]);
        assert_eq!(node.digest(), digest, "preamble {preamble}");
        let mut c = node.client();
        assert_eq!(c.ask(&["SELECT", "9"]), "+OK");
        assert_eq!(c.ask(&["HPEXPIRETIME", "fields", "FIELDS", "1", "a"]), "*1");
        assert_eq!(c.line(), ":9999999999999");
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
fn files_are_exchanged_with_the_distributions_redis() {
    let other = Path::new("/usr/bin/redis-server");
    if !other.exists() {
        eprintln!("{} is not there: nothing to exchange files with", other.display());
        return;
    }
    for preamble in ["yes", "no"] {
        // Version 10 of the format is the last that Redis 7.0 reads.
        let ours = ["--aof-use-rdb-preamble", preamble, "--rdb-version", "10"];
        let theirs = ["--aof-use-rdb-preamble", preamble];
        let dir = tempfile::tempdir().unwrap();
        let node = Node::start(dir.path(), &ours);
        populate(&mut node.client(), false);
        node.rewrite();
        assert_eq!(node.client().ask(&["SET", "behind", "the base"]), "+OK");
        let digest = node.digest();
        node.kill();
        let node = Node::start_program(other, dir.path(), &theirs);
        assert_eq!(node.digest(), digest, "ours, preamble {preamble}");
        node.rewrite();
        assert_eq!(node.client().ask(&["SET", "behind", "their base"]), "+OK");
        let digest = node.digest();
        node.kill();
        let node = Node::start(dir.path(), &ours);
        assert_eq!(node.digest(), digest, "theirs, preamble {preamble}");
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
