//! What the server says about its commands: the reply to COMMAND DOCS, and for servers that do not know it, the bare
//! facts of COMMAND.
//!
//! Help, completion and inline hints all come from here, so that they fit the server that is connected and not the
//! version of this program. Whatever in a reply does not have the expected shape is skipped: a server is free to send
//! more, or less.

use super::resp::Reply;

/// What an argument is, which decides how it is matched and shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentKind {
    /// A string, key, pattern or anything else that takes any word.
    Word,
    /// An integer, a Unix time included.
    Integer,
    /// A floating-point number.
    Double,
    /// A literal word and nothing else.
    Token,
    /// Exactly one of the inner arguments.
    OneOf,
    /// All of the inner arguments, in order.
    Block,
}

/// One argument of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    /// What it is called in hints.
    pub label: String,
    /// The literal word that announces it.
    pub token: Option<String>,
    /// What it is.
    pub kind: ArgumentKind,
    /// Whether it may be left out.
    pub optional: bool,
    /// Whether it may be given several times.
    pub multiple: bool,
    /// Whether the token is repeated each time.
    pub multiple_token: bool,
    /// The inner arguments of a block or a choice.
    pub inner: Vec<Argument>,
}

/// One command or subcommand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandDoc {
    /// The words of its name in capitals: one, or two for a subcommand.
    pub words: Vec<String>,
    /// What it does.
    pub summary: Option<String>,
    /// The version that introduced it.
    pub since: Option<String>,
    /// The group it belongs to.
    pub group: String,
    /// Its arguments; `None` when the server did not tell.
    pub arguments: Option<Vec<Argument>>,
    /// A rough synopsis for when the arguments are unknown.
    pub synopsis: String,
}

impl CommandDoc {
    /// The words of the name with blanks between them.
    pub fn full_name(&self) -> String {
        self.words.join(" ")
    }
}

/// All commands of a server.
#[derive(Clone, Debug, Default)]
pub struct CommandDocs {
    /// The commands and subcommands, by name.
    pub commands: Vec<CommandDoc>,
    /// The names of the groups, sorted, without the `@` that help puts in front.
    pub groups: Vec<String>,
}

impl CommandDocs {
    /// Reads the reply to COMMAND DOCS.
    pub fn from_command_docs(reply: &Reply) -> CommandDocs {
        let mut commands = Vec::new();
        for (name, doc) in reply.pairs() {
            if let Some(name) = text(name) {
                read_command(&mut commands, vec![name.to_uppercase()], doc);
            }
        }
        CommandDocs::new(commands)
    }

    /// Makes do with the reply to COMMAND, which has names and numbers of arguments only.
    pub fn from_command_table(reply: &Reply) -> CommandDocs {
        let commands = reply.elements().unwrap_or_default().iter().filter_map(read_table_entry).collect();
        CommandDocs::new(commands)
    }

    fn new(mut commands: Vec<CommandDoc>) -> CommandDocs {
        commands.sort_by_key(CommandDoc::full_name);
        let mut groups: Vec<String> = commands.iter().map(|command| command.group.clone()).collect();
        groups.sort();
        groups.dedup();
        CommandDocs { commands, groups }
    }

    /// The command with the longest name that `words` begin with.
    pub fn find<W: AsRef<[u8]>>(&self, words: &[W]) -> Option<&CommandDoc> {
        self.commands
            .iter()
            .filter(|command| {
                command.words.len() <= words.len()
                    && command
                        .words
                        .iter()
                        .zip(words)
                        .all(|(a, b)| a.as_bytes().eq_ignore_ascii_case(b.as_ref()))
            })
            .max_by_key(|command| command.words.len())
    }
}

fn text(reply: &Reply) -> Option<String> {
    reply.text().map(|text| String::from_utf8_lossy(text).into_owned())
}

/// Reads one entry of COMMAND DOCS, its subcommands included.
fn read_command(commands: &mut Vec<CommandDoc>, words: Vec<String>, doc: &Reply) {
    let mut command = CommandDoc {
        words,
        summary: None,
        since: None,
        group: String::new(),
        arguments: None,
        synopsis: String::new(),
    };
    for (key, value) in doc.pairs() {
        match key.text() {
            Some(b"summary") => command.summary = text(value),
            Some(b"since") => command.since = text(value),
            Some(b"group") => command.group = text(value).unwrap_or_default(),
            Some(b"arguments") => command.arguments = value.elements().map(read_arguments),
            Some(b"subcommands") if command.words.len() == 1 => {
                for (name, doc) in value.pairs() {
                    let Some(name) = text(name) else { continue };
                    let subcommand = name.rsplit('|').next().unwrap_or_default().to_uppercase();
                    read_command(commands, vec![command.words[0].clone(), subcommand], doc);
                }
            }
            _ => {}
        }
    }
    commands.push(command);
}

fn read_arguments(items: &[Reply]) -> Vec<Argument> {
    items.iter().map(read_argument).collect()
}

