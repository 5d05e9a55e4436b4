//! Values through payloads and datasets through files.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::server::testing::{Bench, peak_kib};
use dataset::Knows;

/// Damaged files, and as many damaged payloads.
const DAMAGED: usize = 10_000;

#[path = "../../../tests/common/dataset.rs"]
mod dataset;

/// A server with values in every encoding that is written.
fn furnished() -> Bench {
    furnished_for(Knows::Redis74)
}

fn furnished_for(knows: Knows) -> Bench {
    let mut bench = Bench::new();
    for line in dataset::commands(knows) {
        let reply = bench.run(&line);
        assert!(!reply.starts_with('-'), "{line}: {reply}");
    }
    bench
}

fn file_of(bench: &Bench, options: &SaveOptions) -> Vec<u8> {
    let mut file = Vec::new();
    let info = save(&mut file, &Dataset::of(&bench.srv), options, &mut |_, _| {}).unwrap();
    assert_eq!(info.bytes, file.len() as u64);
    file
}

fn loaded(file: &[u8], size: Option<u64>) -> Bench {
    let mut bench = Bench::new();
    let options = LoadOptions { size, ..LoadOptions::of(&bench.srv) };
    let info = load(&mut bench.srv, &mut &file[..], &options, &mut |_, _| {}).unwrap();
    assert_eq!(info.bytes, file.len() as u64);
    bench
}

#[test]
fn a_dataset_survives_a_file() {
    let mut bench = furnished();
    for (checksum, compress) in [(true, true), (false, true), (true, false)] {
        let file = file_of(&bench, &SaveOptions { checksum, compress, ..SaveOptions::of(&bench.srv) });
        assert_eq!(&file[..9], b"REDIS0012");
        let mut copy = loaded(&file, Some(file.len() as u64));
        assert_eq!(copy.run("DEBUG DIGEST"), bench.run("DEBUG DIGEST"));
        for line in [
            "OBJECT ENCODING biglist",
            "OBJECT ENCODING fields",
            "OBJECT ENCODING bigfields",
            "OBJECT ENCODING words",
            "HPEXPIRETIME bigfields FIELDS 3 f1 f3 f4",
            "PEXPIRETIME due",
            "XINFO STREAM stream FULL",
            "XLEN gone",
            "XPENDING stream g",
        ] {
            let strip = |reply: String| reply.lines().filter(|l| l.len() < 9).collect::<Vec<_>>().join(" ");
            assert_eq!(strip(copy.run(line)), strip(bench.run(line)), "{line}");
        }
    }
}

#[test]
fn a_single_large_value_lets_clients_be_served() {
    let words = |word: fn(u32) -> String| (0..3000).map(word).collect::<Vec<_>>().join(" ");
    for line in [
        format!("SADD set {}", words(|i| format!("member:{i}"))),
        format!("ZADD zset {}", words(|i| format!("{i} member:{i}"))),
        format!("HSET hash {}", words(|i| format!("field:{i} {i}"))),
        format!("RPUSH list {}", words(|i| format!("element:{i}"))),
        format!("SET string {}", "x".repeat(1_000_000)),
    ] {
        let mut bench = Bench::new();
        bench.run(&line);
        let file = file_of(&bench, &SaveOptions { compress: false, ..SaveOptions::of(&bench.srv) });
        let mut copy = Bench::new();
        let options = LoadOptions { interval_bytes: 4096, ..LoadOptions::of(&copy.srv) };
        let (mut calls, mut told) = (0, 0);
        let between = &mut |srv: &mut crate::server::Server, offset| {
            assert!(srv.dbs[0].is_empty() && offset > told);
            (calls, told) = (calls + 1, offset);
        };
        load(&mut copy.srv, &mut &file[..], &options, between).unwrap();
        assert!(calls > 1, "{}: {calls}", line.split_once(' ').unwrap().0);
        assert_eq!(copy.run("DEBUG DIGEST"), bench.run("DEBUG DIGEST"));
    }
}

