//! The merge on accept, the last fence: a task lands on the integration branch at most once.
//!
//! **Invariants**: every merge is a commit of its own with the task's trailers, so the branch itself says what landed; it is
//! made in memory, and the branch moves by compare-and-swap here or by a plain fast-forward push, so git serialises
//! mergers; a crash at any point is made good by calling again.

use std::{fs::File, io, thread, time::Duration};

use git2::{ErrorCode, MergeOptions};
use octopoid_crdt::ids::{AttemptName, Name, Oid, RecordId};

use super::{
    Branch, Identity, Landing, Pushed, RemoteError, Repository,
    checkout::{Advance, advance},
    commit::{conflicting_paths, write_commit},
    landed::{self, forged},
    repository::{from_git, tip, to_git},
};

/// How often a merge starts over because the branch moved.
const ROUNDS: u32 = 16;

/// The file in git's folder whose lock orders the mergers of one machine.
const LOCK_FILE: &str = "octopoid-merge.lock";

/// Which branch decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// The local branch.
    Local,
    /// The branch of `origin`; the local one follows where it can.
    Origin,
}

/// An accepted attempt that is to be merged.
#[derive(Debug, Clone)]
pub struct MergeRequest<'a> {
    /// The task.
    pub task: &'a Name,
    /// The attempt that was accepted.
    pub attempt: AttemptName,
    /// The accept record, written to a trailer so that a repeated call knows its own merge.
    pub accept: RecordId,
    /// The commit that the attempt started from, if its submit names one.
    pub base: Option<&'a Oid>,
    /// The commit that was submitted, if any.
    pub head: Option<&'a Oid>,
    /// The integration branch.
    pub branch: &'a Branch,
    /// The task's title, for the subject line.
    pub title: &'a str,
    /// Who the work is by.
    pub author: &'a Identity,
    /// What reopening the task has undone: its merges do not stand in the way.
    pub reopened: &'a Reopened,
    /// Which branch decides.
    pub strategy: Strategy,
}

/// What was undone by reopening a task, in the past of the accept that is to be merged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reopened {
    /// The accepts. An attempt may be accepted, reopened and accepted again, so that its name alone says too little.
    pub accepts: Vec<RecordId>,
    /// The attempts of which every known accept was: for commits that name no accept.
    pub attempts: Vec<AttemptName>,
}

impl Reopened {
    fn undoes(&self, landing: &Landing) -> bool {
        match (&landing.accept, &landing.attempt) {
            (Some(accept), _) => self.accepts.contains(accept),
            (None, Some(attempt)) => self.attempts.contains(attempt),
            (None, None) => false,
        }
    }
}

/// What happened to the local branch after the branch of `origin` moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalBranch {
    /// It holds the merge, or there is none.
    Current,
    /// It was left where it is.
    Behind { reason: String },
}

/// How a merge ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MergeOutcome {
    /// The branch holds the merge.
    Merged { commit: Oid, local: LocalBranch },
    /// The branch held this accept's merge before: an earlier call was cut short, or another node merged it.
    AlreadyThere { commit: Oid, local: LocalBranch },
    /// The branch holds what another accept of this task merged, which was not reopened. Nothing was merged.
    OtherAccept { landing: Landing },
    /// The attempt has no commit of its own.
    NothingToMerge,
    /// The branch and the attempt changed the same places.
    Conflict { paths: Vec<String> },
    /// A person has to make way. Nothing was moved.
    Awaiting { reason: String },
}

