//! Starting and running nodes.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::TcpListener,
    process::{Command, Stdio},
};

use octopoid_tests::{Agent, Project, lives};
use rustix::process::Signal;
use serde_json::json;

use super::whole_job::WORK;

#[tokio::test]
async fn a_second_node_in_one_folder_is_refused_and_told_of_the_first() {
    let mut project = Project::new();
    project.start().await;
    let pid = project.node().pid().to_string();
    for args in [&["start"][..], &["start", "--daemon"]] {
        let said = project.run(args);
        assert!(said.refused(4).contains(&format!("process {pid}")) && said.stderr.contains("octopoid stop"), "{said:?}");
    }
    // One that hangs holds the store all the same.
    project.node().signal(Signal::STOP);
    let stat = format!("/proc/{pid}/stat");
    let hangs = async || match fs::read_to_string(&stat).map_err(|error| error.to_string())? {
        stat if stat.contains(") T ") => Ok(()),
        stat => Err(stat),
    };
    project.until("the node hangs", hangs).await;
    let said = project.run(&["start"]);
    project.node().signal(Signal::CONT);
    assert!(said.refused(4).contains(&format!("process {pid} has the project's store open")), "{said:?}");
    let health = project.client().health().await.expect("the first one serves");
    assert_eq!(health.node.as_deref(), Some("here"));
}

#[tokio::test]
async fn a_port_in_use_is_told_with_its_holder_and_only_an_explicit_one_fails() {
    let mut project = Project::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("address").port().to_string();
    for args in [&["start", "--api-port", &port][..], &["start", "--daemon", "--api-port", &port]] {
        let said = project.run(args);
        assert!(said.refused(1).contains(&format!("port {port}")) && said.stderr.contains("in use"), "{said:?}");
        assert!(said.stderr.contains(&format!("process {}", std::process::id())), "{said:?}");
        assert!(said.stderr.contains("--api-port"), "{said:?}");
    }
    let node = project.start_with(&["--api-port", "0"]).await;
    assert!(!node.api_url().ends_with(":0"), "{}", node.api_url());
}

#[tokio::test]
async fn without_a_port_of_its_own_a_node_takes_the_next_free_one_and_says_so() {
    let mut project = Project::repository();
    let _ = project.run(&["init", "--machine-id", "here"]).ok();
    project.agents(&[]);
    // Taken by this test, or by whoever has it already.
    let _taken = TcpListener::bind("127.0.0.1:8787");
    let url = project.start().await.api_url().to_owned();
    let port = url.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok()).expect("a port");
    assert!((8788..=8887).contains(&port), "{url}");
    let said = format!("port 8787 is in use, the API listens on {port}");
    assert!(project.node_said().contains(&said), "{}", project.node_said());
    assert_eq!(project.client().health().await.expect("it serves").status, "healthy");
}

