//! Draws from blocks of numbered things, without making them.

use std::collections::HashSet;

use crate::rng::Stream;

/// How many things to take of each block, `wanted` in all or everything there is. Blocks give
/// equally many as far as they have them.
pub(super) fn shares(blocks: &[u64], wanted: u64) -> Vec<u64> {
    let mut order: Vec<usize> = (0..blocks.len()).collect();
    order.sort_by_key(|&i| blocks[i]);
    let (mut shares, mut left) = (vec![0; blocks.len()], wanted);
    for (place, &i) in order.iter().enumerate() {
        let others = (blocks.len() - place) as u64;
        shares[i] = blocks[i].min(left / others);
        left -= shares[i];
    }
    shares
}

/// `count` distinct numbers below `all`, ascending, or all of them.
pub(super) fn distinct(stream: &mut Stream, all: u64, count: u64) -> Vec<u64> {
    if count >= all {
        return (0..all).collect();
    }
    // Floyd's way: a number that is taken gives its place to the last one that may be drawn.
    let mut taken = HashSet::new();
    for last in all - count..all {
        let drawn = stream.below(usize::try_from(last + 1).unwrap_or(usize::MAX)) as u64;
        if !taken.insert(drawn) {
            taken.insert(last);
        }
    }
    let mut numbers: Vec<u64> = taken.into_iter().collect();
    numbers.sort_unstable();
    numbers
}

/// The pair `first < second` of `count` things that has this number.
pub(super) fn pair(count: usize, number: u64) -> (usize, usize) {
    // Numbers of the pairs whose first thing is below `first`.
    let before = |first: u64| first * (2 * count as u64 - first - 1) / 2;
    let (mut low, mut high) = (0u64, count as u64 - 1);
    while high - low > 1 {
        let middle = u64::midpoint(low, high);
        if before(middle) <= number { low = middle } else { high = middle }
    }
    let second = low + 1 + (number - before(low));
    (low as usize, second as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_numbered_in_their_order() {
        for count in 2..20 {
            let all: Vec<(usize, usize)> =
                (0..count).flat_map(|a| (a + 1..count).map(move |b| (a, b))).collect();
            let found: Vec<_> = (0..all.len() as u64).map(|n| pair(count, n)).collect();
            assert_eq!(found, all);
        }
    }

    #[test]
    fn shares_are_equal_as_far_as_blocks_have_them() {
        let mut stream = Stream::new(5, "test", &[]);
        for _ in 0..500 {
            let count = 1 + stream.below(8);
            let blocks: Vec<u64> = (0..count).map(|_| stream.below(50) as u64).collect();
            let (all, wanted) = (blocks.iter().sum::<u64>(), stream.below(250) as u64);
            let shares = shares(&blocks, wanted);
            assert_eq!(shares.iter().sum::<u64>(), all.min(wanted), "{blocks:?}");
            let most = shares.iter().max().unwrap();
            for (share, block) in shares.iter().zip(&blocks) {
                // A block that gives less than another gives all it has, but for rounding.
                assert!(share == block || share + count as u64 >= *most, "{blocks:?} {shares:?}");
                assert!(share <= block);
            }
        }
    }

    #[test]
    fn draws_are_distinct_and_even() {
        let mut stream = Stream::new(6, "test", &[]);
        let mut counts = [0; 10];
        for _ in 0..4000 {
            let drawn = distinct(&mut stream, 10, 3);
            assert!(drawn.len() == 3 && drawn.is_sorted_by(|a, b| a < b), "{drawn:?}");
            drawn.iter().for_each(|&n| counts[n as usize] += 1);
        }
        assert!(counts.iter().all(|n| (1050..1350).contains(n)), "{counts:?}");
        assert_eq!(distinct(&mut stream, 3, 9), [0, 1, 2]);
    }
}
