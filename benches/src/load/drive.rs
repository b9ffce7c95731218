//! Drives a node with many connections at once, and measures how long each answer takes.
//!
//! **Invariants**: every connection is open before the clock starts; each sends its next request when the last one is
//! answered, so that as many are under way as there are clients; only answers that count are in the histogram.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use super::http::{Answer, Connection, Endpoint, HttpError, Request};

/// The finest time that is told apart: one microsecond.
const FINEST: u64 = 1;
/// The longest: a minute, in microseconds.
const LONGEST: u64 = 60_000_000;
/// How many digits of a time are kept.
const DIGITS: u8 = 3;

/// One kind of request, repeated until there is nothing more to ask.
pub trait Load: Send + Sync + 'static {
    /// Returns a client's next request; none when it is done.
    fn next(&self, client: u32) -> Option<Request>;

    /// Looks at an answer.
    fn note(&self, client: u32, request: &Request, answer: &Answer<'_>) -> Outcome;
}

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// Nothing is left to do; the answer is not counted.
    Over,
    /// It was not what it should be.
    Wrong(String),
}

/// States why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// A connection could not be opened.
    #[error("failed to connect to the node")]
    Connect(#[source] HttpError),
    /// A client ended unexpectedly.
    #[error("a client ended unexpectedly")]
    Client(#[from] tokio::task::JoinError),
    /// A histogram could not be made.
    #[error("the histogram has wrong bounds")]
    Histogram(#[from] hdrhistogram::CreationError),
}

/// What was measured.
#[derive(Debug)]
pub struct Measured {
    /// The kind of request.
    pub operation: &'static str,
    /// From the first request to the last answer.
    pub elapsed: Duration,
    /// How long answers took, in microseconds.
    pub latency: Histogram<u64>,
    /// How many requests went wrong.
    pub errors: u64,
    /// The first of them.
    pub first_error: Option<String>,
    /// How many durable commits there were meanwhile, if the node tells.
    pub commits: Option<u64>,
}

impl Measured {
    /// Returns how many were done.
    pub fn count(&self) -> u64 {
        self.latency.len()
    }

    /// Returns how many were done in a second.
    pub fn per_second(&self) -> f64 {
        self.count() as f64 / self.elapsed.as_secs_f64().max(f64::EPSILON)
    }

    /// Returns a percentile in milliseconds.
    pub fn percentile_ms(&self, percentile: f64) -> f64 {
        self.latency.value_at_percentile(percentile) as f64 / 1_000.0
    }

    /// Notes something that went wrong besides the requests.
    pub fn wrong(&mut self, what: String) {
        self.errors += 1;
        self.first_error.get_or_insert(what);
    }
}

struct Client {
    latency: Histogram<u64>,
    errors: u64,
    first_error: Option<String>,
}

/// Lets clients work through a load.
pub async fn drive(endpoint: &Endpoint, clients: u32, operation: &'static str, load: Arc<dyn Load>) -> Result<Measured, DriveError> {
    let mut connections = Vec::new();
    for _ in 0..clients {
        connections.push(Connection::open(endpoint).await.map_err(DriveError::Connect)?);
    }
    let commits_before = commits(endpoint).await;
    let started = Instant::now();
    let mut running = JoinSet::new();
    for (number, connection) in (0..clients).zip(connections) {
        running.spawn(client(number, connection, load.clone()));
    }
    let latency = Histogram::new_with_bounds(FINEST, LONGEST, DIGITS)?;
    let mut all = Measured { operation, elapsed: Duration::ZERO, latency, errors: 0, first_error: None, commits: None };
    while let Some(ended) = running.join_next().await {
        let client = ended??;
        all.latency += client.latency;
        all.errors += client.errors;
        all.first_error = all.first_error.or(client.first_error);
    }
    all.elapsed = started.elapsed();
    all.commits = commits(endpoint).await.zip(commits_before).map(|(after, before)| after.saturating_sub(before));
    Ok(all)
}

async fn client(number: u32, mut connection: Connection, load: Arc<dyn Load>) -> Result<Client, DriveError> {
    let mut client = Client { latency: Histogram::new_with_bounds(FINEST, LONGEST, DIGITS)?, errors: 0, first_error: None };
    while let Some(request) = load.next(number) {
        let sent = Instant::now();
        let answered = connection.call(&request).await;
        let took = u64::try_from(sent.elapsed().as_micros()).unwrap_or(u64::MAX);
        let (outcome, broken) = match &answered {
            Ok(answer) => (load.note(number, &request, answer), false),
            Err(error) => (Outcome::Wrong(format!("{} {}: {error}", request.method, request.path)), true),
        };
        match outcome {
            Outcome::Done => client.latency.saturating_record(took),
            Outcome::Over => break,
            Outcome::Wrong(why) => {
                client.errors += 1;
                client.first_error.get_or_insert(why);
            }
        }
        if broken {
            // What is left of the answer would be taken for the next one.
            break;
        }
    }
    Ok(client)
}

/// Returns how many durable commits the node has made.
async fn commits(endpoint: &Endpoint) -> Option<u64> {
    let mut connection = Connection::open(endpoint).await.ok()?;
    let answer = connection.call(&Request::get("/metrics")).await.ok()?;
    let text = std::str::from_utf8(answer.body).ok().filter(|_| answer.status == 200)?;
    text.lines().find_map(|line| line.strip_prefix("octopoid_store_commits_total ")?.trim().parse().ok())
}
