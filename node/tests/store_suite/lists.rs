//! Lists against a filter that looks at every row.

use std::cmp::Reverse;

use octopoid_crdt::document::{Document, Fields};
use octopoid_crdt::record::Queue;
use octopoid_node::ops::claim::{Claimant, claim_next};
use octopoid_node::ops::judge::delete;
use octopoid_node::store::index::Facet;
use octopoid_node::store::{Filter, Sort, Store, TaskRow, WriteFault};

use crate::disk::Disk;
use crate::machine::with_seed;
use crate::world::{Random, add, open};

const SCOPES: &[&str] = &["default", "other"];
const QUEUES: &[&str] = &["incoming", "claimed", "failed", "backlog", "done"];
const PRIORITIES: &[&str] = &["P0", "P1", "P2", "P3"];
const ROLES: &[&str] = &["implement", "test"];
const KINDS: &[&str] = &["bug", "chore"];
const PROJECTS: &[&str] = &["p1", "p2"];
const AGENTS: &[&str] = &["ada", "bob"];

async fn fill(store: &Store, random: &mut Random, tasks: u64) {
    for number in 0..tasks / 8 {
        // What is created in one commit is created at one time, so that ties are the rule.
        let made = (0..8).map(|part| {
            let mut fields = Fields::default().with("title", "t");
            // Mostly alike, so that ties within one bucket are the rule too.
            for (field, values, chance) in
                [("priority", PRIORITIES, 20), ("role", ROLES, 20), ("type", KINDS, 10), ("project_id", PROJECTS, 80)]
            {
                if random.percent(chance) {
                    fields = fields.with(field, *random.pick(values));
                }
            }
            if random.percent(10) {
                fields = fields.with("needs_intervention", true);
            }
            let rare = [Queue::Failed, Queue::Backlog, Queue::Done];
            let queue = if random.percent(20) { random.pick(&rare).clone() } else { Queue::Incoming };
            (*random.pick(&["default", "default", "default", "other"]), format!("{}-{number}{part}", random.below(90)), queue, fields)
        });
        let made: Vec<_> = made.collect();
        let adds: Vec<_> = made.iter().map(|(scope, id, queue, fields)| add(store, scope, id, queue.clone(), fields)).collect();
        let mut adds = adds.into_iter();
        let mut next = || adds.next().expect("eight of them");
        let (a, b, c, d, e, f, g, h) = tokio::join!(next(), next(), next(), next(), next(), next(), next(), next());
        for answer in [a, b, c, d, e, f, g, h] {
            let made = answer.expect("store").expect("created");
            if random.percent(10) {
                store.write(move |unit| delete(unit, made.no, "me", "")).await.expect("store").expect("deleted");
            }
        }
    }
    for _ in 0..tasks / 5 {
        let claimant = Claimant {
            agent: (*random.pick(AGENTS)).to_owned(),
            ttl_seconds: 300,
            queue: "incoming".to_owned(),
            scope: (*random.pick(SCOPES)).to_owned(),
            ..Claimant::default()
        };
        store.write(move |unit| claim_next(unit, &claimant)).await.expect("store").expect("claim");
    }
}

fn some(random: &mut Random, values: &[&str]) -> Vec<String> {
    if random.percent(50) { Vec::new() } else { (0..=random.below(2)).map(|_| (*random.pick(values)).to_owned()).collect() }
}

fn random_filter(random: &mut Random) -> Filter {
    let facet = |random: &mut Random| match random.below(3) {
        0 => Some((Facet::Project, vec![(*random.pick(PROJECTS)).to_owned(), (*random.pick(PROJECTS)).to_owned()])),
        1 => Some((Facet::ClaimedBy, vec![(*random.pick(AGENTS)).to_owned()])),
        _ => None,
    };
    let first = facet(random);
    // A second facet stands beside a first one.
    let also = if first.is_some() { facet(random) } else { None };
    Filter {
        scopes: some(random, SCOPES),
        queues: some(random, QUEUES),
        priorities: some(random, PRIORITIES),
        roles: some(random, ROLES),
        kinds: some(random, KINDS),
        needs_intervention: random.percent(30).then(|| random.percent(50)),
        ready: random.percent(20).then(|| random.percent(50)),
        facet: first,
        also,
    }
}

