//! Random schedules of a small cluster: loss, duplication, reordering, crashes, partitions, stops, and one hostile member.

use std::collections::{BTreeMap, BTreeSet};

use super::{Bug, Config, dice::Dice, first_broken, number, world::World};

fn config(seed: u64, bug: Bug) -> Config {
    let mut dice = Dice(seed ^ 0x5eed);
    Config {
        nodes: 2 + usize::try_from(dice.below(3)).expect("small"),
        tasks: 1 + dice.below(2),
        agents: 2,
        calm: 0,
        creating: 300,
        faults: 200 + dice.below(600),
        stop: (50, 1_500),
        work: (50, 600),
        ttl: 1,
        tick: 100,
        commit: (1, 1 + dice.below(80)),
        latency: 1 + dice.below(40),
        ping: 800,
        loss: dice.below(31),
        duplication: dice.below(51),
        eagerness: 60,
        hostile: dice.below(3) > 0,
        served: false,
        forced: false,
        real: false,
        bug,
    }
}

fn run(bug: Bug, seed: u64) -> Result<World, String> {
    play(config(seed, bug), seed)
}

fn play(config: Config, seed: u64) -> Result<World, String> {
    let ttl = u64::from(config.ttl) * 1_000;
    let mut world = World::new(config, seed);
    let until = 1_000 + Dice(seed).below(2_000);
    world.run_until(until, 300, |_| false)?;
    world.heal();
    let before = world.on_disk();
    world.run_until(world.now + 3 * ttl, 100, |world| world.hold(&before) && world.agree() && world.are_done())?;
    world.check_nothing_lost(&before)?;
    world.rest();
    // What was claimed last is still being answered.
    world.run_until(world.now + 700, 300, |_| false)?;
    world.run_until(world.now + 5_000, 100, World::agree)?;
    world.check_end()?;
    Ok(world)
}

#[test]
fn no_schedule_breaks_an_invariant() {
    let (first, count) = (number("OCTOPOID_SEED", 0), number("OCTOPOID_SCHEDULES", 100_000));
    eprintln!("schedules of the seeds {first}..{}", first + count);
    if let Some((seed, broken)) = first_broken(first..first + count, |seed| run(Bug::None, seed).map(drop)) {
        panic!("OCTOPOID_SEED={seed} OCTOPOID_SCHEDULES=1: {broken}");
    }
}

/// A rule that is left out is noticed within these schedules, for the reason that it is there.
fn is_noticed(bug: Bug, within: u64, why: &[&str]) {
    let (seed, broken) = first_broken(0..within, |seed| run(bug, seed).map(drop)).unwrap_or_else(|| panic!("{bug:?} was not noticed"));
    assert!(why.iter().any(|why| broken.contains(why)), "{bug:?} was noticed by seed {seed} for another reason: {broken}");
}

#[test]
fn a_missing_law_is_noticed() {
    is_noticed(Bug::LawOff, 500, &["was jumped to", "I1", "I3", "I4", "I6", "hidden"]);
}

#[test]
fn a_missing_tie_break_is_noticed() {
    is_noticed(Bug::NoTieBreak, 5_000, &["I1"]);
}

#[test]
fn acting_before_deps_is_noticed() {
    is_noticed(Bug::ActBeforeDeps, 500, &["I1", "hold different records", "I4", "I6", "lacks"]);
}

#[test]
fn an_expire_that_beats_a_submit_is_noticed() {
    is_noticed(Bug::ExpireBeatsSubmit, 5_000, &["hidden"]);
}

#[test]
fn a_forgotten_release_is_noticed() {
    is_noticed(Bug::ForgottenRelease, 2_000, &["I7"]);
}

#[test]
fn the_schedules_reach_what_they_are_made_for() {
    let mut counts = BTreeMap::new();
    let (mut begun_twice, mut hostile) = (0, 0);
    for seed in 0..300 {
        let world = run(Bug::None, seed).expect("it holds");
        let epochs: BTreeSet<_> = world.starts.iter().map(|start| (start.task, start.epoch)).collect();
        begun_twice += world.starts.len() - epochs.len();
        hostile += usize::from(world.config.hostile);
        for (what, count) in world.counts {
            *counts.entry(what).or_insert(0) += count;
        }
    }
    eprintln!("begun twice {begun_twice}, hostile {hostile}, {counts:?}");
    assert!(begun_twice > 0 && hostile > 0);
    let all = ["crashes", "crashes that lost records", "expire", "frames lost", "frames repeated", "partitions", "stops"];
    for what in all.into_iter().chain(["yields", "stops of the started", "submit", "review", "accept", "reject", "merged", "release"]) {
        assert!(counts.contains_key(what), "no schedule had {what}: {counts:?}");
    }
}

