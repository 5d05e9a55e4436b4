//! Replies: reading them whole, bringing them into a form that can be compared, comparing them.

use std::fmt;
use std::io::Read;

use crate::common::RawClient;
use crate::versions::{self, Version};

/// A reply of either protocol.
#[derive(Clone, PartialEq, PartialOrd)]
pub enum Reply {
    /// A null of any kind; what it was encoded as.
    Null(String),
    /// A status.
    Simple(String),
    /// An error.
    Error(String),
    /// An integer.
    Int(i64),
    /// A bulk string, or a verbatim one.
    Bulk(Vec<u8>),
    /// Anything else that is one line: a double, a boolean, a big number.
    Line(String),
    /// An array.
    Array(Vec<Reply>),
    /// A set, a push.
    Tagged(char, Vec<Reply>),
    /// A map, as keys and values in turn.
    Map(Vec<Reply>),
    /// None: the connection was closed, or nothing came in time.
    Closed,
}

/// As the protocol has it, but on one line and readable.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reply::Null(line) | Reply::Line(line) => write!(f, "{line}"),
            Reply::Simple(text) => write!(f, "+{text}"),
            Reply::Error(text) => write!(f, "-{text}"),
            Reply::Int(n) => write!(f, "{n}"),
            Reply::Bulk(bytes) => write!(f, "\"{}\"", bytes.escape_ascii()),
            Reply::Array(items) => f.debug_list().entries(items).finish(),
            Reply::Tagged(tag, items) => write!(f, "{tag}{items:?}"),
            Reply::Map(items) => write!(f, "%{items:?}"),
            Reply::Closed => write!(f, "(the connection is closed)"),
        }
    }
}

/// Reads one reply.
pub fn read(client: &mut RawClient) -> Reply {
    let line = client.line();
    if line.is_empty() {
        return Reply::Closed;
    }
    let (kind, rest) = line.split_at(1);
    let many = |client: &mut RawClient, n: usize| (0..n).map(|_| read(client)).collect::<Vec<_>>();
    match kind {
        "+" => Reply::Simple(rest.to_owned()),
        "-" => Reply::Error(rest.to_owned()),
        ":" => Reply::Int(rest.parse().unwrap()),
        "$" | "=" => match rest.parse::<usize>() {
            Ok(len) => {
                let mut body = vec![0; len + 2];
                client.reader.read_exact(&mut body).unwrap();
                body.truncate(len);
                Reply::Bulk(body)
            }
            Err(_) => Reply::Null(line),
        },
        "*" => match rest.parse::<usize>() {
            Ok(n) => Reply::Array(many(client, n)),
            Err(_) => Reply::Null(line),
        },
        "%" => Reply::Map(many(client, 2 * rest.parse::<usize>().unwrap())),
        "~" | ">" => Reply::Tagged(kind.chars().next().unwrap(), many(client, rest.parse().unwrap())),
        "_" => Reply::Null(line),
        "," | "#" | "(" => Reply::Line(line),
        other => panic!("a reply begins with {other:?}"),
    }
}

/// What is done to the replies of a command before they are compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    /// Nothing.
    Kept,
    /// Elements come in any order.
    Free,
    /// Pairs of elements come in any order.
    FreePairs,
    /// A cursor, and elements or pairs in any order.
    Scan(usize),
    /// Chosen at random: only kind and number are compared.
    Random,
}

fn order_of(words: &[Vec<u8>]) -> Order {
    let has = |option: &str| words.iter().any(|word| word.eq_ignore_ascii_case(option.as_bytes()));
    match words[0].to_ascii_lowercase().as_slice() {
        b"smembers" | b"sinter" | b"sunion" | b"sdiff" | b"hkeys" | b"hvals" | b"spop" | b"keys" => {
            Order::Free
        }
        b"hgetall" => Order::FreePairs,
        b"scan" | b"sscan" => Order::Scan(1),
        b"hscan" if has("novalues") => Order::Scan(1),
        b"hscan" | b"zscan" => Order::Scan(2),
        b"srandmember" | b"hrandfield" | b"zrandmember" => Order::Random,
        b"geosearch" | b"georadius" | b"georadius_ro" | b"georadiusbymember" | b"georadiusbymember_ro"
            if !has("asc") && !has("desc") =>
        {
            Order::Free
        }
        b"sort" | b"sort_ro" if has("by") => Order::Free,
        _ => Order::Kept,
    }
}

fn sort_in_groups(items: Vec<Reply>, size: usize) -> Vec<Reply> {
    let mut groups: Vec<&[Reply]> = items.chunks(size).collect();
    groups.sort_by(|a, b| a.partial_cmp(b).expect("replies have no NaN"));
    groups.into_iter().flatten().cloned().collect()
}

