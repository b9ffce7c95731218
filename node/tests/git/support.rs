//! Real repositories in temporary folders, away from the user's home and git configuration.

use std::{
    any::type_name,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use octopoid_crdt::ids::{AttemptName, Name, Oid, RecordId};
use octopoid_node::git::{Branch, Identity, MergeOutcome, MergeRequest, Reopened, Repository, Strategy, Worktree};
use tempfile::TempDir;

/// Marks the process in which a test's body runs.
const INSIDE: &str = "OCTOPOID_TEST_HOME";

/// Runs a test's body in a process of its own with an empty HOME.
///
/// libgit2 finds the user's configuration through HOME alone, and a test may not change its own environment while others run.
pub fn isolated<F: FnOnce()>(body: F) {
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let name = type_name::<F>();
    let name = name.strip_suffix("::{{closure}}").expect("a closure in a test");
    let (_, name) = name.split_once("::").expect("a test in a crate");
    let home = TempDir::new().expect("a home");
    let output = Command::new(std::env::current_exe().expect("the test program"))
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env_clear()
        .env("PATH", path_below(home.path()))
        .env("TMPDIR", std::env::temp_dir())
        .env("HOME", home.path())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env(INSIDE, home.path())
        .output()
        .expect("the test runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let all = format!("{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("1 passed"), "{name}:\n{all}");
}

/// Programs that a test writes to `bin` in its home are found first.
fn path_below(home: &Path) -> std::ffi::OsString {
    let path = std::env::var_os("PATH").expect("a PATH");
    std::env::join_paths(std::iter::once(home.join("bin")).chain(std::env::split_paths(&path))).expect("a PATH")
}

/// Writes a shell script that can be run.
pub fn script(folder: &Path, file: &str, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    write(folder, file, &format!("#!/bin/sh\n{text}\n"));
    fs::set_permissions(folder.join(file), fs::Permissions::from_mode(0o755)).expect("a mode");
}

/// Runs the `git` program for the test itself and returns its output.
pub fn git<S: AsRef<OsStr>>(folder: &Path, arguments: impl IntoIterator<Item = S>) -> String {
    let (ok, text) = try_git(folder, arguments);
    assert!(ok, "{text}");
    text.trim_end().to_owned()
}

pub fn try_git<S: AsRef<OsStr>>(folder: &Path, arguments: impl IntoIterator<Item = S>) -> (bool, String) {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(["-c", "user.name=Tester", "-c", "user.email=tester@localhost", "-c", "init.defaultBranch=main"])
        .args(arguments)
        .output()
        .expect("git runs");
    let text = String::from_utf8_lossy(if output.status.success() { &output.stdout } else { &output.stderr }).into_owned();
    (output.status.success(), text)
}

pub fn write(folder: &Path, file: &str, text: &str) {
    let path = folder.join(file);
    fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
    fs::write(path, text).expect("a file");
}

pub fn read(folder: &Path, file: &str) -> String {
    fs::read_to_string(folder.join(file)).expect("a file")
}

pub fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

pub fn branch(text: &str) -> Branch {
    text.parse().expect("a branch")
}

pub fn oid(text: &str) -> Oid {
    text.parse().expect("an object id")
}

/// Names the nth attempt.
pub fn attempt(number: u64) -> AttemptName {
    AttemptName { epoch: number, claim: [0xab, 0xcd, 0, u8::try_from(number).expect("few attempts")] }
}

/// Makes the id of the nth accept.
pub fn accept(number: u8) -> RecordId {
    RecordId([number; 32])
}

/// A repository with one commit on `main`, which is checked out.
pub struct Project {
    pub folder: TempDir,
    pub repository: Repository,
}

impl Project {
    pub fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let root = folder.path().join("project");
        fs::create_dir(&root).expect("a folder");
        git(&root, ["init", "-q"]);
        write(&root, "README", "start\n");
        write(&root, ".gitignore", ".octopoid/\n*.log\n");
        git(&root, ["add", "."]);
        git(&root, ["commit", "-qm", "start"]);
        let repository = Repository::open(&root).expect("a repository");
        Self { folder, repository }
    }

    /// As [`Project::new`], with a bare `origin` that has `main`.
    pub fn with_origin() -> Self {
        let project = Self::new();
        git(project.folder.path(), ["init", "-q", "--bare", "origin.git"]);
        let origin = project.origin();
        git(project.root(), ["remote", "add", "origin", origin.to_str().expect("utf-8")]);
        git(project.root(), ["push", "-q", "origin", "main"]);
        project
    }

    /// Clones `origin` into a sibling folder.
    pub fn clone_of_origin(&self, folder: &str) -> Repository {
        git(self.folder.path(), ["clone", "-q", "origin.git", folder]);
        Repository::open(&self.folder.path().join(folder)).expect("a clone")
    }

    pub fn origin(&self) -> PathBuf {
        self.folder.path().join("origin.git")
    }

    pub fn root(&self) -> &Path {
        self.repository.root()
    }

    pub fn worktrees(&self) -> PathBuf {
        self.root().join(".octopoid/worktrees")
    }

    pub fn tip(&self, name: &str) -> Oid {
        self.repository.branch_tip(&branch(name)).expect("a branch")
    }

    /// Leaves `main` without a checkout, so that merges move the branch alone.
    pub fn detach(&self) {
        git(self.root(), ["checkout", "-q", "--detach"]);
    }

    pub fn add(&self, task: &str, number: u64) -> Worktree {
        let base = self.tip("main");
        self.repository.add_worktree(&name(task), attempt(number), &base, &self.worktrees()).expect("a worktree")
    }

    /// Makes an attempt with one committed file and returns its worktree and head.
    pub fn work(&self, task: &str, number: u64, file: &str, text: &str) -> (Worktree, Oid) {
        let worktree = self.add(task, number);
        write(worktree.path(), file, text);
        let head = commit_all(&self.repository, &worktree).expect("work to commit");
        (worktree, head)
    }
}

pub fn commit_all(repository: &Repository, worktree: &Worktree) -> Option<Oid> {
    let agent = Identity::new("agent", "agent@localhost");
    repository.commit_all(worktree, "work of the agent", &agent, &Identity::octopoid()).expect("a commit")
}

static NOTHING: Reopened = Reopened { accepts: Vec::new(), attempts: Vec::new() };

/// What is undone when the accepts of these numbers are reopened.
pub fn undone(accepts: &[u8]) -> Reopened {
    Reopened { accepts: accepts.iter().map(|number| accept(*number)).collect(), attempts: Vec::new() }
}

/// A merge request with everything but the attempt filled in.
pub struct Ask<'a> {
    pub task: &'a str,
    pub number: u64,
    pub accept: u8,
    pub head: &'a Oid,
    pub base: Option<&'a Oid>,
    pub reopened: &'a Reopened,
    pub strategy: Strategy,
    pub title: &'a str,
}

