//! Datasets with values of every type in every encoding, as commands: for files and payloads that have to hold everything.
//!
//! The unit tests of `persistence/rdb` use this module as well.

/// Of which Redis a server knows what there was to know, with regard to values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Knows {
    /// 7.0. Its digests show numbers in seventeen digits.
    Redis70,
    /// 7.2, and Valkey: compact lists and sets of strings.
    Redis72,
    /// 7.4: expiry of fields of hashes.
    Redis74,
}

/// Commands of words without blanks. They need `DEBUG`, and leave the configuration and database 0 selected as they were.
pub fn commands(knows: Knows) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    // Elements of more bytes than this get a node of their own.
    lines.push("DEBUG QUICKLIST-PACKED-THRESHOLD 200b".into());
    lines.extend(SMALL.iter().map(|line| (*line).to_owned()));
    if knows >= Knows::Redis72 {
        lines.push("ZADD fractions 0.1 a 1e300 b -3.3333333333333335 c 5e-324 d".into());
    }
    if knows >= Knows::Redis74 {
        lines.extend(FIELD_EXPIRY.iter().map(|line| (*line).to_owned()));
    }
    large(knows, &mut lines);
    lines.push("DEBUG QUICKLIST-PACKED-THRESHOLD 0".into());
    lines
}

const SMALL: [&str; 47] = [
    "SET int 12345",
    "SET negative -7",
    "SET short 300",
    "SET wide 12345678901",
    "SET widest -9223372036854775808",
    "SET text hello",
    "SET embedded 0123456789012345678901234567890123456789abcd",
    "SET raw 0123456789012345678901234567890123456789abcde",
    "SET due later PXAT 99999999999999",
    "APPEND grown abc",
    "SETBIT bits 1000 1",
    "PFADD counted a b c",
    "RPUSH list a b 3 -4 5000000000 -100000 40000 -9223372036854775808",
    "SADD ints16 1 2 3",
    "SADD ints32 1 2 100000",
    "SADD ints64 1 2 5000000000",
    "SADD words a b c 1",
    "SADD expiring a b",
    "PEXPIREAT expiring 99999999999999",
    "ZADD zset 1 a 2.5 b inf c -inf d 3 e 4294967296.5 f -0.125 g",
    "GEOADD places 13.361389 38.115556 Palermo 15.087269 37.502669 Catania",
    "HSET hash a 1 b two c -5000000000",
    "XADD stream 1-1 a 1 b 2",
    "XADD stream 1-2 a 3 b 4",
    "XADD stream 5-0 c x",
    "XADD stream 6-0 c y d z",
    "XGROUP CREATE stream g 0",
    "XREADGROUP GROUP g alice COUNT 2 STREAMS stream >",
    "XREADGROUP GROUP g bob STREAMS stream >",
    "XGROUP CREATECONSUMER stream g idle",
    "XDEL stream 1-2",
    "XACK stream g 5-0",
    "XGROUP CREATE stream h 1-1",
    "XGROUP CREATE stream counted 0 ENTRIESREAD 3",
    "XCLAIM stream h carol 0 6-0 TIME 1700000000000 RETRYCOUNT 4 FORCE JUSTID",
    "XADD gone 1-1 a b",
    "XDEL gone 1-1",
    "XGROUP CREATE waiting g $ MKSTREAM",
    "SELECT 3",
    "SET elsewhere 1",
    "SADD expiring-elsewhere x",
    "EXPIREAT expiring-elsewhere 99999999999",
    "SELECT 15",
    "RPUSH farthest 1 2",
    "SELECT 0",
    "FUNCTION LOAD #!lua\tname=first\nredis.register_function('one',function()return\t1\tend)",
    "FUNCTION LOAD #!lua\tname=second\nredis.register_function{function_name='two',callback=function(keys)return\t2\tend,flags={'no-writes'}}",
];

const FIELD_EXPIRY: [&str; 4] = [
    "HSET fields a 1 b 2 c three",
    "HPEXPIREAT fields 70368744177000 FIELDS 2 a b",
    "HSET lasting a 1 b 2",
    "HPEXPIREAT lasting 60368744177000 FIELDS 1 a",
];

/// What is large enough for the encodings of large values.
fn large(knows: Knows, lines: &mut Vec<String>) {
    let long = "x".repeat(100);
    let huge = "all_work_and_no_play_".repeat(4000);
    lines.push(format!("SET long {long}"));
    lines.push(format!("SET huge {huge}"));
    for i in 0..600 {
        lines.push(format!("RPUSH biglist {i} {long}{i}"));
        lines.push(format!("SADD bigints {i}"));
        lines.push(format!("SADD bigset m{i} {}", i * 7));
        lines.push(format!("ZADD bigzset {}.25 m{i} {i} {i}", i % 7));
        lines.push(format!("HSET bighash f{i} {i} {i} {long}"));
        lines.push(format!("XADD bigstream {}-1 f {i} g {long}", i + 1));
        if knows >= Knows::Redis74 {
            lines.push(format!("HSET bigfields f{i} {i}"));
        }
    }
    if knows >= Knows::Redis74 {
        lines.push("HPEXPIREAT bigfields 70368744177000 FIELDS 2 f1 f2".into());
        lines.push("HPEXPIREAT bigfields 60368744177000 FIELDS 1 f3".into());
    }
    lines.push("SADD longset a".to_owned() + &long);
    lines.push("HSET longhash a ".to_owned() + &long);
    lines.push(format!("ZADD longzset 1 {long}"));
    lines.push(format!("RPUSH biglist {huge} {long}{long}{long}"));
    lines.push(format!("LPUSH plain {huge} {long}{long}{long} small"));
    // The nodes between the outermost ones are compressed.
    lines.push("CONFIG SET list-compress-depth 1".into());
    for i in 0..200 {
        lines.push(format!("RPUSH compressed {long}{i} {long}"));
    }
    lines.push("CONFIG SET list-compress-depth 0".into());
    lines.push("XGROUP CREATE bigstream g 0".into());
    lines.push("XREADGROUP GROUP g alice COUNT 250 STREAMS bigstream >".into());
    lines.push("XREADGROUP GROUP g bob COUNT 250 STREAMS bigstream >".into());
    lines.push("XDEL bigstream 7-1 8-1 599-1".into());
    lines.push("XTRIM bigstream MINID 3-1".into());
}
