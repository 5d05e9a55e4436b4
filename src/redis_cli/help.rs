//! The `help` command and the completion of command names, both made from [`CommandDocs`].

use std::rc::Rc;

use super::docs::{CommandDoc, CommandDocs};
use super::session::{Exit, Report, Session, print};
use super::{hints, terminal, version_line};

/// What is known about the server's commands, fetched when it is first needed.
#[derive(Default)]
pub struct Help {
    docs: Option<Rc<CommandDocs>>,
}

impl Help {
    /// The server's commands. Without a connection, or with a server that does not tell, there are none.
    pub fn load(&mut self, session: &mut Session) -> Rc<CommandDocs> {
        if self.docs.is_none() && session.connect(Report::Nothing) {
            self.docs = fetch(session).map(Rc::new);
        }
        self.docs.clone().unwrap_or_default()
    }

    /// Runs a command, unless it asks for help, which is given here. Returns whether the command could be run.
    ///
    /// # Errors
    ///
    /// An [`Exit`] when the program is to end.
    pub fn run_or_help(
        &mut self,
        session: &mut Session,
        words: &[Vec<u8>],
        repeat: i64,
    ) -> Result<bool, Exit> {
        match words {
            [command] if is_help(command) => print(introduction(&version_line()).as_bytes())?,
            [command, topic @ ..] if is_help(command) => {
                let docs = self.load(session);
                print(about(&docs, topic, terminal::output_is_terminal()).as_bytes())?;
            }
            _ => return session.run(words, repeat),
        }
        Ok(true)
    }
}

fn is_help(command: &[u8]) -> bool {
    command.eq_ignore_ascii_case(b"help") || command == b"?"
}

fn fetch(session: &mut Session) -> Option<CommandDocs> {
    let command = |name: &str| name.split(' ').map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>();
    let reply = session.query(&command("COMMAND DOCS")).ok()?;
    if !reply.is_error() {
        return Some(CommandDocs::from_command_docs(&reply));
    }
    // Servers before version 7, and users who may not ask.
    session.query(&command("COMMAND")).ok().map(|table| CommandDocs::from_command_table(&table))
}

