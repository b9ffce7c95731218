//! Agents as real processes: what they get, what they may leave behind, and that they all die.
#![cfg(target_os = "linux")]

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio as Io},
    time::{Duration, Instant},
};

use octopoid_node::agent::{
    AgentProcess, Argv, EndCause, Ended, Environment, Exit, GitIdentity, LaunchError, Launcher, Limits, Outcome, ProcessRecord, Running,
    Stdin, StopReason, TaskVariables, Token, leftovers,
};

const HELPER: &str = env!("CARGO_BIN_EXE_octopoid-agent-helper");
/// For conditions that hold at once on an idle machine. Scripts last a little longer, so that a failed test leaves nothing for ever.
const PATIENCE: Duration = Duration::from_secs(30);

struct Ground {
    folder: tempfile::TempDir,
}

impl Ground {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("tree")).expect("a worktree");
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// An agent that is a shell script, with the environment that a node with secrets would give it.
    fn script(&self, script: &str) -> AgentProcess {
        let parent = [
            ("PATH", std::env::var("PATH").expect("PATH")),
            ("OCTOPOID_API_KEY", "oct_secret".into()),
            ("OCTOPOID_DIR", "/p/.octopoid".into()),
            ("CLAUDECODE", "1".into()),
            ("GITHUB_TOKEN", "ghp_secret".into()),
        ];
        let environment = Environment::build(
            parent.map(|(name, value)| (OsString::from(name), OsString::from(value))),
            &[],
            &BTreeMap::from([("GROUND".to_owned(), self.folder.path().display().to_string())]),
            &GitIdentity { name: "agent".into(), email: "agent@octopoid.invalid".into() },
            &TaskVariables {
                task: "task-1".parse().expect("a name"),
                agent: "agent".into(),
                role: "implement".into(),
                attempt: "1-3fa9c2d1".parse().expect("an attempt"),
                worktree: self.path("tree"),
                branch: "octopoid/task-1/1-3fa9c2d1".into(),
                base_branch: "main".into(),
                prompt_file: self.path("prompt.md"),
                result_file: self.path("result.json"),
            },
        );
        AgentProcess {
            argv: Argv { program: "sh".into(), arguments: vec!["-c".into(), script.into()] },
            environment,
            directory: self.path("tree"),
            stdin: Stdin::Null,
            logs: self.folder.path().to_owned(),
            limits: Limits { grace: Duration::from_millis(300), ..Limits::default() },
        }
    }

    async fn start(&self, agent: AgentProcess) -> Running {
        launcher().launch(agent).await.expect("a launcher").go().await.expect("a program")
    }

    async fn run(&self, agent: AgentProcess) -> Ended {
        self.start(agent).await.wait().await.expect("an end")
    }

    fn stdout(&self) -> String {
        fs::read_to_string(self.path("stdout.log")).expect("a log")
    }

    /// Waits for a script to write numbers of processes, one in each file.
    async fn pids<const N: usize>(&self, names: [&str; N]) -> [i32; N] {
        let read = |name: &str| fs::read_to_string(self.path(name)).ok()?.trim().parse().ok();
        eventually(|| names.iter().all(|name| read(name).is_some())).await;
        names.map(|name| read(name).expect("a number"))
    }

    /// Starts a process in the node's part and waits for its record.
    async fn node(&self, mode: &str, script: &str) -> (std::process::Child, ProcessRecord) {
        let node = Command::new(HELPER)
            .args(["node", mode])
            .arg(self.folder.path())
            .args(["sh", "-c", script])
            .env_clear()
            .stdin(Io::null())
            .spawn()
            .expect("a node");
        let path = self.path("record.json");
        eventually(|| path.exists()).await;
        (node, serde_json::from_slice(&fs::read(path).expect("a record")).expect("a record"))
    }
}

fn launcher() -> Launcher {
    Launcher { program: HELPER.into(), arguments: vec!["__launch".into()] }
}

async fn eventually(mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited in vain");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Tells whether a process runs. One that ended and was not noticed by its parent does not.
fn is_alive(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, tail)| !tail.starts_with(['Z', 'X']))
}

