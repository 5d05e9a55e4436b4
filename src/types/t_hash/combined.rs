//! HGETDEL, HGETEX and HSETEX: values, and at once what becomes of the fields.

use super::expire::{
    DONE, NOT_POSITIVE, TimeUnit, expire_field, parse_fields, persist_field, propagate_deletions,
    propagate_expiry,
};
use super::{Present, change, delete_empty, limits, new_value, now_ms, publish};
use crate::db::hexpire::{self, Expired};
use crate::db::object::hash::Limits;
use crate::db::object::{Collection, Expiry, Hash};
use crate::ds::numbers;
use crate::server::{Argv, Client, CmdError, CmdResult, Out, Server};

/// What became of a hash whose fields a command went through.
#[derive(Default)]
struct Outcome<'a> {
    /// Fields that had expired and were removed.
    stale: Vec<&'a [u8]>,
    /// Fields changed.
    changed: Vec<&'a [u8]>,
    /// Whether none is left.
    emptied: bool,
}

/// Replies with the value of each field from argument `first` on, and lets `then` change those that are live; it says
/// whether it did. Expired ones are removed, unless `keep_stale`.
fn get_and<'a>(
    hash: &mut Hash,
    names: impl Iterator<Item = &'a [u8]>,
    out: &mut Out,
    now_ms: i64,
    keep_stale: bool,
    mut then: impl FnMut(&mut Hash, &[u8]) -> bool,
) -> Outcome<'a> {
    let mut outcome = Outcome::default();
    for name in names {
        match Present::of(hash.get(name), now_ms, |field| field.value.write_to(out)) {
            Present::Live(()) => {
                if then(hash, name) {
                    outcome.changed.push(name);
                }
                continue;
            }
            Present::Expired if !keep_stale => {
                hash.remove(name);
                outcome.stale.push(name);
            }
            Present::Expired | Present::Missing => {}
        }
        out.null();
    }
    outcome.emptied = hash.is_empty();
    outcome
}

impl Outcome<'_> {
    /// Publishes what became of the hash: `event` for the fields changed.
    fn settle(&self, srv: &mut Server, c: &Client, event: &str) {
        let key = c.argv.key(1);
        if !self.stale.is_empty() {
            hexpire::count_removed(srv, c.db, key, &self.stale);
            srv.signal_modified(c.db, key.bytes, 0);
            publish(srv, c.db, "hexpired", key);
        }
        if !self.changed.is_empty() {
            srv.signal_modified(c.db, key.bytes, self.changed.len());
            publish(srv, c.db, event, key);
        }
        if self.emptied {
            delete_empty(srv, c.db, key);
        }
    }
}

/// Replies for a key that is not there: nothing for each field from argument `first` on.
fn no_values(c: &mut Client, first: usize) -> CmdResult {
    c.out.array(c.argv.len() - first);
    (first..c.argv.len()).for_each(|_| c.out.null());
    Ok(())
}

/// `HGETDEL key FIELDS numfields field [field ...]`
pub fn hgetdel(srv: &mut Server, c: &mut Client) -> CmdResult {
    let (now_ms, paused) = (now_ms(srv), srv.expiry_paused());
    // A wrong type is seen before wrong arguments.
    let parsed = parse_fields(&c.argv, 2, NOT_POSITIVE);
    let Some(mut entry) = srv.lookup_write::<Hash>(c.db, c.argv.key(1))? else {
        return no_values(c, parsed?);
    };
    let first = parsed?;
    c.out.array(c.argv.len() - first);
    let names = c.argv.iter_from(first);
    let outcome = get_and(&mut entry.object_mut(), names, &mut c.out, now_ms, paused, Hash::remove);
    drop(entry);
    outcome.settle(srv, c, "hdel");
    if !outcome.changed.is_empty() {
        let mut args: Vec<&[u8]> = vec![b"HDEL", c.argv.get(1)];
        args.extend(c.argv.iter_from(first));
        srv.propagate_as(&args);
    }
    Ok(())
}

/// What HGETEX does with the expiry of the fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GetEx {
    Leave,
    Persist,
    At(i64),
}

