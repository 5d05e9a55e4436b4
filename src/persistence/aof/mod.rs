//! The append-only file: every change to the dataset, as the command that makes it, in the order of their effects.
//!
//! It is made of several files, which a manifest lists: a *base* holds the dataset as it was at some time, *incremental*
//! files what has changed since. A rewrite begins a new incremental file, has a child write the dataset of that moment as
//! a new base, and then lists the two instead of all before. So no change is ever written twice, and nothing is lost
//! whenever the process ends. `docs/aof.md` draws the files byte by byte.
//!
//! | file            | what it does                                                          |
//! |-----------------|-----------------------------------------------------------------------|
//! | `manifest.rs`   | the list of files, and their names                                    |
//! | `write.rs`      | from a change to bytes on disk, by the policies of `appendfsync`      |
//! | `reader.rs`     | from bytes to commands; bounded, for any bytes                        |
//! | `load.rs`       | playing the files back                                                |
//! | `commands.rs`   | a dataset as commands: a base that is no RDB file                     |
//! | `rewrite.rs`    | new bases: BGREWRITEAOF, its triggers, what becomes of it             |
//! | `waitaof.rs`    | WAITAOF                                                               |
//! | `check.rs`      | redis-check-aof                                                       |
//!
//! # On, off, and in between
//! [`AofState`] says what is written. Switched on while it runs, a server has no base yet: a rewrite must write one first,
//! and until it is there nothing is promised. Meanwhile changes go to an incremental file with a temporary name, which is
//! renamed and listed together with the base; should the rewrite fail, it is deleted and another one begins.

pub mod check;
pub mod commands;
pub mod load;
pub mod manifest;
pub mod reader;
pub mod rewrite;
pub mod waitaof;
pub mod write;

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::io::bio::JobKind;
use crate::persistence::child::Purpose;
use crate::server::Server;
use crate::server::config::file::os_error_text;

use manifest::{Home, Logged, Manifest, shown};

/// How often switching on is tried behind a load during which it was asked for, and the time between.
const START_TRIES: u32 = 10;
const START_RETRY: Duration = Duration::from_secs(1);

/// What becomes of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AofState {
    /// Nothing.
    #[default]
    Off,
    /// They are written.
    On,
    /// They are written once there is a child that writes the base which they belong to.
    WaitRewrite,
}

/// What the server keeps about its append-only file.
#[derive(Debug, Default)]
pub struct Aof {
    /// What becomes of changes.
    pub state: AofState,
    /// The files, as listed on disk.
    pub manifest: Manifest,
    /// The file that is written.
    pub out: write::Writer,
    /// Size of the base and all incremental files.
    pub current_size: u64,
    /// What that was when the last rewrite was done.
    pub base_size: u64,
    /// The replication offset up to which a restart would find everything; `None` while switched off.
    pub synced_offset: Option<i64>,
    /// Rewrites.
    pub rewrite: rewrite::Rewrite,
}

/// Whether a child is at work.
pub(crate) fn child_active(srv: &Server) -> bool {
    srv.persistence.children.active().is_some()
}

/// Whether a child is rewriting the append-only file.
pub(crate) fn aof_child_active(srv: &Server) -> bool {
    srv.persistence.children.active() == Some(Purpose::Aof)
}

/// Sets what becomes of changes.
fn set_state(srv: &mut Server, state: AofState) {
    srv.persistence.aof.state = state;
    srv.propagation.wanted = state != AofState::Off;
}

impl Aof {
    /// Whether the last write or sync failed, so that writes have to be refused.
    #[inline]
    pub fn is_failing(&self) -> bool {
        self.state != AofState::Off && (self.out.error.is_some() || self.out.sync.error().is_some())
    }

    /// Forgets what CONFIG RESETSTAT forgets.
    pub fn reset_stats(&mut self) {
        (self.rewrite.count, self.rewrite.failures_in_a_row, self.out.delayed_syncs) = (0, 0, 0);
    }

    /// Why it failed, if it did.
    pub fn disk_error(&self) -> Option<String> {
        let errno = self.out.error.or_else(|| self.out.sync.error()).filter(|_| self.is_failing())?;
        Some(os_error_text(&io::Error::from_raw_os_error(errno)))
    }
}

/// Loads the files at the start of a server with `appendonly yes`, after which changes are appended.
///
/// # Errors
/// The server must not start; the log says why.
pub fn load_at_start(srv: &mut Server) -> Result<(), Logged> {
    set_state(srv, AofState::On);
    load::load_at_start(srv)
}

/// Brings the files in order behind the load at the start of a server, from wherever that was.
///
/// # Errors
/// The server must not start; the log says why.
pub fn begin_after_load(srv: &mut Server) -> Result<(), Logged> {
    open_at_start(srv)?;
    delete_history(srv);
    apply_config_after_load(srv);
    Ok(())
}

