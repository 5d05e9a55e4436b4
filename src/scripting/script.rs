//! A running script: what holds for it whatever command has begun it, EVAL or FCALL.
//!
//! [`run`] checks whether the script may run, lends it a client, and has Lua call it. Each command of the script comes to
//! [`call_command`], which refuses what scripts may not do and otherwise calls it as any client's command is called. What the
//! commands leave for replicas and the append-only file is one unit ([`crate::server::propagate`]); the script itself is never
//! passed on.
//!
//! # Scripts that take too long
//!
//! Every so many instructions Lua comes to [`interrupt`], and so do functions that may take long by themselves. After `busy-reply-threshold` milliseconds the script counts as
//! *busy*: from then on clients are served in between. The dispatcher answers them with BUSY, except for the few commands that
//! may run meanwhile ([`busy_error`]). `SCRIPT KILL` ends the script, as long as it has written nothing; so does
//! `SHUTDOWN NOSAVE`, in any case.
//!
//! The clock stands still for the script: what it sees as now, and what has expired, does not change while it runs.

use std::borrow::Cow;
use std::ffi::c_int;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::script_lua::{self, Engine};
use crate::io::monotonic;
use crate::persistence;
use crate::server::client::ClientFlags;
use crate::server::commands::{CommandFlags, CommandSpec};
use crate::server::propagate::Targets;
use crate::server::{Client, CmdError, CmdResult, Server, dispatch, events};

/// How often a script that takes too long serves clients.
const SERVE_EVERY_NS: u64 = 1_000_000;

/// By which command scripts of a kind are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// EVAL and its kin: named by the digest of its source.
    Eval,
    /// FCALL and its kin: a function of a library.
    Function,
}

/// What a script says of itself: behind `flags=` in its first line, or when it is registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScriptFlags(u8);

impl ScriptFlags {
    /// Nothing.
    pub const NONE: ScriptFlags = ScriptFlags(0);
    /// It writes nothing.
    pub const NO_WRITES: ScriptFlags = ScriptFlags(1 << 0);
    /// It may run when memory is short.
    pub const ALLOW_OOM: ScriptFlags = ScriptFlags(1 << 1);
    /// It may run on a replica with stale data.
    pub const ALLOW_STALE: ScriptFlags = ScriptFlags(1 << 2);
    /// It must not run in a cluster.
    pub const NO_CLUSTER: ScriptFlags = ScriptFlags(1 << 3);
    /// It may use keys of several slots.
    pub const ALLOW_CROSS_SLOT: ScriptFlags = ScriptFlags(1 << 4);
    /// It has no first line that says anything: what it does is found out as it goes.
    pub const COMPATIBLE: ScriptFlags = ScriptFlags(1 << 5);

