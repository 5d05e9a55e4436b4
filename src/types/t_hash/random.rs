//! HRANDFIELD.

use super::now_ms;
use crate::db::hexpire;
use crate::db::object::hash::{Field, sample};
use crate::db::object::{Collection, Hash};
use crate::server::{Client, CmdError, CmdResult, Out, Server};

/// Fields drawn from a listpack at a time: the positions of so many are kept.
const DRAW: usize = 1000;

/// How HRANDFIELD shows a field.
#[derive(Clone, Copy)]
struct Show {
    values: bool,
    /// Name and value as an array of two.
    nested: bool,
}

impl Show {
    fn field(self, field: Field<'_>, out: &mut Out) {
        if self.nested {
            out.array(2);
        }
        field.name.write_to(out);
        if self.values {
            field.value.write_to(out);
        }
    }

    /// Begins an array of `fields` fields.
    fn begin(self, fields: usize, out: &mut Out) {
        out.array(if self.values && !self.nested { fields.saturating_mul(2) } else { fields });
    }
}

/// `HRANDFIELD key [count [WITHVALUES]]`
pub fn hrandfield(srv: &mut Server, c: &mut Client) -> CmdResult {
    let count = if c.argv.len() > 2 { Some(parse_count(c)?) } else { None };
    let key = c.argv.key(1);
    let now_ms = now_ms(srv);
    let due = |hash: &Hash| hash.next_expiry().is_some_and(|at_ms| at_ms < now_ms);
    if srv.lookup_read::<Hash>(c.db, key)?.is_some_and(|hash| due(&hash)) {
        hexpire::remove_due(srv, c.db, key);
    }
    let entry = srv.dbs[c.db].keys.find(key);
    let hash = entry.map(|entry| entry.object::<Hash>());
    match (hash, count) {
        (None, None) => c.out.null(),
        (None, Some(_)) | (Some(_), Some((0, _))) => c.out.array(0),
        // Nothing may be deleted at present, and there is something that must not be seen.
        (Some(hash), count) if due(&hash) => random_live(&hash, count, now_ms, &mut c.out),
        (Some(hash), None) => match hash.random(&mut rand::rng()) {
            Some(field) => field.name.write_to(&mut c.out),
            None => c.out.null(),
        },
        (Some(hash), Some((count, show))) => random_fields(&hash, count, show, &mut c.out),
    }
    Ok(())
}

/// The count, and how to show fields.
fn parse_count(c: &Client) -> Result<(i64, Show), CmdError> {
    let count = c.argv.int(2)?;
    if count == i64::MIN {
        return Err(CmdError::text(
            "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
        ));
    }
    let values = c.argv.len() > 3;
    if c.argv.len() > 4 || values && !c.argv.is(3, b"withvalues") {
        return Err(CmdError::Syntax);
    }
    if values && !(-i64::MAX / 2..=i64::MAX / 2).contains(&count) {
        return Err(CmdError::text("ERR value is out of range"));
    }
    Ok((count, Show { values, nested: values && c.out.resp3() }))
}

/// Replies with `count` different fields, or if it is negative, with as many that may repeat.
fn random_fields(hash: &Hash, count: i64, show: Show, out: &mut Out) {
    let mut rng = rand::rng();
    let many = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    if count >= 0 {
        show.begin(many.min(hash.len()), out);
        hash.random_unique(&mut rng, many, |field| show.field(field, out));
        return;
    }
    show.begin(many, out);
    let mut left = many;
    // Who may not have that much is closed; there is no need to go on then.
    while left > 0 && !out.overrun() {
        let draw = left.min(DRAW);
        hash.random_many(&mut rng, draw, |field| show.field(field, out));
        left -= draw;
    }
}

/// Replies as HRANDFIELD does for a hash that has fields which must not be seen.
fn random_live(hash: &Hash, count: Option<(i64, Show)>, now_ms: i64, out: &mut Out) {
    let mut rng = rand::rng();
    let live: Vec<Field<'_>> = hash.iter().filter(|field| !field.expired(now_ms)).collect();
    let Some((count, show)) = count else {
        match sample(live.iter(), &mut rng, 1, live.len()).next() {
            Some(field) => field.name.write_to(out),
            None => out.null(),
        }
        return;
    };
    let many = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    if count < 0 && !live.is_empty() {
        show.begin(many, out);
        let mut left = many;
        while left > 0 && !out.overrun() {
            show.field(live[rand::random_range(0..live.len())], out);
            left -= 1;
        }
    } else {
        show.begin(many.min(live.len()), out);
        sample(live.iter(), &mut rng, many, live.len()).for_each(|field| show.field(*field, out));
    }
}
