//! Reads the columns of one row, which another program wrote: texts for numbers, 0 and 1 for flags, empty texts for null.
//!
//! **Invariants**: a column that cannot be used is noted and keeps its row; what no reader asked for is what is left.

use std::collections::BTreeMap;

use serde_json::Value;

use super::tables::{Row, Table, shown};
use super::times::{self, Zone};

/// One row while it is read. What was read is taken out of it.
pub(super) struct Cells<'w> {
    row: Row,
    table: Table,
    id: String,
    zone: &'w Zone,
    warnings: &'w mut Vec<String>,
}

impl<'w> Cells<'w> {
    pub fn new(table: Table, row: Row, zone: &'w Zone, warnings: &'w mut Vec<String>) -> Self {
        let id = row.get("id").or_else(|| row.get("name")).map(as_text).unwrap_or_default();
        Self { row, table, id, zone, warnings }
    }

    /// Notes that something of the row is left out or read in another way.
    pub fn warn(&mut self, what: impl std::fmt::Display) {
        self.warnings.push(format!("{} '{}': {what}", self.table.as_str(), shown(&self.id)));
    }

    /// Tells whether a column says something.
    pub fn has(&self, column: &str) -> bool {
        self.row.get(column).is_some_and(|value| !is_empty(value))
    }

    /// Takes a column; none where it is missing, null or empty.
    pub fn value(&mut self, column: &str) -> Option<Value> {
        self.row.remove(column).filter(|value| !is_empty(value))
    }

    /// Takes a column as text.
    pub fn text(&mut self, column: &str) -> Option<String> {
        match self.value(column)? {
            Value::String(text) => Some(text),
            number @ (Value::Number(_) | Value::Bool(_)) => Some(number.to_string()),
            other @ (Value::Null | Value::Array(_) | Value::Object(_)) => {
                self.odd(column, &other, "a text");
                None
            }
        }
    }

    /// Takes a column as text that `check` lets through; another one is noted and left out.
    pub fn checked<E: std::fmt::Display>(&mut self, column: &str, check: impl FnOnce(&str, &str) -> Result<(), E>) -> Option<String> {
        let text = self.text(column)?;
        match check(column, &text) {
            Ok(()) => Some(text),
            Err(why) => {
                self.warn(format_args!("left out: {why}"));
                None
            }
        }
    }

