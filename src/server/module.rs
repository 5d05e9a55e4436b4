//! MODULE, on a server that has no modules.
//!
//! Upstream loads shared objects that are written against its C interface. There is nothing like that here: the list of modules is
//! empty, and every attempt to load one fails the way a file fails there that is none. What asks which modules there are
//! (clients and monitoring do when they connect) gets its answer, and what wants one is told in time that it cannot have it.

use crate::server::{Client, CmdError, CmdResult, Server};

const HELP: &[&str] = &[
    "LIST",
    "    List the modules that are loaded.",
    "LOAD <path> [<arg> ...]",
    "    Load the module at <path> with these arguments.",
    "LOADEX <path> [[CONFIG NAME VALUE] [CONFIG NAME VALUE]] [ARGS ...]",
    "    Load the module at <path> with values for its directives and arguments.",
    "UNLOAD <name>",
    "    Unload a module.",
];

/// `MODULE HELP`
pub fn module_help(_srv: &mut Server, c: &mut Client) -> CmdResult {
    c.out.help("MODULE", HELP);
    Ok(())
}

/// `MODULE LIST`
pub fn module_list(_srv: &mut Server, c: &mut Client) -> CmdResult {
    c.out.array(0);
    Ok(())
}

/// `MODULE LOAD path [arg ...]`
pub fn module_load(_srv: &mut Server, c: &mut Client) -> CmdResult {
    Err(refusal(c))
}

/// `MODULE LOADEX path [CONFIG name value [CONFIG name value ...]] [ARGS arg [arg ...]]`
pub fn module_loadex(_srv: &mut Server, c: &mut Client) -> CmdResult {
    let mut at = 3;
    while at < c.argv.len() && !c.argv.is(at, b"args") {
        if !c.argv.is(at, b"config") {
            log::info!("Unknown argument in MODULE LOADEX: {}", c.argv.get(at).escape_ascii());
            return Err(failure());
        }
        if at + 2 >= c.argv.len() {
            log::info!("CONFIG specified without name value pair");
            return Err(failure());
        }
        at += 3;
    }
    Err(refusal(c))
}

/// `MODULE UNLOAD name`
pub fn module_unload(_srv: &mut Server, c: &mut Client) -> CmdResult {
    log::warn!("Error unloading module {}: no such module with that name", c.argv.get(2).escape_ascii());
    Err(CmdError::text("ERR Error unloading module: no such module with that name"))
}

fn refusal(c: &Client) -> CmdError {
    log::warn!(
        "Module {} failed to load: this server has no interface for modules",
        c.argv.get(2).escape_ascii()
    );
    failure()
}

fn failure() -> CmdError {
    CmdError::text("ERR Error loading the extension. Please check the server logs.")
}
