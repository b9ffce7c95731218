//! Tasks as the REST API shows, makes and edits them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::wire::{flag, optional_flag, patch};

/// One task, every field always present.
///
/// The fields up to `needs_intervention` are those of the version 2 API in its order; the others are additions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Task {
    /// The id, unique in its scope.
    pub id: String,
    /// Where scripts keep the task's text; the node stores the path and never opens it.
    pub file_path: String,
    /// One line for people.
    pub title: String,
    /// What is to be done.
    pub content: Option<String>,
    /// Where the task waits, for example `incoming` or `done`.
    pub queue: String,
    /// `P0` (first) to `P3`.
    pub priority: String,
    /// `XS` to `XL`.
    pub complexity: Option<String>,
    /// The agents' role that works on it.
    pub role: Option<String>,
    /// A kind of one's own, which claims can filter by.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The branch that the work is meant for.
    pub branch: String,
    /// Ids of open blockers, comma separated.
    pub blocked_by: Option<String>,
    /// The agent that holds the task or reviews it.
    pub claimed_by: Option<String>,
    /// When it was claimed.
    pub claimed_at: Option<String>,
    /// When the claim ends if nobody renews it.
    pub lease_expires_at: Option<String>,
    /// The orchestrator that claimed it.
    pub orchestrator_id: Option<String>,
    /// Commits of the last submit.
    pub commits_count: u64,
    /// Turns that the last submit took.
    pub turns_used: Option<u64>,
    /// How often it was tried and given back.
    pub attempt_count: u64,
    /// How often a review rejected it.
    pub rejection_count: u64,
    /// Whether a plan exists.
    #[serde(deserialize_with = "flag")]
    pub has_plan: bool,
    /// The plan's id.
    pub plan_id: Option<String>,
    /// The project that the task belongs to.
    pub project_id: Option<String>,
    /// Whether a submit needs no review.
    #[serde(deserialize_with = "flag")]
    pub auto_accept: bool,
    /// The pull request's number.
    pub pr_number: Option<u64>,
    /// The pull request's address.
    pub pr_url: Option<String>,
    /// Names of checks, comma separated.
    pub checks: Option<String>,
    /// What the checks found, as JSON text.
    pub check_results: Option<String>,
    /// Whether the branch must be rebased before it can be merged.
    #[serde(deserialize_with = "flag")]
    pub needs_rebase: bool,
    /// When a rebase was last tried.
    pub last_rebase_attempt_at: Option<String>,
    /// Where the work can be seen.
    pub staging_url: Option<String>,
    /// When it was last submitted.
    pub submitted_at: Option<String>,
    /// When it was done.
    pub completed_at: Option<String>,
    /// When it was made.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
    /// 1 + the records applied to it after its creation.
    pub version: u64,
    /// Whether it is too large for one attempt.
    #[serde(deserialize_with = "flag")]
    pub needs_breakdown: bool,
    /// How many reviews have begun.
    pub review_round: u64,
    /// What the last attempt wrote about its work.
    pub execution_notes: Option<String>,
    /// Steps around the task's life, as JSON text.
    pub hooks: Option<String>,
    /// The flow whose transitions it follows.
    pub flow: String,
    /// Changes to that flow for this task alone, as JSON text.
    pub flow_overrides: Option<String>,
    /// The tenant.
    pub scope: String,
    /// Whether a person is asked for.
    #[serde(deserialize_with = "flag")]
    pub needs_intervention: bool,
    /// The highest epoch that counts; 0 before the first claim.
    #[serde(default)]
    pub epoch: u64,
    /// The winning attempt, `<epoch>-<8 hex>`.
    #[serde(default)]
    pub attempt: Option<String>,
    /// Whether more than one attempt was accepted.
    #[serde(default, deserialize_with = "flag")]
    pub contested: bool,
    /// The name of the node whose claim or review holds the task.
    #[serde(default)]
    pub holder: Option<String>,
    /// The name of the node that created the task.
    #[serde(default)]
    pub node: Option<String>,
    /// The commit that brought the work to the integration branch.
    #[serde(default)]
    pub merged_commit: Option<String>,
    /// Why accepted work is not merged yet.
    #[serde(default)]
    pub awaiting_merge: Option<String>,
    /// When the next attempt may start, while the task waits after a failed one.
    #[serde(default)]
    pub retry_at: Option<String>,
}

impl Task {
    /// What [`Self::awaiting_merge`] holds as long as nobody has looked why.
    pub const MERGE_PENDING: &'static str = "accepted, not merged yet";
    /// How [`Self::awaiting_merge`] ends where another machine of the cluster merges.
    pub const MERGED_ELSEWHERE: &'static str = "and merges it";

