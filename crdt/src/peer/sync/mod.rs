//! Sync with one connected member: both end with the union of what they held, whatever was lost before.
//!
//! One machine lives as long as one connection, whose frames arrive in order; the next connection starts anew, and the tips
//! tell what the last one left undone. New own records are pushed at once; others' records follow when a digest differs.
//!
//! **Invariants**
//! - An equal pair exchanges one frame each way.
//! - Records go out in the order in which they were applied here, so a peer waits only for what another peer still brings.
//! - Each record is sent at most once on a connection, unless the peer says again, after a growing pause, that it lacks it.
//! - Frames in flight, records that wait and tips that are remembered are bounded; a peer beyond its bounds is cut off.

mod exchange;
mod intake;
mod outbox;
mod plan;

use exchange::Exchange;
use intake::Intake;
use outbox::Outbox;

use super::{ClaimAnswer, Message, message};
use crate::{
    chain::Chains,
    ids::{AuthorKey, ClusterId, RecordId},
    lease::Moment,
    record::Verified,
};

/// What the machine reads of the store. Chains and records must be of one snapshot, or the chains of an older one.
pub trait Held {
    /// How reading fails; passed through.
    type Error;

    /// Returns the chains of all authors.
    fn chains(&self) -> &Chains;

    /// Returns the number that the next record applied here will get.
    fn next_arrival(&self) -> u64;

    /// Returns the number of a record that is held, in the order of applying.
    ///
    /// # Errors
    /// When the store fails.
    fn arrival_of(&self, id: &RecordId) -> Result<Option<u64>, Self::Error>;

    /// Returns the record of a number.
    ///
    /// # Errors
    /// When the store fails.
    fn record(&self, arrival: u64) -> Result<Option<Verified>, Self::Error>;
}

/// What the machine is told.
#[derive(Debug, Clone)]
pub enum Input {
    /// The connection is there; the first input, once.
    Connected,
    /// A frame came.
    Frame(Message),
    /// Own records are on disk, by their numbers, ascending: to be pushed.
    Wrote { arrivals: Vec<u64> },
    /// Records of whomever are on disk, own ones as well.
    Applied { ids: Vec<RecordId> },
    /// What came of [`Output::TakeIn`] or [`Output::Retry`].
    Taken { number: u64, taken: Taken },
    /// Time went by: at [`Sync::wake_at`], or more often.
    Tick,
}

/// What came of records that were taken in: said once they are on disk.
#[derive(Debug, Clone, Default)]
pub struct Taken {
    /// Those that are held now, before or after.
    pub held: Vec<RecordId>,
    /// Those that build on what is not held, with what is missing.
    pub waiting: Vec<(Verified, Vec<RecordId>)>,
    /// How many are no records of this cluster: bad bytes or a bad signature. The relay is struck, for it should have checked.
    pub forged: usize,
    /// For each claim or review among `held` that the peer itself wrote: [`super::settle::Settle::answer`].
    pub answers: Vec<ClaimAnswer>,
}

/// What to do, in this order.
#[derive(Debug, Clone)]
pub enum Output {
    /// Send a frame to the peer.
    Send(Message),
    /// Check the signatures, apply what can be applied in one commit, then report [`Input::Taken`].
    TakeIn { number: u64, records: Vec<Vec<u8>> },
    /// Apply records that were checked and had to wait, then report [`Input::Taken`] with the same number.
    Retry { number: u64, records: Vec<Verified> },
    /// The peer holds these records of this node, with all that they continue.
    Holds { records: Vec<RecordId> },
    /// The peer's answers to this node's claims and reviews: for the settle machine.
    Answered { answers: Vec<ClaimAnswer> },
    /// A frame that is none of sync's: renewals, presence, a strike or a farewell.
    Pass(Message),
    /// The peer did what no correct node does; it counts against the peer.
    Strike { why: Offence },
    /// Close the connection, after sending what was to be sent.
    Close { why: Parting },
}

