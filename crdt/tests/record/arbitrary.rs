//! Strategies for payloads of every kind, with lengths and numbers at and around the borders of their encodings.

use octopoid_crdt::{
    ids::{AuthorKey, Name, Oid, RecordId, SessionId, Subject},
    record::{Access, Body, Cause, KINDS, Payload, Queue, RemovalFrontier, SubjectRule},
};
use proptest::{collection::vec, option, prelude::*};

use crate::samples;

pub fn number() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(23), Just(24), Just(255), Just(256), Just(65_535), Just(65_536), Just(u64::from(u32::MAX) + 1), any::<u64>()]
}

fn id() -> impl Strategy<Value = RecordId> {
    any::<[u8; 32]>().prop_map(RecordId)
}

fn key() -> impl Strategy<Value = AuthorKey> {
    any::<[u8; 32]>().prop_map(AuthorKey)
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "\\PC{0,30}", "[a-z ]{250,260}"]
}

fn label() -> impl Strategy<Value = String> {
    "\\PC{0,30}"
}

fn name() -> impl Strategy<Value = Name> {
    "[A-Za-z0-9]([A-Za-z0-9_-]{0,30})".prop_map(|text| samples::name(&text))
}

fn collection() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9_-]{0,31}".prop_filter("task is no collection", |text| text != "task")
}

fn oid() -> impl Strategy<Value = Option<Oid>> {
    option::of(prop_oneof![vec(any::<u8>(), 20), vec(any::<u8>(), 32)])
        .prop_map(|bytes| bytes.map(|bytes| Oid::from_bytes(&bytes).expect("20 or 32 bytes are an object id")))
}

fn change() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..300)
}

fn access() -> impl Strategy<Value = Access> {
    prop::sample::select(vec![Access::Reader, Access::Worker, Access::Admin])
}

fn cause() -> impl Strategy<Value = Cause> {
    use Cause::*;
    prop::sample::select(vec![
        Requeue,
        ForceQueue,
        Edit,
        Flow,
        AttemptFailed,
        GivenUp,
        BurnOut,
        MergeConflict,
        Reopen,
        Adopt,
        GivenBack,
        Stopped,
        Superseded,
        LeaseExpired,
        BrokenDown,
    ])
}

fn queue() -> impl Strategy<Value = Queue> {
    let builtin = ["incoming", "claimed", "provisional", "done", "cancelled", "failed", "blocked", "backlog", "needs_continuation"];
    let text = prop_oneof![prop::sample::select(builtin.to_vec()).prop_map(str::to_owned), "[a-z]{1,12}"];
    text.prop_map(|text| Queue::parse(&text).expect("a name is a queue"))
}

fn frontier() -> impl Strategy<Value = RemovalFrontier> {
    prop::collection::btree_map(any::<[u8; 16]>().prop_map(SessionId), number(), 0..30).prop_map(|map| map.into_iter().collect())
}

fn cluster_body() -> impl Strategy<Value = Body> {
    let remove = (key(), frontier(), text()).prop_map(|(member, frontier, reason)| Body::Remove { member, frontier, reason });
    let policy = (number(), option::of(key()), key(), option::of(id()), option::of(frontier())).prop_map(
        |(number, authority, integrator, last, frontier)| {
            let frontier = frontier.filter(|_| last.is_none());
            Body::Policy { number, authority, integrator, last, frontier }
        },
    );
    prop_oneof![
        (any::<[u8; 16]>(), oid()).prop_map(|(nonce, root_commit)| Body::Genesis {
            creator: samples::signer().author(),
            nonce,
            root_commit
        }),
        name().prop_map(|name| Body::ClusterName { name }),
        (key(), access(), name(), option::of(any::<[u8; 32]>())).prop_map(|(member, access, name, invite)| Body::Join {
            member,
            access,
            name,
            invite
        }),
        remove,
        policy,
        Just(Body::Heads),
    ]
}

