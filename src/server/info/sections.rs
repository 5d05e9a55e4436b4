//! The sections of INFO and their fields, in upstream's order.

use std::fmt::Write;

use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeVal;

use crate::db::evict;
use crate::io::monotonic;
use crate::persistence::aof::AofState;
use crate::persistence::child::Purpose;
use crate::server::commands::{COMMANDS, CommandSpec};
use crate::server::config::{Named, Supervised};
use crate::server::stats::CommandStats;
use crate::server::version::{ARCH_BITS, OCHRE_VERSION, REDIS_VERSION};
use crate::zmalloc;

use super::{Field, Section, Shown, View, human_bytes};
use crate::server::memory::system_memory;

/// Rows of fields: a name, and the arguments of `format!` for its value, in which `v` is the [`View`].
macro_rules! fields {
    ($v:ident; $($name:literal: $($arg:expr),+;)*) => {
        &[$(($name, |$v: &View<'_>, out: &mut String| {
            let _ = $v;
            // Writing to a string cannot fail.
            let _ = write!(out, $($arg),+);
        })),*]
    };
}

/// Writes a line; writing to a string cannot fail.
macro_rules! line {
    ($out:expr, $($arg:expr),+) => {{
        let _ = write!($out, $($arg),+);
        $out.push_str("\r\n");
    }};
}

pub(super) const SECTIONS: &[Section] = &[
    Section {
        name: "server",
        title: "Server",
        shown: Shown::ByDefault,
        fields: SERVER,
        lines: Some(listeners),
    },
    Section { name: "clients", title: "Clients", shown: Shown::ByDefault, fields: CLIENTS, lines: None },
    Section { name: "memory", title: "Memory", shown: Shown::ByDefault, fields: MEMORY, lines: None },
    Section {
        name: "persistence",
        title: "Persistence",
        shown: Shown::ByDefault,
        fields: PERSISTENCE,
        lines: Some(files),
    },
    Section { name: "threads", title: "Threads", shown: Shown::ByDefault, fields: THREADS, lines: None },
    Section { name: "stats", title: "Stats", shown: Shown::ByDefault, fields: STATS, lines: None },
    Section {
        name: "replication",
        title: "Replication",
        shown: Shown::ByDefault,
        fields: REPLICATION,
        lines: None,
    },
    Section { name: "cpu", title: "CPU", shown: Shown::ByDefault, fields: CPU, lines: None },
    Section { name: "modules", title: "Modules", shown: Shown::ByDefault, fields: &[], lines: None },
    Section {
        name: "commandstats",
        title: "Commandstats",
        shown: Shown::WithAll,
        fields: &[],
        lines: Some(command_stats),
    },
    Section {
        name: "errorstats",
        title: "Errorstats",
        shown: Shown::ByDefault,
        fields: &[],
        lines: Some(error_stats),
    },
    Section {
        name: "latencystats",
        title: "Latencystats",
        shown: Shown::WithAll,
        fields: &[],
        lines: Some(latency_stats),
    },
    Section { name: "cluster", title: "Cluster", shown: Shown::ByDefault, fields: CLUSTER, lines: None },
    Section {
        name: "keyspace",
        title: "Keyspace",
        shown: Shown::ByDefault,
        fields: &[],
        lines: Some(keyspace),
    },
    Section {
        name: "keysizes",
        title: "Keysizes",
        shown: Shown::ByDefault,
        fields: &[],
        lines: Some(keysizes),
    },
];

