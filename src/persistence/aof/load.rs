//! Playing the files back: at the start of a server, and for DEBUG LOADAOF.
//!
//! A base that is an RDB file is loaded as one; an old single file may begin with one and go on with commands. Commands run
//! as they are, by a client that is no connection and that nothing holds back: no checks, no statistics, no propagation.
//! While they run no key expires: a command sees what it saw when it was written, and what has expired since goes when
//! somebody asks for it.
//!
//! # What is left of a command
//! A server that ends in the middle of a write leaves the beginning of a command at the end of the last file, or a
//! transaction without its end. With `aof-load-truncated` that is cut off, so that what is written next follows a whole
//! command; otherwise, and anywhere else, the files are refused as any that make no sense.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Instant;

use crate::persistence::rdb::{self, LoadOptions};
use crate::persistence::{loading, pause_between_keys};
use crate::server::commands::CommandSpec;
use crate::server::config::file::os_error_text;
use crate::server::{Argv, Client, ClientFlags, CmdError, CmdResult, Server};

use super::manifest::{Home, Logged, shown};
use super::reader::{Item, ReadError, Reader};
use super::{AofState, size_of_file, write};

/// Commands between two looks at the clients.
const COMMANDS_PER_LOOK: u64 = 1024;

/// What a load brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loaded {
    /// No files are listed.
    NoFiles,
    /// The files hold nothing.
    Nothing,
    /// All that the files hold.
    All,
    /// All but the end of the last file, which was cut off.
    Truncated,
}

/// Loads the files at the start of a server.
///
/// # Errors
/// The server must not start; the log says why.
pub(super) fn load_at_start(srv: &mut Server) -> Result<(), Logged> {
    let begun = Instant::now();
    if load_files(srv)? != Loaded::NoFiles {
        log::info!("DB loaded from append only file: {:.3} seconds", begun.elapsed().as_secs_f64());
        take_over_offset(srv);
    }
    Ok(())
}

/// Goes on from the replication offset that the last file reached.
fn take_over_offset(srv: &mut Server) {
    let home = Home::of(&srv.config);
    let Some(last) = srv.persistence.aof.manifest.incr.last_mut() else { return };
    let Some(start_offset) = last.start_offset else { return };
    if let Some(end_offset) = last.end_offset.take() {
        srv.propagation.offset = end_offset;
        let manifest = &mut srv.persistence.aof.manifest;
        manifest.dirty = true;
        // If it stays there, the next start goes on from where this one does.
        let _ = manifest.persist(&home);
        return;
    }
    // It was not closed in order. The offset may skip, but must not go back.
    let name = last.name.clone();
    let size = size_of_file(srv, &home, &name).unwrap_or(0);
    srv.propagation.offset = start_offset.saturating_add_unsigned(size);
}

/// Loads all files of the list, and an old single file if there is no list yet.
///
/// # Errors
/// They cannot be read, or make no sense; the log says why.
pub fn load_files(srv: &mut Server) -> Result<Loaded, Logged> {
    let home = Home::of(&srv.config);
    adopt_old_file(srv, &home)?;
    let files: Vec<Vec<u8>> = srv.persistence.aof.manifest.files().map(|file| file.name.clone()).collect();
    if files.is_empty() {
        return Ok(Loaded::NoFiles);
    }
    let mut total = 0;
    let mut first_size = None;
    for name in &files {
        // A file that is listed and not there is as bad as one that cannot be read.
        let size = size_of_file(srv, &home, name).map_err(|_| Logged)?;
        first_size.get_or_insert(size);
        total += size;
    }
    if total == 0 {
        return Ok(Loaded::Nothing);
    }
    let (state, wanted) = (srv.persistence.aof.state, srv.propagation.wanted);
    (srv.persistence.aof.state, srv.propagation.wanted) = (AofState::Off, false);
    loading::start(srv, total);
    let loaded = load_each(srv, &home, &files);
    loading::finish(srv);
    (srv.persistence.aof.state, srv.propagation.wanted) = (state, wanted);
    let aof = &mut srv.persistence.aof;
    aof.current_size = total;
    aof.base_size = if aof.manifest.base.is_some() { first_size.unwrap_or(0) } else { 0 };
    loaded
}

