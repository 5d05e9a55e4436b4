//! What commands on hashes leave behind: for replicas, for keyspace events, in the counters.

use crate::db::hexpire;
use crate::server::testing::Bench;

/// What Redis 8.0.2 sends its replicas for these commands.
#[test]
fn replicas_are_told_as_upstream_tells_them() {
    Bench::new().check_propagation(
        "HSET h a 1 b 2 c 3 -> HSET h a 1 b 2 c 3
         HSETNX h a 2 -> nothing
         HSETNX h d 2 -> HSETNX h d 2
         HINCRBY h d 5 -> HINCRBY h d 5
         HINCRBYFLOAT h d 1.5 -> HSET h d 8.5
         HDEL h d zz -> HDEL h d zz
         HDEL h zz -> nothing
         HEXPIRE h 100 FIELDS 2 a zz -> HPEXPIREAT h <time> FIELDS 1 a
         HPEXPIRE h 100000 NX FIELDS 2 a b -> HPEXPIREAT h <time> NX FIELDS 1 b
         HPEXPIREAT h 2000000000000 FIELDS 1 a -> HPEXPIREAT h 2000000000000 FIELDS 1 a
         HPEXPIREAT h 2000000000000 FIELDS 2 a zz -> HPEXPIREAT h 2000000000000 FIELDS 1 a
         HEXPIREAT h 2000000000 GT FIELDS 1 a -> nothing
         HEXPIREAT h 1900000000 LT FIELDS 1 a -> HPEXPIREAT h 1900000000000 LT FIELDS 1 a
         HEXPIRE h 100 XX FIELDS 2 c zz -> nothing
         HPERSIST h FIELDS 2 c zz -> nothing
         HPERSIST h FIELDS 2 a zz -> HPERSIST h FIELDS 2 a zz
         HPEXPIREAT h 1 FIELDS 3 a b zz -> MULTI; HDEL h a; HDEL h b; EXEC
         HPEXPIRE h 0 FIELDS 1 c -> HDEL h c
         HSETEX h FIELDS 1 a 1 -> HSETEX h FIELDS 1 a 1
         HSETEX h FNX FIELDS 2 a 1 b 2 -> nothing
         HSETEX h KEEPTTL FXX FIELDS 1 a 2 -> HSETEX h KEEPTTL FXX FIELDS 1 a 2
         HSETEX h FNX EX 100 FIELDS 1 b 2 -> HSETEX h FNX PXAT <time> FIELDS 1 b 2
         HSETEX h PXAT 1 FIELDS 2 b 1 c 2 -> MULTI; HDEL h b; HDEL h c; EXEC
         HGETEX h FIELDS 1 a -> nothing
         HGETEX h PERSIST FIELDS 1 a -> nothing
         HGETEX h EX 100 FIELDS 1 zz -> nothing
         HGETEX h EX 100 FIELDS 2 a zz -> HPEXPIREAT h <time> FIELDS 2 a zz
         HGETEX h PERSIST FIELDS 2 a zz -> HPERSIST h FIELDS 2 a zz
         HGETEX h PX 0 FIELDS 2 a zz -> HDEL h a
         HSET h a 1 b 2 c 3 -> HSET h a 1 b 2 c 3
         HGETDEL h FIELDS 2 zz yy -> nothing
         HGETDEL h FIELDS 2 a zz -> HDEL h a zz
         HGETALL h -> nothing
         HMSET h b 1 -> HMSET h b 1",
    );
}

/// A bench with a hash of `a`, `b` and `c`, of which `a` and `b` have expired and are still there; as a table or not.
fn stale(table: bool) -> Bench {
    let mut bench = Bench::new();
    bench.srv.debug.active_expire = false;
    if table {
        bench.run("CONFIG SET hash-max-listpack-entries 0");
    }
    bench.run("HSET h a 1 b 2 c 3");
    bench.run("HPEXPIRE h 1 FIELDS 2 a b");
    bench.srv.clock.advance(5);
    bench
}

