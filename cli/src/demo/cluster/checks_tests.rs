use octopoid_client::Task;

use super::*;
use crate::demo::cluster::NAMES;

fn told(id: &str, queue: &str) -> Told {
    let task = Task { id: id.to_owned(), queue: queue.to_owned(), merged_commit: Some("m".to_owned()), ..Task::default() };
    let attempts = vec![AttemptInfo { attempt: "1-3fa9c2d1".to_owned(), state: "accepted".to_owned(), ..AttemptInfo::default() }];
    Told { task, attempts, ..Told::default() }
}

fn rival(machine: usize, attempt: &str) -> Rival {
    Rival { machine: NAMES[machine], attempt: attempt.to_owned(), pid: 0 }
}

fn conflict(winner: &str, lost: &[&str]) -> Conflict {
    let attempt = |name: &&str| AttemptInfo { attempt: (*name).to_owned(), ..AttemptInfo::default() };
    Conflict {
        task_id: tasks::CONTESTED.to_owned(),
        winner: Some(winner.to_owned()),
        attempts: lost.iter().map(attempt).collect(),
        ..Conflict::default()
    }
}

fn played(conflicts: Vec<Vec<Conflict>>) -> Performance {
    let rivals = [rival(0, "1-aaaaaaaa"), rival(2, "1-bbbbbbbb")];
    Performance { events: Vec::new(), told: Vec::new(), conflicts, rivals, merged_apart: Vec::new() }
}

#[test]
fn machines_that_show_a_task_differently_do_not_agree() {
    let one = vec![told("t", "done")];
    assert_eq!(all_show_the_same(&[one.clone(), one.clone()]), Ok(()));
    assert!(all_show_the_same(&[one.clone(), vec![told("t", "provisional")]]).is_err(), "not done");
    let mut other = one.clone();
    other[0].attempts[0].state = "superseded".to_owned();
    assert!(all_show_the_same(&[one, other]).is_err(), "another attempt won");
}

#[test]
fn the_same_attempt_must_have_won_against_the_other_one_everywhere() {
    let one = conflict("1-aaaaaaaa", &["1-bbbbbbbb"]);
    let other = conflict("1-bbbbbbbb", &["1-aaaaaaaa"]);
    assert_eq!(one_won(&played(vec![vec![one.clone()], vec![one.clone()]])), Ok(()));
    for (why, conflicts) in [
        ("another winner", vec![vec![one.clone()], vec![other]]),
        ("none", vec![vec![one.clone()], Vec::new()]),
        ("one too many", vec![vec![one.clone(), one.clone()]]),
        ("an attempt that nobody saw at work", vec![vec![conflict("1-cccccccc", &["1-bbbbbbbb"])]]),
        ("both", vec![vec![conflict("1-aaaaaaaa", &["1-aaaaaaaa", "1-bbbbbbbb"])]]),
    ] {
        assert!(one_won(&played(conflicts)).is_err(), "{why}");
    }
}

#[test]
fn what_lost_is_stopped_and_kept() {
    let kept = Lost { stopped: true, commit: Some("c".to_owned()), ..Lost::default() };
    assert_eq!(stopped_and_kept(std::slice::from_ref(&kept)), Ok(()));
    assert!(stopped_and_kept(&[Lost { stopped: false, ..kept.clone() }]).is_err());
    assert!(stopped_and_kept(&[Lost { commit: None, ..kept.clone() }]).is_err());
    assert!(stopped_and_kept(&[]).is_err() && stopped_and_kept(&[kept.clone(), kept]).is_err());
}

#[test]
fn work_of_a_machine_that_is_cut_off_is_merged_afterwards_and_that_of_the_others_meanwhile() {
    let merged: Vec<Commit> = tasks::ALL.iter().map(|id| Commit::of(id)).collect();
    let before = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    assert_eq!(merged_later(&merged, &before(&[tasks::FIX, tasks::MEANWHILE])), Ok(()));
    assert!(merged_later(&merged, &before(&[tasks::FIX])).is_err(), "the others waited");
    assert!(merged_later(&merged, &before(&[tasks::MEANWHILE, tasks::OFFLINE])).is_err(), "it was not cut off");
    assert!(merged_later(&merged[..2], &before(&[tasks::MEANWHILE])).is_err(), "it never came");
}
