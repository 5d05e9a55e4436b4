//! Which words of a command line are keys.
//!
//! ACLs, the cluster, client-side caching and COMMAND GETKEYS ask this about command lines before anything has
//! looked at their arguments, so the words are hostile: a number of keys may be negative, huge or no number. All
//! positions are computed in 64 bits from numbers that were checked against the number of words first.
//!
//! The answer comes from the key specs where these suffice. Some commands have a function besides: because a spec
//! says `unknown` or may miss keys, because the flags depend on the arguments, or because a keyword may be the last
//! word. Such a function is asked when the specs fail, or at once if the flags vary.

use super::{BeginSearch, CommandSpec, FindKeys, KeyFlags, KeySpec};
use crate::ds::numbers;
use crate::server::Argv;

/// The words of a command line, the name of the command first.
#[allow(clippy::len_without_is_empty)] // a command line always has the command's name
pub trait Args {
    /// The number of words.
    fn len(&self) -> usize;

    /// The word at a position.
    ///
    /// # Panics
    /// May panic if there is no such word.
    fn word(&self, pos: usize) -> &[u8];
}

impl Args for Argv {
    fn len(&self) -> usize {
        Argv::len(self)
    }

    fn word(&self, pos: usize) -> &[u8] {
        self.get(pos)
    }
}

impl<W: AsRef<[u8]>> Args for &[W] {
    fn len(&self) -> usize {
        <[W]>::len(self)
    }

    fn word(&self, pos: usize) -> &[u8] {
        self[pos].as_ref()
    }
}

/// A key in a command line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyRef {
    /// The position of the word; the name of the command is at 0.
    pub pos: usize,
    /// What the command does to the key.
    pub flags: KeyFlags,
}

/// The keys cannot be told, because the arguments do not have the form that the command wants. The command itself
/// will say what is wrong with them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InvalidKeys;

/// Replaces the contents of `keys` by the keys of a command line, in the order of the key specs.
///
/// A command without keys, or one that got none, has an empty list. What is a key only as far as cluster slots are
/// concerned (a shard channel) is in the list if `routed` is true. The number of words must be one that the command
/// accepts.
///
/// # Errors
/// [`InvalidKeys`] with an empty list if the arguments make no sense.
pub fn get_keys(
    spec: &CommandSpec,
    args: &dyn Args,
    routed: bool,
    keys: &mut Vec<KeyRef>,
) -> Result<(), InvalidKeys> {
    keys.clear();
    let wanted = |key_spec: &&KeySpec| routed || !key_spec.flags.contains(KeyFlags::NOT_KEY);
    let variable = spec.key_specs.iter().any(|key_spec| key_spec.flags.contains(KeyFlags::VARIABLE_FLAGS));
    let mut result = Err(InvalidKeys);
    if !(variable && spec.get_keys.is_some()) {
        result = spec.key_specs.iter().filter(wanted).try_for_each(|key_spec| apply(key_spec, args, keys));
    }
    if let (Err(InvalidKeys), Some(function)) = (result, spec.get_keys) {
        keys.clear();
        result = function(args, keys);
    }
    if result.is_err() {
        keys.clear();
    }
    result
}

