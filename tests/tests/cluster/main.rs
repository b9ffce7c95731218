//! Real nodes that form a cluster on loopback.

mod claims;
mod joining;
mod offline;
mod work;
