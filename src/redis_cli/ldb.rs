//! The debugger of scripts, from its user's side: `--ldb` with `--eval`, or SCRIPT DEBUG and EVAL typed by hand.
//!
//! While a session lasts the server answers each line with an array of statuses, which are shown in colours. With
//! `<endsession>` it says that what follows is the reply of EVAL, and that the connection ends with it; then another is
//! made, and all is as before.

use std::env;

use super::one_shot;
use super::resp::Reply;
use super::session::{Exit, Report, Session, print};

/// What stands on the line behind which the user types.
pub const PROMPT: &str = "lua debugger> ";

/// How the server is to debug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In a process of its own: changes are rolled back.
    Forked,
    /// In the server itself, which waits meanwhile: changes stay.
    Sync,
}

/// Where a session stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Debugging {
    /// There is none.
    #[default]
    Off,
    /// The next EVAL begins one.
    Armed(Mode),
    /// The server answers as a debugger.
    Running(Mode),
    /// It has said that it does no longer; the reply of EVAL is still to come.
    Ended(Mode),
}

impl Debugging {
    /// What it is once this command has been sent.
    pub fn after(self, args: &[Vec<u8>]) -> Debugging {
        let is = |at: usize, word: &str| {
            args.get(at).is_some_and(|arg: &Vec<u8>| arg.eq_ignore_ascii_case(word.as_bytes()))
        };
        match self {
            Debugging::Running(_) => self,
            _ if is(0, "script") && is(1, "debug") && args.len() == 3 => {
                if is(2, "yes") {
                    Debugging::Armed(Mode::Forked)
                } else if is(2, "sync") {
                    Debugging::Armed(Mode::Sync)
                } else {
                    Debugging::Off
                }
            }
            Debugging::Armed(mode) if is(0, "eval") => Debugging::Running(mode),
            other => other,
        }
    }

    /// What it is once the server has answered so.
    pub fn after_reply(self, reply: &Reply) -> Debugging {
        let Debugging::Running(mode) = self else { return self };
        match reply {
            Reply::Array(lines) if lines.iter().any(is_end) => Debugging::Ended(mode),
            Reply::Array(_) => self,
            _ => Debugging::Off, // The server has refused EVAL.
        }
    }
}

fn is_end(line: &Reply) -> bool {
    matches!(line, Reply::Status(text) if text.starts_with(b"<endsession>"))
}

/// The same reply as the user is to see it: in colours if the terminal has them.
pub fn shown(reply: &Reply) -> Reply {
    let colours = env::var("TERM").is_ok_and(|term| term.contains("xterm"));
    let Reply::Array(lines) = reply else { return reply.clone() };
    Reply::Array(lines.iter().map(|line| shown_line(line, colours)).collect())
}

fn shown_line(line: &Reply, colours: bool) -> Reply {
    match line {
        line if is_end(line) => Reply::Status(Vec::new()),
        Reply::Status(text) if colours => {
            let begin = format!("\x1b[{};49m", colour(text));
            Reply::Status([begin.as_bytes(), text, b"\x1b[0m"].concat())
        }
        other => other.clone(),
    }
}

/// The colour of a line, by what it is about.
fn colour(text: &[u8]) -> &'static str {
    const BOLD: &str = "1;37";
    let has = |word: &str| memchr::memmem::find(text, word.as_bytes()).is_some();
    match text {
        [_, b'>', _, b'0'..=b'9', _, ..] => "0;33", // The current line.
        [_, _, b'#', b'0'..=b'9', _, ..] => BOLD,   // A breakpoint.
        _ if has("<value>") || has("<retval>") => "0;35",
        _ if has("<hint>") => BOLD,
        _ if has("<error>") => "0;31",
        _ if has("<reply>") => "0;36",
        _ if has("<redis>") => "0;32",
        _ if has("<debug>") => BOLD,
        _ => "0;37",
    }
}

