//! Programs to compare with and to exchange files with: those built in the cache and those in the path.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Paths at which there is a server of Redis or Valkey: in the source trees in the cache (`OCHRE_CACHE`, by default
/// `~/.cache/ochre`), then in the path.
pub fn candidates() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    let cache = std::env::var_os("OCHRE_CACHE").map(PathBuf::from);
    let cache = cache.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache/ochre")));
    if let Some(trees) = cache.and_then(|cache| fs::read_dir(cache).ok()) {
        folders.extend(trees.flatten().map(|tree| tree.path().join("src")));
    }
    folders.extend(std::env::var_os("PATH").iter().flat_map(std::env::split_paths));
    let names = ["redis-server", "valkey-server"];
    let paths = folders.iter().flat_map(|folder| names.map(|name| folder.join(name)));
    paths.filter(|path| path.is_file()).collect()
}

/// Asks a program what it is: `Valkey server v=9.1.2 sha=…` is `("Valkey", [9, 1, 2])`.
pub fn version_of(path: &Path) -> Option<(String, Vec<u32>)> {
    let output = Command::new(path).arg("--version").stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let product = text.split_whitespace().next()?.to_string();
    let version = text.split_whitespace().find_map(|word| word.strip_prefix("v="))?;
    let numbers = version.split('.').map(|number| number.parse().ok()).collect::<Option<_>>()?;
    Some((product, numbers))
}
