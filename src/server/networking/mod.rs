//! Connections: accepting, reading, writing, closing.
//!
//! # The way of a request
//! A readable event checks the client out and reads once into the shared [`Workspace`] (or behind the client's own
//! remainder). Complete commands are parsed in batches of [`BATCH`]; the hash-table lines of all keys of a batch are
//! fetched while the rest is parsed; then each command is dispatched. What the replies amount to is written at once,
//! while chunk and client are still in the cache; what other clients are sent in passing (pub/sub, MONITOR) waits
//! for the end of the turn.
//!
//! # Edge-triggered and fair
//! A read shorter than the space offered means that the socket is drained. After a full one the client goes on a
//! list that is served on the next turn without sleeping: nobody is starved, nobody pays a read for EAGAIN. Writing
//! stops after [`WRITE_LIMIT`] bytes a turn for the same reason.

mod input;
mod listen;
mod write;

use std::collections::VecDeque;
use std::os::fd::AsRawFd;
use std::time::Duration;

use mio::Token;

use crate::db::{blocked, pubsub};
use crate::io::connection::{Connection, Kind, Read};
use crate::server::argv::Argv;
use crate::server::client::{Client, ClientFlags, ClientId};
use crate::server::commands::CommandSpec;
use crate::server::dispatch::{self, Outcome};
use crate::server::error::CmdError;
use crate::server::reply::CHUNK;
use crate::server::resp::{self, Parsed, Progress};
use crate::server::{Server, monitor};

pub use input::Input;
pub use listen::{accept, listen_all, relisten, stop_listening};
pub use write::{
    check_limits_of, check_output_limits, flush, flush_pending, queue_write, reply_limit, send_to,
};

/// Bytes read from a client at a time.
const READ_SIZE: usize = 64 * 1024;

/// Bytes of one big argument read in a turn.
const BIG_READ_LIMIT: usize = 1024 * 1024;

/// Chunks for replies that are kept for the next clients. As many are in use at a time where replies wait for the end of the turn.
const CHUNKS_KEPT: usize = 64;

/// Commands parsed ahead of being called.
const BATCH: usize = 64;

/// Bytes written to a client in a turn: upstream's `NET_MAX_WRITES_PER_EVENT`.
const WRITE_LIMIT: usize = 64 * 1024;

/// The bit of an event token that says "no client".
pub const TOKEN_INTERNAL: usize = 1 << 63;

/// The event token of a background thread that has done something for a client.
pub const WAKER_TOKEN: Token = Token(usize::MAX);

/// A pause of clients, as CLIENT PAUSE asks for it.
#[derive(Debug, Clone, Copy)]
pub struct Pause {
    /// Unix time of its end, in milliseconds.
    pub until_ms: u64,
    /// Whether all commands wait, not just those that write.
    pub all: bool,
}

/// What the network side keeps.
#[derive(Debug, Default)]
pub struct Net {
    /// Listening sockets.
    pub listeners: Vec<crate::io::anet::Listener>,
    /// Clients whose replies must be written before the loop sleeps.
    pub pending_write: Vec<ClientId>,
    /// Clients with input that is to be read or processed on the next turn.
    pub pending_read: VecDeque<ClientId>,
    /// Whether replies wait for the end of the turn, because the append-only file is to be written first.
    pub hold_replies: bool,
    /// Listeners with more connections waiting.
    pub pending_accept: VecDeque<usize>,
    /// Clients that are to be closed before the loop sleeps.
    pub pending_close: Vec<ClientId>,
    /// Pushes for clients that were checked out when they were sent.
    pub deferred_pushes: Vec<(ClientId, bytes::Bytes)>,
    /// Events of clients that were checked out when they came, and whether the connection was closed: the kernel will not
    /// tell of them again.
    missed: Vec<(ClientId, bool)>,
    /// A pause in force.
    pub pause: Option<Pause>,
    /// Clients that wait for the pause's end.
    pub paused: Vec<ClientId>,
    /// The next CLIENT ID.
    pub next_client_id: u64,
    workspace: Option<Box<Workspace>>,
    chunks: Vec<Vec<u8>>,
}

