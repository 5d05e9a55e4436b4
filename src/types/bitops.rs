//! Strings as rows of bits: SETBIT, GETBIT, BITOP, BITCOUNT, BITPOS, BITFIELD.
//!
//! Bit 0 is the most significant of the first byte ([`ds::bits`](crate::ds::bits) does the arithmetic). A string that is
//! written to grows as far as the last bit addressed, filled with zeroes, and is changed in place; its encoding is
//! `raw` from then on.

use std::borrow::Cow;

use crate::db::kvstore::EntryMut;
use crate::db::notify::{NotifyFlags, notify_keyspace_event};
use crate::db::object::{Entry, Expiry, NewStr, StrRef};
use crate::ds::bits::{self, field_mask};
use crate::ds::numbers::parse_i64;
use crate::server::{Argv, Client, CmdError, CmdResult, Key, Out, Server};
use crate::types::StringValue;

/// BITOP combines so many bytes of all its sources before it goes on to the next: they fit into the first cache.
const BITOP_BLOCK: usize = 8 * 1024;

const BAD_OFFSET: CmdError = CmdError::text("ERR bit offset is not an integer or out of range");

/// The bit that argument `i` addresses.
fn bit_offset(srv: &Server, argv: &Argv, i: usize) -> Result<usize, CmdError> {
    parse_i64(argv.get(i)).and_then(|offset| offset_within(srv, offset)).ok_or(BAD_OFFSET)
}

/// The offset, if it is of a bit that a string may have.
fn offset_within(srv: &Server, offset: i64) -> Option<usize> {
    usize::try_from(offset).ok().filter(|offset| ((offset / 8) as u64) < srv.config.proto_max_bulk_len)
}

/// The string of `key`, made where there is none and grown where it does not reach to byte `last`; and whether either was
/// done.
fn string_with_byte<'s>(
    srv: &'s mut Server,
    db: usize,
    key: Key<'_>,
    last: usize,
) -> Result<(EntryMut<'s>, bool), CmdError> {
    if srv.lookup_write::<StringValue>(db, key)?.is_none() {
        let entry = Entry::new(key.bytes, NewStr::Copy(b""), None, srv.initial_clock());
        srv.add_entry(db, key, entry);
    }
    let mut entry = srv.lookup_write::<StringValue>(db, key)?.ok_or(CmdError::NoSuchKey)?;
    let grown = entry.view().string().len() <= last;
    if grown {
        entry.write_at(last, &[0]);
    }
    Ok((entry, grown))
}

/// `SETBIT key offset value`
pub fn setbit(srv: &mut Server, c: &mut Client) -> CmdResult {
    let key = c.argv.key(1);
    let offset = bit_offset(srv, &c.argv, 2)?;
    let new = match parse_i64(c.argv.get(3)) {
        Some(bit @ 0..=1) => bit as u64,
        _ => return Err(CmdError::text("ERR bit is not an integer or out of range")),
    };
    let (mut entry, grown) = string_with_byte(srv, c.db, key, offset / 8)?;
    let (at, field, old) = {
        let view = entry.view();
        let mut digits = itoa::Buffer::new();
        let bytes = view.string().bytes(&mut digits);
        let (at, field) = bits::set_field(bytes, offset, 1, new);
        (at, field, bits::get_field(bytes, offset, 1))
    };
    // Without a change as well: the encoding becomes `raw`.
    entry.write_at(at, field.as_slice());
    drop(entry);
    if grown || old != new {
        publish_change(srv, c.db, key, 1);
    }
    c.out.int(old as i64);
    Ok(())
}

/// Notes that SETBIT or BITFIELD has changed so many fields.
fn publish_change(srv: &mut Server, db: usize, key: Key<'_>, changes: usize) {
    srv.signal_modified(db, key.bytes, changes);
    notify_keyspace_event(srv, NotifyFlags::STRING, "setbit", key.bytes, db);
}

/// `GETBIT key offset`
pub fn getbit(srv: &mut Server, c: &mut Client) -> CmdResult {
    let offset = bit_offset(srv, &c.argv, 2)?;
    let value = srv.lookup_read::<StringValue>(c.db, c.argv.key(1))?;
    let bit = value.map_or(0, |value| bits::get_field(value.bytes(&mut itoa::Buffer::new()), offset, 1));
    c.out.int(bit as i64);
    Ok(())
}

