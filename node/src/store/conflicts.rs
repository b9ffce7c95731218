//! What lost when nodes that knew nothing of each other did the same: attempts, creations, merges, and the blockers that
//! close a circle. A person should look at it, and can dismiss it for all nodes.
//!
//! A dismissal is an entry of the collection [`COLLECTION`] under the task's id that lists what was seen. What is lost
//! later is not in the list, so the task shows again.
//!
//! **Invariants**: the signs of a task are a function of its records and document, the same on every node; a task is under
//! [`Facet::Conflict`] exactly while one of its signs is in no dismissal. A claim that yielded before its work began is none.

use std::collections::BTreeSet;
use std::fmt;

use octopoid_crdt::ids::{Oid, RecordId};
use octopoid_crdt::lifecycle::{Act, Attempt, AttemptStatus, Entry, Index, Phase, TaskState};
use octopoid_crdt::record::{Body, Cause};

use serde::{Deserialize, Serialize};

use super::Fault;
use super::documents::Life;
use super::index::Facet;
use super::list::{Filter, Page, Sort};
use super::read::{Reader, StoredLog};
use super::row::{TaskNo, TaskRow};
use super::unit::{Unit, WriteFault};

/// The collection of dismissals: a task's id → the signs that were seen, as a JSON list.
pub const COLLECTION: &str = "conflicts";
/// The collection of what the authority overrode: a task's id → [`Overridden`] entries, as a JSON list.
pub const OVERRIDDEN: &str = "overridden";
/// The same of documents that are no tasks: their collection and id with a slash between → [`Overridden`] entries.
const OVERRIDDEN_DOCUMENTS: &str = "overridden_documents";
/// Why a claim was given back that lost before its work began. Nothing came of it, so there is nothing to look at.
pub const YIELDED: &str = "another node's claim goes first";
/// How many signs of one kind a row names, so that nobody makes it grow without a bound: the latest attempts.
const MOST: usize = 64;

/// Something that a node did while it could not reach the authority, and that the authority's state goes before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overridden {
    /// The record that was overridden, in hex.
    pub record: String,
    /// The field, or `queue` or `content`.
    pub what: String,
    /// What was wanted; none for a body, whose lines are merged.
    pub lost: Option<String>,
    /// What stands.
    pub kept: Option<String>,
    /// The key of the node that wanted it, in hex.
    pub node: String,
    /// When, by that node's clock, in milliseconds since 1970.
    pub at_ms: u64,
}

/// Returns in which collection and under which key is what was overridden of a task, or of a document of another collection.
#[must_use]
pub fn overridden_place(collection: Option<&str>, id: &str) -> (&'static str, String) {
    match collection {
        None => (OVERRIDDEN, id.to_owned()),
        Some(collection) => (OVERRIDDEN_DOCUMENTS, format!("{collection}/{id}")),
    }
}

/// What was overridden of a document that is no task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverriddenDocument {
    /// Its collection.
    pub collection: String,
    /// Its tenant.
    pub scope: String,
    /// Its id.
    pub id: String,
    /// What was overridden.
    pub changes: Vec<Overridden>,
}

/// Reads what was overridden about a task; what cannot be read was written by a later version.
#[must_use]
pub fn overridden(json: &str) -> Vec<Overridden> {
    serde_json::from_str(json).unwrap_or_default()
}

/// One thing that lost.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sign {
    /// The attempt that this claim opened.
    Attempt(RecordId),
    /// A creation of the task that another node made of the same id.
    Creation(RecordId),
    /// A Merged record that names another commit than the one that counts.
    Merge(RecordId),
    /// A blocker that is not waited for, because that would close a circle.
    Circle(String),
    /// A step or a field of an edit that the authority's state goes before.
    Overridden {
        /// The record, in hex.
        record: String,
        /// The field.
        what: String,
    },
}

impl fmt::Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attempt(claim) => write!(f, "attempt:{claim}"),
            Self::Creation(record) => write!(f, "creation:{record}"),
            Self::Merge(record) => write!(f, "merge:{record}"),
            Self::Circle(blocker) => write!(f, "circle:{blocker}"),
            Self::Overridden { record, what } => write!(f, "overridden:{record}:{what}"),
        }
    }
}

impl TaskRow {
    /// Tells whether something is among what lost, dismissed or not.
    #[must_use]
    pub fn shows(&self, sign: &Sign) -> bool {
        match sign {
            Sign::Circle(blocker) => self.cut.contains(blocker),
            Sign::Attempt(_) | Sign::Creation(_) | Sign::Merge(_) | Sign::Overridden { .. } => self.signs.contains(&sign.to_string()),
        }
    }

