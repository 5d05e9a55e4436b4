//! The DEBUG command: switches and probes for tests and for whoever hunts a bug.
//!
//! Subcommands are a table ([`SUBCOMMANDS`]) that says how many arguments each takes; HELP is made from it. The
//! dispatcher refuses DEBUG altogether unless `enable-debug-command` allows it.

mod digest;
mod list;
mod object;
mod populate;
mod protocol;
mod reload;
mod restart;

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::cmd_err;
use crate::ds::{glob, numbers};
use crate::persistence::{aof, child};
use crate::server::memory::allocator;
use crate::server::{Client, CmdError, CmdResult, Server, crash, time};

/// Switches of DEBUG that other parts of the server look at.
#[derive(Debug)]
pub struct DebugState {
    /// Whether expired keys are looked for, rather than only found: `SET-ACTIVE-EXPIRE`.
    pub active_expire: bool,
    /// Whether the periodic work is suspended: `PAUSE-CRON`.
    pub pause_cron: bool,
    /// The shortest element that new long lists keep by itself, or 0 for what their limits say:
    /// `QUICKLIST-PACKED-THRESHOLD`.
    pub packed_threshold: usize,
    /// Whether tables may keep their best size: `DICT-RESIZING`.
    pub resizing: bool,
    /// Whether checksums of payloads and files may be wrong: `SET-SKIP-CHECKSUM-VALIDATION`.
    pub skip_checksum_validation: bool,
    /// Whether scripts may run some commands that are denied to them: `SET-DISABLE-DENY-SCRIPTS`.
    pub probes_in_scripts: bool,
}

impl Default for DebugState {
    fn default() -> Self {
        DebugState {
            active_expire: true,
            pause_cron: false,
            packed_threshold: 0,
            resizing: true,
            skip_checksum_validation: false,
            probes_in_scripts: false,
        }
    }
}

/// A subcommand.
struct Subcommand {
    name: &'static str,
    /// How many arguments it takes behind its name.
    args: RangeInclusive<usize>,
    run: fn(&mut Server, &mut Client) -> CmdResult,
    /// How its arguments look, and what it does, in lines of HELP.
    usage: &'static str,
    help: &'static [&'static str],
}

const ANY: usize = usize::MAX;

