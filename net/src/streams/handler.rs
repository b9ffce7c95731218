//! One connection's streams: which protocols it offers, and which were asked for.
//!
//! **Invariants**: a protocol that is not offered is refused in the negotiation, so that nothing sent under it is ever read.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::task::{Context, Poll};

use libp2p::core::UpgradeInfo;
use libp2p::core::upgrade::{InboundUpgrade, ReadyUpgrade};
use libp2p::futures::future::{Ready, ready};
use libp2p::swarm::handler::{ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound};
use libp2p::swarm::{ConnectionHandler, ConnectionHandlerEvent, StreamUpgradeError, SubstreamProtocol};
use libp2p::{Stream, StreamProtocol};

use crate::command::{OpenError, StreamReply};
use crate::limits::OPENING_TIME;

/// What a stream is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Frames between members, for as long as the connection lasts.
    Frames,
    /// One request and its answer.
    Request,
    /// One run of the join protocol.
    Join,
}

impl Purpose {
    /// Returns the protocol's name on the wire.
    pub(crate) const fn protocol(self) -> StreamProtocol {
        match self {
            Self::Frames => StreamProtocol::new("/octopoid/member/1"),
            Self::Request => StreamProtocol::new("/octopoid/request/1"),
            Self::Join => StreamProtocol::new("/octopoid/join/1"),
        }
    }
}

/// What the driver wants of a connection.
#[derive(Debug)]
pub(crate) enum Order {
    /// Open a stream; the answer goes to the reply, or as a [`Report`] where there is none.
    Open { purpose: Purpose, reply: Option<StreamReply> },
    /// Stay while nothing happens, or do not.
    Keep(bool),
}

/// What a connection tells the driver.
#[derive(Debug)]
pub(crate) enum Report {
    /// The stream that was ordered without a reply is open.
    Opened(Stream),
    /// It was refused, or failed.
    Refused,
    /// The other side opened a stream.
    Came(Purpose, Stream),
}

/// Offers protocols, and tells which was taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Offer(&'static [Purpose]);

impl UpgradeInfo for Offer {
    type Info = StreamProtocol;
    type InfoIter = std::iter::Map<std::slice::Iter<'static, Purpose>, fn(&Purpose) -> StreamProtocol>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.iter().map(|purpose| purpose.protocol())
    }
}

impl InboundUpgrade<Stream> for Offer {
    type Output = (StreamProtocol, Stream);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, taken: StreamProtocol) -> Self::Future {
        ready(Ok((taken, stream)))
    }
}

type HandlerEvent = ConnectionHandlerEvent<ReadyUpgrade<StreamProtocol>, Option<StreamReply>, Report>;

/// See the module.
pub(crate) struct Handler {
    offers: &'static [Purpose],
    keep: bool,
    waiting: VecDeque<HandlerEvent>,
}

impl Handler {
    pub(crate) fn new(offers: &'static [Purpose], keep: bool) -> Self {
        Self { offers, keep, waiting: VecDeque::new() }
    }

    fn report(&mut self, report: Report) {
        self.waiting.push_back(ConnectionHandlerEvent::NotifyBehaviour(report));
    }

    fn answer(&mut self, reply: Option<StreamReply>, result: Result<Stream, OpenError>) {
        match (reply, result) {
            // Who asked may have gone meanwhile; the stream then closes.
            (Some(reply), result) => drop(reply.send(result)),
            (None, Ok(stream)) => self.report(Report::Opened(stream)),
            (None, Err(_)) => self.report(Report::Refused),
        }
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Order;
    type ToBehaviour = Report;
    type InboundProtocol = Offer;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = Option<StreamReply>;

    fn listen_protocol(&self) -> SubstreamProtocol<Offer> {
        SubstreamProtocol::new(Offer(self.offers), ()).with_timeout(OPENING_TIME)
    }

    fn connection_keep_alive(&self) -> bool {
        self.keep
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<HandlerEvent> {
        // Whatever fills the queue is followed by a poll of the connection, so that no waker is needed.
        self.waiting.pop_front().map_or(Poll::Pending, Poll::Ready)
    }

    fn on_behaviour_event(&mut self, order: Order) {
        match order {
            Order::Keep(keep) => self.keep = keep,
            Order::Open { purpose, reply } => {
                let protocol = SubstreamProtocol::new(ReadyUpgrade::new(purpose.protocol()), reply).with_timeout(OPENING_TIME);
                self.waiting.push_back(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
            }
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the enum is non-exhaustive; the rest does not concern streams")]
    fn on_connection_event(&mut self, event: ConnectionEvent<Offer, ReadyUpgrade<StreamProtocol>, (), Option<StreamReply>>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol: (taken, stream), .. }) => {
                if let Some(purpose) = self.offers.iter().find(|purpose| purpose.protocol() == taken) {
                    self.report(Report::Came(*purpose, stream));
                }
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol: stream, info }) => self.answer(info, Ok(stream)),
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info, error }) => self.answer(
                info,
                Err(match error {
                    StreamUpgradeError::NegotiationFailed => OpenError::Refused,
                    StreamUpgradeError::Timeout => OpenError::Broken(io::ErrorKind::TimedOut.into()),
                    StreamUpgradeError::Io(error) => OpenError::Broken(error),
                    StreamUpgradeError::Apply(never) => match never {},
                }),
            ),
            _ => (),
        }
    }
}
