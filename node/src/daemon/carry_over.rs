//! Takes a project's open tasks along when it joins another cluster.
//!
//! What is open is written to a file before the old store is put aside, and made anew once this node may write to its new
//! cluster. The old store stays as a backup.
//!
//! **Invariants**: the file is on disk before the old store is moved; a task that the new cluster has already is left as it is.

use std::io;
use std::path::{Path, PathBuf};

use http_body_util::BodyExt as _;
use serde_json::{Map, Value};
use tower::ServiceExt as _;

use crate::project::{Layout, replace_file};
use crate::store::{Fault, Filter, Sort, Store};

/// What a task of the API takes along: what a person said, not what became of it.
const FIELDS: [&str; 12] =
    ["id", "title", "content", "priority", "complexity", "role", "type", "branch", "project_id", "auto_accept", "hooks", "scope"];
/// Queues that a task keeps; work in progress begins anew.
const KEPT: [&str; 3] = ["backlog", "blocked", "failed"];
/// Tasks that are read at a time.
const PAGE: u64 = 500;

/// States why tasks could not be taken along. The old store is as it was.
#[derive(Debug, thiserror::Error)]
pub enum CarryError {
    /// The old store cannot be read.
    #[error("the open tasks could not be read")]
    Read(#[from] Fault),
    /// A file cannot be written or moved.
    #[error("failed to use {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Writes down what is open, and puts the store aside. Returns how many tasks there are, and where the backup is.
pub(super) fn put_aside(layout: &Layout, store: Store) -> Result<(usize, PathBuf), CarryError> {
    let tasks = open_tasks(&store)?;
    store.close();
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| CarryError::File { path, source }
    };
    let file = layout.carry_over_file();
    let json = serde_json::to_vec(&tasks).map_err(io::Error::from).map_err(failed(&file))?;
    replace_file(&file, &json, 0o600).map_err(failed(&file))?;
    let backup = free_name(&layout.store_file());
    std::fs::rename(layout.store_file(), &backup).map_err(failed(&backup))?;
    Ok((tasks.len(), backup))
}

fn free_name(store: &Path) -> PathBuf {
    let name = |number: u32| store.with_extension(format!("backup-{number}.redb"));
    (1..).map(name).find(|path| !path.exists()).unwrap_or_else(|| name(0))
}

fn open_tasks(store: &Store) -> Result<Vec<Value>, Fault> {
    let reader = store.reader()?;
    let (mut tasks, mut offset) = (Vec::new(), 0);
    loop {
        let page = reader.list(&Filter::default(), Sort::Newest, offset, PAGE)?;
        let read = page.tasks.len() as u64;
        for (no, row) in page.tasks.into_iter().filter(|(_, row)| !matches!(row.queue.as_str(), "done" | "cancelled")) {
            let mut task: Map<String, Value> = row
                .fields
                .iter()
                .filter(|(name, _)| FIELDS.contains(&name.as_str()))
                .map(|(name, value)| (name.clone(), json(value)))
                .collect();
            task.insert("id".to_owned(), row.id.clone().into());
            task.insert("scope".to_owned(), row.scope.clone().into());
            task.insert("file_path".to_owned(), row.text("file_path").unwrap_or(&row.id).into());
            task.insert("content".to_owned(), reader.content(no)?.into());
            let queue = if KEPT.contains(&row.queue.as_str()) { row.queue.as_str() } else { "incoming" };
            task.insert("queue".to_owned(), queue.into());
            if !row.open_blockers.is_empty() {
                task.insert("blocked_by".to_owned(), row.open_blockers.join(",").into());
            }
            tasks.push(Value::Object(task));
        }
        offset += read;
        if read < PAGE {
            // The oldest first, so that blockers are there before those who wait for them.
            tasks.reverse();
            return Ok(tasks);
        }
    }
}

fn json(value: &octopoid_crdt::document::Value) -> Value {
    use octopoid_crdt::document::Value as Field;
    match value {
        Field::Null => Value::Null,
        Field::Bool(value) => (*value).into(),
        Field::Int(value) => (*value).into(),
        Field::Text(value) => value.clone().into(),
    }
}

/// Makes the tasks anew, once this node may write; gives up quietly where there are none.
pub(super) async fn take_along(layout: Layout, store: std::sync::Arc<Store>, router: axum::Router, bearer: String) {
    let file = layout.carry_over_file();
    let Ok(text) = std::fs::read(&file) else { return };
    let tasks: Vec<Value> = match serde_json::from_slice(&text) {
        Ok(tasks) => tasks,
        Err(error) => return tracing::error!(file = %file.display(), %error, "the tasks to take along cannot be read; the file stays"),
    };
    let mut members = store.membership_changes();
    let me = store.me();
    if members.wait_for(|view| view.is_member(&me)).await.is_err() {
        return;
    }
    let mut left = tasks;
    // One that waits for another is made after it, in whatever order they came.
    for _ in 0..3 {
        let mut again = Vec::new();
        for task in left {
            match make(&router, &bearer, &task).await {
                201 | 409 => {}
                status => {
                    tracing::debug!(task = %task["id"], status, "not made yet");
                    again.push(task);
                }
            }
        }
        left = again;
        if left.is_empty() {
            break;
        }
    }
    if left.is_empty() {
        let removed = std::fs::remove_file(&file);
        return tracing::info!(removed = removed.is_ok(), "the open tasks came along into the cluster");
    }
    let json = serde_json::to_vec_pretty(&left).unwrap_or_default();
    let kept = replace_file(&file, &json, 0o600);
    tracing::warn!(tasks = left.len(), file = %file.display(), kept = kept.is_ok(), "some tasks could not be made in the new cluster; they stay in the file");
}

async fn make(router: &axum::Router, bearer: &str, task: &Value) -> u16 {
    let request = axum::http::Request::post("/api/v1/tasks")
        .header("host", "127.0.0.1")
        .header("authorization", bearer)
        .header("content-type", "application/json")
        .body(axum::body::Body::from(task.to_string()));
    let Ok(request) = request else { return 0 };
    let response = router.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
    let status = response.status().as_u16();
    if let Ok(body) = response.into_body().collect().await
        && status >= 400
    {
        tracing::debug!(answer = %String::from_utf8_lossy(&body.to_bytes()), "a task was refused");
    }
    status
}
