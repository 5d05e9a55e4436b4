//! What replicas and the append-only file are told: the commands that change the dataset, in the order of their effects.
//!
//! A command that changed something is propagated as it was sent, unless it said otherwise: some leave a command of the
//! same effect that does not depend on time, chance or waiting ([`Server::propagate_as`]: `EXPIRE` becomes `PEXPIREAT`, a
//! `BLPOP` that waited `LPOP`), some leave several ([`Server::also_propagate`]: what `SPOP` of many took), some none
//! ([`Server::prevent_propagation`]). Whether something changed is read off the counter of changes, `srv.stats.dirty`.
//!
//! # Units
//!
//! Everything that happens between two looks at the clients is one *unit*: a command with what it woke or expired, a
//! transaction, a script. [`enter`] and [`exit`] bracket it and nest; when the outermost ends, its commands are handed on,
//! wrapped in `MULTI` and `EXEC` if they are more than one, so that whoever replays them sees all or nothing.
//!
//! While nobody listens ([`Propagation::wanted`]), none of this costs more than a comparison.

use bytes::Bytes;

use crate::persistence::aof::write as aof;
use crate::server::{Argv, Client, Server};

/// Who is told: replicas, the append-only file, both or neither. Only a script that says so (`redis.set_repl`) changes that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Targets(u8);

impl Targets {
    /// Nobody.
    pub const NONE: Targets = Targets(0);
    /// The append-only file.
    pub const AOF: Targets = Targets(1);
    /// Replicas.
    pub const REPLICAS: Targets = Targets(2);
    /// Everybody.
    pub const ALL: Targets = Targets(3);

    /// The number by which scripts know it.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// What a script's number stands for.
    pub fn from_bits(bits: i64) -> Option<Targets> {
        u8::try_from(bits).ok().filter(|bits| *bits <= Targets::ALL.0).map(Targets)
    }

    /// Whether all of `other` are among them.
    pub const fn contains(self, other: Targets) -> bool {
        self.0 & other.0 == other.0
    }
}

impl Default for Targets {
    fn default() -> Targets {
        Targets::ALL
    }
}

/// A command for replicas and the append-only file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Op {
    /// Who is told of it.
    pub targets: Targets,
    /// The database it runs in.
    pub db: usize,
    /// Its name and arguments.
    pub args: Vec<Bytes>,
}

/// What the command at hand leaves behind instead of itself.
#[derive(Debug, Default)]
enum Substitute {
    /// Itself.
    #[default]
    Itself,
    /// Another command.
    Other(Vec<Bytes>),
    /// Nothing, or only what it added to the unit.
    Nothing,
}

/// What is collected until the unit ends.
#[derive(Debug, Default)]
pub struct Propagation {
    /// Whether anybody is to be told.
    pub wanted: bool,
    /// Who is told of what the commands at hand change.
    pub targets: Targets,
    /// The replication offset: how many commands were handed on, in this life of the dataset and before.
    pub offset: i64,
    /// Units that have begun and not ended.
    depth: u32,
    /// Commands of the unit.
    unit: Vec<Op>,
    substitute: Substitute,
    /// Whether the command at hand is propagated even if it changed no key.
    forced: bool,
    /// What was handed on, for tests.
    #[cfg(test)]
    pub sent: Vec<Op>,
}

/// What [`Server::begin_command`] gives and [`Server::end_command`] takes back.
#[derive(Debug)]
pub struct Outer {
    dirty: u64,
    substitute: Substitute,
    forced: bool,
}

impl Propagation {
    /// Whether a unit is going on: a command of a client, or what wakes clients after it.
    pub fn inside_unit(&self) -> bool {
        self.depth > 0
    }

    /// Forgets what the unit has collected: the server ends in the middle of it.
    pub fn abandon(&mut self) {
        self.unit.clear();
    }

