//! The gate's verdicts on committed bytes and on directed attacks.
//!
//! `golden/gate/verdicts.txt` names a file, who is to have written it, and the verdict of gate version 1. The bytes were
//! made by [`cases`]; `OCTOPOID_GOLDEN_WRITE=1` writes files that are missing, and never changes one that is there.

mod chunk;

use std::{fs, path::PathBuf};

use automerge::{ActorId, Automerge, ObjType, ROOT, ScalarValue, transaction::Transactable};
use chunk::{Chunk, actor, frame, hash, signed, unsigned};
use octopoid_crdt::document::{
    Actor, Document, Edit, Fields, GATE_VERSION, GateVerdict, History, LeftOut, Reason, Refused, Standing, Value,
    gate::{MAX_CHANGE_BYTES, Stage, in_trial},
};

/// Keeps panics that the gate contains out of the tests' output.
fn quiet() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !in_trial() {
                loud(info);
            }
        }));
    });
}

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "golden", "gate"].iter().collect()
}

fn base() -> (Document, Vec<u8>) {
    let fields = Fields::default().with("title", "Add login").with_content("one\ntwo").with_entry("blocked_by", "T-1");
    Document::create(actor(1), &fields).expect("create")
}

/// A good edit of the base by actor 2, to be spoilt.
fn edited(edits: &[Edit]) -> Chunk {
    Chunk::parse(&base().0.edit(actor(2), edits).expect("edit")[0])
}

fn spoilt(spoil: impl FnOnce(&mut Chunk)) -> Vec<u8> {
    let mut chunk = edited(&[Edit::set("title", "x"), Edit::content("one\n2")]);
    spoil(&mut chunk);
    chunk.build()
}

