//! Whether a project's machine is alone, or a member of a cluster.

use std::sync::Arc;

use super::start::{self, OpenError};
use crate::project::Layout;
use crate::store::Store;

/// Tells whether a store is of a cluster that has neither a name nor another member.
pub(super) fn of(store: &Store) -> bool {
    let view = store.membership();
    // One that was let in and has not heard more yet is not even a member of what it holds.
    view.name().is_none() && view.members().count() == 1 && view.access(&store.me()).is_some()
}

/// Tells whether a project is alone, in the process that then holds the store for a moment; one without a store is.
///
/// # Errors
/// When another process has the store, or the project cannot be opened.
///
/// # Panics
/// Outside a tokio runtime.
pub fn is_alone(layout: &Layout) -> Result<bool, OpenError> {
    if !layout.store_file().exists() {
        return Ok(true);
    }
    let store = start::open(layout)?.store;
    let alone = of(&store);
    if let Some(store) = Arc::into_inner(store) {
        // The file is free when this returns.
        store.close();
    }
    Ok(alone)
}
