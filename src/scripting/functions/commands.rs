//! FUNCTION and FCALL.

use crate::cmd_err;
use crate::ds::glob;
use crate::scripting::eval;
use crate::scripting::script::{self, Callable, Kind, ScriptFlags};
use crate::server::{Client, CmdError, CmdResult, Out, Server};

use super::error::LoadError;
use super::header;
use super::library::{Function, Library};

/// The reply of a command that was to load a library.
pub(super) fn refused(error: LoadError) -> CmdError {
    CmdError::Bytes([b"ERR ", error.to_bytes().as_slice()].concat().into())
}

/// What a subcommand answers that was given more words than it knows.
pub(super) fn too_many_words(c: &Client) -> CmdError {
    let sent = String::from_utf8_lossy(c.argv.get(1)).into_owned();
    cmd_err!("ERR unknown subcommand or wrong number of arguments for '{sent}'. Try FUNCTION HELP.")
}

/// An error that shows an argument.
fn about(text: &str, arg: &[u8]) -> CmdError {
    CmdError::Bytes([text.as_bytes(), arg].concat().into())
}

/// `FUNCTION LOAD [REPLACE] function-code`
pub fn function_load(srv: &mut Server, c: &mut Client) -> CmdResult {
    let source = c.argv.len() - 1;
    let mut replace = false;
    for i in 2..source {
        if !c.argv.is(i, b"replace") {
            return Err(about("ERR Unknown option given: ", c.argv.get(i)));
        }
        replace = true;
    }
    let source = c.argv.bytes(source);
    let name = srv.scripting.functions.load(source, replace, super::load_limit(c)).map_err(refused)?;
    srv.dirty(1);
    c.out.bulk(&name);
    Ok(())
}

/// `FUNCTION DELETE library-name`
pub fn function_delete(srv: &mut Server, c: &mut Client) -> CmdResult {
    if !srv.scripting.functions.delete(c.argv.get(2)) {
        return Err(CmdError::text("ERR Library not found"));
    }
    srv.dirty(1);
    c.out.ok();
    Ok(())
}

/// `FUNCTION FLUSH [ASYNC | SYNC]`
pub fn function_flush(srv: &mut Server, c: &mut Client) -> CmdResult {
    let lazily = match c.argv.len() {
        2 => srv.config.lazyfree_lazy_user_flush,
        3 if c.argv.is(2, b"sync") => false,
        3 if c.argv.is(2, b"async") => true,
        3 => return Err(CmdError::text("ERR FUNCTION FLUSH only supports SYNC|ASYNC option")),
        _ => return Err(too_many_words(c)),
    };
    super::flush(srv, lazily);
    srv.dirty(1);
    c.out.ok();
    Ok(())
}

/// `FUNCTION LIST [LIBRARYNAME library-name-pattern] [WITHCODE]`
pub fn function_list(srv: &mut Server, c: &mut Client) -> CmdResult {
    let (mut pattern, mut with_code) = (None, false);
    let mut i = 2;
    while i < c.argv.len() {
        if !with_code && c.argv.is(i, b"withcode") {
            with_code = true;
        } else if pattern.is_none() && c.argv.is(i, b"libraryname") {
            i += 1;
            if i == c.argv.len() {
                return Err(CmdError::text("ERR library name argument was not given"));
            }
            pattern = Some(c.argv.get(i));
        } else {
            return Err(about("ERR Unknown argument ", c.argv.get(i)));
        }
        i += 1;
    }
    let wanted = |library: &&Library| pattern.is_none_or(|p| glob::matches(p, &library.name, true));
    let libraries: Vec<&Library> = srv.scripting.functions.libraries.iter().filter(wanted).collect();
    c.out.array(libraries.len());
    for library in libraries {
        list_library(&mut c.out, library, with_code);
    }
    Ok(())
}

fn list_library(out: &mut Out, library: &Library, with_code: bool) {
    out.map(if with_code { 4 } else { 3 });
    out.bulk(b"library_name");
    out.bulk(&library.name);
    out.bulk(b"engine");
    out.bulk(header::ENGINE.as_bytes());
    out.bulk(b"functions");
    out.array(library.functions.len());
    for function in &library.functions {
        list_function(out, function);
    }
    if with_code {
        out.bulk(b"library_code");
        out.bulk_shared(&library.source);
    }
}

fn list_function(out: &mut Out, function: &Function) {
    out.map(3);
    out.bulk(b"name");
    out.bulk(function.name.as_bytes());
    out.bulk(b"description");
    match function.description.as_deref() {
        Some(text) => out.bulk(text),
        None => out.null(),
    }
    out.bulk(b"flags");
    let flags = ScriptFlags::NAMES.iter().filter(|(_, flag)| function.flags.contains(*flag));
    out.set(flags.clone().count());
    flags.for_each(|(name, _)| out.simple(name));
}

