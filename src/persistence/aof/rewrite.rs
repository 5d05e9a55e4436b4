//! New bases: BGREWRITEAOF, what makes the server start a rewrite by itself, and what becomes of one.
//!
//! ```text
//!   before            base 1, incr 1
//!   a rewrite begins  base 1, incr 1, incr 2     listed; changes go to incr 2 from now on
//!   a child writes    temp-rewriteaof-bg-<pid>.aof: the dataset of that moment
//!   it is done        base 2, incr 2             listed; base 1 and incr 1 are history
//!   they are deleted  in the background
//! ```
//!
//! At each step what is listed is whole. A rewrite that fails leaves one more incremental file, and nothing else; so those
//! that the server starts by itself are held back after [`FAILURES_TOLERATED`] failures in a row, for a minute at first and
//! twice as long each time.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use nix::unistd::Pid;

use crate::persistence::child::{self, ChildPipe, End, Forked, Purpose};
use crate::persistence::rdb::{self, Dataset, SaveOptions};
use crate::server::config::file::os_error_text;
use crate::server::latency::{self, Event};
use crate::server::{Client, CmdError, CmdResult, Server, time};

use super::manifest::{Home, Logged, Manifest, shown};
use super::{AofState, aof_child_active, child_active, commands, open_to_append, size_of_file, write};

/// So many failures in a row hold rewrites back: upstream's `AOF_REWRITE_LIMIT_THRESHOLD`.
const FAILURES_TOLERATED: u64 = 3;

/// Longest time that they do, in minutes: upstream's `AOF_REWRITE_LIMIT_MAX_MINUTES`.
const DELAY_MAX_MINUTES: u64 = 60;

/// Bytes between two syncs of a base that is being written: upstream's `REDIS_AUTOSYNC_BYTES`.
const SYNC_BYTES: u64 = 4 * 1024 * 1024;

/// What is known of rewrites.
#[derive(Debug, Default)]
pub struct Rewrite {
    /// Whether one is to begin as soon as there is no child.
    pub scheduled: bool,
    /// Whether the last one failed.
    pub failed: bool,
    /// Seconds that the last one took, if there was one.
    pub last_seconds: Option<u64>,
    /// When the one at hand began, in Unix seconds.
    started_s: Option<u64>,
    /// Whether the base at hand is an RDB file.
    as_rdb: bool,
    /// The replication offset at which the incremental file beside a first base begins.
    temp_incr_offset: i64,
    /// How many there were.
    pub count: u64,
    /// How many of them failed since one did not.
    pub failures_in_a_row: u64,
    limit: Limit,
}

impl Rewrite {
    fn note_failure(&mut self) {
        self.failed = true;
        self.failures_in_a_row += 1;
    }
}

/// What holds rewrites back that fail again and again.
#[derive(Debug, Default)]
struct Limit {
    delay_minutes: u64,
    until_s: Option<u64>,
}

impl Limit {
    /// Whether a rewrite must not begin by itself now.
    fn holds(&mut self, failures_in_a_row: u64, now_s: u64) -> bool {
        if failures_in_a_row < FAILURES_TOLERATED {
            *self = Limit::default();
            return false;
        }
        if let Some(until_s) = self.until_s {
            if now_s >= until_s {
                self.until_s = None;
            }
            return now_s < until_s;
        }
        self.delay_minutes = (self.delay_minutes * 2).clamp(1, DELAY_MAX_MINUTES);
        self.until_s = Some(now_s + self.delay_minutes * 60);
        log::warn!(
            "Background AOF rewrite has repeatedly failed and triggered the limit, will retry in {} minutes",
            self.delay_minutes
        );
        true
    }
}

fn now_s() -> u64 {
    time::unix_us() / 1_000_000
}

/// Where a child of this id writes the new base.
fn child_path(pid: Pid) -> PathBuf {
    PathBuf::from(format!("temp-rewriteaof-bg-{pid}.aof"))
}

/// Where a process of this id writes a base before it has its name.
fn temp_path(pid: Pid) -> PathBuf {
    PathBuf::from(format!("temp-rewriteaof-{pid}.aof"))
}

