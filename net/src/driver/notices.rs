//! What waits to be told that no peer's task tells.

use std::collections::VecDeque;

use crate::event::Event;

/// How many wait: all names that mDNS may show, coming and going, and a hundred others.
const WAITING: usize = 640;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Notices(VecDeque<Event>);

impl Notices {
    /// Queues a notice. When the owner does not take them, later ones are dropped: a join stream then ends, and its dialer asks again.
    pub(super) fn push(&mut self, event: Event) {
        if self.0.len() < WAITING {
            self.0.push_back(event);
        } else {
            tracing::warn!(?event, "events are not taken; one was dropped");
        }
    }

    pub(super) fn pop(&mut self) -> Option<Event> {
        self.0.pop_front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
