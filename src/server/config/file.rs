//! Reading configuration: lines of words, one directive each.
//!
//! A line is trimmed; if it is empty or begins with `#` it says nothing. Otherwise it is split into words by the
//! shell-like quoting of [`sds::split_args`]. Later lines win over earlier ones. Apart from the directives of the
//! table there are
//!
//! - `include <path>`: reads another file in this place. A path with `*`, `?` or `[` stands for all files it
//!   matches, in alphabetical order; that it matches none is no error. Includes nest up to
//!   [`MAX_INCLUDE_DEPTH`].
//! - `rename-command <old> <new>`: collected in [`Origin`](super::Origin) for the command table.
//! - retired directives, which did something in earlier versions and are skipped with their one value.
//!
//! The first error ends the reading. Everything outside of the text itself is reached through [`Host`], so that
//! tests and fuzzing read configuration without a file system.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::args::CommandLine;
use super::{Config, Directive, Effect, Flag, Reason};
use crate::ds::sds;
use crate::server::commands::{COMMANDS, CommandSpec};
use crate::server::version::REDIS_VERSION;

/// How deeply includes may nest. A file that includes itself ends here.
pub const MAX_INCLUDE_DEPTH: usize = 16;

/// Directives of earlier versions. They take one value and do nothing.
const RETIRED: [&str; 4] =
    ["list-max-ziplist-entries", "list-max-ziplist-value", "lua-replicate-commands", "io-threads-do-reads"];

/// A line, or the configuration as a whole, cannot be used. Shown as the message that ends the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Number (from 1) and trimmed text of the line; `None` if no single line is to blame.
    pub line: Option<(usize, Vec<u8>)>,
    /// What is wrong.
    pub reason: Reason,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n*** FATAL CONFIG FILE ERROR (Redis {}) ***", REDIS_VERSION)?;
        if let Some((number, text)) = &self.line {
            writeln!(f, "Reading the configuration file, at line {number}")?;
            writeln!(f, ">>> '{}'", String::from_utf8_lossy(text))?;
        }
        writeln!(f, "{}", self.reason)
    }
}

impl std::error::Error for ConfigError {}

/// Why no configuration could be loaded.
#[derive(Debug)]
pub enum LoadError {
    /// A line is wrong; to be printed on standard error.
    Config(ConfigError),
    /// A file cannot be read; to be logged as a warning.
    Open {
        /// The file as it was named.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Open { path, error } => {
                let (path, error) = (path.display(), os_error_text(error));
                write!(f, "Fatal error, can't open config file '{path}': {error}")
            }
        }
    }
}

impl std::error::Error for LoadError {}

/// What an error of the system says, without the number that the standard library appends.
pub fn os_error_text(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(end) if error.raw_os_error().is_some() => text[..end].to_owned(),
        _ => text,
    }
}

/// What reading configuration needs of the world.
pub trait Host {
    /// The content of a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// The files that match a pattern, sorted.
    fn matching(&self, pattern: &str) -> Vec<PathBuf>;
    /// Changes the working directory and returns its absolute path.
    fn change_dir(&self, path: &Path) -> io::Result<PathBuf>;
    /// Whether a log file can be appended to; creates it.
    fn can_append(&self, path: &Path) -> io::Result<()>;
    /// Whether there is a command of this name, before any is renamed.
    fn is_command(&self, name: &[u8]) -> bool;
}

/// The real world.
struct System;

impl Host for System {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn matching(&self, pattern: &str) -> Vec<PathBuf> {
        let options = glob::MatchOptions {
            case_sensitive: true,
            require_literal_separator: true,
            require_literal_leading_dot: true,
        };
        glob::glob_with(pattern, options).map_or(Vec::new(), |paths| paths.flatten().collect())
    }

    fn change_dir(&self, path: &Path) -> io::Result<PathBuf> {
        std::env::set_current_dir(path)?;
        std::env::current_dir()
    }

    fn can_append(&self, path: &Path) -> io::Result<()> {
        std::fs::OpenOptions::new().append(true).create(true).open(path).map(drop)
    }

