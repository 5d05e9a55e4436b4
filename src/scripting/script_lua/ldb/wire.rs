//! The conversation with the debugging client, on its own socket: commands come as RESP arrays of bulk strings, and each is
//! answered with an array of status lines.
//!
//! While a session lasts the socket blocks, and nothing but the session reads from it. The reader of commands is
//! as lenient as upstream's: it begins at the first asterisk, and what follows a command in the same read is
//! dropped. It believes no length beyond [`MOST_ARGUMENTS`] and [`LONGEST_ARGUMENT`], and no command may be longer than
//! [`LONGEST_INPUT`], so that a hostile client ends its session and nothing else.

use std::time::{Duration, Instant};

use crate::io::connection::{Connection, Read};
use crate::server::signals;

/// Arguments of a command.
const MOST_ARGUMENTS: i64 = 1024;

/// Bytes of an argument.
const LONGEST_ARGUMENT: i64 = 1024;

/// Bytes that a client may send until they are a command.
const LONGEST_INPUT: usize = 1 << 20;

/// Bytes of lines that wait to be sent. A script that logs without end would fill the memory; what comes beyond is dropped.
const MOST_LOG_BYTES: usize = 64 << 20;

/// How long the client may take no bytes.
const PATIENCE: Duration = Duration::from_secs(5);

/// What came from the client.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// A command of at least one word.
    Command(Vec<Vec<u8>>),
    /// The client has gone, or the server is to end.
    Gone,
    /// The client does not speak the protocol.
    Broken(&'static [u8]),
}

/// How far the bytes are that came so far.
#[derive(Debug, PartialEq, Eq)]
enum Parsed {
    Command(Vec<Vec<u8>>),
    Incomplete,
    Broken,
}

/// The conversation.
#[derive(Debug)]
pub struct Wire {
    conn: Connection,
    /// Lines that are to be sent.
    log: Vec<Vec<u8>>,
    log_bytes: usize,
    /// Whether nothing can be read or sent any more.
    gone: bool,
}

impl Wire {
    /// A conversation on `conn`, which blocks from now on.
    ///
    /// # Errors
    /// If the system cannot have it so.
    pub fn open(conn: Connection) -> std::io::Result<Wire> {
        conn.set_blocking(true)?;
        conn.set_send_timeout(PATIENCE)?;
        Ok(Wire { conn, log: Vec::new(), log_bytes: 0, gone: false })
    }

    /// Ends the conversation: the socket is as it was.
    ///
    /// # Errors
    /// If the system cannot have it so.
    pub fn close(self) -> std::io::Result<()> {
        self.conn.set_send_timeout(Duration::ZERO)?;
        self.conn.set_blocking(false)
    }

    /// Adds a line to what is sent next.
    pub fn log(&mut self, line: Vec<u8>) {
        if !self.is_full() {
            self.log_bytes += line.len() + size_of::<Vec<u8>>();
            self.log.push(line);
        }
    }

    /// Whether lines that are added now are dropped.
    pub fn is_full(&self) -> bool {
        self.log_bytes >= MOST_LOG_BYTES
    }

    /// Sends the lines. Line breaks within them become blanks.
    pub fn send_log(&mut self) {
        let mut bytes = format!("*{}\r\n", self.log.len()).into_bytes();
        for line in self.log.drain(..) {
            bytes.push(b'+');
            bytes.extend(line.iter().map(|b| if matches!(b, b'\r' | b'\n') { b' ' } else { *b }));
            bytes.extend_from_slice(b"\r\n");
        }
        self.log_bytes = 0;
        self.send(&bytes);
    }

    /// Sends bytes. A client that takes none for too long counts as gone.
    pub fn send(&mut self, mut bytes: &[u8]) {
        let mut begun = Instant::now();
        while !bytes.is_empty() && !self.gone {
            match self.conn.write(bytes) {
                // A signal has interrupted it, or time is up.
                Ok(0) => self.gone = begun.elapsed() >= PATIENCE,
                Ok(sent) => (bytes, begun) = (&bytes[sent..], Instant::now()),
                Err(_) => self.gone = true,
            }
        }
    }

