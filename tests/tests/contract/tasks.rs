//! `GET`, `POST`, `PATCH` and `DELETE` of tasks.

use serde_json::{Value, json};

use crate::desk::{Ask, Desk, each, with};
use crate::shape::TASK;

pub async fn a_new_task_has_every_field_and_the_defaults(desk: Desk) {
    let task = desk.task("t", json!({})).await;
    desk.has_shape(&task, &TASK);
    for (field, value) in [
        ("id", json!("t")),
        ("file_path", json!("tasks/t.md")),
        ("queue", json!("incoming")),
        ("priority", json!("P2")),
        ("branch", json!("main")),
        ("title", json!("t")),
        ("flow", json!("default")),
        ("scope", json!(desk.scope)),
        ("version", json!(1)),
        ("epoch", json!(0)),
        ("commits_count", json!(0)),
        ("attempt_count", json!(0)),
        ("rejection_count", json!(0)),
        ("review_round", json!(0)),
        ("node", json!(desk.machine())),
        ("contested", json!(false)),
    ] {
        assert_eq!(task[field], value, "{field}");
    }
    for flag in ["has_plan", "auto_accept", "needs_rebase", "needs_breakdown", "needs_intervention"] {
        assert_eq!(task[flag], desk.flag(false), "{flag}");
    }
    for field in [
        "content",
        "role",
        "type",
        "complexity",
        "blocked_by",
        "claimed_by",
        "claimed_at",
        "hooks",
        "pr_number",
        "turns_used",
        "completed_at",
    ] {
        assert_eq!(task[field], Value::Null, "{field}");
    }
    assert_eq!(desk.show("t").await, task);
    let listed = desk.get("/tasks").await.is(200);
    assert_eq!(listed["tasks"], json!([task]));
}

pub async fn a_new_task_keeps_what_it_is_given(desk: Desk) {
    let fields = json!({
        "title": "Grüße, 世界 🐙", "content": "one\ntwo", "priority": "P0", "complexity": "XL", "role": "docs", "type": "chore", "branch": "next",
        "queue": "backlog", "auto_accept": desk.flag(true), "plan_id": "plan", "pr_number": 7, "checks": "unit,lint", "hooks": [{ "name": "h" }],
        "flow_overrides": { "a": 1 },
    });
    let task = desk.task("t", fields.clone()).await;
    desk.has_shape(&task, &TASK);
    for (field, value) in fields.as_object().expect("fields") {
        let shown = match field.as_str() {
            "hooks" => json!("[{\"name\":\"h\"}]"),
            "flow_overrides" => json!("{\"a\":1}"),
            _ => value.clone(),
        };
        assert_eq!(task[field], shown, "{field}");
    }
    for queue in ["provisional", "failed", "blocked", "needs_continuation", "done", "cancelled"] {
        let task = desk.task(queue, json!({ "queue": queue })).await;
        assert_eq!((&task["queue"], task["completed_at"].is_string()), (&json!(queue), queue == "done"), "{task}");
    }
}

pub async fn a_task_that_cannot_be_made_says_why(desk: Desk) {
    let _ = desk.task("t", json!({})).await;
    let _ = desk.post("/tasks", desk.new_task("t", json!({}))).await.refuses(409, &["'t'", "already exists"]);
    for field in ["id", "file_path"] {
        let mut task = desk.new_task("u", json!({}));
        task.as_object_mut().expect("fields").remove(field);
        let _ = desk.post("/tasks", task).await.refuses(400, &[field]);
    }
    let long = "x".repeat(129);
    for id in ["", ".", "..", "-a", "_a", "a b", "a/b", "a..b", "a.", "a.lock", "ü", "a\n", &long] {
        let _ = desk.post("/tasks", desk.new_task(id, json!({}))).await.refuses(400, &["id"]);
    }
    assert_eq!(desk.task(&"x".repeat(128), json!({})).await["queue"], "incoming");
    for (field, value) in [
        ("priority", json!("P4")),
        ("priority", json!("high")),
        ("complexity", json!("XXL")),
        ("queue", json!("claimed")),
        ("queue", json!("nowhere")),
        ("branch", json!("a b")),
        ("file_path", json!("../etc/passwd")),
        ("project_id", json!("nobody")),
        ("blocked_by", json!("nobody")),
        ("blocked_by", json!("u")),
        ("hooks", json!([{}])),
        ("pr_url", json!("ftp://x")),
    ] {
        let _ = desk.post("/tasks", desk.new_task("u", json!({ field: value }))).await.refuses(400, &[field]);
    }
    let _ = desk.get("/tasks/u").await.is(404);
}

