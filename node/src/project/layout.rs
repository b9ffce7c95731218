//! Where the parts of a project lie, and how a command finds its project.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use octopoid_crdt::ids::{AttemptName, Name};

/// The folder's name in a repository.
const FOLDER: &str = ".octopoid";

/// The places of one project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
    dir: PathBuf,
}

/// States why no project was found.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// There is none here.
    #[error("no Octopoid project at {} or above it; run 'octopoid init' in the repository", .from.display())]
    NotInitialised {
        /// Where the search began.
        from: PathBuf,
    },
    /// The folder that `OCTOPOID_DIR` names is none of a project.
    #[error("OCTOPOID_DIR names {}, which holds no Octopoid project; run 'octopoid init' there, or unset it", .dir.display())]
    WrongVariable {
        /// What it names.
        dir: PathBuf,
    },
    /// The folder in which the search begins cannot be resolved.
    #[error("resolve {}", .from.display())]
    Unreachable {
        /// Where the search would have begun.
        from: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

impl FindError {
    /// Tells whether `octopoid init` is what is missing.
    #[must_use]
    pub const fn is_not_initialised(&self) -> bool {
        match self {
            Self::NotInitialised { .. } | Self::WrongVariable { .. } => true,
            Self::Unreachable { .. } => false,
        }
    }
}

impl Layout {
    /// Names the places of a project whose repository's work tree is `root`, whether or not they exist.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        Self { dir: root.join(FOLDER), root }
    }

    /// Finds the project of a folder: the nearest `.octopoid` at or above it that has a `runtime/`.
    ///
    /// A checkout of a repository that commits its `.octopoid/config.yaml` has no `runtime/`, so a command that an agent
    /// gives in its worktree finds the project that the worktree belongs to. `octopoid_dir` is the variable of that name: a
    /// project's root or the `.octopoid` folder itself; an empty one counts as unset.
    ///
    /// # Errors
    /// When there is no project, or the starting folder does not exist.
    pub fn find(start: &Path, octopoid_dir: Option<&OsStr>) -> Result<Self, FindError> {
        if let Some(named) = octopoid_dir.filter(|named| !named.is_empty()) {
            let dir = start.join(named);
            return Self::named(&dir).ok_or(FindError::WrongVariable { dir });
        }
        let from = start.canonicalize().map_err(|source| FindError::Unreachable { from: start.to_owned(), source })?;
        let found = from.ancestors().map(Self::at).find(Self::is_initialised);
        found.ok_or(FindError::NotInitialised { from })
    }

    /// Finds what [`super::uninit`] left of a project: the nearest `.octopoid` at or above a folder, with or without a `runtime/`.
    #[must_use]
    pub fn find_remains(start: &Path) -> Option<Self> {
        let from = start.canonicalize().ok()?;
        from.ancestors().map(Self::at).find(|layout| layout.dir.is_dir())
    }

    fn named(dir: &Path) -> Option<Self> {
        let dir = dir.canonicalize().ok()?;
        let above = if dir.file_name() == Some(OsStr::new(FOLDER)) { dir.parent().map(Self::at) } else { None };
        above.into_iter().chain([Self::at(dir)]).find(Self::is_initialised)
    }

    fn is_initialised(&self) -> bool {
        self.runtime_dir().is_dir()
    }

    /// Returns the repository's work tree.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the folder `.octopoid`.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the settings, which may be committed.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.dir.join("config.yaml")
    }

    /// Returns the agents' definitions, which may be committed.
    #[must_use]
    pub fn agents_file(&self) -> PathBuf {
        self.dir.join("agents.yaml")
    }

    /// Returns the folder of the prompts' templates.
    #[must_use]
    pub fn prompts_dir(&self) -> PathBuf {
        self.dir.join("prompts")
    }

    /// Returns the folder of custom flows.
    #[must_use]
    pub fn flows_dir(&self) -> PathBuf {
        self.dir.join("flows")
    }

    /// Returns the list of what git is not to see.
    #[must_use]
    pub fn ignore_file(&self) -> PathBuf {
        self.dir.join(".gitignore")
    }

    /// Returns the folder of this machine's state; mode 0700.
    #[must_use]
    pub fn runtime_dir(&self) -> PathBuf {
        self.dir.join("runtime")
    }

    /// Returns the store.
    #[must_use]
    pub fn store_file(&self) -> PathBuf {
        self.runtime_dir().join("octopoid.redb")
    }

    /// Returns the node's secret key; mode 0600.
    #[must_use]
    pub fn key_file(&self) -> PathBuf {
        self.runtime_dir().join("node.key")
    }

    /// Returns the token for the node's API; mode 0600.
    #[must_use]
    pub fn token_file(&self) -> PathBuf {
        self.runtime_dir().join("api.token")
    }

    /// Returns the file in which a running node says where it listens.
    #[must_use]
    pub fn node_file(&self) -> PathBuf {
        self.runtime_dir().join("node.json")
    }

    /// Returns the page that `octopoid dashboard --open` has opened, which leads to the running node with its token; mode 0600.
    #[must_use]
    pub fn dashboard_page(&self) -> PathBuf {
        self.runtime_dir().join("dashboard.html")
    }

    /// Returns the file with the running node's process number.
    #[must_use]
    pub fn pid_file(&self) -> PathBuf {
        self.runtime_dir().join("node.pid")
    }

    /// Returns the file that says who is paused.
    #[must_use]
    pub fn pauses_file(&self) -> PathBuf {
        self.runtime_dir().join("paused.json")
    }

    /// Returns the file with what all agents of this machine cost.
    #[must_use]
    pub fn spending_file(&self) -> PathBuf {
        self.runtime_dir().join("spending.json")
    }

    /// Returns the file that keeps where members can be reached.
    #[must_use]
    pub fn peers_file(&self) -> PathBuf {
        self.runtime_dir().join("peers.json")
    }

    /// Returns the file that holds the tasks that come along into another cluster.
    #[must_use]
    pub fn carry_over_file(&self) -> PathBuf {
        self.runtime_dir().join("carry-over.json")
    }

    /// Returns the folder that keeps verdicts of agents until the authority has written them.
    #[must_use]
    pub fn verdicts_dir(&self) -> PathBuf {
        self.runtime_dir().join("verdicts")
    }

    /// Returns the folder that keeps which branches `origin` does not have yet.
    #[must_use]
    pub fn unshared_dir(&self) -> PathBuf {
        self.runtime_dir().join("unshared")
    }

    /// Returns the file that keeps open invitations.
    #[must_use]
    pub fn invites_file(&self) -> PathBuf {
        self.runtime_dir().join("invites.json")
    }

    /// Returns the file that keeps the hash of the key with which machines join by this node's API.
    #[must_use]
    pub fn join_key_file(&self) -> PathBuf {
        self.runtime_dir().join("join.key")
    }

    /// Returns the file that counts the node's starts.
    #[must_use]
    pub fn starts_file(&self) -> PathBuf {
        self.runtime_dir().join("starts")
    }

    /// Returns this machine's own settings, which win over [`Self::config_file`].
    #[must_use]
    pub fn local_file(&self) -> PathBuf {
        self.runtime_dir().join("local.yaml")
    }

    /// Returns the folder with the files as init wrote them, by which uninit tells what was edited.
    pub(super) fn originals_dir(&self) -> PathBuf {
        self.runtime_dir().join("originals")
    }

    /// Returns the folder of logs; mode 0700.
    #[must_use]
    pub fn logs_dir(&self) -> PathBuf {
        self.dir.join("logs")
    }

    /// Returns the node's own log.
    #[must_use]
    pub fn node_log(&self) -> PathBuf {
        self.logs_dir().join("node.log")
    }

    /// Returns the folder of one attempt's output, prompt and result.
    #[must_use]
    pub fn attempt_logs(&self, task: &Name, attempt: &AttemptName) -> PathBuf {
        self.logs_dir().join("tasks").join(task.as_str()).join(attempt.to_string())
    }

    /// Returns the folder of worktrees.
    #[must_use]
    pub fn worktrees_dir(&self) -> PathBuf {
        self.dir.join("worktrees")
    }

    /// Returns one attempt's worktree.
    #[must_use]
    pub fn worktree(&self, task: &Name, attempt: &AttemptName) -> PathBuf {
        self.worktrees_dir().join(format!("{task}-{attempt}"))
    }

    /// Returns a path as it is shown to people: relative to the root where it lies below it.
    #[must_use]
    pub fn shown<'p>(&self, path: &'p Path) -> &'p Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }
}
