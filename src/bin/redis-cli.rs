//! `redis-cli`, the command-line client; see [`ochre::redis_cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    ochre::redis_cli::main(std::env::args_os().skip(1))
}
