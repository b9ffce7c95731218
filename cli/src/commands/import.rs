//! `octopoid import` and `octopoid export`

use std::{
    collections::BTreeMap,
    fs, io,
    io::{IsTerminal as _, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use octopoid_client::{Client, ClientError, ImportCounts, ImportQuery, ImportReport, SkippedRow};

use crate::{
    clean,
    connection::Connection,
    failure::{Exit, Failure},
    node_bridge::{self, MigrateError},
    output::Output,
    table::Table,
};

/// The most bytes that one import takes.
const LIMIT: u64 = 64 << 20;
/// How long an import may take: far beyond the largest one.
const PATIENCE: Duration = Duration::from_secs(900);
/// How often its progress is looked at.
const GLANCE: Duration = Duration::from_millis(100);
/// How wide a full bar is, in characters.
const BAR: usize = 30;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  octopoid import .orchestrator --dry-run\n  octopoid import backup.json\n  ssh old-mac octopoid export | octopoid import -"
)]
pub struct Args {
    /// A folder of version 1, a file of JSON or JSON lines, or - for stdin.
    #[arg(value_name = "PATH|-")]
    path: PathBuf,
    /// Write nothing, and tell what would be done.
    #[arg(long)]
    dry_run: bool,
    /// The zone of times that name none: a name, an offset such as +02:00, or UTC; this machine's by default.
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
    /// The tenant of rows that name none; the node's own by default.
    #[arg(long)]
    scope: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  octopoid export --output backup.json")]
pub struct ExportArgs {
    /// The file to write, which is replaced when it is whole; stdout by default.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// One tenant; all by default.
    #[arg(long)]
    scope: Option<String>,
}

/// States why nothing was imported or exported.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The source cannot be read.
    #[error("read {}", path.display())]
    Read {
        /// The source.
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The source is larger than an import.
    #[error("{} holds more than 64 MiB, which is what one import takes", .0.display())]
    TooLarge(PathBuf),
    /// The folder cannot be read.
    #[error(transparent)]
    Folder(#[from] MigrateError),
    /// The file cannot be written.
    #[error("write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl TransferError {
    /// Tells how the command ends.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => Exit::Usage,
            Self::Folder(error) if error.is_wrong_use() => Exit::Usage,
            Self::Read { .. } | Self::TooLarge(_) | Self::Folder(_) | Self::Write { .. } => Exit::Failed,
        }
    }

    /// Names what to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::TooLarge(_) => Some("import it in parts: 'octopoid export --scope SCOPE' writes one tenant".to_owned()),
            Self::Folder(error) => error.hint(),
            Self::Read { .. } | Self::Write { .. } => None,
        }
    }
}

/// What is said to a person while an import runs; nothing where nobody watches.
struct Bar(bool);

impl Bar {
    fn new(output: Output) -> Self {
        Self(!output.json() && io::stderr().is_terminal())
    }

    fn show(&self, what: &str, done: u64, total: u64) {
        if !self.0 || total == 0 {
            return;
        }
        let part = done.min(total).saturating_mul(BAR as u64) / total;
        let full = usize::try_from(part).unwrap_or(BAR);
        eprint!("\r\u{1b}[K{what} [{}{}] {done} of {total}", "#".repeat(full), ".".repeat(BAR - full));
    }

    fn clear(&self) {
        if self.0 {
            eprint!("\r\u{1b}[K");
        }
    }
}

pub async fn import(args: &Args, output: Output) -> Result<(), Failure> {
    let connection = Connection::open().await?;
    let bar = Arc::new(Bar::new(output));
    // What is wrong with the agents is told before anything is written.
    let agents = if args.path.is_dir() { node_bridge::old_agents(&args.path).map_err(TransferError::Folder)? } else { None };
    let text = read(&args.path, &bar)?;
    let query = ImportQuery { dry_run: args.dry_run, tz: args.tz.clone(), scope: args.scope.clone() };
    let client = connection.client.clone().with_timeout(PATIENCE);
    let report = watched(&client, text, &query, &bar).await?;
    let put = agents.map(|agents| agents.put(&connection.layout, args.dry_run)).transpose().map_err(TransferError::Folder)?;
    let (agents_file, notes) = put.unwrap_or_default();
    if output.json() {
        let ImportReport { dry_run, source, tables, skipped, warnings } = report;
        return Ok(output.value(&Told { dry_run, source, tables, skipped, warnings, agents_file, notes })?);
    }
    tell(&report, output)?;
    notes.iter().for_each(|note| output.note(note));
    Ok(())
}

/// What `--json` prints.
#[derive(serde::Serialize)]
struct Told {
    dry_run: bool,
    source: String,
    tables: BTreeMap<String, ImportCounts>,
    skipped: Vec<SkippedRow>,
    warnings: Vec<String>,
    /// The file with the agents of version 1 that was written.
    agents_file: Option<PathBuf>,
    notes: Vec<String>,
}

