//! The directives, a row each.
//!
//! ```text
//! /// What it means, with the unit.
//! "name" | "alias" field: Type = default, Kind, [Flags] => Effect;
//! ```
//!
//! Alias, flags and effect may be missing. Names, bounds and defaults are those of Redis 8.0.2. Directives of
//! subsystems that are not there yet have no row, and are refused as unknown.

use std::path::PathBuf;

use super::kind::{
    Addresses, AnyText, BufferLimits, Choice, Directory, EntryName, EventClasses, Field, FileName, Hertz,
    Int, Kind, Memory, Octal, OomAdjustments, OptionalText, Percentiles, SavePointList, ShutdownOptions,
    Slot, TitleTemplate, YesNo,
};
use super::types::{
    AppendFsync, EvictionPolicy, LogLevel, NotifyFlags, OomScoreAdj, OomValues, OutputLimits,
    ProtectedAction, RdbVersion, SanitizeDump, SavePoints, ShutdownFlags, Supervised, SyslogFacility,
};
use super::{Effect, Flag, Origin};

/// A directive.
pub struct Directive {
    /// Its name.
    pub name: &'static str,
    /// Another name that means the same.
    pub alias: Option<&'static str>,
    /// What is special about it.
    pub flags: &'static [Flag],
    /// What to do when it changes.
    pub effect: Effect,
    /// Its value within a [`Config`].
    pub slot: &'static dyn Slot,
}

impl Directive {
    /// The directive of this name or alias, in any case.
    pub fn find(name: &[u8]) -> Option<&'static Directive> {
        DIRECTIVES.iter().find(|d| d.names().any(|n| name.eq_ignore_ascii_case(n.as_bytes())))
    }

    /// Name and alias.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.name).chain(self.alias)
    }

    /// Whether it has this flag.
    pub fn has(&self, flag: Flag) -> bool {
        self.flags.contains(&flag)
    }
}

impl std::fmt::Debug for Directive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Directive").field(&self.name).finish()
    }
}

/// Fails to compile if a row names a kind that does not fit the type of its field.
const fn field<T: PartialEq, K: Kind<T>>(
    get: fn(&Config) -> &T,
    get_mut: fn(&mut Config) -> &mut T,
    default: fn() -> T,
    kind: K,
) -> Field<T, K> {
    Field { get, get_mut, default, kind }
}

