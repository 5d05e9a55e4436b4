//! Reading: lines, errors, includes, renamed commands.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::super::file::{Host, LoadError, MAX_INCLUDE_DEPTH};
use super::super::{Config, LogLevel};

/// Files by their name, and nothing else.
#[derive(Default)]
struct Files {
    files: HashMap<&'static str, &'static str>,
    directories: RefCell<Vec<PathBuf>>,
}

impl Files {
    fn new<const N: usize>(files: [(&'static str, &'static str); N]) -> Files {
        Files { files: files.into(), ..Files::default() }
    }
}

impl Host for Files {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = path.to_str().and_then(|path| self.files.get(path));
        Ok(file.ok_or_else(not_found)?.as_bytes().to_vec())
    }
    fn matching(&self, pattern: &str) -> Vec<PathBuf> {
        let pattern = glob::Pattern::new(pattern).unwrap();
        let mut found: Vec<PathBuf> =
            self.files.keys().filter(|name| pattern.matches(name)).map(PathBuf::from).collect();
        found.sort();
        found
    }
    fn change_dir(&self, path: &Path) -> io::Result<PathBuf> {
        if path == Path::new("/nowhere") {
            return Err(not_found());
        }
        self.directories.borrow_mut().push(path.to_owned());
        Ok(path.to_owned())
    }
    fn can_append(&self, path: &Path) -> io::Result<()> {
        if path.starts_with("/nowhere") { Err(not_found()) } else { Ok(()) }
    }
    fn is_command(&self, name: &[u8]) -> bool {
        [&b"get"[..], b"set"].iter().any(|command| name.eq_ignore_ascii_case(command))
    }
}

fn not_found() -> io::Error {
    io::Error::from_raw_os_error(nix::libc::ENOENT)
}

fn message(text: &str, host: &Files) -> String {
    Config::parse_with(text.as_bytes(), host).unwrap_err().to_string()
}

#[test]
fn lines_are_read_in_order() {
    let text = b"# comment\n\n  port 7000\r\n\tloglevel \"ver\\x62ose\"\nport 7001\nBIND a b # c\n";
    let config = Config::parse_str(text).unwrap();
    assert_eq!((config.port, config.loglevel), (7001, LogLevel::Verbose));
    assert_eq!(config.bind, ["a", "b", "#", "c"]);
}

#[test]
fn one_quoted_word_can_hold_many() {
    let config = Config::parse_str(b"bind \"a  b\"\nshutdown-on-sigint 'now force'\n").unwrap();
    assert_eq!((config.bind.len(), config.shutdown_on_sigint.words().as_str()), (2, "now force"));
    assert!(Config::parse_str(b"bind \"\"").unwrap().bind.is_empty());
    assert!(Config::parse_str(b"bind").unwrap().bind.is_empty());
}

#[test]
fn hz_is_brought_into_its_range() {
    assert_eq!(Config::parse_str(b"hz 1000").unwrap().hz, 500);
    assert_eq!(Config::parse_str(b"hz 0").unwrap().hz, 1);
}

#[test]
fn an_error_names_its_line() {
    let files = Files::default();
    assert_eq!(
        message("\n# x\n  bind \"abc \n", &files),
        "\n*** FATAL CONFIG FILE ERROR (Redis 8.0.2) ***\n\
         Reading the configuration file, at line 3\n\
         >>> 'bind \"abc'\n\
         Unbalanced quotes in configuration line\n"
    );
    assert_eq!(
        message("port 7000\nlogfile /nowhere/log\n", &files),
        "\n*** FATAL CONFIG FILE ERROR (Redis 8.0.2) ***\n\
         Can't open the log file: No such file or directory\n"
    );
}

#[test]
fn errors_have_upstreams_reasons() {
    let reasons = [
        ("port abc", "argument couldn't be parsed into an integer"),
        ("port 70000", "argument must be between 0 and 65535 inclusive"),
        ("port 1 2", "wrong number of arguments"),
        ("port", "wrong number of arguments"),
        ("include", "Bad directive or wrong number of arguments"),
        ("nope 1", "Bad directive or wrong number of arguments"),
        ("io-threads-do-reads yes no", "Bad directive or wrong number of arguments"),
        ("io-threads 200", "argument must be between 1 and 128 inclusive"),
        ("rename-command foo bar", "No such command in rename-command"),
        ("rename-command get SET", "Target command name already exists"),
        ("dir /nowhere", "No such file or directory"),
        ("dir", "wrong number of arguments"),
        ("unixsocketperm 999", "argument couldn't be parsed as an octal number"),
        ("unixsocketperm 1000", "argument must be between 0 and 777 inclusive"),
        ("unixsocketperm -1", "argument must be between 0 and 777 inclusive"),
        ("maxclients 0", "argument must be between 1 and 4294967295 inclusive"),
        ("proto-max-bulk-len 1mbx", "argument must be a memory value"),
        ("daemonize 1", "argument must be 'yes' or 'no'"),
        ("supervised foo", "argument(s) must be one of the following: upstart, systemd, auto, no"),
        ("oom-score-adj foo", "argument(s) must be one of the following: no, yes, relative, absolute"),
        (
            "shutdown-on-sigint foo",
            "argument(s) must be one of the following: default, save, nosave, now, force",
        ),
        ("oom-score-adj-values 1 2", "wrong number of arguments"),
        ("bind 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7", "Too many bind addresses specified."),
        ("bind '\"a'", "Unbalanced quotes in configuration line"),
    ];
    for (line, reason) in reasons {
        let LoadError::Config(error) = Config::parse_with(line.as_bytes(), &Files::default()).unwrap_err()
        else {
            panic!("{line}");
        };
        assert_eq!((error.reason.as_ref(), error.line), (reason, Some((1, line.into()))), "{line}");
    }
}

