//! Samples drawn with characters.
//!
//! A column is a sample. Its height is one of [`STEPS`] between the least and the greatest latency: a row holds
//! three steps, drawn as `_`, `o` and `#`, and what lies below the top of a column is filled with `|`. Under each
//! column its label reads downwards: how long ago the sample was taken.

use std::fmt::Write;

use super::{Sample, TimeSeries};

/// Columns of the graph: more samples continue below.
const COLUMNS: usize = 80;

/// Rows of a column, labels excluded.
const ROWS: usize = 4;

/// What tops a column, by how far it reaches into its last row.
const TOPS: [char; 3] = ['_', 'o', '#'];

/// Heights that can be told apart.
const STEPS: usize = ROWS * TOPS.len();

/// The graph of a series that has samples, with a line about its extremes on top.
pub(super) fn draw(name: &str, series: &TimeSeries, now_s: u64) -> String {
    let latencies = || series.samples.iter().map(|sample| sample.latency_ms);
    let (low, high) = (latencies().min().unwrap_or(0), latencies().max().unwrap_or(0));
    let mut text = format!("{name} - high {high} ms, low {low} ms (all time high {} ms)\n", series.max_ms);
    text.push_str(&"-".repeat(COLUMNS));
    text.push('\n');
    let samples: Vec<Sample> = series.samples.iter().copied().collect();
    for (i, part) in samples.chunks(COLUMNS).enumerate() {
        if i > 0 {
            text.push('\n');
        }
        draw_part(&mut text, part, (low, high), now_s);
    }
    text
}

fn draw_part(text: &mut String, samples: &[Sample], (low, high): (u64, u64), now_s: u64) {
    let steps = |sample: &Sample| {
        ((sample.latency_ms - low) as usize * STEPS / (high - low).max(1) as usize).min(STEPS - 1)
    };
    for row in (0..ROWS).rev() {
        text.extend(samples.iter().map(|sample| match steps(sample).checked_sub(row * TOPS.len()) {
            None => ' ',
            Some(top) => TOPS.get(top).copied().unwrap_or('|'),
        }));
        text.push('\n');
    }
    text.push_str(&" ".repeat(samples.len()));
    text.push('\n');
    let labels: Vec<Vec<char>> =
        samples.iter().map(|s| age(now_s.saturating_sub(s.time_s)).chars().collect()).collect();
    for line in 0..labels.iter().map(Vec::len).max().unwrap_or(0) {
        text.extend(labels.iter().map(|label| label.get(line).copied().unwrap_or(' ')));
        text.push('\n');
    }
}

/// An age in the greatest unit that fits.
fn age(seconds: u64) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = match seconds {
        0..60 => write!(text, "{seconds}s"),
        60..3600 => write!(text, "{}m", seconds / 60),
        3600..86400 => write!(text, "{}h", seconds / 3600),
        _ => write!(text, "{}d", seconds / 86400),
    };
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(latencies: &[u64]) -> TimeSeries {
        let mut series = TimeSeries::default();
        for (i, latency_ms) in latencies.iter().enumerate() {
            series.add(Sample { time_s: i as u64, latency_ms: *latency_ms });
        }
        series
    }

    #[test]
    fn draws_columns_with_labels() {
        let expected = [
            "command - high 80 ms, low 10 ms (all time high 80 ms)",
            &"-".repeat(80),
            "   #   ",
            "   | _#",
            " _ | ||",
            "_|o|_||",
            "       ",
            "1111119",
            "543210s",
            "ssssss ",
            "",
        ];
        assert_eq!(draw("command", &series(&[10, 30, 20, 80, 10, 50, 60]), 15), expected.join("\n"));
    }

    #[test]
    fn a_single_sample_lies_at_the_bottom() {
        let graph = draw("x", &series(&[50]), 0);
        assert!(graph.ends_with("-\n \n \n \n_\n \n0\ns\n"), "{graph}");
    }

    #[test]
    fn more_samples_than_columns_continue_below() {
        let graph = draw("x", &series(&(0..100).collect::<Vec<_>>()), 100);
        let widths: Vec<usize> = graph.lines().skip(2).map(str::len).collect();
        assert_eq!(widths, [[80; 8].to_vec(), vec![0], vec![20; 8]].concat());
    }

    #[test]
    fn ages_are_in_the_greatest_unit() {
        let ages: Vec<String> = [0, 59, 60, 3599, 3600, 86399, 86400].map(age).into();
        assert_eq!(ages, ["0s", "59s", "1m", "59m", "1h", "23h", "1d"]);
    }
}
