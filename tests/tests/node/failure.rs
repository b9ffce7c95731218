//! Agents that fail, and what the node makes of it.

use octopoid_client::AgentState;
use octopoid_crdt::document::Fields;
use octopoid_crdt::ids::SessionId;
use octopoid_crdt::record::{Queue, Signer};
use octopoid_node::ops::claim::{Claimant, Holds, claim};
use octopoid_node::ops::create::{NewTask, create};
use octopoid_node::ops::fail::fail;
use octopoid_node::store::{Identity, Store};
use octopoid_tests::{Agent, Project, lives, pids_in};

use super::whole_job::WORK;

#[tokio::test]
async fn a_failed_attempt_counts_and_waits_while_other_work_goes_on() {
    let mut project = Project::new();
    let script = format!(r#"case "$OCTOPOID_TASK_ID" in hopeless*) echo half > half; exit 3;; *) {WORK};; esac"#);
    project.agents(&[Agent::new("worker", "implement", &script), Agent::approver("judge")]);
    let hopeless = project.enqueue("Hopeless", &["--priority", "P0"]);
    project.start().await;
    let failed = project.until_task(&hopeless, "tried once", |task| task.attempt_count == 1).await;
    assert_eq!(failed.queue, "incoming");
    assert!(failed.retry_at.as_ref().is_some_and(|at| *at > failed.updated_at), "{failed:#?}");
    let shown = project.run(&["show", &hopeless]);
    assert!(shown.ok().lines().any(|line| line.contains("next try") && line.contains("in ")), "{shown:?}");
    assert!(shown.ok().contains("counts       failed once\n"), "{shown:?}");
    assert!(project.run(&["status"]).ok().contains(&format!("{hopeless} failed, the next attempt is in")));
    let attempts = project.client().attempts(&hopeless).await.expect("attempts").attempts;
    assert!(attempts[0].reason.as_ref().is_some_and(|reason| reason.contains("exited with code 3")), "{attempts:#?}");
    assert_eq!(attempts[0].state, "failed");
    let branch = attempts[0].branch.clone().expect("branch");
    assert_eq!(project.git(&["show", &format!("{branch}:half")]), "half", "what it left is kept");

    let other = project.enqueue("Other work", &["--priority", "P3"]);
    project.until_merged(&other).await;
    let still = project.task(&hopeless).await;
    assert_eq!((still.queue.as_str(), still.epoch), ("incoming", 1), "it waits before it is tried again");
    // A person need not wait.
    let _ = project.run(&["requeue", &hopeless]).ok();
    let task = project.until_task(&hopeless, "tried twice", |task| task.epoch == 2 && task.retry_at.is_none()).await;
    assert!(task.attempt_count >= 2, "the API counts both");
}

#[tokio::test]
async fn after_three_failed_attempts_a_person_is_asked_and_told_the_last_reason() {
    let dir = tempfile::tempdir().expect("scratch folder");
    let identity = Identity { signer: Signer::from_seed(&[7; 32]), session: SessionId([1; 16]), nonce: [1; 16], root_commit: None };
    let store = Store::open(&dir.path().join("store"), identity, true).expect("store");
    let fields = Fields::default().with("title", "t");
    let scope = "default".parse().expect("scope");
    let task = NewTask::new(store.actor(), scope, "t".parse().expect("id"), Queue::Incoming, "test".to_owned(), &fields).expect("task");
    let no = store.write(|unit| create(unit, task)).await.expect("store").expect("created").no;
    let claimant = || Claimant { agent: "worker".to_owned(), queue: "incoming".to_owned(), ttl_seconds: 300, ..Claimant::default() };
    let mut waits = Vec::new();
    for attempt in 1..=3 {
        let row = store
            .write(move |unit| {
                claim(unit, no, &claimant())?;
                fail(unit, no, &Holds::default(), &format!("broke for the {attempt}. time"))
            })
            .await
            .expect("store")
            .expect("failed")
            .row;
        assert_eq!(row.attempt_count, attempt);
        waits.extend(row.retry_ms.map(|until| (until - row.updated_ms).next_multiple_of(10_000) / 1_000));
        let given_up = attempt == 3;
        assert_eq!((row.queue.as_str(), row.flag("needs_intervention")), if given_up { ("failed", true) } else { ("incoming", false) });
    }
    assert_eq!(waits, [30, 60], "seconds, doubled by each failure");
    let reader = store.reader().expect("reader");
    let log = reader.log(no).expect("log");
    let last = log.arrivals.last().and_then(|arrival| reader.record(*arrival).expect("record")).expect("the last record");
    let said = format!("{:?}", last.payload().body);
    assert!(said.contains("3 attempts failed") && said.contains("broke for the 3. time"), "{said}");
}

#[tokio::test]
async fn a_missing_program_is_named_with_what_to_do() {
    let mut project = Project::new();
    project.agents(&[Agent::bare("worker", "implement").with("command: [no-such-agent, '{prompt_file}']")]);
    let validated = project.run(&["validate"]);
    assert_eq!(validated.code, Some(1));
    assert!(validated.stdout.contains("no-such-agent") && validated.stdout.contains("agents.yaml:"), "{validated:?}");
    let id = project.enqueue("Add a feature", &[]);
    project.start().await;
    project.until_task(&id, "tried once", |task| task.attempt_count == 1).await;
    let attempts = project.client().attempts(&id).await.expect("attempts").attempts;
    let reason = attempts[0].reason.clone().unwrap_or_default();
    assert!(reason.contains("no-such-agent") && reason.contains("agents.yaml"), "{reason}");
    assert_eq!(reason.matches("no-such-agent").count(), 1, "it is said once: {reason}");
    assert_eq!(project.worktrees(), Vec::<String>::new());
}

#[tokio::test]
async fn uncommitted_work_is_committed_by_the_supervisor_and_submitted() {
    let mut project = Project::new();
    project.agents(&[Agent::new("worker", "implement", "echo found > found; echo changed >> README"), Agent::approver("judge")]);
    let id = project.enqueue("Change things", &[]);
    project.start().await;
    let task = project.until_merged(&id).await;
    let branch = format!("octopoid/{id}/{}", task.attempt.expect("attempt"));
    let message = project.git(&["log", "-1", "--format=%B", &branch]);
    assert!(message.contains(&id) && message.contains("uncommitted"), "{message}");
    assert_eq!((project.read("found").as_str(), project.read("README").as_str()), ("found\n", "a repository\nchanged\n"));
}

#[tokio::test]
async fn an_agent_that_changed_nothing_is_not_believed_when_it_says_done() {
    let mut project = Project::new();
    project.agents(&[Agent::new("worker", "implement", r#"result '{"outcome":"done","notes":"all perfect"}'"#)]);
    let id = project.enqueue("Add a feature", &[]);
    project.start().await;
    let task = project.until_task(&id, "tried once", |task| task.attempt_count == 1).await;
    assert_eq!((task.queue.as_str(), task.submitted_at), ("incoming", None));
    let attempts = project.client().attempts(&id).await.expect("attempts").attempts;
    assert!(attempts[0].reason.as_ref().is_some_and(|reason| reason.contains("no new commit")), "{attempts:#?}");
}

#[tokio::test]
async fn an_agent_that_says_that_nothing_needs_to_change_is_reviewed_and_nothing_is_merged() {
    let mut project = Project::new();
    let script = r#"result '{"outcome":"no_change","reason":"it is there already"}'"#;
    project.agents(&[Agent::new("worker", "implement", script), Agent::approver("judge")]);
    let id = project.enqueue("Add what is there", &[]);
    project.start().await;
    let task = project.until_in(&id, "done").await;
    assert_eq!((task.merged_commit, task.awaiting_merge), (None, None));
    assert_eq!(project.merged(), Vec::<String>::new());
}

#[tokio::test]
async fn a_time_out_ends_everything_that_the_agent_started() {
    let mut project = Project::new();
    let script = r#"note pids $$
        sleep 600 & note pids $!
        setsid sleep 600 & sleep 0.1
        echo kept > kept
        wait"#;
    project.agents(&[Agent::new("worker", "implement", script).with("timeout_seconds: 1")]);
    let id = project.enqueue("Take too long", &[]);
    project.start().await;
    project.until_task(&id, "timed out", |task| task.attempt_count == 1).await;
    let attempts = project.client().attempts(&id).await.expect("attempts").attempts;
    assert!(attempts[0].reason.as_ref().is_some_and(|reason| reason.contains("its time was up")), "{attempts:#?}");
    let pids = pids_in(&project.table().join("pids"));
    assert_eq!(pids.len(), 2);
    assert!(pids.iter().all(|pid| !lives(*pid)), "{pids:?}");
    let branch = attempts[0].branch.clone().expect("branch");
    assert_eq!(project.git(&["show", &format!("{branch}:kept")]), "kept");
}

#[tokio::test]
async fn a_rate_limit_pauses_the_agent_and_is_not_counted() {
    let mut project = Project::new();
    let script = format!(r#"if [ ! -e "$TABLE/again" ]; then : > "$TABLE/again"; exit 75; fi; {WORK}"#);
    project.agents(&[Agent::new("worker", "implement", &script), Agent::approver("judge")]);
    let id = project.enqueue("Add a feature", &[]);
    project.start().await;
    let paused = async || {
        let status = project.client().node_status().await.map_err(|error| error.to_string())?;
        let worker = status.agents.iter().find(|agent| agent.name == "worker" && agent.state == AgentState::Paused);
        worker.cloned().ok_or_else(|| format!("{status:#?}"))
    };
    let worker = project.until("the agent is paused", paused).await;
    assert_eq!(worker.reason.as_deref(), Some("rate limit"));
    assert!(worker.paused_until.is_some());
    let task = project.until_in(&id, "incoming").await;
    assert_eq!((task.attempt_count, task.needs_intervention), (0, false));
    let _ = project.run(&["resume", "worker"]).ok();
    let task = project.until_merged(&id).await;
    assert_eq!(task.attempt_count, 0);
}

#[tokio::test]
async fn a_reviewer_without_a_verdict_pauses_and_the_reason_is_told() {
    let mut project = Project::new();
    let judge = r#"if [ -e "$TABLE/again" ]; then result '{"outcome":"accept"}'; else : > "$TABLE/again"; echo nothing; fi"#;
    project.agents(&[Agent::new("worker", "implement", WORK), Agent::new("judge", "review", judge)]);
    let id = project.enqueue("Add a feature", &[]);
    project.start().await;
    let paused = async || {
        let status = project.client().node_status().await.map_err(|error| error.to_string())?;
        let judge = status.agents.iter().find(|agent| agent.name == "judge" && agent.state == AgentState::Paused);
        judge.cloned().ok_or_else(|| format!("{status:#?}"))
    };
    let judge = project.until("the reviewer is paused", paused).await;
    assert_eq!(judge.reason.as_deref(), Some("its last review came to no verdict"));
    assert!(project.run(&["agents"]).ok().contains("no verdict, next in"));
    let _ = project.run(&["resume", "judge"]).ok();
    project.until_merged(&id).await;
}

#[tokio::test]
async fn an_agent_that_runs_out_of_turns_goes_on_from_its_branch() {
    let mut project = Project::new();
    let script = r#"if [ -e part ]; then echo rest >> part; commit rest; else
        echo part > part; commit part; result '{"outcome":"needs_continuation","notes":"the rest is left"}'; fi"#;
    project.agents(&[Agent::new("worker", "implement", script), Agent::approver("judge")]);
    let id = project.enqueue("A long task", &[]);
    project.start().await;
    let task = project.until_merged(&id).await;
    assert_eq!(project.read("part"), "part\nrest\n");
    assert_eq!((task.epoch, task.attempt_count), (2, 0), "to go on is no failure");
    let prompt = project.read(project.attempt_dir(&id, &task.attempt.expect("attempt")).join("prompt.md"));
    assert!(prompt.contains("which was not finished"), "{prompt}");
}

#[tokio::test]
async fn what_an_agent_or_its_setup_complained_of_is_in_the_log_of_its_attempt() {
    let mut project = Project::new();
    project.agents(&[Agent::new("worker", "implement", "echo working; echo 'fatal: no key' >&2; exit 3")]);
    let id = project.enqueue("Fails", &[]);
    project.start().await;
    project.until_task(&id, "has failed once", |task| task.attempt_count == 1).await;
    assert_eq!(project.run(&["logs", &id]).ok(), "working\n--- stderr\nfatal: no key");
    assert_eq!(project.run(&["logs", &id, "--raw"]).ok(), "working", "raw is what the agent's program said, and no more");
    project.stop(&[]).await;

    let config = project.read(".octopoid/config.yaml");
    project.write(
        ".octopoid/config.yaml",
        &format!("{config}\nworktree:\n  setup: [sh, -c, 'echo building; echo no compiler >&2; exit 9']\n"),
    );
    let id = project.enqueue("Cannot be set up", &["--priority", "P0"]);
    project.start().await;
    project.until_task(&id, "has failed once", |task| task.attempt_count == 1).await;
    let said = project.run(&["logs", &id]);
    assert_eq!(said.ok(), "--- worktree.setup, stdout\nbuilding\n--- worktree.setup, stderr\nno compiler");
}
