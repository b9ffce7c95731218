//! Branches that members give each other as bundles, where there is no remote.
//!
//! **Invariants**: a bundle is bounded on both sides; a file that was written for a member is gone when it was sent.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use octopoid_crdt::ids::AuthorKey;
use octopoid_net::{CHUNK_LIMIT, Exchange, Responder};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::requests::{Ask, AskError};
use super::shared::{Shared, peer_key};
use crate::git::BUNDLE_LIMIT;

/// How long the next piece of a branch may take; packing a large one takes a while.
const PIECE: Duration = Duration::from_secs(150);
/// The longest reason that is told, and heard, in bytes.
const REASON: usize = 1024;
/// Branches that are remembered as not given.
const REMEMBERED: usize = 16;

/// Asks for a branch that another node has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BranchAsk {
    /// The branch, without refs/heads/.
    pub branch: String,
    /// Commits that the asker has.
    pub have: Vec<String>,
    /// Whether the asker understands [`Refused`] in place of a bundle.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub explain: bool,
}

/// What comes in place of a bundle, which does not begin so: JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Refused {
    /// Why the branch is not given.
    refused: String,
}

/// States why a branch is not given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotGiven {
    /// It is here, and the asker should know why it does not get it.
    Refused(String),
    /// It is not here, or not for members: another one may have it.
    NotHere(String),
}

/// States why a branch was not taken.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// The member gave no answer, or not a whole one.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The file cannot be written.
    #[error("the branch could not be kept")]
    File(#[from] std::io::Error),
    /// The member has it and does not give it.
    #[error("{0}")]
    Refused(String),
}

/// Packs branches for members; the file is removed by the one who asked for it here.
pub type GiveBranches = Arc<dyn Fn(&BranchAsk) -> Result<PathBuf, NotGiven> + Send + Sync>;

impl Shared {
    /// Asks a member for a branch and writes it into a file.
    pub(super) async fn take_branch(&self, node: &AuthorKey, ask: &BranchAsk, file: &Path) -> Result<(), TakeError> {
        let request = serde_json::to_vec(&Ask::Branch(ask.clone())).map_err(|error| failed(&error))?;
        let exchange = self.network.request(&peer_key(node), request.into(), BUNDLE_LIMIT).await;
        let taken = take(exchange.map_err(AskError::from)?, file).await;
        let mut not_given = self.not_given();
        match &taken {
            Ok(()) => drop(not_given.remove(&ask.branch)),
            Err(TakeError::Refused(reason)) if not_given.len() < REMEMBERED || not_given.contains_key(&ask.branch) => {
                not_given.insert(ask.branch.clone(), reason.clone());
            }
            Err(_) => {}
        }
        taken
    }
}

fn failed(error: &dyn std::error::Error) -> AskError {
    AskError::Failed(error.to_string())
}

async fn next(exchange: &mut Exchange) -> Result<Option<bytes::Bytes>, AskError> {
    let piece = tokio::time::timeout(PIECE, exchange.next()).await;
    let piece = piece.map_err(|_| AskError::Failed("the branch did not come in time".to_owned()))?;
    piece.map_err(|error| failed(&error))
}

/// Writes an answer into a file, unless it says why there is no branch.
async fn take(mut exchange: Exchange, file: &Path) -> Result<(), TakeError> {
    let mut first = next(&mut exchange).await?;
    if first.as_ref().is_some_and(|piece| piece.starts_with(b"{")) {
        let mut text = Vec::new();
        while let Some(piece) = first.filter(|_| text.len() <= 2 * REASON) {
            text.extend_from_slice(&piece);
            first = next(&mut exchange).await?;
        }
        let refused: Refused = serde_json::from_slice(&text).map_err(|error| failed(&error))?;
        let reason = refused.refused.chars().filter(|char| !char.is_control()).take(REASON).collect();
        return Err(TakeError::Refused(reason));
    }
    let mut out = tokio::fs::File::create(file).await?;
    while let Some(piece) = first {
        out.write_all(&piece).await?;
        first = next(&mut exchange).await?;
    }
    Ok(out.flush().await?)
}

/// Answers a member that asks for a branch.
pub(super) async fn give(give: GiveBranches, ask: BranchAsk, mut responder: Responder) {
    let explain = ask.explain;
    let packed = tokio::task::spawn_blocking(move || give(&ask)).await;
    let given = match packed {
        Ok(Ok(file)) => {
            let given = send_file(&file, &mut responder).await;
            // What stays is swept at the next start.
            let _ = tokio::fs::remove_file(&file).await;
            given
        }
        Ok(Err(NotGiven::Refused(reason))) => {
            tracing::warn!(%reason, "a branch is not given to a member");
            explain && send_reason(reason, &mut responder).await
        }
        Ok(Err(NotGiven::NotHere(reason))) => return tracing::debug!(%reason, "a branch is not given"),
        Err(error) => return tracing::warn!(%error, "a branch could not be packed"),
    };
    if given {
        // The asker may be gone.
        let _ = responder.finish().await;
    }
}

