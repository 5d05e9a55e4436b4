//! Finding a command by its name, in any case, for every request.
//!
//! A name of up to 16 bytes is told by its length, its first eight bytes and its last eight (which overlap when it is
//! shorter, and are zeros when there are none): two machine words. Both are folded to lower case eight bytes at a
//! time, multiplied together for a hash, and compared with the words of the command that the hash leads to. No byte
//! is looked at on its own and nothing is allocated. Longer names, of which there are few, compare their text as well.
//!
//! The hash leads to a slot of a table of `u16`, 2 KiB in all, which holds the place of the name in a list; collisions
//! go to the next slot. The slots and the part of the list that is used stay in the first-level cache. The hash is not
//! keyed: what is in the table is up to the operator, and a client that sends names of equal hash finds short runs of
//! slots at worst.
//!
//! Subcommands are found in the same way, in a table of their own, where the container counts as a part of the name.
//! `rename-command` changes the list of commands. Names as compiled stay in a second one, because users' rules and
//! commands that the server writes itself mean these.

use std::fmt;

use super::{COMMANDS, CommandFlags, CommandId, CommandSpec};

/// The number of slots of a [`NameIndex`], a power of two and at least double the number of names, so that runs of
/// taken slots are short and there is always an empty one.
const SLOTS: usize = 1024;

const _: () = assert!(COMMANDS.len() <= SLOTS / 2);

/// Marks a slot that holds nothing.
const EMPTY: u16 = u16::MAX;

/// What tells a name of up to [`Packed::WHOLE`] bytes: two words of it, in lower case, its length, and the container
/// it is looked for in.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Packed {
    head: u64,
    tail: u64,
    /// The length in the low half, in the high half the container's place and one, or 0.
    len_and_container: u64,
}

impl Packed {
    /// A name of at most this length is told by its words. Of a longer one, the middle is missing.
    const WHOLE: usize = 16;

    #[inline]
    fn new(name: &[u8], container: Option<CommandId>) -> Self {
        let (head, tail) = match name {
            [] => (0, 0),
            [a, ..] if name.len() < 4 => {
                let (middle, last) = (name[name.len() / 2], name[name.len() - 1]);
                (u64::from(*a) | u64::from(middle) << 8 | u64::from(last) << 16, 0)
            }
            _ if name.len() < 8 => {
                let (Some(first), Some(last)) = (name.first_chunk(), name.last_chunk()) else {
                    unreachable!()
                };
                (u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32, 0)
            }
            _ => {
                let (Some(first), Some(last)) = (name.first_chunk(), name.last_chunk()) else {
                    unreachable!()
                };
                (u64::from_le_bytes(*first), u64::from_le_bytes(*last))
            }
        };
        let container = container.map_or(0, |id| id.index() as u64 + 1);
        let len_and_container = name.len() as u64 | container << 32;
        Self { head: to_lower(head), tail: to_lower(tail), len_and_container }
    }

    /// The slot at which a search for this name begins.
    #[inline]
    fn slot(self) -> usize {
        const K1: u64 = 0x9E37_79B9_7F4A_7C15; // 2^64 divided by the golden ratio
        const K2: u64 = 0xD1B5_4A32_D192_ED03; // the same of its generalisation to two dimensions
        let product = u128::from(self.head ^ K1) * u128::from(self.tail ^ self.len_and_container ^ K2);
        ((product >> 64) as u64 ^ product as u64) as usize % SLOTS
    }
}

/// Folds the ASCII capitals among eight bytes to lower case.
///
/// Each byte's low seven bits get the top bit by adding what separates 'A', or 'Z' and one, from 128; the sums
/// stay within their byte. Bytes that reached it by the first sum and not by the second are capitals, unless they
/// had it to begin with.
#[inline]
const fn to_lower(word: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const TOP: u64 = EACH * 0x80;
    let low = word & !TOP;
    let from_a = low + EACH * (0x80 - b'A' as u64);
    let after_z = low + EACH * (0x80 - b'Z' as u64 - 1);
    let capitals = from_a & !after_z & !word & TOP;
    word | capitals >> 2
}

/// A name and where it leads. What nearly every search reads is in half a cache line.
struct Entry {
    packed: Packed,
    spec: &'static CommandSpec,
}

/// Names of commands, and where each leads.
struct NameIndex {
    slots: Box<[u16; SLOTS]>,
    entries: Vec<Entry>,
    /// The text of each entry's name.
    texts: Vec<Box<[u8]>>,
}

