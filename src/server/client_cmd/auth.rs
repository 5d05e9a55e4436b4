//! AUTH and HELLO: proving who one is, and agreeing on the protocol.
//!
//! There is one user, `default`. It needs no password, or the one of `requirepass`. Passwords are compared by their
//! SHA-256 digests in constant time, so that the time of an answer tells neither length nor content.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::cmd_err;
use crate::ds::numbers;
use crate::server::client::ClientFlags;
use crate::server::version::REDIS_VERSION;
use crate::server::{Client, CmdError, CmdResult, Server};

use super::checked_name;

/// The only user's name.
const DEFAULT_USER: &[u8] = b"default";

/// Whether a client is authenticated as it comes.
pub(super) fn needs_no_password(srv: &Server) -> bool {
    srv.config.requirepass.is_none()
}

/// Whether `user` exists and `password` is a password of it.
fn is_valid(srv: &Server, user: &[u8], password: &[u8]) -> bool {
    let Some(expected) = &srv.config.requirepass else { return user == DEFAULT_USER };
    let same = Sha256::digest(password).ct_eq(&Sha256::digest(expected));
    bool::from(same) && user == DEFAULT_USER
}

/// Authenticates `c`, or counts the failure.
fn authenticate(srv: &mut Server, c: &mut Client, user: &[u8], password: &[u8]) -> CmdResult {
    if !is_valid(srv, user, password) {
        srv.stats.acl_auth_denied += 1;
        return Err(CmdError::text("WRONGPASS invalid username-password pair or user is disabled."));
    }
    c.flags.insert(ClientFlags::AUTHENTICATED);
    Ok(())
}

/// `AUTH [username] password`
pub fn auth(srv: &mut Server, c: &mut Client) -> CmdResult {
    let (user, password) = match c.argv.len() {
        2 if needs_no_password(srv) => {
            return Err(CmdError::text(
                "ERR AUTH <password> called without any password configured for the default user. Are you sure \
                 your configuration is correct?",
            ));
        }
        2 => (DEFAULT_USER.into(), c.argv.bytes(1)),
        3 => (c.argv.bytes(1), c.argv.bytes(2)),
        _ => return Err(CmdError::Syntax),
    };
    authenticate(srv, c, &user, &password)?;
    c.out.ok();
    Ok(())
}

/// What HELLO asks for.
#[derive(Default)]
struct Wishes {
    resp3: Option<bool>,
    /// User and password.
    login: Option<(bytes::Bytes, bytes::Bytes)>,
    name: Option<Option<Box<[u8]>>>,
}

fn wishes(c: &Client) -> Result<Wishes, CmdError> {
    let mut wishes = Wishes::default();
    if c.argv.len() == 1 {
        return Ok(wishes);
    }
    wishes.resp3 = match numbers::parse_i64(c.argv.get(1)) {
        Some(2) => Some(false),
        Some(3) => Some(true),
        Some(_) => return Err(CmdError::text("NOPROTO unsupported protocol version")),
        None => return Err(CmdError::text("ERR Protocol version is not an integer or out of range")),
    };
    let mut i = 2;
    while i < c.argv.len() {
        let behind = c.argv.len() - i - 1;
        if c.argv.is(i, b"auth") && behind >= 2 {
            wishes.login = Some((c.argv.bytes(i + 1), c.argv.bytes(i + 2)));
            i += 3;
        } else if c.argv.is(i, b"setname") && behind >= 1 {
            wishes.name = Some(checked_name(c.argv.get(i + 1))?);
            i += 2;
        } else {
            let option = String::from_utf8_lossy(c.argv.get(i));
            return Err(cmd_err!("ERR Syntax error in HELLO option '{option}'"));
        }
    }
    Ok(wishes)
}

/// `HELLO [protover [AUTH username password] [SETNAME clientname]]`
pub fn hello(srv: &mut Server, c: &mut Client) -> CmdResult {
    let wishes = wishes(c)?;
    if let Some((user, password)) = wishes.login {
        authenticate(srv, c, &user, &password)?;
    }
    if !c.flags.contains(ClientFlags::AUTHENTICATED) {
        return Err(CmdError::text(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH \
             <user> <pass> option can be used to authenticate the client and select the RESP protocol version at \
             the same time",
        ));
    }
    if let Some(name) = wishes.name {
        c.info.name = name;
    }
    if let Some(resp3) = wishes.resp3 {
        c.out.set_resp3(resp3);
    }
    c.out.map(7);
    c.out.bulk(b"server");
    c.out.bulk(b"redis");
    c.out.bulk(b"version");
    c.out.bulk(REDIS_VERSION.as_bytes());
    c.out.bulk(b"proto");
    c.out.int(c.out.resp().into());
    c.out.bulk(b"id");
    c.out.int(c.id as i64);
    c.out.bulk(b"mode");
    c.out.bulk(b"standalone");
    c.out.bulk(b"role");
    c.out.bulk(b"master");
    c.out.bulk(b"modules");
    c.out.array(0);
    Ok(())
}
