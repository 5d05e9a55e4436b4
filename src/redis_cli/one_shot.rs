//! One-shot use: a single command from the command line, or a script sent with EVAL.

use std::io::{self, Read};

use crate::ds::sds::split_args;

use super::connection::describe_io_error;
use super::help::Help;
use super::options::StdinArgument;
use super::session::{Exit, Report, Session, complain, print};

/// Runs the command given on the command line and returns the program's exit status.
pub fn run(session: &mut Session, help: &mut Help, args: Vec<Vec<u8>>) -> Result<Exit, Exit> {
    // Whether that worked shows when the command is run; `help` works without.
    session.connect(Report::Nothing);
    let args = gather_arguments(session, args)?;
    let repeat = session.options().repeat;
    let ran = help.run_or_help(session, &args, repeat)?;
    while session.is_subscribed() && session.read_message()? {}
    Ok(if ran { Exit::SUCCESS } else { Exit::FAILURE })
}

/// Sends the script in a file with EVAL. `args` are its keys and, behind a comma that stands alone, its arguments.
pub fn run_script(session: &mut Session, args: &[Vec<u8>]) -> Result<Exit, Exit> {
    if !session.connect(Report::Errors) {
        return Err(Exit::FAILURE);
    }
    let command = load_script(session, args)?;
    let repeat = session.options().repeat;
    let ran = session.run(&command, repeat)?;
    Ok(if ran { Exit::SUCCESS } else { Exit::FAILURE })
}

/// The EVAL that sends the script.
pub fn load_script(session: &Session, args: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, Exit> {
    let path = session.options().eval.clone().unwrap_or_default();
    let script = std::fs::read(&path).map_err(|error| {
        complain(format_args!("Can't open file '{}': {}", path.display(), describe_io_error(&error)));
        Exit::FAILURE
    })?;
    Ok(eval_command(script, args.to_vec()))
}

fn eval_command(script: Vec<u8>, mut args: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let keys = match args.iter().position(|arg| arg == b",") {
        Some(comma) => {
            args.remove(comma);
            comma
        }
        None => args.len(),
    };
    let mut command = vec![b"EVAL".to_vec(), script, keys.to_string().into_bytes()];
    command.append(&mut args);
    command
}

/// Unquotes the arguments if they are quoted, and fetches the one that comes from standard input.
fn gather_arguments(session: &Session, mut args: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, Exit> {
    if session.options().quoted_input {
        let unquoted: Option<Vec<Vec<u8>>> = args.iter().map(|arg| unquote(arg)).collect();
        let Some(unquoted) = unquoted else {
            print(b"Invalid quoted string\n")?;
            return Err(Exit::FAILURE);
        };
        args = unquoted;
    }
    match &session.options().stdin_argument {
        StdinArgument::None => {}
        StdinArgument::Last => args.push(read_stdin()?),
        StdinArgument::Tagged(tag) => {
            let Some(place) = args.iter_mut().find(|arg| *arg == tag) else {
                complain(format_args!("Using -X option but stdin tag not match."));
                return Err(Exit::FAILURE);
            };
            *place = read_stdin()?;
        }
    }
    Ok(args)
}

/// The string that `quoted` stands for, if it is exactly one.
fn unquote(quoted: &[u8]) -> Option<Vec<u8>> {
    let [word]: [Vec<u8>; 1] = split_args(quoted)?.try_into().ok()?;
    Some(word)
}

fn read_stdin() -> Result<Vec<u8>, Exit> {
    let mut bytes = Vec::new();
    match io::stdin().lock().read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => {
            complain(format_args!("Reading from standard input: {}", describe_io_error(&error)));
            Err(Exit::FAILURE)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<Vec<u8>> {
        line.split_whitespace().map(|word| word.as_bytes().to_vec()).collect()
    }

    #[test]
    fn a_comma_parts_keys_from_arguments() {
        assert_eq!(eval_command(b"s".to_vec(), words("k1 k2 , a ,")), words("EVAL s 2 k1 k2 a ,"));
        assert_eq!(eval_command(b"s".to_vec(), words("k1")), words("EVAL s 1 k1"));
        assert_eq!(eval_command(b"s".to_vec(), words(", a")), words("EVAL s 0 a"));
    }

    #[test]
    fn a_quoted_argument_is_one_string() {
        assert_eq!(unquote(b"\"a\\x00b\""), Some(b"a\0b".to_vec()));
        assert_eq!(unquote(b"plain"), Some(b"plain".to_vec()));
        assert_eq!(unquote(b"\"a\" \"b\""), None);
        assert_eq!(unquote(b"\"open"), None);
        assert_eq!(unquote(b""), None);
    }
}
