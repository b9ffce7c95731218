//! Tests against one that speaks the protocols byte by byte, and not as it should.
#![expect(clippy::wildcard_enum_match_arm, reason = "of many events, a few are looked at")]

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use libp2p::futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::swarm::SwarmEvent;
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::{Multiaddr, Stream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::command::{OpenError, StreamReply};
use crate::limits::FRAME_LIMIT;
use crate::shared::Shared;
use crate::streams::{Order, Purpose, Report};
use crate::transport::{self, BehaviourEvent};
use crate::{Ended, Event, Events, ExchangeError, Limits, Network, Offence, PeerKey, SecretKey, Settings, start};

const PATIENCE: Duration = Duration::from_secs(10);

/// Holds a connection to a node and opens streams at will.
struct Client {
    key: PeerKey,
    orders: mpsc::Sender<(Purpose, StreamReply)>,
    came: mpsc::Receiver<Stream>,
}

impl Client {
    async fn dial(seed: u8, victim: PeerKey, address: Multiaddr) -> Self {
        let secret = SecretKey::from_bytes(&mut [seed; 32]);
        let shared = Arc::new(Shared::default());
        shared.state().members.insert(victim);
        let mut swarm = transport::swarm(&secret, &shared, Limits::default()).expect("a swarm");
        swarm.dial(DialOpts::peer_id(victim.peer_id()).addresses(vec![address]).build()).expect("a dial");
        let (orders, mut ordered) = mpsc::channel::<(Purpose, StreamReply)>(64);
        let (coming, came) = mpsc::channel(64);
        let (established, ready) = oneshot::channel();
        tokio::spawn(async move {
            let mut established = Some(established);
            let mut connection = None;
            loop {
                tokio::select! {
                    event = swarm.select_next_some() => match event {
                        SwarmEvent::ConnectionEstablished { connection_id, .. } => {
                            connection = Some(connection_id);
                            established.take().map(|established| established.send(()));
                        }
                        SwarmEvent::Behaviour(BehaviourEvent::Streams((_, Report::Came(_, stream)))) => {
                            coming.send(stream).await.expect("a test that takes it");
                        }
                        _ => (),
                    },
                    order = ordered.recv() => {
                        let (Some((purpose, reply)), Some(connection)) = (order, connection) else { return };
                        swarm.behaviour_mut().streams.order(&victim, connection, Order::Open { purpose, reply: Some(reply) });
                    }
                }
            }
        });
        timeout(PATIENCE, ready).await.expect("a connection in time").expect("a connection");
        Self { key: secret.peer_key(), orders, came }
    }

    async fn open(&self, purpose: Purpose) -> Result<Stream, OpenError> {
        let (reply, stream) = oneshot::channel();
        self.orders.send((purpose, reply)).await.expect("a running client");
        match timeout(PATIENCE, stream).await.expect("an answer in time") {
            Ok(result) => result,
            Err(_) => Err(OpenError::Broken(io::ErrorKind::ConnectionReset.into())),
        }
    }

    async fn came(&mut self) -> Stream {
        timeout(PATIENCE, self.came.recv()).await.expect("a stream in time").expect("a running client")
    }
}

async fn victim(seed: u8) -> (Network, Events, Multiaddr) {
    let settings = Settings {
        secret: SecretKey::from_bytes(&mut [seed; 32]),
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse().expect("an address")],
        mdns: false,
        limits: Limits::default(),
    };
    let (network, mut events) = start(settings).await.expect("a start");
    let Some(Event::Listening { address }) = events.next().await else { panic!("a listener comes first") };
    (network, events, address)
}

fn key(seed: u8) -> PeerKey {
    SecretKey::from_bytes(&mut [seed; 32]).peer_key()
}

/// Returns two seeds of which the first one's key leads the pair.
fn leader_and_follower() -> (u8, u8) {
    if key(1) < key(2) { (1, 2) } else { (2, 1) }
}

async fn next(events: &mut Events) -> Event {
    timeout(PATIENCE, events.next()).await.expect("an event in time").expect("a running network")
}

/// A victim that leads, and a hostile member with the stream for frames.
async fn member() -> (Network, Events, Client, Stream) {
    let (leader, follower) = leader_and_follower();
    let (network, mut events, address) = victim(leader).await;
    network.set_members(BTreeSet::from([key(follower)]));
    let mut client = Client::dial(follower, key(leader), address).await;
    let stream = client.came().await;
    assert!(matches!(next(&mut events).await, Event::Connected { peer, .. } if peer == client.key));
    (network, events, client, stream)
}

