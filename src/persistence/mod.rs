//! The dataset on disk: what keeps it there, and brings it back when the server starts.
//!
//! | file         | what it does                                                             |
//! |--------------|--------------------------------------------------------------------------|
//! | `child.rs`   | forks the process that writes while the server goes on, and follows it   |
//! | `dismiss.rs` | what a child does so that less memory is copied                          |
//! | `save.rs`    | RDB files: SAVE, BGSAVE, save points, what becomes of a finished child    |
//! | `loading.rs` | the state of a server that is loading, and what it serves meanwhile       |
//! | `dump.rs`    | DUMP and RESTORE                                                         |
//! | `migrate.rs` | MIGRATE                                                                  |
//! | `rdb/`       | the format of files and payloads                                         |
//! | `rio.rs`     | where their bytes go to and come from                                    |
//! | `aof/`       | the append-only file                                                     |
//!
//! [`State`] is what the server owns of all this. [`write_refusal`] is the one place that says whether writes must be
//! refused because they could not be kept.

pub mod aof;
pub mod child;
pub mod dismiss;
pub mod dump;
pub mod loading;
pub mod migrate;
pub mod rdb;
pub mod rio;
pub mod save;

use std::time::Duration;

use crate::cmd_err;
use crate::server::commands::CommandFlags;
use crate::server::{Client, CmdError, CommandSpec, Server};

/// What the server keeps about its persistence.
#[derive(Debug, Default)]
pub struct State {
    /// The process that writes a file at present, if there is one.
    pub children: child::Children,
    /// The dataset that is being loaded, if one is.
    pub loading: loading::State,
    /// When and how the last RDB files came about.
    pub rdb: save::State,
    /// The append-only file.
    pub aof: aof::Aof,
    /// Connections to servers that keys were moved to.
    pub migrate: migrate::Connections,
}

impl State {
    /// Whether any command may have to be refused: while this is false, none is.
    #[inline]
    pub fn stands_in_the_way(&self) -> bool {
        self.loading.is_on() || self.rdb.failed || self.aof.is_failing()
    }
}

/// Why no command that writes may run at present: what it did could not be kept.
pub fn write_refusal(srv: &Server) -> Option<CmdError> {
    let rdb = srv.persistence.rdb.failed && !srv.config.save.points.is_empty();
    if !(rdb && srv.config.stop_writes_on_bgsave_error) {
        let aof = srv.persistence.aof.disk_error()?;
        return Some(cmd_err!("MISCONF Errors writing to the AOF file: {aof}"));
    }
    Some(CmdError::text(
        "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that \
         may modify the data set are disabled, because this instance is configured to report errors during writes if RDB \
         snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB \
         error.",
    ))
}

/// Why a command that writes is refused, if it is: see [`write_refusal`]. PING is refused as well, so that whoever watches
/// the server hears of the trouble.
pub fn disk_error(srv: &Server, c: &Client, spec: &CommandSpec) -> Option<CmdError> {
    let queued = c.multi.as_ref().is_some_and(|multi| spec.name == "exec" && multi.changes_data());
    let concerned = spec.flags.contains(CommandFlags::WRITE) || queued || spec.name == "ping";
    if concerned { write_refusal(srv) } else { None }
}

/// Why a command is refused while the dataset is loaded, if it is.
pub fn loading_error(srv: &Server, c: &Client, spec: &CommandSpec) -> Option<CmdError> {
    let queued = c.multi.as_ref().is_some_and(|multi| spec.name == "exec" && !multi.runs_while_loading());
    let needs_data = !spec.flags.contains(CommandFlags::LOADING) || queued;
    (needs_data && srv.persistence.loading.is_on()).then_some(CmdError::LOADING)
}

/// A pause between two keys, for tests: microseconds, or, if negative, one after every so many keys.
#[inline]
fn pause_between_keys(delay: i32, keys: u64) {
    if delay > 0 || (delay < 0 && keys.is_multiple_of(u64::from(delay.unsigned_abs()))) {
        std::thread::sleep(Duration::from_micros(delay.max(1) as u64));
    }
}