/// Makes the struct, its defaults and the table out of the rows.
macro_rules! directives {
    ($(
        $(#[$doc:meta])*
        $name:literal $(| $alias:literal)? $field:ident: $type:ty = $default:expr, $kind:expr
        $(, [$($flag:ident),*])? $(=> $effect:ident)?;
    )*) => {
        /// The value of every directive.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Config {
            $($(#[$doc])* pub $field: $type,)*
            /// Where all this came from.
            pub origin: Origin,
        }

        impl Default for Config {
            fn default() -> Self {
                Self { $($field: $default,)* origin: Origin::default() }
            }
        }

        /// Every directive, in the order in which CONFIG REWRITE adds them to a file.
        pub static DIRECTIVES: &[Directive] = &[$(
            Directive {
                name: $name,
                alias: directives!(@alias $($alias)?),
                flags: &[$($(Flag::$flag),*)?],
                effect: directives!(@effect $($effect)?),
                slot: &field::<$type, _>(|c| &c.$field, |c| &mut c.$field, || $default, $kind),
            },
        )*];
    };
    (@alias) => { None };
    (@alias $alias:literal) => { Some($alias) };
    (@effect) => { Effect::None };
    (@effect $effect:ident) => { Effect::$effect };
}

/// The greatest value of a C `int`, which bounds many directives.
const INT_MAX: i64 = i32::MAX as i64;
const MIB: u64 = 1 << 20;
/// The greatest value of a C `long`, as a number of bytes.
const LONG_MAX: u64 = i64::MAX as u64;

directives! {
    // ---- network ----

    /// Addresses to listen on for TCP. A leading `-` makes an address that is not available no error; `*` and
    /// `::*` stand for all addresses of the family.
    "bind" bind: Vec<String> = vec!["*".into(), "-::*".into()], Addresses => Bind;
    /// TCP port; 0 listens on none.
    "port" port: u16 = 6379, Int { min: 0, max: 65535 } => Port;
    /// Path of a Unix socket to listen on as well.
    "unixsocket" unixsocket: Option<PathBuf> = None, OptionalText, [Immutable];
    /// Permission bits of the Unix socket; 0 leaves them to the umask.
    "unixsocketperm" unixsocketperm: u32 = 0, Octal { max: 0o777 }, [Immutable];
    /// Length of the queue of connections that wait to be accepted.
    "tcp-backlog" tcp_backlog: u32 = 511, Int { min: 0, max: INT_MAX }, [Immutable];
    /// Seconds of silence after which the kernel probes a connection; 0 never probes.
    "tcp-keepalive" tcp_keepalive: u32 = 300, Int { min: 0, max: INT_MAX };
    /// Seconds after which an idle client is closed; 0 keeps it.
    "timeout" timeout: u32 = 0, Int { min: 0, max: INT_MAX };
    /// Most clients at a time.
    "maxclients" maxclients: u32 = 10000, Int { min: 1, max: u32::MAX as i64 } => MaxClients;
    /// Most connections accepted in one turn of the event loop.
    "max-new-connections-per-cycle" max_new_connections_per_cycle: u32 = 10, Int { min: 1, max: 1000 };
    /// Refuse clients of other hosts while the default user has no password.
    "protected-mode" protected_mode: bool = true, YesNo;
    /// Mark (`SO_MARK`) of listening sockets; 0 sets none.
    "socket-mark-id" socket_mark_id: u32 = 0, Int { min: 0, max: u32::MAX as i64 }, [Immutable];

    // ---- clients ----

    /// Most bytes of one argument.
    "proto-max-bulk-len" proto_max_bulk_len: u64 = 512 * MIB, Memory { min: MIB, max: LONG_MAX }, [Debug];
    /// Most bytes that a client may have sent and not yet have had executed.
    "client-query-buffer-limit" client_query_buffer_limit: u64 = 1024 * MIB,
        Memory { min: MIB, max: LONG_MAX }, [Debug];
    /// When a client whose replies pile up is cut off.
    "client-output-buffer-limit" client_output_buffer_limit: OutputLimits = OutputLimits::default(), BufferLimits;

    // ---- process ----

    /// Run in the background.
    "daemonize" daemonize: bool = false, YesNo, [Immutable];
    /// Who started the process.
    "supervised" supervised: Supervised = Supervised::No, Choice, [Immutable];
    /// File that holds the process id.
    "pidfile" pidfile: Option<PathBuf> = None, OptionalText, [Immutable];
    /// Working directory. Absolute once the server runs.
    "dir" dir: PathBuf = PathBuf::from("."), Directory, [Protected, DenyLoading, Volatile] => Dir;
    /// Show a title in the list of processes.
    "set-proc-title" set_proc_title: bool = true, YesNo, [Immutable];
    /// The title, with variables in braces.
    "proc-title-template" proc_title_template: Vec<u8> = b"{title} {listen-addr} {server-mode}".to_vec(),
        TitleTemplate => ProcTitle;
    /// Locale that sorts texts; empty takes it from the environment.
    "locale-collate" locale_collate: Vec<u8> = Vec::new(), AnyText => LocaleCollate;
    /// Keep transparent huge pages away from this process.
    "disable-thp" disable_thp: bool = true, YesNo, [Immutable];
    /// How the kernel's out-of-memory score is adjusted.
    "oom-score-adj" oom_score_adj: OomScoreAdj = OomScoreAdj::No, Choice => OomScore;
    /// The adjustments for a master, a replica and a child that saves.
    "oom-score-adj-values" oom_score_adj_values: OomValues = OomValues::default(), OomAdjustments => OomScore;
    /// Processors of the main thread.
    "server-cpulist" | "server_cpulist" server_cpulist: Option<Vec<u8>> = None, OptionalText, [Immutable];
    /// Processors of the background threads.
    "bio-cpulist" | "bio_cpulist" bio_cpulist: Option<Vec<u8>> = None, OptionalText, [Immutable];
    /// Warnings at start that shall not stop it.
    "ignore-warnings" ignore_warnings: Vec<u8> = Vec::new(), AnyText;
    /// Let the allocator return memory in a thread of its own.
    "jemalloc-bg-thread" jemalloc_bg_thread: bool = true, YesNo => JemallocBgThread;
    /// Threads for reading and writing. One thread does everything here.
    "io-threads" io_threads: u32 = 1, Int { min: 1, max: 128 }, [Immutable, Debug, NoEffect];

    // ---- log ----

    /// How much is logged.
    "loglevel" loglevel: LogLevel = LogLevel::Notice, Choice => LogLevel;
    /// File of the log; empty is standard output.
    "logfile" logfile: PathBuf = PathBuf::new(), AnyText, [Immutable];
    /// Log to the system log as well.
    "syslog-enabled" syslog_enabled: bool = false, YesNo, [Immutable];
    /// Name in the system log.
    "syslog-ident" syslog_ident: Vec<u8> = b"redis".to_vec(), AnyText, [Immutable];
    /// Facility in the system log.
    "syslog-facility" syslog_facility: SyslogFacility = SyslogFacility::Local(0), Choice, [Immutable];
    /// Report a crash before the process ends.
    "crash-log-enabled" crash_log_enabled: bool = true, YesNo => CrashLog;
    /// Test memory after a crash. A crash here leaves the memory to the core dump.
    "crash-memcheck-enabled" crash_memcheck_enabled: bool = true, YesNo, [NoEffect];
    /// End with exit code 1 after a panic, and not by a signal, so that tools which watch the exit see it. For tests.
    "use-exit-on-panic" use_exit_on_panic: bool = false, YesNo, [Hidden];
    /// Milliseconds after which the stacks of a server whose loop does not turn are logged; 0: never.
    "watchdog-period" watchdog_period: u32 = 0, Int { min: 0, max: INT_MAX }, [Hidden] => Watchdog;
    /// Show the logo even if the log is no terminal.
    "always-show-logo" always_show_logo: bool = false, YesNo, [Immutable];
    /// Keep clients' data out of the log.
    "hide-user-data-from-log" hide_user_data_from_log: bool = false, YesNo;

    // ---- security ----

    /// Password of the default user.
    "requirepass" requirepass: Option<Vec<u8>> = None, OptionalText, [Sensitive];
    /// Who may change protected directives.
    "enable-protected-configs" enable_protected_configs: ProtectedAction = ProtectedAction::No, Choice, [Immutable];
    /// Who may use DEBUG.
    "enable-debug-command" enable_debug_command: ProtectedAction = ProtectedAction::No, Choice, [Immutable];

    /// Who may load and unload modules.
    "enable-module-command" enable_module_command: ProtectedAction = ProtectedAction::No, Choice, [Immutable];

    // ---- keyspace ----

    /// Number of databases.
    "databases" databases: u32 = 16, Int { min: 1, max: INT_MAX }, [Immutable];
    /// Turns of periodic work per second, within [`HZ_RANGE`](super::HZ_RANGE).
    "hz" hz: u32 = 10, Hertz;
    /// Raise `hz` with the number of clients.
    "dynamic-hz" dynamic_hz: bool = true, YesNo;
    /// Bytes of memory from which on keys make room, or commands that need more are refused; 0: no limit.
    "maxmemory" maxmemory: u64 = 0, Memory { min: 0, max: u64::MAX } => MaxMemory;
    /// Keys that are looked at to find one that makes room.
    "maxmemory-samples" maxmemory_samples: u32 = 5, Int { min: 1, max: 64 };
    /// How long one command may be held up by making room: 10 is half a millisecond, 100 without end.
    "maxmemory-eviction-tenacity" maxmemory_eviction_tenacity: u32 = 10, Int { min: 0, max: 100 };
    /// Free evicted values in the background.
    "lazyfree-lazy-eviction" lazyfree_lazy_eviction: bool = false, YesNo, [Debug];
    /// Which keys make room, and so which clock keys keep.
    "maxmemory-policy" maxmemory_policy: EvictionPolicy = EvictionPolicy::NoEviction, Choice;
    /// How slowly the counter of accesses grows.
    "lfu-log-factor" lfu_log_factor: u32 = 10, Int { min: 0, max: INT_MAX };
    /// Minutes after which the counter of accesses loses one; 0 never.
    "lfu-decay-time" lfu_decay_time: u32 = 1, Int { min: 0, max: INT_MAX };
    /// Free expired values in the background.
    "lazyfree-lazy-expire" lazyfree_lazy_expire: bool = false, YesNo, [Debug];
    /// Free values that a command replaces in the background.
    "lazyfree-lazy-server-del" lazyfree_lazy_server_del: bool = false, YesNo, [Debug];
    /// Let DEL work as UNLINK.
    "lazyfree-lazy-user-del" lazyfree_lazy_user_del: bool = false, YesNo, [Debug];
    /// Let FLUSHALL, FLUSHDB, SCRIPT FLUSH and FUNCTION FLUSH work in the background unless they say SYNC.
    "lazyfree-lazy-user-flush" lazyfree_lazy_user_flush: bool = false, YesNo, [Debug];
    /// How hard expired keys are looked for.
    "active-expire-effort" active_expire_effort: u32 = 1, Int { min: 1, max: 10 };
    /// Spend a little time of each turn on moving tables to their new size.
    "activerehashing" activerehashing: bool = true, YesNo;
    /// How large a node of a list becomes: -1 to -5 for 4 to 64 KiB, or the number of its elements.
    "list-max-listpack-size" | "list-max-ziplist-size" list_max_listpack_size: i32 = -2,
        Int { min: i32::MIN as i64, max: INT_MAX };
    /// Nodes at either end of a list that are not compressed; 0 compresses none.
    "list-compress-depth" list_compress_depth: u32 = 0, Int { min: 0, max: INT_MAX }, [Debug];
    /// Most members of a sorted set that is a listpack.
    "zset-max-listpack-entries" | "zset-max-ziplist-entries" zset_max_listpack_entries: u64 = 128,
        Int { min: 0, max: i64::MAX };
    /// Most bytes of a member of a sorted set that is a listpack.
    "zset-max-listpack-value" | "zset-max-ziplist-value" zset_max_listpack_value: u64 = 64,
        Memory { min: 0, max: i64::MAX as u64 };
    /// Bytes that a node of a stream has at most; 0 for no limit.
    "stream-node-max-bytes" stream_node_max_bytes: u64 = 4096, Memory { min: 0, max: LONG_MAX }, [Debug];
    /// Entries that a node of a stream has at most; 0 for no limit.
    "stream-node-max-entries" stream_node_max_entries: i64 = 100, Int { min: 0, max: i64::MAX }, [Debug];
    /// Classes of keyspace events that are published.
    "notify-keyspace-events" notify_keyspace_events: NotifyFlags = NotifyFlags::NONE, EventClasses;

    // ---- encodings ----

    /// Most members of a set of integers that is kept as an intset.
    "set-max-intset-entries" set_max_intset_entries: u64 = 512, Int { min: 0, max: i64::MAX };
    /// Most members of a set that is kept as a listpack.
    "set-max-listpack-entries" set_max_listpack_entries: u64 = 128, Int { min: 0, max: i64::MAX };
    /// Most bytes of a member of a set that is kept as a listpack.
    "set-max-listpack-value" set_max_listpack_value: u64 = 64, Int { min: 0, max: i64::MAX };
    /// Most bytes of a HyperLogLog that is kept sparse.
    "hll-sparse-max-bytes" hll_sparse_max_bytes: u64 = 3000, Memory { min: 0, max: LONG_MAX };
    /// Most fields of a hash that is a listpack.
    "hash-max-listpack-entries" | "hash-max-ziplist-entries" hash_max_listpack_entries: u64 = 512,
        Int { min: 0, max: i64::MAX };
    /// Most bytes of a name or value of a hash that is a listpack.
    "hash-max-listpack-value" | "hash-max-ziplist-value" hash_max_listpack_value: u64 = 64,
        Memory { min: 0, max: LONG_MAX };

    // ---- persistence: RDB files ----

    /// When the dataset is saved by itself.
    "save" save: SavePoints = SavePoints::default(), SavePointList, [Cumulative];
    /// Name of the file in the working directory.
    "dbfilename" dbfilename: PathBuf = PathBuf::from("dump.rdb"),
        FileName { error: "dbfilename can't be a path, just a filename" }, [Protected];
    /// Compress strings in the file.
    "rdbcompression" rdbcompression: bool = true, YesNo;
    /// Write a checksum behind the file, and look at it when loading.
    "rdbchecksum" rdbchecksum: bool = true, YesNo, [Immutable];
    /// Version of the files and payloads that are written.
    "rdb-version" rdb_version: RdbVersion = RdbVersion::Auto, Choice;
    /// Whose payloads are checked in full. All are.
    "sanitize-dump-payload" sanitize_dump_payload: SanitizeDump = SanitizeDump::No, Choice, [Debug];
    /// Bring the file to disk as it is written, a bounded amount at a time.
    "rdb-save-incremental-fsync" rdb_save_incremental_fsync: bool = true, YesNo;
    /// Remove files that were only made to bring a replica up to date. There are none without replicas.
    "rdb-del-sync-files" rdb_del_sync_files: bool = false, YesNo;
    /// Refuse writes while the last save by a child has failed.
    "stop-writes-on-bgsave-error" stop_writes_on_bgsave_error: bool = true, YesNo;
    /// Processors of a child that saves.
    "bgsave-cpulist" | "bgsave_cpulist" bgsave_cpulist: Option<Vec<u8>> = None, OptionalText, [Immutable];
    /// Processors of a child that rewrites the append-only file.
    "aof-rewrite-cpulist" | "aof_rewrite_cpulist" aof_rewrite_cpulist: Option<Vec<u8>> = None, OptionalText,
        [Immutable];
    /// Microseconds to wait after each key that is written; -N waits one after every Nth or so. For tests.
    "rdb-key-save-delay" rdb_key_save_delay: i32 = 0, Int { min: i32::MIN as i64, max: INT_MAX }, [Hidden];
    /// The same for each key that is loaded.
    "key-load-delay" key_load_delay: i32 = 0, Int { min: i32::MIN as i64, max: INT_MAX }, [Hidden];
    /// Bytes of a file after which a load serves clients.
    "loading-process-events-interval-bytes" loading_process_events_interval_bytes: u32 = 512 * 1024,
        Int { min: 1024, max: INT_MAX }, [Hidden];

    // ---- persistence: the append-only file ----

    /// Append every change of the dataset to a file.
    "appendonly" appendonly: bool = false, YesNo => AppendOnly;
    /// What the names of the files begin with.
    "appendfilename" appendfilename: Vec<u8> = b"appendonly.aof".to_vec(), EntryName {
        empty: "appendfilename can't be empty",
        path: "appendfilename can't be a path, just a filename",
    }, [Immutable];
    /// The directory of the files, in the working directory.
    "appenddirname" appenddirname: PathBuf = PathBuf::from("appendonlydir"), EntryName {
        empty: "appenddirname can't be empty",
        path: "appenddirname can't be a path, just a dirname",
    }, [Immutable];
    /// When what was appended is brought to disk.
    "appendfsync" appendfsync: AppendFsync = AppendFsync::EverySec, Choice;
    /// Leave that to the system while a child writes a file.
    "no-appendfsync-on-rewrite" no_appendfsync_on_rewrite: bool = false, YesNo;
    /// Growth of the files in percent, since the last rewrite, at which the next one begins; 0 begins none.
    "auto-aof-rewrite-percentage" auto_aof_rewrite_percentage: u32 = 100, Int { min: 0, max: INT_MAX };
    /// Bytes that the files must have for that.
    "auto-aof-rewrite-min-size" auto_aof_rewrite_min_size: u64 = 64 * MIB, Memory { min: 0, max: LONG_MAX };
    /// Cut off what is left of a command at the end of the last file, rather than not start.
    "aof-load-truncated" aof_load_truncated: bool = true, YesNo;
    /// Write the dataset as an RDB file when the files are rewritten, and not as commands.
    "aof-use-rdb-preamble" aof_use_rdb_preamble: bool = true, YesNo;
    /// Note in the file when commands were appended.
    "aof-timestamp-enabled" aof_timestamp_enabled: bool = false, YesNo;
    /// Bring a file to disk as it is rewritten, a bounded amount at a time.
    "aof-rewrite-incremental-fsync" aof_rewrite_incremental_fsync: bool = true, YesNo;
    /// Keep files that a rewrite has made superfluous. For tests.
    "aof-disable-auto-gc" aof_disable_auto_gc: bool = false, YesNo, [Hidden] => AofHistory;

    // ---- observation ----

    /// Milliseconds from which an event is kept by LATENCY; 0 keeps none.
    "latency-monitor-threshold" latency_monitor_threshold: u64 = 0, Int { min: 0, max: i64::MAX } => SlowThreshold;
    /// Keep a histogram of each command's duration.
    "latency-tracking" latency_tracking: bool = true, YesNo;
    /// Percentiles of the histograms that INFO shows.
    "latency-tracking-info-percentiles" latency_tracking_info_percentiles: Vec<f64> = vec![50.0, 99.0, 99.9],
        Percentiles;
    /// Microseconds from which a command is kept by SLOWLOG; 0 keeps all, a negative value none.
    "slowlog-log-slower-than" slowlog_log_slower_than: i64 = 10000, Int { min: -1, max: i64::MAX } => SlowThreshold;
    /// Most commands kept by SLOWLOG.
    "slowlog-max-len" slowlog_max_len: u64 = 128, Int { min: 0, max: i64::MAX };

    // ---- scripts ----

    /// Milliseconds after which clients are answered while a script runs; 0: never.
    "busy-reply-threshold" | "lua-time-limit" busy_reply_threshold: u64 = 5000, Int { min: 0, max: i64::MAX };

    // ---- shutdown ----

    /// Seconds to wait for replicas that lag behind.
    "shutdown-timeout" shutdown_timeout: u32 = 10, Int { min: 0, max: INT_MAX };
    /// How SIGINT ends the process.
    "shutdown-on-sigint" shutdown_on_sigint: ShutdownFlags = ShutdownFlags::default(), ShutdownOptions;
    /// How SIGTERM ends the process.
    "shutdown-on-sigterm" shutdown_on_sigterm: ShutdownFlags = ShutdownFlags::default(), ShutdownOptions;
}
