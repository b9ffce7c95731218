//! The scheduler and the attempts that it runs.
//!
//! The scheduler claims what its agents can do and starts an attempt for each claim; an attempt gets a worktree and a
//! prompt, runs the agent, looks at what happened, and writes that down; accepted work is merged one task at a time.
//!
//! **Invariants**: an agent starts only after its claim and its process are on disk; a worktree is removed only after its
//! agent's processes are dead and its work is on a kept branch.

mod at_rest;
mod attempt;
mod branches;
mod brief;
mod conclude;
mod context;
mod control;
mod gc;
mod hold;
mod integrate;
mod pull_request;
mod recover;
mod roster;
mod run_record;
mod scheduler;
mod setup;
mod spending;
mod succession;
mod unshared;
mod verdicts;
mod workplace;

pub use at_rest::at_rest;
pub use branches::{bring, give_branches};
pub use context::{Context, StepError};
#[cfg(test)]
pub(crate) use control::Request;
pub use control::{AgentsView, Control, ControlError, Farewell};
pub(crate) use integrate::awaiting as awaiting_merge;
pub use scheduler::{Mode, Scheduler};
pub use spending::{Spending, Usage};
pub use succession::Succession;
pub use unshared::Unshared;
pub use verdicts::Verdicts;
