//! Calls that bring in and hand out everything.

use http::Method;

use super::{Client, TextStream, request::Call};
use crate::{ClientError, ImportProgress, ImportReport};

/// How an import is read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportQuery {
    /// Whether it is only tried.
    pub dry_run: bool,
    /// The zone of times without one: a name, an offset or UTC.
    pub tz: Option<String>,
    /// Where rows go that name no tenant; the node's own by default.
    pub scope: Option<String>,
}

impl Client {
    /// Imports a text in any of the shapes of `docs/migration.md`, at most 64 MiB. It may take minutes: see
    /// [`with_timeout`](Client::with_timeout).
    ///
    /// # Errors
    /// As every call; 400 when the text is of none of the shapes, 409 while another import runs.
    pub async fn import(&self, text: Vec<u8>, query: &ImportQuery) -> Result<ImportReport, ClientError> {
        let call = Call::outside(Method::POST, "/api/admin/import").query_flag("dry_run", query.dry_run);
        self.answer(call.query("tz", query.tz.as_ref()).query("scope", query.scope.as_ref()).raw(text)).await
    }

    /// Tells how far the import is that runs.
    ///
    /// # Errors
    /// As every call.
    pub async fn import_progress(&self) -> Result<ImportProgress, ClientError> {
        self.answer(Call::outside(Method::GET, "/api/admin/import")).await
    }

    /// Exports everything, of one tenant or of all, as JSON text that arrives in pieces.
    ///
    /// # Errors
    /// As every call.
    pub async fn export(&self, scope: Option<&str>) -> Result<TextStream, ClientError> {
        self.text(Call::outside(Method::GET, "/api/admin/export").query("scope", scope)).await
    }
}
