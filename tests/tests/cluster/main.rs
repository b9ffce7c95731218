//! Real nodes that form a cluster on loopback.

mod claims;
mod integrator;
mod joining;
mod kills;
mod logs;
mod offline;
mod partition;
mod work;