impl<'a> Ask<'a> {
    pub fn new(task: &'a str, number: u64, head: &'a Oid) -> Self {
        let accept = u8::try_from(number).expect("few attempts");
        Self { task, number, accept, head, base: None, reopened: &NOTHING, strategy: Strategy::Local, title: "Do the work" }
    }

    pub fn at_origin(task: &'a str, number: u64, head: &'a Oid) -> Self {
        Self { strategy: Strategy::Origin, ..Self::new(task, number, head) }
    }

    pub fn merge(&self, repository: &Repository) -> MergeOutcome {
        self.try_merge(repository).expect("a merge")
    }

    pub fn try_merge(&self, repository: &Repository) -> Result<MergeOutcome, octopoid_node::git::MergeError> {
        repository.merge(&MergeRequest {
            task: &name(self.task),
            attempt: attempt(self.number),
            accept: accept(self.accept),
            base: self.base,
            head: Some(self.head),
            branch: &branch("main"),
            title: self.title,
            author: &Identity::new("agent", "agent@localhost"),
            reopened: self.reopened,
            strategy: self.strategy,
        })
    }
}

/// Returns the commit of a merge that was made.
pub fn merged(outcome: MergeOutcome) -> Oid {
    match outcome {
        MergeOutcome::Merged { commit, .. } => commit,
        other => panic!("not merged: {other:?}"),
    }
}

/// Counts the commits below a reference whose trailer names the task, as the `git` program reads trailers.
pub fn merges_of(folder: &Path, reference: &str, task: &str) -> usize {
    let format = "--format=%(trailers:key=Octopoid-Task,valueonly,separator=%x2C)";
    git(folder, ["log", format, reference]).lines().filter(|line| *line == task).count()
}
