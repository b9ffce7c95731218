//! Reads what an attempt's processes printed, to the end or as it grows.
//!
//! **Invariants**: a log is read in pieces, so its size is never in memory; a stream ends with its attempt, its reader or the
//! node.

use std::io::SeekFrom;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::body::Bytes;
use octopoid_crdt::ids::AttemptName;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::app::{App, RenderLine};
use crate::ops::Target;

/// How many pieces of a log wait for a slow reader.
const PIECES: usize = 8;
/// How much of a log is read at once.
const PIECE: usize = 32 * 1024;
/// The longest line that is rendered whole.
const LINE: usize = 1024 * 1024;
/// How often a log that is followed is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// After how many looks without news it is asked whether the attempt still runs.
const LOOKS: u32 = 5;

/// The files of an attempt's output.
#[derive(Debug, Clone)]
pub(super) struct Output {
    folder: PathBuf,
}

impl Output {
    /// The files of an attempt's folder.
    pub(super) const fn of(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// What the agent says; it may be rendered.
    fn agent(&self) -> PathBuf {
        self.folder.join("stdout.log")
    }

    /// What else was printed, each with its name: what the setup said where it failed, and what programs complained of.
    fn others(&self) -> [(&'static str, PathBuf); 3] {
        let failed_setup = |name| if self.agent().exists() { PathBuf::new() } else { self.folder.join("setup").join(name) };
        [
            ("worktree.setup, stdout", failed_setup("stdout.log")),
            ("worktree.setup, stderr", failed_setup("stderr.log")),
            ("stderr", self.folder.join("stderr.log")),
        ]
    }

    /// Tells whether anything was printed here.
    pub(super) async fn is_any(&self) -> bool {
        let output = self.clone();
        let look = move || output.agent().exists() || output.others().iter().any(|(_, path)| path.is_file());
        tokio::task::spawn_blocking(look).await.unwrap_or(false)
    }
}

/// Streams an attempt's output; with `following` on while that attempt runs. What is not the agent's stdout comes after it, unless
/// it is wanted raw.
pub(super) fn tail(
    app: App,
    output: Output,
    following: Option<(Target, AttemptName)>,
    raw: bool,
) -> ReceiverStream<Result<Bytes, std::io::Error>> {
    let (pieces, stream) = mpsc::channel(PIECES);
    tokio::spawn(Tail { app, output, following, raw, pieces }.run());
    ReceiverStream::new(stream)
}

/// Reads a log to its end, and on while its attempt runs.
struct Tail {
    app: App,
    output: Output,
    following: Option<(Target, AttemptName)>,
    raw: bool,
    pieces: mpsc::Sender<Result<Bytes, std::io::Error>>,
}

impl Tail {
    async fn run(self) {
        let pieces = self.pieces.clone();
        if let Err(error) = self.copy().await {
            let _ = pieces.send(Err(error)).await;
        }
    }

    async fn copy(self) -> Result<(), std::io::Error> {
        let render = (!self.raw).then_some(self.app.settings.render);
        let mut lines = Lines { render, rest: Vec::new() };
        let (mut offset, mut quiet) = (0, 0);
        let mut closing = self.app.closing();
        let path = self.output.agent();
        loop {
            let read = self.read_from(&path, offset, &mut lines).await?;
            offset += read;
            if read > 0 {
                quiet = 0;
                continue;
            }
            quiet += 1;
            // The attempt is asked about before the last look at its file, so that its last words are not lost.
            let ended = match &self.following {
                None => true,
                Some(_) if quiet % LOOKS != 0 => false,
                Some((target, attempt)) => !self.app.runs(target.clone(), *attempt).await,
            };
            if ended {
                self.read_from(&path, offset, &mut lines).await?;
                self.send(lines.finish()).await?;
                return if self.raw { Ok(()) } else { self.add_others().await };
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = self.pieces.closed() => return Ok(()),
                _ = closing.wait_for(|closing| *closing) => return Ok(()),
            }
        }
    }

    /// Sends what was printed besides, under the name of where.
    async fn add_others(&self) -> Result<(), std::io::Error> {
        for (name, path) in self.output.others() {
            if tokio::fs::metadata(&path).await.is_ok_and(|file| file.len() > 0) {
                self.send(format!("--- {name}\n").into()).await?;
                let mut lines = Lines { render: None, rest: Vec::new() };
                self.read_from(&path, 0, &mut lines).await?;
            }
        }
        Ok(())
    }

    /// Sends what the file holds from a place on; returns how much that was.
    async fn read_from(&self, path: &Path, offset: u64, lines: &mut Lines) -> Result<u64, std::io::Error> {
        let mut file = match File::open(path).await {
            Ok(file) => file,
            // A log that is followed may not be there yet.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error),
        };
        file.seek(SeekFrom::Start(offset)).await?;
        let (mut total, mut buffer) = (0, vec![0; PIECE]);
        loop {
            let read = file.read(&mut buffer).await?;
            if read == 0 {
                return Ok(total);
            }
            total += read as u64;
            self.send(lines.push(&buffer[..read])).await?;
        }
    }

    async fn send(&self, piece: Bytes) -> Result<(), std::io::Error> {
        if piece.is_empty() {
            return Ok(());
        }
        self.pieces.send(Ok(piece)).await.map_err(|_| std::io::ErrorKind::BrokenPipe.into())
    }
}

/// Renders a log line by line, or passes it on as it is.
struct Lines {
    render: Option<RenderLine>,
    rest: Vec<u8>,
}

impl Lines {
    fn push(&mut self, bytes: &[u8]) -> Bytes {
        let Some(render) = self.render else { return Bytes::copy_from_slice(bytes) };
        let mut shown = String::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.rest.extend_from_slice(piece);
            if self.rest.ends_with(b"\n") || self.rest.len() > LINE {
                show(render, &std::mem::take(&mut self.rest), &mut shown);
            }
        }
        shown.into()
    }

    fn finish(&mut self) -> Bytes {
        let mut shown = String::new();
        if let (Some(render), false) = (self.render, self.rest.is_empty()) {
            show(render, &std::mem::take(&mut self.rest), &mut shown);
        }
        shown.into()
    }
}

fn show(render: RenderLine, line: &[u8], shown: &mut String) {
    if let Some(text) = render(String::from_utf8_lossy(line).trim_end_matches(['\r', '\n'])) {
        shown.push_str(&text);
        shown.push('\n');
    }
}