const SERVER: &[Field] = fields! { v;
    "redis_version": "{REDIS_VERSION}";
    "ochre_version": "{OCHRE_VERSION}";
    "redis_git_sha1": "00000000";
    "redis_git_dirty": "0";
    "redis_build_id": "0";
    "redis_mode": "standalone";
    "os": "{}", system_name();
    "arch_bits": "{ARCH_BITS}";
    "monotonic_clock": "{}", monotonic::source_name();
    "multiplexing_api": "epoll";
    "atomicvar_api": "rust-core";
    "gcc_version": "0.0.0";
    "process_id": "{}", v.srv.process.pid;
    "process_supervised": "{}", supervisor(v.srv.process.supervised);
    "run_id": "{}", v.srv.process.run_id;
    "tcp_port": "{}", v.srv.config.port;
    "server_time_usec": "{}", v.srv.clock.unix_us;
    "uptime_in_seconds": "{}", uptime_s(v);
    "uptime_in_days": "{}", uptime_s(v) / 86400;
    "hz": "{}", v.srv.cron.hz;
    "configured_hz": "{}", v.srv.config.hz;
    "lru_clock": "{}", evict::lru_clock(&v.srv.clock);
    "executable": "{}", v.srv.process.executable.display();
    "config_file": "{}", v.srv.process.config_file.as_deref().unwrap_or("".as_ref()).display();
    "io_threads_active": "0";
};

fn system_name() -> String {
    nix::sys::utsname::uname().map_or_else(
        |_| "unknown".into(),
        |u| {
            let [name, release, machine] =
                [u.sysname(), u.release(), u.machine()].map(|part| part.to_string_lossy().into_owned());
            format!("{name} {release} {machine}")
        },
    )
}

fn supervisor(supervised: Supervised) -> &'static str {
    match supervised {
        Supervised::Auto => "unknown",
        known => known.name(),
    }
}

fn uptime_s(v: &View<'_>) -> u64 {
    v.srv.clock.unix_ms.saturating_sub(v.srv.process.start_ms) / 1000
}

/// A line for each way in.
fn listeners(v: &View<'_>, out: &mut String) {
    let mut number = 0;
    if v.srv.config.port != 0 {
        let binds: String = v.srv.config.bind.iter().map(|address| format!(",bind={address}")).collect();
        line!(out, "listener{number}:name=tcp{binds},port={}", v.srv.config.port);
        number += 1;
    }
    if let Some(path) = &v.srv.config.unixsocket {
        line!(out, "listener{number}:name=unix,bind={}", path.display());
    }
}

const CLIENTS: &[Field] = fields! { v;
    "connected_clients": "{}", v.srv.clients.len();
    "cluster_connections": "0";
    "maxclients": "{}", v.srv.config.maxclients;
    "client_recent_max_input_buffer": "{}", v.clients().map(|c| c.input.mem_bytes()).max().unwrap_or(0);
    "client_recent_max_output_buffer": "{}", v.clients().map(|c| c.out.queue_bytes()).max().unwrap_or(0);
    "blocked_clients": "{}", v.srv.net.paused.len() + v.srv.blocked.clients();
    "tracking_clients": "0";
    "pubsub_clients": "{}", v.srv.pubsub.client_count();
    "watching_clients": "{}", v.srv.watches.clients();
    "clients_in_timeout_table": "{}", v.srv.blocked.deadlines();
    "total_watched_keys": "{}", v.srv.watches.keys();
    "total_blocking_keys": "{}", v.srv.blocked.keys();
    "total_blocking_keys_on_nokey": "{}", v.srv.blocked.keys_on_nokey();
};

