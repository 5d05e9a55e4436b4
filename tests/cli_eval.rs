//! `redis-cli --eval` on a server: a script from a file, its keys, and behind a comma its arguments; and the debugger, `--ldb`.

mod common;

use std::io::Write;
use std::process::{Command, Stdio};

use common::TestServer;

/// Runs the script with these words behind its file, and returns what is printed and the exit code.
fn eval(server: &TestServer, script: &str, words: &[&str]) -> (String, Option<i32>) {
    let file = server.dir.path().join("script.lua");
    std::fs::write(&file, script).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_redis-cli"))
        .args(["-p", &server.port.to_string(), "--eval"])
        .arg(&file)
        .args(words)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code())
}

#[test]
fn keys_and_arguments_are_parted_by_a_comma() {
    let server = TestServer::start(&[]);
    let shape = "return {#KEYS, #ARGV, KEYS[1], ARGV[#ARGV]}";
    for (words, expected) in [
        (&["a", "b", ",", "c", "d", "e"][..], "2\n3\na\ne\n"),
        (&["a"], "1\n0\na\n"),
        (&[",", "x"], "0\n1\n"),
        (&["a", ",", ","], "1\n1\na\n,\n"),
        (&[], "0\n0\n"),
    ] {
        assert_eq!(eval(&server, shape, words), (expected.to_owned(), Some(0)), "{words:?}");
    }
}

#[test]
fn a_script_works_on_the_dataset_and_errors_are_printed() {
    let server = TestServer::start(&[]);
    let transfer = "-- moves what is left\nlocal n = redis.call('GET', KEYS[1])\n\
                    redis.call('SET', KEYS[2], n + ARGV[1])\nreturn redis.call('GET', KEYS[2])";
    server.raw().ask(&["SET", "from", "40"]);
    assert_eq!(eval(&server, transfer, &["from", "to", ",", "2"]), ("42\n".to_owned(), Some(0)));
    let (printed, _) = eval(&server, "error('line one')", &[]);
    assert!(printed.starts_with("ERR user_script:1: line one script: "), "{printed}");
    let (printed, _) = eval(&server, "return {err='CODE with text'}", &[]);
    assert_eq!(printed.trim_end(), "CODE with text");
}

/// Debugs the script, or nothing if there is none, with these lines typed, and returns what is printed and the exit code.
fn debug(
    server: &TestServer,
    args: &[&str],
    script: Option<&str>,
    input: &str,
    term: &str,
) -> (String, Option<i32>) {
    let file = server.dir.path().join("debugged.lua");
    let mut command = Command::new(env!("CARGO_BIN_EXE_redis-cli"));
    command.args(["-p", &server.port.to_string()]).env("TERM", term);
    if let Some(script) = script {
        std::fs::write(&file, script).unwrap();
        command.args(args).arg("--eval").arg(&file).args(["k", ",", "v"]);
    }
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    (String::from_utf8(output.stdout).unwrap(), output.status.code())
}

const DEBUGGED: &str =
    "local t = {KEYS[1], ARGV[1]}\nredis.call('set', KEYS[1], 'set')\nreturn redis.call('get', 'k')\n";

const INTRODUCTION: &str = "Lua debugging session started, please use:\nquit    -- End the session.\n\
                            restart -- Restart the script in debug mode again.\n\
                            help    -- Show Lua script debugging commands.\n\n";

#[test]
fn a_script_is_debugged_and_changes_nothing() {
    let server = TestServer::start(&["--save", ""]);
    let input = "s\ne  \"a\" .. 'b' -- not words\np t\n\"open\nc\nget k\n";
    let (printed, code) = debug(&server, &["--ldb"], Some(DEBUGGED), input, "dumb");
    let expected = "* Stopped at 1, stop reason = step over\n-> 1   local t = {KEYS[1], ARGV[1]}\n\
                    * Stopped at 2, stop reason = step over\n-> 2   redis.call('set', KEYS[1], 'set')\n\
                    <retval> \"ab\"\n<value> {\"k\"; \"v\"}\nInvalid argument(s)\n\n\"set\"\n\n\
                    (Lua debugging session ended -- dataset changes rolled back)\n\n(nil)\n";
    assert_eq!((printed, code), (format!("{INTRODUCTION}{expected}"), Some(0)));
}

#[test]
fn a_script_is_debugged_again_and_its_changes_are_kept_where_that_is_asked_for() {
    let server = TestServer::start(&["--save", ""]);
    let input = "restart\nc\nrestart\nquit\n";
    let (printed, code) = debug(&server, &["--ldb-sync-mode"], Some(DEBUGGED), input, "dumb");
    let stopped = "* Stopped at 1, stop reason = step over\n-> 1   local t = {KEYS[1], ARGV[1]}\n";
    let ended = "\n\"set\"\n\n(Lua debugging session ended)\n\n";
    let begun = format!("{INTRODUCTION}{stopped}");
    assert_eq!((printed, code), (format!("{begun}\n{begun}{ended}\n{begun}"), Some(0)));
    assert_eq!(server.raw().ask(&["GET", "k"]), "set");
}

#[test]
fn the_debugger_has_colours_where_the_terminal_has_them() {
    let server = TestServer::start(&["--save", ""]);
    let (printed, _) = debug(&server, &["--ldb"], Some(DEBUGGED), "p\n", "xterm-256color");
    let expected = "\x1b[0;37;49m* Stopped at 1, stop reason = step over\x1b[0m\n\
                    \x1b[0;33;49m-> 1   local t = {KEYS[1], ARGV[1]}\x1b[0m\n\
                    \x1b[0;37;49mNo local variables in the current context.\x1b[0m\n";
    assert_eq!(printed, format!("{INTRODUCTION}{expected}"));
}

#[test]
fn a_script_that_does_not_compile_is_not_debugged() {
    let server = TestServer::start(&["--save", ""]);
    let (printed, code) = debug(&server, &["--ldb"], Some("return 1 +"), "s\n", "dumb");
    let expected = "\nEval debugging session can't start:\n(error) ERR Error compiling script (new function): \
                    user_script:1: unexpected symbol near '<eof>'\n";
    assert_eq!((printed, code), (format!("{INTRODUCTION}{expected}"), Some(0)));
}

#[test]
fn a_script_is_debugged_by_hand() {
    let server = TestServer::start(&["--save", ""]);
    let input =
        "script debug yes\neval 'return {1}' 0\ns\nping\nrestart\nscript debug no\neval 'return 2' 0\n";
    let (printed, code) = debug(&server, &[], None, input, "dumb");
    let expected = "OK\n* Stopped at 1, stop reason = step over\n-> 1   return {1}\n\n1) (integer) 1\n\n\
                    (Lua debugging session ended -- dataset changes rolled back)\n\nPONG\n\
                    Use 'restart' only in Lua debugging mode.\nOK\n(integer) 2\n";
    assert_eq!((printed, code), (expected.to_owned(), Some(0)));
}
