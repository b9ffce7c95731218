//! The lists inside messages: how each is written, read and limited.

use minicbor::Decoder;

use super::{ClaimAnswer, FrameError, Rival};
use crate::{
    chain::Tips,
    ids::{AuthorKey, RecordId},
    peer::limits,
    record::{CborWriter as Writer, limits as record_limits},
};

pub(super) fn at_most(found: usize, limit: usize, field: &'static str) -> Result<(), FrameError> {
    if found <= limit { Ok(()) } else { Err(FrameError::TooLong { field, limit, found }) }
}

fn ascending<T: Ord>(items: &[T], field: &'static str) -> Result<(), FrameError> {
    let fits = items.windows(2).all(|pair| matches!(pair, [a, b] if a < b));
    if fits { Ok(()) } else { Err(FrameError::Value { field, need: "strictly ascending" }) }
}

pub(super) fn check_ids(ids: &[RecordId], limit: usize, field: &'static str) -> Result<(), FrameError> {
    at_most(ids.len(), limit, field)?;
    ascending(ids, field)
}

pub(super) fn check_tips(tips: &Tips) -> Result<(), FrameError> {
    at_most(tips.len(), limits::AUTHORS, "tips.authors")?;
    at_most(tips.values().map(|ids| ids.len()).sum(), limits::IDS, "tips.ids")
}

pub(super) fn check_records(records: &[Vec<u8>]) -> Result<(), FrameError> {
    at_most(records.len(), limits::RECORDS, "records.records")?;
    for record in records {
        at_most(record.len(), record_limits::RECORD, "records.record")?;
    }
    at_most(records.iter().map(Vec::len).sum(), limits::RECORD_BYTES, "records.bytes")
}

pub(super) fn check_answers(answers: &[ClaimAnswer]) -> Result<(), FrameError> {
    at_most(answers.len(), limits::RECORDS, "ack.answers")?;
    for answer in answers {
        at_most(answer.rivals.len(), limits::RIVALS, "ack.rivals")?;
        ascending(&answer.rivals, "ack.rivals")?;
    }
    Ok(())
}

pub(super) fn write_ids(writer: &mut Writer, ids: &[RecordId]) {
    writer.array(ids.len() as u64);
    ids.iter().for_each(|id| writer.bytes(id.as_bytes()));
}

pub(super) fn write_tips(writer: &mut Writer, tips: &Tips) {
    writer.array(tips.len() as u64);
    for (author, ids) in tips {
        writer.array(2);
        writer.bytes(author.as_bytes());
        writer.array(ids.len() as u64);
        ids.iter().for_each(|id| writer.bytes(id.as_bytes()));
    }
}

pub(super) fn write_answers(writer: &mut Writer, answers: &[ClaimAnswer]) {
    writer.array(answers.len() as u64);
    for answer in answers {
        writer.array(2);
        writer.bytes(answer.of.as_bytes());
        writer.array(answer.rivals.len() as u64);
        for rival in &answer.rivals {
            writer.array(4);
            writer.bytes(rival.id.as_bytes());
            writer.bytes(rival.author.as_bytes());
            writer.uint(rival.epoch);
            writer.uint(u64::from(rival.started));
        }
    }
}

/// Reads fields and names the one that is wrong.
pub(super) struct Reader<'b> {
    decoder: Decoder<'b>,
}

