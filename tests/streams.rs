//! The stream commands, through the wire. Replies are those that Redis 8.0.2 gives.

mod common;

use std::time::{Duration, Instant};

use common::{RawClient, TestServer, run, script, wait_for};

#[test]
fn entries_are_added_with_ids() {
    let server = TestServer::start(&[]);
    script(
        &mut server.client(false),
        "XADD s 1-1 a 1 -> 1-1
         XADD s 1-* b 2 -> 1-2
         XADD s 2 a 1 b 2 -> 2-0
         XADD s 2-* a -5 -> 2-1
         XADD s 1-5 a 1 -> -ERR The ID specified in XADD is equal or smaller than the target stream top item
         XADD s 2-* a -> -ERR wrong number of arguments for 'xadd' command
         XADD s 2-* -> -ERR wrong number of arguments for 'xadd' command
         XADD s 5 -> -ERR wrong number of arguments for 'xadd' command
         XADD s 0-0 a 1 -> -ERR The ID specified in XADD must be greater than 0-0
         XADD s x a 1 -> -ERR Invalid stream ID specified as stream command argument
         XADD s 1-2-3 a 1 -> -ERR Invalid stream ID specified as stream command argument
         XADD s - a 1 -> -ERR Invalid stream ID specified as stream command argument
         XADD s 3-* a 1 a 2 -> 3-0
         XLEN s -> 5
         XLEN none -> 0
         TYPE s -> stream
         OBJECT ENCODING s -> stream
         XRANGE s - + -> [[1-1,[a,1]],[1-2,[b,2]],[2-0,[a,1,b,2]],[2-1,[a,-5]],[3-0,[a,1,a,2]]]
         XREVRANGE s + - COUNT 2 -> [[3-0,[a,1,a,2]],[2-1,[a,-5]]]
         XADD none NOMKSTREAM * a 1 -> nil
         EXISTS none -> 0
         XADD s 18446744073709551615-18446744073709551615 a 1 -> 18446744073709551615-18446744073709551615
         XADD s * a 1 -> -ERR The stream has exhausted the last possible ID, unable to add more items
         XADD t 0-* a 1 -> 0-1
         SET str v -> OK
         XADD str * a 1 -> -WRONGTYPE Operation against a key holding the wrong kind of value
         XLEN str -> -WRONGTYPE Operation against a key holding the wrong kind of value
         XRANGE str - + -> -WRONGTYPE Operation against a key holding the wrong kind of value
         XREAD STREAMS str 0 -> -WRONGTYPE Operation against a key holding the wrong kind of value
         XDEL str 1 -> -WRONGTYPE Operation against a key holding the wrong kind of value
         XTRIM str MAXLEN 1 -> -WRONGTYPE Operation against a key holding the wrong kind of value
         XSETID str 1 -> -WRONGTYPE Operation against a key holding the wrong kind of value
         XINFO STREAM str -> -WRONGTYPE Operation against a key holding the wrong kind of value",
    );
}

