//! The view of one task: what lists, filters and the scheduler read without opening records or documents.
//!
//! **Invariants**: a row is a pure function of the task's log, its document, its blockers' rows and what was dismissed about
//! it; it holds no time of this machine and no lease.

use std::collections::BTreeMap;

use minicbor::{CborLen, Decode, Encode};
use octopoid_crdt::document::Value;

use super::imported::Brought;

/// A task's number in this store.
pub type TaskNo = u64;

/// Who works on a task, or reviews it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, CborLen)]
pub struct Holder {
    /// The claim or review record.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub record: [u8; 32],
    /// The author of that record: the node that runs the agent or answered the claimant.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub node: [u8; 32],
    /// The agent's name.
    #[n(2)]
    pub agent: String,
    /// The orchestrator's id.
    #[n(3)]
    pub orchestrator: String,
    /// When its author says it was written, in milliseconds since 1970.
    #[n(4)]
    pub since_ms: u64,
    /// The lease's length in seconds.
    #[n(5)]
    pub ttl_seconds: u32,
    /// A review rather than a claim.
    #[n(6)]
    pub review: bool,
}

/// One task as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode, CborLen)]
pub struct TaskRow {
    /// The tenant that the task belongs to.
    #[n(0)]
    pub scope: String,
    /// The task's id, unique in its scope.
    #[n(1)]
    pub id: String,
    /// The subject of its records.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub subject: [u8; 32],
    /// A TaskCreate is known and no Delete is last.
    #[n(3)]
    pub listed: bool,
    /// The queue's name.
    #[n(4)]
    pub queue: String,
    /// The highest counted epoch.
    #[n(5)]
    pub epoch: u64,
    /// The name of the attempt that the state rests on.
    #[n(6)]
    pub attempt: Option<String>,
    /// More than one attempt is open or accepted.
    #[n(7)]
    pub contested: bool,
    /// The record that the state rests on.
    #[cbor(n(8), with = "optional_id")]
    pub rests_on: Option<[u8; 32]>,
    /// Who holds the claim or the review.
    #[n(9)]
    pub holder: Option<Holder>,
    /// When the task was created, by its author's clock.
    #[n(10)]
    pub created_ms: u64,
    /// When its latest record was written.
    #[n(11)]
    pub updated_ms: u64,
    /// When the attempt that the state rests on was submitted.
    #[n(12)]
    pub submitted_ms: Option<u64>,
    /// When it was accepted or finished.
    #[n(13)]
    pub completed_ms: Option<u64>,
    /// Attempts sent back by requeue or failure.
    #[n(14)]
    pub attempt_count: u32,
    /// Counted rejections.
    #[n(15)]
    pub rejection_count: u32,
    /// The commit on the integration branch, in hex.
    #[n(16)]
    pub merged_commit: Option<String>,
    /// Accepted with commits that are not on the integration branch yet.
    #[n(17)]
    pub needs_merge: bool,
    /// 1 + records applied after the creation.
    #[n(18)]
    pub version: u64,
    /// The first bytes of the hash of the log's heads, for ETags.
    #[cbor(n(19), with = "minicbor::bytes")]
    pub heads: [u8; 4],
    /// The document's scalar fields.
    #[cbor(n(20), with = "field_map")]
    pub fields: BTreeMap<String, Value>,
    /// Every task that the document names as a blocker.
    #[n(21)]
    pub blocked_by: Vec<String>,
    /// Those that still block.
    #[n(22)]
    pub open_blockers: Vec<String>,
    /// Whether tasks that name this one must wait.
    #[n(23)]
    pub blocks: bool,
    /// A scheduler may claim it now: it waits, and nothing blocks it.
    #[n(24)]
    pub ready: bool,
    /// Not before this time after a failed attempt, in milliseconds since 1970; a hint, never a rule.
    #[n(25)]
    pub retry_ms: Option<u64>,
    /// Failed attempts since the task was last put back by a person.
    #[n(26)]
    pub failures: u32,
    /// Why the document is shown read-only, when it failed in use.
    #[n(27)]
    pub broken: Option<String>,
    /// The accepting record, while done by one.
    #[cbor(n(28), with = "optional_id")]
    pub accept: Option<[u8; 32]>,
    /// Rejections since the task was last put back by a person.
    #[n(30)]
    pub rejections: u32,
    /// Attempts that ran out of turns since then.
    #[n(31)]
    pub continuations: u32,
    /// The claim whose branch the next attempt starts from.
    #[cbor(n(32), with = "optional_id")]
    pub resume: Option<[u8; 32]>,
    /// The agent whose attempt the state rests on.
    #[n(29)]
    pub worker: Option<String>,
    /// The node that created it; of concurrent creations that of the lowest id.
    #[cbor(n(33), with = "optional_id")]
    pub creator: Option<[u8; 32]>,
    /// Blockers that are not waited for, because each closes a circle of tasks that wait for each other.
    #[n(34)]
    pub cut: Vec<String>,
    /// Changes of the document are left out, so that every further one needs its whole history.
    #[n(35)]
    pub knotted: bool,
    /// For a document that is not a task's: its collection.
    #[n(36)]
    pub collection: Option<String>,
    /// What lost to something else, as [`super::conflicts::Sign`] writes it.
    #[n(37)]
    pub signs: Vec<String>,
    /// Some of that, or a cut blocker, is dismissed by nobody.
    #[n(38)]
    pub in_conflict: bool,
    /// What it brought from another system.
    #[n(39)]
    pub brought: Option<Brought>,
}

