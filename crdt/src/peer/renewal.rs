//! Renewals: a holder's signed word that its work goes on. They travel in frames, never in records.
//!
//! **Invariants**: only the author of a claim or review renews it; each renewal counts once, whoever repeats it; nothing is
//! remembered of a lease that has ended.

use std::collections::BTreeMap;

use ed25519_dalek::{Signature, VerifyingKey};
use minicbor::Decoder;

use crate::{
    ids::{AuthorKey, ClusterId, RecordId},
    record::{CborWriter as Writer, SIGNATURE_LEN, Signer, limits::TTL_SECONDS},
};

const DOMAIN: &[u8] = b"octopoid/renew/v1\0";
/// The most bytes of a renewal: head, two keys, counter, seconds and signature.
pub const WIRE_MAX: usize = 1 + 2 * 34 + 9 + 3 + SIGNATURE_LEN;

/// States why bytes are not a renewal.
#[derive(Debug, thiserror::Error)]
pub enum RenewalError {
    /// The bytes are not the fields of a renewal in their canonical form, and a signature.
    #[error("a renewal must be [claim, author, counter, seconds] and a signature, in canonical form")]
    Form,
    /// A lease of no or too many seconds.
    #[error("a renewal must be for 1 to {TTL_SECONDS} seconds, not {0}")]
    Seconds(u64),
    /// The author is no Ed25519 public key.
    #[error("the author of a renewal is not a public key")]
    Author,
    /// The author did not sign these bytes for this cluster.
    #[error("the signature is not the author's over this renewal in this cluster")]
    Signature,
}

/// A renewal as it was received: well formed, its signature not yet checked. Its bytes are relayed as they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    claim: RecordId,
    author: AuthorKey,
    counter: u64,
    seconds: u32,
    wire: Vec<u8>,
}

/// A renewal whose signature is its author's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked(Renewal);

impl Renewal {
    /// Reads a renewal, in its canonical form only.
    ///
    /// # Errors
    /// When the bytes are anything but what [`Renewals::sign`] writes for the same fields, signature aside.
    pub fn decode(wire: &[u8]) -> Result<Self, RenewalError> {
        let form = |_| RenewalError::Form;
        let Some((payload, _)) = wire.split_last_chunk::<SIGNATURE_LEN>().filter(|_| wire.len() <= WIRE_MAX) else {
            return Err(RenewalError::Form);
        };
        let mut reader = Decoder::new(payload);
        if reader.array().map_err(form)? != Some(4) {
            return Err(RenewalError::Form);
        }
        let claim = RecordId(reader.bytes().map_err(form)?.try_into().map_err(|_| RenewalError::Form)?);
        let author = AuthorKey(reader.bytes().map_err(form)?.try_into().map_err(|_| RenewalError::Form)?);
        let (counter, seconds) = (reader.u64().map_err(form)?, reader.u64().map_err(form)?);
        let seconds = u32::try_from(seconds).ok().filter(|s| (1..=TTL_SECONDS).contains(s)).ok_or(RenewalError::Seconds(seconds))?;
        let canonical = reader.position() == payload.len() && encode(&claim, &author, counter, seconds) == payload;
        if canonical { Ok(Self { claim, author, counter, seconds, wire: wire.to_vec() }) } else { Err(RenewalError::Form) }
    }

    /// Checks the signature.
    ///
    /// # Errors
    /// When it is not the author's over these bytes in this cluster.
    pub fn check(self, cluster: ClusterId) -> Result<Checked, RenewalError> {
        let (payload, signature) = self.wire.split_last_chunk::<SIGNATURE_LEN>().ok_or(RenewalError::Form)?;
        let key = VerifyingKey::from_bytes(self.author.as_bytes()).map_err(|_| RenewalError::Author)?;
        let signature = Signature::from_bytes(signature);
        key.verify_strict(&signed_bytes(cluster, payload), &signature).map_err(|_| RenewalError::Signature)?;
        Ok(Checked(self))
    }

    /// Returns the claim or review whose lease goes on.
    #[must_use]
    pub const fn of(&self) -> RecordId {
        self.claim
    }

    /// Returns the bytes to relay.
    #[must_use]
    pub fn wire(&self) -> &[u8] {
        &self.wire
    }
}

impl Checked {
    /// Returns the claim or review whose lease goes on.
    #[must_use]
    pub const fn of(&self) -> RecordId {
        self.0.claim
    }

    /// Returns who signed it.
    #[must_use]
    pub const fn author(&self) -> AuthorKey {
        self.0.author
    }

    /// Returns the frame's part to send on.
    #[must_use]
    pub fn renewal(&self) -> &Renewal {
        &self.0
    }
}

/// What a renewal did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Heard {
    /// The lease goes on for these seconds; to be relayed once where the cluster is no full mesh.
    Extended { seconds: u32 },
    /// It or a later one was heard before.
    Old,
    /// No such lease is open here: its claim has ended, or has not arrived.
    NotOpen,
    /// Somebody else than the holder signed it. The author is to be struck, not who relayed it.
    NotTheHolder,
}

/// The counters of the open leases that a node knows, its own among them.
#[derive(Debug, Clone, Default)]
pub struct Renewals {
    open: BTreeMap<RecordId, (AuthorKey, u64)>,
}

impl Renewals {
    /// Notes that a claim or review of this author is open. A lease that is known keeps its counter.
    pub fn opened(&mut self, of: RecordId, author: AuthorKey) {
        self.open.entry(of).or_insert((author, 0));
    }

    /// Forgets a lease that has ended.
    pub fn ended(&mut self, of: &RecordId) {
        self.open.remove(of);
    }

    /// Takes a renewal in.
    pub fn hear(&mut self, renewal: &Checked) -> Heard {
        let Some((author, counter)) = self.open.get_mut(&renewal.0.claim) else { return Heard::NotOpen };
        if *author != renewal.0.author {
            return Heard::NotTheHolder;
        }
        if renewal.0.counter <= *counter {
            return Heard::Old;
        }
        *counter = renewal.0.counter;
        Heard::Extended { seconds: renewal.0.seconds }
    }

    /// Signs the next renewal of an own lease; `None` when it is not open here or another's.
    ///
    /// `starts` counts the starts of this node's process and stands above the counter, so that counters rise over
    /// restarts without one being stored for each lease.
    pub fn sign(&mut self, signer: &Signer, cluster: ClusterId, of: RecordId, seconds: u32, starts: u32) -> Option<Checked> {
        let (author, counter) = self.open.get_mut(&of)?;
        if *author != signer.author() {
            return None;
        }
        let next = (u64::from(starts) << 32).max(counter.checked_add(1)?);
        *counter = next;
        let seconds = seconds.clamp(1, TTL_SECONDS);
        let mut wire = encode(&of, author, next, seconds);
        let signature = signer.sign_bytes(&signed_bytes(cluster, &wire));
        wire.extend_from_slice(&signature);
        Some(Checked(Renewal { claim: of, author: *author, counter: next, seconds, wire }))
    }
}

fn encode(claim: &RecordId, author: &AuthorKey, counter: u64, seconds: u32) -> Vec<u8> {
    let mut writer = Writer::with_capacity(WIRE_MAX);
    writer.array(4);
    writer.bytes(claim.as_bytes());
    writer.bytes(author.as_bytes());
    writer.uint(counter);
    writer.uint(u64::from(seconds));
    writer.finish()
}

fn signed_bytes(cluster: ClusterId, payload: &[u8]) -> Vec<u8> {
    [DOMAIN, cluster.as_bytes(), payload].concat()
}
