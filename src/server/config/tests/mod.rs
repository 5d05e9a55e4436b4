//! Tests of the configuration as a whole: the table, reading, setting, rewriting.
//!
//! `replies.tsv` holds what Redis 8.0.2 answers. Each line is a directive, a value, the reply of CONFIG SET and what
//! CONFIG GET shows afterwards, separated by tabs; lines of one directive build on each other.

mod read;
mod rewrite;

use proptest::prelude::*;

use super::kind::quoted;
use super::set::{Permissions, SetError, get, set};
use super::table::{Config, DIRECTIVES, Directive};
use super::{Effect, Flag};

const ALL_ALLOWED: Permissions = Permissions { protected: true, loading: false };

fn set_strs(config: &mut Config, pairs: &[(&str, &str)]) -> Result<Vec<Effect>, String> {
    let pairs: Vec<(&[u8], &[u8])> = pairs.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
    match set(config, &pairs, ALL_ALLOWED) {
        Ok(changes) => Ok(changes.into_iter().map(|change| change.effect).collect()),
        Err(error) => Err(String::from_utf8(error.reply()).unwrap()),
    }
}

fn shown(config: &Config, pattern: &str) -> Vec<(String, String)> {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    get(config, &[pattern.as_bytes()]).into_iter().map(|(n, v)| (text(n), text(v))).collect()
}

fn shown_one(config: &Config, name: &str) -> String {
    shown(config, name).pop().map_or("(none)".to_owned(), |(_, value)| value)
}