/// What BITOP does to bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    And,
    Or,
    Xor,
    Not,
}

impl Operation {
    fn parse(word: &[u8]) -> Option<Operation> {
        match word.to_ascii_lowercase().as_slice() {
            b"and" => Some(Operation::And),
            b"or" => Some(Operation::Or),
            b"xor" => Some(Operation::Xor),
            b"not" => Some(Operation::Not),
            _ => None,
        }
    }

    /// Combines strings, as if all were as long as the longest and ended in zeroes.
    fn apply(self, sources: &[Cow<'_, [u8]>]) -> Vec<u8> {
        let len = sources.iter().map(|source| source.len()).max().unwrap_or(0);
        let mut result = vec![0; len];
        for (index, block) in result.chunks_mut(BITOP_BLOCK).enumerate() {
            let (start, size) = (index * BITOP_BLOCK, block.len());
            let mut parts = sources.iter().map(|source| {
                let rest = source.get(start..).unwrap_or_default();
                &rest[..rest.len().min(size)]
            });
            if let Some(first) = parts.next() {
                block[..first.len()].copy_from_slice(first);
            }
            if self == Operation::Not {
                block.iter_mut().for_each(|byte| *byte = !*byte);
            }
            parts.for_each(|part| self.combine(block, part));
        }
        result
    }

    /// Combines a block with a part of a source, which may be shorter.
    fn combine(self, block: &mut [u8], part: &[u8]) {
        let (both, rest) = block.split_at_mut(part.len());
        let pairs = both.iter_mut().zip(part);
        match self {
            Operation::And => {
                pairs.for_each(|(byte, other)| *byte &= other);
                rest.fill(0);
            }
            Operation::Or => pairs.for_each(|(byte, other)| *byte |= other),
            Operation::Xor => pairs.for_each(|(byte, other)| *byte ^= other),
            Operation::Not => unreachable!("NOT has one source"),
        }
    }
}

/// `BITOP AND | OR | XOR | NOT destkey key [key ...]`
pub fn bitop(srv: &mut Server, c: &mut Client) -> CmdResult {
    let operation = Operation::parse(c.argv.get(1)).ok_or(CmdError::Syntax)?;
    if operation == Operation::Not && c.argv.len() != 4 {
        return Err(CmdError::text("ERR BITOP NOT must be called with a single source key."));
    }
    let result = operation.apply(&sources(srv, c)?);
    let (key, len) = (c.argv.key(2), result.len());
    if len > 0 {
        store_raw(srv, c.db, key, result);
        notify_keyspace_event(srv, NotifyFlags::STRING, "set", key.bytes, c.db);
    } else if srv.delete(c.db, key) {
        srv.signal_modified(c.db, key.bytes, 1);
        notify_keyspace_event(srv, NotifyFlags::GENERIC, "del", key.bytes, c.db);
    }
    c.out.count(len);
    Ok(())
}

/// The strings of the keys from argument 3 on; one that is not there is empty.
fn sources<'s>(srv: &'s mut Server, c: &Client) -> Result<Vec<Cow<'s, [u8]>>, CmdError> {
    let keys: Vec<Key<'_>> = (3..c.argv.len()).map(|i| c.argv.key(i)).collect();
    for key in &keys {
        srv.lookup_read::<StringValue>(c.db, *key)?;
    }
    let (now_ms, database) = (srv.clock.expiry_ms, &srv.dbs[c.db].keys);
    let source = |key: &Key<'_>| {
        // A lookup has deleted what had expired, unless nothing may be at present.
        let found = database.find(*key).filter(|entry| !entry.expired(now_ms));
        found.map_or(Cow::Borrowed(&b""[..]), |entry| text(entry.string()))
    };
    Ok(keys.iter().map(source).collect())
}

/// A string's bytes, which an integer does not have as such.
fn text(value: StrRef<'_>) -> Cow<'_, [u8]> {
    match value {
        StrRef::Int(_) => value.bytes(&mut itoa::Buffer::new()).to_vec().into(),
        StrRef::Inline(bytes) => bytes.into(),
        StrRef::Shared(block) => block.as_ref().into(),
    }
}

/// Stores a string whose encoding is `raw` however short it is.
fn store_raw(srv: &mut Server, db: usize, key: Key<'_>, value: Vec<u8>) {
    srv.set_key(db, key, NewStr::Share(value.into()), Expiry::Clear);
    if let Some(mut entry) = srv.lookup_mut(db, key) {
        entry.write_at(0, b"");
    }
}

/// The unit of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Byte,
    Bit,
}

