//! Nodes of streams: bytes of any origin, taken if they are valid, then read and changed as commands do.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use ochre::db::object::stream::{
    Counters, IdSpec, Log, NewEntry, NodeLimits, StreamId, Trim, TrimTo, validate,
};
use ochre::ds::listpack::{Listpack, Value};

#[derive(Arbitrary, Debug)]
enum Bytes {
    Any(Vec<u8>),
    /// A listpack of small numbers and strings, which comes closer to a node.
    Elements(Vec<Result<i8, Vec<u8>>>),
}

#[derive(Arbitrary, Debug)]
enum Step {
    Add(u8, u8, Vec<(Vec<u8>, Vec<u8>)>),
    Delete(u8, u8),
    TrimLen(u8, bool),
    TrimId(u8, u8, bool),
    Range(u8, u8),
}

#[derive(Arbitrary, Debug)]
struct Input {
    base: (u8, u8),
    nodes: Vec<Bytes>,
    steps: Vec<Step>,
}

fn id(ms: u8, seq: u8) -> StreamId {
    StreamId::new(ms.into(), seq.into())
}

impl Bytes {
    fn to_vec(&self) -> Vec<u8> {
        match self {
            Bytes::Any(bytes) => bytes.clone(),
            Bytes::Elements(elements) => {
                let values = elements.iter().map(|element| match element {
                    Ok(number) => Value::Integer((*number).into()),
                    Err(text) => Value::from(text),
                });
                values.collect::<Listpack>().as_bytes().to_vec()
            }
        }
    }
}

/// Reads all that is there, both ways.
fn read(log: &Log) {
    for entry in log.range(StreamId::MIN, StreamId::MAX) {
        let count = entry.fields.len();
        assert_eq!(entry.fields.map(|(name, value)| (name.to_vec(), value.to_vec())).count(), count);
    }
    log.range_backward(StreamId::MIN, StreamId::MAX).for_each(drop);
    let live: u64 = log.nodes().map(|(_, bytes)| validate(bytes).expect("nodes stay valid").live).sum();
    assert_eq!(live, log.len());
}

fn apply(step: &Step, log: &mut Log) {
    let limits = NodeLimits { max_bytes: 4096, max_entries: 8 };
    match step {
        Step::Add(ms, seq, pairs) => {
            if let Some(id) = log.next_id(IdSpec::Given(id(*ms, *seq)), 0) {
                let pairs = pairs.iter().map(|(name, value)| (&name[..], &value[..]));
                log.append(id, &NewEntry::new(pairs), limits);
            }
        }
        Step::Delete(ms, seq) => _ = log.delete(&[id(*ms, *seq)]),
        Step::TrimLen(len, whole_nodes) => {
            log.trim(Trim { to: TrimTo::Len((*len).into()), whole_nodes: *whole_nodes, limit: 0 });
        }
        Step::TrimId(ms, seq, whole_nodes) => {
            log.trim(Trim { to: TrimTo::Id(id(*ms, *seq)), whole_nodes: *whole_nodes, limit: 0 });
        }
        Step::Range(ms, seq) => {
            log.range(id(*ms, *seq), StreamId::MAX).for_each(drop);
            log.range_backward(StreamId::MIN, id(*ms, *seq)).for_each(drop);
        }
    }
}

fuzz_target!(|input: Input| {
    let mut log = Log::default();
    for (number, bytes) in (0u64..).zip(&input.nodes) {
        let bytes = bytes.to_vec();
        let base = StreamId::new(u64::from(input.base.0) + number, input.base.1.into());
        assert_eq!(log.restore_node(base, &bytes).is_ok(), validate(&bytes).is_some());
    }
    let counters = Counters { len: log.len(), last_id: id(input.base.0, 0), ..Counters::default() };
    assert!(log.restore_counters(counters));
    read(&log);
    for step in &input.steps {
        apply(step, &mut log);
        read(&log);
    }
});
