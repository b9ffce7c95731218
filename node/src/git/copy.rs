//! Copies files that git does not track, such as `.env`, from the user's checkout into a new worktree.
//!
//! **Invariants**: only regular files inside the checkout are read, and only files inside the worktree are written, whatever
//! links either side holds; a copied file is never committed by us.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Component, Path, PathBuf},
};

use super::{Repository, TamperedError, Worktree};

/// The largest file that is copied.
const MAX_SIZE: u64 = 16 << 20;

/// The most files that are copied into one worktree.
const MAX_FILES: usize = 64;

/// In git's administrative folder of a worktree: the paths that were copied in, one on each line.
const COPIED: &str = "octopoid-copied";

/// What a copy did not do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CopyReport {
    /// Copied.
    pub copied: Vec<String>,
    /// Not in the user's checkout.
    pub missing: Vec<String>,
    /// In the worktree already, because git tracks them; left alone.
    pub tracked: Vec<String>,
    /// Copied, but not ignored by git: an agent's own `git add` would commit them. Worth a warning.
    pub not_ignored: Vec<String>,
}

/// States which file of `worktree.copy` was not copied, and why.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The worktree is not as we made it.
    #[error(transparent)]
    Tampered(#[from] TamperedError),
    /// The path leaves the checkout or names git's own folder.
    #[error("worktree.copy: '{0}' must be a relative path inside the repository, without '..' or '.git'")]
    Path(String),
    /// A link leads out of the checkout, or stands in the way in the worktree.
    #[error("worktree.copy: '{0}' leads through a symbolic link out of the repository")]
    Link(String),
    /// Folders, pipes and devices are not copied.
    #[error("worktree.copy: '{0}' is not a regular file; name files one by one")]
    NotAFile(String),
    /// A bound was crossed.
    #[error("worktree.copy: '{0}' is larger than 16 MiB, or more than 64 files are listed")]
    TooMuch(String),
    /// Git could not tell whether the file is ignored.
    #[error("worktree.copy: failed to look up '{path}' in git")]
    Git { path: String, source: git2::Error },
    /// The file system refused.
    #[error("worktree.copy: failed to copy '{path}'")]
    Io { path: String, source: io::Error },
}

impl Repository {
    /// Copies files of the user's checkout into a worktree, with their permissions. Call it before anything runs there.
    ///
    /// # Errors
    /// At the first path that is not safe to copy or cannot be copied; earlier ones stay copied.
    pub fn copy_files(&self, worktree: &Worktree, files: &[String]) -> Result<CopyReport, CopyError> {
        let git = self.open_worktree(worktree)?;
        let mut report = CopyReport::default();
        if let Some(extra) = files.get(MAX_FILES) {
            return Err(CopyError::TooMuch(extra.clone()));
        }
        for file in files {
            let path = relative(file)?;
            let io = |source| CopyError::Io { path: file.clone(), source };
            let Some(source) = inside(self.root(), &path, file)? else {
                report.missing.push(file.clone());
                continue;
            };
            refuse_links(worktree.path(), &path, file)?;
            let target = worktree.path().join(&path);
            if target.symlink_metadata().is_ok() {
                report.tracked.push(file.clone());
                continue;
            }
            let ignored = git.is_path_ignored(&path).map_err(|source| CopyError::Git { path: file.clone(), source })?;
            note(&git, &path).map_err(io)?;
            copy(&source, &target).map_err(io)?;
            report.copied.push(file.clone());
            if !ignored {
                report.not_ignored.push(file.clone());
            }
        }
        Ok(report)
    }
}

/// Accepts a path of plain components; git's own folder is refused at any depth and in any case.
fn relative(file: &str) -> Result<PathBuf, CopyError> {
    let wrong = || CopyError::Path(file.chars().take(200).collect());
    let path = Path::new(file);
    let plain = path.components().all(|part| match part {
        Component::Normal(name) => !name.eq_ignore_ascii_case(".git"),
        Component::Prefix(_) | Component::RootDir | Component::CurDir | Component::ParentDir => false,
    });
    let fits = !file.is_empty() && file.len() <= 1_024 && !file.chars().any(char::is_control) && !file.ends_with('/');
    if plain && fits { Ok(path.to_owned()) } else { Err(wrong()) }
}

/// Resolves a path of the user's checkout; `None` when there is no such file.
fn inside(root: &Path, path: &Path, file: &str) -> Result<Option<PathBuf>, CopyError> {
    let resolved = match root.join(path).canonicalize() {
        Ok(resolved) => resolved,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(None),
        Err(source) => return Err(CopyError::Io { path: file.to_owned(), source }),
    };
    let git_folder = |part: Component<'_>| matches!(part, Component::Normal(name) if name.eq_ignore_ascii_case(".git"));
    match resolved.strip_prefix(root) {
        Ok(rest) if !rest.components().any(git_folder) => {}
        _ => return Err(CopyError::Link(file.to_owned())),
    }
    let metadata = resolved.metadata().map_err(|source| CopyError::Io { path: file.to_owned(), source })?;
    match (metadata.is_file(), metadata.len() <= MAX_SIZE) {
        (true, true) => Ok(Some(resolved)),
        (true, false) => Err(CopyError::TooMuch(file.to_owned())),
        (false, _) => Err(CopyError::NotAFile(file.to_owned())),
    }
}

/// Refuses a target below a link: the repository's own files may hold links that lead anywhere.
fn refuse_links(root: &Path, path: &Path, file: &str) -> Result<(), CopyError> {
    let parents = path.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty());
    for parent in parents {
        match root.join(parent).symlink_metadata() {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Err(CopyError::Link(file.to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(CopyError::Io { path: file.to_owned(), source }),
        }
    }
    Ok(())
}

fn copy(source: &Path, target: &Path) -> io::Result<()> {
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    let from = fs::File::open(source)?;
    let mode = from.metadata()?.permissions().mode() & 0o777;
    // The file may grow while it is read, and `create_new` never follows a link.
    let mut to = OpenOptions::new().write(true).create_new(true).mode(mode).open(target)?;
    io::copy(&mut from.take(MAX_SIZE), &mut to)?;
    to.set_permissions(fs::Permissions::from_mode(mode))
}

fn note(git: &git2::Repository, path: &Path) -> io::Result<()> {
    let mut notes = OpenOptions::new().append(true).create(true).open(git.path().join(COPIED))?;
    notes.write_all(path.to_string_lossy().as_bytes())?;
    notes.write_all(b"\n")
}

/// Makes git overlook the files that were copied into a worktree, for as long as this handle is used.
pub(super) fn hide_copied(git: &git2::Repository) -> Result<(), git2::Error> {
    let mut notes = String::new();
    if let Ok(file) = fs::File::open(git.path().join(COPIED)) {
        let bound = u64::try_from(MAX_FILES).unwrap_or_default() * 1_100;
        file.take(bound).read_to_string(&mut notes).map_err(|error| git2::Error::from_str(&error.to_string()))?;
    }
    for path in notes.lines() {
        let escaped: String = path.chars().flat_map(|c| [Some('\\').filter(|_| "\\*?[]!# ".contains(c)), Some(c)]).flatten().collect();
        git.add_ignore_rule(&format!("/{escaped}"))?;
    }
    Ok(())
}