/// A range as it is asked for: both ends are included, negative ones count from the end.
#[derive(Clone, Copy, Debug)]
struct Asked {
    start: i64,
    /// The last one, unless it is left open.
    end: Option<i64>,
    unit: Unit,
}

impl Asked {
    /// The whole string.
    const ALL: Asked = Asked { start: 0, end: None, unit: Unit::Byte };

    /// Reads `start end [BYTE | BIT]` from argument `from` on. The end may be missing if `open` says so.
    fn parse(argv: &Argv, from: usize, open: bool) -> Result<Asked, CmdError> {
        let words = argv.len() - from;
        if words == 0 {
            return Ok(Asked::ALL);
        }
        if words > 3 || words == 1 && !open {
            return Err(CmdError::Syntax);
        }
        let unit = match words {
            3 if argv.is(from + 2, b"bit") => Ok(Unit::Bit),
            3 if !argv.is(from + 2, b"byte") => Err(CmdError::Syntax),
            _ => Ok(Unit::Byte),
        };
        let start = argv.int(from)?;
        if open {
            // BITPOS looks at the word for the unit before the end, BITCOUNT after it.
            unit.clone()?;
        }
        let end = if words > 1 { Some(argv.int(from + 1)?) } else { None };
        let unit = unit?;
        Ok(Asked { start, end, unit })
    }

    /// The bits of a string of `len` bytes that are meant; `None` if there are none.
    fn bits(self, len: usize) -> Option<std::ops::RangeInclusive<usize>> {
        let bits_each = if self.unit == Unit::Byte { 8 } else { 1 };
        let total = (len * 8 / bits_each) as i64;
        let resolve = |i: i64| if i < 0 { total.saturating_add(i).max(0) } else { i };
        let (start, end) = (resolve(self.start), resolve(self.end.unwrap_or(-1)).min(total - 1));
        let first_behind = (end + 1) as usize * bits_each;
        (start <= end).then(|| start as usize * bits_each..=first_behind - 1)
    }
}

/// `BITCOUNT key [start end [BYTE | BIT]]`
pub fn bitcount(srv: &mut Server, c: &mut Client) -> CmdResult {
    let asked = Asked::parse(&c.argv, 2, false)?;
    let value = srv.lookup_read::<StringValue>(c.db, c.argv.key(1))?;
    let upside_down = asked.start < 0 && asked.end.is_some_and(|end| end < 0 && asked.start > end);
    let count = value.filter(|_| !upside_down).map_or(0, |value| {
        let mut digits = itoa::Buffer::new();
        let bytes = value.bytes(&mut digits);
        asked.bits(bytes.len()).map_or(0, |range| bits::count_ones_between(bytes, range))
    });
    c.out.count(count as usize);
    Ok(())
}

/// `BITPOS key bit [start [end [BYTE | BIT]]]`
pub fn bitpos(srv: &mut Server, c: &mut Client) -> CmdResult {
    let bit = match c.argv.int(2)? {
        0 => false,
        1 => true,
        _ => return Err(CmdError::text("ERR The bit argument must be 1 or 0.")),
    };
    let asked = Asked::parse(&c.argv, 3, true)?;
    let Some(value) = srv.lookup_read::<StringValue>(c.db, c.argv.key(1))? else {
        // A string that is not there is zeroes without end.
        c.out.int(if bit { -1 } else { 0 });
        return Ok(());
    };
    let mut digits = itoa::Buffer::new();
    let bytes = value.bytes(&mut digits);
    let position = asked.bits(bytes.len()).and_then(|range| {
        // Zeroes follow a string, unless a range ends before them.
        let behind = (!bit && asked.end.is_none()).then_some(range.end() + 1);
        bits::find(bytes, range, bit).or(behind)
    });
    c.out.int(position.map_or(-1, |position| position as i64));
    Ok(())
}

/// The type of a field: `i` or `u`, and a number of bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FieldType {
    signed: bool,
    bits: u32,
}

/// What becomes of a number that its field is too narrow for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Overflow {
    /// It loses its highest bits.
    Wrap,
    /// It becomes the nearest that there is room for.
    Saturate,
    /// It is not written.
    Fail,
}

/// What BITFIELD does to a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Get,
    Set(i64, Overflow),
    IncrBy(i64, Overflow),
}

