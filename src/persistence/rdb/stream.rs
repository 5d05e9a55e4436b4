//! Bytes as streams: nodes, counters, groups with their consumers and what is pending.
//!
//! A group's pending entries are listed twice: once for the group, with what is known of each, and once for each consumer, as
//! ids alone. The two are brought together, and have to agree, before anything is restored.

use super::decode::Decoder;
use super::error::Error;
use super::format::{ENTRIES_READ_UNKNOWN, kind};
use crate::db::object::Stream;
use crate::db::object::stream::{BadNode, ConsumerId, Counters, Group, Log, Nack, StreamId};
use crate::persistence::rio::Source;

/// Bytes of an id as a key.
const ID: usize = 16;

/// A pending entry as its group lists it.
struct Pending {
    id: StreamId,
    delivered_ms: i64,
    deliveries: u64,
    consumer: Option<ConsumerId>,
}

/// Reads a stream.
pub(super) fn stream<S: Source>(from: &mut Decoder<'_, S>, kind: u8) -> Result<Stream, Error> {
    let mut stream = Stream::new();
    for _ in 0..from.count(2)? {
        from.source.breathe();
        node(from, &mut stream.log)?;
    }
    counters(from, kind, &mut stream.log)?;
    let mut name = Vec::new();
    for _ in 0..from.count(1)? {
        from.bytes_into(&mut name)?;
        let last_id = id(from)?;
        let entries_read = match kind {
            kind::STREAM_LISTPACKS => stream.log.reads_up_to(last_id),
            _ => Some(from.length()?).filter(|read| *read != ENTRIES_READ_UNKNOWN),
        };
        if !stream.create_group(&name, last_id, entries_read) {
            let reason = format!("Duplicated consumer group name {}", name.escape_ascii());
            return Err(from.corrupt(reason));
        }
        let group = stream.groups.get_mut(&name[..]).expect("the group was just created");
        self::group(from, kind, group)?;
    }
    Ok(stream)
}

fn node<S: Source>(from: &mut Decoder<'_, S>, log: &mut Log) -> Result<(), Error> {
    let Ok(base) = <[u8; ID]>::try_from(from.bytes()?) else {
        return Err(from.corrupt("Stream node key entry is not the size of a stream ID"));
    };
    match log.restore_node(StreamId::from_bytes(&base), from.bytes()?) {
        Ok(()) => Ok(()),
        Err(BadNode::Format) => Err(from.corrupt("Stream listpack integrity check failed.")),
        Err(BadNode::Order) => Err(from.corrupt("Listpack re-added with existing key")),
    }
}

fn id<S: Source>(from: &mut Decoder<'_, S>) -> Result<StreamId, Error> {
    Ok(StreamId::new(from.length()?, from.length()?))
}

fn raw_id<S: Source>(from: &mut Decoder<'_, S>) -> Result<StreamId, Error> {
    Ok(StreamId::from_bytes(&from.array::<ID>()?))
}

/// Reads the counters. The first version had but two; the others are what they would be, had nothing been deleted.
fn counters<S: Source>(from: &mut Decoder<'_, S>, kind: u8, log: &mut Log) -> Result<(), Error> {
    let (len, last_id) = (from.length()?, id(from)?);
    let counters = if kind == kind::STREAM_LISTPACKS {
        let first = log.range(StreamId::MIN, StreamId::MAX).next().map(|entry| entry.id);
        let first_id = first.unwrap_or(StreamId::MIN);
        Counters { len, last_id, first_id, max_deleted_id: StreamId::MIN, added: len }
    } else {
        let (first_id, max_deleted_id) = (id(from)?, id(from)?);
        Counters { len, last_id, first_id, max_deleted_id, added: from.length()? }
    };
    if !log.restore_counters(counters) {
        return Err(from.corrupt("Stream length inconsistent with rax entries"));
    }
    Ok(())
}

fn group<S: Source>(from: &mut Decoder<'_, S>, kind: u8, group: &mut Group) -> Result<(), Error> {
    let mut pending = pending(from)?;
    let mut name = Vec::new();
    for _ in 0..from.count(1)? {
        from.bytes_into(&mut name)?;
        if group.find_consumer(&name).is_some() {
            return Err(from.corrupt("Duplicate stream consumer detected."));
        }
        let seen_ms = from.word()? as i64;
        let active_ms = if kind == kind::STREAM_LISTPACKS_3 { from.word()? as i64 } else { seen_ms };
        let consumer = group.create_consumer(&name, seen_ms);
        group.consumer_mut(consumer).active_ms = active_ms;
        for _ in 0..from.count(ID as u64)? {
            from.source.breathe();
            assign(from, &mut pending, consumer)?;
        }
    }
    for entry in pending {
        let Some(consumer) = entry.consumer else {
            return Err(from.corrupt("Stream CG PEL entry without consumer"));
        };
        let Pending { id, delivered_ms, deliveries, .. } = entry;
        group.restore(id, Nack { delivered_ms, deliveries, consumer });
    }
    Ok(())
}

/// Reads the pending entries of a group; they are sorted, as files from everywhere have them.
fn pending<S: Source>(from: &mut Decoder<'_, S>) -> Result<Vec<Pending>, Error> {
    const BYTES: u64 = ID as u64 + 9;
    let count = from.count(BYTES)?;
    let mut pending = Vec::with_capacity(from.believed(count as u64, BYTES));
    for _ in 0..count {
        from.source.breathe();
        let id = raw_id(from)?;
        let delivered_ms = from.word()? as i64;
        pending.push(Pending { id, delivered_ms, deliveries: from.length()?, consumer: None });
    }
    if !pending.is_sorted_by_key(|entry| entry.id) {
        pending.sort_by_key(|entry| entry.id);
    }
    if pending.windows(2).any(|pair| pair[0].id == pair[1].id) {
        return Err(from.corrupt("Duplicated global PEL entry loading stream consumer group"));
    }
    Ok(pending)
}

/// Reads an id that is pending for a consumer.
fn assign<S: Source>(
    from: &mut Decoder<'_, S>,
    pending: &mut [Pending],
    consumer: ConsumerId,
) -> Result<(), Error> {
    let id = raw_id(from)?;
    match pending.binary_search_by_key(&id, |entry| entry.id) {
        Ok(at) if pending[at].consumer.is_none() => {
            pending[at].consumer = Some(consumer);
            Ok(())
        }
        Ok(_) => Err(from.corrupt("Duplicated consumer PEL entry loading a stream consumer group")),
        Err(_) => Err(from.corrupt("Consumer entry not found in group global PEL")),
    }
}
