//! The slow log: the latest commands that took longer than `slowlog-log-slower-than` microseconds.
//!
//! Entries are kept in memory only, the newest first, at most `slowlog-max-len` of them. So that the log stays small
//! whatever is logged, an entry keeps at most [`MAX_ARGS`] arguments and [`MAX_ARG_LEN`] bytes of each; what was cut
//! off is told in its place.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::server::config::Config;
use crate::server::redact::Secrets;
use crate::server::{Argv, Client, CmdError, CmdResult, Server};

/// Most arguments that an entry keeps; in the place of the last it tells how many more there were.
const MAX_ARGS: usize = 32;

/// Most bytes kept of an argument.
const MAX_ARG_LEN: usize = 128;

/// Entries that SLOWLOG GET answers when no number is given.
const DEFAULT_COUNT: usize = 10;

const HELP: &[&str] = &[
    "GET [<count>]",
    "    List the newest <count> entries (default: 10, -1 means all).",
    "    An entry consists of:",
    "    its number, Unix time, duration in microseconds, arguments, client address,",
    "    client name",
    "LEN",
    "    Tell how many entries there are.",
    "RESET",
    "    Remove all entries.",
];

/// A command that was slow.
#[derive(Debug)]
struct Entry {
    /// Counts up from 0 over the life of the process.
    id: u64,
    /// When the command ended, Unix time in seconds.
    time_s: u64,
    duration_us: u64,
    args: Vec<Bytes>,
    addr: Box<str>,
    name: Box<[u8]>,
}

/// Commands that were slow, the newest first.
#[derive(Debug, Default)]
pub struct Slowlog {
    entries: VecDeque<Entry>,
    next_id: u64,
}

/// The duration in microseconds from which commands are logged, if any are.
pub fn threshold_us(config: &Config) -> Option<u64> {
    u64::try_from(config.slowlog_log_slower_than).ok()
}

/// Logs the command at hand, which took `duration_us`, if that is slow.
pub fn push_if_needed(srv: &mut Server, c: &Client, duration_us: u64) {
    let too_fast = threshold_us(&srv.config).is_none_or(|threshold| duration_us < threshold);
    // A log without room does not even count.
    if too_fast || srv.config.slowlog_max_len == 0 {
        return;
    }
    let entry = Entry {
        id: srv.slowlog.next_id,
        time_s: srv.clock.unix_s(),
        duration_us,
        args: trimmed(&c.argv, &Secrets::of(c.spec(), &c.argv)),
        addr: c.info.addr.clone(),
        name: c.info.name.clone().unwrap_or_default(),
    };
    srv.slowlog.next_id += 1;
    srv.slowlog.entries.push_front(entry);
    let max_len = usize::try_from(srv.config.slowlog_max_len).unwrap_or(usize::MAX);
    srv.slowlog.entries.truncate(max_len);
}

/// What an entry keeps of the arguments.
fn trimmed(argv: &Argv, secrets: &Secrets) -> Vec<Bytes> {
    let whole = if argv.len() > MAX_ARGS { MAX_ARGS - 1 } else { argv.len() };
    let mut args: Vec<Bytes> = (0..whole).map(|i| trimmed_arg(secrets.shown(argv, i))).collect();
    if whole < argv.len() {
        args.push(format!("... ({} more arguments)", argv.len() - whole).into());
    }
    args
}

fn trimmed_arg(arg: &[u8]) -> Bytes {
    if arg.len() <= MAX_ARG_LEN {
        return Bytes::copy_from_slice(arg);
    }
    let mut cut = arg[..MAX_ARG_LEN].to_vec();
    cut.extend_from_slice(format!("... ({} more bytes)", arg.len() - MAX_ARG_LEN).as_bytes());
    cut.into()
}

/// `SLOWLOG HELP`
pub fn slowlog_help(_srv: &mut Server, c: &mut Client) -> CmdResult {
    c.out.help("SLOWLOG", HELP);
    Ok(())
}

/// `SLOWLOG LEN`
pub fn slowlog_len(srv: &mut Server, c: &mut Client) -> CmdResult {
    c.out.count(srv.slowlog.entries.len());
    Ok(())
}

/// `SLOWLOG RESET`
pub fn slowlog_reset(srv: &mut Server, c: &mut Client) -> CmdResult {
    srv.slowlog.entries.clear();
    c.out.ok();
    Ok(())
}

/// `SLOWLOG GET [count]`
pub fn slowlog_get(srv: &mut Server, c: &mut Client) -> CmdResult {
    let count = match c.argv.len() {
        2 => DEFAULT_COUNT,
        3 => match c.argv.int(2) {
            Ok(-1) => usize::MAX,
            Ok(n @ 0..) => n as usize,
            _ => return Err(CmdError::text("ERR count should be greater than or equal to -1")),
        },
        _ => {
            return Err(CmdError::text(
                "ERR unknown subcommand or wrong number of arguments for 'GET'. Try SLOWLOG HELP.",
            ));
        }
    };
    let count = count.min(srv.slowlog.entries.len());
    c.out.array(count);
    for entry in srv.slowlog.entries.iter().take(count) {
        c.out.array(6);
        c.out.int(entry.id as i64);
        c.out.int(entry.time_s as i64);
        c.out.int(entry.duration_us as i64);
        c.out.array(entry.args.len());
        for arg in &entry.args {
            c.out.bulk(arg);
        }
        c.out.bulk(entry.addr.as_bytes());
        c.out.bulk(&entry.name);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trim(args: &[Vec<u8>]) -> Vec<Bytes> {
        trimmed(&Argv::from_args(args), &Secrets::default())
    }

    #[test]
    fn long_commands_are_cut() {
        let args: Vec<Vec<u8>> = (0..33).map(|i: usize| i.to_string().into()).collect();
        assert_eq!(trim(&args[..32]), args[..32]);
        let cut = trim(&args);
        assert_eq!(
            (cut.len(), &cut[..31]),
            (32, &args[..31].iter().cloned().map(Bytes::from).collect::<Vec<_>>()[..])
        );
        assert_eq!(cut[31], "... (2 more arguments)");
    }

    #[test]
    fn long_arguments_are_cut() {
        let exact = vec![b'a'; MAX_ARG_LEN];
        let long = vec![b'a'; MAX_ARG_LEN + 1];
        let cut = trim(&[exact.clone(), long]);
        assert_eq!(cut[0], exact);
        assert_eq!(cut[1], [exact, b"... (1 more bytes)".to_vec()].concat());
    }
}
