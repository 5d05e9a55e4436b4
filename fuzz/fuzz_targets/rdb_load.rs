//! Whole files, loaded into a server: what was taken in can be used by commands, and what is left after that can be saved and
//! is loaded as the same dataset. The input is a file without its magic and version.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::{Corpus, fuzz_target};
use ochre::db::Db;
use ochre::persistence::rdb::{Dataset, LoadOptions, SaveOptions, load, save};
use ochre::server::testing::Bench;

thread_local! {
    static SERVERS: RefCell<[Bench; 2]> = RefCell::new([Bench::new(), Bench::new()]);
}

/// Commands for a key of each type, which stands as `K` among them. They look at everything, and change a little.
const USES: [(&str, &str); 6] = [
    ("string", "GETRANGE K 0 -1;APPEND K x;SETBIT K 70 1;BITCOUNT K;OBJECT ENCODING K"),
    (
        "list",
        "LRANGE K 0 -1;LINDEX K 3;LINSERT K BEFORE a b;LSET K 0 x;LPUSH K 1;RPOP K 2;LREM K 0 a;LTRIM K 0 5",
    ),
    ("set", "SMEMBERS K;SADD K new 17;SISMEMBER K a;SRANDMEMBER K -5;SPOP K;SINTERCARD 2 K K"),
    (
        "zset",
        "ZRANGE K 0 -1 WITHSCORES;ZADD K 3 new;ZINCRBY K 1 new;ZRANK K a;ZCOUNT K 1 3;ZPOPMIN K;ZREMRANGEBYRANK K 3 4",
    ),
    (
        "hash",
        "HGETALL K;HSET K new 1;HPEXPIRE K 100000 FIELDS 1 new;HPTTL K FIELDS 1 a;HPERSIST K FIELDS 1 new;HDEL K a",
    ),
    (
        "stream",
        "XRANGE K - +;XREVRANGE K + -;XINFO STREAM K FULL;XINFO GROUPS K;XINFO CONSUMERS K g;XPENDING K g;\
         XPENDING K g - + 5;XADD K * a b;XREADGROUP GROUP g c COUNT 2 STREAMS K >;XREADGROUP GROUP g c STREAMS K 0;\
         XAUTOCLAIM K g d 0 0;XACK K g 1-1;XDEL K 1-1 5-0;XGROUP DELCONSUMER K g alice;XTRIM K MAXLEN 2;XADD K 7-7 a b",
    ),
];

fn options(server: &Bench, replace: bool) -> LoadOptions {
    LoadOptions { checksum: false, replace, ..LoadOptions::of(&server.srv) }
}

fn use_all(server: &mut Bench) {
    let databases = server.srv.dbs.iter();
    let keys = |db: &Db| db.keys.iter().map(|entry| entry.key().to_vec()).collect::<Vec<_>>();
    let databases: Vec<Vec<Vec<u8>>> = databases.map(keys).collect();
    for (db, keys) in databases.iter().enumerate().filter(|(_, keys)| !keys.is_empty()) {
        server.run(&format!("SELECT {db}"));
        for key in keys {
            let kind = server.run_words(&[&b"TYPE"[..], &key[..]]);
            let kind = String::from_utf8_lossy(&kind[1..]).trim().to_owned();
            let Some((_, commands)) = USES.iter().find(|(named, _)| *named == kind) else { continue };
            for command in commands.split(';') {
                let words = command.split_whitespace();
                let words = words.map(|word| if word == "K" { &key[..] } else { word.as_bytes() });
                server.run_words(&words.collect::<Vec<&[u8]>>());
            }
        }
    }
}

fuzz_target!(|input: (bool, &[u8])| -> Corpus {
    let (sized, bytes) = input;
    // What a library does when it is loaded is its author's affair: it may never end.
    if memchr::memmem::find(bytes, b"#!").is_some() {
        return Corpus::Reject;
    }
    SERVERS.with_borrow_mut(|[server, copy]| {
        for server in [&mut *server, &mut *copy] {
            server.run("FLUSHALL");
            server.run("FUNCTION FLUSH");
        }
        let file = [b"REDIS0012", bytes].concat();
        let options_of_file =
            LoadOptions { size: sized.then_some(file.len() as u64), ..options(server, false) };
        let _ = load(&mut server.srv, &mut &file[..], &options_of_file, &mut |_, _| {});
        use_all(server);
        let mut saved = Vec::new();
        let save_options = SaveOptions::of(&server.srv);
        save(&mut saved, &Dataset::of(&server.srv), &save_options, &mut |_, _| {}).expect("memory takes all");
        let options = options(copy, false);
        let info = load(&mut copy.srv, &mut &saved[..], &options, &mut |_, _| {});
        let info = info.expect("what was saved is loaded");
        if info.expired == 0 && info.empty == 0 {
            assert_eq!(copy.run("DEBUG DIGEST"), server.run("DEBUG DIGEST"));
        }
    });
    Corpus::Keep
});
