//! From `main` to the first turn of the loop: command line, configuration, daemon mode, the pieces of the server.

use std::ffi::OsString;
use std::io::IsTerminal;

use mio::Waker;

use crate::db::Db;
use crate::io::ae::EventLoop;
use crate::io::bio::Bio;
use crate::io::monotonic;
use crate::persistence::aof;
use crate::persistence::save::{self, Failed};
use crate::server::config::{Config, LoadError, Supervised};
use crate::server::process::{self, Process};
use crate::server::setproctitle::TitleArea;
use crate::server::version::{ARCH_BITS, OCHRE_VERSION, REDIS_VERSION};
use crate::server::{CommandTable, crash, cron, debug, latency, slowlog, stats, time};
use crate::server::{Server, events, logging, networking, setcpuaffinity, shutdown, signals};
use crate::zmalloc;

/// Runs redis-server with these arguments (the program's name excluded) and returns its exit code.
pub fn main(args: Vec<OsString>) -> i32 {
    if let Some(code) = answer_and_exit(&args) {
        return code;
    }
    logging::init();
    logging::set_role(b'C');
    let config = match Config::load(args.iter().cloned()) {
        Ok(config) => config,
        Err(error) => return fail_to_load(&error),
    };
    logging::set_level(config.loglevel.filter());
    let supervised = process::detect_supervisor(config.supervised);
    let background = config.daemonize && supervised == Supervised::No;
    if background && let Err(e) = process::daemonize() {
        eprintln!("Can't become a daemon: {e}");
        return 1;
    }
    if let Err(code) = open_log(&config) {
        return code;
    }
    log_start(&config, supervised, args.is_empty());
    let mut srv = match build(config) {
        Ok(srv) => srv,
        Err(e) => {
            log::error!("Fatal error: {e}");
            return 1;
        }
    };
    srv.process.supervised = supervised;
    start(&mut srv, background)
}

/// `--version` and `--help`.
fn answer_and_exit(args: &[OsString]) -> Option<i32> {
    let only = if args.len() == 1 { args[0].to_str() } else { None };
    match only {
        Some("-v" | "--version") => {
            println!(
                "Redis server v={REDIS_VERSION} sha=00000000:0 malloc={} bits={ARCH_BITS} build=0 ochre={OCHRE_VERSION}",
                crate::zmalloc::allocator_name()
            );
            Some(0)
        }
        Some("-h" | "--help") => {
            eprint!("{USAGE}");
            Some(1)
        }
        _ => None,
    }
}

const USAGE: &str = "\
Usage: ./redis-server [/path/to/redis.conf] [options] [-]
       ./redis-server - (read config from stdin)
       ./redis-server -v or --version
       ./redis-server -h or --help

Examples:
       ./redis-server (run the server with default conf)
       echo 'timeout 60' | ./redis-server -
       ./redis-server /etc/redis/6379.conf
       ./redis-server --port 7777
       ./redis-server /etc/myredis.conf --loglevel verbose -
       ./redis-server /etc/myredis.conf --loglevel verbose
";

fn fail_to_load(error: &LoadError) -> i32 {
    match error {
        LoadError::Config(error) => eprint!("{error}"),
        LoadError::Open { .. } => log::warn!("{error}"),
    }
    1
}

fn open_log(config: &Config) -> Result<(), i32> {
    if let Err(e) = logging::set_file(&config.logfile) {
        eprintln!("Can't open the log file: {e}");
        return Err(1);
    }
    if config.syslog_enabled {
        let ident = String::from_utf8_lossy(&config.syslog_ident).into_owned();
        if let Err(e) = logging::open_syslog(&ident, config.syslog_facility.facility()) {
            log::warn!("Can't open the system log: {e}");
        }
    }
    Ok(())
}

fn log_start(config: &Config, supervised: Supervised, bare: bool) {
    log::info!("oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo");
    log::info!(
        "Redis version={REDIS_VERSION}, bits={ARCH_BITS}, commit=00000000, modified=0, pid={}, just started",
        std::process::id()
    );
    log::info!("Ochre version={OCHRE_VERSION}");
    if bare {
        log::warn!(
            "Warning: no config file specified, using the default config. In order to specify a config file use redis-server /path/to/redis.conf"
        );
    } else {
        log::info!("Configuration loaded");
    }
    for name in &config.origin.without_effect {
        log::warn!("The directive '{name}' is accepted and has no effect");
    }
    match supervised {
        Supervised::Upstart => log::info!("supervised by upstart, will stop to signal readiness"),
        Supervised::Systemd => log::info!(
            "supervised by systemd - make sure you set TimeoutStartSec and TimeoutStopSec in your unit file."
        ),
        _ => {}
    }
}

