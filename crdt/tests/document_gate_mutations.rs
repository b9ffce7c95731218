//! Spoilt changes on three nodes: whatever order they arrive in, every node says the same, and its document works.
//!
//! `OCTOPOID_GATE_MUTATIONS` sets how many changes are spoilt, `OCTOPOID_GATE_SEED` which ones.

mod chunk;

use std::collections::BTreeMap;

use chunk::{Chunk, actor, data_start, frame, hash, signed, unsigned};
use octopoid_crdt::{
    document::{Actor, Document, Edit, Fields, GateVerdict, History, Reason, Standing, gate::Stage, gate::in_trial},
    ids::{AuthorKey, SessionId},
};

/// A small generator of numbers, so that a seed names a run.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at + 1));
        }
    }
}

type Change = (Actor, Vec<u8>);

/// One document's good and spoilt changes.
struct Scene {
    changes: Vec<Change>,
    spoilt: usize,
}

fn edits(dice: &mut Dice) -> Vec<Edit> {
    let lines = ["alpha", "beta", "", "gamma delta", "epsilon", "a somewhat longer line with ünïcode"];
    (0..=dice.below(3))
        .map(|_| match dice.below(6) {
            0 => Edit::set("title", dice.pick(&lines)),
            1 => Edit::set("turns_used", dice.next() as i64),
            2 => Edit::set("auto_accept", dice.below(2) == 0),
            3 => Edit::add("blocked_by", dice.pick(&["T-1", "T-2", "T-3"])),
            4 => Edit::remove("blocked_by", dice.pick(&["T-1", "T-2", "T-3"])),
            _ => Edit::content(&(0..dice.below(8)).map(|_| dice.pick(&lines)).collect::<Vec<_>>().join("\n")),
        })
        .collect()
}

/// An actor that has written nothing yet.
fn stranger(dice: &mut Dice) -> Actor {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&dice.next().to_be_bytes());
    Actor { author: AuthorKey(key), session: SessionId([7; 16]) }
}

/// Makes a document that two members edit at once, and `count` spoilt changes at random points of its history.
fn scene(dice: &mut Dice, count: usize) -> Scene {
    let start =
        Fields::default().with("title", "Add login").with("priority", "P2").with_content("one\ntwo\nthree").with_entry("blocked_by", "T-1");
    let (document, create) = Document::create(actor(1), &start).expect("create");
    let mut changes = vec![(actor(1), create)];
    let mut points = vec![document];
    for _ in 0..dice.below(8) {
        let mut point = dice.pick(&points);
        // A member never writes two changes with one number, so each branch has a writer of its own.
        let writer = stranger(dice);
        changes.extend(point.edit(writer, &edits(dice)).expect("edit").into_iter().map(|change| (writer, change)));
        if let Some((writer, change)) = dice.below(2).checked_sub(1).and(changes.last().cloned()) {
            let mut merged = dice.pick(&points);
            if merged.admit(&change, writer).is_ok() {
                points.push(merged);
            }
        }
        points.push(point);
    }
    let good = changes.clone();
    let mut spoilt = 0;
    while spoilt < count {
        let mut point = dice.pick(&points);
        let writer = if dice.below(10) == 0 { good[dice.below(good.len())].0 } else { stranger(dice) };
        let Ok(mut written) = point.edit(writer, &edits(dice)) else { continue };
        let Some(change) = written.pop() else { continue };
        changes.extend(written.into_iter().map(|change| (writer, change)));
        let change = spoil(dice, &change, &changes);
        // What a careless node would build on the spoilt change.
        let mut after = dice.pick(&points);
        if after.admit(&change, writer).is_ok() && dice.below(2) == 0 {
            points.push(after);
        }
        changes.push((writer, change));
        spoilt += 1;
    }
    Scene { changes, spoilt }
}

/// Spoils a change in one to three ways; the checksum is right again unless it is what is spoilt.
fn spoil(dice: &mut Dice, change: &[u8], others: &[Change]) -> Vec<u8> {
    let mut bytes = change.to_vec();
    for _ in 0..=dice.below(3) / 2 {
        bytes = if dice.below(3) == 0 { spoil_bytes(dice, &bytes, others) } else { spoil_parts(dice, change, others) };
    }
    bytes
}

