//! Checks what came of the demo against git, the processes and the tasks' records.
//!
//! **Invariants**: what is checked is read from the shared repository and the nodes after the work, never from what an agent said.

use octopoid_client::{AttemptInfo, Conflict};

use super::{
    Machine, Machines, Place,
    play::{Performance, Rival},
    report::{ClusterReport, Lost, MachineReport},
    tasks,
};
use crate::{
    demo::{
        DemoError,
        checks::{Commit, Found, check, commits, one_merge_each, started_after_blocker, tests_pass},
        git::git,
        node::{Told, is_over},
        project::MAIN,
        report::TaskReport,
        story,
    },
    process,
};

/// Checks everything and tells the tasks' stories.
pub async fn report(place: &Place, machines: &Machines, played: Performance) -> Result<ClusterReport, DemoError> {
    let commits = commits(&place.origin).await?;
    let told = played.told.first().map(Vec::as_slice).unwrap_or_default();
    let lost = lost(machines, &played).await?;
    let checks = vec![
        check("all three machines show the same: every task is done and merged", all_show_the_same(&played.told)),
        check("main of the shared repository holds one merge for each task", one_merge_each(&commits, told)),
        check("the program's tests pass there", tests_pass(&place.origin, &place.scratch.join("checkout")).await?),
        check("what waited for another machine's work started from its merge", started_after_blocker(&place.origin, told).await?),
        check("what was queued while cut off was merged after the machines met again", merged_later(&commits, &played.merged_apart)),
        check("both sides of the cut started one task, and one attempt won on every machine", one_won(&played)),
        check("the agent that lost was stopped, and its branch is kept", stopped_and_kept(&lost)),
        check("every other task was started once", started_once(machines, told)),
    ];
    let graph = git(&place.origin, &["log", "--graph", "--oneline", MAIN]).await?;
    let events = || told.iter().flat_map(|told| &told.history);
    let beginning = story::beginning(events());
    Ok(ClusterReport {
        ok: checks.iter().all(|check| check.problem.is_none()),
        repository: place.origin.clone(),
        kept: true,
        seconds: story::length(events(), beginning),
        machines: machines
            .iter()
            .map(|machine| MachineReport { name: machine.name.to_owned(), repository: machine.repository.clone() })
            .collect(),
        tasks: told.iter().map(|told| task_report(machines, told, beginning)).collect(),
        lost,
        events: played.events,
        graph: graph.lines().map(|line| line.trim_end().to_owned()).collect(),
        checks,
    })
}

fn task_report(machines: &Machines, told: &Told, beginning: Option<jiff::Timestamp>) -> TaskReport {
    let task = told.task.clone();
    let worked = told.attempts.iter().rev().find(|attempt| attempt.head.is_some()).and_then(|attempt| attempt.node.as_deref());
    let layout = &machines.iter().find(|machine| Some(machine.name) == worked).unwrap_or(&machines[0]).layout;
    TaskReport {
        logs: layout.logs_dir().join("tasks").join(&task.id),
        id: task.id,
        title: task.title,
        role: task.role,
        queue: task.queue,
        attempts: told.attempts.len(),
        rejections: task.rejection_count,
        merged_commit: task.merged_commit,
        story: story::tell_of_machines(&told.history, beginning),
    }
}

/// Returns what lost, with what is left of it.
async fn lost(machines: &Machines, played: &Performance) -> Result<Vec<Lost>, DemoError> {
    let mut lost = Vec::new();
    for conflict in played.conflicts.first().into_iter().flatten() {
        for attempt in &conflict.attempts {
            lost.push(left_of(machines, played, conflict, attempt).await?);
        }
    }
    Ok(lost)
}

async fn left_of(machines: &Machines, played: &Performance, conflict: &Conflict, attempt: &AttemptInfo) -> Result<Lost, DemoError> {
    let branch = attempt.branch.clone().unwrap_or_default();
    let machine = machines.iter().find(|machine| Some(machine.name) == attempt.node.as_deref());
    let commit = match machine {
        // A branch that is gone has no commit, which is what is to be found out.
        Some(machine) => git(&machine.repository, &["rev-parse", "--verify", "--quiet", &format!("refs/heads/{branch}")]).await.ok(),
        None => None,
    };
    let rival = played.rivals.iter().find(|rival| rival.attempt == attempt.attempt);
    Ok(Lost {
        task: conflict.task_id.clone(),
        winner: conflict.winner.clone(),
        attempt: attempt.attempt.clone(),
        machine: attempt.node.clone().unwrap_or_default(),
        agent: attempt.agent.clone().unwrap_or_default(),
        branch,
        commit: commit.map(|commit| commit.trim().to_owned()),
        stopped: rival.is_some_and(|rival| !process::lives(rival.pid)) && attempt.submitted_at.is_none(),
    })
}

