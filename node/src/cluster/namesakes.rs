//! Other clusters of this one's name on the local network.
//!
//! A cluster that has taken another's name and lets anybody in at once would have its agents run on the machine of whoever
//! joins it by mistake. The code that both sides compare is what stops that; this tells people that there is something to
//! compare.
//!
//! **Invariants**: a namesake has answered for the name itself, in the join protocol, with another cluster's id; few are asked
//! at once and none often, so that a flood of names costs little; what is found changes nothing but what is shown.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use octopoid_crdt::ids::{AuthorKey, ClusterId, Name};
use octopoid_crdt::peer::join::{JoinFrame, Joiner};
use octopoid_net::Multiaddr;

use super::random;
use super::shared::{Shared, peer_key};

/// How many strangers are asked at the same time.
const AT_ONCE: usize = 4;
/// When a stranger is asked again: it may have joined or named a cluster meanwhile.
const AGAIN: Duration = Duration::from_secs(5 * 60);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Strangers that are remembered.
const KNOWN: usize = 256;
/// What a node calls itself when it only asks.
const PASSER_BY: &str = "passer-by";

/// A stranger's answer.
#[derive(Debug, Clone)]
struct Asked {
    when: Instant,
    /// Where it answered for the same name with another cluster's id.
    namesake: Option<Multiaddr>,
}

#[derive(Debug, Default)]
struct Inner {
    asked: BTreeMap<AuthorKey, Asked>,
    asking: usize,
}

/// The strangers that were asked what their cluster is called.
#[derive(Debug, Default)]
pub(super) struct Namesakes(Mutex<Inner>);

impl Namesakes {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns where clusters of the same name were seen, each with its peer id.
    pub fn seen(&self) -> Vec<String> {
        let inner = self.lock();
        let seen = inner.asked.iter().filter_map(|(key, asked)| Some((key, asked.namesake.as_ref()?)));
        seen.map(|(key, address)| format!("{address}/p2p/{}", peer_key(key))).collect()
    }

    /// Takes the turn to ask a stranger; none while others are asked, or when it was asked lately.
    fn begin(&self, stranger: AuthorKey) -> bool {
        let mut inner = self.lock();
        let known = inner.asked.get(&stranger);
        let due = known.map_or(inner.asked.len() < KNOWN, |asked| asked.when.elapsed() >= AGAIN);
        if !due || inner.asking >= AT_ONCE {
            return false;
        }
        inner.asking += 1;
        inner.asked.entry(stranger).or_insert(Asked { when: Instant::now(), namesake: None }).when = Instant::now();
        true
    }

    /// Notes what came of asking a stranger.
    fn end(&self, stranger: AuthorKey, namesake: Option<Multiaddr>) {
        let mut inner = self.lock();
        inner.asking = inner.asking.saturating_sub(1);
        if let Some(asked) = inner.asked.get_mut(&stranger) {
            asked.namesake = namesake;
        }
    }

    /// Forgets who is not on the network any more, or has become a member.
    pub fn forget(&self, stranger: &AuthorKey) {
        self.lock().asked.remove(stranger);
    }

    /// Forgets those who are members.
    pub fn forget_members(&self, members: &BTreeSet<AuthorKey>) {
        self.lock().asked.retain(|stranger, _| !members.contains(stranger));
    }
}

impl Shared {
    /// Asks a stranger on the local network whether its cluster has this one's name, unless it was asked lately.
    pub(super) fn look_at(self: &Arc<Self>, stranger: AuthorKey, address: Multiaddr) {
        let view = self.store.membership();
        let Some(name) = view.name().cloned().filter(|_| view.access(&stranger).is_none() && stranger != self.me) else { return };
        if !self.namesakes.begin(stranger) {
            return;
        }
        let shared = self.clone();
        tokio::spawn(async move {
            let answer = tokio::time::timeout(PATIENCE, shared.cluster_called(stranger, &address, &name)).await;
            let namesake = answer.ok().flatten().filter(|cluster| *cluster != shared.cluster).map(|_| address);
            if let Some(address) = &namesake {
                tracing::warn!(%address, peer = %stranger, cluster = %name, "another cluster on the local network has this one's name");
            }
            shared.namesakes.end(stranger, namesake);
        });
    }

    /// Asks for the id of the cluster of a name; the request is left there, and shows no code.
    async fn cluster_called(&self, stranger: AuthorKey, address: &Multiaddr, name: &Name) -> Option<ClusterId> {
        let address = format!("{address}/p2p/{}", peer_key(&stranger)).parse().ok()?;
        let mut stream = self.network.dial_join(address).await.ok()?;
        let (_, ask) = Joiner::ask(self.me, stranger, name.clone(), PASSER_BY.parse().ok()?, random());
        stream.send(&ask.encode().ok()?).await.ok()?;
        let answer = JoinFrame::decode(&stream.receive().await.ok()?).ok()?;
        if let JoinFrame::Challenge { cluster, .. } = answer { Some(cluster) } else { None }
    }

    /// Asks strangers that wait for it.
    pub(super) fn look_around(self: &Arc<Self>) {
        let strangers = self.book().on_the_network();
        strangers.into_iter().for_each(|(stranger, address)| self.look_at(stranger, address));
    }
}
