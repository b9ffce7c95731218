//! The rules of Octopoid: records, lifecycle, documents. No IO, clock, randomness or async.

pub mod action;
pub mod chain;
pub mod document;
pub mod draft;
pub mod flow;
pub mod ids;
pub mod lease;
pub mod lifecycle;
pub mod membership;
pub mod peer;
pub mod record;
