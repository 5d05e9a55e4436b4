//! Values through payloads and datasets through files.

use super::*;
use crate::server::testing::Bench;

/// A server with values in every encoding that is written.
fn furnished() -> Bench {
    let mut bench = Bench::new();
    let long = "x".repeat(100);
    let huge = "all work and no play ".repeat(4000).replace(' ', "_");
    bench.run("DEBUG QUICKLIST-PACKED-THRESHOLD 200");
    for line in [
        "SET int 12345",
        "SET negative -7",
        "SET big 12345678901",
        "SET text hello",
        "SET empty2 x",
        "SET due later PX 100000000",
        "RPUSH list a b 3 -4 5000000000",
        "SADD ints 1 2 3 100000 5000000000",
        "SADD words a b c 1",
        "ZADD zset 1 a 2.5 b inf c -inf d",
        "HSET hash a 1 b two",
        "HSET ttl a 1 b 2",
        "HPEXPIRE ttl 100000000 FIELDS 1 b",
        "XADD stream 1-1 a 1 b 2",
        "XADD stream 1-2 a 3 b 4",
        "XADD stream 5-0 c x",
        "XGROUP CREATE stream g 0",
        "XREADGROUP GROUP g alice COUNT 2 STREAMS stream >",
        "XREADGROUP GROUP g bob STREAMS stream >",
        "XGROUP CREATECONSUMER stream g idle",
        "XDEL stream 1-2",
        "XGROUP CREATE stream h 1-1",
        "XADD gone 1-1 a b",
        "XDEL gone 1-1",
        "SELECT 3",
        "SET elsewhere 1",
    ] {
        let reply = bench.run(line);
        assert!(!reply.starts_with('-'), "{line}: {reply}");
    }
    bench.run("SELECT 0");
    bench.run(&format!("SET long {long}"));
    bench.run(&format!("SET huge {huge}"));
    for i in 0..600 {
        bench.run(&format!("RPUSH biglist {i} {long}{i}"));
        bench.run(&format!("SADD bigset m{i}"));
        bench.run(&format!("ZADD bigzset {}.25 m{i} {i} {i}", i % 7));
        bench.run(&format!("HSET bighash f{i} {i} {i} {long}"));
        bench.run(&format!("HSET bigttl f{i} {i}"));
        bench.run(&format!("XADD bigstream {i}-1 f {i} g {long}"));
    }
    bench.run("HPEXPIRE bigttl 100000000 FIELDS 2 f1 f2");
    bench.run("HPEXPIRE bigttl 200000000 FIELDS 1 f3");
    bench.run(&format!("RPUSH biglist {huge} {long}{long}{long}"));
    bench.run("CONFIG SET list-compress-depth 1");
    for i in 0..200 {
        bench.run(&format!("RPUSH packed {long}{i} {long}"));
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
            "OBJECT ENCODING ttl",
            "OBJECT ENCODING bigttl",
            "OBJECT ENCODING words",
            "HPEXPIRETIME bigttl FIELDS 3 f1 f3 f4",
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
fn the_version_is_the_lowest_that_can_hold_the_data() {
    let mut bench = Bench::new();
    bench.run("HSET h a 1");
    let options = SaveOptions::of(&bench.srv);
    assert_eq!(&file_of(&bench, &options)[..9], b"REDIS0011");
    bench.run("HPEXPIRE h 1000000 FIELDS 1 a");
    assert_eq!(&file_of(&bench, &options)[..9], b"REDIS0012");
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
