//! The load client of `make bench` counts replies instead of reading them. These tests hold it to what a reader would see.

#[path = "bench/replies.rs"]
mod replies;
#[path = "bench/requests.rs"]
mod requests;

use proptest::prelude::*;
use replies::{ReplyScanner, Tally};
use requests::{Batch, Numbers, Template};

/// A reply as a tree, to be encoded and counted.
#[derive(Clone, Debug)]
enum Reply {
    Line(u8, String),
    Null(&'static str),
    Bulk(Vec<u8>),
    Array(Vec<Reply>),
    Map(Vec<(Reply, Reply)>),
}

impl Reply {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Reply::Line(kind, text) => out.extend([&[*kind], text.as_bytes(), b"\r\n"].concat()),
            Reply::Null(text) => out.extend(text.as_bytes()),
            Reply::Bulk(bytes) => {
                out.extend([format!("${}\r\n", bytes.len()).as_bytes(), bytes.as_slice(), b"\r\n"].concat());
            }
            Reply::Array(elements) => {
                out.extend(format!("*{}\r\n", elements.len()).as_bytes());
                elements.iter().for_each(|element| element.encode(out));
            }
            Reply::Map(pairs) => {
                out.extend(format!("%{}\r\n", pairs.len()).as_bytes());
                pairs.iter().flat_map(|(key, value)| [key, value]).for_each(|element| element.encode(out));
            }
        }
    }

    fn count(&self, tally: &mut Tally) {
        match self {
            Reply::Line(b'-', text) => {
                tally.errors += 1;
                tally.first_error.get_or_insert(text.clone());
            }
            Reply::Null(_) => tally.nulls += 1,
            Reply::Array(elements) => elements.iter().for_each(|element| element.count(tally)),
            Reply::Map(pairs) => {
                pairs.iter().flat_map(|(key, value)| [key, value]).for_each(|element| element.count(tally));
            }
            Reply::Line(..) | Reply::Bulk(_) => {}
        }
    }
}

fn reply() -> impl Strategy<Value = Reply> {
    let leaf = prop_oneof![
        (prop::sample::select(b"+-:,#".to_vec()), "[a-zA-Z0-9 ]{0,20}")
            .prop_map(|(kind, text)| Reply::Line(kind, text)),
        prop::sample::select(vec!["$-1\r\n", "*-1\r\n", "_\r\n"]).prop_map(Reply::Null),
        prop::collection::vec(prop::sample::select(b"a\r\n$*+-1".to_vec()), 0..40).prop_map(Reply::Bulk),
    ];
    leaf.prop_recursive(3, 20, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Reply::Array),
            prop::collection::vec((inner.clone(), inner), 0..3).prop_map(Reply::Map),
        ]
    })
}

proptest! {
    #[test]
    fn replies_are_counted_in_pieces_of_any_size(
        replies in prop::collection::vec(reply(), 0..10),
        pieces in prop::collection::vec(1usize..30, 1..10),
    ) {
        let mut expected = Tally { replies: replies.len() as u64, ..Tally::default() };
        let mut bytes = Vec::new();
        for reply in &replies {
            reply.count(&mut expected);
            reply.encode(&mut bytes);
        }
        let mut scanner = ReplyScanner::default();
        let mut tally = Tally::default();
        let mut rest = bytes.as_slice();
        for size in pieces.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at(rest.len().min(*size));
            prop_assert_eq!(scanner.feed(piece, &mut tally), Ok(()));
            rest = after;
        }
        prop_assert_eq!(tally, expected);
    }
}

#[test]
fn a_reply_counts_when_its_last_byte_is_there() {
    let mut scanner = ReplyScanner::default();
    let mut tally = Tally::default();
    scanner.feed(b"*2\r\n:1\r\n$3\r\nabc\r", &mut tally).unwrap();
    assert_eq!(tally.replies, 0);
    scanner.feed(b"\n", &mut tally).unwrap();
    assert_eq!(tally.replies, 1);
}

#[test]
fn what_is_no_reply_is_refused() {
    for bytes in ["hello\r\n", "+OK\n", "$12x\r\n", "$\r\n", "*-2\r\n", "$9999999999999999\r\n"] {
        assert!(ReplyScanner::default().feed(bytes.as_bytes(), &mut Tally::default()).is_err(), "{bytes:?}");
    }
}

#[test]
fn a_batch_repeats_its_request_with_the_next_number_in_every_hole() {
    let template = Template::new(&["SET", "key:{key}", "1{key}"]);
    let mut batch = Batch::new(&template, 2);
    batch.fill(&mut Numbers::Sequence(12_345_678));
    let request = |number| format!("*3\r\n$3\r\nSET\r\n$16\r\nkey:{number:012}\r\n$13\r\n1{number:012}\r\n");
    assert_eq!(String::from_utf8_lossy(batch.bytes()), [request(12_345_678), request(12_345_679)].concat());
}

#[test]
fn a_word_may_hold_several_holes() {
    let mut batch = Batch::new(&Template::new(&["GET", "{key}:{key}"]), 1);
    batch.fill(&mut Numbers::Sequence(requests::KEYS_MAX - 1));
    assert_eq!(batch.bytes(), b"*2\r\n$3\r\nGET\r\n$25\r\n000099999999:000099999999\r\n");
}

#[test]
fn random_numbers_cover_the_keyspace_evenly_and_repeat_with_their_seed() {
    const KEYS: u64 = 10;
    const DRAWS: u64 = 100_000;
    let draw = |seed| {
        let mut numbers = Numbers::Random { state: seed, keys: KEYS };
        let mut batch = Batch::new(&Template::new(&["{key}"]), 1);
        let digits = |batch: &Batch| String::from_utf8_lossy(&batch.bytes()[9..21]).parse::<u64>().unwrap();
        let mut draws = Vec::new();
        for _ in 0..DRAWS {
            batch.fill(&mut numbers);
            draws.push(digits(&batch));
        }
        draws
    };
    let draws = draw(1);
    assert_eq!(draws, draw(1));
    assert_ne!(draws, draw(2));
    for key in 0..KEYS {
        let count = draws.iter().filter(|&&draw| draw == key).count() as u64;
        // Ten times the standard deviation, 95.
        assert!(count.abs_diff(DRAWS / KEYS) < 950, "{key} was drawn {count} times");
    }
}
