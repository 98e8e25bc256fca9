//! Where each value lies in the arena: first fit over lifetimes.

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

/// Places buffers so that no two lie on each other while both are in use, in the better of two
/// orders: the largest first, or those first that are there when most is. Neither is best always:
/// a large buffer that is short-lived may lie where a smaller one wants to be for long.
pub(super) fn plan(buffers: &[Interval]) -> Plan {
    let plans = [by_size(buffers), by_time(buffers)].map(|order| placed(buffers, order));
    plans.into_iter().min_by_key(|plan| plan.len).expect("two plans")
}

/// The largest first.
fn by_size(buffers: &[Interval]) -> Vec<usize> {
    ascending(buffers.iter().map(|buffer| [usize::MAX - buffer.len, buffer.first]))
}

/// The numbers of items in the order of their keys. Those of one key stay as they are.
fn ascending(keys: impl Iterator<Item = [usize; 2]>) -> Vec<usize> {
    // The runtime is to be small, so all that it sorts is of one type.
    let mut all: Vec<[usize; 3]> = keys.enumerate().map(|(i, [a, b])| [a, b, i]).collect();
    all.sort_unstable();
    all.into_iter().map(|[.., i]| i).collect()
}

/// The buffers of the step that has most values first, the largest of them first; then those of the
/// step that has second most; and so on.
fn by_time(buffers: &[Interval]) -> Vec<usize> {
    let steps = buffers.iter().map(|buffer| buffer.last + 1).max().unwrap_or(0);
    let mut there = vec![Vec::new(); steps];
    for i in by_size(buffers) {
        there[buffers[i].first..=buffers[i].last].iter_mut().for_each(|all| all.push(i));
    }
    let values = |all: &Vec<usize>| all.iter().map(|&i| buffers[i].len).sum::<usize>();
    let most_first = ascending(there.iter().map(|all| [usize::MAX - values(all), 0]));
    let mut is_ordered = vec![false; buffers.len()];
    let mut order = Vec::with_capacity(buffers.len());
    for &i in most_first.iter().flat_map(|&step| &there[step]) {
        if !std::mem::replace(&mut is_ordered[i], true) {
            order.push(i);
        }
    }
    order
}

/// Places buffers one after another. Each takes the first gap that is large enough.
fn placed(buffers: &[Interval], order: Vec<usize>) -> Plan {
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

    /// With the largest first, the fourth buffer comes to lie behind all others: the fifth has
    /// taken a part of the room that it needs.
    #[test]
    fn a_short_lived_buffer_leaves_the_place_of_a_longer_one() {
        let buffers = [
            interval(0, 0, 320),
            interval(0, 1, 304),
            interval(0, 1, 160),
            interval(1, 3, 160),
            interval(3, 3, 176),
        ];
        assert_eq!(placed(&buffers, by_size(&buffers)).len, 944);
        assert_eq!(plan(&buffers).len, 784);
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
