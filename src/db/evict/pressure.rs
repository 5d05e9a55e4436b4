//! Making room: which keys go when the memory in use passes `maxmemory`.
//!
//! Before a command that is called while `maxmemory` is set, [`make_room`] looks at the memory in use and evicts keys until it
//! is below the limit, there is nothing to evict, or the time for it is up; what is left then goes on from the loop. Policies of
//! chance take any key. The others want the *best* key of millions without keeping them in order, so they sample:
//! each round draws `maxmemory-samples` keys of every database, and the best of all rounds are remembered in a pool of
//! [`POOL_SIZE`], of which the best is evicted if it is still there. With ten samples the outcome is close to that of a
//! true order.
//!
//! How good a key is to evict is one number, its *staleness*: seconds idle for LRU, 255 less the counter of accesses for LFU,
//! and the nearer the expiry the more for TTL.

use bytes::Bytes;

use crate::db::lazyfree;
use crate::db::notify::{NotifyFlags, notify_keyspace_event};
use crate::db::object::EntryRef;
use crate::io::monotonic;
use crate::server::config::EvictionPolicy;
use crate::server::{Server, latency, propagate};
use crate::zmalloc;

use super::{Lfu, idle_seconds, lru_clock};

/// Keys that are remembered between rounds: upstream's `EVPOOL_SIZE`.
const POOL_SIZE: usize = 16;

/// Evictions between two looks at the clock.
const CLOCK_EVERY: u32 = 16;

/// What became of the wish for room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// There is room.
    Enough,
    /// There is not, but evicting goes on.
    Running,
    /// There is not, and nothing can be done.
    None,
}

/// A key that may be evicted.
#[derive(Debug)]
struct Candidate {
    staleness: u64,
    db: usize,
    key: Bytes,
}

/// What is remembered between evictions.
#[derive(Debug, Default)]
pub struct Eviction {
    /// By staleness, the best last.
    pool: Vec<Candidate>,
    /// The database where a policy of chance looks next.
    next_db: usize,
    /// Whether evicting is to go on from the loop.
    pub unfinished: bool,
    /// Whether memory was short, and nothing could go, when the command at hand began: what its script is checked by.
    pub out_of_memory: bool,
    /// When the limit was passed and not yet reached again, on the monotonic clock in nanoseconds.
    exceeded_since_ns: Option<u64>,
    /// Nanoseconds for which it was passed before that.
    exceeded_ns: u64,
}

impl Eviction {
    /// Milliseconds for which the limit was passed, in all and at present.
    pub fn exceeded_ms(&self) -> (u64, u64) {
        let present = self.exceeded_since_ns.map_or(0, |since| monotonic::now_ns().saturating_sub(since));
        ((self.exceeded_ns + present) / 1_000_000, present / 1_000_000)
    }

    fn note(&mut self, exceeded: bool) {
        if exceeded {
            self.exceeded_since_ns.get_or_insert_with(monotonic::now_ns);
        } else if let Some(since) = self.exceeded_since_ns.take() {
            self.exceeded_ns += monotonic::now_ns().saturating_sub(since);
        }
    }

    /// Remembers a key if it is better than what is there, or there is room.
    fn remember(&mut self, staleness: u64, db: usize, key: &[u8]) {
        if self.pool.len() == POOL_SIZE && self.pool[0].staleness >= staleness {
            return;
        }
        if self.pool.iter().any(|other| other.db == db && other.key == key) {
            return;
        }
        let at = self.pool.partition_point(|other| other.staleness < staleness);
        self.pool.insert(at, Candidate { staleness, db, key: Bytes::copy_from_slice(key) });
        if self.pool.len() > POOL_SIZE {
            self.pool.remove(0);
        }
    }
}

impl EvictionPolicy {
    /// Whether only keys with an expiry may go.
    fn is_volatile(self) -> bool {
        matches!(self, Self::VolatileLru | Self::VolatileLfu | Self::VolatileRandom | Self::VolatileTtl)
    }

    /// Whether any key is as good as another.
    fn is_random(self) -> bool {
        matches!(self, Self::VolatileRandom | Self::AllKeysRandom)
    }
}

/// Bytes by which the memory in use passes the limit.
pub fn excess(srv: &Server) -> usize {
    match srv.config.maxmemory {
        0 => 0,
        limit => zmalloc::used_memory().saturating_sub(limit as usize),
    }
}

