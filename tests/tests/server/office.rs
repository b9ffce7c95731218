//! A cluster in which one machine is the authority.

use axum::body::{Body, to_bytes};
use axum::http::Request;
use octopoid_client::{AuthorityRequest, ClaimRequest, ClientError, Http, Transport as _};
use octopoid_tests::{Agent, Cluster, Project};
use serde_json::Value;

/// Forms a cluster of so many machines, of which the first is the authority.
pub async fn served(count: usize, agents: &[Agent]) -> Cluster {
    let cluster = Cluster::of(count, false, agents).await;
    cluster.until_connected().await;
    let _ = cluster.machines[0].run(&["authority", "set", "machine-1"]).ok();
    for machine in &cluster.machines {
        until_served_by(machine, "machine-1").await;
    }
    cluster
}

/// Waits until a machine knows who decides.
pub async fn until_served_by(machine: &Project, name: &str) {
    machine
        .until(&format!("{name} is the authority"), async || {
            let info = machine.client().authority().await.map_err(|error| error.to_string())?;
            if info.authority.as_deref() == Some(name) { Ok(()) } else { Err(format!("{info:?}")) }
        })
        .await;
}

/// Waits until a machine has noticed that it cannot reach whom it needs, or that it can again.
pub async fn until_offline(machine: &Project, offline: bool) {
    machine
        .until(if offline { "it is offline" } else { "it is online" }, async || {
            let status = machine.client().node_status().await.map_err(|error| error.to_string())?;
            if status.offline == offline { Ok(()) } else { Err(format!("{:#?}", status.members)) }
        })
        .await;
}

/// Hands the authority over by REST.
pub async fn give_to(machine: &Project, name: Option<&str>, force: bool) -> Result<(), ClientError> {
    let request = AuthorityRequest { node: name.map(str::to_owned), force };
    machine.client().set_authority(&request).await.map(drop)
}

pub fn claim(agent: &str) -> ClaimRequest {
    ClaimRequest { orchestrator_id: agent.to_owned(), agent_name: agent.to_owned(), ..ClaimRequest::default() }
}

/// Returns the text of a refusal with this status.
pub fn refused<T: std::fmt::Debug>(answer: Result<T, ClientError>, status: u16) -> String {
    match answer {
        Err(ClientError::Status { status: found, body }) if found == status => body.error,
        other => panic!("expected a refusal with {status}, got {other:?}"),
    }
}

/// Makes a call that the client has no function for; returns its status, its body and its `ETag`.
pub async fn call(machine: &Project, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> (u16, Value, Option<String>) {
    let token = machine.read(".octopoid/runtime/api.token");
    call_with(&token, machine, method, path, headers, body).await
}

/// Makes a call as [`call`] does, with a key of the test's.
pub async fn call_with(
    token: &str,
    machine: &Project,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &Value,
) -> (u16, Value, Option<String>) {
    let mut request = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {}", token.trim()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.header("content-type", "application/json").body(body.to_string().into()).expect("a request");
    let answer = Http::new(machine.node().api_url()).expect("an address").call(request).await.expect("an answer");
    let (parts, stream) = answer.into_parts();
    let bytes = to_bytes(Body::from_stream(stream), 1 << 20).await.expect("a body");
    let tag = parts.headers.get("etag").map(|tag| tag.to_str().expect("text").to_owned());
    (parts.status.as_u16(), serde_json::from_slice(&bytes).unwrap_or_default(), tag)
}
