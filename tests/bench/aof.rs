//! The append-only file: writes a second with `appendfsync everysec` and `always`, and what they cost the server.
//!
//! The disk is the machine's, and the same for all: with `always` it is what is measured first of all, and how many clients
//! share each of its syncs.

use std::thread;
use std::time::Duration;

use crate::report::Report;
use crate::rows::{MILLION, Row};
use crate::servers::Server;
use crate::{Bench, Result, throughput};

/// A policy of `appendfsync`, connections, the pipeline, and how many times a GET's work a request is.
const LOADS: [(&str, usize, usize, u64); 5] = [
    ("everysec", 50, 1, 1),
    ("everysec", 50, 16, 2),
    ("everysec", 1, 100, 4),
    ("always", 50, 1, 20),
    ("always", 50, 16, 20),
];

/// How long the first base may take.
const BASE_LIMIT: Duration = Duration::from_secs(60);

/// Measures every load that the options select.
pub fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let rows: Vec<(&str, Row)> = LOADS
        .iter()
        .map(|&(policy, connections, pipeline, weight)| {
            let name = format!("AOF {policy}, SET, {connections} connections, pipeline {pipeline}");
            let request = &["SET", "key:{key}", "yyyyyyyy"];
            (policy, Row { name, dataset: &MILLION, request, connections, pipeline, weight })
        })
        .filter(|(_, row)| bench.options.selects(&row.name))
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let sections = throughput::Sections {
        rate: report.section("Append-only file: requests per second", 0),
        cpu: report.section("Append-only file: server CPU per request, µs (user + system)", 2),
    };
    let servers = bench.start_all()?;
    for server in &servers {
        throughput::load(server, &MILLION)?;
        switch_on(server)?;
    }
    for (policy, row) in &rows {
        for server in &servers {
            server.control()?.call(&["CONFIG", "SET", "appendfsync", policy])?;
        }
        for round in 0..bench.options.rounds {
            for (index, server) in servers.iter().enumerate() {
                let context = |error| format!("{}, {}: {error}", bench.programs[index].name, row.name);
                let measured = throughput::measure(server, row, round, &bench.options).map_err(context)?;
                sections.record(report, &row.name, index, &measured);
            }
        }
        report.progress(sections.rate, &row.name);
        report.progress(sections.cpu, &row.name);
    }
    Ok(())
}

/// Switches the file on, and waits until its base is written.
fn switch_on(server: &Server) -> Result<()> {
    const STEP: Duration = Duration::from_millis(100);
    let mut control = server.control()?;
    control.call(&["CONFIG", "SET", "auto-aof-rewrite-percentage", "0"])?;
    control.call(&["CONFIG", "SET", "appendonly", "yes"])?;
    for _ in 0..BASE_LIMIT.as_millis() / STEP.as_millis() {
        thread::sleep(STEP);
        let info = control.call(&["INFO", "persistence"])?;
        if info.contains("aof_rewrite_in_progress:0") && info.contains("aof_rewrite_scheduled:0") {
            return server.settle();
        }
    }
    Err("the base of the append-only file is not written".into())
}
