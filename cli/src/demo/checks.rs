//! Checks what came of the demo against git and the tasks' records.
//!
//! **Invariants**: what is checked is read from the repository and the node after the work, never from what an agent said.

use std::path::Path;

use octopoid_client::HistoryEvent;

use super::{
    DemoError,
    git::{git, run_tests},
    node::Told,
    project::{MAIN, Project},
    report::{Check, Report, TaskReport},
    story, tasks,
};

/// A commit of main.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Commit {
    id: String,
    parents: usize,
    /// The tasks that its trailers name.
    pub(super) tasks: Vec<String>,
}

#[cfg(test)]
impl Commit {
    /// A merge of a task.
    pub(super) fn of(task: &str) -> Self {
        Self { id: task.to_owned(), parents: 2, tasks: vec![task.to_owned()] }
    }
}

/// What a check found: nothing, or what is wrong.
pub(super) type Found = Result<(), String>;

/// Checks everything and tells the tasks' stories.
pub async fn report(project: &Project, told: Vec<Told>) -> Result<Report, DemoError> {
    let commits = commits(&project.repository).await?;
    let checks = vec![
        check("every task is done", every_task_is_done(&told)),
        check("main holds one merge for each task that had commits", one_merge_each(&commits, &told)),
        check("the program's tests pass on main", tests_pass(&project.repository, &project.checkout).await?),
        check("one submission was rejected, and the next one did what the reviewer asked for", rejected_once(project, &told).await?),
        check("the feature ended when its parts were done", ended_by_parts(&told)),
        check("the blocked task started from its blocker's merge", started_after_blocker(&project.repository, &told).await?),
    ];
    let graph = git(&project.repository, &["log", "--graph", "--oneline", MAIN]).await?;
    let events = || told.iter().flat_map(|told| &told.history);
    let beginning = story::beginning(events());
    Ok(Report {
        ok: checks.iter().all(|check| check.problem.is_none()),
        repository: project.repository.clone(),
        kept: true,
        seconds: story::length(events(), beginning),
        tasks: told.iter().map(|told| task_report(project, told, beginning)).collect(),
        graph: graph.lines().map(|line| line.trim_end().to_owned()).collect(),
        checks,
    })
}

pub(super) fn check(what: &'static str, found: Found) -> Check {
    Check { what, problem: found.err() }
}

fn task_report(project: &Project, told: &Told, beginning: Option<jiff::Timestamp>) -> TaskReport {
    let task = told.task.clone();
    TaskReport {
        logs: project.layout.logs_dir().join("tasks").join(&task.id),
        id: task.id,
        title: task.title,
        role: task.role,
        queue: task.queue,
        attempts: told.attempts.len(),
        rejections: task.rejection_count,
        merged_commit: task.merged_commit,
        story: story::tell(&told.history, beginning),
    }
}

/// Reads main's commits, with the tasks that git itself finds in their trailers.
pub(super) async fn commits(repository: &Path) -> Result<Vec<Commit>, DemoError> {
    let format = "--format=%H%x09%P%x09%(trailers:key=Octopoid-Task,valueonly,separator=%x2C)";
    let log = git(repository, &["log", format, MAIN]).await?;
    Ok(log.lines().filter_map(commit).collect())
}

fn commit(line: &str) -> Option<Commit> {
    let mut fields = line.split('\t');
    let (id, parents) = (fields.next()?, fields.next()?);
    let tasks = fields.next()?.split(',').map(str::trim).filter(|task| !task.is_empty()).map(str::to_owned).collect();
    Some(Commit { id: id.to_owned(), parents: parents.split_whitespace().count(), tasks })
}

fn find<'t>(told: &'t [Told], id: &str) -> Result<&'t Told, String> {
    told.iter().find(|told| told.task.id == id).ok_or_else(|| format!("there is no task {id}"))
}

fn every_task_is_done(told: &[Told]) -> Found {
    let open = |told: &&Told| told.task.queue != "done";
    let open: Vec<String> = told
        .iter()
        .filter(open)
        .map(|told| {
            let last = told.attempts.last().and_then(|attempt| attempt.reason.as_deref());
            let why = last.or(told.task.execution_notes.as_deref()).unwrap_or("no reason is known");
            format!("{} is {} ({why})", told.task.id, told.task.queue)
        })
        .collect();
    // The feature, its three parts, the fix, and what waits for it.
    match (open.is_empty(), told.len()) {
        (true, 6) => Ok(()),
        (true, count) => Err(format!("there are {count} tasks instead of 6")),
        (false, _) => Err(open.join(", ")),
    }
}

