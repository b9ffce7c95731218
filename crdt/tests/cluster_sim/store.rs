//! A node's store in memory: what is on disk, what is applied but not committed, and what follows from it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    convert::Infallible,
    sync::Arc,
};

use octopoid_crdt::{
    chain::{Applied, ApplyError, Chains, Place},
    ids::{AuthorKey, RecordId, SessionId, Subject},
    lifecycle::{Act, Entry, Past, PolicyAt, Removals, Standing, TaskLog, TaskState, Verdict},
    membership::{Membership, Seen},
    peer::sync::Held,
    record::{Body, Verified},
};

use super::{Bug, cluster};

/// What became of a record that was to be applied.
pub enum Outcome {
    Held,
    Waiting(Vec<RecordId>),
    /// At a place that cannot be: only a hostile member writes such.
    Never,
}

pub struct Store {
    bug: Bug,
    /// In the order of applying; those before `committed` are on disk.
    pub records: Vec<Verified>,
    pub committed: usize,
    seen: Vec<Seen>,
    numbers: HashMap<RecordId, u64>,
    pub chains: Chains,
    /// The chains of what is committed.
    pub durable: Chains,
    membership: Membership,
    /// The policy that is in force here, and its record.
    pub policy: Option<(PolicyAt, RecordId)>,
    pub logs: BTreeMap<Subject, TaskLog>,
    /// What forced moves of the authority leave out of what is shown.
    pub masks: Arc<Removals>,
    /// The numbers of all of them, which whatever is written here has seen.
    held: Past,
    /// Whether the masks changed, so that every task is to be looked at again.
    pub masked_anew: bool,
}

impl Store {
    /// Opens a disk.
    pub fn open(bug: Bug, disk: &[Verified]) -> Self {
        let mut store = Self {
            bug,
            records: Vec::new(),
            committed: 0,
            seen: Vec::new(),
            numbers: HashMap::new(),
            chains: Chains::default(),
            durable: Chains::default(),
            membership: Membership::default(),
            policy: None,
            logs: BTreeMap::new(),
            masks: Arc::new(Removals::none()),
            held: Past::default(),
            masked_anew: false,
        };
        for record in disk {
            let _ = store.apply(record);
        }
        store.commit();
        store
    }

    /// Everything that is applied is on disk now.
    pub fn commit(&mut self) {
        self.committed = self.records.len();
        self.durable = self.chains.clone();
    }

    pub fn knows(&self, id: &RecordId) -> bool {
        self.numbers.contains_key(id)
    }

    pub fn apply(&mut self, record: &Verified) -> Outcome {
        let id = record.id();
        if self.knows(&id) {
            return Outcome::Held;
        }
        let (records, numbers) = (&self.records, &self.numbers);
        let place = |id: &RecordId| numbers.get(id).map(|n| Place::of(records[usize::try_from(*n).expect("few")].payload()));
        match self.chains.apply(record, place) {
            Ok(Applied::Added { .. } | Applied::Known) => {}
            Err(ApplyError::Missing { .. }) if self.bug == Bug::ActBeforeDeps && Act::of(&record.payload().body).is_some() => {}
            Err(ApplyError::Missing { ids }) => return Outcome::Waiting(ids),
            Err(ApplyError::Author | ApplyError::Place) => return Outcome::Never,
        }
        self.follow(record);
        Outcome::Held
    }

    fn follow(&mut self, record: &Verified) {
        let (id, payload) = (record.id(), record.payload());
        let past: Vec<Seen> = payload
            .prev
            .iter()
            .chain(&payload.deps)
            .filter_map(|id| self.numbers.get(id))
            .map(|n| self.seen[usize::try_from(*n).expect("few")])
            .collect();
        let past = self.membership.past(past).expect("sets of this membership");
        let access = self.membership.standing_at(&payload.author, past).expect("a set of this membership");
        let (policy, removals) = match self.policy {
            Some(_) => {
                let standing = self.membership.standing(&Place::of(payload), past).expect("a set of this membership");
                (standing.policy, standing.removals)
            }
            None => (None, Past::default()),
        };
        let known = if self.masks.is_empty() { self.masks.clone() } else { self.membership.masks(past).expect("a set of this membership") };
        let seen = self.membership.apply(record, past).expect("a set of this membership").seen;
        self.numbers.insert(id, self.records.len() as u64);
        self.records.push(record.clone());
        self.seen.push(seen);
        if matches!(payload.body, Body::Policy { .. }) {
            let view = self.membership.current().expect("a set of this membership");
            self.policy = view.policy().map(|policy| (PolicyAt { number: policy.number, authority: policy.authority }, policy.id));
            self.mask(&Place::of(payload));
        }
        let Some(act) = Act::of(&payload.body) else { return };
        let standing = Standing { access, policy, session: payload.session, seq: payload.seq, removals };
        let log = self.logs.entry(payload.subject).or_insert_with(|| TaskLog::new(payload.subject));
        let mut entry = log.judge(id, payload.author, log.past_of(&payload.deps), act, standing, &known);
        if self.bug == Bug::LawOff && entry.standing.is_member() {
            entry.verdict = Verdict::Counts;
            entry.target = entry.act.names().and_then(|id| log.position(&id));
        }
        log.push(entry);
    }

