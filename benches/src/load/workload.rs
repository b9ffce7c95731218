//! The five kinds of requests, and what their answers must say.

use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;
use serde_json::json;

use super::drive::{Load, Outcome};
use super::http::{Answer, Request};
use super::tasks::{PROJECT, Tasks};

/// How long claims live without renewal: longer than any run.
const LEASE_SECONDS: u32 = 3_600;
/// How near the end of a list its total stands.
const TAIL: usize = 100;

/// The part of the API that is driven: a tenant of its own in a node that others use too.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// The tenant; none for the node's own.
    pub scope: Option<String>,
}

impl Place {
    fn path(&self, path: &str, query: &str) -> String {
        let scope = self.scope.as_ref().map(|scope| format!("scope={scope}")).unwrap_or_default();
        let query = [scope.as_str(), query.trim_start_matches('&')].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>();
        if query.is_empty() { format!("/api/v1/tasks{path}") } else { format!("/api/v1/tasks{path}?{}", query.join("&")) }
    }
}

fn expect(answer: &Answer<'_>, status: u16) -> Outcome {
    if answer.status == status { Outcome::Done } else { Outcome::Wrong(answer.brief()) }
}

/// Makes every task once.
pub struct Create {
    place: Place,
    tasks: Tasks,
    next: AtomicU64,
}

impl Create {
    /// Prepares to make these tasks.
    pub fn new(place: Place, tasks: Tasks) -> Self {
        Self { place, tasks, next: AtomicU64::new(0) }
    }
}

impl Load for Create {
    fn next(&self, _: u32) -> Option<Request> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number < self.tasks.count).then(|| Request::post("/api/v1/tasks", &self.tasks.request(number, self.place.scope.as_deref())))
    }

    fn note(&self, _: u32, _: &Request, answer: &Answer<'_>) -> Outcome {
        expect(answer, 201)
    }
}

/// Makes the project that some of the tasks belong to.
pub struct MakeProject {
    place: Place,
    made: AtomicU64,
}

impl MakeProject {
    /// Prepares to make it once.
    pub fn new(place: Place) -> Self {
        Self { place, made: AtomicU64::new(0) }
    }
}

impl Load for MakeProject {
    fn next(&self, _: u32) -> Option<Request> {
        let first = self.made.fetch_add(1, Ordering::Relaxed) == 0;
        let mut project = json!({ "id": PROJECT, "title": "What lists by project find" });
        if let Some(scope) = &self.place.scope {
            project["scope"] = scope.as_str().into();
        }
        first.then(|| Request::post("/api/v1/projects", &project))
    }

    fn note(&self, _: u32, _: &Request, answer: &Answer<'_>) -> Outcome {
        expect(answer, 201)
    }
}

/// Asks for the first 50 tasks of one filter again and again.
pub struct List {
    place: Place,
    parameter: String,
    total: u64,
    left: AtomicI64,
}

impl List {
    /// Prepares to ask so many times for a list with this total.
    pub fn new(place: Place, parameter: String, total: u64, times: u64) -> Self {
        Self { place, parameter, total, left: AtomicI64::new(i64::try_from(times).unwrap_or(i64::MAX)) }
    }
}

impl Load for List {
    fn next(&self, _: u32) -> Option<Request> {
        let path = || self.place.path("", &format!("limit=50{}", self.parameter));
        (self.left.fetch_sub(1, Ordering::Relaxed) > 0).then(|| Request::get(path()))
    }

    fn note(&self, _: u32, _: &Request, answer: &Answer<'_>) -> Outcome {
        match (expect(answer, 200), total(answer.body)) {
            (Outcome::Done, Some(total)) if total == self.total => Outcome::Done,
            (Outcome::Done, total) => Outcome::Wrong(format!("a list of {} tasks has the total {total:?}", self.total)),
            (wrong, _) => wrong,
        }
    }
}

/// Reads a list's total, which stands behind its tasks, without reading the tasks.
fn total(body: &[u8]) -> Option<u64> {
    let tail = String::from_utf8_lossy(&body[body.len().saturating_sub(TAIL)..]);
    let (_, rest) = tail.rsplit_once("\"total\":")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// A task that was granted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Granted {
    /// Its id.
    pub id: String,
    /// The claim's epoch.
    pub epoch: u64,
    /// Who was told that it is theirs.
    pub claimed_by: String,
}

/// Claims until nothing is left, or so many were granted.
pub struct Claim {
    place: Place,
    left: AtomicI64,
    granted: Mutex<Vec<Granted>>,
}

impl Claim {
    /// Prepares to claim at most so many tasks.
    pub fn new(place: Place, most: u64) -> Self {
        Self { place, left: AtomicI64::new(i64::try_from(most).unwrap_or(i64::MAX)), granted: Mutex::default() }
    }

