//! Strings: SET and its kin, counters, ranges.
//!
//! These are the commands that a server spends its day with, so each costs one lookup: GET finds, touches and
//! writes; SET finds or inserts and overwrites in place; INCR adds in place. What is paid for only when asked for
//! (conditions, the old value) takes a second lookup.
//!
//! Where arguments can be wrong in more than one way, the order of the checks is upstream's, because it decides which
//! error is seen.

use std::ops::Range;

use crate::db::LookupFlags;
use crate::db::notify::{NotifyFlags, notify_keyspace_event};
use crate::db::object::{Entry, Expiry, NewStr, StrRef};
use crate::ds::longdouble::LongDouble;
use crate::server::{Argv, Client, CmdError, CmdResult, Key, Out, Server};
use crate::types::StringValue;

/// An expiry among a command's options, as a kind of time and the argument that says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct TimeArg {
    unit: Unit,
    /// Whether the time counts from now.
    relative: bool,
    /// Number of the argument.
    arg: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Seconds,
    Milliseconds,
}

impl TimeArg {
    /// The time as Unix time in milliseconds; `command` is named in the error.
    fn at_ms(self, argv: &Argv, now_ms: u64, command: &'static str) -> Result<i64, CmdError> {
        let time = argv.int(self.arg)?;
        let factor = if self.unit == Unit::Seconds { 1000 } else { 1 };
        let base = if self.relative { now_ms as i64 } else { 0 };
        Some(time)
            .filter(|time| *time > 0)
            .and_then(|time| time.checked_mul(factor))
            .and_then(|ms| ms.checked_add(base))
            .ok_or(CmdError::InvalidExpire(command))
    }
}

/// Whether SET does anything, depending on what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    IfMissing,
    IfExists,
}

/// What SET or GETEX is told to do with the expiry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ExpiryOption {
    /// KEEPTTL.
    Keep,
    /// PERSIST.
    Persist,
    /// EX, PX, EXAT, PXAT.
    At(TimeArg),
}

impl ExpiryOption {
    /// Whether both are the same option; arguments may differ, and the last one counts.
    fn same_word(self, other: ExpiryOption) -> bool {
        match (self, other) {
            (ExpiryOption::At(a), ExpiryOption::At(b)) => (a.unit, a.relative) == (b.unit, b.relative),
            _ => self == other,
        }
    }
}

/// The options of SET and GETEX.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    condition: Option<Condition>,
    /// GET: reply with the old value.
    get: bool,
    expiry: Option<ExpiryOption>,
}

/// Whose options are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Set,
    GetEx,
}

impl Options {
    /// Reads the arguments from `from` on.
    fn parse(argv: &Argv, from: usize, dialect: Dialect) -> Result<Options, CmdError> {
        let mut options = Options::default();
        let mut i = from;
        while i < argv.len() {
            let time = |unit, relative| Some(ExpiryOption::At(TimeArg { unit, relative, arg: i + 1 }));
            let set = dialect == Dialect::Set;
            let expiry = match argv.get(i).to_ascii_uppercase().as_slice() {
                b"NX" if set => {
                    options.set_condition(Condition::IfMissing)?;
                    None
                }
                b"XX" if set => {
                    options.set_condition(Condition::IfExists)?;
                    None
                }
                b"GET" if set => {
                    options.get = true;
                    None
                }
                b"KEEPTTL" if set => Some(ExpiryOption::Keep),
                b"PERSIST" if !set => Some(ExpiryOption::Persist),
                b"EX" => time(Unit::Seconds, true),
                b"PX" => time(Unit::Milliseconds, true),
                b"EXAT" => time(Unit::Seconds, false),
                b"PXAT" => time(Unit::Milliseconds, false),
                _ => return Err(CmdError::Syntax),
            };
            if let Some(expiry) = expiry {
                options.set_expiry(expiry)?;
            }
            i += if let Some(ExpiryOption::At(_)) = expiry { 2 } else { 1 };
        }
        // An option that lacks its argument ends beyond the last one.
        if i > argv.len() { Err(CmdError::Syntax) } else { Ok(options) }
    }

    fn set_condition(&mut self, condition: Condition) -> CmdResult {
        match self.condition.replace(condition) {
            Some(other) if other != condition => Err(CmdError::Syntax),
            _ => Ok(()),
        }
    }

