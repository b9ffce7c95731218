//! Typed calls over a [`Transport`].
//!
//! **Invariants**: a try of a call ends within the client's time-out, streams excepted; an answer is read up to a limit; an id
//! never changes the path that it stands in; a call is made twice only where that is as good as once.

mod cluster;
mod connect;
mod drafts;
mod find;
mod flows;
mod follow;
mod messages;
mod nodes;
mod options;
mod orchestrators;
mod projects;
mod request;
mod retry;
mod sse;
mod stream;
mod tasks;
mod transfer;
mod wait;

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, Response, header};
use serde::de::DeserializeOwned;

pub use connect::ConnectOptions;
pub use drafts::DraftFilter;
pub use follow::{EventQuery, Events};
pub use messages::{ActionFilter, MessageFilter};
pub use nodes::LogQuery;
pub use options::CallOptions;
pub use orchestrators::OrchestratorFilter;
pub use projects::ProjectFilter;
pub use stream::{EventStream, TextStream};
pub use tasks::{DiffQuery, TaskFilter, Tasks};
pub use transfer::ImportQuery;
pub use wait::WaitError;

use crate::{
    error::{ClientError, ErrorBody},
    tls::Trust,
    transport::{ByteStream, Http, Transport},
};
use options::Settings;
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
    settings: Settings,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("place", &self.transport.place()).field("token", &self.token).finish_non_exhaustive()
    }
}

impl Client {
    /// Calls the node at an address such as `http://127.0.0.1:8787`, or at an `https://` one whose certificate the system trusts.
    /// Nothing is sent yet.
    ///
    /// # Errors
    /// When the text is no HTTP address, or TLS cannot be used.
    pub fn http(api_url: &str, token: Option<Token>) -> Result<Self, ClientError> {
        Self::trusting(api_url, token, &Trust::System)
    }

    /// Calls the node at an address; at an `https://` one only if its certificate is trusted. Nothing is sent yet.
    ///
    /// # Errors
    /// When the text is no HTTP address, or TLS cannot be used.
    pub fn trusting(api_url: &str, token: Option<Token>, trust: &Trust) -> Result<Self, ClientError> {
        let transport = Http::trusting(api_url, trust).map_err(|source| ClientError::Unreachable { place: api_url.to_owned(), source })?;
        Ok(Self::over(Arc::new(transport), token))
    }

    /// Calls a node by any transport, such as [`InProcess`](crate::InProcess).
    #[must_use]
    pub fn over(transport: Arc<dyn Transport>, token: Option<Token>) -> Self {
        Self { transport, token, settings: Settings { patience: PATIENCE, max_retries: 0, scope: None, key: None } }
    }

    /// Waits this long for an answer instead of 30 s. Streams wait this long for their beginning only.
    #[must_use]
    pub fn with_timeout(mut self, patience: Duration) -> Self {
        self.settings.patience = patience;
        self
    }

    /// Names the node's place for messages.
    #[must_use]
    pub fn place(&self) -> &str {
        self.transport.place()
    }

    /// Makes a call and reads its answer as `T`.
    async fn answer<T: DeserializeOwned>(&self, call: Call) -> Result<T, ClientError> {
        let (status, bytes) = self.bytes(&call).await?;
        serde_json::from_slice(&bytes).map_err(|source| {
            let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).is_ok();
            if is_json { ClientError::Decode { call: call.name(), source } } else { ClientError::Stranger { call: call.name(), status } }
        })
    }

    /// Makes a call, again where that is safe, and reads its answer whole.
    async fn bytes(&self, call: &Call) -> Result<(u16, Bytes), ClientError> {
        // Without retries a key of the client's own making would be kept by the node for nothing.
        let made_up = || (self.settings.max_retries > 0).then(retry::idempotency_key);
        let key = call.is_post().then(|| self.settings.key.clone().or_else(made_up)).flatten();
        let (mut lost, mut retries) = (false, 0);
        loop {
            let mut asked = None;
            let error = match self.within(self.try_once(call, key.as_ref(), &mut asked)).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            // What an earlier try deleted is not there any more.
            if let Some(gone) = call.gone().filter(|_| lost && error.is_absence()) {
                return Ok((200, gone.clone()));
            }
            lost |= error.status().is_none() && !retry::is_unsent(&error);
            if retries >= self.settings.max_retries || !retry::may_repeat(&error, call.repeat()) {
                return Err(error);
            }
            retries += 1;
            tokio::time::sleep(retry::pause(retries, asked)).await;
        }
    }

    /// Makes a call once and reads its answer whole; notes how long the node asks to wait.
    async fn try_once(&self, call: &Call, key: Option<&HeaderValue>, asked: &mut Option<Duration>) -> Result<(u16, Bytes), ClientError> {
        let answer = self.send(call, key).await?;
        *asked = retry::retry_after(answer.headers().get(header::RETRY_AFTER));
        let answer = self.successful(call, answer).await?;
        let status = answer.status().as_u16();
        Ok((status, read(self, answer.into_body(), ANSWER).await?))
    }

    /// Makes a call whose answer is read as it arrives.
    async fn open(&self, call: Call) -> Result<ByteStream, ClientError> {
        let opened = async { self.successful(&call, self.send(&call, None).await?).await };
        Ok(self.within(opened).await?.into_body())
    }

    async fn within<T>(&self, work: impl Future<Output = Result<T, ClientError>>) -> Result<T, ClientError> {
        let patience = self.settings.patience;
        let timed_out = || ClientError::TimedOut { place: self.place().to_owned(), after: patience };
        tokio::time::timeout(patience, work).await.unwrap_or_else(|_| Err(timed_out()))
    }

    /// Sends a call and returns what is answered, a refusal too.
    async fn send(&self, call: &Call, key: Option<&HeaderValue>) -> Result<Response<ByteStream>, ClientError> {
        let mut request = call.request(self.settings.scope.as_deref())?;
        let headers = request.headers_mut();
        headers.insert(header::USER_AGENT, HeaderValue::from_static(concat!("octopoid-client/", env!("CARGO_PKG_VERSION"))));
        // A node that answers as an old server does for its scripts answers this client by today's contract.
        headers.insert("octopoid-compat", HeaderValue::from_static("seed"));
        if let Some(key) = key {
            headers.insert("idempotency-key", key.clone());
        }
        if let Some(token) = &self.token {
            headers.insert(header::AUTHORIZATION, token.0.clone());
        }
        self.transport.call(request).await.map_err(|source| self.unreachable(source))
    }

    fn unreachable(&self, source: crate::TransportError) -> ClientError {
        let place = self.place().to_owned();
        if let crate::TransportError::Untrusted(source) = source {
            return ClientError::Untrusted { place, source };
        }
        ClientError::Unreachable { place, source }
    }

    /// Turns every status but a success into an error that says what the node says of it.
    async fn successful(&self, call: &Call, answer: Response<ByteStream>) -> Result<Response<ByteStream>, ClientError> {
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status().as_u16();
        let bytes = read(self, answer.into_body(), REFUSAL).await?;
        let body = serde_json::from_slice::<ErrorBody>(&bytes);
        Err(body.map_or_else(
            |_| ClientError::Stranger { call: call.name(), status },
            |body| ClientError::Status { status, body: Box::new(body) },
        ))
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