/// Reads the list of files, as a starting server does first.
///
/// # Errors
/// It is no list; the log says why.
pub fn read_manifest(srv: &mut Server) -> Result<(), Logged> {
    srv.persistence.aof.manifest = Home::of(&srv.config).read_manifest()?;
    Ok(())
}

/// Opens the file that is to be written, behind the load at the start of a server; a server that starts empty also gets a
/// base.
///
/// # Errors
/// It cannot be opened or listed; the log says why.
fn open_at_start(srv: &mut Server) -> Result<(), Logged> {
    if srv.persistence.aof.state != AofState::On {
        return Ok(());
    }
    let home = Home::of(&srv.config);
    home.make_dir()?;
    let mut manifest = srv.persistence.aof.manifest.clone();
    let is_new = manifest.incr.is_empty();
    if manifest.is_empty() {
        let name = manifest.new_base(&home, srv.config.aof_use_rdb_preamble).name.clone();
        rewrite::write_base(srv, &home.path(&name), None)?;
        log::info!("Creating AOF base file {} on server start", shown(&name));
    }
    if is_new {
        manifest.new_incr(&home, srv.propagation.offset);
    }
    let name = manifest.incr.last().expect("there is one now").name.clone();
    let file = open_to_append(&home.path(&name), &name, false)?;
    manifest.persist(&home)?;
    let size = size_of_file(srv, &home, &name).unwrap_or(0);
    let aof = &mut srv.persistence.aof;
    aof.manifest = manifest;
    (aof.out.size, aof.out.synced) = (size, size);
    aof.out.file = Some(Arc::new(file));
    aof.out.last_sync_ms = srv.clock.unix_ms;
    aof.out.sync.set_synced_offset(srv.propagation.offset);
    let what = if is_new { "Creating" } else { "Opening" };
    log::info!("{what} AOF incr file {} on server start", shown(&name));
    Ok(())
}

/// Opens a file to be written at its end; what it holds is dropped if `emptied`.
fn open_to_append(path: &Path, name: &[u8], emptied: bool) -> Result<File, Logged> {
    let opened = OpenOptions::new().append(true).create(true).open(path).and_then(|file| {
        if emptied {
            file.set_len(0)?;
        }
        Ok(file)
    });
    opened.map_err(|e| {
        log::warn!("Can't open the append-only file {}: {}", shown(name), os_error_text(&e));
        Logged
    })
}

/// The size of a file of the list.
///
/// # Errors
/// Of the system; the log has it as well.
fn size_of_file(srv: &mut Server, home: &Home, name: &[u8]) -> io::Result<u64> {
    let begun = std::time::Instant::now();
    let size = std::fs::metadata(home.path(name)).map(|meta| meta.len());
    if let Err(e) = &size {
        log::warn!("Unable to obtain the AOF file {} length. stat: {}", shown(name), os_error_text(e));
    }
    let ms = begun.elapsed().as_millis() as u64;
    crate::server::latency::add_sample_if_needed(srv, crate::server::latency::Event::AofStat, ms);
    size
}

/// Deletes the files of the past, in the background, unless `aof-disable-auto-gc` keeps them.
pub fn delete_history(srv: &mut Server) {
    let aof = &mut srv.persistence.aof;
    if srv.config.aof_disable_auto_gc || aof.manifest.history.is_empty() {
        return;
    }
    let home = Home::of(&srv.config);
    let history = std::mem::take(&mut aof.manifest.history);
    aof.manifest.dirty = true;
    for file in &history {
        log::info!("Removing the history file {} in the background", shown(&file.name));
        unlink_in_background(srv, &home.path(&file.name));
    }
    // Should the list not be written, it names files that are gone, which does no harm.
    let _ = srv.persistence.aof.manifest.persist(&home);
}

/// Deletes a file; its blocks are freed in the background, which can take long for a large one.
fn unlink_in_background(srv: &Server, path: &Path) {
    let held = File::open(path);
    let removed = std::fs::remove_file(path);
    if let (Ok(file), Ok(())) = (held, removed) {
        srv.bio.submit(JobKind::CloseFile, move || drop(file));
    }
}

