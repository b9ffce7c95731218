//! The running node of a project on this machine.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use http::{Request, Response};

use crate::tls::Trust;
use crate::transport::{BoxFuture, ByteStream, Http, Transport, TransportError};

/// The folder in which a project's node keeps what only it reads, and where it says that it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Runtime(PathBuf);

/// Finds the nearest project upward whose `.octopoid` has been set up on this machine.
pub(crate) fn find(from: Option<&Path>) -> Option<Runtime> {
    let start = fs::canonicalize(from.unwrap_or_else(|| Path::new("."))).ok()?;
    let found = start.ancestors().map(|folder| folder.join(".octopoid/runtime")).find(|folder| folder.is_dir());
    found.map(Runtime)
}

impl Runtime {
    /// Returns where the node listens and whom to trust there; none when none has said so.
    ///
    /// Over TLS that is who shows the node's own certificate, and nobody else.
    fn node(&self) -> Option<(String, Trust)> {
        let text = fs::read_to_string(self.0.join("node.json")).ok()?;
        let node: serde_json::Value = serde_json::from_str(&text).ok()?;
        let url = node["api_url"].as_str()?.trim_end_matches('/').to_owned();
        let pinned = node["api_certificate"].as_str().and_then(|text| text.parse().ok()).map(Trust::Exactly);
        Some((url, pinned.unwrap_or_default()))
    }

    /// Returns where the node listens; none when none has said so.
    pub(crate) fn api_url(&self) -> Option<String> {
        self.node().map(|(url, _)| url)
    }

    /// Returns the node's own key.
    pub(crate) fn token(&self) -> Option<String> {
        fs::read_to_string(self.0.join("api.token")).ok().map(|text| text.trim().to_owned())
    }
}

/// Reaches a project's node, also when it was started anew at another port.
pub(crate) struct Local {
    runtime: Runtime,
    place: String,
    http: Mutex<Option<Arc<Http>>>,
}

impl Local {
    pub(crate) fn new(runtime: Runtime) -> Self {
        Self { place: runtime.0.display().to_string(), runtime, http: Mutex::new(None) }
    }

    fn http(&self) -> Result<Arc<Http>, TransportError> {
        let mut known = self.http.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(http) = &*known {
            return Ok(http.clone());
        }
        let (url, trust) = self.runtime.node().ok_or_else(|| TransportError::Nowhere(self.place.clone()))?;
        let http = Arc::new(Http::trusting(&url, &trust)?);
        *known = Some(http.clone());
        Ok(http)
    }

    fn forget(&self) {
        *self.http.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Transport for Local {
    fn call(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<ByteStream>, TransportError>> {
        Box::pin(async move {
            let answer = self.http()?.call(request).await;
            if answer.is_err() {
                self.forget();
            }
            answer
        })
    }

    fn place(&self) -> &str {
        &self.place
    }
}
