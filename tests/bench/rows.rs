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

/// A script of one command.
const SCRIPT_ONE: &str = "return redis.call('GET', KEYS[1])";
/// A script of ten commands, in the shape of a job that is taken from a queue.
const SCRIPT_TEN: &str = "\
local id = redis.call('INCR', KEYS[1] .. ':id')
redis.call('HSET', KEYS[1] .. ':job', 'id', id, 'state', 'new')
redis.call('LPUSH', KEYS[1] .. ':wait', id)
redis.call('ZADD', KEYS[1] .. ':due', id, id)
local next = redis.call('RPOP', KEYS[1] .. ':wait')
redis.call('ZREM', KEYS[1] .. ':due', next)
redis.call('HSET', KEYS[1] .. ':job', 'state', 'active')
redis.call('SADD', KEYS[1] .. ':active', next)
redis.call('SREM', KEYS[1] .. ':active', next)
return redis.call('HGET', KEYS[1] .. ':job', 'state')";
/// A script that reads and writes a kilobyte of JSON.
const SCRIPT_JSON: &str = "return #cjson.encode(cjson.decode(redis.call('GET', KEYS[1])))";
/// A script of a thousand commands.
const SCRIPT_LOOP: &str = "for i = 1, 1000 do redis.call('GET', KEYS[1]) end";
/// A script that looks for the names in a kilobyte of JSON.
const SCRIPT_NAMES: &str =
    r#"local n = 0 for name in redis.call('GET', KEYS[1]):gmatch('"(%w+)":') do n = n + #name end return n"#;
/// A script that replies a thousand numbers.
const SCRIPT_ARRAY: &str = "local t = {} for i = 1, 1000 do t[i] = i end return t";
/// What these are called by. A server that calls them otherwise answers NOSCRIPT, which ends the run.
const SHA_ONE: &str = "d3c21d0c2b9ca22f82737626a27bcaf5d288f99f";
const SHA_TEN: &str = "26dfd1dcfc3c885b857eda213e0bcce6a4df9aa6";
const SHA_JSON: &str = "79697fcb2b63325a2bb0c6150875852c1a0c5671";
const SHA_LOOP: &str = "c1a2fe35f908717a4016f8a5ad9a0e6a12aacea9";
const SHA_NAMES: &str = "dd79e3f211a47711d0541d49c1837a85223a3494";
const SHA_ARRAY: &str = "d6380a585c91d9ee7f646e698a42bf4e1ae6f7aa";
/// A library of one function, which does what [`SCRIPT_ONE`] does.
const LIBRARY: &str = "\
#!lua name=bench
redis.register_function{function_name = 'get', flags = {'no-writes'}, callback = function(keys)
  return redis.call('GET', keys[1])
end}";
/// An order, in a kilobyte of JSON.
const JSON: &str = "\
    {\"id\":\"7f9c24e8-3b1d-4c55-9e1a-0d4a6b2f8c11\",\"type\":\"order\",\"created\":1712345678,\"paid\":true,\
    \"total\":149.95,\"currency\":\"EUR\",\"customer\":{\"name\":\"Ada Example\",\"email\":\"ada@example.com\",\
    \"address\":{\"street\":\"1 Analytical Way\",\"city\":\"London\",\"zip\":\"N1 9GU\",\"country\":\"GB\"}},\
    \"items\":[{\"sku\":\"SKU-0000\",\"title\":\"Article number 0\",\"quantity\":1,\"price\":9.5,\"tags\":[\"new\",\
    \"sale\",\"blue\"]},{\"sku\":\"SKU-0001\",\"title\":\"Article number 1\",\"quantity\":2,\"price\":10.5,\
    \"tags\":[\"new\",\"sale\",\"blue\"]},{\"sku\":\"SKU-0002\",\"title\":\"Article number 2\",\"quantity\":3,\
    \"price\":11.5,\"tags\":[\"new\",\"sale\",\"blue\"]},{\"sku\":\"SKU-0003\",\"title\":\"Article number 3\",\
    \"quantity\":4,\"price\":12.5,\"tags\":[\"new\",\"sale\",\"blue\"]},{\"sku\":\"SKU-0004\",\
    \"title\":\"Article number 4\",\"quantity\":5,\"price\":13.5,\"tags\":[\"new\",\"sale\",\"blue\"]},\
    {\"sku\":\"SKU-0005\",\"title\":\"Article number 5\",\"quantity\":6,\"price\":14.5,\"tags\":[\"new\",\"sale\",\
    \"blue\"]}],\"notes\":null,\"history\":[{\"at\":1712345678,\"state\":\"created\"},{\"at\":1712345738,\
    \"state\":\"paid\"},{\"at\":1712345798,\"state\":\"packed\"},{\"at\":1712345858,\"state\":\"shipped\"}]}";
/// Scripts, functions, and the keys that they work on.
const SCRIPTED: Dataset = Dataset {
    keys: 1_000,
    // What has no key is loaded as often as there are keys; that does not matter.
    load: &[
        &["SET", "key:{key}", "xxxxxxxx"],
        &["SET", "json:{key}", JSON],
        &["SCRIPT", "LOAD", SCRIPT_ONE],
        &["SCRIPT", "LOAD", SCRIPT_TEN],
        &["SCRIPT", "LOAD", SCRIPT_JSON],
        &["SCRIPT", "LOAD", SCRIPT_LOOP],
        &["SCRIPT", "LOAD", SCRIPT_NAMES],
        &["SCRIPT", "LOAD", SCRIPT_ARRAY],
        &["FUNCTION", "LOAD", "REPLACE", LIBRARY],
    ],
};
/// What is written to a file and loaded from it.
pub const PERSISTED: [(&str, &Dataset); 4] = [
    ("1M strings", &MILLION),
    (
        "1M small hashes",
        &Dataset {
            keys: 1_000_000,
            load: &[&[
                "HSET",
                "hash:{key}",
                "name",
                "n{key}",
                "city",
                "xxxxxxxx",
                "age",
                "42",
                "mail",
                "m@{key}",
            ]],
        },
    ),
    ("sorted set of 1M", &ZSET),
    ("stream of 1M", &Dataset { keys: 1_000_000, load: &[&["XADD", "stream", "*", "field", "xxxxxxxx"]] }),
];

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

/// Rows of the other types and of scripts, all at pipeline 16.
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
    let rows: [(&str, &'static Dataset, &'static [&'static str], u64); 29] = [
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
        ("EVALSHA of one command", &SCRIPTED, &["EVALSHA", SHA_ONE, "1", "key:{key}"], 5),
        ("EVALSHA of ten commands", &SCRIPTED, &["EVALSHA", SHA_TEN, "1", "key:{key}"], 30),
        ("FCALL of one command", &SCRIPTED, &["FCALL", "get", "1", "key:{key}"], 5),
        ("EVALSHA of 1 KB of JSON", &SCRIPTED, &["EVALSHA", SHA_JSON, "1", "json:{key}"], 50),
        ("EVALSHA of 1,000 commands", &SCRIPTED, &["EVALSHA", SHA_LOOP, "1", "key:{key}"], 1_500),
        ("EVALSHA of a pattern on 1 KB", &SCRIPTED, &["EVALSHA", SHA_NAMES, "1", "json:{key}"], 30),
        ("EVALSHA replying 1,000 numbers", &SCRIPTED, &["EVALSHA", SHA_ARRAY, "0"], 200),
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
