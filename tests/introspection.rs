//! What the server tells of itself and lets be steered: CLIENT, AUTH, INFO, SLOWLOG, LATENCY, MONITOR, MEMORY,
//! DEBUG, SHUTDOWN. Replies were compared with those of Redis 8.0.2.

mod common;

use std::time::Duration;

use common::{RawClient, TestServer, wait_for};

/// Sends the words of `line` and returns the reply; an array is shown as its elements, separated by commas, in
/// brackets.
fn run(c: &mut RawClient, line: &str) -> String {
    c.command(&line.split(' ').collect::<Vec<_>>());
    read(c)
}

fn read(c: &mut RawClient) -> String {
    let line = c.reply();
    let (count, twice) = match line.as_bytes().first() {
        Some(b'*' | b'~' | b'>') => (line[1..].parse::<i64>(), 1),
        Some(b'%') => (line[1..].parse::<i64>(), 2),
        _ => return line,
    };
    let Ok(count) = count else { return line };
    let elements: Vec<String> = (0..count * twice).map(|_| read(c)).collect();
    format!("[{}]", elements.join(","))
}

/// Runs lines of `command => reply`.
fn script(c: &mut RawClient, text: &str) {
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (command, expected) = line.split_once(" => ").unwrap();
        assert_eq!(run(c, command), expected, "{command}");
    }
}

/// A field of a line of CLIENT LIST.
fn field<'l>(line: &'l str, name: &str) -> &'l str {
    let value = line.split(' ').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    value.unwrap_or_else(|| panic!("no {name} in {line}")).trim_end()
}

#[test]
fn a_password_is_asked_for() {
    let server = TestServer::start(&["--requirepass", "foobar"]);
    let mut c = server.raw();
    script(
        &mut c,
        "PING => -NOAUTH Authentication required.
         HELLO 3 => -NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time
         AUTH wrong => -WRONGPASS invalid username-password pair or user is disabled.
         AUTH other foobar => -WRONGPASS invalid username-password pair or user is disabled.
         AUTH a b c => -ERR syntax error
         AUTH foobar => +OK
         PING => +PONG
         AUTH default wrong => -WRONGPASS invalid username-password pair or user is disabled.
         PING => +PONG
         CLIENT SETNAME me => +OK
         RESET => +RESET
         PING => -NOAUTH Authentication required.
         AUTH default foobar => +OK
         CLIENT GETNAME => $-1",
    );
    let hello = run(&mut server.raw(), "HELLO 3 AUTH default foobar SETNAME me");
    assert!(hello.starts_with("[server,redis,version,8.0.2,proto,:3,id,:"), "{hello}");
    assert!(hello.ends_with(",mode,standalone,role,master,modules,[]]"), "{hello}");
    // Three attempts failed above, of which two had a password that was wrong and one a user.
    c.command(&["INFO", "stats"]);
    assert!(c.reply().contains("acl_access_denied_auth:3\r\n"));
}

#[test]
fn without_a_password_anything_goes_for_the_default_user() {
    let server = TestServer::start(&[]);
    let mut c = server.raw();
    script(
        &mut c,
        "AUTH x => -ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?
         AUTH default x => +OK
         AUTH other x => -WRONGPASS invalid username-password pair or user is disabled.
         HELLO 4 => -NOPROTO unsupported protocol version
         HELLO x => -ERR Protocol version is not an integer or out of range
         HELLO 2 AUTH x => -ERR Syntax error in HELLO option 'AUTH'
         HELLO 2 what => -ERR Syntax error in HELLO option 'what'",
    );
    for name in ["a b", "a\nb", "\u{7f}"] {
        let expected = "-ERR Client names cannot contain spaces, newlines or special characters.";
        assert_eq!(c.ask(&["HELLO", "2", "SETNAME", name]), expected);
        assert_eq!(c.ask(&["CLIENT", "SETNAME", name]), expected);
    }
    c.send(b"QUIT\r\nPING\r\n");
    assert_eq!((c.reply(), c.reply()), ("+OK".into(), String::new()));
}