/// Buffers that clients share: checked out while one client's input is processed. A nested use makes its own.
#[derive(Debug, Default)]
struct Workspace {
    argv: Argv,
    buf: Vec<u8>,
    batch: Vec<ParsedCommand>,
}

/// A command of the batch.
#[derive(Debug, Clone, Copy)]
struct ParsedCommand {
    /// Its arguments' place in the batch.
    base: usize,
    argc: usize,
    /// Where its bytes end in the buffer.
    end: usize,
    spec: Option<&'static CommandSpec>,
    /// Position and hash of its first key; position 0 when there is none.
    key_pos: usize,
    hash: u64,
}

/// Why processing of a client's input stopped.
enum Stop {
    /// All complete commands ran.
    Drained,
    /// The client waits, or is to be closed: what follows `0` of the buffer stays unparsed.
    At(usize),
    /// The command at this place of the batch, whose bytes begin at `1`, must run again later.
    Postponed(usize, usize),
}

/// Serves what the event says of the client.
pub fn client_event(srv: &mut Server, id: ClientId, readable: bool, writable: bool, closed: bool) {
    if srv.clients.is_checked_out(id) {
        // Served while its own command goes on; it is seen to when that is over.
        return srv.net.missed.push((id, closed));
    }
    if writable && srv.clients.get(id).is_some_and(|c| c.flags.contains(ClientFlags::WRITE_STALLED)) {
        let Some(mut c) = srv.clients.check_out(id) else { return };
        c.flags.remove(ClientFlags::WRITE_STALLED);
        flush(srv, &mut c);
        finish(srv, c);
    }
    if readable || closed {
        read_client(srv, id, closed);
    }
}

/// Reads from the client once and runs what is complete.
pub fn read_client(srv: &mut Server, id: ClientId, closed: bool) {
    let Some(mut c) = srv.clients.check_out(id) else { return };
    let waits = ClientFlags::BLOCKED | ClientFlags::CLOSE_AFTER_REPLY | ClientFlags::CLOSE_ASAP;
    if c.flags.intersects(waits) {
        // Not read now: the kernel holds it back. But a peer that is gone need not be waited for.
        c.flags.insert(ClientFlags::READABLE);
        if closed {
            schedule_close(srv, &mut c);
        }
        return finish(srv, c);
    }
    c.flags.remove(ClientFlags::READABLE);
    srv.stats.reads_processed += 1;
    let mut ws = srv.net.workspace.take().unwrap_or_default();
    read_and_process(srv, &mut c, &mut ws);
    srv.net.workspace = Some(ws);
    if closed && c.flags.contains(ClientFlags::BLOCKED) {
        // The end came together with the command that waits now, and no event will tell of it again.
        schedule_close(srv, &mut c);
    }
    finish(srv, c);
}

/// Runs what a client that waited has in its input already, then reads on.
pub fn resume_client(srv: &mut Server, id: ClientId) {
    let Some(mut c) = srv.clients.check_out(id) else { return };
    let mut ws = srv.net.workspace.take().unwrap_or_default();
    if !c.input.rest.is_empty() {
        let mut buf = std::mem::take(&mut c.input.rest);
        let end = buf.len();
        process(srv, &mut c, &mut ws, &mut buf, end);
        give_back(&mut c, buf);
    }
    srv.net.workspace = Some(ws);
    if c.flags.contains(ClientFlags::READABLE) && !c.flags.contains(ClientFlags::BLOCKED) {
        queue_read(srv, &mut c);
    }
    flush(srv, &mut c);
    finish(srv, c);
}

/// Puts the client on the list of those to be read on the next turn.
fn queue_read(srv: &mut Server, c: &mut Client) {
    if !c.flags.contains(ClientFlags::PENDING_READ) {
        c.flags.insert(ClientFlags::PENDING_READ);
        srv.net.pending_read.push_back(c.handle);
    }
}

/// Serves the list of clients with more input.
pub fn serve_pending_reads(srv: &mut Server) {
    // Those that come back to the list wait for the next turn. They are taken off one by one, because a command may serve
    // clients in between: it must find the rest.
    for _ in 0..srv.net.pending_read.len() {
        let Some(id) = srv.net.pending_read.pop_front() else { break };
        if let Some(c) = srv.clients.get_mut(id) {
            c.flags.remove(ClientFlags::PENDING_READ);
            read_client(srv, id, false);
        }
    }
}

