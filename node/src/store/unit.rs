//! The unit of work: operations see and change tasks here, and one commit writes what they changed.
//!
//! An operation first checks everything, then writes records; a record that it writes is applied at once, so the next
//! operation of the same batch sees it. Nothing reaches the disk before [`Unit::commit`].
//!
//! **Invariants**: records are numbered in causal order; a slot's row, log and document agree once they are settled.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::{SystemTime, UNIX_EPOCH};

use octopoid_crdt::chain;
use octopoid_crdt::document::{Actor, Document, Reason};
use octopoid_crdt::ids::{AuthorKey, RecordId, Subject};
use octopoid_crdt::lifecycle::{Act, TaskState};
use octopoid_crdt::membership::Seen;
use octopoid_crdt::peer::settle::contenders;
use octopoid_crdt::record::{Body, Payload, PayloadError, SignError, Verified, limits};

use super::items::{ItemKey, ItemRow};
use super::list::{Filter, Merge};
use super::members::Counted;
use super::posts::PostKey;
use super::read::{Reader, StoredLog};
use super::row::{TaskNo, TaskRow};
use super::slot::Slot;
use super::state::WriterState;
use super::undo::{Savepoint, Step};
use super::view::waits_to_retry;
use super::{Fault, Leases};

/// States why an operation could not go on writing. What it wrote so far does not stay.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteFault {
    /// The store failed; the batch is given up and the reason is kept for everyone.
    #[error("the store failed")]
    Store,
    /// A record of this operation cannot be: a text is too long, for one.
    #[error("{what}: {why}")]
    Record {
        /// The field of the record, as `kind.field`, or the kind.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// This node may not write it.
    #[error("{0}")]
    NotAMember(&'static str),
}

/// A record that this unit adds.
pub(super) struct NewRecord {
    pub arrival: u64,
    pub record: Verified,
    pub task: Option<TaskNo>,
    /// What the records that build on it have seen of the cluster through it.
    pub seen: Seen,
}

/// A walk over the tasks that some requests of a unit choose from.
struct Choice {
    filter: Filter,
    of: Option<String>,
    walk: Merge,
    /// Tasks that were looked at and left, the oldest first.
    passed: VecDeque<TaskNo>,
}

/// How many tasks of one priority are looked at before the oldest is taken.
const LOOKED_AT: usize = 16;

/// One unit of work.
pub struct Unit<'w> {
    pub(super) state: &'w mut WriterState,
    pub(super) reader: Reader,
    pub(super) slots: HashMap<TaskNo, Slot>,
    /// Subjects that were looked up; those of new tasks are not on disk yet.
    pub(super) subjects: HashMap<Subject, TaskNo>,
    pub(super) task_ids: HashMap<(String, String), TaskNo>,
    pub(super) records: Vec<NewRecord>,
    pub(super) by_id: HashMap<RecordId, usize>,
    pub(super) counted: Vec<Counted>,
    pub(super) items: BTreeMap<ItemKey, Option<ItemRow>>,
    pub(super) item_records: BTreeSet<(Subject, u64)>,
    pub(super) posts: BTreeMap<PostKey, Option<u64>>,
    pub(super) document_ids: HashMap<ItemKey, TaskNo>,
    pub(super) dependents: BTreeMap<(Subject, TaskNo), bool>,
    pub(super) runs: BTreeMap<[u8; 32], Option<Vec<u8>>>,
    pub(super) answers: BTreeMap<String, Option<Vec<u8>>>,
    pub(super) acknowledged: BTreeMap<[u8; 32], u64>,
    /// From where on records are still to be judged, where this unit changes that.
    pub(super) put_off: Option<Option<u64>>,
    /// The document that the record being taken in makes, where that is known.
    pub(super) made: Option<Document>,
    /// Why the gate keeps the change of the record being taken in out of its document.
    pub(super) quarantined: Option<Reason>,
    pub(super) savepoint: Option<Savepoint>,
    pub(super) fault: Option<Fault>,
    choices: Vec<Choice>,
    now_ms: u64,
}

