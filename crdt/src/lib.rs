//! The rules of Octopoid: records, lifecycle, documents. No IO, clock, randomness or async.

pub mod document;
pub mod ids;
pub mod lease;
pub mod record;
