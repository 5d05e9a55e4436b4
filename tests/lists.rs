//! The list commands, through the wire.

mod common;

use std::time::Duration;

use common::{RawClient, TestServer, run, script, wait_for};

#[test]
fn elements_are_pushed_and_popped_at_both_ends() {
    let server = TestServer::start(&[]);
    script(
        &mut server.client(false),
        "LPUSHX l a -> 0
         RPUSHX l a -> 0
         EXISTS l -> 0
         RPUSH l a b c -> 3
         LPUSH l 1 2 -> 5
         LRANGE l 0 -1 -> [2,1,a,b,c]
         LPUSHX l 3 -> 6
         RPUSHX l d e -> 8
         LLEN l -> 8
         LLEN none -> 0
         LPOP l -> 3
         RPOP l -> e
         LPOP l 2 -> [2,1]
         RPOP l 2 -> [d,c]
         LPOP l 0 -> []
         RPOP l 100 -> [b,a]
         EXISTS l -> 0
         LPOP l -> nil
         LPOP l x -> -ERR value is out of range, must be positive
         LPOP l -1 -> -ERR value is out of range, must be positive
         RPOP l 1 2 -> -ERR wrong number of arguments for 'rpop' command
         SET s v -> OK
         LPUSH s a -> -WRONGTYPE Operation against a key holding the wrong kind of value
         RPUSHX s a -> -WRONGTYPE Operation against a key holding the wrong kind of value
         LPOP s -> -WRONGTYPE Operation against a key holding the wrong kind of value
         LLEN s -> -WRONGTYPE Operation against a key holding the wrong kind of value",
    );
}

#[test]
fn nothing_is_told_apart_as_upstream_does() {
    let server = TestServer::start(&[]);
    let mut c = server.raw();
    for (command, resp2) in [
        ("LPOP none", "$-1"),
        ("RPOP none 0", "*-1"),
        ("RPOP none 5", "*-1"),
        ("LINDEX none x", "$-1"),
        ("LPOS none x", "$-1"),
        ("LPOS none x COUNT 1", "*0"),
        ("LRANGE none 0 -1", "*0"),
        ("LMPOP 1 none LEFT", "*-1"),
        ("LMOVE none none LEFT LEFT", "$-1"),
        ("RPOPLPUSH none none", "$-1"),
        ("BLPOP none 0.01", "*-1"),
        ("BLMPOP 0.01 1 none LEFT", "*-1"),
        ("BLMOVE none none LEFT LEFT 0.01", "*-1"),
        ("BRPOPLPUSH none none 0.01", "*-1"),
    ] {
        assert_eq!(ask(&mut c, command), resp2, "{command}");
    }
    let mut quiet = |commands: &[(&str, &str)]| {
        assert_eq!(ask(&mut c, "MULTI"), "+OK");
        for (command, _) in commands {
            assert_eq!(ask(&mut c, command), "+QUEUED");
        }
        assert_eq!(ask(&mut c, "EXEC"), format!("*{}", commands.len()));
        commands.iter().for_each(|(command, reply)| assert_eq!(c.line(), *reply, "{command}"));
    };
    quiet(&[
        ("BLPOP none 0", "*-1"),
        ("BRPOP none 0", "*-1"),
        ("BLMPOP 0 1 none RIGHT", "*-1"),
        ("BLMOVE none none LEFT RIGHT 0", "$-1"),
        ("BRPOPLPUSH none none 0", "$-1"),
    ]);
}

fn ask(c: &mut RawClient, command: &str) -> String {
    c.command(&command.split(' ').collect::<Vec<_>>());
    c.line()
}

