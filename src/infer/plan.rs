//! Where each value lies in the arena: first fit over lifetimes.

use std::cmp::Reverse;

/// Values of f32 in a cache line. Every buffer begins at a multiple of it.
pub(super) const LINE: usize = 16;

/// How long a buffer is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Interval {
    /// The step that writes it first.
    pub first: usize,
    /// The last step that reads or writes it.
    pub last: usize,
    /// Its length, in values.
    pub len: usize,
}

impl Interval {
    fn meets(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Where buffers begin, and the length of the arena that holds them all, in values.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// One for each buffer.
    pub starts: Vec<usize>,
    /// Of the arena.
    pub len: usize,
}

/// Places buffers so that no two lie on each other while both are in use. The largest comes first;
/// each takes the first gap that is large enough.
pub(super) fn plan(buffers: &[Interval]) -> Plan {
    let mut order: Vec<usize> = (0..buffers.len()).collect();
    order.sort_by_key(|&i| (Reverse(buffers[i].len), buffers[i].first));
    let (mut starts, mut total) = (vec![0; buffers.len()], 0);
    // In the order of their starts.
    let mut placed: Vec<usize> = Vec::with_capacity(buffers.len());
    for i in order {
        let len = buffers[i].len.next_multiple_of(LINE);
        let mut start = 0;
        for &other in placed.iter().filter(|&&other| buffers[other].meets(&buffers[i])) {
            if start + len <= starts[other] {
                break;
            }
            start = start.max(starts[other] + buffers[other].len.next_multiple_of(LINE));
        }
        starts[i] = start;
        total = total.max(start + len);
        let at = placed.partition_point(|&other| starts[other] <= start);
        placed.insert(at, i);
    }
    Plan { starts, len: total }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    fn interval(first: usize, last: usize, len: usize) -> Interval {
        Interval { first, last, len }
    }

    #[test]
    fn a_chain_needs_its_two_largest_neighbours() {
        let chain: Vec<Interval> = (0..9).map(|i| interval(i, i + 1, 32)).collect();
        assert_eq!(plan(&chain).len, 64);
        let uneven = [interval(0, 1, 160), interval(1, 2, 16), interval(2, 3, 100)];
        assert_eq!(plan(&uneven), Plan { starts: vec![0, 160, 0], len: 176 });
    }

    #[test]
    fn buffers_in_use_at_one_time_lie_apart() {
        let mut stream = Stream::new(1, "plan", &[]);
        let buffers: Vec<Interval> = (0..200)
            .map(|first| interval(first, first + stream.below(9), 1 + stream.below(500)))
            .collect();
        let Plan { starts, len } = plan(&buffers);
        let end = |i: usize| starts[i] + buffers[i].len;
        for i in 0..buffers.len() {
            assert!(starts[i].is_multiple_of(LINE) && end(i) <= len);
            for j in 0..i {
                let apart = end(i) <= starts[j] || end(j) <= starts[i];
                assert!(apart || !buffers[i].meets(&buffers[j]), "{i} and {j}");
            }
        }
        let most = (0..200).map(|step| {
            let used = buffers.iter().filter(|b| b.first <= step && step <= b.last);
            used.map(|b| b.len.next_multiple_of(LINE)).sum::<usize>()
        });
        let least = most.max().unwrap();
        assert!(len >= least && len < least * 3 / 2, "{len} values where {least} are in use");
    }
}
