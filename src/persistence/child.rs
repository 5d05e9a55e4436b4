//! A child process that writes the dataset to a file while the server goes on.
//!
//! `fork` gives the child a copy of the server's memory as it was at that moment: the snapshot. Nothing is really copied
//! until one of the two writes; then the kernel copies that page, which costs time and memory. So the parent's tables
//! avoid to move their elements while there is a child (see [`ResizePolicy`]), and the child changes as little as it can.
//!
//! There is one child at a time. It is born in [`fork`], which says on return who one is:
//!
//! ```text
//!   parent                                   child
//!   fork ───────────────────────────────────▶ writes its file
//!   cron: reads reports  ◀────── pipe ─────── ChildPipe::progress, once a second
//!   cron: reads the last ◀────── pipe ─────── ChildPipe::finish
//!   cron: waitpid, done handler  ◀─────────── exit
//! ```
//!
//! A report tells how many keys are done and how much memory was copied so far, which only the child can know.
//! A child ends with its parent, whatever became of that. [`kill`] ends one that is no longer wanted by SIGUSR1, which tells it apart from one that failed.
//!
//! # What a child must not do
//!
//! It is a copy with one thread: the background threads are not in it. It shares the parent's sockets and epoll
//! instance, so it must neither write to a client nor register or remove a descriptor. It leaves by [`exit`], which
//! runs no destructors.

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicI32, Ordering};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill as send_signal, sigaction};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, pipe2};

use crate::ds::hashtable::{ResizePolicy, set_resize_policy};
use crate::io::monotonic;
use crate::persistence::dismiss::Dismissal;
use crate::server::config::file::os_error_text;
use crate::server::{Server, crash, latency, logging, setcpuaffinity, signals};

/// The exit code of a child that was asked to end.
const ASKED_TO_END: i32 = 255;

/// Keys that a child writes between two looks at the clock, a power of two.
const KEYS_PER_LOOK: u64 = 1024;

/// Nanoseconds between two reports of a child.
const REPORT_NS: u64 = 1_000_000_000;

/// A child spends at most one part in so many of its time on finding out how much memory was copied.
const COST_SHARE: u64 = 100;

/// Ends the child, whatever it is for, because this process will be another program.
pub fn abandon(srv: &mut Server) {
    for purpose in [Purpose::Rdb, Purpose::Aof] {
        kill_and_wait(srv, purpose);
    }
}

/// The id of the child, for signal handlers; 0 if there is none.
static PID: AtomicI32 = AtomicI32::new(0);

/// What a child is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Writing an RDB file.
    Rdb,
    /// Writing a new base of the append-only file.
    Aof,
}

impl Purpose {
    /// What the log calls it.
    fn name(self) -> &'static str {
        match self {
            Purpose::Rdb => "RDB",
            Purpose::Aof => "AOF rewrite",
        }
    }

    /// What the list of processes shows.
    fn title(self) -> &'static [u8] {
        match self {
            Purpose::Rdb => b"redis-rdb-bgsave",
            Purpose::Aof => b"redis-aof-rewrite",
        }
    }
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It did what it was for.
    Success,
    /// It failed, and has said why in the log.
    Failure,
    /// A signal ended it: SIGUSR1 if that was [`kill`].
    Signal(i32),
}

impl End {
    fn of(status: WaitStatus) -> Option<End> {
        match status {
            WaitStatus::Exited(_, 0) => Some(End::Success),
            WaitStatus::Exited(_, ASKED_TO_END) => Some(End::Signal(Signal::SIGUSR1 as i32)),
            WaitStatus::Exited(..) => Some(End::Failure),
            WaitStatus::Signaled(_, signal, _) => Some(End::Signal(signal as i32)),
            _ => None,
        }
    }
}

/// What is called in the parent when its child has ended, with the child's id.
pub type Done = fn(&mut Server, Pid, End);

/// The child there is.
#[derive(Debug)]
struct Active {
    pid: Pid,
    purpose: Purpose,
    pipe: fs::File,
    done: Done,
}

