//! What the node counts, in Prometheus' text format.
//!
//! **Invariants**: a label is a route's template, a known method or a status, so that no caller can make the tables grow.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use octopoid_client::{AgentState, ErrorBody};

use super::app::App;
use super::input::Call;
use super::refusal::Refusal;

/// The upper ends of the latency histogram, in seconds.
const BOUNDS: [f64; 11] = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

#[derive(Debug, Default, Clone)]
struct Histogram {
    counts: [u64; BOUNDS.len()],
    total: u64,
    seconds: f64,
}

/// Counters of requests.
#[derive(Debug, Default)]
pub(super) struct Metrics(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    requests: BTreeMap<(String, &'static str, u16), u64>,
    latency: BTreeMap<String, Histogram>,
}

fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

impl Metrics {
    fn note(&self, route: String, method: &'static str, status: u16, took: Duration) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.requests.entry((route.clone(), method, status)).or_default() += 1;
        let histogram = counts.latency.entry(route).or_default();
        let seconds = took.as_secs_f64();
        for (bound, count) in BOUNDS.iter().zip(&mut histogram.counts) {
            *count += u64::from(seconds <= *bound);
        }
        histogram.total += 1;
        histogram.seconds += seconds;
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(out, "# HELP octopoid_http_requests_total Requests by route, method and status.")?;
        writeln!(out, "# TYPE octopoid_http_requests_total counter")?;
        for ((route, method, status), count) in &counts.requests {
            writeln!(out, "octopoid_http_requests_total{{route=\"{route}\",method=\"{method}\",status=\"{status}\"}} {count}")?;
        }
        writeln!(out, "# HELP octopoid_http_request_duration_seconds Time until the answer begins.")?;
        writeln!(out, "# TYPE octopoid_http_request_duration_seconds histogram")?;
        for (route, histogram) in &counts.latency {
            let name = "octopoid_http_request_duration_seconds";
            for (bound, count) in BOUNDS.iter().zip(histogram.counts) {
                writeln!(out, "{name}_bucket{{route=\"{route}\",le=\"{bound}\"}} {count}")?;
            }
            writeln!(out, "{name}_bucket{{route=\"{route}\",le=\"+Inf\"}} {}", histogram.total)?;
            writeln!(out, "{name}_sum{{route=\"{route}\"}} {}", histogram.seconds)?;
            writeln!(out, "{name}_count{{route=\"{route}\"}} {}", histogram.total)?;
        }
        Ok(())
    }
}

/// Counts a request.
pub(super) async fn count(State(app): State<App>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or_else(|| "unknown".to_owned(), |path| path.as_str().to_owned());
    let method = method_name(request.method());
    let started = Instant::now();
    let response = next.run(request).await;
    app.metrics.note(route, method, response.status().as_u16(), started.elapsed());
    response
}

/// Tells what the node counts.
#[utoipa::path(get, path = "/metrics", tag = "node",
    responses((status = 200, body = String, content_type = "text/plain"), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody)))]
pub(super) async fn show(State(app): State<App>, call: Call) -> Result<Response, Refusal> {
    call.caller.must_be_node()?;
    let (queues, records) =
        app.read(|_, reader| Ok::<_, crate::store::Fault>((reader.queue_counts(None)?, reader.next_arrival()?))).await?;
    let mut out = String::new();
    let written = (|| {
        writeln!(out, "# HELP octopoid_tasks Tasks by queue.\n# TYPE octopoid_tasks gauge")?;
        for (queue, count) in queues {
            // A queue's name holds only letters, digits and `._-`, so it needs no escapes.
            writeln!(out, "octopoid_tasks{{queue=\"{queue}\"}} {count}")?;
        }
        writeln!(out, "# HELP octopoid_records Records in the store.\n# TYPE octopoid_records gauge\noctopoid_records {records}")?;
        let commits = app.settings.store.writer().commits();
        writeln!(out, "# HELP octopoid_store_commits_total Durable commits since the start.\n# TYPE octopoid_store_commits_total counter")?;
        writeln!(out, "octopoid_store_commits_total {commits}")?;
        app.metrics.write(&mut out)
    })();
    written.map_err(|_: std::fmt::Error| Refusal::Defect)?;
    if let Some(agents) = app.agents().await {
        write_agents(&mut out, &agents.agents).map_err(|_| Refusal::Defect)?;
    }
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], out).into_response())
}

fn write_agents(out: &mut String, agents: &[octopoid_client::AgentStatus]) -> std::fmt::Result {
    writeln!(out, "# HELP octopoid_agents Agents by state.\n# TYPE octopoid_agents gauge")?;
    let states = [
        ("idle", AgentState::Idle),
        ("running", AgentState::Running),
        ("paused", AgentState::Paused),
        ("waiting", AgentState::Waiting),
        ("disabled", AgentState::Disabled),
    ];
    for (name, state) in states {
        let count = agents.iter().filter(|agent| agent.state == state).count();
        writeln!(out, "octopoid_agents{{state=\"{name}\"}} {count}")?;
    }
    let running: usize = agents.iter().map(|agent| agent.instances.len()).sum();
    writeln!(out, "# HELP octopoid_agent_processes Agents' processes that run.\n# TYPE octopoid_agent_processes gauge")?;
    writeln!(out, "octopoid_agent_processes {running}")
}