impl NameIndex {
    fn new<'a>(names: impl Iterator<Item = (&'a [u8], &'static CommandSpec)>) -> Self {
        let mut index = Self { slots: Box::new([EMPTY; SLOTS]), entries: Vec::new(), texts: Vec::new() };
        for (name, spec) in names {
            index.insert(name, spec);
        }
        index
    }

    /// Adds a name that is not in the index.
    fn insert(&mut self, name: &[u8], spec: &'static CommandSpec) {
        debug_assert!(self.find(name, spec.container).is_none());
        assert!(self.entries.len() < SLOTS / 2, "commands are renamed and never added");
        let packed = Packed::new(name, spec.container);
        let mut slot = packed.slot();
        while self.slots[slot] != EMPTY {
            slot = (slot + 1) % SLOTS;
        }
        self.slots[slot] = self.entries.len() as u16;
        self.entries.push(Entry { packed, spec });
        self.texts.push(name.into());
    }

    /// The command of a name, and the place of the name in the lists.
    #[inline]
    fn find(&self, name: &[u8], container: Option<CommandId>) -> Option<(&'static CommandSpec, usize)> {
        let packed = Packed::new(name, container);
        let mut slot = packed.slot();
        loop {
            let place = usize::from(self.slots[slot]);
            // Only an empty slot has a place that is in no list.
            let entry = self.entries.get(place)?;
            if entry.packed == packed
                && (name.len() <= Packed::WHOLE || self.texts[place].eq_ignore_ascii_case(name))
            {
                return Some((entry.spec, place));
            }
            slot = (slot + 1) % SLOTS;
        }
    }

    #[inline]
    fn lookup(&self, name: &[u8], container: Option<CommandId>) -> Option<&'static CommandSpec> {
        self.find(name, container).map(|(spec, _)| spec)
    }

    /// Takes out the name at a place, and places the others anew.
    fn remove(&mut self, place: usize) -> &'static CommandSpec {
        let removed = self.entries.remove(place).spec;
        self.texts.remove(place);
        let texts = std::mem::take(&mut self.texts);
        *self = Self::new(texts.iter().map(|text| &**text).zip(self.entries.iter().map(|entry| entry.spec)));
        removed
    }

    fn specs(&self) -> impl ExactSizeIterator<Item = &'static CommandSpec> {
        self.entries.iter().map(|entry| entry.spec)
    }
}

/// The commands that the server has, by name.
pub struct CommandTable {
    /// Commands by the names they have now.
    current: NameIndex,
    /// Commands by the names they were compiled with.
    original: NameIndex,
    /// Subcommands.
    subcommands: NameIndex,
}

/// Why there is no command for a command line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LookupError {
    /// There is none of that name.
    UnknownCommand,
    /// There is one, but it has no subcommand of that name.
    UnknownSubcommand,
}

/// Why a command cannot be renamed. The texts are those that go with a line of the configuration file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RenameError {
    /// There is none of that name, or not any more.
    NoSuchCommand,
    /// Another one has the new name.
    TargetExists,
}

impl fmt::Display for RenameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSuchCommand => "No such command in rename-command",
            Self::TargetExists => "Target command name already exists",
        })
    }
}

impl std::error::Error for RenameError {}

impl CommandTable {
    /// The commands of a server, by their own names.
    pub fn new() -> Self {
        Self::with_mode(false)
    }

    /// The commands of a sentinel, by their own names.
    pub fn sentinel() -> Self {
        Self::with_mode(true)
    }

    fn with_mode(sentinel: bool) -> Self {
        let index = |subcommands: bool| {
            let wanted =
                |spec: &&CommandSpec| spec.container.is_some() == subcommands && is_for(spec, sentinel);
            NameIndex::new(COMMANDS.iter().filter(wanted).map(|spec| (spec.name.as_bytes(), spec)))
        };
        Self { current: index(false), original: index(false), subcommands: index(true) }
    }

