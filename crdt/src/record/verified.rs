//! Signatures: the proof that a record's author said it, kept in the type.
//!
//! **Invariants**: a [`Verified`] was signed by its author for its cluster; its bytes are those received; its id is the
//! hash of its payload in its cluster, without the signature, so nobody can make a second id for one statement.

use std::{fmt, sync::Arc};

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use super::{Body, Payload, PayloadError, limits};
use crate::ids::{AuthorKey, ClusterId, RecordId};

/// The bytes that follow the payload.
pub const SIGNATURE_LEN: usize = 64;

const ID_DOMAIN: &[u8] = b"octopoid/id/v1";
const SIGNATURE_DOMAIN: &[u8] = b"octopoid/record/v1\0";
const CLUSTER_DOMAIN: &[u8] = b"octopoid/cluster/v1";

/// A node's secret key. Wiped from memory when dropped; `Debug` shows the public key only.
#[derive(Clone)]
pub struct Signer(SigningKey);

impl Signer {
    /// Makes the key from its 32 secret bytes, which the caller draws at random or reads from its key file.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// Returns the public key, the author of what this key signs.
    #[must_use]
    pub fn author(&self) -> AuthorKey {
        AuthorKey(self.0.verifying_key().to_bytes())
    }

    /// Signs bytes that carry a domain of their own.
    pub(crate) fn sign_bytes(&self, bytes: &[u8]) -> [u8; SIGNATURE_LEN] {
        self.0.sign(bytes).to_bytes()
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.author().short())
    }
}

/// States why received bytes are not a record of the cluster.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The bytes are fewer than a signature or more than [`limits::RECORD`].
    #[error("a record has {} to {} bytes, these are {found}", SIGNATURE_LEN + 1, limits::RECORD)]
    Size {
        /// How many bytes came.
        found: usize,
    },
    /// The payload is malformed or breaks a rule.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// The author is no Ed25519 public key.
    #[error("the author is not a public key")]
    Author,
    /// The author did not sign these bytes for this cluster.
    #[error("the signature is not the author's over this record in this cluster")]
    Signature,
    /// A genesis record founds another cluster.
    #[error("the genesis record founds another cluster")]
    Cluster,
}

/// States why a payload could not be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The payload breaks a rule.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// The payload names another author than the key.
    #[error("the author must be the signing key's own")]
    Author,
    /// A genesis record founds another cluster.
    #[error("the genesis record founds another cluster")]
    Cluster,
}

/// A record whose signature and form were checked. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Verified(Arc<Inner>);

#[derive(PartialEq, Eq)]
struct Inner {
    id: RecordId,
    cluster: ClusterId,
    payload: Payload,
    wire: Vec<u8>,
}

impl Verified {
    /// Checks received bytes: size, signature over the bytes as they came, canonical form, rules of the payload.
    ///
    /// # Errors
    /// When the bytes are not a record of this cluster; the error says why. Nothing of them may be kept then.
    pub fn check(cluster: ClusterId, wire: &[u8]) -> Result<Self, RecordError> {
        let (payload, signature) = split(wire)?;
        let author = Payload::peek_author(payload)?;
        let key = VerifyingKey::from_bytes(author.as_bytes()).map_err(|_| RecordError::Author)?;
        let signature = Signature::from_bytes(signature);
        key.verify_strict(&signed_bytes(cluster, payload), &signature).map_err(|_| RecordError::Signature)?;
        Self::decode(cluster, wire)
    }

    /// Reads bytes that **this node's own store** returned, which were checked when they were stored.
    ///
    /// Spares the signature (half of a start's time), not the form. Bytes from a peer, a file or a backup that another
    /// program could have written go through [`Verified::check`].
    ///
    /// # Errors
    /// When the bytes are not a record of this cluster in its canonical form: the store is damaged.
    pub fn from_own_store(cluster: ClusterId, wire: &[u8]) -> Result<Self, RecordError> {
        Self::decode(cluster, wire)
    }

    /// Signs a payload.
    ///
    /// # Errors
    /// When the payload breaks a rule, names another author, or founds another cluster.
    pub fn sign(signer: &Signer, cluster: ClusterId, payload: Payload) -> Result<Self, SignError> {
        if payload.author != signer.author() {
            return Err(SignError::Author);
        }
        let mut wire = payload.encode()?;
        if !founds(&payload.body, cluster)? {
            return Err(SignError::Cluster);
        }
        let id = record_id(cluster, &wire);
        let signature = signer.0.sign(&signed_bytes(cluster, &wire));
        wire.extend_from_slice(&signature.to_bytes());
        Ok(Self(Arc::new(Inner { id, cluster, payload, wire })))
    }

    fn decode(cluster: ClusterId, wire: &[u8]) -> Result<Self, RecordError> {
        let (bytes, _) = split(wire)?;
        let payload = Payload::decode(bytes)?;
        if !founds(&payload.body, cluster)? {
            return Err(RecordError::Cluster);
        }
        Ok(Self(Arc::new(Inner { id: record_id(cluster, bytes), cluster, payload, wire: wire.to_vec() })))
    }

    /// Returns the record's name.
    #[must_use]
    pub fn id(&self) -> RecordId {
        self.0.id
    }

    /// Returns the cluster that it was signed for.
    #[must_use]
    pub fn cluster(&self) -> ClusterId {
        self.0.cluster
    }

    /// Returns what was said.
    #[must_use]
    pub fn payload(&self) -> &Payload {
        &self.0.payload
    }

    /// Returns the bytes to store and to relay, exactly as they were signed or received.
    #[must_use]
    pub fn wire(&self) -> &[u8] {
        &self.0.wire
    }
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified").field("id", &self.0.id).field("payload", &self.0.payload).field("bytes", &self.0.wire.len()).finish()
    }
}

/// Returns the id of the cluster that a Genesis body founds; `None` for any other body.
#[must_use]
pub fn cluster_id(genesis: &Body) -> Option<ClusterId> {
    founded(genesis).ok().flatten()
}

fn founded(body: &Body) -> Result<Option<ClusterId>, PayloadError> {
    let Body::Genesis { .. } = body else { return Ok(None) };
    let mut hasher = blake3::Hasher::new();
    hasher.update(CLUSTER_DOMAIN).update(&body.encode()?);
    Ok(Some(ClusterId(*hasher.finalize().as_bytes())))
}

/// Tells whether the body may be in this cluster: a Genesis only in the one that it founds.
fn founds(body: &Body, cluster: ClusterId) -> Result<bool, PayloadError> {
    Ok(founded(body)?.is_none_or(|founded| founded == cluster))
}

fn split(wire: &[u8]) -> Result<(&[u8], &[u8; SIGNATURE_LEN]), RecordError> {
    let found = wire.len();
    if found > limits::RECORD {
        return Err(RecordError::Size { found });
    }
    match wire.split_last_chunk() {
        Some((payload, signature)) if !payload.is_empty() => Ok((payload, signature)),
        _ => Err(RecordError::Size { found }),
    }
}

fn record_id(cluster: ClusterId, payload: &[u8]) -> RecordId {
    let mut hasher = blake3::Hasher::new();
    hasher.update(ID_DOMAIN).update(cluster.as_bytes()).update(payload);
    RecordId(*hasher.finalize().as_bytes())
}

fn signed_bytes(cluster: ClusterId, payload: &[u8]) -> Vec<u8> {
    [SIGNATURE_DOMAIN, cluster.as_bytes(), payload].concat()
}
