//! MONITOR: clients that are shown every command as it is called.
//!
//! A line is a simple string: Unix time with microseconds, database and address in brackets, and the arguments,
//! quoted. Clients of a unix socket are shown by its path, as `unix:/path`.
//!
//! ```text
//! +1795367466.671619 [0 127.0.0.1:42908] "SET" "key" "value"
//! ```

use bytes::Bytes;

use crate::ds::sds;
use crate::server::client::{ClientFlags, ClientId};
use crate::server::redact::Secrets;
use crate::server::{Client, CmdResult, Server, networking};

/// `MONITOR`
pub fn monitor(srv: &mut Server, c: &mut Client) -> CmdResult {
    if c.flags.contains(ClientFlags::MONITOR) {
        // It asked before; a second answer would be taken for that of another command.
        return Ok(());
    }
    c.flags.insert(ClientFlags::MONITOR);
    srv.monitors.push(c.handle);
    c.out.ok();
    Ok(())
}

/// Forgets a monitor.
pub fn forget(srv: &mut Server, id: ClientId) {
    srv.monitors.retain(|monitor| *monitor != id);
}

/// Shows the command at hand to all monitors.
pub fn feed(srv: &mut Server, c: &Client) {
    let line = Bytes::from(line(srv.clock.unix_us, c));
    // A monitor may be closed for not reading while it is fed, which changes the list.
    for id in srv.monitors.clone() {
        networking::send_to(srv, id, &line);
    }
}

fn line(unix_us: u64, c: &Client) -> Vec<u8> {
    let addr = match c.info.addr.strip_suffix(":0") {
        _ if c.flags.contains(ClientFlags::SCRIPT) => "lua".to_owned(),
        Some(path) if c.flags.contains(ClientFlags::UNIX_SOCKET) => format!("unix:{path}"),
        _ => c.info.addr.to_string(),
    };
    let mut line =
        format!("+{}.{:06} [{} {addr}]", unix_us / 1_000_000, unix_us % 1_000_000, c.db).into_bytes();
    let secrets = Secrets::of(c.spec(), &c.argv);
    for i in 0..c.argv.len() {
        line.push(b' ');
        sds::repr(&mut line, secrets.shown(&c.argv, i));
    }
    line.extend_from_slice(b"\r\n");
    line
}
