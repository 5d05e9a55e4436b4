//! redis-check-rdb: reads a file as a load does, says what it meets on the way, and keeps nothing of it.
//!
//! The same is shown in the log when a load fails, because it tells an operator which key the file broke at.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use super::decode::Decoder;
use super::error::Error;
use super::format::{CHECKSUM_SINCE, kind, opcode};
use super::load::header;
use super::value::{self, Around, Limits, module_name};
use crate::persistence::rio::{Source, Stream};
use crate::server::config::Config;
use crate::server::start;
use crate::server::version::{ARCH_BITS, REDIS_VERSION};
use crate::zmalloc;

/// Names of the types, by number.
const TYPES: [&str; 26] = [
    "string",
    "list-linked",
    "set-hashtable",
    "zset-v1",
    "hash-hashtable",
    "zset-v2",
    "module-pre-release",
    "module-value",
    "",
    "hash-zipmap",
    "list-ziplist",
    "set-intset",
    "zset-ziplist",
    "hash-ziplist",
    "quicklist",
    "stream",
    "hash-listpack",
    "zset-listpack",
    "quicklist-v2",
    "stream-v2",
    "set-listpack",
    "stream-v3",
    "hash-hashtable-md-pre-release",
    "hash-listpack-md-pre-release",
    "hash-hashtable-md",
    "hash-listpack-md",
];

/// What was being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Start,
    Type,
    Expiry,
    Key,
    Value,
    Checksum,
    Length,
    Aux,
    ModuleAux,
    Functions,
}

impl Doing {
    fn name(self) -> &'static str {
        match self {
            Doing::Start => "start",
            Doing::Type => "read-type",
            Doing::Expiry => "read-expire",
            Doing::Key => "read-key",
            Doing::Value => "read-object-value",
            Doing::Checksum => "check-sum",
            Doing::Length => "read-len",
            Doing::Aux => "read-aux",
            Doing::ModuleAux => "read-module-aux",
            Doing::Functions => "read-functions",
        }
    }
}

/// What was found so far.
#[derive(Debug, Default)]
struct Counts {
    keys: u64,
    expires: u64,
    expired: u64,
    with_field_expiry: u64,
}

struct Check<'f, 'w, 'l> {
    from: Decoder<'f, Stream<'w>>,
    limits: &'l Limits,
    out: &'l mut dyn Write,
    doing: Doing,
    /// The key at hand.
    key: Option<Vec<u8>>,
    /// The type at hand. A file that fails before its first key is said to have been at type 0.
    kind: Option<u8>,
    counts: Counts,
    now_ms: i64,
}

/// Runs redis-check-rdb with these arguments, the program's own name first, and returns its exit code.
pub fn main(args: &[OsString]) -> i32 {
    let [_, file] = args else {
        let program = args.first().map_or(OsStr::new("redis-check-rdb"), OsString::as_os_str);
        eprintln!("Usage: {} <rdb-file-name>", program.display());
        return 1;
    };
    if file == "-v" || file == "--version" {
        println!(
            "redis-check-rdb v={REDIS_VERSION} sha=00000000:0 malloc={} bits={ARCH_BITS} build=0",
            zmalloc::allocator_name()
        );
        return 0;
    }
    let limits = start::build(Config::default()).map(|srv| Limits::of(&srv));
    let end = limits.ok().and_then(|limits| show(Path::new(file), &limits));
    i32::from(end.is_none())
}

/// Whether a load that failed so is worth a look at the file: not if the file is no RDB file, or could not be read.
pub fn is_worth_it(error: &Error) -> bool {
    /// Bytes of magic and version.
    const HEADER: u64 = 9;
    match error {
        Error::End { offset } => *offset >= HEADER,
        Error::Corrupt { .. } | Error::Checksum(..) => true,
        _ => false,
    }
}

/// Checks the file and prints what is found to the standard output; where it ends, if it is as it should be.
pub fn show(path: &Path, limits: &Limits) -> Option<u64> {
    show_to(&mut io::stdout().lock(), path, limits)
}

/// The same, printed elsewhere.
pub fn show_to(out: &mut dyn Write, path: &Path, limits: &Limits) -> Option<u64> {
    // Output that nobody takes is no finding.
    let _ = writeln!(out, "[offset 0] Checking RDB file {}", path.display());
    let mut file = File::open(path).ok()?;
    let size = file.metadata().map_or(0, |meta| meta.len());
    check(&mut file, Some(size).filter(|size| *size > 0), limits, out)
}

/// Checks what `input` gives, and writes to `out` what is found; where the RDB file ends that it begins with, if all is as
/// it should be.
pub fn check(
    input: &mut impl io::Read,
    size: Option<u64>,
    limits: &Limits,
    out: &mut dyn Write,
) -> Option<u64> {
    let mut stream = Stream::new(input, size);
    let mut check = Check {
        from: Decoder::new(&mut stream),
        limits,
        out,
        doing: Doing::Start,
        key: None,
        kind: Some(0),
        counts: Counts::default(),
        now_ms: (crate::server::time::unix_us() / 1000) as i64,
    };
    let result = check.run();
    match &result {
        Ok(()) => {
            check.info("\\o/ RDB looks OK! \\o/");
            check.show_counts();
        }
        Err(error) => check.show_error(error),
    }
    let _ = check.out.flush();
    result.ok().map(|()| check.from.source.offset())
}

