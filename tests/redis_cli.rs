//! redis-cli as its users meet it: the built program is run against servers that these tests script themselves, so that
//! what is sent, what comes back and when the line breaks are all decided here.

mod common;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// What a scripted server does about a command.
enum Act {
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Closes the connection.
    Close,
}

fn send(bytes: &str) -> Act {
    Act::Send(bytes.as_bytes().to_vec())
}

/// A server that answers from a script and remembers what it was asked.
struct Server {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Listens on a free port. `answer` gets the words of each command, joined by blanks.
    fn start(answer: impl Fn(&str) -> Act + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (answer, log) = (Arc::new(answer), seen.clone());
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (answer, log) = (answer.clone(), log.clone());
                let reader = stream.try_clone().unwrap();
                thread::spawn(move || serve(reader, stream, &*answer, &log));
            }
        });
        Server { port, seen }
    }

    /// A server with fixed answers; what is not in the table is an error.
    fn with_answers(answers: &[(&str, &str)]) -> Server {
        let answers: HashMap<String, String> =
            answers.iter().map(|(command, reply)| (command.to_string(), reply.to_string())).collect();
        Server::start(move |command| send(answers.get(command).map_or("-ERR unexpected\r\n", String::as_str)))
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn serve(reader: impl Read, mut writer: impl Write, answer: &dyn Fn(&str) -> Act, log: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(reader);
    while let Some(command) = read_command(&mut reader) {
        log.lock().unwrap().push(command.clone());
        match answer(&command) {
            Act::Send(bytes) if writer.write_all(&bytes).is_ok() => {}
            _ => return,
        }
    }
}

fn read_command(reader: &mut impl BufRead) -> Option<String> {
    fn header(reader: &mut impl BufRead, kind: char) -> Option<usize> {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        line.strip_prefix(kind)?.trim_end().parse().ok()
    }
    let mut words = Vec::new();
    for _ in 0..header(reader, '*')? {
        let len = header(reader, '$')?;
        let mut bytes = vec![0; len + 2];
        reader.read_exact(&mut bytes).ok()?;
        words.push(String::from_utf8_lossy(&bytes[..len]).into_owned());
    }
    Some(words.join(" "))
}

/// What came of a run.
#[derive(Debug, PartialEq)]
struct Run {
    status: i32,
    out: String,
    err: String,
}

fn ok(out: &str) -> Run {
    Run { status: 0, out: out.to_string(), err: String::new() }
}

fn failed(err: &str) -> Run {
    Run { status: 1, out: String::new(), err: err.to_string() }
}

/// redis-cli in an environment without surprises.
fn cli() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_redis-cli"));
    command.env_clear().env("TERM", "dumb").env("HOME", "/nonexistent");
    command
}

/// redis-cli for `server`, with the words of `args`.
fn cli_for(server: &Server, args: &str) -> Command {
    let mut command = cli();
    command.args(["-p", &server.port.to_string()]).args(args.split_whitespace());
    command
}

