//! HEXPIRE, HTTL and HPERSIST in all their units: one reply a field.
//!
//! | reply | HEXPIRE …                             | HTTL …         | HPERSIST        |
//! |-------|---------------------------------------|----------------|-----------------|
//! | -2    | no such field                         | no such field  | no such field   |
//! | -1    |                                       | no expiry      | no expiry       |
//! | 0     | a condition was not met               |                |                 |
//! | 1     | the expiry was set                    | (a time)       | it was cleared  |
//! | 2     | the time has passed: field deleted    |                |                 |
//!
//! Replicas and the append-only file are given absolute times, and only the fields concerned.

use super::{delete_empty, now_ms, publish};
use crate::db::object::hash::{EXPIRY_MAX_MS, Field};
use crate::db::object::{Collection, Hash};
use crate::ds::numbers;
use crate::server::{Argv, Client, CmdError, CmdResult, Key, Server};

const NO_FIELD: i64 = -2;
const NO_EXPIRY: i64 = -1;
const CONDITION_NOT_MET: i64 = 0;
pub(super) const DONE: i64 = 1;
const DELETED: i64 = 2;

/// The unit and origin of a command's times.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimeUnit {
    /// Milliseconds in the unit.
    pub factor_ms: i64,
    /// Whether times count from now.
    pub relative: bool,
}

impl TimeUnit {
    pub const EX: TimeUnit = TimeUnit { factor_ms: 1000, relative: true };
    pub const PX: TimeUnit = TimeUnit { factor_ms: 1, relative: true };
    pub const EXAT: TimeUnit = TimeUnit { factor_ms: 1000, relative: false };
    pub const PXAT: TimeUnit = TimeUnit { factor_ms: 1, relative: false };

    /// Argument `i` as Unix time in milliseconds; `command` is named in the error.
    pub fn parse(self, argv: &Argv, i: usize, now_ms: i64, command: &'static str) -> Result<i64, CmdError> {
        let time = argv.int(i)?;
        if time < 0 {
            return Err(CmdError::text("ERR invalid expire time, must be >= 0"));
        }
        time.checked_mul(self.factor_ms)
            .and_then(|ms| ms.checked_add(if self.relative { now_ms } else { 0 }))
            .filter(|at_ms| *at_ms <= EXPIRY_MAX_MS)
            .ok_or(CmdError::InvalidExpire(command))
    }
}

/// The fields that a command names, as `FIELDS numfields field ...` from argument `at` to the last; returns the first.
pub(super) fn parse_fields(argv: &Argv, at: usize, not_positive: &'static str) -> Result<usize, CmdError> {
    if at >= argv.len() || !argv.is(at, b"fields") {
        return Err(CmdError::text("ERR Mandatory argument FIELDS is missing or not at the right position"));
    }
    let count = argv.len().checked_sub(at + 2).filter(|_| at + 1 < argv.len());
    let named = (at + 1 < argv.len()).then(|| numbers::parse_i64(argv.get(at + 1))).flatten();
    match (named.filter(|named| *named > 0), count) {
        (None, _) => Err(CmdError::text(not_positive)),
        (Some(named), Some(count)) if named as usize == count => Ok(at + 2),
        _ => Err(CmdError::text("ERR The `numfields` parameter must match the number of arguments")),
    }
}

/// What upstream says of a number of fields that is none, in all commands but HEXPIRE's.
pub(super) const NOT_POSITIVE: &str = "ERR Number of fields must be a positive integer";

// ---- HEXPIRE ----

/// When an expiry is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    /// NX: there is none.
    None,
    /// XX: there is one.
    Some,
    /// GT: it is later than the present one, where none counts as never.
    Later,
    /// LT: it is earlier.
    Earlier,
}

impl Condition {
    /// Argument `i`, if it is a condition.
    fn parse(argv: &Argv, i: usize) -> Option<Condition> {
        match argv.get(i).to_ascii_uppercase().as_slice() {
            b"NX" => Some(Condition::None),
            b"XX" => Some(Condition::Some),
            b"GT" => Some(Condition::Later),
            b"LT" => Some(Condition::Earlier),
            _ => None,
        }
    }

