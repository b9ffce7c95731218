//! How each field of a body is written and read.
//!
//! **Invariants**: a field that can be written can be read back equal; reading allocates no more than its input holds
//! and nothing beyond the field's limit. Shortest form is not checked here: the whole record is encoded again and
//! compared.

use std::{convert::Infallible, marker::PhantomData};

use minicbor::{Decoder, Encoder, data::Type};

use super::{Access, Cause, Queue, RemovalFrontier, limits};
use crate::ids::{AuthorKey, Name, Oid, RecordId, SessionId};

/// States which field of a record is wrong, and how.
#[derive(Debug, thiserror::Error)]
pub enum FieldError {
    /// The bytes are not the type that this place asks for.
    #[error("{field} is malformed")]
    Cbor {
        /// The field, as `kind.field`.
        field: &'static str,
        /// What the decoder met.
        #[source]
        source: minicbor::decode::Error,
    },
    /// The field is larger than its limit.
    #[error("{field} has a length of {found}, the limit is {limit}")]
    TooLong {
        /// The field, as `kind.field`.
        field: &'static str,
        /// The limit, see [`super::limits`].
        limit: usize,
        /// The length found.
        found: usize,
    },
    /// The value is not allowed.
    #[error("{field} must be {need}")]
    Value {
        /// The field, as `kind.field`.
        field: &'static str,
        /// What would be allowed.
        need: &'static str,
    },
}

impl FieldError {
    /// Returns the field's name, as `kind.field`.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        match self {
            Self::Cbor { field, .. } | Self::TooLong { field, .. } | Self::Value { field, .. } => field,
        }
    }
}

/// What is wrong with a field whose name the caller knows.
pub(super) enum Problem {
    Cbor(minicbor::decode::Error),
    TooLong { limit: usize, found: usize },
    Need(&'static str),
}

impl Problem {
    pub(super) fn at(self, field: &'static str) -> FieldError {
        match self {
            Self::Cbor(source) => FieldError::Cbor { field, source },
            Self::TooLong { limit, found } => FieldError::TooLong { field, limit, found },
            Self::Need(need) => FieldError::Value { field, need },
        }
    }
}

impl From<minicbor::decode::Error> for Problem {
    fn from(error: minicbor::decode::Error) -> Self {
        Self::Cbor(error)
    }
}

/// Writes canonical CBOR into memory: definite lengths, shortest integers.
pub(crate) struct Writer(Encoder<Vec<u8>>);

impl Writer {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(Encoder::new(Vec::with_capacity(bytes)))
    }

    pub(crate) fn array(&mut self, len: u64) {
        written(self.0.array(len));
    }

    pub(crate) fn uint(&mut self, value: u64) {
        written(self.0.u64(value));
    }

    pub(crate) fn bytes(&mut self, value: &[u8]) {
        written(self.0.bytes(value));
    }

    pub(crate) fn text(&mut self, value: &str) {
        written(self.0.str(value));
    }

    pub(crate) fn null(&mut self) {
        written(self.0.null());
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0.into_writer()
    }
}

/// Drops the result of a write into memory, which cannot fail.
fn written<T>(_: Result<T, minicbor::encode::Error<Infallible>>) {}

/// Reads the head of an array that must have exactly `len` items.
pub(super) fn array_of(reader: &mut Decoder<'_>, len: u64) -> Result<(), Problem> {
    if reader.array()? == Some(len) { Ok(()) } else { Err(Problem::Need("an array of as many items as its kind has fields")) }
}

/// One field's form on the wire.
pub(super) trait Field {
    type Value;
    fn write(writer: &mut Writer, value: &Self::Value) -> Result<(), Problem>;
    fn read(reader: &mut Decoder<'_>) -> Result<Self::Value, Problem>;
}

fn within(limit: usize, found: usize) -> Result<(), Problem> {
    if found <= limit { Ok(()) } else { Err(Problem::TooLong { limit, found }) }
}

/// A byte string of exactly `N` bytes.
pub(super) struct Fixed<const N: usize>;

impl<const N: usize> Field for Fixed<N> {
    type Value = [u8; N];

    fn write(writer: &mut Writer, value: &[u8; N]) -> Result<(), Problem> {
        writer.bytes(value);
        Ok(())
    }

