//! The tasks that the cluster's demo queues, and where.

use octopoid_client::NewTask;

use crate::demo::tasks;

/// The fix, worked on while all machines are connected.
pub const FIX: &str = tasks::FIX;
/// What waits for the fix and starts from its merge, wherever that was made.
pub const BLOCKED: &str = tasks::BLOCKED;
/// What both sides of the cut start.
pub const CONTESTED: &str = "count-letters";
/// What the larger side works on during the cut.
pub const MEANWHILE: &str = "count-empty";
/// What is queued on the machine that is cut off.
pub const OFFLINE: &str = "count-chars";

/// All of them, in the order in which they are queued.
pub const ALL: [&str; 5] = [FIX, BLOCKED, CONTESTED, OFFLINE, MEANWHILE];

/// Returns a task as it is queued.
pub fn queued(id: &str) -> NewTask {
    let (priority, title, goal) = match id {
        CONTESTED => ("P0", "Add tally letters", "letters"),
        MEANWHILE => ("P1", "Add tally empty", "empty"),
        OFFLINE => ("P1", "Add tally chars", "chars"),
        _ => return tasks::queued().into_iter().find(|task| task.id == id).map(with_roles).unwrap_or_default(),
    };
    let content = format!("`sh bin/tally {goal}` is missing.\n\nDone when: tests/cases/{goal}.sh passes");
    tasks::task(id, "implement", priority, title, &content)
}

/// Leaves a fix to implementers: every machine has some.
fn with_roles(task: NewTask) -> NewTask {
    let role = task.role.map(|role| if role == "fix" { "implement".to_owned() } else { role });
    NewTask { role, ..task }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::cluster::SCRIPTS;

    #[test]
    fn every_task_has_a_goal_that_an_agent_can_reach() {
        for id in ALL {
            let task = queued(id);
            assert_eq!(task.id, id);
            let content = task.content.expect("a body");
            let goal = content.lines().find_map(|line| line.strip_prefix("Done when: tests/cases/")?.strip_suffix(".sh passes"));
            let script = format!("changes/{}.sh", goal.expect("a goal"));
            assert!(SCRIPTS.iter().any(|(name, _)| *name == script), "{script}");
        }
    }
}
