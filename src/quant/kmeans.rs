//! k-means of numbers on a line, where it can be solved and not only approached: a sorted list's
//! clusters are runs of it, and the best runs follow from dynamic programming.

use crate::backend::optim8::bound;
use crate::error::{Error, Result};

/// Weights up to which the solution is exact. Longer lists are first summed up into as many groups
/// of neighbours; Lloyd's iterations on all values follow.
const EXACT: usize = 1 << 13;
/// Lloyd's iterations at most. Started next to the optimum they need a few.
const ITERATIONS: usize = 100;

/// Sorted values with the sums that give any run's mean and inertia at once.
struct Line {
    values: Vec<f32>,
    /// Entry `i`: sums of the values, and of their squares, between the median and value `i`;
    /// below the median they are negative. All are about the median, so that little cancels, and
    /// an outlier is in no sum but those beyond it.
    sums: Vec<[f64; 2]>,
    median: f64,
}

impl Line {
    fn new(weights: &[f32]) -> Self {
        // As integers that order like the numbers: sorting those is twice as fast.
        let mut keys: Vec<u32> = weights
            .iter()
            .map(|w| w.to_bits())
            .map(|b| b ^ ((b as i32 >> 31) as u32 | 1 << 31))
            .collect();
        keys.sort_unstable();
        let unkey = |k: u32| f32::from_bits(if k >> 31 == 1 { k ^ 1 << 31 } else { !k });
        let values: Vec<f32> = keys.into_iter().map(unkey).collect();
        let middle = values.len() / 2;
        let median = f64::from(values[middle]);
        let mut sums = vec![[0.0f64; 2]; values.len() + 1];
        let about = |i: usize| f64::from(values[i]) - median;
        for i in middle..values.len() {
            let ([sum, squares], x) = (sums[i], about(i));
            sums[i + 1] = [sum + x, squares + x * x];
        }
        for i in (0..middle).rev() {
            let ([sum, squares], x) = (sums[i + 1], about(i));
            sums[i] = [sum - x, squares - x * x];
        }
        Self { values, sums, median }
    }

    /// Sum of squared distances of the values `from..to` from their mean.
    fn inertia(&self, from: usize, to: usize) -> f64 {
        // What rounding leaves of a large outlier would hide the inertia of everything else.
        if self.values[from] == self.values[to - 1] {
            return 0.0;
        }
        let ([a0, a1], [b0, b1]) = (self.sums[from], self.sums[to]);
        let (sum, squares) = (b0 - a0, b1 - a1);
        (squares - sum * sum / (to - from) as f64).max(0.0)
    }

    fn mean(&self, from: usize, to: usize) -> f64 {
        self.median + (self.sums[to][0] - self.sums[from][0]) / (to - from) as f64
    }

    /// The centroid of a run, from its own values: exact where they are equal.
    fn centroid(&self, from: usize, to: usize) -> f32 {
        let run = &self.values[from..to];
        match run[0] == run[run.len() - 1] {
            true => run[0],
            false => (run.iter().map(|&v| f64::from(v)).sum::<f64>() / run.len() as f64) as f32,
        }
    }

    /// Ends of groups of neighbours: every value by itself where there are few, else groups as fine
    /// as the best centroids lie close, which is as the cube root of the density (for many
    /// centroids; Panter and Dite, 1951). No group ends between equal values.
    fn groups(&self) -> Vec<usize> {
        let values = &self.values;
        let mut ends = vec![0];
        if values.len() <= EXACT {
            ends.extend((1..values.len()).filter(|&i| values[i] != values[i - 1]));
        } else {
            self.summed_up(&mut ends);
        }
        ends.push(values.len());
        ends
    }

    /// Adds the ends of groups that lie inside, `EXACT` of them at most.
    fn summed_up(&self, ends: &mut Vec<usize>) {
        // With a distance d to its neighbour a value stands for a density of 1 / d over d. In f64,
        // because the distance of two f32 may be beyond f32.
        let share = |pair: &[f32]| (f64::from(pair[1]) - f64::from(pair[0])).cbrt().powi(2);
        let shares: Vec<f32> = self.values.windows(2).map(|pair| share(pair) as f32).collect();
        let step = step(&shares);
        let (mut sum, mut next) = (0.0, step);
        for (i, share) in shares.into_iter().map(f64::from).enumerate() {
            let wide = share > step;
            if !wide {
                sum += share;
            }
            if wide || share > 0.0 && sum >= next {
                ends.push(i + 1);
                if !wide {
                    next = ((sum / step).floor() + 1.0) * step;
                }
            }
        }
    }

