//! Requests that move a task through its life.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::wire::StringList;

/// Asks for the next task that an agent may work on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClaimRequest {
    /// The orchestrator that the agent belongs to; one that never registered is accepted and listed.
    pub orchestrator_id: String,
    /// The agent that will hold the task.
    pub agent_name: String,
    /// Roles to choose from: one text or a list.
    #[serde(default)]
    pub role_filter: Option<StringList>,
    /// Types to choose from: one text or a list.
    #[serde(default)]
    pub type_filter: Option<StringList>,
    /// Defaults to `incoming`, or to what the first role claims from.
    #[serde(default)]
    pub queue: Option<String>,
    /// Seconds until the claim ends unless renewed: 1 to 3,600, default 300.
    #[serde(default)]
    pub lease_duration_seconds: Option<u32>,
    /// Defaults to the node's own scope.
    #[serde(default)]
    pub scope: Option<String>,
}

/// Keeps a claim alive.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RenewRequest {
    /// The holder; another one is refused with 409.
    pub agent_name: String,
    /// The claim's epoch, when the caller knows it.
    #[serde(default)]
    pub epoch: Option<u64>,
    /// Seconds from now: 1 to 3,600, default 300.
    #[serde(default)]
    pub lease_duration_seconds: Option<u32>,
}

/// Hands in finished work.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SubmitRequest {
    /// How many commits the attempt made.
    pub commits_count: u64,
    /// How many turns it took.
    pub turns_used: u64,
    /// The pull request's address; kept when left out.
    #[serde(default)]
    pub pr_url: Option<String>,
    /// What the checks found: JSON, or JSON text.
    #[serde(default)]
    pub check_results: Option<Value>,
    /// What the agent wants to say about its work.
    #[serde(default)]
    pub execution_notes: Option<String>,
    /// The claim's epoch; an older one is refused with 409.
    #[serde(default)]
    pub epoch: Option<u64>,
    /// The holder; another one is refused with 409.
    #[serde(default)]
    pub agent_name: Option<String>,
    /// The version that the caller saw; another one is refused with 409.
    #[serde(default)]
    pub version: Option<u64>,
}

/// Judges that the work is good.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AcceptRequest {
    /// Who judged.
    pub accepted_by: String,
    /// Why, for the history.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Judges that the work is not good.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RejectRequest {
    /// What is missing; the next attempt reads it.
    pub reason: String,
    /// Who judged.
    pub rejected_by: String,
}

/// Sends a task back to be tried again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RequeueRequest {
    /// Why, for the history.
    #[serde(default)]
    pub reason: Option<String>,
    /// Who asked.
    #[serde(default)]
    pub requeued_by: Option<String>,
    /// Whether queues other than claimed and provisional are meant too, done excepted.
    #[serde(default)]
    pub from_any: bool,
    /// Whether a task that is done or cancelled may be opened again; implies `from_any`.
    #[serde(default)]
    pub reopen: bool,
}

/// Gives a claimed task back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReleaseRequest {
    /// The holder; another one is refused with 409.
    #[serde(default)]
    pub agent_name: Option<String>,
    /// The claim's epoch; an older one is refused with 409.
    #[serde(default)]
    pub epoch: Option<u64>,
    /// Why, for the history.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Gives a task up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CancelRequest {
    /// Why, for the history.
    #[serde(default)]
    pub reason: Option<String>,
    /// Who gave it up.
    #[serde(default)]
    pub cancelled_by: Option<String>,
}

/// Moves a task past its flow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ForceQueueRequest {
    /// Where it should wait.
    pub queue: String,
    /// Why, for the history and as a message.
    pub reason: String,
    /// Who asked.
    #[serde(default)]
    pub forced_by: Option<String>,
}

/// Asks for the merge of accepted work that awaits it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MergeRequest {
    /// Who asked.
    #[serde(default)]
    pub merged_by: Option<String>,
}

/// How a hook ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum HookStatus {
    /// What the hook looks for is there.
    Passed,
    /// It is not.
    Failed,
}

/// Reports the end of one hook of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HookCompletion {
    /// How it ended.
    pub status: HookStatus,
    /// What shows it: any JSON.
    #[serde(default)]
    pub evidence: Option<Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_takes_its_filters_as_a_text_or_as_a_list() {
        let text: ClaimRequest = serde_json::from_str(r#"{"orchestrator_id":"o","agent_name":"a","role_filter":"fix"}"#).expect("text");
        let list: ClaimRequest = serde_json::from_str(r#"{"orchestrator_id":"o","agent_name":"a","role_filter":["fix"]}"#).expect("list");
        assert_eq!(text, list);
        assert_eq!(text.type_filter, None);
    }

    #[test]
    fn a_missing_required_field_is_named() {
        let error = serde_json::from_str::<RejectRequest>(r#"{"rejected_by":"me"}"#).expect_err("reason is required");
        assert!(error.to_string().contains("`reason`"), "{error}");
        let error = serde_json::from_str::<HookCompletion>(r#"{"status":"maybe"}"#).expect_err("status is one of two");
        assert!(error.to_string().contains("`passed` or `failed`"), "{error}");
    }
}
