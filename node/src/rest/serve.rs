//! Serves the API on a socket.
//!
//! **Invariants**: at most [`Limits::connections`] are open, from before their TLS handshake on; a caller that shakes hands or sends its
//! head too slowly, or does not take what it is sent, is cut off; a shutdown lets answers end that are under way, for
//! [`Limits::farewell`] at most. With TLS nothing of a request is read in the clear.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, Sleep};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower::ServiceExt;

use super::app::App;
use super::router;

/// What a caller who gets no connection is told.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: 58\r\nConnection: close\r\nRetry-After: 1\r\n\r\n{\"error\":\"too many connections are open: try again later\"}";
/// What a caller is told that asks in the clear where TLS is spoken.
const IN_THE_CLEAR: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 46\r\nConnection: close\r\n\r\n{\"error\":\"this port speaks TLS: use https://\"}";
/// The first byte of a TLS connection: a record of the handshake.
const HANDSHAKE: u8 = 22;
/// How long to wait after an accept that failed for want of a resource.
const BREATH: Duration = Duration::from_millis(50);
/// The largest head of a request.
const HEAD: usize = 32 * 1024;

/// The bounds of what callers may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many connections are open at once.
    pub connections: usize,
    /// How long a TLS handshake may take.
    pub handshake: Duration,
    /// How long the head of a request may take, from the end of the one before it on.
    pub head: Duration,
    /// How long a caller may take nothing of what it is sent.
    pub stall: Duration,
    /// How long a shutdown waits for answers under way.
    pub farewell: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1_024,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(15),
            stall: Duration::from_secs(30),
            farewell: Duration::from_secs(5),
        }
    }
}

/// Serves until `shutdown` is ready, over TLS where an acceptor is given.
///
/// # Errors
/// Never by what callers do; when the socket itself fails.
pub async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    app: App,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let router = router(app.clone());
    let places = Arc::new(Semaphore::new(limits.connections));
    let (closing, _) = watch::channel(false);
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) if is_of_one_caller(&error) => continue,
            Err(error) => {
                // Too many open files, for one: it passes when others close theirs.
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(BREATH).await;
                continue;
            }
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            // A refusal in the clear would tell a caller over TLS nothing: it is cut off.
            if tls.is_none() {
                tokio::spawn(tell(stream, FULL));
            }
            continue;
        };
        let _ = stream.set_nodelay(true);
        let (tls, router, closing) = (tls.clone(), router.clone(), closing.subscribe());
        tokio::spawn(async move {
            match tls {
                None => connection(Patient::new(stream, limits.stall), router, limits, closing).await,
                Some(tls) => {
                    if let Some(stream) = shake_hands(stream, &tls, limits).await {
                        connection(stream, router, limits, closing).await;
                    }
                }
            }
            drop(place);
        });
    }
    drop(listener);
    closing.send_replace(true);
    app.close_streams();
    let all = u32::try_from(limits.connections).unwrap_or(u32::MAX);
    // Whoever is not done by then is cut off when the process ends.
    let _ = tokio::time::timeout(limits.farewell, places.acquire_many(all)).await;
    Ok(())
}

fn is_of_one_caller(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused)
}

/// Tells a caller something and leaves it, whatever it does.
async fn tell(mut stream: TcpStream, text: &'static [u8]) {
    let told = async {
        stream.write_all(text).await?;
        stream.shutdown().await?;
        // What it has sent is taken: bytes that nobody reads would reset the connection, and what it is told would be lost.
        tokio::io::copy(&mut stream.take(HEAD as u64), &mut tokio::io::sink()).await
    };
    let _ = tokio::time::timeout(Duration::from_secs(1), told).await;
}

/// Begins TLS; `None` for a caller that does not, or not in time.
async fn shake_hands(stream: TcpStream, tls: &TlsAcceptor, limits: Limits) -> Option<TlsStream<Patient>> {
    let begun = async {
        let mut first = [0];
        if stream.peek(&mut first).await? == 1 && first[0] != HANDSHAKE {
            tell(stream, IN_THE_CLEAR).await;
            return Ok(None);
        }
        tls.accept(Patient::new(stream, limits.stall)).await.map(Some)
    };
    match tokio::time::timeout(limits.handshake, begun).await {
        Ok(Ok(stream)) => stream,
        Ok(Err::<_, io::Error>(error)) => {
            tracing::debug!(%error, "a caller did not begin TLS");
            None
        }
        Err(_) => None,
    }
}

async fn connection<S>(stream: S, router: axum::Router, limits: Limits, mut closing: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let router = router.clone();
        async move { Ok::<_, Infallible>(router.oneshot(request.map(Body::new)).await.unwrap_or_else(|never| match never {})) }
    });
    let io = TokioIo::new(stream);
    let mut connection = std::pin::pin!(
        http1::Builder::new().timer(TokioTimer::new()).header_read_timeout(limits.head).max_buf_size(HEAD).serve_connection(io, service)
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        _ = closing.wait_for(|closing| *closing) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.as_mut().await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// A connection that fails when the other side takes nothing for too long.
struct Patient {
    stream: TcpStream,
    stall: Duration,
    /// Runs while a write waits.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    fn new(stream: TcpStream, stall: Duration) -> Self {
        Self { stream, stall, waiting: None }
    }

    /// Passes a result on; turns one that waits too long into a failure.
    fn timed<T>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.waiting = None;
            return result;
        }
        let deadline = Instant::now() + self.stall;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        ready!(waiting.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Patient {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.timed(cx, result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(cx);
        self.timed(cx, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, slices: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.timed(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