    /// Tells whether accepted work is still to be merged without anybody's doing.
    #[must_use]
    pub fn will_be_merged(&self) -> bool {
        self.awaiting_merge.as_deref().is_some_and(|reason| reason == Self::MERGE_PENDING || reason.ends_with(Self::MERGED_ELSEWHERE))
    }

    /// Every field in the order in which the API writes it.
    pub const FIELDS: [&'static str; 51] = [
        "id",
        "file_path",
        "title",
        "content",
        "queue",
        "priority",
        "complexity",
        "role",
        "type",
        "branch",
        "blocked_by",
        "claimed_by",
        "claimed_at",
        "lease_expires_at",
        "orchestrator_id",
        "commits_count",
        "turns_used",
        "attempt_count",
        "rejection_count",
        "has_plan",
        "plan_id",
        "project_id",
        "auto_accept",
        "pr_number",
        "pr_url",
        "checks",
        "check_results",
        "needs_rebase",
        "last_rebase_attempt_at",
        "staging_url",
        "submitted_at",
        "completed_at",
        "created_at",
        "updated_at",
        "version",
        "needs_breakdown",
        "review_round",
        "execution_notes",
        "hooks",
        "flow",
        "flow_overrides",
        "scope",
        "needs_intervention",
        "epoch",
        "attempt",
        "contested",
        "holder",
        "node",
        "merged_commit",
        "awaiting_merge",
        "retry_at",
    ];
}

/// One page of tasks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TaskList {
    /// The tasks of this page.
    pub tasks: Vec<Task>,
    /// How many match in all.
    pub total: u64,
    /// How many were skipped.
    pub offset: u64,
    /// How many a page holds.
    pub limit: u64,
}

/// Asks for a new task; a field left out or null takes its default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewTask {
    /// The id, `[A-Za-z0-9][A-Za-z0-9._-]{0,127}`.
    pub id: String,
    /// Where scripts keep the task's text.
    pub file_path: String,
    /// Defaults to the id.
    #[serde(default)]
    pub title: Option<String>,
    /// What is to be done.
    #[serde(default)]
    pub content: Option<String>,
    /// Any queue but claimed; defaults to `incoming`.
    #[serde(default)]
    pub queue: Option<String>,
    /// `P0` to `P3`; defaults to `P2`.
    #[serde(default)]
    pub priority: Option<String>,
    /// `XS` to `XL`.
    #[serde(default)]
    pub complexity: Option<String>,
    /// The agents' role that should work on it.
    #[serde(default)]
    pub role: Option<String>,
    /// A kind of one's own.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// Defaults to `main`; a project's branch overrides it.
    #[serde(default)]
    pub branch: Option<String>,
    /// Ids of tasks that must be done first, comma separated.
    #[serde(default)]
    pub blocked_by: Option<String>,
    /// The project that the task belongs to.
    #[serde(default)]
    pub project_id: Option<String>,
    /// Whether a submit needs no review.
    #[serde(default, deserialize_with = "optional_flag")]
    pub auto_accept: Option<bool>,
    /// Whether a plan exists.
    #[serde(default, deserialize_with = "optional_flag")]
    pub has_plan: Option<bool>,
    /// The plan's id.
    #[serde(default)]
    pub plan_id: Option<String>,
    /// Whether it is too large for one attempt.
    #[serde(default, deserialize_with = "optional_flag")]
    pub needs_breakdown: Option<bool>,
    /// Whether a person is asked for.
    #[serde(default, deserialize_with = "optional_flag")]
    pub needs_intervention: Option<bool>,
    /// The pull request's number.
    #[serde(default)]
    pub pr_number: Option<u64>,
    /// The pull request's address.
    #[serde(default)]
    pub pr_url: Option<String>,
    /// Names of checks, comma separated.
    #[serde(default)]
    pub checks: Option<String>,
    /// Where the work can be seen.
    #[serde(default)]
    pub staging_url: Option<String>,
    /// Notes for whoever works on it.
    #[serde(default)]
    pub execution_notes: Option<String>,
    /// Steps around the task's life: JSON, or JSON text.
    #[serde(default)]
    pub hooks: Option<Value>,
    /// Defaults to `default`.
    #[serde(default)]
    pub flow: Option<String>,
    /// Changes to the flow for this task alone: JSON, or JSON text.
    #[serde(default)]
    pub flow_overrides: Option<Value>,
    /// Defaults to the node's own scope.
    #[serde(default)]
    pub scope: Option<String>,
}

