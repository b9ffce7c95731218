//! The way of work between machines: by `origin` where there is one, else straight from the node that has it.
//!
//! **Invariants**: a submission's commits are on their way before it is recorded; a commit from another node is used by its id,
//! whatever branch it came with; only one node moves the integration branch where there is no remote.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use octopoid_crdt::ids::{AttemptName, AuthorKey, Name, Oid};

use super::context::{Context, StepError};
use crate::causes::describe;
use crate::cluster::{BranchAsk, GiveBranches, NotGiven, TakeError};
use crate::git::{Branch, BundleError, Repository};

/// Where what other nodes gave is kept, below it task and attempt.
const TAKEN: &str = "refs/octopoid/taken";
/// Where the integration branch of the integrator's repository is kept.
const INTEGRATED: &str = "refs/octopoid/integrated";

/// How files of packed branches begin.
const BUNDLE: &str = "branch-bundle-";
/// How long an attempt that is to start waits for `origin`; its claim's lease runs meanwhile.
const CATCH_UP: Duration = Duration::from_secs(30);
/// The remote that machines share.
pub(super) const ORIGIN: &str = "origin";

impl Context {
    /// Tells whether the repository has a remote.
    pub(super) async fn has_origin(&self) -> Result<bool, StepError> {
        Ok(self.git(|git| git.has_remote(ORIGIN)).await?.unwrap_or(false))
    }

