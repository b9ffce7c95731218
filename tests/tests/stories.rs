//! The quickstart and the pages of `docs/cli/` say what the program does: each is run.

use std::path::PathBuf;

use octopoid_tests::Story;

fn told(page: &str) {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/cli")).join(page);
    if let Err(error) = Story::read(&path).run() {
        panic!("{error}");
    }
}

#[test]
fn the_quickstart_is_as_told() {
    told("../quickstart.md");
}

#[test]
fn the_first_steps_are_as_told() {
    told("first-steps.md");
}

#[test]
fn the_whole_job_is_as_told() {
    told("the-whole-job.md");
}

#[test]
fn reviewing_by_hand_is_as_told() {
    told("reviewing-by-hand.md");
}

#[test]
fn mistakes_are_answered_as_told() {
    told("mistakes.md");
}

#[test]
fn moving_in_from_version_1_is_as_told() {
    told("moving-in.md");
}

#[test]
fn every_page_is_run() {
    let mut pages: Vec<String> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/cli"))
        .expect("docs/cli")
        .map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned())
        .collect();
    pages.sort();
    assert_eq!(pages, ["first-steps.md", "mistakes.md", "moving-in.md", "reviewing-by-hand.md", "the-whole-job.md"]);
}
