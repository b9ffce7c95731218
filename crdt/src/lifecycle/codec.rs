//! How an entry lies in a key-value store: one CBOR array, of about 100 bytes for most acts.
//!
//! **Invariants**: decoding gives back what was encoded, or an error; the layout is that of version 1, see `docs/storage.md`. These bytes
//! are a node's own and never travel.

use minicbor::{
    Decoder, Encoder,
    data::Type,
    decode::Error as DecodeError,
    encode::{Error as EncodeError, Write},
};

use super::{
    act::Act,
    entry::{Entry, Verdict},
    law::Refusal,
    past::{Index, Past},
    standing::{PolicyAt, Standing},
};
use crate::{
    ids::{AuthorKey, Oid, RecordId, SessionId},
    record::{Access, Cause, Queue},
};

const VERSION: u8 = 1;

/// States why stored bytes are no entry.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// A later release wrote them.
    #[error("a stored task record has layout {0}, this release reads {VERSION}: start the newer release")]
    Version(u8),
    /// They are damaged.
    #[error("a stored task record is damaged: run `octopoid doctor --rebuild`")]
    Damaged(#[source] DecodeError),
    /// They go on after the entry's end.
    #[error("a stored task record is followed by {0} bytes too many: run `octopoid doctor --rebuild`")]
    Trailing(usize),
}

impl From<DecodeError> for EntryError {
    fn from(error: DecodeError) -> Self {
        Self::Damaged(error)
    }
}

impl Entry {
    /// Encodes the entry.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(160);
        let mut encoder = Encoder::new(&mut bytes);
        write_entry(&mut encoder, self).expect("a Vec takes every byte");
        bytes
    }

    /// Decodes an entry.
    ///
    /// # Errors
    /// When the bytes are of a later release or damaged.
    pub fn decode(bytes: &[u8]) -> Result<Self, EntryError> {
        let mut decoder = Decoder::new(bytes);
        expect_array(&mut decoder, 10)?;
        match decoder.u8()? {
            VERSION => {}
            version => return Err(EntryError::Version(version)),
        }
        let entry = read_entry(&mut decoder)?;
        match bytes.len() - decoder.position() {
            0 => Ok(entry),
            more => Err(EntryError::Trailing(more)),
        }
    }
}

type Encoded<W> = Result<(), EncodeError<<W as Write>::Error>>;

fn write_entry<W: Write>(e: &mut Encoder<W>, entry: &Entry) -> Encoded<W> {
    e.array(10)?.u8(VERSION)?.bytes(&entry.id.0)?.bytes(&entry.author.0)?;
    write_past(e, &entry.past)?;
    write_act(e, &entry.act)?;
    write_standing(e, &entry.standing)?;
    e.u8(match entry.verdict {
        Verdict::Counts => 0,
        Verdict::Void(refusal) => refusal_code(refusal),
    })?;
    write_option(e, entry.target, |e, index| e.u32(index).map(drop))?;
    write_option(e, entry.about, |e, index| e.u32(index).map(drop))?;
    e.bool(entry.anew)?;
    Ok(())
}

fn read_entry(d: &mut Decoder<'_>) -> Result<Entry, DecodeError> {
    Ok(Entry {
        id: RecordId(read_bytes(d)?),
        author: AuthorKey(read_bytes(d)?),
        past: read_past(d)?,
        act: read_act(d)?,
        standing: read_standing(d)?,
        verdict: match d.u8()? {
            0 => Verdict::Counts,
            code => Verdict::Void(coded(REFUSALS, refusal_code, code)?),
        },
        target: read_option(d, Decoder::u32)?,
        about: read_option(d, Decoder::u32)?,
        anew: d.bool()?,
    })
}

/// A linear past is one number; another an array of the bound and then, for each run, its distance from what came before and its length.
fn write_past<W: Write>(e: &mut Encoder<W>, past: &Past) -> Encoded<W> {
    if past.extra().is_empty() {
        return e.u32(past.upto()).map(drop);
    }
    e.array(1 + 2 * past.extra().len() as u64)?.u32(past.upto())?;
    let mut from = past.upto();
    for &(start, end) in past.extra() {
        e.u32(start - from)?.u32(end - start)?;
        from = end;
    }
    Ok(())
}

fn read_past(d: &mut Decoder<'_>) -> Result<Past, DecodeError> {
    if d.datatype()? != Type::Array {
        return d.u32().map(Past::below);
    }
    let items = d.array()?.filter(|items| items % 2 == 1).ok_or_else(|| DecodeError::message("past: expected an odd array"))?;
    let upto = d.u32()?;
    let (mut from, mut runs) = (upto, vec![(0, upto)]);
    for _ in 0..items / 2 {
        let overflow = || DecodeError::message("past: a run ends beyond the last position");
        let start: Index = from.checked_add(d.u32()?).ok_or_else(overflow)?;
        from = start.checked_add(d.u32()?).ok_or_else(overflow)?;
        runs.push((start, from));
    }
    Ok(Past::from_runs(runs))
}

