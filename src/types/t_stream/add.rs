//! What changes the entries of a stream: XADD, XTRIM, XDEL, XSETID; and XLEN.

use bytes::Bytes;

use super::{id_arg, id_args, publish, reply_id};
use crate::db::blocked;
use crate::db::object::stream::{IdSpec, Log, NewEntry, NodeLimits, StreamId, Trim, TrimTo};
use crate::db::object::{Entry, Stream, Type};
use crate::server::{Argv, Client, ClientFlags, CmdError, CmdResult, Server};

const TWO_STRATEGIES: CmdError =
    CmdError::text("ERR syntax error, MAXLEN and MINID options at the same time are not compatible");

/// Entries that an inexact trim takes away at most, if neither LIMIT nor the size of nodes says otherwise.
const TRIM_LIMIT: i64 = 10_000;

/// Entries that an inexact trim takes away at most without a LIMIT.
const TRIM_LIMIT_MAX: i64 = 1_000_000;

/// Nodes that an inexact trim takes away at most without a LIMIT.
const TRIM_NODES: i64 = 100;

/// Whose options are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Add,
    Trim,
}

/// The options of XADD and XTRIM.
#[derive(Debug)]
struct Options {
    /// NOMKSTREAM.
    only_existing: bool,
    /// MAXLEN or MINID, and the number of its argument.
    to: Option<(TrimTo, usize)>,
    /// `~`.
    approximate: bool,
    limit: i64,
    limit_given: bool,
    /// The id of XADD.
    id: IdSpec,
    /// The number of its argument; that of the end if there is none.
    id_arg: usize,
}

impl Options {
    /// Those of a client that is obeyed set no limit: whoever wrote its log has made the trim exact, and left LIMIT there.
    fn parse(argv: &Argv, dialect: Dialect, obeyed: bool) -> Result<Options, CmdError> {
        let mut options = Options {
            only_existing: false,
            to: None,
            approximate: false,
            limit: 0,
            limit_given: false,
            id: IdSpec::Auto,
            id_arg: argv.len(),
        };
        let mut i = 2;
        while i < argv.len() {
            let more = argv.len() - 1 - i;
            if dialect == Dialect::Add && argv.get(i) == b"*" {
                options.id_arg = i;
                break;
            } else if more > 0 && argv.is(i, b"maxlen") {
                i = options.begin_trim(argv, i)?;
                let len = u64::try_from(argv.int(i)?)
                    .map_err(|_| CmdError::text("ERR The MAXLEN argument must be >= 0."))?;
                options.to = Some((TrimTo::Len(len), i));
            } else if more > 0 && argv.is(i, b"minid") {
                i = options.begin_trim(argv, i)?;
                options.to = Some((TrimTo::Id(id_arg(argv, i)?), i));
            } else if more > 0 && argv.is(i, b"limit") {
                i += 1;
                options.limit = argv.int(i)?;
                if options.limit < 0 {
                    return Err(CmdError::text("ERR The LIMIT argument must be >= 0."));
                }
                options.limit_given = true;
            } else if dialect == Dialect::Add && argv.is(i, b"nomkstream") {
                options.only_existing = true;
            } else if dialect == Dialect::Add {
                options.id = IdSpec::parse(argv.get(i)).ok_or(super::INVALID_ID)?;
                options.id_arg = i;
                break;
            } else {
                return Err(CmdError::Syntax);
            }
            i += 1;
        }
        options.check(dialect, obeyed)?;
        if obeyed {
            (options.limit, options.limit_given) = (0, true);
        }
        Ok(options)
    }

    /// Reads what stands between the word at `i` and its argument, and returns the latter's number.
    fn begin_trim(&mut self, argv: &Argv, i: usize) -> Result<usize, CmdError> {
        if self.to.is_some() {
            return Err(TWO_STRATEGIES);
        }
        let sign = argv.get(i + 1);
        self.approximate = argv.len() > i + 2 && sign == b"~";
        let signed = self.approximate || argv.len() > i + 2 && sign == b"=";
        Ok(if signed { i + 2 } else { i + 1 })
    }

    fn check(&self, dialect: Dialect, obeyed: bool) -> CmdResult {
        if self.to.is_none() && self.limit != 0 {
            return Err(CmdError::text(
                "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy",
            ));
        }
        if self.to.is_none() && dialect == Dialect::Trim {
            return Err(CmdError::text("ERR syntax error, XTRIM must be called with a trimming strategy"));
        }
        if self.limit_given && !self.approximate && !obeyed {
            return Err(CmdError::text(
                "ERR syntax error, LIMIT cannot be used without the special ~ option",
            ));
        }
        Ok(())
    }

