//! Who merges where there is no remote goes on from what those before it have merged.
//!
//! Records name each merge and its author. One that is in no history here is looked for: in the repository, where an attempt that is built
//! on it may have brought it, at the former integrator, and at every other member.
//!
//! **Invariants**: the branch moves to nothing but what an integrator says in a record that counts that it merged; members, former
//! integrators too, give commits, never the choice among them; a merge that cannot be had keeps others waiting for seconds, not for ever.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use octopoid_crdt::ids::{AuthorKey, Oid};
use octopoid_crdt::lifecycle::Removals;

use super::branches::Taken;
use super::context::{Context, StepError};
use crate::causes::describe;
use crate::cluster::Cluster;
use crate::git::{Branch, LocalBranch, Repository};
use crate::store::Fault;

/// Where the integration branch of another repository is kept.
const INTEGRATED: &str = "refs/octopoid/integrated";
/// Among how many records the last merges are looked for at a start, or by a new integrator; from then on as records come.
const LOOKED_AT: u64 = 1_000_000;
/// How soon members that did not have a merge are asked again; each time doubles it. One that connects is asked at once.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5 * 60);
/// How long other merges wait for the answers of members.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the members are asked altogether: a large branch over a slow line comes beside other work.
const ASKING: Duration = Duration::from_secs(10 * 60);

/// What former integrators have merged that is not here yet, as this process knows it.
#[derive(Debug, Default)]
pub struct Succession {
    state: Mutex<State>,
    /// Held while members are asked.
    asking: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug, Default)]
struct State {
    /// The arrival of the first record that was not looked at, once this node merges.
    next: Option<u64>,
    /// What removals left out when records were looked at.
    masks: Arc<Removals>,
    /// The last merge of each former integrator, while the branch lacks it.
    missing: BTreeMap<AuthorKey, Missing>,
    asked: Option<Asked>,
    /// What people are told of it.
    told: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Missing {
    commit: Oid,
    stands: Merge,
}

/// When members were asked last.
#[derive(Debug)]
struct Asked {
    at: Instant,
    pause: Duration,
    /// Those of them that are connected since.
    members: Vec<AuthorKey>,
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
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns from where on records are to be looked at; what was found is forgotten where a removal came or went: it may be masked.
    fn begin(&self, masks: &Arc<Removals>) -> Option<u64> {
        let mut state = self.state();
        if state.masks != *masks {
            *state = State { masks: masks.clone(), told: state.told.take(), ..State::default() };
        }
        state.next
    }

    /// Notes the last merges among records up to an arrival.
    fn note(&self, next: u64, found: BTreeMap<AuthorKey, Oid>) {
        let mut state = self.state();
        state.next = Some(next);
        for (author, commit) in found {
            if state.missing.get(&author).is_none_or(|known| known.commit != commit) {
                state.missing.insert(author, Missing { commit, stands: Merge::NotHere });
                state.asked = None;
            }
        }
    }

    /// Notes how a merge stands, unless a later one was heard of meanwhile.
    fn settle(&self, author: &AuthorKey, commit: &Oid, stands: Merge) {
        let mut state = self.state();
        match state.missing.get_mut(author) {
            Some(known) if known.commit == *commit && stands == Merge::In => {
                tracing::info!(%commit, "the integration branch holds what a former integrator merged");
                state.missing.remove(author);
            }
            Some(known) if known.commit == *commit => known.stands = stands,
            Some(_) | None => {}
        }
    }

    /// Returns the commits that members are asked for: what is here needs nobody's.
    fn wanted(&self) -> Vec<Oid> {
        self.state().missing.values().filter(|missing| missing.stands == Merge::NotHere).map(|missing| missing.commit.clone()).collect()
    }

