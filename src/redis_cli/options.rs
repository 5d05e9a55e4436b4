//! The command line: a table of options, from which both parsing and `--help` come.
//!
//! Options end at the first argument that does not begin with a dash; that argument and all behind it are the command.
//! Errors are returned rather than printed, so that the caller alone decides about output and exit status.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use super::connection::{AddressPreference, Endpoint};
use super::format::{Printer, Style};
use super::ldb::Mode;
use super::lenient::{integer_or_zero, leading_float, leading_integer};
use super::uri;

/// Where the last argument of a one-shot command, or one of them, comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StdinArgument {
    /// All arguments are on the command line.
    #[default]
    None,
    /// `-x`: standard input is appended as the last argument.
    Last,
    /// `-X tag`: standard input takes the place of the argument that equals the tag.
    Tagged(Vec<u8>),
}

/// Which version of the protocol to ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resp3 {
    /// RESP2, which every server starts with.
    #[default]
    No,
    /// RESP3 because the output profits from it; a server that refuses is used with RESP2.
    Preferred,
    /// RESP3 because the user demands it.
    Required,
}

/// Everything that the command line, and what of the environment belongs to it, decide.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server.
    pub endpoint: Endpoint,
    /// How long connecting may take; as long as the system allows when absent.
    pub connect_timeout: Option<Duration>,
    /// Which addresses of a name to try first.
    pub address_preference: AddressPreference,
    /// The ACL user to authenticate as.
    pub user: Option<Vec<u8>>,
    /// The password to authenticate with.
    pub password: Option<Vec<u8>>,
    /// Whether to ask for the password on the terminal.
    pub ask_password: bool,
    /// The database to select.
    pub db: i64,
    /// The protocol to ask for.
    pub resp3: Resp3,
    /// How often to run a one-shot command; forever when negative.
    pub repeat: i64,
    /// The pause after each run of a command.
    pub interval: Duration,
    /// How replies are printed.
    pub printer: Printer,
    /// Whether messages that the server sends unasked are printed.
    pub show_pushes: bool,
    /// Whether arguments are quoted strings.
    pub quoted_input: bool,
    /// What is read from standard input.
    pub stdin_argument: StdinArgument,
    /// A file with a script to send with EVAL.
    pub eval: Option<PathBuf>,
    /// Whether that script is debugged, and how.
    pub ldb: Option<Mode>,
    /// Whether to follow redirections of a cluster.
    pub cluster: bool,
    /// Whether an error reply to a one-shot command becomes the exit status.
    pub fail_on_error: bool,
    /// Whether the modes that can say more do.
    pub verbose: bool,
    /// A line to print the inline hint for, instead of running a command.
    pub test_hint: Option<Vec<u8>>,
    /// A file of lines and the hints expected for them.
    pub test_hint_file: Option<PathBuf>,
}

/// What came of the command line.
#[derive(Debug)]
pub struct CommandLine {
    /// The options.
    pub options: Options,
    /// The command and its arguments; empty in interactive use.
    pub command: Vec<Vec<u8>>,
    /// What the user should know, for standard error.
    pub warnings: Vec<String>,
}

/// Why the program ends before doing anything.
#[derive(Debug, PartialEq, Eq)]
pub enum Stop {
    /// `--help` was asked for.
    Help,
    /// `--version` was asked for.
    Version,
    /// The command line makes no sense; the text says why. Warnings that preceded it are part of it.
    Error(String),
}

/// What an option does when it is met.
enum Action {
    /// It takes no value.
    Plain(fn(&mut Parser)),
    /// It takes the next argument.
    Value { name: &'static str, apply: fn(&mut Parser, &[u8]) -> Result<(), Stop> },
    /// It ends the program.
    Stop(fn() -> Stop),
}

/// One option.
struct Flag {
    /// Its spellings.
    names: &'static [&'static str],
    action: Action,
    /// Its description, a line each; hidden from `--help` when empty.
    help: &'static [&'static str],
}

