//! Linked worktrees, one for each attempt.
//!
//! **Invariants**: a worktree, its branch and git's administrative folder are made together and under one name; none of the
//! three is ever taken over from an earlier use. Before a worktree is worked on, it is checked that it still belongs to this
//! repository: an agent can write to its `.git` file.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use git2::{ErrorCode, WorktreeAddOptions, WorktreePruneOptions};
use octopoid_crdt::ids::{AttemptName, Name, Oid};

use super::{
    Branch, ReadError, Repository, branch,
    copy::hide_copied,
    repository::{tip, to_git},
};

/// The file in git's folder whose lock orders who makes and forgets worktrees: libgit2 refuses one while another is half made.
pub(super) const LOCK_FILE: &str = "octopoid-worktrees.lock";

/// The worktree of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worktree {
    task: Name,
    attempt: AttemptName,
    path: PathBuf,
}

impl Worktree {
    /// Returns the task that the attempt is made for.
    #[must_use]
    pub fn task(&self) -> &Name {
        &self.task
    }

    /// Returns the attempt.
    #[must_use]
    pub fn attempt(&self) -> AttemptName {
        self.attempt
    }

    /// Returns the folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the attempt's branch.
    #[must_use]
    pub fn branch(&self) -> Branch {
        Branch::of_attempt(&self.task, self.attempt)
    }

    pub(super) fn name(&self) -> String {
        branch::worktree_name(&self.task, self.attempt)
    }
}

/// States why an attempt got no worktree. Nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// Something stands where the worktree would go.
    #[error("'{}' exists already, and worktrees are never reused; move it away or run 'octopoid gc'", .0.display())]
    FolderExists(PathBuf),
    /// The attempt's branch was made before.
    #[error("branch '{0}' exists already, and branches of attempts are never reused; rename it: git branch -m {0} NEW-NAME")]
    BranchExists(Branch),
    /// A branch that git cannot keep beside `octopoid/…`.
    #[error("branch '{in_the_way}' is in the way of '{branch}'; rename it: git branch -m {in_the_way} NEW-NAME")]
    BranchInTheWay { branch: Branch, in_the_way: String },
    /// Git still has notes on a worktree of that name.
    #[error("git still knows a worktree '{0}' whose folder is gone; run 'git worktree prune'")]
    StillKnown(String),
    /// The base is not in this repository.
    #[error("commit {0} is not in this repository; run 'git fetch' first")]
    NoBase(Oid),
    /// The folder for worktrees leads elsewhere.
    #[error("'{}' is a symbolic link; worktrees are made in a plain folder only", .0.display())]
    Link(PathBuf),
    /// The folder or the lock could not be made.
    #[error("failed to make '{}'", path.display())]
    Io { path: PathBuf, source: io::Error },
    /// Git refused.
    #[error("failed to make worktree '{name}'")]
    Git { name: String, source: git2::Error },
}

/// States that a worktree is not as we made it, so nothing in it is touched.
#[derive(Debug, thiserror::Error)]
pub enum TamperedError {
    /// Its `.git` file or the administrative folder leads elsewhere.
    #[error("'{}' no longer belongs to this repository: its .git file was changed; save what you need and delete the folder", .0.display())]
    Foreign(PathBuf),
    /// It cannot be opened as a worktree.
    #[error("failed to open the worktree '{}'; save what you need and delete the folder", path.display())]
    Unreadable { path: PathBuf, source: git2::Error },
}

impl Repository {
    /// Makes the worktree `<folder>/<task>-<attempt>` on a new branch `octopoid/<task>/<attempt>` that starts at `base`.
    ///
    /// Filter programs such as git-lfs do not run: their files hold pointers until the setup command fetches them.
    ///
    /// # Errors
    /// When the folder, the branch or git's notes exist already, and when the file system or git refuses.
    pub fn add_worktree(&self, task: &Name, attempt: AttemptName, base: &Oid, folder: &Path) -> Result<Worktree, AddError> {
        let name = branch::worktree_name(task, attempt);
        let folder = plain_folder(folder)?;
        let _lock = self.lock(LOCK_FILE).map_err(|source| AddError::Io { path: self.common_dir().join(LOCK_FILE), source })?;
        let worktree = Worktree { task: task.clone(), attempt, path: folder.join(&name) };
        if worktree.path.symlink_metadata().is_ok() {
            return Err(AddError::FolderExists(worktree.path));
        }
        if self.common_dir().join("worktrees").join(&name).symlink_metadata().is_ok() {
            return Err(AddError::StillKnown(name));
        }
        let fail = |source| AddError::Git { name: name.clone(), source };
        let git = self.git().map_err(fail)?;
        let base = to_git(base).and_then(|id| git.find_commit(id)).map_err(|_| AddError::NoBase(base.clone()))?;
        let branch = make_branch(&git, &worktree.branch(), base.id())?;
        let mut options = WorktreeAddOptions::new();
        options.reference(Some(&branch));
        let made = git.worktree(&name, &worktree.path, Some(&options)).and_then(|_| check_out(&worktree.path));
        match made {
            Ok(()) => Ok(worktree),
            Err(source) => {
                discard(&git, &worktree, branch);
                Err(AddError::Git { name, source })
            }
        }
    }