pub async fn a_role_must_be_known_where_any_is_and_a_project_gives_its_branch(desk: Desk) {
    assert_eq!(desk.task("free", json!({ "role": "anything" })).await["role"], "anything");
    let machine = json!({ "cluster": "c", "machine_id": desk.id("m"), "repo_url": "r" });
    let id = desk.post("/orchestrators/register", machine).await.is(201)["orchestrator_id"].clone();
    let _ = desk.post("/roles/register", json!({ "orchestrator_id": id, "roles": [{ "name": "implement" }] })).await.is(200);
    let _ = desk.post("/tasks", desk.new_task("u", json!({ "role": "nobody" }))).await.refuses(400, &["role", "implement"]);
    let _ = desk.patch("/tasks/free", json!({ "role": "nobody" })).await.refuses(400, &["role"]);
    assert_eq!(desk.task("known", json!({ "role": "implement" })).await["role"], "implement");
    assert_eq!(desk.in_scope("b").task("elsewhere", json!({ "role": "nobody" })).await["role"], "nobody", "roles are a scope's own");
    let _ = desk.project("p", json!({ "branch": "project/own" })).await;
    let task = desk.task("in-project", json!({ "project_id": "p", "branch": "mine" })).await;
    assert_eq!((&task["project_id"], &task["branch"]), (&json!("p"), &json!("project/own")));
}

pub async fn a_list_is_filtered_and_sorted(desk: Desk) {
    let _ = desk.project("p", json!({})).await;
    for (number, priority) in ["P3", "P0", "P2", "P1", "P0"].iter().enumerate() {
        let role = if number % 2 == 0 { "implement" } else { "review" };
        let mut fields = json!({ "priority": priority, "role": role, "needs_intervention": number == 2 });
        if number == 4 {
            fields["project_id"] = json!("p");
        }
        let _ = desk.task(&format!("t{number}"), fields).await;
    }
    let _ = desk.task("t5", json!({ "queue": "backlog" })).await;
    let ids = async |query: &str| {
        let page = desk.get(&format!("/tasks?{query}")).await.is(200);
        let ids: Vec<String> = each(&page["tasks"], "id").into_iter().map(str::to_owned).collect();
        assert_eq!(page["total"], ids.len());
        ids
    };
    assert_eq!(ids("sort=priority&queue=incoming").await, ["t1", "t4", "t3", "t2", "t0"], "by priority, then the oldest");
    assert_eq!(ids("priority=P0,P1&sort=priority").await, ["t1", "t4", "t3"]);
    assert_eq!(ids("role=review&sort=priority").await, ["t1", "t3"]);
    assert_eq!(ids("queue=backlog,done").await, ["t5"]);
    assert_eq!(ids("project_id=p").await, ["t4"]);
    assert_eq!(ids("needs_intervention=true").await, ["t2"]);
    assert_eq!(ids("needs_intervention=false").await.len(), 5);
    assert_eq!(ids("priority=P0&role=implement").await, ["t4"]);
    let claimed = desk.claim("me", json!({})).await.is(200);
    assert_eq!(ids("claimed_by=me,you").await, [claimed["id"].as_str().expect("an id")]);
    let newest = desk.get("/tasks").await.is(200);
    let times = each(&newest["tasks"], "created_at");
    assert!(times.is_sorted_by(|a, b| a >= b), "the newest first: {times:?}");
    for (bad, field) in
        [("needs_intervention=maybe", "needs_intervention"), ("sort=random", "sort"), ("sort=priority&sort=priority", "sort")]
    {
        let _ = desk.get(&format!("/tasks?{bad}")).await.refuses(400, &[field]);
    }
}

