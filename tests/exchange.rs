//! Files and payloads between Ochre and servers of Redis and Valkey: what one writes the other reads, and holds the same data
//! thereafter.
//!
//! The peers are the programs that `OCHRE_PEERS` lists (separated by colons), or those in the cache and in the path
//! (`common/programs.rs`). Without any there is nothing to exchange with, and the tests say so and pass.

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use common::dataset::Knows;
use common::node::Node;
use common::{programs, run};
use redis::Connection;

/// A server that files are exchanged with.
#[derive(Debug)]
struct Peer {
    product: String,
    version: Vec<u32>,
    path: PathBuf,
}

impl Peer {
    /// All there are, of each product and version one.
    fn all() -> Vec<Peer> {
        let listed = std::env::var_os("OCHRE_PEERS");
        let paths = listed.map_or_else(programs::candidates, |list| std::env::split_paths(&list).collect());
        let mut peers = BTreeMap::new();
        for path in paths {
            // Before 7.0 there was no manifest of append-only files, and a payload of another shape.
            if let Some((product, version)) =
                programs::version_of(&path).filter(|(_, version)| version[0] >= 7)
            {
                peers.entry((product, version)).or_insert(path);
            }
        }
        if peers.is_empty() {
            eprintln!("there is no server to exchange with");
        }
        peers.into_iter().map(|((product, version), path)| Peer { product, version, path }).collect()
    }

    fn is_since(&self, version: &[u32]) -> bool {
        self.version.as_slice() >= version
    }

    fn is_redis(&self) -> bool {
        self.product == "Redis"
    }

    /// What both know.
    fn knows(&self) -> Knows {
        match self.is_redis() {
            true if self.is_since(&[7, 4]) => Knows::Redis74,
            _ if self.is_since(&[7, 2]) => Knows::Redis72,
            _ => Knows::Redis70,
        }
    }

    /// The `rdb-version` that Ochre has to write for it.
    fn reads(&self) -> &'static str {
        if self.is_since(&[7, 2]) { "auto" } else { "10" }
    }

    /// Whether its binary format is one that Redis has as well: that of Valkey since 9.0 has a magic of its own.
    fn writes_rdb(&self) -> bool {
        self.is_redis() || !self.is_since(&[9])
    }

    fn start(&self, dir: &Path, args: &[&str]) -> Node {
        Node::start_program(&self.path, dir, args)
    }

    /// Starts Ochre, to write what this peer reads.
    fn start_ochre(&self, dir: &Path, args: &[&str]) -> Node {
        Node::start(dir, &[&["--rdb-version", self.reads()], args].concat())
    }
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Ours,
    Theirs,
}

const SIDES: [Side; 2] = [Side::Ours, Side::Theirs];

fn start(side: Side, peer: &Peer, dir: &Path, args: &[&str]) -> Node {
    match side {
        Side::Ours => peer.start_ochre(dir, args),
        Side::Theirs => peer.start(dir, args),
    }
}

/// What two servers have to agree on besides the digest, which does not cover it.
const QUESTIONS: [&str; 9] = [
    "PEXPIRETIME due",
    "PEXPIRETIME expiring",
    "XINFO STREAM stream FULL COUNT 0",
    "XINFO STREAM gone FULL",
    "XINFO STREAM waiting FULL",
    "XINFO STREAM bigstream FULL COUNT 0",
    "FUNCTION LIST LIBRARYNAME first WITHCODE",
    "FUNCTION LIST LIBRARYNAME second WITHCODE",
    "FCALL two 0",
];
const QUESTIONS_OF_FIELDS: [&str; 3] = [
    "HPEXPIRETIME fields FIELDS 3 a b c",
    "HPEXPIRETIME lasting FIELDS 2 a b",
    "HPEXPIRETIME bigfields FIELDS 4 f1 f2 f3 f4",
];

/// A reply as a peer of any version gives it: `active-time` came later, and the tree of nodes is each one's own.
fn comparable(reply: &str) -> String {
    let mut words = reply.split(',');
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        match word.trim_start_matches('[') {
            "active-time" | "radix-tree-keys" | "radix-tree-nodes" => drop(words.next()),
            _ => kept.push(word),
        }
    }
    kept.join(",")
}

