//! The scheduler and the attempts that it runs.

mod control;

pub use control::{Control, ControlError};
