//! HyperLogLogs: PFADD, PFCOUNT, PFMERGE, and what tests need.
//!
//! A HyperLogLog is a string whose bytes [`ds::hyperloglog`](crate::ds::hyperloglog) describes. Strings come from clients,
//! so every command looks at the header first, and whatever reads sparse registers checks them. A dense sketch is changed
//! in place, a register at a time; a sparse one is small, and is changed in a copy that is stored when it is complete.

use crate::cmd_err;
use crate::db::kvstore::EntryMut;
use crate::db::notify::{NotifyFlags, notify_keyspace_event};
use crate::db::object::{Encoding as StringEncoding, Entry, EntryRef, Expiry, NewStr, StrRef, Type};
use crate::db::{LookupFlags, ValueType};
use crate::ds::hyperloglog::{self as hll, Corrupted, Encoding, Mark, Marked, RANK_MAX, REGISTERS};
use crate::server::{Client, CmdError, CmdResult, Key, Server};
use crate::types::StringValue;

/// Rounds of the first part of PFSELFTEST.
const TEST_ROUNDS: usize = 1000;
/// Elements that PFSELFTEST adds.
const TEST_ELEMENTS: u64 = 10_000_000;
/// PFSELFTEST allows so many times the standard error.
const TEST_ERRORS: f64 = 6.0;

fn refuse(_: Corrupted) -> CmdError {
    CmdError::text("INVALIDOBJ Corrupted HLL object detected")
}

/// A string that has the header of a sketch.
#[derive(Clone, Copy)]
struct Sketch<'a> {
    bytes: &'a [u8],
    encoding: Encoding,
}

