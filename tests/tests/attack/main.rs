//! Real nodes among a member that lies, a crowd of strangers, a cluster that has stolen a name, and their own past.

#[path = "../lan/office.rs"]
#[allow(dead_code, reason = "the tests of a local network use all of it")]
mod office;

mod authority;
mod callers;
mod equivocation;
mod flood;
mod forged;
mod namesake;
mod quarantine;
mod removal;
mod renewal;
mod restored;
mod standstill;
mod succession;
mod versions;
mod view;