/// Brings the server in line with `appendonly`: CONFIG SET, and a load during which it was changed.
///
/// # Errors
/// It cannot be switched on; the log says why.
pub fn apply_config(srv: &mut Server) -> Result<(), Logged> {
    match (srv.config.appendonly, srv.persistence.aof.state) {
        // What is being loaded is nobody's change; the end of the load comes back to it.
        _ if srv.persistence.loading.is_on() => Ok(()),
        (true, AofState::Off) => start(srv),
        (false, AofState::On | AofState::WaitRewrite) => {
            stop(srv);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// [`apply_config`] behind the load of a starting server. It ends the process where the file cannot be switched on.
fn apply_config_after_load(srv: &mut Server) {
    for tries_left in (0..START_TRIES).rev() {
        if apply_config(srv).is_ok() {
            return;
        }
        if tries_left > 0 {
            log::warn!("Failed to enable AOF! Trying it again in one second.");
            std::thread::sleep(START_RETRY);
        }
    }
    log::warn!("FATAL: AOF can't be turned on. Exiting now.");
    std::process::exit(1);
}

/// Switches on: a rewrite begins, or is scheduled if that is not possible yet.
fn start(srv: &mut Server) -> Result<(), Logged> {
    set_state(srv, AofState::WaitRewrite);
    if child_active(srv) && !aof_child_active(srv) {
        srv.persistence.aof.rewrite.scheduled = true;
        log::info!(
            "AOF was enabled but there is already another background operation. An AOF background was scheduled to start when possible."
        );
    } else if srv.propagation.in_transaction() {
        srv.persistence.aof.rewrite.scheduled = true;
        log::info!(
            "AOF was enabled during a transaction. An AOF background was scheduled to start when possible."
        );
    } else {
        if aof_child_active(srv) {
            // It has no incremental file beside it.
            log::info!(
                "AOF was enabled but there is already an AOF rewriting in background. Stopping background AOF and starting a rewrite now."
            );
            rewrite::kill_child(srv);
        }
        if rewrite::in_background(srv).is_err() {
            set_state(srv, AofState::Off);
            log::warn!(
                "Redis needs to enable the AOF but can't trigger a background AOF rewrite operation. Check the above logs for more info about the error."
            );
            return Err(Logged);
        }
    }
    let out = &mut srv.persistence.aof.out;
    out.last_sync_ms = srv.clock.unix_ms;
    if out.sync.error().is_some() {
        log::warn!("AOF reopen, just ignore the AOF fsync error in bio job");
        out.sync.clear_error();
    }
    if out.error.take().is_some() {
        log::warn!("AOF reopen, just ignore the last error.");
    }
    Ok(())
}

/// Switches off: what there is to write is written and synced, and a child that rewrites is ended.
fn stop(srv: &mut Server) {
    write::flush(srv, true);
    sync_now(srv);
    note_end(srv);
    let aof = &mut srv.persistence.aof;
    aof.out.file = None;
    aof.out.forget();
    (aof.out.size, aof.out.synced) = (0, 0);
    aof.out.sync.set_synced_offset(0);
    aof.synced_offset = None;
    aof.rewrite.scheduled = false;
    set_state(srv, AofState::Off);
    srv.net.hold_replies = false;
    rewrite::kill_child(srv);
}

/// Syncs the file that is written.
fn sync_now(srv: &mut Server) {
    let Some(file) = srv.persistence.aof.out.file.clone() else { return };
    match file.sync_data() {
        Ok(()) => srv.persistence.aof.out.last_sync_ms = srv.clock.unix_ms,
        Err(e) => log::warn!("Fail to fsync the AOF file: {}.", os_error_text(&e)),
    }
}

/// Notes in the list where the file ends that is written: nothing will follow.
fn note_end(srv: &mut Server) {
    let offset = srv.propagation.offset;
    let home = Home::of(&srv.config);
    let aof = &mut srv.persistence.aof;
    if aof.state == AofState::On
        && aof.out.file.is_some()
        && let Some(last) = aof.manifest.incr.last_mut()
    {
        last.end_offset = Some(offset);
        aof.manifest.dirty = true;
        // Without it, the next start works it out from the file's size.
        let _ = aof.manifest.persist(&home);
    }
}

/// What the end of the process asks for: a child that rewrites is ended, and everything is written and synced. `false` if
/// the process must go on, because it would leave no dataset behind.
pub fn prepare_shutdown(srv: &mut Server, forced: bool) -> bool {
    if aof_child_active(srv) {
        if srv.persistence.aof.state == AofState::WaitRewrite {
            if !forced {
                log::warn!("Writing initial AOF, can't exit.");
                return false;
            }
            log::warn!("Writing initial AOF. Exit anyway.");
        }
        log::warn!("There is a child rewriting the AOF. Killing it!");
        rewrite::kill_child(srv);
    }
    if srv.persistence.aof.state != AofState::Off {
        log::info!("Calling fsync() on the AOF file.");
        write::flush(srv, true);
        sync_now(srv);
    }
    true
}

/// What is left to do when nothing can keep the process from ending any more.
pub fn finish_shutdown(srv: &mut Server) {
    note_end(srv);
}

/// What time brings: writes that failed are tried again, and rewrites begin that are due.
pub fn cron(srv: &mut Server) {
    rewrite::cron(srv);
    write::cron(srv);
}