#[rustfmt::skip] // one row a subcommand
const SUBCOMMANDS: &[Subcommand] = &[
    Subcommand { name: "ASSERT", args: 0..=ANY, run: assert, usage: "",
        help: &["Crash by an assertion that does not hold."] },
    Subcommand { name: "AOF-FLUSH-SLEEP", args: 1..=1, run: aof_flush_sleep, usage: " <microsec>",
        help: &["Have each write to the append-only file begin so many microseconds later."] },
    Subcommand { name: "CRASH-AND-RECOVER", args: 0..=1, run: restart::crash_and_recover, usage: " [<milliseconds>]",
        help: &["Start over without an orderly shutdown, after <milliseconds> (default 0)."] },
    Subcommand { name: "DIGEST", args: 0..=0, run: digest::digest, usage: "",
        help: &["Show a hash of all keys, values and expiries, in hexadecimal digits."] },
    Subcommand { name: "DIGEST-VALUE", args: 0..=ANY, run: digest::digest_value, usage: " <key> [<key> ...]",
        help: &["Show a hash of the value of each key."] },
    Subcommand { name: "ERROR", args: 1..=1, run: error, usage: " <string>",
        help: &["Answer with the error <string>, to see what a client makes of it."] },
    Subcommand { name: "LEAK", args: 1..=1, run: leak, usage: " <string>",
        help: &["Keep a copy of <string> that nobody will free."] },
    Subcommand { name: "LISTPACK", args: 1..=1, run: list::listpack, usage: " <key>",
        help: &["Print the listpack that <key> holds to the standard output."] },
    Subcommand { name: "LOADAOF", args: 0..=0, run: aof::load::debug_loadaof, usage: "",
        help: &["Write out what is to be appended to the file, forget the dataset, and load it again."] },
    Subcommand { name: "LOG", args: 1..=1, run: log_message, usage: " <message>",
        help: &["Write <message> to the log."] },
    Subcommand { name: "HTSTATS", args: 1..=2, run: object::htstats, usage: " <dbid> [full]",
        help: &["Show how the hash table of a database is filled."] },
    Subcommand { name: "MALLCTL", args: 1..=2, run: mallctl, usage: " <key> [<val>]",
        help: &["Read or write a number among the allocator's controls."] },
    Subcommand { name: "MALLCTL-STR", args: 1..=2, run: mallctl_str, usage: " <key> [<val>]",
        help: &["Read a text among the allocator's controls. With VOID as <val>, call a control",
                "that has no value."] },
    Subcommand { name: "OBJECT", args: 1..=1, run: object::object, usage: " <key>",
        help: &["Show how <key> and its value are stored."] },
    Subcommand { name: "OOM", args: 0..=ANY, run: oom, usage: "",
        help: &["Crash as if memory had run out."] },
    Subcommand { name: "PANIC", args: 0..=ANY, run: panic, usage: "",
        help: &["Crash by a panic."] },
    Subcommand { name: "POPULATE", args: 1..=3, run: populate::populate, usage: " <count> [<prefix>] [<size>]",
        help: &["Create <count> strings under the keys <prefix>:<num> (default prefix: key), with",
                "values of <size> bytes if given. Keys that exist stay as they are."] },
    Subcommand { name: "PROTOCOL", args: 1..=1, run: protocol::protocol, usage: " <type>",
        help: &["Answer with a reply of that type: string, integer, double, bignum, null, array,",
                "set, map, attrib, push, verbatim, true, false."] },
    Subcommand { name: "RELOAD", args: 0..=ANY, run: reload::reload, usage: " [option ...]",
        help: &["Save the dataset, forget it, and load it again. NOSAVE loads the file as it is, NOFLUSH",
                "keeps what is in memory, and MERGE lets keys of the file take the place of those:",
                "without it, a key that is in both ends the server."] },
    Subcommand { name: "RESTART", args: 0..=1, run: restart::restart, usage: " [<milliseconds>]",
        help: &["Shut down in order and start over, after <milliseconds> (default 0)."] },
    Subcommand { name: "SEGFAULT", args: 0..=ANY, run: segfault, usage: "",
        help: &["Crash by writing where that is not allowed."] },
    Subcommand { name: "SET-ACTIVE-EXPIRE", args: 1..=1, run: set_active_expire, usage: " <0|1>",
        help: &["With 0, keys that have expired stay until somebody asks for them. With 1, they",
                "are looked for, as usual."] },
    Subcommand { name: "SET-DISABLE-DENY-SCRIPTS", args: 1..=1, run: set_disable_deny_scripts, usage: " <0|1>",
        help: &["With 1, scripts may run those commands among the denied ones that only show",
                "something: CLIENT LIST, DEBUG PROTOCOL and some more of DEBUG."] },
    Subcommand { name: "SET-SKIP-CHECKSUM-VALIDATION", args: 1..=1, run: set_skip_checksum_validation,
        usage: " <0|1>",
        help: &["With 1, the checksums of files and of RESTORE's payloads may be wrong."] },
    Subcommand { name: "SLEEP", args: 1..=1, run: sleep, usage: " <seconds>",
        help: &["Have the server do nothing at all for <seconds>, which may have decimals."] },
    Subcommand { name: "STRINGMATCH-TEST", args: 0..=0, run: stringmatch_test, usage: "",
        help: &["Match random patterns with random texts, which must not crash."] },
    Subcommand { name: "PAUSE-CRON", args: 1..=1, run: pause_cron, usage: " <0|1>",
        help: &["Suspend the periodic work, or resume it."] },
    Subcommand { name: "QUICKLIST", args: 1..=2, run: list::quicklist, usage: " <key> [<0|1>]",
        help: &["Print the nodes of the long list <key> to the standard output; with 1, their",
                "elements as well."] },
    Subcommand { name: "QUICKLIST-PACKED-THRESHOLD", args: 1..=1, run: list::quicklist_packed_threshold,
        usage: " <size>",
        help: &["Give elements of <size> bytes and more nodes of their own, in long lists that",
                "are made from now on. 0 is the default, by which those do that fill a node."] },
    Subcommand { name: "REPLYBUFFER", args: 2..=2, run: replybuffer, usage: " <PEAK-RESET-TIME|RESIZING> <value>",
        help: &["Without effect: reply buffers are given back as soon as they are written."] },
    Subcommand { name: "DICT-RESIZING", args: 1..=1, run: dict_resizing, usage: " <0|1>",
        help: &["Let hash tables keep their size until they are far too full, or not."] },
];

