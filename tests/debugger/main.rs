//! The script debugger on the wire: what its user is shown, and what its sessions leave of the server.
//!
//! `transcripts.txt` was recorded from a session with Redis 8.0.2 each: its commands, and the lines of their answers. A line
//! that begins with `#` is a command that comes before the session, `>` a command of the user's (words in quotes have escapes),
//! `>>` bytes that are sent as they are, `<` a line of the answer; at `<eof>` the server has closed the connection.

#[path = "../common/mod.rs"]
mod common;

use std::time::{Duration, Instant};

use common::{RawClient, TestServer, wait_for};
use ochre::ds::sds;

const TRANSCRIPTS: &str = include_str!("transcripts.txt");

/// The words of a line of a transcript.
fn words(line: &str) -> Vec<Vec<u8>> {
    sds::split_args(line.as_bytes()).expect("quotes are closed")
}

fn send(client: &mut RawClient, words: &[Vec<u8>]) {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    client.send(&bytes);
}

/// Plays a transcript in a session of its own.
fn play(server: &TestServer, mode: &str, name: &str, lines: &str) {
    let mut client = server.raw();
    for setup in ["FLUSHALL", "CONFIG SET busy-reply-threshold 5000", "CONFIG SET maxmemory 0"] {
        assert_eq!(client.ask(&setup.split(' ').collect::<Vec<_>>()), "+OK");
    }
    let mut begun = false;
    for line in lines.lines().filter(|line| !line.is_empty()) {
        let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
        match kind {
            "#" => {
                send(&mut client, &words(rest));
                client.line();
            }
            ">" => {
                if !std::mem::replace(&mut begun, true) {
                    assert_eq!(client.ask(&["SCRIPT", "DEBUG", mode]), "+OK");
                }
                send(&mut client, &words(rest));
            }
            ">>" => client.send(&words(rest)[0]),
            "<" => assert_eq!(client.line().trim_end(), rest, "{mode}: {name}"),
            "<eof>" => assert!(client.is_closed(), "{mode}: {name}"),
            _ => panic!("{name}: {line}"),
        }
    }
    // A session that is left in the middle must be over before the next one changes the dataset.
    let _ = client.stream.shutdown(std::net::Shutdown::Both);
}

fn play_all(mode: &str) {
    let server = TestServer::start(&["--save", ""]);
    for transcript in TRANSCRIPTS.split("== ").filter(|transcript| !transcript.is_empty()) {
        let (name, lines) = transcript.split_once('\n').expect("a name and lines");
        play(&server, mode, name, lines);
    }
    assert_eq!(server.raw().ask(&["PING"]), "+PONG");
}

#[test]
fn a_session_in_the_server_is_upstreams_to_the_byte() {
    play_all("sync");
}

#[test]
fn a_session_in_a_child_is_upstreams_to_the_byte() {
    play_all("yes");
}

/// Begins a session, and passes over where it has stopped.
fn debug(server: &TestServer, mode: &str, script: &str) -> RawClient {
    let mut client = server.raw();
    assert_eq!(client.ask(&["SCRIPT", "DEBUG", mode]), "+OK");
    client.command(&["EVAL", script, "0"]);
    assert_eq!(answer(&mut client).len(), 2);
    client
}

/// The lines of an answer.
fn answer(client: &mut RawClient) -> Vec<String> {
    let count = client.line().strip_prefix('*').and_then(|n| n.parse().ok()).expect("an array of lines");
    (0..count).map(|_| client.line().strip_prefix('+').expect("a status").to_string()).collect()
}

fn ask(client: &mut RawClient, words: &[&str]) -> Vec<String> {
    client.command(words);
    answer(client)
}

