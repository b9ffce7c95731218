//! Who a commit is by.

/// A commit's author or committer.
///
/// Git forbids angle brackets and line breaks in both parts, so they are taken out when the value is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    name: String,
    email: String,
}

impl Identity {
    /// Makes an identity; a part that is empty after cleaning becomes Octopoid's own.
    #[must_use]
    pub fn new(name: &str, email: &str) -> Self {
        let clean = |text: &str, fallback: &str| {
            let kept: String = text.chars().filter(|c| !c.is_control() && !matches!(c, '<' | '>')).take(200).collect();
            let kept = kept.trim_matches(|c: char| c.is_whitespace() || ".,:;\"'\\".contains(c));
            if kept.is_empty() { fallback.to_owned() } else { kept.to_owned() }
        };
        Self { name: clean(name, "Octopoid"), email: clean(email, "octopoid@localhost") }
    }

    /// Returns `Octopoid <octopoid@localhost>`, for machines without a git identity.
    #[must_use]
    pub fn octopoid() -> Self {
        Self::new("", "")
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the e-mail address.
    #[must_use]
    pub fn email(&self) -> &str {
        &self.email
    }

    pub(super) fn signature(&self) -> Result<git2::Signature<'static>, git2::Error> {
        git2::Signature::now(&self.name, &self.email)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_cannot_forge_a_header_line() {
        for (name, email) in [("a\nparent 0", "b\ncommitter x"), ("<a>", "<b>"), ("", ""), ("\u{0}", " . "), ("...", "<>")] {
            let identity = Identity::new(name, email);
            let signature = identity.signature().expect("a signature");
            for part in [signature.name_bytes(), signature.email_bytes()] {
                assert!(!part.is_empty() && !part.iter().any(|b| b"\n\r\0<>".contains(b)), "{name:?} {email:?}");
            }
        }
    }
}