#[tokio::test]
async fn a_frame_over_the_limit_strikes_the_member_before_its_bytes_are_there() {
    let (_network, mut events, client, mut stream) = member().await;
    stream.write_all(b"\0\0\0\x02ok").await.expect("a write");
    stream.write_all(&(FRAME_LIMIT as u32 + 1).to_be_bytes()).await.expect("a write");
    stream.flush().await.expect("a write");
    assert!(matches!(next(&mut events).await, Event::Frame { bytes, .. } if bytes == "ok"));
    let offence = Offence::FrameTooLarge { bytes: FRAME_LIMIT + 1 };
    assert!(matches!(next(&mut events).await, Event::Struck { peer, offence: found } if peer == client.key && found == offence));
    assert!(matches!(next(&mut events).await, Event::Disconnected { reason, .. } if reason == Ended::Offence(offence)));
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap_or(0), 0, "the connection is closed");
}

#[tokio::test]
async fn a_request_over_the_limit_strikes_the_member() {
    let (_network, mut events, client, _stream) = member().await;
    let mut request = client.open(Purpose::Request).await.expect("a member may ask");
    request.write_all(&[0, 0, 0, 0, 0, 0, 0, 9, 0xff, 0xff, 0xff, 0xff]).await.expect("a write");
    request.flush().await.expect("a write");
    let offence = Offence::RequestTooLarge { bytes: u32::MAX as usize };
    assert!(matches!(next(&mut events).await, Event::Struck { offence: found, .. } if found == offence));
}

#[tokio::test]
async fn an_answer_longer_than_was_asked_for_and_a_piece_that_is_too_large_are_not_taken() {
    let (network, _events, mut client, _stream) = member().await;
    let pieces: [(u64, &[u8], usize); 3] =
        [(4, b"\0\0\0\x03abc\0\0\0\x02de", 1), (1 << 30, b"\0\x01\0\x01", 0), (4, b"\0\0\0\x05abcde", 0)];
    for (limit, answer, good) in pieces {
        let mut exchange = network.request(&client.key, "what?".into(), limit).await.expect("a connected peer");
        let mut stream = client.came().await;
        let mut request = [0; 17];
        stream.read_exact(&mut request).await.expect("the request");
        assert_eq!(request, *[&limit.to_be_bytes()[..], b"\0\0\0\x05what?"].concat());
        stream.write_all(answer).await.expect("a write");
        stream.flush().await.expect("a write");
        for _ in 0..good {
            assert_eq!(exchange.next().await.expect("a good piece"), Some("abc".into()));
        }
        let error = exchange.next().await.expect_err("too much");
        match error {
            ExchangeError::TooLong { limit: 4 } => assert_eq!(limit, 4),
            ExchangeError::Malformed { bytes: 65_537 } => assert_eq!(limit, 1 << 30),
            other => panic!("{other:?}"),
        }
    }
}

/// Returns the golden bytes of a request stream of version 1.
fn golden(name: &str) -> Vec<u8> {
    let lines = include_str!("../tests/golden/request/v1.txt").lines();
    let hex = lines.filter_map(|line| line.split_once(' ')).find(|(known, _)| *known == name).expect("a golden line").1;
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
}

const ASK: &str = r#"{"ask":"branch","branch":"main","have":[]}"#;
const PIECES: [&str; 2] = ["# v2 git bundle\n", "the rest"];
const LIMIT: u64 = 512 * 1024 * 1024;

#[tokio::test]
async fn a_request_and_its_answer_have_their_golden_bytes_at_the_asker() {
    let (network, _events, mut client, _stream) = member().await;
    for name in ["whole", "given-up", "nothing"] {
        let mut exchange = network.request(&client.key, ASK.into(), LIMIT).await.expect("a connected peer");
        let mut stream = client.came().await;
        let mut asked = vec![0; golden("ask").len()];
        stream.read_exact(&mut asked).await.expect("the request");
        assert_eq!(asked, golden("ask"));
        stream.write_all(&golden(name)).await.expect("a write");
        stream.flush().await.expect("a write");
        match name {
            "whole" => assert_eq!(exchange.collect().await.expect("an answer"), PIECES.concat().as_bytes()),
            "nothing" => assert_eq!(exchange.collect().await.expect("an answer"), b""),
            _ => {
                assert_eq!(exchange.next().await.expect("a piece"), Some(PIECES[0].into()));
                assert!(matches!(exchange.next().await, Err(ExchangeError::GaveUp)));
            }
        }
    }
}

