//! The join protocol, which anybody may speak, over real sockets.

mod support;

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use octopoid_net::{DialError, Event, JoinError, JoinStream, Limits, Multiaddr, Rate, Settings};
use support::{Node, Proxy, pair, settings};
use tokio::time::timeout;

async fn joined(node: &mut Node) -> JoinStream {
    node.until("a join", |event| if let Event::Join { stream } = event { Some(stream) } else { None }).await
}

#[tokio::test]
async fn strangers_exchange_four_frames_each_way_and_know_each_others_keys() {
    let (mut asked, asking) = (Node::start(1).await, Node::start(2).await);
    let mut out = asking.network.dial_join(asked.address()).await.expect("somebody there");
    assert_eq!((out.peer(), out.address().clone()), (asked.key, asked.address()));
    for step in 0..4u8 {
        out.send(&[step; 1024]).await.expect("a step");
        if step == 0 {
            let mut input = joined(&mut asked).await;
            assert_eq!(input.peer(), asking.key);
            assert!(input.address().to_string().starts_with("/ip4/127.0.0.1/tcp/"), "{}", input.address());
            tokio::spawn(async move {
                while let Ok(frame) = input.receive().await {
                    input.send(&[frame[0] + 100]).await.expect("a step");
                }
                assert!(matches!(input.receive().await, Err(JoinError::NoStepsLeft)));
            });
        }
        assert_eq!(out.receive().await.expect("an answer"), vec![step + 100]);
    }
    assert!(matches!(out.send(&[]).await, Err(JoinError::NoStepsLeft)));
    assert!(matches!(out.receive().await, Err(JoinError::NoStepsLeft)));
}

#[tokio::test]
async fn frames_take_turns_and_are_small() {
    let (mut asked, asking) = (Node::start(1).await, Node::start(2).await);
    let mut out = asking.network.dial_join(asked.address()).await.expect("somebody there");
    assert!(matches!(out.send(&[0; 1025]).await, Err(JoinError::TooLarge { bytes: 1025 })));
    assert!(matches!(out.receive().await, Err(JoinError::OutOfTurn)), "the dialer begins");
    out.send(b"hello").await.expect("its turn");
    assert!(matches!(out.send(b"and").await, Err(JoinError::OutOfTurn)));
    let mut input = joined(&mut asked).await;
    assert!(matches!(input.send(b"?").await, Err(JoinError::OutOfTurn)));
    assert_eq!(input.receive().await.expect("a frame"), "hello");
    input.send(b"last words").await.expect("its turn");
    input.close().await;
    assert_eq!(out.receive().await.expect("what was sent before the end"), "last words");
    out.send(b"too late").await.expect("nobody knows yet");
    assert!(out.receive().await.is_err());
}

