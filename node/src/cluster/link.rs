//! One member, as long as its connection lasts: what it says goes through the sync machine, and what follows is done.
//!
//! **Invariants**: one link per connection; its inputs are taken one at a time; nothing is acknowledged before it is on disk.

use std::sync::Arc;

use bytes::Bytes;
use octopoid_crdt::chain::Chains;
use octopoid_crdt::ids::{AuthorKey, RecordId};
use octopoid_crdt::lease::Moment;
use octopoid_crdt::peer::Message;
use octopoid_crdt::peer::settle::Input as SettleInput;
use octopoid_crdt::peer::sync::{Held, Input, Output, Sync, Taken};
use octopoid_crdt::record::Verified;
use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc};
use tokio::task::JoinSet;

use super::intake::{Batch, IntakeError, take_in};
use super::presence::Presence;
use super::shared::{Coming, Shared, peer_key};
use crate::store::{Event, Fault, Reader, now, now_ms};

/// Frames that wait for a link; a window of records and what goes between fits many times.
pub(super) const WAITING: usize = 256;
/// Batches that wait to be taken in: the sync machine lets no more be in flight.
const BATCHES: usize = 64;
/// Acknowledgements that wait to be written down.
const MARKS: usize = 256;

/// Why a link ended by itself.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkEnd {
    #[error("{0}")]
    Parted(String),
    #[error("its connection is gone")]
    Gone,
    #[error("the store failed")]
    Store(#[from] Fault),
    #[error(transparent)]
    Intake(#[from] IntakeError),
}

/// What the sync machine reads: one snapshot.
struct Snapshot {
    reader: Reader,
    chains: Chains,
    next: u64,
}

impl Held for Snapshot {
    type Error = Fault;

    fn chains(&self) -> &Chains {
        &self.chains
    }

    fn next_arrival(&self) -> u64 {
        self.next
    }

    fn arrival_of(&self, id: &RecordId) -> Result<Option<u64>, Fault> {
        self.reader.arrival(id)
    }

    fn record(&self, arrival: u64) -> Result<Option<Verified>, Fault> {
        self.reader.record(arrival)
    }
}

/// One member's link.
struct Link {
    shared: Arc<Shared>,
    peer: AuthorKey,
    machine: Sync,
    batches: mpsc::Sender<(u64, Batch)>,
    marks: mpsc::Sender<Vec<RecordId>>,
    /// Up to where this link has heard of records.
    heard: u64,
}

/// Runs a link until its connection ends or the peer is parted with.
pub(super) async fn run(shared: Arc<Shared>, peer: AuthorKey, mut frames: mpsc::Receiver<(Bytes, OwnedSemaphorePermit)>) -> LinkEnd {
    let mut events = shared.store.events();
    let (batches, waiting) = mpsc::channel(BATCHES);
    let (report, mut taken) = mpsc::channel(BATCHES);
    let (marks, noted) = mpsc::channel(MARKS);
    let mut helpers = JoinSet::new();
    helpers.spawn(take_all(shared.clone(), peer, waiting, report));
    helpers.spawn(note_all(shared.clone(), peer, noted));
    let machine = Sync::new(shared.me, peer, shared.cluster, now());
    let mut link = Link { shared, peer, machine, batches, marks, heard: 0 };
    if let Err(end) = link.greet().await {
        return end;
    }
    // Dropped with this function, the helpers end with it.
    loop {
        let done = tokio::select! {
            biased;
            frame = frames.recv() => match frame {
                Some((frame, _room)) => link.frame(&frame).await,
                None => Err(LinkEnd::Gone),
            },
            taken = taken.recv() => match taken {
                Some(Ok((number, taken))) => link.input(Input::Taken { number, taken }).await,
                Some(Err(error)) => Err(error.into()),
                None => Err(LinkEnd::Gone),
            },
            event = events.recv() => link.news(event).await,
            () = until(link.machine.wake_at()) => link.input(Input::Tick).await,
        };
        if let Err(end) = done {
            return end;
        }
        if let Err(end) = link.show().await {
            return end;
        }
    }
}

async fn take_all(
    shared: Arc<Shared>,
    peer: AuthorKey,
    mut batches: mpsc::Receiver<(u64, Batch)>,
    report: mpsc::Sender<Result<(u64, Taken), IntakeError>>,
) {
    while let Some((number, batch)) = batches.recv().await {
        let taken = take_in(&shared, peer, batch).await.map(|taken| (number, taken));
        if report.send(taken).await.is_err() {
            return;
        }
    }
}

/// Writes down what the peer acknowledged, as much at once as has come.
async fn note_all(shared: Arc<Shared>, peer: AuthorKey, mut marks: mpsc::Receiver<Vec<RecordId>>) {
    let mut some = Vec::new();
    while marks.recv_many(&mut some, MARKS).await > 0 {
        let records: Vec<RecordId> = some.drain(..).flatten().collect();
        let noted = shared.store.writer().write(move |unit| records.iter().try_for_each(|record| unit.acknowledge(&peer, record))).await;
        if !matches!(noted, Ok(Ok(()))) {
            // The store has failed, which ends the node.
            return;
        }
    }
}

async fn until(moment: Option<Moment>) {
    match moment {
        Some(moment) => tokio::time::sleep(std::time::Duration::from_millis(moment.0.saturating_sub(now().0))).await,
        None => std::future::pending().await,
    }
}

impl Link {
    async fn greet(&mut self) -> Result<(), LinkEnd> {
        self.heard = self.snapshot()?.next;
        self.input(Input::Connected).await
    }

    fn snapshot(&self) -> Result<Snapshot, Fault> {
        let reader = self.shared.store.reader()?;
        let (chains, next) = (reader.chains()?, reader.next_arrival()?);
        Ok(Snapshot { reader, chains, next })
    }

    async fn frame(&mut self, frame: &[u8]) -> Result<(), LinkEnd> {
        self.shared.settling.tell(SettleInput::Heard { peer: self.peer });
        match Message::decode(frame) {
            Ok(Some(message)) => self.input(Input::Frame(message)).await,
            // Of a later version: to be skipped.
            Ok(None) => Ok(()),
            Err(error) => {
                let why = format!("it sent a frame that is none: {error}");
                self.shared.strike(self.peer, &why);
                self.send(&Message::Struck { reason: error.to_string() }).await?;
                Err(LinkEnd::Parted(why))
            }
        }
    }

    /// Tells the machine what was written and applied here.
    async fn news(&mut self, event: Result<Arc<[Event]>, broadcast::error::RecvError>) -> Result<(), LinkEnd> {
        let events: Vec<(u64, RecordId, bool)> = match event {
            Ok(events) => events.iter().map(|event| (event.arrival, event.record, event.own)).collect(),
            // Behind: what was missed is in the store.
            Err(broadcast::error::RecvError::Lagged(_)) => self.missed()?,
            Err(broadcast::error::RecvError::Closed) => return Err(LinkEnd::Gone),
        };
        let news: Vec<_> = events.into_iter().filter(|(arrival, _, _)| *arrival >= self.heard).collect();
        let Some((last, _, _)) = news.last() else { return Ok(()) };
        self.heard = last + 1;
        let arrivals: Vec<u64> = news.iter().filter(|(_, _, own)| *own).map(|(arrival, _, _)| *arrival).collect();
        if !arrivals.is_empty() {
            self.input(Input::Wrote { arrivals }).await?;
        }
        self.input(Input::Applied { ids: news.into_iter().map(|(_, id, _)| id).collect() }).await
    }

    fn missed(&self) -> Result<Vec<(u64, RecordId, bool)>, Fault> {
        let reader = self.shared.store.reader()?;
        let mut missed = Vec::new();
        for arrival in self.heard..reader.next_arrival()? {
            if let Some(record) = reader.record(arrival)? {
                missed.push((arrival, record.id(), record.payload().author == self.shared.me));
            }
        }
        Ok(missed)
    }

    async fn input(&mut self, input: Input) -> Result<(), LinkEnd> {
        let snapshot = self.snapshot()?;
        let outputs = self.machine.handle(now(), input, &snapshot)?;
        drop(snapshot);
        for output in outputs {
            self.act(output).await?;
        }
        Ok(())
    }

    async fn act(&mut self, output: Output) -> Result<(), LinkEnd> {
        match output {
            Output::Send(message) => self.send(&message).await,
            Output::TakeIn { number, records } => self.take(number, Batch::Wires(records)).await,
            Output::Retry { number, records } => self.take(number, Batch::Checked(records)).await,
            Output::Holds { records } => self.marks.send(records).await.map_err(|_| LinkEnd::Gone),
            Output::Answered { answers } => {
                let view = self.shared.store.membership();
                for answer in answers {
                    self.shared.words.answered(&self.peer, view.authority(), &answer);
                    self.shared.settling.tell(SettleInput::Answered { peer: self.peer, answer });
                }
                Ok(())
            }
            Output::Pass(message) => self.pass(message).await,
            Output::Strike { why } => {
                self.shared.strike(self.peer, &why);
                Ok(())
            }
            Output::Close { why } => Err(LinkEnd::Parted(why.to_string())),
        }
    }

    async fn take(&mut self, number: u64, batch: Batch) -> Result<(), LinkEnd> {
        self.batches.send((number, batch)).await.map_err(|_| LinkEnd::Gone)
    }

    async fn pass(&mut self, message: Message) -> Result<(), LinkEnd> {
        match message {
            Message::Renew { renewals } => {
                let mut news = Vec::new();
                for renewal in renewals {
                    match renewal.check(self.shared.cluster) {
                        Ok(checked) if self.shared.renewed(&checked) => news.push(checked.renewal().clone()),
                        Ok(_) => {}
                        Err(error) => {
                            let why = format!("it sent a renewal that is none: {error}");
                            self.shared.strike(self.peer, &why);
                            return Err(LinkEnd::Parted(why));
                        }
                    }
                }
                self.shared.relay(&self.peer, news);
            }
            Message::Presence { text } => {
                if let Some(presence) = Presence::parse(&text) {
                    self.shared.hear_presence(self.peer, presence);
                }
            }
            Message::Struck { reason } => tracing::warn!(peer = %self.peer, %reason, "a member says that this node did wrong"),
            Message::Bye { reason } => return Err(LinkEnd::Parted(format!("it says: {reason}"))),
            Message::Hello { .. }
            | Message::Digest { .. }
            | Message::Tips { .. }
            | Message::Unknown { .. }
            | Message::Records { .. }
            | Message::Ack { .. } => {}
        }
        Ok(())
    }

    async fn send(&self, message: &Message) -> Result<(), LinkEnd> {
        let frame = message.encode().map_err(|error| LinkEnd::Parted(format!("a frame of this node is none: {error}")))?;
        self.shared.network.send(&peer_key(&self.peer), frame.into()).await.map_err(|_| LinkEnd::Gone)
    }

    /// Lets `status` see how far the peer is; tells a peer that has just greeted who this is.
    async fn show(&self) -> Result<(), LinkEnd> {
        let greeted = self.machine.wake_at().is_some();
        let news = {
            let mut members = self.shared.members();
            let state = members.entry(self.peer).or_default();
            state.lag = self.machine.backlog();
            state.current = self.machine.is_current();
            let news = greeted && !state.connected;
            if news {
                (state.connected, state.since_ms) = (true, Some(now_ms()));
            }
            news
        };
        if news {
            self.shared.met.send_modify(|met| *met += 1);
            // Nobody may listen.
            let _ = self.shared.comings.send((self.peer, Coming::Up));
        }
        if !news {
            return Ok(());
        }
        let renewals = self.shared.all_renewals();
        if !renewals.is_empty() {
            self.send(&Message::Renew { renewals }).await?;
        }
        self.send(&self.shared.presence()).await
    }
}
