//! What a project is set to do: `.octopoid/config.yaml`, `agents.yaml` and this machine's `runtime/local.yaml`.
//!
//! Every key is described in `docs/configuration.md`.
//!
//! **Invariants**: settings that are handed out have been checked; a mistake in a file is a [`Finding`] with its line, its
//! column and what to do, never a panic and never the first of many only.

mod agents;
mod edit;
mod finding;
mod load;
mod port;
mod read_agents;
mod read_settings;
mod reader;
mod reload;
mod roles;
mod settings;
mod suggest;
mod validate;
mod yaml;

pub use agents::{Agent, Agents, DEFAULT_PROGRAM, Launch, Paths};
pub(crate) use edit::quoted;
pub use edit::{EditError, JoinedBy, set_local, set_server};
pub use finding::{Finding, Invalid, Severity};
pub(crate) use load::{check_agents_text, read_text, yaml_as_json};
pub use load::{load, load_agents};
pub use port::{Holder, holder};
pub use reload::{AgentsFile, QUIET, Reload};
pub(crate) use roles::role_of;
pub use roles::{BuiltIn, CustomRole};
pub use settings::{Api, ApiKey, Auth, Compat, Config, DEFAULT_PORT, Merge, Mode, Network, Repo, Server, Setup, Tls, Worktree};
pub use validate::{Surroundings, find_program, has_errors, validate};
pub use yaml::Place;

pub(crate) use read_settings::branch as check_branch;
