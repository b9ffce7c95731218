//! Finds a cluster by its name on the local network and asks one of its nodes to let this machine in.
//!
//! **Invariants**: however many names mDNS shows and whatever answers there, the search ends in time; one node alone shows a code; a node
//! is told nothing but the cluster's name and this machine's before it has answered with the wanted cluster.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use octopoid_crdt::ids::{AuthorKey, ClusterId, Name};
use octopoid_crdt::peer::join::{Code, JoinError, JoinFrame, Joiner, JoinerOutput, Refusal};
use octopoid_crdt::record::Verified;
use octopoid_net::{Event, Events, JoinStream, Multiaddr, Network, PeerKey};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::join::{JoinClusterError, exchange, random};

/// How long the local network is searched.
const SEARCH: Duration = Duration::from_secs(5);
/// How long a node may take to answer for a name, and to show a code.
const ANSWER: Duration = Duration::from_secs(3);
/// How many nodes are asked at the same time; fewer than the network dials at once.
const AT_ONCE: usize = 32;
/// How many nodes that mDNS shows wait to be asked; as many as the network itself keeps.
const SIGHTINGS: usize = 256;
/// How many addresses of nodes one search looks at.
const KNOWN: usize = 1024;
/// How often the host is asked whether somebody has approved.
const POLL: Duration = Duration::from_secs(2);

/// What is looked for, and by whom.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub me: AuthorKey,
    /// The cluster's name.
    pub cluster: Name,
    /// What this machine calls itself.
    pub machine: Name,
    /// The cluster itself, where another one of the name would not do.
    pub id: Option<ClusterId>,
}

/// A host that has answered for the cluster's name.
struct Challenged {
    joiner: Joiner,
    stream: JoinStream,
    /// What it is sent next.
    reveal: JoinFrame,
    address: Multiaddr,
}

/// A host that shows a code now.
pub(super) struct Asked {
    joiner: Joiner,
    pub code: Code,
    pub cluster: ClusterId,
    host: AuthorKey,
    address: Multiaddr,
}

/// Passes on whom mDNS shows, and takes every other event for as long as the network lasts: it stops when nobody does, and another
/// machine that searches is told at once that nobody can join by this one.
pub(super) fn sightings(mut events: Events) -> mpsc::Receiver<(PeerKey, Multiaddr)> {
    let (seen, sightings) = mpsc::channel(SIGHTINGS);
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            if let Event::Discovered { peer, address } = event {
                // Nobody looks once a cluster was found.
                let _ = seen.try_send((peer, address));
            }
        }
    });
    sightings
}

/// Nodes that mDNS shows, each to be asked once at each address, and at one at a time: a node takes a second request for another.
#[derive(Default)]
struct Names {
    known: BTreeSet<(PeerKey, Multiaddr)>,
    waiting: VecDeque<(PeerKey, Multiaddr)>,
    busy: BTreeSet<PeerKey>,
}

impl Names {
    fn add(&mut self, seen: (PeerKey, Multiaddr)) {
        if self.known.len() < KNOWN && self.known.insert(seen.clone()) {
            self.waiting.push_back(seen);
        }
    }

    fn next(&mut self) -> Option<(PeerKey, Multiaddr)> {
        if self.busy.len() >= AT_ONCE {
            return None;
        }
        let at = self.waiting.iter().position(|(peer, _)| !self.busy.contains(peer))?;
        let next = self.waiting.remove(at)?;
        self.busy.insert(next.0);
        Some(next)
    }
}

