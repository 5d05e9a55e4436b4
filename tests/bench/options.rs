//! The command line.

use crate::Result;
use std::path::PathBuf;

/// What `--help` prints.
pub const USAGE: &str = "\
usage: make bench ARGS='OPTION…'

Loads Ochre and the peers that are found in turn, and prints ratios. Peers: the programs in OCHRE_PEERS (separated by
colons), or the newest redis-server and valkey-server in ~/.cache/ochre/*/src (OCHRE_CACHE) and in the path.

  --quick             one round, a fifth of the requests
  --rounds N          rounds, of which the median counts (default: 5)
  --requests N        requests of each throughput measurement (default: by pipeline, for a second or two)
  --rows TEXT         only rows whose name contains TEXT; several texts are separated by |,
                      and one that ends with $ must be the name's end
  --only SECTIONS     throughput, memory, latency, persistence, growth, separated by commas
                      (default: all but growth)
  --growth            growth as well
  --growth-keys N     keys that growth creates (default: 10000000)
  --snapshot-keys N   keys that are saved in the background (default: 5000000)
  --rate N            requests a second of the latency section (default: half of what the slowest server can do)
                      and while a child saves (default: 10000)
  --cores S,C         pin the servers to core S and the client to core C (default: 0,1; none with a single core)
  --ochre PATH        Ochre's program (default: src/redis-server)
  --json FILE         write every sample
  --help              this text
";

/// The sections of a run.
#[derive(Clone, Copy, PartialEq)]
pub enum Part {
    /// Requests per second and processor time.
    Throughput,
    /// Bytes per key.
    Memory,
    /// Quantiles at a fixed rate.
    Latency,
    /// RDB files and the append-only file.
    Persistence,
    /// The longest request while a table grows.
    Growth,
}

/// What the command line asks for.
pub struct Options {
    /// The sections, in the order of their running.
    pub parts: Vec<Part>,
    /// How often everything is measured.
    pub rounds: u64,
    /// What default amounts of work are divided by.
    pub haste: u64,
    /// Requests of a throughput measurement, if not the row's own number.
    pub requests: Option<u64>,
    /// Requests a second in the latency section.
    pub rate: Option<u64>,
    /// Keys of the growth section.
    pub growth_keys: u64,
    /// Keys that are saved in the background.
    pub snapshot_keys: u64,
    /// The core of the servers.
    pub server_core: Option<usize>,
    /// The core of the client.
    pub client_core: Option<usize>,
    /// Ochre's program.
    pub ochre: PathBuf,
    /// Where the samples go.
    pub json: Option<PathBuf>,
    rows: Vec<String>,
}

impl Options {
    /// Reads the arguments; `None` asks for the usage.
    pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Option<Self>> {
        let cores = std::thread::available_parallelism()?.get();
        let mut options = Options {
            parts: vec![Part::Throughput, Part::Memory, Part::Latency, Part::Persistence],
            rounds: 5,
            haste: 1,
            requests: None,
            rate: None,
            growth_keys: 10_000_000,
            snapshot_keys: 5_000_000,
            server_core: (cores > 1).then_some(0),
            client_core: (cores > 1).then_some(1),
            ochre: PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/redis-server")),
            json: None,
            rows: Vec::new(),
        };
        let mut arguments = arguments;
        while let Some(name) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{name} needs a value"));
            match name.as_str() {
                "--quick" => (options.rounds, options.haste) = (1, 5),
                "--rounds" => options.rounds = positive(&value()?)?,
                "--requests" => options.requests = Some(positive(&value()?)?),
                "--rows" => options.rows = value()?.split('|').map(str::to_lowercase).collect(),
                "--only" => options.parts = value()?.split(',').map(part).collect::<Result<_>>()?,
                "--growth" if !options.parts.contains(&Part::Growth) => options.parts.push(Part::Growth),
                "--growth" => {}
                "--growth-keys" => options.growth_keys = positive(&value()?)?.min(crate::requests::KEYS_MAX),
                "--snapshot-keys" => {
                    let keys = positive(&value()?)?.next_multiple_of(1_000);
                    options.snapshot_keys = keys.min(crate::requests::KEYS_MAX);
                }
                "--rate" => options.rate = Some(positive(&value()?)?),
                "--cores" => {
                    let value = value()?;
                    let (server, client) = value.split_once(',').ok_or("--cores takes two numbers")?;
                    options.server_core = Some(server.parse()?);
                    options.client_core = Some(client.parse()?);
                }
                "--ochre" => options.ochre = value()?.into(),
                "--json" => options.json = Some(value()?.into()),
                "--help" => return Ok(None),
                "--bench" => {} // cargo adds it.
                _ => return Err(format!("unknown option {name}\n{USAGE}").into()),
            }
        }
        Ok(Some(options))
    }

    /// Whether a row of this name is to be measured.
    pub fn selects(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        let is_meant = |text: &String| match text.strip_suffix('$') {
            Some(end) => name.ends_with(end),
            None => name.contains(text.as_str()),
        };
        self.rows.is_empty() || self.rows.iter().any(is_meant)
    }
}

fn part(name: &str) -> Result<Part> {
    match name {
        "throughput" => Ok(Part::Throughput),
        "memory" => Ok(Part::Memory),
        "latency" => Ok(Part::Latency),
        "persistence" => Ok(Part::Persistence),
        "growth" => Ok(Part::Growth),
        _ => Err(format!("there is no section {name}").into()),
    }
}

fn positive(text: &str) -> Result<u64> {
    text.parse().ok().filter(|&number| number > 0).ok_or(format!("{text} is not a positive number").into())
}
