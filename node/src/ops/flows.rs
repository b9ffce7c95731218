//! Flows that were registered in a scope.
//!
//! **Invariants**: a flow is written when it says something new; what a later version wrote in another way binds nobody here.

use octopoid_crdt::flow::{Flow, Step};
use octopoid_crdt::ids::Name;
use octopoid_crdt::record::Queue;
use serde::{Deserialize, Serialize};

use super::Refused;
use crate::store::{Fault, Reader, TaskNo, Unit, WriteFault};

/// The collection of flows.
pub const COLLECTION: &str = "flows";

/// The flow of tasks that name none.
pub const DEFAULT: &str = "default";

/// A flow as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// The states' names.
    pub states: Vec<String>,
    /// The steps.
    #[serde(default)]
    pub transitions: Vec<Transition>,
    /// When it was first registered.
    #[serde(default)]
    pub created_ms: u64,
    /// When it was last changed, where that was in another system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_ms: Option<u64>,
}

/// A step between two states, by their names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// Where it begins.
    pub from: String,
    /// Where it leads.
    pub to: String,
}

/// One flow with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The tenant.
    pub scope: String,
    /// The name.
    pub name: String,
    /// What is stored.
    pub stored: Stored,
    /// When it was last changed.
    pub updated_ms: u64,
}

impl Stored {
    fn of(flow: &Flow, created_ms: u64) -> Self {
        let name = |queue: &Queue| queue.as_str().to_owned();
        let transition = |step: &Step| Transition { from: name(&step.from), to: name(&step.to) };
        Self {
            states: flow.states().iter().map(name).collect(),
            transitions: flow.steps().iter().map(transition).collect(),
            created_ms,
            updated_ms: None,
        }
    }

    fn parse(json: &str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    /// Returns the rules that it stands for; none for what is no flow.
    fn flow(&self) -> Option<Flow> {
        self.rules().ok()
    }

    fn rules(&self) -> Result<Flow, String> {
        let queue = |name: &String| Queue::parse(name).map_err(|_| format!("'{name}' is no name of a state"));
        let step = |step: &Transition| Ok::<_, String>(Step { from: queue(&step.from)?, to: queue(&step.to)? });
        let states = self.states.iter().map(queue).collect::<Result<_, _>>()?;
        let steps = self.transitions.iter().map(step).collect::<Result<_, _>>()?;
        Flow::new(states, steps).map_err(|error| error.to_string())
    }

    /// Checks that it is a flow.
    ///
    /// # Errors
    /// When it is none, with the reason.
    pub fn check(&self) -> Result<(), String> {
        self.rules().map(drop)
    }

    fn updated_ms(&self, wall_ms: u64) -> u64 {
        self.updated_ms.unwrap_or(wall_ms)
    }
}

/// Returns a flow of a scope; none where none of that name was registered.
///
/// # Errors
/// When the store fails.
pub fn of(unit: &mut Unit<'_>, scope: &str, name: &str) -> Result<Option<Flow>, WriteFault> {
    Ok(unit.item(COLLECTION, scope, name)?.and_then(|item| Stored::parse(&item.json)?.flow()))
}

/// Returns the name of a task's flow, and the flow where it is registered.
///
/// # Errors
/// When the store fails.
pub fn of_task(unit: &mut Unit<'_>, no: TaskNo) -> Result<(String, Option<Flow>), WriteFault> {
    let row = unit.row(no)?;
    let (scope, name) = (row.scope.clone(), row.text("flow").unwrap_or(DEFAULT).to_owned());
    let flow = of(unit, &scope, &name)?;
    Ok((name, flow))
}

/// Registers a flow, or replaces it.
///
/// # Errors
/// When the store fails.
pub fn put(unit: &mut Unit<'_>, scope: &Name, name: &Name, flow: &Flow) -> Result<Listed, Refused> {
    let known = unit.item(COLLECTION, scope.as_str(), name.as_str())?;
    let before = known.as_ref().and_then(|item| Stored::parse(&item.json));
    let stored = Stored::of(flow, before.as_ref().map_or(unit.now_ms(), |before| before.created_ms));
    let updated_ms = match known {
        Some(known) if before.as_ref() == Some(&stored) => known.wall_ms,
        Some(_) | None => {
            let json = serde_json::to_string(&stored).map_err(|error| Refused::field("states", error.to_string()))?;
            unit.put(COLLECTION, scope, name.as_str(), Some(json))?;
            unit.now_ms()
        }
    };
    Ok(Listed { scope: scope.to_string(), name: name.to_string(), stored, updated_ms })
}

/// Forgets a flow; its tasks stay where they are. Tells whether there was one.
///
/// # Errors
/// When the store fails.
pub fn delete(unit: &mut Unit<'_>, scope: &Name, name: &str) -> Result<bool, Refused> {
    let known = unit.item(COLLECTION, scope.as_str(), name)?.is_some();
    if known {
        unit.put(COLLECTION, scope, name, None)?;
    }
    Ok(known)
}

/// Returns a flow; none where there is none of this name in the scope.
///
/// # Errors
/// When the store cannot be read.
pub fn get(reader: &Reader, scope: &str, name: &str) -> Result<Option<Listed>, Fault> {
    let found = reader.item(COLLECTION, scope, name)?;
    let listed = |item: crate::store::Stored| {
        let stored = Stored::parse(&item.json)?;
        let updated_ms = stored.updated_ms(item.wall_ms);
        Some(Listed { scope: scope.to_owned(), name: name.to_owned(), stored, updated_ms })
    };
    Ok(found.and_then(listed))
}

/// Returns the flows of a scope, in the order of their names.
///
/// # Errors
/// When the store cannot be read.
pub fn list(reader: &Reader, scope: &str) -> Result<Vec<Listed>, Fault> {
    let listed = |(scope, name, item): (String, String, crate::store::Stored)| {
        let stored = Stored::parse(&item.json)?;
        Some(Listed { scope, name, updated_ms: stored.updated_ms(item.wall_ms), stored })
    };
    Ok(reader.items(COLLECTION, Some(scope))?.into_iter().filter_map(listed).collect())
}
