//! Signed records from outside the crate: golden files, tampering, limits.

mod arbitrary;
mod golden;
mod hostile;
mod properties;
mod samples;
