//! Compiles the command files, `src/commands/*.json`, into the static table that `src/server/commands` includes.
//!
//! One file describes one command or one subcommand. It is an object with these fields; those marked * are required:
//!
//! | field | value |
//! |---|---|
//! | `name` * | in lower case; of a subcommand, its own part only |
//! | `container` | the name of the command this one is a subcommand of |
//! | `summary` * | what the command does, in a short imperative sentence |
//! | `complexity` | its time complexity |
//! | `group` * | the data type or area it belongs to, see `GROUPS` |
//! | `since` * | the first version that had it |
//! | `arity` * | number of words with the name (and subcommand); -n means n or more |
//! | `function` | the procedure, as a path below the crate's root; only a container may be without |
//! | `get_keys_function` | a function that finds the keys when the key specs cannot tell them, or not their flags |
//! | `doc_flags` | of `DocFlags`; `deprecated` follows from `deprecated_since` |
//! | `deprecated_since`, `replaced_by` | given together: since when, and by what |
//! | `history` | array of [version, what changed] |
//! | `command_flags` | of `CommandFlags`, but for `movablekeys`, which follows from the key specs |
//! | `acl_categories` | of `AclCategories`, but for those that follow from the flags, see `implied_categories` |
//! | `command_tips` | hints for clients and proxies, passed on in COMMAND INFO |
//! | `key_specs` | array of key specs |
//! | `arguments` | array of arguments |
//!
//! A key spec says where keys are among the words, and what is done to them. It has `flags` (of `KeyFlags`), maybe
//! `notes`, and two steps. `begin_search` finds a first word: `{"index": {"pos"}}` by position, `{"keyword":
//! {"keyword", "startfrom"}}` behind the first occurrence of a keyword, searched for from a position forward, or, if
//! the position is negative, from that far before the end backward; `{"unknown": null}` not at all. `find_keys` finds
//! the keys from that word on: `{"range": {"lastkey", "step", "limit"}}` up to `lastkey` words further or, if negative,
//! up to that far before the end (a `limit` of n makes that the n-th part of the words), `{"keynum": {"keynumidx",
//! "firstkey", "step"}}` as many as the word at offset `keynumidx` says, from offset `firstkey` on.
//!
//! An argument has a `name` and a `type`, and maybe `display` (the name to show, if another), `key_spec_index`,
//! `token`, `summary`, `since`, `deprecated_since`, the booleans of `ArgFlags`, and, for the types `oneof` and `block`,
//! `arguments`.
//!
//! Every field is checked here; an error names the file and the field. A file is taken into the table as soon as it
//! is in the folder, so its function has to exist.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};
use std::{env, fs, process};

use serde_json::Value;

#[path = "src/server/commands/flags.rs"]
mod flags;
use flags::{AclCategories, ArgFlags, CommandFlags, DocFlags, KeyFlags};

/// The groups a command may belong to.
const GROUPS: &[&str] = &[
    "generic",
    "string",
    "list",
    "set",
    "sorted-set",
    "hash",
    "pubsub",
    "transactions",
    "connection",
    "server",
    "scripting",
    "hyperloglog",
    "cluster",
    "sentinel",
    "geo",
    "stream",
    "bitmap",
];

/// Argument types: the name in the files and the variant of `ArgType`.
const ARG_TYPES: &[(&str, &str)] = &[
    ("string", "String"),
    ("integer", "Integer"),
    ("double", "Double"),
    ("key", "Key"),
    ("pattern", "Pattern"),
    ("unix-time", "UnixTime"),
    ("pure-token", "PureToken"),
    ("oneof", "OneOf"),
    ("block", "Block"),
];

/// Arguments nest this deep at most.
const ARG_DEPTH_MAX: usize = 8;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/commands");
    println!("cargo::rerun-if-changed=src/server/commands/flags.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("commands.rs");
    let source = read_commands(Path::new("src/commands")).and_then(generate);
    match source {
        Ok(source) => fs::write(&out, source).expect("OUT_DIR is writable"),
        Err(error) => {
            println!("cargo::error={error}");
            process::exit(1);
        }
    }
}

/// What is wrong with a command file: the file, the path of the field in it, and the complaint.
struct Error {
    file: String,
    field: String,
    complaint: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.file, self.field, self.complaint)
    }
}

type Result<T> = std::result::Result<T, Error>;