    /// Flags by the names that scripts use, in the order in which lists show them.
    pub const NAMES: [(&'static str, ScriptFlags); 5] = [
        ("no-writes", ScriptFlags::NO_WRITES),
        ("allow-oom", ScriptFlags::ALLOW_OOM),
        ("allow-stale", ScriptFlags::ALLOW_STALE),
        ("no-cluster", ScriptFlags::NO_CLUSTER),
        ("allow-cross-slot-keys", ScriptFlags::ALLOW_CROSS_SLOT),
    ];

    /// The flag of this name.
    pub fn by_name(name: &[u8]) -> Option<ScriptFlags> {
        Self::NAMES.iter().find(|(known, _)| known.as_bytes() == name).map(|(_, flag)| *flag)
    }

    /// Whether all of `other` hold.
    pub fn contains(self, other: ScriptFlags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Makes `other` true.
    pub fn insert(&mut self, other: ScriptFlags) {
        self.0 |= other.0;
    }

    /// What the command that calls the script has to be taken for: `flags` are its own.
    pub fn as_command_flags(self, flags: CommandFlags) -> CommandFlags {
        use CommandFlags as C;
        if self.contains(ScriptFlags::COMPATIBLE) {
            return flags;
        }
        let reads = self.contains(ScriptFlags::NO_WRITES);
        let told = |flag: CommandFlags, on: bool| if on { flag } else { C::default() };
        flags
            .difference(C::STALE.union(C::DENYOOM).union(C::WRITE).union(C::MAY_REPLICATE))
            .union(told(C::DENYOOM, !reads && !self.contains(ScriptFlags::ALLOW_OOM)))
            .union(told(C::WRITE, !reads))
            .union(told(C::STALE, self.contains(ScriptFlags::ALLOW_STALE)))
    }
}

/// A script that is to be run.
#[derive(Debug)]
pub struct Callable {
    /// By which command it is called.
    pub kind: Kind,
    /// What errors and logs call it: its digest, or its function's name.
    pub name: Arc<str>,
    /// The number of its function in the registry of its engine.
    pub function: c_int,
    /// What it says of itself.
    pub flags: ScriptFlags,
    /// Whether the command that calls it promises that it only reads.
    pub read_only: bool,
    /// Which of the command's arguments are its keys.
    pub keys: Range<usize>,
    /// Which are its other arguments.
    pub args: Range<usize>,
}

impl Callable {
    /// The engine that it runs in.
    pub fn engine<'a>(&self, srv: &'a Server) -> &'a Engine {
        match self.kind {
            Kind::Eval => srv.scripting.eval.engine(),
            Kind::Function => srv.scripting.functions.engine(),
        }
    }
}

/// A script that runs.
#[derive(Debug)]
pub struct Run {
    /// By which command it was called.
    pub kind: Kind,
    /// Its name: see [`Callable`].
    pub name: Arc<str>,
    /// The command that called it. Only noted once it is busy, when others may ask.
    pub command: Vec<Bytes>,
    /// Monotonic time of its beginning, in nanoseconds.
    start_ns: u64,
    read_only: bool,
    allow_oom: bool,
    /// Whether it has called a command that writes.
    wrote: bool,
    /// Whether it is to end.
    killed: bool,
    /// Monotonic time at which clients were last served meanwhile, in nanoseconds.
    served_ns: u64,
}

impl Run {
    /// Milliseconds since it began.
    pub fn duration_ms(&self) -> u64 {
        monotonic::now_ns().saturating_sub(self.start_ns) / 1_000_000
    }
}

/// Finds the keys and arguments of a command whose argument 2 tells how many of the words from 3 on are keys.
pub fn split_arguments(c: &Client) -> Result<(Range<usize>, Range<usize>), CmdError> {
    let count = c.argv.int(2)?;
    let words = c.argv.len() - 3;
    match usize::try_from(count) {
        Err(_) => Err(CmdError::text("ERR Number of keys can't be negative")),
        Ok(count) if count > words => {
            Err(CmdError::text("ERR Number of keys can't be greater than number of args"))
        }
        Ok(count) => Ok((3..3 + count, 3 + count..c.argv.len())),
    }
}

/// Runs a script for the client `c`, and replies what it returns.
///
/// # Errors
/// If it may not run.
pub fn run(srv: &mut Server, c: &mut Client, call: &Callable) -> CmdResult {
    check(srv, call)?;
    let mut client = srv.scripting.client.take().unwrap_or_else(|| new_client(srv));
    client.db = c.db;
    client.out.set_resp3(false);
    let declared = !call.flags.contains(ScriptFlags::COMPATIBLE);
    srv.scripting.running = Some(Run {
        kind: call.kind,
        name: call.name.clone(),
        command: Vec::new(),
        start_ns: srv.clock.mono_ns,
        read_only: call.read_only || (declared && call.flags.contains(ScriptFlags::NO_WRITES)),
        allow_oom: declared && call.flags.contains(ScriptFlags::ALLOW_OOM),
        wrote: false,
        killed: false,
        served_ns: 0,
    });
    let targets = std::mem::replace(&mut srv.propagation.targets, Targets::ALL);

    let failed = script_lua::invoke(srv, c, &mut client, call);

    srv.propagation.targets = targets;
    srv.scripting.running = None;
    if std::mem::take(&mut srv.scripting.busy) {
        srv.clock.update();
        if srv.process.exit_requested {
            srv.propagation.abandon();
        }
    }
    srv.scripting.client = Some(client);
    // Its commands have left what they leave.
    srv.prevent_propagation();
    if failed {
        srv.stats.command(c.spec().id).failed += 1;
    }
    Ok(())
}

