//! RDB files as the server makes them: when, and what is remembered of it.

use crate::server::stats::Stats;

/// When and how the last files came about.
#[derive(Debug)]
pub struct State {
    /// Unix time in seconds of the last file that was written, or of the start.
    pub last_save_s: u64,
    /// Whether the last child failed, and no file was written since.
    pub failed: bool,
    /// Seconds that the last child took.
    pub last_duration_s: Option<u64>,
    /// Saves that were begun.
    pub saves: u64,
    /// The counter of changes ([`Stats::dirty`]) as of the last file.
    saved_changes: u64,
}

impl Default for State {
    /// A server that has just started counts as saved.
    fn default() -> Self {
        let last_save_s = crate::server::time::unix_us() / 1_000_000;
        State { last_save_s, failed: false, last_duration_s: None, saves: 0, saved_changes: 0 }
    }
}

impl State {
    /// Changes to the dataset that the last file does not have.
    pub fn changes(&self, stats: &Stats) -> u64 {
        stats.dirty - self.saved_changes
    }
}

/// Most bytes of the name of a file in the making.
pub const TEMP_NAME_MAX: usize = 24;

/// Puts the name of the file that the process `pid` is writing into `name`, and returns its length. It is called by
/// signal handlers, so it does nothing but that.
pub fn temp_name(pid: i32, name: &mut [u8]) -> usize {
    let mut digits = [0; 10];
    let mut first = digits.len();
    let mut rest = pid.unsigned_abs();
    loop {
        first -= 1;
        digits[first] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    let mut len = 0;
    for part in [b"temp-".as_slice(), &digits[first..], b".rdb"] {
        name[len..len + part.len()].copy_from_slice(part);
        len += part.len();
    }
    len
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_in_the_making_bear_the_process_id() {
        for (pid, expected) in
            [(1, "temp-1.rdb"), (120_450, "temp-120450.rdb"), (i32::MAX, "temp-2147483647.rdb")]
        {
            let mut name = [0; TEMP_NAME_MAX];
            let len = temp_name(pid, &mut name);
            assert_eq!(std::str::from_utf8(&name[..len]).unwrap(), expected);
        }
    }
}
