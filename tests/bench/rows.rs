//! What is measured under load: a table with a row each.
//!
//! To add a row, add it to [`throughput`]: a name, what the dataset must be, and the request. A new [`Dataset`] is a
//! constant. Rows of one dataset belong together, as it is loaded anew whenever the next row wants another.

/// What a server holds while a row is measured.
#[derive(PartialEq)]
pub struct Dataset {
    /// Keys, and the range that the requests' `{key}` is drawn from.
    pub keys: u64,
    /// Commands that are each sent once a key, with `{key}` counting up. The database is empty before.
    pub load: &'static [&'static [&'static str]],
}

/// A million keys of 16 bytes with values of 8: the table does not fit into the processor's caches.
pub const MILLION: Dataset = Dataset { keys: 1_000_000, load: &[&["SET", "key:{key}", "xxxxxxxx"]] };
/// A thousand of them: what is measured is the way of a command without the cost of reaching its key.
const SMALL: Dataset = Dataset { keys: 1_000, load: &[&["SET", "key:{key}", "xxxxxxxx"]] };
/// A million counters, which start at a number that no server keeps a shared object for.
const MILLION_COUNTERS: Dataset = Dataset { keys: 1_000_000, load: &[&["SET", "cnt:{key}", "100000"]] };
const SMALL_COUNTERS: Dataset = Dataset { keys: 1_000, load: &[&["SET", "cnt:{key}", "100000"]] };

/// Collections of a million elements under one key each.
const LIST: Dataset = Dataset { keys: 1_000_000, load: &[&["RPUSH", "list", "xxxxxxxx"]] };
const SET: Dataset = Dataset { keys: 1_000_000, load: &[&["SADD", "set", "m:{key}"]] };
const HASH: Dataset = Dataset { keys: 1_000_000, load: &[&["HSET", "hash", "f:{key}", "xxxxxxxx"]] };
const ZSET: Dataset = Dataset { keys: 1_000_000, load: &[&["ZADD", "zset", "{key}", "m:{key}"]] };
const STREAM: Dataset = Dataset { keys: 1_000, load: &[&["XADD", "stream", "*", "field", "xxxxxxxx"]] };
/// What commands on whole values work on: sets, sorted sets and a list of ten thousand, a megabyte of bits, points on a line.
const WHOLE: Dataset = Dataset {
    keys: 10_000,
    load: &[
        &["SADD", "set1", "m:{key}"],
        &["SADD", "set2", "m:{key}", "n:{key}"],
        &["ZADD", "zset1", "{key}", "m:{key}"],
        &["ZADD", "zset2", "{key}", "m:{key}", "{key}", "n:{key}"],
        &["RPUSH", "numbers", "{key}"],
        &["SETRANGE", "bits", "1048568", "xxxxxxxx"],
        &["GEOADD", "geo", "13.{key}", "38.{key}", "m:{key}"],
    ],
};

/// One measurement under load.
pub struct Row {
    /// What the tables call it and `--rows` looks for.
    pub name: String,
    /// What the server must hold.
    pub dataset: &'static Dataset,
    /// The command; see [`crate::requests::Template`].
    pub request: &'static [&'static str],
    /// Connections that send it.
    pub connections: usize,
    /// Requests that a connection sends at once.
    pub pipeline: usize,
    /// How many times a GET's work a request is, roughly: so many times fewer are sent.
    pub weight: u64,
}

impl Row {
    /// Requests of one measurement, chosen so that it takes a second or two. Depth makes a request cheaper.
    pub fn default_requests(&self) -> u64 {
        let light: u64 = match self.pipeline {
            1 => 200_000,
            2..=31 => 1_500_000,
            _ => 4_000_000,
        };
        (light / self.weight).max(1_000)
    }
}

/// The rows of the throughput section.
pub fn throughput() -> Vec<Row> {
    const GET: &[&str] = &["GET", "key:{key}"];
    const SET: &[&str] = &["SET", "key:{key}", "yyyyyyyy"];
    const INCR: &[&str] = &["INCR", "cnt:{key}"];
    let mut rows = Vec::new();
    let datasets = [
        ("1M keys", &MILLION, &[("GET", GET), ("SET", SET)][..]),
        ("1M keys", &MILLION_COUNTERS, &[("INCR", INCR)]),
        ("1k keys", &SMALL, &[("GET", GET), ("SET", SET)]),
        ("1k keys", &SMALL_COUNTERS, &[("INCR", INCR)]),
    ];
    for (keyspace, dataset, requests) in datasets {
        for &(command, request) in requests {
            for pipeline in [1, 16, 100] {
                let name = format!("{command}, {keyspace}, pipeline {pipeline}");
                rows.push(Row { name, dataset, request, connections: 50, pipeline, weight: 1 });
            }
        }
    }
    for (command, request) in [("GET", GET), ("SET", SET)] {
        let name = format!("{command}, 1M keys, 5,000 connections");
        rows.push(Row { name, dataset: &MILLION, request, connections: 5_000, pipeline: 1, weight: 1 });
    }
    rows.extend(collections());
    rows
}

