//! Frames between members, over real sockets.

mod support;

use std::time::{Duration, Instant};

use bytes::Bytes;
use octopoid_net::{Event, FRAME_LIMIT, PeerKey, SendError};
use support::{Node, connect, eventually, pair, resident};

fn numbered(number: u32, length: usize) -> Bytes {
    let mut bytes = vec![0; length.max(4)];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    bytes.into()
}

fn number_of(bytes: &Bytes) -> u32 {
    u32::from_be_bytes(bytes[..4].try_into().expect("four bytes"))
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_of_all_sizes_arrive_in_order_both_ways() {
    let (mut one, mut other) = pair().await;
    let sizes = [4, 100, 65_536, 70_000, FRAME_LIMIT, 5];
    for (number, size) in (0..120).zip(sizes.iter().cycle()) {
        one.network.send(&other.key, numbered(number, *size)).await.expect("a connected peer");
        other.network.send(&one.key, numbered(number + 1000, *size)).await.expect("a connected peer");
        if number % 4 == 3 {
            for expected in number - 3..=number {
                assert_eq!(number_of(&other.frame().await), expected);
                let back = one.frame().await;
                assert_eq!((number_of(&back), back.len()), (expected + 1000, sizes[expected as usize % sizes.len()]));
            }
        }
    }
    one.network.try_send(&other.key, Bytes::new()).expect("an empty frame is one too");
    assert_eq!(other.frame().await, Bytes::new());
}

#[tokio::test]
async fn a_frame_over_the_limit_is_not_taken_and_one_to_nobody_neither() {
    let (one, other) = pair().await;
    let large = Bytes::from(vec![0; FRAME_LIMIT + 1]);
    assert_eq!(one.network.try_send(&other.key, large.clone()), Err(SendError::TooLarge { bytes: FRAME_LIMIT + 1 }));
    assert_eq!(one.network.send(&other.key, large).await, Err(SendError::TooLarge { bytes: FRAME_LIMIT + 1 }));
    let nobody = PeerKey([9; 32]);
    assert_eq!(one.network.try_send(&nobody, Bytes::new()), Err(SendError::NotConnected));
    assert_eq!(one.network.send(&nobody, Bytes::new()).await, Err(SendError::NotConnected));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_does_not_take_its_events_fills_the_senders_queue_and_no_memory_and_loses_nothing() {
    let (one, mut other) = pair().await;
    let before = resident();
    let mut accepted = 0;
    let mut refusals = 0;
    while refusals < 100 {
        match one.network.try_send(&other.key, numbered(accepted, 200_000)) {
            Ok(()) => accepted += 1,
            Err(SendError::Full) => {
                refusals += 1;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
    // The sender's queue, the windows on the way and the receiver's inbox.
    assert!(accepted < 100, "{accepted} frames of 200 kB were taken");
    let grown = resident().saturating_sub(before);
    assert!(grown < 48 << 20, "grew by {grown} bytes");
    for expected in 0..accepted {
        assert_eq!(number_of(&other.frame().await), expected);
    }
    eventually("the queue is empty", || one.network.peers()[0].queued_bytes == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_does_not_take_its_events_does_not_hold_up_another() {
    let (one, _stuck) = pair().await;
    let mut one = one;
    let mut third = Node::start(3).await;
    let stuck = _stuck.key;
    one.set_members(&[stuck, third.key]);
    third.set_members(&[one.key]);
    third.knows(&one);
    third.until_connected(one.key).await;
    one.until_connected(third.key).await;
    while one.network.try_send(&stuck, Bytes::from(vec![0; 100_000])).is_ok() {}
    for number in 0..50 {
        one.network.try_send(&third.key, numbered(number, 100)).expect("room for the third");
        assert_eq!(number_of(&third.frame().await), number);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_and_its_answer_take_well_under_a_millisecond_each() {
    let (mut one, mut other) = pair().await;
    let (network, back) = (other.network.clone(), one.key);
    let echo = tokio::spawn(async move {
        while let Some(event) = other.events.next().await {
            if let Event::Frame { bytes, .. } = event {
                network.send(&back, bytes).await.expect("a connected peer");
            }
        }
    });
    let peer = one.network.peers()[0].peer;
    let mut times = Vec::new();
    for number in 0..1000 {
        let sent = Instant::now();
        one.network.try_send(&peer, numbered(number, 200)).expect("room");
        assert_eq!(number_of(&one.frame().await), number);
        times.push(sent.elapsed());
    }
    times.sort();
    let (median, late) = (times[500], times[990]);
    eprintln!("there and back: p50 {median:?}, p99 {late:?}");
    assert!(median < Duration::from_millis(2), "p50 {median:?} there and back");
    one.network.shutdown().await;
    echo.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_frames_that_wait_when_a_node_stops_still_go_out() {
    let (mut one, mut other) = (Node::start(1).await, Node::start(2).await);
    connect(&mut one, &mut other).await;
    for number in 0..20 {
        one.network.try_send(&other.key, numbered(number, 50_000)).expect("room");
    }
    let stop = one.network.shutdown();
    let take = async {
        for expected in 0..20 {
            assert_eq!(number_of(&other.frame().await), expected);
        }
        other.until("the end", |event| if let Event::Disconnected { reason, .. } = event { Some(reason) } else { None }).await
    };
    let ((), reason) = tokio::join!(stop, take);
    assert_eq!(reason.to_string(), "the peer closed the connection");
    while let Some(event) = one.events.next().await {
        assert!(!matches!(event, Event::Frame { .. }), "{event:?}");
    }
}
