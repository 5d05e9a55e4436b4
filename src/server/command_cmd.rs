//! COMMAND and its subcommands: the command table, told to clients.
//!
//! Replies show commands by the names they were compiled with, even if `rename-command` gave them others; the new names
//! count where a client asks for a command by name. Commands that were renamed away are not shown.

use crate::ds::glob;
use crate::server::commands::{
    AclCategories, BeginSearch, CommandArg, CommandFlags, CommandSpec, CommandTable, FindKeys, KeyRef,
    KeySpec, get_keys,
};
use crate::server::{Client, CmdError, CmdResult, Out, Server};

/// COMMAND: what every command takes and does.
pub fn command(srv: &mut Server, c: &mut Client) -> CmdResult {
    c.out.array(srv.commands.len());
    for spec in srv.commands.iter() {
        reply_info(&srv.commands, &mut c.out, spec);
    }
    Ok(())
}

/// COMMAND COUNT: the number of commands, without subcommands.
pub fn command_count(srv: &mut Server, c: &mut Client) -> CmdResult {
    c.out.count(srv.commands.len());
    Ok(())
}

/// COMMAND INFO [name ...]: what some commands take and do, null for those that are not there.
pub fn command_info(srv: &mut Server, c: &mut Client) -> CmdResult {
    if c.argv.len() == 2 {
        return command(srv, c);
    }
    c.out.array(c.argv.len() - 2);
    for name in c.argv.iter_from(2) {
        match srv.commands.lookup_fullname(name) {
            Some(spec) => reply_info(&srv.commands, &mut c.out, spec),
            None => c.out.null(),
        }
    }
    Ok(())
}

/// COMMAND DOCS [name ...]: what people want to read about commands, without those that are not there.
pub fn command_docs(srv: &mut Server, c: &mut Client) -> CmdResult {
    let specs: Vec<_> = if c.argv.len() == 2 {
        srv.commands.iter().collect()
    } else {
        c.argv.iter_from(2).filter_map(|name| srv.commands.lookup_fullname(name)).collect()
    };
    c.out.map(specs.len());
    for spec in specs {
        c.out.bulk(spec.fullname.as_bytes());
        reply_docs(&srv.commands, &mut c.out, spec);
    }
    Ok(())
}

/// COMMAND LIST [FILTERBY MODULE|ACLCAT|PATTERN value]: names of commands and subcommands.
pub fn command_list(srv: &mut Server, c: &mut Client) -> CmdResult {
    let mut names = Vec::new();
    match c.argv.len() {
        2 => list_names(&srv.commands, &mut names, |_| true),
        5 if c.argv.is(2, b"filterby") => {
            let value = c.argv.get(4);
            if c.argv.is(3, b"aclcat") {
                if let Some(category) = AclCategories::from_name(value) {
                    list_names(&srv.commands, &mut names, |spec| spec.acl_categories.contains(category));
                }
            } else if c.argv.is(3, b"pattern") {
                list_names(&srv.commands, &mut names, |spec| {
                    glob::matches(value, spec.fullname.as_bytes(), true)
                });
            } else if !c.argv.is(3, b"module") {
                return Err(CmdError::Syntax);
            }
            // No command comes from a module, so that filter leaves none.
        }
        _ => return Err(CmdError::Syntax),
    }
    c.out.array(names.len());
    for name in names {
        c.out.bulk(name.as_bytes());
    }
    Ok(())
}

/// Collects the names of the commands and subcommands for which a condition holds.
fn list_names(table: &CommandTable, names: &mut Vec<&'static str>, wanted: impl Fn(&CommandSpec) -> bool) {
    for spec in table.iter() {
        let family = std::iter::once(spec).chain(table.subcommands(spec));
        names.extend(family.filter(|spec| wanted(spec)).map(|spec| spec.fullname));
    }
}

/// COMMAND GETKEYS command-line: the keys in it.
pub fn command_getkeys(srv: &mut Server, c: &mut Client) -> CmdResult {
    let words: Vec<&[u8]> = c.argv.iter_from(2).collect();
    let keys = keys_of(&srv.commands, &words)?;
    c.out.array(keys.len());
    for key in keys {
        c.out.bulk(words[key.pos]);
    }
    Ok(())
}

