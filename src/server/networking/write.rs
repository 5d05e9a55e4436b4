//! Writing replies, and the limits of what may wait.

use std::io::IoSlice;

use crate::server::Server;
use crate::server::client::{Client, ClientFlags, ClientId};
use crate::server::config::OutputLimit;

use crate::server::reply::CHUNK;

use super::{WRITE_LIMIT, finish, schedule_close};

/// Bytes that may wait for a client that has not authenticated.
const UNAUTH_OUTPUT: usize = 1024;

/// Writes what waits for the client, as far as its socket takes it and its share of the turn goes.
pub fn flush(srv: &mut Server, c: &mut Client) {
    if c.out.is_empty() || c.flags.contains(ClientFlags::CLOSE_ASAP) {
        return;
    }
    if is_too_long(srv, c) {
        return close_for_output(srv, c);
    }
    if srv.net.hold_replies {
        return queue_write(srv, c);
    }
    if c.flags.contains(ClientFlags::WRITE_STALLED) {
        return check_output_limits(srv, c);
    }
    let Some(conn) = c.conn.as_ref() else { return };
    let mut written = 0;
    let result = loop {
        let step = match c.out.single() {
            Some(bytes) => conn.write(bytes),
            None => {
                let mut slices: Vec<IoSlice<'_>> = Vec::with_capacity(16);
                c.out.slices(&mut slices, WRITE_LIMIT);
                conn.write_vectored(&slices)
            }
        };
        match step {
            Ok(0) => {
                c.flags.insert(ClientFlags::WRITE_STALLED);
                break Ok(());
            }
            Ok(n) => {
                c.out.advance(n);
                written += n;
            }
            Err(e) => break Err(e),
        }
        if c.out.is_empty() || written >= WRITE_LIMIT {
            break Ok(());
        }
    };
    srv.stats.writes_processed += 1;
    srv.stats.net_output_bytes += written as u64;
    c.net_out += written as u64;
    if written > 0 {
        c.last_interaction = srv.clock.unix_s();
    }
    match result {
        Ok(()) if !c.out.is_empty() => {
            if !c.flags.contains(ClientFlags::WRITE_STALLED) {
                queue_write(srv, c);
            }
            check_output_limits(srv, c);
        }
        Ok(()) => c.soft_limit_since = None,
        Err(e) => {
            log::debug!("Error writing to client: {} {}", e.desc(), super::describe(srv, c));
            schedule_close(srv, c);
        }
    }
}

/// Puts the client on the list of those written to before the loop sleeps.
pub fn queue_write(srv: &mut Server, c: &mut Client) {
    if !c.flags.contains(ClientFlags::PENDING_WRITE) {
        c.flags.insert(ClientFlags::PENDING_WRITE);
        srv.net.pending_write.push(c.handle);
    }
}

/// Writes to all clients on the list; who could not be finished is on it again.
pub fn flush_pending(srv: &mut Server) {
    for id in std::mem::take(&mut srv.net.pending_write) {
        if let Some(mut c) = srv.clients.check_out(id) {
            c.flags.remove(ClientFlags::PENDING_WRITE);
            flush(srv, &mut c);
            finish(srv, c);
        }
    }
}

/// Sends encoded bytes to a client that is not the one whose command runs; for one that is checked out they wait
/// until its command has answered.
pub fn send_to(srv: &mut Server, id: ClientId, bytes: &bytes::Bytes) {
    if srv.clients.is_checked_out(id) {
        srv.net.deferred_pushes.push((id, bytes.clone()));
        return;
    }
    let Some(mut c) = srv.clients.check_out(id) else { return };
    if !c.flags.contains(ClientFlags::CLOSE_ASAP) {
        append(srv, &mut c, bytes);
        queue_write(srv, &mut c);
    }
    srv.clients.check_in(c);
}

/// Adds a push to a client's output.
pub fn append(srv: &mut Server, c: &mut Client, bytes: &bytes::Bytes) {
    if bytes.len() >= CHUNK {
        c.out.shared(bytes.clone());
    } else {
        c.out.raw(bytes);
    }
    check_output_limits(srv, c);
}

/// What its class may have waiting.
fn class_limit(srv: &Server, c: &Client) -> OutputLimit {
    let limits = &srv.config.client_output_buffer_limit;
    if c.flags.contains(ClientFlags::PUBSUB) { limits.pubsub } else { limits.normal }
}

/// From how many bytes on the reply of a client is too long, whether its socket would take it or not; 0 if there is no such
/// number. What fits a client's own buffer upstream is not too long.
pub fn reply_limit(srv: &Server, c: &Client) -> usize {
    match class_limit(srv, c).hard_bytes {
        0 => 0,
        hard => usize::try_from(hard).unwrap_or(usize::MAX).max(CHUNK),
    }
}

fn is_too_long(srv: &Server, c: &Client) -> bool {
    let limit = reply_limit(srv, c);
    c.out.overrun() || limit > 0 && c.out.len() >= limit
}

fn close_for_output(srv: &mut Server, c: &mut Client) {
    log::warn!(
        "Client {} scheduled to be closed ASAP for overcoming of output buffer limits.",
        super::describe(srv, c)
    );
    srv.stats.client_output_buffer_limit_disconnections += 1;
    schedule_close(srv, c);
}

/// Schedules the client to be closed if more waits for it than its class may have waiting, at once (hard limit) or
/// for so many seconds (soft limit).
pub fn check_output_limits(srv: &mut Server, c: &mut Client) {
    let waiting = c.out.len();
    if waiting <= UNAUTH_OUTPUT || c.flags.contains(ClientFlags::CLOSE_ASAP) {
        return;
    }
    let unauthenticated = !c.flags.contains(ClientFlags::AUTHENTICATED);
    let limit = class_limit(srv, c);
    let hard = limit.hard_bytes > 0 && waiting as u64 >= limit.hard_bytes;
    let soft = limit.soft_bytes > 0 && waiting as u64 >= limit.soft_bytes && {
        let now = srv.clock.unix_s();
        let since = *c.soft_limit_since.get_or_insert(now);
        now.saturating_sub(since) > u64::from(limit.soft_seconds)
    };
    if limit.soft_bytes == 0 || (waiting as u64) < limit.soft_bytes {
        c.soft_limit_since = None;
    }
    if hard || soft || unauthenticated {
        close_for_output(srv, c);
    }
}

/// [`check_output_limits`] of a client that is not checked out.
pub fn check_limits_of(srv: &mut Server, id: ClientId) {
    if let Some(mut c) = srv.clients.check_out(id) {
        check_output_limits(srv, &mut c);
        srv.clients.check_in(c);
    }
}
