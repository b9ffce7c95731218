//! Signed records: the only statements that Octopoid's state is made of.

mod body;

pub use body::{Access, Body, Cause, Imported, Queue, RemovalFrontier};
