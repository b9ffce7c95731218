//! What identifies an agent's processes beyond the life of the node that started them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The random marker that every process of one attempt carries in its environment.
///
/// It names, it does not authorise: agents can read their own.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Token(String);

/// States that a text is not a [`Token`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an attempt's token must be 32 lower-case hex digits")]
pub struct TokenError;

impl Token {
    /// Draws a token.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(hex::encode(bytes)))
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Token {
    type Error = TokenError;

    fn try_from(text: String) -> Result<Self, TokenError> {
        let hex_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() == 32 && text.bytes().all(hex_digit) { Ok(Self(text)) } else { Err(TokenError) }
    }
}

impl From<Token> for String {
    fn from(token: Token) -> Self {
        token.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", &self.0[..8])
    }
}

/// Identifies the processes of one attempt. To be stored before [`Held::go`](super::Held::go).
///
/// The number alone would not do, because the system gives it to another process later; number, boot and start time
/// together name one process for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessRecord {
    /// The agent's process, which leads both its group and its session, so this is their number too.
    pub pid: i32,
    /// When it started, in clock ticks since the boot; unknown where the system has no `/proc`.
    pub started: Option<u64>,
    /// The boot that both numbers belong to; unknown where the system has no `/proc`.
    pub boot: Option<String>,
    /// The marker in the environment of the agent and all that it starts.
    pub token: Token,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_json_and_a_damaged_token_does_not() {
        let record = ProcessRecord { pid: 7, started: Some(9), boot: Some("b".into()), token: Token::random().expect("randomness") };
        let json = serde_json::to_string(&record).expect("json");
        assert_eq!(serde_json::from_str::<ProcessRecord>(&json).expect("record"), record);
        let damaged = json.replace(record.token.as_str(), "");
        assert!(serde_json::from_str::<ProcessRecord>(&damaged).expect_err("empty token").to_string().contains("32 lower-case hex digits"));
    }
}
