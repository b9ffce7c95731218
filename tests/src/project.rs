//! A project in a scratch folder, with a repository of its own.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use octopoid_client::{Client, Task};
use tempfile::TempDir;

use crate::{Agent, Node, PATIENCE, Said, command, octopoid, terminal, until, until_within};

/// What a merged task's commit names.
const TRAILERS: &str = "--format=%(trailers:key=Octopoid-Task,valueonly,separator=%x2C)";

/// A repository with one commit on `main`, made an Octopoid project; its node, while one runs.
#[derive(Debug)]
pub struct Project {
    // Dropped before the folder, so that nothing works in it any more.
    node: Option<Node>,
    environment: Vec<(String, String)>,
    /// The network namespace that `octopoid` runs in, if not the test's own.
    namespace: Option<String>,
    root: TempDir,
}

impl Project {
    /// Makes a repository with one commit and initialises it. It has no agents yet.
    ///
    /// # Panics
    /// When that fails.
    #[must_use]
    pub fn new() -> Self {
        Self::new_in(&std::env::temp_dir())
    }

    /// Makes what [`Self::new`] does in a folder of the test's choice, such as a small disk.
    ///
    /// # Panics
    /// When that fails.
    #[must_use]
    pub fn new_in(folder: &Path) -> Self {
        let project = Self::repository_in(folder);
        let _ = project.run(&["init", "--machine-id", "here", "--api-port", "0"]).ok();
        project.agents(&[]);
        project
    }

    /// Makes a repository with one commit that is no project yet.
    ///
    /// # Panics
    /// When that fails.
    #[must_use]
    pub fn repository() -> Self {
        Self::repository_in(&std::env::temp_dir())
    }

    fn repository_in(folder: &Path) -> Self {
        let root = tempfile::tempdir_in(folder).expect("scratch folder");
        let project = Self { node: None, environment: Vec::new(), namespace: None, root };
        for folder in [project.repo(), project.home(), project.table()] {
            fs::create_dir_all(folder).expect("folder");
        }
        project.git(&["init", "-q", "-b", "main"]);
        project.write("README", "a repository\n");
        project.commit("first");
        project
    }

    /// Clones another project's repository, with no remote; it is no project yet.
    ///
    /// # Panics
    /// When that fails.
    #[must_use]
    pub fn clone_of(other: &Self) -> Self {
        let project = Self { node: None, environment: Vec::new(), namespace: None, root: tempfile::tempdir().expect("scratch folder") };
        for folder in [project.home(), project.table()] {
            fs::create_dir_all(folder).expect("folder");
        }
        let output = command("git", project.root.path(), &project.home()).args(["clone", "-q"]).arg(other.repo()).arg("repo").output();
        let _ = Said::new("git clone".to_owned(), output.expect("git runs")).ok();
        project.git(&["remote", "remove", "origin"]);
        project
    }

