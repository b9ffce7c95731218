//! Claims work for agents: the next task that fits, settled with the other members or granted by the authority.
//!
//! **Invariants**: what is returned may start; what may not is given back, and its run forgotten, before the next one is tried.

use octopoid_crdt::ids::RecordId;
use octopoid_crdt::record::{Cause, Queue};

use super::super::context::StepError;
use super::super::run_record::RunRecord;
use super::{RACES, Scheduler};
use crate::cluster::Outcome;
use crate::config::Agent;
use crate::ops::claim::{Claimant, Claimed, asks_already, choose, open, withdraw};
use crate::ops::fail::{exhausted, give_up};
use crate::ops::{Refused, Snapshot, snapshot};
use crate::store::{TaskNo, Unit};

impl Scheduler {
    /// Claims for an agent what it may do next.
    pub(super) async fn claim(&self, agent: &Agent) -> Result<Option<(Snapshot, RecordId, bool)>, StepError> {
        for _ in 0..RACES {
            let Some(Claimed { task, of, review }) = self.write_claim(agent).await? else { return Ok(None) };
            let no = task.no;
            let outcome = self.context.settle(no, &of).await?;
            let (cause, why) = match outcome {
                Outcome::Start if task.row.holder.as_ref().is_some_and(|holder| holder.record == of.0) => {
                    return Ok(Some((task, of, review)));
                }
                Outcome::Start => return Ok(Some((self.granted(agent, no, of).await?, of, review))),
                Outcome::Yield => (Cause::Superseded, crate::store::conflicts::YIELDED),
                Outcome::Unreachable => (Cause::Stopped, "the authority could not be reached"),
            };
            self.context
                .write(move |unit| {
                    unit.set_run(&of, None);
                    Ok(withdraw(unit, no, of, cause, why)?)
                })
                .await?;
            if outcome == Outcome::Unreachable {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// Returns the task of a claim that was granted after its commit, and notes the attempt under the number that it got.
    async fn granted(&self, agent: &Agent, no: TaskNo, of: RecordId) -> Result<Snapshot, StepError> {
        let agent = agent.clone();
        self.context
            .write(move |unit| {
                let task = snapshot(unit, no)?;
                unit.set_run(&of, Some(RunRecord::begun(&task, &agent, &of, false).encode()));
                Ok(task)
            })
            .await
    }

    async fn write_claim(&self, agent: &Agent) -> Result<Option<Claimed>, StepError> {
        let claimant = self.claimant(agent);
        let agent = agent.clone();
        self.context
            .write(move |unit| {
                let Some(claimed) = next(unit, &claimant)? else { return Ok(None) };
                let run = RunRecord::begun(&claimed.task, &agent, &claimed.of, claimed.review);
                unit.set_run(&claimed.of, Some(run.encode()));
                Ok(Some(claimed))
            })
            .await
    }

    fn claimant(&self, agent: &Agent) -> Claimant {
        let role = agent.role.to_string();
        // Work that names no role is an implementer's; reviews are of any role's work.
        let roles = match role.as_str() {
            "review" => Vec::new(),
            "implement" => vec![role, String::new()],
            _ => vec![role],
        };
        let queue = agent.claims_from.as_str().to_owned();
        // A role of the project's own may review, too.
        let review = queue == Queue::Provisional.as_str();
        Claimant {
            agent: agent.name.to_string(),
            orchestrator: self.context.orchestrator.clone(),
            ttl_seconds: u32::try_from(self.context.config.lease_ttl.as_secs()).unwrap_or(u32::MAX),
            queue,
            scope: self.context.config.scope.to_string(),
            roles,
            kinds: Vec::new(),
            base: None,
            others: self.context.cluster.as_ref().map(crate::cluster::Cluster::connected).unwrap_or_default(),
            not_of: review.then(|| agent.name.to_string()),
        }
    }
}

/// Claims the next task for an agent. What ran out of turns comes before what nobody has begun.
fn next(unit: &mut Unit<'_>, claimant: &Claimant) -> Result<Option<Claimed>, Refused> {
    if claimant.queue == Queue::Incoming.as_str() {
        let continuing = Claimant { queue: Queue::NeedsContinuation.as_str().to_owned(), ..claimant.clone() };
        if let Some(task) = next_of(unit, &continuing)? {
            return Ok(Some(task));
        }
    }
    next_of(unit, claimant)
}

/// Claims the next task that is worth another attempt; those that are used up are given to a person on the way.
fn next_of(unit: &mut Unit<'_>, claimant: &Claimant) -> Result<Option<Claimed>, Refused> {
    loop {
        let Some(no) = choose(unit, claimant)? else { return Ok(None) };
        let judged = claimant.queue == Queue::Provisional.as_str() || unit.row(no)?.attempt.is_some();
        if !judged && let Some(why) = exhausted(unit.row(no)?) {
            let last = unit.last_reason(no)?.map(|reason| format!(", the last one: {reason}")).unwrap_or_default();
            give_up(unit, no, &format!("{why}{last}"))?;
            continue;
        }
        if !judged && asks_already(unit, no)? {
            continue;
        }
        return open(unit, no, claimant).map(Some);
    }
}
