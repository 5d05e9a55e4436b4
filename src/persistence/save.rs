//! RDB files as the server makes and takes them: SAVE, BGSAVE, save points, the load at start and by DEBUG RELOAD.
//!
//! A file is written under a name of its own, `temp-<pid>.rdb`, brought to disk, and only then put in the place of the
//! old one by a rename, which the directory's own sync makes last. Whatever happens on the way (a full disk, a signal,
//! the end of power), there is either the old file or the new one, whole.
//!
//! [`write`] does that, for SAVE here and for BGSAVE in a child. What a child has come to is told to [`child_ended`].
//!
//! The server counts changes without end ([`Stats::dirty`]); how many of them the file has is remembered here. A child
//! has those that were counted when it was born.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::child::{self, ChildPipe, End, Forked, Purpose};
use super::dismiss::Dismissal;
use super::{loading, rdb};
use crate::io::bio::JobKind;
use crate::server::config::file::os_error_text;
use crate::server::stats::Stats;
use crate::server::{Client, ClientFlags, CmdError, CmdResult, Server, latency};

/// Seconds to wait after a child has failed before another is started that nobody has asked for.
const RETRY_DELAY_S: u64 = 5;

/// Bytes of a file that are written before the kernel is told to bring them to disk: upstream's `REDIS_AUTOSYNC_BYTES`.
const SYNC_BYTES: u64 = 4 * 1024 * 1024;

/// When and how the last files came about.
#[derive(Debug)]
pub struct State {
    /// Unix time in seconds of the last file that was written, or of the start.
    pub last_save_s: u64,
    /// Whether the last child failed, and no file was written since.
    pub failed: bool,
    /// Seconds that the last child took.
    pub last_duration_s: Option<u64>,
    /// Saves that were begun.
    pub saves: u64,
    /// Whether a child is to be started as soon as there is none.
    pub scheduled: bool,
    /// The counter of changes as of the last file.
    saved_changes: u64,
    /// The counter of changes as the last child was born.
    child_changes: u64,
    /// Unix time in seconds at which it was.
    child_started_s: u64,
}

impl Default for State {
    /// A server that has just started counts as saved.
    fn default() -> Self {
        State {
            last_save_s: now_s(),
            failed: false,
            last_duration_s: None,
            saves: 0,
            scheduled: false,
            saved_changes: 0,
            child_changes: 0,
            child_started_s: 0,
        }
    }
}

impl State {
    /// Changes to the dataset that the last file does not have.
    pub fn changes(&self, stats: &Stats) -> u64 {
        stats.dirty - self.saved_changes
    }

    fn note_file(&mut self, changes: u64) {
        // A child may have ended before this server itself wrote a later file, and be noticed only now.
        self.saved_changes = self.saved_changes.max(changes);
        self.last_save_s = now_s();
        self.failed = false;
    }

    /// Whether a child may be started that nobody has asked for just now.
    fn may_retry(&self, now_s: u64) -> bool {
        !self.failed || now_s > self.child_started_s + RETRY_DELAY_S
    }
}

/// Unix time in seconds, read now: a save takes longer than the cached time is true.
fn now_s() -> u64 {
    crate::server::time::unix_us() / 1_000_000
}

/// It failed, and the log says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed;

// ---- writing ----

/// Writes the dataset to its file. `keep_cached` leaves the file in the system's cache, for a server that starts soon;
/// `dismissal` is a child's.
fn write(
    srv: &Server,
    keep_cached: bool,
    dismissal: Option<Dismissal>,
    progress: &mut dyn FnMut(u64),
) -> Result<(), Failed> {
    let temp = PathBuf::from(format!("temp-{}.rdb", std::process::id()));
    let target = &srv.config.dbfilename;
    write_temp(srv, &temp, keep_cached, dismissal, progress)?;
    if let Err(e) = std::fs::rename(&temp, target) {
        log::warn!(
            "Error moving temp DB file {} on the final destination {} (in server root dir {}): {}",
            temp.display(),
            target.display(),
            working_directory().display(),
            os_error_text(&e)
        );
        remove(&temp);
        return Err(Failed);
    }
    File::open(".").and_then(|dir| dir.sync_all()).map_err(|e| {
        log::warn!("Failed to fsync directory while saving DB: {}", os_error_text(&e));
        Failed
    })?;
    log::info!("DB saved on disk");
    Ok(())
}