impl<'w> Unit<'w> {
    pub(super) fn begin(state: &'w mut WriterState) -> Result<Self, Fault> {
        use redb::ReadableDatabase as _;
        let reader = Reader::new(state.database.begin_read()?, state.cluster);
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
        Ok(Self {
            state,
            reader,
            slots: HashMap::new(),
            subjects: HashMap::new(),
            task_ids: HashMap::new(),
            records: Vec::new(),
            by_id: HashMap::new(),
            counted: Vec::new(),
            items: BTreeMap::new(),
            item_records: BTreeSet::new(),
            posts: BTreeMap::new(),
            document_ids: HashMap::new(),
            dependents: BTreeMap::new(),
            runs: BTreeMap::new(),
            answers: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            put_off: None,
            made: None,
            quarantined: None,
            savepoint: None,
            fault: None,
            choices: Vec::new(),
            now_ms,
        })
    }

    /// Keeps a fault for the commit, which then fails.
    pub(crate) fn note<T>(&mut self, result: Result<T, Fault>) -> Result<T, WriteFault> {
        result.map_err(|fault| {
            self.fault.get_or_insert(fault);
            WriteFault::Store
        })
    }

    /// Returns this machine's time, for display and for choosing what to do next.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Returns this node's key, the author of what it writes.
    #[must_use]
    pub fn me(&self) -> AuthorKey {
        self.state.signer.author()
    }