#[test]
fn names_are_unique_and_in_lower_case() {
    let mut names: Vec<&str> = DIRECTIVES.iter().flat_map(Directive::names).collect();
    assert!(names.iter().all(|name| *name == name.to_ascii_lowercase()));
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn only_what_can_change_has_an_effect() {
    for directive in DIRECTIVES {
        let fixed = directive.has(Flag::Immutable) || directive.has(Flag::NoEffect);
        assert!(!fixed || directive.effect == Effect::None, "{directive:?}");
    }
}

/// A default is shown, and what is shown is read as the default, by CONFIG SET's words and by a file's line.
#[test]
fn defaults_are_read_as_they_are_shown() {
    let default = Config::default();
    for directive in DIRECTIVES {
        let value = directive.slot.show(&default);
        let words: Vec<&[u8]> = match directive.slot.many_words() {
            true => value.split(|&b| b == b' ').collect(),
            false => vec![&value],
        };
        let mut config = Config::default();
        assert_eq!(directive.slot.set(&mut config, &words), Ok(false), "{directive:?}");
        let line = [directive.name.as_bytes(), b" ", &quoted(&value)].concat();
        let mut read = Config::parse_str(&line).unwrap();
        read.origin.without_effect.clear();
        assert_eq!(read, default, "{directive:?}");
    }
}

#[test]
fn replies_and_values_are_upstreams() {
    let mut config = Config::default();
    let mut last = "";
    for (number, line) in include_str!("replies.tsv").lines().enumerate() {
        let [name, value, reply, after] = line.split('\t').collect::<Vec<_>>().try_into().unwrap();
        if name != last {
            config = Config::default();
            last = name;
        }
        let permissions = Permissions { protected: false, loading: false };
        let answer = match set(&mut config, &[(name.as_bytes(), value.as_bytes())], permissions) {
            Ok(_) => "OK".to_owned(),
            Err(error) => String::from_utf8(error.reply()).unwrap(),
        };
        let place = format!("replies.tsv:{}: {name} {value:?}", number + 1);
        assert_eq!(answer, reply, "{place}");
        assert_eq!(shown_one(&config, name), after, "{place}");
    }
}

#[test]
fn set_is_all_or_nothing() {
    let mut config = Config::default();
    let before = config.clone();
    let refused = |config: &mut Config, pairs: &[(&str, &str)]| set_strs(config, pairs).unwrap_err();
    assert_eq!(
        refused(&mut config, &[("hz", "20"), ("timeout", "abc")]),
        "ERR CONFIG SET failed (possibly related to argument 'timeout') - argument couldn't be parsed into an integer"
    );
    assert_eq!(
        refused(&mut config, &[("hz", "20"), ("nope", "1")]),
        "ERR Unknown option or number of arguments for CONFIG SET - 'nope'"
    );
    assert_eq!(
        refused(&mut config, &[("DAEMONIZE", "yes"), ("nope", "1")]),
        "ERR CONFIG SET failed (possibly related to argument 'DAEMONIZE') - can't set immutable config"
    );
    assert_eq!(
        refused(&mut config, &[("hz", "10"), ("HZ", "11"), ("daemonize", "yes")]),
        "ERR CONFIG SET failed (possibly related to argument 'HZ') - duplicate parameter"
    );
    assert_eq!(
        refused(&mut config, &[("HZ", "abc")]),
        "ERR CONFIG SET failed (possibly related to argument 'hz') - argument couldn't be parsed into an integer"
    );
    assert_eq!(config, before);
}

#[test]
fn effects_are_returned_once_and_only_for_changes() {
    let mut config = Config::default();
    let effects = set_strs(
        &mut config,
        &[("oom-score-adj-values", "1 2 3"), ("port", "6379"), ("oom-score-adj", "yes")],
    );
    assert_eq!(effects, Ok(vec![Effect::OomScore]));
    assert_eq!(set_strs(&mut config, &[("port", "7000"), ("hz", "11")]), Ok(vec![Effect::Port]));
    assert_eq!(set_strs(&mut config, &[("port", "7000"), ("timeout", "1")]), Ok(vec![]));
    // The directory of a name may be another one by now.
    assert_eq!(set_strs(&mut config, &[("dir", ".")]), Ok(vec![Effect::Dir]));
}

#[test]
fn protection_and_loading_are_respected() {
    let attempt = |protected, loading| {
        set(&mut Config::default(), &[(b"dir", b"/tmp")], Permissions { protected, loading })
    };
    assert_eq!(
        attempt(false, true).unwrap_err().reply(),
        b"ERR CONFIG SET failed (possibly related to argument 'dir') - can't set protected config"
    );
    assert_eq!(attempt(true, true), Err(SetError::Loading));
    assert!(attempt(true, false).is_ok());
}

#[test]
fn get_finds_names_patterns_and_aliases() {
    let config = Config::default();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(shown(&config, "PORT"), [pair("PORT", "6379")]);
    assert_eq!(shown(&config, "TIM*"), [pair("timeout", "0")]);
    assert_eq!(
        shown(&config, "[sb][ei][ro]*_cpulist"),
        [pair("server_cpulist", ""), pair("bio_cpulist", "")]
    );
    assert_eq!(shown(&config, "nope"), []);
    assert_eq!(shown(&config, "\\hz"), []);
    assert_eq!(get(&config, &[b"port", b"PORT", b"p?rt"]).len(), 1);
    let names: usize = DIRECTIVES.iter().filter(|d| !d.has(Flag::Hidden)).map(|d| d.names().count()).sum();
    assert_eq!(get(&config, &[b"*", b"hz"]).len(), names);
    assert_eq!(shown(&config, "key-load-*"), []);
    assert_eq!(shown(&config, "key-load-delay"), [("key-load-delay".into(), "0".into())]);
}

#[test]
fn save_points_add_up_in_a_file_and_are_replaced_by_set() {
    let points = |text: &str| shown(&Config::parse_str(text.as_bytes()).unwrap(), "save").remove(0).1;
    assert_eq!(points(""), "3600 1 300 100 60 10000");
    assert_eq!(points("save 900 1"), "900 1");
    assert_eq!(points("save 900 1\nsave 60 2 10 3"), "900 1 60 2 10 3");
    assert_eq!(points("save 900 1\nsave \"\"\nsave \"5 0\""), "5 0");
    assert_eq!(points("save \"\""), "");
    let mut config = Config::default();
    for (value, expected) in [("900 1", "900 1"), ("1 2 3 4", "1 2 3 4"), ("", ""), ("7 ", "7 0")] {
        set_strs(&mut config, &[("save", value)]).unwrap();
        assert_eq!(shown(&config, "save"), [("save".into(), expected.into())]);
    }
    for bad in ["1", "1 2 3", "0 1", "1 -1", "a b", "900  1", " 900 1", "1 4294967296"] {
        assert!(set_strs(&mut config, &[("save", bad)]).is_err(), "{bad}");
    }
    assert_eq!(shown(&config, "save"), [("save".into(), "7 0".into())]);
}

/// `redis.conf` at the top of the repository describes every directive, each with a line that can be used, and as it
/// stands means the defaults, but for the addresses.
#[test]
fn the_manual_is_complete_and_right() {
    let manual = include_str!("../../../../redis.conf");
    let config = Config::parse_str(manual.as_bytes()).unwrap();
    let default = Config { bind: config.bind.clone(), dir: config.dir.clone(), ..Config::default() };
    assert_eq!(config, default);
    for directive in DIRECTIVES {
        let is_its_line = |line: &&str| {
            let line = line.strip_prefix("# ").unwrap_or(line);
            line.split_once(' ').is_some_and(|(name, _)| name == directive.name)
        };
        let lines: Vec<&str> = manual.lines().filter(is_its_line).collect();
        let usable = |line: &&str| Config::parse_str(line.trim_start_matches("# ").as_bytes()).is_ok();
        assert!(lines.iter().any(usable), "{directive:?} is not described");
    }
}

proptest! {
    /// Whatever CONFIG SET accepts is shown in a form that shows the same when it is set again, and written in one
    /// that means the same.
    #[test]
    fn accepted_values_are_read_as_they_are_shown_and_written(
        index in 0..DIRECTIVES.len(),
        value in prop_oneof![
            "[ -~]{0,12}", "-?[0-9]{1,20}", "[0-9]{1,9}[kKmMgG]?[bB]?", "[0-9.]{1,6}( [0-9.]{1,6}){0,3}",
            "[AKEg$lshzxetdmn]{0,6}", "(pubsub|normal|slave) [0-9]{1,9} [0-9]{1,4}mb [0-9]{1,3}",
        ],
    ) {
        let directive = &DIRECTIVES[index];
        let mut config = Config::default();
        // Quotes in the words of a list (addresses, classes) name nothing that exists, and files do not carry them.
        prop_assume!(!directive.slot.many_words() || !value.contains(['"', '\'', '\\']));
        let words_of = |value: &'_ [u8]| -> Vec<Vec<u8>> {
            match directive.slot.many_words() {
                true => value.split(|&b| b == b' ').map(<[u8]>::to_vec).collect(),
                false => vec![value.to_vec()],
            }
        };
        let set = |config: &mut Config, value: &[u8]| {
            let words = words_of(value);
            directive.slot.set(config, &words.iter().map(Vec::as_slice).collect::<Vec<_>>())
        };
        if set(&mut config, value.as_bytes()).is_ok() {
            let line = |value: &[u8]| [directive.name.as_bytes(), b" ", value, b"\n"].concat();
            let shown = directive.slot.show(&config);
            let mut again = Config::default();
            prop_assert!(set(&mut again, &shown).is_ok());
            prop_assert_eq!(directive.slot.show(&again), shown);

            let lines = directive.slot.lines(&config).iter().map(|l| line(&l.value)).collect::<Vec<_>>().concat();
            let mut read = Config::parse_str(&lines).unwrap();
            read.origin.without_effect.clear();
            // Percentiles are written with six decimals, and are the one value that is not written in full.
            config.latency_tracking_info_percentiles = read.latency_tracking_info_percentiles.clone();
            prop_assert_eq!(read, config);
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(Config::parse_str(&text));
    }
}
