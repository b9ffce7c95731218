//! Twenty nodes and five hundred tasks.

use super::{Bug, Config, first_broken, number, world::World};

fn config() -> Config {
    Config {
        nodes: 20,
        tasks: 500,
        agents: 4,
        calm: 0,
        creating: 10_000,
        faults: 1_500,
        stop: (100, 8_000),
        work: (500, 4_000),
        ttl: 10,
        tick: 50,
        commit: (1, 3),
        latency: 5,
        ping: 5_000,
        loss: 0,
        duplication: 0,
        eagerness: 20,
        hostile: false,
        served: false,
        forced: false,
        real: true,
        bug: Bug::None,
    }
}

fn run(config: Config, seed: u64) -> Result<String, String> {
    let mut world = World::new(config, seed);
    world.run_until(30_000, 1_000, |_| false)?;
    world.heal();
    let healed = world.now;
    let before = world.on_disk();
    let converged = world.run_until(healed + 10_000, 100, |world| world.hold(&before))?;
    if !converged {
        world.check_nothing_lost(&before)?;
    }
    let took = world.now - healed;
    let done = world.run_until(healed + 300_000, 1_000, World::are_done)?;
    if !done {
        world.check_all_done()?;
    }
    world.rest();
    let all = world.on_disk();
    world.run_until(world.now + 3_000, 100, World::agree)?;
    world.check_nothing_lost(&all)?;
    world.check_end()?;
    Ok(format!("{} records, {} frames, converged {took} ms after the heal, all done after {} ms", all.len(), world.frames, world.now))
}

#[test]
fn twenty_nodes_lose_nothing_and_accept_nothing_twice() {
    let (first, count) = (number("OCTOPOID_SIM_SEED", 0), number("OCTOPOID_SIM_SEEDS", 10));
    let broken = first_broken(first..first + count, |seed| {
        let began = std::time::Instant::now();
        let told = run(config(), seed)?;
        eprintln!("OCTOPOID_SIM_SEED={seed}: {told} ({} ms of real time)", began.elapsed().as_millis());
        Ok(())
    });
    if let Some((seed, broken)) = broken {
        panic!("OCTOPOID_SIM_SEED={seed} OCTOPOID_SIM_SEEDS=1: {broken}");
    }
}

/// The same with an authority that grants and judges alone, and hands itself on every few seconds.
#[test]
fn twenty_nodes_under_an_authority_lose_nothing_and_accept_nothing_twice() {
    let (first, count) = (number("OCTOPOID_SIM_SEED", 0), number("OCTOPOID_SIM_SERVED_SEEDS", 3));
    let broken = first_broken(first..first + count, |seed| {
        let began = std::time::Instant::now();
        let told = run(Config { served: true, ..config() }, seed)?;
        eprintln!("OCTOPOID_SIM_SEED={seed} served: {told} ({} ms of real time)", began.elapsed().as_millis());
        Ok(())
    });
    if let Some((seed, broken)) = broken {
        panic!("OCTOPOID_SIM_SEED={seed} OCTOPOID_SIM_SERVED_SEEDS=1: {broken}");
    }
}

/// Counts how often each task was begun where nobody is ever cut off, crashed or expired.
fn starts(bug: Bug, seed: u64) -> Result<(), String> {
    let config = Config { nodes: 5, tasks: 200, faults: 0, calm: 2_000, stop: (100, 2_500), ttl: 60, bug, ..config() };
    let mut world = World::new(config, seed);
    let mut until = 2_000;
    world.run_until(until, 1_000, |_| false)?;
    loop {
        until += 100;
        if world.run_until(until, 1_000, World::are_done)? || until > 300_000 {
            break;
        }
        world.stop_one();
    }
    world.check_all_done()?;
    let mut begun = std::collections::BTreeMap::new();
    for start in &world.starts {
        if let Some(other) = begun.insert((start.task, start.epoch), start.node) {
            return Err(format!("epoch {} of a task was begun on nodes {other} and {}", start.epoch, start.node));
        }
    }
    if begun.len() < 200 { Err(format!("only {} beginnings", begun.len())) } else { Ok(()) }
}

#[test]
fn members_that_hear_each_other_begin_each_task_once_though_some_are_stopped() {
    let (first, count) = (number("OCTOPOID_SIM_SEED", 0), number("OCTOPOID_SIM_SEEDS", 10));
    if let Some((seed, broken)) = first_broken(first..first + count, |seed| starts(Bug::None, seed)) {
        panic!("OCTOPOID_SIM_SEED={seed} OCTOPOID_SIM_SEEDS=1: {broken}");
    }
}

#[test]
fn work_that_starts_before_the_answers_is_begun_twice_and_noticed() {
    let broken = first_broken(0..20, |seed| starts(Bug::StartAtOnce, seed));
    assert!(broken.is_some_and(|(_, why)| why.contains("begun on nodes")));
}