#[test]
fn clients_are_described() {
    let server = TestServer::start(&[]);
    let (mut c, mut other) = (server.raw(), server.raw());
    script(
        &mut c,
        "CLIENT SETNAME one => +OK
         CLIENT SETINFO LIB-NAME lib => +OK
         CLIENT SETINFO lib-ver 1.2 => +OK
         CLIENT SETINFO lib-foo 1 => -ERR Unrecognized option 'lib-foo'
         CLIENT NO-EVICT ON => +OK
         CLIENT NO-TOUCH ON => +OK",
    );
    assert_eq!(other.ask(&["PING"]), "+PONG");
    let line = run(&mut c, "CLIENT INFO");
    let names: Vec<&str> = line.trim_end().split(' ').map(|pair| pair.split('=').next().unwrap()).collect();
    assert_eq!(
        names.join(" "),
        "id addr laddr fd name age idle flags db sub psub ssub multi watch qbuf qbuf-free argv-mem multi-mem rbs rbp \
         obl oll omem tot-mem events cmd user redir resp lib-name lib-ver io-thread"
    );
    for (name, value) in [
        ("name", "one"),
        ("flags", "eT"),
        ("argv-mem", "10"),
        ("cmd", "client|info"),
        ("user", "default"),
        ("resp", "2"),
        ("lib-name", "lib"),
        ("lib-ver", "1.2"),
    ] {
        assert_eq!(field(&line, name), value, "{line}");
    }
    let list = run(&mut c, "CLIENT LIST");
    let ids: Vec<u64> = list.lines().map(|line| field(line, "id").parse().unwrap()).collect();
    assert!(ids.len() >= 2 && ids.is_sorted(), "{list}");
    let id = run(&mut other, "CLIENT ID");
    let one = run(&mut c, &format!("CLIENT LIST ID {} 999999", &id[1..]));
    assert_eq!((one.lines().count(), field(&one, "cmd")), (1, "client|id"));
}

#[test]
fn clients_are_listed_by_type() {
    let server = TestServer::start(&[]);
    let (mut c, mut subscriber, mut monitor) = (server.raw(), server.raw(), server.raw());
    run(&mut subscriber, "PSUBSCRIBE a*");
    assert_eq!(run(&mut monitor, "MONITOR"), "+OK");
    let pubsub = run(&mut c, "CLIENT LIST TYPE pubsub");
    assert_eq!((pubsub.lines().count(), field(&pubsub, "flags"), field(&pubsub, "psub")), (1, "P", "1"));
    let normal = run(&mut c, "CLIENT LIST TYPE normal");
    assert!(normal.lines().any(|line| field(line, "flags") == "O"), "{normal}");
    script(
        &mut c,
        "CLIENT LIST TYPE what => -ERR Unknown client type 'what'
         CLIENT LIST TYPE => -ERR syntax error
         CLIENT LIST ID x => -ERR Invalid client ID
         CLIENT KILL TYPE pubsub => :1",
    );
    assert!(subscriber.is_closed());
}

#[test]
fn clients_are_killed_by_what_they_are() {
    let server = TestServer::start(&[]);
    let (mut c, mut victim) = (server.raw(), server.raw());
    let id = run(&mut victim, "CLIENT ID");
    assert_eq!(run(&mut c, &format!("CLIENT KILL ID {} SKIPME yes", &id[1..])), ":1");
    assert!(victim.is_closed());

    let mut victim = server.raw();
    let line = run(&mut victim, "CLIENT INFO");
    assert_eq!(run(&mut c, &format!("CLIENT KILL {}", field(&line, "addr"))), "+OK");
    assert!(victim.is_closed());

    script(
        &mut c,
        "CLIENT KILL 127.0.0.1:1 => -ERR No such client
         CLIENT KILL ID 0 => -ERR client-id should be greater than 0
         CLIENT KILL ID 10 what => -ERR syntax error
         CLIENT KILL USER nobody => -ERR No such user 'nobody'
         CLIENT KILL MAXAGE x => -ERR maxage is not an integer or out of range
         CLIENT KILL MAXAGE 0 => -ERR maxage should be greater than 0
         CLIENT KILL MAXAGE 100000 => :0
         CLIENT KILL SKIPME maybe => -ERR syntax error",
    );
    let count = run(&mut c, "CLIENT LIST").lines().count();
    assert_eq!(run(&mut c, "CLIENT KILL SKIPME no"), format!(":{count}"));
    assert!(c.is_closed());
}

