//! From parsed arguments to a called command: lookup, checks, the call, and what is noted about it.
//!
//! Every command passes through [`call`], whoever sends it. The checks in front of it are
//! [`process_command`]'s; they are ordered as upstream's, because the order decides which error a client sees.

use crate::cmd_err;
use crate::db::evict::{self, Room};
use crate::db::{blocked, multi};
use crate::ds::sds;
use crate::io::monotonic;
use crate::persistence;
use crate::scripting::{eval, script};
use crate::server::client::{Client, ClientFlags};
use crate::server::commands::{CommandFlags, CommandSpec};
use crate::server::error::CmdError;
use crate::server::{Server, crash, latency, monitor, networking, slowlog};

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
    if needs_check(srv, c, spec) {
        if let Some(outcome) = check(srv, c, spec) {
            return outcome;
        }
        if c.flags.intersects(ClientFlags::REPLY_OFF | ClientFlags::REPLY_SKIP) {
            call_unanswered(srv, c, spec);
            return Outcome::Done;
        }
    }
    call(srv, c, spec);
    Outcome::Done
}

/// Calls the command for a client that wants no reply.
#[cold]
fn call_unanswered(srv: &mut Server, c: &mut Client, spec: &'static CommandSpec) {
    let limit = c.out.begin_unwanted();
    call(srv, c, spec);
    c.out.end_unwanted(limit);
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
        Some(container) => srv.commands.lookup_subcommand(container, c.argv.get(1)).ok_or_else(|| {
            CmdError::UnknownSubcommand(Box::new((
                c.argv.get(1).to_vec(),
                String::from_utf8_lossy(c.argv.get(0)).to_uppercase(),
            )))
        }),
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

/// Flags of a client whose commands are not simply called.
const SPECIAL: ClientFlags = ClientFlags::special();

/// Whether anything but lookup and arity may stand in the way of the command.
#[inline]
fn needs_check(srv: &Server, c: &Client, spec: &CommandSpec) -> bool {
    !c.flags.contains(ClientFlags::AUTHENTICATED)
        || c.flags.intersects(SPECIAL)
        || spec.flags.contains(CommandFlags::PROTECTED)
        || srv.net.pause.is_some()
        || srv.config.maxmemory != 0
        || srv.persistence.stands_in_the_way()
        || srv.scripting.busy
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
    if c.flags.contains(ClientFlags::MULTI) && spec.flags.contains(CommandFlags::NO_MULTI) {
        let error = CmdError::text("ERR Command not allowed inside a transaction");
        reject(srv, c, Some(spec), &error);
        return Some(Outcome::Done);
    }
    // What a script is taken for follows from what it says of itself.
    let flags = eval::command_flags(srv, c, spec);
    if srv.config.maxmemory != 0 && !srv.scripting.busy {
        srv.eviction.out_of_memory = evict::make_room(srv) == Room::None;
    }
    let short = srv.config.maxmemory != 0 && srv.eviction.out_of_memory;
    if short && !srv.scripting.busy && needs_memory(c, spec, flags) {
        let error = CmdError::text("OOM command not allowed when used memory > 'maxmemory'.");
        reject(srv, c, Some(spec), &error);
        return Some(Outcome::Done);
    }
    let error = persistence::disk_error(srv, c, spec)
        .or_else(|| subscriber_error(c, spec))
        .or_else(|| persistence::loading_error(srv, c, spec))
        .or_else(|| if flags.contains(CommandFlags::ALLOW_BUSY) { None } else { script::busy_error(srv) });
    if let Some(error) = error {
        reject(srv, c, Some(spec), &error);
        return Some(Outcome::Done);
    }
    if is_paused(srv, c, spec, flags) {
        c.flags.insert(ClientFlags::BLOCKED);
        srv.net.paused.push(c.handle);
        return Some(Outcome::Postponed);
    }
    if c.flags.contains(ClientFlags::MULTI) && !multi::runs_at_once(spec) {
        let mark = c.out.mark();
        multi::queue(c, spec);
        settle_reply(srv, c, mark);
        return Some(Outcome::Done);
    }
    None
}

/// Whether the command, or what it would run or queue, may use more memory.
fn needs_memory(c: &Client, spec: &CommandSpec, flags: CommandFlags) -> bool {
    if !c.flags.contains(ClientFlags::MULTI) {
        return flags.contains(CommandFlags::DENYOOM);
    }
    match multi::runs_at_once(spec) {
        // A queue may grow without end.
        false => true,
        true => spec.name == "exec" && c.multi.as_ref().is_some_and(|multi| multi.needs_memory()),
    }
}

/// Whether CLIENT PAUSE holds the command back. What is queued in a transaction is held back with its EXEC.
fn is_paused(srv: &Server, c: &Client, spec: &CommandSpec, flags: CommandFlags) -> bool {
    let Some(pause) = srv.net.pause else { return false };
    if pause.until_ms <= srv.clock.unix_ms || c.flags.contains(ClientFlags::REEXECUTING) {
        return false;
    }
    let queued = c.multi.as_ref().is_some_and(|multi| multi.writes()) && spec.name == "exec";
    let writes = flags.intersects(CommandFlags::WRITE.union(CommandFlags::MAY_REPLICATE));
    pause.all || queued || (writes && !c.flags.contains(ClientFlags::MULTI))
}

/// Why a protected command may not be called here, if so.
fn protected_error(srv: &Server, c: &Client, spec: &CommandSpec) -> Option<CmdError> {
    let name = spec.fullname.split('|').next().unwrap_or_default();
    let (allowed, option) = match name {
        "debug" => (srv.config.enable_debug_command, "enable-debug-command"),
        "module" => (srv.config.enable_module_command, "enable-module-command"),
        _ => return None,
    };
    (!allowed.allows(c.is_local())).then(|| {
        cmd_err!(
            "ERR {} command not allowed. If the {option} option is set to \"local\", you can run it from a local \
             connection, otherwise you need to set this option in the configuration file, and then restart the server.",
            name.to_uppercase()
        )
    })
}

/// Why a subscriber may not call the command, if so.
fn subscriber_error(c: &Client, spec: &CommandSpec) -> Option<CmdError> {
    let subscribed = c.flags.contains(ClientFlags::PUBSUB) && !c.resp3();
    (subscribed && !allowed_while_subscribed(spec)).then(|| {
        cmd_err!(
            "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
            spec.fullname
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
    if c.flags.contains(ClientFlags::MULTI) {
        reject_in_transaction(srv, c, spec, error);
    } else {
        reply_error(srv, c, error);
    }
    settle_reply(srv, c, mark);
}

/// A command that is refused spoils the transaction; an EXEC that is refused ends it.
fn reject_in_transaction(srv: &mut Server, c: &mut Client, spec: Option<&CommandSpec>, error: &CmdError) {
    if spec.is_none_or(|spec| spec.name != "exec") {
        c.flags.insert(ClientFlags::DIRTY_EXEC);
        c.multi = Some(Box::default()); // What was queued will not run.
        return reply_error(srv, c, error);
    }
    multi::discard_transaction(srv, c);
    let mut text = b"EXECABORT Transaction discarded because of: ".to_vec();
    let reason = error.to_bytes();
    text.extend_from_slice(reason.strip_prefix(b"ERR ").unwrap_or(&reason));
    reply_error(srv, c, &CmdError::Bytes(text.into()));
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
    let (db, outer) = (c.db, srv.begin_command());
    let running = crash::enter(c);
    let result = proc(srv, c);
    drop(running);
    srv.end_command(c, db, outer);
    let end_ns = monotonic::now_ns();
    srv.clock.mono_ns = end_ns;
    let ns = end_ns.saturating_sub(start_ns);
    c.last_cmd = Some(spec);
    if c.blocked.as_ref().is_some_and(|state| state.runs_again()) {
        return; // It is not over: what is to be noted will be when it is.
    }

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
    let inside = srv.propagation.inside_unit();
    if inside && !(srv.scripting.busy && c.conn.is_some()) {
        return; // Within a transaction or script: the rest is done once, at its end.
    }
    if !srv.net.deferred_pushes.is_empty() || c.flags.intersects(SETTLE) {
        settle_reply(srv, c, mark);
    }
    if !inside {
        blocked::serve_after_command(srv);
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
    // One that waited was shown when its wait began.
    let shown = spec.flags.intersects(hidden) || c.flags.contains(ClientFlags::REEXECUTING);
    if !srv.monitors.is_empty() && !shown {
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