/// What must be the same of a task on every machine.
fn shown(told: &Told) -> (String, String, Option<String>, Vec<(String, String)>) {
    let attempts = told.attempts.iter().map(|attempt| (attempt.attempt.clone(), attempt.state.clone())).collect();
    (told.task.id.clone(), told.task.queue.clone(), told.task.merged_commit.clone(), attempts)
}

fn all_show_the_same(told: &[Vec<Told>]) -> Found {
    let open = |told: &&Told| !is_over(&told.task) || told.task.merged_commit.is_none();
    if let Some(told) = told.iter().flatten().find(open) {
        return Err(format!("{} is {} and not merged", told.task.id, told.task.queue));
    }
    for pair in told.windows(2) {
        if let Some((one, other)) = pair[0].iter().zip(&pair[1]).find(|(one, other)| shown(one) != shown(other)) {
            return Err(format!("one machine shows {:?}, another one {:?}", shown(one), shown(other)));
        }
    }
    Ok(())
}

fn merged_later(commits: &[Commit], before: &[String]) -> Found {
    let merged = |id: &str| commits.iter().any(|commit| commit.tasks.iter().any(|task| task == id));
    let then = |id: &str| before.iter().any(|task| task == id);
    if !then(tasks::MEANWHILE) {
        return Err(format!("{} was not merged while the laptop was away", tasks::MEANWHILE));
    }
    for id in [tasks::OFFLINE, tasks::CONTESTED] {
        if then(id) {
            return Err(format!("{id} was merged before"));
        }
        if !merged(id) {
            return Err(format!("{id} is not merged"));
        }
    }
    Ok(())
}

fn one_won(played: &Performance) -> Found {
    let [here, there] = &played.rivals;
    for conflicts in &played.conflicts {
        let [conflict] = conflicts.as_slice() else {
            return Err(format!("a machine lists {} conflicts instead of one", conflicts.len()));
        };
        let lost: Vec<&str> = conflict.attempts.iter().map(|attempt| attempt.attempt.as_str()).collect();
        let winner = conflict.winner.as_deref();
        let fits = |won: &Rival, other: &Rival| winner == Some(won.attempt.as_str()) && lost == [other.attempt.as_str()];
        if conflict.task_id != tasks::CONTESTED || !(fits(here, there) || fits(there, here)) {
            return Err(format!(
                "{} and {} competed, and a machine says that {winner:?} won against {lost:?}",
                here.attempt, there.attempt
            ));
        }
    }
    let same = |conflicts: &[Vec<Conflict>]| conflicts.windows(2).all(|pair| pair[0] == pair[1]);
    if same(&played.conflicts) { Ok(()) } else { Err("the machines do not say the same".to_owned()) }
}

fn stopped_and_kept(lost: &[Lost]) -> Found {
    let [lost] = lost else { return Err(format!("{} attempts lost instead of one", lost.len())) };
    if !lost.stopped {
        return Err(format!("the agent of attempt {} on {} went on", lost.attempt, lost.machine));
    }
    if lost.commit.is_none() {
        return Err(format!("there is no branch '{}' on {}", lost.branch, lost.machine));
    }
    Ok(())
}

/// An attempt that was started has a folder with its prompt on the machine that ran it; a claim that yielded has none.
fn started_once(machines: &Machines, told: &[Told]) -> Found {
    for told in told {
        let prompt = |machine: &Machine, attempt: &AttemptInfo| {
            machine.layout.logs_dir().join("tasks").join(&told.task.id).join(&attempt.attempt).join("prompt.md").exists()
        };
        let count = machines.iter().map(|machine| told.attempts.iter().filter(|attempt| prompt(machine, attempt)).count()).sum::<usize>();
        let expected = if told.task.id == tasks::CONTESTED { 2 } else { 1 };
        if count != expected {
            return Err(format!("{} was started {count} times", told.task.id));
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "checks_tests.rs"]
mod tests;
