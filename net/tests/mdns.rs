//! Discovery on a local network: one of the test's own, which nobody else hears.
//!
//! Each test runs itself again in a network namespace, for which it must be root or the system must allow user namespaces. Where neither is
//! so, it says so and does nothing, or fails if `OCTOPOID_TESTS_LAN=required` says that it must not be left out.

mod support;

use std::collections::HashSet;
use std::io::{self, Write as _};
use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use octopoid_net::{Event, Multiaddr, PeerKey, Settings};
use support::{Node, resident, settings};
use tokio::time::timeout;

/// Marks the process that runs in the namespace.
const ALONE: &str = "OCTOPOID_NET_TEST_ALONE";
/// Set where a test must not be left out, as in continuous integration.
const REQUIRED: &str = "OCTOPOID_TESTS_LAN";
const NETWORK: &str = "ip link set lo up && ip link add lan0 type veth peer name lan1 && ip address add 10.7.0.1/24 dev lan0 \
                       && ip link set lan0 multicast on up && ip link set lan1 up && ip route add default dev lan0";

/// Runs the test's body in a network of its own; returns whether this process is the one to do so.
fn alone(test: &str) -> bool {
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let script = format!("{NETWORK} && exec \"$0\" --exact {test} --nocapture");
    let unshare = |what: &str, command: &[&str]| {
        let mut unshare = Command::new("unshare");
        unshare.arg(what).args(command).env(ALONE, "1");
        unshare
    };
    let allowed = |what: &&str| unshare(what, &["true"]).status().is_ok_and(|status| status.success());
    let Some(what) = ["-n", "-rn"].into_iter().find(allowed) else {
        let required = std::env::var(REQUIRED).is_ok_and(|value| value == "required");
        assert!(!required, "{REQUIRED}=required, and {test} can have no network of its own");
        // Not by a macro: what a passing test prints by one is not shown.
        let _ = writeln!(io::stderr(), "SKIPPED: {test} needs root, or user namespaces, and unshare(1)");
        return false;
    };
    let own = std::env::current_exe().expect("a path");
    let status = unshare(what, &["sh", "-c", &script, &own.to_string_lossy()]).status().expect("a process");
    assert!(status.success(), "{test} failed in its network");
    false
}

async fn on_lan(seed: u8) -> Node {
    let listen = vec!["/ip4/0.0.0.0/tcp/0".parse().expect("an address")];
    let node = Node::unread(Settings { listen, mdns: true, ..settings(seed) }).await;
    support::eventually("the address on the LAN is known", || lan_address(&node).is_some()).await;
    node
}

fn lan_address(node: &Node) -> Option<Multiaddr> {
    node.network.listen_addresses().into_iter().find(|address| address.to_string().starts_with("/ip4/10.7.0.1/"))
}

fn discovered(event: Event) -> Option<(PeerKey, Multiaddr)> {
    if let Event::Discovered { peer, address } = event { Some((peer, address)) } else { None }
}

#[test]
fn nodes_on_one_network_find_each_other_and_members_connect_without_an_address() {
    if !alone("nodes_on_one_network_find_each_other_and_members_connect_without_an_address") {
        return;
    }
    tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
        let (mut one, mut other) = (on_lan(1).await, on_lan(2).await);
        assert_eq!(one.until("the other", discovered).await, (other.key, lan_address(&other).expect("an address")));
        let (peer, address) = other.until("the first", discovered).await;
        assert_eq!(peer, one.key);
        // Whoever it is, it may be asked to let one join.
        other.network.dial_join(address).await.expect("somebody there").close().await;
        one.set_members(&[other.key]);
        other.set_members(&[one.key]);
        one.until_connected(other.key).await;
        other.until_connected(one.key).await;
        one.network.try_send(&other.key, Bytes::from_static(b"found")).expect("a connected peer");
        assert_eq!(other.frame().await, "found");
        // One that was stopped is announced no more, and one that does not want to be found is not.
        one.network.shutdown().await;
        let _hidden = Node::with(Settings { listen: vec!["/ip4/0.0.0.0/tcp/0".parse().expect("an address")], ..settings(3) }).await;
        let mut third = on_lan(4).await;
        let mut found = HashSet::from([third.until("the one that is left", discovered).await.0]);
        let more = async {
            while let Some(event) = third.events.next().await {
                found.extend(discovered(event).map(|(peer, _)| peer));
            }
        };
        assert!(timeout(Duration::from_secs(1), more).await.is_err(), "the network runs on");
        assert_eq!(found, HashSet::from([other.key]));
    });
}

#[test]
fn ten_thousand_names_cost_little_memory_and_hold_up_no_member() {
    if !alone("ten_thousand_names_cost_little_memory_and_hold_up_no_member") {
        return;
    }
    tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
        let (mut one, mut other) = (on_lan(1).await, on_lan(2).await);
        support::connect(&mut one, &mut other).await;
        let before = resident();
        let flood = tokio::task::spawn_blocking(|| {
            let socket = UdpSocket::bind("10.7.0.1:0").expect("a socket");
            for number in 0..10_000u32 {
                socket.send_to(&answer(number), "224.0.0.251:5353").expect("a multicast");
                if number % 20 == 0 {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        });
        let (mut names, mut gone, mut echoed) = (0, 0, 0);
        while !flood.is_finished() {
            one.network.try_send(&other.key, Bytes::from_static(b"still here")).expect("a connected peer");
            other.frame().await;
            echoed += 1;
            while let Ok(Some(event)) = timeout(Duration::from_millis(1), one.events.next()).await {
                gone += usize::from(matches!(event, Event::Gone { .. }));
                names += usize::from(discovered(event).is_some());
            }
        }
        flood.await.expect("no panic");
        // What a flood has brought is forgotten, and not kept until it expires.
        while names == 0 || gone < names {
            let event = timeout(support::PATIENCE, one.events.next()).await.expect("all names go").expect("a running network");
            gone += usize::from(matches!(event, Event::Gone { .. }));
            names += usize::from(discovered(event).is_some());
        }
        let grown = resident().saturating_sub(before);
        eprintln!("{names} names surfaced of 10000, {echoed} frames passed, grown by {} KiB", grown / 1024);
        assert!(names <= 256, "{names} names surfaced");
        assert!(grown < 16 << 20, "grew by {grown} bytes");
        assert!(echoed > 20, "{echoed} frames passed");
    });
}

/// Builds what a node with a made-up key would answer: a pointer to a name, and a text with its address.
fn answer(number: u32) -> Vec<u8> {
    let mut key = [1; 32];
    key[..4].copy_from_slice(&number.to_be_bytes());
    let service = labels(&["_p2p", "_udp", "local"]);
    let name = labels(&[&format!("name{number}")]);
    let text = format!("dnsaddr=/ip4/10.7.0.1/tcp/4001/p2p/{}", PeerKey(key));
    let mut packet = vec![0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 1];
    record(&mut packet, &service, 12, &name);
    record(&mut packet, &name, 16, &[&[text.len() as u8], text.as_bytes()].concat());
    packet
}

fn labels(names: &[&str]) -> Vec<u8> {
    names.iter().flat_map(|name| [&[name.len() as u8], name.as_bytes()].concat()).chain([0]).collect()
}

fn record(packet: &mut Vec<u8>, name: &[u8], kind: u16, data: &[u8]) {
    packet.extend_from_slice(name);
    packet.extend_from_slice(&kind.to_be_bytes());
    packet.extend_from_slice(&[0, 1, 0, 0, 0, 120]);
    packet.extend_from_slice(&(data.len() as u16).to_be_bytes());
    packet.extend_from_slice(data);
}
