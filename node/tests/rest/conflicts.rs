use std::str::FromStr;

use octopoid_crdt::ids::{RecordId, SessionId};
use octopoid_crdt::record::{Access, Cause, Signer, Verified};
use octopoid_node::ops::claim::{Claimant, Holds, claim, release};
use octopoid_node::ops::finish::{Submission, submit};
use octopoid_node::ops::members::{Admission, join};
use octopoid_node::ops::{Expect, Refused};
use octopoid_node::store::{Identity, Incoming, Store};
use redb::Database;
use redb::backends::InMemoryBackend;
use serde_json::{Value, json};

use crate::support::{Node, TOKEN};

/// Gives everything that one store holds to another.
pub async fn bring(from: &Store, to: &Store) {
    let wires = from.reader().expect("a reader").wires(0, usize::MAX).expect("read");
    let records = wires.iter().map(|wire| Incoming::from(Verified::check(from.cluster(), &wire.bytes).expect("a record")));
    for received in to.receive(records.collect()).await.expect("store") {
        received.expect("its past is held");
    }
}

/// Another worker of the node's cluster, without a node of its own.
async fn member(node: &Node) -> Store {
    member_with(node, 9, Access::Worker, "laptop").await
}

/// Another member of the node's cluster, without a node of its own.
pub async fn member_with(node: &Node, seed: u8, access: Access, name: &str) -> Store {
    let identity = Identity { signer: Signer::from_seed(&[seed; 32]), session: SessionId([seed; 16]), nonce: [1; 16], root_commit: None };
    let memory = Database::builder().create_with_backend(InMemoryBackend::new()).expect("memory");
    let other = Store::join_with(memory, std::path::Path::new("memory"), identity, node.store.cluster(), false).expect("a store");
    let admission = Admission { member: other.me(), access, name: name.parse().expect("a name"), invite: None };
    node.store.write(move |unit| join(unit, admission)).await.expect("store").expect("admitted");
    other
}

/// The other member works on the task and submits.
pub async fn work(store: &Store) {
    work_on(store, "t").await;
}

/// The same with another task.
pub async fn work_on(store: &Store, id: &'static str) {
    let deed = move |unit: &mut octopoid_node::store::Unit<'_>| -> Result<(), Refused> {
        let no = unit.find("default", id)?.expect("known");
        let claimant = Claimant { agent: "far".to_owned(), orchestrator: "o".to_owned(), ttl_seconds: 300, ..Claimant::default() };
        claim(unit, no, &claimant)?;
        submit(unit, no, &Holds::default(), &Expect::default(), &Submission::default())?;
        Ok(())
    };
    store.write(deed).await.expect("store").expect("submitted");
}

/// A node on which one of two attempts has lost; its task as the list shows it.
async fn fought() -> (Node, Store, Value) {
    let node = Node::start();
    let other = member(&node).await;
    node.task("t").await;
    bring(&node.store, &other).await;
    work(&other).await;
    node.submit("near").await;
    assert_eq!(node.get("/api/v1/cluster/conflicts").await.is(200), json!({ "conflicts": [], "total": 0, "offset": 0, "limit": 50 }));
    bring(&other, &node.store).await;
    let list = node.get("/api/v1/cluster/conflicts").await.is(200);
    assert_eq!(list["total"], 1, "{list}");
    let conflict = list["conflicts"][0].clone();
    (node, other, conflict)
}

#[tokio::test]
async fn what_lost_is_listed_with_who_did_it_and_can_be_adopted() {
    let (node, other, conflict) = fought().await;
    assert_eq!((&conflict["task_id"], &conflict["queue"], &conflict["dismissed"]), (&json!("t"), &json!("provisional"), &json!(false)));
    let attempts = conflict["attempts"].as_array().expect("attempts");
    assert_eq!(attempts.len(), 1, "{conflict}");
    let who = (attempts[0]["agent"].as_str(), attempts[0]["node"].as_str(), attempts[0]["state"].as_str());
    assert!(who == (Some("far"), Some("laptop"), Some("superseded")) || who == (Some("near"), Some("mac-studio"), Some("superseded")));
    assert_ne!(conflict["winner"], attempts[0]["attempt"]);
    assert_eq!(node.get("/api/v1/cluster/conflicts/t").await.is(200), conflict);
    assert_eq!(node.get("/api/v1/node/status").await.is(200)["conflicts"], 1);
    let adopt = json!({ "attempt": attempts[0]["attempt"], "adopted_by": "me" });
    let task = node.post("/api/v1/cluster/conflicts/t/adopt", adopt.clone()).await.is(200);
    assert_eq!((&task["queue"], &task["attempt"]), (&json!("provisional"), &attempts[0]["attempt"]));
    assert_eq!(node.get("/api/v1/cluster/conflicts").await.is(200)["total"], 0);
    node.get("/api/v1/cluster/conflicts/t").await.refuses(404, &["nothing about task 't' lost"]);
    node.post("/api/v1/cluster/conflicts/t/adopt", adopt).await.refuses(409, &["rests on"]);
    bring(&node.store, &other).await;
    assert_eq!(other.reader().expect("a reader").conflicts(None, 0, 1).expect("read").total, 0);
}

