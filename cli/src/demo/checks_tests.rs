use octopoid_client::{AttemptInfo, Task};

use super::*;

fn told(id: &str, commits: u64, merged: Option<&str>) -> Told {
    let task = Task {
        id: id.to_owned(),
        queue: "done".to_owned(),
        commits_count: commits,
        merged_commit: merged.map(str::to_owned),
        ..Task::default()
    };
    Told { task, ..Told::default() }
}

fn log(lines: &[&str]) -> Vec<Commit> {
    lines.iter().filter_map(|line| commit(line)).collect()
}

#[test]
fn a_line_of_the_log_is_read_with_its_parents_and_trailers() {
    let commit = |id: &str, parents, tasks: &[&str]| Commit {
        id: id.to_owned(),
        parents,
        tasks: tasks.iter().map(|task| (*task).to_owned()).collect(),
    };
    assert_eq!(log(&["m\ta b\tfix-1", "a\t\t", "x"]), [commit("m", 2, &["fix-1"]), commit("a", 0, &[])]);
}

#[test]
fn every_task_with_commits_has_exactly_one_merge() {
    let tasks = [told("fix-1", 1, Some("m")), told("whole", 0, None)];
    assert_eq!(one_merge_each(&log(&["m\ta b\tfix-1", "b\ta\t", "a\t\t"]), &tasks), Ok(()));
    for (why, lines) in [
        ("none", &["b\ta\t", "a\t\t"][..]),
        ("twice", &["n\tm b\tfix-1", "m\ta b\tfix-1"]),
        ("no merge", &["m\ta\tfix-1"]),
        ("another commit than the task says", &["n\ta b\tfix-1"]),
        ("a merge of nothing that is known", &["n\tm c\t", "m\ta b\tfix-1"]),
        ("a merge of a task without commits", &["n\tm c\twhole", "m\ta b\tfix-1"]),
    ] {
        assert!(one_merge_each(&log(lines), &tasks).is_err(), "{why}");
    }
    assert!(one_merge_each(&[], &[told("whole", 0, None)]).is_err(), "no work at all");
}

#[test]
fn a_task_that_is_not_done_is_told_with_its_reason() {
    let mut tasks: Vec<Told> = (0..6).map(|number| told(&format!("task-{number}"), 0, None)).collect();
    assert_eq!(every_task_is_done(&tasks), Ok(()));
    tasks[2].task.queue = "failed".to_owned();
    tasks[2].attempts = vec![AttemptInfo { reason: Some("exited with code 1".to_owned()), ..AttemptInfo::default() }];
    assert_eq!(every_task_is_done(&tasks), Err("task-2 is failed (exited with code 1)".to_owned()));
    assert!(every_task_is_done(&tasks[..2]).is_err(), "parts are missing");
}

#[test]
fn a_feature_that_a_person_finished_did_not_end_by_its_parts() {
    let event = |details: &str| HistoryEvent { event: "accepted".to_owned(), details: Some(details.to_owned()), ..HistoryEvent::default() };
    let mut tasks = vec![told(tasks::FEATURE, 0, None)];
    tasks.extend((1..4).map(|part| told(&format!("{}-0a-{part}", tasks::FEATURE), 1, None)));
    tasks[0].history = vec![event("looks good")];
    assert!(ended_by_parts(&tasks).is_err());
    tasks[0].history = vec![event("subtasks_done")];
    assert_eq!(ended_by_parts(&tasks), Ok(()));
    assert!(ended_by_parts(&tasks[..3]).is_err());
}
