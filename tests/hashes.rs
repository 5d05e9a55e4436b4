//! The hash commands, through the wire.

mod common;

use std::time::Duration;

use common::{RawClient, TestServer, run, script, wait_for};

#[test]
fn fields_are_set_and_read() {
    let server = TestServer::start(&[]);
    script(
        &mut server.client(false),
        "HSET h name ochre size 10 007 bond -> 3
         HSET h name redis new 1 -> 1
         HGET h name -> redis
         HGET h 007 -> bond
         HGET h none -> nil
         HGET none a -> nil
         HMGET h name none size -> [redis,nil,10]
         HMGET none a b -> [nil,nil]
         HSETNX h name x -> 0
         HSETNX h other x -> 1
         HMSET h a 1 b 2 -> OK
         HLEN h -> 7
         HLEN none -> 0
         HSTRLEN h name -> 5
         HSTRLEN h size -> 2
         HSTRLEN h none -> 0
         HEXISTS h name -> 1
         HEXISTS h none -> 0
         HDEL h a b none a -> 2
         HDEL none a -> 0
         HDEL h name size 007 new other -> 5
         EXISTS h -> 0
         HGETALL none -> []
         HKEYS none -> []
         HVALS none -> []
         HSET h 1 2 3 4 -> 2
         HGETALL h -> [1,2,3,4]
         HKEYS h -> [1,3]
         HVALS h -> [2,4]
         OBJECT ENCODING h -> listpack
         TYPE h -> hash",
    );
}

#[test]
fn fields_are_counters() {
    let server = TestServer::start(&[]);
    script(
        &mut server.client(false),
        "HINCRBY h n 5 -> 5
         HINCRBY h n -7 -> -2
         HINCRBYFLOAT h n 1.5 -> -0.5
         HINCRBYFLOAT h f 1e2 -> 100
         HSET h max 9223372036854775806 -> 1
         HINCRBY h max 1 -> 9223372036854775807
         HINCRBY h max 1 -> -ERR increment or decrement would overflow
         HINCRBYFLOAT h f 0.1 -> 100.1
         HINCRBYFLOAT h f -100.1 -> 0
         HGET h max -> 9223372036854775807
         HSET h text abc padded _1 lead 05 -> 3
         HINCRBY h text 1 -> -ERR hash value is not an integer
         HINCRBY h lead 1 -> -ERR hash value is not an integer
         HINCRBYFLOAT h lead 1 -> 6
         HINCRBYFLOAT h text 1 -> -ERR hash value is not a float
         HINCRBY h n x -> -ERR value is not an integer or out of range
         HINCRBYFLOAT h n x -> -ERR value is not a valid float
         HINCRBYFLOAT h n inf -> -ERR value is NaN or Infinity
         HINCRBYFLOAT h n nan -> -ERR value is not a valid float",
    );
}

