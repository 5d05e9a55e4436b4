//! Keys with a time to live: the EXPIRE family, and the cycle that removes what has expired unasked.
//!
//! An expired key disappears when a command looks it up, and otherwise by the *active cycle*. There is no second
//! table of keys with an expiry: the keyspace's table marks their slots and counts the marks of each segment, so a
//! cursor walks from mark to mark and skips segments that have none. A cycle takes a handful of keys a step and
//! goes on in a database while more than the acceptable share of them had expired, within a limit of time:
//!
//! - the *slow* cycle runs in the cron and may use `25 + 2 * effort` percent of its period;
//! - the *fast* cycle runs before the loop sleeps, for `1000 + 250 * effort` microseconds at most, and only if the
//!   last slow one ran out of time or many keys are known to be stale.
//!
//! `effort` is `active-expire-effort` less one. The constants are upstream's, so that the share of memory held by
//! stale keys and the processor time spent are what operators know.

use bytes::Bytes;

use crate::db::notify::{NotifyFlags, notify_keyspace_event};
use crate::db::{Db, LookupFlags};
use crate::io::monotonic;
use crate::server::{Client, CmdError, CmdResult, Server, cron};

// ---- commands ----

/// Conditions of EXPIRE and its kin.
#[derive(Debug, Default, Clone, Copy)]
struct Conditions {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
}

impl Conditions {
    fn parse(c: &Client) -> Result<Conditions, CmdError> {
        let mut on = Conditions::default();
        for i in 3..c.argv.len() {
            if c.argv.is(i, b"nx") {
                on.nx = true;
            } else if c.argv.is(i, b"xx") {
                on.xx = true;
            } else if c.argv.is(i, b"gt") {
                on.gt = true;
            } else if c.argv.is(i, b"lt") {
                on.lt = true;
            } else {
                let text = [b"ERR Unsupported option ", c.argv.get(i)].concat();
                return Err(CmdError::Bytes(text.into()));
            }
        }
        if on.nx && (on.xx || on.gt || on.lt) {
            return Err(CmdError::text(
                "ERR NX and XX, GT or LT options at the same time are not compatible",
            ));
        }
        if on.gt && on.lt {
            return Err(CmdError::text("ERR GT and LT options at the same time are not compatible"));
        }
        Ok(on)
    }

    /// Whether an expiry at `at_ms` may take the place of `present`. No expiry counts as one at infinity.
    fn allow(self, present: Option<i64>, at_ms: i64) -> bool {
        match present {
            Some(present) => !(self.nx || (self.gt && at_ms <= present) || (self.lt && at_ms >= present)),
            None => !(self.xx || self.gt),
        }
    }
}

/// Milliseconds in the unit of a command's argument.
#[derive(Debug, Clone, Copy)]
enum Unit {
    Seconds = 1000,
    Milliseconds = 1,
}

fn expire_generic(srv: &mut Server, c: &mut Client, unit: Unit, base_ms: i64) -> CmdResult {
    let invalid = || CmdError::InvalidExpire(c.spec().fullname);
    let conditions = Conditions::parse(c)?;
    let when = c.argv.int(2)?;
    let at_ms = when.checked_mul(unit as i64).and_then(|ms| ms.checked_add(base_ms)).ok_or_else(invalid)?;
    let key = c.argv.key(1);
    let now_ms = srv.clock.expiry_ms as i64;
    let Some(mut entry) = srv.lookup_mut(c.db, key) else {
        c.out.int(0);
        return Ok(());
    };
    if !conditions.allow(entry.view().expiry(), at_ms) {
        c.out.int(0);
        return Ok(());
    }
    let past = at_ms <= now_ms;
    if past {
        drop(entry);
        let lazily = srv.config.lazyfree_lazy_expire;
        srv.delete_with(c.db, key, lazily);
        let command: &[u8] = if lazily { b"UNLINK" } else { b"DEL" };
        srv.propagate_as(&[command, key.bytes]);
    } else {
        entry.set_expiry(at_ms);
        drop(entry);
        srv.propagate_as(&[b"PEXPIREAT", key.bytes, itoa::Buffer::new().format(at_ms).as_bytes()]);
    }
    let event = if past { "del" } else { "expire" };
    srv.signal_modified(c.db, key.bytes, 1);
    notify_keyspace_event(srv, NotifyFlags::GENERIC, event, key.bytes, c.db);
    c.out.int(1);
    Ok(())
}

/// `EXPIRE key seconds [NX | XX | GT | LT]`
pub fn expire(srv: &mut Server, c: &mut Client) -> CmdResult {
    let now = srv.clock.unix_ms as i64;
    expire_generic(srv, c, Unit::Seconds, now)
}

