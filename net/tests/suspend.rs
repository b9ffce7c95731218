//! A machine that sleeps, with both members on it.

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use octopoid_net::Event;
use rustix::process::{Pid, Signal, kill_process};
use support::pair;
use tokio::time::timeout;

/// Marks the process that is stopped.
const SLEEPER: &str = "OCTOPOID_NET_TEST_SLEEPER";
const TEST: &str = "time_in_which_a_node_did_not_run_is_not_taken_for_silence";

#[test]
fn time_in_which_a_node_did_not_run_is_not_taken_for_silence() {
    if std::env::var_os(SLEEPER).is_some() {
        return tokio::runtime::Runtime::new().expect("a runtime").block_on(sleeper());
    }
    let own = std::env::current_exe().expect("a path");
    let mut sleeper = Command::new(own);
    sleeper.args(["--exact", TEST, "--nocapture"]).env(SLEEPER, "1").stderr(Stdio::piped());
    let mut sleeper = sleeper.spawn().expect("a process");
    let mut said = BufReader::new(sleeper.stderr.take().expect("a pipe")).lines();
    assert!(said.any(|line| line.is_ok_and(|line| line == "connected")));
    let pid = Pid::from_child(&sleeper);
    kill_process(pid, Signal::STOP).expect("a running process");
    // Longer than a peer may be silent.
    std::thread::sleep(Duration::from_secs(7));
    kill_process(pid, Signal::CONT).expect("a stopped process");
    let rest: Vec<String> = said.map_while(Result::ok).collect();
    assert!(sleeper.wait().expect("an end").success(), "{}", rest.join("\n"));
}

/// Connects two members, and watches that they stay so for longer than a silence would take to be noticed.
async fn sleeper() {
    let (mut one, mut other) = pair().await;
    eprintln!("connected");
    let watch = async {
        loop {
            tokio::select! {
                event = one.events.next() => assert!(!matches!(event, Some(Event::Disconnected { .. }) | None), "{event:?}"),
                event = other.events.next() => assert!(!matches!(event, Some(Event::Disconnected { .. }) | None), "{event:?}"),
            }
        }
    };
    assert!(timeout(Duration::from_secs(12), watch).await.is_err());
    one.network.try_send(&other.key, Bytes::from_static(b"awake")).expect("still connected");
    assert_eq!(other.frame().await, "awake");
}
