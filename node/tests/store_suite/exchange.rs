//! Stores of one cluster that act apart and exchange their records in any order agree on everything.

use std::collections::BTreeSet;

use octopoid_crdt::document::{Document, Edit, Fields};
use octopoid_crdt::ids::Name;
use octopoid_crdt::record::{Body, Cause, Queue};
use octopoid_node::ops::claim::{Claimant, Holds, claim, release};
use octopoid_node::ops::finish::{Submission, submit};
use octopoid_node::ops::judge::{Move, accept, delete, move_to, reject};
use octopoid_node::ops::members::{Roles, remove, set_policy};
use octopoid_node::ops::{Expect, Refused};
use octopoid_node::store::{Store, TaskNo, TaskRow, Unit};

use crate::cluster::{Portable, admit, assert_sound, bring, cluster, outside, receive_in_any_order, records, twin_of};
use crate::world::{Random, block_on, plain};

const IDS: [&str; 5] = ["a", "b", "c", "d", "e"];
const COLLECTIONS: [&str; 2] = ["roles", "messages"];
const DOCUMENTS: [&str; 1] = ["project"];

fn scope() -> Name {
    "default".parse().expect("scope")
}

fn is_listed(unit: &mut Unit<'_>, no: TaskNo) -> bool {
    unit.row(no).expect("row").listed
}

/// Makes a task whatever is known of its id, as nodes do that know nothing of each other.
fn create(unit: &mut Unit<'_>, id: &str, fields: &Fields) -> Result<(), Refused> {
    let (document, change) = Document::create(unit.actor(), fields).expect("document");
    unit.create((&scope(), &id.parse().expect("id")), document, change, None)?;
    Ok(())
}

fn project(unit: &mut Unit<'_>, id: &str, title: String, gone: bool) -> Result<(), Refused> {
    let known = unit.find_document("project", "default", id)?;
    match known {
        Some(no) if is_listed(unit, no) && gone => drop(unit.write(no, Body::DocDelete { by: "me".to_owned() })?),
        Some(no) if is_listed(unit, no) => unit.edit(no, &[Edit::set("title", title.as_str()), Edit::content(&title)])?.expect("edited"),
        Some(_) | None => {
            let (document, change) = Document::create(unit.actor(), &Fields::default().with("title", title)).expect("document");
            unit.create_document(("project", &scope(), id), document, change)?;
        }
    }
    Ok(())
}

/// One random deed of a node. Whether it is refused does not matter.
fn act(store: &Store, random: &mut Random, step: u64) {
    let id = (*random.pick(&IDS)).to_owned();
    let other = (*random.pick(&IDS)).to_owned();
    let deed = random.below(19);
    let text = format!("{step}-{}", random.below(3));
    let done = store.write(move |unit| -> Result<(), Refused> {
        let Some(no) = unit.find("default", &id)? else { return create(unit, &id, &plain(&text, "P1", &[])) };
        match deed {
            0 if !is_listed(unit, no) => create(unit, &id, &plain(&text, "P2", &[]))?,
            1 => create(unit, &id, &plain(&text, "P0", &[other]))?,
            2 | 3 => unit.edit(no, &[Edit::set("title", text.as_str())])?.expect("edited"),
            4 => unit.edit(no, &[Edit::content(&format!("{text}\ndo it\nand more"))])?.expect("edited"),
            5 | 6 => unit.edit(no, &[Edit::add("blocked_by", &other)])?.expect("edited"),
            7 => unit.edit(no, &[Edit::remove("blocked_by", &other)])?.expect("edited"),
            8..=10 => {
                let claimant = Claimant { agent: text, orchestrator: "here".to_owned(), ttl_seconds: 300, ..Claimant::default() };
                claim(unit, no, &claimant)?;
            }
            11 => drop(release(unit, no, &Holds::default(), Cause::GivenBack, "")?),
            12 => drop(submit(unit, no, &Holds::default(), &Expect::default(), &Submission::default())?),
            13 => drop(accept(unit, no, None, "me", "")?),
            14 => drop(reject(unit, no, None, "me", &text)?),
            15 => drop(delete(unit, no, "me", "")?),
            16 => {
                let step = Move { queue: Queue::Backlog, cause: Cause::Edit, by: "me".to_owned(), reason: String::new(), keep: None };
                move_to(unit, no, step)?;
            }
            17 => project(unit, &id, text, other == "a")?,
            _ => drop(unit.put("roles", &scope(), &id, (other != "a").then_some(format!("\"{text}\"")))?),
        }
        Ok(())
    });
    let _refused_or_not = block_on(done).expect("store");
}

/// How often what the stores agree on was of each kind, to see that they do not agree on little.
#[derive(Debug, Default)]
struct Tally {
    claimed: usize,
    submitted: usize,
    done: usize,
    gone: usize,
    contested: usize,
    cut: usize,
    knotted: usize,
    projects: usize,
    items: usize,
}

impl Tally {
    fn count(&mut self, agreed: &Portable) {
        for (row, _) in &agreed.tasks {
            let of = |is: bool| usize::from(is);
            self.claimed += of(row.queue == "claimed");
            self.submitted += of(row.queue == "provisional");
            self.done += of(row.queue == "done");
            self.gone += of(!row.listed);
            self.contested += of(row.contested);
            self.cut += of(!row.cut.is_empty());
            self.knotted += of(row.knotted);
        }
        self.projects += agreed.documents.len();
        self.items += agreed.items.len();
    }