/// One command file, checked. The fields that only COMMAND DOCS shows are Rust expressions already.
struct Command {
    file: String,
    name: String,
    container: Option<String>,
    arity: i64,
    function: Option<String>,
    get_keys_function: Option<String>,
    flags: u64,
    acl_categories: u64,
    key_specs: Vec<KeySpec>,
    docs: String,
}

impl Command {
    /// `name`, or `container|name`.
    fn fullname(&self) -> String {
        match &self.container {
            Some(container) => format!("{container}|{}", self.name),
            None => self.name.clone(),
        }
    }

    fn error(&self, field: &str, complaint: &str) -> Error {
        Error { file: self.file.clone(), field: field.into(), complaint: complaint.into() }
    }
}

/// A key spec: its Rust expression, and what the legacy range is computed from.
struct KeySpec {
    source: String,
    flags: u64,
    range: Option<IndexRange>,
}

/// A spec of the kinds index and range, which tells its keys without looking at words.
struct IndexRange {
    first: i64,
    last: i64,
    step: i64,
}

/// Reads every command file of the folder, in the order of their names.
fn read_commands(folder: &Path) -> Result<Vec<Command>> {
    let io_error = |path: &Path, error: std::io::Error| Error {
        file: path.display().to_string(),
        field: "file".into(),
        complaint: error.to_string(),
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| io_error(folder, error))? {
        let path = entry.map_err(|error| io_error(folder, error))?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            paths.push(path);
        }
    }
    paths.sort();
    paths
        .iter()
        .map(|path| read_command(path, &fs::read_to_string(path).map_err(|error| io_error(path, error))?))
        .collect()
}

fn read_command(path: &Path, text: &str) -> Result<Command> {
    let file = path.display().to_string();
    let value: Value = serde_json::from_str(text).map_err(|error| Error {
        file: file.clone(),
        field: "file".into(),
        complaint: error.to_string(),
    })?;
    let mut fields = Fields::new(&file, "", &value)?;
    let name = fields.name("name")?;
    let container = fields.optional("container", Node::name)?;
    let docs = read_docs(&mut fields)?;
    let arity = fields.required("arity", |node| node.integer(-64..=64))?;
    let flags = fields.flags("command_flags", CommandFlags::NAMES.iter().map(|(n, f)| (*n, f.bits())))?;
    if flags & CommandFlags::MOVABLE_KEYS.bits() != 0 {
        return Err(fields.error("command_flags", "movablekeys follows from the key specs"));
    }
    let categories =
        fields.flags("acl_categories", AclCategories::NAMES.iter().map(|(n, f)| (*n, f.bits())))?;
    let implied = implied_categories(flags, categories);
    if implied & categories != 0 {
        return Err(fields.error("acl_categories", "names a category that follows from the flags"));
    }
    let command = Command {
        function: fields.optional("function", Node::path)?,
        get_keys_function: fields.optional("get_keys_function", Node::path)?,
        key_specs: fields.list("key_specs", read_key_spec)?,
        acl_categories: categories | implied,
        file: file.clone(),
        name,
        container,
        arity,
        flags,
        docs,
    };
    fields.finish()?;
    let expected = format!("{}.json", command.fullname().replace('|', "-"));
    if path.file_name().is_none_or(|name| name.to_string_lossy() != expected) {
        return Err(command.error("name", &format!("the file of this command is {expected}")));
    }
    if command.arity == 0 {
        return Err(command.error("arity", "the name is a word too"));
    }
    Ok(command)
}

/// The ACL categories that follow from the flags of a command.
fn implied_categories(flags: u64, explicit: u64) -> u64 {
    let has = |flag: CommandFlags| flags & flag.bits() != 0;
    let mut implied = AclCategories::default().bits();
    let mut imply = |condition, category: AclCategories| {
        if condition {
            implied |= category.bits();
        }
    };
    imply(has(CommandFlags::WRITE), AclCategories::WRITE);
    // The read-only ways to run a script count as scripting alone: what they read is up to the script.
    imply(
        has(CommandFlags::READONLY) && explicit & AclCategories::SCRIPTING.bits() == 0,
        AclCategories::READ,
    );
    imply(has(CommandFlags::ADMIN), AclCategories::ADMIN);
    imply(has(CommandFlags::ADMIN), AclCategories::DANGEROUS);
    imply(has(CommandFlags::PUBSUB), AclCategories::PUBSUB);
    imply(has(CommandFlags::BLOCKING), AclCategories::BLOCKING);
    imply(has(CommandFlags::FAST), AclCategories::FAST);
    imply(!has(CommandFlags::FAST), AclCategories::SLOW);
    implied
}

