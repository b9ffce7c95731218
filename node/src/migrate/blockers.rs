//! Which tasks wait for which, after ids were written in several ways and some of them have ended.

use std::collections::{HashMap, HashSet};

use super::task_file::bare;
use super::tasks::TaskPlan;

/// What a name of a blocker means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meant {
    /// A task that still blocks.
    Open(String),
    /// One that has ended.
    Ended,
}

/// The tasks of one source, by their ids without `TASK-`.
pub(super) type Known = HashMap<(String, String), Meant>;

/// Replaces what the source called the blockers by ids here, drops those that have ended, and cuts circles.
///
/// `elsewhere` tells whether a task that the source lacks is there already.
pub(super) fn settle(tasks: &mut [TaskPlan], known: &Known, elsewhere: &dyn Fn(&str, &str) -> bool, warnings: &mut Vec<String>) {
    for task in tasks.iter_mut() {
        let named = std::mem::take(&mut task.blocked_by);
        let mut kept = Vec::new();
        for name in named {
            let id = match known.get(&(task.scope.clone(), bare(&name).to_owned())) {
                Some(Meant::Ended) => continue,
                Some(Meant::Open(id)) => id.clone(),
                None if elsewhere(&task.scope, &name) => name,
                None if elsewhere(&task.scope, bare(&name)) => bare(&name).to_owned(),
                None => {
                    warnings.push(format!(
                        "tasks '{}': it waited for '{}', which is not known; it waits no more",
                        task.id,
                        super::tables::shown(&name)
                    ));
                    continue;
                }
            };
            if id == task.id.as_str() {
                warnings.push(format!("tasks '{}': it waited for itself; it waits no more", task.id));
            } else if !kept.contains(&id) {
                kept.push(id);
            }
        }
        task.blocked_by = kept;
    }
    for (task, blocker) in circles(tasks) {
        let task = &mut tasks[task];
        warnings.push(format!("tasks '{}': it waited for '{blocker}', which waits for it; it waits no more", task.id));
        task.blocked_by.retain(|id| *id != blocker);
    }
}

/// Finds the edges that close a circle, by a walk in the order of the tasks; without recursion, as chains may be long.
fn circles(tasks: &[TaskPlan]) -> Vec<(usize, String)> {
    let places: HashMap<(&str, &str), usize> =
        tasks.iter().enumerate().map(|(place, task)| ((task.scope.as_str(), task.id.as_str()), place)).collect();
    let (mut closing, mut over, mut on_path) = (Vec::new(), HashSet::new(), HashSet::new());
    for start in 0..tasks.len() {
        let mut path = vec![(start, 0)];
        while let Some((place, next)) = path.pop() {
            if next == 0 {
                if over.contains(&place) {
                    continue;
                }
                on_path.insert(place);
            }
            let Some(blocker) = tasks[place].blocked_by.get(next) else {
                on_path.remove(&place);
                over.insert(place);
                continue;
            };
            path.push((place, next + 1));
            match places.get(&(tasks[place].scope.as_str(), blocker.as_str())) {
                Some(found) if on_path.contains(found) => closing.push((place, blocker.clone())),
                Some(found) if !over.contains(found) => path.push((*found, 0)),
                Some(_) | None => {}
            }
        }
    }
    closing
}
