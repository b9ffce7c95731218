//! The side that lets others in.
//!
//! **Invariants**: at most [`ASKED`] requests without and [`PENDING`] with a revealed code are kept, one for each key; no two
//! that wait have the same code; a request ends after [`PENDING_MS`].

use std::collections::BTreeMap;

use super::{Code, JoinFrame, Refusal, Welcome, code::commitment, invite_of};
use crate::{
    ids::{AuthorKey, ClusterId, Name},
    lease::Moment,
    record::{Access, Verified},
};

/// Requests that have not revealed their nonce.
const ASKED: usize = 64;
/// How long a nonce may be kept back, in milliseconds.
const ASKED_MS: u64 = 15_000;
/// Requests that wait for a person.
const PENDING: usize = 32;
/// How long they wait, in milliseconds.
pub const PENDING_MS: u64 = 10 * 60_000;

/// A request that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// What both sides show.
    pub code: Code,
    /// The key that asks.
    pub key: AuthorKey,
    /// What its machine calls itself.
    pub machine: Name,
    /// Whether the joiner's person has confirmed the code.
    pub confirmed: bool,
    /// What an admin here has approved that it may do.
    pub approved: Option<Access>,
}

/// What a person decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Let it in, with this access.
    Approve(Access),
    /// Do not.
    Deny,
}

/// States why nothing was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecideError {
    /// No such request waits.
    #[error("no request with this code waits: see `octopoid peers list`")]
    NotPending,
}

/// What the host's node does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostOutput {
    /// Answer with this.
    Reply(JoinFrame),
    /// A request waits for a person from now on: tell people, and answer with [`JoinFrame::Waiting`].
    Show(Pending),
    /// Approved and confirmed: write a Join for this key, and when it is on disk call [`Host::joined`] and answer with what it
    /// returns.
    LetIn { key: AuthorKey, machine: Name, access: Access },
    /// A ticket was shown: look it up by its hash. A known, unexpired and unused one (or one that this same key used) lets the
    /// key in: write the Join with `invite`, commit, answer with [`Host::welcome`]; else refuse with Expired or Used.
    Redeem { invite: [u8; 32], key: AuthorKey, machine: Name },
}

/// What the host's node knows at a frame.
#[derive(Debug, Clone, Copy)]
pub struct Here<'a> {
    /// The cluster's name now.
    pub name: Option<&'a Name>,
    /// Whether this node is an admin.
    pub admin: bool,
    /// Whether the key that asks is a member already.
    pub member: bool,
    /// Drawn at random for this frame.
    pub nonce: [u8; 32],
}

#[derive(Debug, Clone)]
enum Request {
    Asked {
        machine: Name,
        commitment: [u8; 32],
        nonce: [u8; 32],
    },
    Pending(Pending),
    Denied,
    /// Its Join is on disk.
    Joined,
}

/// The requests that a node has.
#[derive(Debug, Clone)]
pub struct Host {
    me: AuthorKey,
    cluster: ClusterId,
    genesis: Verified,
    requests: BTreeMap<AuthorKey, (Request, Moment)>,
}

impl Host {
    /// Starts without requests.
    #[must_use]
    pub fn new(me: AuthorKey, genesis: Verified) -> Self {
        Self { me, cluster: genesis.cluster(), genesis, requests: BTreeMap::new() }
    }

    /// Takes a frame of the join protocol from the key that the connection has proved.
    #[must_use]
    pub fn handle(&mut self, now: Moment, from: AuthorKey, frame: JoinFrame, here: &Here<'_>) -> HostOutput {
        self.forget(now);
        let refused = |refusal| HostOutput::Reply(JoinFrame::Refused(refusal));
        match frame {
            // After a restart nothing else is left of a request whose Join is on disk.
            JoinFrame::Confirm if here.member => HostOutput::Reply(self.welcome()),
            JoinFrame::Ask { cluster, .. } if here.name != Some(&cluster) => refused(Refusal::NoSuchCluster),
            JoinFrame::Redeem { cluster, .. } if cluster != self.cluster => refused(Refusal::NoSuchCluster),
            _ if !here.admin => refused(Refusal::NotAdmin),
            JoinFrame::Ask { machine, commitment, .. } => self.asked(now, from, machine, commitment, here.nonce),
            JoinFrame::Reveal { nonce } => self.revealed(now, from, &nonce),
            JoinFrame::Confirm => self.confirmed(from),
            JoinFrame::Withdraw => {
                self.requests.remove(&from);
                refused(Refusal::Denied)
            }
            JoinFrame::Redeem { machine, secret, .. } => {
                HostOutput::Redeem { invite: invite_of(&self.cluster, &secret), key: from, machine }
            }
            JoinFrame::Challenge { .. } | JoinFrame::Waiting | JoinFrame::Welcome(_) | JoinFrame::Refused(_) => refused(Refusal::Mismatch),
        }
    }

