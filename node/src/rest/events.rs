//! What happens, as it happens: server-sent events that can be resumed.
//!
//! An event's id is the arrival number of its record in this node's store. A listener is only woken by commits; what it is
//! told is always read from the store, so one that fell behind or comes back misses nothing.
//!
//! A removal takes effects of many records back: the tasks that it may have changed are told under its own id.
//!
//! **Invariants**: an event is sent after its record is durable; the ids of one stream never fall, and an id is known from the
//! beginning on; a scoped key hears of its scope alone. Members that come and go are no records: who asks for no scope is told as it
//! happens, under the id of the last event, and not again after a break.

use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{self, KeepAlive, KeepAliveStream, Sse};
use octopoid_client::{ErrorBody, Event};
use octopoid_crdt::ids::AuthorKey;
use octopoid_crdt::record::{Body, Verified};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::app::App;
use super::input::Call;
use super::params::Params;
use super::refusal::Refusal;
use super::times::{now_ms, rfc3339};
use crate::cluster::Coming;
use crate::ops::{flows, roles};
use crate::store::posts::{self, MessageEntry};
use crate::store::{Fault, Reader};

/// How many events wait for a slow listener; then it waits for itself, and reads on from the store.
const WAITING: usize = 64;
/// How many records are read at once.
const CHUNK: u64 = 256;
/// How often a quiet stream shows that it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Names what a record means to those who listen to a task.
#[expect(clippy::wildcard_enum_match_arm, reason = "every other kind speaks of no task")]
const fn kind(body: &Body) -> Option<&'static str> {
    Some(match body {
        Body::TaskCreate { .. } => "task.created",
        Body::DocChange { .. } | Body::Move { .. } => "task.updated",
        Body::Claim { .. } => "task.claimed",
        Body::Review { .. } => "task.review_claimed",
        Body::Release { .. } => "task.released",
        Body::Expire { .. } => "task.lease_expired",
        Body::Submit { .. } => "task.submitted",
        Body::Accept { .. } => "task.accepted",
        Body::Reject { .. } => "task.rejected",
        Body::Merged { .. } => "task.merged",
        Body::Finish { .. } => "task.finished",
        Body::Cancel { .. } => "task.cancelled",
        Body::Delete { .. } => "task.deleted",
        _ => return None,
    })
}

/// Tells of a record of a task or another document.
fn of_document(reader: &Reader, record: &Verified) -> Result<Option<Event>, Fault> {
    let body = &record.payload().body;
    let Some(no) = reader.by_subject(&record.payload().subject)? else { return Ok(None) };
    let Some(row) = reader.row(no)? else { return Ok(None) };
    let Some(collection) = row.collection else {
        let Some(kind) = kind(body) else { return Ok(None) };
        let (queue, version) = (Some(row.queue), Some(row.version));
        return Ok(Some(Event {
            kind: kind.to_owned(),
            task_id: Some(row.id),
            scope: Some(row.scope),
            queue,
            version,
            ..Event::default()
        }));
    };
    #[expect(clippy::wildcard_enum_match_arm, reason = "every other kind speaks of tasks or changes nothing")]
    let what = match body {
        Body::DocCreate { .. } => "created",
        Body::DocChange { .. } => "updated",
        Body::DocDelete { .. } => "deleted",
        _ => return Ok(None),
    };
    Ok(Some(Event { kind: format!("{collection}.{what}"), entity_id: Some(row.id), scope: Some(row.scope), ..Event::default() }))
}

/// Tells of the tasks that a member's removal may have changed. One that does not count has changed none.
fn of_removal(reader: &Reader, arrival: u64, body: &Body) -> Result<Vec<Event>, Fault> {
    let Body::Remove { member, frontier, .. } = body else { return Ok(Vec::new()) };
    if !reader.counts_in_cluster(arrival)? {
        return Ok(Vec::new());
    }
    let mut events = Vec::new();
    for no in reader.masked_by(member, frontier)? {
        let Some(row) = reader.row(no)?.filter(|row| row.collection.is_none()) else { continue };
        let kind = if row.listed { "task.updated" } else { "task.deleted" };
        let (queue, version) = (Some(row.queue), Some(row.version));
        let (task_id, scope) = (Some(row.id), Some(row.scope));
        events.push(Event { kind: kind.to_owned(), task_id, scope, queue, version, ..Event::default() });
    }
    Ok(events)
}

