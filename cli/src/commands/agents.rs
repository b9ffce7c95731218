//! `octopoid agents`, `pause` and `resume`

use jiff::Timestamp;
use octopoid_client::{AgentInstance, AgentState, AgentStatus};

use crate::{
    clean,
    connection::Connection,
    failure::Failure,
    output::{Output, Tone},
    table::Table,
    when,
};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  octopoid agents")]
pub struct Args {}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  octopoid pause\n  octopoid pause implementer-1")]
pub struct PauseArgs {
    /// The agent; all of them by default. What runs goes on.
    agent: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  octopoid resume\n  octopoid resume implementer-1")]
pub struct ResumeArgs {
    /// The agent; all of them by default.
    agent: Option<String>,
}

pub async fn run(_: &Args, output: Output) -> Result<(), Failure> {
    let connection = Connection::open().await?;
    let status = connection.client.node_status().await?;
    if output.json() {
        return Ok(output.value(&status.agents)?);
    }
    if status.agents.is_empty() {
        output.note("no agents: add some to .octopoid/agents.yaml");
        return Ok(());
    }
    output.table(&table(&status.agents, Timestamp::now()))?;
    if connection.node.is_none() {
        output.note("no node runs: 'octopoid start' lets them work");
    }
    Ok(())
}

pub async fn pause(args: &PauseArgs, output: Output) -> Result<(), Failure> {
    set(args.agent.as_deref(), true, output).await
}

pub async fn resume(args: &ResumeArgs, output: Output) -> Result<(), Failure> {
    set(args.agent.as_deref(), false, output).await
}

async fn set(agent: Option<&str>, paused: bool, output: Output) -> Result<(), Failure> {
    let connection = Connection::open().await?;
    let answer = connection.client.set_paused(agent, paused).await?;
    if output.json() {
        return Ok(output.value(&answer)?);
    }
    let who = clean::line(agent.unwrap_or("all agents"));
    let still = clean::line(&answer.paused_in_file.join(", "));
    match (paused, answer.paused_in_file.is_empty()) {
        (true, _) => output.line(format!("{who}: paused"))?,
        (false, true) => output.line(format!("{who}: resumed"))?,
        (false, false) if agent.is_some() => output.line(format!("{who}: still paused"))?,
        (false, false) => output.line(format!("{who}: resumed, but for {still}"))?,
    }
    if !answer.paused_in_file.is_empty() {
        output.note(format!(".octopoid/agents.yaml pauses {still}: take 'paused: true' out there"));
    }
    Ok(())
}

/// One row for each agent, with what it does.
pub fn table(agents: &[AgentStatus], now: Timestamp) -> Table {
    let mut table = Table::new(&["AGENT", "ROLE", "STATE", "DOES"]);
    for agent in agents {
        table.row([agent.name.as_str(), &agent.role, state(agent.state), &does(agent, now)]);
    }
    table
}

/// Names a state.
pub const fn state(state: AgentState) -> &'static str {
    match state {
        AgentState::Idle => "idle",
        AgentState::Running => "running",
        AgentState::Paused => "paused",
        AgentState::Waiting => "waiting",
        AgentState::Disabled => "disabled",
    }
}

/// Tells the tone of a state.
pub const fn tone(state: AgentState) -> Tone {
    match state {
        AgentState::Running => Tone::Busy,
        AgentState::Paused | AgentState::Waiting => Tone::Warn,
        AgentState::Idle | AgentState::Disabled => Tone::Dim,
    }
}

/// Tells what an agent does, or why it does nothing.
pub fn does(agent: &AgentStatus, now: Timestamp) -> String {
    let mut parts: Vec<String> = agent.instances.iter().map(|instance| works(instance, now)).collect();
    if parts.is_empty() {
        let until = agent.paused_until.as_ref().or(agent.next_run_at.as_ref()).map(|time| format!("next {}", when::relative(time, now)));
        parts.extend(agent.reason.iter().cloned().chain(until));
    }
    clean::line(&parts.join(", "))
}

fn works(instance: &AgentInstance, now: Timestamp) -> String {
    let since = instance.since.parse::<Timestamp>().map(|since| when::span(now.duration_since(since))).unwrap_or_default();
    let turns = instance.turns.map(|turns| if turns == 1 { ", 1 turn".to_owned() } else { format!(", {turns} turns") }).unwrap_or_default();
    let cost = instance.cost_usd.map(|cost| format!(", ${cost:.2}")).unwrap_or_default();
    format!("{} for {since}{turns}{cost}", instance.task_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_tells_what_it_works_on_or_why_it_waits() {
        let now = "2026-03-01T12:00:00Z".parse().expect("time");
        let instance = AgentInstance {
            task_id: "fix-1".to_owned(),
            since: "2026-03-01T11:58:00Z".to_owned(),
            turns: Some(7),
            cost_usd: Some(0.125),
            ..AgentInstance::default()
        };
        let running = AgentStatus { instances: vec![instance], ..AgentStatus::default() };
        assert_eq!(does(&running, now), "fix-1 for 2 min, 7 turns, $0.12");
        let waiting = AgentStatus {
            reason: Some("rate limit".to_owned()),
            next_run_at: Some("2026-03-01T12:10:00Z".to_owned()),
            ..AgentStatus::default()
        };
        assert_eq!(does(&waiting, now), "rate limit, next in 10 min");
    }
}
