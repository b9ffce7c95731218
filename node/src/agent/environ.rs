//! The environment of an agent, built from an empty one.
//!
//! **Invariants**
//! - No variable of the node's own environment is passed unless a rule here names it; `OCTOPOID_*` never is, so the node's
//!   key, token and folder cannot leak through the environment.
//! - Variables of the task cannot be changed by configuration.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    path::PathBuf,
};

use octopoid_crdt::ids::{AttemptName, Name};

/// The variable that marks every process of one attempt, so that one that left its group and session is still found.
pub const TOKEN_VARIABLE: &str = "OCTOPOID_ATTEMPT_TOKEN";

/// What is passed from the node's environment. Patterns know `*` only.
const PASSED: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "LC_*",
    "TZ",
    "TMPDIR",
    "ANTHROPIC_*",
    "CLAUDE_*",
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "NO_PROXY",
    "no_proxy",
    "SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
    "AWS_*",
    "GOOGLE_*",
    "SSH_AUTH_SOCK",
];

/// What no configuration passes or sets: `CLAUDECODE` makes Claude Code believe that it runs inside itself, `OCTOPOID_*`
/// may hold the node's key, and git's own variables would send the agent's commits to another repository.
const NEVER: &[&str] = &[
    "CLAUDECODE",
    "OCTOPOID_*",
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
];

/// The names by which agents written for earlier versions know their task.
const FORMER_NAMES: &[&str] = &["AGENT_NAME", "AGENT_ROLE", "CURRENT_TASK_ID"];

/// Who git shall name as author and committer of what the agent commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitIdentity {
    /// The name, such as `implementer-1 (octopoid)`.
    pub name: String,
    /// The mail address.
    pub email: String,
}

/// What an agent is told about its task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskVariables {
    /// The task.
    pub task: Name,
    /// The agent's name in agents.yaml.
    pub agent: String,
    /// The agent's role.
    pub role: String,
    /// The attempt; its epoch is passed too.
    pub attempt: AttemptName,
    /// The worktree, which is also the working directory.
    pub worktree: PathBuf,
    /// The branch that is checked out there.
    pub branch: String,
    /// The branch that the work starts from.
    pub base_branch: String,
    /// The file that holds the prompt.
    pub prompt_file: PathBuf,
    /// Where the agent may leave a [`ResultFile`](super::ResultFile).
    pub result_file: PathBuf,
}

/// The variables of one agent, by name.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
    refused: Vec<String>,
}

impl Environment {
    /// Builds the environment of an agent.
    ///
    /// `parent` is the node's environment, of which only the listed variables and those that match `pass` are taken; `set`
    /// is `env` of agents.yaml and wins over both and over `identity`, so that a user can commit under another name.
    #[must_use]
    pub fn build(
        parent: impl IntoIterator<Item = (OsString, OsString)>,
        pass: &[String],
        set: &BTreeMap<String, String>,
        identity: &GitIdentity,
        task: &TaskVariables,
    ) -> Self {
        let mut environment = Self::default();
        for (name, value) in parent {
            let listed = matches_any(PASSED, &name) || pass.iter().any(|glob| glob_matches(glob.as_bytes(), name.as_bytes()));
            if listed && !matches_any(NEVER, &name) {
                environment.variables.insert(name, value);
            }
        }
        for role in ["AUTHOR", "COMMITTER"] {
            environment.variables.insert(format!("GIT_{role}_NAME").into(), identity.name.clone().into());
            environment.variables.insert(format!("GIT_{role}_EMAIL").into(), identity.email.clone().into());
        }
        for (name, value) in set {
            if is_settable(name, value) {
                environment.variables.insert(name.into(), value.into());
            } else {
                environment.refused.push(name.clone());
            }
        }
        environment.variables.extend(task_variables(task));
        environment
    }

    /// Returns the names in `env` of agents.yaml that were not set, because they are reserved or malformed. Worth a warning.
    #[must_use]
    pub fn refused(&self) -> &[String] {
        &self.refused
    }

    /// Returns a variable's value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// Iterates over the variables in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.variables.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }

    /// Adds the marker of the attempt; done by the launch, because a process without it cannot be found again.
    pub(super) fn mark(&mut self, token: &super::Token) {
        self.variables.insert(TOKEN_VARIABLE.into(), token.as_str().into());
    }
}

/// Shows names only: values may be the user's secrets.
impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment").field("names", &self.variables.keys()).field("refused", &self.refused).finish()
    }
}

fn task_variables(task: &TaskVariables) -> [(OsString, OsString); 12] {
    let text = |name: &str, value: &str| (OsString::from(name), OsString::from(value));
    let path = |name: &str, value: &PathBuf| (OsString::from(name), OsString::from(value));
    [
        text("OCTOPOID_TASK_ID", task.task.as_str()),
        text("OCTOPOID_ROLE", &task.role),
        text("OCTOPOID_EPOCH", &task.attempt.epoch.to_string()),
        text("OCTOPOID_ATTEMPT", &task.attempt.to_string()),
        path("OCTOPOID_WORKTREE", &task.worktree),
        text("OCTOPOID_BRANCH", &task.branch),
        text("OCTOPOID_BASE_BRANCH", &task.base_branch),
        path("OCTOPOID_PROMPT_FILE", &task.prompt_file),
        path("OCTOPOID_RESULT_FILE", &task.result_file),
        text("AGENT_NAME", &task.agent),
        text("AGENT_ROLE", &task.role),
        text("CURRENT_TASK_ID", task.task.as_str()),
    ]
}

fn is_settable(name: &str, value: &str) -> bool {
    let well_formed = !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0');
    well_formed && !FORMER_NAMES.contains(&name) && !matches_any(NEVER, OsStr::new(name))
}

fn matches_any(patterns: &[&str], name: &OsStr) -> bool {
    patterns.iter().any(|pattern| glob_matches(pattern.as_bytes(), name.as_bytes()))
}

/// Tells whether `name` matches `glob`, in which `*` stands for any bytes and `?` for one.
///
/// Goes back to the last star only, so the cost is at most the product of both lengths.
fn glob_matches(glob: &[u8], name: &[u8]) -> bool {
    let (mut g, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match glob.get(g) {
            Some(b'*') => {
                star = Some((g, n));
                g += 1;
            }
            Some(&byte) if byte == b'?' || byte == name[n] => {
                g += 1;
                n += 1;
            }
            Some(_) | None => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    g = at + 1;
                    n = from + 1;
                }
                None => return false,
            },
        }
    }
    glob[g..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
#[path = "environ_tests.rs"]
mod tests;