/// Tells of an entry of a plain collection; nothing of keys, and of orchestrators only what the scheduler's poll tells.
fn of_entry(record: &Verified) -> Option<Event> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the caller gives entries alone")]
    let (kind, scope, entity_id, task_id) = match &record.payload().body {
        Body::Put { collection, scope, key, value } => {
            let kind = match (collection.as_str(), value) {
                (flows::COLLECTION, Some(_)) => "flow.updated",
                (flows::COLLECTION, None) => "flow.deleted",
                (roles::COLLECTION, Some(_)) => "role.registered",
                (posts::ACTION_STATES, Some(_)) => "action.updated",
                _ => return None,
            };
            (kind, scope, key.clone(), None)
        }
        Body::Append { collection, scope, value, .. } => match collection.as_str() {
            posts::MESSAGES => {
                ("message.created", scope, record.id().to_string(), posts::parse::<MessageEntry>(value).map(|entry| entry.task_id))
            }
            posts::ACTIONS => ("action.created", scope, record.id().to_string(), None),
            _ => return None,
        },
        _ => return None,
    };
    Some(Event { kind: kind.to_owned(), scope: Some(scope.to_string()), entity_id: Some(entity_id), task_id, ..Event::default() })
}

/// Reads the events from one arrival number on; returns them with the number to go on from.
#[expect(clippy::wildcard_enum_match_arm, reason = "every other kind speaks of documents or changes nothing")]
fn read(reader: &Reader, from: u64, scope: Option<&str>) -> Result<(Vec<Event>, u64), Fault> {
    let end = reader.next_arrival()?.min(from.saturating_add(CHUNK));
    let mut events = Vec::new();
    for arrival in from..end {
        let Some(record) = reader.record(arrival)? else { continue };
        let body = &record.payload().body;
        let told = match body {
            Body::Remove { .. } => of_removal(reader, arrival, body)?,
            Body::Put { .. } | Body::Append { .. } => of_entry(&record).into_iter().collect(),
            _ => of_document(reader, &record)?.into_iter().collect(),
        };
        let mut told: Vec<Event> =
            told.into_iter().filter(|event| scope.is_none_or(|scope| event.scope.as_deref() == Some(scope))).collect();
        let last = told.pop();
        let timestamp = rfc3339(record.payload().wall_ms);
        // Who is cut off between the events of one record hears all of them again: only the last one bears the record's own id.
        let with = |id: u64, event: Event| Event { id: id.to_string(), timestamp: timestamp.clone(), ..event };
        events.extend(told.into_iter().map(|event| with(arrival.saturating_sub(1), event)));
        events.extend(last.map(|event| with(arrival, event)));
    }
    Ok((events, end.max(from)))
}

/// Streams what happens to tasks, and to projects, drafts, messages, actions, flows and roles.
///
/// The first block holds an id and no event: a listener that is cut off before its first event goes on after that id.
#[utoipa::path(get, path = "/api/v1/events", tag = "events",
    params(("Last-Event-ID" = Option<String>, Header, description = "Goes on after this event"),
        ("last_event_id" = Option<u64>, Query, description = "The same, for clients that set no headers"),
        ("scope" = Option<String>, Query, description = "Tenant; the node's token hears of all by default")),
    responses((status = 200, body = Event, content_type = "text/event-stream"), (status = 400, body = ErrorBody)))]