/// The words of a line. What is to be evaluated is passed on as it was typed.
pub fn split_evaluation(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (name, code) = ["eval ", "e "]
        .iter()
        .find_map(|name| Some((name.trim_end(), line.strip_prefix(name.as_bytes())?)))?;
    let mut words = vec![name.as_bytes().to_vec()];
    if !code.is_empty() {
        words.push(code.to_vec());
    }
    Some(words)
}

/// Begins to debug the script of `--eval`. Answers whether there is a session now; if not, the user has been told why.
pub fn start(session: &mut Session, args: &[Vec<u8>], mode: Mode) -> Result<bool, Exit> {
    print(
        b"Lua debugging session started, please use:\n\
          quit    -- End the session.\n\
          restart -- Restart the script in debug mode again.\n\
          help    -- Show Lua script debugging commands.\n\n",
    )?;
    let command = one_shot::load_script(session, args)?;
    if !session.arm_debugger(mode) || !session.run(&command, 1)? {
        return Err(Exit::FAILURE);
    }
    if let Debugging::Ended(_) = session.debugging() {
        print(b"Eval debugging session can't start:\n")?;
        session.read_last_reply()?;
    }
    Ok(session.is_debugging())
}

/// Debugs the script of `--eval` anew, on a new connection; see [`start`].
pub fn restart(session: &mut Session, args: &[Vec<u8>], mode: Mode) -> Result<bool, Exit> {
    if !session.reconnect(Report::Errors) {
        return Err(Exit::FAILURE);
    }
    print(b"\n")?;
    start(session, args, mode)
}

/// Shows how the script has ended, if it has, and connects anew.
pub fn finish(session: &mut Session) -> Result<(), Exit> {
    let Debugging::Ended(mode) = session.debugging() else { return Ok(()) };
    session.read_last_reply()?;
    let fate = if mode == Mode::Sync { "" } else { " -- dataset changes rolled back" };
    print(format!("\n(Lua debugging session ended{fate})\n\n").as_bytes())?;
    session.reconnect(Report::Errors);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<Vec<u8>> {
        line.split(' ').map(|word| word.as_bytes().to_vec()).collect()
    }

    #[test]
    fn a_session_begins_with_eval_and_ends_when_the_server_says_so() {
        let armed = Debugging::Off.after(&words("Script DEBUG yes"));
        assert_eq!(armed, Debugging::Armed(Mode::Forked));
        assert_eq!(armed.after(&words("script debug no")), Debugging::Off);
        assert_eq!(armed.after(&words("get k")), armed);
        let running = armed.after(&words("script debug SYNC")).after(&words("EVAL x 0"));
        assert_eq!(running, Debugging::Running(Mode::Sync));
        let lines = |text: &str| Reply::Array(vec![Reply::Status(text.into())]);
        assert_eq!(running.after_reply(&lines("<value> <endsession>")), running);
        assert_eq!(running.after_reply(&lines("<endsession>")), Debugging::Ended(Mode::Sync));
        assert_eq!(running.after_reply(&Reply::Error(b"OOM".to_vec())), Debugging::Off);
        assert_eq!(Debugging::Off.after(&words("eval x 0")), Debugging::Off);
    }

    #[test]
    fn lines_have_the_colour_of_what_they_are_about() {
        for (text, expected) in [
            ("-> 1   <value>", "0;33"),
            ("->#1   x", "0;33"),
            ("  #12  x", "1;37"),
            ("   1   x", "0;37"),
            ("<value> x = \"<error>\"", "0;35"),
            ("<error> x", "0;31"),
            ("<redis> get k", "0;32"),
            ("<reply> 1", "0;36"),
            ("", "0;37"),
        ] {
            assert_eq!(colour(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn code_is_passed_on_as_it_is() {
        let split = |line: &str| split_evaluation(line.as_bytes());
        assert_eq!(split("e  \"a\" .. x"), Some(vec![b"e".to_vec(), b" \"a\" .. x".to_vec()]));
        assert_eq!(split("eval 1"), Some(words("eval 1")));
        assert_eq!(split("e "), Some(words("e")));
        assert_eq!(split("e"), None);
        assert_eq!(split("evaluate 1"), None);
    }
}
