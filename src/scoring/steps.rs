//! Operating points of sorted trials, found without looking at each of them.
//!
//! Misses never fall and false accepts never rise from one point to the next. So the rates between
//! two points bound those of all points between them, and most blocks of trials need no look. The
//! rates are those of a pass over all points, to the bit: floating-point operations keep order.

use std::ops::Range;

use rayon::prelude::*;

use super::Scored;
use crate::corpus::Pair;

/// Blocks of a long list.
const BLOCKS: usize = 8192;
/// Trials of a block at least.
const SMALLEST: usize = 64;

/// Puts trials in the order of their scores.
pub(super) fn sort(trials: &mut [Scored]) {
    trials.par_sort_unstable_by(|a, b| a.score.total_cmp(&b.score));
}

/// Sorted trials in blocks, each of which begins with another score than the one before.
#[derive(Debug, Clone)]
pub(super) struct Blocks {
    /// Where they begin, and the number of trials.
    bounds: Vec<usize>,
}

impl Blocks {
    pub fn of(trials: &[Scored]) -> Self {
        Self::sized(trials, (trials.len() / BLOCKS).max(SMALLEST))
    }

    /// Blocks of `size` trials, or more where scores are equal.
    fn sized(trials: &[Scored], size: usize) -> Self {
        let (mut bounds, mut next) = (vec![0], size);
        while next < trials.len() {
            let before = trials[next - 1].score;
            next += trials[next..].partition_point(|t| t.score == before);
            if next < trials.len() {
                bounds.push(next);
                next += size;
            }
        }
        bounds.push(trials.len());
        Self { bounds }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.bounds.len() - 1
    }

    /// The trials of one.
    pub fn range(&self, block: usize) -> Range<usize> {
        self.bounds[block]..self.bounds[block + 1]
    }
}

/// Weights of missed targets and of rejected nontargets.
pub(super) type Sums = (u64, u64);

/// The sums before each block and behind the last, from those of the blocks.
pub(super) fn cumulative(of_blocks: impl IntoIterator<Item = Sums>) -> Vec<Sums> {
    let mut all = vec![(0, 0)];
    let mut sum: Sums = (0, 0);
    for block in of_blocks {
        sum = (sum.0 + block.0, sum.1 + block.1);
        all.push(sum);
    }
    all
}

/// What trials count, and what the counts mean.
pub(super) trait Weights: Copy {
    /// The weight of a trial.
    fn weight(self, pair: Pair) -> u64;

    /// Miss rate and false-accept rate. The first must not fall with its sum, the second must not
    /// rise with the other.
    fn rates(self, sums: Sums) -> (f64, f64);
}

/// An operating point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Step {
    /// The first trial that is accepted; the number of trials where none is.
    pub trial: usize,
    pub fnr: f64,
    pub fpr: f64,
}

/// All operating points: one at each different score, and "reject all".
#[derive(Clone, Copy)]
pub(super) struct Steps<'a, W> {
    pub trials: &'a [Scored],
    pub blocks: &'a Blocks,
    /// [`cumulative`] sums.
    pub sums: &'a [Sums],
    pub weights: W,
}

impl<'a, W: Weights> Steps<'a, W> {
    fn step(self, trial: usize, sums: Sums) -> Step {
        let (fnr, fpr) = self.weights.rates(sums);
        Step { trial, fnr, fpr }
    }

    /// The point at which a block begins; "reject all" behind the last one.
    fn at(self, block: usize) -> Step {
        self.step(self.blocks.bounds[block], self.sums[block])
    }

    /// "Reject all".
    pub fn last(self) -> Step {
        self.at(self.blocks.len())
    }

    /// The points of a block, the one at which it begins first.
    fn within(self, block: usize) -> Within<'a, W> {
        let Range { start, end } = self.blocks.range(block);
        Within { steps: self, next: start, end, sums: self.sums[block] }
    }

    /// The points of a block, "reject all" among those of the last.
    pub fn part(self, block: usize) -> impl Iterator<Item = Step> {
        self.within(block).chain((block + 1 == self.blocks.len()).then(|| self.last()))
    }

    /// The first point whose rates (misses, false accepts) are `wanted`, and the one before it, if
    /// there is one, or itself. All later points must be `wanted`, too.
    pub fn first(self, wanted: impl Fn(f64, f64) -> bool) -> Option<(Step, Step)> {
        let is_wanted = |step: &Step| wanted(step.fnr, step.fpr);
        let block = self.sums.partition_point(|&sums| !is_wanted(&self.step(0, sums)));
        if block == self.sums.len() {
            return None;
        }
        let end = self.at(block);
        if block == 0 {
            return Some((end, end));
        }
        let mut before = self.at(block - 1);
        for step in self.within(block - 1) {
            if is_wanted(&step) {
                return Some((before, step));
            }
            before = step;
        }
        Some((before, end))
    }

    /// The first of the points whose cost is the lowest, with the cost: a function of the rates
    /// (misses, false accepts) that does not fall with either. None where no cost is finite.
    pub fn cheapest(self, cost: impl Fn(f64, f64) -> f64) -> Option<(f64, Step)> {
        let of = |step: &Step| cost(step.fnr, step.fpr);
        let enough =
            (0..=self.blocks.len()).map(|block| of(&self.at(block))).fold(f64::INFINITY, f64::min);
        let mut best: Option<(f64, Step)> = None;
        let mut visit = |step: Step| {
            let cost = of(&step);
            if cost < best.map_or(f64::INFINITY, |b| b.0) {
                best = Some((cost, step));
            }
        };
        for block in 0..self.blocks.len() {
            // No point of the block costs less than this.
            if cost(self.at(block).fnr, self.at(block + 1).fpr) <= enough {
                self.within(block).for_each(&mut visit);
            }
        }
        visit(self.last());
        best
    }
}