fn read_and_process(srv: &mut Server, c: &mut Client, ws: &mut Workspace) {
    if c.input.big.is_some() && !read_big(srv, c) {
        return;
    }
    let owned = !c.input.rest.is_empty();
    let mut buf = std::mem::take(if owned { &mut c.input.rest } else { &mut ws.buf });
    let (read, end) = {
        let conn = c.conn.as_ref().expect("a client that is read from is a connection");
        if owned {
            let read = conn.read_append(&mut buf, READ_SIZE / 4);
            (read, buf.len())
        } else {
            buf.resize(READ_SIZE, 0);
            let read = conn.read(&mut buf);
            let end = if let Read::Bytes(n) = read { n } else { 0 };
            (read, end)
        }
    };
    let has_news = received(srv, c, &read, if owned { READ_SIZE / 4 } else { READ_SIZE });
    if has_news {
        c.input.peak = c.input.peak.max(end);
        process(srv, c, ws, &mut buf, end);
    }
    match (owned, has_news) {
        (true, true) => give_back(c, buf),
        (true, false) => c.input.rest = buf,
        (false, _) => ws.buf = buf,
    }
    flush(srv, c);
}

/// Returns a private buffer to its client: the remainder is in `rest` already if there is any.
fn give_back(c: &mut Client, mut buf: Vec<u8>) {
    if c.input.rest.capacity() == 0 {
        buf.clear();
        c.input.rest = buf;
    }
}

/// Counts what a read gave; `false` when there is nothing to process.
fn received(srv: &mut Server, c: &mut Client, read: &Read, offered: usize) -> bool {
    match *read {
        Read::Bytes(n) => {
            c.last_interaction = srv.clock.unix_s();
            c.net_in += n as u64;
            srv.stats.net_input_bytes += n as u64;
            if n == offered {
                queue_read(srv, c);
            }
            true
        }
        Read::WouldBlock => false,
        Read::Eof => {
            log::debug!("Client closed connection {}", describe(srv, c));
            schedule_close(srv, c);
            false
        }
        Read::Broken(e) => {
            log::debug!("Reading from client: {} {}", e.desc(), describe(srv, c));
            schedule_close(srv, c);
            false
        }
    }
}

/// Reads on into the big argument at hand; `true` when it is complete.
fn read_big(srv: &mut Server, c: &mut Client) -> bool {
    let mut budget = BIG_READ_LIMIT;
    loop {
        let big = c.input.big.as_mut().expect("a big argument is at hand");
        let room = big.room().min(budget);
        if room == 0 {
            break;
        }
        let read = c.conn.as_ref().expect("is a connection").read_append(&mut big.bytes, room);
        let got = if let Read::Bytes(n) = read { n } else { 0 };
        if !received(srv, c, &read, room) {
            return false;
        }
        budget -= got;
        if got < room {
            break;
        }
    }
    finish_big(c)
}

/// Makes the big argument an argument if it is complete.
fn finish_big(c: &mut Client) -> bool {
    if c.input.big.as_ref().is_none_or(|b| b.bytes.len() < b.len) {
        return false;
    }
    let big = c.input.big.take().expect("checked above");
    c.input.spare = Vec::with_capacity(big.len.min(BIG_READ_LIMIT));
    c.input.peak = c.input.peak.max(big.len);
    let partial = c.input.partial.get_or_insert_default();
    partial.0.push(crate::server::argv::ArgRange::big(partial.1.len()));
    partial.1.push(bytes::Bytes::from(big.bytes));
    c.input.progress.args_left -= 1;
    c.input.progress.bulk_len = -1;
    c.input.skip = 2;
    true
}

