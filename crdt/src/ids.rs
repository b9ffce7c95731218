//! Newtypes for every identifier that crosses a module border.
//!
//! **Invariants**: a value of one of these types is well formed; binary ids print and parse as lower-case hex.

use std::{fmt, str::FromStr};

/// States why a text is not the identifier that it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// A binary id must be exactly this many lower-case hex digits.
    #[error("an id must be {expected} hex digits")]
    Hex { expected: usize },
    /// A task, project or scope name left the allowed pattern.
    #[error("'{0}' must match [A-Za-z0-9][A-Za-z0-9._-]{{0,127}}, without '..', a trailing '.' or '.lock'")]
    Name(String),
}

macro_rules! binary_id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// The size in bytes.
            pub const LEN: usize = $len;

            /// Returns the bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// Returns the first eight hex digits, for people and for names of branches.
            #[must_use]
            pub fn short(&self) -> String {
                hex::encode(&self.0[..4])
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.short())
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let mut bytes = [0; $len];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| IdError::Hex { expected: 2 * $len })?;
                Ok(Self(bytes))
            }
        }
    };
}

binary_id!(
    /// The content hash that names one record in its cluster.
    RecordId, 32
);
binary_id!(
    /// A node's Ed25519 public key, the author of records.
    AuthorKey, 32
);
binary_id!(
    /// One run of a node's process, drawn at random when it writes its first record.
    SessionId, 16
);
binary_id!(
    /// The hash of a cluster's Genesis body.
    ClusterId, 32
);
binary_id!(
    /// What a record speaks about: the hash of a kind of thing, its scope and its id.
    Subject, 32
);

impl Subject {
    /// The subject of records that speak of the cluster itself.
    pub const CLUSTER: Self = Self([0; 32]);

    fn of(domain: &str, parts: [&str; 2]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(domain.as_bytes());
        for part in parts {
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part.as_bytes());
        }
        Self(*hasher.finalize().as_bytes())
    }

    /// Names a task by its scope and id.
    #[must_use]
    pub fn task(scope: &Name, id: &Name) -> Self {
        Self::of("octopoid/task/v1", [scope.as_str(), id.as_str()])
    }

    /// Names an entry of a collection other than tasks, such as a project or an orchestrator.
    #[must_use]
    pub fn entry(collection: &str, scope: &Name, id: &str) -> Self {
        Self::of(&format!("octopoid/{collection}/v1"), [scope.as_str(), id])
    }
}

/// A git object id, 20 bytes for SHA-1 and 32 for SHA-256 repositories.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Oid(Vec<u8>);

impl Oid {
    /// Wraps raw bytes; `None` unless there are 20 or 32.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        matches!(bytes.len(), 20 | 32).then(|| Self(bytes.to_vec()))
    }

    /// Returns the bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Oid({self})")
    }
}

impl FromStr for Oid {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        hex::decode(text).ok().and_then(|bytes| Self::from_bytes(&bytes)).ok_or(IdError::Hex { expected: 40 })
    }
}

/// A name that is safe in paths, branches and URLs: task ids, project ids, scopes, agents' and machines' names.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let mut bytes = text.bytes();
        let first = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric());
        let rest = bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        let fits = text.len() <= 128 && !text.contains("..") && !text.ends_with('.') && !text.ends_with(".lock");
        if first && rest && fits { Ok(Self(text.to_owned())) } else { Err(IdError::Name(text.chars().take(140).collect())) }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({})", self.0)
    }
}

/// How an attempt is named in branches, worktrees, logs, rescue refs and trailers: `<epoch>-<first 8 hex of the claim's id>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptName {
    /// The claim's epoch (in server-wins mode the grant's number).
    pub epoch: u64,
    /// The first four bytes of the claim's id.
    pub claim: [u8; 4],
}

impl AttemptName {
    /// Names the attempt that a claim opened.
    #[must_use]
    pub fn new(epoch: u64, claim: &RecordId) -> Self {
        let [a, b, c, d, ..] = claim.0;
        Self { epoch, claim: [a, b, c, d] }
    }
}

impl fmt::Display for AttemptName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, hex::encode(self.claim))
    }
}

impl FromStr for AttemptName {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let wrong = || IdError::Hex { expected: 8 };
        let (epoch, claim) = text.split_once('-').ok_or_else(wrong)?;
        let mut bytes = [0; 4];
        hex::decode_to_slice(claim, &mut bytes).map_err(|_| wrong())?;
        let name = Self { epoch: epoch.parse().map_err(|_| wrong())?, claim: bytes };
        // One attempt has one name: no leading zero or plus, no capitals.
        if name.to_string() == text { Ok(name) } else { Err(wrong()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_has_one_name_and_no_other() {
        let name: AttemptName = "12-3fa9c2d1".parse().expect("a name");
        assert_eq!(name.to_string(), "12-3fa9c2d1");
        for other in ["012-3fa9c2d1", "+12-3fa9c2d1", "12-3FA9C2D1", "12-3fa9c2d", "12-3fa9c2d1-", "-3fa9c2d1", "12"] {
            assert!(other.parse::<AttemptName>().is_err(), "{other}");
        }
    }
}
