//! The latency monitor: which kinds of events have held up the server, when, and for how long.
//!
//! An event that takes `latency-monitor-threshold` milliseconds or more leaves a sample: the second it happened in
//! and its duration. Each kind of event keeps the last [`MAX_SAMPLES`] of them and its worst ever, so the monitor's
//! memory is bounded. Of several samples in one second the worst is kept.
//!
//! The percentiles of every command's duration are another thing: they come from the histograms in
//! [`crate::server::stats`], and LATENCY HISTOGRAM shows those.

mod doctor;
mod graph;
mod histogram;

use std::collections::VecDeque;

use crate::cmd_err;
use crate::server::{Client, CmdResult, Server};

pub use doctor::latency_doctor;
pub use histogram::latency_histogram;

/// Most samples kept of a kind of event.
const MAX_SAMPLES: usize = 160;

const HELP: &[&str] = &[
    "DOCTOR",
    "    Explain in words what has been slow and what may help.",
    "GRAPH <event>",
    "    Draw the samples of the <event> class with characters.",
    "HISTORY <event>",
    "    List time and duration of the samples of the <event> class.",
    "LATEST",
    "    List the latest sample of every event class.",
    "RESET [<event> ...]",
    "    Forget the samples of these <event> classes.",
    "    (default: of all classes)",
    "HISTOGRAM [COMMAND ...]",
    "    Show how the durations of these commands are distributed, as cumulative counts.",
    "    If no command is given, show those of all commands.",
];

/// The kinds of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A command.
    Command,
    /// A command that should take constant or logarithmic time.
    FastCommand,
    /// A run of active expiry.
    ExpireCycle,
    /// The deletion of a single expired key.
    ExpireDel,
    /// A run of eviction.
    EvictionCycle,
    /// The deletion of a single key that had to make room.
    EvictionDel,
    /// The birth of a child that saves.
    Fork,
    /// The removal of the file that a child has left unfinished.
    UnlinkTempFile,
    /// A write to the append-only file.
    AofWrite,
    /// One while the file was being synced.
    AofWritePendingFsync,
    /// One while a child was at work.
    AofWriteActiveChild,
    /// One without either.
    AofWriteAlone,
    /// A sync of the append-only file that clients waited for.
    AofFsyncAlways,
    /// The question for the size of a file.
    AofStat,
    /// A rename at the end of a rewrite.
    AofRename,
}

/// Every kind of event with its name; the position is that of its samples.
const EVENTS: [(Event, &str); 15] = [
    (Event::Command, "command"),
    (Event::FastCommand, "fast-command"),
    (Event::ExpireCycle, "expire-cycle"),
    (Event::ExpireDel, "expire-del"),
    (Event::EvictionCycle, "eviction-cycle"),
    (Event::EvictionDel, "eviction-del"),
    (Event::Fork, "fork"),
    (Event::UnlinkTempFile, "rdb-unlink-temp-file"),
    (Event::AofWrite, "aof-write"),
    (Event::AofWritePendingFsync, "aof-write-pending-fsync"),
    (Event::AofWriteActiveChild, "aof-write-active-child"),
    (Event::AofWriteAlone, "aof-write-alone"),
    (Event::AofFsyncAlways, "aof-fsync-always"),
    (Event::AofStat, "aof-fstat"),
    (Event::AofRename, "aof-rename"),
];

/// When something was slow, and how slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sample {
    /// Unix time in seconds.
    time_s: u64,
    latency_ms: u64,
}

/// The samples of one kind of event, the oldest first. Empty before the first event.
#[derive(Debug, Default)]
struct TimeSeries {
    samples: VecDeque<Sample>,
    /// The worst since the start or the last reset.
    max_ms: u64,
}

impl TimeSeries {
    fn add(&mut self, sample: Sample) {
        self.max_ms = self.max_ms.max(sample.latency_ms);
        if let Some(last) = self.samples.back_mut()
            && last.time_s == sample.time_s
        {
            last.latency_ms = last.latency_ms.max(sample.latency_ms);
            return;
        }
        if self.samples.len() == MAX_SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }
}

/// Events that were slow.
#[derive(Debug, Default)]
pub struct LatencyMonitor {
    series: [TimeSeries; EVENTS.len()],
}

impl LatencyMonitor {
    /// The series of the event of this name, if it has samples.
    fn find(&self, name: &[u8]) -> Option<&TimeSeries> {
        self.with_samples().find(|(event, _)| event.as_bytes() == name).map(|(_, series)| series)
    }

