//! The git layer on real repositories, with and without a remote, under a home of its own.

#![expect(clippy::wildcard_enum_match_arm, reason = "a test fails at every outcome but the one it expects")]

mod commits;
mod guard;
mod hostile;
mod merge;
mod origin;
mod removal;
mod repositories;
mod support;
mod worktrees;