#[test]
fn trimming_has_its_rules() {
    let server = TestServer::start(&[]);
    script(
        &mut server.client(false),
        "XADD s MAXLEN 2 1-0 a 1 -> 1-0
         XADD s MAXLEN = 2 2-0 a 1 -> 2-0
         XADD s MAXLEN 2 3-0 a 1 -> 3-0
         XADD s MAXLEN ~ 2 4-0 a 1 -> 4-0
         XRANGE s - + -> [[2-0,[a,1]],[3-0,[a,1]],[4-0,[a,1]]]
         XADD s MINID 3-0 5-0 a 1 -> 5-0
         XRANGE s - + -> [[3-0,[a,1]],[4-0,[a,1]],[5-0,[a,1]]]
         XADD s MAXLEN -1 * a 1 -> -ERR The MAXLEN argument must be >= 0.
         XADD s MAXLEN x * a 1 -> -ERR value is not an integer or out of range
         XADD s MAXLEN 1 MINID 1 * a 1 -> -ERR syntax error, MAXLEN and MINID options at the same time are not compatible
         XADD s MAXLEN 1 LIMIT 5 * a 1 -> -ERR syntax error, LIMIT cannot be used without the special ~ option
         XADD s MAXLEN ~ 1 LIMIT -1 * a 1 -> -ERR The LIMIT argument must be >= 0.
         XADD s LIMIT 5 * a 1 -> -ERR syntax error, LIMIT cannot be used without specifying a trimming strategy
         XADD s MINID x * a 1 -> -ERR Invalid stream ID specified as stream command argument
         XTRIM s -> -ERR wrong number of arguments for 'xtrim' command
         XTRIM s LIMIT 5 -> -ERR syntax error, LIMIT cannot be used without specifying a trimming strategy
         XTRIM s MAXLEN -> -ERR wrong number of arguments for 'xtrim' command
         XTRIM s MAXLEN ~ -> -ERR value is not an integer or out of range
         XTRIM s MAXLEN ~ 0 LIMIT 0 -> 3
         XTRIM s MAXLEN 1 foo -> -ERR syntax error
         XTRIM none MAXLEN 1 -> 0
         XADD s MAXLEN 0 9-0 a 1 -> 9-0
         XLEN s -> 0
         EXISTS s -> 1
         XINFO STREAM s -> [length,0,radix-tree-keys,0,radix-tree-nodes,1,last-generated-id,9-0,max-deleted-entry-id,0-0,entries-added,6,recorded-first-entry-id,0-0,groups,0,first-entry,nil,last-entry,nil]",
    );
}

