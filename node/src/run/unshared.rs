//! Branches of submitted work that `origin` does not have yet: their push is tried again until it does.
//!
//! **Invariants**: a branch is noted on disk before its first push, and stays noted, restarts included, until `origin` has it or its task
//! is over; one push runs at a time, and after one that failed the pause grows to a bound.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use octopoid_crdt::ids::{AttemptName, Name, RecordId};
use serde::{Deserialize, Serialize};

use super::branches::ORIGIN;
use super::context::{Context, StepError};
use crate::causes::describe;
use crate::git::{Branch, Pushed, ReadError, RemoteError, Repository};
use crate::project::replace_file;
use crate::store::Fault;

/// How many branches are pushed at a time; the others follow.
const ROUND: usize = 64;
/// The pause after a push that failed; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause: an `origin` that is back is noticed within it.
const LONGEST_PAUSE: Duration = Duration::from_secs(5 * 60);

/// An attempt whose branch `origin` may not have.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The claim that opened it, in hex.
    pub claim: String,
    pub scope: String,
    pub task: String,
    pub attempt: String,
}

/// The folder of branches that are still to be pushed.
#[derive(Debug)]
pub struct Unshared {
    folder: PathBuf,
    /// Held while former pushes are tried again.
    under_way: tokio::sync::Mutex<()>,
    next: Mutex<Next>,
}

/// When what is noted is looked at again.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Next {
    /// Never: no push has failed since all of it was pushed.
    Nothing,
    /// At once: after a start, for what a former run has left, and after a round that left some.
    Now,
    /// After a pause, since a push failed.
    After { reason: String, pause: Duration, due: Instant },
}

/// What came of a branch that is to be pushed.
enum Outcome {
    /// `origin` has it, or nobody can have it any more.
    Settled,
    /// `origin` has something else under its name; others may be pushed.
    Refused(String),
    /// `origin` cannot be reached, or takes nothing.
    Failed(String),
}

impl Unshared {
    /// Uses a folder, which is made when it is needed.
    #[must_use]
    pub fn at(folder: PathBuf) -> Self {
        Self { folder, under_way: tokio::sync::Mutex::new(()), next: Mutex::new(Next::Now) }
    }

    fn file(&self, claim: &str) -> PathBuf {
        self.folder.join(format!("{claim}.json"))
    }

    fn keep(&self, kept: &Kept) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        replace_file(&self.file(&kept.claim), &serde_json::to_vec(kept)?, 0o600)
    }

    fn forget(&self, claim: &str) {
        if let Err(error) = fs::remove_file(self.file(claim)) {
            tracing::warn!(%claim, %error, "a branch that needs no push stays noted; it is looked at again");
        }
    }

    fn waiting(&self) -> Vec<Kept> {
        let Ok(files) = fs::read_dir(&self.folder) else { return Vec::new() };
        let kept = files.filter_map(|file| serde_json::from_slice(&fs::read(file.ok()?.path()).ok()?).ok());
        kept.take(ROUND).collect()
    }

    fn next(&self) -> MutexGuard<'_, Next> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes why a push failed, and how long to wait for the next one.
    fn note_failure(&self, failure: String) {
        let mut next = self.next();
        let (known, pause) = match &*next {
            Next::After { reason, pause, .. } => (*reason == failure, (*pause * 2).min(LONGEST_PAUSE)),
            Next::Nothing | Next::Now => (false, FIRST_PAUSE),
        };
        if !known {
            tracing::warn!(reason = %failure, "a branch was not pushed; it is tried again, and others ask this node for it meanwhile");
        }
        *next = Next::After { reason: failure, pause, due: Instant::now() + pause };
    }

    /// Tells whether what is noted is to be looked at.
    pub(super) fn is_due(&self) -> bool {
        match &*self.next() {
            Next::Nothing => false,
            Next::Now => true,
            Next::After { due, .. } => Instant::now() >= *due,
        }
    }

    fn count(&self) -> usize {
        fs::read_dir(&self.folder).map_or(0, |files| {
            files.filter_map(Result::ok).filter(|file| file.path().extension().is_some_and(|extension| extension == "json")).count()
        })
    }

    /// Says for people what waits, and why, once a push has failed.
    pub(super) fn told(&self) -> Option<String> {
        let Next::After { reason, .. } = self.next().clone() else { return None };
        let count = self.count();
        (count > 0).then(|| format!("branches of submitted work that origin does not have yet, but will be given: {count}; {reason}"))
    }
}

