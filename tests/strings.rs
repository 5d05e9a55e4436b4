//! The string commands, through the wire.

mod common;

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{PATIENCE, TestServer, free_port, run, script, wait_for};
use rand::Rng;
use rand::SeedableRng;
use rand::rngs::StdRng;
use redis::{Commands, Connection};

#[test]
fn set_takes_its_options_together() {
    let server = TestServer::start(&[]);
    script(
        &mut server.client(false),
        "SET k v XX -> nil
         SET k v NX -> OK
         SET k w NX -> nil
         SET k w NX GET -> v
         SET k w XX GET -> v
         SET k x GET EX 100 -> w
         TTL k -> 100
         SET k y KEEPTTL -> OK
         TTL k -> 100
         SET k 1 ex 10 EX 20 -> OK
         TTL k -> 20
         SET k y -> OK
         TTL k -> -1
         SET k y PXAT 33177117420000 -> OK
         EXPIRETIME k -> 33177117420
         SET k y EXAT 33177117421 GET -> y
         EXPIRETIME k -> 33177117421
         SET k z EXAT 1 -> OK
         GET k -> nil
         SET n v GET -> nil
         SET k v NX XX -> -ERR syntax error
         SET k v EX 10 PX 10 -> -ERR syntax error
         SET k v EX 10 KEEPTTL -> -ERR syntax error
         SET k v PERSIST -> -ERR syntax error
         SET k v EX -> -ERR syntax error
         SET k v EX 0 -> -ERR invalid expire time in 'set' command
         SET k v PX 9223372036854775807 -> -ERR invalid expire time in 'set' command
         SET k v EX ten NX -> -ERR value is not an integer or out of range
         SETEX k 100 v -> OK
         TTL k -> 100
         SETEX k 0 v -> -ERR invalid expire time in 'setex' command
         PSETEX k -1 v -> -ERR invalid expire time in 'psetex' command
         SETNX k w -> 0
         SETNX m w -> 1
         GETSET k w -> v
         TTL k -> -1
         GETSET none w -> nil
         GETDEL k -> w
         GETDEL k -> nil",
    );
}

#[test]
fn getex_reads_and_changes_the_expiry() {
    let server = TestServer::start(&[]);
    script(
        &mut server.client(false),
        "GETEX k EX ten -> nil
         GETEX k NX -> -ERR syntax error
         SET k v -> OK
         GETEX k EX ten -> -ERR value is not an integer or out of range
         GETEX k EX 0 -> -ERR invalid expire time in 'getex' command
         GETEX k EX 100 -> v
         TTL k -> 100
         GETEX k -> v
         TTL k -> 100
         GETEX k PERSIST -> v
         TTL k -> -1
         GETEX k EX 1 PERSIST -> -ERR syntax error
         GETEX k PXAT 33177117420000 -> v
         PEXPIRETIME k -> 33177117420000
         GETEX k EXAT 1 -> v
         EXISTS k -> 0",
    );
}

#[test]
fn strings_are_cut_overwritten_and_grown() {
    let server = TestServer::start(&[]);
    let mut c = server.client(false);
    script(
        &mut c,
        "APPEND k foo -> 3
         APPEND k bar -> 6
         STRLEN k -> 6
         STRLEN none -> 0
         GETRANGE k 0 -1 -> foobar
         SUBSTR k 1 -2 -> ooba
         GETRANGE k -3 100 -> bar
         GETRANGE k x 1 -> -ERR value is not an integer or out of range
         SETRANGE k 3 BAZZ -> 7
         GET k -> fooBAZZ
         SETRANGE none 5  -> 0
         EXISTS none -> 0
         SETRANGE k -1 x -> -ERR offset is out of range
         SETRANGE k 536870912 x -> -ERR string exceeds maximum allowed size (proto-max-bulk-len)
         SET n 1234 -> OK
         GETRANGE n 1 2 -> 23
         SETRANGE n 1 99 -> 4
         INCR n -> 1995
         MSET a 1 b 2 a 3 -> OK
         MGET a b none a -> [3,2,nil,3]
         MSETNX c 1 a 2 -> 0
         MSETNX c 1 d 2 -> 1
         MSET a -> -ERR wrong number of arguments for 'mset' command
         MSETNX a 1 b -> -ERR wrong number of arguments for 'msetnx' command",
    );
    for empty in ["GETRANGE k -1 -3", "GETRANGE k 7 9", "GETRANGE none 0 -1"] {
        assert_eq!(run(&mut c, empty), "", "{empty}");
    }
    let _: usize = c.setrange("gap", 3, "x").unwrap();
    assert_eq!(c.get::<_, Vec<u8>>("gap").unwrap(), b"\0\0\0x");
}

