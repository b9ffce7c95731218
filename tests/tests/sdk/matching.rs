//! Compares what a call gave with what the table of cases says; `sdk/README.md` tells what the signs mean.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;

/// Parts of results that later steps name.
pub type Values = BTreeMap<String, Value>;

/// Puts saved values into a text, or a whole value where the text is nothing but its name.
pub fn filled(pattern: &Value, values: &Values) -> Value {
    match pattern {
        Value::String(text) => filled_text(text, values),
        Value::Array(parts) => parts.iter().map(|part| filled(part, values)).collect(),
        Value::Object(fields) => fields.iter().map(|(name, part)| (name.clone(), filled(part, values))).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => pattern.clone(),
    }
}

fn filled_text(text: &str, values: &Values) -> Value {
    let known = |name: &str| values.get(name).unwrap_or_else(|| panic!("nothing was saved as {name}"));
    if let Some(name) = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).filter(|name| !name.contains("${")) {
        return known(name).clone();
    }
    let mut whole = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}').expect("a closed name");
        whole.push_str(before);
        let part = known(name);
        whole.push_str(&part.as_str().map_or_else(|| part.to_string(), str::to_owned));
        rest = after;
    }
    whole.push_str(rest);
    Value::String(whole)
}

/// Tells how a value is not as expected: objects may hold more, lists may not.
pub fn compare(actual: &Value, expected: &Value, place: &str) -> Result<(), String> {
    match expected {
        Value::Array(parts) => {
            let list = actual.as_array().filter(|list| list.len() == parts.len());
            let list = list.ok_or_else(|| format!("{place} is no list of {}: {actual}", parts.len()))?;
            list.iter().zip(parts).enumerate().try_for_each(|(at, (actual, part))| compare(actual, part, &format!("{place}[{at}]")))
        }
        Value::Object(fields) if fields.keys().any(|name| name.starts_with('$')) => {
            fields.iter().try_for_each(|(sign, value)| fits(sign, actual, value, place))
        }
        Value::Object(fields) => fields.iter().try_for_each(|(name, part)| {
            let found = actual.get(name).ok_or_else(|| format!("{place} has no {name}: {actual}"))?;
            compare(found, part, &format!("{place}.{name}"))
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            if actual == expected {
                Ok(())
            } else {
                Err(format!("{place} is {actual}, not {expected}"))
            }
        }
    }
}

fn fits(sign: &str, actual: &Value, value: &Value, place: &str) -> Result<(), String> {
    let is = match sign {
        "$type" => type_name(actual) == value,
        "$matches" => {
            let pattern = Regex::new(value.as_str().expect("a pattern")).expect("a pattern");
            actual.as_str().is_some_and(|text| pattern.is_match(text))
        }
        "$length" => actual.as_array().map(Vec::len) == value.as_u64().and_then(|length| usize::try_from(length).ok()),
        "$contains" => actual.as_array().is_some_and(|list| list.iter().any(|part| compare(part, value, place).is_ok())),
        _ => panic!("the table says {sign}, which means nothing"),
    };
    if is { Ok(()) } else { Err(format!("{place} is {actual}, which is not {sign} {value}")) }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
