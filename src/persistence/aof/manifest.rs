//! The manifest: which files make up the append-only file, and in which order they are loaded.
//!
//! ```text
//! file appendonly.aof.2.base.rdb seq 2 type b
//! file appendonly.aof.1.incr.aof seq 1 type h
//! file appendonly.aof.2.incr.aof seq 2 type i startoffset 310
//! ```
//!
//! A line is a list of names and values; a name that is not known is skipped, so that later versions can add some. There is
//! one *base* file at most (the dataset at some time), any number of *incremental* ones (what changed since, one after
//! the other), and those of the past (*history*), which are named only until they are deleted.
//!
//! The file is small and is replaced as a whole: written under another name, synced, renamed, and the directory synced. So
//! whoever starts finds the old list or the new one. Every change is made on a copy, which takes the place of the list in
//! memory only when it is on disk.
//!
//! Reading is strict: a list that is not understood is no list, and the server does not start. [`Manifest::parse`] knows
//! nothing of the file system and is the entry for fuzzing.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::ds::sds;
use crate::server::config::Config;
use crate::server::config::file::os_error_text;

/// Longest line of a manifest, its line break included.
const LINE_MAX: usize = 1024;

const WHITE: &[u8] = b" \t\r\n";

/// What a file of the list is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileType {
    /// The dataset as it was when the file was begun.
    Base,
    /// What has changed since the file in front of it.
    Incr,
    /// A file that is needed no more.
    History,
}

impl FileType {
    fn letter(self) -> u8 {
        match self {
            FileType::Base => b'b',
            FileType::Incr => b'i',
            FileType::History => b'h',
        }
    }

    fn from_letter(letter: u8) -> Option<FileType> {
        [FileType::Base, FileType::Incr, FileType::History].into_iter().find(|of| of.letter() == letter)
    }
}

/// A file of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AofFile {
    /// Its name within the directory.
    pub name: Vec<u8>,
    /// Its number among those of its type. Not 0.
    pub seq: i64,
    /// What it is.
    pub file_type: FileType,
    /// The replication offset at its beginning, if that is known.
    pub start_offset: Option<i64>,
    /// The replication offset at its end, known of a file that was closed in order.
    pub end_offset: Option<i64>,
}

impl AofFile {
    fn write_line(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"file ");
        if sds::needs_repr(&self.name) {
            sds::repr(out, &self.name);
        } else {
            out.extend_from_slice(&self.name);
        }
        out.extend_from_slice(format!(" seq {} type ", self.seq).as_bytes());
        out.push(self.file_type.letter());
        for (name, offset) in [("startoffset", self.start_offset), ("endoffset", self.end_offset)] {
            if let Some(offset) = offset {
                out.extend_from_slice(format!(" {name} {offset}").as_bytes());
            }
        }
        out.push(b'\n');
    }
}

/// What is wrong with a manifest. The texts are upstream's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestError {
    /// Number and text of the line, if a line is to blame.
    pub line: Option<(usize, Vec<u8>)>,
    /// What is wrong.
    pub text: &'static str,
}

impl ManifestError {
    /// The lines that tell the operator.
    pub fn report(&self) -> Vec<String> {
        let mut lines = vec!["\n*** FATAL AOF MANIFEST FILE ERROR ***\n".to_owned()];
        if let Some((number, line)) = &self.line {
            lines.push(format!("Reading the manifest file, at line {number}\n"));
            lines.push(format!(">>> '{}'\n", shown(line)));
        }
        lines.push(format!("{}\n", self.text));
        lines
    }
}

/// The list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    /// The file that loading begins with.
    pub base: Option<AofFile>,
    /// The files that are loaded after it; the last one is that which is written.
    pub incr: Vec<AofFile>,
    /// Files to be deleted, those of the latest rewrite first.
    pub history: Vec<AofFile>,
    /// The number of the latest base file.
    base_seq: i64,
    /// The number of the latest incremental file.
    incr_seq: i64,
    /// Whether the list on disk is another.
    pub dirty: bool,
}

