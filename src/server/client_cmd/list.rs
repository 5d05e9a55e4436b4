//! The description of a client: a line of `field=value` pairs, shown by CLIENT LIST, CLIENT INFO and the log.

use std::fmt::Write;
use std::os::fd::AsRawFd;

use crate::cmd_err;
use crate::db::pubsub;
use crate::server::client::ClientFlags;
use crate::server::{Client, CmdError, CmdResult, Server};

/// What a client is connected for, as TYPE filters and output limits tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientType {
    /// Sends commands.
    Normal,
    /// Follows this server.
    Replica,
    /// Is subscribed to something.
    Pubsub,
    /// Is followed by this server.
    Master,
}

impl ClientType {
    /// The type of `c`.
    pub fn of(c: &Client) -> ClientType {
        if c.flags.contains(ClientFlags::PUBSUB) { ClientType::Pubsub } else { ClientType::Normal }
    }

    /// The type that argument `i` names.
    ///
    /// # Errors
    /// If it names none.
    pub(super) fn from_arg(c: &Client, i: usize) -> Result<ClientType, CmdError> {
        match c.argv.get(i).to_ascii_lowercase().as_slice() {
            b"normal" => Ok(ClientType::Normal),
            b"replica" | b"slave" => Ok(ClientType::Replica),
            b"pubsub" => Ok(ClientType::Pubsub),
            b"master" => Ok(ClientType::Master),
            _ => Err(cmd_err!("ERR Unknown client type '{}'", String::from_utf8_lossy(c.argv.get(i)))),
        }
    }
}

/// The letters of the `flags` field with what they stand for, in the order in which they are shown.
const FLAG_LETTERS: &[(char, ClientFlags)] = &[
    ('O', ClientFlags::MONITOR),
    ('P', ClientFlags::PUBSUB),
    ('x', ClientFlags::MULTI),
    ('b', ClientFlags::BLOCKED),
    ('c', ClientFlags::CLOSE_AFTER_REPLY),
    ('A', ClientFlags::CLOSE_ASAP),
    ('U', ClientFlags::UNIX_SOCKET),
    ('e', ClientFlags::NO_EVICT),
    ('T', ClientFlags::NO_TOUCH),
];

/// The `flags` field: a letter for each thing that is special about the client, `N` when there is none.
fn flag_letters(flags: ClientFlags, watch_is_dirty: bool) -> String {
    let mut letters: String =
        FLAG_LETTERS.iter().filter(|(_, flag)| flags.contains(*flag)).map(|&(letter, _)| letter).collect();
    if watch_is_dirty {
        letters.push('d');
    }
    if letters.is_empty() { "N".into() } else { letters }
}

/// Bytes that the client costs: its struct, its buffers, its arguments.
pub fn memory_of(c: &Client) -> usize {
    let texts = [&c.info.name, &c.info.lib_name, &c.info.lib_ver];
    size_of::<Client>()
        + c.input.mem_bytes()
        + c.argv.mem_bytes()
        + c.out.tail_capacity()
        + c.out.queue_bytes()
        + c.info.addr.len()
        + c.info.laddr.len()
        + texts.into_iter().flatten().map(|text| text.len()).sum::<usize>()
        + c.pubsub.as_ref().map_or(0, |p| size_of_val(&**p))
        + c.multi.as_ref().map_or(0, |multi| multi.mem_bytes())
}