    /// Tells whether its node was started and not ended.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.node.is_some()
    }

    /// The repository's work tree.
    #[must_use]
    pub fn repo(&self) -> PathBuf {
        self.root.path().join("repo")
    }

    /// The home folder of everything that the project runs.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    /// The folder that agents and the test share.
    #[must_use]
    pub fn table(&self) -> PathBuf {
        self.root.path().join("table")
    }

    /// The project's folder.
    #[must_use]
    pub fn dir(&self) -> PathBuf {
        self.repo().join(".octopoid")
    }

    /// Writes agents.yaml and the scripts in it.
    ///
    /// # Panics
    /// When a file cannot be written.
    pub fn agents(&self, agents: &[Agent]) {
        let scripts = self.root.path().join("scripts");
        let list: Vec<String> = agents.iter().map(|agent| agent.write(&scripts, &self.table()).expect("script")).collect();
        let text = if list.is_empty() { "agents: []\n".to_owned() } else { format!("agents:\n{}", list.concat()) };
        self.write(".octopoid/agents.yaml", &text);
    }

    /// Replaces a text of config.yaml.
    ///
    /// # Panics
    /// When it is not there.
    pub fn configure(&self, old: &str, new: &str) {
        let path = self.dir().join("config.yaml");
        let text = fs::read_to_string(&path).expect("config.yaml");
        assert!(text.contains(old), "config.yaml has no '{old}':\n{text}");
        fs::write(path, text.replacen(old, new, 1)).expect("config.yaml");
    }

    /// Writes a file of the repository, and the folders that lead to it.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.repo().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("folder");
        fs::write(path, text).expect("written");
    }

    /// Reads a file of the repository.
    ///
    /// # Panics
    /// When it is not there.
    #[must_use]
    pub fn read(&self, path: impl AsRef<Path>) -> String {
        let path = self.repo().join(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Puts a file on the table, for which a script waits.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn put(&self, name: &str) {
        fs::write(self.table().join(name), "").expect("written");
    }

    /// Reads what scripts noted on the table; nothing when they did not.
    #[must_use]
    pub fn noted(&self, name: &str) -> String {
        fs::read_to_string(self.table().join(name)).unwrap_or_default()
    }

    /// Runs git in the repository and returns what it says.
    ///
    /// # Panics
    /// When git fails.
    pub fn git(&self, args: &[&str]) -> String {
        let output = command("git", &self.repo(), &self.home()).args(args).stdin(Stdio::null()).output().expect("git runs");
        Said::new(format!("git {}", args.join(" ")), output).ok().to_owned()
    }

    /// Commits everything but the project's folder.
    pub fn commit(&self, message: &str) {
        self.git(&["add", "--", ".", ":!.octopoid"]);
        self.git(&["commit", "-q", "-m", message]);
    }

    /// Returns the tasks that were merged to `main`, the first one first.
    #[must_use]
    pub fn merged(&self) -> Vec<String> {
        let log = self.git(&["log", "--reverse", "--first-parent", TRAILERS, "main"]);
        log.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }

    /// Runs `octopoid` and returns what it said.
    ///
    /// # Panics
    /// When it cannot be run.
    #[must_use]
    pub fn run(&self, args: &[&str]) -> Said {
        let output = self.command().args(args).stdin(Stdio::null()).output().expect("octopoid runs");
        Said::new(format!("octopoid {}", args.join(" ")), output)
    }

    /// Runs `octopoid` as [`Self::run`] does, with a terminal on which a person types one line.
    ///
    /// # Panics
    /// When it cannot be run.
    #[must_use]
    pub fn run_on_a_terminal(&self, args: &[&str], line: &str) -> Said {
        let (_person, terminal) = terminal(line);
        let output = self.command().args(args).stdin(terminal).output().expect("octopoid runs");
        Said::new(format!("octopoid {} (typed: {line})", args.join(" ")), output)
    }

    /// Prepares a call of `octopoid`.
    #[must_use]
    pub fn command(&self) -> std::process::Command {
        let mut prepared = self.prepared(octopoid().as_os_str());
        prepared.envs(self.environment.iter().map(|(name, value)| (name, value)));
        prepared
    }

    /// Prepares a program to run where `octopoid` runs.
    #[must_use]
    pub fn prepared(&self, program: impl AsRef<OsStr>) -> std::process::Command {
        let Some(namespace) = &self.namespace else { return command(program, &self.repo(), &self.home()) };
        let mut prepared = command("ip", &self.repo(), &self.home());
        prepared.args(["netns", "exec", namespace]).arg(program);
        prepared
    }

    /// Runs `octopoid` in a network namespace from now on.
    pub fn move_to(&mut self, namespace: &str) {
        self.namespace = Some(namespace.to_owned());
    }

    /// Sets a variable for every further call of `octopoid`, nodes included.
    pub fn set_env(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Queues a task with further arguments and returns its id.
    #[must_use]
    pub fn enqueue(&self, title: &str, args: &[&str]) -> String {
        let mut all = vec!["enqueue", title];
        all.extend(args);
        self.run(&all).ok().to_owned()
    }

    /// Starts a node and waits until it serves.
    pub async fn start(&mut self) -> &Node {
        self.start_with(&[]).await
    }

    /// Starts a node with further arguments and waits until it serves.
    ///
    /// # Panics
    /// When it does not.
    pub async fn start_with(&mut self, args: &[&str]) -> &Node {
        assert!(self.node.is_none(), "a node runs already");
        let mut command = self.command();
        command.arg("start").args(args);
        match Node::start(command, &self.dir().join("runtime"), &self.root.path().join("node.stderr")).await {
            Ok(node) => self.node.insert(node),
            Err(seen) => panic!("the node does not serve: {seen}\n{}", self.logs()),
        }
    }

    /// Returns the node that runs.
    ///
    /// # Panics
    /// When none does.
    #[must_use]
    pub fn node(&self) -> &Node {
        self.node.as_ref().expect("a node runs")
    }

    /// Takes the node, to end it.
    ///
    /// # Panics
    /// When none runs.
    pub fn take_node(&mut self) -> Node {
        self.node.take().expect("a node runs")
    }

    /// Ends the node by `octopoid stop` with further arguments.
    ///
    /// # Panics
    /// When it does not end well.
    pub async fn stop(&mut self, args: &[&str]) {
        let mut all = vec!["stop"];
        all.extend(args);
        let _ = self.run(&all).ok();
        let status = self.take_node().ended().await.unwrap_or_else(|seen| panic!("{seen}\n{}", self.logs()));
        assert!(status.success(), "the node ended with {status}\n{}", self.logs());
    }

    /// Returns a client of the node that runs.
    #[must_use]
    pub fn client(&self) -> &Client {
        self.node().client()
    }

    /// Reads a task from the node that runs.
    ///
    /// # Panics
    /// When it is not there.
    pub async fn task(&self, id: &str) -> Task {
        self.client().task(id).await.unwrap_or_else(|error| panic!("{id}: {error}\n{}", self.logs()))
    }

    /// Waits until a task is as it should be.
    ///
    /// # Panics
    /// When it never is.
    pub async fn until_task(&self, id: &str, what: &str, mut is: impl FnMut(&Task) -> bool) -> Task {
        let look = async || {
            let task = self.client().task(id).await.map_err(|error| error.to_string())?;
            if is(&task) { Ok(task) } else { Err(format!("{task:#?}")) }
        };
        self.told(&format!("{id} {what}"), until(look).await)
    }

    /// Waits until a task is in a queue.
    pub async fn until_in(&self, id: &str, queue: &str) -> Task {
        self.until_task(id, &format!("in {queue}"), |task| task.queue == queue).await
    }

    /// Waits until a task is done and on `main`.
    pub async fn until_merged(&self, id: &str) -> Task {
        self.until_task(id, "merged", |task| task.queue == "done" && task.merged_commit.is_some()).await
    }

    /// Waits until scripts have noted so many lines.
    pub async fn until_noted(&self, name: &str, lines: usize) -> Vec<String> {
        self.until(&format!("{lines} lines in {name}"), async || {
            let noted: Vec<String> = self.noted(name).lines().map(str::to_owned).collect();
            if noted.len() >= lines { Ok(noted) } else { Err(format!("{noted:?}")) }
        })
        .await
    }

    /// Waits until `look` finds something.
    ///
    /// # Panics
    /// When it never does; the message has what it saw last and the node's log.
    pub async fn until<T>(&self, what: &str, look: impl AsyncFnMut() -> Result<T, String>) -> T {
        self.until_within(PATIENCE, what, look).await
    }

    /// Waits as [`Self::until`] does, for what takes its time by design.
    ///
    /// # Panics
    /// When it never comes about; the message has what it saw last and the node's log.
    pub async fn until_within<T>(&self, limit: Duration, what: &str, look: impl AsyncFnMut() -> Result<T, String>) -> T {
        let found = until_within(limit, look).await;
        self.told(what, found)
    }

    fn told<T>(&self, what: &str, found: Result<T, String>) -> T {
        found.unwrap_or_else(|seen| panic!("never came about: {what}\nlast seen: {seen}\n{}", self.logs()))
    }

    /// Returns the folder of an attempt's prompt, result and logs.
    #[must_use]
    pub fn attempt_dir(&self, task: &str, attempt: &str) -> PathBuf {
        self.dir().join("logs/tasks").join(task).join(attempt)
    }

    /// Returns the names of the worktrees that are there.
    #[must_use]
    pub fn worktrees(&self) -> Vec<String> {
        let entries = fs::read_dir(self.dir().join("worktrees")).expect("worktrees");
        entries.map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned()).collect()
    }

    /// Returns what nodes of this project wrote to stderr.
    #[must_use]
    pub fn node_said(&self) -> String {
        fs::read_to_string(self.root.path().join("node.stderr")).unwrap_or_default()
    }

    /// Returns the node's whole log.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir().join("logs/node.log")).unwrap_or_default()
    }

    /// Returns the end of what the node wrote, for messages.
    #[must_use]
    pub fn logs(&self) -> String {
        let tail = |path: PathBuf| {
            let text = fs::read_to_string(path).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(60)..].join("\n")
        };
        format!("--- node.log\n{}\n--- stderr\n{}", tail(self.dir().join("logs/node.log")), tail(self.root.path().join("node.stderr")))
    }
}

impl Default for Project {
    fn default() -> Self {
        Self::new()
    }
}
