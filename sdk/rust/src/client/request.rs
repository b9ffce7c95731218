//! One call before it is sent.

use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use serde::{Deserialize, Serialize, de::IgnoredAny};

use super::retry::Repeat;
use crate::error::ClientError;

/// Whether a body names a tenant.
#[derive(Deserialize)]
struct Named {
    scope: Option<IgnoredAny>,
}

/// A method, a path, a query and a body.
#[derive(Debug, Clone)]
pub(super) struct Call {
    method: Method,
    path: String,
    query: String,
    body: Option<Bytes>,
    last_event: Option<HeaderValue>,
    repeat: Repeat,
    /// Whether it names a tenant.
    scoped: bool,
    /// What is answered when an earlier try deleted it already.
    gone: Option<Bytes>,
}

impl Call {
    /// Calls a path below `/api/v1`. Segments are encoded, so an id stays one segment.
    pub(super) fn new(method: Method, segments: &[&str]) -> Result<Self, ClientError> {
        let mut path = String::from("/api/v1");
        for segment in segments {
            // Dots alone mean "here" and "up" to every reader of a path, encoded or not.
            if matches!(*segment, "" | "." | "..") {
                return Err(ClientError::BadId((*segment).to_owned()));
            }
            path.push('/');
            encode(segment, &mut path);
        }
        Ok(Self::at(method, path))
    }

    /// Calls a path elsewhere.
    pub(super) fn outside(method: Method, path: &str) -> Self {
        Self { scoped: true, ..Self::at(method, path.to_owned()) }
    }

    fn at(method: Method, path: String) -> Self {
        let repeat = if method == Method::PATCH { Repeat::Unsent } else { Repeat::Always };
        Self { method, path, query: String::new(), body: None, last_event: None, repeat, scoped: false, gone: None }
    }

    /// Makes it once: its answer holds what is told once.
    pub(super) fn once(mut self) -> Self {
        self.repeat = Repeat::Unsent;
        self
    }

    /// Answers this when a further try finds that an earlier one deleted it.
    pub(super) fn or_gone(mut self, answer: &serde_json::Value) -> Self {
        self.gone = Some(answer.to_string().into());
        self
    }

    pub(super) fn repeat(&self) -> Repeat {
        self.repeat
    }

    pub(super) fn gone(&self) -> Option<&Bytes> {
        self.gone.as_ref()
    }

    pub(super) fn is_post(&self) -> bool {
        self.method == Method::POST
    }

    /// Adds a part of the query unless there is nothing to say.
    pub(super) fn query(mut self, name: &str, value: Option<impl AsRef<str>>) -> Self {
        if let Some(value) = value {
            self.scoped |= name == "scope";
            self.query.push(if self.query.is_empty() { '?' } else { '&' });
            self.query.push_str(name);
            self.query.push('=');
            encode(value.as_ref(), &mut self.query);
        }
        self
    }

    /// Adds several values as one with commas, unless there are none.
    pub(super) fn query_list(self, name: &str, values: &[String]) -> Self {
        self.query(name, (!values.is_empty()).then(|| values.join(",")))
    }

    /// Adds a number.
    pub(super) fn query_number(self, name: &str, value: Option<u64>) -> Self {
        self.query(name, value.map(|value| value.to_string()))
    }

    /// Adds a flag if it is set.
    pub(super) fn query_flag(self, name: &str, set: bool) -> Self {
        self.query(name, set.then_some("true"))
    }

    /// Sends this as JSON.
    pub(super) fn body<T: Serialize>(mut self, body: &T) -> Result<Self, ClientError> {
        let json = serde_json::to_vec(body).map_err(|source| ClientError::Encode { call: self.name(), source })?;
        self.scoped |= serde_json::from_slice(&json).is_ok_and(|Named { scope }| scope.is_some());
        self.body = Some(json.into());
        Ok(self)
    }

    /// Sends a text as it is, which is JSON or JSON lines.
    pub(super) fn raw(mut self, body: Vec<u8>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Asks for the events after this one.
    pub(super) fn after_event(mut self, id: Option<&str>) -> Result<Self, ClientError> {
        let value = |id: &str| HeaderValue::try_from(id).map_err(|_| ClientError::BadId(id.to_owned()));
        self.last_event = id.map(value).transpose()?;
        Ok(self)
    }

    /// Names the call for messages; the query may hold what a message should not.
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Writes the request; a scope is added unless the call names one.
    pub(super) fn request(&self, scope: Option<&str>) -> Result<Request<Bytes>, ClientError> {
        let mut uri = format!("{}{}", self.path, self.query);
        if let Some(scope) = scope.filter(|_| !self.scoped) {
            uri.push_str(if self.query.is_empty() { "?scope=" } else { "&scope=" });
            encode(scope, &mut uri);
        }
        let mut request = Request::builder().method(self.method.clone()).uri(&uri).header(header::ACCEPT, "application/json");
        if let Some(id) = &self.last_event {
            request = request.header("last-event-id", id);
        }
        if self.body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        request.body(self.body.clone().unwrap_or_default()).map_err(|_| ClientError::BadId(uri))
    }
}

/// Writes a text so that it stays itself in a path or query.
fn encode(text: &str, into: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => into.push(char::from(byte)),
            other => {
                const HEX: &[u8; 16] = b"0123456789ABCDEF";
                into.push('%');
                into.push(char::from(HEX[usize::from(other >> 4)]));
                into.push(char::from(HEX[usize::from(other & 15)]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(call: Call) -> String {
        call.request(None).expect("request").uri().to_string()
    }

    #[test]
    fn an_id_stays_one_segment_whatever_it_holds() {
        let call = Call::new(Method::GET, &["tasks", "a/../b?c#d%2f"]).expect("call");
        assert_eq!(uri(call), "/api/v1/tasks/a%2F..%2Fb%3Fc%23d%252f");
    }

    #[test]
    fn a_clients_scope_is_added_unless_the_call_names_one() {
        let of = |call: Call| call.request(Some("a&b")).expect("request").uri().to_string();
        let list = || Call::new(Method::GET, &["tasks"]).expect("call");
        assert_eq!(of(list()), "/api/v1/tasks?scope=a%26b");
        assert_eq!(of(list().query_number("limit", Some(5))), "/api/v1/tasks?limit=5&scope=a%26b");
        assert_eq!(of(list().query("scope", Some("own"))), "/api/v1/tasks?scope=own");
        assert_eq!(of(list().body(&serde_json::json!({ "scope": "own" })).expect("call")), "/api/v1/tasks");
        assert_eq!(of(list().body(&serde_json::json!({ "scope": null })).expect("call")), "/api/v1/tasks?scope=a%26b");
        assert_eq!(of(Call::outside(Method::GET, "/api/health")), "/api/health");
    }

    #[test]
    fn dots_alone_and_nothing_are_no_ids() {
        for id in ["", ".", ".."] {
            assert!(matches!(Call::new(Method::GET, &["tasks", id]), Err(ClientError::BadId(_))), "{id:?}");
        }
    }

    #[test]
    fn a_query_holds_what_is_set_and_no_more() {
        let call = Call::new(Method::GET, &["tasks"])
            .expect("call")
            .query_list("queue", &["incoming".to_owned(), "a&b".to_owned()])
            .query("role", None::<&str>)
            .query_number("limit", Some(5))
            .query_flag("raw", false);
        assert_eq!(uri(call), "/api/v1/tasks?queue=incoming%2Ca%26b&limit=5");
    }
}