fn load_each(srv: &mut Server, home: &Home, files: &[Vec<u8>]) -> Result<Loaded, Logged> {
    let mut outcome = Loaded::All;
    let mut before = 0;
    for (i, name) in files.iter().enumerate() {
        let is_last = i + 1 == files.len();
        let is_base = i == 0 && srv.persistence.aof.manifest.base.is_some();
        let begun = Instant::now();
        let (loaded, size) = load_file(srv, home, name, before)?;
        before += size;
        if loaded == Loaded::Truncated && !is_last {
            log::warn!("Fatal error: the truncated file is not the last file");
            return Err(Logged);
        }
        if loaded != Loaded::Nothing {
            let (kind, name) = (if is_base { "base" } else { "incr" }, shown(name));
            log::info!("DB loaded from {kind} file {name}: {:.3} seconds", begun.elapsed().as_secs_f64());
        }
        if is_last && loaded == Loaded::Truncated {
            outcome = Loaded::Truncated;
        }
    }
    Ok(outcome)
}

/// Makes an old single file the base of a list, if there is such a file and no list that says otherwise.
fn adopt_old_file(srv: &mut Server, home: &Home) -> Result<(), Logged> {
    let old = Path::new(OsStr::from_bytes(&home.name));
    if !old.exists() {
        return Ok(());
    }
    let (new, manifest) = (home.path(&home.name), &srv.persistence.aof.manifest);
    // An upgrade that was interrupted left a list of nothing but the file, which was not moved yet.
    let begun = manifest.incr.is_empty()
        && manifest.base.as_ref().is_some_and(|base| base.name == home.name)
        && !new.exists();
    if home.dir.is_dir() && !manifest.is_empty() && !begun {
        return Ok(());
    }
    home.make_dir()?;
    let manifest = &mut srv.persistence.aof.manifest;
    manifest.adopt_base(&home.name);
    manifest.persist(home)?;
    let (name, dir) = (shown(&home.name), home.dir.display());
    std::fs::rename(old, &new).map_err(|e| {
        log::warn!("Error trying to move the old AOF file {name} into dir {dir}: {}", os_error_text(&e));
        Logged
    })?;
    log::info!("Successfully migrated an old-style AOF file ({name}) into the AOF directory ({dir}).");
    Ok(())
}

/// Loads one file, in front of which so many bytes of others were loaded; what of it, and its size.
fn load_file(srv: &mut Server, home: &Home, name: &[u8], before: u64) -> Result<(Loaded, u64), Logged> {
    let path = home.path(name);
    let mut file = File::open(&path).map_err(|e| {
        let (name, why) = (shown(name), os_error_text(&e));
        if e.kind() == io::ErrorKind::NotFound {
            log::warn!("The append log file {name} doesn't exist: {why}");
        } else {
            log::warn!("Fatal error: can't open the append log file {name} for reading: {why}");
        }
        Logged
    })?;
    let size = file.metadata().map_or(0, |meta| meta.len());
    if size == 0 {
        return Ok((Loaded::Nothing, 0));
    }
    let from = load_preamble(srv, home, name, &mut file, before).map_err(|failure| failure.report(name))?;
    let mut replay = Replay::new(srv, name, before);
    let mut reader = Reader::new(file, from);
    let outcome = replay.run(srv, &mut reader);
    drop(reader);
    match outcome {
        Ok(()) => Ok((Loaded::All, size)),
        Err(Failure::Truncated(valid)) => {
            cut_off(srv, &path, name, valid, replay.transaction.is_some())?;
            Ok((Loaded::Truncated, size))
        }
        Err(failure) => Err(failure.report(name)),
    }
}

