//! The frames between members: what one can say, and its bytes.
//!
//! A frame is a canonical CBOR array whose first item is the type. A type of a later version is skipped; a known type with
//! more or other fields than it has is an error, so that two nodes never read one frame differently.
//!
//! **Invariants**: a message has exactly one encoding and only that one is read; reading allocates no more than the frame
//! holds and nothing beyond the field's limit.

mod parts;
mod read;

use super::{Renewal, limits};
use crate::{
    chain::Tips,
    ids::{AuthorKey, ClusterId, RecordId},
    record::CborWriter as Writer,
};
pub use read::FrameError;

/// The version of the protocol between members that this code speaks, and the only one.
pub const PROTOCOL: u64 = 1;

/// Another open claim on a task, or another open review of one submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rival {
    /// The Claim or Review record.
    pub id: RecordId,
    /// Who wrote it: its lot follows from the key.
    pub author: AuthorKey,
    /// The claim's epoch; 0 for a review.
    pub epoch: u64,
    /// Whether work on it is known to have started.
    pub started: bool,
}

/// What a member knows against a claim or review that it has committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimAnswer {
    /// The Claim or Review record that is answered.
    pub of: RecordId,
    /// What competes with it, ascending by id, at most [`limits::RIVALS`].
    pub rivals: Vec<Rival>,
}

/// One frame between members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// First each way: the versions spoken, the cluster, and the digest of all tips.
    Hello { low: u64, high: u64, cluster: ClusterId, digest: [u8; 32] },
    /// The digest of all tips, after something changed.
    Digest { digest: [u8; 32] },
    /// All tips, in as many frames as it takes; `more` says that another follows.
    Tips { tips: Tips, more: bool },
    /// Which of the peer's tips are not held here.
    Unknown { ids: Vec<RecordId> },
    /// Records, each after what it builds on as far as the sender knows. Numbered from 1 on each connection.
    Records { number: u64, records: Vec<Vec<u8>> },
    /// What came of a frame of records, sent when they are on disk. `waiting` ones lack something and are not; another
    /// acknowledgement of the same number follows when they are.
    Ack { number: u64, waiting: Vec<RecordId>, answers: Vec<ClaimAnswer> },
    /// Leases that go on.
    Renew { renewals: Vec<Renewal> },
    /// What a node tells of itself, for people.
    Presence { text: String },
    /// The peer did something that no correct node does.
    Struck { reason: String },
    /// The last frame before closing.
    Bye { reason: String },
}

impl Message {
    /// Returns the type's number on the wire.
    #[must_use]
    pub const fn kind(&self) -> u64 {
        match self {
            Self::Hello { .. } => 1,
            Self::Digest { .. } => 2,
            Self::Tips { .. } => 3,
            Self::Unknown { .. } => 4,
            Self::Records { .. } => 5,
            Self::Ack { .. } => 6,
            Self::Renew { .. } => 7,
            Self::Presence { .. } => 8,
            Self::Struck { .. } => 9,
            Self::Bye { .. } => 10,
        }
    }

    /// Returns the type's name, for logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Hello { .. } => "hello",
            Self::Digest { .. } => "digest",
            Self::Tips { .. } => "tips",
            Self::Unknown { .. } => "unknown",
            Self::Records { .. } => "records",
            Self::Ack { .. } => "ack",
            Self::Renew { .. } => "renew",
            Self::Presence { .. } => "presence",
            Self::Struck { .. } => "struck",
            Self::Bye { .. } => "bye",
        }
    }

    /// Writes the message's one encoding.
    ///
    /// # Errors
    /// When a part is beyond its limit or out of order; the machines make no such message, a caller with a long text can.
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        self.check()?;
        let mut writer = Writer::with_capacity(self.size_hint());
        self.write(&mut writer);
        let bytes = writer.finish();
        if bytes.len() > limits::FRAME { Err(FrameError::Size { found: bytes.len() }) } else { Ok(bytes) }
    }

    /// Reads a frame; `None` for a type of a later version, to be skipped.
    ///
    /// # Errors
    /// When the bytes are anything but what [`Message::encode`] would write for the result.
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>, FrameError> {
        read::message(bytes)
    }

    fn size_hint(&self) -> usize {
        match self {
            Self::Records { records, .. } => 32 + records.iter().map(|record| record.len() + 5).sum::<usize>(),
            Self::Tips { tips, .. } => 32 + tips.values().map(|ids| 40 + 34 * ids.len()).sum::<usize>(),
            Self::Ack { waiting, answers, .. } => 32 + 34 * waiting.len() + answers.len() * 128,
            Self::Unknown { ids } => 16 + 34 * ids.len(),
            Self::Renew { renewals } => 16 + 160 * renewals.len(),
            Self::Presence { text } | Self::Struck { reason: text } | Self::Bye { reason: text } => 16 + text.len(),
            Self::Hello { .. } | Self::Digest { .. } => 96,
        }
    }

    fn write(&self, writer: &mut Writer) {
        writer.array(read::fields(self.kind()).map_or(1, |fields| fields + 1));
        writer.uint(self.kind());
        match self {
            Self::Hello { low, high, cluster, digest } => {
                writer.uint(*low);
                writer.uint(*high);
                writer.bytes(cluster.as_bytes());
                writer.bytes(digest);
            }
            Self::Digest { digest } => writer.bytes(digest),
            Self::Tips { tips, more } => {
                parts::write_tips(writer, tips);
                writer.uint(u64::from(*more));
            }
            Self::Unknown { ids } => parts::write_ids(writer, ids),
            Self::Records { number, records } => {
                writer.uint(*number);
                writer.array(records.len() as u64);
                records.iter().for_each(|record| writer.bytes(record));
            }
            Self::Ack { number, waiting, answers } => {
                writer.uint(*number);
                parts::write_ids(writer, waiting);
                parts::write_answers(writer, answers);
            }
            Self::Renew { renewals } => {
                writer.array(renewals.len() as u64);
                renewals.iter().for_each(|renewal| writer.bytes(renewal.wire()));
            }
            Self::Presence { text } | Self::Struck { reason: text } | Self::Bye { reason: text } => writer.text(text),
        }
    }

    /// Checks what a reader would refuse.
    fn check(&self) -> Result<(), FrameError> {
        match self {
            Self::Hello { low, high, .. } if low > high => Err(FrameError::Value { field: "hello.low", need: "at most hello.high" }),
            Self::Hello { .. } | Self::Digest { .. } => Ok(()),
            Self::Tips { tips, .. } => parts::check_tips(tips),
            Self::Unknown { ids } => parts::check_ids(ids, limits::IDS, "unknown.ids"),
            Self::Records { records, .. } => parts::check_records(records),
            Self::Ack { waiting, answers, .. } => {
                parts::check_ids(waiting, limits::RECORDS, "ack.waiting")?;
                parts::check_answers(answers)
            }
            Self::Renew { renewals } => parts::at_most(renewals.len(), limits::RENEWALS, "renew.renewals"),
            Self::Presence { text } => parts::at_most(text.len(), limits::PRESENCE, "presence.text"),
            Self::Struck { reason } => parts::at_most(reason.len(), limits::REASON, "struck.reason"),
            Self::Bye { reason } => parts::at_most(reason.len(), limits::REASON, "bye.reason"),
        }
    }
}
