//! A whole file, into a server.

use std::io::Read;

use bytes::Bytes;

use super::decode::Decoder;
use super::error::Error;
use super::format::{CHECKSUM_SINCE, VERSION, kind, opcode};
use super::value::{self, Around, Limits, Skipped, module_name};
use crate::db::evict::{self, Lfu};
use crate::db::kvstore::Place;
use crate::db::object::Entry;
use crate::ds::numbers;
use crate::persistence::pause_between_keys;
use crate::persistence::rio::{ReadError, Source, Stream};
use crate::scripting::functions;
use crate::server::{Key, Server};

/// Bytes of magic and version.
const HEADER: usize = 9;
/// A key with its value takes no less in a file.
const KEY_BYTES_MIN: u64 = 3;
/// Of keys that are skipped because they are empty, so many are logged.
const EMPTY_LOGGED: u64 = 10;

/// So many entries are on their way into a database at a time. Where one belongs in a large table is nowhere near the
/// processor: the place is asked for when the entry is read, and the entry is put there when some more were read.
const AHEAD: usize = 16;

/// How a file is read.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// Bytes of the file, if that is known.
    pub size: Option<u64>,
    /// Whether the checksum has to be right.
    pub checksum: bool,
    /// Whether keys whose expiry has passed are left out: not by a replica, nor in front of the rest of an append-only file.
    pub drop_expired: bool,
    /// Whether a key that is there already, from before or from the file, is replaced, rather than an error.
    pub replace: bool,
    /// `between` is called about every so many bytes.
    pub interval_bytes: u64,
}

impl LoadOptions {
    /// For the file of a master, as configured.
    pub fn of(srv: &Server) -> LoadOptions {
        LoadOptions {
            size: None,
            checksum: srv.config.rdbchecksum && !srv.debug.skip_checksum_validation,
            drop_expired: true,
            replace: false,
            interval_bytes: 2 << 20,
        }
    }
}

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadInfo {
    /// Keys that are there now.
    pub keys: u64,
    /// Keys left out because their expiry has passed.
    pub expired: u64,
    /// Keys left out because they hold nothing.
    pub empty: u64,
    /// Bytes of the file, up to its end.
    pub bytes: u64,
    /// Bytes behind its end that were read with it.
    pub ahead: Vec<u8>,
    /// The version of the format.
    pub version: u16,
    /// Whether it says that it is the base of an append-only file.
    pub aof_base: bool,
    /// Whether it is the beginning of a file that goes on with commands.
    pub aof_preamble: bool,
    /// What it says about replication.
    pub replication: Replication,
}

/// What a file says about replication.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replication {
    /// The database selected in the stream.
    pub db: Option<usize>,
    /// The stream's id.
    pub id: Option<Vec<u8>>,
    /// The offset in it.
    pub offset: Option<i64>,
}

/// Reads a file into the databases of `srv`. Between keys, and the elements of large values, `between` is told how many bytes
/// were read.
///
/// What is wrong with the file is logged; what was read until then stays.
///
/// # Errors
/// [`Error`], which says what is wrong.
pub fn load(
    srv: &mut Server,
    input: &mut impl Read,
    options: &LoadOptions,
    between: &mut dyn FnMut(&mut Server, u64),
) -> Result<LoadInfo, Error> {
    let mut context = Context::new(srv, options);
    let interval_bytes = options.interval_bytes;
    let stream = Stream::new(input, options.size);
    let mut served = Served { stream, srv, between, interval_bytes, called_at: 0 };
    let mut info = LoadInfo::default();
    let loaded = load_from(&mut Decoder::new(&mut served), &mut context, &mut info);
    match loaded {
        Ok(()) => {
            log_done(&info);
            info.bytes = served.stream.offset();
            info.ahead = served.stream.into_rest();
            Ok(info)
        }
        Err(error) => {
            log_error(&error);
            Err(error)
        }
    }
}

fn log_done(info: &LoadInfo) {
    log::info!(
        "Done loading RDB, keys loaded: {}, keys expired: {}, empty keys skipped: {}.",
        info.keys,
        info.expired,
        info.empty
    );
}

