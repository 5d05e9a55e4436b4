//! Counters: what INFO's stats, commandstats, errorstats and latencystats sections show.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::server::commands::{COMMANDS, CommandId};
use crate::server::error::CmdError;

/// Most different error codes counted; beyond it counting stops, so that scripts cannot fill memory with codes.
pub const MAX_ERROR_CODES: usize = 128;

/// Longest call that a latency histogram tells apart, in nanoseconds: a second.
const HISTOGRAM_MAX_NS: u64 = 1_000_000_000;

/// Number of samples that an instantaneous rate is averaged over.
const RATE_SAMPLES: usize = 16;

/// What is counted of one command.
#[derive(Debug, Default)]
pub struct CommandStats {
    /// Calls that ran.
    pub calls: u64,
    /// Nanoseconds they took.
    pub nanos: u64,
    /// Calls refused before they ran.
    pub rejected: u64,
    /// Calls that ran and answered an error.
    pub failed: u64,
    /// Durations in nanoseconds, when `latency-tracking` is on.
    pub histogram: Option<Box<Histogram<u64>>>,
}

impl CommandStats {
    /// Notes a call of `ns` nanoseconds in the histogram.
    #[inline]
    pub fn record_latency(&mut self, ns: u64) {
        let histogram = self.histogram.get_or_insert_with(|| {
            Box::new(
                Histogram::new_with_bounds(1, HISTOGRAM_MAX_NS, 2).expect("bounds are constant and valid"),
            )
        });
        histogram.saturating_record(ns);
    }
}

/// A rate per second over the last samples of a counter.
#[derive(Debug, Default)]
pub struct Rate {
    last: Option<(u64, u64)>,
    samples: [u64; RATE_SAMPLES],
    next: usize,
}

impl Rate {
    /// Takes a sample of the counter at a time in milliseconds.
    pub fn sample(&mut self, now_ms: u64, counter: u64) {
        if let Some((then_ms, before)) = self.last {
            let (passed, gained) = (now_ms.saturating_sub(then_ms), counter.saturating_sub(before));
            self.samples[self.next] = (gained * 1000).checked_div(passed).unwrap_or(0);
            self.next = (self.next + 1) % RATE_SAMPLES;
        }
        self.last = Some((now_ms, counter));
    }

    /// The mean of the samples, per second.
    pub fn per_second(&self) -> u64 {
        self.samples.iter().sum::<u64>() / RATE_SAMPLES as u64
    }
}

/// All counters.
#[derive(Debug, Default)]
pub struct Stats {
    /// By [`CommandId`].
    pub commands: Vec<CommandStats>,
    /// Errors replied, by code.
    pub errors: BTreeMap<Box<[u8]>, u64>,
    /// Error replies in all.
    pub error_replies: u64,
    /// Changes to the dataset since start.
    pub dirty: u64,
    /// Commands called.
    pub commands_processed: u64,
    /// Connections accepted.
    pub connections_received: u64,
    /// Connections refused because of `maxclients`.
    pub rejected_connections: u64,
    /// Bytes read from clients.
    pub net_input_bytes: u64,
    /// Bytes written to clients.
    pub net_output_bytes: u64,
    /// Lookups for reading that found their key.
    pub keyspace_hits: u64,
    /// Lookups for reading that did not.
    pub keyspace_misses: u64,
    /// Keys that expired.
    pub expired_keys: u64,
    /// Fields of hashes that expired.
    pub expired_subkeys: u64,
    /// Estimated percentage of keys that have expired and are still there.
    pub expired_stale_perc: f64,
    /// Times the active expiry used up its time.
    pub expired_time_cap_reached: u64,
    /// Nanoseconds spent in active expiry.
    pub expire_cycle_ns: u64,
    /// Clients closed because of their output buffer.
    pub client_output_buffer_limit_disconnections: u64,
    /// Clients closed because of their query buffer.
    pub client_query_buffer_limit_disconnections: u64,
    /// Read events processed.
    pub reads_processed: u64,
    /// Write events processed.
    pub writes_processed: u64,
    /// Loop turns.
    pub eventloop_cycles: u64,
    /// Nanoseconds spent in loop turns, sleep excluded.
    pub eventloop_ns: u64,
    /// Nanoseconds spent in commands.
    pub eventloop_cmd_ns: u64,
    /// Most memory seen, in bytes.
    pub peak_memory: usize,
    /// Unix time at which the peak was seen, in milliseconds.
    pub peak_memory_ms: u64,
    /// ACL and authentication failures.
    pub acl_auth_denied: u64,
    /// Commands a second.
    pub ops_rate: Rate,
    /// Bytes in a second.
    pub net_in_rate: Rate,
    /// Bytes out a second.
    pub net_out_rate: Rate,
    /// Loop turns a second.
    pub cycle_rate: Rate,
    /// Keys that had to make room.
    pub evicted_keys: u64,
    /// Children that were forked.
    pub total_forks: u64,
    /// Microseconds that the last fork took.
    pub latest_fork_us: u64,
}

impl Stats {
    /// Zeroes, with a place for every command.
    pub fn new() -> Stats {
        let mut stats = Stats::default();
        stats.commands.resize_with(COMMANDS.len(), CommandStats::default);
        stats
    }

    /// The counters of `id`.
    #[inline]
    pub fn command(&mut self, id: CommandId) -> &mut CommandStats {
        &mut self.commands[id.index()]
    }

    /// Counts an error reply under its code, the first word of its text.
    pub fn count_error(&mut self, error: &CmdError) {
        let text = error.to_bytes();
        self.count_error_text(&text);
    }

    /// Counts an error whose text (without the dash) is given.
    pub fn count_error_text(&mut self, text: &[u8]) {
        self.error_replies += 1;
        let code = text.split(|b| *b == b' ').next().unwrap_or_default();
        if let Some(count) = self.errors.get_mut(code) {
            *count += 1;
        } else if self.errors.len() < MAX_ERROR_CODES {
            self.errors.insert(code.into(), 1);
        }
    }

    /// What CONFIG RESETSTAT does: all but what tells the present state of things.
    pub fn reset(&mut self) {
        *self = Stats {
            dirty: self.dirty,
            peak_memory: self.peak_memory,
            peak_memory_ms: self.peak_memory_ms,
            ..Stats::new()
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_is_the_mean_of_its_samples() {
        let mut rate = Rate::default();
        for i in 0..=16 {
            rate.sample(i * 100, i * 50);
        }
        assert_eq!(rate.per_second(), 500);
    }

    #[test]
    fn error_codes_are_bounded() {
        let mut stats = Stats::default();
        for i in 0..1000 {
            stats.count_error_text(format!("E{i} text").as_bytes());
        }
        assert_eq!((stats.errors.len(), stats.error_replies), (MAX_ERROR_CODES, 1000));
        assert_eq!(stats.errors.get(&b"E0"[..]), Some(&1));
    }
}
