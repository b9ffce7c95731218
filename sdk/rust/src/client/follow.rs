//! Events across broken connections and restarts of a node.

use std::time::Duration;

use tokio::time::Instant;

use super::{Client, EventStream};
use crate::{ClientError, Event};

/// How long a node that went away is looked for unless told otherwise.
const RECONNECT: Duration = Duration::from_secs(300);
/// The pause before the second try.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause between tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Which events are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventQuery {
    /// Goes on after this event; from now on by default.
    pub after: Option<String>,
    /// The tenant whose events are told; with the node's token all of them by default.
    pub scope: Option<String>,
    /// How long a node that went away is looked for; 300 s by default.
    pub reconnect: Option<Duration>,
}

/// Events as they happen, for as long as they are read.
#[derive(Debug)]
pub struct Events {
    client: Client,
    query: EventQuery,
    stream: Option<EventStream>,
    alive: Instant,
    pause: Duration,
}

impl Client {
    /// Follows what happens. A broken connection is made anew and goes on after the last event, so none is lost. Nothing is sent yet.
    #[must_use]
    pub fn follow(&self, query: EventQuery) -> Events {
        Events { client: self.clone(), query, stream: None, alive: Instant::now(), pause: FIRST_PAUSE }
    }
}

impl Events {
    /// Waits for the next event.
    ///
    /// # Errors
    /// When the node refuses, or cannot be reached for as long as it is looked for.
    pub async fn next(&mut self) -> Result<Event, ClientError> {
        loop {
            match self.try_next().await {
                Ok(Some(event)) => return Ok(event),
                Ok(None) => {}
                Err(error) if is_passing(&error) && self.alive.elapsed() < self.query.reconnect.unwrap_or(RECONNECT) => {}
                Err(error) => return Err(error),
            }
            self.stream = None;
            tokio::time::sleep(self.pause).await;
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Returns the id of the last event, to go on after it in a later run.
    #[must_use]
    pub fn last_id(&self) -> Option<&str> {
        self.query.after.as_deref()
    }

    async fn try_next(&mut self) -> Result<Option<Event>, ClientError> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.client.events_in(self.query.after.as_deref(), self.query.scope.as_deref()).await?,
        };
        (self.alive, self.pause) = (Instant::now(), FIRST_PAUSE);
        let event = stream.next().await?;
        if event.is_some() {
            self.query.after = stream.last_id().map(str::to_owned);
            self.stream = Some(stream);
        }
        self.alive = Instant::now();
        Ok(event)
    }
}

fn is_passing(error: &ClientError) -> bool {
    let unanswered = matches!(error, ClientError::Unreachable { .. } | ClientError::TimedOut { .. });
    unanswered || error.status().is_some_and(|status| status == 429 || status >= 502)
}
