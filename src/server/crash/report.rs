//! The sections of a crash report.
//!
//! The markers are upstream's, because people and tools look for them.

use std::any::Any;
use std::ffi::c_int;
use std::fmt::Write;
use std::panic::PanicHookInfo;

use crate::ds::sds;
use crate::server::config::{DIRECTIVES, Flag};
use crate::server::redact::Secrets;
use crate::server::version::{OCHRE_VERSION, REDIS_VERSION};
use crate::server::{Client, Server, client_cmd, info, logging, process};

use super::registers::{self, Fault};
use super::stacks;

/// Words of the stack that are shown.
const STACK_WORDS: usize = 16;

/// Arguments of the command at hand that are shown, and bytes of each.
const MAX_ARGS: usize = 32;
const MAX_ARG_LEN: usize = 1024;

/// Why there is a report.
pub(super) enum Cause {
    /// A signal.
    Signal(Fault),
    /// An assertion that does not hold: what it says, and where.
    Assertion { text: String, place: String },
    /// Any other panic.
    Panic { text: String, place: String },
}

impl Cause {
    pub fn panic(info: &PanicHookInfo<'_>, srv: Option<&Server>) -> Cause {
        let hide = srv.is_some_and(|srv| srv.config.hide_user_data_from_log);
        let text = message(info.payload(), hide);
        let place = info.location().map_or("unknown".into(), |at| format!("{}:{}", at.file(), at.line()));
        match text.strip_prefix("assertion ") {
            Some(text) => {
                Cause::Assertion { text: text.strip_prefix("failed: ").unwrap_or(text).into(), place }
            }
            None => Cause::Panic { text, place },
        }
    }

    /// Where this thread was interrupted, if it was.
    fn pc(&self) -> Option<usize> {
        match self {
            Cause::Signal(fault) => fault.pc,
            Cause::Assertion { .. } | Cause::Panic { .. } => None,
        }
    }
}

/// What a panic says. A text that was put together may hold data of users; a fixed one does not.
fn message(payload: &dyn Any, hide: bool) -> String {
    match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => (*text).into(),
        (None, Some(_)) if hide => "*redacted*".into(),
        (None, Some(text)) => text.clone(),
        (None, None) => "a panic without a message".into(),
    }
}

fn title(title: &str) {
    logging::write_raw(&format!("\n------ {title} ------\n"));
}

/// Writes the whole report.
pub(super) fn write(cause: &Cause, srv: Option<&Server>, c: Option<&Client>) {
    let hide = srv.is_none_or(|srv| srv.config.hide_user_data_from_log);
    logging::write_raw("\n\n=== REDIS BUG REPORT START: Cut & paste starting from here ===\n");
    write_cause(cause, c, hide);
    stacks::write(cause.pc());
    if let Cause::Signal(fault) = cause {
        write_registers(fault, hide);
    }
    if let Some(srv) = srv {
        write_state(srv, c, hide);
    }
    logging::write_raw(
        "\n=== REDIS BUG REPORT END. Make sure to include from START to END. ===\n\n       \
         Please send this report to the maintainers of Ochre: it tells them where to look.\n",
    );
    if let Some(srv) = srv {
        process::remove_pidfile(srv);
    }
}

/// What is left to say when the report itself crashes.
pub(super) fn recursive(signal: c_int) {
    logging::write_raw(
        "\nCrashed running signal handler. Providing reduced version of recursive crash report.\n",
    );
    logging::write_raw(&format!("Redis {REDIS_VERSION} crashed by signal: {signal}\n"));
}

