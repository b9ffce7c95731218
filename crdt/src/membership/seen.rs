//! What a record's past holds of the cluster's history, as a small number.
//!
//! **Invariants**: equal sets have equal numbers; a number never changes its meaning while its store lives; number 0
//! is the empty set.

use std::collections::BTreeMap;

/// The set of counted cluster records in a record's past, its own included: one number to keep beside each record.
///
/// Local to one store, like the numbers of records there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seen(pub u32);

impl Seen {
    /// Nothing seen: the past of a Genesis record.
    pub const NOTHING: Self = Self(0);
}

/// A set of entries' numbers, one bit each, without trailing zero words.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    pub(super) fn contains(&self, number: usize) -> bool {
        self.0.get(number / 64).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    pub(super) fn with(mut self, number: usize) -> Self {
        if self.0.len() <= number / 64 {
            self.0.resize(number / 64 + 1, 0);
        }
        if let Some(word) = self.0.get_mut(number / 64) {
            *word |= 1 << (number % 64);
        }
        self
    }

    pub(super) fn join(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine |= theirs;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (words, rest) = bytes.as_chunks::<8>();
        let words: Vec<_> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        (rest.is_empty() && words.last() != Some(&0)).then_some(Self(words))
    }
}

/// Gives every set a number.
#[derive(Debug, Clone)]
pub(super) struct SeenTable {
    sets: Vec<Bits>,
    numbers: BTreeMap<Bits, Seen>,
}

impl Default for SeenTable {
    fn default() -> Self {
        Self { sets: vec![Bits::default()], numbers: BTreeMap::from([(Bits::default(), Seen::NOTHING)]) }
    }
}

impl SeenTable {
    pub(super) fn get(&self, seen: Seen) -> Option<&Bits> {
        self.sets.get(seen.0 as usize)
    }

    pub(super) fn len(&self) -> usize {
        self.sets.len()
    }

    /// Numbers a set; `None` when the numbers are used up, after four thousand million different sets.
    pub(super) fn intern(&mut self, set: Bits) -> Option<Seen> {
        if let Some(seen) = self.numbers.get(&set) {
            return Some(*seen);
        }
        let seen = Seen(u32::try_from(self.sets.len()).ok()?);
        self.sets.push(set.clone());
        self.numbers.insert(set, seen);
        Some(seen)
    }

    /// Forgets the sets from a number on.
    pub(super) fn truncate(&mut self, len: usize) {
        for set in self.sets.drain(len.clamp(1, self.sets.len())..) {
            self.numbers.remove(&set);
        }
    }
}
