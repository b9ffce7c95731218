//! Typed calls over a [`Transport`].
//!
//! **Invariants**: a call ends within the client's time-out, streams excepted; an answer is read up to a limit; an id
//! never changes the path that it stands in.

mod cluster;
mod drafts;
mod flows;
mod messages;
mod nodes;
mod orchestrators;
mod projects;
mod request;
mod sse;
mod stream;
mod tasks;
mod transfer;

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, Response, header};
use serde::de::DeserializeOwned;

pub use drafts::DraftFilter;
pub use messages::{ActionFilter, MessageFilter};
pub use nodes::LogQuery;
pub use orchestrators::OrchestratorFilter;
pub use projects::ProjectFilter;
pub use stream::{EventStream, TextStream};
pub use tasks::{DiffQuery, TaskFilter};
pub use transfer::ImportQuery;

use crate::{
    error::{ClientError, ErrorBody},
    transport::{ByteStream, Http, Transport},
};
use request::Call;

/// How long a call waits for its answer unless told otherwise: longer than a node waits for a member it forwards to.
const PATIENCE: Duration = Duration::from_secs(30);
/// The largest answer that is read whole: an export is as large as an import may be.
const ANSWER: usize = 64 << 20;
/// The largest error that is read; the rest would not help.
const REFUSAL: usize = 64 << 10;

/// A bearer token. Its `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Token(HeaderValue);

impl Token {
    /// Reads a token such as the content of `.octopoid/runtime/api.token`; blanks around it are dropped.
    ///
    /// # Errors
    /// When it holds characters that a header cannot.
    pub fn new(text: &str) -> Result<Self, ClientError> {
        let mut value = HeaderValue::try_from(format!("Bearer {}", text.trim())).map_err(|_| ClientError::BadToken)?;
        value.set_sensitive(true);
        Ok(Self(value))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Calls a node. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Client {
    transport: Arc<dyn Transport>,
    token: Option<Token>,
    patience: Duration,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("place", &self.transport.place()).field("token", &self.token).finish_non_exhaustive()
    }
}

impl Client {
    /// Calls the node at an address such as `http://127.0.0.1:8787`. Nothing is sent yet.
    ///
    /// # Errors
    /// When the text is no HTTP address.
    pub fn http(api_url: &str, token: Option<Token>) -> Result<Self, ClientError> {
        let transport = Http::new(api_url).map_err(|source| ClientError::Unreachable { place: api_url.to_owned(), source })?;
        Ok(Self::over(Arc::new(transport), token))
    }

    /// Calls a node by any transport, such as [`InProcess`](crate::InProcess).
    #[must_use]
    pub fn over(transport: Arc<dyn Transport>, token: Option<Token>) -> Self {
        Self { transport, token, patience: PATIENCE }
    }

    /// Waits this long for an answer instead of 30 s. Streams wait this long for their beginning only.
    #[must_use]
    pub fn with_timeout(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Names the node's place for messages.
    #[must_use]
    pub fn place(&self) -> &str {
        self.transport.place()
    }

    /// Makes a call and reads its answer as `T`.
    async fn answer<T: DeserializeOwned>(&self, call: Call) -> Result<T, ClientError> {
        let name = call.name();
        let bytes = self.within(async { read(self, self.send(call).await?, ANSWER).await }).await?;
        serde_json::from_slice(&bytes).map_err(|source| ClientError::Decode { call: name, source })
    }

    /// Makes a call whose answer is read as it arrives.
    async fn open(&self, call: Call) -> Result<ByteStream, ClientError> {
        self.within(self.send(call)).await
    }

    async fn within<T>(&self, work: impl Future<Output = Result<T, ClientError>>) -> Result<T, ClientError> {
        tokio::time::timeout(self.patience, work)
            .await
            .unwrap_or_else(|_| Err(ClientError::TimedOut { place: self.place().to_owned(), seconds: self.patience.as_secs() }))
    }

    /// Sends a call and turns every status but a success into an error.
    async fn send(&self, call: Call) -> Result<ByteStream, ClientError> {
        let mut request = call.into_request()?;
        let headers = request.headers_mut();
        headers.insert(header::USER_AGENT, HeaderValue::from_static(concat!("octopoid-client/", env!("CARGO_PKG_VERSION"))));
        // A node that answers as an old server does for its scripts answers this client by today's contract.
        headers.insert("octopoid-compat", HeaderValue::from_static("seed"));
        if let Some(token) = &self.token {
            headers.insert(header::AUTHORIZATION, token.0.clone());
        }
        let answer = self.transport.call(request).await.map_err(|source| self.unreachable(source))?;
        if answer.status().is_success() { Ok(answer.into_body()) } else { Err(self.refusal(answer).await) }
    }

    fn unreachable(&self, source: crate::TransportError) -> ClientError {
        ClientError::Unreachable { place: self.place().to_owned(), source }
    }

    /// Reads what a node says about its refusal. An answer that is no JSON, as a stranger on the port gives, is kept
    /// as text, cut to a line.
    async fn refusal(&self, answer: Response<ByteStream>) -> ClientError {
        let status = answer.status().as_u16();
        let bytes = match read(self, answer.into_body(), REFUSAL).await {
            Ok(bytes) => bytes,
            Err(error) => return error,
        };
        let body = serde_json::from_slice::<ErrorBody>(&bytes).unwrap_or_else(|_| {
            let text = String::from_utf8_lossy(&bytes);
            ErrorBody { error: text.lines().next().unwrap_or_default().chars().take(200).collect(), ..ErrorBody::default() }
        });
        ClientError::Status { status, body: Box::new(body) }
    }

    /// Tells whether the node can serve. Needs no token.
    ///
    /// # Errors
    /// When it does not answer, or is unhealthy (503).
    pub async fn health(&self) -> Result<crate::Health, ClientError> {
        self.answer(Call::outside(Method::GET, "/api/health")).await
    }
}

/// Reads a body whole.
async fn read(client: &Client, mut body: ByteStream, limit: usize) -> Result<Bytes, ClientError> {
    use tokio_stream::StreamExt;
    let mut whole = Vec::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|source| client.unreachable(source))?;
        if whole.len() + chunk.len() > limit {
            return Err(ClientError::TooLarge { limit });
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_stays_hidden_in_the_logs_of_whatever_carries_it() {
        let token = Token::new("oct_secret").expect("token");
        assert_eq!(format!("{:?} {token:?}", token.0), "Sensitive Token(…)");
    }
}