/// Whether the script may run, by what it says of itself. One that says nothing may; its commands are checked one by one.
fn check(srv: &Server, call: &Callable) -> CmdResult {
    if call.flags.contains(ScriptFlags::COMPATIBLE) {
        return Ok(());
    }
    let reads = call.flags.contains(ScriptFlags::NO_WRITES);
    if !reads {
        if persistence::write_refusal(srv).is_some() {
            return Err(CmdError::text(
                "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. \
                 Writable scripts are blocked. Use 'no-writes' flag for read only scripts.",
            ));
        }
        if call.read_only {
            return Err(CmdError::text("ERR Can not execute a script with write flag using *_ro command."));
        }
    }
    if srv.config.maxmemory != 0
        && srv.eviction.out_of_memory
        && !reads
        && !call.flags.contains(ScriptFlags::ALLOW_OOM)
    {
        return Err(CmdError::text(
            "OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'",
        ));
    }
    Ok(())
}

/// The client whose commands scripts' are: no connection, so nothing makes it wait.
fn new_client(srv: &Server) -> Box<Client> {
    let mut client = Client::detached(srv);
    client.flags.insert(ClientFlags::SCRIPT);
    client.info.addr = "?:0".into();
    client
}

/// What the first word of the command at hand names, with the second if it is a container.
pub fn find_command(srv: &Server, c: &Client) -> Option<&'static CommandSpec> {
    let spec = srv.commands.lookup(c.argv.get(0))?;
    if spec.subcommands.is_empty() || c.argv.len() == 1 {
        return Some(spec);
    }
    srv.commands.lookup_subcommand(spec, c.argv.get(1))
}

/// Calls the command that `c.argv` shows, whose reply is then in `c.out`.
///
/// # Errors
/// The text, code included, with which it is refused.
pub fn call_command(srv: &mut Server, c: &mut Client) -> Result<(), Cow<'static, [u8]>> {
    let Some(spec) = find_command(srv, c) else {
        return Err(refuse(srv, None, b"ERR Unknown Redis command called from script"[..].into()));
    };
    if let Some(text) = refusal(srv, c, spec) {
        return Err(refuse(srv, Some(spec), text));
    }
    if spec.flags.contains(CommandFlags::WRITE)
        && let Some(run) = &mut srv.scripting.running
    {
        run.wrote = true;
    }
    dispatch::call(srv, c, spec);
    Ok(())
}

/// Counts a refusal.
#[cold]
fn refuse(srv: &mut Server, spec: Option<&CommandSpec>, text: Cow<'static, [u8]>) -> Cow<'static, [u8]> {
    if let Some(spec) = spec {
        srv.stats.command(spec.id).rejected += 1;
    }
    srv.stats.count_error_text(&text);
    text
}

/// Why a script may not call the command, if so. Checks of rights, of a replica and of cluster slots belong here.
#[inline]
fn refusal(srv: &Server, c: &Client, spec: &CommandSpec) -> Option<Cow<'static, [u8]>> {
    let text = |text: &'static str| Some(Cow::Borrowed(text.as_bytes()));
    if !spec.accepts_argc(c.argv.len()) {
        return text("ERR Wrong number of args calling Redis command from script");
    }
    if spec.flags.contains(CommandFlags::NOSCRIPT) && !(srv.debug.probes_in_scripts && is_probe(c, spec)) {
        return text("ERR This Redis command is not allowed from script");
    }
    let run = srv.scripting.running.as_ref()?;
    if run.read_only && spec.flags.intersects(CommandFlags::WRITE.union(CommandFlags::MAY_REPLICATE)) {
        return text("ERR Write commands are not allowed from read-only scripts.");
    }
    if spec.flags.contains(CommandFlags::WRITE)
        && let Some(error) = persistence::write_refusal(srv)
    {
        return Some(error.to_bytes().into());
    }
    // A script that has begun to write is not stopped half-way.
    if srv.config.maxmemory != 0
        && srv.eviction.out_of_memory
        && !run.allow_oom
        && !run.wrote
        && spec.flags.contains(CommandFlags::DENYOOM)
    {
        return text("OOM command not allowed when used memory > 'maxmemory'.");
    }
    None
}

