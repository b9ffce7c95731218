//! What edits do to a document, and what two people's edits become.

use octopoid_crdt::{
    document::{
        Actor, Document, Edit, EditError, Fields, MAX_CONTENT_BYTES, MAX_EDITS, MAX_ENTRY_BYTES, MAX_LINES, MAX_TEXT_BYTES, Refused, Value,
        gate::MAX_CHANGE_BYTES,
    },
    ids::{AuthorKey, SessionId},
};
use proptest::{collection::vec, prelude::*, test_runner::FileFailurePersistence};

fn actor(n: u8) -> Actor {
    Actor { author: AuthorKey([n; 32]), session: SessionId([n; 16]) }
}

fn task() -> Fields {
    Fields::default()
        .with("title", "Add login")
        .with("priority", "P2")
        .with("turns_used", 3)
        .with("has_plan", true)
        .with_content("one\ntwo\nthree")
}

/// Makes a document and the same one on another node.
fn shared(fields: &Fields) -> (Document, Document) {
    let (here, change) = Document::create(actor(1), fields).expect("create");
    let mut there = Document::empty();
    there.admit(&change, actor(1)).expect("admit");
    (here, there)
}

fn deliver(changes: &[Vec<u8>], from: Actor, to: &mut Document) {
    for change in changes {
        to.admit(change, from).expect("admit");
    }
}

#[test]
fn concurrent_edits_of_different_lines_merge() {
    let (mut here, mut there) = shared(&task());
    let a = here.edit(actor(1), &[Edit::content("ONE\ntwo\nthree")]).expect("edit");
    let b = there.edit(actor(2), &[Edit::content("one\ntwo\nthree\nfour")]).expect("edit");
    deliver(&b, actor(2), &mut here);
    deliver(&a, actor(1), &mut there);
    assert_eq!(here.fields().content.as_deref(), Some("ONE\ntwo\nthree\nfour"));
    assert_eq!(here.fields(), there.fields());
}

#[test]
fn concurrent_edits_of_one_line_lose_neither_text() {
    let (mut here, mut there) = shared(&task());
    let a = here.edit(actor(1), &[Edit::content("one\nTWO a\nthree")]).expect("edit");
    let b = there.edit(actor(2), &[Edit::content("one\nTWO b\nthree")]).expect("edit");
    deliver(&b, actor(2), &mut here);
    deliver(&a, actor(1), &mut there);
    let content = here.fields().content.expect("content");
    assert!(content.contains("TWO a") && content.contains("TWO b") && !content.contains("two"), "{content}");
    assert_eq!(here.fields(), there.fields());
}

#[test]
fn concurrent_additions_to_a_list_are_all_there_once_and_win_over_a_removal() {
    let (mut here, mut there) = shared(&task().with_entry("blocked_by", "T-1"));
    let a = here
        .edit(actor(1), &[Edit::add("blocked_by", "T-2"), Edit::add("blocked_by", "T-3"), Edit::remove("blocked_by", "T-1")])
        .expect("edit");
    let b = there.edit(actor(2), &[Edit::add("blocked_by", "T-2"), Edit::add("blocked_by", "T-4")]).expect("edit");
    deliver(&b, actor(2), &mut here);
    deliver(&a, actor(1), &mut there);
    assert_eq!(here.fields().entries("blocked_by").collect::<Vec<_>>(), ["T-2", "T-3", "T-4"]);
    assert_eq!(here.fields(), there.fields());

    let a = here.edit(actor(1), &[Edit::remove("blocked_by", "T-2")]).expect("edit");
    let b = there.edit(actor(2), &[Edit::remove("blocked_by", "T-2"), Edit::add("blocked_by", "T-2")]).expect("edit");
    assert_eq!(b, Vec::<Vec<u8>>::new(), "the last edit of an entry speaks, and it changes nothing");
    deliver(&a, actor(1), &mut there);
    assert_eq!(there.fields().entries("blocked_by").collect::<Vec<_>>(), ["T-3", "T-4"]);
}

#[test]
fn a_field_set_twice_at_once_has_one_value_everywhere_and_is_listed() {
    let (mut here, mut there) = shared(&task());
    let a = here.edit(actor(1), &[Edit::set("title", "mine")]).expect("edit");
    let b = there.edit(actor(2), &[Edit::set("title", "theirs")]).expect("edit");
    deliver(&b, actor(2), &mut here);
    deliver(&a, actor(1), &mut there);
    assert_eq!(here.fields(), there.fields());
    assert_eq!(here.conflicts(), ["title"]);
    let shown = here.fields().text("title").expect("title").to_owned();
    assert_eq!(here.edit(actor(1), &[Edit::set("title", shown)]).expect("edit").len(), 1, "setting the shown value settles the conflict");
    assert_eq!(here.conflicts(), Vec::<String>::new());
}

