//! A set of ranges: what was received out of order, what the peer holds.

use alloc::vec::Vec;
use core::ops::Range;

/// Disjoint, sorted, not touching half-open ranges.
///
/// Kept in a vector: the sets of a transport are short, and both ends are where it changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeSet<T> {
    ranges: Vec<Range<T>>,
}

impl<T> Default for RangeSet<T> {
    fn default() -> Self {
        Self { ranges: Vec::new() }
    }
}

impl<T: Copy + Ord> RangeSet<T> {
    /// Adds a range, joining what it overlaps or touches. An empty range changes nothing.
    pub fn insert(&mut self, range: Range<T>) {
        if range.start >= range.end {
            return;
        }
        let first = self.ranges.partition_point(|r| r.end < range.start);
        let last = self.ranges.partition_point(|r| r.start <= range.end);
        let mut joined = range;
        if let Some(touched) = self.ranges.get(first..last).filter(|t| !t.is_empty()) {
            joined.start = joined.start.min(touched[0].start);
            joined.end = joined.end.max(touched[touched.len() - 1].end);
        }
        self.ranges.splice(first..last, [joined]);
    }

    /// Takes everything before `point` out.
    pub fn remove_before(&mut self, point: T) {
        let gone = self.ranges.partition_point(|r| r.end <= point);
        self.ranges.drain(..gone);
        if let Some(first) = self.ranges.first_mut() {
            first.start = first.start.max(point);
        }
    }

    /// Takes a range out. An empty range changes nothing.
    pub fn remove(&mut self, range: Range<T>) {
        if range.start >= range.end {
            return;
        }
        let first = self.ranges.partition_point(|r| r.end <= range.start);
        let last = self.ranges.partition_point(|r| r.start < range.end);
        let touched = self.ranges.get(first..last).unwrap_or_default();
        let (Some(front), Some(back)) = (touched.first(), touched.last()) else { return };
        let left = front.start..range.start;
        let right = range.end..back.end;
        let kept = [left, right].into_iter().filter(|r| r.start < r.end);
        self.ranges.splice(first..last, kept);
    }

    /// The range that holds `point`, if any.
    #[must_use]
    pub fn containing(&self, point: T) -> Option<&Range<T>> {
        let i = self.ranges.partition_point(|r| r.end <= point);
        self.ranges.get(i).filter(|r| r.start <= point)
    }

    /// Whether the whole of `range` is in the set; an empty range is.
    #[must_use]
    pub fn contains(&self, range: &Range<T>) -> bool {
        range.start >= range.end || self.containing(range.start).is_some_and(|r| r.end >= range.end)
    }

    /// The parts of `range` that are not in the set, in order.
    pub fn gaps(&self, range: Range<T>) -> impl Iterator<Item = Range<T>> + '_ {
        let mut at = range.start;
        let from = self.ranges.partition_point(|r| r.end <= at);
        let tail = self.ranges[from..].iter().cloned().map(Some).chain([None]);
        tail.map_while(move |next| {
            if at >= range.end {
                return None;
            }
            let gap = match next {
                Some(r) => {
                    let gap = at..r.start.min(range.end);
                    at = r.end;
                    gap
                }
                None => at..range.end,
            };
            Some(gap)
        })
        .filter(|gap| gap.start < gap.end)
    }

    /// The ranges, from the lowest.
    #[must_use]
    pub fn as_slice(&self) -> &[Range<T>] {
        &self.ranges
    }

    /// Whether the set has no range.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Gives back memory that the list has too much.
    pub fn release_spare(&mut self) {
        self.ranges.shrink_to_fit();
    }

    /// Takes everything out.
    pub fn clear(&mut self) {
        self.ranges.clear();
    }

    /// The invariant: sorted, disjoint, not touching, none empty.
    #[must_use]
    pub fn is_canonical(&self) -> bool {
        self.ranges.iter().all(|r| r.start < r.end)
            && self.ranges.windows(2).all(|w| w[0].end < w[1].start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use proptest::prelude::*;

    fn points(set: &RangeSet<u64>) -> BTreeSet<u64> {
        set.as_slice().iter().cloned().flatten().collect()
    }

    proptest! {
        /// The range set against the dumbest model that could work: a set of single points.
        #[test]
        fn behaves_like_a_set_of_points(
            steps in prop::collection::vec((0u64..64, 0u64..16, 0u64..160, 0u64..20), 0..40),
            probe in (0u64..64, 0u64..32),
        ) {
            let (mut set, mut model) = (RangeSet::default(), BTreeSet::new());
            for (start, len, cut, hole) in steps {
                set.insert(start..start + len);
                model.extend(start..start + len);
                if cut < 80 {
                    set.remove_before(cut);
                    model.retain(|&p| p >= cut);
                } else {
                    let out = cut - 80..cut - 80 + hole;
                    set.remove(out.clone());
                    model.retain(|p| !out.contains(p));
                }
                prop_assert!(set.is_canonical(), "{set:?}");
            }
            prop_assert_eq!(&points(&set), &model);
            let range = probe.0..probe.0 + probe.1;
            let gaps: Vec<u64> = set.gaps(range.clone()).flatten().collect();
            let expected: Vec<u64> = range.clone().filter(|p| !model.contains(p)).collect();
            prop_assert_eq!(gaps, expected);
            prop_assert_eq!(set.contains(&range), range.clone().all(|p| model.contains(&p)));
        }
    }
}
