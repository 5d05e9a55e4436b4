//! The lines typed before: kept in memory, and in a file for the next session.
//!
//! The file has one line a command and is the one that upstream reads and writes. Lines that carry a password, or that
//! might, can be recalled during the session but never reach the file. It is readable by its owner only.

use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// How many lines are kept.
pub const MAX_LINES: usize = 100;

struct Entry {
    line: String,
    secret: bool,
}

/// The lines typed before, oldest first.
pub struct History {
    file: Option<PathBuf>,
    entries: VecDeque<Entry>,
}

impl History {
    /// Reads the lines of `file`; without one, the history is not saved.
    pub fn load(file: Option<PathBuf>) -> History {
        let mut history = History { file, entries: VecDeque::new() };
        let text = history.file.as_ref().and_then(|file| std::fs::read(file).ok()).unwrap_or_default();
        for line in String::from_utf8_lossy(&text).lines().filter(|line| !line.is_empty()) {
            history.push(line, false);
        }
        history
    }

    /// The lines, oldest first.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.line.as_str())
    }

    /// Adds a line and saves, unless the line is `secret`. A line equal to the one before it is not added.
    ///
    /// # Errors
    ///
    /// When the file cannot be written. The line is remembered nevertheless.
    pub fn add(&mut self, line: &str, secret: bool) -> io::Result<()> {
        self.push(line, secret);
        if secret { Ok(()) } else { self.save() }
    }

    fn push(&mut self, line: &str, secret: bool) {
        if self.entries.back().is_some_and(|last| last.line == line) {
            return;
        }
        if self.entries.len() == MAX_LINES {
            self.entries.pop_front();
        }
        self.entries.push_back(Entry { line: line.to_string(), secret });
    }

    fn save(&self) -> io::Result<()> {
        let Some(path) = &self.file else { return Ok(()) };
        let mut text = String::new();
        for entry in self.entries.iter().filter(|entry| !entry.secret) {
            text.push_str(&entry.line);
            text.push('\n');
        }
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())
    }
}

/// Whether a command may carry a password or tell about those who have one: AUTH, HELLO and MIGRATE with credentials,
/// the commands that read or change ACL users, and the directives of CONFIG and SENTINEL that hold secrets.
pub fn is_secret(words: &[Vec<u8>]) -> bool {
    let is = |at: usize, names: &[&str]| {
        words.get(at).is_some_and(|word| names.iter().any(|name| word.eq_ignore_ascii_case(name.as_bytes())))
    };
    if is(0, &["auth"]) {
        return true;
    }
    if is(0, &["acl"]) {
        return is(1, &["deluser", "setuser", "getuser"]);
    }
    if is(0, &["config"]) && is(1, &["set"]) {
        return (2..words.len()).step_by(2).any(|at| is(at, SECRET_DIRECTIVES));
    }
    if is(0, &["hello"]) {
        // HELLO [protover [AUTH username password] [SETNAME clientname]]
        let auth = if is(2, &["setname"]) { 4 } else { 2 };
        return is(auth, &["auth"]) && words.len() > auth + 2;
    }
    if is(0, &["migrate"]) {
        // MIGRATE host port key db timeout [COPY] [REPLACE] [AUTH password | AUTH2 username password] [KEYS key ...]
        let options = (6..words.len()).take_while(|at| !is(*at, &["keys"]));
        return options.into_iter().any(|at| {
            (is(at, &["auth"]) && words.len() > at + 1) || (is(at, &["auth2"]) && words.len() > at + 2)
        });
    }
    if is(0, &["sentinel"]) && words.len() > 4 {
        // SENTINEL CONFIG SET name value, SENTINEL SET master name value
        return (is(1, &["config"]) && is(2, &["set"]) && is(3, &["sentinel-pass", "sentinel-user"]))
            || (is(1, &["set"]) && is(3, &["auth-pass", "auth-user"]));
    }
    false
}

/// The directives whose values are secrets.
const SECRET_DIRECTIVES: &[&str] =
    &["masterauth", "masteruser", "tls-key-file-pass", "tls-client-key-file-pass", "requirepass"];

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn secret(line: &str) -> bool {
        is_secret(&line.split(' ').map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>())
    }

    #[test]
    fn lines_survive_the_session_unless_secret() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history");
        let mut history = History::load(Some(path.clone()));
        history.add("get a", false).unwrap();
        history.add("get a", false).unwrap();
        history.add("auth pass", true).unwrap();
        history.add("get b", false).unwrap();
        assert_eq!(history.lines().collect::<Vec<_>>(), ["get a", "auth pass", "get b"]);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "get a\nget b\n");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(History::load(Some(path)).lines().collect::<Vec<_>>(), ["get a", "get b"]);
    }

    #[test]
    fn old_lines_go_first() {
        let mut history = History::load(None);
        for i in 0..MAX_LINES + 5 {
            history.add(&i.to_string(), false).unwrap();
        }
        assert_eq!(history.lines().count(), MAX_LINES);
        assert_eq!(history.lines().next(), Some("5"));
    }

    #[test]
    fn secrets_are_recognised() {
        for line in [
            "AUTH x",
            "acl setuser u >p",
            "ACL GETUSER u",
            "config set requirepass x",
            "config set maxmemory 1 masterauth x",
            "hello 3 auth u p",
            "hello 3 setname me auth u p",
            "migrate h 1 k 0 1 copy auth p",
            "migrate h 1 k 0 1 auth2 u p",
            "sentinel set m auth-pass x",
            "sentinel config set sentinel-pass x",
        ] {
            assert!(secret(line), "{line}");
        }
        for line in [
            "get auth",
            "acl list",
            "config set maxmemory 1",
            "config get requirepass",
            "hello 3",
            "hello 3 setname auth",
            "migrate h 1 k 0 1 keys auth p",
            "sentinel set m quorum 2",
        ] {
            assert!(!secret(line), "{line}");
        }
    }
}