#[test]
fn two_creates_of_one_task_become_one_document() {
    let (_, a) = Document::create(actor(1), &Fields::default().with("title", "x").with_entry("labels", "a")).expect("create");
    let (_, b) = Document::create(actor(2), &Fields::default().with("role", "fix").with_entry("labels", "b")).expect("create");
    let mut document = Document::empty();
    document.admit(&a, actor(1)).expect("admit");
    document.admit(&b, actor(2)).expect("admit");
    let fields = document.fields();
    assert_eq!((fields.text("title"), fields.text("role")), (Some("x"), Some("fix")));
    assert_eq!(fields.entries("labels").collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn an_edit_that_changes_nothing_writes_nothing() {
    let (mut document, _) = shared(&task().with_entry("labels", "a"));
    let edits = [
        Edit::set("title", "Add login"),
        Edit::set("turns_used", 3),
        Edit::set("has_plan", true),
        Edit::content("one\ntwo\nthree"),
        Edit::add("labels", "a"),
        Edit::remove("labels", "b"),
    ];
    assert_eq!(document.edit(actor(2), &edits).expect("edit"), Vec::<Vec<u8>>::new());
    assert_eq!(document.edit(actor(2), &[]).expect("edit"), Vec::<Vec<u8>>::new());
}

#[test]
fn the_last_edit_of_a_place_in_one_call_speaks() {
    let (mut document, _) = shared(&task());
    document
        .edit(actor(1), &[Edit::set("title", "x"), Edit::set("title", "Add login"), Edit::content("gone"), Edit::Content(None)])
        .expect("edit");
    assert_eq!(document.fields().text("title"), Some("Add login"));
    assert_eq!(document.fields().content, None);
}

#[test]
fn no_body_and_an_empty_body_are_different() {
    let (mut document, _) = shared(&Fields::default());
    assert_eq!(document.fields().content, None);
    document.edit(actor(1), &[Edit::content("")]).expect("edit");
    assert_eq!(document.fields().content.as_deref(), Some(""));
}

#[test]
fn a_body_up_to_the_limits_works_and_passes_the_gate() {
    let most_lines = vec!["x".repeat(30); MAX_LINES].join("\n");
    let most_bytes = "y".repeat(MAX_CONTENT_BYTES);
    let both = vec!["z".repeat(31); MAX_LINES].join("\n");
    assert_eq!(both.len() + 1, MAX_CONTENT_BYTES);
    let (mut here, mut there) = shared(&task());
    for body in [&most_lines, &most_bytes, &both, "short", &both] {
        let changes = here.edit(actor(1), &[Edit::content(body)]).expect("edit");
        assert!(changes.iter().all(|change| change.len() <= MAX_CHANGE_BYTES));
        deliver(&changes, actor(1), &mut there);
        assert_eq!(there.fields().content.as_deref(), Some(body));
    }
}

#[test]
fn edits_of_more_than_a_change_holds_become_several() {
    let (mut here, mut there) = shared(&task());
    let long = "n".repeat(MAX_TEXT_BYTES);
    let edits = [Edit::set("execution_notes", long.clone()), Edit::set("check_results", long.clone()), Edit::set("hooks", long)];
    let changes = here.edit(actor(1), &edits).expect("edit");
    assert_eq!(changes.len(), 3);
    deliver(&changes, actor(1), &mut there);
    assert_eq!(here.fields(), there.fields());
}

#[test]
fn an_edit_beyond_a_limit_names_the_limit_and_changes_nothing() {
    let (mut document, _) = shared(&task());
    let before = document.fields();
    let long = |bytes: usize| "x".repeat(bytes);
    let refused = [
        (vec![Edit::content(&long(MAX_CONTENT_BYTES + 1))], "131072"),
        (vec![Edit::content(&"\n".repeat(MAX_LINES))], "4096"),
        (vec![Edit::set("title", long(MAX_TEXT_BYTES + 1))], "131072"),
        (vec![Edit::add("labels", &long(MAX_ENTRY_BYTES + 1))], "256"),
        (vec![Edit::add("labels", "")], "1 to"),
        (vec![Edit::set("content", "x")], "content"),
        (vec![Edit::set("Title", "x")], "lower-case"),
        (vec![Edit::set("blocked_by/T", true)], "lower-case"),
        (vec![Edit::set("", "x")], "lower-case"),
        (vec![Edit::set("title", "x"); MAX_EDITS + 1], "1024"),
    ];
    for (edits, limit) in refused {
        let error = document.edit(actor(1), &edits).expect_err(limit).to_string();
        assert!(error.contains(limit), "{error}");
    }
    assert_eq!(document.fields(), before);
    let big = Fields::default().with("hooks", long(MAX_TEXT_BYTES)).with("checks", long(MAX_TEXT_BYTES));
    assert!(matches!(Document::create(actor(1), &big), Err(EditError::TooLarge(2))));
}

#[test]
fn a_refused_change_leaves_the_document_as_it_was() {
    let (mut here, mut there) = shared(&task());
    let first = here.edit(actor(1), &[Edit::set("title", "a")]).expect("edit").remove(0);
    let second = here.edit(actor(1), &[Edit::set("title", "b")]).expect("edit").remove(0);
    let before = there.save();
    assert!(matches!(there.admit(&second, actor(1)), Err(Refused::Missing(_))));
    assert_eq!(there.save(), before);
    there.admit(&first, actor(1)).expect("admit");
    there.admit(&first, actor(1)).expect("a repeated change is harmless");
    there.admit(&second, actor(1)).expect("admit");
    assert_eq!(there.fields(), here.fields());
}

#[test]
fn an_author_edits_on_after_others_have() {
    let (mut here, mut there) = shared(&task());
    let a = here.edit(actor(1), &[Edit::set("title", "a")]).expect("edit");
    deliver(&a, actor(1), &mut there);
    let b = there.edit(actor(2), &[Edit::set("title", "b")]).expect("edit");
    deliver(&b, actor(2), &mut here);
    let c = here.edit(actor(1), &[Edit::set("title", "c")]).expect("edit");
    deliver(&c, actor(1), &mut there);
    assert_eq!(there.fields().text("title"), Some("c"));
}

#[test]
fn a_damaged_stored_document_is_an_error() {
    let bytes = shared(&task()).0.save();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x20;
        assert!(Document::load_stored(&damaged).is_err(), "byte {at}");
    }
    assert!(Document::load_stored(&bytes[..bytes.len() / 2]).is_err());
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        "\\PC{0,12}".prop_map(Value::Text)
    ]
}

