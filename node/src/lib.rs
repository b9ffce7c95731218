//! The Octopoid daemon: drives the rules of `octopoid-crdt`, owns the store, agents and git, and serves the REST API.

pub mod agent;
pub mod causes;
pub mod cluster;
pub mod config;
pub mod daemon;
pub mod git;
pub mod migrate;
pub mod ops;
pub mod project;
pub mod prompt;
pub mod rest;
pub mod run;
pub mod store;
pub mod tls;
