//! CONFIG SET and CONFIG GET on a [`Config`], apart from the server.
//!
//! SET takes several directives and is all or nothing: names are checked first, then every value is read into a
//! copy, and only a copy without errors takes the place of the original. What the changes demand of the server is
//! returned as a list of effects, which the caller applies, or else puts the original back.

use super::{Config, DIRECTIVES, Directive, Effect, Flag, Reason};
use crate::ds::glob;

/// What the server allows at present.
#[derive(Clone, Copy, Debug)]
pub struct Permissions {
    /// Whether protected directives may be set: `enable-protected-configs`, seen from the client.
    pub protected: bool,
    /// Whether the dataset is loading, which forbids some directives.
    pub loading: bool,
}

/// Why nothing was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetError {
    /// There is no directive of this name.
    Unknown(Vec<u8>),
    /// A directive or its value was refused.
    Refused {
        /// The directive: as given if the value was not looked at, otherwise in its own spelling.
        name: Vec<u8>,
        /// What is wrong.
        reason: Reason,
    },
    /// A directive cannot be set while the dataset loads.
    Loading,
}

impl SetError {
    /// The error reply, code included.
    pub fn reply(&self) -> Vec<u8> {
        match self {
            Self::Unknown(name) => {
                [b"ERR Unknown option or number of arguments for CONFIG SET - '", &name[..], b"'"].concat()
            }
            Self::Refused { name, reason } => [
                b"ERR CONFIG SET failed (possibly related to argument '",
                &name[..],
                b"') - ",
                reason.as_bytes(),
            ]
            .concat(),
            Self::Loading => b"LOADING Redis is loading the dataset in memory".to_vec(),
        }
    }
}

/// An effect that a change calls for, with the directive that called first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// What to do.
    pub effect: Effect,
    /// Whose change it is, for messages.
    pub name: &'static str,
}

/// Sets all of the given directives to their values, or none. The changes' effects are returned, each once, in the
/// order of the arguments.
pub fn set(
    config: &mut Config,
    pairs: &[(&[u8], &[u8])],
    allowed: Permissions,
) -> Result<Vec<Change>, SetError> {
    let directives = check_names(pairs, allowed)?;
    let mut new = config.clone();
    let mut changes: Vec<Change> = Vec::new();
    for ((directive, name), (_, value)) in directives.into_iter().zip(pairs) {
        let changed = set_one(&mut new, directive, value)
            .map_err(|reason| SetError::Refused { name: name.as_bytes().to_vec(), reason })?;
        let effect = directive.effect;
        let wanted = effect != Effect::None && (changed || directive.has(Flag::Volatile));
        if wanted && !changes.iter().any(|change| change.effect == effect) {
            changes.push(Change { effect, name });
        }
    }
    *config = new;
    Ok(changes)
}

/// Finds the directives, with the name or alias by which they were called.
fn check_names(
    pairs: &[(&[u8], &[u8])],
    allowed: Permissions,
) -> Result<Vec<(&'static Directive, &'static str)>, SetError> {
    let mut found: Vec<(&'static Directive, &'static str)> = Vec::with_capacity(pairs.len());
    for &(given, _) in pairs {
        let refused =
            |reason: &'static str| SetError::Refused { name: given.to_vec(), reason: reason.into() };
        let unknown = || SetError::Unknown(given.to_vec());
        let directive = Directive::find(given).ok_or_else(unknown)?;
        let name =
            directive.names().find(|n| given.eq_ignore_ascii_case(n.as_bytes())).ok_or_else(unknown)?;
        if directive.has(Flag::Immutable) {
            return Err(refused("can't set immutable config"));
        }
        if directive.has(Flag::Protected) && !allowed.protected {
            return Err(refused("can't set protected config"));
        }
        if directive.has(Flag::DenyLoading) && allowed.loading {
            return Err(SetError::Loading);
        }
        if found.iter().any(|(_, other)| *other == name) {
            return Err(refused("duplicate parameter"));
        }
        found.push((directive, name));
    }
    Ok(found)
}

fn set_one(config: &mut Config, directive: &Directive, value: &[u8]) -> Result<bool, Reason> {
    if !directive.slot.many_words() {
        return directive.slot.set(config, &[value]);
    }
    if directive.has(Flag::Cumulative) {
        directive.slot.set(config, &[b""])?;
    }
    let words: Vec<&[u8]> = if value.is_empty() { Vec::new() } else { value.split(|&b| b == b' ').collect() };
    directive.slot.set(config, &words)
}

/// The directives that the patterns name, with their values. A pattern matches names and aliases; without a
/// wildcard it is a name, shown as it was given.
pub fn get(config: &Config, patterns: &[&[u8]]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let mut add = |name: &[u8], directive: &Directive| {
        if !found.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
            found.push((name.to_vec(), directive.slot.show(config)));
        }
    };
    for &pattern in patterns {
        if !pattern.iter().any(|b| b"[*?".contains(b)) {
            if let Some(directive) = Directive::find(pattern) {
                add(pattern, directive);
            }
            continue;
        }
        for directive in DIRECTIVES.iter().filter(|d| !d.has(Flag::Hidden)) {
            for name in directive.names().filter(|n| glob::matches(pattern, n.as_bytes(), true)) {
                add(name.as_bytes(), directive);
            }
        }
    }
    found
}
