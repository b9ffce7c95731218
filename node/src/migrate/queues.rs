//! What the queues and roles of other systems are called here.

use octopoid_crdt::record::Queue;

use crate::config::role_of;

/// The event that tells of a claim which nobody holds here.
pub(super) const FROM_CLAIMED: &str = "migrated_from_claimed";

/// Where a task of another system lands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Landing {
    /// The queue.
    pub queue: Queue,
    /// The role that the old queue meant.
    pub role: Option<&'static str>,
    /// A person is asked for.
    pub needs_intervention: bool,
    /// The event that tells of the change; none where nothing changes.
    pub event: Option<&'static str>,
}

/// Finds where a task of a queue lands; none for what is no name of a queue.
pub(super) fn land(queue: &str) -> Option<Landing> {
    let to = |queue: Queue| Landing { queue, role: None, needs_intervention: false, event: None };
    let moved = |queue: Queue, event| Landing { event: Some(event), ..to(queue) };
    Some(match queue {
        // Nobody here holds the claim: the task is offered again, from its branch's name.
        "claimed" => moved(Queue::Incoming, FROM_CLAIMED),
        "breakdown" => Landing { role: Some("breakdown"), ..moved(Queue::Incoming, "migrated_from_breakdown") },
        "rejected" => moved(Queue::Cancelled, "migrated_from_rejected"),
        "recycled" => moved(Queue::Cancelled, "migrated_from_recycled"),
        "escalated" => Landing { needs_intervention: true, ..moved(Queue::Blocked, "migrated_from_escalated") },
        other => to(Queue::parse(other).ok()?),
    })
}

/// Tells whether a blocker in a queue of another system blocks no more.
pub(super) fn has_ended(queue: &str) -> bool {
    land(queue).is_some_and(|landing| matches!(landing.queue, Queue::Done | Queue::Cancelled))
}

/// Returns what a role is called here.
pub(super) fn role(role: &str) -> String {
    role_of(role.trim()).map_or_else(|| role.trim().to_owned(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_queue_of_version_1_has_its_place() {
        for (old, new) in [
            ("incoming", "incoming"),
            ("claimed", "incoming"),
            ("provisional", "provisional"),
            ("done", "done"),
            ("failed", "failed"),
            ("backlog", "backlog"),
            ("blocked", "blocked"),
            ("rejected", "cancelled"),
            ("escalated", "blocked"),
            ("recycled", "cancelled"),
            ("breakdown", "incoming"),
            ("needs_continuation", "needs_continuation"),
            ("my_state", "my_state"),
        ] {
            let landing = land(old).unwrap_or_else(|| panic!("{old}"));
            assert_eq!(landing.queue.as_str(), new, "{old}");
            assert_eq!(landing.event.is_some(), old != new, "{old} tells where it was");
        }
        assert_eq!(land("breakdown").and_then(|landing| landing.role), Some("breakdown"));
        assert!(land("escalated").is_some_and(|landing| landing.needs_intervention));
        assert_eq!((land(""), land("../x")), (None, None));
        assert!(has_ended("done") && has_ended("recycled") && !has_ended("failed"));
    }

    #[test]
    fn roles_get_their_names_here() {
        for (old, new) in [
            ("implementer", "implement"),
            ("gatekeeper", "review"),
            ("reviewer", "review"),
            ("tester", "test"),
            ("implement", "implement"),
            ("my-role", "my-role"),
        ] {
            assert_eq!(role(old), new, "{old}");
        }
    }
}