    fn trim(&self, limits: NodeLimits) -> Option<Trim> {
        let (to, _) = self.to?;
        let limit = match (self.approximate, self.limit_given) {
            (false, _) => 0,
            (true, true) => self.limit,
            (true, false) => match limits.max_entries.wrapping_mul(TRIM_NODES) {
                ..=0 => TRIM_LIMIT,
                entries => entries.min(TRIM_LIMIT_MAX),
            },
        };
        Some(Trim { to, whole_nodes: self.approximate, limit: limit as u64 })
    }

    /// What a replica has to be told instead of an inexact trim: the argument's number, and what it has come to.
    fn exact_trim(&self, log: &Log) -> Option<(usize, Vec<u8>)> {
        let (to, arg) = self.to.filter(|_| self.approximate)?;
        let exact = match to {
            TrimTo::Len(_) => log.len().to_string().into_bytes(),
            TrimTo::Id(_) => log.first_stored_id().to_text(),
        };
        Some((arg, exact))
    }
}

/// How large nodes become, as configured.
fn node_limits(srv: &Server) -> NodeLimits {
    NodeLimits {
        max_bytes: usize::try_from(srv.config.stream_node_max_bytes).unwrap_or(usize::MAX),
        max_entries: srv.config.stream_node_max_entries,
    }
}

/// The arguments with an inexact trim made exact.
fn with_exact_trim(argv: &Argv, exact: Option<(usize, Vec<u8>)>) -> Vec<Bytes> {
    let mut args = argv.to_owned_args();
    if let Some((arg, exact)) = exact {
        args[arg - 1] = Bytes::from_static(b"=");
        args[arg] = exact.into();
    }
    args
}

/// What XADD did to a stream.
struct Added {
    id: StreamId,
    trimmed: u64,
    exact_trim: Option<(usize, Vec<u8>)>,
}

/// Adds an entry, and trims.
fn add<'a>(
    log: &mut Log,
    options: &Options,
    entry: &NewEntry<impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])> + Clone>,
    limits: NodeLimits,
    now_ms: u64,
) -> Result<Added, CmdError> {
    if log.last_id() == StreamId::MAX {
        return Err(CmdError::text(
            "ERR The stream has exhausted the last possible ID, unable to add more items",
        ));
    }
    let id = log.next_id(options.id, now_ms).ok_or(CmdError::text(
        "ERR The ID specified in XADD is equal or smaller than the target stream top item",
    ))?;
    if entry.is_too_large() {
        return Err(CmdError::text("ERR Elements are too large to be stored"));
    }
    log.append(id, entry, limits);
    let trimmed = options.trim(limits).map_or(0, |trim| log.trim(trim));
    Ok(Added { id, trimmed, exact_trim: options.exact_trim(log) })
}

/// `XADD key [NOMKSTREAM] [MAXLEN | MINID [= | ~] threshold [LIMIT count]] * | id field value [field value ...]`
pub fn xadd(srv: &mut Server, c: &mut Client) -> CmdResult {
    let options = Options::parse(&c.argv, Dialect::Add, c.flags.contains(ClientFlags::OBEYED))?;
    let first = options.id_arg + 1;
    if c.argv.len() < first + 2 || !(c.argv.len() - first).is_multiple_of(2) {
        return Err(CmdError::Arity("xadd"));
    }
    if options.id == IdSpec::Given(StreamId::MIN) {
        return Err(CmdError::text("ERR The ID specified in XADD must be greater than 0-0"));
    }
    let key = c.argv.key(1);
    let limits = node_limits(srv);
    let now_ms = srv.clock.unix_ms;
    let pairs = (first..c.argv.len()).step_by(2).map(|i| (c.argv.get(i), c.argv.get(i + 1)));
    let entry = NewEntry::new(pairs);
    let added = if let Some(mut found) = srv.lookup_write::<Stream>(c.db, key)? {
        add(&mut found.object_mut::<Stream>().log, &options, &entry, limits, now_ms)?
    } else if options.only_existing {
        c.out.null();
        return Ok(());
    } else {
        let mut stream = Stream::new();
        let added = add(&mut stream.log, &options, &entry, limits, now_ms)?;
        let entry = Entry::with_object(key.bytes, stream, None, srv.initial_clock());
        srv.add_entry(c.db, key, entry);
        added
    };
    publish(srv, c.db, "xadd", key);
    reply_id(&mut c.out, added.id);
    if added.trimmed > 0 {
        publish(srv, c.db, "xtrim", key);
    }
    srv.signal_modified(c.db, key.bytes, 1);
    blocked::signal_key_as_ready(srv, c.db, key.bytes, Type::Stream);
    if srv.propagation.wanted {
        let mut args = with_exact_trim(&c.argv, added.exact_trim);
        args[options.id_arg] = added.id.to_text().into();
        srv.propagate_as(&args);
    }
    Ok(())
}