const FLAGS: &[Flag] = &[
    Flag {
        names: &["-h"],
        action: Action::Value { name: "hostname", apply: set_host },
        help: &["Host name or address of the server (127.0.0.1 unless given)."],
    },
    Flag {
        names: &["-p"],
        action: Action::Value { name: "port", apply: set_port },
        help: &["TCP port of the server (6379 unless given)."],
    },
    Flag {
        names: &["-t"],
        action: Action::Value { name: "timeout", apply: set_connect_timeout },
        help: &[
            "Give up connecting after so many seconds; fractions are fine.",
            "0, the default, leaves the limit to the system.",
        ],
    },
    Flag {
        names: &["-s"],
        action: Action::Value { name: "socket", apply: set_socket },
        help: &["Path of the server's Unix socket, instead of a host and port."],
    },
    Flag {
        names: &["-a", "--pass"],
        action: Action::Value {
            name: "password",
            apply: |parser, value| {
                parser.options.password = Some(value.to_vec());
                Ok(())
            },
        },
        help: &[
            "Authenticate with this password. Other users of the machine can",
            "see it; the environment variable REDISCLI_AUTH is safer. When both",
            "are given, this option wins.",
        ],
    },
    Flag {
        names: &["--user"],
        action: Action::Value {
            name: "username",
            apply: |parser, value| {
                parser.options.user = Some(value.to_vec());
                Ok(())
            },
        },
        help: &["Authenticate as this ACL user; a password has to come with it."],
    },
    Flag {
        names: &["--askpass"],
        action: Action::Plain(|parser| parser.options.ask_password = true),
        help: &["Ask for the password, whatever -a and REDISCLI_AUTH say."],
    },
    Flag {
        names: &["-u"],
        action: Action::Value { name: "uri", apply: set_uri },
        help: &[
            "Server, credentials and database in one:",
            "redis://user:password@host:port/dbnum. All but the scheme may be",
            "left out.",
        ],
    },
    Flag {
        names: &["-r"],
        action: Action::Value {
            name: "repeat",
            apply: |parser, value| {
                parser.options.repeat = integer_or_zero(value);
                Ok(())
            },
        },
        help: &["Run the command so many times; a negative number never ends."],
    },
    Flag {
        names: &["-i"],
        action: Action::Value {
            name: "interval",
            apply: |parser, value| {
                let seconds = leading_float(value).unwrap_or(0.0);
                parser.options.interval = Duration::try_from_secs_f64(seconds).unwrap_or_default();
                Ok(())
            },
        },
        help: &["With -r, wait so many seconds after each run; 0.1 is fine."],
    },
    Flag {
        names: &["-n"],
        action: Action::Value {
            name: "db",
            apply: |parser, value| {
                parser.options.db = integer_or_zero(value);
                Ok(())
            },
        },
        help: &["Number of the database to use."],
    },
    Flag {
        names: &["-2"],
        action: Action::Plain(|parser| parser.resp2 = true),
        help: &["Speak RESP2, even if an output format would rather have RESP3."],
    },
    Flag {
        names: &["-3"],
        action: Action::Plain(|parser| parser.options.resp3 = Resp3::Required),
        help: &["Speak RESP3."],
    },
    Flag {
        names: &["-x"],
        action: Action::Plain(|parser| parser.stdin_last = true),
        help: &["Take the last argument of the command from standard input."],
    },
    Flag {
        names: &["-X"],
        action: Action::Value {
            name: "tag",
            apply: |parser, value| {
                parser.stdin_tag = Some(value.to_vec());
                Ok(())
            },
        },
        help: &["Replace the argument that reads <tag> by standard input."],
    },
    Flag {
        names: &["-d"],
        action: Action::Value {
            name: "delimiter",
            apply: |parser, value| {
                parser.options.printer.element_delimiter = value.to_vec();
                Ok(())
            },
        },
        help: &["What separates the elements of a raw reply (a line end)."],
    },
    Flag {
        names: &["-D"],
        action: Action::Value {
            name: "delimiter",
            apply: |parser, value| {
                parser.options.printer.reply_delimiter = value.to_vec();
                Ok(())
            },
        },
        help: &["What ends a raw reply (a line end)."],
    },
    Flag {
        names: &["-c"],
        action: Action::Plain(|parser| parser.options.cluster = true),
        help: &["Follow the -MOVED and -ASK redirections of a cluster."],
    },
    Flag {
        names: &["-e"],
        action: Action::Plain(|parser| parser.options.fail_on_error = true),
        help: &["Exit with status 1 when the server replies with an error."],
    },
    Flag {
        names: &["-4"],
        action: Action::Plain(|parser| parser.prefer_v4 = true),
        help: &["Prefer a name's IPv4 addresses."],
    },
    Flag {
        names: &["-6"],
        action: Action::Plain(|parser| {
            parser.prefer_v6 = true;
            parser.options.address_preference = AddressPreference::V6;
        }),
        help: &["Prefer a name's IPv6 addresses."],
    },
    Flag {
        names: &["--raw"],
        action: Action::Plain(|parser| parser.options.printer.style = Style::Raw),
        help: &["Print replies as they are, which is the default for pipes."],
    },
    Flag {
        names: &["--no-raw"],
        action: Action::Plain(|parser| parser.options.printer.style = Style::Standard),
        help: &["Print replies for people, which is the default for terminals."],
    },
    Flag {
        names: &["--quoted-input"],
        action: Action::Plain(|parser| parser.options.quoted_input = true),
        help: &["Arguments are quoted strings, as in interactive use."],
    },
    Flag {
        names: &["--csv"],
        action: Action::Plain(|parser| parser.options.printer.style = Style::Csv),
        help: &["Print replies as comma-separated values."],
    },
    Flag {
        names: &["--json"],
        action: Action::Plain(|parser| parser.print_json(Style::Json)),
        help: &["Print replies as JSON; speaks RESP3 unless -2 is given."],
    },
    Flag {
        names: &["--quoted-json"],
        action: Action::Plain(|parser| parser.print_json(Style::QuotedJson)),
        help: &["The same in ASCII, with quoted strings."],
    },
    Flag {
        names: &["--show-pushes"],
        action: Action::Value { name: "yn", apply: set_show_pushes },
        help: &[
            "Whether to print RESP3 push messages; yes by default when the",
            "output goes to a terminal.",
        ],
    },
    Flag {
        names: &["--eval"],
        action: Action::Value {
            name: "file",
            apply: |parser, value| {
                parser.options.eval = Some(path(value));
                Ok(())
            },
        },
        help: &["Run the Lua script in a file; keys and arguments follow, with a", "comma between them."],
    },
    Flag {
        names: &["--ldb"],
        action: Action::Plain(|parser| parser.options.ldb = parser.options.ldb.or(Some(Mode::Forked))),
        help: &["With --eval, walk through the script in the debugger."],
    },
    Flag {
        names: &["--ldb-sync-mode"],
        action: Action::Plain(|parser| parser.options.ldb = Some(Mode::Sync)),
        help: &[
            "The same in the server itself, which serves nobody else meanwhile,",
            "and keeps what the script changes.",
        ],
    },
    Flag {
        names: &["--verbose"],
        action: Action::Plain(|parser| parser.options.verbose = true),
        help: &["Say more."],
    },
    Flag {
        names: &["--no-auth-warning"],
        action: Action::Plain(|parser| parser.no_auth_warning = true),
        help: &["Do not warn about a password on the command line."],
    },
    Flag { names: &["--help"], action: Action::Stop(|| Stop::Help), help: &["Print this and exit."] },
    Flag {
        names: &["--version", "-v"],
        action: Action::Stop(|| Stop::Version),
        help: &["Print the version and exit."],
    },
    // Two doors for tests of the inline hints, which otherwise only a terminal shows.
    Flag {
        names: &["--test_hint"],
        action: Action::Value {
            name: "line",
            apply: |parser, value| {
                parser.options.test_hint = Some(value.to_vec());
                Ok(())
            },
        },
        help: &[],
    },
    Flag {
        names: &["--test_hint_file"],
        action: Action::Value {
            name: "file",
            apply: |parser, value| {
                parser.options.test_hint_file = Some(path(value));
                Ok(())
            },
        },
        help: &[],
    },
];