/// `PEXPIRE key milliseconds [NX | XX | GT | LT]`
pub fn pexpire(srv: &mut Server, c: &mut Client) -> CmdResult {
    let now = srv.clock.unix_ms as i64;
    expire_generic(srv, c, Unit::Milliseconds, now)
}

/// `EXPIREAT key unix-time-seconds [NX | XX | GT | LT]`
pub fn expireat(srv: &mut Server, c: &mut Client) -> CmdResult {
    expire_generic(srv, c, Unit::Seconds, 0)
}

/// `PEXPIREAT key unix-time-milliseconds [NX | XX | GT | LT]`
pub fn pexpireat(srv: &mut Server, c: &mut Client) -> CmdResult {
    expire_generic(srv, c, Unit::Milliseconds, 0)
}

/// Replies -2 for no key, -1 for no expiry, or what `show` makes of the expiry and the present time.
fn ttl_generic(srv: &mut Server, c: &mut Client, show: fn(at_ms: i64, now_ms: i64) -> i64) -> CmdResult {
    let now = srv.clock.unix_ms as i64;
    let reply = match srv.lookup(c.db, c.argv.key(1), LookupFlags::NO_TOUCH) {
        None => -2,
        Some(entry) => entry.expiry().map_or(-1, |at| show(at, now)),
    };
    c.out.int(reply);
    Ok(())
}

/// Whole seconds, the half rounded up.
fn to_seconds(ms: i64) -> i64 {
    (ms + 500) / 1000
}

/// `TTL key`
pub fn ttl(srv: &mut Server, c: &mut Client) -> CmdResult {
    ttl_generic(srv, c, |at, now| to_seconds((at - now).max(0)))
}

/// `PTTL key`
pub fn pttl(srv: &mut Server, c: &mut Client) -> CmdResult {
    ttl_generic(srv, c, |at, now| (at - now).max(0))
}

/// `EXPIRETIME key`
pub fn expiretime(srv: &mut Server, c: &mut Client) -> CmdResult {
    ttl_generic(srv, c, |at, _| to_seconds(at))
}

/// `PEXPIRETIME key`
pub fn pexpiretime(srv: &mut Server, c: &mut Client) -> CmdResult {
    ttl_generic(srv, c, |at, _| at)
}

/// `PERSIST key`
pub fn persist(srv: &mut Server, c: &mut Client) -> CmdResult {
    let key = c.argv.key(1);
    let had = srv.lookup_mut(c.db, key).is_some_and(|mut entry| entry.clear_expiry());
    if had {
        srv.signal_modified(c.db, key.bytes, 1);
        notify_keyspace_event(srv, NotifyFlags::GENERIC, "persist", key.bytes, c.db);
    }
    c.out.int(i64::from(had));
    Ok(())
}

// ---- the active cycle ----

/// Keys looked at in a step.
const KEYS_PER_STEP: usize = 20;
/// Microseconds of a fast cycle.
const FAST_US: u64 = 1000;
/// Percent of the cron's period that a slow cycle may take.
const SLOW_PERCENT: u64 = 25;
/// Percent of stale keys among those looked at that is acceptable.
const ACCEPTABLE_STALE_PERCENT: usize = 10;
/// Buckets walked in a step for want of marked slots.
const BUCKETS_PER_STEP: usize = 400;
/// Buckets walked between looks at how many keys were seen.
const BUCKETS_PER_CALL: usize = 4;
/// Databases visited in a call.
const DBS_PER_CALL: usize = 16;
/// Steps between looks at the clock.
const STEPS_PER_CLOCK: usize = 16;

/// What the cycle remembers between calls.
#[derive(Debug, Default)]
pub struct ActiveExpire {
    next_db: usize,
    out_of_time: bool,
    last_fast_ns: u64,
}

/// The numbers of a cycle, scaled by `active-expire-effort`.
struct Effort {
    keys_per_step: usize,
    fast_ns: u64,
    slow_percent: u64,
    acceptable_percent: usize,
}

impl Effort {
    fn of(srv: &Server) -> Effort {
        let effort = srv.config.active_expire_effort as usize - 1;
        Effort {
            keys_per_step: KEYS_PER_STEP + KEYS_PER_STEP / 4 * effort,
            fast_ns: (FAST_US + FAST_US / 4 * effort as u64) * 1000,
            slow_percent: SLOW_PERCENT + 2 * effort as u64,
            acceptable_percent: ACCEPTABLE_STALE_PERCENT - effort,
        }
    }
}

/// Runs in the cron.
pub fn slow_cycle(srv: &mut Server) {
    let effort = Effort::of(srv);
    let limit_ns = cron::share_ns(srv, effort.slow_percent).max(1);
    cycle(srv, &effort, monotonic::now_ns(), limit_ns);
}