#[test]
fn script_debug_has_rules() {
    let server = TestServer::start(&["--save", ""]);
    let mut c = server.raw();
    let outside = "-ERR SCRIPT DEBUG must be called outside a pipeline";
    assert_eq!(c.ask(&["SCRIPT", "DEBUG", "maybe"]), "-ERR Use SCRIPT DEBUG YES/SYNC/NO");
    assert_eq!(c.ask(&["SCRIPT", "DEBUG"]), "-ERR wrong number of arguments for 'script|debug' command");
    c.send(b"PING\r\nSCRIPT DEBUG yes\r\n");
    assert_eq!([c.line(), c.line()], ["+PONG", outside]);
    for (command, reply) in [("MULTI", "+OK"), ("SCRIPT DEBUG yes", "+QUEUED"), ("EXEC", "*1")] {
        assert_eq!(c.ask(&command.split(' ').collect::<Vec<_>>()), reply);
    }
    assert_eq!(c.line(), outside);
    let from_script = c.ask(&["EVAL", "return redis.call('script', 'debug', 'yes')", "0"]);
    assert!(from_script.starts_with("-ERR This Redis command is not allowed from script"), "{from_script}");

    let script = "return {tostring(redis.breakpoint()), select('#', redis.debug(1))}";
    assert_eq!(c.ask(&["SCRIPT", "DEBUG", "yes"]), "+OK");
    let digest = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db";
    assert_eq!(c.ask(&["EVALSHA", digest, "0"]), "-ERR Please use EVAL instead of EVALSHA for debugging");
    assert_eq!(c.ask(&["EVALSHA", "x", "0"]), "-NOSCRIPT No matching script. Please use EVAL.");
    assert_eq!(c.ask(&["SCRIPT", "DEBUG", "no"]), "+OK");
    c.command(&["EVAL", script, "0"]);
    assert_eq!([c.line(), c.reply(), c.line()], ["*2", "false", ":0"]);

    assert_eq!(c.ask(&["SCRIPT", "DEBUG", "sync"]), "+OK");
    assert_eq!(c.ask(&["RESET"]), "+RESET");
    c.command(&["EVAL", script, "0"]);
    assert_eq!(answer(&mut c).len(), 2, "RESET leaves debugging on");
}

#[test]
fn a_child_changes_nothing_and_holds_nobody_back() {
    let server = TestServer::start(&["--save", "", "--appendonly", "yes"]);
    let (mut other, mut leaving) = (server.raw(), server.raw());
    assert_eq!(other.ask(&["SET", "k", "before"]), "+OK");
    let leaving_id = leaving.ask(&["CLIENT", "ID"]).trim_start_matches(':').to_string();
    let forks = server.info("total_forks");
    let script = "redis.call('set', 'k', 'debugged')\nredis.call('publish', 'ch', 'm')\nredis.call('flushall', 'async')\n\
                  redis.call('rpush', 'l', 'x')\nreturn redis.call('lrange', 'l', 0, -1)";
    let mut client = debug(&server, "yes", script);
    assert_eq!(server.info("total_forks"), forks + 1.0);
    wait_for("the server forgets the client", || server.info("connected_clients") == 3.0);

    // The server serves others, saves, and lets go of them, while the child stands.
    assert_eq!(other.ask(&["SET", "new", "1"]), "+OK");
    assert_eq!(other.ask(&["BGSAVE"]), "+Background saving started");
    wait_for("the save", || server.info("rdb_saves") == 1.0);
    assert_eq!(other.ask(&["CLIENT", "KILL", "ID", &leaving_id]), ":1");
    assert!(leaving.is_closed(), "the child has kept no copy of the socket");

    assert_eq!(ask(&mut client, &["redis", "exists", "new"]), ["<redis> exists new", "<reply> 0"]);
    assert_eq!(ask(&mut client, &["continue"]), ["<endsession>"]);
    assert_eq!([client.line(), client.reply()], ["*1", "x"]);
    assert!(client.is_closed());
    assert_eq!(other.ask(&["GET", "k"]), "before");
    let files = std::fs::read_dir(server.dir.path().join("appendonlydir")).unwrap();
    let logged: Vec<u8> = files.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect();
    let has = |word: &str| logged.windows(word.len()).any(|bytes| bytes == word.as_bytes());
    assert!(has("before") && !has("debugged"), "the child writes to no file of the server's");
    for text in ["* Redis forked for debugging eval", "* Lua debugging session child exiting"] {
        wait_for(text, || server.log().contains(text));
    }
}

