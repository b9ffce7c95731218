//! Does what people ask of a node while none runs: a command that holds the store can pause agents, merge and tidy up itself.
//!
//! **Invariants**: it works only in the process that holds the store's lock, starts no agent and claims nothing, and leaves
//! alone what a dead node's agents may still work at: the next start tidies up after it.

use std::sync::Arc;

use octopoid_client::Paused;
use tokio::sync::mpsc;

use super::context::Context;
use super::control::{AgentsView, Control, ControlError, Request};
use super::roster::Roster;
use super::spending::Spending;
use super::{gc, integrate};
use crate::config::{self, Agents};
use crate::project::Layout;

/// One command asks at a time.
const REQUESTS: usize = 1;

/// Stands in for the scheduler.
struct Desk {
    layout: Layout,
    /// None without a usable repository, with the reason.
    context: Result<Arc<Context>, ControlError>,
    roster: Roster,
}

/// Answers requests until the last handle is gone. `context` is an error where the repository cannot be used.
///
/// # Panics
/// Outside a tokio runtime.
pub fn at_rest(layout: &Layout, context: Result<Arc<Context>, ControlError>) -> Control {
    let (ask, mut requests) = mpsc::channel(REQUESTS);
    let mut desk = Desk { layout: layout.clone(), context, roster: Roster::open(layout) };
    tokio::spawn(async move {
        while let Some(request) = requests.recv().await {
            desk.answer(request).await;
        }
    });
    Control::new(ask)
}

impl Desk {
    async fn answer(&mut self, request: Request) {
        // Whoever asked may be gone, which is no failure.
        match request {
            Request::Agents(answer) => drop(answer.send(self.view())),
            Request::Pause { agent, paused, answer } => drop(answer.send(self.pause(agent, paused))),
            // There is no node to end: the answer's end says so.
            Request::Stop { .. } => {}
            Request::Merge { scope, id, answer } => drop(answer.send(self.merge(&scope, &id).await)),
            Request::Gc { dry_run, answer } => drop(answer.send(self.gc(dry_run).await)),
        }
    }

    fn agents(&self) -> Result<Agents, ControlError> {
        let mistakes = |invalid: config::Invalid| {
            let first = invalid.findings.first().map(ToString::to_string).unwrap_or_default();
            ControlError::Refused(format!("agents.yaml has mistakes: {first}"))
        };
        config::load_agents(&self.layout).map(|(agents, _)| agents).map_err(mistakes)
    }

    fn view(&self) -> AgentsView {
        let (agents, warnings) = match self.agents() {
            Ok(agents) => (self.roster.describe(&agents), Vec::new()),
            Err(error) => (Vec::new(), vec![error.to_string()]),
        };
        let cost_usd = Spending::open(&self.layout).usd();
        let awaiting_merge = self.context.as_ref().ok().and_then(|context| integrate::at_rest(context).ok()).unwrap_or_default();
        AgentsView { paused: self.roster.is_paused(), agents, cost_usd, awaiting_merge, warnings }
    }

    fn pause(&mut self, agent: Option<String>, paused: bool) -> Result<Paused, ControlError> {
        let agents = match self.agents() {
            // Everybody is paused, and goes on, whatever agents.yaml says.
            Err(_) if agent.is_none() => Agents::default(),
            agents => agents?,
        };
        self.roster.set_paused(&agents, agent, paused)
    }

    async fn merge(&self, scope: &str, id: &str) -> Result<(), ControlError> {
        integrate::by_hand(self.context.as_ref().map_err(Clone::clone)?, scope, id).await.map(drop)
    }

    async fn gc(&self, dry_run: bool) -> Result<octopoid_client::GcReport, ControlError> {
        gc::collect(self.context.as_ref().map_err(Clone::clone)?, gc::Busy::new(), dry_run).await
    }
}
