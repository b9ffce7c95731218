//! Shows a line of an agent's log to a person.
//!
//! **Invariants**: the output holds no control character but the ends of its lines, and nothing that changes the direction of text, so
//! a log cannot drive or deceive a terminal.

use serde_json::Value;

use super::stream::{blocks, parse, usage_limit};

/// How much of one step is shown, in characters.
const MAX_SHOWN: usize = 200;
/// How many blocks of one message are shown.
const MAX_BLOCKS: usize = 50;

/// Renders one line of `stdout.log`: a message of Claude Code as one line a step, another line as it is but harmless.
///
/// Returns nothing for a message that tells a person nothing, such as a tool's successful result.
#[must_use]
pub fn render_line(line: &str) -> Option<String> {
    let Some(message) = parse(line) else {
        if let Some(limit) = usage_limit(line) {
            return Some(limit_reached(limit.until));
        }
        return Some(harmless(line.trim_end_matches(['\r', '\n'])));
    };
    let steps: Vec<String> = match message["type"].as_str() {
        Some("system") => system(&message).into_iter().collect(),
        Some("assistant") => blocks(&message["message"]).take(MAX_BLOCKS).filter_map(assistant_block).collect(),
        Some("user") => blocks(&message["message"]).take(MAX_BLOCKS).filter_map(tool_result).collect(),
        Some("result") => vec![result(&message)],
        Some("rate_limit_event") => rate_limit(&message["rate_limit_info"]).into_iter().collect(),
        // Of a program that logs JSON of its own.
        None => vec![harmless(line)],
        Some(_) => Vec::new(),
    };
    (!steps.is_empty()).then(|| steps.join("\n"))
}

fn system(message: &Value) -> Option<String> {
    (message["subtype"] == "init").then(|| format!("▶ {}", one_line(message["model"].as_str().unwrap_or("started"))))
}

fn assistant_block(block: &Value) -> Option<String> {
    match block["type"].as_str()? {
        "text" => {
            let text = block["text"].as_str().filter(|text| !text.trim().is_empty())?;
            Some(usage_limit(text).map_or_else(|| format!("  {}", one_line(text)), |limit| limit_reached(limit.until)))
        }
        "tool_use" => {
            let name = one_line(block["name"].as_str().unwrap_or("tool"));
            Some(subject(&block["input"]).map_or_else(|| format!("● {name}"), |subject| format!("● {name} {subject}")))
        }
        _ => None,
    }
}

/// Returns what a tool is used on, from the field that says it best.
fn subject(input: &Value) -> Option<String> {
    let fields = ["file_path", "notebook_path", "command", "pattern", "url", "query", "description", "path", "skill"];
    fields.iter().find_map(|&field| input[field].as_str()).map(one_line)
}

fn tool_result(block: &Value) -> Option<String> {
    if block["type"] != "tool_result" || block["is_error"] != true {
        return None;
    }
    let text = block["content"].as_str().or_else(|| block["content"][0]["text"].as_str()).unwrap_or("failed");
    Some(format!("  ✗ {}", one_line(text)))
}

fn result(message: &Value) -> String {
    let subtype = message["subtype"].as_str().unwrap_or("ended");
    let good = subtype == "success" && message["is_error"] != true;
    let mut line = format!("{} {}", if good { "✓" } else { "✗" }, one_line(if subtype == "success" && !good { "error" } else { subtype }));
    let turns = message["num_turns"].as_u64().map(|turns| format!("{turns} turns"));
    let cost = message["total_cost_usd"].as_f64().map(|cost| format!("${cost:.2}"));
    let details: Vec<String> = turns.into_iter().chain(cost).collect();
    if !details.is_empty() {
        line = format!("{line}: {}", details.join(", "));
    }
    match message["result"].as_str() {
        Some(text) if !good => format!("{line}\n  {}", one_line(text)),
        Some(_) | None => line,
    }
}

fn rate_limit(info: &Value) -> Option<String> {
    (info["status"] == "rejected").then(|| limit_reached(info["resetsAt"].as_u64()))
}

fn limit_reached(until: Option<u64>) -> String {
    until.map_or_else(|| "✗ rate limit reached".to_owned(), |until| format!("✗ rate limit reached until {until} (seconds since 1970)"))
}

/// Returns a text on one line, blanks joined and cut where it gets long.
fn one_line(text: &str) -> String {
    // Words are taken lazily, so a long text costs no more than what is shown of it.
    let mut shown = String::new();
    let mut characters = 0;
    for word in text.split_whitespace() {
        if characters > 0 {
            shown.push(' ');
            characters += 1;
        }
        for character in word.chars().filter(|&c| is_harmless(c)) {
            if characters >= MAX_SHOWN {
                shown.push('…');
                return shown;
            }
            shown.push(character);
            characters += 1;
        }
    }
    shown
}

