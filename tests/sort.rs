//! SORT and SORT_RO, through the wire.

mod common;

use common::{TestServer, run, script};

#[test]
fn numbers_and_texts_are_sorted() {
    let server = TestServer::start(&[]);
    script(
        &mut server.client(false),
        "RPUSH l 10 9 -1 2.5 1e3 9 +3 inf -inf .5 -> 10
         SORT l -> [-inf,-1,.5,2.5,+3,9,9,10,1e3,inf]
         SORT l DESC -> [inf,1e3,10,9,9,+3,2.5,.5,-1,-inf]
         SORT_RO l LIMIT 2 3 -> [.5,2.5,+3]
         SORT l LIMIT 8 100 DESC -> [-1,-inf]
         SORT l LIMIT -5 2 -> [-inf,-1]
         SORT l LIMIT 3 -1 -> [2.5,+3,9,9,10,1e3,inf]
         SORT l LIMIT 3 0 -> []
         SORT l LIMIT 10 5 -> []
         SORT l ALPHA -> [+3,-1,-inf,.5,10,1e3,2.5,9,9,inf]
         SORT l ALPHA DESC LIMIT 0 2 -> [inf,9]
         RPUSH t b a B A c -> 5
         SORT t ALPHA -> [A,B,a,b,c]
         SORT t -> -ERR One or more scores can't be converted into double
         SORT t STORE d -> -ERR One or more scores can't be converted into double
         RPUSH hex 0x10 -> 1
         SORT hex -> -ERR One or more scores can't be converted into double
         SORT none -> []
         SORT_RO none -> []
         SET s v -> OK
         SORT s -> -WRONGTYPE Operation against a key holding the wrong kind of value",
    );
}

#[test]
fn syntax_is_checked_before_the_key() {
    let server = TestServer::start(&[]);
    script(
        &mut server.client(false),
        "SET s v -> OK
         SORT s LIMIT 1 -> -ERR syntax error
         SORT s LIMIT a 1 -> -ERR value is not an integer or out of range
         SORT s BY -> -ERR syntax error
         SORT s GET -> -ERR syntax error
         SORT s STORE -> -ERR syntax error
         SORT s HOW -> -ERR syntax error
         SORT_RO s STORE d -> -ERR syntax error
         SORT s asc desc alpha limit 0 1 get # by x store d -> -WRONGTYPE Operation against a key holding the wrong kind of value",
    );
}

#[test]
fn patterns_look_up_other_keys() {
    let server = TestServer::start(&[]);
    script(
        &mut server.client(false),
        "RPUSH l 1 2 3 4 -> 4
         MSET w1 30 w2 10 w3 20 w4 10 n1 one n2 two n4 four -> OK
         SORT l BY w* -> [2,4,3,1]
         SORT l BY w* DESC LIMIT 0 3 -> [1,3,4]
         SORT l BY w* GET n* GET # GET w* -> [two,2,10,four,4,10,nil,3,20,one,1,30]
         SORT l BY n* ALPHA -> [3,4,1,2]
         SORT l BY n* ALPHA DESC -> [2,1,4,3]
         SORT l BY n* -> -ERR One or more scores can't be converted into double
         SORT l BY none* DESC -> [4,3,2,1]
         SORT l BY nosort GET n* -> [one,two,nil,four]
         SORT l BY nosort DESC LIMIT 1 2 -> [3,2]
         SORT l BY # -> [1,2,3,4]
         SORT l GET w GET l* -> [nil,nil,nil,nil,nil,nil,nil,nil]
         SORT l BY w* BY nosort -> [1,2,3,4]",
    );
}

#[test]
fn patterns_look_up_fields_of_hashes() {
    let server = TestServer::start(&[]);
    let mut c = server.client(false);
    script(
        &mut c,
        "RPUSH l 1 2 3 -> 3
         HSET h1 w 5 n one -> 2
         HSET h2 w 4 n two ->x 9 -> 3
         HSET h3 n three -> 1
         SET s1 string -> OK
         SORT l BY h*->w -> [3,2,1]
         SORT l BY h*->w GET h*->n GET s*->n GET h*->none -> [three,nil,nil,two,nil,nil,one,nil,nil]
         SORT l BY h*->n ALPHA DESC -> [2,3,1]
         SORT l BY h*->n -> -ERR One or more scores can't be converted into double
         SORT l BY h* -> [1,2,3]
         SORT l GET h*->->x -> [nil,9,nil]
         SORT l GET h*-> -> [nil,nil,nil]
         HPEXPIREAT h3 1 FIELDS 1 n -> [2]
         HPEXPIRE h2 30 FIELDS 1 w -> [1]",
    );
    std::thread::sleep(std::time::Duration::from_millis(60));
    script(&mut c, "SORT l BY h*->w -> [2,3,1]\nHEXISTS h2 w -> 0");
}