    fn set_expiry(&mut self, expiry: ExpiryOption) -> CmdResult {
        match self.expiry.replace(expiry) {
            Some(other) if !other.same_word(expiry) => Err(CmdError::Syntax),
            _ => Ok(()),
        }
    }
}

/// Argument `i` as a string to store.
#[inline]
fn new_value(argv: &Argv, i: usize) -> NewStr<'_> {
    match argv.big_arg(i) {
        Some(block) => NewStr::Share(block.clone()),
        None => NewStr::encode(argv.get(i)),
    }
}

/// Publishes an event of the class of strings.
#[inline]
fn publish(srv: &mut Server, db: usize, event: &str, key: Key<'_>) {
    notify_keyspace_event(srv, NotifyFlags::STRING, event, key.bytes, db);
}

/// Publishes an event of the class of generic commands.
fn publish_generic(srv: &mut Server, db: usize, event: &str, key: Key<'_>) {
    notify_keyspace_event(srv, NotifyFlags::GENERIC, event, key.bytes, db);
}

/// Replies with a string, or the null that says there is none.
#[inline]
fn reply(out: &mut Out, value: Option<StrRef<'_>>) {
    match value {
        Some(value) => value.write_to(out),
        None => out.null(),
    }
}

/// `len + more`, or an error if a string of so many bytes were longer than `max`, which is `proto-max-bulk-len`.
fn grown_len(len: usize, more: usize, max: u64) -> Result<usize, CmdError> {
    len.checked_add(more).filter(|total| *total as u64 <= max).ok_or(CmdError::StringTooLong)
}

/// Stores argument `value` under the first key, and says so.
#[inline]
fn store(srv: &mut Server, c: &Client, value: usize, expiry: Expiry) {
    let key = c.argv.key(1);
    srv.set_key(c.db, key, new_value(&c.argv, value), expiry);
    publish(srv, c.db, "set", key);
    if let Expiry::At(_) = expiry {
        publish_generic(srv, c.db, "expire", key);
    }
}

/// `SET key value [NX | XX] [GET] [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL]`
pub fn set(srv: &mut Server, c: &mut Client) -> CmdResult {
    if c.argv.len() > 3 {
        return set_with_options(srv, c);
    }
    store(srv, c, 2, Expiry::Clear);
    c.out.ok();
    Ok(())
}

fn set_with_options(srv: &mut Server, c: &mut Client) -> CmdResult {
    let options = Options::parse(&c.argv, 3, Dialect::Set)?;
    let key = c.argv.key(1);
    let expiry = match options.expiry {
        Some(ExpiryOption::Keep) => Expiry::Keep,
        Some(ExpiryOption::At(time)) => Expiry::At(time.at_ms(&c.argv, srv.clock.unix_ms, "set")?),
        Some(ExpiryOption::Persist) | None => Expiry::Clear,
    };
    if options.get {
        reply(&mut c.out, srv.lookup_read::<StringValue>(c.db, key)?);
    }
    if let Some(condition) = options.condition {
        let exists = srv.lookup_mut(c.db, key).is_some();
        if exists != (condition == Condition::IfExists) {
            if !options.get {
                c.out.null();
            }
            return Ok(());
        }
    }
    store(srv, c, 2, expiry);
    if srv.propagation.wanted {
        propagate_set(srv, c, expiry, &options);
    }
    if !options.get {
        c.out.ok();
    }
    Ok(())
}

/// Has a SET with options propagated: with the time at which the key expires, and without GET.
fn propagate_set(srv: &mut Server, c: &Client, expiry: Expiry, options: &Options) {
    match (expiry, options.expiry) {
        // It says the time already.
        (_, Some(ExpiryOption::At(TimeArg { relative: false, unit: Unit::Milliseconds, .. }))) => {}
        (Expiry::At(at_ms), _) => propagate_expiring(srv, c, 2, at_ms),
        _ if options.get => {
            let args: Vec<&[u8]> = c.argv.iter().collect();
            let is_get = |i: usize| i > 2 && args[i].eq_ignore_ascii_case(b"get");
            let kept: Vec<&[u8]> = (0..args.len()).filter(|i| !is_get(*i)).map(|i| args[i]).collect();
            srv.propagate_as(&kept);
        }
        _ => {}
    }
}

