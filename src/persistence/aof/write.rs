//! Writing: from a change to bytes on disk.
//!
//! # Once a turn
//! What the dataset's changes leave ([`feed`]) is encoded into one buffer, which is written when the loop's turn ends and
//! before any client is answered: one write, and with `appendfsync always` one sync, for all clients of the turn. While
//! the buffer holds something, [`Net::hold_replies`](crate::server::networking::Net::hold_replies) keeps every reply
//! back, that of a reader as well: it may have seen what is not on disk yet. A turn that changes nothing never waits.
//!
//! # The policies
//! | `appendfsync` | a change is on disk               | when a write fails                                  |
//! |---------------|-----------------------------------|-----------------------------------------------------|
//! | `always`      | before its client is answered     | the process ends: what was promised cannot be kept  |
//! | `everysec`    | about a second later              | writes are refused until the buffer can be written  |
//! | `no`          | when the system likes             | the same                                            |
//!
//! With `everysec` a background thread syncs, at most once a second. A write to a file that is being synced may wait
//! for the disk, so while a sync is going on the buffer waits instead; after [`POSTPONE_MS`] it is written nonetheless,
//! and the log says that the disk is slow.
//!
//! With `always`, what the disk can do is a number of syncs, and what the server can do is how many clients share one. Clients
//! who were answered together send their next commands together, but not at once: who synced for the first of them would
//! have the others wait for the next sync, and so on by turns. So the loop looks for more commands, for a fraction of the
//! time that a sync takes, while fewer clients wait than did the last time ([`patience`]).
//!
//! A write that ends early leaves half a command in the file. It is cut off again; where that fails, the rest is written
//! behind it once the disk has room.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::{AofState, aof_child_active, child_active};
use crate::io::bio::JobKind;
use crate::server::config::AppendFsync;
use crate::server::config::file::os_error_text;
use crate::server::latency::{self, Event};
use crate::server::{Server, networking};

/// Longest time that a write waits for a sync that is going on: upstream's.
const POSTPONE_MS: u64 = 2000;

/// Seconds between lines of the log about writes that fail: upstream's `AOF_WRITE_LOG_ERROR_RATE`.
const ERROR_LOG_SECONDS: u64 = 30;

/// Time between two syncs of `everysec`.
const SYNC_MS: u64 = 1000;

/// With `always`, the part of a sync's time that clients wait at most for others to join, and the most in all.
const PATIENCE_PART: u32 = 4;
const PATIENCE_MAX: Duration = Duration::from_millis(1);

/// A buffer of up to so many bytes is kept for the next turn.
const BUFFER_KEPT: usize = 64 * 1024;

/// What the thread that syncs tells.
#[derive(Debug)]
pub struct SyncState {
    /// Syncs that were asked for and are not done; those of files that are closed are not among them.
    pending: AtomicUsize,
    /// The replication offset up to which everything is on disk.
    synced_offset: AtomicI64,
    /// The error of the last sync, or 0.
    errno: AtomicI32,
}

impl Default for SyncState {
    fn default() -> Self {
        SyncState { pending: AtomicUsize::new(0), synced_offset: AtomicI64::new(0), errno: AtomicI32::new(0) }
    }
}

impl SyncState {
    /// Syncs that are not done.
    pub fn pending(&self) -> usize {
        self.pending.load(Ordering::Acquire)
    }

    /// Up to where everything is on disk.
    pub fn synced_offset(&self) -> i64 {
        self.synced_offset.load(Ordering::Acquire)
    }

    /// Notes that everything up to this offset is on disk.
    pub fn set_synced_offset(&self, offset: i64) {
        self.synced_offset.store(offset, Ordering::Release);
    }

    /// The error of the last sync in the background.
    pub fn error(&self) -> Option<i32> {
        Some(self.errno.load(Ordering::Acquire)).filter(|errno| *errno != 0)
    }

    /// Forgets the error of the last sync in the background.
    pub fn clear_error(&self) {
        self.errno.store(0, Ordering::Release);
    }