/// What the server knows of its children.
#[derive(Debug, Default)]
pub struct Children {
    active: Option<Active>,
    /// Unix time in seconds at which it was born.
    started_s: u64,
    /// Bytes that have been copied on write because of the child at hand, or the last one.
    pub copied: u64,
    /// The most of that.
    pub copied_peak: u64,
    /// When `copied` was measured.
    copied_at_ns: Option<u64>,
    /// Keys that the child has written.
    pub keys_done: u64,
    /// Keys that it is to write.
    pub keys_total: u64,
    last_copied: [u64; 2],
    last_report_ns: u64,
}

impl Children {
    /// What the child at hand is for, if there is one.
    pub fn active(&self) -> Option<Purpose> {
        self.active.as_ref().map(|active| active.purpose)
    }

    /// The id of the child at hand.
    pub fn pid(&self) -> Option<Pid> {
        self.active.as_ref().map(|active| active.pid)
    }

    /// The share of the keys that are written, in percent.
    pub fn percent(&self) -> f64 {
        if self.keys_total == 0 { 0.0 } else { self.keys_done as f64 / self.keys_total as f64 * 100.0 }
    }

    /// Unix time in seconds at which the child at hand was born, if it has this purpose.
    pub fn started_s(&self, purpose: Purpose) -> Option<u64> {
        (self.active() == Some(purpose)).then_some(self.started_s)
    }

    /// Bytes that the last child of this purpose that succeeded had copied at most.
    pub fn last_copied(&self, purpose: Purpose) -> u64 {
        self.last_copied[purpose as usize]
    }

    /// Seconds since the child measured how much was copied.
    pub fn copied_age_s(&self) -> u64 {
        self.copied_at_ns.map_or(0, |then| monotonic::now_ns().saturating_sub(then) / 1_000_000_000)
    }

    fn begin(&mut self, active: Active, now_s: u64, keys_total: u64) {
        PID.store(active.pid.as_raw(), Ordering::Relaxed);
        *self = Children {
            active: Some(active),
            started_s: now_s,
            keys_total,
            last_copied: self.last_copied,
            ..Children::default()
        };
    }

    /// Forgets the child at hand, which is gone, and what was known of its progress.
    fn end(&mut self) -> Option<Active> {
        PID.store(0, Ordering::Relaxed);
        let ended = self.active.take();
        *self = Children { last_copied: self.last_copied, ..Children::default() };
        ended
    }

    fn note(&mut self, report: Report) {
        self.copied_peak = self.copied_peak.max(report.copied);
        match (report.last, &self.active) {
            (true, Some(active)) => self.last_copied[active.purpose as usize] = self.copied_peak,
            _ => {
                self.copied = report.copied;
                self.copied_at_ns = Some(report.copied_at_ns);
                self.keys_done = report.keys;
            }
        }
    }

    /// Reads the reports that have come.
    fn read_reports(&mut self) {
        let mut bytes = [0; Report::LEN];
        while let Some(active) = &mut self.active
            && active.pipe.read(&mut bytes).is_ok_and(|n| n == Report::LEN)
        {
            self.note(Report::from_bytes(&bytes));
        }
    }
}

/// What a child tells. It is shorter than what a pipe takes and gives in one piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Report {
    last: bool,
    keys: u64,
    copied: u64,
    copied_at_ns: u64,
}

impl Report {
    const LEN: usize = 32;

    fn to_bytes(self) -> [u8; Report::LEN] {
        let mut bytes = [0; Report::LEN];
        let words = [u64::from(self.last), self.keys, self.copied, self.copied_at_ns];
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }

    fn from_bytes(bytes: &[u8; Report::LEN]) -> Report {
        let word = |i: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[i * 8..i * 8 + 8]);
            u64::from_ne_bytes(word)
        };
        Report { last: word(0) != 0, keys: word(1), copied: word(2), copied_at_ns: word(3) }
    }
}

/// Who one is after [`fork`].
#[derive(Debug)]
pub enum Forked {
    /// The server. The child has this id.
    Parent(Pid),
    /// The child, which reports here and must leave by [`exit`].
    Child(ChildPipe),
}