/// Has the command at hand propagated as a SET of its argument `value` that expires at `at_ms`.
fn propagate_expiring(srv: &mut Server, c: &Client, value: usize, at_ms: i64) {
    let mut digits = itoa::Buffer::new();
    srv.propagate_as(&[b"SET", c.argv.get(1), c.argv.get(value), b"PXAT", digits.format(at_ms).as_bytes()]);
}

/// `SETNX key value`
pub fn setnx(srv: &mut Server, c: &mut Client) -> CmdResult {
    if srv.lookup_mut(c.db, c.argv.key(1)).is_some() {
        c.out.int(0);
        return Ok(());
    }
    store(srv, c, 2, Expiry::Clear);
    c.out.int(1);
    Ok(())
}

/// `SETEX key seconds value`
pub fn setex(srv: &mut Server, c: &mut Client) -> CmdResult {
    set_expiring(srv, c, Unit::Seconds, "setex")
}

/// `PSETEX key milliseconds value`
pub fn psetex(srv: &mut Server, c: &mut Client) -> CmdResult {
    set_expiring(srv, c, Unit::Milliseconds, "psetex")
}

fn set_expiring(srv: &mut Server, c: &mut Client, unit: Unit, command: &'static str) -> CmdResult {
    let time = TimeArg { unit, relative: true, arg: 2 };
    let at_ms = time.at_ms(&c.argv, srv.clock.unix_ms, command)?;
    store(srv, c, 3, Expiry::At(at_ms));
    propagate_expiring(srv, c, 3, at_ms);
    c.out.ok();
    Ok(())
}

/// `GET key`
pub fn get(srv: &mut Server, c: &mut Client) -> CmdResult {
    reply(&mut c.out, srv.lookup_read::<StringValue>(c.db, c.argv.key(1))?);
    Ok(())
}

/// `GETEX key [EX s | PX ms | EXAT s | PXAT ms | PERSIST]`
pub fn getex(srv: &mut Server, c: &mut Client) -> CmdResult {
    let options = Options::parse(&c.argv, 2, Dialect::GetEx)?;
    let key = c.argv.key(1);
    let now_ms = srv.clock.unix_ms;
    let Some(value) = srv.lookup_read::<StringValue>(c.db, key)? else {
        c.out.null();
        return Ok(());
    };
    let Some(ExpiryOption::At(time)) = options.expiry else {
        value.write_to(&mut c.out);
        if options.expiry.is_some() && srv.lookup_mut(c.db, key).is_some_and(|mut e| e.clear_expiry()) {
            srv.signal_modified(c.db, key.bytes, 1);
            srv.propagate_as(&[b"PERSIST", key.bytes]);
            publish_generic(srv, c.db, "persist", key);
        }
        return Ok(());
    };
    let at_ms = time.at_ms(&c.argv, now_ms, "getex")?;
    value.write_to(&mut c.out);
    if !time.relative && at_ms <= now_ms as i64 {
        delete_instead(srv, c, srv.config.lazyfree_lazy_expire);
        return Ok(());
    }
    if let Some(mut entry) = srv.lookup_mut(c.db, key) {
        entry.set_expiry(at_ms);
    }
    srv.signal_modified(c.db, key.bytes, 1);
    srv.propagate_as(&[b"PEXPIREAT", key.bytes, itoa::Buffer::new().format(at_ms).as_bytes()]);
    publish_generic(srv, c.db, "expire", key);
    Ok(())
}

/// `GETDEL key`
pub fn getdel(srv: &mut Server, c: &mut Client) -> CmdResult {
    let key = c.argv.key(1);
    let value = srv.lookup_read::<StringValue>(c.db, key)?;
    let found = value.is_some();
    reply(&mut c.out, value);
    if found {
        delete_instead(srv, c, srv.config.lazyfree_lazy_user_del);
    }
    Ok(())
}

/// Deletes the key of a command that has read it, and has it propagated as that.
fn delete_instead(srv: &mut Server, c: &Client, lazily: bool) {
    let key = c.argv.key(1);
    srv.delete_with(c.db, key, lazily);
    let command: &[u8] = if lazily { b"UNLINK" } else { b"DEL" };
    srv.propagate_as(&[command, key.bytes]);
    srv.signal_modified(c.db, key.bytes, 1);
    publish_generic(srv, c.db, "del", key);
}

