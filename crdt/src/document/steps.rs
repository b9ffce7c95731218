//! Turning edits into automerge operations and these into changes.
//!
//! **Invariants**: an edit that changes nothing writes nothing; every change fits the gate's limits of size and rows.

use std::collections::BTreeMap;

use automerge::{
    Automerge, AutomergeError, ObjType, ROOT, ScalarValue,
    transaction::{Transactable, Transaction},
};

use super::{
    Value,
    edit::Edit,
    line_diff::{self, Hunk},
    read,
};

/// When a change has grown by this estimate another one is begun, so that none passes the gate's 256 KiB.
const CHANGE_BUDGET: usize = 224 * 1024;
/// What an operation costs at most beside its key and value: ids, positions and predecessors in LEB128.
const OPERATION_COST: usize = 40;
/// What a line costs beside its text when it follows another new one: all but its length is run-length encoded.
const LINE_COST: usize = 8;
/// How many lines, and about how many of their bytes, go into one step.
const STEP_LINES: usize = 512;
const STEP_BYTES: usize = 32 * 1024;

/// One automerge call.
enum Step {
    Put {
        key: String,
        value: ScalarValue,
    },
    Delete {
        key: String,
    },
    /// Puts an empty body in place of whatever is there.
    MakeContent,
    /// Replaces lines of the body; the position is that at the time of the step.
    Splice {
        at: usize,
        remove: usize,
        insert: Vec<String>,
    },
}

impl Step {
    fn cost(&self) -> usize {
        match self {
            Self::Put { key, value } => OPERATION_COST + key.len() + if let ScalarValue::Str(text) = value { text.len() } else { 10 },
            Self::Delete { key } => OPERATION_COST + key.len(),
            Self::MakeContent => OPERATION_COST + read::CONTENT.len(),
            Self::Splice { remove, insert, .. } => {
                OPERATION_COST * (remove + 1) + insert.iter().map(|line| LINE_COST + line.len()).sum::<usize>()
            }
        }
    }

    fn apply(self, tx: &mut Transaction<'_>) -> Result<(), AutomergeError> {
        match self {
            Self::Put { key, value } => tx.put(ROOT, key, value),
            Self::Delete { key } => tx.delete(ROOT, key),
            Self::MakeContent => tx.put_object(ROOT, read::CONTENT, ObjType::List).map(|_| ()),
            Self::Splice { at, remove, insert } => {
                let list = read::content_list(tx).ok_or(AutomergeError::Fail)?;
                let lines = insert.into_iter().map(|line| ScalarValue::Str(line.into()));
                tx.splice(&list, at, isize::try_from(remove).unwrap_or(isize::MAX), lines)
            }
        }
    }
}

/// Writes checked edits and returns the changes; `doc` has the author's actor set. A new document always gets a body's
/// list, so that two people who write a first body at the same time write into one list.
pub(super) fn write(doc: &mut Automerge, edits: &[Edit]) -> Result<Vec<Vec<u8>>, AutomergeError> {
    let mut steps = Vec::new();
    let new = doc.get_heads().is_empty();
    if new {
        steps.push(Step::MakeContent);
    }
    // Edits are planned against the document as it is, so only the last one of each place may speak.
    let last: BTreeMap<String, usize> = edits.iter().enumerate().map(|(at, edit)| (place(edit), at)).collect();
    for (at, edit) in edits.iter().enumerate() {
        if last.get(&place(edit)) == Some(&at) {
            plan(doc, new, edit, &mut steps);
        }
    }
    commit(doc, steps)
}

/// Returns the root key that an edit is about.
fn place(edit: &Edit) -> String {
    match edit {
        Edit::Set { field, .. } => field.clone(),
        Edit::Content(_) => read::CONTENT.to_owned(),
        Edit::Add { list, entry } | Edit::Remove { list, entry } => format!("{list}{}{entry}", read::ENTRY_SEPARATOR),
    }
}

fn plan(doc: &Automerge, new: bool, edit: &Edit, steps: &mut Vec<Step>) {
    let key = place(edit);
    match edit {
        Edit::Set { value, .. } => {
            if !read::holds(doc, &key, value) {
                steps.push(Step::Put { key, value: scalar(value) });
            }
        }
        Edit::Add { .. } => {
            if !read::holds_entry(doc, &key) {
                steps.push(Step::Put { key, value: ScalarValue::Boolean(true) });
            }
        }
        Edit::Remove { .. } => {
            if read::has(doc, &key) {
                steps.push(Step::Delete { key });
            }
        }
        Edit::Content(content) => plan_content(doc, new, content.as_deref(), steps),
    }
}

fn plan_content(doc: &Automerge, new: bool, content: Option<&str>, steps: &mut Vec<Step>) {
    let old = read::lines(doc);
    let wanted: Vec<&str> = content.map(|text| text.split('\n').collect()).unwrap_or_default();
    if old.is_none() && !new && !wanted.is_empty() {
        steps.push(Step::MakeContent);
    }
    let old = old.unwrap_or_default();
    let old: Vec<&str> = old.iter().map(String::as_str).collect();
    for Hunk { old, new } in line_diff::hunks(&old, &wanted) {
        // Earlier hunks are in place when this one is applied, so its lines stand where they will stand in the end.
        let mut at = new.start;
        let mut left = old.len();
        while left > 0 {
            let remove = left.min(STEP_LINES);
            steps.push(Step::Splice { at, remove, insert: Vec::new() });
            left -= remove;
        }
        for insert in portions(&wanted[new]) {
            let lines = insert.len();
            steps.push(Step::Splice { at, remove: 0, insert });
            at += lines;
        }
    }
}

/// Splits lines so that each portion but a single long line stays small.
fn portions(lines: &[&str]) -> Vec<Vec<String>> {
    let mut portions: Vec<Vec<String>> = Vec::new();
    let mut bytes = 0;
    for line in lines {
        match portions.last_mut() {
            Some(portion) if portion.len() < STEP_LINES && bytes + line.len() <= STEP_BYTES => portion.push((*line).to_owned()),
            Some(_) | None => {
                bytes = 0;
                portions.push(vec![(*line).to_owned()]);
            }
        }
        bytes += line.len();
    }
    portions
}

fn commit(doc: &mut Automerge, steps: Vec<Step>) -> Result<Vec<Vec<u8>>, AutomergeError> {
    let mut changes = Vec::new();
    let mut steps = steps.into_iter().peekable();
    while steps.peek().is_some() {
        let mut spent = 0;
        let mut tx = doc.transaction();
        while let Some(step) = steps.next_if(|step| spent == 0 || spent + step.cost() <= CHANGE_BUDGET) {
            spent += step.cost();
            step.apply(&mut tx)?;
        }
        tx.commit();
        changes.extend(doc.get_last_local_change().map(|change| change.raw_bytes().to_vec()));
    }
    Ok(changes)
}

fn scalar(value: &Value) -> ScalarValue {
    match value {
        Value::Null => ScalarValue::Null,
        Value::Bool(flag) => ScalarValue::Boolean(*flag),
        Value::Int(number) => ScalarValue::Int(*number),
        Value::Text(text) => ScalarValue::Str(text.as_str().into()),
    }
}