fn log_error(error: &Error) {
    if matches!(error, Error::End { .. } | Error::Io(_)) {
        log::warn!("Short read or OOM loading DB. Unrecoverable error, aborting now.");
    }
    log::warn!("{error}");
    if let Error::Checksum(..) = error {
        log::warn!("RDB CRC error");
    }
}

/// A file that is read into a server, which attends to its clients in between.
struct Served<'a> {
    stream: Stream<'a>,
    srv: &'a mut Server,
    between: &'a mut dyn FnMut(&mut Server, u64),
    interval_bytes: u64,
    called_at: u64,
}

impl Source for Served<'_> {
    #[inline]
    fn take(&mut self, length: usize) -> Result<&[u8], ReadError> {
        self.stream.take(length)
    }

    fn take_vec(&mut self, length: usize) -> Result<Vec<u8>, ReadError> {
        let Served { stream, srv, between, interval_bytes, called_at } = self;
        stream.take_vec_in_steps(length, |offset| {
            if offset - *called_at >= *interval_bytes {
                *called_at = offset;
                between(srv, offset);
            }
        })
    }

    #[inline]
    fn offset(&self) -> u64 {
        self.stream.offset()
    }

    fn left(&self) -> u64 {
        self.stream.left()
    }

    #[inline]
    fn breathe(&mut self) {
        let offset = self.stream.offset();
        if offset - self.called_at >= self.interval_bytes {
            self.called_at = offset;
            (self.between)(self.srv, offset);
        }
    }
}

/// What an item said about the key that follows.
#[derive(Default)]
struct Ahead {
    expiry: Option<i64>,
    idle_s: Option<u64>,
    frequency: Option<u8>,
}

/// What does not change from key to key.
struct Context<'o> {
    options: &'o LoadOptions,
    limits: Limits,
    now_ms: i64,
    lfu: Option<Lfu>,
    lru_now: u32,
    initial_clock: u32,
    /// Keys that room was provided for, in all databases.
    reserved: usize,
    /// The database at hand, the last key read, and the entries on their way into the database, with the hashes of their keys.
    db: usize,
    key: Vec<u8>,
    coming: Vec<(u64, Entry)>,
}

impl Context<'_> {
    fn new<'o>(srv: &Server, options: &'o LoadOptions) -> Context<'o> {
        let lfu = srv.config.maxmemory_policy.is_lfu();
        Context {
            options,
            limits: Limits::of(srv),
            now_ms: srv.clock.unix_ms as i64,
            lfu: lfu.then(|| Lfu::new(&srv.config, &srv.clock)),
            lru_now: evict::lru_clock(&srv.clock),
            initial_clock: srv.initial_clock(),
            db: 0,
            reserved: 0,
            key: Vec::new(),
            coming: Vec::with_capacity(AHEAD),
        }
    }

    fn clock(&self, ahead: &Ahead) -> u32 {
        match (self.lfu, ahead.frequency, ahead.idle_s) {
            (Some(lfu), Some(counter), _) => lfu.clock(counter),
            (None, _, Some(idle_s)) => evict::lru_clock_idle_for(idle_s, self.lru_now),
            _ => self.initial_clock,
        }
    }
}

fn load_from(
    from: &mut Decoder<'_, Served<'_>>,
    context: &mut Context<'_>,
    info: &mut LoadInfo,
) -> Result<(), Error> {
    let read = items(from, context, info);
    // What was read is there, whatever came behind it.
    settle(from.source.srv, context)?;
    read
}

