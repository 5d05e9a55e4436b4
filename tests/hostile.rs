//! Clients that mean harm, or are broken: each costs bounded memory and disturbs nobody else.

mod common;

use std::time::{Duration, Instant};

use common::{TestServer, wait_for};

/// Memory that one misbehaving client may cost.
const MIB: f64 = 1024.0 * 1024.0;

/// That another client is served, and at once.
fn assert_others_are_served(server: &TestServer) {
    let begun = Instant::now();
    let mut other = server.raw();
    assert_eq!(other.ask(&["PING"]), "+PONG");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn garbage_is_answered_and_closed() {
    let server = TestServer::start(&[]);
    let before = server.info("used_memory");
    for seed in 0u32..200 {
        let mut client = server.raw();
        let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
        let bytes: Vec<u8> = (0..4096)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        client.try_send(&bytes);
    }
    wait_for("all clients to go", || server.info("connected_clients") <= 1.0);
    assert!(server.info("used_memory") - before < 4.0 * MIB);
    assert_others_are_served(&server);
}

#[test]
fn half_a_command_costs_little_and_can_be_completed() {
    let server = TestServer::start(&[]);
    let before = server.info("used_memory");
    let mut clients: Vec<_> = (0..100).map(|_| server.raw()).collect();
    for client in &mut clients {
        client.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$10\r\nhal");
    }
    assert_others_are_served(&server);
    assert!(server.info("used_memory") - before < 100.0 * 40.0 * 1024.0);
    for client in &mut clients {
        client.send(b"fwayday\r\n");
        assert_eq!(client.reply(), "+OK");
    }
    assert_eq!(server.raw().ask(&["GET", "k"]), "halfwayday");
}

#[test]
fn a_byte_at_a_time_is_understood() {
    let server = TestServer::start(&[]);
    let mut client = server.raw();
    client.stream.set_nodelay(true).unwrap();
    for byte in b"*2\r\n$4\r\nECHO\r\n$5\r\nhello\r\n*1\r\n$4\r\nPING\r\n" {
        client.send(&[*byte]);
    }
    assert_eq!((client.reply(), client.reply()), ("hello".to_string(), "+PONG".to_string()));
}

#[test]
fn a_bulk_of_600_mb_is_refused() {
    let server = TestServer::start(&[]);
    let mut client = server.raw();
    client.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$629145600\r\n");
    assert_eq!(client.line(), "-ERR Protocol error: invalid bulk length");
    assert!(client.is_closed());
    assert_others_are_served(&server);
}

#[test]
fn a_big_bulk_that_never_comes_takes_no_pages() {
    let server = TestServer::start(&[]);
    let before = server.resident();
    let mut clients: Vec<_> = (0..20).map(|_| server.raw()).collect();
    for client in &mut clients {
        client.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\nonly this");
    }
    assert_others_are_served(&server);
    assert!(server.resident().saturating_sub(before) < 16 << 20, "20 headers took memory for their promise");
    drop(clients);
    wait_for("all clients to go", || server.info("connected_clients") <= 1.0);
}

#[test]
fn a_million_arguments_announced_cost_nothing() {
    let server = TestServer::start(&[]);
    let before = server.info("used_memory");
    let mut clients: Vec<_> = (0..50).map(|_| server.raw()).collect();
    for client in &mut clients {
        client.send(b"*1000000\r\n$4\r\nMGET\r\n$1\r\na\r\n");
    }
    assert_others_are_served(&server);
    assert!(server.info("used_memory") - before < 50.0 * 40.0 * 1024.0);
}

#[test]
fn pieces_of_any_size_are_put_together() {
    let server = TestServer::start(&[]);
    let value = "v".repeat(20_000);
    for piece in [4096, 16_383, 16_384, 16_385, 65_536, 65_537] {
        let mut client = server.raw();
        client.stream.set_nodelay(true).unwrap();
        let mut request = "*401\r\n$6\r\nEXISTS\r\n".to_string();
        for _ in 0..400 {
            request.push_str(&format!("$20000\r\n{value}\r\n"));
        }
        for part in request.as_bytes()[..400_000].chunks(piece) {
            client.send(part);
            std::thread::sleep(Duration::from_millis(1));
        }
        client.send(&request.as_bytes()[400_000..]);
        assert_eq!(client.reply(), ":0", "{piece}");
    }
}

#[test]
fn a_million_arguments_sent_are_one_command() {
    let server = TestServer::start(&[]);
    let mut client = server.raw();
    let mut request = b"*1000001\r\n$6\r\nEXISTS\r\n".to_vec();
    for _ in 0..1_000_000 {
        request.extend_from_slice(b"$1\r\nk\r\n");
    }
    let before = server.cpu_time();
    client.send(&request);
    assert_eq!(client.reply(), ":0");
    assert!(server.cpu_time() - before < Duration::from_secs(10), "the request was parsed again and again");
}

#[test]
fn input_past_the_query_buffer_limit_closes_the_client() {
    let server = TestServer::start(&["--client-query-buffer-limit", "1mb"]);
    let mut client = server.raw();
    client.send(b"*100000\r\n");
    let argument = format!("$20000\r\n{}\r\n", "x".repeat(20000));
    for _ in 0..200 {
        if !client.try_send(argument.as_bytes()) {
            break;
        }
    }
    assert!(client.is_closed());
    assert!(server.log().contains("Closing client that reached max query buffer length"));
    assert_others_are_served(&server);
}

#[test]
fn closing_in_the_middle_of_a_reply_harms_nobody() {
    let server = TestServer::start(&[]);
    let value = "v".repeat(8 << 20);
    let mut writer = server.raw();
    assert_eq!(writer.ask(&["SET", "big", &value]), "+OK");
    drop(value);
    let before = server.info("used_memory");
    for _ in 0..50 {
        let mut client = server.raw();
        for _ in 0..20 {
            client.command(&["GET", "big"]);
        }
        let mut few = [0; 100];
        std::io::Read::read_exact(&mut client.reader, &mut few).unwrap();
    }
    assert_others_are_served(&server);
    wait_for("all clients to go", || server.info("connected_clients") <= 2.0);
    assert!(server.info("used_memory") - before < 4.0 * MIB);
}

#[test]
fn a_reader_that_does_not_read_is_cut_off() {
    let server = TestServer::start(&["--client-output-buffer-limit", "normal", "4mb", "0", "0"]);
    let mut client = server.raw();
    assert_eq!(client.ask(&["SET", "k", &"v".repeat(10_000)]), "+OK");
    let request = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n".repeat(100);
    for _ in 0..200 {
        if !client.try_send(&request) {
            break;
        }
    }
    wait_for("the client to be closed", || server.info("client_output_buffer_limit_disconnections") >= 1.0);
    assert_others_are_served(&server);
}

/// A reply that is longer than the limit is not sent at all, nor made to its end.
#[test]
fn a_reply_past_the_limit_closes_the_connection_instead() {
    let server = TestServer::start(&["--client-output-buffer-limit", "normal", "1mb", "0", "0"]);
    let mut c = server.raw();
    assert_eq!(c.ask(&["HSET", "hash", "field", "value"]), ":1");
    assert_eq!(c.ask(&["SADD", "integers", "1"]), ":1");
    assert_eq!(c.ask(&["SADD", "set", "member"]), ":1");
    assert_eq!(c.ask(&["ZADD", "zset", "1", "member"]), ":1");
    assert_eq!(c.ask(&["SET", "long", &"x".repeat(40_000)]), "+OK");
    let before = server.info("used_memory");
    let huge = "-999999999999";
    let requests: [&[&[&str]]; 8] = [
        &[&["HRANDFIELD", "hash", huge]],
        &[&["HRANDFIELD", "hash", huge, "WITHVALUES"]],
        &[&["SRANDMEMBER", "integers", huge]],
        &[&["SRANDMEMBER", "set", huge]],
        &[&["ZRANDMEMBER", "zset", huge]],
        &[&["ZRANDMEMBER", "zset", huge, "WITHSCORES"]],
        &[&["GET", "long"] as &[&str]; 30],
        &[&["MULTI"], &["SRANDMEMBER", "set", huge], &["SET", "done", "1"], &["EXEC"]],
    ];
    for (closed, requests) in (1..).zip(requests) {
        let mut client = server.raw();
        let mut batch = Vec::new();
        for request in requests {
            batch.extend_from_slice(format!("*{}\r\n", request.len()).as_bytes());
            request.iter().for_each(|word| {
                batch.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
            });
        }
        client.send(&batch);
        let mut answer = Vec::new();
        let _ = std::io::Read::read_to_end(&mut client.reader, &mut answer);
        assert_eq!(answer.len(), 0, "{requests:?}");
        assert_eq!(server.info("client_output_buffer_limit_disconnections"), f64::from(closed));
    }
    assert_eq!(c.ask(&["GET", "done"]), "1", "a transaction is executed to its end");
    assert!(server.info("used_memory") - before < 4.0 * MIB);
    assert!(server.info("used_memory_peak") - before < 16.0 * MIB);
    assert_eq!(c.ask(&["GET", "long"]).len(), 40_000, "what is below is sent");

    // Nobody waits for this one.
    let mut client = server.raw();
    client.send(b"CLIENT REPLY OFF\r\n");
    client.send(format!("HRANDFIELD hash -200000\r\nEVAL \"return redis.call('SRANDMEMBER', 'set', '-200000')\" 0\r\nSRANDMEMBER set {huge}\r\n").as_bytes());
    assert_eq!(client.ask(&["CLIENT", "REPLY", "ON"]), "+OK");
    assert_eq!(client.ask(&["PING"]), "+PONG");
}

#[test]
fn a_huge_pipeline_starves_nobody() {
    let server = TestServer::start(&[]);
    let mut flood = server.raw();
    let mut reader = flood.stream.try_clone().unwrap();
    let writer = std::thread::spawn(move || {
        let request = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n".repeat(10_000);
        for _ in 0..50 {
            flood.send(&request);
        }
    });
    let drain = std::thread::spawn(move || {
        let (mut left, mut buf) = (50 * 10_000 * 5, vec![0; 1 << 16]);
        while left > 0 {
            left -= std::io::Read::read(&mut reader, &mut buf).unwrap();
        }
    });
    let mut answered = 0;
    let mut other = server.raw();
    while !drain.is_finished() {
        assert_eq!(other.ask(&["PING"]), "+PONG");
        answered += 1;
    }
    writer.join().unwrap();
    drain.join().unwrap();
    assert!(answered > 100, "{answered} PINGs were answered beside half a million commands");
}

#[test]
fn idle_connections_cost_little() {
    let server = TestServer::start(&[]);
    let before = server.info("used_memory");
    let clients: Vec<_> = (0..1000)
        .map(|_| {
            let mut client = server.raw();
            client.ask(&["PING"]);
            client
        })
        .collect();
    let each = (server.info("used_memory") - before) / clients.len() as f64;
    assert!(each < 2048.0, "an idle connection costs {each} bytes");
}
