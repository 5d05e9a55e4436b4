//! A server without sockets, for unit tests: commands go through the dispatcher, and what they leave behind is looked at.

use crate::server::config::{Config, ProtectedAction};
use crate::server::{Argv, Client, Server, dispatch, start};

/// A server and a client that is no connection.
pub struct Bench {
    /// The server.
    pub srv: Server,
    /// The client.
    pub client: Client,
}

impl Default for Bench {
    fn default() -> Bench {
        Bench::new()
    }
}

impl Bench {
    /// A server with the default configuration, and DEBUG.
    pub fn new() -> Bench {
        let mut config = Config::default();
        config.save.points.clear(); // Nothing is to be written behind a test's back.
        config.enable_debug_command = ProtectedAction::Yes;
        let mut srv = start::build(config).expect("a server without sockets can be built");
        srv.propagation.wanted = true;
        srv.refresh_slow_threshold();
        let client = *Client::detached(&srv);
        Bench { srv, client }
    }

    /// Runs a command of words without blanks, and returns its encoded reply.
    pub fn run(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split(' ').collect();
        String::from_utf8_lossy(&self.run_words(&words)).into_owned()
    }

    /// Runs a command of any words, and returns its encoded reply.
    pub fn run_words<A: AsRef<[u8]>>(&mut self, words: &[A]) -> Vec<u8> {
        self.client.argv = Argv::from_args(words);
        let spec = self.srv.commands.lookup(words[0].as_ref());
        dispatch::process_command(&mut self.srv, &mut self.client, spec);
        self.client.out.take_bytes()
    }

    /// Runs a command and returns what it leaves for replicas and the append-only file, a command an item. Words that are
    /// times of this test's run are shown as `<time>`.
    #[cfg(test)]
    pub fn propagated(&mut self, line: &str) -> Vec<String> {
        self.srv.propagation.sent.clear();
        let reply = self.run(line);
        assert!(!reply.starts_with('-'), "{line}: {reply}");
        let now_ms = self.srv.clock.unix_ms;
        let word = |word: &[u8]| {
            let text = String::from_utf8_lossy(word).into_owned();
            let is_time = text.parse::<u64>().is_ok_and(|n| n.abs_diff(now_ms) < 10_000_000);
            if is_time { "<time>".to_owned() } else { text }
        };
        let ops = self.srv.propagation.sent.iter();
        ops.map(|op| op.args.iter().map(|arg| word(arg)).collect::<Vec<_>>().join(" ")).collect()
    }

    /// Checks `command -> what it leaves` lines; several commands are parted by `; `, and `nothing` is none.
    #[cfg(test)]
    pub fn check_propagation(&mut self, text: &str) {
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (command, expected) = line.split_once(" -> ").expect("a line has an arrow");
            let expected: Vec<&str> =
                if expected == "nothing" { Vec::new() } else { expected.split("; ").collect() };
            assert_eq!(self.propagated(command), expected, "{command}");
        }
    }
}

/// The most memory that this process ever had, in KiB.
pub fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
