//! What a peer lacks, read from a store that can fail.

use std::cell::RefCell;

use super::Held;
use crate::{
    chain::{Plan, Tips},
    ids::RecordId,
};

/// Plans what a peer with these tips lacks. A failure of the store ends the plan.
pub(super) fn missing_for<H: Held>(theirs: &Tips, held: &H) -> Result<Plan, H::Error> {
    let failure = RefCell::new(None);
    let knows = |id: &RecordId| match held.arrival_of(id) {
        Ok(arrival) => arrival.is_some(),
        Err(error) => {
            failure.borrow_mut().get_or_insert(error);
            false
        }
    };
    let plan = held.chains().missing_for(theirs, knows);
    match failure.into_inner() {
        Some(error) => Err(error),
        None => Ok(plan),
    }
}
