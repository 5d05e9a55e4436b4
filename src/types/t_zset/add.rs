//! Adding members and changing scores: ZADD, ZINCRBY, and what GEOADD makes of places.

use super::{limits, publish};
use crate::db::object::Entry;
use crate::db::object::zset::{AddFlags, Added, Limits, ZSet};
use crate::server::{Argv, Client, CmdError, CmdResult, Server};

/// Scores that are kept on the stack.
const FEW: usize = 8;

/// What to add.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::types) struct Request {
    /// Conditions.
    pub flags: AddFlags,
    /// Whether changed members are counted in the reply, too: CH.
    pub count_changed: bool,
    /// The argument that is the first member.
    pub first_member: usize,
    /// Arguments from one member to the next.
    pub stride: usize,
}

/// What adding did.
#[derive(Default)]
struct Tally {
    added: usize,
    changed: usize,
    /// The score that the last member has, if no condition stood in its way.
    score: Option<f64>,
}

/// Reads the options in front of the scores, and says where they end.
fn parse_options(argv: &Argv, flags: AddFlags) -> Result<(Request, usize), CmdError> {
    let mut request = Request { flags, count_changed: false, first_member: 0, stride: 2 };
    let mut at = 2;
    while at < argv.len() {
        let flags = &mut request.flags;
        match argv.get(at) {
            word if word.eq_ignore_ascii_case(b"nx") => flags.if_missing = true,
            word if word.eq_ignore_ascii_case(b"xx") => flags.if_present = true,
            word if word.eq_ignore_ascii_case(b"gt") => flags.if_greater = true,
            word if word.eq_ignore_ascii_case(b"lt") => flags.if_less = true,
            word if word.eq_ignore_ascii_case(b"incr") => flags.increment = true,
            word if word.eq_ignore_ascii_case(b"ch") => request.count_changed = true,
            _ => break,
        }
        at += 1;
    }
    request.first_member = at + 1;
    Ok((request, at))
}

/// The errors of options that do not go together, for so many arguments behind them.
fn check_options(flags: AddFlags, arguments: usize) -> CmdResult {
    let AddFlags { if_missing, if_present, if_greater, if_less, increment } = flags;
    if arguments == 0 || !arguments.is_multiple_of(2) {
        Err(CmdError::Syntax)
    } else if if_missing && if_present {
        Err(CmdError::text("ERR XX and NX options at the same time are not compatible"))
    } else if if_missing && (if_greater || if_less) || if_greater && if_less {
        Err(CmdError::text("ERR GT, LT, and/or NX options at the same time are not compatible"))
    } else if increment && arguments > 2 {
        Err(CmdError::text("ERR INCR option supports a single increment-element pair"))
    } else {
        Ok(())
    }
}

/// `ZADD key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...]`
pub fn zadd(srv: &mut Server, c: &mut Client) -> CmdResult {
    add(srv, c, AddFlags::default())
}

/// `ZINCRBY key increment member`
pub fn zincrby(srv: &mut Server, c: &mut Client) -> CmdResult {
    add(srv, c, AddFlags { increment: true, ..AddFlags::default() })
}

fn add(srv: &mut Server, c: &mut Client, flags: AddFlags) -> CmdResult {
    let (request, first_score) = parse_options(&c.argv, flags)?;
    let arguments = c.argv.len() - first_score;
    check_options(request.flags, arguments)?;
    let count = arguments / 2;
    let (mut few, mut many) = ([0.0; FEW], Vec::new());
    let scores = match few.get_mut(..count) {
        Some(few) => few,
        None => {
            many.resize(count, 0.0);
            &mut many[..]
        }
    };
    for (number, score) in scores.iter_mut().enumerate() {
        *score = c.argv.float(first_score + 2 * number)?;
    }
    add_elements(srv, c, request, scores)
}

/// Adds members with these scores, publishes that, and replies.
pub(in crate::types) fn add_elements(
    srv: &mut Server,
    c: &mut Client,
    request: Request,
    scores: &[f64],
) -> CmdResult {
    let limits = limits(srv);
    let key = c.argv.key(1);
    let member = |number: usize| c.argv.get(request.first_member + number * request.stride);
    let tally = match srv.lookup_write::<ZSet>(c.db, key)? {
        Some(mut entry) => {
            let mut set = entry.object_mut::<ZSet>();
            set.make_way(scores.len(), limits);
            Some(add_all(&mut set, scores, member, request.flags, limits)?)
        }
        None => None,
    };
    let tally = match tally {
        Some(tally) => tally,
        None if request.flags.if_present => Tally::default(),
        None => {
            // Upstream looks at the first member alone here; a longer one changes the encoding when it comes.
            let mut set = ZSet::new(scores.len(), member(0).len(), limits);
            let tally = add_all(&mut set, scores, member, request.flags, limits)?;
            let entry = Entry::with_object(key.bytes, set, None, srv.initial_clock());
            srv.add_entry(c.db, key, entry);
            tally
        }
    };
    let changes = tally.added + tally.changed;
    if changes > 0 {
        srv.signal_modified(c.db, key.bytes, changes);
        publish(srv, c.db, if request.flags.increment { "zincr" } else { "zadd" }, key);
    }
    match tally.score {
        _ if !request.flags.increment => {
            c.out.count(if request.count_changed { changes } else { tally.added });
        }
        Some(score) => c.out.double(score),
        None => c.out.null(),
    }
    Ok(())
}

/// Adds members to a set. Only an increment can fail, of which there is one at most, so that a failure has changed nothing.
fn add_all<'a>(
    set: &mut ZSet,
    scores: &[f64],
    member: impl Fn(usize) -> &'a [u8],
    flags: AddFlags,
    limits: Limits,
) -> Result<Tally, CmdError> {
    let mut tally = Tally::default();
    for (number, &score) in scores.iter().enumerate() {
        tally.score = match set.add(member(number), score, flags, limits) {
            Added::Nan => return Err(CmdError::text("ERR resulting score is not a number (NaN)")),
            Added::Refused => None,
            Added::Same(score) => Some(score),
            Added::New(score) => {
                tally.added += 1;
                Some(score)
            }
            Added::Changed(score) => {
                tally.changed += 1;
                Some(score)
            }
        };
    }
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: &str) -> Result<Request, CmdError> {
        let words: Vec<&str> = words.split_whitespace().collect();
        let argv = Argv::from_args(&words);
        let (request, first_score) = parse_options(&argv, AddFlags::default())?;
        check_options(request.flags, argv.len() - first_score)?;
        Ok(request)
    }

    #[test]
    fn options_end_at_the_first_score() {
        let request = check("zadd k nx CH 1 xx 2 gt").unwrap();
        assert!(request.flags.if_missing && request.count_changed && !request.flags.if_present);
        assert_eq!(request.first_member, 5);
        assert_eq!(check("zadd k 1 m").unwrap().flags, AddFlags::default());
    }

    #[test]
    fn options_that_contradict_are_refused() {
        assert_eq!(check("zadd k nx xx"), Err(CmdError::Syntax));
        assert_eq!(check("zadd k 1 m 2"), Err(CmdError::Syntax));
        let text = |words| String::from_utf8(check(words).unwrap_err().to_bytes()).unwrap();
        assert!(text("zadd k nx xx 1 m").contains("XX and NX"));
        for words in ["zadd k nx gt 1 m", "zadd k lt nx 1 m", "zadd k gt lt 1 m"] {
            assert!(text(words).contains("GT, LT"), "{words}");
        }
        assert!(text("zadd k incr 1 m 2 n").contains("INCR option"));
        assert!(check("zadd k xx gt 1 m").is_ok());
    }
}