#[test]
fn the_version_is_the_lowest_that_can_hold_the_data() {
    let mut bench = Bench::new();
    bench.run("HSET h a 1");
    let options = SaveOptions::of(&bench.srv);
    assert_eq!(&file_of(&bench, &options)[..9], b"REDIS0011");
    bench.run("HPEXPIRE h 1000000 FIELDS 1 a");
    assert_eq!(&file_of(&bench, &options)[..9], b"REDIS0012");
    for knows in [Knows::Redis70, Knows::Redis72] {
        assert_eq!(&file_of(&furnished_for(knows), &options)[..9], b"REDIS0011");
    }
    let forced = SaveOptions { version: crate::server::config::RdbVersion::V11, ..options };
    let mut file = Vec::new();
    let error = save(&mut file, &Dataset::of(&bench.srv), &forced, &mut |_, _| {}).unwrap_err();
    assert_eq!(error.to_string(), "The data need RDB version 12, and 'rdb-version' is 11");
    assert!(file.is_empty());
    bench.run("HPERSIST h FIELDS 1 a");
    assert_eq!(&file_of(&bench, &forced)[..9], b"REDIS0011");
}

#[test]
fn every_value_survives_a_payload() {
    let bench = furnished();
    // Encodings are those of what was loaded, not those that a history of commands has led to.
    let bench = loaded(&file_of(&bench, &SaveOptions::of(&bench.srv)), None);
    let limits = Limits::of(&bench.srv);
    for entry in bench.srv.dbs[0].keys.iter() {
        let payload = dump_payload(entry, bench.srv.config.rdb_version, true).unwrap();
        let body = verify(&payload, true).unwrap();
        let restored = restore_payload(body, entry.key(), entry.expiry(), 7, &limits).unwrap().unwrap();
        assert_eq!(restored.view().encoding(), entry.encoding(), "{entry:?}");
        let again = dump_payload(restored.view(), bench.srv.config.rdb_version, true).unwrap();
        assert_eq!(again.len(), payload.len(), "{entry:?}");
        let mut bad = payload.clone();
        bad[0] ^= 1;
        assert!(matches!(verify(&bad, true), Err(Error::Footer)));
        assert!(verify(&bad, false).is_ok());
    }
}

#[test]
fn what_is_cut_short_is_an_error() {
    let bench = furnished();
    let file = file_of(&bench, &SaveOptions::of(&bench.srv));
    for cut in (0..file.len()).step_by(997).chain(file.len() - 20..file.len()) {
        let mut bench = Bench::new();
        let options = LoadOptions::of(&bench.srv);
        assert!(load(&mut bench.srv, &mut &file[..cut], &options, &mut |_, _| {}).is_err(), "{cut}");
    }
}

/// A server with a little of everything, so that a file of it is damaged somewhere else each time.
fn sparsely_furnished() -> Bench {
    let mut bench = Bench::new();
    for line in [
        "CONFIG SET list-max-listpack-size 3",
        "SET int 12345",
        "SET text hellohellohellohellohellohellohello",
        "SET due later PX 100000000",
        "RPUSH list a b 3",
        "RPUSH longlist a b 3 -4 5000000000 hellohellohello",
        "SADD ints 1 2 3 100000",
        "SADD words a b c 1",
        "ZADD zset 1 a 2.5 b inf c",
        "HSET hash a 1 b two",
        "HSET ttl a 1 b 2",
        "HPEXPIRE ttl 100000000 FIELDS 1 b",
        "CONFIG SET hash-max-listpack-entries 1",
        "CONFIG SET zset-max-listpack-entries 1",
        "CONFIG SET set-max-listpack-entries 1",
        "SADD bigset a b c d",
        "ZADD bigzset 1 a 2 b",
        "HSET bighash a 1 b 2 c 3",
        "HSET bigttl a 1 b 2 c 3",
        "HPEXPIRE bigttl 100000000 FIELDS 1 b",
        "XADD stream 1-1 a 1 b 2",
        "XADD stream 1-2 a 3 b 4",
        "XADD stream 5-0 c x",
        "XGROUP CREATE stream g 0",
        "XREADGROUP GROUP g alice COUNT 2 STREAMS stream >",
        "XREADGROUP GROUP g bob STREAMS stream >",
        "XDEL stream 1-2",
    ] {
        let reply = bench.run(line);
        assert!(!reply.starts_with('-'), "{line}: {reply}");
    }
    bench
}

