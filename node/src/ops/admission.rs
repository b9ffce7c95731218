//! What a task may name: a role, a queue of its flow, a project.
//!
//! **Invariants**: agents.yaml registers no role here; only roles that were registered over REST in a scope narrow what its
//! tasks may name.

use octopoid_crdt::record::Queue;
use serde::Deserialize;

use super::Refused;
use crate::store::{Fault, Reader, Unit, WriteFault};

/// The collection of roles.
pub const ROLES: &str = "roles";
/// The collection of flows.
pub const FLOWS: &str = "flows";
/// How many names an error lists.
const SHOWN: usize = 20;

#[derive(Deserialize)]
struct Flow {
    states: Vec<String>,
}

#[derive(Deserialize)]
struct Role {
    claims_from: Option<String>,
}

/// Returns the states of a stored flow.
#[must_use]
pub fn states(json: &str) -> Vec<String> {
    serde_json::from_str::<Flow>(json).map(|flow| flow.states).unwrap_or_default()
}

/// Refuses a role that is not registered in a scope where roles are.
///
/// # Errors
/// When it is not, with those that are; the store's own failure is in the outer error.
pub fn role(reader: &Reader, scope: &str, role: &str) -> Result<Result<(), Refused>, Fault> {
    let known: Vec<String> = reader.items(ROLES, Some(scope))?.into_iter().map(|(_, name, _)| name).collect();
    if known.is_empty() || known.iter().any(|name| name == role) {
        return Ok(Ok(()));
    }
    let shown = known.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    Ok(Err(Refused::field("role", format!("'{role}' is not registered in scope '{scope}': use one of {shown}"))))
}

/// Refuses a queue that a flow does not know; built-in ones are known to every flow.
///
/// # Errors
/// When the flow does not know it.
pub fn queue_of_flow(unit: &mut Unit<'_>, scope: &str, flow: &str, queue: &Queue) -> Result<(), Refused> {
    let Queue::Custom(name) = queue else { return Ok(()) };
    let known = unit.item(FLOWS, scope, flow)?.map(|item| states(&item.json)).unwrap_or_default();
    if known.iter().any(|state| state == name.as_str()) {
        Ok(())
    } else {
        Err(Refused::field("queue", format!("'{name}' is neither a built-in queue nor a state of the flow '{flow}'")))
    }
}

/// Refuses a queue that nothing can be claimed from.
///
/// # Errors
/// When it is none of incoming, provisional, needs_continuation and the states of the scope's flows.
pub fn claimable_queue(unit: &mut Unit<'_>, scope: &str, queue: &Queue) -> Result<(), Refused> {
    let refused = || {
        let text = format!("'{}' cannot be claimed from: use incoming, provisional, needs_continuation or a flow's state", queue.as_str());
        Refused::field("queue", text)
    };
    match queue {
        Queue::Incoming | Queue::Provisional | Queue::NeedsContinuation => Ok(()),
        Queue::Claimed | Queue::Done | Queue::Cancelled | Queue::Failed | Queue::Blocked | Queue::Backlog => Err(refused()),
        Queue::Custom(name) => {
            let flows = unit.reader().items(FLOWS, Some(scope));
            let flows = unit.note(flows)?;
            let known = flows.iter().any(|(_, _, item)| states(&item.json).iter().any(|state| state == name.as_str()));
            if known { Ok(()) } else { Err(refused()) }
        }
    }
}

/// Returns the queue that a role claims from, where its registration names one.
///
/// # Errors
/// When the store fails.
pub fn claims_from(unit: &mut Unit<'_>, scope: &str, role: &str) -> Result<Option<String>, WriteFault> {
    let item = unit.item(ROLES, scope, role)?;
    Ok(item.and_then(|item| serde_json::from_str::<Role>(&item.json).ok()?.claims_from))
}