    fn is_command(&self, name: &[u8]) -> bool {
        let is_it = |command: &CommandSpec| {
            command.container.is_none() && name.eq_ignore_ascii_case(command.name.as_bytes())
        };
        COMMANDS.iter().any(is_it)
    }
}

/// No world: includes are empty, every directory and file is fine, and so is every name of a command.
struct Nowhere;

impl Host for Nowhere {
    fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
        Ok(Vec::new())
    }
    fn matching(&self, _: &str) -> Vec<PathBuf> {
        Vec::new()
    }
    fn change_dir(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.to_owned())
    }
    fn can_append(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
    fn is_command(&self, _: &[u8]) -> bool {
        true
    }
}

impl Config {
    /// Reads the configuration that a command line asks for; `args` starts behind the program's name.
    ///
    /// Working directory, log file and command names are checked, and the working directory is changed, while
    /// reading. The file's path and `dir` are absolute afterwards.
    pub fn load(args: impl IntoIterator<Item = OsString>) -> Result<Config, LoadError> {
        let args: Vec<Vec<u8>> = args.into_iter().map(OsString::into_vec).collect();
        let mut config = Config::default();
        if let Ok(dir) = std::env::current_dir() {
            config.dir = dir;
        }
        if args.is_empty() {
            return Ok(config);
        }
        let command_line = CommandLine::parse(&args);
        let mut text = Vec::new();
        if let Some(name) = command_line.file {
            let path = PathBuf::from(OsString::from_vec(name));
            config.origin.file = Some(std::path::absolute(&path).unwrap_or_else(|_| path.clone()));
            text = read_file(&System, &path)?;
        }
        if command_line.from_stdin {
            log::info!("Reading config from stdin");
            let path = PathBuf::from("-");
            io::stdin().lock().read_to_end(&mut text).map_err(|error| LoadError::Open { path, error })?;
        }
        text.push(b'\n');
        text.extend_from_slice(&command_line.lines);
        let mut reader = Reader { config, host: &System, depth: 0 };
        reader.text(&text)?;
        Ok(reader.config)
    }

    /// Reads configuration from a text and nothing else: an include has no effect, and neither the working
    /// directory nor any file is touched.
    pub fn parse_str(text: &[u8]) -> Result<Config, ConfigError> {
        Config::parse_with(text, &Nowhere).map_err(|error| match error {
            LoadError::Config(error) => error,
            LoadError::Open { error, .. } => ConfigError { line: None, reason: os_error_text(&error).into() },
        })
    }

    /// Reads configuration from a text, with includes and checks as `host` has them.
    pub fn parse_with(text: &[u8], host: &dyn Host) -> Result<Config, LoadError> {
        let mut reader = Reader { config: Config::default(), host, depth: 0 };
        reader.text(text)?;
        Ok(reader.config)
    }
}

fn read_file(host: &dyn Host, path: &Path) -> Result<Vec<u8>, LoadError> {
    host.read(path).map_err(|error| LoadError::Open { path: path.to_owned(), error })
}

/// Why a line ends the reading.
enum Stop {
    /// The line itself is wrong.
    Line(Reason),
    /// Something that the line includes is.
    Included(LoadError),
}

impl<R: Into<Reason>> From<R> for Stop {
    fn from(reason: R) -> Self {
        Self::Line(reason.into())
    }
}

/// The configuration as far as it has been read.
struct Reader<'a> {
    config: Config,
    host: &'a dyn Host,
    /// Includes around the text at hand.
    depth: usize,
}

