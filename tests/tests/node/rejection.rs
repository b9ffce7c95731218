//! Work that a reviewer sends back.

use octopoid_client::{ClaimRequest, FlowTransition, NewTask, PutFlow, RejectRequest, SubmitRequest, TaskPatch};
use octopoid_tests::{Agent, Project};

use super::whole_job::WORK;

#[tokio::test]
async fn the_next_attempt_reads_the_reason_and_starts_from_the_rejected_branch() {
    let mut project = Project::new();
    let worker = r#"if [ -e first ]; then cat first > "$TABLE/found"; fi
        echo "$OCTOPOID_ATTEMPT" >> first; commit "attempt $OCTOPOID_ATTEMPT""#;
    let judge = r#"echo "looked at $(wc -l < first)"; if [ "$(wc -l < first)" -lt 2 ]; then result '{"outcome":"reject","reason":"first:1: say more"}'
        else cp "$OCTOPOID_PROMPT_FILE" "$TABLE/review"; result '{"outcome":"accept","reason":"enough"}'; fi"#;
    project.agents(&[Agent::new("worker", "implement", worker), Agent::new("judge", "review", judge)]);
    let id = project.enqueue("Say more", &[]);
    project.start().await;
    let task = project.until_merged(&id).await;
    assert_eq!(task.rejection_count, 1);

    let attempts = project.client().attempts(&id).await.expect("attempts").attempts;
    assert_eq!(attempts.iter().map(|attempt| attempt.state.as_str()).collect::<Vec<_>>(), ["rejected", "accepted"]);
    let (first, second) = (&attempts[0], &attempts[1]);
    let history = project.client().history(&id).await.expect("history").history;
    let reviews = history.iter().filter(|event| event.event == "review_claimed").filter_map(|event| event.details.as_deref());
    let logs = reviews.map(|told| told.strip_prefix("review ").expect("its name"));
    let logs: Vec<String> = logs.map(|review| project.run(&["logs", &id, "--attempt", review]).ok().to_owned()).collect();
    assert_eq!(logs, ["looked at 1", "looked at 2"]);
    assert_eq!(first.reason.as_deref(), Some("first:1: say more"));
    let prompt = project.read(project.attempt_dir(&id, &second.attempt).join("prompt.md"));
    assert!(prompt.contains("first:1: say more") && prompt.contains("starts from the rejected work"), "{prompt}");
    assert_eq!(project.noted("found").trim(), first.attempt, "the worktree held the rejected work");
    let (rejected, accepted) = (first.branch.as_deref().expect("branch"), second.branch.as_deref().expect("branch"));
    project.git(&["merge-base", "--is-ancestor", rejected, accepted]);
    let review = project.noted("review");
    assert!(review.contains("first:1: say more"), "the reviewer sees what was asked for before:\n{review}");
    assert!(review.contains(&format!("+{}", second.attempt)), "the reviewer sees the whole change:\n{review}");
}

#[tokio::test]
async fn after_three_rejections_a_person_is_asked_and_told_the_last_reason() {
    let mut project = Project::new();
    let worker = r#"echo "$OCTOPOID_ATTEMPT" >> log; commit more"#;
    let judge = r#"result "{\"outcome\":\"reject\",\"reason\":\"still wrong, line $(wc -l < log)\"}""#;
    project.agents(&[Agent::new("worker", "implement", worker), Agent::new("judge", "review", judge)]);
    let id = project.enqueue("Do the impossible", &[]);
    project.start().await;
    let task = project.until_in(&id, "failed").await;
    assert!(task.needs_intervention, "{task:#?}");
    assert_eq!(task.rejection_count, 3);
    let attempts = project.client().attempts(&id).await.expect("attempts").attempts;
    assert_eq!(attempts.len(), 3, "{attempts:#?}");
    let history = project.client().history(&id).await.expect("history").history;
    let last = history.last().and_then(|event| event.details.clone()).unwrap_or_default();
    assert!(last.contains("3 attempts were rejected") && last.contains("still wrong, line 3"), "{history:#?}");
    assert!(project.run(&["status"]).ok().contains(&format!("1 needs you: octopoid show {id}")));
}

/// Hands a task in over REST under an agent's name.
async fn hand_in(project: &Project, id: &str, agent: &str, priority: &str) {
    let client = project.client();
    let text = |text: &str| Some(text.to_owned());
    let role = format!("by-{agent}");
    let task = NewTask { id: id.to_owned(), file_path: id.to_owned(), role: text(&role), priority: text(priority), ..NewTask::default() };
    client.create_task(&task).await.expect("created");
    let claim = ClaimRequest {
        orchestrator_id: "elsewhere".to_owned(),
        agent_name: agent.to_owned(),
        queue: text("incoming"),
        role_filter: Some(vec![role].into()),
        ..ClaimRequest::default()
    };
    let claimed = client.claim(&claim).await.expect("claim").expect("a task waits");
    assert_eq!(claimed.id, id);
    client.submit(id, &SubmitRequest { commits_count: 1, turns_used: 1, ..SubmitRequest::default() }).await.expect("submitted");
}

#[tokio::test]
async fn a_reviewer_never_reviews_an_attempt_of_its_own_name() {
    let mut project = Project::new();
    project.agents(&[Agent::approver("judge").with("enabled: false")]);
    project.start_with(&["--tick-interval", "100"]).await;
    hand_in(&project, "own", "judge", "P0").await;
    hand_in(&project, "foreign", "somebody", "P3").await;
    project.agents(&[Agent::approver("judge")]);
    // The more urgent one would have been taken first.
    project.until_in("foreign", "done").await;
    let own = project.task("own").await;
    assert_eq!((own.queue.as_str(), own.review_round, own.claimed_by), ("provisional", 0, None));
    project.agents(&[Agent::approver("judge"), Agent::approver("another-judge")]);
    project.until_in("own", "done").await;
}

