//! k-means of numbers, which has an exact solution: the clusters are runs of the sorted list, and
//! dynamic programming finds the best runs.

use crate::backend::bound;
use crate::error::{Error, Result};

/// The solution is exact for up to so many weights. The values of longer lists are first put into
/// at most as many groups of neighbours; Lloyd's iterations on all values follow.
const EXACT: usize = 1 << 13;
/// The most of Lloyd's iterations. Next to the optimum a few are enough.
const ITERATIONS: usize = 100;

/// Sorted values, with the sums from which the mean and the inertia (sum of squared distances from
/// the mean) of any run follow at once.
struct Line {
    values: Vec<f32>,
    /// Entry `i`: sums of the values and of their squares from the median to value `i`, negative
    /// below the median. Values are relative to the median, so that little cancels. An outlier is
    /// only in the sums beyond it.
    sums: Vec<[f64; 2]>,
    median: f64,
}

impl Line {
    fn new(weights: &[f32]) -> Self {
        // Integers in the order of the numbers: they sort twice as fast.
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

    /// The inertia of the values `from..to`.
    fn inertia(&self, from: usize, to: usize) -> f64 {
        // The rounding error of a large outlier would exceed the inertia of everything else.
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

    /// The centroid of a run, computed from its own values: exact where they are equal.
    fn centroid(&self, from: usize, to: usize) -> f32 {
        let run = &self.values[from..to];
        match run[0] == run[run.len() - 1] {
            true => run[0],
            false => (run.iter().map(|&v| f64::from(v)).sum::<f64>() / run.len() as f64) as f32,
        }
    }

    /// Ends of groups of neighbours. Few values have a group each. Of many, groups lie as densely
    /// as the best centroids do: in proportion to the cube root of the values' density (Panter and
    /// Dite, 1951). No group ends between equal values.
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

    /// Adds the ends of groups within the list, at most `EXACT`.
    fn summed_up(&self, ends: &mut Vec<usize>) {
        // A distance d between neighbours is a density of 1 / d over a length of d. In f64, since
        // the distance of two f32 may overflow an f32.
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

    /// The best boundaries of `k` runs whose ends are among the g `ends`. The best last boundary of
    /// `0..j` grows with j, so divide and conquer finds all of them in O(k g log g).
    fn partition(&self, ends: &[usize], k: usize) -> Vec<usize> {
        let groups = ends.len() - 1;
        // cost[j]: the least inertia of the first j groups in the runs so far.
        let mut cost: Vec<f64> =
            (0..=groups).map(|j| if j == 0 { 0.0 } else { self.inertia(0, ends[j]) }).collect();
        let mut choices: Vec<Vec<u32>> = Vec::with_capacity(k);
        for runs in 2..=k {
            let mut next = vec![f64::INFINITY; groups + 1];
            let mut choice = vec![0u32; groups + 1];
            // Spans of j that are undecided, with the range of their last boundaries.
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

    /// Lloyd's iterations, until the boundaries stay: each moves them half-way between the means of
    /// the runs, in O(k log n).
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

/// The share of a group. A distance with a larger share is a boundary in any case and does not
/// count in the sum, so that an outlier leaves the groups of the other values as they are.
fn step(shares: &[f32]) -> f64 {
    let (mut step, mut wide) = (f64::INFINITY, None);
    loop {
        let narrow = shares.iter().map(|&s| f64::from(s)).filter(|&s| s <= step);
        let (sum, count) = narrow.fold((0.0, 0), |(sum, count), s| (sum + s, count + 1));
        let beyond = shares.len() - count;
        if wide == Some(beyond) {
            return step;
        }
        // At most `EXACT - 1` of them can exceed an `EXACT`th of the sum.
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

/// Ascending centroids with the smallest sum of squared distances: `k` of them, or the distinct
/// values where those are fewer. Exact up to 8,192 weights; beyond, within a factor of 1.0001 of
/// the optimum on the reference vectors.
///
/// # Errors
/// No weights, or one that is not finite; `k` outside 1 to 65536.
pub fn centroids(weights: &[f32], k: usize) -> Result<Vec<f32>> {
    check(weights, k)?;
    let line = Line::new(weights);
    let ends = line.groups();
    let boundaries = line.partition(&ends, k.min(ends.len() - 1));
    let boundaries = line.settle(boundaries, ITERATIONS);
    Ok(boundaries.windows(2).map(|b| line.centroid(b[0], b[1])).collect())
}

/// The centroids after at most so many of Lloyd's iterations, from given ascending ones. One
/// without members stays where it is.
///
/// # Errors
/// No weights, or one that is not finite; no centroids, or more than 65536.
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

/// What separates ascending centroids: a value above i bounds has the code i. A value on a bound
/// has the lower code.
pub fn bounds(centroids: &[f32]) -> Vec<f32> {
    centroids.windows(2).map(|c| bound(c[0], c[1])).collect()
}

/// The code of a weight: the index of its nearest centroid.
pub fn nearest(bounds: &[f32], weight: f32) -> usize {
    bounds.partition_point(|&b| weight > b)
}

/// Sum of the weights' squared distances from their nearest centroids.
pub fn inertia(weights: &[f32], centroids: &[f32]) -> f64 {
    let bounds = bounds(centroids);
    weights
        .iter()
        .map(|&w| (f64::from(w) - f64::from(centroids[nearest(&bounds, w)])).powi(2))
        .sum()
}

#[cfg(test)]
mod tests;
