//! Cuts a byte stream into lines of bounded length.

/// Collects bytes until a line is whole. What exceeds the limit is cut off, and the next line starts after the line's end.
#[derive(Debug)]
pub(super) struct Lines {
    limit: usize,
    line: Vec<u8>,
    cut: bool,
}

impl Lines {
    /// Keeps at most `limit` bytes of a line.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, line: Vec::new(), cut: false }
    }

    /// Takes bytes and hands out each line that they complete, without its end.
    pub(super) fn push(&mut self, mut bytes: &[u8], mut line: impl FnMut(&str)) {
        while let Some(at) = bytes.iter().position(|&byte| byte == b'\n') {
            self.keep(&bytes[..at]);
            self.emit(&mut line);
            bytes = &bytes[at + 1..];
        }
        self.keep(bytes);
    }

    /// Hands out what follows the last line's end, if anything.
    pub(super) fn finish(&mut self, mut line: impl FnMut(&str)) {
        if !self.line.is_empty() {
            self.emit(&mut line);
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = self.limit - self.line.len();
        self.cut |= bytes.len() > room;
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn emit(&mut self, line: &mut impl FnMut(&str)) {
        let text = String::from_utf8_lossy(&self.line);
        line(text.strip_suffix('\r').filter(|_| !self.cut).unwrap_or(&text));
        self.line.clear();
        // One long line must not hold its memory for the rest of the run.
        self.line.shrink_to(64 << 10);
        self.cut = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(limit: usize, chunks: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::new(limit);
        let mut out = Vec::new();
        for chunk in chunks {
            lines.push(chunk, |line| out.push(line.to_owned()));
        }
        lines.finish(|line| out.push(line.to_owned()));
        out
    }

    #[test]
    fn lines_are_whole_however_the_bytes_arrive() {
        assert_eq!(split(100, &[b"one\ntw", b"o\r\n", b"\nend"]), ["one", "two", "", "end"]);
        assert_eq!(split(100, &[b"a\n"]), ["a"]);
        assert_eq!(split(100, &["å\n".as_bytes().split_at(1).0, "å\n".as_bytes().split_at(1).1]), ["å"]);
    }

    #[test]
    fn a_long_line_is_cut_and_the_next_one_is_whole() {
        assert_eq!(split(4, &[b"123456", b"789\nnext\n12345"]), ["1234", "next", "1234"]);
    }
}
