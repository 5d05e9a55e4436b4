//! DUMP and RESTORE: one value in the form that it has in files, given to a client and taken back.

use crate::cmd_err;
use crate::db::LookupFlags;
use crate::db::evict::{self, Lfu};
use crate::db::notify::{NotifyFlags, notify_keyspace_event};
use crate::persistence::rdb::{self, Error, Forced, Limits};
use crate::server::{Argv, Client, CmdError, CmdResult, Key, Server};

const BUSY_KEY: &str = "BUSYKEY Target key name already exists.";
const BAD_FORMAT: &str = "ERR Bad data format";

/// `DUMP key`
pub fn dump(srv: &mut Server, c: &mut Client) -> CmdResult {
    match payload_of(srv, c.db, c.argv.key(1), LookupFlags::NONE) {
        Some(payload) => c.out.bulk(&payload.map_err(cannot_hold)?),
        None => c.out.null(),
    }
    Ok(())
}

/// The payload of a key.
pub(super) fn payload_of(
    srv: &mut Server,
    db: usize,
    key: Key<'_>,
    flags: LookupFlags,
) -> Option<Result<Vec<u8>, Forced>> {
    let (version, compress) = (srv.config.rdb_version, srv.config.rdbcompression);
    srv.lookup(db, key, flags).map(|entry| rdb::dump_payload(entry, version, compress))
}

/// What is replied when `rdb-version` stands against it.
pub(super) fn cannot_hold(forced: Forced) -> CmdError {
    cmd_err!("ERR {}", Error::Forced(forced))
}

/// What a RESTORE says besides key and value.
#[derive(Default)]
struct Options {
    replace: bool,
    absolute: bool,
    idle_s: Option<u64>,
    frequency: Option<u8>,
}

impl Options {
    fn parse(argv: &Argv) -> Result<Options, CmdError> {
        let mut options = Options::default();
        let mut i = 4;
        while i < argv.len() {
            let has_value = i + 1 < argv.len();
            if argv.is(i, b"replace") {
                options.replace = true;
            } else if argv.is(i, b"absttl") {
                options.absolute = true;
            } else if argv.is(i, b"idletime") && has_value && options.frequency.is_none() {
                i += 1;
                options.idle_s = Some(
                    u64::try_from(argv.int(i)?)
                        .map_err(|_| CmdError::text("ERR Invalid IDLETIME value, must be >= 0"))?,
                );
            } else if argv.is(i, b"freq") && has_value && options.idle_s.is_none() {
                i += 1;
                options.frequency = Some(
                    u8::try_from(argv.int(i)?)
                        .map_err(|_| CmdError::text("ERR Invalid FREQ value, must be >= 0 and <= 255"))?,
                );
            } else {
                return Err(CmdError::Syntax);
            }
            i += 1;
        }
        Ok(options)
    }

    /// The access clock of the new entry: as asked for, if that is the clock which entries keep.
    fn clock(&self, srv: &Server) -> u32 {
        match (srv.config.maxmemory_policy.is_lfu(), self.frequency, self.idle_s) {
            (true, Some(counter), _) => Lfu::new(&srv.config, &srv.clock).clock(counter),
            (false, _, Some(idle_s)) => evict::lru_clock_idle_for(idle_s, evict::lru_clock(&srv.clock)),
            _ => srv.initial_clock(),
        }
    }
}

/// `RESTORE key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]`
pub fn restore(srv: &mut Server, c: &mut Client) -> CmdResult {
    let options = Options::parse(&c.argv)?;
    let key = c.argv.key(1);
    if !options.replace && srv.exists(c.db, key) {
        return Err(CmdError::text(BUSY_KEY));
    }
    let ttl_ms = c.argv.int(2)?;
    if ttl_ms < 0 {
        return Err(CmdError::text("ERR Invalid TTL value, must be >= 0"));
    }
    let now_ms = srv.clock.unix_ms as i64;
    let base_ms = if options.absolute { 0 } else { now_ms };
    let expiry = (ttl_ms > 0).then(|| ttl_ms.saturating_add(base_ms));
    let body = rdb::verify(c.argv.get(3), !srv.debug.skip_checksum_validation)
        .map_err(|error| cmd_err!("ERR {error}"))?;
    let clock = options.clock(srv);
    let entry = match rdb::restore_payload(body, key.bytes, expiry, clock, &Limits::of(srv)) {
        Ok(Ok(entry)) => entry,
        Ok(Err(_)) => return Err(CmdError::text(BAD_FORMAT)),
        Err(error) => {
            log::debug!("{error}");
            return Err(CmdError::text(BAD_FORMAT));
        }
    };
    let deleted = options.replace && srv.delete(c.db, key);
    c.out.ok();
    if expiry.is_some_and(|at_ms| at_ms <= now_ms) {
        if deleted {
            deleted_instead(srv, c.db, key);
        }
        return Ok(());
    }
    srv.add_entry(c.db, key, entry);
    if let Some(at_ms) = expiry.filter(|_| !options.absolute) {
        propagate_absolute(srv, &c.argv, at_ms);
    }
    srv.signal_modified(c.db, key.bytes, 1);
    notify_keyspace_event(srv, NotifyFlags::GENERIC, "restore", key.bytes, c.db);
    Ok(())
}

