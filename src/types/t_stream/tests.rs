use crate::server::ClientFlags;
use crate::server::testing::Bench;

/// What Redis 8.0.2 sends its replicas for these commands.
#[test]
fn replicas_are_told_as_upstream_tells_them() {
    Bench::new().check_propagation(
        "XADD s 5-* a 1 -> XADD s 5-0 a 1
         XADD s 5-* a 2 -> XADD s 5-1 a 2
         XADD s 6-0 a 3 -> XADD s 6-0 a 3
         XADD s MAXLEN 2 7-0 a 4 -> XADD s MAXLEN 2 7-0 a 4
         XADD s MAXLEN ~ 1 8-0 a 5 -> XADD s MAXLEN = 3 8-0 a 5
         XADD s MAXLEN ~ 1 LIMIT 5 9-* a 6 -> XADD s MAXLEN = 4 LIMIT 5 9-0 a 6
         XADD s MINID ~ 8 10-0 a 7 -> XADD s MINID = 5-0 10-0 a 7
         XADD s NOMKSTREAM 11-0 a 8 -> XADD s NOMKSTREAM 11-0 a 8
         XADD none NOMKSTREAM 11-0 a 8 -> nothing
         XTRIM s MAXLEN ~ 100 -> nothing
         XTRIM s MAXLEN 4 -> XTRIM s MAXLEN 4
         XTRIM s MINID 9 -> XTRIM s MINID 9
         CONFIG SET stream-node-max-entries 1 -> nothing
         XADD t 1-0 a 1 -> XADD t 1-0 a 1
         XADD t 2-0 a 1 -> XADD t 2-0 a 1
         XADD t 3-0 a 1 -> XADD t 3-0 a 1
         XADD t 4-0 a 1 -> XADD t 4-0 a 1
         XTRIM t MAXLEN ~ 3 -> XTRIM t MAXLEN = 3
         XTRIM t MINID ~ 3 -> XTRIM t MINID = 3-0
         XADD t MINID ~ 9 5-0 a 1 -> XADD t MINID = 18446744073709551615-18446744073709551615 5-0 a 1
         CONFIG SET stream-node-max-entries 100 -> nothing
         XADD t 6-0 a 1 -> XADD t 6-0 a 1
         XADD t 7-0 a 1 -> XADD t 7-0 a 1
         XDEL t 6-0 99-0 -> XDEL t 6-0 99-0
         XDEL t 99-0 -> nothing
         XSETID t 20-0 -> XSETID t 20-0
         XGROUP CREATE t g 0 -> XGROUP CREATE t g 0
         XGROUP CREATE mk g $ MKSTREAM -> XGROUP CREATE mk g $ MKSTREAM
         XGROUP CREATECONSUMER t g alice -> XGROUP CREATECONSUMER t g alice
         XGROUP CREATECONSUMER t g alice -> nothing
         XREADGROUP GROUP g bob COUNT 1 STREAMS t > -> MULTI; XCLAIM t g bob 0 7-0 TIME <time> RETRYCOUNT 1 FORCE JUSTID LASTID 7-0; XGROUP SETID t g 7-0 ENTRIESREAD 7; EXEC
         XREADGROUP GROUP g bob STREAMS t 0 -> nothing
         XREADGROUP GROUP g carol NOACK STREAMS t > -> XGROUP CREATECONSUMER t g carol
         XREADGROUP GROUP g carol NOACK STREAMS t > -> nothing
         XREADGROUP GROUP g dave STREAMS t > -> nothing
         XREADGROUP GROUP g erin STREAMS t 0 -> nothing
         XACK t g 1-0 -> nothing
         XACK t g 5-0 -> nothing
         XADD t 21-0 a 1 -> XADD t 21-0 a 1
         XADD t 22-0 a 1 -> XADD t 22-0 a 1
         XADD t 23-0 a 1 -> XADD t 23-0 a 1
         XREADGROUP GROUP g bob STREAMS t > -> MULTI; XCLAIM t g bob 0 21-0 TIME <time> RETRYCOUNT 1 FORCE JUSTID LASTID 21-0; XCLAIM t g bob 0 22-0 TIME <time> RETRYCOUNT 1 FORCE JUSTID LASTID 22-0; XCLAIM t g bob 0 23-0 TIME <time> RETRYCOUNT 1 FORCE JUSTID LASTID 23-0; XGROUP SETID t g 23-0 ENTRIESREAD 10; EXEC
         XCLAIM t g alice 0 21-0 -> XCLAIM t g alice 0 21-0 TIME <time> RETRYCOUNT 2 FORCE JUSTID LASTID 23-0
         XCLAIM t g alice 0 22-0 JUSTID -> XCLAIM t g alice 0 22-0 TIME <time> RETRYCOUNT 1 FORCE JUSTID LASTID 23-0
         XCLAIM t g alice 0 77-0 -> nothing
         XCLAIM t g zoe 0 77-0 -> nothing
         XCLAIM t g alice 1000000 22-0 -> nothing
         XCLAIM t g alice 0 77-0 LASTID 80-0 -> XGROUP SETID t g 80-0 ENTRIESREAD 10
         XCLAIM t g alice 0 21-0 LASTID 81-0 -> XCLAIM t g alice 0 21-0 TIME <time> RETRYCOUNT 3 FORCE JUSTID LASTID 81-0
         XDEL t 22-0 -> XDEL t 22-0
         XCLAIM t g alice 0 22-0 -> XCLAIM t g alice 0 22-0 TIME <time> RETRYCOUNT 1 FORCE JUSTID LASTID 81-0
         XDEL t 21-0 -> XDEL t 21-0
         XAUTOCLAIM t g bob 0 0 -> MULTI; XCLAIM t g bob 0 7-0 TIME <time> RETRYCOUNT 3 FORCE JUSTID LASTID 81-0; XCLAIM t g alice 0 21-0 TIME <time> RETRYCOUNT 3 FORCE JUSTID LASTID 81-0; XCLAIM t g bob 0 23-0 TIME <time> RETRYCOUNT 2 FORCE JUSTID LASTID 81-0; EXEC
         XAUTOCLAIM t g bob 0 0 JUSTID -> MULTI; XCLAIM t g bob 0 7-0 TIME <time> RETRYCOUNT 3 FORCE JUSTID LASTID 81-0; XCLAIM t g bob 0 23-0 TIME <time> RETRYCOUNT 2 FORCE JUSTID LASTID 81-0; EXEC
         XAUTOCLAIM t g yan 1000000 0 -> nothing
         XCLAIM t g bob 0 7-0 FORCE RETRYCOUNT 7 TIME 1000 -> XCLAIM t g bob 0 7-0 TIME 1000 RETRYCOUNT 7 FORCE JUSTID LASTID 81-0
         XGROUP SETID t g 0 -> XGROUP SETID t g 0
         XGROUP SETID t g 0 ENTRIESREAD 3 -> XGROUP SETID t g 0 ENTRIESREAD 3
         XREADGROUP GROUP g bob COUNT 2 STREAMS t > -> MULTI; XCLAIM t g bob 0 7-0 TIME <time> RETRYCOUNT 1 FORCE JUSTID LASTID 7-0; XCLAIM t g bob 0 23-0 TIME <time> RETRYCOUNT 1 FORCE JUSTID LASTID 23-0; XGROUP SETID t g 23-0 ENTRIESREAD 10; EXEC
         XGROUP DELCONSUMER t g bob -> XGROUP DELCONSUMER t g bob
         XGROUP DELCONSUMER t g bob -> nothing
         XGROUP DESTROY t g -> XGROUP DESTROY t g
         XGROUP DESTROY t g -> nothing
         XGROUP CREATE t h 7-0 -> XGROUP CREATE t h 7-0
         XREADGROUP GROUP h new COUNT 1 STREAMS t t > > -> MULTI; XCLAIM t h new 0 23-0 TIME <time> RETRYCOUNT 1 FORCE JUSTID LASTID 23-0; XGROUP SETID t h 23-0 ENTRIESREAD 10; EXEC
         XPENDING t h -> nothing
         XREAD STREAMS t 0 -> nothing
         XGROUP CREATE mk h 0 -> XGROUP CREATE mk h 0
         XADD mk 1-0 a b -> XADD mk 1-0 a b
         XADD t 90-0 a b -> XADD t 90-0 a b
         XREADGROUP GROUP h both STREAMS t mk > > -> MULTI; XCLAIM t h both 0 90-0 TIME <time> RETRYCOUNT 1 FORCE JUSTID LASTID 90-0; XGROUP SETID t h 90-0 ENTRIESREAD 11; XCLAIM mk h both 0 1-0 TIME <time> RETRYCOUNT 1 FORCE JUSTID LASTID 1-0; XGROUP SETID mk h 1-0 ENTRIESREAD 1; EXEC
         XDEL mk 1-0 -> XDEL mk 1-0",
    );
}

