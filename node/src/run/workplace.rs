//! Prepares an attempt's worktree: where it starts from, what is copied into it, and the setup command.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use octopoid_crdt::ids::{AttemptName, Name, Oid};

use super::context::{Context, StepError, describe};
use crate::git::{Snapshot as Guard, Worktree};

/// How long the setup command may take.
const SETUP_TIME: Duration = Duration::from_secs(600);

/// A worktree that is ready for its agent.
pub(super) struct Workplace {
    pub worktree: Worktree,
    /// The commit that it started from.
    pub base: Oid,
    /// What git could be made to run before the agent started.
    pub guard: Guard,
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
    #[error("the setup command of config.yaml failed: {0}")]
    Setup(String),
    #[error(transparent)]
    Step(#[from] StepError),
}

impl Workplace {
    /// Makes the worktree at `base` and prepares it. The worktree of a failed preparation is removed again.
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
        let mut place = Self { worktree, base, guard: Guard::default(), folder };
        match place.set_up(context).await {
            Ok(()) => {
                let worktree = place.worktree.clone();
                place.guard = context.git(move |git| git.snapshot(Some(&worktree))).await?;
                Ok(place)
            }
            Err(error) => {
                place.remove(context).await?;
                Err(error)
            }
        }
    }

    /// Runs the project's setup command in the worktree, its output in the attempt's log folder.
    async fn set_up(&self, context: &Context) -> Result<(), PrepareError> {
        let Some(setup) = &context.config.worktree.setup else { return Ok(()) };
        let argv = setup.argv();
        let Some((program, arguments)) = argv.split_first() else { return Ok(()) };
        let log = std::fs::File::create(self.folder.join("setup.log")).map_err(PrepareError::Folder)?;
        let errors = log.try_clone().map_err(PrepareError::Folder)?;
        let mut child = tokio::process::Command::new(program)
            .args(arguments)
            .current_dir(self.worktree.path())
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| PrepareError::Setup(format!("{program}: {error}")))?;
        let group = child.id().and_then(|pid| rustix::process::Pid::from_raw(pid.cast_signed()));
        let ended = tokio::time::timeout(SETUP_TIME, child.wait()).await;
        if let Some(group) = group {
            // What it left in the background is not part of the setup. A group that is gone already is fine.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        match ended {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(PrepareError::Setup(format!("{program}: {status}, see setup.log of the attempt"))),
            Ok(Err(error)) => Err(PrepareError::Setup(format!("{program}: {error}"))),
            Err(_) => Err(PrepareError::Setup(format!("{program}: not done after {} s", SETUP_TIME.as_secs()))),
        }
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