#[test]
fn errors_are_those_of_upstream_in_its_order() {
    let server = TestServer::start(&[]);
    script(
        &mut server.client(false),
        "SET s v -> OK
         HSET s a 1 -> -WRONGTYPE Operation against a key holding the wrong kind of value
         HSETNX s a 1 -> -WRONGTYPE Operation against a key holding the wrong kind of value
         HGET s a -> -WRONGTYPE Operation against a key holding the wrong kind of value
         HMGET s a -> -WRONGTYPE Operation against a key holding the wrong kind of value
         HGETALL s -> -WRONGTYPE Operation against a key holding the wrong kind of value
         HKEYS s -> -WRONGTYPE Operation against a key holding the wrong kind of value
         HVALS s -> -WRONGTYPE Operation against a key holding the wrong kind of value
         HLEN s -> -WRONGTYPE Operation against a key holding the wrong kind of value
         HSTRLEN s a -> -WRONGTYPE Operation against a key holding the wrong kind of value
         HEXISTS s a -> -WRONGTYPE Operation against a key holding the wrong kind of value
         HDEL s a -> -WRONGTYPE Operation against a key holding the wrong kind of value
         HINCRBY s a 1 -> -WRONGTYPE Operation against a key holding the wrong kind of value
         HINCRBY s a x -> -ERR value is not an integer or out of range
         HINCRBYFLOAT s a 1 -> -WRONGTYPE Operation against a key holding the wrong kind of value
         HRANDFIELD s -> -WRONGTYPE Operation against a key holding the wrong kind of value
         HSCAN s 0 -> -WRONGTYPE Operation against a key holding the wrong kind of value
         HSCAN s x -> -ERR invalid cursor
         HEXPIRE s x FIELDS 1 a -> -WRONGTYPE Operation against a key holding the wrong kind of value
         HTTL s FIELDS 2 a -> -WRONGTYPE Operation against a key holding the wrong kind of value
         HPERSIST s x 1 a -> -WRONGTYPE Operation against a key holding the wrong kind of value
         HGETDEL s x 1 a -> -WRONGTYPE Operation against a key holding the wrong kind of value
         HGETEX s EX x FIELDS 1 a -> -WRONGTYPE Operation against a key holding the wrong kind of value
         HSETEX s FIELDS 1 a 1 -> -WRONGTYPE Operation against a key holding the wrong kind of value
         HSETEX s EX x FIELDS 1 a 1 -> -ERR value is not an integer or out of range
         HSET h a -> -ERR wrong number of arguments for 'hset' command
         HSET h a 1 b -> -ERR wrong number of arguments for 'hset' command
         HMSET h a 1 b -> -ERR wrong number of arguments for 'hmset' command
         HRANDFIELD h x -> -ERR value is not an integer or out of range
         HRANDFIELD h -9223372036854775808 -> -ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807
         HRANDFIELD h 9223372036854775807 WITHVALUES -> -ERR value is out of range
         HRANDFIELD h 1 foo -> -ERR syntax error
         HRANDFIELD none -> nil
         HRANDFIELD none 3 -> []
         HSCAN none 0 -> [0,[]]
         HSCAN none 0 foo -> [0,[]]
         HSET h a 1 -> 1
         HSCAN h 0 foo -> -ERR syntax error
         HSCAN h 0 COUNT 0 -> -ERR syntax error
         HSCAN h 0 TYPE hash -> -ERR syntax error
         HSCAN h 0 -> [0,[a,1]]
         HSCAN h 0 NOVALUES -> [0,[a]]
         HSCAN h 0 MATCH b* -> [0,[]]",
    );
}

#[test]
fn fields_have_expiries() {
    let server = TestServer::start(&[]);
    script(
        &mut server.client(false),
        "HSET h a 1 b 2 c 3 -> 3
         HEXPIRE none 10 FIELDS 2 a b -> [-2,-2]
         HEXPIREAT h 4000000000 FIELDS 2 a none -> [1,-2]
         HPEXPIREAT h 4000000000001 NX FIELDS 2 a b -> [0,1]
         HPEXPIREAT h 4000000000002 XX FIELDS 2 a c -> [1,0]
         HPEXPIREAT h 4000000000001 GT FIELDS 3 a b c -> [0,0,0]
         HPEXPIREAT h 4000000000001 LT FIELDS 3 a b c -> [1,0,1]
         HEXPIRETIME h FIELDS 4 a b c none -> [4000000001,4000000001,4000000001,-2]
         HPEXPIRETIME h FIELDS 4 a b c none -> [4000000000001,4000000000001,4000000000001,-2]
         HTTL none FIELDS 1 a -> [-2]
         HPERSIST h FIELDS 3 a none c -> [1,-2,1]
         HPERSIST h FIELDS 1 a -> [-1]
         HPTTL h FIELDS 2 a none -> [-1,-2]
         HGETALL h -> [b,2,a,1,c,3]
         OBJECT ENCODING h -> listpackex
         HSET h b 5 -> 0
         HPTTL h FIELDS 1 b -> [-1]
         HPEXPIREAT h 1 FIELDS 2 a none -> [2,-2]
         HPEXPIREAT h 0 FIELDS 2 b c -> [2,2]
         EXISTS h -> 0
         HEXPIRE h -1 FIELDS 1 a -> -ERR invalid expire time, must be >= 0
         HEXPIRE h x FIELDS 1 a -> -ERR value is not an integer or out of range
         HEXPIRE h 99999999999999 foo 1 a -> -ERR invalid expire time in 'hexpire' command
         HPEXPIREAT h 70368744177664 FIELDS 1 a -> -ERR invalid expire time in 'hpexpireat' command
         HPEXPIREAT h 1 foo 1 a -> -ERR Mandatory argument FIELDS is missing or not at the right position
         HPEXPIREAT h 1 NX XX FIELDS 1 a -> -ERR Mandatory argument FIELDS is missing or not at the right position
         HPEXPIREAT h 1 FIELDS 0 a -> -ERR Parameter `numFields` should be greater than 0
         HPEXPIREAT h 1 FIELDS 2 a -> -ERR The `numfields` parameter must match the number of arguments
         HPEXPIREAT h 1 FIELDS 1 a b -> -ERR The `numfields` parameter must match the number of arguments
         HTTL h FIELDS 0 a -> -ERR Number of fields must be a positive integer
         HTTL h FIELDS 2 a -> -ERR The `numfields` parameter must match the number of arguments
         HTTL h foo 1 a -> -ERR Mandatory argument FIELDS is missing or not at the right position",
    );
}

