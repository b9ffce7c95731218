//! The demo itself, as a user plays it: the program, a node in it, and agents as processes.

use std::{fs, path::Path, process::Output};

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

/// A machine without any settings: nothing but the programs on PATH.
struct Bare {
    dir: TempDir,
}

impl Bare {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("folder");
        for name in ["home", "tmp"] {
            fs::create_dir(dir.path().join(name)).expect("folder");
        }
        Self { dir }
    }

    fn scratch(&self) -> std::path::PathBuf {
        self.dir.path().join("tmp")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_octopoid"));
        command.args(arguments).current_dir(self.dir.path()).env_clear().kill_on_drop(true);
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.dir.path().join("home")).env("TMPDIR", self.scratch()).env("GIT_CONFIG_NOSYSTEM", "1");
        command
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).stdin(std::process::Stdio::null()).output().await.expect("the program runs")
    }
}

fn entries(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("folder");
    entries.map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned()).collect()
}

fn json(output: &Output) -> Value {
    let shown = || format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", shown()))
}

#[tokio::test]
async fn the_demo_does_the_whole_job_and_leaves_nothing() {
    let bare = Bare::new();
    let output = bare.run(&["demo", "--json"]).await;
    let report = json(&output);
    assert_eq!(report["ok"], true, "{report:#}\n{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0));
    assert!(report["checks"].as_array().is_some_and(|checks| checks.len() >= 6 && checks.iter().all(|check| check["problem"].is_null())));
    let tasks = report["tasks"].as_array().expect("tasks");
    assert_eq!(tasks.len(), 6, "{report:#}");
    assert_eq!(tasks.iter().filter_map(|task| task["rejections"].as_u64()).sum::<u64>(), 1);
    for task in tasks {
        assert_eq!(task["queue"], "done");
        assert!(task["story"].as_array().is_some_and(|story| story.len() >= 3), "{task:#}");
    }
    let repository = report["repository"].as_str().expect("a path");
    assert!(Path::new(repository).starts_with(bare.scratch().canonicalize().expect("folder")), "{repository} is not in TMPDIR");
    assert_eq!(report["kept"], false);
    assert_eq!(entries(&bare.scratch()), Vec::<String>::new(), "something was left in TMPDIR");
    assert_eq!(entries(&bare.dir.path().join("home")), Vec::<String>::new(), "something was written to the home folder");
}

#[tokio::test]
async fn a_demo_that_is_kept_can_be_looked_at_with_git_and_octopoid() {
    let bare = Bare::new();
    let output = bare.run(&["demo", "--keep", "--json"]).await;
    let report = json(&output);
    assert_eq!((report["ok"].as_bool(), report["kept"].as_bool()), (Some(true), Some(true)), "{report:#}");
    let repository = Path::new(report["repository"].as_str().expect("a path"));
    let log = Command::new("git")
        .args(["log", "--merges", "--format=%(trailers:key=Octopoid-Task,valueonly)", "main"])
        .current_dir(repository)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .await
        .expect("git runs");
    let mut merged: Vec<String> = String::from_utf8_lossy(&log.stdout).lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    merged.sort();
    let tasks = report["tasks"].as_array().expect("tasks");
    let mut worked: Vec<String> =
        tasks.iter().filter(|task| task["merged_commit"].is_string()).map(|task| task["id"].as_str().expect("id").to_owned()).collect();
    worked.sort();
    assert_eq!((merged.len(), &merged), (5, &worked));
    assert!(!repository.join(".octopoid/runtime/node.json").exists(), "the node has stopped");
    assert!(Path::new(tasks[0]["logs"].as_str().expect("a path")).is_dir(), "the logs are where the report says");
    let list = bare.command(&["list", "--json"]).current_dir(repository).output().await.expect("the program runs");
    assert_eq!(json(&list).as_array().map(Vec::len), Some(6), "the store can be read without the node");
}

#[tokio::test]
async fn the_demo_of_a_cluster_merges_every_task_once_and_leaves_nothing() {
    let bare = Bare::new();
    let output = bare.run(&["demo", "--cluster", "--json"]).await;
    let report = json(&output);
    assert_eq!(report["ok"], true, "{report:#}\n{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0));
    assert!(report["checks"].as_array().is_some_and(|checks| checks.len() >= 8 && checks.iter().all(|check| check["problem"].is_null())));
    let tasks = report["tasks"].as_array().expect("tasks");
    assert_eq!(tasks.len(), 5, "{report:#}");
    for task in tasks {
        assert!(task["queue"] == "done" && task["merged_commit"].is_string(), "{task:#}");
    }
    let lost = report["lost"].as_array().expect("what lost");
    assert_eq!(lost.len(), 1, "{report:#}");
    assert!(lost[0]["stopped"] == true && lost[0]["commit"].is_string() && lost[0]["winner"].is_string(), "{:#}", lost[0]);
    assert_eq!(report["machines"].as_array().map(Vec::len), Some(3));
    assert_eq!(report["kept"], false);
    assert_eq!(entries(&bare.scratch()), Vec::<String>::new(), "something was left in TMPDIR");
    assert_eq!(entries(&bare.dir.path().join("home")), Vec::<String>::new(), "something was written to the home folder");
}

#[tokio::test]
async fn what_lost_in_a_demo_that_is_kept_is_listed_on_every_machine() {
    let bare = Bare::new();
    let output = bare.run(&["demo", "--cluster", "--keep", "--json"]).await;
    let report = json(&output);
    assert_eq!((report["ok"].as_bool(), report["kept"].as_bool()), (Some(true), Some(true)), "{report:#}");
    for machine in report["machines"].as_array().expect("machines") {
        let repository = Path::new(machine["repository"].as_str().expect("a path"));
        assert!(!repository.join(".octopoid/runtime/node.json").exists(), "{machine}: the node has stopped");
        let said = bare.command(&["conflicts", "--json"]).current_dir(repository).output().await.expect("the program runs");
        let conflicts = json(&said);
        assert_eq!(conflicts["conflicts"][0]["attempts"][0]["attempt"], report["lost"][0]["attempt"], "{machine}: {conflicts:#}");
    }
    let origin = report["repository"].as_str().expect("a path");
    let log = Command::new("git")
        .args(["log", "--merges", "--format=%(trailers:key=Octopoid-Task,valueonly)", "main"])
        .current_dir(origin)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .await
        .expect("git runs");
    let mut merged: Vec<String> = String::from_utf8_lossy(&log.stdout).lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    merged.sort();
    assert_eq!(merged, ["count-chars", "count-empty", "count-letters", "explain-words", "fix-words"]);
}

/// Returns the processes whose folder is in another one.
fn working_in(folder: &Path) -> Vec<String> {
    let folder = folder.canonicalize().expect("folder");
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let works = |process: &fs::DirEntry| fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(&folder));
    processes.filter(works).map(|process| process.file_name().to_string_lossy().into_owned()).collect()
}

#[tokio::test]
async fn the_nodes_of_a_demo_that_is_killed_end_by_themselves() {
    let bare = Bare::new();
    let mut child = bare
        .command(&["demo", "--cluster", "--json"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("started");
    // The third one has started, so all have.
    let started = || {
        let folder = entries(&bare.scratch()).into_iter().next()?;
        fs::metadata(bare.scratch().join(folder).join("laptop/tally/.octopoid/runtime/node.json")).ok()
    };
    while started().is_none() {
        assert!(child.try_wait().expect("status").is_none(), "the demo ended before it began");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    child.kill().await.expect("killed");
    let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !working_in(&bare.scratch()).is_empty() {
        assert!(std::time::Instant::now() < end, "processes are left: {:?}", working_in(&bare.scratch()));
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn an_interrupted_demo_stops_its_node_and_agents_and_removes_its_folder() {
    let bare = Bare::new();
    let mut child =
        bare.command(&["demo", "--json"]).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().expect("started");
    // The first agent runs when its prompt is written.
    let started = || {
        let folder = entries(&bare.scratch()).into_iter().next()?;
        fs::read_dir(bare.scratch().join(folder).join("tally/.octopoid/logs/tasks")).ok()?.next()
    };
    while started().is_none() {
        assert!(child.try_wait().expect("status").is_none(), "the demo ended before it began");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("signalled");
    let status = child.wait().await.expect("status");
    assert_eq!(status.code(), Some(1), "an orderly end, not one by the signal");
    assert_eq!(entries(&bare.scratch()), Vec::<String>::new(), "something was left in TMPDIR");
}
