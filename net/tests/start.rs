//! Starting, listening and stopping.

mod support;

use std::net::TcpListener;

use octopoid_net::{Event, Multiaddr, Settings, StartError, start};
use support::{Node, port_of, settings};

fn listening(address: &str) -> Settings {
    Settings { listen: vec![address.parse().expect("an address")], ..settings(1) }
}

#[tokio::test]
async fn a_wildcard_shows_the_address_of_every_interface_with_the_port_from_the_system() {
    let node = Node::with(listening("/ip4/0.0.0.0/tcp/0")).await;
    support::eventually("loopback is among them", || {
        node.network.listen_addresses().iter().any(|address| address.to_string().starts_with("/ip4/127.0.0.1/tcp/"))
    })
    .await;
    let addresses = node.network.listen_addresses();
    let port = port_of(&addresses[0]);
    assert!(port > 0 && addresses.iter().all(|address| port_of(address) == port), "{addresses:?}");
    assert!(addresses.iter().all(|address| !address.to_string().contains("0.0.0.0")), "{addresses:?}");
}

#[tokio::test]
async fn a_port_that_is_in_use_is_told_and_not_shared() {
    let first = Node::start(1).await;
    let taken: Multiaddr = first.address();
    let second = start(Settings { listen: vec![taken.clone()], ..settings(2) }).await.expect_err("taken by a node");
    assert!(matches!(&second, StartError::PortTaken { address } if *address == taken), "{second}");
    assert!(second.to_string().contains("network.listen"), "{second}");
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = other.local_addr().expect("a bound socket").port();
    let third = start(listening(&format!("/ip4/127.0.0.1/tcp/{port}"))).await.expect_err("taken by another program");
    assert!(matches!(third, StartError::PortTaken { .. }), "{third}");
}

#[tokio::test]
async fn what_cannot_be_listened_on_is_told_with_its_remedy() {
    for (address, part) in [("/ip4/192.0.2.1/tcp/0", "an address of this machine"), ("/ip4/127.0.0.1/udp/0", "correct network.listen")] {
        let error = start(listening(address)).await.expect_err(address);
        assert!(error.to_string().contains(part) && error.to_string().contains(address), "{error}");
    }
}

#[tokio::test]
async fn a_stop_frees_the_port_and_ends_the_events() {
    let mut node = Node::start(1).await;
    let address = node.address();
    node.network.shutdown().await;
    TcpListener::bind(("127.0.0.1", port_of(&address))).expect("the port is free");
    while let Some(event) = node.events.next().await {
        assert!(matches!(event, Event::Listening { .. } | Event::NotListening { .. }), "{event:?}");
    }
    node.network.shutdown().await;
}

#[tokio::test]
async fn the_network_stops_when_nobody_holds_it() {
    let Node { network, mut events, .. } = Node::start(1).await;
    drop(network);
    let end = async { while events.next().await.is_some() {} };
    tokio::time::timeout(support::PATIENCE, end).await.expect("the events end");
}