    /// Returns everything that lost, dismissed or not.
    #[must_use]
    pub fn all_signs(&self) -> BTreeSet<String> {
        let circles = self.cut.iter().map(|blocker| Sign::Circle(blocker.clone()).to_string());
        self.signs.iter().cloned().chain(circles).collect()
    }
}

impl Reader {
    /// Returns a page of the tasks about which something lost that nobody has dismissed, the newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn conflicts(&self, scope: Option<&str>, offset: u64, limit: u64) -> Result<Page, Fault> {
        let scopes = scope.map(str::to_owned).into_iter().collect();
        let lost = Filter { scopes, facet: Some((Facet::Conflict, vec![String::new()])), ..Filter::default() };
        self.list(&lost, Sort::Newest, offset, limit)
    }

    /// Returns what was overridden of documents that are no tasks, and nobody has dismissed.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn overridden_documents(&self, scope: Option<&str>) -> Result<Vec<OverriddenDocument>, Fault> {
        let said = self.items(OVERRIDDEN_DOCUMENTS, scope)?.into_iter().filter_map(|(scope, key, item)| {
            let (collection, id) = key.split_once('/')?;
            let (collection, id) = (collection.to_owned(), id.to_owned());
            Some(OverriddenDocument { collection, scope, id, changes: overridden(&item.json) })
        });
        Ok(said.collect())
    }
}

impl Unit<'_> {
    /// Lets a task follow what was dismissed about it.
    pub(super) fn dismissed_anew(&mut self, scope: &str, id: &str) -> Result<(), WriteFault> {
        // A task that is not known yet looks at the dismissals when it is.
        let Some(no) = self.find(scope, id)? else { return Ok(()) };
        self.slot(no)?;
        self.touch(no);
        self.slot(no)?.stale = true;
        Ok(())
    }

    /// Tells whether something about a task lost that nobody has dismissed.
    pub(super) fn is_in_conflict(&mut self, no: TaskNo) -> Result<bool, WriteFault> {
        let row = &self.slot(no)?.row;
        // Nearly every task: no entry is looked up.
        if row.signs.is_empty() && row.cut.is_empty() {
            return Ok(false);
        }
        let (scope, id, signs) = (row.scope.clone(), row.id.clone(), row.all_signs());
        let dismissed = self.item(COLLECTION, &scope, &id)?;
        let dismissed: BTreeSet<String> = dismissed.and_then(|entry| serde_json::from_str(&entry.json).ok()).unwrap_or_default();
        Ok(!signs.is_subset(&dismissed))
    }

    /// Finds what lost in a task's records.
    pub(super) fn signs(&mut self, row: &TaskRow, state: &TaskState, log: &StoredLog, life: &Life) -> Result<Vec<String>, WriteFault> {
        let told = Told::of(log, life);
        let mut signs = Vec::new();
        // The latest attempts first; their order is the same everywhere.
        for attempt in state.attempts.iter().rev() {
            if signs.len() < MOST && self.is_lost(attempt, state, &told)? {
                signs.push(Sign::Attempt(attempt.claim));
            }
        }
        signs.extend(told.creations().into_iter().take(MOST));
        signs.extend(told.merges(state).into_iter().take(MOST));
        let said = self.item(OVERRIDDEN, &row.scope, &row.id)?.map(|item| overridden(&item.json)).unwrap_or_default();
        signs.extend(said.into_iter().rev().take(MOST).map(|said| Sign::Overridden { record: said.record, what: said.what }));
        Ok(signs.iter().map(ToString::to_string).collect())
    }

    /// Tells whether work of an attempt may have been lost to another one.
    fn is_lost(&mut self, attempt: &Attempt, state: &TaskState, told: &Told<'_>) -> Result<bool, WriteFault> {
        match attempt.status {
            AttemptStatus::Contested => Ok(true),
            // While the winner runs too, the loser's node is about to stop it or to give its claim back.
            AttemptStatus::Superseded if attempt.submit.is_none() && matches!(state.phase, Phase::Claimed { .. }) => Ok(false),
            AttemptStatus::Superseded => Ok(!told.was_given_up(attempt)),
            AttemptStatus::Released => self.was_stopped(attempt, told),
            AttemptStatus::Running | AttemptStatus::Submitted | AttemptStatus::Accepted | AttemptStatus::Merged => Ok(false),
            AttemptStatus::Ungranted | AttemptStatus::Expired | AttemptStatus::Rejected => Ok(false),
            AttemptStatus::MovedAway | AttemptStatus::Withdrawn => Ok(false),
        }
    }

    /// Tells whether a claim was given back because another won, after its work had begun, and no person has decided since.
    fn was_stopped(&mut self, attempt: &Attempt, told: &Told<'_>) -> Result<bool, WriteFault> {
        let ends = |act: &Act| matches!(act, Act::Release { of, cause: Cause::Superseded } if *of == attempt.claim);
        let Some((_, release)) = told.counted.iter().find(|(_, entry)| ends(&entry.act)) else { return Ok(false) };
        if told.was_given_up(attempt) || told.was_put_back(attempt) {
            return Ok(false);
        }
        let Some(arrival) = told.log.arrival(&release.id) else { return Ok(false) };
        let record = self.record(arrival, &release.id)?;
        Ok(matches!(&record.payload().body, Body::Release { reason, .. } if reason != YIELDED))
    }
}

