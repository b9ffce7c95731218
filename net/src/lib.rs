//! Carries opaque frames between authenticated members. Knows no task.
//!
//! A lone node only needs its name in the network; frames come with the cluster.
//!
//! **Invariants**: a node's id in the network follows from its key alone.

use libp2p::identity::{PublicKey, ed25519};

/// States that a key is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are no Ed25519 public key")]
pub struct KeyError;

/// Returns the id in the network of the node that has a public key, such as `12D3KooW…`.
///
/// # Errors
/// When the bytes are no point of the curve.
pub fn peer_id(public_key: &[u8; 32]) -> Result<String, KeyError> {
    let key = ed25519::PublicKey::try_from_bytes(public_key).map_err(|_| KeyError)?;
    Ok(PublicKey::from(key).to_peer_id().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_follows_from_the_key_as_libp2p_defines_it() {
        let pair = ed25519::Keypair::from(ed25519::SecretKey::try_from_bytes([7; 32]).expect("a secret key"));
        let id = peer_id(&pair.public().to_bytes()).expect("a key of the curve");
        assert!(id.starts_with("12D3KooW"), "{id}");
        assert_eq!(id.parse::<libp2p::PeerId>().expect("an id").to_string(), id);
        assert_eq!(id, libp2p::identity::Keypair::from(pair).public().to_peer_id().to_string());
    }
}