#[tokio::test]
async fn a_review_without_a_verdict_is_given_back_and_its_agent_pauses() {
    let mut project = Project::new();
    let judge = r#"if [ -e "$TABLE/ready" ]; then result '{"outcome":"accept"}'; fi"#;
    project.agents(&[Agent::new("worker", "implement", WORK), Agent::new("judge", "review", judge)]);
    let id = project.enqueue("Add a feature", &[]);
    project.start().await;
    let paused = async || {
        let status = project.client().node_status().await.map_err(|error| error.to_string())?;
        let judge = status.agents.iter().find(|agent| agent.name == "judge");
        judge.and_then(|agent| agent.paused_until.clone()).ok_or_else(|| format!("{status:#?}"))
    };
    project.until("the reviewer pauses", paused).await;
    let task = project.task(&id).await;
    assert_eq!((task.queue.as_str(), task.rejection_count, task.claimed_by), ("provisional", 0, None));
    project.put("ready");
    let _ = project.run(&["resume", "judge"]).ok();
    project.until_merged(&id).await;
}

#[tokio::test]
async fn work_that_no_agent_here_will_review_waits_for_a_person() {
    let mut project = Project::new();
    project.agents(&[Agent::new("worker", "implement", WORK), Agent::approver("judge")]);
    project.start().await;
    let _ = project.run(&["pause", "judge"]).ok();
    let id = project.enqueue("Nobody reviews it", &[]);
    let _ = project.until_in(&id, "provisional").await;
    let said = project.run(&["status"]);
    assert!(said.ok().contains("1 waits for your review"), "{said:?}");
    let _ = project.run(&["resume", "judge"]).ok();
    let _ = project.until_merged(&id).await;
}

#[tokio::test]
async fn steps_of_a_flow_forgive_no_rejection() {
    let mut project = Project::new();
    let worker = r#"echo "$OCTOPOID_ATTEMPT" >> log; commit more"#;
    project.agents(&[Agent::new("worker", "implement", worker)]);
    let step = |from: &str, to: &str| FlowTransition { from: from.to_owned(), to: to.to_owned() };
    let states = ["incoming", "claimed", "provisional", "qa", "done", "failed"].map(str::to_owned).to_vec();
    let transitions = vec![step("claimed", "provisional"), step("provisional", "qa"), step("qa", "incoming"), step("qa", "done")];
    project.start().await;
    let client = project.client();
    client.put_flow("checked", &PutFlow { states, transitions, scope: None }).await.expect("a flow");
    let task = NewTask { id: "t".to_owned(), file_path: "t".to_owned(), flow: Some("checked".to_owned()), ..NewTask::default() };
    client.create_task(&task).await.expect("created");
    for _ in 0..3 {
        project.until_in("t", "provisional").await;
        client.patch_task("t", &TaskPatch { queue: Some("qa".to_owned()), ..TaskPatch::default() }).await.expect("in qa");
        client.reject("t", &RejectRequest { reason: "still wrong".to_owned(), rejected_by: "me".to_owned() }).await.expect("rejected");
    }
    let task = project.until_in("t", "failed").await;
    assert!(task.needs_intervention && task.rejection_count == 3, "{task:#?}");
}

#[tokio::test]
async fn what_is_put_back_after_three_rejections_is_told_the_last_one_and_what_the_person_says() {
    let mut project = Project::new();
    let worker = r#"echo "$OCTOPOID_ATTEMPT" >> log; commit more"#;
    let judge = r#"if [ -e "$TABLE/again" ]; then result '{"outcome":"accept"}'
        else result "{\"outcome\":\"reject\",\"reason\":\"still wrong, line $(wc -l < log)\"}"; fi"#;
    project.agents(&[Agent::new("worker", "implement", worker), Agent::new("judge", "review", judge)]);
    let id = project.enqueue("Do the impossible", &[]);
    project.start().await;
    project.until_in(&id, "failed").await;
    project.put("again");
    let _ = project.run(&["requeue", &id, "--reason", "line 3 is fine, look at line 1"]).ok();
    let task = project.until_merged(&id).await;
    let prompt = project.read(project.attempt_dir(&id, &task.attempt.expect("attempt")).join("prompt.md"));
    for told in ["still wrong, line 3", "line 3 is fine, look at line 1", "starts from the rejected work"] {
        assert!(prompt.contains(told), "{told}:\n{prompt}");
    }
}

#[tokio::test]
async fn a_task_that_is_deleted_and_made_anew_begins_anew_and_is_merged_again() {
    let mut project = Project::new();
    let judge = r#"if [ -e "$TABLE/again" ]; then result '{"outcome":"accept"}'
        else : > "$TABLE/again"; result '{"outcome":"reject","reason":"of the former life"}'; fi"#;
    let worker = r#"echo "$OCTOPOID_ATTEMPT" >> log; commit more"#;
    project.agents(&[Agent::new("worker", "implement", worker), Agent::new("judge", "review", judge)]);
    project.start().await;
    let client = project.client();
    let task = NewTask { id: "nightly".to_owned(), file_path: "nightly".to_owned(), ..NewTask::default() };
    client.create_task(&task).await.expect("created");
    project.until_merged("nightly").await;
    client.delete_task("nightly").await.expect("deleted");
    client.create_task(&task).await.expect("made anew");
    let merged = project.until_merged("nightly").await;
    assert_eq!(project.merged(), ["nightly", "nightly"]);
    let prompt = project.read(project.attempt_dir("nightly", &merged.attempt.expect("attempt")).join("prompt.md"));
    assert!(!prompt.contains("of the former life"), "{prompt}");
}
