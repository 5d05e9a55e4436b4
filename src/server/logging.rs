//! The log: upstream's line format, levels and destinations, behind the `log` crate's macros.
//!
//! Upstream's levels map to the crate's so: warning = [`log::Level::Error`] and [`log::Level::Warn`], notice =
//! [`log::Level::Info`], verbose = [`log::Level::Debug`], debug = [`log::Level::Trace`]. A line is
//! `PID:ROLE DD Mon YYYY HH:MM:SS.mmm LEVEL text`, its level one of `.`, `-`, `*`, `#`. The log file is opened for
//! each line, so that rotation needs no signal.

use std::ffi::{CStr, CString};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard};

use log::{Level, LevelFilter};

/// Bytes of one message that are logged: upstream's `LOG_MAX_LEN`.
const MAX_LEN: usize = 1024;

/// Where lines go; `None` is standard output.
static FILE: Mutex<Option<PathBuf>> = Mutex::new(None);
static SYSLOG: AtomicBool = AtomicBool::new(false);
/// The role's letter.
static ROLE: AtomicU8 = AtomicU8::new(b'M');

/// Installs the logger; lines go to standard output until [`set_file`].
pub fn init() {
    let mut builder = env_logger::Builder::new();
    builder.filter_module("ochre", LevelFilter::Trace).format(|_, record| {
        write_line(record.level(), &record.args().to_string());
        Ok(())
    });
    // A second initialisation happens in tests only, where the first logger serves as well.
    let _ = builder.try_init();
    log::set_max_level(LevelFilter::Info);
}

/// Lets lines of `level` and above through.
pub fn set_level(level: LevelFilter) {
    log::set_max_level(level);
}

/// Sends lines to the file of this name, or to standard output when it is empty.
///
/// # Errors
/// If the file cannot be opened for appending.
pub fn set_file(path: &Path) -> std::io::Result<()> {
    let named = !path.as_os_str().is_empty();
    if named {
        OpenOptions::new().append(true).create(true).open(path)?;
    }
    *FILE.lock().unwrap_or_else(|e| e.into_inner()) = named.then(|| path.to_path_buf());
    Ok(())
}

/// Also sends lines to syslog from now on.
pub fn open_syslog(ident: &str, facility: nix::syslog::Facility) -> Result<(), String> {
    use nix::syslog::LogFlags;
    let ident = CString::new(ident).map_err(|e| e.to_string())?;
    // The system keeps the pointer for as long as it logs, which is to the end.
    let ident: &'static CStr = Box::leak(ident.into_boxed_c_str());
    let flags = LogFlags::LOG_PID | LogFlags::LOG_NDELAY;
    nix::syslog::openlog(Some(ident), flags, facility).map_err(|e| e.to_string())?;
    SYSLOG.store(true, Ordering::Relaxed);
    Ok(())
}

/// Sets the role's letter: `M` master, `S` replica, `C` child, `X` sentinel.
pub fn set_role(letter: u8) {
    ROLE.store(letter, Ordering::Relaxed);
}

/// Keeps the log to the caller until the result is dropped: around a fork, whose child would wait without end for a
/// lock that another thread holds. The log must not be written to meanwhile.
pub fn hold() -> Held {
    Held { _file: FILE.lock().unwrap_or_else(|e| e.into_inner()) }
}

/// The log, held by [`hold`].
#[derive(Debug)]
pub struct Held {
    _file: MutexGuard<'static, Option<PathBuf>>,
}

/// Writes a line as it is, without time and level: the logo, crash reports.
pub fn write_raw(text: &str) {
    emit(text.as_bytes());
}

/// A line of the log.
pub fn line(level: Level, message: &str) -> String {
    let mark = match level {
        Level::Error | Level::Warn => '#',
        Level::Info => '*',
        Level::Debug => '-',
        Level::Trace => '.',
    };
    let role = char::from(ROLE.load(Ordering::Relaxed));
    format!("{}:{role} {} {mark} {message}\n", std::process::id(), local_time())
}

fn write_line(level: Level, message: &str) {
    let mut message = message;
    if message.len() > MAX_LEN {
        let cut = (0..=MAX_LEN).rev().find(|i| message.is_char_boundary(*i)).unwrap_or(0);
        message = &message[..cut];
    }
    emit(line(level, message).as_bytes());
    if SYSLOG.load(Ordering::Relaxed) {
        to_syslog(level, message);
    }
}

fn emit(bytes: &[u8]) {
    let file = FILE.lock().unwrap_or_else(|e| e.into_inner());
    // A log that cannot be written to must not stop the server.
    let _ = match file.as_deref() {
        Some(path) => {
            OpenOptions::new().append(true).create(true).open(path).and_then(|mut f| f.write_all(bytes))
        }
        None => {
            let mut out = std::io::stdout().lock();
            out.write_all(bytes).and_then(|()| out.flush())
        }
    };
}

fn to_syslog(level: Level, message: &str) {
    use nix::syslog::Severity;
    let severity = match level {
        Level::Error | Level::Warn => Severity::LOG_WARNING,
        Level::Info => Severity::LOG_NOTICE,
        Level::Debug => Severity::LOG_INFO,
        Level::Trace => Severity::LOG_DEBUG,
    };
    let _ = nix::syslog::syslog(severity, message);
}

/// `22 Nov 2026 16:22:48.123` in local time.
fn local_time() -> String {
    let us = crate::server::time::unix_us();
    let seconds = (us / 1_000_000) as libc::time_t;
    // SAFETY: an all-zero `tm` is a valid value of that C struct.
    let mut tm: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live values of the right types; `localtime_r` keeps none of them.
    unsafe { libc::localtime_r(&seconds, &mut tm) };
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = MONTHS[tm.tm_mon.clamp(0, 11) as usize];
    format!(
        "{:02} {month} {} {:02}:{:02}:{:02}.{:03}",
        tm.tm_mday,
        tm.tm_year + 1900,
        tm.tm_hour,
        tm.tm_min,
        tm.tm_sec,
        us / 1000 % 1000
    )
}
