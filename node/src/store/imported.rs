//! What a task brought from another system: the text of `imported` in its creation.
//!
//! The text travels in a signed record, so its author may have written anything up to the record's limit. What does not read as
//! described in `docs/storage.md` brings nothing, and the task is shown as one that was made here.
//!
//! **Invariants**: reading never fails and never decides anything about the lifecycle: what came along is shown, added up and
//! ordered by, no more.

use std::collections::BTreeMap;

use minicbor::{CborLen, Decode, Encode};
use octopoid_crdt::lifecycle::Entry;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::read::StoredLog;

/// The version of the text.
pub const VERSION: u32 = 1;

/// What came along with a task.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Imported {
    /// The version of this text.
    pub version: u32,
    /// Which system it came from.
    pub source: String,
    /// BLAKE3 of all that the source said of the task, in hex: what tells a repeated import from a changed task.
    pub hash: String,
    /// When the task was made there, in milliseconds since 1970, as the further times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_ms: Option<u64>,
    /// When it was last changed there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_ms: Option<u64>,
    /// When it was submitted there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submitted_ms: Option<u64>,
    /// When it was finished there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_ms: Option<u64>,
    /// How often it was sent back there.
    #[serde(default)]
    pub attempt_count: u32,
    /// How often its work was rejected there.
    #[serde(default)]
    pub rejection_count: u32,
    /// What happened to it there, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<PastEvent>,
    /// What else the source said, by its own names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, Value>,
}

/// One event of another system.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PastEvent {
    /// What happened.
    pub event: String,
    /// Who did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// More about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<String>,
    /// When, in milliseconds since 1970.
    #[serde(default)]
    pub at_ms: u64,
    /// On which node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}

impl Imported {
    /// Reads the text; none for one of a later version, or of none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().filter(|imported: &Self| imported.version == VERSION)
    }
}

/// The part of it that lists need.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode, CborLen)]
pub struct Brought {
    /// When the task was made.
    #[n(0)]
    pub created_ms: Option<u64>,
    /// When it was last changed.
    #[n(1)]
    pub updated_ms: Option<u64>,
    /// When it was submitted.
    #[n(2)]
    pub submitted_ms: Option<u64>,
    /// When it was finished.
    #[n(3)]
    pub completed_ms: Option<u64>,
    /// How often it was sent back.
    #[n(4)]
    pub attempt_count: u32,
    /// How often its work was rejected.
    #[n(5)]
    pub rejection_count: u32,
}

impl From<Imported> for Brought {
    fn from(imported: Imported) -> Self {
        Self {
            created_ms: imported.created_ms,
            updated_ms: imported.updated_ms,
            submitted_ms: imported.submitted_ms,
            completed_ms: imported.completed_ms,
            attempt_count: imported.attempt_count,
            rejection_count: imported.rejection_count,
        }
    }
}

/// Tells whether a task is still as it came: all of its records were written with its creation.
pub(super) fn is_untouched(log: &StoredLog) -> bool {
    let mut written = log.log.entries().iter().zip(&log.walls).map(|(entry, wall): (&Entry, &u64)| (entry.author, *wall));
    let Some(first) = written.next() else { return false };
    written.all(|other| other == first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_golden_text_of_version_1_reads_and_is_written_the_same() {
        let golden = include_str!("../../tests/golden/imported/v1.json").trim_end();
        let read = Imported::parse(golden).expect("the golden text");
        assert_eq!((read.attempt_count, read.history.len()), (2, 2));
        assert_eq!(serde_json::to_string(&read).expect("JSON"), golden);
    }

    #[test]
    fn a_text_of_a_later_version_or_of_none_brings_nothing() {
        for text in ["", "null", "[]", "{}", r#"{"version":2,"source":"x","hash":""}"#, r#"{"version":1,"hash":"x"}"#] {
            assert_eq!(Imported::parse(text), None, "{text}");
        }
    }
}