    /// Syncs the file, in the background, and notes what came of it.
    fn sync(&self, file: &File, offset: i64) {
        match file.sync_data() {
            // A file that cannot be synced (a pipe, /dev/null) is none to worry about.
            Err(e) if !matches!(e.raw_os_error(), Some(libc::EBADF | libc::EINVAL)) => {
                if self.errno.swap(e.raw_os_error().unwrap_or(libc::EIO), Ordering::AcqRel) == 0 {
                    log::warn!("Fail to fsync the AOF file: {}", os_error_text(&e));
                }
            }
            _ => {
                self.clear_error();
                self.set_synced_offset(offset);
            }
        }
    }
}

/// The file that is written, and what is to be written to it.
#[derive(Debug, Default)]
pub struct Writer {
    /// The incremental file that is written, while there is one.
    pub(super) file: Option<Arc<File>>,
    /// What is to be appended to it.
    pub(super) buf: Vec<u8>,
    /// The database that the commands of the file have selected, if it is known.
    pub(super) selected_db: Option<usize>,
    /// The one that they have selected where the buffer begins.
    begins_in_db: Option<usize>,
    /// Whether the buffer begins within a command, of which the rest is in the file.
    torn: bool,
    /// The time of the last annotation, in seconds.
    stamp_s: u64,
    /// Size of the file.
    pub(super) size: u64,
    /// How much of it is synced, or about to be.
    pub(super) synced: u64,
    /// Since when the write waits for a sync, in Unix milliseconds.
    postponed_since_ms: Option<u64>,
    /// When it was synced last, in Unix milliseconds.
    pub(super) last_sync_ms: u64,
    /// How long the last sync took that clients waited for, and how many they were.
    last_sync_took: Duration,
    last_sync_clients: usize,
    /// The error of the last write, if it failed.
    pub(super) error: Option<i32>,
    error_logged_s: Option<u64>,
    /// Writes that did not wait any longer for a sync.
    pub delayed_syncs: u64,
    /// A pause in front of each write, for tests: DEBUG AOF-FLUSH-SLEEP.
    pub flush_sleep: Duration,
    /// Shared with the thread that syncs.
    pub sync: Arc<SyncState>,
}

/// What is encoded of a command, in bytes, beside its arguments; for an estimate.
fn put_header(buf: &mut Vec<u8>, sigil: u8, n: usize) {
    buf.push(sigil);
    buf.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
    buf.extend_from_slice(b"\r\n");
}

/// Encodes an argument.
pub fn put_bulk(buf: &mut Vec<u8>, arg: &[u8]) {
    put_header(buf, b'$', arg.len());
    buf.extend_from_slice(arg);
    buf.extend_from_slice(b"\r\n");
}

/// Encodes a command's number of arguments.
pub fn put_count(buf: &mut Vec<u8>, args: usize) {
    put_header(buf, b'*', args);
}

/// Encodes a command.
pub fn put_command<'a>(buf: &mut Vec<u8>, args: impl ExactSizeIterator<Item = &'a [u8]>) {
    put_count(buf, args.len());
    args.for_each(|arg| put_bulk(buf, arg));
}

/// The annotation that says when what follows it was written.
pub fn timestamp_annotation(unix_s: u64) -> String {
    format!("#TS:{unix_s}\r\n")
}

/// Appends a command to what is to be written. `db` is the database it runs in; `None` for what runs in any.
#[inline]
pub fn feed<'a>(srv: &mut Server, db: Option<usize>, args: impl ExactSizeIterator<Item = &'a [u8]>) {
    let accepts = match srv.persistence.aof.state {
        AofState::On => true,
        // Before the first rewrite has begun there is nothing that this would follow.
        AofState::WaitRewrite => aof_child_active(srv),
        AofState::Off => false,
    };
    if !accepts {
        return;
    }
    let now_s = srv.clock.unix_s();
    let out = &mut srv.persistence.aof.out;
    if out.buf.is_empty() {
        out.begins_in_db = out.selected_db;
    }
    if srv.config.aof_timestamp_enabled && out.stamp_s < now_s {
        out.stamp_s = now_s;
        out.buf.extend_from_slice(timestamp_annotation(now_s).as_bytes());
    }
    if let Some(db) = db
        && out.selected_db != Some(db)
    {
        put_command(&mut out.buf, [&b"SELECT"[..], itoa::Buffer::new().format(db).as_bytes()].into_iter());
        out.selected_db = Some(db);
    }
    put_command(&mut out.buf, args);
    srv.net.hold_replies = true;
}

