//! Moves a branch forward, with the files of whoever has it checked out.
//!
//! **Invariants**: files change only when nothing of the user's is in the way; files go first and the branch last, so that a
//! crash in between leaves what looks like the merge, staged, and a later call takes it up.

use std::{fs, path::Path};

use git2::{AttrCheckFlags, AttrValue, CheckoutNotificationType, ErrorCode, RepositoryState, StatusOptions, build::CheckoutBuilder};

use super::{
    Branch, Repository,
    commit::{SHOWN_PATHS, state_name},
    repository::tip,
};

/// How an advance ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Advance {
    /// The branch is at the new commit.
    Done,
    /// Another mover came first: look again.
    Raced,
    /// Something of the user's is in the way; nothing was moved.
    Blocked(String),
}

/// Whether files can be brought to a tree.
enum Ready {
    Yes,
    /// They are there already, from a call that did not get to move the branch.
    Already,
    No(String),
}

/// Moves a branch from one commit to one that builds on it, by compare-and-swap.
pub(super) fn advance(
    repository: &Repository,
    git: &git2::Repository,
    branch: &Branch,
    from: git2::Oid,
    to: git2::Oid,
    message: &str,
) -> Result<Advance, git2::Error> {
    let holders = holders(repository, git, branch)?;
    let holder = match holders.as_slice() {
        [] => return swap(git, branch, from, to, message),
        [one] => one,
        _ => return Ok(Advance::Blocked(format!("branch '{branch}' is checked out in several worktrees"))),
    };
    if tip(git, &branch.reference())? != Some(from) {
        return Ok(Advance::Raced);
    }
    let target = holder.find_commit(to)?;
    match ready(holder, holder.find_commit(from)?.tree()?, target.tree()?)? {
        Ready::No(reason) => return Ok(Advance::Blocked(format!("in '{}': {reason}", place(holder)))),
        Ready::Already => {}
        Ready::Yes => {
            let blocked = check_out(holder, &target.tree()?).inspect_err(|_| take_back(holder, from, to))?;
            if let Some(reason) = blocked {
                return Ok(Advance::Blocked(format!("in '{}': {reason}", place(holder))));
            }
        }
    }
    let swapped = swap(git, branch, from, to, message)?;
    if swapped == Advance::Raced {
        restore(holder, from, to)?;
    }
    Ok(swapped)
}

fn swap(git: &git2::Repository, branch: &Branch, from: git2::Oid, to: git2::Oid, message: &str) -> Result<Advance, git2::Error> {
    match git.reference_matching(&branch.reference(), to, true, from, message) {
        Ok(_) => Ok(Advance::Done),
        Err(error) if matches!(error.code(), ErrorCode::Modified | ErrorCode::Locked | ErrorCode::Exists | ErrorCode::NotFound) => {
            Ok(Advance::Raced)
        }
        Err(error) => Err(error),
    }
}

fn place(git: &git2::Repository) -> String {
    git.workdir().unwrap_or(git.path()).display().to_string()
}

/// Returns the worktrees that have a branch checked out, the main one included, or that are rebasing it.
fn holders(repository: &Repository, git: &git2::Repository, branch: &Branch) -> Result<Vec<git2::Repository>, git2::Error> {
    let mut found = Vec::new();
    let main = git2::Repository::open(repository.common_dir())?;
    if !main.is_bare() && holds(&main, branch)? {
        found.push(main);
    }
    for name in git.worktrees()?.iter_bytes() {
        let known = std::str::from_utf8(name).ok().and_then(|name| git.find_worktree(name).ok());
        let opened = known.and_then(|known| git2::Repository::open_from_worktree(&known).ok());
        // One whose .git file leads to another repository does not have our branch checked out.
        let ours = |linked: &git2::Repository| linked.commondir().canonicalize().is_ok_and(|path| path == repository.common_dir());
        if let Some(linked) = opened.filter(ours)
            && holds(&linked, branch)?
        {
            found.push(linked);
        }
    }
    Ok(found)
}

fn holds(git: &git2::Repository, branch: &Branch) -> Result<bool, git2::Error> {
    let reference = branch.reference();
    let rebasing = ["rebase-merge/head-name", "rebase-apply/head-name"].iter().any(|file| {
        let named = fs::read(git.path().join(file)).unwrap_or_default();
        named.trim_ascii() == reference.as_bytes()
    });
    Ok(rebasing || git.find_reference("HEAD")?.symbolic_target_bytes() == Some(reference.as_bytes()))
}

