//! The kinds of directives: how words become a value, how the value is shown, which lines it takes in a file.
//!
//! A [`Kind`] knows the syntax and the errors; a [`Field`] ties a kind to one field of [`Config`] and to its
//! default. The table of directives sees a `Field` as a [`Slot`], which has forgotten the types.
//!
//! Words come from two places. A line of a file was split by the rules of quoting; the value of CONFIG SET is one
//! word, or for kinds of many words was split at each single space. An empty list of words is therefore possible
//! for the latter, and each of them says what it means.

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use super::types::{
    MemoryOrPercent, Named, NotifyFlags, OomValues, OutputLimit, OutputLimits, SavePoint, SavePoints,
    ShutdownFlags,
};
use super::{Config, HZ_RANGE, Reason};
use crate::ds::{numbers, sds};
use crate::server::setproctitle;

/// The most addresses that `bind` takes.
pub const MAX_BIND_ADDRESSES: usize = 16;

/// A line that a directive wants in the configuration file.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// What stands behind the directive's name.
    pub value: Vec<u8>,
    /// Whether the line is added to a file that has none for this directive. A value that is the default only
    /// replaces a line that is there.
    pub needed: bool,
    /// For directives of several lines, the first words by which this line is known: it replaces only a line that
    /// begins with one of them. Empty if it replaces any.
    pub subject: &'static [&'static str],
}

impl Line {
    /// The only line of its directive.
    fn only(value: Vec<u8>, needed: bool) -> Line {
        Line { value, needed, subject: &[] }
    }
}

/// Syntax and errors of a directive whose value is a `T`.
pub trait Kind<T>: Sync {
    /// Whether the directive takes several words.
    const MANY_WORDS: bool = false;

    /// Reads the value; `old` is the one in force, for kinds that change a part of it. Unless
    /// [`Kind::MANY_WORDS`] is set there is exactly one word.
    fn parse(&self, words: &[&[u8]], old: &T) -> Result<T, Reason>;

    /// The value as CONFIG GET shows it.
    fn show(&self, value: &T) -> Vec<u8>;

    /// The value as it is written behind the directive's name in a file; `None` if no line can express it.
    fn write(&self, value: &T) -> Option<Vec<u8>> {
        Some(self.show(value))
    }

    /// The lines that express the value in a file. Directives without any line lose those that the file has.
    fn lines(&self, value: &T, default: &T) -> Vec<Line>
    where
        T: PartialEq,
    {
        let needed = value != default;
        self.write(value).into_iter().map(|value| Line::only(value, needed)).collect()
    }
}

/// A directive's value within [`Config`], its type forgotten.
pub trait Slot: Sync {
    /// Whether the directive takes several words.
    fn many_words(&self) -> bool;

    /// Reads and stores a value; true if it differs from the one before. On error nothing changes.
    fn set(&self, config: &mut Config, words: &[&[u8]]) -> Result<bool, Reason>;

    /// The value as CONFIG GET shows it.
    fn show(&self, config: &Config) -> Vec<u8>;

    /// The lines for a configuration file, as [`Kind::lines`] has it.
    fn lines(&self, config: &Config) -> Vec<Line>;
}

/// One field of [`Config`] with its kind and its default.
pub struct Field<T, K> {
    /// Borrows the field.
    pub get: fn(&Config) -> &T,
    /// Borrows the field to change it.
    pub get_mut: fn(&mut Config) -> &mut T,
    /// Makes the default value.
    pub default: fn() -> T,
    /// Syntax and errors.
    pub kind: K,
}

impl<T: PartialEq, K: Kind<T>> Slot for Field<T, K> {
    fn many_words(&self) -> bool {
        K::MANY_WORDS
    }

    fn set(&self, config: &mut Config, words: &[&[u8]]) -> Result<bool, Reason> {
        let value = self.kind.parse(words, (self.get)(config))?;
        let field = (self.get_mut)(config);
        let changed = *field != value;
        *field = value;
        Ok(changed)
    }

    fn show(&self, config: &Config) -> Vec<u8> {
        self.kind.show((self.get)(config))
    }

    fn lines(&self, config: &Config) -> Vec<Line> {
        self.kind.lines((self.get)(config), &(self.default)())
    }
}

/// `yes` or `no`.
pub struct YesNo;

