//! The server: its state, and everything that acts on it between the sockets and the data.
//!
//! [`Server`] is a value made in `main` and passed as `&mut Server`; there are no globals. It consists of named
//! parts, so that a function can borrow the parts it needs. The parts' behaviour lives in the files of upstream's
//! names: `networking` reads and writes, `dispatch` checks and calls commands, `cron` does what time brings.

use crate::db::Db;
use crate::db::blocked::Blocked;
use crate::db::evict::Eviction;
use crate::db::lazyfree::LazyFree;
use crate::db::multi::Watches;
use crate::db::pubsub::Pubsub;
use crate::ds::siphash;
use crate::io::ae::EventLoop;
use crate::io::bio::Bio;
use crate::persistence;
use crate::scripting;

pub mod argv;
pub mod client;
pub mod client_cmd;
pub mod command_cmd;
pub mod commands;
pub mod config;
pub mod crash;
pub mod cron;
pub mod debug;
pub mod dispatch;
pub mod error;
pub mod events;
pub mod info;
pub mod latency;
pub mod logging;
pub mod lolwut;
pub mod memory;
pub mod module;
pub mod monitor;
pub mod networking;
pub mod oom_score;
pub mod process;
pub mod propagate;
pub mod redact;
pub mod reply;
pub mod resp;
pub mod setcpuaffinity;
pub mod setproctitle;
pub mod shutdown;
pub mod signals;
pub mod slowlog;
pub mod start;
pub mod stats;
#[cfg(any(test, fuzzing))]
pub mod testing;
pub mod time;
pub mod version;

pub use argv::{Argv, Key};
pub use client::{Client, ClientFlags, ClientId, Clients};
pub use commands::{CommandProc, CommandSpec, CommandTable};
pub use error::{CmdError, CmdResult};
pub use propagate::Propagation;
pub use reply::Out;

/// The whole state of a running server.
#[derive(Debug)]
pub struct Server {
    /// What the operator has configured.
    pub config: config::Config,
    /// Commands by name, `rename-command` applied.
    pub commands: CommandTable,
    /// The databases.
    pub dbs: Vec<Db>,
    /// The time, as cached once a turn.
    pub clock: time::Clock,
    /// Counters that INFO shows.
    pub stats: stats::Stats,
    /// Connections.
    pub clients: Clients,
    /// Listening sockets, lists of clients with work to do, shared buffers.
    pub net: networking::Net,
    /// Readiness of descriptors.
    pub el: EventLoop,
    /// Background threads.
    pub bio: Bio,
    /// Channels, patterns and who listens.
    pub pubsub: Pubsub,
    /// Who watches which keys: WATCH.
    pub watches: Watches,
    /// Who waits for which keys: BLPOP and its kin.
    pub blocked: Blocked,
    /// What is freed in the background.
    pub lazyfree: LazyFree,
    /// Keys that may have to make room: `maxmemory`.
    pub eviction: Eviction,
    /// What is to be told to replicas and the append-only file.
    pub propagation: Propagation,
    /// The dataset on disk: children that save, loading, RDB files.
    pub persistence: persistence::State,
    /// Scripts and what runs them.
    pub scripting: scripting::State,
    /// Commands that were slow.
    pub slowlog: slowlog::Slowlog,
    /// Events that were slow.
    pub latency: latency::LatencyMonitor,
    /// Clients that receive every command.
    pub monitors: Vec<ClientId>,
    /// The process: identity, files, how it is to end.
    pub process: process::Process,
    /// Timers and what they keep between runs.
    pub cron: cron::Cron,
    /// Whether the client at hand leaves access clocks alone: CLIENT NO-TOUCH.
    pub no_touch: bool,
    /// A command that takes this many nanoseconds or more concerns the slow log or the latency monitor.
    pub slow_ns: u64,
    /// Switches of DEBUG.
    pub debug: debug::DebugState,
}

impl Server {
    /// Forgets what CONFIG RESETSTAT forgets.
    pub fn reset_stats(&mut self) {
        self.stats.reset();
        self.lazyfree.reset();
        self.persistence.aof.reset_stats();
        self.scripting.eval.evicted = 0;
    }

    /// Works out anew from which duration a command concerns the slow log or the latency monitor.
    pub fn refresh_slow_threshold(&mut self) {
        let slowlog = self.config.slowlog_log_slower_than;
        let slowlog_ns = if slowlog < 0 { u64::MAX } else { (slowlog as u64).saturating_mul(1000) };
        let latency_ns = match self.config.latency_monitor_threshold {
            0 => u64::MAX,
            ms => ms.saturating_mul(1_000_000),
        };
        self.slow_ns = slowlog_ns.min(latency_ns);
    }

    /// `bytes` as a key, hashed.
    pub fn key_of<'a>(&self, bytes: &'a [u8]) -> Key<'a> {
        Key { bytes, hash: siphash::hash(siphash::process_seed(), bytes) }
    }

    /// Counts a change to the dataset: `n` keys or elements.
    #[inline]
    pub fn dirty(&mut self, n: usize) {
        self.stats.dirty += n as u64;
    }
}
