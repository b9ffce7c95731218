//! Authors that write cluster records, and nodes that hold some of them.

use std::collections::BTreeMap;

use octopoid_crdt::{
    chain::Place,
    ids::{AuthorKey, ClusterId, Name, RecordId, SessionId, Subject},
    membership::{Applied, Membership, NotCounted, Seen, View},
    record::{Access, Body, Payload, RemovalFrontier, Signer, SubjectRule, Verified, cluster_id},
};

pub fn signer(author: u8) -> Signer {
    Signer::from_seed(&[author + 1; 32])
}

pub fn key(author: u8) -> AuthorKey {
    signer(author).author()
}

pub fn name(text: &str) -> Name {
    text.parse().expect("a test's name is well formed")
}

fn genesis() -> Body {
    Body::Genesis { creator: key(0), nonce: [0; 16], root_commit: None }
}

pub fn cluster() -> ClusterId {
    cluster_id(&genesis()).expect("a genesis body founds a cluster")
}

pub fn join(author: u8, access: Access) -> Body {
    Body::Join { member: key(author), access, name: name(&format!("machine-{author}")), invite: None }
}

pub fn task_record() -> Body {
    Body::Finish { by: "anna".into(), reason: String::new() }
}

/// Every record that was written anywhere, in the order of writing; each author writes one chain.
#[derive(Default)]
pub struct World {
    pub records: Vec<Verified>,
    last: BTreeMap<u8, (RecordId, u64)>,
}

impl World {
    /// A cluster that author 0 has founded.
    pub fn founded() -> Self {
        let mut world = Self::default();
        world.write(0, genesis(), &[]);
        world
    }

    /// The genesis' id.
    pub fn genesis(&self) -> RecordId {
        self.records.first().expect("the world is founded").id()
    }

    /// Writes the author's next record, which has seen `deps` and the author's own chain.
    pub fn write(&mut self, author: u8, body: Body, deps: &[RecordId]) -> RecordId {
        let subject = match body.subject_rule() {
            SubjectRule::Exactly(subject) => subject,
            SubjectRule::NotCluster | SubjectRule::Any => Subject::task(&name("default"), &name("task-1")),
        };
        let mut deps = deps.to_vec();
        deps.sort();
        deps.dedup();
        let (prev, seq) = self.last.get(&author).map_or((None, 0), |(id, seq)| (Some(*id), seq + 1));
        // The time makes equal statements differ.
        let wall_ms = self.records.len() as u64;
        let payload = Payload { author: key(author), session: SessionId([author; 16]), seq, prev, subject, wall_ms, deps, body };
        let record = Verified::sign(&signer(author), cluster(), payload).expect("a test's record is well formed");
        self.last.insert(author, (record.id(), seq));
        self.records.push(record);
        self.records.last().expect("it was just pushed").id()
    }

    /// A frontier that keeps what the author has written up to the given record, or nothing.
    pub fn frontier(&self, author: u8, last: Option<RecordId>) -> RemovalFrontier {
        let last = self.records.iter().find(|record| Some(record.id()) == last);
        last.map(|record| (SessionId([author; 16]), record.payload().seq)).into_iter().collect()
    }

    /// Removes a member, keeping what it wrote up to the given record.
    pub fn remove(&mut self, by: u8, member: u8, keep: Option<RecordId>, deps: &[RecordId]) -> RecordId {
        let frontier = self.frontier(member, keep);
        self.write(by, Body::Remove { member: key(member), frontier, reason: "lost".into() }, deps)
    }

    /// A node that holds everything.
    pub fn node(&self) -> Node {
        let mut node = Node::default();
        node.apply_all(&self.records);
        node
    }
}

/// What a store would keep: each record's seen set and verdict.
#[derive(Default, Clone)]
pub struct Node {
    pub membership: Membership,
    pub seen: BTreeMap<RecordId, (Place, Seen)>,
    pub verdicts: BTreeMap<RecordId, Option<Result<(), NotCounted>>>,
    pub standings: BTreeMap<RecordId, Option<Access>>,
    pub counted: Vec<(Verified, Seen)>,
}

impl Node {
    /// Applies a record if its past is held; tells whether it was.
    pub fn apply(&mut self, record: &Verified) -> bool {
        let payload = record.payload();
        if self.seen.contains_key(&record.id()) {
            return true;
        }
        let of: Option<Vec<_>> = payload.prev.iter().chain(&payload.deps).map(|id| self.seen.get(id).map(|(_, seen)| *seen)).collect();
        let Some(of) = of else { return false };
        let past = self.membership.past(of).expect("the sets are this membership's");
        self.standings.insert(record.id(), self.membership.standing_at(&payload.author, past).expect("the set is this membership's"));
        let Applied { seen, counted } = self.membership.apply(record, past).expect("the set is this membership's");
        if counted == Some(Ok(())) {
            self.counted.push((record.clone(), past));
        }
        self.seen.insert(record.id(), (Place::of(payload), seen));
        self.verdicts.insert(record.id(), counted);
        true
    }

    pub fn apply_all<'a>(&mut self, records: impl IntoIterator<Item = &'a Verified>) {
        let mut waiting: Vec<_> = records.into_iter().collect();
        while !waiting.is_empty() {
            let before = waiting.len();
            waiting.retain(|record| !self.apply(record));
            assert!(waiting.len() < before, "{} records wait for ever", waiting.len());
        }
    }

    pub fn view(&mut self) -> View {
        View::clone(&self.membership.current().expect("everything was applied"))
    }

    pub fn access(&mut self, author: u8) -> Option<Access> {
        self.view().access(&key(author))
    }

    pub fn left_out(&mut self, record: RecordId) -> Option<RecordId> {
        let view = self.view();
        let (place, seen) = self.seen[&record];
        self.membership.left_out_by(&view, &place, seen)
    }
}