impl<'a> Sketch<'a> {
    fn new(value: StrRef<'a>) -> Result<Sketch<'a>, CmdError> {
        let bytes: &[u8] = match value {
            StrRef::Int(_) => b"",
            StrRef::Inline(bytes) => bytes,
            StrRef::Shared(block) => block,
        };
        match hll::encoding(bytes) {
            Some(encoding) => Ok(Sketch { bytes, encoding }),
            None => Err(CmdError::text("WRONGTYPE Key is not a valid HyperLogLog string value.")),
        }
    }

    /// That of an entry of any type.
    fn of(entry: EntryRef<'a>) -> Result<Sketch<'a>, CmdError> {
        if entry.value_type() != Type::String {
            return Err(CmdError::WrongType);
        }
        Sketch::new(StringValue::value(entry))
    }
}

/// Stores the bytes of a sketch in the entry of one. The expiry stays.
fn overwrite(entry: &mut EntryMut<'_>, sketch: &[u8]) {
    entry.set_string(NewStr::Copy(sketch), Expiry::Keep);
    make_raw(entry);
}

/// Gives a string the encoding of those that are changed in place.
fn make_raw(entry: &mut EntryMut<'_>) {
    if entry.view().encoding() != StringEncoding::Raw {
        entry.write_at(0, b"");
    }
}

/// An entry with a new sketch.
fn new_entry(srv: &Server, key: Key<'_>, sketch: &[u8]) -> Entry {
    let mut entry = Entry::new(key.bytes, NewStr::Copy(b""), None, srv.initial_clock());
    entry.write_at(0, sketch);
    entry
}

/// Raises the rank of a register; a sparse sketch becomes dense where it has to.
fn raise(
    sketch: &mut Vec<u8>,
    encoding: &mut Encoding,
    mark: Mark,
    max_size: usize,
) -> Result<bool, Corrupted> {
    if *encoding == Encoding::Sparse {
        match hll::mark_sparse(sketch, mark, max_size)? {
            Marked::Unchanged => return Ok(false),
            Marked::Changed => return Ok(true),
            Marked::NeedsDense => {
                *sketch = hll::to_dense(sketch)?;
                *encoding = Encoding::Dense;
            }
        }
    }
    let raises = hll::dense_rank(sketch, mark.register) < mark.rank;
    if raises {
        hll::set_dense_rank(sketch, mark.register, mark.rank);
    }
    Ok(raises)
}

/// Adds elements to the dense sketch of an entry, in place; returns how many registers changed.
fn add_dense(entry: &mut EntryMut<'_>, marks: impl Iterator<Item = Mark>) -> Result<usize, CmdError> {
    let mut changed = 0;
    for mark in marks {
        let view = entry.view();
        let Sketch { bytes, .. } = Sketch::of(view)?;
        if hll::dense_rank(bytes, mark.register) < mark.rank {
            let (at, pair, len) = hll::dense_rank_to_write(bytes, mark.register, mark.rank);
            entry.write_at(at, &pair[..len]);
            changed += 1;
        }
    }
    Ok(changed)
}

/// Adds elements to the sparse sketch of an entry; returns how many registers changed.
fn add_sparse(
    entry: &mut EntryMut<'_>,
    marks: impl Iterator<Item = Mark>,
    max_size: usize,
) -> Result<usize, CmdError> {
    // Most elements have been seen, and are looked for before anything is copied.
    let mut marks = marks;
    let bytes = Sketch::of(entry.view())?.bytes;
    let first = loop {
        let Some(mark) = marks.next() else { return Ok(0) };
        if hll::raises_sparse(bytes, mark).map_err(refuse)? {
            break mark;
        }
    };
    let (mut sketch, mut encoding, mut changed) = (bytes.to_vec(), Encoding::Sparse, 0);
    for mark in std::iter::once(first).chain(marks) {
        changed += usize::from(raise(&mut sketch, &mut encoding, mark, max_size).map_err(refuse)?);
    }
    if changed > 0 {
        overwrite(entry, &sketch);
    }
    Ok(changed)
}

/// `PFADD key [element ...]`
pub fn pfadd(srv: &mut Server, c: &mut Client) -> CmdResult {
    let (key, max_size) = (c.argv.key(1), srv.config.hll_sparse_max_bytes as usize);
    let Some(mut entry) = srv.lookup_write::<StringValue>(c.db, key)? else {
        return pfadd_new(srv, c);
    };
    let encoding = Sketch::of(entry.view())?.encoding;
    make_raw(&mut entry);
    let marks = c.argv.iter_from(2).map(Mark::of);
    let changed = match encoding {
        Encoding::Dense => add_dense(&mut entry, marks)?,
        Encoding::Sparse => add_sparse(&mut entry, marks, max_size)?,
    };
    if changed > 0 {
        let (at, byte) = hll::mark_to_note(Sketch::of(entry.view())?.bytes);
        entry.write_at(at, &byte);
        drop(entry);
        publish_change(srv, c.db, key, changed);
    }
    c.out.int((changed > 0).into());
    Ok(())
}

/// PFADD to a key that is not there.
fn pfadd_new(srv: &mut Server, c: &mut Client) -> CmdResult {
    let (key, max_size) = (c.argv.key(1), srv.config.hll_sparse_max_bytes as usize);
    let (mut sketch, mut encoding, mut changed) = (hll::new_sparse(), Encoding::Sparse, 0);
    for mark in c.argv.iter_from(2).map(Mark::of) {
        changed += usize::from(raise(&mut sketch, &mut encoding, mark, max_size).map_err(refuse)?);
    }
    let (at, byte) = hll::mark_to_note(&sketch);
    sketch[at] = byte[0];
    let entry = new_entry(srv, key, &sketch);
    srv.add_entry(c.db, key, entry);
    publish_change(srv, c.db, key, changed + 1);
    c.out.int(1);
    Ok(())
}

fn publish_change(srv: &mut Server, db: usize, key: Key<'_>, changes: usize) {
    srv.signal_modified(db, key.bytes, changes);
    notify_keyspace_event(srv, NotifyFlags::STRING, "pfadd", key.bytes, db);
}

/// The ranks of the sketches under the keys from argument 1 on, merged; and whether any of them is dense.
fn merged(srv: &mut Server, c: &Client) -> Result<(Box<[u8; REGISTERS]>, bool), CmdError> {
    let (mut ranks, mut any_dense) = (Box::new([0; REGISTERS]), false);
    for i in 1..c.argv.len() {
        let Some(value) = srv.lookup_read::<StringValue>(c.db, c.argv.key(i))? else { continue };
        let sketch = Sketch::new(value)?;
        any_dense |= sketch.encoding == Encoding::Dense;
        hll::merge(&mut ranks, sketch.bytes, sketch.encoding).map_err(refuse)?;
    }
    Ok((ranks, any_dense))
}

/// `PFCOUNT key [key ...]`
pub fn pfcount(srv: &mut Server, c: &mut Client) -> CmdResult {
    if c.argv.len() > 2 {
        let (ranks, _) = merged(srv, c)?;
        c.out.count(hll::count_ranks(&ranks) as usize);
        return Ok(());
    }
    let key = c.argv.key(1);
    let Some(value) = srv.lookup_read::<StringValue>(c.db, key)? else {
        c.out.int(0);
        return Ok(());
    };
    let sketch = Sketch::new(value)?;
    if let Some(estimate) = hll::noted_estimate(sketch.bytes) {
        c.out.int(estimate as i64);
        return Ok(());
    }
    let estimate = hll::count(sketch.bytes, sketch.encoding).map_err(refuse)?;
    if let Some(mut entry) = srv.lookup_write::<StringValue>(c.db, key)? {
        let (at, bytes) = hll::estimate_to_note(estimate);
        entry.write_at(at, &bytes);
    }
    // A command that reads, and changes the value: whoever has a copy of it has to learn of that.
    srv.signal_modified(c.db, key.bytes, 1);
    c.out.int(estimate as i64);
    Ok(())
}

/// `PFMERGE destkey [sourcekey ...]`
pub fn pfmerge(srv: &mut Server, c: &mut Client) -> CmdResult {
    let (ranks, any_dense) = merged(srv, c)?;
    let (key, max_size) = (c.argv.key(1), srv.config.hll_sparse_max_bytes as usize);
    let found = srv.lookup_write::<StringValue>(c.db, key)?;
    let exists = found.is_some();
    let mut sketch = match &found {
        Some(entry) => Sketch::of(entry.view())?.bytes.to_vec(),
        None => hll::new_sparse(),
    };
    drop(found);
    if any_dense {
        sketch = hll::from_ranks(&sketch[..hll::HEADER], &ranks);
    } else {
        let mut encoding = Encoding::Sparse;
        for (register, &rank) in ranks.iter().enumerate().filter(|(_, rank)| **rank > 0) {
            raise(&mut sketch, &mut encoding, Mark { register, rank }, max_size).map_err(refuse)?;
        }
    }
    let (at, byte) = hll::mark_to_note(&sketch);
    sketch[at] = byte[0];
    if !exists {
        let entry = new_entry(srv, key, &sketch);
        srv.add_entry(c.db, key, entry);
    } else if let Some(mut entry) = srv.lookup_write::<StringValue>(c.db, key)? {
        overwrite(&mut entry, &sketch);
    }
    publish_change(srv, c.db, key, 1);
    c.out.ok();
    Ok(())
}

/// `PFDEBUG GETREG | DECODE | ENCODING | TODENSE key`, `PFDEBUG SIMD ON | OFF`
pub fn pfdebug(srv: &mut Server, c: &mut Client) -> CmdResult {
    if c.argv.is(1, b"simd") {
        return pfdebug_simd(c);
    }
    let key = c.argv.key(2);
    let Some(entry) = srv.lookup(c.db, key, LookupFlags::WRITE) else {
        return Err(CmdError::text("ERR The specified key does not exist"));
    };
    let sketch = Sketch::of(entry)?;
    if c.argv.is(1, b"getreg") {
        let mut ranks = [0; REGISTERS];
        hll::merge(&mut ranks, sketch.bytes, sketch.encoding).map_err(refuse)?;
        make_dense(srv, c.db, key)?;
        c.out.array(REGISTERS);
        ranks.iter().for_each(|rank| c.out.int((*rank).into()));
    } else if c.argv.is(1, b"decode") {
        if sketch.encoding != Encoding::Sparse {
            return Err(CmdError::text("ERR HLL encoding is not sparse"));
        }
        c.out.bulk(decode(sketch.bytes).as_bytes());
    } else if c.argv.is(1, b"encoding") {
        c.out.simple(if sketch.encoding == Encoding::Sparse { "sparse" } else { "dense" });
    } else if c.argv.is(1, b"todense") {
        let converted = make_dense(srv, c.db, key)?;
        c.out.int(converted.into());
    } else {
        let text = [&b"ERR Unknown PFDEBUG subcommand '"[..], c.argv.get(1), b"'"].concat();
        return Err(CmdError::Bytes(text.into()));
    }
    Ok(())
}

/// Here is one way to merge registers, whose instructions the compiler has chosen. So the switch is acknowledged, and has
/// nothing to switch.
fn pfdebug_simd(c: &mut Client) -> CmdResult {
    if c.argv.is(2, b"on") {
        c.out.simple("enabled");
    } else if c.argv.is(2, b"off") {
        c.out.simple("disabled");
    } else {
        return Err(CmdError::text("ERR Argument must be ON or OFF"));
    }
    Ok(())
}

/// Makes the sketch of a key dense, and tells whether it was not.
fn make_dense(srv: &mut Server, db: usize, key: Key<'_>) -> Result<bool, CmdError> {
    let Some(mut entry) = srv.lookup_write::<StringValue>(db, key)? else { return Ok(false) };
    let sketch = Sketch::of(entry.view())?;
    if sketch.encoding == Encoding::Dense {
        return Ok(false);
    }
    let dense = hll::to_dense(sketch.bytes).map_err(refuse)?;
    overwrite(&mut entry, &dense);
    drop(entry);
    srv.dirty(1);
    Ok(true)
}

/// The runs of a sparse sketch as text: `z:` and `Z:` are zeroes in one and in two bytes, `v:` a rank and its registers.
fn decode(sketch: &[u8]) -> String {
    let word = |run: hll::Run| match run {
        hll::Run { rank: 0, len, .. } if run.is_long() => format!("Z:{len}"),
        hll::Run { rank: 0, len, .. } => format!("z:{len}"),
        hll::Run { rank, len, .. } => format!("v:{rank},{len}"),
    };
    hll::runs(sketch).map(word).collect::<Vec<_>>().join(" ")
}

/// `PFSELFTEST`
pub fn pfselftest(srv: &mut Server, c: &mut Client) -> CmdResult {
    test_registers()?;
    test_estimates(srv.config.hll_sparse_max_bytes as usize)?;
    c.out.ok();
    Ok(())
}

/// Whether registers keep what is put in them, and leave their neighbours alone.
fn test_registers() -> CmdResult {
    let mut ranks = [0; REGISTERS];
    let mut sketch = hll::from_ranks(&hll::new_sparse()[..hll::HEADER], &ranks);
    for _ in 0..TEST_ROUNDS {
        for (register, rank) in ranks.iter_mut().enumerate() {
            *rank = rand::random::<u8>() & RANK_MAX;
            hll::set_dense_rank(&mut sketch, register, *rank);
        }
        for (register, rank) in ranks.iter().enumerate() {
            let found = hll::dense_rank(&sketch, register);
            if found != *rank {
                return Err(cmd_err!("ERR TESTFAILED Register {register} should be {rank} but is {found}"));
            }
        }
    }
    Ok(())
}

/// Whether both encodings estimate the same, and about right.
fn test_estimates(max_size: usize) -> CmdResult {
    let (mut sketch, mut encoding) = (hll::new_sparse(), Encoding::Sparse);
    let mut dense = hll::to_dense(&sketch).map_err(refuse)?;
    let standard_error = 1.04 / (REGISTERS as f64).sqrt();
    let (seed, mut checkpoint) = (rand::random::<u64>(), 1);
    for number in 1..=TEST_ELEMENTS {
        let mark = Mark::of(&(number ^ seed).to_le_bytes());
        raise(&mut dense, &mut Encoding::Dense, mark, 0).map_err(refuse)?;
        raise(&mut sketch, &mut encoding, mark, max_size).map_err(refuse)?;
        if number != checkpoint {
            continue;
        }
        if number < max_size as u64 / 2 && encoding != Encoding::Sparse {
            return Err(CmdError::text("ERR TESTFAILED sparse encoding not used"));
        }
        let estimate = hll::count(&dense, Encoding::Dense).map_err(refuse)?;
        if hll::count(&sketch, encoding).map_err(refuse)? != estimate {
            return Err(CmdError::text("ERR TESTFAILED dense/sparse disagree"));
        }
        // Among ten elements a collision is likely enough to be allowed for.
        let most =
            if number == 10 { 1 } else { (standard_error * TEST_ERRORS * number as f64).ceil() as u64 };
        let error = estimate.abs_diff(number);
        if error > most {
            return Err(cmd_err!("ERR TESTFAILED Too big error. card:{number} abserr:{error}"));
        }
        checkpoint *= 10;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_as_text() {
        let (mut sketch, mut encoding) = (hll::new_sparse(), Encoding::Sparse);
        assert_eq!(decode(&sketch), "Z:16384");
        for (register, rank) in [(10, 3), (11, 3), (100, 1)] {
            raise(&mut sketch, &mut encoding, Mark { register, rank }, 3000).unwrap();
        }
        assert_eq!(decode(&sketch), "z:10 v:3,2 Z:88 v:1,1 Z:16283");
    }

    #[test]
    fn registers_pass_their_test() {
        test_registers().unwrap();
    }
}
