//! Random commands over all types, sent to Ochre and to a redis-server beside it: every reply must be the same.
//!
//! The commands are made from the descriptions in `src/commands/*.json` (`grammar.rs`), so that a new command or option is
//! tried as soon as it is described there; some are broken on purpose. Replies are compared as they came, except that
//! what has no order is sorted, and what depends on the clock may differ by a little (`reply.rs`).
//!
//! The redis-server is the one that `OCHRE_REFERENCE` names, or the distribution's; what is done differently since an
//! older version is left out (`versions.rs`). Without one there is nothing to compare with, and the test says so and
//! passes. `OCHRE_DIFFERENTIAL_SECONDS` sets how long it takes; a failure prints the seed, which
//! `OCHRE_DIFFERENTIAL_SEED` takes.

mod append_only;
#[path = "../common/mod.rs"]
mod common;
mod grammar;
mod reply;
mod versions;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{RawClient, TestServer};
use grammar::Grammar;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reply::Reply;
use versions::Version;

/// Commands between two beginnings from an empty dataset.
const EPISODE: usize = 400;

/// A redis-server to compare with.
struct Reference {
    child: Child,
    port: u16,
    version: Version,
    _dir: tempfile::TempDir,
}

impl Reference {
    /// Starts the one that the environment names, or else the distribution's, if there is one whose differences from Ochre
    /// are known.
    fn start() -> Option<Reference> {
        if let Some(path) = std::env::var_os("OCHRE_REFERENCE") {
            return Some(Reference::start_at(Path::new(&path)));
        }
        let path = Path::new("/usr/bin/redis-server");
        path.exists().then(|| Reference::start_at(path)).filter(|found| versions::is_known(found.version))
    }

    fn start_at(path: &Path) -> Reference {
        // Somebody else may take the port.
        (0..5).find_map(|_| Reference::try_start(path)).expect("the reference starts")
    }

    fn try_start(path: &Path) -> Option<Reference> {
        let dir = tempfile::tempdir().unwrap();
        let port = common::free_port();
        let child = Command::new(path)
            .args(["--port", &port.to_string(), "--save", "", "--dir", dir.path().to_str().unwrap()])
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| panic!("{} does not start: {e}", path.display()));
        let mut reference = Reference { child, port, version: versions::OURS, _dir: dir };
        common::wait_for("the reference", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
                || reference.child.try_wait().unwrap().is_some()
        });
        if reference.child.try_wait().unwrap().is_some() {
            return None;
        }
        let info = reference.connect(false).ask(&["INFO", "server"]);
        let value = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        reference.version = versions::parse(value("redis_version:"));
        (value("process_id:").trim() == reference.child.id().to_string()).then_some(reference)
    }

    fn connect(&self, resp3: bool) -> RawClient {
        let mut client = common::raw_client(self.port);
        say_hello(&mut client, resp3);
        client
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn say_hello(client: &mut RawClient, resp3: bool) {
    if resp3 {
        client.command(&["HELLO", "3"]);
        reply::read(client);
    }
}

fn send(client: &mut RawClient, words: &[Vec<u8>]) {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n", word.len()).into_bytes());
        bytes.extend(word);
        bytes.extend(b"\r\n");
    }
    client.send(&bytes);
}

fn shown(words: &[Vec<u8>]) -> String {
    words.iter().map(|word| format!("'{}'", word.escape_ascii())).collect::<Vec<_>>().join(" ")
}

/// Two servers, and what they were sent since both were empty.
struct Pair {
    ours: RawClient,
    theirs: RawClient,
    history: Vec<String>,
    /// Commands queued in a transaction.
    queued: Vec<Vec<Vec<u8>>>,
    in_transaction: bool,
    version: Version,
    seed: u64,
}

