//! Which numbers a node gives to the drafts that are made on it.
//!
//! Scripts of version 2 know drafts by integers that count up from 1. Without a server nobody can count for everybody, so each
//! node has numbers of its own: the founder the small ones, every other node 2³² of them from a place that its key decides.
//!
//! **Invariants**: every number is above 0 and below 2⁵³, so that it is exact in JSON; nodes whose [`lot`]s differ never give
//! the same number. Two keys that share a lot are kept apart by refusing the second one's admission.

use std::ops::RangeInclusive;

use crate::ids::AuthorKey;

/// How many numbers a node has.
const PER_NODE: u64 = 1 << 32;

/// Returns the 20 bits of a key that decide where its node's numbers begin.
#[must_use]
pub fn lot(key: &AuthorKey) -> u32 {
    let [a, b, c, ..] = *blake3::hash(key.as_bytes()).as_bytes();
    u32::from_be_bytes([0, a, b, c]) >> 4
}

/// Returns the numbers that a node gives, in the order in which it gives them.
#[must_use]
pub fn numbers(node: &AuthorKey, founder: Option<&AuthorKey>) -> RangeInclusive<u64> {
    let place = if founder == Some(node) { 0 } else { 1 + u64::from(lot(node)) };
    let before = place * PER_NODE;
    before + 1..=before + PER_NODE - 1
}

/// Returns the first number of a node that is free, where those before it are taken.
///
/// Looks at as many numbers as the count of taken ones has binary digits, not at each of them. Where numbers are taken beyond
/// a gap, which no node of this program leaves, it may return one within the gap or after it. `None` when all are taken.
///
/// # Errors
/// Those of `taken`.
pub fn first_free<E>(numbers: RangeInclusive<u64>, mut taken: impl FnMut(u64) -> Result<bool, E>) -> Result<Option<u64>, E> {
    let (first, last) = (*numbers.start(), *numbers.end());
    if !taken(first)? {
        return Ok(Some(first));
    }
    let (mut known, mut step) = (first, 1);
    let mut free = loop {
        let next = known.saturating_add(step).min(last);
        if !taken(next)? {
            break next;
        }
        if next == last {
            return Ok(None);
        }
        (known, step) = (next, step.saturating_mul(2));
    };
    while free - known > 1 {
        let middle = known + (free - known) / 2;
        if taken(middle)? {
            known = middle;
        } else {
            free = middle;
        }
    }
    Ok(Some(free))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn free_after(count: u64) -> (Option<u64>, u32) {
        let mut looks = 0;
        let found = first_free(1..=10_000, |number| {
            looks += 1;
            Ok::<_, Infallible>(number <= count)
        });
        (found.unwrap_or_else(|never| match never {}), looks)
    }

    #[test]
    fn the_first_free_number_follows_the_taken_ones_and_is_found_in_few_looks() {
        for count in [0, 1, 2, 3, 4, 7, 8, 100, 5_000, 9_999] {
            let (found, looks) = free_after(count);
            assert_eq!(found, Some(count + 1), "{count}");
            assert!(looks <= 30, "{looks} looks for {count}");
        }
        assert_eq!(free_after(10_000).0, None);
    }

    #[test]
    fn the_founder_counts_from_one_and_others_from_a_place_of_their_own_below_2_to_the_53() {
        let (founder, other) = (AuthorKey([1; 32]), AuthorKey([2; 32]));
        assert_eq!(*numbers(&founder, Some(&founder)).start(), 1);
        let of_other = numbers(&other, Some(&founder));
        assert_eq!(*of_other.start(), (1 + u64::from(lot(&other))) * (1 << 32) + 1);
        assert!(numbers(&founder, Some(&founder)).end() < of_other.start());
        assert!((1 + u64::from(u32::MAX >> 12)) * PER_NODE + PER_NODE < 1 << 53);
        assert!((0..=255).all(|byte| lot(&AuthorKey([byte; 32])) < 1 << 20));
    }
}
