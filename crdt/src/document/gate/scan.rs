//! The pre-scan: a linear look at a change chunk before automerge sees it.
//!
//! **Invariants**: nothing is decompressed or expanded; memory is bounded by the chunk's own size; a chunk that passes
//! has the hash that automerge will compute, and only columns that this version of the gate knows.

use automerge::ChangeHash;
use sha2::{Digest, Sha256};

use super::{
    MAX_ACTORS, MAX_CHANGE_BYTES, MAX_DEPS, MAX_ROWS, Reason,
    columns::{Cursor, Numbers, Values, Walked, flags, run_lengths},
};
use crate::document::Actor;

/// The first bytes of every automerge chunk.
const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
/// The chunk type of a plain change.
const CHANGE: u8 = 1;
/// The bit in a column's specification that says that it is deflated.
const DEFLATED: u64 = 0b1000;

/// The action that sets a value, the only one that has any; the kind and length of no value.
const SET: u64 = 1;
const NULL: u64 = 0;

/// What the pre-scan learned about a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scanned {
    pub(crate) hash: ChangeHash,
    pub(crate) deps: Vec<ChangeHash>,
    pub(crate) seq: u64,
    pub(crate) start_op: u64,
    pub(crate) operations: u64,
}

/// Scans a change that `expected` is to have written.
pub(crate) fn scan(bytes: &[u8], expected: Actor) -> Result<Scanned, Reason> {
    if bytes.len() > MAX_CHANGE_BYTES {
        return Err(Reason::Size);
    }
    let (hash, data) = header(bytes)?;
    let mut cursor = Cursor::new(data);
    let deps = deps(&mut cursor)?;
    let length = cursor.unsigned()?;
    if cursor.take(length)? != expected.bytes() {
        return Err(Reason::Actor);
    }
    let (seq, start_op) = (cursor.unsigned()?, cursor.unsigned()?);
    if (cursor.signed()?, cursor.unsigned()?) != (0, 0) {
        return Err(Reason::Metadata);
    }
    let actors = 1 + other_actors(&mut cursor)?;
    let operations = columns(&mut cursor, actors)?;
    Ok(Scanned { hash, deps, seq, start_op, operations })
}

/// Checks the chunk's frame and returns its hash and what it frames.
fn header(bytes: &[u8]) -> Result<(ChangeHash, &[u8]), Reason> {
    let mut cursor = Cursor::new(bytes);
    let framed = |_| Reason::Header;
    if cursor.take(4).map_err(framed)? != MAGIC {
        return Err(Reason::Header);
    }
    let checksum = cursor.take(4).map_err(framed)?;
    if cursor.byte().map_err(framed)? != CHANGE {
        return Err(Reason::ChunkType);
    }
    let before = cursor.rest();
    let length = cursor.unsigned().map_err(framed)?;
    let data = cursor.rest();
    if u64::try_from(data.len()) != Ok(length) {
        return Err(Reason::Header);
    }
    let hash: [u8; 32] =
        Sha256::new().chain_update([CHANGE]).chain_update(&before[..before.len() - data.len()]).chain_update(data).finalize().into();
    if hash[..4] == *checksum { Ok((ChangeHash(hash), data)) } else { Err(Reason::Header) }
}

fn deps(cursor: &mut Cursor<'_>) -> Result<Vec<ChangeHash>, Reason> {
    let count = cursor.unsigned()?;
    if count > MAX_DEPS {
        return Err(Reason::Deps);
    }
    let mut deps: Vec<ChangeHash> = Vec::new();
    for _ in 0..count {
        let dep = ChangeHash::try_from(cursor.take(32)?).map_err(|_| Reason::Malformed)?;
        if deps.last().is_some_and(|last| *last >= dep) {
            return Err(Reason::Deps);
        }
        deps.push(dep);
    }
    Ok(deps)
}

/// Checks the other actors that the operations name and returns how many there are.
fn other_actors(cursor: &mut Cursor<'_>) -> Result<u64, Reason> {
    let count = cursor.unsigned()?;
    if count >= MAX_ACTORS {
        return Err(Reason::Actors);
    }
    let mut last: Option<&[u8]> = None;
    for _ in 0..count {
        let length = cursor.unsigned()?;
        let actor = cursor.take(length)?;
        if actor.len() != Actor::LEN || last.is_some_and(|last| last >= actor) {
            return Err(Reason::Actors);
        }
        last = Some(actor);
    }
    Ok(count)
}

