//! redis-check-aof: whether the files of an append-only file can be loaded, and cutting off what cannot.
//!
//! It takes a manifest, whose files it checks one after the other, or a single file. What follows the last whole command
//! is cut off with `--fix`, what is younger than a given time with `--truncate-to-timestamp`; both only in the last file,
//! because what follows a gap would make no sense. Messages and exit codes are upstream's.
//!
//! Unlike the loader it reads line by line and remembers where, so that it can say what is wrong and at which byte.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use log::Level;

use crate::ds::numbers;
use crate::persistence::rdb;
use crate::server::config::Config;
use crate::server::config::file::os_error_text;
use crate::server::version::{ARCH_BITS, REDIS_VERSION};
use crate::server::{logging, start};
use crate::zmalloc;

use super::manifest::{AofFile, read_manifest_file, shown};
use super::reader::ANNOTATION_MAX;

/// Longest line that holds a number.
const NUMBER_LINE_MAX: usize = 127;

/// Longest line of a manifest that is looked at to see whether a file is one.
const MANIFEST_LINE_MAX: usize = 1024;

/// The program ends with exit code 1; it has said why.
#[derive(Debug)]
struct Aborted;

/// What came of the check of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Valid,
    Empty,
    Truncated,
    TruncatedToTime,
}

/// Runs redis-check-aof with these arguments, the program's name first, and returns its exit code.
pub fn main(args: &[OsString]) -> i32 {
    logging::set_role(b'C');
    let mut output = io::stdout().lock();
    let mut input = io::stdin().lock();
    // A reader that is gone cannot be told anything.
    run(args, &mut input, &mut output).map_or(1, |()| 0)
}

fn run(args: &[OsString], input: &mut dyn BufRead, output: &mut dyn Write) -> Result<(), Aborted> {
    let mut check = Check { input, output, fix: false, until_s: None, line: 1, offset: 0, error: None };
    let words: Vec<&[u8]> = args.iter().skip(1).map(|arg| arg.as_bytes()).collect();
    let path = match words[..] {
        [b"-v" | b"--version"] => {
            check.say(format_args!(
                "redis-check-aof v={REDIS_VERSION} sha=00000000:0 malloc={} bits={ARCH_BITS} build=0\n",
                zmalloc::allocator_name()
            ));
            return Ok(());
        }
        [path] => path,
        [b"--fix", path] => {
            check.fix = true;
            path
        }
        [b"--truncate-to-timestamp", time, path] => {
            let Some(time_s) = numbers::parse_i64(time) else {
                return Err(check.abort(format_args!("Invalid timestamp, aborting...\n")));
            };
            check.until_s = Some(time_s).filter(|time_s| *time_s != 0);
            path
        }
        _ => {
            let program = args.first().map_or("redis-check-aof".into(), |program| program.to_string_lossy());
            return Err(check.abort(format_args!(
                "Usage: {program} [--fix|--truncate-to-timestamp $timestamp] <file.manifest|file.aof>\n"
            )));
        }
    };
    check.path(Path::new(OsStr::from_bytes(path)))
}

/// A run of the program.
struct Check<'io> {
    input: &'io mut dyn BufRead,
    output: &'io mut dyn Write,
    /// Whether to cut off what is wrong.
    fix: bool,
    /// Up to when commands are kept, in Unix seconds, if not all are.
    until_s: Option<i64>,
    /// Lines read so far, of all files, and one.
    line: u64,
    /// Where what is read at present begins.
    offset: u64,
    /// What is wrong with the file at hand.
    error: Option<String>,
}

/// A file as it is read.
struct Scan {
    input: BufReader<File>,
    offset: u64,
    /// Whether its end was met.
    ended: bool,
}

impl Scan {
    /// The next byte, left where it is.
    fn peek(&mut self) -> io::Result<Option<u8>> {
        let next = self.input.fill_buf()?.first().copied();
        self.ended |= next.is_none();
        Ok(next)
    }