    /// Takes a column as a flag.
    pub fn flag(&mut self, column: &str) -> Option<bool> {
        let value = self.value(column)?;
        let flag = match &value {
            Value::Bool(flag) => Some(*flag),
            Value::Number(number) => number.as_u64().and_then(|number| [false, true].get(usize::try_from(number).ok()?).copied()),
            Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
                "1" | "true" | "yes" => Some(true),
                "0" | "false" | "no" => Some(false),
                _ => None,
            },
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        };
        if flag.is_none() {
            self.odd(column, &value, "0, 1, true or false");
        }
        flag
    }

    /// Takes a column as a number that counts something.
    pub fn number(&mut self, column: &str) -> Option<u64> {
        let value = self.value(column)?;
        let number = match &value {
            Value::Number(number) => number.as_u64().or_else(|| whole(number.as_f64()?)),
            Value::String(text) => text.trim().parse().ok(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        let number = number.filter(|number| i64::try_from(*number).is_ok());
        if number.is_none() {
            self.odd(column, &value, "a whole number, 0 or more");
        }
        number
    }

    /// Takes a column as a time, in milliseconds since 1970.
    pub fn time(&mut self, column: &str) -> Option<u64> {
        let text = self.text(column)?;
        let time = times::parse(&text, self.zone);
        if time.is_none() {
            self.odd(column, &Value::String(text), "a time such as 2025-01-31T12:00:00Z");
        }
        time
    }

    /// Takes a column as JSON text; text that is no JSON becomes a JSON string.
    pub fn json(&mut self, column: &str) -> Option<String> {
        let value = self.value(column)?;
        let is_json = |text: &&str| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
        Some(value.as_str().filter(is_json).map_or_else(|| value.to_string(), str::to_owned))
    }

    /// Takes a column as a list: of JSON, or of a text with commas. `None` is how version 1 wrote an empty one.
    pub fn list(&mut self, column: &str) -> Vec<String> {
        let parts = match self.value(column) {
            None => return Vec::new(),
            Some(Value::Array(items)) => items.iter().map(as_text).collect(),
            Some(value) => match serde_json::from_str::<Vec<String>>(&as_text(&value)) {
                Ok(items) => items,
                Err(_) => as_text(&value).split(',').map(str::to_owned).collect::<Vec<_>>(),
            },
        };
        let given = parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty() && *part != "None");
        given.map(str::to_owned).collect()
    }

    /// Drops columns that mean nothing here.
    pub fn ignore(&mut self, columns: &[&str]) {
        for column in columns {
            self.row.remove(*column);
        }
    }

    /// Takes what no reader took, without what is empty.
    pub fn take_rest(&mut self) -> BTreeMap<String, Value> {
        std::mem::take(&mut self.row).into_iter().filter(|(_, value)| !is_empty(value)).collect()
    }

    fn odd(&mut self, column: &str, value: &Value, wanted: &str) {
        let value = shown(&value.to_string());
        self.warn(format_args!("{column} is left out: {value} is not {wanted}"));
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => false,
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number of that range fits")]
fn whole(number: f64) -> Option<u64> {
    (number.fract() == 0.0 && (0.0..9e15).contains(&number)).then_some(number as u64)
}

/// Returns a value as people write it.
pub(super) fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(value: Value) -> Row {
        value.as_object().cloned().expect("an object")
    }

    #[test]
    fn columns_are_read_as_they_were_written_by_whoever_wrote_them() {
        let (mut warnings, zone) = (Vec::new(), Zone::UTC);
        let row = row(json!({
            "id": 7, "a": 1, "b": "0", "c": true, "d": "", "e": null, "n": "12", "f": 3.0, "list": "a, b,,", "json": "[\"x\"]",
            "none": "None", "array": ["p", 1], "object": {"k": 1}, "bare": "yes it is", "left": 5, "empty": "",
        }));
        let mut cells = Cells::new(Table::Tasks, row, &zone, &mut warnings);
        assert_eq!(cells.text("id").as_deref(), Some("7"));
        assert_eq!(
            [cells.flag("a"), cells.flag("b"), cells.flag("c"), cells.flag("d"), cells.flag("e")],
            [Some(true), Some(false), Some(true), None, None]
        );
        assert_eq!((cells.number("n"), cells.number("f")), (Some(12), Some(3)));
        assert_eq!(
            (cells.list("list"), cells.list("json"), cells.list("none"), cells.list("array")),
            (vec!["a".into(), "b".into()], vec!["x".into()], vec![], vec!["p".into(), "1".into()])
        );
        assert_eq!((cells.json("object").as_deref(), cells.json("bare").as_deref()), (Some("{\"k\":1}"), Some("\"yes it is\"")));
        assert_eq!(cells.take_rest(), BTreeMap::from([("left".to_owned(), json!(5))]));
        assert_eq!(warnings, Vec::<String>::new());
    }

    #[test]
    fn a_column_that_cannot_be_used_is_told_and_keeps_its_row() {
        let (mut warnings, zone) = (Vec::new(), Zone::UTC);
        let row = row(json!({ "id": "t", "flag": 2, "number": -1, "time": "soon", "text": [1] }));
        let mut cells = Cells::new(Table::Tasks, row, &zone, &mut warnings);
        assert_eq!((cells.flag("flag"), cells.number("number"), cells.time("time"), cells.text("text")), (None, None, None, None));
        assert_eq!(warnings.len(), 4);
        for (warning, column) in warnings.iter().zip(["flag", "number", "time", "text"]) {
            assert!(warning.starts_with(&format!("tasks 't': {column} is left out")), "{warning}");
        }
    }
}
