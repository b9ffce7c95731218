//! What a record can say.
//!
//! **Invariants**: a body says what its author did or saw, never what follows from it; what follows is derived
//! by [`crate::lifecycle`] and the membership rules.

use crate::ids::{AuthorKey, Name, Oid, RecordId, SessionId};

/// What a member may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// May read and relay.
    Reader,
    /// May create, edit, claim, submit and judge.
    Worker,
    /// May also change membership and policy.
    Admin,
}

/// Where a task waits. Derived by `resolve`; a record names one only as a wish (`Move`) or for display (`Claim`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Queue {
    /// Waits for an agent.
    Incoming,
    /// An attempt is under way.
    Claimed,
    /// Submitted work waits for a verdict.
    Provisional,
    /// Accepted or finished.
    Done,
    /// Given up by a person.
    Cancelled,
    /// Needs a person.
    Failed,
    /// Held back by a person.
    Blocked,
    /// Not to be started yet.
    Backlog,
    /// Ran out of turns; another attempt goes on from its branch.
    NeedsContinuation,
    /// A state of a custom flow.
    Custom(Name),
}

impl Queue {
    /// Returns the queue's name in REST, on the command line and in records.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Incoming => "incoming",
            Self::Claimed => "claimed",
            Self::Provisional => "provisional",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
            Self::Blocked => "blocked",
            Self::Backlog => "backlog",
            Self::NeedsContinuation => "needs_continuation",
            Self::Custom(name) => name.as_str(),
        }
    }

    /// Reads a queue's name: a built-in one, else the name of a custom state.
    ///
    /// # Errors
    /// When the text is neither.
    pub fn parse(text: &str) -> Result<Self, crate::ids::IdError> {
        Ok(match text {
            "incoming" => Self::Incoming,
            "claimed" => Self::Claimed,
            "provisional" => Self::Provisional,
            "done" => Self::Done,
            "cancelled" => Self::Cancelled,
            "failed" => Self::Failed,
            "blocked" => Self::Blocked,
            "backlog" => Self::Backlog,
            "needs_continuation" => Self::NeedsContinuation,
            other => Self::Custom(other.parse()?),
        })
    }
}

/// Why a `Move`, `Release` or `Expire` was written; counters and history are derived from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// A person or script asked for another attempt.
    Requeue,
    /// The flow was bypassed by `force-queue`.
    ForceQueue,
    /// The queue field was edited.
    Edit,
    /// A step of a custom flow.
    Flow,
    /// An attempt failed and another may follow.
    AttemptFailed,
    /// The attempts or rejections are used up.
    GivenUp,
    /// An agent ran out of turns.
    BurnOut,
    /// The accepted branch does not merge.
    MergeConflict,
    /// A finished task was opened again.
    Reopen,
    /// An earlier attempt was taken up again.
    Adopt,
    /// The holder gave the task back.
    GivenBack,
    /// The holder's node was stopped or its agent killed through no fault of the work.
    Stopped,
    /// Another attempt won.
    Superseded,
    /// The lease ran out.
    LeaseExpired,
    /// Subtasks took the task's place.
    BrokenDown,
}

/// What a removal leaves of the removed member's records: per session the last sequence number that stays in effect.
pub type RemovalFrontier = Vec<(SessionId, u64)>;

/// State that a task brought from another system, as canonical JSON text; see `docs/storage.md`.
pub type Imported = String;

/// One statement. The variants and their order of fields are the wire format of version 1, see `docs/protocol.md`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Founds a cluster; its hash is the cluster's id.
    Genesis { creator: AuthorKey, nonce: [u8; 16], root_commit: Option<Oid> },
    /// Names the cluster.
    ClusterName { name: Name },
    /// Lets a member in, or changes its access or name.
    Join { member: AuthorKey, access: Access, name: Name, invite: Option<[u8; 32]> },
    /// Removes a member; its records above the frontier lose their effect.
    Remove { member: AuthorKey, frontier: RemovalFrontier, reason: String },
    /// Sets the authority (server-wins) and the integrator. `number` orders policies; `last` is the old authority's last
    /// record at a planned move; `frontier` bounds what counts of the old authority's grants at a forced one.
    Policy { number: u64, authority: Option<AuthorKey>, integrator: AuthorKey, last: Option<RecordId>, frontier: Option<RemovalFrontier> },
    /// Joins more than 64 heads; says nothing else.
    Heads,
    /// Makes a task; `change` is its document's first automerge change.
    TaskCreate { scope: Name, id: Name, change: Vec<u8>, imported: Option<Imported> },
    /// Edits the subject's document by one automerge change.
    DocChange { change: Vec<u8> },
    /// Opens an attempt.
    Claim { epoch: u64, source: Queue, agent: String, orchestrator: String, ttl_seconds: u32, base: Option<Oid> },
    /// Holds a submitted task for a verdict; `on` is the record that the state rests on.
    Review { on: RecordId, agent: String, orchestrator: String, ttl_seconds: u32 },
    /// The authority's yes to a claim.
    Grant { claim: RecordId, epoch: u64 },
    /// The author of a claim or review ends it.
    Release { of: RecordId, cause: Cause, reason: String },
    /// A member timed a claim or review out.
    Expire { of: RecordId, reason: String },
    /// Hands in an attempt. All three git ids are null for work without a repository.
    Submit { claim: RecordId, base: Option<Oid>, head: Option<Oid>, tree: Option<Oid>, notes: String },
    /// Judges that what the state rests on is good.
    Accept { on: RecordId, by: String, reason: String },
    /// Judges that what the state rests on is not.
    Reject { on: RecordId, by: String, reason: String },
    /// Tells that an accept's branch is on the integration branch; `commit` is null when there was nothing to merge.
    Merged { accept: RecordId, commit: Option<Oid> },
    /// Done without a submit.
    Finish { by: String, reason: String },
    /// Sets the queue, keeping at most one submitted attempt open (or naming an unsubmitted one to go on from), by its claim.
    Move { queue: Queue, cause: Cause, by: String, reason: String, keep: Option<RecordId> },
    /// Gives the task up.
    Cancel { by: String, reason: String },
    /// Deletes the task.
    Delete { by: String, reason: String },
    /// Makes a document of another collection: "project" or "draft".
    DocCreate { collection: String, scope: Name, id: String, change: Vec<u8> },
    /// Deletes such a document.
    DocDelete { by: String },
    /// Sets an entry of a plain collection (registrations, roles, flows, key hashes): JSON text, or null to remove it.
    Put { collection: String, scope: Name, key: String, value: Option<String> },
    /// Adds to an append-only collection (messages, actions): JSON text.
    Append { collection: String, scope: Name, key: String, value: String },
    /// A kind of a later version: stored and relayed, never interpreted.
    Unknown { kind: u16, body: Vec<u8> },
}
