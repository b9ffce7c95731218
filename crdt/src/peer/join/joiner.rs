//! The side that wants in.

use super::{Code, JoinFrame, Refusal, Ticket, Welcome, code::commitment};
use crate::{
    ids::{AuthorKey, ClusterId, Name},
    record::{Body, RecordError, Verified},
};

/// What the joiner's node does next.
#[derive(Debug, Clone)]
pub enum JoinerOutput {
    /// Send this and await the answer.
    Send(JoinFrame),
    /// Show the code to the person; after a yes call [`Joiner::confirm`], after a no [`Joiner::withdraw`].
    Show { code: Code, cluster: ClusterId },
    /// Ask again in a few seconds with [`Joiner::confirm`], on a new stream.
    Wait,
    /// The joiner is a member: keep the Genesis record, make the host the first member to sync with.
    Joined { welcome: Welcome, genesis: Box<Verified> },
}

/// States why joining failed.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The host said no.
    #[error(transparent)]
    Refused(Refusal),
    /// The host answered something that does not fit.
    #[error("the host's answer does not fit the request")]
    Unexpected,
    /// The ticket was made by another node than the one that is connected.
    #[error("the ticket was made by another node")]
    Inviter,
    /// The host's Genesis record is none of its cluster.
    #[error("the host's genesis record is not that of its cluster")]
    Genesis(#[source] RecordError),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    Asked { nonce: [u8; 32] },
    Revealed { cluster: ClusterId, code: Code },
    Confirmed { cluster: ClusterId },
    Redeemed { cluster: ClusterId },
    Over,
}

/// One attempt to join by one host.
#[derive(Debug, Clone)]
pub struct Joiner {
    me: AuthorKey,
    host: AuthorKey,
    stage: Stage,
}

impl Joiner {
    /// Asks to join a cluster by name. `nonce` is drawn at random for this attempt alone; the host's key is the connection's.
    #[must_use]
    pub fn ask(me: AuthorKey, host: AuthorKey, cluster: Name, machine: Name, nonce: [u8; 32]) -> (Self, JoinFrame) {
        let frame = JoinFrame::Ask { cluster, machine, commitment: commitment(&me, &nonce) };
        (Self { me, host, stage: Stage::Asked { nonce } }, frame)
    }

    /// Shows a ticket to its inviter.
    ///
    /// # Errors
    /// When the connected node is not the inviter: the secret is not for it.
    pub fn redeem(me: AuthorKey, host: AuthorKey, ticket: &Ticket, machine: Name) -> Result<(Self, JoinFrame), JoinError> {
        if host != ticket.inviter {
            return Err(JoinError::Inviter);
        }
        let frame = JoinFrame::Redeem { cluster: ticket.cluster, machine, secret: ticket.secret };
        Ok((Self { me, host, stage: Stage::Redeemed { cluster: ticket.cluster } }, frame))
    }

    /// Takes the host's answer.
    ///
    /// # Errors
    /// When the host refuses or does not keep to the protocol; the attempt is over then.
    pub fn handle(&mut self, frame: JoinFrame) -> Result<JoinerOutput, JoinError> {
        let stage = std::mem::replace(&mut self.stage, Stage::Over);
        match (stage, frame) {
            (_, JoinFrame::Refused(refusal)) => Err(JoinError::Refused(refusal)),
            (Stage::Asked { nonce }, JoinFrame::Challenge { cluster, nonce: theirs }) => {
                let code = Code::compute((&self.me, &nonce), (&self.host, &theirs), &cluster);
                self.stage = Stage::Revealed { cluster, code };
                Ok(JoinerOutput::Send(JoinFrame::Reveal { nonce }))
            }
            (Stage::Revealed { cluster, code }, JoinFrame::Waiting) => {
                self.stage = Stage::Revealed { cluster, code };
                Ok(JoinerOutput::Show { code, cluster })
            }
            (Stage::Confirmed { cluster }, JoinFrame::Waiting) => {
                self.stage = Stage::Confirmed { cluster };
                Ok(JoinerOutput::Wait)
            }
            (Stage::Redeemed { cluster }, JoinFrame::Waiting) => {
                self.stage = Stage::Redeemed { cluster };
                Ok(JoinerOutput::Wait)
            }
            (Stage::Confirmed { cluster } | Stage::Redeemed { cluster }, JoinFrame::Welcome(welcome)) => self.welcomed(cluster, welcome),
            (_, _) => Err(JoinError::Unexpected),
        }
    }

    /// The person has seen the same code on both sides, or `--yes` was given; also to ask again later.
    ///
    /// # Errors
    /// When there is no code to confirm.
    pub fn confirm(&mut self) -> Result<JoinFrame, JoinError> {
        match self.stage {
            Stage::Revealed { cluster, .. } | Stage::Confirmed { cluster } => {
                self.stage = Stage::Confirmed { cluster };
                Ok(JoinFrame::Confirm)
            }
            Stage::Asked { .. } | Stage::Redeemed { .. } | Stage::Over => Err(JoinError::Unexpected),
        }
    }

    /// The codes differ, or the person does not want to.
    #[must_use]
    pub fn withdraw(&mut self) -> JoinFrame {
        self.stage = Stage::Over;
        JoinFrame::Withdraw
    }

    fn welcomed(&self, cluster: ClusterId, welcome: Welcome) -> Result<JoinerOutput, JoinError> {
        if welcome.cluster != cluster || welcome.host != self.host {
            return Err(JoinError::Unexpected);
        }
        let genesis = Verified::check(cluster, &welcome.genesis).map_err(JoinError::Genesis)?;
        if !matches!(genesis.payload().body, Body::Genesis { .. }) {
            return Err(JoinError::Unexpected);
        }
        Ok(JoinerOutput::Joined { welcome, genesis: Box::new(genesis) })
    }
}