/// A step of BITFIELD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FieldOp {
    field: FieldType,
    offset: usize,
    action: Action,
}

impl FieldType {
    fn parse(word: &[u8]) -> Result<FieldType, CmdError> {
        let invalid = CmdError::text(
            "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
        );
        let (signed, digits) = match word {
            [b'i', digits @ ..] => (true, digits),
            [b'u', digits @ ..] => (false, digits),
            _ => return Err(invalid),
        };
        // An unsigned number of 64 bits would not fit into a reply.
        match parse_i64(digits) {
            Some(bits @ 1..=63) => Ok(FieldType { signed, bits: bits as u32 }),
            Some(64) if signed => Ok(FieldType { signed, bits: 64 }),
            _ => Err(invalid),
        }
    }

    /// The least and the greatest number.
    fn bounds(self) -> (i128, i128) {
        if self.signed {
            let half = 1i128 << (self.bits - 1);
            (-half, half - 1)
        } else {
            (0, field_mask(self.bits).into())
        }
    }

    /// The number whose lowest bits these are.
    fn number_of(self, raw: u64) -> i64 {
        let unused = bits::FIELD_MAX - self.bits;
        if self.signed { (raw << unused) as i64 >> unused } else { (raw & field_mask(self.bits)) as i64 }
    }

    /// The number that SET is to write.
    fn to_set(self, value: i64, overflow: Overflow) -> i128 {
        if !self.signed {
            // A negative number is one that is too large.
            return (value as u64).into();
        }
        let (_, max) = self.bounds();
        // Upstream's distance to the maximum has 64 bits: numbers too far below come out at the upper end.
        let wraps = self.bits < bits::FIELD_MAX && max - i128::from(value) > i64::MAX.into();
        if wraps && overflow == Overflow::Saturate { max } else { value.into() }
    }

    /// A number brought into the field; `None` if it fails.
    fn fit(self, number: i128, overflow: Overflow) -> Option<i64> {
        let (min, max) = self.bounds();
        if (min..=max).contains(&number) {
            return Some(number as i64);
        }
        match overflow {
            Overflow::Wrap => Some(self.number_of(number as u64)),
            Overflow::Saturate => Some(number.clamp(min, max) as i64),
            Overflow::Fail => None,
        }
    }
}

/// A step's outcome: what is replied, and what is written.
struct Outcome {
    reply: Option<i64>,
    write: Option<i64>,
}

impl FieldOp {
    /// Reads the subcommands from argument 2 on.
    fn parse_all(srv: &Server, argv: &Argv) -> Result<Vec<FieldOp>, CmdError> {
        let (mut ops, mut overflow) = (Vec::new(), Overflow::Wrap);
        let mut i = 2;
        while i < argv.len() {
            let left = argv.len() - i - 1;
            if argv.is(i, b"overflow") && left >= 1 {
                overflow = match argv.get(i + 1).to_ascii_lowercase().as_slice() {
                    b"wrap" => Overflow::Wrap,
                    b"sat" => Overflow::Saturate,
                    b"fail" => Overflow::Fail,
                    _ => return Err(CmdError::text("ERR Invalid OVERFLOW type specified")),
                };
                i += 2;
                continue;
            }
            let (get, set, incrby) = (argv.is(i, b"get"), argv.is(i, b"set"), argv.is(i, b"incrby"));
            if !(get && left >= 2 || (set || incrby) && left >= 3) {
                return Err(CmdError::Syntax);
            }
            let field = FieldType::parse(argv.get(i + 1))?;
            let offset = field_offset(srv, argv.get(i + 2), field.bits)?;
            let action = match (get, set) {
                (true, _) => Action::Get,
                (_, true) => Action::Set(argv.int(i + 3)?, overflow),
                _ => Action::IncrBy(argv.int(i + 3)?, overflow),
            };
            ops.push(FieldOp { field, offset, action });
            i += if get { 3 } else { 4 };
        }
        Ok(ops)
    }

    fn last_bit(&self) -> usize {
        self.offset + self.field.bits as usize - 1
    }

    /// What the step does, given the string as it is.
    fn outcome(&self, bytes: &[u8]) -> Outcome {
        let old = self.field.number_of(bits::get_field(bytes, self.offset, self.field.bits));
        match self.action {
            Action::Get => Outcome { reply: Some(old), write: None },
            Action::Set(value, overflow) => {
                let write = self.field.fit(self.field.to_set(value, overflow), overflow);
                Outcome { reply: write.map(|_| old), write }
            }
            Action::IncrBy(by, overflow) => {
                let write = self.field.fit(i128::from(old) + i128::from(by), overflow);
                Outcome { reply: write, write }
            }
        }
    }
}

