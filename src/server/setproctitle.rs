//! The process title: what `ps` shows instead of the command line.
//!
//! # The title
//!
//! The title is made from a template. `{name}` stands for a variable of [`TitleVars`], `{{` for a brace.
//!
//! # Where it goes
//!
//! Linux shows as the command line whatever bytes lie where the arguments were put when the program started, and if
//! the last of these is not zero, continues into the environment behind them:
//!
//! ```text
//!  arg_start                arg_end = env_start              env_end
//!  | ./redis-server\0--port\07000\0 | PATH=/bin\0HOME=/root\0… |
//! ```
//!
//! So a title is written over the arguments, and a long one over the environment as well, after this has been
//! copied to the heap. [`TitleArea::capture`] does that once, before any thread is there.
//!
//! # Invariants
//!
//! The area is memory of this process for as long as it runs (the kernel maps it below the stack), and after
//! `capture` nothing but `TitleArea` refers to it: Rust's standard library copies the arguments out on each call of
//! `std::env::args`, so no one may call that afterwards and expect the truth, and the environment's pointers lead
//! to the heap.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The values of a template's variables.
#[derive(Clone, Copy, Debug, Default)]
pub struct TitleVars<'a> {
    /// `{title}`: the program as it was called.
    pub title: &'a [u8],
    /// `{listen-addr}` is the first of these addresses...
    pub bind: &'a [String],
    /// ...and this TCP port, which is also `{port}`.
    pub port: u16,
    /// `{tls-port}`: the port for TLS; 0 if there is none.
    pub tls_port: u16,
    /// `{unixsocket}`; it is the `{listen-addr}` of a server without ports.
    pub unixsocket: Option<&'a Path>,
    /// `{config-file}`: the configuration file's absolute path.
    pub config_file: Option<&'a Path>,
    /// `{server-mode}`: `[cluster]`, `[sentinel]` or nothing.
    pub server_mode: &'a str,
}

impl TitleVars<'_> {
    fn value(&self, name: &[u8]) -> Option<Vec<u8>> {
        let path = |path: Option<&Path>, absent: &str| {
            path.map_or(OsStr::new(absent), Path::as_os_str).as_bytes().to_vec()
        };
        Some(match name {
            b"title" => self.title.to_vec(),
            b"listen-addr" => self.listen_addr(),
            b"server-mode" => self.server_mode.as_bytes().to_vec(),
            b"port" => self.port.to_string().into_bytes(),
            b"tls-port" => self.tls_port.to_string().into_bytes(),
            b"unixsocket" => path(self.unixsocket, ""),
            b"config-file" => path(self.config_file, "-"),
            _ => return None,
        })
    }

    fn listen_addr(&self) -> Vec<u8> {
        let port = if self.port != 0 { self.port } else { self.tls_port };
        if port == 0 {
            let path = self.unixsocket.map_or(&b""[..], |path| path.as_os_str().as_bytes());
            return [b"unixsocket:", path].concat();
        }
        format!("{}:{port}", self.bind.first().map_or("*", String::as_str)).into_bytes()
    }
}

/// Fills in a template. `None` if a brace is not closed or a variable not known.
pub fn expand(template: &[u8], vars: &TitleVars<'_>) -> Option<Vec<u8>> {
    let mut title = Vec::new();
    let mut rest = template;
    while let Some(brace) = rest.iter().position(|&b| b == b'{') {
        title.extend_from_slice(&rest[..brace]);
        rest = &rest[brace + 1..];
        if let Some(after) = rest.strip_prefix(b"{") {
            title.push(b'{');
            rest = after;
            continue;
        }
        let end = rest.iter().position(|&b| b == b'}')?;
        title.extend(vars.value(&rest[..end])?);
        rest = &rest[end + 1..];
    }
    title.extend_from_slice(rest);
    let spaces = |b: &&u8| **b == b' ';
    let (leading, trailing) =
        (title.iter().take_while(spaces).count(), title.iter().rev().take_while(spaces).count());
    title.truncate(title.len() - if leading == title.len() { 0 } else { trailing });
    title.drain(..leading);
    Some(title)
}

/// Whether a template can be filled in and does not come out empty by itself.
pub fn is_valid_template(template: &[u8]) -> bool {
    expand(template, &TitleVars::default()).is_some_and(|title| !title.is_empty())
}

/// The memory that the kernel shows as this process's command line.
#[derive(Debug)]
pub struct TitleArea {
    start: usize,
    len: usize,
}

impl TitleArea {
    /// The longest area that is believed: twice what Linux allows arguments and environment by default.
    const MAX_LEN: usize = 4 << 20;

    /// Finds the area and moves the environment out of it. `None` if the system does not tell where it is.
    ///
    /// # Safety
    ///
    /// - No other thread runs: the environment is changed.
    /// - No other `TitleArea` exists.
    /// - Nothing keeps pointers to the strings of the program's arguments or environment, and after the first
    ///   [`TitleArea::write`] nobody uses `std::env::args`.
    pub unsafe fn capture() -> Option<TitleArea> {
        let stat = fs::read("/proc/self/stat").ok()?;
        let area = Self::locate(&stat)?;
        for (name, value) in std::env::vars_os() {
            // SAFETY: no other thread runs, by the caller's promise.
            unsafe { std::env::set_var(name, value) };
        }
        Some(area)
    }

