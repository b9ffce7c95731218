//! Requests and their answers, over real sockets.

mod support;

use std::time::Duration;

use bytes::Bytes;
use octopoid_net::{EXCHANGE_LIMIT, Event, ExchangeError, FRAME_LIMIT, RequestError, RespondError, Responder};
use support::{Node, eventually, pair};
use tokio::time::timeout;

async fn asked(node: &mut Node) -> (Bytes, Responder) {
    node.until("a request", |event| if let Event::Request { bytes, responder, .. } = event { Some((bytes, responder)) } else { None }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_answered_by_a_long_run_of_bytes_and_frames_pass_it() {
    let (one, mut other) = pair().await;
    let mut one = one;
    let (network, back) = (other.network.clone(), one.key);
    let serve = async {
        let (bytes, mut responder) = asked(&mut other).await;
        assert_eq!((bytes, responder.limit()), (Bytes::from_static(b"the bundle"), 64 << 20));
        for part in 0..40u8 {
            responder.send(&vec![part; 1 << 20]).await.expect("an asker that reads");
            network.send(&back, Bytes::from(vec![part])).await.expect("a connected peer");
        }
        responder.finish().await.expect("an asker that waits");
    };
    let ask = async {
        let exchange = one.network.request(&other_key(), Bytes::from_static(b"the bundle"), 64 << 20).await.expect("a connected peer");
        exchange.collect().await.expect("a whole answer")
    };
    let ((), answer) = tokio::join!(serve, ask);
    assert_eq!(answer.len(), 40 << 20);
    assert!(answer.chunks(1 << 20).enumerate().all(|(part, bytes)| bytes.iter().all(|byte| usize::from(*byte) == part)));
    for part in 0..40u8 {
        assert_eq!(one.frame().await, vec![part]);
    }
}

fn other_key() -> octopoid_net::PeerKey {
    support::settings(2).secret.peer_key()
}

#[tokio::test]
async fn both_ends_hold_the_limit_that_the_asker_gave() {
    let (one, mut other) = pair().await;
    let key = other.key;
    let ask = tokio::spawn({
        let network = one.network.clone();
        async move { network.request(&key, Bytes::new(), 100_000).await.expect("a connected peer").collect().await }
    });
    let (_, mut responder) = asked(&mut other).await;
    responder.send(&[1; 100_000]).await.expect("what was asked for");
    assert!(matches!(responder.send(&[1]).await, Err(RespondError::TooLong { limit: 100_000 })));
    drop(responder);
    let cut = ask.await.expect("no panic").expect_err("an answer that was cut off");
    assert!(matches!(cut, ExchangeError::Broken(_)), "{cut}");
    let none = one.network.request(&key, Bytes::new(), EXCHANGE_LIMIT + 1).await.expect_err("over what can be asked");
    assert!(matches!(none, RequestError::LimitTooHigh { .. }), "{none}");
    let large = one.network.request(&key, vec![0; FRAME_LIMIT + 1].into(), 1).await.expect_err("over a frame");
    assert!(matches!(large, RequestError::TooLarge { .. }), "{large}");
}

#[tokio::test]
async fn a_responder_that_gives_up_is_told_from_one_that_breaks_off() {
    let (one, mut other) = pair().await;
    let mut exchange = one.network.request(&other.key, Bytes::new(), 10).await.expect("a connected peer");
    let (_, mut responder) = asked(&mut other).await;
    responder.send(b"part").await.expect("an asker that waits");
    responder.give_up().await.expect("an asker that waits");
    assert_eq!(exchange.next().await.expect("the part"), Some(Bytes::from_static(b"part")));
    assert!(matches!(exchange.next().await, Err(ExchangeError::GaveUp)));
}

#[tokio::test]
async fn dropping_the_exchange_cancels_the_responder() {
    let (one, mut other) = pair().await;
    let exchange = one.network.request(&other.key, Bytes::new(), 1 << 30).await.expect("a connected peer");
    let (_, mut waiting) = asked(&mut other).await;
    assert!(timeout(Duration::from_millis(200), waiting.cancelled()).await.is_err(), "nobody has cancelled yet");
    drop(exchange);
    timeout(Duration::from_secs(5), waiting.cancelled()).await.expect("the responder learns it");
    let exchange = one.network.request(&other.key, Bytes::new(), 1 << 30).await.expect("a connected peer");
    let (_, mut sending) = asked(&mut other).await;
    drop(exchange);
    let stop = async { while sending.send(&[0; 65_536]).await.is_ok() {} };
    timeout(Duration::from_secs(5), stop).await.expect("the responder stops to send");
}

#[tokio::test]
async fn sixteen_requests_run_at_once_and_the_next_waits_for_one_to_end() {
    let (one, mut other) = pair().await;
    let mut running = Vec::new();
    for _ in 0..16 {
        let exchange = one.network.request(&other.key, Bytes::new(), 1).await.expect("a connected peer");
        running.push((exchange, asked(&mut other).await.1));
    }
    let key = other.key;
    let next = one.network.request(&key, Bytes::from_static(b"next"), 1);
    tokio::pin!(next);
    assert!(timeout(Duration::from_millis(200), &mut next).await.is_err(), "there is no room");
    running.pop();
    timeout(Duration::from_secs(5), next).await.expect("there is room").expect("a connected peer");
    assert_eq!(asked(&mut other).await.0, "next");
}

#[tokio::test]
async fn a_request_ends_with_the_connection() {
    let (one, mut other) = pair().await;
    let exchange = one.network.request(&other.key, Bytes::new(), 1).await.expect("a connected peer");
    let (_, mut responder) = asked(&mut other).await;
    one.network.shutdown().await;
    timeout(Duration::from_secs(5), responder.cancelled()).await.expect("the responder learns it");
    assert!(exchange.collect().await.is_err());
    let gone = one.network.request(&other.key, Bytes::new(), 1).await.expect_err("the network has stopped");
    assert!(matches!(gone, RequestError::NotConnected), "{gone}");
    eventually("the other has noticed", || !other.network.peers()[0].connected).await;
}