impl Kind<bool> for YesNo {
    fn parse(&self, words: &[&[u8]], _: &bool) -> Result<bool, Reason> {
        match words[0].to_ascii_lowercase().as_slice() {
            b"yes" => Ok(true),
            b"no" => Ok(false),
            _ => Err("argument must be 'yes' or 'no'".into()),
        }
    }

    fn show(&self, value: &bool) -> Vec<u8> {
        if *value { b"yes".to_vec() } else { b"no".to_vec() }
    }
}

/// The integer types of fields. 128 bits hold every one of them, so that bounds are compared without a cast.
pub trait Integer: Copy + PartialEq + TryFrom<i128> + Into<i128> {}
impl<T: Copy + PartialEq + TryFrom<i128> + Into<i128>> Integer for T {}

fn within<T: Integer>(n: i128, min: i128, max: i128) -> Result<T, Reason> {
    let fits = if (min..=max).contains(&n) { T::try_from(n).ok() } else { None };
    fits.ok_or_else(|| format!("argument must be between {min} and {max} inclusive").into())
}

/// A decimal integer within bounds, which both are allowed.
pub struct Int {
    /// Least value.
    pub min: i64,
    /// Greatest value.
    pub max: i64,
}

impl<T: Integer> Kind<T> for Int {
    fn parse(&self, words: &[&[u8]], _: &T) -> Result<T, Reason> {
        let n = numbers::parse_i64(words[0]).ok_or("argument couldn't be parsed into an integer")?;
        within(n.into(), self.min.into(), self.max.into())
    }

    fn show(&self, value: &T) -> Vec<u8> {
        Into::<i128>::into(*value).to_string().into_bytes()
    }
}

/// Turns per second: any number that is not negative, brought into [`HZ_RANGE`].
pub struct Hertz;

impl Kind<u32> for Hertz {
    fn parse(&self, words: &[&[u8]], old: &u32) -> Result<u32, Reason> {
        let hz: u32 = Int { min: 0, max: i32::MAX.into() }.parse(words, old)?;
        Ok(hz.clamp(*HZ_RANGE.start(), *HZ_RANGE.end()))
    }

    fn show(&self, value: &u32) -> Vec<u8> {
        value.to_string().into_bytes()
    }
}

/// An octal integer within bounds: file permissions.
pub struct Octal {
    /// Greatest value; the least is 0.
    pub max: u32,
}

impl Kind<u32> for Octal {
    fn parse(&self, words: &[&[u8]], _: &u32) -> Result<u32, Reason> {
        let n = lenient_integer(words[0], 8).ok_or("argument couldn't be parsed as an octal number")?;
        match u32::try_from(n) {
            Ok(mode) if mode <= self.max => Ok(mode),
            _ => Err(format!("argument must be between 0 and {:o} inclusive", self.max).into()),
        }
    }

    fn show(&self, value: &u32) -> Vec<u8> {
        format!("{value:o}").into_bytes()
    }
}

/// A number of bytes with an optional unit, within bounds.
pub struct Memory {
    /// Least number of bytes.
    pub min: u64,
    /// Greatest number of bytes.
    pub max: u64,
}

impl Kind<u64> for Memory {
    fn parse(&self, words: &[&[u8]], _: &u64) -> Result<u64, Reason> {
        let bytes = numbers::parse_memory(words[0]).ok_or("argument must be a memory value")?;
        within(bytes.into(), self.min.into(), self.max.into())
    }

    fn show(&self, value: &u64) -> Vec<u8> {
        value.to_string().into_bytes()
    }

    fn write(&self, value: &u64) -> Option<Vec<u8>> {
        Some(memory_text(*value).into_bytes())
    }
}

/// A number of bytes as for [`Memory`], or a percentage of at most 100.
pub struct MemoryShare;

impl Kind<MemoryOrPercent> for MemoryShare {
    fn parse(&self, words: &[&[u8]], _: &MemoryOrPercent) -> Result<MemoryOrPercent, Reason> {
        if let Some(bytes) = numbers::parse_memory(words[0]) {
            let bytes: i64 = within(bytes.into(), -100, i64::MAX.into())?;
            return Ok(MemoryOrPercent::Bytes(bytes.unsigned_abs()));
        }
        let percent = words[0].strip_suffix(b"%").and_then(numbers::parse_i64).filter(|&n| n >= 0);
        match percent {
            Some(n @ 0..=100) => Ok(MemoryOrPercent::Percent(n.unsigned_abs() as u8)),
            Some(_) => Err("percentage argument must be less or equal to 100".into()),
            None => Err("argument must be a memory or percent value".into()),
        }
    }

