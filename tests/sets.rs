//! The set commands, through the wire.

mod common;

use std::collections::BTreeSet;

use common::{TestServer, run, script};
use redis::{Connection, cmd};

#[test]
fn members_come_and_go() {
    let server = TestServer::start(&[]);
    script(
        &mut server.client(false),
        "SADD s 3 1 2 2 -> 3
         SADD s 1 -> 0
         SMEMBERS s -> [1,2,3]
         SCARD s -> 3
         SISMEMBER s 2 -> 1
         SISMEMBER s 02 -> 0
         SMISMEMBER s 1 x 3 -> [1,0,1]
         SMISMEMBER none x y -> [0,0]
         SREM s 1 x 1 -> 1
         SREM s 2 3 4 -> 2
         EXISTS s -> 0
         SREM s 1 -> 0
         SCARD s -> 0
         SMEMBERS s -> []
         SADD a 1 2 -> 2
         SMOVE a b 1 -> 1
         SMOVE a b 1 -> 0
         SMOVE a a 2 -> 1
         SMOVE a a 3 -> 0
         SMOVE none b 1 -> 0
         SMOVE a b 2 -> 1
         EXISTS a -> 0
         SMEMBERS b -> [1,2]
         SET string x -> OK
         SMOVE none string 1 -> 0
         SMOVE b string 1 -> -WRONGTYPE Operation against a key holding the wrong kind of value
         SMOVE string b 1 -> -WRONGTYPE Operation against a key holding the wrong kind of value
         SADD string 1 -> -WRONGTYPE Operation against a key holding the wrong kind of value
         SINTER none string -> -WRONGTYPE Operation against a key holding the wrong kind of value",
    );
}

#[test]
fn encodings_follow_configuration() {
    let server = TestServer::start(&["--set-max-intset-entries", "3", "--set-max-listpack-entries", "4"]);
    let mut c = server.client(false);
    script(
        &mut c,
        "SADD s 1 2 3 -> 3
         OBJECT ENCODING s -> intset
         SADD s x -> 1
         OBJECT ENCODING s -> listpack
         SADD s y -> 1
         OBJECT ENCODING s -> hashtable
         SREM s x y -> 2
         OBJECT ENCODING s -> hashtable
         COPY s t -> 1
         OBJECT ENCODING t -> hashtable
         SUNIONSTORE u s -> 3
         OBJECT ENCODING u -> intset
         SINTERSTORE u s s -> 3
         OBJECT ENCODING u -> intset
         SADD i 1 2 3 4 -> 4
         OBJECT ENCODING i -> listpack
         SADD i 5 -> 1
         OBJECT ENCODING i -> hashtable
         CONFIG SET set-max-listpack-value 2 -> OK
         SADD l xyz -> 1
         OBJECT ENCODING l -> hashtable",
    );
    // What an SPOP leaves of a large set may be a small one.
    fill(&mut c, "big", 0..12);
    let popped: BTreeSet<String> = cmd("SPOP").arg("big").arg(11).query(&mut c).unwrap();
    assert_eq!(popped.len(), 11);
    script(&mut c, "CONFIG SET set-max-listpack-value 64 -> OK");
    fill(&mut c, "big", 0..12);
    let popped: BTreeSet<String> = cmd("SPOP").arg("big").arg(11).query(&mut c).unwrap();
    assert_eq!(popped.len(), 11);
    script(&mut c, "OBJECT ENCODING big -> listpack");
}

/// Makes `key` a set of the members `m0`, `m1`, …
fn fill(c: &mut Connection, key: &str, numbers: std::ops::Range<usize>) {
    let members: Vec<String> = numbers.map(|number| format!("m{number}")).collect();
    let () = cmd("DEL").arg(key).query(c).unwrap();
    let added: usize = cmd("SADD").arg(key).arg(&members).query(c).unwrap();
    assert_eq!(added, members.len());
}

#[test]
fn sets_are_combined() {
    let server = TestServer::start(&[]);
    script(
        &mut server.client(false),
        "SADD a 1 2 3 4 -> 4
         SADD b 3 4 5 -> 3
         SADD c x 4 -> 2
         SINTER a b -> [3,4]
         SINTER a b c -> [4]
         SINTER a none -> []
         SINTER a a -> [1,2,3,4]
         SUNION a b -> [1,2,3,4,5]
         SUNION none -> []
         SDIFF a b -> [1,2]
         SDIFF a none -> [1,2,3,4]
         SDIFF a b a -> []
         SDIFF none a -> []
         SDIFF c a -> [x]
         SINTERCARD 2 a b -> 2
         SINTERCARD 2 a b LIMIT 1 -> 1
         SINTERCARD 2 a b LIMIT 0 -> 2
         SINTERCARD 1 none -> 0
         SINTERCARD 0 a -> -ERR numkeys should be greater than 0
         SINTERCARD a a -> -ERR numkeys should be greater than 0
         SINTERCARD 3 a b -> -ERR Number of keys can't be greater than number of args
         SINTERCARD 2 a b LIMIT -1 -> -ERR LIMIT can't be negative
         SINTERCARD 2 a b LIMIT -> -ERR syntax error
         SINTERCARD 1 a b -> -ERR syntax error
         SINTERSTORE d a b -> 2
         SMEMBERS d -> [3,4]
         SINTERSTORE d a none -> 0
         EXISTS d -> 0
         SET d string EX 100 -> OK
         SUNIONSTORE d a b -> 5
         TTL d -> -1
         SDIFFSTORE a a b -> 2
         SMEMBERS a -> [1,2]
         SDIFFSTORE a a a -> 0
         EXISTS a -> 0",
    );
}