/// The bit that a field begins with: a number, or with `#` one of fields of that width.
fn field_offset(srv: &Server, word: &[u8], bits: u32) -> Result<usize, CmdError> {
    let offset = match word {
        [b'#', digits @ ..] => parse_i64(digits).and_then(|index| index.checked_mul(bits.into())),
        digits => parse_i64(digits),
    };
    offset.and_then(|offset| offset_within(srv, offset)).ok_or(BAD_OFFSET)
}

fn reply_outcome(out: &mut Out, outcome: &Outcome) {
    match outcome.reply {
        Some(number) => out.int(number),
        None => out.null(),
    }
}

/// `BITFIELD key [GET type offset | [OVERFLOW how] SET type offset value | INCRBY type offset increment ...]`
pub fn bitfield(srv: &mut Server, c: &mut Client) -> CmdResult {
    let ops = FieldOp::parse_all(srv, &c.argv)?;
    let Some(last_bit) = ops.iter().filter(|op| op.action != Action::Get).map(FieldOp::last_bit).max() else {
        return read_fields(srv, c, &ops);
    };
    let key = c.argv.key(1);
    let (mut entry, grown) = string_with_byte(srv, c.db, key, last_bit / 8)?;
    // As SETBIT does, whatever becomes of the fields.
    entry.write_at(0, b"");
    let mut changes = 0;
    c.out.array(ops.len());
    for op in &ops {
        let (outcome, written) = {
            let view = entry.view();
            let mut digits = itoa::Buffer::new();
            let bytes = view.string().bytes(&mut digits);
            let outcome = op.outcome(bytes);
            let written = outcome.write.map(|new| {
                let old = op.field.number_of(bits::get_field(bytes, op.offset, op.field.bits));
                changes += usize::from(grown || old != new);
                bits::set_field(bytes, op.offset, op.field.bits, new as u64)
            });
            (outcome, written)
        };
        if let Some((at, field)) = written {
            entry.write_at(at, field.as_slice());
        }
        reply_outcome(&mut c.out, &outcome);
    }
    drop(entry);
    if changes > 0 {
        publish_change(srv, c.db, key, changes);
    } else if grown {
        // Every field has failed by its OVERFLOW, and the zeros are there nonetheless. Upstream forgets to tell.
        srv.signal_modified(c.db, key.bytes, 1);
    }
    Ok(())
}

/// BITFIELD with nothing but GET.
fn read_fields(srv: &mut Server, c: &mut Client, ops: &[FieldOp]) -> CmdResult {
    let value = srv.lookup_read::<StringValue>(c.db, c.argv.key(1))?;
    let mut digits = itoa::Buffer::new();
    let bytes = value.map_or(&b""[..], |value| value.bytes(&mut digits));
    c.out.array(ops.len());
    ops.iter().for_each(|op| reply_outcome(&mut c.out, &op.outcome(bytes)));
    Ok(())
}

