//! One fixed record of every kind, and what they are signed with.

use octopoid_crdt::{
    ids::{AuthorKey, ClusterId, Name, Oid, RecordId, SessionId, Subject},
    record::{Access, Body, Cause, Payload, Queue, Signer, SubjectRule, Verified, cluster_id},
};

pub fn signer() -> Signer {
    Signer::from_seed(&[7; 32])
}

pub fn name(text: &str) -> Name {
    text.parse().expect("a sample name is well formed")
}

fn oid(byte: u8) -> Option<Oid> {
    Oid::from_bytes(&[byte; 20])
}

fn id(byte: u8) -> RecordId {
    RecordId([byte; 32])
}

fn genesis() -> Body {
    Body::Genesis { creator: signer().author(), nonce: [1; 16], root_commit: oid(2) }
}

pub fn cluster() -> ClusterId {
    cluster_id(&genesis()).expect("a genesis body founds a cluster")
}

/// Bodies of every known kind and one of a later version.
pub fn bodies() -> Vec<Body> {
    let mut bodies = cluster_bodies();
    bodies.extend(task_bodies());
    bodies.extend(verdict_bodies());
    bodies.extend(entry_bodies());
    bodies.push(Body::Unknown { kind: 4000, body: vec![0x83, 1, 2, 3] });
    bodies
}

fn cluster_bodies() -> Vec<Body> {
    let (a, b) = (SessionId([3; 16]), SessionId([4; 16]));
    vec![
        genesis(),
        Body::ClusterName { name: name("home") },
        Body::Join { member: AuthorKey([9; 32]), access: Access::Worker, name: name("laptop"), invite: Some([8; 32]) },
        Body::Remove { member: AuthorKey([9; 32]), frontier: vec![(a, 23), (b, 70_000)], reason: "lost".into() },
        Body::Policy {
            number: 1,
            authority: Some(AuthorKey([9; 32])),
            integrator: AuthorKey([9; 32]),
            last: None,
            frontier: Some(vec![(a, 24)]),
        },
        Body::Heads,
    ]
}

fn task_bodies() -> Vec<Body> {
    vec![
        Body::TaskCreate {
            scope: name("default"),
            id: name("task-1"),
            change: vec![0x85, 0x6f],
            imported: Some("{\"attempts\":2}".into()),
        },
        Body::DocChange { change: vec![0x85, 0x6f, 0x4a] },
        Body::Claim {
            epoch: 3,
            source: Queue::Custom(name("design")),
            agent: "implementer-1".into(),
            orchestrator: "laptop-1".into(),
            ttl_seconds: 300,
            base: oid(5),
        },
        Body::Review { on: id(6), agent: "reviewer-1".into(), orchestrator: "laptop-1".into(), ttl_seconds: 3600 },
        Body::Grant { claim: id(6), epoch: 256 },
        Body::Release { of: id(6), cause: Cause::GivenBack, reason: "no network".into() },
        Body::Expire { of: id(6), reason: "silent for 330 s".into() },
        Body::Submit { claim: id(6), base: oid(5), head: oid(6), tree: oid(7), notes: "läuft".into() },
    ]
}

fn verdict_bodies() -> Vec<Body> {
    let (by, reason) = (String::from("reviewer-1"), String::from("tests pass"));
    vec![
        Body::Accept { on: id(6), by: by.clone(), reason: reason.clone() },
        Body::Reject { on: id(6), by: by.clone(), reason: reason.clone() },
        Body::Merged { accept: id(6), commit: oid(7) },
        Body::Finish { by: by.clone(), reason: reason.clone() },
        Body::Move { queue: Queue::Provisional, cause: Cause::Adopt, by: by.clone(), reason: reason.clone(), keep: Some(id(6)) },
        Body::Cancel { by: by.clone(), reason: reason.clone() },
        Body::Delete { by, reason },
    ]
}

fn entry_bodies() -> Vec<Body> {
    let (scope, key) = (name("default"), String::from("k-1"));
    vec![
        Body::DocCreate { collection: "project".into(), scope: scope.clone(), id: key.clone(), change: vec![0x85] },
        Body::DocDelete { by: "anna".into() },
        Body::Put { collection: "role".into(), scope: scope.clone(), key: key.clone(), value: None },
        Body::Append { collection: "message".into(), scope, key, value: "{\"text\":\"hello\"}".into() },
    ]
}

/// Puts a body at a plausible place.
pub fn payload(body: Body) -> Payload {
    let subject = match body.subject_rule() {
        SubjectRule::Exactly(subject) => subject,
        SubjectRule::NotCluster | SubjectRule::Any => Subject::task(&name("default"), &name("task-1")),
    };
    let first = matches!(body, Body::Genesis { .. });
    Payload {
        author: signer().author(),
        session: SessionId([2; 16]),
        seq: if first { 0 } else { 24 },
        prev: (!first).then(|| id(1)),
        subject,
        wall_ms: 1_760_000_000_000,
        deps: if first { vec![] } else { vec![id(1), id(2)] },
        body,
    }
}

pub fn signed(body: Body) -> Verified {
    Verified::sign(&signer(), cluster(), payload(body)).expect("a sample is well formed")
}
