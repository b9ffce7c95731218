//! The members' keys, the cluster that they share, and how records are signed and checked.

use std::{
    collections::HashMap,
    sync::{Mutex, OnceLock},
};

use octopoid_crdt::{
    ids::{AuthorKey, ClusterId, Name, RecordId, SessionId, Subject},
    record::{Access, Body, Payload, SIGNATURE_LEN, Signer, SubjectRule, Verified, cluster_id},
};

pub const MOST: usize = 24;

pub fn signer(node: usize) -> &'static Signer {
    static SIGNERS: OnceLock<Vec<Signer>> = OnceLock::new();
    &SIGNERS.get_or_init(|| (0..MOST).map(|node| Signer::from_seed(&[u8::try_from(node).expect("few") + 1; 32])).collect())[node]
}

pub fn key(node: usize) -> AuthorKey {
    static KEYS: OnceLock<Vec<AuthorKey>> = OnceLock::new();
    KEYS.get_or_init(|| (0..MOST).map(|node| signer(node).author()).collect())[node]
}

pub fn name(text: &str) -> Name {
    text.parse().expect("a test's name is well formed")
}

fn genesis() -> Body {
    Body::Genesis { creator: key(0), nonce: [0; 16], root_commit: None }
}

pub fn cluster() -> ClusterId {
    static CLUSTER: OnceLock<ClusterId> = OnceLock::new();
    *CLUSTER.get_or_init(|| cluster_id(&genesis()).expect("a genesis body founds a cluster"))
}

/// The records that every node starts with: the Genesis and the Join of each but the first.
pub fn founding(nodes: usize) -> &'static [Verified] {
    &all_founding()[..nodes]
}

/// The records that every node starts with where the first one is the authority: the founding ones, and that Policy.
pub fn served(nodes: usize) -> &'static [Verified] {
    static RECORDS: OnceLock<Vec<Vec<Verified>>> = OnceLock::new();
    let all = RECORDS.get_or_init(|| {
        let with_policy = |nodes: usize| {
            let mut records = founding(nodes).to_vec();
            let Some(last) = records.last().map(Verified::payload).cloned() else { return records };
            let prev = records.last().map(Verified::id);
            let body = Body::Policy { number: 1, authority: Some(key(0)), integrator: key(0), last: None, frontier: None };
            records.push(Crypto::new(true).sign(0, Payload { seq: last.seq + 1, prev, body, ..last }));
            records
        };
        (0..=MOST).map(with_policy).collect()
    });
    &all[nodes]
}

fn all_founding() -> &'static [Verified] {
    static RECORDS: OnceLock<Vec<Verified>> = OnceLock::new();
    RECORDS.get_or_init(|| {
        let crypto = Crypto::new(true);
        let session = SessionId([0xee; 16]);
        let mut records: Vec<Verified> = Vec::new();
        for seq in 0..MOST as u64 {
            let prev = records.last().map(Verified::id);
            let body = match prev {
                None => genesis(),
                Some(_) => {
                    let node = usize::try_from(seq).expect("few");
                    Body::Join { member: key(node), access: Access::Worker, name: name(&format!("machine-{node}")), invite: None }
                }
            };
            let payload = Payload { author: key(0), session, seq, prev, subject: Subject::CLUSTER, wall_ms: 0, deps: vec![], body };
            records.push(crypto.sign(0, payload));
        }
        records
    })
}

/// Signs and checks. Without real signatures a schedule costs a tenth; the forms are checked all the same.
pub struct Crypto {
    real: bool,
    checked: Mutex<HashMap<[u8; 32], Verified>>,
}

impl Crypto {
    pub fn new(real: bool) -> Self {
        Self { real, checked: Mutex::default() }
    }

    pub fn sign(&self, node: usize, payload: Payload) -> Verified {
        let record = if self.real {
            Verified::sign(signer(node), cluster(), payload).expect("a well-formed record")
        } else {
            let mut wire = payload.encode().expect("a well-formed record");
            wire.extend_from_slice(&[0; SIGNATURE_LEN]);
            Verified::from_own_store(cluster(), &wire).expect("a well-formed record")
        };
        self.checked.lock().expect("no panic").insert(*blake3::hash(record.wire()).as_bytes(), record.clone());
        record
    }

    /// Checks received bytes, those that were checked before only by their hash.
    pub fn check(&self, wire: &[u8]) -> Option<Verified> {
        let hash = *blake3::hash(wire).as_bytes();
        if let Some(known) = self.checked.lock().expect("no panic").get(&hash) {
            return Some(known.clone());
        }
        // What nobody signed here is forged.
        if !self.real {
            return None;
        }
        Verified::check(cluster(), wire).ok()
    }
}

pub fn subject_of(body: &Body, task: Subject) -> Subject {
    match body.subject_rule() {
        SubjectRule::Exactly(subject) => subject,
        SubjectRule::NotCluster | SubjectRule::Any => task,
    }
}

pub fn short(id: &RecordId) -> String {
    id.short()
}
