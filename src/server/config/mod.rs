//! Configuration: what the operator said in `redis.conf`, on the command line and by CONFIG SET.
//!
//! [`Config`] is a plain struct with a field for each directive, owned by the server and read where it matters as
//! `srv.config.timeout`. A field has the name of its directive, with underscores.
//!
//! # One row per directive
//!
//! Struct and table grow out of the same rows, in `table.rs`. A row says how the directive is called, which field
//! holds it, its default, its [`Kind`](kind::Kind) (syntax, bounds, errors), what is special about it
//! ([`Flag`]) and what must happen in the server when it changes ([`Effect`]). Everything else is derived: reading
//! a file, CONFIG GET, SET and REWRITE, and their error messages. To add a directive, add a row, describe it in
//! `redis.conf`, and if a change needs work, add an effect and its function in `effects.rs`.
//!
//! # The files
//!
//! | file          | what it does                                                                |
//! |---------------|-----------------------------------------------------------------------------|
//! | `table.rs`    | the rows                                                                    |
//! | `kind.rs`     | how words become a value, and a value words                                 |
//! | `types.rs`    | values that are neither a number, a switch nor a text                       |
//! | `args.rs`     | the command line as configuration                                           |
//! | `file.rs`     | reading configuration; includes, retired directives, errors with their line |
//! | `set.rs`      | CONFIG SET and GET on a `Config`: all or nothing                            |
//! | `rewrite.rs`  | CONFIG REWRITE: new values in an old file                                   |
//! | `effects.rs`  | carrying a change into the running server                                   |
//! | `commands.rs` | the CONFIG command                                                          |
//!
//! Everything up to `rewrite.rs` knows nothing of the server, and [`Config::parse_str`] not even of the file
//! system: it is the entry for fuzzing.

pub mod args;
mod commands;
pub mod effects;
pub mod file;
pub mod kind;
pub mod rewrite;
pub mod set;
pub mod table;
pub mod types;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::path::PathBuf;

pub use commands::{config_get, config_help, config_resetstat, config_rewrite, config_set};
pub use effects::{apply_at_start, apply_effect};
pub use file::{ConfigError, LoadError};
pub use table::{Config, DIRECTIVES, Directive};
pub use types::{
    AppendFsync, EvictionPolicy, LogLevel, Named, NotifyFlags, OomScoreAdj, OomValues, OutputLimit,
    OutputLimits, ProtectedAction, RdbVersion, SanitizeDump, SavePoint, SavePoints, ShutdownFlags,
    Supervised, SyslogFacility,
};

/// Why a value was refused, as the operator reads it.
pub type Reason = Cow<'static, str>;

/// The range of `hz`; values beyond are accepted and clamped.
pub const HZ_RANGE: std::ops::RangeInclusive<u32> = 1..=500;

/// What is special about a directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    /// Fixed once the server runs.
    Immutable,
    /// Holds a secret: its value is kept out of logs.
    Sensitive,
    /// CONFIG SET refuses it unless `enable-protected-configs` allows.
    Protected,
    /// Shown by CONFIG GET only under its exact name.
    Hidden,
    /// Worth a line in a crash report.
    Debug,
    /// CONFIG SET refuses it while the dataset loads.
    DenyLoading,
    /// Its effect runs even if the value stays the same, because what the value names may have changed.
    Volatile,
    /// Its lines in a file add up; CONFIG SET puts a new value in their place.
    Cumulative,
    /// Accepted so that existing files work, and otherwise ignored; the log says so.
    NoEffect,
}

/// What the server has to do when a directive changes while it runs. The work is in `effects.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing: the value is looked up where it is needed.
    None,
    /// Listen on another TCP port.
    Port,
    /// Listen on other addresses.
    Bind,
    /// Make sure that as many descriptors can be open.
    MaxClients,
    /// Change the working directory.
    Dir,
    /// Change what the log lets through.
    LogLevel,
    /// Put up a new process title.
    ProcTitle,
    /// Adjust the out-of-memory score.
    OomScore,
    /// Catch crashes to report them, or stop doing so.
    CrashLog,
    /// Expect turns of the cron as often as that.
    Watchdog,
    /// Change the order in which texts sort.
    LocaleCollate,
    /// Start or stop the allocator's background thread.
    JemallocBgThread,
    /// Work out anew from which duration a command is worth a note.
    SlowThreshold,
    /// Evict what no longer fits.
    MaxMemory,
    /// Begin or end to append changes to a file.
    AppendOnly,
    /// Delete what rewrites have made superfluous.
    AofHistory,
}

/// Where the configuration came from, and what it says beyond the directives' values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Origin {
    /// The configuration file, as an absolute path; `None` if the server was started without.
    pub file: Option<PathBuf>,
    /// `rename-command`: old and new name in the order of the file. An empty new name removes the command.
    pub renamed_commands: Vec<(Vec<u8>, Vec<u8>)>,
    /// Directives that were given and have no effect, to be logged when the log is open.
    pub without_effect: Vec<&'static str>,
}
