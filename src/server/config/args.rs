//! The command line as configuration.
//!
//! ```text
//! redis-server [/path/to/redis.conf | -] [--directive value ...] ... [-]
//! ```
//!
//! A first argument without a leading dash names the configuration file. A lone `-`, as the first or the last
//! argument, has configuration read from standard input. What remains is put into lines, as if it stood at the end
//! of the file: `--name` begins a line, and each argument behind it becomes a quoted word of that line. So
//! `--port 7000 --bind a b` reads as
//!
//! ```text
//! port "7000"
//! bind "a" "b"
//! ```
//!
//! The word right behind a `--name` is always its value, even if it begins with dashes, so that
//! `--requirepass --secret` sets a strange password. Only `--save` may be without value; it then means `--save ""`.
//! An argument may also hold a whole line, `'--port 7000'`; its value is then read by the rules of the file.

use crate::ds::sds;

/// Directives whose value may be left out on the command line, which means an empty one.
const EMPTY_BY_DEFAULT: [&[u8]; 1] = [b"--save"];

/// What the command line asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// The configuration file, as given.
    pub file: Option<Vec<u8>>,
    /// Whether to read configuration from standard input, after the file.
    pub from_stdin: bool,
    /// The remaining arguments as lines of configuration, to be read last.
    pub lines: Vec<u8>,
}

impl CommandLine {
    /// Reads the arguments behind the program's name.
    pub fn parse(args: &[Vec<u8>]) -> CommandLine {
        let mut line = CommandLine::default();
        let mut rest = args;
        if let Some((first, others)) = args.split_first()
            && !first.starts_with(b"-")
        {
            line.file = Some(first.clone());
            rest = others;
        }
        let mut value_due = false;
        for (i, arg) in rest.iter().enumerate() {
            let (is_first, next) = (std::ptr::eq(arg, &args[0]), rest.get(i + 1));
            if arg == b"-" && (is_first || next.is_none()) {
                line.from_stdin = true;
            } else if arg.starts_with(b"--") && !value_due {
                value_due = line.option(arg, next);
            } else {
                sds::repr(&mut line.lines, arg);
                line.lines.push(b' ');
                value_due = false;
            }
        }
        line
    }

    /// Begins a line with an option; true if its value must follow.
    fn option(&mut self, arg: &[u8], next: Option<&Vec<u8>>) -> bool {
        if !self.lines.is_empty() {
            self.lines.push(b'\n');
        }
        self.lines.extend_from_slice(&arg[2..]);
        self.lines.push(b' ');
        let name_only = sds::split_args(arg).is_some_and(|words| words.len() == 1);
        let may_be_empty = EMPTY_BY_DEFAULT.iter().any(|name| arg.eq_ignore_ascii_case(name));
        if may_be_empty && next.is_none_or(|next| next.starts_with(b"--")) {
            self.lines.extend_from_slice(b"\"\"");
            return false;
        }
        name_only
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> CommandLine {
        let args: Vec<Vec<u8>> = args.iter().map(|a| a.as_bytes().to_vec()).collect();
        CommandLine::parse(&args)
    }

    fn lines(args: &[&str]) -> String {
        String::from_utf8(parse(args).lines).unwrap()
    }

    #[test]
    fn file_and_standard_input() {
        assert_eq!(parse(&["a.conf"]).file.as_deref(), Some(&b"a.conf"[..]));
        assert!(parse(&["-"]).from_stdin && parse(&["-", "--port", "1"]).from_stdin);
        let both = parse(&["a.conf", "--port", "1", "-"]);
        assert!(both.from_stdin && both.file.is_some() && both.lines == b"port \"1\" ");
        let middle = parse(&["a.conf", "-", "--port", "1"]);
        assert!(!middle.from_stdin && middle.lines == b"\"-\" \nport \"1\" ");
    }

    #[test]
    fn options_become_lines() {
        assert_eq!(lines(&["--port", "7000", "--bind", "a", "b"]), "port \"7000\" \nbind \"a\" \"b\" ");
        assert_eq!(lines(&["--port 7000", "--bind 'a b'"]), "port 7000 \nbind 'a b' ");
        assert_eq!(lines(&["--requirepass", "a \"b"]), "requirepass \"a \\\"b\" ");
    }

    #[test]
    fn the_word_behind_a_name_is_its_value() {
        assert_eq!(
            lines(&["--requirepass", "--secret", "--port", "1"]),
            "requirepass \"--secret\" \nport \"1\" "
        );
    }

    #[test]
    fn save_may_lack_its_value() {
        assert_eq!(lines(&["--save", "--port", "1"]), "save \"\"\nport \"1\" ");
        assert_eq!(lines(&["--port", "1", "--save"]), "port \"1\" \nsave \"\"");
        assert_eq!(lines(&["--save", "60 1"]), "save \"60 1\" ");
    }
}
