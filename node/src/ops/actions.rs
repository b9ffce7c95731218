//! Actions: what somebody proposes to be done about a task, a project or anything else.
//!
//! **Invariants**: what was proposed is written once; what became of it is an entry of its own, and follows the order of
//! [`Status`]; a proposal whose time is over is not begun.

use octopoid_crdt::action::Status;
use octopoid_crdt::ids::{Name, RecordId};

use super::Refused;
use crate::store::posts::{ACTION_STATES, ACTIONS, ActionEntry, ActionState, parse};
use crate::store::{Fault, Reader, Unit};

/// An action with its place and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// Its record.
    pub id: RecordId,
    /// The tenant.
    pub scope: String,
    /// What was proposed.
    pub entry: ActionEntry,
    /// Where it stands.
    pub status: Status,
    /// What it led to.
    pub result: Option<String>,
    /// When its execution was asked for.
    pub executed_ms: Option<u64>,
    /// When it was proposed.
    pub created_ms: u64,
    /// When its status was last set.
    pub updated_ms: u64,
}

impl Action {
    fn new(id: RecordId, scope: &str, entry: ActionEntry, created_ms: u64, state: Option<(ActionState, u64)>) -> Self {
        let created_ms = entry.imported.as_ref().map_or(created_ms, |there| there.created_ms);
        let updated_ms = state.as_ref().map_or(created_ms, |(state, at)| state.updated_ms.unwrap_or(*at));
        let state = state.map(|(state, _)| state);
        Self {
            id,
            scope: scope.to_owned(),
            entry,
            status: state.as_ref().map_or(Status::Proposed, ActionState::status),
            executed_ms: state.as_ref().and_then(|state| state.executed_ms),
            result: state.and_then(|state| state.result),
            created_ms,
            updated_ms,
        }
    }

    /// Tells whether its time was over before anybody began it.
    #[must_use]
    pub fn is_expired(&self, now_ms: u64) -> bool {
        self.status.expires() && self.entry.expires_ms.is_some_and(|expires| expires <= now_ms)
    }
}

/// Proposes an action.
///
/// # Errors
/// When the store fails.
pub fn propose(unit: &mut Unit<'_>, scope: &Name, entry: ActionEntry) -> Result<Action, Refused> {
    let json = serde_json::to_string(&entry).map_err(|error| Refused::field("action_data", error.to_string()))?;
    let about = format!("{}/{}", entry.entity_type, entry.entity_id);
    let id = unit.append(ACTIONS, scope, &about, json, None)?;
    Ok(Action::new(id, scope.as_str(), entry, unit.now_ms(), None))
}

/// Reads what became of an action within a unit.
fn current(unit: &mut Unit<'_>, known: &Action) -> Result<Action, Refused> {
    let state = unit.item(ACTION_STATES, &known.scope, &known.id.to_string())?;
    let state = state.and_then(|item| Some((parse(&item.json)?, item.wall_ms)));
    Ok(Action::new(known.id, &known.scope, known.entry.clone(), known.created_ms, state))
}

fn set(unit: &mut Unit<'_>, action: Action) -> Result<Action, Refused> {
    let scope = super::name("scope", &action.scope)?;
    let state = ActionState {
        status: action.status.as_str().to_owned(),
        result: action.result.clone(),
        executed_ms: action.executed_ms,
        updated_ms: None,
    };
    let json = serde_json::to_string(&state).map_err(|error| Refused::field("result", error.to_string()))?;
    unit.put(ACTION_STATES, &scope, &action.id.to_string(), Some(json))?;
    Ok(Action { updated_ms: unit.now_ms(), ..action })
}

/// Asks for a proposed action to be executed.
///
/// # Errors
/// When it was asked for before, or its time is over.
pub fn execute(unit: &mut Unit<'_>, known: &Action) -> Result<Action, Refused> {
    let action = current(unit, known)?;
    let next = Status::ExecuteRequested;
    if !action.status.may_become(next) {
        return Err(Refused::field("status", format!("the action is '{}': only a proposed one can be executed", action.status.as_str())));
    }
    if action.is_expired(unit.now_ms()) {
        return Err(Refused::field("expires_at", "the action has expired: propose it anew"));
    }
    let executed_ms = Some(unit.now_ms());
    set(unit, Action { status: next, executed_ms, ..action })
}

/// Tells how the execution of an action goes. A result replaces the one before.
///
/// # Errors
/// When the status does not follow from the present one.
pub fn report(unit: &mut Unit<'_>, known: &Action, status: Option<Status>, result: Option<Option<String>>) -> Result<Action, Refused> {
    let mut action = current(unit, known)?;
    let next = status.unwrap_or(action.status);
    let refused = format!("Cannot change action '{}' from '{}' to '{}'", action.id, action.status.as_str(), next.as_str());
    let follows = match status {
        Some(next) => action.status.may_become(next),
        // A result alone, while there is something to tell of.
        None => action.status.may_become(Status::Completed),
    };
    if !follows {
        let why = match action.status {
            Status::Proposed => "nobody has asked for it yet: execute it first",
            Status::ExecuteRequested | Status::Executing => "it goes on to executing, completed or failed",
            Status::Completed | Status::Failed => "it has ended",
        };
        return Err(Refused::step(refused, why));
    }
    action.status = next;
    if let Some(result) = result {
        action.result = result;
    }
    set(unit, action)
}

/// Returns an action; none where there is none of this id.
///
/// # Errors
/// When the store cannot be read.
pub fn get(reader: &Reader, id: &RecordId) -> Result<Option<Action>, Fault> {
    let Some((scope, record)) = reader.action(id)? else { return Ok(None) };
    let octopoid_crdt::record::Body::Append { value, .. } = &record.payload().body else { return Ok(None) };
    parse(value).map(|entry| with_state(reader, id, &scope, entry, record.payload().wall_ms)).transpose()
}

/// Adds what became of an action.
///
/// # Errors
/// When the store cannot be read.
pub fn with_state(reader: &Reader, id: &RecordId, scope: &str, entry: ActionEntry, created_ms: u64) -> Result<Action, Fault> {
    let state = reader.item(ACTION_STATES, scope, &id.to_string())?;
    Ok(Action::new(*id, scope, entry, created_ms, state.and_then(|item| Some((parse(&item.json)?, item.wall_ms)))))
}
