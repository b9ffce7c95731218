//! Orchestrators, roles and the scheduler's poll.

use serde_json::{Value, json};

use crate::desk::{Ask, Desk, each};
use crate::shape::{Kind, ORCHESTRATOR, POLLED, ROLE};

pub async fn an_orchestrator_registers_once_and_is_heard(desk: Desk) {
    let machine = json!({ "cluster": "prod", "machine_id": "m1", "repo_url": "https://e.org/r.git", "hostname": "h", "version": "1", "capabilities": { "gpu": true } });
    let first = desk.post("/orchestrators/register", machine.clone()).await.is(201);
    desk.has_shape(
        &first,
        &[("orchestrator_id", Kind::Text), ("registered_at", Kind::Time), ("status", Kind::Text), ("api_key", Kind::Text)],
    );
    assert_eq!((&first["orchestrator_id"], &first["status"]), (&json!("prod-m1"), &json!("active")));
    let again = desk.post("/orchestrators/register", machine).await.is(200);
    assert_eq!(again["registered_at"], first["registered_at"], "kept from the first");
    let shown = desk.get("/orchestrators/prod-m1").await.is(200);
    desk.has_shape(&shown, &ORCHESTRATOR);
    for (field, value) in [
        ("id", json!("prod-m1")),
        ("cluster", json!("prod")),
        ("machine_id", json!("m1")),
        ("repo_url", json!("https://e.org/r.git")),
        ("hostname", json!("h")),
        ("version", json!("1")),
        ("capabilities", json!("{\"gpu\":true}")),
        ("status", json!("active")),
        ("scope", json!(desk.scope)),
    ] {
        assert_eq!(shown[field], value, "{field}");
    }
    for body in ["", "{}", "{\"timestamp\":\"2026-01-01T00:00:00Z\"}"] {
        let heard = desk.send(Ask::new("POST", desk.path("/orchestrators/prod-m1/heartbeat")).text(body)).await.is(200);
        desk.has_shape(&heard, &[("success", Kind::Truth), ("last_heartbeat", Kind::Time)]);
        assert_eq!(heard["success"], true);
    }
    assert_eq!(each(&desk.get("/orchestrators?cluster=prod&status=active,maintenance").await.is(200)["orchestrators"], "id"), ["prod-m1"]);
    assert_eq!(desk.get("/orchestrators?cluster=other").await.is(200)["total"], 0);
    let _ = desk.get("/orchestrators?status=asleep").await.refuses(400, &["status"]);
    for status in ["maintenance", "offline"] {
        let shown = desk.patch("/orchestrators/prod-m1", json!({ "status": status })).await.is(200);
        desk.has_shape(&shown, &ORCHESTRATOR);
        assert_eq!(shown["status"], status);
    }
    let _ = desk.post("/orchestrators/prod-m1/heartbeat", json!({})).await.is(200);
    assert_eq!(desk.patch("/orchestrators/prod-m1", json!({ "status": "active" })).await.is(200)["status"], "active");
    let _ = desk.patch("/orchestrators/prod-m1", json!({ "status": "asleep" })).await.refuses(400, &["status"]);
    let _ = desk.patch("/orchestrators/prod-m1", json!({})).await.refuses(400, &["status"]);
    for field in ["cluster", "machine_id", "repo_url"] {
        let mut body = json!({ "cluster": "c", "machine_id": "m", "repo_url": "r" });
        body.as_object_mut().expect("fields").remove(field);
        let _ = desk.post("/orchestrators/register", body).await.refuses(400, &[field]);
    }
}

pub async fn every_node_is_listed_and_heard_of_everywhere(desk: Desk) {
    let listed = desk.send(Ask::new("GET", "/api/v1/orchestrators?scope=default&limit=500")).await.is(200);
    desk.has_page(&listed, "orchestrators", &ORCHESTRATOR);
    for machine in ["machine-1", "machine-2", "machine-3"] {
        let entries = listed["orchestrators"].as_array().expect("a list");
        let found: Vec<_> = entries.iter().filter(|entry| entry["machine_id"] == machine).collect();
        assert_eq!(found.len(), 1, "{machine} in {listed}");
        assert_eq!(
            (&found[0]["id"], &found[0]["cluster"], &found[0]["status"]),
            (&json!(format!("home-{machine}")), &json!("home"), &json!("active"))
        );
        let shown = desk.send(Ask::new("GET", format!("/api/v1/orchestrators/home-{machine}"))).await.is(200);
        assert_eq!(shown["machine_id"], machine);
    }
    let machine = json!({ "cluster": "c", "machine_id": "m", "repo_url": "r" });
    let _ = desk.post("/orchestrators/register", machine).await.is(201);
    let other = desk.next_door();
    let heard = async || {
        let answer = other.get("/orchestrators/c-m").await;
        let active = answer.status == 200 && answer.body["status"] == "active" && answer.body["last_heartbeat"].is_string();
        if active { Ok(()) } else { Err(answer.text) }
    };
    octopoid_tests::until(heard).await.expect("a heartbeat is shared");
}