fn attempt_body() -> impl Strategy<Value = Body> {
    let claim =
        (number(), queue(), label(), label(), 0..=3600u32, oid()).prop_map(|(epoch, source, agent, orchestrator, ttl_seconds, base)| {
            Body::Claim { epoch, source, agent, orchestrator, ttl_seconds, base }
        });
    prop_oneof![
        (name(), name(), change(), option::of(text())).prop_map(|(scope, id, change, imported)| Body::TaskCreate {
            scope,
            id,
            change,
            imported
        }),
        change().prop_map(|change| Body::DocChange { change }),
        claim,
        (id(), label(), label(), 0..=3600u32).prop_map(|(on, agent, orchestrator, ttl_seconds)| Body::Review {
            on,
            agent,
            orchestrator,
            ttl_seconds
        }),
        (id(), number()).prop_map(|(claim, epoch)| Body::Grant { claim, epoch }),
        (id(), cause(), text()).prop_map(|(of, cause, reason)| Body::Release { of, cause, reason }),
        (id(), text()).prop_map(|(of, reason)| Body::Expire { of, reason }),
        (id(), oid(), oid(), oid(), text()).prop_map(|(claim, base, head, tree, notes)| Body::Submit { claim, base, head, tree, notes }),
    ]
}

fn verdict_body() -> impl Strategy<Value = Body> {
    prop_oneof![
        (id(), label(), text()).prop_map(|(on, by, reason)| Body::Accept { on, by, reason }),
        (id(), label(), text()).prop_map(|(on, by, reason)| Body::Reject { on, by, reason }),
        (id(), oid()).prop_map(|(accept, commit)| Body::Merged { accept, commit }),
        (label(), text()).prop_map(|(by, reason)| Body::Finish { by, reason }),
        (queue(), cause(), label(), text(), option::of(id())).prop_map(|(queue, cause, by, reason, keep)| Body::Move {
            queue,
            cause,
            by,
            reason,
            keep
        }),
        (label(), text()).prop_map(|(by, reason)| Body::Cancel { by, reason }),
        (label(), text()).prop_map(|(by, reason)| Body::Delete { by, reason }),
    ]
}

fn entry_body() -> impl Strategy<Value = Body> {
    let unknown = (1..u16::MAX)
        .prop_filter("known kinds have their own bodies", |kind| KINDS.iter().all(|(known, _)| known != kind))
        .prop_flat_map(|kind| change().prop_map(move |body| Body::Unknown { kind, body }));
    prop_oneof![
        (collection(), name(), label(), change()).prop_map(|(collection, scope, id, change)| Body::DocCreate {
            collection,
            scope,
            id,
            change
        }),
        label().prop_map(|by| Body::DocDelete { by }),
        (collection(), name(), label(), option::of(text())).prop_map(|(collection, scope, key, value)| Body::Put {
            collection,
            scope,
            key,
            value
        }),
        (collection(), name(), label(), text()).prop_map(|(collection, scope, key, value)| Body::Append { collection, scope, key, value }),
        unknown,
    ]
}

pub fn body() -> impl Strategy<Value = Body> {
    prop_oneof![cluster_body(), attempt_body(), verdict_body(), entry_body()]
}

/// A well-formed payload of the samples' signer.
pub fn payload() -> impl Strategy<Value = Payload> {
    let place = (any::<[u8; 16]>(), number(), option::of(id()), any::<[u8; 32]>(), number(), prop::collection::btree_set(id(), 0..=64));
    (body(), place).prop_map(|(body, (session, seq, prev, subject, wall_ms, deps))| {
        let genesis = matches!(body, Body::Genesis { .. });
        let subject = match body.subject_rule() {
            SubjectRule::Exactly(subject) => subject,
            SubjectRule::NotCluster | SubjectRule::Any => Subject(subject),
        };
        Payload {
            author: samples::signer().author(),
            session: SessionId(session),
            seq: if genesis || prev.is_none() { 0 } else { seq },
            prev: prev.filter(|_| !genesis),
            subject,
            wall_ms,
            deps: if genesis { vec![] } else { deps.into_iter().collect() },
            body,
        }
    })
}