    /// The command of a name, in any case.
    #[inline]
    pub fn lookup(&self, name: &[u8]) -> Option<&'static CommandSpec> {
        self.current.lookup(name, None)
    }

    /// The command of a name as compiled, whatever `rename-command` did: what users' rules mean.
    pub fn lookup_original(&self, name: &[u8]) -> Option<&'static CommandSpec> {
        self.original.lookup(name, None)
    }

    /// The subcommand of a name, in any case.
    #[inline]
    pub fn lookup_subcommand(&self, container: &CommandSpec, name: &[u8]) -> Option<&'static CommandSpec> {
        self.subcommands.lookup(name, Some(container.id))
    }

    /// The command that a command line means: by its first word and, if that names a container and there is a
    /// second, the subcommand of that name. A container alone is the answer for its name alone.
    #[inline]
    pub fn resolve(&self, name: &[u8], second: Option<&[u8]>) -> Result<&'static CommandSpec, LookupError> {
        let spec = self.lookup(name).ok_or(LookupError::UnknownCommand)?;
        match second {
            Some(second) if !spec.subcommands.is_empty() => {
                self.lookup_subcommand(spec, second).ok_or(LookupError::UnknownSubcommand)
            }
            _ => Ok(spec),
        }
    }

    /// The command or subcommand of a full name, such as `get` or `client|list`, in any case.
    pub fn lookup_fullname(&self, fullname: &[u8]) -> Option<&'static CommandSpec> {
        match memchr::memchr(b'|', fullname) {
            None => self.lookup(fullname),
            Some(bar) => self.lookup_subcommand(self.lookup(&fullname[..bar])?, &fullname[bar + 1..]),
        }
    }

    /// Gives a command another name, or, if that is empty, takes it out of reach.
    ///
    /// # Errors
    /// If there is no command of the first name, or another has the second. The table is as before then.
    pub fn rename(&mut self, from: &[u8], to: &[u8]) -> Result<(), RenameError> {
        let (_, place) = self.current.find(from, None).ok_or(RenameError::NoSuchCommand)?;
        if !to.is_empty() && self.current.find(to, None).is_some_and(|(_, other)| other != place) {
            return Err(RenameError::TargetExists);
        }
        let spec = self.current.remove(place);
        if !to.is_empty() {
            self.current.insert(to, spec);
        }
        Ok(())
    }

    /// The number of commands, without subcommands.
    pub fn len(&self) -> usize {
        self.current.entries.len()
    }

    /// True if every command was renamed away.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every command that has a name, without subcommands.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'static CommandSpec> {
        self.current.specs()
    }

    /// The subcommands of a command.
    pub fn subcommands(&self, container: &CommandSpec) -> impl Iterator<Item = &'static CommandSpec> {
        let is_there =
            |spec: &&'static CommandSpec| self.lookup_subcommand(container, spec.name.as_bytes()).is_some();
        container.subcommands.iter().map(|id| id.spec()).filter(is_there)
    }
}

impl Default for CommandTable {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CommandTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.current.texts.iter().map(|text| text.escape_ascii().to_string());
        f.debug_map().entries(names.zip(self.current.specs())).finish()
    }
}