impl Reply {
    /// The reply to `words` without what may differ.
    pub fn normal(self, words: &[Vec<u8>]) -> Reply {
        match (order_of(words), self) {
            (Order::Free, Reply::Array(items)) => Reply::Array(sort_in_groups(items, 1)),
            (Order::Free, Reply::Tagged(tag, items)) => Reply::Tagged(tag, sort_in_groups(items, 1)),
            (Order::FreePairs, Reply::Array(items)) => Reply::Array(sort_in_groups(items, 2)),
            (Order::FreePairs, Reply::Map(items)) => Reply::Map(sort_in_groups(items, 2)),
            (Order::Scan(size), Reply::Array(mut parts)) if parts.len() == 2 => {
                if let Some(Reply::Array(items)) = parts.pop() {
                    parts.push(Reply::Array(sort_in_groups(items, size)));
                }
                Reply::Array(parts)
            }
            (Order::Random, Reply::Array(items)) => {
                Reply::Array(items.into_iter().map(|_| Reply::Simple("chosen".into())).collect())
            }
            (Order::Random, Reply::Bulk(_)) => Reply::Simple("chosen".into()),
            (Order::Kept, reply) => match words[0].to_ascii_lowercase().as_slice() {
                b"xpending" => reply.without_idle_times(),
                b"xinfo" => reply.without_times(),
                _ => reply,
            },
            (_, reply) => reply,
        }
    }

    /// XPENDING's entries, of which the third element says how long each has been idle.
    fn without_idle_times(mut self) -> Reply {
        if let Reply::Array(entries) = &mut self {
            for entry in entries {
                if let Reply::Array(parts) = entry
                    && let [_, _, idle @ Reply::Int(_), _] = parts.as_mut_slice()
                {
                    *idle = Reply::Simple("idle".into());
                }
            }
        }
        self
    }

    /// XINFO's answers: points in time are after 2001, and times that have passed follow their names.
    fn without_times(self) -> Reply {
        let each = |items: Vec<Reply>| {
            let mut after_name = false;
            let mut kept = Vec::with_capacity(items.len());
            for item in items {
                let is_time = match item {
                    Reply::Int(n) => n > 1_000_000_000_000 || (after_name && n >= 0),
                    _ => false,
                };
                after_name = matches!(&item, Reply::Bulk(name) if name == b"idle" || name == b"inactive");
                kept.push(if is_time { Reply::Simple("time".into()) } else { item.without_times() });
            }
            kept
        };
        match self {
            Reply::Array(items) => Reply::Array(each(items)),
            Reply::Map(items) => Reply::Map(each(items)),
            other => other,
        }
    }

    /// Whether `other` is what `self`, the reply to `words` of a reference of this version, is: times may differ by what
    /// the two take.
    pub fn same_as(&self, other: &Reply, words: &[Vec<u8>], version: Version) -> bool {
        let slack = match words[0].to_ascii_lowercase().as_slice() {
            b"ttl" | b"expiretime" | b"httl" | b"hexpiretime" => 20,
            b"pttl" | b"pexpiretime" | b"hpttl" | b"hpexpiretime" => 20_000,
            _ => 0,
        };
        self.within(other, slack, !versions::shows_short_doubles(version))
    }

    fn within(&self, other: &Reply, slack: u64, any_digits: bool) -> bool {
        let all_within = |ours: &[Reply], theirs: &[Reply]| {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| a.within(b, slack, any_digits))
        };
        match (self, other) {
            (Reply::Int(a), Reply::Int(b)) => a.abs_diff(*b) <= slack && (*a < 0) == (*b < 0),
            (Reply::Array(a), Reply::Array(b)) | (Reply::Map(a), Reply::Map(b)) => all_within(a, b),
            (Reply::Tagged(s, a), Reply::Tagged(t, b)) => s == t && all_within(a, b),
            (Reply::Error(a), Reply::Error(b)) => a == b || versions::is_reworded(a, b),
            (Reply::Line(a), Reply::Line(b)) if any_digits => {
                a == b || same_number(&a.as_bytes()[1..], &b.as_bytes()[1..])
            }
            (Reply::Bulk(a), Reply::Bulk(b)) if any_digits => a == b || same_number(a, b),
            (a, b) => a == b,
        }
    }
}

/// Whether two texts are the same double.
fn same_number(a: &[u8], b: &[u8]) -> bool {
    let number = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<f64>().ok();
    number(a).is_some_and(|a| number(b) == Some(a))
}
