//! Branches of submitted work that `origin` does not have yet: their push is tried again until it does.
//!
//! **Invariants**: a branch is noted on disk before its first push, and stays noted, restarts included, until `origin` has it or its task
//! is over; nobody pushes a branch while another push of it runs; after a push that failed the pause grows to a bound, and the next round
//! begins behind what was tried last, so that no branch keeps the others from their turn.

use std::collections::BTreeSet;
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
    /// Held while former pushes are tried again; the claim that was tried last.
    round: tokio::sync::Mutex<Option<String>>,
    /// The claims whose branches are being pushed.
    under_way: Mutex<BTreeSet<String>>,
    next: Mutex<Next>,
}

/// When what is noted is looked at again.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Next {
    /// Never: no push has failed since all of it was pushed.
    Nothing,
    /// At once: after a start, for what a former run has left, and after a round that left some.
    Now,
    /// After a pause, since a push failed, or, with no reason to tell of, there is no `origin` now.
    After { reason: Option<String>, pause: Duration, due: Instant },
}

/// What came of a branch that is to be pushed.
enum Outcome {
    /// `origin` has it, or nobody can have it any more.
    Settled,
    /// Another push of it runs.
    UnderWay,
    /// `origin` has something else under its name; others may be pushed.
    Refused(String),
    /// `origin` cannot be reached, or takes nothing.
    Failed(String),
}

/// A push that runs.
struct Pushing<'a> {
    unshared: &'a Unshared,
    claim: &'a str,
}

impl Drop for Pushing<'_> {
    fn drop(&mut self) {
        self.unshared.claims_under_way().remove(self.claim);
    }
}