    fn read(reader: &mut Decoder<'_>) -> Result<[u8; N], Problem> {
        reader.bytes()?.try_into().map_err(|_| Problem::Need("a byte string of the length of its type"))
    }
}

macro_rules! fixed_id {
    ($field:ident, $id:ident) => {
        pub(super) struct $field;

        impl Field for $field {
            type Value = $id;

            fn write(writer: &mut Writer, value: &$id) -> Result<(), Problem> {
                Fixed::write(writer, value.as_bytes())
            }

            fn read(reader: &mut Decoder<'_>) -> Result<$id, Problem> {
                Fixed::read(reader).map($id)
            }
        }
    };
}

fixed_id!(Key, AuthorKey);
fixed_id!(Record, RecordId);
fixed_id!(Session, SessionId);

/// A byte string of at most `MAX` bytes.
pub(super) struct Blob<const MAX: usize>;

impl<const MAX: usize> Field for Blob<MAX> {
    type Value = Vec<u8>;

    fn write(writer: &mut Writer, value: &Vec<u8>) -> Result<(), Problem> {
        within(MAX, value.len())?;
        writer.bytes(value);
        Ok(())
    }

    fn read(reader: &mut Decoder<'_>) -> Result<Vec<u8>, Problem> {
        let bytes = reader.bytes()?;
        within(MAX, bytes.len())?;
        Ok(bytes.to_vec())
    }
}

/// A text of at most `MAX` bytes of UTF-8.
pub(super) struct Text<const MAX: usize>;

impl<const MAX: usize> Field for Text<MAX> {
    type Value = String;

    fn write(writer: &mut Writer, value: &String) -> Result<(), Problem> {
        within(MAX, value.len())?;
        writer.text(value);
        Ok(())
    }

    fn read(reader: &mut Decoder<'_>) -> Result<String, Problem> {
        bounded_text::<MAX>(reader).map(str::to_owned)
    }
}

fn bounded_text<'b, const MAX: usize>(reader: &mut Decoder<'b>) -> Result<&'b str, Problem> {
    let text = reader.str()?;
    within(MAX, text.len())?;
    Ok(text)
}

/// The name of a collection of entries. `task` is none: its entries would have tasks' subjects.
pub(super) struct Collection;

impl Collection {
    fn check(text: &str) -> Result<(), Problem> {
        let mut bytes = text.bytes();
        let first = bytes.next().is_some_and(|b| b.is_ascii_lowercase());
        let rest = bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-'));
        if first && rest && text != "task" { Ok(()) } else { Err(Problem::Need("[a-z][a-z0-9_-]* and not 'task'")) }
    }
}

impl Field for Collection {
    type Value = String;

    fn write(writer: &mut Writer, value: &String) -> Result<(), Problem> {
        Self::check(value)?;
        Text::<{ limits::COLLECTION }>::write(writer, value)
    }

    fn read(reader: &mut Decoder<'_>) -> Result<String, Problem> {
        let text = bounded_text::<{ limits::COLLECTION }>(reader)?;
        Self::check(text)?;
        Ok(text.to_owned())
    }
}

pub(super) struct NameText;

impl Field for NameText {
    type Value = Name;

    fn write(writer: &mut Writer, value: &Name) -> Result<(), Problem> {
        writer.text(value.as_str());
        Ok(())
    }

    fn read(reader: &mut Decoder<'_>) -> Result<Name, Problem> {
        bounded_text::<{ limits::NAME }>(reader)?.parse().map_err(|_| Problem::Need("a name: [A-Za-z0-9][A-Za-z0-9._-]*"))
    }
}

pub(super) struct QueueText;

impl Field for QueueText {
    type Value = Queue;

    fn write(writer: &mut Writer, value: &Queue) -> Result<(), Problem> {
        // Custom("done") would be read back as Done, and what was signed would not be what is read.
        if Queue::parse(value.as_str()).as_ref() != Ok(value) {
            return Err(Problem::Need("a custom queue with a name that is not a built-in queue's"));
        }
        writer.text(value.as_str());
        Ok(())
    }

    fn read(reader: &mut Decoder<'_>) -> Result<Queue, Problem> {
        Queue::parse(bounded_text::<{ limits::NAME }>(reader)?).map_err(|_| Problem::Need("a queue's name"))
    }
}

pub(super) struct ObjectId;

impl Field for ObjectId {
    type Value = Oid;

    fn write(writer: &mut Writer, value: &Oid) -> Result<(), Problem> {
        writer.bytes(value.as_bytes());
        Ok(())
    }