/// What the end of a turn brings: the buffer is written, and who waits for the disk is told how far it is.
pub fn before_sleep(srv: &mut Server) {
    if srv.persistence.aof.state != AofState::Off {
        flush(srv, false);
        srv.net.hold_replies = false;
    }
    super::waitaof::note_progress(srv);
}

/// For how long, if at all, the loop should look for more commands before it syncs for those that there are.
pub fn patience(srv: &Server) -> Option<Duration> {
    let (out, waiting) = (&srv.persistence.aof.out, srv.net.pending_write.len());
    let syncs = srv.config.appendfsync == AppendFsync::Always && !out.buf.is_empty();
    let expects_more = syncs && waiting < out.last_sync_clients;
    expects_more.then(|| (out.last_sync_took / PATIENCE_PART).min(PATIENCE_MAX))
}

/// Writes the buffer, and syncs as the policy says. Unless it is `forced`, a write may wait for a sync that is going on.
pub fn flush(srv: &mut Server, forced: bool) {
    let policy = srv.config.appendfsync;
    let now_ms = srv.clock.unix_ms;
    let out = &mut srv.persistence.aof.out;
    let syncing = policy == AppendFsync::EverySec && out.sync.pending() > 0;
    if out.buf.is_empty() {
        // A sync that failed is tried again: until one succeeds, writes are refused.
        let unsynced = out.synced != out.size || out.sync.error().is_some();
        let is_due = now_ms.saturating_sub(out.last_sync_ms) >= SYNC_MS && !syncing;
        match policy {
            AppendFsync::EverySec if unsynced && is_due => sync(srv, syncing),
            AppendFsync::Always if unsynced => sync(srv, syncing),
            // All is on disk, and so is what was propagated elsewhere only.
            _ if !unsynced && !syncing && policy != AppendFsync::No => {
                out.sync.set_synced_offset(srv.propagation.offset);
            }
            _ => {}
        }
        return;
    }
    if syncing && !forced {
        let since_ms = *out.postponed_since_ms.get_or_insert(now_ms);
        if now_ms.saturating_sub(since_ms) < POSTPONE_MS {
            return;
        }
        out.delayed_syncs += 1;
        log::info!(
            "Asynchronous AOF fsync is taking too long (disk is busy?). Writing the AOF buffer without waiting for fsync to complete, this may slow down Redis."
        );
    }
    if write(srv, syncing) {
        sync(srv, syncing);
    }
}

/// Writes the whole buffer; `false` if that failed.
fn write(srv: &mut Server, syncing: bool) -> bool {
    let out = &mut srv.persistence.aof.out;
    let Some(file) = out.file.clone() else { return false };
    if !out.flush_sleep.is_zero() {
        std::thread::sleep(out.flush_sleep);
    }
    let begun = Instant::now();
    let (written, error) = write_all(&file, &out.buf);
    out.postponed_since_ms = None;
    note_latency(srv, syncing, begun.elapsed());
    if let Some(error) = error {
        write_failed(srv, &file, written, &error);
        return false;
    }
    let aof = &mut srv.persistence.aof;
    if aof.out.error.take().is_some() {
        log::warn!("AOF write error looks solved, Redis can write again.");
    }
    aof.out.size += written as u64;
    aof.current_size += written as u64;
    aof.out.buf.clear();
    aof.out.buf.shrink_to(BUFFER_KEPT);
    aof.out.torn = false;
    true
}

/// Writes as much as the system takes: how many bytes, and why no more.
fn write_all(mut file: &File, bytes: &[u8]) -> (usize, Option<io::Error>) {
    let mut written = 0;
    while written < bytes.len() {
        match file.write(&bytes[written..]) {
            Ok(0) => return (written, Some(io::Error::from_raw_os_error(libc::ENOSPC))),
            Ok(n) => written += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return (written, Some(e)),
        }
    }
    (written, None)
}

fn note_latency(srv: &mut Server, syncing: bool, took: Duration) {
    let cause = match (syncing, child_active(srv)) {
        (true, _) => Event::AofWritePendingFsync,
        (false, true) => Event::AofWriteActiveChild,
        (false, false) => Event::AofWriteAlone,
    };
    let ms = took.as_millis() as u64;
    latency::add_sample_if_needed(srv, cause, ms);
    latency::add_sample_if_needed(srv, Event::AofWrite, ms);
}