/// Server-wins: one node is the authority, crashes, is cut off, and hands that on; the others do as well.
fn served(seed: u64) -> Result<World, String> {
    let world = play(Config { served: true, ..config(seed, Bug::None) }, seed)?;
    let epochs: BTreeSet<_> = world.starts.iter().map(|start| (start.task, start.epoch)).collect();
    let claims: BTreeSet<_> = world.starts.iter().map(|start| start.claim).collect();
    if epochs.len() != world.starts.len() || claims.len() != world.starts.len() {
        return Err(format!("an epoch was started twice: {:#?}", world.starts));
    }
    Ok(world)
}

#[test]
fn where_one_node_grants_no_epoch_starts_twice_whatever_is_cut_off_or_moves() {
    let (first, count) = (number("OCTOPOID_SEED", 0), number("OCTOPOID_SCHEDULES", 30_000));
    eprintln!("schedules of the seeds {first}..{}", first + count);
    let counts = std::sync::Mutex::new(BTreeMap::new());
    let broken = first_broken(first..first + count, |seed| {
        let world = served(seed)?;
        let mut counts = counts.lock().expect("no panic");
        *counts.entry("begun").or_insert(0) += world.starts.len() as u64;
        for (what, count) in world.counts {
            *counts.entry(what).or_insert(0) += count;
        }
        Ok(())
    });
    if let Some((seed, broken)) = broken {
        panic!("OCTOPOID_SEED={seed} OCTOPOID_SCHEDULES=1: {broken}");
    }
    let counts = counts.into_inner().expect("no panic");
    eprintln!("{counts:?}");
    for what in ["grant", "policy", "begun", "partitions", "crashes", "stops", "release", "expire", "merged"] {
        assert!(count < 1_000 || counts.contains_key(what), "no schedule had {what}: {counts:?}");
    }
}

/// Server-wins in which the admin takes the authority from a node that it cannot reach: two may grant for a while.
fn forced(seed: u64, bug: Bug) -> Result<World, String> {
    let mut world = play(Config { served: true, forced: true, ..config(seed, bug) }, seed)?;
    let claims: BTreeSet<_> = world.starts.iter().map(|start| start.claim).collect();
    if claims.len() != world.starts.len() {
        return Err(format!("a claim was started twice: {:#?}", world.starts));
    }
    let late = world.check_late_grants()?;
    if late > 0 {
        world.count("schedules with late grants");
    }
    Ok(world)
}

#[test]
fn after_a_forced_move_late_grants_of_the_old_authority_are_shown_and_do_not_count() {
    let (first, count) = (number("OCTOPOID_SEED", 0), number("OCTOPOID_SCHEDULES", 20_000));
    eprintln!("schedules of the seeds {first}..{}", first + count);
    let counts = std::sync::Mutex::new(BTreeMap::new());
    let broken = first_broken(first..first + count, |seed| {
        let world = forced(seed, Bug::None)?;
        let mut counts = counts.lock().expect("no panic");
        for (what, count) in world.counts {
            *counts.entry(what).or_insert(0) += count;
        }
        Ok(())
    });
    if let Some((seed, broken)) = broken {
        panic!("OCTOPOID_SEED={seed} OCTOPOID_SCHEDULES=1: {broken}");
    }
    let counts = counts.into_inner().expect("no panic");
    eprintln!("{counts:?}");
    for what in ["grant", "forced moves", "schedules with late grants", "partitions", "crashes", "merged"] {
        assert!(count < 1_000 || counts.contains_key(what), "no schedule had {what}: {counts:?}");
    }
}

#[test]
fn late_grants_that_count_are_noticed() {
    let (seed, broken) = first_broken(0..5_000, |seed| forced(seed, Bug::MaskOff).map(drop)).expect("it is noticed");
    assert!(broken.contains("a late grant counts"), "seed {seed} noticed it for another reason: {broken}");
}
