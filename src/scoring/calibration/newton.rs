//! Newton's method for weighted logistic regression.

use rayon::prelude::*;

use super::linear::solve;

/// Trials whose sums are taken together. The number of threads changes no sum.
const PART: usize = 4096;
/// Most steps. A finite optimum takes about ten.
const STEPS: usize = 100;
/// The search ends with a full step that moves no log-likelihood ratio by more than this. The error
/// that is left is about its square.
const MOVED: f64 = 1e-7;

/// What is minimised: for l = w.x + b and tau = logit p,
/// `p mean log(1 + exp(-(l + tau)))` over targets `+ (1 - p) mean log(1 + exp(l + tau))` over
/// nontargets `+ penalty w.w`, with the prior p of targets (the weighted cost of Brummer and
/// du Preez, "Application-independent evaluation of speaker detection", 2006).
pub(super) struct Problem<'a> {
    /// `[trials, columns]`.
    pub rows: &'a [f64],
    pub columns: usize,
    pub targets: &'a [bool],
    pub prior: f64,
    pub penalty: f64,
}

/// Sums over trials: the cost, its derivatives by weights and bias (`[columns + 1]` and its
/// square), and the range of the log-likelihood ratios of both kinds.
struct Sums {
    cost: f64,
    gradient: Vec<f64>,
    hessian: Vec<f64>,
    nontargets: [f64; 2],
    targets: [f64; 2],
}

/// The weights of a trial of each kind: nontarget, target.
#[derive(Clone, Copy)]
struct Shares([f64; 2]);

impl Problem<'_> {
    /// Weights and bias at the minimum, `[columns + 1]`. Nothing where there is no finite one: the
    /// columns separate the kinds of trials, or some of them, and larger weights are always better.
    pub fn minimum(&self) -> Option<Vec<f64>> {
        let shares = self.shares();
        let mut point = vec![0.0; self.columns + 1];
        for _ in 0..STEPS {
            let at = self.sums(&point, shares);
            if self.penalty == 0.0 && at.is_separated() {
                return None;
            }
            let step = solve(&at.hessian, &at.gradient)?;
            let decrease = dot(&step, &at.gradient);
            let moved = |share: f64| -> Vec<f64> {
                point.iter().zip(&step).map(|(x, d)| x - share * d).collect()
            };
            let mut share = 1.0;
            // Near the minimum rounding hides the decrease, and full steps are right.
            while decrease > 1e-10 * at.cost
                && self.cost(&moved(share), shares) > at.cost - 1e-4 * share * decrease
                && share > 1e-12
            {
                share *= 0.5;
            }
            point = moved(share);
            if share == 1.0 && self.most(&step) < MOVED {
                return Some(point);
            }
        }
        None
    }

    fn shares(&self) -> Shares {
        let targets = self.targets.iter().filter(|t| **t).count();
        let nontargets = self.targets.len() - targets;
        Shares([(1.0 - self.prior) / nontargets as f64, self.prior / targets as f64])
    }

    fn tau(&self) -> f64 {
        (self.prior / (1.0 - self.prior)).ln()
    }

    /// Sums of parts of the trials, in their order.
    fn parts<T: Send>(&self, sum: impl Fn(&[f64], &[bool]) -> T + Sync) -> Vec<T> {
        let rows = self.rows.par_chunks(PART * self.columns);
        rows.zip(self.targets.par_chunks(PART)).map(|(rows, targets)| sum(rows, targets)).collect()
    }

    fn penalties(&self, point: &[f64]) -> f64 {
        let weights = &point[..self.columns];
        self.penalty * dot(weights, weights)
    }

    fn cost(&self, point: &[f64], Shares(shares): Shares) -> f64 {
        let tau = self.tau();
        let parts = self.parts(|rows, targets| {
            let trials = rows.chunks_exact(self.columns).zip(targets);
            let cost = |(row, &target): (&[f64], &bool)| {
                let wrong = wrong(ratio(point, row) + tau, target);
                shares[usize::from(target)] * softplus(wrong)
            };
            trials.map(cost).sum::<f64>()
        });
        parts.iter().sum::<f64>() + self.penalties(point)
    }

    /// The most that a step changes a log-likelihood ratio.
    fn most(&self, step: &[f64]) -> f64 {
        let parts = self.parts(|rows, _| {
            let rows = rows.chunks_exact(self.columns);
            rows.map(|row| ratio(step, row).abs()).fold(0.0, f64::max)
        });
        parts.into_iter().fold(0.0, f64::max)
    }

    fn sums(&self, point: &[f64], Shares(shares): Shares) -> Sums {
        let (tau, n) = (self.tau(), self.columns + 1);
        let parts = self.parts(|rows, targets| {
            let mut sums = Sums::none(n);
            for (row, &target) in rows.chunks_exact(self.columns).zip(targets) {
                sums.add(row, ratio(point, row), tau, target, shares[usize::from(target)]);
            }
            sums
        });
        let mut all = parts.iter().fold(Sums::none(n), Sums::and);
        // Only half of the matrix was summed.
        for i in 0..n {
            for j in 0..i {
                all.hessian[j * n + i] = all.hessian[i * n + j];
            }
        }
        all.cost += self.penalties(point);
        for (i, weight) in point[..self.columns].iter().enumerate() {
            all.gradient[i] += 2.0 * self.penalty * weight;
            all.hessian[i * n + i] += 2.0 * self.penalty;
        }
        all
    }
}

