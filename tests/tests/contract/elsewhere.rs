//! Calls at one node about what was done at another.

use serde_json::{Value, json};

use crate::desk::{Ask, Desk};
use crate::shape::TASK;

/// Makes a task and claims it here; the node next door shows it.
async fn held(desk: &Desk, id: &str) -> (Value, Desk) {
    let claimed = desk.claimed(id, "a").await;
    let there = desk.next_door();
    let _ = there.until(id, "as claimed", |task| task["claimed_by"] == "a" && task["version"] == claimed["version"]).await;
    (claimed, there)
}

pub async fn a_holder_may_call_any_node(desk: Desk) {
    let (claimed, there) = held(&desk, "t").await;
    assert_eq!(there.show("t").await["holder"], desk.machine());
    let _ = there.step("t", "renew", json!({ "agent_name": "b" })).await.refuses(409, &["'a' holds"]);
    let _ =
        there.step("t", "renew", json!({ "agent_name": "a", "lease_duration_seconds": 0 })).await.refuses(400, &["lease_duration_seconds"]);
    let renewed = there.step("t", "renew", json!({ "agent_name": "a", "epoch": 1, "lease_duration_seconds": 3600 })).await.is(200);
    there.has_shape(&renewed, &TASK);
    assert!(renewed["lease_expires_at"].as_str() > claimed["lease_expires_at"].as_str(), "{renewed}");
    let wrong = there.step("t", "submit", json!({ "commits_count": 1 })).await.refuses(400, &["turns_used"]);
    assert!(wrong["error"].is_string());
    let _ = there.step("t", "submit", json!({ "commits_count": 1, "turns_used": 1, "agent_name": "b" })).await.refuses(409, &["'a' holds"]);
    let work = json!({ "commits_count": 1, "turns_used": 2, "agent_name": "a", "epoch": 1 });
    let submitted = there.step("t", "submit", work).await.is(200);
    there.has_shape(&submitted, &TASK);
    assert_eq!((&submitted["queue"], &submitted["turns_used"]), (&json!("provisional"), &json!(2)));

    let (_, there) = held(&desk, "u").await;
    let given = there.step("u", "release", json!({ "agent_name": "a" })).await.is(200);
    there.has_shape(&given, &TASK);
    assert_eq!((&given["queue"], &given["claimed_by"]), (&json!("incoming"), &Value::Null));
}

pub async fn a_verdict_may_be_given_at_any_node(desk: Desk) {
    for (steps, id) in [(1, "t"), (2, "u")] {
        let there = desk.beside(steps);
        let handed_in = desk.submitted(id, "a").await;
        let _ = there.until(id, "as handed in", |task| task["version"] == handed_in["version"]).await;
        let rejected = there.step(id, "reject", json!({ "rejected_by": "r", "reason": "no tests" })).await.is(200);
        there.has_shape(&rejected, &TASK);
        assert_eq!((&rejected["queue"], &rejected["rejection_count"]), (&json!("incoming"), &json!(1)));
        assert_eq!(there.show(id).await["queue"], "incoming", "what was answered is shown");
        let claimed = there.claim("b", json!({ "role_filter": id })).await.is(200);
        assert_eq!((&claimed["epoch"], &claimed["holder"]), (&json!(2), &json!(there.machine())));
        let _ = there.step(id, "submit", json!({ "commits_count": 1, "turns_used": 1 })).await.is(200);
        let done = there.step(id, "accept", json!({ "accepted_by": "r" })).await.is(200);
        there.has_shape(&done, &TASK);
        let here = desk.until(id, "as done", |task| task["queue"] == "done").await;
        assert_eq!(here["version"], done["version"], "both show one state");
    }
}

pub async fn the_acting_fields_of_a_patch_work_at_any_node(desk: Desk) {
    let (_, there) = held(&desk, "t").await;
    let clock = there.post("/actions", json!({ "entity_type": "task", "entity_id": "t", "label": "clock" })).await.is(201);
    let soon = crate::tasks::later(clock["created_at"].as_str().expect("a time"));
    let renewed = there.patch("/tasks/t", json!({ "lease_expires_at": soon, "title": "Renewed" })).await.is(200);
    assert_eq!(renewed["title"], "Renewed");
    let released = there.patch("/tasks/t", json!({ "claimed_by": null })).await.is(200);
    assert_eq!((&released["queue"], &released["claimed_by"]), (&json!("incoming"), &Value::Null));
    let (_, there) = held(&desk, "u").await;
    let released = there.patch("/tasks/u", json!({ "lease_expires_at": null })).await.is(200);
    assert_eq!((&released["queue"], &released["claimed_by"]), (&json!("incoming"), &Value::Null));
    let (_, there) = held(&desk, "v").await;
    let failed = there.patch("/tasks/v", json!({ "queue": "failed", "claimed_by": null })).await.is(200);
    assert_eq!((&failed["queue"], &failed["claimed_by"]), (&json!("failed"), &Value::Null));
    let (_, there) = held(&desk, "w").await;
    assert_eq!(there.step("w", "requeue", json!({})).await.is(200)["attempt_count"], 1);
    let (_, there) = held(&desk, "x").await;
    assert_eq!(there.step("x", "cancel", json!({})).await.is(200)["queue"], "cancelled");
    let (_, there) = held(&desk, "y").await;
    let _ = there.delete("/tasks/y").await.is(200);
    let _ = there.get("/tasks/y").await.is(404);
}

pub async fn what_one_node_is_told_every_node_shows(desk: Desk) {
    let task = desk.task("t", json!({ "content": "body", "hooks": [{ "name": "h" }] })).await;
    let project = desk.project("p", json!({})).await;
    let draft = desk.post("/drafts", json!({ "title": "d" })).await.is(201);
    let action = desk.post("/actions", json!({ "entity_type": "task", "entity_id": "t", "label": "l" })).await.is(201);
    let message = desk.post("/messages", json!({ "task_id": "t", "from_actor": "a", "type": "note", "content": "c" })).await.is(201);
    for steps in 1..3 {
        let there = desk.beside(steps);
        for (path, made) in [
            ("/tasks/t".to_owned(), &task),
            ("/projects/p".to_owned(), &project),
            (format!("/drafts/{}", draft["id"]), &draft),
            (format!("/actions/{}", action["id"].as_str().expect("an id")), &action),
        ] {
            let look = async || {
                let answer = there.get(&path).await;
                if answer.status == 200 { Ok(answer.body) } else { Err(answer.text) }
            };
            let shown = octopoid_tests::until(look).await.unwrap_or_else(|seen| panic!("{} has no {path}: {seen}", there.machine()));
            assert_eq!(shown, *made, "{path} at {}", there.machine());
        }
        let look = async || {
            let page = there.get("/messages").await.is(200);
            if page["messages"] == json!([message]) { Ok(()) } else { Err(page.to_string()) }
        };
        octopoid_tests::until(look).await.expect("the message");
        let tag = desk.get("/tasks/t").await.header("etag").to_owned();
        assert_eq!(there.get("/tasks/t").await.header("etag"), tag);
    }
    let _ = desk
        .next_door()
        .send(Ask::new("POST", desk.path("/tasks")).json(&desk.new_task("t", json!({}))))
        .await
        .refuses(409, &["already exists"]);
}
