//! One member's stream of frames, from the first to the last.
//!
//! **Invariants**: [`Event::Connected`] comes before the first frame and [`Event::Disconnected`] after the last; a peer whose frames are not
//! taken is read no further, and one that does not read is written no further.

use std::sync::Arc;

use libp2p::futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::{Multiaddr, Stream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::event::{Delivery, Ended, Event, Offence};
use crate::exchange::Responder;
use crate::frame::{self, ReadError};
use crate::key::PeerKey;
use crate::lane::{Lane, Queued};
use crate::limits::{FRAME_LIMIT, OPENING_TIME};

/// Where a lane's frames come from and go to.
pub(crate) struct Session {
    pub peer: PeerKey,
    pub address: Multiaddr,
    pub stream: Stream,
    pub lane: Arc<Lane>,
    pub frames: mpsc::Receiver<Queued>,
    pub events: mpsc::Sender<Delivery>,
}

/// Carries frames until the lane or the stream ends.
pub(crate) async fn run(session: Session) {
    let Session { peer, address, stream, lane, mut frames, events } = session;
    let connected = Delivery::plain(Event::Connected { peer, address });
    tokio::select! {
        biased;
        // Nothing was told, so that nothing has to be taken back.
        _ = lane.closed() => return,
        told = events.send(connected) => if told.is_err() { return },
    }
    let (mut reading, mut writing) = stream.split();
    let reason = tokio::select! {
        biased;
        reason = lane.closed() => reason,
        reason = read(&mut reading, peer, &lane, &events) => reason,
        reason = write(&mut writing, &lane, &mut frames) => reason,
    };
    drop((reading, writing));
    lane.close(reason);
    // Whoever closed it first knows best.
    let reason = lane.closed().await;
    if let Ended::Offence(offence) = reason {
        let _ = events.send(Delivery::plain(Event::Struck { peer, offence })).await;
    }
    // Without a receiver there is nobody left to tell.
    let _ = events.send(Delivery::plain(Event::Disconnected { peer, reason })).await;
}

async fn read(stream: &mut (impl AsyncRead + Unpin), peer: PeerKey, lane: &Arc<Lane>, events: &mpsc::Sender<Delivery>) -> Ended {
    loop {
        let length = match frame::read_length(stream, FRAME_LIMIT).await {
            Ok(length) => length,
            Err(error) => return ended(&error),
        };
        lane.note_heard();
        // An empty frame takes room as well, so that their number is bounded.
        let Ok(room) = Arc::clone(&lane.inbox).acquire_many_owned(length.max(1) as u32).await else {
            return lane.closed().await;
        };
        let bytes = match frame::read_body(stream, length).await {
            Ok(bytes) => bytes,
            Err(error) => return ended(&error),
        };
        lane.note_heard();
        if events.send(Delivery::of_member(Event::Frame { peer, bytes }, lane, room)).await.is_err() {
            return Ended::Stopped;
        }
    }
}

fn ended(error: &ReadError) -> Ended {
    match error {
        ReadError::Ended => Ended::ByPeer,
        ReadError::TooLarge { length, .. } => Ended::Offence(Offence::FrameTooLarge { bytes: *length }),
        ReadError::Broken(_) => Ended::Broken,
    }
}

async fn write(stream: &mut (impl AsyncWrite + Unpin), lane: &Lane, frames: &mut mpsc::Receiver<Queued>) -> Ended {
    let mut parting = false;
    loop {
        let next = tokio::select! {
            biased;
            next = frames.recv() => next,
            () = lane.parting(), if !parting => {
                parting = true;
                frames.close();
                continue;
            }
        };
        let Some(first) = next else { break };
        let batch = async {
            frame::write(stream, &first.bytes).await?;
            drop(first);
            while let Ok(next) = frames.try_recv() {
                frame::write(stream, &next.bytes).await?;
            }
            stream.flush().await
        };
        if batch.await.is_err() {
            return Ended::Broken;
        }
    }
    // The peer sees an end in either case; an orderly one does not look like a fault.
    let _ = stream.close().await;
    Ended::Stopped
}

/// Reads one request from a stream that a member opened, and hands it on.
pub(crate) async fn serve(peer: PeerKey, mut stream: Stream, lane: Arc<Lane>, events: mpsc::Sender<Delivery>) {
    let Ok(slot) = Arc::clone(&lane.serving).try_acquire_owned() else {
        return tracing::debug!(%peer, "too many requests at once; one was refused");
    };
    let read = async {
        let (limit, length) = Responder::read_head(&mut stream).await?;
        let Ok(room) = Arc::clone(&lane.inbox).acquire_many_owned(length.max(1) as u32).await else {
            return Err(ReadError::Ended);
        };
        Ok((limit, frame::read_body(&mut stream, length).await?, room))
    };
    match timeout(OPENING_TIME, read).await {
        Ok(Ok((limit, bytes, room))) => {
            let responder = Responder::new(stream, limit, Arc::clone(&lane), slot);
            // Without a receiver there is nobody left to ask.
            let _ = events.send(Delivery::of_member(Event::Request { peer, bytes, responder }, &lane, room)).await;
        }
        Ok(Err(ReadError::TooLarge { length, .. })) => lane.close(Ended::Offence(Offence::RequestTooLarge { bytes: length })),
        Ok(Err(ReadError::Ended | ReadError::Broken(_))) => (),
        Err(_) => tracing::debug!(%peer, "a request did not arrive in time"),
    }
}
