//! The commands: what the server knows about each of them, how one is found by name, and how the keys among its
//! arguments are found.
//!
//! Commands are data. Each has a file in `src/commands/` that the build script (`build.rs`, which describes the
//! files) checks and compiles into [`COMMANDS`], a static table that holds containers and subcommands alike. A command
//! is referred to by its place in that table, its [`CommandId`]; whoever keeps something about every command, such as
//! its statistics or whether a user may run it, keeps an array or a bit set indexed by it.
//!
//! - `flags.rs` has the sets of flags, shared with the build script.
//! - `table.rs` finds commands by name. `rename-command` changes a [`CommandTable`] and never the static table.
//! - `keys.rs` finds keys by the key specs, and has the functions for those commands whose specs do not suffice.
//!
//! The dispatcher reads a [`CommandSpec`] for every request, so what it reads there is in one cache line, and what only
//! COMMAND reads is behind it.

mod flags;
mod keys;
mod table;

use std::fmt;

use crate::server::{Client, CmdResult, Server};

pub use flags::{AclCategories, ArgFlags, CommandFlags, DocFlags, KeyFlags};
pub use keys::{
    Args, InvalidKeys, KeyRef, bitfield_keys, georadius_keys, get_keys, migrate_keys, set_keys, sort_keys,
    sort_ro_keys,
};
pub use table::{CommandTable, LookupError, RenameError};

include!(concat!(env!("OUT_DIR"), "/commands.rs"));

/// The procedure of a command. Arguments and reply are parts of the client; an error is replied by the caller.
pub type CommandProc = fn(&mut Server, &mut Client) -> CmdResult;

/// Appends the keys of a command line, name included, to a list.
pub type GetKeysProc = fn(&dyn Args, &mut Vec<KeyRef>) -> Result<(), InvalidKeys>;

/// The place of a command or subcommand in [`COMMANDS`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CommandId(u16);

impl CommandId {
    /// The index into [`COMMANDS`], and into whatever else there is one of for each command.
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The command itself.
    #[inline]
    pub fn spec(self) -> &'static CommandSpec {
        &COMMANDS[self.index()]
    }
}

/// A command or a subcommand: a row of [`COMMANDS`].
///
/// The fields down to `subcommands` fill one cache line, which is all that dispatching a command reads.
#[repr(C, align(64))]
pub struct CommandSpec {
    /// The place of this row.
    pub id: CommandId,
    /// Number of words with the name (and the name of the subcommand); if negative, that many or more.
    pub arity: i16,
    /// Position of the first key, 0 if there is none or only the key specs can tell.
    pub first_key: i16,
    /// Position of the last key, counted from the end (-1 is the last word) if negative.
    pub last_key: i16,
    /// Distance between keys.
    pub key_step: i16,
    /// The command this one is a subcommand of.
    pub container: Option<CommandId>,
    /// What the dispatcher must check and do.
    pub flags: CommandFlags,
    /// The ACL categories it is in.
    pub acl_categories: AclCategories,
    /// What runs it. Containers that are no command of their own have none.
    pub proc: Option<CommandProc>,
    /// Finds its keys where the key specs cannot.
    pub get_keys: Option<GetKeysProc>,
    /// Its subcommands.
    pub subcommands: &'static [CommandId],
    /// The name, in lower case; of a subcommand, its own part only.
    pub name: &'static str,
    /// The name, and before it that of the container: `client|list`.
    pub fullname: &'static str,
    /// Where its keys are.
    pub key_specs: &'static [KeySpec],
    /// What only people read.
    pub docs: &'static CommandDocs,
}

const _: () = assert!(std::mem::offset_of!(CommandSpec, name) == 64, "dispatching reads one cache line");

impl CommandSpec {
    /// True if a command line of `argc` words, name included, has the number of words this command takes.
    #[inline]
    pub const fn accepts_argc(&self, argc: usize) -> bool {
        let least = self.arity.unsigned_abs() as usize;
        argc == least || (self.arity < 0 && argc > least)
    }

    /// True if any of its arguments may be a key. (What is only routed to a cluster slot like one does not count.)
    pub fn may_have_keys(&self) -> bool {
        self.get_keys.is_some() || self.key_specs.iter().any(|spec| !spec.flags.contains(KeyFlags::NOT_KEY))
    }

    /// The position of the first key in a command line of `argc` words, if the name alone tells it.
    ///
    /// This costs two comparisons, and so suits what is only a hint (prefetching) or concerns commands with one
    /// key. [`get_keys`] tells the whole truth.
    #[inline]
    pub const fn first_key_pos(&self, argc: usize) -> Option<usize> {
        let pos = self.first_key as usize;
        if self.first_key > 0 && pos < argc { Some(pos) } else { None }
    }
}

impl fmt::Debug for CommandSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CommandSpec").field(&self.fullname).finish()
    }
}

/// A rule for finding keys among the words of a command line, and what the command does to them.
///
/// The rule has two steps: find the word to start at, then the keys from there on.
pub struct KeySpec {
    /// A remark for readers of COMMAND.
    pub notes: Option<&'static str>,
    /// What the command does to the keys.
    pub flags: KeyFlags,
    /// The first step.
    pub begin_search: BeginSearch,
    /// The second step.
    pub find_keys: FindKeys,
}

