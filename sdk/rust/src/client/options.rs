//! What a client is told about its calls.

use std::time::Duration;

use http::HeaderValue;

use super::Client;
use crate::error::ClientError;

/// The most tries after the first one.
const MOST_RETRIES: u32 = 10;
/// The longest time that a call may take: longer ones mean a mistake in the unit.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);
/// The longest idempotency key.
const KEY: usize = 255;

/// What calls are told differently. What is `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallOptions {
    /// How long one try of a call may take; 30 s unless told.
    pub timeout: Option<Duration>,
    /// How often a call that failed for a passing reason is tried again where that is safe.
    pub max_retries: Option<u32>,
    /// The tenant that calls speak of; the key's or the node's own unless told. A scope that a call names is stronger.
    pub scope: Option<String>,
    /// The key under which a node knows a repeated POST again, for 24 hours. A client that retries makes one up for each call; give
    /// one to make a call that a later run of the program repeats.
    pub idempotency_key: Option<String>,
}

/// What a client does with every call.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) patience: Duration,
    pub(super) max_retries: u32,
    pub(super) scope: Option<String>,
    pub(super) key: Option<HeaderValue>,
}

impl Client {
    /// Returns a client whose calls are told differently. It shares this one's connections.
    ///
    /// # Errors
    /// [`ClientError::Option`] when an option cannot be.
    pub fn with_options(&self, options: &CallOptions) -> Result<Self, ClientError> {
        let refuse = |name: &'static str, why: String| ClientError::Option { name, why };
        let mut client = self.clone();
        if let Some(timeout) = options.timeout {
            if timeout.is_zero() || timeout > LONGEST {
                return Err(refuse("timeout", format!("must be above 0 and at most {} s", LONGEST.as_secs())));
            }
            client.settings.patience = timeout;
        }
        if let Some(retries) = options.max_retries {
            if retries > MOST_RETRIES {
                return Err(refuse("max_retries", format!("must be at most {MOST_RETRIES}")));
            }
            client.settings.max_retries = retries;
        }
        if let Some(scope) = &options.scope {
            client.settings.scope = Some(scope.clone());
        }
        if let Some(key) = &options.idempotency_key {
            let fits = (1..=KEY).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
            let value = HeaderValue::try_from(key).ok().filter(|_| fits);
            client.settings.key =
                Some(value.ok_or_else(|| refuse("idempotency_key", format!("must be 1 to {KEY} visible ASCII characters")))?);
        }
        Ok(client)
    }
}