/// A change that automerge itself writes, with operations that no edit of ours makes.
fn foreign(write: impl FnOnce(&mut automerge::transaction::Transaction<'_>)) -> Vec<u8> {
    let mut doc = Automerge::new();
    doc.apply_changes([automerge::Change::try_from(base().1.as_slice()).expect("change")]).expect("apply");
    doc.set_actor(ActorId::from(actor(2).bytes()));
    let mut tx = doc.transaction();
    write(&mut tx);
    tx.commit();
    doc.get_last_local_change().expect("change").raw_bytes().to_vec()
}

/// One run of `count` times `value`.
fn run(count: i64, value: &[u8]) -> Vec<u8> {
    [signed(count), value.to_vec()].concat()
}

/// A deflated stream of `megabytes` of zeros, a hundred and sixty times smaller.
fn zeros(megabytes: usize) -> Vec<u8> {
    // A fixed-Huffman block: one literal zero, then matches of length 258 at distance 1, written least bit first.
    let (mut out, mut bits, mut held) = (Vec::new(), 0u32, 0u32);
    let mut push = |value: u32, n: u32, out: &mut Vec<u8>| {
        bits |= value << held;
        held += n;
        while held >= 8 {
            out.push(bits as u8);
            bits >>= 8;
            held -= 8;
        }
    };
    push(0b011, 3, &mut out);
    push(0b0000_1100, 8, &mut out);
    for _ in 0..megabytes * 1024 * 1024 / 258 {
        push(0b1010_0011, 8, &mut out);
        push(0, 5, &mut out);
    }
    push(0, 7, &mut out);
    push(0, 8, &mut out);
    out
}

/// Name, author and bytes of every golden case.
fn cases() -> Vec<(&'static str, u8, Vec<u8>)> {
    let actors = |n: u16| (0..n).map(|n| [n.to_be_bytes().to_vec(), vec![9; 46]].concat()).collect::<Vec<_>>();
    let hashes = |n: u16| (0..n).map(|n| [n.to_be_bytes().to_vec(), vec![0; 30]].concat()).collect::<Vec<_>>();
    let bomb = Chunk {
        columns: vec![
            (21, run(10_000_000, &[1, b'a'])),
            (52, unsigned(10_000_000)),
            (66, run(10_000_000, &[1])),
            (86, run(10_000_000, &[0])),
            (112, run(10_000_000, &[0])),
        ],
        ..spoilt_parts()
    };
    let keys = Chunk {
        columns: vec![(21, run(16_384, &[unsigned(1_024), vec![b'k'; 1_024]].concat())), (66, run(16_384, &[1]))],
        ..spoilt_parts()
    };
    vec![
        ("edit", 2, spoilt(|_| ())),
        ("ten_million_operations", 2, bomb.build()),
        ("deflated_chunk", 2, frame(2, &zeros(4))),
        ("deflated_column", 2, spoilt(|chunk| chunk.columns[2] = (chunk.columns[2].0 | 8, zeros(2)))),
        ("document_chunk", 2, base().0.save()),
        ("bundle_chunk", 2, spoilt(|chunk| chunk.kind = 3)),
        ("greatest_start_op", 2, spoilt(|chunk| chunk.start_op = u64::from(u32::MAX))),
        ("start_op_of_the_past", 2, spoilt(|chunk| chunk.start_op -= 1)),
        ("skipped_seq", 2, spoilt(|chunk| chunk.seq = 2)),
        ("many_actors", 2, spoilt(|chunk| chunk.others = actors(256))),
        ("short_actor", 2, spoilt(|chunk| chunk.others = vec![vec![1; 16]])),
        ("many_deps", 2, spoilt(|chunk| chunk.deps = hashes(257))),
        ("repeated_dep", 2, spoilt(|chunk| chunk.deps.push(chunk.deps[0].clone()))),
        ("author_of_another_record", 3, spoilt(|_| ())),
        ("long_keys_in_a_run", 2, keys.build()),
        ("many_predecessors", 2, spoilt(|chunk| *chunk.column(112) = run(5, &unsigned(1 << 40)))),
        ("endless_values", 2, spoilt(|chunk| *chunk.column(86) = run(5, &unsigned(!0xf | 6)))),
        ("repeated_column", 2, spoilt(|chunk| chunk.columns.insert(1, chunk.columns[1].clone()))),
        ("unknown_column", 2, spoilt(|chunk| chunk.columns.push((181, vec![1])))),
        ("footer", 2, spoilt(|chunk| chunk.footer = vec![1, 1, 1])),
        ("number_in_a_long_form", 2, spoilt(|chunk| *chunk.column(52) = vec![0x85, 0x00])),
        ("wrong_checksum", 2, [&spoilt(|_| ())[..4], &[0; 4], &spoilt(|_| ())[8..]].concat()),
        ("time", 2, spoilt(|chunk| chunk.time = i64::MIN)),
        ("message", 2, spoilt(|chunk| chunk.message = b"hello".to_vec())),
        ("counter", 2, foreign(|tx| tx.put(ROOT, "turns_used", ScalarValue::counter(i64::MAX)).expect("put"))),
        ("text_object", 2, foreign(|tx| drop(tx.put_object(ROOT, "content", ObjType::Text).expect("put")))),
        ("list_with_a_value", 2, list_with_a_value()),
        ("invalid_text", 2, spoilt(|chunk| chunk.column(87)[0] = 0xff)),
        ("predecessor_that_never_was", 2, spoilt(|chunk| *chunk.column(115) = [signed(-2), signed(40), signed(1)].concat())),
        ("line_after_one_that_never_was", 2, dangling(&foreign(|tx| insert_line(tx, 1)))),
        ("fields_of_wrong_types", 2, foreign(wrong_types)),
    ]
}

fn spoilt_parts() -> Chunk {
    edited(&[Edit::set("title", "x"), Edit::content("one\n2")])
}

fn insert_line(tx: &mut automerge::transaction::Transaction<'_>, at: usize) {
    let (_, list) = automerge::ReadDoc::get(tx, ROOT, "content").expect("get").expect("content");
    tx.insert(&list, at, "new").expect("insert");
}

/// Moves an insertion behind a line that does not exist.
fn dangling(change: &[u8]) -> Vec<u8> {
    let mut chunk = Chunk::parse(change);
    *chunk.column(19) = [signed(-1), signed(60)].concat();
    chunk.build()
}

/// Turns setting a new field to 5 into making a list, with the 5 still there.
fn list_with_a_value() -> Vec<u8> {
    let mut chunk = Chunk::parse(&foreign(|tx| tx.put(ROOT, "plan", 5).expect("put")));
    *chunk.column(66) = [signed(-1), vec![2]].concat();
    chunk.build()
}

fn wrong_types(tx: &mut automerge::transaction::Transaction<'_>) {
    tx.put(ROOT, "turns_used", 1.5).expect("put");
    tx.put(ROOT, "content", "no list").expect("put");
    tx.put(ROOT, "labels/a", "not true").expect("put");
    tx.put(ROOT, "hooks", ScalarValue::Bytes(vec![1])).expect("put");
    tx.put_object(ROOT, "title", ObjType::Map).expect("put");
}

/// Gives a change to a node that holds the base.
fn verdict(change: &[u8], author: u8) -> GateVerdict {
    let mut history = History::default();
    history.insert(&base().1, actor(1)).expect("base");
    match history.insert(change, actor(author)).map(|hash| history.standing(&hash)) {
        Ok(Standing::Judged(verdict)) => verdict,
        Ok(Standing::Waiting) => panic!("the base is all that a case builds on"),
        Err(reason) => GateVerdict::Quarantined(reason),
    }
}

fn word(verdict: GateVerdict) -> &'static str {
    match verdict {
        GateVerdict::Admitted => "admitted",
        GateVerdict::Quarantined(reason) => reason.code(),
    }
}