fn run(mut command: Command, input: &str) -> Run {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A program that ended early does not read its input.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    Run {
        status: output.status.code().unwrap(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn against(server: &Server, args: &str, input: &str) -> Run {
    run(cli_for(server, args), input)
}

#[test]
fn each_style_prints_a_reply_in_its_own_way() {
    let server = Server::with_answers(&[
        ("HELLO 3", "%1\r\n$5\r\nproto\r\n:3\r\n"),
        ("get a", "*2\r\n$3\r\nx\"y\r\n%1\r\n$1\r\nk\r\n,1.5\r\n"),
    ]);
    for (args, out) in [
        ("get a", "x\"y\nk 1.5\n"),
        ("-d | -D # get a", "x\"y|k 1.5#"),
        ("--no-raw get a", "1) \"x\\\"y\"\n2) 1# \"k\" => (double) 1.5\n"),
        ("--csv get a", "\"x\\\"y\",\"k\",1.5\n"),
        ("--json get a", "[\"x\\\"y\",{\"k\":1.5}]\n"),
        ("--quoted-json get a", "[\"x\\\\\"y\",{\"k\":1.5}]\n"),
    ] {
        assert_eq!(against(&server, args, ""), ok(out), "{args}");
    }
}

#[test]
fn a_pretended_terminal_gets_the_style_for_people() {
    let server = Server::with_answers(&[("incr n", ":7\r\n")]);
    let mut command = cli_for(&server, "incr n");
    command.env("FAKETTY", "1");
    assert_eq!(run(command, ""), ok("(integer) 7\n"));
}

#[test]
fn texts_are_printed_as_they_are() {
    let server = Server::with_answers(&[("info", "$9\r\na:1\r\nb:2\"\r\n")]);
    assert_eq!(against(&server, "--no-raw info", ""), ok("a:1\r\nb:2\""));
}

#[test]
fn an_error_reply_fails_only_on_demand() {
    let server = Server::with_answers(&[]);
    assert_eq!(against(&server, "foo", ""), ok("ERR unexpected\n\n"));
    assert_eq!(against(&server, "--no-raw foo", ""), ok("(error) ERR unexpected\n"));
    assert_eq!(against(&server, "-e foo", ""), failed("ERR unexpected\n"));
}

#[test]
fn a_line_that_breaks_is_a_failure() {
    let closing = Server::start(|_| Act::Close);
    assert_eq!(against(&closing, "blpop k 0", ""), failed("Error: Server closed the connection\n"));
    let babbling = Server::with_answers(&[("ping", "HTTP/1.1 400 Bad Request\r\n")]);
    let complaint = "Error: Protocol error, got \"H\" as reply type byte\n";
    assert_eq!(against(&babbling, "ping", ""), failed(complaint));
}

#[test]
fn nobody_listening_is_a_failure() {
    let port = common::free_port();
    let mut command = cli();
    command.args(["-p", &port.to_string(), "ping"]);
    let complaint = format!("Could not connect to Redis at 127.0.0.1:{port}: Connection refused\n");
    assert_eq!(run(command, ""), failed(&complaint));
    let mut command = cli();
    command.args(["-s", "/nonexistent/socket", "ping"]);
    let complaint = "Could not connect to Redis at /nonexistent/socket: No such file or directory\n";
    assert_eq!(run(command, ""), failed(complaint));
}

#[test]
fn a_connection_is_set_up_before_the_command() {
    let server = Server::with_answers(&[
        ("AUTH me secret", "+OK\r\n"),
        ("AUTH env", "+OK\r\n"),
        ("AUTH asked", "+OK\r\n"),
        ("SELECT 3", "+OK\r\n"),
        ("HELLO 3", "%0\r\n"),
        ("ping", "+PONG\r\n"),
    ]);
    let args = "--user me --pass secret --no-auth-warning -n 3 -3 ping";
    assert_eq!(against(&server, args, ""), ok("PONG\n"));
    assert_eq!(server.seen(), ["AUTH me secret", "SELECT 3", "HELLO 3", "ping"]);

    let mut command = cli();
    command.args(["-u", &format!("redis://me:s%65cret@127.0.0.1:{}/3", server.port), "ping"]);
    let warned = run(command, "");
    assert_eq!(warned.out, "PONG\n");
    assert!(warned.err.starts_with("Warning: Using a password with '-a' or '-u'"), "{}", warned.err);
    assert_eq!(server.seen()[4..], ["AUTH me secret", "SELECT 3", "ping"]);

    let mut command = cli_for(&server, "ping");
    command.env("REDISCLI_AUTH", "env");
    assert_eq!(run(command, ""), ok("PONG\n"));
    let mut command = cli_for(&server, "--askpass ping");
    command.env("REDISCLI_AUTH", "env");
    assert_eq!(run(command, "asked\n"), ok("PONG\n"));
    assert_eq!(server.seen()[7..], ["AUTH env", "ping", "AUTH asked", "ping"]);
}

#[test]
fn a_refused_password_is_reported_and_the_command_is_tried() {
    let server = Server::with_answers(&[("AUTH bad", "-WRONGPASS no\r\n"), ("ping", "-NOAUTH no\r\n")]);
    let refused = against(&server, "-a bad --no-auth-warning ping", "");
    assert_eq!(refused, Run { err: "AUTH failed: WRONGPASS no\n".to_string(), ..ok("NOAUTH no\n\n") });
}

#[test]
fn json_gets_along_without_resp3() {
    let server = Server::with_answers(&[("HELLO 3", "-ERR unknown\r\n"), ("ping", "+PONG\r\n")]);
    let refused = Run { err: "HELLO 3 failed: ERR unknown\n".to_string(), ..ok("\"PONG\"\n") };
    assert_eq!(against(&server, "--json ping", ""), refused);
    assert_eq!(against(&server, "--json -2 ping", ""), ok("\"PONG\"\n"));
}

#[test]
fn a_unix_socket_serves_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let reader = stream.try_clone().unwrap();
        serve(reader, stream, &|_| send("+PONG\r\n"), &Mutex::new(Vec::new()));
    });
    let mut command = cli();
    command.arg("-s").arg(&path).arg("ping");
    assert_eq!(run(command, ""), ok("PONG\n"));
}