/// What help is asked about.
enum Topic<'a> {
    /// `help @group`
    Group(&'a [u8]),
    /// `help command [subcommand]`
    Command(&'a [Vec<u8>]),
}

/// The introduction that `help` alone prints. `version` is the line with the program's name.
pub fn introduction(version: &str) -> String {
    format!(
        "{version}\n\
         Help on the commands of the server:\n\
         \x20     \"help @<group>\"   the commands of a group, such as @string\n\
         \x20     \"help <command>\"  one command, or a command and its subcommands\n\
         \x20     \"help <tab>\"      steps through everything there is help on\n\
         \n\
         Commands of redis-cli itself:\n\
         \x20     \"connect <host> <port>\"  use another server\n\
         \x20     \"<count> <command>\"      run a command several times\n\
         \x20     \":set hints\"             show the arguments of a command while it is typed\n\
         \x20     \":set nohints\"           do not\n\
         \x20     \"clear\"                  clear the screen\n\
         \x20     \"quit\"                   leave\n\
         Settings that should last belong into ~/.redisclirc\n"
    )
}

/// Help on a group or on all commands whose names begin with `words`. `colour` puts in escape sequences for terminals.
pub fn about(docs: &CommandDocs, words: &[Vec<u8>], colour: bool) -> String {
    let topic = match words.first().and_then(|word| word.strip_prefix(b"@")) {
        Some(group) => Topic::Group(group),
        None => Topic::Command(words),
    };
    let mut text = String::new();
    for command in &docs.commands {
        match topic {
            Topic::Group(group) if command.group.as_bytes().eq_ignore_ascii_case(group) => {
                describe(&mut text, command, false, colour);
            }
            Topic::Command(words) if begins_with(command, words) => {
                describe(&mut text, command, true, colour)
            }
            _ => {}
        }
    }
    text.push_str("\r\n");
    text
}

fn begins_with(command: &CommandDoc, words: &[Vec<u8>]) -> bool {
    words.len() <= command.words.len()
        && words.iter().zip(&command.words).all(|(a, b)| a.eq_ignore_ascii_case(b.as_bytes()))
}

fn describe(text: &mut String, command: &CommandDoc, with_group: bool, colour: bool) {
    let paint = |code: &str, text: &str| {
        if colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    };
    let name = paint("1", &command.full_name());
    match hints::synopsis(command).as_str() {
        "" => text.push_str(&format!("\r\n  {name}\r\n")),
        synopsis => text.push_str(&format!("\r\n  {name} {}\r\n", paint("90", synopsis))),
    }
    let mut line = |label: &str, value: &str| {
        text.push_str(&format!("  {} {value}\r\n", paint("33", &format!("{label}:"))));
    };
    if let Some(summary) = &command.summary {
        line("summary", summary);
    }
    if let Some(since) = &command.since {
        line("since", since);
    }
    if with_group {
        line("group", &command.group);
    }
}

/// The names with which the end of `line` can be completed, and the position from which on they replace it. Behind
/// `help`, groups can be completed as well.
pub fn completions(docs: &CommandDocs, line: &str) -> (usize, Vec<String>) {
    let help = line.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("help "));
    let start = if help { line.len() - line[5..].trim_start().len() } else { 0 };
    let typed = &line[start..];
    let fits = |name: &String| name.get(..typed.len()).is_some_and(|start| start.eq_ignore_ascii_case(typed));
    let groups = docs.groups.iter().filter(|_| help).map(|group| format!("@{group}"));
    let names = groups.chain(docs.commands.iter().map(CommandDoc::full_name)).filter(fits).collect();
    (start, names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn docs() -> CommandDocs {
        let command = |words: &[&str], group: &str| CommandDoc {
            words: words.iter().map(|word| word.to_string()).collect(),
            summary: Some(format!("about {}", words.join(" "))),
            since: Some("1.0.0".to_string()),
            group: group.to_string(),
            arguments: None,
            synopsis: if words.len() == 2 { "key".to_string() } else { String::new() },
        };
        CommandDocs {
            commands: vec![
                command(&["CONFIG"], "server"),
                command(&["CONFIG", "GET"], "server"),
                command(&["GET"], "string"),
            ],
            groups: vec!["server".to_string(), "string".to_string()],
        }
    }

    fn words(line: &str) -> Vec<Vec<u8>> {
        line.split(' ').map(|word| word.as_bytes().to_vec()).collect()
    }

    #[test]
    fn a_command_is_described_with_its_subcommands() {
        assert_eq!(
            about(&docs(), &words("config"), false),
            "\r\n  CONFIG\r\n  summary: about CONFIG\r\n  since: 1.0.0\r\n  group: server\r\n\
             \r\n  CONFIG GET key\r\n  summary: about CONFIG GET\r\n  since: 1.0.0\r\n  group: server\r\n\r\n"
        );
        assert_eq!(about(&docs(), &words("nonsense"), false), "\r\n");
    }

    #[test]
    fn a_group_is_described_without_its_name() {
        assert_eq!(
            about(&docs(), &words("@String"), true),
            "\r\n  \x1b[1mGET\x1b[0m\r\n  \x1b[33msummary:\x1b[0m about GET\r\n  \x1b[33msince:\x1b[0m 1.0.0\r\n\r\n"
        );
    }

    #[test]
    fn completion() {
        assert_eq!(completions(&docs(), "con"), (0, vec!["CONFIG".to_string(), "CONFIG GET".to_string()]));
        assert_eq!(completions(&docs(), "config g"), (0, vec!["CONFIG GET".to_string()]));
        assert_eq!(completions(&docs(), "help  @s").0, 6);
        assert_eq!(completions(&docs(), "help @s").1, ["@server", "@string"]);
        assert!(completions(&docs(), "@s").1.is_empty());
        assert!(completions(&docs(), "h\u{e9}lp\u{e9}").1.is_empty());
    }
}
