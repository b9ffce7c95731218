//! Custom flows: states besides the built-in queues, and the steps between them.
//!
//! A flow binds the node that writes, never the law: members may know different flows, and a record that counts stays one.
//!
//! **Invariants**: a step joins two states of its flow; a flow that names no steps says only which states there are, and the
//! built-in rules hold.

use crate::record::Queue;

/// How many states a flow has at most.
pub const MAX_STATES: usize = 64;
/// How many steps a flow has at most.
pub const MAX_STEPS: usize = 1_024;
/// The states that every flow has: where work begins, is done by an agent, and ends.
pub const REQUIRED: [Queue; 4] = [Queue::Incoming, Queue::Claimed, Queue::Done, Queue::Failed];

/// A way from one state to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Where it begins.
    pub from: Queue,
    /// Where it leads.
    pub to: Queue,
}

/// A flow's states and the steps between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    states: Vec<Queue>,
    steps: Vec<Step>,
}

/// States why states and steps are no flow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FlowError {
    /// A state that every flow needs is not there.
    #[error("the state '{}' is missing: every flow has incoming, claimed, done and failed", .0.as_str())]
    Missing(Queue),
    /// A state is named twice.
    #[error("the state '{}' is named twice", .0.as_str())]
    Repeated(Queue),
    /// There are too many states.
    #[error("{0} states, the limit is {MAX_STATES}")]
    States(usize),
    /// There are too many steps.
    #[error("{0} transitions, the limit is {MAX_STEPS}")]
    Steps(usize),
    /// A step begins or ends where no state is.
    #[error("'{}' is not among the states", .0.as_str())]
    Unknown(Queue),
}

impl FlowError {
    /// Tells whether it is about the steps rather than the states.
    #[must_use]
    pub const fn is_about_steps(&self) -> bool {
        match self {
            Self::Steps(_) | Self::Unknown(_) => true,
            Self::Missing(_) | Self::Repeated(_) | Self::States(_) => false,
        }
    }
}

/// What is decided about a task by hand or by an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The work is good.
    Accept,
    /// The work is not good.
    Reject,
    /// Another attempt is wanted.
    Requeue,
}

impl Verdict {
    /// Returns where a verdict leads.
    #[must_use]
    pub const fn to(self) -> Queue {
        match self {
            Self::Accept => Queue::Done,
            Self::Reject | Self::Requeue => Queue::Incoming,
        }
    }
}

impl Flow {
    /// Joins states and steps.
    ///
    /// # Errors
    /// When a needed state is missing, one is named twice, or a step joins what is no state.
    pub fn new(states: Vec<Queue>, steps: Vec<Step>) -> Result<Self, FlowError> {
        if states.len() > MAX_STATES {
            return Err(FlowError::States(states.len()));
        }
        if steps.len() > MAX_STEPS {
            return Err(FlowError::Steps(steps.len()));
        }
        if let Some((_, twice)) = states.iter().enumerate().find(|(at, state)| states.iter().take(*at).any(|other| other == *state)) {
            return Err(FlowError::Repeated(twice.clone()));
        }
        if let Some(missing) = REQUIRED.into_iter().find(|needed| !states.contains(needed)) {
            return Err(FlowError::Missing(missing));
        }
        if let Some(unknown) = steps.iter().flat_map(|step| [&step.from, &step.to]).find(|end| !states.contains(end)) {
            return Err(FlowError::Unknown(unknown.clone()));
        }
        Ok(Self { states, steps })
    }

    /// Returns the states, in the order in which they were given.
    #[must_use]
    pub fn states(&self) -> &[Queue] {
        &self.states
    }

    /// Returns the steps, in the order in which they were given.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    fn leads(&self, from: &Queue, to: &Queue) -> bool {
        self.steps.iter().any(|step| step.from == *from && step.to == *to)
    }
}

/// Tells whether a task may be in a queue: in a built-in one always, in another if its flow has it as a state.
#[must_use]
pub fn knows(flow: Option<&Flow>, queue: &Queue) -> bool {
    match queue {
        Queue::Custom(_) => flow.is_some_and(|flow| flow.states.contains(queue)),
        Queue::Incoming
        | Queue::Claimed
        | Queue::Provisional
        | Queue::Done
        | Queue::Cancelled
        | Queue::Failed
        | Queue::Blocked
        | Queue::Backlog
        | Queue::NeedsContinuation => true,
    }
}