    /// Sees what is left out from now on.
    fn mask(&mut self, place: &Place) {
        let all = self.membership.all();
        let masks = self.membership.masks(all).expect("a set of this membership");
        self.masked_anew |= masks != self.masks;
        self.masks = masks;
        self.held = self.membership.standing(place, all).expect("a set of this membership").removals;
    }

    /// How far a member's sessions are known here.
    pub fn frontier_of(&self, author: AuthorKey) -> Vec<(SessionId, u64)> {
        let mut last: BTreeMap<SessionId, u64> = BTreeMap::new();
        for payload in self.records.iter().map(Verified::payload).filter(|payload| payload.author == author) {
            let known = last.entry(payload.session).or_default();
            *known = payload.seq.max(*known);
        }
        last.into_iter().collect()
    }

    /// The records about the cluster that no other one here builds on.
    pub fn cluster_heads(&self) -> Vec<RecordId> {
        self.membership.heads()
    }

    pub fn heads(&self, task: &Subject) -> BTreeSet<RecordId> {
        let Some(log) = self.logs.get(task) else { return BTreeSet::new() };
        log.heads().iter().filter_map(|head| log.at(*head)).map(|entry| entry.id).collect()
    }

    pub fn entry(&self, task: &Subject, id: &RecordId) -> Option<&Entry> {
        let log = self.logs.get(task)?;
        log.position(id).and_then(|index| log.at(index))
    }

    /// What the task's records resolve to; with a seeded bug, what a node with it would believe.
    pub fn state(&self, task: &Subject) -> Option<TaskState> {
        let log = self.logs.get(task)?;
        match self.bug {
            Bug::NoTieBreak => Some(super::bugs::without_tie_break(log)),
            Bug::ExpireBeatsSubmit => Some(super::bugs::expire_beats_submit(log)),
            Bug::MaskOff => Some(log.resolve(&Removals::none())),
            Bug::None | Bug::LawOff | Bug::ActBeforeDeps | Bug::ForgottenRelease | Bug::StartAtOnce => Some(log.resolve(&self.masks)),
        }
    }

    /// The authority, where there is one.
    pub fn authority(&self) -> Option<AuthorKey> {
        self.policy.and_then(|(policy, _)| policy.authority)
    }

    /// Whether a record is on disk.
    pub fn is_durable(&self, id: &RecordId) -> bool {
        self.numbers.get(id).is_some_and(|number| *number < self.committed as u64)
    }

    pub fn would_count(&self, node: usize, task: &Subject, act: &Act) -> bool {
        let Some(log) = self.logs.get(task) else { return false };
        let standing = Standing {
            access: Some(octopoid_crdt::record::Access::Worker),
            policy: self.policy.map(|(policy, _)| policy),
            session: SessionId([0; 16]),
            seq: 0,
            removals: self.held.clone(),
        };
        log.would_count(cluster::key(node), act, &standing, &self.masks).is_ok()
    }
}

/// What is committed, as sync reads it.
impl Held for Store {
    type Error = Infallible;

    #[expect(clippy::misnamed_getters, reason = "sync reads what is on disk")]
    fn chains(&self) -> &Chains {
        &self.durable
    }

    fn next_arrival(&self) -> u64 {
        self.committed as u64
    }

    fn arrival_of(&self, id: &RecordId) -> Result<Option<u64>, Infallible> {
        Ok(self.numbers.get(id).copied().filter(|number| *number < self.committed as u64))
    }

    fn record(&self, arrival: u64) -> Result<Option<Verified>, Infallible> {
        let at = usize::try_from(arrival).expect("few");
        Ok(self.records[..self.committed].get(at).cloned())
    }
}