#[test]
fn values_and_expiries_are_had_together() {
    let server = TestServer::start(&[]);
    script(
        &mut server.client(false),
        "HSETEX h PXAT 4000000000000 FIELDS 2 a 1 b 2 -> 1
         HPEXPIRETIME h FIELDS 2 a b -> [4000000000000,4000000000000]
         HSETEX h KEEPTTL FIELDS 1 a 5 -> 1
         HSETEX h FIELDS 1 b 5 -> 1
         HPEXPIRETIME h FIELDS 2 a b -> [4000000000000,-1]
         HSETEX h FNX FIELDS 2 a 1 c 3 -> 0
         HSETEX h FXX FIELDS 2 a 1 c 3 -> 0
         HSETEX none FXX FIELDS 1 a 1 -> 0
         EXISTS none -> 0
         HSETEX h FNX PXAT 4000000000000 FIELDS 1 c 3 -> 1
         HGETEX h FIELDS 3 a c none -> [5,3,nil]
         HGETEX h PERSIST FIELDS 2 a none -> [5,nil]
         HGETEX h PXAT 4000000000001 FIELDS 2 b none -> [5,nil]
         HPEXPIRETIME h FIELDS 3 a b c -> [-1,4000000000001,4000000000000]
         HGETEX h PXAT 1 FIELDS 2 b none -> [5,nil]
         HGETEX none EX 5 FIELDS 1 a -> [nil]
         HGETDEL h FIELDS 2 a none -> [5,nil]
         HGETDEL none FIELDS 2 a b -> [nil,nil]
         HGETALL h -> [c,3]
         HSETEX h PX 0 FIELDS 1 c 4 -> 1
         EXISTS h -> 0
         HSETEX h PXAT 1 FIELDS 1 c 4 -> 1
         EXISTS h -> 0
         HSETEX h EX 1 PX 1 FIELDS 1 a 1 -> -ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified
         HSETEX h FNX FXX FIELDS 1 a 1 -> -ERR Only one of FXX or FNX arguments can be specified
         HSETEX h foo 1 a 1 -> -ERR unknown argument: foo
         HSETEX h EX -1 FIELDS 1 a 1 -> -ERR invalid expire time, must be >= 0
         HSETEX h FIELDS 0 a 1 -> -ERR invalid number of fields
         HSETEX h FIELDS 2 a 1 -> -ERR wrong number of arguments for 'hsetex' command
         HSETEX h FIELDS 1 a 1 EX 5 -> -ERR wrong number of arguments for 'hsetex' command
         HGETEX h foo 1 a -> -ERR Mandatory argument FIELDS is missing or not at the right position
         HGETEX h EX 5 PERSIST FIELDS 1 a -> -ERR Mandatory argument FIELDS is missing or not at the right position
         HGETEX h EX x FIELDS 1 a -> -ERR value is not an integer or out of range
         HGETEX h FIELDS 0 a -> -ERR Number of fields must be a positive integer
         HGETDEL h FIELDS 2 a -> -ERR The `numfields` parameter must match the number of arguments",
    );
}