const MEMORY: &[Field] = fields! { v;
    "used_memory": "{}", v.memory().used;
    "used_memory_human": "{}", human_bytes(v.memory().used);
    "used_memory_rss": "{}", v.memory().process_rss;
    "used_memory_rss_human": "{}", human_bytes(v.memory().process_rss);
    "used_memory_peak": "{}", v.memory().peak;
    "used_memory_peak_human": "{}", human_bytes(v.memory().peak);
    "used_memory_peak_perc": "{:.2}%", v.memory().peak_percent();
    "used_memory_overhead": "{}", v.memory().overhead();
    "used_memory_startup": "{}", v.memory().startup;
    "used_memory_dataset": "{}", v.memory().dataset();
    "used_memory_dataset_perc": "{:.2}%", v.memory().dataset_percent();
    "allocator_allocated": "{}", v.memory().allocator.allocated;
    "allocator_active": "{}", v.memory().allocator.active;
    "allocator_resident": "{}", v.memory().allocator.resident;
    "allocator_muzzy": "{}", v.memory().allocator.muzzy;
    "total_system_memory": "{}", system_memory();
    "total_system_memory_human": "{}", human_bytes(system_memory());
    "used_memory_lua": "{}", v.srv.scripting.eval.engine().used_memory();
    "used_memory_vm_eval": "{}", v.srv.scripting.eval.engine().used_memory();
    "used_memory_lua_human": "{}", human_bytes(v.srv.scripting.eval.engine().used_memory());
    "used_memory_scripts_eval": "{}", v.srv.scripting.eval.cache_bytes();
    "number_of_cached_scripts": "{}", v.srv.scripting.eval.len();
    "number_of_functions": "{}", v.srv.scripting.functions.libraries.functions_len();
    "number_of_libraries": "{}", v.srv.scripting.functions.libraries.len();
    "used_memory_vm_functions": "{}", v.srv.scripting.functions.vm_bytes();
    "used_memory_vm_total": "{}", v.srv.scripting.engines_bytes();
    "used_memory_vm_total_human": "{}", human_bytes(v.srv.scripting.engines_bytes());
    "used_memory_functions": "{}", v.srv.scripting.functions.libraries.mem_bytes();
    "used_memory_scripts": "{}", v.srv.scripting.cache_bytes();
    "used_memory_scripts_human": "{}", human_bytes(v.srv.scripting.cache_bytes());
    "maxmemory": "{}", v.srv.config.maxmemory;
    "maxmemory_human": "{}", human_bytes(v.srv.config.maxmemory as usize);
    "maxmemory_policy": "{}", v.srv.config.maxmemory_policy.name();
    "allocator_frag_ratio": "{:.2}", v.memory().allocator_fragmentation().ratio;
    "allocator_frag_bytes": "{}", v.memory().allocator_fragmentation().bytes;
    "allocator_rss_ratio": "{:.2}", v.memory().allocator_rss().ratio;
    "allocator_rss_bytes": "{}", v.memory().allocator_rss().bytes;
    "rss_overhead_ratio": "{:.2}", v.memory().rss_overhead().ratio;
    "rss_overhead_bytes": "{}", v.memory().rss_overhead().bytes;
    "mem_fragmentation_ratio": "{:.2}", v.memory().fragmentation().ratio;
    "mem_fragmentation_bytes": "{}", v.memory().fragmentation().bytes;
    "mem_not_counted_for_evict": "0";
    "mem_replication_backlog": "0";
    "mem_total_replication_buffers": "0";
    "mem_replica_full_sync_buffer": "0";
    "mem_clients_slaves": "0";
    "mem_clients_normal": "{}", v.memory().clients;
    "mem_cluster_links": "0";
    "mem_aof_buffer": "{}", v.srv.persistence.aof.out.buffer_capacity();
    "mem_allocator": "{}", zmalloc::allocator_name();
    "mem_overhead_db_hashtable_rehashing": "0";
    "active_defrag_running": "0";
    "lazyfree_pending_objects": "{}", v.srv.lazyfree.pending();
    "lazyfreed_objects": "{}", v.srv.lazyfree.freed();
};

