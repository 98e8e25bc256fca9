//! Finds operating points of sorted trials without visiting every trial.
//!
//! Misses never fall and false accepts never rise from one point to the next. So the rates at the
//! two ends of a block bound those of all points in it, and most blocks can be skipped. The results
//! equal those of a pass over all points to the bit, since rounding keeps the order of numbers.

use std::ops::Range;

use rayon::prelude::*;

use super::Scored;
use super::blocks::Blocks;
use crate::corpus::Pair;

/// Sorts trials by ascending score, on all cores.
pub(super) fn sort(trials: &mut [Scored]) {
    trials.par_sort_unstable_by(|a, b| a.score.total_cmp(&b.score));
}

/// Weights of missed targets and of rejected nontargets.
pub(super) type Sums = (u64, u64);

/// The sums of all trials before each block, and of all trials, from the sums of each block.
pub(super) fn cumulative(of_blocks: impl IntoIterator<Item = Sums>) -> Vec<Sums> {
    let mut all = vec![(0, 0)];
    let mut sum: Sums = (0, 0);
    for block in of_blocks {
        sum = (sum.0 + block.0, sum.1 + block.1);
        all.push(sum);
    }
    all
}

/// How much each trial counts, and the rates that the sums give.
pub(super) trait Weights: Copy {
    /// The weight of a trial.
    fn weight(self, pair: Pair) -> u64;

    /// Miss rate and false-accept rate. The miss rate must not fall as the first sum grows, and the
    /// false-accept rate must not rise as the second one does.
    fn rates(self, sums: Sums) -> (f64, f64);
}

/// An operating point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Step {
    /// The first accepted trial, or the number of trials where none is accepted.
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

    /// The first point of a block; "reject all" after the last block.
    fn at(self, block: usize) -> Step {
        self.step(self.blocks.start(block), self.sums[block])
    }

    /// "Reject all".
    pub fn last(self) -> Step {
        self.at(self.blocks.len())
    }

    /// The points of a block.
    fn within(self, block: usize) -> Within<'a, W> {
        let Range { start, end } = self.blocks.range(block);
        Within { steps: self, next: start, end, sums: self.sums[block] }
    }

    /// The points of a block. Those of the last block end with "reject all".
    pub fn part(self, block: usize) -> impl Iterator<Item = Step> {
        self.within(block).chain((block + 1 == self.blocks.len()).then(|| self.last()))
    }

    /// The first point whose rates (misses, false accepts) are `wanted`, together with the point
    /// before it: (before, first). If the very first point is wanted, both are that point. All
    /// points after a wanted one must be wanted too.
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

    /// The lowest cost, and the first point that has it. `cost` is a function of the rates (misses,
    /// false accepts) that does not fall as either grows. None where no cost is finite.
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
            // The lowest rates of the block bound the cost of all its points.
            if cost(self.at(block).fnr, self.at(block + 1).fpr) <= enough {
                self.within(block).for_each(&mut visit);
            }
        }
        visit(self.last());
        best
    }
}

/// Iterates over the points of a block.
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
        /// The size of the blocks changes no result.
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
            let mut points = Vec::new();
            let mut sums: Sums = (0, 0);
            let mut groups = Vec::new();
            for group in trials.chunk_by(|a, b| a.score == b.score) {
                groups.push(sums);
                for t in group {
                    let sum = if t.pair.is_target() { &mut sums.0 } else { &mut sums.1 };
                    *sum += u64::from(t.pair.enroll());
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
            let add = |sum: Sums, t: &Scored| {
                let weight = u64::from(t.pair.enroll());
                if t.pair.is_target() { (sum.0 + weight, sum.1) } else { (sum.0, sum.1 + weight) }
            };
            let of_blocks =
                (0..blocks.len()).map(|k| trials[blocks.range(k)].iter().fold((0, 0), add));
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
}