/// Both ways to a difference, and unions of tables, give what the standard library's sets give.
#[test]
fn large_sets_are_combined() {
    let server = TestServer::start(&[]);
    let mut c = server.client(false);
    fill(&mut c, "a", 0..1000);
    fill(&mut c, "b", 500..1500);
    fill(&mut c, "c", 900..910);
    let mut ask = |words: &str| -> BTreeSet<String> {
        let mut command = cmd(words.split(' ').next().unwrap());
        words.split(' ').skip(1).for_each(|word| {
            command.arg(word);
        });
        command.query(&mut c).unwrap()
    };
    let range =
        |numbers: std::ops::Range<usize>| numbers.map(|number| format!("m{number}")).collect::<BTreeSet<_>>();
    assert_eq!(ask("SINTER a b"), range(500..1000));
    assert_eq!(ask("SINTER a c b"), range(900..910));
    assert_eq!(ask("SUNION a b c"), range(0..1500));
    assert_eq!(ask("SDIFF a b"), range(0..500));
    assert_eq!(ask("SDIFF a c c c c b"), range(0..500));
    assert_eq!(ask("SDIFF b a c"), range(1000..1500));
    assert_eq!(run(&mut c, "SDIFFSTORE d a c c c c b"), "500");
    assert_eq!(run(&mut c, "SUNIONSTORE d a b c"), "1500");
    assert_eq!(run(&mut c, "SINTERCARD 2 d b"), "1000");
}

#[test]
fn random_members_are_members() {
    let server = TestServer::start(&[]);
    let mut c = server.client(false);
    script(
        &mut c,
        "SRANDMEMBER none -> nil
         SRANDMEMBER none 3 -> []
         SPOP none -> nil
         SPOP none 3 -> []
         SADD one 1 -> 1
         SRANDMEMBER one -> 1
         SRANDMEMBER one 5 -> [1]
         SRANDMEMBER one -3 -> [1,1,1]
         SRANDMEMBER one 0 -> []
         SRANDMEMBER one x -> -ERR value is not an integer or out of range
         SRANDMEMBER one 1 2 -> -ERR syntax error
         SRANDMEMBER one -9223372036854775808 -> -ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807
         SPOP one 0 -> []
         SPOP one x -> -ERR value is out of range, must be positive
         SPOP one -1 -> -ERR value is out of range, must be positive
         SPOP one 1 2 -> -ERR syntax error
         SPOP one -> 1
         EXISTS one -> 0",
    );
    fill(&mut c, "s", 0..300);
    for count in [1, 10, 250, 299, 300, 400] {
        let drawn: Vec<String> = cmd("SRANDMEMBER").arg("s").arg(count).query(&mut c).unwrap();
        let distinct: BTreeSet<&String> = drawn.iter().collect();
        assert_eq!((drawn.len(), distinct.len()), (count.min(300), count.min(300)));
    }
    let mut left = 300;
    for count in [1, 20, 200, 75, 10] {
        let popped: BTreeSet<String> = cmd("SPOP").arg("s").arg(count).query(&mut c).unwrap();
        assert_eq!(popped.len(), left.min(count));
        left -= popped.len();
        assert_eq!(run(&mut c, "SCARD s"), left.to_string());
        for member in popped {
            assert_eq!(run(&mut c, &format!("SISMEMBER s {member}")), "0");
        }
    }
    assert_eq!(run(&mut c, "EXISTS s"), "0");
}

#[test]
fn scans_show_everything() {
    let server = TestServer::start(&[]);
    let mut c = server.client(false);
    fill(&mut c, "s", 0..1000);
    let (mut cursor, mut seen, mut pages) = (0u64, BTreeSet::new(), 0);
    loop {
        let (next, members): (u64, Vec<String>) =
            cmd("SSCAN").arg("s").arg(cursor).arg("COUNT").arg(50).query(&mut c).unwrap();
        seen.extend(members);
        pages += 1;
        cursor = next;
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(seen.len(), 1000);
    assert!(pages > 5, "{pages}");
    script(
        &mut c,
        "SSCAN none 0 NOSUCHWORD -> [0,[]]
         SSCAN none x -> -ERR invalid cursor
         SADD i 1 2 30 -> 3
         SSCAN i 0 COUNT 1 -> [0,[1,2,30]]
         SSCAN i 5 MATCH *0 -> [0,[30]]
         SSCAN i 0 COUNT 0 -> -ERR syntax error
         SSCAN i 0 COUNT x -> -ERR value is not an integer or out of range
         SSCAN i 0 TYPE set -> -ERR syntax error
         SSCAN i 0 NOVALUES -> -ERR NOVALUES option can only be used in HSCAN",
    );
}

#[test]
fn sets_are_sets_in_resp3() {
    let server = TestServer::start(&[]);
    let mut c = server.client(true);
    let mut ask = |words: &str| -> redis::Value {
        let mut command = redis::Cmd::new();
        words.split(' ').for_each(|word| {
            command.arg(word);
        });
        command.query(&mut c).unwrap()
    };
    let one = || vec![redis::Value::BulkString(b"1".to_vec())];
    assert_eq!(ask("SADD s 1"), redis::Value::Int(1));
    for command in ["SMEMBERS s", "SINTER s", "SUNION s", "SUNION s s", "SDIFF s", "SPOP s 1"] {
        assert_eq!(ask(command), redis::Value::Set(one()), "{command}");
    }
    for command in ["SINTER s", "SUNION s", "SDIFF s", "SPOP s 1", "SMEMBERS s"] {
        assert_eq!(ask(command), redis::Value::Set(vec![]), "{command}");
    }
    assert_eq!(ask("SADD s 1"), redis::Value::Int(1));
    assert_eq!(ask("SRANDMEMBER s 1"), redis::Value::Array(one()));
}
