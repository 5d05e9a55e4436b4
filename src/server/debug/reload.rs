//! DEBUG RELOAD: the dataset through a file and back.

use crate::db::keyspace;
use crate::persistence::save::{self, Failed, Loaded};
use crate::scripting::functions;
use crate::server::{Client, CmdError, CmdResult, Server};

/// `DEBUG RELOAD [MERGE] [NOFLUSH] [NOSAVE]`
pub(super) fn reload(srv: &mut Server, c: &mut Client) -> CmdResult {
    let (mut merge, mut flush, mut write) = (false, true, true);
    for word in c.argv.iter_from(2) {
        match word.to_ascii_lowercase().as_slice() {
            b"merge" => merge = true,
            b"noflush" => flush = false,
            b"nosave" => write = false,
            _ => {
                return Err(CmdError::text(
                    "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.",
                ));
            }
        }
    }
    if write {
        save::save(srv).map_err(|Failed| CmdError::text("ERR"))?;
    }
    if flush {
        keyspace::empty(srv);
        functions::flush(srv, false);
    }
    if save::load(srv, merge) != Loaded::Done {
        return Err(CmdError::text("ERR Error trying to load the RDB dump, check server logs."));
    }
    log::info!("DB reloaded by DEBUG RELOAD");
    c.out.ok();
    Ok(())
}
