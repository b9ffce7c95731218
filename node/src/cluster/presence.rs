//! What a node tells the others of itself, for people and for finding each other again.
//!
//! **Invariants**: nothing here decides anything about a task; what a member says of itself is shown, never trusted.

use serde::{Deserialize, Serialize};

/// Of how many other members a node tells addresses, and how many of each: a full presence fits its frame.
pub(super) const OTHERS: usize = 48;
/// See [`OTHERS`].
pub(super) const OTHERS_ADDRESSES: usize = 3;
/// How many heartbeats of orchestrators are heard in one presence.
const HEARTBEATS: usize = 128;
/// The longest name of one: a scope and an id.
const HEARTBEAT_NAME: usize = 260;
/// How many addresses a node tells of itself.
const ADDRESSES: usize = 16;

/// What a node tells of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// What its machine is called.
    #[serde(default)]
    pub machine: String,
    /// The version of its program.
    #[serde(default)]
    pub version: String,
    /// Where it can be reached.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// Where it reaches other members, by their peer ids: who joins by one member finds the others so.
    #[serde(default)]
    pub others: Vec<(String, Vec<String>)>,
    /// How many agents work there now.
    #[serde(default)]
    pub agents: u32,
    /// Why it does not claim, if it does not.
    #[serde(default)]
    pub idle: Option<String>,
    /// When its orchestrators, by scope and id with a slash between, were last heard, in seconds ago.
    #[serde(default)]
    pub heartbeats: Vec<(String, u64)>,
}

impl Presence {
    /// Reads what a member sent; none when it is not readable.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut presence: Self = serde_json::from_str(text).ok()?;
        presence.addresses.truncate(ADDRESSES);
        presence.others.truncate(OTHERS);
        presence.heartbeats.truncate(HEARTBEATS);
        presence.heartbeats.retain(|(name, _)| name.len() <= HEARTBEAT_NAME);
        presence.machine = printable(&presence.machine);
        presence.version = printable(&presence.version);
        presence.idle = presence.idle.as_deref().map(printable);
        Some(presence)
    }

    /// Writes it as it is sent.
    #[must_use]
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Keeps what a terminal can show harmlessly.
fn printable(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).take(128).collect()
}