/// Writes the dataset to `temp` and brings it to disk; nothing stays of it if that fails.
fn write_temp(
    srv: &Server,
    temp: &Path,
    keep_cached: bool,
    dismissal: Option<Dismissal>,
    progress: &mut dyn FnMut(u64),
) -> Result<(), Failed> {
    let file = File::create(temp).map_err(|e| {
        log::warn!(
            "Failed opening the temp RDB file {} (in server root dir {}) for saving: {}",
            temp.display(),
            working_directory().display(),
            os_error_text(&e)
        );
        Failed
    })?;
    let mut file =
        SyncedFile { file, incremental: srv.config.rdb_save_incremental_fsync, written: 0, synced: 0 };
    let mut options = rdb::SaveOptions::of(srv);
    options.key_delay = srv.config.rdb_key_save_delay;
    options.dismissal = dismissal;
    let saved = rdb::save(&mut file, &rdb::Dataset::of(srv), &options, &mut |keys, _| progress(keys));
    let written = saved
        .map_err(|error| ("rdbSaveRio", error))
        .and_then(|_| file.file.sync_all().map_err(|e| ("fsync", e.into())));
    if let Err((step, error)) = written {
        let text = if let rdb::Error::Io(e) = &error { os_error_text(e) } else { error.to_string() };
        log::warn!("Write error while saving DB to the disk({step}): {text}");
        remove(temp);
        return Err(Failed);
    }
    if !keep_cached && let Err(e) = posix_fadvise(&file.file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED) {
        log::info!("Unable to reclaim cache after saving RDB: {}", e.desc());
    }
    Ok(())
}

fn working_directory() -> PathBuf {
    std::env::current_dir().unwrap_or_else(|_| "unknown".into())
}

/// Removes a file that was not finished. It may not be there.
fn remove(temp: &Path) {
    let _ = std::fs::remove_file(temp);
}

/// A file that goes to disk while it is written, so that little is left to do at its end.
struct SyncedFile {
    file: File,
    incremental: bool,
    written: u64,
    /// Bytes that are on their way to disk.
    synced: u64,
}