/// Asks the nodes that mDNS shows, as they appear, several at a time; the first of the wanted cluster shows a code.
pub(super) async fn search(
    network: &Network,
    mut sightings: mpsc::Receiver<(PeerKey, Multiaddr)>,
    wanted: &Wanted,
) -> Result<Option<Asked>, JoinClusterError> {
    let (mut names, mut refused) = (Names::default(), None);
    let mut asking = JoinSet::new();
    let end = Instant::now() + SEARCH;
    let mut over = false;
    loop {
        while let Some(name) = names.next().filter(|_| !over) {
            asking.spawn(ask(network.clone(), name, wanted.clone()));
        }
        let answer = tokio::select! {
            seen = sightings.recv(), if !over => {
                match seen {
                    Some(seen) => names.add(seen),
                    None => over = true,
                }
                continue;
            }
            () = tokio::time::sleep_until(end), if !over => {
                over = true;
                continue;
            }
            Some(answer) = asking.join_next() => answer,
            else => break,
        };
        // Whose question broke down is not asked at another address either.
        let Ok((peer, answer)) = answer else { continue };
        names.busy.remove(&peer);
        let shown = match answer {
            Ok(Some(challenged)) => in_time(end + ANSWER, challenged.show()).await.map(Some),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        match shown {
            Ok(Some(asked)) => return Ok(Some(asked)),
            Ok(None) => {}
            Err(JoinClusterError::Refused(JoinError::Refused(refusal))) => refused = Some(refusal),
            Err(error) => tracing::debug!(%peer, %error, "a node on the local network could not be asked"),
        }
    }
    // Who has the name but cannot let anybody in: to make another cluster of that name would surprise.
    refused.map_or(Ok(None), |refusal| Err(JoinError::Refused(refusal).into()))
}

async fn in_time<T>(end: Instant, doing: impl Future<Output = Result<T, JoinClusterError>>) -> Result<T, JoinClusterError> {
    let end = end.min(Instant::now() + ANSWER);
    tokio::time::timeout_at(end, doing).await.unwrap_or(Err(JoinClusterError::Silent))
}

/// Asks one node whether it is of the wanted cluster.
async fn ask(
    network: Network,
    (peer, address): (PeerKey, Multiaddr),
    wanted: Wanted,
) -> (PeerKey, Result<Option<Challenged>, JoinClusterError>) {
    let Ok(address) = format!("{address}/p2p/{peer}").parse::<Multiaddr>() else { return (peer, Ok(None)) };
    (peer, in_time(Instant::now() + ANSWER, challenged(network, address, wanted)).await)
}

async fn challenged(network: Network, address: Multiaddr, wanted: Wanted) -> Result<Option<Challenged>, JoinClusterError> {
    let mut stream = network.dial_join(address.clone()).await?;
    let host = AuthorKey(stream.peer().0);
    let (mut joiner, frame) = Joiner::ask(wanted.me, host, wanted.cluster, wanted.machine, random()?);
    let answer = exchange(&mut stream, &frame).await?;
    if let (JoinFrame::Challenge { cluster, .. }, Some(id)) = (&answer, &wanted.id)
        && cluster != id
    {
        return Ok(None);
    }
    match joiner.handle(answer) {
        Ok(JoinerOutput::Send(reveal)) => Ok(Some(Challenged { joiner, stream, reveal, address })),
        Ok(JoinerOutput::Show { .. } | JoinerOutput::Wait | JoinerOutput::Joined { .. }) => Err(JoinError::Unexpected.into()),
        Err(JoinError::Refused(Refusal::NoSuchCluster)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl Challenged {
    /// Lets the host show the code.
    async fn show(mut self) -> Result<Asked, JoinClusterError> {
        let host = AuthorKey(self.stream.peer().0);
        match self.joiner.handle(exchange(&mut self.stream, &self.reveal).await?)? {
            JoinerOutput::Show { code, cluster } => Ok(Asked { joiner: self.joiner, code, cluster, host, address: self.address }),
            JoinerOutput::Send(_) | JoinerOutput::Wait | JoinerOutput::Joined { .. } => Err(JoinError::Unexpected.into()),
        }
    }
}

impl Asked {
    /// Takes the request back, as far as the host can be told; it ends by itself, too.
    pub async fn withdraw(mut self, network: &Network) {
        let withdraw = self.joiner.withdraw();
        if let Ok(mut stream) = network.dial_join(self.address.clone()).await {
            let _ = exchange(&mut stream, &withdraw).await;
        }
    }

    /// Confirms the code, and asks until an admin has decided.
    pub async fn finish(mut self, network: &Network, patience: Duration) -> Result<(Verified, AuthorKey, String), JoinClusterError> {
        let end = Instant::now() + patience;
        while Instant::now() < end {
            let frame = self.joiner.confirm()?;
            match self.once(network, &frame).await {
                Ok(JoinerOutput::Joined { genesis, .. }) => return Ok((*genesis, self.host, self.address.to_string())),
                Ok(JoinerOutput::Wait) => {}
                Ok(JoinerOutput::Send(_) | JoinerOutput::Show { .. }) => return Err(JoinError::Unexpected.into()),
                Err(JoinClusterError::Refused(error)) => return Err(error.into()),
                // The host may be restarting: ask again.
                Err(error) => tracing::debug!(%error, "the host did not answer"),
            }
            tokio::time::sleep(POLL.min(end.saturating_duration_since(Instant::now()))).await;
        }
        Err(JoinClusterError::NotApproved)
    }

    async fn once(&mut self, network: &Network, frame: &JoinFrame) -> Result<JoinerOutput, JoinClusterError> {
        let mut stream = network.dial_join(self.address.clone()).await?;
        let answer = exchange(&mut stream, frame).await?;
        Ok(self.joiner.handle(answer)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use octopoid_crdt::lease::Moment;
    use octopoid_crdt::peer::join::{Here, Host, HostOutput};
    use octopoid_crdt::record::{Body, Payload, Signer};
    use octopoid_net::{Limits, SecretKey, Settings};
    use std::net::TcpListener;

    const LOOPBACK: &str = "/ip4/127.0.0.1/tcp/0";

    async fn network(seed: u8, listen: &[&str]) -> (Network, Events) {
        let listen = listen.iter().map(|address| address.parse().expect("an address")).collect();
        let secret = SecretKey::from_bytes(&mut [seed; 32]);
        octopoid_net::start(Settings { secret, listen, mdns: false, limits: Limits::default() }).await.expect("a network")
    }

    fn wanted(seed: u8) -> Wanted {
        let name = |text: &str| text.parse().expect("a name");
        Wanted { me: Signer::from_seed(&[seed; 32]).author(), cluster: name("home"), machine: name("laptop"), id: None }
    }

    /// An admin of a cluster of the name, at the address that is returned.
    async fn host(seed: u8, listen: &str) -> (PeerKey, Multiaddr) {
        let (network, mut events) = network(seed, &[listen]).await;
        let address = loop {
            if let Some(Event::Listening { address }) = events.next().await {
                break address;
            }
        };
        let signer = Signer::from_seed(&[seed; 32]);
        let genesis = genesis(&signer);
        tokio::spawn(async move {
            let _network = network;
            let mut host = Host::new(signer.author(), genesis);
            let name: Name = "home".parse().expect("a name");
            while let Some(event) = events.next().await {
                let Event::Join { mut stream } = event else { continue };
                while let Ok(bytes) = stream.receive().await {
                    let here = Here { name: Some(&name), admin: true, member: false, nonce: [7; 32] };
                    let from = AuthorKey(stream.peer().0);
                    let reply = match host.handle(Moment(1), from, JoinFrame::decode(&bytes).expect("a frame"), &here) {
                        HostOutput::Reply(frame) => frame,
                        HostOutput::Show(_) | HostOutput::LetIn { .. } | HostOutput::Redeem { .. } => JoinFrame::Waiting,
                    };
                    stream.send(&reply.encode().expect("bytes")).await.expect("sent");
                }
            }
        });
        (SecretKey::from_bytes(&mut [seed; 32]).peer_key(), address)
    }

    fn genesis(signer: &Signer) -> Verified {
        let body = Body::Genesis { creator: signer.author(), nonce: [0; 16], root_commit: None };
        let cluster = octopoid_crdt::record::cluster_id(&body).expect("a cluster");
        let session = octopoid_crdt::ids::SessionId([1; 16]);
        let subject = octopoid_crdt::ids::Subject::CLUSTER;
        let payload = Payload { author: signer.author(), session, seq: 0, prev: None, subject, wall_ms: 0, deps: Vec::new(), body };
        Verified::sign(signer, cluster, payload).expect("a record")
    }

    async fn shown(names: Vec<(PeerKey, Multiaddr)>, seed: u8) -> Result<Option<Asked>, JoinClusterError> {
        let (network, _events) = network(seed, &[]).await;
        let (seen, sightings) = mpsc::channel(SIGHTINGS);
        for name in names {
            seen.send(name).await.expect("room");
        }
        let found = search(&network, sightings, &wanted(seed)).await;
        network.shutdown().await;
        found
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn sixty_names_behind_which_nobody_answers_keep_the_cluster_from_nobody() {
        let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address: Multiaddr = format!("/ip4/127.0.0.1/tcp/{}", silent.local_addr().expect("an address").port()).parse().expect("one");
        let dead = (100..160).map(|seed| (SecretKey::from_bytes(&mut [seed; 32]).peer_key(), address.clone()));
        let host = host(1, LOOPBACK).await;
        let began = Instant::now();
        let asked = shown(dead.chain([host.clone()]).collect(), 2).await.expect("an answer").expect("the cluster");
        assert_eq!(PeerKey(asked.host.0), host.0);
        assert!(began.elapsed() < SEARCH, "{:?}", began.elapsed());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_node_that_is_seen_at_two_addresses_is_asked_at_one_at_a_time() {
        let (peer, address) = host(3, "/ip4/0.0.0.0/tcp/0").await;
        let port = address.to_string().rsplit('/').next().expect("a port").to_owned();
        let at = |ip: &str| (peer, format!("/ip4/{ip}/tcp/{port}").parse().expect("an address"));
        let asked = shown(vec![at("127.0.0.1"), at("127.0.0.2")], 4).await.expect("no refusal").expect("the cluster");
        assert_eq!(PeerKey(asked.host.0), peer);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_is_not_approved_in_time_is_told_so_whatever_becomes_of_the_host() {
        let asked = shown(vec![host(5, LOOPBACK).await], 6).await.expect("an answer").expect("the cluster");
        let (network, _events) = network(6, &[]).await;
        let refused = asked.finish(&network, Duration::from_millis(300)).await.expect_err("nobody approves");
        assert!(matches!(refused, JoinClusterError::NotApproved), "{refused}");
        assert!(refused.to_string().contains("run the command again"), "{refused}");

        let asked = shown(vec![host(7, LOOPBACK).await], 8).await.expect("an answer").expect("the cluster");
        let gone = Asked { address: "/ip4/127.0.0.1/tcp/1".parse().expect("an address"), ..asked };
        let refused = gone.finish(&network, Duration::from_millis(300)).await.expect_err("nobody is there");
        assert!(matches!(refused, JoinClusterError::NotApproved), "{refused}");
    }
}
