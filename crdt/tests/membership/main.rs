//! Membership from outside the crate: its rules, and its independence of order.

mod effects;
mod properties;
mod rules;
mod world;