pub async fn a_patch_edits_every_document_field(desk: Desk) {
    let _ = desk.task("t", json!({})).await;
    let _ = desk.project("p", json!({})).await;
    let flag = desk.flag(true);
    let edits = json!({
        "title": "new", "content": "c", "priority": "P0", "complexity": "S", "role": "fix", "type": "k", "branch": "b", "file_path": "x/y.md",
        "commits_count": 3, "turns_used": 4, "plan_id": "p", "project_id": "p", "pr_number": 5, "pr_url": "https://e.org", "checks": "c1",
        "last_rebase_attempt_at": "2026-01-01T00:00:00.000Z", "staging_url": "https://s.org", "review_round": 2, "execution_notes": "n",
        "has_plan": flag, "auto_accept": flag, "needs_rebase": flag, "needs_breakdown": flag, "needs_intervention": flag, "orchestrator_id": "o",
    });
    let json_text = json!({ "check_results": { "c1": true }, "hooks": [{ "name": "h" }], "flow_overrides": { "a": 1 } });
    let task = desk.patch("/tasks/t", with(edits.clone(), json_text)).await.is(200);
    desk.has_shape(&task, &TASK);
    for (field, value) in edits.as_object().expect("fields") {
        assert_eq!(task[field], *value, "{field}");
    }
    assert_eq!(
        (&task["check_results"], &task["hooks"], &task["flow_overrides"]),
        (&json!("{\"c1\":true}"), &json!("[{\"name\":\"h\"}]"), &json!("{\"a\":1}"))
    );
    let version = task["version"].as_u64().expect("a version");
    assert!(version > 1);
    let cleared = desk.patch("/tasks/t", json!({ "role": null, "content": null, "pr_number": null, "hooks": null })).await.is(200);
    for field in ["role", "content", "pr_number", "hooks"] {
        assert_eq!(cleared[field], Value::Null, "{field}");
    }
    assert!(cleared["version"].as_u64() > Some(version), "an edit raises it");
    assert!(cleared["updated_at"].as_str() >= task["updated_at"].as_str());
}

pub async fn a_patch_refuses_what_it_cannot_set(desk: Desk) {
    let _ = desk.task("t", json!({})).await;
    for field in
        ["attempt_count", "rejection_count", "submitted_at", "completed_at", "claimed_at", "created_at", "updated_at", "id", "scope"]
    {
        let ask = Ask::new("PATCH", desk.path("/tasks/t")).json(&json!({ "title": "x", field: desk.scope }));
        let _ = desk.send(ask).await.refuses(400, &[field]);
    }
    let _ = desk.patch("/tasks/t", json!({ "prioritty": "P1" })).await.refuses(400, &["prioritty"]);
    assert_eq!(desk.patch("/tasks/t", json!({})).await.refuses(400, &[])["error"], "No fields to update");
    for (field, value) in [
        ("queue", json!("done")),
        ("queue", json!("claimed")),
        ("queue", json!("nowhere")),
        ("claimed_by", json!("somebody")),
        ("title", json!(null)),
        ("blocked_by", json!("t")),
        ("blocked_by", json!("nobody")),
    ] {
        let _ = desk.patch("/tasks/t", json!({ field: value })).await.refuses(400, &[field]);
    }
    let _ = desk.patch("/tasks/t", json!({ "queue": "done" })).await.refuses(400, &["accept"]);
    let _ = desk.patch("/tasks/t", json!({ "queue": "claimed" })).await.refuses(400, &["claim"]);
    let _ = desk.patch("/tasks/t", json!({ "version": 9, "title": "x" })).await.refuses(409, &["version"]);
    assert_eq!(desk.show("t").await["version"], 1, "nothing was written");
}

pub async fn the_acting_fields_of_a_patch_move_release_and_renew(desk: Desk) {
    let _ = desk.task("t", json!({})).await;
    for queue in ["backlog", "blocked", "needs_continuation", "provisional", "incoming"] {
        assert_eq!(desk.patch("/tasks/t", json!({ "queue": queue })).await.is(200)["queue"], queue);
    }
    let claimed = desk.claim("me", json!({ "lease_duration_seconds": 60 })).await.is(200);
    let soon = &claimed["lease_expires_at"];
    let _ = desk.patch("/tasks/t", json!({ "lease_expires_at": "2999-01-01T00:00:00Z" })).await.refuses(400, &["lease_expires_at"]);
    let _ = desk.patch("/tasks/t", json!({ "claimed_by": "other" })).await.refuses(400, &["claimed_by"]);
    let clock = desk.post("/actions", json!({ "entity_type": "task", "entity_id": "t", "label": "clock" })).await.is(201);
    let at = later(clock["created_at"].as_str().expect("a time"));
    let renewed = desk.patch("/tasks/t", json!({ "lease_expires_at": at, "claimed_by": "me" })).await.is(200);
    assert!(renewed["lease_expires_at"].as_str() > soon.as_str(), "{renewed}");
    let released = desk.patch("/tasks/t", json!({ "claimed_by": null })).await.is(200);
    assert_eq!(
        (&released["queue"], &released["claimed_by"], &released["lease_expires_at"]),
        (&json!("incoming"), &Value::Null, &Value::Null)
    );
    let _ = desk.claim("me", json!({})).await.is(200);
    assert_eq!(desk.patch("/tasks/t", json!({ "lease_expires_at": null })).await.is(200)["queue"], "incoming");
    let _ = desk.claim("me", json!({})).await.is(200);
    let failed = desk.patch("/tasks/t", json!({ "queue": "failed" })).await.is(200);
    assert_eq!((&failed["queue"], &failed["claimed_by"], &failed["lease_expires_at"]), (&json!("failed"), &Value::Null, &Value::Null));
    let kept = json!({ "queue": "failed", "claimed_by": "me", "lease_expires_at": "2026-01-01T00:00:00Z" });
    let kept = desk.patch("/tasks/t", kept).await.is(200);
    assert_eq!((&kept["claimed_by"], &kept["lease_expires_at"]), (&json!("me"), &json!("2026-01-01T00:00:00.000Z")));
    assert_eq!(desk.patch("/tasks/t", json!({ "queue": "cancelled" })).await.is(200)["queue"], "cancelled");
}

