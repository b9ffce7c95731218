//! The names of nodes: public keys, and the ids that libp2p derives from them.
//!
//! **Invariants**: a [`PeerKey`] and a libp2p id of Ed25519 say the same thing; each follows from the other without a look-up.

use std::fmt;
use std::str::FromStr;

use libp2p::PeerId;
use libp2p::identity::{Keypair, ed25519};

/// What stands before the 32 bytes of the key in a libp2p id: the identity hash of a protobuf message with an Ed25519 key.
const ID_PREFIX: [u8; 6] = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20];

/// Names a node by its Ed25519 public key.
///
/// Whether the bytes are a point of the curve shows when such a node has to prove that it owns the key: bytes that are none never connect.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerKey(pub [u8; 32]);

/// States that a text names no node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no peer id; it looks like 12D3KooW… and stands in `octopoid peers` of that node")]
pub struct PeerIdError {
    text: String,
}

impl PeerKey {
    /// Returns the id that libp2p uses for this key.
    #[must_use]
    pub fn peer_id(&self) -> PeerId {
        let mut bytes = [0; 38];
        bytes[..6].copy_from_slice(&ID_PREFIX);
        bytes[6..].copy_from_slice(&self.0);
        PeerId::from_bytes(&bytes).expect("an identity hash of 36 bytes is an id")
    }

    /// Returns the key in a libp2p id; `None` when the id is of another kind of key.
    #[must_use]
    pub fn from_peer_id(id: &PeerId) -> Option<Self> {
        let bytes = id.to_bytes();
        let key = bytes.strip_prefix(&ID_PREFIX[..])?;
        key.try_into().ok().map(Self)
    }
}

impl fmt::Display for PeerKey {
    /// Writes the id as people see it, such as `12D3KooW…`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.peer_id().fmt(f)
    }
}

impl fmt::Debug for PeerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerKey({self})")
    }
}

impl FromStr for PeerKey {
    type Err = PeerIdError;

    fn from_str(text: &str) -> Result<Self, PeerIdError> {
        let shown = || PeerIdError { text: text.chars().take(80).collect() };
        let id: PeerId = text.parse().map_err(|_| shown())?;
        Self::from_peer_id(&id).ok_or_else(shown)
    }
}

/// Holds a node's secret key, and wipes it when dropped. It has no text form.
#[derive(Clone)]
pub struct SecretKey(Keypair);

impl SecretKey {
    /// Takes the 32 bytes of an Ed25519 secret key and wipes the place they came from.
    #[must_use]
    pub fn from_bytes(bytes: &mut [u8; 32]) -> Self {
        let secret = ed25519::SecretKey::try_from_bytes(&mut bytes[..]).expect("any 32 bytes are a secret key");
        Self(Keypair::from(ed25519::Keypair::from(secret)))
    }

    /// Returns the name of the node that holds this key.
    #[must_use]
    pub fn peer_key(&self) -> PeerKey {
        PeerKey::from_peer_id(&self.0.public().to_peer_id()).expect("the pair is of Ed25519")
    }

    pub(crate) fn keypair(&self) -> &Keypair {
        &self.0
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_and_its_id_follow_from_each_other_as_libp2p_defines_it() {
        let secret = SecretKey::from_bytes(&mut [7; 32]);
        let key = secret.peer_key();
        assert_eq!(key.peer_id(), secret.keypair().public().to_peer_id());
        assert_eq!(PeerKey::from_peer_id(&key.peer_id()), Some(key));
        assert_eq!(key.to_string().parse::<PeerKey>(), Ok(key));
        assert!(key.to_string().starts_with("12D3KooW"), "{key}");
    }

    #[test]
    fn an_id_of_another_kind_of_key_names_no_node() {
        let hashed: PeerId = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N".parse().expect("an id by hash");
        assert_eq!(PeerKey::from_peer_id(&hashed), None);
        let error = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N".parse::<PeerKey>().expect_err("no Ed25519 key");
        assert!(error.to_string().contains("octopoid peers"), "{error}");
    }

    #[test]
    fn the_secret_key_is_wiped_where_it_came_from_and_never_shown() {
        let mut bytes = [9; 32];
        let secret = SecretKey::from_bytes(&mut bytes);
        assert_eq!(bytes, [0; 32]);
        assert_eq!(format!("{secret:?}"), "SecretKey(…)");
    }
}
