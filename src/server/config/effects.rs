//! Carrying configuration into the running server: what CONFIG SET must do beyond storing a value, and what is done
//! once at start.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;

use super::file::os_error_text;
use super::{Config, Effect};
use crate::persistence::aof;
use crate::server::setproctitle::{self, TitleVars};
use crate::server::{Server, crash, logging, networking, process, setcpuaffinity};
use crate::zmalloc;

/// Whether the kernel gives huge pages to all memory.
const THP_SWITCH: &str = "/sys/kernel/mm/transparent_hugepage/enabled";

/// Brings the server in line with its configuration where a directive with this effect has changed. Doing so again
/// does no harm.
///
/// # Errors
/// Why the new value cannot be used, as the client is to read it. The server may then be neither as before nor as
/// wanted; with the old value put back, the same effect restores it.
pub fn apply_effect(srv: &mut Server, effect: Effect) -> Result<(), String> {
    let fixed = |ok: bool, error: &str| if ok { Ok(()) } else { Err(error.to_owned()) };
    match effect {
        Effect::None => Ok(()),
        Effect::Port => {
            fixed(networking::relisten(srv).is_ok(), "Unable to listen on this port. Check server logs.")
        }
        Effect::Bind => fixed(networking::relisten(srv).is_ok(), "Failed to bind to specified addresses."),
        Effect::MaxClients => apply_max_clients(srv),
        Effect::Dir => apply_dir(&mut srv.config).map_err(|error| os_error_text(&error)),
        Effect::LogLevel => {
            logging::set_level(srv.config.loglevel.filter());
            Ok(())
        }
        Effect::ProcTitle => fixed(apply_title(srv), "failed to set process title"),
        Effect::OomScore => {
            fixed(apply_oom_score(srv).is_ok(), "Failed to set current oom_score_adj. Check server logs.")
        }
        Effect::CrashLog => {
            crash::install(srv);
            Ok(())
        }
        Effect::Watchdog => {
            crash::watchdog::configure(srv);
            Ok(())
        }
        Effect::LocaleCollate => fixed(set_collation(&srv.config.locale_collate), "Invalid locale name"),
        Effect::JemallocBgThread => {
            apply_jemalloc_bg_thread(&srv.config);
            Ok(())
        }
        Effect::MaxMemory => {
            apply_max_memory(srv);
            Ok(())
        }
        Effect::AppendOnly => {
            fixed(aof::apply_config(srv).is_ok(), "Unable to turn on AOF. Check server logs.")
        }
        Effect::AofHistory => {
            aof::delete_history(srv);
            Ok(())
        }
        Effect::SlowThreshold => {
            srv.refresh_slow_threshold();
            Ok(())
        }
    }
}

/// What the configuration asks of the process before the server opens its doors. Background threads run already,
/// and keep their own processors.
pub fn apply_at_start(srv: &mut Server) {
    if !set_collation(&srv.config.locale_collate) {
        log::warn!("Failed to configure LOCALE for invalid locale name.");
        std::process::exit(1);
    }
    apply_thp(&srv.config);
    apply_jemalloc_bg_thread(&srv.config);
    if let Some(list) = &srv.config.server_cpulist {
        setcpuaffinity::bind_thread(list);
    }
    // Both are logged where they fail, and neither is a reason not to start.
    let _ = apply_oom_score(srv);
    if !apply_title(srv) {
        log::warn!("Unable to set the process title");
    }
}

fn apply_max_memory(srv: &mut Server) {
    let used = zmalloc::used_memory();
    if srv.config.maxmemory == 0 {
        return;
    }
    if used > srv.config.maxmemory as usize {
        log::warn!(
            "WARNING: the new maxmemory value set via CONFIG SET ({}) is smaller than the current memory usage ({used}). This will result in key eviction and/or the inability to accept new write commands depending on the maxmemory-policy.",
            srv.config.maxmemory
        );
    }
    // Not here: the client that sets it is answered first.
    srv.eviction.unfinished = true;
}

fn apply_max_clients(srv: &mut Server) -> Result<(), String> {
    let wanted = srv.config.maxclients;
    process::adjust_open_files_limit(srv);
    if srv.config.maxclients == wanted {
        return Ok(());
    }
    Err(format!(
        "The operating system is not able to handle the specified number of clients, try with {}",
        srv.config.maxclients
    ))
}

/// Changes the working directory and remembers where that led.
fn apply_dir(config: &mut Config) -> io::Result<()> {
    std::env::set_current_dir(&config.dir)?;
    config.dir = std::env::current_dir()?;
    Ok(())
}

/// Puts up the process title, unless the configuration or the system has none.
fn apply_title(srv: &mut Server) -> bool {
    let (config, process) = (&srv.config, &mut srv.process);
    let Some(area) = process.title.as_mut().filter(|_| config.set_proc_title) else {
        return true;
    };
    let vars = TitleVars {
        title: process.args.first().map_or(b"redis-server", |program| program.as_bytes()),
        bind: &config.bind,
        port: config.port,
        tls_port: 0,
        unixsocket: config.unixsocket.as_deref(),
        config_file: config.origin.file.as_deref(),
        server_mode: "",
    };
    let title = setproctitle::expand(&config.proc_title_template, &vars);
    title.map(|title| area.write(&title)).is_some()
}

fn apply_oom_score(srv: &mut Server) -> io::Result<()> {
    srv.process.oom_score.apply(srv.config.oom_score_adj, srv.config.oom_score_adj_values.master)
}

/// Keeps huge pages away, because copying one for a changed byte while a child saves costs memory and time.
fn apply_thp(config: &Config) {
    let is_on = fs::read_to_string(THP_SWITCH).is_ok_and(|switch| switch.contains("[always]"));
    if !is_on || (config.disable_thp && nix::sys::prctl::set_thp_disable(true).is_ok()) {
        return;
    }
    log::warn!(
        "WARNING You have Transparent Huge Pages (THP) support enabled in your kernel. This will create latency and \
         memory usage issues with Redis. To fix this issue run the command 'echo madvise > {THP_SWITCH}' as root, \
         and add it to your /etc/rc.local in order to retain the setting after a reboot. Redis must be restarted \
         after THP is disabled (set to 'madvise' or 'never')."
    );
}

fn apply_jemalloc_bg_thread(config: &Config) {
    if let Err(error) = tikv_jemalloc_ctl::background_thread::write(config.jemalloc_bg_thread) {
        log::warn!("Unable to switch the allocator's background thread: {error}");
    }
}

/// Sets the order in which texts sort; false if the system has no such locale.
fn set_collation(locale: &[u8]) -> bool {
    let Ok(locale) = CString::new(locale) else {
        return false;
    };
    // SAFETY: the argument is a C string that outlives the call. `setlocale` must not run beside functions that read
    // the locale; those are called by this, the main thread only.
    let set = unsafe { libc::setlocale(libc::LC_COLLATE, locale.as_ptr()) };
    !set.is_null()
}
