//! The kinds of wire version 1: number, name and fields of each, in one table.
//!
//! **Invariants**: a number never changes its meaning and is never used again; a kind's fields never change, a new need
//! is a new kind. `Unknown` never carries a number of this table, so a body has one encoding.

use minicbor::Decoder;

use super::{
    Body,
    field::{
        AccessCode, Blob, CauseCode, Collection, Field as _, FieldError, Fixed, Frontier, Key, NameText, Number, ObjectId, Opt, QueueText,
        Record, Text, Ttl, Writer, array_of,
    },
    limits,
};
use crate::ids::Subject;

/// Derives names, encoder and decoder from the table, so that they cannot disagree.
macro_rules! kinds {
    ($($number:literal $name:literal $variant:ident { $($field:ident: $form:ty),* })*) => {
        /// Every kind that this version interprets: its number and its name, ascending by number.
        pub const KINDS: &[(u16, &str)] = &[$(($number, $name)),*];

        impl Body {
            /// Returns the kind's number on the wire.
            #[must_use]
            pub fn kind(&self) -> u16 {
                match self {
                    $(Self::$variant { .. } => $number,)*
                    Self::Unknown { kind, .. } => *kind,
                }
            }

            /// Returns the kind's name, for people, logs and golden files; `unknown` for a later version's.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $name,)*
                    Self::Unknown { .. } => "unknown",
                }
            }

            /// Writes the canonical CBOR array of the kind's fields.
            ///
            /// # Errors
            /// When a field is beyond its limit or not allowed.
            pub fn encode(&self) -> Result<Vec<u8>, FieldError> {
                let mut writer = Writer::with_capacity(128);
                match self {
                    $(Self::$variant { $($field),* } => {
                        const FIELDS: &[&str] = &[$(stringify!($field)),*];
                        writer.array(FIELDS.len() as u64);
                        $(<$form>::write(&mut writer, $field).map_err(|problem| problem.at(concat!($name, ".", stringify!($field))))?;)*
                    })*
                    Self::Unknown { kind, body } => return unknown(*kind, body).map(|_| body.clone()),
                }
                Ok(writer.finish())
            }

            /// Reads a body of the given kind; a number that this version does not know is kept as it is.
            ///
            /// Accepts longer forms than the shortest: the record's reader encodes the result again and compares.
            ///
            /// # Errors
            /// When the bytes are not the kind's fields, or one is beyond its limit.
            pub fn decode(kind: u16, bytes: &[u8]) -> Result<Self, FieldError> {
                let mut reader = Decoder::new(bytes);
                let body = match kind {
                    $($number => {
                        const FIELDS: &[&str] = &[$(stringify!($field)),*];
                        array_of(&mut reader, FIELDS.len() as u64).map_err(|problem| problem.at($name))?;
                        Self::$variant {
                            $($field: <$form>::read(&mut reader).map_err(|problem| problem.at(concat!($name, ".", stringify!($field))))?,)*
                        }
                    })*
                    _ => return unknown(kind, bytes),
                };
                if reader.position() == bytes.len() { Ok(body) } else { Err(FieldError::Value { field: "body", need: "nothing after its last field" }) }
            }
        }
    };
}

type Name = NameText;
type Label = Text<{ limits::LABEL }>;
type Reason = Text<{ limits::TEXT }>;
type Change = Blob<{ limits::CHANGE }>;
type EntryKey = Text<{ limits::KEY }>;
type Json = Text<{ limits::VALUE }>;