/// True if a server, or a sentinel, has this command.
fn is_for(spec: &CommandSpec, sentinel: bool) -> bool {
    if sentinel {
        spec.flags.intersects(CommandFlags::SENTINEL.union(CommandFlags::ONLY_SENTINEL))
    } else {
        !spec.flags.contains(CommandFlags::ONLY_SENTINEL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A spelling of a name with every second letter a capital.
    fn mixed(name: &str) -> Vec<u8> {
        let fold = |(i, byte): (usize, u8)| if i % 2 == 0 { byte.to_ascii_uppercase() } else { byte };
        name.bytes().enumerate().map(fold).collect()
    }

    #[test]
    fn every_command_is_found_in_any_case() {
        let table = CommandTable::new();
        assert_eq!(table.len(), table.iter().count());
        for spec in COMMANDS.iter().filter(|spec| is_for(spec, false)) {
            for name in [
                spec.fullname.to_owned().into_bytes(),
                spec.fullname.to_uppercase().into(),
                mixed(spec.fullname),
            ] {
                assert_eq!(table.lookup_fullname(&name).map(|found| found.id), Some(spec.id));
            }
            let words: Vec<Vec<u8>> = spec.fullname.split('|').map(mixed).collect();
            let found = table.resolve(&words[0], words.get(1).map(Vec::as_slice));
            assert_eq!(found.map(|found| found.id), Ok(spec.id));
        }
    }

    #[test]
    fn near_misses_are_not_found() {
        let table = CommandTable::new();
        for spec in table.iter() {
            let name = spec.name.as_bytes();
            let cut = &name[..name.len() - 1];
            for near in
                [[name, b"\0"].concat(), [name, name, name].concat(), [b" ", name].concat(), cut.to_vec()]
            {
                assert!(table.lookup(&near).is_none_or(|other| other.name.as_bytes() == near));
            }
            // Setting or clearing the bit that tells the case must matter to bytes that are no letters.
            for (i, byte) in name.iter().enumerate().filter(|(_, byte)| !byte.is_ascii_alphabetic()) {
                let mut near = name.to_vec();
                near[i] = byte ^ 0x20;
                assert!(table.lookup(&near).is_none());
            }
        }
        assert!(table.lookup(b"").is_none());
        assert!(table.lookup(&[b'x'; 100_000]).is_none());
    }

    #[test]
    fn a_container_leads_to_its_subcommands_only() {
        let table = CommandTable::new();
        let command = table.lookup(b"COMMAND").unwrap();
        assert_eq!(table.resolve(b"command", None).unwrap().id, command.id);
        assert_eq!(table.resolve(b"Command", Some(b"Count")).unwrap().fullname, "command|count");
        assert_eq!(table.resolve(b"command", Some(b"list|x")).unwrap_err(), LookupError::UnknownSubcommand);
        assert_eq!(table.resolve(b"command|count", None).unwrap_err(), LookupError::UnknownCommand);
        assert!(table.lookup_fullname(b"command|count|").is_none());
        assert!(table.lookup_fullname(b"command|").is_none());
        assert!(table.lookup_fullname(b"|count").is_none());
    }

    #[test]
    fn rename_moves_hides_and_refuses() {
        let mut table = CommandTable::new();
        let all = table.len();
        let id = table.lookup(b"command").unwrap().id;
        assert_eq!(table.rename(b"no-such", b"x"), Err(RenameError::NoSuchCommand));
        assert_eq!(table.rename(b"command|count", b"x"), Err(RenameError::NoSuchCommand));

        let long = b"A-name-that-is-longer-than-two-words";
        table.rename(b"COMMAND", long).unwrap();
        assert!(table.lookup(b"command").is_none());
        assert_eq!(table.lookup(&long.to_ascii_lowercase()).unwrap().id, id);
        assert!(table.lookup(b"A-name-that-IS_longer-than-two-words").is_none());
        assert_eq!(table.lookup_original(b"Command").unwrap().id, id);
        assert_eq!(table.rename(b"command", b"y"), Err(RenameError::NoSuchCommand));

        table.rename(long, &long.to_ascii_uppercase()).unwrap();
        assert_eq!(table.len(), all);
        table.rename(long, b"").unwrap();
        assert_eq!((table.len(), table.lookup(long).is_none()), (all - 1, true));
        assert!(table.iter().all(|spec| spec.id != id));
    }

    #[test]
    fn rename_to_a_taken_name_changes_nothing() {
        let mut table = CommandTable::new();
        // A second name is needed, whatever commands there are.
        table.current.insert(b"taken", table.lookup(b"command").unwrap());
        assert_eq!(table.rename(b"command", b"TAKEN"), Err(RenameError::TargetExists));
        assert!(table.lookup(b"command").is_some() && table.lookup(b"taken").is_some());
    }

    #[test]
    fn a_sentinel_has_only_what_is_meant_for_it() {
        let (server, sentinel) = (CommandTable::new(), CommandTable::sentinel());
        assert!(sentinel.lookup(b"command").is_some());
        assert!(sentinel.iter().all(|spec| is_for(spec, true)));
        assert!(server.iter().all(|spec| !spec.flags.contains(CommandFlags::ONLY_SENTINEL)));
    }

    proptest! {
        #[test]
        fn words_fold_as_bytes_do(bytes: [u8; 8]) {
            let folded = to_lower(u64::from_le_bytes(bytes)).to_le_bytes();
            prop_assert_eq!(folded, bytes.map(|byte| byte.to_ascii_lowercase()));
        }

        #[test]
        fn names_are_equal_as_their_texts_are(
            a in prop::collection::vec(prop::sample::select(b"aAbZz@[`{\0\xc1\xe1".to_vec()), 0..16),
            b in prop::collection::vec(prop::sample::select(b"aAbZz@[`{\0\xc1\xe1".to_vec()), 0..16),
        ) {
            prop_assert_eq!(Packed::new(&a, None) == Packed::new(&b, None), a.eq_ignore_ascii_case(&b));
        }
    }
}