/// What no correct node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Offence {
    /// Something else than one Hello came first.
    #[error("the first frame was not one hello")]
    Greeting,
    /// A frame of records out of order.
    #[error("frames of records are out of order")]
    Order,
    /// More frames at once than the window allows.
    #[error("more frames than the window allows")]
    Window,
    /// An acknowledgement of a frame that was never sent.
    #[error("an acknowledgement of what was not sent")]
    Ack,
    /// More tips than anybody has.
    #[error("more tips than the limit")]
    Tips,
    /// Bytes that are no record of the cluster, or a wrong signature.
    #[error("forged or malformed records")]
    Forged,
}

/// Why a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Parting {
    /// The peer broke the protocol.
    #[error("the peer broke the protocol")]
    Offence,
    /// The peer speaks no version that this node speaks.
    #[error("no version of the protocol in common: one of the two nodes must be updated")]
    Version,
    /// The peer belongs to another cluster.
    #[error("the peer belongs to another cluster")]
    Cluster,
}

/// Sync with one member over one connection.
#[derive(Debug)]
pub struct Sync {
    me: AuthorKey,
    cluster: ClusterId,
    greeted: bool,
    closed: bool,
    exchange: Exchange,
    intake: Intake,
    outbox: Outbox,
}

impl Sync {
    /// Makes the machine of a new connection.
    #[must_use]
    pub fn new(me: AuthorKey, peer: AuthorKey, cluster: ClusterId, now: Moment) -> Self {
        Self {
            me,
            cluster,
            greeted: false,
            closed: false,
            exchange: Exchange::new(me < peer, now),
            intake: Intake::default(),
            outbox: Outbox::default(),
        }
    }

    /// Takes one input; returns what follows, in order.
    ///
    /// # Errors
    /// When the store fails. The connection should be closed then.
    pub fn handle<H: Held>(&mut self, now: Moment, input: Input, held: &H) -> Result<Vec<Output>, H::Error> {
        let mut out = Vec::new();
        if self.closed {
            return Ok(out);
        }
        match input {
            Input::Connected => {
                let digest = held.chains().digest();
                let (low, high) = (message::PROTOCOL, message::PROTOCOL);
                out.push(Output::Send(Message::Hello { low, high, cluster: self.cluster, digest }));
            }
            Input::Frame(message) => self.frame(now, message, held, &mut out)?,
            Input::Wrote { arrivals } => self.outbox.push(&arrivals),
            Input::Applied { ids } => {
                self.exchange.applied(now, &ids);
                out.extend(self.intake.applied(now, &ids));
            }
            Input::Taken { number, taken } => self.taken(now, number, taken, held, &mut out)?,
            Input::Tick => {}
        }
        if self.greeted && !self.closed {
            self.go_on(now, held, &mut out)?;
        }
        Ok(out)
    }

    /// Returns when the machine next has something to do by itself.
    #[must_use]
    pub fn wake_at(&self) -> Option<Moment> {
        if self.closed || !self.greeted {
            return None;
        }
        [Some(self.exchange.wake_at()), self.intake.wake_at(), self.outbox.wake_at()].into_iter().flatten().min()
    }

