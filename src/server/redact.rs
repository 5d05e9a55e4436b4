//! Keeping secrets out of what the server shows of commands: SLOWLOG, MONITOR, crash reports.
//!
//! Which arguments are secret follows from the command and its arguments alone, so nothing needs to be marked while
//! a command runs, and a command that fails half-way is treated like one that succeeds.

use std::ops::Range;

use crate::server::Argv;
use crate::server::commands::CommandSpec;
use crate::server::config::{Directive, Flag};

/// What stands in for a secret argument.
pub const REDACTED: &[u8] = b"(redacted)";

/// Which of a command's arguments are secret.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Secrets(Vec<Range<usize>>);

impl Secrets {
    /// Of the command `spec` called with `argv`.
    pub fn of(spec: &CommandSpec, argv: &Argv) -> Secrets {
        match spec.fullname {
            "auth" => Secrets(std::iter::once(1..argv.len()).collect()),
            "hello" => Secrets::of_hello(argv),
            "migrate" => Secrets::of_migrate(argv),
            "config|set" => Secrets::of_config_set(argv),
            _ => Secrets::default(),
        }
    }

    /// User and password behind the option AUTH.
    fn of_hello(argv: &Argv) -> Secrets {
        let mut secret = Vec::new();
        let mut i = 2;
        while i + 1 < argv.len() {
            if argv.is(i, b"auth") {
                secret.push(i + 1..i + 3);
                i += 3;
            } else {
                i += 2;
            }
        }
        Secrets(secret)
    }

    /// What is behind AUTH and AUTH2.
    fn of_migrate(argv: &Argv) -> Secrets {
        let mut secret = Vec::new();
        let mut i = 6;
        while i < argv.len() && !argv.is(i, b"keys") {
            let words = if argv.is(i, b"auth") {
                1
            } else if argv.is(i, b"auth2") {
                2
            } else {
                0
            };
            if words > 0 {
                secret.push(i + 1..i + 1 + words);
            }
            i += 1 + words;
        }
        Secrets(secret)
    }

    /// The values of directives that hold passwords.
    fn of_config_set(argv: &Argv) -> Secrets {
        let sensitive = |i: &usize| Directive::find(argv.get(*i)).is_some_and(|d| d.has(Flag::Sensitive));
        Secrets((2..argv.len()).step_by(2).filter(sensitive).map(|i| i + 1..i + 2).collect())
    }

    /// Whether argument `i` is secret.
    pub fn contains(&self, i: usize) -> bool {
        self.0.iter().any(|range| range.contains(&i))
    }

    /// Argument `i` as it may be shown.
    pub fn shown<'a>(&self, argv: &'a Argv, i: usize) -> &'a [u8] {
        if self.contains(i) { REDACTED } else { argv.get(i) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(line: &str) -> Argv {
        Argv::from_args(&line.split(' ').collect::<Vec<_>>())
    }

    #[test]
    fn login_of_hello_is_secret() {
        let secret = Secrets::of_hello(&argv("HELLO 3 SETNAME auth AUTH user pass"));
        let shown: Vec<usize> = (0..7).filter(|i| secret.contains(*i)).collect();
        assert_eq!(shown, [5, 6]);
        assert_eq!(Secrets::of_hello(&argv("HELLO")), Secrets::default());
    }

    #[test]
    fn login_of_migrate_is_secret() {
        let argv = argv("MIGRATE h 1 auth 0 10 COPY auth AUTH2 AUTH2 user pass KEYS auth b");
        let secret = Secrets::of_migrate(&argv);
        let shown: Vec<usize> = (0..argv.len()).filter(|i| secret.contains(*i)).collect();
        assert_eq!(shown, [8, 10, 11]);
    }

    #[test]
    fn passwords_in_the_configuration_are_secret() {
        let argv = argv("CONFIG SET hz 10 requirepass foo timeout");
        let secret = Secrets::of_config_set(&argv);
        assert_eq!(secret.shown(&argv, 3), b"10");
        assert_eq!(secret.shown(&argv, 4), b"requirepass");
        assert_eq!(secret.shown(&argv, 5), REDACTED);
    }
}