/// Starts a child. `done` is called when it has ended, however it did.
///
/// # Errors
/// When there is a child already, or the system has no process to give.
pub fn fork(srv: &mut Server, purpose: Purpose, done: Done) -> io::Result<Forked> {
    if srv.persistence.children.active.is_some() {
        return Err(Errno::EALREADY.into());
    }
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    let keys = srv.dbs.iter().map(|db| db.len() as u64).sum();
    let Some(child) = fork_copy(srv)? else {
        drop(reader);
        become_writer(srv, purpose);
        // SAFETY: what `fork` makes shares its memory by copies on write alone. A child leaves by `exit`, and those who write
        // hand over what they are done with.
        let dismissal = unsafe { Dismissal::new() };
        dismissal.clients(srv);
        // One that is slowed down looks whenever it sleeps.
        let keys_per_look = if srv.config.rdb_key_save_delay > 0 { 1 } else { KEYS_PER_LOOK };
        return Ok(Forked::Child(ChildPipe::new(writer, purpose, keys_per_look, dismissal)));
    };
    let active = Active { pid: child, purpose, pipe: reader.into(), done };
    let now_s = crate::server::time::unix_us() / 1_000_000;
    srv.persistence.children.begin(active, now_s, keys);
    update_resize_policy(srv);
    Ok(Forked::Parent(child))
}

/// Makes a copy of the process, whatever it is for: the id of the child, or `None` in the child, which must leave by [`exit`].
///
/// # Errors
/// When the system has no process to give.
pub fn fork_copy(srv: &mut Server) -> io::Result<Option<Pid>> {
    let (parent, begun_ns) = (Pid::this(), monotonic::now_ns());
    // No other thread may hold the log's lock in the copy.
    let log = logging::hold();
    // SAFETY: the child goes on with this thread alone. The allocator takes its locks around a fork, the log's lock is
    // held here, and the child waits for nothing else that a background thread could hold or would have to do.
    let forked = unsafe { nix::unistd::fork() };
    drop(log);
    match forked? {
        ForkResult::Child => {
            die_with(parent);
            become_child(srv);
            Ok(None)
        }
        ForkResult::Parent { child } => {
            let fork_us = monotonic::now_ns().saturating_sub(begun_ns) / 1000;
            srv.stats.total_forks += 1;
            srv.stats.latest_fork_us = fork_us;
            latency::add_sample_if_needed(srv, latency::Event::Fork, fork_us / 1000);
            Ok(Some(child))
        }
    }
}

extern "C" fn on_request_to_end(_signal: libc::c_int) {
    // SAFETY: `_exit` is async-signal-safe.
    unsafe { libc::_exit(ASKED_TO_END) }
}

/// Has a child end with the server. A server that is killed starts again soon, and saves; its old child must not put an
/// older file in the place of the new one then.
fn die_with(parent: Pid) {
    if let Err(e) = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL) {
        log::warn!("Cannot follow the end of the server: {e}");
    }
    if Pid::parent() != parent {
        exit(false); // It has ended already.
    }
}

/// What every child does first: it is the first to go when memory runs out, and holds nothing that is the parent's to give
/// back.
fn become_child(srv: &mut Server) {
    signals::become_child();
    crash::watchdog::become_child();
    logging::set_role(b'C');
    let child_score = srv.config.oom_score_adj_values.child;
    // What fails is logged where it does, and is no reason not to save.
    let _ = srv.process.oom_score.apply(srv.config.oom_score_adj, child_score);
    srv.net.listeners.clear();
    srv.process.wrote_pidfile = false;
}