    /// Lists the attempts' worktrees in `folder` that git knows of, also those whose folder is gone.
    ///
    /// # Errors
    /// When git cannot list its worktrees.
    pub fn list_worktrees(&self, folder: &Path) -> Result<Vec<Worktree>, ReadError> {
        let failed = |source| ReadError::Git { what: "the worktrees", source };
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let git = self.git().map_err(failed)?;
        let mut found = Vec::new();
        for name in git.worktrees().map_err(failed)?.iter_bytes() {
            let Some(name) = std::str::from_utf8(name).ok() else { continue };
            let Some((task, attempt)) = branch::parse_worktree_name(name) else { continue };
            let path = folder.join(name);
            // Git's note of where it is; the user may have a worktree of such a name elsewhere.
            if git.find_worktree(name).is_ok_and(|known| known.path() == path) {
                found.push(Worktree { task, attempt, path });
            }
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// Opens a worktree after checking that it is still the one that was made.
    pub(super) fn open_worktree(&self, worktree: &Worktree) -> Result<git2::Repository, TamperedError> {
        let path = worktree.path();
        let unreadable = |source| TamperedError::Unreadable { path: path.to_owned(), source };
        let git = git2::Repository::open(path).map_err(unreadable)?;
        let same = |ours: &Path, theirs: Option<&Path>| {
            theirs.and_then(|theirs| theirs.canonicalize().ok()).is_some_and(|theirs| ours.canonicalize().is_ok_and(|ours| ours == theirs))
        };
        let ours = self.common_dir().join("worktrees").join(worktree.name());
        if !(same(&ours, Some(git.path())) && same(self.common_dir(), Some(git.commondir())) && same(path, git.workdir())) {
            return Err(TamperedError::Foreign(path.to_owned()));
        }
        hide_copied(&git).map_err(unreadable)?;
        Ok(git)
    }
}

/// Makes the folder that holds worktrees; a repository could bring a link in its place.
fn plain_folder(folder: &Path) -> Result<PathBuf, AddError> {
    let fail = |source| AddError::Io { path: folder.to_owned(), source };
    fs::create_dir_all(folder).map_err(fail)?;
    if folder.symlink_metadata().map_err(fail)?.is_symlink() {
        return Err(AddError::Link(folder.to_owned()));
    }
    folder.canonicalize().map_err(fail)
}

fn make_branch<'git>(git: &'git git2::Repository, branch: &Branch, base: git2::Oid) -> Result<git2::Reference<'git>, AddError> {
    let parents = branch.as_str().match_indices('/').map(|(at, _)| &branch.as_str()[..at]);
    for parent in parents {
        if git.find_reference(&format!("refs/heads/{parent}")).is_ok() {
            return Err(AddError::BranchInTheWay { branch: branch.clone(), in_the_way: parent.to_owned() });
        }
    }
    git.reference(&branch.reference(), base, false, "octopoid: start of an attempt").map_err(|source| {
        if source.code() == ErrorCode::Exists {
            AddError::BranchExists(branch.clone())
        } else {
            AddError::Git { name: branch.to_string(), source }
        }
    })
}

/// Fills a worktree that libgit2 may have left without files.
fn check_out(path: &Path) -> Result<(), git2::Error> {
    git2::Repository::open(path)?.checkout_head(Some(git2::build::CheckoutBuilder::new().force()))
}

/// Takes back what a failed [`Repository::add_worktree`] made; the checks before it ensure that all of it was ours.
fn discard(git: &git2::Repository, worktree: &Worktree, mut branch: git2::Reference<'_>) {
    let _ = fs::remove_dir_all(worktree.path());
    if let Err(error) = forget(git, &worktree.name()) {
        tracing::warn!(worktree = %worktree.path().display(), %error, "a worktree that could not be made is still noted by git");
    }
    let _ = branch.delete();
}

/// Removes git's administrative folder of a worktree whose own folder is gone.
pub(super) fn forget(git: &git2::Repository, name: &str) -> Result<(), git2::Error> {
    match git.find_worktree(name) {
        Ok(known) => known.prune(Some(WorktreePruneOptions::new().valid(false).locked(false).working_tree(false))),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Tells whether a commit can be reached from a local or a remote branch.
pub(super) fn is_kept(git: &git2::Repository, commit: git2::Oid) -> Result<bool, git2::Error> {
    let mut walk = git.revwalk()?;
    walk.push(commit)?;
    for glob in ["refs/heads/*", "refs/remotes/*"] {
        for reference in git.references_glob(glob)? {
            // A branch that names no commit, such as a remote's HEAD whose branch is gone, keeps nothing.
            if let Ok(tip) = reference?.peel_to_commit() {
                walk.hide(tip.id())?;
            }
        }
    }
    Ok(walk.next().transpose()?.is_none())
}

/// Returns HEAD's commit; `None` when it has none.
pub(super) fn head_commit(git: &git2::Repository) -> Result<Option<git2::Oid>, git2::Error> {
    match git.head() {
        Ok(head) => Ok(Some(head.peel_to_commit()?.id())),
        Err(error) if matches!(error.code(), ErrorCode::UnbornBranch | ErrorCode::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns the commit of the attempt's branch; `None` when the branch is gone.
pub(super) fn branch_commit(git: &git2::Repository, worktree: &Worktree) -> Result<Option<git2::Oid>, git2::Error> {
    tip(git, &worktree.branch().reference())
}
