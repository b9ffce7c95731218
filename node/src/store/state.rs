//! What the writer keeps in memory from one unit of work to the next.
//!
//! **Invariants**: it is what the last commit left, or a unit that is under way or given up goes back to its mark.

use std::sync::Arc;

use octopoid_crdt::chain::{Chains, Writer as Place};
use octopoid_crdt::ids::{RecordId, SessionId};
use octopoid_crdt::lifecycle::Removals;
use octopoid_crdt::membership::{Mark as MembershipMark, Membership, Seen, View};
use octopoid_crdt::record::Signer;

use super::index::Buckets;
use super::row::TaskNo;
use super::{Event, Leases, Settings};

/// What the writer keeps from one unit to the next.
pub struct WriterState {
    pub(super) database: std::sync::Arc<redb::Database>,
    pub(super) cluster: octopoid_crdt::ids::ClusterId,
    pub(super) signer: Signer,
    /// The session that this run's first record opens.
    pub(super) session: SessionId,
    pub(super) chains: Chains,
    pub(super) place: Place,
    pub(super) membership: Membership,
    /// How many of the membership's sets are on disk.
    pub(super) sets_stored: usize,
    /// What is masked in all that this node holds.
    pub(super) masks: Arc<Removals>,
    /// This node's latest record, and what it has seen.
    pub(super) last_own: Option<(RecordId, Seen)>,
    /// Who belongs to the cluster, for everyone who wants to know.
    pub(super) view: tokio::sync::watch::Sender<Arc<View>>,
    /// What removals leave out, for readers.
    pub(super) masks_shown: tokio::sync::watch::Sender<Arc<Removals>>,
    pub(super) next_arrival: u64,
    pub(super) next_task: TaskNo,
    pub(super) buckets: Buckets,
    pub(super) settings: Settings,
    pub(super) leases: std::sync::Arc<Leases>,
    pub(super) events: tokio::sync::broadcast::Sender<std::sync::Arc<[Event]>>,
    /// Views are derived anew from stored records: these are not written again, and nothing of it is news.
    pub(super) replaying: bool,
}

/// The counters to go back to when a unit or an operation is given up.
#[derive(Debug, Clone)]
pub(super) struct Mark {
    chains: Chains,
    place: Place,
    membership: MembershipMark,
    masks: Arc<Removals>,
    last_own: Option<(RecordId, Seen)>,
    next_arrival: u64,
    next_task: TaskNo,
}

impl WriterState {
    pub(super) fn mark(&self) -> Mark {
        Mark {
            chains: self.chains.clone(),
            place: self.place.clone(),
            membership: self.membership.mark(),
            masks: self.masks.clone(),
            last_own: self.last_own,
            next_arrival: self.next_arrival,
            next_task: self.next_task,
        }
    }

    pub(super) fn reset(&mut self, mark: Mark) {
        (self.chains, self.place) = (mark.chains, mark.place);
        self.membership.reset(mark.membership);
        (self.masks, self.last_own) = (mark.masks, mark.last_own);
        (self.next_arrival, self.next_task) = (mark.next_arrival, mark.next_task);
    }

    /// Starts from no membership, before it is derived anew.
    pub(super) fn forget_membership(&mut self) {
        self.membership = Membership::default();
        self.sets_stored = self.membership.sets();
        self.masks = Arc::new(Removals::none());
        self.last_own = None;
    }

    pub(super) fn publish(&self, events: Vec<Event>) {
        if !events.is_empty() {
            // Nobody may be listening, which is no failure.
            let _ = self.events.send(events.into());
        }
    }
}