    /// Returns who edits documents in this unit.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor { author: self.me(), session: self.state.session }
    }

    /// Returns the leases that this node times.
    #[must_use]
    pub fn leases(&self) -> &Leases {
        &self.state.leases
    }

    /// Returns the snapshot that the unit began with; it lacks the unit's own changes.
    #[must_use]
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Finds a task, deleted ones included.
    ///
    /// # Errors
    /// When the store fails.
    pub fn find(&mut self, scope: &str, id: &str) -> Result<Option<TaskNo>, WriteFault> {
        if let Some(no) = self.task_ids.get(&(id.to_owned(), scope.to_owned())) {
            return Ok(Some(*no));
        }
        let found = self.reader.task_no(scope, id);
        self.note(found)
    }

    /// Returns the scopes in which a task of this id is known.
    ///
    /// # Errors
    /// When the store fails.
    pub fn scopes_of(&mut self, id: &str) -> Result<Vec<(String, TaskNo)>, WriteFault> {
        let stored = self.reader.scopes_of(id);
        let mut found = self.note(stored)?;
        found.extend(self.task_ids.iter().filter(|((known, _), _)| known == id).map(|((_, scope), no)| (scope.clone(), *no)));
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// Finds a task by the subject of its records; none before the first of them.
    ///
    /// # Errors
    /// When the store fails.
    pub fn task_of_subject(&mut self, subject: &Subject) -> Result<Option<TaskNo>, WriteFault> {
        let Some(no) = self.find_subject(subject)? else { return Ok(None) };
        Ok(self.slot(no)?.row.collection.is_none().then_some(no))
    }

    /// Finds a task or another document by the subject of its records.
    ///
    /// # Errors
    /// When the store fails.
    pub fn find_subject(&mut self, subject: &Subject) -> Result<Option<TaskNo>, WriteFault> {
        if let Some(no) = self.subjects.get(subject) {
            return Ok(Some(*no));
        }
        let found = self.reader.by_subject(subject);
        let found = self.note(found)?;
        if let Some(no) = found {
            self.subjects.insert(*subject, no);
        }
        Ok(found)
    }

    /// Returns the task of a subject, making an empty one where there is none.
    pub(super) fn of_subject(&mut self, subject: Subject) -> Result<TaskNo, WriteFault> {
        if let Some(no) = self.find_subject(&subject)? {
            return Ok(no);
        }
        let no = self.state.next_task;
        // Counters are taken back with the rest.
        self.begin_record();
        self.touch(no);
        self.undoable(|| Step::Subject(subject));
        self.state.next_task += 1;
        self.subjects.insert(subject, no);
        self.slots.insert(no, Slot::fresh(no, subject));
        Ok(no)
    }

    pub(super) fn slot(&mut self, no: TaskNo) -> Result<&mut Slot, WriteFault> {
        if !self.slots.contains_key(&no) {
            let row = self.reader.row(no).and_then(|row| row.ok_or_else(|| Fault::Missing(format!("row {no}"))));
            let row = self.note(row)?;
            self.subjects.insert(Subject(row.subject), no);
            self.slots.insert(no, Slot::load(no, row));
        }
        self.slots.get_mut(&no).ok_or(WriteFault::Store)
    }

    pub(super) fn load_log(&mut self, no: TaskNo) -> Result<(), WriteFault> {
        if self.slot(no)?.log.is_none() {
            let subject = self.slot(no)?.subject;
            let log = self.reader.log_of(no, subject);
            let log = self.note(log)?;
            let slot = self.slot(no)?;
            slot.stored = u32::try_from(log.arrivals.len()).unwrap_or(u32::MAX);
            slot.log = Some(log);
        }
        Ok(())
    }

    /// Returns a task's log.
    ///
    /// # Errors
    /// When the store fails.
    pub fn log(&mut self, no: TaskNo) -> Result<&StoredLog, WriteFault> {
        self.load_log(no)?;
        self.slot(no)?.log.as_ref().ok_or(WriteFault::Store)
    }

    /// Returns what a task's records resolve to.
    ///
    /// # Errors
    /// When the store fails.
    pub fn state(&mut self, no: TaskNo) -> Result<TaskState, WriteFault> {
        let masks = self.state.masks.clone();
        Ok(self.log(no)?.log.resolve(&masks))
    }

    /// Returns a task's row, with this unit's changes.
    ///
    /// # Errors
    /// When the store fails.
    pub fn row(&mut self, no: TaskNo) -> Result<&TaskRow, WriteFault> {
        self.settle(no)?;
        Ok(&self.slot(no)?.row)
    }

    /// Returns a record that a task's log names.
    pub(super) fn record(&mut self, arrival: u64, id: &RecordId) -> Result<Verified, WriteFault> {
        if let Some(at) = self.by_id.get(id) {
            return Ok(self.records[*at].record.clone());
        }
        let found = self.reader.record(arrival).and_then(|record| record.ok_or_else(|| Fault::Missing(id.to_string())));
        self.note(found)
    }

    /// Returns a record that is applied, by its arrival number.
    pub(super) fn record_at(&mut self, arrival: u64) -> Result<Verified, WriteFault> {
        if let Ok(at) = self.records.binary_search_by_key(&arrival, |new| new.arrival) {
            return Ok(self.records[at].record.clone());
        }
        let found = self.reader.record(arrival).and_then(|record| record.ok_or_else(|| Fault::Missing(arrival.to_string())));
        self.note(found)
    }

    /// Returns a record that is applied, by its id.
    pub(super) fn by_record_id(&mut self, id: &RecordId) -> Result<Verified, WriteFault> {
        if let Some(at) = self.by_id.get(id) {
            return Ok(self.records[*at].record.clone());
        }
        let arrival = self.reader.arrival(id).and_then(|arrival| arrival.ok_or_else(|| Fault::Missing(id.to_string())));
        let arrival = self.note(arrival)?;
        self.record_at(arrival)
    }

    /// Signs a record about a task and applies it.
    ///
    /// The caller has checked with the lifecycle rules that it will count.
    ///
    /// # Errors
    /// When the store fails.
    pub fn write(&mut self, no: TaskNo, body: Body) -> Result<RecordId, WriteFault> {
        let subject = self.slot(no)?.subject;
        let deps = self.heads(no)?;
        self.sign(subject, deps, body)
    }

    /// Returns a task's heads, joined by `Heads` records while there are more than a record may name.
    fn heads(&mut self, no: TaskNo) -> Result<Vec<RecordId>, WriteFault> {
        loop {
            let log = self.log(no)?;
            let mut heads: Vec<_> = log.log.heads().iter().filter_map(|index| Some(log.log.at(*index)?.id)).collect();
            heads.sort_unstable();
            if heads.len() <= octopoid_crdt::record::limits::DEPS {
                return Ok(heads);
            }
            heads.truncate(octopoid_crdt::record::limits::DEPS);
            let subject = self.slot(no)?.subject;
            self.sign(subject, heads, Body::Heads)?;
        }
    }

    /// Signs a record as the next of this node's chain and applies it. It has seen every cluster record that is held.
    pub(super) fn sign(&mut self, subject: Subject, mut deps: Vec<RecordId>, body: Body) -> Result<RecordId, WriteFault> {
        self.check_own_standing(&body)?;
        let prev = self.state.place.slot(|| self.state.session).prev;
        let unseen = self.unseen_heads(prev, &deps)?;
        if !unseen.is_empty() {
            let room = limits::DEPS.saturating_sub(deps.len());
            deps.extend(self.join_heads(unseen, room)?);
        }
        deps.sort_unstable();
        deps.dedup();
        self.sign_as_is(subject, deps, body)
    }

    pub(super) fn sign_as_is(&mut self, subject: Subject, deps: Vec<RecordId>, body: Body) -> Result<RecordId, WriteFault> {
        let place = self.state.place.slot(|| self.state.session);
        let payload = Payload {
            author: self.me(),
            session: place.session,
            seq: place.seq,
            prev: place.prev,
            subject,
            wall_ms: self.now_ms,
            deps,
            body,
        };
        let kind = payload.body.name();
        let record = Verified::sign(&self.state.signer, self.state.cluster, payload).map_err(|error| unsignable(kind, &error))?;
        let id = record.id();
        self.begin_record();
        let wrote = self.state.place.wrote(&record).map_err(|error| Fault::Chain(error.to_string()));
        self.note(wrote)?;
        // What this run wrote last needs not be read again to know where it stands.
        let before = place.seq.checked_sub(1).map(|seq| chain::Place { author: self.me(), session: place.session, seq });
        let applied = self.apply(record, before)?.map_err(|error| Fault::Chain(error.to_string()));
        self.note(applied)?;
        Ok(id)
    }

    /// Picks the task to work on next: by priority, then age, among those that are ready and that `skip` lets pass; `of`
    /// names whom `skip` speaks for. Of the first [`LOOKED_AT`] of one priority the first that `prefer` takes is picked, else the
    /// oldest.
    ///
    /// Requests of one unit that choose alike go on where the last of them stood, so that a batch walks a queue once. What
    /// becomes claimable again within the unit is found by the next one.
    ///
    /// # Errors
    /// When the store fails.
    pub fn choose(
        &mut self,
        filter: &Filter,
        of: Option<&str>,
        mut skip: impl FnMut(&TaskRow) -> bool,
        prefer: impl Fn(&TaskRow) -> bool,
    ) -> Result<Option<TaskNo>, WriteFault> {
        let mut priorities = BTreeSet::new();
        for (_, key, size) in self.state.buckets.iter() {
            if size > 0 && filter.takes(key) {
                priorities.insert(key.priority.clone());
            }
        }
        for priority in priorities {
            let at = self.choice(Filter { priorities: vec![priority], ..filter.clone() }, of)?;
            let mut passed = VecDeque::new();
            let mut chosen = None;
            while chosen.is_none() && passed.len() < LOOKED_AT {
                let Some(no) = self.step(at)? else { break };
                let now_ms = self.now_ms;
                let row = self.row(no)?;
                let ready = row.listed && row.ready && filter.queues.contains(&row.queue);
                if ready && !waits_to_retry(row.retry_ms, now_ms) && !skip(row) {
                    if prefer(row) {
                        chosen = Some(no);
                    } else {
                        passed.push_back(no);
                    }
                }
            }
            let chosen = chosen.or_else(|| passed.pop_front());
            let waiting = &mut self.choices[at].passed;
            passed.into_iter().rev().for_each(|no| waiting.push_front(no));
            if chosen.is_some() {
                return Ok(chosen);
            }
        }
        Ok(None)
    }

    /// Returns which of the unit's walks serves a choice, beginning one where there is none.
    fn choice(&mut self, filter: Filter, of: Option<&str>) -> Result<usize, WriteFault> {
        let known = self.choices.iter().position(|choice| choice.of.as_deref() == of && choice.filter == filter);
        if let Some(at) = known {
            return Ok(at);
        }
        let walk = self.reader.walk(&self.state.buckets, &filter);
        let walk = self.note(walk)?;
        self.choices.push(Choice { filter, of: of.map(str::to_owned), walk, passed: VecDeque::new() });
        Ok(self.choices.len() - 1)
    }

    fn step(&mut self, at: usize) -> Result<Option<TaskNo>, WriteFault> {
        if let Some(no) = self.choices[at].passed.pop_front() {
            return Ok(Some(no));
        }
        let next = self.choices[at].walk.next();
        self.note(next)
    }

    /// Tells whether a record about the task would count if it were written now.
    ///
    /// # Errors
    /// When it would not, with the rule that it breaks; the store's own failure is in the outer error.
    pub fn would_count(&mut self, no: TaskNo, act: &Act) -> Result<Result<(), octopoid_crdt::lifecycle::Refusal>, WriteFault> {
        let place = self.state.place.slot(|| self.state.session);
        let place = chain::Place { author: self.me(), session: place.session, seq: place.seq };
        // The next own record will have seen everything.
        let all = self.state.membership.all();
        let (standing, masks) = (self.standing(&place, all)?, self.masks_in(all)?);
        Ok(self.log(no)?.log.would_count(place.author, act, &standing, &masks))
    }

    /// Tells whether a claim or review is neither over nor submitted, whether or not it holds the task.
    ///
    /// # Errors
    /// When the store fails.
    pub fn is_open(&mut self, no: TaskNo, of: &RecordId) -> Result<bool, WriteFault> {
        let state = self.state(no)?;
        let open = contenders(&self.log(no)?.log, &state);
        Ok(open.iter().any(|known| known.contender.id == *of && !known.started))
    }

    /// Keeps what this node runs for an attempt, or forgets it; local, never synced.
    pub fn set_run(&mut self, claim: &RecordId, run: Option<Vec<u8>>) {
        let before = self.runs.insert(claim.0, run);
        self.undoable(|| Step::Run(claim.0, before));
    }

    /// Keeps which task answered a request with an idempotency key; local, never synced.
    pub fn set_answer(&mut self, key: String, answer: Vec<u8>) {
        let before = self.answers.insert(key.clone(), Some(answer));
        self.undoable(|| Step::Answer(key, before));
    }

    /// Forgets which task answered a request.
    pub fn forget_answer(&mut self, key: String) {
        let before = self.answers.insert(key.clone(), None);
        self.undoable(|| Step::Answer(key, before));
    }

    /// Returns what was kept for an idempotency key.
    ///
    /// # Errors
    /// When the store fails.
    pub fn answer(&mut self, key: &str) -> Result<Option<Vec<u8>>, WriteFault> {
        if let Some(answer) = self.answers.get(key) {
            return Ok(answer.clone());
        }
        let found = self.reader.answer(key);
        self.note(found)
    }

    /// Returns at most `limit` stored keys of answers from one key up to another, this unit's own changes left out.
    ///
    /// # Errors
    /// When the store fails.
    pub fn answers_between(&mut self, from: &str, to: &str, limit: usize) -> Result<Vec<String>, WriteFault> {
        let found = self.reader.answers_between(from, to, limit);
        let mut found = self.note(found)?;
        found.retain(|key| !self.answers.contains_key(key));
        Ok(found)
    }

    /// Goes through the rows that this unit has changed so far.
    pub fn changed_rows(&self) -> impl Iterator<Item = &TaskRow> {
        self.slots.values().filter(|slot| slot.changed).map(|slot| &slot.row)
    }
}

/// Tells which field of a record keeps it from being signed.
fn unsignable(kind: &str, error: &SignError) -> WriteFault {
    let field = match error {
        SignError::Payload(PayloadError::Field(field)) => field.field(),
        SignError::Payload(_) | SignError::Author | SignError::Cluster => kind,
    };
    let why = error.to_string();
    WriteFault::Record { what: field.to_owned(), why: why.strip_prefix(field).unwrap_or(&why).trim_start().to_owned() }
}
