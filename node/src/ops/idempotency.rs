//! Repeating a request safely: the first answer to a key is kept with the commit that it tells of.
//!
//! Only successes are kept: a refusal leaves no trace, so repeating it asks again. Keys are kept for 24 h on the node that
//! answered, apart for each caller's scope and for each node that was called.
//!
//! **Invariants**: the answer and its records are in one commit, so a crash keeps both or neither; what is kept is bounded by
//! what was written within a day.

use minicbor::{CborLen, Decode, Encode};

use octopoid_crdt::ids::AuthorKey;

use super::Refused;
use crate::store::Unit;

/// How long an answer is kept.
const KEPT_MS: u64 = 24 * 60 * 60 * 1_000;
/// How many answers that are too old each new one removes, so that the table does not grow and no commit grows either.
const SWEEP: usize = 8;

/// Whose keys a key is one of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whose<'a> {
    /// The member that was called and passed the request on; none where this node was called itself.
    pub node: Option<AuthorKey>,
    /// The caller's scope; none for who may see all of them.
    pub scope: Option<&'a str>,
}

/// A caller's key, and the request that it came with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    key: String,
    request: [u8; 32],
}

impl Once {
    /// Ties a key to a request.
    #[must_use]
    pub fn new(whose: Whose<'_>, key: &str, place: &str, body: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in [place.as_bytes(), body] {
            hasher.update(&(part.len() as u64).to_be_bytes()).update(part);
        }
        // No name of a scope has a colon or a slash.
        let node = whose.node.map(|node| format!("{node}:")).unwrap_or_default();
        Self { key: format!("{node}{}/{key}", whose.scope.unwrap_or_default()), request: *hasher.finalize().as_bytes() }
    }
}

/// An answer as it is sent, and sent again.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, CborLen)]
pub struct Answer {
    /// The HTTP status.
    #[n(0)]
    pub status: u16,
    /// The task's ETag.
    #[n(1)]
    pub etag: Option<String>,
    /// The body.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub body: Vec<u8>,
}

#[derive(Debug, Encode, Decode, CborLen)]
struct Kept {
    #[cbor(n(0), with = "minicbor::bytes")]
    request: [u8; 32],
    #[n(1)]
    at_ms: u64,
    #[n(2)]
    answer: Answer,
}

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// Nothing: the request is new.
    New,
    /// The request was answered.
    Answered(Answer),
    /// The key came with another request.
    Other,
}

fn by_key(key: &str) -> String {
    format!("k/{key}")
}

fn by_time(at_ms: u64, key: &str) -> String {
    format!("t/{at_ms:020}/{key}")
}

/// Looks a key up.
///
/// # Errors
/// When the store fails.
pub fn look_up(unit: &mut Unit<'_>, once: &Once) -> Result<Known, Refused> {
    let Some(bytes) = unit.answer(&by_key(&once.key))? else { return Ok(Known::New) };
    // An entry of another version of this program is no answer to send.
    let Ok(kept) = minicbor::decode::<Kept>(&bytes) else { return Ok(Known::New) };
    if kept.at_ms.saturating_add(KEPT_MS) < unit.now_ms() {
        return Ok(Known::New);
    }
    Ok(if kept.request == once.request { Known::Answered(kept.answer) } else { Known::Other })
}

/// Forgets the answer that was kept for a request, so that it is done anew.
pub fn forget(unit: &mut Unit<'_>, once: &Once) {
    unit.forget_answer(by_key(&once.key));
}

/// Keeps an answer with the commit of this unit, and forgets a few that are too old.
///
/// # Errors
/// When the store fails.
pub fn keep(unit: &mut Unit<'_>, once: &Once, answer: &Answer) -> Result<(), Refused> {
    let now = unit.now_ms();
    for old in unit.answers_between("t/", &by_time(now.saturating_sub(KEPT_MS), ""), SWEEP)? {
        if let Some((_, key)) = old.strip_prefix("t/").and_then(|rest| rest.split_once('/')) {
            let at_ms = unit.answer(&by_key(key))?.and_then(|bytes| minicbor::decode::<Kept>(&bytes).ok()).map(|kept| kept.at_ms);
            // The key may have been used again since.
            if at_ms.is_some_and(|at_ms| by_time(at_ms, key) == old) {
                unit.forget_answer(by_key(key));
            }
        }
        unit.forget_answer(old);
    }
    let kept = Kept { request: once.request, at_ms: now, answer: answer.clone() };
    let bytes = minicbor::to_vec(&kept)
        .unwrap_or_else(|error: minicbor::encode::Error<std::convert::Infallible>| unreachable!("memory refused {error}"));
    unit.set_answer(by_key(&once.key), bytes);
    unit.set_answer(by_time(now, &once.key), Vec::new());
    Ok(())
}
