//! What synchronising with other nodes reads from a snapshot, and what it keeps of them.
//!
//! **Invariants**: records are sent in the order of their arrival here, which is causal; an acknowledgement never falls.

use std::collections::{BTreeMap, BTreeSet};

use octopoid_crdt::ids::{AuthorKey, RecordId};
use octopoid_crdt::membership::View;
use redb::ReadableTable;

use super::apply::{ReceiveError, Received};
use super::incoming::Incoming;
use super::open::Store;
use super::read::Reader;
use super::undo::Step;
use super::unit::{Unit, WriteFault};
use super::writer::Unavailable;
use super::{Fault, tables};

/// A record as it is stored and sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wire {
    /// Its number in this store.
    pub arrival: u64,
    /// Its bytes, as they were received.
    pub bytes: Vec<u8>,
}

impl Reader {
    /// Tells whether a record is held.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn knows(&self, id: &RecordId) -> Result<bool, Fault> {
        Ok(self.arrival(id)?.is_some())
    }

    /// Returns what a record continues; the outer none when it is not held, the inner for an author's first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn prev_of(&self, id: &RecordId) -> Result<Option<Option<RecordId>>, Fault> {
        let Some(arrival) = self.arrival(id)? else { return Ok(None) };
        Ok(self.record(arrival)?.map(|record| record.payload().prev))
    }

    /// Returns a record's bytes.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn wire(&self, arrival: u64) -> Result<Option<Vec<u8>>, Fault> {
        Ok(self.record_table()?.get(arrival)?.map(|wire| wire.value().to_vec()))
    }

    /// Returns records from an arrival number on, in that order: as many as fit into so many bytes, but one at least.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn wires(&self, from: u64, bytes: usize) -> Result<Vec<Wire>, Fault> {
        let (mut found, mut size) = (Vec::new(), 0);
        for item in self.record_table()?.range(from..)? {
            let (arrival, wire) = item?;
            size += wire.value().len();
            if size > bytes && !found.is_empty() {
                break;
            }
            found.push(Wire { arrival: arrival.value(), bytes: wire.value().to_vec() });
        }
        Ok(found)
    }

    /// Returns an author's records that arrived after one, oldest first: the latest `limit` of them.
    ///
    /// Walks the author's chain back, so the cost follows what is returned.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn records_after(&self, author: &AuthorKey, after: Option<u64>, limit: usize) -> Result<Vec<(u64, RecordId)>, Fault> {
        let chains = self.chains()?;
        let mut waiting = BTreeSet::new();
        for tip in chains.author(author).into_iter().flat_map(octopoid_crdt::chain::AuthorChain::tips) {
            waiting.extend(self.arrival(tip)?.map(|arrival| (arrival, *tip)));
        }
        let mut found = Vec::new();
        // The latest first, so that branches of a fork are walked side by side and meet.
        while let Some((arrival, id)) = waiting.pop_last() {
            if after.is_some_and(|after| arrival <= after) || found.len() >= limit {
                break;
            }
            found.push((arrival, id));
            if let Some(prev) = self.record(arrival)?.and_then(|record| record.payload().prev) {
                waiting.extend(self.arrival(&prev)?.map(|arrival| (arrival, prev)));
            }
        }
        found.reverse();
        Ok(found)
    }

    /// Returns for each member the arrival number of this node's latest record that it is known to hold.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn acknowledged(&self) -> Result<BTreeMap<AuthorKey, u64>, Fault> {
        let table = self.txn().open_table(tables::ACKNOWLEDGED)?;
        table.iter()?.map(|item| item.map(|(member, arrival)| (AuthorKey(*member.value()), arrival.value())).map_err(Fault::from)).collect()
    }

    /// Counts this node's records that no other member holds yet, in server-wins mode the authority: at most `limit`.
    ///
    /// None are waiting where there is nobody to send them to.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn pending(&self, me: &AuthorKey, view: &View, limit: usize) -> Result<usize, Fault> {
        let authority = view.authority().filter(|authority| *authority != me);
        let others: Vec<&AuthorKey> = match authority {
            Some(authority) => vec![authority],
            None => view.members().map(|(member, _)| member).filter(|member| *member != me).collect(),
        };
        if others.is_empty() {
            return Ok(0);
        }
        let acknowledged = self.acknowledged()?;
        let held = others.into_iter().filter_map(|member| acknowledged.get(member)).max().copied();
        Ok(self.records_after(me, held, limit)?.len())
    }
}

impl Store {
    /// Takes in records with one commit, in the order given; tells for each how it fared.
    ///
    /// A few hundred at a time are taken in fastest. Other writes wait meanwhile, about 0.3 ms for each record.
    ///
    /// # Errors
    /// When the store has failed.
    pub async fn receive(&self, records: Vec<Incoming>) -> Result<Vec<Result<Received, ReceiveError>>, Unavailable> {
        let received =
            self.writer().write(move |unit| records.into_iter().map(|record| unit.receive(record)).collect::<Result<Vec<_>, _>>());
        // A fault fails the commit, which the outer error tells.
        received.await?.map_err(|_: WriteFault| Unavailable::Defect)
    }
}

impl Unit<'_> {
    /// Notes that a member holds one of this node's records, and with it all before it; any other record is ignored.
    ///
    /// # Errors
    /// When the store fails.
    pub fn acknowledge(&mut self, member: &AuthorKey, record: &RecordId) -> Result<(), WriteFault> {
        if !self.knows(record)? {
            return Ok(());
        }
        let own = self.by_record_id(record)?.payload().author == self.me();
        let arrival = match self.by_id.get(record) {
            Some(at) => Some(self.records[*at].arrival),
            None => {
                let arrival = self.reader.arrival(record);
                self.note(arrival)?
            }
        };
        let Some(arrival) = arrival.filter(|_| own) else { return Ok(()) };
        let before = match self.acknowledged.get(&member.0) {
            Some(before) => Some(*before),
            None => {
                let stored = self.reader.acknowledged_by(member);
                self.note(stored)?
            }
        };
        if before.is_none_or(|before| before < arrival) {
            let pending = self.acknowledged.insert(member.0, arrival);
            self.undoable(|| Step::Acknowledged(member.0, pending));
        }
        Ok(())
    }
}
