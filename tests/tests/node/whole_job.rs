//! A task from its queueing to `main`.

use octopoid_tests::{Agent, Project};

/// Does a task by one commit that adds a file of the task's name.
pub const WORK: &str = r#"echo "$OCTOPOID_TASK_ID" > "work-$OCTOPOID_TASK_ID"; commit "do $OCTOPOID_TASK_ID""#;

/// Asserts that the user's checkout is at `main`'s tip and holds no change.
fn is_at_main(project: &Project) {
    assert_eq!(project.git(&["status", "--porcelain", "--untracked-files=no"]), "");
    assert_eq!(project.git(&["rev-parse", "HEAD"]), project.git(&["rev-parse", "main"]));
}

#[tokio::test]
async fn a_task_is_implemented_reviewed_and_merged_and_nothing_else_is_left() {
    let mut project = Project::new();
    let script = format!("echo said; {WORK}; result '{{\"outcome\":\"done\",\"notes\":\"as asked\"}}'");
    project.agents(&[Agent::new("worker", "implement", &script), Agent::approver("judge")]);
    let id = project.enqueue("Add a feature", &["--role", "implement", "--priority", "P1"]);
    project.start().await;
    let task = project.until_merged(&id).await;

    let attempt = task.attempt.expect("an attempt was accepted");
    let tip = project.git(&["rev-parse", "main"]);
    assert_eq!(task.merged_commit.as_deref(), Some(tip.as_str()));
    let trailers = project.git(&["log", "-1", "--format=%(trailers:only)", "main"]);
    for trailer in [format!("Octopoid-Task: {id}"), format!("Octopoid-Attempt: {attempt}")] {
        assert!(trailers.lines().any(|line| line == trailer), "{trailers}");
    }
    assert_eq!(project.git(&["rev-list", "--parents", "-1", "main"]).split(' ').count(), 3, "a merge has two parents");
    let branch = format!("octopoid/{id}/{attempt}");
    assert_eq!(project.git(&["rev-parse", "main^2"]), project.git(&["rev-parse", &branch]), "the branch is kept");
    assert_eq!(project.git(&["log", "-1", "--format=%an <%ae>", &branch]), "worker (octopoid) <worker@octopoid.invalid>");
    project
        .until(
            "no worktree is left",
            async || if project.worktrees().is_empty() { Ok(()) } else { Err(format!("{:?}", project.worktrees())) },
        )
        .await;
    assert_eq!(project.read(format!("work-{id}")).trim(), id, "the user's files are those of main");
    is_at_main(&project);

    let history = project.client().history(&id).await.expect("history").history;
    let events: Vec<&str> = history.iter().map(|event| event.event.as_str()).collect();
    let expected = ["created", "claimed", "submitted", "review_claimed", "accepted"];
    let mut left = events.iter();
    assert!(expected.iter().all(|event| left.any(|told| told == event)), "{events:?}");
    assert!(project.run(&["diff", &id]).ok().contains(&format!("+{id}")));
    assert_eq!(project.run(&["logs", &id, "--attempt", &attempt]).ok(), "said");
    project.stop(&[]).await;
}

#[tokio::test]
async fn a_changed_file_in_the_users_tree_keeps_the_merge_waiting_until_it_is_out_of_the_way() {
    let mut project = Project::new();
    project.agents(&[Agent::new("worker", "implement", &format!("echo more >> README; {WORK}")), Agent::approver("judge")]);
    project.write("README", "being edited\n");
    let id = project.enqueue("Extend the text", &[]);
    project.start().await;
    let task =
        project.until_task(&id, "awaiting its merge", |task| task.awaiting_merge.as_ref().is_some_and(|why| why.contains("README"))).await;
    assert_eq!(task.queue, "done");
    assert_eq!(task.merged_commit, None);
    assert_eq!(project.read("README"), "being edited\n", "the user's change is untouched");
    assert!(project.run(&["status"]).ok().contains(&format!("octopoid merge {id}")));
    assert!(project.run(&["merge", &id]).refused(4).contains("README"));

    project.git(&["checkout", "--", "README"]);
    assert!(project.run(&["merge", &id]).ok().contains("merged as"));
    assert_eq!(project.merged(), std::slice::from_ref(&id));
    is_at_main(&project);
    assert!(project.run(&["merge", &id]).ok().contains("merged as"), "what is merged stays merged, once");
    assert_eq!(project.merged(), std::slice::from_ref(&id));
}

#[tokio::test]
async fn an_untracked_file_in_the_way_keeps_the_merge_waiting_and_is_not_overwritten() {
    let mut project = Project::new();
    project.agents(&[Agent::new("worker", "implement", "echo new > notes; commit notes"), Agent::approver("judge")]);
    project.write("notes", "mine\n");
    let id = project.enqueue("Write notes", &[]);
    project.start().await;
    let why = |task: &octopoid_client::Task| task.awaiting_merge.as_ref().is_some_and(|why| why.contains("notes"));
    project.until_task(&id, "awaiting its merge", why).await;
    assert_eq!(project.read("notes"), "mine\n");
    std::fs::rename(project.repo().join("notes"), project.repo().join("kept")).expect("moved away");
    let _ = project.run(&["merge", &id]).ok();
    assert_eq!((project.read("notes").as_str(), project.read("kept").as_str()), ("new\n", "mine\n"));
}

#[tokio::test]
async fn what_a_person_accepts_is_merged_without_a_reviewer() {
    let mut project = Project::new();
    project.agents(&[Agent::new("worker", "implement", WORK)]);
    let id = project.enqueue("Add a feature", &[]);
    project.start().await;
    project.until_in(&id, "provisional").await;
    let status = project.run(&["status"]);
    assert!(status.ok().contains(&format!("1 waits for your review: octopoid accept {id}")), "{status:?}");
    let _ = project.run(&["accept", &id]).ok();
    project.until_merged(&id).await;
    assert_eq!(project.merged(), [id]);
}
