//! The programs that are compared: finding them, running them, and talking to them outside of the measured load.

use crate::Result;
use crate::programs::{candidates, version_of};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a server may take to answer its first PING.
const START_LIMIT: Duration = Duration::from_secs(10);
/// How long any command of a [`Control`] connection may take; FLUSHALL of ten million keys is the slowest.
const CONTROL_LIMIT: Duration = Duration::from_secs(60);

/// A server program.
#[derive(Clone, Debug)]
pub struct Program {
    /// What the tables call it: `Ochre`, `Valkey 9.1.2`.
    pub name: String,
    path: PathBuf,
}

/// The programs to compare: Ochre first, then its peers, of each product one.
///
/// Peers are those that `OCHRE_PEERS` lists (separated by colons, all of them), or else the newest version of each product
/// among the programs built in the cache (`OCHRE_CACHE`, by default `~/.cache/ochre`) and those in the path.
pub fn find(ochre: &Path) -> Result<Vec<Program>> {
    version_of(ochre).ok_or_else(|| format!("{} does not run; make builds it", ochre.display()))?;
    let mut programs = vec![Program { name: "Ochre".into(), path: ochre.into() }];
    if let Some(list) = std::env::var_os("OCHRE_PEERS") {
        for path in std::env::split_paths(&list).filter(|path| !path.as_os_str().is_empty()) {
            let (product, version) =
                version_of(&path).ok_or_else(|| format!("{} does not run", path.display()))?;
            programs.push(Program { name: format!("{product} {}", dotted(&version)), path });
        }
        return Ok(programs);
    }
    let mut newest: BTreeMap<String, (Vec<u32>, PathBuf)> = BTreeMap::new();
    let ourselves = fs::read(ochre)?;
    for path in candidates() {
        let Some((product, version)) = version_of(&path) else { continue };
        let known = newest.get(&product);
        // Ochre may be installed under the name that it takes the place of.
        if known.is_none_or(|(other, _)| *other < version)
            && fs::read(&path).is_ok_and(|file| file != ourselves)
        {
            newest.insert(product, (version, path));
        }
    }
    // Valkey before Redis: it is the faster one.
    for (product, (version, path)) in newest.into_iter().rev() {
        programs.push(Program { name: format!("{product} {}", dotted(&version)), path });
    }
    Ok(programs)
}

fn dotted(version: &[u32]) -> String {
    version.iter().map(u32::to_string).collect::<Vec<_>>().join(".")
}

/// A running server; dropping it ends the process.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    child: Child,
    folder: TempDir,
}

impl Server {
    /// Starts `program` on a free port with persistence off, pinned to `core` where one is given, and waits until it answers.
    pub fn start(program: &Program, core: Option<usize>) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("ochre-bench-").tempdir()?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let log = File::create(folder.path().join("log"))?;
        let mut command = Command::new(&program.path);
        command.args(["--port", &address.port().to_string(), "--bind", "127.0.0.1"]);
        command.args(["--enable-debug-command", "local"]);
        command.arg("--dir").arg(folder.path());
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = with_affinity(core, || command.spawn())??;
        let server = Server { address, child, folder };
        server.wait_until_up().map_err(|error| {
            let log = fs::read_to_string(server.folder.path().join("log")).unwrap_or_default();
            format!("{} does not start: {error}\n{log}", program.name)
        })?;
        let mut control = server.control()?;
        control.config_set_if_known("save", "")?;
        control.config_set_if_known("appendonly", "no")?;
        Ok(server)
    }

    fn wait_until_up(&self) -> Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            match self.control().and_then(|mut control| control.call(&["PING"])) {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Opens a connection for single commands.
    pub fn control(&self) -> Result<Control> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(CONTROL_LIMIT))?;
        Ok(Control { stream: BufReader::new(stream) })
    }

    /// Waits until the server has nothing left to do (connections to free, a table to finish), so that it neither disturbs the
    /// next one on its core nor is measured half-way.
    pub fn settle(&self) -> Result<()> {
        const STEP: Duration = Duration::from_millis(50);
        let mut before = crate::procfs::CpuTime::of(self.pid())?;
        for _ in 0..100 {
            thread::sleep(STEP);
            let now = crate::procfs::CpuTime::of(self.pid())?;
            if now.since(&before).total() < STEP / 20 {
                return Ok(());
            }
            before = now;
        }
        Err("a server does not come to rest".into())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only for a process that is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection that sends one command at a time and waits for its reply.
pub struct Control {
    stream: BufReader<TcpStream>,
}

impl Control {
    /// Sends a command and returns its status, integer or bulk reply as text; an error reply is an error.
    pub fn call(&mut self, words: &[&str]) -> Result<String> {
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        self.stream.get_mut().write_all(request.as_bytes())?;
        let mut header = String::new();
        self.stream.read_line(&mut header)?;
        let header = header.trim_end();
        match header.split_at_checked(1) {
            Some(("+" | ":", text)) => Ok(text.into()),
            Some(("$", length)) => {
                let mut payload = vec![0; length.parse::<usize>()? + 2];
                self.stream.read_exact(&mut payload)?;
                payload.truncate(payload.len() - 2);
                Ok(String::from_utf8(payload)?)
            }
            _ => Err(format!("{} is answered with {header:?}", words[0]).into()),
        }
    }

    /// Sets a directive on a server that has it.
    fn config_set_if_known(&mut self, name: &str, value: &str) -> Result<()> {
        match self.call(&["CONFIG", "SET", name, value]) {
            Err(error) if !error.to_string().contains("Unknown option") => Err(error),
            _ => Ok(()),
        }
    }

    /// The `used_memory` of INFO, in bytes.
    pub fn used_memory(&mut self) -> Result<u64> {
        self.info("memory", "used_memory")
    }

    /// A number that a section of INFO shows.
    pub fn info(&mut self, section: &str, field: &str) -> Result<u64> {
        let info = self.call(&["INFO", section])?;
        let value = info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        Ok(value.ok_or_else(|| format!("INFO has no {field}"))?.trim().parse()?)
    }
}

/// Calls `action` with this process bound to `core`, which a child inherits, and restores the former binding.
fn with_affinity<T>(core: Option<usize>, action: impl FnOnce() -> T) -> Result<T> {
    let Some(core) = core else { return Ok(action()) };
    let ourselves = Pid::from_raw(0);
    let former = nix::sched::sched_getaffinity(ourselves)?;
    pin(core)?;
    let result = action();
    sched_setaffinity(ourselves, &former)?;
    Ok(result)
}

/// Binds this process to a core.
pub fn pin(core: usize) -> Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &cores)?)
}