#[test]
fn sets_and_sorted_sets_are_sorted() {
    let server = TestServer::start(&[]);
    script(
        &mut server.client(false),
        "SADD s 3 1 2 10 -> 4
         SORT s -> [1,2,3,10]
         SORT s BY nosort STORE d -> 4
         LRANGE d 0 -1 -> [1,10,2,3]
         SORT s BY nosort DESC STORE d -> 4
         LRANGE d 0 -1 -> [3,2,10,1]
         SADD t b a c -> 3
         SORT t ALPHA DESC -> [c,b,a]
         ZADD z 1 c 2 a 3 b 3 d -> 4
         SORT z ALPHA -> [a,b,c,d]
         SORT_RO z BY nosort -> [c,a,b,d]
         SORT z BY nosort DESC LIMIT 1 2 -> [b,a]
         SORT z BY nosort LIMIT 3 9 -> [d]
         SORT z BY nosort LIMIT 9 9 -> []
         OBJECT ENCODING z -> skiplist
         ZADD n 5 1 4 2 -> 2
         SORT n -> [1,2]",
    );
}

#[test]
fn the_outcome_is_stored() {
    let server = TestServer::start(&[]);
    let mut c = server.client(false);
    script(
        &mut c,
        "RPUSH l 3 1 2 -> 3
         SET d old EX 100 -> OK
         SORT l STORE d -> 3
         TTL d -> -1
         OBJECT ENCODING d -> listpack
         LRANGE d 0 -1 -> [1,2,3]
         SET n1 one -> OK
         SORT l GET n* GET # STORE d -> 6
         LRANGE d 0 -1 -> [one,1,,2,,3]
         SORT l DESC STORE l -> 3
         LRANGE l 0 -1 -> [3,2,1]
         SORT none STORE d -> 0
         EXISTS d -> 0
         SORT none STORE d -> 0
         CONFIG SET list-max-listpack-size 2 -> OK
         SORT l STORE d -> 3
         OBJECT ENCODING d -> quicklist",
    );
    for (command, changes) in [
        ("SORT l STORE d", 3.0),
        ("SORT l LIMIT 9 9 STORE d", 1.0),
        ("SORT l", 0.0),
        ("SORT none STORE d", 0.0),
    ] {
        let before = server.info("rdb_changes_since_last_save");
        run(&mut c, command);
        assert_eq!(server.info("rdb_changes_since_last_save") - before, changes, "{command}");
    }
}

#[test]
fn many_elements_are_sorted_as_a_model_sorts_them() {
    let server = TestServer::start(&[]);
    let mut c = server.client(false);
    let numbers: Vec<i64> = (0..5000i64).map(|n| n.wrapping_mul(2_654_435_761) % 10_007 - 5000).collect();
    for chunk in numbers.chunks(500) {
        let words: Vec<String> = chunk.iter().map(i64::to_string).collect();
        run(&mut c, &format!("RPUSH l {}", words.join(" ")));
    }
    let mut sorted = numbers;
    sorted.sort_unstable();
    let show =
        |numbers: &[i64]| format!("[{}]", numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(","));
    assert_eq!(run(&mut c, "SORT l"), show(&sorted));
    assert_eq!(run(&mut c, "SORT l LIMIT 2000 50"), show(&sorted[2000..2050]));
    sorted.reverse();
    assert_eq!(run(&mut c, "SORT l DESC LIMIT 10 3000"), show(&sorted[10..3010]));
}

#[test]
fn waiting_clients_get_what_is_stored() {
    let server = TestServer::start(&[]);
    let mut waiting = server.raw();
    waiting.command(&["BLPOP", "d", "0"]);
    common::wait_for("the client to wait", || server.info("blocked_clients") == 1.0);
    script(&mut server.client(false), "RPUSH l 2 1 -> 2\nSORT l STORE d -> 2\nLRANGE d 0 -1 -> [2]");
    let lines: Vec<String> = (0..5).map(|_| waiting.line()).collect();
    assert_eq!(lines, ["*2", "$1", "d", "$1", "1"]);
}
