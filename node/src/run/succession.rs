//! Who merges where there is no remote goes on from what those before it have merged.
//!
//! Records name each merge and its author. One that is in no history here is looked for: in the repository, where an attempt that is built
//! on it may have brought it, at the former integrator, and at every other member.
//!
//! **Invariants**: the branch moves to nothing but what a former integrator has, or says in a record that it merged; another member gives
//! commits, never the choice among them; a merge that cannot be had keeps no other one waiting.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use octopoid_crdt::ids::{AuthorKey, Oid};
use octopoid_crdt::record::Body;

use super::branches::Taken;
use super::context::{Context, StepError};
use crate::causes::describe;
use crate::cluster::Cluster;
use crate::git::{Branch, LocalBranch, Repository};
use crate::store::{Fault, Reader};

/// Where the integration branch of another repository is kept.
const INTEGRATED: &str = "refs/octopoid/integrated";
/// Among how many records the last merges are looked for at a start, or by a new integrator; from then on as records come.
const LOOKED_AT: u64 = 20_000;
/// How often members that did not have a merge are asked again; one that connects is asked at once.
const AGAIN: Duration = Duration::from_secs(10);

/// What former integrators have merged that is not here yet, as this process knows it.
#[derive(Debug, Default)]
pub struct Succession(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Who merged when it was last looked.
    integrator: Option<AuthorKey>,
    /// The one before, until its branch was reached.
    former: Option<AuthorKey>,
    /// The arrival of the first record that was not looked at, once this node merges.
    next: Option<u64>,
    /// The last merge of each former integrator, while the branch lacks it.
    missing: BTreeMap<AuthorKey, Oid>,
    /// When members were asked last, and which.
    asked: Option<(Instant, Vec<AuthorKey>)>,
    /// What people are told of it.
    told: Option<String>,
}

/// How a merge of a former integrator stands to the branch.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Merge {
    /// The branch holds it.
    In,
    /// It is not in the repository.
    NotHere,
    /// The branch went on without it.
    Apart,
    /// Something is in the way.
    Blocked(String),
}

impl Succession {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes who merges now, and whether that is this node.
    fn note(&self, integrator: AuthorKey, own: bool) {
        let mut state = self.state();
        let before = state.integrator.replace(integrator);
        if !own {
            *state = State { integrator: Some(integrator), ..State::default() };
        } else if let Some(former) = before.filter(|before| *before != integrator) {
            state.former = Some(former);
        }
    }

    /// Tells whether members are to be asked: some were not, or it is long ago.
    fn is_due(&self, connected: &[AuthorKey]) -> bool {
        let mut state = self.state();
        let wanted = state.former.is_some() || !state.missing.is_empty();
        let recently = |(at, asked): &(Instant, Vec<AuthorKey>)| at.elapsed() < AGAIN && connected.iter().all(|one| asked.contains(one));
        if !wanted || state.asked.as_ref().is_some_and(recently) {
            return false;
        }
        state.asked = Some((Instant::now(), connected.to_vec()));
        true
    }

    /// Says for people what is missing.
    pub(super) fn told(&self) -> Option<String> {
        self.state().told.clone()
    }
}

impl Context {
    /// Goes on from what former integrators have merged, where this node is the integrator.
    pub(super) async fn succeed(&self) -> Result<(), StepError> {
        let Some(cluster) = &self.cluster else { return Ok(()) };
        let Some((integrator, own)) = cluster.integrator() else { return Ok(()) };
        // With a remote everybody merges there.
        let own = own && !self.has_origin().await?;
        self.succession.note(integrator, own);
        if !own {
            return Ok(());
        }
        self.look_for_merges(&integrator)?;
        self.bring_merges_in().await?;
        let connected = cluster.connected();
        if self.succession.is_due(&connected) {
            self.ask_for_merges(&connected).await?;
            self.bring_merges_in().await?;
        }
        self.tell_of_merges(cluster).await
    }

    /// Notes the last merge of each former integrator that records name.
    fn look_for_merges(&self, me: &AuthorKey) -> Result<(), Fault> {
        let reader = self.store.reader()?;
        let end = reader.next_arrival()?;
        let begin = self.succession.state().next.unwrap_or(end.saturating_sub(LOOKED_AT));
        if begin < end {
            let mut formers = reader.integrators()?;
            formers.remove(me);
            let found = last_merges(&reader, begin, end, formers)?;
            let mut state = self.succession.state();
            state.missing.extend(found);
            state.next = Some(end);
        }
        Ok(())
    }

    /// Moves the branch forward to the merges that are in the repository by now.
    pub(super) async fn bring_merges_in(&self) -> Result<(), StepError> {
        let missing = self.succession.state().missing.clone();
        for (author, commit) in missing {
            let (main, wanted) = (self.main_branch.clone(), commit.clone());
            let stands = self.git(move |git| bring_in(git, &main, &wanted)).await?;
            if stands == Ok(Merge::In) {
                tracing::info!(%commit, "the integration branch holds what a former integrator merged");
                let mut state = self.succession.state();
                // A later one may have been heard of meanwhile.
                if state.missing.get(&author) == Some(&commit) {
                    state.missing.remove(&author);
                }
            }
        }
        Ok(())
    }

