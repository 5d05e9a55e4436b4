//! Requests per second, and the processor time that a request costs the server.
//!
//! The second is the headline: it does not depend on how fast the client is, and is steady on a machine that is not. All servers
//! stay up, and are measured in turns, round after round, so that what the machine does meanwhile falls on all of them.

use crate::load::ClosedLoop;
use crate::options::Options;
use crate::procfs::CpuTime;
use crate::report::{Report, SectionId};
use crate::requests::{Numbers, Template};
use crate::rows::{self, Dataset, Row};
use crate::servers::Server;
use crate::{Bench, Result};

/// The connections and the pipeline that load a dataset.
const LOADERS: usize = 10;
const LOAD_PIPELINE: usize = 100;
/// The part of a measurement that is sent before it and not counted.
const WARM_UP: u64 = 10;

/// Measures every row that the options select.
pub fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let rows: Vec<Row> =
        rows::throughput().into_iter().filter(|row| bench.options.selects(&row.name)).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let sections = Sections {
        rate: report.section("Requests per second", 0),
        cpu: report.section("Server CPU per request, µs (user + system)", 2),
    };
    report.show_mean(sections.rate);
    report.show_mean(sections.cpu);
    let servers = bench.start_all()?;
    let mut held: Option<&Dataset> = None;
    for row in &rows {
        if held != Some(row.dataset) {
            for server in &servers {
                load(server, row.dataset)?;
            }
            held = Some(row.dataset);
        }
        for round in 0..bench.options.rounds {
            for (index, server) in servers.iter().enumerate() {
                let context = |error| format!("{}, {}: {error}", bench.programs[index].name, row.name);
                let measured = measure(server, row, round, &bench.options).map_err(context)?;
                sections.record(report, &row.name, index, &measured);
            }
        }
        report.progress(sections.rate, &row.name);
        report.progress(sections.cpu, &row.name);
    }
    Ok(())
}

/// Where measurements are recorded.
#[derive(Clone, Copy)]
pub struct Sections {
    /// Requests per second.
    pub rate: SectionId,
    /// Processor time.
    pub cpu: SectionId,
}

/// What a row cost.
pub struct Measured {
    requests_per_second: f64,
    user_us: f64,
    system_us: f64,
}

impl Sections {
    /// Records a measurement.
    pub fn record(&self, report: &mut Report, row: &str, server: usize, measured: &Measured) {
        let Measured { requests_per_second, user_us, system_us } = *measured;
        report.record(self.rate, row, server, requests_per_second, &[]);
        report.record(self.cpu, row, server, user_us + system_us, &[user_us, system_us]);
    }
}

/// Empties a server and gives it a dataset.
pub fn load(server: &Server, dataset: &Dataset) -> Result<()> {
    server.control()?.call(&["FLUSHALL"])?;
    for command in dataset.load {
        create_keys(server, command, dataset.keys)?;
    }
    server.settle()
}

/// Sends `command` for each of `keys` keys; there must be a multiple of a thousand.
pub fn create_keys(server: &Server, command: &[&str], keys: u64) -> Result<()> {
    assert!(keys.is_multiple_of((LOADERS * LOAD_PIPELINE) as u64) && keys <= crate::requests::KEYS_MAX);
    let mut load = ClosedLoop::open(server.address, LOADERS, &Template::new(command), LOAD_PIPELINE)?;
    load.run(keys, &mut Numbers::Sequence(0))?;
    Ok(())
}

/// Measures a row on a server that holds its dataset.
pub fn measure(server: &Server, row: &Row, round: u64, options: &Options) -> Result<Measured> {
    let requests = options.requests.unwrap_or_else(|| row.default_requests() / options.haste);
    let mut numbers = Numbers::Random { state: round, keys: row.dataset.keys };
    let mut load =
        ClosedLoop::open(server.address, row.connections, &Template::new(row.request), row.pipeline)?;
    load.run(requests / WARM_UP, &mut numbers)?;
    let before = CpuTime::of(server.pid())?;
    let (sent, elapsed) = load.run(requests, &mut numbers)?;
    let used = CpuTime::of(server.pid())?.since(&before);
    drop(load);
    server.settle()?;
    let sent = sent as f64;
    Ok(Measured {
        requests_per_second: sent / elapsed.as_secs_f64(),
        user_us: used.user.as_secs_f64() * 1e6 / sent,
        system_us: used.system.as_secs_f64() * 1e6 / sent,
    })
}