#[tokio::test]
async fn between_two_starts_of_an_agent_its_interval_passes() {
    const INTERVAL: u32 = 3;
    let mut project = Project::new();
    project.agents(&[Agent::new("worker", "implement", r#"echo x > "$OCTOPOID_TASK_ID"; commit "do it""#).every(INTERVAL)]);
    let ids = ["One", "Two"].map(|title| project.enqueue(title, &["--role", "implement"]));
    project.start().await;
    let waits = async || {
        let status = project.client().node_status().await.map_err(|error| error.to_string())?;
        let reason = status.agents.first().and_then(|agent| agent.reason.clone());
        if reason.as_deref() == Some("interval") { Ok(()) } else { Err(format!("{:#?}", status.agents)) }
    };
    project.until("it waits for its next start", waits).await;
    let mut claimed = Vec::new();
    for id in &ids {
        let task = project.until_in(id, "provisional").await;
        let history = project.client().history(&task.id).await.expect("a history").history;
        let at = history.iter().find(|event| event.event == "claimed").expect("a claim").timestamp.clone();
        claimed.push(at.parse::<jiff::Timestamp>().expect("a time"));
    }
    claimed.sort_unstable();
    assert!(claimed[1].duration_since(claimed[0]).as_secs() >= i64::from(INTERVAL), "{claimed:?}");
}

#[tokio::test]
async fn stale_files_of_a_dead_node_are_no_hindrance() {
    let mut project = Project::new();
    let mut dead = Command::new("true").spawn().expect("true");
    dead.wait().expect("ended");
    // The second number belongs to a process that lives and is no node.
    for pid in [dead.id(), std::process::id()] {
        let runtime = project.dir().join("runtime");
        let file = json!({"pid": pid, "api_url": "http://127.0.0.1:9", "peer_id": "", "machine_id": "here"});
        fs::write(runtime.join("node.json"), file.to_string()).expect("written");
        fs::write(runtime.join("node.pid"), format!("{pid}\n")).expect("written");
        assert!(project.run(&["status"]).ok().contains("does not run"));
        assert_eq!(project.run(&["stop"]).ok(), "no node runs");
        project.start().await;
        assert!(project.run(&["status"]).ok().contains(project.node().api_url()));
        project.stop(&[]).await;
    }
}

#[tokio::test]
async fn a_daemon_outlives_the_command_and_stop_waits_for_its_end() {
    let project = Project::new();
    let started = project.run(&["start", "--daemon", "--json"]).json();
    let pid = i32::try_from(started["pid"].as_i64().expect("pid")).expect("pid");
    assert!(lives(pid));
    assert_eq!(project.read(project.dir().join("runtime/node.pid")).trim(), pid.to_string());
    let group = fs::read_to_string(format!("/proc/{pid}/stat")).expect("stat");
    let session: i32 =
        group.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(3)).and_then(|id| id.parse().ok()).expect("session");
    assert_eq!(session, pid, "it leads a session of its own");
    let id = project.enqueue("Wait", &[]);
    assert_eq!(project.run(&["list", "--json"]).json()[0]["id"], id.as_str());
    assert_eq!(project.run(&["stop"]).ok(), format!("stopped (process {pid})"));
    assert!(!lives(pid));
    assert!(!project.dir().join("runtime/node.json").exists() && !project.dir().join("runtime/node.pid").exists());
    assert!(project.read(project.dir().join("logs/node.log")).contains("the node serves"));
}

#[tokio::test]
async fn of_two_starts_in_the_background_one_serves_and_the_other_names_it() {
    let project = Project::new();
    let start = || project.command().args(["start", "--daemon"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("octopoid");
    let ended = [start(), start()].map(|child| child.wait_with_output().expect("ended"));
    let node = project.read(project.dir().join("runtime/node.json"));
    let url = serde_json::from_str::<serde_json::Value>(&node).expect("JSON")["api_url"].as_str().expect("an address").to_owned();
    let mut codes = ended.each_ref().map(|output| output.status.code());
    codes.sort();
    let said = ended.each_ref().map(|output| String::from_utf8_lossy(&output.stderr).into_owned()).concat();
    let _ = project.run(&["stop"]).ok();
    assert_eq!(codes, [Some(0), Some(4)], "{said}");
    assert!(said.contains("a node runs for this project") && said.contains(&url) && !said.contains("its log ends with"), "{said}");
}

#[tokio::test]
async fn debug_tells_more_also_in_the_background() {
    let mut project = Project::new();
    project.agents(&[Agent::new("worker", "implement", WORK)]);
    project.start().await;
    project.stop(&[]).await;
    let log = |project: &Project| project.read(project.dir().join("logs/node.log"));
    assert!(log(&project).contains(" INFO ") && !log(&project).contains("DEBUG"), "{}", log(&project));
    project.start_with(&["--debug"]).await;
    let told = async |project: &Project, from: usize| {
        let look = async || {
            let log = log(project);
            if log[from..].contains("found nothing to claim agent=worker") { Ok(()) } else { Err(log) }
        };
        project.until("it tells more", look).await;
    };
    told(&project, 0).await;
    project.stop(&[]).await;
    let before = log(&project).len();
    let _ = project.run(&["start", "--daemon", "--debug"]).ok();
    told(&project, before).await;
    let _ = project.run(&["stop"]).ok();
}

#[tokio::test]
async fn once_does_what_one_look_finds_and_ends() {
    let project = Project::new();
    project.agents(&[Agent::new("worker", "implement", &format!("note started x; {WORK}"))]);
    let ids = [project.enqueue("One", &["--priority", "P0"]), project.enqueue("Two", &[])];
    let _ = project.run(&["start", "--once"]).ok();
    let queue = |id: &str| project.run(&["show", id, "--json"]).json()["queue"].clone();
    assert_eq!((queue(&ids[0]), queue(&ids[1])), ("provisional".into(), "incoming".into()));
    assert_eq!(project.noted("started").lines().count(), 1);
    assert!(!project.dir().join("runtime/node.json").exists());
}

#[tokio::test]
async fn once_waits_for_the_merge_of_what_it_accepted() {
    let project = Project::new();
    // A slow reviewer decides while everything else has long been looked at.
    let judge = r#"sleep 1; result '{"outcome":"accept"}'"#;
    project.agents(&[Agent::new("worker", "implement", WORK), Agent::new("judge", "review", judge)]);
    let id = project.enqueue("One", &[]);
    let _ = project.run(&["start", "--once"]).ok();
    assert_eq!(project.merged(), Vec::<String>::new());
    let _ = project.run(&["start", "--once"]).ok();
    assert_eq!(project.merged(), [id.as_str()], "{}", project.logs());
    let task = project.run(&["show", &id, "--json"]).json();
    assert_eq!((&task["queue"], &task["awaiting_merge"]), (&"done".into(), &serde_json::Value::Null));
}

#[tokio::test]
async fn once_without_agents_merges_what_is_accepted_and_ends() {
    let project = Project::new();
    project.agents(&[Agent::new("worker", "implement", &format!("note started x; {WORK}"))]);
    let (one, two) = (project.enqueue("One", &[]), project.enqueue("Two", &[]));
    let _ = project.run(&["start", "--once"]).ok();
    let _ = project.run(&["accept", &one]).ok();
    let _ = project.run(&["start", "--no-agents", "--once"]).ok();
    assert_eq!(project.merged(), [one.as_str()], "{}", project.logs());
    assert_eq!(project.noted("started").lines().count(), 1);
    assert_eq!(project.run(&["show", &two, "--json"]).json()["queue"], "incoming");
}

#[tokio::test]
async fn a_node_without_agents_says_that_nothing_will_start() {
    let mut project = Project::new();
    project.agents(&[Agent::new("worker", "implement", WORK)]);
    project.start_with(&["--no-agents"]).await;
    for command in ["status", "agents"] {
        let said = project.run(&[command]);
        assert!(said.ok().contains("paused") && said.ok().contains("started with --no-agents"), "{said:?}");
    }
    project.stop(&[]).await;
    project.start().await;
    assert_eq!(project.run(&["agents", "--json"]).json()[0]["state"], "idle");
}

#[tokio::test]
async fn a_broken_agents_file_keeps_the_agents_of_before_and_is_told() {
    let mut project = Project::new();
    project.agents(&[Agent::new("worker", "implement", WORK), Agent::approver("judge")]);
    project.start_with(&["--tick-interval", "100"]).await;
    let good = project.read(".octopoid/agents.yaml");
    project.write(".octopoid/agents.yaml", &good.replace("role: implement", "rule: implement"));
    let warned = async || {
        let status = project.client().node_status().await.map_err(|error| error.to_string())?;
        let told = status.warnings.iter().find(|warning| warning.contains("agents.yaml") && warning.contains("rule"));
        told.cloned().ok_or_else(|| format!("{status:#?}"))
    };
    let warning = project.until("a warning", warned).await;
    assert!(warning.contains("role"), "it says what was meant: {warning}");
    assert!(project.run(&["status"]).stderr.contains("rule"));
    let id = project.enqueue("Work goes on", &[]);
    project.until_merged(&id).await;

    project.write(".octopoid/agents.yaml", &good);
    let silent = async || {
        let status = project.client().node_status().await.map_err(|error| error.to_string())?;
        if status.warnings.is_empty() { Ok(()) } else { Err(format!("{:?}", status.warnings)) }
    };
    project.until("no warning", silent).await;
    // A node does not start with what it would not take over.
    project.stop(&[]).await;
    project.write(".octopoid/agents.yaml", &good.replace("role: implement", "rule: implement"));
    assert!(project.run(&["start"]).refused(1).contains("rule"));
}

#[tokio::test]
async fn all_agents_together_keep_to_the_nodes_limit() {
    let mut project = Project::new();
    project.configure("max_concurrent: 3", "max_concurrent: 2");
    let worker = format!(r#"note started "$OCTOPOID_TASK_ID"; await go; {WORK}"#);
    let agents = ["one", "two", "three"].map(|name| Agent::new(name, "implement", &worker).with("max_instances: 2"));
    project.agents(&agents);
    let ids: Vec<String> = (0..4).map(|number| project.enqueue(&format!("Task {number}"), &[])).collect();
    project.start_with(&["--tick-interval", "50"]).await;
    project.until_noted("started", 2).await;
    let running = || async {
        let status = project.client().node_status().await.expect("status");
        (status.queues.get("claimed").copied(), status.agents.iter().map(|agent| agent.instances.len()).sum::<usize>())
    };
    assert_eq!(running().await, (Some(2), 2));
    // Each event makes the scheduler look again.
    let extra = project.enqueue("One more", &[]);
    assert_eq!(running().await, (Some(2), 2));
    project.put("go");
    for id in ids.iter().chain([&extra]) {
        project.until_in(id, "provisional").await;
    }
}

#[tokio::test]
async fn a_paused_agent_starts_nothing_and_stays_paused_after_a_restart() {
    let mut project = Project::new();
    project.agents(&[Agent::new("worker", "implement", WORK), Agent::new("writer", "docs", WORK)]);
    project.start_with(&["--tick-interval", "50"]).await;
    let _ = project.run(&["pause", "worker"]).ok();
    assert!(project.run(&["pause", "nobody"]).refused(1).contains("worker, writer"));
    let held = project.enqueue("Held", &["--role", "implement", "--priority", "P0"]);
    let done = project.enqueue("Done", &["--role", "docs"]);
    project.until_in(&done, "provisional").await;
    assert_eq!(project.task(&held).await.epoch, 0);
    project.stop(&[]).await;
    project.start_with(&["--tick-interval", "50"]).await;
    let done = project.enqueue("Done too", &["--role", "docs"]);
    project.until_in(&done, "provisional").await;
    assert_eq!(project.task(&held).await.epoch, 0);
    let _ = project.run(&["resume", "worker"]).ok();
    project.until_in(&held, "provisional").await;

    let _ = project.run(&["pause"]).ok();
    assert!(project.run(&["status"]).ok().contains("paused: octopoid resume"));
    let held = project.enqueue("Held again", &["--role", "docs"]);
    project
        .until(
            "a tick",
            async || if project.client().node_status().await.is_ok_and(|status| status.paused) { Ok(()) } else { Err(String::new()) },
        )
        .await;
    assert_eq!(project.task(&held).await.epoch, 0);
    let _ = project.run(&["resume"]).ok();
    project.until_in(&held, "provisional").await;
}

#[tokio::test]
async fn a_command_given_while_the_node_starts_waits_for_it() {
    let mut project = Project::new();
    let mut waiting = project.command();
    waiting.args(["enqueue", "Soon"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let starting = project.start();
    let early = waiting.spawn().expect("octopoid runs");
    starting.await;
    let output = early.wait_with_output().expect("ended");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let id = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(project.task(id.trim()).await.title, "Soon");
}

#[tokio::test]
async fn logs_follow_a_running_agent_to_its_end() {
    let mut project = Project::new();
    project.agents(&[Agent::new("worker", "implement", &format!("echo one; note started x; await go; echo two; {WORK}"))]);
    let id = project.enqueue("Talk", &[]);
    project.start().await;
    project.until_noted("started", 1).await;
    let mut follow = project.command().args(["logs", &id, "-f"]).stdout(Stdio::piped()).spawn().expect("octopoid runs");
    let mut lines = BufReader::new(follow.stdout.take().expect("stdout")).lines();
    assert_eq!(lines.next().expect("a line").expect("text"), "one");
    project.put("go");
    assert_eq!(lines.next().expect("a line").expect("text"), "two");
    project.until_in(&id, "provisional").await;
    assert!(lines.next().is_none(), "it ends with the agent");
    assert!(follow.wait().expect("ended").success());
    let node = project.run(&["logs"]);
    assert!(node.ok().contains("the node serves"), "{node:?}");
}
