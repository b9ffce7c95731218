//! Questions about commits: what lies between two of them.
//!
//! **Invariants**: answers are bounded in size; nothing is written.

use git2::{Delta, DiffFormat, DiffOptions, DiffStatsFormat, ErrorCode};
use octopoid_crdt::ids::Oid;

use super::{
    Repository,
    landed::forged,
    repository::{from_git, to_git},
};

/// Files larger than this are shown as changed, without their text.
const MAX_FILE: i64 = 4 << 20;

/// How a difference is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiffForm {
    /// As a patch.
    Patch,
    /// As one line for each file, with a summary.
    Stat,
}

/// A difference as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiffText {
    /// The text; bytes that are not UTF-8 are replaced.
    pub text: String,
    /// Whether it was cut at the limit.
    pub truncated: bool,
}

/// One file that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedFile {
    /// The path, the later one when both sides have one; bytes that are not UTF-8 are replaced.
    pub path: String,
    /// As in `git diff --name-status`: A, D, M, T, R or C.
    pub status: char,
}

/// States why two commits could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// The commit is not in this repository.
    #[error("commit {0} is not in this repository; run 'git fetch' first")]
    NoCommit(Oid),
    /// Git could not answer.
    #[error("failed to compare commits")]
    Git(#[from] git2::Error),
}

impl Repository {
    /// Counts the commits that `head` has and `base` has not.
    ///
    /// # Errors
    /// When a commit is missing.
    pub fn ahead(&self, base: &Oid, head: &Oid) -> Result<usize, CompareError> {
        let git = self.git()?;
        Ok(git.graph_ahead_behind(commit(&git, head)?.id(), commit(&git, base)?.id())?.0)
    }

    /// Counts the commits that `head` has and none of `others`.
    ///
    /// # Errors
    /// When a commit is missing.
    pub fn own_commits(&self, head: &Oid, others: &[&Oid]) -> Result<usize, CompareError> {
        let git = self.git()?;
        let mut walk = git.revwalk()?;
        walk.push(commit(&git, head)?.id())?;
        for other in others {
            walk.hide(commit(&git, other)?.id())?;
        }
        Ok(walk.collect::<Result<Vec<_>, _>>()?.len())
    }

    /// Returns a commit that says by its trailer that it is a merge of ours, of those that `head` has and none of `others`.
    ///
    /// # Errors
    /// When a commit is missing.
    pub fn forged_merge(&self, head: &Oid, others: &[&Oid]) -> Result<Option<String>, CompareError> {
        let git = self.git()?;
        let others = others.iter().map(|other| Ok(commit(&git, other)?.id())).collect::<Result<Vec<_>, CompareError>>()?;
        let found = forged(&git, &others, commit(&git, head)?.id())?;
        Ok(found.map(|commit| commit.to_string()))
    }

    /// Tells whether `head` is `ancestor` or builds on it.
    ///
    /// # Errors
    /// When a commit is missing.
    pub fn is_descendant(&self, head: &Oid, ancestor: &Oid) -> Result<bool, CompareError> {
        let git = self.git()?;
        let (head, ancestor) = (commit(&git, head)?.id(), commit(&git, ancestor)?.id());
        Ok(head == ancestor || git.graph_descendant_of(head, ancestor)?)
    }

    /// Returns the best common ancestor; `None` for unrelated histories.
    ///
    /// # Errors
    /// When a commit is missing.
    pub fn merge_base(&self, one: &Oid, two: &Oid) -> Result<Option<Oid>, CompareError> {
        let git = self.git()?;
        match git.merge_base(commit(&git, one)?.id(), commit(&git, two)?.id()) {
            Ok(base) => Ok(Some(from_git(base)?)),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the id of a commit's tree.
    ///
    /// # Errors
    /// When the commit is missing.
    pub fn tree_of(&self, head: &Oid) -> Result<Oid, CompareError> {
        let git = self.git()?;
        Ok(from_git(commit(&git, head)?.tree_id())?)
    }

    /// Tells in at most `max_bytes` bytes how the files of `head` differ from those of `base`.
    ///
    /// # Errors
    /// When a commit is missing.
    pub fn diff(&self, base: &Oid, head: &Oid, form: DiffForm, max_bytes: usize) -> Result<DiffText, CompareError> {
        let git = self.git()?;
        let diff = trees(&git, base, head)?;
        let mut text = Vec::new();
        let mut truncated = false;
        let mut push = |bytes: &[&[u8]]| {
            let fits = !truncated && text.len() + bytes.iter().map(|b| b.len()).sum::<usize>() <= max_bytes;
            truncated |= !fits;
            if fits {
                text.extend(bytes.iter().copied().flatten());
            }
            fits
        };
        match form {
            DiffForm::Stat => {
                let stats = diff.stats()?.to_buf(DiffStatsFormat::FULL, 80)?;
                stats.split_inclusive(|b| *b == b'\n').all(|line| push(&[line]));
            }
            DiffForm::Patch => {
                let printed = diff.print(DiffFormat::Patch, |_, _, line| {
                    let origin = u8::try_from(line.origin()).unwrap_or(b' ');
                    let mark: &[u8] = if b"+- ".contains(&origin) { &[origin] } else { &[] };
                    push(&[mark, line.content()])
                });
                match printed {
                    Err(error) if error.code() != ErrorCode::User => return Err(error.into()),
                    _ => {}
                }
            }
        }
        let mut text = String::from_utf8_lossy(&text).into_owned();
        if text.len() > max_bytes {
            text.truncate(text.floor_char_boundary(max_bytes));
            truncated = true;
        }
        Ok(DiffText { text, truncated })
    }

    /// Lists at most `limit` files that differ, by path.
    ///
    /// # Errors
    /// When a commit is missing.
    pub fn changed_files(&self, base: &Oid, head: &Oid, limit: usize) -> Result<Vec<ChangedFile>, CompareError> {
        let git = self.git()?;
        let diff = trees(&git, base, head)?;
        let file = |delta: git2::DiffDelta<'_>| {
            let path = delta.new_file().path_bytes().or_else(|| delta.old_file().path_bytes()).unwrap_or_default();
            ChangedFile { path: String::from_utf8_lossy(path).into_owned(), status: letter(delta.status()) }
        };
        Ok(diff.deltas().take(limit).map(file).collect())
    }
}

fn letter(status: Delta) -> char {
    match status {
        Delta::Added | Delta::Untracked => 'A',
        Delta::Deleted => 'D',
        Delta::Renamed => 'R',
        Delta::Copied => 'C',
        Delta::Typechange => 'T',
        Delta::Modified | Delta::Unmodified | Delta::Ignored | Delta::Unreadable | Delta::Conflicted => 'M',
    }
}

fn commit<'git>(git: &'git git2::Repository, id: &Oid) -> Result<git2::Commit<'git>, CompareError> {
    git.find_commit(to_git(id)?)
        .map_err(|error| if error.code() == ErrorCode::NotFound { CompareError::NoCommit(id.clone()) } else { CompareError::Git(error) })
}

fn trees<'git>(git: &'git git2::Repository, base: &Oid, head: &Oid) -> Result<git2::Diff<'git>, CompareError> {
    let mut options = DiffOptions::new();
    options.max_size(MAX_FILE).indent_heuristic(true);
    let mut diff = git.diff_tree_to_tree(Some(&commit(git, base)?.tree()?), Some(&commit(git, head)?.tree()?), Some(&mut options))?;
    diff.find_similar(Some(git2::DiffFindOptions::new().renames(true).rename_limit(400)))?;
    Ok(diff)
}