impl Unshared {
    /// Uses a folder, which is made when it is needed.
    #[must_use]
    pub fn at(folder: PathBuf) -> Self {
        Self { folder, round: tokio::sync::Mutex::default(), under_way: Mutex::default(), next: Mutex::new(Next::Now) }
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

    fn claims_under_way(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a push, unless another one of the same branch runs.
    fn begin<'a>(&'a self, claim: &'a str) -> Option<Pushing<'a>> {
        self.claims_under_way().insert(claim.to_owned()).then(|| Pushing { unshared: self, claim })
    }

    /// Returns the claims that are noted, in order.
    fn claims(&self) -> BTreeSet<String> {
        let Ok(files) = fs::read_dir(&self.folder) else { return BTreeSet::new() };
        let name = |file: fs::DirEntry| file.file_name().to_str()?.strip_suffix(".json").map(str::to_owned);
        files.filter_map(Result::ok).filter_map(name).collect()
    }

    /// Returns as many as one round pushes, those after the one that was tried last first.
    fn waiting(&self, after: Option<&str>) -> Vec<Kept> {
        let claims = self.claims();
        let (before, behind): (Vec<&String>, Vec<&String>) =
            claims.iter().partition(|claim| after.is_some_and(|after| claim.as_str() <= after));
        behind.into_iter().chain(before).filter_map(|claim| self.read(claim)).take(ROUND).collect()
    }

    /// Reads what is noted of a claim; what is no such note is none for ever, and dropped.
    fn read(&self, claim: &str) -> Option<Kept> {
        let bytes = fs::read(self.file(claim)).ok()?;
        match serde_json::from_slice(&bytes) {
            Ok(kept @ Kept { .. }) if kept.claim == claim => Some(kept),
            Ok(_) | Err(_) => {
                tracing::warn!(%claim, "a note of a branch that is to be pushed is damaged, and dropped");
                self.forget(claim);
                None
            }
        }
    }

    fn next(&self) -> MutexGuard<'_, Next> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes why a push failed, and how long to wait for the next one.
    fn note_failure(&self, failure: String) {
        let mut next = self.next();
        let (known, pause) = match &*next {
            Next::After { reason: Some(reason), pause, .. } => (*reason == failure, (*pause * 2).min(LONGEST_PAUSE)),
            Next::After { reason: None, .. } | Next::Nothing | Next::Now => (false, FIRST_PAUSE),
        };
        if !known {
            tracing::warn!(reason = %failure, "a branch was not pushed; it is tried again, and others ask this node for it meanwhile");
        }
        *next = Next::After { reason: Some(failure), pause, due: Instant::now() + pause };
    }

    /// Notes that a push went well: what waits need not wait any longer.
    fn note_success(&self) {
        let mut next = self.next();
        if matches!(*next, Next::After { .. }) {
            *next = Next::Now;
        }
    }

    /// Notes that there is no `origin`, of which nobody is told: it was taken away on purpose, and may come back.
    fn note_no_origin(&self) {
        *self.next() = Next::After { reason: None, pause: LONGEST_PAUSE, due: Instant::now() + LONGEST_PAUSE };
    }

    /// Notes that a round left none that failed; there may be more than it tried, or some noted meanwhile.
    fn note_round(&self) {
        // Whoever notes a failure meanwhile has noted its branch before, and waits for this lock.
        let mut next = self.next();
        *next = if self.claims().is_empty() { Next::Nothing } else { Next::Now };
    }

    /// Tells whether what is noted is to be looked at.
    pub(super) fn is_due(&self) -> bool {
        match &*self.next() {
            Next::Nothing => false,
            Next::Now => true,
            Next::After { due, .. } => Instant::now() >= *due,
        }
    }

    /// Says for people what waits, and why, once a push has failed.
    pub(super) fn told(&self) -> Option<String> {
        let Next::After { reason: Some(reason), .. } = self.next().clone() else { return None };
        let count = self.claims().len();
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
        match self.share(&kept).await? {
            Outcome::Settled => self.unshared.note_success(),
            Outcome::UnderWay => {}
            Outcome::Refused(reason) | Outcome::Failed(reason) => self.unshared.note_failure(reason),
        }
        Ok(())
    }

    /// Pushes what a former push left, if a next one is due, until `origin` cannot be reached.
    pub(super) async fn share_again(&self) -> Result<(), StepError> {
        let Ok(mut last) = self.unshared.round.try_lock() else { return Ok(()) };
        if self.cluster.is_none() || !self.unshared.is_due() {
            return Ok(());
        }
        if !self.has_origin().await? {
            self.unshared.note_no_origin();
            return Ok(());
        }
        let mut refused = None;
        for kept in self.unshared.waiting(last.as_deref()) {
            *last = Some(kept.claim.clone());
            match self.share(&kept).await? {
                Outcome::Settled | Outcome::UnderWay => {}
                Outcome::Refused(reason) => refused = Some(reason),
                Outcome::Failed(reason) => {
                    self.unshared.note_failure(reason);
                    return Ok(());
                }
            }
        }
        match refused {
            Some(reason) => self.unshared.note_failure(reason),
            None => self.unshared.note_round(),
        }
        Ok(())
    }

    /// Pushes one branch, unless nobody needs it any more.
    async fn share(&self, kept: &Kept) -> Result<Outcome, StepError> {
        let Kept { claim, task, attempt, .. } = kept;
        let Some(_pushing) = self.unshared.begin(claim) else { return Ok(Outcome::UnderWay) };
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
        assert_eq!(claims(&again.waiting(None)), ["aa"]);
        again.forget("aa");
        assert!(again.waiting(None).is_empty());
    }

    fn claims(kept: &[Kept]) -> Vec<&str> {
        kept.iter().map(|kept| kept.claim.as_str()).collect()
    }

    #[test]
    fn a_round_begins_behind_what_was_tried_last_and_so_comes_to_every_branch() {
        let folder = tempfile::tempdir().expect("a folder");
        let unshared = Unshared::at(folder.path().to_owned());
        for number in 0..ROUND + 2 {
            unshared.keep(&kept(&format!("{number:02}"))).expect("noted");
        }
        let first = unshared.waiting(None);
        assert_eq!((first.len(), first[ROUND - 1].claim.as_str()), (ROUND, "63"));
        let second = unshared.waiting(Some("63"));
        assert_eq!((second.len(), &claims(&second)[..3]), (ROUND, &["64", "65", "00"][..]));
        unshared.forget("63");
        assert_eq!(claims(&unshared.waiting(Some("63")))[0], "64", "what was pushed is a place all the same");
    }

    #[test]
    fn what_is_no_note_is_dropped_and_counts_for_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let unshared = Unshared::at(folder.path().to_owned());
        unshared.keep(&kept("aa")).expect("noted");
        fs::write(unshared.file("bb"), "{").expect("written");
        fs::write(folder.path().join("cc.tmp"), "{").expect("written");
        fs::copy(unshared.file("aa"), unshared.file("dd")).expect("copied");
        assert_eq!(claims(&unshared.waiting(None)), ["aa"]);
        unshared.note_failure("unreachable".to_owned());
        assert!(unshared.told().is_some_and(|told| told.ends_with("will be given: 1; unreachable")), "{:?}", unshared.told());
        assert!(folder.path().join("cc.tmp").exists(), "others' files stay");
    }

    #[test]
    fn a_branch_is_pushed_by_one_at_a_time_and_a_push_that_goes_well_ends_the_pause() {
        let folder = tempfile::tempdir().expect("a folder");
        let unshared = Unshared::at(folder.path().to_owned());
        let pushing = unshared.begin("aa");
        assert!(pushing.is_some() && unshared.begin("aa").is_none() && unshared.begin("bb").is_some());
        drop(pushing);
        assert!(unshared.begin("aa").is_some());

        unshared.keep(&kept("aa")).expect("noted");
        unshared.note_failure("unreachable".to_owned());
        unshared.note_success();
        assert!(unshared.is_due() && unshared.told().is_none());
        unshared.note_failure("unreachable".to_owned());
        unshared.note_no_origin();
        assert!(!unshared.is_due() && unshared.told().is_none(), "nobody is told to wait for a remote that is none");
        unshared.note_round();
        assert!(unshared.is_due(), "one is left");
        unshared.forget("aa");
        unshared.note_round();
        assert!(!unshared.is_due());
        unshared.note_success();
        assert!(!unshared.is_due(), "nothing waits");
    }
}