/// `BGREWRITEAOF`
pub fn bgrewriteaof(srv: &mut Server, c: &mut Client) -> CmdResult {
    if aof_child_active(srv) {
        return Err(CmdError::text("ERR Background append only file rewriting already in progress"));
    }
    if child_active(srv) || srv.propagation.in_transaction() {
        let rewrite = &mut srv.persistence.aof.rewrite;
        rewrite.scheduled = true;
        // Who asks for one is not held back.
        rewrite.failures_in_a_row = 0;
        c.out.simple("Background append only file rewriting scheduled");
        return Ok(());
    }
    in_background(srv).map_err(|Logged| {
        CmdError::text(
            "ERR Can't execute an AOF background rewriting. Please check the server logs for more information.",
        )
    })?;
    c.out.simple("Background append only file rewriting started");
    Ok(())
}

/// Begins rewrites that were scheduled, or that the size of the files asks for.
pub(super) fn cron(srv: &mut Server) {
    if child_active(srv) {
        return;
    }
    let now_s = srv.clock.unix_s();
    let aof = &mut srv.persistence.aof;
    let (min_size, percentage) =
        (srv.config.auto_aof_rewrite_min_size, u64::from(srv.config.auto_aof_rewrite_percentage));
    let failures = aof.rewrite.failures_in_a_row;
    if aof.rewrite.scheduled {
        if !aof.rewrite.limit.holds(failures, now_s) {
            // What fails is logged, and tried again for as long as it is scheduled.
            let _ = in_background(srv);
        }
        return;
    }
    if aof.state != AofState::On || percentage == 0 || aof.current_size <= min_size {
        return;
    }
    let growth = (u128::from(aof.current_size) * 100 / u128::from(aof.base_size.max(1))).saturating_sub(100);
    if growth >= u128::from(percentage) && !aof.rewrite.limit.holds(failures, now_s) {
        log::info!("Starting automatic rewriting of AOF on {growth}% growth");
        // What fails is logged; the size will ask again.
        let _ = in_background(srv);
    }
}

/// Begins a rewrite: a new incremental file is opened, and a child writes the dataset.
///
/// # Errors
/// It could not begin; the log says why.
pub(super) fn in_background(srv: &mut Server) -> Result<(), Logged> {
    if child_active(srv) {
        return Err(Logged);
    }
    let begun = begin(srv);
    if begun.is_err() {
        srv.persistence.aof.rewrite.failed = true;
    }
    begun
}

fn begin(srv: &mut Server) -> Result<(), Logged> {
    let home = Home::of(&srv.config);
    home.make_dir()?;
    write::flush(srv, true);
    begin_incr(srv, &home)?;
    let offset = srv.propagation.offset;
    let aof = &mut srv.persistence.aof;
    aof.rewrite.count += 1;
    if aof.state == AofState::WaitRewrite {
        // What an earlier file's syncs have reached says nothing about this one.
        srv.bio.drain(crate::io::bio::JobKind::Aof);
        aof.out.sync.set_synced_offset(offset);
        aof.synced_offset = Some(0);
        aof.rewrite.temp_incr_offset = offset;
    }
    match child::fork(srv, Purpose::Aof, done) {
        Ok(Forked::Parent(pid)) => {
            log::info!("Background append only file rewriting started by pid {pid}");
            let rewrite = &mut srv.persistence.aof.rewrite;
            rewrite.scheduled = false;
            rewrite.started_s = Some(now_s());
            rewrite.as_rdb = srv.config.aof_use_rdb_preamble;
            Ok(())
        }
        Ok(Forked::Child(pipe)) => write_in_child(srv, pipe),
        Err(e) => {
            log::warn!("Can't rewrite append only file in background: fork: {}", os_error_text(&e));
            Err(Logged)
        }
    }
}

/// What the child does.
fn write_in_child(srv: &mut Server, mut pipe: ChildPipe) -> ! {
    let path = child_path(Pid::this());
    let written = write_base(srv, &path, Some(&mut pipe));
    if written.is_ok() {
        log::info!("Successfully created the temporary AOF base file {}", path.display());
        pipe.finish();
    }
    child::exit(written.is_ok())
}

