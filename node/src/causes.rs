//! Writes errors for people: the one place that turns a chain of causes into text.

use std::error::Error;

/// Writes an error with all of its causes on one line, the outermost first.
///
/// Errors here do not repeat their cause's text, so the chain reads as one sentence.
#[must_use]
pub fn describe(error: &dyn Error) -> String {
    let mut text = error.to_string();
    for cause in std::iter::successors(error.source(), |cause| (**cause).source()) {
        text.push_str(": ");
        text.push_str(&cause.to_string());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Layer(&'static str, #[source] Option<Box<Layer>>);

    #[test]
    fn every_cause_is_told_once_the_outermost_first() {
        let error = Layer("merge the task", Some(Box::new(Layer("push to origin", Some(Box::new(Layer("no route", None)))))));
        assert_eq!(describe(&error), "merge the task: push to origin: no route");
        assert_eq!(describe(&Layer("alone", None)), "alone");
    }
}
