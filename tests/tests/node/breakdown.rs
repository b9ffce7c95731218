//! Tasks that wait for other tasks.

use octopoid_tests::{Agent, Project};

use super::whole_job::WORK;

const PLAN: &str = r#"note planned "$OCTOPOID_TASK_ID"
result '{"outcome":"subtasks","subtasks":[
  {"title":"Write the parser","body":"by hand","role":"implement","priority":"P1"},
  {"title":"Use the parser","body":"everywhere","role":"implement","depends_on":[0]}]}'"#;

#[tokio::test]
async fn a_task_that_is_broken_down_waits_for_its_parts_and_is_finished_by_them() {
    let mut project = Project::new();
    let worker = format!(r#"note order "$OCTOPOID_TASK_ID"; note before "$(ls work-* 2>/dev/null | wc -l)"; await go; {WORK}"#);
    project.agents(&[
        Agent::new("planner", "breakdown", PLAN),
        Agent::new("worker", "implement", &worker).with("max_instances: 3"),
        Agent::approver("judge"),
    ]);
    let whole = project.enqueue("Understand the format", &["--role", "breakdown"]);
    project.start().await;
    project.until_noted("order", 1).await;
    let waiting = project.task(&whole).await;
    let parts: Vec<String> = waiting.blocked_by.clone().unwrap_or_default().split(',').map(str::to_owned).collect();
    assert_eq!((waiting.queue.as_str(), parts.len(), waiting.has_plan), ("incoming", 2, true), "{waiting:#?}");
    let (first, second) = (project.task(&parts[0]).await, project.task(&parts[1]).await);
    assert_eq!((first.title.as_str(), first.content.as_deref(), first.priority.as_str()), ("Write the parser", Some("by hand"), "P1"));
    assert_eq!((second.queue.as_str(), second.blocked_by.as_deref()), ("incoming", Some(parts[0].as_str())));

    project.put("go");
    project.until_in(&whole, "done").await;
    assert_eq!(project.noted("order").lines().collect::<Vec<_>>(), parts, "one after the other, in the order of the plan");
    assert_eq!(project.noted("before").lines().map(str::trim).collect::<Vec<_>>(), ["0", "1"], "the second part starts from the first");
    assert_eq!(project.noted("planned").lines().count(), 1, "the whole is planned once and then not offered");
    let history = project.client().history(&whole).await.expect("history").history;
    assert!(history.iter().any(|event| event.details.as_ref().is_some_and(|text| text.contains("subtasks_done"))), "{history:#?}");
    assert_eq!(project.merged(), parts, "the whole itself has nothing to merge");
}

#[tokio::test]
async fn a_plan_that_cannot_be_is_a_failed_attempt_and_creates_nothing() {
    let mut project = Project::new();
    let plan = r#"result '{"outcome":"subtasks","subtasks":[{"title":"a","depends_on":[1]},{"title":"b","depends_on":[0]}]}'"#;
    project.agents(&[Agent::new("planner", "breakdown", plan)]);
    let whole = project.enqueue("Plan in a circle", &["--role", "breakdown"]);
    project.start().await;
    let task = project.until_task(&whole, "tried once", |task| task.attempt_count == 1).await;
    assert_eq!(task.blocked_by, None);
    assert_eq!(project.run(&["list", "--json"]).json().as_array().map(Vec::len), Some(1));
    let attempts = project.client().attempts(&whole).await.expect("attempts").attempts;
    assert!(attempts[0].reason.as_ref().is_some_and(|reason| reason.contains("depends_on")), "{attempts:#?}");
}

#[tokio::test]
async fn a_blocked_task_is_claimed_only_after_its_blocker_is_on_main() {
    let mut project = Project::new();
    let worker = format!(r#"echo "$OCTOPOID_TASK_ID" >> README; ls > "$TABLE/seen-$OCTOPOID_TASK_ID"; {WORK}"#);
    project.agents(&[Agent::new("worker", "implement", &worker), Agent::approver("judge")]);
    let first = project.enqueue("First", &["--priority", "P3"]);
    let second = project.enqueue("Second", &["--priority", "P0", "--blocked-by", &first]);
    // Keeps the first one from being merged.
    project.write("README", "being edited\n");
    project.start().await;
    project.until_task(&first, "accepted, not merged", |task| task.awaiting_merge.as_ref().is_some_and(|why| why.contains("README"))).await;
    let blocked = project.task(&second).await;
    assert_eq!((blocked.queue.as_str(), blocked.epoch, blocked.blocked_by.as_deref()), ("incoming", 0, Some(first.as_str())));
    assert!(project.run(&["list"]).ok().contains("incoming (blocked)"));

    project.git(&["checkout", "--", "README"]);
    let _ = project.run(&["merge", &first]).ok();
    project.until_merged(&second).await;
    assert!(project.noted(&format!("seen-{second}")).contains(&format!("work-{first}")), "it starts from the blocker's work");
    assert_eq!(project.merged(), [first, second]);
}

#[tokio::test]
async fn a_cancelled_blocker_blocks_no_more() {
    let mut project = Project::new();
    project.agents(&[Agent::new("worker", "implement", WORK), Agent::approver("judge")]);
    let first = project.enqueue("First", &["--role", "docs"]);
    let second = project.enqueue("Second", &["--blocked-by", &first]);
    project.start().await;
    let _ = project.run(&["cancel", &first]).ok();
    project.until_merged(&second).await;
}

#[tokio::test]
async fn a_whole_that_is_reopened_is_planned_anew() {
    let mut project = Project::new();
    project.agents(&[
        Agent::new("planner", "breakdown", PLAN),
        Agent::new("worker", "implement", WORK).with("max_instances: 3"),
        Agent::approver("judge"),
    ]);
    let whole = project.enqueue("Understand the format", &["--role", "breakdown"]);
    project.start().await;
    project.until_in(&whole, "done").await;
    let _ = project.run(&["requeue", &whole, "--reopen"]).ok();
    project.until_noted("planned", 2).await;
    project.until_task(&whole, "done by new parts", |task| task.queue == "done" && task.epoch == 2).await;
    assert_eq!(project.merged().len(), 4, "two parts of each plan");
}

#[tokio::test]
async fn a_whole_without_a_part_that_was_done_asks_a_person() {
    let mut project = Project::new();
    project.agents(&[Agent::new("planner", "breakdown", PLAN)]);
    let whole = project.enqueue("Understand the format", &["--role", "breakdown"]);
    project.start().await;
    let planned = project.until_task(&whole, "planned", |task| task.has_plan).await;
    for part in planned.blocked_by.unwrap_or_default().split(',') {
        let _ = project.run(&["cancel", part]).ok();
    }
    let asks = project.until_task(&whole, "a person is asked", |task| task.needs_intervention).await;
    assert_eq!(asks.queue, "incoming");
    assert!(asks.execution_notes.as_ref().is_some_and(|notes| notes.contains("requeue")), "{asks:#?}");
    let _ = project.run(&["requeue", &whole]).ok();
    project.until_noted("planned", 2).await;
}

#[tokio::test]
async fn a_plan_for_a_role_that_nobody_has_is_a_failed_attempt() {
    let mut project = Project::new();
    let plan = r#"if [ -e "$TABLE/again" ]; then role=implementer; else role=frontend; fi
        result "{\"outcome\":\"subtasks\",\"subtasks\":[{\"title\":\"a\",\"role\":\"$role\"}]}""#;
    project.agents(&[Agent::new("planner", "breakdown", plan)]);
    let whole = project.enqueue("Plan for others", &["--role", "breakdown"]);
    project.start().await;
    project.until_task(&whole, "tried once", |task| task.attempt_count == 1).await;
    let attempts = project.client().attempts(&whole).await.expect("attempts").attempts;
    let reason = attempts[0].reason.clone().unwrap_or_default();
    assert!(reason.contains("'frontend'") && reason.contains("use one of implement"), "{reason}");
    assert_eq!(project.task(&whole).await.blocked_by, None, "nothing was created");
    // A word of an earlier version is read as agents.yaml reads it.
    project.put("again");
    let _ = project.run(&["requeue", &whole]).ok();
    let planned = project.until_task(&whole, "planned", |task| task.has_plan).await;
    assert_eq!(project.task(&planned.blocked_by.expect("a part")).await.role.as_deref(), Some("implement"));
}