const PERSISTENCE: &[Field] = fields! { v;
    "loading": "{}", u8::from(v.srv.persistence.loading.is_on());
    "async_loading": "0";
    "current_cow_peak": "{}", v.srv.persistence.children.copied_peak;
    "current_cow_size": "{}", v.srv.persistence.children.copied;
    "current_cow_size_age": "{}", v.srv.persistence.children.copied_age_s();
    "current_fork_perc": "{:.2}", v.srv.persistence.children.percent();
    "current_save_keys_processed": "{}", v.srv.persistence.children.keys_done;
    "current_save_keys_total": "{}", v.srv.persistence.children.keys_total;
    "rdb_changes_since_last_save": "{}", v.srv.persistence.rdb.changes(&v.srv.stats);
    "rdb_bgsave_in_progress": "{}", u8::from(v.srv.persistence.children.active() == Some(Purpose::Rdb));
    "rdb_last_save_time": "{}", v.srv.persistence.rdb.last_save_s;
    "rdb_last_bgsave_status": "{}", ok_or_err(!v.srv.persistence.rdb.failed);
    "rdb_last_bgsave_time_sec": "{}", v.srv.persistence.rdb.last_duration_s.map_or(-1, |s| s as i64);
    "rdb_current_bgsave_time_sec": "{}", running_s(v, Purpose::Rdb);
    "rdb_saves": "{}", v.srv.persistence.rdb.saves;
    "rdb_last_cow_size": "{}", v.srv.persistence.children.last_copied(Purpose::Rdb);
    "rdb_last_load_keys_expired": "{}", v.srv.persistence.loading.keys_expired;
    "rdb_last_load_keys_loaded": "{}", v.srv.persistence.loading.keys_loaded;
    "aof_enabled": "{}", u8::from(v.srv.persistence.aof.state != AofState::Off);
    "aof_rewrite_in_progress": "{}", u8::from(v.srv.persistence.children.active() == Some(Purpose::Aof));
    "aof_rewrite_scheduled": "{}", u8::from(v.srv.persistence.aof.rewrite.scheduled);
    "aof_last_rewrite_time_sec": "{}", v.srv.persistence.aof.rewrite.last_seconds.map_or(-1, |s| s as i64);
    "aof_current_rewrite_time_sec": "{}", running_s(v, Purpose::Aof);
    "aof_last_bgrewrite_status": "{}", ok_or_err(!v.srv.persistence.aof.rewrite.failed);
    "aof_rewrites": "{}", v.srv.persistence.aof.rewrite.count;
    "aof_rewrites_consecutive_failures": "{}", v.srv.persistence.aof.rewrite.failures_in_a_row;
    "aof_last_write_status": "{}", ok_or_err(!v.srv.persistence.aof.is_failing());
    "aof_last_cow_size": "{}", v.srv.persistence.children.last_copied(Purpose::Aof);
    "module_fork_in_progress": "0";
    "module_fork_last_cow_size": "0";
};

fn ok_or_err(ok: bool) -> &'static str {
    if ok { "ok" } else { "err" }
}

/// Seconds that the child of this purpose has been at work, or -1.
fn running_s(v: &View<'_>, purpose: Purpose) -> i64 {
    let started_s = v.srv.persistence.children.started_s(purpose);
    started_s.map_or(-1, |started_s| v.srv.clock.unix_s().saturating_sub(started_s) as i64)
}

/// How large the append-only file is, if there is one, and how far a load, if there is one.
fn files(v: &View<'_>, out: &mut String) {
    if v.srv.config.appendonly {
        let aof = &v.srv.persistence.aof;
        line!(out, "aof_current_size:{}", aof.current_size);
        line!(out, "aof_base_size:{}", aof.base_size);
        line!(out, "aof_pending_rewrite:{}", u8::from(aof.rewrite.scheduled));
        line!(out, "aof_buffer_length:{}", aof.out.buffered());
        line!(out, "aof_pending_bio_fsync:{}", aof.out.sync.pending());
        line!(out, "aof_delayed_fsync:{}", aof.out.delayed_syncs);
    }
    let Some(loading) = v.srv.persistence.loading.current() else { return };
    line!(out, "loading_start_time:{}", loading.start_s);
    line!(out, "loading_total_bytes:{}", loading.total_bytes);
    line!(out, "loading_rdb_used_mem:{}", loading.saved_memory);
    line!(out, "loading_loaded_bytes:{}", loading.loaded_bytes);
    line!(out, "loading_loaded_perc:{:.2}", loading.percent());
    line!(out, "loading_eta_seconds:{}", loading.eta_s(v.srv.clock.unix_s()));
}

const THREADS: &[Field] = fields! { v;
    "io_thread_0": "clients={},reads={},writes={}",
        v.srv.clients.len(), v.srv.stats.reads_processed, v.srv.stats.writes_processed;
};