#[test]
fn a_session_in_the_server_holds_all_others_back_until_it_ends() {
    let server = TestServer::start(&["--save", ""]);
    let mut other = server.raw();
    let mut client = debug(&server, "sync", "redis.call('set', 'k', '1')\nreturn redis.status_reply('done')");
    other.command(&["GET", "k"]);
    other.stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert_eq!(other.line(), "", "nobody is served");
    other.stream.set_read_timeout(Some(common::PATIENCE)).unwrap();
    assert_eq!(ask(&mut client, &["n"])[0], "<redis> set k 1");
    assert_eq!(ask(&mut client, &["c"]), ["<endsession>"]);
    assert_eq!(client.line(), "+done");
    assert!(client.is_closed());
    assert_eq!(other.reply(), "1");
    let log = server.log();
    assert!(log.contains("* Redis synchronous debugging eval session started"), "{log}");
    assert!(log.contains("* Redis synchronous debugging eval session ended"), "{log}");
}

#[test]
fn a_session_within_a_transaction_answers_in_its_place() {
    let server = TestServer::start(&["--save", ""]);
    for mode in ["yes", "sync"] {
        let mut c = server.raw();
        assert_eq!(c.ask(&["SCRIPT", "DEBUG", mode]), "+OK");
        assert_eq!(c.ask(&["MULTI"]), "+OK");
        assert_eq!(c.ask(&["SET", "a", "1"]), "+QUEUED");
        assert_eq!(c.ask(&["EVAL", "return 7", "0"]), "+QUEUED");
        c.command(&["EXEC"]);
        assert_eq!(answer(&mut c)[0], "* Stopped at 1, stop reason = step over");
        assert_eq!(ask(&mut c, &["s"]), ["<endsession>"]);
        assert_eq!([c.line(), c.line(), c.line()], ["*2", "+OK", ":7"]);
        assert!(c.is_closed());
    }
}

#[test]
fn a_user_who_leaves_lets_the_script_run_to_its_end() {
    let server = TestServer::start(&["--save", "", "--busy-reply-threshold", "200"]);
    let mut other = server.raw();
    for (mode, script) in [
        (
            "sync",
            "redis.breakpoint()\nredis.call('incr', 'n')\nredis.breakpoint()\nredis.call('incr', 'n')\nreturn 1",
        ),
        ("sync", "while true do\nend"),
        ("sync", "local s = string.rep('a', 1e5)\nwhile true do s:find(string.rep('a?', 20) .. 'b') end"),
        ("sync", "while true do pcall(function() while true do end end) end"),
        ("yes", "redis.call('incr', 'n')\nreturn 1"),
        ("yes", "while true do\nend"),
    ] {
        drop(debug(&server, mode, script));
        assert_eq!(other.ask(&["PING"]), "+PONG", "{mode}: {script}");
    }
    assert_eq!(other.ask(&["GET", "n"]), "2");
    let exiting = "Lua debugging session child exiting";
    wait_for("both children end", || server.log().matches(exiting).count() == 2);
}

