//! A cluster on a virtual network and clock: real chains, membership, lifecycle, leases, sync and settling.
//!
//! `OCTOPOID_SIM_SEED` and `OCTOPOID_SIM_SEEDS` choose the seeds of the large simulation, `OCTOPOID_SEED` and
//! `OCTOPOID_SCHEDULES` those of the small ones; a failure names the seed that breaks alone.

mod bugs;
mod checks;
mod cluster;
mod dice;
mod hostile;
mod node;
mod store;
mod world;

mod large;
mod schedules;

/// A rule that is left out on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    None,
    /// Every member's record counts.
    LawOff,
    /// Of several attempts the one wins that a node saw first.
    NoTieBreak,
    /// Records are applied before what they build on.
    ActBeforeDeps,
    /// The end of a lease hides what was handed in.
    ExpireBeatsSubmit,
    /// Who yields does not give the claim back.
    ForgottenRelease,
    /// Work starts before the others have answered.
    StartAtOnce,
    /// What an authority granted after it was replaced by force counts.
    MaskOff,
}

/// What a simulation is made of. Times are in milliseconds.
#[derive(Debug, Clone)]
pub struct Config {
    pub nodes: usize,
    pub tasks: u64,
    /// How many tasks a node works on at once.
    pub agents: usize,
    /// When the first tasks are created: connections need a moment.
    pub calm: u64,
    /// Over which time tasks are created.
    pub creating: u64,
    /// The time between faults; 0 for none.
    pub faults: u64,
    pub stop: (u64, u64),
    pub work: (u64, u64),
    /// The lease, in seconds.
    pub ttl: u32,
    pub tick: u64,
    /// How long a commit takes; a crash before its end loses it.
    pub commit: (u64, u64),
    pub latency: u64,
    /// After which time a dead connection has been noticed.
    pub ping: u64,
    /// Frames that are lost with their connection, in percent.
    pub loss: u64,
    /// Frames of records that arrive again, in percent.
    pub duplication: u64,
    /// How likely a node takes a review at a tick, in percent.
    pub eagerness: u64,
    pub hostile: bool,
    /// Whether one node is the authority, the first at the beginning; it hands that on at times.
    pub served: bool,
    /// Whether the admin takes the authority by force from a node that it cannot reach.
    pub forced: bool,
    /// Whether signatures and frames' bytes are real.
    pub real: bool,
    pub bug: Bug,
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Runs seeds on two threads; returns the first seed that breaks, with the reason.
fn first_broken(seeds: std::ops::Range<u64>, run: impl Fn(u64) -> Result<(), String> + Sync) -> Option<(u64, String)> {
    let next = std::sync::atomic::AtomicU64::new(seeds.start);
    let found = std::sync::Mutex::new(None::<(u64, String)>);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if seed >= seeds.end || found.lock().expect("no panic").is_some() {
                        break;
                    }
                    if let Err(broken) = run(seed) {
                        let mut found = found.lock().expect("no panic");
                        if found.as_ref().is_none_or(|(earlier, _)| seed < *earlier) {
                            *found = Some((seed, broken));
                        }
                    }
                }
            });
        }
    });
    found.into_inner().expect("no panic")
}