/// Reads the source as the text that is sent.
fn read(path: &Path, bar: &Bar) -> Result<Vec<u8>, TransferError> {
    if path.is_dir() {
        let mut show = |done: usize, total: usize| bar.show("reading", done as u64, total as u64);
        let text = node_bridge::read_folder(path, &mut show)?;
        bar.clear();
        return if text.len() as u64 > LIMIT { Err(TransferError::TooLarge(path.to_owned())) } else { Ok(text) };
    }
    let failed = |source| TransferError::Read { path: path.to_owned(), source };
    let reader: Box<dyn io::Read> =
        if path == Path::new("-") { Box::new(io::stdin()) } else { Box::new(fs::File::open(path).map_err(failed)?) };
    let mut text = Vec::new();
    reader.take(LIMIT + 1).read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > LIMIT { Err(TransferError::TooLarge(path.to_owned())) } else { Ok(text) }
}

/// Imports, and shows how far it is.
async fn watched(client: &Client, text: Vec<u8>, query: &ImportQuery, bar: &Arc<Bar>) -> Result<ImportReport, ClientError> {
    if !bar.0 {
        return client.import(text, query).await;
    }
    let over = Arc::new(AtomicBool::new(false));
    let watch = tokio::spawn({
        let (client, bar, over) = (client.clone(), bar.clone(), over.clone());
        async move {
            while !over.load(Ordering::Relaxed) {
                if let Ok(progress) = client.import_progress().await
                    && progress.running
                {
                    bar.show("importing", progress.done, progress.total);
                }
                tokio::time::sleep(GLANCE).await;
            }
        }
    });
    let report = client.import(text, query).await;
    over.store(true, Ordering::Relaxed);
    // It only draws; the next look ends it.
    let _ = watch.await;
    bar.clear();
    report
}

fn tell(report: &ImportReport, output: Output) -> Result<(), Failure> {
    let mut table = Table::new(&["TABLE", "SOURCE", "IMPORTED", "UNCHANGED", "SKIPPED"]);
    for (name, counts) in &report.tables {
        let cells = [counts.source, counts.imported, counts.unchanged, counts.skipped].map(|count| count.to_string());
        table.row([name, &cells[0], &cells[1], &cells[2], &cells[3]]);
    }
    output.table(&table)?;
    for row in &report.skipped {
        output.line(clean::text(&format!("skipped: {} '{}': {}", row.table, row.id, row.reason)))?;
    }
    for warning in &report.warnings {
        output.warn(warning);
    }
    if report.dry_run {
        output.note("nothing was written: repeat the command without --dry-run");
    }
    Ok(())
}

pub async fn export(args: &ExportArgs, output: Output) -> Result<(), Failure> {
    let connection = Connection::open().await?;
    let client = connection.client.clone().with_timeout(PATIENCE);
    let mut stream = client.export(args.scope.as_deref()).await?;
    let Some(path) = &args.output else {
        while let Some(piece) = stream.next().await? {
            output.bytes(&piece)?;
        }
        return Ok(());
    };
    let mut file = NewFile::beside(path)?;
    while let Some(piece) = stream.next().await? {
        file.write(&piece)?;
    }
    let size = file.keep()?;
    if size > LIMIT {
        output
            .warn(format!("{} holds more than the 64 MiB that one import takes: export one tenant at a time with --scope", path.display()));
    }
    if output.json() {
        return Ok(output.value(&serde_json::json!({ "path": path, "bytes": size }))?);
    }
    output.note(format!("wrote {} ({} KiB)", path.display(), size.div_ceil(1024)));
    Ok(())
}

/// A file that takes its name when it is whole, so that a half export is never taken for a whole one.
struct NewFile {
    path: PathBuf,
    file: tempfile::NamedTempFile,
    size: u64,
}

impl NewFile {
    fn beside(path: &Path) -> Result<Self, TransferError> {
        let failed = |source| TransferError::Write { path: path.to_owned(), source };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = tempfile::Builder::new().prefix(".octopoid-export-").tempfile_in(folder).map_err(failed)?;
        Ok(Self { path: path.to_owned(), file, size: 0 })
    }

    fn write(&mut self, piece: &[u8]) -> Result<(), TransferError> {
        use io::Write as _;
        self.size += piece.len() as u64;
        self.file.write_all(piece).map_err(|source| TransferError::Write { path: self.path.clone(), source })
    }

    fn keep(self) -> Result<u64, TransferError> {
        let failed = |source| TransferError::Write { path: self.path.clone(), source };
        self.file.as_file().sync_all().map_err(failed)?;
        self.file.persist(&self.path).map_err(|error| failed(error.error))?;
        Ok(self.size)
    }
}