/// Appends the keys that one spec finds.
fn apply(spec: &KeySpec, args: &dyn Args, keys: &mut Vec<KeyRef>) -> Result<(), InvalidKeys> {
    let begin = match spec.begin_search {
        BeginSearch::Index { pos } => usize::from(pos),
        BeginSearch::Keyword { keyword, start_from } => match find_keyword(args, keyword, start_from) {
            Some(pos) => pos + 1,
            None => return Ok(()),
        },
        BeginSearch::Unknown => return Err(InvalidKeys),
    };
    let (first, last, step) = match spec.find_keys {
        FindKeys::Range { last_key, step, limit } => {
            let words_left = args.len().checked_sub(begin).ok_or(InvalidKeys)?;
            (begin, range_end(begin, words_left, last_key, limit).ok_or(InvalidKeys)?, usize::from(step))
        }
        FindKeys::KeyNum { num_index, first_key, step } => {
            let num_pos = begin + usize::from(num_index);
            let num = (num_pos < args.len()).then(|| numbers::parse_i64(args.word(num_pos))).flatten();
            let num =
                num.and_then(|num| usize::try_from(num).ok()).filter(|&num| num > 0).ok_or(InvalidKeys)?;
            let (first, step) = (begin + usize::from(first_key), usize::from(step));
            let span = (num - 1).checked_mul(step).ok_or(InvalidKeys)?;
            (first, first.checked_add(span).ok_or(InvalidKeys)?, step)
        }
        FindKeys::Unknown => return Err(InvalidKeys),
    };
    if last < first || last >= args.len() {
        return Err(InvalidKeys);
    }
    keys.extend((first..=last).step_by(step).map(|pos| KeyRef { pos, flags: spec.flags }));
    // A spec that may miss keys has told what it knows; only the command's function can complete it.
    if spec.flags.contains(KeyFlags::INCOMPLETE) { Err(InvalidKeys) } else { Ok(()) }
}

/// The position of the last key of a range that begins at `begin`, where `words_left` words begin.
fn range_end(begin: usize, words_left: usize, last_key: i16, limit: u16) -> Option<usize> {
    let distance = usize::from(last_key.unsigned_abs());
    if last_key >= 0 {
        Some(begin + distance)
    } else if limit <= 1 {
        (begin + words_left).checked_sub(distance)
    } else {
        (begin + words_left / usize::from(limit)).checked_sub(distance)
    }
}

/// The position of a keyword, searched for as [`BeginSearch::Keyword`] says. The name of the command is no keyword.
fn find_keyword(args: &dyn Args, keyword: &str, start_from: i16) -> Option<usize> {
    let distance = usize::from(start_from.unsigned_abs());
    let is_keyword = |pos: &usize| is_word(args, *pos, keyword);
    if start_from > 0 {
        (distance..args.len()).find(is_keyword)
    } else {
        let start = args.len().checked_sub(distance)?;
        (1..=start).rev().find(is_keyword)
    }
}

/// True if the word at a position is this token, whatever its case.
fn is_word(args: &dyn Args, pos: usize, token: &str) -> bool {
    args.word(pos).eq_ignore_ascii_case(token.as_bytes())
}

const READ: KeyFlags = KeyFlags::RO.union(KeyFlags::ACCESS);
const OVERWRITE: KeyFlags = KeyFlags::OW.union(KeyFlags::UPDATE);
const READ_AND_UPDATE: KeyFlags = KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::UPDATE);
const READ_AND_DELETE: KeyFlags = KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::DELETE);

/// The key of SET, which is read only if GET is among the options.
///
/// Any later word that says so counts as the option, even where it is the argument of another: that line is an
/// error anyway.
pub fn set_keys(args: &dyn Args, keys: &mut Vec<KeyRef>) -> Result<(), InvalidKeys> {
    let reads = (3..args.len()).any(|pos| is_word(args, pos, "get"));
    keys.push(KeyRef { pos: 1, flags: if reads { READ_AND_UPDATE } else { OVERWRITE } });
    Ok(())
}

/// The key of BITFIELD, which is only read if every operation is a complete GET (OVERFLOW is none).
pub fn bitfield_keys(args: &dyn Args, keys: &mut Vec<KeyRef>) -> Result<(), InvalidKeys> {
    let mut pos = 2;
    let mut flags = READ;
    while pos < args.len() {
        let words_behind = args.len() - pos - 1;
        if is_word(args, pos, "get") && words_behind >= 2 {
            pos += 3;
        } else if is_word(args, pos, "overflow") && words_behind >= 1 {
            pos += 2;
        } else {
            flags = READ_AND_UPDATE;
            break;
        }
    }
    keys.push(KeyRef { pos: 1, flags });
    Ok(())
}

