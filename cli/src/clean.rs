//! Keeps what agents and tasks say from steering a terminal.
//!
//! **Invariants**: nothing that passes through [`line`] or [`text`] holds a control character, except line ends and tabs
//! in a text; printable characters stay as they are.

use std::borrow::Cow;

/// Tells whether a character moves the cursor, changes colours, or reorders what is shown.
fn steers(character: char) -> bool {
    // The bidirectional overrides print nothing themselves and make the rest read differently from what it is.
    character.is_control() || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn replaced(text: &str, keep: impl Fn(char) -> bool) -> Cow<'_, str> {
    if text.chars().all(|character| keep(character) || !steers(character)) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().filter(|character| keep(*character) || !steers(*character)).collect())
}

/// Cleans what must stay on one line: line ends and tabs become blanks.
pub fn line(text: &str) -> String {
    let flat: String = text.chars().map(|character| if matches!(character, '\n' | '\r' | '\t') { ' ' } else { character }).collect();
    replaced(&flat, |_| false).trim().to_owned()
}

/// Cleans what must stay on one line and begins with the blanks that indent it.
pub fn indented(text: &str) -> String {
    let rest = text.trim_start_matches(' ');
    format!("{}{}", &text[..text.len() - rest.len()], line(rest))
}

/// Cleans a text of several lines. A carriage return is dropped: it would let a line overwrite its own beginning.
pub fn text(text: &str) -> Cow<'_, str> {
    replaced(text, |character| matches!(character, '\n' | '\t'))
}

/// Cleans a text that arrives in pieces, which may end within a character.
#[derive(Debug, Default)]
pub struct Pieces {
    rest: Vec<u8>,
}

impl Pieces {
    /// Takes a piece and returns what is whole by now, cleaned. Bytes that are no UTF-8 become replacement characters.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.rest.extend_from_slice(bytes);
        let whole = match std::str::from_utf8(&self.rest) {
            Ok(_) => self.rest.len(),
            // Without a length the error is the beginning of a character whose rest is still to come.
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(_) => self.rest.len(),
        };
        let rest = self.rest.split_off(whole);
        let head = std::mem::replace(&mut self.rest, rest);
        text(&String::from_utf8_lossy(&head)).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_keeps_the_blanks_that_indent_it() {
        assert_eq!(indented("    a\nb\u{1b}[2J "), "    a b[2J");
        assert_eq!(indented(""), "");
    }

    #[test]
    fn escapes_and_overrides_do_not_reach_the_terminal() {
        let evil = "a\u{1b}[2Jb\u{7}\u{9b}31mc\u{202e}d\rX\u{8}";
        assert_eq!(text(evil), "a[2Jb31mcdX");
        assert_eq!(line("two\nlines\tand\u{1b}]0;title\u{7}"), "two lines and]0;title");
    }

    #[test]
    fn ordinary_text_stays_as_it_is() {
        let plain = "Größe 東京 🐙\n\tindented";
        assert!(matches!(text(plain), Cow::Borrowed(same) if same == plain));
    }

    #[test]
    fn pieces_cut_within_a_character_are_joined() {
        let whole = "é🐙\u{1b}x";
        for at in 0..whole.len() {
            let mut pieces = Pieces::default();
            let (head, tail) = whole.as_bytes().split_at(at);
            assert_eq!(pieces.push(head) + &pieces.push(tail), "é🐙x", "cut at {at}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_pass_as_replacements_and_are_not_kept_for_ever() {
        let mut pieces = Pieces::default();
        assert_eq!(pieces.push(b"a\xffb"), "a\u{fffd}b");
        assert!(pieces.rest.is_empty());
    }
}
