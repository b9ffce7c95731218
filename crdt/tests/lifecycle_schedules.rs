//! Random schedules against the lifecycle rules: partitions, backups, a hostile member, authorities and removals.
//!
//! `OCTOPOID_SEED` and `OCTOPOID_SCHEDULES` choose others than the default; a failure names the seed that breaks alone.

mod lifecycle_world;

use lifecycle_world::{Op, Profile, World};

/// Splitmix64: small, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn byte(&mut self) -> u8 {
        self.roll().to_le_bytes()[0]
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound
    }
}

fn profile(dice: &mut Dice) -> Profile {
    Profile {
        members: 2 + usize::try_from(dice.below(3)).expect("small"),
        hostile: dice.below(3) > 0,
        authority: dice.below(3) == 0,
        forced: true,
        removals: dice.below(4) == 0,
        deletes: dice.below(2) == 0,
    }
}

fn op(dice: &mut Dice) -> Op {
    let (member, choice) = (dice.byte(), dice.byte());
    match dice.below(100) {
        0..=5 => Op::Part { sides: choice },
        6..=31 => Op::Pull { to: member, from: choice, pick: (dice.below(3) > 0).then_some(dice.byte()) },
        32..=34 => Op::Restore { member },
        35..=39 => Op::Govern { member, choice },
        40..=49 => Op::Attack { kind: member, over: [dice.byte(), dice.byte()], names: choice, number: dice.byte() },
        _act => Op::Act { member, choice },
    }
}

fn run(seed: u64) -> Result<(), String> {
    let mut dice = Dice(seed);
    let profile = profile(&mut dice);
    play(World::new(profile, seed), dice).map(drop)
}

fn play(mut world: World, mut dice: Dice) -> Result<World, String> {
    for _ in 0..24 + dice.below(24) {
        let op = op(&mut dice);
        world.step(&op).map_err(|broken| format!("{broken}\nat {op:?}"))?;
    }
    world.heal()?;
    Ok(world)
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn no_schedule_breaks_an_invariant() {
    let (first, count) = (number("OCTOPOID_SEED", 0), number("OCTOPOID_SCHEDULES", 100_000));
    eprintln!("schedules of the seeds {first}..{}", first + count);
    for seed in first..first + count {
        if let Err(broken) = run(seed) {
            panic!("OCTOPOID_SEED={seed} OCTOPOID_SCHEDULES=1: {broken}");
        }
    }
}

/// Seeds beyond the default range that once broke a rule or a check.
#[test]
fn no_schedule_that_once_broke_breaks_again() {
    // A claim that one side requeued, and the other had merged and reopened, lives on beside the one that followed the requeue; and
    // a removed member's claim that somebody had built on lives on beside that of one who knew of the removal.
    for seed in [3_795_875, 5_097_428] {
        assert_eq!(run(seed), Ok(()), "OCTOPOID_SEED={seed}");
    }
}

/// Schedules in which there is an authority from the beginning, which moves by its own word alone.
fn served(seed: u64) -> Result<World, String> {
    let mut dice = Dice(seed ^ 0x5e21);
    let profile = Profile { authority: true, forced: false, ..profile(&mut dice) };
    let mut world = World::new(profile, seed);
    world.step(&Op::Govern { member: 0, choice: 1 })?;
    play(world, dice)
}

#[test]
fn while_the_authority_moves_by_plan_no_number_is_granted_or_started_twice() {
    let (first, count) = (number("OCTOPOID_SEED", 0), number("OCTOPOID_SCHEDULES", 30_000));
    eprintln!("schedules of the seeds {first}..{}", first + count);
    let (mut begun, mut moves) = (0, 0);
    for seed in first..first + count {
        match served(seed) {
            Ok(world) => (begun, moves) = (begun + world.begun.len(), moves + world.settings.saturating_sub(1)),
            Err(broken) => panic!("OCTOPOID_SEED={seed} OCTOPOID_SCHEDULES=1: {broken}"),
        }
    }
    assert!(count < 1_000 || (begun > 100 && moves > 100), "{begun} attempts were begun, and the authority moved {moves} times");
}