impl Manifest {
    /// Reads a list.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(text: &[u8]) -> Result<Manifest, ManifestError> {
        let whole = |text| ManifestError { line: None, text };
        if text.is_empty() {
            return Err(whole("Found an empty AOF manifest"));
        }
        let mut manifest = Manifest::default();
        let mut rest = text;
        let mut number = 0;
        while !rest.is_empty() {
            let piece = &rest[..rest.len().min(LINE_MAX)];
            let end = memchr::memchr(b'\n', piece).map(|at| at + 1);
            let line = &piece[..end.unwrap_or(piece.len())];
            rest = &rest[line.len()..];
            number += 1;
            if line[0] == b'#' {
                continue;
            }
            // The line is a text: what stands behind a zero byte is not seen, the line break neither.
            if end.is_none() || line.contains(&0) {
                return Err(whole("The AOF manifest file contains too long line"));
            }
            let line = sds::trim(line, WHITE);
            manifest
                .add_line(line)
                .map_err(|text| ManifestError { line: Some((number, line.to_vec())), text })?;
        }
        Ok(manifest)
    }

    fn add_line(&mut self, line: &[u8]) -> Result<(), &'static str> {
        let file = parse_line(line)?;
        match file.file_type {
            FileType::Base if self.base.is_some() => return Err("Found duplicate base file information"),
            FileType::Base => {
                self.base_seq = file.seq;
                self.base = Some(file);
            }
            FileType::History => self.history.push(file),
            FileType::Incr if file.seq <= self.incr_seq => {
                return Err("Found a non-monotonic sequence number");
            }
            FileType::Incr => {
                self.incr_seq = file.seq;
                self.incr.push(file);
            }
        }
        Ok(())
    }

    /// The list as it is written.
    pub fn to_text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        self.base.iter().chain(&self.history).chain(&self.incr).for_each(|file| file.write_line(&mut text));
        text
    }

    /// Whether there is nothing to load.
    pub fn is_empty(&self) -> bool {
        self.base.is_none() && self.incr.is_empty()
    }

    /// The files to load, in order.
    pub fn files(&self) -> impl Iterator<Item = &AofFile> {
        self.base.iter().chain(&self.incr)
    }

    /// Adds a new base file, its number one more than that of the last, which becomes history.
    pub fn new_base(&mut self, home: &Home, rdb: bool) -> &AofFile {
        if let Some(old) = self.base.take() {
            self.history.insert(0, AofFile { file_type: FileType::History, ..old });
        }
        self.base_seq = self.base_seq.saturating_add(1);
        self.dirty = true;
        self.base.insert(AofFile {
            name: home.numbered(self.base_seq, if rdb { "base.rdb" } else { "base.aof" }),
            seq: self.base_seq,
            file_type: FileType::Base,
            start_offset: None,
            end_offset: None,
        })
    }

    /// Adds a new incremental file that begins at this replication offset.
    pub fn new_incr(&mut self, home: &Home, start_offset: i64) -> &AofFile {
        self.incr_seq = self.incr_seq.saturating_add(1);
        self.dirty = true;
        self.incr.push(AofFile {
            name: home.numbered(self.incr_seq, "incr.aof"),
            seq: self.incr_seq,
            file_type: FileType::Incr,
            start_offset: Some(start_offset),
            end_offset: None,
        });
        self.incr.last().expect("one was added")
    }

    /// Makes an old single file, which keeps its name, the base of a list that has none.
    pub fn adopt_base(&mut self, name: &[u8]) {
        self.base_seq = 1;
        self.dirty = true;
        self.base = Some(AofFile {
            name: name.to_vec(),
            seq: 1,
            file_type: FileType::Base,
            start_offset: None,
            end_offset: None,
        });
    }

    /// Makes history of the incremental files that a new base stands for: all, but the last `keep`.
    pub fn retire_incr(&mut self, keep: usize) {
        let retired = self.incr.len().saturating_sub(keep);
        let past = self.incr.drain(..retired).map(|file| AofFile { file_type: FileType::History, ..file });
        self.history.splice(0..0, past);
        self.dirty = true;
    }

    /// Writes the list to the directory, if it has changed. What fails is logged.
    pub fn persist(&mut self, home: &Home) -> Result<(), Logged> {
        if self.dirty {
            home.replace_manifest(&self.to_text())?;
            self.dirty = false;
        }
        Ok(())
    }
}

