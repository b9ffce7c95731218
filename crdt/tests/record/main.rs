//! Signed records from outside the crate: golden files, tampering, limits.

mod arbitrary;
mod chains;
mod golden;
mod hostile;
mod properties;
mod samples;
