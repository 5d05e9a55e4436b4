//! The kernel's out-of-memory score of this process.
//!
//! When memory runs out, Linux kills the process with the highest score. `/proc/self/oom_score_adj` adds between
//! -1000 and 1000 to it; raising that is free, lowering it below where it started needs privilege.

use std::fs;
use std::io;

use crate::server::config::OomScoreAdj;
use crate::server::config::file::os_error_text;

const PATH: &str = "/proc/self/oom_score_adj";

/// The range that the kernel accepts.
const RANGE: std::ops::RangeInclusive<i32> = -1000..=1000;

/// What was done to the score, so that it can be undone.
#[derive(Debug, Default)]
pub struct OomScore {
    /// The adjustment found before ours; `None` while we leave the score alone.
    base: Option<i32>,
}

impl OomScore {
    /// Adjusts the score by `value` as `mode` has it, or restores what was there before. Failures are logged.
    pub fn apply(&mut self, mode: OomScoreAdj, value: i32) -> io::Result<()> {
        let adjustment = match (mode, self.base) {
            (OomScoreAdj::No, None) => return Ok(()),
            (OomScoreAdj::No, Some(base)) => {
                self.base = None;
                base
            }
            (OomScoreAdj::Absolute, _) => {
                self.base()?;
                value
            }
            (OomScoreAdj::Relative, _) => self.base()?.saturating_add(value),
        };
        let text = format!("{}\n", adjustment.clamp(*RANGE.start(), *RANGE.end()));
        fs::write(PATH, text).inspect_err(|error| {
            log::warn!("Unable to write oom_score_adj: {}", os_error_text(error));
        })
    }

    /// The adjustment that was there before ours.
    fn base(&mut self) -> io::Result<i32> {
        if let Some(base) = self.base {
            return Ok(base);
        }
        let text = fs::read_to_string(PATH).inspect_err(|error| {
            log::warn!("Unable to read oom_score_adj: {}", os_error_text(error));
        })?;
        let base = text.trim().parse().map_err(io::Error::other)?;
        self.base = Some(base);
        Ok(base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn current() -> i32 {
        fs::read_to_string(PATH).unwrap().trim().parse().unwrap()
    }

    #[test]
    fn score_is_raised_and_given_back() {
        let before = current();
        if before > RANGE.end() - 3 {
            return; // No room to raise it on this system, and lowering may not be allowed.
        }
        let mut score = OomScore::default();
        score.apply(OomScoreAdj::No, 9).unwrap();
        assert_eq!(current(), before);
        score.apply(OomScoreAdj::Relative, 2).unwrap();
        assert_eq!(current(), before + 2);
        score.apply(OomScoreAdj::Relative, 3).unwrap();
        assert_eq!(current(), before + 3);
        score.apply(OomScoreAdj::Absolute, before + 1).unwrap();
        assert_eq!(current(), before + 1);
        score.apply(OomScoreAdj::No, 0).unwrap();
        assert_eq!(current(), before);
    }
}
