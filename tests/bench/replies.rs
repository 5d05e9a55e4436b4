//! Counts replies in a stream of bytes, without keeping them.
//!
//! A [`ReplyScanner`] reads RESP2 and RESP3 as it arrives, in pieces of any size. It finds the end of each header line, skips
//! the payload of bulk strings unread, and knows of nested replies only how many elements are still to come.

/// What a scanner has counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Complete replies, errors and nulls included.
    pub replies: u64,
    /// Null elements (`$-1`, `*-1`, `_`), nested ones included. A row that expects hits must see none.
    pub nulls: u64,
    /// Error elements.
    pub errors: u64,
    /// The text of the first error.
    pub first_error: Option<String>,
}

/// The state between two pieces of one connection's stream.
#[derive(Default)]
pub struct ReplyScanner {
    /// Bytes to skip: the rest of a bulk string's payload and its CRLF.
    payload_left: usize,
    /// A header line of which the end has not come yet.
    partial_line: Vec<u8>,
    /// Elements to come before the reply is complete, or 0 between two replies.
    elements_left: u64,
}

impl ReplyScanner {
    /// Reads on, and adds what came to its end to `tally`. An error means that the bytes are not RESP.
    pub fn feed(&mut self, mut bytes: &[u8], tally: &mut Tally) -> Result<(), String> {
        while !bytes.is_empty() {
            if self.payload_left > 0 {
                let skipped = self.payload_left.min(bytes.len());
                self.payload_left -= skipped;
                bytes = &bytes[skipped..];
                if self.payload_left == 0 {
                    self.end_element(tally);
                }
                continue;
            }
            // Header lines are a few bytes long: a plain loop finds their end sooner than a vector search is set up.
            let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else {
                self.partial_line.extend_from_slice(bytes);
                return Ok(());
            };
            if self.partial_line.is_empty() {
                self.header(&bytes[..end], tally)?;
            } else {
                let mut line = std::mem::take(&mut self.partial_line);
                line.extend_from_slice(&bytes[..end]);
                self.header(&line, tally)?;
            }
            bytes = &bytes[end + 1..];
        }
        Ok(())
    }

    /// Takes in a header line, which still has its CR.
    fn header(&mut self, line: &[u8], tally: &mut Tally) -> Result<(), String> {
        let malformed = || format!("not a reply: {:?}", String::from_utf8_lossy(line));
        let (&kind, rest) = line.strip_suffix(b"\r").and_then(<[u8]>::split_first).ok_or_else(malformed)?;
        if self.elements_left == 0 {
            self.elements_left = 1;
        }
        match kind {
            b'+' | b':' | b',' | b'#' | b'(' => self.end_element(tally),
            b'_' => self.end_null(tally),
            b'-' => {
                tally.errors += 1;
                tally.first_error.get_or_insert_with(|| String::from_utf8_lossy(rest).into_owned());
                self.end_element(tally);
            }
            b'$' | b'=' | b'!' => match length(rest).ok_or_else(malformed)? {
                None => self.end_null(tally),
                Some(length) => self.payload_left = length as usize + 2,
            },
            b'*' | b'~' | b'>' | b'%' => match length(rest).ok_or_else(malformed)? {
                None => self.end_null(tally),
                Some(count) => {
                    self.elements_left += if kind == b'%' { 2 * count } else { count };
                    self.end_element(tally);
                }
            },
            _ => return Err(malformed()),
        }
        Ok(())
    }

    fn end_null(&mut self, tally: &mut Tally) {
        tally.nulls += 1;
        self.end_element(tally);
    }

    fn end_element(&mut self, tally: &mut Tally) {
        self.elements_left -= 1;
        tally.replies += u64::from(self.elements_left == 0);
    }
}

/// The length in a header: `Some(None)` is the length -1 of a null.
fn length(digits: &[u8]) -> Option<Option<u64>> {
    if digits == b"-1" {
        return Some(None);
    }
    if digits.is_empty() || digits.len() > 15 {
        return None;
    }
    digits
        .iter()
        .try_fold(0, |value, digit| digit.is_ascii_digit().then(|| value * 10 + u64::from(digit - b'0')))
        .map(Some)
}
