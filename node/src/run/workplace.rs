//! Makes an attempt's worktree, with what is copied into it, and removes it.

use std::path::PathBuf;

use octopoid_crdt::ids::{AttemptName, Name, Oid};

use super::context::{Context, StepError};
use crate::causes::describe;
use crate::git::{Branches, Snapshot as Guard, Worktree};

/// A worktree that is ready for its agent.
pub(super) struct Workplace {
    pub worktree: Worktree,
    /// The commit that it started from.
    pub base: Oid,
    /// What git could be made to run before the agent started; taken after the setup command.
    pub guard: Guard,
    /// Where the user's branches were then.
    pub branches: Branches,
    /// The folder for prompt, result and logs.
    pub folder: PathBuf,
}

/// States why an attempt got no workplace; the text is the attempt's reason.
#[derive(Debug, thiserror::Error)]
pub(super) enum PrepareError {
    #[error("{0}")]
    Git(String),
    #[error("failed to make the folder for logs")]
    Folder(#[source] std::io::Error),
    #[error(transparent)]
    Step(#[from] StepError),
}

impl Workplace {
    /// Makes the worktree at `base` and copies what config.yaml names. The worktree of a failed preparation is removed again.
    pub async fn prepare(context: &Context, task: &Name, attempt: AttemptName, base: Oid) -> Result<Self, PrepareError> {
        let folder = context.layout.attempt_logs(task, &attempt);
        tokio::fs::create_dir_all(&folder).await.map_err(PrepareError::Folder)?;
        let worktrees = context.worktrees();
        let copy: Vec<String> = context.config.worktree.copy.iter().map(|path| path.display().to_string()).collect();
        let (name, from) = (task.clone(), base.clone());
        let made = context.git(move |git| {
            let worktree = git.add_worktree(&name, attempt, &from, &worktrees).map_err(|error| describe(&error))?;
            match git.copy_files(&worktree, &copy) {
                Ok(_) => Ok(worktree),
                Err(error) => {
                    let reason = describe(&error);
                    Err(match git.remove_worktree(&worktree) {
                        Ok(_) => reason,
                        Err(stays) => format!("{reason}; the worktree stays: {}", describe(&stays)),
                    })
                }
            }
        });
        let worktree = made.await?.map_err(PrepareError::Git)?;
        Ok(Self { worktree, base, guard: Guard::default(), branches: Branches::default(), folder })
    }

    /// Notes what git can be made to run now and where the user's branches are, to compare with after the agent.
    pub async fn guard(&mut self, context: &Context) -> Result<(), StepError> {
        let worktree = self.worktree.clone();
        let (guard, branches) = context.git(move |git| (git.snapshot(Some(&worktree)), git.branches())).await?;
        self.guard = guard;
        match branches {
            Ok(branches) => self.branches = branches,
            Err(error) => tracing::warn!(reason = %describe(&error), "it will not be noticed which branches the agent moves"),
        }
        Ok(())
    }

    /// Removes the worktree of a review, and its branch unless the reviewer committed to it.
    pub async fn remove_with_branch(&self, context: &Context) -> Result<(), StepError> {
        self.remove(context).await?;
        let (branch, base) = (self.worktree.branch(), self.base.clone());
        if let Err(error) = context.git(move |git| git.drop_unused_branch(&branch, &base)).await? {
            tracing::warn!(branch = %self.worktree.branch(), reason = %describe(&error), "the branch of a review stays");
        }
        Ok(())
    }

    /// Removes the worktree; what is on no branch is rescued first.
    pub async fn remove(&self, context: &Context) -> Result<(), StepError> {
        let worktree = self.worktree.clone();
        let removed = context.git(move |git| git.remove_worktree(&worktree)).await?;
        if let Err(error) = removed {
            tracing::warn!(worktree = %self.worktree.path().display(), reason = %describe(&error), "a worktree stays");
        }
        Ok(())
    }
}
