//! Scripts in the shapes that people run, with what a real server replies to them.
//!
//! `corpus/` has three files for each script:
//!
//! - `NAME.lua`, the script;
//! - `NAME.session`, what is sent, a line each: a command, or `! keys | arguments`, which runs the script (first with `EVAL`,
//!   then with `EVALSHA`). Words are parted by blanks; one in double quotes may hold blanks and the escapes `\"`, `\\`, `\n`,
//!   `\xHH`. A first line `since 7.4` names the version that brought what the session uses;
//! - `NAME.replies`, the replies to them byte for byte, in both protocols, each time from an empty dataset.
//!
//! Replies were recorded from a real server: `OCHRE_RECORD=/path/to/redis-server cargo test --test scripts` does so anew. What is
//! recorded is compared with Ochre, and, where the distribution has a redis-server that is new enough, with that as well,
//! so that a wrong recording is found.

#[path = "../common/mod.rs"]
mod common;

use std::fmt::Write as _;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use common::{RawClient, TestServer};

/// The distribution's server.
const REFERENCE: &str = "/usr/bin/redis-server";

/// Fewer scripts than this are not what this test promises.
const LEAST_SCRIPTS: usize = 60;

/// A script and what is sent about it.
struct Scenario {
    name: String,
    script: Vec<u8>,
    since: Option<(u32, u32)>,
    steps: Vec<Step>,
}

/// A line of a session.
enum Step {
    /// A command.
    Command(Vec<Vec<u8>>),
    /// A run of the script with these keys and arguments.
    Run(Vec<Vec<u8>>, Vec<Vec<u8>>),
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts/corpus")
}

impl Scenario {
    fn all() -> Vec<Scenario> {
        let entries = fs::read_dir(corpus()).unwrap().map(|entry| entry.unwrap().path());
        let mut scripts: Vec<PathBuf> =
            entries.filter(|path| path.extension() == Some("lua".as_ref())).collect();
        scripts.sort();
        scripts.iter().map(|path| Scenario::read(path)).collect()
    }

    fn read(path: &Path) -> Scenario {
        let session = fs::read_to_string(path.with_extension("session")).unwrap();
        let (since, lines) = match session.strip_prefix("since ") {
            Some(rest) => {
                let (version, lines) = rest.split_once('\n').unwrap();
                (Some(parse_version(version)), lines)
            }
            None => (None, session.as_str()),
        };
        Scenario {
            name: path.file_stem().unwrap().to_str().unwrap().to_string(),
            script: fs::read(path).unwrap(),
            since,
            steps: lines.lines().map(Step::parse).collect(),
        }
    }

    fn replies_path(&self) -> PathBuf {
        corpus().join(&self.name).with_extension("replies")
    }

    /// Runs the session in both protocols, and returns all replies, a line each.
    fn play(&self, client: &mut RawClient) -> String {
        let mut transcript = String::new();
        for protocol in ["2", "3"] {
            for setup in [&["HELLO", protocol][..], &["FLUSHALL"], &["SCRIPT", "FLUSH"]] {
                let words: Vec<&[u8]> = setup.iter().map(|word| word.as_bytes()).collect();
                assert!(!ask(client, &words).starts_with(b"-"), "{setup:?}");
            }
            writeln!(transcript, "protocol {protocol}").unwrap();
            let mut sha: Option<Vec<u8>> = None;
            for step in &self.steps {
                let reply = match step {
                    Step::Command(words) => ask(client, &words.iter().map(Vec::as_slice).collect::<Vec<_>>()),
                    Step::Run(keys, arguments) => {
                        let count = keys.len().to_string();
                        let mut words: Vec<&[u8]> = match &sha {
                            None => vec![b"EVAL", &self.script],
                            Some(sha) => vec![b"EVALSHA", sha],
                        };
                        words.push(count.as_bytes());
                        words.extend(keys.iter().chain(arguments).map(Vec::as_slice));
                        let reply = ask(client, &words);
                        if sha.is_none() {
                            let loaded = ask(client, &[b"SCRIPT", b"LOAD", &self.script]);
                            sha = Some(loaded[b"$40\r\n".len()..][..40].to_vec());
                        }
                        reply
                    }
                };
                writeln!(transcript, "{}", reply.escape_ascii()).unwrap();
            }
        }
        transcript
    }
}

impl Step {
    fn parse(line: &str) -> Step {
        let mut words = words(line);
        if words.first().is_none_or(|word| word != b"!") {
            return Step::Command(words);
        }
        let bar = words.iter().position(|word| word == b"|").expect("a bar between keys and arguments");
        let arguments = words.split_off(bar + 1);
        words.pop();
        words.remove(0);
        Step::Run(words, arguments)
    }
}

