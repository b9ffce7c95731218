//! The composition of a node: opens what a project has, runs the scheduler and serves the API until it is told to stop.
//!
//! **Invariants**: `node.json` is there only while the API answers; one node at a time has a project's store; agents are
//! ended before the node is.

mod alone;
mod carry_over;
mod identity;
mod join;
mod listen;
mod network;
mod node_file;
mod open_tasks;
mod search;
mod setup;
mod start;

pub use alone::is_alone;
pub use carry_over::CarryError;
pub use identity::KeyError;
pub use join::{JoinClusterError, Membership, Question, join_by_name, join_by_ticket};
pub use listen::{DEFAULT_PORT, ListenError};
pub use network::NetworkError;
pub use node_file::NodeFile;
pub use open_tasks::{OpenTasks, OpenTasksError, open_tasks};
pub use setup::{InitError, InitRequest, Initialised, count_attempt_branches, init, remove_worktrees};
pub use start::{Local, OpenError, StartError, StartOptions, open_local, start};
