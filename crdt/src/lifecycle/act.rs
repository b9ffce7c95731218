//! What the lifecycle needs to know of a record's body.

use crate::{
    ids::{Oid, RecordId},
    record::{Body, Cause, Queue},
};

/// One statement about a task, without the parts that only people read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Makes the task, or makes it anew after it was deleted.
    Create,
    /// Edits the document.
    Edit,
    /// Joins heads.
    Heads,
    /// Asks for an attempt.
    Claim { epoch: u64, agent: String },
    /// Holds what the state rests on for a verdict.
    Review { on: RecordId, agent: String },
    /// The authority opens the attempt that a claim asked for.
    Grant { claim: RecordId, epoch: u64 },
    /// The author of a claim or review ends it.
    Release { of: RecordId, cause: Cause },
    /// Somebody timed a claim or review out.
    Expire { of: RecordId },
    /// Hands an attempt in.
    Submit { claim: RecordId, base: Option<Oid>, head: Option<Oid> },
    /// Judges what the state rests on as good.
    Accept { on: RecordId },
    /// Judges what the state rests on as not good.
    Reject { on: RecordId },
    /// Tells that an accepted attempt is on the integration branch.
    Merged { accept: RecordId, commit: Option<Oid> },
    /// Done without a submit.
    Finish,
    /// Sets the queue; `keep` names the claim of an attempt to keep open or to go on from.
    Move { queue: Queue, cause: Cause, keep: Option<RecordId> },
    /// Gives the task up.
    Cancel,
    /// Deletes the task.
    Delete,
    /// Something that only a later version understands.
    Unknown,
}

impl Act {
    /// Reads the act out of a body; `None` for a record that is not about a task.
    ///
    /// A `DocChange` or an unknown kind may be about a project as well: the caller knows by the record's subject.
    #[must_use]
    pub fn of(body: &Body) -> Option<Self> {
        Some(match body {
            Body::TaskCreate { .. } => Self::Create,
            Body::DocChange { .. } => Self::Edit,
            Body::Heads => Self::Heads,
            Body::Claim { epoch, agent, .. } => Self::Claim { epoch: *epoch, agent: agent.clone() },
            Body::Review { on, agent, .. } => Self::Review { on: *on, agent: agent.clone() },
            Body::Grant { claim, epoch } => Self::Grant { claim: *claim, epoch: *epoch },
            Body::Release { of, cause, .. } => Self::Release { of: *of, cause: *cause },
            Body::Expire { of, .. } => Self::Expire { of: *of },
            Body::Submit { claim, base, head, .. } => Self::Submit { claim: *claim, base: base.clone(), head: head.clone() },
            Body::Accept { on, .. } => Self::Accept { on: *on },
            Body::Reject { on, .. } => Self::Reject { on: *on },
            Body::Merged { accept, commit } => Self::Merged { accept: *accept, commit: commit.clone() },
            Body::Finish { .. } => Self::Finish,
            Body::Move { queue, cause, keep, .. } => Self::Move { queue: queue.clone(), cause: *cause, keep: *keep },
            Body::Cancel { .. } => Self::Cancel,
            Body::Delete { .. } => Self::Delete,
            Body::Unknown { .. } => Self::Unknown,
            Body::Genesis { .. }
            | Body::ClusterName { .. }
            | Body::Join { .. }
            | Body::Remove { .. }
            | Body::Policy { .. }
            | Body::DocCreate { .. }
            | Body::DocDelete { .. }
            | Body::Put { .. }
            | Body::Append { .. } => return None,
        })
    }

    /// Returns the record that the act names.
    #[must_use]
    pub const fn names(&self) -> Option<RecordId> {
        match self {
            Self::Review { on, .. } | Self::Accept { on } | Self::Reject { on } => Some(*on),
            Self::Grant { claim, .. } | Self::Submit { claim, .. } => Some(*claim),
            Self::Release { of, .. } | Self::Expire { of } => Some(*of),
            Self::Merged { accept, .. } => Some(*accept),
            Self::Move { keep, .. } => *keep,
            Self::Create | Self::Edit | Self::Heads | Self::Claim { .. } | Self::Finish | Self::Cancel | Self::Delete | Self::Unknown => {
                None
            }
        }
    }

    /// Tells whether only the authority may do this in server-wins mode.
    #[must_use]
    pub(super) const fn is_for_the_authority(&self) -> bool {
        matches!(self, Self::Grant { .. } | Self::Accept { .. } | Self::Reject { .. } | Self::Expire { .. } | Self::Finish)
    }

    /// Tells whether the task's state can depend on it.
    pub(super) const fn acts(&self) -> bool {
        !matches!(self, Self::Edit | Self::Heads | Self::Unknown)
    }
}