/// Reads one line, without the blanks around it.
fn parse_line(line: &[u8]) -> Result<AofFile, &'static str> {
    const INVALID: &str = "Invalid AOF manifest file format";
    // At least three pairs: more may come with later versions.
    let words = sds::split_args(line).filter(|words| words.len() >= 6 && words.len().is_multiple_of(2));
    let words = words.ok_or(INVALID)?;
    let (mut name, mut seq, mut letter) = (None, 0, None);
    let (mut start_offset, mut end_offset) = (None, None);
    for pair in words.chunks_exact(2) {
        let value = &pair[1];
        match pair[0].to_ascii_lowercase().as_slice() {
            b"file" if value.iter().any(|byte| matches!(byte, b'/' | b'\\')) => {
                return Err("File can't be a path, just a filename");
            }
            b"file" => name = Some(value.clone()),
            b"seq" => seq = leading_integer(value),
            b"type" => letter = value.first().copied(),
            b"startoffset" => start_offset = Some(leading_integer(value)).filter(|n| *n != -1),
            b"endoffset" => end_offset = Some(leading_integer(value)).filter(|n| *n != -1),
            _ => {}
        }
    }
    let name = name.ok_or(INVALID)?;
    let letter = letter.filter(|_| seq != 0).ok_or(INVALID)?;
    let file_type = FileType::from_letter(letter).ok_or("Unknown AOF file type")?;
    Ok(AofFile { name, seq, file_type, start_offset, end_offset })
}

