//! Commands about connections: who a client is, what it is told of itself and of others, and how it is treated.
//!
//! `auth.rs` has AUTH and HELLO, `list.rs` the description of a client that CLIENT LIST and the log share, `kill.rs`
//! the filters of CLIENT KILL. What is left is here: a procedure for each command.
//!
//! The client whose command runs is checked out of the slab (see [`crate::server::client`]), so whatever looks at
//! all clients looks at the slab and at the caller.

mod auth;
mod kill;
mod list;

use crate::cmd_err;
use crate::db::blocked::{self, Unblock};
use crate::db::{multi, pubsub};
use crate::server::client::ClientFlags;
use crate::server::{Client, CmdError, CmdResult, Server, monitor, networking};

pub use auth::{auth, hello};
pub use kill::client_kill;
pub(crate) use list::lines;
pub use list::{ClientType, client_info, client_list, describe, memory_of};

/// The lines of CLIENT HELP between its first and its last.
const HELP: &[&str] = &[
    "GETNAME",
    "    Tell the name this connection was given.",
    "ID",
    "    Tell the number of this connection.",
    "INFO",
    "    Describe this connection.",
    "KILL <ip:port>",
    "    Close the connection that comes from <ip:port>.",
    "KILL <option> <value> [<option> <value> [...]]",
    "    Close all connections that match every option. Options are:",
    "    * ADDR (<ip:port>|<unixsocket>:0)",
    "      Connections that come from this address.",
    "    * LADDR (<ip:port>|<unixsocket>:0)",
    "      Connections that were accepted at this address.",
    "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
    "      Connections of this kind.",
    "    * USER <username>",
    "      Connections of this user.",
    "    * SKIPME (YES|NO)",
    "      Whether to spare this connection (default: yes).",
    "    * ID <client-id>",
    "      The connection of this number.",
    "    * MAXAGE <maxage>",
    "      Connections that have lived this many seconds or more.",
    "LIST [options ...]",
    "    Describe connections, a line each. Options are:",
    "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
    "      Only those of this kind.",
    "    * ID <client-id> [<client-id> ...]",
    "      Only those of these numbers.",
    "UNPAUSE",
    "    Let clients go on that CLIENT PAUSE holds back.",
    "PAUSE <timeout> [WRITE|ALL]",
    "    Hold back all commands, or those that write, for <timeout> milliseconds.",
    "REPLY (ON|OFF|SKIP)",
    "    Choose whether this connection is sent replies.",
    "SETNAME <name>",
    "    Name this connection.",
    "SETINFO <option> <value>",
    "    Tell what this connection is used by. Options are:",
    "    * LIB-NAME: the name of the client library.",
    "    * LIB-VER: the version of the client library.",
    "UNBLOCK <clientid> [TIMEOUT|ERROR]",
    "    Wake a client that waits in a blocking command.",
    "NO-EVICT (ON|OFF)",
    "    Keep this connection when connections are closed to save memory.",
    "NO-TOUCH (ON|OFF)",
    "    Leave the access time of keys alone that this connection uses.",
];

/// `PING [message]`
pub fn ping(_srv: &mut Server, c: &mut Client) -> CmdResult {
    if c.argv.len() > 2 {
        return Err(CmdError::Arity("ping"));
    }
    let message = (c.argv.len() == 2).then(|| c.argv.get(1));
    if c.flags.contains(ClientFlags::PUBSUB) && !c.out.resp3() {
        // In RESP2 a subscriber is sent arrays only, so that it can tell replies from messages by their first word.
        c.out.array(2);
        c.out.bulk(b"pong");
        c.out.bulk(message.unwrap_or_default());
    } else {
        match message {
            Some(message) => c.out.bulk(message),
            None => c.out.simple("PONG"),
        }
    }
    Ok(())
}

