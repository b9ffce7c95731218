//! Keys of scopes: whoever registers an orchestrator first in a scope is told its key, once.
//!
//! **Invariants**: a key is stored as its hash alone; a scope has at most one.

use octopoid_crdt::ids::Name;
use serde::{Deserialize, Serialize};

use super::Refused;
use crate::store::Unit;

/// The collection of the hashes.
pub const COLLECTION: &str = "keys";
/// How every token begins.
pub const PREFIX: &str = "oct_";
/// The one entry of a scope.
const ENTRY: &str = "current";

/// A key as it is told once. Its `Debug` shows nothing of it.
pub struct Key(String);

impl Key {
    /// Makes a key of 32 random bytes.
    #[must_use]
    pub fn new(random: &[u8; 32]) -> Self {
        Self(format!("{PREFIX}{}", hex::encode(random)))
    }

    /// Gives the text away.
    #[must_use]
    pub fn into_text(self) -> String {
        self.0
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

#[derive(Serialize, Deserialize)]
struct Entry {
    hash: String,
}

/// Hashes a key. A key holds 256 random bits, so a fast hash is enough.
#[must_use]
pub fn hash(text: &str) -> String {
    blake3::Hasher::new_derive_key("octopoid/api-key/v1").update(text.as_bytes()).finalize().to_hex().to_string()
}

/// Returns the hash in a stored entry; an entry that is none matches no key.
#[must_use]
pub fn stored_hash(json: &str) -> String {
    serde_json::from_str::<Entry>(json).map(|entry| entry.hash).unwrap_or_default()
}

/// Sets the key of a scope that has none; returns whether it had none.
///
/// # Errors
/// When the store fails.
pub fn issue(unit: &mut Unit<'_>, scope: &Name, key: &Key) -> Result<bool, Refused> {
    if unit.item(COLLECTION, scope.as_str(), ENTRY)?.is_some() {
        return Ok(false);
    }
    replace(unit, scope, key)?;
    Ok(true)
}

/// Sets the key of a scope, whether or not it had one.
///
/// # Errors
/// When the store fails.
pub fn replace(unit: &mut Unit<'_>, scope: &Name, key: &Key) -> Result<(), Refused> {
    let entry = serde_json::json!({ "hash": hash(&key.0) });
    unit.put(COLLECTION, scope, ENTRY, Some(entry.to_string()))?;
    Ok(())
}