async fn send_reason(reason: String, responder: &mut Responder) -> bool {
    let refused = Refused { refused: reason.chars().take(REASON / 4).collect() };
    match serde_json::to_vec(&refused) {
        Ok(json) => responder.send(&json).await.is_ok(),
        Err(_) => false,
    }
}

async fn send_file(file: &Path, responder: &mut Responder) -> bool {
    let Ok(mut input) = tokio::fs::File::open(file).await else { return false };
    let mut piece = vec![0; CHUNK_LIMIT];
    loop {
        match input.read(&mut piece).await {
            Ok(0) => return true,
            Ok(read) if responder.send(&piece[..read]).await.is_ok() => {}
            Ok(_) | Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use octopoid_net::{Event, Events, Limits, Network, PeerKey, SecretKey, Settings};

    async fn network(seed: u8) -> (Network, Events, PeerKey) {
        let secret = SecretKey::from_bytes(&mut [seed; 32]);
        let key = secret.peer_key();
        let listen = vec!["/ip4/127.0.0.1/tcp/0".parse().expect("an address")];
        let (network, events) =
            octopoid_net::start(Settings { secret, listen, mdns: false, limits: Limits::default() }).await.expect("a network");
        (network, events, key)
    }

    /// Asks a member that answers with `give`, and returns what comes of it and what is in the file.
    async fn ask(seed: u8, explain: bool, give_branches: GiveBranches) -> (Result<(), TakeError>, Vec<u8>) {
        let ((asker, mut heard, me), (giver, mut events, other)) = (network(seed).await, network(seed + 1).await);
        let address = loop {
            if let Some(Event::Listening { address }) = events.next().await {
                break address;
            }
        };
        asker.set_members([other].into());
        giver.set_members([me].into());
        asker.set_addresses(other, &[address]).expect("addresses");
        tokio::spawn(async move {
            while let Some(event) = events.next().await {
                if let Event::Request { bytes, responder, .. } = event {
                    let Ok(Ask::Branch(ask)) = serde_json::from_slice(&bytes) else { panic!("it asks for a branch") };
                    give(give_branches.clone(), ask, responder).await;
                }
            }
        });
        while !matches!(heard.next().await, Some(Event::Connected { .. })) {}
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("bundle");
        let ask = BranchAsk { branch: "octopoid/task/1-00000000".to_owned(), have: Vec::new(), explain };
        let request = serde_json::to_vec(&Ask::Branch(ask)).expect("JSON");
        let taken = take(asker.request(&other, request.into(), BUNDLE_LIMIT).await.expect("asked"), &file).await;
        (taken, std::fs::read(&file).unwrap_or_default())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_asks_for_a_branch_that_is_too_large_is_told_so() {
        let large: GiveBranches = Arc::new(|_| Err(NotGiven::Refused("it packs to more\u{7} than is sent".to_owned())));
        let (taken, kept) = ask(1, true, large.clone()).await;
        assert!(matches!(&taken, Err(TakeError::Refused(reason)) if reason == "it packs to more than is sent"), "{taken:?}");
        assert!(kept.is_empty(), "nothing is taken for a branch");
        // An earlier version would take the reason for a bundle.
        let (taken, kept) = ask(3, false, large).await;
        assert!(matches!(&taken, Err(TakeError::Ask(AskError::Failed(_)))), "{taken:?}");
        assert!(kept.is_empty());
        let (taken, _) = ask(5, true, Arc::new(|_| Err(NotGiven::NotHere("unknown".to_owned())))).await;
        assert!(matches!(&taken, Err(TakeError::Ask(AskError::Failed(_)))), "another member may have it: {taken:?}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_branch_comes_whole_and_its_file_is_removed_where_it_was_packed() {
        let folder = tempfile::tempdir().expect("a folder");
        let (packed, bundle) = (folder.path().join("packed"), [b"# v2 git bundle\n".as_slice(), &[7; 200_000]].concat());
        std::fs::write(&packed, &bundle).expect("written");
        let path = packed.clone();
        let (taken, kept) = ask(7, true, Arc::new(move |_| Ok(path.clone()))).await;
        assert!(taken.is_ok() && kept == bundle, "{taken:?}");
        assert!(!packed.exists());
    }
}
