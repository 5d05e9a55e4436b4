//! Ranges: of ranks, of scores, of the alphabet; and the commands that count, show or store what is in one.

use std::ops;

use super::{limits, reply_elements, store_result};
use crate::db::object::zset::{AddFlags, ZSet, text};
use crate::ds::numbers::parse_score_bound;
use crate::ds::sorted_index::Cut;
use crate::server::{Argv, Client, CmdError, CmdResult, Server};

/// What a range is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Rank,
    Score,
    Lex,
}

/// A range, as a command says it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Range<'a> {
    /// From one rank to another, both included; negative ones count from the end.
    Ranks(i64, i64),
    /// What lies between two cuts.
    Cuts(Cut<'a>, Cut<'a>),
}

/// The cut in front of everything.
const BEGIN: Cut<'static> = Cut::BelowScore(f64::NEG_INFINITY);
/// The cut behind everything.
const END: Cut<'static> = Cut::AboveScore(f64::INFINITY);

impl<'a> Range<'a> {
    /// The range that two arguments say.
    pub(super) fn parse(argv: &'a Argv, kind: Kind, min: usize, max: usize) -> Result<Range<'a>, CmdError> {
        match kind {
            Kind::Rank => Ok(Range::Ranks(argv.int(min)?, argv.int(max)?)),
            Kind::Score => score_cuts(argv.get(min), argv.get(max))
                .ok_or(CmdError::text("ERR min or max is not a float")),
            Kind::Lex => lex_cut(argv.get(min), false)
                .zip(lex_cut(argv.get(max), true))
                .map(|(low, high)| Range::Cuts(low, high))
                .ok_or(CmdError::text("ERR min or max not valid string range item")),
        }
    }

    /// The ranks in a set that the range is of, where ranks of the range may be counted from the end.
    pub(super) fn ranks(self, set: &ZSet, reversed: bool) -> ops::Range<usize> {
        let (start, stop) = match self {
            Range::Cuts(low, high) => return set.ranks(low, high),
            Range::Ranks(start, stop) => (start, stop),
        };
        let len = set.len();
        // Both are in range: a length is that of something in memory.
        let resolve = |rank: i64| if rank < 0 { rank.saturating_add(len as i64) } else { rank };
        let (start, stop) = (resolve(start).max(0), resolve(stop));
        if start > stop || start >= len as i64 {
            return 0..0;
        }
        let (start, end) = (start as usize, (stop as usize).min(len - 1) + 1);
        if reversed { len - end..len - start } else { start..end }
    }
}

fn score_cuts<'a>(min: &[u8], max: &[u8]) -> Option<Range<'a>> {
    let bound = |text: &[u8]| match text.strip_prefix(b"(") {
        Some(text) => Some((parse_score_bound(text)?, true)),
        None => Some((parse_score_bound(text)?, false)),
    };
    let ((min, above_min), (max, below_max)) = (bound(min)?, bound(max)?);
    let low = if above_min { Cut::AboveScore(min) } else { Cut::BelowScore(min) };
    let high = if below_max { Cut::BelowScore(max) } else { Cut::AboveScore(max) };
    Some(Range::Cuts(low, high))
}

/// The cut that a bound in the alphabet says: `-`, `+`, `[member`, `(member`.
fn lex_cut(bound: &[u8], is_max: bool) -> Option<Cut<'_>> {
    match bound.split_first()? {
        // The two words are read as C strings, which end at a NUL.
        (b'-', rest) if rest.first().is_none_or(|&byte| byte == 0) => Some(BEGIN),
        (b'+', rest) if rest.first().is_none_or(|&byte| byte == 0) => Some(END),
        (b'[', member) => Some(if is_max { Cut::AboveMember(member) } else { Cut::BelowMember(member) }),
        (b'(', member) => Some(if is_max { Cut::BelowMember(member) } else { Cut::AboveMember(member) }),
        _ => None,
    }
}

/// What a command of ZRANGE's family asks for.
struct Query<'a> {
    range: Range<'a>,
    reversed: bool,
    with_scores: bool,
    offset: i64,
    /// Most elements; negative for all.
    limit: i64,
}

/// What the name of such a command leaves open.
#[derive(Clone, Copy)]
struct Form {
    /// The argument that is the key; the bounds follow.
    key: usize,
    /// Whether the result is stored.
    store: bool,
    kind: Option<Kind>,
    reversed: Option<bool>,
}

const SHOW: Form = Form { key: 1, store: false, kind: None, reversed: None };

