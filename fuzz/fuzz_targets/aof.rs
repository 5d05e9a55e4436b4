//! Append-only files: commands are found as they were written, however the bytes come; a file that ends early is understood
//! up to its last whole command.
#![no_main]

use std::io::Read;

use libfuzzer_sys::fuzz_target;
use ochre::persistence::aof::reader::{Item, Reader};

/// Gives a few bytes at a time.
struct Trickle<'a>(&'a [u8], usize);

impl Read for Trickle<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let length = self.1.min(out.len()) as u64;
        (&mut self.0).take(length).read(out)
    }
}

fn read(bytes: &[u8], step: usize) -> (Vec<Vec<Vec<u8>>>, u64, bool) {
    let mut reader = Reader::new(Trickle(bytes, step), 0);
    let mut commands = Vec::new();
    loop {
        match reader.read() {
            Ok(Item::Command) => commands.push(reader.args().map(<[u8]>::to_vec).collect()),
            Ok(Item::Annotation) => {}
            Ok(Item::End) => return (commands, reader.offset(), true),
            Err(_) => return (commands, reader.offset(), false),
        }
    }
}

fuzz_target!(|input: (&[u8], u8)| {
    let (bytes, step) = input;
    let whole = read(bytes, usize::MAX);
    assert!(whole.1 <= bytes.len() as u64);
    assert_eq!(read(bytes, usize::from(step).max(1)), whole);
    // What is in front of the offset stands for itself.
    let (commands, offset, ended) = read(&bytes[..whole.1 as usize], usize::MAX);
    assert!(ended && (commands, offset) == (whole.0, whole.1));
});
