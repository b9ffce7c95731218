//! mDNS, on a thread of its own.
//!
//! libp2p's mDNS keeps every name it hears of, and its tasks outlive it. Here both end with the runtime that they run in, and a flood of
//! names costs this thread and not the members.
//!
//! **Invariants**: at most [`NAMES`] names are kept, and the way to the driver has room for all of them to come and go.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use libp2p::core::transport::ListenerId;
use libp2p::futures::FutureExt;
use libp2p::swarm::behaviour::{ExpiredListenAddr, NewListenAddr};
use libp2p::swarm::{FromSwarm, NetworkBehaviour, ToSwarm};
use libp2p::{Multiaddr, mdns};
use tokio::sync::{mpsc, watch};

use crate::address;
use crate::key::PeerKey;

/// How many names may be known before it is a flood.
pub(crate) const NAMES: usize = 512;
/// How long nothing is listened to after a flood, or after mDNS could not start.
const PAUSE: Duration = Duration::from_secs(30);
/// How often others are asked. A question or its answer may be lost, and after the first answer of anybody libp2p asks at this pace only.
const QUERY_INTERVAL: Duration = Duration::from_secs(10);
/// How long an answer stands.
const TTL: Duration = Duration::from_secs(180);

/// What was heard.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A name is there.
    Name(PeerKey, Multiaddr),
    /// A name is there no more.
    Gone(PeerKey, Multiaddr),
    /// All names are forgotten.
    Flood,
}

/// Why a run of mDNS ended.
enum Run {
    Stopped,
    Flooded,
}

/// Announces the addresses that `listening` holds, and sends what is heard, until `listening` is dropped.
pub(crate) fn start(own: PeerKey, listening: watch::Receiver<BTreeSet<Multiaddr>>) -> mpsc::Receiver<Heard> {
    let (sender, heard) = mpsc::channel(2 * NAMES);
    let started = thread::Builder::new().name("mdns".into()).spawn(move || work(own, listening, &sender));
    if let Err(error) = started {
        tracing::warn!(%error, "no thread for mDNS; nodes on the local network are not found: set network.peers");
    }
    heard
}

fn work(own: PeerKey, mut listening: watch::Receiver<BTreeSet<Multiaddr>>, sender: &mpsc::Sender<Heard>) {
    loop {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return tracing::warn!(%error, "no runtime for mDNS; nodes on the local network are not found: set network.peers"),
        };
        let run = runtime.block_on(run(own, &mut listening, sender));
        match run {
            Ok(Run::Stopped) => return,
            Ok(Run::Flooded) => tracing::warn!(names = NAMES, "mDNS is flooded with names; it pauses for half a minute"),
            Err(error) => tracing::warn!(%error, "mDNS does not work; nodes on the local network are not found: set network.peers"),
        }
        // Dropping the runtime ends the tasks that mDNS has spawned in it.
        drop(runtime);
        let Ok(pause) = tokio::runtime::Builder::new_current_thread().enable_time().build() else { return };
        if pause.block_on(async { tokio::time::timeout(PAUSE, stopped(&mut listening)).await }).is_ok() {
            return;
        }
    }
}

async fn stopped(listening: &mut watch::Receiver<BTreeSet<Multiaddr>>) {
    while listening.changed().await.is_ok() {}
}

async fn run(own: PeerKey, listening: &mut watch::Receiver<BTreeSet<Multiaddr>>, sender: &mpsc::Sender<Heard>) -> std::io::Result<Run> {
    let config = mdns::Config { ttl: TTL, query_interval: QUERY_INTERVAL, enable_ipv6: false };
    let mut behaviour = mdns::tokio::Behaviour::new(config, own.peer_id())?;
    let listener = ListenerId::next();
    let mut announced = BTreeSet::new();
    listening.mark_changed();
    loop {
        let event = {
            let mut change = Box::pin(listening.changed());
            poll_fn(|cx| match change.poll_unpin(cx) {
                Poll::Ready(change) => Poll::Ready(Err(change)),
                Poll::Pending => behaviour.poll(cx).map(Ok),
            })
            .await
        };
        match event {
            Err(Err(_)) => return Ok(Run::Stopped),
            Err(Ok(())) => {
                let wanted = listening.borrow_and_update().clone();
                announce(&mut behaviour, listener, &announced, &wanted);
                announced = wanted;
            }
            Ok(event) => tell(event, sender),
        }
        if behaviour.discovered_nodes().len() > NAMES {
            let _ = sender.send(Heard::Flood).await;
            return Ok(Run::Flooded);
        }
    }
}

fn announce(
    behaviour: &mut mdns::tokio::Behaviour,
    listener_id: ListenerId,
    announced: &BTreeSet<Multiaddr>,
    wanted: &BTreeSet<Multiaddr>,
) {
    for addr in announced.difference(wanted) {
        behaviour.on_swarm_event(FromSwarm::ExpiredListenAddr(ExpiredListenAddr { listener_id, addr }));
    }
    for addr in wanted.difference(announced) {
        behaviour.on_swarm_event(FromSwarm::NewListenAddr(NewListenAddr { listener_id, addr }));
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the enum is non-exhaustive; the rest is meant for a swarm")]
fn tell<T>(event: ToSwarm<mdns::Event, T>, sender: &mpsc::Sender<Heard>) {
    let (names, there) = match event {
        ToSwarm::GenerateEvent(mdns::Event::Discovered(names)) => (names, true),
        ToSwarm::GenerateEvent(mdns::Event::Expired(names)) => (names, false),
        _ => return,
    };
    for (peer, address) in names {
        let (Some(peer), Ok((address, _))) = (PeerKey::from_peer_id(&peer), address::split(&address)) else { continue };
        let heard = if there { Heard::Name(peer, address) } else { Heard::Gone(peer, address) };
        if sender.try_send(heard).is_err() {
            tracing::debug!("a name that mDNS showed was dropped");
        }
    }
}
