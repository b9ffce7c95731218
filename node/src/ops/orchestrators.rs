//! Orchestrators: whoever claims tasks over REST.
//!
//! **Invariants**: a registration is written when it says something new, never for a heartbeat; the time of the first one
//! is kept.

use octopoid_crdt::ids::Name;
use octopoid_crdt::record::limits;
use serde::{Deserialize, Serialize};

use super::Refused;
use crate::store::{Reader, Unit, WriteFault};

/// The collection of registrations.
pub const COLLECTION: &str = "orchestrators";

/// What a person says of an orchestrator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wish {
    /// It works, as long as it is heard.
    #[default]
    Active,
    /// It is away, until it is heard again.
    Offline,
    /// It is kept from work.
    Maintenance,
}

impl Wish {
    /// Reads a status.
    ///
    /// # Errors
    /// When it is none of the three.
    pub fn parse(text: &str) -> Result<Self, Refused> {
        match text {
            "active" => Ok(Self::Active),
            "offline" => Ok(Self::Offline),
            "maintenance" => Ok(Self::Maintenance),
            other => Err(Refused::field("status", format!("'{other}' is not one of active, offline, maintenance"))),
        }
    }

    /// Returns the status's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Offline => "offline",
            Self::Maintenance => "maintenance",
        }
    }
}

/// One registration as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// The cluster's name.
    pub cluster: String,
    /// The machine's name.
    pub machine_id: String,
    /// The repository that it works on.
    #[serde(default)]
    pub repo_url: Option<String>,
    /// The host's name.
    #[serde(default)]
    pub hostname: Option<String>,
    /// Its program's version.
    #[serde(default)]
    pub version: Option<String>,
    /// What it can do, as JSON text.
    #[serde(default)]
    pub capabilities: Option<String>,
    /// False for one that claimed without ever registering.
    pub registered: bool,
    /// When it first registered, or claimed.
    pub registered_ms: u64,
    /// What a person last said of it, and when.
    #[serde(default)]
    pub wish: Wish,
    /// When that was.
    #[serde(default)]
    pub wish_ms: u64,
}

/// One registration with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The tenant.
    pub scope: String,
    /// The orchestrator's id.
    pub id: String,
    /// What is stored.
    pub registration: Registration,
}

/// What a registration led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// The orchestrator's id.
    pub id: String,
    /// It was not registered before.
    pub first: bool,
    /// What is stored now.
    pub registration: Registration,
}

/// Joins an orchestrator's id.
///
/// # Errors
/// When a part is no name, or the whole is too long for a claim.
pub fn id(cluster: &str, machine_id: &str) -> Result<String, Refused> {
    super::name("cluster", cluster)?;
    super::name("machine_id", machine_id)?;
    let id = format!("{cluster}-{machine_id}");
    if id.len() > limits::LABEL {
        return Err(Refused::field(
            "machine_id",
            format!("cluster and machine_id have {} bytes, the limit is {}", id.len(), limits::LABEL),
        ));
    }
    Ok(id)
}

fn read(json: &str) -> Option<Registration> {
    serde_json::from_str(json).ok()
}

fn stored(unit: &mut Unit<'_>, scope: &str, id: &str) -> Result<Option<Registration>, WriteFault> {
    Ok(unit.item(COLLECTION, scope, id)?.and_then(|stored| read(&stored.json)))
}

fn write(unit: &mut Unit<'_>, scope: &Name, id: &str, registration: &Registration) -> Result<(), Refused> {
    let json = serde_json::to_string(registration).map_err(|error| Refused::field("capabilities", error.to_string()))?;
    unit.put(COLLECTION, scope, id, Some(json))?;
    Ok(())
}

/// Registers an orchestrator, or brings its registration up to date.
///
/// # Errors
/// When its names are none.
pub fn register(unit: &mut Unit<'_>, scope: &Name, wanted: Registration) -> Result<Registered, Refused> {
    let id = id(&wanted.cluster, &wanted.machine_id)?;
    let known = stored(unit, scope.as_str(), &id)?;
    let now = unit.now_ms();
    let mut registration = Registration { registered: true, registered_ms: now, ..wanted };
    let registered_before = known.as_ref().filter(|known| known.registered);
    if let Some(known) = registered_before {
        registration.registered_ms = known.registered_ms;
        (registration.wish, registration.wish_ms) = (known.wish, known.wish_ms);
    }
    let first = registered_before.is_none();
    if known.as_ref() != Some(&registration) {
        write(unit, scope, &id, &registration)?;
    }
    Ok(Registered { id, first, registration })
}

/// Lists an orchestrator that claims without having registered.
///
/// # Errors
/// When the store fails.
pub fn note_claimant(unit: &mut Unit<'_>, scope: &str, id: &str) -> Result<(), Refused> {
    if unit.item(COLLECTION, scope, id)?.is_some() {
        return Ok(());
    }
    let scope = super::name("scope", scope)?;
    let registered_ms = unit.now_ms();
    let registration = Registration {
        cluster: String::new(),
        machine_id: id.to_owned(),
        repo_url: None,
        hostname: None,
        version: None,
        capabilities: None,
        registered: false,
        registered_ms,
        wish: Wish::Active,
        wish_ms: 0,
    };
    write(unit, &scope, id, &registration)
}

/// Sets what a person says of an orchestrator; none when it is not known.
///
/// # Errors
/// When the store fails.
pub fn set_wish(unit: &mut Unit<'_>, scope: &Name, id: &str, wish: Wish) -> Result<Option<Registration>, Refused> {
    let Some(mut registration) = stored(unit, scope.as_str(), id)? else { return Ok(None) };
    (registration.wish, registration.wish_ms) = (wish, unit.now_ms());
    write(unit, scope, id, &registration)?;
    Ok(Some(registration))
}

/// Returns the registrations of one scope, or of all.
///
/// # Errors
/// When the store cannot be read.
pub fn list(reader: &Reader, scope: Option<&str>) -> Result<Vec<Listed>, crate::store::Fault> {
    let items = reader.items(COLLECTION, scope)?.into_iter();
    // An entry that a later version wrote in another way is not listed.
    Ok(items.filter_map(|(scope, id, stored)| Some(Listed { scope, id, registration: read(&stored.json)? })).collect())
}
