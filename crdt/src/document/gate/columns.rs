//! Walking a change's columns without expanding them.
//!
//! **Invariants**: time and memory are linear in the bytes given, whatever counts they claim.

use super::{MAX_EXPANDED_KEYS, MAX_ROWS, Reason};

/// Reads a change chunk from the front.
#[derive(Clone)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) const fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    pub(super) fn take(&mut self, n: u64) -> Result<&'a [u8], Reason> {
        let n = usize::try_from(n).map_err(|_| Reason::Malformed)?;
        let (head, tail) = self.bytes.split_at_checked(n).ok_or(Reason::Malformed)?;
        self.bytes = tail;
        Ok(head)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Reason> {
        let (head, tail) = self.bytes.split_first().ok_or(Reason::Malformed)?;
        self.bytes = tail;
        Ok(*head)
    }

    /// Reads an unsigned LEB128 number in its shortest form.
    pub(super) fn unsigned(&mut self) -> Result<u64, Reason> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            if (part << shift) >> shift != part {
                return Err(Reason::Malformed);
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                let shortest = byte != 0 || shift == 0;
                return if shortest { Ok(value) } else { Err(Reason::Malformed) };
            }
        }
        Err(Reason::Malformed)
    }

    /// Reads a signed LEB128 number; its form is left to the re-encoding.
    pub(super) fn signed(&mut self) -> Result<i64, Reason> {
        let mut value = 0i64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = i64::from(byte & 0x7f);
            if shift == 63 && !matches!(byte, 0 | 0x7f) {
                return Err(Reason::Malformed);
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                let negative = byte & 0x40 != 0 && shift + 7 < 64;
                return Ok(if negative { value | (-1 << (shift + 7)) } else { value });
            }
        }
        Err(Reason::Malformed)
    }
}

/// The last of the actions that documents are made of: make a map, set, make a list, delete. Beyond are texts, which
/// cost an operation per character, and increments and marks, whose bookkeeping no field needs.
const DELETE: u64 = 3;
/// Kinds of values: counters add up and overflow; beyond timestamps are those of later versions.
const COUNTER: u64 = 8;
const TIMESTAMP: u64 = 9;

/// What the values of a run-length encoded column are.
#[derive(Clone, Copy)]
pub(super) enum Values {
    /// Numbers, for their sum: predecessors per row.
    Numbers,
    /// Indices into the change's actors, of which there are so many.
    Actors(u64),
    /// What operations do.
    Actions,
    /// Differences of numbers.
    Deltas,
    /// Keys.
    Texts,
    /// Kinds and lengths of values, for the sum of the lengths.
    Lengths,
}

/// What a walk over a column found.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Walked {
    /// Rows, nulls included.
    pub(super) rows: u64,
    /// The sum over the rows: of numbers, of lengths of values, of bytes of texts.
    pub(super) sum: u64,
}

impl Walked {
    fn add(&mut self, rows: u64, each: u64) -> Result<(), Reason> {
        self.rows = self.rows.checked_add(rows).filter(|rows| *rows <= MAX_ROWS).ok_or(Reason::Rows)?;
        let more = rows.checked_mul(each).ok_or(Reason::Expansion)?;
        self.sum = self.sum.checked_add(more).ok_or(Reason::Expansion)?;
        Ok(())
    }
}

/// Walks a run-length encoded column: runs of one value, of several, of nulls.
pub(super) fn run_lengths(column: &[u8], values: Values) -> Result<Walked, Reason> {
    let mut cursor = Cursor::new(column);
    let mut walked = Walked::default();
    while !cursor.is_empty() {
        match cursor.signed()? {
            0 => walked.add(cursor.unsigned()?, 0)?,
            count @ 1.. => {
                let each = value(&mut cursor, values)?;
                walked.add(count.unsigned_abs(), each)?;
            }
            count => {
                for _ in 0..count.unsigned_abs() {
                    let each = value(&mut cursor, values)?;
                    walked.add(1, each)?;
                }
            }
        }
    }
    if matches!(values, Values::Texts) && walked.sum > MAX_EXPANDED_KEYS {
        return Err(Reason::Expansion);
    }
    Ok(walked)
}

/// Reads one value and returns what it adds to the sum.
fn value(cursor: &mut Cursor<'_>, values: Values) -> Result<u64, Reason> {
    match values {
        Values::Numbers => cursor.unsigned(),
        Values::Actors(actors) => cursor.unsigned().and_then(|actor| if actor < actors { Ok(0) } else { Err(Reason::Actors) }),
        Values::Deltas => cursor.signed().map(|_| 0),
        Values::Texts => {
            let length = cursor.unsigned()?;
            cursor.take(length)?;
            Ok(length)
        }
        Values::Actions => cursor.unsigned().and_then(|action| if action <= DELETE { Ok(0) } else { Err(Reason::Operation) }),
        Values::Lengths => {
            let value = cursor.unsigned()?;
            let kind = value & 0xf;
            if kind > TIMESTAMP || kind == COUNTER { Err(Reason::Operation) } else { Ok(value >> 4) }
        }
    }
}