fn harmless(line: &str) -> String {
    line.chars().filter(|&c| c == '\t' || is_harmless(c)).collect()
}

fn is_harmless(character: char) -> bool {
    let turns_text = matches!(character, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !character.is_control() && !turns_text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_is_one_readable_line() {
        for (line, expected) in [
            (r#"{"type":"system","subtype":"init","model":"claude-sonnet"}"#, Some("▶ claude-sonnet")),
            (r#"{"type":"system","subtype":"status"}"#, None),
            (
                r#"{"type":"assistant","message":{"content":[{"type":"text","text":"I will\n\n edit."},{"type":"tool_use","name":"Edit","input":{"file_path":"src/a.rs","old_string":"x"}}]}}"#,
                Some("  I will edit.\n● Edit src/a.rs"),
            ),
            (
                r#"{"type":"assistant","message":{"content":[{"type":"tool_use","name":"Bash","input":{"command":"make  test"}}]}}"#,
                Some("● Bash make test"),
            ),
            (
                r#"{"type":"assistant","message":{"content":[{"type":"tool_use","name":"TodoWrite","input":{"todos":[]}}]}}"#,
                Some("● TodoWrite"),
            ),
            (r#"{"type":"assistant","message":{"content":[{"type":"thinking","thinking":"hm"}]}}"#, None),
            (r#"{"type":"user","message":{"content":[{"type":"tool_result","content":"fine"}]}}"#, None),
            (
                r#"{"type":"user","message":{"content":[{"type":"tool_result","is_error":true,"content":[{"type":"text","text":"no such file"}]}]}}"#,
                Some("  ✗ no such file"),
            ),
            (
                r#"{"type":"result","subtype":"success","is_error":false,"num_turns":12,"total_cost_usd":0.341,"result":"x"}"#,
                Some("✓ success: 12 turns, $0.34"),
            ),
            (r#"{"type":"result","subtype":"error_max_turns","num_turns":30}"#, Some("✗ error_max_turns: 30 turns")),
            (r#"{"type":"result","subtype":"success","is_error":true,"result":"credit is used up"}"#, Some("✗ error\n  credit is used up")),
            (
                r#"{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":9}}"#,
                Some("✗ rate limit reached until 9 (seconds since 1970)"),
            ),
            (r#"{"type":"rate_limit_event","rate_limit_info":{"status":"allowed"}}"#, None),
            ("Claude AI usage limit reached|9", Some("✗ rate limit reached until 9 (seconds since 1970)")),
            (r#"{"type":"future"}"#, None),
            (r#"{"level":"info","msg":"mine"}"#, Some(r#"{"level":"info","msg":"mine"}"#)),
            ("plain\ttext\r\n", Some("plain\ttext")),
            ("", Some("")),
        ] {
            assert_eq!(render_line(line).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn a_log_cannot_drive_the_terminal() {
        let plain = "\u{1b}]0;title\u{7}\u{1b}[2J\u{9b}31mred\u{202e}txt\u{8}";
        assert_eq!(render_line(plain).as_deref(), Some("]0;title[2J31mredtxt"));
        let text = serde_json::to_string(plain).expect("json");
        let lines = [
            format!(
                r#"{{"type":"assistant","message":{{"content":[{{"type":"text","text":{text}}},{{"type":"tool_use","name":{text},"input":{{"command":{text}}}}}]}}}}"#
            ),
            format!(r#"{{"type":"system","subtype":"init","model":{text}}}"#),
            format!(r#"{{"type":"result","subtype":{text},"result":{text}}}"#),
            format!(r#"{{"type":"user","message":{{"content":[{{"type":"tool_result","is_error":true,"content":{text}}}]}}}}"#),
            format!(r#"{{"other":{}}}"#, text.replace("\\u001b", "\u{1b}")),
        ];
        for line in lines {
            let shown = render_line(&line).expect("a step");
            assert!(shown.chars().all(|c| c == '\n' || is_harmless(c)), "{shown:?}");
        }
    }

    #[test]
    fn long_steps_are_cut() {
        let line = format!(r#"{{"type":"assistant","message":{{"content":[{{"type":"text","text":"{}"}}]}}}}"#, "å".repeat(5000));
        let shown = render_line(&line).expect("a step");
        assert_eq!(shown.chars().count(), 2 + MAX_SHOWN + 1);
        assert!(shown.ends_with('…'));
    }
}
