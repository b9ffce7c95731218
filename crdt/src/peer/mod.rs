//! What members say to each other, and what a node decides about it: messages, sync, settling, renewals, joining.
//!
//! Every machine takes one input at a time and returns, by value and in order, what its driver must do. None of them has
//! IO, a clock or randomness: the time, nonces, secrets and what the store holds are arguments. `docs/protocol.md` gives
//! the bytes; `docs/adr/0021-sync.md` and `docs/adr/0022-settling.md` give the reasons.
//!
//! **Invariants**
//! - What a member sends never makes more work or memory than the limits in [`limits`] allow, whatever it says.
//! - Nothing is acknowledged before the driver has said that it is on disk.
//! - Work on a claim starts only by [`settle::Verdict::Start`], which is given at most once for each claim.

pub mod join;
pub mod limits;
pub mod message;
pub mod renewal;
pub mod settle;
pub mod sync;

pub use message::{ClaimAnswer, FrameError, Message, Rival};
pub use renewal::{Renewal, RenewalError};