/// The options as far as they have been read, and what can only be judged at the end.
struct Parser {
    options: Options,
    warnings: Vec<String>,
    resp2: bool,
    stdin_last: bool,
    stdin_tag: Option<Vec<u8>>,
    prefer_v4: bool,
    prefer_v6: bool,
    no_auth_warning: bool,
}

/// Reads the arguments behind the program's name. `terminal` tells whether output goes to one, which decides the default
/// style.
///
/// # Errors
///
/// A [`Stop`] when the program is not to go on.
pub fn parse(args: &[Vec<u8>], terminal: bool) -> Result<CommandLine, Stop> {
    let mut parser = Parser::new(terminal);
    match parser.read(args) {
        Ok(command) => {
            Ok(CommandLine { options: parser.options, command: command.to_vec(), warnings: parser.warnings })
        }
        Err(Stop::Error(error)) => {
            parser.warnings.push(error);
            Err(Stop::Error(parser.warnings.join("\n")))
        }
        Err(stop) => Err(stop),
    }
}

impl Parser {
    fn new(terminal: bool) -> Parser {
        let options = Options {
            endpoint: Endpoint::Tcp { host: "127.0.0.1".to_string(), port: 6379 },
            connect_timeout: None,
            address_preference: AddressPreference::V4,
            user: None,
            password: None,
            ask_password: false,
            db: 0,
            resp3: Resp3::No,
            repeat: 1,
            interval: Duration::ZERO,
            printer: Printer {
                style: if terminal { Style::Standard } else { Style::Raw },
                element_delimiter: b"\n".to_vec(),
                reply_delimiter: b"\n".to_vec(),
            },
            show_pushes: terminal,
            quoted_input: false,
            stdin_argument: StdinArgument::None,
            eval: None,
            ldb: None,
            cluster: false,
            fail_on_error: false,
            verbose: false,
            test_hint: None,
            test_hint_file: None,
        };
        Parser {
            options,
            warnings: Vec::new(),
            resp2: false,
            stdin_last: false,
            stdin_tag: None,
            prefer_v4: false,
            prefer_v6: false,
            no_auth_warning: false,
        }
    }

