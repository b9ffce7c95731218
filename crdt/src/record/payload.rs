//! What is signed: the statement and its place in its author's chain and in the graph of records.
//!
//! **Invariants**: a payload has exactly one encoding, and only that encoding is read; whether a payload is well
//! formed depends on its own bytes alone, so every node agrees.

use std::fmt;

use minicbor::Decoder;

use super::{
    Body, FieldError, SubjectRule,
    field::{Key, Opt, Problem, Record, Session, Writer, array_of},
    limits,
};
use crate::ids::{AuthorKey, RecordId, SessionId, Subject};

/// The wire version that this code writes, and the only one that it reads.
pub const VERSION: u64 = 1;

/// One author's statement, before it is signed or after it was checked.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload {
    /// Who says it.
    pub author: AuthorKey,
    /// The run of the author's process that wrote it.
    pub session: SessionId,
    /// Its place in the session, from 0.
    pub seq: u64,
    /// The author's record before it; null only for the author's first.
    pub prev: Option<RecordId>,
    /// What it speaks about.
    pub subject: Subject,
    /// The author's wall clock in milliseconds since 1970. For lists; never for validity or a winner.
    pub wall_ms: u64,
    /// The records that it builds on, strictly ascending, at most [`limits::DEPS`].
    pub deps: Vec<RecordId>,
    /// What it says.
    pub body: Body,
}

impl fmt::Debug for Payload {
    /// Shows the place and the kind; never what people wrote.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payload")
            .field("kind", &self.body.name())
            .field("author", &self.author)
            .field("session", &self.session)
            .field("seq", &self.seq)
            .field("prev", &self.prev)
            .field("subject", &self.subject)
            .field("deps", &self.deps)
            .finish_non_exhaustive()
    }
}

/// States why a payload cannot be part of a record.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// A field is malformed, too long or not allowed.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The record would be larger than [`limits::RECORD`].
    #[error("the record has {found} bytes, the limit is {}", limits::RECORD)]
    Size {
        /// The size found, signature included.
        found: usize,
    },
    /// The version is not the one that this code reads.
    #[error("version {0} is not supported; a newer node wrote it")]
    Version(u64),
    /// `deps` is unsorted or names a record twice.
    #[error("deps must be strictly ascending")]
    Deps,
    /// A later record of a session must continue an earlier one.
    #[error("prev must be given when seq is above 0")]
    Prev,
    /// The subject does not follow from the body.
    #[error("the subject of a {0} record must be the one that its body names")]
    Subject(&'static str),
    /// A Genesis record stands at the start of its creator's chain.
    #[error("a genesis record must be its creator's, with seq 0 and without prev and deps")]
    Genesis,
    /// A policy is a planned or a forced move, not both.
    #[error("a policy must not have both last and frontier")]
    Policy,
    /// Bytes follow the last field.
    #[error("the payload must end with its body")]
    Trailing,
    /// The bytes are another form of the same value.
    #[error("the payload is not in its canonical form")]
    NotCanonical,
}

impl Payload {
    /// Checks what the payload's own bytes can show, and writes its one encoding.
    ///
    /// # Errors
    /// When a field breaks its limit or rule; the error names it.
    pub fn encode(&self) -> Result<Vec<u8>, PayloadError> {
        self.check_shape()?;
        let body = self.body.encode()?;
        let mut writer = Writer::with_capacity(body.len() + 192 + self.deps.len() * 34);
        writer.array(10);
        writer.uint(VERSION);
        writer.uint(u64::from(self.body.kind()));
        writer.bytes(self.author.as_bytes());
        writer.bytes(self.session.as_bytes());
        writer.uint(self.seq);
        match &self.prev {
            Some(prev) => writer.bytes(prev.as_bytes()),
            None => writer.null(),
        }
        writer.bytes(self.subject.as_bytes());
        writer.uint(self.wall_ms);
        writer.array(self.deps.len() as u64);
        for dep in &self.deps {
            writer.bytes(dep.as_bytes());
        }
        writer.bytes(&body);
        let bytes = writer.finish();
        let found = bytes.len() + super::SIGNATURE_LEN;
        if found > limits::RECORD { Err(PayloadError::Size { found }) } else { Ok(bytes) }
    }

