//! What the cross-crate suite shares: a project in a scratch folder, the program itself, a node that runs, and agents
//! that are small scripts.
//!
//! **Invariants**: nothing of the user is read or written: home, git's configuration, ports and folders are the test's own;
//! a node that a test started is gone when its project is dropped.

mod agent;
mod binary;
mod cluster;
mod command;
mod insider;
mod lan;
mod node;
mod origin;
mod process;
mod project;
mod small_disk;
mod story;
mod strangers;
mod terminal;
mod wait;

pub use agent::Agent;
pub use binary::octopoid;
pub use cluster::{Cluster, shown};
pub use command::{Said, command};
pub use insider::{Insider, Stranger, task_subject};
pub use lan::Lan;
pub use node::Node;
pub use origin::Origin;
pub use process::{lives, pids_in};
pub use project::Project;
pub use small_disk::{Filler, SmallDisk};
pub use story::{Story, StoryError};
pub use strangers::Strangers;
pub use terminal::terminal;
pub use wait::{PATIENCE, until, until_within};
