//! The values a directive can hold that are neither a number, a switch nor a text.
//!
//! Each type knows its own spelling: an enumeration is a table of names ([`Named`]), a set of flags or a
//! composite value has a pair of functions that read and write it. What a directive does with such a value
//! (how many words it takes, which error it gives) is the business of `kind.rs`.

use nix::syslog::Facility;

/// An enumeration that is spelled by name in the configuration file.
///
/// Several names may stand for one value; the first of them is the one that is shown.
pub trait Named: Copy + PartialEq + Sync + 'static {
    /// Every accepted name with its value, in the order in which an error message lists them.
    const NAMES: &'static [(&'static str, Self)];

    /// The value that a word stands for; case does not matter.
    fn from_name(word: &[u8]) -> Option<Self> {
        Self::NAMES.iter().find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes())).map(|&(_, v)| v)
    }

    /// The name that is shown for this value.
    fn name(self) -> &'static str {
        Self::NAMES.iter().find(|&&(_, v)| v == self).map_or("unknown", |&(name, _)| name)
    }
}

/// `loglevel`: how much reaches the log, from everything to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// What only a developer wants to read.
    Debug,
    /// A lot, but not the flood of `Debug`.
    Verbose,
    /// What an operator wants to know.
    Notice,
    /// Only what is wrong or may become so.
    Warning,
    /// Silence.
    Nothing,
}

impl LogLevel {
    /// What the log lets through at this level. The log's own levels have other names: a notice is an
    /// [`Info`](log::LevelFilter::Info), and so on down.
    pub fn filter(self) -> log::LevelFilter {
        match self {
            Self::Debug => log::LevelFilter::Trace,
            Self::Verbose => log::LevelFilter::Debug,
            Self::Notice => log::LevelFilter::Info,
            Self::Warning => log::LevelFilter::Warn,
            Self::Nothing => log::LevelFilter::Off,
        }
    }
}

impl Named for LogLevel {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("debug", Self::Debug),
        ("verbose", Self::Verbose),
        ("notice", Self::Notice),
        ("warning", Self::Warning),
        ("nothing", Self::Nothing),
    ];
}

/// `rdb-version`: the version of the files and payloads that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RdbVersion {
    /// The lowest that can hold the data.
    Auto,
    /// That of Redis 7.0.
    V10,
    /// That of Redis 7.2 and Valkey.
    V11,
    /// That of Redis 7.4 and 8.0.
    V12,
}

impl RdbVersion {
    /// The version, unless that is left to the data.
    pub fn forced(self) -> Option<u16> {
        match self {
            Self::Auto => None,
            Self::V10 => Some(10),
            Self::V11 => Some(11),
            Self::V12 => Some(12),
        }
    }
}

impl Named for RdbVersion {
    const NAMES: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("10", Self::V10), ("11", Self::V11), ("12", Self::V12)];
}

/// `sanitize-dump-payload`: whose payloads and files are checked in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SanitizeDump {
    /// Nobody's.
    No,
    /// Everybody's.
    Yes,
    /// Those of clients, but not those of a master.
    Clients,
}

impl Named for SanitizeDump {
    const NAMES: &'static [(&'static str, Self)] =
        &[("no", Self::No), ("yes", Self::Yes), ("clients", Self::Clients)];
}

/// `supervised`: who started the process and wants to hear that it is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supervised {
    /// Upstart: the process stops itself with SIGSTOP when it is ready.
    Upstart,
    /// systemd: `READY=1` is written to the socket named by `NOTIFY_SOCKET`.
    Systemd,
    /// Whichever of the two the environment betrays.
    Auto,
    /// Nobody.
    No,
}

impl Named for Supervised {
    const NAMES: &'static [(&'static str, Self)] =
        &[("upstart", Self::Upstart), ("systemd", Self::Systemd), ("auto", Self::Auto), ("no", Self::No)];
}

/// `syslog-facility`: the facility under which the system log files our messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyslogFacility {
    /// `LOG_USER`.
    User,
    /// `LOG_LOCAL0` to `LOG_LOCAL7`, by the number.
    Local(u8),
}

impl SyslogFacility {
    /// The facility as the system log knows it.
    pub fn facility(self) -> Facility {
        match self {
            Self::User => Facility::LOG_USER,
            Self::Local(0) => Facility::LOG_LOCAL0,
            Self::Local(1) => Facility::LOG_LOCAL1,
            Self::Local(2) => Facility::LOG_LOCAL2,
            Self::Local(3) => Facility::LOG_LOCAL3,
            Self::Local(4) => Facility::LOG_LOCAL4,
            Self::Local(5) => Facility::LOG_LOCAL5,
            Self::Local(6) => Facility::LOG_LOCAL6,
            Self::Local(_) => Facility::LOG_LOCAL7,
        }
    }
}