    /// Returns the requests that wait for a person.
    pub fn pending(&self) -> impl Iterator<Item = &Pending> {
        self.requests.values().filter_map(|(request, _)| match request {
            Request::Pending(pending) => Some(pending),
            Request::Asked { .. } | Request::Denied | Request::Joined => None,
        })
    }

    /// Decides a request by its code; returns the key and name to let in when the joiner's person has confirmed already.
    ///
    /// # Errors
    /// When no such request waits.
    pub fn decide(&mut self, now: Moment, code: &Code, decision: Decision) -> Result<Option<(AuthorKey, Name)>, DecideError> {
        self.forget(now);
        let waits = |request: &Request| matches!(request, Request::Pending(pending) if pending.code == *code);
        let (_, (request, _)) = self.requests.iter_mut().find(|(_, (request, _))| waits(request)).ok_or(DecideError::NotPending)?;
        match (decision, &mut *request) {
            (Decision::Approve(access), Request::Pending(pending)) => {
                pending.approved = Some(access);
                Ok(pending.confirmed.then(|| (pending.key, pending.machine.clone())))
            }
            (Decision::Approve(_), _) => Err(DecideError::NotPending),
            (Decision::Deny, _) => {
                *request = Request::Denied;
                Ok(None)
            }
        }
    }

    /// Notes that the Join of a key is on disk; returns the welcome.
    pub fn joined(&mut self, key: &AuthorKey) -> JoinFrame {
        if let Some((request, _)) = self.requests.get_mut(key) {
            *request = Request::Joined;
        }
        self.welcome()
    }

    /// Returns what a new member is told.
    #[must_use]
    pub fn welcome(&self) -> JoinFrame {
        JoinFrame::Welcome(Welcome { cluster: self.cluster, genesis: self.genesis.wire().to_vec(), host: self.me })
    }

    fn asked(&mut self, now: Moment, from: AuthorKey, machine: Name, commitment: [u8; 32], nonce: [u8; 32]) -> HostOutput {
        let asked = self.requests.values().filter(|(request, _)| matches!(request, Request::Asked { .. }));
        if asked.count() >= ASKED && !self.requests.contains_key(&from) {
            return HostOutput::Reply(JoinFrame::Refused(Refusal::Busy));
        }
        self.requests.insert(from, (Request::Asked { machine, commitment, nonce }, now));
        HostOutput::Reply(JoinFrame::Challenge { cluster: self.cluster, nonce })
    }

    fn revealed(&mut self, now: Moment, from: AuthorKey, theirs: &[u8; 32]) -> HostOutput {
        let refused = |refusal| HostOutput::Reply(JoinFrame::Refused(refusal));
        let Some((Request::Asked { machine, commitment: promised, nonce }, _)) = self.requests.remove(&from) else {
            return refused(Refusal::Mismatch);
        };
        if commitment(&from, theirs) != promised {
            return refused(Refusal::Mismatch);
        }
        let code = Code::compute((&from, theirs), (&self.me, &nonce), &self.cluster);
        if self.pending().count() >= PENDING || self.pending().any(|pending| pending.code == code) {
            return refused(Refusal::Busy);
        }
        let pending = Pending { code, key: from, machine, confirmed: false, approved: None };
        self.requests.insert(from, (Request::Pending(pending.clone()), now));
        HostOutput::Show(pending)
    }

    fn confirmed(&mut self, from: AuthorKey) -> HostOutput {
        let refused = |refusal| HostOutput::Reply(JoinFrame::Refused(refusal));
        match self.requests.get_mut(&from) {
            Some((Request::Pending(pending), _)) => {
                pending.confirmed = true;
                if let Some(access) = pending.approved {
                    return HostOutput::LetIn { key: from, machine: pending.machine.clone(), access };
                }
                HostOutput::Reply(JoinFrame::Waiting)
            }
            Some((Request::Joined, _)) => HostOutput::Reply(self.welcome()),
            Some((Request::Denied, _)) => refused(Refusal::Denied),
            Some((Request::Asked { .. }, _)) => refused(Refusal::Mismatch),
            None => refused(Refusal::Expired),
        }
    }

    fn forget(&mut self, now: Moment) {
        self.requests.retain(|_, (request, since)| {
            let age = now.0.saturating_sub(since.0);
            match request {
                Request::Asked { .. } => age < ASKED_MS,
                Request::Pending(_) | Request::Denied | Request::Joined => age < PENDING_MS,
            }
        });
    }
}