/// Evicts keys until the memory in use is within the limit, or for as long as that may take at a time.
pub fn make_room(srv: &mut Server) -> Room {
    let over = excess(srv);
    if over == 0 {
        srv.eviction.note(false);
        return Room::Enough;
    }
    srv.eviction.note(true);
    if srv.config.maxmemory_policy == EvictionPolicy::NoEviction {
        return Room::None;
    }
    let start_ns = monotonic::now_ns();
    let room = evict(srv, start_ns);
    let took_ms = (monotonic::now_ns() - start_ns) / 1_000_000;
    latency::add_sample_if_needed(srv, latency::Event::EvictionCycle, took_ms);
    srv.eviction.note(room != Room::Enough);
    srv.eviction.unfinished = room == Room::Running;
    room
}

fn evict(srv: &mut Server, start_ns: u64) -> Room {
    let limit_ns = time_limit_ns(srv.config.maxmemory_eviction_tenacity);
    let mut evicted = 0u32;
    while excess(srv) > 0 {
        let Some((db, key)) = choose(srv) else {
            // What background threads are about to free may be enough.
            let frees = srv.lazyfree.pending() > 0;
            return if frees { Room::Running } else { Room::None };
        };
        evict_key(srv, db, &key);
        evicted += 1;
        if evicted.is_multiple_of(CLOCK_EVERY) && monotonic::now_ns() - start_ns > limit_ns {
            return if excess(srv) == 0 { Room::Enough } else { Room::Running };
        }
    }
    Room::Enough
}

/// Nanoseconds that evicting may take at a time: linear to half a millisecond at the default tenacity of 10, then by 15% a
/// step, and without end at 100.
fn time_limit_ns(tenacity: u32) -> u64 {
    match tenacity {
        0..=10 => 50_000 * u64::from(tenacity),
        11..100 => (500_000.0 * 1.15f64.powi(tenacity as i32 - 10)) as u64,
        _ => u64::MAX,
    }
}

fn evict_key(srv: &mut Server, db: usize, key: &[u8]) {
    let lazily = srv.config.lazyfree_lazy_eviction;
    let start_ns = monotonic::now_ns();
    let hashed = srv.key_of(key);
    let Some(entry) = srv.dbs[db].keys.remove(hashed) else { return };
    propagate::enter(srv);
    lazyfree::dispose(srv, entry, lazily);
    crate::db::blocked::signal_key_deleted(srv, db, key);
    let took_ms = (monotonic::now_ns() - start_ns) / 1_000_000;
    latency::add_sample_if_needed(srv, latency::Event::EvictionDel, took_ms);
    srv.signal_modified(db, key, 0);
    srv.stats.evicted_keys += 1;
    notify_keyspace_event(srv, NotifyFlags::EVICTED, "evicted", key, db);
    let command: &[u8] = if lazily { b"UNLINK" } else { b"DEL" };
    srv.also_propagate(db, &[command, key]);
    propagate::exit(srv);
}

/// The key to evict next, if there is any.
fn choose(srv: &mut Server) -> Option<(usize, Bytes)> {
    if srv.config.maxmemory_policy.is_random() { choose_at_random(srv) } else { choose_best(srv) }
}

fn choose_at_random(srv: &mut Server) -> Option<(usize, Bytes)> {
    let volatile = srv.config.maxmemory_policy.is_volatile();
    for _ in 0..srv.dbs.len() {
        let db = srv.eviction.next_db % srv.dbs.len();
        srv.eviction.next_db = db + 1;
        let table = srv.dbs[db].keys.table();
        let rng = &mut rand::random::<u64>;
        let found = if volatile { table.random_marked(rng) } else { table.random(rng) };
        if let Some(entry) = found {
            return Some((db, Bytes::copy_from_slice(entry.key())));
        }
    }
    None
}

fn choose_best(srv: &mut Server) -> Option<(usize, Bytes)> {
    let volatile = srv.config.maxmemory_policy.is_volatile();
    loop {
        let mut any = false;
        for db in 0..srv.dbs.len() {
            any |= sample(srv, db, volatile) > 0;
        }
        if !any {
            return None;
        }
        while let Some(candidate) = srv.eviction.pool.pop() {
            let entry = srv.dbs.get(candidate.db)?.keys.find(srv.key_of(&candidate.key));
            // It may have gone since it was remembered, or lost its expiry.
            if entry.is_some_and(|entry| !volatile || entry.expiry().is_some()) {
                return Some((candidate.db, candidate.key));
            }
        }
    }
}

/// Draws keys of a database for the pool; returns how many.
fn sample(srv: &mut Server, db: usize, volatile: bool) -> usize {
    let stale = Staleness::new(srv);
    let samples = srv.config.maxmemory_samples as usize;
    let (rng, eviction) = (&mut rand::random::<u64>, &mut srv.eviction);
    let table = srv.dbs[db].keys.table();
    if volatile {
        table.sample_marked(rng, samples, |entry| eviction.remember(stale.of(entry.get()), db, entry.key()))
    } else {
        table.sample(rng, samples, |entry| eviction.remember(stale.of(entry.get()), db, entry.key()))
    }
}