    fn show(&self, value: &MemoryOrPercent) -> Vec<u8> {
        match value {
            MemoryOrPercent::Bytes(bytes) => bytes.to_string().into_bytes(),
            MemoryOrPercent::Percent(percent) => format!("{percent}%").into_bytes(),
        }
    }

    fn write(&self, value: &MemoryOrPercent) -> Option<Vec<u8>> {
        match value {
            MemoryOrPercent::Bytes(bytes) => Some(memory_text(*bytes).into_bytes()),
            MemoryOrPercent::Percent(_) => Some(self.show(value)),
        }
    }
}

/// One name of an enumeration.
pub struct Choice;

impl<T: Named> Kind<T> for Choice {
    fn parse(&self, words: &[&[u8]], _: &T) -> Result<T, Reason> {
        T::from_name(words[0]).ok_or_else(|| one_of(T::NAMES.iter().map(|(name, _)| *name)))
    }

    fn show(&self, value: &T) -> Vec<u8> {
        value.name().as_bytes().to_vec()
    }
}

fn one_of<'a>(names: impl Iterator<Item = &'a str>) -> Reason {
    let names: Vec<&str> = names.collect();
    format!("argument(s) must be one of the following: {}", names.join(", ")).into()
}

/// A set of shutdown options.
pub struct ShutdownOptions;

impl Kind<ShutdownFlags> for ShutdownOptions {
    const MANY_WORDS: bool = true;

    fn parse(&self, words: &[&[u8]], _: &ShutdownFlags) -> Result<ShutdownFlags, Reason> {
        let mut flags = ShutdownFlags::default();
        if words.is_empty() || !words.iter().all(|word| flags.add(word)) {
            return Err(one_of(ShutdownFlags::NAMES.into_iter()));
        }
        if flags.save && flags.nosave {
            return Err("shutdown options SAVE and NOSAVE can't be used simultaneously".into());
        }
        Ok(flags)
    }

    fn show(&self, value: &ShutdownFlags) -> Vec<u8> {
        value.words().into_bytes()
    }
}

/// A type that holds a text without looking into it.
pub trait Text: Clone + PartialEq {
    /// From the bytes of a word.
    fn from_bytes(bytes: &[u8]) -> Self;
    /// The bytes of the word.
    fn bytes(&self) -> &[u8];
}

impl Text for Vec<u8> {
    fn from_bytes(bytes: &[u8]) -> Self {
        bytes.to_vec()
    }
    fn bytes(&self) -> &[u8] {
        self
    }
}

impl Text for PathBuf {
    fn from_bytes(bytes: &[u8]) -> Self {
        OsStr::from_bytes(bytes).into()
    }
    fn bytes(&self) -> &[u8] {
        self.as_os_str().as_bytes()
    }
}

/// A text that may be empty.
pub struct AnyText;

impl<T: Text> Kind<T> for AnyText {
    fn parse(&self, words: &[&[u8]], _: &T) -> Result<T, Reason> {
        Ok(T::from_bytes(words[0]))
    }

    fn show(&self, value: &T) -> Vec<u8> {
        value.bytes().to_vec()
    }

    fn write(&self, value: &T) -> Option<Vec<u8>> {
        Some(quoted(value.bytes()))
    }
}

/// The name of a file or a directory that lies in another: not empty, and no path.
pub struct EntryName {
    /// The error for an empty name.
    pub empty: &'static str,
    /// The error for a path.
    pub path: &'static str,
}

impl<T: Text> Kind<T> for EntryName {
    fn parse(&self, words: &[&[u8]], _: &T) -> Result<T, Reason> {
        match words[0] {
            [] => Err(self.empty.into()),
            name if name.iter().any(|byte| matches!(byte, b'/' | b'\\')) => Err(self.path.into()),
            name => Ok(T::from_bytes(name)),
        }
    }

    fn show(&self, value: &T) -> Vec<u8> {
        value.bytes().to_vec()
    }