#[test]
fn replies_can_be_skipped() {
    let server = TestServer::start(&[]);
    let mut c = server.raw();
    for line in
        ["CLIENT REPLY SKIP", "PING lost", "PING one", "CLIENT REPLY OFF", "PING lost", "CLIENT REPLY SKIP"]
    {
        c.command(&line.split(' ').collect::<Vec<_>>());
    }
    assert_eq!(c.reply(), "one");
    assert_eq!(run(&mut c, "CLIENT REPLY ON"), "+OK");
    assert_eq!(run(&mut c, "PING two"), "two");
    c.command(&["CLIENT", "REPLY", "SKIP"]);
    assert_eq!(run(&mut c, "CLIENT REPLY ON"), "+OK");
    assert_eq!(run(&mut c, "CLIENT REPLY what"), "-ERR syntax error");
    // What a subscriber is told is no reply.
    for mode in ["OFF", "SKIP"] {
        c.command(&["CLIENT", "REPLY", mode]);
        assert_eq!(run(&mut c, "SUBSCRIBE a"), "[subscribe,a,:1]");
        assert_eq!(run(&mut c, "UNSUBSCRIBE"), "[unsubscribe,a,:0]");
        assert_eq!(run(&mut c, "CLIENT REPLY ON"), "+OK");
    }
    c.command(&["CLIENT", "REPLY", "SKIP"]);
    c.command(&["RESET"]);
    assert_eq!(run(&mut c, "PING"), "+PONG");
}

#[test]
fn the_stricter_of_two_pauses_counts() {
    let server = TestServer::start(&[]);
    let (mut c, mut held) = (server.raw(), server.raw());
    script(
        &mut c,
        "CLIENT PAUSE x => -ERR timeout is not an integer or out of range
         CLIENT PAUSE -1 => -ERR timeout is negative
         CLIENT PAUSE 9223372036854775807 => -ERR timeout is out of range
         CLIENT PAUSE 1 some => -ERR CLIENT PAUSE mode must be WRITE or ALL
         CLIENT PAUSE 60000 WRITE => +OK
         CLIENT PAUSE 1 WRITE => +OK
         PING => +PONG",
    );
    held.command(&["DEL", "x"]);
    wait_for("a client that waits", || run(&mut c, "INFO clients").contains("blocked_clients:1\r\n"));
    assert_eq!(run(&mut c, "CLIENT UNPAUSE"), "+OK");
    assert_eq!(held.reply(), ":0");
}

#[test]
fn info_has_sections() {
    let server = TestServer::start(&[]);
    let mut c = server.raw();
    let titles = |text: &str| -> Vec<String> {
        text.lines().filter_map(|line| Some(line.strip_prefix("# ")?.to_string())).collect()
    };
    let default = run(&mut c, "INFO");
    for expected in
        ["redis_version:8.0.2\r\n", "ochre_version:", "used_cpu_user:", "role:master\r\n", "used_memory:"]
    {
        assert!(default.contains(expected), "{expected}");
    }
    assert!(!default.contains("rejected_calls"));
    assert_eq!(titles(&default), titles(&run(&mut c, "INFO default")));
    let all = run(&mut c, "INFO cpu ALL");
    assert!(all.contains("cmdstat_info:calls=2,") && all.contains("latency_percentiles_usec_info:p50="));
    assert_eq!(all.matches("used_cpu_user_children").count(), 1);
    assert_eq!(run(&mut c, "INFO what"), "");
    assert_eq!(titles(&run(&mut c, "INFO keyspace what CPU")), ["CPU", "Keyspace"]);
    // Sections are separated by an empty line, and end with none.
    assert!(run(&mut c, "INFO cluster keyspace").ends_with("cluster_enabled:0\r\n\r\n# Keyspace\r\n"));

    run(&mut c, "CONFIG RESETSTAT");
    script(
        &mut c,
        "DEL => -ERR wrong number of arguments for 'del' command
         AUTH x => -ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
    );
    let text = run(&mut c, "INFO commandstats errorstats stats");
    assert!(
        text.contains("cmdstat_del:calls=0,usec=0,usec_per_call=0.00,rejected_calls=1,failed_calls=0\r\n")
    );
    assert!(text.contains("cmdstat_auth:calls=1,") && text.contains("errorstat_ERR:count=2\r\n"));
    assert!(text.contains("total_error_replies:2\r\n"));
}

