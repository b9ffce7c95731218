//! Reads Claude Code's `stream-json` output as far as the supervisor needs it.
//!
//! **Invariants**: the summary has a fixed size limit whatever is printed; a line that is not understood changes nothing. What the
//! stream says is the agent's own account: [`judge`](super::judge()) weighs it.

use std::collections::HashSet;

use serde::Serialize;
use serde_json::Value;

/// How much of the last text is kept, in bytes.
const MAX_TEXT: usize = 8 << 10;
/// How much of a short field is kept, in bytes.
const MAX_WORD: usize = 128;
/// How many messages are told apart; beyond, `num_turns` of the result decides alone.
const MAX_MESSAGES: usize = 10_000;

/// A limit on use that was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RateLimit {
    /// When it ends, in seconds since 1970, if it was said.
    pub until: Option<u64>,
}

/// What a run of Claude Code said about itself. Everything is empty for other programs.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct StreamSummary {
    /// Turns taken: as counted so far, and as stated by the result once it is there.
    pub turns: u32,
    /// What the run cost, in US dollars; known at its end.
    pub cost_usd: Option<f64>,
    /// The kind of the result, such as `success` or `error_max_turns`; known at its end.
    pub subtype: Option<String>,
    /// Whether the result is an error; known at the end.
    pub is_error: bool,
    /// The limit that was reached last.
    pub rate_limit: Option<RateLimit>,
    /// The last text, at most 8 KiB of it: after the end the result's.
    pub last_text: String,
    /// The session, for `claude --resume`.
    pub session_id: Option<String>,
}

/// Reads a stream line by line.
#[derive(Debug, Default)]
pub struct StreamParser {
    summary: StreamSummary,
    messages: HashSet<u64>,
}

impl StreamParser {
    /// Returns the summary of the lines so far.
    #[must_use]
    pub fn summary(&self) -> &StreamSummary {
        &self.summary
    }

    /// Takes one line; returns whether it was understood.
    pub fn line(&mut self, line: &str) -> bool {
        if let Some(limit) = usage_limit(line) {
            // Printed bare when Claude Code cannot even begin.
            self.summary.rate_limit = Some(limit);
            return true;
        }
        let Some(message) = parse(line) else { return false };
        if let Some(session) = message["session_id"].as_str() {
            self.summary.session_id = Some(cut(session, MAX_WORD).to_owned());
        }
        match message["type"].as_str() {
            Some("system") => {}
            Some("assistant") => self.assistant(&message["message"]),
            Some("result") => self.result(&message),
            Some("rate_limit_event") => self.rate_limit_event(&message["rate_limit_info"]),
            Some(_) | None => return message["session_id"].is_string(),
        }
        true
    }

    fn assistant(&mut self, message: &Value) {
        // A message comes in several lines, one a block: it is one turn.
        let id = message["id"].as_str().map(hash);
        if self.messages.len() < MAX_MESSAGES && id.is_none_or(|id| self.messages.insert(id)) {
            self.summary.turns = self.summary.turns.saturating_add(1);
        }
        for text in blocks(message).filter_map(|block| block["text"].as_str()) {
            cut(text, MAX_TEXT).clone_into(&mut self.summary.last_text);
            // Said by Claude Code itself in the agent's place, as the whole of a message.
            if let Some(limit) = usage_limit(text) {
                self.summary.rate_limit = Some(limit);
            }
        }
    }

    fn result(&mut self, result: &Value) {
        let summary = &mut self.summary;
        summary.subtype = result["subtype"].as_str().map(|subtype| cut(subtype, MAX_WORD).to_owned());
        summary.is_error = result["is_error"].as_bool().unwrap_or(false);
        if let Some(turns) = result["num_turns"].as_u64() {
            summary.turns = u32::try_from(turns).unwrap_or(u32::MAX);
        }
        summary.cost_usd = result["total_cost_usd"].as_f64().filter(|cost| cost.is_finite() && *cost >= 0.0);
        if let Some(text) = result["result"].as_str() {
            cut(text, MAX_TEXT).clone_into(&mut summary.last_text);
            if summary.is_error {
                summary.rate_limit = usage_limit(text).or(summary.rate_limit).or_else(|| limit_without_time(text));
            }
        }
    }

    fn rate_limit_event(&mut self, info: &Value) {
        // Other states (allowed, allowed_warning) only tell how much is left.
        if info["status"].as_str() == Some("rejected") {
            self.summary.rate_limit = Some(RateLimit { until: info["resetsAt"].as_u64() });
        }
    }
}

/// Parses one line of the stream. Anything but an object is no message.
pub(super) fn parse(line: &str) -> Option<Value> {
    let line = line.trim_start();
    line.starts_with('{').then(|| serde_json::from_str(line).ok()).flatten()
}

/// Returns the blocks of a message.
pub(super) fn blocks(message: &Value) -> impl Iterator<Item = &Value> {
    message["content"].as_array().map(Vec::as_slice).unwrap_or_default().iter()
}

/// Reads `Claude AI usage limit reached|<seconds since 1970>`, which must be the whole text.
pub(super) fn usage_limit(text: &str) -> Option<RateLimit> {
    let until = text.trim().strip_prefix("Claude AI usage limit reached|")?;
    Some(RateLimit { until: Some(until.parse().ok()?) })
}

/// Recognises limits that are told in words; asked for errors only, since an agent may write about limits.
fn limit_without_time(text: &str) -> Option<RateLimit> {
    let text = text.to_ascii_lowercase();
    let phrases =
        ["usage limit reached", "hit your limit", "hit your session limit", "hit your weekly limit", "rate_limit_error", "api error: 429"];
    phrases.iter().any(|phrase| text.contains(phrase)).then_some(RateLimit { until: None })
}

