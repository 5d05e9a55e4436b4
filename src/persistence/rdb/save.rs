//! A whole file.

use std::io::Write;

use super::encode::Encoder;
use super::error::Error;
use super::format::{opcode, version_for};
use crate::db::Db;
use crate::db::evict::{self, Lfu};
use crate::db::object::EntryRef;
use crate::persistence::dismiss::Dismissal;
use crate::persistence::pause_between_keys;
use crate::persistence::rio::Writer;
use crate::server::Server;
use crate::server::config::{EvictionPolicy, RdbVersion};
use crate::server::version::{ARCH_BITS, REDIS_VERSION};
use crate::zmalloc;

/// How many keys before it is written a value is asked for, so that it is in the cache by then.
const AHEAD: usize = 8;

/// What is written.
#[derive(Debug)]
pub struct Dataset<'a> {
    /// The databases.
    pub dbs: &'a [Db],
    /// Sources of the libraries of functions.
    pub functions: Vec<&'a [u8]>,
    /// When the file begins to be written, as Unix time in seconds.
    pub now_s: u64,
}

impl<'a> Dataset<'a> {
    /// Everything that a server holds.
    pub fn of(srv: &'a Server) -> Dataset<'a> {
        let functions = srv.scripting.functions.sources().map(|source| source.as_ref()).collect();
        Dataset { dbs: &srv.dbs, functions, now_s: srv.clock.unix_s() }
    }
}

/// Which clock of the keys is written beside them.
#[derive(Debug, Clone, Copy)]
pub enum Clocks {
    /// None.
    None,
    /// The seconds since the last access, from an LRU clock of now.
    Idle(u32),
    /// The counter of accesses, under these parameters.
    Frequency(Lfu),
}

/// How a file is written.
#[derive(Debug, Clone)]
pub struct SaveOptions {
    /// `rdb-version`.
    pub version: RdbVersion,
    /// `rdbcompression`.
    pub compress: bool,
    /// `rdbchecksum`.
    pub checksum: bool,
    /// Whether the file is the base of an append-only file.
    pub aof_base: bool,
    /// What the file says about replication: the database selected in the stream, its id and its offset.
    pub replication: Option<(usize, String, i64)>,
    /// Microseconds to sleep at each key, or, if negative, the number of keys to each of which there is one: for tests.
    pub key_delay: i32,
    /// Which clock of the keys goes with them.
    pub clocks: Clocks,
    /// The right to give back the memory of what is written, of a child.
    pub dismissal: Option<Dismissal>,
}

impl SaveOptions {
    /// As configured.
    pub fn of(srv: &Server) -> SaveOptions {
        let policy = srv.config.maxmemory_policy;
        let clocks = match policy {
            EvictionPolicy::VolatileLru | EvictionPolicy::AllKeysLru => {
                Clocks::Idle(evict::lru_clock(&srv.clock))
            }
            _ if policy.is_lfu() => Clocks::Frequency(Lfu::new(&srv.config, &srv.clock)),
            _ => Clocks::None,
        };
        SaveOptions {
            version: srv.config.rdb_version,
            compress: srv.config.rdbcompression,
            checksum: srv.config.rdbchecksum,
            aof_base: false,
            replication: None,
            key_delay: 0,
            clocks,
            dismissal: None,
        }
    }
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaveInfo {
    /// Keys.
    pub keys: u64,
    /// Bytes.
    pub bytes: u64,
    /// The version of the format.
    pub version: u16,
}

/// Writes everything to `sink`, in large pieces. `progress` is told after each key how many keys and bytes there are.
///
/// # Errors
/// [`Error::Forced`] before anything is written; [`Error::Io`].
pub fn save(
    sink: &mut impl Write,
    data: &Dataset<'_>,
    options: &SaveOptions,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<SaveInfo, Error> {
    let field_expiry = data.dbs.iter().any(|db| db.keys.due_len() > 0);
    let version = version_for(field_expiry, options.version)?;
    let out = Writer::new(sink, options.checksum);
    let mut file = File { to: Encoder::new(out, version, options.compress), options, keys: 0 };
    file.to.out.put(format!("REDIS{version:04}").as_bytes());
    file.facts(data);
    for source in &data.functions {
        file.to.out.byte(opcode::FUNCTION2);
        file.to.string(source);
    }
    for db in data.dbs.iter().filter(|db| !db.is_empty()) {
        file.database(db, progress)?;
    }
    file.to.out.byte(opcode::EOF);
    let sum = file.to.out.checksum();
    file.to.word(sum);
    Ok(SaveInfo { keys: file.keys, version, bytes: file.to.out.finish()? })
}

struct File<'w, 'o> {
    to: Encoder<'w>,
    options: &'o SaveOptions,
    keys: u64,
}

impl File<'_, '_> {
    fn fact(&mut self, name: &str, value: &str) {
        self.to.out.byte(opcode::AUX);
        self.to.string(name.as_bytes());
        self.to.string(value.as_bytes());
    }

    fn facts(&mut self, data: &Dataset<'_>) {
        self.fact("redis-ver", REDIS_VERSION);
        self.fact("redis-bits", &ARCH_BITS.to_string());
        self.fact("ctime", &data.now_s.to_string());
        self.fact("used-mem", &zmalloc::used_memory().to_string());
        if let Some((db, id, offset)) = &self.options.replication {
            self.fact("repl-stream-db", &db.to_string());
            self.fact("repl-id", id);
            self.fact("repl-offset", &offset.to_string());
        }
        self.fact("aof-base", if self.options.aof_base { "1" } else { "0" });
    }

    fn database(&mut self, db: &Db, progress: &mut dyn FnMut(u64, u64)) -> Result<(), Error> {
        self.to.out.byte(opcode::SELECT_DB);
        self.to.length(db.id as u64);
        self.to.out.byte(opcode::RESIZE_DB);
        self.to.length(db.len() as u64);
        self.to.length(db.expires_len() as u64);
        let mut ahead = db.keys.iter();
        ahead.by_ref().take(AHEAD).for_each(EntryRef::prefetch_value);
        for entry in db.keys.iter() {
            if let Some(entry) = ahead.next() {
                entry.prefetch_value();
            }
            self.key(entry);
            self.keys += 1;
            self.to.out.check()?;
            if let Some(dismissal) = self.options.dismissal {
                dismissal.entry(entry);
            }
            pause_between_keys(self.options.key_delay, self.keys);
            progress(self.keys, self.to.out.written());
        }
        Ok(())
    }

    #[inline]
    fn key(&mut self, entry: EntryRef<'_>) {
        if let Some(at_ms) = entry.expiry() {
            self.to.out.byte(opcode::EXPIRE_TIME_MS);
            self.to.word(at_ms as u64);
        }
        match self.options.clocks {
            Clocks::None => {}
            Clocks::Idle(now) => {
                self.to.out.byte(opcode::IDLE);
                self.to.length(u64::from(evict::idle_seconds(entry.clock(), now)));
            }
            Clocks::Frequency(lfu) => self.to.out.put(&[opcode::FREQ, lfu.counter(entry.clock())]),
        }
        let kind = self.to.kind(entry);
        self.to.out.byte(kind);
        self.to.string(entry.key());
        self.to.value(entry);
    }
}
