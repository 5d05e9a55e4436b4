//! INFO: the state of the server as `field:value` lines, in sections.
//!
//! Sections are a table ([`SECTIONS`]), and most of a section is a table of its fields (`sections.rs`). To add a
//! field, add a row. A field of something that this server does not have is there if its value can still be true
//! (no keys were evicted: `evicted_keys:0`), because dashboards read it; otherwise it is absent.

mod sections;

use std::cell::OnceCell;
use std::fmt::Write;

use crate::server::memory::Overview;
use crate::server::{Client, CmdResult, Server};

use sections::SECTIONS;

/// What a section is written from.
struct View<'a> {
    srv: &'a Server,
    /// The client that is checked out, if one is.
    c: Option<&'a Client>,
    /// Where memory goes, once a field has asked for it.
    memory: OnceCell<Overview>,
}

impl View<'_> {
    fn memory(&self) -> &Overview {
        self.memory.get_or_init(|| Overview::of(self.srv, self.c))
    }

    /// All clients.
    fn clients(&self) -> impl Iterator<Item = &Client> {
        self.srv.clients.iter().chain(self.c)
    }
}

/// A field: its name, and what writes its value.
type Field = (&'static str, fn(&View<'_>, &mut String));

/// When a section is shown although it was not asked for by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Shown {
    /// INFO without arguments shows it, and so do `default`, `all` and `everything`.
    ByDefault,
    /// `all` and `everything` show it.
    WithAll,
}

/// A section.
struct Section {
    /// What it is asked for by, in lower case.
    name: &'static str,
    title: &'static str,
    shown: Shown,
    fields: &'static [Field],
    /// Writes lines whose number or names are not fixed, behind the fields.
    lines: Option<fn(&View<'_>, &mut String)>,
}

impl Section {
    fn write(&self, view: &View<'_>, out: &mut String) {
        if !out.is_empty() {
            out.push_str("\r\n");
        }
        // Writing to a string cannot fail.
        let _ = write!(out, "# {}\r\n", self.title);
        for (name, value) in self.fields {
            out.push_str(name);
            out.push(':');
            value(view, out);
            out.push_str("\r\n");
        }
        if let Some(lines) = self.lines {
            lines(view, out);
        }
    }
}

/// Which sections are wanted.
#[derive(Debug, Default)]
struct Selection {
    /// Sections shown no later than this.
    up_to: Option<Shown>,
    names: Vec<Vec<u8>>,
}

impl Selection {
    /// The selection that these words make, in any case; words that mean nothing select nothing.
    fn of<'w>(words: impl Iterator<Item = &'w [u8]>) -> Selection {
        let mut selection = Selection::default();
        let mut none = true;
        for word in words {
            none = false;
            match word.to_ascii_lowercase().as_slice() {
                b"default" => selection.up_to = selection.up_to.max(Some(Shown::ByDefault)),
                b"all" | b"everything" => selection.up_to = Some(Shown::WithAll),
                b"module_list" => selection.names.push(b"modules".to_vec()),
                name => selection.names.push(name.to_vec()),
            }
        }
        if none {
            selection.up_to = Some(Shown::ByDefault);
        }
        selection
    }

    fn contains(&self, section: &Section) -> bool {
        self.up_to.is_some_and(|up_to| section.shown <= up_to)
            || self.names.iter().any(|name| name == section.name.as_bytes())
    }
}

fn text(srv: &Server, c: Option<&Client>, selection: &Selection) -> String {
    let view = View { srv, c, memory: OnceCell::new() };
    let mut out = String::with_capacity(8 * 1024);
    for section in SECTIONS.iter().filter(|section| selection.contains(section)) {
        section.write(&view, &mut out);
    }
    out
}

/// All sections; for crash reports.
pub fn everything(srv: &Server, c: Option<&Client>) -> String {
    text(srv, c, &Selection::of([&b"everything"[..]].into_iter()))
}

/// `INFO [section ...]`
pub fn info(srv: &mut Server, c: &mut Client) -> CmdResult {
    let selection = Selection::of(c.argv.iter_from(1));
    let text = text(srv, Some(c), &selection);
    c.out.verbatim("txt", text.as_bytes());
    Ok(())
}

/// A number of bytes for people, with two decimals in the unit that fits.
fn human_bytes(bytes: usize) -> String {
    const UNITS: [char; 5] = ['K', 'M', 'G', 'T', 'P'];
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    let mut size = bytes as f64 / 1024.0;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    format!("{size:.2}{}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(words: &[&str]) -> Vec<&'static str> {
        let selection = Selection::of(words.iter().map(|word| word.as_bytes()));
        SECTIONS.iter().filter(|section| selection.contains(section)).map(|section| section.name).collect()
    }

    #[test]
    fn words_select_sections() {
        assert_eq!(selected(&["CPU"]), ["cpu"]);
        assert_eq!(selected(&["cpu", "server", "cpu"]), ["server", "cpu"]);
        assert_eq!(selected(&["nothing"]), Vec::<&str>::new());
        assert_eq!(selected(&[]), selected(&["Default"]));
        assert_eq!(selected(&["all"]), selected(&["cpu", "everything"]));
        assert!(!selected(&[]).contains(&"commandstats") && selected(&["all"]).contains(&"commandstats"));
        assert_eq!(selected(&["module_list"]), ["modules"]);
    }

    #[test]
    fn names_are_found_in_lower_case() {
        for section in SECTIONS {
            assert_eq!(section.name, section.name.to_ascii_lowercase());
        }
    }

    #[test]
    fn sizes_for_people() {
        assert_eq!(human_bytes(0), "0B");
        assert_eq!(human_bytes(1023), "1023B");
        assert_eq!(human_bytes(31_744), "31.00K");
        assert_eq!(human_bytes(25_274_793_984), "23.54G");
    }
}
