//! The folder in which the demo plays.

use std::{
    fs::DirBuilder,
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

/// States why there is no scratch folder.
#[derive(Debug, thiserror::Error)]
pub enum ScratchError {
    /// It cannot be made.
    #[error("make a folder in {}; set TMPDIR to one that can be written", .parent.display())]
    Make {
        parent: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The system gives no randomness.
    #[error("name a scratch folder")]
    Random(#[source] getrandom::Error),
}

/// A folder of the demo's own, readable by its owner alone.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes a folder in a parent that exists.
    pub fn make(parent: &Path) -> Result<Self, ScratchError> {
        let failed = |source| ScratchError::Make { parent: parent.to_owned(), source };
        // Git reports paths without links; the demo compares with them.
        let real = parent.canonicalize().map_err(failed)?;
        let random = getrandom::u64().map_err(ScratchError::Random)?;
        let path = real.join(format!("octopoid-demo-{random:016x}"));
        // Fails when somebody else has made it.
        DirBuilder::new().mode(0o700).create(&path).map_err(failed)?;
        Ok(Self { path })
    }

    /// Returns where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it and tells whether it is gone.
    pub fn remove(&self) -> bool {
        match std::fs::remove_dir_all(&self.path) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "the scratch folder stays");
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_scratch_folder_is_its_owners_alone_and_is_removed_with_what_is_in_it() {
        let parent = tempfile::tempdir().expect("folder");
        let scratch = Scratch::make(parent.path()).expect("made");
        let mode = scratch.path().metadata().expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        std::fs::create_dir(scratch.path().join("deep")).expect("made");
        assert!(scratch.remove() && !scratch.path().exists());
        assert!(!scratch.remove(), "what is gone cannot be removed");
    }

    #[test]
    fn a_missing_parent_is_told_with_the_variable_to_set() {
        let error = Scratch::make(Path::new("/no/such/folder")).expect_err("no parent");
        assert!(error.to_string().contains("/no/such/folder") && error.to_string().contains("TMPDIR"), "{error}");
    }
}
