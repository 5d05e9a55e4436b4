//! A server that can be killed and started again in the same directory: Ochre, or one that it exchanges files with.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::dataset::{self, Knows};
use super::disk::FailingSync;
use super::{PATIENCE, RawClient, free_port, raw_client, run, wait_for};

/// A running server, which has loaded its files.
pub struct Node {
    program: PathBuf,
    /// The process.
    pub child: Child,
    /// Its TCP port.
    pub port: u16,
    /// What it logs; not in its directory, whose disk may be full.
    log: tempfile::NamedTempFile,
}

impl Node {
    /// Starts Ochre with an append-only file and these arguments.
    pub fn start(dir: &Path, args: &[&str]) -> Node {
        Node::start_program(env!("CARGO_BIN_EXE_redis-server").as_ref(), dir, args)
    }

    /// Starts a program that is a redis-server.
    pub fn start_program(program: &Path, dir: &Path, args: &[&str]) -> Node {
        let debug = ["--enable-debug-command", "yes"];
        Node::spawn(Command::new(program), program, dir, &[&debug, args].concat())
    }

    /// Starts Ochre with no file longer than so many bytes; what is written beyond fails as on a full disk.
    pub fn start_limited(dir: &Path, args: &[&str], file_bytes: u64) -> Node {
        let program = Path::new(env!("CARGO_BIN_EXE_redis-server"));
        // The shell has the signal ignored that would end the process, so that the write fails.
        let script = format!("trap '' XFSZ; ulimit -S -f {}; exec \"$0\" \"$@\"", file_bytes / 512);
        let mut command = Command::new("sh");
        command.args(["-c", &script]).arg(program);
        Node::spawn(command, program, dir, args)
    }

    /// Starts Ochre on a disk that cannot always be synced.
    pub fn start_failing(dir: &Path, args: &[&str], sync: &FailingSync) -> Node {
        let program = Path::new(env!("CARGO_BIN_EXE_redis-server"));
        let mut command = Command::new(program);
        sync.apply(&mut command);
        Node::spawn(command, program, dir, args)
    }

    fn spawn(mut command: Command, program: &Path, dir: &Path, args: &[&str]) -> Node {
        let port = free_port();
        let log = tempfile::NamedTempFile::new().unwrap();
        command
            .args(["--port", &port.to_string(), "--save", "", "--appendonly", "yes", "--dir"])
            .arg(dir)
            .args(args)
            .stdout(log.reopen().unwrap())
            .stderr(Stdio::null());
        let mut node = Node { program: program.to_owned(), child: command.spawn().unwrap(), port, log };
        node.wait_until_loaded();
        node
    }

    fn wait_until_loaded(&mut self) {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("{} does not start: {status}\n{}", self.program.display(), self.log());
            }
            if std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok()
                && self.client().ask(&["DBSIZE"]).starts_with(':')
            {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("{} does not load: {}", self.program.display(), self.log());
    }

    /// A connection that speaks raw bytes.
    pub fn client(&self) -> RawClient {
        raw_client(self.port)
    }

    /// A connection of the client library.
    pub fn library(&self) -> redis::Connection {
        redis::Client::open(("127.0.0.1", self.port)).unwrap().get_connection().unwrap()
    }

    /// What was logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log.path()).unwrap_or_default()
    }

    /// Ends it at once, as a crash does.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// What `DEBUG DIGEST` says.
    pub fn digest(&self) -> String {
        self.client().ask(&["DEBUG", "DIGEST"])
    }

    /// Puts the dataset of everything into it.
    pub fn furnish(&self, knows: Knows) {
        let mut c = self.library();
        for line in dataset::commands(knows) {
            let reply = run(&mut c, &line);
            assert!(!reply.starts_with('-'), "{line}: {reply}");
        }
    }

    /// Rewrites the append-only file and waits until that is done.
    pub fn rewrite(&self) {
        let mut c = self.client();
        assert!(c.ask(&["BGREWRITEAOF"]).starts_with("+Background"));
        wait_for("the rewrite", || {
            let info = c.ask(&["INFO", "persistence"]);
            info.contains("aof_rewrite_in_progress:0") && info.contains("aof_rewrite_scheduled:0")
        });
        assert!(c.ask(&["INFO", "persistence"]).contains("aof_last_bgrewrite_status:ok"), "{}", self.log());
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
