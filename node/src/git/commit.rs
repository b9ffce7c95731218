//! Commits what an agent left uncommitted, so that the attempt's branch holds all of its work.
//!
//! **Invariants**: only the attempt's own branch moves, only forward and by compare-and-swap; ignored files and files that
//! were copied in are never committed; no commit made here carries an `Octopoid-Task` trailer.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::Path};

use git2::{IndexAddOption, RepositoryState, StatusOptions};
use octopoid_crdt::ids::Oid;

use super::{
    Identity, Repository, TamperedError, Worktree,
    landed::has_task_trailer,
    repository::from_git,
    worktree::{branch_commit, head_commit},
};

/// How many paths an error or outcome names.
pub(super) const SHOWN_PATHS: usize = 20;

/// States why the uncommitted work of a worktree stays uncommitted. All of it is still there.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The worktree is not as we made it.
    #[error(transparent)]
    Tampered(#[from] TamperedError),
    /// The agent left files with conflicts.
    #[error("unresolved conflicts in: {}", .0.join(", "))]
    Conflicts(Vec<String>),
    /// The agent left a rebase or the like half done.
    #[error("the worktree is in the middle of a {0}; finish or abort it there")]
    Unfinished(&'static str),
    /// HEAD does not build on the attempt's branch.
    #[error("the worktree's HEAD does not descend from branch '{branch}'; merge it into that branch by hand")]
    Strayed { branch: String },
    /// Only merge commits may carry it.
    #[error("the message carries an Octopoid-Task trailer, which only merge commits may")]
    Trailer,
    /// A folder is a repository, of which a commit would hold nothing.
    #[error(
        "'{path}' in the worktree is a repository of its own, so its files cannot be committed: remove its .git, or have git ignore it"
    )]
    Nested { path: String },
    /// Git refused.
    #[error("failed to commit the worktree's changes")]
    Git(#[from] git2::Error),
}

impl Repository {
    /// Commits all uncommitted work of a worktree to the attempt's branch; `None` when there is none.
    ///
    /// Untracked files are included. A merge that only lacked its commit is finished. When the agent worked on another branch
    /// or a detached HEAD that builds on the attempt's branch, the attempt's branch follows; the other branch is not moved.
    ///
    /// # Errors
    /// When the work cannot become one commit on top of the attempt's branch.
    pub fn commit_all(
        &self,
        worktree: &Worktree,
        message: &str,
        author: &Identity,
        committer: &Identity,
    ) -> Result<Option<Oid>, CommitError> {
        if has_task_trailer(message.as_bytes()) {
            return Err(CommitError::Trailer);
        }
        let mut git = self.open_worktree(worktree)?;
        let merging = check_state(&git)?;
        let mut index = git.index()?;
        index.read(true)?;
        if index.has_conflicts() {
            return Err(CommitError::Conflicts(conflicting_paths(&index)?));
        }
        let (head, branch_tip) = line_of_work(&git, worktree)?;
        let tree = stage(&mut index).map_err(|error| match nested_repository(&git) {
            Ok(Some(path)) => CommitError::Nested { path },
            Ok(None) | Err(_) => error.into(),
        })?;
        if tree == git.find_commit(head)?.tree_id() && !merging {
            follow(&git, worktree, branch_tip, head)?;
            return Ok(None);
        }
        let mut parents = vec![head];
        if merging {
            git.mergehead_foreach(|id| {
                parents.push(*id);
                true
            })?;
        }
        let commit = write_commit(&git, tree, &parents, message, author, committer)?;
        index.write()?;
        follow(&git, worktree, branch_tip, commit)?;
        if merging {
            git.cleanup_state()?;
        }
        Ok(Some(from_git(commit)?))
    }

    /// Tells whether a worktree has nothing uncommitted: no changed, staged or untracked file; ignored ones do not count.
    ///
    /// # Errors
    /// When the worktree is not as we made it or cannot be read.
    pub fn is_clean(&self, worktree: &Worktree) -> Result<bool, CommitError> {
        let git = self.open_worktree(worktree)?;
        Ok(git.state() == RepositoryState::Clean && nothing_uncommitted(&git)?)
    }
}

/// Tells whether a handle's work tree has no changed, staged or untracked file.
///
/// A repository inside the work tree that is no submodule does not count; see [`nested_repository`].
pub(super) fn nothing_uncommitted(git: &git2::Repository) -> Result<bool, git2::Error> {
    let mut options = StatusOptions::new();
    options.include_untracked(true).include_ignored(false).renames_head_to_index(false).renames_index_to_workdir(false);
    Ok(git.statuses(Some(&mut options))?.is_empty())
}

/// The mode of an index entry that names a commit of another repository.
const LINK: u32 = 0o160_000;