/// `GETSET key value`
pub fn getset(srv: &mut Server, c: &mut Client) -> CmdResult {
    reply(&mut c.out, srv.lookup_read::<StringValue>(c.db, c.argv.key(1))?);
    store(srv, c, 2, Expiry::Clear);
    srv.propagate_as(&[b"SET", c.argv.get(1), c.argv.get(2)]);
    Ok(())
}

/// `SETRANGE key offset value`
pub fn setrange(srv: &mut Server, c: &mut Client) -> CmdResult {
    let (key, value) = (c.argv.key(1), c.argv.get(3));
    let offset = usize::try_from(c.argv.int(2)?).map_err(|_| CmdError::text("ERR offset is out of range"))?;
    let max = srv.config.proto_max_bulk_len;
    let len = if let Some(mut entry) = srv.lookup_write::<StringValue>(c.db, key)? {
        let old_len = entry.view().string().len();
        if value.is_empty() {
            c.out.count(old_len);
            return Ok(());
        }
        let end = grown_len(offset, value.len(), max)?;
        entry.write_at(offset, value);
        old_len.max(end)
    } else {
        if value.is_empty() {
            c.out.int(0);
            return Ok(());
        }
        let end = grown_len(offset, value.len(), max)?;
        let mut entry = Entry::new(key.bytes, NewStr::Copy(b""), None, srv.initial_clock());
        entry.write_at(offset, value);
        srv.add_entry(c.db, key, entry);
        end
    };
    srv.signal_modified(c.db, key.bytes, 1);
    publish(srv, c.db, "setrange", key);
    c.out.count(len);
    Ok(())
}

/// `GETRANGE key start end`, of old `SUBSTR`.
pub fn getrange(srv: &mut Server, c: &mut Client) -> CmdResult {
    let (start, end) = (c.argv.int(2)?, c.argv.int(3)?);
    match srv.lookup_read::<StringValue>(c.db, c.argv.key(1))? {
        Some(value) => value.write_range_to(range_of(start, end, value.len()), &mut c.out),
        None => c.out.bulk(b""),
    }
    Ok(())
}

/// The bytes from number `start` to `end`, both included, of `len`; negative numbers count from the end.
fn range_of(start: i64, end: i64, len: usize) -> Range<usize> {
    let resolve = |i: i64| if i < 0 { i.saturating_add(len as i64).max(0) } else { i };
    if start < 0 && end < 0 && start > end {
        return 0..0;
    }
    let (start, end) = (resolve(start) as usize, (resolve(end) as usize).saturating_add(1).min(len));
    if start < end { start..end } else { 0..0 }
}

/// `MGET key [key ...]`
pub fn mget(srv: &mut Server, c: &mut Client) -> CmdResult {
    c.out.array(c.argv.len() - 1);
    for i in 1..c.argv.len() {
        // A key that holds something else is answered as if it were not there.
        let value = srv.lookup_read::<StringValue>(c.db, c.argv.key(i)).unwrap_or(None);
        reply(&mut c.out, value);
    }
    Ok(())
}

/// `MSET key value [key value ...]`
pub fn mset(srv: &mut Server, c: &mut Client) -> CmdResult {
    check_pairs(&c.argv, "mset")?;
    store_pairs(srv, c);
    c.out.ok();
    Ok(())
}

/// `MSETNX key value [key value ...]`
pub fn msetnx(srv: &mut Server, c: &mut Client) -> CmdResult {
    check_pairs(&c.argv, "msetnx")?;
    let any_exists = (1..c.argv.len()).step_by(2).any(|i| srv.lookup_mut(c.db, c.argv.key(i)).is_some());
    if any_exists {
        c.out.int(0);
        return Ok(());
    }
    store_pairs(srv, c);
    c.out.int(1);
    Ok(())
}

fn check_pairs(argv: &Argv, command: &'static str) -> CmdResult {
    if argv.len().is_multiple_of(2) { Err(CmdError::Arity(command)) } else { Ok(()) }
}

/// Pairs whose keys are looked up side by side.
const PAIRS_AHEAD: usize = 16;

