//! Reads what other systems kept: exports of this program, JSON of earlier servers, and the folders of version 1.
//!
//! Two steps, both without the store. [`read`] and [`folder::read`] turn bytes or a folder into [`Tables`]: rows by column
//! name, as the source wrote them. [`Plan::of`] turns rows into what is to be written here, and says of each row that it leaves
//! out why. `docs/migration.md` tells users what becomes of what.
//!
//! **Invariants**: a source is read and never changed; every row of it is planned or skipped with a reason, none is lost in
//! between; the same source gives the same plan, whatever the time and the machine.

pub mod agents;
pub mod folder;
pub mod task_file;

mod blockers;
mod cells;
mod other;
mod plan;
mod queues;
mod shapes;
mod sqlite;
mod tables;
mod tasks;
mod times;

pub use other::{ActionPlan, AgentPlan, DraftPlan, FlowPlan, MessagePlan, OrchestratorPlan, ProjectPlan, RolePlan};
pub use plan::Plan;
pub use shapes::{FORMAT, ReadError, VERSION, read};
pub use tables::{Row, Skipped, Source, Table, Tables};
pub use tasks::TaskPlan;
pub use times::{Zone, ZoneError, rfc3339};