/// The keys of SORT: the one that is sorted and the one of the last STORE. What BY and GET lead to depends on data.
pub fn sort_keys(args: &dyn Args, keys: &mut Vec<KeyRef>) -> Result<(), InvalidKeys> {
    sort_ro_keys(args, keys)?;
    let mut store = None;
    let mut pos = 2;
    while pos < args.len() {
        if is_word(args, pos, "limit") {
            pos += 2;
        } else if is_word(args, pos, "get") || is_word(args, pos, "by") {
            pos += 1;
        } else if is_word(args, pos, "store") && pos + 1 < args.len() {
            pos += 1;
            store = Some(pos);
        }
        pos += 1;
    }
    keys.extend(store.map(|pos| KeyRef { pos, flags: OVERWRITE }));
    Ok(())
}

/// The key of SORT_RO: the one that is sorted. What BY and GET lead to depends on data.
pub fn sort_ro_keys(_args: &dyn Args, keys: &mut Vec<KeyRef>) -> Result<(), InvalidKeys> {
    keys.push(KeyRef { pos: 1, flags: READ });
    Ok(())
}

/// The keys of MIGRATE: the third argument or, if that is empty, all the words behind the option KEYS.
pub fn migrate_keys(args: &dyn Args, keys: &mut Vec<KeyRef>) -> Result<(), InvalidKeys> {
    const FIRST_OPTION: usize = 6;
    let mut positions = 3..4;
    let mut pos = FIRST_OPTION;
    while pos < args.len() {
        if is_word(args, pos, "keys") {
            if !args.word(3).is_empty() {
                return Err(InvalidKeys);
            }
            if pos + 1 < args.len() {
                positions = pos + 1..args.len();
            }
            break;
        }
        pos += match args.word(pos) {
            word if word.eq_ignore_ascii_case(b"auth") => 2,
            word if word.eq_ignore_ascii_case(b"auth2") => 3,
            _ => 1,
        };
    }
    keys.extend(positions.map(|pos| KeyRef { pos, flags: READ_AND_DELETE }));
    Ok(())
}