impl TaskRow {
    /// Returns a text field of the document, if it is set.
    #[must_use]
    pub fn text(&self, field: &str) -> Option<&str> {
        match self.fields.get(field) {
            Some(Value::Text(text)) => Some(text),
            Some(Value::Null | Value::Bool(_) | Value::Int(_)) | None => None,
        }
    }

    /// Returns a flag of the document; unset is false.
    #[must_use]
    pub fn flag(&self, field: &str) -> bool {
        self.fields.get(field) == Some(&Value::Bool(true))
    }

    /// Returns a number of the document, if it is set.
    #[must_use]
    pub fn number(&self, field: &str) -> Option<i64> {
        match self.fields.get(field) {
            Some(Value::Int(number)) => Some(*number),
            Some(Value::Null | Value::Bool(_) | Value::Text(_)) | None => None,
        }
    }

    /// Returns the priority, P2 where it is unset.
    #[must_use]
    pub fn priority(&self) -> &str {
        self.text("priority").unwrap_or("P2")
    }
}

/// Codes for an optional record id: bytes, or null.
mod optional_id {
    use minicbor::decode::Error as DecodeError;
    use minicbor::encode::{Error as EncodeError, Write};
    use minicbor::{Decoder, Encoder};

    pub fn encode<C, W: Write>(id: &Option<[u8; 32]>, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        match id {
            Some(bytes) => e.bytes(bytes)?.ok(),
            None => e.null()?.ok(),
        }
    }

    pub fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<Option<[u8; 32]>, DecodeError> {
        if d.datatype()? == minicbor::data::Type::Null {
            d.null()?;
            return Ok(None);
        }
        let bytes = d.bytes()?;
        bytes.try_into().map(Some).map_err(|_| DecodeError::message("an id has 32 bytes"))
    }

    pub fn cbor_len<C>(id: &Option<[u8; 32]>, _: &mut C) -> usize {
        if id.is_some() { 34 } else { 1 }
    }
}

/// Codes for the document's scalar fields.
mod field_map {
    use std::collections::BTreeMap;

    use minicbor::data::Type;
    use minicbor::decode::Error as DecodeError;
    use minicbor::encode::{Error as EncodeError, Write};
    use minicbor::{CborLen, Decoder, Encoder};
    use octopoid_crdt::document::Value;

    pub fn encode<C, W: Write>(map: &BTreeMap<String, Value>, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        e.map(map.len() as u64)?;
        for (field, value) in map {
            e.str(field)?;
            match value {
                Value::Null => e.null()?,
                Value::Bool(flag) => e.bool(*flag)?,
                Value::Int(number) => e.i64(*number)?,
                Value::Text(text) => e.str(text)?,
            };
        }
        Ok(())
    }

    pub fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<BTreeMap<String, Value>, DecodeError> {
        let len = d.map()?.ok_or_else(|| DecodeError::message("a row's fields have a known number"))?;
        let mut map = BTreeMap::new();
        for _ in 0..len {
            let field = d.str()?.to_owned();
            #[expect(clippy::wildcard_enum_match_arm, reason = "every other type of CBOR is a number or an error")]
            let value = match d.datatype()? {
                Type::Null => {
                    d.null()?;
                    Value::Null
                }
                Type::Bool => Value::Bool(d.bool()?),
                Type::String => Value::Text(d.str()?.to_owned()),
                _ => Value::Int(d.i64()?),
            };
            map.insert(field, value);
        }
        Ok(map)
    }

    pub fn cbor_len<C>(map: &BTreeMap<String, Value>, ctx: &mut C) -> usize {
        let values = map.iter().map(|(field, value)| {
            field.cbor_len(ctx)
                + match value {
                    Value::Null | Value::Bool(_) => 1,
                    Value::Int(number) => number.cbor_len(ctx),
                    Value::Text(text) => text.cbor_len(ctx),
                }
        });
        let values = values.sum::<usize>();
        values + (map.len() as u64).cbor_len(ctx)
    }
}