fn keys(c: &mut Connection) -> Vec<String> {
    let mut keys: Vec<String> = redis::cmd("KEYS").arg("*").query(c).unwrap();
    keys.sort();
    keys
}

/// Asserts that two servers, each of which has loaded what it holds, hold the same.
fn assert_same(one: &Node, other: &Node, peer: &Peer) {
    let (mut one, mut other) = (one.library(), other.library());
    assert_eq!(run(&mut one, "DEBUG DIGEST"), run(&mut other, "DEBUG DIGEST"), "{peer:?}");
    let mut ask = |question: &str| {
        let replies = [&mut one, &mut other].map(|c| comparable(&run(c, question)));
        assert!(!replies[0].starts_with('-'), "{question}: {}", replies[0]);
        assert_eq!(replies[0], replies[1], "{question} {peer:?}");
    };
    QUESTIONS.iter().for_each(|question| ask(question));
    if peer.knows() >= Knows::Redis74 {
        QUESTIONS_OF_FIELDS.iter().for_each(|question| ask(question));
    }
    if peer.is_redis() && peer.knows() >= Knows::Redis72 {
        keys(&mut one).iter().for_each(|key| {
            let question = format!("OBJECT ENCODING {key}");
            assert_eq!(run(&mut one, &question), run(&mut other, &question), "{key} {peer:?}");
        });
    }
}

#[test]
fn a_dataset_goes_both_ways_in_an_rdb_file() {
    for peer in Peer::all() {
        for writer in SIDES {
            if writer == Side::Theirs && !peer.writes_rdb() {
                continue;
            }
            let dir = tempfile::tempdir().unwrap();
            let args = ["--appendonly", "no"];
            let source = start(writer, &peer, dir.path(), &args);
            source.furnish(peer.knows());
            // Encodings are those of what was loaded, not those that a history of commands has led to.
            assert_eq!(source.client().ask(&["DEBUG", "RELOAD"]), "+OK");
            let reader = if writer == Side::Ours { Side::Theirs } else { Side::Ours };
            let copy = start(reader, &peer, dir.path(), &args);
            assert_same(&source, &copy, &peer);
            // And back again.
            assert_eq!(copy.client().ask(&["SAVE"]), "+OK");
            if reader == Side::Ours || peer.writes_rdb() {
                assert_same(&source, &start(writer, &peer, dir.path(), &args), &peer);
            }
        }
    }
}

#[test]
fn a_dataset_goes_both_ways_in_an_append_only_file() {
    for peer in Peer::all() {
        for preamble in ["yes", "no"] {
            for writer in SIDES {
                if writer == Side::Theirs && preamble == "yes" && !peer.writes_rdb() {
                    continue;
                }
                let dir = tempfile::tempdir().unwrap();
                let args = ["--aof-use-rdb-preamble", preamble];
                let source = start(writer, &peer, dir.path(), &args);
                source.furnish(peer.knows());
                source.rewrite();
                assert_eq!(source.client().ask(&["SET", "behind", "the base"]), "+OK");
                let digest = source.digest();
                source.kill();
                let (mut digest, mut reader) = (digest, writer);
                // To the other, which goes on with it, and back again.
                for step in ["there", "back"] {
                    reader = if reader == Side::Ours { Side::Theirs } else { Side::Ours };
                    let node = start(reader, &peer, dir.path(), &args);
                    assert_eq!(node.digest(), digest, "{writer:?} {step} {preamble} {peer:?}");
                    if reader == Side::Ours || preamble == "no" || peer.writes_rdb() {
                        node.rewrite();
                    }
                    assert_eq!(
                        node.client().ask(&["INCR", "steps"]),
                        if step == "there" { ":1" } else { ":2" }
                    );
                    digest = node.digest();
                    node.kill();
                }
            }
        }
    }
}