impl Named for SyslogFacility {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("user", Self::User),
        ("local0", Self::Local(0)),
        ("local1", Self::Local(1)),
        ("local2", Self::Local(2)),
        ("local3", Self::Local(3)),
        ("local4", Self::Local(4)),
        ("local5", Self::Local(5)),
        ("local6", Self::Local(6)),
        ("local7", Self::Local(7)),
    ];
}

/// `oom-score-adj`: whether and how the kernel's out-of-memory score of this process is adjusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OomScoreAdj {
    /// Leave the score alone.
    No,
    /// Add the configured value to the score that the process was started with.
    Relative,
    /// Write the configured value as it is.
    Absolute,
}

impl Named for OomScoreAdj {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("no", Self::No),
        ("yes", Self::Relative),
        ("relative", Self::Relative),
        ("absolute", Self::Absolute),
    ];
}

/// `appendfsync`: when what was appended to the file is brought to disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendFsync {
    /// Once a second.
    EverySec,
    /// Before the client is answered.
    Always,
    /// When the system does it by itself.
    No,
}

impl Named for AppendFsync {
    const NAMES: &'static [(&'static str, Self)] =
        &[("everysec", Self::EverySec), ("always", Self::Always), ("no", Self::No)];
}

/// `enable-debug-command` and its like: who may do a thing that is dangerous in the wrong hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtectedAction {
    /// Nobody.
    No,
    /// Everybody.
    Yes,
    /// Clients of this host: the loopback interface or the Unix socket.
    Local,
}

impl ProtectedAction {
    /// Whether a client may go ahead; `local` says if it is connected from this host.
    pub fn allows(self, local: bool) -> bool {
        match self {
            Self::No => false,
            Self::Yes => true,
            Self::Local => local,
        }
    }
}

impl Named for ProtectedAction {
    const NAMES: &'static [(&'static str, Self)] =
        &[("no", Self::No), ("yes", Self::Yes), ("local", Self::Local)];
}

/// `maxmemory-policy`: which keys make room when memory is short, and so which clock a key's header keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvictionPolicy {
    /// Keys with an expiry, least recently used first.
    VolatileLru,
    /// Keys with an expiry, least frequently used first.
    VolatileLfu,
    /// Keys with an expiry, at random.
    VolatileRandom,
    /// Keys with an expiry, nearest expiry first.
    VolatileTtl,
    /// Any key, least recently used first.
    AllKeysLru,
    /// Any key, least frequently used first.
    AllKeysLfu,
    /// Any key, at random.
    AllKeysRandom,
    /// No key: commands that need memory fail instead.
    NoEviction,
}

impl EvictionPolicy {
    /// Whether keys count their accesses (LFU) rather than remember the last one (LRU).
    pub fn is_lfu(self) -> bool {
        matches!(self, Self::VolatileLfu | Self::AllKeysLfu)
    }
}

impl Named for EvictionPolicy {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("volatile-lru", Self::VolatileLru),
        ("volatile-lfu", Self::VolatileLfu),
        ("volatile-random", Self::VolatileRandom),
        ("volatile-ttl", Self::VolatileTtl),
        ("allkeys-lru", Self::AllKeysLru),
        ("allkeys-lfu", Self::AllKeysLfu),
        ("allkeys-random", Self::AllKeysRandom),
        ("noeviction", Self::NoEviction),
    ];
}

/// `shutdown-on-sigint` and `shutdown-on-sigterm`: how a signal ends the process. All false is `default`:
/// save if there are save points, and wait for replicas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShutdownFlags {
    /// Save the dataset even without save points.
    pub save: bool,
    /// Do not save the dataset even with save points.
    pub nosave: bool,
    /// Do not wait for replicas that lag behind.
    pub now: bool,
    /// Leave even if the dataset could not be saved.
    pub force: bool,
}

