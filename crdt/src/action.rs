//! What can become of a proposed action.
//!
//! **Invariants**: an action is begun only after somebody asked for it; what has ended stays ended.

/// Where an action stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Somebody thinks that it should be done.
    Proposed,
    /// Somebody wants it done.
    ExecuteRequested,
    /// It is being done.
    Executing,
    /// It was done.
    Completed,
    /// It could not be done.
    Failed,
}

impl Status {
    /// Every status, in the order in which an action goes through them.
    pub const ALL: [Self; 5] = [Self::Proposed, Self::ExecuteRequested, Self::Executing, Self::Completed, Self::Failed];

    /// Returns the status's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::ExecuteRequested => "execute_requested",
            Self::Executing => "executing",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }

    /// Reads a status's name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Tells whether an action may go from this status to another; to its own it may while it is being done, for an interim result.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        match self {
            Self::Proposed => matches!(next, Self::ExecuteRequested),
            Self::ExecuteRequested | Self::Executing => matches!(next, Self::Executing | Self::Completed | Self::Failed),
            Self::Completed | Self::Failed => false,
        }
    }

    /// Tells whether an action that stands here lapses with its time: one that nobody has begun.
    #[must_use]
    pub const fn expires(self) -> bool {
        matches!(self, Self::Proposed | Self::ExecuteRequested)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_asked_for_begun_and_ended_and_never_goes_back() {
        let allowed: Vec<(&str, &str)> = Status::ALL
            .into_iter()
            .flat_map(|from| Status::ALL.into_iter().map(move |to| (from, to)))
            .filter(|(from, to)| from.may_become(*to))
            .map(|(from, to)| (from.as_str(), to.as_str()))
            .collect();
        let wanted = [
            ("proposed", "execute_requested"),
            ("execute_requested", "executing"),
            ("execute_requested", "completed"),
            ("execute_requested", "failed"),
            ("executing", "executing"),
            ("executing", "completed"),
            ("executing", "failed"),
        ];
        assert_eq!(allowed, wanted);
    }

    #[test]
    fn a_status_is_read_by_its_name() {
        assert!(Status::ALL.into_iter().all(|status| Status::parse(status.as_str()) == Some(status)));
        assert_eq!(Status::parse("done"), None);
    }
}
