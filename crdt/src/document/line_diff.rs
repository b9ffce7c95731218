//! Which lines of a body an edit removes and which it puts in.
//!
//! **Invariants**: applying the hunks to the old lines gives the new ones; a line that stands alone in both texts, in
//! the same order, is kept, so that a concurrent edit of it survives. Time is O(n log n) but for small middles.

use std::{collections::BTreeMap, ops::Range};

/// Replaces `old` lines of the old text by `new` lines of the new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hunk {
    pub(super) old: Range<usize>,
    pub(super) new: Range<usize>,
}

/// The greatest middle, in lines times lines, that is compared line by line: 64 Ki cells cost well under a millisecond.
const SMALL_MIDDLE: usize = 1 << 16;

/// Returns the hunks that turn `old` into `new`, in order, none touching the next.
pub(super) fn hunks(old: &[&str], new: &[&str]) -> Vec<Hunk> {
    let mut kept = Vec::new();
    let mut todo = vec![(0..old.len(), 0..new.len())];
    while let Some((mut a, mut b)) = todo.pop() {
        while !a.is_empty() && !b.is_empty() && old[a.start] == new[b.start] {
            kept.push((a.start, b.start));
            (a.start, b.start) = (a.start + 1, b.start + 1);
        }
        while !a.is_empty() && !b.is_empty() && old[a.end - 1] == new[b.end - 1] {
            (a.end, b.end) = (a.end - 1, b.end - 1);
            kept.push((a.end, b.end));
        }
        if a.is_empty() || b.is_empty() {
            continue;
        }
        let anchors = anchors(&old[a.clone()], &new[b.clone()]);
        if anchors.is_empty() {
            if a.len() * b.len() <= SMALL_MIDDLE {
                kept.extend(common(&old[a.clone()], &new[b.clone()]).into_iter().map(|(i, j)| (a.start + i, b.start + j)));
            }
            continue;
        }
        let (mut from_a, mut from_b) = (a.start, b.start);
        for (i, j) in anchors {
            kept.push((a.start + i, b.start + j));
            todo.push((from_a..a.start + i, from_b..b.start + j));
            (from_a, from_b) = (a.start + i + 1, b.start + j + 1);
        }
        todo.push((from_a..a.end, from_b..b.end));
    }
    kept.sort_unstable();
    gaps(&kept, old.len(), new.len())
}

/// Turns kept pairs into what lies between them.
fn gaps(kept: &[(usize, usize)], old: usize, new: usize) -> Vec<Hunk> {
    let (mut a, mut b) = (0, 0);
    let mut hunks = Vec::new();
    for (i, j) in kept.iter().copied().chain([(old, new)]) {
        if i > a || j > b {
            hunks.push(Hunk { old: a..i, new: b..j });
        }
        (a, b) = (i + 1, j + 1);
    }
    hunks
}

/// Finds lines that occur once in each text and keeps the longest run of them that rises in both.
fn anchors(old: &[&str], new: &[&str]) -> Vec<(usize, usize)> {
    let mut seen: BTreeMap<&str, [(usize, usize); 2]> = BTreeMap::new();
    for (side, lines) in [old, new].into_iter().enumerate() {
        for (at, line) in lines.iter().enumerate() {
            let place = &mut seen.entry(line).or_default()[side];
            *place = (place.0 + 1, at);
        }
    }
    let pairs = old.iter().enumerate().filter_map(|(i, line)| match seen.get(line) {
        Some([(1, _), (1, j)]) => Some((i, *j)),
        Some(_) | None => None,
    });
    longest_rising(&pairs.collect::<Vec<_>>())
}

/// Patience sorting: `pairs` rise in the first place; the result rises in both.
fn longest_rising(pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    let mut tops: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(pairs.len());
    for (at, (_, j)) in pairs.iter().enumerate() {
        let pile = tops.partition_point(|top| pairs[*top].1 < *j);
        before.push(pile.checked_sub(1).map(|left| tops[left]));
        match tops.get_mut(pile) {
            Some(top) => *top = at,
            None => tops.push(at),
        }
    }
    let mut chain = Vec::with_capacity(tops.len());
    let mut next = tops.last().copied();
    while let Some(at) = next {
        chain.push(pairs[at]);
        next = before[at];
    }
    chain.reverse();
    chain
}

/// The longest common subsequence by the table, for small middles.
fn common(old: &[&str], new: &[&str]) -> Vec<(usize, usize)> {
    let width = new.len() + 1;
    let mut table = vec![0u16; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            table[i * width + j] = if old[i] == new[j] {
                table[(i + 1) * width + j + 1] + 1
            } else {
                table[(i + 1) * width + j].max(table[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut pairs = Vec::new();
    while i < old.len() && j < new.len() {
        if old[i] == new[j] {
            pairs.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if table[(i + 1) * width + j] >= table[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn apply<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<&'a str> {
        let mut out = old.to_vec();
        for hunk in hunks(old, new).iter().rev() {
            out.splice(hunk.old.clone(), new[hunk.new.clone()].iter().copied());
        }
        out
    }

    #[test]
    fn a_changed_line_leaves_its_neighbours_alone() {
        assert_eq!(hunks(&["a", "b", "c"], &["a", "x", "c"]), [Hunk { old: 1..2, new: 1..2 }]);
    }

    #[test]
    fn a_moved_paragraph_keeps_the_lines_around_it() {
        let old = ["one", "two", "three", "four", "five"];
        let new = ["four", "one", "two", "three", "five"];
        assert_eq!(hunks(&old, &new), [Hunk { old: 0..0, new: 0..1 }, Hunk { old: 3..4, new: 4..4 }]);
    }

    #[test]
    fn lines_that_repeat_are_kept_too() {
        assert_eq!(hunks(&["a", "b", "a", "b"], &["b", "a", "b", "a"]), [Hunk { old: 0..1, new: 0..0 }, Hunk { old: 4..4, new: 3..4 }]);
    }

    proptest! {
        #[test]
        fn the_hunks_turn_the_old_lines_into_the_new(old in proptest::collection::vec("[a-d]?", 0..40), new in proptest::collection::vec("[a-e]?", 0..40)) {
            let (old, new): (Vec<&str>, Vec<&str>) = (old.iter().map(String::as_str).collect(), new.iter().map(String::as_str).collect());
            prop_assert_eq!(apply(&old, &new), new);
        }
    }
}