kinds! {
    1 "genesis" Genesis { creator: Key, nonce: Fixed<16>, root_commit: Opt<ObjectId> }
    2 "cluster_name" ClusterName { name: Name }
    3 "join" Join { member: Key, access: AccessCode, name: Name, invite: Opt<Fixed<32>> }
    4 "remove" Remove { member: Key, frontier: Frontier, reason: Reason }
    5 "policy" Policy { number: Number, authority: Opt<Key>, integrator: Key, last: Opt<Record>, frontier: Opt<Frontier> }
    15 "heads" Heads {}
    16 "task_create" TaskCreate { scope: Name, id: Name, change: Change, imported: Opt<Text<{ limits::IMPORTED }>> }
    17 "doc_change" DocChange { change: Change }
    18 "claim" Claim { epoch: Number, source: QueueText, agent: Label, orchestrator: Label, ttl_seconds: Ttl, base: Opt<ObjectId> }
    19 "review" Review { on: Record, agent: Label, orchestrator: Label, ttl_seconds: Ttl }
    20 "grant" Grant { claim: Record, epoch: Number }
    21 "release" Release { of: Record, cause: CauseCode, reason: Reason }
    22 "expire" Expire { of: Record, reason: Reason }
    23 "submit" Submit { claim: Record, base: Opt<ObjectId>, head: Opt<ObjectId>, tree: Opt<ObjectId>, notes: Reason }
    24 "accept" Accept { on: Record, by: Label, reason: Reason }
    25 "reject" Reject { on: Record, by: Label, reason: Reason }
    26 "merged" Merged { accept: Record, commit: Opt<ObjectId> }
    27 "finish" Finish { by: Label, reason: Reason }
    28 "move" Move { queue: QueueText, cause: CauseCode, by: Label, reason: Reason, keep: Opt<Record> }
    29 "cancel" Cancel { by: Label, reason: Reason }
    30 "delete" Delete { by: Label, reason: Reason }
    48 "doc_create" DocCreate { collection: Collection, scope: Name, id: Label, change: Change }
    49 "doc_delete" DocDelete { by: Label }
    50 "put" Put { collection: Collection, scope: Name, key: EntryKey, value: Opt<Json> }
    51 "append" Append { collection: Collection, scope: Name, key: EntryKey, value: Json }
}

fn unknown(kind: u16, bytes: &[u8]) -> Result<Body, FieldError> {
    if kind == 0 || KINDS.iter().any(|(number, _)| *number == kind) {
        return Err(FieldError::Value { field: "unknown.kind", need: "a number that no known kind has, and not 0" });
    }
    if bytes.len() > limits::RECORD {
        return Err(FieldError::TooLong { field: "unknown.body", limit: limits::RECORD, found: bytes.len() });
    }
    Ok(Body::Unknown { kind, body: bytes.to_vec() })
}

/// What a record of a kind may speak about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubjectRule {
    /// Exactly this, because the body names it.
    Exactly(Subject),
    /// Any task or entry; the record's past must make it.
    NotCluster,
    /// Anything.
    Any,
}

impl Body {
    /// Returns what a record with this body may have as its subject.
    ///
    /// A subject that does not follow from the body would let one record act in two places.
    #[must_use]
    pub fn subject_rule(&self) -> SubjectRule {
        match self {
            Self::Genesis { .. } | Self::ClusterName { .. } | Self::Join { .. } | Self::Remove { .. } | Self::Policy { .. } => {
                SubjectRule::Exactly(Subject::CLUSTER)
            }
            Self::TaskCreate { scope, id, .. } => SubjectRule::Exactly(Subject::task(scope, id)),
            Self::DocCreate { collection, scope, id, .. } => SubjectRule::Exactly(Subject::entry(collection, scope, id)),
            Self::Put { collection, scope, key, .. } | Self::Append { collection, scope, key, .. } => {
                SubjectRule::Exactly(Subject::entry(collection, scope, key))
            }
            Self::DocChange { .. }
            | Self::Claim { .. }
            | Self::Review { .. }
            | Self::Grant { .. }
            | Self::Release { .. }
            | Self::Expire { .. }
            | Self::Submit { .. }
            | Self::Accept { .. }
            | Self::Reject { .. }
            | Self::Merged { .. }
            | Self::Finish { .. }
            | Self::Move { .. }
            | Self::Cancel { .. }
            | Self::Delete { .. }
            | Self::DocDelete { .. } => SubjectRule::NotCluster,
            Self::Heads | Self::Unknown { .. } => SubjectRule::Any,
        }
    }

    /// Tells whether the record speaks of membership or policy, which every later record of its past is judged by.
    #[must_use]
    pub fn is_cluster_record(&self) -> bool {
        matches!(self.kind(), 1..=5)
    }
}