fn write_standing<W: Write>(e: &mut Encoder<W>, standing: &Standing) -> Encoded<W> {
    e.array(5)?;
    write_option(e, standing.access, |e, access| {
        let code = match access {
            Access::Reader => 0,
            Access::Worker => 1,
            Access::Admin => 2,
        };
        e.u8(code).map(drop)
    })?;
    write_option(e, standing.policy, |e, policy| {
        e.array(2)?.u64(policy.number)?;
        write_option(e, policy.authority, |e, key| e.bytes(&key.0).map(drop))
    })?;
    e.bytes(&standing.session.0)?.u64(standing.seq)?;
    write_past(e, &standing.removals)
}

fn read_standing(d: &mut Decoder<'_>) -> Result<Standing, DecodeError> {
    expect_array(d, 5)?;
    let access = read_option(d, |d| match d.u8()? {
        0 => Ok(Access::Reader),
        1 => Ok(Access::Worker),
        2 => Ok(Access::Admin),
        _ => Err(DecodeError::message("access: unknown code")),
    })?;
    let policy = read_option(d, |d| {
        expect_array(d, 2)?;
        Ok(PolicyAt { number: d.u64()?, authority: read_option(d, |d| read_bytes(d).map(AuthorKey))? })
    })?;
    Ok(Standing { access, policy, session: SessionId(read_bytes(d)?), seq: d.u64()?, removals: read_past(d)? })
}

fn write_act<W: Write>(e: &mut Encoder<W>, act: &Act) -> Encoded<W> {
    match act {
        Act::Create => e.array(1)?.u8(0).map(drop),
        Act::Edit => e.array(1)?.u8(1).map(drop),
        Act::Heads => e.array(1)?.u8(2).map(drop),
        Act::Claim { epoch, agent } => e.array(3)?.u8(3)?.u64(*epoch)?.str(agent).map(drop),
        Act::Review { on, agent } => e.array(3)?.u8(4)?.bytes(&on.0)?.str(agent).map(drop),
        Act::Grant { claim, epoch } => e.array(3)?.u8(5)?.bytes(&claim.0)?.u64(*epoch).map(drop),
        Act::Release { of, cause } => e.array(3)?.u8(6)?.bytes(&of.0)?.u8(cause_code(*cause)).map(drop),
        Act::Expire { of } => e.array(2)?.u8(7)?.bytes(&of.0).map(drop),
        Act::Submit { claim, base, head } => {
            e.array(4)?.u8(8)?.bytes(&claim.0)?;
            write_oid(e, base.as_ref())?;
            write_oid(e, head.as_ref())
        }
        Act::Accept { on } => e.array(2)?.u8(9)?.bytes(&on.0).map(drop),
        Act::Reject { on } => e.array(2)?.u8(10)?.bytes(&on.0).map(drop),
        Act::Merged { accept, commit } => {
            e.array(3)?.u8(11)?.bytes(&accept.0)?;
            write_oid(e, commit.as_ref())
        }
        Act::Finish => e.array(1)?.u8(12).map(drop),
        Act::Move { queue, cause, keep } => {
            e.array(4)?.u8(13)?.str(queue.as_str())?.u8(cause_code(*cause))?;
            write_option(e, *keep, |e, keep| e.bytes(&keep.0).map(drop))
        }
        Act::Cancel => e.array(1)?.u8(14).map(drop),
        Act::Delete => e.array(1)?.u8(15).map(drop),
        Act::Unknown => e.array(1)?.u8(16).map(drop),
    }
}

fn read_act(d: &mut Decoder<'_>) -> Result<Act, DecodeError> {
    d.array()?.ok_or_else(|| DecodeError::message("act: expected an array"))?;
    Ok(match d.u8()? {
        0 => Act::Create,
        1 => Act::Edit,
        2 => Act::Heads,
        3 => Act::Claim { epoch: d.u64()?, agent: d.str()?.to_owned() },
        4 => Act::Review { on: RecordId(read_bytes(d)?), agent: d.str()?.to_owned() },
        5 => Act::Grant { claim: RecordId(read_bytes(d)?), epoch: d.u64()? },
        6 => Act::Release { of: RecordId(read_bytes(d)?), cause: read_cause(d)? },
        7 => Act::Expire { of: RecordId(read_bytes(d)?) },
        8 => Act::Submit { claim: RecordId(read_bytes(d)?), base: read_oid(d)?, head: read_oid(d)? },
        9 => Act::Accept { on: RecordId(read_bytes(d)?) },
        10 => Act::Reject { on: RecordId(read_bytes(d)?) },
        11 => Act::Merged { accept: RecordId(read_bytes(d)?), commit: read_oid(d)? },
        12 => Act::Finish,
        13 => Act::Move {
            queue: Queue::parse(d.str()?).map_err(DecodeError::custom)?,
            cause: read_cause(d)?,
            keep: read_option(d, |d| read_bytes(d).map(RecordId))?,
        },
        14 => Act::Cancel,
        15 => Act::Delete,
        16 => Act::Unknown,
        _ => return Err(DecodeError::message("act: unknown code")),
    })
}

