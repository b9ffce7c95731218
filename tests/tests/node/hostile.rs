//! Agents that do what they should not.

use octopoid_tests::{Agent, Project};

use super::whole_job::WORK;

/// Asserts that a submission is held for a person, and that nothing of what was planted runs when a person accepts it.
async fn is_held(plant: &str, named: &str) {
    let mut project = Project::new();
    let script = format!(
        r#"{WORK}
        mkdir -p "$TABLE/hooks"
        for hook in pre-commit post-commit post-checkout post-merge pre-push reference-transaction; do
          printf '#!/bin/sh\ntouch "%s/ran"\n' "$TABLE" > "$TABLE/hooks/$hook"; chmod +x "$TABLE/hooks/$hook"
        done
        {plant}
        echo late > late"#
    );
    project.agents(&[Agent::new("worker", "implement", &script), Agent::approver("judge")]);
    let id = project.enqueue("Add a feature", &[]);
    project.start().await;
    let task = project.until_task(&id, "held", |task| task.needs_intervention).await;
    assert_eq!(task.queue, "provisional");
    let notes = task.execution_notes.unwrap_or_default();
    assert!(notes.contains("Held for a person") && notes.contains(named), "{notes}");

    // The reviewer takes other work, and leaves this to a person.
    let _ = project.run(&["accept", &id]).ok();
    project.until_merged(&id).await;
    assert_eq!(project.task(&id).await.review_round, 0);
    assert_eq!(project.read("late"), "late\n", "what was not committed was committed by the supervisor");
    assert!(!project.table().join("ran").exists(), "a planted hook ran");
}

