//! Skeleton.
pub mod agent;