#[test]
fn encodings_follow_the_limits() {
    let server = TestServer::start(&[]);
    script(
        &mut server.client(false),
        "CONFIG SET hash-max-listpack-entries 3 -> OK
         HSET h a 1 b 2 c 3 -> 3
         OBJECT ENCODING h -> listpack
         HEXPIRE h 100 XX FIELDS 1 a -> [0]
         OBJECT ENCODING h -> listpackex
         HSET h d 4 -> 1
         OBJECT ENCODING h -> hashtable
         HDEL h d -> 1
         OBJECT ENCODING h -> hashtable
         HSET g a 1 -> 1
         HSET g long xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx -> 1
         OBJECT ENCODING g -> listpack
         HSET g long xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx -> 0
         OBJECT ENCODING g -> hashtable
         CONFIG GET hash-max-ziplist-entries -> [hash-max-ziplist-entries,3]
         CONFIG SET hash-max-listpack-value 3 -> OK
         HSET k a 1234 -> 1
         OBJECT ENCODING k -> hashtable",
    );
}

/// The lines of a reply that has so many.
fn lines(c: &mut RawClient, command: &str, count: usize) -> Vec<String> {
    c.command(&command.split(' ').collect::<Vec<_>>());
    (0..count).map(|_| c.line()).collect()
}

#[test]
fn resp3_has_maps_and_pairs() {
    let server = TestServer::start(&[]);
    let mut c = server.raw();
    lines(&mut c, "HSET h a 1", 1);
    assert_eq!(lines(&mut c, "HGETALL h", 5), ["*2", "$1", "a", "$1", "1"]);
    assert_eq!(lines(&mut c, "HRANDFIELD h 1 WITHVALUES", 5), ["*2", "$1", "a", "$1", "1"]);
    c.command(&["HELLO", "3"]);
    while !c.line().starts_with("modules") {}
    c.line();
    assert_eq!(lines(&mut c, "HGETALL h", 5), ["%1", "$1", "a", "$1", "1"]);
    assert_eq!(lines(&mut c, "HGETALL none", 1), ["%0"]);
    assert_eq!(lines(&mut c, "HRANDFIELD h 1 WITHVALUES", 6), ["*1", "*2", "$1", "a", "$1", "1"]);
    assert_eq!(lines(&mut c, "HGET h none", 1), ["_"]);
    assert_eq!(lines(&mut c, "HKEYS h", 3), ["*1", "$1", "a"]);
}

#[test]
fn fields_expire_unasked() {
    let server = TestServer::start(&["--enable-debug-command", "yes"]);
    let mut c = server.client(false);
    for (limit, key) in [("512", "list"), ("0", "table")] {
        run(&mut c, &format!("CONFIG SET hash-max-listpack-entries {limit}"));
        run(&mut c, &format!("HSETEX {key} PX 20 FIELDS 2 a 1 b 2"));
        run(&mut c, &format!("HSET {key} c 3"));
        run(&mut c, &format!("HSETEX {key}:all PX 20 FIELDS 2 a 1 b 2"));
    }
    wait_for("four fields to expire", || {
        run(&mut c, "HLEN list") == "1" && run(&mut c, "HLEN table") == "1" && run(&mut c, "DBSIZE") == "2"
    });
    assert_eq!(server.info("expired_subkeys"), 8.0);
    run(&mut c, "DEBUG SET-ACTIVE-EXPIRE 0");
    run(&mut c, "HSETEX late PX 1 FIELDS 1 a 1");
    std::thread::sleep(Duration::from_millis(300));
    script(
        &mut c,
        "HLEN late -> 1
         HGETALL late -> []
         EXISTS late -> 1
         HGET late a -> nil
         EXISTS late -> 0",
    );
}

