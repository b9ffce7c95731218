//! Signed records: the only statements that Octopoid's state is made of.
//!
//! A record is `payload ‖ signature`; `docs/protocol.md` gives the bytes of every kind.
//!
//! **Invariants**: the type [`Verified`] is the only way into state and store; a statement has one encoding and one id;
//! a kind of a later version is kept and relayed byte for byte.

mod body;
mod field;
mod kind;
pub mod limits;
mod payload;
mod verified;

pub use body::{Access, Body, Cause, Imported, Queue, RemovalFrontier};
pub use field::FieldError;
pub(crate) use field::Writer as CborWriter;
pub use kind::{KINDS, SubjectRule};
pub use payload::{Payload, PayloadError, VERSION};
pub use verified::{RecordError, SIGNATURE_LEN, SignError, Signer, Verified, cluster_id};