#[test]
fn arguments_come_from_standard_input() {
    let server = Server::with_answers(&[("set k v\n", "+OK\r\n"), ("restore k 0 v\n replace", "+OK\r\n")]);
    assert_eq!(against(&server, "-x set k", "v\n"), ok("OK\n"));
    assert_eq!(against(&server, "-X tag restore k 0 tag replace", "v\n"), ok("OK\n"));
    let complaint = "Using -X option but stdin tag not match.\n";
    assert_eq!(against(&server, "-X tag set k v", "v\n"), failed(complaint));
}

#[test]
fn quoted_arguments_are_unquoted_on_demand() {
    let server = Server::with_answers(&[("get a\0b", "+quoted\r\n"), ("get \"a\\x00b\"", "+plain\r\n")]);
    assert_eq!(against(&server, "--quoted-input get \"a\\x00b\"", ""), ok("quoted\n"));
    assert_eq!(against(&server, "get \"a\\x00b\"", ""), ok("plain\n"));
    let refused = against(&server, "--quoted-input get \"open", "");
    assert_eq!(refused, Run { status: 1, ..ok("Invalid quoted string\n") });
}

#[test]
fn scripts_are_sent_with_eval() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "return 1").unwrap();
    let server = Server::with_answers(&[("EVAL return 1 2 k1 k2 a1", ":1\r\n")]);
    let args = format!("--eval {} k1 k2 , a1", file.path().display());
    assert_eq!(against(&server, &args, ""), ok("1\n"));
    let complaint = "Can't open file '/nonexistent': No such file or directory\n";
    assert_eq!(against(&server, "--eval /nonexistent", ""), failed(complaint));
}

#[test]
fn a_command_is_repeated_with_pauses() {
    let server = Server::with_answers(&[("ping", "+PONG\r\n")]);
    let start = Instant::now();
    assert_eq!(against(&server, "-r 3 -i 0.05 ping", ""), ok("PONG\nPONG\nPONG\n"));
    assert!(start.elapsed() >= Duration::from_millis(150));
}

#[test]
fn redirections_are_followed_in_cluster_mode_only() {
    let target = Server::with_answers(&[("ASKING", "+OK\r\n"), ("get k", "+here\r\n")]);
    for (word, expected) in [("MOVED", &["get k"][..]), ("ASK", &["ASKING", "get k"])] {
        let redirection = format!("{word} 7 127.0.0.1:{}", target.port);
        let server = Server::with_answers(&[("get k", &format!("-{redirection}\r\n"))]);
        target.seen.lock().unwrap().clear();
        assert_eq!(against(&server, "-c get k", ""), ok("here\n"));
        assert_eq!(target.seen(), expected);
        assert_eq!(against(&server, "get k", ""), ok(&format!("{redirection}\n\n")));
        let note = format!("-> Redirected to slot [7] located at 127.0.0.1:{}\nhere\n", target.port);
        assert_eq!(against(&server, "-c", "get k\n"), ok(&note));
    }
}