impl ShutdownFlags {
    /// The words, in the order in which they are shown and listed in errors.
    pub const NAMES: [&'static str; 5] = ["default", "save", "nosave", "now", "force"];

    /// Turns one word's flag on; false if the word is none of ours.
    pub fn add(&mut self, word: &[u8]) -> bool {
        let Some(name) = Self::NAMES.iter().find(|n| word.eq_ignore_ascii_case(n.as_bytes())) else {
            return false;
        };
        match *name {
            "save" => self.save = true,
            "nosave" => self.nosave = true,
            "now" => self.now = true,
            "force" => self.force = true,
            _ => {}
        }
        true
    }

    /// The words for this value, separated by one space.
    pub fn words(self) -> String {
        let on = [false, self.save, self.nosave, self.now, self.force];
        let words: Vec<&str> =
            Self::NAMES.into_iter().zip(on).filter_map(|(name, on)| on.then_some(name)).collect();
        if words.is_empty() { Self::NAMES[0].to_owned() } else { words.join(" ") }
    }
}

/// `notify-keyspace-events`: the classes of keyspace events that are published, a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotifyFlags(u32);

impl NotifyFlags {
    /// Nothing is published.
    pub const NONE: Self = Self(0);
    /// `K`: publish on `__keyspace@<db>__:<key>`.
    pub const KEYSPACE: Self = Self(1 << 0);
    /// `E`: publish on `__keyevent@<db>__:<event>`.
    pub const KEYEVENT: Self = Self(1 << 1);
    /// `g`: commands of no type, such as DEL, EXPIRE, RENAME.
    pub const GENERIC: Self = Self(1 << 2);
    /// `$`: string commands.
    pub const STRING: Self = Self(1 << 3);
    /// `l`: list commands.
    pub const LIST: Self = Self(1 << 4);
    /// `s`: set commands.
    pub const SET: Self = Self(1 << 5);
    /// `h`: hash commands.
    pub const HASH: Self = Self(1 << 6);
    /// `z`: sorted set commands.
    pub const ZSET: Self = Self(1 << 7);
    /// `x`: a key expired.
    pub const EXPIRED: Self = Self(1 << 8);
    /// `e`: a key was evicted.
    pub const EVICTED: Self = Self(1 << 9);
    /// `t`: stream commands.
    pub const STREAM: Self = Self(1 << 10);
    /// `m`: a key was looked for and not found; not part of `A`.
    pub const KEY_MISS: Self = Self(1 << 11);
    /// `d`: events of modules.
    pub const MODULE: Self = Self(1 << 12);
    /// `n`: a key was created; not part of `A`.
    pub const NEW: Self = Self(1 << 13);
    /// `A`: every class but `m` and `n`.
    pub const ALL: Self = Self(
        Self::GENERIC.0
            | Self::STRING.0
            | Self::LIST.0
            | Self::SET.0
            | Self::HASH.0
            | Self::ZSET.0
            | Self::EXPIRED.0
            | Self::EVICTED.0
            | Self::STREAM.0
            | Self::MODULE.0,
    );

    /// The classes that `A` abbreviates, and `n`, in the order in which they are shown.
    const CLASSES: [(u8, Self); 11] = [
        (b'g', Self::GENERIC),
        (b'$', Self::STRING),
        (b'l', Self::LIST),
        (b's', Self::SET),
        (b'h', Self::HASH),
        (b'z', Self::ZSET),
        (b'x', Self::EXPIRED),
        (b'e', Self::EVICTED),
        (b't', Self::STREAM),
        (b'd', Self::MODULE),
        (b'n', Self::NEW),
    ];
    /// The letters that are shown after the classes, with or without `A`.
    const TAIL: [(u8, Self); 3] = [(b'K', Self::KEYSPACE), (b'E', Self::KEYEVENT), (b'm', Self::KEY_MISS)];

    /// Whether every class of `other` is on.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any class of `other` is on.
    pub fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Both sets of classes together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Reads the letters; `None` if one of them means nothing.
    pub fn from_letters(letters: &[u8]) -> Option<Self> {
        letters.iter().try_fold(Self::NONE, |flags, &letter| {
            let named = Self::CLASSES.iter().chain(&Self::TAIL).find(|(l, _)| *l == letter);
            match (letter, named) {
                (b'A', _) => Some(flags.union(Self::ALL)),
                (_, Some(&(_, flag))) => Some(flags.union(flag)),
                (_, None) => None,
            }
        })
    }

    /// The letters for these classes. `A` hides `n`, as it always has upstream.
    pub fn letters(self) -> Vec<u8> {
        let shown = |table: &[(u8, Self)]| -> Vec<u8> {
            table.iter().filter(|(_, flag)| self.contains(*flag)).map(|(letter, _)| *letter).collect()
        };
        let mut letters = if self.contains(Self::ALL) { vec![b'A'] } else { shown(&Self::CLASSES) };
        letters.extend(shown(&Self::TAIL));
        letters
    }
}

/// When a client whose replies pile up is cut off. Zero turns a limit off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLimit {
    /// Disconnect at once beyond this many bytes.
    pub hard_bytes: u64,
    /// Disconnect beyond this many bytes...
    pub soft_bytes: u64,
    /// ...when they have been exceeded for this many seconds without a break.
    pub soft_seconds: u32,
}