fn write_oid<W: Write>(e: &mut Encoder<W>, oid: Option<&Oid>) -> Encoded<W> {
    write_option(e, oid, |e, oid| e.bytes(oid.as_bytes()).map(drop))
}

fn read_oid(d: &mut Decoder<'_>) -> Result<Option<Oid>, DecodeError> {
    read_option(d, |d| Oid::from_bytes(d.bytes()?).ok_or_else(|| DecodeError::message("object id: expected 20 or 32 bytes")))
}

fn write_option<W: Write, T>(e: &mut Encoder<W>, value: Option<T>, write: impl FnOnce(&mut Encoder<W>, T) -> Encoded<W>) -> Encoded<W> {
    match value {
        Some(value) => write(e, value),
        None => e.null().map(drop),
    }
}

fn read_option<'b, T>(
    d: &mut Decoder<'b>,
    read: impl FnOnce(&mut Decoder<'b>) -> Result<T, DecodeError>,
) -> Result<Option<T>, DecodeError> {
    if d.datatype()? == Type::Null {
        d.null()?;
        return Ok(None);
    }
    read(d).map(Some)
}

fn read_bytes<const N: usize>(d: &mut Decoder<'_>) -> Result<[u8; N], DecodeError> {
    d.bytes()?.try_into().map_err(|_| DecodeError::message("an id or key has the wrong length"))
}

fn expect_array(d: &mut Decoder<'_>, len: u64) -> Result<(), DecodeError> {
    if d.array()? == Some(len) { Ok(()) } else { Err(DecodeError::message("an array has the wrong length")) }
}

fn read_cause(d: &mut Decoder<'_>) -> Result<Cause, DecodeError> {
    let code = d.u8()?;
    coded(CAUSES, cause_code, code)
}

fn coded<T: Copy, const N: usize>(all: [T; N], code_of: fn(T) -> u8, code: u8) -> Result<T, DecodeError> {
    all.into_iter().find(|value| code_of(*value) == code).ok_or_else(|| DecodeError::message("unknown code"))
}

const CAUSES: [Cause; 15] = [
    Cause::Requeue,
    Cause::ForceQueue,
    Cause::Edit,
    Cause::Flow,
    Cause::AttemptFailed,
    Cause::GivenUp,
    Cause::BurnOut,
    Cause::MergeConflict,
    Cause::Reopen,
    Cause::Adopt,
    Cause::GivenBack,
    Cause::Stopped,
    Cause::Superseded,
    Cause::LeaseExpired,
    Cause::BrokenDown,
];

const fn cause_code(cause: Cause) -> u8 {
    match cause {
        Cause::Requeue => 0,
        Cause::ForceQueue => 1,
        Cause::Edit => 2,
        Cause::Flow => 3,
        Cause::AttemptFailed => 4,
        Cause::GivenUp => 5,
        Cause::BurnOut => 6,
        Cause::MergeConflict => 7,
        Cause::Reopen => 8,
        Cause::Adopt => 9,
        Cause::GivenBack => 10,
        Cause::Stopped => 11,
        Cause::Superseded => 12,
        Cause::LeaseExpired => 13,
        Cause::BrokenDown => 14,
    }
}

const REFUSALS: [Refusal; 16] = [
    Refusal::NotAMember,
    Refusal::NotTheAuthority,
    Refusal::UnknownTarget,
    Refusal::NotTheHolder,
    Refusal::NoTask,
    Refusal::Deleted,
    Refusal::Finished,
    Refusal::Cancelled,
    Refusal::Held,
    Refusal::Ended,
    Refusal::NotClaimable,
    Refusal::StaleEpoch,
    Refusal::NotCurrent,
    Refusal::NothingToReview,
    Refusal::NotATargetQueue,
    Refusal::UnknownKind,
];

const fn refusal_code(refusal: Refusal) -> u8 {
    match refusal {
        Refusal::NotAMember => 1,
        Refusal::NotTheAuthority => 2,
        Refusal::UnknownTarget => 3,
        Refusal::NotTheHolder => 4,
        Refusal::NoTask => 5,
        Refusal::Deleted => 6,
        Refusal::Finished => 7,
        Refusal::Cancelled => 8,
        Refusal::Held => 9,
        Refusal::Ended => 10,
        Refusal::NotClaimable => 11,
        Refusal::StaleEpoch => 12,
        Refusal::NotCurrent => 13,
        Refusal::NothingToReview => 14,
        Refusal::NotATargetQueue => 15,
        Refusal::UnknownKind => 16,
    }
}