impl Check<'_, '_, '_> {
    fn line(&mut self, text: &str) {
        let _ = writeln!(self.out, "{text}");
    }

    fn info(&mut self, text: &str) {
        let offset = self.from.source.offset();
        self.line(&format!("[offset {offset}] {text}"));
    }

    fn show_counts(&mut self) {
        let Counts { keys, expires, expired, with_field_expiry } = self.counts;
        self.line(&format!("[info] {keys} keys read"));
        self.line(&format!("[info] {expires} expires"));
        self.line(&format!("[info] {expired} already expired"));
        self.line(&format!("[info] {with_field_expiry} subexpires"));
    }

    fn show_error(&mut self, error: &Error) {
        let text = match error {
            Error::End { .. } | Error::Io(_) => "Unexpected EOF reading RDB file".to_owned(),
            Error::Signature(_) => "Wrong signature trying to load DB from file".to_owned(),
            Error::Checksum(..) => "RDB CRC error".to_owned(),
            other => other.to_string(),
        };
        self.line("--- RDB ERROR DETECTED ---");
        self.info(&text);
        self.line(&format!("[additional info] While doing: {}", self.doing.name()));
        if let Some(key) = self.key.take() {
            self.line(&format!("[additional info] Reading key '{}'", String::from_utf8_lossy(&key)));
        }
        if let Some(kind) = self.kind {
            let name = TYPES.get(usize::from(kind)).copied().unwrap_or("unknown");
            self.line(&format!("[additional info] Reading type {kind} ({name})"));
        }
        self.show_counts();
    }

    fn run(&mut self) -> Result<(), Error> {
        let version = header(&mut self.from)?;
        let mut expiry = None;
        loop {
            self.doing = Doing::Type;
            let byte = self.from.byte()?;
            match byte {
                opcode::EXPIRE_TIME => {
                    self.doing = Doing::Expiry;
                    expiry = Some(i64::from(i32::from_le_bytes(self.from.array()?)) * 1000);
                }
                opcode::EXPIRE_TIME_MS => {
                    self.doing = Doing::Expiry;
                    expiry = Some(self.from.word()? as i64);
                }
                opcode::FREQ => _ = self.from.byte()?,
                opcode::IDLE => _ = self.from.length()?,
                opcode::SELECT_DB => {
                    self.doing = Doing::Length;
                    let db = self.from.length()?;
                    self.info(&format!("Selecting DB ID {db}"));
                }
                opcode::RESIZE_DB => self.skip_lengths(2)?,
                opcode::SLOT_INFO => self.skip_lengths(3)?,
                opcode::AUX => self.aux()?,
                opcode::MODULE_AUX => return Err(self.module_aux()),
                opcode::FUNCTION_PRE_GA => {
                    let text = format!("Pre-release function format not supported {version}");
                    return Err(Error::Unsupported(text));
                }
                opcode::FUNCTION2 => {
                    self.doing = Doing::Functions;
                    self.from.bytes()?;
                }
                opcode::EOF => break,
                byte if kind::is_known(byte) => self.key(byte, expiry.take())?,
                byte => return Err(Error::Unsupported(format!("Invalid object type: {byte}"))),
            }
        }
        if version >= CHECKSUM_SINCE { self.checksum() } else { Ok(()) }
    }

    fn skip_lengths(&mut self, n: usize) -> Result<(), Error> {
        self.doing = Doing::Length;
        for _ in 0..n {
            self.from.length()?;
        }
        Ok(())
    }

    fn aux(&mut self) -> Result<(), Error> {
        self.doing = Doing::Aux;
        let name = String::from_utf8_lossy(self.from.bytes()?).into_owned();
        let value = String::from_utf8_lossy(self.from.bytes()?).into_owned();
        self.info(&format!("AUX FIELD {name} = '{value}'"));
        Ok(())
    }

    fn module_aux(&mut self) -> Error {
        self.doing = Doing::ModuleAux;
        match self.from.length() {
            Ok(id) => Error::Unsupported(format!("MODULE AUX for: {}", module_name(id))),
            Err(error) => error,
        }
    }

    fn key(&mut self, byte: u8, expiry: Option<i64>) -> Result<(), Error> {
        self.kind = Some(byte);
        self.doing = Doing::Key;
        let key = self.from.bytes()?.to_vec();
        self.counts.keys += 1;
        self.doing = Doing::Value;
        let around = Around { key: &key, expiry: None, clock: 0 };
        let value = value::entry(&mut self.from, byte, around, self.limits);
        let has_field_expiry = matches!(byte, kind::HASH_METADATA_PRE_GA..=kind::HASH_LISTPACK_EX);
        let empty = matches!(value, Ok(Err(_)));
        let failed = value.map(drop).err();
        self.key = Some(key);
        if let Some(error) = failed {
            return Err(error);
        }
        if empty {
            // A load skips such a key, but nothing should have written it.
            return Err(Error::End { offset: self.from.source.offset() });
        }
        self.counts.expires += u64::from(expiry.is_some());
        self.counts.expired += u64::from(expiry.is_some_and(|at_ms| at_ms < self.now_ms));
        self.counts.with_field_expiry += u64::from(has_field_expiry);
        (self.key, self.kind) = (None, None);
        Ok(())
    }

    fn checksum(&mut self) -> Result<(), Error> {
        self.doing = Doing::Checksum;
        let computed = self.from.source.checksum();
        self.from.source.ignore_checksum();
        match self.from.word()? {
            0 => self.info("RDB file was saved with checksum disabled: no check performed."),
            stated if stated != computed => return Err(Error::Checksum(stated, computed)),
            _ => self.info("Checksum OK"),
        }
        Ok(())
    }
}