#[test]
fn golden_changes_have_their_golden_verdicts() {
    quiet();
    assert_eq!(GATE_VERSION, 1, "a new version of the gate needs new golden verdicts beside these");
    if std::env::var_os("OCTOPOID_GOLDEN_WRITE").is_some() {
        for (name, _, bytes) in cases() {
            let path = folder().join(format!("{name}.change"));
            if !path.exists() {
                fs::write(path, bytes).expect("write");
            }
        }
    }
    let table = fs::read_to_string(folder().join("verdicts.txt")).expect("verdicts.txt");
    let rows: Vec<Vec<&str>> = table.lines().filter(|line| !line.starts_with('#')).map(|line| line.split_whitespace().collect()).collect();
    let found: Vec<Vec<&str>> = rows
        .iter()
        .map(|row| {
            let [name, author, _] = row.as_slice() else { panic!("a row has a name, an author and a verdict: {row:?}") };
            let change = fs::read(folder().join(format!("{name}.change"))).expect(name);
            vec![*name, *author, word(verdict(&change, author.parse().expect("author")))]
        })
        .collect();
    assert_eq!(found, rows);
    let named: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    let made: Vec<&str> = cases().iter().map(|(name, ..)| *name).collect();
    assert_eq!(named, made, "every case has a golden verdict");
}

#[test]
fn bombs_are_refused_before_automerge_sees_them() {
    quiet();
    for bomb in [
        "ten_million_operations",
        "deflated_chunk",
        "deflated_column",
        "greatest_start_op",
        "long_keys_in_a_run",
        "many_predecessors",
        "endless_values",
        "many_actors",
        "many_deps",
    ] {
        let change = fs::read(folder().join(format!("{bomb}.change"))).expect(bomb);
        let GateVerdict::Quarantined(reason) = verdict(&change, 2) else { panic!("{bomb} is admitted") };
        assert_eq!(reason.stage(), Stage::Scan, "{bomb}");
    }
    assert_eq!(verdict(&vec![0; MAX_CHANGE_BYTES + 1], 2), GateVerdict::Quarantined(Reason::Size));
}

#[test]
fn every_reason_has_a_word_of_its_own() {
    for reason in Reason::ALL {
        assert_eq!(Reason::from_code(reason.code()), Some(*reason));
    }
    assert_eq!(Reason::from_code("admitted"), None);
}

#[test]
fn fields_of_wrong_types_read_as_null_and_can_be_set_right() {
    let mut document = base().0;
    document.admit(&foreign(wrong_types), actor(2)).expect("admit");
    let fields = document.fields();
    for field in ["turns_used", "hooks", "title"] {
        assert_eq!(fields.get(field), &Value::Null, "{field}");
    }
    assert_eq!(fields.content, None);
    assert_eq!(fields.entries("labels").count(), 0);
    document.edit(actor(1), &[Edit::set("title", "right"), Edit::content("a\nb"), Edit::add("labels", "a")]).expect("edit");
    assert_eq!(document.fields().text("title"), Some("right"));
    assert_eq!(document.fields().content.as_deref(), Some("a\nb"));
    assert_eq!(document.fields().entries("labels").collect::<Vec<_>>(), ["a"]);
}

#[test]
fn a_field_of_a_later_version_survives_the_edits_of_this_one() {
    let mut document = base().0;
    let later = foreign(|tx| {
        let map = tx.put_object(ROOT, "plan", ObjType::Map).expect("put");
        tx.put(&map, "steps", 3).expect("put");
        tx.put(ROOT, "cost", 12).expect("put");
    });
    document.admit(&later, actor(2)).expect("admit");
    document.edit(actor(1), &[Edit::set("title", "x"), Edit::content("y")]).expect("edit");
    let loaded = Automerge::load(&document.save()).expect("load");
    let (_, map) = automerge::ReadDoc::get(&loaded, ROOT, "plan").expect("get").expect("plan");
    assert_eq!(automerge::ReadDoc::get(&loaded, &map, "steps").expect("get").and_then(|(value, _)| value.as_i64()), Some(3));
    assert_eq!(document.fields().int("cost"), Some(12));
}

