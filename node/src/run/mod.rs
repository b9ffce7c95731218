//! The scheduler and the attempts that it runs.

mod control;

pub use control::{AgentsView, Control, ControlError};
