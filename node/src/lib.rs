//! The Octopoid daemon: drives the rules of `octopoid-crdt`, owns the store, agents and git, and serves the REST API.

pub mod ops;
pub mod store;
