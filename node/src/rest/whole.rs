//! Describes that answers are whole: a node writes every field, null where it is unset.
//!
//! The types of answers tell which fields may be null, and whoever reads them allows for fields that an older node leaves out. Without
//! this the description would say of the latter what is true of the former.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;
use utoipa::openapi::{OpenApi, RefOr, Schema};

/// Fields that answers leave out where there is nothing to tell.
const LEFT_OUT: [(&str, &[&str]); 2] =
    [("ErrorBody", &["details", "task_id", "message", "timestamp", "candidates"]), ("RegisterAnswer", &["api_key"])];

/// Requires every field of the shapes that only answers have.
pub(super) struct WholeAnswers;

impl utoipa::Modify for WholeAnswers {
    fn modify(&self, api: &mut OpenApi) {
        let operations = || {
            let items = api.paths.paths.values();
            items.flat_map(|item| [&item.get, &item.put, &item.post, &item.patch, &item.delete].into_iter().flatten())
        };
        let asked = reached(api, operations().filter_map(|operation| operation.request_body.as_ref()));
        let answered = reached(api, operations().map(|operation| &operation.responses));
        for (name, schema) in &mut api.components.get_or_insert_default().schemas {
            let RefOr::T(Schema::Object(object)) = schema else { continue };
            if !answered.contains(name) || asked.contains(name) {
                continue;
            }
            let left_out = LEFT_OUT.iter().find(|(shape, _)| shape == name).map_or(&[][..], |(_, fields)| fields);
            object.required = object.properties.keys().filter(|field| !left_out.contains(&field.as_str())).cloned().collect();
        }
    }
}

/// Names the shapes that parts of the description lead to.
fn reached(api: &OpenApi, parts: impl Iterator<Item = impl Serialize>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut waiting = Vec::new();
    parts.for_each(|part| collect(&to_value(&part), &mut waiting));
    while let Some(name) = waiting.pop() {
        let shape = api.components.iter().find_map(|components| components.schemas.get(&name));
        if let Some(shape) = shape.filter(|_| !found.contains(&name)) {
            collect(&to_value(shape), &mut waiting);
            found.insert(name);
        }
    }
    found
}

fn to_value(part: &impl Serialize) -> Value {
    serde_json::to_value(part).unwrap_or_else(|error| unreachable!("a part of the description refused to be JSON: {error}"))
}

/// Collects the names of the shapes that a value refers to.
fn collect(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            let reference =
                fields.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix("#/components/schemas/"));
            names.extend(reference.map(str::to_owned));
            fields.values().for_each(|field| collect(field, names));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