#[test]
fn counters_keep_to_their_range() {
    let server = TestServer::start(&[]);
    script(
        &mut server.client(false),
        "INCR n -> 1
         DECR n -> 0
         INCRBY n 9223372036854775807 -> 9223372036854775807
         INCR n -> -ERR increment or decrement would overflow
         DECRBY n -9223372036854775808 -> -ERR decrement would overflow
         SET n -9223372036854775808 -> OK
         DECRBY n 1 -> -ERR increment or decrement would overflow
         INCRBY n x -> -ERR value is not an integer or out of range
         SET n 1.5 -> OK
         INCR n -> -ERR value is not an integer or out of range
         INCRBYFLOAT n 1.25 -> 2.75
         INCRBYFLOAT n -2.75 -> 0
         INCRBYFLOAT n 0.1 -> 0.1
         INCRBYFLOAT n 0.2 -> 0.3
         INCRBYFLOAT f 3.0e3 -> 3000
         INCRBYFLOAT f nan -> -ERR value is not a valid float
         INCRBYFLOAT f inf -> -ERR increment would produce NaN or Infinity
         SET n 01 -> OK
         INCR n -> -ERR value is not an integer or out of range
         SET n 5 EX 100 -> OK
         INCR n -> 6
         INCRBYFLOAT n 1 -> 7
         TTL n -> 100",
    );
}

#[test]
fn encodings_tell_the_history_of_a_value() {
    let server = TestServer::start(&[]);
    let mut c = server.client(false);
    script(
        &mut c,
        "SET k 9223372036854775807 -> OK
         OBJECT ENCODING k -> int
         SET k 9223372036854775808 -> OK
         OBJECT ENCODING k -> embstr
         SET k 1 -> OK
         APPEND k 0 -> 2
         OBJECT ENCODING k -> raw
         INCR k -> 11
         OBJECT ENCODING k -> int
         INCRBYFLOAT k 1 -> 12
         OBJECT ENCODING k -> embstr
         SETRANGE k 0 12 -> 2
         OBJECT ENCODING k -> raw
         COPY k l -> 1
         OBJECT ENCODING l -> raw
         APPEND new 7 -> 1
         OBJECT ENCODING new -> int",
    );
    for (len, encoding) in [(44, "embstr"), (45, "raw"), (100_000, "raw")] {
        let () = c.set("k", "x".repeat(len)).unwrap();
        assert_eq!(run(&mut c, "OBJECT ENCODING k"), encoding, "{len}");
    }
}

#[test]
fn lcs_answers_string_length_and_ranges() {
    let server = TestServer::start(&["--proto-max-bulk-len", "1mb"]);
    let mut c = server.client(false);
    script(
        &mut c,
        "MSET a ohmytext b mynewtext -> OK
         LCS a b -> mytext
         LCS a b LEN -> 6
         LCS a none LEN -> 0
         LCS a b IDX -> [matches,[[[4,7],[5,8]],[[2,3],[0,1]]],len,6]
         LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN -> [matches,[[[4,7],[5,8],4]],len,6]
         LCS a b IDX MINMATCHLEN -4 -> [matches,[[[4,7],[5,8]],[[2,3],[0,1]]],len,6]
         LCS b a IDX -> [matches,[[[5,8],[4,7]],[[0,1],[2,3]]],len,6]
         LCS a b LEN IDX -> -ERR If you want both the length and indexes, please just use IDX.
         LCS a b IDX MINMATCHLEN -> -ERR syntax error
         LCS a b IDX MINMATCHLEN x -> -ERR value is not an integer or out of range",
    );
    let () = c.mset(&[("a", "x".repeat(511)), ("b", "x".repeat(511))]).unwrap();
    assert_eq!(run(&mut c, "LCS a b LEN"), "511");
    let () = c.append("a", "x").unwrap();
    assert_eq!(
        run(&mut c, "LCS a b LEN"),
        "-ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"
    );
}

