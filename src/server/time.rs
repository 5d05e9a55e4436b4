//! The cached time, and the TIME command.
//!
//! Reading the clock costs tens of nanoseconds, so the loop reads it once a turn into [`Clock`]; commands see that
//! time, which also gives all commands of a turn (and later of a transaction or script) one notion of now.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::io::monotonic;
use crate::server::{Client, CmdResult, Server};

/// The time of the present turn.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// Unix time in microseconds.
    pub unix_us: u64,
    /// Unix time in milliseconds.
    pub unix_ms: u64,
    /// Monotonic time in nanoseconds; also moved on by each command that is timed.
    pub mono_ns: u64,
}

/// Unix time in microseconds, read now.
pub fn unix_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_micros() as u64)
}

impl Clock {
    /// The time now.
    pub fn now() -> Clock {
        let unix_us = unix_us();
        Clock { unix_us, unix_ms: unix_us / 1000, mono_ns: monotonic::now_ns() }
    }

    /// Reads the clocks again.
    pub fn update(&mut self) {
        *self = Clock::now();
    }

    /// Unix time in seconds.
    #[inline]
    pub fn unix_s(&self) -> u64 {
        self.unix_ms / 1000
    }
}

/// `TIME`
pub fn time(_srv: &mut Server, c: &mut Client) -> CmdResult {
    let now = unix_us();
    c.out.array(2);
    c.out.bulk_int((now / 1_000_000) as i64);
    c.out.bulk_int((now % 1_000_000) as i64);
    Ok(())
}
