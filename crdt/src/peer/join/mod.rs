//! How a machine that is no member yet becomes one: by a ticket, or by a code that both sides show.
//!
//! The connection has proved both keys before the first frame. A **ticket** holds a secret that its inviter gave away. For a
//! **code** the joiner commits to a nonce, the host answers with its own, the joiner reveals, and both compute a short code
//! from both keys, both nonces and the cluster: whoever sits between them speaks to each with its own key and can choose
//! neither code, for when it learns the last nonce it has already said everything of its own. A person compares the codes.
//!
//! **Invariants**: every frame fits 1 KiB; the host keeps a bounded number of requests and forgets them in time; nothing of
//! the cluster but its name and id is told before an admin said yes or a ticket was shown; nobody is let in by a code that its
//! own person did not confirm.

mod code;
mod frame;
mod host;
mod joiner;
mod ticket;

pub use code::{Code, CodeError};
pub use frame::{JoinFrame, JoinFrameError, Refusal, Welcome};
pub use host::{DecideError, Decision, Here, Host, HostOutput, PENDING_MS, Pending};
pub use joiner::{JoinError, Joiner, JoinerOutput};
pub use ticket::{Ticket, TicketError, invite_of};