/// Runs before the loop sleeps.
pub fn fast_cycle(srv: &mut Server) {
    if srv.dbs.iter().all(|db| db.expires_len() == 0) {
        return;
    }
    let effort = Effort::of(srv);
    let now_ns = srv.clock.mono_ns;
    let stale = srv.stats.expired_stale_perc >= effort.acceptable_percent as f64;
    let active = &mut srv.cron.active_expire;
    if (!active.out_of_time && !stale) || now_ns < active.last_fast_ns + effort.fast_ns * 2 {
        return;
    }
    active.last_fast_ns = now_ns;
    cycle(srv, &effort, monotonic::now_ns(), effort.fast_ns);
}

/// What one step found.
#[derive(Debug, Default)]
struct Step {
    seen: usize,
    ttl_sum_ms: u64,
    expired: Vec<Bytes>,
    wrapped: bool,
}

fn cycle(srv: &mut Server, effort: &Effort, start_ns: u64, limit_ns: u64) {
    if srv.expiry_paused() {
        return;
    }
    let visits =
        if srv.cron.active_expire.out_of_time { srv.dbs.len() } else { DBS_PER_CALL.min(srv.dbs.len()) };
    srv.cron.active_expire.out_of_time = false;
    let (mut steps, mut seen, mut expired) = (0, 0, 0);
    'dbs: for _ in 0..visits {
        let db = srv.cron.active_expire.next_db % srv.dbs.len();
        srv.cron.active_expire.next_db = db + 1;
        while srv.dbs[db].expires_len() > 0 {
            let step = step(srv, db, effort.keys_per_step);
            seen += step.seen;
            expired += step.expired.len();
            let stale = step.expired.len() * 100 > step.seen * effort.acceptable_percent;
            steps += 1;
            if steps % STEPS_PER_CLOCK == 0 && monotonic::now_ns() - start_ns > limit_ns {
                srv.cron.active_expire.out_of_time = true;
                srv.stats.expired_time_cap_reached += 1;
                break 'dbs;
            }
            if step.wrapped || !(stale || step.seen == 0) {
                break;
            }
        }
    }
    let took_ns = monotonic::now_ns() - start_ns;
    srv.stats.expire_cycle_ns += took_ns;
    crate::server::latency::add_sample_if_needed(
        srv,
        crate::server::latency::Event::ExpireCycle,
        took_ns / 1_000_000,
    );
    let share = if seen > 0 { expired as f64 * 100.0 / seen as f64 } else { 0.0 };
    srv.stats.expired_stale_perc = share * 0.05 + srv.stats.expired_stale_perc * 0.95;
}

/// Looks at some keys with an expiry, from where the last step ended, and removes those that have expired.
fn step(srv: &mut Server, db: usize, most: usize) -> Step {
    let now_ms = srv.clock.unix_ms as i64;
    let mut step = Step::default();
    let Db { keys, expires_cursor, .. } = &mut srv.dbs[db];
    let mut buckets = 0;
    while step.seen < most && buckets < BUCKETS_PER_STEP {
        *expires_cursor = keys.scan_expires(*expires_cursor, BUCKETS_PER_CALL, |entry| {
            let Some(at_ms) = entry.expiry() else { return };
            step.seen += 1;
            if at_ms <= now_ms {
                step.expired.push(Bytes::copy_from_slice(entry.key()));
            } else {
                step.ttl_sum_ms += (at_ms - now_ms) as u64;
            }
        });
        buckets += BUCKETS_PER_CALL;
        if *expires_cursor == 0 {
            step.wrapped = true;
            break;
        }
    }
    for key in &step.expired {
        srv.delete_expired(db, srv.key_of(key));
    }
    let alive = step.seen - step.expired.len();
    if alive > 0 {
        let mean = step.ttl_sum_ms / alive as u64;
        let avg = &mut srv.dbs[db].avg_ttl_ms;
        *avg = if *avg == 0 { mean } else { *avg / 50 * 49 + mean / 50 };
    }
    step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_treat_no_expiry_as_infinite() {
        let on = |nx, xx, gt, lt| Conditions { nx, xx, gt, lt };
        assert!(on(true, false, false, false).allow(None, 5));
        assert!(!on(true, false, false, false).allow(Some(9), 5));
        assert!(!on(false, true, false, false).allow(None, 5));
        assert!(!on(false, false, true, false).allow(None, 5));
        assert!(on(false, false, true, false).allow(Some(4), 5));
        assert!(!on(false, false, true, false).allow(Some(5), 5));
        assert!(on(false, false, false, true).allow(None, 5));
        assert!(!on(false, false, false, true).allow(Some(5), 5));
    }
}