/// States why a merge was neither done nor refused.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// The integration branch does not exist.
    #[error("no branch '{0}' to merge to; set 'main_branch' in config.yaml, or make it: git branch {0}")]
    NoBranch(Branch),
    /// The submitted commit is not here.
    #[error("commit {0} is not in this repository; fetch it first")]
    NoHead(Oid),
    /// Others kept moving the branch.
    #[error("branch '{branch}' moved {rounds} times while it was merged to; try again")]
    KeepsMoving { branch: Branch, rounds: u32 },
    /// The remote was not reached or refused.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The lock of this machine's mergers could not be taken.
    #[error("failed to lock the repository for merging")]
    Lock(#[source] io::Error),
    /// Git refused.
    #[error("failed to merge")]
    Git(#[from] git2::Error),
}

/// What to do on one tip of the branch.
enum Plan {
    Stop(MergeOutcome),
    /// The merge is there already.
    There(Oid),
    Move(git2::Oid),
}

impl Repository {
    /// Merges an accepted attempt, once: call it again after any error or crash.
    ///
    /// # Errors
    /// When git, the file system or the remote fails. Refusals are outcomes.
    pub fn merge(&self, request: &MergeRequest<'_>) -> Result<MergeOutcome, MergeError> {
        let Some(head) = request.head.filter(|head| request.base != Some(*head)) else {
            return Ok(MergeOutcome::NothingToMerge);
        };
        for round in 0..ROUNDS {
            let outcome = match request.strategy {
                Strategy::Local => self.merge_here(request, head)?,
                Strategy::Origin => self.merge_at_origin(request, head)?,
            };
            match outcome {
                Some(outcome) => return Ok(outcome),
                // Whoever holds the branch's lock needs a moment.
                None => thread::sleep(Duration::from_millis(u64::from(round + 1) * 5)),
            }
        }
        Err(MergeError::KeepsMoving { branch: request.branch.clone(), rounds: ROUNDS })
    }

    /// Returns the commits of a local branch that say they merged a task, for `status` and for tests of the fence.
    ///
    /// # Errors
    /// When the branch does not exist or cannot be read.
    pub fn landings(&self, branch: &Branch, task: &Name) -> Result<Vec<Landing>, MergeError> {
        let git = self.git()?;
        let tip = tip(&git, &branch.reference())?.ok_or_else(|| MergeError::NoBranch(branch.clone()))?;
        Ok(self.find_landings(&git, tip, task)?)
    }

    /// Fetches a branch of `origin` on which others merge, and brings the local one along where nothing is in the way.
    ///
    /// # Errors
    /// When `origin` cannot be reached or the repository cannot be written.
    pub fn follow_origin(&self, branch: &Branch) -> Result<LocalBranch, MergeError> {
        let Some(tip) = self.fetch_branch(branch)? else { return Ok(LocalBranch::Current) };
        self.follow(&self.git()?, branch, to_git(&tip)?)
    }

    /// Brings the local branch forward to a commit that is here, as after a merge of another node.
    ///
    /// # Errors
    /// When the repository cannot be read or written.
    pub fn follow_commit(&self, branch: &Branch, tip: &Oid) -> Result<LocalBranch, MergeError> {
        self.follow(&self.git()?, branch, to_git(tip)?)
    }

    fn find_landings(&self, git: &git2::Repository, tip: git2::Oid, task: &Name) -> Result<Vec<Landing>, git2::Error> {
        self.landed.lock().unwrap_or_else(std::sync::PoisonError::into_inner).find(git, tip, task)
    }

    /// One round on the local branch; `None` when it moved meanwhile.
    fn merge_here(&self, request: &MergeRequest<'_>, head: &Oid) -> Result<Option<MergeOutcome>, MergeError> {
        let _lock = self.lock_merges()?;
        let git = self.git()?;
        let tip = tip(&git, &request.branch.reference())?.ok_or_else(|| MergeError::NoBranch(request.branch.clone()))?;
        let commit = match self.plan(&git, request, head, tip)? {
            Plan::Stop(outcome) => return Ok(Some(outcome)),
            Plan::There(commit) => return Ok(Some(MergeOutcome::AlreadyThere { commit, local: LocalBranch::Current })),
            Plan::Move(commit) => commit,
        };
        Ok(match advance(self, &git, request.branch, tip, commit, &reflog(request))? {
            Advance::Done => Some(MergeOutcome::Merged { commit: from_git(commit)?, local: LocalBranch::Current }),
            Advance::Blocked(reason) => Some(MergeOutcome::Awaiting { reason }),
            Advance::Raced => None,
        })
    }

    /// One round on the branch of `origin`; `None` when it moved meanwhile.
    fn merge_at_origin(&self, request: &MergeRequest<'_>, head: &Oid) -> Result<Option<MergeOutcome>, MergeError> {
        let Some(tip) = self.fetch_branch(request.branch)? else {
            return self.found_at_origin(request.branch).map(|()| None);
        };
        let tip = to_git(&tip)?;
        let git = self.git()?;
        if git.find_commit(to_git(head)?).is_err() {
            self.fetch_branch(&Branch::of_attempt(request.task, request.attempt))?;
        }
        let commit = match self.plan(&git, request, head, tip)? {
            Plan::Stop(outcome) => return Ok(Some(outcome)),
            Plan::There(commit) => {
                let local = self.follow(&git, request.branch, tip)?;
                return Ok(Some(MergeOutcome::AlreadyThere { commit, local }));
            }
            Plan::Move(commit) => commit,
        };
        match self.push_commit(commit, request.branch)? {
            Pushed::Moved => Ok(None),
            Pushed::Done => {
                let local = self.follow(&git, request.branch, commit)?;
                Ok(Some(MergeOutcome::Merged { commit: from_git(commit)?, local }))
            }
        }
    }

    /// Makes the branch at an `origin` that has none, from the local one.
    fn found_at_origin(&self, branch: &Branch) -> Result<(), MergeError> {
        let git = self.git()?;
        let local = tip(&git, &branch.reference())?.ok_or_else(|| MergeError::NoBranch(branch.clone()))?;
        self.push_commit(local, branch)?;
        Ok(())
    }

    /// Brings the local branch to the tip of `origin`'s where that is a fast-forward and nothing is in the way.
    fn follow(&self, git: &git2::Repository, branch: &Branch, to: git2::Oid) -> Result<LocalBranch, MergeError> {
        let _lock = self.lock_merges()?;
        let behind = |reason: String| Ok(LocalBranch::Behind { reason });
        match tip(git, &branch.reference())? {
            None => Ok(LocalBranch::Current),
            Some(local) if local == to || git.graph_descendant_of(local, to)? => Ok(LocalBranch::Current),
            Some(local) if git.graph_descendant_of(to, local)? => match advance(self, git, branch, local, to, "octopoid: follow origin")? {
                Advance::Done => Ok(LocalBranch::Current),
                Advance::Blocked(reason) => behind(reason),
                Advance::Raced => behind("it moved meanwhile; run 'git pull'".to_owned()),
            },
            Some(_) => behind(format!("branch '{branch}' has commits that origin has not; run 'git pull'")),
        }
    }

    fn plan(&self, git: &git2::Repository, request: &MergeRequest<'_>, head: &Oid, tip: git2::Oid) -> Result<Plan, MergeError> {
        let awaiting = |reason: String| Ok(Plan::Stop(MergeOutcome::Awaiting { reason }));
        if git.is_shallow() {
            return awaiting("a shallow clone does not show what was merged before; run 'git fetch --unshallow'".to_owned());
        }
        let landed = self.find_landings(git, tip, request.task)?;
        if let Some(plan) = judge(&landed, request) {
            return Ok(plan);
        }
        let head_commit = git.find_commit(to_git(head)?).map_err(|_| MergeError::NoHead(head.clone()))?;
        if let Some(commit) = forged(git, &[tip], head_commit.id())? {
            let reason = format!("commit {commit} of the attempt carries an Octopoid-Task trailer, which only merges may; reword it");
            return awaiting(reason);
        }
        match git.merge_base(tip, head_commit.id()) {
            Err(error) if error.code() == ErrorCode::NotFound => {
                return awaiting(format!("the attempt and branch '{}' share no history", request.branch));
            }
            // With no base to compare with, a head that the branch has brings nothing.
            Ok(base) if base == head_commit.id() && request.base.is_none() => return Ok(Plan::Stop(MergeOutcome::NothingToMerge)),
            base => {
                if let Some(path) = forbidden_path(git, base?, &head_commit)? {
                    return awaiting(format!("the attempt holds a path that git forbids: '{path}'"));
                }
            }
        }
        self.commit_merge(git, request, tip, &head_commit)
    }

    /// Makes the merge commit in memory: no file and no reference changes.
    fn commit_merge(
        &self,
        git: &git2::Repository,
        request: &MergeRequest<'_>,
        tip: git2::Oid,
        head: &git2::Commit<'_>,
    ) -> Result<Plan, MergeError> {
        let mut index = git.merge_commits(&git.find_commit(tip)?, head, Some(MergeOptions::new().find_renames(true)))?;
        if index.has_conflicts() {
            return Ok(Plan::Stop(MergeOutcome::Conflict { paths: conflicting_paths(&index)? }));
        }
        let tree = index.write_tree_to(git)?;
        let message = message(request);
        Ok(Plan::Move(write_commit(git, tree, &[tip, head.id()], &message, request.author, &self.committer())?))
    }

    fn lock_merges(&self) -> Result<File, MergeError> {
        self.lock(LOCK_FILE).map_err(MergeError::Lock)
    }
}

/// Decides by what the branch says landed before; `None` when the merge may go on.
fn judge(landed: &[Landing], request: &MergeRequest<'_>) -> Option<Plan> {
    if let Some(own) = landed.iter().find(|landing| landing.accept == Some(request.accept)) {
        return Some(Plan::There(own.commit.clone()));
    }
    let standing = landed.iter().find(|landing| !request.reopened.undoes(landing))?;
    Some(Plan::Stop(MergeOutcome::OtherAccept { landing: standing.clone() }))
}

/// Finds a path that an attempt adds or changes and that could leave the checkout; git's own tools never make one.
fn forbidden_path(git: &git2::Repository, base: git2::Oid, head: &git2::Commit<'_>) -> Result<Option<String>, git2::Error> {
    let diff = git.diff_tree_to_tree(Some(&git.find_commit(base)?.tree()?), Some(&head.tree()?), None)?;
    let plain = |part: &[u8]| !matches!(part, b"" | b"." | b"..") && !part.eq_ignore_ascii_case(b".git");
    let path = diff.deltas().filter_map(|delta| delta.new_file().path_bytes().map(<[u8]>::to_vec));
    let found = path.into_iter().find(|path| !path.split(|b| *b == b'/').all(plain));
    Ok(found.map(|path| String::from_utf8_lossy(&path).chars().take(200).collect()))
}

fn reflog(request: &MergeRequest<'_>) -> String {
    format!("octopoid: merge {} {}", request.task, request.attempt)
}

/// Writes the message. The title shares a line with our own words, so it can neither open a paragraph nor look like a patch.
fn message(request: &MergeRequest<'_>) -> String {
    let title: String = request.title.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect();
    let (task, attempt, accept) = (request.task, request.attempt, request.accept);
    let trailers = format!("{}: {task}\n{}: {attempt}\n{}: {accept}\n", landed::TASK, landed::ATTEMPT, landed::ACCEPT);
    match title.trim() {
        "" => format!("Merge task {task}\n\n{trailers}"),
        title => format!("Merge task {task}: {title}\n\n{trailers}"),
    }
}