/// Reads the fields that COMMAND DOCS shows into an expression of type `CommandDocs`.
fn read_docs(fields: &mut Fields<'_>) -> Result<String> {
    let summary = fields.required("summary", Node::text)?;
    let complexity = fields.optional("complexity", Node::text)?;
    let group = fields.required("group", |node| node.one_of(GROUPS))?;
    let since = fields.required("since", Node::version)?;
    let mut flags = fields.flags("doc_flags", DocFlags::NAMES.iter().map(|(n, f)| (*n, f.bits().into())))?;
    let deprecated_since = fields.optional("deprecated_since", Node::version)?;
    let replaced_by = fields.optional("replaced_by", Node::text)?;
    if flags & u64::from(DocFlags::DEPRECATED.bits()) != 0 {
        return Err(fields.error("doc_flags", "deprecated follows from deprecated_since"));
    }
    if deprecated_since.is_some() != replaced_by.is_some() {
        return Err(fields.error("replaced_by", "comes with deprecated_since, and not without"));
    }
    if deprecated_since.is_some() {
        flags |= u64::from(DocFlags::DEPRECATED.bits());
    }
    let history = fields.list("history", |node| match node.value.as_array().map(Vec::as_slice) {
        Some([version, change]) => {
            let version = Node { value: version, ..node.clone() }.version()?;
            Ok(format!("({version:?}, {:?})", Node { value: change, ..node.clone() }.text()?))
        }
        _ => Err(node.error("must be [version, what changed]")),
    })?;
    let tips = fields.list("command_tips", |node| Ok(format!("{:?}", node.text()?)))?;
    let args = fields.list("arguments", |node| read_argument(node, ARG_DEPTH_MAX))?;
    Ok(format!(
        "CommandDocs {{ summary: {summary:?}, complexity: {complexity:?}, group: {group:?}, since: {since:?}, \
         flags: DocFlags::from_bits({flags}), deprecated_since: {deprecated_since:?}, replaced_by: {replaced_by:?}, \
         history: {}, tips: {}, args: {} }}",
        slice(&history),
        slice(&tips),
        slice(&args),
    ))
}

/// Reads an argument, and those in it, into an expression of type `CommandArg`.
fn read_argument(node: &Node<'_>, depth_left: usize) -> Result<String> {
    if depth_left == 0 {
        return Err(node.error("is nested too deep"));
    }
    let mut fields = Fields::new(node.file, &node.field, node.value)?;
    let name = fields.required("name", Node::text)?;
    let kind = fields.required("type", |node| {
        let name = node.text()?;
        let known = ARG_TYPES.iter().find(|(text, _)| *text == name);
        known.map(|(_, variant)| *variant).ok_or_else(|| node.error("is no argument type"))
    })?;
    let display = fields.optional("display", Node::text)?;
    let key_spec_index = fields.optional("key_spec_index", |node| node.integer(0..=15))?;
    let token = fields.optional("token", |node| node.string().map(str::to_owned))?;
    let summary = fields.optional("summary", Node::text)?;
    let since = fields.optional("since", Node::version)?;
    let deprecated_since = fields.optional("deprecated_since", Node::version)?;
    let mut flags = 0;
    for (name, flag) in ArgFlags::NAMES {
        if fields.optional(name, Node::boolean)?.unwrap_or(false) {
            flags |= flag.bits();
        }
    }
    let args = fields.list("arguments", |node| read_argument(node, depth_left - 1))?;
    if args.is_empty() == matches!(kind, "OneOf" | "Block") {
        return Err(fields.error("arguments", "belong to the types oneof and block, and to no other"));
    }
    fields.finish()?;
    Ok(format!(
        "CommandArg {{ name: {name:?}, kind: ArgType::{kind}, display: {display:?}, \
         key_spec_index: {key_spec_index:?}, token: {token:?}, summary: {summary:?}, since: {since:?}, \
         deprecated_since: {deprecated_since:?}, flags: ArgFlags::from_bits({flags}), args: {} }}",
        slice(&args),
    ))
}

