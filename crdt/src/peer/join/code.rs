//! The short code that two people compare.

use std::{fmt, str::FromStr};

use crate::ids::{AuthorKey, ClusterId};

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LEN: usize = 8;

/// Eight characters, 40 bits: shown as `7QKM-4R2D`, read in either case, with or without the dash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code([u8; LEN]);

/// States why a text is not a code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a code has 8 letters and digits, such as 7QKM-4R2D")]
pub struct CodeError;

impl Code {
    /// Computes the code of a request; the joiner's part comes first.
    #[must_use]
    pub fn compute(joiner: (&AuthorKey, &[u8; 32]), host: (&AuthorKey, &[u8; 32]), cluster: &ClusterId) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"octopoid/join/code/v1").update(cluster.as_bytes());
        hasher.update(joiner.0.as_bytes()).update(joiner.1).update(host.0.as_bytes()).update(host.1);
        let mut bits = [0; 8];
        hasher.finalize_xof().fill(&mut bits);
        let mut rest = u64::from_be_bytes(bits);
        Self([(); LEN].map(|()| {
            let letter = ALPHABET[usize::try_from(rest % 32).unwrap_or(0)];
            rest /= 32;
            letter
        }))
    }
}

/// Hides a nonce until it is revealed; the key keeps others from repeating it as their own.
pub(super) fn commitment(joiner: &AuthorKey, nonce: &[u8; 32]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"octopoid/join/commit/v1").update(joiner.as_bytes()).update(nonce);
    *hasher.finalize().as_bytes()
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, letter) in self.0.iter().enumerate() {
            let dash = if at == LEN / 2 { "-" } else { "" };
            write!(f, "{dash}{}", char::from(*letter))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code({self})")
    }
}

impl FromStr for Code {
    type Err = CodeError;

    fn from_str(text: &str) -> Result<Self, CodeError> {
        let mut code = [0; LEN];
        let mut letters = text.bytes().filter(|byte| *byte != b'-').map(|byte| match byte.to_ascii_uppercase() {
            b'O' => b'0',
            b'I' | b'L' => b'1',
            other => other,
        });
        for slot in &mut code {
            *slot = letters.next().filter(|letter| ALPHABET.contains(letter)).ok_or(CodeError)?;
        }
        if letters.next().is_none() { Ok(Self(code)) } else { Err(CodeError) }
    }
}