/// `FUNCTION STATS`
pub fn function_stats(srv: &mut Server, c: &mut Client) -> CmdResult {
    let running = srv.scripting.running.as_ref();
    if running.is_some_and(|running| running.kind == Kind::Eval) {
        return Err(script::busy_error(srv).expect("clients are served while a script runs when it is busy"));
    }
    c.out.map(2);
    c.out.bulk(b"running_script");
    match running {
        None => c.out.null(),
        Some(running) => {
            c.out.map(3);
            c.out.bulk(b"name");
            c.out.bulk(running.name.as_bytes());
            c.out.bulk(b"command");
            c.out.array(running.command.len());
            running.command.iter().for_each(|word| c.out.bulk(word));
            c.out.bulk(b"duration_ms");
            c.out.int(running.duration_ms() as i64);
        }
    }
    c.out.bulk(b"engines");
    c.out.map(1);
    c.out.bulk(header::ENGINE.as_bytes());
    c.out.map(2);
    c.out.bulk(b"libraries_count");
    c.out.count(srv.scripting.functions.libraries.len());
    c.out.bulk(b"functions_count");
    c.out.count(srv.scripting.functions.libraries.functions_len());
    Ok(())
}

/// `FUNCTION KILL`
pub fn function_kill(srv: &mut Server, c: &mut Client) -> CmdResult {
    script::kill(srv, Kind::Function)?;
    c.out.ok();
    Ok(())
}

/// `FUNCTION HELP`
pub fn function_help(_srv: &mut Server, c: &mut Client) -> CmdResult {
    c.out.help(
        "FUNCTION",
        &[
            "LOAD [REPLACE] <FUNCTION CODE>",
            "    Add a library, or put it in the place of its namesake. Its first line is #!lua name=<library name>.",
            "DELETE <LIBRARY NAME>",
            "    Remove a library with its functions.",
            "LIST [LIBRARYNAME PATTERN] [WITHCODE]",
            "    Show the libraries, and of each:",
            "    * its name",
            "    * the engine that runs it",
            "    * its functions",
            "    * its source, if asked to with WITHCODE",
            "    LIBRARYNAME leaves those whose names match the pattern.",
            "STATS",
            "    Show the function that runs:",
            "    * its name",
            "    * the command that called it",
            "    * for how many milliseconds it has been running",
            "    This is nil while none runs.",
            "    Show as well which engines there are, with their numbers of libraries and functions.",
            "KILL",
            "    Stop the function that runs, unless it has written.",
            "FLUSH [ASYNC|SYNC]",
            "    Remove all libraries.",
            "    The directive lazyfree-lazy-user-flush says how memory is given back if the",
            "    command does not:",
            "    * ASYNC: in the background.",
            "    * SYNC: before the command answers.",
            "DUMP",
            "    Show all libraries as a payload for RESTORE.",
            "RESTORE <PAYLOAD> [FLUSH|APPEND|REPLACE]",
            "    Add the libraries of a payload. The policy says what becomes of the libraries that there are;",
            "    APPEND is the default:",
            "    * FLUSH: all of them are removed.",
            "    * APPEND: all of them stay. If one has the name of a new one, nothing is added.",
            "    * REPLACE: those stay that have not the name of a new one.",
            "      Nothing is added if a function of theirs has the name",
            "      of one in a new library.",
        ],
    );
    Ok(())
}

/// `FCALL function numkeys [key ...] [arg ...]`
pub fn fcall(srv: &mut Server, c: &mut Client) -> CmdResult {
    call(srv, c, false)
}

/// `FCALL_RO function numkeys [key ...] [arg ...]`
pub fn fcall_ro(srv: &mut Server, c: &mut Client) -> CmdResult {
    call(srv, c, true)
}

/// What the function of this name says of itself, if there is one.
pub fn flags_of(srv: &Server, name: &[u8]) -> Option<ScriptFlags> {
    let function = srv.scripting.functions.libraries.function(name);
    function.map(|function| function.flags)
}

fn call(srv: &mut Server, c: &mut Client, read_only: bool) -> CmdResult {
    eval::show_to_monitors(srv, c);
    let function = srv.scripting.functions.libraries.function(c.argv.get(1)).cloned();
    let function = function.ok_or(CmdError::text("ERR Function not found"))?;
    let (keys, args) = script::split_arguments(c).map_err(|error| match error {
        CmdError::NotAnInteger => CmdError::text("ERR Bad number of keys provided"),
        other => other,
    })?;
    let call = Callable {
        kind: Kind::Function,
        name: function.name.clone(),
        function: function.callback,
        flags: function.flags,
        read_only,
        keys,
        args,
    };
    script::run(srv, c, &call)
}