fn items(
    from: &mut Decoder<'_, Served<'_>>,
    context: &mut Context<'_>,
    info: &mut LoadInfo,
) -> Result<(), Error> {
    info.version = header(from)?;
    let options = context.options;
    let mut ahead = Ahead::default();
    loop {
        match from.byte()? {
            opcode::EXPIRE_TIME => {
                ahead.expiry = Some(i64::from(i32::from_le_bytes(from.array()?)) * 1000);
            }
            opcode::EXPIRE_TIME_MS => ahead.expiry = Some(from.word()? as i64),
            opcode::FREQ => ahead.frequency = Some(from.byte()?),
            opcode::IDLE => ahead.idle_s = Some(from.length()?),
            opcode::SELECT_DB => {
                settle(from.source.srv, context)?;
                context.db = select(from)?;
            }
            opcode::RESIZE_DB => resize(from, context)?,
            opcode::SLOT_INFO => skip_slot_info(from)?,
            opcode::AUX => fact(from, info)?,
            opcode::MODULE_AUX => return Err(module_aux(from)),
            opcode::FUNCTION_PRE_GA => {
                return Err(from.corrupt("Pre-release function format not supported."));
            }
            opcode::FUNCTION2 => library(from, options.replace)?,
            opcode::EOF => return trailer(from, info.version, options.checksum),
            byte if kind::is_known(byte) => {
                key(from, byte, std::mem::take(&mut ahead), context, info)?;
                from.source.breathe();
            }
            byte => {
                log::warn!("Unknown type or opcode when loading DB. Unrecoverable error, aborting now.");
                return Err(from.corrupt(format!("Unknown RDB encoding type {byte}")));
            }
        }
    }
}

/// Reads magic and version.
pub(super) fn header(from: &mut Decoder<'_, impl Source>) -> Result<u16, Error> {
    let bytes = from.array::<HEADER>()?;
    let Some(digits) = bytes.strip_prefix(b"REDIS") else {
        return Err(Error::Signature(bytes.into()));
    };
    let version = digits.iter().take_while(|digit| digit.is_ascii_digit());
    let version = version.fold(0, |number, digit| number * 10 + i64::from(digit - b'0'));
    if (1..=i64::from(VERSION)).contains(&version) {
        Ok(version as u16)
    } else {
        Err(Error::Version(version))
    }
}

fn select(from: &mut Decoder<'_, Served<'_>>) -> Result<usize, Error> {
    let db = from.length()?;
    let dbs = from.source.srv.dbs.len();
    if db < dbs as u64 {
        return Ok(db as usize);
    }
    Err(Error::Unsupported(format!(
        "FATAL: Data file was created with a Redis server configured to handle more than {dbs} databases. Exiting"
    )))
}

/// Provides room for as many keys as the file says that it has, and as all of it can have: however often it says so, and of
/// however many databases.
fn resize(from: &mut Decoder<'_, Served<'_>>, context: &mut Context<'_>) -> Result<(), Error> {
    let (keys, _expires) = (from.length()?, from.length()?);
    let in_all = from.believed(keys.saturating_add(context.reserved as u64), KEY_BYTES_MIN);
    let room = in_all.saturating_sub(context.reserved);
    context.reserved += room;
    let table = from.source.srv.dbs[context.db].keys.table_mut();
    table.reserve(table.len().saturating_add(room));
    Ok(())
}

/// A slot's number and sizes, which help who has a table for each slot.
fn skip_slot_info(from: &mut Decoder<'_, impl Source>) -> Result<(), Error> {
    for _ in 0..3 {
        from.length()?;
    }
    Ok(())
}

/// Reads a fact about the file: a name and a value.
fn fact(from: &mut Decoder<'_, Served<'_>>, info: &mut LoadInfo) -> Result<(), Error> {
    let name = from.bytes()?.to_vec();
    let value = from.bytes()?;
    let text = || String::from_utf8_lossy(value);
    let number = || numbers::parse_i64(value);
    match &name[..] {
        [b'%', ..] => log::info!("RDB '{}': {}", String::from_utf8_lossy(&name), text()),
        b"repl-stream-db" => info.replication.db = number().and_then(|db| usize::try_from(db).ok()),
        b"repl-id" => info.replication.id = Some(value.to_vec()),
        b"repl-offset" => info.replication.offset = number(),
        b"redis-ver" => log::info!("Loading RDB produced by version {}", text()),
        b"valkey-ver" => log::info!("Loading RDB produced by Valkey version {}", text()),
        b"ctime" => {
            let now_s = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs()) as i64;
            log::info!("RDB age {} seconds", now_s.saturating_sub(number().unwrap_or(0)).max(0));
        }
        b"used-mem" => {
            let bytes = number().unwrap_or(0);
            log::info!("RDB memory usage when created {:.2} Mb", bytes as f64 / (1024.0 * 1024.0));
            let bytes = u64::try_from(bytes).unwrap_or(0);
            from.source.srv.persistence.loading.note_saved_memory(bytes);
        }
        b"aof-preamble" => {
            info.aof_preamble = number() == Some(1);
            if info.aof_preamble {
                log::info!("RDB has an AOF tail");
            }
        }
        b"aof-base" => {
            info.aof_base = number() == Some(1);
            if info.aof_base {
                log::info!("RDB is base AOF");
            }
        }
        // Scripts of former days, which are no longer kept, and a fact that nothing here depends on.
        b"lua" | b"redis-bits" => {}
        _ => log::trace!("Unrecognized RDB AUX field: '{}'", String::from_utf8_lossy(&name)),
    }
    Ok(())
}