/// `DEBUG subcommand [arg ...]`
pub fn debug(srv: &mut Server, c: &mut Client) -> CmdResult {
    debugCommand(srv, c)
}

/// Does what [`debug`] is asked for, under the name by which people and upstream's suite look in a stack trace for what was done
/// on purpose.
#[expect(non_snake_case, reason = "a name that others look for")]
#[inline(never)]
fn debugCommand(srv: &mut Server, c: &mut Client) -> CmdResult {
    if c.argv.is(1, b"help") && c.argv.len() == 2 {
        return help(c);
    }
    let args = c.argv.len() - 2;
    let named = |sub: &&Subcommand| c.argv.is(1, sub.name.as_bytes()) && sub.args.contains(&args);
    let Some(subcommand) = SUBCOMMANDS.iter().find(named) else {
        let sent = c.argv.get(1);
        let sent = String::from_utf8_lossy(&sent[..sent.len().min(128)]).into_owned();
        return Err(cmd_err!(
            "ERR unknown subcommand or wrong number of arguments for '{sent}'. Try DEBUG HELP."
        ));
    };
    let result = (subcommand.run)(srv, c);
    // What it does to the dataset is for this server's eyes, and a load must not be appended to what was loaded.
    srv.prevent_propagation();
    result
}

fn help(c: &mut Client) -> CmdResult {
    let mut lines = Vec::new();
    for subcommand in SUBCOMMANDS {
        lines.push(format!("{}{}", subcommand.name, subcommand.usage));
        lines.extend(subcommand.help.iter().map(|line| format!("    {line}")));
    }
    c.out.help("DEBUG", &lines.iter().map(String::as_str).collect::<Vec<_>>());
    Ok(())
}

/// Argument 2 as a switch: a number is on unless it is 0, and so nothing that is no number is.
fn switch(c: &Client) -> bool {
    c.argv.int(2).is_ok_and(|n| n != 0)
}

fn set_active_expire(srv: &mut Server, c: &mut Client) -> CmdResult {
    srv.debug.active_expire = switch(c);
    c.out.ok();
    Ok(())
}

fn set_skip_checksum_validation(srv: &mut Server, c: &mut Client) -> CmdResult {
    srv.debug.skip_checksum_validation = switch(c);
    c.out.ok();
    Ok(())
}

fn set_disable_deny_scripts(srv: &mut Server, c: &mut Client) -> CmdResult {
    srv.debug.probes_in_scripts = switch(c);
    c.out.ok();
    Ok(())
}

fn pause_cron(srv: &mut Server, c: &mut Client) -> CmdResult {
    srv.debug.pause_cron = switch(c);
    c.out.ok();
    Ok(())
}

fn aof_flush_sleep(srv: &mut Server, c: &mut Client) -> CmdResult {
    srv.persistence.aof.out.flush_sleep = Duration::from_micros(c.argv.int(2)?.max(0) as u64);
    c.out.ok();
    Ok(())
}

fn dict_resizing(srv: &mut Server, c: &mut Client) -> CmdResult {
    srv.debug.resizing = switch(c);
    child::update_resize_policy(srv);
    c.out.ok();
    Ok(())
}

