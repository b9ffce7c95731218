//! Serves the API on a socket.
//!
//! **Invariants**: at most [`Limits::connections`] are open; a caller that sends its head too slowly, or does not take what it is sent,
//! is cut off; a shutdown lets answers end that are under way, for [`Limits::farewell`] at most.

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
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, Sleep};
use tower::ServiceExt;

use super::app::App;
use super::router;

/// What a caller who gets no connection is told.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: 58\r\nConnection: close\r\nRetry-After: 1\r\n\r\n{\"error\":\"too many connections are open: try again later\"}";
/// How long to wait after an accept that failed for want of a resource.
const BREATH: Duration = Duration::from_millis(50);
/// The largest head of a request.
const HEAD: usize = 32 * 1024;

/// The bounds of what callers may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many connections are open at once.
    pub connections: usize,
    /// How long the head of a request may take, from the end of the one before it on.
    pub head: Duration,
    /// How long a caller may take nothing of what it is sent.
    pub stall: Duration,
    /// How long a shutdown waits for answers under way.
    pub farewell: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 1_024, head: Duration::from_secs(15), stall: Duration::from_secs(30), farewell: Duration::from_secs(5) }
    }
}

/// Serves until `shutdown` is ready.
///
/// # Errors
/// Never by what callers do; when the socket itself fails.
pub async fn serve(listener: TcpListener, app: App, limits: Limits, shutdown: impl Future<Output = ()>) -> io::Result<()> {
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
            tokio::spawn(turn_away(stream));
            continue;
        };
        let _ = stream.set_nodelay(true);
        let (router, closing) = (router.clone(), closing.subscribe());
        tokio::spawn(async move {
            connection(stream, router, limits, closing).await;
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

/// Tells a caller that there is no place, without waiting for it.
async fn turn_away(mut stream: TcpStream) {
    let told = async {
        stream.write_all(FULL).await?;
        stream.shutdown().await
    };
    let _ = tokio::time::timeout(Duration::from_secs(1), told).await;
}

async fn connection(stream: TcpStream, router: axum::Router, limits: Limits, mut closing: watch::Receiver<bool>) {
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let router = router.clone();
        async move { Ok::<_, Infallible>(router.oneshot(request.map(Body::new)).await.unwrap_or_else(|never| match never {})) }
    });
    let io = TokioIo::new(Patient::new(stream, limits.stall));
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