    /// Whether the command at hand is one of several of a unit: in a transaction, or a script.
    pub fn in_transaction(&self) -> bool {
        self.depth > 1
    }
}

/// Begins a unit, or a part of the one that goes on.
#[inline]
pub fn enter(srv: &mut Server) {
    srv.propagation.depth += 1;
}

/// Ends what [`enter`] began; the outermost hands the unit on.
#[inline]
pub fn exit(srv: &mut Server) {
    srv.propagation.depth -= 1;
    if srv.propagation.depth == 0 && !srv.propagation.unit.is_empty() {
        hand_on(srv);
    }
}

/// Gives the unit to whoever is to be told.
#[cold]
fn hand_on(srv: &mut Server) {
    let unit = std::mem::take(&mut srv.propagation.unit);
    let is_transaction = unit.len() > 1;
    if is_transaction {
        deliver(srv, Targets::ALL, None, [&b"MULTI"[..]].into_iter());
    }
    for op in &unit {
        deliver(srv, op.targets, Some(op.db), op.args.iter().map(|arg| &arg[..]));
    }
    if is_transaction {
        deliver(srv, Targets::ALL, None, [&b"EXEC"[..]].into_iter());
    }
}

/// Where the append-only file and the replicas take what they are told: a command, and the database it runs in, unless it is
/// one that runs in any.
#[inline]
fn deliver<'a>(
    srv: &mut Server,
    targets: Targets,
    db: Option<usize>,
    args: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
) {
    #[cfg(test)]
    {
        let args = args.clone().map(Bytes::copy_from_slice).collect();
        srv.propagation.sent.push(Op { targets, db: db.unwrap_or_default(), args });
    }
    srv.propagation.offset += 1;
    if targets.contains(Targets::AOF) {
        aof::feed(srv, db, args);
    }
}

fn to_args<A: AsRef<[u8]>>(args: &[A]) -> Vec<Bytes> {
    args.iter().map(|arg| Bytes::copy_from_slice(arg.as_ref())).collect()
}

impl Server {
    /// Has the command at hand propagated as these arguments, if it changes anything.
    pub fn propagate_as<A: AsRef<[u8]>>(&mut self, args: &[A]) {
        if self.propagation.wanted {
            self.propagation.substitute = Substitute::Other(to_args(args));
        }
    }

    /// Adds a command to the unit, in front of what the command at hand leaves.
    pub fn also_propagate<A: AsRef<[u8]>>(&mut self, db: usize, args: &[A]) {
        let targets = self.propagation.targets;
        if self.propagation.wanted && targets != Targets::NONE {
            self.propagation.unit.push(Op { targets, db, args: to_args(args) });
            if self.propagation.depth == 0 {
                hand_on(self);
            }
        }
    }

    /// Has the command at hand leave nothing of its own.
    pub fn prevent_propagation(&mut self) {
        if self.propagation.wanted {
            self.propagation.substitute = Substitute::Nothing;
        }
    }

    /// Has the command at hand propagated even though it changes no key.
    pub fn force_propagation(&mut self) {
        self.propagation.forced = true;
    }

    /// Must be called before a command runs.
    #[inline]
    pub fn begin_command(&mut self) -> Outer {
        let p = &mut self.propagation;
        p.depth += 1;
        Outer {
            dirty: self.stats.dirty,
            substitute: std::mem::take(&mut p.substitute),
            forced: std::mem::take(&mut p.forced),
        }
    }

    /// Must be called after it ran; takes what [`Server::begin_command`] gave.
    #[inline]
    pub fn end_command(&mut self, c: &mut Client, db: usize, outer: Outer) {
        if !self.propagation.wanted || (self.stats.dirty == outer.dirty && !self.propagation.forced) {
            self.propagation.substitute = outer.substitute;
            self.propagation.forced = outer.forced;
            return exit(self);
        }
        let p = &mut self.propagation;
        if p.depth == 1 && p.unit.is_empty() && matches!(p.substitute, Substitute::Itself) {
            // Nearly every write is such a unit of one command as it was sent, and needs no copy.
            deliver(self, self.propagation.targets, Some(db), c.argv.iter());
        } else {
            self.collect(&c.argv, db);
        }
        self.propagation.substitute = outer.substitute;
        self.propagation.forced = outer.forced;
        exit(self);
        c.write_offset = self.propagation.offset;
    }