/// Returns a time later on the same day, or the last one of it.
pub fn later(time: &str) -> String {
    let number = |range: std::ops::Range<usize>| time[range].parse::<u32>().expect("a number");
    let minutes = (number(11..13) * 60 + number(14..16) + 30).min(24 * 60 - 1);
    format!("{}{:02}:{:02}:59.000Z", &time[..11], minutes / 60, minutes % 60)
}

pub async fn a_deleted_task_is_gone_and_frees_those_that_waited(desk: Desk) {
    let _ = desk.task("a", json!({})).await;
    assert_eq!(desk.task("b", json!({ "blocked_by": "a" })).await["blocked_by"], "a");
    assert_eq!(desk.delete("/tasks/a").await.is(200), json!({ "message": "Task deleted", "task_id": "a" }));
    assert_eq!(desk.get("/tasks/a").await.refuses(404, &["'a'"])["task_id"], "a");
    let _ = desk.delete("/tasks/a").await.is(404);
    assert_eq!(desk.show("b").await["blocked_by"], Value::Null);
    assert_eq!(desk.get("/tasks").await.is(200)["total"], 1);
    assert_eq!(desk.task("a", json!({ "title": "anew" })).await["title"], "anew");
}

pub async fn only_open_blockers_are_shown_and_hold_a_task_back(desk: Desk) {
    for id in ["done", "cancelled", "deleted", "failed", "open"] {
        let _ = desk.task(id, json!({ "priority": "P3" })).await;
    }
    let waiting = desk.task("t", json!({ "blocked_by": "done, cancelled,deleted,failed,open", "priority": "P0" })).await;
    let shown: std::collections::BTreeSet<_> = waiting["blocked_by"].as_str().expect("ids").split(',').collect();
    assert_eq!(shown, ["cancelled", "deleted", "done", "failed", "open"].into());
    let _ = desk.patch("/tasks/open", json!({ "blocked_by": "t" })).await.refuses(400, &["blocked_by"]);
    let _ = desk.step("done", "force-queue", json!({ "queue": "done", "reason": "r" })).await.is(200);
    let _ = desk.step("cancelled", "cancel", json!({})).await.is(200);
    let _ = desk.delete("/tasks/deleted").await.is(200);
    let _ = desk.step("failed", "force-queue", json!({ "queue": "failed", "reason": "r" })).await.is(200);
    let shown = desk.show("t").await["blocked_by"].as_str().expect("ids").to_owned();
    assert!(shown == "failed,open" || shown == "open,failed", "a failed one still blocks: {shown}");
    assert_eq!(desk.claim("a", json!({})).await.is(200)["id"], "open", "the blocked one is passed over");
    let _ = desk.claim("a", json!({})).await.is(404);
    let _ = desk.step("open", "accept", json!({ "accepted_by": "r" })).await.is(200);
    let _ = desk.step("failed", "cancel", json!({})).await.is(200);
    assert_eq!(desk.show("t").await["blocked_by"], Value::Null);
    assert_eq!(desk.task("u", json!({ "blocked_by": "done" })).await["blocked_by"], Value::Null, "a finished one blocks nothing");
    assert_eq!(desk.claim("a", json!({})).await.is(200)["id"], "t");
}