#[test]
fn slow_commands_are_logged() {
    let server = TestServer::start(&["--slowlog-log-slower-than", "0", "--slowlog-max-len", "3"]);
    let mut c = server.raw();
    script(
        &mut c,
        "CLIENT SETNAME me => +OK
         SLOWLOG RESET => +OK
         CONFIG SET requirepass secret => +OK
         AUTH default secret => +OK
         ECHO x => x",
    );
    let entries = run(&mut c, "SLOWLOG GET -1");
    assert!(entries.contains(",[ECHO,x],127.0.0.1:") && entries.contains(",me]"), "{entries}");
    assert!(entries.contains("[AUTH,(redacted),(redacted)]"), "{entries}");
    assert!(entries.contains("[CONFIG,SET,requirepass,(redacted)]"), "{entries}");
    assert!(!entries.contains("secret"), "{entries}");

    let mut long = vec!["DEL"];
    let names: Vec<String> = (0..33).map(|n| n.to_string()).collect();
    long.extend(names.iter().map(String::as_str));
    c.ask(&long);
    let entries = run(&mut c, "SLOWLOG GET 1");
    assert!(entries.contains(",29,... (3 more arguments)],"), "{entries}");

    script(
        &mut c,
        "SLOWLOG LEN => :3
         SLOWLOG GET 0 => []
         SLOWLOG GET -2 => -ERR count should be greater than or equal to -1
         CONFIG SET slowlog-log-slower-than -1 => +OK
         SLOWLOG RESET => +OK
         PING => +PONG
         SLOWLOG LEN => :0",
    );
}

#[test]
fn slow_events_leave_samples() {
    let server = TestServer::start(&["--latency-monitor-threshold", "20", "--enable-debug-command", "yes"]);
    let mut c = server.raw();
    script(
        &mut c,
        "LATENCY LATEST => []
         LATENCY GRAPH command => -ERR No samples available for event 'command'
         DEBUG SLEEP 0.03 => +OK",
    );
    let latest = run(&mut c, "LATENCY LATEST");
    assert!(latest.starts_with("[[command,:"), "{latest}");
    let history = run(&mut c, "LATENCY HISTORY command");
    assert_eq!(history.matches('[').count(), 2, "{history}");
    assert!(run(&mut c, "LATENCY GRAPH command").contains("ms (all time high "));
    assert!(run(&mut c, "LATENCY DOCTOR").contains("1. command: 1 latency spikes"));
    script(
        &mut c,
        "LATENCY RESET nothing => :0
         LATENCY RESET command => :1
         LATENCY HISTORY command => []",
    );

    run(&mut c, "CONFIG RESETSTAT");
    run(&mut c, "CLIENT ID");
    let histogram = run(&mut c, "LATENCY HISTOGRAM client what");
    assert!(histogram.starts_with("[client|id,[calls,:1,histogram_usec,[:"), "{histogram}");
    assert_eq!(run(&mut c, "LATENCY HISTOGRAM what"), "[]");
}

#[test]
fn monitors_see_commands() {
    let server = TestServer::start(&[]);
    let (mut c, mut monitor) = (server.raw(), server.raw());
    assert_eq!(run(&mut monitor, "MONITOR"), "+OK");
    run(&mut c, "SELECT 3");
    c.ask(&["ECHO", "a\"b\n"]);
    run(&mut c, "CONFIG GET hz");
    run(&mut c, "AUTH user secret");
    let addr = field(&run(&mut c, "CLIENT INFO"), "addr").to_string();
    let mut lines = Vec::new();
    while lines.len() < 4 {
        let line = monitor.reply();
        let (time, rest) = line.strip_prefix('+').unwrap().split_once(' ').unwrap();
        assert!(time.split_once('.').is_some_and(|(_, micros)| micros.len() == 6), "{line}");
        lines.push(rest.to_string());
    }
    let expected = [
        format!("[3 {addr}] \"SELECT\" \"3\""),
        format!("[3 {addr}] \"ECHO\" \"a\\\"b\\n\""),
        format!("[3 {addr}] \"AUTH\" \"(redacted)\" \"(redacted)\""),
        format!("[3 {addr}] \"CLIENT\" \"INFO\""),
    ];
    assert_eq!(lines, expected);
    // Who waits is shown when the wait begins, and once.
    c.send(b"BLPOP list 0\r\n");
    assert!(monitor.reply().ends_with("\"BLPOP\" \"list\" \"0\""));
    let mut other = server.raw();
    run(&mut other, "SELECT 3");
    run(&mut other, "RPUSH list a");
    run(&mut other, "PING");
    for command in ["\"SELECT\" \"3\"", "\"RPUSH\" \"list\" \"a\"", "\"PING\""] {
        let line = monitor.reply();
        assert!(line.ends_with(command), "{line}");
    }
    assert_eq!(c.line(), "*2");
    // Its own commands are shown to it as well, behind their replies; RESET makes it a client like any other.
    assert_eq!(run(&mut monitor, "PING"), "+PONG");
    assert!(monitor.reply().ends_with("\"PING\""));
    assert_eq!(run(&mut monitor, "RESET"), "+RESET");
    assert_eq!(run(&mut monitor, "PING"), "+PONG");
    run(&mut c, "PING");
    assert_eq!(run(&mut monitor, "ECHO quiet"), "quiet");
}

