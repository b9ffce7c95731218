//! Several nodes on loopback: how soon a change is seen elsewhere, how long a first sync takes, and what claims cost when
//! every one is told to all.
//!
//! **Invariants**: a task that two nodes granted ends the run with 1.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use octopoid_node::daemon::{self, JoinClusterError};
use octopoid_node::ops::members::{MembersRefused, open_to_others};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::args::Args;
use super::crowd::Crowd;
use super::fill::{self, FillError};
use super::http::{Connection, Endpoint, HttpError, Request};
use super::node::{Node, NodeError};
use super::report::Report;
use super::scratch::{Scratch, ScratchError};
use super::strangers;

/// How often it is looked whether a node has caught up.
const GLANCE: Duration = Duration::from_millis(10);
/// How long a node may take to catch up.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long a node has nothing to do before it is looked at.
const REST: Duration = Duration::from_secs(2);
/// How many changes are followed from one node to another.
const CHANGES: usize = 500;

/// States why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// See [`ScratchError`].
    #[error(transparent)]
    Scratch(#[from] ScratchError),
    /// See [`FillError`].
    #[error(transparent)]
    Fill(#[from] FillError),
    /// See [`NodeError`].
    #[error(transparent)]
    Node(#[from] NodeError),
    /// See [`HttpError`].
    #[error(transparent)]
    Http(#[from] HttpError),
    /// A machine did not join.
    #[error("a machine did not join")]
    Join(#[from] Box<JoinClusterError>),
    /// The cluster could not be named.
    #[error(transparent)]
    Members(#[from] MembersRefused),
    /// The configuration could not be written.
    #[error("failed to write the configuration")]
    Config(#[source] std::io::Error),
    /// A node answered something else.
    #[error("a node answered {0}")]
    Answer(String),
    /// The strangers have no thread.
    #[error("failed to send the strangers")]
    Strangers(#[source] std::io::Error),
    /// A node did not catch up.
    #[error("a node did not catch up within {} s", PATIENCE.as_secs())]
    Slow,
}

/// What was measured.
struct Figures {
    records: u64,
    first_sync: Duration,
    seen: Vec<Duration>,
    crowded: Option<Crowded>,
    claims: u64,
    claiming: Duration,
    duplicates: usize,
    rss_mib: Vec<f64>,
    /// Of the first node, with 0, 1, 2 … other members connected and nothing to do.
    resting_mib: Vec<f64>,
}

/// What was measured while strangers crowded the first node's door.
struct Crowded {
    connections: usize,
    seen: Vec<Duration>,
    rss_mib: Vec<f64>,
}

/// Measures a cluster of `--nodes` nodes.
pub async fn measure(args: &Args) -> Result<Report, ClusterError> {
    let first = scratch(args)?;
    let store = first.open_store()?;
    let name = "load".parse().map_err(|_| ClusterError::Answer("no name".to_owned()))?;
    store.write(move |unit| open_to_others(unit, &name, None)).await.map_err(|error| ClusterError::Answer(error.to_string()))??;
    store.close();
    let (tasks, records) = fill::history(&first, args.tasks * fill::LIFE, usize::try_from(args.body).unwrap_or(500)).await?;
    let mut nodes = vec![(first.layout(), Node::start(&first.layout()).await?)];
    let mut kept = vec![first];
    let mut first_sync = Duration::ZERO;
    let mut resting_mib = vec![resting(&nodes[0].1).await];
    for number in 1..args.nodes {
        let next = scratch(args)?;
        let ticket = call(&nodes[0].1, &Request::post("/api/v1/cluster/invites", &json!({}))).await?;
        let ticket = ticket["ticket"].as_str().unwrap_or_default().to_owned();
        let machine = format!("load-{number}").parse().map_err(|_| ClusterError::Answer("no name".to_owned()))?;
        daemon::join_by_ticket(&next.layout(), &ticket, &machine, &mut |_| false).await.map_err(Box::new)?;
        let began = Instant::now();
        let node = Node::start(&next.layout()).await?;
        until_total(&node, tasks).await?;
        first_sync = first_sync.max(began.elapsed());
        nodes.push((next.layout(), node));
        kept.push(next);
        resting_mib.push(resting(&nodes[0].1).await);
    }
    let (here, there) = (&nodes[0].1, &nodes[nodes.len() - 1].1);
    let seen = follow_changes(here, there, "change").await?;
    let crowded = crowd(args, here, there).await?;
    let changes = if crowded.is_some() { 2 * CHANGES } else { CHANGES };
    for (_, node) in &nodes {
        until_total(node, tasks + changes as u64).await?;
    }
    let (claims, claiming, duplicates) = claim_all(args, &nodes.iter().map(|(_, node)| node).collect::<Vec<_>>()).await?;
    let rss_mib = nodes.iter().filter_map(|(_, node)| node.usage().rss_mib).collect();
    for (_, node) in nodes {
        node.stop().await?;
    }
    Ok(report(args, &Figures { records, first_sync, seen, crowded, claims, claiming, duplicates, rss_mib, resting_mib }))
}

/// Returns what a node holds in memory a moment after it has nothing to do.
async fn resting(node: &Node) -> f64 {
    tokio::time::sleep(REST).await;
    node.usage().rss_mib.unwrap_or_default()
}

fn scratch(args: &Args) -> Result<Scratch, ClusterError> {
    let scratch = Scratch::make(args.keep)?;
    let path = scratch.layout().config_file();
    let text = std::fs::read_to_string(&path).map_err(ClusterError::Config)?;
    let network = "\nnetwork:\n  listen: [/ip4/127.0.0.1/tcp/0]\n  mdns: false\n";
    std::fs::write(&path, format!("{text}{network}\nmode: mesh\n").replace("\nmode: local\n", "\n")).map_err(ClusterError::Config)?;
    Ok(scratch)
}

async fn call(node: &Node, request: &Request) -> Result<Value, ClusterError> {
    let mut connection = Connection::open(&node.endpoint).await?;
    let answer = connection.call(request).await?;
    if answer.status >= 300 {
        return Err(ClusterError::Answer(answer.brief()));
    }
    serde_json::from_slice(answer.body).map_err(|_| ClusterError::Answer(answer.brief()))
}

/// Waits until a node shows so many tasks.
async fn until_total(node: &Node, tasks: u64) -> Result<(), ClusterError> {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if call(node, &Request::get("/api/v1/tasks?limit=1")).await?["total"].as_u64() == Some(tasks) {
            return Ok(());
        }
        tokio::time::sleep(GLANCE).await;
    }
    Err(ClusterError::Slow)
}

/// Makes tasks at one node, one after the other, and asks for each at another until it is there: from the request to the answer.
async fn follow_changes(here: &Node, there: &Node, name: &str) -> Result<Vec<Duration>, ClusterError> {
    let (mut here, mut there) = (Connection::open(&here.endpoint).await?, Connection::open(&there.endpoint).await?);
    let mut seen = Vec::with_capacity(CHANGES);
    for number in 0..CHANGES {
        let id = format!("{name}-{number}");
        let body = json!({ "id": id, "file_path": format!("{id}.md"), "title": "a change", "queue": "backlog" });
        let began = Instant::now();
        let answer = here.call(&Request::post("/api/v1/tasks", &body)).await?;
        if answer.status != 201 {
            return Err(ClusterError::Answer(answer.brief()));
        }
        let wanted = Request::get(format!("/api/v1/tasks/{id}"));
        while there.call(&wanted).await?.status != 200 {
            if began.elapsed() > PATIENCE {
                return Err(ClusterError::Slow);
            }
        }
        seen.push(began.elapsed());
    }
    seen.sort_unstable();
    Ok(seen)
}

/// Follows changes while `--strangers` strangers crowd the door of the node that makes them.
async fn crowd(args: &Args, here: &Node, there: &Node) -> Result<Option<Crowded>, ClusterError> {
    if args.strangers == 0 {
        return Ok(None);
    }
    let strangers = Crowd::gather(args.strangers as usize, door(here).await?, strangers::stay).await.map_err(ClusterError::Strangers)?;
    let seen = follow_changes(here, there, "crowded").await?;
    let rss_mib = [here, there].into_iter().filter_map(|node| node.usage().rss_mib).collect();
    Ok(Some(Crowded { connections: strangers.opened(), seen, rss_mib }))
}

/// Returns where other nodes reach a node.
async fn door(node: &Node) -> Result<SocketAddr, ClusterError> {
    let cluster = call(node, &Request::get("/api/v1/cluster")).await?;
    let address = cluster["addresses"][0].as_str().unwrap_or_default();
    let port = address.split('/').nth(4).and_then(|port| port.parse().ok());
    Ok(SocketAddr::from(([127, 0, 0, 1], port.ok_or_else(|| ClusterError::Answer(cluster.to_string()))?)))
}

/// Claims all open tasks with so many clients at each node, all at once.
async fn claim_all(args: &Args, nodes: &[&Node]) -> Result<(u64, Duration, usize), ClusterError> {
    let open = call(nodes[0], &Request::get("/api/v1/tasks?queue=incoming&limit=1")).await?["total"].as_u64().unwrap_or(0);
    let began = Instant::now();
    let mut clients = JoinSet::new();
    for number in 0..args.clients as usize {
        clients.spawn(client(nodes[number % nodes.len()].endpoint.clone(), number));
    }
    let mut all = Vec::new();
    while let Some(granted) = clients.join_next().await {
        all.extend(granted.map_err(|error| ClusterError::Answer(error.to_string()))??);
    }
    let took = began.elapsed();
    let unique: HashSet<&String> = all.iter().collect();
    let duplicates = all.len() - unique.len();
    if (unique.len() as u64) < open {
        return Err(ClusterError::Answer(format!("{} of {open} tasks were granted", unique.len())));
    }
    Ok((all.len() as u64, took, duplicates))
}

async fn client(endpoint: Endpoint, number: usize) -> Result<Vec<String>, ClusterError> {
    let mut connection = Connection::open(&endpoint).await?;
    let body = json!({ "orchestrator_id": format!("load-{number}"), "agent_name": format!("client-{number}") });
    let request = Request::post("/api/v1/tasks/claim", &body);
    let mut granted = Vec::new();
    loop {
        let answer = connection.call(&request).await?;
        match answer.status {
            200 => {
                let task: Value = serde_json::from_slice(answer.body).map_err(|_| ClusterError::Answer(answer.brief()))?;
                granted.push(task["id"].as_str().unwrap_or_default().to_owned());
            }
            404 => return Ok(granted),
            _ => return Err(ClusterError::Answer(answer.brief())),
        }
    }
}

fn report(args: &Args, figures: &Figures) -> Report {
    let at = |percent: usize| percentile(&figures.seen, percent);
    let rate = figures.claims as f64 / figures.claiming.as_secs_f64();
    let mut text = String::new();
    let _ = writeln!(text, "{} nodes on loopback, {} clients", args.nodes, args.clients);
    let _ = writeln!(text, "first sync of {} records: {:.2} s", figures.records, figures.first_sync.as_secs_f64());
    let _ = writeln!(text, "a change seen at another node: p50 {:.2} ms, p99 {:.2} ms", at(50), at(99));
    let _ = writeln!(
        text,
        "claims: {} in {:.2} s, {rate:.0}/s, duplicates: {}",
        figures.claims,
        figures.claiming.as_secs_f64(),
        figures.duplicates
    );
    let _ = writeln!(text, "RSS: {} MiB", listed(&figures.rss_mib));
    let others = figures.resting_mib.len().saturating_sub(1).max(1) as f64;
    let per_member = (figures.resting_mib.last().unwrap_or(&0.0) - figures.resting_mib.first().unwrap_or(&0.0)) / others;
    let shown = figures.resting_mib.iter().map(|mib| format!("{mib:.1}")).collect::<Vec<_>>().join(", ");
    let _ = writeln!(text, "RSS of the first node at rest, with each other member: {shown} MiB, {per_member:.2} for one");
    let crowded = figures.crowded.as_ref().map(|crowded| {
        let with = |percent: usize| percentile(&crowded.seen, percent);
        let _ = writeln!(
            text,
            "among {} strangers ({} connections): p50 {:.2} ms, p99 {:.2} ms, {:.2} and {:.2} times as long; RSS: {} MiB",
            args.strangers,
            crowded.connections,
            with(50),
            with(99),
            with(50) / at(50),
            with(99) / at(99),
            listed(&crowded.rss_mib)
        );
        json!({
            "strangers": args.strangers, "connections": crowded.connections, "seen_p50_ms": with(50), "seen_p99_ms": with(99),
            "p50_ratio": with(50) / at(50), "p99_ratio": with(99) / at(99), "rss_mib": crowded.rss_mib,
        })
    });
    let json = json!({
        "nodes": args.nodes, "clients": args.clients, "records": figures.records, "first_sync_s": figures.first_sync.as_secs_f64(),
        "seen_p50_ms": at(50), "seen_p99_ms": at(99), "claims_per_second": rate, "duplicates": figures.duplicates, "rss_mib": figures.rss_mib,
        "resting_mib": figures.resting_mib, "per_member_mib": per_member,
        "crowded": crowded,
    });
    Report { text, json, good: figures.duplicates == 0 }
}

/// Returns a percentile of sorted times, in milliseconds.
fn percentile(times: &[Duration], percent: usize) -> f64 {
    times.get((times.len() * percent / 100).min(times.len().saturating_sub(1))).map_or(0.0, ms)
}

fn listed(mib: &[f64]) -> String {
    mib.iter().map(|mib| format!("{mib:.0}")).collect::<Vec<_>>().join(", ")
}

fn ms(duration: &Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