/// The integer that a text begins with, as C's `atoll` has it: 0 where there is none.
fn leading_integer(text: &[u8]) -> i64 {
    let text = sds::trim(text, b" \t\n\r\x0b\x0c");
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let magnitude = digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .fold(0i64, |n, digit| n.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    if negative { -magnitude } else { magnitude }
}

/// Something failed, and the log says what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logged;

/// Text of bytes for the log.
pub fn shown(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// Where the files are, and how they are called: `appenddirname` and `appendfilename`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// The directory, seen from the working directory.
    pub dir: PathBuf,
    /// What every name begins with.
    pub name: Vec<u8>,
}

impl Home {
    /// As configured.
    pub fn of(config: &Config) -> Home {
        Home { dir: config.appenddirname.clone(), name: config.appendfilename.clone() }
    }

    fn with_suffix(&self, prefix: &str, suffix: &str) -> Vec<u8> {
        [prefix.as_bytes(), &self.name, suffix.as_bytes()].concat()
    }

    fn numbered(&self, seq: i64, kind: &str) -> Vec<u8> {
        self.with_suffix("", &format!(".{seq}.{kind}"))
    }

    /// The path of a file of this name.
    pub fn path(&self, name: &[u8]) -> PathBuf {
        self.dir.join(OsStr::from_bytes(name))
    }

    /// The name of the manifest.
    pub fn manifest_name(&self) -> Vec<u8> {
        self.with_suffix("", ".manifest")
    }

    /// The name of the incremental file that is written while the first base is not there yet.
    pub fn temp_incr_name(&self) -> Vec<u8> {
        self.with_suffix("temp-", ".incr")
    }

    /// Makes sure that the directory is there.
    pub fn make_dir(&self) -> Result<(), Logged> {
        let made = match std::fs::create_dir(&self.dir) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && self.dir.is_dir() => Ok(()),
            made => made,
        };
        made.map_err(|e| {
            log::warn!("Can't open or create append-only dir {}: {}", self.dir.display(), os_error_text(&e));
            Logged
        })
    }

    /// Reads the manifest that is on disk, if there is one.
    ///
    /// # Errors
    /// It cannot be read or is none; the log says why.
    pub fn read_manifest(&self) -> Result<Manifest, Logged> {
        if !self.dir.is_dir() {
            log::trace!("The AOF directory {} doesn't exist", self.dir.display());
            return Ok(Manifest::default());
        }
        let name = self.manifest_name();
        let path = self.path(&name);
        if !path.exists() {
            log::trace!("The AOF manifest file {} doesn't exist", shown(&name));
            return Ok(Manifest::default());
        }
        read_manifest_file(&path).map_err(|lines| {
            lines.iter().for_each(|line| log::warn!("{line}"));
            Logged
        })
    }

    /// Puts a manifest of this text in the place of the one that is there.
    fn replace_manifest(&self, text: &[u8]) -> Result<(), Logged> {
        let (name, temp_name) = (self.manifest_name(), self.with_suffix("temp-", ".manifest"));
        let (path, temp_path) = (self.path(&name), self.path(&temp_name));
        let failed = |what: String, e: &io::Error, end: &str| {
            log::warn!("{what}: {}{end}", os_error_text(e));
            Logged
        };
        let (new, temp) = (shown(&name), shown(&temp_name));
        let mut file = File::create(&temp_path)
            .map_err(|e| failed(format!("Can't open the AOF manifest file {temp}"), &e, ""))?;
        file.write_all(text).map_err(|e| {
            failed(format!("Error trying to write the temporary AOF manifest file {temp}"), &e, "")
        })?;
        file.sync_all().map_err(|e| failed(format!("Fail to fsync the temp AOF file {temp}"), &e, "."))?;
        std::fs::rename(&temp_path, &path).map_err(|e| {
            let what = format!("Error trying to rename the temporary AOF manifest file {temp} into {new}");
            failed(what, &e, "")
        })?;
        sync_dir(&self.dir)
            .map_err(|e| failed(format!("Fail to fsync AOF directory {}", path.display()), &e, "."))
    }
}

/// Has the entries of a directory reach the disk.
fn sync_dir(dir: &Path) -> io::Result<()> {
    match File::open(dir)?.sync_all() {
        // Some file systems have nothing to sync in a directory.
        Err(e) if matches!(e.raw_os_error(), Some(libc::EBADF | libc::EINVAL)) => Ok(()),
        synced => synced,
    }
}