#[test]
fn changes_of_fields_are_published() {
    let server = TestServer::start(&["--enable-debug-command", "yes", "--notify-keyspace-events", "KEA"]);
    let mut c = server.client(false);
    let mut listener = server.raw();
    lines(&mut listener, "PSUBSCRIBE __keyevent@0__:*", 6);
    run(&mut c, "DEBUG SET-ACTIVE-EXPIRE 0");
    for (command, events) in [
        ("HSET h a 1 b 2", &["hset"][..]),
        ("HSETNX h c 3", &["hset"]),
        ("HINCRBY h a 1", &["hincrby"]),
        ("HINCRBYFLOAT h a 1", &["hincrbyfloat"]),
        ("HEXPIRE h 100 FIELDS 1 a", &["hexpire"]),
        ("HPERSIST h FIELDS 1 a", &["hpersist"]),
        ("HGETEX h EX 100 FIELDS 1 a", &["hexpire"]),
        ("HGETEX h PERSIST FIELDS 1 a", &["hpersist"]),
        ("HSETEX h EX 100 FIELDS 1 d 4", &["hset", "hexpire"]),
        ("HSETEX h PXAT 1 FIELDS 1 d 4", &["hset", "hdel"]),
        ("HPEXPIREAT h 1 FIELDS 1 a", &["hdel"]),
        ("HGETDEL h FIELDS 1 b", &["hdel"]),
        ("HDEL h c", &["hdel", "del"]),
        ("HSETEX h PX 1 FIELDS 3 a 1 b 2 c 3", &["hset", "hexpire"]),
        ("HGET h a", &["hexpired"]),
        ("HMGET h b c", &["hexpired", "del"]),
        ("HSETEX h PX 1 FIELDS 1 a 1", &["hset", "hexpire"]),
        ("HINCRBY h a 1", &["hexpired", "del", "hincrby"]),
    ] {
        std::thread::sleep(Duration::from_millis(5));
        run(&mut c, command);
        for event in events {
            let message: Vec<String> = (0..9).map(|_| listener.line()).collect();
            assert_eq!(
                (message[6].as_str(), message[8].as_str()),
                (&*format!("__keyevent@0__:{event}"), "h"),
                "{command}"
            );
        }
    }
}

#[test]
fn a_large_hash_is_scanned_to_the_end_and_keeps_its_values() {
    let server = TestServer::start(&[]);
    let mut c = server.client(false);
    let value = "v".repeat(40_000);
    run(&mut c, &format!("HSET h big {value}"));
    for i in 0..2000 {
        run(&mut c, &format!("HSET h field:{i} {i}"));
    }
    assert_eq!(run(&mut c, "HGET h big"), value);
    assert_eq!(run(&mut c, "HSTRLEN h big"), "40000");
    let (mut cursor, mut seen) = ("0".to_owned(), std::collections::HashSet::new());
    loop {
        let (next, page): (String, Vec<String>) =
            redis::cmd("HSCAN").arg("h").arg(&cursor).arg("NOVALUES").query(&mut c).unwrap();
        seen.extend(page);
        cursor = next;
        if cursor == "0" {
            break;
        }
    }
    assert_eq!(seen.len(), 2001);
    let drawn: Vec<String> = redis::cmd("HRANDFIELD").arg("h").arg(500).query(&mut c).unwrap();
    assert_eq!(drawn.iter().collect::<std::collections::HashSet<_>>().len(), 500);
    let drawn: Vec<String> = redis::cmd("HRANDFIELD").arg("h").arg(-5000).query(&mut c).unwrap();
    assert_eq!(drawn.len(), 5000);
}
