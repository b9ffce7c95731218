//! Plays the whole job in a scratch repository: tasks are queued, agents work on them, a reviewer judges, accepted work is
//! merged, and what came of it is checked.
//!
//! Only the agents' minds are missing: they are shell scripts that know what to write. The node, the processes, the
//! worktrees, the tests that the reviewer runs and the merges are those of everyday use.
//!
//! **Invariants**: nothing is written outside the scratch folder; the node is stopped before the folder is removed; a demo
//! that did not end as it should leaves the folder and says where it is.

mod checks;
pub mod cluster;
mod git;
mod interrupt;
mod node;
mod project;
mod report;
mod scratch;
mod story;
mod tasks;

use std::path::PathBuf;

use octopoid_client::{ClientError, NodeStatus};
use octopoid_node::daemon;

pub use report::{Check, Report, TaskReport};

use git::GitError;
use interrupt::Interrupt;
use project::Project;
use scratch::{Scratch, ScratchError};

/// States why the demo came to no end.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// There is no scratch folder.
    #[error(transparent)]
    Scratch(#[from] ScratchError),
    /// Signals cannot be received.
    #[error("listen for signals")]
    Signals(#[source] std::io::Error),
    /// The program or the agents cannot be written.
    #[error("write {}", .path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The program's own path is unknown.
    #[error("find this program, which starts the agents")]
    Launcher(#[source] std::io::Error),
    /// Git, or the shell, does not do what it should.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The project could not be made.
    #[error("initialise the project")]
    Init(#[source] Box<daemon::InitError>),
    /// The node did not start, or failed.
    #[error("run the node")]
    Node(#[source] Box<daemon::StartError>),
    /// The node ended by itself.
    #[error("the node ended before the work was done")]
    NodeEnded,
    /// The node does not end.
    #[error("the node did not stop within {seconds} s")]
    NodeStays { seconds: u64 },
    /// A call failed.
    #[error(transparent)]
    Call(#[from] ClientError),
    /// The node's token cannot be read.
    #[error("read the node's token")]
    Token(#[source] std::io::Error),
    /// Something hangs.
    #[error("not done after {seconds} s; unfinished:\n{}", .unfinished.join("\n"))]
    TimeLimit {
        seconds: u64,
        /// Which tasks, and where their logs are.
        unfinished: Vec<String>,
    },
    /// A command of this program failed.
    #[error("run 'octopoid {command}' on {machine}: {said}")]
    Command { command: String, machine: &'static str, said: String },
    /// A node does not listen.
    #[error("the node of {machine} does not listen; it said in {}", .log.display())]
    NoStart { machine: &'static str, log: PathBuf },
    /// Something does not come about.
    #[error("it did not come about that {what}{}", .unfinished.iter().map(|line| format!("\n{line}")).collect::<String>())]
    Stuck {
        what: String,
        /// Which tasks, where, and where their logs are.
        unfinished: Vec<String>,
    },
    /// A person ended it.
    #[error("interrupted; what ran was stopped")]
    Interrupted,
}

/// A demo that came to no end, and the folder that it left.
#[derive(Debug, thiserror::Error)]
#[error("{}", match .kept { Some(folder) => format!("play the demo (its folder is kept: {})", folder.display()), None => "play the demo".to_owned() })]
pub struct DemoFailure {
    /// What went wrong.
    #[source]
    pub error: DemoError,
    /// The folder, if there is anything to look at.
    pub kept: Option<PathBuf>,
}

/// Plays the demo. `watch` is called with the node's status while it runs.
///
/// # Errors
/// When it comes to no end. A demo that ends otherwise than it should is a report with checks that fail.
pub async fn play(keep: bool, mut watch: impl FnMut(&NodeStatus)) -> Result<Report, DemoFailure> {
    staged(keep, async |scratch: &Scratch, interrupt: &mut Interrupt| perform(scratch, interrupt, &mut watch).await).await
}

/// What a demo tells at its end, as far as its folder is concerned.
trait Outcome {
    /// Whether every check holds.
    fn ok(&self) -> bool;
    /// Notes whether the folder is still there.
    fn set_kept(&mut self, kept: bool);
}

impl Outcome for Report {
    fn ok(&self) -> bool {
        self.ok
    }

    fn set_kept(&mut self, kept: bool) {
        self.kept = kept;
    }
}

impl Outcome for cluster::ClusterReport {
    fn ok(&self) -> bool {
        self.ok
    }

    fn set_kept(&mut self, kept: bool) {
        self.kept = kept;
    }
}

/// Performs in a scratch folder, which is removed when there is nothing to look at.
async fn staged<R: Outcome>(
    keep: bool,
    mut perform: impl AsyncFnMut(&Scratch, &mut Interrupt) -> Result<R, DemoError>,
) -> Result<R, DemoFailure> {
    let bare = |error| DemoFailure { error, kept: None };
    let mut interrupt = Interrupt::listen().map_err(|source| bare(DemoError::Signals(source)))?;
    let scratch = Scratch::make(&std::env::temp_dir()).map_err(|error| bare(error.into()))?;
    match perform(&scratch, &mut interrupt).await {
        Ok(mut report) => {
            let kept = keep || !report.ok() || !scratch.remove();
            report.set_kept(kept);
            Ok(report)
        }
        // A person who ends it wants it gone, and without git there is nothing to look at.
        Err(error @ (DemoError::Interrupted | DemoError::Git(GitError::Missing { .. }))) if !keep && scratch.remove() => Err(bare(error)),
        Err(error) => Err(DemoFailure { error, kept: Some(scratch.path().to_owned()) }),
    }
}

async fn perform(scratch: &Scratch, interrupt: &mut Interrupt, watch: &mut dyn FnMut(&NodeStatus)) -> Result<Report, DemoError> {
    let project = tokio::select! {
        project = Project::make(scratch.path()) => project?,
        () = interrupt.wait() => return Err(DemoError::Interrupted),
    };
    let outcome = node::run(&project, interrupt, watch).await?;
    tokio::select! {
        report = checks::report(&project, outcome) => Ok(report?),
        () = interrupt.wait() => Err(DemoError::Interrupted),
    }
}
