//! `octopoid logs`

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use octopoid_client::LogQuery;
use serde::Serialize;

use super::{diff::whole, whole_attempt, whole_id};
use crate::{
    clean::Pieces,
    connection::{Connection, find_project},
    failure::{Exit, Failure},
    output::{Output, OutputError},
};

/// How often a followed file is looked at.
const GLANCE: Duration = Duration::from_millis(200);

/// States why a log cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// One JSON value has an end, a followed log has none.
    #[error("--json and --follow exclude each other")]
    EndlessJson,
    /// An option that needs a task.
    #[error("--attempt and --raw need the id of a task")]
    NeedsTask,
    /// No node has run here.
    #[error("there is no log at {} yet", .0.display())]
    None(PathBuf),
    /// The node's log cannot be read.
    #[error("read {}", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl LogsError {
    pub fn exit(&self) -> Exit {
        match self {
            Self::EndlessJson | Self::NeedsTask => Exit::Usage,
            Self::None(_) | Self::Read { .. } => Exit::Failed,
        }
    }

    pub fn hint(&self) -> Option<String> {
        match self {
            Self::EndlessJson => Some("leave out --follow".to_owned()),
            Self::NeedsTask => Some("octopoid logs ID --raw; 'octopoid list' shows the ids".to_owned()),
            Self::None(_) => Some("run 'octopoid start'".to_owned()),
            Self::Read { .. } => None,
        }
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  octopoid logs add-user-auth -f")]
pub struct Args {
    /// The task's id, or a beginning of it; without one the node's own log.
    #[arg(value_name = "ID")]
    task: Option<String>,
    /// Go on as more is written.
    #[arg(short, long)]
    follow: bool,
    /// The attempt, or the review, or a beginning of its name; the latest attempt by default.
    #[arg(long, value_name = "A")]
    attempt: Option<String>,
    /// As the agent's program wrote it, instead of one line a step.
    #[arg(long)]
    raw: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    task_id: Option<String>,
    attempt: Option<String>,
    log: String,
}

pub async fn run(args: Args, output: Output) -> Result<(), Failure> {
    if args.follow && output.json() {
        return Err(LogsError::EndlessJson.into());
    }
    match &args.task {
        Some(prefix) => of_task(prefix, &args, output).await,
        None if args.attempt.is_some() || args.raw => Err(LogsError::NeedsTask.into()),
        None => of_node(&args, output).await,
    }
}

async fn of_task(prefix: &str, args: &Args, output: Output) -> Result<(), Failure> {
    let connection = Connection::open().await?;
    let id = whole_id(&connection, prefix).await?;
    // Without a node nothing more will be written, and following would keep the store from everybody else.
    let attempt = whole_attempt(&connection, &id, args.attempt.as_deref()).await?;
    let query = LogQuery { attempt: attempt.clone(), raw: args.raw, follow: args.follow && connection.node.is_some() };
    let mut stream = connection.client.log(&id, &query).await.map_err(Failure::about(&id))?;
    if output.json() {
        let log = whole(&mut stream).await?;
        return Ok(output.value(&Report { task_id: Some(id), attempt, log })?);
    }
    let mut writer = Writer::new(output);
    let mut silent = true;
    while let Some(bytes) = stream.next().await? {
        silent &= bytes.is_empty();
        writer.write(&bytes)?;
    }
    if silent {
        let folder = connection.layout.logs_dir().join("tasks").join(&id);
        output.note(format!("the agent wrote nothing; its prompt is in {}", folder.display()));
    }
    Ok(())
}

async fn of_node(args: &Args, output: Output) -> Result<(), Failure> {
    let path = find_project()?.node_log();
    let mut tail = Tail::open(&path)?;
    if output.json() {
        let mut log = Vec::new();
        while let Some(bytes) = tail.next()? {
            log.extend_from_slice(&bytes);
        }
        return Ok(output.value(&Report { task_id: None, attempt: None, log: String::from_utf8_lossy(&log).into_owned() })?);
    }
    let mut writer = Writer::new(output);
    loop {
        while let Some(bytes) = tail.next()? {
            writer.write(&bytes)?;
        }
        if !args.follow {
            return Ok(());
        }
        tokio::time::sleep(GLANCE).await;
    }
}

/// Passes a log on: cleaned to a terminal, as it is to anything else.
struct Writer {
    output: Output,
    pieces: Pieces,
}

impl Writer {
    fn new(output: Output) -> Self {
        Self { output, pieces: Pieces::default() }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        match self.output.terminal() {
            true => self.output.bytes(self.pieces.push(bytes).as_bytes()),
            false => self.output.bytes(bytes),
        }
    }
}

/// Reads a file that grows and is now and then replaced by a new one.
struct Tail {
    path: PathBuf,
    file: File,
    inode: u64,
    read: u64,
}

impl Tail {
    fn open(path: &Path) -> Result<Self, LogsError> {
        let failed = |source: io::Error| {
            if source.kind() == io::ErrorKind::NotFound {
                LogsError::None(path.to_owned())
            } else {
                LogsError::Read { path: path.to_owned(), source }
            }
        };
        let file = File::open(path).map_err(failed)?;
        let inode = file.metadata().map_err(failed)?.ino();
        Ok(Self { path: path.to_owned(), file, inode, read: 0 })
    }

    /// Returns what is new; `None` when nothing is for now.
    fn next(&mut self) -> Result<Option<Vec<u8>>, LogsError> {
        if let Some(bytes) = self.more()? {
            return Ok(Some(bytes));
        }
        // Between a log's renaming and its successor's creation there is none: look again later.
        let Ok(now) = std::fs::metadata(&self.path) else { return Ok(None) };
        if now.ino() != self.inode {
            *self = Self::open(&self.path)?;
        } else if now.len() < self.read {
            self.read = self.file.seek(SeekFrom::Start(0)).map_err(|source| self.failed(source))?;
        } else {
            return Ok(None);
        }
        self.more()
    }

    fn more(&mut self) -> Result<Option<Vec<u8>>, LogsError> {
        let mut bytes = vec![0; 64 << 10];
        let count = self.file.read(&mut bytes).map_err(|source| self.failed(source))?;
        bytes.truncate(count);
        self.read += count as u64;
        Ok((count > 0).then_some(bytes))
    }

    fn failed(&self, source: io::Error) -> LogsError {
        LogsError::Read { path: self.path.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write};

    use super::*;

    fn new(tail: &mut Tail) -> String {
        let mut all = Vec::new();
        while let Some(bytes) = tail.next().expect("readable") {
            all.extend_from_slice(&bytes);
        }
        String::from_utf8(all).expect("text")
    }

    #[test]
    fn a_log_is_followed_when_it_grows_is_replaced_or_is_emptied() {
        let dir = tempfile::tempdir().expect("scratch folder");
        let path = dir.path().join("node.log");
        fs::write(&path, "one\n").expect("written");
        let mut tail = Tail::open(&path).expect("open");
        assert_eq!(new(&mut tail), "one\n");
        assert_eq!(new(&mut tail), "");
        fs::OpenOptions::new().append(true).open(&path).and_then(|mut file| file.write_all(b"two\n")).expect("appended");
        assert_eq!(new(&mut tail), "two\n");
        fs::rename(&path, dir.path().join("node.log.1")).expect("renamed");
        assert_eq!(new(&mut tail), "");
        fs::write(&path, "three\n").expect("written");
        assert_eq!(new(&mut tail), "three\n");
        fs::write(&path, "4\n").expect("written");
        assert_eq!(new(&mut tail), "4\n");
    }

    #[test]
    fn a_node_that_never_ran_has_no_log_and_the_hint_says_what_to_do() {
        let error = Tail::open(Path::new("/no/such/log")).err().expect("missing");
        assert!(matches!(error, LogsError::None(_)));
        assert!(error.hint().is_some_and(|hint| hint.contains("octopoid start")));
    }
}