impl Pair {
    /// Sends a command to both and compares.
    fn compare(&mut self, words: &[Vec<u8>]) {
        self.history.push(shown(words));
        send(&mut self.theirs, words);
        send(&mut self.ours, words);
        let (theirs, ours) = (reply::read(&mut self.theirs), reply::read(&mut self.ours));
        let name = words[0].to_ascii_lowercase();
        match (name.as_slice(), &theirs, &ours) {
            (b"exec", Reply::Array(theirs), Reply::Array(ours)) if theirs.len() == ours.len() => {
                theirs.iter().zip(ours).zip(&self.queued).for_each(|((theirs, ours), words)| {
                    self.compare_replies(words, theirs, ours);
                });
            }
            _ => self.compare_replies(words, &theirs, &ours),
        }
        match name.as_slice() {
            b"multi" => (self.in_transaction, self.queued) = (true, Vec::new()),
            b"exec" | b"discard" => self.in_transaction = false,
            _ if self.in_transaction && theirs == Reply::Simple("QUEUED".into()) => {
                self.queued.push(words.to_vec())
            }
            _ => {}
        }
    }

    fn compare_replies(&self, words: &[Vec<u8>], theirs: &Reply, ours: &Reply) {
        let same = theirs.clone().normal(words).same_as(&ours.clone().normal(words), words, self.version);
        if !same || *ours == Reply::Closed {
            let (history, words) = (self.history.join("\n"), shown(words));
            panic!("{history}\nseed {}, at {words}\nexpected {theirs:?}\n     got {ours:?}", self.seed);
        }
    }

    fn compare_words(&mut self, words: &[&str]) {
        self.compare(&words.iter().map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>());
    }

    /// Compares the whole dataset; encodings as well, if the reference is of our version.
    fn compare_state(&mut self, grammar: &Grammar, encodings: bool) {
        for key in grammar.all_keys() {
            self.compare_words(&["TYPE", &key]);
            if encodings {
                self.compare_words(&["OBJECT", "ENCODING", &key]);
            }
            for read in [
                &["GET", &key][..],
                &["LRANGE", &key, "0", "-1"],
                &["SMEMBERS", &key],
                &["HGETALL", &key],
                &["ZRANGE", &key, "0", "-1", "WITHSCORES"],
                &["XRANGE", &key, "-", "+"],
                &["EXPIRETIME", &key],
            ] {
                self.compare_words(read);
            }
        }
    }
}

fn run(reference: &Reference, server: &TestServer, seed: u64, until: Instant) -> usize {
    let mut rng = StdRng::seed_from_u64(seed);
    let grammar = Grammar::load(&mut reference.connect(false), &mut server.raw(), reference.version);
    let mut commands = 0;
    while Instant::now() < until {
        let resp3 = rng.random();
        let mut ours = server.raw();
        say_hello(&mut ours, resp3);
        let mut pair = Pair {
            ours,
            theirs: reference.connect(resp3),
            history: Vec::new(),
            queued: Vec::new(),
            in_transaction: false,
            version: reference.version,
            seed,
        };
        pair.compare_words(&["FLUSHALL"]);
        // Small limits, so that values change their encodings all the time.
        for (name, value) in grammar.limits(&mut rng) {
            pair.compare_words(&["CONFIG", "SET", name, &value]);
        }
        for _ in 0..EPISODE {
            let words = grammar.command(&mut rng, pair.in_transaction);
            pair.compare(&words);
            commands += 1;
        }
        if pair.in_transaction {
            pair.compare_words(&["EXEC"]);
        }
        for db in ["0", "1"] {
            pair.compare_words(&["SELECT", db]);
            pair.compare_state(&grammar, reference.version == versions::OURS);
        }
    }
    commands
}

#[test]
fn replies_are_those_of_redis() {
    let Some(reference) = Reference::start() else {
        eprintln!(
            "There is no redis-server to compare with, or none of a version whose differences are known."
        );
        return;
    };
    let server = TestServer::start(&[]);
    let variable = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let seconds = variable("OCHRE_DIFFERENTIAL_SECONDS").unwrap_or(10);
    let seed = variable("OCHRE_DIFFERENTIAL_SEED").unwrap_or_else(rand::random);
    let commands = run(&reference, &server, seed, Instant::now() + Duration::from_secs(seconds));
    let [major, minor] = reference.version;
    eprintln!("{commands} commands answered as redis-server {major}.{minor} answers them.");
}