    fn write(&self, value: &T) -> Option<Vec<u8>> {
        Some(quoted(value.bytes()))
    }
}

/// A text that is absent when it is empty; a file expresses that by having no line.
pub struct OptionalText;

impl<T: Text> Kind<Option<T>> for OptionalText {
    fn parse(&self, words: &[&[u8]], _: &Option<T>) -> Result<Option<T>, Reason> {
        Ok(Some(words[0]).filter(|word| !word.is_empty()).map(T::from_bytes))
    }

    fn show(&self, value: &Option<T>) -> Vec<u8> {
        value.as_ref().map_or(Vec::new(), |text| text.bytes().to_vec())
    }

    fn write(&self, value: &Option<T>) -> Option<Vec<u8>> {
        value.as_ref().map(|text| quoted(text.bytes()))
    }
}

/// The name of a file in the working directory.
pub struct FileName {
    /// What is wrong with a path.
    pub error: &'static str,
}

impl Kind<PathBuf> for FileName {
    fn parse(&self, words: &[&[u8]], _: &PathBuf) -> Result<PathBuf, Reason> {
        if words[0].contains(&b'/') {
            return Err(self.error.into());
        }
        Ok(PathBuf::from_bytes(words[0]))
    }

    fn show(&self, value: &PathBuf) -> Vec<u8> {
        value.bytes().to_vec()
    }

    fn write(&self, value: &PathBuf) -> Option<Vec<u8>> {
        Some(quoted(value.bytes()))
    }
}

/// `<seconds> <changes>`, repeated for as many save points as there are; one empty word takes all of them away.
pub struct SavePointList;

impl SavePointList {
    fn one(words: &[&[u8]]) -> Option<SavePoint> {
        let &[seconds, changes] = words else { return None };
        let seconds = lenient_integer(seconds, 10).filter(|&seconds| seconds >= 1)?;
        let changes = lenient_integer(changes, 10)?;
        Some(SavePoint { seconds: seconds as u64, changes: u32::try_from(changes).ok()? })
    }
}

impl Kind<SavePoints> for SavePointList {
    const MANY_WORDS: bool = true;

    fn parse(&self, words: &[&[u8]], old: &SavePoints) -> Result<SavePoints, Reason> {
        if words == [b""] {
            return Ok(SavePoints { points: Vec::new(), named: true });
        }
        let mut points = if old.named { old.points.clone() } else { Vec::new() };
        for point in words.chunks(2) {
            points.push(Self::one(point).ok_or("Invalid save parameters")?);
        }
        Ok(SavePoints { points, named: true })
    }

    fn show(&self, value: &SavePoints) -> Vec<u8> {
        let points: Vec<String> =
            value.points.iter().map(|p| format!("{} {}", p.seconds, p.changes)).collect();
        points.join(" ").into_bytes()
    }

    /// Always needed, so that a file keeps the points it was written with: a line each, or one that says there are none.
    fn lines(&self, value: &SavePoints, _: &SavePoints) -> Vec<Line> {
        if value.points.is_empty() {
            return vec![Line::only(b"\"\"".to_vec(), true)];
        }
        let line = |p: &SavePoint| Line::only(format!("{} {}", p.seconds, p.changes).into_bytes(), true);
        value.points.iter().map(line).collect()
    }
}

/// A template of the process title.
pub struct TitleTemplate;

impl Kind<Vec<u8>> for TitleTemplate {
    fn parse(&self, words: &[&[u8]], _: &Vec<u8>) -> Result<Vec<u8>, Reason> {
        if !setproctitle::is_valid_template(words[0]) {
            return Err("template format is invalid or contains unknown variables".into());
        }
        Ok(words[0].to_vec())
    }

    fn show(&self, value: &Vec<u8>) -> Vec<u8> {
        value.clone()
    }

    fn write(&self, value: &Vec<u8>) -> Option<Vec<u8>> {
        Some(quoted(value))
    }
}

/// The working directory. The value is what was asked for; whoever changes to it stores where that led.
pub struct Directory;

impl Kind<PathBuf> for Directory {
    fn parse(&self, words: &[&[u8]], _: &PathBuf) -> Result<PathBuf, Reason> {
        Ok(std::ffi::OsString::from_vec(words[0].to_vec()).into())
    }