patch! {
    /// Changes the fields that it names and leaves the others.
    ///
    /// A field of type `Option<Option<_>>` is set to null by `Some(None)`.
    pub struct TaskPatch {
        file_path: String,
        title: String,
        content: Option<String>,
        /// Moves the task; `done` and `claimed` are refused.
        queue: String,
        priority: String,
        complexity: Option<String>,
        role: Option<String>,
        kind as "type": Option<String>,
        branch: String,
        blocked_by: Option<String>,
        /// Null releases the task.
        claimed_by: Option<String>,
        /// Null ends the lease, a time renews it.
        lease_expires_at: Option<String>,
        orchestrator_id: Option<String>,
        commits_count: u64,
        turns_used: Option<u64>,
        plan_id: Option<String>,
        project_id: Option<String>,
        pr_number: Option<u64>,
        pr_url: Option<String>,
        checks: Option<String>,
        /// JSON, or JSON text.
        check_results: Option<Value>,
        last_rebase_attempt_at: Option<String>,
        staging_url: Option<String>,
        review_round: u64,
        execution_notes: Option<String>,
        /// JSON, or JSON text.
        hooks: Option<Value>,
        flow: String,
        /// JSON, or JSON text.
        flow_overrides: Option<Value>,
        /// The version that the caller saw; another one is refused with 409.
        version: u64,
    }
    flags { has_plan, auto_accept, needs_rebase, needs_breakdown, needs_intervention }
}

/// The answer to a deletion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Deleted {
    /// `Task deleted`.
    pub message: String,
    /// The id that is gone.
    pub task_id: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_writes_every_field_in_the_order_of_the_contract() {
        let text = serde_json::to_string(&Task::default()).expect("json");
        let mut from = 0;
        for field in Task::FIELDS {
            let at = text[from..].find(&format!("\"{field}\":")).unwrap_or_else(|| panic!("{field} is missing or out of order in {text}"));
            from += at;
        }
        let object: serde_json::Map<String, Value> = serde_json::from_str(&text).expect("object");
        assert_eq!(object.len(), Task::FIELDS.len());
        assert_eq!(object.get("content"), Some(&Value::Null));
        assert_eq!(object.get("has_plan"), Some(&Value::Bool(false)));
    }

    #[test]
    fn a_task_of_the_first_servers_with_flags_as_numbers_is_read() {
        let mut json = serde_json::to_value(Task::default()).expect("json");
        json["auto_accept"] = Value::from(1);
        json["has_plan"] = Value::from(0);
        let task: Task = serde_json::from_value(json).expect("task");
        assert!(task.auto_accept && !task.has_plan);
    }

    #[test]
    fn a_patch_tells_a_missing_field_from_a_null_one() {
        let patch: TaskPatch = serde_json::from_str(r#"{"claimed_by":null,"title":"x"}"#).expect("patch");
        assert_eq!(patch.claimed_by, Some(None));
        assert_eq!(patch.lease_expires_at, None);
        assert_eq!(patch.title.as_deref(), Some("x"));
        assert!(!patch.is_empty());
        assert_eq!(serde_json::to_string(&patch).expect("json"), r#"{"title":"x","claimed_by":null}"#);
    }

    #[test]
    fn an_empty_patch_is_empty_and_writes_nothing() {
        let patch: TaskPatch = serde_json::from_str("{}").expect("patch");
        assert!(patch.is_empty());
        assert_eq!(serde_json::to_string(&patch).expect("json"), "{}");
    }

    #[test]
    fn a_patch_refuses_null_where_there_is_none_and_fields_that_it_does_not_know() {
        assert!(serde_json::from_str::<TaskPatch>(r#"{"title":null}"#).is_err());
        assert!(serde_json::from_str::<TaskPatch>(r#"{"has_plan":null}"#).is_err());
        let unknown = serde_json::from_str::<TaskPatch>(r#"{"prioritty":"P1"}"#).expect_err("unknown field");
        assert!(unknown.to_string().contains("prioritty"), "{unknown}");
        let derived = serde_json::from_str::<TaskPatch>(r#"{"attempt_count":3}"#).expect_err("derived field");
        assert!(derived.to_string().contains("attempt_count"), "{derived}");
    }

    #[test]
    fn hooks_come_as_json_or_as_text() {
        let list: NewTask = serde_json::from_str(r#"{"id":"a","file_path":"a.md","hooks":[{"name":"tests"}]}"#).expect("list");
        let text: NewTask = serde_json::from_str(r#"{"id":"a","file_path":"a.md","hooks":"[]","auto_accept":1}"#).expect("text");
        assert!(list.hooks.is_some_and(|hooks| hooks.is_array()));
        assert!(text.hooks.is_some_and(|hooks| hooks.is_string()));
        assert_eq!(text.auto_accept, Some(true));
    }
}