/// What is said of the data of a module, of which there are none.
fn module_aux(from: &mut Decoder<'_, impl Source>) -> Error {
    match from.length() {
        Ok(id) => Error::Unsupported(format!(
            "The RDB file contains AUX module data I can't load: no matching module '{}'",
            module_name(id)
        )),
        Err(error) => error,
    }
}

/// Reads a library of functions.
fn library(from: &mut Decoder<'_, Served<'_>>, replace: bool) -> Result<(), Error> {
    let source = Bytes::copy_from_slice(from.bytes()?);
    functions::load_library(from.source.srv, source, replace)
        .map_err(|error| Error::Unsupported(format!("Failed loading library, {error}")))
}

/// Reads the checksum, of files that have one.
fn trailer(from: &mut Decoder<'_, Served<'_>>, version: u16, check: bool) -> Result<(), Error> {
    if version < CHECKSUM_SINCE {
        return Ok(());
    }
    let computed = from.source.stream.checksum();
    from.source.stream.ignore_checksum();
    let stated = from.word()?;
    match check {
        true if stated == 0 => {
            log::info!("RDB file was saved with checksum disabled: no check performed.");
            Ok(())
        }
        true if stated != computed => Err(Error::Checksum(stated, computed)),
        _ => Ok(()),
    }
}

/// Reads a key and its value, and puts them on their way.
#[inline]
fn key(
    from: &mut Decoder<'_, Served<'_>>,
    kind: u8,
    ahead: Ahead,
    context: &mut Context<'_>,
    info: &mut LoadInfo,
) -> Result<(), Error> {
    let mut name = std::mem::take(&mut context.key);
    from.bytes_into(&mut name)?;
    // An expiry before 1970 is as good as any in the past.
    let expiry = ahead.expiry.map(|at_ms| at_ms.max(0));
    let around = Around { key: &name, expiry, clock: context.clock(&ahead) };
    let read = value::entry(from, kind, around, &context.limits)?;
    match read {
        Err(Skipped::Empty) => {
            if info.empty < EMPTY_LOGGED {
                log::info!("rdbLoadObject skipping empty key: {}", String::from_utf8_lossy(&name));
            }
            info.empty += 1;
        }
        Ok(_) if context.options.drop_expired && expiry.is_some_and(|at_ms| at_ms < context.now_ms) => {
            info.expired += 1;
        }
        Ok(entry) => {
            let srv = &mut *from.source.srv;
            let hash = srv.key_of(&name).hash;
            srv.dbs[context.db].keys.prefetch_bucket(hash);
            context.coming.push((hash, entry));
            info.keys += 1;
            if context.coming.len() >= AHEAD {
                settle(srv, context)?;
            }
        }
    }
    context.key = name;
    // Asked anew at each key: a client may have ended it meanwhile.
    pause_between_keys(from.source.srv.config.key_load_delay, info.keys);
    Ok(())
}

/// Adds the entries that are on their way.
fn settle(srv: &mut Server, context: &mut Context<'_>) -> Result<(), Error> {
    let keys = &mut srv.dbs[context.db].keys;
    for (hash, entry) in context.coming.drain(..) {
        match keys.place(Key { bytes: entry.view().key(), hash }) {
            Place::Free(place) => place.insert(entry),
            Place::Taken(mut present) if context.options.replace => drop(present.replace(entry)),
            Place::Taken(present) => return Err(Error::Duplicate(present.view().key().into(), context.db)),
        }
    }
    Ok(())
}