fn write_cause(cause: &Cause, c: Option<&Client>, hide: bool) {
    match cause {
        Cause::Signal(fault) => {
            log::warn!("Redis {REDIS_VERSION} crashed by signal: {}, si_code: {}", fault.signal, fault.code);
            log::warn!("Ochre version {OCHRE_VERSION}");
            if let Some(address) = fault.address {
                log::warn!("Accessing address: {address:#x}");
            }
            if let Some((pid, uid)) = fault.sender {
                log::warn!("Killed by PID: {pid}, UID: {uid}");
            }
            if let Some(pc) = fault.pc {
                log::warn!("Crashed running the instruction at: {pc:#x}");
            }
        }
        Cause::Assertion { text, place } => {
            if let Some(c) = c {
                write_assertion_context(c, hide);
            }
            log::warn!("=== ASSERTION FAILED ===");
            log::warn!("==> {place} '{text}' is not true");
        }
        Cause::Panic { text, place } => {
            log::warn!("------------------------------------------------");
            log::warn!("!!! Software Failure. Press left mouse button to continue");
            log::warn!("Guru Meditation: {text} #{place}");
            log::warn!("------------------------------------------------");
        }
    }
}

fn write_assertion_context(c: &Client, hide: bool) {
    log::warn!("=== ASSERTION FAILED CLIENT CONTEXT ===");
    log::warn!("client->flags = {:?}", c.flags);
    log::warn!("client->argc = {}", c.argv.len());
    for (i, arg) in shown_args(c, hide).iter().enumerate() {
        log::warn!("client->argv[{i}] = {arg}");
    }
}

/// The arguments of the command at hand, quoted. Of hidden ones only the command's name is shown.
fn shown_args(c: &Client, hide: bool) -> Vec<String> {
    let secrets = c.cmd.map(|spec| Secrets::of(spec, &c.argv)).unwrap_or_default();
    (0..c.argv.len().min(MAX_ARGS))
        .map(|i| {
            if hide && i > 0 {
                return "*redacted*".into();
            }
            let arg = secrets.shown(&c.argv, i);
            let mut quoted = Vec::new();
            sds::repr(&mut quoted, &arg[..arg.len().min(MAX_ARG_LEN)]);
            String::from_utf8_lossy(&quoted).into_owned()
        })
        .collect()
}

fn write_registers(fault: &Fault, hide: bool) {
    title("REGISTERS");
    let mut text = String::new();
    for pair in fault.registers.chunks(2) {
        let pair: Vec<String> = pair.iter().map(|(name, value)| format!("{name}:{value:016x}")).collect();
        let _ = write!(text, "\n{}", pair.join(" "));
    }
    log::warn!("{text}");
    if hide {
        log::warn!("hide-user-data-from-log is on, skip logging stack content to avoid spilling PII.");
    } else if let Some(sp) = fault.sp {
        for (address, word) in registers::stack_words(sp, STACK_WORDS).iter().rev() {
            log::warn!("({address:016x}) -> {word:016x}");
        }
    }
}

fn write_state(srv: &Server, c: Option<&Client>, hide: bool) {
    title("INFO OUTPUT");
    logging::write_raw(&info::everything(srv, c));
    title("CLIENT LIST OUTPUT");
    logging::write_raw(&client_cmd::lines(srv, srv.clients.iter().chain(c)));
    if let Some(c) = c {
        for role in ["CURRENT", "EXECUTING"] {
            title(&format!("{role} CLIENT INFO"));
            logging::write_raw(&client_info(srv, c, hide));
        }
    }
    title("MODULES INFO OUTPUT");
    title("CONFIG DEBUG OUTPUT");
    for directive in DIRECTIVES.iter().filter(|directive| directive.has(Flag::Debug)) {
        for name in directive.names() {
            let value = directive.slot.show(&srv.config);
            logging::write_raw(&format!("{name} {}\n", String::from_utf8_lossy(&value)));
        }
    }
}

fn client_info(srv: &Server, c: &Client, hide: bool) -> String {
    let mut text = format!("{}\nargc: '{}'\n", client_cmd::describe(srv, c), c.argv.len());
    for (i, arg) in shown_args(c, hide).iter().enumerate() {
        let _ = writeln!(text, "argv[{i}]: '{arg}'");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_that_may_hold_data_can_be_hidden() {
        let fixed: &'static str = "fixed";
        let built: String = "key foo is odd".into();
        assert_eq!(message(&fixed, true), "fixed");
        assert_eq!(message(&built, false), "key foo is odd");
        assert_eq!(message(&built, true), "*redacted*");
        assert_eq!(message(&5, false), "a panic without a message");
    }
}
