//! A group of consumers: who they are, and what was delivered to them.

use super::id::StreamId;
use super::idmap::IdMap;
use crate::ds::rax::Rax;

/// Names a consumer within its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumerId(u32);

/// An entry that was delivered and not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nack {
    /// When it was delivered last, in Unix milliseconds.
    pub delivered_ms: i64,
    /// How often it was delivered.
    pub deliveries: u64,
    /// To whom.
    pub consumer: ConsumerId,
}

/// What becomes of the number of deliveries when an entry is claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deliveries {
    /// It stays.
    Keep,
    /// One more.
    CountOne,
    /// It becomes this.
    Set(u64),
}

/// A consumer.
#[derive(Clone, Debug)]
pub struct Consumer {
    name: Box<[u8]>,
    /// When it last asked for something, in Unix milliseconds.
    pub seen_ms: i64,
    /// When it last was given something; -1 if never.
    pub active_ms: i64,
    pending: IdMap<()>,
}

impl Consumer {
    /// Its name.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// What was delivered to it and not acknowledged.
    pub fn pending(&self) -> &IdMap<()> {
        &self.pending
    }
}

/// A group of consumers.
#[derive(Clone, Debug)]
pub struct Group {
    /// The greatest id that was delivered.
    pub last_id: StreamId,
    /// How many entries were read, had all been read; none if that is not known.
    pub entries_read: Option<u64>,
    pending: IdMap<Nack>,
    /// By [`ConsumerId`]; gaps are of deleted consumers.
    consumers: Vec<Option<Consumer>>,
    gaps: Vec<u32>,
    by_name: Rax<Box<[u8]>, u32>,
}

impl Group {
    /// A group without consumers.
    pub fn new(last_id: StreamId, entries_read: Option<u64>) -> Group {
        Group {
            last_id,
            entries_read,
            pending: IdMap::new(),
            consumers: Vec::new(),
            gaps: Vec::new(),
            by_name: Rax::new(),
        }
    }

    /// What was delivered and not acknowledged.
    pub fn pending(&self) -> &IdMap<Nack> {
        &self.pending
    }

    /// Number of consumers.
    pub fn consumers_len(&self) -> usize {
        self.by_name.len()
    }

    /// The consumers, in the order of their names.
    pub fn consumers(&self) -> impl Iterator<Item = &Consumer> {
        self.by_name.iter().map(|(_, index)| self.consumer(ConsumerId(*index)))
    }

    /// The consumer of this name.
    pub fn find_consumer(&self, name: &[u8]) -> Option<ConsumerId> {
        self.by_name.get(name).map(|index| ConsumerId(*index))
    }

    /// Adds a consumer of this name, which none has.
    pub fn create_consumer(&mut self, name: &[u8], now_ms: i64) -> ConsumerId {
        let consumer = Consumer { name: name.into(), seen_ms: now_ms, active_ms: -1, pending: IdMap::new() };
        let index = match self.gaps.pop() {
            Some(index) => {
                self.consumers[index as usize] = Some(consumer);
                index
            }
            None => {
                self.consumers.push(Some(consumer));
                u32::try_from(self.consumers.len() - 1).expect("no memory holds as many consumers")
            }
        };
        let former = self.by_name.insert(name.into(), index);
        debug_assert!(former.is_none());
        ConsumerId(index)
    }

    /// A consumer of this group.
    pub fn consumer(&self, id: ConsumerId) -> &Consumer {
        self.consumers[id.0 as usize].as_ref().expect("ids of deleted consumers are not kept")
    }

    /// A consumer of this group, to change.
    pub fn consumer_mut(&mut self, id: ConsumerId) -> &mut Consumer {
        self.consumers[id.0 as usize].as_mut().expect("ids of deleted consumers are not kept")
    }

    /// Deletes a consumer with all that it has not acknowledged; returns how much that was.
    pub fn delete_consumer(&mut self, id: ConsumerId) -> usize {
        let Some(consumer) = self.consumers[id.0 as usize].take() else { return 0 };
        for (entry, ()) in consumer.pending.iter() {
            self.pending.remove(entry);
        }
        self.by_name.remove(&consumer.name);
        self.gaps.push(id.0);
        consumer.pending.len()
    }

    /// Notes that an entry is delivered for the first time, as far as this group goes: should it be pending, it is taken from
    /// who had it.
    pub fn deliver(&mut self, entry: StreamId, to: ConsumerId, now_ms: i64) -> Nack {
        let nack = Nack { delivered_ms: now_ms, deliveries: 1, consumer: to };
        self.put(entry, nack);
        nack
    }

    /// Notes that a pending entry is delivered again to who has it.
    pub fn redeliver(&mut self, entry: StreamId, now_ms: i64) {
        if let Some(nack) = self.pending.get_mut(entry) {
            nack.delivered_ms = now_ms;
            nack.deliveries = nack.deliveries.wrapping_add(1);
        }
    }

    /// Gives an entry to a consumer. One that was not pending counts as delivered once.
    pub fn claim(&mut self, entry: StreamId, to: ConsumerId, delivered_ms: i64, how: Deliveries) -> Nack {
        let former = self.pending.get(entry).map_or(1, |nack| nack.deliveries);
        let deliveries = match how {
            Deliveries::Keep => former,
            Deliveries::CountOne => former.wrapping_add(1),
            Deliveries::Set(count) => count,
        };
        let nack = Nack { delivered_ms, deliveries, consumer: to };
        self.put(entry, nack);
        nack
    }

    /// Makes an entry pending, or changes what is known of it; keeps both indexes together.
    fn put(&mut self, entry: StreamId, nack: Nack) {
        match self.pending.insert(entry, nack) {
            Some(former) if former.consumer == nack.consumer => {}
            former => {
                if let Some(former) = former {
                    self.consumer_mut(former.consumer).pending.remove(entry);
                }
                self.consumer_mut(nack.consumer).pending.insert(entry, ());
            }
        }
    }

    /// Forgets a pending entry; returns what was known of it.
    pub fn acknowledge(&mut self, entry: StreamId) -> Option<Nack> {
        let nack = self.pending.remove(entry)?;
        self.consumer_mut(nack.consumer).pending.remove(entry);
        Some(nack)
    }

    /// Puts back a pending entry that came from a file; `false` if it is pending already.
    pub fn restore(&mut self, entry: StreamId, nack: Nack) -> bool {
        let new = !self.pending.contains(entry);
        if new {
            self.put(entry, nack);
        }
        new
    }

    /// Bytes of memory, from the size of `samples` consumers, or of all with 0.
    pub fn mem_bytes(&self, samples: usize) -> usize {
        let count = self.consumers_len();
        let looked_at = if samples == 0 { count } else { samples.min(count) };
        let sample: usize =
            self.consumers().take(looked_at).map(|own| 2 * own.name.len() + own.pending.mem_bytes()).sum();
        size_of::<Group>()
            + self.consumers.capacity() * size_of::<Option<Consumer>>()
            + self.by_name.mem_bytes()
            + self.pending.mem_bytes()
            + sample * count / looked_at.max(1)
    }

    /// How many allocations go with it, roughly.
    pub fn free_effort(&self) -> usize {
        1 + 3 * self.consumers_len() + 2 * self.pending.allocations()
    }
}