impl<'a> Query<'a> {
    fn parse(argv: &'a Argv, form: Form) -> Result<Query<'a>, CmdError> {
        let (mut kind, mut reversed) = (form.kind, form.reversed);
        let (mut with_scores, mut offset, mut limit) = (false, 0, -1);
        let mut i = form.key + 3;
        while i < argv.len() {
            if !form.store && argv.is(i, b"withscores") {
                with_scores = true;
            } else if argv.is(i, b"limit") && i + 2 < argv.len() {
                (offset, limit) = (argv.int(i + 1)?, argv.int(i + 2)?);
                i += 2;
            } else if reversed.is_none() && argv.is(i, b"rev") {
                reversed = Some(true);
            } else if kind.is_none() && argv.is(i, b"bylex") {
                kind = Some(Kind::Lex);
            } else if kind.is_none() && argv.is(i, b"byscore") {
                kind = Some(Kind::Score);
            } else {
                return Err(CmdError::Syntax);
            }
            i += 1;
        }
        let (kind, reversed) = (kind.unwrap_or(Kind::Rank), reversed.unwrap_or(false));
        if limit != -1 && kind == Kind::Rank {
            return Err(CmdError::text(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
            ));
        }
        if with_scores && kind == Kind::Lex {
            return Err(CmdError::text(
                "ERR syntax error, WITHSCORES not supported in combination with BYLEX",
            ));
        }
        // Backwards, the greater bound is said first; but ranks count in the direction of the walk.
        let (mut min, mut max) = (form.key + 1, form.key + 2);
        if reversed && kind != Kind::Rank {
            (min, max) = (max, min);
        }
        let range = Range::parse(argv, kind, min, max)?;
        Ok(Query { range, reversed, with_scores, offset, limit })
    }

    /// The ranks that the query is of, after LIMIT, which ranges of ranks do not have.
    fn ranks(&self, set: &ZSet) -> ops::Range<usize> {
        let ops::Range { start, end } = self.range.ranks(set, self.reversed);
        if let Range::Ranks(..) = self.range {
            return start..end;
        }
        let rest = match usize::try_from(self.offset) {
            Ok(offset) => (end - start).saturating_sub(offset),
            // Upstream's skip list, and only that, counts a negative offset from the other end.
            Err(_) => match (set, usize::try_from(self.offset.unsigned_abs())) {
                (ZSet::Skiplist(_), Ok(last)) if last <= end - start => last,
                _ => 0,
            },
        };
        let taken = usize::try_from(self.limit).map_or(rest, |limit| limit.min(rest));
        match self.reversed {
            false => end - rest..end - rest + taken,
            true => start + rest - taken..start + rest,
        }
    }
}

fn show(srv: &mut Server, c: &mut Client, form: Form) -> CmdResult {
    let query = Query::parse(&c.argv, form)?;
    let Some(set) = srv.lookup_read::<ZSet>(c.db, c.argv.key(form.key))? else {
        c.out.array(0);
        return Ok(());
    };
    let elements = set.range(query.ranks(&set));
    match query.reversed {
        false => reply_elements(&mut c.out, elements, query.with_scores),
        true => reply_elements(&mut c.out, elements.rev(), query.with_scores),
    }
    Ok(())
}

/// `ZRANGE key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]`
pub fn zrange(srv: &mut Server, c: &mut Client) -> CmdResult {
    show(srv, c, SHOW)
}

/// `ZREVRANGE key start stop [WITHSCORES]`
pub fn zrevrange(srv: &mut Server, c: &mut Client) -> CmdResult {
    show(srv, c, Form { kind: Some(Kind::Rank), reversed: Some(true), ..SHOW })
}

/// `ZRANGEBYSCORE key min max [WITHSCORES] [LIMIT offset count]`
pub fn zrangebyscore(srv: &mut Server, c: &mut Client) -> CmdResult {
    show(srv, c, Form { kind: Some(Kind::Score), reversed: Some(false), ..SHOW })
}

/// `ZREVRANGEBYSCORE key max min [WITHSCORES] [LIMIT offset count]`
pub fn zrevrangebyscore(srv: &mut Server, c: &mut Client) -> CmdResult {
    show(srv, c, Form { kind: Some(Kind::Score), reversed: Some(true), ..SHOW })
}

/// `ZRANGEBYLEX key min max [LIMIT offset count]`
pub fn zrangebylex(srv: &mut Server, c: &mut Client) -> CmdResult {
    show(srv, c, Form { kind: Some(Kind::Lex), reversed: Some(false), ..SHOW })
}

/// `ZREVRANGEBYLEX key max min [LIMIT offset count]`
pub fn zrevrangebylex(srv: &mut Server, c: &mut Client) -> CmdResult {
    show(srv, c, Form { kind: Some(Kind::Lex), reversed: Some(true), ..SHOW })
}

/// `ZRANGESTORE destination source start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count]`
pub fn zrangestore(srv: &mut Server, c: &mut Client) -> CmdResult {
    let form = Form { key: 2, store: true, ..SHOW };
    let limits = limits(srv);
    let query = Query::parse(&c.argv, form)?;
    let mut result = ZSet::new(0, 0, limits);
    if let Some(set) = srv.lookup_read::<ZSet>(c.db, c.argv.key(form.key))? {
        let ranks = query.ranks(&set);
        if let Range::Ranks(..) = query.range {
            result = ZSet::new(ranks.len(), 0, limits);
        }
        let add = |(member, score)| {
            result.add(text(member, &mut itoa::Buffer::new()), score, AddFlags::default(), limits);
        };
        // In upstream's order, because a listpack does not keep the sign of a zero that it meets on the way.
        let elements = set.range(ranks);
        if query.reversed { elements.rev().for_each(add) } else { elements.for_each(add) }
    }
    store_result(srv, c, 1, result, "zrangestore", 1);
    Ok(())
}

fn count(srv: &mut Server, c: &mut Client, kind: Kind) -> CmdResult {
    let range = Range::parse(&c.argv, kind, 2, 3)?;
    let set = srv.lookup_read::<ZSet>(c.db, c.argv.key(1))?;
    c.out.count(set.map_or(0, |set| range.ranks(&set, false).len()));
    Ok(())
}

/// `ZCOUNT key min max`
pub fn zcount(srv: &mut Server, c: &mut Client) -> CmdResult {
    count(srv, c, Kind::Score)
}

/// `ZLEXCOUNT key min max`
pub fn zlexcount(srv: &mut Server, c: &mut Client) -> CmdResult {
    count(srv, c, Kind::Lex)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::object::zset::Limits;

    fn letters() -> ZSet {
        let limits = Limits { entries: 128, value: 64 };
        let mut set = ZSet::new(0, 0, limits);
        for (number, member) in [b"a", b"b", b"c", b"d", b"e"].into_iter().enumerate() {
            set.add(member, number as f64, AddFlags::default(), limits);
        }
        set
    }

    #[test]
    fn bounds_are_cuts() {
        assert_eq!(score_cuts(b"1", b"(2"), Some(Range::Cuts(Cut::BelowScore(1.0), Cut::BelowScore(2.0))));
        assert_eq!(score_cuts(b"(-inf", b"+inf"), Some(Range::Cuts(Cut::AboveScore(f64::NEG_INFINITY), END)));
        for bound in [&b"one"[..], b"nan", b"((1", b"[1", b"1 "] {
            assert_eq!(score_cuts(bound, b"1"), None);
            assert_eq!(score_cuts(b"1", bound), None);
        }
        assert_eq!(lex_cut(b"[a", false), Some(Cut::BelowMember(b"a")));
        assert_eq!(lex_cut(b"[a", true), Some(Cut::AboveMember(b"a")));
        assert_eq!(lex_cut(b"(", false), Some(Cut::AboveMember(b"")));
        assert_eq!((lex_cut(b"-", true), lex_cut(b"+", false)), (Some(BEGIN), Some(END)));
        for bound in [&b""[..], b"a", b"-a", b"++", b"]"] {
            assert_eq!(lex_cut(bound, false), None);
        }
    }

    #[test]
    fn ranks_count_from_either_end() {
        let set = letters();
        for (start, stop, ranks) in [
            (0, -1, 0..5),
            (1, 2, 1..3),
            (-2, 100, 3..5),
            (-100, 0, 0..1),
            (3, 2, 0..0),
            (5, 9, 0..0),
            (0, -6, 0..0),
            (i64::MIN, i64::MAX, 0..5),
        ] {
            assert_eq!(Range::Ranks(start, stop).ranks(&set, false), ranks, "{start} {stop}");
            let mirrored = if ranks.is_empty() { 0..0 } else { 5 - ranks.end..5 - ranks.start };
            assert_eq!(Range::Ranks(start, stop).ranks(&set, true), mirrored, "{start} {stop}");
        }
        let everything = Range::Cuts(BEGIN, END);
        assert_eq!(everything.ranks(&set, true), 0..5);
        assert!(Range::Cuts(END, BEGIN).ranks(&set, false).is_empty());
    }

    #[test]
    fn limits_are_taken_in_the_direction_of_the_walk() {
        let set = letters();
        let ranks = |reversed, offset, limit| {
            Query { range: Range::Cuts(BEGIN, END), reversed, with_scores: false, offset, limit }.ranks(&set)
        };
        assert_eq!((ranks(false, 1, 2), ranks(true, 1, 2)), (1..3, 2..4));
        assert_eq!((ranks(false, 1, -1), ranks(true, 1, -5)), (1..5, 0..4));
        assert!(
            ranks(false, 5, 1).is_empty() && ranks(true, 9, -1).is_empty() && ranks(false, 0, 0).is_empty()
        );
        assert!(ranks(true, -1, 1).is_empty());
        let set = {
            let mut set = letters();
            set.make_way(1, Limits { entries: 0, value: 0 });
            set
        };
        let ranks = |reversed, offset| {
            Query { range: Range::Cuts(BEGIN, END), reversed, with_scores: false, offset, limit: -1 }
                .ranks(&set)
        };
        assert_eq!((ranks(false, -2), ranks(true, -2)), (3..5, 0..2));
        assert!(ranks(false, -6).is_empty() && ranks(true, i64::MIN).is_empty());
    }
}
