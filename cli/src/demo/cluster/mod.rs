//! Plays a cluster: three machines share a queue, one is cut off in the middle and works on, and what came of it is checked.
//!
//! The machines are clones of one repository in a scratch folder, each with a node of its own: a process of this program. Only
//! the agents' minds are missing, as in the demo of one machine.
//!
//! **Invariants**: nothing is written outside the scratch folder; the nodes are stopped before the folder is removed; a demo
//! that did not end as it should leaves the folder and says where it is.

mod checks;
mod machine;
mod play;
mod report;
mod tasks;

use std::path::{Path, PathBuf};

use octopoid_client::NodeStatus;

pub use report::{ClusterReport, Lost};

use super::{
    DemoError, DemoFailure,
    git::git,
    interrupt::Interrupt,
    project::{self, FAILING, PROGRAM, SCRIPTS as ALL_SCRIPTS},
    scratch::Scratch,
    staged,
};
use machine::Machine;
use play::Play;

/// What the machines are called. The last one is cut off.
pub const NAMES: [&str; 3] = ["desk", "rack", "laptop"];

/// What the agents are.
const SCRIPTS: [(&str, &str); 7] = [
    ALL_SCRIPTS[2],
    ALL_SCRIPTS[3],
    ("changes/words-blanks.sh", include_str!("../files/agents/changes/words-blanks.sh")),
    ("changes/readme.sh", include_str!("../files/agents/changes/readme.sh")),
    ("changes/chars.sh", include_str!("../files/agents/changes/chars.sh")),
    ("changes/empty.sh", include_str!("../files/agents/changes/empty.sh")),
    ("changes/letters.sh", include_str!("../files/agents/changes/letters.sh")),
];
const AGENTS: &str = include_str!("../files/agents/cluster.yaml");

type Machines = [Machine; 3];

/// What is shown while the demo plays.
pub struct Glance<'g> {
    /// How long the play has taken so far.
    pub seconds: f64,
    /// What happened so far, one line each.
    pub events: &'g [String],
    /// Each machine's node.
    pub machines: &'g [(&'static str, NodeStatus)],
}

/// Where the parts of the demo are.
struct Place {
    scratch: PathBuf,
    /// The bare repository that all machines share.
    origin: PathBuf,
    /// What the agents that are at work wait for.
    stage: PathBuf,
}

/// Plays the demo. `watch` is called with what it looks like while it runs.
///
/// # Errors
/// When it comes to no end. A demo that ends otherwise than it should is a report with checks that fail.
pub async fn play(keep: bool, mut watch: impl FnMut(&Glance<'_>)) -> Result<ClusterReport, DemoFailure> {
    staged(keep, async |scratch: &Scratch, interrupt: &mut Interrupt| perform(scratch.path(), interrupt, &mut watch).await).await
}

async fn perform(scratch: &Path, interrupt: &mut Interrupt, watch: &mut dyn FnMut(&Glance<'_>)) -> Result<ClusterReport, DemoError> {
    let place = Place { scratch: scratch.to_owned(), origin: scratch.join("origin.git"), stage: scratch.join("stage") };
    let mut machines = tokio::select! {
        machines = make(&place) => machines?,
        () = interrupt.wait() => return Err(DemoError::Interrupted),
    };
    let played = tokio::select! {
        played = Play::new(&mut machines, &place, watch).perform() => played,
        () = interrupt.wait() => Err(DemoError::Interrupted),
    };
    let stopped = stop(&mut machines).await;
    let played = played?;
    stopped?;
    tokio::select! {
        report = checks::report(&place, &machines, played) => report,
        () = interrupt.wait() => Err(DemoError::Interrupted),
    }
}

/// Makes the program's repository, the bare one that all share, and the machines' clones.
async fn make(place: &Place) -> Result<Machines, DemoError> {
    let (seed, agents) = (place.scratch.join("seed"), place.scratch.join("agents"));
    project::write_all(&seed, PROGRAM.iter().chain([&FAILING]))?;
    project::write_all(&agents, &SCRIPTS)?;
    std::fs::create_dir(&place.stage).map_err(|source| DemoError::Write { path: place.stage.clone(), source })?;
    project::commit(&seed).await?;
    let words = ["clone", "--quiet", "--bare"].map(std::ffi::OsStr::new);
    git(&place.scratch, &[&words[..], &[seed.as_os_str(), place.origin.as_os_str()]].concat()).await?;
    std::fs::remove_dir_all(&seed).map_err(|source| DemoError::Write { path: seed.clone(), source })?;
    let yaml = project::with_scripts(AGENTS, &agents).replace("@stage@", &project::quoted(&place.stage));
    let machine = async |name| {
        let machine = Machine::make(&place.scratch, name, &place.origin).await?;
        machine.init(&yaml).await?;
        Ok::<_, DemoError>(machine)
    };
    let [first, second, third] = NAMES;
    Ok([machine(first).await?, machine(second).await?, machine(third).await?])
}

/// Stops all nodes at once.
async fn stop(machines: &mut Machines) -> Result<(), DemoError> {
    machines.iter_mut().for_each(Machine::begin_stop);
    let mut outcome = Ok(());
    for machine in machines {
        outcome = outcome.and(machine.stop().await);
    }
    outcome
}
