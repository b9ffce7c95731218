//! Accepted work that meets other work.

use octopoid_client::{ClaimRequest, SubmitRequest, TaskPatch};
use octopoid_tests::{Agent, Project};

use super::whole_job::WORK;

#[tokio::test]
async fn of_two_tasks_on_one_line_the_second_goes_back_and_is_rebased_not_redone() {
    let mut project = Project::new();
    let worker = r#"if grep -q 'does not merge' "$OCTOPOID_PROMPT_FILE"; then
          git log --format=%s main..HEAD > "$TABLE/kept"
          git merge -q main || { printf 'both\n' > README; git add README; git commit -q --no-edit; }
        else
          note started "$OCTOPOID_TASK_ID"; await go
          echo "$OCTOPOID_TASK_ID" > README; commit "by $OCTOPOID_TASK_ID"
        fi"#;
    project.agents(&[Agent::new("worker", "implement", worker).with("max_instances: 2"), Agent::approver("judge")]);
    let ids = [project.enqueue("One", &[]), project.enqueue("Two", &[])];
    project.start().await;
    project.until_noted("started", 2).await;
    project.put("go");
    for id in &ids {
        project.until_merged(id).await;
    }
    let merged = project.merged();
    assert_eq!(merged.len(), 2, "one merge for each: {merged:?}");
    let late = merged.last().expect("the second");
    assert!(ids.contains(late));
    assert_eq!(project.read("README"), "both\n");
    assert_eq!(project.noted("kept").trim(), format!("by {late}"), "it started from its own branch");
    let history = project.client().history(late).await.expect("history").history;
    assert!(history.iter().any(|event| event.details.as_ref().is_some_and(|text| text.contains("merge_conflict"))), "{history:#?}");
    let attempts = project.client().attempts(late).await.expect("attempts").attempts;
    assert_eq!(attempts.len(), 2, "{attempts:#?}");
    let task = project.task(late).await;
    assert!(!task.needs_intervention);
}

#[tokio::test]
async fn wait_returns_when_accepted_work_is_merged_or_says_that_a_person_must_help() {
    let mut project = Project::new();
    project.agents(&[Agent::new("worker", "implement", &format!("echo more >> README; {WORK}"))]);
    let ids = [project.enqueue("One", &[]), project.enqueue("Two", &[])];
    project.start().await;
    for id in &ids {
        let _ = project.run(&["wait", id, "--queue", "provisional", "--timeout", "60"]).ok();
    }
    // The node merges, and cannot yet.
    let held = std::fs::File::create(project.repo().join(".git/octopoid-merge.lock")).expect("the lock's file");
    held.lock().expect("locked");
    let _ = project.run(&["accept", &ids[0]]).ok();
    assert!(project.run(&["wait", &ids[0], "--timeout", "1"]).refused(1).contains("not merged after 1 s"));
    let mut waiting = project.command();
    let waiting = waiting.args(["wait", &ids[0], "--timeout", "60"]).stdout(std::process::Stdio::piped()).spawn().expect("octopoid runs");
    drop(held);
    assert!(waiting.wait_with_output().expect("ended").status.success());
    assert_eq!(project.merged(), [ids[0].clone()], "it is on main when wait returns");

    project.write("README", "being edited\n");
    let _ = project.run(&["accept", &ids[1]]).ok();
    let said = project.run(&["wait", &ids[1], "--timeout", "60"]);
    assert!(said.refused(1).contains("its merge waits for you") && said.stderr.contains(&format!("octopoid merge {}", ids[1])), "{said:?}");
}