#[test]
fn ranges_and_indexes_count_from_both_ends() {
    let server = TestServer::start(&[]);
    for fill in ["-2", "2"] {
        let mut c = server.client(false);
        run(&mut c, &format!("CONFIG SET list-max-listpack-size {fill}"));
        script(
            &mut c,
            "DEL l -> 0
             RPUSH l a b c d e f g -> 7
             LRANGE l 0 -1 -> [a,b,c,d,e,f,g]
             LRANGE l 1 3 -> [b,c,d]
             LRANGE l -3 -2 -> [e,f]
             LRANGE l -100 1 -> [a,b]
             LRANGE l 5 100 -> [f,g]
             LRANGE l 7 9 -> []
             LRANGE l 3 2 -> []
             LRANGE l -9223372036854775808 9223372036854775807 -> [a,b,c,d,e,f,g]
             LRANGE l x 1 -> -ERR value is not an integer or out of range
             LINDEX l 0 -> a
             LINDEX l 6 -> g
             LINDEX l 7 -> nil
             LINDEX l -7 -> a
             LINDEX l -8 -> nil
             LINDEX l x -> -ERR value is not an integer or out of range
             LSET l 0 A -> OK
             LSET l -1 G -> OK
             LSET l 3 1234567 -> OK
             LSET l 7 x -> -ERR index out of range
             LSET l -8 x -> -ERR index out of range
             LSET l x x -> -ERR value is not an integer or out of range
             LSET none x x -> -ERR no such key
             LRANGE l 0 -1 -> [A,b,c,1234567,e,f,G]
             LTRIM l 1 -2 -> OK
             LRANGE l 0 -1 -> [b,c,1234567,e,f]
             LTRIM l -3 10 -> OK
             LRANGE l 0 -1 -> [1234567,e,f]
             LTRIM l x 1 -> -ERR value is not an integer or out of range
             LTRIM l 1 0 -> OK
             EXISTS l -> 0
             LTRIM none 0 1 -> OK",
        );
    }
}

#[test]
fn elements_are_found_inserted_and_removed_by_text() {
    let server = TestServer::start(&[]);
    for fill in ["-2", "2"] {
        let mut c = server.client(false);
        run(&mut c, &format!("CONFIG SET list-max-listpack-size {fill}"));
        script(
            &mut c,
            "DEL l -> 0
             RPUSH l a b c 1 2 3 c c -> 8
             LPOS l c -> 2
             LPOS l x -> nil
             LPOS l c RANK 2 -> 6
             LPOS l c RANK -1 -> 7
             LPOS l c RANK 4 -> nil
             LPOS l c COUNT 0 -> [2,6,7]
             LPOS l c COUNT 2 RANK -1 -> [7,6]
             LPOS l c COUNT 1 RANK -3 -> [2]
             LPOS l c MAXLEN 2 -> nil
             LPOS l c MAXLEN 3 -> 2
             LPOS l c COUNT 0 MAXLEN 7 RANK 2 -> [6]
             LPOS l c RANK -1 MAXLEN 2 COUNT 5 -> [7,6]
             LPOS l 2 -> 4
             LPOS l 02 -> nil
             LPOS l c RANK 0 -> -ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list
             LPOS l c RANK -9223372036854775808 -> -ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807
             LPOS l c RANK 9223372036854775807 -> nil
             LPOS l c COUNT -1 -> -ERR COUNT can't be negative
             LPOS l c MAXLEN x -> -ERR MAXLEN can't be negative
             LPOS l c RANK -> -ERR syntax error
             LPOS l c HOW 1 -> -ERR syntax error
             LINSERT l BEFORE c x -> 9
             LINSERT l after 3 4 -> 10
             LINSERT l BEFORE none x -> -1
             LINSERT none BEFORE a x -> 0
             LINSERT l NEAR a x -> -ERR syntax error
             LRANGE l 0 -1 -> [a,b,x,c,1,2,3,4,c,c]
             LREM l -2 c -> 2
             LRANGE l 0 -1 -> [a,b,x,c,1,2,3,4]
             LREM l 1 1 -> 1
             LREM l 5 none -> 0
             LREM none 5 none -> 0
             LREM l x a -> -ERR value is not an integer or out of range
             LREM l -9223372036854775808 a -> -ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807
             RPUSH l x x -> 9
             LREM l 0 x -> 3
             LRANGE l 0 -1 -> [a,b,c,2,3,4]
             DEL l -> 1
             RPUSH l x x -> 2
             LREM l 0 x -> 2
             EXISTS l -> 0",
        );
    }
}

#[test]
fn elements_move_between_lists() {
    let server = TestServer::start(&[]);
    script(
        &mut server.client(false),
        "RPUSH a 1 2 3 -> 3
         RPOPLPUSH a b -> 3
         LMOVE a b LEFT RIGHT -> 1
         LMOVE a b right left -> 2
         EXISTS a -> 0
         LRANGE b 0 -1 -> [2,3,1]
         LMOVE b b LEFT RIGHT -> 2
         RPOPLPUSH b b -> 2
         LRANGE b 0 -1 -> [2,3,1]
         RPUSH one x -> 1
         RPOPLPUSH one one -> x
         LMOVE one one LEFT LEFT -> x
         LLEN one -> 1
         LMOVE b a UP LEFT -> -ERR syntax error
         SET s v -> OK
         LMOVE b s LEFT LEFT -> -WRONGTYPE Operation against a key holding the wrong kind of value
         LMOVE s b LEFT LEFT -> -WRONGTYPE Operation against a key holding the wrong kind of value
         LMOVE none s LEFT LEFT -> nil
         LLEN b -> 3
         BLMOVE b a LEFT RIGHT 0 -> 2
         BRPOPLPUSH b a 0 -> 1
         LRANGE a 0 -1 -> [1,2]
         BLMOVE b a LEFT RIGHT -1 -> -ERR timeout is negative
         BRPOPLPUSH b a x -> -ERR timeout is not a float or out of range",
    );
}