    /// The next line with its break, or as much of it as `most` bytes; empty at the end.
    fn line(&mut self, most: usize) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        self.input.by_ref().take(most as u64).read_until(b'\n', &mut line)?;
        self.offset += line.len() as u64;
        self.ended |= line.len() < most && line.last() != Some(&b'\n');
        Ok(line)
    }

    /// Reads over `len` bytes: how many there were, the first eight and the last two of them.
    fn bytes(&mut self, len: u64) -> io::Result<(u64, Vec<u8>, Vec<u8>)> {
        let (mut first, mut last, mut read) = (Vec::new(), Vec::new(), 0);
        while read < len {
            let there = self.input.fill_buf()?;
            if there.is_empty() {
                self.ended = true;
                break;
            }
            let piece = &there[..there.len().min(usize::try_from(len - read).unwrap_or(usize::MAX))];
            first.extend_from_slice(&piece[..piece.len().min(8 - first.len())]);
            last.extend_from_slice(&piece[piece.len().saturating_sub(2)..]);
            last.drain(..last.len().saturating_sub(2));
            read += piece.len() as u64;
            let used = piece.len();
            self.input.consume(used);
        }
        self.offset += read;
        Ok((read, first, last))
    }
}

/// What a file says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Manifest,
    Rdb,
    Commands,
}

