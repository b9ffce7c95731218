//! The way of work between machines: by `origin` where there is one, else straight from the node that has it.
//!
//! **Invariants**: a submission's commits are on their way before it is recorded; a commit from another node is used by its id,
//! whatever branch it came with; only one node moves the integration branch where there is no remote.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use octopoid_crdt::ids::{AttemptName, AuthorKey, Name, Oid};

use super::context::{Context, StepError};
use crate::causes::describe;
use crate::cluster::{BranchAsk, GiveBranches, NotGiven, TakeError};
use crate::git::{Branch, BundleError, Repository};

/// Where what other nodes gave is kept, below it task and attempt.
const TAKEN: &str = "refs/octopoid/taken";

/// How files of packed branches begin.
const BUNDLE: &str = "branch-bundle-";
/// How long an attempt that is to start waits for `origin`; its claim's lease runs meanwhile.
const CATCH_UP: Duration = Duration::from_secs(30);
/// The remote that machines share.
pub(super) const ORIGIN: &str = "origin";

/// Whether a commit is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Obtained {
    /// It is.
    Here,
    /// It is not, and why a member that has it did not give it, if one that is reached has.
    NotHere(Option<String>),
}

impl Obtained {
    /// Says why something that is not here stays away; none of what is here.
    pub fn lacks(self, what: &str) -> Option<String> {
        match self {
            Self::Here => None,
            Self::NotHere(None) => Some(format!("{what} is not here, and no node that has it is reached")),
            Self::NotHere(Some(why)) => Some(format!("{what} is not here: {why}")),
        }
    }
}

/// What came of asking a member for a branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is here.
    Here,
    /// The member does not have it, or is not reached.
    NotHere,
    /// The member has it; why it cannot be had.
    Refused(String),
}

impl Context {
    /// Tells whether the repository has a remote.
    pub(super) async fn has_origin(&self) -> Result<bool, StepError> {
        Ok(self.git(|git| git.has_remote(ORIGIN)).await?.unwrap_or(false))
    }

    /// Makes sure that a commit of an attempt is here.
    pub(super) async fn obtain(&self, head: &Oid, task: &Name, attempt: AttemptName, from: &AuthorKey) -> Result<Obtained, StepError> {
        if self.holds(head).await? {
            return Ok(Obtained::Here);
        }
        let branch = Branch::of_attempt(task, attempt);
        if self.has_origin().await? {
            let wanted = branch.clone();
            if let Err(error) = self.git(move |git| git.fetch_branch(&wanted)).await? {
                tracing::debug!(%task, reason = %describe(&error), "origin was not reached");
            }
            if self.holds(head).await? {
                return Ok(Obtained::Here);
            }
        }
        let Some(cluster) = &self.cluster else { return Ok(Obtained::NotHere(None)) };
        let to = format!("{TAKEN}/{task}/{attempt}");
        let mut members = vec![*from];
        members.extend(cluster.connected().into_iter().filter(|member| member != from));
        let mut why = None;
        for member in members {
            match self.take(&member, &branch, &to).await? {
                Taken::Here if self.holds(head).await? => return Ok(Obtained::Here),
                Taken::Here | Taken::NotHere => {}
                Taken::Refused(reason) => {
                    let told = format!("'{}' has it, and it did not come: {reason}", cluster.name_of(&member));
                    why = why.or(Some(told));
                }
            }
        }
        Ok(Obtained::NotHere(why))
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
        if self.take(from, &branch, &to).await? != Taken::Here {
            return Ok(None);
        }
        Ok(self.git(move |git| git.reference_tip(&to)).await?.ok().flatten())
    }

    pub(super) async fn holds(&self, commit: &Oid) -> Result<bool, StepError> {
        let commit = commit.clone();
        Ok(self.git(move |git| git.has_commit(&commit)).await?.unwrap_or(false))
    }

    /// Asks a member for a branch and keeps it under a reference of its own.
    pub(super) async fn take(&self, member: &AuthorKey, branch: &Branch, to: &str) -> Result<Taken, StepError> {
        let Some(cluster) = &self.cluster else { return Ok(Taken::NotHere) };
        let main = self.main_branch.clone();
        let have = self.git(move |git| git.newest_tip(&main).ok()).await?;
        let have = have.iter().map(ToString::to_string).collect();
        let ask = BranchAsk { branch: branch.as_str().to_owned(), have, explain: true };
        let file = Packed::make(&self.layout.runtime_dir());
        match cluster.take_branch(member, &ask, &file.0).await {
            Ok(()) => {}
            Err(TakeError::Refused(reason)) => {
                tracing::warn!(%branch, member = %member, %reason, "a branch was not given");
                return Ok(Taken::Refused(reason));
            }
            Err(error @ (TakeError::Ask(_) | TakeError::File(_))) => {
                tracing::debug!(%branch, member = %member, %error, "a branch was not given");
                return Ok(Taken::NotHere);
            }
        }
        let (branch, path, to) = (branch.clone(), file.0.clone(), to.to_owned());
        match self.git(move |git| git.take_branch(&branch, &path, &to)).await? {
            Ok(()) => Ok(Taken::Here),
            Err(error) => {
                let reason = describe(&error);
                tracing::warn!(%reason, "a branch of another node cannot be used");
                Ok(Taken::Refused(reason))
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
        self.follow(&integrator).await
    }
}

/// Brings an attempt's work here from where it is, and returns the commit that it is at; none when nobody who has it is reached.
pub async fn bring(context: &Context, task: &Name, attempt: AttemptName, head: Option<Oid>, node: &AuthorKey) -> Option<Oid> {
    match head {
        Some(head) => (context.obtain(&head, task, attempt, node).await.ok()? == Obtained::Here).then_some(head),
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
    fn what_is_not_here_says_why_where_a_member_told() {
        assert_eq!(Obtained::Here.lacks("commit 1"), None);
        let lacks = |why: Option<&str>| Obtained::NotHere(why.map(str::to_owned)).lacks("commit 1").unwrap_or_default();
        assert_eq!(lacks(None), "commit 1 is not here, and no node that has it is reached");
        assert_eq!(
            lacks(Some("'desk' has it, and it did not come: too large")),
            "commit 1 is not here: 'desk' has it, and it did not come: too large"
        );
    }

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