#[test]
fn memory_is_accounted_for() {
    let server = TestServer::start(&["--enable-debug-command", "yes"]);
    let mut c = server.raw();
    script(
        &mut c,
        "DEBUG POPULATE 1000 key 10000 => +OK
         MEMORY USAGE none => $-1
         MEMORY USAGE key:1 SAMPLES -1 => -ERR syntax error
         MEMORY USAGE key:1 SAMPLES => -ERR syntax error
         MEMORY PURGE => +OK",
    );
    let usage: usize = run(&mut c, "MEMORY USAGE key:1 SAMPLES 0")[1..].parse().unwrap();
    assert!((10_000..12_500).contains(&usage), "{usage}");
    let stats = run(&mut c, "MEMORY STATS");
    assert!(
        stats.contains(",keys.count,:1000,") && stats.contains(",db.0,[overhead.hashtable.main,:"),
        "{stats}"
    );
    let part = |name: &str| -> i64 {
        let rest = &stats[stats.find(&format!("{name},:")).unwrap() + name.len() + 2..];
        rest.split(',').next().unwrap().parse().unwrap()
    };
    assert_eq!(part("dataset.bytes") + part("overhead.total"), part("total.allocated"));
    assert!((10_000..14_000).contains(&part("keys.bytes-per-key")), "{stats}");
    assert!(run(&mut c, "MEMORY MALLOC-STATS").contains("jemalloc"));
    assert!(run(&mut c, "MEMORY DOCTOR").ends_with('\n'));
}

#[test]
fn digests_are_upstreams() {
    let server = TestServer::start(&["--enable-debug-command", "yes"]);
    script(
        &mut server.raw(),
        "DEBUG DIGEST => +0000000000000000000000000000000000000000
         DEBUG POPULATE 3 => +OK
         DEBUG DIGEST => +f25db52166a7d712fb7362fd197165342e2b7442
         EXPIRE key:1 1000 => :1
         DEBUG DIGEST => +d5791f530f064662518941f4d37446dc3ef46a56
         DEBUG DIGEST-VALUE key:0 key:1 none => [+c15f34c747bf411833c10208c03e1da1bb7da7cf,+0ace8513e807223609abb620bbc1ca7704302680,+0000000000000000000000000000000000000000]
         SELECT 4 => +OK
         DEBUG POPULATE 1 x 4 => +OK
         DEBUG DIGEST => +3b7e1a99eea7b3fac2ae8ff630bf607d2c9494c5",
    );
}