impl Write for SyncedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.written += n as u64;
        if self.incremental && self.written - self.synced >= SYNC_BYTES {
            self.start_sync();
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl SyncedFile {
    /// Has what is new brought to disk, and waits for what was on its way before: so there is work for the disk at any
    /// time, and never much. What goes wrong is told by the sync at the end.
    fn start_sync(&mut self) {
        let (from, len) = (self.synced as libc::off64_t, (self.written - self.synced) as libc::off64_t);
        const WAIT: u32 = libc::SYNC_FILE_RANGE_WAIT_BEFORE
            | libc::SYNC_FILE_RANGE_WRITE
            | libc::SYNC_FILE_RANGE_WAIT_AFTER;
        // SAFETY: the calls take numbers alone.
        unsafe {
            libc::sync_file_range(self.file.as_raw_fd(), from, len, libc::SYNC_FILE_RANGE_WRITE);
            if from > 0 {
                libc::sync_file_range(self.file.as_raw_fd(), 0, from, WAIT);
            }
        }
        self.synced = self.written;
    }
}

/// Writes the dataset to its file while everybody waits.
///
/// # Errors
/// The log says why; the old file is as it was.
pub fn save(srv: &mut Server) -> Result<(), Failed> {
    save_with(srv, false)
}

/// The same for a server that is about to end, and may start again soon.
///
/// # Errors
/// As for [`save`].
pub fn save_last(srv: &mut Server) -> Result<(), Failed> {
    save_with(srv, true)
}

fn save_with(srv: &mut Server, keep_cached: bool) -> Result<(), Failed> {
    write(srv, keep_cached, None, &mut |_| ())?;
    let changes = srv.stats.dirty;
    srv.persistence.rdb.note_file(changes);
    srv.clock.update();
    Ok(())
}

// ---- by a child ----

/// Has a child write the dataset to its file.
///
/// # Errors
/// When there is a child already, or none to be had. The log says why.
pub fn save_in_background(srv: &mut Server) -> Result<(), Failed> {
    if srv.persistence.children.active().is_some() {
        return Err(Failed);
    }
    let state = &mut srv.persistence.rdb;
    state.saves += 1;
    state.child_changes = srv.stats.dirty;
    state.child_started_s = now_s();
    match child::fork(srv, Purpose::Rdb, child_ended) {
        Ok(Forked::Parent(pid)) => {
            log::info!("Background saving started by pid {pid}");
            Ok(())
        }
        Ok(Forked::Child(pipe)) => be_child(srv, pipe),
        Err(e) => {
            srv.persistence.rdb.failed = true;
            log::warn!("Can't save in background: fork: {}", os_error_text(&e));
            Err(Failed)
        }
    }
}

fn be_child(srv: &Server, mut pipe: ChildPipe) -> ! {
    let written = write(srv, false, Some(pipe.dismissal()), &mut |keys| pipe.progress(keys));
    if written.is_ok() {
        pipe.finish();
    }
    child::exit(written.is_ok())
}

/// Notes what a child has come to.
fn child_ended(srv: &mut Server, pid: Pid, end: End) {
    match end {
        End::Success => {
            log::info!("Background saving terminated with success");
            let changes = srv.persistence.rdb.child_changes;
            srv.persistence.rdb.note_file(changes);
        }
        End::Failure => {
            log::warn!("Background saving error");
            srv.persistence.rdb.failed = true;
        }
        End::Signal(signal) => {
            log::warn!("Background saving terminated by signal {signal}");
            let begun = Instant::now();
            remove_temp_file(srv, pid);
            let ms = begun.elapsed().as_millis() as u64;
            latency::add_sample_if_needed(srv, latency::Event::UnlinkTempFile, ms);
            // One that was asked to end has not failed.
            if signal != Signal::SIGUSR1 as i32 {
                srv.persistence.rdb.failed = true;
            }
        }
    }
    let state = &mut srv.persistence.rdb;
    state.last_duration_s = Some(now_s().saturating_sub(state.child_started_s));
}

/// Asks the child that writes an RDB file to end, if there is one.
pub fn kill_child(srv: &Server) {
    if let Some(pid) = child::kill(srv, Purpose::Rdb) {
        log::info!("Killing running RDB child: {pid}");
    }
}

/// Most bytes of the name of a file in the making.
pub const TEMP_NAME_MAX: usize = 40;

/// What stands around the id of a process in the names of the files that it writes: RDB files, and bases of the append-only
/// file.
pub const TEMP_NAMES: [(&[u8], &[u8]); 2] = [(b"temp-", b".rdb"), (b"temp-rewriteaof-bg-", b".aof")];

/// Puts the name of a file that the process `pid` is writing into `name`, and returns its length. It is called by signal
/// handlers, so it does nothing but that.
pub fn temp_name((before, behind): (&[u8], &[u8]), pid: i32, name: &mut [u8]) -> usize {
    let mut digits = [0; 10];
    let mut first = digits.len();
    let mut rest = pid.unsigned_abs();
    loop {
        first -= 1;
        digits[first] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    let mut len = 0;
    for part in [before, &digits[first..], behind] {
        name[len..len + part.len()].copy_from_slice(part);
        len += part.len();
    }
    len
}

/// Removes the file that a child has left unfinished. The system may take long to free its blocks, so that is left to a
/// thread that closes the last descriptor.
pub fn remove_temp_file(srv: &Server, pid: Pid) {
    let temp = PathBuf::from(format!("temp-{pid}.rdb"));
    let file = File::open(&temp);
    remove(&temp);
    if let Ok(file) = file {
        srv.bio.submit(JobKind::CloseFile, move || drop(file));
    }
}

/// What time brings: a save that is due, or was put off.
pub fn cron(srv: &mut Server) {
    if srv.persistence.children.active().is_some() {
        return;
    }
    let (state, now_s) = (&srv.persistence.rdb, srv.clock.unix_s());
    let (changes, may_retry) = (state.changes(&srv.stats), state.may_retry(now_s));
    let waited_s = now_s.saturating_sub(state.last_save_s);
    let due = |point: &&crate::server::config::SavePoint| {
        changes >= u64::from(point.changes) && waited_s > point.seconds
    };
    if let Some(point) = srv.config.save.points.iter().find(due).copied().filter(|_| may_retry) {
        log::info!("{} changes in {} seconds. Saving...", point.changes, point.seconds);
        // What goes wrong is in the log, and tried again later.
        let _ = save_in_background(srv);
    } else if srv.persistence.rdb.scheduled && may_retry && save_in_background(srv).is_ok() {
        srv.persistence.rdb.scheduled = false;
    }
}

/// What follows when all keys were removed: a child that still writes them is ended, and with save points the empty
/// dataset takes the place of the old file at once.
pub fn follow_flush(srv: &mut Server) {
    kill_child(srv);
    if !srv.config.save.points.is_empty() {
        // What goes wrong is in the log; the keys are gone all the same.
        let _ = save(srv);
    }
}

// ---- loading ----

/// What became of a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loaded {
    /// The dataset is there.
    Done,
    /// There is no file.
    Missing,
    /// The file cannot be used; the log says why.
    Failed,
}

/// Loads the file into the databases. With `merge`, keys of the file take the place of those that are there.
///
/// A file that turns out to be corrupt ends the server, after the checker has shown what is wrong with it: the dataset is
/// there by half, and nobody must go on with that.
pub fn load(srv: &mut Server, merge: bool) -> Loaded {
    let name = srv.config.dbfilename.clone();
    let mut file = match File::open(&name) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Loaded::Missing,
        Err(e) => {
            let text = os_error_text(&e);
            log::warn!("Fatal error: can't open the RDB file {} for reading: {text}", name.display());
            return Loaded::Failed;
        }
    };
    let size = file.metadata().map_or(0, |meta| meta.len());
    loading::start(srv, size);
    let options = rdb::LoadOptions {
        size: Some(size).filter(|size| *size > 0),
        replace: merge,
        interval_bytes: srv.config.loading_process_events_interval_bytes.into(),
        ..rdb::LoadOptions::of(srv)
    };
    let loaded = rdb::load(srv, &mut file, &options, &mut |srv, bytes| loading::progress(srv, bytes));
    loading::finish(srv);
    match loaded {
        Ok(info) => {
            srv.persistence.loading.keys_loaded = info.keys;
            srv.persistence.loading.keys_expired = info.expired;
            srv.bio.submit(JobKind::CloseFile, move || forget_cached(&file));
            Loaded::Done
        }
        Err(error) => {
            if rdb::check::is_worth_it(&error) {
                rdb::check::show(&name, &rdb::Limits::of(srv));
                log::warn!("Terminating server after rdb file reading failure.");
                std::process::exit(1);
            }
            Loaded::Failed
        }
    }
}