    #[cold]
    fn collect(&mut self, argv: &Argv, db: usize) {
        let args = match std::mem::take(&mut self.propagation.substitute) {
            Substitute::Itself => argv.to_owned_args(),
            Substitute::Other(args) => args,
            Substitute::Nothing => return,
        };
        let targets = self.propagation.targets;
        if targets != Targets::NONE {
            self.propagation.unit.push(Op { targets, db, args });
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::server::testing::Bench;

    #[test]
    fn changes_are_passed_on_as_sent_and_everything_else_is_not() {
        Bench::new().check_propagation(
            "SET a 1 -> SET a 1
             GET a -> nothing
             DEL nosuch -> nothing
             INCR a -> INCR a
             DEL a nosuch -> DEL a nosuch
             SETNX a 1 -> SETNX a 1
             SETNX a 2 -> nothing
             FLUSHALL -> FLUSHALL
             SELECT 3 -> nothing
             SET a 1 -> SET a 1",
        );
    }

    #[test]
    fn what_depends_on_time_is_made_absolute() {
        Bench::new().check_propagation(
            "SET a 1 -> SET a 1
             EXPIRE a 100 -> PEXPIREAT a <time>
             PEXPIRE a 5000 -> PEXPIREAT a <time>
             EXPIRE a 100 NX -> nothing
             EXPIRE a -1 -> DEL a
             SET a 1 EX 100 -> SET a 1 PXAT <time>
             SET a 1 PX 100 GET -> SET a 1 PXAT <time>
             SET a 1 KEEPTTL -> SET a 1 KEEPTTL
             SET a 1 PXAT 99999999999999 NX -> nothing
             SET a 1 GET -> SET a 1
             SET a 1 GET XX -> SET a 1 XX
             GETSET a 2 -> SET a 2
             SETEX a 100 v -> SET a v PXAT <time>
             PSETEX a 1000 v -> SET a v PXAT <time>
             GETEX a EX 10 -> PEXPIREAT a <time>
             GETEX a PERSIST -> PERSIST a
             GETEX a -> nothing
             GETEX a EXAT 1 -> DEL a
             SET a v -> SET a v
             GETDEL a -> DEL a
             INCRBYFLOAT f 1.5 -> SET f 1.5 KEEPTTL",
        );
    }

    #[test]
    fn a_transaction_is_passed_on_as_one() {
        let mut bench = Bench::new();
        bench.check_propagation(
            "MULTI -> nothing
             SET a 1 -> nothing
             GET a -> nothing
             EXPIRE a 100 -> nothing
             EXEC -> MULTI; SET a 1; PEXPIREAT a <time>; EXEC
             MULTI -> nothing
             SET a 2 -> nothing
             EXEC -> SET a 2
             MULTI -> nothing
             GET a -> nothing
             EXEC -> nothing",
        );
    }

    #[test]
    fn keys_found_expired_are_deleted_first() {
        let mut bench = Bench::new();
        bench.check_propagation("SET a 1 PX 1 -> SET a 1 PXAT <time>");
        std::thread::sleep(std::time::Duration::from_millis(5));
        bench.srv.clock.update();
        bench.check_propagation(
            "GET a -> DEL a
             SET b 1 PX 1 -> SET b 1 PXAT <time>",
        );
        std::thread::sleep(std::time::Duration::from_millis(5));
        bench.srv.clock.update();
        bench.check_propagation("INCR b -> MULTI; DEL b; INCR b; EXEC");
    }
}
