//! What integrators have merged, as records that count say it.
//!
//! **Invariants**: a merge is believed of nobody but who was the integrator in the record's own past, and only while the record and the
//! accept that it names count and no removal masks them; that the task was reopened since unmakes no merge.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use octopoid_crdt::ids::{AuthorKey, Oid};
use octopoid_crdt::lifecycle::Removals;
use octopoid_crdt::record::{Body, Verified};
use redb::ReadableTable;

use super::read::Reader;
use super::{Fault, tables};

impl Reader {
    /// Returns every node that was ever to merge where there is no remote: the cluster's creator, and whom policies that count named.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn integrators(&self) -> Result<BTreeSet<AuthorKey>, Fault> {
        let mut integrators = BTreeSet::new();
        for item in self.txn().open_table(tables::CLUSTER_RECORDS)?.iter()? {
            let arrival = item?.1.value().0;
            let record = self.record(arrival)?.ok_or_else(|| Fault::Missing(arrival.to_string()))?;
            if let Body::Genesis { creator: named, .. } | Body::Policy { integrator: named, .. } = &record.payload().body {
                integrators.insert(*named);
            }
        }
        Ok(integrators)
    }

    /// Returns the last merge of each of these authors, written as the integrator, among the records of some arrivals; `masks` are what
    /// removals leave out.
    ///
    /// Reads the latest records first, and no more once each author's merge is found.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn last_merges(
        &self,
        arrivals: Range<u64>,
        mut authors: BTreeSet<AuthorKey>,
        masks: &Removals,
    ) -> Result<BTreeMap<AuthorKey, Oid>, Fault> {
        let (mut found, mut membership) = (BTreeMap::new(), None);
        for arrival in arrivals.rev() {
            if authors.is_empty() {
                break;
            }
            let Some(record) = self.record(arrival)? else { continue };
            let author = record.payload().author;
            let Body::Merged { commit: Some(commit), .. } = &record.payload().body else { continue };
            if !authors.contains(&author) || !self.is_merge_in_effect(&record, masks)? {
                continue;
            }
            let mut known = match membership.take() {
                Some(known) => known,
                None => self.membership()?,
            };
            let seen = self.seen(&record.id())?.ok_or_else(|| Fault::Missing(record.id().to_string()))?;
            if known.view(seen)?.integrator() == Some(&author) {
                authors.remove(&author);
                found.insert(author, commit.clone());
            }
            membership = Some(known);
        }
        Ok(found)
    }

    /// Tells whether a Merged and the accept that it names count in their task's log and are masked by no removal.
    fn is_merge_in_effect(&self, record: &Verified, masks: &Removals) -> Result<bool, Fault> {
        let subject = record.payload().subject;
        let Some(no) = self.by_subject(&subject)? else { return Ok(false) };
        let log = self.log_of(no, subject)?.log;
        let Some(at) = log.position(&record.id()) else { return Ok(false) };
        let Some(accept) = log.at(at).filter(|entry| entry.counts()).and_then(|entry| entry.target) else { return Ok(false) };
        let left_out = log.left_out(masks);
        Ok(!left_out.contains(&at) && !left_out.contains(&accept))
    }
}