/// What a child does that writes the dataset: it makes sure that it can be ended, and says what it is.
fn become_writer(srv: &mut Server, purpose: Purpose) {
    let handle = SigAction::new(SigHandler::Handler(on_request_to_end), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler does nothing but end the process.
    if let Err(e) = unsafe { sigaction(Signal::SIGUSR1, &handle) } {
        log::warn!("Cannot handle {}: {e}", Signal::SIGUSR1);
    }
    set_resize_policy(ResizePolicy::Forbid);
    if srv.config.set_proc_title
        && let Some(area) = &mut srv.process.title
    {
        area.write(purpose.title());
    }
    let processors = match purpose {
        Purpose::Rdb => &srv.config.bgsave_cpulist,
        Purpose::Aof => &srv.config.aof_rewrite_cpulist,
    };
    if let Some(list) = processors {
        setcpuaffinity::bind_thread(list);
    }
}

/// Ends a child, without running what the parent has set up to run at its own end.
pub fn exit(success: bool) -> ! {
    // SAFETY: `_exit` may be called at any time.
    unsafe { libc::_exit(i32::from(!success)) }
}

/// The way of a child to its parent.
#[derive(Debug)]
pub struct ChildPipe {
    pipe: fs::File,
    purpose: Purpose,
    keys_per_look: u64,
    next_report_ns: u64,
    copied: Copied,
    dismissal: Dismissal,
}

/// How much memory was copied, as measured so far.
#[derive(Debug, Default)]
struct Copied {
    bytes: u64,
    peak: u64,
    sum: u64,
    times: u64,
    at_ns: u64,
    cost_ns: u64,
}

impl Copied {
    fn measure(&mut self) {
        let begun_ns = monotonic::now_ns();
        self.bytes = private_dirty();
        self.at_ns = monotonic::now_ns();
        self.cost_ns = self.at_ns.saturating_sub(begun_ns);
        self.peak = self.peak.max(self.bytes);
        self.sum += self.bytes;
        self.times += 1;
    }

    fn is_due(&self) -> bool {
        self.times == 0 || monotonic::now_ns().saturating_sub(self.at_ns) > self.cost_ns * COST_SHARE
    }

    fn text(&self, name: &str) -> String {
        let [current, peak, average] = [self.bytes, self.peak, self.sum / self.times.max(1)].map(|n| n >> 20);
        format!("Fork CoW for {name}: current {current} MB, peak {peak} MB, average {average} MB")
    }
}

impl ChildPipe {
    fn new(pipe: OwnedFd, purpose: Purpose, keys_per_look: u64, dismissal: Dismissal) -> ChildPipe {
        let next_report_ns = monotonic::now_ns() + REPORT_NS;
        let copied = Copied::default();
        ChildPipe { pipe: pipe.into(), purpose, keys_per_look, next_report_ns, copied, dismissal }
    }

    /// The child's right to give back the memory of what it has written.
    pub fn dismissal(&self) -> Dismissal {
        self.dismissal
    }

    /// Tells the parent that so many keys are written. To be called at each of them: it reports once a second.
    #[inline]
    pub fn progress(&mut self, keys: u64) {
        if keys & (self.keys_per_look - 1) == 0 {
            self.look(keys);
        }
    }

    fn look(&mut self, keys: u64) {
        let now_ns = monotonic::now_ns();
        if now_ns < self.next_report_ns {
            return;
        }
        self.next_report_ns = now_ns + REPORT_NS;
        if self.copied.is_due() {
            self.copied.measure();
            if self.copied.bytes > 0 {
                log::debug!("{}", self.copied.text(self.purpose.name()));
            }
        }
        self.send(keys, false);
    }

    /// Tells the parent that the file is complete.
    pub fn finish(mut self) {
        self.copied.measure();
        log::info!("{}", self.copied.text(self.purpose.name()));
        self.send(0, true);
    }

    fn send(&mut self, keys: u64, last: bool) {
        let report = Report { last, keys, copied: self.copied.bytes, copied_at_ns: self.copied.at_ns };
        if let Err(e) = self.pipe.write_all(&report.to_bytes()) {
            // The parent is gone: nobody wants the file.
            log::warn!("Child failed reporting info to parent, exiting. {}", os_error_text(&e));
            exit(false);
        }
    }
}

/// Bytes of this process's pages that are its own: after a fork, those that were copied.
fn private_dirty() -> u64 {
    // The sum of all mappings is made by newer kernels; adding up the list of them costs more.
    let maps =
        fs::read_to_string("/proc/self/smaps_rollup").or_else(|_| fs::read_to_string("/proc/self/smaps"));
    maps.map_or(0, |maps| sum_private_dirty(&maps))
}

fn sum_private_dirty(maps: &str) -> u64 {
    let sizes = maps.lines().filter_map(|line| line.strip_prefix("Private_Dirty:"));
    let kib = sizes.filter_map(|size| size.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.sum::<u64>() * 1024
}

/// Lets tables move their elements or not, as children and DEBUG have it.
pub fn update_resize_policy(srv: &Server) {
    let allowed = srv.persistence.children.active.is_none() && srv.debug.resizing;
    set_resize_policy(if allowed { ResizePolicy::Allow } else { ResizePolicy::Avoid });
}

/// Looks after the child, if there is one: reads what it tells once a second, and notices its end.
pub fn cron(srv: &mut Server) {
    let now_ns = srv.clock.mono_ns;
    let children = &mut srv.persistence.children;
    let Some(active) = &children.active else { return };
    let pid = active.pid;
    if now_ns >= children.last_report_ns + REPORT_NS {
        children.last_report_ns = now_ns;
        children.read_reports();
    }
    match waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
        Ok(status) => {
            if let Some(end) = End::of(status) {
                ended(srv, pid, end);
            }
        }
        Err(e) => {
            log::warn!("waitpid() returned an error: {}. child_pid = {pid}", e.desc());
            if e == Errno::ECHILD {
                ended(srv, pid, End::Failure);
            }
        }
    }
}

fn ended(srv: &mut Server, pid: Pid, end: End) {
    if end == End::Success {
        srv.persistence.children.read_reports();
    }
    // Whoever is told may start another one.
    let ended = srv.persistence.children.end();
    update_resize_policy(srv);
    if let Some(active) = ended {
        (active.done)(srv, pid, end);
    }
}

/// Asks the child to end if it has this purpose; its id, then. Its end is noticed later, as any.
pub fn kill(srv: &Server, purpose: Purpose) -> Option<Pid> {
    let active = srv.persistence.children.active.as_ref().filter(|active| active.purpose == purpose)?;
    // It can only fail if the child has ended by itself, and then its end is noticed the sooner.
    let _ = send_signal(active.pid, Signal::SIGUSR1);
    Some(active.pid)
}

/// Ends the child if it has this purpose, and waits until it is gone. Its `done` is not called: the caller cleans up.
pub fn kill_and_wait(srv: &mut Server, purpose: Purpose) -> Option<Pid> {
    let pid = kill(srv, purpose)?;
    while waitpid(pid, None) == Err(Errno::EINTR) {}
    srv.persistence.children.end();
    update_resize_policy(srv);
    Some(pid)
}

/// The id of the child, for signal handlers: it may be read at any time.
pub fn pid_for_signal_handlers() -> i32 {
    PID.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_survive_the_pipe() {
        let report = Report { last: true, keys: 7, copied: 1 << 40, copied_at_ns: u64::MAX };
        assert_eq!(Report::from_bytes(&report.to_bytes()), report);
    }

    #[test]
    fn private_pages_are_added_up() {
        let maps = "Rss: 1 kB\nPrivate_Clean:  9 kB\nPrivate_Dirty:        12 kB\nfoo\nPrivate_Dirty: 3 kB\nPrivate_Dirty: x\n";
        assert_eq!(sum_private_dirty(maps), 15 * 1024);
        assert!(private_dirty() > 0);
    }

    #[test]
    fn the_peak_is_what_counts_at_the_end() {
        let mut children = Children::default();
        let report = |last, copied| Report { last, keys: 3, copied, copied_at_ns: 5 };
        children.note(report(false, 100));
        children.note(report(false, 50));
        assert_eq!((children.copied, children.copied_peak, children.keys_done), (50, 100, 3));
        assert_eq!(children.last_copied(Purpose::Rdb), 0);
    }
}
