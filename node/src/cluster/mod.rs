//! This node among the members of its cluster: connections, sync, settling, leases, and letting others in.
//!
//! `octopoid_net` carries frames, `octopoid_crdt::peer` decides, the store keeps; this module joins them. One driver owns
//! the connections, and each connected member has a link that runs its sync machine.
//!
//! **Invariants**: what is sent or acknowledged is on disk; who is no member reaches nothing but the join protocol; work
//! starts only when it is settled with every connected member.

mod address_book;
mod bundles;
mod contenders;
mod driver;
mod intake;
mod invites;
mod link;
mod namesakes;
mod presence;
mod reads;
mod requests;
mod settling;
mod shared;
mod start;
mod strikes;
mod welcome;
mod words;

use octopoid_crdt::record::Access;

pub use address_book::AddressBook;
pub use bundles::{BranchAsk, GiveBranches, NotGiven, TakeError};
pub use invites::InviteError;
pub use octopoid_crdt::ids::IdError as NameError;
pub use octopoid_crdt::peer::join::Code;
pub use presence::Presence;
pub use reads::{AnswerReads, PassedRead, Pieces};
pub use requests::{AnswerCalls, AskError, PassedAnswer, PassedCall, PassedVerdict, VerdictAnswer};
pub use settling::{Outcome, Settling};
pub use shared::{Coming, GiveHeartbeats};
pub use start::{Cluster, ClusterError, ClusterSettings, MemberView};
pub use strikes::Strikes;
pub use welcome::{Reception, WelcomeError};

/// Returns the word for an access.
#[must_use]
pub const fn access_name(access: Access) -> &'static str {
    match access {
        Access::Reader => "reader",
        Access::Worker => "worker",
        Access::Admin => "admin",
    }
}

/// Reads the word for an access.
#[must_use]
pub fn parse_access(word: &str) -> Option<Access> {
    match word {
        "reader" => Some(Access::Reader),
        "worker" => Some(Access::Worker),
        "admin" => Some(Access::Admin),
        _ => None,
    }
}

/// Draws random bytes. Without randomness from the system no key of this node would be safe.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system gives randomness, as it did for the node's key");
    bytes
}
