//! This node's key and session.
//!
//! **Invariants**: the key's file is readable by its owner only, and a store never meets another key than its own.

use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use octopoid_crdt::ids::{Oid, SessionId};
use octopoid_crdt::record::Signer;

use crate::store::Identity;

/// States why the key could not be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("failed to use the key file {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The file holds no key.
    #[error("{} holds no key: restore it from a backup", .0.display())]
    Damaged(PathBuf),
    /// The key is gone, but what it signed is there.
    #[error("{} is missing, but the store that it belongs to is there: restore the key from a backup", .0.display())]
    Lost(PathBuf),
    /// Others can read the key.
    #[error("{} can be read by others: run `chmod 600 {}`", .0.display(), .0.display())]
    Open(PathBuf),
    /// The system gives no randomness.
    #[error("the system gives no randomness")]
    Random(#[source] getrandom::Error),
}

/// Reads the key of a store, or makes it for a store that is new.
///
/// # Errors
/// When the key cannot be read, is damaged, or belongs to a store but is gone.
pub fn load(key: &Path, store: &Path, root_commit: Option<Oid>) -> Result<Identity, KeyError> {
    let seed = match seed(key) {
        Err(KeyError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound && store.exists() => {
            return Err(KeyError::Lost(key.to_owned()));
        }
        Err(KeyError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => make(key)?,
        read => read?,
    };
    Ok(Identity { signer: Signer::from_seed(&seed), session: SessionId(random()?), nonce: random()?, root_commit })
}

/// Reads the secret key itself, which the network needs as well.
///
/// # Errors
/// When the file cannot be read, can be read by others, or holds no key.
pub fn seed(key: &Path) -> Result<[u8; 32], KeyError> {
    let failed = |source| KeyError::Io { path: key.to_owned(), source };
    let text = std::fs::read_to_string(key).map_err(failed)?;
    if std::fs::metadata(key).map_err(failed)?.permissions().mode() & 0o077 != 0 {
        return Err(KeyError::Open(key.to_owned()));
    }
    let mut seed = [0; 32];
    hex::decode_to_slice(text.trim(), &mut seed).map_err(|_| KeyError::Damaged(key.to_owned()))?;
    Ok(seed)
}

fn make(key: &Path) -> Result<[u8; 32], KeyError> {
    let failed = |source| KeyError::Io { path: key.to_owned(), source };
    let seed: [u8; 32] = random()?;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(key).map_err(failed)?;
    file.write_all(hex::encode(seed).as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    Ok(seed)
}

fn random<const N: usize>() -> Result<[u8; N], KeyError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(KeyError::Random)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_with_mode_0600_and_read_again() {
        let dir = tempfile::tempdir().expect("scratch folder");
        let (key, store) = (dir.path().join("node.key"), dir.path().join("store"));
        let first = load(&key, &store, None).expect("made");
        assert_eq!(std::fs::metadata(&key).expect("key").permissions().mode() & 0o777, 0o600);
        let again = load(&key, &store, None).expect("read");
        assert_eq!(first.signer.author(), again.signer.author());
        assert_ne!(first.session, again.session, "each start is a session of its own");
    }

    #[test]
    fn a_store_without_its_key_is_refused_and_a_key_open_to_others_too() {
        let dir = tempfile::tempdir().expect("scratch folder");
        let (key, store) = (dir.path().join("node.key"), dir.path().join("store"));
        std::fs::write(&store, "").expect("store");
        assert!(matches!(load(&key, &store, None), Err(KeyError::Lost(_))));
        std::fs::write(&key, hex::encode([7; 32])).expect("key");
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).expect("mode");
        assert!(matches!(load(&key, &store, None), Err(KeyError::Open(_))));
    }
}
