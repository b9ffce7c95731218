//! Which earlier entries a record's author had seen.

/// A position in one task's log. The log's order is the order of arrival, which is causal.
pub type Index = u32;

/// A set of positions, kept as everything below a bound and runs above it.
///
/// A linear history costs a few bytes whatever its length, and two sides of a partition cost one run each. Only histories that really
/// interleave cost more.
///
/// **Invariant**: runs are half-open, not empty, sorted, apart from each other and from the bound; so equal sets are equal values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Past {
    upto: Index,
    extra: Vec<(Index, Index)>,
}

impl Past {
    /// Everything below `upto`.
    #[must_use]
    pub const fn below(upto: Index) -> Self {
        Self { upto, extra: Vec::new() }
    }

    /// Builds the set from half-open runs in any order, empty and overlapping ones included.
    #[must_use]
    pub fn from_runs(runs: impl IntoIterator<Item = (Index, Index)>) -> Self {
        let mut past = Self { upto: 0, extra: runs.into_iter().collect() };
        past.normalise();
        past
    }

    /// Returns the bound below which everything is in the set.
    #[must_use]
    pub const fn upto(&self) -> Index {
        self.upto
    }

    /// Returns the half-open runs above the bound.
    #[must_use]
    pub fn extra(&self) -> &[(Index, Index)] {
        &self.extra
    }

    /// Tells whether nothing is in the set.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.upto == 0 && self.extra.is_empty()
    }

    /// Tells whether a position is in the set.
    #[must_use]
    pub fn contains(&self, index: Index) -> bool {
        index < self.upto || self.extra.partition_point(|run| run.1 <= index) < self.extra.partition_point(|run| run.0 <= index)
    }

    /// Tells whether every position of a log of this length is in the set.
    #[must_use]
    pub const fn covers(&self, len: Index) -> bool {
        self.upto >= len
    }

    /// Adds one position.
    pub fn insert(&mut self, index: Index) {
        if index == self.upto && self.extra.is_empty() {
            self.upto += 1;
        } else if !self.contains(index) {
            self.extra.push((index, index.saturating_add(1)));
            self.normalise();
        }
    }

    /// Adds all positions of another set.
    pub fn union(&mut self, other: &Self) {
        if self.extra.is_empty() && other.extra.is_empty() {
            self.upto = self.upto.max(other.upto);
        } else if self != other {
            self.extra.push((0, other.upto));
            self.extra.extend_from_slice(&other.extra);
            self.normalise();
        }
    }

    /// Iterates in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = Index> + '_ {
        (0..self.upto).chain(self.extra.iter().flat_map(|&(start, end)| start..end))
    }

    fn normalise(&mut self) {
        self.extra.sort_unstable();
        let mut kept: Vec<(Index, Index)> = Vec::with_capacity(self.extra.len());
        for &(start, end) in self.extra.iter().filter(|(start, end)| start < end) {
            if start <= self.upto {
                self.upto = self.upto.max(end);
            } else if let Some(last) = kept.last_mut().filter(|last| start <= last.1) {
                last.1 = last.1.max(end);
            } else {
                kept.push((start, end));
            }
        }
        self.extra = kept;
    }
}

impl FromIterator<Index> for Past {
    fn from_iter<I: IntoIterator<Item = Index>>(indexes: I) -> Self {
        Self::from_runs(indexes.into_iter().map(|index| (index, index.saturating_add(1))))
    }
}

#[cfg(test)]
mod tests {
    use super::Past;

    #[test]
    fn runs_that_touch_become_one_and_the_bound_swallows_what_reaches_it() {
        let past = Past::from_runs([(5, 7), (0, 2), (7, 9), (2, 3), (4, 4)]);
        assert_eq!((past.upto(), past.extra()), (3, &[(5, 9)][..]));
        let mut past = past;
        past.insert(3);
        past.insert(4);
        assert_eq!(past, Past::below(9));
    }

    #[test]
    fn a_set_holds_exactly_what_was_put_in() {
        let past = Past::from_runs([(0, 2), (4, 6), (9, 10)]);
        assert_eq!(past.iter().collect::<Vec<_>>(), [0, 1, 4, 5, 9]);
        assert_eq!((0..12).filter(|&i| past.contains(i)).collect::<Vec<_>>(), [0, 1, 4, 5, 9]);
    }
}
