//! Real nodes with real agents in real repositories.

mod breakdown;
mod cost;
mod crash;
mod failure;
mod full_disk;
mod hostile;
mod merging;
mod operations;
mod pull_request;
mod rejection;
mod stopping;
mod whole_job;
mod worktree;
