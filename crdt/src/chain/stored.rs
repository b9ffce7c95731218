//! The row that a store keeps per author.
//!
//! **Invariants**: the bytes are local to one store and carry a version; reading them back gives an equal chain.

use minicbor::Decoder;

use super::AuthorChain;
use crate::{
    ids::{RecordId, SessionId},
    record::CborWriter,
};

const VERSION: u64 = 1;

/// States why a stored row cannot be read: the store is damaged or newer.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    /// The bytes are not a row.
    #[error("the stored chain of an author is malformed")]
    Cbor(#[from] minicbor::decode::Error),
    /// A newer release wrote it.
    #[error("version {0} of an author's stored chain is not supported")]
    Version(u64),
    /// An id has a wrong length.
    #[error("an id in the stored chain of an author has a wrong length")]
    Id,
}

impl AuthorChain {
    /// Writes the row: a few dozen bytes for a chain without forks.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = CborWriter::with_capacity(16 + 64 * self.tips.len() + 34 * self.forks.len());
        writer.array(3);
        writer.uint(VERSION);
        writer.array(self.tips.len() as u64);
        for (id, (session, seq)) in &self.tips {
            writer.array(3);
            writer.bytes(id.as_bytes());
            writer.bytes(session.as_bytes());
            writer.uint(*seq);
        }
        writer.array(self.forks.len() as u64);
        for at in &self.forks {
            // An empty string stands for two beginnings.
            writer.bytes(at.as_ref().map_or(&[], |id| id.as_bytes().as_slice()));
        }
        writer.finish()
    }

    /// Reads a row of this node's own store.
    ///
    /// # Errors
    /// When the bytes are not a row, or of a newer version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StoredError> {
        let mut reader = Decoder::new(bytes);
        let mut chain = Self::default();
        reader.array()?;
        let version = reader.u64()?;
        if version != VERSION {
            return Err(StoredError::Version(version));
        }
        for _ in 0..reader.array()?.unwrap_or(0) {
            reader.array()?;
            let id = RecordId(exactly(reader.bytes()?)?);
            let session = SessionId(exactly(reader.bytes()?)?);
            chain.tips.insert(id, (session, reader.u64()?));
        }
        for _ in 0..reader.array()?.unwrap_or(0) {
            let at = reader.bytes()?;
            chain.forks.insert(if at.is_empty() { None } else { Some(RecordId(exactly(at)?)) });
        }
        Ok(chain)
    }
}

fn exactly<const N: usize>(bytes: &[u8]) -> Result<[u8; N], StoredError> {
    bytes.try_into().map_err(|_| StoredError::Id)
}