#[test]
fn debug_has_to_be_allowed() {
    let denied = TestServer::start(&[]);
    assert!(run(&mut denied.raw(), "DEBUG SLEEP 0").starts_with("-ERR DEBUG command not allowed."));
    let server = TestServer::start(&["--enable-debug-command", "local"]);
    script(
        &mut server.raw(),
        "DEBUG SLEEP 0 => +OK
         DEBUG WHAT => -ERR unknown subcommand or wrong number of arguments for 'WHAT'. Try DEBUG HELP.
         DEBUG SLEEP => -ERR unknown subcommand or wrong number of arguments for 'SLEEP'. Try DEBUG HELP.
         DEBUG POPULATE -1 => -ERR value is out of range, must be positive
         DEBUG PROTOCOL map => [:0,:0,:1,:1,:2,:0]
         DEBUG PROTOCOL push => -ERR RESP2 is not supported by this command
         DEBUG ERROR MYERR => -MYERR
         DEBUG OBJECT none => -ERR no such key
         DEBUG HTSTATS 99 => -ERR Out of range database
         DEBUG MALLCTL no.such => -ERR No such file or directory
         DEBUG LOG hello => +OK",
    );
    assert!(server.log().contains("# DEBUG LOG: hello\n"));
}

#[test]
fn restart_keeps_the_process() {
    let server = TestServer::start(&["--enable-debug-command", "yes"]);
    // The id of the run, if the server answers. Just behind a restart a connection may still reach the old socket.
    let run_id = || -> Option<String> {
        let stream = std::net::TcpStream::connect(("127.0.0.1", server.port)).ok()?;
        let mut c = RawClient { reader: std::io::BufReader::new(stream.try_clone().ok()?), stream };
        let text = c.try_send(b"INFO server\r\n").then(|| c.reply())?;
        let id = text.lines().find_map(|line| line.strip_prefix("run_id:"))?.to_string();
        assert!(text.contains(&format!("process_id:{}\r\n", server.pid())), "{text}");
        Some(id)
    };
    for command in ["DEBUG RESTART", "DEBUG CRASH-AND-RECOVER 10"] {
        let before = run_id().unwrap();
        let mut c = server.raw();
        c.command(&command.split(' ').collect::<Vec<_>>());
        assert!(c.is_closed());
        wait_for("the server again", || run_id().is_some_and(|id| id != before));
    }
}

#[test]
fn crashes_are_reported() {
    for (command, cause) in [
        ("SEGFAULT", "crashed by signal: 11, si_code: 2\n"),
        ("PANIC", "# Guru Meditation: DEBUG PANIC called at Unix time "),
        ("ASSERT", "# === ASSERTION FAILED ===\n"),
        ("OOM", "# Out Of Memory allocating 9223372036854775807 bytes!\n"),
    ] {
        let mut server = TestServer::start(&["--enable-debug-command", "yes"]);
        let mut c = server.raw();
        c.command(&["DEBUG", command, "with-data"]);
        assert!(c.is_closed());
        assert_eq!(server.wait(), None, "ended by a signal");
        let log = server.log();
        for expected in [
            cause,
            "=== REDIS BUG REPORT START: Cut & paste starting from here ===\n",
            "\n------ STACK TRACE ------\n",
            "\n------ STACK TRACE DONE ------\n",
            "\n------ INFO OUTPUT ------\n# Server\r\nredis_version:8.0.2\r\n",
            "\n------ CLIENT LIST OUTPUT ------\nid=",
            "\n------ CURRENT CLIENT INFO ------\nid=",
            "\nargv[2]: '\"with-data\"'\n",
            "\n------ CONFIG DEBUG OUTPUT ------\nproto-max-bulk-len ",
            "=== REDIS BUG REPORT END. Make sure to include from START to END. ===\n",
        ] {
            assert!(log.contains(expected), "{command}: no {expected} in {log}");
        }
        assert_eq!(log.matches("BUG REPORT START").count(), 1);
    }
}

#[test]
fn data_can_be_kept_out_of_crash_reports() {
    let mut server =
        TestServer::start(&["--enable-debug-command", "yes", "--hide-user-data-from-log", "yes"]);
    let mut c = server.raw();
    c.command(&["DEBUG", "SEGFAULT", "with-data"]);
    assert!(c.is_closed());
    server.wait();
    let log = server.log();
    assert!(log.contains("\nargv[0]: '\"DEBUG\"'\nargv[1]: '*redacted*'\n") && !log.contains("with-data"));
    assert!(
        log.contains("# hide-user-data-from-log is on, skip logging stack content to avoid spilling PII.\n")
    );

    let mut server = TestServer::start(&["--enable-debug-command", "yes", "--crash-log-enabled", "no"]);
    server.raw().command(&["DEBUG", "SEGFAULT"]);
    assert_eq!(server.wait(), None);
    assert!(!server.log().contains("BUG REPORT"));
}