/// Gives back the cache that a file takes which will not be read again.
fn forget_cached(file: &File) {
    // It is advice, which the system may not take.
    let _ = posix_fadvise(file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
}

/// Loads the dataset when the server starts.
///
/// # Errors
/// When there is a file that cannot be used: then the server must not go on without its data.
pub fn load_at_start(srv: &mut Server) -> Result<(), Failed> {
    let begun = Instant::now();
    match load(srv, false) {
        Loaded::Done => {
            log_time("disk", begun.elapsed());
            Ok(())
        }
        Loaded::Missing => Ok(()),
        Loaded::Failed => {
            log::warn!("Fatal error loading the DB, check server logs. Exiting.");
            Err(Failed)
        }
    }
}

/// Logs where the dataset was loaded from, and how long that took.
pub fn log_time(from: &str, time: Duration) {
    log::info!("DB loaded from {from}: {:.3} seconds", time.as_secs_f64());
}

// ---- commands ----

/// `SAVE`
pub fn save_command(srv: &mut Server, c: &mut Client) -> CmdResult {
    if srv.persistence.children.active() == Some(Purpose::Rdb) {
        return Err(CmdError::text("ERR Background save already in progress"));
    }
    srv.persistence.rdb.saves += 1;
    save(srv).map_err(|Failed| CmdError::text("ERR"))?;
    c.out.ok();
    Ok(())
}

/// `BGSAVE [SCHEDULE]`
pub fn bgsave_command(srv: &mut Server, c: &mut Client) -> CmdResult {
    let schedule = match c.argv.len() {
        1 => false,
        2 if c.argv.is(1, b"schedule") => true,
        _ => return Err(CmdError::Syntax),
    };
    // Within a transaction the commands that follow would be missing in the file.
    let in_transaction = c.flags.contains(ClientFlags::DENY_BLOCKING);
    match srv.persistence.children.active() {
        Some(Purpose::Rdb) => return Err(CmdError::text("ERR Background save already in progress")),
        Some(Purpose::Aof) if !schedule && !in_transaction => {
            return Err(CmdError::text(
                "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to \
                 schedule a BGSAVE whenever possible.",
            ));
        }
        None if !in_transaction => {
            save_in_background(srv).map_err(|Failed| CmdError::text("ERR"))?;
            c.out.simple("Background saving started");
        }
        _ => {
            srv.persistence.rdb.scheduled = true;
            if schedule {
                log::info!("Background saving scheduled due to user request");
            } else {
                log::info!("Background saving scheduled to run after transaction execution");
            }
            c.out.simple("Background saving scheduled");
        }
    }
    Ok(())
}

/// `LASTSAVE`
pub fn lastsave_command(srv: &mut Server, c: &mut Client) -> CmdResult {
    c.out.int(srv.persistence.rdb.last_save_s as i64);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_in_the_making_bear_the_process_id() {
        for (pid, expected) in
            [(1, "temp-1.rdb"), (120_450, "temp-120450.rdb"), (i32::MAX, "temp-2147483647.rdb")]
        {
            let mut name = [0; TEMP_NAME_MAX];
            let len = temp_name(TEMP_NAMES[0], pid, &mut name);
            assert_eq!(std::str::from_utf8(&name[..len]).unwrap(), expected);
        }
    }

    #[test]
    fn a_child_that_failed_is_not_followed_at_once() {
        let mut state = State { child_started_s: 100, ..State::default() };
        assert!(state.may_retry(100));
        state.failed = true;
        assert!(!state.may_retry(105) && state.may_retry(106));
    }

    #[test]
    fn changes_are_counted_from_the_last_file() {
        let mut state = State::default();
        let mut stats = Stats { dirty: 7, ..Stats::default() };
        assert_eq!(state.changes(&stats), 7);
        state.note_file(5);
        stats.dirty = 9;
        assert_eq!(state.changes(&stats), 4);
    }
}