    /// Tells whether members are to be asked: some were not since they connected, or it is long ago.
    fn is_due(&self, connected: &[AuthorKey]) -> bool {
        let wanted = !self.wanted().is_empty();
        let mut state = self.state();
        if !wanted {
            state.asked = None;
            return false;
        }
        let pause = match &mut state.asked {
            None => FIRST_PAUSE,
            Some(asked) => {
                asked.members.retain(|member| connected.contains(member));
                let news = connected.iter().any(|member| !asked.members.contains(member));
                if !news && asked.at.elapsed() < asked.pause {
                    return false;
                }
                if news { FIRST_PAUSE } else { (asked.pause * 2).min(LONGEST_PAUSE) }
            }
        };
        state.asked = Some(Asked { at: Instant::now(), pause, members: connected.to_vec() });
        true
    }

    /// Says for people what is missing.
    pub(super) fn told(&self) -> Option<String> {
        self.state().told.clone()
    }
}

impl Context {
    /// Goes on from what former integrators have merged, where this node is the integrator.
    pub(super) async fn succeed(self: &Arc<Self>) -> Result<(), StepError> {
        let Some(cluster) = &self.cluster else { return Ok(()) };
        let Some((integrator, own)) = cluster.integrator() else { return Ok(()) };
        // With a remote everybody merges there.
        if !own || self.has_origin().await? {
            *self.succession.state() = State::default();
            return Ok(());
        }
        self.look_for_merges(integrator).await?;
        self.bring_merges_in().await?;
        self.have_members_asked(cluster).await?;
        self.bring_merges_in().await?;
        self.tell_of_merges(cluster);
        Ok(())
    }

    /// Notes the last merge of each former integrator that records name.
    async fn look_for_merges(&self, me: AuthorKey) -> Result<(), StepError> {
        let (store, masks) = (self.store.clone(), self.store.masks());
        let begin = self.succession.begin(&masks);
        let look = move || -> Result<_, Fault> {
            let reader = store.reader()?;
            let end = reader.next_arrival()?;
            let begin = begin.unwrap_or(end.saturating_sub(LOOKED_AT));
            if begin >= end {
                return Ok((end, BTreeMap::new()));
            }
            let mut formers = reader.integrators()?;
            formers.remove(&me);
            Ok((end, reader.last_merges(begin..end, formers, &masks)?))
        };
        let (end, found) = tokio::task::spawn_blocking(look).await??;
        self.succession.note(end, found);
        Ok(())
    }

    /// Moves the branch forward to the merges that are in the repository by now.
    pub(super) async fn bring_merges_in(&self) -> Result<(), StepError> {
        let missing = self.succession.state().missing.clone();
        for (author, Missing { commit, .. }) in missing {
            let (main, wanted) = (self.main_branch.clone(), commit.clone());
            let stands = self.git(move |git| bring_in(git, &main, &wanted)).await?;
            self.succession.settle(&author, &commit, stands.unwrap_or_else(Merge::Blocked));
        }
        Ok(())
    }

    /// Asks members for what is missing if it is time, and waits a while for them; the asking goes on beside what comes next.
    async fn have_members_asked(self: &Arc<Self>, cluster: &Cluster) -> Result<(), StepError> {
        let connected = cluster.connected();
        let Ok(under_way) = self.succession.asking.clone().try_lock_owned() else { return Ok(()) };
        if !self.succession.is_due(&connected) {
            return Ok(());
        }
        let context = self.clone();
        let asking = tokio::spawn(async move {
            let _under_way = under_way;
            tokio::time::timeout(ASKING, context.ask_for_merges(connected)).await.unwrap_or(Ok(()))
        });
        match tokio::time::timeout(PATIENCE, asking).await {
            Ok(asked) => asked?,
            Err(_) => {
                tracing::warn!("members take their time to give what former integrators merged; other work is merged meanwhile");
                Ok(())
            }
        }
    }

    /// Asks the former integrators first, then everybody else, until every commit that is missing is here.
    async fn ask_for_merges(&self, mut members: Vec<AuthorKey>) -> Result<(), StepError> {
        let missing = self.succession.state().missing.clone();
        members.sort_by_key(|member| !missing.contains_key(member));
        for member in &members {
            let mut all_here = true;
            for commit in &self.succession.wanted() {
                all_here &= self.holds(commit).await?;
            }
            if all_here {
                break;
            }
            self.take(member, &self.main_branch, &self.integrated()).await?;
        }
        Ok(())
    }