/// Whether a command that is denied to scripts only shows something, so that tests may allow it: one that ended, replaced or
/// entered the engine while it runs, or changed whom the script's client is, stays denied.
fn is_probe(c: &Client, spec: &CommandSpec) -> bool {
    const OF_DEBUG: [&[u8]; 5] = [b"protocol", b"sleep", b"object", b"digest", b"digest-value"];
    match spec.fullname {
        "client|list" | "client|info" | "client|id" => true,
        "debug" => OF_DEBUG.iter().any(|name| c.argv.is(1, name)),
        _ => false,
    }
}

/// Called from within the script that `caller` runs every so often; answers whether it is to end.
pub fn interrupt(srv: &mut Server, caller: &Client) -> bool {
    if !srv.scripting.busy && !is_overdue(srv, caller) {
        return false;
    }
    let now_ns = monotonic::now_ns();
    if let Some(run) = srv.scripting.running.as_mut()
        && now_ns.saturating_sub(run.served_ns) >= SERVE_EVERY_NS
    {
        run.served_ns = now_ns;
        serve_events(srv);
    }
    srv.process.exit_requested || srv.scripting.running.as_ref().is_some_and(|run| run.killed)
}

/// Whether the script has run for so long that clients are to be served meanwhile; it counts as busy from then on.
fn is_overdue(srv: &mut Server, caller: &Client) -> bool {
    let threshold_ms = srv.config.busy_reply_threshold;
    let Some(run) = &mut srv.scripting.running else { return false };
    let elapsed_ms = run.duration_ms();
    if threshold_ms == 0 || elapsed_ms < threshold_ms {
        return false;
    }
    let command = if run.kind == Kind::Eval { "SCRIPT KILL" } else { "FUNCTION KILL" };
    log::warn!(
        "Slow script detected: still in execution after {elapsed_ms} milliseconds. You can try killing the script using \
         the {command} command. Script name is: {}.",
        run.name
    );
    run.command = caller.argv.to_owned_args();
    srv.scripting.busy = true;
    true
}

/// Serves clients while a script runs. Time stands still for the script.
fn serve_events(srv: &mut Server) {
    let (clock, no_touch) = (srv.clock, srv.no_touch);
    events::serve_in_between(srv);
    (srv.clock.unix_us, srv.clock.unix_ms, srv.no_touch) = (clock.unix_us, clock.unix_ms, no_touch);
}

/// Why a command may not run at present, if so: a script has been running for too long.
pub fn busy_error(srv: &Server) -> Option<CmdError> {
    let run = srv.scripting.running.as_ref().filter(|_| srv.scripting.busy)?;
    Some(match run.kind {
        Kind::Eval => BUSY_EVAL,
        Kind::Function => BUSY_FUNCTION,
    })
}

const BUSY_EVAL: CmdError =
    CmdError::text("BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.");
const BUSY_FUNCTION: CmdError = CmdError::text(
    "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.",
);

