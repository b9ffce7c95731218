//! A table that shows queues and agents while they change.
//!
//! On a terminal it draws itself anew in place; elsewhere it writes one plain line for each change, so that a file or a
//! pipe reads as a story. It writes to stderr when stdout is to hold JSON.
//!
//! **Invariants**: what is drawn fits the terminal, so the lines to go back over are known; nothing is written when
//! nothing changed; that nobody can read it never stops the work that it shows.

mod cluster;

use std::{
    collections::BTreeMap,
    io::{self, Write},
    time::Instant,
};

use crossterm::{
    cursor::{MoveToColumn, MoveUp},
    queue,
    style::Print,
    terminal::{Clear, ClearType},
};
use jiff::Timestamp;
use octopoid_client::{AgentStatus, NodeStatus};

use crate::{
    clean,
    commands::agents,
    output::{Output, Tone, queue_tone},
    table::cut,
};

/// The queues that are always named, in the order of a task's life.
const USUAL: [&str; 4] = ["incoming", "claimed", "provisional", "done"];

pub use cluster::ClusterTable;

/// Shows a node's status as it changes.
pub struct LiveTable {
    surface: Surface,
    output: Output,
    started: Instant,
}

enum Surface {
    /// Draws in place; holds how many lines were drawn last.
    Drawn { lines: u16 },
    /// Writes changes; holds what was told last.
    Plain(Told),
}

impl LiveTable {
    /// Chooses by what stdout is.
    pub fn of_process(output: Output) -> Self {
        let drawn = output.terminal() && !output.json();
        let surface = if drawn { Surface::Drawn { lines: 0 } } else { Surface::Plain(Told::default()) };
        Self { surface, output, started: Instant::now() }
    }

