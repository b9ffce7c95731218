//! The rules of Octopoid: records, lifecycle, documents. No IO, clock, randomness or async.

pub mod chain;
pub mod ids;
pub mod membership;
pub mod record;