fn read_key_spec(node: &Node<'_>) -> Result<KeySpec> {
    let mut fields = Fields::new(node.file, &node.field, node.value)?;
    let notes = fields.optional("notes", Node::text)?;
    let flags = fields.flags("flags", KeyFlags::NAMES.iter().map(|(n, f)| (*n, f.bits().into())))?;
    let (begin_search, index) = fields.required("begin_search", read_begin_search)?;
    let (find_keys, range) = fields.required("find_keys", read_find_keys)?;
    fields.finish()?;
    let range = index.zip(range).map(|(first, (last, step))| IndexRange { first, last, step });
    let source = format!(
        "KeySpec {{ notes: {notes:?}, flags: KeyFlags::from_bits({flags}), begin_search: BeginSearch::{begin_search}, \
         find_keys: FindKeys::{find_keys} }}"
    );
    Ok(KeySpec { source, flags, range })
}

/// Reads the first step of a key spec: a variant of `BeginSearch`, and the position if it is fixed.
fn read_begin_search(node: &Node<'_>) -> Result<(String, Option<i64>)> {
    let (kind, mut fields) = node.variant()?;
    let parsed = match kind {
        "index" => {
            let pos = fields.required("pos", |node| node.integer(1..=64))?;
            (format!("Index {{ pos: {pos} }}"), Some(pos))
        }
        "keyword" => {
            let keyword = fields.required("keyword", Node::text)?;
            let start_from = fields.required("startfrom", |node| node.integer(-64..=64))?;
            if start_from == 0 {
                return Err(fields.error("startfrom", "must not be the name of the command"));
            }
            (format!("Keyword {{ keyword: {keyword:?}, start_from: {start_from} }}"), None)
        }
        "unknown" => ("Unknown".to_owned(), None),
        _ => return Err(node.error("must be index, keyword or unknown")),
    };
    fields.finish()?;
    Ok(parsed)
}

/// Reads the second step of a key spec: a variant of `FindKeys`, and last key and step of a range.
fn read_find_keys(node: &Node<'_>) -> Result<(String, Option<(i64, i64)>)> {
    let (kind, mut fields) = node.variant()?;
    let parsed = match kind {
        "range" => {
            let last_key = fields.required("lastkey", |node| node.integer(-64..=64))?;
            let step = fields.required("step", |node| node.integer(1..=64))?;
            let limit = fields.required("limit", |node| node.integer(0..=64))?;
            if limit > 0 && last_key != -1 {
                return Err(fields.error("limit", "needs a lastkey of -1"));
            }
            (
                format!("Range {{ last_key: {last_key}, step: {step}, limit: {limit} }}"),
                Some((last_key, step)),
            )
        }
        "keynum" => {
            let index = fields.required("keynumidx", |node| node.integer(0..=64))?;
            let first = fields.required("firstkey", |node| node.integer(0..=64))?;
            let step = fields.required("step", |node| node.integer(1..=64))?;
            (format!("KeyNum {{ num_index: {index}, first_key: {first}, step: {step} }}"), None)
        }
        "unknown" => ("Unknown".to_owned(), None),
        _ => return Err(node.error("must be range, keynum or unknown")),
    };
    fields.finish()?;
    Ok(parsed)
}

/// First key, last key and step as the oldest form of COMMAND shows them, and whether they miss keys.
///
/// A single index and range is shown as it is. Of several, those with a step of 1 that follow each other without a
/// gap are shown as one; a spec of another kind, one that does not join, or one that may miss keys makes the keys
/// movable. No keys at all are 0, 0, 0.
fn legacy_range(specs: &[KeySpec]) -> (IndexRange, bool) {
    let incomplete = |spec: &KeySpec| spec.flags & u64::from(KeyFlags::INCOMPLETE.bits()) != 0;
    let absolute = |range: &IndexRange| if range.last < 0 { range.last } else { range.first + range.last };
    if let [KeySpec { range: Some(range), .. }] = specs {
        let whole = IndexRange { last: absolute(range), ..*range };
        return (whole, incomplete(&specs[0]));
    }
    let mut whole: Option<IndexRange> = None;
    let mut movable = false;
    for spec in specs {
        let joins = |range: &&IndexRange| {
            range.step == 1 && whole.as_ref().is_none_or(|so_far| so_far.last == range.first - 1)
        };
        let Some(range) = spec.range.as_ref().filter(joins) else {
            movable = true;
            continue;
        };
        movable |= incomplete(spec);
        let first = whole.as_ref().map_or(range.first, |so_far| so_far.first);
        whole = Some(IndexRange { first, last: absolute(range), step: 1 });
    }
    (whole.unwrap_or(IndexRange { first: 0, last: 0, step: 0 }), movable)
}