#[test]
fn shutdown_ends_it_unless_that_would_lose_data() {
    let mut server = TestServer::start(&[]);
    std::fs::create_dir(server.dir.path().join("dump.rdb")).unwrap();
    let mut c = server.raw();
    script(
        &mut c,
        "SHUTDOWN what => -ERR syntax error
         SHUTDOWN SAVE NOSAVE => -ERR syntax error
         SHUTDOWN ABORT NOW => -ERR syntax error
         SHUTDOWN ABORT => -ERR No shutdown in progress.
         SHUTDOWN SAVE => -ERR Errors trying to SHUTDOWN. Check logs.
         PING => +PONG",
    );
    assert!(server.log().contains("# Error trying to save the DB, can't exit.\n"));
    c.command(&["SHUTDOWN", "NOSAVE"]);
    assert!(c.is_closed());
    assert_eq!(server.wait(), Some(0));
    assert!(server.log().ends_with("# Redis is now ready to exit, bye bye...\n"));

    let mut server = TestServer::start(&[]);
    std::fs::create_dir(server.dir.path().join("dump.rdb")).unwrap();
    server.raw().command(&["SHUTDOWN", "SAVE", "FORCE"]);
    assert_eq!(server.wait(), Some(0));
    assert!(server.log().contains("# Error trying to save the DB. Exit anyway.\n"));
}

#[test]
fn lolwut_draws() {
    let server = TestServer::start(&[]);
    let mut c = server.raw();
    let art = run(&mut c, "LOLWUT VERSION 5 30 4 6");
    assert!(art.lines().filter(|line| line.chars().count() == 30).count() > 10, "{art}");
    assert!(art.ends_with("Redis ver. 8.0.2\n"), "{art}");
    assert!(run(&mut c, "LOLWUT VERSION 6 10 5").ends_with("Redis ver. 8.0.2\n"));
    assert_eq!(run(&mut c, "LOLWUT VERSION 99"), "Redis ver. 8.0.2\n");
    assert_eq!(run(&mut c, "LOLWUT VERSION x"), "-ERR value is not an integer or out of range");
}

#[test]
fn values_past_their_time_stay_while_nobody_looks() {
    let server = TestServer::start(&["--enable-debug-command", "yes", "--hz", "100"]);
    let mut c = server.raw();
    script(
        &mut c,
        "DEBUG SET-ACTIVE-EXPIRE 0 => +OK
         DEBUG POPULATE 10 => +OK
         PEXPIRE key:1 1 => :1",
    );
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(run(&mut c, "DBSIZE"), ":10");
    assert_eq!(run(&mut c, "DEBUG SET-ACTIVE-EXPIRE 1"), "+OK");
    wait_for("active expiry", || run(&mut c, "DBSIZE") == ":9");
}

#[test]
fn there_are_no_modules() {
    let server = TestServer::start(&["--enable-module-command", "local"]);
    let mut c = server.raw();
    script(
        &mut c,
        "MODULE LIST => []
         MODULE LOAD /none.so => -ERR Error loading the extension. Please check the server logs.
         MODULE LOADEX /none.so CONFIG a b ARGS c => -ERR Error loading the extension. Please check the server logs.
         MODULE LOADEX /none.so CONFIG a => -ERR Error loading the extension. Please check the server logs.
         MODULE UNLOAD none => -ERR Error unloading module: no such module with that name
         MODULE LOAD => -ERR wrong number of arguments for 'module|load' command
         MODULE NONE => -ERR unknown subcommand 'NONE'. Try MODULE HELP.",
    );
    let log = server.log();
    assert!(log.contains("Module /none.so failed to load"), "{log}");
    assert!(log.contains("CONFIG specified without name value pair"), "{log}");

    let server = TestServer::start(&[]);
    let refused = "-ERR MODULE command not allowed. If the enable-module-command option is set to \"local\", \
        you can run it from a local connection, otherwise you need to set this option in the configuration file, and \
        then restart the server.";
    let mut c = server.raw();
    for command in ["MODULE LOAD /none.so", "MODULE LOADEX /none.so", "MODULE UNLOAD none"] {
        assert_eq!(run(&mut c, command), refused, "{command}");
    }
    assert_eq!(run(&mut c, "MODULE LIST"), "[]");
}