/// Has changes go to a new file from now on, which the new base will precede.
fn begin_incr(srv: &mut Server, home: &Home) -> Result<(), Logged> {
    let offset = srv.propagation.offset;
    let mut listed: Option<Manifest> = None;
    let name = match srv.persistence.aof.state {
        AofState::Off => return Ok(()),
        // Half a command in the old file must be completed there first. The log tells of it.
        _ if !srv.persistence.aof.out.turn_over() => return Err(Logged),
        // It is listed when there is a base.
        AofState::WaitRewrite => home.temp_incr_name(),
        AofState::On => {
            let manifest = listed.insert(srv.persistence.aof.manifest.clone());
            manifest.new_incr(home, offset).name.clone()
        }
    };
    let file = open_to_append(&home.path(&name), &name, true)?;
    if let Some(manifest) = &mut listed {
        manifest.persist(home)?;
    }
    log::info!("Creating AOF incr file {} on background rewrite", shown(&name));
    let now_ms = srv.clock.unix_ms;
    let aof = &mut srv.persistence.aof;
    if let Some(manifest) = listed {
        aof.manifest = manifest;
    }
    let old = aof.out.file.replace(Arc::new(file));
    (aof.out.size, aof.out.synced) = (0, 0);
    if let Some(old) = old {
        aof.out.last_sync_ms = now_ms;
        write::close_in_background(srv, old);
    }
    Ok(())
}

/// Ends the child that rewrites, if there is one, and forgets what it was about.
pub(super) fn kill_child(srv: &mut Server) {
    let Some(pid) = srv.persistence.children.pid().filter(|_| aof_child_active(srv)) else { return };
    log::info!("Killing running AOF rewrite child: {pid}");
    child::kill_and_wait(srv, Purpose::Aof);
    remove_temp_files(srv, pid);
    srv.persistence.aof.rewrite.started_s = None;
}

fn remove_temp_files(srv: &Server, pid: Pid) {
    super::unlink_in_background(srv, &child_path(pid));
    super::unlink_in_background(srv, &temp_path(pid));
}

/// What follows when the child has ended.
fn done(srv: &mut Server, pid: Pid, end: End) {
    let begun = Instant::now();
    match end {
        End::Success => {
            log::info!("Background AOF rewrite terminated with success");
            match take_over(srv, pid) {
                Ok(()) => log::debug!(
                    "Background AOF rewrite signal handler took {}us",
                    begun.elapsed().as_micros()
                ),
                Err(Logged) => srv.persistence.aof.rewrite.note_failure(),
            }
        }
        End::Failure => {
            srv.persistence.aof.rewrite.note_failure();
            log::warn!("Background AOF rewrite terminated with error");
        }
        End::Signal(signal) => {
            // This one is how a child is asked to end that is not wanted any more.
            if signal != libc::SIGUSR1 {
                srv.persistence.aof.rewrite.note_failure();
            }
            log::warn!("Background AOF rewrite terminated by signal {signal}");
        }
    }
    remove_temp_files(srv, pid);
    let started_s = srv.persistence.aof.rewrite.started_s.take();
    let aof = &mut srv.persistence.aof;
    aof.rewrite.last_seconds = started_s.map(|started_s| now_s().saturating_sub(started_s));
    if aof.state == AofState::WaitRewrite {
        // What was collected belongs to a base that there is not. Another one is on its way.
        aof.out.forget();
        aof.rewrite.scheduled = true;
        let home = Home::of(&srv.config);
        let name = home.temp_incr_name();
        log::info!("Removing the temp incr aof file {} in the background", shown(&name));
        super::unlink_in_background(srv, &home.path(&name));
    }
}

/// Lists the new base and the file beside it in the place of all files before them.
fn take_over(srv: &mut Server, pid: Pid) -> Result<(), Logged> {
    let home = Home::of(&srv.config);
    let mut manifest = srv.persistence.aof.manifest.clone();
    let as_rdb = srv.persistence.aof.rewrite.as_rdb;
    let base_name = manifest.new_base(&home, as_rdb).name.clone();
    let base_path = home.path(&base_name);
    rename(srv, "base", &child_path(pid), &base_path, &base_name)?;
    let mut new_files = vec![base_path];
    let waited = srv.persistence.aof.state == AofState::WaitRewrite;
    let mut listed = Ok(());
    if waited {
        let start_offset = srv.persistence.aof.rewrite.temp_incr_offset;
        let name = manifest.new_incr(&home, start_offset).name.clone();
        let path = home.path(&name);
        listed = rename(srv, "incr", &home.path(&home.temp_incr_name()), &path, &name);
        new_files.push(path);
    }
    // The file that is written goes on; all before it are in the base.
    manifest.retire_incr(usize::from(srv.persistence.aof.out.file.is_some()));
    if let Err(Logged) = listed.and_then(|()| manifest.persist(&home)) {
        new_files.iter().for_each(|path| super::unlink_in_background(srv, path));
        return Err(Logged);
    }
    srv.persistence.aof.manifest = manifest;
    if srv.persistence.aof.state != AofState::Off {
        let base_size = size_of_file(srv, &home, &base_name).unwrap_or(0);
        let aof = &mut srv.persistence.aof;
        aof.current_size = base_size + aof.out.size;
        aof.base_size = aof.current_size;
    }
    super::delete_history(srv);
    let rewrite = &mut srv.persistence.aof.rewrite;
    (rewrite.failed, rewrite.failures_in_a_row) = (false, 0);
    log::info!("Background AOF rewrite finished successfully");
    if waited {
        super::set_state(srv, AofState::On);
        let aof = &mut srv.persistence.aof;
        aof.synced_offset = Some(aof.out.sync.synced_offset());
    }
    Ok(())
}

