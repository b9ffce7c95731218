//! What a task may name: a role, a queue of its flow, a project.
//!
//! **Invariants**: agents.yaml registers no role here; only roles that were registered over REST in a scope narrow what its
//! tasks may name.

use octopoid_crdt::flow::{Flow, knows, may_move};
use octopoid_crdt::record::Queue;

use super::{Refused, flows, roles};
use crate::store::{Fault, Reader, TaskNo, Unit, WriteFault};

/// How many names an error lists.
const SHOWN: usize = 20;

/// Refuses a role that is not registered in a scope where roles are.
///
/// # Errors
/// When it is not, with those that are; the store's own failure is in the outer error.
pub fn role(reader: &Reader, scope: &str, role: &str) -> Result<Result<(), Refused>, Fault> {
    let known: Vec<String> = reader.items(roles::COLLECTION, Some(scope))?.into_iter().map(|(_, name, _)| name).collect();
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
    let found = if matches!(queue, Queue::Custom(_)) { flows::of(unit, scope, flow)? } else { None };
    known_to(found.as_ref(), flow, queue)
}

fn known_to(flow: Option<&Flow>, name: &str, queue: &Queue) -> Result<(), Refused> {
    if knows(flow, queue) {
        return Ok(());
    }
    Err(Refused::field("queue", format!("'{}' is neither a built-in queue nor a state of the flow '{name}'", queue.as_str())))
}

/// Refuses an edit of the queue that the task's flow does not allow. `flow` is the one that the same edit gives the task.
///
/// # Errors
/// When the flow does not know the queue, or has no step to it from where the task is.
pub fn step_of_flow(unit: &mut Unit<'_>, no: TaskNo, flow: Option<&str>, to: &Queue) -> Result<(), Refused> {
    let row = unit.row(no)?;
    let (scope, id, from) = (row.scope.clone(), row.id.clone(), row.queue.clone());
    let name = flow.or_else(|| row.text("flow")).unwrap_or(flows::DEFAULT).to_owned();
    let found = flows::of(unit, &scope, &name)?;
    known_to(found.as_ref(), &name, to)?;
    let known = Queue::parse(&from).is_ok_and(|from| may_move(found.as_ref(), &from, to));
    if known {
        return Ok(());
    }
    let refused = format!("Cannot move task '{id}' from '{from}' to '{}'", to.as_str());
    Err(Refused::step(refused, format!("the flow '{name}' has no transition from '{from}' to '{}'", to.as_str())))
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
    let claimed_from = match queue {
        Queue::Custom(name) => {
            let known = flows::list(unit.reader(), scope);
            unit.note(known)?.iter().any(|flow| flow.stored.states.iter().any(|state| state == name.as_str()))
        }
        Queue::Incoming | Queue::Provisional | Queue::NeedsContinuation => true,
        Queue::Claimed | Queue::Done | Queue::Cancelled | Queue::Failed | Queue::Blocked | Queue::Backlog => false,
    };
    if claimed_from { Ok(()) } else { Err(refused()) }
}

/// Tells whether a built-in queue is one that agents claim from.
#[must_use]
pub const fn is_claimed_from(queue: &Queue) -> bool {
    match queue {
        Queue::Incoming | Queue::Provisional | Queue::NeedsContinuation => true,
        Queue::Claimed | Queue::Done | Queue::Cancelled | Queue::Failed | Queue::Blocked | Queue::Backlog | Queue::Custom(_) => false,
    }
}

/// Returns the queue that a role claims from, where its registration names one.
///
/// # Errors
/// When the store fails.
pub fn claims_from(unit: &mut Unit<'_>, scope: &str, role: &str) -> Result<Option<String>, WriteFault> {
    let known = roles::get(unit.reader(), scope, role);
    Ok(unit.note(known)?.and_then(|role| role.stored.claims_from))
}