    /// Names and series of the events that have samples.
    fn with_samples(&self) -> impl Iterator<Item = (&'static str, &TimeSeries)> {
        let named = EVENTS.iter().zip(&self.series).map(|((_, name), series)| (*name, series));
        named.filter(|(_, series)| !series.samples.is_empty())
    }

    /// Forgets the samples of the events for which `chosen` says so; returns how many events that were.
    fn reset(&mut self, chosen: impl Fn(&str) -> bool) -> usize {
        let mut count = 0;
        for ((_, name), series) in EVENTS.iter().zip(&mut self.series) {
            if chosen(name) && !series.samples.is_empty() {
                *series = TimeSeries::default();
                count += 1;
            }
        }
        count
    }
}

/// Leaves a sample of an event that took `latency_ms`, if the monitor is on and that is slow.
pub fn add_sample_if_needed(srv: &mut Server, event: Event, latency_ms: u64) {
    let threshold_ms = srv.config.latency_monitor_threshold;
    if threshold_ms == 0 || latency_ms < threshold_ms {
        return;
    }
    let sample = Sample { time_s: srv.clock.unix_s(), latency_ms };
    srv.latency.series[event as usize].add(sample);
}

/// `LATENCY HELP`
pub fn latency_help(_srv: &mut Server, c: &mut Client) -> CmdResult {
    c.out.help("LATENCY", HELP);
    Ok(())
}

/// `LATENCY LATEST`: name, time of the latest sample, its latency, the worst latency.
pub fn latency_latest(srv: &mut Server, c: &mut Client) -> CmdResult {
    c.out.array(srv.latency.with_samples().count());
    for (name, series) in srv.latency.with_samples() {
        let latest = series.samples.back().expect("the series has samples");
        c.out.array(4);
        c.out.bulk(name.as_bytes());
        c.out.int(latest.time_s as i64);
        c.out.int(latest.latency_ms as i64);
        c.out.int(series.max_ms as i64);
    }
    Ok(())
}

/// `LATENCY HISTORY event`
pub fn latency_history(srv: &mut Server, c: &mut Client) -> CmdResult {
    let Some(series) = srv.latency.find(c.argv.get(2)) else {
        c.out.array(0);
        return Ok(());
    };
    c.out.array(series.samples.len());
    for sample in &series.samples {
        c.out.array(2);
        c.out.int(sample.time_s as i64);
        c.out.int(sample.latency_ms as i64);
    }
    Ok(())
}

/// `LATENCY RESET [event ...]`
pub fn latency_reset(srv: &mut Server, c: &mut Client) -> CmdResult {
    let all = c.argv.len() == 2;
    let count = srv.latency.reset(|name| all || c.argv.iter_from(2).any(|wanted| wanted == name.as_bytes()));
    c.out.count(count);
    Ok(())
}

/// `LATENCY GRAPH event`
pub fn latency_graph(srv: &mut Server, c: &mut Client) -> CmdResult {
    let name = c.argv.get(2);
    let Some(series) = srv.latency.find(name) else {
        let name = String::from_utf8_lossy(name);
        return Err(cmd_err!("ERR No samples available for event '{name}'"));
    };
    let text = graph::draw(&String::from_utf8_lossy(name), series, srv.clock.unix_s());
    c.out.verbatim("txt", text.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_numbered_as_the_table_lists_them() {
        for (i, (event, _)) in EVENTS.iter().enumerate() {
            assert_eq!(*event as usize, i);
        }
    }

    #[test]
    fn one_sample_a_second_and_a_bounded_number() {
        let mut series = TimeSeries::default();
        for (time_s, latency_ms) in [(1, 5), (1, 9), (1, 7), (2, 3)] {
            series.add(Sample { time_s, latency_ms });
        }
        assert_eq!(
            series.samples,
            [Sample { time_s: 1, latency_ms: 9 }, Sample { time_s: 2, latency_ms: 3 }]
        );
        for time_s in 3..1000 {
            series.add(Sample { time_s, latency_ms: 1 });
        }
        assert_eq!((series.samples.len(), series.samples[0].time_s, series.max_ms), (MAX_SAMPLES, 840, 9));
    }

    #[test]
    fn reset_counts_what_had_samples() {
        let mut monitor = LatencyMonitor::default();
        for event in [Event::Command, Event::ExpireDel] {
            monitor.series[event as usize].add(Sample { time_s: 1, latency_ms: 1 });
        }
        assert_eq!(monitor.reset(|name| name == "command" || name == "fast-command"), 1);
        assert!(monitor.find(b"command").is_none() && monitor.find(b"expire-del").is_some());
        assert_eq!(monitor.reset(|_| true), 1);
    }
}