#[test]
fn what_has_no_effect_is_noted_once() {
    let config = Config::parse_str(b"io-threads 4\nio-threads-do-reads yes\nio-threads 2\n").unwrap();
    assert_eq!(config.origin.without_effect, ["io-threads", "io-threads-do-reads"]);
    assert_eq!(config.io_threads, 2);
}

#[test]
fn includes_are_read_in_place() {
    let files =
        Files::new([("a.conf", "port 2\nhz 5"), ("d/1.conf", "timeout 1"), ("d/2.conf", "timeout 2")]);
    let text = b"port 1\nhz 4\ninclude a.conf\nhz 6\ninclude d/*.conf\ninclude e/*.conf\n";
    let config = Config::parse_with(text, &files).unwrap();
    assert_eq!((config.port, config.hz, config.timeout), (2, 6, 2));
}

#[test]
fn a_missing_include_is_fatal() {
    assert_eq!(
        message("include /nope", &Files::default()),
        "Fatal error, can't open config file '/nope': No such file or directory"
    );
}

#[test]
fn an_error_in_an_include_is_told_in_its_lines() {
    let files = Files::new([("a.conf", "hz 5\nport x\n")]);
    let text = message("port 1\ninclude a.conf\n", &files);
    assert!(text.contains("at line 2\n>>> 'port x'\n"), "{text}");
    let files = Files::new([("1.conf", "hz 5\nhz 6"), ("2.conf", "port x")]);
    let text = message("include ?.conf\n", &files);
    assert!(text.contains("at line 3\n>>> 'port x'\n"), "{text}");
}

#[test]
fn includes_nest_to_a_limit() {
    let files = Files::new([("loop", "include loop\n")]);
    assert!(message("include loop", &files).contains("Too many nested include directives"));
    let names: Vec<String> = (0..=MAX_INCLUDE_DEPTH).map(|i| format!("f{i}")).collect();
    let mut files = Files::default();
    for (i, name) in names.iter().enumerate().take(MAX_INCLUDE_DEPTH) {
        let content =
            if i + 1 == MAX_INCLUDE_DEPTH { "port 9".into() } else { format!("include {}", names[i + 1]) };
        files.files.insert(name.clone().leak(), content.leak());
    }
    assert_eq!(Config::parse_with(b"include f0", &files).unwrap().port, 9);
}

#[test]
fn the_directory_changes_while_reading() {
    let files = Files::default();
    let config = Config::parse_with(b"dir /a\ndir /b\n", &files).unwrap();
    assert_eq!(config.dir, Path::new("/b"));
    assert_eq!(files.directories.into_inner(), [Path::new("/a"), Path::new("/b")]);
}

#[test]
fn commands_are_renamed_in_order() {
    let files = Files::default();
    let text =
        b"rename-command GET g\nrename-command set get\nrename-command g \"\"\nrename-command get get\n";
    let renamed = Config::parse_with(text, &files).unwrap().origin.renamed_commands;
    assert_eq!(renamed.len(), 4);
    assert_eq!(renamed[2], (b"g".to_vec(), Vec::new()));
    let text = message("rename-command get \"\"\nrename-command get x\n", &files);
    assert!(text.contains("at line 2\n") && text.ends_with("No such command in rename-command\n"), "{text}");
}

#[test]
fn files_and_options_of_a_command_line_are_read_together() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.conf");
    std::fs::write(&path, "port 7000\nhz 20\n").unwrap();
    let load = |args: &[&str]| Config::load(args.iter().map(OsString::from));
    let path = path.to_str().unwrap();
    let config = load(&[path, "--port", "7001", "--bind", "a", "b"]).unwrap();
    assert_eq!((config.port, config.hz, config.bind.len()), (7001, 20, 2));
    assert_eq!(config.origin.file.as_deref(), Some(Path::new(path)));
    assert_eq!(config.dir, std::env::current_dir().unwrap());

    let error = load(&[path, "--loglevel"]).unwrap_err().to_string();
    assert!(error.contains("at line 4\n>>> 'loglevel'\nwrong number of arguments\n"), "{error}");
    let error = load(&["--port", "1", "-x", "3"]).unwrap_err().to_string();
    assert!(error.contains("at line 2\n>>> 'port \"1\" \"-x\" \"3\"'\n"), "{error}");
    let error = load(&["/nowhere.conf"]).unwrap_err().to_string();
    assert_eq!(error, "Fatal error, can't open config file '/nowhere.conf': No such file or directory");
    assert!(load(&[]).unwrap().origin.file.is_none());
}
