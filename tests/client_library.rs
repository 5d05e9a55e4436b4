//! A client library that applications use reads and writes through the server, in both protocols.

mod common;

use common::TestServer;
use redis::Commands;

fn uses_strings_and_keys(resp3: bool) {
    let server = TestServer::start(&[]);
    let mut c = server.client(resp3);
    let () = c.set("k", "v").unwrap();
    assert_eq!(c.get::<_, String>("k").unwrap(), "v");
    assert_eq!(c.incr::<_, _, i64>("n", 41).unwrap(), 41);
    assert_eq!(c.incr::<_, _, i64>("n", 1).unwrap(), 42);
    assert_eq!(c.append::<_, _, usize>("k", "w").unwrap(), 2);
    let () = c.mset(&[("a", "1"), ("b", "2")]).unwrap();
    assert_eq!(c.mget::<_, Vec<Option<String>>>(&["a", "nothing", "b"]).unwrap().len(), 3);
    assert!(c.expire::<_, bool>("a", 100).unwrap());
    assert!((1..=100).contains(&c.ttl::<_, i64>("a").unwrap()));
    let mut keys: Vec<String> = c.scan().unwrap().collect();
    keys.sort();
    assert_eq!(keys, ["a", "b", "k", "n"]);
    assert_eq!(c.del::<_, usize>(&["a", "b"]).unwrap(), 2);
    let wrong = redis::cmd("INCR").arg("k").query::<i64>(&mut c).unwrap_err();
    assert_eq!(wrong.detail(), Some("value is not an integer or out of range"));
}

#[test]
fn resp2() {
    uses_strings_and_keys(false);
}

#[test]
fn resp3() {
    uses_strings_and_keys(true);
}

#[test]
fn pipelines_keep_their_order() {
    let server = TestServer::start(&[]);
    let mut c = server.client(false);
    let mut pipe = redis::pipe();
    for i in 0..5000 {
        pipe.cmd("SET").arg(i).arg(i * i).ignore().cmd("GET").arg(i);
    }
    let values: Vec<i64> = pipe.query(&mut c).unwrap();
    assert!(values.iter().enumerate().all(|(i, v)| *v == (i * i) as i64));
}

#[test]
fn big_values_come_back_whole() {
    let server = TestServer::start(&[]);
    let mut c = server.client(false);
    for size in [32 * 1024 - 1, 32 * 1024, 64 * 1024, 100_001, 5 << 20, 70 << 20] {
        let value: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
        let () = c.set("big", &value).unwrap();
        assert_eq!(c.strlen::<_, usize>("big").unwrap(), size);
        assert!(c.get::<_, Vec<u8>>("big").unwrap() == value);
    }
}

#[test]
fn messages_reach_their_subscribers() {
    let server = TestServer::start(&[]);
    let mut subscriber = server.client(false);
    let mut publisher = server.client(false);
    let mut pubsub = subscriber.as_pubsub();
    pubsub.subscribe("news").unwrap();
    pubsub.psubscribe("n*").unwrap();
    assert_eq!(publisher.publish::<_, _, usize>("news", "hi").unwrap(), 2);
    let payloads: Vec<String> =
        (0..2).map(|_| pubsub.get_message().unwrap().get_payload().unwrap()).collect();
    assert_eq!(payloads, ["hi", "hi"]);
}