/// Reads the manifest at `path`.
///
/// # Errors
/// The lines that say why there is none.
pub fn read_manifest_file(path: &Path) -> Result<Manifest, Vec<String>> {
    let text = std::fs::read(path).map_err(|e| {
        let why = os_error_text(&e);
        vec![format!("Fatal error: can't open the AOF manifest file {} for reading: {why}", path.display())]
    })?;
    Manifest::parse(&text).map_err(|error| error.report())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> Home {
        Home { dir: PathBuf::from("appendonlydir"), name: b"appendonly.aof".to_vec() }
    }

    fn error(text: &str) -> &'static str {
        Manifest::parse(text.as_bytes()).unwrap_err().text
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut manifest = Manifest::default();
        manifest.new_base(&home(), true);
        manifest.new_incr(&home(), 0);
        manifest.new_incr(&home(), 17);
        manifest.incr[1].end_offset = Some(20);
        let text = "file appendonly.aof.1.base.rdb seq 1 type b\n\
                    file appendonly.aof.1.incr.aof seq 1 type i startoffset 0\n\
                    file appendonly.aof.2.incr.aof seq 2 type i startoffset 17 endoffset 20\n";
        assert_eq!(String::from_utf8(manifest.to_text()).unwrap(), text);
        manifest.dirty = false;
        assert_eq!(Manifest::parse(text.as_bytes()).unwrap(), manifest);
    }

    #[test]
    fn a_new_base_makes_history_of_what_it_stands_for() {
        let mut manifest = Manifest::parse(
            b"file a.1.base.rdb seq 1 type b\nfile a.1.incr.aof seq 1 type i\nfile a.2.incr.aof seq 2 type i\n\
              file a.3.incr.aof seq 3 type i\n",
        )
        .unwrap();
        manifest.new_base(&Home { name: b"a".to_vec(), ..home() }, false);
        manifest.retire_incr(1);
        let names = |files: &[AofFile]| files.iter().map(|f| shown(&f.name).into_owned()).collect::<Vec<_>>();
        assert_eq!(manifest.base.as_ref().unwrap().name, b"a.2.base.aof");
        assert_eq!(names(&manifest.incr), ["a.3.incr.aof"]);
        assert_eq!(names(&manifest.history), ["a.1.incr.aof", "a.2.incr.aof", "a.1.base.rdb"]);
        assert!(manifest.history.iter().all(|file| file.file_type == FileType::History));
    }

    #[test]
    fn names_with_blanks_are_quoted() {
        let mut manifest = Manifest::default();
        let home = Home { name: b" file seq \n\n.aof ".to_vec(), ..home() };
        manifest.new_base(&home, true);
        let text = manifest.to_text();
        assert_eq!(text, b"file \" file seq \\n\\n.aof .1.base.rdb\" seq 1 type b\n");
        assert_eq!(Manifest::parse(&text).unwrap().base, manifest.base);
        let mut quoted = Manifest::default();
        quoted.new_base(&Home { name: b"it's.aof".to_vec(), ..home }, true);
        assert_eq!(Manifest::parse(&quoted.to_text()).unwrap().base, quoted.base);
        // Such a file cannot be, but a manifest can say so.
        let manifest = Manifest::parse(b"file \"\" b a seq 3 type h\n").unwrap();
        assert_eq!(Manifest::parse(&manifest.to_text()), Ok(manifest));
    }

    #[test]
    fn later_versions_may_say_more() {
        let manifest = Manifest::parse(b"# who wrote it\nFILE a.aof type b seq 7 newkey newvalue\n").unwrap();
        assert_eq!(manifest.base.map(|base| (base.name, base.seq)), Some((b"a.aof".to_vec(), 7)));
    }

    #[test]
    fn what_is_no_manifest_is_refused_with_upstreams_words() {
        assert_eq!(error(""), "Found an empty AOF manifest");
        for line in [
            "\n",
            "file a seq 1\n",
            "file a seq 1 type b x\n",
            "filx a seq 1 type b\n",
            "file a seq 0 type b\n",
        ] {
            assert_eq!(error(line), "Invalid AOF manifest file format", "{line}");
        }
        assert_eq!(error("file a/b seq 1 type b\n"), "File can't be a path, just a filename");
        assert_eq!(error("file a seq 1 type x\n"), "Unknown AOF file type");
        assert_eq!(error("file a seq 1 type b"), "The AOF manifest file contains too long line");
        assert_eq!(
            error(&format!("file {} seq 1 type b\n", "a".repeat(1024))),
            "The AOF manifest file contains too long line"
        );
        assert_eq!(
            error("file a seq 1 type b\nfile b seq 2 type b\n"),
            "Found duplicate base file information"
        );
        let twice = Manifest::parse(b"file a seq 2 type i\nfile b seq 1 type i\n").unwrap_err();
        assert_eq!(
            twice.report(),
            [
                "\n*** FATAL AOF MANIFEST FILE ERROR ***\n",
                "Reading the manifest file, at line 2\n",
                ">>> 'file b seq 1 type i'\n",
                "Found a non-monotonic sequence number\n"
            ]
        );
    }
}