/// Rows of the other types, all at pipeline 16.
fn collections() -> impl Iterator<Item = Row> {
    const MSET: &[&str] = &[
        "MSET", "a:{key}", "1", "b:{key}", "2", "c:{key}", "3", "d:{key}", "4", "e:{key}", "5", "f:{key}",
        "6", "g:{key}", "7", "h:{key}", "8", "i:{key}", "9", "j:{key}", "10",
    ];
    const GEOSEARCH: &[&str] = &[
        "GEOSEARCH",
        "geo",
        "FROMLONLAT",
        "13.00000005",
        "38.00000005",
        "BYRADIUS",
        "100",
        "m",
        "ASC",
        "COUNT",
        "50",
    ];
    let rows: [(&str, &'static Dataset, &'static [&'static str], u64); 22] = [
        ("LPUSH", &LIST, &["LPUSH", "list", "xxxxxxxx"], 1),
        ("RPOP", &LIST, &["RPOP", "list"], 2),
        ("LRANGE of 100", &LIST, &["LRANGE", "list", "0", "99"], 10),
        ("LRANGE of 600", &LIST, &["LRANGE", "list", "0", "599"], 50),
        ("SADD", &SET, &["SADD", "set", "n:{key}"], 1),
        ("SISMEMBER", &SET, &["SISMEMBER", "set", "m:{key}"], 1),
        ("SPOP", &SET, &["SPOP", "set"], 2),
        ("HSET", &HASH, &["HSET", "hash", "f:{key}", "yyyyyyyy"], 1),
        ("HGET", &HASH, &["HGET", "hash", "f:{key}"], 1),
        ("ZADD", &ZSET, &["ZADD", "zset", "{key}", "n:{key}"], 2),
        ("ZRANK", &ZSET, &["ZRANK", "zset", "m:{key}"], 2),
        ("ZSCORE", &ZSET, &["ZSCORE", "zset", "m:{key}"], 1),
        ("ZRANGE by score", &ZSET, &["ZRANGE", "zset", "{key}", "+inf", "BYSCORE", "LIMIT", "0", "10"], 3),
        ("XADD", &STREAM, &["XADD", "stream", "*", "field", "xxxxxxxx"], 1),
        ("MSET of ten", &MILLION, MSET, 10),
        ("PFADD", &SMALL, &["PFADD", "hll", "e:{key}"], 1),
        ("SINTER of 10,000", &WHOLE, &["SINTER", "set1", "set2"], 1_500),
        ("ZUNIONSTORE of 20,000", &WHOLE, &["ZUNIONSTORE", "union", "2", "zset1", "zset2"], 1_500),
        ("GEOSEARCH", &WHOLE, GEOSEARCH, 50),
        ("BITCOUNT of 1 MB", &WHOLE, &["BITCOUNT", "bits"], 150),
        ("SORT of 10,000", &WHOLE, &["SORT", "numbers", "DESC", "LIMIT", "0", "10"], 1_500),
        ("SMEMBERS of 10,000", &WHOLE, &["SMEMBERS", "set1"], 500),
    ];
    rows.into_iter().map(|(name, dataset, request, weight)| Row {
        name: format!("{name}, pipeline 16"),
        dataset,
        request,
        connections: 50,
        pipeline: 16,
        weight,
    })
}

/// The rows of the latency section; the rate is the same for all servers and comes from what the slowest can do.
pub fn latency() -> Vec<Row> {
    let commands: [(&str, &[&str]); 2] =
        [("GET", &["GET", "key:{key}"]), ("SET", &["SET", "key:{key}", "yyyyyyyy"])];
    let row = |(name, request): (&str, _)| Row {
        name: name.into(),
        dataset: &MILLION,
        request,
        connections: 50,
        pipeline: 1,
        weight: 1,
    };
    commands.map(row).into()
}

/// What a million keys of one kind cost: the name and the command that creates one.
pub const MEMORY: [(&str, &[&str]); 4] = [
    ("8-byte value", &["SET", "key:{key}", "xxxxxxxx"]),
    (
        "64-byte value",
        &["SET", "key:{key}", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"],
    ),
    (
        "64-byte value, expiring",
        &[
            "SET",
            "key:{key}",
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "EX",
            "100000",
        ],
    ),
    ("integer value", &["SET", "key:{key}", "1{key}"]),
];

/// What an element of a collection costs: the name and the command that is sent a million times. But for the first, all go
/// into one key.
pub const COLLECTION_MEMORY: [(&str, &[&str]); 6] = [
    (
        "hash of 5 fields",
        &[
            "HSET",
            "key:{key}",
            "field1",
            "value1",
            "field2",
            "value2",
            "field3",
            "value3",
            "field4",
            "value4",
            "field5",
            "value5",
        ],
    ),
    ("field of a hash", &["HSET", "hash", "f:{key}", "xxxxxxxx"]),
    ("member of a set", &["SADD", "set", "m:{key}"]),
    ("member of a sorted set", &["ZADD", "zset", "{key}", "m:{key}"]),
    ("element of a list", &["RPUSH", "list", "e:{key}"]),
    ("entry of a stream", &["XADD", "stream", "*", "field", "v:{key}"]),
];
