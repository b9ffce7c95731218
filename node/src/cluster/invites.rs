//! Invitations that this node gave out and that were not used yet: by the hash of their secret, never the secret.
//!
//! **Invariants**: an invitation is on disk before its ticket is shown; that one lets in one machine only is a rule of
//! membership, which all nodes check.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use octopoid_crdt::record::Access;
use serde::{Deserialize, Serialize};

use crate::project::replace_file;

/// How many invitations may be open.
const OPEN: usize = 256;

/// One open invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Invite {
    /// What the new member may do.
    #[serde(with = "access_name")]
    pub access: Access,
    /// When it ends, in milliseconds since 1970 by this node's clock.
    pub expires_ms: u64,
}

mod access_name {
    use octopoid_crdt::record::Access;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(access: &Access, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(crate::cluster::access_name(*access))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Access, D::Error> {
        let text = String::deserialize(deserializer)?;
        crate::cluster::parse_access(&text).ok_or_else(|| D::Error::custom("access is admin, worker or reader"))
    }
}

/// States why no invitation was made.
#[derive(Debug, thiserror::Error)]
pub enum InviteError {
    /// Too many are open.
    #[error("{OPEN} invitations are open: wait until some have expired")]
    TooMany,
    /// The file cannot be written.
    #[error("the invitation could not be kept in {}", path.display())]
    Kept {
        /// The file.
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// The open invitations of a node.
#[derive(Debug)]
pub(super) struct Invites {
    path: PathBuf,
    open: BTreeMap<String, Invite>,
}

impl Invites {
    /// Opens the file; one that is missing or unreadable holds none.
    pub fn open(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        Self { path: path.to_owned(), open: serde_json::from_str(&text).unwrap_or_default() }
    }

    /// Keeps a new invitation.
    pub fn add(&mut self, hash: &[u8; 32], invite: Invite, now_ms: u64) -> Result<(), InviteError> {
        self.open.retain(|_, invite| invite.expires_ms > now_ms);
        if self.open.len() >= OPEN {
            return Err(InviteError::TooMany);
        }
        self.open.insert(hex::encode(hash), invite);
        self.keep()
    }

    /// Returns an invitation that has not expired.
    pub fn get(&self, hash: &[u8; 32], now_ms: u64) -> Option<Invite> {
        self.open.get(&hex::encode(hash)).copied().filter(|invite| invite.expires_ms > now_ms)
    }

    fn keep(&self) -> Result<(), InviteError> {
        let json = serde_json::to_vec_pretty(&self.open).map_err(io::Error::from);
        let written = json.and_then(|json| replace_file(&self.path, &json, 0o600));
        written.map_err(|source| InviteError::Kept { path: self.path.clone(), source })
    }
}
