//! Calls about drafts.

use http::Method;

use super::{Client, request::Call};
use crate::{ClientError, Draft, DraftDeleted, DraftList, DraftPatch, NewDraft};

/// Which drafts a list holds. Several values of one field mean any of them; an empty one means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DraftFilter {
    /// Statuses.
    pub status: Vec<String>,
    /// Authors.
    pub author: Vec<String>,
    /// Domains.
    pub domain: Vec<String>,
    /// Tenant; the node's own by default.
    pub scope: Option<String>,
    /// Page size, 50 by default and 500 at most.
    pub limit: Option<u64>,
    /// How many to skip.
    pub offset: Option<u64>,
}

impl Client {
    /// Lists drafts, newest first.
    ///
    /// # Errors
    /// As every call.
    pub async fn drafts(&self, filter: &DraftFilter) -> Result<DraftList, ClientError> {
        let call = Call::new(Method::GET, &["drafts"])?
            .query_list("status", &filter.status)
            .query_list("author", &filter.author)
            .query_list("domain", &filter.domain)
            .query("scope", filter.scope.as_ref())
            .query_number("limit", filter.limit)
            .query_number("offset", filter.offset);
        self.answer(call).await
    }

    /// Shows a draft.
    ///
    /// # Errors
    /// As every call; 404 when there is none of that id.
    pub async fn draft(&self, id: u64) -> Result<Draft, ClientError> {
        self.answer(Call::new(Method::GET, &["drafts", &id.to_string()])?).await
    }

    /// Makes a draft.
    ///
    /// # Errors
    /// As every call.
    pub async fn create_draft(&self, draft: &NewDraft) -> Result<Draft, ClientError> {
        self.answer(Call::new(Method::POST, &["drafts"])?.body(draft)?).await
    }

    /// Edits a draft.
    ///
    /// # Errors
    /// As every call.
    pub async fn patch_draft(&self, id: u64, patch: &DraftPatch) -> Result<Draft, ClientError> {
        self.answer(Call::new(Method::PATCH, &["drafts", &id.to_string()])?.body(patch)?).await
    }

    /// Deletes a draft.
    ///
    /// # Errors
    /// As every call.
    pub async fn delete_draft(&self, id: u64) -> Result<DraftDeleted, ClientError> {
        let gone = serde_json::json!({ "message": "Draft deleted", "draft_id": id });
        self.answer(Call::new(Method::DELETE, &["drafts", &id.to_string()])?.or_gone(&gone)).await
    }
}
