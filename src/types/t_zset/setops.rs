//! Unions, intersections and differences, of sorted sets and of sets, whose members count as having score 1.
//!
//! Inputs are looked up twice: once each for what belongs to a lookup, and then all at once to be read side by side. The result
//! is a table of elements first; what is shown or stored is ordered when all scores are known.

use super::{limits, reply_elements, store_result};
use crate::cmd_err;
use crate::db::object::set::Item;
use crate::db::object::zset::{ZSet, text};
use crate::db::object::{Collection, EntryRef, ObjectRef, Set, Type};
use crate::db::{Db, LookupFlags};
use crate::ds::hashtable::{Element, Entry, HashTable};
use crate::ds::listpack::Value;
use crate::ds::sorted_index::{SortedIndex, ZElement};
use crate::server::{Argv, Client, CmdError, CmdResult, Server};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Union,
    Inter,
    Diff,
}

/// What becomes of two scores of one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn apply(self, score: f64, other: f64) -> f64 {
        match self {
            // Of both infinities.
            Aggregate::Sum => not_nan(score + other),
            // In this form a NaN on the right changes nothing.
            Aggregate::Min if other < score => other,
            Aggregate::Max if other > score => other,
            Aggregate::Min | Aggregate::Max => score,
        }
    }
}

fn not_nan(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

/// What a command asks for.
struct Request {
    operation: Operation,
    /// The arguments that are the keys.
    keys: std::ops::Range<usize>,
    /// A weight for each key.
    weights: Vec<f64>,
    aggregate: Aggregate,
    with_scores: bool,
    /// Where ZINTERCARD stops to count.
    limit: usize,
}

/// What becomes of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Show,
    Store,
    Count,
}

impl Request {
    /// The keys, which must be known to exist or not before anything else is looked at.
    fn parse_keys(argv: &Argv, at: usize, operation: Operation, name: &str) -> Result<Request, CmdError> {
        let count = argv.int(at)?;
        if count < 1 {
            return Err(cmd_err!("ERR at least 1 input key is needed for '{name}' command"));
        }
        let count = count as usize;
        if count > argv.len() - (at + 1) {
            return Err(CmdError::Syntax);
        }
        Ok(Request {
            operation,
            keys: at + 1..at + 1 + count,
            weights: vec![1.0; count],
            aggregate: Aggregate::Sum,
            with_scores: false,
            limit: usize::MAX,
        })
    }

    /// What follows the keys.
    fn parse_options(&mut self, argv: &Argv, outcome: Outcome) -> CmdResult {
        let aggregates = self.operation != Operation::Diff && outcome != Outcome::Count;
        let mut i = self.keys.end;
        while i < argv.len() {
            let left = argv.len() - i;
            if aggregates && left > self.weights.len() && argv.is(i, b"weights") {
                for (number, weight) in self.weights.iter_mut().enumerate() {
                    *weight = argv
                        .float(i + 1 + number)
                        .map_err(|_| CmdError::text("ERR weight value is not a float"))?;
                }
                i += self.weights.len();
            } else if aggregates && left >= 2 && argv.is(i, b"aggregate") {
                self.aggregate = match argv.get(i + 1) {
                    word if word.eq_ignore_ascii_case(b"sum") => Aggregate::Sum,
                    word if word.eq_ignore_ascii_case(b"min") => Aggregate::Min,
                    word if word.eq_ignore_ascii_case(b"max") => Aggregate::Max,
                    _ => return Err(CmdError::Syntax),
                };
                i += 1;
            } else if outcome == Outcome::Show && argv.is(i, b"withscores") {
                self.with_scores = true;
            } else if outcome == Outcome::Count && left >= 2 && argv.is(i, b"limit") {
                let limit = argv.int(i + 1).ok().and_then(|limit| usize::try_from(limit).ok());
                self.limit = match limit.ok_or(CmdError::text("ERR LIMIT can't be negative"))? {
                    0 => usize::MAX,
                    limit => limit,
                };
                i += 1;
            } else {
                return Err(CmdError::Syntax);
            }
            i += 1;
        }
        Ok(())
    }
}