const STATS: &[Field] = fields! { v;
    "total_connections_received": "{}", v.srv.stats.connections_received;
    "total_commands_processed": "{}", v.srv.stats.commands_processed;
    "instantaneous_ops_per_sec": "{}", v.srv.stats.ops_rate.per_second();
    "total_net_input_bytes": "{}", v.srv.stats.net_input_bytes;
    "total_net_output_bytes": "{}", v.srv.stats.net_output_bytes;
    "total_net_repl_input_bytes": "0";
    "total_net_repl_output_bytes": "0";
    "instantaneous_input_kbps": "{:.2}", v.srv.stats.net_in_rate.per_second() as f64 / 1024.0;
    "instantaneous_output_kbps": "{:.2}", v.srv.stats.net_out_rate.per_second() as f64 / 1024.0;
    "instantaneous_input_repl_kbps": "0.00";
    "instantaneous_output_repl_kbps": "0.00";
    "rejected_connections": "{}", v.srv.stats.rejected_connections;
    "sync_full": "0";
    "sync_partial_ok": "0";
    "sync_partial_err": "0";
    "expired_subkeys": "{}", v.srv.stats.expired_subkeys;
    "expired_keys": "{}", v.srv.stats.expired_keys;
    "expired_stale_perc": "{:.2}", v.srv.stats.expired_stale_perc;
    "expired_time_cap_reached_count": "{}", v.srv.stats.expired_time_cap_reached;
    "expire_cycle_cpu_milliseconds": "{}", v.srv.stats.expire_cycle_ns / 1_000_000;
    "evicted_keys": "{}", v.srv.stats.evicted_keys;
    "evicted_clients": "0";
    "evicted_scripts": "{}", v.srv.scripting.eval.evicted;
    "total_eviction_exceeded_time": "{}", v.srv.eviction.exceeded_ms().0;
    "current_eviction_exceeded_time": "{}", v.srv.eviction.exceeded_ms().1;
    "keyspace_hits": "{}", v.srv.stats.keyspace_hits;
    "keyspace_misses": "{}", v.srv.stats.keyspace_misses;
    "pubsub_channels": "{}", v.srv.pubsub.channel_count();
    "pubsub_patterns": "{}", v.srv.pubsub.pattern_count();
    "pubsubshard_channels": "{}", v.srv.pubsub.shard_channel_count();
    "latest_fork_usec": "{}", v.srv.stats.latest_fork_us;
    "total_forks": "{}", v.srv.stats.total_forks;
    "migrate_cached_sockets": "{}", v.srv.persistence.migrate.len();
    "slave_expires_tracked_keys": "0";
    "active_defrag_hits": "0";
    "active_defrag_misses": "0";
    "active_defrag_key_hits": "0";
    "active_defrag_key_misses": "0";
    "total_active_defrag_time": "0";
    "current_active_defrag_time": "0";
    "tracking_total_keys": "0";
    "tracking_total_items": "0";
    "tracking_total_prefixes": "0";
    "unexpected_error_replies": "0";
    "total_error_replies": "{}", v.srv.stats.error_replies;
    "dump_payload_sanitizations": "0";
    "total_reads_processed": "{}", v.srv.stats.reads_processed;
    "total_writes_processed": "{}", v.srv.stats.writes_processed;
    "io_threaded_reads_processed": "0";
    "io_threaded_writes_processed": "0";
    "client_query_buffer_limit_disconnections": "{}", v.srv.stats.client_query_buffer_limit_disconnections;
    "client_output_buffer_limit_disconnections": "{}", v.srv.stats.client_output_buffer_limit_disconnections;
    "reply_buffer_shrinks": "0";
    "reply_buffer_expands": "0";
    "eventloop_cycles": "{}", v.srv.stats.eventloop_cycles;
    "eventloop_duration_sum": "{}", v.srv.stats.eventloop_ns / 1000;
    "eventloop_duration_cmd_sum": "{}", v.srv.stats.eventloop_cmd_ns / 1000;
    "instantaneous_eventloop_cycles_per_sec": "{}", v.srv.stats.cycle_rate.per_second();
    "acl_access_denied_auth": "{}", v.srv.stats.acl_auth_denied;
    "acl_access_denied_cmd": "0";
    "acl_access_denied_key": "0";
    "acl_access_denied_channel": "0";
};

