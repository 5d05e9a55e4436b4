//! What time brings: the timers of the loop and the periodic work of the server.
//!
//! `server_cron` runs `hz` times a second. It samples rates, looks after a share of the clients (so that each is
//! seen once a second), drives active expiry, and acts on signals.

use std::time::Duration;

use crate::db::{expire, hexpire};
use crate::io::monotonic;
use crate::persistence::{aof, child, save};
use crate::scripting::script_lua::ldb::forked;
use crate::server::client::ClientFlags;
use crate::server::networking;
use crate::server::{Server, crash, signals};
use crate::zmalloc;

/// Fewest clients looked at in a run: upstream's `CLIENTS_CRON_MIN_ITERATIONS`.
const MIN_CLIENTS: usize = 5;

/// With `dynamic-hz`, a run looks after at most this many clients before the rate doubles.
const MAX_CLIENTS_PER_RUN: usize = 200;

/// Highest rate of the cron.
const MAX_HZ: u64 = 500;

/// Interval of the samples of instantaneous rates.
const SAMPLE_MS: u64 = 100;

/// Interval of the line about keys and clients in the debug log.
const REPORT_MS: u64 = 5000;

/// Nanoseconds that tables may take in a run to catch up with their size, and buckets between looks at the clock.
const MAINTENANCE_NS: u64 = 1_000_000;
const MAINTENANCE_STEPS: usize = 32;

/// Timers and what they keep between runs.
#[derive(Debug, Default)]
pub struct Cron {
    /// Runs so far.
    pub runs: u64,
    /// Runs a second at present: `hz`, or more with many clients.
    pub hz: u64,
    /// Where the active expiry is.
    pub active_expire: expire::ActiveExpire,
    /// The database where the active expiry of fields begins.
    pub field_expire_db: usize,
    next_ns: u64,
    next_client: usize,
    last_sample_ms: u64,
    last_report_ms: u64,
}

/// How long until the next run.
pub fn time_to_next(srv: &Server) -> Duration {
    Duration::from_nanos(srv.cron.next_ns.saturating_sub(srv.clock.mono_ns))
}

/// Runs what is due.
pub fn run_timers(srv: &mut Server) {
    if srv.clock.mono_ns < srv.cron.next_ns {
        return;
    }
    srv.clock.update();
    if !srv.debug.pause_cron {
        server_cron(srv);
    }
    srv.cron.next_ns = srv.clock.mono_ns + 1_000_000_000 / srv.cron.hz.max(1);
}

/// Milliseconds between runs.
fn period_ms(srv: &Server) -> u64 {
    1000 / srv.cron.hz.max(1)
}

/// The periodic work.
fn server_cron(srv: &mut Server) {
    crash::watchdog::feed();
    srv.cron.hz = wanted_hz(srv);
    sample(srv);
    signals::check(srv);
    if srv.process.exit_requested {
        return; // What changed now would not be saved.
    }
    report(srv);
    clients_cron(srv);
    aof::cron(srv);
    if srv.debug.active_expire {
        expire::slow_cycle(srv);
        hexpire::active_cycle(srv);
    }
    if srv.config.activerehashing {
        maintain_tables(srv);
    }
    child::cron(srv);
    forked::cron(srv);
    save::cron(srv);
    srv.persistence.migrate.close_idle(srv.clock.unix_s());
    srv.cron.runs += 1;
}

/// Lets tables that nobody writes to catch up with their size, after a child was there: a millisecond for all.
fn maintain_tables(srv: &mut Server) {
    let end_ns = monotonic::now_ns() + MAINTENANCE_NS;
    for db in &mut srv.dbs {
        while db.keys.table_mut().maintain(MAINTENANCE_STEPS) {
            if monotonic::now_ns() > end_ns {
                return;
            }
        }
    }
}

/// `hz`, doubled with `dynamic-hz` until the clients of a second fit its runs.
fn wanted_hz(srv: &Server) -> u64 {
    let mut hz = srv.config.hz.max(1) as u64;
    while srv.config.dynamic_hz && srv.clients.len() as u64 / hz > MAX_CLIENTS_PER_RUN as u64 && hz < MAX_HZ {
        hz *= 2;
    }
    hz.min(MAX_HZ)
}

fn sample(srv: &mut Server) {
    let now_ms = srv.clock.unix_ms;
    let used = zmalloc::used_memory();
    if used > srv.stats.peak_memory {
        (srv.stats.peak_memory, srv.stats.peak_memory_ms) = (used, now_ms);
    }
    if now_ms < srv.cron.last_sample_ms + SAMPLE_MS {
        return;
    }
    srv.cron.last_sample_ms = now_ms;
    let stats = &mut srv.stats;
    stats.ops_rate.sample(now_ms, stats.commands_processed);
    stats.net_in_rate.sample(now_ms, stats.net_input_bytes);
    stats.net_out_rate.sample(now_ms, stats.net_output_bytes);
    stats.cycle_rate.sample(now_ms, stats.eventloop_cycles);
}

fn report(srv: &mut Server) {
    if srv.clock.unix_ms < srv.cron.last_report_ms + REPORT_MS {
        return;
    }
    srv.cron.last_report_ms = srv.clock.unix_ms;
    for db in &srv.dbs {
        if !db.is_empty() {
            log::debug!("DB {}: {} keys ({} volatile)", db.id, db.len(), db.expires_len());
        }
    }
    log::trace!("{} clients connected, {} bytes in use", srv.clients.len(), zmalloc::used_memory());
}

/// Looks after a share of the clients: idle ones are closed, buffers they do not need are given back.
fn clients_cron(srv: &mut Server) {
    let slots = srv.clients.slots();
    let share = slots.div_ceil(srv.cron.hz.max(1) as usize).max(MIN_CLIENTS).min(slots);
    let now_s = srv.clock.unix_s();
    for _ in 0..share {
        let index = srv.cron.next_client % slots;
        srv.cron.next_client = index + 1;
        let Some(id) = srv.clients.at(index) else { continue };
        let timeout = srv.config.timeout as u64;
        let Some(c) = srv.clients.get_mut(id) else { continue };
        let idle = now_s.saturating_sub(c.last_interaction);
        let exempt = ClientFlags::BLOCKED | ClientFlags::PUBSUB | ClientFlags::MONITOR;
        if timeout > 0 && idle > timeout && !c.flags.intersects(exempt) {
            log::debug!("Closing idle client");
            networking::free_client(srv, id);
            continue;
        }
        networking::shrink_input(c, idle);
        if c.soft_limit_since.is_some() {
            networking::check_limits_of(srv, id);
        }
    }
}

/// The time one run of an activity may take that is allowed `percent` of the processor.
pub fn share_ns(srv: &Server, percent: u64) -> u64 {
    period_ms(srv) * 1_000_000 * percent / 100
}
