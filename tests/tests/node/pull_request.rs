//! Accepted work that goes through a pull request: `gh` is a script, `origin` is a real bare repository.

use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};

use octopoid_tests::{Agent, Project};

use super::whole_job::WORK;

/// Keeps a pull request for each branch in files of the table and notes every call.
const GH: &str = r#"#!/bin/sh
set -eu
T="@TABLE@"
echo "$*" >> "$T/gh-calls"
case "$1 $2" in
  "auth status") exit 0 ;;
  "pr create")
    printf '%s' "$4" > "$T/pr-branch"; echo "https://github.com/o/r/pull/7" ;;
  "pr view")
    [ -e "$T/pr-branch" ] && [ "$(cat "$T/pr-branch")" = "$3" ] || { echo "no pull requests found" >&2; exit 1; }
    if [ -e "$T/pr-merged" ]; then
      echo "{\"state\":\"MERGED\",\"url\":\"https://github.com/o/r/pull/7\",\"number\":7,\"mergeCommit\":{\"oid\":\"$(cat "$T/pr-merged")\"}}"
    elif [ -e "$T/pr-closed" ]; then
      echo '{"state":"CLOSED","url":"https://github.com/o/r/pull/7","number":7,"mergeCommit":null}'
    else
      echo '{"state":"OPEN","url":"https://github.com/o/r/pull/7","number":7,"mergeCommit":null}'
    fi ;;
  *) echo "unknown call: $*" >&2; exit 2 ;;
esac
"#;

/// Makes a project with `repo.merge: pr`, a `gh` first on PATH and a bare `origin` that holds `main`.
fn with_pull_requests() -> Project {
    let mut project = Project::new();
    project.configure("merge: auto", "merge: pr");
    let bin = project.table().join("bin");
    fs::create_dir_all(&bin).expect("a folder");
    let table = project.table();
    fs::write(bin.join("gh"), GH.replace("@TABLE@", table.to_str().expect("UTF-8"))).expect("written");
    fs::set_permissions(bin.join("gh"), fs::Permissions::from_mode(0o755)).expect("executable");
    project.set_env("PATH", &format!("{}:{}", bin.display(), std::env::var("PATH").expect("PATH")));
    let bare = origin(&project);
    project.git(&["init", "-q", "--bare", "-b", "main", &bare]);
    project.git(&["remote", "add", "origin", &bare]);
    project.git(&["push", "-q", "origin", "main"]);
    project
}

fn origin(project: &Project) -> String {
    project.table().join("origin.git").to_str().expect("UTF-8").to_owned()
}

/// Merges the pull request as somebody does on the web: in origin alone.
fn merge_on_the_web(project: &Project) -> String {
    let branch = project.noted("pr-branch");
    let clone = project.table().join("web").to_str().expect("UTF-8").to_owned();
    project.git(&["clone", "-q", &origin(project), &clone]);
    project.git(&["-C", &clone, "merge", "-q", "--no-ff", "-m", "Merge pull request #7", &format!("origin/{branch}")]);
    project.git(&["-C", &clone, "push", "-q", "origin", "main"]);
    let commit = project.git(&["-C", &clone, "rev-parse", "main"]);
    fs::write(project.table().join("pr-merged"), &commit).expect("written");
    commit
}