#[tokio::test]
async fn with_merge_never_accepted_work_waits_for_a_person() {
    let mut project = Project::new();
    project.configure("merge: auto", "merge: never");
    project.agents(&[Agent::new("worker", "implement", WORK), Agent::approver("judge")]);
    let id = project.enqueue("Add a feature", &[]);
    project.start().await;
    let why = |task: &octopoid_client::Task| task.awaiting_merge.as_ref().is_some_and(|why| why.contains("repo.merge is never"));
    project.until_task(&id, "waiting", why).await;
    assert_eq!(project.merged(), Vec::<String>::new());
    assert!(project.run(&["wait", &id]).stderr.contains("not merged yet: repo.merge is never"), "there is nothing more to wait for");
    let _ = project.run(&["merge", &id]).ok();
    assert_eq!(project.merged(), [id]);
}

#[tokio::test]
async fn accepted_work_is_merged_by_the_next_start_also_without_agents() {
    let mut project = Project::new();
    project.agents(&[Agent::new("worker", "implement", &format!("echo more >> README; {WORK}")), Agent::approver("judge")]);
    project.write("README", "being edited\n");
    let id = project.enqueue("Extend the text", &[]);
    project.start().await;
    project.until_in(&id, "done").await;
    project.take_node().kill9();
    project.git(&["checkout", "--", "README"]);
    let other = project.enqueue("Wait", &[]);
    project.start_with(&["--no-agents", "--tick-interval", "50"]).await;
    project.until_merged(&id).await;
    assert_eq!(project.merged(), [id]);
    assert_eq!(project.task(&other).await.epoch, 0, "--no-agents claims nothing");
}

#[tokio::test]
async fn work_is_pushed_to_a_remote_that_has_moved_on() {
    let mut project = Project::new();
    let bare = project.table().join("origin.git");
    let bare = bare.to_str().expect("UTF-8");
    project.git(&["init", "-q", "--bare", "-b", "main", bare]);
    project.git(&["remote", "add", "origin", bare]);
    project.git(&["push", "-q", "origin", "main"]);
    // Somebody else's commit, which this repository does not have.
    let clone = project.table().join("clone");
    let clone = clone.to_str().expect("UTF-8");
    project.git(&["clone", "-q", bare, clone]);
    std::fs::write(project.table().join("clone/theirs"), "theirs\n").expect("written");
    project.git(&["-C", clone, "add", "theirs"]);
    project.git(&["-C", clone, "commit", "-q", "-m", "theirs"]);
    project.git(&["-C", clone, "push", "-q", "origin", "main"]);

    project.agents(&[Agent::new("worker", "implement", WORK), Agent::approver("judge")]);
    let id = project.enqueue("Add a feature", &[]);
    project.start().await;
    let task = project.until_merged(&id).await;
    let tip = project.git(&["-C", bare, "rev-parse", "main"]);
    assert_eq!(task.merged_commit, Some(tip));
    assert_eq!(project.read("theirs"), "theirs\n", "the local branch followed");
    assert_eq!(project.merged(), [id]);
}

