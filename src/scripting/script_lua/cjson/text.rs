//! Strings of JSON texts, as they are written.
//!
//! Escaped are control characters, quote, backslash, the slash (so that a text may stand within HTML's `<script>`), and
//! DEL. All other bytes pass as they are, valid UTF-8 or not.

/// Bytes that are looked at together. The compiler turns the loop over them into vector comparisons.
const LANES: usize = 16;

const fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'/' || byte == b'\\' || byte == 0x7f
}

/// The same for every byte, to be looked up one at a time.
static NEEDS_ESCAPE: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = needs_escape(byte as u8);
        byte += 1;
    }
    table
};

/// The length of the front of `text` that passes as it is.
#[inline]
fn plain_length(text: &[u8]) -> usize {
    let chunks = text.chunks_exact(LANES);
    let plain =
        chunks.clone().take_while(|chunk| !chunk.iter().fold(false, |any, byte| any | needs_escape(*byte)));
    let length = plain.count() * LANES;
    let rest = &text[length..];
    length + rest.iter().position(|byte| NEEDS_ESCAPE[usize::from(*byte)]).unwrap_or(rest.len())
}

/// Appends a string in quotes.
pub fn write_string(out: &mut Vec<u8>, mut text: &[u8]) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    loop {
        let plain = plain_length(text);
        out.extend_from_slice(&text[..plain]);
        let Some(byte) = text.get(plain) else { break };
        write_escape(out, *byte);
        text = &text[plain + 1..];
    }
    out.push(b'"');
}

fn write_escape(out: &mut Vec<u8>, byte: u8) {
    let letter = match byte {
        8 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        12 => b'f',
        b'\r' => b'r',
        b'"' | b'/' | b'\\' => byte,
        byte => {
            let digit = |nibble: u8| b"0123456789abcdef"[usize::from(nibble)];
            return out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
        }
    };
    out.extend_from_slice(&[b'\\', letter]);
}

#[cfg(test)]
mod tests {
    use super::super::scanner::{Scanner, Token};
    use super::*;
    use proptest::prelude::*;

    fn written(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        write_string(&mut out, text);
        out
    }

    #[test]
    fn every_byte() {
        let all: Vec<u8> = (0..=255).collect();
        let expected = b"\"\\u0000\\u0001\\u0002\\u0003\\u0004\\u0005\\u0006\\u0007\\b\\t\\n\\u000b\\f\\r\\u000e\\u000f\
            \\u0010\\u0011\\u0012\\u0013\\u0014\\u0015\\u0016\\u0017\\u0018\\u0019\\u001a\\u001b\\u001c\\u001d\\u001e\\u001f\
             \x20!\\\"#$%&'()*+,-.\\/0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\\\]^_`abcdefghijklmnopqrstuvwxyz{|}~\\u007f";
        let mut expected = expected.to_vec();
        expected.extend(0x80..=0xff);
        expected.push(b'"');
        assert_eq!(written(&all), expected);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(text in prop::collection::vec(any::<u8>(), 0..100)) {
            let json = written(&text);
            let mut scanner = Scanner::new(&json, true);
            prop_assert_eq!(scanner.next_token(), Token::String(&text));
        }

        #[test]
        fn plain_texts_pass(text in "[a-z é]{0,80}") {
            prop_assert_eq!(written(text.as_bytes()), format!("\"{text}\"").into_bytes());
        }
    }
}
