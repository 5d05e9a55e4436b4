//! Bytes per key and per element: what a million of one kind add to `used_memory` and to the resident set of a server that was just started.

use crate::report::Report;
use crate::rows::{COLLECTION_MEMORY, MEMORY};
use crate::servers::Server;
use crate::{Bench, Result, procfs, throughput};

const KEYS: u64 = 1_000_000;

/// Measures every kind on every server, and their totals.
pub fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    measure(bench, report, "Bytes per key", &MEMORY)?;
    measure(bench, report, "Bytes per element", &COLLECTION_MEMORY)
}

fn measure(bench: &Bench, report: &mut Report, title: &str, kinds: &[(&str, &[&str])]) -> Result<()> {
    let kinds: Vec<_> =
        kinds.iter().filter(|(name, _)| bench.options.selects(&format!("memory, {name}"))).collect();
    if kinds.is_empty() {
        return Ok(());
    }
    let used = report.section(&format!("{title}, used_memory"), 1);
    let resident = report.section(&format!("{title}, resident"), 1);
    let mut totals = vec![(0.0, 0.0); bench.programs.len()];
    for (name, command) in &kinds {
        for (index, program) in bench.programs.iter().enumerate() {
            let server = Server::start(program, bench.options.server_core)?;
            let before = Footprint::of(&server)?;
            throughput::create_keys(&server, command, KEYS)?;
            server.settle()?;
            let after = Footprint::of(&server)?;
            let used_bytes = per_key(before.used, after.used);
            let resident_bytes = per_key(before.resident, after.resident);
            report.record(used, name, index, used_bytes, &[]);
            report.record(resident, name, index, resident_bytes, &[]);
            totals[index].0 += used_bytes;
            totals[index].1 += resident_bytes;
        }
        report.progress(used, name);
        report.progress(resident, name);
    }
    for (index, (used_total, resident_total)) in totals.into_iter().enumerate() {
        report.record(used, "total", index, used_total, &[]);
        report.record(resident, "total", index, resident_total, &[]);
    }
    Ok(())
}

struct Footprint {
    used: u64,
    resident: u64,
}

impl Footprint {
    fn of(server: &Server) -> Result<Self> {
        Ok(Footprint {
            used: server.control()?.used_memory()?,
            resident: procfs::resident_bytes(server.pid())?,
        })
    }
}

fn per_key(before: u64, after: u64) -> f64 {
    (after as f64 - before as f64) / KEYS as f64
}
