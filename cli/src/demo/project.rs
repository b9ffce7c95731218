//! The repository that the demo works on: a small shell program with a test that fails, and agents that are scripts.

use std::{
    fs,
    path::{Path, PathBuf},
};

use octopoid_node::{
    daemon::{self, InitRequest},
    project::Layout,
};

use super::{DemoError, git::git};

/// The branch that accepted work is merged to.
pub const MAIN: &str = "main";

/// The program's files, before anybody works on it.
pub const PROGRAM: [(&str, &str); 8] = [
    ("README.md", include_str!("files/program/README.md")),
    ("bin/tally", include_str!("files/program/bin/tally")),
    ("lib/lines.sh", include_str!("files/program/lib/lines.sh")),
    ("lib/words.sh", include_str!("files/program/lib/words.sh")),
    ("tests/run.sh", include_str!("files/program/tests/run.sh")),
    ("tests/expect.sh", include_str!("files/program/tests/expect.sh")),
    ("tests/cases/lines.sh", include_str!("files/program/tests/cases/lines.sh")),
    ("tests/cases/words.sh", include_str!("files/program/tests/cases/words.sh")),
];

/// The test that fails at first.
pub const FAILING: (&str, &str) = ("tests/cases/words-blanks.sh", include_str!("files/program/tests/cases/words-blanks.sh"));

/// What the agents are.
pub const SCRIPTS: [(&str, &str); 9] = [
    ("plan.sh", include_str!("files/agents/plan.sh")),
    ("subtasks.json", include_str!("files/agents/subtasks.json")),
    ("work.sh", include_str!("files/agents/work.sh")),
    ("review.sh", include_str!("files/agents/review.sh")),
    ("changes/words-blanks.sh", include_str!("files/agents/changes/words-blanks.sh")),
    ("changes/longest.sh", include_str!("files/agents/changes/longest.sh")),
    ("changes/chars.sh", include_str!("files/agents/changes/chars.sh")),
    ("changes/report.sh", include_str!("files/agents/changes/report.sh")),
    ("changes/readme.sh", include_str!("files/agents/changes/readme.sh")),
];

const AGENTS: &str = include_str!("files/agents/agents.yaml");

/// A demo's project and where its parts are.
#[derive(Debug)]
pub struct Project {
    /// The repository.
    pub repository: PathBuf,
    /// Where main is checked out anew at the end.
    pub checkout: PathBuf,
    /// The places of Octopoid's files.
    pub layout: Layout,
}

impl Project {
    /// Makes the repository, initialises Octopoid in it, and defines the agents.
    pub async fn make(scratch: &Path) -> Result<Self, DemoError> {
        let (repository, agents) = (scratch.join("tally"), scratch.join("agents"));
        write_all(&repository, PROGRAM.iter().chain([&FAILING]))?;
        write_all(&agents, &SCRIPTS)?;
        commit(&repository).await?;
        let request = InitRequest { machine_id: Some("demo".to_owned()), api_port: Some(0) };
        daemon::init(&repository, &request).map_err(|error| DemoError::Init(Box::new(error)))?;
        let layout = Layout::at(&repository);
        write(&layout.agents_file(), &agents_yaml(&agents))?;
        Ok(Self { checkout: scratch.join("checkout"), layout, repository })
    }
}

/// Puts the program into a repository of its own.
pub(super) async fn commit(repository: &Path) -> Result<(), DemoError> {
    git(repository, &["init", "--quiet"]).await?;
    // `init -b` is younger than some gits that are in use.
    git(repository, &["symbolic-ref", "HEAD", &format!("refs/heads/{MAIN}")]).await?;
    // The node's checkouts read the user's settings too, and a shell takes no CR at a line's end.
    git(repository, &["config", "core.autocrlf", "false"]).await?;
    git(repository, &["add", "--all"]).await?;
    let name = ["-c", "user.name=Demo", "-c", "user.email=demo@octopoid.invalid"];
    git(repository, &[&name[..], &["commit", "--quiet", "--message", "tally: count lines and words"]].concat()).await?;
    Ok(())
}

/// Writes agents.yaml with the paths of the scripts.
fn agents_yaml(agents: &Path) -> String {
    with_scripts(AGENTS, agents)
}

/// Puts the paths of the scripts into agents.yaml.
pub(super) fn with_scripts(text: &str, agents: &Path) -> String {
    ["plan", "work", "review"]
        .iter()
        .fold(text.to_owned(), |text, name| text.replace(&format!("@{name}@"), &quoted(&agents.join(format!("{name}.sh")))))
}

/// Writes a path into YAML: a string of JSON is one of YAML, whatever the path holds.
pub(super) fn quoted(path: &Path) -> String {
    serde_json::Value::from(path.to_string_lossy()).to_string()
}

pub(super) fn write_all<'f>(folder: &Path, files: impl IntoIterator<Item = &'f (&'f str, &'f str)>) -> Result<(), DemoError> {
    files.into_iter().try_for_each(|(name, text)| write(&folder.join(name), text))
}

pub(super) fn write(path: &Path, text: &str) -> Result<(), DemoError> {
    let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(path, text));
    written.map_err(|source| DemoError::Write { path: path.to_owned(), source })
}

#[cfg(test)]
#[path = "project_tests.rs"]
mod tests;