    /// Applies all options and returns the arguments behind them.
    fn read<'a>(&mut self, args: &'a [Vec<u8>]) -> Result<&'a [Vec<u8>], Stop> {
        let mut rest = args;
        while let Some((arg, behind)) = rest.split_first() {
            if !arg.starts_with(b"-") {
                break;
            }
            let flag = FLAGS.iter().find(|flag| flag.names.iter().any(|name| name.as_bytes() == arg));
            rest = match (flag.map(|flag| &flag.action), behind.split_first()) {
                (Some(Action::Plain(apply)), _) => {
                    apply(self);
                    behind
                }
                (Some(Action::Value { apply, .. }), Some((value, behind))) => {
                    apply(self, value)?;
                    behind
                }
                (Some(Action::Stop(stop)), _) => return Err(stop()),
                // A host option without a host asks for help, as it does in many programs.
                _ if arg == b"-h" => return Err(Stop::Help),
                _ => {
                    return error(format!(
                        "Unrecognized option or bad number of args for: '{}'",
                        String::from_utf8_lossy(arg)
                    ));
                }
            };
        }
        self.finish()?;
        Ok(rest)
    }

    /// Judges what depends on several options.
    fn finish(&mut self) -> Result<(), Stop> {
        if self.options.cluster && matches!(self.options.endpoint, Endpoint::Unix(_)) {
            return error("Options -c and -s are mutually exclusive.");
        }
        if self.resp2 {
            if self.options.resp3 == Resp3::Required {
                return error("Options -2 and -3 are mutually exclusive.");
            }
            self.options.resp3 = Resp3::No;
        }
        if self.options.password.is_some() && !self.no_auth_warning {
            self.warnings.push(
                "Warning: Using a password with '-a' or '-u' option on the command line interface may not be safe."
                    .to_string(),
            );
        }
        self.options.stdin_argument = match (self.stdin_last, self.stdin_tag.take()) {
            (true, Some(_)) => return error("Options -x and -X are mutually exclusive."),
            (true, None) => StdinArgument::Last,
            (false, Some(tag)) => StdinArgument::Tagged(tag),
            (false, None) => StdinArgument::None,
        };
        if self.options.ldb.is_some() && self.options.eval.is_none() {
            return error(
                "Options --ldb and --ldb-sync-mode require --eval.\nTry redis-cli --help for more information.",
            );
        }
        if self.prefer_v4 && self.prefer_v6 {
            return error("Options -4 and -6 are mutually exclusive.");
        }
        Ok(())
    }

    /// JSON is better made from RESP3, which tells maps from arrays.
    fn print_json(&mut self, style: Style) {
        self.options.printer.style = style;
        if self.options.resp3 == Resp3::No {
            self.options.resp3 = Resp3::Preferred;
        }
    }

    /// The host and port so far, to change one of them. A Unix socket keeps its place: `-s` beats `-h` and `-p`.
    fn set_tcp(&mut self, change: impl FnOnce(&mut String, &mut u16)) {
        if let Endpoint::Tcp { host, port } = &mut self.options.endpoint {
            change(host, port);
        }
    }
}

fn error<T>(text: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Error(text.into()))
}

fn path(value: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(value))
}

fn set_host(parser: &mut Parser, value: &[u8]) -> Result<(), Stop> {
    parser.set_tcp(|host, _| *host = String::from_utf8_lossy(value).into_owned());
    Ok(())
}