#[test]
fn commands_are_read_from_a_pipe() {
    let server =
        Server::with_answers(&[("ping", "+PONG\r\n"), ("set a b c", "+OK\r\n"), ("set a AZ", "+OK\r\n")]);
    let script = "ping\r\n\n   \nset a \"b c\nset a 'b c'\nset a \"A\\x5a\"\n2 ping\n0 ping\nfoo\n\
                  :set colours\n:foo\nrestart\nquit\nping\n";
    let expected = "PONG\nInvalid argument(s)\nOK\nOK\nPONG\nPONG\n\
                    Invalid redis-cli repeat command option value.\nERR unexpected\n\n\
                    unknown redis-cli preference 'colours'\nunknown redis-cli internal command ':foo'\n\
                    Use 'restart' only in Lua debugging mode.\n";
    assert_eq!(against(&server, "", script), ok(expected));
}

/// What a pretended terminal shows of a line: the prompt, and both again when the line is complete.
fn typed(prompt: &str, line: &str) -> String {
    format!("{prompt}\r{prompt}{line}\n")
}

#[test]
fn a_lost_connection_is_made_anew_by_the_next_command() {
    let server = Server::start(|command| match command {
        "shutdown" | "crash" => Act::Close,
        "SELECT 3" | "select 3" => send("+OK\r\n"),
        _ => send("+PONG\r\n"),
    });
    let mut command = cli_for(&server, "");
    command.env("FAKETTY_WITH_PROMPT", "1");
    let at = format!("127.0.0.1:{}", server.port);
    let shown = [
        typed(&format!("{at}> "), "select 3"),
        "OK\n".to_string(),
        typed(&format!("{at}[3]> "), "crash"),
        typed("not connected> ", "ping"),
        "PONG\n".to_string(),
        typed(&format!("{at}[3]> "), "shutdown"),
        "not connected> ".to_string(),
    ]
    .concat();
    let lost = Run { err: "Error: Server closed the connection\n".to_string(), ..ok(&shown) };
    assert_eq!(run(command, "select 3\ncrash\nping\nshutdown\n"), lost);
    assert_eq!(server.seen(), ["select 3", "crash", "SELECT 3", "ping", "shutdown"]);
}

#[test]
fn the_prompt_tells_the_database_and_the_transaction() {
    let server = Server::with_answers(&[
        ("multi", "+OK\r\n"),
        ("select 2", "+QUEUED\r\n"),
        ("exec", "*-1\r\n"),
        ("discard", "+OK\r\n"),
    ]);
    let mut command = cli_for(&server, "");
    command.env("FAKETTY_WITH_PROMPT", "1");
    let at = format!("127.0.0.1:{}", server.port);
    let shown = [
        typed(&format!("{at}> "), "multi"),
        "OK\n".to_string(),
        typed(&format!("{at}(TX)> "), "select 2"),
        "QUEUED\n".to_string(),
        typed(&format!("{at}[2](TX)> "), "exec"),
        "\n".to_string(),
        typed(&format!("{at}> "), "multi"),
        "OK\n".to_string(),
        typed(&format!("{at}(TX)> "), "discard"),
        "OK\n".to_string(),
        format!("{at}> "),
    ]
    .concat();
    assert_eq!(run(command, "multi\nselect 2\nexec\nmulti\ndiscard\n"), ok(&shown));
}

#[test]
fn another_server_can_be_connected_to() {
    let other = Server::with_answers(&[("ping", "+OTHER\r\n")]);
    let server = Server::with_answers(&[("ping", "+PONG\r\n")]);
    let script = format!("ping\nconnect 127.0.0.1 {}\nping\n", other.port);
    assert_eq!(against(&server, "", &script), ok("PONG\nOTHER\n"));
}

