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
}

impl Row {
    /// Requests of one measurement, chosen so that it takes a second or two. Depth makes a request cheaper.
    pub fn default_requests(&self) -> u64 {
        match self.pipeline {
            1 => 200_000,
            2..=31 => 1_500_000,
            _ => 4_000_000,
        }
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
                rows.push(Row { name, dataset, request, connections: 50, pipeline });
            }
        }
    }
    for (command, request) in [("GET", GET), ("SET", SET)] {
        let name = format!("{command}, 1M keys, 5,000 connections");
        rows.push(Row { name, dataset: &MILLION, request, connections: 5_000, pipeline: 1 });
    }
    rows
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
