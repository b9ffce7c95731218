//! Removes worktrees without losing work.
//!
//! **Invariants**: what a worktree holds is reachable from a reference before its folder goes; a folder that is being removed
//! is first renamed, so that a half-removed one is never taken for work.

use std::{fs, io, os::unix::fs::PermissionsExt, path::Path};

use octopoid_crdt::ids::Oid;

use super::{
    Identity, Repository, TamperedError, Worktree,
    branch::rescue_reference,
    commit::{nested_repository, nothing_uncommitted, stage, write_commit},
    repository::{from_git, tip},
    worktree::{LOCK_FILE, branch_commit, forget, head_commit, is_kept},
};

/// The folder that a worktree is renamed to while it is removed.
const REMOVING: &str = ".removing-";

/// What became of a worktree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    /// All it held was on a branch that is kept.
    Clean,
    /// What was on no branch is kept in the attempt's rescue reference, at this commit.
    Rescued(Oid),
    /// Its folder was gone already; git's notes of it were removed.
    WasGone,
}

/// States why a worktree is still there.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// The worktree is not as we made it.
    #[error(transparent)]
    Tampered(#[from] TamperedError),
    /// A repository inside could not be saved by a commit.
    #[error("'{path}' in the worktree is a repository of its own; move it away, then run 'octopoid gc'")]
    Nested { path: String },
    /// The user asked git to keep it.
    #[error("the worktree is locked; run 'git worktree unlock {0}' to let it go")]
    Locked(String),
    /// What it holds could not be saved.
    #[error("failed to save what the worktree holds")]
    Save(#[source] git2::Error),
    /// The folder could not be removed.
    #[error("failed to remove the worktree's folder")]
    Folder(#[source] io::Error),
    /// Git's notes could not be removed.
    #[error("failed to remove git's notes of the worktree")]
    Forget(#[source] git2::Error),
}

impl Repository {
    /// Removes a worktree; what is on no kept branch is first saved at `refs/octopoid/rescue/<task>/<attempt>`.
    ///
    /// The attempt's branch is kept. The caller makes sure that no process works in the folder any more.
    ///
    /// # Errors
    /// When something could get lost, and when the file system or git refuses; a later call goes on.
    pub fn remove_worktree(&self, worktree: &Worktree) -> Result<Removed, RemoveError> {
        self.check_unlocked(worktree)?;
        let removed = match worktree.path().symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Removed::WasGone,
            Err(error) => return Err(RemoveError::Folder(error)),
            Ok(_) => self.save(worktree)?.map_or(Removed::Clean, Removed::Rescued),
        };
        let name = worktree.name();
        let parent = worktree.path().parent().unwrap_or(self.root());
        let doomed = parent.join(format!("{REMOVING}{name}"));
        if removed != Removed::WasGone {
            delete_folder(&doomed).map_err(RemoveError::Folder)?;
            fs::rename(worktree.path(), &doomed).map_err(RemoveError::Folder)?;
        }
        {
            let _lock = self.lock(LOCK_FILE).map_err(RemoveError::Folder)?;
            self.git().and_then(|git| forget(&git, &name)).map_err(RemoveError::Forget)?;
        }
        delete_folder(&doomed).map_err(RemoveError::Folder)?;
        Ok(removed)
    }

    /// Tells why [`Repository::remove_worktree`] would not remove a worktree, and removes nothing.
    ///
    /// Objects that a rescue would need may be written; git itself drops them some day.
    ///
    /// # Errors
    /// When something could get lost.
    pub fn may_remove_worktree(&self, worktree: &Worktree) -> Result<(), RemoveError> {
        self.check_unlocked(worktree)?;
        match worktree.path().symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(RemoveError::Folder(error)),
            Ok(_) => self.unsaved(&self.open_worktree(worktree)?, worktree).map(drop),
        }
    }

    fn check_unlocked(&self, worktree: &Worktree) -> Result<(), RemoveError> {
        let known = self.git().and_then(|git| git.find_worktree(&worktree.name()));
        if known.is_ok_and(|known| matches!(known.is_locked(), Ok(git2::WorktreeLockStatus::Locked(_)))) {
            return Err(RemoveError::Locked(worktree.name()));
        }
        Ok(())
    }

    /// Deletes folders whose removal a crash cut short, and returns how many there were.
    ///
    /// # Errors
    /// When one cannot be deleted; the others are.
    pub fn sweep_removed(&self, folder: &Path) -> Result<usize, RemoveError> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(RemoveError::Folder(error)),
        };
        let mut swept = Ok(0);
        for entry in entries {
            let entry = entry.map_err(RemoveError::Folder)?;
            if entry.file_name().to_string_lossy().starts_with(REMOVING) {
                match delete_folder(&entry.path()) {
                    Ok(()) => swept = swept.map(|count| count + 1),
                    Err(error) => swept = Err(error),
                }
            }
        }
        swept.map_err(RemoveError::Folder)
    }

    /// Writes the rescue reference when the worktree holds something that no branch does.
    fn save(&self, worktree: &Worktree) -> Result<Option<Oid>, RemoveError> {
        let git = self.open_worktree(worktree)?;
        let lost = match self.unsaved(&git, worktree)? {
            Some(commit) => commit,
            None => return Ok(None),
        };
        let reference = rescue_reference(worktree.task(), worktree.attempt());
        self.keep(&git, &reference, lost).and_then(from_git).map(Some).map_err(RemoveError::Save)
    }

    /// Returns the commit to rescue: of all uncommitted work, or HEAD's when no branch has it.
    fn unsaved(&self, git: &git2::Repository, worktree: &Worktree) -> Result<Option<git2::Oid>, RemoveError> {
        let save = RemoveError::Save;
        if let Some(path) = nested_repository(git).map_err(save)? {
            return Err(RemoveError::Nested { path });
        }
        let head = head_commit(git).map_err(save)?;
        if nothing_uncommitted(git).map_err(save)? {
            let Some(head) = head else { return Ok(None) };
            return Ok((!is_kept(git, head).map_err(save)?).then_some(head));
        }
        let mut index = git.index().map_err(save)?;
        let tree = stage(&mut index).map_err(save)?;
        let parent = head.map_or_else(|| branch_commit(git, worktree), |head| Ok(Some(head))).map_err(save)?;
        let message = format!("octopoid: uncommitted work of {} in attempt {}", worktree.task(), worktree.attempt());
        let us = Identity::octopoid();
        write_commit(git, tree, parent.as_slice(), &message, &us, &us).map(Some).map_err(save)
    }

    /// Points the rescue reference at a commit; an earlier rescue of the attempt becomes a parent, so that it stays reachable.
    fn keep(&self, git: &git2::Repository, reference: &str, commit: git2::Oid) -> Result<git2::Oid, git2::Error> {
        let Some(earlier) = tip(git, reference)? else {
            git.reference(reference, commit, false, "octopoid: rescue")?;
            return Ok(commit);
        };
        let found = git.find_commit(commit)?;
        if earlier == commit || git.find_commit(earlier)?.tree_id() == found.tree_id() && earlier_holds(git, earlier, &found)? {
            return Ok(earlier);
        }
        let us = Identity::octopoid();
        let both = write_commit(git, found.tree_id(), &[commit, earlier], "octopoid: a later rescue of the same attempt", &us, &us)?;
        git.reference_matching(reference, both, true, earlier, "octopoid: rescue")?;
        Ok(both)
    }
}

/// Tells whether the earlier rescue reaches everything that a new one with the same files builds on.
fn earlier_holds(git: &git2::Repository, earlier: git2::Oid, found: &git2::Commit<'_>) -> Result<bool, git2::Error> {
    for parent in found.parent_ids() {
        if parent != earlier && !git.graph_descendant_of(earlier, parent)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Deletes a folder, also one with folders that forbid it, as package managers leave them.
fn delete_folder(path: &Path) -> io::Result<()> {
    let deleted = match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => open_folders(path).and_then(|()| fs::remove_dir_all(path)),
        other => other,
    };
    match deleted {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn open_folders(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        // The type of the entry itself: a link is not followed.
        if entry.file_type()?.is_dir() {
            open_folders(&entry.path())?;
        }
    }
    Ok(())
}
