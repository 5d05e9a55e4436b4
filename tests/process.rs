//! The process: start, signals, files, sockets, what CONFIG SET changes at run time.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::Command;

use common::{TestServer, free_port, wait_for};

fn signal(server: &TestServer, name: &str) {
    assert!(Command::new("kill").args([name, &server.pid().to_string()]).status().unwrap().success());
}

#[test]
fn sigterm_ends_it_in_order() {
    let mut server = TestServer::start(&["--pidfile", "server.pid"]);
    let pidfile = server.dir.path().join("server.pid");
    wait_for("the pid file", || pidfile.exists());
    assert_eq!(std::fs::read_to_string(&pidfile).unwrap().trim(), server.pid().to_string());
    signal(&server, "-TERM");
    assert_eq!(server.wait(), Some(0));
    assert!(!pidfile.exists());
    let log = server.log();
    for text in
        ["Received SIGTERM scheduling shutdown...", "User requested shutdown...", "ready to exit, bye bye"]
    {
        assert!(log.contains(text), "{text} is missing in {log}");
    }
}

#[test]
fn lines_have_the_known_format() {
    let server = TestServer::start(&[]);
    wait_for("the log", || server.log().contains("Ready to accept connections tcp"));
    let pid = server.pid().to_string();
    let log = server.log();
    let line = log.lines().find(|l| l.contains("Server initialized")).unwrap();
    let words: Vec<&str> = line.split(' ').collect();
    assert_eq!(words[0], format!("{pid}:M"));
    assert_eq!((words[4].len(), words[5]), ("16:22:48.123".len(), "*"));
}

#[test]
fn a_crash_leaves_a_report() {
    let mut server = TestServer::start(&["--enable-debug-command", "yes"]);
    let mut client = server.raw();
    client.command(&["DEBUG", "SEGFAULT"]);
    assert_eq!(server.wait(), None, "ended by the signal");
    let log = server.log();
    for text in [
        "=== REDIS BUG REPORT START",
        "crashed by signal: 11",
        "INFO OUTPUT",
        "CLIENT LIST OUTPUT",
        "BUG REPORT END",
    ] {
        assert!(log.contains(text), "{text} is missing in {log}");
    }
}

/// Waits until the background threads run: on a busy machine the server is there before them.
fn wait_for_threads(server: &TestServer) {
    wait_for("the threads", || {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap();
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
        names.filter(|name| name.starts_with("bio_")).count() == 3
    });
}

/// Whether the log has the stacks of all threads, of which one is in a DEBUG command.
fn has_stacks(log: &str) -> bool {
    let bio = log.lines().filter(|line| line.contains("bioProcessBackgroundJobs)")).count();
    log.contains("------ STACK TRACE DONE ------") && bio == 3 && log.contains("debugCommand)")
}

#[test]
fn a_server_that_hangs_tells_where() {
    let server = TestServer::start(&["--enable-debug-command", "yes", "--watchdog-period", "200"]);
    let mut client = server.raw();
    wait_for_threads(&server);
    assert_eq!(client.ask(&["DEBUG", "SLEEP", "0.05"]), "+OK");
    assert_eq!(client.ask(&["DEBUG", "SLEEP", "2"]), "+OK");
    wait_for("a report", || server.log().contains("STACK TRACE DONE"));
    let log = server.log();
    assert_eq!(log.matches("WATCHDOG TIMER EXPIRED").count(), 1, "{log}");
    assert!(has_stacks(&log), "{log}");
    assert_eq!(client.ask(&["PING"]), "+PONG");
    // One that has expired expires again.
    assert_eq!(client.ask(&["DEBUG", "SLEEP", "2"]), "+OK");
    wait_for("a report", || server.log().matches("STACK TRACE DONE").count() == 2);
}

#[test]
fn sigalrm_asks_for_the_stacks() {
    let server = TestServer::start(&["--enable-debug-command", "yes"]);
    let mut client = server.raw();
    wait_for_threads(&server);
    client.command(&["DEBUG", "SLEEP", "3"]);
    std::thread::sleep(std::time::Duration::from_millis(300));
    signal(&server, "-ALRM");
    wait_for("a report", || server.log().contains("STACK TRACE DONE"));
    let log = server.log();
    assert!(log.contains("Received SIGALRM") && has_stacks(&log), "{log}");
    assert_eq!(client.reply(), "+OK");
}

#[test]
fn a_crash_shows_the_stacks_of_all_threads() {
    for (how, options, code) in [
        ("SEGFAULT", &[][..], None),
        ("PANIC", &["--use-exit-on-panic", "yes"], Some(1)),
        ("ASSERT", &["--use-exit-on-panic", "yes"], Some(1)),
    ] {
        let mut server = TestServer::start(&[&["--enable-debug-command", "yes"], options].concat());
        wait_for_threads(&server);
        server.raw().command(&["DEBUG", how]);
        assert_eq!(server.wait(), code, "{how}");
        let log = server.log();
        assert!(has_stacks(&log), "{how}: {log}");
        assert!(!log.contains("Crashed running signal handler"), "{how}: {log}");
    }
}