/// Changes a few bytes, cuts some out, or doubles some.
fn damage(bytes: &[u8], rng: &mut StdRng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..rng.random_range(1..4) {
        let at = rng.random_range(0..bytes.len());
        let end = (at + rng.random_range(1..20)).min(bytes.len());
        match rng.random_range(0..6) {
            0 => bytes[at] = rng.random(),
            1 => bytes[at] ^= 1 << rng.random_range(0..8),
            2 => bytes[at] = [0, 1, 0x7f, 0x80, 0x81, 0xc3, 0xff][rng.random_range(0..7)],
            3 if bytes.len() > 20 => _ = bytes.drain(at..end),
            4 => {
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            _ => rng.fill(&mut bytes[at..end]),
        }
    }
    bytes
}

/// Commands that look at all of a value, whatever it is.
fn use_everything(bench: &mut Bench) {
    bench.run("DEBUG DIGEST");
    for line in [
        "LRANGE longlist 0 -1",
        "SMEMBERS bigset",
        "SPOP words",
        "ZRANGE zset 0 -1 WITHSCORES",
        "ZADD zset 3 new",
        "HGETALL ttl",
        "HSET hash new 1",
        "HSET ttl new 1",
        "XRANGE stream - +",
        "XREVRANGE stream + -",
        "XINFO STREAM stream FULL",
        "XADD stream * a b",
        "XAUTOCLAIM stream g carol 0 0",
    ] {
        bench.run(line);
    }
}

#[test]
fn damaged_files_are_refused_or_loaded_and_cost_no_memory() {
    let bench = sparsely_furnished();
    let file = file_of(&bench, &SaveOptions { compress: false, ..SaveOptions::of(&bench.srv) });
    let rng = &mut StdRng::seed_from_u64(1);
    let before = peak_kib();
    let (mut loaded, mut refused) = (0, 0);
    let mut target = Bench::new();
    for _ in 0..DAMAGED {
        let bytes = damage(&file, rng);
        target.run("FLUSHALL");
        let options = LoadOptions {
            size: Some(bytes.len() as u64).filter(|_| rng.random()),
            checksum: false,
            ..LoadOptions::of(&target.srv)
        };
        match load(&mut target.srv, &mut &bytes[..], &options, &mut |_, _| {}) {
            Ok(_) => loaded += 1,
            Err(_) => refused += 1,
        }
        use_everything(&mut target);
    }
    assert!(loaded > DAMAGED / 20 && refused > DAMAGED / 20, "{loaded} {refused}");
    assert!(peak_kib() - before < 400 * 1024, "{} KiB", peak_kib() - before);
}

#[test]
fn damaged_payloads_are_refused_or_restored_and_cost_no_memory() {
    let bench = sparsely_furnished();
    let limits = Limits::configured(&bench.srv.config);
    let version = bench.srv.config.rdb_version;
    let payloads: Vec<Vec<u8>> = bench.srv.dbs[0]
        .keys
        .iter()
        .map(|entry| verify(&dump_payload(entry, version, false).unwrap(), true).unwrap().to_vec())
        .collect();
    let rng = &mut StdRng::seed_from_u64(2);
    let before = peak_kib();
    let mut restored = 0;
    for i in 0..DAMAGED {
        let body = damage(&payloads[i % payloads.len()], rng);
        let Ok(Ok(entry)) = restore_payload(&body, b"key", None, 0, &limits) else { continue };
        restored += 1;
        // What was taken in is whole: it can be written, read and compared.
        let payload = dump_payload(entry.view(), version, true).unwrap();
        let again = restore_payload(verify(&payload, true).unwrap(), b"key", None, 0, &limits);
        assert_eq!(again.unwrap().unwrap().view().len(), entry.view().len());
    }
    assert!(restored > DAMAGED / 20 && restored < DAMAGED, "{restored}");
    assert!(peak_kib() - before < 400 * 1024, "{} KiB", peak_kib() - before);
}

#[test]
fn room_is_provided_for_what_the_file_can_hold_and_no_more() {
    // Each database is said to have as many keys as the whole file could hold, and again and again.
    let mut file = b"REDIS0011".to_vec();
    for db in 0..16 {
        file.extend([0xfe, db]);
        (0..100).for_each(|_| file.extend(b"\xfb\x80\xff\xff\xff\xff\x00"));
    }
    file.extend(b"\x00\x03key\x81\x00\x00\x00\x00\x00\x03\xd0\x90");
    file.extend([b'x'; 250_000]);
    file.push(0xff);
    file.extend([0; 8]);
    for size in [Some(file.len() as u64), None] {
        let mut bench = Bench::new();
        let options = LoadOptions { size, ..LoadOptions::of(&bench.srv) };
        load(&mut bench.srv, &mut &file[..], &options, &mut |_, _| {}).unwrap();
        let tables = bench.srv.dbs.iter_mut().map(|db| db.keys.table_mut().mem_bytes());
        let bytes = tables.sum::<usize>();
        assert!(bytes < 5 * file.len(), "{bytes} for a file of {}", file.len());
        assert_eq!(bench.run("DBSIZE"), ":0\r\n");
        bench.run("SELECT 15");
        assert_eq!(bench.run("STRLEN key"), ":250000\r\n");
    }
}

/// A stream's numbers can be anything in a file, and are used as they are.
#[test]
fn extreme_numbers_of_streams_do_no_harm() {
    let mut bench = Bench::new();
    for line in [
        "XADD s 5-0 a b",
        "XADD s 6-0 a b",
        "XGROUP CREATE s g 0",
        "XREADGROUP GROUP g c COUNT 1 STREAMS s >",
    ] {
        bench.run(line);
    }
    let entry = bench.srv.dbs[0].keys.iter().next().unwrap();
    let payload = dump_payload(entry, bench.srv.config.rdb_version, false).unwrap();
    let body = verify(&payload, true).unwrap();
    let limits = Limits::of(&bench.srv);
    let mut restored = 0;
    // Each byte in turn is a number that is too large for most arithmetic, or none.
    for at in 0..body.len() {
        for extreme in [&b"\x81\xff\xff\xff\xff\xff\xff\xff\xff"[..], &b"\x81\x80\0\0\0\0\0\0\0"[..], b"\x00"]
        {
            let changed = [&body[..at], extreme, &body[at + 1..]].concat();
            restored += use_stream(&mut bench, &changed, &limits);
        }
        if at + 8 <= body.len() {
            let changed = [&body[..at], &i64::MIN.to_le_bytes(), &body[at + 8..]].concat();
            restored += use_stream(&mut bench, &changed, &limits);
        }
    }
    assert!(restored > 20, "{restored}");
}

fn use_stream(bench: &mut Bench, body: &[u8], limits: &Limits) -> usize {
    let Ok(Ok(entry)) = restore_payload(body, b"t", None, 0, limits) else { return 0 };
    bench.run("DEL t");
    let key = bench.srv.key_of(b"t");
    let crate::db::kvstore::Place::Free(place) = bench.srv.dbs[0].keys.place(key) else { unreachable!() };
    place.insert(entry);
    for line in [
        "XINFO STREAM t FULL",
        "XINFO GROUPS t",
        "XINFO CONSUMERS t g",
        "XPENDING t g",
        "XPENDING t g IDLE 1 - + 10",
        "XADD t * a b",
        "XADD t 5-5 a b",
        "XADD t 7-* a b",
        "XREADGROUP GROUP g d STREAMS t >",
        "XREADGROUP GROUP g c STREAMS t 0",
        "XCLAIM t g d 0 5-0",
        "XAUTOCLAIM t g e 1 0",
        "XGROUP SETID t g 5-0",
        "XDEL t 5-0",
        "XRANGE t - +",
        "XTRIM t MAXLEN 1",
        "XREVRANGE t + -",
    ] {
        bench.run(line);
    }
    1
}

/// A file as version 2 had it, with an expiry in seconds, a list, a zipmap, old scores and an intset.
#[test]
fn files_of_old_are_read() {
    let mut file = b"REDIS0002\xfe\x00\xfb\x05\x01".to_vec();
    file.extend(b"\xfd\xff\xff\xff\x7f\x00\x03due\xc0\x05");
    file.extend(b"\x01\x01l\x02\x01a\xc1\xe8\x03");
    file.extend(b"\x09\x01h\x10\x02\x03foo\x03\x00bar\x01k\x01\x00v\xff");
    file.extend(b"\x03\x01z\x03\x01a\x011\x01b\xfe\x01c\x042e-1");
    file.extend(b"\x0b\x01i\x0c\x02\x00\x00\x00\x02\x00\x00\x00\xff\xff\x07\x00");
    file.push(0xff);
    let mut bench = loaded(&file, None);
    for (line, expected) in [
        ("GET due", "$1 5 "),
        ("PEXPIRETIME due", ":2147483647000 "),
        ("LRANGE l 0 -1", "*2 $1 a $4 1000 "),
        ("HGET h foo", "$3 bar "),
        ("HGET h k", "$1 v "),
        ("ZRANGE z 0 -1 WITHSCORES", "*6 $1 c $3 0.2 $1 a $1 1 $1 b $3 inf "),
        ("SMEMBERS i", "*2 $2 -1 $1 7 "),
    ] {
        assert_eq!(bench.run(line).replace("\r\n", " "), expected, "{line}");
    }
}

#[test]
fn expired_and_empty_keys_are_left_out_and_counted() {
    let mut file = b"REDIS0011".to_vec();
    file.extend(b"\xfc\x01\x00\x00\x00\x00\x00\x00\x00\x00\x03old\x01x");
    file.extend(b"\x04\x05empty\x00");
    file.extend(b"\x00\x04kept\x01y\xff");
    file.extend([0; 8]);
    let mut bench = Bench::new();
    let options = LoadOptions::of(&bench.srv);
    let info = load(&mut bench.srv, &mut &file[..], &options, &mut |_, _| {}).unwrap();
    assert_eq!((info.keys, info.expired, info.empty), (1, 1, 1));
    let options = LoadOptions { drop_expired: false, replace: true, ..options };
    let info = load(&mut bench.srv, &mut &file[..], &options, &mut |_, _| {}).unwrap();
    assert_eq!((info.keys, info.expired, info.empty), (2, 0, 1));
    let options = LoadOptions { replace: false, ..options };
    let error = load(&mut bench.srv, &mut &file[..], &options, &mut |_, _| {}).unwrap_err();
    assert_eq!(error.to_string(), "RDB has duplicated key 'old' in DB 0");
}

#[test]
fn what_cannot_be_loaded_says_why() {
    for (file, expected) in [
        (&b"REDIX0011"[..], "Wrong signature trying to load DB from file: REDIX0011"),
        (b"REDIS0013", "Can't handle RDB format version 13"),
        (b"REDIS0000", "Can't handle RDB format version 0"),
        (
            b"REDIS0011\xf7\x81\xbd\xe7\x2d\xa2\xbb\x1e\xb4\x00",
            "The RDB file contains AUX module data I can't load: no matching module 'vectorset'",
        ),
        (
            b"REDIS0011\xf6",
            "Internal error in RDB reading offset 10: Pre-release function format not supported.",
        ),
        (
            b"REDIS0011\xfe\x40\xff",
            "FATAL: Data file was created with a Redis server configured to handle more than 16 databases. Exiting",
        ),
        (
            b"REDIS0011\xff\x01\x00\x00\x00\x00\x00\x00\x00",
            "Wrong RDB checksum expected: (1) but got (5d2afc8fd9c6a4ef). Aborting now.",
        ),
    ] {
        let mut bench = Bench::new();
        let options = LoadOptions::of(&bench.srv);
        let error = load(&mut bench.srv, &mut &file[..], &options, &mut |_, _| {}).unwrap_err();
        let (error, expected) = (error.to_string(), expected.split("got (").next().unwrap());
        assert!(error.starts_with(expected), "{error}");
    }
}
