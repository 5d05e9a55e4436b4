//! The source of the script that is debugged, and the lines at which it is to stop.

/// Lines at which a script may be told to stop: upstream's `LDB_BREAKPOINTS_MAX`.
const MOST_BREAKPOINTS: usize = 64;

/// What a line that the source does not have is shown as.
const NO_LINE: &[u8] = b"<out of range source code line>";

/// The lines at which the script is to stop, in the order in which they were set.
#[derive(Debug, Default, Clone)]
pub struct Breakpoints(Vec<i64>);

impl Breakpoints {
    /// The lines.
    pub fn lines(&self) -> &[i64] {
        &self.0
    }

    /// Whether the script is to stop at this line.
    pub fn contains(&self, line: i64) -> bool {
        self.0.contains(&line)
    }

    /// Whether there is room for no other.
    pub fn is_full(&self) -> bool {
        self.0.len() == MOST_BREAKPOINTS
    }

    /// Adds one, if there is room and it is not there yet; answers whether it was added.
    pub fn add(&mut self, line: i64) -> bool {
        let adds = !self.is_full() && !self.contains(line);
        if adds {
            self.0.push(line);
        }
        adds
    }

    /// Removes one; answers whether it was there.
    pub fn remove(&mut self, line: i64) -> bool {
        let place = self.0.iter().position(|known| *known == line);
        place.map(|place| self.0.remove(place)).is_some()
    }

    /// Removes all.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// A source, by lines, and where its execution is.
#[derive(Debug)]
pub struct Source {
    lines: Vec<Vec<u8>>,
    /// The line that is about to run, from 1.
    pub current: i64,
}

impl Source {
    /// The lines of `text`; line breaks at its end make no more of them.
    pub fn new(text: &[u8]) -> Source {
        let len = text.iter().rposition(|b| !matches!(b, b'\r' | b'\n')).map_or(0, |last| last + 1);
        let lines = match len {
            0 => Vec::new(),
            _ => text[..len].split(|b| *b == b'\n').map(<[u8]>::to_vec).collect(),
        };
        Source { lines, current: 0 }
    }

    /// Whether there is a line of this number.
    pub fn has(&self, line: i64) -> bool {
        (1..=self.lines.len() as i64).contains(&line)
    }

    /// A line as lists show it: with its number, an arrow if it is the current one, and a mark if the script stops there.
    pub fn shown(&self, line: i64, breakpoints: &Breakpoints) -> Vec<u8> {
        let mark = match (line == self.current, breakpoints.contains(line)) {
            (true, true) => "->#",
            (true, false) => "-> ",
            (false, true) => "  #",
            (false, false) => "   ",
        };
        let text = if self.has(line) { &self.lines[line as usize - 1][..] } else { NO_LINE };
        [format!("{mark}{line:<3} ").as_bytes(), text].concat()
    }

    /// The lines that are no farther than `context` from the line `around`, as lists show them.
    pub fn list(&self, around: i64, context: i64, breakpoints: &Breakpoints) -> Vec<Vec<u8>> {
        let near = (1..=self.lines.len() as i64).filter(|line| (around - line).abs() <= context);
        near.map(|line| self.shown(line, breakpoints)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_breaks_at_the_end_make_no_lines() {
        for (text, lines) in [("", 0), ("\n\r\n", 0), ("a", 1), ("a\r\n", 1), ("\na\n\n", 2), ("a\n\nb", 3)] {
            let source = Source::new(text.as_bytes());
            assert_eq!(source.lines.len(), lines, "{text:?}");
            assert!(source.has(lines as i64) == (lines > 0) && !source.has(lines as i64 + 1));
        }
    }

    #[test]
    fn breakpoints_are_limited_and_distinct() {
        let mut breakpoints = Breakpoints::default();
        assert!((1..=64).all(|line| breakpoints.add(line)));
        assert!(breakpoints.is_full() && !breakpoints.add(65));
        assert!(breakpoints.remove(7) && !breakpoints.remove(7));
        assert!(!breakpoints.add(8) && breakpoints.add(65) && !breakpoints.contains(7));
        breakpoints.clear();
        assert!(breakpoints.lines().is_empty());
    }
}