    fn allows(self, present: Option<i64>, at_ms: i64) -> bool {
        match self {
            Condition::None => present.is_none(),
            Condition::Some => present.is_some(),
            Condition::Later => present.is_some_and(|present| at_ms > present),
            Condition::Earlier => present.is_none_or(|present| at_ms < present),
        }
    }
}

/// The time, the condition and the first field of HEXPIRE and its kin.
fn parse_expire(
    argv: &Argv,
    unit: TimeUnit,
    now_ms: i64,
    command: &'static str,
) -> Result<(i64, Option<Condition>, usize), CmdError> {
    let at_ms = unit.parse(argv, 2, now_ms, command)?;
    let condition = Condition::parse(argv, 3);
    let fields_at = 3 + usize::from(condition.is_some());
    let first = parse_fields(argv, fields_at, "ERR Parameter `numFields` should be greater than 0")?;
    Ok((at_ms, condition, first))
}

/// Replies for a key that is not there: no such field, for each from argument `first` on.
fn no_fields(c: &mut Client, first: usize) -> CmdResult {
    c.out.array(c.argv.len() - first);
    (first..c.argv.len()).for_each(|_| c.out.int(NO_FIELD));
    Ok(())
}

/// Sets the expiry of a field, or deletes it if that has passed at `now_ms`.
pub(super) fn expire_field(hash: &mut Hash, name: &[u8], at_ms: i64, now_ms: i64) -> bool {
    if at_ms <= now_ms { hash.remove(name) } else { hash.set_expiry(name, at_ms) }
}

fn expire_generic(srv: &mut Server, c: &mut Client, unit: TimeUnit) -> CmdResult {
    let (key, now_ms) = (c.argv.key(1), now_ms(srv));
    let command = c.spec().fullname;
    // A wrong type is seen before wrong arguments.
    let parsed = parse_expire(&c.argv, unit, now_ms, command);
    let Some(mut entry) = srv.lookup_write::<Hash>(c.db, key)? else {
        return no_fields(c, parsed?.2);
    };
    let (at_ms, condition, first) = parsed?;
    c.out.array(c.argv.len() - first);
    let mut hash = entry.object_mut::<Hash>();
    hash.convert_to_triples();
    let past = at_ms <= now_ms;
    let mut changed = Vec::with_capacity(c.argv.len() - first);
    for i in first..c.argv.len() {
        let name = c.argv.get(i);
        let reply = match hash.get(name).map(|field| field.expiry) {
            None => NO_FIELD,
            Some(present) if condition.is_some_and(|on| !on.allows(present, at_ms)) => CONDITION_NOT_MET,
            Some(_) => {
                expire_field(&mut hash, name, at_ms, now_ms);
                changed.push(name);
                if past { DELETED } else { DONE }
            }
        };
        c.out.int(reply);
    }
    let emptied = hash.is_empty();
    drop(hash);
    drop(entry);
    if changed.is_empty() {
        return Ok(());
    }
    srv.signal_modified(c.db, key.bytes, changed.len());
    publish(srv, c.db, if past { "hdel" } else { "hexpire" }, key);
    if past {
        propagate_deletions(srv, c.db, key, &changed);
        if emptied {
            delete_empty(srv, c.db, key);
        }
    } else if command != "hpexpireat" || changed.len() < c.argv.len() - first {
        let flag = condition.map(|_| c.argv.get(3));
        propagate_expiry(srv, key, at_ms, flag, &changed);
    }
    Ok(())
}

/// Leaves an HDEL for each of the fields in place of the command.
pub(super) fn propagate_deletions(srv: &mut Server, db: usize, key: Key<'_>, names: &[&[u8]]) {
    for name in names {
        srv.also_propagate(db, &[b"HDEL", key.bytes, name]);
    }
    srv.prevent_propagation();
}

