//! Who starts: the one place in this node where claims and reviews are settled against those of other members.
//!
//! **Invariants**: work starts only by [`Outcome::Start`]; what a member is answered and what starts here are decided under
//! one lock, so no start slips between the two.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use octopoid_crdt::ids::{AuthorKey, RecordId};
use octopoid_crdt::peer::ClaimAnswer;
use octopoid_crdt::peer::settle::{Contender, Input, Known, Settle, Verdict};
use tokio::sync::{broadcast, oneshot};

use crate::store::{TaskNo, now};

/// How often time is told to the machine while a claim waits.
const TICK: Duration = Duration::from_millis(50);
/// How many lost claims may wait for those who watch; who falls behind asks [`Settling::is_lost`].
const LOST: usize = 64;

/// What became of an own claim or review.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Work may begin.
    Start,
    /// Another one goes first: release, and take another task.
    Yield,
    /// The authority cannot be reached, so nobody can say: release, and take nothing.
    Unreachable,
}

/// Settles this node's claims. Cheap to share.
#[derive(Debug)]
pub struct Settling {
    inner: Mutex<Inner>,
    lost: broadcast::Sender<RecordId>,
}

#[derive(Debug)]
struct Inner {
    machine: Settle,
    waiting: HashMap<RecordId, oneshot::Sender<Outcome>>,
    /// What the machine was told of, by task, to notice what has ended.
    known: BTreeMap<TaskNo, BTreeSet<RecordId>>,
    lost: BTreeSet<RecordId>,
}

impl Settling {
    /// Starts without claims and alone.
    #[must_use]
    pub fn new(me: AuthorKey) -> Self {
        let machine = Settle::new(me, now());
        let inner = Inner { machine, waiting: HashMap::new(), known: BTreeMap::new(), lost: BTreeSet::new() };
        Self { inner: Mutex::new(inner), lost: broadcast::channel(LOST).0 }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it is settled who works on a task: `open` are its open claims or reviews, the own one among them.
    ///
    /// The own one is on disk, so every connected member is being told of it.
    pub async fn settle(&self, no: TaskNo, own: &RecordId, open: Vec<Known>) -> Outcome {
        let Some(contender) = open.iter().map(|known| known.contender).find(|contender| contender.id == *own) else {
            // It ended in the moment between its commit and this look.
            return Outcome::Yield;
        };
        let (settled, mut outcome) = oneshot::channel();
        {
            let mut inner = self.lock();
            inner.waiting.insert(*own, settled);
            inner.known.entry(no).or_default().extend(open.iter().map(|known| known.contender.id));
            let others = open.into_iter().filter(|other| other.contender.id != *own).collect();
            self.act(&mut inner, Input::Opened { contender, others });
        }
        loop {
            match tokio::time::timeout(TICK, &mut outcome).await {
                Ok(settled) => return settled.unwrap_or(Outcome::Yield),
                Err(_) => self.tell(Input::Tick),
            }
        }
    }

    /// Takes up an attempt that had started before this node was restarted.
    pub fn resume(&self, no: TaskNo, contender: Contender) {
        let mut inner = self.lock();
        inner.known.entry(no).or_default().insert(contender.id);
        self.act(&mut inner, Input::Resumed { contender });
    }

    /// Tells the machine of a member or a renewal.
    pub fn tell(&self, input: Input) {
        self.act(&mut self.lock(), input);
    }

    /// Answers a member's claim or review; `open` are all that the task's log shows.
    #[must_use]
    pub fn answer(&self, asked: &Contender, open: Vec<Known>) -> ClaimAnswer {
        let mut inner = self.lock();
        let answer = inner.machine.answer(asked, open);
        // What was just seen may settle an own one.
        self.act(&mut inner, Input::Tick);
        answer
    }

    /// Tells the machine what is open on a task now, after its records changed.
    pub fn look(&self, me: &AuthorKey, no: TaskNo, open: &[Known]) {
        let mut inner = self.lock();
        let Some(known) = inner.known.get(&no).cloned() else { return };
        for ended in known.iter().filter(|id| !open.iter().any(|known| known.contender.id == **id)) {
            self.act(&mut inner, Input::Ended { of: *ended });
            if let Some(waiting) = inner.waiting.remove(ended) {
                // Whoever waited may be gone.
                let _ = waiting.send(Outcome::Yield);
            }
            inner.lost.remove(ended);
        }
        for known in open.iter().filter(|known| known.contender.author != *me) {
            self.act(&mut inner, Input::Seen(*known));
        }
        let own_open = open.iter().any(|known| known.contender.author == *me);
        if own_open {
            inner.known.insert(no, open.iter().map(|known| known.contender.id).collect());
        } else {
            inner.known.remove(&no);
        }
    }

    /// Tells whether a task has an own claim that is being settled or worked on.
    #[must_use]
    pub fn watches(&self, no: TaskNo) -> bool {
        self.lock().known.contains_key(&no)
    }

    /// Returns the tasks that have an own claim that is being settled or worked on.
    #[must_use]
    pub fn watched(&self) -> Vec<TaskNo> {
        self.lock().known.keys().copied().collect()
    }

    /// Tells whether work on an own claim has started and goes on.
    #[must_use]
    pub fn has_started(&self, of: &RecordId) -> bool {
        self.lock().machine.has_started(of)
    }

    /// Tells whether an own claim that had started lost against another that had.
    #[must_use]
    pub fn is_lost(&self, of: &RecordId) -> bool {
        self.lock().lost.contains(of)
    }

    /// Returns the claims that lose from now on.
    #[must_use]
    pub fn lost(&self) -> broadcast::Receiver<RecordId> {
        self.lost.subscribe()
    }

    /// Tells whether a member is not waited for because it was silent.
    #[must_use]
    pub fn is_suspect(&self, peer: &AuthorKey) -> bool {
        self.lock().machine.is_suspect(peer)
    }

    fn act(&self, inner: &mut Inner, input: Input) {
        for verdict in inner.machine.handle(now(), input) {
            let (of, outcome) = match verdict {
                Verdict::Start { of } => (of, Outcome::Start),
                Verdict::Yield { of, to } => {
                    tracing::debug!(claim = %of, to = %to, "yields");
                    (of, Outcome::Yield)
                }
                Verdict::Stop { of, to } => {
                    tracing::info!(claim = %of, to = %to, "another attempt had started as well and goes first");
                    inner.lost.insert(of);
                    // Nobody may be watching.
                    let _ = self.lost.send(of);
                    continue;
                }
            };
            if let Some(waiting) = inner.waiting.remove(&of) {
                let _ = waiting.send(outcome);
            }
        }
    }
}