pub(super) async fn stream(
    State(app): State<App>,
    params: Params,
    headers: HeaderMap,
    call: Call,
) -> Result<Sse<KeepAliveStream<ReceiverStream<Result<sse::Event, axum::Error>>>>, Refusal> {
    let scope = call.scope.clone().or_else(|| call.caller.bound().map(str::to_owned));
    let after = match headers.get("last-event-id") {
        Some(value) => {
            let number = value.to_str().ok().and_then(|text| text.trim().parse::<u64>().ok());
            Some(number.ok_or_else(|| Refusal::Invalid("Last-Event-ID is not the id of an event".to_owned()))?)
        }
        None => params.number("last_event_id")?,
    };
    // Listening begins before the store is looked at, so that nothing falls between.
    let wake = app.settings.store.events();
    let next = app.read(|_, reader| reader.next_arrival()).await?;
    // An id of the future is one of another store: what is new here is all that can be told.
    let from = after.map_or(next, |after| after.saturating_add(1).min(next));
    let comings = app.settings.cluster.as_ref().filter(|_| scope.is_none()).map(crate::cluster::Cluster::comings);
    let (events, stream) = mpsc::channel(WAITING);
    tokio::spawn(async move { tell(&app, from, scope, wake, comings, events).await });
    Ok(Sse::new(ReceiverStream::new(stream)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE).text("keep-alive")))
}

type Listener = mpsc::Sender<Result<sse::Event, axum::Error>>;
type Comings = Option<tokio::sync::broadcast::Receiver<(AuthorKey, Coming)>>;
type Wake = tokio::sync::broadcast::Receiver<std::sync::Arc<[crate::store::Event]>>;

/// Tells a listener everything from one arrival number on, until it or the node goes away.
async fn tell(app: &App, mut from: u64, scope: Option<String>, mut wake: Wake, mut comings: Comings, listener: Listener) {
    let mut closing = app.closing();
    // The first bytes show the listener that it is connected, and name where it comes in: one that is cut off before its first event
    // goes on from there. Before the first record of all there is no such id.
    let connected = sse::Event::default().comment("connected");
    let connected = from.checked_sub(1).map_or(connected.clone(), |last| connected.id(last.to_string()));
    if listener.send(Ok(connected)).await.is_err() {
        return;
    }
    loop {
        let in_scope = scope.clone();
        let chunk = app.read(move |_, reader| read(reader, from, in_scope.as_deref())).await;
        let Ok((events, next)) = chunk else { return };
        for event in events {
            let line = sse::Event::default().id(&event.id).event(&event.kind).json_data(&event);
            if listener.send(line).await.is_err() {
                return;
            }
        }
        let more = next > from;
        from = next;
        if more {
            continue;
        }
        let came = tokio::select! {
            news = wake.recv() => match news {
                // Having lagged is no loss: the store is read, not the news.
                Ok(_) | Err(RecvError::Lagged(_)) => None,
                Err(RecvError::Closed) => return,
            },
            came = next_coming(&mut comings) => Some(came),
            () = listener.closed() => return,
            _ = closing.wait_for(|closing| *closing) => return,
        };
        if let Some((member, coming)) = came
            && listener.send(of_member(app, &member, coming, from)).await.is_err()
        {
            return;
        }
    }
}

/// Waits for the next member that comes or goes; for ever where there is no cluster. What came while a listener lagged is left out:
/// `GET /api/v1/cluster/peers` tells how it stands.
async fn next_coming(comings: &mut Comings) -> (AuthorKey, Coming) {
    while let Some(news) = comings {
        match news.recv().await {
            Ok(coming) => return coming,
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => *comings = None,
        }
    }
    std::future::pending().await
}

fn of_member(app: &App, member: &AuthorKey, coming: Coming, from: u64) -> Result<sse::Event, axum::Error> {
    let kind = match coming {
        Coming::Up => "peer.up",
        Coming::Down => "peer.down",
    };
    let name = app.settings.cluster.as_ref().map(|cluster| cluster.name_of(member));
    let last = from.checked_sub(1).map(|last| last.to_string());
    let line = last.iter().fold(sse::Event::default().event(kind), |line, last| line.id(last));
    line.json_data(Event {
        id: last.unwrap_or_default(),
        kind: kind.to_owned(),
        timestamp: rfc3339(now_ms()),
        peer: name,
        ..Event::default()
    })
}
