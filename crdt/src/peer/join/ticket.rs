//! Tickets: an invitation as one line of text.
//!
//! **Invariants**: a mistyped or cut ticket is refused before it is used; its secret is never shown by `Debug` and stored by
//! the inviter as a hash only.

use std::{fmt, str::FromStr};

use minicbor::Decoder;

use crate::{
    ids::{AuthorKey, ClusterId},
    peer::limits,
    record::{Access, CborWriter as Writer},
};

const PREFIX: &str = "oct1";
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const CHECKSUM: usize = 4;

/// An invitation to one machine.
#[derive(Clone, PartialEq, Eq)]
pub struct Ticket {
    /// The cluster.
    pub cluster: ClusterId,
    /// Who invites: the ticket is shown to this key alone.
    pub inviter: AuthorKey,
    /// What the new member may do.
    pub access: Access,
    /// When it ends by the inviter's clock, in milliseconds since 1970; here for people, the inviter decides.
    pub expires_ms: u64,
    /// What proves that one was invited.
    pub secret: [u8; 32],
    /// Where the inviter can be reached, as multiaddresses.
    pub addresses: Vec<String>,
}

/// States why a text is not a ticket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// It does not begin as tickets do.
    #[error("a ticket begins with {PREFIX}")]
    Prefix,
    /// It is longer than tickets are.
    #[error("a ticket has at most {} characters", limits::TICKET_TEXT)]
    Size,
    /// A character is wrong, or some are missing.
    #[error("the ticket is incomplete or mistyped: copy it whole")]
    Checksum,
    /// A later version made it.
    #[error("the ticket is of a later version: update this node")]
    Version,
    /// The checksum fits but the content does not: no node made it.
    #[error("the ticket's content is malformed")]
    Content,
    /// Too many or too long addresses.
    #[error("a ticket holds at most {} addresses of {} bytes", limits::TICKET_ADDRESSES, limits::ADDRESS)]
    Addresses,
}

/// Returns what a Join record names of an invitation: a hash of its secret, by which the inviter knows it again.
#[must_use]
pub fn invite_of(cluster: &ClusterId, secret: &[u8; 32]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"octopoid/invite/v1").update(cluster.as_bytes()).update(secret);
    *hasher.finalize().as_bytes()
}

impl Ticket {
    /// Returns the hash that the Join record will name.
    #[must_use]
    pub fn invite(&self) -> [u8; 32] {
        invite_of(&self.cluster, &self.secret)
    }

    /// Writes the text to hand over.
    ///
    /// # Errors
    /// When there are too many or too long addresses.
    pub fn to_text(&self) -> Result<String, TicketError> {
        let long = self.addresses.iter().any(|address| address.len() > limits::ADDRESS);
        if self.addresses.len() > limits::TICKET_ADDRESSES || long {
            return Err(TicketError::Addresses);
        }
        let mut bytes = self.encode();
        let checksum = checksum(&bytes);
        bytes.extend_from_slice(&checksum);
        Ok(format!("{PREFIX}{}", base32(&bytes)))
    }

    fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(256);
        writer.array(7);
        writer.uint(1);
        writer.bytes(self.cluster.as_bytes());
        writer.bytes(self.inviter.as_bytes());
        writer.uint(match self.access {
            Access::Reader => 1,
            Access::Worker => 2,
            Access::Admin => 3,
        });
        writer.uint(self.expires_ms);
        writer.bytes(&self.secret);
        writer.array(self.addresses.len() as u64);
        self.addresses.iter().for_each(|address| writer.text(address));
        writer.finish()
    }

    fn decode(bytes: &[u8]) -> Result<Self, TicketError> {
        let content = |_| TicketError::Content;
        let mut reader = Decoder::new(bytes);
        let items = reader.array().map_err(content)?;
        if reader.u64().map_err(content)? != 1 {
            return Err(TicketError::Version);
        }
        if items != Some(7) {
            return Err(TicketError::Content);
        }
        let mut fixed =
            || -> Result<[u8; 32], TicketError> { reader.bytes().map_err(content)?.try_into().map_err(|_| TicketError::Content) };
        let (cluster, inviter) = (ClusterId(fixed()?), AuthorKey(fixed()?));
        let access = match reader.u64().map_err(content)? {
            1 => Access::Reader,
            2 => Access::Worker,
            3 => Access::Admin,
            _ => return Err(TicketError::Content),
        };
        let expires_ms = reader.u64().map_err(content)?;
        let secret = reader.bytes().map_err(content)?.try_into().map_err(|_| TicketError::Content)?;
        let mut addresses = Vec::new();
        for _ in 0..reader.array().map_err(content)?.ok_or(TicketError::Content)? {
            let address = reader.str().map_err(content)?;
            if address.len() > limits::ADDRESS || addresses.len() >= limits::TICKET_ADDRESSES {
                return Err(TicketError::Addresses);
            }
            addresses.push(address.to_owned());
        }
        let ticket = Self { cluster, inviter, access, expires_ms, secret, addresses };
        if ticket.encode() == bytes { Ok(ticket) } else { Err(TicketError::Content) }
    }
}

impl FromStr for Ticket {
    type Err = TicketError;

    fn from_str(text: &str) -> Result<Self, TicketError> {
        let text = text.trim();
        if text.len() > limits::TICKET_TEXT {
            return Err(TicketError::Size);
        }
        let head = text.get(..PREFIX.len()).ok_or(TicketError::Prefix)?;
        if !head.eq_ignore_ascii_case(PREFIX) {
            return Err(TicketError::Prefix);
        }
        let bytes = unbase32(&text[PREFIX.len()..]).ok_or(TicketError::Checksum)?;
        let (content, found) = bytes.split_last_chunk::<CHECKSUM>().ok_or(TicketError::Checksum)?;
        if checksum(content) != *found {
            return Err(TicketError::Checksum);
        }
        Self::decode(content)
    }
}

impl fmt::Debug for Ticket {
    /// Shows everything but the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("cluster", &self.cluster)
            .field("inviter", &self.inviter)
            .field("access", &self.access)
            .field("expires_ms", &self.expires_ms)
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

fn checksum(content: &[u8]) -> [u8; CHECKSUM] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"octopoid/ticket/v1").update(content);
    let mut sum = [0; CHECKSUM];
    hasher.finalize_xof().fill(&mut sum);
    sum
}

/// Writes base32 (RFC 4648, lower case, without padding).
fn base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 8 / 5 + 1);
    let (mut bits, mut count) = (0_u32, 0);
    for byte in bytes {
        bits = (bits << 8) | u32::from(*byte);
        count += 8;
        while count >= 5 {
            count -= 5;
            text.push(char::from(ALPHABET[(bits >> count & 31) as usize]));
        }
    }
    if count > 0 {
        text.push(char::from(ALPHABET[(bits << (5 - count) & 31) as usize]));
    }
    text
}

/// Reads base32 in either case; left-over bits must be zero.
fn unbase32(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 5 / 8);
    let (mut bits, mut count) = (0_u32, 0);
    for letter in text.bytes() {
        let value = ALPHABET.iter().position(|known| *known == letter.to_ascii_lowercase())?;
        bits = (bits << 5) | u32::try_from(value).ok()?;
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    (count < 5 && bits & ((1 << count) - 1) == 0).then_some(bytes)
}
