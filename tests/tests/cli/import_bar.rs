//! What a person sees while an import runs, and what nobody sees where nobody watches.

use std::fs::File;
use std::io::Read as _;
use std::process::Stdio;

use octopoid_tests::{Project, Said, terminal};

/// How many tasks the folder holds: enough that their import is looked at while it runs, on a machine ten times as fast as ours, too.
const TASKS: usize = 2_000;
/// What begins a line anew.
const ANEW: &str = "\r\u{1b}[K";

fn old() -> Project {
    let project = Project::new();
    for number in 0..TASKS {
        project.write(&format!(".orchestrator/shared/queue/incoming/TASK-t{number}.md"), &format!("# [TASK-t{number}] Number {number}\n"));
    }
    project
}

/// Runs a command whose stderr is a terminal; returns what was shown there.
fn watched(project: &Project, args: &[&str]) -> (Said, String) {
    let (person, program) = terminal("");
    let mut command = project.command();
    let running = command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(program).spawn().expect("octopoid runs");
    // The terminal ends for who looks when no program has it any more.
    drop(command);
    let looking = std::thread::spawn(move || everything_of(person));
    let said = running.wait_with_output().expect("it ends");
    (Said::new(format!("octopoid {}", args.join(" ")), said), looking.join().expect("somebody looks"))
}

fn everything_of(mut person: File) -> String {
    let (mut all, mut piece) = (Vec::new(), [0; 4 * 1_024]);
    // A terminal that nobody has open gives an error, not an end.
    while let Ok(count @ 1..) = person.read(&mut piece) {
        all.extend_from_slice(&piece[..count]);
    }
    String::from_utf8(all).expect("UTF-8")
}

/// Returns how far the bars of this name were, and checks that each is as full as its numbers say.
fn bars(shown: &str, name: &str) -> Vec<usize> {
    let frames = shown.split(ANEW).filter_map(|frame| frame.strip_prefix(name)?.strip_prefix(" ["));
    let read = |frame: &str| {
        let (bar, numbers) = frame.split_once("] ").unwrap_or_else(|| panic!("no bar: {frame}"));
        let (done, total) = numbers.split_once(" of ").unwrap_or_else(|| panic!("no numbers: {frame}"));
        let (done, total): (usize, usize) = (done.parse().expect("a number"), total.trim_end().parse().expect("a number"));
        let full = done * 30 / total;
        assert_eq!(bar, format!("{}{}", "#".repeat(full), ".".repeat(30 - full)), "{frame}");
        done
    };
    let bars: Vec<usize> = frames.map(read).collect();
    assert!(bars.is_sorted(), "{name} goes back: {bars:?}");
    bars
}

/// Checks the bars of an import, and that nothing of them is left on the line.
fn is_shown_and_wiped(shown: &str) {
    assert_eq!(bars(shown, "reading").last(), Some(&TASKS), "{shown:?}");
    let importing = bars(shown, "importing");
    assert!(importing.iter().any(|done| (1..2 * TASKS).contains(done)), "{importing:?}");
    let (_, left) = shown.rsplit_once(ANEW).expect("bars");
    assert!(!left.contains('['), "the last bar is wiped away: {left:?}");
}

#[tokio::test]
async fn a_person_sees_how_far_an_import_is_until_it_has_ended() {
    let mut project = old();
    let (said, shown) = watched(&project, &["import", ".orchestrator", "--dry-run"]);
    assert!(said.ok().contains(&TASKS.to_string()), "{said:?}");
    is_shown_and_wiped(&shown);
    assert!(shown.ends_with("nothing was written: repeat the command without --dry-run\r\n"), "{shown:?}");
    project.start().await;
    let (said, shown) = watched(&project, &["import", ".orchestrator"]);
    assert!(said.ok().contains(&TASKS.to_string()), "{said:?}");
    is_shown_and_wiped(&shown);
}

#[test]
fn where_nobody_watches_there_is_no_bar() {
    let project = old();
    let said = project.run(&["import", ".orchestrator", "--dry-run"]);
    let _ = said.ok();
    assert_eq!(said.stderr, "nothing was written: repeat the command without --dry-run\n");
    let (said, shown) = watched(&project, &["import", ".orchestrator", "--json"]);
    assert_eq!(said.json()["tables"]["tasks"]["imported"], TASKS);
    assert_eq!(shown.trim(), "", "a program that reads JSON is not shown how far it is");
}