    /// Returns how many grants were answered so far.
    pub fn count(&self) -> usize {
        self.granted.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Returns what was granted so far.
    pub fn granted(&self) -> Vec<Granted> {
        self.granted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Load for Claim {
    fn next(&self, client: u32) -> Option<Request> {
        if self.left.fetch_sub(1, Ordering::Relaxed) <= 0 {
            return None;
        }
        let body = json!({
            "orchestrator_id": "load",
            "agent_name": format!("agent-{client}"),
            "lease_duration_seconds": LEASE_SECONDS,
        });
        Some(Request::post(self.place.path("/claim", ""), &body))
    }

    fn note(&self, client: u32, _: &Request, answer: &Answer<'_>) -> Outcome {
        if answer.status == 404 {
            return Outcome::Over;
        }
        let granted = match (expect(answer, 200), serde_json::from_slice::<Granted>(answer.body)) {
            (Outcome::Done, Ok(granted)) => granted,
            (Outcome::Done, Err(error)) => return Outcome::Wrong(format!("a claim's answer is no task: {error}")),
            (wrong, _) => return wrong,
        };
        let mine = granted.claimed_by == format!("agent-{client}");
        let told = format!("agent-{client} was given a task of {}", granted.claimed_by);
        self.granted.lock().unwrap_or_else(PoisonError::into_inner).push(granted);
        if mine { Outcome::Done } else { Outcome::Wrong(told) }
    }
}

/// Returns how many grants gave a task that was granted before.
pub fn duplicates(granted: &[Granted]) -> u64 {
    let distinct: HashSet<_> = granted.iter().map(|granted| granted.id.as_str()).collect();
    (granted.len() - distinct.len()) as u64
}

/// What is done with every task that was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It is handed in by its holder.
    Submit,
    /// It is accepted.
    Accept,
    /// It is looked at: it must still be claimed by whoever was told so.
    Check,
}

/// Takes every task that was granted one step on.
pub struct Steps {
    place: Place,
    step: Step,
    granted: Vec<Granted>,
    next: AtomicU64,
}

impl Steps {
    /// Prepares a step for these tasks.
    pub fn new(place: Place, step: Step, granted: Vec<Granted>) -> Self {
        Self { place, step, granted, next: AtomicU64::new(0) }
    }
}

impl Load for Steps {
    fn next(&self, _: u32) -> Option<Request> {
        let at = usize::try_from(self.next.fetch_add(1, Ordering::Relaxed)).ok()?;
        let Granted { id, epoch, claimed_by } = self.granted.get(at)?;
        Some(match self.step {
            Step::Submit => {
                let body = json!({ "commits_count": 1, "turns_used": 5, "agent_name": claimed_by, "epoch": epoch });
                Request::post(self.place.path(&format!("/{id}/submit"), ""), &body)
            }
            Step::Accept => Request::post(self.place.path(&format!("/{id}/accept"), ""), &json!({ "accepted_by": "load" })),
            Step::Check => Request::get(self.place.path(&format!("/{id}"), "")),
        })
    }

    fn note(&self, _: u32, request: &Request, answer: &Answer<'_>) -> Outcome {
        if self.step != Step::Check || answer.status != 200 {
            return expect(answer, 200);
        }
        match serde_json::from_slice::<Granted>(answer.body) {
            Ok(found) if self.granted.contains(&found) => Outcome::Done,
            Ok(_) | Err(_) => Outcome::Wrong(format!("{} is not as it was granted", request.path)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(id: &str, agent: &str) -> Granted {
        Granted { id: id.to_owned(), epoch: 1, claimed_by: agent.to_owned() }
    }

    #[test]
    fn a_task_that_is_granted_twice_is_one_duplicate() {
        assert_eq!(duplicates(&[granted("a", "x"), granted("b", "y")]), 0);
        assert_eq!(duplicates(&[granted("a", "x"), granted("b", "y"), granted("a", "y")]), 1);
    }

    #[test]
    fn the_total_of_a_list_is_read_from_its_end() {
        assert_eq!(total(br#"{"tasks":[{"title":"\"total\":3"}],"total":12345,"offset":0,"limit":50}"#), Some(12_345));
        assert_eq!(total(b"{}"), None);
    }

    #[test]
    fn a_list_with_a_wrong_total_is_wrong() {
        let list = List::new(Place::default(), String::new(), 3, 1);
        let answer = Answer { status: 200, body: br#"{"tasks":[],"total":2,"offset":0,"limit":50}"# };
        assert!(matches!(list.note(0, &Request::get(""), &answer), Outcome::Wrong(_)));
    }

    #[test]
    fn a_claim_that_answers_with_the_task_of_another_is_wrong_and_404_ends_the_client() {
        let claim = Claim::new(Place::default(), 9);
        let request = Request::get("");
        let body = br#"{"id":"a","epoch":1,"claimed_by":"agent-1","queue":"claimed"}"#;
        assert_eq!(claim.note(1, &request, &Answer { status: 200, body }), Outcome::Done);
        assert!(matches!(claim.note(2, &request, &Answer { status: 200, body }), Outcome::Wrong(_)));
        assert_eq!(claim.note(1, &request, &Answer { status: 404, body: b"{}" }), Outcome::Over);
        assert_eq!(duplicates(&claim.granted()), 1);
    }

    #[test]
    fn a_scope_of_its_own_goes_into_every_path() {
        let place = Place { scope: Some("load-1".to_owned()) };
        assert_eq!(place.path("", "limit=50"), "/api/v1/tasks?scope=load-1&limit=50");
        assert_eq!(place.path("/claim", ""), "/api/v1/tasks/claim?scope=load-1");
        assert_eq!(Place::default().path("/claim", ""), "/api/v1/tasks/claim");
    }
}
