//! Reads the database of version 1, which that program may be writing to at the same time.
//!
//! The database and its write-ahead log are copied first, and SQLite opens the copy: opening the original would recover its log, make
//! files beside it and hold locks that its own program waits for. Database and log are read twice, one after the other, and count when
//! both times are the same: what a checkpoint wrote while the first was read, the second shows. To compare the log alone is not enough: a
//! commit and a checkpoint that empties the log leave it as it was.
//!
//! **Invariants**: nothing in the source's folder is written, locked or made; the copy is gone when the rows are read.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use super::tables::{Row, Skipped, Table, Tables};

/// The largest database that is copied, its log included.
const LARGEST: u64 = 512 << 20;
/// The most bytes of rows: more than an import takes.
const ROWS: usize = 64 << 20;
/// How often a database that is written to meanwhile is copied before it is given up.
const TRIES: u32 = 20;
/// How much longer is waited before each further try.
const PAUSE: Duration = Duration::from_millis(2);
/// How much of two files is compared at once.
const CHUNK: usize = 1 << 20;
/// The latest version of the tables that this program was written for.
const SCHEMA: i64 = 12;

/// The tables that are read, by the column that names a row in messages.
const READ: [(Table, &str); 7] = [
    (Table::Tasks, "id"),
    (Table::Projects, "id"),
    (Table::Agents, "name"),
    (Table::TaskHistory, "task_id"),
    (Table::Drafts, "id"),
    (Table::Messages, "id"),
    (Table::Actions, "id"),
];

/// States why a database could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// A file cannot be read, or its copy not written.
    #[error("copy {}", path.display())]
    Copy {
        /// The file.
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// It is larger than anything that version 1 made.
    #[error("{} is larger than {} MiB", .0.display(), LARGEST >> 20)]
    TooLarge(PathBuf),
    /// The rows are more than one import takes.
    #[error("the rows of {} are more than {} MiB, which is what one import takes", .0.display(), ROWS >> 20)]
    TooMany(PathBuf),
    /// It was written to all the time.
    #[error("{} was written to all the time: stop version 1 for a moment and try again", .0.display())]
    Busy(PathBuf),
    /// SQLite cannot read it.
    #[error("read {}", path.display())]
    Sqlite {
        /// The database.
        path: PathBuf,
        #[source]
        source: rusqlite::Error,
    },
}

/// Reads all tables that are known, and adds them to `tables`.
pub(super) fn read(path: &Path, tables: &mut Tables) -> Result<(), DatabaseError> {
    let copy = Copy::of(path)?;
    read_copy(&copy.database(), tables).map_err(|problem| match problem {
        Problem::Sqlite(source) => DatabaseError::Sqlite { path: path.to_owned(), source },
        Problem::TooMany => DatabaseError::TooMany(path.to_owned()),
    })
}

/// A copy of a database with its log, in a folder of its own that only this user can read.
struct Copy(tempfile::TempDir);

impl Copy {
    fn database(&self) -> PathBuf {
        self.0.path().join("state.db")
    }