    fn show(&self, value: &PathBuf) -> Vec<u8> {
        value.bytes().to_vec()
    }

    /// Always needed: a server that is started elsewhere with this file must find its data.
    fn lines(&self, value: &PathBuf, _: &PathBuf) -> Vec<Line> {
        vec![Line::only(quoted(value.bytes()), true)]
    }
}

/// Addresses to listen on; none at all is written as one empty word.
pub struct Addresses;

impl Kind<Vec<String>> for Addresses {
    const MANY_WORDS: bool = true;

    fn parse(&self, words: &[&[u8]], _: &Vec<String>) -> Result<Vec<String>, Reason> {
        match words {
            _ if words.len() > MAX_BIND_ADDRESSES => Err("Too many bind addresses specified.".into()),
            // An address that is not UTF-8 cannot be resolved; listening on it fails and says so. Spaces that follow
            // each other hold no address between them.
            _ => {
                let given = words.iter().filter(|word| !word.is_empty());
                Ok(given.map(|word| String::from_utf8_lossy(word).into_owned()).collect())
            }
        }
    }

    fn show(&self, value: &Vec<String>) -> Vec<u8> {
        value.join(" ").into_bytes()
    }

    fn write(&self, value: &Vec<String>) -> Option<Vec<u8>> {
        Some(if value.is_empty() { b"\"\"".to_vec() } else { self.show(value) })
    }

    /// The default is expressed by no line, which leaves it to the version that reads the file.
    fn lines(&self, value: &Vec<String>, default: &Vec<String>) -> Vec<Line> {
        let written = self.write(value).filter(|_| value != default);
        written.into_iter().map(|value| Line::only(value, true)).collect()
    }
}

/// `<class> <hard> <soft> <seconds>`, repeated for as many classes as shall change.
pub struct BufferLimits;

impl BufferLimits {
    fn one(words: &[&[u8]]) -> Option<OutputLimit> {
        Some(OutputLimit {
            hard_bytes: numbers::parse_memory(words[0])?,
            soft_bytes: numbers::parse_memory(words[1])?,
            soft_seconds: lenient_integer(words[2], 10)
                .and_then(|n| i32::try_from(n).ok())
                .and_then(|n| u32::try_from(n).ok())?,
        })
    }
}

impl Kind<OutputLimits> for BufferLimits {
    const MANY_WORDS: bool = true;

    fn parse(&self, words: &[&[u8]], old: &OutputLimits) -> Result<OutputLimits, Reason> {
        let mut limits = *old;
        let groups = words.chunks_exact(4);
        if !groups.remainder().is_empty() {
            return Err("Wrong number of arguments in buffer limit configuration.".into());
        }
        for group in groups {
            let class = match group[0].to_ascii_lowercase().as_slice() {
                b"normal" => &mut limits.normal,
                b"slave" | b"replica" => &mut limits.replica,
                b"pubsub" => &mut limits.pubsub,
                _ => return Err("Invalid client class specified in buffer limit configuration.".into()),
            };
            *class = Self::one(&group[1..])
                .ok_or("Error in hard, soft or soft_seconds setting in buffer limit configuration.")?;
        }
        Ok(limits)
    }

    fn show(&self, value: &OutputLimits) -> Vec<u8> {
        let classes = [("normal", value.normal), ("slave", value.replica), ("pubsub", value.pubsub)];
        let shown =
            classes.map(|(class, l)| format!("{class} {} {} {}", l.hard_bytes, l.soft_bytes, l.soft_seconds));
        shown.join(" ").into_bytes()
    }

    fn lines(&self, value: &OutputLimits, default: &OutputLimits) -> Vec<Line> {
        let line = |subject: &'static [&'static str], limit: OutputLimit, default: OutputLimit| {
            let (hard, soft) = (memory_text(limit.hard_bytes), memory_text(limit.soft_bytes));
            let value = format!("{} {hard} {soft} {}", subject[0], limit.soft_seconds).into_bytes();
            Line { value, needed: limit != default, subject }
        };
        vec![
            line(&["normal"], value.normal, default.normal),
            line(&["replica", "slave"], value.replica, default.replica),
            line(&["pubsub"], value.pubsub, default.pubsub),
        ]
    }
}

/// Three adjustments of the out-of-memory score.
pub struct OomAdjustments;

