//! Reads server-sent events out of bytes, however they are cut.

use std::collections::VecDeque;

use crate::error::ClientError;

/// The largest event that is read: far above what a node sends.
const EVENT: usize = 1 << 20;

/// One event as the stream holds it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Frame {
    /// The id of this event, or of the last one that had any.
    pub(super) id: String,
    /// The text of its data lines; empty for a block that names an id and tells no event.
    pub(super) data: String,
}

/// Collects lines until an empty one ends an event. Lines end with LF or CR LF; a lone CR does not end one, since no
/// node sends it.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    line: Vec<u8>,
    id: String,
    /// Whether the block that is being read names an id.
    has_id: bool,
    data: String,
    ready: VecDeque<Frame>,
}

impl Decoder {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// When one event exceeds 1 MiB.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        let mut lines = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(piece) = lines.next() {
            if self.line.len() + self.data.len() + piece.len() > EVENT {
                return Err(ClientError::TooLarge { limit: EVENT });
            }
            self.line.extend_from_slice(piece);
            if lines.peek().is_some() {
                let line = std::mem::take(&mut self.line);
                self.take_line(&String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(&line)));
            }
        }
        Ok(())
    }

    /// Returns the next whole event.
    pub(super) fn next(&mut self) -> Option<Frame> {
        self.ready.pop_front()
    }

    fn take_line(&mut self, line: &str) {
        if line.is_empty() {
            // An event without data is none, says the standard, but its id counts.
            if !self.data.is_empty() || self.has_id {
                self.ready.push_back(Frame { id: self.id.clone(), data: std::mem::take(&mut self.data) });
            }
            self.has_id = false;
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                if !self.data.is_empty() {
                    self.data.push('\n');
                }
                self.data.push_str(value);
            }
            "id" if !value.contains('\0') => {
                value.clone_into(&mut self.id);
                self.has_id = true;
            }
            // A comment keeps the connection alive; the kind of an event is in its data too.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] =
        b": hello\nid: 6\n\nid: 7\nevent: task.created\ndata: {\"a\":\ndata: 1}\n\nid: 8\r\ndata: x\r\n\r\nevent: nothing\n\ndata: y\n\ndata: half";

    fn all(chunk: usize) -> Vec<(String, String)> {
        let mut decoder = Decoder::default();
        for bytes in STREAM.chunks(chunk) {
            decoder.feed(bytes).expect("small events");
        }
        std::iter::from_fn(|| decoder.next()).map(|frame| (frame.id, frame.data)).collect()
    }

    #[test]
    fn events_are_the_same_however_the_bytes_are_cut() {
        let expected = [("6", ""), ("7", "{\"a\":\n1}"), ("8", "x"), ("8", "y")].map(|(id, data)| (id.to_owned(), data.to_owned()));
        for chunk in 1..=STREAM.len() {
            assert_eq!(all(chunk), expected, "in pieces of {chunk}");
        }
    }

    #[test]
    fn an_event_without_end_is_refused() {
        let mut decoder = Decoder::default();
        let piece = vec![b'x'; 64 << 10];
        let outcome = (0..20).try_for_each(|_| decoder.feed(&piece));
        assert!(matches!(outcome, Err(ClientError::TooLarge { .. })), "{outcome:?}");
        let mut decoder = Decoder::default();
        let line = [b"data: ".as_slice(), &piece, b"\n"].concat();
        let outcome = (0..20).try_for_each(|_| decoder.feed(&line));
        assert!(matches!(outcome, Err(ClientError::TooLarge { .. })), "{outcome:?}");
    }
}