impl Check<'_> {
    fn say(&mut self, text: std::fmt::Arguments<'_>) {
        // A reader that is gone cannot be told anything.
        let _ = self.output.write_fmt(text);
    }

    fn abort(&mut self, text: std::fmt::Arguments<'_>) -> Aborted {
        self.say(text);
        Aborted
    }

    /// Notes what is wrong at the place that is read at present.
    fn wrong(&mut self, text: &str) {
        self.error = Some(format!("0x{:16x}: {text}", self.offset));
    }

    fn path(&mut self, path: &Path) -> Result<(), Aborted> {
        let kind = self.kind_of(path)?;
        if kind == Kind::Manifest {
            return self.manifest(path);
        }
        self.say(format_args!("Start checking Old-Style AOF\n"));
        let name = path.as_os_str().as_bytes();
        let verdict = self.file(name, path, true, kind == Kind::Rdb)?;
        self.tell(verdict, name, "AOF");
        Ok(())
    }

    /// What the file begins as.
    fn kind_of(&mut self, path: &Path) -> Result<Kind, Aborted> {
        let file = File::open(path).map_err(|e| {
            self.abort(format_args!("Cannot open file {}: {}\n", path.display(), os_error_text(&e)))
        })?;
        let kind = kind_of(BufReader::new(file));
        kind.map_err(|_| self.abort(format_args!("Cannot read file: {}\n", path.display())))
    }

    /// Checks the files that a manifest lists.
    fn manifest(&mut self, path: &Path) -> Result<(), Aborted> {
        self.say(format_args!("Start checking Multi Part AOF\n"));
        let manifest = match read_manifest_file(path) {
            Ok(manifest) => manifest,
            Err(lines) => {
                lines.iter().for_each(|line| self.say(format_args!("{}", logging::line(Level::Warn, line))));
                return Err(Aborted);
            }
        };
        let dir = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
        let files: Vec<&AofFile> = manifest.files().collect();
        for (i, file) in files.iter().enumerate() {
            let path = dir.join(OsString::from_vec(file.name.clone()));
            let (is_base, is_last) = (i == 0 && manifest.base.is_some(), i + 1 == files.len());
            let is_rdb = is_base && self.kind_of(&path)? == Kind::Rdb;
            if is_base {
                let format = if is_rdb { "RDB" } else { "RESP" };
                self.say(format_args!("Start to check BASE AOF ({format} format).\n"));
            } else if i == usize::from(manifest.base.is_some()) {
                self.say(format_args!("Start to check INCR files.\n"));
            }
            let verdict = self.file(&file.name, &path, is_last, is_rdb)?;
            self.tell(verdict, &file.name, if is_base { "BASE AOF" } else { "INCR AOF" });
        }
        self.say(format_args!("All AOF files and manifest are valid\n"));
        Ok(())
    }

    fn tell(&mut self, verdict: Verdict, name: &[u8], what: &str) {
        let name = shown(name);
        match verdict {
            Verdict::Valid => self.say(format_args!("{what} {name} is valid\n")),
            Verdict::Empty => self.say(format_args!("{what} {name} is empty\n")),
            Verdict::Truncated => self.say(format_args!("Successfully truncated AOF {name}\n")),
            Verdict::TruncatedToTime => {
                let until_s = self.until_s.unwrap_or_default();
                self.say(format_args!("Successfully truncated AOF {name} to timestamp {until_s}\n"));
            }
        }
    }

    /// Checks one file.
    fn file(&mut self, name: &[u8], path: &Path, is_last: bool, is_rdb: bool) -> Result<Verdict, Aborted> {
        let opened = OpenOptions::new().read(true).write(true).open(path);
        let mut file = opened.map_err(|e| {
            let why = os_error_text(&e);
            self.abort(format_args!("Cannot open file {}: {why}, aborting...\n", path.display()))
        })?;
        let size = file
            .metadata()
            .map(|meta| meta.len())
            .map_err(|_| self.abort(format_args!("Cannot stat file: {}, aborting...\n", shown(name))))?;
        if size == 0 {
            return Ok(Verdict::Empty);
        }
        let start = if is_rdb { self.preamble(&mut file, path)? } else { 0 };
        let failed = |check: &mut Self| {
            check.abort(format_args!("Failed to read from AOF {}, aborting...\n", shown(name)))
        };
        let mut scan = Scan { input: BufReader::new(file), offset: start, ended: false };
        self.error = None;
        let valid = match self.scan(&mut scan, name, path, is_last) {
            Ok(Ok(valid)) => valid,
            Ok(Err(done)) => return done,
            Err(_) => return Err(failed(self)),
        };
        self.conclude(&scan.input.into_inner(), name, is_last, size, valid)
    }

    /// Checks the RDB file that a file begins with; where it ends.
    fn preamble(&mut self, file: &mut File, path: &Path) -> Result<u64, Aborted> {
        let limits = start::build(Config::default()).map(|srv| rdb::Limits::of(&srv));
        let end = limits.ok().and_then(|limits| rdb::check::show_to(self.output, path, &limits));
        let Some(end) = end else {
            return Err(self.abort(format_args!("RDB preamble of AOF file is not sane, aborting.\n")));
        };
        self.say(format_args!("RDB preamble is OK, proceeding with AOF tail...\n"));
        file.seek(SeekFrom::Start(end)).map_err(|e| {
            let why = os_error_text(&e);
            self.abort(format_args!("Failed to fseek in AOF {}: {why}", path.display()))
        })
    }

    /// Reads the commands of a file: up to where they are whole, or what ended the check.
    #[allow(clippy::type_complexity)] // an error of the system, an end of the check, or an offset
    fn scan(
        &mut self,
        scan: &mut Scan,
        name: &[u8],
        path: &Path,
        is_last: bool,
    ) -> io::Result<Result<u64, Result<Verdict, Aborted>>> {
        let (mut valid, mut depth) = (scan.offset, 0i64);
        loop {
            if depth == 0 {
                valid = scan.offset;
            }
            match scan.peek()? {
                None => break,
                Some(b'#') => {
                    if let Some(done) = self.annotation(scan, path, is_last)? {
                        return Ok(Err(done));
                    }
                }
                Some(b'*') => {
                    if !self.command(scan, path, &mut depth)? {
                        break;
                    }
                }
                Some(_) => {
                    self.say(format_args!("AOF {} format error\n", shown(name)));
                    break;
                }
            }
        }
        if scan.ended && depth != 0 && self.error.is_none() {
            self.wrong("Reached EOF before reading EXEC for MULTI");
        }
        Ok(Ok(valid))
    }

    /// Reads an annotation. One that is too young ends the check, and the file.
    fn annotation(
        &mut self,
        scan: &mut Scan,
        path: &Path,
        is_last: bool,
    ) -> io::Result<Option<Result<Verdict, Aborted>>> {
        self.offset = scan.offset;
        let line = scan.line(ANNOTATION_MAX - 1)?;
        let (Some(until_s), Some(time)) = (self.until_s, line.strip_prefix(b"#TS:")) else {
            return Ok(None);
        };
        let digits = time.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let time_s = numbers::parse_i64(&time[..digits]).filter(|_| time.get(digits) == Some(&b'\r'));
        let Some(time_s) = time_s else {
            return Ok(Some(Err(self.abort(format_args!("Invalid timestamp annotation\n")))));
        };
        if time_s <= until_s {
            return Ok(None);
        }
        let (shown, at) = (path.display(), self.offset);
        if at == 0 {
            return Ok(Some(Err(
                self.abort(format_args!("AOF {shown} has nothing before timestamp {until_s}, aborting...\n"))
            )));
        }
        if !is_last {
            return Ok(Some(Err(self.abort(format_args!(
                "Failed to truncate AOF {shown} to timestamp {until_s} to offset {at} because it is not the last file.\n\
                 If you insist, please delete all files after this file according to the manifest file and delete the corresponding records in manifest file manually. Then re-run redis-check-aof.\n"
            )))));
        }
        Ok(Some(match scan.input.get_ref().set_len(at) {
            Ok(()) => Ok(Verdict::TruncatedToTime),
            Err(_) => {
                Err(self.abort(format_args!("Failed to truncate AOF {shown} to timestamp {until_s}\n")))
            }
        }))
    }

    /// Reads a command; `false` if it is not whole, or where it must not be. `depth` counts transactions.
    fn command(&mut self, scan: &mut Scan, path: &Path, depth: &mut i64) -> io::Result<bool> {
        let Some(count) = self.number(scan, b'*')? else { return Ok(false) };
        for i in 0..count {
            let Some(word) = self.string(scan)? else { return Ok(false) };
            if i > 0 {
                continue;
            }
            let step = match word.to_ascii_lowercase().as_slice() {
                b"multi" => 1,
                b"exec" => -1,
                _ => continue,
            };
            let expected = if step > 0 { 0 } else { 1 };
            let fits = *depth == expected;
            *depth += step;
            if !fits {
                let word = if step > 0 { "MULTI" } else { "EXEC" };
                self.wrong(&format!("Unexpected {word} in AOF {}", path.display()));
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads a line that holds a number.
    fn number(&mut self, scan: &mut Scan, prefix: u8) -> io::Result<Option<i64>> {
        self.offset = scan.offset;
        let line = scan.line(NUMBER_LINE_MAX)?;
        let Some(&first) = line.first() else { return Ok(None) };
        if first != prefix {
            let (expected, got) = (char::from(prefix), char::from(first));
            self.wrong(&format!("Expected prefix '{expected}', got: '{got}'"));
            return Ok(None);
        }
        let sign = usize::from(matches!(line.get(1), Some(b'-' | b'+')));
        let digits = line[1 + sign..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let end = if digits == 0 { 1 } else { 1 + sign + digits };
        let text = line[1..end].strip_prefix(b"+").unwrap_or(&line[1..end]);
        let number = if digits == 0 { 0 } else { saturating(text) };
        Ok(self.line_break(&line[end..]).then_some(number))
    }

    /// Whether the bytes begin with a line break, as they must.
    fn line_break(&mut self, bytes: &[u8]) -> bool {
        let byte = |i: usize| bytes.get(i).copied().unwrap_or(0);
        if (byte(0), byte(1)) != (b'\r', b'\n') {
            self.wrong(&format!("Expected \\r\\n, got: {:02x}{:02x}", byte(0), byte(1)));
            return false;
        }
        self.line += 1;
        true
    }

    /// Reads an argument; its first bytes, as many as a word has that matters.
    fn string(&mut self, scan: &mut Scan) -> io::Result<Option<Vec<u8>>> {
        let Some(len) = self.number(scan, b'$')? else { return Ok(None) };
        let Some(whole) =
            u64::try_from(len).ok().filter(|len| *len <= i64::MAX as u64 - 2).map(|len| len + 2)
        else {
            self.wrong(&format!(
                "Expected to read string of {len} bytes, which is not in the suitable range"
            ));
            return Ok(None);
        };
        self.offset = scan.offset;
        let (read, mut first, last) = scan.bytes(whole)?;
        if read < whole {
            self.wrong(&format!("Expected to read {whole} bytes, got {read} bytes"));
            return Ok(None);
        }
        first.truncate(usize::try_from(len).unwrap_or(usize::MAX));
        Ok(self.line_break(&last).then_some(first))
    }

    /// Says what was found, and cuts off what is wrong if that was asked for.
    fn conclude(
        &mut self,
        file: &File,
        name: &[u8],
        is_last: bool,
        size: u64,
        valid: u64,
    ) -> Result<Verdict, Aborted> {
        if let Some(error) = self.error.take() {
            self.say(format_args!("{error}\n"));
        }
        let (name, diff, line) = (shown(name), size.saturating_sub(valid), self.line);
        if let Some(until_s) = self.until_s.filter(|_| diff == 0) {
            self.say(format_args!("Truncate nothing in AOF {name} to timestamp {until_s}\n"));
            return Ok(Verdict::Valid);
        }
        self.say(format_args!(
            "AOF analyzed: filename={name}, size={size}, ok_up_to={valid}, ok_up_to_line={line}, diff={diff}\n"
        ));
        if diff == 0 {
            return Ok(Verdict::Valid);
        }
        if !self.fix {
            return Err(
                self.abort(format_args!("AOF {name} is not valid. Use the --fix option to try fixing it.\n"))
            );
        }
        if !is_last {
            return Err(
                self.abort(format_args!("Failed to truncate AOF {name} because it is not the last file\n"))
            );
        }
        self.say(format_args!(
            "This will shrink the AOF {name} from {size} bytes, with {diff} bytes, to {valid} bytes\n\
             Continue? [y/N]: "
        ));
        // Whoever is asked must be able to read the question.
        let _ = self.output.flush();
        let mut answer = String::new();
        let asked = self.input.read_line(&mut answer);
        if asked.is_err() || !answer.starts_with(['y', 'Y']) {
            return Err(self.abort(format_args!("Aborting...\n")));
        }
        match file.set_len(valid) {
            Ok(()) => Ok(Verdict::Truncated),
            Err(_) => Err(self.abort(format_args!("Failed to truncate AOF {name}\n"))),
        }
    }
}

/// A number of digits with a sign, or the nearest that 64 bits hold.
fn saturating(text: &[u8]) -> i64 {
    let (negative, digits) = text.strip_prefix(b"-").map_or((false, text), |digits| (true, digits));
    let magnitude =
        digits.iter().fold(0i64, |n, digit| n.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    if negative { -magnitude } else { magnitude }
}

/// What the bytes begin as: lines of comments and of files are a manifest.
fn kind_of(mut input: impl BufRead) -> io::Result<Kind> {
    const MAGIC: &[u8] = b"REDIS";
    let start = input.fill_buf()?;
    // There must be room for a header.
    if start.starts_with(MAGIC) && start.len() >= 8 {
        return Ok(Kind::Rdb);
    }
    let mut lists = false;
    loop {
        let mut line = Vec::new();
        input.by_ref().take(MANIFEST_LINE_MAX as u64).read_until(b'\n', &mut line)?;
        match line.first() {
            Some(b'#') => {}
            Some(_) if line.starts_with(b"file") => lists = true,
            _ => return Ok(if lists { Kind::Manifest } else { Kind::Commands }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the program on `file` with these contents in a directory of its own: exit code, output, contents afterwards.
    fn check(options: &[&str], contents: &[u8], answer: &str) -> (i32, String, Vec<u8>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.aof");
        std::fs::write(&path, contents).unwrap();
        let mut args: Vec<OsString> = vec!["redis-check-aof".into()];
        args.extend(options.iter().map(OsString::from));
        args.push(path.clone().into());
        let mut output = Vec::new();
        let code = run(&args, &mut answer.as_bytes(), &mut output).map_or(1, |()| 0);
        let output = String::from_utf8(output).unwrap().replace(&format!("{}/", dir.path().display()), "");
        (code, output, std::fs::read(path).unwrap())
    }

    #[test]
    fn whole_files_are_valid() {
        let (code, output, _) = check(&[], b"*1\r\n$4\r\nPING\r\n", "");
        assert_eq!(code, 0);
        assert_eq!(
            output,
            "Start checking Old-Style AOF\n\
             AOF analyzed: filename=a.aof, size=14, ok_up_to=14, ok_up_to_line=4, diff=0\n\
             AOF a.aof is valid\n"
        );
        assert_eq!(check(&[], b"", "").1, "Start checking Old-Style AOF\nAOF a.aof is empty\n");
    }

    #[test]
    fn a_preamble_is_shown_and_the_tail_follows() {
        let file = [&b"REDIS0011\xff\0\0\0\0\0\0\0\0"[..], b"*1\r\n$4\r\nPING\r\n"].concat();
        let (code, output, _) = check(&[], &file, "");
        assert_eq!(code, 0);
        assert_eq!(
            output,
            "Start checking Old-Style AOF\n\
             [offset 0] Checking RDB file a.aof\n\
             [offset 18] RDB file was saved with checksum disabled: no check performed.\n\
             [offset 18] \\o/ RDB looks OK! \\o/\n\
             [info] 0 keys read\n\
             [info] 0 expires\n\
             [info] 0 already expired\n\
             [info] 0 subexpires\n\
             RDB preamble is OK, proceeding with AOF tail...\n\
             AOF analyzed: filename=a.aof, size=32, ok_up_to=32, ok_up_to_line=4, diff=0\n\
             AOF a.aof is valid\n"
        );
        let (code, output, after) = check(&["--fix"], &file[..12], "y\n");
        assert_eq!((code, &after[..]), (1, &file[..12]), "a preamble is nothing that could be cut");
        assert!(output.contains("--- RDB ERROR DETECTED ---\n"), "{output}");
        assert!(output.ends_with("RDB preamble of AOF file is not sane, aborting.\n"), "{output}");
    }

    #[test]
    fn a_bad_manifest_is_told_in_lines_of_the_log() {
        let (code, output, _) = check(&[], b"file a seq 1 type b\nfile x\n", "");
        assert_eq!(code, 1);
        assert!(output.starts_with("Start checking Multi Part AOF\n"), "{output}");
        let pid = std::process::id();
        for text in [
            "\n*** FATAL AOF MANIFEST FILE ERROR ***\n\n",
            "Reading the manifest file, at line 2\n\n",
            ">>> 'file x'\n\n",
            "Invalid AOF manifest file format\n\n",
        ] {
            assert!(output.contains(&format!(" # {text}")), "{output}");
        }
        assert_eq!(output.matches(&format!("\n{pid}:")).count(), 4, "{output}");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (contents, expected) in [
            ("*1\r\n$4\r\nPING\r\n*2\r\n$3\r\nGETxx", "0x              16: Expected \\r\\n, got: 7878\n"),
            ("*1\r\n$4\r\nEXEC\r\n", "0x               8: Unexpected EXEC in AOF a.aof\n"),
            ("!!!", "AOF a.aof format error\n"),
            ("*x\r\n", "0x               0: Expected \\r\\n, got: 780d\n"),
            ("*1\n$4\r\nPING\r\n", "0x               0: Expected \\r\\n, got: 0a00\n"),
            (
                "*1\r\n$-4\r\nPINGxx",
                "0x               4: Expected to read string of -4 bytes, which is not in the suitable range\n",
            ),
            ("*1\r\n+4\r\nPINGxx", "0x               4: Expected prefix '$', got: '+'\n"),
            ("*1\r\n$5\r\nPI", "0x               8: Expected to read 7 bytes, got 2 bytes\n"),
        ] {
            let (code, output, after) = check(&[], contents.as_bytes(), "");
            assert_eq!(code, 1, "{contents:?}");
            assert!(output.contains(expected), "{contents:?}: {output}");
            assert!(output.ends_with("AOF a.aof is not valid. Use the --fix option to try fixing it.\n"));
            assert_eq!(after, contents.as_bytes());
        }
    }

    #[test]
    fn a_transaction_without_end_is_cut_off_whole() {
        let contents = b"*1\r\n$4\r\nPING\r\n*1\r\n$5\r\nMULTI\r\n*1\r\n$4\r\nPING\r\n";
        let (code, output, after) = check(&["--fix"], contents, "y\n");
        assert_eq!((code, &after[..]), (0, &contents[..14]));
        assert_eq!(
            output,
            "Start checking Old-Style AOF\n\
             0x              25: Reached EOF before reading EXEC for MULTI\n\
             AOF analyzed: filename=a.aof, size=43, ok_up_to=14, ok_up_to_line=10, diff=29\n\
             This will shrink the AOF a.aof from 43 bytes, with 29 bytes, to 14 bytes\n\
             Continue? [y/N]: Successfully truncated AOF a.aof\n"
        );
        let (code, output, after) = check(&["--fix"], contents, "n\n");
        assert_eq!((code, after.len()), (1, contents.len()));
        assert!(output.ends_with("Aborting...\n"));
    }

    #[test]
    fn commands_are_kept_up_to_a_time() {
        let contents = b"#TS:5\r\n*1\r\n$4\r\nPING\r\n#TS:7\r\n*1\r\n$4\r\nPING\r\n";
        let until = |time: &str| check(&["--truncate-to-timestamp", time], contents, "");
        let (code, output, after) = until("9");
        assert_eq!((code, after.len()), (0, contents.len()));
        assert!(output.contains("Truncate nothing in AOF a.aof to timestamp 9\nAOF a.aof is valid\n"));
        let (code, output, after) = until("6");
        assert_eq!((code, after.len()), (0, 21));
        assert!(output.contains("Successfully truncated AOF a.aof to timestamp 6\n"));
        let (code, output, after) = until("4");
        assert_eq!((code, after.len()), (1, contents.len()));
        assert!(output.contains("AOF a.aof has nothing before timestamp 4, aborting...\n"));
        assert!(until("4x").1.contains("Invalid timestamp, aborting...\n"));
    }

    #[test]
    fn only_the_last_file_of_a_manifest_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, contents: &str| std::fs::write(dir.path().join(name), contents).unwrap();
        write("m", "file 1 seq 1 type b\nfile 2 seq 1 type i\n");
        write("1", "*1\r\n$4\r\nPI");
        write("2", "*1\r\n$4\r\nPING\r\n");
        let manifest = dir.path().join("m").into_os_string();
        let mut output = Vec::new();
        let args = ["redis-check-aof".into(), "--fix".into(), manifest.clone()];
        assert!(run(&args, &mut &b"y\n"[..], &mut output).is_err());
        let output = String::from_utf8(output).unwrap();
        assert!(output.ends_with("Failed to truncate AOF 1 because it is not the last file\n"), "{output}");
        write("1", "*1\r\n$4\r\nPING\r\n");
        let mut output = Vec::new();
        assert!(run(&["redis-check-aof".into(), manifest], &mut &b""[..], &mut output).is_ok());
        assert_eq!(
            String::from_utf8(output).unwrap(),
            "Start checking Multi Part AOF\n\
             Start to check BASE AOF (RESP format).\n\
             AOF analyzed: filename=1, size=14, ok_up_to=14, ok_up_to_line=4, diff=0\n\
             BASE AOF 1 is valid\n\
             Start to check INCR files.\n\
             AOF analyzed: filename=2, size=14, ok_up_to=14, ok_up_to_line=7, diff=0\n\
             INCR AOF 2 is valid\n\
             All AOF files and manifest are valid\n"
        );
    }
}
