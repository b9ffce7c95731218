//! The three measurements: every operation once, the same among ever more tasks, and a restart after SIGKILL.

use std::sync::Arc;
use std::time::Duration;

use super::args::{Args, Operation};
use super::crowd::Crowd;
use super::drive::{DriveError, Measured, drive};
use super::fill::{self, FillError};
use super::http::{Endpoint, HttpError};
use super::node::{Node, NodeError, Usage};
use super::scratch::{Scratch, ScratchError};
use super::slow;
use super::tasks::{Listing, Tasks};
use super::workload::{Claim, Create, Granted, List, MakeProject, Place, Step, Steps, duplicates};

/// How often a node is killed and started again.
const KILLS: usize = 3;
/// How many claims are acknowledged before a node is killed in the midst of more.
const BEFORE_KILL: usize = 300;
/// How often it is looked whether they are.
const GLANCE: Duration = Duration::from_millis(1);

/// States why there is nothing to report.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// There is no project.
    #[error(transparent)]
    Scratch(#[from] ScratchError),
    /// The store was not filled.
    #[error("failed to fill the store")]
    Fill(#[from] FillError),
    /// The node did not run.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The clients did not run.
    #[error(transparent)]
    Drive(#[from] DriveError),
    /// The address is none.
    #[error("--url")]
    Url(#[source] HttpError),
    /// Those who take their time could not be sent.
    #[error("failed to open the slow connections")]
    Crowd(#[source] std::io::Error),
    /// The cluster was not measured.
    #[error(transparent)]
    Cluster(#[from] super::cluster::ClusterError),
    /// A killed node's clients ended before it was killed.
    #[error("the clients ended after {0} claims, before the node could be killed")]
    TooFew(usize),
}

/// What was measured on one node.
#[derive(Debug, Default)]
pub struct Run {
    /// How many tasks there were.
    pub tasks: u64,
    /// In order.
    pub operations: Vec<Measured>,
    /// How many grants gave a task that was granted already.
    pub duplicates: u64,
    /// From the start of its process to its first answer; none for a node that ran already.
    pub started_in: Option<Duration>,
    /// What the node took at the end; none for a node of another process.
    pub usage: Option<Usage>,
}

/// What a restart showed.
#[derive(Debug, Default)]
pub struct Restarts {
    /// How many records the store held.
    pub records: u64,
    /// How many tasks.
    pub tasks: u64,
    /// The start after a clean end.
    pub clean: Duration,
    /// The starts after SIGKILL under load.
    pub killed: Vec<Duration>,
    /// How many claims were acknowledged before a SIGKILL.
    pub acknowledged: u64,
    /// How many of them were not there afterwards.
    pub lost: u64,
    /// The first of them.
    pub first_error: Option<String>,
    /// What the node took after the last restart.
    pub usage: Usage,
}

/// The same calls without and with callers who take their time.
#[derive(Debug, Default)]
pub struct Slow {
    /// Without them.
    pub quiet: Run,
    /// With them.
    pub crowded: Run,
    /// How many connections they opened.
    pub opened: usize,
}

/// Measures every operation that was asked for, on a node of one's own or on one that runs.
pub async fn everything(args: &Args) -> Result<Run, MeasureError> {
    let tasks = Tasks { count: args.tasks, body: bytes(args) };
    if let (Some(url), Some(token)) = (&args.url, &args.token) {
        let endpoint = Endpoint::new(url, token).map_err(MeasureError::Url)?;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_millis());
        return operations(args, &endpoint, &Place { scope: Some(format!("load-{now}")) }, tasks).await;
    }
    let scratch = scratch(args)?;
    if !args.measures(Operation::Create) {
        fill::open_tasks(&scratch, tasks).await?;
    }
    let node = Node::start(&scratch.layout()).await?;
    let mut run = operations(args, &node.endpoint, &Place::default(), tasks).await?;
    (run.started_in, run.usage) = (Some(node.started_in), Some(node.usage()));
    node.stop().await?;
    Ok(run)
}

async fn operations(args: &Args, endpoint: &Endpoint, place: &Place, tasks: Tasks) -> Result<Run, MeasureError> {
    let mut run = Run { tasks: tasks.count, ..Run::default() };
    if args.measures(Operation::Create) {
        let mut project = drive(endpoint, 1, "make the project", Arc::new(MakeProject::new(place.clone()))).await?;
        must_be(&mut project, 1);
        run.operations.extend(project.first_error.is_some().then_some(project));
        let mut made = drive(endpoint, args.clients, "create", Arc::new(Create::new(place.clone(), tasks))).await?;
        must_be(&mut made, tasks.count);
        run.operations.push(made);
    }
    if args.measures(Operation::List) {
        for listing in Listing::ALL {
            let load = List::new(place.clone(), listing.parameter(), tasks.expected(listing), args.lists);
            run.operations.push(drive(endpoint, args.clients, listing.name(), Arc::new(load)).await?);
        }
    }
    if args.measures(Operation::Claim) {
        // One more than there are, so that somebody is told that nothing is left.
        let granted = claim(&mut run, args, endpoint, place, tasks.count + u64::from(args.clients), tasks.count).await?;
        if args.measures(Operation::List) {
            let first = granted.first().map(|task| task.claimed_by.clone()).unwrap_or_default();
            let held = granted.iter().filter(|task| task.claimed_by == first).count();
            let load = List::new(place.clone(), format!("&claimed_by={first}"), held as u64, args.lists);
            run.operations.push(drive(endpoint, args.clients, "list by holder", Arc::new(load)).await?);
        }
        steps(&mut run, args, endpoint, place, granted).await?;
    }
    Ok(run)
}

async fn claim(
    run: &mut Run,
    args: &Args,
    endpoint: &Endpoint,
    place: &Place,
    most: u64,
    expected: u64,
) -> Result<Vec<Granted>, MeasureError> {
    let load = Arc::new(Claim::new(place.clone(), most));
    let mut claims = drive(endpoint, args.clients, "claim", load.clone()).await?;
    must_be(&mut claims, expected);
    run.operations.push(claims);
    let granted = load.granted();
    run.duplicates += duplicates(&granted);
    Ok(granted)
}

async fn steps(run: &mut Run, args: &Args, endpoint: &Endpoint, place: &Place, granted: Vec<Granted>) -> Result<(), MeasureError> {
    for (operation, name, step) in [(Operation::Submit, "submit", Step::Submit), (Operation::Accept, "accept", Step::Accept)] {
        if args.measures(operation) {
            let mut done = drive(endpoint, args.clients, name, Arc::new(Steps::new(place.clone(), step, granted.clone()))).await?;
            must_be(&mut done, granted.len() as u64);
            run.operations.push(done);
        }
    }
    Ok(())
}

fn must_be(measured: &mut Measured, expected: u64) {
    let count = measured.count();
    if count != expected {
        measured.wrong(format!("{count} were done instead of {expected}"));
    }
}

/// Measures a sample of claims, submits and accepts among each of several numbers of open tasks.
pub async fn scale(args: &Args) -> Result<Vec<Run>, MeasureError> {
    let mut runs = Vec::new();
    for &count in &args.scale {
        let scratch = scratch(args)?;
        fill::open_tasks(&scratch, Tasks { count, body: bytes(args) }).await?;
        let node = Node::start(&scratch.layout()).await?;
        let mut run = Run { tasks: count, started_in: Some(node.started_in), ..Run::default() };
        let sample = args.sample.min(count);
        let granted = claim(&mut run, args, &node.endpoint, &Place::default(), sample, sample).await?;
        steps(&mut run, args, &node.endpoint, &Place::default(), granted).await?;
        run.usage = Some(node.usage());
        node.stop().await?;
        runs.push(run);
    }
    Ok(runs)
}

/// Measures the same calls on one node twice: alone, and among callers who take their time.
pub async fn slow(args: &Args) -> Result<Slow, MeasureError> {
    let scratch = scratch(args)?;
    let node = Node::start(&scratch.layout()).await?;
    let tasks = Tasks { count: args.tasks, body: bytes(args) };
    let place = |scope: &str| Place { scope: Some(scope.to_owned()) };
    let quiet = operations(args, &node.endpoint, &place("quiet"), tasks).await?;
    let before = node.usage();
    let door = node.endpoint.host().parse().map_err(|_| MeasureError::Url(HttpError::Url(node.endpoint.host().to_owned())))?;
    let endpoint = Arc::new(node.endpoint.clone());
    let stay = move |stream, number| {
        let endpoint = endpoint.clone();
        async move { slow::stay(stream, number, &endpoint).await }
    };
    let crowd = Crowd::gather(usize::try_from(args.slow).unwrap_or(usize::MAX), door, stay).await.map_err(MeasureError::Crowd)?;
    let crowded = operations(args, &node.endpoint, &place("crowded"), tasks).await?;
    let (opened, among) = (crowd.opened(), node.usage());
    drop(crowd);
    node.stop().await?;
    Ok(Slow { quiet: Run { usage: Some(before), ..quiet }, crowded: Run { usage: Some(among), ..crowded }, opened })
}

/// Fills a store, kills its node under load, and starts it again.
pub async fn restart(args: &Args) -> Result<Restarts, MeasureError> {
    let scratch = scratch(args)?;
    let layout = scratch.layout();
    let (tasks, records) = fill::history(&scratch, args.records, bytes(args)).await?;
    let mut node = Node::start(&layout).await?;
    let mut found = Restarts { records, tasks, clean: node.started_in, ..Restarts::default() };
    for _ in 0..KILLS {
        let granted = kill_under_load(args, node).await?;
        node = Node::start(&layout).await?;
        found.killed.push(node.started_in);
        found.acknowledged += granted.len() as u64;
        let there = drive(&node.endpoint, args.clients, "check", Arc::new(Steps::new(Place::default(), Step::Check, granted))).await?;
        found.lost += there.errors;
        found.first_error = found.first_error.or(there.first_error);
    }
    found.usage = node.usage();
    node.stop().await?;
    Ok(found)
}

/// Claims until enough is acknowledged, and kills the node while more is under way; returns what was acknowledged.
async fn kill_under_load(args: &Args, node: Node) -> Result<Vec<Granted>, MeasureError> {
    let load = Arc::new(Claim::new(Place::default(), u64::MAX));
    let (endpoint, clients, shared) = (node.endpoint.clone(), args.clients, load.clone());
    let running = tokio::spawn(async move { drive(&endpoint, clients, "claim", shared).await });
    while load.count() < BEFORE_KILL {
        if running.is_finished() {
            return Err(MeasureError::TooFew(load.count()));
        }
        tokio::time::sleep(GLANCE).await;
    }
    node.kill().await?;
    // Every client ends at its broken connection, which is no error here; what was not answered may or may not be there.
    let _broken = running.await;
    Ok(load.granted())
}

fn scratch(args: &Args) -> Result<Scratch, ScratchError> {
    let scratch = Scratch::make(args.keep)?;
    if args.keep {
        eprintln!("load: the project is kept in {}", scratch.root().display());
    }
    Ok(scratch)
}

fn bytes(args: &Args) -> usize {
    usize::try_from(args.body).unwrap_or(usize::MAX)
}