/// Parses and runs all that is complete in the first `end` bytes of `buf`, and keeps the rest in the client.
fn process(srv: &mut Server, c: &mut Client, ws: &mut Workspace, buf: &mut Vec<u8>, end: usize) {
    ws.argv.swap_buffer(buf);
    std::mem::swap(&mut c.argv, &mut ws.argv);
    let mut chunk = srv.net.chunks.pop().unwrap_or_else(|| Vec::with_capacity(CHUNK));
    c.out.lend(&mut chunk);
    c.out.set_limit(reply_limit(srv, c));
    if chunk.capacity() > 0 {
        srv.net.chunks.push(chunk);
    }

    c.input.in_hand = (end, c.argv.buffer_capacity() - end);
    let mut progress = std::mem::take(&mut c.input.progress);
    let mut pos = std::mem::take(&mut c.input.pos);
    let skip = usize::from(c.input.skip).min(end - pos);
    pos += skip;
    c.input.skip -= skip as u8;
    if let Some(partial) = c.input.partial.take() {
        let (ranges, big) = *partial;
        c.argv.put_partial(ranges, big);
    }
    let mut start = 0; // of the first command that has not run
    let mut big = None;
    let mut failure = None;
    if c.input.skip == 0 {
        loop {
            let limits = limits_of(srv, c);
            let full = parse_batch(
                srv,
                c,
                &mut ws.batch,
                &mut pos,
                end,
                &mut progress,
                limits,
                &mut big,
                &mut failure,
            );
            let stop = run_batch(srv, c, &ws.batch, &mut start);
            match stop {
                Stop::Drained => {}
                Stop::At(at) => {
                    c.argv.clear();
                    (start, pos, progress, big, failure) = (at, at, Progress::START, None, None);
                    ws.batch.clear();
                    break;
                }
                Stop::Postponed(i, at) => {
                    // Its arguments are kept as complete: the next parse finds a command that misses nothing.
                    let command = ws.batch[i];
                    c.input.partial = Some(Box::new(c.argv.take_partial(command.base, command.argc, at)));
                    (start, pos, big, failure) = (at, command.end, None, None);
                    progress = Progress { args_left: 0, bulk_len: -1, multibulk: true };
                    ws.batch.clear();
                    break;
                }
            }
            let done = ws.batch.last().map_or(0, |b| b.base + b.argc);
            ws.batch.clear();
            if !full {
                if c.argv.total() > done || progress != Progress::START {
                    c.input.partial = Some(Box::new(c.argv.take_partial(done, c.argv.total() - done, start)));
                }
                break;
            }
            c.argv.clear();
        }
    } else {
        // Only the line break behind a big argument was (partly) there.
        c.input.partial = Some(Box::new(c.argv.take_partial(0, c.argv.total(), 0)));
    }
    c.argv.clear();
    std::mem::swap(&mut c.argv, &mut ws.argv);
    ws.argv.swap_buffer(buf);
    c.input.in_hand = (0, 0);
    c.out.set_limit(0);

    if let Some(text) = failure {
        return protocol_error(srv, c, &text, &buf[start..end]);
    }
    keep_rest(c, buf, start, pos, end, progress, big);
    check_input_limit(srv, c);
}

fn limits_of(srv: &Server, c: &Client) -> resp::Limits {
    resp::Limits {
        max_bulk: srv.config.proto_max_bulk_len as i64,
        unauthenticated: !c.flags.contains(ClientFlags::AUTHENTICATED),
    }
}

/// Keeps what is not understood of `buf[start..end]`.
fn keep_rest(
    c: &mut Client,
    buf: &mut [u8],
    start: usize,
    pos: usize,
    end: usize,
    p: Progress,
    big: Option<usize>,
) {
    c.input.progress = p;
    if let Some(len) = big {
        // Headers and arguments in front of the big one stay as the remainder; its own bytes leave it.
        c.input.begin_big(len, &buf[pos..end.min(pos + len)]);
        let behind = end.saturating_sub(pos + len);
        c.input.keep(&buf[start..pos]);
        c.input.pos = pos - start;
        if finish_big(c) {
            c.input.skip = 2 - behind as u8;
        }
        return;
    }
    if start < end || c.input.partial.is_some() {
        c.input.keep(&buf[start..end]);
        c.input.pos = pos - start;
    }
}

