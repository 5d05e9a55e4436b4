//! From parsed arguments to a called command: lookup, checks, the call, and what is noted about it.
//!
//! Every command passes through [`call`], whoever sends it. The checks in front of it are
//! [`process_command`]'s; they are ordered as upstream's, because the order decides which error a client sees.

use crate::cmd_err;
use crate::ds::sds;
use crate::io::monotonic;
use crate::server::client::{Client, ClientFlags};
use crate::server::commands::{CommandFlags, CommandSpec};
use crate::server::error::CmdError;
use crate::server::{Server, latency, monitor, networking, slowlog};

/// Bytes of an unknown command's name and arguments that its error shows.
const UNKNOWN_SHOWN: usize = 128;

/// What became of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered (or refused, or its answer is to come).
    Done,
    /// It must run again later, when what holds it back has ended.
    Postponed,
}

/// Checks and calls the command whose arguments `c.argv` shows; `spec` is what its first argument names.
#[inline]
pub fn process_command(srv: &mut Server, c: &mut Client, spec: Option<&'static CommandSpec>) -> Outcome {
    let spec = match resolve(srv, c, spec) {
        Ok(spec) => spec,
        Err(error) => {
            reject(srv, c, None, &error);
            return Outcome::Done;
        }
    };
    if !spec.accepts_argc(c.argv.len()) {
        reject(srv, c, Some(spec), &CmdError::Arity(spec.fullname));
        return Outcome::Done;
    }
    if needs_check(srv, c, spec)
        && let Some(outcome) = check(srv, c, spec)
    {
        return outcome;
    }
    call(srv, c, spec);
    Outcome::Done
}

/// The command, or the subcommand of a container, that the arguments name.
#[inline]
fn resolve(
    srv: &Server,
    c: &Client,
    spec: Option<&'static CommandSpec>,
) -> Result<&'static CommandSpec, CmdError> {
    match spec {
        Some(spec) if spec.subcommands.is_empty() || c.argv.len() == 1 => Ok(spec),
        Some(container) => srv.commands.lookup_subcommand(container, c.argv.get(1)).map_or_else(
            || match container.proc {
                Some(_) => Ok(container),
                None => Err(CmdError::UnknownSubcommand(Box::new((
                    c.argv.get(1).to_vec(),
                    String::from_utf8_lossy(c.argv.get(0)).to_uppercase(),
                )))),
            },
            Ok,
        ),
        None => Err(unknown_command(c)),
    }
}

fn unknown_command(c: &Client) -> CmdError {
    let shown = |bytes: &[u8]| bytes[..bytes.len().min(UNKNOWN_SHOWN)].to_vec();
    let mut text = b"ERR unknown command '".to_vec();
    text.extend(shown(c.argv.get(0)));
    text.extend_from_slice(b"', with args beginning with: ");
    let mut args = Vec::new();
    for arg in c.argv.iter_from(1) {
        if args.len() >= UNKNOWN_SHOWN {
            break;
        }
        args.push(b'\'');
        args.extend_from_slice(&arg[..arg.len().min(UNKNOWN_SHOWN - args.len().min(UNKNOWN_SHOWN))]);
        args.extend_from_slice(b"' ");
    }
    text.extend(args);
    CmdError::Bytes(text.into_boxed_slice())
}

/// Whether anything but lookup and arity may stand in the way of the command.
#[inline]
fn needs_check(srv: &Server, c: &Client, spec: &CommandSpec) -> bool {
    !c.flags.contains(ClientFlags::AUTHENTICATED)
        || c.flags.intersects(ClientFlags::PUBSUB)
        || spec.flags.contains(CommandFlags::PROTECTED)
        || srv.net.pause.is_some()
}

#[cold]
fn check(srv: &mut Server, c: &mut Client, spec: &'static CommandSpec) -> Option<Outcome> {
    if spec.flags.contains(CommandFlags::PROTECTED)
        && let Some(error) = protected_error(srv, c, spec)
    {
        reject(srv, c, Some(spec), &error);
        return Some(Outcome::Done);
    }
    if !c.flags.contains(ClientFlags::AUTHENTICATED) && !spec.flags.contains(CommandFlags::NO_AUTH) {
        reject(srv, c, Some(spec), &CmdError::text("NOAUTH Authentication required."));
        return Some(Outcome::Done);
    }
    if c.flags.contains(ClientFlags::PUBSUB) && !c.resp3() && !allowed_while_subscribed(spec) {
        let error = cmd_err!(
            "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
            spec.fullname
        );
        reject(srv, c, Some(spec), &error);
        return Some(Outcome::Done);
    }
    let pause = srv.net.pause?;
    let writes = spec.flags.intersects(CommandFlags::WRITE.union(CommandFlags::MAY_REPLICATE));
    if pause.until_ms > srv.clock.unix_ms && (pause.all || writes) {
        c.flags.insert(ClientFlags::BLOCKED);
        srv.net.paused.push(c.handle);
        return Some(Outcome::Postponed);
    }
    None
}

