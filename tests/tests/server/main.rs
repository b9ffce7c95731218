//! Server-wins mode with whole nodes: one node grants claims and judges work, the others ask it.

mod claims;
mod conflicts;
mod imports;
mod joining;
mod judging;
mod moves;
mod office;
mod tls;