/// Finds a repository inside the work tree that is neither ignored nor a submodule: a commit would hold nothing of it, or
/// its name alone where somebody added it.
pub(super) fn nested_repository(git: &git2::Repository) -> Result<Option<String>, git2::Error> {
    let root = git.workdir().unwrap_or(git.path());
    let mut options = StatusOptions::new();
    // libgit2 calls such a folder ignored, whatever the ignore rules say, and says so only when asked for single files.
    options.include_untracked(true).recurse_untracked_dirs(true).include_ignored(true).exclude_submodules(true);
    for entry in git.statuses(Some(&mut options))?.iter() {
        let path = Path::new(OsStr::from_bytes(entry.path_bytes()));
        if root.join(path).join(".git").symlink_metadata().is_ok() && !git.is_path_ignored(path)? {
            return Ok(Some(path.display().to_string()));
        }
    }
    // One that was added is a link to a commit in there. A submodule's commits are kept by the outer repository, and its
    // `.git` is a file that says so.
    let links = git.index()?.iter().filter(|entry| entry.mode == LINK).collect::<Vec<_>>();
    let mut paths = links.iter().map(|entry| Path::new(OsStr::from_bytes(&entry.path)));
    let inside = paths.find(|path| root.join(path).join(".git").symlink_metadata().is_ok_and(|found| found.is_dir()));
    Ok(inside.map(|path| path.display().to_string()))
}

/// Adds every change of the work tree to the index in memory and returns its tree.
pub(super) fn stage(index: &mut git2::Index) -> Result<git2::Oid, git2::Error> {
    index.add_all(["*"], IndexAddOption::DEFAULT, None)?;
    index.update_all(["*"], None)?;
    index.write_tree()
}

pub(super) fn write_commit(
    git: &git2::Repository,
    tree: git2::Oid,
    parents: &[git2::Oid],
    message: &str,
    author: &Identity,
    committer: &Identity,
) -> Result<git2::Oid, git2::Error> {
    let tree = git.find_tree(tree)?;
    let parents = parents.iter().map(|id| git.find_commit(*id)).collect::<Result<Vec<_>, _>>()?;
    let parents: Vec<_> = parents.iter().collect();
    let message = git2::message_prettify(message, None)?;
    git.commit(None, &author.signature()?, &committer.signature()?, &message, &tree, &parents)
}

pub(super) fn conflicting_paths(index: &git2::Index) -> Result<Vec<String>, git2::Error> {
    let mut paths = Vec::new();
    for conflict in index.conflicts()? {
        let conflict = conflict?;
        let entry = [conflict.our, conflict.their, conflict.ancestor].into_iter().flatten().next();
        paths.extend(entry.map(|entry| String::from_utf8_lossy(&entry.path).into_owned()));
    }
    paths.sort();
    paths.dedup();
    paths.truncate(SHOWN_PATHS);
    Ok(paths)
}

/// Tells whether a merge waits for its commit; other unfinished operations cannot be finished for the agent.
fn check_state(git: &git2::Repository) -> Result<bool, CommitError> {
    let state = git.state();
    if matches!(state, RepositoryState::Clean | RepositoryState::Merge) {
        Ok(state == RepositoryState::Merge)
    } else {
        Err(CommitError::Unfinished(state_name(state)))
    }
}

pub(super) fn state_name(state: RepositoryState) -> &'static str {
    match state {
        RepositoryState::Clean => "clean state",
        RepositoryState::Merge => "merge",
        RepositoryState::Revert | RepositoryState::RevertSequence => "revert",
        RepositoryState::CherryPick | RepositoryState::CherryPickSequence => "cherry-pick",
        RepositoryState::Bisect => "bisect",
        RepositoryState::Rebase | RepositoryState::RebaseInteractive | RepositoryState::RebaseMerge => "rebase",
        RepositoryState::ApplyMailbox | RepositoryState::ApplyMailboxOrRebase => "git am",
    }
}

/// Returns HEAD's commit and the tip of the attempt's branch, which HEAD must build on.
fn line_of_work(git: &git2::Repository, worktree: &Worktree) -> Result<(git2::Oid, Option<git2::Oid>), CommitError> {
    let strayed = || CommitError::Strayed { branch: worktree.branch().to_string() };
    let head = head_commit(git)?.ok_or_else(strayed)?;
    match branch_commit(git, worktree)? {
        Some(tip) if tip != head && !git.graph_descendant_of(head, tip)? => Err(strayed()),
        tip => Ok((head, tip)),
    }
}

/// Moves the attempt's branch, and HEAD onto it, to a commit that builds on it.
fn follow(git: &git2::Repository, worktree: &Worktree, from: Option<git2::Oid>, to: git2::Oid) -> Result<(), git2::Error> {
    let reference = worktree.branch().reference();
    match from {
        Some(from) if from == to => {}
        Some(from) => drop(git.reference_matching(&reference, to, true, from, "octopoid: work of the attempt")?),
        None => drop(git.reference(&reference, to, false, "octopoid: work of the attempt")?),
    }
    let head = git.find_reference("HEAD")?;
    if head.symbolic_target_bytes() == Some(reference.as_bytes()) { Ok(()) } else { git.set_head(&reference) }
}