/// COMMAND GETKEYSANDFLAGS command-line: the keys in it, and what the command does to each.
pub fn command_getkeysandflags(srv: &mut Server, c: &mut Client) -> CmdResult {
    let words: Vec<&[u8]> = c.argv.iter_from(2).collect();
    let keys = keys_of(&srv.commands, &words)?;
    c.out.array(keys.len());
    for key in keys {
        c.out.array(2);
        c.out.bulk(words[key.pos]);
        reply_names(&mut c.out, key.flags.names());
    }
    Ok(())
}

/// The keys of a command line that was given as arguments.
fn keys_of(table: &CommandTable, words: &[&[u8]]) -> Result<Vec<KeyRef>, CmdError> {
    let spec = table
        .resolve(words[0], words.get(1).copied())
        .map_err(|_| CmdError::text("ERR Invalid command specified"))?;
    if !spec.may_have_keys() {
        return Err(CmdError::text("ERR The command has no key arguments"));
    }
    if !spec.accepts_argc(words.len()) {
        return Err(CmdError::text("ERR Invalid number of arguments specified for command"));
    }
    let mut keys = Vec::new();
    // A command that needs no keys has none if its arguments make no sense; any other one must have some.
    if get_keys(spec, &words, false, &mut keys).is_err()
        && !spec.flags.contains(CommandFlags::NO_MANDATORY_KEYS)
    {
        return Err(CmdError::text("ERR Invalid arguments specified for command"));
    }
    Ok(keys)
}

/// COMMAND HELP.
pub fn command_help(_srv: &mut Server, c: &mut Client) -> CmdResult {
    c.out.help(
        "COMMAND",
        &[
            "(no subcommand)",
            "    Describe every command: arity, flags, keys, categories, subcommands.",
            "COUNT",
            "    Reply with the number of commands.",
            "LIST [FILTERBY MODULE <name> | ACLCAT <category> | PATTERN <pattern>]",
            "    List the names of all commands and subcommands, or of those that pass the filter.",
            "INFO [<command-name> ...]",
            "    Describe the named commands, or all of them.",
            "DOCS [<command-name> ...]",
            "    Document the named commands, or all of them.",
            "GETKEYS <full-command>",
            "    List the keys that occur in a command line.",
            "GETKEYSANDFLAGS <full-command>",
            "    List the keys that occur in a command line, with the flags of each access.",
        ],
    );
    Ok(())
}

/// Replies a set of names.
fn reply_names<'a>(out: &mut Out, names: impl Iterator<Item = &'a str>) {
    let names: Vec<&str> = names.collect();
    out.set(names.len());
    for name in names {
        out.simple(name);
    }
}

/// Replies the ten parts of COMMAND INFO, of which the last is the same of every subcommand.
fn reply_info(table: &CommandTable, out: &mut Out, spec: &CommandSpec) {
    out.array(10);
    out.bulk(spec.fullname.as_bytes());
    out.int(spec.arity.into());
    reply_names(out, spec.flags.difference(CommandFlags::HIDDEN).names());
    for number in [spec.first_key, spec.last_key, spec.key_step] {
        out.int(number.into());
    }
    let categories: Vec<String> = spec.acl_categories.names().map(|name| format!("@{name}")).collect();
    reply_names(out, categories.iter().map(String::as_str));
    out.set(spec.docs.tips.len());
    for tip in spec.docs.tips {
        out.bulk(tip.as_bytes());
    }
    out.set(spec.key_specs.len());
    for key_spec in spec.key_specs {
        reply_key_spec(out, key_spec);
    }
    let subcommands: Vec<_> = table.subcommands(spec).collect();
    out.set(subcommands.len());
    for subcommand in subcommands {
        reply_info(table, out, subcommand);
    }
}

/// Replies a key spec as a map.
fn reply_key_spec(out: &mut Out, spec: &KeySpec) {
    out.map(3 + usize::from(spec.notes.is_some()));
    if let Some(notes) = spec.notes {
        reply_field(out, "notes", notes);
    }
    out.bulk(b"flags");
    reply_names(out, spec.flags.names());
    match spec.begin_search {
        BeginSearch::Index { pos } => {
            reply_search(out, "begin_search", "index", 1);
            reply_number(out, "index", pos.into());
        }
        BeginSearch::Keyword { keyword, start_from } => {
            reply_search(out, "begin_search", "keyword", 2);
            reply_field(out, "keyword", keyword);
            reply_number(out, "startfrom", start_from.into());
        }
        BeginSearch::Unknown => reply_search(out, "begin_search", "unknown", 0),
    }
    match spec.find_keys {
        FindKeys::Range { last_key, step, limit } => {
            reply_search(out, "find_keys", "range", 3);
            reply_number(out, "lastkey", last_key.into());
            reply_number(out, "keystep", step.into());
            reply_number(out, "limit", limit.into());
        }
        FindKeys::KeyNum { num_index, first_key, step } => {
            reply_search(out, "find_keys", "keynum", 3);
            reply_number(out, "keynumidx", num_index.into());
            reply_number(out, "firstkey", first_key.into());
            reply_number(out, "keystep", step.into());
        }
        FindKeys::Unknown => reply_search(out, "find_keys", "unknown", 0),
    }
}