/// What follows when the new value has expired before it was stored, and the old one was deleted for it.
fn deleted_instead(srv: &mut Server, db: usize, key: Key<'_>) {
    let command: &[u8] = if srv.config.lazyfree_lazy_server_del { b"UNLINK" } else { b"DEL" };
    srv.propagate_as(&[command, key.bytes]);
    srv.signal_modified(db, key.bytes, 1);
    notify_keyspace_event(srv, NotifyFlags::GENERIC, "del", key.bytes, db);
}

/// Has the command passed on with its expiry as a time, not as a duration.
fn propagate_absolute(srv: &mut Server, argv: &Argv, at_ms: i64) {
    if !srv.propagation.wanted {
        return;
    }
    let at_ms = at_ms.to_string();
    let mut args: Vec<&[u8]> = argv.iter().collect();
    args[2] = at_ms.as_bytes();
    args.push(b"ABSTTL");
    srv.propagate_as(&args);
}

#[cfg(test)]
mod tests {
    use crate::server::testing::Bench;
    use crate::server::{Argv, dispatch};

    /// The payload of a key, without the protocol around it.
    fn dump(bench: &mut Bench, key: &str) -> Vec<u8> {
        bench.client.argv = Argv::from_args(&["DUMP", key]);
        let spec = bench.srv.commands.lookup(b"DUMP");
        dispatch::process_command(&mut bench.srv, &mut bench.client, spec);
        let reply = bench.client.out.take_bytes();
        let start = reply.iter().position(|&byte| byte == b'\n').unwrap() + 1;
        reply[start..reply.len() - 2].to_vec()
    }

    fn restore(bench: &mut Bench, key: &str, ttl: &str, payload: &[u8], options: &[&str]) -> String {
        let mut args: Vec<&[u8]> = vec![b"RESTORE", key.as_bytes(), ttl.as_bytes(), payload];
        args.extend(options.iter().map(|option| option.as_bytes()));
        bench.client.argv = Argv::from_args(&args);
        let spec = bench.srv.commands.lookup(b"RESTORE");
        dispatch::process_command(&mut bench.srv, &mut bench.client, spec);
        String::from_utf8_lossy(&bench.client.out.take_bytes()).trim_end().to_owned()
    }

    #[test]
    fn options_are_checked_in_upstreams_order() {
        let mut bench = Bench::new();
        bench.run("SET a 1");
        let payload = dump(&mut bench, "a");
        for (key, ttl, payload, options, expected) in [
            ("a", "x", &b"junk"[..], &[][..], "-BUSYKEY Target key name already exists."),
            ("a", "x", b"junk", &["nonsense"], "-ERR syntax error"),
            ("a", "x", b"junk", &["REPLACE"], "-ERR value is not an integer or out of range"),
            ("b", "-1", b"junk", &[], "-ERR Invalid TTL value, must be >= 0"),
            ("b", "0", b"junk", &[], "-ERR DUMP payload version or checksum are wrong"),
            ("b", "0", b"junk", &["IDLETIME"], "-ERR syntax error"),
            ("b", "0", b"junk", &["IDLETIME", "-1"], "-ERR Invalid IDLETIME value, must be >= 0"),
            ("b", "0", b"junk", &["FREQ", "256"], "-ERR Invalid FREQ value, must be >= 0 and <= 255"),
            ("b", "0", b"junk", &["FREQ", "1", "IDLETIME", "1"], "-ERR syntax error"),
            ("b", "0", &payload, &[], "+OK"),
            ("b", "1000", &payload, &["replace"], "+OK"),
        ] {
            assert_eq!(restore(&mut bench, key, ttl, payload, options), expected);
        }
        assert_eq!(bench.run("GET b"), "$1\r\n1\r\n");
    }

    #[test]
    fn a_value_that_has_expired_deletes_what_it_replaces() {
        let mut bench = Bench::new();
        bench.run("SET a 1");
        let payload = dump(&mut bench, "a");
        assert_eq!(restore(&mut bench, "b", "1", &payload, &["ABSTTL"]), "+OK");
        assert_eq!(bench.run("EXISTS a b"), ":1\r\n");
        bench.srv.propagation.sent.clear();
        assert_eq!(restore(&mut bench, "a", "1", &payload, &["ABSTTL", "REPLACE"]), "+OK");
        assert_eq!(bench.run("EXISTS a b"), ":0\r\n");
        let sent: Vec<_> = bench.srv.propagation.sent.iter().map(|op| op.args.clone()).collect();
        assert_eq!(sent, [vec!["DEL", "a"]]);
    }

    #[test]
    fn an_expiry_is_passed_on_as_a_time() {
        let mut bench = Bench::new();
        bench.run("SET a 1");
        let payload = dump(&mut bench, "a");
        bench.srv.propagation.sent.clear();
        restore(&mut bench, "b", "5000", &payload, &["FREQ", "3"]);
        let args = bench.srv.propagation.sent[0].args.clone();
        assert_eq!(
            (&args[0][..], &args[4][..], &args[6][..]),
            (&b"RESTORE"[..], &b"FREQ"[..], &b"ABSTTL"[..])
        );
        let at_ms: u64 = std::str::from_utf8(&args[2]).unwrap().parse().unwrap();
        assert!(at_ms.abs_diff(bench.srv.clock.unix_ms + 5000) < 1000);
    }
}