/// What follows when only the first `written` bytes of the buffer reached the file.
#[cold]
fn write_failed(srv: &mut Server, file: &File, written: usize, error: &io::Error) {
    let now_s = srv.clock.unix_s();
    let aof = &mut srv.persistence.aof;
    let out = &mut aof.out;
    let may_log = out.error_logged_s.is_none_or(|then_s| now_s.saturating_sub(then_s) > ERROR_LOG_SECONDS);
    if may_log {
        out.error_logged_s = Some(now_s);
    }
    let mut left_in_file = written;
    if written == 0 {
        out.error = Some(error.raw_os_error().unwrap_or(libc::EIO));
        if may_log {
            log::warn!("Error writing to the AOF file: {}", os_error_text(error));
        }
    } else {
        // The system says "no space" only to the next write, if at all.
        out.error = Some(libc::ENOSPC);
        if may_log {
            let expected = out.buf.len();
            log::warn!(
                "Short write while writing to the AOF file: (nwritten={written}, expected={expected})"
            );
        }
        match file.set_len(out.size) {
            Ok(()) => left_in_file = 0,
            Err(e) if may_log => log::warn!(
                "Could not remove short write from the append-only file.  Redis may refuse to load the AOF the next time it starts.  ftruncate: {}",
                os_error_text(&e)
            ),
            Err(_) => {}
        }
    }
    if srv.config.appendfsync == AppendFsync::Always {
        log::warn!("Can't recover from AOF write error when the AOF fsync policy is 'always'. Exiting...");
        std::process::exit(1);
    }
    out.buf.drain(..left_in_file);
    out.torn |= left_in_file > 0;
    out.size += left_in_file as u64;
    aof.current_size += left_in_file as u64;
}

/// Syncs the file, if the policy says that it is time.
fn sync(srv: &mut Server, syncing: bool) {
    if srv.config.no_appendfsync_on_rewrite && child_active(srv) {
        return;
    }
    let (now_ms, offset) = (srv.clock.unix_ms, srv.propagation.offset);
    let waiting = srv.net.pending_write.len();
    let out = &mut srv.persistence.aof.out;
    match srv.config.appendfsync {
        AppendFsync::Always => {
            let Some(file) = &out.file else { return };
            let begun = Instant::now();
            if let Err(e) = file.sync_data() {
                log::warn!(
                    "Can't persist AOF for fsync error when the AOF fsync policy is 'always': {}. Exiting...",
                    os_error_text(&e)
                );
                std::process::exit(1);
            }
            out.synced = out.size;
            out.last_sync_ms = now_ms;
            out.sync.set_synced_offset(offset);
            (out.last_sync_took, out.last_sync_clients) = (begun.elapsed(), waiting);
            let ms = out.last_sync_took.as_millis() as u64;
            latency::add_sample_if_needed(srv, Event::AofFsyncAlways, ms);
        }
        AppendFsync::EverySec if now_ms.saturating_sub(out.last_sync_ms) >= SYNC_MS => {
            out.last_sync_ms = now_ms;
            if !syncing {
                out.synced = out.size;
                sync_in_background(srv);
            }
        }
        AppendFsync::EverySec | AppendFsync::No => {}
    }
}

/// Has the thread sync the file that is written.
fn sync_in_background(srv: &mut Server) {
    let out = &srv.persistence.aof.out;
    let Some(file) = out.file.clone() else { return };
    let (sync, offset) = (out.sync.clone(), srv.propagation.offset);
    sync.pending.fetch_add(1, Ordering::AcqRel);
    // The loop wakes when it is done: a write, or a client, may wait for it.
    srv.bio.submit_for(JobKind::Aof, networking::TOKEN_INTERNAL, move || {
        sync.sync(&file, offset);
        sync.pending.fetch_sub(1, Ordering::AcqRel);
    });
}

/// Has the thread sync and close a file that is written no more.
pub fn close_in_background(srv: &mut Server, file: Arc<File>) {
    let (sync, offset) = (srv.persistence.aof.out.sync.clone(), srv.propagation.offset);
    srv.bio.submit(JobKind::Aof, move || sync.sync(&file, offset));
}