#[test]
fn ranges_and_deletions() {
    let server = TestServer::start(&[]);
    script(
        &mut server.client(false),
        "XADD s 1-0 a 1 -> 1-0
         XADD s 1-1 a 2 -> 1-1
         XADD s 2-0 b 3 -> 2-0
         XADD s 3-0 a 4 -> 3-0
         XRANGE s 1 1 -> [[1-0,[a,1]],[1-1,[a,2]]]
         XRANGE s (1 2 -> [[1-1,[a,2]],[2-0,[b,3]]]
         XRANGE s (1-0 (2-0 -> [[1-1,[a,2]]]
         XRANGE s - (0-0 -> -ERR invalid end ID for the interval
         XRANGE s (18446744073709551615-18446744073709551615 + -> -ERR invalid start ID for the interval
         XRANGE s ( + -> -ERR Invalid stream ID specified as stream command argument
         XRANGE s (- + -> -ERR Invalid stream ID specified as stream command argument
         XRANGE s 2 1 -> []
         XRANGE s - + COUNT 2 -> [[1-0,[a,1]],[1-1,[a,2]]]
         XRANGE s - + COUNT 0 -> nil
         XRANGE s - + COUNT -3 -> nil
         XRANGE s - + COUNT x -> -ERR value is not an integer or out of range
         XRANGE s - + COUNT -> -ERR syntax error
         XRANGE s - + foo 1 -> -ERR syntax error
         XRANGE none - + -> []
         XRANGE none x + -> -ERR Invalid stream ID specified as stream command argument
         XREVRANGE s 2 (1-0 -> [[2-0,[b,3]],[1-1,[a,2]]]
         XREVRANGE s + - COUNT 1 -> [[3-0,[a,4]]]
         XDEL s 1-1 9-9 1-1 -> 1
         XDEL s 2-0 x -> -ERR Invalid stream ID specified as stream command argument
         XDEL none 1-0 -> 0
         XRANGE s - + -> [[1-0,[a,1]],[2-0,[b,3]],[3-0,[a,4]]]
         XINFO STREAM s -> [length,3,radix-tree-keys,1,radix-tree-nodes,2,last-generated-id,3-0,max-deleted-entry-id,1-1,entries-added,4,recorded-first-entry-id,1-0,groups,0,first-entry,[1-0,[a,1]],last-entry,[3-0,[a,4]]]
         XDEL s 1-0 2-0 3-0 -> 3
         XINFO STREAM s -> [length,0,radix-tree-keys,0,radix-tree-nodes,1,last-generated-id,3-0,max-deleted-entry-id,3-0,entries-added,4,recorded-first-entry-id,0-0,groups,0,first-entry,nil,last-entry,nil]
         XSETID s 2-0 -> -ERR The ID specified in XSETID is smaller than current max_deleted_entry_id
         XSETID s 5-0 ENTRIESADDED 9 MAXDELETEDID 4-0 -> OK
         XSETID s 5-0 ENTRIESADDED -1 -> -ERR entries_added must be positive
         XSETID s 5-0 MAXDELETEDID 6-0 -> -ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id
         XSETID s 5-0 foo -> -ERR syntax error
         XSETID none 5-0 -> -ERR no such key
         XADD s 6-0 a 1 -> 6-0
         XADD s 7-0 a 1 -> 7-0
         XSETID s 6-0 -> -ERR The ID specified in XSETID is smaller than the target stream top item
         XSETID s 7-0 ENTRIESADDED 1 -> -ERR The entries_added specified in XSETID is smaller than the target stream length
         XINFO STREAM s -> [length,2,radix-tree-keys,1,radix-tree-nodes,2,last-generated-id,7-0,max-deleted-entry-id,4-0,entries-added,11,recorded-first-entry-id,6-0,groups,0,first-entry,[6-0,[a,1]],last-entry,[7-0,[a,1]]]",
    );
}

#[test]
fn reading_goes_on_behind_an_id() {
    let server = TestServer::start(&[]);
    script(
        &mut server.client(false),
        "XADD a 1-0 f 1 -> 1-0
         XADD a 2-0 f 2 -> 2-0
         XADD b 1-0 g 1 -> 1-0
         XREAD STREAMS a 0 -> [[a,[[1-0,[f,1]],[2-0,[f,2]]]]]
         XREAD COUNT 1 STREAMS a b 0 0 -> [[a,[[1-0,[f,1]]]],[b,[[1-0,[g,1]]]]]
         XREAD STREAMS a b 2 0 -> [[b,[[1-0,[g,1]]]]]
         XREAD STREAMS a b $ $ -> nil
         XREAD STREAMS a b none + + + -> [[a,[[2-0,[f,2]]]],[b,[[1-0,[g,1]]]]]
         XREAD STREAMS a 18446744073709551615-18446744073709551615 -> nil
         XREAD COUNT 0 STREAMS a 1 -> [[a,[[2-0,[f,2]]]]]
         XREAD COUNT -1 STREAMS a 1 -> [[a,[[2-0,[f,2]]]]]
         XREAD COUNT x STREAMS a 1 -> -ERR value is not an integer or out of range
         XREAD STREAMS a -> -ERR wrong number of arguments for 'xread' command
         XREAD STREAMS a b 0 -> -ERR Unbalanced 'xread' list of streams: for each stream key an ID, '+', or '$' must be specified.
         XREAD COUNT 1 a 0 -> -ERR syntax error
         XREAD STREAMS a > -> -ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.
         XREAD STREAMS a x -> -ERR Invalid stream ID specified as stream command argument
         XREAD GROUP g c STREAMS a 0 -> -ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.
         XREAD NOACK STREAMS a 0 -> -ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.
         XREAD BLOCK x STREAMS a 0 -> -ERR timeout is not an integer or out of range
         XREAD BLOCK -1 STREAMS a 0 -> -ERR timeout is negative
         XREADGROUP GROUP g c STREAMS a -> -ERR wrong number of arguments for 'xreadgroup' command
         XREADGROUP STREAMS a > -> -ERR wrong number of arguments for 'xreadgroup' command
         XREADGROUP GROUP g c STREAMS a $ -> -NOGROUP No such key 'a' or consumer group 'g' in XREADGROUP with GROUP option
         XREADGROUP GROUP g c STREAMS none > -> -NOGROUP No such key 'none' or consumer group 'g' in XREADGROUP with GROUP option
         XGROUP CREATE a g 0 -> OK
         XREADGROUP GROUP g c STREAMS a $ -> -ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty result set.
         XREADGROUP GROUP g c STREAMS a + -> -ERR The + ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, or use the > ID to get new messages. The + ID would just return an empty result set.
         XREADGROUP GROUP g c COUNT 1 STREAMS a > -> [[a,[[1-0,[f,1]]]]]
         XREADGROUP GROUP g c NOACK STREAMS a > -> [[a,[[2-0,[f,2]]]]]
         XREADGROUP GROUP g c STREAMS a > -> nil
         XREADGROUP GROUP g c STREAMS a 0 -> [[a,[[1-0,[f,1]]]]]
         XREADGROUP GROUP g other STREAMS a 0 -> [[a,[]]]
         XDEL a 1-0 -> 1
         XREADGROUP GROUP g c STREAMS a 0 -> [[a,[[1-0,nil]]]]
         XPENDING a g -> [1,1-0,1-0,[[c,1]]]",
    );
}

#[test]
fn groups_are_made_and_unmade() {
    let server = TestServer::start(&[]);
    script(
        &mut server.client(false),
        "XGROUP CREATE none g $ -> -ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.
         XGROUP CREATE s g $ MKSTREAM -> OK
         XGROUP CREATE s g $ MKSTREAM -> -BUSYGROUP Consumer Group name already exists
         XGROUP CREATE s h x -> -ERR Invalid stream ID specified as stream command argument
         XGROUP CREATE s h 0 ENTRIESREAD -2 -> -ERR value for ENTRIESREAD must be positive or -1
         XGROUP CREATE s h 0 ENTRIESREAD 5 MKSTREAM -> OK
         XGROUP CREATE s i 0 foo -> -ERR unknown subcommand or wrong number of arguments for 'CREATE'. Try XGROUP HELP.
         XGROUP CREATE s -> -ERR wrong number of arguments for 'xgroup|create' command
         XGROUP FOO s g -> -ERR unknown subcommand 'FOO'. Try XGROUP HELP.
         XADD s 1-0 a 1 -> 1-0
         XADD s 2-0 a 1 -> 2-0
         XGROUP SETID s h - -> OK
         XGROUP SETID s h + ENTRIESREAD 1 -> OK
         XGROUP SETID s none 0 -> -NOGROUP No such consumer group 'none' for key name 's'
         XGROUP CREATECONSUMER s g alice -> 1
         XGROUP CREATECONSUMER s g alice -> 0
         XGROUP CREATECONSUMER s none alice -> -NOGROUP No such consumer group 'none' for key name 's'
         XGROUP CREATECONSUMER none g alice -> -ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.
         XREADGROUP GROUP g alice COUNT 1 STREAMS s > -> [[s,[[1-0,[a,1]]]]]
         XREADGROUP GROUP g bob STREAMS s > -> [[s,[[2-0,[a,1]]]]]
         XINFO GROUPS s -> [[name,g,consumers,2,pending,2,last-delivered-id,2-0,entries-read,2,lag,0],[name,h,consumers,0,pending,0,last-delivered-id,18446744073709551615-18446744073709551615,entries-read,1,lag,1]]
         XGROUP DELCONSUMER s g alice -> 1
         XGROUP DELCONSUMER s g alice -> 0
         XPENDING s g -> [1,2-0,2-0,[[bob,1]]]
         XGROUP DESTROY s h -> 1
         XGROUP DESTROY s h -> 0
         XGROUP DESTROY none h -> -ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.
         XINFO GROUPS s -> [[name,g,consumers,1,pending,1,last-delivered-id,2-0,entries-read,2,lag,0]]
         XINFO GROUPS none -> -ERR no such key
         XINFO CONSUMERS s none -> -NOGROUP No such consumer group 'none' for key name 's'
         XINFO STREAM s foo -> -ERR unknown subcommand or wrong number of arguments for 'STREAM'. Try XINFO HELP.
         XINFO STREAM s FULL COUNT -> -ERR unknown subcommand or wrong number of arguments for 'STREAM'. Try XINFO HELP.
         XINFO FOO -> -ERR unknown subcommand 'FOO'. Try XINFO HELP.",
    );
}

#[test]
fn entries_are_acknowledged_and_claimed() {
    let server = TestServer::start(&[]);
    script(
        &mut server.client(false),
        "XADD s 1-0 a 1 -> 1-0
         XADD s 2-0 a 2 -> 2-0
         XADD s 3-0 a 3 -> 3-0
         XADD s 4-0 a 4 -> 4-0
         XGROUP CREATE s g 0 -> OK
         XREADGROUP GROUP g alice STREAMS s > -> [[s,[[1-0,[a,1]],[2-0,[a,2]],[3-0,[a,3]],[4-0,[a,4]]]]]
         XACK s g 1-0 1-0 9-0 -> 1
         XACK s none 1-0 -> 0
         XACK none g 1-0 -> 0
         XACK s g x -> -ERR Invalid stream ID specified as stream command argument
         XPENDING s g -> [3,2-0,4-0,[[alice,3]]]
         XPENDING s g - + 10 bob -> []
         XPENDING s g IDLE 100000 - + 10 -> []
         XPENDING s g - + -> -ERR syntax error
         XPENDING s g - + x -> -ERR value is not an integer or out of range
         XPENDING s g IDLE x - + 10 -> -ERR value is not an integer or out of range
         XPENDING s none -> -NOGROUP No such key 's' or consumer group 'none'
         XCLAIM s g bob 0 2-0 1-0 -> [[2-0,[a,2]]]
         XCLAIM s g bob 0 3-0 JUSTID -> [3-0]
         XCLAIM s g bob 1000000 4-0 -> []
         XCLAIM s g carol 0 1-0 FORCE JUSTID -> [1-0]
         XCLAIM s g bob x 1-0 -> -ERR Invalid min-idle-time argument for XCLAIM
         XCLAIM s g bob 0 1-0 foo -> -ERR Unrecognized XCLAIM option 'foo'
         XCLAIM s g bob 0 1-0 IDLE x -> -ERR Invalid IDLE option argument for XCLAIM
         XCLAIM s g bob 0 1-0 TIME x -> -ERR Invalid TIME option argument for XCLAIM
         XCLAIM s g bob 0 1-0 RETRYCOUNT x -> -ERR Invalid RETRYCOUNT option argument for XCLAIM
         XCLAIM s g bob 0 1-0 LASTID x -> -ERR Invalid stream ID specified as stream command argument
         XCLAIM s none bob 0 1-0 -> -NOGROUP No such key 's' or consumer group 'none'
         XPENDING s g -> [4,1-0,4-0,[[alice,1],[bob,2],[carol,1]]]
         XDEL s 2-0 -> 1
         XAUTOCLAIM s g dave 0 - COUNT 2 -> [3-0,[[1-0,[a,1]]],[2-0]]
         XAUTOCLAIM s g dave 0 (1-0 COUNT 1 JUSTID -> [4-0,[3-0],[]]
         XAUTOCLAIM s g dave 0 4 JUSTID -> [0-0,[4-0],[]]
         XAUTOCLAIM s g dave 0 5 -> [0-0,[],[]]
         XAUTOCLAIM s g dave 1000000 0 -> [0-0,[],[]]
         XAUTOCLAIM s g dave x 0 -> -ERR Invalid min-idle-time argument for XAUTOCLAIM
         XAUTOCLAIM s g dave 0 x -> -ERR Invalid stream ID specified as stream command argument
         XAUTOCLAIM s g dave 0 0 COUNT 0 -> -ERR COUNT must be > 0
         XAUTOCLAIM s g dave 0 0 foo -> -ERR syntax error
         XAUTOCLAIM s none dave 0 0 -> -NOGROUP No such key 's' or consumer group 'none'
         XPENDING s g -> [3,1-0,4-0,[[dave,3]]]",
    );
}

/// A client that sends a command and is seen to wait.
fn waiting(server: &TestServer, command: &str) -> RawClient {
    let before = server.info("blocked_clients");
    let mut client = server.raw();
    client.command(&command.split(' ').collect::<Vec<_>>());
    wait_for("the client to wait", || server.info("blocked_clients") == before + 1.0);
    client
}

fn lines(client: &mut RawClient, count: usize) -> Vec<String> {
    (0..count).map(|_| client.line()).collect()
}

#[test]
fn readers_wait_for_entries() {
    let server = TestServer::start(&[]);
    let mut c = server.client(false);
    run(&mut c, "XADD s 1-0 old 0");
    let mut all = waiting(&server, "XREAD BLOCK 0 STREAMS none s none s $ $ 0 1-0");
    let mut new = waiting(&server, "XREAD BLOCK 0 STREAMS s $");
    let mut last = waiting(&server, "XREAD BLOCK 0 STREAMS none +");
    // Another type is none of their business.
    script(&mut c, "LPUSH none x -> 1\nDEL none -> 1\nXADD s 2-0 a 1 -> 2-0");
    let entry = ["*1", "*2", "$3", "2-0", "*2", "$1", "a", "$1", "1"];
    assert_eq!(lines(&mut all, 4), ["*2", "*2", "$1", "s"]);
    assert_eq!(lines(&mut all, 9), entry);
    assert_eq!(lines(&mut all, 3), ["*2", "$1", "s"]);
    assert_eq!(lines(&mut all, 9), entry);
    assert_eq!(lines(&mut new, 4), ["*1", "*2", "$1", "s"]);
    assert_eq!(lines(&mut new, 9), entry);
    run(&mut c, "XADD none 3-0 a 1");
    assert_eq!(lines(&mut last, 8)[7], "3-0");
    assert_eq!(server.info("blocked_clients"), 0.0);
}

/// "From now on" is the moment of the command, also when it is run again.
#[test]
fn a_reader_sees_all_of_a_transaction() {
    let server = TestServer::start(&[]);
    let mut c = server.client(false);
    let mut reader = waiting(&server, "XREAD BLOCK 0 STREAMS s $");
    for command in ["MULTI", "XADD s 1-0 a 1", "XADD s 2-0 a 2", "EXEC"] {
        run(&mut c, command);
    }
    assert_eq!(lines(&mut reader, 5)[4], "*2");
    let mut reader = waiting(&server, "XREAD BLOCK 0 STREAMS s $");
    for command in ["MULTI", "XADD s 3-0 a 1", "DEL s", "EXEC"] {
        run(&mut c, command);
    }
    assert_eq!(server.info("blocked_clients"), 1.0);
    run(&mut c, "XADD s 3-0 a 1");
    assert_eq!(lines(&mut reader, 8)[7], "3-0");
}

#[test]
fn waits_end() {
    let server = TestServer::start(&[]);
    let mut c = server.client(false);
    let begun = Instant::now();
    let mut reader = waiting(&server, "XREAD BLOCK 3000 STREAMS s 5-0");
    std::thread::sleep(Duration::from_secs(2));
    // Woken in vain: what comes is not behind the id.
    run(&mut c, "XADD s 4-0 a 1");
    assert_eq!(reader.line(), "*-1");
    assert!(begun.elapsed() >= Duration::from_millis(2990) && begun.elapsed() < Duration::from_millis(4900));
    // In a transaction nobody waits.
    script(&mut c, "MULTI -> OK\nXREAD BLOCK 0 STREAMS s $ -> QUEUED\nEXEC -> [nil]");
    let mut resp3 = server.raw();
    resp3.command(&["HELLO", "3"]);
    wait_for("the greeting", || resp3.line() == "$7" && resp3.line() == "modules" && resp3.line() == "*0");
    resp3.command(&["XREAD", "BLOCK", "1", "STREAMS", "s", "$"]);
    assert_eq!(resp3.line(), "_");
    resp3.command(&["XREAD", "STREAMS", "s", "0"]);
    assert_eq!(lines(&mut resp3, 4), ["%1", "$1", "s", "*1"]);
}

#[test]
fn consumers_wait_for_their_group() {
    let server = TestServer::start(&[]);
    let mut c = server.client(false);
    script(&mut c, "XGROUP CREATE s g $ MKSTREAM -> OK");
    let read =
        |consumer: &str| waiting(&server, &format!("XREADGROUP GROUP g {consumer} BLOCK 0 STREAMS s >"));
    let (mut alice, mut bob) = (read("alice"), read("bob"));
    // Who waits is known already.
    assert!(run(&mut c, "XINFO GROUPS s").starts_with("[[name,g,consumers,2,pending,0,"));
    run(&mut c, "XADD s 1-0 a 1");
    assert_eq!(lines(&mut alice, 8)[7], "1-0");
    assert_eq!(server.info("blocked_clients"), 1.0);
    run(&mut c, "XADD s 2-0 a 1");
    assert_eq!(lines(&mut bob, 8)[7], "2-0");
    script(&mut c, "XPENDING s g -> [2,1-0,2-0,[[alice,1],[bob,1]]]");

    let no_key = "-NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option";
    for (command, error) in [
        ("XGROUP DESTROY s g", no_key),
        ("DEL s", no_key),
        ("UNLINK s", no_key),
        ("RENAME s t", no_key),
        ("FLUSHALL", no_key),
        ("PEXPIREAT s 1", no_key),
        ("SET s x", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
    ] {
        run(&mut c, "DEL s");
        run(&mut c, "XGROUP CREATE s g $ MKSTREAM");
        let mut reader = read("alice");
        run(&mut c, command);
        assert_eq!(reader.line(), error, "{command}");
    }
    // Another group may go.
    for command in ["DEL s", "XGROUP CREATE s g $ MKSTREAM", "XGROUP CREATE s h $"] {
        run(&mut c, command);
    }
    let mut reader = read("alice");
    run(&mut c, "XGROUP DESTROY s h");
    assert_eq!(server.info("blocked_clients"), 1.0);
    run(&mut c, "XADD s 9-0 a 1");
    assert_eq!(lines(&mut reader, 8)[7], "9-0");
}

#[test]
fn streams_are_listened_to() {
    let server = TestServer::start(&["--notify-keyspace-events", "Kt"]);
    let mut listener = server.raw();
    listener.command(&["SUBSCRIBE", "__keyspace@0__:s"]);
    lines(&mut listener, 6);
    let mut c = server.client(false);
    for (command, events) in [
        ("XADD s 1-0 a 1", &["xadd"][..]),
        ("XADD s MAXLEN 1 2-0 a 1", &["xadd", "xtrim"]),
        ("XTRIM s MAXLEN 0", &["xtrim"]),
        ("XTRIM s MAXLEN 0", &[]),
        ("XADD s 3-0 a 1", &["xadd"]),
        ("XDEL s 3-0", &["xdel"]),
        ("XDEL s 3-0", &[]),
        ("XSETID s 9-0", &["xsetid"]),
        ("XGROUP CREATE s g 0", &["xgroup-create"]),
        ("XGROUP SETID s g 9-0", &["xgroup-setid"]),
        ("XGROUP CREATECONSUMER s g c", &["xgroup-createconsumer"]),
        ("XREADGROUP GROUP g d STREAMS s >", &["xgroup-createconsumer"]),
        ("XCLAIM s g e 0 1-0", &["xgroup-createconsumer"]),
        ("XAUTOCLAIM s g f 0 0", &["xgroup-createconsumer"]),
        ("XGROUP DELCONSUMER s g c", &["xgroup-delconsumer"]),
        ("XACK s g 1-0", &[]),
        ("XGROUP DESTROY s g", &["xgroup-destroy"]),
    ] {
        run(&mut c, command);
        for event in events {
            assert_eq!(lines(&mut listener, 7)[6], *event, "{command}");
        }
    }
}

#[test]
fn streams_are_copied_and_measured() {
    let server = TestServer::start(&["--stream-node-max-entries", "2"]);
    let mut c = server.client(false);
    for ms in 1..=5 {
        run(&mut c, &format!("XADD s {ms}-0 a 1"));
    }
    script(
        &mut c,
        "XGROUP CREATE s g 0 -> OK
         XREADGROUP GROUP g c COUNT 1 STREAMS s > -> [[s,[[1-0,[a,1]]]]]
         COPY s t -> 1
         XADD s 6-0 a 1 -> 6-0
         XACK s g 1-0 -> 1
         XLEN t -> 5
         XPENDING t g -> [1,1-0,1-0,[[c,1]]]",
    );
    let info = run(&mut c, "XINFO STREAM t");
    assert!(info.starts_with("[length,5,radix-tree-keys,3,radix-tree-nodes,8,"), "{info}");
    assert!(run(&mut c, "MEMORY USAGE t").parse::<usize>().unwrap() > 300);
}

/// What each command adds to the changes, the hits and the misses that INFO shows.
#[test]
fn changes_and_lookups_are_counted() {
    let server = TestServer::start(&[]);
    let mut c = server.client(false);
    let counters =
        || ["rdb_changes_since_last_save", "keyspace_hits", "keyspace_misses"].map(|name| server.info(name));
    for (command, expected) in [
        ("XADD s 1-0 a 1", [1.0, 0.0, 0.0]),
        ("XADD s MAXLEN 1 2-0 a 1", [1.0, 0.0, 0.0]),
        ("XADD s 3-0 a 1", [1.0, 0.0, 0.0]),
        ("XADD s 4-0 a 1", [1.0, 0.0, 0.0]),
        ("XLEN s", [0.0, 1.0, 0.0]),
        ("XRANGE none - +", [0.0, 0.0, 1.0]),
        ("XREAD STREAMS s 0", [0.0, 2.0, 0.0]),
        ("XGROUP CREATE s g 0", [1.0, 0.0, 0.0]),
        ("XREADGROUP GROUP g c COUNT 2 STREAMS s >", [2.0, 2.0, 0.0]),
        ("XREADGROUP GROUP g c NOACK STREAMS s >", [1.0, 2.0, 0.0]),
        ("XREADGROUP GROUP g c STREAMS s >", [0.0, 2.0, 0.0]),
        ("XREADGROUP GROUP g c STREAMS s 0", [0.0, 2.0, 0.0]),
        ("XPENDING s g", [0.0, 1.0, 0.0]),
        ("XCLAIM s g d 0 2-0 3-0", [3.0, 1.0, 0.0]),
        ("XAUTOCLAIM s g d 0 0", [2.0, 1.0, 0.0]),
        ("XAUTOCLAIM s g d x 0", [0.0, 1.0, 0.0]),
        ("XACK s g 2-0 3-0 4-0", [2.0, 1.0, 0.0]),
        ("XACK none g 2-0", [0.0, 0.0, 1.0]),
        ("XDEL s 2-0 3-0", [2.0, 0.0, 0.0]),
        ("XTRIM s MAXLEN 0", [1.0, 0.0, 0.0]),
        ("XINFO STREAM s", [0.0, 1.0, 0.0]),
        ("XGROUP DESTROY s g", [1.0, 0.0, 0.0]),
    ] {
        let before = counters();
        run(&mut c, command);
        let after = counters();
        let added = [after[0] - before[0], after[1] - before[1], after[2] - before[2]];
        assert_eq!(added, expected, "{command}");
    }
}
