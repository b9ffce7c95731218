//! What commands do themselves while no node runs.

use octopoid_tests::{Agent, Project};

/// Does the task by one commit.
const WORK: &str = r#"echo "$OCTOPOID_TASK_ID" > "work-$OCTOPOID_TASK_ID"; commit work"#;

#[tokio::test]
async fn a_pause_without_a_node_is_kept_for_the_next_one() {
    let mut project = Project::new();
    project.agents(&[Agent::new("worker", "implement", WORK), Agent::new("writer", "docs", WORK)]);
    assert_eq!(project.run(&["pause", "worker"]).ok(), "worker: paused");
    assert!(project.run(&["pause", "nobody"]).refused(1).contains("worker, writer"));
    let agents = project.run(&["agents", "--json"]).json();
    assert_eq!((&agents[0]["state"], &agents[1]["state"]), (&"paused".into(), &"idle".into()), "{agents}");
    assert_eq!(project.run(&["pause"]).ok(), "all agents: paused");
    assert!(project.run(&["status"]).ok().contains("paused: octopoid resume"));
    assert_eq!(project.run(&["resume"]).ok(), "all agents: resumed");
    let _ = project.run(&["pause", "worker"]).ok();

    let held = project.enqueue("Held", &["--priority", "P0"]);
    let done = project.enqueue("Done", &["--role", "docs"]);
    project.start_with(&["--tick-interval", "50"]).await;
    project.until_in(&done, "provisional").await;
    assert_eq!(project.task(&held).await.epoch, 0);
    project.stop(&[]).await;
    assert_eq!(project.run(&["resume", "worker", "--json"]).json()["paused"], false);
    project.start_with(&["--tick-interval", "50"]).await;
    project.until_in(&held, "provisional").await;
}

#[tokio::test]
async fn resume_lifts_every_pause_but_those_of_the_file_which_it_names() {
    let mut project = Project::new();
    project.agents(&[Agent::new("worker", "implement", WORK), Agent::new("writer", "docs", WORK).with("paused: true")]);
    for with_node in [false, true] {
        if with_node {
            project.start().await;
        }
        let _ = project.run(&["pause", "worker"]).ok();
        let _ = project.run(&["pause"]).ok();
        let all = project.run(&["resume"]);
        assert_eq!(all.ok(), "all agents: resumed, but for writer");
        assert!(all.stderr.contains(".octopoid/agents.yaml") && all.stderr.contains("paused: true"), "{all:?}");
        let agents = project.run(&["agents", "--json"]).json();
        assert_eq!((&agents[0]["state"], &agents[1]["state"]), (&"idle".into(), &"paused".into()), "{agents}");
        assert_eq!(project.run(&["resume", "writer"]).ok(), "writer: still paused");
        let answer = project.run(&["resume", "writer", "--json"]).json();
        assert_eq!((&answer["paused"], &answer["paused_in_file"][0]), (&true.into(), &"writer".into()), "{answer}");
    }
}

#[tokio::test]
async fn accepted_work_is_merged_by_hand_without_a_node() {
    let mut project = Project::new();
    project.configure("merge: auto", "merge: never");
    project.agents(&[Agent::new("worker", "implement", WORK)]);
    let id = project.enqueue("Add a feature", &[]);
    project.start().await;
    project.until_in(&id, "provisional").await;
    project.stop(&[]).await;
    assert!(project.run(&["merge", &id]).refused(4).contains("nothing to merge"));
    assert!(project.run(&["accept", &id]).stderr.contains("not merged yet"));
    assert!(project.run(&["show", &id]).ok().contains("repo.merge is never"));
    assert_eq!(project.merged(), Vec::<String>::new());
    assert!(project.run(&["status"]).ok().contains(&format!("octopoid merge {id}")));
    let merged = project.run(&["merge", &id]);
    let tip = project.git(&["rev-parse", "main"]);
    assert_eq!(merged.ok(), format!("{id}: merged as {}", &tip[..10]));
    assert_eq!(project.merged(), [id.as_str()]);
    assert_eq!(project.read(format!("work-{id}")).trim(), id, "the checkout followed");
    assert_eq!(project.run(&["merge", &id, "--json"]).json()["merged_commit"], tip.as_str(), "asked again, it is done");
}

