//! The sets of flags that describe commands: what a command does, which ACL categories it is in, how it treats
//! its keys, and what its arguments look like.
//!
//! Each set is a table of one row a flag: the bit, the constant, the name that files and replies use. The build
//! script includes this file as well, so that the names in `src/commands/*.json`, the constants in the code and the
//! names in replies are the same list. So it holds the tables alone; what one does with a set is in `mod.rs`.

/// Declares a set of named bits: the type, the constants, and the table of their names.
macro_rules! bit_set {
    ($(#[$doc:meta])* $name:ident: $repr:ty { $($(#[$flag_doc:meta])* $bit:literal $flag:ident $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Default)]
        pub struct $name(pub(super) $repr);

        impl $name {
            $($(#[$flag_doc])* pub const $flag: Self = Self(1 << $bit);)*

            /// Every flag with its name, in the order in which replies show them.
            pub const NAMES: &'static [(&'static str, Self)] = &[$(($text, Self::$flag),)*];

            /// The raw bits, one a flag.
            pub const fn bits(self) -> $repr {
                self.0
            }
        }
    };
}

bit_set! {
    /// What the dispatcher has to know about a command before it runs it.
    CommandFlags: u64 {
        /// It may change data: refused on a read-only replica, replicated and written to the AOF.
        0 WRITE "write",
        /// It reads keys and never changes them.
        1 READONLY "readonly",
        /// It may use more memory: refused when `maxmemory` is reached and nothing can be evicted.
        2 DENYOOM "denyoom",
        /// A module brought it.
        3 MODULE "module",
        /// It administers the server.
        4 ADMIN "admin",
        /// It concerns channels.
        5 PUBSUB "pubsub",
        /// A script may not call it.
        6 NOSCRIPT "noscript",
        /// It may block its client.
        7 BLOCKING "blocking",
        /// It runs while the dataset is loaded.
        8 LOADING "loading",
        /// It runs on a replica whose link is down and that must not serve stale data.
        9 STALE "stale",
        /// MONITOR does not show it.
        10 SKIP_MONITOR "skip_monitor",
        /// The slow log does not record it.
        11 SKIP_SLOWLOG "skip_slowlog",
        /// It behaves as if ASKING came before it.
        12 ASKING "asking",
        /// It takes constant or logarithmic time.
        13 FAST "fast",
        /// It needs no authentication.
        14 NO_AUTH "no_auth",
        /// It may replicate something although it is no write.
        15 MAY_REPLICATE "may_replicate",
        /// A sentinel has it too.
        16 SENTINEL "sentinel",
        /// Only a sentinel has it.
        17 ONLY_SENTINEL "only_sentinel",
        /// Its number of keys may be zero.
        18 NO_MANDATORY_KEYS "no_mandatory_keys",
        /// It is refused unless the configuration allows it (`enable-debug-command` and the like).
        19 PROTECTED "protected",
        /// It is refused during an asynchronous load.
        20 NO_ASYNC_LOADING "no_async_loading",
        /// A transaction may not queue it.
        21 NO_MULTI "no_multi",
        /// First, last and step do not tell all its keys. The build script finds this out from the key specs.
        22 MOVABLE_KEYS "movablekeys",
        /// It runs while a script runs for too long.
        23 ALLOW_BUSY "allow_busy",
        /// It touches keys that its arguments do not name, whose expiry must not be bundled with it in a transaction.
        24 TOUCHES_ARBITRARY_KEYS "touches_arbitrary_keys",
    }
}

bit_set! {
    /// ACL categories: the names that rules like `+@read` speak of.
    AclCategories: u64 {
        /// Commands on keys of any type.
        0 KEYSPACE "keyspace",
        /// Commands that read keys.
        1 READ "read",
        /// Commands that change keys.
        2 WRITE "write",
        /// Commands on sets.
        3 SET "set",
        /// Commands on sorted sets.
        4 SORTED_SET "sortedset",
        /// Commands on lists.
        5 LIST "list",
        /// Commands on hashes.
        6 HASH "hash",
        /// Commands on strings.
        7 STRING "string",
        /// Commands on strings as arrays of bits.
        8 BITMAP "bitmap",
        /// Commands on HyperLogLogs.
        9 HYPERLOGLOG "hyperloglog",
        /// Commands on geographic indexes.
        10 GEO "geo",
        /// Commands on streams.
        11 STREAM "stream",
        /// Commands on channels.
        12 PUBSUB "pubsub",
        /// Commands that administer the server.
        13 ADMIN "admin",
        /// Commands in constant or logarithmic time.
        14 FAST "fast",
        /// Every other command.
        15 SLOW "slow",
        /// Commands that may block their client.
        16 BLOCKING "blocking",
        /// Commands that can do harm by accident.
        17 DANGEROUS "dangerous",
        /// Commands about connections.
        18 CONNECTION "connection",
        /// Commands about transactions.
        19 TRANSACTION "transaction",
        /// Commands about scripts and functions.
        20 SCRIPTING "scripting",
    }
}

bit_set! {
    /// How a command treats a key: one of the first four for the value as a whole, then what it does to the user's
    /// data in it, then marks about the key spec itself.
    KeyFlags: u16 {
        /// The value is read.
        0 RO "RO",
        /// The value is changed.
        1 RW "RW",
        /// The value is replaced, whatever it was.
        2 OW "OW",
        /// The key is deleted.
        3 RM "RM",
        /// The data is returned or copied, or tells something of itself in the reply.
        4 ACCESS "access",
        /// Data is changed, and what the new data is may depend on the old.
        5 UPDATE "update",
        /// Data is added; what was there stays.
        6 INSERT "insert",
        /// Some of the data, or all of it, is deleted.
        7 DELETE "delete",
        /// Not the name of a key, but something that is routed to a cluster slot as one (a shard channel).
        8 NOT_KEY "not_key",
        /// The spec may miss keys.
        9 INCOMPLETE "incomplete",
        /// The flags depend on the arguments; only the command's own function knows them.
        10 VARIABLE_FLAGS "variable_flags",
    }
}

bit_set! {
    /// What COMMAND DOCS says about the standing of a command.
    DocFlags: u8 {
        /// Something else has replaced it.
        0 DEPRECATED "deprecated",
        /// It serves the server itself and not its users.
        1 SYSCMD "syscmd",
    }
}

bit_set! {
    /// How often an argument may come.
    ArgFlags: u8 {
        /// It may be left out.
        0 OPTIONAL "optional",
        /// It may be repeated.
        1 MULTIPLE "multiple",
        /// When it is repeated, its token is repeated with it.
        2 MULTIPLE_TOKEN "multiple_token",
    }
}