    /// Makes sure that a commit of an attempt is here; tells whether it is.
    pub(super) async fn obtain(&self, head: &Oid, task: &Name, attempt: AttemptName, from: &AuthorKey) -> Result<bool, StepError> {
        if self.holds(head).await? {
            return Ok(true);
        }
        let branch = Branch::of_attempt(task, attempt);
        if self.has_origin().await? {
            let wanted = branch.clone();
            if let Err(error) = self.git(move |git| git.fetch_branch(&wanted)).await? {
                tracing::debug!(%task, reason = %describe(&error), "origin was not reached");
            }
            if self.holds(head).await? {
                return Ok(true);
            }
        }
        let Some(cluster) = &self.cluster else { return Ok(false) };
        let to = format!("{TAKEN}/{task}/{attempt}");
        let mut members = vec![*from];
        members.extend(cluster.connected().into_iter().filter(|member| member != from));
        for member in members {
            if self.take(&member, &branch, &to).await? && self.holds(head).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns the tip of an attempt that was never handed in, from `origin` or the node that ran it where it is not here.
    pub(super) async fn unsubmitted_tip(&self, task: &Name, attempt: AttemptName, from: &AuthorKey) -> Result<Option<Oid>, StepError> {
        let name = task.clone();
        if let Ok(tip) = self.git(move |git| git.attempt_tip(&name, attempt)).await? {
            return Ok(Some(tip));
        }
        let branch = Branch::of_attempt(task, attempt);
        if self.has_origin().await? {
            let wanted = branch.clone();
            if let Ok(Some(tip)) = self.git(move |git| git.fetch_branch(&wanted)).await? {
                return Ok(Some(tip));
            }
        }
        let to = format!("{TAKEN}/{task}/{attempt}");
        if !self.take(from, &branch, &to).await? {
            return Ok(None);
        }
        Ok(self.git(move |git| git.reference_tip(&to)).await?.ok().flatten())
    }

    async fn holds(&self, commit: &Oid) -> Result<bool, StepError> {
        let commit = commit.clone();
        Ok(self.git(move |git| git.has_commit(&commit)).await?.unwrap_or(false))
    }

    /// Asks a member for a branch and keeps it under a reference of its own.
    async fn take(&self, member: &AuthorKey, branch: &Branch, to: &str) -> Result<bool, StepError> {
        let Some(cluster) = &self.cluster else { return Ok(false) };
        let main = self.main_branch.clone();
        let have = self.git(move |git| git.newest_tip(&main).ok()).await?;
        let have = have.iter().map(ToString::to_string).collect();
        let ask = BranchAsk { branch: branch.as_str().to_owned(), have, explain: true };
        let file = Packed::make(&self.layout.runtime_dir());
        if let Err(error) = cluster.take_branch(member, &ask, &file.0).await {
            if matches!(error, TakeError::Refused(_)) {
                tracing::warn!(%branch, member = %member, reason = %error, "a branch was not given");
            } else {
                tracing::debug!(%branch, member = %member, %error, "a branch was not given");
            }
            return Ok(false);
        }
        let (branch, path, to) = (branch.clone(), file.0.clone(), to.to_owned());
        match self.git(move |git| git.take_branch(&branch, &path, &to)).await? {
            Ok(()) => Ok(true),
            Err(error) => {
                tracing::warn!(reason = %describe(&error), "a branch of another node cannot be used");
                Ok(false)
            }
        }
    }

    /// Brings what other machines merged here, so that an attempt builds on it: from `origin`, else from the integrator.
    ///
    /// Without a connection nothing is known that could be missing here, and no remote is waited for.
    pub(super) async fn catch_up_with_merges(&self) -> Result<(), StepError> {
        let Some(cluster) = self.cluster.as_ref().filter(|cluster| !cluster.connected().is_empty()) else { return Ok(()) };
        if self.has_origin().await? {
            let base = self.base_branch.clone();
            let fetched = tokio::time::timeout(CATCH_UP, self.git(move |git| git.fetch_branch(&base))).await;
            let reason = match fetched {
                Ok(fetched) => fetched?.err().map(|error| describe(&error)),
                Err(_) => Some(format!("no answer within {} s", CATCH_UP.as_secs())),
            };
            if let Some(reason) = reason {
                tracing::warn!(%reason, "origin was not reached; an attempt starts from what is here");
            }
            return Ok(());
        }
        let Some((integrator, false)) = cluster.integrator() else { return Ok(()) };
        self.follow(&integrator).await.map(drop)
    }

    /// Goes on from where the former integrator is, once this node has become the integrator.
    pub(super) async fn succeed(&self) -> Result<(), StepError> {
        let Some((integrator, own)) = self.cluster.as_ref().and_then(|cluster| cluster.integrator()) else { return Ok(()) };
        let Some(former) = self.succession.note(integrator).filter(|_| own) else { return Ok(()) };
        if !self.has_origin().await? && !self.follow(&former).await? {
            tracing::warn!(%former, "the former integrator was not reached: what it merged last may not be here");
        }
        Ok(())
    }

    /// Brings the integration branch here to where that of an integrator is; tells whether that was reached.
    async fn follow(&self, integrator: &AuthorKey) -> Result<bool, StepError> {
        let (main, to) = (self.main_branch.clone(), format!("{INTEGRATED}/{}", self.main_branch.as_str()));
        if !self.take(integrator, &main, &to).await? {
            return Ok(false);
        }
        let followed = self.git(move |git| {
            let tip = git.reference_tip(&to).map_err(|error| describe(&error))?;
            tip.map_or(Ok(()), |tip| git.follow_commit(&main, &tip).map(drop).map_err(|error| describe(&error)))
        });
        if let Err(reason) = followed.await? {
            tracing::warn!(%reason, "the integration branch could not follow the integrator's");
        }
        Ok(true)
    }
}

/// Who merges where there is no remote, as this process saw it last.
#[derive(Debug, Default)]
pub struct Succession(Mutex<Option<AuthorKey>>);

impl Succession {
    /// Notes who it is now; returns who it was before, where that was another.
    fn note(&self, now: AuthorKey) -> Option<AuthorKey> {
        let former = self.0.lock().unwrap_or_else(PoisonError::into_inner).replace(now);
        former.filter(|former| *former != now)
    }
}

/// Brings an attempt's work here from where it is, and returns the commit that it is at; none when nobody who has it is reached.
pub async fn bring(context: &Context, task: &Name, attempt: AttemptName, head: Option<Oid>, node: &AuthorKey) -> Option<Oid> {
    match head {
        Some(head) => context.obtain(&head, task, attempt, node).await.ok()?.then_some(head),
        None => context.unsubmitted_tip(task, attempt, node).await.ok()?,
    }
}

/// A packed branch on its way, removed with its owner.
struct Packed(PathBuf);

impl Packed {
    fn make(folder: &Path) -> Self {
        let mut random = [0; 8];
        // A name that is taken is replaced: it is of a transfer that was cut off.
        let _ = getrandom::fill(&mut random);
        Self(folder.join(format!("{BUNDLE}{}", hex::encode(random))))
    }

    /// Gives the file to somebody who removes it.
    fn keep(mut self) -> PathBuf {
        std::mem::take(&mut self.0)
    }

    /// Removes what transfers left that a crash cut off.
    fn sweep(folder: &Path) {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(BUNDLE)) {
            // Another try follows at the next start.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

impl Drop for Packed {
    fn drop(&mut self) {
        if !self.0.as_os_str().is_empty() {
            let _ = std::fs::remove_file(&self.0);
        }
    }
}

/// Makes what packs branches for members: attempts' branches and the integration branch, nothing else of the user's.
pub fn give_branches(repository: Arc<Repository>, main: Branch, folder: PathBuf) -> GiveBranches {
    Packed::sweep(&folder);
    Arc::new(move |ask| {
        let not_here = |why: String| NotGiven::NotHere(why);
        let branch: Branch = ask.branch.parse().map_err(|error: crate::git::BranchError| not_here(error.to_string()))?;
        if branch != main && !branch.as_str().starts_with("octopoid/") {
            return Err(not_here(format!("'{branch}' is not given to members")));
        }
        let have: Vec<Oid> = ask.have.iter().take(64).filter_map(|text| text.parse().ok()).collect();
        let file = Packed::make(&folder);
        repository.pack_branch(&branch, &have, &file.0).map_err(|error| {
            let why = describe(&error);
            if matches!(error, BundleError::TooLarge { .. }) { NotGiven::Refused(why) } else { NotGiven::NotHere(why) }
        })?;
        Ok(file.keep())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_branch_goes_with_its_owner_and_what_a_crash_left_goes_at_the_next_start() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |file: &Path| std::fs::write(file, "").expect("written");
        let dropped = Packed::make(folder.path());
        write(&dropped.0);
        drop(dropped);
        let kept = Packed::make(folder.path()).keep();
        write(&kept);
        let other = folder.path().join("octopoid.redb");
        write(&other);
        assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 2, "the dropped one is gone");
        Packed::sweep(folder.path());
        assert!(!kept.exists() && other.exists(), "nothing but packed branches is swept");
    }
}