/// `client-output-buffer-limit`: a limit for each class of clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLimits {
    /// Clients that ask and are answered.
    pub normal: OutputLimit,
    /// Replicas.
    pub replica: OutputLimit,
    /// Subscribers of channels and patterns.
    pub pubsub: OutputLimit,
}

impl Default for OutputLimits {
    fn default() -> Self {
        const MIB: u64 = 1 << 20;
        Self {
            normal: OutputLimit { hard_bytes: 0, soft_bytes: 0, soft_seconds: 0 },
            replica: OutputLimit { hard_bytes: 256 * MIB, soft_bytes: 64 * MIB, soft_seconds: 60 },
            pubsub: OutputLimit { hard_bytes: 32 * MIB, soft_bytes: 8 * MIB, soft_seconds: 60 },
        }
    }
}

/// A save point: enough time has passed, and enough has changed, to save.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavePoint {
    /// More seconds than these since the last save...
    pub seconds: u64,
    /// ...and at least so many changes.
    pub changes: u32,
}

/// `save`: when the dataset is saved by itself. A server without save points is not saved at its end either.
#[derive(Clone, Debug)]
pub struct SavePoints {
    /// Whichever is reached first.
    pub points: Vec<SavePoint>,
    /// Whether a line has named them: the first line takes the place of the default, further ones add to it.
    pub named: bool,
}

impl Default for SavePoints {
    fn default() -> Self {
        let point = |seconds, changes| SavePoint { seconds, changes };
        Self { points: vec![point(3600, 1), point(300, 100), point(60, 10_000)], named: false }
    }
}

/// Where the points come from makes no difference.
impl PartialEq for SavePoints {
    fn eq(&self, other: &Self) -> bool {
        self.points == other.points
    }
}

/// `oom-score-adj-values`: the adjustment for each thing a process can be, within -2000 and 2000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OomValues {
    /// While it is a master.
    pub master: i32,
    /// While it is a replica.
    pub replica: i32,
    /// For its children that save.
    pub child: i32,
}

impl OomValues {
    /// The three values in the order of the directive's words.
    pub fn as_array(self) -> [i32; 3] {
        [self.master, self.replica, self.child]
    }
}

impl Default for OomValues {
    fn default() -> Self {
        Self { master: 0, replica: 200, child: 800 }
    }
}

/// A memory size that may also be given as a share of the memory limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryOrPercent {
    /// So many bytes.
    Bytes(u64),
    /// So many hundredths of the limit.
    Percent(u8),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case_and_shown_by_their_first() {
        assert_eq!(LogLevel::from_name(b"WaRnInG"), Some(LogLevel::Warning));
        assert_eq!(LogLevel::from_name(b"warn"), None);
        assert_eq!(OomScoreAdj::from_name(b"relative").map(Named::name), Some("yes"));
        assert_eq!(SyslogFacility::Local(7).name(), "local7");
    }

    #[test]
    fn event_letters_read_and_show_as_upstream() {
        let shown = |letters: &[u8]| {
            NotifyFlags::from_letters(letters).map(|f| String::from_utf8(f.letters()).unwrap())
        };
        assert_eq!(shown(b"").as_deref(), Some(""));
        assert_eq!(shown(b"KEA").as_deref(), Some("AKE"));
        assert_eq!(shown(b"Kg$lshzxetdmnA").as_deref(), Some("AKm"));
        assert_eq!(shown(b"Elshg").as_deref(), Some("glshE"));
        assert_eq!(shown(b"EKn").as_deref(), Some("nKE"));
        assert_eq!(shown(b"g$lshzxetd").as_deref(), Some("A"));
        assert_eq!(shown(b"KQ"), None);
    }

    #[test]
    fn shutdown_words_keep_the_tables_order() {
        let mut flags = ShutdownFlags::default();
        assert_eq!(flags.words(), "default");
        assert!(flags.add(b"FORCE") && flags.add(b"now") && flags.add(b"default"));
        assert_eq!(flags.words(), "now force");
        assert!(!flags.add(b"later"));
    }

    #[test]
    fn protected_actions_look_at_the_connection_only_when_local() {
        assert!(!ProtectedAction::No.allows(true));
        assert!(ProtectedAction::Yes.allows(false));
        assert!(ProtectedAction::Local.allows(true) && !ProtectedAction::Local.allows(false));
    }
}