#[tokio::test]
async fn a_join_that_says_nothing_ends_in_time_on_both_sides() {
    let limits = Limits { join_time: Duration::from_secs(1), ..Limits::default() };
    let mut asked = Node::with(Settings { limits: limits.clone(), ..settings(1) }).await;
    let asking = Node::with(Settings { limits, ..settings(2) }).await;
    let started = Instant::now();
    let mut out = asking.network.dial_join(asked.address()).await.expect("somebody there");
    let mut input = joined(&mut asked).await;
    assert!(matches!(input.receive().await, Err(JoinError::TimedOut)));
    assert!(matches!(out.send(b"late").await, Err(JoinError::TimedOut)));
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_dial_says_what_is_wrong_with_the_address() {
    let (one, other) = (Node::start(1).await, Node::start(2).await);
    let named = |node: &Node, address: Multiaddr| format!("{address}/p2p/{}", node.key).parse::<Multiaddr>().expect("an address");
    let wrong = one.network.dial_join(named(&one, other.address())).await.expect_err("another node");
    assert!(matches!(&wrong, DialError::WrongPeer { found, .. } if *found == Some(other.key)), "{wrong:?}");
    assert!(wrong.to_string().contains(&other.key.to_string()), "{wrong}");
    let own = one.network.dial_join(one.address()).await.expect_err("itself");
    assert!(matches!(own, DialError::Own { .. }), "{own:?} {}", one.key);
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("a bound socket").port();
    let nobody = one.network.dial_join(format!("/ip4/127.0.0.1/tcp/{port}").parse().expect("an address")).await.expect_err("nobody");
    assert!(matches!(nobody, DialError::Unreachable { kind: ErrorKind::ConnectionRefused, .. }), "{nobody:?}");
    assert!(nobody.to_string().contains("check the address"), "{nobody}");
    let udp = one.network.dial_join("/ip4/127.0.0.1/udp/1".parse().expect("an address")).await.expect_err("no TCP");
    assert!(matches!(udp, DialError::Address(_)), "{udp:?}");
    let proxy = Proxy::before(&other).await;
    proxy.freeze(true);
    let started = Instant::now();
    let silent = one.network.dial_join(proxy.address.clone()).await.expect_err("a silent one");
    assert!(matches!(silent, DialError::Unreachable { .. }), "{silent:?}");
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    one.network.dial_join(named(&other, other.address())).await.expect("the right node");
}

#[tokio::test]
async fn joins_that_come_too_often_are_refused_for_a_while() {
    let joins = Rate { burst: 3, per_second: 1.0 };
    let asked = Node::with(Settings { limits: Limits { joins, ..Limits::default() }, ..settings(1) }).await;
    let asking = Node::start(2).await;
    let (address, mut events) = (asked.address(), asked.events);
    let attempt = async || {
        let mut out = asking.network.dial_join(address.clone()).await.map_err(|_| ())?;
        out.send(b"hello").await.map_err(|_| ())?;
        out.receive().await.map_err(|_| ())
    };
    let worker = tokio::spawn(async move {
        while let Some(event) = events.next().await {
            if let Event::Join { mut stream } = event {
                stream.receive().await.expect("a frame");
                stream.send(b"yes").await.expect("a step");
                stream.close().await;
            }
        }
    });
    let mut answers = 0;
    for _ in 0..10 {
        answers += usize::from(attempt().await.is_ok());
    }
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let later = attempt().await;
    worker.abort();
    assert!((3..=5).contains(&answers), "{answers} of ten at once");
    assert!(later.is_ok(), "a while later there is room again");
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_are_connected_can_still_be_asked_to_let_in() {
    let (mut one, mut other) = pair().await;
    // The one that leads the pair would have no use for a second connection, the other waits for the leader.
    join_beside(&mut one, &other).await;
    join_beside(&mut other, &one).await;
    assert!(one.network.peers()[0].connected && other.network.peers()[0].connected);
}

async fn join_beside(asked: &mut Node, asking: &Node) {
    let (address, network) = (asked.address(), asking.network.clone());
    let dial = tokio::spawn(async move {
        let mut out = network.dial_join(address).await.expect("somebody there");
        // Longer than a connection of no use lasts.
        tokio::time::sleep(Duration::from_secs(3)).await;
        out.send(b"am I in?").await.expect("a step");
        out.receive().await.expect("an answer")
    });
    let mut input = joined(asked).await;
    assert_eq!(input.receive().await.expect("a frame"), "am I in?");
    input.send(b"yes").await.expect("a step");
    assert_eq!(timeout(Duration::from_secs(5), dial).await.expect("in time").expect("no panic"), "yes");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_just_let_in_connects_as_a_member_beside_its_join() {
    for (first, second) in [(1, 2), (2, 1)] {
        let (mut inside, mut outside) = (Node::start(first).await, Node::start(second).await);
        let mut out = outside.network.dial_join(inside.address()).await.expect("somebody there");
        out.send(b"let me in").await.expect("a step");
        let mut input = joined(&mut inside).await;
        input.receive().await.expect("a frame");
        inside.set_members(&[outside.key]);
        input.send(b"you are in").await.expect("a step");
        out.receive().await.expect("an answer");
        let started = Instant::now();
        outside.set_members(&[inside.key]);
        outside.knows(&inside);
        outside.until_connected(inside.key).await;
        inside.until_connected(outside.key).await;
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
        out.send(b"thanks").await.expect("the join still runs");
        assert_eq!(input.receive().await.expect("a frame"), "thanks");
    }
}