/// Cuts a text at a limit in bytes, between characters.
pub(super) fn cut(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

fn hash(text: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(lines: &[&str]) -> StreamSummary {
        let mut parser = StreamParser::default();
        for line in lines {
            parser.line(line);
        }
        parser.summary
    }

    const INIT: &str = r#"{"type":"system","subtype":"init","session_id":"s-1","model":"claude-sonnet","tools":["Read"],"cwd":"/w"}"#;
    const FIRST: &str = r#"{"type":"assistant","message":{"id":"m1","content":[{"type":"text","text":"Looking."}]},"session_id":"s-1"}"#;
    const FIRST_TOOL: &str = r#"{"type":"assistant","message":{"id":"m1","content":[{"type":"tool_use","name":"Read","input":{"file_path":"a"}}]},"session_id":"s-1"}"#;
    const TOOL_RESULT: &str =
        r#"{"type":"user","message":{"content":[{"type":"tool_result","content":"text","is_error":false}]},"session_id":"s-1"}"#;
    const SECOND: &str = r#"{"type":"assistant","message":{"id":"m2","content":[{"type":"text","text":"Done."}]},"session_id":"s-1"}"#;

    #[test]
    fn a_run_is_summed_up_while_it_lasts_and_at_its_end() {
        let lines = [INIT, FIRST, FIRST_TOOL, TOOL_RESULT, SECOND];
        let so_far = summary(&lines);
        assert_eq!((so_far.turns, so_far.last_text.as_str(), so_far.subtype.as_deref()), (2, "Done.", None));
        assert_eq!(so_far.session_id.as_deref(), Some("s-1"));
        let result = r#"{"type":"result","subtype":"success","is_error":false,"num_turns":12,"total_cost_usd":0.34,"result":"All done.","session_id":"s-1"}"#;
        let end = summary(&[&lines[..], &[result]].concat());
        let expected = StreamSummary {
            turns: 12,
            cost_usd: Some(0.34),
            subtype: Some("success".into()),
            is_error: false,
            rate_limit: None,
            last_text: "All done.".into(),
            session_id: Some("s-1".into()),
        };
        assert_eq!(end, expected);
    }

    #[test]
    fn the_turn_limit_is_a_subtype_without_a_text() {
        let end = summary(&[r#"{"type":"result","subtype":"error_max_turns","is_error":false,"num_turns":30,"total_cost_usd":1.5}"#]);
        assert_eq!((end.subtype.as_deref(), end.turns), (Some("error_max_turns"), 30));
    }

    #[test]
    fn limits_are_seen_in_each_of_their_forms() {
        let until = |lines: &[&str]| summary(lines).rate_limit.map(|limit| limit.until);
        assert_eq!(until(&["Claude AI usage limit reached|1749924000"]), Some(Some(1_749_924_000)));
        let said = r#"{"type":"assistant","message":{"id":"m","content":[{"type":"text","text":"Claude AI usage limit reached|7"}]}}"#;
        assert_eq!(until(&[said]), Some(Some(7)));
        let result = r#"{"type":"result","subtype":"success","is_error":true,"result":"Claude AI usage limit reached|8"}"#;
        assert_eq!(until(&[said, result]), Some(Some(8)));
        let words = r#"{"type":"result","is_error":true,"result":"You've hit your limit · resets 3pm"}"#;
        assert_eq!(until(&[words]), Some(None));
        assert_eq!(until(&[said, words]), Some(Some(7)), "a known time is not forgotten");
        let event = r#"{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":9,"rateLimitType":"five_hour"}}"#;
        assert_eq!(until(&[event]), Some(Some(9)));
    }

    #[test]
    fn talk_about_limits_and_events_that_allow_are_no_limit() {
        let talk = r#"{"type":"assistant","message":{"id":"m","content":[{"type":"text","text":"I handle 'Claude AI usage limit reached|7' now."}]}}"#;
        let result = r#"{"type":"result","is_error":false,"result":"It says usage limit reached when you hit your limit."}"#;
        let allowed = r#"{"type":"rate_limit_event","rate_limit_info":{"status":"allowed_warning","resetsAt":9}}"#;
        assert_eq!(summary(&[talk, result, allowed]).rate_limit, None);
    }

    #[test]
    fn what_is_not_understood_changes_nothing() {
        let odd = [
            "",
            "plain text",
            "{",
            "[1]",
            "null",
            "{}",
            r#"{"type":7}"#,
            r#"{"type":"new","x":[]}"#,
            r#"{"type":"assistant"}"#,
            r#"{"type":"assist"#,
        ];
        let before = summary(&[FIRST]);
        let mut parser = StreamParser::default();
        parser.line(FIRST);
        for line in odd.iter().filter(|line| !line.contains(r#""assistant""#)) {
            assert!(!parser.line(line), "{line}");
        }
        assert_eq!(parser.summary, before);
        let wrong = r#"{"type":"result","subtype":5,"num_turns":-1,"total_cost_usd":"much","is_error":"no","result":[]}"#;
        assert_eq!(summary(&[FIRST, wrong]), before);
    }

    #[test]
    fn the_summary_stays_small() {
        let text = "å".repeat(MAX_TEXT);
        let line = format!(r#"{{"type":"result","subtype":"{text}","num_turns":99999999999,"result":"{text}","session_id":"{text}"}}"#);
        let end = summary(&[&line]);
        assert_eq!((end.last_text.len(), end.turns), (MAX_TEXT, u32::MAX));
        assert!(end.session_id.is_some_and(|id| id.len() <= MAX_WORD) && end.subtype.is_some_and(|subtype| subtype.len() <= MAX_WORD));
    }
}
