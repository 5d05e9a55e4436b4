//! RDB files: how long a server takes to write and to load one, and what its clients feel while a child writes it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::load::OpenLoop;
use crate::procfs::CpuTime;
use crate::report::Report;
use crate::requests::{Numbers, Template};
use crate::rows::PERSISTED;
use crate::servers::{Program, Server};
use crate::{Bench, Result, throughput};

/// GETs a second while a child saves, unless the options say otherwise.
const RATE: u64 = 10_000;
const CONNECTIONS: usize = 50;
/// How long is measured at a time while a child saves.
const SLICE: Duration = Duration::from_millis(500);
/// Writes that are sent at once while a child saves, and the pause between.
const WRITES: usize = 50;
const PAUSE: Duration = Duration::from_millis(10);

/// Measures files, then saves in the background.
pub fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    files(bench, report)?;
    snapshots(bench, report)
}

fn files(bench: &Bench, report: &mut Report) -> Result<()> {
    let selected = |name: &str| bench.options.selects(&format!("persistence, {name}"));
    let rows: Vec<_> = PERSISTED.iter().filter(|(name, _)| selected(name)).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let section = report.section("RDB files, ms", 0);
    let cpu_section = report.section("RDB files, server CPU ms (user + system)", 0);
    let servers = bench.start_all()?;
    for (name, dataset) in rows {
        for server in &servers {
            throughput::load(server, dataset)?;
        }
        let (save, load) = (format!("SAVE, {name}"), format!("load, {name}"));
        for _ in 0..bench.options.rounds {
            for (index, server) in servers.iter().enumerate() {
                let mut control = server.control()?;
                let mut measure = |row: &str, words: &[&str]| -> Result<()> {
                    let (begun, before) = (Instant::now(), CpuTime::of(server.pid())?);
                    control.call(words)?;
                    let elapsed = begun.elapsed();
                    let used = CpuTime::of(server.pid())?.since(&before);
                    report.record(section, row, index, ms(elapsed), &[]);
                    report.record(
                        cpu_section,
                        row,
                        index,
                        ms(used.total()),
                        &[ms(used.user), ms(used.system)],
                    );
                    Ok(())
                };
                measure(&save, &["SAVE"])?;
                // What there was is gone before the file is loaded.
                server.control()?.call(&["FLUSHALL", "SYNC"])?;
                server.settle()?;
                measure(&load, &["DEBUG", "RELOAD", "NOSAVE", "NOFLUSH"])?;
                server.settle()?;
            }
        }
        for section in [section, cpu_section] {
            report.progress(section, &save);
            report.progress(section, &load);
        }
    }
    Ok(())
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Sends writes to keys of the dataset until it is dropped.
struct Writer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    fn start(address: SocketAddr, keys: u64) -> Result<Writer> {
        let mut stream = TcpStream::connect(address)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            let (mut state, mut replies) = (1_u64, [0; 5 * WRITES]);
            while !stopped.load(Ordering::Relaxed) {
                let mut batch = String::new();
                for _ in 0..WRITES {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    batch.push_str(&format!("SET key:{:012} yyyyyyyy\r\n", (state >> 33) % keys));
                }
                // The server is gone when the measurement is over.
                if stream.write_all(batch.as_bytes()).is_err() || stream.read_exact(&mut replies).is_err() {
                    return;
                }
                thread::sleep(PAUSE);
            }
        });
        Ok(Writer { stop, thread: Some(thread) })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It panics no more than it fails.
            let _ = thread.join();
        }
    }
}

fn snapshots(bench: &Bench, report: &mut Report) -> Result<()> {
    if !bench.options.selects("persistence, GET during BGSAVE") {
        return Ok(());
    }
    let keys = bench.options.snapshot_keys;
    let section = report.section(&format!("BGSAVE of {keys} keys under writes"), 0);
    for (index, program) in bench.programs.iter().enumerate() {
        let snapshot = snapshot(bench, program, keys)?;
        let us = |quantile| snapshot.latencies.value_at_quantile(quantile) as f64 / 1e3;
        for (row, value) in [
            ("GET, p50, µs", us(0.5)),
            ("GET, p99.9, µs", us(0.999)),
            ("GET, longest, µs", us(1.0)),
            ("fork, µs", snapshot.fork_us),
            ("copied, KiB", snapshot.copied / 1024.0),
            ("time, ms", ms(snapshot.time)),
        ] {
            report.record(section, row, index, value, &[]);
        }
    }
    for row in ["GET, p50, µs", "GET, p99.9, µs", "GET, longest, µs", "fork, µs", "copied, KiB", "time, ms"]
    {
        report.progress(section, row);
    }
    Ok(())
}

/// What a save in the background has cost.
struct Snapshot {
    latencies: Histogram<u64>,
    fork_us: f64,
    copied: f64,
    time: Duration,
}

fn snapshot(bench: &Bench, program: &Program, keys: u64) -> Result<Snapshot> {
    let server = Server::start(program, bench.options.server_core)?;
    throughput::create_keys(&server, &["SET", "key:{key}", "xxxxxxxx"], keys)?;
    server.settle()?;
    let mut control = server.control()?;
    let mut load = OpenLoop::open(server.address, CONNECTIONS, &Template::new(&["GET", "key:{key}"]))?;
    let mut numbers = Numbers::Random { state: 0, keys };
    let rate = bench.options.rate.unwrap_or(RATE);
    load.run(rate, SLICE, &mut numbers)?;
    let writer = Writer::start(server.address, keys)?;
    let begun = Instant::now();
    control.call(&["BGSAVE"])?;
    let mut latencies = load.run(rate, SLICE, &mut numbers)?;
    while control.info("persistence", "rdb_bgsave_in_progress")? != 0 {
        latencies.add(load.run(rate, SLICE, &mut numbers)?)?;
    }
    let time = begun.elapsed();
    drop(writer);
    Ok(Snapshot {
        latencies,
        fork_us: control.info("stats", "latest_fork_usec")? as f64,
        copied: control.info("persistence", "rdb_last_cow_size")? as f64,
        time,
    })
}