#[tokio::test]
async fn a_request_and_its_answer_have_their_golden_bytes_at_the_responder() {
    let (_network, mut events, client, _stream) = member().await;
    for name in ["whole", "given-up", "nothing", "dropped"] {
        let mut stream = client.open(Purpose::Request).await.expect("a member may ask");
        stream.write_all(&golden("ask")).await.expect("a write");
        stream.flush().await.expect("a write");
        let Event::Request { bytes, mut responder, .. } = next(&mut events).await else { panic!("a request comes") };
        assert_eq!((bytes.as_ref(), responder.limit()), (ASK.as_bytes(), LIMIT));
        let pieces = match name {
            "whole" => &PIECES[..],
            "given-up" => &PIECES[..1],
            _ => &[],
        };
        for piece in pieces {
            responder.send(piece.as_bytes()).await.expect("a piece");
        }
        match name {
            "given-up" => responder.give_up().await.expect("an end"),
            "dropped" => drop(responder),
            _ => responder.finish().await.expect("an end"),
        }
        let mut answer = Vec::new();
        // One that is dropped ends without a mark, which no asker takes for a whole answer.
        let ended = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an end in time");
        assert!(ended.is_ok() || name == "dropped", "{ended:?}");
        assert_eq!(answer, if name == "dropped" { Vec::new() } else { golden(name) }, "{name}");
    }
}

#[tokio::test]
async fn a_member_that_opens_frames_where_the_leader_should_is_cut_off() {
    let (_network, mut events, client, _stream) = member().await;
    // Whether the client still sees it open depends on how fast it is found out.
    let _ = client.open(Purpose::Frames).await;
    assert!(matches!(next(&mut events).await, Event::Struck { offence: Offence::UnexpectedStream, .. }));
}

#[tokio::test]
async fn many_requests_at_once_take_a_bounded_number_of_places() {
    let (_network, mut events, client, _stream) = member().await;
    let mut requests = Vec::new();
    for number in 0..40u8 {
        let mut request = client.open(Purpose::Request).await.expect("a member may ask");
        let sent = request.write_all(&[0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1, number]).await;
        let sent = sent.and(request.flush().await);
        requests.push((request, sent));
    }
    let mut responders = Vec::new();
    let take = async {
        loop {
            if let Event::Request { responder, .. } = next(&mut events).await {
                responders.push(responder);
            }
        }
    };
    let _: Result<(), _> = timeout(Duration::from_secs(1), take).await;
    assert_eq!(responders.len(), 32);
}

#[tokio::test]
async fn a_stranger_is_offered_nothing_but_joins_and_what_it_sends_is_not_read() {
    let (_network, mut events, address) = victim(1).await;
    let client = Client::dial(2, key(1), address).await;
    for purpose in [Purpose::Frames, Purpose::Request] {
        let refused = client.open(purpose).await;
        assert!(matches!(refused, Err(OpenError::Refused)), "{purpose:?}: {refused:?}");
    }
    let mut join = client.open(Purpose::Join).await.expect("anybody may ask to join");
    join.write_all(&[0, 0, 4, 1]).await.expect("a write");
    join.flush().await.expect("a write");
    let Event::Join { mut stream } = next(&mut events).await else { panic!("only a join surfaces") };
    let refused = stream.receive().await;
    assert!(matches!(refused, Err(crate::JoinError::TooLarge { bytes: 1025 })), "{refused:?}");
}

#[tokio::test]
async fn a_member_that_is_removed_gets_no_stream_on_the_connection_it_had() {
    let (network, mut events, client, mut stream) = member().await;
    network.set_members(BTreeSet::new());
    // It writes on, on what it has, before it learns of it.
    let _ = stream.write_all(b"\0\0\0\x04late").await;
    let _ = stream.flush().await;
    if let Ok(mut request) = client.open(Purpose::Request).await {
        let _ = request.write_all(&[0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0]).await;
        let _ = request.flush().await;
    }
    assert!(matches!(next(&mut events).await, Event::Disconnected { reason: Ended::Removed, .. }));
    assert!(timeout(Duration::from_secs(1), events.next()).await.is_err(), "nothing more surfaces");
}

#[tokio::test]
async fn a_stranger_that_opens_more_streams_than_it_may_loses_its_connection() {
    let (_network, _events, address) = victim(1).await;
    let client = Client::dial(2, key(1), address).await;
    let mut held = Vec::new();
    let mut broken = None;
    for _ in 0..40 {
        match client.open(Purpose::Join).await {
            Ok(stream) => held.push(stream),
            Err(error) => {
                broken = Some(error);
                break;
            }
        }
    }
    assert!(matches!(broken, Some(OpenError::Broken(_))), "{broken:?} after {}", held.len());
    assert!(held.len() <= crate::limits::GUEST_STREAMS, "{} streams", held.len());
}
