//! Random commands, sent to a server with an append-only file: what its files hold is what they did.
//!
//! Every so many commands the dataset is forgotten and loaded again, from what was appended, from a base of either kind, or
//! from an RDB file; it must be as it was. What is appended of a command is often another one, that does not depend on time
//! or chance: this finds those which do not do what they stand for. Some of the commands run in transactions, in scripts
//! and in functions.
//!
//! No expiry of [`Grammar`] ends during the test: what is gone by itself could not be told from what is lost.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::common::{RawClient, TestServer, wait_for};
use crate::grammar::Grammar;
use crate::reply::{self, Reply};
use crate::{EPISODE, send, shown, versions};

/// A library that runs what it is given.
const LIBRARY: &str = "#!lua name=run\n\
    redis.register_function('run', function(keys, args) return redis.pcall(unpack(args)) end)";

/// Runs two commands, of which the first has so many words.
const SCRIPT: &str =
    "local n = tonumber(ARGV[1]) redis.pcall(unpack(ARGV, 2, n + 1)) return redis.pcall(unpack(ARGV, n + 2))";

/// What a stream's description says of the server and not of the dataset: how its nodes lie, and when it last heard of a
/// consumer.
const FLEETING: [&[u8]; 4] = [b"radix-tree-keys", b"radix-tree-nodes", b"seen-time", b"active-time"];

/// From where the dataset comes back.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// From what was appended, behind a base.
    Appended,
    /// From a base that was just written, as an RDB file.
    RdbBase,
    /// From a base that was just written, as commands.
    CommandBase,
    /// From an RDB file.
    Rdb,
}

const WAYS: [Way; 4] = [Way::Appended, Way::RdbBase, Way::CommandBase, Way::Rdb];

