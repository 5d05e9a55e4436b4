//! Commands made from their descriptions: arguments of the kinds that `src/commands/*.json` gives, filled with values from
//! small pools, so that keys meet, conditions hold and fail, and values convert.

use std::collections::BTreeMap;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::Value;

use crate::common::RawClient;
use crate::reply::{self, Reply};
use crate::versions::{self, Version};

/// Groups whose commands are tried, each with keys of its own that usually hold what they are about.
const GROUPS: [(&str, &str); 9] = [
    ("string", "s"),
    ("bitmap", "s"),
    ("hyperloglog", "p"),
    ("list", "l"),
    ("set", "t"),
    ("hash", "h"),
    ("sorted-set", "z"),
    ("geo", "g"),
    ("stream", "x"),
];

/// Commands of other groups that are tried as well, with keys of all kinds.
const GENERIC: [&str; 24] = [
    "del",
    "unlink",
    "exists",
    "type",
    "touch",
    "rename",
    "renamenx",
    "copy",
    "move",
    "expire",
    "pexpire",
    "expireat",
    "pexpireat",
    "persist",
    "ttl",
    "expiretime",
    "sort",
    "sort_ro",
    "keys",
    "scan",
    "select",
    "swapdb",
    "watch",
    "unwatch",
];

/// Looks into the data structures, which another version may do differently.
const INTROSPECTION: [&str; 3] = ["object-encoding", "xinfo-stream", "xinfo-consumers"];

/// Commands that are about the implementation, or about other servers. Payloads have a version, and say in which order a table
/// has its elements.
const EXCLUDED: [&str; 6] = ["pfdebug", "pfselftest", "dump", "restore", "restore-asking", "migrate"];

/// Prefixes of the keys that any command may be given.
const PREFIXES: [&str; 8] = ["s", "p", "l", "t", "h", "z", "g", "x"];

/// Prefixes of the keys that a command about another kind may be given. A score that is no place must not get among the
/// places: which place it stands for is undefined in C where it is negative or infinite.
const OTHERS: [&str; 7] = ["s", "p", "l", "t", "h", "z", "x"];

/// Prefix of sorted sets that have one score only: a range of names means something only there.
const ONE_SCORE: &str = "y";

/// Commands that make keys, which are tried more often than the rest.
const CREATORS: [&str; 12] = [
    "set", "rpush", "lpush", "sadd", "hset", "zadd", "xadd", "geoadd", "pfadd", "setbit", "hexpire",
    "bitfield",
];

/// A command that can be tried.
struct Spec {
    /// Its name; a subcommand's as two words.
    words: Vec<String>,
    /// With what its keys begin; the keys of one without a group of its own are those of any.
    key_prefix: Option<&'static str>,
    arguments: Vec<Value>,
}

/// Limits of the compact encodings.
const LIMITS: [&str; 12] = [
    "hash-max-listpack-entries",
    "hash-max-listpack-value",
    "hll-sparse-max-bytes",
    "set-max-intset-entries",
    "set-max-listpack-entries",
    "set-max-listpack-value",
    "zset-max-listpack-entries",
    "zset-max-listpack-value",
    "stream-node-max-bytes",
    "stream-node-max-entries",
    "list-max-listpack-size",
    "list-compress-depth",
];

/// All commands and limits that both servers have.
pub struct Grammar {
    version: Version,
    specs: Vec<Spec>,
    limits: Vec<&'static str>,
}