/// `SCRIPT KILL` and `FUNCTION KILL`: has the script that runs end, if it is of this kind.
pub fn kill(srv: &mut Server, kind: Kind) -> CmdResult {
    let Some(run) = &mut srv.scripting.running else {
        return Err(CmdError::text("NOTBUSY No scripts in execution right now."));
    };
    if run.wrote {
        return Err(CmdError::text(
            "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the \
             script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.",
        ));
    }
    if run.kind != kind {
        return Err(if run.kind == Kind::Eval { BUSY_EVAL } else { BUSY_FUNCTION });
    }
    run.killed = true;
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::server::testing::Bench;

    // A line of these cases has no blank within an argument.
    #[test]
    fn a_script_leaves_what_its_commands_leave_as_one_unit() {
        Bench::new().check_propagation(
            "EVAL redis.call('set','a','1') 0 -> set a 1
             EVAL redis.call('set','a','1')redis.call('incr','a') 0 -> MULTI; set a 1; incr a; EXEC
             EVAL return(redis.call('get','a')) 0 -> nothing
             EVAL redis.call('set','a',7)return(redis.call('get','a')) 0 -> set a 7
             EVAL redis.call('del','nosuch') 0 -> nothing
             EVAL redis.call('select',3)redis.call('set','b','1') 0 -> set b 1
             EVAL redis.pcall('incr','a')redis.pcall('lpush','a','x') 0 -> incr a
             EVAL pcall(function()redis.call('set','a','3')error('x')end) 0 -> set a 3
             EVAL_RO return(redis.call('get','a')) 0 -> nothing",
        );
    }

    #[test]
    fn effects_that_depend_on_time_or_chance_are_made_definite() {
        Bench::new().check_propagation(
            "EVAL redis.call('set','a','1','ex',100) 0 -> SET a 1 PXAT <time>
             EVAL redis.call('expire','a',100) 0 -> PEXPIREAT a <time>
             EVAL redis.call('expire','a',-1) 0 -> DEL a
             SADD s x -> SADD s x
             EVAL redis.call('spop','s') 0 -> SREM s x
             EVAL redis.call('set','f','1')redis.call('incrbyfloat','f','0.5') 0 -> MULTI; set f 1; SET f 1.5 KEEPTTL; EXEC",
        );
    }

    #[test]
    fn set_repl_says_what_is_passed_on() {
        Bench::new().check_propagation(
            "EVAL redis.set_repl(redis.REPL_NONE)redis.call('set','a','1') 0 -> nothing
             EVAL redis.set_repl(0)redis.call('set','a','1')redis.set_repl(3)redis.call('set','b','2') 0 -> set b 2
             EVAL redis.call('set','a','1')redis.set_repl(redis.REPL_NONE)redis.call('set','b','2') 0 -> set a 1
             SET c 1 -> SET c 1",
        );
    }

    #[test]
    fn a_script_in_a_transaction_is_part_of_it() {
        Bench::new().check_propagation(
            "MULTI -> nothing
             SET a 1 -> nothing
             EVAL redis.call('incr','a')redis.call('incr','a') 0 -> nothing
             EXEC -> MULTI; SET a 1; incr a; incr a; EXEC
             MULTI -> nothing
             EVAL return(1) 0 -> nothing
             EXEC -> nothing",
        );
    }

    #[test]
    fn read_only_scripts_write_nothing() {
        let mut bench = Bench::new();
        let refused = "-ERR Write commands are not allowed from read-only scripts. script: ";
        let flagged = "EVAL #!lua\tflags=no-writes\nreturn(redis.call('set','a',1)) 0";
        for command in ["EVAL_RO return(redis.call('set','a',1)) 0", flagged] {
            let reply = bench.run(command);
            assert!(reply.starts_with(refused), "{command}: {reply}");
        }
        assert_eq!(bench.run("EXISTS a"), ":0\r\n");
        let reply = bench.run("EVAL_RO #!lua\nreturn(1) 0");
        assert_eq!(reply, "-ERR Can not execute a script with write flag using *_ro command.\r\n");
    }
}
