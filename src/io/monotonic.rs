//! A monotonic clock that is cheap enough to be read once a command.
//!
//! Where the processor's time stamp counter runs at a constant rate and does not stop (`constant_tsc` and
//! `nonstop_tsc` in /proc/cpuinfo), a reading is one instruction and a multiplication: some 8 ns against the 20 to
//! 25 ns of `clock_gettime`. The rate is measured against CLOCK_MONOTONIC once at start. Elsewhere
//! [`std::time::Instant`] is read.

use std::sync::OnceLock;
use std::time::Instant;

/// How long the counter's rate is measured at start.
const CALIBRATION_US: u128 = 5_000;

/// Readings of both clocks of which the best counts.
#[cfg(target_arch = "x86_64")]
const READINGS: usize = 32;

/// Bits behind the binary point of [`Source::Tsc::scale`].
const SCALE_BITS: u32 = 32;

enum Source {
    /// `nanoseconds = (ticks - base) * scale >> SCALE_BITS`.
    #[cfg(target_arch = "x86_64")]
    Tsc { base: u64, scale: u64 },
    /// Nanoseconds since this instant.
    Instant(Instant),
}

static SOURCE: OnceLock<Source> = OnceLock::new();

/// Nanoseconds since the first call in this process.
#[inline]
pub fn now_ns() -> u64 {
    match SOURCE.get() {
        #[cfg(target_arch = "x86_64")]
        Some(Source::Tsc { base, scale }) => ticks_to_ns(ticks().wrapping_sub(*base), *scale),
        Some(Source::Instant(start)) => start.elapsed().as_nanos() as u64,
        None => {
            SOURCE.get_or_init(choose_source);
            now_ns()
        }
    }
}

/// What [`now_ns`] reads, for the log: `X86 TSC @ 2000 ticks/us` or `POSIX clock_gettime`.
pub fn source_name() -> String {
    match SOURCE.get_or_init(choose_source) {
        #[cfg(target_arch = "x86_64")]
        Source::Tsc { scale, .. } => format!("X86 TSC @ {} ticks/us", (1000u64 << SCALE_BITS) / scale),
        Source::Instant(_) => "POSIX clock_gettime".to_string(),
    }
}

#[cfg(target_arch = "x86_64")]
fn ticks_to_ns(ticks: u64, scale: u64) -> u64 {
    ((u128::from(ticks) * u128::from(scale)) >> SCALE_BITS) as u64
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn ticks() -> u64 {
    // SAFETY: reading the time stamp counter has no precondition on x86-64.
    unsafe { core::arch::x86_64::_rdtsc() }
}

#[cfg(target_arch = "x86_64")]
fn choose_source() -> Source {
    let flags = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let steady = ["constant_tsc", "nonstop_tsc"].iter().all(|f| flags.contains(f));
    if !steady {
        return Source::Instant(Instant::now());
    }
    let (start, base) = both_clocks();
    while start.elapsed().as_micros() < CALIBRATION_US {
        std::hint::spin_loop();
    }
    let (end, last) = both_clocks();
    let (elapsed, passed) = ((end - start).as_nanos(), last.wrapping_sub(base).max(1));
    Source::Tsc { base, scale: ((elapsed << SCALE_BITS) / u128::from(passed)) as u64 }
}

/// The same moment on both clocks: of several readings the one that was least interrupted.
#[cfg(target_arch = "x86_64")]
fn both_clocks() -> (Instant, u64) {
    let reading = || {
        let (before, instant, after) = (ticks(), Instant::now(), ticks());
        (after.wrapping_sub(before), instant, before.wrapping_add(after.wrapping_sub(before) / 2))
    };
    let best = (0..READINGS).map(|_| reading()).min_by_key(|(took, ..)| *took);
    let (_, instant, ticks) = best.expect("there is at least one reading");
    (instant, ticks)
}

#[cfg(not(target_arch = "x86_64"))]
fn choose_source() -> Source {
    Source::Instant(Instant::now())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn agrees_with_the_system_clock() {
        now_ns();
        let ratio = || {
            let (instant, start) = (Instant::now(), now_ns());
            std::thread::sleep(Duration::from_millis(20));
            (now_ns() - start) as f64 / instant.elapsed().as_nanos() as f64
        };
        // Another thread may have the processor between the readings of the two.
        let ratios: Vec<f64> = (0..5).map(|_| ratio()).collect();
        assert!(ratios.iter().any(|ratio| (ratio - 1.0).abs() < 0.02), "{ratios:?}");
    }
}