impl Grammar {
    /// Reads the descriptions, and asks both servers which of the commands they have.
    ///
    /// Options that came after the reference's version are left out.
    pub fn load(theirs: &mut RawClient, ours: &mut RawClient, version: Version) -> Grammar {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/commands");
        let mut files: BTreeMap<String, Value> = BTreeMap::new();
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            files.insert(name, serde_json::from_str(&text).unwrap());
        }
        let mut specs = Vec::new();
        for (name, file) in &files {
            let group = file["group"].as_str().unwrap();
            let own = GROUPS.iter().find(|(own, _)| *own == group).map(|(_, prefix)| *prefix);
            let key_prefix = match own {
                Some(prefix) => Some(prefix),
                None if GENERIC.contains(&name.as_str()) => None,
                None if INTROSPECTION.contains(&name.as_str()) => None,
                None => continue,
            };
            let introspects = INTROSPECTION.contains(&name.as_str());
            let container = file["container"].as_str().map(str::to_owned);
            let is_container = files.values().any(|f| f["container"].as_str() == Some(name));
            if EXCLUDED.contains(&name.as_str())
                || is_container
                || name.ends_with("-help")
                || (introspects && version < versions::OURS)
            {
                continue;
            }
            let mut words: Vec<String> = container.into_iter().collect();
            words.push(file["name"].as_str().unwrap().to_owned());
            if has_command(theirs, &words) && has_command(ours, &words) {
                let arguments = file["arguments"].as_array().cloned().unwrap_or_default();
                let arguments = known_to(arguments, version);
                specs.push(Spec { words, key_prefix, arguments });
            }
        }
        assert!(specs.len() > 20, "the descriptions were not found");
        let limits =
            LIMITS.into_iter().filter(|name| has_directive(theirs, name) && has_directive(ours, name));
        Grammar { version, specs, limits: limits.collect() }
    }

    /// Names of all keys that commands may create.
    pub fn all_keys(&self) -> Vec<String> {
        let prefixes = PREFIXES.into_iter().chain([ONE_SCORE]);
        prefixes.flat_map(|prefix| (1..=3).map(move |n| format!("{prefix}{n}"))).collect()
    }

    /// Limits of the compact encodings, so low that they are passed.
    pub fn limits(&self, rng: &mut StdRng) -> Vec<(&'static str, String)> {
        let value = |name: &str, rng: &mut StdRng| match name {
            "list-max-listpack-size" => (*["-2", "-1", "1", "4"].choose(rng).unwrap()).to_owned(),
            "list-compress-depth" => rng.random_range(0..3).to_string(),
            // Not below the next: otherwise a union's encoding depends on which member comes first.
            "set-max-intset-entries" => [8, 100].choose(rng).unwrap().to_string(),
            "set-max-listpack-entries" => [2, 8].choose(rng).unwrap().to_string(),
            "hll-sparse-max-bytes" => [50, 3000].choose(rng).unwrap().to_string(),
            "stream-node-max-bytes" => [0, 100, 4096].choose(rng).unwrap().to_string(),
            _ => [2, 8, 100].choose(rng).unwrap().to_string(),
        };
        self.limits.iter().map(|name| (*name, value(name, rng))).collect()
    }

    /// A command, right most of the time; now and then one that begins or ends a transaction.
    pub fn command(&self, rng: &mut StdRng, in_transaction: bool) -> Vec<Vec<u8>> {
        loop {
            let words = self.any_command(rng, in_transaction);
            if !versions::changed_since(self.version, &words) {
                return words;
            }
        }
    }

    fn any_command(&self, rng: &mut StdRng, in_transaction: bool) -> Vec<Vec<u8>> {
        if rng.random_ratio(1, if in_transaction { 8 } else { 60 }) {
            let word = match (in_transaction, rng.random_range(0..8)) {
                (true, 0) => "DISCARD",
                (true, _) => "EXEC",
                (false, 0) => "EXEC",
                (false, _) => "MULTI",
            };
            return vec![word.into()];
        }
        if rng.random_ratio(1, 25) {
            return group_command(rng);
        }
        let creates = |spec: &&Spec| CREATORS.contains(&spec.words[0].as_str());
        let creators: Vec<&Spec> = self.specs.iter().filter(creates).collect();
        let spec = match rng.random_ratio(1, 3) {
            true => creators.choose(rng).unwrap(),
            false => self.specs.choose(rng).unwrap(),
        };
        let mut words: Vec<Vec<u8>> = spec.words.iter().map(|word| word.clone().into_bytes()).collect();
        let prefix = spec.key_prefix.unwrap_or_else(|| PREFIXES.choose(rng).unwrap());
        words.extend(Filler { rng, spec, prefix }.all(&spec.arguments));
        if rng.random_ratio(1, 25) && words.len() > 1 {
            damage(&mut words, rng);
        }
        if spec.words[0] == "zadd" && rng.random_ratio(1, 6) {
            let mut filler = Filler { rng, spec, prefix: ONE_SCORE };
            let members = [filler.text(), filler.text(), filler.text()];
            words = vec![b"ZADD".to_vec(), filler.key()];
            words.extend(members.into_iter().flat_map(|member| [b"0".to_vec(), member]));
        }
        tame(&mut words, rng);
        words
    }
}

