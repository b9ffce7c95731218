//! Real nodes on loopback for the tests of the transport.
#![allow(dead_code, reason = "each test file uses a part of this")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use octopoid_net::{Event, Events, Limits, Multiaddr, Network, PeerKey, SecretKey, Settings, start};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A node and what it tells.
pub struct Node {
    pub network: Network,
    pub events: Events,
    pub key: PeerKey,
}

pub fn settings(seed: u8) -> Settings {
    Settings {
        secret: SecretKey::from_bytes(&mut [seed; 32]),
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse().expect("an address")],
        mdns: false,
        limits: Limits::default(),
    }
}

impl Node {
    /// Starts a node with the key of a seed on a port from the system.
    pub async fn start(seed: u8) -> Self {
        Self::with(settings(seed)).await
    }

    /// Starts a node and reads no event yet: what it hears of others may come before it listens itself.
    pub async fn unread(settings: Settings) -> Self {
        let key = settings.secret.peer_key();
        let (network, events) = start(settings).await.expect("a start");
        Self { network, events, key }
    }

    pub async fn with(settings: Settings) -> Self {
        let listens = !settings.listen.is_empty();
        let mut node = Self::unread(settings).await;
        if listens {
            node.until("listening", |event| matches!(event, Event::Listening { .. }).then_some(())).await;
        }
        node
    }

    pub fn address(&self) -> Multiaddr {
        self.network.listen_addresses().first().expect("an address").clone()
    }

    pub fn set_members(&self, members: &[PeerKey]) {
        self.network.set_members(members.iter().copied().collect::<BTreeSet<_>>());
    }

    /// Knows a peer as a member at an address.
    pub fn knows(&self, peer: &Node) {
        self.network.set_addresses(peer.key, &[peer.address()]).expect("a good address");
    }

    /// Reads events until one gives what is looked for.
    pub async fn until<T>(&mut self, what: &str, mut pick: impl FnMut(Event) -> Option<T>) -> T {
        let found = async {
            loop {
                let event = self.events.next().await.unwrap_or_else(|| panic!("the network stopped before: {what}"));
                if let Some(found) = pick(event) {
                    return found;
                }
            }
        };
        timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("waited too long for: {what}"))
    }

    pub async fn until_connected(&mut self, peer: PeerKey) {
        self.until("connected", |event| matches!(event, Event::Connected { peer: who, .. } if who == peer).then_some(())).await;
    }

    pub async fn frame(&mut self) -> Bytes {
        self.until("a frame", |event| if let Event::Frame { bytes, .. } = event { Some(bytes) } else { None }).await
    }
}

/// Starts two members that are connected.
pub async fn pair() -> (Node, Node) {
    let (mut one, mut other) = (Node::start(1).await, Node::start(2).await);
    connect(&mut one, &mut other).await;
    (one, other)
}

pub async fn connect(one: &mut Node, other: &mut Node) {
    one.set_members(&[other.key]);
    other.set_members(&[one.key]);
    one.knows(other);
    one.until_connected(other.key).await;
    other.until_connected(one.key).await;
}

/// Waits until a condition holds.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("waited too long until: {what}"));
}

/// Stands between two nodes and can stop to pass bytes on, as a stopped process or a cut cable does.
pub struct Proxy {
    pub address: Multiaddr,
    pub frozen: Arc<AtomicBool>,
    /// How long each piece takes on its way, in milliseconds.
    pub delay: Arc<AtomicU64>,
    pub opened: Arc<AtomicUsize>,
}

impl Proxy {
    pub async fn before(target: &Node) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("a bound socket").port();
        let (frozen, opened, delay) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default(), Arc::<AtomicU64>::default());
        let target = port_of(&target.address());
        let (freeze, count, slow) = (Arc::clone(&frozen), Arc::clone(&opened), Arc::clone(&delay));
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let Ok(far) = TcpStream::connect(("127.0.0.1", target)).await else { continue };
                let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                tokio::spawn(pump(near_in, far_out, Arc::clone(&freeze), Arc::clone(&slow)));
                tokio::spawn(pump(far_in, near_out, Arc::clone(&freeze), Arc::clone(&slow)));
            }
        });
        Self { address: format!("/ip4/127.0.0.1/tcp/{port}").parse().expect("an address"), frozen, delay, opened }
    }

    pub fn freeze(&self, frozen: bool) {
        self.frozen.store(frozen, Ordering::SeqCst);
    }
}

async fn pump(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    frozen: Arc<AtomicBool>,
    delay: Arc<AtomicU64>,
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        while frozen.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(count) => {
                tokio::time::sleep(Duration::from_millis(delay.load(Ordering::SeqCst))).await;
                while frozen.load(Ordering::SeqCst) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                if to.write_all(&buffer[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}

pub fn port_of(address: &Multiaddr) -> u16 {
    address.to_string().rsplit('/').next().and_then(|port| port.parse().ok()).expect("an address that ends with a port")
}

/// Returns how much memory this process holds, in bytes.
pub fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells about processes");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("the size in memory");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<usize>().ok()).expect("a number") * 1024
}
