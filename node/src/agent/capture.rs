//! Drains one output pipe of an agent into a capped file.
//!
//! **Invariants**: the pipe is read until its end, also when the file is full or cannot be written, so an agent never blocks on
//! its output; memory is one read buffer and one line.

use std::{io, path::Path};

use tokio::{
    fs::{File, OpenOptions},
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
};

use super::lines::Lines;

const READ_BUFFER: usize = 64 << 10;

/// What became of one output stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Captured {
    /// Bytes in the file, a note about the limit not counted.
    pub kept: u64,
    /// Bytes that were read and thrown away, because of the limit or an error.
    pub discarded: u64,
    /// Why the file could not be written. A full disk is the node's matter, not the agent's failure.
    pub error: Option<io::ErrorKind>,
}

/// A log file that stops growing at its limit.
pub(super) struct CappedLog {
    file: File,
    limit: u64,
    captured: Captured,
}

impl CappedLog {
    /// Opens the file for adding to it, readable by its owner alone: agents print what they see.
    pub(super) async fn open(path: &Path, limit: u64) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path).await?;
        let kept = file.metadata().await?.len();
        Ok(Self { file, limit, captured: Captured { kept, ..Captured::default() } })
    }

    async fn write(&mut self, bytes: &[u8]) {
        let room = usize::try_from(self.limit.saturating_sub(self.captured.kept)).unwrap_or(usize::MAX);
        let (kept, discarded) = bytes.split_at(bytes.len().min(room));
        let was_discarding = self.captured.discarded > 0;
        self.captured.discarded += discarded.len() as u64;
        if self.captured.error.is_some() {
            self.captured.discarded += kept.len() as u64;
            return;
        }
        if let Err(error) = self.append(kept).await {
            tracing::warn!(%error, "an agent's log cannot be written; its output is discarded");
            self.captured.error = Some(error.kind());
            self.captured.discarded += kept.len() as u64;
            return;
        }
        self.captured.kept += kept.len() as u64;
        if !discarded.is_empty() && !was_discarding {
            let note = format!("\n[octopoid: this log reached its limit of {} bytes; the rest is discarded]\n", self.limit);
            let _best_effort = self.append(note.as_bytes()).await;
        }
    }

    async fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes).await?;
        // Errors of the file come with the flush, and `octopoid logs -f` reads along.
        self.file.flush().await
    }
}

/// Drains `pipe` into `log` and hands each line to `line`, longer ones cut at `line_limit` bytes. Lines go on after the log is full,
/// because what matters most comes last.
pub(super) async fn drain(mut pipe: impl AsyncRead + Unpin, mut log: CappedLog, line_limit: usize, mut line: impl FnMut(&str)) -> Captured {
    let mut buffer = vec![0; READ_BUFFER];
    let mut lines = Lines::new(line_limit);
    loop {
        match pipe.read(&mut buffer).await {
            Ok(0) => break,
            Ok(read) => {
                log.write(&buffer[..read]).await;
                lines.push(&buffer[..read], &mut line);
            }
            Err(error) => {
                tracing::warn!(%error, "an agent's output cannot be read");
                log.captured.error.get_or_insert(error.kind());
                break;
            }
        }
    }
    lines.finish(&mut line);
    log.captured
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn captured(input: &[u8], limit: u64) -> (Captured, String, Vec<String>) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("stdout.log");
        let log = CappedLog::open(&path, limit).await.expect("a log");
        let mut lines = Vec::new();
        let captured = drain(input, log, 1 << 20, |line| lines.push(line.to_owned())).await;
        (captured, std::fs::read_to_string(&path).expect("a log"), lines)
    }

    #[tokio::test]
    async fn output_below_the_limit_is_kept_whole() {
        let (captured, log, lines) = captured(b"one\ntwo", 7).await;
        assert_eq!(captured, Captured { kept: 7, discarded: 0, error: None });
        assert_eq!((log.as_str(), lines), ("one\ntwo", vec!["one".to_owned(), "two".to_owned()]));
    }

    #[tokio::test]
    async fn output_above_the_limit_is_noted_once_and_its_lines_are_still_seen() {
        let input = "x\n".repeat(300_000).into_bytes();
        let (captured, log, lines) = captured(&input, 10).await;
        assert_eq!((captured.kept, captured.discarded), (10, input.len() as u64 - 10));
        assert_eq!(log, "x\nx\nx\nx\nx\n\n[octopoid: this log reached its limit of 10 bytes; the rest is discarded]\n");
        assert_eq!(lines.len(), 300_000);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_full_disk_is_reported_and_the_pipe_is_drained_all_the_same() {
        let log = CappedLog::open(Path::new("/dev/full"), 1 << 20).await.expect("a device");
        let mut lines = 0;
        let captured = drain(&b"one\ntwo\n"[..], log, 100, |_| lines += 1).await;
        assert_eq!(captured, Captured { kept: 0, discarded: 8, error: Some(io::ErrorKind::StorageFull) });
        assert_eq!(lines, 2);
    }
}