/// A command that makes a consumer group, or gives its consumers something to do.
fn group_command(rng: &mut StdRng) -> Vec<Vec<u8>> {
    let mut numbered = |prefix: &str| format!("{prefix}{}", rng.random_range(1..4));
    let (key, group, consumer, count) = (numbered("x"), numbered("g"), numbered("c"), numbered(""));
    let create = ["XGROUP", "CREATE", &key, &group, "0", "MKSTREAM"];
    let read = ["XREADGROUP", "GROUP", &group, &consumer, "COUNT", &count, "STREAMS", &key, ">"];
    let words = if rng.random_ratio(1, 3) { &create[..] } else { &read[..] };
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

/// Takes from a command what is left to chance, to the clock or to the order of a table.
fn tame(words: &mut Vec<Vec<u8>>, rng: &mut StdRng) {
    let name = String::from_utf8_lossy(&words[0]).to_lowercase();
    let at = |words: &[Vec<u8>], option: &str| {
        words.iter().position(|word| word.eq_ignore_ascii_case(option.as_bytes()))
    };
    // Any subset would do for the answer.
    words.retain(|word| !word.eq_ignore_ascii_case(b"any"));
    match name.as_str() {
        // All members, or one of many.
        "spop" if words.len() == 2 => words.push(b"1000".to_vec()),
        "spop" => words.iter_mut().skip(2).filter(|n| small(n) > Some(0)).for_each(|n| *n = b"1000".to_vec()),
        "xadd" => {
            let id = format!("{}-{}", rng.random_range(30..45), rng.random_range(0..3)).into_bytes();
            words.iter_mut().filter(|word| *word == b"*").for_each(|word| word.clone_from(&id));
        }
        "sort" | "sort_ro" if at(words, "by").is_some() => {
            // Elements of the same weight come in any order.
            for option in ["limit", "store"] {
                if let Some(i) = at(words, option) {
                    words.truncate(i);
                }
            }
        }
        name if name.ends_with("scan") => {
            // All at once: what comes first is up to each table.
            let cursor = if name == "scan" { 1 } else { 2 };
            words
                .iter_mut()
                .skip(cursor)
                .take(1)
                .filter(|n| small(n).is_some())
                .for_each(|n| *n = b"0".to_vec());
            words.extend([b"COUNT".to_vec(), b"1000".to_vec()]);
        }
        _ => {}
    }
    if name.contains("lex") || at(words, "bylex").is_some() {
        let source = if name == "zrangestore" { 2 } else { 1 };
        if let Some(key) = words.get_mut(source) {
            *key = format!("{ONE_SCORE}{}", rng.random_range(1..4)).into_bytes();
        }
    }
    if let Some(block) = at(words, "block") {
        words.get_mut(block + 1).into_iter().for_each(|timeout| *timeout = b"1".to_vec());
    }
}

/// The number that a word is.
fn small(word: &[u8]) -> Option<i64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// The arguments that a version knows.
fn known_to(arguments: Vec<Value>, version: Version) -> Vec<Value> {
    let known =
        |argument: &Value| argument["since"].as_str().is_none_or(|since| versions::parse(since) <= version);
    let mut kept: Vec<Value> = arguments.into_iter().filter(known).collect();
    for argument in &mut kept {
        if let Some(inner) = argument["arguments"].as_array().cloned() {
            argument["arguments"] = known_to(inner, version).into();
        }
    }
    kept
}

fn has_command(client: &mut RawClient, words: &[String]) -> bool {
    client.command(&["COMMAND", "INFO", &words.join("|")]);
    match reply::read(client) {
        Reply::Array(items) => matches!(&items[0], Reply::Array(_)),
        _ => false,
    }
}

fn has_directive(client: &mut RawClient, name: &str) -> bool {
    client.command(&["CONFIG", "GET", name]);
    matches!(reply::read(client), Reply::Array(items) if !items.is_empty())
}

/// Makes a command one that may be wrong.
fn damage(words: &mut Vec<Vec<u8>>, rng: &mut StdRng) {
    let i = rng.random_range(1..words.len());
    match rng.random_range(0..5) {
        0 => {
            words.remove(i);
        }
        1 => words.insert(i, words[i].clone()),
        2 => words[i] = b"foo".to_vec(),
        3 => words[i] = b"-1".to_vec(),
        _ => words.push(b"extra".to_vec()),
    }
}

/// Fills the arguments of one command.
struct Filler<'a> {
    rng: &'a mut StdRng,
    spec: &'a Spec,
    /// With what most keys begin.
    prefix: &'static str,
}

