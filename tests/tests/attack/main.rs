//! Real nodes among a member that lies, a crowd of strangers, a cluster that has stolen a name, and their own past.

mod authority;
mod equivocation;
mod forged;
mod quarantine;
mod removal;
mod restored;
mod standstill;
mod versions;
mod view;
