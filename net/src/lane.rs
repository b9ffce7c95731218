//! The way to one connected member: the queue of frames towards it, and the room that it may use.
//!
//! **Invariants**: what waits is bounded in frames and in bytes; a lane that was closed takes nothing and never opens again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use crate::event::Ended;
use crate::limits::{FRAME_LIMIT, INBOX_BYTES, QUEUED_BYTES, QUEUED_FRAMES, REQUESTS_PER_PEER};
use crate::network::SendError;

/// What a frame costs beside its bytes.
const OVERHEAD: usize = 64;

/// Tells the tasks of a lane what is left to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Frames come and go.
    Open,
    /// Nothing new is taken; what waits is still sent.
    Parting,
    /// Nothing moves any more, for a reason.
    Closed(Ended),
}

/// A frame on its way out, and the room that it takes until it was written.
#[derive(Debug)]
pub(crate) struct Queued {
    pub bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Lane {
    queue: mpsc::Sender<Queued>,
    room: Arc<Semaphore>,
    /// Room for what came from the peer and was not taken by the owner of the events yet.
    pub inbox: Arc<Semaphore>,
    /// Requests that this node asked.
    pub asking: Arc<Semaphore>,
    /// Requests that the peer asked: twice what it may ask at once, because it may know earlier that one has ended.
    pub serving: Arc<Semaphore>,
    phase: watch::Sender<Phase>,
    revoked: AtomicBool,
    heard: AtomicBool,
}

impl Lane {
    /// Makes a lane and the end from which its frames are taken.
    pub(crate) fn new() -> (Arc<Self>, mpsc::Receiver<Queued>) {
        let (queue, frames) = mpsc::channel(QUEUED_FRAMES);
        let lane = Self {
            queue,
            room: Arc::new(Semaphore::new(QUEUED_BYTES)),
            inbox: Arc::new(Semaphore::new(INBOX_BYTES)),
            asking: Arc::new(Semaphore::new(REQUESTS_PER_PEER)),
            serving: Arc::new(Semaphore::new(2 * REQUESTS_PER_PEER)),
            phase: watch::Sender::new(Phase::Open),
            revoked: AtomicBool::new(false),
            heard: AtomicBool::new(false),
        };
        (Arc::new(lane), frames)
    }

    /// Queues a frame if there is room now.
    pub(crate) fn try_send(&self, bytes: Bytes) -> Result<(), SendError> {
        let cost = cost(&bytes)?;
        self.check_open()?;
        let room = Arc::clone(&self.room).try_acquire_many_owned(cost).map_err(|error| match error {
            tokio::sync::TryAcquireError::Closed => SendError::NotConnected,
            tokio::sync::TryAcquireError::NoPermits => SendError::Full,
        })?;
        self.queue.try_send(Queued { bytes, _room: room }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SendError::Full,
            mpsc::error::TrySendError::Closed(_) => SendError::NotConnected,
        })
    }

    /// Queues a frame as soon as there is room.
    pub(crate) async fn send(&self, bytes: Bytes) -> Result<(), SendError> {
        let cost = cost(&bytes)?;
        self.check_open()?;
        let room = Arc::clone(&self.room).acquire_many_owned(cost).await.map_err(|_| SendError::NotConnected)?;
        self.queue.send(Queued { bytes, _room: room }).await.map_err(|_| SendError::NotConnected)
    }

    /// Returns how many bytes wait.
    pub(crate) fn queued_bytes(&self) -> usize {
        QUEUED_BYTES - self.room.available_permits()
    }

    /// Lets nothing in any more, and what waits out.
    pub(crate) fn part(&self) {
        self.room.close();
        self.phase.send_if_modified(|phase| {
            let open = *phase == Phase::Open;
            if open {
                *phase = Phase::Parting;
            }
            open
        });
    }

    /// Ends the lane: its tasks stop, and those that wait for room learn it. The first reason stays.
    pub(crate) fn close(&self, reason: Ended) {
        // The reason first: whoever finds a semaphore closed can tell why.
        self.phase.send_if_modified(|phase| {
            let open = !matches!(phase, Phase::Closed(_));
            if open {
                *phase = Phase::Closed(reason);
            }
            open
        });
        self.room.close();
        self.asking.close();
        self.inbox.close();
    }

    /// Ends the lane of one that is no member any more: what came from it and was not taken yet never surfaces.
    pub(crate) fn revoke(&self) {
        self.revoked.store(true, Ordering::SeqCst);
        self.close(Ended::Removed);
    }

    /// Notes that something came from the peer.
    pub(crate) fn note_heard(&self) {
        self.heard.store(true, Ordering::Relaxed);
    }

    /// Returns whether something came from the peer since the last call.
    pub(crate) fn take_heard(&self) -> bool {
        self.heard.swap(false, Ordering::Relaxed)
    }

    /// Returns whether the peer lost its membership.
    pub(crate) fn is_revoked(&self) -> bool {
        self.revoked.load(Ordering::SeqCst)
    }

    /// Waits until the lane is closed, and returns why.
    pub(crate) async fn closed(&self) -> Ended {
        let mut phases = self.phase.subscribe();
        let closed = phases.wait_for(|phase| matches!(phase, Phase::Closed(_))).await;
        match closed.as_deref() {
            Ok(Phase::Closed(reason)) => reason.clone(),
            // The sender lives as long as the lane does.
            Ok(Phase::Open | Phase::Parting) | Err(_) => Ended::Broken,
        }
    }

    /// Waits until the lane takes nothing more.
    pub(crate) async fn parting(&self) {
        let _ = self.phase.subscribe().wait_for(|phase| *phase != Phase::Open).await;
    }

    fn check_open(&self) -> Result<(), SendError> {
        if *self.phase.borrow() == Phase::Open { Ok(()) } else { Err(SendError::NotConnected) }
    }
}

fn cost(bytes: &Bytes) -> Result<u32, SendError> {
    if bytes.len() > FRAME_LIMIT {
        return Err(SendError::TooLarge { bytes: bytes.len() });
    }
    Ok((bytes.len() + OVERHEAD) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_that_nobody_reads_is_full_by_bytes_or_by_frames() {
        let (lane, _frames) = Lane::new();
        let large = Bytes::from(vec![0; FRAME_LIMIT]);
        let taken = (0..10).take_while(|_| lane.try_send(large.clone()) == Ok(())).count();
        assert_eq!(taken, 3, "the overhead keeps the fourth out");
        assert_eq!(lane.try_send(large), Err(SendError::Full));
        let (lane, _frames) = Lane::new();
        let taken = (0..5000).take_while(|_| lane.try_send(Bytes::new()) == Ok(())).count();
        assert_eq!(taken, QUEUED_FRAMES);
    }

    #[test]
    fn a_lane_that_parts_or_is_closed_takes_nothing() {
        let (lane, mut frames) = Lane::new();
        lane.try_send(Bytes::from_static(b"kept")).expect("room");
        lane.part();
        assert_eq!(lane.try_send(Bytes::new()), Err(SendError::NotConnected));
        assert_eq!(frames.try_recv().expect("what waited").bytes, "kept");
        lane.close(Ended::Silent);
        lane.part();
        lane.close(Ended::ByPeer);
        assert_eq!(*lane.phase.borrow(), Phase::Closed(Ended::Silent), "a closed lane does not open a crack, and keeps its reason");
    }
}
