//! Holds an attempt's claim: renews its lease while the agent lives, and until what it did can be handed in.

use std::sync::Arc;
use std::time::Duration;

use octopoid_crdt::ids::RecordId;
use octopoid_crdt::lease::Input;
use tokio::sync::{broadcast, watch};
use tokio::time::{Interval, interval};

use super::attempt::{AttemptError, Job};
use super::context::{Context, StepError};
use crate::agent::{Ended, Running, StopReason};
use crate::store::Event;

/// How often a claim is renewed that competes with another one. Both may have begun apart from each other, and each node must
/// hear that from the other one itself: a record that came by a third one tells nothing of it.
const COMPETING: Duration = Duration::from_secs(1);

/// What may have changed whether the claim is held.
enum Look {
    /// Something may have: look.
    Again,
    /// Something else happened.
    No,
    /// The attempt is to stop.
    Stop(StopReason),
}

/// Hears of everything that touches a claim.
struct Hold<'a> {
    context: &'a Context,
    job: &'a Job,
    renew: Interval,
    /// Runs only while another claim competes.
    compete: Interval,
    competes: bool,
    events: broadcast::Receiver<Arc<[Event]>>,
    lost: Option<broadcast::Receiver<RecordId>>,
    stopped: watch::Receiver<Option<StopReason>>,
}

impl<'a> Hold<'a> {
    fn new(context: &'a Context, job: &'a Job) -> Self {
        Self {
            context,
            job,
            renew: interval(context.config.lease_ttl / 5),
            compete: interval(COMPETING),
            competes: false,
            events: context.store.events(),
            lost: context.cluster.as_ref().map(|cluster| cluster.settling().lost()),
            stopped: job.stopped.clone(),
        }
    }

    /// Waits for the next thing to happen, and renews the lease meanwhile.
    async fn next(&mut self) -> Look {
        let (claim, no) = (self.job.claim, self.job.task.no);
        let touches = tokio::select! {
            reason = told(&mut self.stopped) => return Look::Stop(reason),
            _ = self.renew.tick() => {
                renew(self.context, claim);
                true
            }
            _ = self.compete.tick(), if self.competes => {
                renew(self.context, claim);
                return Look::No;
            }
            of = next_lost(&mut self.lost) => of.is_none_or(|of| of == claim),
            event = self.events.recv() => match event {
                Ok(events) => events.iter().any(|event| event.task == Some(no)),
                // Behind: look at the task itself.
                Err(_) => true,
            },
        };
        if touches { Look::Again } else { Look::No }
    }

    /// Tells whether work on the claim may go on, and notes whether another one competes with it.
    fn goes_on(&mut self) -> Result<bool, AttemptError> {
        self.competes = match &self.context.cluster {
            Some(cluster) => cluster.competes(self.job.task.no, &self.job.claim).map_err(StepError::from)?,
            None => false,
        };
        is_open(self.context, self.job)
    }
}

/// Waits for the agent's end; stops it when its claim has ended or the attempt is to stop.
pub(super) async fn watch(context: &Context, job: &Job, running: &mut Running) -> Result<Ended, AttemptError> {
    let mut hold = Hold::new(context, job);
    let stopper = running.stopper();
    loop {
        tokio::select! {
            ended = running.wait() => return ended.map_err(|_| AttemptError::NodeEnds),
            look = hold.next() => match look {
                Look::Again if !hold.goes_on()? => stopper.stop(StopReason::TaskWithdrawn),
                Look::Again | Look::No => {}
                Look::Stop(reason) => {
                    stopper.stop(reason);
                    return running.wait().await.map_err(|_| AttemptError::NodeEnds);
                }
            },
        }
    }
}

/// Waits until an attempt's end counts: while another open claim outranks this one, a submission does not.
///
/// Such a claim has not started. It is released when its node hears that work is under way here, and expires when that node
/// is gone; until then the finished work is held rather than given up. Returns why the attempt is to stop, if it is.
pub(super) async fn until_first(context: &Context, job: &Job) -> Result<Option<StopReason>, AttemptError> {
    let mut hold = Hold::new(context, job);
    let mut told = false;
    while !is_first(context, job)? && hold.goes_on()? {
        if !std::mem::replace(&mut told, true) {
            tracing::info!(task = %job.task.row.id, attempt = %job.attempt(), "the work is done; another claim goes first until it ends");
        }
        if let Look::Stop(reason) = hold.next().await {
            return Ok(Some(reason));
        }
    }
    Ok(None)
}

fn renew(context: &Context, claim: RecordId) {
    context.store.leases().handle(Input::Renewed { of: claim, seconds: None });
    if let Some(cluster) = &context.cluster {
        cluster.renew(claim, u32::try_from(context.config.lease_ttl.as_secs()).unwrap_or(u32::MAX));
    }
}

/// Returns why the attempt is to stop; waits for ever when it never is.
async fn told(stopped: &mut watch::Receiver<Option<StopReason>>) -> StopReason {
    let reason = stopped.wait_for(Option::is_some).await.ok().and_then(|reason| *reason);
    match reason {
        Some(reason) => reason,
        // Nobody is left to tell.
        None => std::future::pending().await,
    }
}

/// Returns the next own claim that lost against another; none when some were missed.
async fn next_lost(lost: &mut Option<broadcast::Receiver<RecordId>>) -> Option<RecordId> {
    match lost {
        Some(lost) => match lost.recv().await {
            Ok(of) => Some(of),
            Err(broadcast::error::RecvError::Lagged(_)) => None,
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}

/// Tells whether work on the claim may go on: another one may outrank it that has not started.
fn is_open(context: &Context, job: &Job) -> Result<bool, AttemptError> {
    match &context.cluster {
        Some(cluster) => Ok(cluster.is_open(job.task.no, &job.claim).map_err(StepError::from)?),
        None => is_first(context, job),
    }
}

/// Tells whether the task is held by the claim.
fn is_first(context: &Context, job: &Job) -> Result<bool, AttemptError> {
    let row = context.store.reader().and_then(|reader| reader.row(job.task.no)).map_err(StepError::from)?;
    Ok(row.is_some_and(|row| row.listed && row.holder.is_some_and(|holder| holder.record == job.claim.0)))
}