/// Puts the server together.
pub(crate) fn build(config: Config) -> Result<Server, String> {
    let mut commands = CommandTable::new();
    for (from, to) in &config.origin.renamed_commands {
        commands.rename(from, to).map_err(|e| e.to_string())?;
    }
    let mut process = Process::new();
    process.config_file.clone_from(&config.origin.file);
    // SAFETY: no thread was started yet and this is the only call; arguments were copied by `Process::new`, and
    // nothing asks for them again.
    process.title = unsafe { TitleArea::capture() };
    let bio_cpulist = config.bio_cpulist.clone();
    let prepare_thread = move || {
        bio_cpulist.iter().for_each(|list| setcpuaffinity::bind_thread(list));
        crash::prepare_thread();
    };
    let dbs = (0..config.databases as usize).map(Db::new).collect();
    let el = EventLoop::new().map_err(|e| format!("Can't create the event loop: {e}"))?;
    let waker = Waker::new(el.registry(), networking::WAKER_TOKEN);
    let waker = waker.map_err(|e| format!("Can't create the event loop: {e}"))?;
    let bio = Bio::start_with(prepare_thread, Some(waker));
    let bio = bio.map_err(|e| format!("Can't initialize Background Jobs: {e}"))?;
    Ok(Server {
        commands,
        dbs,
        clock: time::Clock::now(),
        stats: stats::Stats::new(),
        clients: Default::default(),
        net: Default::default(),
        el,
        bio,
        pubsub: Default::default(),
        watches: Default::default(),
        blocked: Default::default(),
        lazyfree: Default::default(),
        eviction: Default::default(),
        propagation: Default::default(),
        persistence: Default::default(),
        scripting: crate::scripting::State::new(),
        slowlog: slowlog::Slowlog::default(),
        latency: latency::LatencyMonitor::default(),
        monitors: Vec::new(),
        process,
        cron: cron::Cron::default(),
        no_touch: false,
        slow_ns: 0,
        debug: debug::DebugState::default(),
        config,
    })
}

/// Opens the doors and runs the loop.
fn start(srv: &mut Server, background: bool) -> i32 {
    signals::install();
    crash::install(srv);
    crash::watchdog::configure(srv);
    logging::set_role(b'M');
    log::info!("monotonic clock: {}", monotonic::source_name());
    srv.refresh_slow_threshold();
    process::adjust_open_files_limit(srv);
    if background || srv.config.pidfile.is_some() {
        process::write_pidfile(srv);
    }
    crate::server::config::effects::apply_at_start(srv);
    show_logo(srv);
    check_tcp_backlog(srv);
    if networking::listen_all(srv).is_err() {
        log::warn!("Failed listening on port {} (tcp), aborting.", srv.config.port);
        return 1;
    }
    if srv.net.listeners.is_empty() {
        log::warn!("Configured to not listen anywhere, exiting.");
        return 1;
    }
    log::info!("Server initialized");
    warn_of_overcommit(srv);
    srv.process.startup_memory = zmalloc::used_memory();
    if load(srv).is_err() {
        return 1;
    }
    if srv.config.port != 0 {
        log::info!("Ready to accept connections tcp");
    }
    if srv.config.unixsocket.is_some() {
        log::info!("Ready to accept connections unix");
    }
    if srv.process.supervised == Supervised::Systemd {
        process::notify_systemd("STATUS=Ready to accept connections\nREADY=1\n");
    }
    srv.clock.update();
    events::run(srv);
    shutdown::finish(srv);
    srv.process.exit_code
}

/// Loads the dataset, and opens the files that are written from now on. What fails is logged.
fn load(srv: &mut Server) -> Result<(), aof::manifest::Logged> {
    aof::read_manifest(srv)?;
    if srv.config.appendonly {
        aof::load_at_start(srv)?;
    } else {
        save::load_at_start(srv).map_err(|Failed| aof::manifest::Logged)?;
    }
    aof::begin_after_load(srv)
}

fn check_tcp_backlog(srv: &Server) {
    let Ok(text) = std::fs::read_to_string("/proc/sys/net/core/somaxconn") else { return };
    if let Ok(most) = text.trim().parse::<i64>()
        && most > 0
        && most < i64::from(srv.config.tcp_backlog)
    {
        log::warn!(
            "WARNING: The TCP backlog setting of {} cannot be enforced because /proc/sys/net/core/somaxconn is set to the lower value of {most}.",
            srv.config.tcp_backlog
        );
    }
}

fn warn_of_overcommit(_srv: &Server) {
    let overcommit = std::fs::read_to_string("/proc/sys/vm/overcommit_memory").unwrap_or_default();
    if overcommit.trim() == "0" {
        log::warn!(
            "WARNING Memory overcommit must be enabled! Without it, a background save or replication may fail under low memory condition. Being disabled, it can also cause failures without low memory condition, see https://github.com/jemalloc/jemalloc/issues/1328. To fix this issue add 'vm.overcommit_memory = 1' to /etc/sysctl.conf and then reboot or run the command 'sysctl vm.overcommit_memory=1' for this to take effect."
        );
    }
}

/// A pot of ochre, with what an operator wants to see first; on a terminal or when asked for, otherwise one line.
fn show_logo(srv: &Server) {
    let asked = srv.config.always_show_logo;
    let to_terminal = srv.config.logfile.as_os_str().is_empty()
        && !srv.config.syslog_enabled
        && std::io::stdout().is_terminal();
    if !asked && !to_terminal {
        log::info!("Running mode=standalone, port={}.", srv.config.port);
        return;
    }
    logging::write_raw(&format!(
        r"
          ________
         (________)        Ochre {OCHRE_VERSION}, speaking Redis {REDIS_VERSION}, {ARCH_BITS} bit
        /   ~  ~   \
       |  ~   ~  ~  |      Running in standalone mode
       |   ~  ~   ~ |      Port: {}
       |  ~   ~  ~  |      PID: {}
        \__________/

",
        srv.config.port,
        std::process::id()
    ));
}