fn spoil_bytes(dice: &mut Dice, change: &[u8], others: &[Change]) -> Vec<u8> {
    let start = data_start(change).min(change.len());
    let mut data = change[start..].to_vec();
    if data.is_empty() {
        return change.to_vec();
    }
    let (at, donor) = (dice.below(data.len()), &others[dice.below(others.len())].1);
    match dice.below(6) {
        0 => data[at] ^= 1 << dice.below(8),
        1 => data[at] = dice.next() as u8,
        2 => data.truncate(at),
        3 => drop(data.splice(at..at, donor[dice.below(donor.len())..].iter().copied().take(1 + dice.below(12)))),
        4 => drop(data.drain(at..(at + 1 + dice.below(6)).min(data.len()))),
        _ => {
            let mut raw = change.to_vec();
            let at = dice.below(raw.len());
            raw[at] ^= 1 << dice.below(8);
            return raw;
        }
    }
    frame(change[8], &data)
}

fn spoil_parts(dice: &mut Dice, change: &[u8], others: &[Change]) -> Vec<u8> {
    let mut parts = Chunk::parse(change);
    let donors: Vec<&Change> = others
        .iter()
        .filter(|(actor, bytes)| bytes.len() > 60 && bytes[8] == 1 && hash(bytes)[..4] == bytes[4..8] && sound(bytes, *actor))
        .collect();
    let donor = Chunk::parse(&donors[dice.below(donors.len())].1);
    let column = dice.below(parts.columns.len());
    match dice.below(16) {
        0 => parts.columns.insert(column, parts.columns[column].clone()),
        1 => parts.columns[column] = dice.pick(&donor.columns),
        2 => {
            let other = dice.below(parts.columns.len());
            let swapped = parts.columns[column].1.clone();
            parts.columns[column].1 = std::mem::replace(&mut parts.columns[other].1, swapped);
        }
        3 => {
            parts.columns[column].1 =
                [signed(dice.pick(&[10_000_000, 20_000, 3, 2, -1, -40, i64::MAX, i64::MIN])), unsigned(dice.next() >> dice.below(64))]
                    .concat()
        }
        4 => drop(parts.columns.remove(column)),
        5 => parts.columns[column].0 = dice.pick(&[1, 2, 17, 19, 21, 52, 66, 86, 87, 112, 113, 115, 148, 165, 8, 60, 120]),
        6 => parts.start_op = dice.pick(&[0, 1, 2, parts.start_op - 1, parts.start_op + 1, u64::from(u32::MAX), u64::MAX]),
        7 => parts.seq = dice.pick(&[0, 1, 2, parts.seq + 1, u64::MAX]),
        8 => {
            let other = dice.pick(others).0.bytes().to_vec();
            parts.actor = dice.pick(&[other, vec![], vec![1; 16]]);
        }
        9 => parts.deps.push(hash(&others[dice.below(others.len())].1).to_vec()),
        10 => parts.deps.push(vec![dice.next() as u8; 32]),
        11 => drop(parts.deps.pop()),
        12 => parts.others = (0..dice.below(4)).map(|_| others[dice.below(others.len())].0.bytes().to_vec()).collect(),
        13 => {
            let at = dice.below(parts.columns[column].1.len());
            if let Some(byte) = parts.columns[column].1.get_mut(at) {
                *byte = byte.wrapping_add(dice.pick(&[1, 255, 2, 64]));
            }
        }
        // What an operation does, and to which object.
        14 => {
            let n = dice.below(9) as u8;
            parts.column(66).iter_mut().for_each(|byte| *byte = if *byte < 0x40 { n } else { *byte });
        }
        _ => parts.time = dice.next() as i64 >> dice.below(64),
    }
    if dice.below(2) == 0 {
        parts.deps.sort();
        parts.deps.dedup();
    }
    parts.build()
}