    fn read(reader: &mut Decoder<'_>) -> Result<Oid, Problem> {
        Oid::from_bytes(reader.bytes()?).ok_or(Problem::Need("a git object id of 20 or 32 bytes"))
    }
}

pub(super) struct Number;

impl Field for Number {
    type Value = u64;

    fn write(writer: &mut Writer, value: &u64) -> Result<(), Problem> {
        writer.uint(*value);
        Ok(())
    }

    fn read(reader: &mut Decoder<'_>) -> Result<u64, Problem> {
        Ok(reader.u64()?)
    }
}

pub(super) struct Ttl;

impl Ttl {
    fn check(seconds: u32) -> Result<u32, Problem> {
        if seconds <= limits::TTL_SECONDS { Ok(seconds) } else { Err(Problem::Need("at most 3600 seconds")) }
    }
}

impl Field for Ttl {
    type Value = u32;

    fn write(writer: &mut Writer, value: &u32) -> Result<(), Problem> {
        writer.uint(u64::from(Self::check(*value)?));
        Ok(())
    }

    fn read(reader: &mut Decoder<'_>) -> Result<u32, Problem> {
        Self::check(reader.u32()?)
    }
}

/// Numbers the variants of a fieldless enum on the wire, from 1.
macro_rules! numbered {
    ($field:ident, $value:ident, $need:literal, { $($number:literal $variant:ident)* }) => {
        pub(super) struct $field;

        impl Field for $field {
            type Value = $value;

            fn write(writer: &mut Writer, value: &$value) -> Result<(), Problem> {
                writer.uint(match value { $($value::$variant => $number,)* });
                Ok(())
            }

            fn read(reader: &mut Decoder<'_>) -> Result<$value, Problem> {
                match reader.u64()? {
                    $($number => Ok($value::$variant),)*
                    _ => Err(Problem::Need($need)),
                }
            }
        }
    };
}

numbered!(AccessCode, Access, "an access: 1 reader, 2 worker, 3 admin", { 1 Reader 2 Worker 3 Admin });
numbered!(CauseCode, Cause, "a cause from 1 to 15", {
    1 Requeue 2 ForceQueue 3 Edit 4 Flow 5 AttemptFailed 6 GivenUp 7 BurnOut 8 MergeConflict 9 Reopen 10 Adopt 11 GivenBack 12 Stopped
    13 Superseded 14 LeaseExpired 15 BrokenDown
});

/// Null, or the field.
pub(super) struct Opt<F>(PhantomData<F>);

impl<F: Field> Field for Opt<F> {
    type Value = Option<F::Value>;

    fn write(writer: &mut Writer, value: &Self::Value) -> Result<(), Problem> {
        match value {
            None => {
                writer.null();
                Ok(())
            }
            Some(value) => F::write(writer, value),
        }
    }

    fn read(reader: &mut Decoder<'_>) -> Result<Self::Value, Problem> {
        if reader.datatype()? == Type::Null {
            reader.null()?;
            return Ok(None);
        }
        F::read(reader).map(Some)
    }
}

/// An array of `[session, seq]`, sessions strictly ascending.
pub(super) struct Frontier;

impl Frontier {
    fn check(frontier: &RemovalFrontier) -> Result<(), Problem> {
        let ascending = frontier.windows(2).all(|pair| matches!(pair, [(a, _), (b, _)] if a < b));
        if ascending { Ok(()) } else { Err(Problem::Need("a frontier with its sessions strictly ascending")) }
    }
}

impl Field for Frontier {
    type Value = RemovalFrontier;

    fn write(writer: &mut Writer, value: &RemovalFrontier) -> Result<(), Problem> {
        within(limits::FRONTIER, value.len())?;
        Self::check(value)?;
        writer.array(value.len() as u64);
        for (session, seq) in value {
            writer.array(2);
            Session::write(writer, session)?;
            writer.uint(*seq);
        }
        Ok(())
    }

    fn read(reader: &mut Decoder<'_>) -> Result<RemovalFrontier, Problem> {
        let len = reader.array()?.ok_or(Problem::Need("an array of definite length"))?;
        within(limits::FRONTIER, usize::try_from(len).unwrap_or(usize::MAX))?;
        // Grown as items arrive: a claimed length alone reserves nothing.
        let mut frontier = Vec::new();
        for _ in 0..len {
            array_of(reader, 2)?;
            frontier.push((Session::read(reader)?, reader.u64()?));
        }
        Self::check(&frontier)?;
        Ok(frontier)
    }
}