impl Reader<'_> {
    /// Reads a whole text, and checks what can only be checked at its end.
    fn text(&mut self, text: &[u8]) -> Result<(), LoadError> {
        for (i, line) in text.split(|&b| b == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            self.line(line).map_err(|stop| match stop {
                Stop::Line(reason) => {
                    LoadError::Config(ConfigError { line: Some((i + 1, line.to_vec())), reason })
                }
                Stop::Included(error) => error,
            })?;
        }
        self.check_log_file().map_err(|reason| LoadError::Config(ConfigError { line: None, reason }))
    }

    fn check_log_file(&self) -> Result<(), Reason> {
        let path = &self.config.logfile;
        if path.as_os_str().is_empty() {
            return Ok(());
        }
        self.host
            .can_append(path)
            .map_err(|error| format!("Can't open the log file: {}", os_error_text(&error)).into())
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Stop> {
        let words = sds::split_args(line).ok_or(UNBALANCED)?;
        let Some((name, values)) = words.split_first() else {
            return Ok(());
        };
        if let Some(directive) = Directive::find(name) {
            return self.directive(directive, values);
        }
        let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
        match values {
            [path] if is("include") => self.include(path),
            [old, new] if is("rename-command") => self.rename_command(old, new),
            [_] => match RETIRED.iter().find(|retired| is(retired)) {
                Some(retired) => {
                    self.note_without_effect(retired);
                    Ok(())
                }
                None => Err(BAD_DIRECTIVE.into()),
            },
            _ => Err(BAD_DIRECTIVE.into()),
        }
    }

    fn directive(&mut self, directive: &'static Directive, values: &[Vec<u8>]) -> Result<(), Stop> {
        let mut split = Vec::new();
        let many = directive.slot.many_words();
        let values = match values {
            // One word for a directive of many may hold them all, quoted as a whole.
            [value] if many && !value.is_empty() => {
                split.extend(sds::split_args(value).ok_or(UNBALANCED)?);
                split.as_slice()
            }
            [_] => values,
            _ if many => values,
            _ => return Err("wrong number of arguments".into()),
        };
        let words: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
        directive.slot.set(&mut self.config, &words)?;
        if directive.effect == Effect::Dir {
            // At once, because relative paths in later lines start there.
            let dir = self.host.change_dir(&self.config.dir);
            self.config.dir = dir.map_err(|error| os_error_text(&error))?;
        }
        if directive.has(Flag::NoEffect) {
            self.note_without_effect(directive.name);
        }
        Ok(())
    }

    fn note_without_effect(&mut self, name: &'static str) {
        let noted = &mut self.config.origin.without_effect;
        if !noted.contains(&name) {
            noted.push(name);
        }
    }

    fn include(&mut self, path: &[u8]) -> Result<(), Stop> {
        if self.depth == MAX_INCLUDE_DEPTH {
            return Err("Too many nested include directives".into());
        }
        let text = self.included_text(path).map_err(Stop::Included)?;
        self.depth += 1;
        let result = self.text(&text).map_err(Stop::Included);
        self.depth -= 1;
        result
    }

    /// The text of all files that an include names. Lines are counted through all of them.
    fn included_text(&self, path: &[u8]) -> Result<Vec<u8>, LoadError> {
        let is_pattern = path.iter().any(|b| b"*?[".contains(b));
        let path = Path::new(std::ffi::OsStr::from_bytes(path));
        if !is_pattern {
            return read_file(self.host, path);
        }
        let mut text = Vec::new();
        for file in path.to_str().map_or(Vec::new(), |pattern| self.host.matching(pattern)) {
            text.extend(read_file(self.host, &file)?);
            text.push(b'\n');
        }
        Ok(text)
    }

    fn rename_command(&mut self, old: &[u8], new: &[u8]) -> Result<(), Stop> {
        if !self.is_command(old) {
            return Err("No such command in rename-command".into());
        }
        if !new.is_empty() && !old.eq_ignore_ascii_case(new) && self.is_command(new) {
            return Err("Target command name already exists".into());
        }
        self.config.origin.renamed_commands.push((old.to_vec(), new.to_vec()));
        Ok(())
    }

    /// Whether a command has this name after the renames so far.
    fn is_command(&self, name: &[u8]) -> bool {
        let renamed = &self.config.origin.renamed_commands;
        renamed.iter().fold(self.host.is_command(name), |exists, (old, new)| {
            (exists && !old.eq_ignore_ascii_case(name)) || new.eq_ignore_ascii_case(name)
        })
    }
}

const UNBALANCED: &str = "Unbalanced quotes in configuration line";
const BAD_DIRECTIVE: &str = "Bad directive or wrong number of arguments";
