//! The git layer on real repositories, with and without a remote, under a home of its own.

mod commits;
mod guard;
mod hostile;
mod merge;
mod origin;
mod removal;
mod repositories;
mod support;
mod worktrees;
