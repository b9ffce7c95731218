//! Makes a project of a repository: looks at what is there, then writes `.octopoid`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use octopoid_crdt::ids::{IdError, Name};

use super::identity::{self, KeyError};
use crate::config::find_program;
use crate::git::{self, Repository, looks_like_github};
use crate::project::{self, Found, InitOptions, InitReport, Layout, Remote};

/// What `octopoid init` is asked for.
#[derive(Debug, Clone, Default)]
pub struct InitRequest {
    /// This machine's name; the host's name where none is given.
    pub machine_id: Option<String>,
    /// A fixed port for the API.
    pub api_port: Option<u16>,
}

/// What init made.
#[derive(Debug, Clone)]
pub struct Initialised {
    /// The repository's work tree.
    pub root: PathBuf,
    /// This machine's name.
    pub machine_id: String,
    /// What was made and kept.
    pub report: InitReport,
}

/// States why a project could not be made.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// There is no usable repository.
    #[error(transparent)]
    Repository(#[from] git::OpenError),
    /// The machine's name is none.
    #[error("--machine-id")]
    MachineId(#[source] IdError),
    /// The folder could not be made.
    #[error(transparent)]
    Project(#[from] project::InitError),
    /// The key could not be made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The system gives no randomness.
    #[error("the system gives no randomness")]
    Random(#[source] getrandom::Error),
}

impl InitError {
    /// Tells whether a flag has a value that it cannot have.
    #[must_use]
    pub const fn is_wrong_use(&self) -> bool {
        match self {
            Self::MachineId(_) => true,
            Self::Repository(_) | Self::Project(_) | Self::Key(_) | Self::Random(_) => false,
        }
    }
}

/// Makes the project of the repository that holds a folder. Harmless when repeated.
///
/// # Errors
/// When there is no repository with a commit, or the folder cannot be written.
pub fn init(start: &Path, request: &InitRequest) -> Result<Initialised, InitError> {
    let root = work_tree(start);
    let repository = Repository::open(&root)?;
    let machine_id = request.machine_id.as_deref().map(str::parse::<Name>).transpose().map_err(InitError::MachineId)?;
    let hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(InitError::Random)?;
    let found = look(&repository, hostname.clone());
    let options = InitOptions { machine_id: machine_id.clone(), api_port: request.api_port, found, random };
    let report = project::init(&root, &options)?;
    let layout = Layout::at(&root);
    let root_commit = repository.root_commit().ok();
    identity::load(&layout.key_file(), &layout.store_file(), root_commit)?;
    // A repeated init that names no machine keeps the name of the first.
    let kept = || crate::config::load(&layout).ok().and_then(|(config, _)| config.server.machine_id);
    let machine = machine_id.or_else(kept).unwrap_or_else(|| project::machine_name(&hostname));
    Ok(Initialised { root, machine_id: machine.to_string(), report })
}

/// Finds the work tree that holds a folder: the nearest one upward with a `.git`.
fn work_tree(start: &Path) -> PathBuf {
    start.ancestors().find(|folder| folder.join(".git").exists()).unwrap_or(start).to_owned()
}

fn look(repository: &Repository, hostname: String) -> Found {
    let url = repository.remote_url("origin").ok().flatten();
    let remote = match &url {
        None => Remote::None,
        Some(url) if looks_like_github(url) => Remote::GitHub,
        Some(_) => Remote::Other,
    };
    let path = std::env::var_os("PATH");
    let has = |program: &str| find_program(Path::new(program), path.as_deref()).is_some();
    Found {
        main_branch: repository.head_branch().ok().flatten().map(|branch| branch.as_str().to_owned()),
        gh_logged_in: remote == Remote::GitHub && has("gh") && gh_answers(),
        claude: has("claude"),
        remote,
        hostname,
    }
}

fn gh_answers() -> bool {
    let status = Command::new("gh").args(["auth", "status"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Removes a project's worktrees: with `force` all of them, what is on no branch being rescued; else those without
/// uncommitted work. Returns what was removed.
#[must_use]
pub fn remove_worktrees(layout: &Layout, force: bool) -> Vec<PathBuf> {
    let Ok(repository) = Repository::open(layout.root()) else { return Vec::new() };
    let known = repository.list_worktrees(&layout.worktrees_dir()).unwrap_or_default();
    let goes = |worktree: &git::Worktree| {
        (force || repository.is_clean(worktree).unwrap_or(false)) && repository.remove_worktree(worktree).is_ok()
    };
    known.into_iter().filter(|worktree| goes(worktree)).map(|worktree| worktree.path().to_owned()).collect()
}

/// Counts the branches of attempts, which stay when a project goes; none where the repository cannot be read.
#[must_use]
pub fn count_attempt_branches(layout: &Layout) -> usize {
    let repository = Repository::open(layout.root()).ok();
    repository.and_then(|repository| repository.count_attempt_branches().ok()).unwrap_or_default()
}