/// Stores all pairs. The memory that several keys lie in is asked for together, so that it is waited for once.
fn store_pairs(srv: &mut Server, c: &Client) {
    for first in (1..c.argv.len()).step_by(2 * PAIRS_AHEAD) {
        let table = &srv.dbs[c.db].keys;
        let pairs = PAIRS_AHEAD.min((c.argv.len() - first) / 2);
        let mut keys = [Key { bytes: b"", hash: 0 }; PAIRS_AHEAD];
        for (nth, key) in keys[..pairs].iter_mut().enumerate() {
            *key = c.argv.key(first + 2 * nth);
            table.prefetch_bucket(key.hash);
        }
        for key in &keys[..pairs] {
            table.prefetch_entry(key.hash);
        }
        for (nth, key) in keys[..pairs].iter().enumerate() {
            srv.set_key(c.db, *key, new_value(&c.argv, first + 2 * nth + 1), Expiry::Clear);
            publish(srv, c.db, "set", *key);
        }
    }
}

/// `INCR key`
pub fn incr(srv: &mut Server, c: &mut Client) -> CmdResult {
    increment(srv, c, 1)
}

/// `DECR key`
pub fn decr(srv: &mut Server, c: &mut Client) -> CmdResult {
    increment(srv, c, -1)
}

/// `INCRBY key increment`
pub fn incrby(srv: &mut Server, c: &mut Client) -> CmdResult {
    let by = c.argv.int(2)?;
    increment(srv, c, by)
}

/// `DECRBY key decrement`
pub fn decrby(srv: &mut Server, c: &mut Client) -> CmdResult {
    let by = c.argv.int(2)?.checked_neg().ok_or(CmdError::text("ERR decrement would overflow"))?;
    increment(srv, c, by)
}

fn increment(srv: &mut Server, c: &mut Client, by: i64) -> CmdResult {
    let key = c.argv.key(1);
    let changed = match srv.lookup_write::<StringValue>(c.db, key)? {
        Some(mut entry) => {
            let old = entry.view().string().as_int().ok_or(CmdError::NotAnInteger)?;
            let sum = old.checked_add(by).ok_or(CmdError::IncrementOverflow)?;
            entry.set_string(NewStr::Int(sum), Expiry::Keep);
            Some(sum)
        }
        None => None,
    };
    match changed {
        Some(_) => srv.signal_modified(c.db, key.bytes, 1),
        None => srv.set_key(c.db, key, NewStr::Int(by), Expiry::Clear),
    }
    publish(srv, c.db, "incrby", key);
    c.out.int(changed.unwrap_or(by));
    Ok(())
}

/// `INCRBYFLOAT key increment`
pub fn incrbyfloat(srv: &mut Server, c: &mut Client) -> CmdResult {
    let key = c.argv.key(1);
    let parse = |text: &[u8]| LongDouble::parse(text).ok_or(CmdError::NotAFloat);
    let old = match srv.lookup_read_flags::<StringValue>(c.db, key, LookupFlags::WRITE)? {
        Some(StrRef::Int(n)) => LongDouble::from(n),
        Some(value) => parse(value.bytes(&mut itoa::Buffer::new()))?,
        None => LongDouble::from(0),
    };
    let sum = old
        .checked_add(parse(c.argv.get(2))?)
        .ok_or(CmdError::text("ERR increment would produce NaN or Infinity"))?
        .format();
    // Unlike what a client sends, the sum is not tried as an integer.
    srv.set_key(c.db, key, NewStr::Copy(&sum), Expiry::Keep);
    publish(srv, c.db, "incrbyfloat", key);
    srv.propagate_as(&[b"SET", key.bytes, &sum, b"KEEPTTL"]);
    c.out.bulk(&sum);
    Ok(())
}

/// `APPEND key value`
pub fn append(srv: &mut Server, c: &mut Client) -> CmdResult {
    let (key, value) = (c.argv.key(1), c.argv.get(2));
    let max = srv.config.proto_max_bulk_len;
    let changed = match srv.lookup_write::<StringValue>(c.db, key)? {
        Some(mut entry) => {
            let old_len = entry.view().string().len();
            let len = grown_len(old_len, value.len(), max)?;
            entry.write_at(old_len, value);
            Some(len)
        }
        None => None,
    };
    match changed {
        Some(_) => srv.signal_modified(c.db, key.bytes, 1),
        None => srv.set_key(c.db, key, new_value(&c.argv, 2), Expiry::Clear),
    }
    publish(srv, c.db, "append", key);
    c.out.count(changed.unwrap_or(value.len()));
    Ok(())
}

