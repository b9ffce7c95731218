//! One record of a task as the lifecycle keeps it: judged.

use super::{
    act::Act,
    law::Refusal,
    past::{Index, Past},
    standing::Standing,
};
use crate::ids::{AuthorKey, RecordId};

/// Whether a record counts. Reached once, from the record's past alone, and kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was legal in the state that its own past resolves to.
    Counts,
    /// It was not; it stays in the history, with the reason.
    Void(Refusal),
}

/// A judged record of one task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The record's id.
    pub id: RecordId,
    /// Who signed it.
    pub author: AuthorKey,
    /// The task's records that its author had seen.
    pub past: Past,
    /// What it says.
    pub act: Act,
    /// What its past says of its author.
    pub standing: Standing,
    /// Whether it counts.
    pub verdict: Verdict,
    /// Where the record that it names lies, if it is in the past and counts.
    pub target: Option<Index>,
    /// What an Accept, Reject or Review means: the Submit, or else the Claim, that the state rested on in its past.
    pub about: Option<Index>,
    /// Whether it is a Create of a task that was deleted in its past.
    pub anew: bool,
}

impl Entry {
    /// Tells whether the record counts.
    #[must_use]
    pub const fn counts(&self) -> bool {
        matches!(self.verdict, Verdict::Counts)
    }
}
