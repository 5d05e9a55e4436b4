//! redis-cli: the command-line client.
//!
//! It runs a single command given on the command line, or reads commands from a terminal or a pipe. It knows the protocol
//! and nothing of the server; what commands exist, and what they take, it asks the server it is connected to.
//!
//! | file            | what it is                                                        |
//! |-----------------|-------------------------------------------------------------------|
//! | [`options`]     | the command line                                                  |
//! | [`uri`]         | servers written as `redis://…`                                    |
//! | [`resp`]        | decoding replies, encoding commands                               |
//! | [`connection`]  | the socket                                                        |
//! | [`interrupt`]   | Ctrl-C while messages stream in                                   |
//! | [`session`]     | connecting, running commands, following redirections              |
//! | [`format`]      | how replies are printed                                           |
//! | [`docs`]        | what the server says about its commands                           |
//! | [`hints`]       | what may follow the words typed so far                            |
//! | [`help`]        | the `help` command, and completion                                |
//! | [`hint_suite`]  | checking hints from a file, for tests                             |
//! | [`one_shot`]    | a single command, or a script                                     |
//! | [`ldb`]         | debugging a script                                                |
//! | [`repl`]        | the interactive loop                                              |
//! | [`line_editor`] | where its lines come from                                         |
//! | [`history`]     | the lines typed before                                            |
//! | [`preferences`] | `:set` and `~/.redisclirc`                                        |
//! | [`terminal`]    | what kind of terminal there is, and reading passwords from it     |
//! | [`lenient`]     | numbers with something behind them                                |

pub mod connection;
pub mod docs;
pub mod format;
pub mod help;
pub mod hint_suite;
pub mod hints;
pub mod history;
pub mod interrupt;
pub mod ldb;
pub mod lenient;
pub mod line_editor;
pub mod one_shot;
pub mod options;
pub mod preferences;
pub mod repl;
pub mod resp;
pub mod session;
pub mod terminal;
pub mod uri;

use std::env;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::process::ExitCode;

use help::Help;
use options::{CommandLine, Stop};
use session::{Exit, Session, complain, print};

/// The version of Redis whose behaviour this program has.
pub const REDIS_VERSION: &str = "8.0.2";

/// The line that `--version` prints: the version of Redis, and in the place where others put the commit they were built
/// from, who made this one.
pub fn version_line() -> String {
    format!("redis-cli {REDIS_VERSION} ({} {})", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
}

/// The program. `args` are those behind its name.
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let args: Vec<Vec<u8>> = args.map(OsString::into_vec).collect();
    let (Ok(Exit(status)) | Err(Exit(status))) = run(&args);
    ExitCode::from(status)
}

/// Runs the program. Both outcomes are exit statuses; an error is one that cut something short.
fn run(args: &[Vec<u8>]) -> Result<Exit, Exit> {
    let CommandLine { mut options, command, warnings } =
        options::parse(args, terminal::output_is_terminal()).or_else(stop)?;
    for warning in warnings {
        complain(format_args!("{warning}"));
    }
    if options.password.is_none() {
        options.password = env::var_os("REDISCLI_AUTH").map(|password| password.as_bytes().to_vec());
    }
    if options.ask_password {
        let password = terminal::read_password("Please input password: ").map_err(|error| {
            complain(format_args!("Error: {error}"));
            Exit::FAILURE
        })?;
        options.password = Some(password);
    }
    let mut session = Session::new(options);
    let mut help = Help::default();
    if let Some(line) = session.options().test_hint.clone() {
        return hint_suite::print_hint(&mut session, &mut help, &line);
    }
    if let Some(file) = session.options().test_hint_file.clone() {
        return hint_suite::run(&mut session, &mut help, &file);
    }
    if session.options().eval.is_some() {
        match session.options().ldb {
            Some(mode) => repl::debug(&mut session, &mut help, command, mode),
            None => one_shot::run_script(&mut session, &command),
        }
    } else if command.is_empty() {
        repl::run(&mut session, &mut help)
    } else {
        one_shot::run(&mut session, &mut help, command)
    }
}

/// Prints what the command line asked for instead of running something.
fn stop<T>(stop: Stop) -> Result<T, Exit> {
    match stop {
        Stop::Help => print(format!("{}\n{}", version_line(), options::usage()).as_bytes())?,
        Stop::Version => print(format!("{}\n", version_line()).as_bytes())?,
        Stop::Error(text) => {
            complain(format_args!("{text}"));
            return Err(Exit::FAILURE);
        }
    }
    Err(Exit::SUCCESS)
}