fn replybuffer(_srv: &mut Server, c: &mut Client) -> CmdResult {
    if c.argv.is(2, b"peak-reset-time") {
        if !c.argv.is(3, b"never") && !c.argv.is(3, b"reset") {
            c.argv.int(3)?;
        }
    } else if !c.argv.is(2, b"resizing") {
        return Err(CmdError::text(
            "ERR unknown subcommand or wrong number of arguments for 'REPLYBUFFER'. Try DEBUG HELP.",
        ));
    }
    c.out.ok();
    Ok(())
}

fn sleep(srv: &mut Server, c: &mut Client) -> CmdResult {
    // What is no number, or no time to sleep, is no sleep.
    let seconds = numbers::parse_f64(c.argv.get(2)).unwrap_or(0.0);
    if let Ok(duration) = Duration::try_from_secs_f64(seconds) {
        std::thread::sleep(duration);
    }
    // For a script time stands still, whatever it does.
    if srv.scripting.running.is_none() {
        srv.clock.update();
    }
    c.out.ok();
    Ok(())
}

fn error(_srv: &mut Server, c: &mut Client) -> CmdResult {
    Err(CmdError::Bytes(c.argv.get(2).into()))
}

fn leak(_srv: &mut Server, c: &mut Client) -> CmdResult {
    Box::leak(c.argv.get(2).to_vec().into_boxed_slice());
    c.out.ok();
    Ok(())
}

fn log_message(_srv: &mut Server, c: &mut Client) -> CmdResult {
    log::warn!("DEBUG LOG: {}", String::from_utf8_lossy(c.argv.get(2)));
    c.out.ok();
    Ok(())
}

fn mallctl(_srv: &mut Server, c: &mut Client) -> CmdResult {
    let name = String::from_utf8_lossy(c.argv.get(2)).into_owned();
    let new = if c.argv.len() == 4 { Some(c.argv.int(3)? as u64) } else { None };
    let value = allocator::number(&name, new).map_err(|e| cmd_err!("ERR {}", e.desc()))?;
    c.out.int(value as i64);
    Ok(())
}

fn mallctl_str(_srv: &mut Server, c: &mut Client) -> CmdResult {
    let name = String::from_utf8_lossy(c.argv.get(2)).into_owned();
    let failed = |e: nix::errno::Errno| cmd_err!("ERR {}", e.desc());
    if c.argv.len() == 4 && c.argv.get(3) == b"VOID" {
        allocator::command(&name).map_err(failed)?;
        c.out.ok();
        return Ok(());
    }
    if c.argv.len() == 4 {
        return Err(failed(nix::errno::Errno::EPERM));
    }
    let value = allocator::text(&name).map_err(failed)?;
    c.out.bulk(value.as_bytes());
    Ok(())
}

/// Rounds of [`stringmatch_test`].
const MATCH_ROUNDS: usize = 100_000;

fn stringmatch_test(_srv: &mut Server, c: &mut Client) -> CmdResult {
    // Bytes that mean something in patterns come often.
    const ALPHABET: &[u8] = b"**??[]^-\\abc\0\xff";
    let random = || -> Vec<u8> {
        let len = rand::random_range(0..32);
        (0..len).map(|_| ALPHABET[rand::random_range(0..ALPHABET.len())]).collect()
    };
    for _ in 0..MATCH_ROUNDS {
        glob::matches(&random(), &random(), rand::random());
    }
    c.out.simple("Apparently Redis did not crash: test passed");
    Ok(())
}

fn assert(_srv: &mut Server, _c: &mut Client) -> CmdResult {
    let (one, two) = (1, 2);
    assert!(one == two);
    Ok(())
}

fn panic(_srv: &mut Server, _c: &mut Client) -> CmdResult {
    panic!("DEBUG PANIC called at Unix time {}", time::unix_us() / 1_000_000);
}

fn oom(_srv: &mut Server, _c: &mut Client) -> CmdResult {
    crash::out_of_memory(isize::MAX as usize)
}

fn segfault(_srv: &mut Server, _c: &mut Client) -> CmdResult {
    crash::write_to_protected_memory();
    Ok(())
}
