//! HyperLogLogs: sketches of any origin, then marks, beside a table of ranks.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ochre::ds::hyperloglog::{
    Encoding, HEADER, Mark, Marked, REGISTERS, count, count_ranks, dense_rank, encoding, mark_sparse, merge,
    new_sparse, set_dense_rank, to_dense,
};

/// Registers as the input has them behind a header of that encoding.
fn sketch(registers: &[u8], dense: bool) -> Vec<u8> {
    let mut bytes = new_sparse();
    if dense {
        bytes = to_dense(&bytes).expect("a new sketch is whole");
        let len = registers.len().min(bytes.len() - HEADER);
        bytes[HEADER..HEADER + len].copy_from_slice(&registers[..len]);
    } else if !registers.is_empty() {
        bytes.truncate(HEADER);
        bytes.extend_from_slice(registers);
    }
    bytes
}

fuzz_target!(|input: (Vec<u8>, bool, Vec<(u16, u8)>, u16)| {
    let (registers, dense, marks, max_size) = input;
    let mut sketch = sketch(&registers, dense);
    let Some(mut kind) = encoding(&sketch) else { panic!("the header is a valid one") };
    let mut ranks = [0; REGISTERS];
    let whole = merge(&mut ranks, &sketch, kind).is_ok();
    assert_eq!(count(&sketch, kind).is_ok(), whole);
    for (register, rank) in marks {
        let mark = Mark { register: usize::from(register) % REGISTERS, rank: rank % 51 + 1 };
        if kind == Encoding::Sparse {
            match mark_sparse(&mut sketch, mark, max_size.into()) {
                Ok(Marked::NeedsDense) => match to_dense(&sketch) {
                    Ok(dense) => (sketch, kind) = (dense, Encoding::Dense),
                    Err(_) => return assert!(!whole),
                },
                Ok(_) => {}
                Err(_) => return assert!(!whole),
            }
        }
        if kind == Encoding::Dense && dense_rank(&sketch, mark.register) < mark.rank {
            set_dense_rank(&mut sketch, mark.register, mark.rank);
        }
        ranks[mark.register] = ranks[mark.register].max(mark.rank);
    }
    if whole {
        let mut merged = [0; REGISTERS];
        merge(&mut merged, &sketch, kind).expect("marks leave a sketch whole");
        assert!(merged == ranks);
        assert_eq!(count(&sketch, kind), Ok(count_ranks(&ranks)));
    }
});
