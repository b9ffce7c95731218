//! What the records of one task mean: claims, attempts, verdicts and fences.
//!
//! Records arrive in any causal order and are judged once, each over its own past ([`TaskLog::judge`]); the state is a pure function of
//! the set that a node holds ([`TaskLog::resolve`]). `crdt/model/lifecycle_model.py` states the same rules for reading and breaks them by
//! random schedules; `docs/adr/` tells what was decided where the design left a choice.
//!
//! **Invariants**
//! - The same set of records gives the same state, whatever the order, duplication or chunking of their arrival.
//! - At most one attempt counts as accepted. Finished work is shown until a verdict, a Move, a Delete or (under an authority) a grant.
//! - The highest epoch never falls, and no number is given twice by those who see each other.
//! - Done stays done, unless a Move or Delete that saw it, a creation anew, or a removal comes into effect.

mod act;
mod attempts;
mod codec;
mod entry;
mod law;
mod log;
mod past;
mod rank;
mod resolution;
mod standing;
mod state;

pub use act::Act;
pub use attempts::Status as AttemptStatus;
pub use codec::EntryError;
pub use entry::{Entry, Verdict};
pub use law::Refusal;
pub use log::TaskLog;
pub use past::{Index, Past};
pub(crate) use rank::{claim_lot, review_lot};
pub use standing::{PolicyAt, Reach, Removal, Removals, Standing};
pub use state::{Attempt, End, Holder, Merge, Phase, Submission, TaskState};
