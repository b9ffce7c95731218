//! Reads a folder of version 1: `.orchestrator` with its database and its task files.
//!
//! The database says what there is and where it stands; the files say what is to be done. Without a database the folders under
//! `shared/queue/` say where tasks stand.
//!
//! **Invariants**: nothing in the folder is written; a file that cannot be read is reported and takes nothing else with it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::json;

use super::sqlite::{self, DatabaseError};
use super::tables::{Row, Skipped, Source, Table, Tables};
use super::task_file::{self, bare};

/// The largest task file that is read: what a task's body may have here.
const LARGEST: u64 = 128 << 10;
/// The most files that are looked at.
const FILES: usize = 200_000;

/// States why a folder could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It holds nothing that is known.
    #[error("{} is no folder of version 1: it holds neither state.db nor shared/queue/", .0.display())]
    Unknown(PathBuf),
    /// A folder cannot be listed.
    #[error("look into {}", path.display())]
    List {
        /// The folder.
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// It holds more than anybody's queue.
    #[error("{} holds more than {FILES} files", .0.display())]
    TooMany(PathBuf),
    /// The database cannot be read.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// A task file as it was found.
struct Found {
    queue: String,
    path: PathBuf,
    changed: SystemTime,
}

/// Reads a folder. `progress` is told how many of how many files are read.
///
/// # Errors
/// When it is no such folder, or its database cannot be read.
pub fn read(folder: &Path, progress: &mut dyn FnMut(usize, usize)) -> Result<Tables, FolderError> {
    let folder = if folder.join(".orchestrator").is_dir() { folder.join(".orchestrator") } else { folder.to_owned() };
    // Relative paths have no parent to compare with.
    let folder = folder.canonicalize().unwrap_or(folder);
    let (database, queues) = (folder.join("state.db"), folder.join("shared/queue"));
    if !database.is_file() && !queues.is_dir() {
        return Err(FolderError::Unknown(folder));
    }
    let mut tables = Tables { source: Source { kind: "octopoid-v1".to_owned(), ..Source::default() }, ..Tables::default() };
    let from_database = database.is_file();
    if from_database {
        sqlite::read(&database, &mut tables)?;
    }
    let found = if queues.is_dir() { find(&queues, &mut tables)? } else { BTreeMap::new() };
    let named = by_row(&folder, &tables);
    let total = found.len();
    for (number, (id, file)) in found.into_iter().enumerate() {
        progress(number + 1, total);
        // A row that names its file means that one, wherever another of the same id lies.
        let path = named.get(&id).unwrap_or(&file.path);
        match text(path).or_else(|_| text(&file.path)) {
            Ok(text) => tables.files.push((id.clone(), text)),
            Err(why) => tables.unread.push(Skipped::new(Table::Files, id.as_str(), why)),
        }
        if !from_database {
            let below = file.path.strip_prefix(&folder).unwrap_or(&file.path).to_string_lossy().into_owned();
            let row = json!({ "id": id, "queue": file.queue, "file_path": below });
            tables.rows.entry(Table::Tasks).or_default().extend(row.as_object().cloned());
        }
    }
    let read: std::collections::HashSet<String> = tables.files.iter().map(|(id, _)| id.clone()).collect();
    for (id, path) in named.iter().filter(|(id, _)| !read.contains(*id)) {
        if let Ok(text) = text(path) {
            tables.files.push((id.clone(), text));
        }
    }
    Ok(tables)
}

/// Finds the task files below the queues' folders; of several with one id the newest counts.
fn find(queues: &Path, tables: &mut Tables) -> Result<BTreeMap<String, Found>, FolderError> {
    let mut found: BTreeMap<String, Found> = BTreeMap::new();
    let mut seen = 0;
    for queue in list(queues)?.into_iter().filter(|path| path.is_dir()) {
        let name = queue.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for path in list(&queue)? {
            seen += 1;
            if seen > FILES {
                return Err(FolderError::TooMany(queues.to_owned()));
            }
            let file_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let (Some(id), true) = (task_file::id_of_name(&file_name), path.is_file()) else { continue };
            let changed = fs::metadata(&path).and_then(|file| file.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
            let file = Found { queue: name.clone(), path, changed };
            let Some(other) = found.remove(id) else {
                found.insert(id.to_owned(), file);
                continue;
            };
            let (kept, dropped) = if (file.changed, &file.path) > (other.changed, &other.path) { (file, other) } else { (other, file) };
            let reason = format!("it lies in '{}', too, and that file is newer", kept.queue);
            tables.unread.push(Skipped::new(Table::Files, format!("{}/{file_name}", dropped.queue), reason));
            found.insert(id.to_owned(), kept);
        }
    }
    Ok(found)
}

/// Lists a folder in the order of names.
fn list(folder: &Path) -> Result<Vec<PathBuf>, FolderError> {
    let failed = |source| FolderError::List { path: folder.to_owned(), source };
    let entries = fs::read_dir(folder).map_err(failed)?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>().map_err(failed)?;
    paths.sort_unstable();
    Ok(paths)
}

/// Finds the files that rows of the database name, by the id of their task. What leads out of the project is not followed.
fn by_row(folder: &Path, tables: &Tables) -> BTreeMap<String, PathBuf> {
    let text = |row: &Row, column: &str| row.get(column).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
    let project = folder.parent().and_then(|project| project.canonicalize().ok());
    let place = |row: &Row| {
        let (id, path) = (text(row, "id"), text(row, "file_path"));
        let inside =
            |path: PathBuf| path.canonicalize().ok().filter(|path| project.as_ref().is_none_or(|project| path.starts_with(project)));
        let candidates = [folder.join(&path), folder.parent().unwrap_or(folder).join(&path)];
        let found =
            candidates.into_iter().find_map(inside).filter(|path| path.is_file() && path.extension().is_some_and(|kind| kind == "md"));
        Some((bare(id.trim()).to_owned(), found?))
    };
    tables.rows.get(&Table::Tasks).into_iter().flatten().filter_map(place).collect()
}

/// Reads a task file.
fn text(path: &Path) -> Result<String, String> {
    let failed = |error: io::Error| format!("{} cannot be read: {error}", path.display());
    let size = fs::metadata(path).map_err(failed)?.len();
    if size > LARGEST {
        return Err(format!("{size} bytes, the limit is {LARGEST}"));
    }
    String::from_utf8(fs::read(path).map_err(failed)?).map_err(|_| "it is no UTF-8 text".to_owned())
}