#[test]
fn strings_stay_below_the_longest_argument() {
    let server = TestServer::start(&["--proto-max-bulk-len", "1mb"]);
    let mut c = server.client(false);
    let too_long = "-ERR string exceeds maximum allowed size (proto-max-bulk-len)";
    let () = c.set("k", "x".repeat(1 << 20)).unwrap();
    assert_eq!(run(&mut c, "APPEND k x"), too_long);
    assert_eq!(run(&mut c, "APPEND k "), "1048576");
    assert_eq!(run(&mut c, "SETRANGE k 1048576 x"), too_long);
    assert_eq!(run(&mut c, "SETRANGE k 1048575 x"), "1048576");
    assert_eq!(run(&mut c, "SETRANGE none 9223372036854775807 x"), too_long);
}

#[test]
fn long_strings_survive_what_is_done_to_them() {
    let server = TestServer::start(&[]);
    let mut c = server.client(false);
    let mut model = vec![b'a'; 300_000];
    let () = c.set("other", &model).unwrap();
    let before = server.info("used_memory");
    let () = c.set("big", &model).unwrap();
    // The client's buffers are gone soon; a copy would stay.
    wait_for("a long argument to be the value, not a copy of it", || {
        server.info("used_memory") - before < 400_000.0
    });
    for round in 0..50usize {
        let at = round * 6_100;
        let _: usize = c.setrange("big", at as isize, format!("<{round}>")).unwrap();
        let patch = format!("<{round}>").into_bytes();
        model.resize(model.len().max(at + patch.len()), 0);
        model[at..at + patch.len()].copy_from_slice(&patch);
        let _: usize = c.append("big", vec![round as u8; 1000]).unwrap();
        model.extend_from_slice(&[round as u8; 1000]);
        assert!(c.get::<_, Vec<u8>>("big").unwrap() == model, "round {round}");
    }
    assert_eq!(c.getrange::<_, Vec<u8>>("big", 100_000, 180_000).unwrap(), model[100_000..=180_000]);
    // A reply that waits to be read must not see what happens to the value meanwhile.
    let mut slow = server.raw();
    for _ in 0..200 {
        slow.command(&["GET", "big"]);
    }
    std::thread::sleep(Duration::from_millis(50));
    let _: usize = c.setrange("big", 0, "changed").unwrap();
    let () = c.del("big").unwrap();
    let changed = [b"changed", &model[7..]].concat();
    for _ in 0..200 {
        let reply = slow.reply();
        assert!(reply == "$-1" || reply.as_bytes() == model || reply.as_bytes() == changed);
    }
}

#[test]
fn increments_happen_in_place() {
    let server = TestServer::start(&["--enable-debug-command", "yes"]);
    let mut c = server.client(false);
    let mut address = |expected: &str| {
        let text = run(&mut c, "DEBUG OBJECT counter");
        assert!(text.contains(expected), "{text}");
        text.split(' ').find_map(|word| word.strip_prefix("at:").map(str::to_string)).unwrap()
    };
    let mut other = server.client(false);
    let () = other.set("counter", 20_000).unwrap();
    let before = address("int");
    for _ in 0..100 {
        let _: i64 = other.incr("counter", 3).unwrap();
    }
    assert_eq!(address("int"), before);
}

/// Runs each command and checks the events that follow: `command -> event key event key …`.
fn events(server: &TestServer, text: &str) {
    let mut listener = server.raw();
    listener.command(&["PSUBSCRIBE", "__keyevent@0__:*"]);
    (0..6).for_each(|_| drop(listener.line()));
    let mut c = server.client(false);
    for line in text.lines().map(str::trim) {
        let (command, expected) = line.split_once(" ->").unwrap();
        run(&mut c, command);
        // The end of this command's events.
        run(&mut c, "PUBLISH __keyevent@0__:end .");
        let mut seen = Vec::new();
        loop {
            assert_eq!(listener.line(), "*4");
            let parts: Vec<String> = (0..4).map(|_| listener.reply()).collect();
            match parts[2].strip_prefix("__keyevent@0__:").unwrap() {
                "end" => break,
                event => seen.push(format!("{event} {}", parts[3])),
            }
        }
        assert_eq!(seen.join(" "), expected.trim(), "{command}");
    }
}