    /// The best boundaries of `k` runs whose ends are among `ends`. Divide and conquer over the
    /// monotone choices of the last boundary, O(k g log g).
    fn partition(&self, ends: &[usize], k: usize) -> Vec<usize> {
        let groups = ends.len() - 1;
        // cost[j]: of the first j groups in as many runs as have been added.
        let mut cost: Vec<f64> =
            (0..=groups).map(|j| if j == 0 { 0.0 } else { self.inertia(0, ends[j]) }).collect();
        let mut choices: Vec<Vec<u32>> = Vec::with_capacity(k);
        for runs in 2..=k {
            let mut next = vec![f64::INFINITY; groups + 1];
            let mut choice = vec![0u32; groups + 1];
            // Spans of j still to be decided, with the boundaries that can be theirs.
            let mut spans = vec![(runs, groups, runs - 1, groups - 1)];
            while let Some((low, high, first, last)) = spans.pop() {
                if low > high {
                    continue;
                }
                let j = low + (high - low) / 2;
                let (mut best, mut at) = (f64::INFINITY, first);
                for i in first..=last.min(j - 1) {
                    let total = cost[i] + self.inertia(ends[i], ends[j]);
                    if total < best {
                        (best, at) = (total, i);
                    }
                }
                (next[j], choice[j]) = (best, at as u32);
                spans.push((low, j - 1, first, at));
                spans.push((j + 1, high, at, last));
            }
            cost = next;
            choices.push(choice);
        }
        let mut boundaries = vec![groups];
        for choice in choices.iter().rev() {
            boundaries.push(choice[*boundaries.last().expect("starts with one")] as usize);
        }
        boundaries.push(0);
        boundaries.reverse();
        boundaries.into_iter().map(|j| ends[j]).collect()
    }

    /// Lloyd's iterations: boundaries half-way between the means of the runs, until they stay. Each
    /// costs O(k log n).
    fn settle(&self, mut boundaries: Vec<usize>, iterations: usize) -> Vec<usize> {
        for _ in 0..iterations {
            let means: Vec<f64> = boundaries.windows(2).map(|b| self.mean(b[0], b[1])).collect();
            let mut moved = vec![0];
            moved.extend(means.windows(2).map(|m| {
                let middle = (m[0] + m[1]) / 2.0;
                self.values.partition_point(|&v| f64::from(v) <= middle)
            }));
            moved.push(self.values.len());
            if moved == boundaries || moved.windows(2).any(|b| b[0] >= b[1]) {
                break;
            }
            boundaries = moved;
        }
        boundaries
    }
}

/// The share of a group. A distance that has more than that is a boundary whatever the others are,
/// and has no part in the sum: an outlier leaves the groups of the other values as they are.
fn step(shares: &[f32]) -> f64 {
    let (mut step, mut wide) = (f64::INFINITY, None);
    loop {
        let narrow = shares.iter().map(|&s| f64::from(s)).filter(|&s| s <= step);
        let (sum, count) = narrow.fold((0.0, 0), |(sum, count), s| (sum + s, count + 1));
        let beyond = shares.len() - count;
        if wide == Some(beyond) {
            return step;
        }
        // Fewer than `EXACT` can have more than an `EXACT`th of the whole.
        (step, wide) = (sum / EXACT.saturating_sub(beyond).max(1) as f64, Some(beyond));
    }
}

fn check(weights: &[f32], k: usize) -> Result<()> {
    if k == 0 || k > 1 << 16 {
        return Err(Error::Invalid(format!("k-means with {k} centroids: must be 1 to 65536")));
    }
    match weights.iter().position(|w| !w.is_finite()) {
        Some(i) => {
            Err(Error::Invalid(format!("k-means of weights of which number {i} is {}", weights[i])))
        }
        None if weights.is_empty() => Err(Error::Invalid("k-means of no weights".into())),
        None => Ok(()),
    }
}

/// Ascending centroids of the smallest sum of squared distances: `k` of them, or the distinct
/// values where these are fewer. Exact up to 8,192 weights; beyond, to within 1.0001 of the optimum
/// on the reference vectors.
///
/// # Errors
/// No weights, or one that is not finite.
pub fn centroids(weights: &[f32], k: usize) -> Result<Vec<f32>> {
    check(weights, k)?;
    let line = Line::new(weights);
    let ends = line.groups();
    let boundaries = line.partition(&ends, k.min(ends.len() - 1));
    let boundaries = line.settle(boundaries, ITERATIONS);
    Ok(boundaries.windows(2).map(|b| line.centroid(b[0], b[1])).collect())
}

/// Lloyd's iterations from given ascending centroids; one without members stays where it is.
///
/// # Errors
/// No weights, or one that is not finite.
pub fn refine(weights: &[f32], centroids: &[f32], iterations: usize) -> Result<Vec<f32>> {
    check(weights, centroids.len())?;
    let mut centroids = centroids.to_vec();
    for _ in 0..iterations {
        let mut sums = vec![(0.0f64, 0u32); centroids.len()];
        let bounds = bounds(&centroids);
        for &w in weights {
            let sum = &mut sums[nearest(&bounds, w)];
            *sum = (sum.0 + f64::from(w), sum.1 + 1);
        }
        let moved: Vec<f32> = sums
            .iter()
            .zip(&centroids)
            .map(|(s, &c)| if s.1 == 0 { c } else { (s.0 / f64::from(s.1)) as f32 })
            .collect();
        if moved == centroids {
            break;
        }
        centroids = moved;
    }
    Ok(centroids)
}

