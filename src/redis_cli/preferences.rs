//! What the user prefers, as set with `:set` or in `~/.redisclirc`, and where the dot files are.

use std::env;
use std::path::{Path, PathBuf};

use crate::ds::sds::split_args;

/// Settings of interactive use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preferences {
    /// Whether the arguments of a command are shown while it is typed.
    pub hints: bool,
}

impl Default for Preferences {
    fn default() -> Preferences {
        Preferences { hints: true }
    }
}

impl Preferences {
    /// Obeys one command that begins with a colon.
    ///
    /// # Errors
    ///
    /// The line to print when there is no such command or setting.
    pub fn apply(&mut self, words: &[Vec<u8>]) -> Result<(), String> {
        let shown = |word: &[u8]| String::from_utf8_lossy(word).into_owned();
        match words {
            [command, setting, ..] if command.eq_ignore_ascii_case(b":set") => {
                if setting.eq_ignore_ascii_case(b"hints") {
                    self.hints = true;
                } else if setting.eq_ignore_ascii_case(b"nohints") {
                    self.hints = false;
                } else {
                    return Err(format!("unknown redis-cli preference '{}'", shown(setting)));
                }
                Ok(())
            }
            [command, ..] => Err(format!("unknown redis-cli internal command '{}'", shown(command))),
            [] => Ok(()),
        }
    }

    /// Obeys every line of a file and returns the complaints. A file that cannot be read has no lines.
    pub fn load(&mut self, file: &Path) -> Vec<String> {
        let text = std::fs::read(file).unwrap_or_default();
        text.split(|byte| *byte == b'\n')
            .filter_map(split_args)
            .filter_map(|words| self.apply(&words).err())
            .map(|complaint| format!(".redisclirc: {complaint}"))
            .collect()
    }
}

/// The path of a dot file: what the environment variable `variable` says, or else `name` in the home directory. `None`
/// when that is not known, or when the variable says `/dev/null`, which means that no such file is wanted.
pub fn dot_file(variable: &str, name: &str) -> Option<PathBuf> {
    let set = |variable| env::var_os(variable).filter(|value| !value.is_empty());
    match set(variable) {
        Some(path) if path == "/dev/null" => None,
        Some(path) => Some(path.into()),
        None => set("HOME").map(|home| Path::new(&home).join(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn words(line: &str) -> Vec<Vec<u8>> {
        split_args(line.as_bytes()).unwrap()
    }

    #[test]
    fn hints_can_be_turned_off_and_on() {
        let mut preferences = Preferences::default();
        preferences.apply(&words(":SET NoHints")).unwrap();
        assert!(!preferences.hints);
        preferences.apply(&words(":set hints")).unwrap();
        assert!(preferences.hints);
    }

    #[test]
    fn complaints() {
        let mut preferences = Preferences::default();
        let mut complaint = |line| preferences.apply(&words(line)).unwrap_err();
        assert_eq!(complaint(":set x"), "unknown redis-cli preference 'x'");
        assert_eq!(complaint(":set"), "unknown redis-cli internal command ':set'");
        assert_eq!(complaint(":foo bar"), "unknown redis-cli internal command ':foo'");
    }

    #[test]
    fn files_hold_a_command_a_line() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"\n:set nohints\n:bad\n\"unfinished\n").unwrap();
        let mut preferences = Preferences::default();
        assert_eq!(preferences.load(file.path()), [".redisclirc: unknown redis-cli internal command ':bad'"]);
        assert!(!preferences.hints);
        assert!(preferences.load(Path::new("/nonexistent/file")).is_empty());
    }
}