/// Walks every column and returns the number of operations; all must have as many rows.
fn columns(cursor: &mut Cursor<'_>, actors: u64) -> Result<u64, Reason> {
    let count = cursor.unsigned()?;
    let mut metadata: Vec<(u64, u64)> = Vec::new();
    for _ in 0..count {
        let (spec, length) = (cursor.unsigned()?, cursor.unsigned()?);
        if spec & DEFLATED != 0 {
            return Err(Reason::Deflate);
        }
        if length == 0 || metadata.last().is_some_and(|(last, _)| *last >= spec) {
            return Err(Reason::Columns);
        }
        metadata.push((spec, length));
    }
    let mut rows = Rows::default();
    for (spec, length) in metadata {
        rows.column(spec, cursor.take(length)?, actors)?;
    }
    // Bytes beyond the columns are a footer of a kind that this version does not know.
    if cursor.is_empty() { rows.agree() } else { Err(Reason::Columns) }
}

/// How many rows the columns have that must agree with each other.
#[derive(Default)]
struct Rows<'a> {
    operations: Vec<u64>,
    actions: u64,
    action_column: &'a [u8],
    value_column: &'a [u8],
    value_bytes: (u64, u64),
    predecessors: u64,
    predecessor_columns: Vec<u64>,
}

impl<'a> Rows<'a> {
    /// Walks one column; the numbers are automerge's column specifications, id × 16 + type.
    fn column(&mut self, spec: u64, bytes: &'a [u8], actors: u64) -> Result<(), Reason> {
        let per_operation = |rows: &mut Self, walked: Walked| rows.operations.push(walked.rows);
        match spec {
            // Object and key, actor and counter; key text.
            1 | 17 => per_operation(self, run_lengths(bytes, Values::Actors(actors))?),
            2 => per_operation(self, run_lengths(bytes, Values::Numbers)?),
            19 => per_operation(self, run_lengths(bytes, Values::Deltas)?),
            21 => per_operation(self, run_lengths(bytes, Values::Texts)?),
            // Insert.
            52 => per_operation(self, flags(bytes)?),
            66 => (self.actions, self.action_column) = (run_lengths(bytes, Values::Actions)?.rows, bytes),
            // Values: kinds and lengths, then their bytes.
            86 => {
                let walked = run_lengths(bytes, Values::Lengths)?;
                (self.value_bytes.0, self.value_column) = (walked.sum, bytes);
                per_operation(self, walked);
            }
            87 => self.value_bytes.1 = bytes.len() as u64,
            // Predecessors: how many a row has, then their actors and counters.
            112 => {
                let walked = run_lengths(bytes, Values::Numbers)?;
                self.predecessors = walked.sum;
                per_operation(self, walked);
            }
            113 => self.predecessor_columns.push(run_lengths(bytes, Values::Actors(actors))?.rows),
            115 => self.predecessor_columns.push(run_lengths(bytes, Values::Deltas)?.rows),
            _ => return Err(Reason::Columns),
        }
        Ok(())
    }

    fn agree(self) -> Result<u64, Reason> {
        let operations = self.operations.iter().all(|rows| *rows == self.actions);
        let predecessors = match self.predecessor_columns.as_slice() {
            [] => self.predecessors == 0,
            [actors, counters] => *actors == self.predecessors && actors == counters,
            _ => false,
        };
        if self.predecessors > MAX_ROWS {
            return Err(Reason::Rows);
        }
        if !(operations && predecessors && self.value_bytes.0 == self.value_bytes.1) {
            return Err(Reason::Columns);
        }
        // Automerge keeps a value beside "make a list" and loads it again, but its own encoder drops it.
        for (action, value) in Numbers::new(self.action_column).zip(Numbers::new(self.value_column)) {
            if action? != Some(SET) && value? != Some(NULL) {
                return Err(Reason::Operation);
            }
        }
        Ok(self.actions)
    }
}