#[tokio::test]
async fn gc_removes_a_worktree_that_stayed_and_says_so_first_with_and_without_a_node() {
    let mut project = Project::new();
    // A repository inside cannot be saved by a commit, so the worktree stays until somebody has moved it away.
    let worker = format!(r#"mkdir nested; git init -q nested; git -C nested commit -q --allow-empty -m inner; {WORK}"#);
    project.agents(&[Agent::new("worker", "implement", &worker)]);
    for with_node in [false, true] {
        let id = project.enqueue("Leave a repository", &[]);
        project.start().await;
        let idle = async || {
            let status = project.client().node_status().await.map_err(|error| error.to_string())?;
            if status.agents[0].instances.is_empty() && status.queues.get("provisional") == Some(&1) {
                Ok(())
            } else {
                Err(format!("{status:#?}"))
            }
        };
        project.until("the agent is over", idle).await;
        let left = project.worktrees();
        assert_eq!(left.len(), 1, "{left:?}");
        if !with_node {
            project.stop(&[]).await;
        }
        for dry in [&["gc", "--dry-run"][..], &["gc"]] {
            let told = project.run(dry);
            assert!(told.ok().contains("it stays") && told.stderr.contains("1 stays"), "{told:?}");
            assert_eq!(project.run(&[dry, &["--json"]].concat()).json()["items"][0]["kept"], true);
        }
        std::fs::rename(project.dir().join("worktrees").join(&left[0]).join("nested"), project.table().join(&id)).expect("moved away");
        let told = project.run(&["gc", "--dry-run"]);
        assert!(told.ok().contains(&left[0]) && told.stderr.contains("1 would be removed"), "{told:?}");
        assert_eq!(project.worktrees(), left, "a dry run removes nothing");
        let report = project.run(&["gc", "--json"]).json();
        assert_eq!((&report["items"][0]["kind"], report["items"].as_array().map(Vec::len)), (&"worktree".into(), Some(1)), "{report}");
        assert_eq!(report["items"][0]["kept"], false, "{report}");
        assert_eq!(project.worktrees(), Vec::<String>::new());
        assert!(project.run(&["gc"]).stderr.contains("nothing to remove"));
        let branch = project.git(&["branch", "--list", "--format=%(refname:short)", &format!("octopoid/{id}/*")]);
        assert!(!branch.is_empty(), "branches are kept");
        if with_node {
            project.stop(&[]).await;
        }
        let _ = project.run(&["delete", &id]).ok();
    }
}

#[tokio::test]
async fn gc_leaves_alone_what_a_dead_node_left_and_removes_old_logs_of_what_is_over() {
    let mut project = Project::new();
    project.agents(&[Agent::new(
        "worker",
        "implement",
        r#"case "$OCTOPOID_TASK_ID" in quick*) echo x > x; commit x;; *) note started x; await never;; esac"#,
    )]);
    let ids = ["quick-over", "quick-open"].map(|title| project.enqueue(title, &["--priority", "P0"]));
    project.start().await;
    for id in &ids {
        project.until_in(id, "provisional").await;
    }
    let slow = project.enqueue("slow", &[]);
    project.until_noted("started", 1).await;
    project.take_node().kill9();
    let attempts = ids.each_ref().map(|id| project.run(&["show", id, "--json"]).json()["attempt"].as_str().map(str::to_owned));
    let dirs: Vec<_> = ids.iter().zip(attempts).map(|(id, attempt)| project.attempt_dir(id, &attempt.expect("attempt"))).collect();
    let _ = project.run(&["cancel", &ids[0]]).ok();
    assert!(project.run(&["gc"]).stderr.contains("nothing to remove"), "nothing is old, and the dead node's agent may live");
    assert_eq!(project.worktrees().len(), 1, "{slow} may still be worked at");
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(31 * 24 * 3_600);
    for dir in &dirs {
        for entry in std::fs::read_dir(dir).expect("logs") {
            let file = std::fs::File::options().write(true).open(entry.expect("entry").path()).expect("a file");
            file.set_modified(long_ago).expect("set");
        }
    }
    let report = project.run(&["gc", "--json"]).json();
    assert_eq!(report["items"].as_array().map(Vec::len), Some(1), "{report}");
    assert_eq!(report["items"][0]["kind"], "log");
    assert!(!dirs[0].exists() && dirs[1].exists(), "a task that can go on keeps its logs");
}

#[tokio::test]
async fn stop_without_a_node_says_that_none_runs_and_the_store_is_free_again() {
    let mut project = Project::new();
    assert_eq!(project.run(&["stop"]).ok(), "no node runs");
    let _ = project.run(&["doctor", "--rebuild"]).ok();
    project.start().await;
}
