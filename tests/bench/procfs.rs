//! What Linux tells of a process: the processor time that it has used and the memory that it holds.

use std::fs;
use std::io;
use std::time::Duration;

/// Processor time used by a process since it began.
#[derive(Clone, Copy)]
pub struct CpuTime {
    /// All of it, to the nanosecond (`schedstat`), summed over the threads.
    pub total: Duration,
    /// Clock ticks in user mode (`stat`). Ticks are coarse; only their proportion is used.
    user_ticks: u64,
    /// Clock ticks in the kernel.
    system_ticks: u64,
}

impl CpuTime {
    /// Reads the account of a process.
    pub fn of(pid: u32) -> io::Result<Self> {
        let (user_ticks, system_ticks) = ticks(&fs::read_to_string(format!("/proc/{pid}/stat"))?)?;
        let mut total = Duration::ZERO;
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            // A thread may end between the listing and the reading.
            if let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) {
                total += on_cpu(&text)?;
            }
        }
        Ok(CpuTime { total, user_ticks, system_ticks })
    }

    /// The time used since `earlier`.
    pub fn since(&self, earlier: &CpuTime) -> CpuUsed {
        let total = self.total.saturating_sub(earlier.total);
        let user_ticks = (self.user_ticks - earlier.user_ticks) as f64;
        let system_ticks = (self.system_ticks - earlier.system_ticks) as f64;
        let share =
            if user_ticks + system_ticks > 0.0 { user_ticks / (user_ticks + system_ticks) } else { 0.0 };
        let user = total.mul_f64(share);
        CpuUsed { user, system: total - user }
    }
}

/// Processor time used in an interval.
#[derive(Clone, Copy)]
pub struct CpuUsed {
    /// In user mode: the server's own code.
    pub user: Duration,
    /// In the kernel: system calls and, over loopback, the network stack.
    pub system: Duration,
}

impl CpuUsed {
    /// Both together.
    pub fn total(&self) -> Duration {
        self.user + self.system
    }
}

/// The first field of a `schedstat` file: nanoseconds spent on a processor.
pub fn on_cpu(schedstat: &str) -> io::Result<Duration> {
    let field = schedstat.split_ascii_whitespace().next().and_then(|field| field.parse().ok());
    field.map(Duration::from_nanos).ok_or_else(|| io::Error::other("unexpected text in /proc/PID/schedstat"))
}

/// Fields 14 and 15 of a `stat` file. The second field is a name in parentheses, which may contain anything.
fn ticks(stat: &str) -> io::Result<(u64, u64)> {
    let unexpected = || io::Error::other("unexpected text in /proc/PID/stat");
    let (_, after_name) = stat.rsplit_once(')').ok_or_else(unexpected)?;
    let mut fields = after_name.split_ascii_whitespace().skip(11).map(str::parse);
    match (fields.next(), fields.next()) {
        (Some(Ok(user)), Some(Ok(system))) => Ok((user, system)),
        _ => Err(unexpected()),
    }
}

/// Bytes of a process that are resident in memory.
pub fn resident_bytes(pid: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kibibytes.map(|kib| kib * 1024).ok_or_else(|| io::Error::other("no VmRSS in /proc/PID/status"))
}
