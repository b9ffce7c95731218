//! Reads the shapes of JSON in which tasks travel.
//!
//! Our envelope; an object of tables; a list of tasks; a page of an API; JSON lines. What tells them apart is in the text itself.

use std::fmt;

use serde_json::{Deserializer, Map, Value};

use super::tables::{Row, Skipped, Source, Table, Tables, shown};

/// What our envelope calls itself.
pub const FORMAT: &str = "octopoid-export";
/// The version of our envelope.
pub const VERSION: u64 = 1;

/// Keys of an envelope or page that are no tables.
const AROUND: [&str; 11] =
    ["format", "version", "exported_at", "source", "config", "total", "offset", "limit", "unread", "warnings", "schema_version"];

/// States why nothing was imported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The text is no JSON.
    #[error("the text is neither JSON nor JSON lines: {0}")]
    Json(String),
    /// The text is JSON of another kind.
    #[error("{0}")]
    Shape(String),
    /// A later version wrote it.
    #[error("the export has version {0}, this program reads up to {VERSION}: use the version of octopoid that wrote it, or a later one")]
    Newer(String),
}

fn shape(text: impl fmt::Display) -> ReadError {
    ReadError::Shape(format!(
        "{text}: use an export of octopoid, an object of tables such as {{\"tasks\": […]}}, a list of tasks, or one task on each line"
    ))
}

/// Reads a text in any of the shapes.
///
/// # Errors
/// When it is no JSON, or of none of the shapes; nothing of it is used then.
pub fn read(bytes: &[u8]) -> Result<Tables, ReadError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut values = Deserializer::from_slice(bytes).into_iter::<Value>();
    let broken = |error: serde_json::Error| ReadError::Json(error.to_string());
    let first = values.next().ok_or_else(|| shape("the text is empty"))?.map_err(broken)?;
    let Some(second) = values.next() else { return of_value(first) };
    let rest = [Ok(first), second].into_iter().chain(values);
    lines(rest.collect::<Result<Vec<_>, _>>().map_err(broken)?)
}

fn of_value(value: Value) -> Result<Tables, ReadError> {
    match value {
        Value::Array(tasks) => {
            let mut tables = Tables { source: kind("json"), ..Tables::default() };
            add(&mut tables, Table::Tasks, tasks);
            Ok(tables)
        }
        Value::Object(map) => of_object(map),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Err(shape("the text holds a single value")),
    }
}

fn kind(kind: &str) -> Source {
    Source { kind: kind.to_owned(), ..Source::default() }
}

fn of_object(map: Map<String, Value>) -> Result<Tables, ReadError> {
    // A file of lines may have one.
    if map.get("table").is_some_and(Value::is_string) && map.contains_key("row") {
        return lines(vec![Value::Object(map)]);
    }
    let holds_tables = map.contains_key("format") || map.iter().any(|(key, value)| Table::named(key).is_some() && !value.is_string());
    if !holds_tables {
        return if map.contains_key("id") { of_value(vec![Value::Object(map)].into()) } else { Err(shape("the object holds no table")) };
    }
    let mut tables = Tables { source: kind("json"), ..Tables::default() };
    if let Some(format) = map.get("format") {
        if format.as_str() != Some(FORMAT) {
            return Err(shape(format!("the format is {}, not \"{FORMAT}\"", shown(&format.to_string()))));
        }
        match map.get("version") {
            Some(version) if version.as_u64() == Some(VERSION) => {}
            Some(version) => return Err(ReadError::Newer(shown(&version.to_string()))),
            None => return Err(shape("the export has no version")),
        }
        tables.source = kind("octopoid");
    }
    describe(&map, &mut tables);
    for (name, value) in map {
        match (Table::named(&name), value) {
            (_, Value::Null) => {}
            (Some(Table::Files), value) => files(&mut tables, value)?,
            (Some(table), Value::Array(rows)) => add(&mut tables, table, rows),
            (Some(table), _) => return Err(shape(format!("'{}' is no list of rows", table.as_str()))),
            (None, Value::Array(rows)) if !AROUND.contains(&name.as_str()) => {
                tables.warnings.push(format!("{} rows of '{}' are left out: no table here is of this name", rows.len(), shown(&name)));
            }
            (None, _) => {}
        }
    }
    Ok(tables)
}

/// Reads what surrounds the tables.
fn describe(map: &Map<String, Value>, tables: &mut Tables) {
    let source = map.get("source");
    let text = |name: &str| source.and_then(|source| source.get(name)?.as_str()).filter(|text| !text.is_empty()).map(shown);
    if let Some(kind) = text("kind") {
        tables.source.kind = kind;
    }
    tables.source.tz_offset = text("tz_offset");
    let version = |value: Option<&Value>| value.and_then(Value::as_i64);
    tables.source.schema_version = version(source.and_then(|source| source.get("schema_version"))).or(version(map.get("schema_version")));
    if let (Some(total), Some(tasks)) = (map.get("total").and_then(Value::as_u64), map.get("tasks").and_then(Value::as_array))
        && total > tasks.len() as u64
    {
        tables.warnings.push(format!("the page holds {} of {total} tasks: import the other pages, too", tasks.len()));
    }
    for row in map.get("unread").and_then(Value::as_array).into_iter().flatten() {
        let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
        if let Some(table) = Table::named(text("table")) {
            tables.unread.push(Skipped::new(table, text("id"), shown(text("reason"))));
        }
    }
    let warnings = map.get("warnings").and_then(Value::as_array).into_iter().flatten();
    tables.warnings.extend(warnings.filter_map(Value::as_str).map(shown));
}

