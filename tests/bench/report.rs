//! Keeps what was measured, and prints it: a line a measurement as it comes, tables in Markdown at the end, and JSON.

use crate::Result;
use serde_json::{Value, json};
use std::path::Path;

/// One section is one table; rows come in the order of their first sample.
#[derive(Default)]
struct Section {
    title: String,
    decimals: usize,
    has_mean: bool,
    rows: Vec<Row>,
}

struct Row {
    name: String,
    /// For each server the samples, one a round.
    samples: Vec<Vec<Sample>>,
}

/// A measured value, and what it consists of, if that is worth showing (user and system time).
#[derive(Clone)]
struct Sample {
    value: f64,
    parts: Vec<f64>,
}

/// Everything measured so far.
pub struct Report {
    /// Names; the first is Ochre.
    servers: Vec<String>,
    sections: Vec<Section>,
    /// Lines that belong to the summary and not into a table.
    notes: Vec<String>,
}

impl Report {
    /// An empty report on these servers.
    pub fn new(servers: Vec<String>) -> Self {
        Report { servers, sections: Vec::new(), notes: Vec::new() }
    }

    /// Begins a section; `decimals` is how its values are printed.
    pub fn section(&mut self, title: &str, decimals: usize) -> SectionId {
        self.sections.push(Section { title: title.into(), decimals, has_mean: false, rows: Vec::new() });
        SectionId(self.sections.len() - 1)
    }

    /// Puts the geometric mean of its ratios below a section's table: where the rows are of equal weight.
    pub fn show_mean(&mut self, section: SectionId) {
        self.sections[section.0].has_mean = true;
    }

    /// Adds a sample of one server in one row. A row's value is the median of its samples.
    pub fn record(&mut self, section: SectionId, row: &str, server: usize, value: f64, parts: &[f64]) {
        let rows = &mut self.sections[section.0].rows;
        let index = rows.iter().position(|known| known.name == row).unwrap_or_else(|| {
            rows.push(Row { name: row.into(), samples: vec![Vec::new(); self.servers.len()] });
            rows.len() - 1
        });
        rows[index].samples[server].push(Sample { value, parts: parts.into() });
    }

    /// Adds a line to the summary.
    pub fn note(&mut self, line: String) {
        self.notes.push(line);
    }

    /// Prints what a row has come to on standard error, so that the wait is not a blind one.
    pub fn progress(&self, section: SectionId, row: &str) {
        let section = &self.sections[section.0];
        if let Some(row) = section.rows.iter().find(|known| known.name == row) {
            let values = self.servers.iter().zip(&row.samples);
            let values =
                values.map(|(server, samples)| format!("{server} {}", cell(samples, section.decimals)));
            eprintln!("{}: {}: {}", section.title, row.name, values.collect::<Vec<_>>().join(", "));
        }
    }

    /// The summary. Ratios are Ochre's value over the peer's.
    pub fn print(&self) {
        for section in &self.sections {
            println!("\n### {}\n", section.title);
            println!("| | {} |", self.header().join(" | "));
            println!("|---|{}", "---:|".repeat(self.header().len()));
            for row in &section.rows {
                println!("| {} | {} |", row.name, row.cells(section.decimals).join(" | "));
            }
            self.print_mean(section);
        }
        if !self.notes.is_empty() {
            println!();
        }
        for note in &self.notes {
            println!("- {note}");
        }
    }

    fn header(&self) -> Vec<String> {
        let mut header = vec![self.servers[0].clone()];
        for peer in &self.servers[1..] {
            header.extend([peer.clone(), "ratio".into()]);
        }
        header
    }

    fn print_mean(&self, section: &Section) {
        if !section.has_mean || section.rows.len() < 2 || self.servers.len() < 2 {
            return;
        }
        let mut cells = vec![String::new()];
        for peer in 1..self.servers.len() {
            let logarithms: Vec<f64> =
                section.rows.iter().filter_map(|row| row.ratio(peer)).map(f64::ln).collect();
            let mean = (logarithms.iter().sum::<f64>() / logarithms.len() as f64).exp();
            cells.extend([String::new(), format!("**{mean:.2}**")]);
        }
        println!("| geometric mean | {} |", cells.join(" | "));
    }

    /// Writes every sample: `{"servers": […], "sections": [{"title", "rows": [{"name", "samples": [[…], …]}]}], "notes": […]}`, with a
    /// list of samples for each server, in the order of `servers`.
    pub fn write_json(&self, path: &Path) -> Result<()> {
        let samples = |row: &Row| -> Value {
            row.samples
                .iter()
                .map(|samples| samples.iter().map(|sample| sample.value).collect::<Value>())
                .collect()
        };
        let rows = |section: &Section| -> Value {
            section.rows.iter().map(|row| json!({ "name": row.name, "samples": samples(row) })).collect()
        };
        let sections: Value = self
            .sections
            .iter()
            .map(|section| json!({ "title": section.title, "rows": rows(section) }))
            .collect();
        let report = json!({ "servers": self.servers, "sections": sections, "notes": self.notes });
        Ok(std::fs::write(path, format!("{report:#}\n"))?)
    }
}

/// Names a section of a report.
#[derive(Clone, Copy)]
pub struct SectionId(usize);

impl Row {
    fn cells(&self, decimals: usize) -> Vec<String> {
        let mut cells = vec![cell(&self.samples[0], decimals)];
        for (peer, samples) in self.samples.iter().enumerate().skip(1) {
            let ratio = self.ratio(peer).map_or_else(|| "–".into(), |ratio| format!("{ratio:.2}"));
            cells.extend([cell(samples, decimals), ratio]);
        }
        cells
    }

    /// Ochre's median over the peer's.
    fn ratio(&self, peer: usize) -> Option<f64> {
        let ratio = median(&self.samples[0], |sample| sample.value)?
            / median(&self.samples[peer], |sample| sample.value)?;
        (ratio.is_finite() && ratio > 0.0).then_some(ratio)
    }
}

fn cell(samples: &[Sample], decimals: usize) -> String {
    let Some(value) = median(samples, |sample| sample.value) else { return "–".into() };
    let parts = 0..samples[0].parts.len();
    let parts: Vec<String> = parts
        .filter_map(|part| median(samples, |sample| sample.parts[part]))
        .map(|part| number(part, decimals))
        .collect();
    let value = number(value, decimals);
    if parts.is_empty() { value } else { format!("{value} ({})", parts.join(" + ")) }
}

/// The median of a field; the mean of the middle two for an even count.
fn median(samples: &[Sample], field: impl Fn(&Sample) -> f64) -> Option<f64> {
    let mut values: Vec<f64> = samples.iter().map(field).collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        count if count % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

/// A number with its thousands set apart: 1,234,567.8.
fn number(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let (whole, fraction) =
        text.split_once('.').map_or((text.as_str(), ""), |(whole, fraction)| (whole, fraction));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && digit.is_ascii_digit() && (whole.len() - index) % 3 == 0 && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if fraction.is_empty() { grouped } else { format!("{grouped}.{fraction}") }
}
