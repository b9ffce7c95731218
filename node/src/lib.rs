//! The node: drives the rules of `octopoid-crdt`, owns the disk, git, agents and the REST API.

pub mod config;
pub mod project;
pub mod prompt;
