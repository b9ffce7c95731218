//! Nodes that end, in order or not, while agents work.

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
    time::{Duration, Instant},
};

use octopoid_tests::{Agent, Project, lives, pids_in};
use rustix::process::Signal;

use super::whole_job::WORK;

/// Leaves uncommitted work and processes behind at first, and does the task when it is allowed to.
const SLOW: &str = r#"if [ -e "$TABLE/again" ]; then echo whole > whole; commit whole; exit 0; fi
    echo part > part; note pids $$
    sleep 600 & note pids $!
    setsid sh -c 'echo $$ >> "$TABLE/pids"; exec sleep 600' &
    wait"#;

/// How soon after a restart no agent of the dead node may be left.
const SWEEP: Duration = Duration::from_secs(15);

/// Starts a node and waits until its agent and what it started run.
async fn at_work(project: &mut Project) -> (String, Vec<i32>) {
    project.agents(&[Agent::new("worker", "implement", SLOW), Agent::approver("judge")]);
    let id = project.enqueue("Take long", &[]);
    project.start().await;
    project.until_noted("pids", 3).await;
    let pids = pids_in(&project.table().join("pids"));
    assert!(pids.iter().all(|pid| lives(*pid)), "{pids:?}");
    (id, pids)
}

/// Asserts that a task's first attempt was given back without blame and with its work on its branch; returns the branch.
async fn is_given_back(project: &Project, id: &str) -> String {
    let attempts = project.client().attempts(id).await.expect("attempts").attempts;
    let first = attempts.first().expect("an attempt");
    assert_eq!(first.state, "released", "{attempts:#?}");
    assert_eq!(project.task(id).await.attempt_count, 0, "it is not the task's fault");
    let branch = first.branch.clone().expect("branch");
    assert_eq!(project.git(&["show", &format!("{branch}:part")]), "part");
    branch
}

#[tokio::test]
async fn after_a_crash_agents_are_ended_their_work_is_kept_and_the_task_is_done_by_another_attempt() {
    let mut project = Project::new();
    let (id, pids) = at_work(&mut project).await;
    project.take_node().kill9();
    assert!(lives(pids[0]), "a crash leaves the agent behind");
    assert_eq!(
        project.git(&["log", "--format=%s", &format!("--branches=octopoid/{id}/*"), "--not", "main"]),
        "",
        "nothing is committed yet"
    );
    project.put("again");
    project.start().await;
    let since = Instant::now();
    let gone = async || {
        let left: Vec<&i32> = pids.iter().filter(|pid| lives(**pid)).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    };
    project.until("no descendant lives", gone).await;
    assert!(since.elapsed() < SWEEP, "it took {:?}", since.elapsed());
    let task = project.until_merged(&id).await;
    assert_eq!(task.epoch, 2);
    let branch = is_given_back(&project, &id).await;
    let attempt = task.attempt.expect("attempt");
    let prompt = project.read(project.attempt_dir(&id, &attempt).join("prompt.md"));
    assert!(prompt.contains(&branch), "{prompt}");
    let empty = async || if project.worktrees().is_empty() { Ok(()) } else { Err(format!("{:?}", project.worktrees())) };
    project.until("no worktree is left", empty).await;
}

#[tokio::test]
async fn stop_ends_agents_commits_their_work_and_gives_the_claims_back() {
    let mut project = Project::new();
    let (id, pids) = at_work(&mut project).await;
    project.stop(&[]).await;
    assert!(pids.iter().all(|pid| !lives(*pid)), "{pids:?}");
    assert_eq!(project.worktrees(), Vec::<String>::new());
    assert!(!project.dir().join("runtime/node.json").exists());
    let task = project.run(&["show", &id, "--json"]).json();
    assert_eq!((&task["queue"], &task["claimed_by"]), (&"incoming".into(), &serde_json::Value::Null));
    project.put("again");
    project.start().await;
    project.until_merged(&id).await;
    is_given_back(&project, &id).await;
}

#[tokio::test]
async fn a_terminating_signal_is_an_orderly_end_too() {
    let mut project = Project::new();
    let (id, pids) = at_work(&mut project).await;
    let node = project.take_node();
    node.signal(Signal::INT);
    let status = node.ended().await.unwrap_or_else(|seen| panic!("{seen}\n{}", project.logs()));
    assert!(status.success(), "{status}");
    assert!(pids.iter().all(|pid| !lives(*pid)), "{pids:?}");
    assert_eq!(project.run(&["show", &id, "--json"]).json()["queue"], "incoming");
}

#[tokio::test]
async fn a_second_interrupt_ends_the_node_at_once_and_the_next_start_tidies_up() {
    let mut project = Project::new();
    let stubborn = r#"if [ -e "$TABLE/again" ]; then echo whole > whole; commit whole; exit 0; fi
        trap '' TERM; echo part > part; note pids $$; while :; do sleep 0.2; done"#;
    project.agents(&[Agent::new("worker", "implement", stubborn), Agent::approver("judge")]);
    let id = project.enqueue("Take long", &[]);
    project.start().await;
    project.until_noted("pids", 1).await;
    let pids = pids_in(&project.table().join("pids"));
    let node = project.take_node();
    let since = Instant::now();
    node.signal(Signal::INT);
    let told = async || if project.node_said().contains("once more") { Ok(()) } else { Err(project.node_said()) };
    project.until("it says that it ends its agents", told).await;
    assert!(lives(pids[0]), "the agent heeds no SIGTERM");
    node.signal(Signal::INT);
    let status = node.ended().await.expect("it ends");
    assert_eq!(status.code(), Some(130));
    assert!(since.elapsed() < Duration::from_secs(9), "the agent's grace was not waited for: {:?}", since.elapsed());
    assert!(!lives(pids[0]), "no agent goes on without its node: {}", project.node_said());
    assert!(project.node_said().contains("ended at once"), "{}", project.node_said());
    project.put("again");
    project.start().await;
    let task = project.until_merged(&id).await;
    assert_eq!((task.epoch, task.attempt_count), (2, 0));
    is_given_back(&project, &id).await;
}

