//! `FUNCTION DUMP` and `FUNCTION RESTORE`: all libraries as a payload.

use crate::persistence::rdb;
use crate::server::{Client, CmdError, CmdResult, Server};

use super::commands::{refused, too_many_words};
use super::error::LoadError;
use super::{Policy, load_limit};

/// `FUNCTION DUMP`
pub fn function_dump(srv: &mut Server, c: &mut Client) -> CmdResult {
    let sources = srv.scripting.functions.sources().map(|source| source.as_ref());
    c.out.bulk(&rdb::functions_payload(sources, srv.config.rdb_version, srv.config.rdbcompression));
    Ok(())
}

/// `FUNCTION RESTORE serialized-value [FLUSH | APPEND | REPLACE]`
pub fn function_restore(srv: &mut Server, c: &mut Client) -> CmdResult {
    let policy = match c.argv.len() {
        3 => Policy::Append,
        4 if c.argv.is(3, b"append") => Policy::Append,
        4 if c.argv.is(3, b"replace") => Policy::Replace,
        4 if c.argv.is(3, b"flush") => Policy::Flush,
        4 => {
            return Err(CmdError::text(
                "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.",
            ));
        }
        _ => return Err(too_many_words(c)),
    };
    let restored = rdb::verify(c.argv.get(2), !srv.debug.skip_checksum_validation)
        .map_err(|_| LoadError::BadPayload)
        .and_then(|body| Ok(rdb::function_sources(body)?))
        .and_then(|sources| srv.scripting.functions.restore(sources, policy, load_limit(c)));
    restored.map_err(refused)?;
    srv.dirty(1);
    c.out.ok();
    Ok(())
}
