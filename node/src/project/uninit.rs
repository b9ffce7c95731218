//! Takes a project's folder away.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::layout::Layout;
use crate::config::BuiltIn;

/// How far uninit may go.
pub struct UninitOptions<'u> {
    /// Whether unfinished work and edited files go, too.
    pub force: bool,
    /// The process of the node that serves this project, when one does.
    pub running: Option<u32>,
    /// Says what would be lost with a worktree: uncommitted changes, commits on no branch. `None` when nothing would.
    pub unfinished: &'u mut dyn FnMut(&Path) -> Option<String>,
}

/// What uninit did. Branches of attempts are git's and stay; the caller prunes git's list of the removed worktrees.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UninitReport {
    /// What was removed, relative to the root.
    pub removed: Vec<PathBuf>,
    /// What was kept because a person edited or added it, relative to the root.
    pub kept: Vec<PathBuf>,
    /// The worktrees among what was removed, absolute.
    pub worktrees: Vec<PathBuf>,
}

/// States why a project's folder stays.
#[derive(Debug, thiserror::Error)]
pub enum UninitError {
    /// A node serves it.
    #[error("a node (process {0}) is running here; run 'octopoid stop' first")]
    Running(u32),
    /// Work would be lost.
    #[error("{} worktree(s) hold unfinished work: {}; commit or discard it, or use --force", .0.len(), list(.0))]
    Unfinished(Vec<(PathBuf, String)>),
    /// Something could not be read or removed.
    #[error("remove {}", .path.display())]
    Remove {
        /// The file or folder.
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl UninitError {
    /// Tells whether nothing was removed, since something would have been lost.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        match self {
            Self::Running(_) | Self::Unfinished(_) => true,
            Self::Remove { .. } => false,
        }
    }
}

/// The most worktrees that a message names.
const NAMED: usize = 5;

fn list(work: &[(PathBuf, String)]) -> String {
    let named = work.iter().take(NAMED).map(|(path, why)| format!("{} ({why})", path.display()));
    named.collect::<Vec<_>>().join(", ")
}

/// Removes what [`super::init`] and the node made. Files that a person edited stay unless forced.
///
/// The store goes, and with it every task that no other machine holds.
///
/// # Errors
/// When a node runs, unfinished work would be lost, or something cannot be removed. Nothing is removed in the first two cases.
pub fn uninit(layout: &Layout, options: &mut UninitOptions<'_>) -> Result<UninitReport, UninitError> {
    if let Some(pid) = options.running {
        return Err(UninitError::Running(pid));
    }
    let worktrees = entries(&layout.worktrees_dir())?;
    let unfinished: Vec<_> =
        worktrees.iter().filter_map(|path| Some((layout.shown(path).to_owned(), (options.unfinished)(path)?))).collect();
    if !unfinished.is_empty() && !options.force {
        return Err(UninitError::Unfinished(unfinished));
    }
    let mut work = Work { layout, report: UninitReport { worktrees, ..UninitReport::default() } };
    let ignore_is_ours = options.force || work.is_as_written(&layout.ignore_file());
    work.shared_files(options.force)?;
    // The runtime folder makes this a project, so it goes late: a call that fails before can be repeated. What keeps
    // secrets out of git goes after the secrets.
    for folder in [layout.worktrees_dir(), layout.logs_dir(), layout.runtime_dir()] {
        work.remove_tree(&folder)?;
    }
    work.remove_file(&layout.ignore_file(), ignore_is_ours)?;
    for folder in [layout.prompts_dir(), layout.flows_dir(), layout.dir().to_owned()] {
        work.remove_if_empty(&folder)?;
    }
    Ok(work.report)
}

struct Work<'l> {
    layout: &'l Layout,
    report: UninitReport,
}

impl Work<'_> {
    fn shared_files(&mut self, force: bool) -> Result<(), UninitError> {
        let layout = self.layout;
        let prompts = BuiltIn::ALL.map(|role| layout.prompts_dir().join(format!("{}.md", role.as_str())));
        for path in [layout.config_file(), layout.agents_file()].into_iter().chain(prompts) {
            self.remove_file(&path, force || self.is_as_written(&path))?;
        }
        Ok(())
    }

    /// Tells whether a file still is as init wrote it.
    fn is_as_written(&self, path: &Path) -> bool {
        let original = path.file_name().and_then(|name| fs::read(self.layout.originals_dir().join(name)).ok());
        original.is_some_and(|original| fs::read(path).is_ok_and(|content| content == original))
    }

    fn remove_file(&mut self, path: &Path, really: bool) -> Result<(), UninitError> {
        let shown = self.layout.shown(path).to_owned();
        if !path.exists() {
            return Ok(());
        }
        if !really {
            self.report.kept.push(shown);
            return Ok(());
        }
        fs::remove_file(path).map_err(|source| UninitError::Remove { path: path.to_owned(), source })?;
        self.report.removed.push(shown);
        Ok(())
    }

    fn remove_tree(&mut self, path: &Path) -> Result<(), UninitError> {
        match fs::remove_dir_all(path) {
            Ok(()) => self.report.removed.push(self.layout.shown(path).to_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(UninitError::Remove { path: path.to_owned(), source }),
        }
        Ok(())
    }

    fn remove_if_empty(&mut self, path: &Path) -> Result<(), UninitError> {
        match fs::remove_dir(path) {
            Ok(()) => self.report.removed.push(self.layout.shown(path).to_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => self.report.kept.push(self.layout.shown(path).to_owned()),
            Err(source) => return Err(UninitError::Remove { path: path.to_owned(), source }),
        }
        Ok(())
    }
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, UninitError> {
    let failed = |source| UninitError::Remove { path: folder.to_owned(), source };
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>().map_err(failed),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(failed(error)),
    }
}