#[tokio::test]
async fn a_finished_task_is_reopened_before_an_attempt_at_it_is_adopted() {
    let (node, _, conflict) = fought().await;
    node.post("/api/v1/tasks/t/accept", json!({ "accepted_by": "me" })).await.is(200);
    assert_eq!(node.get("/api/v1/cluster/conflicts").await.is(200)["total"], 1, "what was not looked at stays");
    let adopt = json!({ "attempt": conflict["attempts"][0]["attempt"] });
    node.post("/api/v1/cluster/conflicts/t/adopt", adopt.clone()).await.refuses(409, &["octopoid requeue t --reopen"]);
    node.post("/api/v1/tasks/t/requeue", json!({ "reopen": true })).await.is(200);
    assert_eq!(node.post("/api/v1/cluster/conflicts/t/adopt", adopt).await.is(200)["queue"], "provisional");
}

#[tokio::test]
async fn what_is_dismissed_is_listed_no_more_and_still_shown() {
    let (node, _, conflict) = fought().await;
    let dismissed = node.post("/api/v1/cluster/conflicts/t/dismiss", json!({})).await.is(200);
    assert_eq!((&dismissed["dismissed"], &dismissed["attempts"]), (&json!(true), &conflict["attempts"]));
    assert_eq!(node.get("/api/v1/cluster/conflicts").await.is(200)["total"], 0);
    assert_eq!(node.get("/api/v1/node/status").await.is(200)["conflicts"], 0);
    assert_eq!(node.get("/api/v1/cluster/conflicts/t").await.is(200), dismissed);
    node.post("/api/v1/cluster/conflicts/t/dismiss", json!({})).await.is(200);
}

#[tokio::test]
async fn two_creations_of_one_id_name_the_other_node() {
    let node = Node::start();
    let other = member(&node).await;
    bring(&node.store, &other).await;
    let twin = Node::on_store(other);
    node.task("t").await;
    twin.task("t").await;
    bring(&twin.store, &node.store).await;
    bring(&node.store, &twin.store).await;
    let conflict = node.get("/api/v1/cluster/conflicts/t").await.is(200);
    let creation = &conflict["creations"][0];
    assert!(creation["node"] == "laptop" || creation["node"] == "mac-studio", "{conflict}");
    assert!(creation["record_id"].as_str().is_some_and(|id| RecordId::from_str(id).is_ok()), "{conflict}");
    assert_eq!(twin.get("/api/v1/cluster/conflicts/t").await.is(200)["creations"][0]["record_id"], creation["record_id"]);
}

#[tokio::test]
async fn bad_requests_about_conflicts_say_what_is_wrong() {
    let (node, _, _) = fought().await;
    let conflicts = "/api/v1/cluster/conflicts";
    node.task("calm").await;
    node.get(&format!("{conflicts}/nobody")).await.refuses(404, &["'nobody'"]);
    node.get(&format!("{conflicts}?limit=x")).await.refuses(400, &["limit"]);
    node.post(&format!("{conflicts}/calm/dismiss"), json!({})).await.refuses(409, &["octopoid conflicts"]);
    node.post(&format!("{conflicts}/calm/adopt"), json!({ "attempt": "1" })).await.refuses(400, &["nobody has tried task 'calm' yet"]);
    node.post(&format!("{conflicts}/t/adopt"), json!({})).await.refuses(400, &["attempt"]);
    node.post(&format!("{conflicts}/t/adopt"), json!({ "attempt": "1" })).await.refuses(400, &["several attempts"]);
    node.post(&format!("{conflicts}/t/adopt"), json!({ "attempt": "9-00000000" })).await.refuses(400, &["no such attempt"]);
    node.post(&format!("{conflicts}/t/adopt"), json!({ "attempt": "a\nb" })).await.refuses(400, &["attempt"]);
}

#[tokio::test]
async fn conflicts_are_for_the_nodes_own_token() {
    let (node, _, _) = fought().await;
    let key = node
        .post(
            "/api/v1/orchestrators/register",
            json!({ "cluster": "prod", "machine_id": "m", "repo_url": "https://e.org/r.git", "scope": "default" }),
        )
        .await;
    let key = key.body["api_key"].as_str().expect("a key").to_owned();
    assert_ne!(key, TOKEN);
    let bearer = format!("Bearer {key}");
    for (method, path) in [("GET", ""), ("GET", "/t"), ("POST", "/t/adopt"), ("POST", "/t/dismiss")] {
        let body = (method == "POST").then(|| json!({ "attempt": "1" }).to_string());
        let path = format!("/api/v1/cluster/conflicts{path}");
        let answer = node.call(method.parse().expect("a method"), &path, &[("authorization", &bearer)], body).await;
        assert_eq!(answer.status.as_u16(), 403, "{method} {path}: {}", answer.text);
    }
}

#[tokio::test]
async fn a_claim_that_was_given_back_is_no_conflict() {
    let (node, _, _) = fought().await;
    node.post("/api/v1/cluster/conflicts/t/dismiss", json!({})).await.is(200);
    node.task("u").await;
    node.claim("near").await;
    let deed = |unit: &mut octopoid_node::store::Unit<'_>| -> Result<(), Refused> {
        let no = unit.find("default", "u")?.expect("known");
        release(unit, no, &Holds::default(), Cause::GivenBack, "tired").map(drop)
    };
    node.store.write(deed).await.expect("store").expect("given back");
    assert_eq!(node.get("/api/v1/cluster/conflicts").await.is(200)["total"], 0);
}