/// The records of a task that are in effect.
struct Told<'l> {
    log: &'l StoredLog,
    counted: Vec<(Index, &'l Entry)>,
}

impl<'l> Told<'l> {
    fn of(log: &'l StoredLog, life: &Life) -> Self {
        let counted = (0..).zip(log.log.entries()).filter(|(index, entry)| entry.counts() && life.holds(*index, entry));
        Self { log, counted: counted.collect() }
    }

    /// Tells whether some record that is in effect was written in knowledge of what an attempt came to.
    fn knew(&self, attempt: &Attempt, which: impl Fn(&Act) -> bool) -> bool {
        let last = attempt.submit.as_ref().map_or(attempt.claim, |submit| submit.id);
        let Some(place) = self.log.log.position(&last) else { return false };
        self.counted.iter().any(|(_, entry)| which(&entry.act) && entry.past.contains(place))
    }

    /// Who finished or gave the task up in knowledge of the attempt has looked at it.
    fn was_given_up(&self, attempt: &Attempt) -> bool {
        self.knew(attempt, |act| matches!(act, Act::Finish | Act::Cancel))
    }

    /// A person has sent the task on in knowledge of the attempt.
    fn was_put_back(&self, attempt: &Attempt) -> bool {
        let by_itself = |cause: &Cause| matches!(cause, Cause::AttemptFailed | Cause::BurnOut | Cause::MergeConflict);
        self.knew(attempt, |act| match act {
            Act::Move { cause, .. } => !by_itself(cause),
            Act::Delete => true,
            Act::Create | Act::Edit | Act::Heads | Act::Claim { .. } | Act::Review { .. } | Act::Grant { .. } => false,
            Act::Release { .. } | Act::Expire { .. } | Act::Submit { .. } | Act::Accept { .. } | Act::Reject { .. } => false,
            Act::Merged { .. } | Act::Finish | Act::Cancel | Act::Unknown => false,
        })
    }

    /// Creations that knew nothing of the one that the task is shown with, in the order of their ids.
    fn creations(&self) -> BTreeSet<Sign> {
        let creations: Vec<_> = self.counted.iter().filter(|(_, entry)| matches!(entry.act, Act::Create)).collect();
        let Some((first, shown)) = creations.iter().min_by_key(|(_, entry)| entry.id) else { return BTreeSet::new() };
        let apart =
            creations.iter().filter(|(index, entry)| entry.id != shown.id && !entry.past.contains(*first) && !shown.past.contains(*index));
        apart.map(|(_, entry)| Sign::Creation(entry.id)).collect()
    }

    /// Merges of accepts that stand, to other commits than the one that counts.
    fn merges(&self, state: &TaskState) -> BTreeSet<Sign> {
        let Phase::Done { merged: Some(merged), .. } = &state.phase else { return BTreeSet::new() };
        let moves: Vec<&Entry> =
            self.counted.iter().map(|(_, entry)| *entry).filter(|entry| matches!(entry.act, Act::Move { .. } | Act::Delete)).collect();
        let stands = |accept: Option<Index>| accept.is_some_and(|accept| !moves.iter().any(|step| step.past.contains(accept)));
        let other = |commit: &Option<Oid>| commit.is_some() && *commit != merged.commit;
        let merges = self
            .counted
            .iter()
            .filter(|(_, entry)| matches!(&entry.act, Act::Merged { commit, .. } if other(commit)) && stands(entry.target));
        merges.map(|(_, entry)| Sign::Merge(entry.id)).collect()
    }
}