/// Tells whether a change can be taken apart: its numbers are where they should be.
fn sound(bytes: &[u8], actor: Actor) -> bool {
    let mut document = Document::empty();
    !matches!(document.admit(bytes, actor), Err(octopoid_crdt::document::Refused::Quarantined(reason)) if reason.stage() == Stage::Scan && !matches!(reason, Reason::StartOp | Reason::Seq))
}

/// What one node makes of the changes.
struct Node {
    history: History,
    verdicts: Vec<Result<Standing, Reason>>,
}

fn node(dice: &mut Dice, scene: &Scene) -> Node {
    let mut order: Vec<usize> = (0..scene.changes.len()).collect();
    dice.shuffle(&mut order);
    let mut history = History::default();
    let mut inserted = vec![Err(Reason::Size); order.len()];
    for at in order {
        let (actor, bytes) = &scene.changes[at];
        inserted[at] = history.insert(bytes, *actor);
    }
    let verdicts = inserted.into_iter().map(|hash| hash.map(|hash| history.standing(&hash))).collect();
    Node { history, verdicts }
}

fn check(scene: &Scene, nodes: &[Node; 3]) {
    let [first, rest @ ..] = nodes;
    for node in rest {
        for (at, (ours, theirs)) in first.verdicts.iter().zip(&node.verdicts).enumerate() {
            assert_eq!(ours, theirs, "change {at}: {}", hex::encode(&scene.changes[at].1));
        }
        assert_eq!(first.history.left_out(), node.history.left_out());
        assert_eq!(first.history.document().heads(), node.history.document().heads());
        assert_eq!(first.history.document().fields(), node.history.document().fields());
    }
    for ((_, bytes), verdict) in scene.changes.iter().zip(&first.verdicts) {
        if *verdict == Ok(Standing::Judged(GateVerdict::Admitted)) {
            let change = automerge::Change::try_from(bytes.as_slice()).expect("an admitted change decodes");
            assert_eq!(automerge::Change::from(change.decode()).raw_bytes(), bytes, "an admitted change is canonical");
        }
    }
    for node in nodes {
        let document = node.history.document();
        let mut loaded = Document::load_stored(&document.save()).expect("every stored document loads");
        assert_eq!(loaded.fields(), document.fields());
        loaded.edit(actor(9), &[Edit::set("title", "after all"), Edit::content("new\nbody")]).expect("every document can be edited");
        assert_eq!(loaded.fields().content.as_deref(), Some("new\nbody"));
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn spoilt_changes_get_equal_verdicts_on_three_nodes_and_every_document_loads() {
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !in_trial() {
            loud(info);
        }
    }));
    let (wanted, seed) = (setting("OCTOPOID_GATE_MUTATIONS", 3_000), setting("OCTOPOID_GATE_SEED", 1));
    let mut dice = Dice(seed);
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let (mut done, mut left_out, mut read_only, mut digest) = (0, 0, 0, blake3::Hasher::new());
    while done < wanted {
        let scene = scene(&mut dice, 20);
        let nodes = [node(&mut dice, &scene), node(&mut dice, &scene), node(&mut dice, &scene)];
        check(&scene, &nodes);
        for verdict in &nodes[0].verdicts {
            let word = match verdict {
                Ok(Standing::Waiting) => "waiting",
                Ok(Standing::Judged(GateVerdict::Admitted)) => "admitted",
                Ok(Standing::Judged(GateVerdict::Quarantined(reason))) | Err(reason) => reason.code(),
            };
            digest.update(word.as_bytes());
            *counts.entry(word.to_owned()).or_default() += 1;
        }
        done += scene.spoilt as u64;
        left_out += nodes[0].history.left_out().len();
        read_only += usize::from(nodes[0].history.is_read_only());
    }
    let digest = hex::encode(&digest.finalize().as_bytes()[..8]);
    eprintln!(
        "seed {seed}: {done} spoilt changes; {left_out} left out in use, {read_only} documents read-only; {counts:?}; digest {digest}"
    );
    for word in ["admitted", "waiting", "poisoned", "columns", "start_op", "encoding", "load", "panic"] {
        assert!(counts.contains_key(word), "no change was '{word}', so that verdict is not tested: {counts:?}");
    }
}