fn ready(holder: &git2::Repository, from: git2::Tree<'_>, to: git2::Tree<'_>) -> Result<Ready, git2::Error> {
    if holder.state() != RepositoryState::Clean {
        return Ok(Ready::No(format!("a {} is under way; finish or abort it", state_name(holder.state()))));
    }
    // libgit2 takes this lock only after it has written the files.
    if holder.path().join("index.lock").symlink_metadata().is_ok() {
        return Ok(Ready::No("another git command is at work, or left 'index.lock' behind".to_owned()));
    }
    let changed = changed_files(holder)?;
    if !changed.is_empty() {
        if holds_exactly(holder, &to)? {
            return Ok(Ready::Already);
        }
        return Ok(Ready::No(format!("changed files, commit or stash them: {}", changed.join(", "))));
    }
    let diff = holder.diff_tree_to_tree(Some(&from), Some(&to), None)?;
    let config = holder.config()?.snapshot()?;
    for delta in diff.deltas() {
        let Some(path) = delta.new_file().path() else { continue };
        if let Some(filter) = filter_program(holder, &config, path)? {
            let path = path.display();
            return Ok(Ready::No(format!("'{path}' needs the filter program '{filter}', which we do not run; check out another branch")));
        }
    }
    Ok(Ready::Yes)
}

/// Returns the configured filter program that a file goes through, such as git-lfs: libgit2 would write what is stored instead.
fn filter_program(git: &git2::Repository, config: &git2::Config, path: &Path) -> Result<Option<String>, git2::Error> {
    let value = git.get_attr_bytes(path, "filter", AttrCheckFlags::FILE_THEN_INDEX)?;
    let name = match AttrValue::from_bytes(value) {
        AttrValue::String(name) => name.to_owned(),
        AttrValue::Bytes(name) => String::from_utf8_lossy(name).into_owned(),
        AttrValue::True | AttrValue::False | AttrValue::Unspecified => return Ok(None),
    };
    let configured = ["smudge", "process"].iter().any(|key| config.get_bytes(&format!("filter.{name}.{key}")).is_ok());
    Ok(configured.then_some(name))
}

fn changed_files(git: &git2::Repository) -> Result<Vec<String>, git2::Error> {
    let mut options = StatusOptions::new();
    options.include_untracked(false).exclude_submodules(true);
    let statuses = git.statuses(Some(&mut options))?;
    Ok(statuses.iter().take(SHOWN_PATHS).map(|entry| String::from_utf8_lossy(entry.path_bytes()).into_owned()).collect())
}

/// Tells whether index and tracked files are exactly those of a tree.
fn holds_exactly(git: &git2::Repository, tree: &git2::Tree<'_>) -> Result<bool, git2::Error> {
    let index = git.index()?;
    let staged = git.diff_tree_to_index(Some(tree), Some(&index), None)?.deltas().len();
    Ok(staged == 0 && git.diff_index_to_workdir(Some(&index), None)?.deltas().len() == 0)
}

/// Brings files from HEAD's tree to another, or tells what is in the way and changes nothing: libgit2 looks before it writes.
fn check_out(git: &git2::Repository, to: &git2::Tree<'_>) -> Result<Option<String>, git2::Error> {
    let mut found = Vec::new();
    let mut options = CheckoutBuilder::new();
    options.safe().overwrite_ignored(false).notify_on(CheckoutNotificationType::CONFLICT).notify(|_, path, _, _, _| {
        if let Some(path) = path.filter(|_| found.len() < SHOWN_PATHS) {
            found.push(path.display().to_string());
        }
        true
    });
    let tried = git.checkout_tree(to.as_object(), Some(&mut options));
    drop(options);
    match tried {
        Ok(()) => Ok(None),
        Err(error) if error.code() == ErrorCode::Conflict => {
            let files = if found.is_empty() { error.message().to_owned() } else { found.join(", ") };
            Ok(Some(format!("untracked files in the way, move them: {files}")))
        }
        Err(error) => Err(error),
    }
}

/// Takes back the files of a checkout that broke off, as far as the failure lets it.
fn take_back(holder: &git2::Repository, from: git2::Oid, to: git2::Oid) {
    if let Err(error) = restore(holder, from, to) {
        tracing::warn!(place = place(holder), %error, "a checkout broke off and its files could not all be taken back");
    }
}

/// Takes back the files of an advance whose branch another mover took: they go to what the branch holds now.
fn restore(holder: &git2::Repository, from: git2::Oid, to: git2::Oid) -> Result<(), git2::Error> {
    let tree = |id| holder.find_commit(id)?.tree();
    let diff = holder.diff_tree_to_tree(Some(&tree(from)?), Some(&tree(to)?), None)?;
    let mut options = CheckoutBuilder::new();
    options.force().disable_pathspec_match(true).remove_untracked(true);
    let mut any = false;
    for delta in diff.deltas() {
        for path in [delta.old_file().path(), delta.new_file().path()].into_iter().flatten() {
            options.path(Path::new(path));
            any = true;
        }
    }
    if any { holder.checkout_head(Some(&mut options)) } else { Ok(()) }
}
