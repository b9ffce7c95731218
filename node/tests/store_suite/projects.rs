//! Projects are documents: two nodes edit one at the same time.

use octopoid_node::ops::projects::{Changes, Project, ProjectRefused, Stored, create, delete, edit, list};
use octopoid_node::store::Store;

use crate::cluster::{assert_sound, bring, cluster};
use crate::world::{Random, block_on};

fn make(store: &Store, title: &str) -> Result<Project, ProjectRefused> {
    let stored = Stored {
        title: title.to_owned(),
        status: "draft".to_owned(),
        branch: Some("project/p".to_owned()),
        description: Some("one\ntwo\nthree".to_owned()),
        ..Stored::default()
    };
    block_on(store.write(move |unit| create(unit, &"default".parse().expect("scope"), &"p".parse().expect("id"), stored))).expect("store")
}

fn change(store: &Store, changes: Changes) -> Result<Project, ProjectRefused> {
    block_on(store.write(move |unit| edit(unit, &"default".parse().expect("scope"), "p", changes))).expect("store")
}

fn remove(store: &Store) -> Result<(), ProjectRefused> {
    block_on(store.write(move |unit| delete(unit, &"default".parse().expect("scope"), "p"))).expect("store")
}

fn shown(store: &Store) -> Vec<Project> {
    list(&store.reader().expect("reader"), Some("default")).expect("read")
}

fn describe(text: &str) -> Changes {
    Changes { description: Some(Some(text.to_owned())), ..Changes::default() }
}

#[test]
fn edits_of_different_fields_and_lines_of_one_project_merge() {
    let mut random = Random::new(1);
    let stores = cluster(1, &mut random);
    make(&stores[0], "plan").expect("made");
    bring(&stores[0], &stores[1]);
    assert_eq!(shown(&stores[0]), shown(&stores[1]));
    change(&stores[0], Changes { status: Some("completed".to_owned()), ..describe("zero\none\ntwo\nthree") }).expect("edited");
    change(&stores[1], Changes { title: Some("better plan".to_owned()), ..describe("one\ntwo\nthree\nfour") }).expect("edited");
    bring(&stores[0], &stores[1]);
    bring(&stores[1], &stores[0]);
    for store in &stores {
        let [project] = shown(store).try_into().expect("one project");
        assert_eq!((project.stored.title.as_str(), project.stored.status.as_str()), ("better plan", "completed"));
        assert_eq!(project.stored.description.as_deref(), Some("zero\none\ntwo\nthree\nfour"));
        assert!(project.stored.completed_ms.is_some() && project.stored.created_ms > 0);
        assert_sound(store, "merged");
    }
}

#[test]
fn a_project_is_made_once_deleted_once_and_can_be_made_anew() {
    let mut random = Random::new(2);
    let stores = cluster(1, &mut random);
    make(&stores[0], "plan").expect("made");
    assert!(matches!(make(&stores[0], "again"), Err(ProjectRefused::Exists(_))));
    bring(&stores[0], &stores[1]);
    remove(&stores[1]).expect("deleted");
    assert!(matches!(remove(&stores[1]), Err(ProjectRefused::NotFound(_))));
    assert!(matches!(change(&stores[1], describe("late")), Err(ProjectRefused::NotFound(_))));
    let anew = make(&stores[1], "anew").expect("the id is free");
    assert_eq!(anew.stored.description.as_deref(), Some("one\ntwo\nthree"));
    // An edit that knew nothing of it belongs to the project as it was.
    change(&stores[0], Changes { title: Some("old plan".to_owned()), ..Changes::default() }).expect("edited");
    bring(&stores[0], &stores[1]);
    bring(&stores[1], &stores[0]);
    for store in &stores {
        assert_eq!(shown(store).iter().map(|project| project.stored.title.as_str()).collect::<Vec<_>>(), ["anew"]);
        let listed = store.reader().expect("reader").queue_counts(None).expect("read");
        assert_eq!(listed.values().sum::<u64>(), 0, "a project is no task");
        assert_sound(store, "made anew");
    }
}

#[test]
fn a_text_beyond_the_limits_is_refused_by_its_field() {
    let mut random = Random::new(3);
    let stores = cluster(0, &mut random);
    make(&stores[0], "plan").expect("made");
    let refused = change(&stores[0], describe(&"x".repeat(200_000))).expect_err("too long").to_string();
    assert!(refused.starts_with("description:"), "{refused}");
    assert_eq!(shown(&stores[0])[0].stored.description.as_deref(), Some("one\ntwo\nthree"));
}
