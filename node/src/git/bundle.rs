//! Branches as files, for members that share no remote.
//!
//! **Invariants**: a bundle is read as the bytes of a stranger: its objects are checked, it writes the one reference that was
//! asked for, and it is bounded; nothing in it is run.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use octopoid_crdt::ids::Oid;

use super::{Branch, ProgramError, Repository, program};

/// The largest bundle, in bytes.
pub const BUNDLE_LIMIT: u64 = 512 * 1024 * 1024;

/// States why a branch was not packed or taken.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The `git` program gave no answer.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// Git did not pack the branch.
    #[error("failed to pack branch '{branch}': {message}")]
    Pack { branch: Branch, message: String },
    /// Git did not take the bundle.
    #[error("failed to take branch '{branch}' from another node: {message}")]
    Take { branch: Branch, message: String },
    /// The bundle is too large to send.
    #[error(
        "branch '{branch}' packs to more than the {most} bytes that nodes send each other: set up a remote 'origin' that all machines reach"
    )]
    TooLarge { branch: Branch, most: u64 },
    /// The file cannot be read or written.
    #[error("failed to use {}", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

impl Repository {
    /// Packs a branch into a file, without what `have` reaches. Commits of `have` that are not here are left out of account.
    ///
    /// # Errors
    /// When there is no such branch, or it packs to more than the limits allow: [`BUNDLE_LIMIT`] by default. No more than that is written.
    pub fn pack_branch(&self, branch: &Branch, have: &[Oid], file: &Path) -> Result<(), BundleError> {
        let reference = branch.reference();
        let known: Vec<String> = have.iter().filter(|oid| self.has_commit(oid).unwrap_or(false)).map(|oid| format!("^{oid}")).collect();
        let mut arguments: Vec<&OsStr> = ["create", "--quiet", "-", &reference].map(OsStr::new).to_vec();
        arguments.extend(known.iter().map(OsStr::new));
        let out = std::fs::File::create(file).map_err(|source| BundleError::File { path: file.to_owned(), source })?;
        let most = self.limits.bundle;
        match program::run_into((out, most), self.root(), Some(self.git_dir()), "bundle", &arguments, self.limits)? {
            None => Err(BundleError::TooLarge { branch: branch.clone(), most }),
            Some(output) if output.status.success() => Ok(()),
            Some(output) => Err(BundleError::Pack { branch: branch.clone(), message: output.message() }),
        }
    }

    /// Takes a branch from a file into a reference of its own, whatever that was before.
    ///
    /// # Errors
    /// When the file is no bundle, lacks the branch, or builds on what is not here.
    pub fn take_branch(&self, branch: &Branch, file: &Path, to: &str) -> Result<(), BundleError> {
        let refspec = format!("+{}:{to}", branch.reference());
        let arguments: Vec<&OsStr> = vec![
            OsStr::new("--no-tags"),
            OsStr::new("--no-recurse-submodules"),
            OsStr::new("--no-write-fetch-head"),
            OsStr::new("--no-prune"),
            OsStr::new("--end-of-options"),
            file.as_os_str(),
            OsStr::new(&refspec),
        ];
        let strict = [("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_KEY_0", "fetch.fsckObjects"), ("GIT_CONFIG_VALUE_0", "true")];
        let output = program::run_with(&strict, self.root(), Some(self.git_dir()), "fetch", &arguments, self.limits)?;
        if output.status.success() { Ok(()) } else { Err(BundleError::Take { branch: branch.clone(), message: output.message() }) }
    }
}