/// The word at which keys begin.
pub enum BeginSearch {
    /// The word at a position.
    Index {
        /// The position; the name of the command is at 0.
        pos: u16,
    },
    /// The word behind a keyword, if the keyword is there.
    Keyword {
        /// The keyword, of which the case does not matter.
        keyword: &'static str,
        /// Where to begin looking for it: forward from a position, or backward from that far before the end if
        /// negative.
        start_from: i16,
    },
    /// No rule tells.
    Unknown,
}

/// The keys from the word on that [`BeginSearch`] found. Offsets count from that word.
pub enum FindKeys {
    /// A range of words.
    Range {
        /// Offset of the last key; if negative, it counts from the end of the command line (-1 is the last word).
        last_key: i16,
        /// Distance between keys.
        step: u16,
        /// With a `last_key` of -1: if more than 1, only the first of that many parts of the words are keys.
        limit: u16,
    },
    /// A number of keys that a word tells.
    KeyNum {
        /// Offset of the word that tells how many keys there are.
        num_index: u16,
        /// Offset of the first key.
        first_key: u16,
        /// Distance between keys.
        step: u16,
    },
    /// No rule tells.
    Unknown,
}

/// What COMMAND DOCS tells of a command.
pub struct CommandDocs {
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// Its time complexity.
    pub complexity: Option<&'static str>,
    /// The data type or area it belongs to.
    pub group: &'static str,
    /// The first version that had it.
    pub since: &'static str,
    /// Its standing.
    pub flags: DocFlags,
    /// The version that deprecated it.
    pub deprecated_since: Option<&'static str>,
    /// What to use instead.
    pub replaced_by: Option<&'static str>,
    /// Versions and what each changed.
    pub history: &'static [(&'static str, &'static str)],
    /// Hints for clients and proxies, which COMMAND INFO tells as well.
    pub tips: &'static [&'static str],
    /// Its arguments.
    pub args: &'static [CommandArg],
}

/// An argument of a command, or a group of them.
pub struct CommandArg {
    /// What the argument is.
    pub name: &'static str,
    /// Its type.
    pub kind: ArgType,
    /// How to show it, if not by its name.
    pub display: Option<&'static str>,
    /// Which of the key specs finds it.
    pub key_spec_index: Option<u8>,
    /// The word that comes before it, or, of a pure token, that it consists of.
    pub token: Option<&'static str>,
    /// What it is for.
    pub summary: Option<&'static str>,
    /// The first version that had it, if newer than the command.
    pub since: Option<&'static str>,
    /// The version that deprecated it.
    pub deprecated_since: Option<&'static str>,
    /// How often it may come.
    pub flags: ArgFlags,
    /// The arguments of a group.
    pub args: &'static [CommandArg],
}

/// The type of an argument.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ArgType {
    /// Any bytes.
    String,
    /// An integer.
    Integer,
    /// A number with a fraction.
    Double,
    /// The name of a key.
    Key,
    /// A glob pattern.
    Pattern,
    /// A time in Unix seconds or milliseconds.
    UnixTime,
    /// A word that stands for itself.
    PureToken,
    /// A choice of arguments.
    OneOf,
    /// A sequence of arguments.
    Block,
}

impl ArgType {
    /// The name in replies.
    pub const fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Double => "double",
            Self::Key => "key",
            Self::Pattern => "pattern",
            Self::UnixTime => "unix-time",
            Self::PureToken => "pure-token",
            Self::OneOf => "oneof",
            Self::Block => "block",
        }
    }

    /// True of a group, which has arguments of its own.
    pub const fn is_group(self) -> bool {
        matches!(self, Self::OneOf | Self::Block)
    }
}

/// Gives the types of `flags.rs` the operations of a set.
macro_rules! set_operations {
    ($($name:ident: $repr:ty,)*) => {$(
        impl $name {
            /// The set of these raw bits.
            pub const fn from_bits(bits: $repr) -> Self {
                Self(bits)
            }

            /// The flags in either set.
            #[inline]
            pub const fn union(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }

            /// True if every flag of `other` is in this set.
            #[inline]
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// True if any flag of `other` is in this set.
            #[inline]
            pub const fn intersects(self, other: Self) -> bool {
                self.0 & other.0 != 0
            }

            /// The flags of this set that are not in `other`.
            #[inline]
            pub const fn difference(self, other: Self) -> Self {
                Self(self.0 & !other.0)
            }

            /// True if no flag is in this set.
            #[inline]
            pub const fn is_empty(self) -> bool {
                self.0 == 0
            }

            /// The flag of this name, whose case does not matter.
            pub fn from_name(name: &[u8]) -> Option<Self> {
                let named = |(text, _): &&(&str, Self)| name.eq_ignore_ascii_case(text.as_bytes());
                Self::NAMES.iter().find(named).map(|&(_, flag)| flag)
            }

            /// The names of the flags in this set.
            pub fn names(self) -> impl Iterator<Item = &'static str> {
                Self::NAMES.iter().filter(move |(_, flag)| self.contains(*flag)).map(|&(text, _)| text)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_set().entries(self.names()).finish()
            }
        }
    )*};
}