    /// Asks the former integrators first, whose branch this one follows, then everybody else for the commits alone.
    async fn ask_for_merges(&self, connected: &[AuthorKey]) -> Result<(), StepError> {
        let formers: BTreeSet<AuthorKey> = {
            let state = self.succession.state();
            state.missing.keys().chain(&state.former).copied().collect()
        };
        for former in connected.iter().filter(|member| formers.contains(*member)) {
            if self.follow(former).await? {
                let mut state = self.succession.state();
                state.former = state.former.filter(|known| known != former);
            }
        }
        self.bring_merges_in().await?;
        for member in connected.iter().filter(|member| !formers.contains(*member)) {
            let wanted: Vec<Oid> = self.succession.state().missing.values().cloned().collect();
            let mut all_here = true;
            for commit in &wanted {
                all_here &= self.holds(commit).await?;
            }
            if all_here {
                return Ok(());
            }
            self.take(member, &self.main_branch, &self.integrated()).await?;
        }
        Ok(())
    }

    /// Brings the integration branch here to where that of an integrator is; tells whether that was reached.
    pub(super) async fn follow(&self, integrator: &AuthorKey) -> Result<bool, StepError> {
        let (main, to) = (self.main_branch.clone(), self.integrated());
        if self.take(integrator, &main, &to).await? != Taken::Here {
            return Ok(false);
        }
        let followed = self.git(move |git| {
            let tip = git.reference_tip(&to).map_err(|error| describe(&error))?;
            tip.map_or(Ok(()), |tip| git.follow_commit(&main, &tip).map(drop).map_err(|error| describe(&error)))
        });
        if let Err(reason) = followed.await? {
            tracing::warn!(%reason, "the integration branch could not follow the integrator's");
        }
        Ok(true)
    }

    fn integrated(&self) -> String {
        format!("{INTEGRATED}/{}", self.main_branch.as_str())
    }

    /// Says what is missing, once for each change.
    async fn tell_of_merges(&self, cluster: &Cluster) -> Result<(), StepError> {
        let missing = self.succession.state().missing.first_key_value().map(|(author, commit)| (*author, commit.clone()));
        let told = match missing {
            None => None,
            Some((author, commit)) => {
                let (branch, wanted) = (self.main_branch.clone(), commit.clone());
                let stands = self.git(move |git| bring_in(git, &branch, &wanted)).await?;
                let (main, name) = (&self.main_branch, cluster.name_of(&author));
                Some(match stands {
                    Ok(Merge::Apart) => format!("'{main}' went on without what '{name}' merged before: git merge {commit}"),
                    Ok(Merge::Blocked(reason)) => format!("'{main}' cannot go on from what '{name}' merged before: {reason}"),
                    Ok(Merge::In | Merge::NotHere) => {
                        format!("'{main}' lacks what '{name}' merged before, commit {commit}: no machine that has it is reached")
                    }
                    Err(reason) => format!("'{main}' lacks what '{name}' merged before: {reason}"),
                })
            }
        };
        let mut state = self.succession.state();
        if let Some(why) = told.as_ref().filter(|told| state.told.as_ref() != Some(told)) {
            tracing::warn!("{why}");
        }
        state.told = told;
        Ok(())
    }
}

/// Returns the last merge of each of these authors, from one arrival up to another.
fn last_merges(reader: &Reader, begin: u64, end: u64, mut authors: BTreeSet<AuthorKey>) -> Result<BTreeMap<AuthorKey, Oid>, Fault> {
    let mut found = BTreeMap::new();
    for arrival in (begin..end).rev() {
        if authors.is_empty() {
            break;
        }
        let Some(record) = reader.record(arrival)? else { continue };
        let payload = record.payload();
        if let Body::Merged { commit: Some(commit), .. } = &payload.body
            && authors.remove(&payload.author)
        {
            found.insert(payload.author, commit.clone());
        }
    }
    Ok(found)
}

/// Moves the branch forward to a commit where nothing is lost by it, and says how the two stand then.
fn bring_in(git: &Repository, main: &Branch, commit: &Oid) -> Result<Merge, String> {
    if !git.has_commit(commit).map_err(|error| describe(&error))? {
        return Ok(Merge::NotHere);
    }
    let tip = git.branch_tip(main).map_err(|error| describe(&error))?;
    let base = git.merge_base(&tip, commit).map_err(|error| describe(&error))?;
    if base.as_ref() == Some(commit) {
        return Ok(Merge::In);
    }
    if base.as_ref() != Some(&tip) {
        return Ok(Merge::Apart);
    }
    match git.follow_commit(main, commit).map_err(|error| describe(&error))? {
        LocalBranch::Current => Ok(Merge::In),
        LocalBranch::Behind { reason } => Ok(Merge::Blocked(reason)),
    }
}