#[test]
fn pushes_are_shown_if_wanted() {
    let server = Server::with_answers(&[
        ("HELLO 3", "%0\r\n"),
        ("get k", ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n$1\r\nv\r\n"),
    ]);
    for (args, out) in [
        ("-3 get k", "v\n"),
        ("-3 --show-pushes yes get k", "invalidate\nk\nv\n"),
        ("-3 --show-pushes y --no-raw get k", "-> invalidate: 'k'\n\"v\"\n"),
        ("-3 --show-pushes no --no-raw get k", "\"v\"\n"),
    ] {
        assert_eq!(against(&server, args, ""), ok(out), "{args}");
    }
}

fn subscription(kind: &str, channel: &str, count: u32) -> String {
    format!("*3\r\n${}\r\n{kind}\r\n${}\r\n{channel}\r\n:{count}\r\n", kind.len(), channel.len())
}

#[test]
fn messages_are_printed_until_reset() {
    let message = "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n";
    let confirmed =
        [&subscription("subscribe", "a", 1), message, &subscription("subscribe", "b", 2)].concat();
    let server = Server::with_answers(&[
        ("subscribe a b", &confirmed),
        ("ping", "*2\r\n$4\r\npong\r\n$0\r\n\r\n"),
        ("reset", "+RESET\r\n"),
    ]);
    let script = "subscribe a b\nping\nreset\n";
    let raw = "subscribe\na\n1\nmessage\na\nhi\nsubscribe\nb\n2\npong\n\nRESET\n";
    assert_eq!(against(&server, "", script), ok(raw));

    let mut command = cli_for(&server, "");
    command.env("FAKETTY", "1");
    let note = "Reading messages... (press Ctrl-C to quit or any key to type command)\r\x1b[K";
    let standard = format!(
        "1) \"subscribe\"\n2) \"a\"\n3) (integer) 1\n1) \"message\"\n2) \"a\"\n3) \"hi\"\n\
         1) \"subscribe\"\n2) \"b\"\n3) (integer) 2\n{note}1) \"pong\"\n2) \"\"\n{note}RESET\n"
    );
    assert_eq!(run(command, script), ok(&standard));
}

#[test]
fn a_subscription_from_the_command_line_goes_on() {
    let confirmed = [subscription("subscribe", "a", 1), subscription("subscribe", "b", 2)].concat();
    let server = Server::with_answers(&[("subscribe a b", &confirmed)]);
    let mut child = cli_for(&server, "subscribe a b").stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert_eq!(lines.take(6).collect::<Vec<_>>(), ["subscribe", "a", "1", "subscribe", "b", "2"]);
    assert_eq!(child.try_wait().unwrap(), None, "it waits for messages");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn monitor_streams_until_the_line_breaks() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        read_command(&mut BufReader::new(stream.try_clone().unwrap())).unwrap();
        stream.write_all(b"+OK\r\n+1 [0 x] \"get\"\r\n+2 [0 x] \"set\"\r\n").unwrap();
    });
    let mut command = cli();
    command.args(["-p", &port.to_string(), "monitor"]);
    let streamed = Run {
        out: "OK\n1 [0 x] \"get\"\n2 [0 x] \"set\"\n".to_string(),
        ..failed("Error: Server closed the connection\n")
    };
    assert_eq!(run(command, ""), streamed);
}

#[test]
fn output_that_nobody_reads_ends_the_program_quietly() {
    let server = Server::with_answers(&[("ping", "+PONG\r\n")]);
    let mut command = cli_for(&server, "-r -1 ping");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(141));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

const GET_DOCS: &str = "*2\r\n$3\r\nget\r\n*8\r\n$7\r\nsummary\r\n$9\r\nfetches k\r\n$5\r\nsince\r\n$5\r\n1.0.0\r\n\
    $5\r\ngroup\r\n$6\r\nstring\r\n$9\r\narguments\r\n*1\r\n*4\r\n$4\r\nname\r\n$3\r\nkey\r\n$4\r\ntype\r\n$3\r\nkey\r\n";

#[test]
fn help_comes_from_the_server() {
    let server = Server::with_answers(&[("COMMAND DOCS", GET_DOCS)]);
    let get = "\r\n  GET key\r\n  summary: fetches k\r\n  since: 1.0.0\r\n";
    assert_eq!(against(&server, "help get", ""), ok(&format!("{get}  group: string\r\n\r\n")));
    assert_eq!(against(&server, "help @string", ""), ok(&format!("{get}\r\n")));
    assert_eq!(against(&server, "", "? nothing\n"), ok("\r\n"));
    let introduction = against(&server, "help", "");
    assert!(introduction.out.contains("\"help @<group>\""), "{}", introduction.out);
}

