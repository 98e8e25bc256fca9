//! Sorted trials in blocks.

use std::ops::Range;

use super::Scored;

/// Number of blocks of a long list.
const BLOCKS: usize = 8192;
/// The least number of trials in a block.
const SMALLEST: usize = 64;

/// Divides sorted trials into blocks. Trials of one score are in one block.
#[derive(Debug, Clone)]
pub(super) struct Blocks {
    /// The first trial of each block, and then the number of trials.
    bounds: Vec<usize>,
}

impl Blocks {
    /// The blocks of `trials`, which are sorted by score.
    pub fn of(trials: &[Scored]) -> Self {
        Self::sized(trials, (trials.len() / BLOCKS).max(SMALLEST))
    }

    /// Blocks of `size` trials, or more where scores are equal.
    pub fn sized(trials: &[Scored], size: usize) -> Self {
        let (mut bounds, mut next) = (vec![0], size);
        while next < trials.len() {
            next += run(&trials[next..], trials[next - 1].score);
            if next < trials.len() {
                bounds.push(next);
                next += size;
            }
        }
        bounds.push(trials.len());
        Self { bounds }
    }

    /// Number of blocks.
    pub fn len(&self) -> usize {
        self.bounds.len() - 1
    }

    /// The first trial of a block; the number of trials after the last block.
    pub fn start(&self, block: usize) -> usize {
        self.bounds[block]
    }

    /// The trials of a block.
    pub fn range(&self, block: usize) -> Range<usize> {
        self.bounds[block]..self.bounds[block + 1]
    }
}

/// How many trials at the front of sorted `trials` have this score.
fn run(trials: &[Scored], score: f64) -> usize {
    // Most runs are short: look near the front first, then ever further.
    let mut reach = 1;
    while reach < trials.len() && trials[reach - 1].score == score {
        reach *= 2;
    }
    trials[..reach.min(trials.len())].partition_point(|t| t.score == score)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::Pair;

    #[test]
    fn equal_scores_are_in_one_block() {
        let trials: Vec<Scored> = (0..100)
            .map(|i| Scored { score: f64::from(i / 30), pair: Pair::new(0, 0, None) })
            .collect();
        assert_eq!(Blocks::sized(&trials, 7).bounds, [0, 30, 60, 90, 100]);
        assert_eq!(Blocks::sized(&trials, 1000).bounds, [0, 100]);
        assert_eq!(Blocks::of(&[]).bounds, [0, 0]);
    }

    #[test]
    fn runs_of_every_length_are_found() {
        let trial = |score: f64| Scored { score, pair: Pair::new(0, 0, None) };
        for (equal, others) in (0..20).flat_map(|n| [(n, 0), (n, 1), (n, 30)]) {
            let scores =
                std::iter::repeat_n(0.0, equal).chain((0..others).map(|i| f64::from(i + 1)));
            let trials: Vec<Scored> = scores.map(trial).collect();
            assert_eq!(run(&trials, 0.0), equal, "{others}");
        }
    }
}