/// Writes the Rust source of the table.
fn generate(commands: Vec<Command>) -> Result<String> {
    let by_name: BTreeMap<String, usize> =
        commands.iter().enumerate().map(|(id, command)| (command.fullname(), id)).collect();
    let mut source = format!(
        "/// Every command and subcommand. The index of one is its [`CommandId`].\n\
         pub static COMMANDS: [CommandSpec; {}] = [\n",
        commands.len()
    );
    for (id, command) in commands.iter().enumerate() {
        let container = match &command.container {
            None => None,
            Some(name) => Some(by_name.get(name).copied().ok_or_else(|| {
                command.error("container", &format!("there is no file for a command named {name}"))
            })?),
        };
        if container.is_some_and(|container| commands[container].container.is_some()) {
            return Err(command.error("container", "is itself a subcommand"));
        }
        let subcommands: Vec<String> = commands
            .iter()
            .enumerate()
            .filter(|(_, other)| other.container.as_ref() == Some(&command.fullname()))
            .map(|(id, _)| format!("CommandId({id})"))
            .collect();
        if command.function.is_none() && subcommands.is_empty() {
            return Err(command.error("function", "is missing, and there are no subcommands"));
        }
        write_command(&mut source, id, command, container, &subcommands);
    }
    source.push_str("];\n");
    Ok(source)
}

/// Writes the row of one command. `container` and `subcommands` are its relations, as table indexes and expressions.
fn write_command(
    source: &mut String,
    id: usize,
    command: &Command,
    container: Option<usize>,
    subcommands: &[String],
) {
    let (range, movable) = legacy_range(&command.key_specs);
    let flags = command.flags | if movable { CommandFlags::MOVABLE_KEYS.bits() } else { 0 };
    let path = |function: &Option<String>| match function {
        Some(path) => format!("Some(crate::{path})"),
        None => "None".to_owned(),
    };
    let container = match container {
        Some(id) => format!("Some(CommandId({id}))"),
        None => "None".to_owned(),
    };
    let specs: Vec<&str> = command.key_specs.iter().map(|spec| spec.source.as_str()).collect();
    writeln!(
        source,
        "CommandSpec {{ id: CommandId({id}), arity: {}, first_key: {}, last_key: {}, key_step: {}, \
         container: {container}, flags: CommandFlags::from_bits({flags:#x}), \
         acl_categories: AclCategories::from_bits({:#x}), proc: {}, get_keys: {}, subcommands: {}, \
         name: {:?}, fullname: {:?}, key_specs: {}, docs: &{} }},",
        command.arity,
        range.first,
        range.last,
        range.step,
        command.acl_categories,
        path(&command.function),
        path(&command.get_keys_function),
        slice(subcommands),
        command.name,
        command.fullname(),
        slice(&specs),
        command.docs,
    )
    .expect("writing to a string cannot fail");
}

/// An expression for a static slice of these expressions.
fn slice<S: AsRef<str>>(items: &[S]) -> String {
    let items: Vec<&str> = items.iter().map(AsRef::as_ref).collect();
    format!("&[{}]", items.join(", "))
}

/// A value in a file, with the path of the field that holds it.
#[derive(Clone)]
struct Node<'a> {
    file: &'a str,
    field: String,
    value: &'a Value,
}

impl<'a> Node<'a> {
    fn error(&self, complaint: &str) -> Error {
        Error { file: self.file.into(), field: self.field.clone(), complaint: complaint.into() }
    }