#[tokio::test]
async fn a_reopened_task_is_merged_a_second_time() {
    let mut project = Project::new();
    project.agents(&[Agent::new("worker", "implement", r#"echo more >> grows; commit more"#), Agent::approver("judge")]);
    let id = project.enqueue("Let it grow", &[]);
    project.start().await;
    let first = project.until_merged(&id).await;
    assert!(project.run(&["requeue", &id]).refused(4).contains("--reopen"));
    let _ = project.run(&["requeue", &id, "--reopen", "--reason", "more is wanted"]).ok();
    let again =
        |task: &octopoid_client::Task| task.queue == "done" && task.merged_commit.is_some() && task.merged_commit != first.merged_commit;
    project.until_task(&id, "merged again", again).await;
    assert_eq!(project.merged(), [id.clone(), id]);
    assert_eq!(project.read("grows"), "more\nmore\n");
}

#[tokio::test]
async fn what_an_agent_merged_in_is_not_shown_as_its_work() {
    let mut project = Project::new();
    let script = r#"note started x; await go; git merge -q --no-edit main; echo own > own; commit "own work""#;
    project.agents(&[Agent::new("worker", "implement", script)]);
    let id = project.enqueue("Merges main", &[]);
    project.start().await;
    project.until_noted("started", 1).await;
    project.write("somebody-elses", "work\n");
    project.commit("somebody else's work");
    project.put("go");
    let task = project.until_in(&id, "provisional").await;
    let stat = project.run(&["diff", &id, "--stat"]);
    assert!(stat.ok().contains("own") && !stat.stdout.contains("somebody-elses"), "{stat:?}");
    assert_eq!(task.commits_count, 1, "a merge that only fast-forwards is no commit");
}

#[tokio::test]
async fn work_that_says_it_is_a_merge_of_ours_fails_where_its_agent_can_still_mend_it() {
    let mut project = Project::new();
    project.agents(&[Agent::new(
        "worker",
        "implement",
        r#"echo x > x; commit "work

Octopoid-Task: $OCTOPOID_TASK_ID""#,
    )]);
    let id = project.enqueue("Forges a trailer", &[]);
    project.start().await;
    project.until_task(&id, "has failed once", |task| task.attempt_count == 1).await;
    let history = project.client().history(&id).await.expect("history").history;
    assert!(history.iter().any(|event| event.details.as_deref().is_some_and(|why| why.contains("Octopoid-Task trailer"))), "{history:#?}");
}

#[tokio::test]
async fn a_person_who_decides_about_a_task_is_not_asked_for_any_more() {
    let mut project = Project::new();
    project.agents(&[]);
    project.start().await;
    for (verdict, queue) in [(&["accept"][..], "done"), (&["reject", "--reason", "no"], "incoming"), (&["requeue"], "incoming")] {
        let id = project.enqueue(&format!("To {}", verdict[0]), &[]);
        let claim = ClaimRequest { orchestrator_id: "o".to_owned(), agent_name: "a".to_owned(), ..ClaimRequest::default() };
        let task = project.client().claim(&claim).await.expect("a claim").expect("a task");
        let submit = SubmitRequest { turns_used: 1, ..SubmitRequest::default() };
        let _ = project.client().submit(&task.id, &submit).await.expect("submitted");
        let flag = TaskPatch { needs_intervention: Some(true), ..TaskPatch::default() };
        let flagged = project.client().patch_task(&task.id, &flag).await.expect("flagged");
        assert!(flagged.needs_intervention);
        let args: Vec<&str> = [verdict[0], &task.id].into_iter().chain(verdict[1..].iter().copied()).collect();
        let _ = project.run(&args).ok();
        let task = project.task(&task.id).await;
        assert_eq!((task.queue.as_str(), task.needs_intervention), (queue, false), "{id} {verdict:?}");
        let _ = project.run(&["cancel", &task.id]);
    }
}

#[tokio::test]
async fn an_attempt_starts_from_the_base_branch_and_is_merged_to_the_main_one() {
    let mut project = Project::new();
    project.git(&["checkout", "-q", "-b", "next"]);
    project.write("groundwork", "laid\n");
    project.commit("the groundwork");
    project.git(&["checkout", "-q", "main"]);
    project.configure("  main_branch: main\n", "  main_branch: main\n  base: next\n");
    project.agents(&[Agent::new("worker", "implement", r#"cp groundwork work; commit "do it""#), Agent::approver("judge")]);
    let id = project.enqueue("Build on the groundwork", &["--role", "implement"]);
    let next = project.git(&["rev-parse", "next"]);
    project.start().await;
    let task = project.until_merged(&id).await;
    let attempts = project.client().attempts(&id).await.expect("attempts").attempts;
    assert_eq!(attempts[0].base.as_ref(), Some(&next));
    assert_eq!(project.git(&["rev-parse", "main"]), task.merged_commit.expect("merged"));
    assert_eq!((project.merged(), project.read("work").as_str()), (vec![id], "laid\n"));
    assert_eq!(project.git(&["rev-parse", "next"]), next, "the base stays where it is");
}
