//! Latency below saturation: every server gets the same requests at the same times, at half the rate that the slowest of them
//! can serve.

use crate::load::{ClosedLoop, OpenLoop};
use crate::report::Report;
use crate::requests::{Numbers, Template};
use crate::rows::{self, Row};
use crate::servers::Server;
use crate::{Bench, Result, throughput};
use std::time::Duration;

/// The part of what the slowest server can do that all of them get.
const LOAD: f64 = 0.5;
const CALIBRATION_REQUESTS: u64 = 100_000;
const SECONDS: u64 = 10;
const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("longest", 1.0)];

/// Measures every row that the options select.
pub fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let selected = |row: &Row| bench.options.selects(&format!("latency, {}", row.name));
    let rows: Vec<Row> = rows::latency().into_iter().filter(selected).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let servers = bench.start_all()?;
    for server in &servers {
        throughput::load(server, &rows::MILLION)?;
    }
    let rate = match bench.options.rate {
        Some(rate) => rate,
        None => calibrate(&servers, &rows[0])?,
    };
    let section = report.section(&format!("Latency at {rate} requests a second, 50 connections, µs"), 0);
    let duration = Duration::from_secs(SECONDS) / bench.options.haste as u32;
    for row in &rows {
        let template = Template::new(row.request);
        for round in 0..bench.options.rounds {
            for (index, server) in servers.iter().enumerate() {
                let mut load = OpenLoop::open(server.address, row.connections, &template)?;
                let mut numbers = Numbers::Random { state: round, keys: row.dataset.keys };
                load.run(rate, duration / 10, &mut numbers)?;
                let latencies = load.run(rate, duration, &mut numbers)?;
                for (name, quantile) in QUANTILES {
                    let us = latencies.value_at_quantile(quantile) as f64 / 1e3;
                    report.record(section, &format!("{}, {name}", row.name), index, us, &[]);
                }
                drop(load);
                server.settle()?;
            }
        }
        for (name, _) in QUANTILES {
            report.progress(section, &format!("{}, {name}", row.name));
        }
    }
    Ok(())
}

/// Half of what the slowest server can do, in round numbers.
fn calibrate(servers: &[Server], row: &Row) -> Result<u64> {
    let mut slowest = f64::INFINITY;
    for server in servers {
        let mut load = ClosedLoop::open(server.address, row.connections, &Template::new(row.request), 1)?;
        let mut numbers = Numbers::Random { state: 0, keys: row.dataset.keys };
        let (requests, elapsed) = load.run(CALIBRATION_REQUESTS, &mut numbers)?;
        slowest = slowest.min(requests as f64 / elapsed.as_secs_f64());
        drop(load);
        server.settle()?;
    }
    Ok(((slowest * LOAD / 1_000.0) as u64).max(1) * 1_000)
}