#[test]
fn what_has_expired_is_removed_by_who_comes_across_it() {
    for table in [false, true] {
        for (command, reply, left) in [
            ("HGET h a", "$-1\r\n", "HDEL h a"),
            ("HMGET h a c b", "*3\r\n$-1\r\n$1\r\n3\r\n$-1\r\n", "MULTI; HDEL h a; HDEL h b; EXEC"),
            ("HEXISTS h a", ":0\r\n", "HDEL h a"),
            ("HSTRLEN h a", ":0\r\n", "HDEL h a"),
            ("HSETNX h a 5", ":1\r\n", "MULTI; HDEL h a; HSETNX h a 5; EXEC"),
            ("HINCRBY h a 5", ":5\r\n", "MULTI; HDEL h a; HINCRBY h a 5; EXEC"),
            ("HINCRBYFLOAT h a 5", "$1\r\n5\r\n", "MULTI; HDEL h a; HSET h a 5; EXEC"),
            ("HGETDEL h FIELDS 2 a c", "*2\r\n$-1\r\n$1\r\n3\r\n", "MULTI; HDEL h a; HDEL h a c; EXEC"),
            ("HGETEX h PX 0 FIELDS 2 a c", "*2\r\n$-1\r\n$1\r\n3\r\n", "MULTI; HDEL h a; HDEL h c; EXEC"),
            ("HSETEX h FXX FIELDS 1 a 1", ":0\r\n", "HDEL h a"),
            ("HSETEX h FNX FIELDS 1 a 1", ":1\r\n", "MULTI; HDEL h a; HSETEX h FNX FIELDS 1 a 1; EXEC"),
            // These do not.
            ("HSET h a 1", ":0\r\n", "HSET h a 1"),
            ("HDEL h a", ":1\r\n", "HDEL h a"),
            ("HLEN h", ":3\r\n", "nothing"),
            ("HGETALL h", "*2\r\n$1\r\nc\r\n$1\r\n3\r\n", "nothing"),
            ("HKEYS h", "*1\r\n$1\r\nc\r\n", "nothing"),
            ("HSCAN h 0 NOVALUES", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nc\r\n", "nothing"),
            ("HPTTL h FIELDS 2 a c", "*2\r\n:-2\r\n:-1\r\n", "nothing"),
            ("HPERSIST h FIELDS 1 a", "*1\r\n:-2\r\n", "nothing"),
        ] {
            assert_eq!(stale(table).run(command), reply, "{command}");
            stale(table).check_propagation(&format!("{command} -> {left}"));
        }
    }
}

#[test]
fn random_fields_are_live_ones_even_when_nothing_may_be_deleted() {
    for table in [false, true] {
        let mut bench = stale(table);
        assert_eq!(bench.run("HRANDFIELD h 10"), "*1\r\n$1\r\nc\r\n");
        assert_eq!((bench.run("HLEN h"), bench.srv.stats.expired_subkeys), (":1\r\n".into(), 2));
        let mut paused = stale(table);
        paused.run("CLIENT PAUSE 100000 WRITE");
        for (command, reply) in [
            ("HRANDFIELD h", "$1\r\nc\r\n"),
            ("HRANDFIELD h 10", "*1\r\n$1\r\nc\r\n"),
            ("HRANDFIELD h -2 WITHVALUES", "*4\r\n$1\r\nc\r\n$1\r\n3\r\n$1\r\nc\r\n$1\r\n3\r\n"),
            ("HGET h a", "$-1\r\n"),
            ("HMGET h a c", "*2\r\n$-1\r\n$1\r\n3\r\n"),
            ("HLEN h", ":3\r\n"),
        ] {
            assert_eq!(paused.run(command), reply, "{command}");
        }
        paused.check_propagation("HGET h a -> nothing");
    }
}

#[test]
fn the_cycle_removes_what_is_due_and_nothing_else() {
    let mut bench = Bench::new();
    for (limit, name) in [(512, "list"), (0, "table")] {
        bench.run(&format!("CONFIG SET hash-max-listpack-entries {limit}"));
        for i in 0..200 {
            bench.run(&format!("HSETEX {name}:{i} PX {} FIELDS 2 f v g w", 1000 + i * 10));
            bench.run(&format!("HSETEX {name}:{i} FIELDS 1 keep v"));
        }
        bench.run(&format!("HSETEX {name}:all PX 1500 FIELDS 3 a 1 b 2 c 3"));
    }
    let due = |bench: &Bench| bench.srv.dbs[0].keys.due_len();
    assert_eq!(due(&bench), 402);
    bench.srv.clock.advance(2000);
    hexpire::active_cycle(&mut bench.srv);
    assert_eq!(due(&bench), 200, "those due later are left");
    assert_eq!(bench.srv.stats.expired_subkeys, 2 * (100 * 2 + 3));
    assert_eq!(bench.run("EXISTS list:all table:all"), ":0\r\n");
    assert_eq!(bench.run("HGETALL table:0"), "*2\r\n$4\r\nkeep\r\n$1\r\nv\r\n");
    assert_eq!(bench.srv.propagation.sent.iter().filter(|op| op.args[0] == "HDEL").count(), 406);
    hexpire::active_cycle(&mut bench.srv);
    assert_eq!(due(&bench), 200);
}

#[test]
fn the_index_follows_keys_wherever_they_go() {
    let mut bench = Bench::new();
    let due = |bench: &Bench| [bench.srv.dbs[0].keys.due_len(), bench.srv.dbs[1].keys.due_len()];
    for (command, expected) in [
        ("HSET h a 1 b 2", [0, 0]),
        ("HEXPIRE h 100 FIELDS 2 a b", [1, 0]),
        ("RENAME h g", [1, 0]),
        ("COPY g h", [2, 0]),
        ("COPY g h DB 1", [2, 1]),
        ("MOVE g 1", [1, 2]),
        ("SWAPDB 0 1", [2, 1]),
        ("HSET g a 1", [2, 1]),
        ("HPERSIST g FIELDS 1 b", [1, 1]),
        ("SET h string", [0, 1]),
        ("HSETEX g EX 100 FIELDS 1 x 1", [1, 1]),
        ("HDEL g x", [0, 1]),
        ("HSETEX g EX 100 FIELDS 1 x 1", [1, 1]),
        ("UNLINK g", [0, 1]),
        ("FLUSHALL", [0, 0]),
    ] {
        let reply = bench.run(command);
        assert!(!reply.starts_with('-'), "{command}: {reply}");
        assert_eq!(due(&bench), expected, "{command}");
    }
}

#[test]
fn keys_are_counted_by_their_size() {
    let mut bench = Bench::new();
    let sizes = |bench: &Bench| {
        let mut out = String::new();
        bench.srv.dbs.iter().for_each(|db| db.keys.sizes().write_info(db.id, &mut out));
        out.replace("_distrib_", " ").replace("\r\n", ";")
    };
    for (command, expected) in [
        ("SET s 12345", "db0 strings_sizes:4=1;"),
        ("APPEND s 67890", "db0 strings_sizes:8=1;"),
        ("INCR n", "db0 strings_sizes:1=1,8=1;"),
        ("SETRANGE n 16 x", "db0 strings_sizes:8=1,16=1;"),
        ("HSET h a 1 b 2", "db0 strings_sizes:8=1,16=1;db0 hashes_items:2=1;"),
        ("HSET h c 1 d 2", "db0 strings_sizes:8=1,16=1;db0 hashes_items:4=1;"),
        ("HDEL h c d", "db0 strings_sizes:8=1,16=1;db0 hashes_items:2=1;"),
        ("SET h v", "db0 strings_sizes:1=1,8=1,16=1;"),
        ("GETDEL h", "db0 strings_sizes:8=1,16=1;"),
        ("RENAME s n", "db0 strings_sizes:8=1;"),
        ("MOVE n 1", "db1 strings_sizes:8=1;"),
        ("SET n v PX 1", "db0 strings_sizes:1=1;db1 strings_sizes:8=1;"),
        ("SWAPDB 0 1", "db0 strings_sizes:8=1;db1 strings_sizes:1=1;"),
        ("FLUSHALL", ""),
    ] {
        bench.run(command);
        assert_eq!(sizes(&bench), expected, "{command}");
    }
}