fn set_port(parser: &mut Parser, value: &[u8]) -> Result<(), Stop> {
    let Ok(number) = u16::try_from(integer_or_zero(value)) else {
        return error("Invalid server port.");
    };
    parser.set_tcp(|_, port| *port = number);
    Ok(())
}

fn set_socket(parser: &mut Parser, value: &[u8]) -> Result<(), Stop> {
    parser.options.endpoint = Endpoint::Unix(path(value));
    Ok(())
}

fn set_connect_timeout(parser: &mut Parser, value: &[u8]) -> Result<(), Stop> {
    let seconds = std::str::from_utf8(value).ok().and_then(|text| text.parse::<f64>().ok());
    match seconds {
        Some(seconds) if seconds >= 0.0 => {
            // What does not fit, an infinity for one, is no limit at all.
            let timeout = Duration::try_from_secs_f64(seconds).unwrap_or_default();
            parser.options.connect_timeout = (!timeout.is_zero()).then_some(timeout);
            Ok(())
        }
        _ => error("Invalid connection timeout for -t."),
    }
}

fn set_uri(parser: &mut Parser, value: &[u8]) -> Result<(), Stop> {
    let uri = uri::parse(value).map_err(|problem| Stop::Error(problem.to_string()))?;
    let port = match uri.port.map(u16::try_from).transpose() {
        Ok(port) => port,
        Err(_) => return error("Invalid server port."),
    };
    let options = &mut parser.options;
    options.user = uri.user.or(options.user.take());
    options.password = uri.password.or(options.password.take());
    options.db = uri.db.unwrap_or(options.db);
    parser.set_tcp(|old_host, old_port| {
        if let Some(host) = uri.host {
            *old_host = host;
        }
        *old_port = port.unwrap_or(*old_port);
    });
    Ok(())
}

fn set_show_pushes(parser: &mut Parser, value: &[u8]) -> Result<(), Stop> {
    match value.first().map(u8::to_ascii_lowercase) {
        Some(b'y') => parser.options.show_pushes = true,
        Some(b'n') => parser.options.show_pushes = false,
        _ => parser.warnings.push(format!(
            "Unknown --show-pushes value '{}' (valid: '[y]es', '[n]o')",
            String::from_utf8_lossy(value)
        )),
    }
    Ok(())
}

/// The text of `--help`, behind the line with the version.
pub fn usage() -> String {
    const COLUMN: usize = 21;
    let mut text = "\nUsage: redis-cli [OPTIONS] [cmd [arg [arg ...]]]\n".to_string();
    for flag in FLAGS.iter().filter(|flag| !flag.help.is_empty()) {
        let mut synopsis = format!("  {}", flag.names.join(", "));
        if let Action::Value { name, .. } = flag.action {
            synopsis.push_str(&format!(" <{name}>"));
        }
        let mut lines = flag.help.iter();
        if synopsis.len() < COLUMN {
            let first = lines.next().copied().unwrap_or_default();
            text.push_str(&format!("{synopsis:COLUMN$}{first}\n"));
        } else {
            text.push_str(&format!("{synopsis}\n"));
        }
        for line in lines {
            text.push_str(&format!("{:COLUMN$}{line}\n", ""));
        }
    }
    text.push_str(
        "\nExamples:\n\
         \x20 redis-cli -h ::1 -p 7000 set greeting hello\n\
         \x20 redis-cli -u redis://default:PASSWORD@localhost:6379/0\n\
         \x20 redis-cli -x set photo < photo.jpg\n\
         \x20 redis-cli --raw -D '' dump photo | redis-cli -X dump restore copy 0 dump\n\
         \x20 redis-cli -r -1 -i 1 info memory | grep used_memory_human\n\
         \x20 redis-cli --quoted-input set '\"a\\x00b\"' value\n\
         \x20 redis-cli --eval script.lua key1 key2 , arg1 arg2\n\
         \x20 redis-cli --ldb --eval script.lua key1 key2 , arg1 arg2\n\
         \nWithout a command, redis-cli reads commands from the terminal, or line by line\n\
         from standard input. Type \"help\" there to learn more.\n\n",
    );
    text
}