    fn string(&self) -> Result<&'a str> {
        self.value.as_str().ok_or_else(|| self.error("must be a string"))
    }

    fn text(&self) -> Result<String> {
        match self.string()? {
            "" => Err(self.error("must not be empty")),
            text if text.trim() != text => Err(self.error("must not begin or end with a space")),
            text => Ok(text.to_owned()),
        }
    }

    /// The name of a command: it is compared with the case folded, so it is kept in lower case.
    fn name(&self) -> Result<String> {
        let text = self.text()?;
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        if text.bytes().all(allowed) { Ok(text) } else { Err(self.error("must be of a-z, 0-9, - and _")) }
    }

    /// A version: three numbers.
    fn version(&self) -> Result<String> {
        let text = self.text()?;
        let numbers = text.split('.').filter(|part| part.parse::<u16>().is_ok()).count();
        if numbers == 3 && text.split('.').count() == 3 {
            Ok(text)
        } else {
            Err(self.error("must be a version, x.y.z"))
        }
    }

    /// A path below the crate's root.
    fn path(&self) -> Result<String> {
        let text = self.text()?;
        let is_name = |part: &str| {
            part.starts_with(|c: char| c.is_ascii_lowercase())
                && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        };
        if text.split("::").all(is_name) {
            Ok(text)
        } else {
            Err(self.error("must be a path like module::function"))
        }
    }

    fn one_of(&self, known: &[&str]) -> Result<String> {
        let text = self.text()?;
        if known.contains(&text.as_str()) {
            Ok(text)
        } else {
            Err(self.error(&format!("must be one of {known:?}")))
        }
    }

    fn boolean(&self) -> Result<bool> {
        self.value.as_bool().ok_or_else(|| self.error("must be true or false"))
    }

    fn integer(&self, range: std::ops::RangeInclusive<i64>) -> Result<i64> {
        let number = self.value.as_i64().filter(|number| range.contains(number));
        number.ok_or_else(|| self.error(&format!("must be an integer of {range:?}")))
    }

    /// An object of one field whose name chooses a variant: that name, and what the variant holds (nothing if null).
    fn variant(&self) -> Result<(&'a str, Fields<'a>)> {
        let mut fields = self.value.as_object().into_iter().flatten();
        match (fields.next(), fields.next()) {
            (Some((kind, value)), None) => {
                let path = format!("{}.{kind}", self.field);
                Ok((kind, Fields::new(self.file, &path, if value.is_null() { &EMPTY } else { value })?))
            }
            _ => Err(self.error("must be an object of one field")),
        }
    }
}

/// What a variant without contents holds: an object of no fields.
static EMPTY: std::sync::LazyLock<Value> = std::sync::LazyLock::new(|| Value::Object(Default::default()));

/// The fields of an object, taken out one by one, so that those that nothing asked for can be complained about.
struct Fields<'a> {
    file: &'a str,
    path: String,
    left: BTreeMap<&'a str, &'a Value>,
}

impl<'a> Fields<'a> {
    fn new(file: &'a str, path: &str, value: &'a Value) -> Result<Self> {
        let Some(object) = value.as_object() else {
            let field = if path.is_empty() { "file" } else { path };
            return Err(Error {
                file: file.into(),
                field: field.into(),
                complaint: "must be an object".into(),
            });
        };
        let left = object.iter().map(|(name, value)| (name.as_str(), value)).collect();
        Ok(Self { file, path: path.into(), left })
    }

    fn field(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    fn error(&self, name: &str, complaint: &str) -> Error {
        Error { file: self.file.into(), field: self.field(name), complaint: complaint.into() }
    }

    fn take(&mut self, name: &str) -> Option<Node<'a>> {
        let value = self.left.remove(name)?;
        Some(Node { file: self.file, field: self.field(name), value })
    }

    fn optional<T>(&mut self, name: &str, read: impl FnOnce(&Node<'a>) -> Result<T>) -> Result<Option<T>> {
        self.take(name).map(|node| read(&node)).transpose()
    }

    fn required<T>(&mut self, name: &str, read: impl FnOnce(&Node<'a>) -> Result<T>) -> Result<T> {
        self.optional(name, read)?.ok_or_else(|| self.error(name, "is missing"))
    }

    fn name(&mut self, name: &str) -> Result<String> {
        self.required(name, Node::name)
    }

    /// An array; without the field, an empty one.
    fn list<T>(&mut self, name: &str, read: impl Fn(&Node<'a>) -> Result<T>) -> Result<Vec<T>> {
        let Some(node) = self.take(name) else { return Ok(Vec::new()) };
        let items = node.value.as_array().ok_or_else(|| node.error("must be an array"))?;
        if items.is_empty() {
            return Err(node.error("is empty; leave it out"));
        }
        let item =
            |(index, value)| read(&Node { field: format!("{}[{index}]", node.field), value, ..node.clone() });
        items.iter().enumerate().map(item).collect()
    }

    /// An array of flag names, as bits.
    fn flags(&mut self, name: &str, known: impl Iterator<Item = (&'static str, u64)>) -> Result<u64> {
        let known: BTreeMap<&str, u64> = known.collect();
        let bits = self.list(name, |node| {
            known.get(node.string()?).copied().ok_or_else(|| node.error("is not known"))
        })?;
        Ok(bits.into_iter().fold(0, |all, bit| all | bit))
    }

    /// Complains about a field that is left.
    fn finish(self) -> Result<()> {
        match self.left.keys().next() {
            Some(name) => Err(self.error(name, "is not known")),
            None => Ok(()),
        }
    }
}
