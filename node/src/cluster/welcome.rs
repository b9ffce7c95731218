//! Lets machines in: by a ticket at once, by a code when an admin has approved it.
//!
//! **Invariants**: a Join is on disk before its machine is welcomed; who asks learns the cluster's name and id alone until then.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use octopoid_crdt::ids::{AuthorKey, Name};
use octopoid_crdt::peer::join::{
    Code, DecideError, Decision, Here, Host, HostOutput, JoinFrame, Pending, Refusal, Ticket, TicketError, invite_of,
};
use octopoid_crdt::record::Access;
use octopoid_net::JoinStream;

use super::invites::{Invite, InviteError, Invites};
use super::random;
use super::shared::{Shared, author};
use crate::ops::members::{Admission, MembersRefused, join};
use crate::store::{Unavailable, now, now_ms};

/// How many names are tried for a machine whose name is taken.
const NAMES: u32 = 64;

/// States why a machine was not let in, or no invitation was made.
#[derive(Debug, thiserror::Error)]
pub enum WelcomeError {
    /// No such request waits.
    #[error(transparent)]
    NotPending(#[from] DecideError),
    /// Membership does not allow it.
    #[error(transparent)]
    Refused(#[from] MembersRefused),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] Unavailable),
    /// The invitation could not be kept.
    #[error(transparent)]
    Invite(#[from] InviteError),
    /// The ticket could not be written.
    #[error(transparent)]
    Ticket(#[from] TicketError),
}

/// Receives those who want to join.
pub struct Reception {
    shared: Arc<Shared>,
    host: Mutex<Option<Host>>,
    invites: Mutex<Invites>,
}

impl Reception {
    pub(super) fn new(shared: Arc<Shared>, invites: &Path) -> Self {
        Self { shared, host: Mutex::new(None), invites: Mutex::new(Invites::open(invites)) }
    }

    /// Works with the requests; nothing can be done while the cluster's first record is not here.
    fn with_host<T>(&self, act: impl FnOnce(&mut Host) -> T) -> Option<T> {
        let mut host: MutexGuard<'_, Option<Host>> = self.host.lock().unwrap_or_else(PoisonError::into_inner);
        if host.is_none() {
            let genesis = super::start::genesis(&self.shared.store).ok().flatten();
            *host = genesis.map(|genesis| Host::new(self.shared.me, genesis));
        }
        host.as_mut().map(act)
    }

    fn welcome(&self) -> JoinFrame {
        self.with_host(|host| host.welcome()).unwrap_or(JoinFrame::Refused(Refusal::Busy))
    }

    fn invites(&self) -> MutexGuard<'_, Invites> {
        self.invites.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers one run of the join protocol.
    pub(super) async fn receive(&self, mut stream: JoinStream) {
        let from = author(&stream.peer());
        loop {
            let Ok(bytes) = stream.receive().await else { return };
            let reply = match JoinFrame::decode(&bytes) {
                Ok(frame) => self.reply(from, frame).await,
                Err(error) => {
                    tracing::debug!(peer = %stream.peer(), %error, "a step of joining was refused");
                    JoinFrame::Refused(Refusal::Mismatch)
                }
            };
            let over = matches!(reply, JoinFrame::Welcome(_) | JoinFrame::Refused(_));
            let Ok(bytes) = reply.encode() else { return };
            if stream.send(&bytes).await.is_err() {
                return;
            }
            if over {
                stream.close().await;
                return;
            }
        }
    }

    async fn reply(&self, from: AuthorKey, frame: JoinFrame) -> JoinFrame {
        let view = self.shared.store.membership();
        let here = Here {
            name: view.name(),
            admin: view.access(&self.shared.me) == Some(Access::Admin),
            member: view.access(&from).is_some(),
            nonce: random(),
        };
        let handled = self.with_host(|host| host.handle(now(), from, frame, &here));
        let output = handled.unwrap_or(HostOutput::Reply(JoinFrame::Refused(Refusal::Busy)));
        match output {
            HostOutput::Reply(frame) => frame,
            HostOutput::Show(pending) => {
                tracing::info!(machine = %pending.machine, code = %pending.code, "a machine asks to join: octopoid peers approve {}", pending.code);
                JoinFrame::Waiting
            }
            HostOutput::LetIn { key, machine, access } => match self.let_in(key, machine, access, None).await {
                Ok(()) => self.with_host(|host| host.joined(&key)).unwrap_or(JoinFrame::Refused(Refusal::Busy)),
                Err(error) => refuse(&error),
            },
            HostOutput::Redeem { invite, key, machine } => self.redeem(invite, key, machine).await,
        }
    }

    async fn redeem(&self, invite: [u8; 32], key: AuthorKey, machine: Name) -> JoinFrame {
        let view = self.shared.store.membership();
        if view.invited(&invite) == Some(&key) {
            // A ticket lets in once: whom somebody has removed since needs another.
            return if view.access(&key).is_some() { self.welcome() } else { JoinFrame::Refused(Refusal::Used) };
        }
        let Some(known) = self.invites().get(&invite, now_ms()) else { return JoinFrame::Refused(Refusal::Expired) };
        match self.let_in(key, machine, known.access, Some(invite)).await {
            Ok(()) => self.welcome(),
            Err(error) => refuse(&error),
        }
    }

    /// Writes a Join; a machine whose name is taken gets it with a number.
    async fn let_in(&self, member: AuthorKey, machine: Name, access: Access, invite: Option<[u8; 32]>) -> Result<(), WelcomeError> {
        let mut name = machine.clone();
        for number in 2..NAMES {
            let admission = Admission { member, access, name: name.clone(), invite };
            match self.shared.store.write(move |unit| join(unit, admission)).await? {
                Err(MembersRefused::NameTaken { .. }) => {
                    let Ok(other) = format!("{machine}-{number}").parse() else { break };
                    name = other;
                }
                other => {
                    other?;
                    tracing::info!(machine = %name, "is a member now");
                    return Ok(());
                }
            }
        }
        Err(MembersRefused::NameTaken { name: machine }.into())
    }

    /// Returns the requests that wait for a person.
    #[must_use]
    pub fn pending(&self) -> Vec<Pending> {
        self.with_host(|host| host.pending().cloned().collect()).unwrap_or_default()
    }

    /// Approves or denies a request.
    ///
    /// # Errors
    /// When no such request waits, or membership does not allow it.
    pub async fn decide(&self, code: &Code, decision: Decision) -> Result<(), WelcomeError> {
        let decided = self.with_host(|host| host.decide(now(), code, decision)).unwrap_or(Err(DecideError::NotPending))?;
        if let (Some((key, machine)), Decision::Approve(access)) = (decided, decision) {
            self.let_in(key, machine, access, None).await?;
            self.with_host(|host| host.joined(&key));
        }
        Ok(())
    }

    /// Makes an invitation for one machine.
    ///
    /// # Errors
    /// When this node is no admin, or the invitation cannot be kept.
    pub fn invite(&self, access: Access, valid: Duration, addresses: Vec<String>) -> Result<Ticket, WelcomeError> {
        if self.shared.store.membership().access(&self.shared.me) != Some(Access::Admin) {
            return Err(MembersRefused::NotAdmin.into());
        }
        let (secret, now_ms) = (random(), now_ms());
        let expires_ms = now_ms.saturating_add(u64::try_from(valid.as_millis()).unwrap_or(u64::MAX));
        let ticket = Ticket { cluster: self.shared.cluster, inviter: self.shared.me, access, expires_ms, secret, addresses };
        self.invites().add(&invite_of(&self.shared.cluster, &secret), Invite { access, expires_ms }, now_ms)?;
        Ok(ticket)
    }
}

fn refuse(error: &WelcomeError) -> JoinFrame {
    tracing::warn!(reason = %crate::causes::describe(error), "a machine was not let in");
    JoinFrame::Refused(match error {
        WelcomeError::Refused(MembersRefused::NotAdmin) => Refusal::NotAdmin,
        WelcomeError::Refused(MembersRefused::InviteUsed) => Refusal::Used,
        WelcomeError::NotPending(_)
        | WelcomeError::Refused(_)
        | WelcomeError::Store(_)
        | WelcomeError::Invite(_)
        | WelcomeError::Ticket(_) => Refusal::Busy,
    })
}