#[test]
fn several_keys_are_tried_in_order() {
    let server = TestServer::start(&[]);
    script(
        &mut server.client(false),
        "RPUSH b 1 2 3 4 -> 4
         RPUSH c 5 -> 1
         LMPOP 3 a b c LEFT COUNT 2 -> [b,[1,2]]
         LMPOP 3 a b c RIGHT -> [b,[4]]
         BLMPOP 0 3 a b c RIGHT COUNT 9 -> [b,[3]]
         EXISTS b -> 0
         BLPOP a b c 0 -> [c,5]
         RPUSH c 6 7 -> 2
         BRPOP a c 0 -> [c,7]
         LMPOP 0 a LEFT -> -ERR numkeys should be greater than 0
         LMPOP x a LEFT -> -ERR numkeys should be greater than 0
         LMPOP 2 a LEFT -> -ERR syntax error
         LMPOP 9223372036854775807 a LEFT -> -ERR syntax error
         LMPOP 1 a UP -> -ERR syntax error
         LMPOP 1 a LEFT COUNT 0 -> -ERR count should be greater than 0
         LMPOP 1 a LEFT COUNT 1 COUNT 1 -> -ERR syntax error
         LMPOP 1 a LEFT COUNT -> -ERR syntax error
         BLMPOP x 1 c LEFT -> -ERR timeout is not a float or out of range
         BLPOP c -0.1 -> -ERR timeout is negative
         SET s v -> OK
         LMPOP 2 s c LEFT -> -WRONGTYPE Operation against a key holding the wrong kind of value
         BLPOP s c 0 -> -WRONGTYPE Operation against a key holding the wrong kind of value
         LLEN c -> 1",
    );
}

#[test]
fn encodings_change_with_size_as_upstream() {
    let server = TestServer::start(&["--enable-debug-command", "yes"]);
    let mut c = server.client(false);
    let long = "x".repeat(100);
    script(
        &mut c,
        &format!(
            "CONFIG SET list-max-listpack-size 3 -> OK
             RPUSH l a b c -> 3
             OBJECT ENCODING l -> listpack
             LINSERT l BEFORE none x -> -1
             OBJECT ENCODING l -> quicklist
             RPOP l -> c
             OBJECT ENCODING l -> quicklist
             RPOP l -> b
             OBJECT ENCODING l -> listpack
             RPUSH l b c d -> 4
             OBJECT ENCODING l -> quicklist
             LTRIM l 0 0 -> OK
             OBJECT ENCODING l -> listpack
             RPUSH l b c d -> 4
             LREM l 3 b -> 1
             OBJECT ENCODING l -> quicklist
             DEL l -> 1
             CONFIG SET list-max-ziplist-size -1 -> OK
             RPUSH l {long} -> 1
             OBJECT ENCODING l -> listpack
             COPY l m -> 1
             OBJECT ENCODING m -> listpack"
        ),
    );
    // Of 8192 bytes, 79 elements of 103 and a header of seven leave less than another's text.
    run(&mut c, "CONFIG SET list-max-listpack-size -2");
    (0..78).for_each(|_| drop(run(&mut c, &format!("LPUSH l {long}"))));
    assert_eq!(run(&mut c, "OBJECT ENCODING l"), "listpack");
    run(&mut c, &format!("LPUSH l {long}"));
    assert_eq!(run(&mut c, "OBJECT ENCODING l"), "quicklist");
    let details = "ql_nodes:2 ql_avg_node:40.00 ql_listpack_max:-2 ql_compressed:0 ql_uncompressed_size:8254";
    assert!(run(&mut c, "DEBUG OBJECT l").ends_with(details), "{}", run(&mut c, "DEBUG OBJECT l"));
    assert_eq!(run(&mut c, "COPY l n"), "1");
    assert_eq!(run(&mut c, "OBJECT ENCODING n"), "quicklist");
    assert_eq!(run(&mut c, "DEBUG DIGEST-VALUE n"), run(&mut c, "DEBUG DIGEST-VALUE l"));
    assert!(run(&mut c, "MEMORY USAGE l").parse::<usize>().unwrap() > 8000);
}

