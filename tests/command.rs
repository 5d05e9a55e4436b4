//! COMMAND and its subcommands over the wire: the shape of every reply in both protocols, and errors.

mod common;

use std::io::Read;

use common::{RawClient, TestServer};

/// Sends a command line and demands this reply and nothing behind it. In the reply, a space stands for a
/// line break and `␣` for a space.
fn expect(client: &mut RawClient, line: &str, reply: &str) {
    let words: Vec<&str> = line.split(' ').collect();
    client.command(&words);
    client.command(&["PING"]);
    let expected = format!("{reply} +PONG ").replace(' ', "\r\n").replace('␣', " ");
    let mut bytes = vec![0; expected.len()];
    client.reader.read_exact(&mut bytes).unwrap();
    assert_eq!(String::from_utf8_lossy(&bytes), expected, "{line}");
}

/// As [`expect`], in both protocols: a `%2` of the RESP3 reply is a `*4` in RESP2, a `~2` is a `*2`.
fn expect_both(server: &TestServer, line: &str, reply: &str) {
    let mut resp3 = server.raw();
    resp3.command(&["HELLO", "3"]);
    while resp3.line() != "modules" {}
    assert_eq!(resp3.line(), "*0");
    expect(&mut resp3, line, reply);

    let older = |part: &str| match (part.strip_prefix('%'), part.strip_prefix('~')) {
        (Some(pairs), _) => format!("*{}", pairs.parse::<usize>().unwrap() * 2),
        (_, Some(len)) => format!("*{len}"),
        _ => part.to_owned(),
    };
    let reply: Vec<String> = reply.split(' ').map(older).collect();
    expect(&mut server.raw(), line, &reply.join(" "));
}

#[test]
fn info_has_ten_parts() {
    let server = TestServer::start(&[]);
    expect_both(
        &server,
        "COMMAND INFO Copy",
        "*1 *10 $4 copy :-3 ~2 +write +denyoom :1 :2 :1 ~3 +@keyspace +@write +@slow ~0 ~2 \
         %3 $5 flags ~2 +RO +access $12 begin_search %2 $4 type $5 index $4 spec %1 $5 index :1 \
         $9 find_keys %2 $4 type $5 range $4 spec %3 $7 lastkey :0 $7 keystep :1 $5 limit :0 \
         %3 $5 flags ~2 +OW +update $12 begin_search %2 $4 type $5 index $4 spec %1 $5 index :2 \
         $9 find_keys %2 $4 type $5 range $4 spec %3 $7 lastkey :0 $7 keystep :1 $5 limit :0 ~0",
    );
    expect_both(
        &server,
        "COMMAND INFO client|LIST",
        "*1 *10 $11 client|list :-2 ~4 +admin +noscript +loading +stale :0 :0 :0 \
         ~4 +@admin +@slow +@dangerous +@connection ~1 $23 nondeterministic_output ~0 ~0",
    );
    expect(&mut server.raw(), "COMMAND INFO nope client|nope copy|x client|list|x", "*4 $-1 $-1 $-1 $-1");
}

#[test]
fn docs_are_maps_without_empty_fields() {
    let server = TestServer::start(&[]);
    expect_both(&server, "COMMAND DOCS nope", "%0");
    expect_both(
        &server,
        "COMMAND DOCS nope Quit client|getname",
        "%2 $4 quit %7 $7 summary $21 Close␣the␣connection. $5 since $5 1.0.0 $5 group $10 connection \
         $10 complexity $4 O(1) $9 doc_flags ~1 +deprecated $16 deprecated_since $5 7.2.0 \
         $11 replaced_by $37 closing␣the␣socket␣on␣the␣client␣side \
         $14 client|getname %4 $7 summary $45 Reply␣with␣the␣name␣given␣to␣this␣connection. \
         $5 since $5 2.6.9 $5 group $10 connection $10 complexity $4 O(1)",
    );
}