    /// Shows a status, if it differs from the one before.
    pub fn show(&mut self, status: &NodeStatus) {
        let seconds = self.started.elapsed().as_secs_f64();
        match &mut self.surface {
            Surface::Drawn { lines } => {
                let (columns, rows) = crossterm::terminal::size().unwrap_or((80, 24));
                let drawn = picture(status, Timestamp::now(), usize::from(columns), usize::from(rows), self.output);
                let _ = draw(&mut io::stdout().lock(), *lines, &drawn);
                *lines = u16::try_from(drawn.len()).unwrap_or(u16::MAX);
            }
            Surface::Plain(told) => {
                for line in told.news(status, Timestamp::now()) {
                    let line = format!("{seconds:6.1} s  {line}");
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
        if let Surface::Drawn { lines } = self.surface
            && lines > 0
        {
            let _ = self.output.line("");
        }
    }
}

/// Goes back over what was drawn and draws anew.
fn draw(writer: &mut impl Write, back: u16, lines: &[String]) -> io::Result<()> {
    if back > 0 {
        // MoveUp(0) would still move by one.
        queue!(writer, MoveUp(back))?;
    }
    queue!(writer, MoveToColumn(0))?;
    for line in lines {
        queue!(writer, Print(line), Clear(ClearType::UntilNewLine), Print("\r\n"))?;
    }
    queue!(writer, Clear(ClearType::FromCursorDown))?;
    writer.flush()
}

/// Composes the lines of one picture, none wider than the terminal and no more than it holds.
fn picture(status: &NodeStatus, now: Timestamp, columns: usize, rows: usize, output: Output) -> Vec<String> {
    let room = columns.saturating_sub(1);
    let mut lines = vec![queue_line(status, |tone, text| output.paint(tone, text)), String::new()];
    let name = status.agents.iter().map(|agent| agent.name.len()).max().unwrap_or_default().min(24);
    for agent in &status.agents {
        let plain = agent_line(agent, now, name);
        lines.push(output.paint(agents::tone(agent.state), &cut(&plain, room)));
    }
    // A taller picture would scroll, and going back over it would miss its beginning.
    lines.truncate(rows.saturating_sub(2).max(1));
    lines
}

fn agent_line(agent: &AgentStatus, now: Timestamp, name: usize) -> String {
    let (who, state) = (cut(&clean::line(&agent.name), name), agents::state(agent.state));
    format!("  {who:<name$}  {state:<8}  {}", agents::does(agent, now)).trim_end().to_owned()
}

/// Tells how many tasks each queue holds: the usual ones always, others if they hold any.
pub fn queue_line(status: &NodeStatus, paint: impl Fn(Tone, &str) -> String) -> String {
    let count = |name: &str| status.queues.get(name).copied().unwrap_or_default();
    let usual = USUAL.into_iter().map(|name| (name, count(name)));
    let others =
        status.queues.iter().map(|(name, count)| (name.as_str(), *count)).filter(|(name, count)| *count > 0 && !USUAL.contains(name));
    let told: Vec<String> = usual
        .chain(others)
        .map(|(name, count)| {
            let tone = if count > 0 { queue_tone(name) } else { Tone::Dim };
            paint(tone, &format!("{} {count}", clean::line(name)))
        })
        .collect();
    told.join(" · ")
}

/// What was told last, to tell only what is new.
#[derive(Debug, Default)]
struct Told {
    queues: Option<String>,
    agents: BTreeMap<String, String>,
}

impl Told {
    fn news(&mut self, status: &NodeStatus, now: Timestamp) -> Vec<String> {
        let mut news = Vec::new();
        for agent in &status.agents {
            let doing = doing(agent);
            let before = self.agents.insert(agent.name.clone(), doing.clone());
            // That an agent is idle at first is no news.
            if before.as_ref() != Some(&doing) && (before.is_some() || !agent.instances.is_empty()) {
                news.push(agent_line(agent, now, agent.name.len()).trim_start().to_owned());
            }
        }
        let queues = queue_line(status, |_, text| text.to_owned());
        if self.queues.as_ref() != Some(&queues) {
            news.push(queues.clone());
            self.queues = Some(queues);
        }
        news
    }
}

/// Names what an agent does without what changes by itself, such as the time it took so far.
fn doing(agent: &AgentStatus) -> String {
    let tasks: Vec<String> = agent.instances.iter().map(|instance| format!("{} {}", instance.task_id, instance.attempt)).collect();
    format!("{} {} {}", agents::state(agent.state), tasks.join(","), agent.reason.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use octopoid_client::{AgentInstance, AgentState};

    use super::*;

    fn now() -> Timestamp {
        "2026-03-01T12:00:00Z".parse().expect("time")
    }

    fn status(incoming: u64, works: Option<(&str, u64)>) -> NodeStatus {
        let instance = |(task, turns): (&str, u64)| AgentInstance {
            task_id: task.to_owned(),
            since: "2026-03-01T11:59:57Z".to_owned(),
            turns: Some(turns),
            ..AgentInstance::default()
        };
        let agent = AgentStatus {
            name: "implementer-1".to_owned(),
            state: if works.is_some() { AgentState::Running } else { AgentState::Idle },
            instances: works.into_iter().map(instance).collect(),
            ..AgentStatus::default()
        };
        NodeStatus {
            queues: [("incoming".to_owned(), incoming), ("failed".to_owned(), 0)].into(),
            agents: vec![agent],
            ..NodeStatus::default()
        }
    }

    #[test]
    fn without_a_terminal_only_changes_are_told() {
        let mut told = Told::default();
        assert_eq!(told.news(&status(2, None), now()), ["incoming 2 · claimed 0 · provisional 0 · done 0"]);
        assert_eq!(told.news(&status(2, None), now()), Vec::<String>::new());
        assert_eq!(told.news(&status(2, Some(("fix-1", 1))), now()), ["implementer-1  running   fix-1 for 3 s, 1 turn"]);
        assert_eq!(told.news(&status(2, Some(("fix-1", 2))), now()), Vec::<String>::new(), "a turn is no news");
        assert_eq!(told.news(&status(1, None), now()), ["implementer-1  idle", "incoming 1 · claimed 0 · provisional 0 · done 0"]);
    }

    #[test]
    fn a_picture_fits_the_terminal() {
        let mut status = status(1, Some(("a-task-with-a-rather-long-identifier", 1)));
        status.agents = vec![status.agents[0].clone(); 50];
        let output = Output::of_process(false);
        let lines = picture(&status, now(), 40, 10, output);
        assert_eq!(lines.len(), 8);
        assert!(lines.iter().skip(1).all(|line| line.chars().count() < 40), "{lines:#?}");
    }

    #[test]
    fn drawing_goes_back_over_what_was_drawn() {
        let mut bytes = Vec::new();
        draw(&mut bytes, 0, &["a".to_owned()]).expect("written");
        assert!(!String::from_utf8_lossy(&bytes).contains("\u{1b}[1A"));
        bytes.clear();
        draw(&mut bytes, 3, &["b".to_owned()]).expect("written");
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.starts_with("\u{1b}[3A") && text.ends_with("\u{1b}[J"), "{text:?}");
    }

    #[test]
    fn what_an_agent_is_called_cannot_steer_the_terminal() {
        let mut status = status(0, None);
        status.agents[0].name = "\u{1b}[2Jx".to_owned();
        assert_eq!(agent_line(&status.agents[0], now(), 5), "  [2Jx   idle");
    }
}
