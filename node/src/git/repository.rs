//! The repository that a project's agents work on.

use std::{
    fs::{File, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use git2::ErrorCode;
use octopoid_crdt::ids::{AttemptName, Name, Oid};

use super::{Branch, Identity, ProgramLimits, landed::LandedIndex};

/// A handle on a repository with a work tree: cheap to clone, safe to share between threads.
///
/// It keeps paths and opens the repository for every call, so it sees what others changed meanwhile. What it learns of the
/// integration branch's history it keeps for its clones too: hold on to one handle for as long as the project is open.
#[derive(Debug, Clone)]
pub struct Repository {
    root: PathBuf,
    git_dir: PathBuf,
    common_dir: PathBuf,
    pub(super) limits: ProgramLimits,
    pub(super) landed: Arc<Mutex<LandedIndex>>,
}

/// States why a folder cannot be worked on.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder is not the root of a work tree.
    #[error("'{}' is not the root of a git repository; run 'git init' there, or go to the repository's root", .0.display())]
    NotARepository(PathBuf),
    /// There are no files to work on.
    #[error("'{}' is a bare repository; clone it and work in the clone", .0.display())]
    Bare(PathBuf),
    /// There is nothing that a branch could start from.
    #[error("the repository has no commits; make a first commit: git commit --allow-empty -m start")]
    NoCommits,
    /// The built-in libgit2 knows SHA-1 repositories only.
    #[error("the repository uses SHA-256 object ids, which are not supported; use a repository made with --object-format=sha1")]
    Sha256,
    /// Git distrusts a folder of another user.
    #[error("'{}' belongs to another user; run 'git config --global --add safe.directory {}'", .0.display(), .0.display())]
    Owner(PathBuf),
    /// Git could not read it.
    #[error("failed to open the git repository '{}'", path.display())]
    Git { path: PathBuf, source: git2::Error },
    /// The folder could not be read.
    #[error("failed to find '{}'", path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// States why a question about the repository has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The branch does not exist here.
    #[error("no branch '{0}'; 'git branch --list' shows those that exist")]
    NoBranch(Branch),
    /// History is cut off, so its root is not known.
    #[error("the repository is a shallow clone; run 'git fetch --unshallow'")]
    Shallow,
    /// Git could not answer.
    #[error("failed to read {what}")]
    Git { what: &'static str, source: git2::Error },
}

impl Repository {
    /// Opens the repository whose work tree has its root at `root`.
    ///
    /// # Errors
    /// When `root` is not such a root, is bare or has no commit.
    pub fn open(root: &Path) -> Result<Self, OpenError> {
        let root = root.canonicalize().map_err(|source| OpenError::Io { path: root.to_owned(), source })?;
        let git = git2::Repository::open(&root).map_err(|source| explain_open(&root, source))?;
        if git.is_bare() {
            return Err(OpenError::Bare(root));
        }
        match git.workdir().map(Path::canonicalize) {
            Some(Ok(workdir)) if workdir == root => {}
            _ => return Err(OpenError::NotARepository(root)),
        }
        if !has_commit(&git).map_err(|source| OpenError::Git { path: root.clone(), source })? {
            return Err(OpenError::NoCommits);
        }
        let absolute = |path: &Path| path.canonicalize().map_err(|source| OpenError::Io { path: path.to_owned(), source });
        Ok(Self {
            git_dir: absolute(git.path())?,
            common_dir: absolute(git.commondir())?,
            root,
            limits: ProgramLimits::default(),
            landed: Arc::default(),
        })
    }

    /// Replaces the limits that runs of the `git` program have.
    #[must_use]
    pub fn with_limits(mut self, limits: ProgramLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Returns the root of the work tree.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn git_dir(&self) -> &Path {
        &self.git_dir
    }

    pub(super) fn common_dir(&self) -> &Path {
        &self.common_dir
    }

    /// Takes a lock that orders what this machine's processes do; it goes with the file handle, also by a crash.
    pub(super) fn lock(&self, file: &str) -> io::Result<File> {
        let opened = OpenOptions::new().create(true).truncate(false).write(true).open(self.common_dir.join(file))?;
        opened.lock()?;
        Ok(opened)
    }

    pub(super) fn git(&self) -> Result<git2::Repository, git2::Error> {
        git2::Repository::open(&self.root)
    }

    pub(super) fn read<T>(
        &self,
        what: &'static str,
        ask: impl FnOnce(&git2::Repository) -> Result<T, git2::Error>,
    ) -> Result<T, ReadError> {
        self.git().and_then(|git| ask(&git)).map_err(|source| ReadError::Git { what, source })
    }

    /// Returns the root of HEAD's history by first parents: what makes two clones the same project.
    ///
    /// # Errors
    /// In a shallow clone, and when history cannot be read.
    pub fn root_commit(&self) -> Result<Oid, ReadError> {
        self.read("the root commit", |git| {
            if git.is_shallow() {
                return Ok(None);
            }
            let mut walk = git.revwalk()?;
            walk.simplify_first_parent()?;
            walk.push(any_commit(git)?.id())?;
            let last = walk.last().transpose()?.ok_or_else(|| git2::Error::from_str("history is empty"))?;
            from_git(last).map(Some)
        })?
        .ok_or(ReadError::Shallow)
    }

    /// Tells whether the repository holds a commit.
    ///
    /// # Errors
    /// When the objects cannot be read.
    pub fn has_commit(&self, commit: &Oid) -> Result<bool, ReadError> {
        self.read("a commit", |git| match git.find_commit(to_git(commit)?) {
            Ok(_) => Ok(true),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(false),
            Err(error) => Err(error),
        })
    }

    /// Returns the branch that is checked out at the root; `None` when HEAD is detached or the name is not one that we take.
    ///
    /// # Errors
    /// When HEAD cannot be read.
    pub fn head_branch(&self) -> Result<Option<Branch>, ReadError> {
        self.read("HEAD", |git| {
            let head = git.find_reference("HEAD")?;
            let target = head.symbolic_target()?.and_then(|name| name.strip_prefix("refs/heads/"));
            Ok(target.and_then(|name| name.parse().ok()))
        })
    }

    /// Returns the commit at the tip of a local branch.
    ///
    /// # Errors
    /// When there is no such branch, or it cannot be read.
    pub fn branch_tip(&self, branch: &Branch) -> Result<Oid, ReadError> {
        let tip = self.read("a branch", |git| tip(git, &branch.reference())?.map(from_git).transpose())?;
        tip.ok_or_else(|| ReadError::NoBranch(branch.clone()))
    }

    /// Returns the commit to start from on a branch: the local tip, or `origin`'s as last fetched where that is ahead.
    ///
    /// A local branch that could not follow `origin`, since a changed file was in the way, lacks what was merged there.
    ///
    /// # Errors
    /// As [`Repository::branch_tip`].
    pub fn newest_tip(&self, branch: &Branch) -> Result<Oid, ReadError> {
        let newest = self.read("a branch", |git| {
            let (local, remote) = (tip(git, &branch.reference())?, tip(git, &branch.tracking_reference())?);
            let newest = match (local, remote) {
                (Some(local), Some(remote)) if git.graph_descendant_of(remote, local)? => Some(remote),
                (local, remote) => local.or(remote),
            };
            newest.map(from_git).transpose()
        })?;
        newest.ok_or_else(|| ReadError::NoBranch(branch.clone()))
    }

    /// Returns what a reference names, if it is there.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn reference_tip(&self, reference: &str) -> Result<Option<Oid>, ReadError> {
        self.read("a reference", |git| tip(git, reference)?.map(from_git).transpose())
    }

    /// Returns the tip of an attempt's branch.
    ///
    /// # Errors
    /// As [`Repository::branch_tip`].
    pub fn attempt_tip(&self, task: &Name, attempt: AttemptName) -> Result<Oid, ReadError> {
        self.branch_tip(&Branch::of_attempt(task, attempt))
    }

    /// Counts the branches of attempts.
    ///
    /// # Errors
    /// When the references cannot be read.
    pub fn count_attempt_branches(&self) -> Result<usize, ReadError> {
        self.read("the branches", |git| git.references_glob("refs/heads/octopoid/*")?.try_fold(0, |count, found| found.map(|_| count + 1)))
    }

    /// Deletes the branch of a review that added nothing to what it looked at; one with commits of its own stays.
    ///
    /// # Errors
    /// When the branch cannot be read or deleted.
    pub fn drop_unused_branch(&self, branch: &Branch, unless_moved_from: &Oid) -> Result<bool, ReadError> {
        self.read("a branch", |git| {
            let mut reference = match git.find_reference(&branch.reference()) {
                Ok(reference) => reference,
                Err(error) if error.code() == ErrorCode::NotFound => return Ok(false),
                Err(error) => return Err(error),
            };
            let unused = reference.target() == Some(to_git(unless_moved_from)?);
            // libgit2 compares with what was read before it deletes, so a commit that came meanwhile is not lost.
            if unused { reference.delete().map(|()| true) } else { Ok(false) }
        })
    }

    /// Returns the user's git identity, or Octopoid's where none is configured.
    #[must_use]
    pub fn committer(&self) -> Identity {
        let part = |config: &git2::Config, key| config.get_string(key).ok().filter(|text| !text.trim().is_empty());
        let configured = self.git().and_then(|git| git.config()?.snapshot()).ok();
        let both = configured.and_then(|config| Some((part(&config, "user.name")?, part(&config, "user.email")?)));
        both.map_or_else(Identity::octopoid, |(name, email)| Identity::new(&name, &email))
    }

    /// Returns the address of a remote, as git would use it; `None` when there is no such remote.
    ///
    /// # Errors
    /// When the configuration cannot be read.
    pub fn remote_url(&self, remote: &str) -> Result<Option<String>, ReadError> {
        self.read("the remote's address", |git| match git.find_remote(remote) {
            Ok(found) => Ok(Some(String::from_utf8_lossy(found.url_bytes()).into_owned())),
            Err(error) if matches!(error.code(), ErrorCode::NotFound | ErrorCode::InvalidSpec) => Ok(None),
            Err(error) => Err(error),
        })
    }

    /// Tells whether a remote of that name is configured.
    ///
    /// # Errors
    /// When the configuration cannot be read.
    pub fn has_remote(&self, remote: &str) -> Result<bool, ReadError> {
        Ok(self.remote_url(remote)?.is_some())
    }
}

fn explain_open(root: &Path, source: git2::Error) -> OpenError {
    let path = root.to_owned();
    if source.code() == ErrorCode::NotFound {
        OpenError::NotARepository(path)
    } else if source.code() == ErrorCode::Owner {
        OpenError::Owner(path)
    } else if declares_sha256(root) {
        OpenError::Sha256
    } else {
        OpenError::Git { path, source }
    }
}

fn declares_sha256(root: &Path) -> bool {
    let config = git2::Config::open(&root.join(".git/config"));
    config.and_then(|config| config.get_string("extensions.objectformat")).is_ok_and(|format| format == "sha256")
}

fn has_commit(git: &git2::Repository) -> Result<bool, git2::Error> {
    match any_commit(git) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.code(), ErrorCode::UnbornBranch | ErrorCode::NotFound) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Returns HEAD's commit, or that of any branch while HEAD's has none yet.
fn any_commit(git: &git2::Repository) -> Result<git2::Commit<'_>, git2::Error> {
    match git.head() {
        Ok(head) => head.peel_to_commit(),
        Err(error) if error.code() == ErrorCode::UnbornBranch => {
            let first = git.references_glob("refs/heads/*")?.next().ok_or(error)??;
            first.peel_to_commit()
        }
        Err(error) => Err(error),
    }
}

/// Returns the commit that a reference names by its full name; `None` when it does not exist.
pub(super) fn tip(git: &git2::Repository, reference: &str) -> Result<Option<git2::Oid>, git2::Error> {
    match git.find_reference(reference) {
        Ok(found) => Ok(Some(found.peel_to_commit()?.id())),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn to_git(oid: &Oid) -> Result<git2::Oid, git2::Error> {
    git2::Oid::from_bytes(oid.as_bytes())
}

pub(super) fn from_git(oid: git2::Oid) -> Result<Oid, git2::Error> {
    Oid::from_bytes(oid.as_bytes()).ok_or_else(|| git2::Error::from_str("an object id has an unknown length"))
}