/// Parses up to a batch of commands, and fetches the memory they will touch. `true` when more may follow.
#[allow(clippy::too_many_arguments)] // the parser's state lies in the caller's locals for speed
fn parse_batch(
    srv: &mut Server,
    c: &mut Client,
    batch: &mut Vec<ParsedCommand>,
    pos: &mut usize,
    end: usize,
    progress: &mut Progress,
    limits: resp::Limits,
    big: &mut Option<usize>,
    failure: &mut Option<String>,
) -> bool {
    let keys = &srv.dbs[c.db].keys;
    let mut base = 0;
    // What AUTH changes must be known before the next command is parsed.
    let most = if limits.unauthenticated { 1 } else { BATCH };
    let more = loop {
        if batch.len() == most {
            break true;
        }
        match resp::parse(&mut c.argv, pos, end, progress, limits) {
            Parsed::Command => {
                let argc = c.argv.total() - base;
                let mut command = ParsedCommand { base, argc, end: *pos, spec: None, key_pos: 0, hash: 0 };
                if argc > 0 {
                    c.argv.select(base, argc, 0, 0);
                    let name = c.argv.get(0);
                    command.spec = srv.commands.lookup(name);
                    if let Some(key_pos) = command.spec.and_then(|s| s.first_key_pos(argc)) {
                        command.hash = c.argv.key(key_pos).hash;
                        command.key_pos = key_pos;
                        keys.prefetch_bucket(command.hash);
                    }
                }
                batch.push(command);
                base += argc;
            }
            Parsed::Incomplete => break false,
            Parsed::Big(len) => {
                *big = Some(len);
                break false;
            }
            Parsed::Error(text) => {
                *failure = Some(text);
                break false;
            }
        }
    };
    if batch.len() > 1 {
        for command in batch.iter().filter(|b| b.key_pos > 0) {
            keys.prefetch_entry(command.hash);
        }
    }
    more
}

/// Runs the commands of the batch; `start` moves past each.
fn run_batch(srv: &mut Server, c: &mut Client, batch: &[ParsedCommand], start: &mut usize) -> Stop {
    for (i, command) in batch.iter().enumerate() {
        if command.argc > 0 {
            c.argv.select(command.base, command.argc, command.key_pos, command.hash);
            if let Outcome::Postponed = dispatch::process_command(srv, c, command.spec) {
                return Stop::Postponed(i, *start);
            }
        }
        *start = command.end;
        let waits = ClientFlags::BLOCKED | ClientFlags::CLOSE_AFTER_REPLY | ClientFlags::CLOSE_ASAP;
        if c.flags.intersects(waits) {
            return Stop::At(command.end);
        }
    }
    Stop::Drained
}

fn protocol_error(srv: &mut Server, c: &mut Client, text: &str, bytes: &[u8]) {
    let error = CmdError::Other(format!("ERR {text}").into());
    c.out.error(&error);
    srv.stats.count_error(&error);
    let sample = &bytes[..bytes.len().min(128)];
    let mut shown = Vec::new();
    crate::ds::sds::repr(&mut shown, sample);
    log::debug!(
        "{text} from client: {}. Query buffer: {}",
        describe(srv, c),
        if srv.config.hide_user_data_from_log {
            "*redacted*".into()
        } else {
            String::from_utf8_lossy(&shown).into_owned()
        }
    );
    c.input = Input::default();
    c.flags.insert(ClientFlags::CLOSE_AFTER_REPLY);
}

/// Closes a client whose unprocessed input passes `client-query-buffer-limit`.
fn check_input_limit(srv: &mut Server, c: &mut Client) {
    if c.input.mem_in_use() <= srv.config.client_query_buffer_limit as usize {
        return;
    }
    let mut shown = Vec::new();
    crate::ds::sds::repr(&mut shown, &c.input.rest[..c.input.rest.len().min(64)]);
    log::warn!(
        "Closing client that reached max query buffer length: {} (qbuf initial bytes: {})",
        describe(srv, c),
        if srv.config.hide_user_data_from_log {
            "*redacted*".into()
        } else {
            String::from_utf8_lossy(&shown)
        }
    );
    srv.stats.client_query_buffer_limit_disconnections += 1;
    schedule_close(srv, c);
}

/// The client's line of CLIENT LIST, for the log.
fn describe(srv: &Server, c: &Client) -> String {
    crate::server::client_cmd::describe(srv, c)
}

