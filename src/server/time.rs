//! The cached time, and the TIME command.
//!
//! Reading the clock costs tens of nanoseconds, so the loop reads it once a turn into [`Clock`]; commands see that
//! time, which also gives all commands of a turn (and later of a transaction or script) one notion of now.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::io::monotonic;
use crate::server::{Client, ClientFlags, CmdResult, Server};

/// The time of the present turn.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// Unix time in microseconds.
    pub unix_us: u64,
    /// Unix time in milliseconds.
    pub unix_ms: u64,
    /// Monotonic time in nanoseconds; also moved on by each command that is timed.
    pub mono_ns: u64,
    /// The time that expiries are measured by, as Unix time in milliseconds: `unix_ms`, or 0 while they rest.
    pub expiry_ms: u64,
    expiries_rest: bool,
}

/// Unix time in microseconds, read now.
pub fn unix_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_micros() as u64)
}

impl Clock {
    /// The time now.
    pub fn now() -> Clock {
        let unix_us = unix_us();
        let unix_ms = unix_us / 1000;
        let mono_ns = monotonic::now_ns();
        Clock { unix_us, unix_ms, mono_ns, expiry_ms: unix_ms, expiries_rest: false }
    }

    /// Reads the clocks again.
    pub fn update(&mut self) {
        let expiries_rest = self.expiries_rest;
        *self = Clock::now();
        self.rest_expiries(expiries_rest);
    }

    /// Moves the Unix time on, for tests.
    #[cfg(test)]
    pub fn advance(&mut self, ms: u64) {
        self.unix_ms += ms;
        self.rest_expiries(self.expiries_rest);
    }

    /// Has nothing expire, or things expire again: commands of an append-only file find what they found when they ran first.
    pub fn rest_expiries(&mut self, rest: bool) {
        self.expiries_rest = rest;
        self.expiry_ms = if rest { 0 } else { self.unix_ms };
    }

    /// Unix time in seconds.
    #[inline]
    pub fn unix_s(&self) -> u64 {
        self.unix_ms / 1000
    }
}

/// `TIME`
pub fn time(srv: &mut Server, c: &mut Client) -> CmdResult {
    // For a script time stands still.
    let now = if c.flags.contains(ClientFlags::SCRIPT) { srv.clock.unix_us } else { unix_us() };
    c.out.array(2);
    c.out.bulk_int((now / 1_000_000) as i64);
    c.out.bulk_int((now % 1_000_000) as i64);
    Ok(())
}