fn words_of(words: &[&str]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

fn ask(c: &mut RawClient, words: &[&str]) -> Reply {
    send(c, &words_of(words));
    reply::read(c)
}

/// Whether it describes a consumer to whom nothing was given. That somebody has asked in vain is not appended, as upstream
/// does not.
fn is_idle_consumer(description: &Reply) -> bool {
    let Reply::Array(items) = description else { return false };
    let pel_count = |pair: &[Reply]| pair[0] == Reply::Bulk(b"pel-count".into()) && pair[1] == Reply::Int(0);
    items.iter().any(|item| *item == Reply::Bulk(b"seen-time".into())) && items.windows(2).any(pel_count)
}

/// The description of a pending entry without when and how often it was given. That it was given to the same consumer again is
/// not appended, as upstream does not.
fn pending_entry(items: &[Reply]) -> Option<Reply> {
    match items {
        [id @ Reply::Bulk(_), consumer @ .., Reply::Int(_), Reply::Int(_)] if consumer.len() < 2 => {
            Some(Reply::Array([id].into_iter().chain(consumer).cloned().collect()))
        }
        _ => None,
    }
}

/// The reply without what is fleeting.
fn lasting(reply: Reply) -> Reply {
    let Reply::Array(items) = reply else { return reply };
    if let Some(entry) = pending_entry(&items) {
        return entry;
    }
    let mut lasting: Vec<Reply> = Vec::new();
    for item in items.into_iter().filter(|item| !is_idle_consumer(item)) {
        let fleeting =
            matches!(lasting.last(), Some(Reply::Bulk(name)) if FLEETING.contains(&name.as_slice()));
        lasting.push(if fleeting { Reply::Simple("any".into()) } else { self::lasting(item) });
    }
    Reply::Array(lasting)
}

/// The members and scores of a sorted set, if the key holds one. A score of minus zero is zero: which of the two is shown
/// depends on the encoding, and that on what the set has been.
fn scores(c: &mut RawClient, key: &str) -> Option<Vec<Reply>> {
    let Reply::Array(mut items) = ask(c, &["ZRANGE", key, "0", "-1", "WITHSCORES"]) else { return None };
    let minus_zero = Reply::Bulk(b"-0".into());
    items.iter_mut().filter(|item| **item == minus_zero).for_each(|item| *item = Reply::Bulk(b"0".into()));
    Some(items).filter(|items| !items.is_empty())
}

/// What there is, a line each.
fn state(c: &mut RawClient, grammar: &Grammar) -> Vec<String> {
    let mut lines = vec![format!("{:?}", ask(c, &["FUNCTION", "LIST", "WITHCODE"]))];
    for db in ["0", "1"] {
        ask(c, &["SELECT", db]);
        for key in grammar.all_keys() {
            let value = match scores(c, &key) {
                Some(scores) => Reply::Array(scores),
                None => ask(c, &["DEBUG", "DIGEST-VALUE", &key]),
            };
            let mut line = format!("{db} {key}: {value:?} until {:?}", ask(c, &["PEXPIRETIME", &key]));
            if let Reply::Array(fields) = ask(c, &["HKEYS", &key]) {
                let mut names: Vec<Vec<u8>> = fields
                    .into_iter()
                    .filter_map(|f| if let Reply::Bulk(name) = f { Some(name) } else { None })
                    .collect();
                names.sort();
                if !names.is_empty() {
                    let mut words = words_of(&["HPEXPIRETIME", &key, "FIELDS", &names.len().to_string()]);
                    words.extend(names);
                    send(c, &words);
                    line += &format!(", fields until {:?}", reply::read(c));
                }
            }
            if let stream @ Reply::Array(_) = ask(c, &["XINFO", "STREAM", &key, "FULL", "COUNT", "0"]) {
                line += &format!(", {:?}", lasting(stream));
            }
            lines.push(line);
        }
    }
    lines
}

fn rewrite(server: &TestServer, c: &mut RawClient, as_rdb: &str) {
    c.ask(&["CONFIG", "SET", "aof-use-rdb-preamble", as_rdb]);
    let begun = server.info("aof_rewrites");
    c.ask(&["BGREWRITEAOF"]);
    wait_for("the rewrite", || {
        server.info("aof_rewrites") > begun
            && server.info("aof_rewrite_in_progress") + server.info("aof_rewrite_scheduled") == 0.0
    });
}

fn come_back(server: &TestServer, c: &mut RawClient, way: Way) -> String {
    match way {
        Way::Appended => {}
        Way::RdbBase => rewrite(server, c, "yes"),
        Way::CommandBase => rewrite(server, c, "no"),
        Way::Rdb => return c.ask(&["DEBUG", "RELOAD"]),
    }
    c.ask(&["DEBUG", "LOADAOF"])
}

/// A command that has an effect which can be told: a stream's counter that is set to its end goes below zero, where no command
/// can set it.
fn command(grammar: &Grammar, rng: &mut StdRng, in_transaction: bool) -> Vec<Vec<u8>> {
    loop {
        let words = grammar.command(rng, in_transaction);
        if !words[0].eq_ignore_ascii_case(b"xsetid") || !words.contains(&i64::MAX.to_string().into_bytes()) {
            return words;
        }
    }
}

/// A command, by itself or in a script.
fn step(grammar: &Grammar, rng: &mut StdRng, in_transaction: bool) -> Vec<Vec<u8>> {
    let words = command(grammar, rng, in_transaction);
    match rng.random_range(0..12) {
        0 => [words_of(&["FCALL", "run", "0"]), words].concat(),
        1 => {
            let second = command(grammar, rng, in_transaction);
            let count = words.len().to_string();
            [words_of(&["EVAL", SCRIPT, "0", &count]), words, second].concat()
        }
        _ => words,
    }
}

fn episode(server: &TestServer, grammar: &Grammar, rng: &mut StdRng, seed: u64, way: Way) -> usize {
    let mut c = server.raw();
    c.ask(&["FLUSHALL"]);
    for (name, value) in grammar.limits(rng) {
        c.ask(&["CONFIG", "SET", name, &value]);
    }
    ask(&mut c, &["FUNCTION", "LOAD", "REPLACE", LIBRARY]);
    let (mut history, mut in_transaction) = (Vec::new(), false);
    for _ in 0..EPISODE {
        let words = step(grammar, rng, in_transaction);
        send(&mut c, &words);
        reply::read(&mut c);
        match words[0].to_ascii_lowercase().as_slice() {
            b"multi" => in_transaction = true,
            b"exec" | b"discard" | b"reset" => in_transaction = false,
            _ => {}
        }
        history.push(shown(&words));
    }
    ask(&mut c, &["DISCARD"]);
    let before = state(&mut c, grammar);
    let loaded = come_back(server, &mut c, way);
    assert_eq!(loaded, "+OK", "{}\nseed {seed}, {way:?}\n{}", history.join("\n"), server.log());
    let after = state(&mut c, grammar);
    let differ = before.iter().zip(&after).filter(|(before, after)| before != after);
    let differ: Vec<String> = differ.map(|(before, after)| format!("{before}\n  became {after}")).collect();
    assert!(differ.is_empty(), "{}\nseed {seed}, {way:?}\n{}", history.join("\n"), differ.join("\n"));
    EPISODE
}

#[test]
fn what_is_on_disk_is_what_was_done() {
    let args = ["--appendonly", "yes", "--save", "", "--enable-debug-command", "yes", "--appendfsync", "no"];
    let server = TestServer::start(&[&args[..], &["--auto-aof-rewrite-percentage", "0"]].concat());
    let variable = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let seconds = variable("OCHRE_DIFFERENTIAL_SECONDS").unwrap_or(10);
    let seed = variable("OCHRE_DIFFERENTIAL_SEED").unwrap_or_else(rand::random);
    let mut rng = StdRng::seed_from_u64(seed);
    let grammar = Grammar::load(&mut server.raw(), &mut server.raw(), versions::OURS);
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut commands = 0;
    for way in WAYS.into_iter().cycle() {
        if Instant::now() >= until {
            break;
        }
        commands += episode(&server, &grammar, &mut rng, seed, way);
    }
    eprintln!("{commands} commands came back as what they did.");
}