#[test]
fn large_elements_come_back_whole() {
    let server = TestServer::start(&["--list-compress-depth", "1"]);
    let mut c = server.client(false);
    let text = |byte: char, size: usize| byte.to_string().repeat(size);
    let sizes = [10, 5_000, 9_000, 40_000, 100_000, 3];
    for (byte, size) in ('a'..).zip(sizes) {
        run(&mut c, &format!("RPUSH l {}", text(byte, size)));
    }
    let check = |c: &mut redis::Connection, expected: &[(char, usize)]| {
        let whole: Vec<String> = expected.iter().map(|&(byte, size)| text(byte, size)).collect();
        assert_eq!(run(c, "LRANGE l 0 -1"), format!("[{}]", whole.join(",")));
        for (index, element) in whole.iter().enumerate() {
            assert_eq!(run(c, &format!("LINDEX l {index}")), *element);
            assert_eq!(run(c, &format!("LPOS l {element}")), index.to_string());
        }
    };
    check(&mut c, &('a'..).zip(sizes).collect::<Vec<_>>());
    run(&mut c, &format!("LSET l 2 {}", text('C', 50_000)));
    run(&mut c, &format!("LSET l 3 {}", text('D', 4)));
    run(&mut c, &format!("LINSERT l AFTER {} {}", text('b', 5_000), text('i', 60_000)));
    let expected =
        [('a', 10), ('b', 5_000), ('i', 60_000), ('C', 50_000), ('D', 4), ('e', 100_000), ('f', 3)];
    check(&mut c, &expected);
    assert_eq!(run(&mut c, &format!("LREM l 0 {}", text('e', 100_000))), "1");
    assert_eq!(run(&mut c, "LMOVE l l RIGHT LEFT"), "fff");
    assert_eq!(run(&mut c, "RPOP l"), "DDDD");
    assert_eq!(run(&mut c, "RPOP l"), text('C', 50_000));
    check(&mut c, &[('f', 3), ('a', 10), ('b', 5_000), ('i', 60_000)]);
}

/// What a command publishes, each as `event key`.
fn events(c: &mut redis::Connection, ear: &mut RawClient, command: &str) -> String {
    run(c, command);
    run(c, "PUBLISH end end");
    let mut events = Vec::new();
    loop {
        let words: Vec<String> = (0..9).map(|_| ear.line()).collect();
        let (channel, message) = (&words[6], &words[8]);
        match channel.split_once(":") {
            Some((_, event)) => events.push(format!("{event} {message}")),
            None => return events.join(", "),
        }
    }
}

#[test]
fn events_are_published_in_order() {
    let server = TestServer::start(&["--notify-keyspace-events", "EAn"]);
    let mut c = server.client(false);
    let mut ear = server.raw();
    ear.command(&["PSUBSCRIBE", "*"]);
    (0..6).for_each(|_| drop(ear.line()));
    for (command, expected) in [
        ("RPUSH a 1 2 3", "new a, rpush a"),
        ("LPUSH a 0", "lpush a"),
        ("LPUSHX b 0", ""),
        ("LSET a 0 x", "lset a"),
        ("LSET a 9 x", ""),
        ("LINSERT a BEFORE x w", "linsert a"),
        ("LINSERT a BEFORE none w", ""),
        ("LREM a 1 w", "lrem a"),
        ("LREM a 1 w", ""),
        ("LTRIM a 0 -1", "ltrim a"),
        ("LPOP a 0", ""),
        ("LMOVE a b LEFT RIGHT", "new b, rpush b, lpop a"),
        ("RPOPLPUSH b b", "lpush b, rpop b"),
        ("RPOPLPUSH b a", "lpush a, rpop b, del b"),
        ("LMPOP 1 a RIGHT COUNT 2", "rpop a"),
        ("BLPOP a 0", "lpop a"),
        ("LTRIM a 1 0", "ltrim a, del a"),
        ("RPUSH a x x", "new a, rpush a"),
        ("LREM a 0 x", "lrem a, del a"),
        ("RPUSH a x", "new a, rpush a"),
        ("RPOP a 5", "rpop a, del a"),
    ] {
        assert_eq!(events(&mut c, &mut ear, command), expected, "{command}");
    }
}

