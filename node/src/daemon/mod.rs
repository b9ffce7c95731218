//! The composition of a node: opens what a project has, runs the scheduler and serves the API until it is told to stop.
//!
//! **Invariants**: `node.json` is there only while the API answers; one node at a time has a project's store; agents are
//! ended before the node is.

mod identity;
mod listen;
mod node_file;
mod setup;
mod start;

pub use identity::KeyError;
pub use listen::{DEFAULT_PORT, ListenError};
pub use node_file::NodeFile;
pub use setup::{InitError, InitRequest, Initialised, init, remove_worktrees};
pub use start::{Local, OpenError, StartError, StartOptions, open_local, start};