#[test]
fn hints_come_from_the_server_or_roughly_from_its_table() {
    let hint = |server: &Server, line: &str| {
        let mut command = cli_for(server, "--test_hint");
        command.arg(line);
        run(command, "")
    };
    let server = Server::with_answers(&[("COMMAND DOCS", GET_DOCS)]);
    assert_eq!(hint(&server, "get "), ok("key\n"));
    assert_eq!(hint(&server, "get k "), ok("\n"));
    let old = Server::with_answers(&[("COMMAND", "*1\r\n*4\r\n$3\r\nset\r\n:-3\r\n*0\r\n:1\r\n")]);
    assert_eq!(hint(&old, "set "), ok("key arg ...options...\n"));
}

#[test]
fn hint_suites_report_what_differs() {
    let server = Server::with_answers(&[("COMMAND DOCS", GET_DOCS)]);
    let suite = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(suite.path(), "# remark\n\n\"GET \" \"key\"\n\"GET a \" \"\"\n").unwrap();
    let args = format!("--test_hint_file {}", suite.path().display());
    assert_eq!(against(&server, &args, ""), ok("SUCCESS: 2/2 passed\n"));
    std::fs::write(suite.path(), "\"GET \" \"kee\"\n").unwrap();
    let complaint = "Test case 'GET ' FAILED: expected 'kee', got 'key'\n";
    let differs = Run { out: "FAILURE: 0/1 passed\n".to_string(), ..failed(complaint) };
    assert_eq!(against(&server, &args, ""), differs);
}

#[test]
fn the_version_names_both_programs() {
    let version = format!("redis-cli 8.0.2 (ochre {})\n", env!("CARGO_PKG_VERSION"));
    for option in ["-v", "--version"] {
        let mut command = cli();
        command.arg(option);
        assert_eq!(run(command, ""), ok(&version));
    }
    let mut command = cli();
    command.arg("--help");
    let help = run(command, "");
    assert_eq!(help.status, 0);
    assert!(help.out.starts_with(&version), "{}", help.out);
}

/// redis-cli on a terminal of its own.
struct Terminal {
    child: Child,
    master: std::fs::File,
    shown: Arc<Mutex<String>>,
}

