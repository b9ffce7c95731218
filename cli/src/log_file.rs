//! The node's own log as a file with a limit.
//!
//! **Invariants**: the log and its predecessor never exceed twice [`LIMIT`] together, but for one line; a line is never
//! split between them.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// When a log gives way to a new one.
const LIMIT: u64 = 16 << 20;

/// A log file that is renamed to `<name>.1` when it is full.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    file: File,
    length: u64,
    limit: u64,
}

impl LogFile {
    /// Opens the log to write at its end. Made for its owner alone: it tells of tasks.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::with_limit(path, LIMIT)
    }

    fn with_limit(path: &Path, limit: u64) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
        let length = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, length, limit })
    }

    fn turn(&mut self) -> io::Result<()> {
        let mut old = self.path.clone().into_os_string();
        old.push(".1");
        fs::rename(&self.path, old)?;
        *self = Self::with_limit(&self.path, self.limit)?;
        Ok(())
    }
}

impl Write for LogFile {
    /// Takes one line: what is logged comes whole.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.length > 0 && self.length + line.len() as u64 > self.limit {
            self.turn()?;
        }
        self.file.write_all(line)?;
        self.length += line.len() as u64;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_log_gives_way_and_one_predecessor_is_kept() {
        let dir = tempfile::tempdir().expect("scratch folder");
        let path = dir.path().join("node.log");
        let mut log = LogFile::with_limit(&path, 10).expect("open");
        for line in ["one\n", "two\n", "three\n", "four\n", "five\n"] {
            log.write_all(line.as_bytes()).expect("written");
        }
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).expect("a log");
        assert_eq!((read("node.log"), read("node.log.1")), ("four\nfive\n".to_owned(), "three\n".to_owned()));
        let again = LogFile::with_limit(&path, 10).expect("open");
        assert_eq!(again.length, 10, "a log goes on where it ended");
    }
}