    /// Waits for a command.
    pub fn hear(&mut self) -> Heard {
        let mut input = Vec::new();
        while !self.gone && !signals::asked() {
            match self.conn.read_append(&mut input, 1024) {
                Read::Bytes(_) => {}
                Read::WouldBlock => continue, // A signal has interrupted it.
                Read::Eof | Read::Broken(_) => {
                    self.gone = true;
                    break;
                }
            }
            if input.len() > LONGEST_INPUT {
                return Heard::Broken(b"max client buffer reached");
            }
            match parse(&input) {
                Parsed::Command(words) => return Heard::Command(words),
                Parsed::Incomplete => {}
                Parsed::Broken => return Heard::Broken(b"protocol error"),
            }
        }
        Heard::Gone
    }

    /// Whether the client is gone, as far as the system knows: it has closed its end.
    pub fn find_gone(&mut self) -> bool {
        self.gone = self.gone || self.conn.peer_has_closed();
        self.gone || signals::asked()
    }
}

/// The number at the beginning of `text`, as C's `atoi` reads it: 0 if there is none.
pub fn leading_int(text: &[u8]) -> i64 {
    let text = text.trim_ascii_start();
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    let digits = digits.iter().take_while(|b| b.is_ascii_digit());
    let n = digits.fold(0i64, |n, digit| n.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    i64::from((if negative { -n } else { n }) as i32)
}

/// Splits a line off: what is before the next line break, and what is behind it.
fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memmem::find(bytes, b"\r\n")?;
    Some((&bytes[..end], &bytes[end + 2..]))
}

fn parse(input: &[u8]) -> Parsed {
    let Some(start) = memchr::memchr(b'*', input) else { return Parsed::Broken };
    let Some((count, mut rest)) = line(&input[start + 1..]) else { return Parsed::Incomplete };
    let count = leading_int(count);
    if !(1..=MOST_ARGUMENTS).contains(&count) {
        return Parsed::Broken;
    }
    let mut words = Vec::new();
    for _ in 0..count {
        match rest.first() {
            None => return Parsed::Incomplete,
            Some(b'$') => {}
            Some(_) => return Parsed::Broken,
        }
        let Some((len, bytes)) = line(&rest[1..]) else { return Parsed::Incomplete };
        let len = leading_int(len);
        if !(1..=LONGEST_ARGUMENT).contains(&len) {
            return Parsed::Broken;
        }
        let Some((word, behind)) = bytes.split_at_checked(len as usize) else { return Parsed::Incomplete };
        match behind {
            [b'\r', b'\n', behind @ ..] => rest = behind,
            [] | [_] => return Parsed::Incomplete,
            _ => return Parsed::Broken,
        }
        words.push(word.to_vec());
    }
    Parsed::Command(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_known_once_it_is_complete() {
        let whole = b"*2\r\n$5\r\nbreak\r\n$2\r\n-1\r\n";
        for end in 1..whole.len() {
            assert_eq!(parse(&whole[..end]), Parsed::Incomplete, "{end}");
        }
        let command = || Parsed::Command(vec![b"break".to_vec(), b"-1".to_vec()]);
        assert_eq!(parse(whole), command());
        assert_eq!(parse(&[b"\r\nxx", &whole[..], b"*1\r\n"].concat()), command());
    }

    #[test]
    fn what_is_no_command_is_refused() {
        let long = format!("*1\r\n${}\r\n", LONGEST_ARGUMENT + 1);
        let many = format!("*{}\r\n", MOST_ARGUMENTS + 1);
        for input in [
            "",
            "ping\r\n",
            "*0\r\n",
            "*-1\r\n",
            "*x\r\n",
            "*1\r\n:1\r\n",
            "*1\r\n$0\r\n\r\n",
            "*1\r\n$-1\r\n",
            "*1\r\n$1\r\nsxx",
            "*4294967296\r\n",
            "*99999999999999999999\r\n",
            &long,
            &many,
        ] {
            assert_eq!(parse(input.as_bytes()), Parsed::Broken, "{input:?}");
        }
    }

    #[test]
    fn numbers_are_read_as_far_as_they_go() {
        for (text, n) in [
            ("12", 12),
            (" -3x", -3),
            ("+4", 4),
            ("x", 0),
            ("", 0),
            ("-", 0),
            ("99999999999999999999", -1),
            ("2147483647", 2147483647),
        ] {
            assert_eq!(leading_int(text.as_bytes()), n, "{text:?}");
        }
    }
}