/// `ECHO message`
pub fn echo(_srv: &mut Server, c: &mut Client) -> CmdResult {
    match c.argv.big_arg(1) {
        Some(bytes) => c.out.bulk_shared(bytes),
        None => c.out.bulk(c.argv.get(1)),
    }
    Ok(())
}

/// `QUIT`
pub fn quit(_srv: &mut Server, c: &mut Client) -> CmdResult {
    c.out.ok();
    c.close_after_reply();
    Ok(())
}

/// `RESET`: makes the connection what it was when it was accepted. What it said of its library stays, and that it does not
/// want to hear of this command.
pub fn reset(srv: &mut Server, c: &mut Client) -> CmdResult {
    if c.flags.contains(ClientFlags::MONITOR) {
        monitor::forget(srv, c.handle);
    }
    if c.pubsub.is_some() {
        pubsub::forget_client(srv, c);
        c.pubsub = None;
    }
    multi::discard_transaction(srv, c);
    for flag in [
        ClientFlags::MONITOR,
        ClientFlags::PUBSUB,
        ClientFlags::REPLY_OFF,
        ClientFlags::REPLY_SKIP_NEXT,
        ClientFlags::NO_EVICT,
        ClientFlags::NO_TOUCH,
    ] {
        c.flags.remove(flag);
    }
    c.db = 0;
    c.info.name = None;
    c.out.set_resp3(false);
    c.flags.set(ClientFlags::AUTHENTICATED, auth::needs_no_password(srv));
    c.out.simple("RESET");
    Ok(())
}

/// `CLIENT HELP`
pub fn client_help(_srv: &mut Server, c: &mut Client) -> CmdResult {
    c.out.help("CLIENT", HELP);
    Ok(())
}

/// `CLIENT ID`
pub fn client_id(_srv: &mut Server, c: &mut Client) -> CmdResult {
    c.out.int(c.id as i64);
    Ok(())
}

/// `CLIENT GETNAME`
pub fn client_getname(_srv: &mut Server, c: &mut Client) -> CmdResult {
    match &c.info.name {
        Some(name) => c.out.bulk(name),
        None => c.out.null(),
    }
    Ok(())
}

/// Whether `text` fits a field of CLIENT LIST: printable ASCII without blanks.
fn is_plain(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_graphic)
}

/// What a name, or a library's name or version, is kept as; nothing when it is empty.
fn kept(text: &[u8]) -> Option<Box<[u8]>> {
    (!text.is_empty()).then(|| text.into())
}

/// The name of a connection, if it may be one.
fn checked_name(name: &[u8]) -> Result<Option<Box<[u8]>>, CmdError> {
    const BAD: CmdError =
        CmdError::text("ERR Client names cannot contain spaces, newlines or special characters.");
    if is_plain(name) { Ok(kept(name)) } else { Err(BAD) }
}

/// `CLIENT SETNAME name`
pub fn client_setname(_srv: &mut Server, c: &mut Client) -> CmdResult {
    c.info.name = checked_name(c.argv.get(2))?;
    c.out.ok();
    Ok(())
}

/// `CLIENT SETINFO LIB-NAME name | LIB-VER version`
pub fn client_setinfo(_srv: &mut Server, c: &mut Client) -> CmdResult {
    let (option, value) = (c.argv.get(2), c.argv.get(3));
    let field = if c.argv.is(2, b"lib-name") {
        &mut c.info.lib_name
    } else if c.argv.is(2, b"lib-ver") {
        &mut c.info.lib_ver
    } else {
        return Err(cmd_err!("ERR Unrecognized option '{}'", String::from_utf8_lossy(option)));
    };
    if !is_plain(value) {
        let option = String::from_utf8_lossy(option);
        return Err(cmd_err!("ERR {option} cannot contain spaces, newlines or special characters."));
    }
    *field = kept(value);
    c.out.ok();
    Ok(())
}