    /// Reads the limits of arguments and environment, fields 48 to 51 of `/proc/self/stat`. See proc(5).
    fn locate(stat: &[u8]) -> Option<TitleArea> {
        // The second field is the program's name in parentheses, which may itself hold spaces and parentheses.
        let after_name = stat.iter().rposition(|&b| b == b')')? + 2;
        let fields = std::str::from_utf8(stat.get(after_name..)?).ok()?.split_ascii_whitespace();
        let mut limits = fields.skip(48 - 3).map(|field| field.parse::<usize>().ok());
        let [arg_start, arg_end, env_start, env_end] = [(); 4].map(|()| limits.next().flatten());
        let (start, arg_end, env_start, env_end) = (arg_start?, arg_end?, env_start?, env_end?);
        let end = if arg_end == env_start { env_end } else { arg_end };
        let len = end.checked_sub(start).filter(|len| (1..=Self::MAX_LEN).contains(len))?;
        (start != 0).then_some(TitleArea { start, len })
    }

    /// Shows `title`, cut to the room there is.
    pub fn write(&mut self, title: &[u8]) {
        let title = &title[..title.len().min(self.len - 1)];
        let area = std::ptr::with_exposed_provenance_mut::<u8>(self.start);
        // SAFETY: `start` and `len` are what the kernel says of this process's arguments and environment: mapped
        // and writable for the life of the process. Nothing else refers to them (see `capture`), `title` cannot
        // overlap because it is a Rust slice that somebody else owns, and `&mut self` excludes other writers.
        unsafe {
            std::ptr::copy_nonoverlapping(title.as_ptr(), area, title.len());
            area.add(title.len()).write_bytes(0, self.len - title.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars() -> TitleVars<'static> {
        TitleVars { title: b"./redis-server", port: 6379, ..TitleVars::default() }
    }

    fn expanded(template: &str, vars: &TitleVars<'_>) -> Option<String> {
        expand(template.as_bytes(), vars).map(|title| String::from_utf8(title).unwrap())
    }

    #[test]
    fn templates_are_filled_in() {
        let bind = ["127.0.0.1".to_owned()];
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(expanded("{title} {listen-addr} {server-mode}", &vars()), some("./redis-server *:6379"));
        assert_eq!(
            expanded("  {listen-addr} {server-mode}x {{", &TitleVars { bind: &bind, ..vars() }),
            some("127.0.0.1:6379 x {")
        );
        let local = TitleVars { port: 0, unixsocket: Some(Path::new("/tmp/s")), ..vars() };
        assert_eq!(
            expanded("{listen-addr} {port} {tls-port} {unixsocket} {config-file}", &local),
            some("unixsocket:/tmp/s 0 0 /tmp/s -")
        );
        assert_eq!(expanded("   ", &vars()), some(""));
    }

    #[test]
    fn bad_templates_are_found() {
        for bad in ["", "  ", "{", "{title", "{}", "{nope}", "{title} {", "{server-mode}", "{unixsocket}"] {
            assert!(!is_valid_template(bad.as_bytes()), "{bad}");
        }
        for good in ["x", "{port}", "a}b", "{{", "{title} {listen-addr} {server-mode}"] {
            assert!(is_valid_template(good.as_bytes()), "{good}");
        }
    }

    #[test]
    fn the_area_is_read_from_proc() {
        let mut fields: Vec<String> = (3..=52).map(|n: u32| n.to_string()).collect();
        let area = |fields: &[String]| {
            let stat = format!("1 (a) b) {}\n", fields.join(" "));
            TitleArea::locate(stat.as_bytes()).map(|area| (area.start, area.len))
        };
        for (i, limit) in [4096, 5000, 5000, 7000].into_iter().enumerate() {
            fields[48 - 3 + i] = limit.to_string();
        }
        assert_eq!(area(&fields), Some((4096, 7000 - 4096)));
        fields[50 - 3] = "5001".into();
        assert_eq!(area(&fields), Some((4096, 5000 - 4096)));
        fields[49 - 3] = "4095".into();
        assert_eq!(area(&fields), None);
        assert_eq!(area(&fields[..10]), None);
        assert!(TitleArea::locate(b"garbage").is_none());
    }

    #[test]
    fn the_area_of_this_process_holds_its_arguments() {
        let area = TitleArea::locate(&fs::read("/proc/self/stat").unwrap()).unwrap();
        let cmdline = fs::read("/proc/self/cmdline").unwrap();
        assert!(cmdline.len() <= area.len);
    }

    #[test]
    fn a_title_is_cut_to_its_area_and_leaves_nothing_behind() {
        let mut memory = vec![b'#'; 16];
        let mut area = TitleArea { start: memory.as_mut_ptr().expose_provenance(), len: memory.len() };
        area.write(b"redis-server *:6379");
        area.write(b"redis");
        area.write(b"a title that is far too long");
        assert_eq!(memory, b"a title that is\0");
        let mut area = TitleArea { start: memory.as_mut_ptr().expose_provenance(), len: memory.len() };
        area.write(b"redis");
        assert_eq!(memory, b"redis\0\0\0\0\0\0\0\0\0\0\0");
    }
}