/// Leaves an HPEXPIREAT for the fields in place of the command.
pub(super) fn propagate_expiry(
    srv: &mut Server,
    key: Key<'_>,
    at_ms: i64,
    flag: Option<&[u8]>,
    names: &[&[u8]],
) {
    let (mut time, mut count) = (itoa::Buffer::new(), itoa::Buffer::new());
    let mut args: Vec<&[u8]> = vec![b"HPEXPIREAT", key.bytes, time.format(at_ms).as_bytes()];
    args.extend(flag);
    args.push(b"FIELDS");
    args.push(count.format(names.len()).as_bytes());
    args.extend(names);
    srv.propagate_as(&args);
}

/// `HEXPIRE key seconds [NX | XX | GT | LT] FIELDS numfields field [field ...]`
pub fn hexpire(srv: &mut Server, c: &mut Client) -> CmdResult {
    expire_generic(srv, c, TimeUnit::EX)
}

/// `HPEXPIRE key milliseconds [NX | XX | GT | LT] FIELDS numfields field [field ...]`
pub fn hpexpire(srv: &mut Server, c: &mut Client) -> CmdResult {
    expire_generic(srv, c, TimeUnit::PX)
}

/// `HEXPIREAT key unix-time-seconds [NX | XX | GT | LT] FIELDS numfields field [field ...]`
pub fn hexpireat(srv: &mut Server, c: &mut Client) -> CmdResult {
    expire_generic(srv, c, TimeUnit::EXAT)
}

/// `HPEXPIREAT key unix-time-milliseconds [NX | XX | GT | LT] FIELDS numfields field [field ...]`
pub fn hpexpireat(srv: &mut Server, c: &mut Client) -> CmdResult {
    expire_generic(srv, c, TimeUnit::PXAT)
}

// ---- HTTL ----

/// Replies with what `show` makes of each field's expiry and the present time.
fn ttl_generic(srv: &mut Server, c: &mut Client, show: fn(at_ms: i64, now_ms: i64) -> i64) -> CmdResult {
    let now_ms = now_ms(srv);
    let hash = srv.lookup_read::<Hash>(c.db, c.argv.key(1))?;
    let first = parse_fields(&c.argv, 2, NOT_POSITIVE)?;
    c.out.array(c.argv.len() - first);
    for name in c.argv.iter_from(first) {
        let reply = match hash.as_ref().and_then(|hash| hash.get(name)) {
            None => NO_FIELD,
            Some(field) if field.expired(now_ms) => NO_FIELD,
            Some(Field { expiry: None, .. }) => NO_EXPIRY,
            Some(Field { expiry: Some(at_ms), .. }) => show(at_ms, now_ms),
        };
        c.out.int(reply);
    }
    Ok(())
}

/// Whole seconds, rounded up.
fn to_seconds(ms: i64) -> i64 {
    (ms + 999) / 1000
}

/// `HTTL key FIELDS numfields field [field ...]`
pub fn httl(srv: &mut Server, c: &mut Client) -> CmdResult {
    ttl_generic(srv, c, |at_ms, now_ms| to_seconds(at_ms - now_ms))
}

/// `HPTTL key FIELDS numfields field [field ...]`
pub fn hpttl(srv: &mut Server, c: &mut Client) -> CmdResult {
    ttl_generic(srv, c, |at_ms, now_ms| at_ms - now_ms)
}

/// `HEXPIRETIME key FIELDS numfields field [field ...]`
pub fn hexpiretime(srv: &mut Server, c: &mut Client) -> CmdResult {
    ttl_generic(srv, c, |at_ms, _| to_seconds(at_ms))
}

/// `HPEXPIRETIME key FIELDS numfields field [field ...]`
pub fn hpexpiretime(srv: &mut Server, c: &mut Client) -> CmdResult {
    ttl_generic(srv, c, |at_ms, _| at_ms)
}

// ---- HPERSIST ----