/// Begins one of the two steps of a key spec, of which `len` fields are to follow.
fn reply_search(out: &mut Out, step: &str, kind: &str, len: usize) {
    out.bulk(step.as_bytes());
    out.map(2);
    reply_field(out, "type", kind);
    out.bulk(b"spec");
    out.map(len);
}

/// Replies a field of a map.
fn reply_field(out: &mut Out, name: &str, value: &str) {
    out.bulk(name.as_bytes());
    out.bulk(value.as_bytes());
}

/// Replies a field of a map that is a number.
fn reply_number(out: &mut Out, name: &str, value: i64) {
    out.bulk(name.as_bytes());
    out.int(value);
}

/// Replies the documentation of a command as a map, without the fields that it does not have.
fn reply_docs(table: &CommandTable, out: &mut Out, spec: &CommandSpec) {
    let docs = spec.docs;
    let mark = out.mark();
    let mut fields = Fields { out, len: 0 };
    fields.text("summary", Some(docs.summary));
    fields.text("since", Some(docs.since));
    fields.text("group", Some(docs.group));
    fields.text("complexity", docs.complexity);
    if !docs.flags.is_empty() {
        reply_names(fields.begin("doc_flags"), docs.flags.names());
    }
    fields.text("deprecated_since", docs.deprecated_since);
    fields.text("replaced_by", docs.replaced_by);
    if !docs.history.is_empty() {
        let out = fields.begin("history");
        out.set(docs.history.len());
        for (version, change) in docs.history {
            out.array(2);
            out.bulk(version.as_bytes());
            out.bulk(change.as_bytes());
        }
    }
    if !docs.args.is_empty() {
        reply_args(fields.begin("arguments"), docs.args);
    }
    let subcommands: Vec<_> = table.subcommands(spec).collect();
    if !subcommands.is_empty() {
        let out = fields.begin("subcommands");
        out.map(subcommands.len());
        for subcommand in subcommands {
            out.bulk(subcommand.fullname.as_bytes());
            reply_docs(table, out, subcommand);
        }
    }
    let len = fields.len;
    out.insert_at(mark, |out| out.map(len));
}

/// Replies arguments, each a map without the fields that it does not have.
fn reply_args(out: &mut Out, args: &[CommandArg]) {
    out.array(args.len());
    for arg in args {
        let mark = out.mark();
        let mut fields = Fields { out, len: 0 };
        fields.text("name", Some(arg.name));
        fields.text("type", Some(arg.kind.name()));
        if !arg.kind.is_group() {
            fields.text("display_text", Some(arg.display.unwrap_or(arg.name)));
        }
        if let Some(index) = arg.key_spec_index {
            fields.begin("key_spec_index").int(index.into());
        }
        fields.text("token", arg.token);
        fields.text("summary", arg.summary);
        fields.text("since", arg.since);
        fields.text("deprecated_since", arg.deprecated_since);
        if !arg.flags.is_empty() {
            reply_names(fields.begin("flags"), arg.flags.names());
        }
        if !arg.args.is_empty() {
            reply_args(fields.begin("arguments"), arg.args);
        }
        let len = fields.len;
        out.insert_at(mark, |out| out.map(len));
    }
}

/// The fields of a map of which the length is known at the end only.
struct Fields<'a> {
    out: &'a mut Out,
    len: usize,
}

impl Fields<'_> {
    /// Writes the name of a field, of which the value is to follow.
    fn begin(&mut self, name: &str) -> &mut Out {
        self.len += 1;
        self.out.bulk(name.as_bytes());
        self.out
    }

    /// Writes a field, if it has a text.
    fn text(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.begin(name).bulk(text.as_bytes());
        }
    }
}