/// Why a protected command may not be called here, if so.
fn protected_error(srv: &Server, c: &Client, spec: &CommandSpec) -> Option<CmdError> {
    let (allowed, option) = match spec.fullname.split('|').next() {
        Some("debug") => (srv.config.enable_debug_command, "enable-debug-command"),
        _ => return None,
    };
    (!allowed.allows(c.is_local())).then(|| {
        cmd_err!(
            "ERR {} command not allowed. If the {option} option is set to \"local\", you can run it from a local \
             connection, otherwise you need to set this option in the configuration file, and then restart the server.",
            spec.name.to_uppercase()
        )
    })
}

fn allowed_while_subscribed(spec: &CommandSpec) -> bool {
    matches!(
        spec.name,
        "ping"
            | "subscribe"
            | "unsubscribe"
            | "ssubscribe"
            | "sunsubscribe"
            | "psubscribe"
            | "punsubscribe"
            | "quit"
            | "reset"
    )
}

/// Answers a command that does not get as far as being called.
#[cold]
fn reject(srv: &mut Server, c: &mut Client, spec: Option<&'static CommandSpec>, error: &CmdError) {
    if let Some(spec) = spec {
        srv.stats.command(spec.id).rejected += 1;
    }
    let mark = c.out.mark();
    reply_error(srv, c, error);
    settle_reply(srv, c, mark);
}

/// Replies an error and counts it.
pub fn reply_error(srv: &mut Server, c: &mut Client, error: &CmdError) {
    c.out.error(error);
    srv.stats.count_error(error);
}

/// Calls the command and notes its time, its errors and what monitors and logs want of it.
#[inline]
pub fn call(srv: &mut Server, c: &mut Client, spec: &'static CommandSpec) {
    let start_ns = srv.clock.mono_ns;
    let mark = c.out.mark();
    c.cmd = Some(spec);
    c.commands += 1;
    srv.no_touch = c.flags.contains(ClientFlags::NO_TOUCH) && spec.name != "touch";
    srv.stats.commands_processed += 1;
    let proc = spec.proc.expect("a command that was resolved has a procedure");
    let result = proc(srv, c);
    let end_ns = monotonic::now_ns();
    srv.clock.mono_ns = end_ns;
    let ns = end_ns.saturating_sub(start_ns);
    c.last_cmd = Some(spec);

    let track = srv.config.latency_tracking;
    let stats = srv.stats.command(spec.id);
    stats.calls += 1;
    stats.nanos += ns;
    if track {
        stats.record_latency(ns);
    }
    srv.stats.eventloop_cmd_ns += ns;
    if let Err(error) = result {
        srv.stats.command(spec.id).failed += 1;
        reply_error(srv, c, &error);
    }
    if ns >= srv.slow_ns || !srv.monitors.is_empty() {
        note(srv, c, spec, ns);
    }
    if !srv.net.deferred_pushes.is_empty() || c.flags.intersects(SETTLE) {
        settle_reply(srv, c, mark);
    }
}

/// Flags of a client whose replies need a look after each command.
const SETTLE: ClientFlags = ClientFlags::settle();

/// What slow commands leave in logs, and every command with monitors.
#[cold]
fn note(srv: &mut Server, c: &mut Client, spec: &'static CommandSpec, ns: u64) {
    if ns >= srv.slow_ns {
        let event = if spec.flags.contains(CommandFlags::FAST) {
            latency::Event::FastCommand
        } else {
            latency::Event::Command
        };
        latency::add_sample_if_needed(srv, event, ns / 1_000_000);
        if !spec.flags.contains(CommandFlags::SKIP_SLOWLOG) {
            slowlog::push_if_needed(srv, c, ns / 1000);
        }
    }
    let hidden = CommandFlags::SKIP_MONITOR.union(CommandFlags::ADMIN);
    if !srv.monitors.is_empty() && !spec.flags.intersects(hidden) {
        monitor::feed(srv, c);
    }
}

/// Drops the reply if the client does not want it, appends pushes that waited for it, and has the client closed if
/// the command asked for that.
#[cold]
fn settle_reply(srv: &mut Server, c: &mut Client, mark: crate::server::reply::Mark) {
    if c.flags.intersects(ClientFlags::REPLY_OFF | ClientFlags::REPLY_SKIP) {
        c.out.rewind(mark);
        c.flags.remove(ClientFlags::REPLY_SKIP);
    }
    if c.flags.contains(ClientFlags::REPLY_SKIP_NEXT) {
        c.flags.remove(ClientFlags::REPLY_SKIP_NEXT);
        c.flags.insert(ClientFlags::REPLY_SKIP);
    }
    if c.flags.contains(ClientFlags::CLOSE_AFTER_COMMAND) {
        c.flags.insert(ClientFlags::CLOSE_AFTER_REPLY);
    }
    networking::deliver_deferred(srv, c);
}

/// The arguments of the command at hand in the form logs show them, quoted.
pub fn quoted_args(c: &Client, most: usize) -> Vec<u8> {
    let mut line = Vec::new();
    for (i, arg) in c.argv.iter().take(most).enumerate() {
        if i > 0 {
            line.push(b' ');
        }
        sds::repr(&mut line, arg);
    }
    line
}
