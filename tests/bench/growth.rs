//! The longest pause while a table grows: one connection creates keys, one request at a time, and every request is timed. A run
//! of as many PINGs on the same connection beforehand tells what the machine does on its own.
//!
//! On a shared machine a request may take long because the server, or the client, was not running. So the server's processor time
//! is read every few requests as well: work that the server did shows in it, and waiting does not. Its figure for a slow request
//! is the time spent since the reading before, less what the other requests since then cost on average.

use crate::report::{Report, SectionId};
use crate::requests::{Batch, Numbers, Template};
use crate::servers::{Program, Server};
use crate::{Bench, Result, procfs};
use hdrhistogram::Histogram;
use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

/// Requests between two readings of the server's processor time.
const READING_EVERY: u64 = 16;
/// What counts as a slow request, and is what no request may take because of the table.
const SLOW: Duration = Duration::from_millis(2);
/// Slow requests that are listed one by one: those that cost the server the most.
const LISTED_MAX: usize = 5;
const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999)];

/// Measures every server in turn.
pub fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let keys = bench.options.growth_keys;
    let section = report.section(&format!("Growing to {keys} keys, one request at a time, µs"), 0);
    for (index, program) in bench.programs.iter().enumerate() {
        let server = Server::start(program, bench.options.server_core)?;
        for (name, command) in [("PING", &["PING"][..]), ("SET", &["SET", "key:{key}", "xxxxxxxx"])] {
            eprintln!("{}: {keys} times {name}", program.name);
            let observed = observe(&server, command, keys)?;
            observed.record(report, section, name, index);
            observed.note(report, program, name);
        }
    }
    Ok(())
}

struct Observed {
    /// Nanoseconds on the client's clock.
    latencies: Histogram<u64>,
    /// The most processor time that the server spent between two readings.
    cpu_max: Duration,
    slow: Vec<Slow>,
}

struct Slow {
    /// Requests sent before it: the size of the table.
    at: u64,
    wall: Duration,
    /// Processor time of the server, as near as it can be told.
    cpu: Duration,
}

fn observe(server: &Server, command: &[&str], count: u64) -> Result<Observed> {
    let mut stream = TcpStream::connect(server.address)?;
    stream.set_nodelay(true)?;
    let mut request = Batch::new(&Template::new(command), 1);
    let mut numbers = Numbers::Sequence(0);
    let mut reply = [0; 64];
    let clock = CpuClock::open(server.pid())?;
    let mut observed = Observed { latencies: Histogram::new(3)?, cpu_max: Duration::ZERO, slow: Vec::new() };
    let first_reading = clock.read()?;
    let mut reading = first_reading;
    let mut read_at = 0;
    for nth in 0..count {
        request.fill(&mut numbers);
        let started = Instant::now();
        stream.write_all(request.bytes())?;
        let length = stream.read(&mut reply)?;
        let wall = started.elapsed();
        // Both commands answer with a short status, which loopback does not split.
        if !matches!(&reply[..length], b"+OK\r\n" | b"+PONG\r\n") {
            return Err(format!("answered with {:?}", String::from_utf8_lossy(&reply[..length])).into());
        }
        observed.latencies.record(wall.as_nanos() as u64)?;
        let requests = nth + 1 - read_at;
        if wall >= SLOW || requests == READING_EVERY {
            let now = clock.read()?;
            let spent = now - reading;
            observed.cpu_max = observed.cpu_max.max(spent);
            if wall >= SLOW {
                let mean = (reading - first_reading).checked_div(read_at as u32).unwrap_or_default();
                let cpu = spent.saturating_sub(mean * (requests - 1) as u32);
                observed.slow.push(Slow { at: nth, wall, cpu });
            }
            (reading, read_at) = (now, nth + 1);
        }
    }
    Ok(observed)
}

impl Observed {
    fn record(&self, report: &mut Report, section: SectionId, name: &str, server: usize) {
        let us = |duration: Duration| duration.as_nanos() as f64 / 1e3;
        for (label, quantile) in QUANTILES {
            let value = self.latencies.value_at_quantile(quantile) as f64 / 1e3;
            report.record(section, &format!("{name}, {label}"), server, value, &[]);
        }
        report.record(section, &format!("{name}, longest"), server, self.latencies.max() as f64 / 1e3, &[]);
        let row = format!("{name}, most server CPU in {READING_EVERY} requests");
        report.record(section, &row, server, us(self.cpu_max), &[]);
    }

    fn note(&self, report: &mut Report, program: &Program, name: &str) {
        let by_table = self.slow.iter().filter(|slow| slow.cpu >= SLOW).count();
        let ms = |duration: Duration| format!("{:.2}", duration.as_secs_f64() * 1e3);
        let mut costliest: Vec<&Slow> = self.slow.iter().collect();
        costliest.sort_by_key(|slow| std::cmp::Reverse(slow.cpu));
        let listed = costliest.iter().take(LISTED_MAX);
        let listed = listed.map(|slow| format!("{} ms (CPU {}) at {}", ms(slow.wall), ms(slow.cpu), slow.at));
        let listed: Vec<String> = listed.collect();
        report.note(format!(
            "{}: {} {name} requests took {} ms or longer, {by_table} of them by the server's own work{}{}",
            program.name,
            self.slow.len(),
            ms(SLOW),
            if listed.is_empty() { "." } else { ": " },
            listed.join("; "),
        ));
    }
}

/// A process's processor time, from a file that is kept open: a reading costs one system call.
struct CpuClock {
    schedstat: File,
}

impl CpuClock {
    /// Of the process's first thread: the one that serves requests.
    fn open(pid: u32) -> Result<Self> {
        Ok(CpuClock { schedstat: File::open(format!("/proc/{pid}/schedstat"))? })
    }

    fn read(&self) -> Result<Duration> {
        let mut text = [0; 128];
        let length = self.schedstat.read_at(&mut text, 0)?;
        Ok(procfs::on_cpu(std::str::from_utf8(&text[..length])?)?)
    }
}
