//! Flows, and how they bind.

use serde_json::{Value, json};

use crate::desk::{Desk, each};
use crate::shape::FLOW;

fn step(from: &str, to: &str) -> Value {
    json!({ "from": from, "to": to })
}

pub async fn a_flow_is_put_shown_and_deleted(desk: Desk) {
    let states = json!(["incoming", "claimed", "checked", "done", "failed"]);
    let steps = json!([step("incoming", "claimed"), step("claimed", "checked"), step("checked", "done")]);
    let made = desk.put("/flows/careful", json!({ "states": states, "transitions": steps })).await.is(200);
    desk.has_shape(&made, &FLOW);
    let read = |field: &str| serde_json::from_str::<Value>(made[field].as_str().expect("JSON text")).expect("JSON");
    assert_eq!((&made["name"], read("states"), read("transitions")), (&json!("careful"), states.clone(), steps.clone()));
    assert_eq!(desk.put("/flows/careful", json!({ "states": states, "transitions": [] })).await.is(200)["transitions"], "[]", "again");
    assert_eq!(desk.get("/flows/careful").await.is(200)["name"], "careful");
    assert!(each(&desk.get("/flows").await.is(200)["flows"], "name").contains(&"careful"));
    for needed in ["incoming", "claimed", "done", "failed"] {
        let fewer: Vec<_> = ["incoming", "claimed", "done", "failed"].into_iter().filter(|state| *state != needed).collect();
        let _ = desk.put("/flows/short", json!({ "states": fewer, "transitions": [] })).await.refuses(400, &["states", needed]);
    }
    let _ = desk
        .put("/flows/odd", json!({ "states": states, "transitions": [step("incoming", "nowhere")] }))
        .await
        .refuses(400, &["transitions"]);
    let _ = desk.put("/flows/odd", json!({ "transitions": [] })).await.refuses(400, &["states"]);
    assert_eq!(desk.delete("/flows/careful").await.is(200)["name"], "careful");
    let _ = desk.get("/flows/careful").await.refuses(404, &["careful"]);
    let _ = desk.delete("/flows/careful").await.refuses(404, &["careful"]);
}

pub async fn a_flow_decides_which_verdicts_are_legal(desk: Desk) {
    let states = json!(["incoming", "claimed", "provisional", "checked", "done", "failed"]);
    let steps =
        [("incoming", "claimed"), ("claimed", "provisional"), ("provisional", "checked"), ("checked", "done"), ("checked", "incoming")];
    let steps: Vec<Value> = steps.into_iter().map(|(from, to)| step(from, to)).collect();
    let _ = desk.put("/flows/careful", json!({ "states": states, "transitions": steps })).await.is(200);
    let _ = desk.task("t", json!({ "flow": "careful" })).await;
    let _ = desk.task("waiting", json!({ "flow": "careful", "queue": "checked" })).await;
    let _ = desk.post("/tasks", desk.new_task("plain", json!({ "queue": "checked" }))).await.refuses(400, &["queue"]);
    assert_eq!(desk.claim("a", json!({ "queue": "checked" })).await.is(200)["id"], "waiting", "a waiting state is claimed from");
    assert_eq!(desk.claim("a", json!({})).await.is(200)["id"], "t");
    let _ = desk.step("t", "submit", json!({ "commits_count": 1, "turns_used": 1 })).await.is(200);
    for (verb, body) in
        [("accept", json!({ "accepted_by": "r" })), ("reject", json!({ "rejected_by": "r", "reason": "no" })), ("requeue", json!({}))]
    {
        let _ = desk.step("t", verb, body).await.refuses(409, &["careful"]);
    }
    let _ = desk.patch("/tasks/t", json!({ "queue": "backlog" })).await.is(200);
    let _ = desk.step("t", "force-queue", json!({ "queue": "provisional", "reason": "back" })).await.is(200);
    let moved = desk.patch("/tasks/t", json!({ "queue": "checked" })).await.is(200);
    assert_eq!(moved["queue"], "checked");
    let rejected = desk.step("t", "reject", json!({ "rejected_by": "r", "reason": "no" })).await.is(200);
    assert_eq!((&rejected["queue"], &rejected["rejection_count"]), (&json!("incoming"), &json!(1)));
    let polled = desk.get("/scheduler/poll").await.is(200);
    assert_eq!(polled["flows"], json!({ "careful": { "states": states } }), "of that scope only");
}