/// `STRLEN key`
pub fn strlen(srv: &mut Server, c: &mut Client) -> CmdResult {
    let value = srv.lookup_read::<StringValue>(c.db, c.argv.key(1))?;
    c.out.count(value.map_or(0, StrRef::len));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(dialect: Dialect, words: &str) -> Result<Options, CmdError> {
        let words: Vec<&str> = words.split_whitespace().collect();
        Options::parse(&Argv::from_args(&words), 0, dialect)
    }

    fn time(unit: Unit, relative: bool, arg: usize) -> Option<ExpiryOption> {
        Some(ExpiryOption::At(TimeArg { unit, relative, arg }))
    }

    #[test]
    fn options_may_come_in_any_order_and_again() {
        let set = |words| parse(Dialect::Set, words).unwrap();
        assert_eq!(set(""), Options::default());
        let all = Options {
            condition: Some(Condition::IfMissing),
            get: true,
            expiry: time(Unit::Seconds, true, 2),
        };
        assert_eq!(set("nx EX 10 get"), all);
        assert_eq!(set("EX 10 EX 20").expiry, time(Unit::Seconds, true, 3));
        assert_eq!(set("xx xx").condition, Some(Condition::IfExists));
        assert_eq!(set("get get keepttl keepttl").expiry, Some(ExpiryOption::Keep));
        assert_eq!(set("pxat 1").expiry, time(Unit::Milliseconds, false, 1));
        assert_eq!(parse(Dialect::GetEx, "persist").unwrap().expiry, Some(ExpiryOption::Persist));
        assert_eq!(parse(Dialect::GetEx, "ExAt 5").unwrap().expiry, time(Unit::Seconds, false, 1));
    }

    #[test]
    fn options_that_contradict_are_refused() {
        for words in [
            "nx xx",
            "xx nx",
            "ex 1 px 1",
            "ex 1 exat 1",
            "ex 1 keepttl",
            "keepttl px 1",
            "ex",
            "nx ex",
            "foo",
        ] {
            assert_eq!(parse(Dialect::Set, words), Err(CmdError::Syntax), "{words}");
        }
        for words in ["nx", "get", "keepttl", "persist ex 1", "ex 1 persist", "px"] {
            assert_eq!(parse(Dialect::GetEx, words), Err(CmdError::Syntax), "{words}");
        }
        assert_eq!(parse(Dialect::Set, "persist"), Err(CmdError::Syntax));
    }

    #[test]
    fn expiries_are_checked_before_they_are_believed() {
        let at = |word: &str, unit, relative| {
            let argv = Argv::from_args(&[word]);
            TimeArg { unit, relative, arg: 0 }.at_ms(&argv, 1_000_000, "set")
        };
        assert_eq!(at("10", Unit::Seconds, true), Ok(1_010_000));
        assert_eq!(at("10", Unit::Milliseconds, false), Ok(10));
        assert_eq!(at("ten", Unit::Seconds, true), Err(CmdError::NotAnInteger));
        for word in ["0", "-1", "9223372036854775807", "9223372036854775"] {
            assert_eq!(at(word, Unit::Seconds, true), Err(CmdError::InvalidExpire("set")), "{word}");
        }
        assert_eq!(at("9223372036854775807", Unit::Milliseconds, false), Ok(i64::MAX));
        assert_eq!(at("9223372036854775807", Unit::Milliseconds, true), Err(CmdError::InvalidExpire("set")));
    }

    #[test]
    fn ranges_are_clamped() {
        for (start, end, range) in [
            (0, -1, 0..5),
            (-3, -2, 2..4),
            (-100, 100, 0..5),
            (3, 1, 0..0),
            (-1, -5, 0..0),
            (5, 9, 0..0),
            (0, i64::MAX, 0..5),
            (i64::MIN, i64::MIN, 0..1),
            (i64::MIN, -6, 0..1),
        ] {
            assert_eq!(range_of(start, end, 5), range, "{start} {end}");
        }
        assert_eq!(range_of(0, -1, 0), 0..0);
    }
}