    /// Brings the integration branch here to where the integrator's is.
    pub(super) async fn follow(&self, integrator: &AuthorKey) -> Result<(), StepError> {
        let (main, to) = (self.main_branch.clone(), self.integrated());
        if self.take(integrator, &main, &to).await? != Taken::Here {
            return Ok(());
        }
        let followed = self.git(move |git| {
            let tip = git.reference_tip(&to).map_err(|error| describe(&error))?;
            tip.map_or(Ok(()), |tip| git.follow_commit(&main, &tip).map(drop).map_err(|error| describe(&error)))
        });
        if let Err(reason) = followed.await? {
            tracing::warn!(%reason, "the integration branch could not follow the integrator's");
        }
        Ok(())
    }

    fn integrated(&self) -> String {
        format!("{INTEGRATED}/{}", self.main_branch.as_str())
    }

    /// Says what is missing, once for each change.
    fn tell_of_merges(&self, cluster: &Cluster) {
        let mut state = self.succession.state();
        let told = state.missing.first_key_value().map(|(author, Missing { commit, stands })| {
            let (main, name) = (&self.main_branch, cluster.name_of(author));
            match stands {
                Merge::Apart => format!("'{main}' went on without what '{name}' merged before: git merge {commit}"),
                Merge::Blocked(reason) => format!("'{main}' cannot go on from what '{name}' merged before: {reason}"),
                Merge::In | Merge::NotHere => {
                    format!("'{main}' lacks what '{name}' merged before, commit {commit}: no machine that has it is reached")
                }
            }
        });
        if let Some(why) = told.as_ref().filter(|told| state.told.as_ref() != Some(told)) {
            tracing::warn!("{why}");
        }
        state.told = told;
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(digit: char) -> Oid {
        digit.to_string().repeat(40).parse().expect("a commit")
    }

    fn pause(succession: &Succession) -> Duration {
        succession.state().asked.as_ref().expect("members were asked").pause
    }

    #[test]
    fn members_are_asked_less_and_less_often_until_one_connects_and_never_for_what_is_here() {
        let succession = Succession::default();
        let (former, one, other) = (AuthorKey([1; 32]), AuthorKey([2; 32]), AuthorKey([3; 32]));
        assert!(!succession.is_due(&[one]), "nothing is missing");
        succession.note(1, BTreeMap::from([(former, commit('a'))]));
        assert!(succession.is_due(&[one]));
        for _ in 0..10 {
            assert!(!succession.is_due(&[one]), "it was asked just now");
            let mut state = succession.state();
            let asked = state.asked.as_mut().expect("members were asked");
            asked.at = Instant::now().checked_sub(asked.pause).expect("a machine that runs for minutes");
            drop(state);
            assert!(succession.is_due(&[one]), "the pause is over");
        }
        assert_eq!(pause(&succession), LONGEST_PAUSE);
        assert!(succession.is_due(&[one, other]), "one connected");
        assert_eq!(pause(&succession), FIRST_PAUSE);
        assert!(!succession.is_due(&[one]) && succession.is_due(&[one, other]), "one left and came back");
        succession.note(2, BTreeMap::from([(former, commit('b'))]));
        assert!(succession.is_due(&[one, other]), "another merge is heard of");
        succession.note(3, BTreeMap::from([(former, commit('c'))]));
        succession.settle(&former, &commit('c'), Merge::Apart);
        assert!(!succession.is_due(&[one, other]), "nobody needs to give what is here");
    }

    #[test]
    fn what_a_removal_may_mask_is_looked_for_anew() {
        let succession = Succession::default();
        succession.note(7, BTreeMap::from([(AuthorKey([1; 32]), commit('a'))]));
        assert_eq!(succession.begin(&Arc::default()), Some(7));
        let mut masks = Removals::none();
        let removal = octopoid_crdt::lifecycle::Removal {
            author: AuthorKey([1; 32]),
            frontier: Vec::new(),
            reach: octopoid_crdt::lifecycle::Reach::Everything,
        };
        masks.add(0, removal);
        assert_eq!(succession.begin(&Arc::new(masks)), None);
        assert!(succession.wanted().is_empty());
    }
}