/// What is read.
enum Input<'a> {
    Nothing,
    ZSet(ObjectRef<'a, ZSet>),
    Set(ObjectRef<'a, Set>),
}

/// The score that members of a set without scores count as having.
const SET_SCORE: f64 = 1.0;

impl<'a> Input<'a> {
    fn new(entry: Option<EntryRef<'a>>) -> Input<'a> {
        match entry {
            Some(entry) if entry.value_type() == Type::ZSet => Input::ZSet(entry.object()),
            Some(entry) => Input::Set(entry.object()),
            None => Input::Nothing,
        }
    }

    fn len(&self) -> usize {
        match self {
            Input::Nothing => 0,
            Input::ZSet(set) => set.len(),
            Input::Set(set) => set.len(),
        }
    }

    fn score(&self, member: &[u8]) -> Option<f64> {
        match self {
            Input::Nothing => None,
            Input::ZSet(set) => set.score(member),
            Input::Set(set) => set.contains(Item::Bytes(member)).then_some(SET_SCORE),
        }
    }

    /// Shows all elements, until `show` says that it has enough.
    fn each(&self, mut show: impl FnMut(&[u8], f64) -> bool) {
        let mut digits = itoa::Buffer::new();
        match self {
            Input::Nothing => {}
            Input::ZSet(set) => {
                set.iter().all(|(member, score)| show(text(member, &mut digits), score));
            }
            Input::Set(set) => {
                set.iter().all(|member| show(member.text(&mut digits), SET_SCORE));
            }
        }
    }
}

/// An input with its weight.
struct Weighted<'a> {
    input: Input<'a>,
    weight: f64,
}

/// The inputs, in the order of the keys. Keys that are not `present` have expired, though they may still be there.
fn inputs<'a>(db: &'a Db, argv: &Argv, request: &Request, present: &[bool]) -> Vec<Weighted<'a>> {
    let inputs = request.keys.clone().zip(present).zip(&request.weights);
    inputs
        .map(|((key, &present), &weight)| {
            let entry = if present { db.keys.find(argv.key(key)) } else { None };
            Weighted { input: Input::new(entry), weight }
        })
        .collect()
}

type Elements = HashTable<ZElement>;

