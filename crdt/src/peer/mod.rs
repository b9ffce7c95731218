//! What members say to each other, and what a node decides about it: messages, sync, settling, renewals, joining.
//!
//! Every machine takes one input at a time and returns, by value and in order, what its driver must do. None of them has
//! IO, a clock or randomness: the time, nonces, secrets and what the store holds are arguments. `docs/protocol.md` gives
//! the bytes; `docs/adr/0021-sync.md` and `docs/adr/0022-settling.md` give the reasons.
//!
//! How a node drives them:
//!
//! 1. A connection is there: [`sync::Input::Connected`], [`settle::Input::Connected`], and renewals of what runs here.
//! 2. A frame came: [`settle::Input::Heard`] first, then [`sync::Input::Frame`].
//! 3. [`sync::Output::TakeIn`]: check signatures (on several threads), apply in one commit what lacks nothing.
//! 4. A commit is on disk, and in this order: tell the settle machine what the new records say (Seen, Started, Ended); every
//!    sync machine Wrote and Applied; then for each frame of the commit its Taken, with [`settle::Settle::answer`] for each
//!    claim or review of the peer itself; then Opened for the own new claims, with [`settle::contenders`] of the task.
//! 5. A verdict: Start begins the work and sends a renewal; Yield and Stop write a Release.
//! 6. Ticks: at [`sync::Sync::wake_at`], and every 100 ms while [`settle::Settle::is_waiting`].
//! 7. At a start of the process, after the leases are known: give back every own open claim and review without a process, those
//!    that others outrank as well. Leases are timed for every open claim from when it was first seen, not for holders alone.
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