    /// Reads a payload, in its canonical form only.
    ///
    /// # Errors
    /// When the bytes are anything but what [`Payload::encode`] would write for the result.
    pub fn decode(bytes: &[u8]) -> Result<Self, PayloadError> {
        let found = bytes.len() + super::SIGNATURE_LEN;
        if found > limits::RECORD {
            return Err(PayloadError::Size { found });
        }
        let mut reader = Decoder::new(bytes);
        let (kind, author) = read_head(&mut reader)?;
        let payload = Self {
            author,
            session: read::<Session>(&mut reader, "session")?,
            seq: reader.u64().map_err(cbor("seq"))?,
            prev: read::<Opt<Record>>(&mut reader, "prev")?,
            subject: Subject(read::<super::field::Fixed<32>>(&mut reader, "subject")?),
            wall_ms: reader.u64().map_err(cbor("wall_ms"))?,
            deps: read_deps(&mut reader)?,
            body: Body::decode(kind, reader.bytes().map_err(cbor("body"))?)?,
        };
        if reader.position() != bytes.len() {
            return Err(PayloadError::Trailing);
        }
        if payload.encode()? == bytes { Ok(payload) } else { Err(PayloadError::NotCanonical) }
    }

    /// Reads the author alone, which is all that checking a signature needs.
    pub(super) fn peek_author(bytes: &[u8]) -> Result<AuthorKey, PayloadError> {
        read_head(&mut Decoder::new(bytes)).map(|(_, author)| author)
    }

    fn check_shape(&self) -> Result<(), PayloadError> {
        if self.deps.len() > limits::DEPS {
            return Err(FieldError::TooLong { field: "deps", limit: limits::DEPS, found: self.deps.len() }.into());
        }
        if !self.deps.windows(2).all(|pair| matches!(pair, [a, b] if a < b)) {
            return Err(PayloadError::Deps);
        }
        if self.seq > 0 && self.prev.is_none() {
            return Err(PayloadError::Prev);
        }
        let fits = match self.body.subject_rule() {
            SubjectRule::Exactly(subject) => self.subject == subject,
            SubjectRule::NotCluster => self.subject != Subject::CLUSTER,
            SubjectRule::Any => true,
        };
        if !fits {
            return Err(PayloadError::Subject(self.body.name()));
        }
        if let Body::Genesis { creator, .. } = &self.body
            && (self.author != *creator || self.seq != 0 || self.prev.is_some() || !self.deps.is_empty())
        {
            return Err(PayloadError::Genesis);
        }
        if let Body::Policy { last: Some(_), frontier: Some(_), .. } = &self.body {
            return Err(PayloadError::Policy);
        }
        Ok(())
    }
}

fn cbor(field: &'static str) -> impl FnOnce(minicbor::decode::Error) -> FieldError {
    move |source| FieldError::Cbor { field, source }
}

fn read<F: super::field::Field>(reader: &mut Decoder<'_>, field: &'static str) -> Result<F::Value, FieldError> {
    F::read(reader).map_err(|problem| problem.at(field))
}

fn read_head(reader: &mut Decoder<'_>) -> Result<(u16, AuthorKey), PayloadError> {
    array_of(reader, 10).map_err(|problem| problem.at("payload"))?;
    let version = reader.u64().map_err(cbor("version"))?;
    if version != VERSION {
        return Err(PayloadError::Version(version));
    }
    Ok((reader.u16().map_err(cbor("kind"))?, read::<Key>(reader, "author")?))
}

fn read_deps(reader: &mut Decoder<'_>) -> Result<Vec<RecordId>, FieldError> {
    let indefinite = || Problem::Need("an array of definite length").at("deps");
    let len = reader.array().map_err(cbor("deps"))?.ok_or_else(indefinite)?;
    let found = usize::try_from(len).unwrap_or(usize::MAX);
    if found > limits::DEPS {
        return Err(FieldError::TooLong { field: "deps", limit: limits::DEPS, found });
    }
    (0..found).map(|_| read::<Record>(reader, "deps")).collect()
}