#[test]
fn changes_are_counted_by_element() {
    let server = TestServer::start(&[]);
    let mut c = server.client(false);
    for (command, changes) in [
        ("RPUSH a 1 2 3 4 5 6 7 8", 8.0),
        ("LSET a 0 x", 1.0),
        ("LINSERT a AFTER x y", 1.0),
        ("LMOVE a b LEFT LEFT", 1.0),
        ("LPOP a 2", 2.0),
        ("LTRIM a 1 -2", 2.0),
        ("LTRIM a 0 -1", 0.0),
        ("LREM a 0 5", 1.0),
        ("LMPOP 1 a LEFT COUNT 100", 3.0),
        ("LPOP a", 0.0),
        ("BLPOP b 0", 1.0),
    ] {
        let before = server.info("rdb_changes_since_last_save");
        run(&mut c, command);
        assert_eq!(server.info("rdb_changes_since_last_save") - before, changes, "{command}");
    }
}

#[test]
fn waiting_clients_are_served_in_order() {
    let server = TestServer::start(&[]);
    let mut c = server.client(false);
    let mut waiting: Vec<RawClient> = (0..5).map(|_| server.raw()).collect();
    for (number, (client, command)) in waiting
        .iter_mut()
        .zip([
            "BLPOP l 0",
            "BRPOP none l 0",
            "BLMPOP 0 1 l LEFT COUNT 2",
            "BLMOVE l d LEFT RIGHT 0",
            "BRPOPLPUSH l d 0",
        ])
        .enumerate()
    {
        client.command(&command.split(' ').collect::<Vec<_>>());
        wait_for("the client to wait", || server.info("blocked_clients") == number as f64 + 1.0);
    }
    assert_eq!(run(&mut c, "RPUSH l 1 2 3 4 5 6"), "6");
    let mut lines = |count: usize| -> Vec<String> {
        let mut client = waiting.remove(0);
        (0..count).map(|_| client.line()).collect()
    };
    assert_eq!(lines(5), ["*2", "$1", "l", "$1", "1"]);
    assert_eq!(lines(5), ["*2", "$1", "l", "$1", "6"]);
    assert_eq!(lines(8), ["*2", "$1", "l", "*2", "$1", "2", "$1", "3"]);
    assert_eq!(lines(2), ["$1", "4"]);
    assert_eq!(lines(2), ["$1", "5"]);
    script(&mut c, "EXISTS l -> 0\nLRANGE d 0 -1 -> [5,4]");
    assert_eq!(server.info("blocked_clients"), 0.0);
}

#[test]
fn a_wait_goes_on_until_its_own_end() {
    let server = TestServer::start(&[]);
    let mut c = server.client(false);
    let mut waiting = server.raw();
    let begun = std::time::Instant::now();
    waiting.command(&["BLPOP", "l", "3"]);
    wait_for("the client to wait", || server.info("blocked_clients") == 1.0);
    std::thread::sleep(Duration::from_secs(2));
    // Woken in vain: the list is gone before it is looked at.
    for command in ["MULTI", "RPUSH l x", "DEL l", "EXEC"] {
        run(&mut c, command);
    }
    assert_eq!(waiting.line(), "*-1");
    assert!(begun.elapsed() >= Duration::from_secs(3) && begun.elapsed() < Duration::from_millis(4900));
}

#[test]
fn clients_that_ask_and_leave_do_not_wait() {
    let server = TestServer::start(&[]);
    for _ in 0..20 {
        let mut client = server.raw();
        client.command(&["BLPOP", "l", "0"]);
    }
    let mut client = server.raw();
    client.command(&["BLPOP", "l", "0"]);
    wait_for("one client to wait", || server.info("blocked_clients") == 1.0);
    assert_eq!(run(&mut server.client(false), "RPUSH l a"), "1");
    assert_eq!((0..5).map(|_| client.line()).collect::<Vec<_>>(), ["*2", "$1", "l", "$1", "a"]);
}

#[test]
fn waits_that_end_in_vain_count_as_calls() {
    let server = TestServer::start(&[]);
    let mut waiting = server.raw();
    let id = waiting.ask(&["CLIENT", "ID"]).trim_start_matches(':').to_string();
    for (how, counted) in
        [("TIMEOUT", ["calls=1", "failed_calls=0"]), ("ERROR", ["calls=2", "failed_calls=1"])]
    {
        waiting.command(&["BLPOP", "l", "0"]);
        wait_for("the client to wait", || server.info("blocked_clients") == 1.0);
        assert_eq!(run(&mut server.client(false), &format!("CLIENT UNBLOCK {id} {how}")), "1");
        waiting.line();
        let text = server.raw().ask(&["INFO", "commandstats"]);
        let line = text.lines().find(|line| line.starts_with("cmdstat_blpop:")).unwrap();
        assert!(counted.iter().all(|part| line.split([':', ',']).any(|word| word == *part)), "{line}");
    }
}
