//! `redis-cli --eval` on a server: a script from a file, its keys, and behind a comma its arguments.

mod common;

use std::process::Command;

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
