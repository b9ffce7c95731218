//! Answers that are read as they arrive: logs, diffs and events.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use tokio_stream::StreamExt;

use super::{Client, request::Call, sse::Decoder};
use crate::{error::ClientError, event::Event, transport::ByteStream};

/// A quiet node sends a comment every 15 s: after three that are missing the connection is dead.
const SILENCE: Duration = Duration::from_secs(45);

/// A text as it arrives.
pub struct TextStream {
    client: Client,
    body: ByteStream,
}

impl std::fmt::Debug for TextStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextStream").field("client", &self.client).finish_non_exhaustive()
    }
}

impl TextStream {
    /// Waits for the next piece; `None` is the end. A piece may end within a character.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        self.body.next().await.transpose().map_err(|source| self.client.unreachable(source))
    }

    /// Reads all of it, up to 64 MiB.
    ///
    /// # Errors
    /// When the connection breaks, or it is longer.
    pub async fn whole(self) -> Result<String, ClientError> {
        let bytes = super::read(&self.client, self.body, super::ANSWER).await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Events as they happen.
pub struct EventStream {
    client: Client,
    body: ByteStream,
    decoder: Decoder,
    last_id: Option<String>,
}

impl std::fmt::Debug for EventStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventStream").field("client", &self.client).field("last_id", &self.last_id).finish_non_exhaustive()
    }
}

impl EventStream {
    /// Waits for the next event; `None` when the node ends the stream.
    ///
    /// # Errors
    /// When the connection breaks or an event cannot be read. [`EventStream::last_id`] tells where to go on.
    pub async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        loop {
            if let Some(frame) = self.decoder.next() {
                if frame.data.is_empty() {
                    self.last_id = Some(frame.id);
                    continue;
                }
                let event: Event = serde_json::from_str(&frame.data)
                    .map_err(|source| ClientError::Decode { call: "GET /api/v1/events".to_owned(), source })?;
                self.last_id = Some(if frame.id.is_empty() { event.id.clone() } else { frame.id });
                return Ok(Some(event));
            }
            let silent = |_| ClientError::TimedOut { place: self.client.place().to_owned(), after: SILENCE };
            let piece = tokio::time::timeout(SILENCE, self.body.next()).await.map_err(silent)?;
            match piece.transpose().map_err(|source| self.client.unreachable(source))? {
                Some(bytes) => self.decoder.feed(&bytes)?,
                None => return Ok(None),
            }
        }
    }

    /// Returns the id of the last event, or of the one before the stream's first, to go on after it on another connection. It is
    /// known once [`EventStream::next`] has read the stream's beginning.
    #[must_use]
    pub fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }
}

impl Client {
    /// Follows what happens, from now on or after an event seen before.
    ///
    /// # Errors
    /// As every call; a broken stream tells at [`EventStream::next`].
    pub async fn events(&self, after: Option<&str>) -> Result<EventStream, ClientError> {
        self.events_in(after, None).await
    }

    pub(super) async fn events_in(&self, after: Option<&str>, scope: Option<&str>) -> Result<EventStream, ClientError> {
        let body = self.open(Call::new(Method::GET, &["events"])?.after_event(after)?.query("scope", scope)).await?;
        Ok(EventStream { client: self.clone(), body, decoder: Decoder::default(), last_id: after.map(str::to_owned) })
    }

    pub(super) async fn text(&self, call: Call) -> Result<TextStream, ClientError> {
        Ok(TextStream { client: self.clone(), body: self.open(call).await? })
    }
}