impl<'b> Reader<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self { decoder: Decoder::new(bytes) }
    }

    pub(super) fn position(&self) -> usize {
        self.decoder.position()
    }

    /// Reads the head of an array of definite length; the length alone reserves nothing.
    pub(super) fn array(&mut self, limit: usize, field: &'static str) -> Result<usize, FrameError> {
        let len = self.decoder.array().map_err(|source| FrameError::Cbor { field, source })?;
        let len = len.ok_or(FrameError::Value { field, need: "an array of definite length" })?;
        let found = usize::try_from(len).unwrap_or(usize::MAX);
        at_most(found, limit, field)?;
        Ok(found)
    }

    pub(super) fn array_of(&mut self, len: usize, field: &'static str) -> Result<(), FrameError> {
        let found = self.array(len, field)?;
        if found == len { Ok(()) } else { Err(FrameError::Value { field, need: "an array of as many items as it has fields" }) }
    }

    pub(super) fn uint(&mut self, field: &'static str) -> Result<u64, FrameError> {
        self.decoder.u64().map_err(|source| FrameError::Cbor { field, source })
    }

    pub(super) fn flag(&mut self, field: &'static str) -> Result<bool, FrameError> {
        match self.uint(field)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(FrameError::Value { field, need: "0 or 1" }),
        }
    }

    pub(super) fn fixed<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], FrameError> {
        let bytes = self.decoder.bytes().map_err(|source| FrameError::Cbor { field, source })?;
        bytes.try_into().map_err(|_| FrameError::Value { field, need: "a byte string of the length of its type" })
    }

    pub(super) fn bytes(&mut self, limit: usize, field: &'static str) -> Result<&'b [u8], FrameError> {
        let bytes = self.decoder.bytes().map_err(|source| FrameError::Cbor { field, source })?;
        at_most(bytes.len(), limit, field)?;
        Ok(bytes)
    }

    pub(super) fn text(&mut self, limit: usize, field: &'static str) -> Result<&'b str, FrameError> {
        let text = self.decoder.str().map_err(|source| FrameError::Cbor { field, source })?;
        at_most(text.len(), limit, field)?;
        Ok(text)
    }

    pub(super) fn ids(&mut self, limit: usize, field: &'static str) -> Result<Vec<RecordId>, FrameError> {
        let len = self.array(limit, field)?;
        // Grown as items arrive.
        let mut ids = Vec::new();
        for _ in 0..len {
            ids.push(RecordId(self.fixed(field)?));
        }
        check_ids(&ids, limit, field)?;
        Ok(ids)
    }

    pub(super) fn tips(&mut self) -> Result<Tips, FrameError> {
        let (mut tips, mut left, mut last) = (Tips::new(), limits::IDS, None);
        for _ in 0..self.array(limits::AUTHORS, "tips.authors")? {
            self.array_of(2, "tips.author")?;
            let author = AuthorKey(self.fixed("tips.author")?);
            if last.is_some_and(|last| last >= author) {
                return Err(FrameError::Value { field: "tips.authors", need: "strictly ascending" });
            }
            last = Some(author);
            let ids = self.ids(left, "tips.ids")?;
            left -= ids.len();
            tips.insert(author, ids.into_iter().collect());
        }
        Ok(tips)
    }

    pub(super) fn answers(&mut self) -> Result<Vec<ClaimAnswer>, FrameError> {
        let mut answers = Vec::new();
        for _ in 0..self.array(limits::RECORDS, "ack.answers")? {
            self.array_of(2, "ack.answer")?;
            let of = RecordId(self.fixed("ack.of")?);
            let mut rivals = Vec::new();
            for _ in 0..self.array(limits::RIVALS, "ack.rivals")? {
                self.array_of(4, "ack.rival")?;
                let (id, author) = (RecordId(self.fixed("ack.rival.id")?), AuthorKey(self.fixed("ack.rival.author")?));
                rivals.push(Rival { id, author, epoch: self.uint("ack.rival.epoch")?, started: self.flag("ack.rival.started")? });
            }
            answers.push(ClaimAnswer { of, rivals });
        }
        check_answers(&answers)?;
        Ok(answers)
    }

    pub(super) fn records(&mut self) -> Result<Vec<Vec<u8>>, FrameError> {
        let (mut records, mut left) = (Vec::new(), limits::RECORD_BYTES);
        for _ in 0..self.array(limits::RECORDS, "records.records")? {
            let bytes = self.bytes(record_limits::RECORD.min(left), "records.record")?;
            left -= bytes.len();
            records.push(bytes.to_vec());
        }
        Ok(records)
    }
}
