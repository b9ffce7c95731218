//! The Octopoid daemon: drives the rules of `octopoid-crdt` and owns everything that touches the machine.

pub mod git;
