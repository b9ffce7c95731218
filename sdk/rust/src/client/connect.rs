//! Finds the node that a program means: by what it is told, by the environment, by the nearest `.octopoid` folder.

use std::{env, path::PathBuf, sync::Arc};

use super::{CallOptions, Client, Token};
use crate::{
    error::ClientError,
    local::{self, Local},
    transport::{Http, Transport},
};

/// How often a client of a program's own tries again.
const RETRIES: u32 = 2;

/// How to reach a node. What is `None` comes from the environment, then from the nearest `.octopoid` folder.
#[derive(Debug, Clone, Default)]
pub struct ConnectOptions {
    /// The address of a node, such as `http://127.0.0.1:8787`; else the variable OCTOPOID_SERVER_URL.
    pub server_url: Option<String>,
    /// A key, `oct_…`; else the variable OCTOPOID_API_KEY.
    pub api_key: Option<String>,
    /// Where to look for the project whose node is meant, whatever the environment says; the current folder by default.
    pub project_dir: Option<PathBuf>,
}

impl Client {
    /// Prepares to reach a node as the SDKs do: calls are tried again where that is safe, and under one idempotency key. Nothing is sent
    /// yet.
    ///
    /// # Errors
    /// When no node is known, or what is told cannot be.
    pub fn connect(options: &ConnectOptions) -> Result<Self, ClientError> {
        let variable = |name: &str| env::var(name).ok().filter(|value| options.project_dir.is_none() && !value.is_empty());
        let url = options.server_url.clone().or_else(|| variable("OCTOPOID_SERVER_URL"));
        let key = options.api_key.clone().or_else(|| variable("OCTOPOID_API_KEY"));
        let folder = local::find(options.project_dir.as_deref());
        let own_key = |url: Option<&str>| {
            // A key of this machine's node belongs to no other address.
            let folder = folder.as_ref().filter(|folder| url.is_none_or(|url| folder.api_url().as_deref() == Some(url)))?;
            folder.token()
        };
        let token = key.or_else(|| own_key(url.as_deref().map(|url| url.trim_end_matches('/')))).map(|key| Token::new(&key)).transpose()?;
        let transport: Arc<dyn Transport> = match (url, &folder) {
            (Some(url), _) => Arc::new(Http::new(&url).map_err(|source| ClientError::Unreachable { place: url, source })?),
            (None, Some(folder)) => Arc::new(Local::new(folder.clone())),
            (None, None) => return Err(ClientError::NoNode),
        };
        Self::over(transport, token).with_options(&CallOptions { max_retries: Some(RETRIES), ..CallOptions::default() })
    }
}
