//! The equal error rate of a list in which LLRs are replaced one after the other.

use super::BothLlrs;
use crate::scoring::metrics::{Eer, Point, crossing};

/// The LLRs of all trials by both models, as places among all their values.
pub(super) struct Ranks {
    /// The distinct values, ascending.
    values: Vec<f64>,
    /// For each trial the places of the small and the large model's LLR, and the label.
    trials: Vec<(usize, usize, bool)>,
}

impl Ranks {
    /// Of trials with finite LLRs.
    pub fn of(trials: &[BothLlrs]) -> Self {
        let mut values: Vec<f64> = trials.iter().flat_map(|t| [t.small, t.large]).collect();
        values.sort_unstable_by(f64::total_cmp);
        values.dedup();
        let place = |llr: f64| values.partition_point(|value| *value < llr);
        let trials = trials.iter().map(|t| (place(t.small), place(t.large), t.target)).collect();
        Self { values, trials }
    }
}

/// Numbers of nontargets and targets.
type Counts = [usize; 2];

fn sum(a: Counts, b: Counts) -> Counts {
    [a[0] + b[0], a[1] + b[1]]
}

/// A list with one LLR of each trial. A change and the equal error rate take log n steps each.
#[derive(Clone)]
pub(super) struct Merged<'a> {
    ranks: &'a Ranks,
    /// Trials at each value.
    own: Vec<Counts>,
    /// A Fenwick tree of `own`: node `i` sums the values from `i` with its lowest bit cleared up to
    /// `i`, counted from 1.
    tree: Vec<Counts>,
    /// All trials.
    all: Counts,
}

impl<'a> Merged<'a> {
    /// The small model's LLRs.
    pub fn of_small(ranks: &'a Ranks) -> Self {
        let none = vec![[0; 2]; ranks.values.len()];
        let mut merged = Self { ranks, own: none.clone(), tree: none, all: [0; 2] };
        for &(small, _, target) in &ranks.trials {
            merged.change(small, target, |count| *count += 1);
            merged.all[usize::from(target)] += 1;
        }
        merged
    }

    /// Puts the large model's LLR of the trial at a place where the small model's was.
    pub fn replace(&mut self, place: usize) {
        let (small, large, target) = self.ranks.trials[place];
        self.change(small, target, |count| *count -= 1);
        self.change(large, target, |count| *count += 1);
    }

    fn change(&mut self, value: usize, target: bool, by: impl Fn(&mut usize)) {
        let kind = usize::from(target);
        by(&mut self.own[value][kind]);
        let mut node = value + 1;
        while let Some(counts) = self.tree.get_mut(node - 1) {
            by(&mut counts[kind]);
            node += node & node.wrapping_neg();
        }
    }

    /// The equal error rate of the list, as [`Curve::eer`](crate::scoring::Curve::eer) has it. It
    /// walks down the tree to the last value as a threshold at which fewer targets are missed than
    /// nontargets accepted, by rates.
    pub fn eer(&self) -> Eer {
        let [nontargets, targets] = self.all.map(|count| count as u64);
        let is_before = |[rejected, missed]: Counts| {
            missed as u64 * nontargets + rejected as u64 * targets < targets * nontargets
        };
        let (mut value, mut below) = (0, [0; 2]);
        let mut step = self.tree.len().next_power_of_two();
        while step > 0 {
            if let Some(&node) = self.tree.get(value + step - 1)
                && is_before(sum(below, node))
            {
                (value, below) = (value + step, sum(below, node));
            }
            step /= 2;
        }
        // With all values below the threshold no nontarget is accepted, so this is not the last.
        let next = sum(below, self.own[value]);
        crossing(self.point(value, below), self.point(value + 1, next))
    }

    /// The operating point of the threshold at a value, with the trials below it.
    fn point(&self, value: usize, [rejected, missed]: Counts) -> Point {
        let [nontargets, targets] = self.all;
        Point {
            threshold: self.ranks.values.get(value).copied().unwrap_or(f64::INFINITY),
            fnr: missed as f64 / targets as f64,
            fpr: (nontargets - rejected) as f64 / nontargets as f64,
        }
    }
}
