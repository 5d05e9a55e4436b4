//! CLIENT KILL: which clients a filter means, and closing them.

use crate::cmd_err;
use crate::server::client::{ClientFlags, ClientId};
use crate::server::{Client, CmdError, CmdResult, Server, networking};

use super::list::{self, ClientType};

/// What a client must be to be closed: whatever is given has to match.
#[derive(Default)]
struct Filter<'a> {
    id: Option<u64>,
    kind: Option<ClientType>,
    addr: Option<&'a [u8]>,
    laddr: Option<&'a [u8]>,
    user: Option<&'a [u8]>,
    /// Least age in seconds.
    max_age_s: Option<u64>,
    /// Whether the caller is spared.
    skip_me: bool,
}

impl<'a> Filter<'a> {
    /// The old form: an address and nothing else.
    fn address(addr: &'a [u8]) -> Filter<'a> {
        Filter { addr: Some(addr), ..Filter::default() }
    }

    /// The new form: pairs of option and value from argument 2 on. Of an option given twice the last counts.
    fn parse(c: &'a Client) -> Result<Filter<'a>, CmdError> {
        let mut filter = Filter { skip_me: true, ..Filter::default() };
        for i in (2..c.argv.len()).step_by(2) {
            let value = i + 1;
            if value >= c.argv.len() {
                return Err(CmdError::Syntax);
            }
            let bytes = c.argv.get(value);
            match c.argv.get(i).to_ascii_lowercase().as_slice() {
                b"id" => {
                    let id = c.argv.int(value).ok().filter(|id| *id > 0);
                    filter.id =
                        Some(id.ok_or(CmdError::text("ERR client-id should be greater than 0"))? as u64);
                }
                b"maxage" => {
                    let not_a_number = |_| CmdError::text("ERR maxage is not an integer or out of range");
                    let age = Some(c.argv.int(value).map_err(not_a_number)?).filter(|age| *age > 0);
                    filter.max_age_s =
                        Some(age.ok_or(CmdError::text("ERR maxage should be greater than 0"))? as u64);
                }
                b"type" => filter.kind = Some(ClientType::from_arg(c, value)?),
                b"addr" => filter.addr = Some(bytes),
                b"laddr" => filter.laddr = Some(bytes),
                b"user" if bytes == b"default" => filter.user = Some(bytes),
                b"user" => return Err(cmd_err!("ERR No such user '{}'", String::from_utf8_lossy(bytes))),
                b"skipme" if bytes.eq_ignore_ascii_case(b"yes") => filter.skip_me = true,
                b"skipme" if bytes.eq_ignore_ascii_case(b"no") => filter.skip_me = false,
                _ => return Err(CmdError::Syntax),
            }
        }
        Ok(filter)
    }

    fn matches(&self, client: &Client, now_s: u64) -> bool {
        let age_s = now_s.saturating_sub(client.created_ms / 1000);
        self.id.is_none_or(|id| client.id == id)
            && self.kind.is_none_or(|kind| ClientType::of(client) == kind)
            && self.addr.is_none_or(|addr| client.info.addr.as_bytes() == addr)
            && self.laddr.is_none_or(|laddr| client.info.laddr.as_bytes() == laddr)
            && self.user.is_none_or(|user| client.user_name().as_bytes() == user)
            && self.max_age_s.is_none_or(|max| age_s >= max)
    }
}

/// `CLIENT KILL ip:port | option value [option value ...]`
pub fn client_kill(srv: &mut Server, c: &mut Client) -> CmdResult {
    let old_form = c.argv.len() == 3;
    let filter = if old_form { Filter::address(c.argv.get(2)) } else { Filter::parse(c)? };
    let now_s = srv.clock.unix_s();
    let victims: Vec<ClientId> = list::all(srv, c)
        .into_iter()
        .filter(|client| !(filter.skip_me && client.handle == c.handle) && filter.matches(client, now_s))
        .map(|client| client.handle)
        .take(if old_form { 1 } else { usize::MAX })
        .collect();
    for id in &victims {
        if *id == c.handle {
            c.flags.insert(ClientFlags::CLOSE_AFTER_COMMAND);
        } else {
            networking::free_client(srv, *id);
        }
    }
    if !old_form {
        c.out.count(victims.len());
    } else if victims.is_empty() {
        return Err(CmdError::text("ERR No such client"));
    } else {
        c.out.ok();
    }
    Ok(())
}
