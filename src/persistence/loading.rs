//! The state of a server that is loading its dataset, and what it serves meanwhile.
//!
//! Loading takes as long as the dataset is large. The doors are open all the same: every so many bytes
//! (`loading-process-events-interval-bytes`) the loader calls [`progress`], which serves clients. Commands that need the
//! dataset are refused with `-LOADING` (see [`crate::persistence::loading_error`]); INFO and the like tell how far it is.
//!
//! A loader calls [`start`], [`progress`] as it goes, and [`finish`] whatever came of it.

use crate::server::{Server, events, shutdown, signals};
use crate::zmalloc;

/// What is known of a load.
#[derive(Debug, Clone, Copy)]
pub struct Loading {
    /// Unix time in seconds at which it began.
    pub start_s: u64,
    /// Bytes of the file or files; 0 if that is not known.
    pub total_bytes: u64,
    /// Bytes that are done.
    pub loaded_bytes: u64,
    /// Bytes of memory that the dataset took when the file was written, as the file says; 0 if it does not.
    pub saved_memory: u64,
}

impl Loading {
    /// The share that is done, in percent, and bytes that are left.
    fn done(&self) -> (f64, u64) {
        let share = |total: u64| self.loaded_bytes as f64 / total as f64 * 100.0;
        match (self.total_bytes, self.saved_memory) {
            (0, 0) => (0.0, 1),
            // Memory is a bad estimate of a file's size: it must not say that all is done.
            (0, memory) => (share(memory).min(99.99), memory.saturating_sub(self.loaded_bytes).max(1)),
            (total, _) => (share(total), total.saturating_sub(self.loaded_bytes)),
        }
    }

    /// The share that is done, in percent.
    pub fn percent(&self) -> f64 {
        self.done().0
    }

    /// Seconds that the rest will take if it goes on as before.
    pub fn eta_s(&self, now_s: u64) -> u64 {
        match now_s.saturating_sub(self.start_s) {
            0 => 1, // Too early to tell.
            elapsed => elapsed.saturating_mul(self.done().1) / (self.loaded_bytes + 1),
        }
    }
}

/// The load at hand, and what came of the last one.
#[derive(Debug, Default)]
pub struct State {
    current: Option<Loading>,
    /// Keys that the last load brought.
    pub keys_loaded: u64,
    /// Keys that it left out, because their time had passed.
    pub keys_expired: u64,
}

impl State {
    /// Whether the dataset is being loaded.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.current.is_some()
    }

    /// The load at hand.
    pub fn current(&self) -> Option<&Loading> {
        self.current.as_ref()
    }

    /// Notes how much memory the dataset took where its file was written.
    pub fn note_saved_memory(&mut self, bytes: u64) {
        if let Some(loading) = &mut self.current {
            loading.saved_memory = bytes;
        }
    }
}

/// Begins a load of files of so many bytes.
pub fn start(srv: &mut Server, total_bytes: u64) {
    srv.clock.update();
    let start_s = srv.clock.unix_s();
    srv.persistence.loading = State {
        current: Some(Loading { start_s, total_bytes, loaded_bytes: 0, saved_memory: 0 }),
        ..State::default()
    };
}

/// Notes that so many bytes of the files are done, and serves clients.
///
/// Does not return if one of them, or a signal, has asked for the end of the server: what is loaded by half must
/// not be saved, and there is nobody to hand the answer to.
pub fn progress(srv: &mut Server, loaded_bytes: u64) {
    if let Some(loading) = &mut srv.persistence.loading.current {
        loading.loaded_bytes = loaded_bytes;
    }
    srv.stats.peak_memory = srv.stats.peak_memory.max(zmalloc::used_memory());
    events::serve_in_between(srv);
    signals::check(srv);
    if srv.process.exit_requested {
        shutdown::finish(srv);
        std::process::exit(srv.process.exit_code);
    }
}

/// Ends the load.
pub fn finish(srv: &mut Server) {
    srv.persistence.loading.current = None;
    srv.clock.update();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loading(total_bytes: u64, loaded_bytes: u64, saved_memory: u64) -> Loading {
        Loading { start_s: 100, total_bytes, loaded_bytes, saved_memory }
    }

    #[test]
    fn progress_is_measured_by_the_files_size_if_that_is_known() {
        assert_eq!(loading(200, 50, 60).percent(), 25.0);
        assert_eq!(loading(0, 50, 60).percent(), 50.0 / 60.0 * 100.0);
        assert_eq!(loading(0, 61, 60).percent(), 99.99);
        assert_eq!(loading(0, 61, 0).percent(), 0.0);
    }

    #[test]
    fn the_rest_is_expected_to_go_on_as_before() {
        assert_eq!(loading(200, 99, 0).eta_s(100), 1);
        assert_eq!(loading(200, 99, 0).eta_s(110), 10);
        assert_eq!(loading(0, 99, 0).eta_s(110), 0);
    }
}