/// Loads the RDB file that `file` begins with, if it does; where it ends.
fn load_preamble(
    srv: &mut Server,
    home: &Home,
    name: &[u8],
    file: &mut File,
    before: u64,
) -> Result<u64, Failure> {
    const MAGIC: &[u8] = b"REDIS";
    let mut start = Vec::new();
    file.by_ref().take(MAGIC.len() as u64).read_to_end(&mut start)?;
    file.seek(SeekFrom::Start(0))?;
    if start != MAGIC {
        return Ok(0);
    }
    let is_old_style = name == home.name;
    let what = if is_old_style { "RDB preamble from AOF file" } else { "RDB base file on AOF loading" };
    log::info!("Reading {what}...");
    let options = LoadOptions {
        size: file.metadata().map(|meta| meta.len()).ok(),
        // What follows may say otherwise of them.
        drop_expired: false,
        interval_bytes: srv.config.loading_process_events_interval_bytes.into(),
        ..LoadOptions::of(srv)
    };
    let mut between = |srv: &mut Server, loaded| loading::progress(srv, before + loaded);
    let loaded = rdb::load(srv, file, &options, &mut between);
    // The log says what is wrong with it.
    let end = loaded.map_err(|_| Failure::Preamble { is_old_style })?.bytes;
    file.seek(SeekFrom::Start(end))?;
    loading::progress(srv, before + end);
    if is_old_style {
        log::info!("Reading the remaining AOF tail...");
    }
    Ok(end)
}