impl Terminal {
    fn start(server: &Server, home: &Path) -> Terminal {
        let pty = nix::pty::openpty(None, None).unwrap();
        let slave = |fd: &OwnedFd| Stdio::from(fd.try_clone().unwrap());
        let child = cli_for(server, "")
            .env("TERM", "xterm")
            .env("HOME", home)
            .stdin(slave(&pty.slave))
            .stdout(slave(&pty.slave))
            .stderr(slave(&pty.slave))
            .spawn()
            .unwrap();
        let master = std::fs::File::from(pty.master);
        let shown = Arc::new(Mutex::new(String::new()));
        let (mut reader, screen) = (master.try_clone().unwrap(), shown.clone());
        thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(n) = reader.read(&mut chunk) {
                screen.lock().unwrap().push_str(&String::from_utf8_lossy(&chunk[..n]));
            }
        });
        Terminal { child, master, shown }
    }

    /// Presses keys. Wait for the prompt first: what is typed before belongs to nobody.
    fn keys(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    fn interrupt(&self) {
        let pid = nix::unistd::Pid::from_raw(self.child.id().cast_signed());
        nix::sys::signal::kill(pid, nix::sys::signal::SIGINT).unwrap();
    }

    /// Waits until `text` has been shown, and forgets everything up to and including it.
    fn expect(&mut self, text: &str) {
        let start = Instant::now();
        loop {
            let mut shown = self.shown.lock().unwrap();
            if let Some(at) = shown.find(text) {
                shown.drain(..at + text.len());
                return;
            }
            assert!(start.elapsed() < Duration::from_secs(20), "no {text:?} in {shown:?}");
            drop(shown);
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn expect_end(&mut self, status: i32) {
        assert_eq!(self.child.wait().unwrap().code(), Some(status));
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It has usually ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn terminal_server() -> Server {
    Server::start(|command| match command {
        "COMMAND DOCS" => send(GET_DOCS),
        "subscribe c" => send(&subscription("subscribe", "c", 1)),
        "wait" => send(""),
        _ => send("+PONG\r\n"),
    })
}

#[test]
fn a_terminal_gets_hints_completion_and_a_history() {
    let home = tempfile::tempdir().unwrap();
    let server = terminal_server();
    let mut terminal = Terminal::start(&server, home.path());
    terminal.expect(&format!("127.0.0.1:{}> ", server.port));
    terminal.keys("get ");
    terminal.expect("\x1b[0;90;49mkey\x1b[0m");
    terminal.keys("k\r");
    terminal.expect("PONG");
    terminal.expect("> ");
    terminal.keys("auth secret\r");
    terminal.expect("PONG");
    terminal.expect("> ");
    terminal.keys(":set nohints\r");
    terminal.expect(":set nohints\x1b[?2004l");
    terminal.expect("> ");
    terminal.keys("ge\t");
    terminal.expect("> GET");
    terminal.keys(" x\r");
    terminal.expect("PONG");
    terminal.expect("> ");
    // Three lines back is the secret one: it can be recalled, although it is not in the file.
    terminal.keys("\x1b[A\x1b[A\x1b[A");
    terminal.expect("auth secret");
    terminal.keys("\x03");
    terminal.expect_end(0);
    let history = std::fs::read_to_string(home.path().join(".rediscli_history")).unwrap();
    assert_eq!(history, "get k\n:set nohints\nGET x\n");
    assert_eq!(server.seen(), ["COMMAND DOCS", "get k", "auth secret", "GET x"]);
}

#[test]
fn preferences_and_history_are_read_from_files() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join(".redisclirc"), ":set nohints\n:set nonsense\n").unwrap();
    std::fs::write(home.path().join(".rediscli_history"), "get old\n").unwrap();
    let server = terminal_server();
    let mut terminal = Terminal::start(&server, home.path());
    terminal.expect(".redisclirc: unknown redis-cli preference 'nonsense'");
    terminal.expect("> ");
    terminal.keys("\x1b[A");
    terminal.expect("get old");
    // Ctrl-U clears the line; a hint would follow what is typed then.
    terminal.keys("\x15get ");
    terminal.expect("get ");
    terminal.keys("new\r");
    terminal.expect("PONG");
    terminal.expect("> ");
    assert_eq!(server.seen(), ["COMMAND DOCS", "get new"]);
    terminal.keys("\x04");
    terminal.expect_end(0);
    assert!(!terminal.shown.lock().unwrap().contains("90;49m"), "a hint was shown");
}

#[test]
fn an_interrupt_ends_a_stream_and_otherwise_the_program() {
    let home = tempfile::tempdir().unwrap();
    let server = terminal_server();
    let mut terminal = Terminal::start(&server, home.path());
    terminal.expect("> ");
    terminal.keys("subscribe c\r");
    terminal.expect("Reading messages...");
    terminal.interrupt();
    terminal.expect("Closing current connection. Ready to reconnect to Redis server...");
    terminal.expect(&format!("127.0.0.1:{}> ", server.port));
    terminal.keys("subscribe c\r");
    terminal.expect("Reading messages...");
    terminal.keys("ping");
    terminal.expect("(subscribed mode)> ");
    terminal.keys("\r");
    terminal.expect("PONG");
    terminal.expect("Reading messages...");
    terminal.interrupt();
    terminal.expect(&format!("127.0.0.1:{}> ", server.port));
    terminal.keys("wait\r");
    while server.seen().last().is_none_or(|command| command != "wait") {
        thread::sleep(Duration::from_millis(10));
    }
    terminal.interrupt();
    terminal.expect_end(1);
}
