//! What replicas and the append-only file are told of consumer groups.
//!
//! A command that gives entries to consumers changes a stream while it replies from it, and cannot speak to the server meanwhile.
//! It notes what happened, and tells it when it is done with the stream.

use crate::db::object::stream::{Group, Nack, StreamId};
use crate::server::Server;

/// What happened to a group, in order.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Whether anybody listens.
    wanted: bool,
    claims: Vec<Claim>,
    position: Option<(StreamId, Option<u64>)>,
}

/// A pending entry, as it was left.
#[derive(Debug)]
struct Claim {
    entry: StreamId,
    nack: Nack,
    consumer: Vec<u8>,
    last_id: StreamId,
}

impl Told {
    pub fn new(srv: &Server) -> Told {
        Told { wanted: srv.propagation.wanted, ..Told::default() }
    }

    /// An entry is pending, as `nack` says.
    pub fn claim(&mut self, group: &Group, entry: StreamId, nack: Nack) {
        if self.wanted {
            let consumer = group.consumer(nack.consumer).name().to_vec();
            self.claims.push(Claim { entry, nack, consumer, last_id: group.last_id });
        }
    }

    /// The group has read up to its last id.
    pub fn position(&mut self, group: &Group) {
        if self.wanted {
            self.position = Some((group.last_id, group.entries_read));
        }
    }

    /// Tells it.
    pub fn send(self, srv: &mut Server, db: usize, key: &[u8], group: &[u8]) {
        for claim in &self.claims {
            let (entry, last_id) = (claim.entry.to_text(), claim.last_id.to_text());
            let delivered = claim.nack.delivered_ms.to_string();
            let deliveries = claim.nack.deliveries.to_string();
            srv.also_propagate(
                db,
                &[
                    &b"XCLAIM"[..],
                    key,
                    group,
                    &claim.consumer,
                    b"0",
                    &entry,
                    b"TIME",
                    delivered.as_bytes(),
                    b"RETRYCOUNT",
                    deliveries.as_bytes(),
                    b"FORCE",
                    b"JUSTID",
                    b"LASTID",
                    &last_id,
                ],
            );
        }
        if let Some((last_id, entries_read)) = self.position {
            let read = entries_read.map_or("-1".to_owned(), |read| read.to_string());
            let last_id = last_id.to_text();
            srv.also_propagate(
                db,
                &[&b"XGROUP"[..], b"SETID", key, group, &last_id, b"ENTRIESREAD", read.as_bytes()],
            );
        }
    }
}

/// A consumer was created.
pub(super) fn consumer_created(srv: &mut Server, db: usize, key: &[u8], group: &[u8], consumer: &[u8]) {
    srv.also_propagate(db, &[&b"XGROUP"[..], b"CREATECONSUMER", key, group, consumer]);
}
