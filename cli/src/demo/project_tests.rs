use octopoid_node::agent::{Claim, ResultFile};
use tempfile::TempDir;

use super::*;
use crate::demo::git::{Ran, run_tests};

/// The program in a folder of its own, with the scripts beside it.
struct Bench {
    dir: TempDir,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("folder");
        write_all(&dir.path().join("tally"), PROGRAM.iter().chain([&FAILING])).expect("program");
        write_all(&dir.path().join("agents"), &SCRIPTS).expect("scripts");
        Self { dir }
    }

    fn repository(&self) -> PathBuf {
        self.dir.path().join("tally")
    }

    /// Commits the program on main and starts a branch for the work.
    async fn committed(self) -> Self {
        commit(&self.repository()).await.expect("commit");
        git(&self.repository(), &["checkout", "--quiet", "-b", "work"]).await.expect("branch");
        self
    }

    async fn tests(&self) -> Ran {
        run_tests(&self.repository()).await.expect("the shell runs")
    }

    /// Runs an agent's script on a prompt, as the node does, and returns what it left as its result.
    async fn agent(&self, script: &str, prompt: &str) -> Option<ResultFile> {
        let file = |name: &str| self.dir.path().join(name);
        write(&file("prompt.md"), prompt).expect("prompt");
        let _ = fs::remove_file(file("result.json"));
        let status = tokio::process::Command::new("sh")
            .arg(file("agents").join(script))
            .stdout(std::process::Stdio::null())
            .current_dir(self.repository())
            .env("OCTOPOID_PROMPT_FILE", file("prompt.md"))
            .env("OCTOPOID_RESULT_FILE", file("result.json"))
            .env("OCTOPOID_BASE_BRANCH", MAIN)
            .envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1")])
            .envs([("GIT_AUTHOR_NAME", "a"), ("GIT_AUTHOR_EMAIL", "a@b"), ("GIT_COMMITTER_NAME", "a"), ("GIT_COMMITTER_EMAIL", "a@b")])
            .status()
            .await
            .expect("the shell runs");
        assert!(status.success(), "{script}: {status}");
        ResultFile::read(&file("result.json")).expect("a well-formed result")
    }
}

fn goal(name: &str) -> String {
    format!("# Task\n\n```\nText.\n\nDone when: tests/cases/{name}.sh passes\n```\n")
}

fn rejected(name: &str, reason: &str) -> String {
    format!("{}\n## Earlier attempts\n\n1-3fa9c2d1 ended: rejected.\n```\n{reason}\n```\n", goal(name))
}

#[tokio::test]
async fn the_program_fails_one_test_before_the_fix_and_none_after() {
    let bench = Bench::new().committed().await;
    let before = bench.tests().await;
    assert!(!before.success);
    assert_eq!(before.text.lines().filter(|line| line.starts_with("not ok  ")).count(), 1, "{}", before.text);
    assert!(before.text.contains("not ok  words-blanks"), "{}", before.text);
    let result = bench.agent("work.sh", &goal("words-blanks")).await.expect("a result");
    assert_eq!(result.outcome, Claim::Done);
    let after = bench.tests().await;
    assert!(after.success, "{}", after.text);
}

#[tokio::test]
async fn the_reviewer_rejects_the_first_attempt_and_its_reason_leads_to_the_second() {
    let bench = Bench::new().committed().await;
    bench.agent("work.sh", &goal("longest")).await;
    let verdict = bench.agent("review.sh", &goal("longest")).await.expect("a verdict");
    assert_eq!(verdict.outcome, Claim::Reject);
    let reason = verdict.reason.expect("a reason");
    assert!(reason.contains("not ok  longest") && reason.contains("not '5'"), "{reason}");
    assert!(!reason.contains("words-blanks"), "what failed before is not this work's fault: {reason}");
    bench.agent("work.sh", &rejected("longest", &reason)).await;
    let verdict = bench.agent("review.sh", &goal("longest")).await.expect("a verdict");
    assert_eq!(verdict.outcome, Claim::Accept, "{:?}", verdict.reason);
    let message = git(&bench.repository(), &["log", "-1", "--format=%B"]).await.expect("a commit");
    assert!(message.contains("The review said: not ok  longest"), "{message}");
}

#[tokio::test]
async fn the_reviewer_rejects_work_that_breaks_or_changes_a_test_or_misses_its_goal() {
    for (spoil, wanted) in [
        ("echo 'echo 7' >lib/lines.sh", "not ok  lines"),
        ("echo true >tests/cases/words-blanks.sh", "tests that were there before were changed"),
        ("rm tests/cases/chars.sh", "tests/cases/chars.sh is missing"),
    ] {
        let bench = Bench::new().committed().await;
        bench.agent("work.sh", &goal("chars")).await;
        write(&bench.dir.path().join("agents/spoil.sh"), &format!("set -e\n{spoil}\ngit commit --quiet --all --message spoil\n"))
            .expect("script");
        bench.agent("spoil.sh", "").await;
        let verdict = bench.agent("review.sh", &goal("chars")).await.expect("a verdict");
        assert_eq!(verdict.outcome, Claim::Reject, "{spoil}");
        assert!(verdict.reason.as_ref().is_some_and(|reason| reason.contains(wanted)), "{spoil}: {:?}", verdict.reason);
    }
}

#[tokio::test]
async fn all_changes_together_pass_every_test() {
    let bench = Bench::new().committed().await;
    for name in ["words-blanks", "longest", "chars"] {
        bench.agent("work.sh", &goal(name)).await;
    }
    bench.agent("work.sh", &rejected("longest", "ran tests/run.sh: not ok  longest: wrong")).await;
    for name in ["report", "readme"] {
        bench.agent("work.sh", &goal(name)).await;
    }
    let after = bench.tests().await;
    assert!(after.success, "{}", after.text);
    assert_eq!(after.text.lines().count(), 7, "{}", after.text);
}

#[tokio::test]
async fn the_plan_is_one_that_the_node_accepts_and_every_part_has_a_goal() {
    let bench = Bench::new();
    let plan = bench.agent("plan.sh", "").await.expect("a plan");
    assert_eq!(plan.outcome, Claim::Subtasks);
    assert_eq!(plan.subtasks.iter().map(|part| part.depends_on.clone()).collect::<Vec<_>>(), [vec![], vec![], vec![0, 1]]);
    for part in &plan.subtasks {
        let goal = part.body.lines().find_map(|line| line.strip_prefix("Done when: tests/cases/")?.strip_suffix(".sh passes"));
        let goal = goal.expect("a goal");
        assert!(SCRIPTS.iter().any(|(name, _)| *name == format!("changes/{goal}.sh")), "{goal}");
    }
}

#[test]
fn agents_are_defined_whatever_the_folder_is_called() {
    let dir = tempfile::tempdir().expect("folder");
    let layout = Layout::at(dir.path());
    let odd = Path::new("/tmp/o'dd \"folder\": #1");
    write(&layout.agents_file(), &agents_yaml(odd)).expect("agents.yaml");
    let (agents, warnings) = octopoid_node::config::AgentsFile::open(&layout).expect("valid");
    assert!(warnings.is_empty(), "{warnings:?}");
    let agents = &agents.agents().agents;
    assert_eq!(agents.iter().map(|agent| agent.role.as_str()).collect::<Vec<_>>(), ["breakdown", "implement", "fix", "docs", "review"]);
    let script = odd.join("plan.sh").to_string_lossy().into_owned();
    assert_eq!(agents[0].command, Some(vec!["sh".to_owned(), script]));
}
