//! The key with which machines come to the cluster by this node's API: it gives tickets, and opens nothing else.
//!
//! It is this node's own, not the cluster's: a hash among the records could be written by any member, also by one that may let
//! nobody in.
//!
//! **Invariants**: a key is kept as its hash alone, and is on disk before it is told; a node has at most one.

use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use axum::Json;
use axum::extract::State;
use axum::http::{Method, StatusCode};
use octopoid_client::{ErrorBody, JoinKey, JoinKeyRemoved};
use subtle::ConstantTimeEq as _;

use super::app::App;
use super::input::Call;
use super::orchestrators::random;
use super::refusal::Refusal;
use crate::ops::keys::{self, Key};
use crate::project::replace_file;

/// A node's join key, as its hash.
#[derive(Debug)]
pub struct JoinKeyFile {
    file: PathBuf,
    hash: Mutex<Option<String>>,
}

impl JoinKeyFile {
    /// Opens the file that keeps the hash. One that is not there, or cannot be read, means that there is no key.
    #[must_use]
    pub fn open(file: PathBuf) -> Self {
        let hash = match std::fs::read_to_string(&file) {
            Ok(text) => Some(text.trim().to_owned()).filter(|hash| !hash.is_empty()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(file = %file.display(), %error, "the join key cannot be read, so none is accepted");
                None
            }
        };
        Self { file, hash: Mutex::new(hash) }
    }

    /// Compares a key's hash, in a time that does not depend on where the two differ.
    pub(super) fn is(&self, hash: &str) -> bool {
        let own = self.hash.lock().unwrap_or_else(PoisonError::into_inner);
        own.as_ref().is_some_and(|own| own.as_bytes().ct_eq(hash.as_bytes()).into())
    }

    /// Puts a key in the place of the one before, or none; tells whether there was one.
    fn set(&self, hash: Option<String>) -> io::Result<bool> {
        let mut own = self.hash.lock().unwrap_or_else(PoisonError::into_inner);
        match &hash {
            Some(hash) => replace_file(&self.file, hash.as_bytes(), 0o600)?,
            None => match std::fs::remove_file(&self.file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            },
        }
        Ok(std::mem::replace(&mut *own, hash).is_some())
    }
}

/// Tells whether a join key is good for a call: to see whose cluster it is, and to ask for a ticket.
pub(super) fn opens(method: &Method, path: &str) -> bool {
    match path.trim_end_matches('/') {
        "/api/v1/cluster" => method == Method::GET,
        "/api/v1/cluster/invites" => method == Method::POST,
        _ => false,
    }
}

impl App {
    fn set_join_key(&self, hash: Option<String>) -> Result<bool, Refusal> {
        let key = &self.settings.join_key;
        key.set(hash).map_err(|error| Refusal::Offline(format!("the join key could not be written to {}: {error}", key.file.display())))
    }
}

/// Makes the key with which machines join by this node's API (`octopoid init --server`), and tells it once. The one before ends.
#[utoipa::path(post, path = "/api/v1/cluster/join-key", tag = "cluster",
    responses((status = 201, body = JoinKey), (status = 403, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn make(State(app): State<App>, call: Call) -> Result<(StatusCode, Json<JoinKey>), Refusal> {
    call.caller.must_be_node()?;
    let api_key = Key::new(&random()?).into_text();
    let _ = app.set_join_key(Some(keys::hash(&api_key)))?;
    Ok((StatusCode::CREATED, Json(JoinKey { api_key })))
}

/// Ends the key with which machines join by this node's API. Who has joined with it stays a member.
#[utoipa::path(delete, path = "/api/v1/cluster/join-key", tag = "cluster",
    responses((status = 200, body = JoinKeyRemoved), (status = 403, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn remove(State(app): State<App>, call: Call) -> Result<Json<JoinKeyRemoved>, Refusal> {
    call.caller.must_be_node()?;
    Ok(Json(JoinKeyRemoved { removed: app.set_join_key(None)? }))
}
