//! What a result file may say, and how errors name the field.

use super::*;

fn error(json: &str) -> String {
    ResultFile::parse(json.as_bytes()).expect_err(json).to_string()
}

#[test]
fn a_whole_file_is_read_and_unknown_fields_are_ignored() {
    let json = r#"{"outcome":"subtasks","reason":"big","notes":"n","turns_used":4,"mood":"good","subtasks":[
        {"title":"A","body":"b","role":"implement","priority":"P1","complexity":"S","depends_on":[],"x":1},
        {"title":"B","depends_on":[0,0],"role":null}]}"#;
    let file = ResultFile::parse(json.as_bytes()).expect("a result");
    let a = Subtask {
        title: "A".into(),
        body: "b".into(),
        role: Some("implement".into()),
        priority: Some("P1".into()),
        complexity: Some("S".into()),
        depends_on: vec![],
    };
    let b = Subtask { title: "B".into(), body: String::new(), role: None, priority: None, complexity: None, depends_on: vec![0] };
    let expected = ResultFile {
        outcome: Claim::Subtasks,
        reason: Some("big".into()),
        notes: Some("n".into()),
        turns_used: Some(4),
        subtasks: vec![a, b],
    };
    assert_eq!(file, expected);
}

#[test]
fn every_outcome_has_its_word() {
    for (word, claim) in OUTCOMES {
        let extra = if *claim == Claim::Subtasks { r#","subtasks":[{"title":"t"}]"# } else { "" };
        let json = format!(r#"{{"outcome":"{word}","reason":"r"{extra}}}"#);
        assert_eq!(ResultFile::parse(json.as_bytes()).expect("a result").outcome, *claim);
        assert_eq!(claim.as_str(), *word);
    }
}

#[test]
fn errors_name_the_field_and_what_it_must_be() {
    for (json, expected) in [
        ("{", "the result file is not JSON"),
        ("[]", "in the result file, the whole must be an object"),
        ("{}", "in the result file, outcome is missing: give one of done, accept"),
        (r#"{"outcome":"fine"}"#, "outcome must be one of done, accept"),
        (r#"{"outcome":7}"#, "outcome must be text"),
        (r#"{"outcome":"done","turns_used":-1}"#, "turns_used must be a whole number"),
        (r#"{"outcome":"done","turns_used":1.5}"#, "turns_used must be a whole number"),
        (r#"{"outcome":"done","reason":[]}"#, "reason must be text"),
        (r#"{"outcome":"reject"}"#, "reason must say why"),
        (r#"{"outcome":"reject","reason":" "}"#, "reason must say why"),
        (r#"{"outcome":"subtasks"}"#, "subtasks must name at least one"),
        (r#"{"outcome":"done","subtasks":[{"title":"t"}]}"#, "outcome must be subtasks"),
        (r#"{"outcome":"subtasks","subtasks":{}}"#, "subtasks must be a list"),
        (r#"{"outcome":"subtasks","subtasks":[1]}"#, "subtasks[0] must be an object"),
        (r#"{"outcome":"subtasks","subtasks":[{"title":"t"},{"title":" "}]}"#, "subtasks[1].title must not be empty"),
        (r#"{"outcome":"subtasks","subtasks":[{"title":"t","priority":"high"}]}"#, "subtasks[0].priority must be one of P0, P1, P2, P3"),
        (r#"{"outcome":"subtasks","subtasks":[{"title":"t","complexity":"huge"}]}"#, "subtasks[0].complexity must be one of XS"),
        (
            r#"{"outcome":"subtasks","subtasks":[{"title":"t","depends_on":[1]}]}"#,
            "subtasks[0].depends_on must hold places in the list of subtasks, 0 to 0",
        ),
        (r#"{"outcome":"subtasks","subtasks":[{"title":"t","depends_on":["0"]}]}"#, "subtasks[0].depends_on must hold places"),
        (r#"{"outcome":"subtasks","subtasks":[{"title":"t","depends_on":[0]}]}"#, "subtasks[0].depends_on leads back to itself"),
    ] {
        let message = error(json);
        assert!(message.contains(expected), "{json}: {message}");
    }
}

#[test]
fn a_cycle_is_found_behind_subtasks_that_only_lead_to_it() {
    let json = r#"{"outcome":"subtasks","subtasks":[{"title":"a","depends_on":[1]},{"title":"b","depends_on":[2,3]},
        {"title":"c"},{"title":"d","depends_on":[4]},{"title":"e","depends_on":[3]}]}"#;
    let message = error(json);
    assert!(message.contains("subtasks[3].depends_on") || message.contains("subtasks[4].depends_on"), "{message}");
}

#[test]
fn limits_hold_before_anything_is_built() {
    let large = format!(r#"{{"outcome":"done","x":"{}"}}"#, "y".repeat(256 << 10));
    assert_eq!(error(&large), "the result file must be at most 262144 bytes");
    let many = vec![r#"{"title":"t"}"#; 101].join(",");
    assert!(error(&format!(r#"{{"outcome":"subtasks","subtasks":[{many}]}}"#)).contains("subtasks must have at most 100 entries"));
    let long = format!(r#"{{"outcome":"done","reason":"{}"}}"#, "y".repeat(5000));
    assert!(error(&long).contains("reason must be at most 4096 bytes"));
    assert!(error(&"[".repeat(100_000)).contains("not JSON"));
}

#[test]
fn only_a_regular_file_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    assert!(ResultFile::read(&path("missing")).expect("no error").is_none());
    std::fs::write(path("good"), r#"{"outcome":"done"}"#).expect("written");
    assert_eq!(ResultFile::read(&path("good")).expect("read").expect("a file").outcome, Claim::Done);
    std::os::unix::fs::symlink(path("good"), path("link")).expect("a link");
    assert!(matches!(ResultFile::read(&path("link")), Err(ResultFileError::NotAFile)));
    assert!(matches!(ResultFile::read(folder.path()), Err(ResultFileError::NotAFile)));
    let made = std::process::Command::new("mkfifo").arg(path("pipe")).status().expect("mkfifo");
    assert!(made.success());
    assert!(matches!(ResultFile::read(&path("pipe")), Err(ResultFileError::NotAFile)));
}
