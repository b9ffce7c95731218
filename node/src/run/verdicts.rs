//! Verdicts of agents that reviewed here and that the authority writes down on another node.
//!
//! **Invariants**: a verdict is on disk before its agent's run is forgotten, and stays there until the authority has written or
//! refused it, restarts included; it names the work that was reviewed, so one that comes late judges nothing else.

use std::fs;
use std::io;
use std::path::PathBuf;

use octopoid_crdt::ids::RecordId;
use octopoid_crdt::record::Cause;
use serde::{Deserialize, Serialize};

use super::context::{Context, StepError};
use crate::cluster::{AskError, PassedVerdict, VerdictAnswer};
use crate::ops::claim::withdraw;
use crate::project::replace_file;

/// How many verdicts are handed over at a time; the others follow.
const ROUND: usize = 64;

/// A verdict on its way.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Kept {
    /// The review that it ends, in hex.
    review: String,
    verdict: PassedVerdict,
}

/// The folder of verdicts that no authority has written yet.
#[derive(Debug)]
pub struct Verdicts {
    folder: PathBuf,
    /// Held while they are handed over, so that none is handed over twice.
    under_way: tokio::sync::Mutex<()>,
}

impl Verdicts {
    /// Uses a folder, which is made when it is needed.
    #[must_use]
    pub fn at(folder: PathBuf) -> Self {
        Self { folder, under_way: tokio::sync::Mutex::new(()) }
    }

    fn file(&self, review: &str) -> PathBuf {
        self.folder.join(format!("{review}.json"))
    }

    fn keep(&self, kept: &Kept) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        replace_file(&self.file(&kept.review), &serde_json::to_vec(kept)?, 0o600)
    }

    fn forget(&self, review: &str) {
        if let Err(error) = fs::remove_file(self.file(review)) {
            tracing::warn!(%review, %error, "a verdict that was handed over stays; it is refused when it is handed over again");
        }
    }

    fn waiting(&self) -> Vec<Kept> {
        let Ok(files) = fs::read_dir(&self.folder) else { return Vec::new() };
        let kept = files.filter_map(|file| serde_json::from_slice(&fs::read(file.ok()?.path()).ok()?).ok());
        kept.take(ROUND).collect()
    }

    /// Returns how many wait.
    #[must_use]
    pub fn count(&self) -> usize {
        fs::read_dir(&self.folder).map_or(0, |files| files.filter_map(Result::ok).filter(|file| is_verdict(&file.path())).count())
    }
}

fn is_verdict(path: &std::path::Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json")
}

impl Context {
    /// Keeps an agent's verdict until the authority has written it.
    pub(super) fn keep_verdict(&self, review: RecordId, verdict: PassedVerdict) -> io::Result<()> {
        self.verdicts.keep(&Kept { review: review.to_string(), verdict })
    }

    /// Hands the verdicts that wait over to the node whose word counts, until it cannot be reached.
    pub(super) async fn hand_verdicts_over(&self) -> Result<(), StepError> {
        let Some(cluster) = &self.cluster else { return Ok(()) };
        let _under_way = self.verdicts.under_way.lock().await;
        for kept in self.verdicts.waiting() {
            match cluster.hand_over(&kept.verdict).await {
                Ok(VerdictAnswer::Written) => self.verdicts.forget(&kept.review),
                Ok(VerdictAnswer::Refused { reason }) => {
                    tracing::info!(task = %kept.verdict.task, %reason, "a verdict came too late");
                    self.give_review_back(&kept).await?;
                    self.verdicts.forget(&kept.review);
                }
                Ok(VerdictAnswer::Later { reason }) => {
                    tracing::debug!(task = %kept.verdict.task, %reason, "a verdict waits");
                    return Ok(());
                }
                Err(AskError::Offline) => return Ok(()),
                Err(AskError::Failed(reason)) => {
                    tracing::debug!(task = %kept.verdict.task, %reason, "the authority did not take a verdict; it is handed over again");
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    async fn give_review_back(&self, kept: &Kept) -> Result<(), StepError> {
        let Ok(review) = kept.review.parse::<RecordId>() else { return Ok(()) };
        self.write(move |unit| {
            if let Some(no) = unit.task_of(&review)? {
                withdraw(unit, no, review, Cause::Stopped, "its verdict came too late")?;
            }
            Ok(())
        })
        .await
    }
}
