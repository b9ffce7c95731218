//! Reading plain data out of an automerge document, whoever made it.
//!
//! **Invariants**: nothing here writes or fails. A value of a type that no field has reads as null, a body that is no
//! list as none; what is not understood stays in the document.

use std::collections::{BTreeMap, BTreeSet};

use automerge::{Automerge, ObjId, ObjType, ROOT, ReadDoc, ScalarValueRef, ValueRef};

use super::{Fields, Value};

/// The key of the body's list of lines.
pub(super) const CONTENT: &str = "content";

/// Stands between a list's name and an entry in a key of the root map; no field's name holds it.
pub(super) const ENTRY_SEPARATOR: char = '/';

/// Reads everything.
pub(super) fn fields(doc: &Automerge) -> Fields {
    let mut scalars = BTreeMap::new();
    let mut lists: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for item in doc.map_range(ROOT, ..) {
        match item.key.split_once(ENTRY_SEPARATOR) {
            Some((list, entry)) => {
                if is_true(&item.value) && !entry.is_empty() {
                    lists.entry(list.to_owned()).or_default().insert(entry.to_owned());
                }
            }
            None if item.key == CONTENT => {}
            None => {
                scalars.insert(item.key.into_owned(), scalar(item.value));
            }
        }
    }
    Fields { scalars, content: lines(doc).filter(|lines| !lines.is_empty()).map(|lines| lines.join("\n")), lists }
}

/// Returns the body's list, if the document has one.
pub(super) fn content_list(doc: &impl ReadDoc) -> Option<ObjId> {
    match doc.get(ROOT, CONTENT) {
        Ok(Some((value, id))) => matches!(value, automerge::Value::Object(ObjType::List)).then_some(id),
        Ok(None) | Err(_) => None,
    }
}

/// Returns the body's lines, one for each element of its list.
pub(super) fn lines(doc: &Automerge) -> Option<Vec<String>> {
    let list = content_list(doc)?;
    Some(doc.list_range(&list, ..).map(|item| text(item.value)).collect())
}

/// Names the fields that hold several concurrent values, of which one is shown.
pub(super) fn conflicts(doc: &Automerge) -> Vec<String> {
    let items = doc.map_range(ROOT, ..).filter(|item| item.conflict && !item.key.contains(ENTRY_SEPARATOR));
    items.map(|item| item.key.into_owned()).collect()
}

/// Tells whether a root key holds anything.
pub(super) fn has(doc: &Automerge, key: &str) -> bool {
    matches!(doc.get(ROOT, key), Ok(Some(_)))
}

/// Tells whether a list holds an entry beyond doubt: two people may have added it at once.
pub(super) fn holds_entry(doc: &Automerge, key: &str) -> bool {
    let Ok(values) = doc.get_all(ROOT, key) else { return false };
    !values.is_empty() && values.iter().all(|(value, _)| value.as_bool() == Some(true))
}

/// Tells whether a root key holds exactly this value and nothing beside it.
pub(super) fn holds(doc: &Automerge, key: &str, wanted: &Value) -> bool {
    let Ok(values) = doc.get_all(ROOT, key) else { return false };
    let [(value, _)] = values.as_slice() else { return false };
    match (value, wanted) {
        (automerge::Value::Scalar(value), wanted) => match (value.as_ref(), wanted) {
            (automerge::ScalarValue::Null, Value::Null) => true,
            (automerge::ScalarValue::Boolean(held), Value::Bool(wanted)) => held == wanted,
            (automerge::ScalarValue::Int(held), Value::Int(wanted)) => held == wanted,
            (automerge::ScalarValue::Str(held), Value::Text(wanted)) => held.as_str() == wanted,
            _ => false,
        },
        (automerge::Value::Object(_), _) => false,
    }
}

fn is_true(value: &ValueRef<'_>) -> bool {
    matches!(value, ValueRef::Scalar(ScalarValueRef::Boolean(true)))
}

fn scalar(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Scalar(ScalarValueRef::Boolean(flag)) => Value::Bool(flag),
        ValueRef::Scalar(ScalarValueRef::Int(number)) => Value::Int(number),
        ValueRef::Scalar(ScalarValueRef::Uint(number)) => i64::try_from(number).map_or(Value::Null, Value::Int),
        ValueRef::Scalar(ScalarValueRef::Str(text)) => Value::Text(text.into_owned()),
        ValueRef::Scalar(
            ScalarValueRef::Null
            | ScalarValueRef::Bytes(_)
            | ScalarValueRef::F64(_)
            | ScalarValueRef::Counter(_)
            | ScalarValueRef::Timestamp(_)
            | ScalarValueRef::Unknown { .. },
        )
        | ValueRef::Object(_) => Value::Null,
    }
}

fn text(value: ValueRef<'_>) -> String {
    match scalar(value) {
        Value::Text(text) => text,
        Value::Null | Value::Bool(_) | Value::Int(_) => String::new(),
    }
}
