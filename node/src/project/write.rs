//! Writes files and folders so that a crash leaves the old or the new one, and nobody else can read what is private.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

/// Replaces a file's content as a whole: a new file with the mode takes its name after its bytes are on disk.
pub(crate) fn replace_file(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let temporary = beside(path);
    write_new(&temporary, content, mode)?;
    let renamed = fs::rename(&temporary, path);
    if renamed.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    renamed?;
    sync_folder(path)
}

/// Makes a file that must not exist yet, whole or not at all; tells whether it was made.
pub(super) fn create_file(path: &Path, content: &[u8], mode: u32) -> io::Result<bool> {
    if fs::symlink_metadata(path).is_ok() {
        return Ok(false);
    }
    let temporary = beside(path);
    write_new(&temporary, content, mode)?;
    // A link, unlike a rename, never replaces a file that someone else made meanwhile.
    let linked = fs::hard_link(&temporary, path);
    let _ = fs::remove_file(&temporary);
    match linked {
        Ok(()) => sync_folder(path).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        // Some file systems have no hard links.
        Err(_) => write_exclusive(path, content, mode).map(|()| true),
    }
}

fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.new", std::process::id()))
}

/// Writes a temporary file, in place of one that an interrupted call left.
fn write_new(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    write_exclusive(path, content, mode)
}

fn write_exclusive(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(content)?;
    file.sync_all()
}

fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// Makes a folder with a mode, or tightens the one that is there; tells whether it was made.
///
/// A link is refused: a repository that was fetched could lead a secret elsewhere by one.
pub(super) fn folder(path: &Path, mode: u32) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => {
            let current = found.permissions().mode() & 0o777;
            if current & !mode != 0 && mode == PRIVATE_FOLDER {
                fs::set_permissions(path, Permissions::from_mode(mode))?;
            }
            Ok(false)
        }
        Ok(found) if found.is_symlink() => Err(io::Error::new(io::ErrorKind::NotADirectory, "a symbolic link, which is not followed")),
        Ok(_) => Err(io::Error::new(io::ErrorKind::NotADirectory, "not a folder")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::DirBuilder::new().mode(mode).create(path)?;
            Ok(true)
        }
        Err(error) => Err(error),
    }
}

/// For folders that only their owner reads.
pub(super) const PRIVATE_FOLDER: u32 = 0o700;
/// For folders that are part of the repository.
pub(super) const SHARED_FOLDER: u32 = 0o755;
/// For secrets.
pub(super) const PRIVATE_FILE: u32 = 0o600;
/// For files that are part of the repository.
pub(super) const SHARED_FILE: u32 = 0o644;