/// `BITFIELD_RO key [GET type offset ...]`
pub fn bitfield_ro(srv: &mut Server, c: &mut Client) -> CmdResult {
    let ops = FieldOp::parse_all(srv, &c.argv)?;
    if ops.iter().any(|op| op.action != Action::Get) {
        return Err(CmdError::text("ERR BITFIELD_RO only supports the GET subcommand"));
    }
    read_fields(srv, c, &ops)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_resolve_against_the_length() {
        let bits = |start, end, unit, len| Asked { start, end, unit }.bits(len);
        assert_eq!(Asked::ALL.bits(3), Some(0..=23));
        assert_eq!(Asked::ALL.bits(0), None);
        assert_eq!(bits(1, Some(1), Unit::Byte, 3), Some(8..=15));
        assert_eq!(bits(1, Some(1), Unit::Bit, 3), Some(1..=1));
        assert_eq!(bits(-2, Some(-1), Unit::Bit, 3), Some(22..=23));
        assert_eq!(bits(-100, Some(100), Unit::Byte, 3), Some(0..=23));
        assert_eq!(bits(i64::MIN, Some(i64::MAX), Unit::Bit, 3), Some(0..=23));
        assert_eq!(bits(3, Some(9), Unit::Byte, 3), None);
        assert_eq!(bits(2, Some(1), Unit::Byte, 3), None);
        assert_eq!(bits(0, Some(-4), Unit::Byte, 3), Some(0..=7));
    }

    #[test]
    fn types_of_fields() {
        assert_eq!(FieldType::parse(b"i64"), Ok(FieldType { signed: true, bits: 64 }));
        assert_eq!(FieldType::parse(b"u63"), Ok(FieldType { signed: false, bits: 63 }));
        for word in [&b"u64"[..], b"i65", b"u0", b"i-1", b"8", b"", b"i", b"U8", b"u 8", b"u08"] {
            assert!(FieldType::parse(word).is_err(), "{}", word.escape_ascii());
        }
    }

    #[test]
    fn overflows() {
        let i8 = FieldType { signed: true, bits: 8 };
        let u2 = FieldType { signed: false, bits: 2 };
        let i64 = FieldType { signed: true, bits: 64 };
        let all = |field: FieldType, number| {
            [Overflow::Wrap, Overflow::Saturate, Overflow::Fail].map(|overflow| field.fit(number, overflow))
        };
        assert_eq!(all(i8, 127), [Some(127); 3]);
        assert_eq!(all(i8, 128), [Some(-128), Some(127), None]);
        assert_eq!(all(i8, -129), [Some(127), Some(-128), None]);
        assert_eq!(all(u2, 4), [Some(0), Some(3), None]);
        assert_eq!(all(u2, -1), [Some(3), Some(0), None]);
        assert_eq!(all(i64, i128::from(i64::MAX) + 1), [Some(i64::MIN), Some(i64::MAX), None]);
        assert_eq!(all(i64, i128::from(i64::MIN) - 1), [Some(i64::MAX), Some(i64::MIN), None]);
        let set = |value| FieldOp { field: u2, offset: 0, action: Action::Set(value, Overflow::Saturate) };
        assert_eq!(set(-1).outcome(&[0]).write, Some(3));
        assert_eq!(i8.to_set(i64::MIN, Overflow::Saturate), 127);
        assert_eq!(i8.to_set(i64::MIN + 128, Overflow::Saturate), i128::from(i64::MIN) + 128);
        assert_eq!(i8.to_set(i64::MIN, Overflow::Wrap), i64::MIN.into());
    }

    #[test]
    fn what_a_failed_field_leaves_behind_is_propagated() {
        crate::server::testing::Bench::new().check_propagation(
            "SET s foo -> SET s foo
             BITFIELD s OVERFLOW FAIL INCRBY u4 100 -2 -> BITFIELD s OVERFLOW FAIL INCRBY u4 100 -2
             BITFIELD s OVERFLOW FAIL INCRBY u4 100 -2 -> nothing
             BITFIELD new OVERFLOW FAIL SET u4 0 16 -> BITFIELD new OVERFLOW FAIL SET u4 0 16",
        );
    }

    proptest! {
        #[test]
        fn operations_are_those_of_each_byte(
            lens in proptest::collection::vec(prop_oneof![0usize..50, Just(BITOP_BLOCK), Just(BITOP_BLOCK + 7), Just(3 * BITOP_BLOCK - 1)], 1..5),
            seed: u8,
        ) {
            let strings: Vec<Vec<u8>> = lens.iter().enumerate()
                .map(|(n, len)| (0..*len).map(|at| (at * (2 * n + 3)) as u8 ^ seed).collect()).collect();
            let sources: Vec<Cow<'_, [u8]>> = strings.iter().map(Cow::from).collect();
            let len = lens.into_iter().max().unwrap_or(0);
            let byte = |string: &Vec<u8>, at: usize| string.get(at).copied().unwrap_or(0);
            for (operation, combine) in [
                (Operation::And, (|a, b| a & b) as fn(u8, u8) -> u8), (Operation::Or, |a, b| a | b), (Operation::Xor, |a, b| a ^ b),
            ] {
                let expected: Vec<u8> =
                    (0..len).map(|at| strings.iter().map(|string| byte(string, at)).reduce(combine).unwrap()).collect();
                prop_assert!(operation.apply(&sources) == expected);
            }
            let expected: Vec<u8> = strings[0].iter().map(|byte| !byte).collect();
            prop_assert!(Operation::Not.apply(&sources[..1]) == expected);
        }
    }
}