impl Sums {
    fn none(n: usize) -> Self {
        let range = [f64::INFINITY, f64::NEG_INFINITY];
        let (gradient, hessian) = (vec![0.0; n], vec![0.0; n * n]);
        Self { cost: 0.0, gradient, hessian, nontargets: range, targets: range }
    }

    /// Adds a trial with its log-likelihood ratio and its weight.
    fn add(&mut self, row: &[f64], ratio: f64, tau: f64, target: bool, share: f64) {
        let wrong = wrong(ratio + tau, target);
        let (slope, other) = (sigmoid(wrong), sigmoid(-wrong));
        let first = if target { -share * slope } else { share * slope };
        let second = share * slope * other;
        self.cost += share * softplus(wrong);
        let range = if target { &mut self.targets } else { &mut self.nontargets };
        *range = [range[0].min(ratio), range[1].max(ratio)];
        let n = self.gradient.len();
        let value = |i: usize| row.get(i).copied().unwrap_or(1.0);
        for (i, (gradient, hessian)) in
            self.gradient.iter_mut().zip(self.hessian.chunks_exact_mut(n)).enumerate()
        {
            *gradient += first * value(i);
            let scaled = second * value(i);
            for (j, cell) in hessian[..=i].iter_mut().enumerate() {
                *cell += scaled * value(j);
            }
        }
    }

    fn and(mut self, other: &Self) -> Self {
        self.cost += other.cost;
        self.gradient.iter_mut().zip(&other.gradient).for_each(|(a, b)| *a += b);
        self.hessian.iter_mut().zip(&other.hessian).for_each(|(a, b)| *a += b);
        let wider = |a: [f64; 2], b: [f64; 2]| [a[0].min(b[0]), a[1].max(b[1])];
        self.targets = wider(self.targets, other.targets);
        self.nontargets = wider(self.nontargets, other.nontargets);
        self
    }

    /// Whether no nontarget lies above a target, and not all are equal. Then the same line, scaled
    /// up, is always better.
    fn is_separated(&self) -> bool {
        let ([low, high], [least, most]) = (self.nontargets, self.targets);
        high <= least && low < most
    }
}

/// The log-likelihood ratio of a row: weights, then the bias.
pub(super) fn ratio(point: &[f64], row: &[f64]) -> f64 {
    let (weights, bias) = point.split_at(row.len());
    dot(weights, row) + bias[0]
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// How far a log-odds is on the wrong side.
fn wrong(odds: f64, target: bool) -> f64 {
    if target { -odds } else { odds }
}

/// log(1 + exp(x)).
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

fn sigmoid(x: f64) -> f64 {
    let e = (-x.abs()).exp();
    if x >= 0.0 { 1.0 / (1.0 + e) } else { e / (1.0 + e) }
}
