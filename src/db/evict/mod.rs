//! The access clock: 24 bits of each entry that tell how recently or how often it was used. What is done with it when
//! memory is short is in `pressure.rs`.
//!
//! Which of the two they tell depends on `maxmemory-policy`; when that changes from one kind to the other, what stands
//! in the entries is misread until they are used again, as upstream accepts too.
//!
//! ```text
//!   LRU   23                                             0
//!        ┌────────────────────────────────────────────────┐
//!        │ Unix time in seconds, modulo 2^24 (194 days)   │
//!        └────────────────────────────────────────────────┘
//!   LFU   23                             8 7              0
//!        ┌────────────────────────────────┬───────────────┐
//!        │ Unix time in minutes, mod 2^16 │ log. counter  │
//!        └────────────────────────────────┴───────────────┘
//! ```
//!
//! The LFU counter is Morris's: an access at counter `c` counts with probability `1 / ((c - 5) * lfu-log-factor + 1)`,
//! so that 255 stands for about a million accesses at the default factor of 10. It begins at [`LFU_INIT`], so that a new
//! key is not the first to go, and decays by one every `lfu-decay-time` minutes.
//! Key eviction by LFU: <https://redis.io/docs/latest/develop/reference/eviction/>.

mod pressure;

pub use pressure::{Eviction, Room, excess, make_room};

use crate::db::object::{CLOCK_MASK, EntryRef};
use crate::server::config::Config;
use crate::server::time::Clock;

/// Counter of a key that was just created: upstream's `LFU_INIT_VAL`.
pub const LFU_INIT: u8 = 5;

/// How an access is to be noted, fixed before the entry is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    /// Not at all.
    Not,
    /// The time, in seconds.
    Lru(u32),
    /// One more, at a time in minutes.
    Lfu(Lfu),
}

/// The parameters of the LFU counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lfu {
    /// The time in minutes, modulo 2^16.
    pub minutes: u16,
    /// `lfu-log-factor`: the larger, the more accesses saturate the counter.
    pub log_factor: u32,
    /// `lfu-decay-time`: minutes after which the counter falls by one; 0: never.
    pub decay_minutes: u32,
}

impl Touch {
    /// How accesses are noted under the configured policy.
    #[inline]
    pub fn new(config: &Config, clock: &Clock) -> Touch {
        if config.maxmemory_policy.is_lfu() {
            Touch::Lfu(Lfu::new(config, clock))
        } else {
            Touch::Lru(lru_clock(clock))
        }
    }

    /// Notes an access of `entry`.
    #[inline]
    pub fn apply(self, entry: EntryRef<'_>) {
        match self {
            Touch::Not => {}
            Touch::Lru(seconds) => entry.set_clock(seconds),
            Touch::Lfu(lfu) => entry.set_clock(lfu.count(entry.clock())),
        }
    }

    /// The access clock of a new entry.
    #[inline]
    pub fn initial(self) -> u32 {
        match self {
            Touch::Not => 0,
            Touch::Lru(seconds) => seconds,
            Touch::Lfu(lfu) => lfu.pack(LFU_INIT),
        }
    }
}

impl Lfu {
    /// The configured parameters, at the present time.
    pub fn new(config: &Config, clock: &Clock) -> Lfu {
        Lfu {
            minutes: (clock.unix_s() / 60) as u16,
            log_factor: config.lfu_log_factor,
            decay_minutes: config.lfu_decay_time,
        }
    }

    /// The access clock of an entry with that counter: for RESTORE and for files that say so.
    pub fn clock(self, counter: u8) -> u32 {
        self.pack(counter)
    }

    fn pack(self, counter: u8) -> u32 {
        u32::from(self.minutes) << 8 | u32::from(counter)
    }

    /// The counter as it is now: what OBJECT FREQ answers.
    pub fn counter(self, clock: u32) -> u8 {
        let counter = clock as u8;
        if self.decay_minutes == 0 {
            return counter;
        }
        let elapsed = self.minutes.wrapping_sub((clock >> 8) as u16);
        let periods = u32::from(elapsed) / self.decay_minutes;
        counter.saturating_sub(u8::try_from(periods).unwrap_or(u8::MAX))
    }

    /// The clock after one more access.
    fn count(self, clock: u32) -> u32 {
        self.pack(self.increment(self.counter(clock), rand::random()))
    }

    /// The counter after an access that drew `chance`, uniform in 0..1.
    fn increment(self, counter: u8, chance: f64) -> u8 {
        let base = f64::from(counter.saturating_sub(LFU_INIT));
        let counts = chance < 1.0 / (base * f64::from(self.log_factor) + 1.0);
        counter.saturating_add(u8::from(counts))
    }
}

/// The time as LRU clocks have it.
#[inline]
pub fn lru_clock(clock: &Clock) -> u32 {
    clock.unix_s() as u32 & CLOCK_MASK
}

/// Seconds since the access that an LRU clock notes: what OBJECT IDLETIME answers.
pub fn idle_seconds(entry_clock: u32, now: u32) -> u32 {
    now.wrapping_sub(entry_clock) & CLOCK_MASK
}

/// The LRU clock of an entry that is to look idle for `seconds`: for RESTORE and for files that say so.
pub fn lru_clock_idle_for(seconds: u64, now: u32) -> u32 {
    now.wrapping_sub(seconds.min(u64::from(CLOCK_MASK)) as u32) & CLOCK_MASK
}

#[cfg(test)]
mod tests {
    use super::*;

    const LFU: Lfu = Lfu { minutes: 1000, log_factor: 10, decay_minutes: 1 };

    #[test]
    fn idle_time_survives_the_wrap_of_the_clock() {
        assert_eq!(idle_seconds(100, 130), 30);
        assert_eq!(idle_seconds(CLOCK_MASK - 9, 20), 30);
        assert_eq!(idle_seconds(lru_clock_idle_for(1234, 7), 7), 1234);
    }

    #[test]
    fn counter_decays_with_the_minutes() {
        let at = |minutes: u16, counter: u8| Lfu { minutes, ..LFU }.pack(counter);
        assert_eq!(LFU.counter(at(1000, 50)), 50);
        assert_eq!(LFU.counter(at(990, 50)), 40);
        assert_eq!(LFU.counter(at(100, 50)), 0);
        assert_eq!(LFU.counter(at(1001, 50)), 0, "65535 minutes ago, not in the future");
        assert_eq!(Lfu { decay_minutes: 0, ..LFU }.counter(at(100, 50)), 50);
        assert_eq!(Lfu { decay_minutes: 7, ..LFU }.counter(at(985, 50)), 48);
    }

    #[test]
    fn counter_counts_ever_more_rarely() {
        assert_eq!(LFU.increment(0, 0.99), 1, "below the initial value every access counts");
        assert_eq!(LFU.increment(LFU_INIT, 0.99), 6);
        assert_eq!(LFU.increment(15, 0.0099), 16);
        assert_eq!(LFU.increment(15, 0.01), 15);
        assert_eq!(LFU.increment(255, 0.0), 255);
    }

    #[test]
    fn new_keys_begin_with_the_initial_counter() {
        assert_eq!(Touch::Lfu(LFU).initial(), 1000 << 8 | 5);
        assert_eq!(Touch::Lru(77).initial(), 77);
    }
}
