//! The process: its identity, its limits, daemon mode, pid file, supervision.

use std::io::Write;
use std::path::{Path, PathBuf};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::server::Server;
use crate::server::config::Supervised;
use crate::server::oom_score::OomScore;
use crate::server::setproctitle::TitleArea;

/// Descriptors that are not clients: upstream's `CONFIG_MIN_RESERVED_FDS`.
const RESERVED_FDS: u64 = 32;

/// What identifies the process, and how it is to end.
#[derive(Debug)]
pub struct Process {
    /// Process id.
    pub pid: u32,
    /// 40 random hexadecimal digits, new at each start.
    pub run_id: String,
    /// When it started, Unix time in milliseconds.
    pub start_ms: u64,
    /// The program's own file.
    pub executable: PathBuf,
    /// Arguments as given.
    pub args: Vec<std::ffi::OsString>,
    /// The configuration file, absolute.
    pub config_file: Option<PathBuf>,
    /// Ends the loop.
    pub exit_requested: bool,
    /// The exit code then.
    pub exit_code: i32,
    /// Whether a pid file was written that is to be removed.
    pub wrote_pidfile: bool,
    /// Bytes in use before the first client came.
    pub startup_memory: usize,
    /// Where the title in the list of processes stands, if it can be changed.
    pub title: Option<TitleArea>,
    /// The out-of-memory score that was found and set.
    pub oom_score: OomScore,
    /// What supervises us.
    pub supervised: Supervised,
}

impl Process {
    /// The running process.
    pub fn new() -> Process {
        let executable = std::env::current_exe().unwrap_or_default();
        Process {
            pid: std::process::id(),
            run_id: random_hex(40),
            start_ms: crate::server::time::unix_us() / 1000,
            executable,
            args: std::env::args_os().collect(),
            config_file: None,
            exit_requested: false,
            exit_code: 0,
            wrote_pidfile: false,
            startup_memory: 0,
            title: None,
            oom_score: OomScore::default(),
            supervised: Supervised::No,
        }
    }
}

impl Default for Process {
    fn default() -> Self {
        Process::new()
    }
}

/// `digits` random hexadecimal digits.
pub fn random_hex(digits: usize) -> String {
    (0..digits).map(|_| char::from(b"0123456789abcdef"[rand::random_range(0..16)])).collect()
}

/// Goes into the background: the parent exits, the child leads a session of its own without a terminal.
pub fn daemonize() -> Result<(), String> {
    use nix::unistd::{ForkResult, fork, setsid};
    // SAFETY: called before any thread is started, so the child is as whole as the parent.
    match unsafe { fork() }.map_err(|e| e.to_string())? {
        ForkResult::Parent { .. } => std::process::exit(0),
        ForkResult::Child => {
            setsid().map_err(|e| e.to_string())?;
            let null = std::fs::OpenOptions::new()
                .read(true)
                .write(true)
                .open("/dev/null")
                .map_err(|e| e.to_string())?;
            nix::unistd::dup2_stdin(&null).map_err(|e| e.to_string())?;
            nix::unistd::dup2_stdout(&null).map_err(|e| e.to_string())?;
            nix::unistd::dup2_stderr(&null).map_err(|e| e.to_string())?;
            Ok(())
        }
    }
}

/// The pid file of a daemon that names none.
const DEFAULT_PIDFILE: &str = "/var/run/redis.pid";

fn pidfile(srv: &Server) -> &Path {
    srv.config.pidfile.as_deref().unwrap_or(Path::new(DEFAULT_PIDFILE))
}

/// Writes the pid file; a failure is no reason not to start.
pub fn write_pidfile(srv: &mut Server) {
    let written = std::fs::File::create(pidfile(srv)).and_then(|mut f| writeln!(f, "{}", std::process::id()));
    match written {
        Ok(()) => srv.process.wrote_pidfile = true,
        Err(e) => log::warn!("Failed to write PID file: {e}"),
    }
}

/// Removes the pid file if this process wrote one.
pub fn remove_pidfile(srv: &Server) {
    if srv.process.wrote_pidfile {
        log::info!("Removing the pid file.");
        // It may be gone already, which is what is wanted.
        let _ = std::fs::remove_file(pidfile(srv));
    }
}

/// Raises the limit of open files so that `maxclients` fit, or lowers `maxclients` to what the system allows.
pub fn adjust_open_files_limit(srv: &mut Server) {
    let wanted = u64::from(srv.config.maxclients) + RESERVED_FDS;
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        log::warn!(
            "Unable to obtain the current NOFILE limit, assuming 1024 and setting the max clients configuration accordingly."
        );
        srv.config.maxclients = (1024 - RESERVED_FDS) as _;
        return;
    };
    if soft >= wanted {
        return;
    }
    let raised = if hard >= wanted || setrlimit(Resource::RLIMIT_NOFILE, wanted, wanted).is_err() {
        wanted.min(hard.max(soft))
    } else {
        wanted
    };
    let result = setrlimit(Resource::RLIMIT_NOFILE, raised, hard.max(raised));
    let best = getrlimit(Resource::RLIMIT_NOFILE).map_or(soft, |l| l.0);
    if best >= wanted {
        log::info!("Increased maximum number of open files to {wanted} (it was originally set to {soft}).");
        return;
    }
    if best <= RESERVED_FDS {
        log::warn!(
            "Your current 'ulimit -n' of {best} is not enough for the server to start. Please increase your open file limit to at least {wanted}. Exiting."
        );
        std::process::exit(1);
    }
    let old = srv.config.maxclients;
    srv.config.maxclients = (best - RESERVED_FDS) as _;
    log::warn!("You requested maxclients of {old} requiring at least {wanted} max file descriptors.");
    log::warn!(
        "Server can't set maximum open files to {wanted} because of OS error: {}.",
        result.err().map_or("limit", |e| e.desc())
    );
    log::warn!(
        "Current maximum open files is {best}. maxclients has been reduced to {} to compensate for low ulimit. If you need higher maxclients increase 'ulimit -n'.",
        srv.config.maxclients
    );
}

/// What supervises us, when the configuration leaves it to the environment.
pub fn detect_supervisor(configured: Supervised) -> Supervised {
    match configured {
        Supervised::Auto if std::env::var_os("UPSTART_JOB").is_some() => Supervised::Upstart,
        Supervised::Auto if std::env::var_os("NOTIFY_SOCKET").is_some() => Supervised::Systemd,
        Supervised::Auto => Supervised::No,
        other => other,
    }
}

/// Tells systemd something (`READY=1`, `STATUS=…`), by its notification socket.
pub fn notify_systemd(message: &str) {
    use std::os::unix::net::UnixDatagram;
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let Ok(socket) = UnixDatagram::unbound() else { return };
    let text = path.to_string_lossy();
    let sent = match text.strip_prefix('@') {
        Some(name) => {
            use std::os::linux::net::SocketAddrExt;
            std::os::unix::net::SocketAddr::from_abstract_name(name)
                .and_then(|a| socket.send_to_addr(message.as_bytes(), &a))
        }
        None => socket.send_to(message.as_bytes(), text.as_ref()),
    };
    if let Err(e) = sent {
        log::warn!("Can't send message to supervisor: {e}");
    }
}