#[tokio::test]
async fn a_planted_hook_holds_the_submission_and_never_runs() {
    is_held(r#"cp "$TABLE"/hooks/* "$(git rev-parse --git-common-dir)/hooks/""#, "post-commit").await;
}

#[tokio::test]
async fn a_changed_hooks_path_holds_the_submission_and_never_runs() {
    is_held(r#"git config core.hooksPath "$TABLE/hooks""#, "core.hookspath").await;
}

#[tokio::test]
async fn an_agent_that_moves_main_itself_is_noticed_and_its_work_is_held_for_a_person() {
    let mut project = Project::new();
    let script = format!(r#"{WORK}; note started x; await go; git update-ref refs/heads/main HEAD; echo late > late"#);
    project.agents(&[Agent::new("worker", "implement", &script), Agent::approver("judge")]);
    let id = project.enqueue("Add a feature", &[]);
    project.start().await;
    project.until_noted("started", 1).await;
    // What the user did meanwhile is not the agent's, and is lost from the branch by what it does.
    project.git(&["commit", "-q", "--allow-empty", "-m", "the user's"]);
    let before = project.git(&["rev-parse", "main"]);
    project.put("go");
    let task = project.until_task(&id, "held", |task| task.needs_intervention).await;
    assert_eq!((task.queue.as_str(), task.commits_count), ("provisional", 2), "what is on main already is its work all the same");
    let notes = task.execution_notes.unwrap_or_default();
    let back = format!("git update-ref refs/heads/main {before}");
    assert!(notes.contains("Held for a person") && notes.contains("it moved branch 'main' from") && notes.contains(&back), "{notes}");
    let history = project.client().history(&id).await.expect("history").history;
    assert!(
        history.iter().any(|event| event.details.as_ref().is_some_and(|details| details.contains("moved branch 'main'"))),
        "{history:#?}"
    );
    let kept = format!("refs/octopoid/moved/{id}/{}/heads/main", task.attempt.expect("attempt"));
    assert_eq!(project.git(&["rev-parse", &kept]), before);
    assert_ne!(project.git(&["rev-parse", "main"]), before, "nothing is moved back behind the user's back");

    project.git(&["update-ref", "refs/heads/main", &before]);
    assert_eq!(project.git(&["status", "--porcelain", "--", ".", ":!.octopoid"]), "", "the user's files were never touched");
    let _ = project.run(&["accept", &id]).ok();
    project.until_merged(&id).await;
    assert_eq!((project.merged(), project.read("late").as_str()), (vec![id], "late\n"));
}

#[tokio::test]
async fn an_agent_that_pushes_to_main_is_noticed_too_and_one_that_fetches_is_not() {
    let mut project = Project::new();
    let bare = project.table().join("origin.git");
    let bare = bare.to_str().expect("UTF-8");
    project.git(&["init", "-q", "--bare", "-b", "main", bare]);
    project.git(&["remote", "add", "origin", bare]);
    project.git(&["push", "-q", "origin", "main", "main:refs/heads/theirs"]);
    // By its path no remote is pushed to, as somebody else's push would not be.
    let script = format!(
        r#"{WORK}
        case "$OCTOPOID_TASK_ID" in
          push*) git push -q origin HEAD:main;;
          *) git push -q "$TABLE/origin.git" +HEAD:theirs; git fetch -q origin;;
        esac"#
    );
    project.agents(&[Agent::new("worker", "implement", &script)]);
    let ids = [project.enqueue("Push", &[]), project.enqueue("Fetch", &[])];
    project.start().await;
    let pushed = project.until_in(&ids[0], "provisional").await;
    let notes = pushed.execution_notes.unwrap_or_default();
    assert!(pushed.needs_intervention && notes.contains("it pushed to 'origin/main'"), "{notes}");
    let fetched = project.until_in(&ids[1], "provisional").await;
    assert!(
        !fetched.needs_intervention && !fetched.execution_notes.unwrap_or_default().contains("branch"),
        "a fetch moves nothing of the user's"
    );
}

#[tokio::test]
async fn an_agent_that_moves_another_branch_is_told_of_and_what_it_held_is_kept() {
    let mut project = Project::new();
    for branch in ["theirs", "shared", "own", "gone"] {
        project.git(&["branch", branch]);
    }
    // Meanwhile the user works on a branch, too, which is nobody's business.
    let script = format!(
        r#"{WORK}; note started x; await go; 
        git branch -q -f theirs HEAD; git branch -q -f shared HEAD; git branch -q -D gone; note moved x; await on"#
    );
    project.agents(&[Agent::new("worker", "implement", &script), Agent::approver("judge")]);
    let before = project.git(&["rev-parse", "main"]);
    let id = project.enqueue("Add a feature", &[]);
    project.start().await;
    project.until_noted("started", 1).await;
    project.git(&["commit", "-q", "--allow-empty", "-m", "the user's"]);
    project.git(&["branch", "-q", "-f", "own", "main"]);
    project.put("go");
    project.until_noted("moved", 1).await;
    project.git(&["branch", "-q", "-f", "shared", "main"]);
    project.put("on");
    let task = project.until_merged(&id).await;
    assert!(!task.needs_intervention, "{task:#?}");
    let notes = task.execution_notes.unwrap_or_default();
    assert!(notes.contains("moved branch 'theirs'") && notes.contains("branch 'gone' is gone"), "{notes}");
    assert!(notes.contains("moved branch 'shared' from") && notes.contains("others moved it on to"), "{notes}");
    assert!(!notes.contains("git update-ref refs/heads/shared") && notes.contains("git update-ref refs/heads/theirs"), "{notes}");
    assert!(!notes.contains("'own'") && !notes.contains("'main'"), "{notes}");
    for branch in ["theirs", "gone"] {
        let kept = format!("refs/octopoid/moved/{id}/{}/heads/{branch}", task.attempt.as_deref().expect("attempt"));
        assert_eq!(project.git(&["rev-parse", &kept]), before);
    }
    assert!(project.log().contains("moved branch 'theirs'"));
}

#[tokio::test]
async fn an_agents_environment_holds_what_it_may_and_no_secret_of_the_node() {
    let mut project = Project::new();
    for (name, value) in
        [("A_SECRET", "s3cret"), ("CLAUDECODE", "1"), ("OCTOPOID_LOG", "info"), ("ANTHROPIC_API_KEY", "passed"), ("MY_VALUE", "passed")]
    {
        project.set_env(name, value);
    }
    let script = format!(r#"env > "$TABLE/env"; {WORK}"#);
    project.agents(&[Agent::new("worker", "implement", &script).with("env_pass: [MY_*]"), Agent::approver("judge")]);
    let id = project.enqueue("Add a feature", &["--role", "implement"]);
    project.start().await;
    let task = project.until_merged(&id).await;
    let env = project.noted("env");
    let has = |line: &str| env.lines().any(|found| found == line);
    for line in [
        format!("OCTOPOID_TASK_ID={id}"),
        format!("OCTOPOID_ATTEMPT={}", task.attempt.expect("attempt")),
        "OCTOPOID_ROLE=implement".to_owned(),
        "OCTOPOID_EPOCH=1".to_owned(),
        "AGENT_NAME=worker".to_owned(),
        "ANTHROPIC_API_KEY=passed".to_owned(),
        "MY_VALUE=passed".to_owned(),
    ] {
        assert!(has(&line), "no {line} in\n{env}");
    }
    for file in ["api.token", "node.key"] {
        let secret = project.read(project.dir().join("runtime").join(file));
        assert!(secret.trim().len() > 32 && !env.contains(secret.trim()), "{file} is in\n{env}");
    }
    for name in ["A_SECRET", "CLAUDECODE", "OCTOPOID_LOG", "OCTOPOID_DIR"] {
        assert!(!env.lines().any(|line| line.starts_with(&format!("{name}="))), "{name} is in\n{env}");
    }
}

#[tokio::test]
async fn a_flood_of_output_is_capped() {
    let mut project = Project::new();
    let config = project.read(".octopoid/config.yaml");
    project.write(".octopoid/config.yaml", &format!("{config}\nlogs:\n  max_mib: 1\n"));
    let script = format!("head -c 8000000 /dev/zero | tr '\\0' 'x'; {WORK}");
    project.agents(&[Agent::new("worker", "implement", &script)]);
    let id = project.enqueue("Talk much", &[]);
    project.start().await;
    let task = project.until_in(&id, "provisional").await;
    let log = project.attempt_dir(&id, &task.attempt.expect("attempt")).join("stdout.log");
    let length = std::fs::metadata(&log).expect("log").len();
    assert!((500_000..1_200_000).contains(&length), "{length} bytes");
}

#[tokio::test]
async fn an_agent_cannot_pass_for_a_merge() {
    let mut project = Project::new();
    let script = r#"echo x > x; git add x; git commit -q -m "done" -m "Octopoid-Task: $OCTOPOID_TASK_ID""#;
    project.agents(&[Agent::new("worker", "implement", script), Agent::approver("judge")]);
    let id = project.enqueue("Pass for a merge", &[]);
    project.start().await;
    project.until_task(&id, "failed once", |task| task.attempt_count == 1).await;
    let history = project.client().history(&id).await.expect("history").history;
    assert!(history.iter().any(|event| event.details.as_deref().is_some_and(|why| why.contains("Octopoid-Task"))), "{history:#?}");
    assert_eq!(project.merged(), Vec::<String>::new());
}

#[tokio::test]
async fn what_a_reviewer_plants_is_shown_to_a_person_too() {
    let mut project = Project::new();
    let judge = r#"git config core.sshCommand "touch $TABLE/ran"; result '{"outcome":"accept","reason":"trust me"}'"#;
    project.agents(&[Agent::new("worker", "implement", WORK), Agent::new("judge", "review", judge)]);
    let id = project.enqueue("Add a feature", &[]);
    project.start().await;
    let task = project.until_task(&id, "shown", |task| task.needs_intervention).await;
    assert!(task.execution_notes.is_some_and(|notes| notes.contains("core.sshcommand")));
    assert!(project.run(&["status"]).ok().contains(&format!("octopoid show {id}")));
}