/// The points of a block.
struct Within<'a, W> {
    steps: Steps<'a, W>,
    next: usize,
    end: usize,
    sums: Sums,
}

impl<W: Weights> Iterator for Within<'_, W> {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        let Steps { trials, weights, .. } = self.steps;
        let score = trials[..self.end].get(self.next)?.score;
        let step = self.steps.step(self.next, self.sums);
        loop {
            let pair = trials[self.next].pair;
            *(if pair.is_target() { &mut self.sums.0 } else { &mut self.sums.1 }) +=
                weights.weight(pair);
            self.next += 1;
            if self.next == self.end || trials[self.next].score != score {
                return Some(step);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A trial weighs what its first number says.
    #[derive(Clone, Copy)]
    struct Plain {
        all: Sums,
    }

    impl Weights for Plain {
        fn weight(self, pair: Pair) -> u64 {
            u64::from(pair.enroll())
        }

        fn rates(self, sums: Sums) -> (f64, f64) {
            (
                sums.0 as f64 / self.all.0.max(1) as f64,
                1.0 - sums.1 as f64 / self.all.1.max(1) as f64,
            )
        }
    }

    proptest! {
        /// Blocks, however they are cut, change nothing.
        #[test]
        fn points_are_those_of_a_pass_over_all(
            raw in prop::collection::vec((-6i32..7, any::<bool>(), 0u32..3), 1..150),
            size in 1usize..40,
            limit in 0.0..1.0,
        ) {
            let score = |s: i32| match s {
                6 => f64::INFINITY,
                -6 => -0.0,
                s => f64::from(s) / 4.0,
            };
            let trial = |&(s, target, weight): &(i32, bool, u32)| {
                Scored { score: score(s), pair: Pair::new(weight, 0, Some(target)) }
            };
            let mut trials: Vec<Scored> = raw.iter().map(trial).collect();
            sort(&mut trials);
            // One group of equal scores after the other.
            let mut points = Vec::new();
            let mut sums: Sums = (0, 0);
            let mut groups = Vec::new();
            for group in trials.chunk_by(|a, b| a.score == b.score) {
                groups.push(sums);
                for t in group {
                    *(if t.pair.is_target() { &mut sums.0 } else { &mut sums.1 }) += u64::from(t.pair.enroll());
                }
            }
            let weights = Plain { all: sums };
            let mut trial = 0;
            for (group, sums) in trials.chunk_by(|a, b| a.score == b.score).zip(groups) {
                let (fnr, fpr) = weights.rates(sums);
                points.push(Step { trial, fnr, fpr });
                trial += group.len();
            }
            let (fnr, fpr) = weights.rates(sums);
            points.push(Step { trial, fnr, fpr });

            let blocks = Blocks::sized(&trials, size);
            let of_blocks = (0..blocks.len()).map(|k| trials[blocks.range(k)].iter().fold((0, 0), |sum: Sums, t| {
                let weight = u64::from(t.pair.enroll());
                if t.pair.is_target() { (sum.0 + weight, sum.1) } else { (sum.0, sum.1 + weight) }
            }));
            let sums = cumulative(of_blocks);
            let steps = Steps { trials: &trials, blocks: &blocks, sums: &sums, weights };
            let found: Vec<Step> = (0..blocks.len()).flat_map(|k| steps.part(k)).collect();
            prop_assert_eq!(&found, &points);

            let conditions: [&dyn Fn(f64, f64) -> bool; 4] =
                [&|m, f| m >= f, &|_, f| f <= limit, &|m, _| m > limit, &|_, _| true];
            for wanted in conditions {
                let place = points.iter().position(|p| wanted(p.fnr, p.fpr));
                let expected = place.map(|i| (points[i.saturating_sub(1)], points[i]));
                prop_assert_eq!(steps.first(wanted), expected);
            }
            for prior in [0.01, 0.5, limit, 0.99] {
                let cost = |m: f64, f: f64| prior * m + (1.0 - prior) * f;
                let mut expected: Option<(f64, Step)> = None;
                for p in &points {
                    if cost(p.fnr, p.fpr) < expected.map_or(f64::INFINITY, |e| e.0) {
                        expected = Some((cost(p.fnr, p.fpr), *p));
                    }
                }
                prop_assert_eq!(steps.cheapest(cost), expected);
            }
        }
    }

    #[test]
    fn equal_scores_are_in_one_block() {
        let trials: Vec<Scored> = (0..100)
            .map(|i| Scored { score: f64::from(i / 30), pair: Pair::new(0, 0, None) })
            .collect();
        assert_eq!(Blocks::sized(&trials, 7).bounds, [0, 30, 60, 90, 100]);
        assert_eq!(Blocks::sized(&trials, 1000).bounds, [0, 100]);
        assert_eq!(Blocks::of(&[]).bounds, [0, 0]);
    }
}