    fn assert_all(&self) {
        let Self { claimed, submitted, done, gone, contested, cut, knotted, projects, items } = self;
        let counts = [claimed, submitted, done, gone, contested, cut, knotted, projects, items];
        assert!(counts.into_iter().all(|count| *count > 0), "the schedules show too little: {self:?}");
    }
}

/// The edges that the rule cuts, found by trying every path: those whose blocker leads back to the task over smaller ones.
fn cuts(agreed: &Portable) -> Vec<(String, Vec<String>)> {
    let known: BTreeSet<&str> = agreed.tasks.iter().map(|(row, _)| row.id.as_str()).collect();
    let of = |row: &TaskRow| row.blocked_by.iter().map(|blocker| (row.id.clone(), blocker.clone())).collect::<Vec<_>>();
    let edges: Vec<(String, String)> =
        agreed.tasks.iter().flat_map(|(row, _)| of(row)).filter(|(_, blocker)| known.contains(blocker.as_str())).collect();
    fn leads(edges: &[(String, String)], from: &str, to: &str, below: &(String, String), visited: &mut Vec<String>) -> bool {
        if from == to {
            return true;
        }
        visited.push(from.to_owned());
        let next = edges.iter().filter(|edge| edge.0 == from && *edge < below);
        next.into_iter().any(|edge| !visited.contains(&edge.1) && leads(edges, &edge.1, to, below, &mut visited.clone()))
    }
    let cut =
        |row: &TaskRow| of(row).into_iter().filter(|edge| edges.contains(edge) && leads(&edges, &edge.1, &edge.0, edge, &mut Vec::new()));
    agreed.tasks.iter().map(|(row, _)| (row.id.clone(), cut(row).map(|(_, blocker)| blocker).collect())).collect()
}

fn run(seed: u64, removal: bool, tally: &mut Tally) {
    let mut random = Random::new(seed);
    let mut stores = cluster(3, &mut random);
    // A copied key that is in use twice, in one session even.
    let twin = twin_of(stores.last().expect("a store"), 4);
    bring(&stores[0], &twin);
    stores.push(twin);
    let acting = if seed.is_multiple_of(2) { 4 } else { 5 };
    for step in 0..70 {
        let at = usize::try_from(random.below(acting)).expect("index");
        act(&stores[at], &mut random, step);
        if random.percent(12) {
            let (from, to) = (random.below(acting), random.below(acting));
            bring(&stores[usize::try_from(from).expect("index")], &stores[usize::try_from(to).expect("index")]);
        }
        if removal && step == 40 {
            let key = stores[3].me();
            block_on(stores[0].write(move |unit| remove(unit, &key, ""))).expect("store").expect("removed");
        }
        if removal && seed.is_multiple_of(3) && step == 55 {
            let roles = Roles { authority: Some(stores[1].me()), integrator: stores[1].me() };
            block_on(stores[0].write(move |unit| set_policy(unit, roles))).expect("store").expect("set");
        }
        if removal && seed.is_multiple_of(2) && step == 60 {
            admit(&stores[0], stores[3].me(), octopoid_crdt::record::Access::Worker, "again");
        }
    }
    // A sixth store that saw nothing so far.
    let fresh = outside(50, stores[0].cluster(), &mut random);
    let mut all: Vec<_> = stores.iter().flat_map(records).collect();
    all.sort_by_key(octopoid_crdt::record::Verified::id);
    all.dedup();
    for store in stores.iter().chain([&fresh]) {
        receive_in_any_order(store, all.clone(), &mut random);
    }
    let expected = Portable::of(&stores[0], &COLLECTIONS, &DOCUMENTS);
    assert_sound(&stores[0], &format!("seed {seed}"));
    tally.count(&expected);
    let cut: Vec<_> = expected.tasks.iter().map(|(row, _)| (row.id.clone(), row.cut.clone())).collect();
    assert_eq!(cut, cuts(&expected), "seed {seed}");
    for (index, store) in stores.iter().chain([&fresh]).enumerate().skip(1) {
        let found = Portable::of(store, &COLLECTIONS, &DOCUMENTS);
        assert_eq!(found.members, expected.members, "seed {seed}, store {index}");
        for (found, expected) in found.tasks.iter().zip(&expected.tasks) {
            assert_eq!(found, expected, "seed {seed}, store {index}");
        }
        assert_eq!(found, expected, "seed {seed}, store {index}");
        assert_sound(store, &format!("seed {seed}, store {index}"));
    }
    for store in stores {
        store.close();
    }
}

#[test]
fn stores_that_exchange_all_records_in_any_order_and_chunks_agree_on_everything() {
    let mut tally = Tally::default();
    for seed in 0..8 {
        run(seed, false, &mut tally);
    }
    tally.assert_all();
}

#[test]
fn they_agree_too_when_a_member_is_removed_and_let_in_again_and_an_authority_is_named_meanwhile() {
    let mut tally = Tally::default();
    for seed in 100..112 {
        run(seed, true, &mut tally);
    }
    tally.assert_all();
}
