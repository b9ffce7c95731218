//! A project to measure in: a real git repository with `.octopoid` in it, below TMPDIR.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use octopoid_crdt::ids::SessionId;
use octopoid_crdt::record::Signer;
use octopoid_node::daemon::{self, InitRequest};
use octopoid_node::git::Repository;
use octopoid_node::project::Layout;
use octopoid_node::store::{Identity, OpenError, Store};
use tempfile::TempDir;

/// States why there is no project to measure in.
#[derive(Debug, thiserror::Error)]
pub enum ScratchError {
    /// A file or folder cannot be used.
    #[error("failed to use {}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Git is not there, or failed.
    #[error("git {what} failed: {why}")]
    Git {
        /// What it was to do.
        what: &'static str,
        /// What it said.
        why: String,
    },
    /// `.octopoid` could not be made.
    #[error("failed to initialise the scratch project")]
    Init(#[from] Box<daemon::InitError>),
    /// The key that init made cannot be read.
    #[error("{} holds no key", .0.display())]
    Key(PathBuf),
    /// The system gives no randomness.
    #[error("the system gives no randomness")]
    Random(#[source] getrandom::Error),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
}

/// A scratch project, removed when it is dropped unless it is kept.
#[derive(Debug)]
pub struct Scratch {
    root: PathBuf,
    /// Removes the folder.
    _folder: Option<TempDir>,
}

impl Scratch {
    /// Makes a repository with one commit, and initialises it.
    pub fn make(keep: bool) -> Result<Self, ScratchError> {
        let failed = |source| ScratchError::Io { path: std::env::temp_dir(), source };
        let folder = tempfile::Builder::new().prefix("octopoid-load-").tempdir().map_err(failed)?;
        let root = folder.path().canonicalize().map_err(failed)?;
        git(&root, "init", &["init", "--quiet", "--initial-branch=main"])?;
        git(&root, "commit", &["commit", "--quiet", "--allow-empty", "--message=start"])?;
        let request = InitRequest { machine_id: Some("load".to_owned()), api_port: None };
        daemon::init(&root, &request).map_err(Box::new)?;
        let folder = if keep {
            let _kept = folder.keep();
            None
        } else {
            Some(folder)
        };
        Ok(Self { root, _folder: folder })
    }

    /// Returns the repository's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the places of the project.
    pub fn layout(&self) -> Layout {
        Layout::at(&self.root)
    }

    /// Opens the store without a node, to fill it. No node may run.
    pub fn open_store(&self) -> Result<Store, ScratchError> {
        let layout = self.layout();
        let path = layout.key_file();
        let text = std::fs::read_to_string(&path).map_err(|source| ScratchError::Io { path: path.clone(), source })?;
        let mut seed = [0; 32];
        hex::decode_to_slice(text.trim(), &mut seed).map_err(|_| ScratchError::Key(path))?;
        let root_commit = Repository::open(&self.root).ok().and_then(|repository| repository.root_commit().ok());
        let identity = Identity { signer: Signer::from_seed(&seed), session: SessionId(random()?), nonce: random()?, root_commit };
        // As the node opens a project that merges by itself, which init chose because there is no remote.
        Ok(Store::open(&layout.store_file(), identity, true)?)
    }
}

fn random() -> Result<[u8; 16], ScratchError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(ScratchError::Random)?;
    Ok(bytes)
}

/// Runs git apart from the user's settings and from a repository around this one.
fn git(root: &Path, what: &'static str, arguments: &[&str]) -> Result<(), ScratchError> {
    let mut command = Command::new("git");
    command.current_dir(root).args(arguments).stdin(Stdio::null());
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"] {
        command.env_remove(variable);
    }
    for (variable, value) in [("NAME", "load"), ("EMAIL", "load@localhost")] {
        command.env(format!("GIT_AUTHOR_{variable}"), value).env(format!("GIT_COMMITTER_{variable}"), value);
    }
    let output = command.output().map_err(|error| ScratchError::Git { what, why: error.to_string() })?;
    if output.status.success() {
        return Ok(());
    }
    Err(ScratchError::Git { what, why: String::from_utf8_lossy(&output.stderr).trim().to_owned() })
}