fn union(inputs: &[Weighted<'_>], aggregate: Aggregate) -> Elements {
    let mut result = Elements::new();
    // They are sorted, and the result is at least as large as the largest.
    result.reserve(inputs.last().map_or(0, |largest| largest.input.len()));
    for Weighted { input, weight } in inputs {
        input.each(|member, score| {
            let score = not_nan(weight * score);
            match result.entry(ZElement::hash(member), member) {
                Entry::Vacant(place) => drop(place.insert(ZElement::new(score, member))),
                Entry::Occupied(mut element) => {
                    let score = aggregate.apply(element.score(), score);
                    element.set_score(score);
                }
            }
            true
        });
    }
    result
}

/// Shows the members that all inputs have, with their scores, until `show` says that it has enough.
fn intersect(inputs: &[Weighted<'_>], aggregate: Aggregate, mut show: impl FnMut(&[u8], f64) -> bool) {
    let Some((smallest, others)) = inputs.split_first() else { return };
    smallest.input.each(|member, score| {
        let mut total = not_nan(smallest.weight * score);
        for other in others {
            match other.input.score(member) {
                Some(score) => total = aggregate.apply(total, score * other.weight),
                None => return true,
            }
        }
        show(member, total)
    });
}

fn difference(mut inputs: Vec<Weighted<'_>>) -> Elements {
    let mut result = Elements::new();
    let mut others = inputs.split_off(1);
    let first = &inputs[0].input;
    // Either all members of the first are looked up in the others, half of the time in vain, or those of the others in the result.
    let lookups = first.len() * (others.len() + 1) / 2;
    let removals = first.len() + others.iter().map(|other| other.input.len()).sum::<usize>();
    if lookups <= removals {
        others.sort_by_key(|other| std::cmp::Reverse(other.input.len()));
        first.each(|member, score| {
            if others.iter().all(|other| other.input.score(member).is_none()) {
                result.insert_unique(ZElement::hash(member), ZElement::new(score, member));
            }
            true
        });
        return result;
    }
    first.each(|member, score| {
        result.insert_unique(ZElement::hash(member), ZElement::new(score, member));
        true
    });
    for other in &others {
        other.input.each(|member, _| {
            result.remove(ZElement::hash(member), member);
            !result.is_empty()
        });
    }
    result
}

fn evaluate(mut inputs: Vec<Weighted<'_>>, request: &Request) -> Elements {
    if request.operation == Operation::Diff {
        return difference(inputs);
    }
    inputs.sort_by_key(|input| input.input.len());
    if request.operation == Operation::Union {
        return union(&inputs, request.aggregate);
    }
    let mut result = Elements::new();
    intersect(&inputs, request.aggregate, |member, score| {
        result.insert_unique(ZElement::hash(member), ZElement::new(score, member));
        true
    });
    result
}

/// The name of such a command, as errors and events have it.
fn name(operation: Operation, outcome: Outcome) -> &'static str {
    match (operation, outcome) {
        (Operation::Union, Outcome::Store) => "zunionstore",
        (Operation::Inter, Outcome::Store) => "zinterstore",
        (Operation::Diff, Outcome::Store) => "zdiffstore",
        (Operation::Union, _) => "zunion",
        (Operation::Inter, Outcome::Count) => "zintercard",
        (Operation::Inter, _) => "zinter",
        (Operation::Diff, _) => "zdiff",
    }
}

fn run(srv: &mut Server, c: &mut Client, operation: Operation, outcome: Outcome) -> CmdResult {
    let name = name(operation, outcome);
    let keys_at = if outcome == Outcome::Store { 2 } else { 1 };
    let mut request = Request::parse_keys(&c.argv, keys_at, operation, name)?;
    let mut present = Vec::with_capacity(request.keys.len());
    for key in request.keys.clone() {
        let entry = srv.lookup(c.db, c.argv.key(key), LookupFlags::NONE);
        if entry.is_some_and(|entry| !matches!(entry.value_type(), Type::ZSet | Type::Set)) {
            return Err(CmdError::WrongType);
        }
        present.push(entry.is_some());
    }
    request.parse_options(&c.argv, outcome)?;
    let mut inputs = inputs(&srv.dbs[c.db], &c.argv, &request, &present);
    match outcome {
        Outcome::Count => {
            inputs.sort_by_key(|input| input.input.len());
            let mut count = 0;
            intersect(&inputs, request.aggregate, |_, _| {
                count += 1;
                count < request.limit
            });
            c.out.count(count);
        }
        Outcome::Show => {
            let result = SortedIndex::from_members(evaluate(inputs, &request));
            let elements = result.iter().map(|(member, score)| (Value::String(member), score));
            reply_elements(&mut c.out, elements, request.with_scores);
        }
        Outcome::Store => {
            let elements = evaluate(inputs, &request);
            let result = ZSet::from_members(elements, limits(srv));
            store_result(srv, c, 1, result, name, 1);
        }
    }
    Ok(())
}

/// `ZUNION numkeys key [key ...] [WEIGHTS weight ...] [AGGREGATE SUM | MIN | MAX] [WITHSCORES]`
pub fn zunion(srv: &mut Server, c: &mut Client) -> CmdResult {
    run(srv, c, Operation::Union, Outcome::Show)
}

/// `ZINTER numkeys key [key ...] [WEIGHTS weight ...] [AGGREGATE SUM | MIN | MAX] [WITHSCORES]`
pub fn zinter(srv: &mut Server, c: &mut Client) -> CmdResult {
    run(srv, c, Operation::Inter, Outcome::Show)
}

/// `ZDIFF numkeys key [key ...] [WITHSCORES]`
pub fn zdiff(srv: &mut Server, c: &mut Client) -> CmdResult {
    run(srv, c, Operation::Diff, Outcome::Show)
}

/// `ZUNIONSTORE destination numkeys key [key ...] [WEIGHTS weight ...] [AGGREGATE SUM | MIN | MAX]`
pub fn zunionstore(srv: &mut Server, c: &mut Client) -> CmdResult {
    run(srv, c, Operation::Union, Outcome::Store)
}

/// `ZINTERSTORE destination numkeys key [key ...] [WEIGHTS weight ...] [AGGREGATE SUM | MIN | MAX]`
pub fn zinterstore(srv: &mut Server, c: &mut Client) -> CmdResult {
    run(srv, c, Operation::Inter, Outcome::Store)
}

/// `ZDIFFSTORE destination numkeys key [key ...]`
pub fn zdiffstore(srv: &mut Server, c: &mut Client) -> CmdResult {
    run(srv, c, Operation::Diff, Outcome::Store)
}

/// `ZINTERCARD numkeys key [key ...] [LIMIT limit]`
pub fn zintercard(srv: &mut Server, c: &mut Client) -> CmdResult {
    run(srv, c, Operation::Inter, Outcome::Count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn infinities_and_nan_never_leave_nan() {
        let inf = f64::INFINITY;
        assert_eq!(Aggregate::Sum.apply(inf, -inf), 0.0);
        assert_eq!((Aggregate::Min.apply(1.0, f64::NAN), Aggregate::Max.apply(1.0, f64::NAN)), (1.0, 1.0));
        assert_eq!((Aggregate::Min.apply(1.0, -inf), Aggregate::Max.apply(1.0, inf)), (-inf, inf));
        assert_eq!(not_nan(inf * 0.0), 0.0);
    }

    fn options(operation: Operation, outcome: Outcome, words: &str) -> Result<Request, CmdError> {
        let words: Vec<&str> = words.split_whitespace().collect();
        let argv = Argv::from_args(&words);
        let mut request = Request::parse_keys(&argv, 1, operation, "zunion")?;
        request.parse_options(&argv, outcome)?;
        Ok(request)
    }

    #[test]
    fn options_belong_to_commands() {
        let ok = |operation, outcome, words| options(operation, outcome, words).unwrap();
        let union =
            ok(Operation::Union, Outcome::Show, "zunion 2 a b weights 2 -1.5 aggregate max withscores");
        assert_eq!((union.keys, union.weights), (2..4, vec![2.0, -1.5]));
        assert!(union.aggregate == Aggregate::Max && union.with_scores);
        assert_eq!(ok(Operation::Inter, Outcome::Count, "zintercard 1 a limit 0").limit, usize::MAX);
        for (operation, outcome, words) in [
            (Operation::Diff, Outcome::Show, "zdiff 1 a weights 1"),
            (Operation::Union, Outcome::Store, "zunionstore 1 a withscores"),
            (Operation::Inter, Outcome::Show, "zinter 1 a limit 1"),
            (Operation::Inter, Outcome::Count, "zintercard 1 a weights 1"),
            (Operation::Union, Outcome::Show, "zunion 2 a b weights 1"),
            (Operation::Union, Outcome::Show, "zunion 1 a aggregate avg"),
            (Operation::Union, Outcome::Show, "zunion 3 a b"),
        ] {
            assert_eq!(options(operation, outcome, words).err(), Some(CmdError::Syntax), "{words}");
        }
    }
}