pub(super) fn one_merge_each(commits: &[Commit], told: &[Told]) -> Found {
    let worked: Vec<&Told> = told.iter().filter(|told| told.task.commits_count > 0).collect();
    for Told { task, .. } in &worked {
        let of: Vec<&Commit> = commits.iter().filter(|commit| commit.tasks.contains(&task.id)).collect();
        match of.as_slice() {
            [commit] if commit.parents != 2 => return Err(format!("{} of {} is no merge of two", commit.id, task.id)),
            [commit] if task.merged_commit.as_ref() != Some(&commit.id) => {
                return Err(format!("{} is said to be merged as {:?}, and {} says so", task.id, task.merged_commit, commit.id));
            }
            [_] => {}
            several => return Err(format!("{} commits carry the trailer of {} instead of one", several.len(), task.id)),
        }
    }
    let merges = commits.iter().filter(|commit| commit.parents > 1 || !commit.tasks.is_empty()).count();
    match (worked.len(), merges) {
        (0, _) => Err("no task had commits".to_owned()),
        (tasks, merges) if tasks != merges => Err(format!("{merges} merges for {tasks} tasks that had commits")),
        _ => Ok(()),
    }
}

/// Runs the tests where nobody has worked before.
pub(super) async fn tests_pass(repository: &Path, checkout: &Path) -> Result<Found, DemoError> {
    let (from, to) = (repository.as_os_str(), checkout.as_os_str());
    let words = ["clone", "--quiet", "--branch", MAIN].map(std::ffi::OsStr::new);
    git(repository, &[&words[..], &[from, to]].concat()).await?;
    let ran = run_tests(checkout).await?;
    Ok(if ran.success { Ok(()) } else { Err(format!("{}{}", ran.text, ran.errors).trim().to_owned()) })
}

fn events<'e>(told: &'e Told, kind: &str) -> Vec<&'e HistoryEvent> {
    told.history.iter().filter(|event| event.event == kind).collect()
}

async fn rejected_once(project: &Project, told: &[Told]) -> Result<Found, DemoError> {
    let rejected: Vec<(&Told, &HistoryEvent)> =
        told.iter().flat_map(|told| events(told, "rejected").into_iter().map(move |event| (told, event))).collect();
    let [(told, rejection)] = rejected.as_slice() else {
        return Ok(Err(format!("{} submissions were rejected instead of one", rejected.len())));
    };
    let reason = rejection.details.as_deref().unwrap_or_default();
    if reason.is_empty() {
        return Ok(Err(format!("no reason was given for the rejection of {}", told.task.id)));
    }
    let states: Vec<&str> = told.attempts.iter().map(|attempt| attempt.state.as_str()).collect();
    let (["rejected", "accepted"], Some(head)) = (states.as_slice(), told.attempts.last().and_then(|last| last.head.as_ref())) else {
        return Ok(Err(format!("the attempts of {} ended as {}", told.task.id, states.join(", "))));
    };
    let message = git(&project.repository, &["log", "-1", "--format=%B", head]).await?;
    let said = message.lines().find_map(|line| line.strip_prefix("The review said: ")).unwrap_or_default();
    Ok(if !said.is_empty() && reason.contains(said) {
        Ok(())
    } else {
        Err(format!("the second attempt at {} does not answer the reason '{reason}'", told.task.id))
    })
}

fn ended_by_parts(told: &[Told]) -> Found {
    let feature = find(told, tasks::FEATURE)?;
    let by_parts = events(feature, "accepted").iter().any(|event| event.details.as_deref() == Some("subtasks_done"));
    let parts = told.iter().filter(|told| told.task.id.starts_with(&format!("{}-", tasks::FEATURE))).count();
    match (by_parts, parts) {
        (true, 3) => Ok(()),
        (true, _) => Err(format!("it has {parts} parts instead of 3")),
        (false, _) => Err("its history does not say subtasks_done".to_owned()),
    }
}

/// Checks by ancestry, which no clock can get wrong.
pub(super) async fn started_after_blocker(repository: &Path, told: &[Told]) -> Result<Found, DemoError> {
    let (blocker, blocked) = match (find(told, tasks::FIX), find(told, tasks::BLOCKED)) {
        (Ok(blocker), Ok(blocked)) => (blocker, blocked),
        (Err(problem), _) | (_, Err(problem)) => return Ok(Err(problem)),
    };
    let (Some(merge), Some(base)) =
        (blocker.task.merged_commit.as_deref(), blocked.attempts.iter().find_map(|attempt| attempt.base.as_deref()))
    else {
        return Ok(Err(format!("{} is not merged, or {} was not worked on", tasks::FIX, tasks::BLOCKED)));
    };
    let common = git(repository, &["merge-base", merge, base]).await?;
    Ok(if common.trim() == merge { Ok(()) } else { Err(format!("{} started from {base}, which lacks {merge}", tasks::BLOCKED)) })
}

#[cfg(test)]
#[path = "checks_tests.rs"]
mod tests;
