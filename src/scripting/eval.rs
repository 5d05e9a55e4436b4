//! EVAL, EVALSHA and SCRIPT: scripts that are sent as a source, and the cache in which they are known by their digest.
//!
//! A script is compiled once; from then on its function is found by the SHA-1 of its source, in the registry of the engine.
//! What SCRIPT LOAD has loaded stays until SCRIPT FLUSH, because its user relies on EVALSHA. What EVAL brings along stays as
//! long as it is among the [`MOST_EVICTABLE`] used last: clients that put their values into the source would otherwise fill
//! the memory.
//!
//! # The first line
//!
//! A source may begin with a line that says what the script does:
//!
//! ```text
//! #!lua flags=no-writes,allow-stale
//! ```
//!
//! Such a script is checked as a whole, before it runs. One without it is checked command by command.

use std::collections::HashMap;
use std::ffi::c_int;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use crate::ds::sds;
use crate::io::bio::JobKind;
use crate::server::commands::{CommandFlags, CommandSpec};
use crate::server::{Client, CmdError, CmdResult, Server, monitor};
use crate::{cmd_err, zmalloc};

use super::functions;
use super::script::{self, Callable, Kind, ScriptFlags};
use super::script_lua::redis_api::hex_digest;
use super::script_lua::{Engine, ldb};

/// Scripts of EVAL that are kept: upstream's `LRU_LIST_LENGTH`.
const MOST_EVICTABLE: usize = 500;

/// What Lua calls the source: errors show it in front of the line.
const CHUNK_NAME: &str = "@user_script";

const NO_SCRIPT: CmdError = CmdError::text("NOSCRIPT No matching script. Please use EVAL.");

/// The SHA-1 of a source, in lower-case hexadecimal digits.
type Digest = [u8; 40];

/// Digests are hashes already: their first sixteen digits tell them apart as well as a hash of all would.
#[derive(Debug, Default)]
struct DigestHasher(u64);

impl Hasher for DigestHasher {
    fn write(&mut self, digits: &[u8]) {
        /// Spreads what the low four bits of each digit say over all bits.
        const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
        for eight in digits.as_chunks().0.iter().take(2) {
            self.0 = (self.0.rotate_left(32) ^ u64::from_le_bytes(*eight)).wrapping_mul(SPREAD);
        }
    }

    /// The length, which is that of all.
    fn write_usize(&mut self, _length: usize) {}

    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
}

/// A script of the cache.
#[derive(Debug)]
struct Script {
    /// Its digest, as text.
    name: Arc<str>,
    /// The number of its function in the engine's registry.
    function: c_int,
    flags: ScriptFlags,
    /// Bytes of its source.
    source_len: usize,
    /// Its place among the evictable ones; `None` if SCRIPT LOAD has loaded it.
    place: Option<usize>,
}

/// A script that may have to go.
#[derive(Debug)]
struct Evictable {
    digest: Digest,
    /// When it was last used: counts up.
    used: u64,
}

/// The scripts of EVAL.
#[derive(Debug)]
pub struct State {
    engine: Engine,
    scripts: HashMap<Digest, Script, BuildHasherDefault<DigestHasher>>,
    evictable: Vec<Evictable>,
    uses: u64,
    /// Bytes of all sources.
    source_bytes: usize,
    /// Scripts that had to go since statistics were reset.
    pub evicted: u64,
}

impl State {
    /// No scripts.
    #[allow(clippy::new_without_default)] // it holds a Lua state, which is no default value
    pub fn new() -> State {
        State {
            engine: Engine::new(Kind::Eval),
            scripts: HashMap::default(),
            evictable: Vec::new(),
            uses: 0,
            source_bytes: 0,
            evicted: 0,
        }
    }

    /// What the scripts run in.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Number of scripts.
    pub fn len(&self) -> usize {
        self.scripts.len()
    }

    /// Whether there is no script.
    pub fn is_empty(&self) -> bool {
        self.scripts.is_empty()
    }

    /// Bytes that the cache takes, not counting what the engine holds.
    pub fn cache_bytes(&self) -> usize {
        let sources =
            self.source_bytes + self.scripts.len() * zmalloc::good_size(2 * size_of::<usize>() + 40);
        sources
            + self.scripts.capacity() * size_of::<(Digest, Script)>()
            + self.evictable.capacity() * size_of::<Evictable>()
    }

    /// Compiles a script and takes it in.
    fn add(&mut self, digest: Digest, source: &[u8], evictable: bool) -> Result<&Script, CmdError> {
        let (flags, body) = parse_first_line(source)?;
        let function = self.engine.compile(body, CHUNK_NAME).map_err(|error| {
            CmdError::Bytes([b"ERR Error compiling script (new function): ", &error[..]].concat().into())
        })?;
        let place = evictable.then(|| self.make_place(digest));
        let name = Arc::from(std::str::from_utf8(&digest).expect("hexadecimal digits are text"));
        let script = Script { name, function, flags, source_len: source.len(), place };
        self.source_bytes += source.len();
        Ok(self.scripts.entry(digest).or_insert(script))
    }