/// Puts a checked-out client back where it belongs: into the slab, on the close list, or nowhere.
pub fn finish(srv: &mut Server, mut c: Box<Client>) {
    if let Some(chunk) = c.out.reclaim()
        && srv.net.chunks.len() < CHUNKS_KEPT
        && chunk.capacity() <= CHUNK
    {
        srv.net.chunks.push(chunk);
    }
    if c.flags.contains(ClientFlags::CLOSE_ASAP)
        || (c.flags.contains(ClientFlags::CLOSE_AFTER_REPLY) && c.out.is_empty())
    {
        schedule_close(srv, &mut c);
    }
    if !srv.net.missed.is_empty() {
        catch_up(srv, &mut c);
    }
    srv.clients.check_in(c);
}

/// Has the next turn look at a client whose events came while it was checked out.
#[cold]
fn catch_up(srv: &mut Server, c: &mut Client) {
    let mut closed = None;
    srv.net.missed.retain(|&(id, was_closed)| {
        let its = id == c.handle;
        if its {
            closed = Some(closed.unwrap_or(false) || was_closed);
        }
        !its
    });
    let Some(closed) = closed else { return };
    if closed && c.flags.contains(ClientFlags::BLOCKED) {
        return schedule_close(srv, c);
    }
    if c.flags.contains(ClientFlags::WRITE_STALLED) {
        c.flags.remove(ClientFlags::WRITE_STALLED);
        queue_write(srv, c);
    }
    queue_read(srv, c);
}

/// Has the client closed before the loop sleeps. Nothing more is read from or written to it.
pub fn schedule_close(srv: &mut Server, c: &mut Client) {
    if !c.flags.contains(ClientFlags::CLOSE_ASAP) || !srv.net.pending_close.contains(&c.handle) {
        c.flags.insert(ClientFlags::CLOSE_ASAP);
        srv.net.pending_close.push(c.handle);
    }
}

/// Forgets a checked-out client whose connection another process has taken over: it goes on there.
pub fn hand_over(srv: &mut Server, c: &mut Client) {
    if let Some(conn) = c.conn.take() {
        srv.el.remove(conn.as_raw_fd());
    }
    schedule_close(srv, c);
}

/// Closes the clients that are to be closed.
pub fn close_pending(srv: &mut Server) {
    for id in std::mem::take(&mut srv.net.pending_close) {
        if srv.clients.is_checked_out(id) {
            srv.net.pending_close.push(id);
        } else {
            free_client(srv, id);
        }
    }
}

/// Closes the client at once and forgets it. One that is checked out is closed when it comes back.
pub fn free_client(srv: &mut Server, id: ClientId) {
    if srv.clients.is_checked_out(id) {
        srv.net.pending_close.push(id);
        return;
    }
    let Some(mut c) = srv.clients.remove(id) else { return };
    if let Some(conn) = c.conn.take() {
        srv.el.remove(conn.as_raw_fd());
        if srv.persistence.children.active().is_some() {
            // The child has a copy of the descriptor: closing ours alone would not tell the peer.
            conn.shut_down();
        }
    }
    if c.flags.contains(ClientFlags::MONITOR) {
        monitor::forget(srv, id);
    }
    if c.pubsub.is_some() {
        pubsub::forget_client(srv, &mut c);
    }
    blocked::forget_client(srv, &mut c);
    srv.watches.forget(id);
}

/// Makes a client of a new connection.
pub fn create_client(srv: &mut Server, conn: Connection) -> std::io::Result<ClientId> {
    let fd = conn.as_raw_fd();
    if conn.kind() == Kind::Tcp {
        conn.set_nodelay()?;
        if srv.config.tcp_keepalive > 0 {
            conn.set_keepalive(srv.config.tcp_keepalive)?;
        }
    }
    let mut flags = ClientFlags::READABLE;
    flags.set(ClientFlags::UNIX_SOCKET, conn.kind() == Kind::Unix);
    flags.set(ClientFlags::AUTHENTICATED, srv.config.requirepass.is_none());
    let info = super::client::ClientInfo {
        addr: peer_name(srv, &conn).into(),
        laddr: local_name(srv, &conn).into(),
        ..Default::default()
    };
    srv.net.next_client_id += 1;
    let (id, now) = (srv.net.next_client_id, srv.clock);
    let handle = srv.clients.insert(|handle| {
        Box::new(Client {
            flags,
            handle,
            db: 0,
            argv: Argv::default(),
            out: Default::default(),
            input: Input::default(),
            conn: Some(conn),
            cmd: None,
            last_cmd: None,
            id,
            created_ms: now.unix_ms,
            last_interaction: now.unix_s(),
            soft_limit_since: None,
            write_offset: 0,
            commands: 0,
            net_in: 0,
            net_out: 0,
            info,
            pubsub: None,
            multi: None,
            blocked: None,
        })
    });
    if let Err(e) = srv.el.add(fd, token_of(handle)) {
        srv.clients.remove(handle);
        return Err(e);
    }
    Ok(handle)
}