    fn of(path: &Path) -> Result<Self, DatabaseError> {
        let failed = |at: &Path| {
            let path = at.to_owned();
            move |source| DatabaseError::Copy { path, source }
        };
        let copy = Self(tempfile::Builder::new().prefix("octopoid-import-").tempdir().map_err(failed(path))?);
        let beside = |suffix: &str| {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        let (wal, journal) = (beside("-wal"), beside("-journal"));
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
        if size(path) + size(&wal) + size(&journal) > LARGEST {
            return Err(DatabaseError::TooLarge(path.to_owned()));
        }
        for tried in 0..TRIES {
            // Time for who writes to come to an end.
            std::thread::sleep(PAUSE * tried);
            let logs = || Ok([optional(&wal).map_err(failed(&wal))?, optional(&journal).map_err(failed(&journal))?]);
            copy_content(path, &copy.database()).map_err(failed(path))?;
            let first = logs()?;
            if !is_copy(path, &copy.database()).map_err(failed(path))? || first != logs()? {
                continue;
            }
            for (content, name) in first.iter().zip(["state.db-wal", "state.db-journal"]) {
                if let Some(content) = content {
                    std::fs::write(copy.0.path().join(name), content).map_err(failed(path))?;
                }
            }
            return Ok(copy);
        }
        Err(DatabaseError::Busy(path.to_owned()))
    }
}

/// Copies what a file holds, but not its mode: SQLite writes to the copy.
fn copy_content(from: &Path, to: &Path) -> io::Result<()> {
    io::copy(&mut std::fs::File::open(from)?, &mut std::fs::File::create(to)?).map(drop)
}

/// Reads a file that need not be there.
fn optional(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Tells whether a file still holds what was copied.
fn is_copy(of: &Path, copy: &Path) -> io::Result<bool> {
    let (mut of, mut copy) = (std::fs::File::open(of)?, std::fs::File::open(copy)?);
    let (mut now, mut then) = (Vec::with_capacity(CHUNK), Vec::with_capacity(CHUNK));
    loop {
        now.clear();
        then.clear();
        of.by_ref().take(CHUNK as u64).read_to_end(&mut now)?;
        copy.by_ref().take(CHUNK as u64).read_to_end(&mut then)?;
        if now != then {
            return Ok(false);
        }
        if now.is_empty() {
            return Ok(true);
        }
    }
}

enum Problem {
    Sqlite(rusqlite::Error),
    TooMany,
}

impl From<rusqlite::Error> for Problem {
    fn from(source: rusqlite::Error) -> Self {
        Self::Sqlite(source)
    }
}

fn read_copy(path: &Path, tables: &mut Tables) -> Result<(), Problem> {
    // The copy's log is recovered into it, so it is opened for writing; nothing but SQLite writes.
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "query_only", true)?;
    let mut names = connection.prepare("SELECT name FROM sqlite_master WHERE type = 'table'")?;
    let names = names.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    let mut room = ROWS;
    for (table, key) in READ.into_iter().filter(|(table, _)| names.iter().any(|name| name == table.as_str())) {
        let mut statement = connection.prepare(&format!("SELECT * FROM \"{}\"", table.as_str()))?;
        let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut found = statement.query([])?;
        let mut number = 0;
        while let Some(row) = found.next()? {
            number += 1;
            match read_row(row, &columns, &mut room)? {
                Ok(row) => tables.rows.entry(table).or_default().push(row),
                Err((row, column)) => {
                    let id = row.get(key).and_then(Value::as_str).map_or_else(|| format!("row {number}"), str::to_owned);
                    tables.unread.push(Skipped::new(table, id, format!("the column {column} holds bytes that are no text")));
                }
            }
        }
    }
    if names.iter().any(|name| name == "schema_info") {
        let mut statement = connection.prepare("SELECT * FROM schema_info")?;
        if let Ok(column) = statement.column_index("version") {
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let version = row.get::<_, i64>(column).ok();
                tables.source.schema_version = tables.source.schema_version.max(version);
            }
        }
    }
    if let Some(version) = tables.source.schema_version.filter(|version| *version > SCHEMA) {
        tables.warnings.push(format!("the database has version {version}, this program knows up to {SCHEMA}: columns are read by name"));
    }
    Ok(())
}

/// Reads one row; one with a column that is no text is given back with the column's name.
fn read_row(row: &rusqlite::Row<'_>, columns: &[String], room: &mut usize) -> Result<Result<Row, (Row, String)>, Problem> {
    let (mut read, mut odd) = (Row::new(), None);
    for (index, column) in columns.iter().enumerate() {
        let value = match row.get_ref(index)? {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(number) => number.into(),
            ValueRef::Real(number) => number.into(),
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => text.into(),
                Err(_) => {
                    odd = Some(column.clone());
                    Value::Null
                }
            },
        };
        let size = column.len() + value.as_str().map_or(8, str::len);
        *room = room.checked_sub(size).ok_or(Problem::TooMany)?;
        read.insert(column.clone(), value);
    }
    Ok(match odd {
        Some(column) => Err((read, column)),
        None => Ok(read),
    })
}