fn body() -> impl Strategy<Value = Option<String>> {
    proptest::option::of(
        vec(prop_oneof![Just("a"), Just("b"), Just("c"), Just(""), Just("long line ✓")], 1..12).prop_map(|lines| lines.join("\n")),
    )
}

fn fields() -> impl Strategy<Value = Fields> {
    let lists = proptest::collection::btree_map("[a-c]", proptest::collection::btree_set("[a-d/]{1,2}", 1..3), 0..3);
    (proptest::collection::btree_map("[d-g_0-9]{0,2}", value(), 0..6), body(), lists).prop_map(|(scalars, content, lists)| {
        let scalars = scalars.into_iter().map(|(name, value)| (format!("f{name}"), value)).collect();
        Fields { scalars, content, lists }
    })
}

/// Few names and entries, so that edits meet.
fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        ("[a-b]", value()).prop_map(|(field, value)| Edit::Set { field, value }),
        body().prop_map(Edit::Content),
        ("[l-m]", "[x-z]").prop_map(|(list, entry)| Edit::Add { list, entry }),
        ("[l-m]", "[x-z]").prop_map(|(list, entry)| Edit::Remove { list, entry }),
    ]
}

/// Makes `edits` on a copy and returns the changes.
fn changes(document: &Document, actor: Actor, edits: &[Vec<Edit>]) -> Vec<(Actor, Vec<u8>)> {
    let mut document = document.clone();
    edits.iter().flat_map(|edits| document.edit(actor, edits).expect("edit")).map(|change| (actor, change)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        // Not there while no case has failed: the first failure makes it, and it is committed with what mends it.
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("tests/document.proptest-regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_is_written_is_read(fields in fields()) {
        let (document, change) = Document::create(actor(1), &fields).expect("create");
        prop_assert_eq!(&document.fields(), &fields);
        let mut there = Document::empty();
        there.admit(&change, actor(1)).expect("admit");
        prop_assert_eq!(&there.fields(), &fields);
        prop_assert_eq!(&Document::load_stored(&there.save()).expect("load").fields(), &fields);
    }

    #[test]
    fn every_document_that_edits_build_passes_the_gate_and_loads(start in fields(), rounds in vec((1u8..4, vec(edit(), 0..5)), 0..12)) {
        let (mut here, mut there) = shared(&start);
        for (author, edits) in rounds {
            let changes = here.edit(actor(author), &edits).expect("edit");
            deliver(&changes, actor(author), &mut there);
            prop_assert_eq!(here.fields(), there.fields());
            prop_assert_eq!(Document::load_stored(&there.save()).expect("load").fields(), here.fields());
        }
    }

    #[test]
    fn concurrent_edits_merge_to_equal_fields_whatever_the_order(
        start in fields(),
        a in vec(vec(edit(), 1..4), 0..4),
        b in vec(vec(edit(), 1..4), 0..4),
        c in vec(vec(edit(), 1..4), 0..4),
        picks in vec(any::<prop::sample::Index>(), 40),
    ) {
        let (base, _) = shared(&start);
        let branches = [changes(&base, actor(2), &a), changes(&base, actor(3), &b), changes(&base, actor(4), &c)];
        let mut in_turn = base.clone();
        for (actor, change) in branches.concat() {
            in_turn.admit(&change, actor).expect("admit");
        }
        let mut mixed = base.clone();
        let mut left: Vec<_> = branches.map(Vec::into_iter).into();
        for pick in picks {
            let at = pick.index(left.len());
            if let Some((actor, change)) = left[at].next() {
                mixed.admit(&change, actor).expect("admit");
            }
        }
        for (actor, change) in left.into_iter().rev().flatten() {
            mixed.admit(&change, actor).expect("admit");
        }
        prop_assert_eq!(in_turn.fields(), mixed.fields());
        prop_assert_eq!(in_turn.heads(), mixed.heads());
        prop_assert_eq!(Document::load_stored(&mixed.save()).expect("load").fields(), mixed.fields());
    }
}