#[test]
fn deeply_nested_objects_do_not_exhaust_the_stack() {
    let change = foreign(|tx| {
        let mut parent = ROOT;
        for _ in 0..8_000 {
            parent = tx.put_object(&parent, "a", ObjType::Map).expect("put");
        }
    });
    // A thread with the stack that Rust gives its threads, smaller than a main thread's.
    let judged = std::thread::spawn(move || verdict(&change, 2)).join().expect("no overflow");
    assert_eq!(judged, GateVerdict::Admitted);
}

/// Two edits of the base by one actor, with one number.
fn forked() -> [Vec<u8>; 2] {
    ["left", "right"].map(|title| base().0.edit(actor(2), &[Edit::set("title", title)]).expect("edit").remove(0))
}

fn history(changes: &[(&[u8], Actor)]) -> History {
    let mut history = History::default();
    for (change, actor) in changes {
        history.insert(change, *actor).expect("insert");
    }
    history
}

#[test]
fn of_two_changes_with_one_number_the_one_that_others_built_on_is_shown() {
    let create = base().1;
    let [left, right] = forked();
    for (kept, dropped) in [(&left, &right), (&right, &left)] {
        let mut document = base().0;
        document.admit(kept, actor(2)).expect("admit");
        let built = document.edit(actor(3), &[Edit::set("role", "fix")]).expect("edit").remove(0);
        let all =
            [(create.as_slice(), actor(1)), (kept.as_slice(), actor(2)), (built.as_slice(), actor(3)), (dropped.as_slice(), actor(2))];
        let (late, early) = (history(&all), history(&[all[0], all[3], all[1], all[2]]));
        assert_eq!(late.document().fields(), document.fields());
        assert_eq!(early.document().fields(), document.fields());
        assert_eq!(late.left_out(), early.left_out());
        assert_eq!(late.left_out().get(&automerge::ChangeHash(hash(dropped))), Some(&LeftOut::Fork));
        assert!(!late.is_read_only());
    }
}

#[test]
fn a_document_that_holds_one_side_of_a_fork_refuses_the_other_without_a_verdict() {
    let [left, right] = forked();
    let mut document = base().0;
    document.admit(&left, actor(2)).expect("admit");
    assert_eq!(document.admit(&right, actor(2)), Err(Refused::Fork(1)));
    assert_eq!(document.fields().text("title"), Some("left"));
}

#[test]
fn a_change_on_both_sides_of_a_fork_is_quarantined_in_any_order() {
    let create = base().1;
    let [left, right] = forked();
    let mut both = edited(&[Edit::set("role", "fix")]);
    both.actor = actor(3).bytes().to_vec();
    both.deps = vec![hash(&left).to_vec(), hash(&right).to_vec()];
    both.deps.sort();
    both.start_op += 1;
    let both = both.build();
    let all = [(create.as_slice(), actor(1)), (left.as_slice(), actor(2)), (right.as_slice(), actor(2)), (both.as_slice(), actor(3))];
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [0, 2, 3, 1]] {
        let history = history(&order.map(|at| all[at]));
        let standing = history.standing(&automerge::ChangeHash(hash(&both)));
        assert_eq!(standing, Standing::Judged(GateVerdict::Quarantined(Reason::Fork)));
    }
}

#[test]
fn what_builds_on_a_quarantined_change_is_quarantined_and_what_builds_on_a_missing_one_waits() {
    quiet();
    let create = base().1;
    let bad = fs::read(folder().join("predecessor_that_never_was.change")).expect("golden");
    let mut child = edited(&[Edit::set("role", "fix")]);
    child.actor = actor(3).bytes().to_vec();
    child.deps = vec![hash(&bad).to_vec(), vec![0xff; 32]];
    let child = child.build();
    let child_hash = automerge::ChangeHash(hash(&child));
    let mut history = history(&[(&create, actor(1)), (&child, actor(3))]);
    assert_eq!(history.standing(&child_hash), Standing::Waiting);
    history.insert(&bad, actor(2)).expect("insert");
    assert_eq!(
        history.standing(&child_hash),
        Standing::Judged(GateVerdict::Quarantined(Reason::Poisoned)),
        "though another dep never came"
    );
    assert_eq!(history.document().fields(), base().0.fields());
}

#[test]
fn changes_that_arrive_backwards_take_effect_when_the_first_is_there() {
    let (mut document, create) = base();
    let mut changes = vec![(create, actor(1))];
    for n in 0..5 {
        changes.extend(
            document
                .edit(actor(n % 2 + 2), &[Edit::set("turns_used", i64::from(n))])
                .expect("edit")
                .into_iter()
                .map(|change| (change, actor(n % 2 + 2))),
        );
    }
    let backwards: Vec<(&[u8], Actor)> = changes.iter().rev().map(|(change, actor)| (change.as_slice(), *actor)).collect();
    assert_eq!(history(&backwards).document().fields(), document.fields());
}