#[tokio::test]
async fn an_agent_leads_its_own_session_in_its_worktree_with_nothing_to_read() {
    let ground = Ground::new();
    let agent = ground.script("cut -d' ' -f1,5,6 /proc/$$/stat; pwd -P; wc -c; echo err >&2");
    let held = launcher().launch(agent).await.expect("a launcher");
    let record = held.record().clone();
    let ended = held.go().await.expect("a program").wait().await.expect("an end");
    assert_eq!((ended.cause, ended.exit), (EndCause::Exited, Exit::Code(0)));
    let tree = ground.path("tree").canonicalize().expect("a path");
    let pid = record.pid;
    assert_eq!(ground.stdout(), format!("{pid} {pid} {pid}\n{}\n0\n", tree.display()));
    assert_eq!(fs::read_to_string(ground.path("stderr.log")).expect("a log"), "err\n");
    assert!(record.started.is_some() && record.boot.is_some());
}

#[tokio::test]
async fn the_environment_is_the_agents_and_holds_neither_key_nor_token_of_the_node() {
    let ground = Ground::new();
    // What a shell adds by itself is not the environment that it was given.
    let ended = ground.run(ground.script("tr '\\0' '\\n' </proc/$$/environ | cut -d= -f1 | sort")).await;
    assert_eq!(ended.exit, Exit::Code(0));
    let expected = [
        "AGENT_NAME",
        "AGENT_ROLE",
        "CURRENT_TASK_ID",
        "GIT_AUTHOR_EMAIL",
        "GIT_AUTHOR_NAME",
        "GIT_COMMITTER_EMAIL",
        "GIT_COMMITTER_NAME",
        "GROUND",
        "OCTOPOID_ATTEMPT",
        "OCTOPOID_ATTEMPT_TOKEN",
        "OCTOPOID_BASE_BRANCH",
        "OCTOPOID_BRANCH",
        "OCTOPOID_EPOCH",
        "OCTOPOID_PROMPT_FILE",
        "OCTOPOID_RESULT_FILE",
        "OCTOPOID_ROLE",
        "OCTOPOID_TASK_ID",
        "OCTOPOID_WORKTREE",
        "PATH",
    ];
    assert_eq!(ground.stdout().lines().collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn no_descriptor_of_the_node_or_the_launcher_reaches_the_agent() {
    let ground = Ground::new();
    let script = "ls /proc/$$/fd";
    // What this test was started with itself is passed on to every child and is not the node's.
    let any_child = Command::new("sh").args(["-c", script]).stdin(Io::null()).output().expect("a child");
    let _open = fs::File::open("/dev/zero").expect("a descriptor of the node");
    ground.run(ground.script(script)).await;
    assert_eq!(ground.stdout(), String::from_utf8(any_child.stdout).expect("numbers"));
}

#[tokio::test]
async fn arguments_pass_unchanged_and_the_prompt_comes_on_stdin() {
    let ground = Ground::new();
    fs::write(ground.path("prompt.md"), "do this").expect("a prompt");
    let mut agent = ground.script("cat; printf '|%s' \"$@\"");
    agent.argv.arguments.extend(["sh", "$(touch x)", "a b", "ü\"'\\"].map(OsString::from));
    agent.stdin = Stdin::File(ground.path("prompt.md"));
    ground.run(agent).await;
    assert_eq!(ground.stdout(), "do this|$(touch x)|a b|ü\"'\\");
}

#[tokio::test]
async fn a_missing_program_is_named_with_what_to_do() {
    let ground = Ground::new();
    let mut agent = ground.script("");
    agent.argv.program = "no-such-agent".into();
    let held = launcher().launch(agent).await.expect("a launcher");
    let pid = held.record().pid;
    let error = held.go().await.expect_err("no program");
    assert_eq!(error.to_string(), "start the agent's program 'no-such-agent': install it or change `command` in agents.yaml");
    assert!(matches!(error, LaunchError::Program { source, .. } if source.kind() == std::io::ErrorKind::NotFound));
    assert!(!Path::new(&format!("/proc/{pid}")).exists(), "not even a zombie is left");
}

#[tokio::test]
async fn other_reasons_not_to_start_are_told_apart() {
    let ground = Ground::new();
    let error = async |agent| match launcher().launch(agent).await {
        Ok(held) => held.go().await.expect_err("an error"),
        Err(error) => error,
    };
    let base = || ground.script("touch $GROUND/ran");
    let missing = AgentProcess { directory: ground.path("gone"), ..base() };
    assert!(matches!(error(missing).await, LaunchError::Directory { path, .. } if path == ground.path("gone")));
    let unreadable = AgentProcess { stdin: Stdin::File(ground.path("gone")), ..base() };
    assert!(matches!(error(unreadable).await, LaunchError::Stdin { path, .. } if path == ground.path("gone")));
    let no_logs = AgentProcess { logs: ground.path("gone"), ..base() };
    assert!(matches!(error(no_logs).await, LaunchError::Log { path, .. } if path == ground.path("gone/stdout.log")));
    let mut nul = base();
    nul.argv.arguments.push("a\0b".into());
    assert!(matches!(error(nul).await, LaunchError::Nul { name } if name == "a\u{fffd}b"));
    let mut large = base();
    large.argv.arguments.push("x".repeat(3 << 20).into());
    assert!(matches!(error(large).await, LaunchError::Program { source, .. } if source.kind() == std::io::ErrorKind::ArgumentListTooLong));
    let wrong = Launcher { program: "/bin/true".into(), arguments: vec![] };
    assert!(matches!(wrong.launch(base()).await, Err(LaunchError::Launcher { program, .. }) if program == Path::new("/bin/true")));
    assert!(!ground.path("ran").exists(), "none of them ran");
}

#[tokio::test]
async fn an_agent_that_is_held_does_not_run_and_is_gone_when_dropped() {
    let ground = Ground::new();
    let held = launcher().launch(ground.script("touch $GROUND/ran")).await.expect("a launcher");
    let pid = held.record().pid;
    assert!(is_alive(pid));
    drop(held);
    eventually(|| !is_alive(pid)).await;
    assert!(!ground.path("ran").exists());
}

#[tokio::test]
async fn a_node_that_is_killed_before_the_go_leaves_no_agent() {
    let ground = Ground::new();
    let ran = ground.path("ran");
    let (mut node, record) = ground.node("hold", &format!("touch '{}'; sleep 600", ran.display())).await;
    assert!(is_alive(record.pid));
    node.kill().expect("killed");
    node.wait().expect("reaped");
    eventually(|| !is_alive(record.pid)).await;
    assert!(!ran.exists());
}

/// Starts a child and a grandchild that ignore SIGTERM, one in the group, one in a session of its own, and one that is stopped.
const STUBBORN: &str = "trap '' TERM
sh -c 'trap \"\" TERM; echo $$ >$GROUND/child; for i in 1 2 3 4 5 6; do sleep 20; done' &
setsid sh -c 'trap \"\" TERM; echo $$ >$GROUND/escaped; for i in 1 2 3 4 5 6; do sleep 20; done' &
sh -c 'echo $$ >$GROUND/stopped; kill -STOP $$' &
echo $$ >$GROUND/main
";

#[tokio::test]
async fn stop_kills_a_group_that_ignores_sigterm_and_what_left_its_session() {
    let ground = Ground::new();
    let running = ground.start(ground.script(&format!("{STUBBORN}for i in 1 2 3 4 5 6; do sleep 20; done"))).await;
    let pids = ground.pids(["main", "child", "escaped", "stopped"]).await;
    let ended = running.stop(StopReason::LeaseLost).await.expect("an end");
    assert_eq!(pids.map(is_alive), [false; 4]);
    assert_eq!((ended.cause, ended.exit), (EndCause::Stopped(StopReason::LeaseLost), Exit::Signal(9)));
    assert!(ended.swept.survivors.is_empty());
    assert!(ended.swept.killed >= 2, "{:?}", ended.swept);
    assert_eq!(ended.outcome(), None);
}

#[tokio::test]
async fn stop_lets_an_agent_end_by_itself_within_the_grace() {
    let ground = Ground::new();
    let mut agent = ground.script("trap 'echo saved; exit 3' TERM; touch $GROUND/ready; while :; do sleep 0.01; done");
    agent.limits.grace = PATIENCE;
    let running = ground.start(agent).await;
    eventually(|| ground.path("ready").exists()).await;
    let start = Instant::now();
    let ended = running.stop(StopReason::NodeStops).await.expect("an end");
    assert_eq!((ended.exit, ground.stdout().as_str()), (Exit::Code(3), "saved\n"));
    assert!(start.elapsed() < PATIENCE, "the grace is not waited out");
}

#[tokio::test]
async fn what_an_agent_leaves_behind_is_dead_before_its_end_is_told() {
    let ground = Ground::new();
    let ended = ground
        .run(
            ground
                .script(&format!("{STUBBORN}while ! [ -s $GROUND/child -a -s $GROUND/escaped -a -s $GROUND/stopped ]; do :; done; exit 4")),
        )
        .await;
    let pids = ground.pids(["main", "child", "escaped", "stopped"]).await;
    assert_eq!(pids.map(is_alive), [false; 4]);
    assert_eq!((ended.cause, ended.exit), (EndCause::Exited, Exit::Code(4)));
    assert!(ended.swept.killed >= 3 && ended.swept.survivors.is_empty(), "{:?}", ended.swept);
}

#[tokio::test]
async fn a_stubborn_child_that_left_the_session_and_emptied_its_environment_dies_after_its_parent() {
    let ground = Ground::new();
    let script = "sh -c 'env -i setsid sh -c \"trap : TERM; echo \\$\\$ >$GROUND/bare; for i in 1 2 3 4 5 6; do sleep 20; done\"; :' & for i in 1 2 3 4 5 6; do sleep 20; done";
    let running = ground.start(ground.script(script)).await;
    let [bare] = ground.pids(["bare"]).await;
    let ended = running.stop(StopReason::TaskWithdrawn).await.expect("an end");
    assert!(!is_alive(bare), "{:?}", ended.swept);
}

#[tokio::test]
async fn a_chain_in_which_each_process_starts_the_next_in_a_session_of_its_own_is_caught() {
    let ground = Ground::new();
    let link = "[ -d $GROUND ] || exit; echo $$ >>$GROUND/links; setsid sh -c \"$LINK\" & exit";
    let script = format!("export LINK='{link}'; (eval \"$LINK\") & until [ -e $GROUND/go ]; do sleep 0.01; done");
    let mut running = ground.start(ground.script(&script)).await;
    let links = || fs::read_to_string(ground.path("links")).unwrap_or_default().lines().count();
    eventually(|| links() > 20).await;
    fs::write(ground.path("go"), "").expect("a file");
    let ended = running.wait().await.expect("an end");
    assert!(ended.swept.survivors.is_empty(), "{:?}", ended.swept);
    // A link lasts about a millisecond, so a chain that goes on shows within this time.
    let before = links();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(links(), before, "the chain goes on");
}

#[tokio::test]
async fn an_agent_whose_time_is_up_is_ended() {
    let ground = Ground::new();
    let mut agent = ground.script(&format!("{STUBBORN}for i in 1 2 3 4 5 6; do sleep 20; done"));
    agent.limits.time = Duration::from_millis(1500);
    let ended = ground.run(agent).await;
    assert_eq!((ended.cause, ended.exit), (EndCause::TimedOut, Exit::Signal(9)));
    assert!(matches!(ended.outcome(), Some(Outcome::TimedOut(ran)) if ran >= Duration::from_millis(1500)));
    let [main] = ground.pids(["main"]).await;
    assert!(!is_alive(main));
}

#[tokio::test]
async fn an_agent_that_nobody_holds_is_ended() {
    let ground = Ground::new();
    let running = ground.start(ground.script("for i in 1 2 3 4 5 6; do sleep 20; done")).await;
    let pid = running.record().pid;
    drop(running);
    eventually(|| !is_alive(pid)).await;
}

#[tokio::test]
async fn waiting_may_be_given_up_and_taken_up_again() {
    let ground = Ground::new();
    let mut running = ground.start(ground.script("until [ -e $GROUND/go ]; do sleep 0.01; done; exit 5")).await;
    let early = tokio::time::timeout(Duration::from_millis(20), running.wait()).await;
    assert!(early.is_err());
    fs::write(ground.path("go"), "").expect("a file");
    assert_eq!(running.wait().await.expect("an end").exit, Exit::Code(5));
    assert_eq!(running.wait().await.expect("the same end").exit, Exit::Code(5));
}

#[tokio::test]
async fn a_flood_of_output_is_capped_and_does_not_block_the_agent() {
    let ground = Ground::new();
    let mut agent = ground.script("head -c 20000000 /dev/zero; head -c 3000000 /dev/zero | tr '\\0' 'e' >&2; echo; echo '{\"type\":\"result\",\"subtype\":\"success\",\"num_turns\":7}'");
    agent.limits.log_bytes = 1 << 20;
    let ended = ground.run(agent).await;
    assert_eq!(ended.exit, Exit::Code(0));
    assert_eq!((ended.stdout.kept, ended.stderr.kept), (1 << 20, 1 << 20));
    assert!(ended.stdout.discarded > 18_000_000 && ended.stderr.discarded > 1_900_000);
    let note = "[octopoid: this log reached its limit of 1048576 bytes; the rest is discarded]\n";
    for name in ["stdout.log", "stderr.log"] {
        let log = fs::read(ground.path(name)).expect("a log");
        assert!(log.len() < (1 << 20) + 200 && log.ends_with(note.as_bytes()), "{name}");
    }
    assert_eq!((ended.stream.turns, ended.stream.subtype.as_deref()), (7, Some("success")), "the stream is read beyond the cap");
}

#[tokio::test]
async fn the_stream_can_be_followed_while_the_agent_runs() {
    let ground = Ground::new();
    let line = r#"{"type":"assistant","message":{"id":"m1","content":[{"type":"text","text":"working"}]}}"#;
    let mut running = ground.start(ground.script(&format!("echo '{line}'; until [ -e $GROUND/go ]; do sleep 0.01; done"))).await;
    let mut stream = running.stream();
    let seen =
        tokio::time::timeout(PATIENCE, stream.wait_for(|summary| summary.turns == 1)).await.expect("in time").expect("a summary").clone();
    assert_eq!(seen.last_text, "working");
    fs::write(ground.path("go"), "").expect("a file");
    assert_eq!(running.wait().await.expect("an end").stream, seen);
}

#[tokio::test]
async fn what_is_left_after_the_node_was_killed_is_swept_at_its_next_start() {
    let ground = Ground::new();
    let script = format!("export GROUND='{}'; {STUBBORN}for i in 1 2 3 4 5 6; do sleep 20; done", ground.folder.path().display());
    let (mut node, record) = ground.node("run", &script).await;
    let pids = ground.pids(["main", "child", "escaped", "stopped"]).await;
    node.kill().expect("killed");
    node.wait().expect("reaped");
    assert_eq!(pids.map(is_alive), [true; 4], "agents outlive a killed node");
    let report = leftovers(vec![record.clone()]).await;
    assert_eq!(pids.map(is_alive), [false; 4]);
    assert!(report.killed >= 3 && report.survivors.is_empty() && report.unproven.is_empty(), "{report:?}");
    let again = leftovers(vec![record]).await;
    assert_eq!((again.killed, again.survivors), (0, vec![]));
}

#[tokio::test]
async fn leftovers_of_a_group_whose_leader_is_gone_are_found_by_their_marker() {
    let ground = Ground::new();
    let script = format!("export GROUND='{}'; {STUBBORN}for i in 1 2 3 4 5 6; do sleep 20; done", ground.folder.path().display());
    let (mut node, record) = ground.node("run", &script).await;
    let [main, child, escaped, _] = ground.pids(["main", "child", "escaped", "stopped"]).await;
    // Stopped first, or the node would sweep when the leader dies.
    for (signal, pid) in [("-STOP", node.id().cast_signed()), ("-KILL", main), ("-KILL", node.id().cast_signed())] {
        assert!(Command::new("kill").args([signal, &pid.to_string()]).status().expect("kill").success());
    }
    node.wait().expect("reaped");
    eventually(|| !is_alive(main)).await;
    assert!(is_alive(child) && is_alive(escaped));
    leftovers(vec![record]).await;
    assert!(!is_alive(child) && !is_alive(escaped));
}

#[tokio::test]
async fn a_process_that_got_the_number_of_an_agent_is_left_alone() {
    let ground = Ground::new();
    let running = ground.start(ground.script("for i in 1 2 3 4 5 6; do sleep 20; done")).await;
    let true_record = running.record().clone();
    let other = Token::random().expect("randomness");
    let later = true_record.started.map(|started| started + 1);
    let reused = ProcessRecord { started: later, token: other, ..true_record.clone() };
    let before_boot = ProcessRecord { boot: Some("an earlier boot".into()), ..true_record.clone() };
    let report = leftovers(vec![reused, before_boot]).await;
    assert_eq!((report.killed, report.unproven), (0, vec![true_record.pid]));
    assert!(is_alive(true_record.pid));
    running.stop(StopReason::NodeStops).await.expect("an end");
}