impl Filler<'_> {
    fn pick(&mut self, words: &[&str]) -> Vec<u8> {
        words.choose(self.rng).unwrap().as_bytes().to_vec()
    }

    /// Arguments that follow each other. A count of what comes behind it is what comes behind it.
    fn all(&mut self, arguments: &[Value]) -> Vec<Vec<u8>> {
        let mut words: Vec<Vec<u8>> = Vec::new();
        let (mut count_at, mut keys) = (None, None);
        for argument in arguments {
            let name = argument["name"].as_str().unwrap();
            // As many IDs as streams.
            let (filled, times) = match keys {
                Some(keys) if name == "id" && !self.rng.random_ratio(1, 20) => self.one(argument, Some(keys)),
                _ => self.one(argument, None),
            };
            keys = (name == "key").then_some(times);
            if let Some(at) = count_at.take()
                && !self.rng.random_ratio(1, 40)
            {
                words[at] = usize::to_string(&times).into_bytes();
            }
            words.extend(filled);
            if matches!(name, "numkeys" | "numfields") {
                count_at = Some(words.len() - 1);
            }
        }
        words
    }

    /// One argument, and how often it was given: that often, if it can be given more than once.
    fn one(&mut self, argument: &Value, times: Option<usize>) -> (Vec<Vec<u8>>, usize) {
        let is = |flag: &str| argument[flag].as_bool() == Some(true);
        if is("optional") && self.rng.random_ratio(2, 3) {
            return (Vec::new(), 0);
        }
        let random = self.rng.random_range(1..4);
        let times = if is("multiple") { times.unwrap_or(random) } else { 1 };
        let mut words = Vec::new();
        for i in 0..times {
            if let Some(token) = argument["token"].as_str()
                && (i == 0 || is("multiple_token"))
            {
                words.push(
                    if self.rng.random_ratio(1, 4) { token.to_lowercase() } else { token.to_owned() }.into(),
                );
            }
            match argument["type"].as_str().unwrap() {
                "pure-token" => {}
                "block" => words.extend(self.all(argument["arguments"].as_array().unwrap())),
                "oneof" => {
                    let choice = argument["arguments"].as_array().unwrap().choose(self.rng).unwrap().clone();
                    words.extend(self.one(&choice, None).0);
                }
                kind => words.push(self.value(kind, argument["name"].as_str().unwrap())),
            }
        }
        (words, times)
    }

    fn value(&mut self, kind: &str, name: &str) -> Vec<u8> {
        let stream = self.spec.key_prefix == Some("x");
        let by_score = self.spec.key_prefix == Some("z");
        match (kind, name) {
            ("key", _) => self.key(),
            (_, "value") if self.spec.words[0] == "setbit" => self.pick(&["0", "1", "1", "2"]),
            ("pattern", _) if self.spec.words[0].starts_with("sort") => {
                self.pick(&["s*", "h1->*", "#", "nokey_*"])
            }
            ("pattern", _) => self.pick(&["*", "a*", "?", "[ab]*", "1*"]),
            ("unix-time", _) => self.pick(&["9999999999", "9999999999999", "1", "0", "-5", "x"]),
            (_, "seconds" | "milliseconds") => self.lifetime(),
            (_, "timeout") => self.pick(&["0.01", "0.01", "0.002", "-1", "x", "inf"]),
            (_, "db" | "destination-db" | "index" | "index1" | "index2")
                if self.spec.key_prefix.is_none() =>
            {
                self.pick(&["0", "0", "0", "1", "1", "16", "-1", "x"])
            }
            (_, "type") => self.pick(&["string", "list", "set", "hash", "zset", "stream", "foo"]),
            (_, "group") => self.pick(&["g1", "g1", "g2", "g3"]),
            (_, "consumer") => self.pick(&["c1", "c1", "c2", "c3"]),
            // Either nobody or everybody has been idle so long, unless told otherwise.
            (_, "min-idle-time") => self.pick(&["0", "0", "0", "5000000", "-1", "x"]),
            (_, "ms") => self.pick(&["0", "100000000", "x"]),
            (_, "cursor") => self.pick(&["0"]),
            (_, "id" | "start") if stream && self.rng.random_ratio(1, 3) => {
                format!("{}-{}", self.rng.random_range(30..45), self.rng.random_range(0..3)).into_bytes()
            }
            (_, "id" | "lastid" | "last-id" | "start" | "end" | "threshold" | "min-id") if stream => self
                .pick(&[
                    "0", "1-1", "1-2", "2-1", "3", "5-3", "9-9", "10-0", "12-*", "-", "+", "$", "(1-1", "4",
                    "20-1", "31-0",
                ]),
            (_, "new-id" | "id-selector" | "max-deleted-id") if stream => self.pick(&["1-1", "7-7", "30-0"]),
            (_, "longitude" | "latitude") => match self.rng.random_range(0..30) {
                0 => b"200".to_vec(),
                // No two at the same distance.
                _ => format!("{:.6}", self.rng.random_range(10.0..20.0)).into_bytes(),
            },
            (_, "min" | "max" | "start" | "stop") if by_score => self.bound(),
            (_, "score" | "increment") if kind == "double" => {
                self.pick(&["1", "2", "3", "-1.5", "2.25", "1e3", "0.125", "inf", "-inf", "nan"])
            }
            ("double", _) => self.pick(&["1", "0.5", "200", "100000", "-1", "x"]),
            (_, "encoding") => self.pick(&["u8", "i16", "u4", "i64", "u63", "u64", "i5"]),
            (_, "bit") => self.pick(&["0", "1", "2"]),
            (_, "offset") => self.pick(&["0", "1", "7", "13", "#2", "100", "-1"]),
            ("integer", _) => {
                self.pick(&["0", "1", "2", "3", "-1", "-2", "5", "10", "100", "9223372036854775807"])
            }
            _ => self.text(),
        }
    }

    /// A time to live: nothing that ends during the test, and no two that end at the same time.
    fn lifetime(&mut self) -> Vec<u8> {
        match self.rng.random_range(0..8) {
            0 => self.pick(&["0", "-1", "1x", "9223372036854775807"]),
            _ => self.rng.random_range(100_000_000..10_000_000_000i64).to_string().into_bytes(),
        }
    }

    /// An end of a range of a sorted set, of the command's kind most of the time.
    fn bound(&mut self) -> Vec<u8> {
        const RANKS: [&str; 6] = ["0", "0", "1", "3", "-1", "-2"];
        const SCORES: [&str; 7] = ["0", "1", "3", "(1", "-inf", "+inf", "(2.5"];
        const NAMES: [&str; 5] = ["[a", "(c", "[foo", "-", "+"];
        let name = &self.spec.words[0];
        let kind: &[&str] = match self.rng.random_range(0..10) {
            0 => &SCORES,
            1 => &NAMES,
            _ if name.contains("lex") => &NAMES,
            _ if name.contains("score") || name == "zcount" => &SCORES,
            _ => &RANKS,
        };
        self.pick(kind)
    }

    fn key(&mut self) -> Vec<u8> {
        let prefix = match self.rng.random_range(0..20) {
            0 => OTHERS.choose(self.rng).filter(|other| self.prefix != "g" || **other != "z").unwrap_or(&"g"),
            1 if self.prefix == "z" => "t",
            _ => self.prefix,
        };
        format!("{prefix}{}", self.rng.random_range(1..4)).into_bytes()
    }

    fn text(&mut self) -> Vec<u8> {
        match self.rng.random_range(0..20) {
            0 => vec![b'x'; self.rng.random_range(60..80)],
            1 => Vec::new(),
            2 => self.rng.random_range(-300_000..300_000i64).to_string().into_bytes(),
            // Not zero at first: SORT compares up to it, and what is equal comes in any order.
            3 => vec![0xff, 0, b'\r', b'\n'],
            4..8 => self.rng.random_range(0..12).to_string().into_bytes(),
            _ => self.pick(&["a", "b", "c", "d", "e", "f", "aa", "ab", "foo", "3.5"]),
        }
    }
}