set_operations! {
    CommandFlags: u64,
    AclCategories: u64,
    KeyFlags: u16,
    DocFlags: u8,
    ArgFlags: u8,
}

impl CommandFlags {
    /// Flags that replies do not show, because they matter to the server alone.
    pub const HIDDEN: Self = Self::MAY_REPLICATE
        .union(Self::SENTINEL)
        .union(Self::ONLY_SENTINEL)
        .union(Self::PROTECTED)
        .union(Self::TOUCHES_ARBITRARY_KEYS);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_know_their_places_and_relations() {
        for (place, spec) in COMMANDS.iter().enumerate() {
            assert_eq!(spec.id.index(), place);
            assert!(std::ptr::eq(spec.id.spec(), spec));
            let full =
                spec.container.map_or(spec.name.to_owned(), |id| format!("{}|{}", id.spec().name, spec.name));
            assert_eq!(spec.fullname, full);
            if let Some(container) = spec.container {
                assert!(container.spec().subcommands.contains(&spec.id) && spec.subcommands.is_empty());
            }
            for subcommand in spec.subcommands {
                assert_eq!(subcommand.spec().container, Some(spec.id));
            }
            // A container alone lacks a word, so nothing without a procedure is ever called.
            assert!(spec.proc.is_some() || !spec.accepts_argc(1));
        }
    }

    #[test]
    fn arity_counts_the_container_and_its_sign_opens_the_end() {
        let spec = |name: &[u8]| CommandTable::new().lookup_fullname(name).unwrap();
        let count = spec(b"command|count");
        assert_eq!([1, 2, 3].map(|argc| count.accepts_argc(argc)), [false, true, false]);
        let getkeys = spec(b"command|getkeys");
        assert_eq!([2, 3, 4, 1000].map(|argc| getkeys.accepts_argc(argc)), [false, true, true, true]);
        assert!(spec(b"command").accepts_argc(1));
    }

    #[test]
    fn first_key_is_told_when_the_line_has_it() {
        for spec in COMMANDS.iter().filter(|spec| spec.first_key != 0) {
            let pos = usize::try_from(spec.first_key).unwrap();
            assert_eq!((spec.first_key_pos(pos), spec.first_key_pos(pos + 1)), (None, Some(pos)));
            assert!(pos <= spec.arity.unsigned_abs().into(), "{}", spec.fullname);
            assert!(spec.key_step > 0 && spec.last_key != 0, "{}", spec.fullname);
        }
        let without = CommandTable::new().lookup(b"command").unwrap();
        assert_eq!((without.first_key_pos(9), without.last_key, without.key_step), (None, 0, 0));
    }

    #[test]
    fn arguments_refer_to_key_specs_that_are_there() {
        fn check(spec: &CommandSpec, args: &[CommandArg]) {
            for arg in args {
                assert!(arg.key_spec_index.is_none_or(|index| usize::from(index) < spec.key_specs.len()));
                assert_eq!(arg.kind.is_group(), !arg.args.is_empty());
                assert!(arg.kind != ArgType::PureToken || arg.token.is_some());
                check(spec, arg.args);
            }
        }
        COMMANDS.iter().for_each(|spec| check(spec, spec.docs.args));
    }

    #[test]
    fn categories_follow_from_flags() {
        for spec in &COMMANDS {
            let (flags, categories) = (spec.flags, spec.acl_categories);
            assert_eq!(flags.contains(CommandFlags::FAST), categories.contains(AclCategories::FAST));
            assert_ne!(flags.contains(CommandFlags::FAST), categories.contains(AclCategories::SLOW));
            assert_eq!(flags.contains(CommandFlags::WRITE), categories.contains(AclCategories::WRITE));
            assert!(!flags.contains(CommandFlags::ADMIN) || categories.contains(AclCategories::DANGEROUS));
        }
    }

    #[test]
    fn sets_name_their_flags_in_order() {
        let flags = CommandFlags::FAST.union(CommandFlags::READONLY);
        assert_eq!(flags.names().collect::<Vec<_>>(), ["readonly", "fast"]);
        assert_eq!(format!("{:?}", flags.difference(CommandFlags::FAST)), r#"{"readonly"}"#);
        assert_eq!(AclCategories::from_name(b"SortedSet"), Some(AclCategories::SORTED_SET));
        assert_eq!(AclCategories::from_name(b"@read"), None);
        assert!(KeyFlags::default().is_empty() && !KeyFlags::RO.intersects(KeyFlags::RW));
        for (bit, (name, flag)) in CommandFlags::NAMES.iter().enumerate() {
            assert_eq!(flag.bits(), 1 << bit, "{name}");
        }
        for (bit, (name, flag)) in AclCategories::NAMES.iter().enumerate() {
            assert_eq!(flag.bits(), 1 << bit, "{name}");
        }
    }
}
