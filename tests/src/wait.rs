//! Waits for what must come about.

use std::time::{Duration, Instant};

/// How long a condition may take to come about. Long, since a machine that tests in parallel is slow; no test waits it out
/// unless it fails.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked.
const GLANCE: Duration = Duration::from_millis(25);

/// Looks until there is something, and returns it; an error says what was seen last.
///
/// # Errors
/// When nothing came about in [`PATIENCE`].
pub async fn until<T>(look: impl AsyncFnMut() -> Result<T, String>) -> Result<T, String> {
    until_within(PATIENCE, look).await
}

/// Looks as [`until`] does, for what takes its time by design.
///
/// # Errors
/// When nothing came about in time.
pub async fn until_within<T>(time: Duration, mut look: impl AsyncFnMut() -> Result<T, String>) -> Result<T, String> {
    let end = Instant::now() + time;
    loop {
        match look().await {
            Ok(found) => return Ok(found),
            Err(seen) if Instant::now() >= end => return Err(seen),
            Err(_) => tokio::time::sleep(GLANCE).await,
        }
    }
}
