//! A disk that is soon full.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

/// Set where a test must not be left out, as in continuous integration.
const REQUIRED: &str = "OCTOPOID_TESTS_SMALL_DISK";

/// A file system in memory of a few megabytes, gone when it is dropped.
#[derive(Debug)]
pub struct SmallDisk {
    mount: TempDir,
}

impl SmallDisk {
    /// Mounts a disk of so many mebibytes; `None`, with the reason on stderr, where this process may not mount.
    ///
    /// # Panics
    /// Where it may not and `OCTOPOID_TESTS_SMALL_DISK=required` says that it must.
    #[must_use]
    pub fn mount(mebibytes: u32) -> Option<Self> {
        let mount = tempfile::tempdir().expect("scratch folder");
        let size = format!("size={mebibytes}m,mode=0755");
        let output = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "octopoid-small-disk"]).arg(mount.path()).output();
        let refusal = match output {
            Ok(output) if output.status.success() => return Some(Self { mount }),
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        let required = std::env::var(REQUIRED).is_ok_and(|value| value == "required");
        assert!(!required, "{REQUIRED}=required, and a file system in memory cannot be mounted: {refusal}");
        // Not by a macro: what a passing test prints by one is not shown.
        let _ = writeln!(io::stderr(), "SKIPPED: a small disk needs the right to mount (root): {refusal}");
        None
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.mount.path()
    }

    /// Fills it to the last byte; [`Filler::remove`] makes room again.
    ///
    /// # Panics
    /// When it fails otherwise than by being full.
    #[must_use]
    pub fn fill(&self) -> Filler {
        let path = self.path().join("filler");
        let mut file = File::create(&path).expect("a file");
        // Ever smaller pieces, so that no room is left.
        for piece in [1 << 16, 1 << 12, 1] {
            loop {
                match file.write_all(&vec![0; piece]) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::StorageFull => break,
                    Err(error) => panic!("the disk fails: {error}"),
                }
            }
        }
        Filler { path }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: what still has a file open there keeps it no longer than it lives.
        let _ = Command::new("umount").arg("--lazy").arg(self.mount.path()).status();
    }
}

/// What fills a disk.
#[derive(Debug)]
pub struct Filler {
    path: PathBuf,
}

impl Filler {
    /// Makes room.
    ///
    /// # Panics
    /// When it cannot be removed.
    pub fn remove(self) {
        fs::remove_file(self.path).expect("removed");
    }
}
