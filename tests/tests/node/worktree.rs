//! What an agent finds in its worktree.

use octopoid_tests::{Agent, Project, lives, pids_in};

use super::whole_job::WORK;

#[tokio::test]
async fn files_are_copied_and_the_setup_command_runs_before_the_agent() {
    let mut project = Project::new();
    project.write(".gitignore", ".env\nprepared\n");
    project.commit("ignore");
    project.write(".env", "KEY=value\n");
    let config = project.read(".octopoid/config.yaml");
    project.write(".octopoid/config.yaml", &format!("{config}\nworktree:\n  copy: [.env]\n  setup: 'cat .env > prepared'\n"));
    let script =
        format!(r#"pwd > "$TABLE/pwd"; cp prepared "$TABLE/prepared"; git status --porcelain --ignored > "$TABLE/status"; {WORK}"#);
    project.agents(&[Agent::new("worker", "implement", &script), Agent::approver("judge")]);
    let id = project.enqueue("Add a feature", &[]);
    project.start().await;
    let task = project.until_merged(&id).await;
    assert_eq!(project.noted("prepared"), "KEY=value\n");
    let worktree = project.dir().join("worktrees").join(format!("{id}-{}", task.attempt.expect("attempt")));
    let found = std::path::PathBuf::from(project.noted("pwd").trim());
    assert_eq!(found.file_name(), worktree.file_name());
    assert!(!project.git(&["ls-tree", "-r", "--name-only", "main"]).contains(".env"), "what was copied is not committed");
}

#[tokio::test]
async fn a_failing_setup_command_is_the_attempts_reason_and_leaves_no_worktree() {
    let mut project = Project::new();
    let config = project.read(".octopoid/config.yaml");
    project.write(".octopoid/config.yaml", &format!("{config}\nworktree:\n  setup: 'echo no such thing >&2; exit 7'\n"));
    project.agents(&[Agent::new("worker", "implement", WORK)]);
    let id = project.enqueue("Add a feature", &[]);
    project.start().await;
    project.until_task(&id, "tried once", |task| task.attempt_count == 1).await;
    let attempts = project.client().attempts(&id).await.expect("attempts").attempts;
    let reason = attempts[0].reason.clone().unwrap_or_default();
    assert!(reason.contains("setup command") && reason.contains("exit status 7: no such thing"), "{reason}");
    assert_eq!(project.read(project.attempt_dir(&id, &attempts[0].attempt).join("setup/stderr.log")), "no such thing\n");
    assert_eq!(project.worktrees(), Vec::<String>::new());
}

/// Makes a project whose setup command never ends: one process heeds no SIGTERM, one has left the group.
fn setting_up_for_ever() -> Project {
    let project = Project::new();
    let setup = r#"trap '' TERM; echo part > part; echo $$ >> "$TABLE/pids"
        setsid sh -c 'echo $$ >> "$TABLE/pids"; exec sleep 600' &
        while :; do sleep 1; done"#;
    let config = project.read(".octopoid/config.yaml");
    project.write(".octopoid/config.yaml", &format!("{config}\nworktree:\n  setup: [sh, setup.sh]\nleases:\n  ttl_seconds: 1\n"));
    project.write("setup.sh", &format!(r#"if [ -e "$TABLE/again" ]; then exit 0; fi; {setup}"#));
    project.commit("a setup command");
    project.agents(&[Agent::new("worker", "implement", WORK)]);
    project
}

#[tokio::test]
async fn stop_ends_a_setup_command_with_all_that_it_started_and_gives_the_claim_back() {
    let mut project = setting_up_for_ever();
    let id = project.enqueue("Add a feature", &[]);
    project.start().await;
    project.until_noted("pids", 2).await;
    let pids = pids_in(&project.table().join("pids"));
    assert!(pids.iter().all(|pid| lives(*pid)), "{pids:?}");
    // The lease is renewed all the time: three of them pass.
    let since = std::time::Instant::now();
    project.until("leases pass", async || if since.elapsed().as_secs() >= 3 { Ok(()) } else { Err(String::new()) }).await;
    assert_eq!(project.task(&id).await.queue, "claimed", "setting up is work, too");
    let since = std::time::Instant::now();
    project.stop(&[]).await;
    assert!(since.elapsed().as_secs() < 30, "it took {:?}", since.elapsed());
    assert!(pids.iter().all(|pid| !lives(*pid)), "{pids:?}");
    assert_eq!(project.worktrees(), Vec::<String>::new());
    let task = project.run(&["show", &id, "--json"]).json();
    assert_eq!((&task["queue"], &task["attempt_count"]), (&"incoming".into(), &0.into()), "{task}");
    project.put("again");
    project.start().await;
    project.until_in(&id, "provisional").await;
}

#[tokio::test]
async fn a_cancelled_task_ends_its_setup_command() {
    let mut project = setting_up_for_ever();
    let id = project.enqueue("Add a feature", &[]);
    project.start().await;
    project.until_noted("pids", 2).await;
    let pids = pids_in(&project.table().join("pids"));
    let _ = project.run(&["cancel", &id]).ok();
    let gone = async || {
        let left: Vec<&i32> = pids.iter().filter(|pid| lives(**pid)).collect();
        if left.is_empty() && project.worktrees().is_empty() { Ok(()) } else { Err(format!("{left:?} {:?}", project.worktrees())) }
    };
    project.until("the setup command is ended", gone).await;
    let task = project.task(&id).await;
    assert_eq!((task.queue.as_str(), task.attempt_count), ("cancelled", 0));
}

#[tokio::test]
async fn a_setup_command_that_a_crash_left_is_ended_by_the_next_start() {
    let mut project = setting_up_for_ever();
    let id = project.enqueue("Add a feature", &[]);
    project.start().await;
    project.until_noted("pids", 2).await;
    let pids = pids_in(&project.table().join("pids"));
    project.take_node().kill9();
    assert!(pids.iter().all(|pid| lives(*pid)), "{pids:?}");
    project.put("again");
    project.start().await;
    let task = project.until_in(&id, "provisional").await;
    assert!(pids.iter().all(|pid| !lives(*pid)), "{pids:?}");
    assert_eq!((task.epoch, task.attempt_count), (2, 0));
}

#[tokio::test]
async fn a_setup_command_gets_the_environment_of_an_agent_and_no_more() {
    let mut project = Project::new();
    project.set_env("SECRET_OF_THE_USER", "1");
    let config = project.read(".octopoid/config.yaml");
    project.write(".octopoid/config.yaml", &format!("{config}\nworktree:\n  setup: 'env > \"$TABLE/env\"'\n"));
    project.agents(&[Agent::new("worker", "implement", WORK)]);
    let id = project.enqueue("Add a feature", &[]);
    project.start().await;
    project.until_in(&id, "provisional").await;
    let environment = project.noted("env");
    assert!(environment.contains(&format!("OCTOPOID_TASK_ID={id}\n")) && environment.contains("PATH="), "{environment}");
    assert!(!environment.contains("SECRET_OF_THE_USER"), "{environment}");
}

#[tokio::test]
async fn an_edited_prompt_is_what_the_agent_reads() {
    let mut project = Project::new();
    project.write(".octopoid/prompts/implement.md", "Do {{ task.title }} on {{ attempt.branch }}.\n");
    let script = format!(r#"cat > "$TABLE/prompt" < "$OCTOPOID_PROMPT_FILE"; {WORK}"#);
    project.agents(&[Agent::new("worker", "implement", &script)]);
    let id = project.enqueue("the thing", &[]);
    project.start().await;
    let task = project.until_in(&id, "provisional").await;
    assert_eq!(project.noted("prompt").trim(), format!("Do the thing on octopoid/{id}/{}.", task.attempt.expect("attempt")));
}

#[tokio::test]
async fn placeholders_are_filled_in_and_other_braces_stay() {
    let mut project = Project::new();
    let script = r#"printf '%s\n' "$@" > "$TABLE/arguments"; echo x > x"#;
    let agent = Agent::new("worker", "implement", script);
    project.agents(&[agent]);
    let yaml = project.read(".octopoid/agents.yaml");
    let command =
        yaml.lines().find_map(|line| line.trim().strip_prefix("command: [")).and_then(|rest| rest.strip_suffix(']')).expect("command");
    let wider = format!("{command}, '{{prompt_file}}', '--turns={{max_turns}}', '{{worktree}}', '{{other}}', '$HOME'");
    project.write(
        ".octopoid/agents.yaml",
        &yaml.replace(command, &wider).replace("interval_seconds: 0", "interval_seconds: 0\n    max_turns: 7"),
    );
    let id = project.enqueue("Add a feature", &[]);
    project.start().await;
    let task = project.until_in(&id, "provisional").await;
    let attempt = task.attempt.expect("attempt");
    let folder = project.attempt_dir(&id, &attempt);
    let expected = [
        folder.join("prompt.md").display().to_string(),
        "--turns=7".to_owned(),
        project.dir().join("worktrees").join(format!("{id}-{attempt}")).display().to_string(),
        "{other}".to_owned(),
        "$HOME".to_owned(),
    ];
    assert_eq!(project.noted("arguments").lines().collect::<Vec<_>>(), expected);
}
