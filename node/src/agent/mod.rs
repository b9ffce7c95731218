//! Agents as child processes: how they are started, watched, stopped, and judged.
//!
//! The scheduler above decides *what* runs; this module runs it. [`command`] and [`environ`] say what the child gets,
//! [`launch`] starts it, [`running`] watches it, [`sweep`] ends it and everything that it left behind, [`stream`] and
//! [`result_file`] read what it says, and [`judge`](mod@judge) decides what happened.
//!
//! **Invariants**
//! - A [`ProcessRecord`] exists, and its owner has had the chance to store it, before a single instruction of the agent's
//!   program runs. A node that dies earlier leaves no agent.
//! - When an [`Ended`] is returned, no process of the agent's group, session or marker is alive, or the ones that are
//!   stand in [`Swept::survivors`].
//! - Nothing here kills a process that it cannot prove to belong to an attempt: a number alone proves nothing, because
//!   the system reuses numbers.
//! - What an agent writes is bounded on disk and in memory, whatever it writes.
//! - The agent's environment is built from nothing, never copied and then cleaned.

mod capture;
pub mod command;
pub mod environ;
mod exec_order;
pub mod judge;
pub mod launch;
mod launcher;
mod lines;
mod process_table;
pub mod record;
pub mod render;
pub mod result_file;
mod roll;
pub mod running;
pub mod stream;
pub mod sweep;

pub use capture::Captured;
pub use command::{Argv, CommandError, Placeholders};
pub use environ::{Environment, GitIdentity, TaskVariables};
pub use judge::{Evidence, Outcome, RoleKind, Verdict, Work, judge};
pub use launch::{AgentProcess, Held, LaunchError, Launcher, Stdin};
pub use launcher::launcher_main;
pub use record::{ProcessRecord, Token};
pub use render::render_line;
pub use result_file::{Claim, ResultFile, ResultFileError, Subtask};
pub use roll::kill_all;
pub use running::{EndCause, Ended, Exit, Limits, Running, StopReason, Stopper, SupervisionLost};
pub use stream::{RateLimit, StreamSummary};
pub use sweep::{LeftoverReport, Swept, leftovers};