impl Context {
    /// Pushes a submitted attempt's branch to `origin`, so that others can review and merge it. Offline it is asked for meanwhile, and pushed
    /// later.
    pub(super) async fn share_branch(&self, claim: &RecordId, scope: &str, task: &Name, attempt: AttemptName) -> Result<(), StepError> {
        if self.cluster.is_none() || !self.has_origin().await? {
            return Ok(());
        }
        let kept = Kept { claim: claim.to_string(), scope: scope.to_owned(), task: task.to_string(), attempt: attempt.to_string() };
        if let Err(error) = self.unshared.keep(&kept) {
            tracing::warn!(%task, %attempt, %error, "a push that fails is not tried again after a restart: it cannot be noted");
        }
        if let Outcome::Refused(reason) | Outcome::Failed(reason) = self.share(&kept).await? {
            self.unshared.note_failure(reason);
        }
        Ok(())
    }

    /// Pushes what a former push left, if a next one is due, until `origin` cannot be reached.
    pub(super) async fn share_again(&self) -> Result<(), StepError> {
        let Ok(_under_way) = self.unshared.under_way.try_lock() else { return Ok(()) };
        if self.cluster.is_none() || !self.unshared.is_due() || !self.has_origin().await? {
            return Ok(());
        }
        let mut refused = None;
        for kept in self.unshared.waiting() {
            match self.share(&kept).await? {
                Outcome::Settled => {}
                Outcome::Refused(reason) => refused = Some(reason),
                Outcome::Failed(reason) => {
                    self.unshared.note_failure(reason);
                    return Ok(());
                }
            }
        }
        match refused {
            Some(reason) => self.unshared.note_failure(reason),
            // More than a round's, or noted meanwhile.
            None => *self.unshared.next() = if self.unshared.count() == 0 { Next::Nothing } else { Next::Now },
        }
        Ok(())
    }

    /// Pushes one branch, unless nobody needs it any more.
    async fn share(&self, kept: &Kept) -> Result<Outcome, StepError> {
        let Kept { task, attempt, .. } = kept;
        let names = task.parse::<Name>().ok().zip(attempt.parse::<AttemptName>().ok());
        let outcome = match names {
            Some((name, number)) if !self.is_over(kept)? => {
                let branch = Branch::of_attempt(&name, number);
                self.git(move |git| push(git, &branch)).await?
            }
            _over => Outcome::Settled,
        };
        if matches!(outcome, Outcome::Settled) {
            tracing::debug!(%task, %attempt, "the branch is at origin, or needed no more");
            self.unshared.forget(&kept.claim);
        }
        Ok(outcome)
    }

    /// Tells whether nobody needs an attempt's branch any more: its task is cancelled, deleted, or done with nothing left to merge.
    fn is_over(&self, kept: &Kept) -> Result<bool, Fault> {
        let reader = self.store.reader()?;
        let Some(no) = reader.task_no(&kept.scope, &kept.task)? else { return Ok(true) };
        let Some(row) = reader.row(no)? else { return Ok(true) };
        Ok(!row.listed || row.queue == "cancelled" || (row.queue == "done" && !row.needs_merge))
    }
}

fn push(git: &Repository, branch: &Branch) -> Outcome {
    match git.branch_tip(branch) {
        Err(ReadError::NoBranch(_)) => return Outcome::Settled,
        Err(error) => return Outcome::Failed(describe(&error)),
        Ok(_) => {}
    }
    match git.push_branch(branch) {
        Ok(Pushed::Done) => Outcome::Settled,
        Ok(Pushed::Moved) => Outcome::Refused(format!("branch '{branch}' of {ORIGIN} holds other commits")),
        Err(error @ RemoteError::Refused { .. }) => Outcome::Refused(describe(&error)),
        Err(error) => Outcome::Failed(describe(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(claim: &str) -> Kept {
        Kept { claim: claim.to_owned(), scope: "default".to_owned(), task: "t".to_owned(), attempt: "1-00000000".to_owned() }
    }

    #[test]
    fn what_is_noted_is_there_after_a_restart_and_a_pause_grows_to_its_bound() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("unshared");
        let unshared = Unshared::at(path.clone());
        unshared.keep(&kept("aa")).expect("noted");
        assert!(unshared.is_due() && unshared.told().is_none(), "no push has failed");
        for _ in 0..20 {
            unshared.note_failure("unreachable".to_owned());
            assert!(!unshared.is_due());
        }
        assert!(unshared.told().is_some_and(|told| told.ends_with("will be given: 1; unreachable")));
        assert!(matches!(&*unshared.next(), Next::After { pause, .. } if *pause == LONGEST_PAUSE));

        let again = Unshared::at(path);
        assert!(again.is_due(), "a start tries at once");
        assert_eq!(again.waiting().iter().map(|kept| kept.claim.as_str()).collect::<Vec<_>>(), ["aa"]);
        again.forget("aa");
        assert!(again.waiting().is_empty());
    }
}