/// `XTRIM key MAXLEN | MINID [= | ~] threshold [LIMIT count]`
pub fn xtrim(srv: &mut Server, c: &mut Client) -> CmdResult {
    let options = Options::parse(&c.argv, Dialect::Trim, c.flags.contains(ClientFlags::OBEYED))?;
    let key = c.argv.key(1);
    let trim = options.trim(node_limits(srv));
    let (mut deleted, mut exact_trim) = (0, None);
    if let (Some(mut entry), Some(trim)) = (srv.lookup_write::<Stream>(c.db, key)?, trim) {
        let log = &mut entry.object_mut::<Stream>().log;
        deleted = log.trim(trim);
        exact_trim = options.exact_trim(log);
    }
    if deleted > 0 {
        publish(srv, c.db, "xtrim", key);
        srv.signal_modified(c.db, key.bytes, deleted as usize);
        if srv.propagation.wanted && exact_trim.is_some() {
            srv.propagate_as(&with_exact_trim(&c.argv, exact_trim));
        }
    }
    c.out.int(deleted as i64);
    Ok(())
}

/// `XDEL key id [id ...]`
pub fn xdel(srv: &mut Server, c: &mut Client) -> CmdResult {
    let key = c.argv.key(1);
    let mut deleted = 0;
    if let Some(mut entry) = srv.lookup_write::<Stream>(c.db, key)? {
        let ids = id_args(&c.argv, 2)?;
        deleted = entry.object_mut::<Stream>().log.delete(&ids);
    }
    if deleted > 0 {
        srv.signal_modified(c.db, key.bytes, deleted);
        publish(srv, c.db, "xdel", key);
    }
    c.out.count(deleted);
    Ok(())
}

/// `XLEN key`
pub fn xlen(srv: &mut Server, c: &mut Client) -> CmdResult {
    let stream = srv.lookup_read::<Stream>(c.db, c.argv.key(1))?;
    c.out.int(stream.map_or(0, |stream| stream.log.len() as i64));
    Ok(())
}

/// The options of XSETID.
#[derive(Debug, Default)]
struct SetIdOptions {
    added: Option<u64>,
    max_deleted_id: Option<StreamId>,
}

impl SetIdOptions {
    fn parse(argv: &Argv, last_id: StreamId) -> Result<SetIdOptions, CmdError> {
        let mut options = SetIdOptions::default();
        let mut i = 3;
        while i < argv.len() {
            if i + 1 < argv.len() && argv.is(i, b"entriesadded") {
                let added = u64::try_from(argv.int(i + 1)?)
                    .map_err(|_| CmdError::text("ERR entries_added must be positive"))?;
                options.added = Some(added);
            } else if i + 1 < argv.len() && argv.is(i, b"maxdeletedid") {
                let id = id_arg(argv, i + 1)?;
                if last_id < id {
                    return Err(CmdError::text(
                        "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
                    ));
                }
                options.max_deleted_id = Some(id).filter(|id| *id != StreamId::MIN);
            } else {
                return Err(CmdError::Syntax);
            }
            i += 2;
        }
        Ok(options)
    }
}

/// `XSETID key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]`
pub fn xsetid(srv: &mut Server, c: &mut Client) -> CmdResult {
    let id = id_arg(&c.argv, 2)?;
    let options = SetIdOptions::parse(&c.argv, id)?;
    let key = c.argv.key(1);
    {
        let mut entry = srv.lookup_write::<Stream>(c.db, key)?.ok_or(CmdError::NoSuchKey)?;
        let log = &mut entry.object_mut::<Stream>().log;
        let counters = log.counters();
        if id < counters.max_deleted_id {
            return Err(CmdError::text(
                "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id",
            ));
        }
        if log.last_entry_id().is_some_and(|last| id < last) {
            return Err(CmdError::text(
                "ERR The ID specified in XSETID is smaller than the target stream top item",
            ));
        }
        if options.added.is_some_and(|added| counters.len > added) {
            return Err(CmdError::text(
                "ERR The entries_added specified in XSETID is smaller than the target stream length",
            ));
        }
        log.set_counters(id, options.added, options.max_deleted_id);
    }
    srv.dirty(1);
    publish(srv, c.db, "xsetid", key);
    c.out.ok();
    Ok(())
}
