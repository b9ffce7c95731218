//! The folder `.octopoid` in a repository: where everything of a project lies, how it is made and how it is taken away.
//!
//! **Invariants**: outside `.octopoid` nothing is written; what holds secrets or other people's output is readable by its
//! owner alone; a file that a person may have edited is never overwritten.

mod agents_file;
mod init;
mod layout;
mod uninit;
mod write;

pub use agents_file::{AgentsPut, put_agents};
pub use init::{Found, InitError, InitOptions, InitReport, Remote, init, machine_name};
pub use layout::{FindError, Layout};
pub use uninit::{UninitError, UninitOptions, UninitReport, uninit};
pub(crate) use write::replace_file;
