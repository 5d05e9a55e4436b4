//! Compares Ochre with redis-server and valkey-server, side by side on one machine. `make bench` runs it; see [`options::USAGE`].
//!
//! Each server runs on one core, and this program, their only client, on another. All are measured with the same requests in the
//! same order, in rounds that alternate between them, and the median of the rounds counts. Ratios are Ochre's value over the
//! peer's: for requests per second more than 1 is better, for everything else less.
//!
//! - [`aof`] is throughput with an append-only file;
//! - [`rows`] is the table of what is measured, and where to add to it;
//! - [`throughput`], [`memory`], [`latency`], [`persistence`] and [`growth`] are the sections;
//! - [`load`] is the client, with [`requests`] (bytes to send) and [`replies`] (counting what comes);
//! - [`programs`] finds the programs, [`servers`] and [`procfs`] start and watch them, [`report`] prints.

mod aof;
mod growth;
mod latency;
mod load;
mod memory;
mod options;
mod persistence;
mod procfs;
#[path = "../common/programs.rs"]
mod programs;
mod replies;
mod report;
mod requests;
mod rows;
mod servers;
mod throughput;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use options::{Options, Part};
use report::Report;
use servers::{Program, Server};
use std::process::ExitCode;

/// Whatever goes wrong ends the run with its text.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Descriptors that 5,000 connections and everything else need, on both sides.
const DESCRIPTORS: u64 = 12_000;

/// What every section works with.
struct Bench {
    options: Options,
    /// Ochre, then its peers.
    programs: Vec<Program>,
}

impl Bench {
    /// Starts all programs.
    fn start_all(&self) -> Result<Vec<Server>> {
        self.programs.iter().map(|program| Server::start(program, self.options.server_core)).collect()
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let Some(options) = Options::parse(std::env::args().skip(1))? else {
        print!("{}", options::USAGE);
        return Ok(());
    };
    raise_descriptor_limit()?;
    let programs = servers::find(&options.ochre)?;
    if let Some(core) = options.client_core {
        servers::pin(core)?;
    }
    let names: Vec<String> = programs.iter().map(|program| program.name.clone()).collect();
    eprintln!("Comparing {}.", names.join(", "));
    let mut report = Report::new(names);
    let bench = Bench { options, programs };
    for part in &bench.options.parts {
        match part {
            Part::Throughput => throughput::run(&bench, &mut report)?,
            Part::Memory => memory::run(&bench, &mut report)?,
            Part::Latency => latency::run(&bench, &mut report)?,
            Part::Persistence => {
                persistence::run(&bench, &mut report)?;
                aof::run(&bench, &mut report)?;
            }
            Part::Growth => growth::run(&bench, &mut report)?,
        }
    }
    report.print();
    match &bench.options.json {
        Some(path) => report.write_json(path),
        None => Ok(()),
    }
}

/// Raises the soft limit, which the servers inherit, to the hard one. What does not suffice for the row with the most connections
/// makes that row fail.
fn raise_descriptor_limit() -> Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < DESCRIPTORS {
        setrlimit(Resource::RLIMIT_NOFILE, DESCRIPTORS.min(hard), hard)?;
    }
    Ok(())
}
