//! The terminal: whether there is one, whether it has colours, and reading from it key by key.

use std::env;
use std::io::{self, BufRead, IsTerminal, Read, Write};

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};

/// Whether replies are printed for a person. The variable `FAKETTY` makes believe that they are; upstream's tests use
/// it.
pub fn output_is_terminal() -> bool {
    io::stdout().is_terminal() || env::var_os("FAKETTY").is_some()
}

/// Whether escape sequences for colours may be printed to standard output.
pub fn output_has_colours() -> bool {
    output_is_terminal() && env::var("TERM").is_ok_and(|term| term.contains("xterm"))
}

/// As long as it lives, keys pressed on standard input arrive at once and are not echoed. Without a terminal it does
/// nothing.
pub struct KeyMode {
    saved: Option<Termios>,
}

impl KeyMode {
    /// Changes the mode until the value is dropped.
    pub fn enter() -> KeyMode {
        let Some(saved) = tcgetattr(io::stdin()).ok() else { return KeyMode { saved: None } };
        let mut mode = saved.clone();
        mode.local_flags.remove(LocalFlags::ECHO | LocalFlags::ICANON);
        match tcsetattr(io::stdin(), SetArg::TCSANOW, &mode) {
            Ok(()) => KeyMode { saved: Some(saved) },
            Err(_) => KeyMode { saved: None },
        }
    }
}

impl Drop for KeyMode {
    fn drop(&mut self) {
        if let Some(saved) = &self.saved {
            // Nothing sensible is left to do when the terminal has gone away.
            let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, saved);
        }
    }
}

/// Asks for a password. On a terminal each character is shown as an asterisk; otherwise a line is read without asking.
///
/// # Errors
///
/// When standard input cannot be read.
pub fn read_password(prompt: &str) -> io::Result<Vec<u8>> {
    let mut stdin = io::stdin().lock();
    if !stdin.is_terminal() {
        let mut line = Vec::new();
        stdin.read_until(b'\n', &mut line)?;
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        return Ok(line);
    }
    let mut out = io::stdout().lock();
    write!(out, "{prompt}")?;
    out.flush()?;
    let _mode = KeyMode::enter();
    let password = read_masked(&mut stdin, &mut out)?;
    writeln!(out)?;
    Ok(password)
}

/// Reads up to the end of the line, understanding backspace, and prints an asterisk for each character.
fn read_masked(keys: &mut impl Read, out: &mut impl Write) -> io::Result<Vec<u8>> {
    let mut password: Vec<u8> = Vec::new();
    let mut key = [0];
    while keys.read(&mut key)? == 1 {
        match key[0] {
            b'\n' | b'\r' => break,
            0x08 | 0x7f => {
                // A character is as many bytes as UTF-8 takes for it; only its first byte was shown.
                while let Some(byte) = password.pop() {
                    if is_first_byte(byte) {
                        out.write_all(b"\x08 \x08")?;
                        break;
                    }
                }
            }
            byte => {
                password.push(byte);
                if is_first_byte(byte) {
                    out.write_all(b"*")?;
                }
            }
        }
        out.flush()?;
    }
    Ok(password)
}

fn is_first_byte(byte: u8) -> bool {
    byte & 0xc0 != 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_masked_and_can_be_corrected() {
        let mut shown = Vec::new();
        let typed = "a\u{e9}x\x7f\x7fb\nrest";
        assert_eq!(read_masked(&mut typed.as_bytes(), &mut shown).unwrap(), b"ab");
        assert_eq!(shown, b"***\x08 \x08\x08 \x08*");
    }

    #[test]
    fn a_password_ends_with_the_input() {
        assert_eq!(read_masked(&mut b"\x7fab".as_slice(), &mut Vec::new()).unwrap(), b"ab");
    }
}
