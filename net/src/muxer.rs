//! Yamux on an authenticated connection, with the bounds that fit who the other side is.
//!
//! libp2p's own wrapper leaves a connection's receive window at 1 GiB, which one peer could fill.
//!
//! **Invariants**: what a peer may have sent and nobody has read stays under the window; a stranger's window leaves its streams nothing beyond
//! the 256 KiB that Yamux grants each from the start.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo};
use libp2p::futures::future::{Ready, ready as done};
use libp2p::futures::{AsyncRead, AsyncWrite};
use yamux::{Connection, ConnectionError, Mode};

use crate::limits::{GUEST_STREAMS, GUEST_WINDOW, MEMBER_STREAMS, MEMBER_WINDOW};

/// Puts Yamux on a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Yamux {
    streams: usize,
    window: usize,
}

impl Yamux {
    /// For a peer that is a member, or is not.
    pub(crate) fn with(member: bool) -> Self {
        if member { Self { streams: MEMBER_STREAMS, window: MEMBER_WINDOW } } else { Self { streams: GUEST_STREAMS, window: GUEST_WINDOW } }
    }

    fn on<C: AsyncRead + AsyncWrite + Unpin>(self, connection: C, mode: Mode) -> Muxer<C> {
        let mut config = yamux::Config::default();
        // The number first: it must fit into the window at any time.
        config.set_max_num_streams(self.streams).set_max_connection_receive_window(Some(self.window));
        Muxer { connection: Connection::new(connection, config, mode), waiting: VecDeque::new(), room: self.streams }
    }
}

impl UpgradeInfo for Yamux {
    type Info = &'static str;
    type InfoIter = std::iter::Once<&'static str>;

    fn protocol_info(&self) -> Self::InfoIter {
        std::iter::once("/yamux/1.0.0")
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> InboundConnectionUpgrade<C> for Yamux {
    type Output = Muxer<C>;
    type Error = Infallible;
    type Future = Ready<Result<Muxer<C>, Infallible>>;

    fn upgrade_inbound(self, connection: C, _: &'static str) -> Self::Future {
        done(Ok(self.on(connection, Mode::Server)))
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> OutboundConnectionUpgrade<C> for Yamux {
    type Output = Muxer<C>;
    type Error = Infallible;
    type Future = Ready<Result<Muxer<C>, Infallible>>;

    fn upgrade_outbound(self, connection: C, _: &'static str) -> Self::Future {
        done(Ok(self.on(connection, Mode::Client)))
    }
}

/// A connection with its streams.
#[derive(Debug)]
pub(crate) struct Muxer<C> {
    connection: Connection<C>,
    /// Streams that came while the connection was driven for the others' sake.
    waiting: VecDeque<yamux::Stream>,
    room: usize,
}

impl<C: AsyncRead + AsyncWrite + Unpin> Muxer<C> {
    /// Drives the connection until a stream comes; Yamux does all its work in here.
    fn drive(&mut self, cx: &mut Context<'_>) -> Poll<Result<yamux::Stream, ConnectionError>> {
        Poll::Ready(ready!(self.connection.poll_next_inbound(cx)).unwrap_or(Err(ConnectionError::Closed)))
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> StreamMuxer for Muxer<C> {
    type Substream = yamux::Stream;
    type Error = ConnectionError;

    fn poll_inbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<yamux::Stream, ConnectionError>> {
        match self.waiting.pop_front() {
            Some(stream) => Poll::Ready(Ok(stream)),
            None => self.drive(cx),
        }
    }

    fn poll_outbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<yamux::Stream, ConnectionError>> {
        self.connection.poll_new_outbound(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), ConnectionError>> {
        self.connection.poll_close(cx)
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<StreamMuxerEvent, ConnectionError>> {
        let stream = ready!(self.drive(cx))?;
        // A stream that finds no room is dropped, which resets it.
        if self.waiting.len() < self.room {
            self.waiting.push_back(stream);
        }
        // There may be more, and whoever takes inbound streams has to look again.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
