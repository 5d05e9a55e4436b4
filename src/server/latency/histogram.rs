//! LATENCY HISTOGRAM: how the durations of commands are distributed.

use hdrhistogram::Histogram;

use crate::server::commands::{COMMANDS, CommandSpec};
use crate::server::{Client, CmdResult, Server};

/// The first boundary, in nanoseconds; each further one is twice the one before.
const FIRST_BOUNDARY_NS: u64 = 1024;

/// Pairs of a duration in microseconds and how many calls took at most that long, for each boundary at which that
/// number grows.
fn cumulative(histogram: &Histogram<u64>) -> Vec<(u64, u64)> {
    let mut pairs: Vec<(u64, u64)> = Vec::new();
    let mut boundary_ns = FIRST_BOUNDARY_NS;
    while pairs.last().map_or(0, |(_, count)| *count) < histogram.len() {
        let count = histogram.count_between(0, boundary_ns);
        if count > pairs.last().map_or(0, |(_, count)| *count) {
            pairs.push((histogram.highest_equivalent(boundary_ns) / 1000, count));
        }
        boundary_ns *= 2;
    }
    pairs
}

/// `LATENCY HISTOGRAM [command ...]`
///
/// A name that is no command's is skipped, and so is a command that was not called. A container stands for its
/// subcommands.
pub fn latency_histogram(srv: &mut Server, c: &mut Client) -> CmdResult {
    let mark = c.out.mark();
    let mut shown = 0;
    if c.argv.len() == 2 {
        for spec in &COMMANDS {
            shown += usize::from(show(srv, c, spec));
        }
    } else {
        for i in 2..c.argv.len() {
            let Some(spec) = named(srv, c.argv.get(i)) else { continue };
            shown += usize::from(show(srv, c, spec));
            for id in spec.subcommands {
                shown += usize::from(show(srv, c, id.spec()));
            }
        }
    }
    c.out.insert_at(mark, |out| out.map(shown));
    Ok(())
}

/// The command or subcommand (`config|get`) of this name.
fn named(srv: &Server, name: &[u8]) -> Option<&'static CommandSpec> {
    match name.iter().position(|b| *b == b'|') {
        Some(at) => srv.commands.lookup_subcommand(srv.commands.lookup(&name[..at])?, &name[at + 1..]),
        None => srv.commands.lookup(name),
    }
}

/// Adds the histogram of a command to the reply, if it has one.
fn show(srv: &Server, c: &mut Client, spec: &CommandSpec) -> bool {
    let stats = &srv.stats.commands[spec.id.index()];
    let Some(histogram) = &stats.histogram else { return false };
    c.out.bulk(spec.fullname.as_bytes());
    c.out.map(2);
    c.out.bulk(b"calls");
    c.out.int(histogram.len() as i64);
    c.out.bulk(b"histogram_usec");
    let pairs = cumulative(histogram);
    c.out.map(pairs.len());
    for (micros, count) in pairs {
        c.out.int(micros as i64);
        c.out.int(count as i64);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_grow_from_boundary_to_boundary() {
        let mut histogram = Histogram::new_with_bounds(1, 1_000_000_000, 2).unwrap();
        for ns in [500, 1000, 3_000, 30_000, 40_000, 150_000, 2_000_000_000] {
            histogram.saturating_record(ns);
        }
        let pairs = cumulative(&histogram);
        assert_eq!(pairs[..5], [(1, 2), (4, 3), (33, 4), (66, 5), (264, 6)]);
        assert_eq!(pairs[5].1, 7);
    }

    #[test]
    fn nothing_recorded_is_nothing_shown() {
        assert_eq!(cumulative(&Histogram::new_with_bounds(1, 1_000_000_000, 2).unwrap()), []);
    }
}