/// The rows of a column of numbers that [`run_lengths`] has walked, one by one.
pub(super) struct Numbers<'a> {
    cursor: Cursor<'a>,
    left: u64,
    /// The value of the run; in a run of several values each row reads its own.
    repeated: Option<Option<u64>>,
}

impl<'a> Numbers<'a> {
    pub(super) const fn new(column: &'a [u8]) -> Self {
        Self { cursor: Cursor::new(column), left: 0, repeated: None }
    }

    fn run(&mut self) -> Result<(), Reason> {
        let count = self.cursor.signed()?;
        (self.left, self.repeated) = match count {
            0 => (self.cursor.unsigned()?, Some(None)),
            1.. => (count.unsigned_abs(), Some(Some(self.cursor.unsigned()?))),
            _ => (count.unsigned_abs(), None),
        };
        Ok(())
    }
}

impl Iterator for Numbers<'_> {
    type Item = Result<Option<u64>, Reason>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.left == 0 {
            if self.cursor.is_empty() {
                return None;
            }
            if let Err(reason) = self.run() {
                return Some(Err(reason));
            }
        }
        self.left -= 1;
        Some(self.repeated.map_or_else(|| self.cursor.unsigned().map(Some), Ok))
    }
}

/// Walks a column of flags: lengths of runs, false first.
pub(super) fn flags(column: &[u8]) -> Result<Walked, Reason> {
    let mut cursor = Cursor::new(column);
    let mut walked = Walked::default();
    while !cursor.is_empty() {
        walked.add(cursor.unsigned()?, 0)?;
    }
    Ok(walked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Writes a signed LEB128 number in its shortest form.
    fn leb(mut value: i64) -> Vec<u8> {
        let mut out = Vec::new();
        loop {
            let byte = (value & 0x7f) as u8;
            value >>= 7;
            let last = (value == 0 && byte & 0x40 == 0) || (value == -1 && byte & 0x40 != 0);
            out.push(if last { byte } else { byte | 0x80 });
            if last {
                return out;
            }
        }
    }

    proptest! {
        #[test]
        fn signed_numbers_are_read_back(value: i64) {
            let bytes = leb(value);
            let mut cursor = Cursor::new(&bytes);
            prop_assert_eq!(cursor.signed(), Ok(value));
            prop_assert!(cursor.is_empty());
        }

        #[test]
        fn a_walk_never_fails_otherwise_than_with_a_reason(bytes: Vec<u8>) {
            for values in [Values::Numbers, Values::Actors(2), Values::Actions, Values::Deltas, Values::Texts, Values::Lengths] {
                if let Ok(walked) = run_lengths(&bytes, values) {
                    prop_assert!(walked.rows <= MAX_ROWS);
                }
            }
            if let Ok(walked) = flags(&bytes) {
                prop_assert!(walked.rows <= MAX_ROWS);
            }
        }
    }

    #[test]
    fn a_claim_of_ten_million_rows_is_refused_unexpanded() {
        let column = [leb(10_000_000), vec![1]].concat();
        assert_eq!(run_lengths(&column, Values::Numbers), Err(Reason::Rows));
    }

    #[test]
    fn rows_are_counted_over_all_kinds_of_runs() {
        // Three times 7, the two values 1 and 2, four nulls.
        let column = [leb(3), vec![7], leb(-2), vec![1, 2], leb(0), vec![4]].concat();
        assert_eq!(run_lengths(&column, Values::Numbers), Ok(Walked { rows: 9, sum: 24 }));
    }

    #[test]
    fn rows_are_read_over_all_kinds_of_runs() {
        let column = [leb(3), vec![7], leb(-2), vec![1, 2], leb(0), vec![1]].concat();
        assert_eq!(Numbers::new(&column).collect::<Result<Vec<_>, _>>(), Ok(vec![Some(7), Some(7), Some(7), Some(1), Some(2), None]));
    }

    #[test]
    fn a_long_form_of_a_number_is_refused() {
        assert_eq!(Cursor::new(&[0x81, 0x00]).unsigned(), Err(Reason::Malformed));
        assert_eq!(Cursor::new(&[0xff; 10]).unsigned(), Err(Reason::Malformed));
        assert_eq!(Cursor::new(&[0x80, 0x01]).unsigned(), Ok(128));
    }
}