impl GetEx {
    /// What is asked for, and the first field.
    fn parse(argv: &Argv, now_ms: i64) -> Result<(GetEx, usize), CmdError> {
        let (what, fields_at) = match time_unit(argv, 2) {
            Some(unit) => (GetEx::At(unit.parse(argv, 3, now_ms, "hgetex")?), 4),
            None if argv.is(2, b"persist") => (GetEx::Persist, 3),
            None => (GetEx::Leave, 2),
        };
        Ok((what, parse_fields(argv, fields_at, NOT_POSITIVE)?))
    }
}

/// The unit of a time that follows, if argument `i` is one.
fn time_unit(argv: &Argv, i: usize) -> Option<TimeUnit> {
    match argv.get(i).to_ascii_uppercase().as_slice() {
        b"EX" => Some(TimeUnit::EX),
        b"PX" => Some(TimeUnit::PX),
        b"EXAT" => Some(TimeUnit::EXAT),
        b"PXAT" => Some(TimeUnit::PXAT),
        _ => None,
    }
}

/// `HGETEX key [EX s | PX ms | EXAT s | PXAT ms | PERSIST] FIELDS numfields field [field ...]`
pub fn hgetex(srv: &mut Server, c: &mut Client) -> CmdResult {
    let (key, now_ms, paused) = (c.argv.key(1), now_ms(srv), srv.expiry_paused());
    let parsed = GetEx::parse(&c.argv, now_ms);
    let Some(mut entry) = srv.lookup_write::<Hash>(c.db, key)? else {
        return no_values(c, parsed?.1);
    };
    let (what, first) = parsed?;
    c.out.array(c.argv.len() - first);
    let mut hash = entry.object_mut::<Hash>();
    if what != GetEx::Leave {
        hash.convert_to_triples();
    }
    let names = c.argv.iter_from(first);
    let outcome = get_and(&mut hash, names, &mut c.out, now_ms, paused, |hash, name| match what {
        GetEx::Leave => false,
        GetEx::Persist => persist_field(hash, name, now_ms) == DONE,
        GetEx::At(at_ms) => expire_field(hash, name, at_ms, now_ms),
    });
    drop(hash);
    drop(entry);
    let past = matches!(what, GetEx::At(at_ms) if at_ms <= now_ms);
    let event = match what {
        GetEx::At(_) if past => "hdel",
        GetEx::At(_) => "hexpire",
        GetEx::Leave | GetEx::Persist => "hpersist",
    };
    outcome.settle(srv, c, event);
    if outcome.changed.is_empty() {
        return Ok(());
    }
    let names: Vec<&[u8]> = c.argv.iter_from(first).collect();
    match what {
        GetEx::Leave => {}
        GetEx::At(_) if past => propagate_deletions(srv, c.db, key, &outcome.changed),
        GetEx::At(at_ms) => propagate_expiry(srv, key, at_ms, None, &names),
        GetEx::Persist => {
            let mut args: Vec<&[u8]> = vec![b"HPERSIST", key.bytes, b"FIELDS", c.argv.get(first - 1)];
            args.extend(names);
            srv.propagate_as(&args);
        }
    }
    Ok(())
}

// ---- HSETEX ----

/// Which fields must be there for HSETEX to do anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    /// FNX: none of them.
    None,
    /// FXX: all of them.
    All,
}

/// What HSETEX was asked for.
#[derive(Debug, PartialEq, Eq)]
struct SetEx {
    condition: Option<Condition>,
    expiry: Expiry,
    /// The argument with the unit of the expiry.
    unit_at: Option<usize>,
    /// The first field.
    first: usize,
}