/// What separates the centroids: a value has the code i if it is above i bounds. On a bound the
/// lower one is meant.
pub fn bounds(centroids: &[f32]) -> Vec<f32> {
    centroids.windows(2).map(|c| bound(c[0], c[1])).collect()
}

/// Number of the nearest centroid.
pub fn nearest(bounds: &[f32], weight: f32) -> usize {
    bounds.partition_point(|&b| weight > b)
}

/// Sum of squared distances to the nearest centroid.
pub fn inertia(weights: &[f32], centroids: &[f32]) -> f64 {
    let bounds = bounds(centroids);
    weights
        .iter()
        .map(|&w| (f64::from(w) - f64::from(centroids[nearest(&bounds, w)])).powi(2))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn few_values_are_their_own_centroids() {
        assert_eq!(centroids(&[0.5, -1.0, 0.5], 4).unwrap(), [-1.0, 0.5]);
        assert_eq!(centroids(&[0.25; 9], 16).unwrap(), [0.25]);
        assert_eq!(centroids(&[0.0, 1.0, 10.0], 1).unwrap(), [11.0 / 3.0]);
        assert_eq!(inertia(&[0.5, -1.0, 0.5], &[-1.0, 0.5]), 0.0);
    }

    #[test]
    fn what_has_no_means_is_refused() {
        let refused = |weights: &[f32], k: usize, wanted: &str| {
            let error = centroids(weights, k).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        };
        refused(&[], 2, "no weights");
        refused(&[1.0, f32::NAN], 2, "number 1 is NaN");
        refused(&[f32::INFINITY], 2, "number 0 is inf");
        refused(&[1.0], 0, "0 centroids");
        assert!(refine(&[f32::NAN], &[0.0], 1).is_err());
    }

    /// The other values have the centroids that they would have by themselves.
    #[test]
    fn outliers_take_a_centroid_each_and_no_more() {
        let mut stream = crate::rng::Stream::new(3, "outliers", &[]);
        for count in [288, EXACT + 1000] {
            let others: Vec<f32> = (0..count).map(|_| 0.2 * stream.normal() as f32).collect();
            for outliers in [&[1e30][..], &[-1e30], &[-3e38, 3e38], &[-1e30, -3e7, 2e20]] {
                let ours = centroids(&[&others[..], outliers].concat(), 16).unwrap();
                assert!(outliers.iter().all(|o| ours.contains(o)), "{outliers:?}: {ours:?}");
                let alone = centroids(&others, 16 - outliers.len()).unwrap();
                let (ours, wanted) = (inertia(&others, &ours), inertia(&others, &alone));
                assert!(ours <= 1.0001 * wanted, "{count} beside {outliers:?}: {ours}, {wanted}");
            }
        }
    }

    #[test]
    fn values_of_any_size_are_kept_where_there_are_few() {
        let values = [-3e38, -1e-30, f32::from_bits(1), 1e-20, 1.0, 1.0f32.next_up(), 1e30];
        for count in [1, 5, 2000] {
            let ours = centroids(&values.repeat(count), 8).unwrap();
            assert_eq!(ours, values, "{count} of each");
        }
    }

    /// The best of all ways to cut the sorted list.
    fn brute_force(sorted: &[f32], k: usize) -> f64 {
        let one = |run: &[f32]| {
            let mean = run.iter().map(|&x| f64::from(x)).sum::<f64>() / run.len() as f64;
            run.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>()
        };
        match k {
            1 => one(sorted),
            _ => (1..sorted.len())
                .map(|i| brute_force(&sorted[..i], k - 1) + one(&sorted[i..]))
                .fold(one(sorted), f64::min),
        }
    }

    proptest! {
        #[test]
        fn no_other_cut_is_better(mut weights in prop::collection::vec(-1f32..1.0, 1..9), k in 1usize..5) {
            let ours = centroids(&weights, k).unwrap();
            prop_assert!(ours.is_sorted_by(|a, b| a < b) && ours.len() <= k);
            weights.sort_by(f32::total_cmp);
            let best = brute_force(&weights, k);
            prop_assert!(inertia(&weights, &ours) <= best + 1e-9, "{} against {best}", inertia(&weights, &ours));
        }

        #[test]
        fn refining_never_makes_it_worse(weights in prop::collection::vec(-1f32..1.0, 4..60)) {
            let start = [-0.9f32, -0.1, 0.0, 0.7];
            let refined = refine(&weights, &start, 3).unwrap();
            prop_assert!(inertia(&weights, &refined) <= inertia(&weights, &start) + 1e-9);
        }
    }
}