/// Clears the expiry of a field; returns what HPERSIST replies.
pub(super) fn persist_field(hash: &mut Hash, name: &[u8], now_ms: i64) -> i64 {
    match hash.get(name) {
        None => NO_FIELD,
        Some(field) if field.expired(now_ms) => NO_FIELD,
        Some(Field { expiry: None, .. }) => NO_EXPIRY,
        Some(_) => {
            hash.clear_expiry(name);
            DONE
        }
    }
}

/// `HPERSIST key FIELDS numfields field [field ...]`
pub fn hpersist(srv: &mut Server, c: &mut Client) -> CmdResult {
    let (key, now_ms) = (c.argv.key(1), now_ms(srv));
    let parsed = parse_fields(&c.argv, 2, NOT_POSITIVE);
    let Some(mut entry) = srv.lookup_write::<Hash>(c.db, key)? else { return no_fields(c, parsed?) };
    let first = parsed?;
    c.out.array(c.argv.len() - first);
    let mut hash = entry.object_mut::<Hash>();
    let mut changed = false;
    for name in c.argv.iter_from(first) {
        let reply = persist_field(&mut hash, name, now_ms);
        changed |= reply == DONE;
        c.out.int(reply);
    }
    drop(hash);
    drop(entry);
    if changed {
        srv.signal_modified(c.db, key.bytes, 1);
        publish(srv, c.db, "hpersist", key);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted() {
        let parse = |words: &str| {
            let words: Vec<&str> = words.split_whitespace().collect();
            parse_fields(&Argv::from_args(&words), 0, "not positive")
        };
        assert_eq!(parse("FIELDS 1 a"), Ok(2));
        assert_eq!(parse("fields 2 a b"), Ok(2));
        for words in ["fields", "fields 0 a", "fields -1 a", "fields x a", "fields 99999999999999999999 a"] {
            assert_eq!(parse(words), Err(CmdError::text("not positive")), "{words}");
        }
        let mismatch = "ERR The `numfields` parameter must match the number of arguments";
        for words in ["fields 1", "fields 2 a", "fields 1 a b", "fields 9223372036854775807 a"] {
            assert_eq!(parse(words), Err(CmdError::text(mismatch)), "{words}");
        }
        assert!(parse("field 1 a").is_err());
    }

    #[test]
    fn times_are_checked_before_they_are_believed() {
        let parse = |unit: TimeUnit, word: &str| unit.parse(&Argv::from_args(&[word]), 0, 1000, "hexpire");
        assert_eq!(parse(TimeUnit::EX, "2"), Ok(3000));
        assert_eq!(parse(TimeUnit::PXAT, "70368744177663"), Ok(EXPIRY_MAX_MS));
        assert_eq!(parse(TimeUnit::PX, "x"), Err(CmdError::NotAnInteger));
        assert_eq!(parse(TimeUnit::EX, "-1"), Err(CmdError::text("ERR invalid expire time, must be >= 0")));
        for (unit, word) in [
            (TimeUnit::PXAT, "70368744177664"),
            (TimeUnit::PX, "70368744177663"),
            (TimeUnit::EXAT, "70368744178"),
            (TimeUnit::EX, "9223372036854775807"),
            (TimeUnit::PX, "9223372036854775807"),
        ] {
            assert_eq!(parse(unit, word), Err(CmdError::InvalidExpire("hexpire")), "{word}");
        }
    }

    #[test]
    fn conditions_treat_no_expiry_as_infinite() {
        for (on, without, earlier, same, later) in [
            (Condition::None, true, false, false, false),
            (Condition::Some, false, true, true, true),
            (Condition::Later, false, false, false, true),
            (Condition::Earlier, true, true, false, false),
        ] {
            let outcomes =
                [on.allows(None, 5), on.allows(Some(6), 5), on.allows(Some(5), 5), on.allows(Some(4), 5)];
            assert_eq!(outcomes, [without, earlier, same, later], "{on:?}");
        }
    }
}