impl SetEx {
    fn parse(argv: &Argv, now_ms: i64) -> Result<SetEx, CmdError> {
        let mut options = SetEx { condition: None, expiry: Expiry::Clear, unit_at: None, first: 0 };
        let mut i = 2;
        while i < argv.len() {
            if argv.is(i, b"fields") {
                options.first = parse_pairs(argv, i + 1)?;
                return Ok(options);
            }
            if argv.is(i, b"fnx") {
                options.set_condition(Condition::None)?;
            } else if argv.is(i, b"fxx") {
                options.set_condition(Condition::All)?;
            } else if argv.is(i, b"keepttl") {
                options.set_expiry(|| Ok(Expiry::Keep))?;
            } else if let Some(unit) = time_unit(argv, i)
                && i + 1 < argv.len()
            {
                options.set_expiry(|| unit.parse(argv, i + 1, now_ms, "hsetex").map(Expiry::At))?;
                options.unit_at = Some(i);
                i += 1;
            } else {
                return Err(CmdError::Bytes([b"ERR unknown argument: ", argv.get(i)].concat().into()));
            }
            i += 1;
        }
        Err(CmdError::Arity("hsetex"))
    }

    fn set_condition(&mut self, condition: Condition) -> CmdResult {
        if self.condition.replace(condition).is_some() {
            return Err(CmdError::text("ERR Only one of FXX or FNX arguments can be specified"));
        }
        Ok(())
    }

    fn set_expiry(&mut self, expiry: impl FnOnce() -> Result<Expiry, CmdError>) -> CmdResult {
        if self.expiry != Expiry::Clear {
            return Err(CmdError::text(
                "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified",
            ));
        }
        self.expiry = expiry()?;
        Ok(())
    }
}

/// Checks the number of pairs, argument `at`, against what follows; returns the first of them.
fn parse_pairs(argv: &Argv, at: usize) -> Result<usize, CmdError> {
    let first = at + 1;
    if argv.len() < first + 2 {
        return Err(CmdError::Arity("hsetex"));
    }
    let named = numbers::parse_i64(argv.get(at)).filter(|n| (1..=i64::from(i32::MAX)).contains(n));
    let named = named.ok_or(CmdError::text("ERR invalid number of fields"))?;
    if named as usize * 2 != argv.len() - first {
        return Err(CmdError::Arity("hsetex"));
    }
    Ok(first)
}