/// Tells whether a verdict is allowed where a task is: by its flow's steps, else on what is claimed or submitted.
#[must_use]
pub fn permits(flow: Option<&Flow>, verdict: Verdict, from: &Queue) -> bool {
    match flow.filter(|flow| !flow.steps.is_empty()) {
        Some(flow) => flow.leads(from, &verdict.to()),
        None => matches!(from, Queue::Claimed | Queue::Provisional),
    }
}

/// Tells whether an edit may move a task: to built-in queues always, to a flow's own state by a step of the flow.
#[must_use]
pub fn may_move(flow: Option<&Flow>, from: &Queue, to: &Queue) -> bool {
    let Queue::Custom(_) = to else { return true };
    let Some(flow) = flow.filter(|flow| flow.states.contains(to)) else { return false };
    flow.steps.is_empty() || from == to || flow.leads(from, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(name: &str) -> Queue {
        Queue::parse(name).expect("a queue")
    }

    fn flow(extra: &[&str], steps: &[(&str, &str)]) -> Result<Flow, FlowError> {
        let states = ["incoming", "claimed", "done", "failed"].iter().chain(extra).map(|state| queue(state)).collect();
        Flow::new(states, steps.iter().map(|(from, to)| Step { from: queue(from), to: queue(to) }).collect())
    }

    #[test]
    fn a_flow_has_the_four_states_each_once_and_steps_between_its_states() {
        assert!(flow(&["provisional", "qa"], &[("provisional", "qa"), ("qa", "done")]).is_ok());
        assert_eq!(flow(&["done"], &[]), Err(FlowError::Repeated(Queue::Done)));
        assert_eq!(flow(&[], &[("incoming", "qa")]), Err(FlowError::Unknown(queue("qa"))));
        assert_eq!(Flow::new(vec![Queue::Incoming, Queue::Claimed, Queue::Done], Vec::new()), Err(FlowError::Missing(Queue::Failed)));
        let many: Vec<String> = (0..61).map(|number| format!("s{number}")).collect();
        assert_eq!(flow(&many.iter().map(String::as_str).collect::<Vec<_>>(), &[]), Err(FlowError::States(65)));
    }

    #[test]
    fn without_a_flow_or_its_steps_what_is_claimed_or_submitted_can_be_judged() {
        let stateful = flow(&["qa"], &[]).expect("a flow");
        for flow in [None, Some(&stateful)] {
            for verdict in [Verdict::Accept, Verdict::Reject, Verdict::Requeue] {
                assert!(permits(flow, verdict, &Queue::Claimed) && permits(flow, verdict, &Queue::Provisional));
                assert!(!permits(flow, verdict, &Queue::Incoming) && !permits(flow, verdict, &queue("qa")));
            }
        }
        assert!(may_move(Some(&stateful), &Queue::Incoming, &queue("qa")) && !may_move(None, &Queue::Incoming, &queue("qa")));
    }

    #[test]
    fn a_flows_steps_decide_which_verdicts_and_moves_there_are() {
        let flow = flow(&["provisional", "qa"], &[("provisional", "qa"), ("qa", "done"), ("qa", "incoming")]).expect("a flow");
        let flow = Some(&flow);
        assert!(permits(flow, Verdict::Accept, &queue("qa")) && permits(flow, Verdict::Reject, &queue("qa")));
        for verdict in [Verdict::Accept, Verdict::Reject, Verdict::Requeue] {
            assert!(!permits(flow, verdict, &Queue::Provisional), "{verdict:?}");
        }
        assert!(may_move(flow, &Queue::Provisional, &queue("qa")) && !may_move(flow, &Queue::Incoming, &queue("qa")));
        assert!(may_move(flow, &queue("qa"), &Queue::Backlog), "built-in queues always");
        assert!(knows(flow, &queue("qa")) && !knows(flow, &queue("qb")) && knows(None, &Queue::Blocked) && !knows(None, &queue("qa")));
    }
}
