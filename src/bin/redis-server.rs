//! The server, and what it is under other names: see `ochre::server::start`,
//! `ochre::persistence::rdb::check`, `ochre::persistence::aof::check`.

use std::ffi::OsString;
use std::path::Path;

fn main() {
    let args: Vec<OsString> = std::env::args_os().collect();
    let name = args.first().and_then(|program| Path::new(program).file_name()).unwrap_or_default();
    std::process::exit(match name.to_string_lossy() {
        name if name.contains("redis-check-rdb") => ochre::persistence::rdb::check::main(&args),
        name if name.contains("redis-check-aof") => ochre::persistence::aof::check::main(&args),
        _ => ochre::server::start::main(args.into_iter().skip(1).collect()),
    });
}