fn takes(filter: &Filter, row: &TaskRow) -> bool {
    let among = |values: &[String], value: &str| values.is_empty() || values.iter().any(|wanted| wanted == value);
    let under = |facet: &Option<(Facet, Vec<String>)>| match facet {
        Some((Facet::Project, values)) => row.text("project_id").is_some_and(|project| among(values, project)),
        Some((_, values)) => row.claimed_by().is_some_and(|agent| among(values, agent)),
        None => true,
    };
    row.listed
        && among(&filter.scopes, &row.scope)
        && among(&filter.queues, &row.queue)
        && among(&filter.priorities, row.priority())
        && among(&filter.roles, row.text("role").unwrap_or_default())
        && among(&filter.kinds, row.text("type").unwrap_or_default())
        && filter.needs_intervention.is_none_or(|wanted| row.flag("needs_intervention") == wanted)
        && filter.ready.is_none_or(|wanted| row.ready == wanted)
        && under(&filter.facet)
        && under(&filter.also)
}

#[tokio::test]
async fn every_page_of_every_filter_is_that_of_a_look_at_all_rows() {
    for seed in 0..6 {
        let mut random = Random::new(seed);
        let store = open(&Disk::default(), &mut random).expect("store");
        fill(&store, &mut random, 64).await;
        let reader = store.reader().expect("reader");
        let all = reader.ids_with_prefix("", usize::MAX).expect("ids");
        let rows: Vec<TaskRow> = all.iter().map(|(_, _, no)| reader.row(*no).expect("read").expect("row")).collect();
        with_seed(seed, |_| {
            for _ in 0..300 {
                let filter = random_filter(&mut random);
                let sort = *random.pick(&[Sort::Newest, Sort::Priority]);
                let (offset, limit) = (random.below(30), random.below(20));
                let mut right: Vec<&TaskRow> = rows.iter().filter(|row| takes(&filter, row)).collect();
                match sort {
                    Sort::Newest => right.sort_by_key(|row| (Reverse(row.created_ms), row.id.clone())),
                    Sort::Priority => right.sort_by_key(|row| (row.priority().to_owned(), row.created_ms, row.id.clone())),
                }
                let page = reader.list(&filter, sort, offset, limit).expect("list");
                assert_eq!(page.total, right.len() as u64, "{filter:?}");
                let ids: Vec<&str> = page.tasks.iter().map(|(_, row)| row.id.as_str()).collect();
                let wanted = right.iter().skip(offset as usize).take(limit as usize);
                let wanted: Vec<&str> = wanted.map(|row| row.id.as_str()).collect();
                assert_eq!(ids, wanted, "{filter:?} {sort:?} from {offset}, {limit} of them");
            }
        });
        drop(reader);
        store.close();
    }
}

#[tokio::test]
async fn many_tasks_of_one_moment_are_listed_by_their_ids() {
    let mut random = Random::new(1);
    let store = open(&Disk::default(), &mut random).expect("store");
    let made = store.write(|unit| {
        for number in 0..600 {
            let (document, change) = Document::create(unit.actor(), &Fields::default().with("title", "t")).expect("a document");
            let id = format!("t{:03}", (number * 7) % 600).parse().expect("id");
            unit.create((&"default".parse().expect("scope"), &id), document, change, None)?;
        }
        Ok::<_, WriteFault>(())
    });
    made.await.expect("store").expect("made");
    let page = store.reader().expect("reader").list(&Filter::default(), Sort::Priority, 250, 100).expect("list");
    let ids: Vec<String> = page.tasks.into_iter().map(|(_, row)| row.id).collect();
    assert_eq!((page.total, ids), (600, (250..350).map(|number| format!("t{number:03}")).collect()));
}
