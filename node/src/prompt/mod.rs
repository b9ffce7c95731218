//! What an agent is told: templates in `.octopoid/prompts/`, filled with one task and one attempt.
//!
//! **Invariants**: texts of tasks, reviews and diffs are values; they are never read as templates, and [`fenced`] blocks
//! cannot be closed from inside. Rendering is bounded in work and size. A name that does not exist is an error with its
//! line, not an empty string.
//!
//! [`fenced`]: render

mod context;
mod render;
mod template;

pub use context::{Agent, Attempt, Context, DIFF_LIMIT, Kind, Previous, Review, RoleName, Task, sample};
pub use render::{OUTPUT_LIMIT, RenderError};
pub use template::{Template, check, default_template};