fn files(tables: &mut Tables, value: Value) -> Result<(), ReadError> {
    let Value::Object(files) = value else { return Err(shape("'files' is no object of texts by task id")) };
    for (id, text) in files {
        match text {
            Value::String(text) => tables.files.push((id, text)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                tables.unread.push(Skipped::new(Table::Files, id, "the file's content is no text"));
            }
        }
    }
    Ok(())
}

fn add(tables: &mut Tables, table: Table, rows: Vec<Value>) {
    let known = tables.rows.entry(table).or_default();
    for (index, row) in rows.into_iter().enumerate() {
        match row {
            Value::Object(row) => known.push(row),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                tables.unread.push(Skipped::new(table, format!("row {}", index + 1), "the row is no object"));
            }
        }
    }
}

/// Reads one row a line: a task, or `{"table": …, "row": {…}}`.
fn lines(values: Vec<Value>) -> Result<Tables, ReadError> {
    let mut tables = Tables { source: kind("json-lines"), ..Tables::default() };
    for (index, value) in values.into_iter().enumerate() {
        let Value::Object(mut line) = value else { return Err(shape(format!("line {} is no object", index + 1))) };
        let named = line.get("table").and_then(Value::as_str).map(str::to_owned);
        let (table, row): (Table, Row) = match (named, line.remove("row")) {
            (Some(name), Some(Value::Object(row))) => {
                let known = Table::named(&name).filter(|table| *table != Table::Files);
                (known.ok_or_else(|| shape(format!("line {} is of an unknown table '{}'", index + 1, shown(&name))))?, row)
            }
            (_, Some(row)) => {
                line.insert("row".to_owned(), row);
                (Table::Tasks, line)
            }
            (_, None) => (Table::Tasks, line),
        };
        tables.rows.entry(table).or_default().push(row);
    }
    Ok(tables)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(tables: &Tables) -> Vec<&str> {
        tables.rows.get(&Table::Tasks).into_iter().flatten().filter_map(|row| row.get("id")?.as_str()).collect()
    }

    #[test]
    fn every_shape_holds_the_same_tasks() {
        for text in [
            r#"{"format":"octopoid-export","version":1,"tasks":[{"id":"a"},{"id":"b"}]}"#,
            r#"{"tasks":[{"id":"a"},{"id":"b"}],"projects":[]}"#,
            r#"[{"id":"a"},{"id":"b"}]"#,
            r#"{"tasks":[{"id":"a"},{"id":"b"}],"total":2,"offset":0,"limit":50}"#,
            "{\"id\":\"a\"}\n{\"id\":\"b\"}\n",
            "{\"table\":\"tasks\",\"row\":{\"id\":\"a\"}}\r\n\r\n{\"id\":\"b\"}",
            "\u{feff}[{\"id\":\"a\"},{\"id\":\"b\"}]",
        ] {
            let tables = read(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(ids(&tables), ["a", "b"], "{text}");
            assert_eq!(tables.warnings, Vec::<String>::new(), "{text}");
        }
        for line in [r#"{"id":"alone","queue":"done"}"#, r#"{"table":"tasks","row":{"id":"alone"}}"#] {
            assert_eq!(ids(&read(line.as_bytes()).expect("a line")), ["alone"], "{line}");
        }
    }

    #[test]
    fn what_is_none_of_the_shapes_is_refused_as_a_whole() {
        for text in [
            "",
            "  ",
            "null",
            "7",
            "\"x\"",
            "{}",
            r#"{"foo":[]}"#,
            r#"{"tasks":{}}"#,
            r#"{"format":"other","tasks":[]}"#,
            "[1",
            "{\"id\":1}\n[]",
        ] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
        assert!(matches!(read(br#"{"format":"octopoid-export","version":2}"#), Err(ReadError::Newer(_))));
    }

    #[test]
    fn what_is_no_row_is_counted_and_skipped() {
        let tables = read(br#"{"tasks":[{"id":"a"},7,null],"files":{"a":"text","b":1},"strange":[1,2]}"#).expect("tables");
        assert_eq!((tables.count(Table::Tasks), tables.count(Table::Files), tables.unread.len()), (3, 2, 3));
        assert!(tables.warnings[0].contains("2 rows of 'strange'"), "{:?}", tables.warnings);
    }

    #[test]
    fn a_page_that_is_not_the_last_says_so() {
        let tables = read(br#"{"tasks":[{"id":"a"}],"total":9,"offset":0,"limit":1}"#).expect("a page");
        assert!(tables.warnings[0].contains("1 of 9"), "{:?}", tables.warnings);
    }

    #[test]
    fn an_envelope_reads_as_it_was_written() {
        let mut tables = read(br#"{"format":"octopoid-export","version":1,"source":{"kind":"octopoid-v1","schema_version":12,"tz_offset":"+02:00"},"tasks":[{"id":"a"}],"files":{"a":"x"}}"#).expect("tables");
        tables.unread.push(Skipped::new(Table::Files, "b", "no text"));
        tables.warnings.push("look here".to_owned());
        let again = read(tables.to_envelope().to_string().as_bytes()).expect("an envelope");
        assert_eq!(again, tables);
    }
}
