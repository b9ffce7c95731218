//! Taking change chunks apart and putting them together wrongly, with a right checksum.

use octopoid_crdt::{
    document::Actor,
    ids::{AuthorKey, SessionId},
};
use sha2::{Digest, Sha256};

/// The parts of a change chunk, each of which a test may spoil.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    pub kind: u8,
    pub deps: Vec<Vec<u8>>,
    pub actor: Vec<u8>,
    pub seq: u64,
    pub start_op: u64,
    pub time: i64,
    pub message: Vec<u8>,
    pub others: Vec<Vec<u8>>,
    pub columns: Vec<(u64, Vec<u8>)>,
    pub footer: Vec<u8>,
}

/// Returns an actor whose bytes are all `n`.
pub fn actor(n: u8) -> Actor {
    Actor { author: AuthorKey([n; 32]), session: SessionId([n; 16]) }
}

pub fn unsigned(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        out.push(if value == 0 { byte } else { byte | 0x80 });
        if value == 0 {
            return out;
        }
    }
}

pub fn signed(mut value: i64) -> Vec<u8> {
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

fn sized(bytes: &[u8]) -> Vec<u8> {
    [unsigned(bytes.len() as u64), bytes.to_vec()].concat()
}

/// Frames chunk data with magic, checksum, kind and length.
pub fn frame(kind: u8, data: &[u8]) -> Vec<u8> {
    let framed = [vec![kind], sized(data)].concat();
    let hash = Sha256::digest(&framed);
    [vec![0x85, 0x6f, 0x4a, 0x83], hash[..4].to_vec(), framed].concat()
}

/// Returns the hash of a framed chunk.
pub fn hash(chunk: &[u8]) -> [u8; 32] {
    Sha256::digest(&chunk[8..]).into()
}

/// Returns where a chunk's data begins.
pub fn data_start(chunk: &[u8]) -> usize {
    9 + chunk[9..].iter().position(|byte| byte & 0x80 == 0).expect("length") + 1
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn number(&mut self) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = self.0[0];
            self.0 = &self.0[1..];
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                return value;
            }
        }
    }

    fn signed(&mut self) -> i64 {
        let (mut value, mut shift) = (0i64, 0u32);
        loop {
            let byte = self.0[0];
            self.0 = &self.0[1..];
            value |= i64::from(byte & 0x7f).wrapping_shl(shift);
            shift += 7;
            if byte & 0x80 == 0 {
                return if byte & 0x40 != 0 && shift < 64 { value | (-1 << shift) } else { value };
            }
        }
    }

    fn take(&mut self, n: usize) -> Vec<u8> {
        let (head, tail) = self.0.split_at(n);
        self.0 = tail;
        head.to_vec()
    }

    fn sized(&mut self) -> Vec<u8> {
        let n = self.number() as usize;
        self.take(n)
    }
}

impl Chunk {
    /// Takes a well-formed change apart.
    pub fn parse(bytes: &[u8]) -> Self {
        let mut reader = Reader(&bytes[data_start(bytes)..]);
        let deps = (0..reader.number()).map(|_| reader.take(32)).collect();
        let actor = reader.sized();
        let (seq, start_op) = (reader.number(), reader.number());
        let time = reader.signed();
        let message = reader.sized();
        let others = (0..reader.number()).map(|_| reader.sized()).collect();
        let metadata: Vec<(u64, u64)> = (0..reader.number()).map(|_| (reader.number(), reader.number())).collect();
        let columns = metadata.into_iter().map(|(spec, length)| (spec, reader.take(length as usize))).collect();
        Self { kind: bytes[8], deps, actor, seq, start_op, time, message, others, columns, footer: reader.0.to_vec() }
    }

    /// Puts the parts together as they are.
    pub fn build(&self) -> Vec<u8> {
        let mut data = unsigned(self.deps.len() as u64);
        data.extend(self.deps.concat());
        data.extend(sized(&self.actor));
        data.extend([unsigned(self.seq), unsigned(self.start_op), signed(self.time), sized(&self.message)].concat());
        data.extend(unsigned(self.others.len() as u64));
        data.extend(self.others.iter().flat_map(|actor| sized(actor)));
        data.extend(unsigned(self.columns.len() as u64));
        data.extend(self.columns.iter().flat_map(|(spec, bytes)| [unsigned(*spec), unsigned(bytes.len() as u64)].concat()));
        data.extend(self.columns.iter().flat_map(|(_, bytes)| bytes.clone()));
        data.extend(&self.footer);
        frame(self.kind, &data)
    }

    /// Returns a column by its specification, made empty if it is not there.
    pub fn column(&mut self, spec: u64) -> &mut Vec<u8> {
        let at = self.columns.iter().position(|(here, _)| *here >= spec).unwrap_or(self.columns.len());
        if self.columns.get(at).is_none_or(|(here, _)| *here != spec) {
            self.columns.insert(at, (spec, Vec::new()));
        }
        &mut self.columns[at].1
    }
}