#[test]
fn every_change_is_published_and_counted() {
    let server = TestServer::start(&["--notify-keyspace-events", "KEAmn", "--enable-debug-command", "yes"]);
    events(
        &server,
        "DEBUG SET-ACTIVE-EXPIRE 0 ->
         SET k v -> new k set k
         SET k v EX 100 -> set k expire k
         SET k v NX ->
         GETEX k EX 50 -> expire k
         GETEX k PERSIST -> persist k
         GETEX k PERSIST ->
         GETEX k EXAT 1 -> del k
         GET k -> keymiss k
         SETEX k 10 v -> new k set k expire k
         APPEND k x -> append k
         APPEND l x -> new l append l
         SETRANGE k 1 abc -> setrange k
         SETRANGE k 1  ->
         SETRANGE m 1 x -> new m setrange m
         INCR n -> new n incrby n
         DECRBY n 5 -> incrby n
         INCRBYFLOAT n 1.5 -> incrbyfloat n
         GETSET n 1 -> set n
         GETSET o 1 -> keymiss o new o set o
         GETDEL n -> del n
         MSET a 1 b 2 a 3 -> new a set a new b set b set a
         MSETNX x 1 y 2 -> new x set x new y set y
         MSETNX x 1 z 2 ->
         MGET x none -> keymiss none
         SET gone v PXAT 1 -> new gone set gone expire gone
         SET gone v -> expired gone new gone set gone
         SET gone v PXAT 1 -> set gone expire gone
         INCR gone -> expired gone new gone incrby gone
         SET gone v PXAT 1 -> set gone expire gone
         STRLEN gone -> expired gone keymiss gone
         SET gone v PXAT 1 -> new gone set gone expire gone
         SET gone v XX -> expired gone",
    );
    assert_eq!(server.info("rdb_changes_since_last_save"), 27.0);
    assert_eq!(server.info("expired_keys"), 4.0);
    assert_eq!((server.info("keyspace_hits"), server.info("keyspace_misses")), (7.0, 4.0));
}

#[test]
fn accesses_move_the_clock_unless_a_client_forbids_it() {
    let server = TestServer::start(&["--maxmemory-policy", "allkeys-lfu", "--lfu-log-factor", "0"]);
    let mut c = server.client(false);
    script(
        &mut c,
        "SET k v -> OK
         OBJECT FREQ k -> 5
         GET k -> v
         OBJECT FREQ k -> 6
         CLIENT NO-TOUCH ON -> OK
         GET k -> v
         OBJECT FREQ k -> 6
         CLIENT NO-TOUCH OFF -> OK
         SET k w -> OK
         OBJECT FREQ k -> 7
         EXISTS k -> 1
         OBJECT FREQ k -> 7",
    );
}

/// A redis-server to compare with.
struct Reference(Child, u16);

impl Reference {
    fn start() -> Reference {
        let path = std::env::var("REDIS_SERVER").expect("REDIS_SERVER names a redis-server 8.0");
        let port = free_port();
        let mut command = Command::new(path);
        command.args(["--port", &port.to_string(), "--save", ""]).stdout(Stdio::null());
        Reference(command.spawn().unwrap(), port)
    }

    fn client(&self) -> Connection {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}/", self.1)).unwrap();
        let begun = Instant::now();
        loop {
            match client.get_connection() {
                Ok(connection) => return connection,
                Err(e) => assert!(begun.elapsed() < PATIENCE, "{e}"),
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn pick<'a>(rng: &mut StdRng, words: &[&'a str]) -> &'a str {
    words[rng.random_range(0..words.len())]
}

fn random_value(rng: &mut StdRng) -> Vec<u8> {
    let len = match rng.random_range(0..20) {
        0..4 => return rng.random::<i64>().to_string().into_bytes(),
        4..7 => return rng.random_range(-20..20i64).to_string().into_bytes(),
        7..10 => {
            let odd = ["", "-0", "01", "+1", " 1", "1.5", "1e3", "0x10", "inf", "-1e-9", "nan", "1e5000"];
            return pick(rng, &odd).as_bytes().to_vec();
        }
        10..17 => [1, 8, 43, 44, 45, 100, 300][rng.random_range(0..7)],
        17..19 => [1000, 16383, 16384, 16385, 20_000][rng.random_range(0..5)],
        _ => [32_767, 32_768, 50_000][rng.random_range(0..3)],
    };
    (0..len).map(|_| b"abc\0\xff"[rng.random_range(0..5)]).collect()
}