fn peer_name(srv: &Server, conn: &Connection) -> String {
    match conn.kind() {
        Kind::Tcp => conn.peer_name(),
        Kind::Unix => format!("{}:0", srv.config.unixsocket.as_deref().unwrap_or("".as_ref()).display()),
    }
}

fn local_name(srv: &Server, conn: &Connection) -> String {
    match conn.kind() {
        Kind::Tcp => conn.local_name(),
        Kind::Unix => peer_name(srv, conn),
    }
}

/// The event token of a client.
pub fn token_of(id: ClientId) -> Token {
    Token((id.generation as usize) << 32 | id.index as usize)
}

/// The client of an event token that is not [`TOKEN_INTERNAL`].
pub fn client_of(token: Token) -> ClientId {
    ClientId { index: token.0 as u32, generation: (token.0 >> 32) as u32 }
}

/// Begins or prolongs a pause of clients.
pub fn pause_clients(srv: &mut Server, until_ms: u64, all: bool) {
    let pause = srv.net.pause.get_or_insert(Pause { until_ms, all });
    pause.until_ms = pause.until_ms.max(until_ms);
    pause.all |= all;
}

/// Ends the pause: waiting clients go on.
pub fn unpause_clients(srv: &mut Server) {
    srv.net.pause = None;
    for id in std::mem::take(&mut srv.net.paused) {
        if let Some(c) = srv.clients.get_mut(id) {
            c.flags.remove(ClientFlags::BLOCKED);
            resume_client(srv, id);
        }
    }
}

/// Has a listener accept again on the next turn: it stopped at its share of this one.
pub fn queue_accept(srv: &mut Server, index: usize) {
    if !srv.net.pending_accept.contains(&index) {
        srv.net.pending_accept.push_back(index);
    }
}

/// Lets listeners go on that stopped at their share of a turn.
pub fn serve_pending_accepts(srv: &mut Server) {
    for _ in 0..srv.net.pending_accept.len() {
        let Some(index) = srv.net.pending_accept.pop_front() else { break };
        if accept(srv, index) {
            queue_accept(srv, index);
        }
    }
}

/// Whether something is left to do that no event will announce.
pub fn has_work(srv: &Server) -> bool {
    srv.eviction.unfinished || srv.blocked.has_work() || has_work_of_clients(srv)
}

/// Whether a client or a listener waits for something that no event will announce.
pub fn has_work_of_clients(srv: &Server) -> bool {
    let net = &srv.net;
    !(net.pending_read.is_empty()
        && net.pending_write.is_empty()
        && net.pending_accept.is_empty()
        && net.pending_close.is_empty())
}

/// Appends the pushes that were sent to the client while its command ran.
pub fn deliver_deferred(srv: &mut Server, c: &mut Client) {
    if srv.net.deferred_pushes.is_empty() {
        return;
    }
    for (id, bytes) in std::mem::take(&mut srv.net.deferred_pushes) {
        if id == c.handle {
            write::append(srv, c, &bytes);
        } else {
            srv.net.deferred_pushes.push((id, bytes));
        }
    }
}

/// Ends the pause if its time has come; otherwise how long it goes on.
pub fn check_pause(srv: &mut Server) -> Option<Duration> {
    let pause = srv.net.pause?;
    if pause.until_ms <= srv.clock.unix_ms {
        unpause_clients(srv);
        return None;
    }
    Some(Duration::from_millis(pause.until_ms - srv.clock.unix_ms))
}

/// Gives back buffers that the client does not need any more.
pub fn shrink_input(c: &mut Client, idle_seconds: u64) {
    c.input.shrink(idle_seconds > 2);
}
