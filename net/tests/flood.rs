//! A thousand connections of strangers, slow and half open, beside two members.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use octopoid_net::{Event, Limits, Settings};
use support::{Node, connect, eventually, port_of, resident, settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Measures how long a frame and its answer take: the median and the slowest but one in a hundred.
async fn round_trips(one: &mut Node, peer: octopoid_net::PeerKey) -> (Duration, Duration) {
    let mut times = Vec::new();
    for _ in 0..600 {
        let sent = Instant::now();
        one.network.try_send(&peer, Bytes::from_static(&[7; 200])).expect("a connected peer");
        one.frame().await;
        times.push(sent.elapsed());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    times.sort();
    (times[300], times[594])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_slow_and_half_open_connections_cost_the_members_little() {
    let mut one = Node::start(1).await;
    let mut other = Node::start(2).await;
    connect(&mut one, &mut other).await;
    let (network, back, peer) = (other.network.clone(), one.key, other.key);
    tokio::spawn(async move {
        while let Some(event) = other.events.next().await {
            if let Event::Frame { bytes, .. } = event {
                network.try_send(&back, bytes).expect("room");
            }
        }
    });
    let quiet = round_trips(&mut one, peer).await;
    let before = resident();
    let flood = Flood::start(port_of(&one.address()));
    eventually("the flood is there", || flood.opened.load(Ordering::SeqCst) > 1000).await;
    let flooded = round_trips(&mut one, peer).await;
    let grown = resident().saturating_sub(before);
    let (opened, held) = (flood.opened.load(Ordering::SeqCst), flood.held.load(Ordering::SeqCst));
    eprintln!("quiet {quiet:?}, flooded by {opened}, of which {held} are held: {flooded:?}, grown by {} KiB", grown / 1024);
    assert!(one.network.peers()[0].connected);
    assert!(held < 100, "{held} strangers are held");
    // The flood and the tests beside this one run on the same cores as both members do, hence the allowances beside the factor.
    assert!(flooded.0 <= quiet.0 * 2 + Duration::from_millis(1), "median: quiet {quiet:?}, flooded {flooded:?}");
    assert!(flooded.1 <= quiet.1 * 2 + Duration::from_millis(20), "one in a hundred: quiet {quiet:?}, flooded {flooded:?}");
    assert!(grown < 64 << 20, "grew by {grown} bytes");
}

/// A thousand connections on a thread of their own, each opened again a second after it was closed.
struct Flood {
    opened: Arc<AtomicUsize>,
    held: Arc<AtomicUsize>,
    stopped: Arc<AtomicBool>,
}

impl Flood {
    fn start(port: u16) -> Self {
        let (opened, held, stopped) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let (count, hold, stop) = (Arc::clone(&opened), Arc::clone(&held), Arc::clone(&stopped));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                for number in 0..1000 {
                    tokio::spawn(stranger(port, number, Arc::clone(&count), Arc::clone(&hold)));
                }
                while !stop.load(Ordering::SeqCst) {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            });
        });
        Self { opened, held, stopped }
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
    }
}

/// Says nothing, begins to talk, or talks nonsense, and stays as long as it may.
async fn stranger(port: u16, number: usize, opened: Arc<AtomicUsize>, held: Arc<AtomicUsize>) {
    loop {
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await {
            opened.fetch_add(1, Ordering::SeqCst);
            held.fetch_add(1, Ordering::SeqCst);
            match number % 3 {
                1 => drop(stream.write_all(b"\x13/multistream/1.0.0\n\x07/noise\n").await),
                2 => drop(stream.write_all(&[0xff; 64]).await),
                _ => (),
            }
            let mut answer = [0; 256];
            while stream.read(&mut answer).await.is_ok_and(|count| count > 0) {}
            held.fetch_sub(1, Ordering::SeqCst);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_with_keys_are_counted_and_leave_room_for_members() {
    let limits = Limits { guests_per_address: 4, ..Limits::default() };
    let mut one = Node::with(Settings { limits, ..settings(1) }).await;
    let address = one.address();
    // Each stranger holds a join open and says nothing.
    let mut strangers = Vec::new();
    let mut held = Vec::new();
    for seed in 100..110 {
        let stranger = Node::start(seed).await;
        if let Ok(stream) = stranger.network.dial_join(address.clone()).await {
            held.push(stream);
        }
        strangers.push(stranger);
    }
    assert_eq!(held.len(), 4);
    let mut member = Node::start(2).await;
    connect(&mut member, &mut one).await;
    drop(held);
    let mut late = None;
    for _ in 0..20 {
        late = strangers[9].network.dial_join(address.clone()).await.ok();
        if late.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert!(late.is_some(), "there is room again when guests have left");
    eventually("the member is still there", || one.network.peers()[0].connected).await;
}
