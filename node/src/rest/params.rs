//! The query of a request.
//!
//! **Invariants**: a parameter that has one value is given once; a number that is none is an error that names it.

use axum::extract::{FromRequestParts, Query};
use axum::http::Uri;
use axum::http::request::Parts;

use super::refusal::Refusal;

/// How many entries a page has unless the caller says.
const PAGE: u64 = 50;
/// How many it has at most.
const LARGEST_PAGE: u64 = 500;

/// The parameters of a query, in their order.
#[derive(Debug, Clone, Default)]
pub(super) struct Params(Vec<(String, String)>);

/// Which part of a list is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub limit: u64,
    pub offset: u64,
}

impl Params {
    /// Reads the query of an address.
    pub(super) fn of(uri: &Uri) -> Result<Self, Refusal> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|_| Refusal::Invalid("the query is malformed: encode it as name=value&name=value".to_owned()))?;
        Ok(Self(pairs))
    }

    /// Returns a parameter that has one value.
    fn one(&self, name: &str) -> Result<Option<&str>, Refusal> {
        let mut values = self.0.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(Refusal::field(name, "is given more than once")),
            (value, None) => Ok(value),
        }
    }

    /// Returns a text; an empty one counts as left out.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, Refusal> {
        Ok(self.one(name)?.filter(|value| !value.is_empty()).map(str::to_owned))
    }

    /// Returns the values of a parameter that takes several, separated by commas.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let values = self.0.iter().filter(|(known, _)| known == name).flat_map(|(_, value)| value.split(','));
        values.map(str::trim).filter(|value| !value.is_empty()).map(str::to_owned).collect()
    }

    /// Returns a number; nothing is none.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Refusal> {
        let Some(text) = self.one(name)? else { return Ok(None) };
        let shown: String = text.chars().filter(|c| !c.is_control()).take(30).collect();
        // The description says that numbers have 63 bits, as many languages do.
        let number = text.parse().ok().filter(|number| i64::try_from(*number).is_ok());
        number.map(Some).ok_or_else(|| Refusal::field(name, format!("'{shown}' is not a number from 0 up")))
    }

    /// Returns a flag.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.one(name)? {
            None => Ok(None),
            Some("true" | "1") => Ok(Some(true)),
            Some("false" | "0") => Ok(Some(false)),
            Some(_) => Err(Refusal::field(name, "must be true or false")),
        }
    }

    /// Returns which part of a list is wanted.
    pub(super) fn window(&self) -> Result<Window, Refusal> {
        let limit = self.number("limit")?.unwrap_or(PAGE).min(LARGEST_PAGE);
        Ok(Window { limit, offset: self.number("offset")?.unwrap_or(0) })
    }
}

impl<S: Sync> FromRequestParts<S> for Params {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        Self::of(&parts.uri)
    }
}

impl Window {
    /// Cuts the part out of a list that is in memory, and returns it with the whole length.
    pub(super) fn cut<T>(self, all: Vec<T>) -> (Vec<T>, u64) {
        let total = all.len() as u64;
        let skip = usize::try_from(self.offset).unwrap_or(usize::MAX);
        let take = usize::try_from(self.limit).unwrap_or(usize::MAX);
        (all.into_iter().skip(skip).take(take).collect(), total)
    }
}
