//! Reading frames.

use super::{Message, parts::Reader};
use crate::{
    ids::ClusterId,
    peer::{Renewal, RenewalError, limits},
};

/// States why bytes are not a frame between members. No correct node sends such: it counts against the peer.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// More bytes than a frame may have.
    #[error("the frame has {found} bytes, the limit is {}", limits::FRAME)]
    Size {
        /// The size found.
        found: usize,
    },
    /// The bytes are not the type that this place asks for.
    #[error("{field} is malformed")]
    Cbor {
        /// The field, as `message.field`.
        field: &'static str,
        /// What the decoder met.
        #[source]
        source: minicbor::decode::Error,
    },
    /// The field is larger than its limit.
    #[error("{field} has a length of {found}, the limit is {limit}")]
    TooLong {
        /// The field, as `message.field`.
        field: &'static str,
        /// The limit, see [`limits`].
        limit: usize,
        /// The length found.
        found: usize,
    },
    /// The value is not allowed.
    #[error("{field} must be {need}")]
    Value {
        /// The field, as `message.field`.
        field: &'static str,
        /// What would be allowed.
        need: &'static str,
    },
    /// A renewal is no renewal, whoever signed it.
    #[error("renew.renewals holds a malformed one")]
    Renewal(#[source] RenewalError),
    /// Bytes follow the last field, or the bytes are another form of the same value.
    #[error("the frame is not in its canonical form")]
    NotCanonical,
}

/// The most items that a frame's outermost array may have, known type or not.
const ITEMS: usize = 64;

/// Returns how many fields a known type has.
pub(super) const fn fields(kind: u64) -> Option<u64> {
    match kind {
        1 => Some(4),
        2 | 4 | 7 | 8 | 9 | 10 => Some(1),
        3 | 5 => Some(2),
        6 => Some(3),
        _ => None,
    }
}

pub(super) fn message(bytes: &[u8]) -> Result<Option<Message>, FrameError> {
    if bytes.len() > limits::FRAME {
        return Err(FrameError::Size { found: bytes.len() });
    }
    let mut reader = Reader::new(bytes);
    let items = reader.array(ITEMS, "frame")? as u64;
    let kind = reader.uint("frame.type")?;
    let Some(fields) = fields(kind) else { return Ok(None) };
    if items != fields + 1 {
        return Err(FrameError::Value { field: "frame", need: "an array of as many items as its type has fields" });
    }
    let message = known(kind, &mut reader)?;
    if reader.position() != bytes.len() || message.encode()? != bytes {
        return Err(FrameError::NotCanonical);
    }
    Ok(Some(message))
}

fn known(kind: u64, reader: &mut Reader<'_>) -> Result<Message, FrameError> {
    Ok(match kind {
        1 => Message::Hello {
            low: reader.uint("hello.low")?,
            high: reader.uint("hello.high")?,
            cluster: ClusterId(reader.fixed("hello.cluster")?),
            digest: reader.fixed("hello.digest")?,
        },
        2 => Message::Digest { digest: reader.fixed("digest.digest")? },
        3 => Message::Tips { tips: reader.tips()?, more: reader.flag("tips.more")? },
        4 => Message::Unknown { ids: reader.ids(limits::IDS, "unknown.ids")? },
        5 => Message::Records { number: reader.uint("records.number")?, records: reader.records()? },
        6 => Message::Ack {
            number: reader.uint("ack.number")?,
            waiting: reader.ids(limits::RECORDS, "ack.waiting")?,
            answers: reader.answers()?,
        },
        7 => Message::Renew { renewals: renewals(reader)? },
        8 => Message::Presence { text: reader.text(limits::PRESENCE, "presence.text")?.to_owned() },
        9 => Message::Struck { reason: reader.text(limits::REASON, "struck.reason")?.to_owned() },
        10 => Message::Bye { reason: reader.text(limits::REASON, "bye.reason")?.to_owned() },
        _ => return Err(FrameError::Value { field: "frame.type", need: "a known type" }),
    })
}

fn renewals(reader: &mut Reader<'_>) -> Result<Vec<Renewal>, FrameError> {
    let mut renewals = Vec::new();
    for _ in 0..reader.array(limits::RENEWALS, "renew.renewals")? {
        let wire = reader.bytes(super::super::renewal::WIRE_MAX, "renew.renewal")?;
        renewals.push(Renewal::decode(wire).map_err(FrameError::Renewal)?);
    }
    Ok(renewals)
}
