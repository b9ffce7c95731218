//! The rules of Octopoid: records, lifecycle, documents. No IO, clock, randomness or async.

pub mod ids;
pub mod lifecycle;
pub mod record;
