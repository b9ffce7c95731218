//! How connections come about and end, over real sockets.
#![expect(clippy::wildcard_enum_match_arm, reason = "of many events, a few are looked at")]

mod support;

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use octopoid_net::{DialError, Ended, Event, RequestError, SendError};
use support::{Node, Proxy, connect, eventually, pair, settings};

async fn ended(node: &mut Node) -> Ended {
    node.until("the end", |event| if let Event::Disconnected { reason, .. } = event { Some(reason) } else { None }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_dial_each_other_at_once_end_with_one_connection_and_lose_no_frame() {
    // Side by side, so that the dials meet in many ways.
    let mut rounds = tokio::task::JoinSet::new();
    for round in 0..10u8 {
        rounds.spawn(cross(Node::start(10 + round).await, Node::start(100 + round).await));
    }
    rounds.join_all().await;
}

async fn cross(mut one: Node, mut other: Node) {
    one.knows(&other);
    other.knows(&one);
    one.set_members(&[other.key]);
    other.set_members(&[one.key]);
    let (one_key, other_key) = (one.key, other.key);
    tokio::join!(one.until_connected(other_key), other.until_connected(one_key));
    // Longer than a connection of no use lasts.
    let until = Instant::now() + Duration::from_secs(4);
    let mut number = 0;
    while Instant::now() < until {
        pass(&one, &mut other, number).await;
        pass(&other, &mut one, number).await;
        number += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let one_left = |node: &Node| node.network.peers()[0].connections == 1;
    eventually("one connection is left", || one_left(&one) && one_left(&other)).await;
}

/// Sends a frame, which must arrive next on the same connection.
async fn pass(from: &Node, to: &mut Node, number: u32) {
    from.network.try_send(&to.key, Bytes::from(number.to_be_bytes().to_vec())).expect("a connected peer");
    let arrived = to.until("a frame", |event| match event {
        Event::Frame { bytes, .. } => Some(bytes),
        Event::Disconnected { reason, .. } => panic!("the connection in use ended: {reason}"),
        _ => None,
    });
    assert_eq!(arrived.await, number.to_be_bytes().as_slice());
}

#[tokio::test(flavor = "multi_thread")]
async fn either_of_a_pair_may_be_the_one_that_can_be_reached() {
    for (listening, dialing) in [(1, 2), (2, 1)] {
        let mut reached = Node::start(listening).await;
        let mut hidden = Node::with(octopoid_net::Settings { listen: Vec::new(), ..settings(dialing) }).await;
        connect_to(&mut hidden, &mut reached).await;
        reached.network.try_send(&hidden.key, Bytes::from_static(b"to the hidden")).expect("a connected peer");
        assert_eq!(hidden.frame().await, "to the hidden");
        hidden.network.try_send(&reached.key, Bytes::from_static(b"to the reached")).expect("a connected peer");
        assert_eq!(reached.frame().await, "to the reached");
    }
}

async fn connect_to(dialing: &mut Node, reached: &mut Node) {
    reached.set_members(&[dialing.key]);
    dialing.set_members(&[reached.key]);
    dialing.knows(reached);
    dialing.until_connected(reached.key).await;
    reached.until_connected(dialing.key).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_member_is_cut_off_and_nothing_of_it_surfaces_any_more() {
    let (mut one, mut other) = pair().await;
    // What the removed one sent before, and was not taken yet, is not seen either.
    for _ in 0..20 {
        other.network.try_send(&one.key, Bytes::from_static(b"late")).expect("room");
    }
    let exchange = other.network.request(&one.key, Bytes::from_static(b"late"), 10).await.expect("a connected peer");
    tokio::time::sleep(Duration::from_millis(200)).await;
    one.set_members(&[]);
    assert_eq!(one.network.try_send(&other.key, Bytes::new()), Err(SendError::NotConnected));
    let refused = one.network.request(&other.key, Bytes::new(), 1).await.expect_err("no member");
    assert!(matches!(refused, RequestError::NotConnected), "{refused}");
    let reason = one
        .until("the end", |event| match event {
            Event::Disconnected { reason, .. } => Some(reason),
            Event::Frame { .. } | Event::Request { .. } => panic!("of a removed member: {event:?}"),
            _ => None,
        })
        .await;
    assert_eq!(reason, Ended::Removed);
    ended(&mut other).await;
    assert!(exchange.collect().await.is_err());
    assert!(one.network.peers().is_empty());
    // The removed one dials on and is not let in.
    other.knows(&one);
    let told = tokio::time::timeout(Duration::from_secs(2), one.events.next()).await;
    assert!(told.is_err(), "something of a removed member: {told:?}");
    assert!(!other.network.peers()[0].connected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_is_let_in_again_is_connected_again() {
    let (mut one, mut other) = pair().await;
    one.set_members(&[]);
    assert_eq!(ended(&mut one).await, Ended::Removed);
    ended(&mut other).await;
    one.set_members(&[other.key]);
    one.until_connected(other.key).await;
    other.until_connected(one.key).await;
    one.network.try_send(&other.key, Bytes::from_static(b"again")).expect("a connected peer");
    assert_eq!(other.frame().await, "again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_falls_silent_is_noticed_in_about_five_seconds_by_both() {
    let (mut one, mut other) = (Node::start(1).await, Node::start(2).await);
    let proxy = Proxy::before(&other).await;
    one.set_members(&[other.key]);
    other.set_members(&[one.key]);
    one.network.set_addresses(other.key, std::slice::from_ref(&proxy.address)).expect("a good address");
    one.until_connected(other.key).await;
    other.until_connected(one.key).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let frozen = Instant::now();
    proxy.freeze(true);
    let (first, second) = tokio::join!(ended(&mut one), ended(&mut other));
    let noticed = frozen.elapsed();
    assert_eq!((first, second), (Ended::Silent, Ended::Silent));
    assert!(noticed > Duration::from_secs(3) && noticed < Duration::from_secs(8), "{noticed:?}");
    proxy.freeze(false);
    one.until_connected(other.key).await;
    other.until_connected(one.key).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_of_two_seconds_ends_no_connection() {
    let (mut one, mut other) = (Node::start(1).await, Node::start(2).await);
    let proxy = Proxy::before(&other).await;
    one.set_members(&[other.key]);
    other.set_members(&[one.key]);
    one.network.set_addresses(other.key, std::slice::from_ref(&proxy.address)).expect("a good address");
    one.until_connected(other.key).await;
    proxy.freeze(true);
    tokio::time::sleep(Duration::from_secs(2)).await;
    one.network.try_send(&other.key, Bytes::from_static(b"after the pause")).expect("still connected");
    proxy.freeze(false);
    let frame = other.until("the frame", |event| match event {
        Event::Frame { bytes, .. } => Some(bytes),
        Event::Disconnected { reason, .. } => panic!("{reason}"),
        _ => None,
    });
    assert_eq!(frame.await, "after the pause");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_comes_back_on_its_port_is_found_again() {
    let (mut one, mut other) = (Node::start(1).await, Node::start(2).await);
    connect(&mut one, &mut other).await;
    for _ in 0..3 {
        let address = other.address();
        other.network.shutdown().await;
        assert_eq!(ended(&mut one).await, Ended::ByPeer);
        let again = octopoid_net::Settings { listen: vec![address.clone()], ..settings(2) };
        other = Node::with(again).await;
        assert_eq!(other.address(), address);
        other.set_members(&[one.key]);
        one.until_connected(other.key).await;
        other.until_connected(one.key).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_a_member_only_to_one_side_is_not_connected_until_it_is_to_both() {
    for (first, second) in [(1, 2), (2, 1)] {
        let (mut one, mut other) = (Node::start(first).await, Node::start(second).await);
        one.set_members(&[other.key]);
        one.knows(&other);
        eventually("a dial came to nothing", || one.network.peers()[0].failed_dials > 1).await;
        assert!(!one.network.peers()[0].connected);
        other.set_members(&[one.key]);
        one.until_connected(other.key).await;
        other.until_connected(one.key).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_addresses_the_one_that_works_is_found_and_a_wrong_peer_is_told() {
    let (mut one, mut other) = (Node::start(1).await, Node::start(2).await);
    let impostor = Node::start(3).await;
    one.set_members(&[other.key]);
    other.set_members(&[one.key]);
    // The impostor answers first, because the way to the right one is slow.
    let proxy = Proxy::before(&other).await;
    proxy.delay.store(100, Ordering::SeqCst);
    one.network.set_addresses(other.key, &[impostor.address(), proxy.address.clone()]).expect("good addresses");
    let (address, found) = one
        .until("the wrong peer", |event| match event {
            Event::Misdialed { peer, address, found } if peer == other.key => Some((address, found)),
            _ => None,
        })
        .await;
    assert_eq!((address, found), (impostor.address(), Some(impostor.key)));
    one.until_connected(other.key).await;
    other.until_connected(one.key).await;
    // With nothing but the wrong address it is dialed all the same, told once, and shown in the status.
    let (lone, missing) = (Node::start(4).await, support::settings(5).secret.peer_key());
    let mut lone = lone;
    lone.set_members(&[missing]);
    lone.network.set_addresses(missing, &[impostor.address()]).expect("a good address");
    let mut told = 0;
    let wait = async {
        loop {
            if let Some(Event::Misdialed { .. }) = lone.events.next().await {
                told += 1;
            }
        }
    };
    let _: Result<(), _> = tokio::time::timeout(Duration::from_secs(3), wait).await;
    let status = &lone.network.peers()[0];
    assert_eq!(told, 1);
    assert!(status.failed_dials > 2, "{status:?}");
    assert_eq!(status.last_failure, Some(DialError::WrongPeer { address: impostor.address(), found: Some(impostor.key) }));
}

#[tokio::test(flavor = "multi_thread")]
async fn dials_to_nobody_slow_down_and_new_addresses_are_dialed_at_once() {
    let mut one = Node::start(1).await;
    let mut other = Node::start(2).await;
    let proxy = Proxy::before(&other).await;
    other.set_members(&[]);
    one.set_members(&[other.key]);
    one.network.set_addresses(other.key, std::slice::from_ref(&proxy.address)).expect("a good address");
    tokio::time::sleep(Duration::from_secs(5)).await;
    let dials = proxy.opened.load(Ordering::SeqCst);
    assert!((2..=8).contains(&dials), "{dials} dials in five seconds");
    other.set_members(&[one.key]);
    let given = Instant::now();
    one.network.set_addresses(other.key, &[other.address()]).expect("a good address");
    one.until_connected(other.key).await;
    assert!(given.elapsed() < Duration::from_secs(3), "{:?}", given.elapsed());
    other.until_connected(one.key).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_nodes_that_all_dial_each_other_end_in_a_full_mesh_of_single_connections() {
    let mut nodes = Vec::new();
    for seed in 1..=8 {
        nodes.push(Node::start(seed).await);
    }
    let keys: Vec<_> = nodes.iter().map(|node| node.key).collect();
    for node in &nodes {
        node.set_members(&keys);
        for peer in nodes.iter().filter(|peer| peer.key != node.key) {
            node.knows(peer);
        }
    }
    let whole = |node: &Node| {
        let peers = node.network.peers();
        peers.len() == 7 && peers.iter().all(|peer| peer.connected && peer.connections == 1)
    };
    eventually("the mesh is whole", || nodes.iter().all(whole)).await;
    for from in &nodes {
        for peer in keys.iter().filter(|peer| **peer != from.key) {
            from.network.try_send(peer, Bytes::from(from.key.0.to_vec())).expect("a connected peer");
        }
    }
    for node in &mut nodes {
        let mut heard = HashSet::new();
        while heard.len() < 7 {
            heard.insert(node.frame().await);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_lost_its_connection_unseen_comes_back_without_waiting_for_the_silence_to_be_noticed() {
    let (first, second) = if settings(1).secret.peer_key() < settings(2).secret.peer_key() { (1, 2) } else { (2, 1) };
    let (mut leader, mut follower) = (Node::start(first).await, Node::start(second).await);
    let proxy = Proxy::before(&follower).await;
    leader.set_members(&[follower.key]);
    follower.set_members(&[leader.key]);
    leader.network.set_addresses(follower.key, std::slice::from_ref(&proxy.address)).expect("a good address");
    leader.until_connected(follower.key).await;
    follower.until_connected(leader.key).await;
    // Dials that began together with this one have ended by then.
    tokio::time::sleep(Duration::from_millis(10_500)).await;
    proxy.freeze(true);
    follower.network.shutdown().await;
    let mut back = Node::start(second).await;
    back.set_members(&[leader.key]);
    let started = Instant::now();
    back.knows(&leader);
    assert_eq!(ended(&mut leader).await, Ended::Replaced);
    leader.until_connected(back.key).await;
    back.until_connected(leader.key).await;
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    pass(&leader, &mut back, 1).await;
    pass(&back, &mut leader, 2).await;
}