fn read_argument(spec: &Reply) -> Argument {
    let mut argument = Argument {
        label: String::new(),
        token: None,
        kind: ArgumentKind::Word,
        optional: false,
        multiple: false,
        multiple_token: false,
        inner: Vec::new(),
    };
    let mut display = None;
    for (key, value) in spec.pairs() {
        match key.text() {
            Some(b"name") => argument.label = text(value).unwrap_or_default(),
            Some(b"display_text") => display = text(value),
            Some(b"token") => argument.token = text(value),
            Some(b"type") => argument.kind = read_kind(value),
            Some(b"arguments") => argument.inner = value.elements().map(read_arguments).unwrap_or_default(),
            Some(b"flags") => {
                for flag in value.elements().unwrap_or_default() {
                    match flag.text() {
                        Some(b"optional") => argument.optional = true,
                        Some(b"multiple") => argument.multiple = true,
                        Some(b"multiple_token") => argument.multiple_token = true,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    if let Some(display) = display {
        argument.label = display;
    }
    argument
}

fn read_kind(value: &Reply) -> ArgumentKind {
    match value.text() {
        Some(b"integer" | b"unix-time") => ArgumentKind::Integer,
        Some(b"double") => ArgumentKind::Double,
        Some(b"pure-token") => ArgumentKind::Token,
        Some(b"oneof") => ArgumentKind::OneOf,
        Some(b"block") => ArgumentKind::Block,
        _ => ArgumentKind::Word,
    }
}

/// Reads one entry of COMMAND: name, arity (negative for "at least"), flags, position of the first key, …
fn read_table_entry(entry: &Reply) -> Option<CommandDoc> {
    let [name, Reply::Integer(arity), _, Reply::Integer(first_key), ..] = entry.elements()? else {
        return None;
    };
    // A server has no command with more fixed arguments than this; the bound keeps a hostile one from filling memory.
    let mut fixed = arity.unsigned_abs().saturating_sub(1).min(64);
    let mut words = Vec::new();
    if *first_key == 1 && fixed > 0 {
        words.push("key");
        fixed -= 1;
    }
    words.extend((0..fixed).map(|_| "arg"));
    if *arity < 0 {
        words.push("...options...");
    }
    Some(CommandDoc {
        words: vec![text(name)?.to_uppercase()],
        summary: None,
        since: None,
        group: "generic".to_string(),
        arguments: None,
        synopsis: words.join(" "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Reply {
        Reply::Bulk(text.as_bytes().to_vec())
    }

    fn map(pairs: &[(&str, Reply)]) -> Reply {
        Reply::Map(pairs.iter().map(|(key, value)| (bulk(key), value.clone())).collect())
    }

    fn config() -> Reply {
        let parameter = map(&[
            ("name", bulk("parameter")),
            ("type", bulk("string")),
            ("display_text", bulk("param")),
            ("flags", Reply::Set(vec![Reply::Status(b"multiple".to_vec())])),
        ]);
        let get = map(&[("group", bulk("server")), ("arguments", Reply::Array(vec![parameter]))]);
        map(&[(
            "config",
            map(&[
                ("summary", bulk("holds others")),
                ("group", bulk("server")),
                ("subcommands", map(&[("config|get", get)])),
            ]),
        )])
    }

    #[test]
    fn subcommands_are_commands_of_two_words() {
        let docs = CommandDocs::from_command_docs(&config());
        let names: Vec<String> = docs.commands.iter().map(CommandDoc::full_name).collect();
        assert_eq!(names, ["CONFIG", "CONFIG GET"]);
        assert_eq!(docs.groups, ["server"]);
        let arguments = docs.find(&["config", "get", "x"]).unwrap().arguments.as_ref().unwrap();
        assert_eq!((arguments[0].label.as_str(), arguments[0].multiple), ("param", true));
        assert_eq!(docs.find(&["config", "nonsense"]).unwrap().words.len(), 1);
        assert_eq!(docs.find(&["get"]), None);
    }

    #[test]
    fn a_table_entry_becomes_a_rough_synopsis() {
        let entry = |name: &str, arity, first| {
            Reply::Array(vec![bulk(name), Reply::Integer(arity), Reply::Array(vec![]), Reply::Integer(first)])
        };
        let table =
            Reply::Array(vec![entry("set", -3, 1), entry("ping", -1, 0), Reply::Nil, entry("x", 3, 0)]);
        let docs = CommandDocs::from_command_table(&table);
        let synopses: Vec<&str> = docs.commands.iter().map(|command| command.synopsis.as_str()).collect();
        assert_eq!(synopses, ["...options...", "key arg ...options...", "arg arg"]);
    }

    #[test]
    fn replies_of_another_shape_are_skipped() {
        for reply in
            [Reply::Nil, Reply::Integer(1), Reply::Array(vec![bulk("odd")]), map(&[("x", Reply::Nil)])]
        {
            assert!(CommandDocs::from_command_docs(&reply).commands.len() <= 1);
            assert!(CommandDocs::from_command_table(&reply).commands.is_empty());
        }
    }
}