#[tokio::test]
async fn a_blocker_blocks_until_its_pull_request_is_merged_and_what_waited_starts_from_it() {
    let mut project = with_pull_requests();
    let worker = format!(r#"ls > "$TABLE/files-$OCTOPOID_TASK_ID"; {WORK}"#);
    project.agents(&[Agent::new("worker", "implement", &worker), Agent::approver("judge")]);
    let first = project.enqueue("First", &[]);
    let second = project.enqueue("Second", &["--blocked-by", &first]);
    project.start_with(&["--tick-interval", "200"]).await;
    let open = |task: &octopoid_client::Task| task.awaiting_merge.as_ref().is_some_and(|why| why.contains("pull/7 waits to be merged"));
    let task = project.until_task(&first, "in a pull request", open).await;
    assert_eq!(task.queue, "done");
    let branch = project.noted("pr-branch");
    assert_eq!(branch, format!("octopoid/{first}/{}", task.attempt.expect("attempt")));
    assert_eq!(project.git(&["rev-parse", &branch]), project.git(&["-C", &origin(&project), "rev-parse", &branch]), "it was pushed");
    assert_eq!(project.git(&["rev-parse", "main"]), project.git(&["-C", &origin(&project), "rev-parse", "main"]), "nothing was merged");
    assert!(project.run(&["status"]).ok().contains("pull/7"));

    assert_eq!((task.pr_number, task.pr_url.as_deref()), (Some(7), Some("https://github.com/o/r/pull/7")));

    // The next question is a minute away, and the other task still waits after it.
    let asked = || project.noted("gh-calls").lines().filter(|call| call.starts_with("pr view")).count();
    assert_eq!(asked(), 1, "once, before it was opened: {}", project.noted("gh-calls"));
    let again = async || if asked() > 1 { Ok(()) } else { Err(project.noted("gh-calls")) };
    octopoid_tests::until_within(Duration::from_secs(120), again).await.expect("it is asked for again");
    let waiting = project.task(&second).await;
    assert_eq!((waiting.queue.as_str(), waiting.epoch, waiting.blocked_by.as_deref()), ("incoming", 0, Some(first.as_str())));
    assert_eq!(asked(), 2, "and not more often: {}", project.noted("gh-calls"));

    let commit = merge_on_the_web(&project);
    // A start asks at once.
    project.stop(&[]).await;
    project.start_with(&["--tick-interval", "200"]).await;
    let task = project.until_merged(&first).await;
    assert_eq!(task.merged_commit.as_deref(), Some(commit.as_str()));
    assert_eq!(project.git(&["rev-parse", "main"]), commit, "the local branch followed");
    project.until_in(&second, "done").await;
    assert!(project.noted(&format!("files-{second}")).contains(&format!("work-{first}")), "it is built on what was merged");
    assert_eq!(project.merged(), Vec::<String>::new(), "octopoid merged nothing itself");
}

#[tokio::test]
async fn what_waited_starts_from_the_merge_also_when_the_users_checkout_could_not_follow() {
    let mut project = with_pull_requests();
    let worker = format!(r#"ls > "$TABLE/files-$OCTOPOID_TASK_ID"; echo more >> README; {WORK}"#);
    project.agents(&[Agent::new("worker", "implement", &worker), Agent::approver("judge")]);
    project.write("README", "being edited\n");
    let first = project.enqueue("First", &[]);
    let second = project.enqueue("Second", &["--blocked-by", &first]);
    project.start().await;
    project.until_in(&first, "done").await;
    project.until_noted("pr-branch", 1).await;
    let commit = merge_on_the_web(&project);
    project.stop(&[]).await;
    project.start().await;
    project.until_merged(&first).await;
    let task = project.until_in(&second, "done").await;
    assert!(project.noted(&format!("files-{second}")).contains(&format!("work-{first}")), "it is built on what was merged");
    assert_eq!(project.read("README"), "being edited\n", "the checkout was left alone");
    assert_ne!(project.git(&["rev-parse", "main"]), commit);
    let attempts = project.client().attempts(&second).await.expect("attempts").attempts;
    assert_eq!((attempts[0].base.as_deref(), attempts[0].commits_count), (Some(commit.as_str()), Some(1)), "{attempts:#?} {task:#?}");
}

#[tokio::test]
async fn a_closed_pull_request_and_a_gh_that_fails_are_told_with_what_to_do() {
    let mut project = with_pull_requests();
    project.agents(&[Agent::new("worker", "implement", WORK), Agent::approver("judge")]);
    let id = project.enqueue("First", &[]);
    project.start().await;
    project.until_in(&id, "done").await;
    project.until_noted("pr-branch", 1).await;
    project.put("pr-closed");
    project.stop(&[]).await;
    project.start().await;
    let told = |text: &'static str| move |task: &octopoid_client::Task| task.awaiting_merge.as_ref().is_some_and(|why| why.contains(text));
    project.until_task(&id, "closed", told("was closed without a merge")).await;
    assert!(project.run(&["status"]).ok().contains(&format!("octopoid requeue {id} --reopen")));
    project.stop(&[]).await;
    fs::write(project.table().join("bin/gh"), "#!/bin/sh\necho 'gh: not logged in' >&2; exit 4\n").expect("written");
    project.start().await;
    project.until_task(&id, "not reached", told("gh: not logged in")).await;
}