#[test]
fn listens_on_a_unix_socket_and_on_several_addresses() {
    let server = TestServer::start(&[
        "--unixsocket",
        "redis.sock",
        "--unixsocketperm",
        "700",
        "--bind",
        "127.0.0.1",
        "-::1",
    ]);
    let path = server.dir.path().join("redis.sock");
    wait_for("the socket", || path.exists());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.write_all(b"PING\r\n").unwrap();
    let mut reply = [0; 7];
    stream.read_exact(&mut reply).unwrap();
    assert_eq!(&reply, b"+PONG\r\n");
}

#[test]
fn port_and_bind_can_change_while_it_runs() {
    let server = TestServer::start(&[]);
    let mut old = server.raw();
    let port = free_port();
    assert_eq!(old.ask(&["CONFIG", "SET", "port", &port.to_string()]), "+OK");
    let mut moved = TcpStream::connect(("127.0.0.1", port)).unwrap();
    moved.write_all(b"PING\r\n").unwrap();
    assert!(TcpStream::connect(("127.0.0.1", server.port)).is_err());
    assert_eq!(old.ask(&["PING"]), "+PONG", "connections stay");
    assert_eq!(old.ask(&["CONFIG", "SET", "bind", "127.0.0.1"]), "+OK");
    assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
    assert!(old.ask(&["CONFIG", "SET", "bind", "192.0.2.1"]).starts_with("-ERR"));
    assert!(TcpStream::connect(("127.0.0.1", port)).is_ok(), "a failed change is taken back");
}

#[test]
fn maxclients_is_kept() {
    let server = TestServer::start(&["--maxclients", "3"]);
    let mut clients = Vec::new();
    // The connection that found the server ready may not be gone yet.
    wait_for("three clients", || {
        let mut client = server.raw();
        if client.try_send(b"PING\r\n") && client.line() == "+PONG" {
            clients.push(client);
        }
        clients.len() == 3
    });
    assert_eq!(server.raw().line(), "-ERR max number of clients reached");
}

#[test]
fn idle_clients_are_closed_after_their_timeout() {
    let server = TestServer::start(&["--timeout", "1"]);
    let mut client = server.raw();
    assert_eq!(client.ask(&["PING"]), "+PONG");
    assert!(client.is_closed());
}

#[test]
fn a_pause_holds_back_what_it_says() {
    let server = TestServer::start(&[]);
    let (mut admin, mut writer) = (server.raw(), server.raw());
    assert_eq!(admin.ask(&["CLIENT", "PAUSE", "60000", "WRITE"]), "+OK");
    assert_eq!(writer.ask(&["GET", "k"]), "$-1");
    writer.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert_eq!(admin.ask(&["EXISTS", "k"]), ":0");
    assert_eq!(admin.ask(&["CLIENT", "UNPAUSE"]), "+OK");
    assert_eq!((writer.reply(), writer.reply()), ("+OK".to_string(), "v".to_string()));
}

#[test]
fn a_big_argument_survives_a_pause() {
    let server = TestServer::start(&[]);
    let (mut admin, mut writer) = (server.raw(), server.raw());
    let value = "x".repeat(100_000);
    // A pause of all commands holds back CLIENT UNPAUSE as well, so it has to end by itself.
    assert_eq!(admin.ask(&["CLIENT", "PAUSE", "300", "ALL"]), "+OK");
    writer.command(&["SET", "k", &value]);
    writer.command(&["STRLEN", "k"]);
    assert_eq!((writer.reply(), writer.reply()), ("+OK".to_string(), ":100000".to_string()));
}

#[test]
fn replies_can_be_turned_off() {
    let server = TestServer::start(&[]);
    let mut client = server.raw();
    client.send(b"CLIENT REPLY SKIP\r\nPING skipped\r\nPING a\r\nCLIENT REPLY OFF\r\nPING b\r\nCLIENT REPLY ON\r\nPING c\r\n");
    let replies: Vec<String> = (0..3).map(|_| client.reply()).collect();
    assert_eq!(replies, ["a", "+OK", "c"]);
}

#[test]
fn rename_command_hides_and_renames() {
    let server = TestServer::start(&["--rename-command", "ECHO", "SPEAK", "--rename-command", "LOLWUT", ""]);
    let mut client = server.raw();
    assert_eq!(client.ask(&["SPEAK", "hi"]), "hi");
    assert!(client.ask(&["ECHO", "hi"]).starts_with("-ERR unknown command 'ECHO'"));
    assert!(client.ask(&["LOLWUT"]).starts_with("-ERR unknown command"));
}

#[test]
fn a_bad_configuration_stops_the_start() {
    let output = Command::new(env!("CARGO_BIN_EXE_redis-server")).args(["--prot", "7000"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    for part in
        ["*** FATAL CONFIG FILE ERROR (Redis 8.0.2) ***", "at line 2", ">>> 'prot \"7000\"'", "Bad directive"]
    {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
}

#[test]
fn version_is_told() {
    let output = Command::new(env!("CARGO_BIN_EXE_redis-server")).arg("--version").output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("Redis server v=8.0.2 sha="));
}