/// A count given in front of a command in interactive use: `5 PING`. `None` when `word` is not a number at all.
///
/// # Errors
///
/// When the number is zero, negative or too large.
pub fn repeat_prefix(word: &[u8]) -> Option<Result<i64, ()>> {
    match leading_integer(word) {
        Some((count, b"")) if count <= 0 || count == i64::MAX => Some(Err(())),
        Some((count, b"")) => Some(Ok(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<CommandLine, Stop> {
        let args: Vec<Vec<u8>> = line.split(' ').map(|arg| arg.as_bytes().to_vec()).collect();
        parse(&args, false)
    }

    fn refused(line: &str) -> String {
        match read(line) {
            Err(Stop::Error(text)) => text,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn options_end_at_the_command() {
        let line = read("-h ::1 -p 7000 -n 3 --raw set -x --foo").unwrap();
        assert_eq!(line.options.endpoint, Endpoint::Tcp { host: "::1".to_string(), port: 7000 });
        assert_eq!(line.options.db, 3);
        assert_eq!(line.options.stdin_argument, StdinArgument::None);
        assert_eq!(line.command, [b"set".to_vec(), b"-x".to_vec(), b"--foo".to_vec()]);
    }

    #[test]
    fn nonsense_is_refused_in_the_known_words() {
        assert_eq!(refused("--foo"), "Unrecognized option or bad number of args for: '--foo'");
        assert_eq!(refused("-a"), "Unrecognized option or bad number of args for: '-a'");
        assert_eq!(refused("-p 65536"), "Invalid server port.");
        assert_eq!(refused("-p -1"), "Invalid server port.");
        assert_eq!(refused("-t -1"), "Invalid connection timeout for -t.");
        assert_eq!(refused("-t x"), "Invalid connection timeout for -t.");
        assert_eq!(refused("-2 -3 ping"), "Options -2 and -3 are mutually exclusive.");
        assert_eq!(refused("-4 -6 ping"), "Options -4 and -6 are mutually exclusive.");
        assert_eq!(refused("-x -X t ping"), "Options -x and -X are mutually exclusive.");
        assert!(refused("--ldb").starts_with("Options --ldb and --ldb-sync-mode require --eval.\n"));
        assert_eq!(refused("-s /tmp/s -c ping"), "Options -c and -s are mutually exclusive.");
        assert_eq!(refused("-u redis://h:65536 ping"), "Invalid server port.");
    }

    #[test]
    fn modes_that_do_not_exist_yet_are_unknown_options() {
        for mode in ["--pipe", "--bigkeys", "--stat", "--latency", "--scan", "--replica", "--tls"] {
            assert_eq!(refused(mode), format!("Unrecognized option or bad number of args for: '{mode}'"));
        }
    }

    #[test]
    fn json_asks_for_resp3_unless_told_otherwise() {
        assert_eq!(read("--json ping").unwrap().options.resp3, Resp3::Preferred);
        assert_eq!(read("-3 --json ping").unwrap().options.resp3, Resp3::Required);
        assert_eq!(read("--json -2 ping").unwrap().options.resp3, Resp3::No);
    }

    #[test]
    fn a_password_on_the_command_line_is_warned_about() {
        assert_eq!(read("-a x ping").unwrap().warnings.len(), 1);
        assert_eq!(read("-u redis://:x@h ping").unwrap().warnings.len(), 1);
        assert!(read("-a x --no-auth-warning ping").unwrap().warnings.is_empty());
    }

    #[test]
    fn a_socket_wins_over_host_and_port() {
        let line = read("-s /tmp/s -h a -p 1 ping").unwrap();
        assert_eq!(line.options.endpoint, Endpoint::Unix(PathBuf::from("/tmp/s")));
    }

    #[test]
    fn help_is_what_a_lonely_host_option_asks_for() {
        assert_eq!(read("-h").unwrap_err(), Stop::Help);
        assert_eq!(read("-a x --help").unwrap_err(), Stop::Help);
        assert_eq!(read("--version").unwrap_err(), Stop::Version);
    }

    #[test]
    fn usage_names_every_option_that_has_a_description() {
        let text = usage();
        for flag in FLAGS {
            let listed = text.contains(&format!("\n  {}", flag.names.join(", ")));
            assert_eq!(listed, !flag.help.is_empty(), "{:?}", flag.names);
        }
    }

    #[test]
    fn counts_before_a_command() {
        assert_eq!(repeat_prefix(b"5"), Some(Ok(5)));
        assert_eq!(repeat_prefix(b"0"), Some(Err(())));
        assert_eq!(repeat_prefix(b"-3"), Some(Err(())));
        assert_eq!(repeat_prefix(b"99999999999999999999"), Some(Err(())));
        assert_eq!(repeat_prefix(b"5x"), None);
        assert_eq!(repeat_prefix(b"get"), None);
    }
}