/// How the configured policy values a key.
#[derive(Clone, Copy)]
enum Staleness {
    Idle(u32),
    Frequency(Lfu),
    Expiry,
}

impl Staleness {
    fn new(srv: &Server) -> Staleness {
        match srv.config.maxmemory_policy {
            EvictionPolicy::VolatileTtl => Staleness::Expiry,
            policy if policy.is_lfu() => Staleness::Frequency(Lfu::new(&srv.config, &srv.clock)),
            _ => Staleness::Idle(lru_clock(&srv.clock)),
        }
    }

    fn of(self, entry: EntryRef<'_>) -> u64 {
        match self {
            Staleness::Idle(now) => u64::from(idle_seconds(entry.clock(), now)),
            Staleness::Frequency(lfu) => u64::from(u8::MAX - lfu.counter(entry.clock())),
            Staleness::Expiry => u64::MAX - entry.expiry().map_or(u64::MAX, |at_ms| at_ms as u64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::testing::Bench;

    /// A server with so many keys, of which every second one expires, and a limit that half of them fit into.
    fn full(policy: EvictionPolicy, keys: u64) -> Bench {
        let mut bench = Bench::new();
        bench.srv.config.maxmemory_policy = policy;
        let value = "x".repeat(1000);
        for i in 0..keys {
            let expiry = if i % 2 == 0 { format!(" EX {}", 1000 + i) } else { String::new() };
            bench.run(&format!("SET key:{i} {value}{expiry}"));
        }
        bench
    }

    fn evict_some(bench: &mut Bench, count: usize) -> Vec<Bytes> {
        let mut evict_one = || {
            let (db, key) = choose(&mut bench.srv)?;
            evict_key(&mut bench.srv, db, &key);
            Some(key)
        };
        (0..count).map_while(|_| evict_one()).collect()
    }

    fn number(key: &[u8]) -> u64 {
        std::str::from_utf8(&key[4..]).unwrap().parse().unwrap()
    }

    #[test]
    fn volatile_policies_take_keys_that_expire_and_no_others() {
        for policy in [
            EvictionPolicy::VolatileLru,
            EvictionPolicy::VolatileLfu,
            EvictionPolicy::VolatileRandom,
            EvictionPolicy::VolatileTtl,
        ] {
            let mut bench = full(policy, 100);
            let evicted = evict_some(&mut bench, 1000);
            assert_eq!(evicted.len(), 50, "{policy:?}");
            assert!(evicted.iter().all(|key| number(key).is_multiple_of(2)), "{policy:?}");
            assert_eq!(bench.srv.stats.evicted_keys, 50);
        }
    }

    #[test]
    fn other_policies_take_every_key() {
        for policy in [EvictionPolicy::AllKeysLru, EvictionPolicy::AllKeysLfu, EvictionPolicy::AllKeysRandom]
        {
            assert_eq!(evict_some(&mut full(policy, 100), 1000).len(), 100, "{policy:?}");
        }
    }

    #[test]
    fn the_nearest_expiry_goes_first() {
        let mut bench = full(EvictionPolicy::VolatileTtl, 1000);
        let evicted = evict_some(&mut bench, 50);
        // By chance alone the mean would be 500.
        let mean = evicted.iter().map(|key| number(key)).sum::<u64>() / 50;
        assert!(mean < 250, "{mean}");
    }

    #[test]
    fn evicted_keys_are_told_of() {
        let mut bench = full(EvictionPolicy::AllKeysRandom, 1);
        bench.srv.propagation.sent.clear();
        evict_some(&mut bench, 1);
        let sent: Vec<_> = bench.srv.propagation.sent.iter().map(|op| op.args.concat()).collect();
        assert_eq!(sent, [b"DELkey:0".to_vec()]);
    }

    #[test]
    fn the_pool_keeps_the_best() {
        let mut eviction = Eviction::default();
        for i in 0..100u64 {
            eviction.remember(i * 37 % 100, 0, format!("{i}").as_bytes());
        }
        let kept: Vec<u64> = eviction.pool.iter().map(|candidate| candidate.staleness).collect();
        assert_eq!(kept, (84..100).collect::<Vec<_>>());
    }

    #[test]
    fn tenacity_is_a_time() {
        assert_eq!((time_limit_ns(0), time_limit_ns(10), time_limit_ns(100)), (0, 500_000, u64::MAX));
        assert!(time_limit_ns(99) > 60_000_000_000);
    }
}
