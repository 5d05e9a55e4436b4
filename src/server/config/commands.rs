//! The CONFIG command.

use super::set::{self, Change, Permissions, SetError};
use super::{effects, file::os_error_text, rewrite};
use crate::cmd_err;
use crate::server::{Client, CmdError, CmdResult, Server};

/// `CONFIG GET pattern [pattern ...]`
pub fn config_get(srv: &mut Server, c: &mut Client) -> CmdResult {
    let patterns: Vec<&[u8]> = c.argv.iter_from(2).collect();
    let found = set::get(&srv.config, &patterns);
    c.out.map(found.len());
    for (name, value) in found {
        c.out.bulk(&name);
        c.out.bulk(&value);
    }
    Ok(())
}

/// `CONFIG SET name value [name value ...]`
pub fn config_set(srv: &mut Server, c: &mut Client) -> CmdResult {
    if !c.argv.len().is_multiple_of(2) {
        return Err(CmdError::Syntax);
    }
    let pairs: Vec<(&[u8], &[u8])> =
        (2..c.argv.len()).step_by(2).map(|i| (c.argv.get(i), c.argv.get(i + 1))).collect();
    let protected = srv.config.enable_protected_configs.allows(c.is_local());
    // There is no dataset on disk yet that could be loading.
    change(srv, &pairs, Permissions { protected, loading: srv.persistence.loading.is_on() })
        .map_err(|error| CmdError::Bytes(error.reply().into()))?;
    c.out.ok();
    Ok(())
}

/// Sets directives and carries the changes into the server; if either fails, everything is as before.
fn change(srv: &mut Server, pairs: &[(&[u8], &[u8])], allowed: Permissions) -> Result<(), SetError> {
    let before = srv.config.clone();
    let changes = set::set(&mut srv.config, pairs, allowed)?;
    for (i, Change { effect, name }) in changes.iter().enumerate() {
        let Err(reason) = effects::apply_effect(srv, *effect) else {
            continue;
        };
        log::warn!(
            "Failed applying new configuration. Possibly related to new {name} setting. Restoring previous settings."
        );
        srv.config = before;
        restore(srv, &changes[..=i]);
        return Err(SetError::Refused { name: name.as_bytes().to_vec(), reason: reason.into() });
    }
    Ok(())
}

/// Applies again what was applied, now that the old values are back.
fn restore(srv: &mut Server, changes: &[Change]) {
    for change in changes {
        if let Err(reason) = effects::apply_effect(srv, change.effect) {
            log::warn!("Failed applying restored failed CONFIG SET command: {reason}");
        }
    }
}

/// `CONFIG REWRITE`
pub fn config_rewrite(srv: &mut Server, c: &mut Client) -> CmdResult {
    let Some(path) = &srv.config.origin.file else {
        return Err(cmd_err!("ERR The server is running without a config file"));
    };
    if let Err(error) = rewrite::rewrite_file(&srv.config, path, false) {
        let error = os_error_text(&error);
        log::warn!("CONFIG REWRITE failed: {error}");
        return Err(cmd_err!("ERR Rewriting config file: {error}"));
    }
    log::info!("CONFIG REWRITE executed with success.");
    c.out.ok();
    Ok(())
}

/// `CONFIG RESETSTAT`
pub fn config_resetstat(srv: &mut Server, c: &mut Client) -> CmdResult {
    srv.reset_stats();
    c.out.ok();
    Ok(())
}

/// `CONFIG HELP`
pub fn config_help(_: &mut Server, c: &mut Client) -> CmdResult {
    c.out.help(
        "CONFIG",
        &[
            "GET <pattern>",
            "    Show every directive that matches the glob <pattern>, with its value.",
            "SET <directive> <value>",
            "    Change <directive> to <value> while the server runs.",
            "RESETSTAT",
            "    Set the counters that INFO shows back to zero.",
            "REWRITE",
            "    Work the current values into the configuration file.",
        ],
    );
    Ok(())
}
