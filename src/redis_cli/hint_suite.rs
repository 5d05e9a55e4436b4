//! Two doors for tests: inline hints without a terminal.
//!
//! `--test_hint LINE` prints the hint for a line. `--test_hint_file FILE` compares the hints for many: each line of the
//! file is two quoted strings, a line as typed and the hint expected for it; lines that begin with `#` are remarks.

use std::path::Path;

use crate::ds::sds::split_args;

use super::connection::describe_io_error;
use super::help::Help;
use super::hints::hint_for_line;
use super::session::{Exit, Report, Session, complain, print};

/// Prints the hint for a line.
pub fn print_hint(session: &mut Session, help: &mut Help, line: &[u8]) -> Result<Exit, Exit> {
    session.connect(Report::Nothing);
    let hint = hint_for_line(&help.load(session), line).unwrap_or_default();
    print(format!("{hint}\n").as_bytes())?;
    Ok(Exit::SUCCESS)
}

/// Compares the hints for the lines of a file with those expected. The exit status tells how many differ.
pub fn run(session: &mut Session, help: &mut Help, file: &Path) -> Result<Exit, Exit> {
    let text = std::fs::read(file).map_err(|error| {
        complain(format_args!("Can't open file '{}': {}", file.display(), describe_io_error(&error)));
        Exit(255)
    })?;
    session.connect(Report::Nothing);
    let docs = help.load(session);
    let (mut total, mut failed) = (0_u32, 0_u32);
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.starts_with(b"#"));
    for words in lines.filter_map(split_args).filter(|words| !words.is_empty()) {
        let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let [input, expected, ..] = words.as_slice() else {
            complain(format_args!("Missing expected hint for input '{}'", shown(&words[0])));
            return Err(Exit(255));
        };
        let (input, expected) = (shown(input), shown(expected));
        let hint = hint_for_line(&docs, input.as_bytes());
        let hint = hint.as_deref().map_or("(null)", str::trim_end);
        if session.options().verbose {
            print(format!("Input: '{input}', Expected: '{expected}', Hint: '{hint}'\n").as_bytes())?;
        }
        total += 1;
        if hint != expected {
            complain(format_args!("Test case '{input}' FAILED: expected '{expected}', got '{hint}'"));
            failed += 1;
        }
    }
    let verdict = if failed == 0 { "SUCCESS" } else { "FAILURE" };
    print(format!("{verdict}: {}/{total} passed\n", total - failed).as_bytes())?;
    Ok(Exit(u8::try_from(failed).unwrap_or(u8::MAX)))
}