/// The line that describes `c`, without a line break.
pub fn describe(srv: &Server, c: &Client) -> String {
    let text =
        |text: &Option<Box<[u8]>>| String::from_utf8_lossy(text.as_deref().unwrap_or_default()).into_owned();
    let now_s = srv.clock.unix_s();
    let (channels, patterns, shard_channels) = pubsub::counts(c);
    let stalled = c.flags.contains(ClientFlags::WRITE_STALLED);
    let mut line = String::with_capacity(400);
    // Writing to a string cannot fail.
    let _ = write!(
        line,
        "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={} db={} sub={channels} psub={patterns} \
         ssub={shard_channels} multi={} watch={}",
        c.id,
        c.info.addr,
        c.info.laddr,
        c.conn.as_ref().map_or(-1, |conn| conn.as_raw_fd()),
        text(&c.info.name),
        now_s.saturating_sub(c.created_ms / 1000),
        now_s.saturating_sub(c.last_interaction),
        flag_letters(c.flags, srv.watches.is_dirty(c.handle)),
        c.db,
        c.multi.as_ref().map_or(-1, |multi| multi.len() as i64),
        srv.watches.keys_of(c.handle),
    );
    let _ = write!(
        line,
        " qbuf={} qbuf-free={} argv-mem={} multi-mem={} rbs={} rbp={} obl={} oll={} omem={} tot-mem={} events={}",
        c.input.len(),
        c.input.free(),
        c.argv.len_sum(),
        c.multi.as_ref().map_or(0, |multi| multi.mem_bytes()),
        c.out.tail_capacity(),
        c.out.tail_capacity(),
        c.out.tail_len(),
        c.out.queue_len(),
        c.out.queue_bytes(),
        memory_of(c),
        if stalled { "rw" } else { "r" },
    );
    let _ = write!(
        line,
        " cmd={} user={} redir=-1 resp={} lib-name={} lib-ver={} io-thread=0",
        c.cmd.or(c.last_cmd).map_or("NULL", |cmd| cmd.fullname),
        c.user_name(),
        c.out.resp(),
        text(&c.info.lib_name),
        text(&c.info.lib_ver),
    );
    line
}

/// All clients, the caller among them, in the order of their ids.
pub(super) fn all<'a>(srv: &'a Server, c: &'a Client) -> Vec<&'a Client> {
    let mut clients: Vec<&Client> = srv.clients.iter().chain([c]).collect();
    clients.sort_unstable_by_key(|client| client.id);
    clients
}

/// A line for each of `clients`.
pub(crate) fn lines<'a>(srv: &Server, clients: impl IntoIterator<Item = &'a Client>) -> String {
    let mut lines = String::new();
    for client in clients {
        lines.push_str(&describe(srv, client));
        lines.push('\n');
    }
    lines
}

/// `CLIENT INFO`
pub fn client_info(srv: &mut Server, c: &mut Client) -> CmdResult {
    let text = lines(srv, [&*c]);
    c.out.verbatim("txt", text.as_bytes());
    Ok(())
}

/// `CLIENT LIST [TYPE NORMAL | MASTER | REPLICA | PUBSUB] [ID client-id [client-id ...]]`
pub fn client_list(srv: &mut Server, c: &mut Client) -> CmdResult {
    let clients = all(srv, c);
    let argc = c.argv.len();
    let text = if argc == 2 {
        lines(srv, clients)
    } else if argc == 4 && c.argv.is(2, b"type") {
        let wanted = ClientType::from_arg(c, 3)?;
        lines(srv, clients.into_iter().filter(|client| ClientType::of(client) == wanted))
    } else if argc > 3 && c.argv.is(2, b"id") {
        let ids: Vec<i64> = (3..argc)
            .map(|i| c.argv.int(i).map_err(|_| CmdError::text("ERR Invalid client ID")))
            .collect::<Result<_, _>>()?;
        let by_id = |id: &i64| {
            let id = u64::try_from(*id).ok()?;
            clients.binary_search_by_key(&id, |client| client.id).ok().map(|i| clients[i])
        };
        lines(srv, ids.iter().filter_map(by_id))
    } else {
        return Err(CmdError::Syntax);
    };
    c.out.verbatim("txt", text.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_letters_in_a_fixed_order() {
        assert_eq!(flag_letters(ClientFlags::NONE, false), "N");
        assert_eq!(flag_letters(ClientFlags::AUTHENTICATED | ClientFlags::PENDING_WRITE, false), "N");
        assert_eq!(
            flag_letters(ClientFlags::NO_TOUCH | ClientFlags::NO_EVICT | ClientFlags::UNIX_SOCKET, true),
            "UeTd"
        );
    }
}
