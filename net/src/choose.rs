//! Which of several connections between two members carries the frames.
//!
//! Of each pair the one with the lesser key leads: it alone opens the stream for frames, and thereby chooses. The other follows, whatever it
//! would have chosen itself. So both have always chosen the same, however their dials cross.
//!
//! **Invariants**: a connection in use is given up only for one that the follower dialed long after it began; a follower that has one does
//! not dial, so that it must have lost it.

use std::time::Duration;

use crate::key::PeerKey;
use crate::limits::HANDSHAKE_TIME;

/// How long after a connection began a dial may end that was under way then.
const CROSSING: Duration = HANDSHAKE_TIME.saturating_mul(2);

/// Returns whether this node chooses for the pair.
pub(crate) fn leads(own: &PeerKey, peer: &PeerKey) -> bool {
    own < peer
}

/// Returns whether the leader moves to a new connection from the one that it uses or is about to use.
///
/// `in_use_for` is the age of the latter, if there is one.
pub(crate) fn takes_over(in_use_for: Option<Duration>, dialed_by_follower: bool) -> bool {
    in_use_for.is_none_or(|age| dialed_by_follower && age > CROSSING)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_one_of_a_pair_leads() {
        let (one, other) = (PeerKey([1; 32]), PeerKey([2; 32]));
        assert!(leads(&one, &other) && !leads(&other, &one));
    }

    #[test]
    fn dials_that_cross_leave_the_first_in_use_and_a_follower_that_comes_back_is_taken() {
        let (soon, late) = (Duration::from_secs(1), Duration::from_secs(11));
        assert!(takes_over(None, true) && takes_over(None, false));
        assert!(!takes_over(Some(soon), true) && !takes_over(Some(soon), false));
        assert!(takes_over(Some(late), true));
        assert!(!takes_over(Some(late), false), "the leader's own dial was not needed");
    }
}