/// Gives a file its name.
fn rename(srv: &mut Server, kind: &str, from: &Path, to: &Path, name: &[u8]) -> Result<(), Logged> {
    let begun = Instant::now();
    if let Err(e) = std::fs::rename(from, to) {
        let (from, to) = (from.display(), to.display());
        let why = os_error_text(&e);
        log::warn!("Error trying to rename the temporary AOF {kind} file {from} into {to}: {why}");
        return Err(Logged);
    }
    latency::add_sample_if_needed(srv, Event::AofRename, begun.elapsed().as_millis() as u64);
    let from = from.file_name().unwrap_or_default().to_string_lossy().into_owned();
    log::info!("Successfully renamed the temporary AOF {kind} file {from} into {}", shown(name));
    Ok(())
}

/// A file that is synced every so many bytes, so that no sync has much to do.
struct Syncing {
    file: File,
    unsynced: u64,
    incremental: bool,
}

impl Write for Syncing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.unsynced += n as u64;
        if self.incremental && self.unsynced >= SYNC_BYTES {
            self.file.sync_data()?;
            self.unsynced = 0;
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.sync_all()
    }
}

/// Writes the dataset as `aof-use-rdb-preamble` has it.
fn write_dataset(srv: &Server, out: &mut Syncing, pipe: Option<&mut ChildPipe>) -> io::Result<()> {
    let mut pipe = pipe;
    let dismissal = pipe.as_ref().map(|pipe| pipe.dismissal());
    let mut report = |keys: u64| {
        if let Some(pipe) = &mut pipe {
            pipe.progress(keys);
        }
    };
    if !srv.config.aof_use_rdb_preamble {
        return commands::write_dataset(srv, out, dismissal, &mut report);
    }
    let mut options = SaveOptions::of(srv);
    options.aof_base = true;
    options.dismissal = dismissal;
    options.key_delay = srv.config.rdb_key_save_delay;
    let saved = rdb::save(out, &Dataset::of(srv), &options, &mut |keys, _| report(keys));
    match saved {
        Ok(_) => Ok(()),
        Err(rdb::Error::Io(e)) => Err(e),
        Err(e) => Err(io::Error::other(e.to_string())),
    }
}

/// Writes the dataset to a file of this name, by way of another one.
///
/// # Errors
/// The file could not be written; the log says why.
pub(super) fn write_base(srv: &mut Server, path: &Path, pipe: Option<&mut ChildPipe>) -> Result<(), Logged> {
    let temp = temp_path(Pid::this());
    let file = File::create(&temp).map_err(|e| {
        let why = os_error_text(&e);
        log::warn!("Opening the temp file for AOF rewrite in rewriteAppendOnlyFile(): {why}");
        Logged
    })?;
    let mut out = Syncing { file, unsynced: 0, incremental: srv.config.aof_rewrite_incremental_fsync };
    let written = write_dataset(srv, &mut out, pipe).and_then(|()| out.flush());
    drop(out);
    let failed = |what: &str, e: &io::Error| {
        log::warn!("{what}: {}", os_error_text(e));
        // What cannot be removed is in nobody's way.
        let _ = std::fs::remove_file(&temp);
        Logged
    };
    written.map_err(|e| failed("Write error writing append only file on disk", &e))?;
    std::fs::rename(&temp, path)
        .map_err(|e| failed("Error moving temp append only file on the final destination", &e))
}
