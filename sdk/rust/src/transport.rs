//! How a request reaches a node: over HTTP, or within the same process when no node runs.
//!
//! **Invariants**: a transport adds nothing to a request but what its medium needs, and interprets no answer; every
//! status, 500 too, is an answer. Only the lack of an answer is a [`TransportError`].

use std::{convert::Infallible, fmt, pin::Pin, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tokio_stream::{Stream, StreamExt};
use tower::{Service, ServiceExt};

use crate::tls::{self, Trust};

/// A future that can be sent to another thread.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The bytes of an answer as they arrive.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, TransportError>> + Send>>;

/// How long a connection may take to open. A node listens on this machine or nearby.
const CONNECT: Duration = Duration::from_secs(2);

/// States why no answer, or only the beginning of one, arrived.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// Nobody listens there.
    #[error("no connection")]
    Unreachable(#[source] reqwest::Error),
    /// The request could not be written, or its answer stopped on the way.
    #[error("the connection broke")]
    Broken(#[source] reqwest::Error),
    /// The answer of a node in this process stopped on the way.
    #[error("the answer broke off: {0}")]
    BrokenOff(String),
    /// The project's node does not run.
    #[error("no node of the project at {0} runs: octopoid start")]
    Nowhere(String),
    /// Who answers there does not prove to be the node.
    #[error("its certificate is not trusted")]
    Untrusted(#[source] reqwest::Error),
    /// No connection over TLS can be made from here, for example for want of any authority's certificate.
    #[error("TLS cannot be used")]
    Tls(#[source] rustls::Error),
    /// The address is none.
    #[error("'{0}' is not an address of a node")]
    Address(String),
}

/// Carries one request to a node and its answer back.
///
/// The request's URI is a path with a query, and its body is whole; the answer's body streams, so that logs and
/// events can be followed.
pub trait Transport: Send + Sync {
    /// Carries one request.
    fn call(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<ByteStream>, TransportError>>;

    /// Names the node's place for messages: its address, or what stands for it.
    fn place(&self) -> &str;
}

/// Reaches a node over HTTP/1.1.
#[derive(Debug)]
pub struct Http {
    base: String,
    client: reqwest::Client,
}

impl Http {
    /// Prepares to reach the node at an address such as `http://127.0.0.1:8787`, or at an `https://` one whose certificate the
    /// system trusts. Nothing is sent yet.
    ///
    /// # Errors
    /// When the text is no HTTP address, or TLS cannot be used.
    pub fn new(api_url: &str) -> Result<Self, TransportError> {
        Self::trusting(api_url, &Trust::System)
    }

    /// Prepares to reach the node at an address; at an `https://` one only if its certificate is trusted.
    ///
    /// Proxies of the environment are not used: the token would pass through them.
    ///
    /// # Errors
    /// When the text is no HTTP address, or TLS cannot be used.
    pub fn trusting(api_url: &str, trust: &Trust) -> Result<Self, TransportError> {
        let base = api_url.trim_end_matches('/').to_owned();
        let url = reqwest::Url::parse(&base).ok().filter(reqwest::Url::has_host);
        let trust = match url.as_ref().map(reqwest::Url::scheme) {
            Some("http") => None,
            Some("https") => Some(trust),
            _ => return Err(TransportError::Address(api_url.chars().take(200).collect())),
        };
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::config(trust).map_err(TransportError::Tls)?)
            .no_proxy()
            .connect_timeout(CONNECT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(TransportError::Unreachable)?;
        Ok(Self { base, client })
    }
}

impl Transport for Http {
    fn call(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<ByteStream>, TransportError>> {
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
            let sent = self.client.request(parts.method, format!("{}{path}", self.base)).headers(parts.headers).body(body).send().await;
            let answer = sent.map_err(failure)?;
            let (parts, body) = Response::<reqwest::Body>::from(answer).into_parts();
            let stream = body.into_data_stream().map(|chunk| chunk.map_err(TransportError::Broken));
            Ok(Response::from_parts(parts, Box::pin(stream) as ByteStream))
        })
    }

    fn place(&self) -> &str {
        &self.base
    }
}

fn failure(error: reqwest::Error) -> TransportError {
    if tls::is_untrusted(&error) {
        TransportError::Untrusted(error)
    } else if error.is_connect() {
        TransportError::Unreachable(error)
    } else {
        TransportError::Broken(error)
    }
}

/// Reaches a node's router in this process, without a socket. An `axum::Router` is such a service as it is.
pub struct InProcess<S> {
    service: S,
}

impl<S> InProcess<S> {
    /// Wraps the service that answers.
    pub fn new(service: S) -> Self {
        Self { service }
    }
}

impl<S> fmt::Debug for InProcess<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InProcess")
    }
}

impl<S, B> Transport for InProcess<S>
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: fmt::Display,
{
    fn call(&self, mut request: Request<Bytes>) -> BoxFuture<'_, Result<Response<ByteStream>, TransportError>> {
        // A node refuses requests without a Host that it knows, whichever way they come.
        request.headers_mut().entry(header::HOST).or_insert(HeaderValue::from_static("localhost"));
        let answer = self.service.clone().oneshot(request.map(Full::new));
        Box::pin(async move {
            let answer = answer.await.unwrap_or_else(|never| match never {});
            Ok(answer.map(|body| {
                let stream = body.into_data_stream().map(|chunk| chunk.map_err(|error| TransportError::BrokenOff(error.to_string())));
                Box::pin(stream) as ByteStream
            }))
        })
    }

    fn place(&self) -> &str {
        "this process"
    }
}