    /// Tells whether everything that the peer has told of is held here: what a node waits for, 2 s at most, before a
    /// session's first record.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.greeted && self.exchange.is_current()
    }

    /// Tells how many records the peer is known to lack, those that it was sent and has not acknowledged included; while a long catch-up
    /// is scanned, how many there may be at most.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.outbox.backlog()
    }

    fn frame<H: Held>(&mut self, now: Moment, message: Message, held: &H, out: &mut Vec<Output>) -> Result<(), H::Error> {
        if let Message::Hello { low, high, cluster, digest } = message {
            self.hello(now, (low, high), cluster, digest, held, out);
            return Ok(());
        }
        if !self.greeted {
            self.offend(Offence::Greeting, out);
            return Ok(());
        }
        match message {
            Message::Digest { digest } => self.exchange.told_digest(now, digest),
            Message::Tips { tips, more } => match self.exchange.told_tips(tips, more) {
                Ok(()) => {}
                Err(why) => self.offend(why, out),
            },
            Message::Unknown { ids } => {
                let spans = self.exchange.told_unknown(&ids);
                self.outbox.plan(spans, now, held)?;
            }
            Message::Records { number, records } => match self.intake.frame(number) {
                Ok(()) => out.push(Output::TakeIn { number, records }),
                Err(why) => self.offend(why, out),
            },
            Message::Ack { number, waiting, answers } => match self.outbox.acked(number, &waiting) {
                Ok(records) => {
                    if !records.is_empty() {
                        out.push(Output::Holds { records });
                    }
                    if !answers.is_empty() {
                        out.push(Output::Answered { answers });
                    }
                }
                Err(why) => self.offend(why, out),
            },
            Message::Hello { .. } => {}
            Message::Renew { .. } | Message::Presence { .. } | Message::Struck { .. } | Message::Bye { .. } => {
                out.push(Output::Pass(message));
            }
        }
        Ok(())
    }

    fn hello<H: Held>(
        &mut self,
        now: Moment,
        (low, high): (u64, u64),
        cluster: ClusterId,
        digest: [u8; 32],
        held: &H,
        out: &mut Vec<Output>,
    ) {
        if self.greeted {
            self.offend(Offence::Greeting, out);
        } else if cluster != self.cluster {
            self.part(Parting::Cluster, out);
        } else if !(low..=high).contains(&message::PROTOCOL) {
            self.part(Parting::Version, out);
        } else {
            self.greeted = true;
            self.exchange.greeted(now, digest, held.chains());
        }
    }

    fn taken<H: Held>(&mut self, now: Moment, number: u64, mut taken: Taken, held: &H, out: &mut Vec<Output>) -> Result<(), H::Error> {
        if taken.forged > 0 {
            // The rest of the frame is kept: it was checked by its authors' signatures.
            out.push(Output::Strike { why: Offence::Forged });
        }
        // What was lacked may have come in the same commit, by another peer.
        for (_, missing) in &mut taken.waiting {
            let mut lacked = Vec::with_capacity(missing.len());
            for id in missing.drain(..) {
                if held.arrival_of(&id)?.is_none() {
                    lacked.push(id);
                }
            }
            *missing = lacked;
        }
        let (ack, retry) = self.intake.taken(now, number, taken);
        out.extend(ack.map(Output::Send));
        if !retry.is_empty() {
            out.push(Output::Retry { number, records: retry });
        }
        Ok(())
    }

    /// Does what the time and the state ask for: tips, digests, plans, frames of records.
    fn go_on<H: Held>(&mut self, now: Moment, held: &H, out: &mut Vec<Output>) -> Result<(), H::Error> {
        if self.intake.asks(now) {
            self.exchange.ask();
        }
        if self.outbox.is_idle()
            && let Some(theirs) = self.exchange.take_tips(now)
        {
            self.exchange.answer_tips(now, held.chains(), out);
            let plan = plan::missing_for(&theirs, held)?;
            let own = theirs.get(&self.me).into_iter().flatten().copied().filter(|id| !plan.unknown.contains(id));
            let records: Vec<RecordId> = own.collect();
            if !records.is_empty() {
                out.push(Output::Holds { records });
            }
            let unknown = self.exchange.planned(&plan);
            if !unknown.is_empty() {
                out.push(Output::Send(Message::Unknown { ids: unknown }));
            }
            self.outbox.plan(plan.send, now, held)?;
        }
        let busy = !self.outbox.is_idle() || self.intake.is_busy();
        self.exchange.go_on(now, busy, held.chains(), out);
        if self.outbox.has_repeated() && self.exchange.in_agreement(held.chains()) {
            self.outbox.agreed();
        }
        self.outbox.go_on(&self.me, held, out)
    }

    fn offend(&mut self, why: Offence, out: &mut Vec<Output>) {
        out.push(Output::Strike { why });
        out.push(Output::Send(Message::Struck { reason: why.to_string() }));
        self.closed = true;
        out.push(Output::Close { why: Parting::Offence });
    }

    fn part(&mut self, why: Parting, out: &mut Vec<Output>) {
        out.push(Output::Send(Message::Bye { reason: why.to_string() }));
        self.closed = true;
        out.push(Output::Close { why });
    }
}