#[test]
fn list_and_count_agree() {
    let server = TestServer::start(&[]);
    let mut client = server.raw();
    client.command(&["COMMAND", "LIST"]);
    let len: usize = client.line().strip_prefix('*').unwrap().parse().unwrap();
    let names: Vec<String> = (0..len).map(|_| client.reply()).collect();
    let commands = names.iter().filter(|name| !name.contains('|')).count();
    assert_eq!(client.ask(&["COMMAND", "COUNT"]), format!(":{commands}"));
    assert!(commands < len && names.iter().any(|name| name == "client|list"));

    expect(&mut client, "COMMAND LIST FilterBy Pattern RENAME?*", "*1 $8 renamenx");
    expect(&mut client, "COMMAND LIST FILTERBY PATTERN client|no-t*", "*1 $15 client|no-touch");
    expect(&mut client, "COMMAND LIST FILTERBY ACLCAT nope", "*0");
    expect(&mut client, "COMMAND LIST FILTERBY MODULE nope", "*0");
    for line in ["COMMAND LIST x", "COMMAND LIST FILTERBY PATTERN", "COMMAND LIST FILTERBY x y"] {
        expect(&mut client, line, "-ERR␣syntax␣error");
    }
    client.command(&["COMMAND", "LIST", "FILTERBY", "ACLCAT", "PubSub"]);
    let len: usize = client.line().strip_prefix('*').unwrap().parse().unwrap();
    let found: Vec<String> = (0..len).map(|_| client.reply()).collect();
    assert!(found.contains(&"publish".into()) && found.contains(&"pubsub|numsub".into()));
    assert!(!found.contains(&"client|list".into()));
}

#[test]
fn getkeys_finds_keys_or_says_why_not() {
    let server = TestServer::start(&[]);
    let mut client = server.raw();
    expect(&mut client, "COMMAND GETKEYS DEL a b c", "*3 $1 a $1 b $1 c");
    expect(&mut client, "COMMAND GETKEYS memory USAGE k", "*1 $1 k");
    expect_both(
        &server,
        "COMMAND GETKEYSANDFLAGS RENAME a b",
        "*2 *2 $1 a ~3 +RW +access +delete *2 $1 b ~2 +OW +update",
    );
    for (line, error) in [
        ("nope a", "-ERR␣Invalid␣command␣specified"),
        ("memory|usage k", "-ERR␣Invalid␣command␣specified"),
        ("memory nope k", "-ERR␣Invalid␣command␣specified"),
        ("ping a", "-ERR␣The␣command␣has␣no␣key␣arguments"),
        ("client", "-ERR␣The␣command␣has␣no␣key␣arguments"),
        ("rename a", "-ERR␣Invalid␣number␣of␣arguments␣specified␣for␣command"),
        ("memory usage", "-ERR␣Invalid␣number␣of␣arguments␣specified␣for␣command"),
    ] {
        expect(&mut client, &format!("COMMAND GETKEYS {line}"), error);
        expect(&mut client, &format!("COMMAND GETKEYSANDFLAGS {line}"), error);
    }
}

#[test]
fn a_container_with_a_procedure_knows_its_subcommands_all_the_same() {
    let server = TestServer::start(&[]);
    let mut client = server.raw();
    expect(&mut client, "COMMAND nope", "-ERR␣unknown␣subcommand␣'nope'.␣Try␣COMMAND␣HELP.");
    expect(&mut client, "COMMAND COUNT x", "-ERR␣wrong␣number␣of␣arguments␣for␣'command|count'␣command");
}

#[test]
fn renamed_commands_answer_to_the_new_name_and_show_the_old() {
    let server = TestServer::start(&["--rename-command", "ECHO", "Say", "--rename-command", "TIME", ""]);
    let mut client = server.raw();
    assert_eq!(client.ask(&["SAY", "hello"]), "hello");
    assert_eq!(
        client.ask(&["ECHO", "hello"]),
        "-ERR unknown command 'ECHO', with args beginning with: 'hello' "
    );
    expect(&mut client, "COMMAND LIST FILTERBY PATTERN echo", "*1 $4 echo");
    expect(&mut client, "COMMAND LIST FILTERBY PATTERN time", "*0");
    expect(&mut client, "COMMAND INFO echo time", "*2 $-1 $-1");
    client.command(&["COMMAND", "INFO", "say"]);
    assert_eq!([client.line(), client.line(), client.reply()], ["*1", "*10", "echo"]);
}
