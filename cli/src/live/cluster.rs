//! Shows several machines while they work: what happened so far, and what each node does.

use std::{collections::BTreeSet, io};

use jiff::Timestamp;
use octopoid_client::{AgentState, NodeStatus};

use super::{agent_line, draw, queue_line};
use crate::{
    clean,
    commands::agents,
    demo::cluster::Glance,
    output::{Output, Tone},
    table::cut,
};

/// Shows a cluster as it changes: in place on a terminal, elsewhere one line for each change.
pub struct ClusterTable {
    surface: Surface,
    output: Output,
}

enum Surface {
    /// Draws in place; holds how many lines were drawn last.
    Drawn { lines: u16 },
    /// Writes changes; holds how many events and which attempts were told.
    Plain { events: usize, attempts: BTreeSet<(&'static str, String)> },
}

impl ClusterTable {
    /// Chooses by what stdout is.
    pub fn of_process(output: Output) -> Self {
        let drawn = output.terminal() && !output.json();
        let surface = if drawn { Surface::Drawn { lines: 0 } } else { Surface::Plain { events: 0, attempts: BTreeSet::new() } };
        Self { surface, output }
    }

    /// Shows what differs from the time before.
    pub fn show(&mut self, glance: &Glance<'_>) {
        let now = Timestamp::now();
        match &mut self.surface {
            Surface::Drawn { lines } => {
                let (columns, rows) = crossterm::terminal::size().unwrap_or((80, 24));
                let drawn = picture(glance, now, usize::from(columns), usize::from(rows), self.output);
                let _ = draw(&mut io::stdout().lock(), *lines, &drawn);
                *lines = u16::try_from(drawn.len()).unwrap_or(u16::MAX);
            }
            Surface::Plain { events, attempts } => {
                let mut lines: Vec<String> = glance.events.iter().skip(*events).cloned().collect();
                *events = glance.events.len();
                lines.extend(starts(glance, attempts));
                for line in lines {
                    if self.output.json() {
                        self.output.note(line);
                    } else {
                        let _ = self.output.line(line);
                    }
                }
            }
        }
    }

    /// Leaves what was drawn last and goes on below it.
    pub fn finish(self) {
        if matches!(self.surface, Surface::Drawn { lines } if lines > 0) {
            let _ = self.output.line("");
        }
    }
}

/// Tells which agents have begun something that was not told yet.
fn starts(glance: &Glance<'_>, told: &mut BTreeSet<(&'static str, String)>) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, status) in glance.machines {
        for (agent, works) in status.agents.iter().flat_map(|agent| agent.instances.iter().map(move |works| (agent, works))) {
            if told.insert((name, works.attempt.clone())) {
                let does = if agent.role == "review" { "reviews" } else { "works on" };
                lines.push(clean::indented(&format!("{:5.1} s    {name}: {} {does} {}", glance.seconds, agent.name, works.task_id)));
            }
        }
    }
    lines
}

/// Composes the lines of one picture, none wider than the terminal and no more than it holds: the machines at its end, and of what
/// happened as much of the latest as there is room for.
fn picture(glance: &Glance<'_>, now: Timestamp, columns: usize, rows: usize, output: Output) -> Vec<String> {
    let room = columns.saturating_sub(1);
    let mut machines = Vec::new();
    for (name, status) in glance.machines {
        machines.push(machine_line(name, status, output));
        let works = status.agents.iter().filter(|agent| agent.state == AgentState::Running);
        machines
            .extend(works.map(|agent| output.paint(agents::tone(agent.state), &cut(&format!("  {}", agent_line(agent, now, 11)), room))));
    }
    let height = rows.saturating_sub(2).max(1);
    machines.truncate(height);
    let left = height.saturating_sub(machines.len() + 1);
    let skipped = glance.events.len().saturating_sub(left);
    let mut lines: Vec<String> = glance.events.iter().skip(skipped).map(|event| cut(&clean::text(event), room)).collect();
    if !lines.is_empty() {
        lines.push(String::new());
    }
    lines.extend(machines);
    lines
}

/// One machine: to whom it is connected, and how many tasks each queue holds there.
fn machine_line(name: &str, status: &NodeStatus, output: Output) -> String {
    let connected = status.members.iter().filter(|member| member.state == "connected");
    let mut connected: Vec<&str> = connected.map(|member| member.name.as_str()).collect();
    connected.sort_unstable();
    let link = match connected.as_slice() {
        [] => output.paint(Tone::Warn, &format!("{:<22}", "alone")),
        names => format!("{:<22}", clean::line(&format!("with {}", names.join(", ")))),
    };
    format!("{name:<7} {link} {}", queue_line(status, |tone, text| output.paint(tone, text)))
}

#[cfg(test)]
mod tests {
    use octopoid_client::{AgentInstance, AgentStatus, MemberInfo};

    use super::*;

    fn status(connected: &[&str]) -> NodeStatus {
        let member = |name: &&str| MemberInfo { name: (*name).to_owned(), state: "connected".to_owned(), ..MemberInfo::default() };
        let instance = AgentInstance { task_id: "count-letters".to_owned(), ..AgentInstance::default() };
        let agent =
            AgentStatus { name: "implementer".to_owned(), state: AgentState::Running, instances: vec![instance], ..AgentStatus::default() };
        NodeStatus { members: connected.iter().map(member).collect(), agents: vec![agent], ..NodeStatus::default() }
    }

    #[test]
    fn a_machine_that_is_cut_off_is_shown_alone() {
        let output = Output::of_process(false);
        assert!(machine_line("laptop", &status(&[]), output).starts_with("laptop  alone "));
        assert!(machine_line("desk", &status(&["rack"]), output).starts_with("desk    with rack "));
    }

    #[test]
    fn a_picture_keeps_the_machines_and_the_latest_events_that_fit() {
        let events: Vec<String> = (0..30).map(|number| format!("event {number}")).collect();
        let machines = [("desk", status(&["laptop"])), ("laptop", status(&["desk"]))];
        let glance = Glance { seconds: 1.0, events: &events, machines: &machines };
        let lines = picture(&glance, Timestamp::UNIX_EPOCH, 60, 12, Output::of_process(false));
        assert_eq!(lines.len(), 10);
        assert_eq!(lines[0], "event 25");
        assert!(lines[6].starts_with("desk ") && lines[7].contains("count-letters"), "{lines:#?}");
        let mut told = BTreeSet::new();
        let lines = starts(&glance, &mut told);
        assert_eq!(lines[0], "  1.0 s    desk: implementer works on count-letters");
        assert_eq!((lines.len(), starts(&glance, &mut told)), (2, Vec::new()), "each attempt is told once");
        assert_eq!(picture(&glance, Timestamp::UNIX_EPOCH, 60, 3, Output::of_process(false)).len(), 1, "a tiny terminal");
    }
}
