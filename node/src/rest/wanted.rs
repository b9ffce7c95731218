//! Finds what a path names besides tasks, in the scopes that the caller may see.
//!
//! **Invariants**: an id is looked for in the named scope, else in the key's, else in the node's own, else in all others;
//! what the caller may not see is as if it were not there.

use super::app::App;
use super::input::Call;
use super::refusal::Refusal;
use crate::store::Fault;

/// Where an id is looked for.
pub(super) struct Wanted {
    /// The only scope, where there is one.
    only: Option<String>,
    own: String,
}

impl Wanted {
    pub(super) fn of(app: &App, call: &Call) -> Result<Self, Refusal> {
        if let Some(scope) = &call.scope {
            call.caller.check(scope)?;
        }
        let only = call.scope.clone().or_else(|| call.caller.bound().map(str::to_owned));
        Ok(Self { only, own: app.settings.scope.to_string() })
    }

    /// Looks in each scope that may hold it; `others` names all scopes that hold anything of its kind.
    pub(super) fn find<T>(
        &self,
        what: &str,
        id: &str,
        others: impl FnOnce() -> Result<Vec<String>, Fault>,
        look: impl Fn(&str) -> Result<Option<T>, Fault>,
    ) -> Result<T, Refusal> {
        let shown = || id.chars().filter(|c| !c.is_control()).take(140).collect::<String>();
        let not_found = || Refusal::NotFound(format!("{what} '{}' not found", shown()));
        if let Some(found) = look(self.only.as_deref().unwrap_or(&self.own))? {
            return Ok(found);
        }
        if self.only.is_some() {
            return Err(not_found());
        }
        let mut found = Vec::new();
        for scope in others()? {
            found.extend(look(&scope)?.map(|entry| (scope, entry)));
        }
        match found.len() {
            0 => Err(not_found()),
            1 => found.pop().map(|(_, entry)| entry).ok_or(Refusal::Defect),
            _ => {
                let scopes = found.into_iter().map(|(scope, _)| scope).collect::<Vec<_>>().join(", ");
                Err(Refusal::Conflict(format!("{what} '{}' exists in the scopes {scopes}: name one with ?scope=", shown())))
            }
        }
    }
}
