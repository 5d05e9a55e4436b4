//! Inline hints: what may still follow the words that have been typed.
//!
//! A command's arguments form a tree. The typed words are matched against it, which leaves a [`Progress`] beside each
//! argument, and the hint is the synopsis of whatever the progress says is not there yet:
//!
//! ```text
//! ZADD key CH LT        →  [NX|XX] [INCR] score member [score member ...]
//! ```
//!
//! Arguments that may be left out come in runs, and within a run in any order. An optional argument that has been begun
//! is shown first and loses its brackets; a run disappears when the required argument behind it has been begun. A word
//! that fits nowhere ends all hints.
//!
//! Matching is greedy and does not go back on a decision, so its work is bounded by words times arguments.

use super::docs::{Argument, ArgumentKind, CommandDoc, CommandDocs};
use super::lenient::{leading_float, leading_integer};
use crate::ds::sds::split_args;

/// How much of an argument has been typed.
#[derive(Default)]
struct Progress<'a> {
    /// How many words it took so far; 0 as long as it has not been begun.
    words: usize,
    /// Whether the token that announces it is there.
    token: bool,
    /// Whether the value is there, for an argument that is a single word.
    value: bool,
    /// Whether nothing more can belong to it.
    complete: bool,
    /// The inner arguments of a block or a choice.
    inner: Vec<Node<'a>>,
}

/// An argument and its progress.
struct Node<'a> {
    argument: &'a Argument,
    progress: Progress<'a>,
}

/// The hint for a line as it stands, or `None` when there is no such command. The last word counts only once a blank
/// follows it.
pub fn hint_for_line(docs: &CommandDocs, line: &[u8]) -> Option<String> {
    let words = split_args(line).unwrap_or_default();
    let ended = line.last().is_some_and(u8::is_ascii_whitespace);
    let typed = &words[..words.len() - usize::from(!ended && !words.is_empty())];
    let command = docs.find(typed)?;
    Some(hint_for_arguments(command, &typed[command.words.len()..]))
}

/// The complete synopsis of a command's arguments.
pub fn synopsis(command: &CommandDoc) -> String {
    hint_for_arguments(command, &[])
}

fn hint_for_arguments(command: &CommandDoc, words: &[Vec<u8>]) -> String {
    match &command.arguments {
        Some(arguments) => {
            let mut nodes = nodes(arguments);
            let matched = match_in_order(&mut nodes, words);
            if matched == words.len() { show_sequence(&nodes, " ") } else { String::new() }
        }
        None if words.is_empty() => command.synopsis.clone(),
        None => String::new(),
    }
}

fn nodes(arguments: &[Argument]) -> Vec<Node<'_>> {
    arguments.iter().map(Node::new).collect()
}