/// Each history of commands, before any rewrite, is understood by the other.
#[test]
fn commands_go_both_ways_as_they_were_written() {
    for peer in Peer::all() {
        for writer in SIDES {
            let dir = tempfile::tempdir().unwrap();
            // With a base of commands, which all of them read.
            let args = ["--aof-use-rdb-preamble", "no", "--aof-timestamp-enabled", "yes"];
            let source = start(writer, &peer, dir.path(), &args);
            source.furnish(peer.knows());
            let digest = source.digest();
            source.kill();
            let reader = if writer == Side::Ours { Side::Theirs } else { Side::Ours };
            assert_eq!(start(reader, &peer, dir.path(), &args).digest(), digest, "{writer:?} {peer:?}");
        }
    }
}

/// How long a key was not used, or how often it was, is kept as the policy of eviction needs it.
#[test]
fn access_clocks_go_both_ways() {
    for peer in Peer::all() {
        for (policy, set, question, expected) in [
            ("allkeys-lru", "IDLETIME", "OBJECT IDLETIME k", 5000..5060),
            ("volatile-lfu", "FREQ", "OBJECT FREQ k", 200..201),
        ] {
            for writer in SIDES {
                if writer == Side::Theirs && !peer.writes_rdb() {
                    continue;
                }
                let dir = tempfile::tempdir().unwrap();
                let args = ["--appendonly", "no", "--maxmemory-policy", policy];
                let source = start(writer, &peer, dir.path(), &args);
                let mut c = source.library();
                run(&mut c, "SET k v");
                let payload = dump(&mut c, "k").unwrap();
                let mut restore = redis::cmd("RESTORE");
                restore.arg("k").arg(0).arg(payload).arg("REPLACE").arg(set).arg(expected.start);
                let () = restore.query(&mut c).unwrap();
                run(&mut c, "SAVE");
                let reader = if writer == Side::Ours { Side::Theirs } else { Side::Ours };
                let copy = start(reader, &peer, dir.path(), &args);
                let found: i64 = run(&mut copy.library(), question).parse().unwrap();
                assert!(expected.contains(&found), "{question} {found} {writer:?} {peer:?}");
            }
        }
    }
}

/// The payload of a key, as bytes; nothing if there is no such key.
fn dump(c: &mut Connection, key: &str) -> Option<Vec<u8>> {
    redis::cmd("DUMP").arg(key).query(c).unwrap()
}

fn restore(c: &mut Connection, key: &str, payload: &[u8]) {
    redis::cmd("RESTORE").arg(key).arg(0).arg(payload).query(c).unwrap()
}

fn digest_of(c: &mut Connection, key: &str) -> Vec<String> {
    redis::cmd("DEBUG").arg("DIGEST-VALUE").arg(key).query(c).unwrap()
}

#[test]
fn payloads_go_both_ways() {
    for peer in Peer::all() {
        for writer in SIDES {
            if writer == Side::Theirs && !peer.writes_rdb() {
                continue;
            }
            let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
            let reader = if writer == Side::Ours { Side::Theirs } else { Side::Ours };
            let args = ["--appendonly", "no"];
            let (source, target) =
                (start(writer, &peer, dirs[0].path(), &args), start(reader, &peer, dirs[1].path(), &args));
            source.furnish(peer.knows());
            let (mut source, mut target) = (source.library(), target.library());
            let names = keys(&mut source);
            assert!(names.len() > 35);
            for key in names {
                // What the digest covers besides the value is whether there is an expiry; none is restored.
                run(&mut source, &format!("PERSIST {key}"));
                restore(&mut target, &key, &dump(&mut source, &key).unwrap());
                assert_eq!(digest_of(&mut target, &key), digest_of(&mut source, &key), "{key} {peer:?}");
                if reader == Side::Theirs && !peer.writes_rdb() {
                    continue;
                }
                let copy = format!("{key}-copy");
                restore(&mut source, &copy, &dump(&mut target, &key).unwrap());
                assert_eq!(
                    digest_of(&mut source, &copy),
                    digest_of(&mut source, &key),
                    "{key} back {peer:?}"
                );
            }
            let functions = redis::cmd("FUNCTION").arg("DUMP").query::<Vec<u8>>(&mut source).unwrap();
            let () = redis::cmd("FUNCTION").arg("RESTORE").arg(functions).query(&mut target).unwrap();
            assert_eq!(run(&mut target, "FCALL two 0"), "2");
        }
    }
}
