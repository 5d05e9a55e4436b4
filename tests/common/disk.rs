//! Disks with faults: one that is soon full, and one that cannot be synced.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A directory on a disk of its own, in memory.
pub struct SmallDisk {
    dir: tempfile::TempDir,
}

impl SmallDisk {
    /// Of so many KiB, if this process may mount one.
    pub fn mount(kib: usize) -> Option<SmallDisk> {
        let dir = tempfile::tempdir().unwrap();
        let size = format!("size={kib}k");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(dir.path()).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(SmallDisk { dir })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.dir.path()).output();
    }
}

/// What makes syncs fail in a server that is started with it.
pub struct FailingSync {
    dir: tempfile::TempDir,
}

impl FailingSync {
    /// Compiles the library that stands in front of the C library's. To begin with, syncs do not fail.
    pub fn build() -> FailingSync {
        let sync = FailingSync { dir: tempfile::tempdir().unwrap() };
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/failing_sync.c");
        let compiled =
            Command::new("cc").args(["-shared", "-fPIC", source, "-o"]).arg(sync.library()).status();
        assert!(compiled.unwrap().success());
        sync
    }

    /// Has syncs fail from now on, or no longer.
    pub fn fail(&self, fail: bool) {
        if fail {
            std::fs::write(self.flag(), "").unwrap()
        } else {
            std::fs::remove_file(self.flag()).unwrap()
        }
    }

    /// Has a program meet it.
    pub fn apply(&self, command: &mut Command) {
        command.env("LD_PRELOAD", self.library()).env("FAILING_SYNC", self.flag());
    }

    fn library(&self) -> PathBuf {
        self.dir.path().join("failing_sync.so")
    }

    fn flag(&self) -> PathBuf {
        self.dir.path().join("fail")
    }
}