#[test]
fn replicas_are_told_what_waiting_readers_were_given() {
    let mut bench = Bench::new();
    bench.check_propagation(
        "XGROUP CREATE s g $ MKSTREAM -> XGROUP CREATE s g $ MKSTREAM
         XREADGROUP GROUP g c BLOCK 0 STREAMS s > -> nothing
         XREADGROUP GROUP g d BLOCK 0 NOACK STREAMS s > -> XGROUP CREATECONSUMER s g d",
    );
}

/// A trim that was made exact keeps its LIMIT, which nobody else may say of an exact one.
#[test]
fn logs_are_obeyed() {
    let mut bench = Bench::new();
    for id in ["1-0", "2-0", "3-0", "4-0"] {
        bench.run(&format!("XADD s {id} a 1"));
    }
    let trims = ["XADD s MAXLEN = 4 LIMIT 1 5-0 a 1", "XTRIM s MINID = 4 LIMIT 1"];
    for trim in trims {
        assert!(bench.run(trim).starts_with("-ERR syntax error, LIMIT cannot be used without"), "{trim}");
    }
    bench.client.flags.insert(ClientFlags::OBEYED);
    assert_eq!(trims.map(|trim| bench.run(trim)), ["$3\r\n5-0\r\n", ":2\r\n"]);
}
