//! What Redis 8.0, and so Ochre, does differently from older versions: nothing of this is compared with those.

/// A version: major, minor.
pub type Version = [u32; 2];

/// The version whose behaviour Ochre has.
pub const OURS: Version = [8, 0];

/// Whether all that is different in a version is listed here.
pub fn is_known(version: Version) -> bool {
    version == [7, 0] || version == OURS
}

/// A change of behaviour.
struct Change {
    since: Version,
    /// Whether the command, its name in lower case, shows it.
    shows: fn(name: &str, words: &[Vec<u8>]) -> bool,
}

/// Options and arguments that are answered differently.
const CHANGES: [Change; 8] = [
    // Arguments are checked before the key is looked up, and BITCOUNT's start without an end is one too few.
    Change {
        since: [7, 2],
        shows: |name, words| match name {
            "bitcount" => words.len() == 3 || !is_range(words.get(2..).unwrap_or_default()),
            "bitpos" => !is_range(words.get(3..).unwrap_or_default()),
            _ => false,
        },
    },
    // A negative offset is none.
    Change {
        since: [7, 2],
        shows: |name, words| name.starts_with('z') && has(words, "limit") && has_negative(words),
    },
    // WITHSCORE is new, and with it the arity.
    Change { since: [7, 2], shows: |name, words| matches!(name, "zrank" | "zrevrank") && words.len() != 3 },
    // Short lists are listpacks, whose positions are ints: the greatest one is taken for the last.
    Change {
        since: [7, 2],
        shows: |name, words| {
            matches!(name, "lset" | "lindex" | "linsert") && has(words, &i64::MAX.to_string())
        },
    },
    // A consumer is made also by a command that finds nothing for it.
    Change {
        since: [7, 2],
        shows: |name, words| name == "xinfo" || (name == "xgroup" && has(words, "createconsumer")),
    },
    // An id below that of an entry which was deleted is refused.
    Change { since: [7, 2], shows: |name, _| name == "xsetid" },
    // The last entry can be asked for.
    Change { since: [7, 4], shows: |name, words| name.starts_with("xread") && has(words, "+") },
    // NOVALUES is new.
    Change { since: [7, 4], shows: |name, words| name == "hscan" && has(words, "novalues") },
];

/// Errors that are worded differently: as they began before, and as they begin now.
const REWORDED: [(&str, &str); 4] = [
    // 7.2: the error names what is missing.
    ("ERR syntax error", "ERR LIMIT can't be used without MAXLEN or MINID"),
    // 7.2: infinite is not negative.
    ("ERR timeout is negative", "ERR timeout is out of range"),
    // 7.4: each command has its own.
    ("ERR Unbalanced XREAD list of streams: ", "ERR Unbalanced 'xread' list of streams: "),
    ("ERR Unbalanced XREAD list of streams: ", "ERR Unbalanced 'xreadgroup' list of streams: "),
];

fn has(words: &[Vec<u8>], word: &str) -> bool {
    words.iter().any(|present| present.eq_ignore_ascii_case(word.as_bytes()))
}

/// Whether words are up to two positions, and perhaps their unit.
fn is_range(words: &[Vec<u8>]) -> bool {
    let is_number = |word: &Vec<u8>| std::str::from_utf8(word).is_ok_and(|text| text.parse::<i64>().is_ok());
    let is_unit =
        |word: &Vec<u8>| has(std::slice::from_ref(word), "bit") || has(std::slice::from_ref(word), "byte");
    words.len() <= 3 && words.iter().take(2).all(is_number) && words.iter().skip(2).all(is_unit)
}

fn has_negative(words: &[Vec<u8>]) -> bool {
    words.iter().any(|word| word.starts_with(b"-") && word != b"-")
}

/// Whether numbers with a fraction are shown in as few digits as tell them apart, and not in seventeen.
pub fn shows_short_doubles(version: Version) -> bool {
    version >= [7, 2]
}

/// Major and minor number of a version.
pub fn parse(version: &str) -> Version {
    let mut numbers = version.split('.').map_while(|number| number.parse().ok());
    [numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)]
}

/// Whether the command is answered differently since `version`.
pub fn changed_since(version: Version, words: &[Vec<u8>]) -> bool {
    let name = String::from_utf8_lossy(&words[0]).to_lowercase();
    CHANGES.iter().any(|change| version < change.since && (change.shows)(&name, words))
}

/// Whether an error says the same in today's words.
pub fn is_reworded(old: &str, new: &str) -> bool {
    REWORDED.iter().any(|(before, now)| old.starts_with(before) && new.starts_with(now))
}