/// ON or OFF.
fn on_or_off(c: &Client, i: usize) -> Result<bool, CmdError> {
    match () {
        () if c.argv.is(i, b"on") => Ok(true),
        () if c.argv.is(i, b"off") => Ok(false),
        () => Err(CmdError::Syntax),
    }
}

/// `CLIENT NO-EVICT ON | OFF`
pub fn client_no_evict(_srv: &mut Server, c: &mut Client) -> CmdResult {
    let on = on_or_off(c, 2)?;
    c.flags.set(ClientFlags::NO_EVICT, on);
    c.out.ok();
    Ok(())
}

/// `CLIENT NO-TOUCH ON | OFF`
pub fn client_no_touch(_srv: &mut Server, c: &mut Client) -> CmdResult {
    let on = on_or_off(c, 2)?;
    c.flags.set(ClientFlags::NO_TOUCH, on);
    c.out.ok();
    Ok(())
}

/// `CLIENT PAUSE timeout [WRITE | ALL]`
pub fn client_pause(srv: &mut Server, c: &mut Client) -> CmdResult {
    const MODE: CmdError = CmdError::text("ERR CLIENT PAUSE mode must be WRITE or ALL");
    let all = match c.argv.len() {
        3 => true,
        4 if c.argv.is(3, b"all") => true,
        4 if c.argv.is(3, b"write") => false,
        4 => return Err(MODE),
        _ => return Err(CmdError::Syntax),
    };
    let timeout_ms =
        c.argv.int(2).map_err(|_| CmdError::text("ERR timeout is not an integer or out of range"))?;
    if timeout_ms < 0 {
        return Err(CmdError::text("ERR timeout is negative"));
    }
    let until_ms = (srv.clock.unix_ms as i64)
        .checked_add(timeout_ms)
        .ok_or(CmdError::text("ERR timeout is out of range"))?;
    networking::pause_clients(srv, until_ms as u64, all);
    c.out.ok();
    Ok(())
}

/// `CLIENT UNPAUSE`
pub fn client_unpause(srv: &mut Server, c: &mut Client) -> CmdResult {
    networking::unpause_clients(srv);
    c.out.ok();
    Ok(())
}

/// `CLIENT REPLY ON | OFF | SKIP`
///
/// Only ON answers. SKIP concerns the next command: the dispatcher turns [`ClientFlags::REPLY_SKIP_NEXT`] into
/// [`ClientFlags::REPLY_SKIP`] when this command is through.
pub fn client_reply(_srv: &mut Server, c: &mut Client) -> CmdResult {
    if c.argv.is(2, b"on") {
        c.flags.remove(ClientFlags::REPLY_OFF);
        c.flags.remove(ClientFlags::REPLY_SKIP);
        c.out.ok();
    } else if c.argv.is(2, b"off") {
        c.flags.insert(ClientFlags::REPLY_OFF);
    } else if c.argv.is(2, b"skip") {
        if !c.flags.contains(ClientFlags::REPLY_OFF) {
            c.flags.insert(ClientFlags::REPLY_SKIP_NEXT);
        }
    } else {
        return Err(CmdError::Syntax);
    }
    Ok(())
}

/// `CLIENT UNBLOCK client-id [TIMEOUT | ERROR]`
///
/// Answers how many clients it woke. A client that CLIENT PAUSE holds back is not woken by this.
pub fn client_unblock(srv: &mut Server, c: &mut Client) -> CmdResult {
    let how = match c.argv.len() {
        3 => Unblock::Timeout,
        4 if c.argv.is(3, b"timeout") => Unblock::Timeout,
        4 if c.argv.is(3, b"error") => Unblock::Error,
        4 => return Err(CmdError::text("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")),
        _ => return Err(CmdError::Syntax),
    };
    let id = c.argv.int(2)?;
    let found = srv.clients.iter().find(|other| other.id as i64 == id).map(|other| other.handle);
    let woken = found.is_some_and(|handle| blocked::unblock(srv, handle, how));
    c.out.int(i64::from(woken));
    Ok(())
}