fn random_key(rng: &mut StdRng) -> Vec<u8> {
    let i = rng.random_range(0..7);
    if i == 0 { vec![b'K'; 300] } else { format!("key:{i}").into_bytes() }
}

fn random_options(rng: &mut StdRng) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    for _ in 0..rng.random_range(0..4) {
        let all = ["NX", "XX", "GET", "get", "KEEPTTL", "PERSIST", "EX", "px", "EXAT", "PXAT"];
        let word = pick(rng, &all);
        words.push(word);
        let times = ["1000", "0", "-1", "ten", "9223372036854775807", "9223372036854775"];
        match word {
            "EX" | "px" => words.push(pick(rng, &times)),
            "EXAT" => words.push(pick(rng, &["4102444800", "1", "-1"])),
            "PXAT" => words.push(pick(rng, &["4102444800000", "1", "9223372036854775807"])),
            _ => {}
        }
    }
    words.iter().map(|w| w.as_bytes().to_vec()).collect()
}

fn random_command(rng: &mut StdRng) -> Vec<Vec<u8>> {
    let number = |rng: &mut StdRng| {
        let all = ["0", "1", "5", "-1", "-3", "-100", "44", "20000", "-20000", "x", "9223372036854775807"];
        pick(rng, &all).as_bytes().to_vec()
    };
    let name = pick(
        rng,
        &[
            "SET",
            "SET",
            "SET options",
            "SET options",
            "SETNX",
            "SETEX",
            "GETEX",
            "GETDEL",
            "GETSET",
            "GETRANGE",
            "SETRANGE",
            "SETRANGE",
            "MSET",
            "MSETNX",
            "MGET",
            "INCR",
            "DECRBY",
            "INCRBY",
            "INCRBYFLOAT",
            "APPEND",
            "APPEND",
            "APPEND",
            "STRLEN",
            "COPY",
            "RENAME",
            "DEL",
        ],
    );
    let key = random_key(rng);
    let arguments = match name {
        "SET" | "SETNX" | "GETSET" | "APPEND" | "INCRBY" | "DECRBY" | "INCRBYFLOAT" => {
            vec![key, random_value(rng)]
        }
        "SET options" => [vec![key, random_value(rng)], random_options(rng)].concat(),
        "GETEX" => [vec![key], random_options(rng)].concat(),
        "SETEX" => vec![key, number(rng), random_value(rng)],
        "GETRANGE" => vec![key, number(rng), number(rng)],
        "SETRANGE" => vec![key, number(rng), random_value(rng)],
        "MSET" | "MSETNX" => vec![key, random_value(rng), random_key(rng), random_value(rng)],
        "MGET" | "COPY" | "RENAME" => vec![key, random_key(rng)],
        _ => vec![key],
    };
    let name = name.trim_end_matches(" options").as_bytes().to_vec();
    [vec![name], arguments].concat()
}

fn answer(c: &mut Connection, words: &[Vec<u8>]) -> Result<redis::Value, String> {
    let mut command = redis::Cmd::new();
    for word in words {
        command.arg(word.as_slice());
    }
    command.query(c).map_err(|e| e.to_string())
}

#[test]
#[ignore = "compares with the redis-server that REDIS_SERVER names"]
fn answers_are_those_of_redis() {
    let (server, reference) = (TestServer::start(&[]), Reference::start());
    let (mut ours, mut theirs) = (server.client(false), reference.client());
    let seed = rand::random();
    let mut rng = StdRng::seed_from_u64(seed);
    for step in 0..20_000 {
        let command = random_command(&mut rng);
        let key = random_key(&mut rng);
        let look = [vec![b"GET".to_vec(), key.clone()], vec![b"OBJECT".to_vec(), b"ENCODING".to_vec(), key]];
        for words in std::iter::once(&command).chain(&look) {
            let (our, their) = (answer(&mut ours, words), answer(&mut theirs, words));
            assert!(
                our == their,
                "seed {seed}, step {step}: {:?} after {:?}",
                words.iter().map(|w| w.escape_ascii().to_string()).collect::<Vec<_>>(),
                command.iter().map(|w| w.escape_ascii().to_string()).collect::<Vec<_>>(),
            );
        }
    }
}
