//! The file of a store: made under another name, and given its own once it is whole.
//!
//! **Invariants**: whatever has a store's name was founded before it got that name. So a file of that name that is empty or
//! holds no cluster is a damaged one, and never taken for a new one; a creation that was cut short leaves nothing of that name.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use redb::Database;

use super::open::{CACHE_BYTES, OpenError};

/// A database that a store is to be of.
pub(super) struct Opened {
    pub database: Database,
    pub origin: Origin,
}

/// Where a database comes from.
pub(super) enum Origin {
    /// From the caller, who knows whether it is new.
    Given,
    /// It was there: it must have been founded.
    There,
    /// It is being made.
    Begun(Begun),
}

/// A store's file that has not got its name yet.
pub(super) struct Begun {
    half: PathBuf,
    path: PathBuf,
    /// Keeps others from making the same store. Locked as long as it is open, so that a crash leaves no lock.
    _folder: File,
}

impl Begun {
    /// Gives the file its name, durably.
    pub fn finish(self) -> Result<(), OpenError> {
        let failed = |source: io::Error| OpenError::Store { path: self.path.clone(), source: redb::Error::from(source).into() };
        std::fs::rename(&self.half, &self.path).map_err(failed)?;
        File::open(folder_of(&self.path)).and_then(|folder| folder.sync_all()).map_err(failed)
    }
}

/// Opens a store's file, or begins one where there is none.
pub(super) fn open(path: &Path) -> Result<Opened, OpenError> {
    if !is_there(path)? {
        let folder = lock(path)?;
        // Another process may have made it before the lock was had.
        if !is_there(path)? {
            return begin(path, folder);
        }
    }
    let database = builder().open(path).map_err(|error| of_database(path, error))?;
    Ok(Opened { database, origin: Origin::There })
}

/// Tells whether the file is there; one without a byte never was a store.
fn is_there(path: &Path) -> Result<bool, OpenError> {
    match path.metadata() {
        Ok(found) if found.len() == 0 => Err(OpenError::Empty(path.to_owned())),
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(of_io(path, error)),
    }
}

fn begin(path: &Path, folder: File) -> Result<Opened, OpenError> {
    let half = path.with_added_extension("new");
    // What a crash left there was never answered for.
    match std::fs::remove_file(&half) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(of_io(path, error)),
        Ok(()) | Err(_) => {}
    }
    let database = builder().create(&half).map_err(|error| of_database(path, error))?;
    Ok(Opened { database, origin: Origin::Begun(Begun { half, path: path.to_owned(), _folder: folder }) })
}

fn lock(path: &Path) -> Result<File, OpenError> {
    let folder = File::open(folder_of(path)).map_err(|error| of_io(path, error))?;
    match folder.try_lock() {
        Ok(()) => Ok(folder),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked(path.to_owned())),
        // Some file systems of networks lock no folders. There two first commands at once could each make a store, and the later one stays.
        Err(TryLockError::Error(error)) => {
            tracing::warn!(%error, folder = %folder_of(path).display(), "the folder cannot be locked while the store is made");
            Ok(folder)
        }
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn builder() -> redb::Builder {
    let mut builder = redb::Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn of_io(path: &Path, error: io::Error) -> OpenError {
    OpenError::Store { path: path.to_owned(), source: redb::Error::from(error).into() }
}

fn of_database(path: &Path, error: redb::DatabaseError) -> OpenError {
    if matches!(error, redb::DatabaseError::DatabaseAlreadyOpen) {
        OpenError::Locked(path.to_owned())
    } else {
        OpenError::Store { path: path.to_owned(), source: error.into() }
    }
}