/// Matches arguments in their order. Returns how many words they took, or 0 when a required one did not fit.
fn match_in_order(nodes: &mut [Node<'_>], words: &[Vec<u8>]) -> usize {
    let mut taken = 0;
    let mut rest = nodes;
    while taken < words.len() && !rest.is_empty() {
        let optional = rest.iter().take_while(|node| node.argument.optional).count();
        if optional > 0 {
            let (run, behind) = rest.split_at_mut(optional);
            taken += match_in_any_order(run, &words[taken..]);
            rest = behind;
            continue;
        }
        let (required, behind) = rest.split_at_mut(1);
        match required[0].take(&words[taken..]) {
            0 => return 0,
            n => taken += n,
        }
        rest = behind;
    }
    taken
}

/// Matches a run of optional arguments, each at most once. Returns how many words they took.
fn match_in_any_order(run: &mut [Node<'_>], words: &[Vec<u8>]) -> usize {
    let mut taken = 0;
    let mut previous: Option<usize> = None;
    while taken < words.len() {
        let mut fits = None;
        for (i, node) in run.iter_mut().enumerate().filter(|(_, node)| node.progress.words == 0) {
            let n = node.take(&words[taken..]);
            if n > 0 {
                fits = Some((i, n));
                break;
            }
        }
        let Some((i, n)) = fits else { break };
        // Whoever begins another argument is done with the one before.
        if let Some(previous) = previous {
            run[previous].progress.complete = true;
        }
        previous = Some(i);
        taken += n;
    }
    taken
}

impl<'a> Node<'a> {
    fn new(argument: &'a Argument) -> Node<'a> {
        Node { argument, progress: Progress { inner: nodes(&argument.inner), ..Progress::default() } }
    }

    /// Matches the argument as often as it may be repeated. Returns how many words it took.
    fn take(&mut self, words: &[Vec<u8>]) -> usize {
        let mut taken = self.take_once(words);
        if !self.argument.multiple {
            return taken;
        }
        while self.progress.complete && taken < words.len() {
            *self = Node::new(self.argument);
            taken += if self.argument.token.is_some() && !self.argument.multiple_token {
                // The token came with the first value; the others stand alone.
                let n = self.take_value(&words[taken..]);
                self.progress.token = n > 0;
                n
            } else {
                self.take_once(&words[taken..])
            };
        }
        self.progress.complete = false;
        taken
    }

    fn take_once(&mut self, words: &[Vec<u8>]) -> usize {
        let Some(token) = &self.argument.token else {
            return self.take_value(words);
        };
        if !words.first().is_some_and(|word| word.eq_ignore_ascii_case(token.as_bytes())) {
            return 0;
        }
        self.progress.token = true;
        self.progress.words = 1;
        if self.argument.kind == ArgumentKind::Token {
            self.progress.complete = true;
            return 1;
        }
        match words.len() {
            1 => 1,
            _ => self.take_value(&words[1..]),
        }
    }

    /// Matches what is not the token. Returns how many words the whole argument took, its token included.
    fn take_value(&mut self, words: &[Vec<u8>]) -> usize {
        let Some(word) = words.first() else { return 0 };
        let progress = &mut self.progress;
        let fits = match self.argument.kind {
            ArgumentKind::Block => {
                progress.words += match_in_order(&mut progress.inner, words);
                progress.complete = progress.inner.iter().all(|node| node.progress.complete);
                return progress.words;
            }
            ArgumentKind::OneOf => {
                if let Some(chosen) = progress.inner.iter_mut().find_map(|node| {
                    let fits = node.take(words) > 0;
                    fits.then_some(node)
                }) {
                    progress.words += chosen.progress.words;
                    progress.complete = chosen.progress.complete;
                }
                return progress.words;
            }
            ArgumentKind::Integer => leading_integer(word).is_some(),
            ArgumentKind::Double => leading_float(word).is_some(),
            ArgumentKind::Word | ArgumentKind::Token => true,
        };
        if !fits {
            // A token without its value does not count either.
            *progress = Progress::default();
            return 0;
        }
        progress.words += 1;
        progress.value = true;
        progress.complete = true;
        progress.words
    }

    fn begun(&self) -> bool {
        self.progress.words > 0
    }

    /// The synopsis of what is still missing; empty when that is nothing.
    fn show(&self) -> String {
        if self.progress.complete {
            return String::new();
        }
        let mut text = self.show_missing();
        if self.argument.multiple {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(&self.show_repetition());
        }
        if self.argument.optional {
            if !self.begun() {
                text.insert(0, '[');
            }
            // A repeatable argument that has been begun keeps its closing bracket, as upstream has it.
            if !self.begun() || self.argument.multiple {
                text.push(']');
            }
        }
        text
    }

    /// What is missing of the occurrence that is being typed.
    fn show_missing(&self) -> String {
        let body = match self.argument.kind {
            ArgumentKind::Token => String::new(),
            ArgumentKind::Block => show_sequence(&self.progress.inner, " "),
            ArgumentKind::OneOf if self.begun() => {
                self.progress.inner.iter().filter(|node| node.begun()).map(Node::show).collect()
            }
            ArgumentKind::OneOf => show_sequence(&self.progress.inner, "|"),
            _ if self.progress.value => String::new(),
            _ => quoted_if_empty(&self.argument.label),
        };
        match &self.argument.token {
            Some(token) if !self.progress.token => with_token(token, self.argument.kind, &body),
            _ => body,
        }
    }

    /// The form in which further occurrences are announced: `[ABC def ...]`.
    fn show_repetition(&self) -> String {
        let fresh = Node::new(self.argument);
        let body = match self.argument.kind {
            ArgumentKind::Token => String::new(),
            ArgumentKind::Block => show_sequence(&fresh.progress.inner, " "),
            ArgumentKind::OneOf => show_sequence(&fresh.progress.inner, "|"),
            _ => quoted_if_empty(&self.argument.label),
        };
        match &self.argument.token {
            Some(token) if self.argument.multiple_token => {
                format!("[{} ...]", with_token(token, self.argument.kind, &body))
            }
            _ => format!("[{body} ...]"),
        }
    }
}

/// A pair of quotes stands for a word that is empty, as one of the arguments of MIGRATE may be.
fn quoted_if_empty(word: &str) -> String {
    if word.is_empty() { "\"\"".to_string() } else { word.to_string() }
}

fn with_token(token: &str, kind: ArgumentKind, body: &str) -> String {
    let token = quoted_if_empty(token);
    if kind == ArgumentKind::Token { token } else { format!("{token} {body}") }
}

/// The synopses of several arguments, those that have nothing to show left out.
fn show_sequence(nodes: &[Node<'_>], separator: &str) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut rest = nodes;
    while let Some(first) = rest.first() {
        if !first.argument.optional {
            parts.push(first.show());
            rest = &rest[1..];
            continue;
        }
        let run = rest.iter().take_while(|node| node.argument.optional).count();
        let (optional, behind) = rest.split_at(run);
        parts.extend(optional.iter().filter(|node| node.begun()).map(Node::show));
        if !behind.first().is_some_and(Node::begun) {
            parts.extend(optional.iter().filter(|node| !node.begun()).map(Node::show));
        }
        rest = behind;
    }
    parts.retain(|part| !part.is_empty());
    parts.join(separator)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(label: &str) -> Argument {
        Argument {
            label: label.to_string(),
            token: None,
            kind: ArgumentKind::Word,
            optional: false,
            multiple: false,
            multiple_token: false,
            inner: Vec::new(),
        }
    }

    fn token(text: &str) -> Argument {
        Argument { token: Some(text.to_string()), kind: ArgumentKind::Token, ..word(text) }
    }

    fn optional(argument: Argument) -> Argument {
        Argument { optional: true, ..argument }
    }

    fn one_of(inner: Vec<Argument>) -> Argument {
        Argument { kind: ArgumentKind::OneOf, inner, ..word("choice") }
    }

    fn docs(name: &str, arguments: Vec<Argument>) -> CommandDocs {
        let command = CommandDoc {
            words: name.split(' ').map(str::to_string).collect(),
            summary: None,
            since: None,
            group: "test".to_string(),
            arguments: Some(arguments),
            synopsis: String::new(),
        };
        CommandDocs { commands: vec![command], groups: vec![] }
    }

    fn check(docs: &CommandDocs, cases: &[(&str, &str)]) {
        for (line, expected) in cases {
            let hint = hint_for_line(docs, line.as_bytes());
            assert_eq!(hint.as_deref(), Some(*expected), "{line:?}");
        }
    }

    fn set() -> CommandDocs {
        let seconds = Argument { token: Some("EX".into()), kind: ArgumentKind::Integer, ..word("seconds") };
        docs(
            "SET",
            vec![
                word("key"),
                word("value"),
                optional(one_of(vec![token("NX"), token("XX")])),
                optional(token("GET")),
                optional(one_of(vec![seconds, token("KEEPTTL")])),
            ],
        )
    }

    #[test]
    fn what_is_typed_disappears() {
        check(
            &set(),
            &[
                ("SET ", "key value [NX|XX] [GET] [EX seconds|KEEPTTL]"),
                ("set k", "key value [NX|XX] [GET] [EX seconds|KEEPTTL]"),
                ("set k ", "value [NX|XX] [GET] [EX seconds|KEEPTTL]"),
                ("set k v EX ", "seconds [NX|XX] [GET]"),
                ("set k v EX 3 ", "[NX|XX] [GET]"),
                ("set k v get nx ", "[EX seconds|KEEPTTL]"),
            ],
        );
    }

    #[test]
    fn a_word_that_fits_nowhere_ends_the_hints() {
        check(&set(), &[("set k v foo ", ""), ("set k v EX soon ", ""), ("set k v NX NX ", "")]);
    }

    #[test]
    fn a_begun_requirement_hides_the_options_before_it() {
        let pair = Argument {
            kind: ArgumentKind::Block,
            multiple: true,
            inner: vec![Argument { kind: ArgumentKind::Double, ..word("score") }, word("member")],
            ..word("data")
        };
        let docs = docs("ZADD", vec![word("key"), optional(token("CH")), pair]);
        check(
            &docs,
            &[
                ("ZADD ", "key [CH] score member [score member ...]"),
                ("ZADD k ", "[CH] score member [score member ...]"),
                ("ZADD k 1 ", "member [score member ...]"),
                ("ZADD k 1 m ", "[score member ...]"),
                ("ZADD k ch 1 m 2 ", "member [score member ...]"),
            ],
        );
    }

    #[test]
    fn names_of_two_words_win_over_names_of_one() {
        check(&docs("CONFIG GET", vec![word("parameter")]), &[("config get ", "parameter")]);
        assert_eq!(hint_for_line(&docs("CONFIG GET", vec![]), b"config "), None);
    }

    #[test]
    fn unfinished_quotes_give_no_hint() {
        assert_eq!(hint_for_line(&set(), b"set \"a "), None);
        assert_eq!(hint_for_line(&set(), b""), None);
    }

    #[test]
    fn a_rough_synopsis_serves_until_something_is_typed() {
        let mut docs = docs("OLD", vec![]);
        docs.commands[0].arguments = None;
        docs.commands[0].synopsis = "key arg".to_string();
        check(&docs, &[("OLD ", "key arg"), ("OLD k ", "")]);
    }
}