    /// A place among the evictable scripts: a new one, or that of the script used longest ago.
    fn make_place(&mut self, digest: Digest) -> usize {
        self.uses += 1;
        let newcomer = Evictable { digest, used: self.uses };
        if self.evictable.len() < MOST_EVICTABLE {
            self.evictable.push(newcomer);
            return self.evictable.len() - 1;
        }
        let oldest = (0..self.evictable.len()).min_by_key(|place| self.evictable[*place].used);
        let place = oldest.expect("the list is full");
        let gone = std::mem::replace(&mut self.evictable[place], newcomer).digest;
        if let Some(script) = self.scripts.remove(&gone) {
            self.engine.forget(script.function);
            self.source_bytes -= script.source_len;
        }
        self.evicted += 1;
        place
    }

    /// Keeps a script that EVAL brought along until SCRIPT FLUSH.
    fn keep(&mut self, digest: &Digest) {
        let Some(place) = self.scripts.get_mut(digest).and_then(|script| script.place.take()) else { return };
        self.evictable.swap_remove(place);
        if let Some(moved) = self.evictable.get(place)
            && let Some(script) = self.scripts.get_mut(&moved.digest)
        {
            script.place = Some(place);
        }
    }

    /// Notes that the script at this place is used.
    fn touch(&mut self, place: usize) {
        self.uses += 1;
        self.evictable[place].used = self.uses;
    }
}

/// The flags that the first line of a source tells, and the source behind that line, whose line break it keeps.
fn parse_first_line(source: &[u8]) -> Result<(ScriptFlags, &[u8]), CmdError> {
    if !source.starts_with(b"#!") {
        return Ok((ScriptFlags::COMPATIBLE, source));
    }
    let end = memchr::memchr(b'\n', source).ok_or(CmdError::text("ERR Invalid script shebang"))?;
    let words = sds::split_args(&source[..end]);
    let Some((engine, options)) = words.as_deref().and_then(<[_]>::split_first) else {
        return Err(CmdError::text("ERR Invalid engine in script shebang"));
    };
    let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if engine != b"#!lua" {
        return Err(cmd_err!("ERR Unexpected engine in script shebang: {}", shown(engine)));
    }
    let mut flags = ScriptFlags::NONE;
    for option in options {
        let Some(names) = option.strip_prefix(b"flags=") else {
            return Err(cmd_err!("ERR Unknown lua shebang option: {}", shown(option)));
        };
        for name in names.split(|b| *b == b',').filter(|_| !names.is_empty()) {
            let flag = ScriptFlags::by_name(name);
            flags.insert(
                flag.ok_or_else(|| cmd_err!("ERR Unexpected flag in script shebang: {}", shown(name)))?,
            );
        }
    }
    Ok((flags, &source[end..]))
}

/// The digest that EVALSHA was given, in lower case; `None` if it cannot be one.
fn given_digest(arg: &[u8]) -> Option<Digest> {
    let mut digest: Digest = arg.try_into().ok()?;
    digest.make_ascii_lowercase();
    Some(digest)
}

/// What the dispatcher has to take EVAL, FCALL and their kin for, if the script says what it does.
pub fn command_flags(srv: &Server, c: &Client, spec: &CommandSpec) -> CommandFlags {
    if !spec.flags.contains(CommandFlags::NO_MANDATORY_KEYS) {
        return spec.flags;
    }
    let script = match spec.name {
        "eval" | "eval_ro" => hex_digest(c.argv.get(1)),
        "evalsha" | "evalsha_ro" => match given_digest(c.argv.get(1)) {
            Some(digest) => digest,
            None => return spec.flags,
        },
        "fcall" | "fcall_ro" => {
            let flags = functions::flags_of(srv, c.argv.get(1));
            return flags.map_or(spec.flags, |flags| flags.as_command_flags(spec.flags));
        }
        _ => return spec.flags,
    };
    let known = srv.scripting.eval.scripts.get(&script).map(|script| script.flags);
    let told = known.or_else(|| {
        let by_source = matches!(spec.name, "eval" | "eval_ro");
        by_source.then(|| parse_first_line(c.argv.get(1)).ok().map(|(flags, _)| flags)).flatten()
    });
    told.map_or(spec.flags, |flags| flags.as_command_flags(spec.flags))
}

/// `EVAL script numkeys [key ...] [arg ...]`
pub fn eval(srv: &mut Server, c: &mut Client) -> CmdResult {
    eval_source(srv, c, false)
}

/// `EVAL_RO script numkeys [key ...] [arg ...]`
pub fn eval_ro(srv: &mut Server, c: &mut Client) -> CmdResult {
    eval_source(srv, c, true)
}

/// `EVALSHA sha1 numkeys [key ...] [arg ...]`
pub fn evalsha(srv: &mut Server, c: &mut Client) -> CmdResult {
    eval_digest(srv, c, false)
}