/// Whether the fields allow HSETEX to go on. Those that have expired are removed, silently.
fn allowed(srv: &mut Server, c: &Client, options: &SetEx) -> Result<bool, CmdError> {
    let (key, now_ms) = (c.argv.key(1), now_ms(srv));
    let present = srv.lookup_write::<Hash>(c.db, key)?.is_some();
    let Some(condition) = options.condition else { return Ok(true) };
    if !present {
        return Ok(condition == Condition::None);
    }
    for i in (options.first..c.argv.len()).step_by(2) {
        let name = c.argv.get(i);
        let entry = srv.dbs[c.db].keys.find(key);
        let field = entry.map(|entry| entry.object::<Hash>());
        let found = Present::of(field.as_ref().and_then(|hash| hash.get(name)), now_ms, |_| ());
        let live = matches!(found, Present::Live(()));
        if matches!(found, Present::Expired) && hexpire::remove_field(srv, c.db, key, name) == Expired::Key {
            return Ok(condition == Condition::None);
        }
        if live != (condition == Condition::All) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Sets the pairs from argument `first` on, each with the expiry; a field whose expiry has passed already does not stay.
fn set_pairs(hash: &mut Hash, argv: &Argv, options: &SetEx, past: bool, limits: Limits) {
    let pairs = argv.len() - options.first;
    hash.prepare(pairs / 2, argv.iter_from(options.first).map(<[u8]>::len), limits);
    if let Expiry::At(_) = options.expiry {
        hash.convert_to_triples();
    }
    let expiry = if past { Expiry::Clear } else { options.expiry };
    for i in (options.first..argv.len()).step_by(2) {
        hash.set(argv.get(i), new_value(argv, i + 1), expiry, limits);
        if past {
            hash.remove(argv.get(i));
        }
    }
}

/// `HSETEX key [FNX | FXX] [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL] FIELDS numfields field value [field value ...]`
pub fn hsetex(srv: &mut Server, c: &mut Client) -> CmdResult {
    let (key, now_ms, limits) = (c.argv.key(1), now_ms(srv), limits(srv));
    let options = SetEx::parse(&c.argv, now_ms)?;
    if !allowed(srv, c, &options)? {
        c.out.int(0);
        return Ok(());
    }
    let past = matches!(options.expiry, Expiry::At(at_ms) if at_ms <= now_ms);
    let emptied = change(srv, c.db, key, |hash| {
        set_pairs(hash, &c.argv, &options, past, limits);
        hash.is_empty()
    })?;
    srv.signal_modified(c.db, key.bytes, (c.argv.len() - options.first) / 2);
    publish(srv, c.db, "hset", key);
    if past {
        publish(srv, c.db, "hdel", key);
        let names: Vec<&[u8]> = c.argv.iter_from(options.first).step_by(2).collect();
        propagate_deletions(srv, c.db, key, &names);
        if emptied {
            delete_empty(srv, c.db, key);
        }
    } else if let (Expiry::At(at_ms), Some(unit_at)) = (options.expiry, options.unit_at) {
        publish(srv, c.db, "hexpire", key);
        propagate_absolute(srv, &c.argv, unit_at, at_ms);
    }
    c.out.int(1);
    Ok(())
}

/// Leaves the command with its time, of which argument `unit_at` is the unit, as PXAT.
fn propagate_absolute(srv: &mut Server, argv: &Argv, unit_at: usize, at_ms: i64) {
    let mut time = itoa::Buffer::new();
    let mut args: Vec<&[u8]> = argv.iter().collect();
    (args[unit_at], args[unit_at + 1]) = (b"PXAT", time.format(at_ms).as_bytes());
    srv.propagate_as(&args);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Result<SetEx, String> {
        let words: Vec<&str> = words.split_whitespace().collect();
        SetEx::parse(&Argv::from_args(&words), 1000)
            .map_err(|error| String::from_utf8(error.to_bytes()).unwrap())
    }

    #[test]
    fn hsetex_takes_its_options_in_any_order() {
        let options = |condition, expiry, unit_at, first| Ok(SetEx { condition, expiry, unit_at, first });
        assert_eq!(parse("hsetex k FIELDS 1 f v"), options(None, Expiry::Clear, None, 4));
        assert_eq!(
            parse("hsetex k fnx px 5 fields 2 f v g w"),
            options(Some(Condition::None), Expiry::At(1005), Some(3), 7)
        );
        assert_eq!(
            parse("hsetex k EXAT 5 FXX FIELDS 1 f v"),
            options(Some(Condition::All), Expiry::At(5000), Some(2), 7)
        );
        assert_eq!(parse("hsetex k keepttl fields 1 f v"), options(None, Expiry::Keep, None, 5));
    }

    #[test]
    fn hsetex_refuses_what_contradicts() {
        let arity = "ERR wrong number of arguments for 'hsetex' command";
        let number = "ERR invalid number of fields";
        let two_expiries = "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified";
        for (words, error) in [
            ("hsetex k fields 2 f v", arity),
            ("hsetex k fields 1 f v g", arity),
            ("hsetex k fields 2147483647 f v", arity),
            ("hsetex k fields 2147483648 f v", number),
            ("hsetex k fields 9223372036854775807 f v", number),
            ("hsetex k fnx fxx keepttl", "ERR Only one of FXX or FNX arguments can be specified"),
            ("hsetex k fields 0 f v", number),
            ("hsetex k fields x f v", number),
            ("hsetex k fields", arity),
            ("hsetex k fields x f", arity),
            ("hsetex k fields 0 f", arity),
            ("hsetex k ex 1 px 1 fields 1 f v", two_expiries),
            ("hsetex k keepttl keepttl fields 1 f v", two_expiries),
            ("hsetex k ex x fields 1 f v", "ERR value is not an integer or out of range"),
            ("hsetex k ex -1 foo", "ERR invalid expire time, must be >= 0"),
            ("hsetex k foo 1 f v", "ERR unknown argument: foo"),
            ("hsetex k fnx", arity),
        ] {
            assert_eq!(parse(words), Err(error.to_string()), "{words}");
        }
    }
}