impl Kind<OomValues> for OomAdjustments {
    const MANY_WORDS: bool = true;

    fn parse(&self, words: &[&[u8]], _: &OomValues) -> Result<OomValues, Reason> {
        let &[master, replica, child] = words else {
            return Err("wrong number of arguments".into());
        };
        let value = |word: &[u8]| {
            lenient_integer(word, 10)
                .filter(|n| (-2000..=2000).contains(n))
                .and_then(|n| i32::try_from(n).ok())
                .ok_or("Invalid oom-score-adj-values, elements must be between -2000 and 2000.")
        };
        let values = OomValues { master: value(master)?, replica: value(replica)?, child: value(child)? };
        if values.replica < values.master || values.child < values.replica {
            log::warn!(
                "The oom-score-adj-values configuration may not work for non-privileged processes! \
                 Please consult the documentation."
            );
        }
        Ok(values)
    }

    fn show(&self, value: &OomValues) -> Vec<u8> {
        value.as_array().map(|n| n.to_string()).join(" ").into_bytes()
    }
}

/// The letters of keyspace event classes.
pub struct EventClasses;

impl Kind<NotifyFlags> for EventClasses {
    fn parse(&self, words: &[&[u8]], _: &NotifyFlags) -> Result<NotifyFlags, Reason> {
        NotifyFlags::from_letters(words[0])
            .ok_or_else(|| "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.".into())
    }

    fn show(&self, value: &NotifyFlags) -> Vec<u8> {
        value.letters()
    }

    fn write(&self, value: &NotifyFlags) -> Option<Vec<u8>> {
        // CONFIG GET has no room for the `n` that `A` hides, but a file must not lose it.
        let hidden = value.contains(NotifyFlags::ALL.union(NotifyFlags::NEW));
        let letters = [&value.letters()[..], if hidden { b"n" } else { b"" }].concat();
        Some(quoted(&letters))
    }
}

/// Percentiles between 0 and 100; none at all is written as one empty word.
pub struct Percentiles;

impl Kind<Vec<f64>> for Percentiles {
    const MANY_WORDS: bool = true;

    fn parse(&self, words: &[&[u8]], _: &Vec<f64>) -> Result<Vec<f64>, Reason> {
        if words == [b""] {
            return Ok(Vec::new());
        }
        let percentile = |word: &&[u8]| {
            let n = numbers::parse_f64(word)
                .filter(|n| !n.is_nan())
                .ok_or("Invalid latency-tracking-info-percentiles parameters")?;
            if !(0.0..=100.0).contains(&n) {
                return Err(
                    "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]".into()
                );
            }
            Ok(n)
        };
        words.iter().map(percentile).collect()
    }

    fn show(&self, value: &Vec<f64>) -> Vec<u8> {
        value.iter().map(|&n| percentile_text(n)).collect::<Vec<_>>().join(" ").into_bytes()
    }

    /// Always needed, so that a file keeps the percentiles it was written with.
    fn lines(&self, value: &Vec<f64>, _: &Vec<f64>) -> Vec<Line> {
        let value = if value.is_empty() { b"\"\"".to_vec() } else { self.show(value) };
        vec![Line::only(value, true)]
    }
}

/// A percentile with at most six decimals and none that says nothing.
pub fn percentile_text(percentile: f64) -> String {
    let text = format!("{percentile:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A number of bytes in the largest unit that expresses it without a remainder.
fn memory_text(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "gb"), (1 << 20, "mb"), (1 << 10, "kb")];
    match UNITS.iter().find(|(size, _)| bytes != 0 && bytes.is_multiple_of(*size)) {
        Some((size, unit)) => format!("{}{unit}", bytes / size),
        None => bytes.to_string(),
    }
}

/// An integer as C's `strtoll` takes it: leading white space and a plus sign do no harm, and nothing is zero.
fn lenient_integer(word: &[u8], radix: u32) -> Option<i64> {
    let text = std::str::from_utf8(word).ok()?;
    if text.is_empty() {
        return Some(0);
    }
    i64::from_str_radix(text.trim_start(), radix).ok()
}

/// A text in quotes, as one word of a line.
pub fn quoted(text: &[u8]) -> Vec<u8> {
    let mut word = Vec::with_capacity(text.len() + 2);
    sds::repr(&mut word, text);
    word
}