/// `EVALSHA_RO sha1 numkeys [key ...] [arg ...]`
pub fn evalsha_ro(srv: &mut Server, c: &mut Client) -> CmdResult {
    eval_digest(srv, c, true)
}

fn eval_source(srv: &mut Server, c: &mut Client, read_only: bool) -> CmdResult {
    show_to_monitors(srv, c);
    let digest = hex_digest(c.argv.get(1));
    let run = |srv: &mut Server, c: &mut Client| run(srv, c, digest, read_only, true);
    if c.info.debugging.is_some() { ldb::eval(srv, c, run) } else { run(srv, c) }
}

fn eval_digest(srv: &mut Server, c: &mut Client, read_only: bool) -> CmdResult {
    show_to_monitors(srv, c);
    let digest = given_digest(c.argv.get(1)).ok_or(NO_SCRIPT)?;
    if c.info.debugging.is_some() {
        return Err(CmdError::text("ERR Please use EVAL instead of EVALSHA for debugging"));
    }
    run(srv, c, digest, read_only, false)
}

/// Monitors see a script before its commands.
pub(super) fn show_to_monitors(srv: &mut Server, c: &mut Client) {
    if !srv.monitors.is_empty() {
        monitor::feed(srv, c);
    }
}

fn run(srv: &mut Server, c: &mut Client, digest: Digest, read_only: bool, has_source: bool) -> CmdResult {
    let (keys, args) = script::split_arguments(c)?;
    let cache = &mut srv.scripting.eval;
    let script = match cache.scripts.get(&digest) {
        Some(script) => script,
        None if has_source => cache.add(digest, c.argv.get(1), true)?,
        None => return Err(NO_SCRIPT),
    };
    let call = Callable {
        kind: Kind::Eval,
        name: script.name.clone(),
        function: script.function,
        flags: script.flags,
        read_only,
        keys,
        args,
    };
    if let Some(place) = script.place {
        cache.touch(place);
    }
    script::run(srv, c, &call)
}

/// `SCRIPT LOAD script`
pub fn script_load(srv: &mut Server, c: &mut Client) -> CmdResult {
    let source = c.argv.get(2);
    let digest = hex_digest(source);
    let cache = &mut srv.scripting.eval;
    if cache.scripts.contains_key(&digest) {
        cache.keep(&digest);
    } else {
        cache.add(digest, source, false)?;
    }
    c.out.bulk(&digest);
    Ok(())
}

/// `SCRIPT EXISTS sha1 [sha1 ...]`
pub fn script_exists(srv: &mut Server, c: &mut Client) -> CmdResult {
    c.out.array(c.argv.len() - 2);
    for arg in c.argv.iter_from(2) {
        let known = given_digest(arg).is_some_and(|digest| srv.scripting.eval.scripts.contains_key(&digest));
        c.out.int(i64::from(known));
    }
    Ok(())
}

/// `SCRIPT FLUSH [ASYNC | SYNC]`
pub fn script_flush(srv: &mut Server, c: &mut Client) -> CmdResult {
    let lazily = match c.argv.len() {
        2 => srv.config.lazyfree_lazy_user_flush,
        3 if c.argv.is(2, b"sync") => false,
        3 if c.argv.is(2, b"async") => true,
        _ => return Err(CmdError::text("ERR SCRIPT FLUSH only support SYNC|ASYNC option")),
    };
    let fresh = State { evicted: srv.scripting.eval.evicted, ..State::new() };
    let old = std::mem::replace(&mut srv.scripting.eval, fresh);
    if lazily {
        let State { engine, .. } = old; // What is not the engine's is little.
        srv.bio.submit(JobKind::LazyFree, move || drop(engine));
    }
    c.out.ok();
    Ok(())
}

/// `SCRIPT KILL`
pub fn script_kill(srv: &mut Server, c: &mut Client) -> CmdResult {
    script::kill(srv, Kind::Eval)?;
    c.out.ok();
    Ok(())
}

/// `SCRIPT HELP`
pub fn script_help(_srv: &mut Server, c: &mut Client) -> CmdResult {
    c.out.help(
        "SCRIPT",
        &[
            "DEBUG (YES|SYNC|NO)",
            "    Say whether scripts of this connection are to be debugged.",
            "EXISTS <sha1> [<sha1> ...]",
            "    Tell of each digest whether its script is in the cache.",
            "FLUSH [ASYNC|SYNC]",
            "    Empty the cache of scripts. Replicas that still rely on it will miss them.",
            "    The directive lazyfree-lazy-user-flush says how memory is given back if the",
            "    command does not:",
            "    * ASYNC: in the background.",
            "    * SYNC: before the command answers.",
            "KILL",
            "    End the script that runs, if it has written nothing.",
            "LOAD <script>",
            "    Put a script into the cache without running it.",
        ],
    );
    Ok(())
}
