//! LATENCY DOCTOR: the samples summed up in words, with advice.

use std::fmt::Write;

use crate::server::{Client, CmdResult, Server, slowlog};

use super::{Sample, TimeSeries};

/// What the samples of an event amount to.
struct Analysis {
    samples: u64,
    mean_ms: u64,
    mean_deviation_ms: u64,
    /// Seconds between two samples, on average.
    period_s: f64,
}

impl Analysis {
    fn of(series: &TimeSeries, now_s: u64) -> Analysis {
        let samples = series.samples.len() as u64;
        let mean = |of: &dyn Fn(&Sample) -> u64| series.samples.iter().map(of).sum::<u64>() / samples.max(1);
        let mean_ms = mean(&|sample| sample.latency_ms);
        let oldest_s = series.samples.front().map_or(now_s, |sample| sample.time_s);
        Analysis {
            samples,
            mean_ms,
            mean_deviation_ms: mean(&|sample| sample.latency_ms.abs_diff(mean_ms)),
            period_s: now_s.saturating_sub(oldest_s).max(1) as f64 / samples.max(1) as f64,
        }
    }
}

/// Something that may help.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Advice {
    EnableSlowlog,
    TuneSlowlog,
    InspectSlowlog,
    Scheduler,
    LargeObjects,
    RaiseHz,
    HugePages,
}

/// What may help against an event of this name.
fn advice_for(srv: &Server, event: &str) -> Vec<Advice> {
    match event {
        "command" => {
            let threshold_ms = slowlog::threshold_us(&srv.config).map(|us| us / 1000);
            let mut advice = vec![Advice::InspectSlowlog, Advice::LargeObjects];
            match threshold_ms {
                None => advice.push(Advice::EnableSlowlog),
                Some(_) if srv.config.slowlog_max_len == 0 => advice.push(Advice::EnableSlowlog),
                Some(ms) if ms > srv.config.latency_monitor_threshold => advice.push(Advice::TuneSlowlog),
                Some(_) => {}
            }
            advice
        }
        "fast-command" => vec![Advice::Scheduler],
        "expire-cycle" => vec![Advice::RaiseHz, Advice::LargeObjects],
        _ => vec![],
    }
}

fn text_of(srv: &Server, advice: Advice) -> String {
    let threshold_us = srv.config.latency_monitor_threshold.saturating_mul(1000);
    match advice {
        Advice::EnableSlowlog => format!(
            "- Commands have been slow, and the slow log, which would tell which ones, is off. Turn it on with \
             'CONFIG SET slowlog-log-slower-than {threshold_us}'.\n"
        ),
        Advice::TuneSlowlog => format!(
            "- The slow log misses commands that this monitor counts as slow. 'CONFIG SET slowlog-log-slower-than \
             {threshold_us}' makes both use the same limit.\n"
        ),
        Advice::InspectSlowlog => {
            "- See which commands are slow with SLOWLOG GET, and whether each of them is needed in that form.\n".into()
        }
        Advice::Scheduler => {
            "- Commands that do little work have been slow, so the process was probably kept from running:\n  \
             1) Lower the load of this machine.\n  \
             2) Give the server a machine or processor of its own.\n  \
             3) In a virtual machine, look for neighbours that use the same hardware.\n  \
             4) Measure the delay of the system alone with 'redis-cli --intrinsic-latency 100'.\n"
                .into()
        }
        Advice::LargeObjects => {
            "- Deleting or expiring a large collection takes time in proportion to its size. Delete it with UNLINK, \
             or split it into smaller ones.\n"
                .into()
        }
        Advice::RaiseHz => format!(
            "- Expiring keys held up the server. A higher 'hz' (now {}) spreads that work over more and shorter \
             runs.\n",
            srv.config.hz
        ),
        Advice::HugePages => {
            "- Transparent huge pages are in use by this process; they make allocations, and writes after a fork, \
             slow. Turn them off with 'echo madvise > /sys/kernel/mm/transparent_hugepage/enabled' as root, and \
             restart the server.\n"
                .into()
        }
    }
}

/// Whether any memory of this process lies in huge pages that nobody asked for.
fn uses_huge_pages() -> bool {
    let Ok(smaps) = std::fs::read_to_string("/proc/self/smaps_rollup") else { return false };
    let line = smaps.lines().find_map(|line| line.strip_prefix("AnonHugePages:"));
    line.and_then(|rest| rest.split_whitespace().next()).is_some_and(|kib| kib != "0")
}

fn report(srv: &Server) -> String {
    let events: Vec<_> = srv.latency.with_samples().collect();
    if events.is_empty() && srv.config.latency_monitor_threshold == 0 {
        return "Nothing is known of latency, because the latency monitor of this Redis instance is off. Turn it on \
                with \"CONFIG SET latency-monitor-threshold <milliseconds>\".\n"
            .into();
    }
    let mut text = String::new();
    if !events.is_empty() {
        text.push_str("Latency spikes were observed in this Redis instance:\n\n");
    }
    let mut advice = if uses_huge_pages() { vec![Advice::HugePages] } else { vec![] };
    for (i, (name, series)) in events.iter().enumerate() {
        let analysis = Analysis::of(series, srv.clock.unix_s());
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{}. {name}: {} latency spikes (average {}ms, mean deviation {}ms, period {:.2} sec). Worst all time \
             event {}ms.",
            i + 1,
            analysis.samples,
            analysis.mean_ms,
            analysis.mean_deviation_ms,
            analysis.period_s,
            series.max_ms
        );
        advice.extend(advice_for(srv, name));
    }
    advice.sort_unstable();
    advice.dedup();
    match (events.is_empty(), advice.is_empty()) {
        (true, true) => {
            text.push_str(
                "No latency spike was observed in this Redis instance since the monitor was turned on.\n",
            );
        }
        (false, true) => text.push_str("\nThere is no general advice for events of this kind.\n"),
        (_, false) => {
            text.push_str("\nWhat may help:\n\n");
            text.extend(advice.into_iter().map(|advice| text_of(srv, advice)));
        }
    }
    text
}

/// `LATENCY DOCTOR`
pub fn latency_doctor(srv: &mut Server, c: &mut Client) -> CmdResult {
    let text = report(srv);
    c.out.verbatim("txt", text.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn analysis_sums_up() {
        let mut series = TimeSeries::default();
        for (time_s, latency_ms) in [(100, 10), (110, 20), (120, 60)] {
            series.add(Sample { time_s, latency_ms });
        }
        let analysis = Analysis::of(&series, 130);
        assert_eq!((analysis.samples, analysis.mean_ms, analysis.mean_deviation_ms), (3, 30, 20));
        assert_eq!(analysis.period_s, 10.0);
    }
}