/// Cuts a line into words.
fn words(line: &str) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut rest = line.trim_start().as_bytes();
    while let Some(first) = rest.first() {
        let mut word = Vec::new();
        if *first == b'"' {
            let mut bytes = rest[1..].iter().copied();
            loop {
                match bytes.next().expect("a closing quote") {
                    b'"' => break,
                    b'\\' => word.push(match bytes.next().expect("an escape") {
                        b'n' => b'\n',
                        b'x' => {
                            let digits: String = bytes.by_ref().take(2).map(char::from).collect();
                            u8::from_str_radix(&digits, 16).expect("two hexadecimal digits")
                        }
                        byte => byte,
                    }),
                    byte => word.push(byte),
                }
            }
            rest = &rest[rest.len() - bytes.len()..];
        } else {
            let end = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
            word.extend_from_slice(&rest[..end]);
            rest = &rest[end..];
        }
        rest = rest.trim_ascii_start();
        words.push(word);
    }
    words
}

/// Sends a command, and returns the bytes of its reply.
fn ask(client: &mut RawClient, words: &[&[u8]]) -> Vec<u8> {
    let mut request = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        request.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        request.extend_from_slice(word);
        request.extend_from_slice(b"\r\n");
    }
    client.send(&request);
    let mut reply = Vec::new();
    read_reply(client, &mut reply);
    reply
}

fn read_reply(client: &mut RawClient, into: &mut Vec<u8>) {
    let line = client.line();
    assert!(!line.is_empty(), "the connection is closed");
    into.extend_from_slice(line.as_bytes());
    into.extend_from_slice(b"\r\n");
    let count = line[1..].parse::<usize>();
    match (&line[..1], count) {
        ("$" | "=", Ok(length)) => {
            let start = into.len();
            into.resize(start + length + 2, 0);
            client.reader.read_exact(&mut into[start..]).unwrap();
        }
        ("*" | "~" | ">", Ok(count)) => (0..count).for_each(|_| read_reply(client, into)),
        ("%", Ok(count)) => (0..2 * count).for_each(|_| read_reply(client, into)),
        _ => {}
    }
}

/// A real server.
struct Real {
    child: Child,
    port: u16,
    version: (u32, u32),
    _dir: tempfile::TempDir,
}

impl Real {
    fn start(program: &str) -> Real {
        for _ in 0..5 {
            let dir = tempfile::tempdir().unwrap();
            let port = common::free_port();
            let mut child = Command::new(program)
                .args(["--port", &port.to_string(), "--save", "", "--dir", dir.path().to_str().unwrap()])
                .stdout(Stdio::null())
                .spawn()
                .unwrap_or_else(|e| panic!("{program} does not start: {e}"));
            common::wait_for("the real server", || {
                std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
                    || child.try_wait().unwrap().is_some()
            });
            if child.try_wait().unwrap().is_none() {
                let info = common::raw_client(port).ask(&["INFO", "server"]);
                let version = info.lines().find_map(|line| line.strip_prefix("redis_version:")).unwrap();
                return Real { child, port, version: parse_version(version), _dir: dir };
            }
        }
        panic!("{program} finds no port");
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn parse_version(text: &str) -> (u32, u32) {
    let mut parts = text.trim().split('.').map(|part| part.parse().expect("a version"));
    (parts.next().unwrap(), parts.next().unwrap())
}

/// Says where two transcripts differ, if they do.
fn difference(scenario: &Scenario, recorded: &str, found: &str) -> Option<String> {
    if recorded == found {
        return None;
    }
    let pairs = recorded.lines().zip(found.lines()).enumerate().find(|(_, (a, b))| a != b);
    let (line, (recorded, found)) = pairs.unwrap_or((0, ("(another length)", "")));
    Some(format!("{}.replies:{}\n  recorded {recorded}\n  found    {found}", scenario.name, line + 1))
}

#[test]
fn replies_are_those_of_a_real_server() {
    let scenarios = Scenario::all();
    assert!(scenarios.len() >= LEAST_SCRIPTS, "only {} scripts", scenarios.len());
    if let Some(program) = std::env::var_os("OCHRE_RECORD") {
        let real = Real::start(program.to_str().unwrap());
        for scenario in &scenarios {
            let transcript = scenario.play(&mut common::raw_client(real.port));
            fs::write(scenario.replies_path(), transcript).unwrap();
        }
    }
    let server = TestServer::start(&[]);
    let mut wrong = Vec::new();
    for scenario in &scenarios {
        let recorded = fs::read_to_string(scenario.replies_path()).unwrap();
        assert_eq!(recorded.lines().count(), 2 * (scenario.steps.len() + 1), "{}", scenario.name);
        let found = scenario.play(&mut server.raw());
        wrong.extend(difference(scenario, &recorded, &found));
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), scenarios.len(), wrong.join("\n"));
}

#[test]
fn recordings_are_what_the_distribution_replies() {
    if !Path::new(REFERENCE).exists() {
        eprintln!("no {REFERENCE}: the recordings stand unchecked");
        return;
    }
    let real = Real::start(REFERENCE);
    let mut wrong = Vec::new();
    for scenario in Scenario::all() {
        if scenario.since.is_some_and(|since| since > real.version) {
            continue;
        }
        let recorded = fs::read_to_string(scenario.replies_path()).unwrap();
        let found = scenario.play(&mut common::raw_client(real.port));
        wrong.extend(difference(&scenario, &recorded, &found));
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}
