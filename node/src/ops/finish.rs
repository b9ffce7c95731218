//! Hands work in.

use octopoid_crdt::document::{Edit, Value};
use octopoid_crdt::ids::{Oid, RecordId};
use octopoid_crdt::lifecycle::Act;
use octopoid_crdt::record::{Body, Cause, Queue};

use super::claim::Holds;
use super::create::refuse;
use super::{Expect, Refused, Snapshot, allow, snapshot};
use crate::store::{TaskNo, Unit};

/// What an attempt hands in.
#[derive(Debug, Clone, Default)]
pub struct Submission {
    /// How many commits were made.
    pub commits: i64,
    /// How many turns it took.
    pub turns: i64,
    /// The pull request.
    pub pr_url: Option<String>,
    /// What the checks found, as JSON text.
    pub check_results: Option<String>,
    /// What the agent wrote about its work.
    pub notes: Option<String>,
    /// The commit that the work started from.
    pub base: Option<Oid>,
    /// The branch's last commit; none when there is nothing to merge.
    pub head: Option<Oid>,
    /// That commit's tree.
    pub tree: Option<Oid>,
    /// The agent's program says that it ran out of turns, whatever their number.
    pub out_of_turns: bool,
    /// Why a person must look before anybody accepts it.
    pub held: Option<String>,
}

impl Submission {
    /// Tells whether the attempt used up its turns.
    #[must_use]
    pub fn is_burnt_out(&self) -> bool {
        self.out_of_turns || self.turns >= 100 || (self.turns >= 80 && self.commits == 0)
    }

    /// Returns why a person must look, and what the agent wrote.
    fn told(&self) -> Option<String> {
        let parts: Vec<&str> = [&self.held, &self.notes].into_iter().flatten().map(String::as_str).collect();
        (!parts.is_empty()).then(|| parts.join("\n\n"))
    }

    fn edits(&self, flagged: bool) -> Vec<Edit> {
        let mut edits = vec![Edit::set("commits_count", self.commits), Edit::set("turns_used", self.turns)];
        let notes = self.told();
        for (field, text) in [("pr_url", &self.pr_url), ("check_results", &self.check_results), ("execution_notes", &notes)] {
            if let Some(text) = text {
                edits.push(Edit::set(field, text.as_str()));
            }
        }
        if self.held.is_some() {
            edits.push(Edit::set("needs_intervention", Value::Bool(true)));
        } else if flagged {
            edits.push(Edit::set("needs_intervention", Value::Bool(false)));
        }
        edits
    }
}

/// Submits the holder's attempt. Out of turns, it goes to `needs_continuation` in the same commit.
///
/// # Errors
/// When the caller does not hold the task, or the claim has ended.
pub fn submit(unit: &mut Unit<'_>, no: TaskNo, holds: &Holds, expect: &Expect, work: &Submission) -> Result<Snapshot, Refused> {
    let row = unit.row(no)?;
    expect.check(row)?;
    let refused = format!("Cannot submit task '{}' from '{}'", row.id, row.queue);
    if row.queue != "claimed" {
        return Err(Refused::step(refused, "only a claimed task can be submitted: claim it first"));
    }
    let claim = holds.check(row, &refused)?;
    let flagged = row.flag("needs_intervention");
    let notes: String = work.told().unwrap_or_default().chars().take(octopoid_crdt::record::limits::TEXT / 4).collect();
    let body = Body::Submit { claim, base: work.base.clone(), head: work.head.clone(), tree: work.tree.clone(), notes };
    if let Some(act) = Act::of(&body) {
        allow(unit, no, &act, &refused)?;
    }
    unit.edit(no, &work.edits(flagged))?.map_err(refuse)?;
    unit.write(no, body)?;
    if work.is_burnt_out() {
        let reason = format!("used {} turns with {} commits", work.turns, work.commits);
        unit.write(
            no,
            Body::Move { queue: Queue::NeedsContinuation, cause: Cause::BurnOut, by: "octopoid".to_owned(), reason, keep: None },
        )?;
    }
    Ok(snapshot(unit, no)?)
}

/// Notes that an accepted branch is on the integration branch.
///
/// # Errors
/// When the accept does not count.
pub fn merged(unit: &mut Unit<'_>, no: TaskNo, accept: RecordId, commit: Option<Oid>) -> Result<Snapshot, Refused> {
    let body = Body::Merged { accept, commit };
    if let Some(act) = Act::of(&body) {
        let refused = format!("Cannot note the merge of task '{}'", unit.row(no)?.id);
        allow(unit, no, &act, &refused)?;
    }
    unit.write(no, body)?;
    Ok(snapshot(unit, no)?)
}