/// Why a file was not loaded as a whole.
#[derive(Debug)]
enum Failure {
    /// It ends early; what is in front of this offset is whole.
    Truncated(u64),
    /// It holds what is no command.
    Format,
    /// It begins with an RDB file that cannot be loaded.
    Preamble { is_old_style: bool },
    /// It names a command that there is not.
    UnknownCommand(Vec<u8>),
    /// It gives a command too few arguments, or too many.
    Arity(&'static str),
    /// It cannot be read.
    Io(io::Error),
}

impl From<io::Error> for Failure {
    fn from(e: io::Error) -> Failure {
        Failure::Io(e)
    }
}

impl Failure {
    /// Tells the operator.
    fn report(self, name: &[u8]) -> Logged {
        let name = shown(name);
        match self {
            Failure::Truncated(_) => log::warn!(
                "Unexpected end of file reading the append only file {name}. You can: 1) Make a backup of your AOF file, then use ./redis-check-aof --fix <filename.manifest>. 2) Alternatively you can set the 'aof-load-truncated' configuration option to yes and restart the server."
            ),
            Failure::Format => log::warn!(
                "Bad file format reading the append only file {name}: make a backup of your AOF file, then use ./redis-check-aof --fix <filename.manifest>"
            ),
            Failure::Preamble { is_old_style: true } => {
                log::warn!("Error reading the RDB preamble of the AOF file {name}, AOF loading aborted");
            }
            Failure::Preamble { is_old_style: false } => {
                log::warn!("Error reading the RDB base file {name}, AOF loading aborted");
            }
            Failure::UnknownCommand(command) => {
                log::warn!("Unknown command '{}' reading the append only file {name}", shown(&command));
            }
            Failure::Arity(command) => log::warn!(
                "Wrong number of arguments for '{command}' command reading the append only file {name}"
            ),
            Failure::Io(e) => {
                log::warn!("Unrecoverable error reading the append only file {name}: {}", os_error_text(&e))
            }
        }
        Logged
    }
}

/// Cuts off what follows the last whole command of a file, if `aof-load-truncated` allows.
fn cut_off(srv: &Server, path: &Path, name: &[u8], valid: u64, in_multi: bool) -> Result<(), Logged> {
    let shown_name = shown(name);
    if in_multi {
        log::warn!("Revert incomplete MULTI/EXEC transaction in AOF file {shown_name}");
    }
    if srv.config.aof_load_truncated {
        log::warn!("!!! Warning: short read while loading the AOF file {shown_name}!!!");
        log::warn!("!!! Truncating the AOF {shown_name} at offset {valid} !!!");
        match File::options().write(true).open(path).and_then(|file| file.set_len(valid)) {
            Ok(()) => {
                log::warn!("AOF {shown_name} loaded anyway because aof-load-truncated is enabled");
                return Ok(());
            }
            Err(e) => log::warn!("Error truncating the AOF file {shown_name}: {}", os_error_text(&e)),
        }
    }
    Err(Failure::Truncated(valid).report(name))
}

/// Commands between MULTI and EXEC.
#[derive(Debug)]
struct Transaction {
    /// Where in the file it begins.
    offset: u64,
    queue: Vec<(&'static CommandSpec, Argv)>,
}

/// Runs the commands of a file.
struct Replay<'n> {
    name: &'n [u8],
    /// Bytes of other files in front of this one.
    before: u64,
    client: Box<Client>,
    transaction: Option<Transaction>,
}

impl<'n> Replay<'n> {
    fn new(srv: &Server, name: &'n [u8], before: u64) -> Replay<'n> {
        let mut client = Client::detached(srv);
        client.flags.insert(ClientFlags::OBEYED);
        Replay { name, before, client, transaction: None }
    }

    /// Runs all commands.
    fn run(&mut self, srv: &mut Server, reader: &mut Reader<File>) -> Result<(), Failure> {
        let mut commands: u64 = 0;
        loop {
            let offset = reader.offset();
            // One that is slowed down is looked at as often as it sleeps.
            if commands.is_multiple_of(COMMANDS_PER_LOOK) || srv.config.key_load_delay > 0 {
                loading::progress(srv, self.before + offset);
            }
            commands += 1;
            match reader.read() {
                Ok(Item::Annotation) => continue,
                Ok(Item::Command) => {}
                Ok(Item::End) | Err(ReadError::Truncated) if self.transaction.is_some() => {
                    return Err(Failure::Truncated(self.transaction.as_ref().map_or(0, |t| t.offset)));
                }
                Ok(Item::End) => return Ok(()),
                Err(ReadError::Truncated) => return Err(Failure::Truncated(offset)),
                Err(ReadError::Format) => return Err(Failure::Format),
                Err(ReadError::Io(e)) => return Err(Failure::Io(e)),
            }
            reader.lend(&mut self.client.argv);
            let done = self.take(srv, offset);
            reader.take_back(&mut self.client.argv);
            done?;
            pause_between_keys(srv.config.key_load_delay, commands);
        }
    }

    /// Runs the command at hand, or queues it; it begins at `offset`.
    fn take(&mut self, srv: &mut Server, offset: u64) -> Result<(), Failure> {
        let spec = resolve(srv, &self.client.argv)?;
        match spec.name {
            "multi" => {
                self.transaction.get_or_insert(Transaction { offset, queue: Vec::new() });
            }
            "exec" => self.run_transaction(srv),
            "discard" | "watch" | "unwatch" => {}
            _ => match &mut self.transaction {
                Some(transaction) => transaction.queue.push((spec, self.client.argv.detach())),
                None => self.call(srv, spec),
            },
        }
        Ok(())
    }

    fn run_transaction(&mut self, srv: &mut Server) {
        let queue = self.transaction.take().map(|transaction| transaction.queue).unwrap_or_default();
        let exec = std::mem::take(&mut self.client.argv);
        for (spec, argv) in queue {
            self.client.argv = argv;
            self.call(srv, spec);
        }
        self.client.argv = exec;
    }

    fn call(&mut self, srv: &mut Server, spec: &'static CommandSpec) {
        let c = &mut *self.client;
        c.cmd = Some(spec);
        let proc = spec.proc.expect("a command that was resolved has a procedure");
        srv.clock.rest_expiries(true);
        let result = proc(srv, c);
        srv.clock.rest_expiries(false);
        c.out.discard();
        if let Err(error) = result {
            self.note_error(srv, spec, &error);
        }
    }

    #[cold]
    fn note_error(&self, srv: &mut Server, spec: &CommandSpec, error: &CmdError) {
        srv.stats.count_error(error);
        log::warn!(
            "== CRITICAL == This server is sending an error to its AOF-loading-client: '{}' after processing the command '{}' of {}",
            shown(&error.to_bytes()),
            spec.fullname,
            shown(self.name)
        );
    }
}

/// The command that the arguments name, if they are as many as it takes.
fn resolve(srv: &Server, argv: &Argv) -> Result<&'static CommandSpec, Failure> {
    let unknown = || Failure::UnknownCommand(argv.get(0).to_vec());
    let mut spec = srv.commands.lookup(argv.get(0)).ok_or_else(unknown)?;
    if !spec.subcommands.is_empty() && argv.len() > 1 {
        spec = srv.commands.lookup_subcommand(spec, argv.get(1)).ok_or_else(unknown)?;
    }
    if !spec.accepts_argc(argv.len()) || spec.proc.is_none() {
        return Err(Failure::Arity(spec.fullname));
    }
    Ok(spec)
}

/// `DEBUG LOADAOF`
pub fn debug_loadaof(srv: &mut Server, c: &mut Client) -> CmdResult {
    if srv.persistence.aof.state != AofState::Off {
        write::flush(srv, true);
        srv.net.hold_replies = false;
    }
    crate::db::keyspace::empty(srv);
    crate::scripting::functions::flush(srv, false);
    let loaded = super::read_manifest(srv).and_then(|()| {
        super::delete_history(srv);
        load_files(srv)
    });
    srv.clock.update();
    if !super::child_active(srv) {
        // What was loaded is no change. A child that saves remembers how many there were when it was born.
        srv.stats.dirty -= srv.persistence.rdb.changes(&srv.stats);
    }
    // It may have been switched on or off meanwhile; what fails is logged.
    let _ = super::apply_config(srv);
    match loaded {
        Ok(Loaded::All | Loaded::Nothing) => {
            log::info!("Append Only File loaded by DEBUG LOADAOF");
            c.out.ok();
            Ok(())
        }
        _ => Err(CmdError::text("ERR Error trying to load the AOF files, check server logs.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::keyspace;
    use crate::server::testing::{Bench, peak_kib};
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    /// A server whose list names one incremental file, in a directory of its own.
    struct Playground {
        bench: Bench,
        dir: tempfile::TempDir,
    }

    impl Playground {
        fn new() -> Playground {
            let mut bench = Bench::new();
            let dir = tempfile::tempdir().unwrap();
            bench.srv.config.appenddirname = dir.path().to_owned();
            let home = Home::of(&bench.srv.config);
            bench.srv.persistence.aof.manifest.new_incr(&home, 0);
            Playground { bench, dir }
        }

        fn file(&self) -> std::path::PathBuf {
            self.dir.path().join("appendonly.aof.1.incr.aof")
        }

        /// Loads these bytes into empty databases.
        fn load(&mut self, bytes: &[u8]) -> Result<Loaded, Logged> {
            std::fs::write(self.file(), bytes).unwrap();
            keyspace::empty(&mut self.bench.srv);
            load_files(&mut self.bench.srv)
        }
    }

    fn encode(lines: &[&str]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for line in lines {
            let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            write::put_command(&mut bytes, words.iter().copied());
        }
        bytes
    }

    #[test]
    fn commands_run_in_order_and_in_their_databases() {
        let mut play = Playground::new();
        let lines = ["SELECT 0", "SET a 1", "MULTI", "INCR a", "SELECT 3", "SET b x", "EXEC", "INCR a"];
        assert_eq!(play.load(&encode(&lines)), Ok(Loaded::All));
        assert_eq!(play.bench.run("GET a"), "$1\r\n2\r\n");
        assert_eq!(play.bench.run("SELECT 3"), "+OK\r\n");
        assert_eq!(play.bench.run("MGET a b"), "*2\r\n$1\r\n1\r\n$1\r\nx\r\n");
        assert!(!play.bench.srv.persistence.loading.is_on() && play.bench.srv.propagation.sent.is_empty());
    }

    #[test]
    fn nothing_expires_while_commands_run() {
        let mut play = Playground::new();
        let lines =
            ["RPUSH list a", "PEXPIREAT list 1000", "RPUSH list b", "SET kept 1", "SET gone x PXAT 1000"];
        assert_eq!(play.load(&encode(&lines)), Ok(Loaded::All));
        assert_eq!(play.bench.srv.dbs[0].len(), 3);
        assert_eq!(play.bench.run("LLEN list"), ":0\r\n");
        assert_eq!(play.bench.run("EXISTS kept gone"), ":1\r\n");
    }

    #[test]
    fn what_is_left_of_a_command_or_a_transaction_is_cut_off() {
        let whole = encode(&["SET a 1", "SET b 2"]);
        for rest in [
            encode(&["MULTI", "SET a 5"]),
            encode(&["MULTI"]),
            encode(&["SET a 5"])[..12].to_vec(),
            b"#TS:1".to_vec(),
        ] {
            let mut play = Playground::new();
            let bytes = [&whole[..], &rest].concat();
            assert_eq!(play.load(&bytes), Ok(Loaded::Truncated));
            assert_eq!(play.bench.run("MGET a b"), "*2\r\n$1\r\n1\r\n$1\r\n2\r\n");
            assert_eq!(std::fs::read(play.file()).unwrap(), whole);
            play.bench.srv.config.aof_load_truncated = false;
            assert_eq!(play.load(&bytes), Err(Logged));
            assert_eq!(std::fs::read(play.file()).unwrap(), bytes);
        }
    }

    #[test]
    fn what_cannot_have_been_written_is_refused() {
        for lines in [&["NOSUCH a"][..], &["SET a"], &["CONFIG NOSUCH"], &["GET"]] {
            assert_eq!(Playground::new().load(&encode(lines)), Err(Logged), "{lines:?}");
        }
        assert_eq!(Playground::new().load(b"!!!"), Err(Logged));
    }

    /// Ten thousand files with bytes changed, added, taken away or repeated: each is loaded or refused.
    #[test]
    fn damaged_files_are_loaded_or_refused() {
        let mut play = Playground::new();
        let mut rng = StdRng::seed_from_u64(7);
        let whole = encode(&[
            "SELECT 0",
            "SET a 1",
            "RPUSH l a 1 b 22 c",
            "MULTI",
            "SADD s 1 2 3 x",
            "ZADD z 1.5 a 2 b",
            "EXEC",
            "HSET h f v g 12",
            "HPEXPIREAT h 99999999999999 FIELDS 1 f",
            "XADD x 1-1 a b",
            "XGROUP CREATE x g 0",
            "XCLAIM x g c 0 1-1 TIME 1700000000000 RETRYCOUNT 3 FORCE JUSTID",
            "PEXPIREAT a 99999999999999",
            "SETBIT bits 100 1",
            "APPEND a xyz",
            "SORT l ALPHA STORE l2",
            "SELECT 7",
            "PFADD p a b",
            "DEL l",
        ]);
        let before = peak_kib();
        let (mut loaded, mut refused) = (0, 0);
        for _ in 0..10_000 {
            let mut bytes = whole.clone();
            for _ in 0..rng.random_range(1..4) {
                let at = rng.random_range(0..bytes.len());
                match rng.random_range(0..5) {
                    0 => bytes[at] = rng.random(),
                    1 => bytes[at] = b"0123456789*$\r\n-"[rng.random_range(0..15)],
                    2 => bytes.truncate(at.max(1)),
                    3 => drop(bytes.drain(at..(at + rng.random_range(1..9)).min(bytes.len()))),
                    _ => {
                        let piece = bytes[at..(at + rng.random_range(1..40)).min(bytes.len())].to_vec();
                        let to = rng.random_range(0..bytes.len());
                        drop(bytes.splice(to..to, piece));
                    }
                }
                if bytes.is_empty() {
                    bytes.push(b'*');
                }
            }
            match play.load(&bytes) {
                Ok(_) => loaded += 1,
                Err(Logged) => refused += 1,
            }
            assert!(!play.bench.srv.persistence.loading.is_on());
        }
        assert!(loaded > 1000 && refused > 1000, "{loaded} loaded, {refused} refused");
        assert!(peak_kib() - before < 400 * 1024, "{} KiB", peak_kib() - before);
    }
}