/// A server without replicas has nothing to tell them apart by, so its run id serves as replication id.
const REPLICATION: &[Field] = fields! { v;
    "role": "master";
    "connected_slaves": "0";
    "master_failover_state": "no-failover";
    "master_replid": "{}", v.srv.process.run_id;
    "master_replid2": "0000000000000000000000000000000000000000";
    "master_repl_offset": "{}", v.srv.propagation.offset;
    "second_repl_offset": "-1";
    "repl_backlog_active": "0";
    "repl_backlog_first_byte_offset": "0";
    "repl_backlog_histlen": "0";
};

const CPU: &[Field] = fields! { v;
    "used_cpu_sys": "{}", cpu(UsageWho::RUSAGE_SELF, Usage::system_time);
    "used_cpu_user": "{}", cpu(UsageWho::RUSAGE_SELF, Usage::user_time);
    "used_cpu_sys_children": "{}", cpu(UsageWho::RUSAGE_CHILDREN, Usage::system_time);
    "used_cpu_user_children": "{}", cpu(UsageWho::RUSAGE_CHILDREN, Usage::user_time);
    "used_cpu_sys_main_thread": "{}", cpu(UsageWho::RUSAGE_THREAD, Usage::system_time);
    "used_cpu_user_main_thread": "{}", cpu(UsageWho::RUSAGE_THREAD, Usage::user_time);
};

/// Seconds of processor time with six decimals.
fn cpu(who: UsageWho, time: fn(&Usage) -> TimeVal) -> String {
    let time = getrusage(who).map_or(TimeVal::new(0, 0), |usage| time(&usage));
    format!("{}.{:06}", time.tv_sec(), time.tv_usec())
}

/// Commands and subcommands with their statistics.
fn commands<'v>(v: &'v View<'_>) -> impl Iterator<Item = (&'static CommandSpec, &'v CommandStats)> {
    COMMANDS.iter().map(|spec| (spec, &v.srv.stats.commands[spec.id.index()]))
}

fn command_stats(v: &View<'_>, out: &mut String) {
    for (spec, stats) in commands(v).filter(|(_, s)| s.calls > 0 || s.rejected > 0 || s.failed > 0) {
        let per_call = if stats.calls == 0 { 0.0 } else { stats.nanos as f64 / 1000.0 / stats.calls as f64 };
        line!(
            out,
            "cmdstat_{}:calls={},usec={},usec_per_call={per_call:.2},rejected_calls={},failed_calls={}",
            spec.fullname,
            stats.calls,
            stats.nanos / 1000,
            stats.rejected,
            stats.failed
        );
    }
}

fn error_stats(v: &View<'_>, out: &mut String) {
    for (code, count) in &v.srv.stats.errors {
        // A code comes from a script at worst, so it may hold what gives a line its structure.
        let code = String::from_utf8_lossy(code).replace(['#', ':', '\n', '\r'], "_");
        line!(out, "errorstat_{code}:count={count}");
    }
}

fn latency_stats(v: &View<'_>, out: &mut String) {
    for (spec, stats) in commands(v) {
        let Some(histogram) = &stats.histogram else { continue };
        let percentiles: Vec<String> = v
            .srv
            .config
            .latency_tracking_info_percentiles
            .iter()
            .map(|p| format!("p{p}={:.3}", histogram.value_at_percentile(*p) as f64 / 1000.0))
            .collect();
        line!(out, "latency_percentiles_usec_{}:{}", spec.fullname, percentiles.join(","));
    }
}

const CLUSTER: &[Field] = fields! { v;
    "cluster_enabled": "0";
};

fn keyspace(v: &View<'_>, out: &mut String) {
    for db in v.srv.dbs.iter().filter(|db| !db.is_empty()) {
        let (keys, expires, ttl) = (db.len(), db.expires_len(), db.avg_ttl_ms);
        let subexpiry = db.keys.due_len();
        line!(out, "db{}:keys={keys},expires={expires},avg_ttl={ttl},subexpiry={subexpiry}", db.id);
    }
}

fn keysizes(v: &View<'_>, out: &mut String) {
    for db in v.srv.dbs.iter().filter(|db| !db.is_empty()) {
        db.keys.sizes().write_info(db.id, out);
    }
}
