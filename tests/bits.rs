//! The bit commands and HyperLogLogs, through the wire.

mod common;

use common::{TestServer, run, script};
use redis::{Commands, cmd};

#[test]
fn bits_are_set_and_found() {
    let server = TestServer::start(&[]);
    script(
        &mut server.client(false),
        "GETBIT k 100 -> 0
         SETBIT k 7 1 -> 0
         SETBIT k 7 0 -> 1
         STRLEN k -> 1
         SETBIT k 8 1 -> 0
         STRLEN k -> 2
         GETBIT k 8 -> 1
         GETBIT k 1000 -> 0
         OBJECT ENCODING k -> raw
         SETBIT k -1 1 -> -ERR bit offset is not an integer or out of range
         SETBIT k 4294967296 1 -> -ERR bit offset is not an integer or out of range
         SETBIT k 0 2 -> -ERR bit is not an integer or out of range
         SET n 12 -> OK
         GETBIT n 3 -> 1
         SET s foobar -> OK
         BITCOUNT s -> 26
         BITCOUNT s 0 0 -> 4
         BITCOUNT s 1 1 BYTE -> 6
         BITCOUNT s 5 30 BIT -> 17
         BITCOUNT s -2 -1 -> 7
         BITCOUNT s -1 -2 -> 0
         BITCOUNT none -> 0
         BITCOUNT s 1 -> -ERR syntax error
         BITCOUNT s 0 x -> -ERR value is not an integer or out of range
         BITCOUNT s 0 1 WORD -> -ERR syntax error
         BITPOS s 1 -> 1
         BITPOS s 0 -> 0
         BITPOS s 1 2 -> 17
         BITPOS s 1 7 15 BIT -> 9
         BITPOS s 1 9 -> -1
         BITPOS none 1 -> -1
         BITPOS none 0 -> 0
         BITPOS s 2 -> -ERR The bit argument must be 1 or 0.",
    );
}

#[test]
fn zeroes_follow_a_string_unless_a_range_ends() {
    let server = TestServer::start(&[]);
    let mut c = server.client(false);
    let () = c.set("ones", [0xffu8; 100].as_slice()).unwrap();
    script(
        &mut c,
        "BITPOS ones 0 -> 800
         BITPOS ones 0 5 -> 800
         BITPOS ones 0 0 -1 -> -1
         BITPOS ones 0 3 700 BIT -> -1
         SETBIT ones 707 0 -> 1
         BITPOS ones 0 -> 707
         BITPOS ones 0 700 799 BIT -> 707
         BITCOUNT ones -> 799
         BITCOUNT ones 700 710 BIT -> 10",
    );
}

#[test]
fn strings_are_combined() {
    let server = TestServer::start(&[]);
    let mut c = server.client(false);
    let () = c.set("a", b"\xff\x0f\xaa".as_slice()).unwrap();
    let () = c.set("b", b"\x0f\xff".as_slice()).unwrap();
    let cases: [(&str, &[u8]); 6] = [
        ("BITOP AND to a b", b"\x0f\x0f\x00"),
        ("BITOP or to a b", b"\xff\xff\xaa"),
        ("BITOP XOR to a b", b"\xf0\xf0\xaa"),
        ("BITOP AND to a none", b"\0\0\0"),
        ("BITOP OR to none b", b"\x0f\xff"),
        ("BITOP XOR to a a", b"\0\0\0"),
    ];
    for (command, expected) in cases {
        assert_eq!(run(&mut c, command), expected.len().to_string(), "{command}");
        let result: Vec<u8> = c.get("to").unwrap();
        assert_eq!(result, expected, "{command}");
    }
    assert_eq!(run(&mut c, "BITOP NOT to b"), "2");
    let result: Vec<u8> = c.get("to").unwrap();
    assert_eq!(result, b"\xf0\x00");
    script(
        &mut c,
        "OBJECT ENCODING to -> raw
         BITOP NOT to a b -> -ERR BITOP NOT must be called with a single source key.
         BITOP DIFF to a b -> -ERR syntax error
         BITOP OR to none -> 0
         EXISTS to -> 0
         SADD set x -> 1
         BITOP OR to a set -> -WRONGTYPE Operation against a key holding the wrong kind of value",
    );
}

#[test]
fn fields_are_read_and_written() {
    let server = TestServer::start(&[]);
    script(
        &mut server.client(false),
        "BITFIELD f GET u8 0 -> [0]
         EXISTS f -> 0
         BITFIELD f SET i8 0 -100 GET u8 0 GET i4 #0 -> [0,156,-7]
         BITFIELD f INCRBY u2 100 5 -> [1]
         STRLEN f -> 13
         BITFIELD f OVERFLOW SAT INCRBY u2 102 9 OVERFLOW FAIL INCRBY u2 102 1 INCRBY i64 200 1 -> [3,nil,1]
         BITFIELD f OVERFLOW SAT INCRBY i8 0 -100 -> [-128]
         BITFIELD f SET u8 #1 257 GET u8 8 -> [0,1]
         BITFIELD f OVERFLOW FAIL SET u8 #1 257 -> [nil]
         BITFIELD f OVERFLOW NEVER SET u8 0 1 -> -ERR Invalid OVERFLOW type specified
         BITFIELD f SET u64 0 1 -> -ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.
         BITFIELD f SET u8 -1 1 -> -ERR bit offset is not an integer or out of range
         BITFIELD f SET u8 0 -> -ERR syntax error
         BITFIELD_RO f GET u8 8 -> [1]
         BITFIELD_RO f SET u8 8 0 -> -ERR BITFIELD_RO only supports the GET subcommand
         BITFIELD_RO none GET i64 8 -> [0]",
    );
}

#[test]
fn hyperloglogs_estimate() {
    let server = TestServer::start(&[]);
    let mut c = server.client(false);
    script(
        &mut c,
        "PFADD h -> 1
         PFADD h -> 0
         PFCOUNT h -> 0
         PFADD h a b c -> 1
         PFADD h a b c -> 0
         PFCOUNT h -> 3
         PFDEBUG ENCODING h -> sparse
         PFDEBUG DECODE h -> Z:8436 v:1,1 Z:4274 v:2,1 Z:3068 v:1,1 Z:603
         PFADD i c d -> 1
         PFCOUNT h i none -> 4
         PFMERGE m h i -> OK
         PFCOUNT m -> 4
         PFDEBUG TODENSE i -> 1
         PFDEBUG TODENSE i -> 0
         PFCOUNT h i -> 4
         PFMERGE m i -> OK
         PFDEBUG ENCODING m -> dense
         STRLEN m -> 12304
         SET s text -> OK
         PFADD s a -> -WRONGTYPE Key is not a valid HyperLogLog string value.
         PFCOUNT h s -> -WRONGTYPE Key is not a valid HyperLogLog string value.
         APPEND h x -> 28
         SETRANGE h 15 x -> 28
         PFCOUNT h m -> -INVALIDOBJ Corrupted HLL object detected
         PFDEBUG NOTHING h -> -ERR Unknown PFDEBUG subcommand 'NOTHING'
         PFDEBUG ENCODING none -> -ERR The specified key does not exist",
    );
    for chunk in 0..100 {
        let elements: Vec<String> =
            (0..1000).map(|number| format!("element {}", chunk * 1000 + number)).collect();
        let () = cmd("PFADD").arg("many").arg(&elements).query(&mut c).unwrap();
    }
    let estimate: usize = c.pfcount("many").unwrap();
    assert!(estimate.abs_diff(100_000) < 5000, "{estimate}");
    assert_eq!(run(&mut c, "PFDEBUG ENCODING many"), "dense");
}