/// The keys of GEORADIUS and GEORADIUSBYMEMBER: the index and the one of the last STORE or STOREDIST.
pub fn georadius_keys(args: &dyn Args, keys: &mut Vec<KeyRef>) -> Result<(), InvalidKeys> {
    const FIRST_OPTION: usize = 5;
    let mut store = None;
    let mut pos = FIRST_OPTION;
    while pos + 1 < args.len() {
        if is_word(args, pos, "store") || is_word(args, pos, "storedist") {
            pos += 1;
            store = Some(pos);
        }
        pos += 1;
    }
    keys.push(KeyRef { pos: 1, flags: READ });
    keys.extend(store.map(|pos| KeyRef { pos, flags: OVERWRITE }));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::commands::{
        AclCategories, CommandDocs, CommandFlags, CommandId, DocFlags, GetKeysProc,
    };
    use proptest::prelude::*;

    static DOCS: CommandDocs = CommandDocs {
        summary: "",
        complexity: None,
        group: "",
        since: "",
        flags: DocFlags::from_bits(0),
        deprecated_since: None,
        replaced_by: None,
        history: &[],
        tips: &[],
        args: &[],
    };

    const fn spec(key_specs: &'static [KeySpec], get_keys: Option<GetKeysProc>) -> CommandSpec {
        CommandSpec {
            id: CommandId(0),
            arity: -1,
            first_key: 0,
            last_key: 0,
            key_step: 0,
            container: None,
            flags: CommandFlags::from_bits(0),
            acl_categories: AclCategories::from_bits(0),
            proc: None,
            get_keys,
            subcommands: &[],
            name: "",
            fullname: "",
            key_specs,
            docs: &DOCS,
        }
    }

    const fn key_spec(flags: KeyFlags, begin_search: BeginSearch, find_keys: FindKeys) -> KeySpec {
        KeySpec { notes: None, flags, begin_search, find_keys }
    }

    const fn index(pos: u16) -> BeginSearch {
        BeginSearch::Index { pos }
    }

    const fn keyword(keyword: &'static str, start_from: i16) -> BeginSearch {
        BeginSearch::Keyword { keyword, start_from }
    }

    const fn range(last_key: i16, step: u16, limit: u16) -> FindKeys {
        FindKeys::Range { last_key, step, limit }
    }

    const fn key_num(num_index: u16, first_key: u16, step: u16) -> FindKeys {
        FindKeys::KeyNum { num_index, first_key, step }
    }

    const VARIABLE: KeyFlags = READ_AND_UPDATE.union(KeyFlags::VARIABLE_FLAGS);
    const INCOMPLETE: KeyFlags = READ_AND_DELETE.union(KeyFlags::INCOMPLETE);
    const ROUTED: KeyFlags = KeyFlags::NOT_KEY;

    static MGET: CommandSpec = spec(&[key_spec(READ, index(1), range(-1, 1, 0))], None);
    static MSET: CommandSpec = spec(&[key_spec(OVERWRITE, index(1), range(-1, 2, 0))], None);
    static BLPOP: CommandSpec = spec(&[key_spec(READ_AND_DELETE, index(1), range(-2, 1, 0))], None);
    static COPY: CommandSpec = spec(
        &[key_spec(READ, index(1), range(0, 1, 0)), key_spec(OVERWRITE, index(2), range(0, 1, 0))],
        None,
    );
    static ZUNIONSTORE: CommandSpec = spec(
        &[key_spec(OVERWRITE, index(1), range(0, 1, 0)), key_spec(READ, index(2), key_num(0, 1, 1))],
        None,
    );
    static EVERY_OTHER: CommandSpec = spec(&[key_spec(READ, index(1), key_num(1, 2, 2))], None);
    static XREAD: CommandSpec = spec(&[key_spec(READ, keyword("STREAMS", 1), range(-1, 1, 2))], None);
    static FROM_END: CommandSpec = spec(&[key_spec(READ, keyword("KEYS", -2), range(-1, 1, 0))], None);
    static SPUBLISH: CommandSpec = spec(&[key_spec(ROUTED, index(1), range(0, 1, 0))], None);
    static NO_KEYS: CommandSpec = spec(&[], None);
    static SET: CommandSpec = spec(&[key_spec(VARIABLE, index(1), range(0, 1, 0))], Some(set_keys));
    static BITFIELD: CommandSpec = spec(&[key_spec(VARIABLE, index(1), range(0, 1, 0))], Some(bitfield_keys));
    static SORT: CommandSpec = spec(
        &[
            key_spec(READ, index(1), range(0, 1, 0)),
            key_spec(READ, BeginSearch::Unknown, FindKeys::Unknown),
            key_spec(OVERWRITE, BeginSearch::Unknown, FindKeys::Unknown),
        ],
        Some(sort_keys),
    );
    static SORT_RO: CommandSpec = spec(
        &[key_spec(READ, index(1), range(0, 1, 0)), key_spec(READ, BeginSearch::Unknown, FindKeys::Unknown)],
        Some(sort_ro_keys),
    );
    static MIGRATE: CommandSpec = spec(
        &[
            key_spec(READ_AND_DELETE, index(3), range(0, 1, 0)),
            key_spec(INCOMPLETE, keyword("KEYS", -2), range(-1, 1, 0)),
        ],
        Some(migrate_keys),
    );
    static GEORADIUS: CommandSpec = spec(
        &[
            key_spec(READ, index(1), range(0, 1, 0)),
            key_spec(OVERWRITE, keyword("STORE", 6), range(0, 1, 0)),
            key_spec(OVERWRITE, keyword("STOREDIST", 6), range(0, 1, 0)),
        ],
        Some(georadius_keys),
    );

    static ALL: [&CommandSpec; 16] = [
        &MGET,
        &MSET,
        &BLPOP,
        &COPY,
        &ZUNIONSTORE,
        &EVERY_OTHER,
        &XREAD,
        &FROM_END,
        &SPUBLISH,
        &NO_KEYS,
        &SET,
        &BITFIELD,
        &SORT,
        &SORT_RO,
        &MIGRATE,
        &GEORADIUS,
    ];

    /// The words of a line; `""` is an empty one.
    fn words(line: &str) -> Vec<&str> {
        line.split(' ').map(|word| if word == "\"\"" { "" } else { word }).collect()
    }

    fn keys_of(spec: &CommandSpec, line: &str, routed: bool) -> Result<Vec<KeyRef>, InvalidKeys> {
        let mut keys = vec![KeyRef { pos: 99, flags: READ }];
        let result = get_keys(spec, &words(line).as_slice(), routed, &mut keys);
        assert!(result.is_ok() || keys.is_empty(), "an error leaves no keys");
        result.map(|()| keys)
    }

    /// The keys in a line, by their words.
    fn names<'a>(spec: &CommandSpec, line: &'a str) -> Result<Vec<&'a str>, InvalidKeys> {
        Ok(keys_of(spec, line, false)?.iter().map(|key| words(line)[key.pos]).collect())
    }

    /// The flags of the only key in a line, which is the first argument.
    fn flags(spec: &CommandSpec, line: &str) -> KeyFlags {
        match keys_of(spec, line, false).as_deref() {
            Ok([KeyRef { pos: 1, flags }]) => *flags,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn ranges_end_where_they_say() {
        assert_eq!(names(&MGET, "mget a b c"), Ok(vec!["a", "b", "c"]));
        assert_eq!(names(&MGET, "mget"), Err(InvalidKeys));
        assert_eq!(names(&MSET, "mset a 1 b 2"), Ok(vec!["a", "b"]));
        assert_eq!(names(&MSET, "mset a 1 b"), Ok(vec!["a", "b"]));
        assert_eq!(names(&BLPOP, "blpop a b 0"), Ok(vec!["a", "b"]));
        assert_eq!(names(&BLPOP, "blpop 0"), Err(InvalidKeys));
        assert_eq!(names(&COPY, "copy a b replace"), Ok(vec!["a", "b"]));
        assert_eq!(names(&COPY, "copy a"), Err(InvalidKeys));
        assert_eq!(names(&NO_KEYS, "ping a"), Ok(vec![]));
    }

    #[test]
    fn keys_carry_the_flags_of_their_spec() {
        let keys = keys_of(&ZUNIONSTORE, "zunionstore d 2 a b", false).unwrap();
        let expected = [(1, OVERWRITE), (3, READ), (4, READ)].map(|(pos, flags)| KeyRef { pos, flags });
        assert_eq!(keys, expected);
    }

    #[test]
    fn a_number_of_keys_is_not_believed() {
        assert_eq!(names(&ZUNIONSTORE, "zunionstore d 1 a weights 2"), Ok(vec!["d", "a"]));
        assert_eq!(names(&EVERY_OTHER, "x y 2 a _ b"), Ok(vec!["a", "b"]));
        let hostile = [
            "0",
            "-1",
            "3",
            "x",
            "\"\"",
            "+1",
            "01",
            "1.0",
            "2147483648",
            "9223372036854775807",
            "9223372036854775808",
            "-9223372036854775808",
            "18446744073709551617",
        ];
        for num in hostile {
            assert_eq!(names(&ZUNIONSTORE, &format!("zunionstore d {num} a b")), Err(InvalidKeys), "{num}");
            assert_eq!(names(&EVERY_OTHER, &format!("x y {num} a")), Err(InvalidKeys), "{num}");
        }
        assert_eq!(names(&ZUNIONSTORE, "zunionstore d"), Err(InvalidKeys));
    }

    #[test]
    fn keywords_are_searched_for_from_either_end() {
        assert_eq!(names(&XREAD, "xread streams a b 0 0"), Ok(vec!["a", "b"]));
        assert_eq!(names(&XREAD, "xread count 1 Streams a 0"), Ok(vec!["a"]));
        assert_eq!(names(&XREAD, "xread streams a b 0"), Ok(vec!["a"]));
        assert_eq!(names(&XREAD, "xread streams"), Err(InvalidKeys));
        assert_eq!(names(&XREAD, "streams count 1"), Ok(vec![]));
        assert_eq!(names(&FROM_END, "m keys a keys b c"), Ok(vec!["b", "c"]));
        assert_eq!(names(&FROM_END, "m a keys"), Ok(vec![]));
        assert_eq!(names(&FROM_END, "keys"), Ok(vec![]));
    }

    #[test]
    fn a_shard_channel_is_a_key_only_for_routing() {
        assert_eq!(keys_of(&SPUBLISH, "spublish c m", false), Ok(vec![]));
        assert_eq!(keys_of(&SPUBLISH, "spublish c m", true), Ok(vec![KeyRef { pos: 1, flags: ROUTED }]));
        assert!(!SPUBLISH.may_have_keys() && !NO_KEYS.may_have_keys() && SET.may_have_keys());
    }

    #[test]
    fn options_decide_what_set_and_bitfield_do() {
        assert_eq!(flags(&SET, "set k v"), OVERWRITE);
        assert_eq!(flags(&SET, "set k get"), OVERWRITE);
        assert_eq!(flags(&SET, "set k v nx Get"), READ_AND_UPDATE);
        for line in ["bitfield k", "bitfield k get u8 0 GET u8 8", "bitfield k overflow sat get u8 0"] {
            assert_eq!(flags(&BITFIELD, line), READ, "{line}");
        }
        for line in
            ["bitfield k get u8 0 set u8 0 1", "bitfield k get u8", "bitfield k overflow", "bitfield k x"]
        {
            assert_eq!(flags(&BITFIELD, line), READ_AND_UPDATE, "{line}");
        }
    }

    #[test]
    fn sort_stores_at_its_last_store() {
        assert_eq!(names(&SORT, "sort k"), Ok(vec!["k"]));
        assert_eq!(names(&SORT, "sort k store a limit store 1 get store store b"), Ok(vec!["k", "b"]));
        assert_eq!(names(&SORT, "sort k by store"), Ok(vec!["k"]));
        assert_eq!(names(&SORT, "sort k desc store"), Ok(vec!["k"]));
        assert_eq!(names(&SORT_RO, "sort_ro k store a"), Ok(vec!["k"]));
    }

    #[test]
    fn migrate_takes_many_keys_if_the_one_is_empty() {
        assert_eq!(names(&MIGRATE, "migrate h 1 k 0 10 copy"), Ok(vec!["k"]));
        assert_eq!(names(&MIGRATE, "migrate h 1 \"\" 0 10 auth keys keys a b"), Ok(vec!["a", "b"]));
        assert_eq!(names(&MIGRATE, "migrate h 1 \"\" 0 10 auth2 keys keys KEYS a"), Ok(vec!["a"]));
        assert_eq!(names(&MIGRATE, "migrate h 1 k 0 10 keys a b"), Err(InvalidKeys));
        assert_eq!(names(&MIGRATE, "migrate h 1 \"\" 0 10 keys"), Ok(vec![""]));
    }

    #[test]
    fn georadius_stores_where_it_says() {
        assert_eq!(names(&GEORADIUS, "georadius k 0 0 1 m"), Ok(vec!["k"]));
        assert_eq!(names(&GEORADIUS, "georadius k 0 0 1 m store a storedist b"), Ok(vec!["k", "a", "b"]));
        assert_eq!(names(&GEORADIUS, "georadius k 0 0 1 m storedist a store"), Ok(vec!["k", "a"]));
    }

    proptest! {
        #[test]
        fn keys_are_words_whatever_the_words(
            args in prop::collection::vec(
                prop::sample::select(vec![
                    "", "a", "0", "1", "2", "3", "-1", "9223372036854775807", "keys", "streams", "store", "storedist",
                    "get", "by", "limit", "overflow", "auth", "auth2",
                ]),
                1..12,
            ),
        ) {
            for spec in ALL {
                let mut keys = Vec::new();
                // Words to spare for the functions, which rely on the arity of their commands.
                let line = if spec.get_keys.is_some() { [&args[..], &["x"; 5]].concat() } else { args.clone() };
                let found = get_keys(spec, &line.as_slice(), true, &mut keys);
                prop_assert!(found.is_ok() || keys.is_empty());
                prop_assert!(keys.iter().all(|key| (1..line.len()).contains(&key.pos)));
                prop_assert!(keys.len() < line.len());
            }
        }
    }
}