/// What time brings: writes that wait for a sync, or failed, are tried again.
pub fn cron(srv: &mut Server) {
    let aof = &srv.persistence.aof;
    if aof.state == AofState::Off {
        return;
    }
    let second_begins = srv.cron.runs.is_multiple_of(srv.cron.hz.max(1));
    if aof.out.postponed_since_ms.is_some() || (aof.out.error.is_some() && second_begins) {
        flush(srv, false);
    }
}

impl Writer {
    /// Prepares for another file, in which no database is selected yet. What could not be written to the old one begins the
    /// new one; `false` if that cannot be, because the old one holds a part of it.
    pub(super) fn turn_over(&mut self) -> bool {
        if self.torn {
            return false;
        }
        match self.begins_in_db.filter(|_| !self.buf.is_empty()) {
            Some(db) => {
                let mut select = Vec::new();
                let digits = db.to_string();
                put_command(&mut select, [&b"SELECT"[..], digits.as_bytes()].into_iter());
                self.buf.splice(0..0, select);
                self.begins_in_db = None;
            }
            None if self.buf.is_empty() => self.selected_db = None,
            // It begins with a SELECT of its own.
            None => {}
        }
        true
    }

    /// Forgets what is to be written.
    pub(super) fn forget(&mut self) {
        self.buf = Vec::new();
        (self.selected_db, self.begins_in_db, self.torn) = (None, None, false);
    }

    /// Bytes that wait to be written.
    pub fn buffered(&self) -> usize {
        self.buf.len()
    }

    /// Bytes that the buffer takes.
    pub fn buffer_capacity(&self) -> usize {
        self.buf.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::testing::Bench;

    fn writer(buf: &[u8], begins_in_db: Option<usize>, torn: bool) -> Writer {
        Writer { buf: buf.to_vec(), begins_in_db, selected_db: Some(3), torn, ..Writer::default() }
    }

    #[test]
    fn what_was_not_written_begins_the_next_file_in_its_database() {
        let mut out = writer(b"*1\r\n$4\r\nPING\r\n", Some(12), false);
        assert!(out.turn_over());
        assert_eq!(out.buf, b"*2\r\n$6\r\nSELECT\r\n$2\r\n12\r\n*1\r\n$4\r\nPING\r\n");
        assert_eq!(out.selected_db, Some(3), "what follows goes on from there");

        let mut out = writer(b"", Some(12), false);
        assert!(out.turn_over() && out.buf.is_empty() && out.selected_db.is_none());

        let mut out = writer(b"G\r\n", None, true);
        assert!(!out.turn_over(), "half a command belongs to the file that holds the other half");
    }

    #[test]
    fn clients_wait_for_others_while_they_are_fewer_than_the_last_time() {
        let mut srv = Bench::new().srv;
        srv.config.appendfsync = AppendFsync::Always;
        let ms = Duration::from_millis;
        let after = |srv: &mut Server, took, clients, buf: &[u8]| {
            let out = &mut srv.persistence.aof.out;
            (out.last_sync_took, out.last_sync_clients) = (took, clients);
            out.buf = buf.to_vec();
            patience(srv)
        };
        assert_eq!(after(&mut srv, ms(2), 3, b"*1\r\n"), Some(ms(2) / PATIENCE_PART));
        assert_eq!(after(&mut srv, ms(900), 3, b"*1\r\n"), Some(PATIENCE_MAX));
        assert_eq!(after(&mut srv, ms(2), 3, b""), None, "nobody waits for the disk");
        assert_eq!(after(&mut srv, ms(2), 0, b"*1\r\n"), None, "nobody else is expected");
        srv.config.appendfsync = AppendFsync::EverySec;
        assert_eq!(after(&mut srv, ms(2), 3, b"*1\r\n"), None, "nobody waits for the disk");
    }

    #[test]
    fn commands_are_encoded_as_clients_send_them() {
        let mut buf = Vec::new();
        put_command(&mut buf, [&b"SET"[..], b"k", b"0123456789"].into_iter());
        assert_eq!(buf, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$10\r\n0123456789\r\n");
    }
}
