//! What every part of a running node works with.

use std::path::PathBuf;
use std::sync::Arc;

use super::spending::Spending;
use super::succession::Succession;
use super::unshared::Unshared;
use super::verdicts::Verdicts;
use crate::agent::Launcher;
use crate::cluster::{Cluster, Outcome};
use crate::config::Config;
use crate::git::{Branch, Repository};
use crate::ops::Refused;
use crate::project::Layout;
use crate::store::{Store, TaskNo, Unavailable, Unit};
use octopoid_crdt::ids::RecordId;

/// The shared parts of a running node, or of a command that stands in for one.
pub struct Context {
    /// Where everything lies.
    pub layout: Layout,
    /// What config.yaml says.
    pub config: Config,
    /// Records and views.
    pub store: Arc<Store>,
    /// The user's repository.
    pub repository: Arc<Repository>,
    /// Starts agents.
    pub launcher: Launcher,
    /// This node among the members of its cluster; none while it is alone.
    pub cluster: Option<Cluster>,
    /// Verdicts that the authority has not written yet.
    pub verdicts: Verdicts,
    /// Branches that `origin` does not have yet.
    pub unshared: Unshared,
    /// What former integrators have merged that is not here yet.
    pub succession: Succession,
    /// What agents have cost.
    pub spending: Spending,
    /// This machine's name.
    pub machine: String,
    /// The id under which this node's agents claim.
    pub orchestrator: String,
    /// Where merges go.
    pub main_branch: Branch,
    /// Where attempts start.
    pub base_branch: Branch,
}

/// States why a step of an attempt or merge was not done.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The rules or the state refused it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The store does not write any more.
    #[error(transparent)]
    Store(#[from] Unavailable),
    /// The store could not be read.
    #[error(transparent)]
    Read(#[from] crate::store::Fault),
    /// A task on a blocking thread ended unexpectedly.
    #[error("a step ended unexpectedly")]
    Lost(#[from] tokio::task::JoinError),
}

impl Context {
    /// Writes to the store.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut Unit<'_>) -> Result<T, Refused> + Send + 'static,
    ) -> Result<T, StepError> {
        Ok(self.store.write(operation).await??)
    }

    /// Runs a step of git on a thread that may block.
    pub(super) async fn git<T: Send + 'static>(&self, step: impl FnOnce(&Repository) -> T + Send + 'static) -> Result<T, StepError> {
        let repository = self.repository.clone();
        Ok(tokio::task::spawn_blocking(move || step(&repository)).await?)
    }

    /// Waits until it is settled with the other members, or by the authority, whether work on an own claim or review may start.
    pub(super) async fn settle(&self, no: TaskNo, of: &RecordId) -> Result<Outcome, StepError> {
        match &self.cluster {
            None => Ok(Outcome::Start),
            Some(cluster) => Ok(cluster.settle(no, of).await?),
        }
    }

    /// Tells whether this node decides: it is the authority, or there is none.
    pub(super) fn decides(&self) -> bool {
        let me = self.store.me();
        self.store.membership().authority().is_none_or(|authority| *authority == me)
    }

    /// Tells why nothing can be claimed while another node is the authority and cannot be reached.
    pub(super) fn away(&self) -> Option<String> {
        let cluster = self.cluster.as_ref()?;
        let authority = cluster.other_authority().filter(|authority| !cluster.reaches(authority))?;
        Some(format!("the authority '{}' cannot be reached", cluster.name_of(&authority)))
    }

    /// Names the node that merges where there is no remote, if that is another one.
    pub(super) fn other_integrator(&self) -> Option<String> {
        let (view, me) = (self.store.membership(), self.store.me());
        let integrator = view.integrator().filter(|integrator| **integrator != me)?;
        let named = view.members().find(|(key, _)| *key == integrator).and_then(|(_, member)| member.name.as_ref());
        Some(named.map_or_else(|| integrator.short(), ToString::to_string))
    }

    /// Returns the folder for worktrees.
    pub(super) fn worktrees(&self) -> PathBuf {
        self.layout.worktrees_dir()
    }
}