#[tokio::test]
async fn drain_lets_agents_finish_and_starts_no_others() {
    let mut project = Project::new();
    project.agents(&[Agent::new("worker", "implement", &format!("note started x; await go; {WORK}"))]);
    let id = project.enqueue("Take long", &[]);
    project.start().await;
    project.until_noted("started", 1).await;
    let mut stop = project.command().args(["stop", "--drain"]).stderr(Stdio::piped()).spawn().expect("octopoid runs");
    let mut told = String::new();
    BufReader::new(stop.stderr.take().expect("stderr")).read_line(&mut told).expect("a line");
    assert!(told.contains("waiting for 1 agent"), "{told}");
    let other = project.enqueue("Too late", &[]);
    assert!(stop.try_wait().expect("state").is_none(), "it waits for the agent");
    project.put("go");
    let node = project.take_node();
    assert!(node.ended().await.expect("the node ends").success());
    assert!(stop.wait().expect("ended").success());
    let queue = |id: &str| project.run(&["show", id, "--json"]).json()["queue"].clone();
    assert_eq!((queue(&id), queue(&other)), ("provisional".into(), "incoming".into()));
    assert_eq!(project.noted("started").lines().count(), 1);
}

#[tokio::test]
async fn a_cancelled_task_ends_its_agent() {
    let mut project = Project::new();
    let (id, pids) = at_work(&mut project).await;
    let _ = project.run(&["cancel", &id, "--reason", "not wanted"]).ok();
    let gone = async || {
        let left: Vec<&i32> = pids.iter().filter(|pid| lives(**pid)).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    };
    project.until("the agent is ended", gone).await;
    let empty = async || if project.worktrees().is_empty() { Ok(()) } else { Err(format!("{:?}", project.worktrees())) };
    project.until("its worktree is removed", empty).await;
    let branch = project.git(&["branch", "--list", "--format=%(refname:short)", &format!("octopoid/{id}/*")]);
    assert_eq!(project.git(&["show", &format!("{branch}:part")]), "part");
    assert_eq!(project.task(&id).await.queue, "cancelled");
}

#[tokio::test]
async fn work_that_was_interrupted_after_a_rejection_still_starts_from_the_rejected_branch() {
    let mut project = Project::new();
    let worker = r#"if [ ! -e first ]; then echo first > first; commit first; exit 0; fi
        if [ -e "$TABLE/again" ]; then echo second > second; commit second; exit 0; fi
        note second x; await never"#;
    let judge = r#"if [ -e second ]; then result '{"outcome":"accept"}'; else result '{"outcome":"reject","reason":"a second file"}'; fi"#;
    project.agents(&[Agent::new("worker", "implement", worker), Agent::new("judge", "review", judge)]);
    let id = project.enqueue("Two files", &[]);
    project.start().await;
    project.until_noted("second", 1).await;
    project.stop(&[]).await;
    project.put("again");
    project.start().await;
    project.until_merged(&id).await;
    assert_eq!((project.read("first").as_str(), project.read("second").as_str()), ("first\n", "second\n"));
    assert_eq!(project.task(&id).await.rejection_count, 1);
}

/// Leaves the worktree in the midst of a rebase with a conflict, and then goes on with the script behind it.
const IN_A_REBASE: &str = r#"if [ -e "$TABLE/again" ]; then echo whole > whole; commit whole; exit 0; fi
    start=$(git rev-parse HEAD); echo theirs > part; commit theirs; theirs=$(git rev-parse HEAD)
    git reset -q --hard "$start"; echo part > part; commit ours
    git rebase -q "$theirs" > rebase.log 2>&1 && exit 9
    note rebasing "$OCTOPOID_ATTEMPT""#;

#[tokio::test]
async fn an_agent_that_is_stopped_in_the_midst_of_a_rebase_has_not_failed() {
    let mut project = Project::new();
    let worker = format!("{IN_A_REBASE}; sleep 600");
    project.agents(&[Agent::new("worker", "implement", &worker), Agent::approver("judge")]);
    let id = project.enqueue("Rebase", &[]);
    project.start().await;
    project.until_noted("rebasing", 1).await;
    project.stop(&[]).await;
    project.put("again");
    project.start().await;
    is_given_back(&project, &id).await;
    project.until_merged(&id).await;
}

#[tokio::test]
async fn an_agent_that_meets_a_limit_in_the_midst_of_a_rebase_has_not_failed() {
    let mut project = Project::new();
    project.agents(&[Agent::new("worker", "implement", &format!("{IN_A_REBASE}; exit 75"))]);
    let id = project.enqueue("Rebase", &[]);
    project.start().await;
    let limited = async || {
        let status = project.client().node_status().await.map_err(|error| error.to_string())?;
        let worker = status.agents.iter().find(|agent| agent.name == "worker").ok_or("no agent")?;
        (worker.reason.as_deref() == Some("rate limit")).then_some(()).ok_or_else(|| format!("{worker:#?}"))
    };
    project.until("the agent's pause", limited).await;
    is_given_back(&project, &id).await;
}