pub async fn roles_belong_to_the_scope_of_their_orchestrator(desk: Desk) {
    let machine = json!({ "cluster": "c", "machine_id": desk.id("m"), "repo_url": "r" });
    let id = desk.post("/orchestrators/register", machine).await.is(201)["orchestrator_id"].clone();
    let wish = json!({ "orchestrator_id": id, "roles": [{ "name": "gate", "claims_from": "provisional", "description": "Reviews" }, { "name": "implement" }] });
    // Without a scope it is the orchestrator's.
    let answer = desk.send(Ask::new("POST", "/api/v1/roles/register").json(&wish)).await.is(200);
    assert_eq!(each(&answer["roles"], "name"), ["gate", "implement"]);
    let answer = desk.post("/roles/register", wish).await.is(200);
    for role in answer["roles"].as_array().expect("roles") {
        desk.has_shape(role, &ROLE);
        assert_eq!((&role["scope"], &role["orchestrator_id"]), (&json!(desk.scope), &id));
    }
    let listed = desk.get("/roles").await.is(200);
    assert_eq!((each(&listed["roles"], "name"), &listed["total"]), (vec!["gate", "implement"], &json!(2)), "again changes nothing");
    let shown = desk.get("/roles/gate").await.is(200);
    assert_eq!((&shown["claims_from"], &shown["description"]), (&json!("provisional"), &json!("Reviews")));
    let _ = desk.get("/roles/nobody").await.refuses(404, &["nobody"]);
    let _ = desk
        .post("/roles/register", json!({ "orchestrator_id": "nobody", "roles": [{ "name": "x" }] }))
        .await
        .refuses(400, &["orchestrator_id"]);
    let _ = desk.post("/roles/register", json!({ "roles": [] })).await.refuses(400, &["orchestrator_id"]);
    let _ = desk.post("/roles/register", json!({ "orchestrator_id": id })).await.refuses(400, &["roles"]);
    let _ = desk
        .post("/roles/register", json!({ "orchestrator_id": id, "roles": [{ "name": "x", "claims_from": "done" }] }))
        .await
        .refuses(400, &["claims_from"]);
    assert_eq!(desk.in_scope("b").get("/roles").await.is(200)["total"], 0);
}

pub async fn a_poll_tells_what_waits_in_one_scope(desk: Desk) {
    let machine = json!({ "cluster": "c", "machine_id": desk.id("m"), "repo_url": "r" });
    let id = desk.post("/orchestrators/register", machine).await.is(201)["orchestrator_id"].clone();
    let id = id.as_str().expect("an id");
    let _ = desk.task("new", json!({ "queue": "backlog" })).await;
    let _ = desk.submitted("t", "a").await;
    let _ = desk.patch("/tasks/t", json!({ "pr_number": 7, "hooks": [{ "name": "h" }] })).await.is(200);
    let _ = desk.claimed("held", "b").await;
    // Without a scope it is the orchestrator's.
    let polled = desk.send(Ask::new("GET", format!("/api/v1/scheduler/poll?orchestrator_id={id}"))).await.is(200);
    for queue in ["incoming", "claimed", "provisional"] {
        assert!(polled["queue_counts"][queue].is_u64(), "{polled}");
    }
    assert_eq!(polled["queue_counts"], json!({ "backlog": 1, "claimed": 1, "incoming": 0, "provisional": 1 }));
    desk.has_shape(&polled["provisional_tasks"][0], &POLLED);
    assert_eq!(polled["provisional_tasks"], json!([{ "id": "t", "hooks": "[{\"name\":\"h\"}]", "pr_number": 7, "claimed_by": null }]));
    assert_eq!((&polled["orchestrator_registered"], &polled["scope"], &polled["flows"]), (&json!(true), &json!(desk.scope), &json!({})));
    let polled = desk.get("/scheduler/poll?orchestrator_id=nobody").await.is(200);
    assert_eq!(polled["orchestrator_registered"], false);
    let other = desk.in_scope("b").get("/scheduler/poll").await.is(200);
    assert_eq!((&other["queue_counts"]["provisional"], &other["provisional_tasks"]), (&json!(0), &Value::Array(Vec::new())));
}