#[test]
fn hostile_users_harm_nobody_but_themselves() {
    let server = TestServer::start(&["--save", ""]);
    let mut other = server.raw();
    let script = "local t = {} for i = 1, 100 do t[i] = t end\nKEYS.co = coroutine.create(function()\nwhile true do end\nend)\nreturn 1";
    for mode in ["sync", "yes"] {
        // Evaluations that never end do when their user has left.
        for code in [
            "while true do end",
            "pcall(function() while true do end end) while true do pcall(function() while true do end end) end",
            "(function() while true do coroutine.wrap(function() while true do end end)() end end)()",
            "coroutine.resume(KEYS.co)",
            "string.rep('a', 1e6):find(string.rep('a?', 30) .. string.rep('a', 30) .. 'b')",
        ] {
            let mut client = debug(&server, mode, script);
            ask(&mut client, &["b", "5"]);
            ask(&mut client, &["c"]);
            client.command(&["eval", code]);
            std::thread::sleep(Duration::from_millis(50));
            drop(client);
            let begun = Instant::now();
            assert_eq!(other.ask(&["PING"]), "+PONG", "{mode}: {code}");
            assert!(begun.elapsed() < Duration::from_secs(20), "{mode}: {code}");
        }
        // What is endless is cut off.
        let mut client = debug(&server, mode, script);
        ask(&mut client, &["b", "2"]);
        ask(&mut client, &["c"]);
        assert_eq!(ask(&mut client, &["maxlen", "0"]), ["<value> replies are unlimited."]);
        let shown = ask(&mut client, &["p", "t"]);
        assert!(shown[0].len() < 100 << 20 && shown[0].ends_with(" ..."), "{}", shown[0].len());
        let deep = ask(&mut client, &["e", "(function(f) return f(f) end)(function(f) return 1 + f(f) end)"]);
        assert!(deep[0].contains("stack overflow"), "{}", deep[0]);
        assert_eq!(
            ask(&mut client, &["e", "redis.call('nosuch')"]),
            ["<error> ERR Unknown Redis command called from script"]
        );
        assert_eq!(ask(&mut client, &["e", "error()"]), ["<error> (a nil value)"]);
        assert_eq!(ask(&mut client, &["e", "coroutine.yield(1)"]).len(), 1);
        // A command that is too long ends the session.
        client.try_send(&b"*1".repeat(600_000));
        assert!(client.is_closed());
        assert_eq!(other.ask(&["PING"]), "+PONG");
    }
    // Logs without end are limited, too.
    let mut client =
        debug(&server, "yes", "local s = ('x'):rep(1e6) for i = 1, 1e4 do redis.debug(s) end\nreturn 1");
    let logged = ask(&mut client, &["c"]);
    assert!((64..80).contains(&logged.len()), "{}", logged.len());
    assert!(server.resident() < 1 << 30);
}

#[test]
fn sessions_end_with_the_server() {
    let mut server = TestServer::start(&["--save", ""]);
    let mut forked = debug(&server, "yes", "return 1");
    let mut sync = debug(&server, "sync", "redis.breakpoint()\nreturn 1");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(server.pid() as i32), nix::sys::signal::SIGTERM)
        .unwrap();
    assert!(forked.is_closed() && sync.is_closed());
    assert_eq!(server.wait(), Some(0));
    let log = server.log();
    let (asked, killed) = (log.find("User requested shutdown..."), log.find("* Killing debugging session "));
    assert!(asked.is_some() && asked < killed, "{log}");
}

#[test]
fn an_evaluation_that_wants_all_memory_ends_in_an_error() {
    let server = TestServer::start(&["--save", ""]);
    let limit = libc::rlimit { rlim_cur: 768 << 20, rlim_max: 768 << 20 };
    // SAFETY: the limit is a value of its own, and the old one is not asked for.
    let set = unsafe {
        libc::prlimit(server.pid() as i32, libc::RLIMIT_AS, &raw const limit, std::ptr::null_mut())
    };
    assert_eq!(set, 0);
    for mode in ["sync", "yes"] {
        let mut client = debug(&server, mode, "return 1");
        for code in ["local s = 'x' while true do s = s .. s end", "string.rep('x', 1e12)"] {
            let bomb = ask(&mut client, &["e", code]);
            assert!(bomb[0].ends_with("not enough memory"), "{mode}: {}", bomb[0]);
        }
        assert_eq!(ask(&mut client, &["c"]), ["<endsession>"]);
        assert_eq!(client.line(), ":1");
    }
}
